"""Find the comparisons in a grid of text cells: a league table, a list against one reference, or a list of pairs."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from psps_paper.audit.numbers import Number, Triple, is_nothing, plain, read_estimate, read_number
from psps_paper.tables.limits import MAX_TABLE_COLUMNS

EXPECTED = "an estimate with its interval, such as 0.45 (0.14, 0.76), or nothing"
_BEGINS = re.compile(r"^[-+]?\d*\.?\d+\s*[(\[]")
_RANK = re.compile(r"^[\W_]*rank\s*#?\s*\d+[\W_]*$", re.IGNORECASE)
_HEADS = {
    "estimate": (
        r"^(estimate|effect( size)?|te|b|beta|coef(ficient)?|s?md|wmd|or|rr|hr|irr|mean|median|hedges'?"
        r" g)\b(?!.*(ci|lower|upper))"
    ),
    "lower": r"^(ci[._ ]?lb|lower.*|lcl|lci|ll|low|2[.,]5\s*%?.*|ci[._ ]?low.*|l95.*)$",
    "upper": r"^(ci[._ ]?ub|upper.*|ucl|uci|ul|high|up|97[.,]5\s*%?.*|ci[._ ]?(up|high).*|u95.*)$",
    "p": r"^p[ .-]?(val(ue)?)?$",
    "z": r"^z[ .-]?(val(ue)?|score)?$",
    "score": r"sucra|p[ -]?score",
    "best": r"\bbest\b",
    "worst": r"\bworst\b",
    "treat1": r"^(treat(ment)?[ ._]?(1|a)|intervention[ ._]?(1|a)?|trt1|t1)$",
    "treat2": r"^(treat(ment)?[ ._]?(2|b)|comparator|control|reference|intervention[ ._]?(2|b)|trt2|t2)$",
}
_VERSUS = re.compile(r"\s*(?:\bvs?\.?(?=\s)|\bversus\b|\bagainst\b|\bcompared (?:with|to)\b)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class RawCell:
    """A comparison before its orientation is known: the names of its row and column."""

    row: str
    column: str
    area: str
    triple: Triple
    where: str
    p: Number | None = None
    z: Number | None = None


@dataclass(frozen=True)
class Raw:
    """One table as printed; ``layout`` is "league", "reference" or "pairs"."""

    name: str
    layout: str
    treatments: tuple[str, ...]
    cells: tuple[RawCell, ...]
    head: str = ""
    scores: dict[str, Number] = field(default_factory=dict)
    score_kind: str = ""
    best: dict[str, Number] = field(default_factory=dict)
    worst: dict[str, Number] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    misplaced: tuple[
        tuple[str, str, str], ...
    ] = ()  # treatment, text and place of estimates of a treatment against itself


@dataclass(frozen=True)
class Grid:
    """Text cells with their row numbers in the file, and the file's name for messages."""

    rows: list[list[str]]
    file: str
    name: str = ""
    first_row: int = 1
    notes: tuple[str, ...] = ()

    def place(self, row: int, column: int) -> str:
        return f"row {row + self.first_row}, column {column + 1}"

    def fault(self, row: int, column: int, fault: str) -> ValueError:
        return ValueError(f"{self.file}, {self.place(row, column)}: {self.rows[row][column].strip()[:80]!r} {fault}")


@lru_cache(maxsize=4096)
def key(label: str) -> str:
    """Normalise a label: remove differences of case, spaces and footnote marks."""
    spelled = re.sub(r"\s+", " ", plain(label)).casefold()
    return re.sub(r"[^\w+./&-]+", "", spelled) or spelled


