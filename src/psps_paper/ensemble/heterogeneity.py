"""tau2, which is not printed: two routes to it, and the prediction intervals that follow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy

from psps_paper.ensemble.model import Assumptions, Evidence, draw_allocation, published_evidence
from psps_paper.recover.contrasts import recover_contrasts

CONVENTIONS = (
    Assumptions("independent groups", 0.0, "DL"),
    Assumptions("change score", 0.0, "DL"),
    Assumptions("paired", 0.75, "DL"),
    Assumptions("paired", 0.9, "DL"),
)


def _tau2_of_se(variances: np.ndarray, se: float) -> float:
    """tau2 at which estimates with these variances pool to this SE; NaN if even tau2 = 0 gives a larger one."""

    def gap(tau2):
        return (1 / (variances + tau2)).sum() - 1 / se**2

    return float(scipy.optimize.brentq(gap, 0.0, 100.0)) if gap(0.0) > 0 else np.nan


def tau2_routes(
    evidence: Evidence | None = None,
    conventions: Sequence[Assumptions] = CONVENTIONS,
    *,
    draws: int = 2000,
    seed: int = 20250305,
) -> pd.DataFrame:
    """Range of tau2 by two independent routes, under each SE convention.

    Route 1: the pooled SE of a comparison whose studies are few, with their public sample sizes (parallel
    trials, so that the convention does not matter). Route 2: tau2 = (Q - df) / (typical precision), with Q from
    the printed I2 and the precision from sample sizes of all studies, drawn over their ranges and allocations;
    it is the DL value. Variances are taken at the pooled te; larger effects would have larger variances.

    Returns
    -------
    pandas.DataFrame
        ``route, basis, convention, correlation, low, high``; NaN ends where the SEs are too small for any tau2.

    Source: inverse of the random-effects variance; DerSimonian & Laird 1986; Higgins & Thompson 2002.
    """
    evidence = published_evidence() if evidence is None else evidence
    studies, edges = evidence.studies, evidence.edges
    recovered = recover_contrasts(evidence.printed, edges, desirable=evidence.desirable)
    bounds, centre = recovered.bounds[recovered.bounds["edge"]].reset_index(drop=True), recovered.solution["te"]
    rows = []
    for k, edge in enumerate(edges.itertuples()):
        mine = studies[studies["comparison"] == k]
        if mine["crossover"].any() or (mine["most_estimates"].sum() != edge.estimates):
            continue  # not sparse: the split of estimates over studies, or the convention, is open
        a, b = 4.0, 0.5
        ends = []
        for sizes, se in (("n_low", bounds.loc[k, "se_low"]), ("n_high", bounds.loc[k, "se_high"])):
            variances = np.repeat((a + b * centre[k] ** 2) / mine[sizes].to_numpy(), mine["most_estimates"])
            ends.append(_tau2_of_se(variances, se))
        basis = f"{edge.treat1} versus {edge.treat2}: {int(edge.estimates)} estimates"
        rows.append({"route": "pooled SE and sample sizes", "basis": basis, "low": ends[0], "high": ends[1]})
    rng = np.random.default_rng(seed)
    study = np.array([draw_allocation(evidence, rng) for _ in range(draws)])
    low, span = studies["n_low"].to_numpy(), (studies["n_high"] - studies["n_low"]).to_numpy()
    # ends of the sample-size ranges as well as their inside
    n = low + span * np.clip(rng.uniform(-0.5, 1.5, (draws, len(studies))), 0, 1)
    one_hot = np.eye(len(edges))[evidence.estimates]
    q_low, q_high = evidence.q_range
    for assumptions in conventions:
        a, b = assumptions.coefficients(studies["crossover"].to_numpy())
        v = (a[study] + b[study] * centre.to_numpy()[evidence.estimates] ** 2) / np.take_along_axis(n, study, axis=1)
        u = 1 / v
        room = (u @ one_hot - (u**2) @ one_hot / (u @ one_hot)).sum(axis=1)
        rows.append(
            {
                "route": "I2 and sample sizes", "basis": f"all {len(evidence.estimates)} estimates",
                "convention": assumptions.convention,
                "correlation": assumptions.correlation if assumptions.convention == "paired" else np.nan,
                "low": (q_low - evidence.df) / room.max(), "high": (q_high - evidence.df) / room.min(),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)[["route", "basis", "convention", "correlation", "low", "high"]]


def implied_prediction_intervals(
    tau2_low: float, tau2_high: float, evidence: Evidence | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Prediction intervals that the recovered contrasts allow for a range of tau2.

    Returns
    -------
    pandas.DataFrame
        One row a pair: ``treat1, treat2``; ``narrow_lower, narrow_upper`` (smallest SE and tau2, central te) and
        ``wide_lower, wide_upper`` (largest, te at either end). df = df of Q - 1.

    Source: Riley, Higgins & Deeks 2011, BMJ 342:d549; df as in netmeta 2.8-2.
    """
    if not 0 <= tau2_low <= tau2_high:
        raise ValueError(f"tau2_low={tau2_low}, tau2_high={tau2_high}: expected 0 <= tau2_low <= tau2_high")
    evidence = published_evidence() if evidence is None else evidence
    bounds = recover_contrasts(evidence.printed, evidence.edges, desirable=evidence.desirable).bounds
    quantile = float(scipy.special.stdtrit(evidence.df - 1, (1 + level) / 2))
    narrow = quantile * np.sqrt(bounds["se_low"] ** 2 + tau2_low)
    wide = quantile * np.sqrt(bounds["se_high"] ** 2 + tau2_high)
    centre = (bounds["te_low"] + bounds["te_high"]) / 2
    return bounds[["treat1", "treat2"]].assign(
        narrow_lower=centre - narrow, narrow_upper=centre + narrow,
        wide_lower=bounds["te_low"] - wide, wide_upper=bounds["te_high"] + wide,
    )  # fmt: skip
