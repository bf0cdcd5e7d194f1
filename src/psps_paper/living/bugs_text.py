"""Read data of WinBUGS and JAGS, given as a list or a dump of R, as lines of a table."""

from __future__ import annotations

import re

from psps_paper.tables.errors import TableError

_NAME = r"[\"'`]?([A-Za-z][\w.]*)[\"'`]?\s*(?:=|<-)\s*"
_MATRIX = re.compile(
    _NAME + r"structure\s*\(\s*(\.Data\s*=\s*)?c\s*\(([^()]*)\)\s*,\s*\.?[Dd]im\s*=\s*c\s*\(([^()]*)\)"
)
_VECTOR = re.compile(_NAME + r"c\s*\(([^()]*)\)")


def bugs_lines(name: str, text: str) -> tuple[list[list[str]], str] | None:
    """Read the matrices of a list of BUGS, or of a dump of R, as columns such as ``r[,1]``.

    Parameters
    ----------
    name : str
        Of the file, for messages.
    text : str

    Returns
    -------
    (lines, conversion) or None
        None where the text holds no matrix.

    Raises
    ------
    TableError
        The dimensions of a matrix do not match its values, or matrices differ in their number of rows.

    Examples
    --------
    >>> bugs_lines("a.txt", "list(r=structure(.Data=c(9,5,8,6),.Dim=c(2,2)), na=c(2,2))")[0]
    [['r[,1]', 'r[,2]', 'na[]'], ['9', '5', '2'], ['8', '6', '2']]
    """
    bare = re.sub(r"#[^\n]*", "", text)
    found = list(_MATRIX.finditer(bare))
    if not found:
        return None
    columns: dict[str, list[str]] = {}
    ways = set()
    for matrix in found:
        values = _values(matrix[3])
        dimensions = [int(text.rstrip("L")) for text in _values(matrix[4]) if text.rstrip("L").isdigit()]
        if len(dimensions) != 2 or dimensions[0] * dimensions[1] != len(values):
            raise TableError(
                f"{name}: matrix {matrix[1]!r} has {len(values)} values and dimensions {matrix[4].strip()};"
                " expected rows times columns"
            )
        rows, width = dimensions
        # BUGS fills the rows of .Data one after the other, R the columns
        of_row = [values[k * width : (k + 1) * width] if matrix[2] else values[k::rows] for k in range(rows)]
        ways.add("row by row" if matrix[2] else "column by column")
        columns |= {f"{matrix[1]}[,{k + 1}]": [row[k] for row in of_row] for k in range(width)}
    length = len(next(iter(columns.values())))
    if any(len(column) != length for column in columns.values()):
        raise TableError(f"{name}: the matrices have different numbers of rows; expected one row for each study")
    for vector in _VECTOR.finditer(_MATRIX.sub("", bare)):
        if len(_values(vector[2])) == length:
            columns[f"{vector[1]}[]"] = _values(vector[2])
    said = f"matrices were read {' and '.join(sorted(ways))}: {', '.join(matrix[1] for matrix in found)}"
    return [list(columns), *map(list, zip(*columns.values(), strict=True))], said


def _values(text: str) -> list[str]:
    return [value.strip().strip("\"'") for value in text.split(",")]
