"""Frequentist network meta-analysis on contrasts: what a fit holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

Desirable = Literal["lower", "higher"]


@dataclass(frozen=True, eq=False)
class NetworkFit:
    """Result of a network meta-analysis.

    Every DataFrame ``[treatment x treatment]`` is row minus column, in the unit of the input;
    its diagonal is zero.

    Attributes
    ----------
    treatments : list of str
        Sorted; the first is the reference of ``cov``.
    te, se, lower, upper : DataFrame [treatment x treatment]
        Random-effects estimates, standard errors and limits of the normal confidence interval.
    predict_lower, predict_upper : DataFrame [treatment x treatment]
        Limits of the prediction interval, t distribution with ``df_predict`` degrees of freedom.
    te_common, se_common : DataFrame [treatment x treatment]
        Common-effect estimates (tau2 = 0).
    cov, cov_common : DataFrame [treatment x treatment]
        Covariance of the effects relative to the reference; the reference's row and column are zero.
    tau2 : float
        Between-study variance of every contrast, by ``method``.
    method : str
        "DL", "REML", "ML", "fixed" or "pooled".
    q, df_q, p_q : float
        Generalised Cochran Q of the common-effect model.
    i2, i2_lower, i2_upper : float
        Fractions in [0, 1].
    df_predict : float
        Degrees of freedom of the prediction interval; NaN where it is undefined.
    log_likelihood : float
        Of the contrasts with the study's first arm as baseline; restricted (without the constant
        ``log|X'X| / 2``) under REML; NaN for a pooled network.
    level : float
        Of all intervals.
    correlation : float or None
        Within-study correlation given to several estimates of one comparison.
    n_studies, n_contrasts : int
        Used in the fit.
    contrasts, excluded : DataFrame
        Rows of the input that were used; rows that were not, with column ``reason``.
    """

    treatments: list[str]
    te: pd.DataFrame
    se: pd.DataFrame
    lower: pd.DataFrame
    upper: pd.DataFrame
    predict_lower: pd.DataFrame
    predict_upper: pd.DataFrame
    te_common: pd.DataFrame
    se_common: pd.DataFrame
    cov: pd.DataFrame
    cov_common: pd.DataFrame
    tau2: float
    method: str
    q: float
    df_q: float
    p_q: float
    i2: float
    i2_lower: float
    i2_upper: float
    df_predict: float
    log_likelihood: float
    level: float
    correlation: float | None
    n_studies: int
    n_contrasts: int
    contrasts: pd.DataFrame
    excluded: pd.DataFrame

    @property
    def tau(self) -> float:
        """Square root of ``tau2``."""
        return float(np.sqrt(self.tau2))


def square(values: np.ndarray, treatments: list[str]) -> pd.DataFrame:
    """Label a [treatment x treatment] array."""
    return pd.DataFrame(values, index=treatments, columns=treatments)


def differences(effects: np.ndarray, cov: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All differences of treatment effects, row minus column, and their standard errors.

    Parameters
    ----------
    effects : ndarray, shape (..., n)
    cov : ndarray, shape (..., n, n)

    Returns
    -------
    te, se : ndarray, shape (..., n, n)
    """
    te = effects[..., :, None] - effects[..., None, :]
    diagonal = np.diagonal(cov, axis1=-2, axis2=-1)
    variance = diagonal[..., :, None] + diagonal[..., None, :] - 2 * cov
    return te, np.sqrt(np.maximum(variance, 0.0))


def interval(
    te: np.ndarray, se: np.ndarray, level: float, df: float = np.inf
) -> tuple[np.ndarray, np.ndarray]:
    """Two-sided limits, normal or with ``df`` degrees of freedom of t; NaN where df is not positive."""
    quantile = stats.norm.ppf((1 + level) / 2) if np.isinf(df) else np.nan
    if np.isfinite(df) and df > 0:
        quantile = stats.t.ppf((1 + level) / 2, df)
    return te - quantile * se, te + quantile * se
