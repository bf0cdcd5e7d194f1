"""Forest plots: contrasts of a network, and responders on a ratio scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Polygon

from psps_paper.figures import layout, palette, style
from psps_paper.figures.drawing import Drawing
from psps_paper.figures.forest_frame import (
    Frame,
    Page,
    favours_labels,
    heterogeneity_line,
    null_line,
    number_axis,
    prediction_line,
    ratio_axis,
)
from psps_paper.figures.layout import Key
from psps_paper.figures.style import INK, MUTED, Width
from psps_paper.formatting import estimate, interval, number, ratio_number

# Statistics of the heterogeneity of a pooled ratio
SPREAD = ("tau2", "i2", "q", "df_q", "p_q")
PREDICTION = ["predict_lower", "predict_upper"]


@dataclass(frozen=True)
class _Row:
    """The texts of one row: its wrapped label, its estimate, and its prediction interval, or "" if there is none."""

    label: str
    estimate: str
    prediction: str


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
    """Draw contrasts of a network with confidence intervals and, if given, prediction intervals.

    Parameters
    ----------
    rows : DataFrame [label, te, lower, upper, tier, treatment_class]
        Optional columns ``predict_lower``, ``predict_upper`` (both or neither; missing values
        allowed). ``te`` is ``first`` minus ``second``, in ``unit``. The colour is the class's,
        the marker the tier's: solid for printed values, hollow for implied ones. Without ``tier`` all have one
        marker, and the legend names none.
    desirable : {"lower", "higher"}
        Whether a lower or a higher ``te`` is better for ``first``.
    first, second : str
        Names for the two ends of the axis.
    ratio : bool
        Whether ``te`` and the limits are logarithms of a ratio, which ``unit`` names; the figure then shows the ratio,
        on a logarithmic axis.
    level : float
        Level of both intervals.

    Raises
    ------
    ValueError
        Naming row, column and value: an unknown tier or class, a limit out of order, a value that is not a number.
    """
    data = _check_contrasts(rows)
    sides = favours_labels(first, second, desirable)
    percent = f"{100 * level:g}%"
    page = Page.of(width, sides)
    said = _contrast_rows(data, page, ratio=ratio)
    keys = layout.tier_keys(data["tier"]) if "tier" in data.columns else []
    if any(row.prediction for row in said):
        keys.append(Key(f"{percent} prediction interval (PI)", MUTED, marker="_"))
    measure = "SMD" if unit == "standardised mean difference" else "Ratio" if ratio else "Estimate"
    heading = f"{measure} ({percent} CI)"
    frame = _contrast_frame(page, said, heading)

    heading_height = 1.7 * page.size
    above = heading_height + (layout.legend_height(keys, page.total, page.size) if keys else 0.0)
    figure, canvas, axes = frame.open(above)
    layout.legend(canvas, keys, 1, frame.height(above), page.total, page.size)
    limits = data[["lower", "upper", *(c for c in PREDICTION if c in data.columns)]]
    span = frame.span(limits.to_numpy(dtype=float).ravel())
    axes.set(xlim=span)
    if ratio:
        ratio_axis(axes, page, span, np.log)
    else:
        number_axis(axes, page)
    layout.write(canvas, frame.right, frame.top + 0.5 * heading_height, heading, page.size, ha="right", color=MUTED)
    colours = palette.colours_of(data["treatment_class"], strict=False)  # checked before
    for contrast, row, top, height in zip(data.itertuples(), said, frame.tops(), frame.heights, strict=True):
        _draw_contrast(canvas, axes, frame, row, contrast, colours[contrast.treatment_class], (top, height))
    null_line(axes, 0.0, frame.bands([row.label for row in said]))
    frame.close(canvas, axes, style.capitalised(unit) + " (logarithmic axis)" * ratio, 0.0)

    alt = [
        f"{contrast.label} {row.estimate}"
        + (f", prediction interval {row.prediction[3:]}" if row.prediction else "")
        + (f" [{contrast.tier}]" if "tier" in data.columns else "")
        for contrast, row in zip(data.itertuples(), said, strict=True)
    ]
    return Drawing(
        name,
        figure,
        data,
        f"Forest plot, {unit} with {percent} confidence interval. Values below {int(ratio)} {sides[0]}, above"
        f" {int(ratio)} {sides[1]}: " + "; ".join(alt) + ".",
    )


def _check_contrasts(rows: pd.DataFrame) -> pd.DataFrame:
    """Check and return the rows of :func:`forest_network`."""
    where = "forest_network"
    columns = ["label", "te", "lower", "upper", *(["tier"] if "tier" in rows.columns else []), "treatment_class"]
    predicted = [c for c in PREDICTION if c in rows.columns]
    if len(predicted) == 1:
        raise ValueError(f"{where}: column {predicted[0]!r} is given without the other limit")
    data = style.table(rows, columns, where)[columns[:4] + predicted + columns[4:]]
    style.check_numbers(data, ["te", "lower", "upper"], where)
    style.check_numbers(data, predicted, where, missing_allowed=True)
    style.check_order(data, ["lower", "te", "upper"], where)
    if "tier" in data.columns:
        style.check_values(data, "tier", style.TIER_MARKERS, where)
    # If treatments are their own classes, they may belong to another review
    if (data["label"] != data["treatment_class"]).any():
        style.check_values(data, "treatment_class", palette.CLASS_COLOURS, where)
    return data


def _contrast_rows(data: pd.DataFrame, page: Page, *, ratio: bool) -> list[_Row]:
    shown = ratio_number if ratio else number
    room = (0.36 * page.total if page.wide else page.total) - 8
    predicted = "predict_lower" in data.columns
    return [
        _Row(
            layout.wrap(row.label, room, page.size),
            f"{shown(row.te)} ({shown(row.lower)} to {shown(row.upper)})",
            f"PI {shown(row.predict_lower)} to {shown(row.predict_upper)}"
            if predicted and not pd.isna(row.predict_lower)
            else "",
        )
        for row in data.itertuples()
    ]


def _contrast_frame(page: Page, rows: Sequence[_Row], heading: str) -> Frame:
    size = page.size
    texts = [*(row.estimate for row in rows), *(row.prediction for row in rows), heading]
    number_width = max(layout.text_width(text, size) for text in texts) + 2
    left = max(layout.block_width(row.label, size) for row in rows) + 8 + 4 if page.wide else 2.0
    beside = 2 if any(row.prediction for row in rows) else 1
    heights = [page.row_height(row.label, beside, 0.9) for row in rows]
    return Frame(page, left, page.axis_height, page.total - left - number_width - 12, heights)


def _draw_contrast(
    canvas: Axes, axes: Axes, frame: Frame, row: _Row, contrast, colour: str, place: tuple[float, float]
) -> None:
    """Draw one contrast in a row with this upper edge and height."""
    (top, height), page, size = place, frame.page, frame.page.size
    if page.wide:
        y = top - height / 2
        layout.write(canvas, 1, y, row.label, size)
    else:
        y = top - (height + layout.line_count(row.label) * page.line) / 2
        layout.write(canvas, 1, top - 0.3 * size, row.label, size, va="top")
    if row.prediction:
        prediction_line(axes, contrast.predict_lower, contrast.predict_upper, y)
    axes.plot([contrast.lower, contrast.upper], [y, y], color=colour, linewidth=3.4, solid_capstyle="butt", zorder=3)
    marker, filled = style.TIER_MARKERS[getattr(contrast, "tier", "recomputed")]
    axes.plot(contrast.te, y, **layout.marker_style(marker, colour, filled, 7.5))
    shift = 0.5 * page.line if row.prediction else 0
    layout.write(canvas, frame.right, y + shift, row.estimate, size, ha="right")
    if row.prediction:
        layout.write(canvas, frame.right, y - 0.5 * page.line, row.prediction, size, ha="right", color=MUTED)


@dataclass(frozen=True)
class _Columns:
    """Right-aligned columns between labels and plot: headings, one tuple of cells per row, and widths in points."""

    headings: tuple[str, ...]
    cells: list[tuple[str, ...]]
    widths: list[float]


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
    """Draw responders in two arms as ratios, on a logarithmic axis.

    Parameters
    ----------
    rows : DataFrame [label, events1, n1, events2, n2, estimate, lower, upper]
        Arm 1 is ``first``, arm 2 ``second``; ``estimate`` is a ratio of arm 1 to arm 2. Optional column ``weight``:
        the study's weight in the pooled ratio, a fraction.
    desirable : {"lower", "higher"}
        Whether a lower or a higher ratio is better for ``first``.
    measure : str
        Name of the ratio.
    pooled : mapping, optional
        ``estimate``, ``lower``, ``upper`` on the ratio scale; optionally ``predict_lower`` and
        ``predict_upper``. Drawn as a diamond with a line for the prediction interval. Optionally ``tau2``, ``i2``,
        ``q``, ``df_q`` and ``p_q``, all five: heterogeneity, on a separate line.
    level : float
        Level of the intervals.

    Raises
    ------
    ValueError
        Naming row, column and value: more events than patients, a ratio that is not positive,
        limits out of order.
    """
    data = _responders(rows, pooled)
    sides = favours_labels(first, second, desirable)
    page = Page.of(width, sides)
    percent = f"{100 * level:g}%"
    heading = f"{measure} ({percent} CI)"
    columns = _responder_columns(data, page, first, second)
    said, frame, edges = _responder_frame(data, page, columns, heading)
    spread = {part: pooled[part] for part in SPREAD if part in pooled} if pooled is not None else {}
    note = layout.wrap(heterogeneity_line(**spread), page.total - 4, page.size) if spread else ""
    note_height = layout.line_count(note) * page.line + 0.5 * page.size if spread else 0.0
    frame = replace(frame, bottom=frame.bottom + note_height)

    heading_lines = max(map(layout.line_count, columns.headings)) + (0 if page.wide else 1)
    heading_height = heading_lines * page.line + 0.6 * page.size
    figure, canvas, axes = frame.open(heading_height)
    _set_ratio_scale(axes, frame, data)
    for edge, text in zip(edges, columns.headings, strict=True):
        y = frame.top + heading_height - 0.3 * page.size
        layout.write(canvas, edge, y, text, page.size, ha="right", va="top", color=MUTED)
    layout.write(canvas, frame.right, frame.top + 0.6 * page.line, heading, page.size, ha="right", color=MUTED)
    for study, row, cells, top, height in zip(
        data.itertuples(), said, columns.cells, frame.tops(), frame.heights, strict=True
    ):
        y = _write_responders(canvas, frame, row, list(zip(edges, cells, strict=True)), study.pooled, (top, height))
        draw = _draw_pooled if study.pooled else _draw_study
        draw(canvas, axes, frame, row, study, y)
    null_line(axes, 1.0, frame.bands([row.label for row in said]))
    if spread:
        layout.write(canvas, 1, note_height - 0.2 * page.size, note, page.size, va="top", color=MUTED)
    frame.close(canvas, axes, f"{measure} (logarithmic axis)", 1.0)
    alt = _responders_in_words(data, said, columns.cells, note)
    return Drawing(
        name,
        figure,
        data,
        f"Forest plot of responders, {first} against {second}, {measure.lower()} with {percent} "
        f"confidence interval; values below 1 {sides[0]}, above 1 {sides[1]}. {alt}.",
    )


def _responders(rows: pd.DataFrame, pooled: Mapping[str, float] | None) -> pd.DataFrame:
    """Check the rows of :func:`forest_responders` and add the pooled row below them."""
    where = "forest_responders"
    ratios = ["estimate", "lower", "upper"]
    weighted = ["weight"] if "weight" in rows.columns else []
    columns = ["label", "events1", "n1", "events2", "n2", *ratios]
    data = style.table(rows, columns, where)[columns + weighted]
    style.check_numbers(data, weighted, where, at_least=0, at_most=1)
    style.check_numbers(data, ["n1", "n2"], where, at_least=1)
    style.check_numbers(data, ["events1", "events2"], where, at_least=0)
    style.check_numbers(data, ratios, where, above=0)
    style.check_order(data, ["lower", "estimate", "upper"], where)
    style.check_order(data, ["events1", "n1"], where)
    style.check_order(data, ["events2", "n2"], where)
    data["pooled"] = False
    if pooled is None:
        return data
    drawn = {name: value for name, value in pooled.items() if name not in SPREAD}
    summary = pd.DataFrame([{"label": "Pooled, random effects", "pooled": True} | drawn])
    style.check_numbers(summary[["label", *ratios]], ratios, where, above=0)
    return pd.concat([data, summary], ignore_index=True)


def _responder_columns(data: pd.DataFrame, page: Page, first: str, second: str) -> _Columns:
    size, weighted = page.size, "weight" in data.columns
    headings = (layout.wrap(first, 8.5 * size, size), layout.wrap(second, 8.5 * size, size))
    headings += ("Weight",) if weighted else ()
    cells = [_responder_cells(row, weighted=weighted) for row in data.itertuples()]
    widths = [
        max(layout.block_width(text, size) for text in column) + size for column in zip(headings, *cells, strict=True)
    ]
    return _Columns(headings, cells, widths)


def _responder_cells(row, *, weighted: bool) -> tuple[str, ...]:
    """Write the events of both arms and, if there are weights, the weight; empty for the pooled row."""
    if row.pooled:
        return ("",) * (2 + weighted)
    cells = (f"{row.events1:g}/{row.n1:g}", f"{row.events2:g}/{row.n2:g}")
    return (*cells, f"{number(100 * row.weight, 1)} %") if weighted else cells


def _responder_frame(
    data: pd.DataFrame, page: Page, columns: _Columns, heading: str
) -> tuple[list[_Row], Frame, list[float]]:
    """Return the texts of the rows, the frame of the panel, and the right edges of the columns."""
    size, total, across = page.size, page.total, sum(columns.widths)
    estimates = [estimate(row.estimate, row.lower, row.upper) for row in data.itertuples()]
    predicted = "predict_lower" in data.columns
    prediction = f"PI {interval(*data[PREDICTION].iloc[-1])}" if predicted else ""
    number_width = max(layout.text_width(text, size) for text in [*estimates, prediction, heading]) + 2
    room = total - number_width - across - 15 * size if page.wide else total - 2
    rows = [
        _Row(
            layout.wrap(row.label, room - size, size)
            + ("" if page.wide or row.pooled else "\n"),  # a line for the cells
            shown,
            prediction if row.pooled else "",
        )
        for row, shown in zip(data.itertuples(), estimates, strict=True)
    ]
    start = max(layout.block_width(row.label, size) for row in rows) + size if page.wide else total - 1 - across
    left = start + across + 6 if page.wide else 4
    heights = [page.row_height(row.label, 2 if row.prediction else 1, 0.8) for row in rows]
    edges = [start + width for width in accumulate(columns.widths)]
    return rows, Frame(page, left, page.axis_height, total - left - number_width - 12, heights), edges


def _set_ratio_scale(axes: Axes, frame: Frame, data: pd.DataFrame) -> None:
    limits = data[["lower", "upper", *(c for c in PREDICTION if c in data.columns)]].to_numpy(dtype=float).ravel()
    span = frame.span(np.log(limits[np.isfinite(limits)]))
    axes.set_xscale("log")
    axes.set(xlim=np.exp(span))
    ratio_axis(axes, frame.page, span, float)


def _write_responders(
    canvas: Axes,
    frame: Frame,
    row: _Row,
    cells: list[tuple[float, str]],
    pooled: bool,
    place: tuple[float, float],
) -> float:
    """Write label and cells of a row with this upper edge and height; return the height of its estimate."""
    (top, height), page, size = place, frame.page, frame.page.size
    beside = 2 if row.prediction else 1
    if page.wide:
        text_y = cells_y = y = top - height / 2
    else:
        text_y = top - 0.3 * size - 0.5 * page.line * layout.line_count(row.label.rstrip("\n"))
        cells_y = top - 0.3 * size - page.line * (layout.line_count(row.label) - 0.5)
        y = top - height + 0.5 * size + 0.5 * page.line * beside
    layout.write(canvas, 1, text_y, row.label.rstrip("\n"), size, weight="bold" if pooled else "normal")
    for edge, text in cells:
        layout.write(canvas, edge, cells_y, text, size, ha="right")
    return y


def _draw_study(canvas: Axes, axes: Axes, frame: Frame, row: _Row, study, y: float) -> None:
    axes.plot([study.lower, study.upper], [y, y], color=INK, linewidth=1.6, zorder=3, solid_capstyle="butt")
    axes.plot(study.estimate, y, **layout.marker_style("s", INK, True, 6))
    layout.write(canvas, frame.right, y, row.estimate, frame.page.size, ha="right", weight="normal")


def _draw_pooled(canvas: Axes, axes: Axes, frame: Frame, row: _Row, pooled, y: float) -> None:
    """Draw a diamond, with a line for the prediction interval."""
    size, line = frame.page.size, frame.page.line
    if row.prediction:
        prediction_line(axes, pooled.predict_lower, pooled.predict_upper, y)
        layout.write(canvas, frame.right, y - 0.5 * line, row.prediction, size, ha="right", color=MUTED)
    corners = [(pooled.lower, y), (pooled.estimate, y + 0.5 * size), (pooled.upper, y)]
    axes.add_patch(Polygon([*corners, (pooled.estimate, y - 0.5 * size)], facecolor=INK, edgecolor=INK, zorder=4))
    shift = 0.5 * line if row.prediction else 0
    layout.write(canvas, frame.right, y + shift, row.estimate, size, ha="right", weight="bold")


def _responders_in_words(data: pd.DataFrame, said: list[_Row], cells: list[tuple[str, ...]], note: str) -> str:
    sentences = []
    for row, shown, arm in zip(data.itertuples(), said, cells, strict=True):
        events = "" if row.pooled else f" {arm[0]} against {arm[1]},"
        share = f", weight {arm[2]}" if len(arm) > 2 and not row.pooled else ""
        prediction = f", prediction interval {shown.prediction[3:]}" if shown.prediction else ""
        sentences.append(f"{row.label}:{events} {shown.estimate}{share}{prediction}")
    return "; ".join(sentences + ([note.replace("\n", " ")] if note else []))