def read_grid(
    grid: Grid,
    *,
    label_column: int | None = None,
    reference: str = "",
    decimals: int | None = None,
    columns: dict[str, str] | None = None,
) -> list[Raw]:
    """Read every table of a grid, one per group of rows (panel, outcome) given by columns left of the names.

    Parameters
    ----------
    grid : Grid
    label_column : int, optional
        Column of the row names, from 1; detected by default.
    reference : str
        Reference treatment of a list, if the list does not name it.
    decimals : int, optional
        Decimals of numbers printed without their trailing zeros.
    columns : dict, optional
        Heads of the columns of a list, by content: treatment, estimate, lower, upper, p, z, score.

    Raises
    ------
    ValueError
        Naming the row, the column, the text that cannot be read, and the expectation.
    """
    rows = [row for row in grid.rows if any(cell.strip() for cell in row)]
    if not rows:
        raise ValueError(f"{grid.file}: the table is empty; expected {EXPECTED} in its cells")
    used = max(max(k for k, cell in enumerate(row, 1) if cell.strip()) for row in rows)
    if used > MAX_TABLE_COLUMNS:
        raise ValueError(f"{grid.file}: {used:,} columns, the limit is {MAX_TABLE_COLUMNS}")
    width = min(max(map(len, grid.rows)), MAX_TABLE_COLUMNS)
    grid = replace(grid, rows=[row[:width] for row in grid.rows])
    grid = replace(grid, rows=[list(row) + [""] * (width - len(row)) for row in grid.rows])
    body = [number for number, row in enumerate(grid.rows) if any(cell.strip() for cell in row)]
    if columns is None:
        names = _diagonal(grid, body)
        if names is not None:
            return [_league(grid, body, range(width), names, names, decimals)]
        found = _headed(grid, body, label_column, decimals)
        if found is not None:
            return found
    return _listed(grid, body, reference, decimals, columns)


def _kind(cell: str) -> str:
    if is_nothing(cell):
        return "nothing"
    if read_estimate(cell) is not None:
        return "estimate"
    return "number" if read_number(cell) is not None else "text"


def _diagonal(grid: Grid, body: list[int]) -> list[str] | None:
    """Return the names of a square whose only texts are on its diagonal."""
    width = len(grid.rows[0])
    if len(body) != width or width < 2:
        return None
    kinds = [[_kind(grid.rows[row][column]) for column in range(width)] for row in body]
    on = all(kinds[k][k] == "text" and not _RANK.match(grid.rows[body[k]][k]) for k in range(width))
    # a text that begins with a number is an unreadable cell, for which there is a better message
    off = any(
        kinds[r][c] == "text" and not _BEGINS.match(plain(grid.rows[body[r]][c]))
        for r in range(width)
        for c in range(width)
        if r != c
    )
    return [grid.rows[row][k].strip() for k, row in enumerate(body)] if on and not off else None


def _headed(grid: Grid, body: list[int], label_column: int | None, decimals: int | None) -> list[Raw] | None:
    """Read a league table with names in the first row and in a column; None if the grid is not such a table."""
    head, rows = body[0], body[1:]
    kinds = {row: [_kind(cell) for cell in grid.rows[row]] for row in body}
    holding = [column for column in range(len(grid.rows[0])) if any(kinds[row][column] == "estimate" for row in rows)]
    if not rows or not holding or "estimate" in kinds[head]:
        return None
    names = {column: grid.rows[head][column].strip() for column in range(len(grid.rows[0]))}
    if label_column is not None:
        labels = label_column - 1
        if not 0 <= labels < len(grid.rows[0]):
            raise ValueError(
                f"{grid.file}: label column {label_column} is outside the table; expected 1 to {len(grid.rows[0])}"
            )
    else:
        candidates = [
            column
            for column in range(len(grid.rows[0]))
            if all(kinds[row][column] in ("text", "nothing", "number") for row in rows)
        ]
        shared = {key(name) for name in names.values() if name}
        overlap = {
            column: len(shared & {key(grid.rows[row][column]) for row in rows})
            for column in candidates
            if column <= holding[0]
        }
        if not overlap:
            return None
        labels = max(overlap, key=lambda column: (overlap[column], -column))
        if overlap[labels] == 0 and not _same_by_position(grid, rows, labels, kinds):
            return None
    over = [
        column
        for column in range(labels + 1, len(grid.rows[0]))
        if names[column] and column not in _not_treatments(names)
    ]
    groups = _groups(grid, rows, labels)
    return [_headed_group(grid, members, labels, over, names, name, decimals) for name, members in groups]


