"""Bubble plot of a meta-regression, and contour-enhanced funnel plot."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy

from psps_paper.figures import layout, style
from psps_paper.figures.drawing import Drawing
from psps_paper.figures.layout import Key
from psps_paper.figures.style import GRID, INK, MUTED, Width
from psps_paper.formatting import interval, number
from psps_paper.pairwise import MetaRegression

# Area of the largest bubble, in square points, and the two-sided levels of the contours with their line styles.
LARGEST = 260.0
CONTOURS = {0.1: (0, (1, 2)), 0.05: (0, (4, 3)), 0.01: "solid"}
CONTOUR_NOTE = (
    "Lines from 0: two-sided p of one estimate of 0.1 (dotted), 0.05 (dashed) and 0.01 (solid). Upright: pooled."
)


@style.styled
def bubble(
    fit: MetaRegression,
    moderator: str,
    *,
    tier: str,
    unit: str = "effect",
    width: Width = "double",
    name: str = "bubble",
) -> Drawing:
    """Draw effects against a moderator, with bubbles by weight and the regression line with its interval.

    Parameters
    ----------
    fit : MetaRegression
        With ``moderator`` as its only moderator; with others, the line would depend on the values chosen for them.
    moderator : str
        Name of a continuous column.
    tier : {"printed", "recomputed", "implied", "re-extracted", "simulated"}
        Origin of the estimates; the figure shows the word.
    unit : str
        Unit of the effect.

    Returns
    -------
    Drawing
        Data [moderator, te, se, weight, kind, lower, upper]: ``kind`` is "study", or "line" with its interval.

    Raises
    ------
    ValueError

    Source: Thompson & Higgins 2002.
    """
    where = "bubble"
    if tier not in style.TIER_MARKERS:
        raise ValueError(f"{where}: tier={tier!r} is not one of {', '.join(style.TIER_MARKERS)}")
    if list(fit.levels) != [moderator] or fit.levels[moderator] is not None:
        raise ValueError(f"{where}: {moderator!r} is not the only moderator of the fit, or not a number")
    studies = fit.data.rename(columns={moderator: "moderator"})[["moderator", "te", "se", "weight"]]
    studies = studies.assign(kind="study")
    ends = studies["moderator"].min(), studies["moderator"].max()
    grid = np.linspace(*ends, 41)
    predicted = fit.predict(pd.DataFrame({moderator: grid}))
    line = predicted[["te", "se", "lower", "upper"]].assign(moderator=grid, kind="line")

    size = layout.font_size(width)
    total_width = layout.page_width(width)
    note = f"Bubbles: {tier} estimates, area by weight. Band: {number(100 * fit.level, 0)}% interval of the line."
    note = layout.wrap(note, total_width - 4, size)
    note_height = layout.line_count(note) * layout.line_height(size) + 0.5 * size
    left, plot, bottom = 4.8 * size, 24 * size, 4.6 * size
    figure, canvas = layout.page(width, note_height + plot + bottom)
    layout.write(canvas, 1, note_height + plot + bottom - 2, note, size, va="top")
    axes = layout.panel(figure, left, bottom, total_width - left - 8, plot, size)
    margin = 0.06 * (ends[1] - ends[0])
    low, high = style.nice_limits(np.concatenate([studies["te"], line["lower"], line["upper"]]))
    axes.set(xlim=(ends[0] - margin, ends[1] + margin), ylim=(low, high), xlabel=moderator, ylabel=unit)
    axes.locator_params(axis="x", nbins=7 if width == "double" else 5)
    axes.fill_between(grid, line["lower"], line["upper"], color=GRID, linewidth=0, zorder=1)
    if low < 0 < high:
        axes.axhline(0, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    axes.plot(grid, line["te"], color=INK, linewidth=1.4, zorder=2)
    area = LARGEST * studies["weight"] / studies["weight"].max()
    axes.scatter(studies["moderator"], studies["te"], s=area, facecolor="none", edgecolor=INK, linewidth=1.0, zorder=3)
    slope = fit.coefficients.loc[moderator]
    alt = (
        f"Bubble plot of {fit.k} {tier} estimates ({unit}) against {moderator}, from {number(ends[0])} to "
        f"{number(ends[1])}. Slope {number(slope['estimate'], 3)} ({interval(slope['lower'], slope['upper'], 3)}) "
        "for each unit of it."
    )
    return Drawing(name, figure, pd.concat([studies, line], ignore_index=True), alt)


@style.styled
def contour_funnel(
    points: pd.DataFrame,
    *,
    centre: float,
    tier: str,
    unit: str = "effect",
    width: Width = "double",
    name: str = "contour_funnel",
) -> Drawing:
    """Draw a contour-enhanced funnel plot, with contours of significance about no effect.

    Parameters
    ----------
    points : DataFrame [te, se]
        One row per estimate. Optional column ``filled``: True for studies added by trim and fill, which are drawn
        hollow.
    centre : float
        The pooled effect, drawn as a line.
    tier : {"printed", "recomputed", "implied", "re-extracted", "simulated"}
        Origin of the estimates; the figure shows the word.

    Returns
    -------
    Drawing
        Data [te, se, filled, p], with the two-sided p of each estimate by itself.

    Source: Peters 2008. Missing studies in areas of no significance suggest selection; in other areas, other
    causes of asymmetry.
    """
    where = "contour_funnel"
    if tier not in style.TIER_MARKERS:
        raise ValueError(f"{where}: tier={tier!r} is not one of {', '.join(style.TIER_MARKERS)}")
    data = style.table(points, ["te", "se"], where)
    filled = data["filled"].astype(bool) if "filled" in data.columns else False
    data = data[["te", "se"]].assign(filled=filled)
    style.check_numbers(data, ["te"], where)
    style.check_numbers(data, ["se"], where, above=0)
    data["p"] = 2 * scipy.special.ndtr(-(data["te"] / data["se"]).abs().astype(float))

    size = layout.font_size(width)
    total_width = layout.page_width(width)
    keys = [Key(f"{tier} estimate", INK, marker="o")]
    if data["filled"].any():
        keys.append(Key("filled", INK, marker="o", filled=False))
    note = layout.wrap(CONTOUR_NOTE, total_width - 4, size)
    keys_height = layout.legend_height(keys, total_width, size) + 0.4 * size
    legend_height = keys_height + layout.line_count(note) * layout.line_height(size) + 0.5 * size
    left, plot, bottom = 4.8 * size, 24 * size, 4.6 * size
    figure, canvas = layout.page(width, legend_height + plot + bottom)
    height = legend_height + plot + bottom
    layout.legend(canvas, keys, 1, height, total_width, size)
    layout.write(canvas, 1, height - keys_height, note, size, va="top")
    axes = layout.panel(figure, left, bottom, total_width - left - 8, plot, size)
    deepest = 1.08 * float(data["se"].max())
    z = {level: -scipy.special.ndtri(level / 2) for level in CONTOURS}
    reach = 1.06 * max(max(z.values()) * deepest, float(data["te"].abs().max()))
    label = layout.wrap(unit, total_width - left - 8, size)
    axes.set(xlim=(-reach, reach), ylim=(deepest, 0), xlabel=label, ylabel="Standard error")
    axes.locator_params(axis="x", nbins=7 if width == "double" else 5)
    for level, dashes in CONTOURS.items():
        for side in (-1, 1):
            ends = [0, side * z[level] * deepest]
            axes.plot(ends, [0, deepest], color=MUTED, linewidth=1.0, linestyle=dashes, zorder=1)
    axes.axvline(centre, color=INK, linewidth=0.9, zorder=2)
    for is_filled, group in data.groupby("filled"):
        axes.plot(group["te"], group["se"], **layout.marker_style("o", INK, not is_filled, 6))
    counts = [int((data["p"] > 0.1).sum()), int((data["p"] <= 0.05).sum())]
    alt = (
        f"Contour-enhanced funnel plot of {len(data)} {tier} estimates ({unit}), {int(data['filled'].sum())} of them "
        f"filled in; pooled effect {number(centre)}. {counts[0]} have p above 0.1, {counts[1]} at most 0.05."
    )
    return Drawing(name, figure, data, alt)
