"""Printed values compared with implied intervals, and the funnel plot."""

from __future__ import annotations

import pandas as pd
import scipy
from matplotlib.axes import Axes

from psps_paper.figures import layout, style
from psps_paper.figures.drawing import Drawing
from psps_paper.figures.layout import Key
from psps_paper.figures.ranks import _rows
from psps_paper.figures.style import GRID, INK, MUTED, Width
from psps_paper.formatting import half_unit, interval, number

QUANTILE = float(scipy.special.ndtri(0.975))
FUNNEL_MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")


@style.styled
def interval_strip(
    intervals: pd.DataFrame,
    *,
    unit: str,
    digits: int = 3,
    width: Width = "double",
    name: str = "interval_strip",
) -> Drawing:
    """Draw each printed value, with its rounding, against the interval that other printed numbers imply for it.

    Parameters
    ----------
    intervals : DataFrame [label, low, high, printed, decimals]
        ``decimals`` is that of the printed value; both may be missing. All rows have the same ``unit``.
    digits : int
        Decimals of the numbers on the right; printed values keep their own.

    Returns
    -------
    Drawing
        Data [label, low, high, printed, printed_low, printed_high, meets]: the values that print as ``printed`` range
        from ``printed_low`` to ``printed_high``; ``meets`` states whether this range overlaps the implied interval.

    Notes
    -----
    A printed value counts as outside only if its rounding interval does not overlap the implied one; it is drawn as a
    cross and named in the text alternative.
    """
    data = _against_printed(intervals)
    numbers = [
        _printed_and_implied(row, decimals, digits)
        for row, decimals in zip(data.itertuples(), intervals["decimals"], strict=True)
    ]
    keys = [Key("interval implied by the other printed numbers", GRID)]
    if data["meets"].eq(True).any():
        keys.append(Key("printed, with its rounding (line)", INK, marker="o"))
    if data["meets"].eq(False).any():
        keys.append(Key("printed, outside even with its rounding", INK, marker="X"))
    figure, axes, centres, size = _rows(width, list(data["label"]), numbers, keys)
    ends = data[["low", "high", "printed_low", "printed_high"]]
    span = style.nice_limits(ends.to_numpy(dtype=float).ravel())
    axes.set(xlim=span)
    layout.name_horizontal_axis(axes, unit, size)
    axes.locator_params(axis="x", nbins=6 if width == "double" else 4)
    for row, y in zip(data.itertuples(), centres, strict=True):
        axes.plot(span, [y, y], color=GRID, linewidth=0.8, zorder=1)
        _draw_interval(axes, row, y)
    alt = "; ".join(f"{r.label}: {n}".replace("\n", ", ") for r, n in zip(data.itertuples(), numbers, strict=True))
    outside, given = int(data["meets"].eq(False).sum()), int(data["printed"].notna().sum())
    return Drawing(
        name,
        figure,
        data,
        f"Printed values against implied intervals ({unit}); {outside} of {given} printed values "
        f"outside even with their rounding. {alt}.",
    )


def _against_printed(intervals: pd.DataFrame) -> pd.DataFrame:
    """Check the rows of :func:`interval_strip` and compute its data."""
    where = "interval_strip"
    data = style.table(intervals, ["label", "low", "high", "printed", "decimals"], where)
    style.check_numbers(data, ["low", "high"], where)
    style.check_numbers(data, ["printed", "decimals"], where, missing_allowed=True)
    style.check_order(data, ["low", "high"], where)
    given = data["printed"].notna()
    style.check_numbers(data[given], ["decimals"], where)
    half = data["decimals"].map(half_unit, na_action="ignore").astype(float)
    data = data.assign(printed_low=data["printed"] - half, printed_high=data["printed"] + half)
    # The tolerance absorbs errors of binary representation, as in formatting.rounds_to
    meets = (data["printed_low"] <= data["high"] + 1e-6 * half) & (data["printed_high"] >= data["low"] - 1e-6 * half)
    data["meets"] = meets.astype(object).where(given, None)
    return data[["label", "low", "high", "printed", "printed_low", "printed_high", "meets"]]


def _printed_and_implied(row, decimals: float, digits: int) -> str:
    """Write the printed value above the implied interval, or the interval alone."""
    implied = f"implied {interval(row.low, row.high, digits)}"
    if pd.isna(row.printed):
        return implied
    return f"printed {number(row.printed, decimals)}{'' if row.meets else ', outside'}\n{implied}"


def _draw_interval(axes: Axes, row, y: float) -> None:
    """Draw the implied interval as a bar with ticks at its ends, and on it the printed value with its rounding."""
    axes.plot([row.low, row.high], [y, y], color=GRID, linewidth=11, zorder=2, solid_capstyle="butt")
    # Separate ticks, so that an interval narrower than a marker is still visible.
    ticks = {"marker": "|", "markersize": 13, "markeredgewidth": 1.6, "linestyle": "none"}
    axes.plot([row.low, row.high], [y, y], color=MUTED, zorder=3, **ticks)
    if pd.notna(row.printed):
        ends = [row.printed_low, row.printed_high]
        axes.plot(ends, [y, y], color=INK, linewidth=1.6, zorder=4, solid_capstyle="butt")
        axes.plot(row.printed, y, **layout.marker_style("o" if row.meets else "X", INK, True, 5))


