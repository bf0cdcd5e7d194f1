"""Other people's workbooks as text cells: within limits, evaluating and fetching nothing, dropping nothing silently.

The parts of an XLSX file are counted before anything parses them. The sheet's own XML then shows what a library that
reads values hides: formulas, errors, hidden rows and columns, cells out of order. A separate process reads the values.
"""

from __future__ import annotations

import io
import json
import posixpath
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from psps_paper.tables.errors import TableError
from psps_paper.tables.limits import (
    MAX_CELL,
    MAX_COLUMNS,
    MAX_PART_TAGS,
    MAX_PARTS,
    MAX_ROWS,
    MAX_SHEET_TAGS,
    MAX_TAG,
    MAX_UNPACKED_BYTES,
    READING_BYTES,
    READING_SECONDS,
)

NEW_WORKBOOK, OLD_WORKBOOK = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"  # the first bytes of XLSX and XLS files
SPARE_ROWS = 1_000  # for captions above a table, beyond the limit on rows
MAX_MERGED = 10_000
MAX_MERGED_ROWS = 200_000  # of all merged areas together
_ASIDE = re.compile(rb"<!--|<\?")  # an XML comment or processing instruction
_READER = Path(__file__).with_name("workbook_cells.py")
_PLACE = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})")
_TEXTS = re.compile(rb"<(?:\w+:)?si[\s/>]")
_LONG_TAG = re.compile(rb"<[^<>]{%d}" % MAX_TAG)
_CONTENT = re.compile(r"xl/worksheets/.*|xl/sharedStrings\.xml", re.IGNORECASE)


class NotText(str):
    """A cell of a workbook whose text depends on the spreadsheet program; ``why`` gives the reason."""

    why: str

    def __new__(cls, text: str, why: str):
        cell = super().__new__(cls, text)
        cell.why = why
        return cell


def sheet_names(name: str, content: bytes) -> list[str]:
    """List the worksheets of an XLSX or XLS file in order; raises the errors of :func:`workbook_lines`."""
    return [title for title, _ in _values(name, content, -1)["sheets"]]


@dataclass
class _Sheet:
    """Facts from a sheet's XML that its values do not show."""

    name: str = ""
    hidden: bool = False
    filled: bool = False
    odd: dict[str, tuple[str, str]] = field(default_factory=dict)  # cell: (text, why)
    formulas: list[str] = field(default_factory=list)
    hidden_rows: list[int] = field(default_factory=list)
    hidden_columns: list[tuple[int, int]] = field(default_factory=list)
    merged: list[str] = field(default_factory=list)


def workbook_lines(
    name: str, content: bytes, sheet: str | None, *, fill_merged: bool = True
) -> tuple[list[list[str]], list[str], list[str]]:
    """Read the cells of a sheet, with notes for the user.

    Parameters
    ----------
    name : str
        Name of the file in messages.
    content : bytes
        An XLSX or XLS file.
    sheet : str, optional
        Needed if several sheets have content.
    fill_merged : bool
        Copy the value of vertically merged cells into each of them.

    Returns
    -------
    lines : list of list of str
        Without blank cells and lines at the ends; a cell that is not plain text or a number is a :class:`NotText`.
    notes : list of str
        Hidden sheets, rows and columns that were read.
    conversions : list of str
        Merged cells that were filled and formulas that were read as their values.

    Raises
    ------
    TableError
        The file is damaged, exceeds a limit or holds something that no spreadsheet program writes; or the sheet is
        missing or not named.
    """
    if content.startswith(OLD_WORKBOOK) or (name.lower().endswith(".xls") and not content.startswith(NEW_WORKBOOK)):
        return _old_workbook(name, content, sheet)
    check_package(name, content)
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        try:
            pages = _pages(package)
            n_texts = sum(
                len(_TEXTS.findall(package.read(part)))
                for part in package.namelist()
                if part.lower() == "xl/sharedstrings.xml"
            )
            scanned: dict[str, _Scan] = {}
            for _, _, part in pages:
                if part not in scanned:
                    scanned[part] = _Scan(name, n_texts, package.read(part))
        except TableError:
            raise
        except Exception as error:  # a damaged workbook can make its parser fail in any way
            raise _unreadable(name, type(error).__name__) from None
    filled = [page for page, _, part in pages if scanned[part].found.filled]
    chosen = _choose_sheet(name, [page for page, _, _ in pages], filled, sheet)
    if chosen is None:
        return [], [], []
    _, hidden, part = pages[chosen]
    page = scanned[part].found
    _check_number_of_areas(name, page.merged)
    found = _values(name, content, chosen)
    if [title for title, _ in found["sheets"]] != [title for title, _, _ in pages]:
        raise _unreadable(name, "its sheets are listed in two ways")
    rows = found["rows"]
    lines = [[_cell(page, row, column, *cell) for column, cell in enumerate(line)] for row, line in enumerate(rows)]
    conversions = _fill_merged(name, lines, page.merged) if fill_merged else []
    notes = _hidden_notes(page, pages[chosen][0] if hidden else None, len(lines))
    read = [place for place in page.formulas if place not in page.odd]
    if read:
        conversions.append(
            f"cells with a formula were read as the value that the workbook holds for them: {_first_ten(read)}"
        )
    return _trimmed(lines), notes, conversions