def _not_treatments(names: dict[int, str]) -> set[int]:
    return {
        column
        for column, name in names.items()
        for kind in ("p", "score", "best", "worst")
        if re.search(_HEADS[kind], plain(name), re.IGNORECASE)
    }


def _same_by_position(grid: Grid, rows: list[int], labels: int, kinds: dict[int, list[str]]) -> bool:
    """Return whether rows and columns spell the same names differently, in the same order, with an empty diagonal."""
    width = len(grid.rows[0]) - labels - 1
    return len(rows) == width >= 3 and all(kinds[row][labels + 1 + k] != "estimate" for k, row in enumerate(rows))


def _groups(grid: Grid, rows: list[int], labels: int) -> list[tuple[str, list[int]]]:
    groups: dict[str, list[int]] = {}
    last = ""
    for row in rows:
        before = ", ".join(cell.strip() for cell in grid.rows[row][:labels] if cell.strip())
        last = before or last
        groups.setdefault(last, []).append(row)
    return list(groups.items())


def _headed_group(
    grid: Grid, rows: list[int], labels: int, over: list[int], names: dict[int, str], name: str, decimals: int | None
) -> Raw:
    row_names = [grid.rows[row][labels].strip() for row in rows]
    column_names = [names[column] for column in over]
    for k, row in enumerate(rows):
        if not row_names[k]:
            raise grid.fault(row, labels, "is empty; expected the name of a treatment")
    repeated = {key(label) for label in row_names if [key(other) for other in row_names].count(key(label)) > 1}
    if repeated:
        row = next(row for row in rows if key(grid.rows[row][labels]) in repeated)
        raise grid.fault(
            row,
            labels,
            "names a treatment that another row names too; expected each once, or a column that tells panels apart",
        )
    notes: tuple[str, ...] = ()
    extra_rows = [label for label in row_names if key(label) not in {key(other) for other in column_names}]
    extra_columns = [label for label in column_names if key(label) not in {key(other) for other in row_names}]
    if extra_rows and extra_columns and max(len(extra_rows), len(extra_columns)) > 1:
        if len(row_names) != len(column_names) or len(extra_rows) < len(row_names):
            raise ValueError(
                f"{grid.file}: the table is not square: {len(row_names)} rows and {len(column_names)} columns; no"
                f" column is named {', '.join(extra_rows[:4])}, no row {', '.join(extra_columns[:4])}; expected the"
                " same names in both"
            )
        notes = (
            (
                f"Names of rows and columns differ ({extra_rows[0]}, {extra_columns[0]}); columns are read in the order"
                " of the rows."
            ),
        )
        column_names = row_names
    elif max(len(extra_rows), len(extra_columns)) > 1:
        longer = "row" if extra_rows else "column"
        raise ValueError(
            f"{grid.file}: the table is not square: no {'column' if extra_rows else 'row'} is named "
            f"{', '.join((extra_rows or extra_columns)[:4])}, which name a {longer}; expected the same names in both"
        )
    raw = _league(grid, rows, over, row_names, column_names, decimals)
    return replace(raw, name=name or grid.name, notes=(*notes, *raw.notes))


def _merged(first: list[str], second: list[str]) -> list[str]:
    """Merge names in an order that keeps both orders, or that of the first if they disagree."""
    names = {key(label): label for label in [*second, *first]}
    after: dict[str, set[str]] = {name: set() for name in names}
    for labels in (first, second):
        for earlier, later in itertools.pairwise(labels):
            after[key(later)].add(key(earlier))
    ordered: list[str] = []
    left = [key(label) for label in [*first, *second]]
    left = list(dict.fromkeys(left))
    while left:
        free = [name for name in left if after[name] <= set(ordered)]
        ordered.append((free or left)[0])
        left.remove(ordered[-1])
    return [names[name] for name in ordered]


