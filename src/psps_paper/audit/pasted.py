"""Tables copied as text from a web page, a PDF or a console."""

from __future__ import annotations

import re

from psps_paper.audit.layout import Grid
from psps_paper.audit.numbers import ESTIMATE, plain, read_estimate

_PROMPT = re.compile(r"^\s*#>\s?")
_RULED = frozenset(" \t|:+=-")
_EXTRA = re.compile(r"\(\s*[Nnk]\s*=[^()]*\)")
_EMPTY = re.compile(r"(?<!\S)(?:\.|NA|N/A|NR|-{1,3}|\u2013|\u2014|\u2212)(?!\S)")


def read_pasted(text: str, file: str = "pasted text") -> list[Grid]:
    """Read the tables of pasted text as grids, with cells separated by tabs, bars, wide gaps or spaces.

    Lines without an estimate before a table are its heading. Blocks of equal height are columns wrapped by a console.

    Raises
    ------
    ValueError
        If no table is found, or its cells cannot be assigned to rows and columns; the message names the lines.
    """
    lines = [(number, _PROMPT.sub("", line).rstrip()) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(number, line) for number, line in lines if "---" not in line or set(line) - _RULED]
    if not any(ESTIMATE.search(plain(line)) for _, line in lines):
        first = next((line for _, line in lines if line.strip()), "")
        raise ValueError(
            f"{file}: no estimate with its interval, such as 0.45 (0.14, 0.76), was found; the text begins"
            f" {first[:60]!r}"
        )
    divided = _split_at_separators(lines)
    if divided is not None:
        return [Grid(rows, file, first_row=first) for first, rows in divided]
    blocks = _blocks(lines)
    grids = []
    for heading, block in _joined(blocks):
        found = _square(heading, block, file)
        grids.append(found if found is not None else _stream(heading, block, file))
    return grids


def _split_at_separators(lines: list[tuple[int, str]]) -> list[tuple[int, list[list[str]]]] | None:
    """Split lines into grids at tabs, bars or, failing these, two spaces; None if no separator works."""
    holding = [line for _, line in lines if ESTIMATE.search(plain(line))]
    for separator in ("\t", "|", "  "):
        if sum(line.count(separator) > 0 for line in holding) * 2 <= len(holding):
            continue
        tables: list[tuple[int, list[list[str]]]] = []
        framed = separator == "|" and all(line.lstrip().startswith("|") for line in holding)
        for number, line in lines:
            if separator == "  ":
                cells = re.split(r"\s{2,}", line)
            else:
                cells = (line.strip().removeprefix("|").removesuffix("|") if framed else line).split(separator)
            cells = [cell.strip().strip("*").strip() for cell in cells]
            if sum(bool(cell) for cell in cells) < 2 and not (tables and tables[-1][1]):
                continue
            if not any(cells):
                tables.append((number + 1, []))
                continue
            if not tables:
                tables.append((number, []))
            tables[-1][1].append(cells)
        kept = [
            (first, rows)
            for first, rows in tables
            if sum(read_estimate(cell) is not None for row in rows for cell in row) >= 1
        ]
        if any(
            sum(read_estimate(cell) is not None for cell in row) >= 1 and len(row) > 1
            for _, rows in kept
            for row in rows
        ):
            return kept
    return None


def _tokens(line: str) -> list[tuple[str, str]]:
    """List labels, estimates (with their numbers of studies) and marks of empty cells of one line, in order."""
    spelled = plain(line)
    tokens: list[tuple[str, str]] = []
    last = 0
    for found in ESTIMATE.finditer(spelled):
        tokens += _labels(spelled[last : found.start()])
        tokens.append(("estimate", found.group()))
        last = found.end()
    return tokens + _labels(spelled[last:])


def _labels(text: str) -> list[tuple[str, str]]:
    text = _EXTRA.sub(" ", text)
    tokens: list[tuple[str, str]] = []
    last = 0
    for found in _EMPTY.finditer(text):
        tokens += [("label", part) for part in [text[last : found.start()].strip(" ,;*")] if part]
        tokens.append(("nothing", ""))
        last = found.end()
    rest = text[last:].strip(" ,;*")
    return tokens + ([("label", rest)] if rest else [])


Block = list[tuple[int, list[tuple[str, str]]]]


def _blocks(lines: list[tuple[int, str]]) -> list[tuple[str, Block]]:
    """Divide lines into blocks at empty lines and headings, each with the heading above it."""
    blocks: list[tuple[str, Block]] = []
    heading, block = "", []
    for number, line in lines:
        tokens = _tokens(line) if line.strip() else []
        if not tokens:
            if block and line.strip() == "":
                blocks.append((heading, block))
                heading, block = "", []
            continue
        only_label = all(kind == "label" for kind, _ in tokens)
        if only_label and _is_heading(line, block):
            if block:
                blocks.append((heading, block))
                block = []
            heading = line.strip()
            continue
        block.append((number, tokens))
    return blocks + ([(heading, block)] if block else [])


def _is_heading(line: str, block: Block) -> bool:
    """Return whether a line is a caption: it numbers a table, is code, or has more words than a name."""
    spelled = line.strip()
    numbered = (
        re.match(r"^(table|figure|fig\.?|panel|appendix|supplement\w*)\b|^\(?\d*[A-Z]?[.)]\s", spelled, re.IGNORECASE)
        or "(" in spelled
    )
    return bool(numbered) or (not block and len(spelled.split()) > 5)


