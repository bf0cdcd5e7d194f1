"""Two routes to the unpublished tau2, and the prediction intervals that follow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy

from psps_paper.ensemble.model import CAPS, PublishedResults, published_results
from psps_paper.ensemble.proofs import (
    allocations,
    largest_estimate,
    printed_contrast,
    tau2_by_standard_error,
    typical_precision,
)
from psps_paper.recover.contrasts import recover_contrasts

CORRELATIONS = (None, 0.5, 0.75, 0.9)  # between the periods of crossover trials; None: they enter as two groups


def tau2_routes(
    evidence: PublishedResults | None = None,
    *,
    caps: Sequence[float] = CAPS,
    correlations: Sequence[float | None] = CORRELATIONS,
) -> pd.DataFrame:
    """Bound tau2 by two routes; the true value lies within the bounds if the stated conditions hold.

    Route 1: the pooled SE of a comparison of parallel trials, with their public sample sizes, by any estimator
    (:func:`psps_paper.ensemble.proofs.tau2_by_standard_error`; the largest possible SMD there is proved too). The
    number of estimates of each trial is not printed, so each allocation has a row, and their union has one. Route 2:
    tau2 = (Q - df) / C by DerSimonian-Laird, with Q from the printed I2 and bounds of C from the sample sizes of all
    trials, over every allocation. The routes are not independent: both use the same sample sizes and the same formula
    of the SE, so an error in these affects both.

    Returns
    -------
    pandas.DataFrame
        ``route, basis, spread, cap, correlation, low, high``: bounds if no SMD exceeds ``cap``, which is proved for
        route 1.

    Source: inverse of the random-effects variance; DerSimonian & Laird 1986; Higgins & Thompson 2002.
    """
    evidence = published_results() if evidence is None else evidence
    rows = []
    for k, edge in enumerate(evidence.edges.itertuples()):
        mine = evidence.studies["comparison"] == k
        printed = set(evidence.printed.loc[evidence.printed["quantity"] == "te", "treat2"])
        if edge.treat2 not in printed or evidence.studies.loc[mine, "crossover"].any():
            continue
        se = printed_contrast(evidence, edge.treat2)["se"]
        basis = f"{edge.treat1} versus {edge.treat2}: {int(edge.estimates)} estimates"
        cap, every = min(largest_estimate(evidence, k), max(caps)), allocations(evidence, k)
        ends = [tau2_by_standard_error(evidence, k, counts, cap, (se.low, se.high)) for counts in every]
        names = [" + ".join(map(str, counts)) for counts in every]
        for name, (low, high) in [
            *zip(names, ends, strict=True),
            ("any", (min(e[0] for e in ends), max(e[1] for e in ends))),
        ]:
            rows.append(
                {
                    "route": "pooled SE and sample sizes",
                    "basis": basis,
                    "spread": name,
                    "cap": cap,
                    "low": low,
                    "high": high,
                }
            )
    for cap in caps:
        for correlation in correlations:
            least, most = typical_precision(evidence, correlation, cap)
            rows.append(
                {
                    "route": "I2 and sample sizes",
                    "basis": f"all {len(evidence.estimates)} estimates",
                    "spread": "any",
                    "cap": cap,
                    "correlation": correlation,
                    "low": (evidence.q_range[0] - evidence.df) / most,
                    "high": (evidence.q_range[1] - evidence.df) / least,
                }
            )
    return pd.DataFrame(rows)[["route", "basis", "spread", "cap", "correlation", "low", "high"]]


def implied_prediction_intervals(
    tau2_low: float, tau2_high: float, evidence: PublishedResults | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Compute the prediction intervals that the recovered contrasts allow for a range of tau2.

    Returns
    -------
    pandas.DataFrame
        One row per pair: ``treat1, treat2``; ``narrow_lower, narrow_upper`` (smallest SE and tau2, central te) and
        ``wide_lower, wide_upper`` (largest SE and tau2, te at either end). The intervals use df of Q - 1.

    Source: Riley, Higgins & Deeks 2011, BMJ 342:d549; df as in netmeta 2.8-2.
    """
    if not 0 <= tau2_low <= tau2_high:
        raise ValueError(f"tau2_low={tau2_low}, tau2_high={tau2_high}: expected 0 <= tau2_low <= tau2_high")
    evidence = published_results() if evidence is None else evidence
    bounds = recover_contrasts(evidence.printed, evidence.edges, desirable=evidence.desirable).bounds
    quantile = float(scipy.special.stdtrit(evidence.df - 1, (1 + level) / 2))
    narrow = quantile * np.sqrt(bounds["se_low"] ** 2 + tau2_low)
    wide = quantile * np.sqrt(bounds["se_high"] ** 2 + tau2_high)
    centre = (bounds["te_low"] + bounds["te_high"]) / 2
    return bounds[["treat1", "treat2"]].assign(
        narrow_lower=centre - narrow,
        narrow_upper=centre + narrow,
        wide_lower=bounds["te_low"] - wide,
        wide_upper=bounds["te_high"] + wide,
    )
