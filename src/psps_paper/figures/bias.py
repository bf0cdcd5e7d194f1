"""Risk of bias: bars by domain, and judgements by study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from psps_paper.figures import layout, palette, style
from psps_paper.figures.drawing import Drawing
from psps_paper.figures.layout import Key
from psps_paper.figures.style import GRID, INK, ROB_COLOURS, ROB_HATCHES, ROB_SYMBOLS, Width
from psps_paper.formatting import number

JUDGEMENTS = tuple(ROB_COLOURS)
# Percentages with one decimal may add up to 100 only within a rounding error in each of four terms.
ROUNDING = 0.2
BAR = 1.9  # height of a bar, in font sizes


def rob_keys(judgements: list[str]) -> list[Key]:
    """Return legend entries for the judgements present."""
    return [Key(j, ROB_COLOURS[j], ROB_HATCHES[j]) for j in JUDGEMENTS if j in judgements]


def draw_symbol(canvas, x: float, y: float, judgement: str, size: float) -> None:
    """Draw a disc with the judgement's symbol, which can be read without colour."""
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


@dataclass(frozen=True)
class _Segment:
    """A judgement's part of a bar, in percent, and its number, placed above the bar if it does not fit inside."""

    judgement: str
    start: float
    percent: float
    text: str
    fits: bool


@dataclass(frozen=True)
class _Bar:
    """The bar of one domain; ``above`` is true if a number is placed above it."""

    label: str
    segments: list[_Segment]
    above: bool


@style.styled
def rob_stacked(rob: pd.DataFrame, *, width: Width = "double", name: str = "rob_stacked") -> Drawing:
    """Draw the proportion of studies with each judgement, one bar per domain.

    Parameters
    ----------
    rob : DataFrame [domain, judgement, percent]
        ``judgement`` is "low", "some concerns", "high" or "unknown"; the percentages of a domain
        add up to 100 within 0.2. Domains are drawn from top to bottom in order of appearance.

    Raises
    ------
    ValueError
        Naming row, column and value: unknown judgement, a percentage outside [0, 100], a repeated
        judgement, or a domain that does not add up.

    Source: Sterne et al. 2019 (RoB 2); layout after robvis' summary plot.
    """
    data = _check_shares(rob)
    size, total_width = layout.font_size(width), layout.page_width(width)
    beside = width == "double"
    label_width = 0.33 * total_width if beside else 0.0
    left, right = label_width + (0 if beside else 6), 10.0
    bar_width = total_width - left - right
    groups = dict(list(data.groupby("domain", sort=False)))
    bars = [
        _bar(layout.wrap(domain, (label_width or total_width) - 10, size), group, bar_width, size)
        for domain, group in groups.items()
    ]
    gap, line = 1.1 * size, layout.line_height(size)
    heights = [BAR * size + gap + (bar.above + (0 if beside else layout.line_count(bar.label))) * line for bar in bars]
    keys = rob_keys(list(data["judgement"].unique()))
    legend_height = layout.legend_height(keys, total_width, size)
    axis_height = 3.4 * size
    height = legend_height + sum(heights) + axis_height + 10

    figure, canvas = layout.page(width, height)
    layout.legend(canvas, keys, 1, height, total_width, size)
    axes = layout.panel(figure, left, axis_height, bar_width, height - legend_height - axis_height, size)
    axes.set(xlim=(0, 100), ylim=(axis_height, height - legend_height), xlabel="Studies (%)")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    top = height - legend_height - 4
    for bar, bar_height in zip(bars, heights, strict=True):
        base = top - bar_height + gap
        if beside:
            layout.write(canvas, label_width - 8, base + BAR * size / 2, bar.label, size, ha="right")
        else:
            layout.write(canvas, left, top, bar.label, size, va="top")
        for segment in bar.segments:
            _draw_segment(axes, segment, base, size)
        top -= bar_height
    alt = [
        f"{domain}: {style.listed([f'{number(part.percent, 1)}% {part.judgement}' for part in bar.segments])}"
        for domain, bar in zip(groups, bars, strict=True)
    ]
    return Drawing(name, figure, data, "Risk of bias by domain, percentage of studies. " + ". ".join(alt) + ".")


def _check_shares(rob: pd.DataFrame) -> pd.DataFrame:
    """Check and return the rows of :func:`rob_stacked`."""
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
    return data


