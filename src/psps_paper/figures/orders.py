"""The partial order of treatments over several outcomes as a Hasse diagram."""

from __future__ import annotations

import pandas as pd
from matplotlib.patches import Rectangle

from psps_paper.figures import layout, style
from psps_paper.figures.drawing import Drawing
from psps_paper.figures.style import INK, MUTED, PAPER, Width
from psps_paper.network import PartialOrder


@style.styled
def hasse_diagram(order: PartialOrder, *, width: Width = "double", name: str = "hasse_diagram") -> Drawing:
    """Draw a partial order of treatments by several outcomes; lines lead down from better to worse treatments.

    Parameters
    ----------
    order : PartialOrder

    Returns
    -------
    Drawing
        Data [better, worse, level_better, level_worse], one row per line; a treatment without lines has ``worse`` None.

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
    """Count the lines on the longest path down to each treatment."""
    levels = dict.fromkeys(order.relation.index, 0)
    for _ in range(len(levels)):
        for better, worse in order.to_frame().itertuples(index=False):
            levels[worse] = max(levels[worse], levels[better] + 1)
    return levels
