"""Tables and figures in the chapters of a review, for each outcome and for the studies."""

from __future__ import annotations

import math

import pandas as pd

from psps_paper.book.display import Shown, folded, sentence, show
from psps_paper.book.trials import trial_funnel
from psps_paper.figures import (
    contribution_heat,
    forest_comparisons,
    forest_network,
    forest_pages,
    hasse_diagram,
    league_direct,
    net_heat_map,
    network_graph,
    node_split_forest,
    prisma_flow,
    rank_heat,
    rankogram,
    rob_domains,
    rob_stacked,
)
from psps_paper.figures.heat import MOST_COLUMNS
from psps_paper.living.analyses import rob_shares
from psps_paper.living.review import CERTAINTY_NOTE, Review
from psps_paper.living.study_table import judged_columns
from psps_paper.network import (
    contribution_matrix,
    decompose_q,
    league_with_direct,
    net_heat,
    partial_order,
    split_evidence,
)
from psps_paper.network.orientation import orient
from psps_paper.network.reduction import joiner

TIER = "recomputed"
JUDGED_STUDIES = 60  # in one figure
MOST_FACTS = 7  # columns of characteristics in view
# Most treatments whose ranks are drawn in one panel each; most columns of a league table on one page
FEW, COLUMNS = 8, 5
DIRECT_ROWS = 20  # of a heat map, with names of several lines


def network_parts(review: Review, outcome: str) -> list[Shown]:
    """Show the network graph, forest plot, league table and ranking of an outcome."""
    k, label = review.outcomes.index(outcome) + 1, review.label(outcome)
    level, scores = review.level(outcome), review.p_scores(outcome)
    sizes, sized_by = review.sizes(outcome)
    graph = network_graph(review.edges(outcome), sizes=sizes, sized_by=sized_by, name=f"network-{k}")
    areas = sized_by if sized_by == "patients" else "studies, since the table gives no numbers of patients"
    # All estimates of a review are calculated from its tables: its figures need no word for that
    forest = forest_network(
        review.forest(outcome).drop(columns="tier"), **review.direction(outcome), name=f"forest-{k}"
    )
    against = f"{label}: each treatment against {review.reference(outcome)}, the best P-score first, with {level}"
    against += " confidence"
    against += " and prediction intervals." if "predict_lower" in forest.data.columns else " intervals."
    ranked = rankogram if len(scores) <= FEW else rank_heat
    ranks = ranked(review.ranks(outcome), scores, name=f"ranks-{k}")
    return [
        sentence(review.model(outcome)),
        show(graph, tier=TIER, caption=f"{label}: direct comparisons. Lines: studies. Dots: {areas}."),
        show(forest, tier=TIER, caption=against),
        *league_parts(review, outcome),
        show(ranks, tier=TIER, caption=f"{label}: probability of each rank, with P-scores."),
    ]


def league_parts(review: Review, outcome: str) -> list[Shown]:
    """Show the league table in parts of a page's width, and again as a figure with direct evidence."""
    k, label, league = review.outcomes.index(outcome) + 1, review.label(outcome), review.league(outcome)
    names, parts = list(league.columns), []
    across = math.ceil(len(names) / math.ceil(len(names) / COLUMNS))  # parts of about the same width
    for start in range(0, len(names), across):
        columns = names[start : start + across]
        which = "" if len(names) <= COLUMNS else f" Columns {start + 1} to {start + len(columns)} of {len(names)}."
        caption = f"{label}: league table. {league.attrs['orientation']}{which}"
        name = f"league-{outcome}" if not start else f"league-{outcome}-{start + 1}"
        part = show(league[columns], index=True, tier=TIER, name=name, caption=caption, whole=True, view=columns)
        parts.append(part)
    fit, scale = review.network(outcome).fit, _scale(review, outcome)
    drawing = league_direct(league_with_direct(fit, review.order(outcome)), **scale, name=f"league-direct-{k}")
    caption = f"{label}: network estimates below the diagonal, direct ones above it."
    if len(parts) > 1:
        parts = [folded(part, f"League table, part {i} of {len(parts)}") for i, part in enumerate(parts, 1)]
    return [*parts, show(drawing, tier=TIER, caption=caption)]


