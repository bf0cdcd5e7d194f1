"""Read other people's tables: CSV, TSV and XLSX as cells of text, within limits; nothing is evaluated or fetched."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from psps_paper.living.bugs_text import bugs_lines
from psps_paper.tables.csv_text import unprotected
from psps_paper.tables.errors import TableError
from psps_paper.tables.limits import (
    MAX_BYTES,
    MAX_CELL,
    MAX_COLUMNS,
    MAX_LINES,
    MAX_PARTS,
    MAX_ROWS,
    MAX_UNPACKED_BYTES,
)
from psps_paper.tables.workbook import NEW_WORKBOOK, OLD_WORKBOOK, NotText, workbook_lines

# Control characters, including those that reverse the direction of text
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
# Zero-width characters outside Unicode's format category: a joiner, blank letters and variation selectors
_FILLER = re.compile("[\u034f\u115f\u1160\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_SEP = re.compile(r"(\"?)sep=([,;\t|])\1\s*", re.IGNORECASE)
__all__ = [
    "MAX_BYTES",
    "MAX_CELL",
    "MAX_COLUMNS",
    "MAX_PARTS",
    "MAX_ROWS",
    "MAX_UNPACKED_BYTES",
    "RawTable",
    "read_table",
    "table_from_bytes",
]
# Lines of text below a table
_BELOW = re.compile(r"[*\u2020\u2021\u00a7\u00b6#]|(foot)?notes?\b|sources?\b|abbreviations?\b", re.IGNORECASE)
SEPARATORS = ",;\t|"
SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx", ".xls")


@dataclass(frozen=True)
class RawTable:
    """A table as read from a file, all cells as text.

    Attributes
    ----------
    file : str
        File name without folders.
    columns : list of str
    rows : list of list of str
        Each as long as the header; blank rows are kept, so that row k of the file is ``rows[k - 1]``.
    sha256 : str
        Checksum of the file's bytes.
    separator : str
        Separator of the cells: a comma, semicolon, tab, bar or blank; empty for a workbook. Unless it is a comma, a
        comma may be a decimal sign.
    notes : tuple of str
        What a user should know about the table: unnamed columns that were left out, hidden rows that were read.
    conversions : tuple of str
        Changes made while reading: another encoding, merged cells, values of formulas.
    """

    file: str
    columns: list[str]
    rows: list[list[str]]
    sha256: str
    separator: str = ","
    notes: tuple[str, ...] = ()
    conversions: tuple[str, ...] = ()


def read_table(path: Path, *, sheet: str | None = None, skip: int = 0) -> RawTable:
    """Read a table from a file.

    Parameters
    ----------
    path : Path
        ``.csv``, ``.tsv`` or ``.txt`` (cells separated by comma, semicolon, tab, bar or blanks; encoded in UTF-8,
        UTF-16 or otherwise Windows-1252), ``.xlsx`` or ``.xls``.
    sheet : str, optional
        Sheet of a workbook; required if several hold something.
    skip : int
        Number of lines above the header, such as a caption.

    Returns
    -------
    RawTable
        Rows are counted from 1 at the first row below the header, in messages too.

    Raises
    ------
    TableError
        The file has another format, is too large, damaged, or not a table; the message names what was expected.
    """
    path = Path(path)
    name = path.name
    if path.suffix.lower() not in SUFFIXES:
        suffix = path.suffix.lower()
        hint = "; save it as XLSX" if suffix in (".ods", ".xlsb", ".numbers") else ""
        hint = "; unpack it first" if suffix in (".gz", ".zip", ".bz2", ".xz", ".7z") else hint
        hint = (
            "; save it as CSV" if suffix in (".rds", ".rda", ".rdata", ".zsav", ".dta", ".sas7bdat", ".xml") else hint
        )
        raise TableError(f"{name}: expected a file ending in {', '.join(SUFFIXES)}{hint}")
    if not path.is_file():
        raise TableError(f"{name}: " + ("is not a file" if path.exists() else "no such file"))
    # At most one byte more than the limit is read, so that a growing file cannot fill the memory
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise TableError(f"{name}: larger than {MAX_BYTES:,} bytes, the limit")
    return table_from_bytes(name, content, sheet=sheet, skip=skip)


def table_from_bytes(name: str, content: bytes, *, sheet: str | None = None, skip: int = 0) -> RawTable:
    """Read a table from the bytes of a file, as :func:`read_table` does; the ending of ``name`` gives the format."""
    digest = hashlib.sha256(content).hexdigest()
    is_named = name.lower().endswith((".xlsx", ".xls"))
    as_text = name.lower().endswith(".xls") and _is_text(name, content)
    if content.startswith((NEW_WORKBOOK, OLD_WORKBOOK)) or (is_named and not as_text):
        lines, notes, conversions = workbook_lines(name, content, sheet)
        lines, separator = lines[skip:], ""
    elif sheet is not None:
        raise TableError(f"{name}: a sheet ({sheet}) can only be chosen in an XLSX file")
    else:
        (text, conversions), notes = _decoded(name, content), []
        conversions += ["the file is text and no workbook, and was read as text"] * as_text
        listed = None if skip else bugs_lines(name, text)
        if listed:
            lines, separator = listed[0], ""
            conversions.append(listed[1])
        else:
            lines, separator = _text_lines(name, text, skip)
    lines, joined = _one_header(lines)
    conversions = [*conversions, *joined]
    header, rows = _checked(name, lines)
    header, rows, left_out = _named_columns(name, header, rows)
    return RawTable(name, header, rows, digest, separator, (*left_out, *notes), tuple(conversions))


def _is_text(name: str, content: bytes) -> bool:
    """Return whether a file named as a workbook holds lines of text; refuse a web page."""
    if content[:2000].lstrip(b"\xef\xbb\xbf \r\n\t").lower().startswith((b"<html", b"<!doctype html", b"<table")):
        raise TableError(
            f"{name}: a web page that is named as a workbook; open it in a spreadsheet program and save it as XLSX"
        )
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not CONTROL.search(text) and "\n" in text and any(sign in text for sign in SEPARATORS)


def without_invisible(text: str) -> str:
    """Remove zero-width characters such as U+200B from a text; joiners inside words of other scripts are kept."""
    if text.isascii():
        return text
    kept = "".join(
        c for c in text if c in "\u200c\u200d" or not (_FILLER.fullmatch(c) or unicodedata.category(c) == "Cf")
    )
    return kept.strip("\u200c\u200d")


def _decoded(name: str, content: bytes) -> tuple[str, list[str]]:
    conversions = []
    try:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            text = content.decode("utf-16")
            conversions.append("the file was read as UTF-16")
        elif wide := _wide(content):
            text = content.decode(wide)
            conversions.append("the file was read as UTF-16, by the null characters between its letters")
        elif content.startswith(b"\x1f\x8b"):
            raise TableError(f"{name}: is packed with gzip; unpack it first")
        else:
            text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        wrong = f"byte {error.start} ({error.object[error.start]:#04x}) is not {error.encoding.upper()}"
        try:
            text = content.decode("cp1252") if error.encoding == "utf-8" else ""
        except UnicodeDecodeError:
            text = ""
        if not text or "\x00" in text:
            raise TableError(f"{name}: {wrong}; save the file as CSV UTF-8") from None
        line = next(line for line in text.splitlines() if not line.isascii())
        conversions.append(f"{wrong}, so the file was read as Windows-1252; check the accents, as in {_shown(line)}")
    text = text.removeprefix("\ufeff").replace("\r\r\n", "\n").rstrip("\x1a")  # the end of a file in DOS
    if "\x00" in text:
        raise TableError(f"{name}: holds a null character; expected text in UTF-8")
    return text, conversions


def _wide(content: bytes) -> str:
    """Return the encoding of UTF-16 text without a byte-order mark, or an empty string."""
    start = content[:400]
    first, second = start[::2].count(0), start[1::2].count(0)
    if len(content) % 2 or not len(start) or min(first, second):
        return ""
    return {True: "utf-16-le", False: "utf-16-be"}[second > first] if max(first, second) > 0.4 * len(start) else ""


def _one_header(lines: list[list[str]]) -> tuple[list[list[str]], list[str]]:
    """Join a header of two lines: names above several columns are put before those of the line below."""
    if len(lines) < 3:
        return lines, []
    width = max(len(lines[0]), len(lines[1]))
    top, below = ([*map(str.strip, line), *[""] * (width - len(line))] for line in lines[:2])
    gaps = [number for number in range(1, width) if not top[number]]
    words = [cell for cell in below if cell]
    if (
        not gaps
        or not all(below[number] for number in gaps)
        or any(isinstance(cell, NotText) for cell in lines[0] + lines[1])
        or len(words) < 2
        or any(c.isdigit() for cell in words for c in cell)
        or not any(c.isdigit() for cell in lines[2] for c in cell)
    ):
        return lines, []
    names, above = [], ""
    for first, second in zip(top, below, strict=True):
        above = first or above
        names.append(above if second in ("", above) else f"{above} {second}".strip())
    return [names, *lines[2:]], [f"two lines of header were joined: {', '.join(names[:8])}" + ", ..." * (width > 8)]


def _text_lines(name: str, text: str, skip: int) -> tuple[list[list[str]], str]:
    """Split the lines below the skipped ones into cells; return the separator too.

    It is that of the header, since a caption may contain commas of its own.
    """
    file = io.StringIO(text, newline="")
    first = file.readline()
    given = _SEP.fullmatch(first)
    if not given and not skip:
        file.seek(0)
    for _ in range(skip - 1):
        if not file.readline():
            break
    start = file.tell()
    header = file.readline()
    while header and not header.strip():
        header = file.readline()
    header = re.sub(r"\[[^\[\]]*\]", "[]", header)  # r[,1], as BUGS names columns, is not two cells
    separator = given[2] if given else "\t" if name.lower().endswith(".tsv") else max(SEPARATORS, key=header.count)
    if separator not in header and header.split()[1:] and not set(SEPARATORS) & set(file.readline()):
        separator = " "
    file.seek(start)
    blanks = separator == " "
    columns = [re.split(r"(?:\t| {2,})", line.strip()) for line in file if line.strip()] if blanks else []
    file.seek(start)
    if len(columns) > 1 and {len(line) for line in columns} == {len(header.split())} and '"' not in text:
        return columns, separator  # columns of one width, whose cells may hold single blanks
    lines_of_text = (" ".join(line.split()) + "\n" for line in file) if blanks else file
    reader = csv.reader(lines_of_text, delimiter=separator, strict=True, skipinitialspace=blanks)
    lines: list[list[str]] = []
    n_lines = 0
    try:
        for line in reader:
            # The limit does not count the header and blank lines below the table; those lines are not stored, so that
            # they cannot fill the memory
            n_lines += 1
            if len(lines) <= MAX_ROWS:
                lines.append(line)
            elif n_lines > MAX_LINES:
                raise TableError(f"{name}: more than {MAX_LINES:,} lines, the limit")
            elif any(cell.strip() for cell in line):
                raise TableError(f"{name}: more than {MAX_ROWS:,} rows, the limit")
    except csv.Error as error:
        raise TableError(
            f"{name}, line {reader.line_num + skip}: {error}; expected cells separated by {separator!r}"
        ) from None
    if blanks and len(lines) > 1 and all(len(line) == len(lines[0]) + 1 for line in lines[1:] if line):
        lines[0].insert(0, "")  # as R writes row names
    if separator == "|":
        lines = _without_frame(lines)
    return lines, separator


def _without_frame(lines: list[list[str]]) -> list[list[str]]:
    """Remove the outer bars of a Markdown table and the rule below its header."""
    filled = [line for line in lines if any(cell.strip() for cell in line)]
    if not all(len(line) > 2 and not line[0].strip() and not line[-1].strip() for line in filled):
        return lines
    bare = [line[1:-1] for line in filled]
    return [line for line in bare if not all(re.fullmatch(r"\s*:?-+:?\s*", cell) for cell in line)]


def _checked(name: str, lines: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Return the header, and the rows padded or cut to its length."""
    if not any(any(cell.strip() for cell in line) for line in lines):
        raise TableError(f"{name}: the file is empty; expected a header line")
    first = list(lines[0])
    beside = max((k for line in lines[1 : MAX_ROWS + 1] for k, cell in enumerate(line) if cell.strip()), default=0)
    while first and not first[-1].strip() and len(first) > beside + 1:
        first.pop()
    header = _header(name, first)
    body = lines[1:]
    while body and not any(cell.strip() for cell in body[-1]):
        body = body[:-1]
    if len(body) > MAX_ROWS:
        raise TableError(f"{name}: more than {MAX_ROWS:,} rows, the limit")
    if not body:
        raise TableError(f"{name}: the file has a header but no rows of data")
    below = _with_text_below(body, len(header))
    return header, [_row(name, number, line, header) for number, line in enumerate(below, start=1)]