def _choose_sheet(name: str, pages: list[str], filled: list[str], sheet: str | None) -> int | None:
    if sheet is not None:
        if sheet not in pages:
            raise TableError(f"{name}: no sheet {sheet!r}; there are {_first_ten(map(repr, pages))}")
        return pages.index(sheet)
    if len(filled) > 1:
        raise TableError(
            f"{name}: several sheets have content: {_first_ten(map(repr, filled))}; choose one with --sheet"
        )
    return pages.index(filled[0]) if filled else None


def _hidden_notes(page: _Sheet, hidden_sheet: str | None, n_rows: int) -> list[str]:
    notes = (
        [f"sheet {hidden_sheet!r} is hidden in the workbook and is read all the same"]
        if hidden_sheet is not None
        else []
    )
    rows = [str(row) for row in page.hidden_rows if row <= n_rows]
    if rows:
        notes.append(f"rows hidden in the workbook are read like the others: {_first_ten(rows)} of the sheet")
    columns = [
        _letters(first) if first == last else f"{_letters(first)} to {_letters(last)}"
        for first, last in page.hidden_columns
    ]
    if columns:
        notes.append(
            f"columns hidden in the workbook are read like the others: column {_first_ten(columns)} of the sheet"
        )
    return notes


def _cell(page: _Sheet, row: int, column: int, kind: str, text: str) -> str:
    if not page.odd and not kind:
        return text
    place = f"{_letters(column + 1)}{row + 1}"
    if place in page.odd:
        return NotText(*page.odd[place])
    if kind:
        return NotText(text, "the workbook holds a date or a truth value there; write it as text")
    return text


def _fill_merged(name: str, lines: list[list[str]], merged: list[str]) -> list[str]:
    """Copy the value of vertically merged cells into each of them; return notes on what was done."""
    _check_number_of_areas(name, merged)
    done = []
    visited = 0
    filled: dict[str, set[int]] = {}
    for area in merged:
        ends = area.split(":")
        corners = [corner for corner in map(_PLACE.fullmatch, ends) if corner]
        if not len(ends) == len(corners) == 2:
            raise _unreadable(name, f"merged area {area[:40]!r}")
        (first, top), (last, bottom) = ((corner[1], int(corner[2])) for corner in corners)
        value = (
            lines[top - 1][_number(first) - 1] if top <= len(lines) and _number(first) <= len(lines[top - 1]) else ""
        )
        visited += min(bottom, len(lines)) - top + 1
        if visited > MAX_MERGED_ROWS:
            raise TableError(f"{name}: merged areas of more than {MAX_MERGED_ROWS:,} rows in all, the limit")
        _check_covered(name, lines, area, (_number(first), top), (_number(last), bottom))
        if (
            first != last or not value or top == bottom
        ):  # areas merged across are headings; the header itself has one row
            continue
        if bottom > MAX_ROWS + SPARE_ROWS:
            raise TableError(f"{name}: the merged area {area} ends beyond row {MAX_ROWS + SPARE_ROWS:,}, the limit")
        rows = set(range(top, bottom + 1))
        if rows & filled.setdefault(first, set()):
            raise TableError(f"{name}: the merged area {area} overlaps another, as no spreadsheet program writes it")
        filled[first] |= rows
        lines += [[] for _ in range(bottom - len(lines))]
        for line in lines[top:bottom]:
            line += [""] * (_number(first) - len(line))
            line[_number(first) - 1] = value
        done.append(area)
    return [f"cells merged in the workbook each got the value of the merged area: {_first_ten(done)}"] if done else []


def _check_number_of_areas(name: str, merged: list[str]) -> None:
    if len(merged) > MAX_MERGED:
        raise TableError(f"{name}: {len(merged):,} merged areas, the limit is {MAX_MERGED:,}")