def evidence_parts(review: Review, outcome: str) -> list[Shown]:
    """Show studies by comparison, direct against indirect evidence, and the funnel plot of an outcome."""
    k, label, book = review.outcomes.index(outcome) + 1, review.label(outcome), review.network(outcome)
    fit, order, scale = book.fit, book.order, _scale(review, outcome)
    pages = forest_pages(fit, order)
    parts = [sentence(review.model(outcome))]
    for number, pairs in enumerate(pages, 1):
        drawing = forest_comparisons(fit, pairs, **scale, name=f"comparisons-{k}-{number}")
        which = f", part {number} of {len(pages)}" if len(pages) > 1 else ""
        caption = f"{label}: studies by comparison with weights, pooled and network estimates{which}."
        parts.append(show(drawing, tier=TIER, caption=caption))
    parts += _splits(review, outcome) + _heat_maps(review, outcome)
    unit = f"log {scale['unit']}" if scale["ratio"] else scale["unit"]
    funnel = trial_funnel(fit, order, "", unit=unit, name=f"funnel-{k}")
    caption = f"{label}: comparison-adjusted funnel plot."
    if not orient(fit.contrasts, order).groupby(["treat1", "treat2"]).size().gt(1).all():
        caption += " The estimate of a comparison with one study is its own summary, and so lies at 0."
    return [*parts, show(funnel, tier=TIER, caption=caption)]


def _splits(review: Review, outcome: str) -> list[Shown]:
    k, label, book = review.outcomes.index(outcome) + 1, review.label(outcome), review.network(outcome)
    split = orient_split(split_evidence(book.fit), list(book.order))
    both = split.dropna(subset=["direct_te", "indirect_te", "p"])
    if both.empty:
        return [sentence(f"{label}: no comparison has both direct and indirect evidence.")]
    parts, size = [], 8
    pages = math.ceil(len(both) / size)
    for number, start in enumerate(range(0, len(both), size), 1):
        last = start + size >= len(both)
        drawing = node_split_forest(
            both.iloc[start : start + size],
            overall=decompose_q(book.fit) if last else None,
            level=book.fit.level,
            name=f"splits-{k}-{number}",
            **_scale(review, outcome),
        )
        which = f", part {number} of {pages}" if pages > 1 else ""
        test = ", with the global test" if last else ""
        caption = f"{label}: direct against indirect evidence by comparison{test}{which}."
        parts.append(show(drawing, tier=TIER, caption=caption))
    return parts


def _heat_maps(review: Review, outcome: str) -> list[Shown]:
    """Show, folded, net heat (if designs can disagree) and contributions to the comparisons with the reference."""
    k, label, fit = review.outcomes.index(outcome) + 1, review.label(outcome), review.network(outcome).fit
    join, reference, parts = joiner(fit.treatments), review.reference(outcome), []

    def named(table: pd.DataFrame) -> pd.DataFrame:
        """Name comparisons as on the other pages."""
        return table.rename(**dict.fromkeys(("index", "columns"), lambda name: name.replace(join, " vs ")))

    heat = named(net_heat(fit))
    if 2 <= len(heat) <= MOST_COLUMNS:
        caption = f"{label}: net heat plot, which designs disagree with which others."
        parts.append(show(net_heat_map(heat, name=f"net-heat-{k}"), tier=TIER, caption=caption))
    elif len(heat):
        parts.append(sentence(f"{label}: {len(heat)} designs are too many for a net heat plot."))
    contributions = contribution_matrix(fit)
    shares = named(contributions[[reference in name.split(join) for name in contributions.index]])
    direct = list(shares.columns)
    for start in range(0, len(direct), DIRECT_ROWS):
        which = "" if len(direct) <= DIRECT_ROWS else f", part {start // DIRECT_ROWS + 1}"
        drawing = contribution_heat(shares, direct[start : start + DIRECT_ROWS], name=f"contributions-{k}-{start + 1}")
        caption = f"{label}: contribution of each direct comparison, in percent{which}."
        shown = show(drawing, tier=TIER, caption=caption)
        parts.append(folded(shown, f"What each direct comparison contributes{which}"))
    return parts


