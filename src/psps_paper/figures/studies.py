"""The included studies: years of publication and directions of effect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from psps_paper.figures import layout, palette, style
from psps_paper.figures.bias import JUDGEMENTS, draw_symbol
from psps_paper.figures.drawing import Drawing
from psps_paper.figures.layout import Key
from psps_paper.figures.style import GRID, INK, MUTED, PAPER, Width


@style.styled
def studies_by_year(studies: pd.DataFrame, *, width: Width = "double", name: str = "studies_by_year") -> Drawing:
    """Draw the number of studies published each year, stacked by treatment class.

    Parameters
    ----------
    studies : DataFrame [year, treatment_class]
        One row per study.

    Returns
    -------
    Drawing
        Data [year, treatment_class, n]; years without a study are counted as zero.
    """
    where = "studies_by_year"
    rows = style.table(studies, ["year", "treatment_class"], where)
    style.check_numbers(rows, ["year"], where, at_least=1900, at_most=2100)
    style.check_values(rows, "treatment_class", palette.CLASS_COLOURS, where)
    years = range(int(rows["year"].min()), int(rows["year"].max()) + 1)
    classes = [c for c in palette.CLASS_COLOURS if c in set(rows["treatment_class"])]
    counts = pd.crosstab(rows["year"].astype(int), rows["treatment_class"])
    counts = counts.reindex(index=years, columns=classes, fill_value=0)

    size = layout.font_size(width)
    total_width = layout.page_width(width)
    totals = counts.sum()
    keys = [Key(f"{c} ({totals[c]})", palette.class_colour(c)) for c in classes]
    legend_height = layout.legend_height(keys, total_width, size) + 0.6 * size
    left, bottom, plot = 3.6 * size, 3.6 * size, 17 * size
    height = legend_height + plot + bottom
    figure, canvas = layout.page(width, height)
    layout.legend(canvas, keys, 1, height, total_width, size)
    axes = layout.panel(figure, left, bottom, total_width - left - 4, plot, size)
    base = np.zeros(len(counts))
    for treatment_class in classes:
        axes.bar(
            counts.index,
            counts[treatment_class],
            bottom=base,
            width=0.82,
            color=palette.class_colour(treatment_class),
            edgecolor=PAPER,
            linewidth=0.8,
        )
        base += counts[treatment_class].to_numpy()
    axes.set(xlabel="Year of publication", ylabel="Studies", xlim=(years[0] - 0.6, years[-1] + 0.6))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=13 if width == "double" else 6))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(0, base.max() * 1.04)

    by_year = counts.sum(axis=1)
    busiest = by_year[by_year == by_year.max()].index
    alt = (
        f"Studies by year of publication: {plural_studies(int(by_year.sum()))} from {years[0]} to "
        f"{years[-1]}; most in {style.listed([str(y) for y in busiest])} ({by_year.max()}"
        f"{' each' if len(busiest) > 1 else ''}). By class: "
        f"{style.listed([f'{c} {totals[c]}' for c in classes])}."
    )
    data = counts.rename_axis(index="year", columns="treatment_class").stack().rename("n")
    return Drawing(name, figure, data.reset_index(), alt)


def plural_studies(count: int) -> str:
    return style.plural(count, "study", "studies")


# Markers drawn side by side for each direction; shapes, not glyphs, so that they do not depend on fonts.
DIRECTIONS: dict[str, tuple[str, ...]] = {
    "favours intervention": ("^",),
    "favours comparator": ("v",),
    "no difference": ("<", ">"),
    "conflicting": ("^", "v"),
    "mixed": ("^", "v"),
    "not reported": (),
}
# Numbers of participants at which the arrow grows: the three sizes of the effect direction plot.
SIZE_CLASSES = ((300, "more than 300", 1.25), (49, "50 to 300", 0.95), (-1, "fewer than 50", 0.65))
# Height of a study's line and of a column's header, in font sizes
STEP, HEADER = 1.75, 1.9


def _arrow_scale(n: float) -> float:
    if pd.isna(n):
        return 0.95
    return next(scale for above, _, scale in SIZE_CLASSES if n > above)


def _draw_direction(canvas, x: float, y: float, direction: str, n: float, size: float) -> None:
    markers = DIRECTIONS[direction]
    if not markers:
        canvas.plot([x - 0.5 * size, x + 0.5 * size], [y, y], color=MUTED, linewidth=1.4)
    scale = _arrow_scale(n) * size
    for index, marker in enumerate(markers):
        offset = (index - (len(markers) - 1) / 2) * (scale + 2.5)
        canvas.plot(
            x + offset,
            y,
            marker=marker,
            markersize=scale,
            linestyle="none",
            markerfacecolor=PAPER if pd.isna(n) else INK,
            markeredgecolor=INK,
            markeredgewidth=0.9,
        )


@dataclass(frozen=True)
class _Key:
    """An entry of the legend: ``draw`` puts its symbol at (x, y) of a canvas; a new kind starts a new line."""

    kind: str
    label: str
    draw: Callable[[Axes, float, float], None]


@dataclass(frozen=True, eq=False)
class _Group:
    """Studies of one sub-class under its wrapped heading, and their height in points."""

    heading: str
    members: pd.DataFrame
    height: float


@dataclass(frozen=True)
class _Marks:
    """Positions of a study's arrow, number and judgement in a column, in points from its left edge."""

    arrow: float
    n: float | None  # None if no number of participants is known
    rob: float


