"""Subgroup analysis: pooled effects by group, and the test of their difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from psps_paper.network.heterogeneity import p_of_q
from psps_paper.pairwise.between_variance import RegressionTau2, tau2_of_regression
from psps_paper.pairwise.random_effects import PairwiseFit, meta_analysis, study_estimates
from psps_paper.pairwise.results import Result, as_text


@dataclass(frozen=True, eq=False)
class SubgroupAnalysis(Result):
    """Result of :func:`subgroup_analysis`.

    Attributes
    ----------
    groups : DataFrame [group x te, se, lower, upper, tau2, k, ...]
        Random effects, in order of appearance; also ``te_common, se_common, q, p_q, i2`` and the prediction
        interval ``predict_lower, predict_upper`` (classical standard error, t with k - 2 degrees of freedom).
        A group of one study has no tau2 (NaN) unless it is common.
    q_between, df_between, p_between : float
        Test that the random-effects means of the groups are equal, chi-squared.
    q_between_common, p_between_common, q_within : float
        The same for common effects, and Q summed over groups.
    tau2_within : float
        The common tau2; NaN if each group has its own.
    tau2_method : str
    common_tau2, hartung_knapp : bool
    overall : PairwiseFit
        All studies pooled without groups.
    """

    groups: pd.DataFrame
    q_between: float
    df_between: int
    p_between: float
    q_between_common: float
    p_between_common: float
    q_within: float
    tau2_within: float
    tau2_method: str
    common_tau2: bool
    hartung_knapp: bool
    overall: PairwiseFit

    def to_frame(self) -> pd.DataFrame:
        """Return the groups."""
        return self.groups

    def summary(self) -> str:
        """Format the groups and the test of their difference as text."""
        tau2 = f"one tau2 for all, {as_text(self.tau2_within)}" if self.common_tau2 else "each its own tau2"
        return "\n".join(
            [
                f"Subgroups of {int(self.groups['k'].sum())} studies ({self.tau2_method}; {tau2})",
                "",
                self.groups.to_string(float_format=as_text),
                "",
                f"Between groups: Q = {as_text(self.q_between)}, df {self.df_between}, p {as_text(self.p_between)}",
            ]
        )


def subgroup_analysis(
    te,
    se,
    by: Sequence,
    tau2: RegressionTau2 = "REML",
    common_tau2: bool = False,
    *,
    hartung_knapp: bool = False,
    level: float = 0.95,
) -> SubgroupAnalysis:
    """Pool each group of studies and test whether the groups differ.

    Parameters
    ----------
    te, se : array (k,)
    by : sequence (k,)
        Label of each study's group, none missing.
    tau2 : {"REML", "DL", "ML", "PM", "SJ", "HE"}
        Estimator in each group; with ``common_tau2`` also "EB", "HS" and "FE", from the model with one mean per
        group.
    common_tau2 : bool
        Use one tau2 for all groups: more stable if groups are small, appropriate if their heterogeneity is similar.
    hartung_knapp : bool
        Standard errors and t intervals of Hartung and Knapp in each group; a group of one study keeps the
        classical ones.
    level : float

    Returns
    -------
    SubgroupAnalysis

    Raises
    ------
    ValueError

    Source: Borenstein 2009, chapter 19; Hartung & Knapp 2001.
    Checked against: meta 6.2-1 metagen(subgroup = ..., tau.common = ...).

    Examples
    --------
    >>> fit = subgroup_analysis([0.1, 0.3, 0.8, 1.0], [0.1, 0.1, 0.1, 0.1], ["a", "a", "b", "b"])
    >>> fit.groups["te"].round(2).tolist(), round(fit.q_between, 1)
    ([0.2, 0.9], 24.5)
    """
    te, se = study_estimates(te, se)
    labels = np.asarray(by, object)
    if labels.shape != te.shape:
        raise ValueError(f"by: {labels.size} labels for {len(te)} studies")
    codes, names = pd.factorize(labels)
    if (codes < 0).any():
        raise ValueError(f"by, row {int(np.flatnonzero(codes < 0)[0])}: the label is missing")
    within = _common_tau2(te, se, codes, tau2) if common_tau2 else np.nan
    rows = []
    for code, name in enumerate(names):
        mine = codes == code
        between = within if common_tau2 else tau2
        rows.append(_row(te[mine], se[mine], between, hartung_knapp, level, name, common_tau2))
    groups = pd.DataFrame(rows, index=pd.Index(names, name="group"))
    q_between = _weighted_squares(groups["te"], groups["se"])
    q_common = _weighted_squares(groups["te_common"], groups["se_common"])
    df = len(names) - 1
    return SubgroupAnalysis(
        groups=groups,
        q_between=q_between,
        df_between=df,
        p_between=_p_of_q(q_between, df),
        q_between_common=q_common,
        p_between_common=_p_of_q(q_common, df),
        q_within=float(groups["q"].sum()),
        tau2_within=within,
        tau2_method=str(tau2),
        common_tau2=common_tau2,
        hartung_knapp=hartung_knapp,
        overall=_overall(te, se, tau2, hartung_knapp and len(te) > 1, level),
    )


def _overall(te, se, tau2: RegressionTau2, hartung_knapp: bool, level: float) -> PairwiseFit:
    """Pool all studies as one group; tau2 is estimated first if :func:`meta_analysis` does not offer the estimator."""
    if tau2 == "EB" or tau2 == "HS" or tau2 == "FE":
        one_mean = np.full((len(te), 1), len(te) ** -0.5)
        value = tau2_of_regression(one_mean, te, se**2, tau2).tau2
        fit = meta_analysis(te, se, value, hartung_knapp=hartung_knapp, level=level)
        return replace(fit, tau2_method=tau2)
    return meta_analysis(te, se, tau2, hartung_knapp=hartung_knapp, level=level)


def _common_tau2(te: np.ndarray, se: np.ndarray, codes: np.ndarray, method: str) -> float:
    size = np.bincount(codes)
    x = (codes[:, None] == np.arange(len(size))) / np.sqrt(size)
    return tau2_of_regression(x, te, se**2, method).tau2


def _row(te, se, tau2, hartung_knapp: bool, level: float, name, common_tau2: bool) -> dict[str, float]:
    classic = meta_analysis(te, se, tau2, level=level)
    fit = classic
    if hartung_knapp and len(te) > 1:
        fit = meta_analysis(te, se, tau2, hartung_knapp=True, level=level)
        if fit.se <= 1e-12 * classic.se:
            raise ValueError(f"by: all te of group {name} are equal, so Hartung-Knapp gives a standard error of 0")
    of_fit = {c: getattr(fit, c) for c in ("te", "se", "lower", "upper", "tau2", "k")}
    also = ("te_common", "se_common", "q", "p_q", "i2", "predict_lower", "predict_upper")
    row = of_fit | {c: getattr(classic, c) for c in also}
    return row if common_tau2 or fit.k > 1 else row | {"tau2": np.nan}


def _weighted_squares(te: pd.Series, se: pd.Series) -> float:
    """Compute the weighted sum of squares about the weighted mean."""
    w = se.to_numpy() ** -2.0
    return float((w * (te - (w * te).sum() / w.sum()) ** 2).sum())


def _p_of_q(q: float, df: int) -> float:
    return float(p_of_q(np.array([q]), df)[0])