def _league(
    grid: Grid,
    rows: Sequence[int],
    columns: Sequence[int],
    row_names: list[str],
    column_names: list[str],
    decimals: int | None,
) -> Raw:
    treatments = _merged(row_names, column_names)
    position = {key(label): k for k, label in enumerate(treatments)}
    cells, misplaced = [], []
    for row, row_name in zip(rows, row_names, strict=True):
        for column, column_name in zip(columns, column_names, strict=True):
            text = grid.rows[row][column]
            here, there = position[key(row_name)], position[key(column_name)]
            if here == there:
                if read_estimate(text) is not None:
                    misplaced.append((treatments[here], text.strip(), grid.place(row, column)))
                continue
            if (
                is_nothing(text) or _RANK.match(plain(text)) or key(text) in position
            ):  # a name that moved with an exchanged row
                continue
            triple = _triple(grid, row, column, decimals)
            cells.append(
                RawCell(
                    treatments[here],
                    treatments[there],
                    "lower" if here > there else "upper",
                    triple,
                    grid.place(row, column),
                )
            )
    if not cells:
        raise ValueError(f"{grid.file}: no cell holds {EXPECTED}")
    notes = grid.notes
    if len(misplaced) == len(treatments):  # the diagonal has other content, such as absolute risks
        notes, misplaced = (
            (*notes, "The numbers on the diagonal are not read: a comparison of a treatment with itself says nothing."),
            [],
        )
    return Raw(grid.name, "league", tuple(treatments), tuple(cells), notes=notes, misplaced=tuple(misplaced))


def _triple(grid: Grid, row: int, column: int, decimals: int | None) -> Triple:
    text = grid.rows[row][column]
    triple = read_estimate(text)
    if triple is None:
        number = read_number(text)
        inside = re.match(r"^(\S+)\s*[(\[]([^()\[\]]*)[)\]]", plain(text))
        if number is not None:
            hint = f"would be read as {number.value:g} without limits"
        elif inside and read_number(inside[1]) and read_number(inside[2]):
            hint = f"would be read as {inside[1]} with one number {inside[2]} (standard error?), not two limits"
        else:
            found = re.findall(r"[-+]?\d+(?:\.\d+)?", plain(text))
            hint = f"would be read as the numbers {', '.join(found)}" if found else "holds no number"
        raise grid.fault(row, column, f"is not {EXPECTED}; it {hint}")
    return trimmed(triple, decimals)


def trimmed(triple: Triple, decimals: int | None) -> Triple:
    """Give all numbers of the triple ``decimals`` digits, if trailing zeros were dropped in print."""
    if decimals is None:
        return triple
    numbers = (number.with_decimals(decimals) for number in (triple.estimate, triple.lower, triple.upper))
    return Triple(*numbers, triple.text, triple.rest)


# --- lists --------------------------------------------------------------------------------------------


def _listed(
    grid: Grid, body: list[int], reference: str, decimals: int | None, columns: dict[str, str] | None
) -> list[Raw]:
    """Read a list with one comparison per row, against a reference or between two named treatments."""
    head, rows = body[0], body[1:]
    names = [cell.strip() for cell in grid.rows[head]]
    roles = _column_roles(grid, head, rows, names, columns)
    estimates = roles["estimates"]
    if not estimates:
        for row in rows:
            for column, cell in enumerate(grid.rows[row]):
                if _kind(cell) == "text" and _BEGINS.match(plain(cell)):
                    _triple(grid, row, column, decimals)  # raises the error with the reason
        row, column = _first_text(grid, body)
        raise grid.fault(
            row,
            column,
            f"begins a table without any cell that is {EXPECTED}, and without columns named estimate, lower and upper",
        )
    tables = []
    for group, members in _list_groups(grid, rows, roles["labels"], names):
        for column in estimates:
            name = ", ".join(part for part in (group, names[column] if len(estimates) > 1 else "") if part)
            tables.append(_list_table(grid, members, roles, column, names, name or grid.name, reference, decimals))
    return tables


