// Sort, filter and download for table.psps[data-sortable]; search in the CSV of figure[data-registry], of which the page shows
// the first rows. Without this script the tables read as they are, and the CSVs are there.
//   td[data-value]        is sorted by that value instead of its text
//   .verdict and .tier    inside cells give a menu each, where a table has more than one of them
//   tr.psps-rest          below a row holds its other columns, and goes where it goes
//   table[data-filename]  is the name of the CSV file; else that of the figure's own CSV
// What is filtered, sorted or searched for stands in the address: ?status.filter=rank&status.verdict=contradicts
(() => {
  "use strict";

  const text = (cell) => (cell.dataset.value ?? cell.textContent).replace(/\s+/g, " ").trim();

  const asNumber = (value) => {
    const digits = value.replace("\u2212", "-").replace(/[\s\u202f,]/g, "");
    const match = digits.match(/^(?:about|[<>=~≤≥])?(-?\d+(?:\.\d+)?(?:e-?\d+)?)/i);
    return match ? Number(match[1]) : NaN;
  };

  // As a reader types it: any space (\s has the narrow and the no-break ones) is one space, and none before a percent sign
  // or beside a comparison sign; hyphens, dashes and minus signs are one; no soft breaks; letters without case and accents.
  const folded = (words) =>
    words
      .normalize("NFKD")
      .toLowerCase()
      .replace(/[\u0300-\u036f\u00ad\u200b\u2060\ufeff]/g, "")
      .replace(/[\u2010-\u2015\u2212]/g, "-")
      .replace(/\s+/g, " ")
      .replace(/ (?=%)/g, "")
      .replace(/ ?([<>=\u2264\u2265\u2248]) ?/g, "$1")
      .trim();

  const FEW = 8; // a table of so few rows is read, not searched
  const UNDO = "An apostrophe in front of =, +, -, @ or a tab keeps spreadsheets from running a cell; take it off to undo that.";
  const HITS = 20; // rows of a registry that are shown at a time
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

  // --- CSV ---------------------------------------------------------------------------------------------

  const csv = (rows) =>
    rows.map((row) => row.map((field) => (/[",\n]/.test(field) ? `"${field.replace(/"/g, '""')}"` : field)).join(",")).join("\r\n");

  const parsed = (content) => {
    const rows = [[]];
    for (const [, quoted, bare, end] of content.replace(/^\ufeff/, "").matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
      rows[rows.length - 1].push(quoted === undefined ? bare : quoted.replace(/""/g, '"'));
      if (end === "") break;
      if (end !== ",") rows.push([]);
    }
    return rows.filter((row) => row.length > 1 || row[0]);
  };

  // Rows of the CSV that a figure links to; it carries them itself, or a file beside the pages has them.
  const rowsOf = async (figure) => {
    const link = figure.querySelector("a.psps-csv");
    const carried = link.href.match(/^data:[^,]*;base64,(.*)$/);
    if (carried) return parsed(new TextDecoder().decode(Uint8Array.from(atob(carried[1]), (letter) => letter.charCodeAt(0))));
    const answer = await fetch(link.href);
    if (!answer.ok) throw new Error(String(answer.status));
    return parsed(await answer.text());
  };

  // As the package writes them: with an apostrophe in front of what a spreadsheet would run; reading takes it off again.
  const guarded = (cell) => (/^'*[=+\-@\t\r]/.test(cell) && !Number.isFinite(Number(cell)) ? `'${cell}` : cell);

  const save = (rows, name) => {
    const href = URL.createObjectURL(new Blob(["\ufeff", csv(rows), "\r\n"], { type: "text/csv;charset=utf-8" }));
    element("a", { href, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(href), 1000);
  };

  // --- The address -------------------------------------------------------------------------------------

  // "" where an address names nothing that can be read
  const anchor = () => {
    try {
      return decodeURIComponent(location.hash.slice(1));
    } catch {
      return "";
    }
  };
  const state = (name) => new URLSearchParams(location.search).get(name) ?? "";
  const remember = (values) => {
    const address = new URL(location.href);
    for (const [name, value] of Object.entries(values)) value ? address.searchParams.set(name, value) : address.searchParams.delete(name);
    if (address.href !== location.href) history.replaceState(history.state, "", address);
  };
  const nameOf = (figure) => (figure?.id ?? "").replace(/^table-/, "") || "table";

  // --- Tables ------------------------------------------------------------------------------------------

  const enhance = (table) => {
    const headers = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    const names = headers.map((header) => header.textContent.trim());
    const body = table.tBodies[0];
    const rows = [...body.rows].filter((row) => !row.classList.contains("psps-rest"));
    const below = new Map(rows.map((row) => [row, row.nextElementSibling?.classList.contains("psps-rest") ? row.nextElementSibling : null]));
    const figure = table.closest("figure");
    const name = nameOf(figure);
    // Cell by cell, since what ends one and begins the next is no word.
    const contents = new Map(
      rows.map((row) => [
        row,
        [...row.cells, ...(below.get(row)?.querySelectorAll("dd") ?? [])].map((cell) => folded(cell.textContent)).join(" "),
      ]),
    );

    const sort = (column, descending) => {
      headers.forEach((other) => other.removeAttribute("aria-sort"));
      headers[column].setAttribute("aria-sort", descending ? "descending" : "ascending");
      const shown = [...body.rows].filter((row) => below.has(row));
      const sorted = shown.sort((a, b) => compare(text(a.cells[column]), text(b.cells[column])));
      body.append(...(descending ? sorted.reverse() : sorted).flatMap((row) => [row, below.get(row)]).filter(Boolean));
    };
    headers.forEach((header, column) => {
      const button = element("button", { type: "button", className: "psps-sort" }, [...header.childNodes]);
      header.append(button);
      button.addEventListener("click", () => {
        const descending = header.getAttribute("aria-sort") === "ascending";
        sort(column, descending);
        remember({ [`${name}.sort`]: `${column}${descending ? "d" : "a"}` });
      });
    });
    const sorting = state(`${name}.sort`).match(/^(\d+)([ad])$/);
    if (sorting && sorting[1] < headers.length) sort(Number(sorting[1]), sorting[2] === "d");

    if (rows.length <= FEW) return;

    const search = element("input", { type: "search", autocomplete: "off", value: state(`${name}.filter`) });
    const menus = KINDS.flatMap((kind) => {
      const values = [...new Set(rows.map((row) => kindOf(row, kind)))].filter(Boolean).sort();
      if (values.length < 2) return [];
      const options = values.map((value) => element("option", { value, textContent: value }));
      const select = element("select", {}, [element("option", { value: "", textContent: "all" }), ...options]);
      select.value = values.includes(state(`${name}.${kind}`)) ? state(`${name}.${kind}`) : "";
      return [{ kind, select }];
    });
    const count = element("output");

    const filter = () => {
      const words = folded(search.value).split(" ").filter(Boolean);
      for (const row of rows) {
        row.hidden = !(
          words.every((word) => contents.get(row).includes(word)) &&
          menus.every(({ kind, select }) => !select.value || kindOf(row, kind) === select.value)
        );
        if (below.get(row)) below.get(row).hidden = row.hidden;
      }
      count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
    };

    const download = element("button", { type: "button", textContent: "Download these rows as CSV", title: UNDO });
    download.addEventListener("click", async () => {
      const shown = [...body.rows].filter((row) => below.has(row) && !row.hidden);
      const facts = shown.map((row) => new Map([...(below.get(row)?.querySelectorAll("dt") ?? [])].map((fact) => [text(fact), text(fact.nextElementSibling)])));
      const more = [...new Set(facts.flatMap((fact) => [...fact.keys()]))];
      const cells = shown.map((row, at) => [...[...row.cells].map(text), ...more.map((fact) => facts[at].get(fact) ?? "")]);
      let found = [[...names, ...more], ...cells].map((row) => row.map(guarded));
      try {
        // The figure's own CSV has a column for each thing; its rows are those of the table as it was built.
        const [head, ...all] = await rowsOf(figure);
        if (all.length === rows.length) found = [head, ...shown.map((row) => all[rows.indexOf(row)])];
      } catch {
        // Without it (a page on a disk may read no file), what the table shows and what opens below its rows.
      }
      save(found, table.dataset.filename || `${name}.csv`);
    });

    const controls = element("div", { className: "psps-controls" }, [
      element("label", {}, ["Filter rows ", search]),
      ...menus.map(({ kind, select }) => element("label", {}, [`${kind[0].toUpperCase()}${kind.slice(1)} `, select])),
      download,
      count,
    ]);
    controls.addEventListener("input", () => {
      filter();
      remember({ [`${name}.filter`]: search.value, ...Object.fromEntries(menus.map(({ kind, select }) => [`${name}.${kind}`, select.value])) });
    });
    // Within what opens, so that they do not stand above a closed table.
    (table.closest(".psps-long") ? table : table.closest(".table-wrap") || table).before(controls);
    filter();
    if (search.value || menus.some(({ select }) => select.value)) {
      for (let around = table.closest("details"); around; around = around.parentElement.closest("details")) around.open = true;
    }
    // A link to a row (#claim-...) was followed before its row had its final place.
    if (anchor()) body.querySelector(`#${CSS.escape(anchor())}`)?.scrollIntoView();
  };

  // --- Registries --------------------------------------------------------------------------------------

  const searchable = (figure) => {
    const name = nameOf(figure);
    const search = element("input", { type: "search", autocomplete: "off", value: state(`${name}.search`) });
    const count = element("output");
    const hits = element("div", { className: "psps-hits" });
    const download = element("button", { type: "button", textContent: "Download what is found as CSV", title: UNDO, hidden: true });
    let all, found;
    const update = async () => {
      const words = folded(search.value).split(" ").filter(Boolean);
      remember({ [`${name}.search`]: search.value });
      hits.replaceChildren();
      count.textContent = "";
      download.hidden = true;
      if (!words.length) return;
      try {
        all ??= (await rowsOf(figure)).map((row) => ({ row, words: folded(row.join(" ")) }));
      } catch {
        count.textContent = "The CSV cannot be read from here; download it.";
        return;
      }
      found = all.slice(1).filter((line) => words.every((word) => line.words.includes(word)));
      count.textContent = `${found.length} of ${all.length - 1} rows${found.length > HITS ? `, the first ${HITS} shown` : ""}`;
      download.hidden = !found.length;
      hits.append(
        ...found.slice(0, HITS).map(({ row }) =>
          element(
            "dl",
            { className: "psps-facts" },
            row.flatMap((value, column) =>
              value ? [element("div", {}, [element("dt", { textContent: all[0].row[column] }), element("dd", { textContent: value })])] : [],
            ),
          ),
        ),
      );
    };
    download.addEventListener("click", () => save([all[0].row, ...found.map(({ row }) => row)], `${name}-found.csv`));
    search.addEventListener("input", update);
    const controls = element("div", { className: "psps-controls" }, [element("label", {}, ["Search all rows ", search]), download, count]);
    figure.querySelector(".table-wrap").before(controls, hits);
    if (search.value) update();
  };

  const start = () => {
    // The policy of the pages allows no handlers inside them.
    const does = { print: () => window.print(), screen: () => window.toggleFullScreen() };
    document.querySelectorAll("button[data-psps-does]").forEach((button) => button.addEventListener("click", does[button.dataset.pspsDoes]));
    document.querySelectorAll("table.psps[data-sortable]").forEach(enhance);
    document.querySelectorAll("figure[data-registry]").forEach(searchable);
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
