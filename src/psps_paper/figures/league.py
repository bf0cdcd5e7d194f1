"""League tables of all pairs, and of network against direct estimates, shaded by the favoured treatment."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.patches import Rectangle

from psps_paper.figures import layout, palette, style
from psps_paper.figures.drawing import Drawing
from psps_paper.figures.style import INK, SMALL_FONT_SIZE, Width
from psps_paper.formatting import estimate, number, ratio_number
from psps_paper.network import LeagueWithDirect

# With more treatments than this, the cells of a league table have no room for numbers.
MOST_WITH_NUMBERS = 6
SHADES = LinearSegmentedColormap.from_list("league", [palette.TOWARDS_LATER, palette.NEUTRAL, palette.TOWARDS_FIRST])
ESTIMATE = ["te", "lower", "upper"]


@dataclass(frozen=True)
class _Cell:
    """Text, fill (None for an empty frame) and weight of a cell: bold if the interval excludes no effect."""

    text: str
    fill: str | None = None
    weight: str = "normal"


def _estimate_cell(
    te: float, lower: float, upper: float, fill: str, room: float, size: float, shown: Callable
) -> _Cell:
    """Write an estimate above its interval, which is wrapped to ``room`` points."""
    weight = "bold" if lower * upper > 0 else "normal"
    limits = layout.wrap(f"{shown(lower)} to {shown(upper)}", room, size, weight)
    return _Cell(f"{shown(te)}\n{limits}", fill, weight)


def _shade(te: float, largest: float, desirable: str) -> str:
    """Return the colour of an estimate: the larger the effect, the nearer to the colour of the favoured side."""
    towards = te if style.favours_first(desirable) == "positive" else -te
    return to_hex(SHADES(0.5 + 0.5 * towards / largest))


def _draw_cell(
    canvas: Axes, corner: tuple[float, float], across: float, along: float, cell: _Cell, size: float
) -> None:
    """Draw a cell with its text, given its lower left corner and the opposite one."""
    left, bottom = corner
    line = {"edgecolor": INK, "linewidth": 0.8} if cell.fill is None else {"edgecolor": "none"}
    canvas.add_patch(Rectangle(corner, across, along, facecolor=cell.fill or "none", **line))
    if cell.text:
        colour = INK if cell.fill is None else palette.text_on(cell.fill)
        middle = (left + across / 2, bottom + along / 2)
        layout.write(canvas, *middle, cell.text, size, ha="center", color=colour, weight=cell.weight)


@style.styled
def league_heat(
    te: pd.DataFrame,
    lower: pd.DataFrame,
    upper: pd.DataFrame,
    *,
    desirable: str,
    unit: str = "standardised mean difference",
    level: float = 0.95,
    width: Width = "double",
    name: str = "league_heat",
) -> Drawing:
    """Draw a league table of all pairs of treatments, row minus column, shaded by the favoured treatment.

    Parameters
    ----------
    te, lower, upper : DataFrame [treatment x treatment]
        Row minus column, as in ``NetworkFit``; treatments are drawn in the order given.
    desirable : {"lower", "higher"}
        Whether a lower or a higher ``te`` is better for the first-named treatment.
    unit : str
        Unit of ``te``.
    level : float
        Level of the interval.
    """
    word = "above" if style.favours_first(desirable) == "positive" else "below"
    data = _ordered_pairs(te, lower, upper)
    treatments = list(te.index)
    size, total_width = layout.font_size(width), layout.page_width(width)
    small = SMALL_FONT_SIZE[width]
    cell = total_width / len(treatments)
    # The diagonal is bold only if bold names fit.
    diagonal = "bold" if width == "double" else "normal"
    names, listed = _diagonal(treatments, cell, small, diagonal)
    cells = {(t, t): _Cell(text, None, diagonal) for t, text in zip(treatments, names, strict=True)}
    lines = max(3, *(layout.line_count(named.text) for named in cells.values()))
    largest = data["te"].abs().max() or 1.0
    for r in data.itertuples():
        cells[r.row, r.column] = (
            _Cell("not\nestimable", palette.NEUTRAL)
            if pd.isna(r.te)
            else _estimate_cell(r.te, r.lower, r.upper, _shade(r.te, largest, desirable), cell - 6, small, number)
        )
    cell_height = lines * layout.line_height(small) + 1.4 * size
    caption = layout.wrap(
        f"Each cell: row treatment minus column treatment, {unit} ({100 * level:g}% confidence "
        f"interval). A value {word} 0 favours the row treatment (blue), otherwise the column "
        f"treatment (orange). Bold: the interval excludes 0.{listed}",
        total_width - 4,
        size,
    )
    caption_height = layout.line_count(caption) * layout.line_height(size) + size
    height = cell_height * len(treatments) + caption_height + 4
    figure, canvas = layout.page(width, height)
    for (i, row), (j, column) in itertools.product(enumerate(treatments), repeat=2):
        corner = (j * cell + 1, height - 2 - i * cell_height - cell_height + 1)
        _draw_cell(canvas, corner, cell - 2, cell_height - 2, cells[row, column], small)
    layout.write(canvas, 2, caption_height - size, caption, size, va="top", color=INK)
    alt = [
        f"{r.row} minus {r.column} {'not estimable' if pd.isna(r.te) else estimate(r.te, r.lower, r.upper)}"
        for r in data.itertuples()
        if treatments.index(r.row) < treatments.index(r.column)
    ]
    return Drawing(
        name,
        figure,
        data,
        f"League table, {unit} with {100 * level:g}% confidence interval; a value {word} 0 favours "
        "the first-named treatment: " + "; ".join(alt) + ".",
    )


def _diagonal(names: Sequence[str], cell: float, size: float, weight: str = "normal") -> tuple[list[str], str]:
    """Return the texts of the diagonal, numbers if names do not fit, and the caption's explanation of them."""
    texts = [layout.wrap(name, cell - 6, size, weight) for name in names]
    if max(layout.block_width(text, size, weight) for text in texts) <= cell - 2:
        return texts, ""
    numbers = [str(k) for k, _ in enumerate(names, 1)]
    return numbers, f" {', '.join(f'{k} {name}' for k, name in zip(numbers, names, strict=True))}."