@style.styled
def effect_direction(rows: pd.DataFrame, *, width: Width = "double", name: str = "effect_direction") -> Drawing:
    """Draw an effect direction plot: the arm that each study favours, without sizes of effects.

    Parameters
    ----------
    rows : DataFrame [study, subclass, direction, n, rob_overall]
        ``direction`` is one of :data:`DIRECTIONS`, as stated in the review; ``n`` is the number of
        participants, which may be missing (the arrow is then hollow and of medium size; if
        no number is known at all, their column is omitted).
        Sub-classes are drawn in order of appearance.

    Raises
    ------
    ValueError
        Naming row, column and value: unknown direction or judgement, or ``n`` below 1.

    Source: Boon & Thomson 2021; SWiM (Campbell et al. 2020), items 3 and 6.
    """
    where = "effect_direction"
    columns = ["study", "subclass", "direction", "n", "rob_overall"]
    data = style.table(rows, columns, where)[columns]
    style.check_values(data, "direction", DIRECTIONS, where)
    style.check_values(data, "rob_overall", JUDGEMENTS, where)
    style.check_numbers(data, ["n"], where, missing_allowed=True, at_least=1)

    size, total_width = layout.font_size(width), layout.page_width(width)
    several = width == "double" and len(data) > 12
    column_width = total_width / (2 if several else 1)
    counted = data["n"].notna().any()
    marks = _Marks(
        column_width - (10.0 if counted else 6.5) * size,
        column_width - 4.6 * size if counted else None,
        column_width - 1.8 * size,
    )
    groups = [
        _group(subclass, members, marks.arrow - 2.2 * size, size)
        for subclass, members in data.groupby("subclass", sort=False)
    ]
    split = _balance([group.height for group in groups]) if several else len(groups)
    parts = [part for part in (groups[:split], groups[split:]) if part]
    keys = _direction_keys(data, size)
    places = _key_places(keys, total_width, size)
    legend_height = (places[-1][0] + 1) * 1.7 * size + 0.6 * size
    height = legend_height + HEADER * size + max(sum(group.height for group in part) for part in parts) + 4

    figure, canvas = layout.page(width, height)
    for key, (line, x) in zip(keys, places, strict=True):
        y = height - (line + 0.55) * 1.7 * size
        key.draw(canvas, x + 1.5 * size, y)
        layout.write(canvas, x + 3.2 * size, y, key.label, size)
    for index, part in enumerate(parts):
        left, top = index * column_width, height - legend_height
        _write_header(canvas, left, top, marks, size)
        top -= HEADER * size
        for group in part:
            _draw_group(canvas, group, (left, top), column_width, marks, size)
            top -= group.height
    alt = []
    for subclass, members in data.groupby("subclass", sort=False):
        counts = members["direction"].value_counts()
        alt.append(f"{subclass}: {style.listed([f'{counts[d]} {d}' for d in DIRECTIONS if d in counts])}")
    return Drawing(
        name,
        figure,
        data,
        f"Direction of effect in {plural_studies(len(data))}. " + ". ".join(alt) + ".",
    )