def _check_covered(name: str, lines: list[list[str]], area: str, first: tuple[int, int], last: tuple[int, int]) -> None:
    """Refuse a merged area with a hidden cell that differs from the first, the only one shown."""
    (left, top), (right, bottom) = first, last
    value = None
    for row, line in enumerate(lines[top - 1 : bottom], top):
        for column, cell in enumerate(line[left - 1 : right], left):
            value = cell if value is None else value
            if cell and cell != value:
                raise TableError(
                    f"{name}: cell {_letters(column)}{row} of the sheet lies under the merged area {area[:40]} and"
                    " holds a value other than the one shown; unmerge the area, or empty the cell"
                )


def _trimmed(lines: list[list[str]]) -> list[list[str]]:
    for line in lines:
        while line and not line[-1]:
            line.pop()
    while lines and not lines[-1]:
        lines.pop()
    return lines


# --- the package --------------------------------------------------------------------------------------


def check_package(name: str, content: bytes) -> None:
    """Refuse XLSX packages that unpack to too many bytes or that declare entities, before anything parses them."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as package:
            parts = package.infolist()
            size = sum(part.file_size for part in parts)
            if len(parts) > MAX_PARTS:
                raise TableError(f"{name}: {len(parts)} parts in the workbook, the limit is {MAX_PARTS}")
            if len({part.filename.lower() for part in parts}) < len(parts):
                raise TableError(
                    f"{name}: two parts of the workbook have the same name, which no spreadsheet program writes"
                )
            if size > MAX_UNPACKED_BYTES:
                raise TableError(f"{name}: unpacks to {size:,} bytes, the limit is {MAX_UNPACKED_BYTES:,}")
            # zipfile unpacks no more than the declared size, so the sum above holds
            if sum(_check_part(name, part.filename, package.read(part)) for part in parts) > 2 * MAX_SHEET_TAGS:
                raise TableError(
                    f"{name}: more than {2 * MAX_SHEET_TAGS:,} tags in all parts of the workbook, the limit"
                )
    except TableError:
        raise
    except Exception as error:  # zipfile fails on damaged archives in many ways
        raise _unreadable(name, type(error).__name__) from None


def _check_part(name: str, part: str, xml: bytes) -> int:
    """Refuse a part that declares entities or an unusual encoding or exceeds a limit; return its number of tags."""
    if any(
        word.encode(code) in xml for word in ("<!DOCTYPE", "<!ENTITY") for code in ("utf-8", "utf-16-le", "utf-16-be")
    ):
        raise TableError(f"{name}: {part} declares XML entities, which no spreadsheet program writes")
    if not part.lower().endswith((".xml", ".rels")):
        return 0
    encoding = re.match(rb"""[^<]{0,4}<\?xml[^>]*?encoding\s*=\s*["']([^"']*)""", xml)
    if encoding and encoding[1].lower() not in (b"utf-8", b"utf-16", b"us-ascii", b"iso-8859-1"):
        raise TableError(
            f"{name}: {part} is in the encoding {encoding[1][:20].decode('ascii', 'replace')}, which no spreadsheet"
            " program writes"
        )
    limit = MAX_SHEET_TAGS if _CONTENT.fullmatch(part) else MAX_PART_TAGS
    if part.lower().endswith("sharedstrings.xml") and _ASIDE.search(xml, max(0, xml.find(b"<si"))):
        raise TableError(f"{name}: {part} holds an XML comment, which no spreadsheet program writes")
    n_tags = xml.count(b"<")
    if n_tags > limit:
        raise TableError(f"{name}: more than {limit:,} tags in {part}, the limit")
    if xml.count(b"=") > 2 * limit:
        raise TableError(f"{name}: more than {2 * limit:,} attributes in {part}, the limit")
    if _LONG_TAG.search(xml):
        raise TableError(f"{name}: a tag of more than {MAX_TAG:,} characters in {part}, the limit")
    return n_tags


def _pages(package: zipfile.ZipFile) -> list[tuple[str, bool, str]]:
    """Return, for each worksheet in order, its name, whether it is hidden, and its part."""
    root = next(
        link["Target"]
        for link in _tags(package.read("_rels/.rels"), "Relationship")
        if link["Type"].endswith("/officeDocument")
    )
    workbook = root.lstrip("/")
    folder, file = posixpath.split(workbook)
    links = {link["Id"]: link for link in _tags(package.read(f"{folder}/_rels/{file}.rels"), "Relationship")}
    pages = []
    for page in _tags(package.read(workbook), "sheet"):
        link = links[next(value for key, value in page.items() if key.rpartition(":")[2] == "id")]
        target = link["Target"]
        part = target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
        pages.append((page["name"], page.get("state", "visible") != "visible", part))
    return pages


def _tags(xml: bytes, wanted: str) -> list[dict[str, str]]:
    """Return the attributes of each tag with a name, whatever its namespace prefix."""
    found = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda tag, given: found.append(given) if tag.rpartition(":")[2] == wanted else None
    parser.Parse(xml, True)
    return found


class _Scan:
    """Reads a sheet's XML once and keeps the facts that its values alone do not show."""

    def __init__(self, name: str, n_texts: int, xml: bytes):
        self.name, self.n_texts, self.found = name, n_texts, _Sheet()
        self.row = self.column = self.size = 0
        self.kind = self.place = ""
        self.formula: str | None = None
        self.value: str | None = None
        self.text: list[str] | None = None
        self.n_data, self.zero_height = 0, False
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.CommentHandler = parser.ProcessingInstructionHandler = self.aside
        parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = (
            self.start,
            self.end,
            self.characters,
        )
        parser.Parse(xml, True)

    def start(self, tag: str, given: dict[str, str]) -> None:
        tag = tag.rpartition(":")[2]
        if tag == "row":
            self.start_row(given)
        elif tag == "c":
            self.start_cell(given)
        elif tag in ("f", "v", "t"):
            self.start_text(tag)
        elif tag == "is" and self.value is not None:
            self.fail_twice()
        elif tag == "sheetData":
            self.n_data += 1
            if self.n_data > 1:
                raise TableError(
                    f"{self.name}: a sheet holds its cells in two parts, which no spreadsheet program writes"
                )
        elif tag == "sheetFormatPr":
            self.zero_height = given.get("zeroHeight") in ("1", "true", "on")
        elif tag == "col" and (given.get("hidden") in ("1", "true", "on") or _is_zero(given.get("width"))):
            first, last = int(given["min"]), min(int(given["max"]), MAX_COLUMNS)
            if first <= last:
                self.found.hidden_columns.append((first, last))
        elif tag == "mergeCell":
            self.found.merged.append(given["ref"])

    def start_text(self, tag: str) -> None:
        if tag == "v" and self.value is not None:
            self.fail_twice()
        self.text = []

    def fail_twice(self) -> None:
        raise TableError(
            f"{self.name}: cell {_letters(self.column)}{self.row} of the sheet holds two values, which no spreadsheet"
            " program writes"
        )

    def aside(self, *_: str) -> None:
        """Refuse a comment or processing instruction inside a value: libraries read such cells differently."""
        if self.text is not None:
            raise TableError(
                f"{self.name}: cell {_letters(self.column)}{self.row} of the sheet holds an XML comment inside its"
                " value, which no spreadsheet program writes"
            )

    def start_row(self, given: dict[str, str]) -> None:
        number = int(given.get("r", self.row + 1))
        if number <= self.row:
            raise TableError(
                f"{self.name}: row {number} of the sheet stands after row {self.row}, as no spreadsheet program writes"
                " it; open the workbook and save it again"
            )
        self.row, self.column = number, 0
        without = self.zero_height and "ht" not in given and given.get("hidden") not in ("0", "false", "off")
        if given.get("hidden") in ("1", "true", "on") or _is_zero(given.get("ht")) or without:
            self.found.hidden_rows.append(number)

    def start_cell(self, given: dict[str, str]) -> None:
        place = given.get("r")
        if place is None:
            column = self.column + 1
        else:
            match = _PLACE.fullmatch(place)
            if not match or int(match[2]) != self.row:
                raise TableError(
                    f"{self.name}: row {self.row} of the sheet holds a cell {place[:20]!r}, as no spreadsheet program"
                    " writes it"
                )
            column = _number(match[1])
        if column <= self.column:
            raise TableError(
                f"{self.name}: row {self.row} of the sheet: cell {_letters(column)}{self.row} is given twice or out of"
                " order"
            )
        self.column, self.kind, self.formula, self.value, self.size = column, given.get("t", "n"), None, None, 0

    def characters(self, text: str) -> None:
        if self.text is None:
            return
        self.text.append(text)
        self.size += len(text)
        if self.size > MAX_CELL:
            raise TableError(
                f"{self.name}: cell {_letters(self.column)}{self.row} of the sheet holds more than {MAX_CELL:,}"
                " characters, the limit"
            )

    def end(self, tag: str) -> None:
        tag = tag.rpartition(":")[2]
        if tag in ("f", "v", "t"):
            text = "".join(self.text or [])
            if tag == "f":
                self.formula = text
            else:
                self.value = (self.value or "") + text
            self.text = None
        elif tag == "c":
            self.end_cell()

    def end_cell(self) -> None:
        if self.formula is None and not self.value:
            return
        place = f"{_letters(self.column)}{self.row}"
        if self.row > MAX_ROWS + SPARE_ROWS or self.column > MAX_COLUMNS:
            limit = f"row {MAX_ROWS:,}" if self.row > MAX_ROWS + SPARE_ROWS else f"column {MAX_COLUMNS}"
            raise TableError(
                f"{self.name}: cell {place} of the sheet (row {self.row}) holds something beyond {limit}, the limit"
            )
        self.found.filled = True
        if self.formula is not None:
            self.found.formulas.append(place)
            if not self.value:
                shown = f"={self.formula[:MAX_CELL]}"
                self.found.odd[place] = (
                    shown,
                    f"cell {place} holds a formula without a value; copy it and paste its value",
                )
        if self.kind == "e":
            self.found.odd[place] = (
                self.value or "",
                f"cell {place} holds the error {self.value} of a spreadsheet; correct it there, or empty it",
            )
        number = (self.value or "").strip()
        if self.kind == "s" and not (number.isascii() and number.isdigit() and int(number[:9]) < self.n_texts):
            raise TableError(
                f"{self.name}: cell {place} (row {self.row} of the sheet) points to text {number[:20]} "
                f"of {self.n_texts}, which is not there"
            )


# --- values -------------------------------------------------------------------------------------------


def _values(name: str, content: bytes, number: int) -> dict:
    """Return the reading process's result for a sheet; raise an error if it fails or exceeds a limit."""
    command = [sys.executable, "-P", str(_READER), str(number), str(READING_BYTES), str(READING_SECONDS)]
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=3 * READING_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise TableError(f"{name}: not read within {READING_SECONDS} seconds, the limit") from None
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2].partition(":")[0].rpartition(".")[2]
        if done.returncode < 0 or last == "MemoryError":
            raise TableError(
                f"{name}: takes more than {READING_BYTES:,} bytes or {READING_SECONDS} seconds to read, the limits"
            )
        raise _unreadable(name, last if last.isidentifier() else f"reader ended with {done.returncode}")
    return json.loads(done.stdout)