def _ordered_pairs(te: pd.DataFrame, lower: pd.DataFrame, upper: pd.DataFrame) -> pd.DataFrame:
    """List all pairs [row, column, te, lower, upper] after checking that the tables have the same treatments."""
    for frame, part in ((te, "te"), (lower, "lower"), (upper, "upper")):
        style.check_matrix(frame, f"league_heat, {part}")
        if list(frame.index) != list(te.index):
            raise ValueError(f"league_heat: {part} holds other treatments than te: {list(frame.index)}")
    records = [
        (row, column, *(float(frame.loc[row, column]) for frame in (te, lower, upper)))
        for row, column in itertools.permutations(te.index, 2)
    ]
    return pd.DataFrame(records, columns=["row", "column", *ESTIMATE])


@dataclass(frozen=True)
class _Grid:
    """A square of ``n`` by ``n`` cells, below and right of its upper left corner, in points."""

    n: int
    left: float
    top: float
    across: float
    along: float

    def corner(self, row: int, column: int) -> tuple[float, float]:
        """Return the lower left corner of a cell, half a point inside."""
        return self.left + column * self.across + 0.5, self.top - row * self.along - self.along + 0.5


@style.styled
def league_direct(
    league: LeagueWithDirect,
    *,
    desirable: str,
    unit: str = "effect",
    ratio: bool = False,
    width: Width = "double",
    name: str = "league_direct",
) -> Drawing:
    """Draw a league table: network estimates below the diagonal, direct ones above it, shaded by treatment favoured.

    Parameters
    ----------
    league : LeagueWithDirect
        Every cell is the earlier treatment minus the later one.
    desirable : {"lower", "higher"}
        Whether a lower or a higher te is better for the earlier treatment.
    ratio : bool
        Whether te is the logarithm of a ratio, which ``unit`` names; the table then shows the ratio.

    Returns
    -------
    Drawing
        Data [first, later, evidence, te, lower, upper], with ``evidence`` "network" or "direct"; pairs without direct
        evidence have no direct row. With more than six treatments the cells have only shades, and a mark if the
        interval excludes no effect.
    """
    style.favours_first(desirable)
    size, total = layout.font_size(width), layout.page_width(width)
    small = SMALL_FONT_SIZE[width]
    n, many = len(league.order), len(league.order) > MOST_WITH_NUMBERS
    shown, null = (ratio_number, "1") if ratio else (number, "0")
    room = (0.3 if width == "double" else 0.45) * total if many else 0.0
    across = (total - room) / n
    if many:
        names, listed = [layout.wrap(f"{k} {t}", room - 8, small) for k, t in enumerate(league.order, 1)], ""
    else:
        names, listed = _diagonal(league.order, across, small)
    lines = max(*map(layout.line_count, names), 1 if many else 4)
    along = lines * layout.line_height(small) + (0.3 if many else 1.4) * size
    caption = layout.wrap(
        f"Below the diagonal network estimates, above it direct ones: {unit}, the treatment that comes first "
        f"{'to' if ratio else 'minus'} the later, with {100 * league.level:g}% confidence interval. Blue favours the "
        f"first, orange the later. {'Dot' if many else 'Bold'}: the interval excludes {null}.{listed}",
        total - 4,
        size,
    )
    caption_height = layout.line_count(caption) * layout.line_height(size) + size
    heading = 1.6 * small if many else 0.0
    height = along * n + caption_height + heading + 4
    figure, canvas = layout.page(width, height)
    grid = _Grid(n, room, height - 2 - heading, across, along)
    if many:
        _write_names_beside(canvas, grid, names, height, small)
        names = [""] * n
    _draw_estimates(canvas, grid, league, names, desirable, shown, small)
    layout.write(canvas, 2, caption_height - size, caption, size, va="top")
    data = _first_and_later(league)
    excluding = data[(data["lower"] > 0) | (data["upper"] < 0)] if many else data
    cells = [
        f"{r.first} against {r.later}, {r.evidence}, {shown(r.te)} ({shown(r.lower)} to {shown(r.upper)})"
        for r in excluding.itertuples()
    ]
    which = f" Of {len(data)} estimates these exclude {null}:" if many else ""
    alt = f"League table of {n} treatments with direct evidence, {unit}.{which} {'; '.join(cells) or 'none'}."
    return Drawing(name, figure, data, alt)


