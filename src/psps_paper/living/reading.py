"""Reading tables that others made: CSV, TSV and XLSX as text cells, within limits, nothing evaluated, nothing fetched."""

from __future__ import annotations

import csv
import datetime
import hashlib
import io
import itertools
import re
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import openpyxl

from psps_paper.tables.csv_text import unprotected
from psps_paper.tables.errors import TableError

MAX_BYTES = 10_000_000
MAX_UNPACKED_BYTES = 100_000_000
MAX_PARTS = 1_000
MAX_ROWS = 20_000
MAX_COLUMNS = 500
MAX_CELL = 2_000
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_HIDDEN_ROW = re.compile(rb'<row\b(?=[^>]*\bhidden="(?:1|true)")[^>]*\br="(\d+)"')
SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx")


class NotText(str):
    """A cell of a workbook that holds a date or a truth value: its text depends on the spreadsheet program."""


@dataclass(frozen=True)
class RawTable:
    """A table as it stands in a file.

    Attributes
    ----------
    file : str
        Name without folders.
    columns : list of str
    rows : list of list of str
        As long as the header; blank rows are kept, so that row k of the file is ``rows[k - 1]``.
    sha256 : str
        Of the file's bytes.
    decimal_comma : bool
        Cells are separated by semicolons, so a comma may be a decimal sign.
    notes : tuple of str
        What a user should know of the table: columns without a name that were left out, hidden rows that were read.
    """

    file: str
    columns: list[str]
    rows: list[list[str]]
    sha256: str
    decimal_comma: bool = False
    notes: tuple[str, ...] = ()


def read_table(path: Path, *, sheet: str | None = None, skip: int = 0) -> RawTable:
    """Read a file of a table.

    Parameters
    ----------
    path : Path
        ``.csv`` (comma, semicolon or tab), ``.tsv``, ``.txt`` or ``.xlsx``; text in UTF-8.
    sheet : str, optional
        Sheet of a workbook; needed where several hold something.
    skip : int
        Lines above the header, such as a caption.

    Returns
    -------
    RawTable
        Rows count from 1 at the first row below the header, in messages too.

    Raises
    ------
    TableError
        The file is none of these, too large, damaged, or not a table; the message says what was expected.
    """
    path = Path(path)
    name = path.name
    if path.suffix.lower() not in SUFFIXES:
        hint = "; save it as XLSX" if path.suffix.lower() in (".xls", ".ods") else ""
        raise TableError(f"{name}: expected a file ending in {', '.join(SUFFIXES)}{hint}")
    if not path.is_file():
        raise TableError(f"{name}: " + ("is not a file" if path.exists() else "no such file"))
    # One byte more than the limit is read at most, so that a file that grows cannot fill the memory
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise TableError(f"{name}: larger than {MAX_BYTES:,} bytes, the limit")
    return table_from_bytes(name, content, sheet=sheet, skip=skip)


def table_from_bytes(name: str, content: bytes, *, sheet: str | None = None, skip: int = 0) -> RawTable:
    """As :func:`read_table`, from the bytes of a file whose name ends as that of the file."""
    digest = hashlib.sha256(content).hexdigest()
    if content.startswith(b"PK\x03\x04") or name.lower().endswith(".xlsx"):
        (lines, notes), decimal_comma = _workbook_lines(name, content, sheet), False
    elif sheet is not None:
        raise TableError(f"{name}: a sheet ({sheet}) can be chosen in an XLSX file only")
    else:
        (lines, decimal_comma), notes = _text_lines(name, content), []
    header, rows = _checked(name, lines[skip:])
    header, rows, left_out = _named_columns(name, header, rows)
    return RawTable(name, header, rows, digest, decimal_comma, (*left_out, *notes))


def _text_lines(name: str, content: bytes) -> tuple[list[list[str]], bool]:
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise TableError(f"{name}: byte {error.start} ({error.object[error.start]:#04x}) is not UTF-8; save the file as CSV UTF-8") from None
    if "\x00" in text:
        raise TableError(f"{name}: holds a null character; expected text in UTF-8")
    first = text.lstrip().split("\n", 1)[0]
    separator = "\t" if name.lower().endswith(".tsv") else max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        # One more than the limit, so that a longer file is noticed and not read to its end
        lines = list(itertools.islice(reader, MAX_ROWS + 100))
    except csv.Error as error:
        raise TableError(f"{name}, line {reader.line_num}: {error}; expected cells separated by {separator!r}") from None
    return lines, separator == ";"


def _workbook_lines(name: str, content: bytes, sheet: str | None) -> tuple[list[list[str]], list[str]]:
    _check_package(name, content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Formulas are read as their text, which is refused where the cell is used: nothing is evaluated
            book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, keep_links=False, data_only=False)
            sheets = {page.title: _sheet_lines(page) for page in book.worksheets}
            parts = {page.title: page._worksheet_path for page in book.worksheets}
            book.close()
    except TableError:
        raise
    except MemoryError:
        raise TableError(f"{name}: too large to read") from None
    except Exception as error:  # a damaged workbook makes its parser fail in any way
        raise TableError(f"{name}: not a readable XLSX workbook ({type(error).__name__}); open it and save it anew") from None
    filled = {title: lines for title, lines in sheets.items() if lines}
    if sheet is not None:
        if sheet not in sheets:
            raise TableError(f"{name}: no sheet {sheet!r}; there are {', '.join(map(repr, sheets))}")
    elif len(filled) > 1:
        raise TableError(f"{name}: several sheets hold something: {', '.join(map(repr, filled))}; choose one with --sheet")
    elif not filled:
        return [], []
    chosen = sheet or next(iter(filled))
    # What is read without formatting knows no hidden rows, but the sheet's own XML does
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        hidden = [int(row) for row in _HIDDEN_ROW.findall(package.read(parts[chosen].lstrip("/"))) if int(row) <= len(sheets[chosen])]
    notes = [f"rows hidden in the workbook are read like the others: {', '.join(map(str, hidden))} of the sheet"] if hidden else []
    return sheets[chosen], notes