def _group(subclass: str, members: pd.DataFrame, room: float, size: float) -> _Group:
    heading = layout.wrap(subclass, room, size, "bold")
    lines = layout.line_count(heading) * layout.line_height(size)
    return _Group(heading, members, lines + 0.7 * size + len(members) * STEP * size)


def _direction_keys(data: pd.DataFrame, size: float) -> list[_Key]:
    """Explain the symbols in the data: directions, sizes, hollow arrows, judgements."""
    keys = [
        _Key("direction", d, partial(_draw_direction, direction=d, n=100, size=size))
        for d in DIRECTIONS
        if d in set(data["direction"])
    ]
    if data["n"].notna().any():
        keys += [
            _Key("size", label, partial(Axes.plot, marker="^", markersize=scale * size, color=INK, linestyle="none"))
            for _, label, scale in SIZE_CLASSES[::-1]
        ]
    if data["n"].isna().any():
        hollow = partial(_draw_direction, direction="favours intervention", n=np.nan, size=size)
        keys.append(_Key("hollow", "number of participants not known", hollow))
    return keys + [
        _Key("rob", f"{j} risk" if j in ("low", "high") else j, partial(draw_symbol, judgement=j, size=size))
        for j in JUDGEMENTS
        if j in set(data["rob_overall"])
    ]


def _key_places(keys: Sequence[_Key], width: float, size: float) -> list[tuple[int, float]]:
    """Compute line and left edge of each entry; sizes and judgements start new lines."""
    places, line, x, previous = [], 0, 0.0, ""
    for key in keys:
        needed = 3.4 * size + layout.text_width(key.label, size)
        if x > 0 and (x + needed > width or (key.kind != previous and key.kind in ("size", "rob"))):
            line, x = line + 1, 0.0
        places.append((line, x))
        x += needed + size
        previous = key.kind
    return places


def _write_header(canvas: Axes, left: float, top: float, marks: _Marks, size: float) -> None:
    y = top - 0.6 * (HEADER * size)
    for x, text in ((marks.arrow, "direction"), (marks.n, "n"), (marks.rob, "bias")):
        if x is not None:
            layout.write(canvas, left + x, y, text, size, ha="center", color=MUTED)


def _draw_group(
    canvas: Axes, group: _Group, corner: tuple[float, float], column_width: float, marks: _Marks, size: float
) -> None:
    """Draw a sub-class with its studies, downwards from its upper left corner."""
    (left, top), step = corner, STEP * size
    canvas.plot([left + 1, left + column_width - 0.5 * size], [top, top], color=GRID, linewidth=0.8)
    layout.write(canvas, left + 1, top - 0.4 * size, group.heading, size, va="top", weight="bold")
    y = top - layout.line_count(group.heading) * layout.line_height(size) - 0.4 * size - 0.5 * step
    for study in group.members.itertuples():
        layout.write(canvas, left + 8, y, study.study, size)
        _draw_direction(canvas, left + marks.arrow, y, study.direction, study.n, size)
        if marks.n is not None:
            count = "–" if pd.isna(study.n) else str(int(study.n))
            layout.write(canvas, left + marks.n, y, count, size, ha="center")
        draw_symbol(canvas, left + marks.rob, y, study.rob_overall, size)
        y -= step


def _balance(heights: list[float]) -> int:
    """Find where to divide a list of blocks so that the taller part is as short as possible."""
    return min(range(1, len(heights) + 1), key=lambda cut: max(sum(heights[:cut]), sum(heights[cut:])))