@style.styled
def funnel(
    points: pd.DataFrame,
    *,
    tier: str,
    unit: str = "standardised mean difference",
    width: Width = "double",
    name: str = "funnel",
) -> Drawing:
    """Draw a comparison-adjusted funnel plot.

    Parameters
    ----------
    points : DataFrame [te, se, comparison]
        One row per estimate. Optional column ``summary``: the pooled effect of its comparison;
        by default the inverse-variance (common-effect) mean of the comparison.
    tier : {"printed", "recomputed", "implied", "re-extracted", "simulated"}
        Origin of the estimates; the figure shows the word. With an empty text it names no origin.

    Returns
    -------
    Drawing
        Data [comparison, te, se, summary, adjusted], ``adjusted`` = te minus summary.

    Source: Chaimani & Salanti 2012.
    """
    data = _adjusted(points, tier)
    comparisons = list(data["comparison"].unique())
    counts = data["comparison"].value_counts()
    size, total_width = layout.font_size(width), layout.page_width(width)
    keys = [
        Key(f"{c} ({counts[c]})", INK, marker=FUNNEL_MARKERS[k], filled=k % 2 == 0) for k, c in enumerate(comparisons)
    ]
    note = layout.wrap(
        f"Points: {f'{tier} estimates'.strip()}. Dashed: 95% of the estimates if only chance acts.",
        total_width - 4,
        size,
    )
    note_height = layout.line_count(note) * layout.line_height(size) + 0.5 * size
    legend_height = layout.legend_height(keys, total_width, size) + 0.4 * size
    left, plot = 4.8 * size, 24 * size
    axis_label = layout.wrap(f"Estimate minus summary of its comparison ({unit})", total_width - left - 8, size)
    bottom = 2.3 * size + layout.line_count(axis_label) * layout.line_height(size)
    height = legend_height + note_height + plot + bottom
    figure, canvas = layout.page(width, height)
    layout.legend(canvas, keys, 1, height, total_width, size)
    layout.write(canvas, 1, height - legend_height, note, size, va="top")
    axes = layout.panel(figure, left, bottom, total_width - left - 8, plot, size)
    axes.set(xlabel=axis_label, ylabel="Standard error")
    _draw_chance(axes, data)
    axes.locator_params(axis="x", nbins=7 if width == "double" else 5)
    for key, comparison in zip(keys, comparisons, strict=True):
        group = data[data["comparison"] == comparison]
        axes.plot(group["adjusted"], group["se"], **layout.marker_style(key.marker, INK, key.filled, 6))
    inside = int((data["adjusted"].abs() <= QUANTILE * data["se"]).sum())
    alt = (
        f"Comparison-adjusted funnel plot of {len(data)} {f'{tier} estimates'.strip()} "
        f"({style.listed([f'{c}: {counts[c]}' for c in comparisons])}), {unit}. Standard errors from "
        f"{number(data['se'].min())} to {number(data['se'].max())}; {inside} of "
        f"{len(data)} lie inside the 95% limits; {int((data['adjusted'] < 0).sum())} left and "
        f"{int((data['adjusted'] > 0).sum())} right of the centre."
    )
    return Drawing(name, figure, data, alt)


def _adjusted(points: pd.DataFrame, tier: str) -> pd.DataFrame:
    """Check the points of :func:`funnel` and compute its data."""
    where = "funnel"
    if tier and tier not in style.TIER_MARKERS:
        raise ValueError(f"{where}: tier={tier!r} is not one of {', '.join(style.TIER_MARKERS)}")
    columns = ["comparison", "te", "se"]
    given = ["summary"] if "summary" in points.columns else []
    data = style.table(points, columns, where)[columns + given]
    style.check_numbers(data, ["te", *given], where)
    style.check_numbers(data, ["se"], where, above=0)
    n_comparisons = len(data["comparison"].unique())
    if n_comparisons > len(FUNNEL_MARKERS):
        raise ValueError(f"{where}: {n_comparisons} comparisons; expected at most {len(FUNNEL_MARKERS)}")
    if not given:
        weight = 1 / data["se"].astype(float) ** 2
        sums = (weight * data["te"]).groupby(data["comparison"]).sum()
        data["summary"] = data["comparison"].map(sums / weight.groupby(data["comparison"]).sum())
    data["adjusted"] = data["te"] - data["summary"]
    return data[["comparison", "te", "se", "summary", "adjusted"]]


def _draw_chance(axes: Axes, data: pd.DataFrame) -> None:
    """Set limits around all points; draw the centre, and dashed lines that contain 95% of points under chance alone."""
    deepest = 1.08 * data["se"].max()
    reach = 1.06 * max(QUANTILE * deepest, data["adjusted"].abs().max())
    axes.set(xlim=(-reach, reach), ylim=(deepest, 0))
    axes.axvline(0, color=INK, linewidth=0.9, zorder=1)
    for side in (-1, 1):
        ends = [0, side * QUANTILE * deepest]
        axes.plot(ends, [0, deepest], color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
