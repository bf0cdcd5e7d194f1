"""Single cells of imported files: what counts as missing, what as a number."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import pandas as pd

from psps_paper.living.reading import NotText
from psps_paper.tables.csv_text import runs_as_formula, unprotected
from psps_paper.tables.errors import TableError

MISSING = frozenset({"", "na", "n/a", "nan", "null", "."})


EXPECTED = {
    "number": (lambda x: True, "a number"),
    "positive": (lambda x: x > 0, "a number greater than 0"),
    "sample size": (lambda x: x >= 2 and x % 1 == 0, "a sample size, a whole number of at least 2"),
    "count": (lambda x: x >= 0 and x % 1 == 0, "a count, a whole number of at least 0"),
}


LARGEST = 1e9  # beyond it a number is a slip, and its square would leave the range of a float


class _Cells:
    """Reads cells as labels or numbers; an error names file, row, column, value and what was expected."""

    def __init__(self, file: str, decimal_comma: bool, labels: Mapping[str, str], conversions: list[str]):
        self.file, self.decimal_comma, self.labels, self.conversions = file, decimal_comma, labels, conversions
        self.marks: dict[str, tuple[str, object, str]] = {}
        self.labels_seen: set[str] = set()
        self.treatments_seen: set[str] = set()

    def fail(self, row: object, column: str, cell: str, expected: str):
        shown = repr(cell if len(cell) <= 80 else cell[:79] + "\N{HORIZONTAL ELLIPSIS}")
        raise TableError(f"{self.file}, row {row}, column {column}: {shown} is not {expected}")

    def label(self, row: object, column: str, cell: str, *, treatment: bool) -> str:
        if isinstance(cell, NotText):
            self.fail(row, column, cell, "text: the workbook holds a date or a truth value there; write it as text")
        text = unprotected(" ".join(cell.split()))
        if text.lower() in MISSING:
            self.fail(row, column, cell, "a label")
        if runs_as_formula(cell):
            self.fail(row, column, cell, f"text that is safe in a spreadsheet: it begins with {cell[0]!r}, like a formula")
        if not treatment:
            return text
        self.treatments_seen.add(text)
        if text in self.labels:
            self.labels_seen.add(text)
            return self.labels[text]
        return text

    def number(self, row: object, column: str, cell: str, kind: str) -> float:
        """A number, or NaN for a missing one."""
        if cell.lower() in MISSING:
            return math.nan
        text = cell
        if "\N{MINUS SIGN}" in text:
            text = text.replace("\N{MINUS SIGN}", "-")
            self._note("typographic minus signs were read as minus")
        if self.decimal_comma and ("," in text or "." in text):
            mark = "," if "," in text else "."
            other, other_row, other_cell = self.marks.setdefault(column, (mark, row, cell))
            if other != mark:
                self.fail(row, column, cell, f"written like {other_cell!r} in row {other_row}: one column has one decimal sign")
            text = text.replace(",", ".", 1)
        accepted, expected = EXPECTED[kind]
        try:
            value = float(text) if "_" not in text else math.nan
        except ValueError:
            value = math.nan
        if math.isnan(value) or not accepted(value):
            hint = "; write it with a decimal point" if "," in cell and not self.decimal_comma else ""
            self.fail(row, column, cell, expected + hint)
        if abs(value) > LARGEST or (kind == "positive" and value < 1 / LARGEST):
            self.fail(row, column, cell, f"a number of a believable size (at most {LARGEST:,.0f}, at least its inverse)")
        return value

    def _note(self, sentence: str) -> None:
        if sentence not in self.conversions:
            self.conversions.append(sentence)


def _lines(cells: pd.DataFrame) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows as (number, column to cell)."""
    columns = list(cells.columns)
    return ((row, dict(zip(columns, line, strict=True))) for row, line in zip(cells.index, cells.to_numpy().tolist(), strict=True))
