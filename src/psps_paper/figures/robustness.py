"""How far each conclusion holds over simulated data sets that agree with the print, beside its prediction interval."""

from __future__ import annotations

import pandas as pd

from psps_paper.figures import layout, style
from psps_paper.figures.drawing import Drawing
from psps_paper.figures.layout import Key
from psps_paper.figures.style import GRID, INK, MUTED, Width
from psps_paper.formatting import estimate, percent

SHARES = ["holds_worst", "holds_grouped", "holds_as_printed"]
INTERVAL = ["predict_lower", "te", "predict_upper"]


@style.styled
def robustness_dashboard(
    conclusions: pd.DataFrame,
    *,
    unit: str,
    width: Width = "double",
    name: str = "robustness_dashboard",
) -> Drawing:
    """Share of an ensemble in which each conclusion holds, and the prediction interval of its contrast.

    Parameters
    ----------
    conclusions : DataFrame [conclusion, holds_as_printed, holds_grouped, holds_worst, te, predict_lower, predict_upper]
        From :func:`psps_paper.conclusions.robustness.robustness_of_conclusions`; shares in [0, 1]. The last three are missing where a
        conclusion is about a rank.
    unit : str
        Of ``te`` and its interval.

    Returns
    -------
    Drawing
        Data: the columns above, one row a conclusion, in the order given.
    """
    where = "robustness_dashboard"
    columns = ["conclusion", *SHARES, *INTERVAL]
    data = style.table(conclusions, columns, where)[columns]
    style.check_numbers(data, SHARES, where, at_least=0, at_most=1)
    style.check_numbers(data, INTERVAL, where, missing_allowed=True)
    style.check_order(data, SHARES, where)
    style.check_order(data, INTERVAL, where)

    shares = [f"{percent(r.holds_grouped, 0)}\nat worst {percent(r.holds_worst, 0)}" for r in data.itertuples()]
    effects = ["no interval:\na rank" if pd.isna(r.te) else estimate(r.te, r.predict_lower, r.predict_upper).replace(" (", "\n(", 1)
               for r in data.itertuples()]
    size, wide = layout.font_size(width), width == "double"
    line, total = layout.line_height(size), layout.page_width(width)
    share_text, effect_text = (max(layout.block_width(t, size) for t in texts) + 4 for texts in (shares, effects))
    label = 0.27 * total if wide else 0.0
    labels = [layout.wrap(text, (label or total) - 8, size) for text in data["conclusion"]]
    # Ticks at the ends of an axis reach beyond it by half a label
    margin = 1.2 * size
    panel = (total - label - share_text - effect_text - 4 * margin) / 2
    beside = 2 * line
    heights = [(max(layout.line_count(text) * line, beside) if wide else layout.line_count(text) * line + beside) + 0.9 * size for text in labels]

    keys = [
        Key("each estimate by itself", INK, marker="s", filled=False),
        Key("estimates of a study combined", INK, marker="^", filled=False),
        Key("at worst, by either model of their dependence", MUTED, marker="v", filled=False),
        Key("effect with prediction interval", INK, marker="o", filled=False),
    ]
    note = layout.wrap("Simulated, not observed: shares are of data sets that agree with the printed numbers.", total - 4, size)
    legend, remark = layout.legend_height(keys, total, size) + 0.4 * size, layout.line_count(note) * line + 0.5 * size
    titles = [layout.wrap("Share in which the conclusion holds (%)", panel + share_text - 4, size), layout.wrap(unit[0].upper() + unit[1:], panel + effect_text - 4, size)]
    axis = 2.0 * size + max(map(layout.line_count, titles)) * line
    figure, canvas = layout.page(width, legend + remark + sum(heights) + axis + 2)
    top = legend + remark + sum(heights) + axis + 2
    layout.legend(canvas, keys, 1, top, total, size)
    layout.write(canvas, 1, top - legend - 1, note, size, va="top")

    lefts = (label + margin, label + margin + panel + margin + share_text + margin)
    share_axes, effect_axes = (layout.panel(figure, left, axis, panel, sum(heights), size) for left in lefts)
    limits = style.nice_limits([*data[INTERVAL].to_numpy(dtype=float).ravel(), 0.0])
    for axes, span, title, left in zip((share_axes, effect_axes), ((0, 100), limits), titles, lefts, strict=True):
        axes.set(xlim=span, ylim=(axis, axis + sum(heights)), yticks=[])
        axes.spines["left"].set_visible(False)
        layout.write(canvas, left, axis - 1.9 * size, title, size, va="top")
    share_axes.set_xticks([0, 50, 100])
    effect_axes.locator_params(axis="x", nbins=4 if wide else 2)

    edge = axis + sum(heights)
    for row, text, share, effect, space in zip(data.itertuples(), labels, shares, effects, heights, strict=True):
        if wide:
            y = edge - space / 2
            layout.write(canvas, 1, y, text, size)
        else:
            layout.write(canvas, 1, edge - 0.3 * size, text, size, va="top")
            y = edge - space + 0.5 * size + beside / 2
        # In single width the label stands above, where a line through all rows would cross it.
        band = [edge - space, edge] if wide else [edge - space, edge - space + beside + 0.5 * size]
        effect_axes.plot([0, 0], band, color=INK, linewidth=0.9, zorder=1)
        worst, combined, single = (100 * getattr(row, column) for column in SHARES)
        share_axes.plot([0, 100], [y, y], color=GRID, linewidth=0.8, zorder=1)
        share_axes.plot([worst, single], [y, y], color=MUTED, linewidth=1.6, zorder=2)
        for value, marker, colour in ((single, "s", INK), (worst, "v", MUTED), (combined, "^", INK)):
            share_axes.plot(value, y, clip_on=False, **layout.marker_style(marker, colour, False, 6))
        layout.write(canvas, lefts[0] + panel + margin, y, share, size)
        if pd.notna(row.te):
            effect_axes.plot([row.predict_lower, row.predict_upper], [y, y], color=MUTED, linewidth=1.6, zorder=2)
            effect_axes.plot(row.te, y, **layout.marker_style("o", INK, False, 6))
        layout.write(canvas, lefts[1] + panel + 0.5 * margin, y, effect, size)
        edge -= space

    described = [
        f"{row.conclusion}: holds in {percent(row.holds_as_printed, 0)} with each estimate by itself, {share}".replace("\n", ", ")
        + ("" if pd.isna(row.te) else f"; {effect}".replace("\n", " "))
        for row, share, effect in zip(data.itertuples(), shares, effects, strict=True)
    ]
    return Drawing(
        name, figure, data,
        f"Robustness of {len(data)} conclusions over simulated data sets: share in which each holds when the estimates of a study are combined, "
        f"and {unit} with its prediction interval. {'. '.join(described)}.",
    )