def orient_split(split: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    """Orient the rows of :func:`psps_paper.network.split_evidence` by the order of treatments."""
    turned = orient(split[["treat1", "treat2", "te"]], order)
    flip = (turned["treat1"] != split["treat1"]).map({True: -1, False: 1})
    signed = [name for name in ("te", "direct_te", "indirect_te", "difference", "z") if name in split.columns]
    oriented = split.assign(**{name: split[name] * flip for name in signed})
    oriented[["treat1", "treat2"]] = turned[["treat1", "treat2"]]
    place = {name: k for k, name in enumerate(order)}
    return oriented.sort_values(["treat1", "treat2"], key=lambda names: names.map(place), kind="stable")


def outcomes_together(review: Review) -> list[Shown]:
    """Show which treatments are at least as good in every outcome; nothing if there is only one outcome."""
    if len(review.outcomes) < 2:
        return []
    scores = pd.DataFrame({review.label(o): review.p_scores(o) for o in review.outcomes}).dropna()
    if len(scores) < 2:
        return [sentence("No two treatments have results for every outcome.")]
    order = partial_order(scores.reindex([t for t in review.treatments if t in scores.index]))
    caption = "Treatments with results for every outcome, ordered by P-scores of all of them."
    return [show(hasse_diagram(order, name="order"), tier=TIER, caption=caption)]


def study_parts(review: Review) -> list[Shown]:
    """Show the flow of records, risk of bias and indirectness, and the characteristics of the studies."""
    parts = []
    if (flow := review.flow()) is not None:
        parts.append(show(prisma_flow(flow, name="flow"), tier=TIER, caption="Flow of records through the review."))
    studies = review.studies
    judged = [] if studies is None else judged_columns(studies)
    if judged:
        labels = {"rob": "Risk of bias", "indirectness": "Indirectness"}
        shares = pd.concat([rob_shares(studies, name, labels.get(name, name)) for name in judged], ignore_index=True)
        caption = "Judgements of the studies: share of the studies with each."
        parts.append(show(rob_stacked(shares, name="judgements"), tier=TIER, caption=caption))
        table = studies.set_index("study")[judged].replace("", "unknown").rename(columns=labels)
        for k, start in enumerate(range(0, len(table), JUDGED_STUDIES), 1):
            part, more = table.iloc[start : start + JUDGED_STUDIES], len(table) > JUDGED_STUDIES
            caption = f"Judgements by study{f', part {k}' if more else ''}."
            parts.append(show(rob_domains(part, name=f"judgements-{k}"), tier=TIER, caption=caption))
    caption = "Characteristics of the studies, as the table of studies has them."
    table = review.characteristics()
    view = list(table.columns) if table.shape[1] <= MOST_FACTS else [*table.columns[: MOST_FACTS - 2], "treatments"]
    return [*parts, show(table, tier=TIER, name="characteristics", caption=caption, view=view)]


def certainty_parts(review: Review, outcome: str) -> list[Shown]:
    """Show the summary of findings and the judgements of an outcome."""
    label = review.label(outcome)
    reference = review.reference(outcome)
    effects = f"{label}: summary of findings. Effects: {review.measure(outcome)}, treatment against {reference}."
    effects += " Studies: those that compare the two directly."
    findings, note = review.findings(outcome), CERTAINTY_NOTE
    if "risk with reference" in findings.columns:
        note += f" The risk with {reference} is assumed; the effect gives that with a treatment."
    parts = [
        sentence(review.model(outcome)),
        show(
            findings,
            tier=TIER,
            name=f"findings-{outcome}",
            caption=effects,
            note=note,
            whole=True,
            view=list(findings.columns),
        ),
        show(
            review.certainty(outcome),
            tier=TIER,
            name=f"certainty-{outcome}",
            caption=f"{label}: judgements by domain.",
            whole=True,
        ),
    ]
    why = f"{label}: what each judgement rests on."
    reasons = show(review.certainty_reasons(outcome), tier=TIER, name=f"reasons-{outcome}", caption=why)
    return [*parts, folded(reasons, "What each judgement rests on")]


def further_parts(review: Review, outcome: str) -> list[Shown]:
    """Show subgroups and network meta-regression of an outcome, or a sentence that review.yml names none."""
    label, parts = review.label(outcome), []
    subgroups, moderators = review.subgroups(outcome), review.moderators(outcome)
    if len(subgroups):
        caption = f"{label}: the network in each subgroup, treatment against {review.reference(outcome)}."
        parts.append(show(subgroups, tier=TIER, name=f"subgroups-{outcome}", caption=caption))
    if len(moderators):
        caption = f"{label}: network meta-regression, one slope for all treatments against {review.reference(outcome)}."
        parts.append(show(moderators, tier=TIER, name=f"moderators-{outcome}", caption=caption))
    return parts or [sentence(f"{label}: review.yml names no subgroups or moderators.")]


def _scale(review: Review, outcome: str) -> dict:
    unit = review.direction(outcome)["unit"]
    return {"desirable": review.te_desirable(outcome), "unit": unit, "ratio": review.is_ratio(outcome)}
