"""Decimal commas and thousands separators: decided for a whole column and reported; ambiguous columns are refused."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NoReturn

from psps_paper.tables.errors import TableError

_POINTS = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+(,\d+)?")  # 1.250 or 1.250,5
_COMMAS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")  # 1,250 or 1,250.5
_LARGE = re.compile(r"[+-]?\d{3,}([.,]\d+)?")


class Decimals:
    """Notation of the numbers in each column.

    Parameters
    ----------
    file : str
        Name of the file, for messages.
    separator : str
        Separator of the file's cells: with a comma, or in a workbook (no separator), numbers have decimal points.
    asked : {"comma", "point"}, optional
        The decimal sign of all columns, as requested.
    columns : mapping of str to sequence of (row, cell)
        The numeric columns that are read.

    Attributes
    ----------
    conversions : list of str
        One sentence for each departure from English notation.

    Raises
    ------
    TableError
        A column uses two notations, or one that could be read in two ways.
    """

    def __init__(
        self,
        file: str,
        separator: str,
        asked: str | None,
        columns: Mapping[str, Sequence[tuple[object, str]]],
    ):
        self.file, self.asked = file, asked
        self.conversions: list[str] = []
        self.signs: dict[str, tuple[str, str]] = {}  # column: (thousands, decimal)
        if not separator and asked:
            raise TableError(
                f"{file}: --decimal {asked}: a workbook stores numbers without a decimal sign; correct numbers stored"
                " as text"
                " there"
            )
        if separator in ("", ",") and asked is None:
            return
        commas = asked == "comma" or any("," in cell for cells in columns.values() for _, cell in cells)
        for column, cells in columns.items():
            marked = [(row, cell) for row, cell in cells if "," in cell or "." in cell]
            if marked:
                self.signs[column] = self._signs(column, marked, cells, separator, commas)
        decimal = [
            column
            for column, (_, sign) in self.signs.items()
            if sign == "," and any("," in cell for _, cell in columns[column])
        ]
        if decimal:
            self.conversions.append(
                "decimal commas were read as decimal points"
                + (", since semicolons separate the cells" if separator == ";" else "")
                + f": column {', '.join(decimal)}"
            )
        for column, (thousands, _) in self.signs.items():
            rows = [(row, cell) for row, cell in columns[column] if thousands and thousands in cell]
            if rows:
                name = "points" if thousands == "." else "commas"
                self.conversions.append(
                    f"{name} were read as separators of thousands: column {column}, "
                    + ", ".join(f"row {row} ({cell})" for row, cell in rows[:20])
                    + (" and more" if len(rows) > 20 else "")
                )

    def _signs(self, column: str, marked: list, cells: Sequence, separator: str, commas: bool) -> tuple[str, str]:
        thousands_points = all(_POINTS.fullmatch(cell) for _, cell in marked if "." in cell)
        thousands_commas = all(_COMMAS.fullmatch(cell) for _, cell in marked if "," in cell)
        pointed, comma = any("." in cell for _, cell in marked), any("," in cell for _, cell in marked)
        row, cell = next(((row, cell) for row, cell in marked if ("." in cell) == pointed), marked[0])
        if self.asked:
            wrong = [pair for pair in marked if ("." if self.asked == "comma" else ",") in pair[1]]
            if not (thousands_points if self.asked == "comma" else thousands_commas):
                self._fail(*wrong[0], column, f"a number with a decimal {self.asked}, as --decimal requires")
            return (".", ",") if self.asked == "comma" else (",", ".")
        # Evidence for thousands separators: a large number without any, or several of the same sign in a cell
        thousands = any(_LARGE.fullmatch(text) for _, text in cells if "." not in text) or any(
            text.count(".") > 1 or ("." in text and "," in text) for _, text in marked
        )
        if pointed and comma:
            if thousands_points and not thousands_commas:
                return (".", ",") if thousands else self._fail_as_ambiguous(row, cell, column)
            if thousands_commas and not thousands_points and any("," in cell and "." in cell for _, cell in marked):
                return ",", "."
            first_row, first = marked[0]
            other_row, other = next((pair for pair in marked if ("," in pair[1]) != ("," in first)), marked[-1])
            self._fail(
                other_row, other, column, f"written like {first!r} in row {first_row}: one column has one decimal sign"
            )
        if pointed and thousands_points:
            if commas and thousands:
                return ".", ","
            if commas or thousands:
                self._fail_as_ambiguous(row, cell, column)
        if comma and thousands_commas and separator != ";":
            self._fail_as_ambiguous(row, cell, column)
        return ("", ",") if comma else ("", ".")

    def _fail_as_ambiguous(self, row: object, cell: str, column: str) -> NoReturn:
        raise TableError(
            f"{self.file}, row {row}, column {column}: {cell!r} may be {cell.replace('.', '').replace(',', '')} or "
            f"{cell.replace(',', '.')}; use --decimal point or --decimal comma"
        )

    def _fail(self, row: object, cell: str, column: str, expected: str) -> None:
        raise TableError(f"{self.file}, row {row}, column {column}: {cell!r} is not {expected}")

    def plain(self, column: str, cell: str) -> str:
        """Rewrite a cell as Python writes numbers."""
        thousands, decimal = self.signs.get(column, ("", "."))
        text = cell.replace(thousands, "") if thousands else cell
        return text if decimal == "." else text.replace(decimal, ".", 1)
