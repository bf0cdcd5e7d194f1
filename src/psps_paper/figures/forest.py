"""Forest plots: contrasts of a network, and responders on a ratio scale."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Polygon
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from psps_paper.figures import layout, palette, style
from psps_paper.figures.drawing import Drawing
from psps_paper.figures.layout import Key
from psps_paper.figures.network import favours_first
from psps_paper.figures.style import INK, MUTED, Width
from psps_paper.formatting import estimate, interval, number, p_value, ratio_number

# What says how much the studies of a pooled ratio differ
SPREAD = ("tau2", "i2", "q", "df_q", "p_q")


def favours_labels(first: str, second: str, desirable: str) -> tuple[str, str]:
    """What the left and the right side of the null line favour.

    ``desirable`` says whether a lower or a higher value is good for ``first``.
    """
    ends = (f"favours {second}", f"favours {first}")
    return ends if favours_first(desirable) == "positive" else ends[::-1]


def _favours_height(wide: bool, sides: tuple[str, str], size: float) -> float:
    """Room under the axis for :func:`_write_favours`."""
    lines = max(map(layout.line_count, sides)) if wide else 2
    return 1.9 * size + lines * layout.line_height(size)


def _write_favours(
    canvas: Axes,
    axes: Axes,
    sides: tuple[str, str],
    null: float,
    span: tuple[float, float],
    y: float,
    size: float,
    wide: bool,
) -> None:
    """What each side of the null line favours: beside arrows that leave it, or on two lines."""
    left, width = span
    if not wide:
        y -= 0.6 * size
        right = max(left + width, layout.text_width(f"{sides[1]} →", size) + 1)
        layout.write(canvas, 1, y, f"← {sides[0]}", size)
        layout.write(canvas, right, y - layout.line_height(size), f"{sides[1]} →", size, ha="right")
        return
    share = axes.transLimits.transform((axes.transScale.transform((null, 1))[0], 0))[0]
    middle = left + share * width
    canvas.annotate("", xy=(left, y), xytext=(middle - 4, y), arrowprops=_arrow())
    canvas.annotate("", xy=(left + width, y), xytext=(middle + 4, y), arrowprops=_arrow())
    for text, x, align in ((sides[0], middle - 5, "right"), (sides[1], middle + 5, "left")):
        layout.write(canvas, x, y - 0.5 * size, text, size, ha=align, va="top")


def _prediction_line(axes: Axes, lower: float, upper: float, y: float) -> None:
    """A thin line with end ticks, wider than the confidence interval that lies on it."""
    axes.plot([lower, upper], [y, y], color=MUTED, linewidth=1.2, marker="|", markersize=7, zorder=2)


def _null_line(axes: Axes, null: float, bands: list[tuple[float, float]]) -> None:
    """The null line, left out where labels stand above the rows."""
    for low, high in bands:
        axes.plot([null, null], [low, high], color=INK, linewidth=0.9, zorder=1)


def _arrow() -> dict:
    return {"arrowstyle": "->", "color": MUTED, "linewidth": 1.0, "shrinkA": 0, "shrinkB": 0}


@style.styled
def forest_network(
    rows: pd.DataFrame,
    *,
    desirable: str,
    first: str = "first-named treatment",
    second: str = "second-named treatment",
    unit: str = "standardised mean difference",
    ratio: bool = False,
    level: float = 0.95,
    width: Width = "double",
    name: str = "forest_network",
) -> Drawing:
    """Contrasts of a network with confidence and, where given, prediction intervals.

    Parameters
    ----------
    rows : DataFrame [label, te, lower, upper, tier, treatment_class]
        Optional columns ``predict_lower``, ``predict_upper`` (both or neither; missing values
        allowed). ``te`` is ``first`` minus ``second``, in ``unit``. The colour is the class's,
        the marker the tier's: solid for printed values, hollow for implied ones.
    desirable : {"lower", "higher"}
        Whether a lower or a higher ``te`` is good for ``first``.
    first, second : str
        Names for the two ends of the axis.
    ratio : bool
        ``te`` and the limits are logarithms of a ratio, which ``unit`` names: the ratio is shown, on a logarithmic
        axis.
    level : float
        Of both intervals.

    Raises
    ------
    ValueError
        Naming row, column and value: unknown tier or class, a limit out of order, no number.
    """
    where = "forest_network"
    columns = ["label", "te", "lower", "upper", "tier", "treatment_class"]
    predicted = [c for c in ("predict_lower", "predict_upper") if c in rows.columns]
    if len(predicted) == 1:
        raise ValueError(f"{where}: column {predicted[0]!r} comes without its other limit")
    data = style.table(rows, columns, where)[columns[:4] + predicted + columns[4:]]
    style.check_numbers(data, ["te", "lower", "upper"], where)
    style.check_numbers(data, predicted, where, missing_allowed=True)
    style.check_order(data, ["lower", "te", "upper"], where)
    style.check_values(data, "tier", style.TIER_MARKERS, where)
    style.check_values(data, "treatment_class", palette.CLASS_COLOURS, where)
    sides = favours_labels(first, second, desirable)

    percent = f"{100 * level:g}%"
    size = layout.font_size(width)
    total_width = layout.page_width(width)
    wide = width == "double"
    side_texts = tuple(layout.wrap(side, 0.4 * total_width, size) for side in sides) if wide else sides
    shown_number = ratio_number if ratio else number
    estimates = [
        f"{shown_number(r.te)} ({shown_number(r.lower)} to {shown_number(r.upper)})" for r in data.itertuples()
    ]
    predictions = [
        (
            ""
            if not predicted or pd.isna(r.predict_lower)
            else f"PI {shown_number(r.predict_lower)} to {shown_number(r.predict_upper)}"
        )
        for r in data.itertuples()
    ]
    any_prediction = any(predictions)
    heading = (
        f"SMD ({percent} CI)"
        if unit == "standardised mean difference"
        else f"{'Ratio' if ratio else 'Estimate'} ({percent} CI)"
    )
    number_width = max(layout.text_width(t, size) for t in [*estimates, *predictions, heading]) + 2
    label_width = 0.36 * total_width if wide else 0.0
    labels = [layout.wrap(t, (label_width or total_width) - 8, size) for t in data["label"]]
    if wide:
        label_width = max(layout.block_width(label, size) for label in labels) + 8
    left = label_width + (4 if wide else 2)
    plot_width = total_width - left - number_width - 12
    line = layout.line_height(size)

    def row_height(label: str) -> float:
        beside = (2 if any_prediction else 1) * line
        lines = layout.line_count(label) * line
        return (max(lines, beside) if wide else lines + beside) + 0.9 * size

    row_heights = [row_height(label) for label in labels]
    keys = layout.tier_keys(data["tier"])
    if any_prediction:
        keys.append(Key(f"{percent} prediction interval (PI)", MUTED, marker="_"))
    legend_height = layout.legend_height(keys, total_width, size)
    heading_height = 1.7 * size
    body = sum(row_heights)
    half = max(layout.block_width(side, size) for side in side_texts)
    axis_height = 3.3 * size + _favours_height(wide, side_texts, size)
    height = legend_height + heading_height + body + axis_height + 2

    figure, canvas = layout.page(width, height)
    layout.legend(canvas, keys, 1, height, total_width, size)
    axes = layout.panel(figure, left, axis_height, plot_width, body, size)
    limits = data[["lower", "upper", *predicted]].to_numpy(dtype=float).ravel()
    low, high = style.nice_limits([*limits, 0.0])
    # The null line stands where both "favours" labels have room on their side of it.
    if wide:
        low, high = _room_for_labels(low, high, half + 8, left, total_width - left, plot_width)
    axes.set(xlim=(low, high), ylim=(axis_height, axis_height + body))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    if ratio:
        ticks = _ratio_ticks(low, high, 6 if wide else 4)
        axes.xaxis.set_major_locator(FixedLocator(np.log(ticks)))
        axes.set_xticklabels([f"{tick:g}" for tick in ticks])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6 if wide else 4))
    top = axis_height + body
    bands = [(axis_height, top)] if wide else []
    colours = palette.colours_of(data["treatment_class"])
    layout.write(canvas, total_width - 1, top + 0.5 * heading_height, heading, size, ha="right", color=MUTED)
    for row, label, shown, prediction, row_space in zip(
        data.itertuples(), labels, estimates, predictions, row_heights, strict=True
    ):
        colour = colours[row.treatment_class]
        if wide:
            y = top - row_space / 2
            layout.write(canvas, 1, y, label, size)
        else:
            layout.write(canvas, 1, top - 0.3 * size, label, size, va="top")
            above = layout.line_count(label) * line
            y = top - (row_space + above) / 2
            bands.append((top - row_space, top - above - 0.5 * size))
        if prediction:
            _prediction_line(axes, row.predict_lower, row.predict_upper, y)
        axes.plot([row.lower, row.upper], [y, y], color=colour, linewidth=3.4, solid_capstyle="butt", zorder=3)
        marker, filled = style.TIER_MARKERS[row.tier]
        axes.plot(row.te, y, **layout.marker_style(marker, colour, filled, 7.5))
        numbers_y = y + (0.5 * line if prediction else 0)
        layout.write(canvas, total_width - 1, numbers_y, shown, size, ha="right")
        if prediction:
            layout.write(canvas, total_width - 1, y - 0.5 * line, prediction, size, ha="right", color=MUTED)
        top -= row_space
    _null_line(axes, 0.0, bands)
    axis_label = unit[0].upper() + unit[1:] + " (logarithmic axis)" * ratio
    layout.write(canvas, left + plot_width / 2, axis_height - 2.4 * size, axis_label, size, ha="center")
    _write_favours(canvas, axes, side_texts, 0.0, (left, plot_width), axis_height - 3.5 * size, size, wide)
    alt = [
        f"{row.label} {shown}" + (f", prediction interval {prediction[3:]}" if prediction else "") + f" [{row.tier}]"
        for row, shown, prediction in zip(data.itertuples(), estimates, predictions, strict=True)
    ]
    return Drawing(
        name,
        figure,
        data,
        f"Forest plot, {unit} with {percent} confidence interval. Values below {int(ratio)} {sides[0]}, above"
        f" {int(ratio)} {sides[1]}: " + "; ".join(alt) + ".",
    )


def _room_for_labels(
    low: float, high: float, needed: float, before: float, after: float, width: float
) -> tuple[float, float]:
    """Widen the limits until the null line has ``needed`` points to either end of the page.

    ``before`` points lie left of the axes, ``after`` points from the axes' left edge to the page's
    right edge; ``width`` is the axes' own.
    """
    needed = min(needed, 0.48 * (before + after))
    null = -low / (high - low) * width
    if null + before < needed:
        share = min((needed - before) / width, 0.6)
        low = -share * high / (1 - share)
    elif after - null < needed:
        share = max((after - needed) / width, 0.4)
        high = -low * (1 - share) / share
    return low, high


@style.styled
def forest_responders(
    rows: pd.DataFrame,
    *,
    desirable: str,
    first: str = "intervention",
    second: str = "comparator",
    measure: str = "Odds ratio",
    pooled: Mapping[str, float] | None = None,
    level: float = 0.95,
    width: Width = "double",
    name: str = "forest_responders",
) -> Drawing:
    """Responders in two arms as a ratio, on a logarithmic axis.

    Parameters
    ----------
    rows : DataFrame [label, events1, n1, events2, n2, estimate, lower, upper]
        Arm 1 is ``first``, arm 2 ``second``; ``estimate`` is a ratio of arm 1 to arm 2. Optional column ``weight``:
        the study's share in the pooled ratio, a fraction.
    desirable : {"lower", "higher"}
        Whether a lower or a higher ratio is good for ``first``.
    measure : str
        Name of the ratio.
    pooled : mapping, optional
        ``estimate``, ``lower``, ``upper`` on the ratio scale; optionally ``predict_lower`` and
        ``predict_upper``. Drawn as a diamond with a line for the prediction interval. Optionally ``tau2``, ``i2``,
        ``q``, ``df_q`` and ``p_q``, all five: heterogeneity, in a line of its own.
    level : float
        Of the intervals.

    Raises
    ------
    ValueError
        Naming row, column and value: more events than patients, a ratio that is not positive,
        limits out of order.
    """
    where = "forest_responders"
    counts = ["events1", "n1", "events2", "n2"]
    columns = ["label", *counts, "estimate", "lower", "upper"]
    weighted = ["weight"] if "weight" in rows.columns else []
    data = style.table(rows, columns, where)[columns + weighted]
    style.check_numbers(data, weighted, where, at_least=0, at_most=1)
    style.check_numbers(data, ["n1", "n2"], where, at_least=1)
    style.check_numbers(data, ["events1", "events2"], where, at_least=0)
    style.check_numbers(data, ["estimate", "lower", "upper"], where, above=0)
    style.check_order(data, ["lower", "estimate", "upper"], where)
    style.check_order(data, ["events1", "n1"], where)
    style.check_order(data, ["events2", "n2"], where)
    data["pooled"] = False
    spread: dict[str, float] = {}
    if pooled is not None:
        spread = {name: pooled[name] for name in SPREAD if name in pooled}
        drawn = {name: value for name, value in pooled.items() if name not in SPREAD}
        summary = {"label": "Pooled, random effects", "pooled": True} | drawn
        style.check_numbers(
            pd.DataFrame([summary])[["label", "estimate", "lower", "upper"]],
            ["estimate", "lower", "upper"],
            where,
            above=0,
        )
        data = pd.concat([data, pd.DataFrame([summary])], ignore_index=True)
    sides = favours_labels(first, second, desirable)

    percent = f"{100 * level:g}%"
    size = layout.font_size(width)
    total_width = layout.page_width(width)
    wide = width == "double"
    side_texts = tuple(layout.wrap(side, 0.4 * total_width, size) for side in sides) if wide else sides
    line = layout.line_height(size)
    estimates = [estimate(r.estimate, r.lower, r.upper) for r in data.itertuples()]
    has_prediction = "predict_lower" in data.columns
    prediction = (
        f"PI {interval(data['predict_lower'].iloc[-1], data['predict_upper'].iloc[-1])}" if has_prediction else ""
    )
    heading = f"{measure} ({percent} CI)"
    number_width = max(layout.text_width(t, size) for t in [*estimates, prediction, heading]) + 2
    arms = [_responder_cells(r, weighted=bool(weighted)) for r in data.itertuples()]
    arm_headings = [layout.wrap(first, 8.5 * size, size), layout.wrap(second, 8.5 * size, size)]
    arm_headings += ["Weight"] if weighted else []
    beside = range(len(arm_headings))
    arm_width = [
        max(layout.block_width(t, size) for t in [arm_headings[i], *(a[i] for a in arms)]) + size for i in beside
    ]
    labels_room = total_width - number_width - sum(arm_width) - 15 * size if wide else total_width - 2
    if not wide:
        labels_room -= sum(arm_width)
    labels = [layout.wrap(t, labels_room - size, size) for t in data["label"]]
    arm_left = labels_room if not wide else max(layout.block_width(t, size) for t in labels) + size
    left = arm_left + sum(arm_width) + 6 if wide else 4
    plot_width = total_width - left - number_width - 12

    def row_height(label: str, row) -> float:
        lines = layout.line_count(label) * line
        beside = (2 if row.pooled and has_prediction else 1) * line
        return (max(lines, beside) if wide else lines + beside) + 0.8 * size

    heights = [row_height(t, r) for t, r in zip(labels, data.itertuples(), strict=True)]
    heading_lines = max(map(layout.line_count, arm_headings)) + (0 if wide else 1)
    heading_height = heading_lines * line + 0.6 * size
    body = sum(heights)
    axis_height = 3.3 * size + _favours_height(wide, side_texts, size)
    note = layout.wrap(heterogeneity_line(**spread), total_width - 4, size) if spread else ""
    note_height = layout.line_count(note) * line + 0.5 * size if spread else 0.0
    axis_height += note_height
    height = heading_height + body + axis_height + 2
    figure, canvas = layout.page(width, height)
    axes = layout.panel(figure, left, axis_height, plot_width, body, size)
    limit_columns = ["lower", "upper"] + (["predict_lower", "predict_upper"] if has_prediction else [])
    limits = np.log([v for v in data[limit_columns].to_numpy(dtype=float).ravel() if np.isfinite(v)])
    low, high = style.nice_limits([*limits, 0.0])
    half = max(layout.block_width(side, size) for side in side_texts)
    if wide:
        low, high = _room_for_labels(low, high, half + 8, left, total_width - left, plot_width)
    axes.set_xscale("log")
    axes.set(xlim=(np.exp(low), np.exp(high)), ylim=(axis_height, axis_height + body))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    ticks = _ratio_ticks(low, high, 6 if wide else 4)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{tick:g}" for tick in ticks])
    top = axis_height + body
    bands = [(axis_height, top)] if wide else []
    for i in beside:
        layout.write(
            canvas,
            arm_left + sum(arm_width[: i + 1]),
            top + heading_height - 0.3 * size,
            arm_headings[i],
            size,
            ha="right",
            va="top",
            color=MUTED,
        )
    layout.write(canvas, total_width - 1, top + 0.6 * line, heading, size, ha="right", color=MUTED)
    for row, label, arm, shown, space in zip(data.itertuples(), labels, arms, estimates, heights, strict=True):
        text_y = top - space / 2 if wide else top - 0.3 * size - 0.5 * line * layout.line_count(label)
        y = text_y if wide else top - space + 0.5 * size + 0.5 * line * (2 if row.pooled and has_prediction else 1)
        if not wide:
            bands.append((top - space, top - layout.line_count(label) * line - 0.5 * size))
        weight = "bold" if row.pooled else "normal"
        layout.write(canvas, 1, text_y, label, size, weight=weight)
        for i in beside:
            layout.write(canvas, arm_left + sum(arm_width[: i + 1]), text_y, arm[i], size, ha="right")
        if row.pooled:
            if has_prediction:
                _prediction_line(axes, row.predict_lower, row.predict_upper, y)
                layout.write(canvas, total_width - 1, y - 0.5 * line, prediction, size, ha="right", color=MUTED)
            corners = [(row.lower, y), (row.estimate, y + 0.5 * size), (row.upper, y), (row.estimate, y - 0.5 * size)]
            axes.add_patch(Polygon(corners, facecolor=INK, edgecolor=INK, zorder=4))
        else:
            axes.plot([row.lower, row.upper], [y, y], color=INK, linewidth=1.6, zorder=3, solid_capstyle="butt")
            axes.plot(row.estimate, y, **layout.marker_style("s", INK, True, 6))
        layout.write(
            canvas,
            total_width - 1,
            y + (0.5 * line if row.pooled and has_prediction else 0),
            shown,
            size,
            ha="right",
            weight=weight,
        )
        top -= space
    _null_line(axes, 1.0, bands)
    if spread:
        layout.write(canvas, 1, note_height - 0.2 * size, note, size, va="top", color=MUTED)
    layout.write(
        canvas,
        left + plot_width / 2,
        axis_height - 2.4 * size,
        f"{measure} (logarithmic axis)",
        size,
        ha="center",
    )
    _write_favours(canvas, axes, side_texts, 1.0, (left, plot_width), axis_height - 3.5 * size, size, wide)
    alt = []
    for row, arm, shown in zip(data.itertuples(), arms, estimates, strict=True):
        events = "" if row.pooled else f" {arm[0]} against {arm[1]},"
        share = f", weight {arm[2]}" if weighted and not row.pooled else ""
        alt.append(f"{row.label}:{events} {shown}{share}")
    if prediction:
        alt[-1] += f", prediction interval {prediction[3:]}"
    if spread:
        alt.append(note.replace("\n", " "))
    return Drawing(
        name,
        figure,
        data,
        f"Forest plot of responders, {first} against {second}, {measure.lower()} with {percent} "
        f"confidence interval; values below 1 {sides[0]}, above 1 {sides[1]}. " + "; ".join(alt) + ".",
    )


def _responder_cells(row, *, weighted: bool) -> tuple[str, ...]:
    """Events of both arms, and the weight where there are weights; nothing for the pooled row."""
    if row.pooled:
        return ("",) * (2 + weighted)
    cells = (f"{row.events1:g}/{row.n1:g}", f"{row.events2:g}/{row.n2:g}")
    return (*cells, f"{number(100 * row.weight, 1)} %") if weighted else cells


def heterogeneity_line(tau2: float, i2: float, q: float, df_q: float, p_q: float) -> str:
    """Heterogeneity in one line; where there are no degrees of freedom, only that."""
    if not df_q > 0:
        return "Heterogeneity cannot be estimated from one study."
    return f"tau² {number(tau2, 3)}, I² {number(100 * i2, 0)} %, Q = {number(q)}, df {df_q:g}, {p_text(p_q)}"


def p_text(p: float) -> str:
    """A p-value with its sign of equality; nothing for one that does not exist."""
    shown = "" if np.isnan(p) else p_value(p)
    return shown if not shown else f"p {shown}" if shown[0] in "<>" else f"p = {shown}"


def _ratio_ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers inside exp(low) to exp(high), no more than ``most``, always with 1."""
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [m * 10.0**e for e in range(-6, 7) for m in steps if low <= np.log(m * 10.0**e) <= high]
        if len(ticks) <= most:
            break
    while len(ticks) > most:
        ticks = [t for t in ticks if round(np.log10(t)) % 2 == 0]
    return [round(t, 9) for t in ticks]
