"""Cells of CSV files, written so that no spreadsheet takes them for formulas."""

from __future__ import annotations

import csv
import io
import math
from typing import Literal

import pandas as pd

from psps_paper.tables.files import _PROTECTED, _RUNS


def is_number(text: str) -> bool:
    """Return whether a cell reads as a finite decimal number."""
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def runs_as_formula(text: str) -> bool:
    """Return whether a spreadsheet would evaluate the cell."""
    return bool(_RUNS.match(text)) and not text.startswith("'") and not is_number(text)


def protected(text: str) -> str:
    """Put an apostrophe before a cell that a spreadsheet would evaluate; :func:`unprotected` undoes it."""
    return "'" + text if _RUNS.match(text) and not is_number(text) else text


def unprotected(text: str) -> str:
    """Restore a cell to its text before :func:`protected`."""
    return text[1:] if _PROTECTED.match(text) else text


def cell_text(value: object) -> str:
    """Write a value as a cell: numbers with all their digits, missing values empty, text protected."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return repr(float(value))
    return protected(str(value))


def csv_bytes(table: pd.DataFrame) -> bytes:
    """Write a table as CSV in UTF-8 with line feeds; reading it back gives identical numbers."""
    lines = io.StringIO(newline="")
    rows = [[protected(str(column)) for column in table.columns]]
    rows += [[cell_text(value) for value in row] for row in table.itertuples(index=False)]
    # the writer quotes only its own line end, but a reader also takes a carriage return for one
    quoting: Literal[0, 1] = csv.QUOTE_ALL if any("\r" in cell for row in rows for cell in row) else csv.QUOTE_MINIMAL
    csv.writer(lines, lineterminator="\n", quoting=quoting).writerows(rows)
    return lines.getvalue().encode("utf-8")
