"""Single cells of imported files: what counts as missing, and what counts as a number."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from psps_paper.living.decimals import Decimals
from psps_paper.living.formats import Layout
from psps_paper.living.model import ImportLog, Options
from psps_paper.living.reading import without_invisible
from psps_paper.tables.csv_text import runs_as_formula, unprotected
from psps_paper.tables.errors import TableError
from psps_paper.tables.workbook import NotText

MISSING = frozenset({"", "na", "n/a", "nan", "null", ".", "nr", "not reported", "not available"})
# Also stands for a missing number, but may be the short name of a treatment
_DASHES = ("-", "--", "\N{EN DASH}", "\N{EM DASH}", "\N{MINUS SIGN}", "..", "...", "?")
_SHORT = ("n.a.", "n.r.", "nd", "n.d.", "ne", "n.e.", "not stated", "not given", "not estimable", "not applicable")
NO_NUMBER = MISSING | {*_DASHES, *_SHORT, "unknown", "unclear", "missing", "#n/a"}
_MARKED = re.compile(
    "(?<=[0-9.,)])\\s*[*\N{DAGGER}\N{DOUBLE DAGGER}\N{SECTION SIGN}\N{PILCROW SIGN}\u1d43\u1d47\u1d9c]+"
)
_CODES = frozenset({-88.0, -99.0, -888.0, -999.0, -9999.0, 9999.0, 99999.0})  # codes of missing values in SPSS and SAS
_DASH = re.compile("[\u2012\u2013\ufe63\uff0d](?=[0-9.])")  # a dash or wide minus in front of a number
_RAISED = re.compile("(?<=[0-9])\u00b7(?=[0-9])")  # the decimal point of some journals
_GROUPED = re.compile("[-+]?[0-9]{1,3}([ \u00a0\u2009\u202f'\u2019][0-9]{3})+([.,][0-9]+)?")  # 1 250 or 1'250.5


EXPECTED = {
    "number": (lambda x: True, "a number"),
    "positive": (lambda x: x > 0, "a number greater than 0"),
    "sample size": (lambda x: x >= 2 and x % 1 == 0, "a sample size, a whole number of at least 2"),
    "p-value": (lambda x: 0 < x < 1, "a p-value, a number between 0 and 1 without a sign such as <"),
    "count": (lambda x: x >= 0 and x % 1 == 0, "a count, a whole number of at least 0"),
}


LARGEST = 1e9  # a larger number is a typing error, and powers of it would overflow a float


class _Cells:
    """Reader of cells as labels or numbers; its errors name file, row, column, value and what was expected."""

    def __init__(self, file: str, decimals: Decimals, labels: Mapping[str, str], log: ImportLog):
        self.file, self.decimals, self.labels, self.log = file, decimals, labels, log
        self.invisible: dict[str, list[object]] = {}
        self.grouped: dict[str, list[object]] = {}
        self.marked: dict[str, list[object]] = {}
        self.codes: dict[str, list[object]] = {}
        self.labels_seen: set[str] = set()
        self.treatments_seen: set[str] = set()

    def fail(self, row: object, column: str, cell: str, expected: str):
        shown = repr(str(cell) if len(cell) <= 80 else cell[:79] + "\N{HORIZONTAL ELLIPSIS}")
        if isinstance(cell, NotText) and cell.why not in expected:
            expected += f": {cell.why}"
        raise TableError(f"{self.file}, row {row}, column {column}: {shown} is not {expected}")

    def label(self, row: object, column: str, cell: str, *, treatment: bool) -> str:
        if isinstance(cell, NotText):
            self.fail(row, column, cell, f"text: {cell.why}")
        seen = " ".join(unicodedata.normalize("NFC", without_invisible(unprotected(cell))).split())
        text = unprotected(re.sub("[ \t\r\n]+", " ", cell).strip())
        if seen != text:
            self.invisible.setdefault(text, []).append(row)
        text = seen
        if text.lower() in MISSING:
            self.fail(row, column, cell, "a label")
        if runs_as_formula(cell):
            self.fail(
                row, column, cell, f"text that is safe in a spreadsheet: it begins with {cell[0]!r}, as formulas do"
            )
        if not treatment:
            return text
        self.treatments_seen.add(text)
        if text in self.labels:
            self.labels_seen.add(text)
            return self.labels[text]
        return text

    def number(self, row: object, column: str, cell: str, kind: str) -> float:
        """Read a number, or NaN for a missing one."""
        if cell.lower() in NO_NUMBER:
            return math.nan
        text = cell if isinstance(cell, NotText) else self._digits(row, column, cell)
        text = self.decimals.plain(column, text)
        accepted, expected = EXPECTED[kind]
        try:
            value = float(text) if "_" not in text and not isinstance(cell, NotText) else math.nan
        except ValueError:
            value = math.nan
        if math.isnan(value) or not accepted(value):
            undecided = "," in cell and column not in self.decimals.signs
            hint = "; use --decimal comma, or point if commas separate thousands" if undecided else ""
            self.fail(row, column, cell, expected + hint)
        if abs(value) > LARGEST or (kind == "positive" and value < 1 / LARGEST):
            self.fail(row, column, cell, f"a number of a plausible size (at most {LARGEST:,.0f}, at least its inverse)")
        if kind == "number" and value in _CODES:
            self.codes.setdefault(f"{value:g} in column {column}", []).append(row)
        return value

    def _digits(self, row: object, column: str, cell: str) -> str:
        """Clean a number's text of zero-width characters, other minus signs and thousands separators, and note each."""
        text = without_invisible(cell)
        if text != cell:
            self.invisible.setdefault(cell, []).append(row)
        bare = without_marks(text)
        if bare != text:
            self.marked.setdefault(column, []).append(f"{row} ({text})")
        text = bare
        minus = _DASH.sub("-", text.replace("\N{MINUS SIGN}", "-"), count=1)
        if minus != text:
            self._note("typographic minus signs were read as minus")
        point = _RAISED.sub(".", minus)
        if point != minus:
            self._note("raised points were read as decimal points")
        minus = point
        if not _GROUPED.fullmatch(minus):
            return minus
        self.grouped.setdefault(column, []).append(f"{row} ({minus})")
        return re.sub("[ \u00a0\u2009\u202f'\u2019]", "", minus)

    def conversions(self) -> list[str]:
        """List what was changed in labels and numbers."""
        grouped = [
            f"blanks or apostrophes were read as separators of thousands: column {column}, row {_some_rows(rows)}"
            for column, rows in self.grouped.items()
        ]
        grouped += [
            f"footnote marks were removed from numbers: column {column}, row {_some_rows(rows)}"
            for column, rows in self.marked.items()
        ]
        return grouped + [
            (
                f"zero-width characters were removed from {text!a}: row {_some_rows(rows)}"
                if without_invisible(text) != text
                else f"unusual blanks or accents were normalised in {text!a}: row {_some_rows(rows)}"
            )
            for text, rows in self.invisible.items()
        ]

    def notes(self) -> list[str]:
        """List numbers that may be codes of missing values."""
        return [
            f"{found} may be the code of a missing value (row {_some_rows(rows)}): if it is, leave the cell empty"
            for found, rows in self.codes.items()
        ]

    def _note(self, sentence: str) -> None:
        if sentence not in self.log.conversions:
            self.log.record(sentence)


def without_marks(text: str) -> str:
    """Remove the footnote marks at the end of a number."""
    found = _MARKED.search(text)
    return text[: found.start()] if found and found.end() == len(text) else text


def with_plain_points(text: str) -> str:
    """Write raised decimal points as points."""
    return _RAISED.sub(".", text)


@dataclass(frozen=True, eq=False)
class Reading:
    """A file being read: its columns, how its cells are read, the options, and the log.

    Attributes
    ----------
    layout : Layout
    cells : _Cells
    options : Options
    outcome : Series
        Row of ``outcomes.csv``.
    log : ImportLog
    """

    layout: Layout
    cells: _Cells
    options: Options
    outcome: pd.Series
    log: ImportLog

    @property
    def file(self) -> str:
        return self.cells.file


def _some_rows(rows: list) -> str:
    return ", ".join(map(str, rows[:20])) + (f" and {len(rows) - 20} more" if len(rows) > 20 else "")


def _lines(cells: pd.DataFrame) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield rows as (number, mapping of column to cell)."""
    columns = list(cells.columns)
    return (
        (row, dict(zip(columns, line, strict=True)))
        for row, line in zip(cells.index, cells.to_numpy().tolist(), strict=True)
    )
