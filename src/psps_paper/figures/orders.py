"""Orders of treatments: the Hasse diagram of several outcomes, and a league table with direct evidence."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.patches import Rectangle

from psps_paper.figures import layout, palette, style
from psps_paper.figures.drawing import Drawing
from psps_paper.figures.network import NEUTRAL, TOWARDS_COLUMN, TOWARDS_ROW, favours_first
from psps_paper.figures.style import INK, MUTED, PAPER, Width
from psps_paper.formatting import number, ratio_number
from psps_paper.network import LeagueWithDirect, PartialOrder

# More treatments than this have no room for numbers in the cells of a league table.
MOST_WITH_NUMBERS = 6


@style.styled
def hasse_diagram(order: PartialOrder, *, width: Width = "double", name: str = "hasse_diagram") -> Drawing:
    """Partial order of treatments by several outcomes: a line leads down from a treatment to those it is better than.

    Parameters
    ----------
    order : PartialOrder

    Returns
    -------
    Drawing
        Data [better, worse, level_better, level_worse], one row a line; a treatment without any has ``worse`` None.

    Source: Carlsen & Bruggemann 2014; Rücker & Schwarzer 2017.
    """
    size, total = layout.font_size(width), layout.page_width(width)
    treatments = list(order.relation.index)
    levels = _levels(order)
    across = max(1, int(total // (9 * size)))
    rows = []
    for level in range(max(levels.values()) + 1):
        members = [t for t in treatments if levels[t] == level]
        count = -(-len(members) // across)
        rows += [members[k::count] for k in range(count)]
    wrapped = {t: layout.wrap(str(t), total / len(row) - 2.5 * size, size) for row in rows for t in row}
    line, gap = layout.line_height(size), 2.6 * size
    heights = [max(layout.line_count(wrapped[t]) for t in row) * line + 0.8 * size for row in rows]
    outcomes = style.listed(list(map(str, order.scores.columns)))
    note = layout.wrap(
        f"A line leads down from a treatment to one that is worse or equal in every outcome ({outcomes}). "
        "Treatments without a path down between them cannot be ordered.",
        total - 4,
        size,
    )
    note_height = layout.line_count(note) * line + size
    height = sum(heights) + gap * (len(rows) - 1) + note_height + 4
    figure, canvas = layout.page(width, height)
    layout.write(canvas, 1, height - 2, note, size, va="top", color=MUTED)
    places, top = {}, height - note_height - 2
    for row, space in zip(rows, heights, strict=True):
        for position, treatment in enumerate(row):
            places[treatment] = ((position + 0.5) * total / len(row), top - space / 2)
        top -= space + gap
    lines = order.to_frame()
    for better, worse in lines.itertuples(index=False):
        canvas.plot(*zip(places[better], places[worse], strict=True), color=MUTED, linewidth=1.0, zorder=1)
    for treatment, (x, y) in places.items():
        text = wrapped[treatment]
        wide, tall = layout.block_width(text, size) + size, layout.line_count(text) * line + 0.5 * size
        box = Rectangle(
            (x - wide / 2, y - tall / 2), wide, tall, facecolor=PAPER, edgecolor=INK, linewidth=0.9, zorder=2
        )
        canvas.add_patch(box)
        layout.write(canvas, x, y, text, size, ha="center", zorder=3)
    linked = set(lines["better"]) | set(lines["worse"])
    alone = pd.DataFrame({"better": [t for t in treatments if t not in linked], "worse": None}, dtype=object)
    data = pd.concat([lines.astype(object), alone], ignore_index=True)
    data = data.assign(**{f"level_{c}": data[c].map(levels) for c in ("better", "worse")})
    said = [f"{row.better} above {row.worse}" for row in lines.itertuples()]
    said += [f"{t} alone" for t in alone["better"]]
    alt = f"Hasse diagram of {len(treatments)} treatments by {outcomes}: {'; '.join(said)}."
    return Drawing(name, figure, data, alt)


def _levels(order: PartialOrder) -> dict[str, int]:
    """Lines on the longest way down to each treatment."""
    levels = dict.fromkeys(order.relation.index, 0)
    for _ in range(len(levels)):
        for better, worse in order.to_frame().itertuples(index=False):
            levels[worse] = max(levels[worse], levels[better] + 1)
    return levels


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
    """League table: network estimates below the diagonal, direct ones above it, shaded by who is favoured.

    Parameters
    ----------
    league : LeagueWithDirect
        Every cell is the treatment that comes first minus the one that comes later.
    desirable : {"lower", "higher"}
        Whether a lower or a higher te is good for the treatment that comes first.
    ratio : bool
        te is the logarithm of a ratio, which ``unit`` names: the ratio is shown.

    Returns
    -------
    Drawing
        Data [first, later, evidence, te, lower, upper], ``evidence`` being "network" or "direct"; pairs without direct
        evidence have no such row. Beyond six treatments the cells are shaded only, with a mark where the interval
        excludes no effect.
    """
    favoured = favours_first(desirable)
    size, total = layout.font_size(width), layout.page_width(width)
    small = size if width == "double" else 7.0
    n, many = len(league.order), len(league.order) > MOST_WITH_NUMBERS
    names = [f"{k + 1} {t}" if many else str(t) for k, t in enumerate(league.order)]
    room = (0.3 if width == "double" else 0.45) * total if many else 0.0
    cell = (total - room) / n
    texts = [layout.wrap(t, (room or cell) - 8, small) for t in names]
    lines = max(*map(layout.line_count, texts), 1 if many else 4)
    cell_height = lines * layout.line_height(small) + (0.3 if many else 1.4) * size
    shown = ratio_number if ratio else number
    null = "1" if ratio else "0"
    caption = layout.wrap(
        f"Below the diagonal network estimates, above it direct ones: {unit}, the treatment that comes first "
        f"{'to' if ratio else 'minus'} the later, with {100 * league.level:g}% confidence interval. Blue favours the "
        f"first, orange the later. {'Dot' if many else 'Bold'}: the interval excludes {null}.",
        total - 4,
        size,
    )
    caption_height = layout.line_count(caption) * layout.line_height(size) + size
    heading = 1.6 * small if many else 0.0
    height = cell_height * n + caption_height + heading + 4
    figure, canvas = layout.page(width, height)
    te, low, high = (getattr(league, part).to_numpy(float) for part in ("te", "lower", "upper"))
    shade = LinearSegmentedColormap.from_list("league", [TOWARDS_COLUMN, NEUTRAL, TOWARDS_ROW])
    largest = np.nanmax(np.abs(te)) or 1.0
    step = next(k for k in itertools.count(1) if k * cell > 2.2 * small)
    for i in range(n):
        top = height - 2 - heading - i * cell_height
        if many:
            layout.write(canvas, 1, top - cell_height / 2, texts[i], small)
            if (i + 1) % step == 0 or step == 1:
                layout.write(canvas, room + (i + 0.5) * cell, height - 2 - 0.6 * small, str(i + 1), small, ha="center")
        for j in range(n):
            corner = (room + j * cell + 0.5, top - cell_height + 0.5)
            place = (*corner, cell - 1, cell_height - 1)
            if i == j:
                _cell(canvas, place, None, "" if many else texts[i], small)
            elif not np.isnan(te[i, j]):
                towards = (te[i, j] if favoured == "positive" else -te[i, j]) / largest
                clear = low[i, j] * high[i, j] > 0
                limits = f"{shown(low[i, j])} to {shown(high[i, j])}"
                bold = "bold" if clear else "normal"
                text = f"{shown(te[i, j])}\n{layout.wrap(limits, cell - 6, small, bold)}"
                fill = to_hex(shade(0.5 + 0.5 * towards))
                _cell(canvas, place, fill, "" if many else text, small, bold)
                if many and clear:
                    middle = (corner[0] + cell / 2, corner[1] + cell_height / 2)
                    canvas.plot(*middle, marker="o", markersize=min(4.0, 0.4 * cell), color=palette.text_on(fill))
    layout.write(canvas, 2, caption_height - size, caption, size, va="top")
    frame = league.to_frame()
    network = frame[["treat1", "treat2", "te", "lower", "upper"]].assign(evidence="network")
    direct = frame[["treat1", "treat2", "direct_te", "direct_lower", "direct_upper"]].set_axis(
        network.columns[:5], axis=1
    )
    data = pd.concat([network, direct[direct["te"].notna()].assign(evidence="direct")], ignore_index=True)
    data = data.rename(columns={"treat1": "first", "treat2": "later"})[
        ["first", "later", "evidence", "te", "lower", "upper"]
    ]
    told = data if n <= MOST_WITH_NUMBERS else data[(data["lower"] > 0) | (data["upper"] < 0)]
    cells = [
        f"{r.first} against {r.later}, {r.evidence}, {shown(r.te)} ({shown(r.lower)} to {shown(r.upper)})"
        for r in told.itertuples()
    ]
    which = "" if n <= MOST_WITH_NUMBERS else f" Of {len(data)} estimates these exclude {null}:"
    alt = f"League table of {n} treatments with direct evidence, {unit}.{which} {'; '.join(cells) or 'none'}."
    return Drawing(name, figure, data, alt)


def _cell(
    canvas: Axes,
    place: tuple[float, float, float, float],
    fill: str | None,
    text: str,
    size: float,
    weight: str = "normal",
) -> None:
    """One cell (left, bottom, width, height) with its text."""
    left, bottom, width, height = place
    options = {"facecolor": "none", "edgecolor": INK, "linewidth": 0.8} if fill is None else {"facecolor": fill}
    canvas.add_patch(Rectangle((left, bottom), width, height, **{"edgecolor": "none"} | options))
    if text:
        colour = INK if fill is None else palette.text_on(fill)
        layout.write(
            canvas, left + width / 2, bottom + height / 2, text, size, ha="center", color=colour, weight=weight
        )