def _header(name: str, first: list[str]) -> list[str]:
    """Check the names of the columns and return them."""
    if len(first) > MAX_COLUMNS:
        raise TableError(f"{name}: more than {MAX_COLUMNS} columns, the limit")
    header = [" ".join(without_invisible(unprotected(cell.strip())).split()) for cell in first]
    if not any(header):
        raise TableError(f"{name}: the header line is blank; is there a caption above it? then use --skip")
    for number, column in enumerate(header, start=1):
        if CONTROL.search(column):
            raise TableError(
                f"{name}: column {number} of the header, {_shown(column)}, holds a control character; expected text"
            )
        if len(column) > MAX_CELL:
            raise TableError(
                f"{name}: column {number} of the header has {len(column):,} characters, the limit is {MAX_CELL:,}"
            )
    repeated = sorted({column for column in header if column and header.count(column) > 1})
    if repeated:
        raise TableError(f"{name}: column {', '.join(map(_shown, repeated))} occurs more than once in the header")
    return header


def _row(name: str, number: int, line: list[str], header: list[str]) -> list[str]:
    """Check the cells of a row below the header and return them."""
    where = f"{name}, row {number}"
    if any(cell.strip() for cell in line[len(header) :]):
        hint = "; is there a caption above the header? then use --skip" if len(header) == 1 else ""
        raise TableError(f"{where}: {len(line)} cells where the header has {len(header)}{hint}")
    workbook = name.lower().endswith((".xlsx", ".xls"))  # workbooks omit blank cells at the end of a row
    named = max(k for k, column in enumerate(header, start=1) if column)
    if line and len(line) < named and not workbook:
        raise TableError(f"{where}: {len(line)} cells where the header has {len(header)}")
    cells = [cell if isinstance(cell, NotText) else cell.strip() for cell in line[: len(header)]]
    cells += [""] * (len(header) - len(cells))
    for column, cell in zip(header, cells, strict=True):
        if len(cell) > MAX_CELL:
            raise TableError(f"{where}, column {_shown(column)}: {len(cell):,} characters, the limit is {MAX_CELL:,}")
        if CONTROL.search(cell):
            raise TableError(
                f"{where}, column {_shown(column)}: {_shown(cell)} holds a control character; expected text"
            )
    return cells