def _check_package(name: str, content: bytes) -> None:
    """Refuse packages that would unpack to too much or that declare entities, before anything parses them."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as package:
            parts = package.infolist()
            size = sum(part.file_size for part in parts)
            if len(parts) > MAX_PARTS:
                raise TableError(f"{name}: {len(parts)} parts in the workbook, the limit is {MAX_PARTS}")
            if size > MAX_UNPACKED_BYTES:
                raise TableError(f"{name}: unpacks to {size:,} bytes, the limit is {MAX_UNPACKED_BYTES:,}")
            for part in parts:
                # zipfile unpacks no more than the declared size, so the sum above holds
                xml = package.read(part)
                if any(word.encode(code) in xml for word in ("<!DOCTYPE", "<!ENTITY") for code in ("utf-8", "utf-16-le", "utf-16-be")):
                    raise TableError(f"{name}: {part.filename} declares XML entities, which no spreadsheet program writes")
    except TableError:
        raise
    except Exception as error:  # zipfile fails on damaged archives in many ways
        raise TableError(f"{name}: not a readable XLSX workbook ({type(error).__name__}); open it and save it anew") from None


def _sheet_lines(page) -> list[list[str]]:
    lines = []
    for line in page.iter_rows(values_only=True, max_row=MAX_ROWS + 100, max_col=MAX_COLUMNS + 1):
        cells = [_cell_text(value) for value in line]
        while cells and not cells[-1]:
            cells.pop()
        lines.append(cells)
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _cell_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value)
    return NotText(value) if isinstance(value, (bool, datetime.date, datetime.time, datetime.timedelta)) else str(value)


def _checked(name: str, lines: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    if not any(any(cell.strip() for cell in line) for line in lines):
        raise TableError(f"{name}: the file is empty; expected a header line")
    header = [unprotected(cell.strip()) for cell in lines[0]]
    while header and not header[-1]:
        header.pop()
    if not header:
        raise TableError(f"{name}: the header line is blank; is there a caption above it? then use --skip")
    if len(header) > MAX_COLUMNS:
        raise TableError(f"{name}: more than {MAX_COLUMNS} columns, the limit")
    repeated = sorted({column for column in header if column and header.count(column) > 1})
    if repeated:
        raise TableError(f"{name}: column {', '.join(map(_shown, repeated))} occurs more than once in the header")
    body = lines[1:]
    while body and not any(cell.strip() for cell in body[-1]):
        body = body[:-1]
    if len(body) > MAX_ROWS:
        raise TableError(f"{name}: more than {MAX_ROWS:,} rows, the limit")
    if not body:
        raise TableError(f"{name}: there is a header but no row of data")
    rows = []
    for number, line in enumerate(body, start=1):
        if any(cell.strip() for cell in line[len(header):]):
            hint = "; is there a caption above the header? then use --skip" if len(header) == 1 else ""
            raise TableError(f"{name}, row {number}: {len(line)} cells where the header has {len(header)}{hint}")
        if line and len(line) < len(header) and not name.lower().endswith(".xlsx"):
            raise TableError(f"{name}, row {number}: {len(line)} cells where the header has {len(header)}")
        cells = [cell if isinstance(cell, NotText) else cell.strip() for cell in line[: len(header)]]
        cells += [""] * (len(header) - len(cells))
        for column, cell in zip(header, cells, strict=True):
            if len(cell) > MAX_CELL:
                raise TableError(f"{name}, row {number}, column {_shown(column)}: {len(cell):,} characters, the limit is {MAX_CELL:,}")
            if _CONTROL.search(cell):
                raise TableError(f"{name}, row {number}, column {_shown(column)}: {_shown(cell)} holds a control character; expected text")
        rows.append(cells)
    return header, rows


def _named_columns(name: str, header: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]], list[str]]:
    """Header and rows without columns that have no name and are empty or hold R's row numbers, and what was left out."""
    kept = [number for number, column in enumerate(header) if column]
    notes = []
    for number in range(len(header)):
        if number in kept:
            continue
        cells = [row[number] for row in rows if row[number]]
        if cells and (number or not all(cell.isascii() and cell.isdigit() for cell in cells)):
            raise TableError(f"{name}: column {number + 1} has no name and holds {_shown(cells[0])}; name it, "
                             "or, if there is a caption above the header, use --skip")
        notes.append(f"column {number + 1} has no name and " + ("holds row numbers; it is not read" if cells else "is empty"))
    if not notes:
        return header, rows, notes
    return [header[number] for number in kept], [[row[number] for number in kept] for row in rows], notes


def _shown(cell: str) -> str:
    return repr(cell if len(cell) <= 80 else cell[:79] + "\N{HORIZONTAL ELLIPSIS}")
