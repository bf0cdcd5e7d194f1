"""Cells of CSV files that no spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
import math
from typing import Literal

import pandas as pd

from psps_paper.tables.files import _PROTECTED, _RUNS


def is_number(text: str) -> bool:
    """Whether a cell reads as a finite decimal number."""
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def runs_as_formula(text: str) -> bool:
    """Whether a spreadsheet would evaluate the cell."""
    return bool(_RUNS.match(text)) and not text.startswith("'") and not is_number(text)


def protected(text: str) -> str:
    """The cell with an apostrophe in front where a spreadsheet would evaluate it; undone by :func:`unprotected`."""
    return "'" + text if _RUNS.match(text) and not is_number(text) else text


def unprotected(text: str) -> str:
    """The cell as it was before :func:`protected`."""
    return text[1:] if _PROTECTED.match(text) else text


def cell_text(value: object) -> str:
    """A value as a cell: numbers with all their digits, missing values empty, text protected."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return repr(float(value))
    return protected(str(value))


def csv_bytes(table: pd.DataFrame) -> bytes:
    """A table as CSV in UTF-8 with line feeds; reading it back gives the same numbers, bit by bit."""
    lines = io.StringIO(newline="")
    rows = [[protected(str(column)) for column in table.columns]]
    rows += [[cell_text(value) for value in row] for row in table.itertuples(index=False)]
    # the writer quotes its own line end only, but a reader takes a carriage return for one too
    quoting: Literal[0, 1] = csv.QUOTE_ALL if any("\r" in cell for row in rows for cell in row) else csv.QUOTE_MINIMAL
    csv.writer(lines, lineterminator="\n", quoting=quoting).writerows(rows)
    return lines.getvalue().encode("utf-8")
