"""Rankings: rank probabilities, their cumulative curves, and P-scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.ticker import MultipleLocator

from psps_paper.figures import layout, style
from psps_paper.figures.drawing import Drawing
from psps_paper.figures.layout import Key
from psps_paper.figures.style import GRID, INK, PAPER, Width
from psps_paper.formatting import number


def _check_probabilities(probabilities: pd.DataFrame, where: str) -> pd.DataFrame:
    """Check that columns are ranks 1 to the number of treatments and that rows add up to 1."""
    k = len(probabilities)
    if [int(c) for c in probabilities.columns] != list(range(1, k + 1)) or k < 2:
        raise ValueError(f"{where}: columns {list(probabilities.columns)} are not the ranks 1 to {k}")
    for treatment, row in probabilities.iterrows():
        if not (row.between(0, 1).all() and abs(row.sum() - 1) < 1e-6):
            raise ValueError(f"{where}: row {treatment!r}: {row.tolist()} are not probabilities that add up to 1")
    return probabilities.set_axis(range(1, k + 1), axis=1)


def _check_same(p_scores: pd.Series, probabilities: pd.DataFrame, where: str) -> None:
    if set(p_scores.index) != set(probabilities.index):
        raise ValueError(f"{where}: P-scores of {sorted(p_scores.index)} for ranks of {sorted(probabilities.index)}")


def _tidy(frame: pd.DataFrame, value: str) -> pd.DataFrame:
    stacked = frame.rename_axis(index="treatment", columns="rank").stack().rename(value)
    return stacked.reset_index()


def _percent(share: float) -> str:
    """Write a proportion in whole percent, but never a positive one as zero."""
    if 0 < share < 0.005:
        return "<1"
    if 0.995 < share < 1:
        return ">99"
    return f"{100 * share:.0f}"


def _panels(width: Width, titles: list[tuple[str, str]], y_label: str):
    """Create small multiples, two or four to a row, with a treatment and its score above each."""
    size = layout.font_size(width)
    total_width = layout.page_width(width)
    per_row = min(len(titles), 4 if width == "double" else 2)
    rows = -(-len(titles) // per_row)
    plot_height = 11 * size
    left, gap, bottom = 4.4 * size, 1.6 * size, 3.4 * size
    panel_width = (total_width - left - 4 - gap * (per_row - 1)) / per_row
    wrapped = [f"{layout.wrap(t, panel_width, size, 'bold')}\n({score})" for t, score in titles]
    title_height = max(map(layout.line_count, wrapped)) * layout.line_height(size) + 0.5 * size
    row_height = title_height + plot_height + bottom
    figure, canvas = layout.page(width, rows * row_height + 2)
    panels = []
    for index, title in enumerate(wrapped):
        row, column = divmod(index, per_row)
        x = left + column * (panel_width + gap)
        y = (rows - 1 - row) * row_height + bottom
        axes = layout.panel(figure, x, y, panel_width, plot_height, size)
        layout.write(canvas, x, y + plot_height + 0.4 * size, title, size, va="bottom", weight="bold")
        axes.set_xlabel("Rank")
        if column == 0:
            axes.set_ylabel(y_label)
        panels.append(axes)
    return figure, panels, size


@style.styled
def rankogram(
    probabilities: pd.DataFrame,
    p_scores: pd.Series,
    *,
    classes: dict[str, str] | None = None,
    width: Width = "double",
    name: str = "rankogram",
) -> Drawing:
    """Draw a rankogram: the probability of each rank, one panel per treatment, ordered by P-score.

    Parameters
    ----------
    probabilities : DataFrame [treatment x rank]
        From ``rank_probabilities``; rank 1 is the best.
    p_scores : Series
        Indexed by treatment, from ``p_scores``.
    classes : dict, optional
        Treatment class of each treatment; by default each treatment is its own class.

    Source: Salanti, Ades & Ioannidis 2011; P-scores Rücker & Schwarzer 2015.
    """
    probabilities = _check_probabilities(probabilities, "rankogram")
    _check_same(p_scores, probabilities, "rankogram")
    order = list(p_scores.sort_values(ascending=False, kind="stable").index)
    colours = style.treatment_colours(order, classes)
    titles = [(t, f"P-score {number(p_scores[t], 3)}") for t in order]
    figure, panels, size = _panels(width, titles, "Probability (%)")
    for treatment, axes in zip(order, panels, strict=True):
        shares = probabilities.loc[treatment]
        axes.bar(shares.index, 100 * shares, width=0.78, color=colours[treatment])
        for rank, share in shares.items():
            layout.write(axes, rank, 100 * share + 2, _percent(share), size, ha="center", va="bottom")
        axes.set(xlim=(0.4, len(shares) + 0.6), ylim=(0, 118))
        axes.set_yticks([0, 50, 100])
        axes.xaxis.set_major_locator(MultipleLocator(1))
    _share_labels(panels)
    data = _tidy(probabilities.loc[order], "probability")
    data["p_score"] = data["treatment"].map(p_scores)
    alt = []
    for treatment in order:
        shares = probabilities.loc[treatment]
        listing = ", ".join(f"rank {rank} {_percent(share)}%" for rank, share in shares.items())
        alt.append(f"{treatment} (P-score {number(p_scores[treatment], 3)}): {listing}")
    return Drawing(name, figure, data, "Probability of each rank, rank 1 the best. " + "; ".join(alt) + ".")


def _share_labels(panels: list) -> None:
    """Keep tick labels of the vertical axis only where the axis has a label."""
    for axes in panels:
        if not axes.get_ylabel():
            axes.tick_params(labelleft=False)


@style.styled
def cumulative_ranks(
    probabilities: pd.DataFrame,
    *,
    classes: dict[str, str] | None = None,
    width: Width = "double",
    name: str = "cumulative_ranks",
) -> Drawing:
    """Draw the probability of being among the best r treatments; each panel highlights one treatment.

    Parameters
    ----------
    probabilities : DataFrame [treatment x rank]
        From ``rank_probabilities``; rank 1 is the best.
    classes : dict, optional
        Treatment class of each treatment; by default each treatment is its own class.

    Notes
    -----
    SUCRA is the mean of the cumulative probabilities of ranks 1 to k - 1.

    Source: Salanti, Ades & Ioannidis 2011.
    """
    probabilities = _check_probabilities(probabilities, "cumulative_ranks")
    cumulative = probabilities.cumsum(axis=1).clip(upper=1.0)
    sucra = cumulative.iloc[:, :-1].mean(axis=1)
    order = list(sucra.sort_values(ascending=False, kind="stable").index)
    colours = style.treatment_colours(order, classes)
    titles = [(t, f"SUCRA {number(sucra[t], 3)}") for t in order]
    figure, panels, size = _panels(width, titles, "Cumulative probability (%)")
    for treatment, axes in zip(order, panels, strict=True):
        for other in order:
            if other != treatment:
                axes.plot(cumulative.columns, 100 * cumulative.loc[other], color=GRID, linewidth=1.2)
        shares = cumulative.loc[treatment]
        axes.plot(
            shares.index,
            100 * shares,
            color=colours[treatment],
            linewidth=2.2,
            marker="o",
            markersize=4.5,
            clip_on=False,
            zorder=4,
        )
        # The last rank is 100% for every treatment.
        for rank, share in shares.iloc[:-1].items():
            above = share < 0.82
            layout.write(
                axes,
                rank + (-0.08 if above else 0.05),
                100 * share + (4 if above else -8),
                _percent(share),
                size,
                ha="right" if above else "left",
                va="bottom" if above else "top",
                zorder=3,
                bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.5},
            )
        axes.set(xlim=(0.3, len(shares) + 0.4), ylim=(0, 108))
        axes.set_yticks([0, 50, 100])
        axes.xaxis.set_major_locator(MultipleLocator(1))
    _share_labels(panels)
    data = _tidy(cumulative.loc[order], "cumulative_probability")
    data["sucra"] = data["treatment"].map(sucra)
    alt = [
        f"{t} (SUCRA {number(sucra[t], 3)}): "
        + ", ".join(f"best {r} {_percent(s)}%" for r, s in cumulative.loc[t].iloc[:-1].items())
        for t in order
    ]
    return Drawing(
        name,
        figure,
        data,
        "Cumulative probability of being among the best treatments. " + "; ".join(alt) + ".",
    )


def _rows(width: Width, labels: list[str], numbers: list[str], keys: list[Key], note: str = ""):
    """Create canvas and axes with one row per label, numbers on the right; in single width, labels above the rows."""
    size = layout.font_size(width)
    total_width = layout.page_width(width)
    wide = width == "double"
    line = layout.line_height(size)
    number_width = max(layout.block_width(t, size) for t in numbers) + 2
    if wide:
        needed = max(layout.text_width(t, size) for t in labels) + 6
        label_width = min(needed, 0.36 * total_width)
    else:
        label_width = 0.0
    wrapped = [layout.wrap(t, (label_width or total_width) - 6, size) for t in labels]
    left = label_width + 8
    plot_width = total_width - left - number_width - 12
    heights = []
    for label, text in zip(wrapped, numbers, strict=True):
        lines, beside = layout.line_count(label) * line, layout.line_count(text) * line
        heights.append((max(lines, beside) if wide else lines + beside) + 0.8 * size)
    legend_height = layout.legend_height(keys, total_width, size) + 0.4 * size if keys else 0.0
    note_text = layout.wrap(note, total_width - 4, size) if note else ""
    note_height = layout.line_count(note_text) * line + 0.4 * size if note else 0.0
    axis_height = 3.4 * size
    height = legend_height + note_height + sum(heights) + axis_height + 2
    figure, canvas = layout.page(width, height)
    if keys:
        layout.legend(canvas, keys, 1, height, total_width, size)
    if note:
        layout.write(canvas, 1, height - legend_height - 1, note_text, size, va="top")
    axes = layout.panel(figure, left, axis_height, plot_width, sum(heights), size)
    axes.set_ylim(axis_height, axis_height + sum(heights))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    top, centres = axis_height + sum(heights), []
    for label, text, space in zip(wrapped, numbers, heights, strict=True):
        if wide:
            y = top - space / 2
            layout.write(canvas, 1, y, label, size)
        else:
            layout.write(canvas, 1, top - 0.3 * size, label, size, va="top")
            y = top - space + 0.4 * size + layout.line_count(text) * line / 2
        layout.write(canvas, total_width - 1, y, text, size, ha="right")
        centres.append(y)
        top -= space
    return figure, axes, centres, size


@style.styled
def p_score_dots(
    p: pd.DataFrame,
    *,
    tier: str = "implied",
    classes: dict[str, str] | None = None,
    width: Width = "double",
    name: str = "p_score_dots",
) -> Drawing:
    """Draw P-scores as printed (filled dots) and as computed from a network (outlines).

    Parameters
    ----------
    p : DataFrame [treatment, p_score, printed]
        ``printed`` may be missing. Ordered by ``p_score``.
    tier : str
        Tier of ``p_score``: any except "printed".
    classes : dict, optional
        Treatment class of each treatment; by default each treatment is its own class.
    """
    where = "p_score_dots"
    if tier not in style.TIER_MARKERS or tier == "printed":
        others = ", ".join(name for name in style.TIER_MARKERS if name != "printed")
        raise ValueError(f"{where}: tier={tier!r} is not one of {others}")
    data = style.table(p, ["treatment", "p_score", "printed"], where)
    data = data[["treatment", "p_score", "printed"]]
    style.check_numbers(data, ["p_score"], where, at_least=0, at_most=1)
    style.check_numbers(data, ["printed"], where, missing_allowed=True, at_least=0, at_most=1)
    data = data.sort_values("p_score", ascending=False, ignore_index=True)
    colours = list(style.treatment_colours(data["treatment"], classes).values())
    numbers = [
        (f"printed {number(r.printed, 3)}\n" if pd.notna(r.printed) else "") + f"{tier} {number(r.p_score, 3)}"
        for r in data.itertuples()
    ]
    marker = style.TIER_MARKERS[tier][0]
    keys = layout.tier_keys(["printed"] if data["printed"].notna().any() else [])
    keys.append(Key(tier, INK, marker=marker, filled=False))
    figure, axes, centres, _ = _rows(width, list(data["treatment"]), numbers, keys)
    for row, y, colour in zip(data.itertuples(), centres, colours, strict=True):
        axes.plot([0, 1], [y, y], color=GRID, linewidth=0.8, zorder=1)
        if pd.notna(row.printed):
            axes.plot(row.printed, y, **layout.marker_style("o", colour, True, 6.5))
        # A wider outline keeps the printed dot visible if the two agree.
        ring = layout.marker_style(marker, colour, False, 12) | {"markerfacecolor": "none"}
        axes.plot(row.p_score, y, **ring)
    axes.set(xlim=(-0.03, 1.03), xlabel="P-score (mean certainty of beating a competitor)")
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    if width != "double":
        axes.set_xlabel("P-score")
    alt = "; ".join(
        f"{r.treatment} {tier} {number(r.p_score, 3)}"
        + (f", printed {number(r.printed, 3)}" if pd.notna(r.printed) else "")
        for r in data.itertuples()
    )
    return Drawing(name, figure, data, f"P-scores from 0 to 1. {alt}.")


@style.styled
def rank_heat(
    probabilities: pd.DataFrame,
    p_scores: pd.Series,
    *,
    classes: dict[str, str] | None = None,
    width: Width = "double",
    name: str = "rank_heat",
) -> Drawing:
    """Draw rank probabilities as areas of squares, one row per treatment, for networks too large for panels.

    Parameters
    ----------
    probabilities, p_scores, classes
        As in :func:`rankogram`.

    Source: Salanti, Ades & Ioannidis 2011; P-scores Rücker & Schwarzer 2015.
    """
    probabilities = _check_probabilities(probabilities, "rank_heat")
    _check_same(p_scores, probabilities, "rank_heat")
    order = list(p_scores.sort_values(ascending=False, kind="stable").index)
    colours = style.treatment_colours(order, classes)
    scores = [number(p_scores[treatment], 3) for treatment in order]
    figure, axes, centres, size = _rows(
        width, order, scores, [], note="Area of a square: probability of the rank. Right: P-score."
    )
    k = len(order)
    axes.set(xlim=(0.4, k + 0.6), xlabel="Rank")
    axes.xaxis.set_major_locator(MultipleLocator(1 if k <= 12 else 5))
    heights = np.abs(np.diff(centres))
    side = (
        min(axes.get_window_extent().width * 72 / figure.dpi / (k + 0.2), heights.min() if len(heights) else size)
        * 0.94
    )
    for treatment, y in zip(order, centres, strict=True):
        shares = probabilities.loc[treatment]
        axes.plot([1, k], [y, y], color=GRID, linewidth=0.6, zorder=1)
        axes.scatter(
            shares.index,
            np.full(k, y),
            s=shares * side**2,
            marker="s",
            color=colours[treatment],
            linewidths=0,
            zorder=2,
        )
    data = _tidy(probabilities.loc[order], "probability")
    data["p_score"] = data["treatment"].map(p_scores)
    alt = []
    for treatment in order:
        likely = probabilities.loc[treatment].sort_values(ascending=False, kind="stable").head(3)
        listing = ", ".join(f"rank {rank} {_percent(share)}%" for rank, share in likely.items())
        alt.append(f"{treatment} (P-score {number(p_scores[treatment], 3)}): {listing}")
    return Drawing(name, figure, data, "Most likely ranks, rank 1 the best. " + "; ".join(alt) + ".")


@style.styled
def rank_interval(
    probabilities: pd.DataFrame,
    *,
    level: float = 0.95,
    classes: dict[str, str] | None = None,
    width: Width = "double",
    name: str = "rank_interval",
) -> Drawing:
    """Draw the median rank of each treatment with the interval that has ``level`` of the probability.

    Parameters
    ----------
    probabilities : DataFrame [treatment x rank]
        From ``rank_probabilities``; rank 1 is the best.
    level : float
        Limits are the (1 - level) / 2 and (1 + level) / 2 quantiles of the rank.

    Returns
    -------
    Drawing
        Data [treatment, low, median, high, mean], ordered by the mean rank.
    """
    probabilities = _check_probabilities(probabilities, "rank_interval")
    cumulative = probabilities.cumsum(axis=1)

    def quantile(treatment: str, share: float) -> int:
        # The tolerance keeps rounding in the sum from moving a quantile to the next rank.
        reached = cumulative.loc[treatment] >= share - 1e-12
        return int(reached.index[np.argmax(reached.to_numpy())])

    data = pd.DataFrame(
        [
            (
                t,
                quantile(t, (1 - level) / 2),
                quantile(t, 0.5),
                quantile(t, (1 + level) / 2),
                float((probabilities.loc[t] * probabilities.columns).sum()),
            )
            for t in probabilities.index
        ],
        columns=["treatment", "low", "median", "high", "mean"],
    ).sort_values("mean", ignore_index=True)
    colours = list(style.treatment_colours(data["treatment"], classes).values())
    numbers = [f"{r.median} ({r.low} to {r.high})" for r in data.itertuples()]
    figure, axes, centres, _ = _rows(width, list(data["treatment"]), numbers, [])
    for row, y, colour in zip(data.itertuples(), centres, colours, strict=True):
        axes.plot([row.low, row.high], [y, y], color=colour, linewidth=2.0)
        axes.plot(row.median, y, **layout.marker_style("o", colour, True, 7.5))
    axes.set(xlim=(0.7, len(data) + 0.3), xlabel=f"Median rank ({100 * level:g}% interval), 1 = best")
    axes.xaxis.set_major_locator(MultipleLocator(1))
    alt = "; ".join(f"{t} {n}" for t, n in zip(data["treatment"], numbers, strict=True))
    return Drawing(name, figure, data, f"Median rank with {100 * level:g}% interval, rank 1 the best. {alt}.")
