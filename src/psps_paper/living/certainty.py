"""Certainty of each comparison with the reference, by rules applied to the data, and the summary of findings.

Domains and rules follow CINeMA (Nikolakopoulou 2020); contributions of studies follow Papakonstantinou 2018.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from psps_paper.formatting import p_value, percent
from psps_paper.living.study_table import JUDGEMENTS
from psps_paper.network import NetworkFit, contribution_matrix, decompose_q, split_evidence
from psps_paper.network.reduction import joiner

STEPS = ("no concerns", "some concerns", "major concerns")
NOT_JUDGED = "not judged"
RATINGS = ("high", "moderate", "low", "very low")
DOMAINS = ("within-study bias", "reporting bias", "indirectness", "imprecision", "heterogeneity", "incoherence")
# Mean judgements of the evidence, on a scale from 1 to 3, at which the overall judgement moves up a step
HALVES = (1.5, 2.5)
# Least share of the evidence that must have judgements; the overall judgement is of that part
MOST = 0.5
# p below which direct and indirect evidence disagree: some concerns, major concerns
DISAGREE = (0.10, 0.01)


@dataclass(frozen=True)
class Rules:
    """Settings of an outcome on which its judgements depend.

    Attributes
    ----------
    important : float or None
        Smallest important te, above 0; for a ratio, its logarithm.
    reporting_bias : str
        "undetected", "suspected", or empty if not judged.
    """

    important: float | None = None
    reporting_bias: str = ""


def judgements(fit: NetworkFit, reference: str, studies: pd.DataFrame | None, rules: Rules) -> pd.DataFrame:
    """Judge each domain of each treatment against the reference.

    Parameters
    ----------
    fit : NetworkFit
        A network fitted to studies.
    studies : DataFrame [study, rob, indirectness] or None
        As from :func:`psps_paper.living.study_table.read_studies`; the domain of a missing column is not judged.

    Returns
    -------
    DataFrame [treatment, domain, judgement, why]
    """
    shares, split = study_shares(fit), split_evidence(fit).set_index(["treat1", "treat2"])
    overall = decompose_q(fit).between
    rows = []
    for treatment in (t for t in fit.treatments if t != reference):
        pair = tuple(sorted([treatment, reference]))
        found = {
            "within-study bias": _of_studies(shares[pair], studies, "rob", "at high risk"),
            "reporting bias": {"undetected": (STEPS[0], "undetected"), "suspected": (STEPS[1], "suspected")}.get(
                rules.reporting_bias, (NOT_JUDGED, "not judged by the review")
            ),
            "indirectness": _of_studies(shares[pair], studies, "indirectness", "with high concerns"),
            "imprecision": _imprecision(fit, treatment, reference, rules.important),
            "heterogeneity": _heterogeneity(fit, treatment, reference, rules.important),
            "incoherence": _incoherence(split.loc[pair, "p"], overall),
        }
        rows += [{"treatment": treatment, "domain": d, "judgement": found[d][0], "why": found[d][1]} for d in DOMAINS]
    return pd.DataFrame(rows)


def rating(steps: Mapping[str, str] | pd.Series) -> str:
    """Rate the certainty: it starts at high; some concerns cost one level, major concerns two."""
    lost = sum(STEPS.index(step) for step in dict(steps).values() if step in STEPS)
    return RATINGS[min(lost, len(RATINGS) - 1)]


def study_shares(fit: NetworkFit) -> dict[tuple[str, str], pd.Series]:
    """Compute the contribution of each study to each network estimate, by pair of treatments in sorted order.

    The contribution of a direct comparison (shortest paths) is split among its studies by inverse variance.
    """
    contributions, join = contribution_matrix(fit), joiner(fit.treatments)
    rows = fit.contrasts
    weight = 1 / (rows["se"] ** 2 + fit.tau2)
    pairs = [join.join(sorted(pair)) for pair in zip(rows["treat1"], rows["treat2"], strict=True)]
    weight = weight / weight.groupby(pairs).transform("sum")
    found = {}
    for i, first in enumerate(fit.treatments):
        for second in fit.treatments[i + 1 :]:
            row = contributions.loc[join.join((first, second))]
            share = weight * [float(row.get(pair, 0.0)) for pair in pairs]
            found[first, second] = share.groupby(rows["study"]).sum()
    return found


def _of_studies(share: pd.Series, studies: pd.DataFrame | None, column: str, worst: str) -> tuple[str, str]:
    """Average the judgements of the studies, weighted by their contributions."""
    if studies is None or column not in studies.columns:
        return NOT_JUDGED, f"no column {column} in the table of studies"
    scores = dict(zip(JUDGEMENTS, (1, 2, 3), strict=True))
    score = studies.set_index("study")[column].map(scores).reindex(share.index)
    known = share[score.notna()].sum() / share.sum()
    if known < MOST:
        return NOT_JUDGED, f"{percent(1 - known, 0)} from studies without a judgement"
    mean = float((share * score).sum() / share[score.notna()].sum())
    parts = [(float(share[score == s].sum() / share.sum()), how) for s, how in ((2, "with some concerns"), (3, worst))]
    why = ", ".join(f"{percent(part, 0)} from studies {how}" for part, how in parts if part >= 0.005)
    return STEPS[
        int(np.searchsorted(HALVES, mean, side="right"))
    ], why or f"less than {percent(0.01, 0)} from studies with concerns"


def _zones(low: float, high: float, important: float) -> tuple[int, int]:
    """Return the first and last zone that an interval reaches: importantly lower, unimportant, importantly higher."""
    bounds = (-important, important)
    return int(np.searchsorted(bounds, low, side="left")), int(np.searchsorted(bounds, high, side="left"))


def _imprecision(fit: NetworkFit, treatment: str, reference: str, important: float | None) -> tuple[str, str]:
    if important is None:
        return NOT_JUDGED, "review.yml gives no important difference"
    low, high = (float(side.at[treatment, reference]) for side in (fit.lower, fit.upper))
    te = float(fit.te.at[treatment, reference])
    against = -high if te < 0 else low
    if against >= 0:
        return STEPS[0], "the interval excludes no effect"
    if against < -important:
        return STEPS[2], "the interval includes important effects in both directions"
    return STEPS[1], "the interval includes no effect"


def _heterogeneity(fit: NetworkFit, treatment: str, reference: str, important: float | None) -> tuple[str, str]:
    if important is None:
        return NOT_JUDGED, "review.yml gives no important difference"
    limits = [float(side.at[treatment, reference]) for side in (fit.lower, fit.upper)]
    predicted = [float(side.at[treatment, reference]) for side in (fit.predict_lower, fit.predict_upper)]
    if np.isnan(predicted).any():
        return NOT_JUDGED, "too few studies for a prediction interval"
    inner, outer = _zones(*limits, important), _zones(*predicted, important)
    added = (outer[1] - outer[0]) - (inner[1] - inner[0])
    why = "allows other conclusions" if added else "leads to the same conclusion"
    why = f"the prediction interval {why}"
    return STEPS[min(max(added, 0), 2)], why


def _incoherence(p: float, overall: Mapping[str, float]) -> tuple[str, str]:
    """Judge by the test of direct against indirect evidence, or by the global test where there is only one kind."""
    what = "direct against indirect"
    if np.isnan(p):
        p, what = overall["p"], "between all designs"
    if np.isnan(p):
        return NOT_JUDGED, "the network has no loops"
    blank, shown = "\N{NO-BREAK SPACE}", p_value(p)
    step = STEPS[sum(p < bound for bound in DISAGREE)]
    return step, f"{what}: p{blank}{shown if shown[0] in '<>' else f'={blank}{shown}'}"


def absolute_risk(measure: str, baseline: float, te: float) -> float:
    """Compute the risk with the treatment from the risk with the reference and te (log OR, log RR, log HR or RD)."""
    if measure == "OR":
        odds = baseline / (1 - baseline) * np.exp(te)
        return float(odds / (1 + odds))
    if measure in ("RR", "HR"):
        risk = baseline * np.exp(te) if measure == "RR" else 1 - (1 - baseline) ** np.exp(te)
        return float(np.clip(risk, 0, 1))
    if measure == "RD":
        return float(np.clip(baseline + te, 0, 1))
    raise ValueError(f"measure {measure!r} gives no risk; expected OR, RR, HR or RD")
