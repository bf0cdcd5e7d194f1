"""Ranges over data sets that agree with the printed values, and thresholds at which a decision changes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from psps_paper.figures import layout, style
from psps_paper.figures.drawing import Drawing
from psps_paper.figures.layout import Key
from psps_paper.figures.ranks import _rows
from psps_paper.figures.style import GRID, INK, MUTED, Width
from psps_paper.formatting import estimate, interval, number


@style.styled
def identified_ranges(
    ranges: pd.DataFrame, *, unit: str, limit: float = 0.0, width: Width = "double", name: str = "identified_ranges"
) -> Drawing:
    """Draw ranges over data sets that agree with the printed values, and the value at which a conclusion changes.

    Parameters
    ----------
    ranges : DataFrame [label, low, high, proved]
        ``proved``: whether the range is exact ("yes") or at least this wide ("no").
    unit : str
    limit : float
        Value at which the conclusion changes.

    Notes
    -----
    The figure shows the word "simulated", because the ends come from simulated data sets.
    """
    where = "identified_ranges"
    columns = ["label", "low", "high", "proved"]
    data = style.table(ranges, columns, where)[columns]
    style.check_numbers(data, ["low", "high"], where)
    style.check_order(data, ["low", "high"], where)
    style.check_values(data, "proved", ("yes", "no"), where)
    numbers = [("" if r.proved == "yes" else "at least ") + interval(r.low, r.high) for r in data.itertuples()]
    keys = [Key("range", MUTED, marker="|")]
    note = (
        "Simulated, not observed: ends of each range are data sets, made up so that they agree with everything printed."
    )
    figure, axes, centres, size = _rows(width, list(data["label"]), numbers, keys, note)
    low, high = style.nice_limits([*data[["low", "high"]].to_numpy(dtype=float).ravel(), limit])
    axes.set(xlim=(low, high))
    layout.name_horizontal_axis(axes, f"{unit} (simulated)", size)
    axes.locator_params(axis="x", nbins=6 if width == "double" else 4)
    # In single width the labels are above the rows, where a continuous line would cross them
    for band in [(y - size, y + size) for y in centres] if width != "double" else [axes.get_ylim()]:
        axes.plot([limit, limit], band, color=INK, linewidth=0.9, zorder=1)
    for row, y in zip(data.itertuples(), centres, strict=True):
        axes.plot([row.low, row.high], [y, y], color=MUTED, linewidth=5, zorder=2, solid_capstyle="butt")
        axes.plot(
            [row.low, row.high],
            [y, y],
            color=INK,
            linestyle="none",
            marker="|",
            markersize=11,
            markeredgewidth=1.4,
            zorder=3,
        )
    alt = "; ".join(f"{r.label} {text}" for r, text in zip(data.itertuples(), numbers, strict=True))
    return Drawing(
        name, figure, data, f"Simulated ranges over data sets that agree with everything printed ({unit}). {alt}."
    )


@style.styled
def threshold_forest(
    thresholds: pd.DataFrame, *, unit: str, level: float = 0.95, width: Width = "double", name: str = "threshold_forest"
) -> Drawing:
    """Draw estimates with confidence intervals, on the intervals within which the decision does not change.

    Parameters
    ----------
    thresholds : DataFrame [label, te, lower, upper, invariant_lower, invariant_upper, below, above]
        From :func:`psps_paper.conclusions.threshold_analysis`, with a label; infinite ends are drawn to the edge.
    unit : str
    level : float
        Level of the confidence intervals.

    Source: Phillippo 2018 (the form of the plot).
    """
    where = "threshold_forest"
    columns = ["label", "te", "lower", "upper", "invariant_lower", "invariant_upper", "below", "above"]
    data = style.table(thresholds, columns, where)[columns]
    style.check_numbers(data, ["te", "lower", "upper"], where)
    style.check_order(data, ["lower", "te", "upper"], where)
    ends = data[["invariant_lower", "te", "invariant_upper"]].to_numpy(float)
    if np.isnan(ends).any() or (np.diff(ends, axis=1) < 0).any():
        raise ValueError(f"{where}: invariant_lower, te, invariant_upper are not in ascending order in some row")
    numbers = []
    for row in data.itertuples():
        low, high = (
            number(end) if np.isfinite(end) else "no limit" for end in (row.invariant_lower, row.invariant_upper)
        )
        numbers.append(f"{estimate(row.te, row.lower, row.upper)}\nunchanged {low} to {high}")
    keys = [Key("decision unchanged", GRID), Key(f"estimate, {100 * level:g}% confidence interval", INK, marker="o")]
    figure, axes, centres, size = _rows(width, list(data["label"]), numbers, keys)
    finite = [
        value
        for value in data[["lower", "upper", "invariant_lower", "invariant_upper"]].to_numpy(float).ravel()
        if np.isfinite(value)
    ]
    low, high = style.nice_limits([*finite, 0.0])
    axes.set(xlim=(low, high))
    layout.name_horizontal_axis(axes, unit, size)
    axes.locator_params(axis="x", nbins=6 if width == "double" else 4)
    for row, y in zip(data.itertuples(), centres, strict=True):
        axes.plot(
            [max(row.invariant_lower, low), min(row.invariant_upper, high)],
            [y, y],
            color=GRID,
            linewidth=13,
            zorder=1,
            solid_capstyle="butt",
        )
        axes.plot([row.lower, row.upper], [y, y], color=INK, linewidth=1.8, zorder=2)
        axes.plot(row.te, y, **layout.marker_style("o", INK, True, 6))
    said = [
        f"{row.label}: {text}".replace("\n", ", ")
        + "".join(f"; {side} it: {new}" for side, new in (("below", row.below), ("above", row.above)) if new)
        for row, text in zip(data.itertuples(), numbers, strict=True)
    ]
    return Drawing(
        name,
        figure,
        data,
        f"Threshold analysis ({unit}): how far each estimate may move before the decision changes. {'. '.join(said)}.",
    )