def _old_workbook(name: str, content: bytes, sheet: str | None) -> tuple[list[list[str]], list[str], list[str]]:
    """Do the work of :func:`workbook_lines` for XLS files, in which formulas and hidden rows cannot be detected."""
    names = [page for page, _ in _values(name, content, -1)["sheets"]]
    found = (
        [_values(name, content, number) for number in range(min(len(names), MAX_PARTS))]
        if sheet is None and len(names) < 30
        else []
    )
    filled = [page for page, values in zip(names, found, strict=True) if values["rows"]]
    chosen = _choose_sheet(name, names, filled if found else names, sheet)
    if chosen is None:
        return [], [], []
    values = found[chosen] if found else _values(name, content, chosen)
    if len(values["rows"]) > MAX_ROWS + SPARE_ROWS:
        raise TableError(f"{name}: more than {MAX_ROWS:,} rows, the limit")
    lines = [
        [_cell(_Sheet(), row, column, *cell) for column, cell in enumerate(line)]
        for row, line in enumerate(values["rows"])
    ]
    areas = [
        f"{_letters(left + 1)}{top + 1}:{_letters(right + 1)}{bottom + 1}"
        for (top, left), (bottom, right) in values["merged"]
    ]
    notes = [
        "formulas are read as the values that the XLS file holds, and hidden rows and columns like the others; save it"
        " as XLSX to have them named"
    ]
    return _trimmed(lines), notes, _fill_merged(name, lines, areas)


def _unreadable(name: str, why: str) -> TableError:
    old = name.lower().endswith(".xls")
    return TableError(
        f"{name}: not a readable {'XLS' if old else 'XLSX'} workbook ({why}); open it and "
        + ("save it as XLSX" if old else "save it again")
    )


def _is_zero(size: str | None) -> bool:
    """Return whether a width or height is given and is 0."""
    try:
        return size is not None and float(size) == 0
    except ValueError:
        return False


def _letters(column: int) -> str:
    text = ""
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text


def _number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


def _first_ten(items) -> str:
    """List at most ten items, and say how many more there are."""
    listed = list(items)
    return ", ".join(listed[:10]) + (f" and {len(listed) - 10} more" if len(listed) > 10 else "")
