"""Split cells that hold an estimate and its interval, as papers print them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection

from psps_paper.living.cells import NO_NUMBER, with_plain_points, without_marks
from psps_paper.living.formats import plain
from psps_paper.living.reading import RawTable, without_invisible

_LIMITS = re.compile(
    r"[(\[]?\s*95\s*%?[\s-]*(ci|confidence interval)\s*[)\]]?|(ci|confidence interval)(\s*[(\[]?95\s*%?[)\]]?)?", re.I
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
        said += "" if "95" in name else ", taken to be of 95 %"
        return dataclasses.replace(raw, columns=columns, rows=rows, conversions=(*raw.conversions, said))
    return raw


_AROUND = r"(?P<before>.*?){}(?P<after>.*)"
_NUMBER = rf"{_SIGN}\d+(?:[.,]\d+)?"
_BETWEEN = r"\s*(?:to|;|,(?=\s)|\N{EN DASH}|-)\s*"
_IN_BRACKETS = rf"(?P<a>{_NUMBER})\s*[(\[]\s*(?P<b>\d+(?:[.,]\d+)?){_BETWEEN}(?P<c>\d+(?:[.,]\d+)?)\s*[)\]]"
_SPREADS = r"s\.?d\.?|s\.?e\.?m?\.?|standard deviation|standard error"
# Header, cell, and what the parts are called
_PARTS = (
    (
        rf"\bmean\s*(?:[(\[,;/]|\N{{PLUS-MINUS SIGN}}|\+/?-)?\s*(?P<spread>{_SPREADS})\s*[)\]]?(?!\w)",
        rf"(?P<a>{_NUMBER})\s*(?:\N{{PLUS-MINUS SIGN}}|\+/?-|[(\[])\s*(?P<b>\d+(?:[.,]\d+)?)\s*[)\]]?",
        ("mean", "spread"),
    ),
    (
        r"\b(?:events?|n|r|cases|responders|no)\s*/\s*(?:n|total)(?:\s*\(%\))?(?!\w)",
        r"(?P<a>\d+)\s*/\s*(?P<b>\d+)(?:\s*\(\d+(?:[.,]\d+)?\s*%?\))?",
        ("events", "n"),
    ),
    (
        r"\b(?:events?|n|r|cases|responders)\s*[(\[,]\s*%\s*[)\]]?(?!\w)",
        r"(?P<a>\d+)\s*[(\[]\d+(?:[.,]\d+)?\s*%?[)\]]",
        ("events",),
    ),
    (
        r"\bmedian\s*[(\[,]?\s*(?:iqr|interquartile range|q1.{1,3}q3)\s*[)\]]?(?!\w)",
        _IN_BRACKETS,
        ("median", "q1", "q3"),
    ),
    (r"\bmedian\s*[(\[,]?\s*(?:range|min.{1,3}max)\s*[)\]]?(?!\w)", _IN_BRACKETS, ("median", "minimum", "maximum")),
)
_VERSUS = re.compile(r"(.+?)\s+(?:vs?\.?|versus|against|compared (?:with|to))\s+(.+)", re.I)


def with_parts_apart(raw: RawTable, kept: Collection[str] = ()) -> RawTable:
    """Split columns such as ``mean (SD)``, ``n/N``, ``events (%)`` or ``median [IQR]`` into one column per number.

    A column in which any cell has another form stays as it is.

    Examples
    --------
    >>> raw = RawTable("a.csv", ["study", "mean (SD)", "events/n"], [["Ko", "5.1 (2.0)", "9/40"]], "")
    >>> with_parts_apart(raw).columns, with_parts_apart(raw).rows
    (['study', 'mean', 'sd', 'events', 'n'], [['Ko', '5.1', '2.0', '9', '40']])
    """
    for name in raw.columns:
        for header, cell, parts in _PARTS:
            found = re.fullmatch(_AROUND.format(header), name, re.I | re.S)
            if not found or name in kept:
                continue
            names = [_part(found, part) for part in parts]
            number = raw.columns.index(name)
            others = [*raw.columns[:number], *raw.columns[number + 1 :]]
            plainly = {other.lower() for other in others}
            cells = [_taken_apart(row[number], re.compile(cell), len(parts)) for row in raw.rows]
            if any(part.lower() in plainly for part in names) or None in cells or not any(any(c) for c in cells):
                continue
            said = f"column {name!r} was read as {', '.join(names)}" + ", without the percentages" * ("%" in name)
            raw = dataclasses.replace(
                raw,
                columns=[*raw.columns[:number], *names, *raw.columns[number + 1 :]],
                rows=[[*r[:number], *c, *r[number + 1 :]] for r, c in zip(raw.rows, cells, strict=True)],
                conversions=(*raw.conversions, said),
            )
            break
    return raw


def _part(found: re.Match, part: str) -> str:
    """Name a part, with the words around it that identify its arm."""
    if part == "spread":
        part = "se" if re.match(r"s\.?e|standard e", found["spread"], re.I) else "sd"
    return " ".join(f"{found['before']} {part} {found['after']}".split())


def _taken_apart(cell: str, pattern: re.Pattern, count: int) -> list[str] | None:
    text = with_plain_points(without_marks(without_invisible(cell).strip()))
    if text.lower() in NO_NUMBER:
        return [""] * count
    found = pattern.fullmatch(text)
    return [found[name] for name in "abc"[:count]] if found else None


def with_treatments_apart(raw: RawTable, kept: Collection[str] = ()) -> RawTable:
    """Split a column ``comparison`` of "A vs B" into treat1 and treat2, if every cell has this form.

    Examples
    --------
    >>> raw = RawTable("a.csv", ["study", "Comparison", "te"], [["Ko", "low vs. high", "0.1"]], "")
    >>> with_treatments_apart(raw).rows
    [['Ko', 'low', 'high', '0.1']]
    """
    for number, name in enumerate(raw.columns):
        if name.lower().strip() not in ("comparison", "contrast", "treatments", "comparisons") or name in kept:
            continue
        cells = [_VERSUS.fullmatch(row[number]) for row in raw.rows]
        pairs = [list(cell.groups()) for cell in cells if cell]
        if any(_VERSUS.fullmatch(side) for pair in pairs for side in pair):
            continue
        if len(pairs) < len(cells) or {"treat1", "treat2"} & set(raw.columns):
            continue
        said = f"column {name!r} was read as treat1 and treat2, the names on both sides of 'vs'"
        return dataclasses.replace(
            raw,
            columns=[*raw.columns[:number], "treat1", "treat2", *raw.columns[number + 1 :]],
            rows=[[*r[:number], *p, *r[number + 1 :]] for r, p in zip(raw.rows, pairs, strict=True)],
            conversions=(*raw.conversions, said),
        )
    return raw


def with_sizes(raw: RawTable, kept: Collection[str] = ()) -> RawTable:
    """Add the size of each arm, the sum of its events and non-events, where no column holds it.

    Examples
    --------
    >>> with_sizes(RawTable("a.csv", ["study", "ai", "bi", "ci", "di"], [["Ko", "9", "31", "5", "36"]], "")).rows
    [['Ko', '9', '31', '5', '36', '40', '41']]
    """
    columns = {plain(name): name for name in raw.columns}
    for events, others, size in (("ai", "bi", "n1i"), ("ci", "di", "n2i"), ("events", "nonevents", "n")):
        if not {events, others} <= columns.keys() or size in columns or {columns[events], columns[others]} & set(kept):
            continue
        places = [raw.columns.index(columns[name]) for name in (events, others)]
        pairs = [[row[place] for place in places] for row in raw.rows]
        sums = [str(sum(map(int, pair))) if all(c.isascii() and c.isdigit() for c in pair) else "" for pair in pairs]
        raw = dataclasses.replace(
            raw,
            columns=[*raw.columns, size],
            rows=[[*row, total] for row, total in zip(raw.rows, sums, strict=True)],
            conversions=(*raw.conversions, f"{size} is the sum of {columns[events]} and {columns[others]}"),
        )
    return raw


def without_twins(raw: RawTable, kept: Collection[str] = ()) -> RawTable:
    """Leave out columns that repeat another cell for cell under a name that differs in case or punctuation only.

    Examples
    --------
    >>> without_twins(RawTable("a.csv", ["TE", ".TE"], [["0.1", "0.1"]], "")).columns
    ['TE']
    """
    first: dict[str, int] = {}
    twins = []
    for number in sorted(range(len(raw.columns)), key=lambda k: (not raw.columns[k][:1].isalnum(), k)):
        other = first.setdefault(plain(raw.columns[number]), number)
        if other != number and raw.columns[number] not in kept and all(r[number] == r[other] for r in raw.rows):
            twins.append((number, other))
    if not twins:
        return raw
    left = {number for number, _ in twins}
    said = [f"column {raw.columns[a]!r} repeats {raw.columns[b]!r} and is not read" for a, b in sorted(twins)]
    return dataclasses.replace(
        raw,
        columns=[name for k, name in enumerate(raw.columns) if k not in left],
        rows=[[cell for k, cell in enumerate(row) if k not in left] for row in raw.rows],
        conversions=(*raw.conversions, *said),
    )


def _split_cell(cell: str, patterns: list[re.Pattern], count: int) -> list[str] | None:
    """Split the numbers of a cell, as text; empty texts if it is missing, None if it has another form."""
    text = with_plain_points(without_invisible(cell).strip())
    if text.lower() in NO_NUMBER:
        return [""] * count
    for pattern in patterns:
        if found := pattern.fullmatch(text):
            return [found[name] for name in ("effect", "lower", "upper") if name in pattern.groupindex]
    return None
