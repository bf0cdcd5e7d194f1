"""Split cells that hold an estimate and its interval, as papers print them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection

from psps_paper.living.cells import MISSING
from psps_paper.living.reading import RawTable, without_invisible

_LIMITS = re.compile(
    r"[(\[]?\s*95\s*%?[\s-]*(ci|confidence interval)\s*[)\]]?|(ci|confidence interval)\s*[(\[]?95\s*%?[)\]]?", re.I
)
_EFFECT = re.compile(r"(?P<effect>.*?\w)[\s,;]*[(\[]?\s*95\s*%?[\s-]*(ci|confidence interval)\s*[)\]]?", re.I)
_MINUS = "[-\\N{MINUS SIGN}\\N{EN DASH}]"
_SIGN = _MINUS + "?"


def _pair(number: str, sign: str, between: str) -> str:
    return rf"[(\[]?\s*(?P<lower>{sign}{number}){between}(?P<upper>{sign}{number})\s*[)\]]?"


_POINT, _COMMA = r"\d+(?:\.\d+)?", r"\d+(?:,\d+)?"
# A hyphen between limits could be the sign of the second, so it is accepted only between limits without signs
_PAIRS = (
    *(_pair(number, _SIGN, r"\s*(?:to|;|\.\.\.?)\s*") for number in (_POINT, _COMMA)),
    _pair(_POINT, _SIGN, r"\s*,\s*"),
    *(_pair(number, "", rf"\s*{_MINUS}\s*") for number in (_POINT, _COMMA)),
)
_CELLS = [re.compile(pair) for pair in _PAIRS]
_WITH_EFFECT = [
    re.compile(rf"(?P<effect>{_MINUS}?{number})[\s,;]*(?=[(\[]){pair}")
    for number, pair in zip((_POINT, _COMMA, _POINT, _POINT, _COMMA), _PAIRS, strict=True)
]


def with_limits_apart(raw: RawTable, kept: Collection[str] = ()) -> RawTable:
    """Split a column such as ``95% CI`` (0.5 to 0.98) or ``HR (95% CI)`` into one column per number.

    A column is split only if all its cells have this form and the file has no other columns of limits; otherwise the
    table is returned unchanged. Limits of a level other than 95 % and the columns ``kept`` are left alone.

    Examples
    --------
    >>> raw = RawTable("a.csv", ["study", "HR (95% CI)"], [["Ko", "0.70 (0.50 to 0.98)"]], "")
    >>> with_limits_apart(raw).columns
    ['study', 'HR', '95% CI lower', '95% CI upper']
    """
    for number, name in enumerate(raw.columns):
        alone, beside = _LIMITS.fullmatch(name.strip()), _EFFECT.fullmatch(name.strip())
        if (not alone and not beside) or name in kept:
            continue
        names = ([] if alone else [beside["effect"].strip(" (")]) + ["95% CI lower", "95% CI upper"]
        if set(names) & set(raw.columns):
            continue
        cells = [_split_cell(row[number], _CELLS if alone else _WITH_EFFECT, len(names)) for row in raw.rows]
        if None in cells or not any(any(cell) for cell in cells):
            continue
        rows = [[*row[:number], *cell, *row[number + 1 :]] for row, cell in zip(raw.rows, cells, strict=True)]
        columns = [*raw.columns[:number], *names, *raw.columns[number + 1 :]]
        said = f"column {name!r} was read as {', '.join(names)}"
        return dataclasses.replace(raw, columns=columns, rows=rows, conversions=(*raw.conversions, said))
    return raw


def _split_cell(cell: str, patterns: list[re.Pattern], count: int) -> list[str] | None:
    """Split the numbers of a cell, as text; empty texts if it is missing, None if it has another form."""
    text = without_invisible(cell).strip()
    if text.lower() in MISSING:
        return [""] * count
    for pattern in patterns:
        if found := pattern.fullmatch(text):
            return [found[name] for name in ("effect", "lower", "upper") if name in pattern.groupindex]
    return None