def _bar(label: str, group: pd.DataFrame, bar_width: float, size: float) -> _Bar:
    """Divide a bar of ``bar_width`` points into the segments of a domain's judgements."""
    percents = group.set_index("judgement")["percent"]
    texts = {j: ("unknown " if j == "unknown" else "") + number(p, 1) for j, p in percents.items()}
    fits = {j: layout.text_width(texts[j], size) + 5 <= p / 100 * bar_width for j, p in percents.items()}
    segments, start = [], 0.0
    for judgement in (j for j in JUDGEMENTS if percents.get(j, 0) > 0):
        segments.append(_Segment(judgement, start, percents[judgement], texts[judgement], fits[judgement]))
        start += percents[judgement]
    return _Bar(label, segments, not all(fits.values()))


def _draw_segment(axes: Axes, segment: _Segment, base: float, size: float) -> None:
    fill, bar = ROB_COLOURS[segment.judgement], BAR * size
    edge = {"edgecolor": INK, "linewidth": 0.8, "hatch": ROB_HATCHES[segment.judgement]}
    axes.add_patch(Rectangle((segment.start, base), segment.percent, bar, facecolor=fill, **edge))
    layout.write(
        axes,
        segment.start + segment.percent / 2,
        base + (bar / 2 if segment.fits else bar + 0.75 * size),
        segment.text,
        size,
        ha="center",
        # Without a plain patch behind them, the hatch would run through the digits.
        bbox={"facecolor": fill, "edgecolor": "none", "pad": 1.0} if segment.fits else None,
        color=palette.text_on(fill) if segment.fits else INK,
    )


@dataclass(frozen=True, eq=False)
class _Block:
    """Studies of one treatment class, and the rows that they take."""

    treatment_class: str
    members: pd.DataFrame
    rows: int