def _joined(blocks: list[tuple[str, Block]]) -> list[tuple[str, Block]]:
    """Append blocks without a heading and of the same height as the previous block to its right."""
    joined: list[tuple[str, Block]] = []
    for heading, block in blocks:
        if joined and not heading and len(joined[-1][1]) == len(block):
            wide = [(number, left + right) for (number, left), (_, right) in zip(joined[-1][1], block, strict=True)]
            if _diagonal_shape(wide) == "full":
                joined[-1] = (joined[-1][0], wide)
                continue
        joined.append((heading, block))
    return joined


def _diagonal_shape(block: Block) -> str:
    """Return the shape of a block with names on its diagonal: "full", "lower", "upper", or "" without such names."""
    labels = [[k for k, (kind, _) in enumerate(tokens) if kind == "label"] for _, tokens in block]
    sizes = [len(tokens) for _, tokens in block]
    n = len(block)
    if n < 2 or any(len(found) != 1 for found in labels):
        return ""
    if sizes == [n] * n and all(labels[k] == [k] for k in range(n)):
        return "full"
    if all(labels[k] == [k] and sizes[k] == k + 1 for k in range(n)):
        return "lower"
    return "upper" if all(labels[k] == [0] and sizes[k] == n - k for k in range(n)) else ""


def _square(heading: str, block: Block, file: str) -> Grid | None:
    """Read a grid in which each line is a row: names on the diagonal, or first in lines with one cell per name."""
    shape, n = _diagonal_shape(block), len(block)
    texts = [[text for _, text in tokens] for _, tokens in block]
    first = block[0][0]
    if shape:
        shift = [k if shape == "upper" else 0 for k in range(n)]
        rows = [[""] * shift[k] + texts[k] + [""] * (n - shift[k] - len(texts[k])) for k in range(n)]
        return Grid(rows, file, heading, first)
    body = block[1:] if all(kind == "label" for kind, _ in block[0][1]) else block
    names = [tokens[0][1] for _, tokens in body]
    plain_rows = all(tokens[0][0] == "label" and [kind for kind, _ in tokens].count("label") == 1 for _, tokens in body)
    if plain_rows and len(body) >= 2 and all(len(tokens) == len(body) + 1 for _, tokens in body):
        return Grid([["", *names], *[[text for _, text in tokens] for _, tokens in body]], file, heading, first)
    if plain_rows and len(body) >= 2 and all(len(tokens) == 2 for _, tokens in body):
        rows = [["treatment", "cell"], *[[text for _, text in tokens] for _, tokens in body]]
        return Grid(rows, file, heading, first - (body is block))
    return None


def _stream(heading: str, block: Block, file: str) -> Grid:
    """Read a square with broken lines, using the number of cells between names on the diagonal.

    A short gap shows that empty cells left no trace. The lower triangle, which must be full before a name, is
    counted from the right of each gap; the remaining cells belong to the upper triangle, if none is
    missing.
    """
    tokens = [token for _, line in block for token in line]
    names = [text for kind, text in tokens if kind == "label"]
    gaps: list[list[str]] = [[]]
    for kind, text in tokens:
        if kind == "label":
            gaps.append([])
        else:
            gaps[-1].append("" if kind == "nothing" else text)
    if gaps[-1]:  # the row of the last treatment, whose name was not copied
        names, gaps = [*names, f"treatment {len(names) + 1}"], [*gaps, []]
    return _from_gaps(heading, names, gaps, file, block[0][0])


def _from_gaps(heading: str, names: list[str], gaps: list[list[str]], file: str, first: int) -> Grid:
    n = len(names)
    if n < 2 or gaps[0]:
        raise ValueError(
            f"{file}, line {first}: the cells cannot be given to rows and columns: {len(names)} names were found "
            f"({', '.join(names[:5])}); expected one name on the diagonal of each row, or cells apart by tabs"
        )
    rows = [[""] * n for _ in range(n)]
    unread: list[str] = []
    for k in range(n):
        rows[k][k] = names[k]
    upper_only = [len(gap) for gap in gaps[1:]] == list(range(n - 1, -1, -1)) and n > 2
    for k in range(n):
        gap = gaps[k + 1]
        if upper_only:
            rows[k][k + 1 :] = gap
            continue
        below, right = (k + 1 if k + 1 < n else 0), n - 1 - k
        if len(gap) == below + right:
            rows[k][k + 1 :] = gap[:right]
        elif len(gap) < below or len(gap) > below + right:
            raise ValueError(
                f"{file}, line {first}: {len(gap)} cells follow the name {names[k]!r}; expected {right} to its right"
                f" and {below} in the next row; write the table with tabs between its cells"
            )
        else:
            unread += gap[: len(gap) - below]
        if below:
            rows[k + 1][: k + 1] = gap[len(gap) - below :]
    notes = (
        (f"Empty cells left no trace, so the columns of {', '.join(unread)} are not known; these cells are not read.",)
        if unread
        else ()
    )
    return Grid(rows, file, heading, first, notes)