def _first_text(grid: Grid, body: list[int]) -> tuple[int, int]:
    return next((row, column) for row in body for column, cell in enumerate(grid.rows[row]) if cell.strip())


def _column_roles(grid: Grid, head: int, rows: list[int], names: list[str], columns: dict[str, str] | None) -> dict:
    """Detect the content of the columns from their heads and cells."""
    roles: dict = {"lower": None, "upper": None, "p": None, "z": None, "score": None, "best": None, "worst": None}
    by_name = {key(name): column for column, name in enumerate(names)}
    for role, name in (columns or {}).items():
        if key(str(name)) not in by_name:
            raise ValueError(
                f"{grid.file}: no column is named {name!r} (for {role}); expected one of"
                f" {', '.join(filter(None, names))}"
            )
    given = {role: by_name[key(str(name))] for role, name in (columns or {}).items()}
    kinds = [[_kind(grid.rows[row][column]) for row in rows] for column in range(len(names))]
    for column, name in enumerate(names):
        for role in roles:
            if roles[role] is None and re.search(_HEADS[role], plain(name), re.IGNORECASE):
                roles[role] = column
    roles |= {role: column for role, column in given.items() if role in roles}
    estimates = [column for column in range(len(names)) if "estimate" in kinds[column]]
    alone = given.get("estimate")
    if alone is None and not estimates and roles["lower"] is not None and roles["upper"] is not None:
        alone = next(
            (column for column, name in enumerate(names) if re.search(_HEADS["estimate"], plain(name), re.IGNORECASE)),
            None,
        )
    if alone is not None:
        estimates = [alone]
    roles["estimates"] = estimates
    first = min(estimates, default=0)
    if "treatment" in given:
        roles["labels"] = [given["treatment"]]
    else:
        roles["labels"] = [column for column in range(first) if "text" in kinds[column]] or [0]
    return roles


def _list_groups(grid: Grid, rows: list[int], labels: list[int], names: list[str]) -> list[tuple[str, list[int]]]:
    """Group rows (panels, outcomes) by repeating columns left of the last label; two columns of names are pairs."""
    if len(labels) == 1:
        return [("", rows)]
    before, last = labels[:-1], labels[-1]
    firsts = {key(grid.rows[row][before[-1]]) for row in rows}
    seconds = {key(grid.rows[row][last]) for row in rows}
    headed = all(
        re.search(_HEADS[role], plain(names[column]), re.IGNORECASE)
        for role, column in (("treat1", before[-1]), ("treat2", last))
    )
    if headed or firsts & seconds or len(firsts) == len(rows):
        return [("", rows)]
    groups: dict[str, list[int]] = {}
    for row in rows:
        groups.setdefault(", ".join(grid.rows[row][column].strip() for column in before), []).append(row)
    labels[:] = [last]
    return list(groups.items())


