"""Sensitivity of the network to single studies and to small studies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from psps_paper.network.inconsistency import split_evidence
from psps_paper.network.model import METHODS, NetworkFit, check_fit, fit_network, subnetworks
from psps_paper.network.orientation import orient


def leave_one_study_out(fit: NetworkFit) -> pd.DataFrame:
    """Refit the network without each study in turn.

    Parameters
    ----------
    fit : NetworkFit
        Refits use its contrasts, estimator of tau2, level and correlation.

    Returns
    -------
    DataFrame
        One row per omitted study and pair of treatments (te: treat1 minus treat2, treat1 first in
        sorted order): ``left_out, treat1, treat2, te, se, lower, upper, tau2, q, df_q, i2, note``.
        Pairs that the other studies cannot compare are NaN, and ``note`` gives the reason.

    Source: Viechtbauer & Cheung 2010 for pairwise meta-analysis.
    """
    check_fit(fit)
    if fit.method == "pooled":
        raise ValueError("a network from pooled contrasts has no studies; expected a fit of fit_network")
    tau2 = fit.method if fit.method in METHODS else fit.tau2
    first, second = np.triu_indices(len(fit.treatments), 1)
    pairs = [(fit.treatments[i], fit.treatments[j]) for i, j in zip(first, second, strict=True)]
    label = fit.contrasts["study"].astype(str)
    tables = []
    for study in sorted(label.unique()):
        rest = fit.contrasts[label != study]
        table = pd.DataFrame(pairs, columns=["treat1", "treat2"])
        table.insert(0, "left_out", study)
        tables.append(table.assign(**_refit(fit, rest, tau2, pairs)))
    return pd.concat(tables, ignore_index=True)


def _refit(fit: NetworkFit, rest: pd.DataFrame, tau2: str | float, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    matrices, numbers = ["te", "se", "lower", "upper"], ["tau2", "q", "df_q", "i2"]
    parts = subnetworks(rest) if len(rest) else []
    if len(parts) != 1:
        note = f"network falls apart: {'; '.join(str(sorted(part)) for part in parts)}" if parts else "no study left"
        return dict.fromkeys(matrices + numbers, np.nan) | {"note": note}
    refit = fit_network(rest, tau2, fit.level, fit.correlation, loop_tolerance=fit.loop_tolerance)
    lost = sorted(set(fit.treatments) - parts[0])
    values: dict[str, Any] = {
        name: [np.nan if lost and {a, b} & set(lost) else getattr(refit, name).at[a, b] for a, b in pairs]
        for name in matrices
    }
    notes = [f"not compared: {', '.join(lost)}" if {a, b} & set(lost) else "" for a, b in pairs]
    return values | {name: getattr(refit, name) for name in numbers} | {"note": notes}


def comparison_adjusted_funnel(fit: NetworkFit, order: Sequence[str]) -> pd.DataFrame:
    """Compute the data of a comparison-adjusted funnel plot.

    Parameters
    ----------
    fit : NetworkFit
    order : sequence of str
        All treatments, in an order along which small-study effects are expected to have one direction, for
        example the newest first; each contrast is reversed where needed so that treat1 comes first
        in it. Without such an order the plot cannot be interpreted.

    Returns
    -------
    DataFrame [study, treat1, treat2, te, se, centre, te_adjusted]
        ``centre`` is the direct estimate of the comparison (random effects, the network's tau2),
        and ``te_adjusted`` is te minus ``centre``. The plot has ``te_adjusted`` on the horizontal axis and
        se on the vertical one; both columns can be passed to an Egger test.

    Raises
    ------
    ValueError
        ``order`` is not a permutation of the treatments.

    Source: Chaimani & Salanti 2012.
    """
    check_fit(fit)
    order = [] if order is None else list(order)
    if sorted(order) != fit.treatments:
        raise ValueError(f"order={order}: expected each of {fit.treatments} once")
    direct = split_evidence(fit).set_index(["treat1", "treat2"])["direct_te"]
    rows = fit.contrasts[["study", "treat1", "treat2", "te", "se"]].astype({"treat1": str, "treat2": str})
    rows = orient(rows, order)
    centre = [
        direct[a, b] if (a, b) in direct.index else -direct[b, a]
        for a, b in zip(rows["treat1"], rows["treat2"], strict=True)
    ]
    return rows.assign(centre=centre, te_adjusted=rows["te"] - centre)
