"""Risk of bias: bars over domains, and a judgement for each study."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.patches import Rectangle

from psps_paper.figures import layout, palette, style
from psps_paper.figures.drawing import Drawing
from psps_paper.figures.layout import Key
from psps_paper.figures.style import GRID, INK, ROB_COLOURS, ROB_HATCHES, ROB_SYMBOLS, Width
from psps_paper.formatting import number

JUDGEMENTS = tuple(ROB_COLOURS)
# Percentages printed with one decimal may miss 100 by a rounding error in each of four terms.
ROUNDING = 0.2


def rob_keys(judgements: list[str]) -> list[Key]:
    """Legend of the judgements present."""
    return [Key(j, ROB_COLOURS[j], ROB_HATCHES[j]) for j in JUDGEMENTS if j in judgements]


def draw_symbol(canvas, x: float, y: float, judgement: str, size: float) -> None:
    """A disc with the judgement's symbol, which reads without its colour."""
    canvas.plot(
        x,
        y,
        marker="o",
        markersize=1.35 * size,
        markerfacecolor=ROB_COLOURS[judgement],
        markeredgecolor=INK,
        markeredgewidth=0.6,
        linestyle="none",
    )
    layout.write(
        canvas,
        x,
        y,
        ROB_SYMBOLS[judgement],
        size,
        ha="center",
        va="center_baseline",
        color=palette.text_on(ROB_COLOURS[judgement]),
        weight="bold",
    )


@style.styled
def rob_stacked(rob: pd.DataFrame, *, width: Width = "double", name: str = "rob_stacked") -> Drawing:
    """Share of studies with each judgement, one bar a domain.

    Parameters
    ----------
    rob : DataFrame [domain, judgement, percent]
        ``judgement`` is "low", "some concerns", "high" or "unknown"; the percentages of a domain
        add up to 100 within 0.2. Domains are drawn downwards in order of appearance.

    Raises
    ------
    ValueError
        Naming row, column and value: unknown judgement, a percentage outside [0, 100], a repeated
        judgement, or a domain that does not add up.

    Source: Sterne et al. 2019 (RoB 2); layout after robvis' summary plot.
    """
    where = "rob_stacked"
    data = style.table(rob, ["domain", "judgement", "percent"], where)
    data = data[["domain", "judgement", "percent"]]
    style.check_values(data, "judgement", JUDGEMENTS, where)
    style.check_numbers(data, ["percent"], where, at_least=0, at_most=100)
    if data.duplicated(["domain", "judgement"]).any():
        bad = data[data.duplicated(["domain", "judgement"])].iloc[0]
        raise ValueError(f"{where}: domain {bad['domain']!r} has {bad['judgement']!r} more than once")
    for domain, total in data.groupby("domain", sort=False)["percent"].sum().items():
        if abs(total - 100) > ROUNDING:
            raise ValueError(f"{where}: domain {domain!r}, column percent: sum {total:g} is not 100")

    size = layout.font_size(width)
    total_width = layout.page_width(width)
    domains = list(data["domain"].unique())
    beside = width == "double"
    label_width = 0.33 * total_width if beside else 0.0
    labels = {d: layout.wrap(d, (label_width or total_width) - 10, size) for d in domains}
    left, right = label_width + (0 if beside else 6), 10.0
    bar_width = total_width - left - right
    bar = 1.9 * size
    gap = 1.1 * size
    line = layout.line_height(size)

    def fits(text: str, percent: float) -> bool:
        return layout.text_width(text, size) + 5 <= percent / 100 * bar_width

    data["text"] = [
        ("unknown " if j == "unknown" else "") + number(p, 1)
        for j, p in zip(data["judgement"], data["percent"], strict=True)
    ]
    rows = {}
    for domain, group in data.groupby("domain", sort=False):
        # A percentage stands above a segment that is too narrow to hold it.
        above = not all(map(fits, group["text"], group["percent"]))
        lines = above + (0 if beside else layout.line_count(labels[domain]))
        rows[domain] = bar + gap + lines * line
    present = list(data["judgement"].unique())
    keys = rob_keys(present)
    legend_height = layout.legend_height(keys, total_width, size)
    axis_height = 3.4 * size
    height = legend_height + sum(rows.values()) + axis_height + 10

    figure, canvas = layout.page(width, height)
    layout.legend(canvas, keys, 1, height, total_width, size)
    axes = layout.panel(figure, left, axis_height, bar_width, height - legend_height - axis_height, size)
    axes.set(xlim=(0, 100), ylim=(axis_height, height - legend_height), xlabel="Studies (%)")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    top = height - legend_height - 4
    alt = []
    for domain in domains:
        members = data[data["domain"] == domain].set_index("judgement")
        group = members["percent"]
        base = top - rows[domain] + gap
        if beside:
            layout.write(canvas, label_width - 8, base + bar / 2, labels[domain], size, ha="right")
        else:
            layout.write(canvas, left, top, labels[domain], size, va="top")
        start = 0.0
        for judgement in (j for j in JUDGEMENTS if group.get(j, 0) > 0):
            percent = group[judgement]
            fill = ROB_COLOURS[judgement]
            axes.add_patch(
                Rectangle(
                    (start, base),
                    percent,
                    bar,
                    facecolor=fill,
                    edgecolor=INK,
                    linewidth=0.8,
                    hatch=ROB_HATCHES[judgement],
                )
            )
            text = members["text"][judgement]
            inside = fits(text, percent)
            layout.write(
                axes,
                start + percent / 2,
                base + (bar / 2 if inside else bar + 0.75 * size),
                text,
                size,
                ha="center",
                # The hatch would run through the digits without a plain patch behind them.
                bbox={"facecolor": fill, "edgecolor": "none", "pad": 1.0} if inside else None,
                color=palette.text_on(fill) if inside else INK,
            )
            start += percent
        parts = [f"{number(group[j], 1)}% {j}" for j in JUDGEMENTS if group.get(j, 0) > 0]
        alt.append(f"{domain}: {style.listed(parts)}")
        top -= rows[domain]
    return Drawing(
        name,
        figure,
        data.drop(columns="text"),
        "Risk of bias by domain, percentage of studies. " + ". ".join(alt) + ".",
    )


