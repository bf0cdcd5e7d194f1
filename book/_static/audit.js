// "Check another review": the equations of psps_paper/audit for a pasted league table, function by function;
// tests/test_audit_page.py holds the two against each other. Eigenvalues and inverses: ml-matrix (MIT), beside this file.
// Nothing is sent anywhere. Not here, but in `psps-paper audit`: lists, rankings, p values, heterogeneity, prediction intervals.
(() => {
  "use strict";

  // ---------------------------------------------------------------- numbers (numbers.py)

  const SLACK = 0.6;
  const ROUNDED = 0.5 * (1 + 1e-6);
  const translate = (text, characters, to) => [...characters].reduce((all, one) => all.split(one).join(to), text);
  const spelling = (text) => {
    let out = translate(text, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d\u02d7", "-");
    out = translate(out, "\u00b7\u2219\u22c5\u2027\u2e31\u0387", ".");
    out = translate(out, "\u00a0\u2007\u2009\u200a\u202f\u2002\u2003", " ");
    return translate(out, "*\u2020\u2021\u00a7\u00b6#\u200b\ufeff\u2666\u25c6", "");
  };
  const NUMBER = "[-+]?(?:\\d+(?:\\.\\d+)?|\\.\\d+)";
  const BETWEEN = "\\s*(?:,|;|:|/|\\bto\\b|\\band\\b|\\.\\.\\.|\\u2026|-(?=\\s*[-+]?\\s*[\\d.])|\\s)\\s*";
  const LEAD = "(?:\\d\\d(?:\\.\\d+)?\\s*%\\s*)?(?:(?:CI|CrI|CrL|CL|HDI|PI|PrI)\\b\\s*:?\\s*)?(?:from\\s+)?";
  const ESTIMATE = `(?<estimate>(?:^-\\s+)?${NUMBER})\\s*%?\\s*[,;:]?\\s*[(\\[{]\\s*${LEAD}(?<lower>${NUMBER})\\s*%?${BETWEEN}(?<upper>${NUMBER})\\s*%?\\s*[)\\]}]`;
  const estimateOnce = new RegExp(ESTIMATE, "i");
  const BARE = new RegExp(`^(?<estimate>${NUMBER})\\s*[,;:]?\\s+${LEAD}(?<lower>${NUMBER})(?:\\s*(?:to|;|,)\\s*|\\s*-\\s*|\\s+)(?<upper>${NUMBER})$`, "i");
  const ALONE = new RegExp(`^\\s*(?:p\\s*)?[<>=\\u2264\\u2265~]?\\s*(?<value>${NUMBER})\\s*%?\\s*$`, "i");
  const NOTHING = new Set(["", ".", "-", "--", "---", "na", "n/a", "n.a.", "nr", "ne", "nan", "none", "null", "reference", "ref", "x"]);

  const decimalPoints = (text) => {
    const points = (part) => part.replace(/(?<=\d),(?=\d)/g, ".");
    if (/\d\.\d|(?<!\d)\.\d/.test(text) || !text.includes(",")) return text;
    const inside = /[(\[{](.*?)[)\]}]/.exec(text);
    if (!inside) return /\d,\d/.test(text) && !/\d,\d{3}(?!\d)/.test(text) ? points(text) : text;
    const parts = inside[1];
    const start = inside.index + 1;
    if (/^[^,]*\d,[-+]?\d+$/.test(parts) && !/;|\bto\b|\d\s*-\s*[-+]?\d/.test(parts)) return text;
    if (/^\s*[-+]?\d+,\d+\s*,\s*[-+]?\d+,\d+\s*$/.test(parts)) {
      const [a, b, c, d] = parts.split(",").map((part) => part.trim());
      return `${points(text.slice(0, start))}${a}.${b}, ${c}.${d}${text.slice(start + parts.length)}`;
    }
    return points(text);
  };

  const plain = (given) => {
    let text = given.replace(/(?<=[\d)\]])[\u00b9\u00b2\u00b3\u2070-\u2079\u1d43-\u1d4d]+/g, "");
    text = text.replace(/(?<![\d.])(\d{1,3})((?:[\u00a0\u2009\u202f]\d{3})+)(?!\d)/g, (found) => found.replace(/\D/g, ""));
    text = spelling(spelling(text).normalize("NFKC")).replaceAll("__", "").replaceAll("\u2264", "<").replaceAll("\u2265", ">");
    return decimalPoints(text).replace(/[ \t]+/g, " ").trim();
  };

  const toNumber = (text) => ({text, value: Number(text), decimals: (text.split(".")[1] ?? "").length});
  const ends = (number, slack) => {
    const half = slack * 10 ** -number.decimals;
    return [number.value - half, number.value + half];
  };
  const isNothing = (text) => NOTHING.has(plain(text).replace(/\s/g, "").toLowerCase());
  const readEstimate = (text) => {
    const spelled = plain(text);
    const found = estimateOnce.exec(spelled) ?? BARE.exec(spelled);
    if (!found) return null;
    const {estimate, lower, upper} = found.groups;
    return {estimate: toNumber(estimate.replace(/\s/g, "")), lower: toNumber(lower), upper: toNumber(upper), text: text.trim()};
  };

  // ---------------------------------------------------------------- pasted text (pasted.py)

  const TITLE = "pasted text";
  const EMPTY = /(?<!\S)(?:\.|NA|N\/A|NR|-{1,3}|\u2013|\u2014|\u2212)(?!\S)/g;
  const RULE = /^[\s|:+=-]*-{3,}[\s|:+=-]*$/;
  const clean = (text) => text.replace(/^[ ,;*]+|[ ,;*]+$/g, "");
  const grid = (rows, name, first, notes = []) => ({rows, name, first, notes});

  const splitLines = (text) => {
    const lines = text.split(/\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/);
    if (lines.at(-1) === "") lines.pop();
    return lines.map((line, k) => [k + 1, line.replace(/^\s*#>\s?/, "").trimEnd()]).filter(([, line]) => !(RULE.test(line) && line.trim()));
  };

  const divided = (lines) => {
    const holding = lines.map(([, line]) => line).filter((line) => estimateOnce.test(plain(line)));
    for (const separator of ["\t", "|", "  "]) {
      if (holding.filter((line) => line.includes(separator)).length * 2 <= holding.length) continue;
      const framed = separator === "|" && holding.every((line) => line.trimStart().startsWith("|"));
      const tables = [];
      for (const [number, line] of lines) {
        const cells = (separator === "  " ? line.split(/\s{2,}/) : (framed ? line.trim().replace(/^\|/, "").replace(/\|$/, "") : line).split(separator))
          .map((cell) => cell.trim().replace(/^\*+|\*+$/g, "").trim());
        if (cells.filter(Boolean).length < 2 && !(tables.length && tables.at(-1)[1].length)) continue;
        if (!cells.some(Boolean)) {
          tables.push([number + 1, []]);
          continue;
        }
        if (!tables.length) tables.push([number, []]);
        tables.at(-1)[1].push(cells);
      }
      const kept = tables.filter(([, rows]) => rows.some((row) => row.some((cell) => readEstimate(cell))));
      if (kept.some(([, rows]) => rows.some((row) => row.length > 1 && row.some((cell) => readEstimate(cell))))) return kept;
    }
    return null;
  };

  const labels = (given) => {
    const text = given.replace(/\(\s*[Nnk]\s*=[^()]*\)/g, " ");
    const tokens = [];
    let last = 0;
    for (const found of text.matchAll(EMPTY)) {
      const part = clean(text.slice(last, found.index));
      if (part) tokens.push(["label", part]);
      tokens.push(["nothing", ""]);
      last = found.index + found[0].length;
    }
    const rest = clean(text.slice(last));
    return rest ? [...tokens, ["label", rest]] : tokens;
  };

  const tokensOf = (line) => {
    const spelled = plain(line);
    const tokens = [];
    let last = 0;
    for (const found of spelled.matchAll(new RegExp(ESTIMATE, "gi"))) {
      tokens.push(...labels(spelled.slice(last, found.index)), ["estimate", found[0]]);
      last = found.index + found[0].length;
    }
    return [...tokens, ...labels(spelled.slice(last))];
  };

  const isHeading = (line, block) => {
    const spelled = line.trim();
    return /^(table|figure|fig\.?|panel|appendix|supplement\w*)\b|^\(?\d*[A-Z]?[.)]\s/i.test(spelled) || spelled.includes("(")
      || (!block.length && spelled.split(/\s+/).length > 5);
  };

  const blocksOf = (lines) => {
    const blocks = [];
    let [heading, block] = ["", []];
    for (const [number, line] of lines) {
      const tokens = line.trim() ? tokensOf(line) : [];
      if (!tokens.length) {
        if (block.length && !line.trim()) {
          blocks.push([heading, block]);
          [heading, block] = ["", []];
        }
        continue;
      }
      if (tokens.every(([kind]) => kind === "label") && isHeading(line, block)) {
        if (block.length) blocks.push([heading, block]);
        block = [];
        heading = line.trim();
        continue;
      }
      block.push([number, tokens]);
    }
    return block.length ? [...blocks, [heading, block]] : blocks;
  };

  const diagonalShape = (block) => {
    const found = block.map(([, tokens]) => tokens.flatMap(([kind], k) => (kind === "label" ? [k] : [])));
    const sizes = block.map(([, tokens]) => tokens.length);
    const n = block.length;
    if (n < 2 || found.some((places) => places.length !== 1)) return "";
    if (sizes.every((size) => size === n) && found.every((places, k) => places[0] === k)) return "full";
    if (found.every((places, k) => places[0] === k && sizes[k] === k + 1)) return "lower";
    return found.every((places, k) => places[0] === 0 && sizes[k] === n - k) ? "upper" : "";
  };

  const joined = (blocks) => {
    const out = [];
    for (const [heading, block] of blocks) {
      if (out.length && !heading && out.at(-1)[1].length === block.length) {
        const wide = out.at(-1)[1].map(([number, left], k) => [number, [...left, ...block[k][1]]]);
        if (diagonalShape(wide) === "full") {
          out[out.length - 1] = [out.at(-1)[0], wide];
          continue;
        }
      }
      out.push([heading, block]);
    }
    return out;
  };

  const square = (heading, block) => {
    const shape = diagonalShape(block);
    const n = block.length;
    const texts = block.map(([, tokens]) => tokens.map(([, text]) => text));
    const first = block[0][0];
    const blanks = (count) => Array(count).fill("");
    if (shape) {
      return grid(texts.map((row, k) => {
        const shift = shape === "upper" ? k : 0;
        return [...blanks(shift), ...row, ...blanks(n - shift - row.length)];
      }), heading, first);
    }
    const body = block[0][1].every(([kind]) => kind === "label") ? block.slice(1) : block;
    const named = body.every(([, tokens]) => tokens[0][0] === "label" && tokens.filter(([kind]) => kind === "label").length === 1);
    if (named && body.length >= 2 && body.every(([, tokens]) => tokens.length === body.length + 1)) {
      return grid([["", ...body.map(([, tokens]) => tokens[0][1])], ...body.map(([, tokens]) => tokens.map(([, text]) => text))], heading, first);
    }
    if (named && body.length >= 2 && body.every(([, tokens]) => tokens.length === 2)) throw new Error(LISTS);
    return null;
  };
  const LISTS = "pasted text: this looks like a list; the page reads league tables, `psps-paper audit` also reads lists";

  const stream = (heading, block) => {
    const first = block[0][0];
    let names = [];
    let gaps = [[]];
    for (const [kind, text] of block.flatMap(([, tokens]) => tokens)) {
      if (kind === "label") {
        names.push(text);
        gaps.push([]);
      } else gaps.at(-1).push(kind === "nothing" ? "" : text);
    }
    if (gaps.at(-1).length) [names, gaps] = [[...names, `treatment ${names.length + 1}`], [...gaps, []]];
    const n = names.length;
    if (n < 2 || gaps[0].length) {
      throw new Error(`${TITLE}, line ${first}: the cells cannot be given to rows and columns: ${n} names were found `
        + `(${names.slice(0, 5).join(", ")}); expected one name on the diagonal of each row, or cells apart by tabs`);
    }
    const rows = names.map((name, k) => names.map((_, j) => (j === k ? name : "")));
    const upperOnly = n > 2 && gaps.slice(1).every((gap, k) => gap.length === n - 1 - k);
    const unread = [];
    for (let k = 0; k < n; k += 1) {
      const gap = gaps[k + 1];
      if (upperOnly) {
        rows[k].splice(k + 1, gap.length, ...gap);
        continue;
      }
      const [below, right] = [k + 1 < n ? k + 1 : 0, n - 1 - k];
      if (gap.length === below + right) rows[k].splice(k + 1, right, ...gap.slice(0, right));
      else if (gap.length < below || gap.length > below + right) {
        throw new Error(`${TITLE}, line ${first}: ${gap.length} cells follow the name '${names[k]}'; expected ${right} to its right and ${below} `
          + "in the next row; write the table with tabs between its cells");
      } else unread.push(...gap.slice(0, gap.length - below));
      if (below) rows[k + 1].splice(0, k + 1, ...gap.slice(gap.length - below));
    }
    const notes = unread.length ? [`Empty cells left no trace, so the columns of ${unread.join(", ")} are not known; these cells are not read.`] : [];
    return grid(rows, heading, first, notes);
  };

  const readPasted = (text) => {
    const lines = splitLines(text);
    if (!lines.some(([, line]) => estimateOnce.test(plain(line)))) {
      const first = (lines.find(([, line]) => line.trim()) ?? [0, ""])[1];
      throw new Error(`${TITLE}: no estimate with its interval, such as 0.45 (0.14, 0.76), was found; the text begins '${first.slice(0, 60)}'`);
    }
    const apart = divided(lines);
    if (apart) return apart.map(([first, rows]) => grid(rows, "", first));
    return joined(blocksOf(lines)).map(([heading, block]) => square(heading, block) ?? stream(heading, block));
  };

  // ---------------------------------------------------------------- league tables (layout.py)

  const EXPECTED = "an estimate with its interval, such as 0.45 (0.14, 0.76), or nothing";
  const RANK = /^[\W_]*rank\s*#?\s*\d+[\W_]*$/i;
  const BEGINS = /^[-+]?\d*\.?\d+\s*[(\[]/;
  const key = (label) => {
    const spelled = plain(label).replace(/\s+/g, " ").toLowerCase();
    return spelled.replace(/[^\p{L}\p{N}_+./&-]+/gu, "") || spelled;
  };
  const kindOf = (cell) => (isNothing(cell) ? "nothing" : readEstimate(cell) ? "estimate" : ALONE.test(plain(cell)) ? "number" : "text");
  const place = (table, row, column) => `row ${row + table.first}, column ${column + 1}`;
  const fault = (table, row, column, text) => new Error(`${TITLE}, ${place(table, row, column)}: '${table.rows[row][column].trim().slice(0, 80)}' ${text}`);

  const merged = (first, second) => {
    const names = new Map([...second, ...first].map((label) => [key(label), label]));
    const after = new Map([...names.keys()].map((name) => [name, new Set()]));
    for (const list of [first, second]) for (let k = 1; k < list.length; k += 1) after.get(key(list[k])).add(key(list[k - 1]));
    let left = [...new Set([...first, ...second].map(key))];
    const ordered = [];
    while (left.length) {
      const next = left.find((name) => [...after.get(name)].every((before) => ordered.includes(before))) ?? left[0];
      ordered.push(next);
      left = left.filter((name) => name !== next);
    }
    return ordered.map((name) => names.get(name));
  };

  const tripleAt = (table, row, column) => {
    const text = table.rows[row][column];
    const triple = readEstimate(text);
    if (triple) return triple;
    const spelled = plain(text);
    const alone = ALONE.exec(spelled);
    const numbers = spelled.match(/[-+]?\d+(?:\.\d+)?/g);
    const inside = /^(\S+)\s*[(\[]([^()[\]]*)[)\]]/.exec(spelled);
    const hint = alone ? `would be read as ${Number(alone.groups.value)} without limits`
      : inside && ALONE.test(inside[1]) && ALONE.test(inside[2]) ? `would be read as ${inside[1]} with one number ${inside[2]} (standard error?), not two limits`
      : numbers ? `would be read as the numbers ${numbers.join(", ")}` : "holds no number";
    throw fault(table, row, column, `is not ${EXPECTED}; it ${hint}`);
  };

  const league = (table, rows, columns, rowNames, columnNames) => {
    const treatments = merged(rowNames, columnNames);
    const position = new Map(treatments.map((label, k) => [key(label), k]));
    const cells = [];
    let misplaced = [];
    rows.forEach((row, r) => columns.forEach((column, c) => {
      const text = table.rows[row][column];
      const [here, there] = [position.get(key(rowNames[r])), position.get(key(columnNames[c]))];
      if (here === there) {
        if (readEstimate(text)) misplaced.push([treatments[here], text.trim(), place(table, row, column)]);
        return;
      }
      if (isNothing(text) || RANK.test(plain(text)) || position.has(key(text))) return;
      cells.push({treat1: treatments[here], treat2: treatments[there], area: here > there ? "lower" : "upper",
        triple: tripleAt(table, row, column), where: place(table, row, column)});
    }));
    if (!cells.length) throw new Error(`${TITLE}: no cell holds ${EXPECTED}`);
    const notes = [...table.notes];
    if (misplaced.length === treatments.length) {
      notes.push("The numbers on the diagonal are not read: a comparison of a treatment with itself says nothing.");
      misplaced = [];
    }
    return {name: table.name, treatments, cells, notes, misplaced};
  };

  const readGrid = (given) => {
    const width = Math.max(...given.rows.map((row) => row.length));
    const table = {...given, rows: given.rows.map((row) => [...row, ...Array(width - row.length).fill("")])};
    const body = table.rows.flatMap((row, k) => (row.some((cell) => cell.trim()) ? [k] : []));
    const kinds = table.rows.map((row) => row.map(kindOf));
    const columns = [...Array(width).keys()];
    if (body.length === width && width >= 2 && body.every((row, k) => kinds[row][k] === "text" && !RANK.test(table.rows[row][k]))
      && body.every((row, k) => columns.every((c) => c === k || kinds[row][c] !== "text" || BEGINS.test(plain(table.rows[row][c]))))) {
      const names = body.map((row, k) => table.rows[row][k].trim());
      return league(table, body, columns, names, names);
    }
    const [head, ...rows] = body;
    const holding = columns.filter((c) => rows.some((row) => kinds[row][c] === "estimate"));
    if (!rows.length || !holding.length || kinds[head].includes("estimate")) throw new Error(LISTS);
    const names = table.rows[head].map((cell) => cell.trim());
    const shared = new Set(names.filter(Boolean).map(key));
    const candidates = columns.filter((c) => c <= holding[0] && rows.every((row) => kinds[row][c] !== "estimate"));
    if (!candidates.length) throw new Error(LISTS);
    const overlap = (c) => new Set(rows.map((row) => key(table.rows[row][c])).filter((name) => shared.has(name))).size;
    const labelColumn = candidates.reduce((best, c) => (overlap(c) > overlap(best) ? c : best));
    const byPosition = rows.length === width - labelColumn - 1 && rows.length >= 3 && rows.every((row, k) => kinds[row][labelColumn + 1 + k] !== "estimate");
    if (!overlap(labelColumn) && !byPosition) throw new Error(LISTS);
    if (rows.some((row) => table.rows[row].slice(0, labelColumn).some((cell) => cell.trim()))) throw new Error(`${TITLE}: several panels in one table; paste them one by one`);
    const over = columns.filter((c) => c > labelColumn && names[c]);
    const rowNames = rows.map((row) => table.rows[row][labelColumn].trim());
    const missing = rows.find((row) => !table.rows[row][labelColumn].trim());
    if (missing !== undefined) throw fault(table, missing, labelColumn, "is empty; expected the name of a treatment");
    return headed(table, rows, over, rowNames, over.map((c) => names[c]));
  };

  const headed = (table, rows, over, rowNames, columnNames) => {
    const twice = rowNames.find((name, k) => rowNames.findIndex((other) => key(other) === key(name)) < k);
    if (twice !== undefined) throw new Error(`${TITLE}: two rows are named '${twice}'; expected each once`);
    const [inRows, inColumns] = [new Set(rowNames.map(key)), new Set(columnNames.map(key))];
    const extraRows = rowNames.filter((name) => !inColumns.has(key(name)));
    const extraColumns = columnNames.filter((name) => !inRows.has(key(name)));
    const notes = [...table.notes];
    if (extraRows.length && extraColumns.length && Math.max(extraRows.length, extraColumns.length) > 1) {
      if (rowNames.length !== columnNames.length || extraRows.length < rowNames.length) {
        throw new Error(`${TITLE}: the table is not square: ${rowNames.length} rows and ${columnNames.length} columns; `
          + `no column is named ${extraRows.slice(0, 4).join(", ")}, no row ${extraColumns.slice(0, 4).join(", ")}; expected the same names in both`);
      }
      notes.push(`Names of rows and columns differ (${extraRows[0]}, ${extraColumns[0]}); columns are read in the order of the rows.`);
      return league({...table, notes}, rows, over, rowNames, rowNames);
    }
    if (Math.max(extraRows.length, extraColumns.length) > 1) {
      throw new Error(`${TITLE}: the table is not square: no ${extraRows.length ? "column" : "row"} is named `
        + `${(extraRows.length ? extraRows : extraColumns).slice(0, 4).join(", ")}; expected the same names in both`);
    }
    return league({...table, notes}, rows, over, rowNames, columnNames);
  };

  // ---------------------------------------------------------------- one cell (cells.py)

  const Z = 1.959963984540054;
  const [USUAL_OFFSET, RARE_OFFSET] = [0.25, 0.7];
  const overlaps = (low1, high1, low2, high2) => {
    const finite = [low1, high1, low2, high2].filter(Number.isFinite).map(Math.abs);
    return Math.max(low1, low2) <= Math.min(high1, high2) + 1e-9 * Math.max(finite.length ? Math.max(...finite) : 1, 1e-3);
  };
  const bounds = (number, scale, slack = SLACK) => ends(number, slack).map((end) => (scale === "ratio" ? (end > 0 ? Math.log(end) : -Infinity) : end));

  const narrowed = (one, [l0, l1], [u0, u1]) => {
    const low = Math.max(one.seLow, (u0 - one.teHigh) / Z, (one.teLow - l1) / Z, 0);
    const high = Math.min(one.seHigh, (u1 - one.teLow) / Z, (one.teHigh - l0) / Z);
    return {...one, seLow: low, seHigh: Math.max(low, high)};
  };

  const intervalOf = (cell, scale, slack = SLACK) => {
    const [e0, e1] = bounds(cell.triple.estimate, scale, slack);
    const [l0, l1] = bounds(cell.triple.lower, scale, slack);
    const [u0, u1] = bounds(cell.triple.upper, scale, slack);
    const ordered = l0 <= u1 && l0 <= e1 && e0 <= u1;
    const [m0, m1] = [(l0 + u0) / 2, (l1 + u1) / 2];
    const [seLow, seHigh] = [Math.max((u0 - l1) / (2 * Z), 0), (u1 - l0) / (2 * Z)];
    const middle = ordered && overlaps(e0, e1, m0, m1);
    if (!middle) {
      const width = (u0 + u1 - (l0 + l1)) / (4 * Z);
      const offset = Number.isFinite(width) && width ? Math.max(m0 - e1, e0 - m1) / Math.abs(width) : Infinity;
      return {teLow: e0, teHigh: e1, seLow, seHigh: Math.max(seHigh, seLow), middle, ordered, offset};
    }
    let [t0, t1] = [Math.max(e0, m0), Math.min(e1, m1)];
    if (t0 > t1) t0 = t1 = (t0 + t1) / 2;
    return narrowed({teLow: t0, teHigh: t1, seLow, seHigh, middle, ordered, offset: 0}, [l0, l1], [u0, u1]);
  };

  const shortG = (value, digits) => {  // as Python's g
    if (!Number.isFinite(value)) return value > 0 ? "inf" : Number.isNaN(value) ? "nan" : "-inf";
    const text = value.toPrecision(digits);
    const exponent = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(Number(text))));
    if (exponent < -4 || exponent >= digits) {
      const [mantissa, power] = value.toExponential(digits - 1).split("e");
      return `${Number(mantissa)}e${power[0]}${power.slice(1).padStart(2, "0")}`;
    }
    return String(Number(text));
  };

  const turned = (number) => ({...number, value: -number.value});
  const restored = (cell, scale) => {
    if (scale === "ratio") return "";
    const ways = [["estimate", ["estimate"]], ["lower limit", ["lower"]], ["upper limit", ["upper"]],
      ["estimate and lower limit", ["estimate", "lower"]], ["limits", ["lower", "upper"]]];
    const way = ways.find(([, parts]) => {
      const triple = {...cell.triple};
      for (const part of parts) triple[part] = turned(triple[part]);
      return intervalOf({...cell, triple}, scale).middle;
    });
    return way ? `the ${way[0]} of opposite sign` : "";
  };
  const minusQuestion = (cell, scale, otherwise) => {
    const way = restored(cell, scale);
    return way ? `with ${way} it would be in the middle: did a minus sign get lost in copying?` : otherwise;
  };

  const meanOfLogNormal = (cell) => {
    const [[l0, l1], [u0, u1], [e0, e1]] = ["lower", "upper", "estimate"].map((part) => bounds(cell.triple[part], "ratio"));
    const [s0, s1] = [Math.max(u0 - l1, 0) / (2 * Z), (u1 - l0) / (2 * Z)];
    return Number.isFinite(l0) && overlaps(e0, e1, (l0 + u0) / 2 + s0 ** 2 / 2, (l1 + u1) / 2 + s1 ** 2 / 2);
  };

  const limitFinding = (network, cell, one, alone, label) => {
    const {scale} = network;
    const back = (value) => (scale === "ratio" ? Math.exp(value) : value);
    const [[l0, l1], [u0, u1]] = ["lower", "upper"].map((part) => bounds(cell.triple[part], scale));
    const prefix = [network.name, label].filter(Boolean).join(": ");
    const finding = (verdict, why) => ({check: "interval", where: `${prefix}: ${cell.treat1} vs ${cell.treat2} (${cell.where})`, printed: cell.triple.text,
      lower: back((l0 + u0) / 2), upper: back((l1 + u1) / 2), verdict, why, cells: [[cell.treat1, cell.treat2]]});
    if (!one.ordered) {
      if (ends(cell.triple.lower, SLACK)[0] > ends(cell.triple.upper, SLACK)[1]) {
        return finding("clash", `The lower limit is above the upper one; ${minusQuestion(cell, scale, "are the two in the wrong places?")}`);
      }
      return finding("clash", `The estimate is outside its interval; ${minusQuestion(cell, scale, "is one of the three numbers another?")}`);
    }
    if (one.middle) return finding("holds", `The estimate is the middle of its interval on ${scale === "ratio" ? "the logarithmic scale" : "its scale"}, within rounding.`);
    const off = `The estimate sits at least ${shortG(one.offset, 2)} standard errors off the middle of its interval`;
    const way = restored(cell, scale);
    if (alone && way) return finding("clash", `${off}, all other cells in theirs; with ${way} it would be there: did a minus sign get lost, or come in?`);
    if (scale === "ratio" && meanOfLogNormal(cell)) return finding("explained", `${off}, where the mean of a log-normal distribution lies (posterior mean of a ratio).`);
    if (network.framework === "bayesian") return finding(one.offset <= RARE_OFFSET ? "explained" : "cannot tell", `${off}; a posterior need not be symmetric.`);
    if (one.offset <= USUAL_OFFSET) return finding("explained", `${off}; posterior medians, adjusted models and likelihood intervals do that.`);
    return finding("cannot tell", `${off}; rare events or another method could do that; is a digit of it another?`);
  };

  const limitFindings = (network, cells, label) => {
    const found = cells.map((cell) => intervalOf(cell, network.scale));
    const symmetric = found.filter((one) => one.middle).length;
    const others = cells.length - 1;
    return cells.map((cell, k) => limitFinding(network, cell, found[k], others >= 3 && symmetric >= others && !found[k].middle, label));
  };

  // ---------------------------------------------------------------- closing (closure.py)

  const filled = (n, value) => Array.from({length: n}, () => Array(n).fill(value));
  const largestFinite = (matrix) => Math.max(1e-3, ...matrix.flat().filter(Number.isFinite).map(Math.abs));

  const tightened = (high) => {
    const n = high.length;
    const distance = high.map((row, i) => row.map((value, j) => (i === j ? 0 : value)));
    for (let k = 0; k < n; k += 1) for (let i = 0; i < n; i += 1) for (let j = 0; j < n; j += 1) {
      distance[i][j] = Math.min(distance[i][j], distance[i][k] + distance[k][j]);
    }
    return Math.min(...distance.map((row, i) => row[i])) < -1e-9 * largestFinite(high) ? null : distance;
  };
  const feasible = (high) => tightened(high) !== null;

  const smallestCycle = (high) => {
    const n = high.length;
    const step = high.map((row, i) => row.map((value, j) => (i === j ? Infinity : value)));
    const size = largestFinite(step);
    let walk = step;
    const parents = [];
    for (let edges = 2; edges <= n; edges += 1) {
      const [next, parent] = [filled(n, Infinity), filled(n, 0)];
      for (let i = 0; i < n; i += 1) for (let j = 0; j < n; j += 1) for (let m = 0; m < n; m += 1) {
        const length = walk[i][m] + step[m][j];
        if (length < next[i][j]) [next[i][j], parent[i][j]] = [length, m];
      }
      walk = next;
      parents.push(parent);
      const diagonal = walk.map((row, i) => row[i]);
      const least = Math.min(...diagonal);
      if (least < -1e-9 * size) {
        const start = diagonal.indexOf(least);
        const cycle = [start];
        let node = start;
        for (const one of [...parents].reverse()) {
          node = one[start][node];
          cycle.push(node);
        }
        return [start, ...cycle.slice(1).reverse()];
      }
    }
    return [];
  };

  const repairs = (high, pairs) => {
    const [inverted, leftOut] = [[], []];
    for (const [i, j] of pairs) {
      const changed = high.map((row) => [...row]);
      changed[i][j] = changed[j][i] = Infinity;
      if (!feasible(changed)) continue;
      leftOut.push([i, j]);
      [changed[i][j], changed[j][i]] = [high[j][i], high[i][j]];
      if (feasible(changed)) inverted.push([i, j]);
    }
    return [inverted, leftOut];
  };

  // ---------------------------------------------------------------- tables as wholes (network_checks.py)

  const [DRAWS, MEANS, CUT] = [0.06, 0.4, 1.0];
  const plainFinding = (check, where, printed, verdict, why, cells = []) => ({check, where, printed, lower: NaN, upper: NaN, verdict, why, cells});
  const pairKey = (cell) => [cell.treat1, cell.treat2].sort().join("\u0000");
  const byPair = (cells) => new Map(cells.map((cell) => [pairKey(cell), cell]));
  const turnedCell = (cell) => ({...cell, treat1: cell.treat2, treat2: cell.treat1});
  const sentence = (items) => (items.length === 1 ? items[0] : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`);

  const apart = (network, first, second, draws = 0) => {
    const reverse = first.treat1 !== second.treat1;
    const names = [["estimate", "estimate", "estimate"], ["lower limit", "lower", reverse ? "upper" : "lower"], ["upper limit", "upper", reverse ? "lower" : "upper"]];
    const extra = draws ? draws * intervalOf(first, network.scale).seHigh : 0;
    return names.filter(([, mine, theirs]) => {
      const [low1, high1] = bounds(first.triple[mine], network.scale);
      let [low2, high2] = bounds(second.triple[theirs], network.scale);
      if (reverse) [low2, high2] = [-high2, -low2];
      return !overlaps(low1 - extra, high1 + extra, low2, high2);
    }).map(([name]) => name);
  };

  const relation = (network, lower, upper) => {
    const below = byPair(lower);
    const pairs = upper.filter((cell) => below.has(pairKey(cell))).map((cell) => [below.get(pairKey(cell)), cell]);
    const [same, opposite] = [false, true].map((turn) => pairs.filter(([first, second]) => !apart(network, first, turn ? turnedCell(second) : second).length).length);
    return {turn: opposite > same, matched: Math.max(same, opposite), pairs: pairs.length};
  };

  const estimateBounds = (network, cells, slack = SLACK, draws = 0) => {
    const names = network.treatments.filter((label) => cells.some((cell) => label === cell.treat1 || label === cell.treat2));
    const position = new Map(names.map((label, k) => [label, k]));
    const high = filled(names.length, Infinity);
    for (const cell of cells) {
      const [i, j] = [position.get(cell.treat1), position.get(cell.treat2)];
      let [low, top] = bounds(cell.triple.estimate, network.scale, slack);
      if (draws) {
        const extra = draws * intervalOf(cell, network.scale, slack).seHigh;
        [low, top] = [low - extra, top + extra];
      }
      if (Math.max(low, -high[j][i]) <= Math.min(top, high[i][j])) {
        [high[i][j], high[j][i]] = [Math.min(top, high[i][j]), Math.min(-low, high[j][i])];
      }
    }
    names.forEach((_, k) => { high[k][k] = 0; });
    return high;
  };

  const areasOf = (network) => ["lower", "upper"].map((area) => network.cells.filter((cell) => cell.area === area));

  const withScale = (network) => {
    const {cells, name} = network;
    const negative = cells.filter((cell) => Math.min(cell.triple.estimate.value, cell.triple.lower.value, cell.triple.upper.value) < 0);
    const mixed = (cell, why) => new Error(`${name}, ${cell.where}: '${cell.triple.text}' is negative, but ${why}; expected one scale; it would be read as a difference`);
    if (network.scale === "ratio" && negative.length) throw mixed(negative[0], "the measure is a ratio");
    if (network.scale) return [network, []];
    const inferred = (scale, why) => [{...network, scale}, [plainFinding("scale", name, scale, "holds", `Read as ${scale}s: ${why}.`)]];
    const fits = (scale, some) => some.filter((cell) => intervalOf(cell, scale).middle).length;
    if (negative.length) {
      const others = cells.filter((cell) => !negative.includes(cell));
      if (negative.length <= 2 && others.length >= 3 && fits("ratio", others) === others.length && fits("difference", others) < others.length) {
        throw mixed(negative[0], "the intervals of all other cells are symmetric as ratios");
      }
      return inferred("difference", `${negative.length} of ${cells.length} cells have negative numbers`);
    }
    const [ratio, difference] = [fits("ratio", cells), fits("difference", cells)];
    if (ratio > difference && ratio >= 0.8 * cells.length) {
      return inferred("ratio", `no number is negative, and ${ratio} of ${cells.length} estimates are the geometric middle of their interval, ${difference} the arithmetic one`);
    }
    if (difference > ratio && difference >= 0.8 * cells.length) {
      return inferred("difference", `${difference} of ${cells.length} estimates are the middle of their interval, ${ratio} the geometric one`);
    }
    const [lower, upper] = areasOf(network);
    const decide = (test, why) => {
      const [asRatio, asDifference] = ["ratio", "difference"].map((scale) => test({...network, scale}));
      if (asRatio === asDifference) return null;
      const scale = asRatio ? "ratio" : "difference";
      return inferred(scale, why(scale));
    };
    const mirrored = (one) => {
      if (!lower.length || !upper.length) return false;
      const found = relation(one, lower, upper);
      return !found.turn && found.pairs > 0 && 2 * found.matched >= found.pairs;
    };
    return decide(mirrored, (scale) => `the two triangles mirror each other as ${scale}s`)
      ?? decide((one) => [lower, upper].every((area) => !area.length || feasible(estimateBounds(one, area))), (scale) => `the table closes only as ${scale}s`)
      ?? [network, [plainFinding("scale", name, "", "cannot tell", "Ratios or differences? The numbers fit either; please state the measure.")]];
  };

  const mirrorFindings = (network, lower, upper) => {
    const below = byPair(lower);
    return upper.filter((cell) => below.has(pairKey(cell))).map((cell) => {
      const first = below.get(pairKey(cell));
      const differing = apart(network, first, cell);
      const finding = (verdict, why) => plainFinding("mirrored triangles", `${network.name}: ${first.treat1} vs ${first.treat2} (${first.where}; ${cell.where})`,
        `${first.triple.text}; ${cell.triple.text}`, verdict, why, [[first.treat1, first.treat2]]);
      if (!differing.length) return finding("holds", "The two cells are one comparison, within rounding.");
      if (!apart(network, first, cell, DRAWS).length) return finding("explained", "The two agree within the simulation error of posterior draws.");
      return finding("clash", `The two cells of this comparison differ in ${sentence(differing)}; which one is meant?`);
    });
  };

  const exchanged = (network, lower, upper) => {
    if (!lower.length || lower.length !== upper.length || network.treatments.length > 8) return null;
    const id = (a, b) => `${a}\u0000${b}`;
    const all = [...lower, ...upper];
    const {treatments} = network;
    for (let a = 0; a < treatments.length; a += 1) for (let b = a + 1; b < treatments.length; b += 1) {
      const [first, second] = [treatments[a], treatments[b]];
      const moved = new Map();
      for (const cell of all) {
        const other = cell.treat1 === first ? second : cell.treat1 === second ? first : cell.treat1;
        const [row, column] = other === cell.treat2 ? [other, cell.treat1] : [other, cell.treat2];
        moved.set(id(row, column), {...cell, treat1: row, treat2: column});
      }
      if (moved.size === all.length && [...moved.values()].every((cell) => moved.has(id(cell.treat2, cell.treat1))
        && !apart(network, cell, moved.get(id(cell.treat2, cell.treat1))).length)) return [first, second];
    }
    return null;
  };

  const readAs = (area) => ` Row versus column, or column versus row? The ${area} triangle is read as row versus column. Only which treatments are better depends on it.`;

  const arrange = (network) => {
    const [lower, upper] = areasOf(network);
    const {name} = network;
    if (!lower.length || !upper.length) {
      const cells = [...lower, ...upper];
      return [[{network, label: "", cells, direct: []}], [plainFinding("orientation", name, "", "cannot tell",
        "Row versus column, or column versus row? One triangle alone does not say; it is read as row versus column. Only which treatments are better depends on it.")]];
    }
    const found = relation(network, lower, upper);
    if (found.pairs && 2 * found.matched >= found.pairs) {
      const read = found.turn ? upper.map(turnedCell) : upper;
      const way = found.turn ? "the same signs: one triangle is row versus column, the other column versus row" : "opposite signs: both are read the same way";
      const finding = plainFinding("orientation", name, "", "holds", `The two triangles hold the same comparisons with ${way}.${readAs("lower")}`);
      return [[{network, label: "", cells: [...lower, ...read], direct: []}], [finding, ...mirrorFindings(network, lower, read)]];
    }
    return twoContents(network, lower, upper);
  };

  const twoContents = (network, lower, upper) => {
    const {name} = network;
    const n = network.treatments.length;
    const rows = exchanged(network, lower, upper);
    if (rows) {
      return [[{network, label: "", cells: lower, direct: []}], [plainFinding("mirrored triangles", name, "", "clash",
        `With the rows of ${rows[0]} and ${rows[1]} exchanged, the two triangles would mirror each other; are these rows in each other's place?`, [rows])]];
    }
    const sides = {lower: {area: "lower", cells: lower}, upper: {area: "upper", cells: upper}};
    for (const side of Object.values(sides)) {
      side.complete = side.cells.length === (n * (n - 1)) / 2;
      side.closes = feasible(estimateBounds(network, side.cells));
    }
    if (n >= 3 && Object.values(sides).every((side) => side.complete && side.closes)) {
      const finding = plainFinding("orientation", name, "", "cannot tell",
        "The two triangles hold different estimates that close each by itself: two outcomes, or network and direct estimates? They are checked apart." + readAs("lower"));
      return [[{network, label: "lower triangle", cells: lower, direct: []}, {network, label: "upper triangle", cells: upper, direct: []}], [finding]];
    }
    const rank = (side) => 2 * side.complete + side.closes;
    const [first, second] = rank(sides.upper) > rank(sides.lower) ? [sides.upper, sides.lower] : [sides.lower, sides.upper];
    const middle = network.scale === "ratio" ? 1 : 0;
    const of = byPair(first.cells);
    let agree = 0;
    for (const cell of second.cells) {
      const other = of.get(pairKey(cell));
      if (other) agree += Math.sign(cell.triple.estimate.value - middle) * Math.sign(other.triple.estimate.value - middle) * (other.treat1 === cell.treat1 ? 1 : -1);
    }
    const direct = agree < 0 ? second.cells.map(turnedCell) : second.cells;
    const closing = second.closes ? "" : ", and they do not close, as direct estimates need not";
    let otherwise = "If they are another outcome, please say so.";
    if (second.complete && !second.closes) {
      const why = consistencyFindings({network, label: "", cells: direct})[0].why;
      otherwise = `If they are another outcome, they clash: ${why[0].toLowerCase()}${why.slice(1)}`;
    }
    const finding = plainFinding("orientation", name, "", second.complete ? "cannot tell" : "holds",
      `The ${second.area} triangle holds other estimates than the ${first.area} one${closing}; they are taken as direct estimates. ${otherwise}${readAs(first.area)}`);
    return [[{network, label: "", cells: first.cells, direct}], [finding]];
  };

  const consistencyFindings = ({network, label, cells}) => {
    const names = network.treatments.filter((one) => cells.some((cell) => one === cell.treat1 || one === cell.treat2));
    const pairs = new Set(cells.map(pairKey)).size;
    if (pairs < names.length) return [];
    const where = [network.name, label].filter(Boolean).join(": ");
    const printed = `${pairs} comparisons of ${names.length} treatments`;
    const high = estimateBounds(network, cells);
    if (feasible(high)) return [plainFinding("consistency", where, printed, "holds", "One vector of effects gives every cell, within rounding.")];
    if (feasible(estimateBounds(network, cells, SLACK, DRAWS))) {
      return [plainFinding("consistency", where, printed, "explained", `The cells close within ${DRAWS} standard errors, as medians of posterior draws do.`)];
    }
    if (feasible(estimateBounds(network, cells, CUT))) {
      return [plainFinding("consistency", where, printed, "explained", "The cells close if numbers were cut off instead of rounded, or rounded twice.")];
    }
    const cycle = smallestCycle(high);
    const steps = cycle.map((i, k) => [i, cycle[(k + 1) % cycle.length]]);
    const cellOf = ([i, j]) => cells.find((cell) => [names[i], names[j]].includes(cell.treat1) && [names[i], names[j]].includes(cell.treat2));
    const text = steps.map(cellOf).map((cell) => `${cell.treat1} vs ${cell.treat2} ${cell.triple.text} (${cell.where})`).join("; ");
    const marks = steps.map(([i, j]) => [names[i], names[j]]);
    const symmetric = cells.every((cell) => intervalOf(cell, network.scale).middle);
    if (network.scale === "ratio" && !symmetric && feasible(estimateBounds(network, cells, SLACK, MEANS))) {
      return [plainFinding("consistency", where, text, "cannot tell",
        `The cells close within ${MEANS} standard errors only, as posterior means of ratios do; are these means?`, marks)];
    }
    const [inverted, leftOut] = repairs(high, steps);
    const named = (pair) => `${cellOf(pair).treat1} vs ${cellOf(pair).treat2} ${cellOf(pair).triple.text}`;
    const size = `These ${steps.length} cells cannot come from one vector of effects`;
    const why = inverted.length ? `${size}; turned round, ${inverted.map(named).join(" or ")} would close with all others: is it printed the other way round?`
      : leftOut.length ? `${size}; without ${leftOut.map(named).join(" or ")} all others close: is this cell another?`
        : `${size}, and no single cell turned round or left out makes all others close; are rows or names exchanged?`;
    // What the other steps leave for the last, in the direction of its cell
    const [last, start] = steps[steps.length - 1];
    const others = steps.slice(0, -1);
    const path = cellOf([last, start]).treat1 === names[start] ? others : others.map(([i, j]) => [j, i]);
    const back = (value) => (network.scale === "ratio" ? Math.exp(value) : value);
    const sum = (value) => back(path.reduce((total, step) => total + value(step), 0));
    return [{check: "consistency", where, printed: text, lower: sum(([i, j]) => -high[j][i]), upper: sum(([i, j]) => high[i][j]), verdict: "clash", why, cells: marks}];
  };

  // ---------------------------------------------------------------- matrices of bounds (square.py)

  const makeSquare = ({network, cells}, slack = SLACK, seSlack = 0) => {
    const treatments = network.treatments.filter((label) => cells.some((cell) => label === cell.treat1 || label === cell.treat2));
    const position = new Map(treatments.map((label, k) => [label, k]));
    const n = treatments.length;
    const [teHigh, seLow, seHigh, printed] = [filled(n, Infinity), filled(n, 0), filled(n, Infinity), filled(n, false)];
    const kept = [];
    let symmetric = true;
    for (const cell of cells) {
      const [i, j] = [position.get(cell.treat1), position.get(cell.treat2)];
      const one = intervalOf(cell, network.scale, slack);
      symmetric = symmetric && one.middle;
      let [low, high] = one.middle ? [one.teLow, one.teHigh] : bounds(cell.triple.estimate, network.scale, slack);
      let [s0, s1] = [one.seLow * (1 - seSlack), one.seHigh * (1 + seSlack)];
      if (printed[i][j] && Math.max(low, -teHigh[j][i]) <= Math.min(high, teHigh[i][j])) {
        [low, high] = [Math.max(low, -teHigh[j][i]), Math.min(high, teHigh[i][j])];
      } else if (printed[i][j]) continue;
      if (Math.max(s0, seLow[i][j]) <= Math.min(s1, seHigh[i][j])) [s0, s1] = [Math.max(s0, seLow[i][j]), Math.min(s1, seHigh[i][j])];
      [teHigh[i][j], teHigh[j][i]] = [high, -low];
      seLow[i][j] = seLow[j][i] = s0;
      seHigh[i][j] = seHigh[j][i] = s1;
      printed[i][j] = printed[j][i] = true;
      kept.push(cell);
    }
    for (let k = 0; k < n; k += 1) teHigh[k][k] = seLow[k][k] = seHigh[k][k] = 0;
    return {treatments, teHigh, seLow, seHigh, printed, cells: kept, symmetric, count: printed.flat().filter(Boolean).length / 2};
  };

  const closed = (network, box, slack = SLACK) => {
    const high = tightened(box.teHigh);
    if (!high) return null;
    const position = new Map(box.treatments.map((label, k) => [label, k]));
    const [seLow, seHigh] = [box.seLow.map((row) => [...row]), box.seHigh.map((row) => [...row])];
    for (const cell of box.cells) {
      const [i, j] = [position.get(cell.treat1), position.get(cell.treat2)];
      const one = narrowed({teLow: -high[j][i], teHigh: high[i][j], seLow: seLow[i][j], seHigh: seHigh[i][j]},
        bounds(cell.triple.lower, network.scale, slack), bounds(cell.triple.upper, network.scale, slack));
      seLow[i][j] = seLow[j][i] = one.seLow;
      seHigh[i][j] = seHigh[j][i] = one.seHigh;
    }
    return {...box, teHigh: high, seLow, seHigh};
  };

  // ---------------------------------------------------------------- one covariance (covariance.py)

  const squares = (matrix) => matrix.map((row) => row.map((value) => value ** 2));

  const proofOf = (x, low, high) => {
    const n = x.length;
    const largest = Math.max(...x.map(Math.abs));
    let best = null;
    for (const share of [0, 0.02, 0.05, 0.1, 0.2]) {
      let kept = x.map((value) => (Math.abs(value) >= share * largest ? value : 0));
      const used = kept.map((value) => value !== 0);
      const count = used.filter(Boolean).length;
      if (count < 3) break;
      const mean = kept.reduce((a, b) => a + b, 0) / count;
      kept = kept.map((value, k) => (used[k] ? value - mean : 0));
      let [smallest, size] = [0, 0];
      for (let i = 0; i < n; i += 1) for (let j = 0; j < n; j += 1) {
        const product = kept[i] * kept[j];
        smallest += product * (product > 0 ? low[i][j] : high[i][j]);
        size += Math.abs(product) * low[i][j];
      }
      if (smallest > 1e-9 * size) {
        const most = Math.max(...kept.map(Math.abs));
        best = {exists: false, weights: kept.map((value) => value / most), violation: smallest / size};
      }
    }
    return best;
  };

  const covarianceExists = (low, high) => {
    const n = low.length;
    if (n < 3) return {exists: true};
    const finite = high.flat().filter(Number.isFinite);
    const bounded = high.map((row) => row.map((value) => (Number.isFinite(value) ? value : 4 * Math.max(1, ...finite) * n)));
    let current = low.map((row, i) => row.map((value, j) => (Number.isFinite(high[i][j]) ? (value + bounded[i][j]) / 2 : value)));
    const scale = Math.max(...low.flat(), 1e-300);
    for (let round = 0; round < 400; round += 1) {
      const means = current.map((row) => row.reduce((a, b) => a + b, 0) / n);
      const all = means.reduce((a, b) => a + b, 0) / n;
      const centred = current.map((row, i) => row.map((value, j) => value - means[i] - means[j] + all));
      const found = new mlMatrix.EigenvalueDecomposition(new mlMatrix.Matrix(centred), {assumeSymmetric: true});
      const values = found.realEigenvalues;
      const vectors = found.eigenvectorMatrix.to2DArray();
      const order = [...values.keys()].sort((a, b) => values[b] - values[a]);
      if (values[order[0]] <= 1e-9 * scale) return {exists: true};
      for (const k of order.filter((one) => values[one] > 1e-9 * scale)) {
        const x = vectors.map((row) => row[k]);
        const used = x.flatMap((value, i) => (Math.abs(value) > 1e-6 ? [i] : []));
        const proof = proofOf(x, low, bounded);
        if (proof && used.every((i) => used.every((j) => Number.isFinite(high[i][j])))) return proof;
      }
      const positive = order.filter((k) => values[k] > 0);
      const moved = current.map((row, i) => row.map((value, j) => value - positive.reduce((sum, k) => sum + vectors[i][k] * values[k] * vectors[j][k], 0)));
      const diagonal = moved.map((row, i) => row[i]);
      current = moved.map((row, i) => row.map((value, j) => Math.min(Math.max(value - (diagonal[i] + diagonal[j]) / 2, low[i][j]), bounded[i][j])));
    }
    return {exists: null};
  };

  const covarianceFindings = (analysis, box) => {
    const {network, label} = analysis;
    const n = box.treatments.length;
    if (box.count < Math.max(n, 3)) return [];
    const where = [network.name, label].filter(Boolean).join(": ");
    const finding = (printed, verdict, why, cells = []) => [plainFinding("covariance", where, printed, verdict, why, cells)];
    const result = covarianceExists(squares(box.seLow), squares(box.seHigh));
    if (result.exists) return finding(`${box.count} standard errors`, "holds", "One covariance matrix gives every interval, within rounding.");
    if (result.exists === null) return finding(`${box.count} standard errors`, "cannot tell", "Neither a covariance matrix for all intervals nor a proof against one was found.");
    const used = result.weights.flatMap((value, k) => (Math.abs(value) > 1e-9 ? [k] : []));
    const marks = used.flatMap((i) => used.filter((j) => i < j).map((j) => [box.treatments[i], box.treatments[j]]));
    const printed = `intervals among ${sentence(used.map((k) => box.treatments[k]))}`;
    if (network.framework === "bayesian" || !box.symmetric) {
      return finding(printed, "cannot tell", "No covariance matrix gives these intervals as normal ones; posterior intervals need not be.", marks);
    }
    const wider = makeSquare(analysis, SLACK, DRAWS);
    if (covarianceExists(squares(wider.seLow), squares(wider.seHigh)).exists !== false) {
      return finding(printed, "explained", "One covariance matrix fits within the simulation error of posterior draws.", marks);
    }
    return finding(printed, "clash", `No covariance matrix gives these intervals: their variances miss by at least ${shortG(100 * result.violation, 2)} %. `
      + "Is a limit another, or do the cells come from different models?", marks);
  };

  // ---------------------------------------------------------------- the network behind the table (geometry.py, weights.py)

  const laplacian = (variances) => {
    const n = variances.length;
    const rows = variances.map((row) => row.reduce((a, b) => a + b, 0) / n);
    const all = rows.reduce((a, b) => a + b, 0) / n;
    const shifted = variances.map((row, i) => row.map((value, j) => (rows[i] + rows[j] - value - all) / 2 + 1 / n));
    const found = mlMatrix.inverse(new mlMatrix.Matrix(shifted)).to2DArray();
    return found.map((row, i) => row.map((value, j) => (value + found[j][i]) / 2 - 1 / n));
  };

  const radiusOf = (base, pairs, centre, spread) => {
    const n = base.length;
    const radius = filled(n, 0);
    for (const [a, b, half] of pairs) for (let t = 0; t < n; t += 1) {
      const [left, right] = [base[t][a], base[t][b]];
      for (let i = 0; i < n; i += 1) {
        radius[t][i] += (half / 2) * (Math.abs(left * centre[b][i] + right * centre[a][i]) + Math.abs(left) * spread[b][i] + Math.abs(right) * spread[a][i]);
      }
    }
    return radius;
  };

  const confine = (bottom, top) => {
    const n = bottom.length;
    const sum = (matrix, i) => matrix[i].reduce((total, value, j) => (j === i ? total : total - value), 0);
    const [most, least] = [[...Array(n).keys()].map((i) => sum(bottom, i)), [...Array(n).keys()].map((i) => sum(top, i))];
    for (let i = 0; i < n; i += 1) {
      top[i][i] = Math.min(top[i][i], most[i]);
      bottom[i][i] = Math.max(bottom[i][i], least[i]);
    }
    const [oldBottom, oldTop] = [bottom.map((row) => [...row]), top.map((row) => [...row])];
    for (let i = 0; i < n; i += 1) for (let j = 0; j < n; j += 1) {
      if (i === j) continue;
      const left = Math.min(oldTop[i][i] - (least[i] + oldTop[i][j]), oldTop[j][j] - (least[j] + oldTop[j][i]));
      const needed = Math.max(oldBottom[i][i] - (most[i] + oldBottom[i][j]), oldBottom[j][j] - (most[j] + oldBottom[j][i]));
      bottom[i][j] = Math.max(bottom[i][j], -left);
      top[i][j] = Math.min(top[i][j], -needed);
    }
  };

  const weightBounds = (low, high) => {
    const n = low.length;
    const middle = low.map((row, i) => row.map((value, j) => (value + high[i][j]) / 2));
    const open = {possible: true, weight: filled(n, NaN), low: filled(n, 0), high: low.map((row, i) => row.map((value, j) => (i === j ? 0 : 1 / value)))};
    let base;
    try {
      base = laplacian(middle);
    } catch {
      return open;
    }
    if (!base.flat().every(Number.isFinite)) return open;
    const pairs = [];
    for (let a = 0; a < n; a += 1) for (let b = a + 1; b < n; b += 1) if (high[a][b] !== low[a][b]) pairs.push([a, b, (high[a][b] - low[a][b]) / 2]);
    const largest = Math.max(...base.flat().map(Math.abs));
    let bottom = low.map((row, i) => row.map((value, j) => (i === j ? 0 : -1 / value)));
    let top = low.map((row, i) => row.map((_, j) => (i === j ? row.reduce((total, value, k) => (k === i ? total : total + 1 / value), 0) : 0)));
    const weight = base.map((row, i) => row.map((value, j) => (i === j ? 0 : -value)));
    for (let round = 0; round < 60; round += 1) {
      const centre = bottom.map((row, i) => row.map((value, j) => (value + top[i][j]) / 2));
      const spread = bottom.map((row, i) => row.map((value, j) => (top[i][j] - value) / 2));
      const radius = radiusOf(base, pairs, centre, spread);
      const newBottom = bottom.map((row, i) => row.map((value, j) => Math.max(value, base[i][j] - Math.min(radius[i][j], radius[j][i]))));
      const newTop = top.map((row, i) => row.map((value, j) => Math.min(value, base[i][j] + Math.min(radius[i][j], radius[j][i]))));
      confine(newBottom, newTop);
      const slack = 1e-9 * largest;
      if (newBottom.some((row, i) => row.some((value, j) => value > newTop[i][j] + slack))) return {possible: false, weight};
      const moved = (now, then) => Math.max(...now.flatMap((row, i) => row.map((value, j) => Math.abs(value - then[i][j]))));
      const change = moved(newTop, top) + moved(newBottom, bottom);
      [bottom, top] = [newBottom, newTop];
      if (change < 1e-6 * largest) break;
    }
    const outer = (matrix) => matrix.map((row, i) => row.map((value, j) => (i === j ? 0 : Math.max(-value, 0))));
    return {possible: true, weight, low: outer(top), high: outer(bottom)};
  };

  const geometry = (analysis) => {
    const {network, label} = analysis;
    const where = [network.name, label].filter(Boolean).join(": ");
    const note = (text) => [plainFinding("direct evidence", where, "", "cannot tell", text)];
    const box = makeSquare(analysis, ROUNDED);
    const n = box.treatments.length;
    if (n < 3) return [[], []];
    if (box.count < (n * (n - 1)) / 2) {
      const missing = (n * (n - 1)) / 2 - box.count;
      return [[], note(`${missing > 1 ? `${missing} comparisons are` : "One comparison is"} not printed; the weights of direct evidence follow only from a full table.`)];
    }
    const within = (one, slack) => {
      const confined = one.symmetric ? closed(network, one, slack) ?? one : one;
      const pairs = confined.seLow.flatMap((row, i) => row.filter((_, j) => i !== j));
      if (pairs.some((value) => value <= 0) || !confined.seHigh.flat().every(Number.isFinite)) {
        return {possible: true, weight: filled(n, NaN), low: filled(n, 0), high: confined.seLow.map((row, i) => row.map((value, j) => (i === j ? 0 : 1 / value ** 2)))};
      }
      return weightBounds(squares(confined.seLow), squares(confined.seHigh));
    };
    let found = within(box, ROUNDED);
    if (!found.possible) found = within(makeSquare(analysis), SLACK);
    if (!found.possible) {
      return [[], note("No network whose weights are all at least 0 gives these intervals. Multi-arm studies with unequal arms, correlated estimates or "
        + "intervals of different models can do that; which of them is it?")];
    }
    const smallest = 1 / (4 * Math.max(...box.seHigh.flat())) ** 2;
    const told = network.framework !== "bayesian" && box.symmetric;
    const rows = [];
    for (let i = 0; i < n; i += 1) for (let j = i + 1; j < n; j += 1) {
      const [low, high] = [found.low[i][j], found.high[i][j]];
      const direct = low > 0 ? "yes" : high < smallest ? "no" : "cannot tell";
      rows.push({network: where, treat1: box.treatments[i], treat2: box.treatments[j], weight: Math.min(Math.max(found.weight[i][j], low), high),
        lower: low, upper: high, direct: told ? direct : "cannot tell"});
    }
    return [rows, told ? [] : note("Weights are of normal intervals; posterior or asymmetric ones give them only nearly, so no comparison is told as direct or not.")];
  };

  // ---------------------------------------------------------------- all checks (checking.py)

  const scaleOf = (measure) => ({ratio: "ratio", difference: "difference"})[measure] ?? "";

  const audit = (text, measure = "") => {
    let networks = readPasted(text).map(readGrid).map((raw) => ({...raw, name: raw.name || TITLE, scale: scaleOf(measure),
      framework: /\bCr[IL]\b|credible/.test(raw.cells.map((cell) => cell.triple.text).join(" ")) ? "bayesian" : ""}));
    if (networks.length > 1 && new Set(networks.map((network) => network.name)).size === 1) {
      networks = networks.map((network, k) => ({...network, name: `${network.name}, table ${k + 1}`}));
    }
    const [findings, weights, tables] = [[], [], []];
    for (const given of networks) {
      const [network, said] = withScale(given);
      findings.push(...said);
      if (!network.scale) {
        const asDifference = {...network, scale: "difference"};
        findings.push(...network.cells.map((cell) => [cell, intervalOf(cell, "difference")]).filter(([, one]) => !one.ordered)
          .map(([cell, one]) => limitFinding(asDifference, cell, one, false, "")));
        continue;
      }
      findings.push(...network.misplaced.map(([treatment, printed, where]) => plainFinding("diagonal", `${network.name}: ${treatment} (${where})`, printed, "clash",
        `An estimate stands where ${treatment} meets itself; are rows or columns exchanged?`)));
      const [analyses, arranged] = arrange(network);
      findings.push(...arranged);
      for (const analysis of analyses) {
        const own = [...limitFindings(network, analysis.cells, analysis.label), ...limitFindings(network, analysis.direct, "direct"),
          ...consistencyFindings(analysis)];
        const box = makeSquare(analysis);
        const confined = (box.symmetric && closed(network, box)) || box;
        if (!own.some((one) => one.verdict === "clash" && one.check === "interval")) own.push(...covarianceFindings(analysis, confined));
        const [rows, notes] = geometry(analysis);
        findings.push(...own, ...notes);
        weights.push(...rows);
        tables.push({...analysis, findings: own});
      }
    }
    return {findings, weights, tables, notes: networks.flatMap((network) => network.notes)};
  };

  globalThis.pspsAudit = {audit};

  // ---------------------------------------------------------------- the page

  const root = typeof document === "undefined" ? null : document.querySelector("#audit");
  if (!root) return;
  const GRAVITY = ["clash", "cannot tell", "explained", "holds"];
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const digits = (value) => {
    if (!Number.isFinite(value)) return value > 0 ? "\u221e" : "\u2212\u221e";
    const places = value === 0 ? 2 : Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value)))));
    return value.toFixed(places).replace("-", "\u2212");
  };
  const range = (low, high) => (Number.isNaN(low) && Number.isNaN(high) ? "" : `${digits(low)} to ${digits(high)}`);
  const chip = (verdict) => make("span", {class: `audit-${verdict.replace(" ", "-")}`}, verdict);

  const rowsTable = (caption, heads, rows) => make("div", {class: "audit-scroll", tabindex: "0", role: "region", "aria-label": caption},
    make("table", {}, make("caption", {}, caption), make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", {scope: "col"}, head)))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell)))))));

  const squareTable = ({network, label, cells, findings}) => {
    const names = network.treatments.filter((name) => cells.some((cell) => name === cell.treat1 || name === cell.treat2));
    const worst = new Map();
    for (const finding of findings) for (const [first, second] of finding.cells) {
      const pair = [first, second].sort().join("\u0000");
      const known = worst.get(pair) ?? {verdict: "holds", why: []};
      if (finding.verdict !== "holds") known.why.push(`${finding.verdict}: ${finding.why}`);
      if (GRAVITY.indexOf(finding.verdict) < GRAVITY.indexOf(known.verdict)) known.verdict = finding.verdict;
      worst.set(pair, known);
    }
    const at = (row, column) => cells.find((cell) => cell.treat1 === row && cell.treat2 === column);
    const body = names.map((row) => make("tr", {}, make("th", {scope: "row"}, row), ...names.map((column) => {
      const cell = at(row, column);
      const known = worst.get([row, column].sort().join("\u0000"));
      if (!cell || !known || known.verdict === "holds") return make("td", {}, cell ? cell.triple.text : "");
      return make("td", {class: `audit-${known.verdict.replace(" ", "-")}`, title: known.why.join(" ")}, cell.triple.text);
    })));
    const caption = `${[network.name, label].filter(Boolean).join(": ")}, read as row versus column`;
    return make("div", {class: "audit-scroll", tabindex: "0", role: "region", "aria-label": caption}, make("table", {}, make("caption", {}, caption),
      make("thead", {}, make("tr", {}, make("td"), ...names.map((name) => make("th", {scope: "col"}, name)))), make("tbody", {}, ...body)));
  };

  const report = ({findings, weights, tables, notes}) => {
    const counts = GRAVITY.map((verdict) => [verdict, findings.filter((one) => one.verdict === verdict).length]);
    const shown = findings.filter((one) => one.verdict !== "holds" || ["scale", "orientation", "consistency", "covariance"].includes(one.check))
      .sort((a, b) => GRAVITY.indexOf(a.verdict) - GRAVITY.indexOf(b.verdict));
    const summary = make("p", {class: "audit-summary"});
    counts.forEach(([verdict, count], k) => summary.append(k ? ", " : "", `${count} `, chip(verdict)));
    const parts = [summary, ...notes.map((note) => make("p", {}, note)), ...tables.map(squareTable),
      rowsTable("Findings, the gravest first", ["verdict", "check", "where", "printed", "from the others", "why"],
        shown.map((one) => [chip(one.verdict), one.check, one.where, one.printed, range(one.lower, one.upper), one.why]))];
    if (weights.length) {
      parts.push(rowsTable("The network behind the table: weights of direct evidence, with outer bounds by rounding", ["comparison", "weight", "bounds", "direct evidence"],
        weights.map((row) => [`${row.treat1} vs ${row.treat2}`, Number.isNaN(row.weight) ? "" : digits(row.weight), range(row.lower, row.upper), row.direct])));
    }
    return parts;
  };

  const text = root.querySelector("textarea");
  const measure = root.querySelector("select");
  const out = root.querySelector(".audit-out");
  const example = text.value;
  text.value = "";
  const run = () => {
    try {
      out.replaceChildren(...report(audit(`${text.value}\n`, measure.value)));
    } catch (error) {
      out.replaceChildren(make("p", {class: "audit-clash"}, error.message));
    }
  };
  root.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  root.querySelector(".audit-example").addEventListener("click", () => {
    text.value = example;
    run();
  });
  root.querySelector("form").hidden = false;
})();
