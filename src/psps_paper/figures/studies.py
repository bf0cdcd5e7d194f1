"""The included studies: when they appeared and which way they point."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from psps_paper.figures import layout, palette, style
from psps_paper.figures.bias import JUDGEMENTS, draw_symbol
from psps_paper.figures.drawing import Drawing
from psps_paper.figures.layout import Key
from psps_paper.figures.style import GRID, INK, MUTED, PAPER, Width


@style.styled
def studies_by_year(studies: pd.DataFrame, *, width: Width = "double", name: str = "studies_by_year") -> Drawing:
    """Number of studies published each year, stacked by treatment class.

    Parameters
    ----------
    studies : DataFrame [year, treatment_class]
        One row a study.

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


# Markers drawn side by side for each direction; shapes, not glyphs, so that no font can lack them.
DIRECTIONS: dict[str, tuple[str, ...]] = {
    "favours intervention": ("^",),
    "favours comparator": ("v",),
    "no difference": ("<", ">"),
    "conflicting": ("^", "v"),
    "mixed": ("^", "v"),
    "not reported": (),
}
# Participants at which the arrow grows, after the effect direction plot's three sizes.
SIZE_CLASSES = ((300, "more than 300", 1.25), (49, "50 to 300", 0.95), (-1, "fewer than 50", 0.65))


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


@style.styled
def effect_direction(rows: pd.DataFrame, *, width: Width = "double", name: str = "effect_direction") -> Drawing:
    """Effect direction plot: which arm each study favours, without any size of effect.

    Parameters
    ----------
    rows : DataFrame [study, subclass, direction, n, rob_overall]
        ``direction`` is one of :data:`DIRECTIONS`, as the review states it; ``n`` is the number of
        participants, missing where it is not known (the arrow is then hollow and of middle size; where
        no number is known at all, their column is left out).
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

    size = layout.font_size(width)
    total_width = layout.page_width(width)
    step = 1.75 * size
    subclasses = list(data["subclass"].unique())
    label_width = max(layout.text_width(s, size) for s in data["study"]) + size
    group_columns = 2 if width == "double" and len(data) > 12 else 1
    column_width = total_width / group_columns
    has_n, lacks_n = data["n"].notna().any(), data["n"].isna().any()
    x_arrow, x_n, x_rob = (column_width - f * size for f in (10.0 if has_n else 6.5, 4.6, 1.8))
    label_width = min(label_width, x_arrow - 1.8 * size)

    blocks = []
    for subclass in subclasses:
        members = data[data["subclass"] == subclass]
        heading = layout.wrap(subclass, x_arrow - 2.2 * size, size, "bold")
        blocks.append(
            (heading, members, layout.line_count(heading) * layout.line_height(size) + 0.7 * size + len(members) * step)
        )
    split = _balance([block[2] for block in blocks]) if group_columns == 2 else len(blocks)
    columns_of_blocks = [part for part in (blocks[:split], blocks[split:]) if part]
    body = max(sum(block[2] for block in part) for part in columns_of_blocks)
    directions = [d for d in DIRECTIONS if d in set(data["direction"])]
    sizes = list(SIZE_CLASSES[::-1]) if has_n else []
    entries = [("direction", d, d) for d in directions]
    entries += [("size", label, scale) for _, label, scale in sizes]
    if lacks_n:
        entries.append(("hollow", "number of participants not known", None))
    entries += [
        ("rob", f"{j} risk" if j in ("low", "high") else j, j) for j in JUDGEMENTS if j in set(data["rob_overall"])
    ]
    places, line, x = [], 0, 0.0
    previous = ""
    for kind, label, _ in entries:
        needed = 3.4 * size + layout.text_width(label, size)
        if x > 0 and (x + needed > total_width or (kind != previous and kind in ("size", "rob"))):
            line, x = line + 1, 0.0
        places.append((line, x))
        x += needed + size
        previous = kind
    legend_height = (line + 1) * 1.7 * size + 0.6 * size
    header = 1.9 * size
    height = legend_height + header + body + 4

    figure, canvas = layout.page(width, height)
    for (kind, label, value), (line, x) in zip(entries, places, strict=True):
        y = height - (line + 0.55) * 1.7 * size
        middle = x + 1.5 * size
        if kind == "direction":
            _draw_direction(canvas, middle, y, value, 100, size)
        elif kind == "size":
            canvas.plot(middle, y, marker="^", markersize=value * size, color=INK, linestyle="none")
        elif kind == "hollow":
            _draw_direction(canvas, middle, y, "favours intervention", np.nan, size)
        else:
            draw_symbol(canvas, middle, y, value, size)
        layout.write(canvas, x + 3.2 * size, y, label, size)
    for index, part in enumerate(columns_of_blocks):
        left = index * column_width
        top = height - legend_height
        for x, text in ((x_arrow, "direction"), (x_n, "n" if has_n else ""), (x_rob, "bias")):
            layout.write(canvas, left + x, top - 0.6 * header, text, size, ha="center", color=MUTED)
        top -= header
        for heading, members, block_height in part:
            canvas.plot([left + 1, left + column_width - 0.5 * size], [top, top], color=GRID, linewidth=0.8)
            layout.write(canvas, left + 1, top - 0.4 * size, heading, size, va="top", weight="bold")
            y = top - layout.line_count(heading) * layout.line_height(size) - 0.4 * size - 0.5 * step
            for study in members.itertuples():
                layout.write(canvas, left + 8, y, study.study, size)
                _draw_direction(canvas, left + x_arrow, y, study.direction, study.n, size)
                if has_n:
                    count = "–" if pd.isna(study.n) else str(int(study.n))
                    layout.write(canvas, left + x_n, y, count, size, ha="center")
                draw_symbol(canvas, left + x_rob, y, study.rob_overall, size)
                y -= step
            top -= block_height
    alt = []
    for subclass in subclasses:
        counts = data.loc[data["subclass"] == subclass, "direction"].value_counts()
        parts = [f"{counts[d]} {d}" for d in DIRECTIONS if d in counts]
        alt.append(f"{subclass}: {style.listed(parts)}")
    return Drawing(
        name,
        figure,
        data,
        f"Direction of effect in {plural_studies(len(data))}. " + ". ".join(alt) + ".",
    )


def _balance(heights: list[float]) -> int:
    """Where to cut a list of blocks so that the taller part is as low as can be."""
    return min(range(1, len(heights) + 1), key=lambda cut: max(sum(heights[:cut]), sum(heights[cut:])))