@style.styled
def rob_by_study(studies: pd.DataFrame, *, width: Width = "double", name: str = "rob_by_study") -> Drawing:
    """Draw the overall risk of bias of each study, grouped by treatment class.

    Parameters
    ----------
    studies : DataFrame [ref, label, rob_overall, treatment_class]
        One row per study. ``label`` is the text that readers see; ``ref`` is the article's reference number.

    Raises
    ------
    ValueError
        Naming row, column and value: unknown judgement or class, or a study listed twice.
    """
    data = _sorted_by_risk(studies)
    size, total_width = layout.font_size(width), layout.page_width(width)
    labels = {row.ref: f"{row.label} [{row.ref}]" for row in data.itertuples()}
    cell = max(layout.text_width(text, size) for text in labels.values()) + 2.4 * size
    columns = max(1, int((total_width + 10) // (cell + 10)))
    cell = total_width / columns
    step = 1.75 * size
    blocks = [
        _Block(treatment_class, members, math.ceil(len(members) / columns))
        for treatment_class, members in data.groupby("treatment_class", sort=False)
    ]
    keys = rob_keys(list(data["rob_overall"].unique()))
    legend_rows = layout.legend_height(keys, total_width, size) / (1.5 * size)
    legend_height = legend_rows * (1.7 * size) + 0.5 * size
    height = legend_height + sum(1.6 * step + block.rows * step for block in blocks) + 4

    figure, canvas = layout.page(width, height)
    _draw_symbol_keys(canvas, keys, height, total_width, size)
    top = height - legend_height
    for block in blocks:
        _draw_heading(canvas, block, top - 0.9 * step, total_width, size, step)
        for index, study in enumerate(block.members.itertuples()):
            column, row = divmod(index, block.rows)
            y = top - (2.0 + row) * step
            draw_symbol(canvas, column * cell + size, y, study.rob_overall, size)
            layout.write(canvas, column * cell + 2.1 * size, y, labels[study.ref], size)
        top -= (1.6 + block.rows) * step
    alt = [_tally(data["rob_overall"], f"all {len(data)} studies")]
    alt += [_tally(block.members["rob_overall"], f"{block.treatment_class} ({len(block.members)})") for block in blocks]
    return Drawing(name, figure, data, "Overall risk of bias of each study. " + ". ".join(alt) + ".")


@style.styled
def rob_domains(judgements: pd.DataFrame, *, width: Width = "double", name: str = "rob_domains") -> Drawing:
    """Draw the judgement of each study in each domain, one line per study, in as many columns as fit.

    Parameters
    ----------
    judgements : DataFrame [study x domain]
        The index holds the studies, each once; cells are low, some concerns, high or unknown.

    Raises
    ------
    ValueError
        Naming study, domain and value: unknown judgement, or a study listed twice.
    """
    where = "rob_domains"
    studies, domains = judgements.index.astype(str), list(judgements.columns)
    if judgements.empty or studies.has_duplicates or len(set(domains)) < len(domains):
        raise ValueError(f"{where}: expected at least one row, and each study and each domain once")
    for domain in domains:
        style.check_values(judgements.assign(study=studies), domain, JUDGEMENTS, where)
    size, total_width = layout.font_size(width), layout.page_width(width)
    step, gap = 1.75 * size, 2.4 * size
    label = max(layout.text_width(study, size) for study in studies) + 0.8 * size
    cell = min(label + len(domains) * step, total_width)
    columns = max(1, min(len(studies), int((total_width + gap) // (cell + gap))))
    rows = math.ceil(len(studies) / columns)
    keys = rob_keys(list(pd.unique(judgements.to_numpy().ravel())))
    keys_height = layout.legend_height(keys, total_width, size) / (1.5 * size) * (1.7 * size) + 0.5 * size
    numbered = "; ".join(f"{k}: {domain}" for k, domain in enumerate(domains, 1))
    note = layout.wrap(numbered, total_width - 4, size)
    note_height = layout.line_count(note) * layout.line_height(size) + 0.8 * size
    figure, canvas = layout.page(width, keys_height + note_height + (rows + 1.2) * step + 4)
    top = keys_height + note_height + (rows + 1.2) * step + 2
    _draw_symbol_keys(canvas, keys, top, total_width, size)
    layout.write(canvas, 2, top - keys_height - note_height / 2, note, size)
    for index, study in enumerate(studies):
        column, row = divmod(index, rows)
        right = column * (cell + gap) + cell
        y = top - keys_height - note_height - (row + 1.7) * step
        layout.write(canvas, right - cell, y, study, size)
        for k, judgement in enumerate(judgements.iloc[index]):
            x = right - (len(domains) - k - 0.5) * step
            if row == 0:
                layout.write(canvas, x, y + step, str(k + 1), size, ha="center")
            draw_symbol(canvas, x, y, judgement, size)
    data = judgements.rename_axis("study").reset_index()
    alt = [_tally(judgements[domain], f"{domain} of {len(studies)} studies") for domain in domains]
    return Drawing(name, figure, data, "Judgement of each study. " + ". ".join(alt) + ".")


def _sorted_by_risk(studies: pd.DataFrame) -> pd.DataFrame:
    """Check the rows of :func:`rob_by_study` and sort them: the largest class first, within it the lowest risk."""
    where = "rob_by_study"
    data = style.table(studies, ["ref", "label", "rob_overall", "treatment_class"], where)
    data = data[["ref", "label", "rob_overall", "treatment_class"]]
    style.check_values(data, "rob_overall", JUDGEMENTS, where)
    style.check_values(data, "treatment_class", palette.CLASS_COLOURS, where)
    if data["ref"].duplicated().any():
        bad = data[data["ref"].duplicated()].iloc[0]
        raise ValueError(f"{where}: column ref: {bad['ref']!r} ({bad['label']}) is listed twice")
    counts = data["treatment_class"].value_counts()
    places = {
        "treatment_class": {c: k for k, c in enumerate(sorted(counts.index, key=lambda c: (-counts[c], c)))},
        "rob_overall": {judgement: k for k, judgement in enumerate(JUDGEMENTS)},
    }
    return data.sort_values(
        [*places, "label"],
        key=lambda column: column.map(places[column.name]) if column.name in places else column,
        ignore_index=True,
    )


def _draw_symbol_keys(canvas: Axes, keys: Sequence[Key], top: float, total_width: float, size: float) -> None:
    """Draw the symbols and their meanings, in as many lines as the width needs."""
    x, y = 0.0, top - 0.9 * size
    for key in keys:
        needed = 1.8 * size + layout.text_width(key.label, size) + layout.KEY_GAP
        if x > 0 and x + needed - layout.KEY_GAP > total_width:
            x, y = 0.0, y - 1.7 * size
        draw_symbol(canvas, x + size, y, key.label, size)
        layout.write(canvas, x + 2.1 * size, y, key.label, size)
        x += needed + 0.3 * size


def _draw_heading(canvas: Axes, block: _Block, y: float, total_width: float, size: float, step: float) -> None:
    """Draw the class with its colour and number of studies, above a line."""
    colour = palette.class_colour(block.treatment_class)
    canvas.add_patch(Rectangle((1, y - 0.5 * size), 4, size, facecolor=colour, edgecolor="none"))
    layout.write(canvas, 9, y, f"{block.treatment_class} ({len(block.members)})", size, weight="bold")
    canvas.plot([1, total_width - 1], [y - 0.55 * step] * 2, color=GRID, linewidth=0.8)


def _tally(judgements: pd.Series, heading: str) -> str:
    counts = judgements.value_counts()
    parts = [f"{counts[j]} {j}" for j in JUDGEMENTS if j in counts]
    return f"{heading[0].upper()}{heading[1:]}: {style.listed(parts)}"