def _with_text_below(body: list[list[str]], width: int) -> list[list[str]]:
    """Join each line of text below the table into a single cell, whatever commas it contains."""
    body = list(body)
    for k in range(len(body) - 1, -1, -1):
        line = [cell for cell in body[k] if cell.strip()]
        if (
            line
            and len(body[k]) != width
            and (len(line) == 1 or _BELOW.match(line[0].strip()))
            and line[0] == body[k][0]
        ):
            body[k] = [", ".join(cell.strip() for cell in line)] + [""] * (width - 1)
        elif line:
            break
    return body


def _named_columns(name: str, header: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]], list[str]]:
    """Drop unnamed columns that are empty or hold R's row numbers; return header, rows and notes on them."""
    kept = [number for number, column in enumerate(header) if column]
    notes = []
    for number in range(len(header)):
        if number in kept:
            continue
        cells = [row[number] for row in rows if row[number]]
        if cells and number > max(kept) and all(any(c.isalpha() for c in cell) for cell in cells):
            notes.append(
                f"column {number + 1} has no name and holds text next to the table, which is not read:"
                f" {_shown(cells[0])}"
            )
            continue
        if cells and (number or not all(cell.isascii() and cell.isdigit() for cell in cells)):
            raise TableError(
                f"{name}: column {number + 1} has no name and holds {_shown(cells[0])}; name it, "
                "or, if there is a caption above the header, use --skip"
            )
        notes.append(
            f"column {number + 1} has no name and " + ("holds row numbers; it is not read" if cells else "is empty")
        )
    if not notes:
        return header, rows, notes
    return [header[number] for number in kept], [[row[number] for number in kept] for row in rows], notes


def _shown(cell: str) -> str:
    return repr(cell if len(cell) <= 80 else cell[:79] + "\N{HORIZONTAL ELLIPSIS}")