def _write_names_beside(canvas: Axes, grid: _Grid, names: list[str], height: float, size: float) -> None:
    """Write names left of the rows, and above the columns as many of their numbers as fit."""
    for i, text in enumerate(names):
        layout.write(canvas, 1, grid.top - i * grid.along - grid.along / 2, text, size)
    layout.number_columns(canvas, grid.left, grid.across, len(names), height - 2 - 0.6 * size, size)


def _draw_estimates(
    canvas: Axes,
    grid: _Grid,
    league: LeagueWithDirect,
    names: list[str],
    desirable: str,
    shown: Callable[[float], str],
    size: float,
) -> None:
    """Write names on the diagonal and estimates beside it; in large tables, dots mark clear estimates."""
    te, lower, upper = (getattr(league, part).to_numpy(float) for part in ESTIMATE)
    largest = np.nanmax(np.abs(te)) or 1.0
    across, along = grid.across - 1, grid.along - 1
    for i, j in itertools.product(range(grid.n), repeat=2):
        corner = grid.corner(i, j)
        if i == j:
            _draw_cell(canvas, corner, across, along, _Cell(names[i]), size)
        elif not np.isnan(te[i, j]):
            fill = _shade(te[i, j], largest, desirable)
            if grid.n <= MOST_WITH_NUMBERS:
                cell = _estimate_cell(te[i, j], lower[i, j], upper[i, j], fill, grid.across - 6, size, shown)
                _draw_cell(canvas, corner, across, along, cell, size)
                continue
            _draw_cell(canvas, corner, across, along, _Cell("", fill), size)
            if lower[i, j] * upper[i, j] > 0:
                middle = (corner[0] + grid.across / 2, corner[1] + grid.along / 2)
                dot = {"marker": "o", "markersize": min(4.0, 0.4 * grid.across), "color": palette.text_on(fill)}
                canvas.plot(*middle, **dot)


def _first_and_later(league: LeagueWithDirect) -> pd.DataFrame:
    """List the estimates [first, later, evidence, te, lower, upper], network before direct."""
    frame = league.to_frame().rename(columns={"treat1": "first", "treat2": "later"})
    network = frame[["first", "later", *ESTIMATE]].assign(evidence="network")
    direct = frame[["first", "later", *(f"direct_{part}" for part in ESTIMATE)]].set_axis(network.columns[:5], axis=1)
    data = pd.concat([network, direct[direct["te"].notna()].assign(evidence="direct")], ignore_index=True)
    return data[["first", "later", "evidence", *ESTIMATE]]
