"""Heat maps: the inconsistency of a network by design, and the contributions of direct comparisons."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from psps_paper.figures import layout, palette, style
from psps_paper.figures.drawing import Drawing
from psps_paper.figures.style import PAPER, SMALL_FONT_SIZE, Width
from psps_paper.formatting import half_unit, number

MOST_COLUMNS = 60
DECIMALS = 8
WIDEST_CELL = 70.0  # points
AROUND_ZERO = LinearSegmentedColormap.from_list(
    "around_zero", [palette.TOWARDS_FIRST, palette.NEUTRAL, palette.TOWARDS_LATER]
)
FROM_ZERO = LinearSegmentedColormap.from_list("from_zero", [palette.NEUTRAL, palette.TOWARDS_FIRST])


@dataclass(frozen=True)
class _Scale:
    """Colours from ``low`` to ``high``, and the format of the number in a cell."""

    colours: Colormap
    low: float
    high: float
    text: Callable[[float], str]

    def colour(self, value: float) -> str:
        return to_hex(self.colours((value - self.low) / (self.high - self.low)))


@style.styled
def net_heat_map(heat: pd.DataFrame, *, width: Width = "double", name: str = "net_heat_map") -> Drawing:
    """Draw the result of :func:`psps_paper.network.net_heat`, the designs with most inconsistency first.

    Parameters
    ----------
    heat : DataFrame [design x detached design]
        Decrease in the row's contribution to Q between designs when the column's design is detached. At most 60
        designs.

    Returns
    -------
    Drawing
        Data [design, detached, change], row by row.

    Raises
    ------
    ValueError
        If rows and columns are not the same two or more designs, or a value is not a finite number.

    Source: Krahn, Binder & König 2013.
    """
    where = "net_heat_map"
    style.check_matrix(heat, where)
    values = _checked(heat, where)
    order = sorted(range(len(values)), key=lambda k: (-values[k, k], str(heat.index[k])))
    values, designs = values[np.ix_(order, order)], [str(heat.index[k]) for k in order]
    largest = float(np.abs(values).max()) or 1.0
    decimals = 1 if largest >= 1 else 2
    blank = half_unit(decimals)
    high, low = number(largest, decimals), number(-largest, decimals)
    scale = _Scale(AROUND_ZERO, -largest, largest, lambda value: number(value, decimals) if abs(value) >= blank else "")
    keys = [
        layout.Key(f"{high}: without the column's design the row fits better", palette.TOWARDS_LATER),
        layout.Key(f"{low}: without it the row fits worse", palette.TOWARDS_FIRST),
    ]
    note = (
        "Rows and columns are the same designs. Each cell: by how much the row's part of Q between designs falls. "
        f"Blank: by less than {blank:g}."
    )
    figure = _heat(values, designs, scale, keys, note, width)
    data = pd.DataFrame(
        [(row, column, values[i, j]) for (i, row), (j, column) in itertools.product(enumerate(designs), repeat=2)],
        columns=["design", "detached", "change"],
    )
    others = data[data["design"] != data["detached"]]
    most = others.loc[others["change"].abs().sort_values(ascending=False, kind="stable").index].head(3)
    own = "; ".join(f"{design} {number(values[k, k], 2)}" for k, design in enumerate(designs[:8]))
    alt = (
        f"Net heat of {len(designs)} designs. Fall of a design's part of Q when it is detached, largest first: {own}. "
        "Strongest effects of one design on another: "
        + "; ".join(f"{r.detached} on {r.design} {number(r.change, 2)}" for r in most.itertuples())
        + "."
    )
    return Drawing(name, figure, data, alt)


@style.styled
def contribution_heat(
    contributions: pd.DataFrame,
    direct: Sequence[str] | None = None,
    *,
    width: Width = "double",
    name: str = "contribution_heat",
) -> Drawing:
    """Draw the contribution of each direct comparison to network estimates, in percent.

    Parameters
    ----------
    contributions : DataFrame [comparison x direct comparison]
        Rows of :func:`psps_paper.network.contribution_matrix`, at most 60: proportions that sum to 1 in a row.
    direct : sequence of str, optional
        Direct comparisons to draw, if the network has too many for a page; default: all.

    Returns
    -------
    Drawing
        Data [comparison, direct, percent]. A row of the figure is a direct comparison, a column a network estimate.

    Raises
    ------
    ValueError
        If a row does not sum to 1, a value is not a finite number of at least 0, or there are more than 60 rows.

    Source: Papakonstantinou et al. 2018.
    """
    where = "contribution_heat"
    percent = np.round(100 * _checked(contributions, where, at_least=0.0), DECIMALS - 2)
    sums = percent.sum(axis=1)
    for row, total in zip(contributions.index, sums, strict=True):
        if abs(total - 100) > 1e-4:
            raise ValueError(f"{where}: row {row!r} sums to {total / 100:g}; expected proportions that sum to 1")
    shown = list(contributions.columns if direct is None else direct)
    unknown = [comparison for comparison in shown if comparison not in contributions.columns]
    if unknown or not shown:
        raise ValueError(f"{where}: direct={unknown or shown}: expected direct comparisons of the table")
    percent = percent[:, [contributions.columns.get_loc(comparison) for comparison in shown]]
    estimates, drawn = list(map(str, contributions.index)), list(map(str, shown))
    scale = _Scale(FROM_ZERO, 0.0, 100.0, lambda value: number(value, 0) if value >= 0.5 else "")
    keys = [
        layout.Key("0 %", palette.NEUTRAL),
        layout.Key("50 %", scale.colour(50.0)),
        layout.Key("100 %", palette.TOWARDS_FIRST),
    ]
    listed = ", ".join(f"{k} {estimate}" for k, estimate in enumerate(estimates, 1))
    note = f"Rows: direct comparisons. Columns: network estimates, each 100 % in all: {listed}. Blank: less than 0.5 %."
    figure = _heat(percent.T, drawn, scale, keys, note, width)
    data = pd.DataFrame(
        [
            (estimate, comparison, percent[i, j])
            for (i, estimate), (j, comparison) in itertools.product(enumerate(estimates), enumerate(drawn))
        ],
        columns=["comparison", "direct", "percent"],
    )
    largest = [
        f"{estimate} {drawn[j]} {number(percent[i, j], 0)} %"
        for i, (estimate, j) in enumerate(zip(estimates, percent.argmax(axis=1), strict=True))
    ]
    alt = f"Contributions of {style.plural(len(drawn), 'direct comparison')}. The largest to each network estimate: "
    return Drawing(name, figure, data, alt + "; ".join(largest) + ".")


def _checked(frame: pd.DataFrame, where: str, at_least: float = -np.inf) -> np.ndarray:
    """Check that a table holds finite numbers and fits on a page."""
    if frame.empty or len(frame) > MOST_COLUMNS:
        raise ValueError(f"{where}: {len(frame)} rows; expected 1 to {MOST_COLUMNS}")
    style.check_numbers(frame.reset_index(), list(frame.columns), where, at_least=at_least)
    # Small differences of large numbers: later digits are those of the machine.
    return np.round(frame.to_numpy(float), DECIMALS)


def _heat(
    values: np.ndarray, names: Sequence[str], scale: _Scale, keys: Sequence[layout.Key], note: str, width: Width
) -> Figure:
    """Draw a heat map with names beside its rows and numbers above its columns."""
    import seaborn  # it imports pyplot, which other drawings do not need

    size, total, small = layout.font_size(width), layout.page_width(width), SMALL_FONT_SIZE[width]
    n_rows, n_columns = values.shape
    if n_rows == n_columns:
        names = [f"{k} {name}" for k, name in enumerate(names, 1)]
    room = (0.3 if width == "double" else 0.4) * total
    texts = [_row_name(name, room - 8, small) for name in names]
    left = min(max(room, 8 + max(layout.block_width(text, small) for text in texts)), 0.55 * total)
    across = min((total - left - 2) / n_columns, WIDEST_CELL)
    along = max(map(layout.line_count, texts)) * layout.line_height(small) + 0.3 * size
    caption = layout.wrap(note, total - 8, size)
    below = layout.line_count(caption) * layout.line_height(size) + size
    above = layout.legend_height(keys, total, size) + 2 * small
    height = above + n_rows * along + below
    figure, canvas = layout.page(width, height)
    layout.legend(canvas, keys, 1, height, total, size)
    written = np.array([[scale.text(value) for value in row] for row in values])
    widest = [*written.flat, scale.text(scale.low), scale.text(scale.high)]
    fits = max(layout.text_width(text, small) for text in widest) + 3 <= across
    axes = layout.panel(figure, left, below, n_columns * across, n_rows * along, small)
    seaborn.heatmap(
        values,
        ax=axes,
        cmap=scale.colours,
        vmin=scale.low,
        vmax=scale.high,
        cbar=False,
        annot=written if fits else None,
        mask=written == "",
        fmt="",
        annot_kws={"fontsize": small, "va": "center_baseline"},
        linewidths=0.8,
        linecolor=PAPER,
        xticklabels=False,
        yticklabels=False,
    )
    axes.collections[0].set_clip_on(False)
    # One ground for all blank cells, so that on a dark page too the palest cell is the smallest number
    axes.add_patch(Rectangle((0, 0), n_columns, n_rows, facecolor=palette.NEUTRAL, edgecolor="none", zorder=0))
    for text, value in zip(axes.texts, values[written != ""], strict=fits):
        text.set_color(palette.text_on(scale.colour(value)))
    for k, text in enumerate(texts):
        layout.write(canvas, 1, below + (n_rows - k - 0.5) * along, text, small)
    layout.number_columns(canvas, left, across, n_columns, below + n_rows * along + 0.8 * small, small)
    layout.write(canvas, 2, below - size, caption, size, va="top")
    return figure


def _row_name(name: str, room: float, size: float) -> str:
    """Wrap the name of a comparison or design; a long one may also break after a treatment."""
    whole = layout.wrap(name, room, size)
    return whole if layout.block_width(whole, size) <= room else layout.wrap(name.replace(":", ": "), room, size)
