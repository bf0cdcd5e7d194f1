"""Forest plots of one comparison, of all direct comparisons of a network, and of direct against indirect evidence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from psps_paper.figures import layout, style
from psps_paper.figures.drawing import Drawing
from psps_paper.figures.forest_frame import (
    Frame,
    Page,
    favours_labels,
    heterogeneity_line,
    null_line,
    number_axis,
    p_text,
    prediction_line,
    ratio_axis,
)
from psps_paper.figures.style import INK, MUTED, PAPER, Width
from psps_paper.formatting import number, ratio_number
from psps_paper.network import BinaryNetworkFit, NetworkFit, QDecomposition, fit_network, orient, p_scores_from
from psps_paper.pairwise import PairwiseFit

COLUMNS = ["comparison", "kind", "label", "te", "lower", "upper", "weight", "predict_lower", "predict_upper", "text"]


@style.styled
def forest_pairwise(
    fit: PairwiseFit,
    studies: pd.DataFrame,
    *,
    desirable: str,
    first: str = "first-named treatment",
    second: str = "second-named treatment",
    unit: str = "effect",
    ratio: bool = False,
    width: Width = "double",
    name: str = "forest_pairwise",
) -> Drawing:
    """Draw a meta-analysis with its studies: weights, pooled effect, prediction interval and heterogeneity.

    Parameters
    ----------
    fit : PairwiseFit
    studies : DataFrame [study, te, se]
        The pooled studies, in the same order.
    desirable : {"lower", "higher"}
        Whether a lower or a higher ``te`` is better for ``first``.
    ratio : bool
        Whether ``te`` is the logarithm of a ratio, which ``unit`` names; the figure then shows the ratio, on a
        logarithmic axis.

    Returns
    -------
    Drawing
        Data [comparison, kind, label, te, lower, upper, weight, predict_lower, predict_upper, text]: ``kind`` is
        "estimate", "summary" or "note"; ``weight`` a fraction.

    Raises
    ------
    ValueError
        A number of studies other than that pooled, or an unknown option.
    """
    data = style.table(studies, ["study", "te", "se"], "forest_pairwise")
    style.check_numbers(data, ["te"], "forest_pairwise")
    style.check_numbers(data, ["se"], "forest_pairwise", above=0)
    if len(data) != fit.k:
        raise ValueError(f"forest_pairwise: {len(data)} studies, but {fit.k} were pooled")
    rows = _study_rows(data, fit.weights, fit.level)
    rows.append({"kind": "summary", "label": "Pooled, random effects", **_limits(fit)})
    rows.append({"kind": "note", "text": heterogeneity_line(fit.tau2, fit.i2, fit.q, fit.df_q, fit.p_q)})
    table = pd.DataFrame(rows, columns=COLUMNS).assign(comparison=f"{first} vs {second}")
    return _drawing(table, name, width, desirable, (first, second), unit, ratio, fit.level, "Forest plot")


@style.styled
def forest_treatments(
    fit: NetworkFit | BinaryNetworkFit,
    reference: str,
    *,
    desirable: str,
    unit: str = "effect",
    ratio: bool = False,
    width: Width = "double",
    name: str = "forest_treatments",
) -> Drawing:
    """Draw each treatment of a network against a reference, the best first, with prediction intervals.

    Parameters
    ----------
    fit : NetworkFit or BinaryNetworkFit
        A BinaryNetworkFit has a common effect and no prediction intervals.
    reference : str
        A treatment of the fit; te is treatment minus reference.
    desirable, unit, ratio
        As in :func:`forest_pairwise`.

    Returns
    -------
    Drawing
        Data as in :func:`forest_pairwise`; the last row has tau2, I2 and Q of the network.

    Raises
    ------
    ValueError
        ``reference`` is not a treatment of the fit.
    """
    if reference not in fit.treatments:
        raise ValueError(f"forest_treatments: {reference!r} is not one of {', '.join(fit.treatments)}")
    names = {name: name for name in ("te", "lower", "upper", "predict_lower", "predict_upper")}
    se = "se"
    if isinstance(fit, BinaryNetworkFit):
        names, se = {name: f"{name}_common" for name in ("te", "lower", "upper")}, "se_common"
    order = p_scores_from(getattr(fit, names["te"]), getattr(fit, se), desirable=desirable)
    rows = [
        {"kind": "estimate", "label": treatment}
        | {ours: getattr(fit, theirs).at[treatment, reference] for ours, theirs in names.items()}
        for treatment in order.sort_values(ascending=False, kind="stable").index
        if treatment != reference
    ]
    if isinstance(fit, NetworkFit):
        rows.append({"kind": "note", "text": heterogeneity_line(fit.tau2, fit.i2, fit.q, fit.df_q, fit.p_q)})
    table = pd.DataFrame(rows, columns=COLUMNS).assign(comparison=f"treatment vs {reference}")
    what = f"Forest plot of treatments against {reference}"
    return _drawing(table, name, width, desirable, ("the treatment", reference), unit, ratio, fit.level, what)


@style.styled
def forest_comparisons(
    fit: NetworkFit,
    comparisons: Sequence[tuple[str, str]] | None = None,
    *,
    desirable: str,
    unit: str = "effect",
    ratio: bool = False,
    width: Width = "double",
    name: str = "forest_comparisons",
) -> Drawing:
    """Draw direct comparisons of a network with their studies, pooled estimates and network estimates.

    Parameters
    ----------
    fit : NetworkFit
        A fit of studies. Each comparison is pooled with its own tau2, by the fit's method.
    comparisons : sequence of (str, str), optional
        First and second treatment; te is first minus second. Default: all, as :func:`forest_pages` names them.
    desirable, unit, ratio
        As in :func:`forest_pairwise`.

    Returns
    -------
    Drawing
        Data as in :func:`forest_pairwise`. If a study gives several correlated estimates, there are no weights.

    Raises
    ------
    ValueError
        No study compares the two treatments of a pair.
    """
    pairs = [pair for part in forest_pages(fit) for pair in part] if comparisons is None else list(comparisons)
    rows = [row for pair in pairs for row in _comparison_rows(fit, *pair)]
    ends = pairs[0] if len(pairs) == 1 else ("first-named treatment", "second-named treatment")
    what = "Forest plot by comparison"
    return _drawing(pd.DataFrame(rows, columns=COLUMNS), name, width, desirable, ends, unit, ratio, fit.level, what)


def forest_pages(fit: NetworkFit, order: Sequence[str] | None = None, lines: int = 34) -> list[list[tuple[str, str]]]:
    """Divide the direct comparisons of a network into pages of :func:`forest_comparisons`.

    Parameters
    ----------
    fit : NetworkFit
    order : sequence of str, optional
        Treatments; the earlier one of each comparison is named first. Default: ``fit.treatments``.
    lines : int
        Approximate lines per page. Comparisons are not divided, so one with more studies makes a longer page.

    Returns
    -------
    list of list of (str, str)
    """
    turned = orient(fit.contrasts, list(fit.treatments if order is None else order))
    place = {name: k for k, name in enumerate(fit.treatments if order is None else order)}
    counts = turned.groupby(["treat1", "treat2"], sort=False).size()
    pages: list[list[tuple[str, str]]] = [[]]
    used = 0
    for pair in sorted(counts.index, key=lambda pair: (place[pair[0]], place[pair[1]])):
        needed = int(counts[pair]) + (4 if counts[pair] > 1 else 2)
        if pages[-1] and used + needed > lines:
            pages.append([])
            used = 0
        pages[-1].append(pair)
        used += needed
    return pages


@style.styled
def node_split_forest(
    split: pd.DataFrame,
    *,
    desirable: str,
    overall: QDecomposition | None = None,
    unit: str = "effect",
    ratio: bool = False,
    level: float = 0.95,
    width: Width = "double",
    name: str = "node_split_forest",
) -> Drawing:
    """Draw direct, indirect and network estimates of each comparison with both kinds of evidence, with the test's p.

    Parameters
    ----------
    split : DataFrame
        From :func:`psps_paper.network.split_evidence`; te is treat1 minus treat2. Comparisons without direct or
        without indirect evidence are omitted.
    overall : QDecomposition, optional
        Its overall test of inconsistency is written below.
    level : float
        Level of the intervals.

    Returns
    -------
    Drawing
        Data as in :func:`forest_pairwise`.

    Raises
    ------
    ValueError
        No comparison has both kinds of evidence.
    """
    where = "node_split_forest"
    kinds = {"direct": "direct_", "indirect": "indirect_", "network": ""}
    data = style.table(
        split, ["treat1", "treat2", "p", *(f"{k}{x}" for k in kinds.values() for x in ("te", "se"))], where
    )
    data = data[data["direct_te"].notna() & data["indirect_te"].notna() & data["direct_se"].notna()]
    if data.empty:
        raise ValueError(f"{where}: no comparison has direct and indirect evidence")
    reach, rows = _critical_value(level), []
    for row in data.to_dict("records"):
        comparison = f"{row['treat1']} vs {row['treat2']}"
        rows.append({"comparison": comparison, "kind": "heading", "label": comparison, "text": p_text(row["p"])})
        for label, prefix in kinds.items():
            te, half = row[f"{prefix}te"], reach * row[f"{prefix}se"]
            kind = "summary" if label == "network" else "estimate"
            limits = {"te": te, "lower": te - half, "upper": te + half}
            rows.append({"comparison": comparison, "kind": kind, "label": label, **limits})
    if overall is not None:
        q, df, p = (overall.between[part] for part in ("q", "df", "p"))
        rows.append(
            {"kind": "note", "text": f"Inconsistency between all designs: Q = {number(q)}, df {df:g}, {p_text(p)}"}
        )
    table, ends = pd.DataFrame(rows, columns=COLUMNS), ("first-named treatment", "second-named treatment")
    return _drawing(table, name, width, desirable, ends, unit, ratio, level, "Direct against indirect evidence")


def _critical_value(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2))


def _limits(fit: PairwiseFit) -> dict[str, float]:
    return {name: getattr(fit, name) for name in ("te", "lower", "upper", "predict_lower", "predict_upper")}


def _study_rows(data: pd.DataFrame, weights: Sequence[float], level: float) -> list[dict]:
    reach = _critical_value(level)
    return [
        {"kind": "estimate", "label": str(row.study), "te": row.te, "lower": row.te - reach * row.se}
        | {"upper": row.te + reach * row.se, "weight": float(weight)}
        for row, weight in zip(data.itertuples(), weights, strict=True)
    ]


def _comparison_rows(fit: NetworkFit, first: str, second: str) -> list[dict]:
    """Build the rows of one comparison: heading, studies, pooled and network estimate."""
    rows = fit.contrasts
    rows = rows[rows["treat1"].isin([first, second]) & rows["treat2"].isin([first, second])]
    if rows.empty:
        raise ValueError(f"forest_comparisons: no study compares {first!r} with {second!r}")
    rows = orient(rows, [first, second]).sort_values(["study"], kind="stable")
    name = f"{first} vs {second}"
    tau2 = fit.method if fit.method in ("DL", "REML", "ML") else fit.tau2
    alone = fit_network(rows, tau2=tau2, level=fit.level, correlation=fit.correlation)
    weights = 1 / (rows["se"] ** 2 + alone.tau2)
    weights = weights / weights.sum()
    if fit.correlation and rows["study"].duplicated().any():
        weights = weights * np.nan
    found = [{"kind": "heading", "label": name}, *_study_rows(rows, weights, fit.level)]
    names = ("te", "lower", "upper", "predict_lower", "predict_upper")
    if len(rows) > 1:
        limits = {column: getattr(alone, column).at[first, second] for column in names}
        found.append({"kind": "summary", "label": "Pooled, direct", **limits})
    limits = {column: getattr(fit, column).at[first, second] for column in names}
    found.append({"kind": "summary", "label": "Network", **limits})
    if len(rows) > 1:
        line = heterogeneity_line(alone.tau2, alone.i2, alone.q, alone.df_q, alone.p_q)
        found.append({"kind": "note", "text": line})
    return [{"comparison": name, **row} for row in found]


def _drawing(
    table: pd.DataFrame,
    name: str,
    width: Width,
    desirable: str,
    ends: tuple[str, str],
    unit: str,
    ratio: bool,
    level: float,
    what: str,
) -> Drawing:
    """Draw the rows, and describe them in words."""
    shown = ratio_number if ratio else number
    percent = f"{100 * level:g}%"
    table = table.astype(dict.fromkeys(COLUMNS[3:9], float))
    table["text"] = table["text"].astype(object).fillna("")
    estimates = [
        "" if np.isnan(row.te) else f"{shown(row.te)} ({shown(row.lower)} to {shown(row.upper)})"
        for row in table.itertuples()
    ]
    predictions = [
        "" if np.isnan(row.predict_lower) else f"PI {shown(row.predict_lower)} to {shown(row.predict_upper)}"
        for row in table.itertuples()
    ]
    named = style.capitalised(unit) if len(unit) < 12 else "Ratio" if ratio else "Estimate"
    heading = f"{named} ({percent} CI)"
    sides = favours_labels(*ends, desirable)
    rows = table.assign(estimate=estimates, prediction=predictions)
    figure = _forest(rows, heading, sides, unit + " (logarithmic axis)" * ratio, ratio, width)
    said = []
    for row in rows.itertuples():
        if row.kind == "heading":
            said.append(f"{row.label}{f', {row.text}' if row.text else ''}")
        elif row.kind == "note":
            said.append(row.text)
        else:
            weight = "" if np.isnan(row.weight) else f", weight {number(100 * row.weight, 1)} %"
            prediction = f", prediction interval {row.prediction[3:]}" if row.prediction else ""
            said.append(f"{row.label} {row.estimate}{prediction}{weight}")
    alt = f"{what}, {unit} with {percent} confidence interval. Values below {int(ratio)} {sides[0]}, above"
    alt = f"{alt} {int(ratio)} {sides[1]}: {'; '.join(said)}."
    return Drawing(name, figure, table, alt)


def _forest(
    rows: pd.DataFrame, heading: str, sides: tuple[str, str], axis_label: str, ratio: bool, width: Width
) -> Figure:
    """Draw the rows from top to bottom: headings, estimates with weights, diamonds, notes."""
    page = Page.of(width, sides)
    size, total, wide = page.size, page.total, page.wide
    before = "" if wide else "weight "
    weights = ["" if np.isnan(w) else f"{before}{number(100 * w, 1)} %" for w in rows["weight"]]
    numbers = [*rows["estimate"], *rows["prediction"], heading]
    number_width = max(layout.text_width(t, size) for t in numbers) + 2
    weight_width = max([layout.text_width(t, size) for t in [*weights, "Weight"]]) + 1.5 * size if any(weights) else 0.0
    room = 0.3 * total if wide else total - weight_width - 4
    texts = [
        layout.wrap(row.text, total - 4, size)
        if row.kind == "note"
        else layout.wrap(row.label, total - 10 * size if row.kind == "heading" else room, size, _weight(row.kind))
        for row in rows.itertuples()
    ]
    heights = [_row_height(row, text, page) for row, text in zip(rows.itertuples(), texts, strict=True)]
    heights[-1] += 0.5 * size * (rows["kind"].iloc[-1] == "note")  # clear of the axis
    beside = [t for t, kind in zip(texts, rows["kind"], strict=True) if kind in ("estimate", "summary")]
    left = max(layout.block_width(t, size, "bold") for t in beside) + 10 if wide else 4.0
    across = total - left - number_width - (weight_width if wide else 0) - 12
    frame = Frame(page, left, page.axis_height, across, heights)
    figure, canvas, axes = frame.open(1.7 * size)
    span = frame.span(rows[["lower", "upper", "predict_lower", "predict_upper"]].to_numpy(float).ravel())
    axes.set(xlim=span)
    if ratio:
        ratio_axis(axes, page, span, np.log)
    else:
        number_axis(axes, page)
    layout.write(canvas, frame.right, frame.top + 0.85 * size, heading, size, ha="right", color=MUTED)
    weights_right = total - number_width - 0.9 * size if wide else frame.right
    if wide and any(weights):
        layout.write(canvas, weights_right, frame.top + 0.85 * size, "Weight", size, ha="right", color=MUTED)
    bands = []
    for row, text, weight, top, height in zip(rows.itertuples(), texts, weights, frame.tops(), heights, strict=True):
        bands += _write_row(canvas, axes, frame, row, (text, weight), weights_right, (top, height))
    null_line(axes, 0.0, bands)
    label = layout.wrap(style.capitalised(axis_label), total - left if wide else total - 4, size)
    frame.close(canvas, axes, label, 0.0)
    return figure


def _weight(kind: str) -> str:
    return "normal" if kind == "estimate" else "bold"


def _row_height(row, text: str, page: Page) -> float:
    if row.kind in ("heading", "note"):
        return layout.line_count(text) * page.line + (0.9 if row.kind == "heading" else 0.7) * page.size
    return page.row_height(text, 2 if row.prediction else 1, 0.5)


def _write_row(
    canvas: Axes,
    axes: Axes,
    frame: Frame,
    row,
    texts: tuple[str, str],
    weights_right: float,
    place: tuple[float, float],
) -> list[tuple[float, float]]:
    """Write one row; return the heights between which the null line is drawn beside it."""
    (text, weight), (top, height), wide = texts, place, frame.page.wide
    line, size, bottom = frame.page.line, frame.page.size, top - height
    if row.kind in ("heading", "note"):
        bold = "bold" if row.kind == "heading" else "normal"
        low = bottom + 0.2 * size if row.kind == "heading" else top - 0.5 * size - layout.line_count(text) * line
        layout.write(canvas, 1, low, text, size, weight=bold, va="bottom", color=INK if bold == "bold" else MUTED)
        if row.kind == "heading" and row.text:
            layout.write(canvas, frame.right, low, row.text, size, ha="right", va="bottom")
        return []
    bold = _weight(row.kind)
    middle = bottom + height / 2
    if wide:
        layout.write(canvas, 8, middle, text, size, weight=bold)
        y = middle
    else:
        layout.write(canvas, 1, top - 0.2 * size, text, size, weight=bold, va="top")
        y = bottom + 0.3 * size + (1 if row.prediction else 0.5) * line
    if row.prediction:
        prediction_line(axes, row.predict_lower, row.predict_upper, y)
        layout.write(canvas, frame.right, y - 0.5 * line, row.prediction, size, ha="right", color=MUTED)
    if row.kind == "summary":
        corners = [(row.lower, y), (row.te, y + 0.45 * size), (row.upper, y), (row.te, y - 0.45 * size)]
        fill = PAPER if row.label.lower() == "network" else INK
        axes.add_patch(Polygon(corners, facecolor=fill, edgecolor=INK, zorder=4))
    else:
        axes.plot([row.lower, row.upper], [y, y], color=INK, linewidth=1.4, zorder=3, solid_capstyle="butt")
        share = 0.5 if np.isnan(row.weight) else row.weight
        axes.plot(row.te, y, **layout.marker_style("s", INK, True, 3 + 5 * share**0.5))
    shift = 0.5 * line if row.prediction else 0
    layout.write(canvas, frame.right, y + shift, row.estimate, size, ha="right", weight=bold)
    if weight:
        where = middle if wide else top - 0.2 * size
        layout.write(canvas, weights_right, where, weight, size, ha="right", va="center" if wide else "top")
    return [(bottom, top)] if wide else [(bottom, bottom + 0.4 * size + (2 if row.prediction else 1) * line)]