@style.styled
def rob_by_study(studies: pd.DataFrame, *, width: Width = "double", name: str = "rob_by_study") -> Drawing:
    """Overall risk of bias of each study, grouped by treatment class.

    Parameters
    ----------
    studies : DataFrame [ref, label, rob_overall, treatment_class]
        One row a study. ``label`` is what readers see; ``ref`` is the article's reference number.

    Raises
    ------
    ValueError
        Naming row, column and value: unknown judgement or class, or a study listed twice.
    """
    where = "rob_by_study"
    data = style.table(studies, ["ref", "label", "rob_overall", "treatment_class"], where)
    data = data[["ref", "label", "rob_overall", "treatment_class"]]
    style.check_values(data, "rob_overall", JUDGEMENTS, where)
    style.check_values(data, "treatment_class", palette.CLASS_COLOURS, where)
    if data["ref"].duplicated().any():
        bad = data[data["ref"].duplicated()].iloc[0]
        raise ValueError(f"{where}: column ref: {bad['ref']!r} ({bad['label']}) is listed twice")
    counts = data["treatment_class"].value_counts()
    order = sorted(counts.index, key=lambda c: (-counts[c], c))
    data = data.sort_values(
        ["treatment_class", "rob_overall", "label"],
        key=lambda column: (
            column.map({c: i for i, c in enumerate(order)})
            if column.name == "treatment_class"
            else column.map({j: i for i, j in enumerate(JUDGEMENTS)})
            if column.name == "rob_overall"
            else column
        ),
        ignore_index=True,
    )

    size = layout.font_size(width)
    total_width = layout.page_width(width)
    labels = {row.ref: f"{row.label} [{row.ref}]" for row in data.itertuples()}
    headings = {c: f"{c} ({counts[c]})" for c in order}
    cell = max(layout.text_width(text, size) for text in labels.values()) + 2.4 * size
    columns = max(1, int((total_width + 10) // (cell + 10)))
    cell = total_width / columns
    step = 1.75 * size
    blocks = []
    for treatment_class in order:
        members = data[data["treatment_class"] == treatment_class]
        blocks.append((treatment_class, members, math.ceil(len(members) / columns)))
    keys = rob_keys(list(data["rob_overall"].unique()))
    legend_height = 1.7 * size
    legend_rows = layout.legend_height(keys, total_width, size) / (1.5 * size)
    legend_height = legend_rows * legend_height + 0.5 * size
    height = legend_height + sum(1.6 * step + rows * step for _, _, rows in blocks) + 4

    figure, canvas = layout.page(width, height)
    x, y = 0.0, height - 0.9 * size
    for key in keys:
        needed = 1.8 * size + layout.text_width(key.label, size) + layout.KEY_GAP
        if x > 0 and x + needed - layout.KEY_GAP > total_width:
            x, y = 0.0, y - 1.7 * size
        draw_symbol(canvas, x + size, y, key.label, size)
        layout.write(canvas, x + 2.1 * size, y, key.label, size)
        x += needed + 0.3 * size
    top = height - legend_height
    for treatment_class, members, rows in blocks:
        y = top - 0.9 * step
        canvas.add_patch(
            Rectangle(
                (1, y - 0.5 * size),
                4,
                size,
                facecolor=palette.class_colour(treatment_class),
                edgecolor="none",
            )
        )
        layout.write(canvas, 9, y, headings[treatment_class], size, weight="bold")
        canvas.plot([1, total_width - 1], [y - 0.55 * step] * 2, color=GRID, linewidth=0.8)
        for index, study in enumerate(members.itertuples()):
            column, row = divmod(index, rows)
            y = top - (2.0 + row) * step
            draw_symbol(canvas, column * cell + size, y, study.rob_overall, size)
            layout.write(canvas, column * cell + 2.1 * size, y, labels[study.ref], size)
        top -= (1.6 + rows) * step
    alt = [_tally(data["rob_overall"], f"all {len(data)} studies")]
    alt += [_tally(members["rob_overall"], f"{c} ({len(members)})") for c, members, _ in blocks]
    return Drawing(name, figure, data, "Overall risk of bias of each study. " + ". ".join(alt) + ".")


def _tally(judgements: pd.Series, heading: str) -> str:
    counts = judgements.value_counts()
    parts = [f"{counts[j]} {j}" for j in JUDGEMENTS if j in counts]
    return f"{heading[0].upper()}{heading[1:]}: {style.listed(parts)}"
