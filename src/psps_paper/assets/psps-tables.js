// Sort, filter and download for table.psps[data-sortable]. Without this script the tables read as they are.
//   td[data-value]        is sorted and downloaded by that value instead of its text
//   .verdict and .tier    inside cells give a menu each, where a table has more than one of them
//   table[data-filename]  is the name of the CSV file
(() => {
  "use strict";

  const text = (cell) => (cell.dataset.value ?? cell.textContent).replace(/\s+/g, " ").trim();

  const asNumber = (value) => {
    const digits = value.replace("\u2212", "-").replace(/[\s\u202f,]/g, "");
    const match = digits.match(/^(?:about|[<>=~≤≥])?(-?\d+(?:\.\d+)?(?:e-?\d+)?)/i);
    return match ? Number(match[1]) : NaN;
  };

  // As a reader types it: any space (\s has the narrow and the no-break ones) is one space, and none before a percent sign
  // or beside a comparison sign; hyphens, dashes and minus signs are one; no soft breaks; letters without case.
  const folded = (words) =>
    words
      .normalize("NFKC")
      .toLowerCase()
      .replace(/[\u00ad\u200b\u2060\ufeff]/g, "")
      .replace(/[\u2010-\u2015\u2212]/g, "-")
      .replace(/\s+/g, " ")
      .replace(/ (?=%)/g, "")
      .replace(/ ?([<>=\u2264\u2265\u2248]) ?/g, "$1")
      .trim();

  const FEW = 8; // a table of so few rows is read, not searched
  const KINDS = ["verdict", "tier"];

  const kindOf = (row, kind) => row.querySelector(`.${kind}`)?.textContent.trim() ?? "";

  const compare = (a, b) => {
    const [x, y] = [asNumber(a), asNumber(b)];
    if (!Number.isNaN(x) && !Number.isNaN(y)) return x - y;
    if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
    return a.localeCompare(b, document.documentElement.lang || "en", { numeric: true });
  };

  const element = (name, properties = {}, children = []) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };

  const csv = (rows) =>
    rows.map((row) => row.map((field) => (/[",\n]/.test(field) ? `"${field.replace(/"/g, '""')}"` : field)).join(",")).join("\r\n");

  const enhance = (table) => {
    const headers = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    const names = headers.map((header) => header.textContent.trim());
    const body = table.tBodies[0];
    const rows = [...body.rows];
    // Cell by cell, since what ends one and begins the next is no word.
    const contents = new Map(rows.map((row) => [row, [...row.cells].map((cell) => folded(cell.textContent)).join(" ")]));

    headers.forEach((header, column) => {
      const button = element("button", { type: "button", className: "psps-sort" }, [...header.childNodes]);
      header.append(button);
      button.addEventListener("click", () => {
        const descending = header.getAttribute("aria-sort") === "ascending";
        headers.forEach((other) => other.removeAttribute("aria-sort"));
        header.setAttribute("aria-sort", descending ? "descending" : "ascending");
        const sorted = [...body.rows].sort((a, b) => compare(text(a.cells[column]), text(b.cells[column])));
        body.append(...(descending ? sorted.reverse() : sorted));
      });
    });

    if (rows.length <= FEW) return;

    const search = element("input", { type: "search", autocomplete: "off" });
    const menus = KINDS.flatMap((kind) => {
      const values = [...new Set(rows.map((row) => kindOf(row, kind)))].filter(Boolean).sort();
      if (values.length < 2) return [];
      const options = values.map((value) => element("option", { value, textContent: value }));
      return [{ kind, select: element("select", {}, [element("option", { value: "", textContent: "all" }), ...options]) }];
    });
    const count = element("output");

    const filter = () => {
      const words = folded(search.value).split(" ").filter(Boolean);
      for (const row of rows) {
        row.hidden = !(
          words.every((word) => contents.get(row).includes(word)) &&
          menus.every(({ kind, select }) => !select.value || kindOf(row, kind) === select.value)
        );
      }
      count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
    };

    const download = element("button", { type: "button", textContent: "Download these rows as CSV" });
    download.addEventListener("click", () => {
      const shown = [...body.rows].filter((row) => !row.hidden);
      const content = csv([names, ...shown.map((row) => [...row.cells].map(text))]);
      const href = URL.createObjectURL(new Blob(["\ufeff", content, "\r\n"], { type: "text/csv;charset=utf-8" }));
      element("a", { href, download: table.dataset.filename || "table.csv" }).click();
      setTimeout(() => URL.revokeObjectURL(href), 1000);
    });

    const controls = element("div", { className: "psps-controls" }, [
      element("label", {}, ["Filter rows ", search]),
      ...menus.map(({ kind, select }) => element("label", {}, [`${kind[0].toUpperCase()}${kind.slice(1)} `, select])),
      download,
      count,
    ]);
    controls.addEventListener("input", filter);
    (table.closest(".table-wrap") || table).before(controls);
    filter();
    // A link to a row (#claim-...) was followed before its row had its final place.
    if (location.hash) body.querySelector(`#${CSS.escape(decodeURIComponent(location.hash.slice(1)))}`)?.scrollIntoView();
  };

  const start = () => document.querySelectorAll("table.psps[data-sortable]").forEach(enhance);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
