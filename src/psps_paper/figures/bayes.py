"""Figures of Bayesian fits: prior and posterior of tau, and conclusions as the prior's scale changes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.ticker import FixedLocator, NullLocator

from psps_paper.figures import layout, style
from psps_paper.figures.drawing import Drawing
from psps_paper.figures.layout import Key
from psps_paper.figures.ranks import _percent, _rows
from psps_paper.figures.style import GRID, INK, MUTED, Width
from psps_paper.formatting import UNIT_SUFFIX, interval, number, percent


@style.styled
def tau_posterior(
    curve: pd.DataFrame,
    *,
    unit: str,
    level: float = 0.95,
    width: Width = "double",
    name: str = "tau_posterior",
) -> Drawing:
    """Draw the posterior density of tau with its equal-tailed interval and median, and the prior density.

    Parameters
    ----------
    curve : DataFrame [tau, prior, posterior, below]
        From :func:`psps_paper.bayes.tau_curve`.
    unit : str
        Unit of tau.
    level : float
        Level of the interval, which is read from ``below``.

    Returns
    -------
    Drawing
        Data: the columns above.
    """
    where = "tau_posterior"
    columns = ["tau", "prior", "posterior", "below"]
    data = style.table(curve, columns, where)[columns]
    style.check_numbers(data, columns, where, at_least=0)
    if len(data) < 2 or not (data["tau"].is_monotonic_increasing and data["below"].is_monotonic_increasing):
        raise ValueError(f"{where}: expected two or more rows with increasing tau and below")
    low, median, high = np.interp([(1 - level) / 2, 0.5, (1 + level) / 2], data["below"], data["tau"])

    size, total = layout.font_size(width), layout.page_width(width)
    share = percent(level, 0)
    keys = [Key(f"{share} interval of the posterior", GRID), Key("its median", INK, marker="o")]
    note = layout.wrap("Solid: posterior density. Dashed: prior density.", total - 4, size)
    remark = layout.line_count(note) * layout.line_height(size) + 0.5 * size
    legend = layout.legend_height(keys, total, size) + 0.4 * size
    left, plot, bottom = 3.2 * size, 15 * size, 3.6 * size
    top = legend + remark + plot + bottom
    figure, canvas = layout.page(width, top)
    layout.legend(canvas, keys, 1, top, total, size)
    layout.write(canvas, 1, top - legend, note, size, va="top")
    axes = layout.panel(figure, left, bottom, total - left - 1.6 * size, plot, size)
    inside = (data["tau"] >= low) & (data["tau"] <= high)
    axes.fill_between(data["tau"], 0, data["posterior"], where=inside, color=GRID, linewidth=0, zorder=1)
    axes.plot(data["tau"], data["prior"], color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)), zorder=2)
    axes.plot(data["tau"], data["posterior"], color=INK, linewidth=1.8, zorder=3)
    axes.plot(median, np.interp(median, data["tau"], data["posterior"]), **layout.marker_style("o", INK, True, 6))
    # A prior density that is unbounded at zero must not flatten the posterior.
    axes.set(xlim=(0, data["tau"].max()), ylim=(0, 1.15 * data["posterior"].max()), yticks=[], ylabel="Density")
    axes.locator_params(axis="x", nbins=7 if width == "double" else 5)
    layout.name_horizontal_axis(axes, f"tau ({unit})", size)
    return Drawing(
        name,
        figure,
        data,
        f"Posterior density of tau ({unit}) over its prior: median {number(median)}, "
        f"{share} interval {interval(low, high)}.",
    )


@style.styled
def prior_strip(
    conclusions: pd.DataFrame,
    *,
    width: Width = "double",
    name: str = "prior_strip",
) -> Drawing:
    """Draw the probability of each conclusion as the scale of the prior of tau changes, one row per conclusion.

    Parameters
    ----------
    conclusions : DataFrame [conclusion, factor, probability, probability_new]
        ``conclusion`` is a sentence; the other columns are as from :func:`psps_paper.bayes.prior_sensitivity`. Each
        conclusion has the same two or more factors, including 1.

    Returns
    -------
    Drawing
        Data: the columns above, conclusions in the order given, factors from small to large.
    """
    where = "prior_strip"
    columns = ["conclusion", "factor", "probability", "probability_new"]
    data = style.table(conclusions, columns, where)[columns]
    style.check_numbers(data, ["factor"], where, above=0)
    style.check_numbers(data, ["probability", "probability_new"], where, at_least=0, at_most=1)
    labels = list(data["conclusion"].unique())
    groups = [data[data["conclusion"] == label].sort_values("factor", ignore_index=True) for label in labels]
    factors = groups[0]["factor"]
    if len(factors) < 2 or 1 not in set(factors) or any(not factors.equals(group["factor"]) for group in groups):
        raise ValueError(f"{where}: expected the same two or more factors for each conclusion, including 1")
    data = pd.concat(groups, ignore_index=True)

    numbers = [
        f"on average {_range(group, 'probability')}\nin a new study {_range(group, 'probability_new')}"
        for group in groups
    ]
    keys = [Key("on average over studies", INK, marker="o"), Key("in a new study", MUTED, marker="o", filled=False)]
    note = (
        "Height within a row: probability of the conclusion, from 0 to 100 %; the grey line is 50 %. "
        "At the right: as fitted, and the range over all scales."
    )
    figure, axes, centres, size = _rows(width, labels, numbers, keys, note)
    x = np.log2(factors)
    # Rows of _rows are four lines high.
    half = 2.4 * size
    axes.axvline(0, color=GRID, linewidth=0.8, zorder=1)
    for group, y in zip(groups, centres, strict=True):
        axes.plot(x.iloc[[0, -1]], [y, y], color=GRID, linewidth=0.8, zorder=1)
        for column, colour, filled in (("probability_new", MUTED, False), ("probability", INK, True)):
            heights = y + half * (2 * group[column] - 1)
            axes.plot(x, heights, color=colour, linewidth=1.4, zorder=3)
            axes.plot(0, heights[group["factor"] == 1].iloc[0], **layout.marker_style("o", colour, filled, 5))
    axes.set_xlim(x.min() - 0.15, x.max() + 0.15)
    ticks = np.arange(np.ceil(x.min()), np.floor(x.max()) + 1, 1 if width == "double" else 3)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([_factor(tick) for tick in ticks])
    layout.name_horizontal_axis(axes, "Scale of the prior of tau, as a multiple", size)
    spoken = [text.replace("\n(", " (").replace("\n", ", ") for text in numbers]
    alt = "; ".join(f"{label}: {text}" for label, text in zip(labels, spoken, strict=True))
    return Drawing(
        name,
        figure,
        data,
        "Probability of each conclusion as fitted, and its range while the prior of tau is scaled from "
        f"{_factor(x.min())} to {_factor(x.max())} times. {alt}.",
    )


def _range(group: pd.DataFrame, column: str) -> str:
    fitted = group.loc[group["factor"] == 1, column].iloc[0]
    shares = (fitted, group[column].min(), group[column].max())
    texts = [f"{_percent(share)}{UNIT_SUFFIX['percent']}" for share in shares]
    return f"{texts[0]}\n({texts[1]} to {texts[2]})"


def _factor(exponent: float) -> str:
    """Write 2 ** exponent as readers do."""
    value = 2.0 ** float(exponent)
    return f"{value:.3g}" if value >= 1 else f"1/{1 / value:.3g}"