def _list_table(
    grid: Grid,
    rows: list[int],
    roles: dict,
    column: int,
    names: list[str],
    name: str,
    reference: str,
    decimals: int | None,
) -> Raw:
    labels = roles["labels"]
    lone = [row for row in rows if is_nothing(grid.rows[row][column])]
    versus = _VERSUS.split(names[column], maxsplit=1)
    notes: tuple[str, ...] = ()
    if not reference and len(labels) == 1:
        if len(lone) == 1:
            reference = grid.rows[lone[0]][labels[0]].strip()
        elif len(versus) == 2 and versus[1].strip():
            reference = versus[1].strip()
        else:
            reference = "reference"
    cells, treatments = [], {}
    columns: dict[str, dict[str, Number]] = {"score": {}, "best": {}, "worst": {}}
    for row in rows:
        first, second = _pair(grid, row, labels, reference)
        treatments.setdefault(key(first), first)
        _keep_columns(grid, row, first, roles, columns, names)
        if is_nothing(grid.rows[row][column]):
            continue
        treatments.setdefault(key(second), second)
        if key(first) == key(second):
            raise grid.fault(row, column, f"compares {first} with itself; expected two treatments")
        triple = _list_triple(grid, row, column, roles, decimals)
        p, z = (_single_number(grid, row, roles[role], role) for role in ("p", "z"))
        cells.append(
            RawCell(treatments[key(first)], treatments[key(second)], "list", triple, grid.place(row, column), p, z)
        )
    if not cells:
        raise ValueError(f"{grid.file}: no row of {name or 'the list'} holds {EXPECTED}")
    kind = "" if roles["score"] is None else "SUCRA" if "sucra" in names[roles["score"]].lower() else "P-score"
    layout = "reference" if len({key(cell.column) for cell in cells}) == 1 and len(cells) > 1 else "pairs"
    return Raw(
        name,
        layout,
        tuple(treatments.values()),
        tuple(cells),
        names[column],
        _fractions(columns["score"], names, roles["score"]),
        kind,
        _fractions(columns["best"], names, roles["best"]),
        _fractions(columns["worst"], names, roles["worst"]),
        notes,
    )


def _pair(grid: Grid, row: int, labels: list[int], reference: str) -> tuple[str, str]:
    texts = [grid.rows[row][column].strip() for column in labels]
    parts = _VERSUS.split(texts[-1], maxsplit=1)
    if len(parts) == 2 and all(parts):
        return parts[0].strip(), parts[1].strip()
    first, second = (texts[-2], texts[-1]) if len(texts) > 1 else (texts[0], reference)
    if not first or not second:
        raise grid.fault(row, labels[0] if not first else labels[-1], "is empty; expected the name of a treatment")
    return first, second


def _keep_columns(
    grid: Grid, row: int, treatment: str, roles: dict, columns: dict[str, dict[str, Number]], names: list[str]
) -> None:
    for role, kept in columns.items():
        number = _single_number(grid, row, roles[role], names[roles[role]] if roles[role] is not None else "")
        if number is not None:
            kept[treatment] = number


def _single_number(grid: Grid, row: int, column: int | None, what: str) -> Number | None:
    if column is None or is_nothing(grid.rows[row][column]):
        return None
    number = read_number(grid.rows[row][column])
    if number is None:
        raise grid.fault(row, column, f"is not a number; expected the {what} of this row, or nothing")
    return number


def _fractions(numbers: dict[str, Number], names: list[str], column: int | None) -> dict[str, Number]:
    """Convert percentages to fractions if a head or a number shows a percent sign."""
    if not numbers:
        return numbers
    percent = (column is not None and "%" in names[column]) or any(
        number.value > 1 or "%" in number.text for number in numbers.values()
    )
    return as_fractions(numbers, percent=percent)


def as_fractions(numbers: dict[str, Number], *, percent: bool) -> dict[str, Number]:
    """Convert numbers to fractions; if all percentages are whole tens, the tens are their last digit."""
    if (
        percent
        and len(numbers) >= 5
        and all(number.value % 10 == 0 and number.decimals == 0 for number in numbers.values())
    ):
        numbers = {treatment: replace(number, decimals=-1) for treatment, number in numbers.items()}
    return {treatment: number.over(100 if percent else 1) for treatment, number in numbers.items()}


def _list_triple(grid: Grid, row: int, column: int, roles: dict, decimals: int | None) -> Triple:
    if roles["lower"] is None or roles["upper"] is None or read_estimate(grid.rows[row][column]) is not None:
        return _triple(grid, row, column, decimals)
    numbers = []
    for where in (column, roles["lower"], roles["upper"]):
        number = read_number(grid.rows[row][where])
        if number is None:
            raise grid.fault(row, where, "is not a number; expected an estimate and its two limits in three columns")
        numbers.append(number)
    text = f"{numbers[0].text} ({numbers[1].text}, {numbers[2].text})"
    return trimmed(Triple(*numbers, text), decimals)
