"""Meta-analyses of many data sets at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd
import scipy

from psps_paper.effects.checks import LARGEST_RATIO, choice, numbers, one_number, require
from psps_paper.network.heterogeneity import i_squared, least_squares, p_of_q, tau2_dl
from psps_paper.network.results import Result, as_text
from psps_paper.network.tau2_search import Tau2Maxima, tau2_maxima
from psps_paper.pairwise.random_effects import PredictionDf, Tau2Method, critical_value

# Newton's method for Paule and Mandel's equation stops at this relative change.
PRECISION = 1e-14
MAX_STEPS = 200


@dataclass(frozen=True, eq=False)
class PairwiseFits(Result):
    """Results of B meta-analyses as arrays [B]; see :class:`PairwiseFit`.

    Attributes
    ----------
    te, se, lower, upper, p, te_common, se_common, tau2, q, p_q, i2, i2_lower, i2_upper : ndarray [B]
    predict_lower, predict_upper : ndarray [B]
    weights : ndarray [B x k]
    k, df_q : int
    prediction_df : float
    maxima : Tau2Maxima or None
        Under REML and ML, all local maxima of the likelihood, the highest of each data set first;
        log-likelihoods are up to a constant of the data set.
    """

    k: int
    te: np.ndarray
    se: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    p: np.ndarray
    te_common: np.ndarray
    se_common: np.ndarray
    tau2: np.ndarray
    q: np.ndarray
    df_q: int
    p_q: np.ndarray
    i2: np.ndarray
    i2_lower: np.ndarray
    i2_upper: np.ndarray
    predict_lower: np.ndarray
    predict_upper: np.ndarray
    prediction_df: float
    weights: np.ndarray
    maxima: Tau2Maxima | None

    def to_frame(self) -> pd.DataFrame:
        """Return one row per data set: te, se, lower, upper, p, tau2, q, p_q, i2, predict_lower, predict_upper."""
        names = ("te", "se", "lower", "upper", "p", "tau2", "q", "p_q", "i2", "predict_lower", "predict_upper")
        return pd.DataFrame({name: getattr(self, name) for name in names})

    def summary(self) -> str:
        """Format quantiles of the columns of :meth:`to_frame` as text."""
        quantiles = self.to_frame().quantile([0, 0.25, 0.5, 0.75, 1])
        return (
            f"{len(self.te)} meta-analyses of {self.k} studies, quantiles:\n{quantiles.to_string(float_format=as_text)}"
        )


def meta_analyses(
    te,
    se,
    tau2: Tau2Method | float = "DL",
    *,
    hartung_knapp: bool = False,
    prediction_df: PredictionDf = "k-2",
    level: float = 0.95,
) -> PairwiseFits:
    """Pool B data sets of k studies each, with the results of a loop over meta_analysis but much faster.

    Parameters
    ----------
    te, se : array [B x k]
        As in :func:`meta_analysis`; an array [k] applies to all data sets. No value may be missing.
    tau2, hartung_knapp, prediction_df, level
        As in :func:`meta_analysis`; ``tau2`` may also be an array [B] of values.

    Returns
    -------
    PairwiseFits

    Raises
    ------
    ValueError
        As :func:`meta_analysis`; an invalid number is named by its position in the flattened array.

    Source: as :func:`meta_analysis`.  Checked against: a loop over it (tests).

    Examples
    --------
    >>> fits = meta_analyses([[0.1, 0.3, 0.5], [0.2, 0.2, 0.2]], [0.1, 0.1, 0.1])
    >>> fits.te.round(3).tolist(), fits.tau2.round(3).tolist()
    ([0.3, 0.2], [0.03, 0.0])
    """
    te, se = _data_sets(te, se, at_least=2 if hartung_knapp else 1)
    choice(prediction_df, "prediction_df", get_args(PredictionDf))
    k, df = te.shape[1], te.shape[1] - 1
    between, maxima = _tau2(te, se**2, tau2)
    te_common, se_common, q, _ = _pool(te, se**2)
    mean, standard_error, q_random, weights = _pool(te, se**2 + between[:, None])
    if hartung_knapp:
        standard_error = standard_error * np.sqrt(q_random / df)
    df_test = df if hartung_knapp else np.inf
    reach = critical_value(level, df_test) * standard_error
    new_df = {"k-2": k - 2, "k-1": k - 1, "normal": np.inf}[prediction_df]
    new_reach = np.full(len(te), np.nan)
    if new_df > 0:
        new_reach = critical_value(level, new_df) * np.sqrt(between + standard_error**2)
    i2, i2_lower, i2_upper = i_squared(q, df, level)
    with np.errstate(divide="ignore", invalid="ignore"):
        tail = -np.abs(mean / standard_error)
    p = 2 * (scipy.special.stdtr(df, tail) if hartung_knapp else scipy.special.ndtr(tail))
    return PairwiseFits(
        k=k,
        te=mean,
        se=standard_error,
        lower=mean - reach,
        upper=mean + reach,
        p=p,
        te_common=te_common,
        se_common=se_common,
        tau2=between,
        q=q,
        df_q=df,
        p_q=p_of_q(q, df),
        i2=i2,
        i2_lower=i2_lower,
        i2_upper=i2_upper,
        predict_lower=mean - new_reach,
        predict_upper=mean + new_reach,
        prediction_df=new_df,
        weights=weights,
        maxima=maxima,
    )


def _data_sets(te, se, *, at_least: int) -> tuple[np.ndarray, np.ndarray]:
    """Check te and se and return them as arrays [B x k]."""
    te, se = numbers({"te": "finite", "se": "positive"}, {"te": te, "se": se}, source="data sets")
    te, se = np.atleast_2d(te), np.atleast_2d(se)
    if te.ndim != 2 or te.shape[1] < at_least or not len(te):
        raise ValueError(f"te and se: shape {te.shape} is not [B x k] with k at least {at_least}")
    smallest = se.min(axis=1, keepdims=True)
    most = f"at most {LARGEST_RATIO:g} times the smallest of its data set"
    require(se <= LARGEST_RATIO * smallest, se, "se", most, source="data sets")
    return te, se


def _pool(te: np.ndarray, total: np.ndarray) -> tuple[np.ndarray, ...]:
    """Compute weighted means, standard errors, weighted sums of squares [B], and weights with sum 1 [B x k]."""
    w = 1 / total
    sums = w.sum(axis=1)
    mean = (w * te).sum(axis=1) / sums
    return mean, 1 / np.sqrt(sums), (w * (te - mean[:, None]) ** 2).sum(axis=1), w / sums[:, None]


def _tau2(te: np.ndarray, v: np.ndarray, tau2: Tau2Method | float | np.ndarray) -> tuple[np.ndarray, Tau2Maxima | None]:
    n_sets, k = te.shape
    if not isinstance(tau2, str):
        if np.ndim(tau2) == 0:
            tau2 = one_number(tau2, "tau2", "not negative")
        (values,) = numbers({"tau2": "not negative"}, {"tau2": tau2}, source="data sets")
        if values.shape not in ((), (n_sets,)):
            raise ValueError(f"tau2: shape {values.shape} is not ({n_sets},), one value per data set")
        return np.broadcast_to(values, n_sets).copy(), None
    choice(tau2, "tau2", get_args(Tau2Method))
    if k == 1:
        return np.zeros(n_sets), None
    if tau2 in ("REML", "ML"):
        maxima = tau2_maxima(np.ones((k, 1)), te, v, restricted=tau2 == "REML")
        return maxima.tau2[maxima.first], maxima
    if tau2 == "DL":
        x = np.ones((k, 1))
        return tau2_dl(x, least_squares(x, te, v, np.zeros(n_sets)), k - 1), None
    if tau2 == "HE":
        return np.maximum(0.0, te.var(axis=1, ddof=1) - v.mean(axis=1)), None
    if tau2 == "PM":
        return _paule_mandel(te, v), None
    start = te.var(axis=1)
    scaled = v / np.where(start > 0, start, 1.0)[:, None] + 1
    return np.where(start > 0, _pool(te, scaled)[2] / (k - 1), 0.0), None


def _paule_mandel(te: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Find the tau2 at which the generalised Q, convex and decreasing, is k - 1, by Newton steps from 0 upwards."""
    df = te.shape[1] - 1
    tau2 = np.zeros(len(te))
    active = np.flatnonzero(_pool(te, v)[2] > df)
    for _ in range(MAX_STEPS):
        if active.size == 0:
            break
        total = v[active] + tau2[active, None]
        mean, _, q, _ = _pool(te[active], total)
        slope = ((te[active] - mean[:, None]) ** 2 / total**2).sum(axis=1)
        step = (q - df) / slope
        tau2[active] += step
        active = active[step > PRECISION * tau2[active]]
    return tau2
