"""Common-effect and random-effects meta-analysis of independent studies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
import scipy

from psps_paper.effects.checks import LARGEST_RATIO, choice, numbers, one_number, require
from psps_paper.network.heterogeneity import UNEVEN, i_squared, least_squares, p_of_q, tau2_dl
from psps_paper.network.results import Result, as_text
from psps_paper.network.tau2_search import OneMean, Tau2Maximum, local_maxima

LOG_2PI = math.log(2 * math.pi)
Tau2Method = Literal["DL", "REML", "ML", "PM", "SJ", "HE"]
PredictionDf = Literal["k-2", "k-1", "normal"]


@dataclass(frozen=True, eq=False)
class PairwiseFit(Result):
    """Result of :func:`meta_analysis`.

    Attributes
    ----------
    k : int
        Number of studies.
    te, se, lower, upper, p : float
        Random-effects estimate, its interval and its two-sided p-value.
    te_common, se_common : float
        The same without between-study variance.
    tau2 : float
    tau2_method : str
        The estimator, or "fixed".
    hartung_knapp : bool
    level : float
    q, df_q, p_q : float
        Cochran's Q.
    i2, i2_lower, i2_upper : float
        (Q - df) / Q and its test-based interval, as fractions.
    i2_tau2 : float
        tau2 over tau2 plus the typical within-study variance, as a fraction; the I2 that metafor
        prints. Equal to ``i2`` under DL.
    predict_lower, predict_upper : float
        Interval for the effect in a new study.
    prediction_df : float
        Its degrees of freedom; infinite for "normal".
    weights : ndarray (k,)
        Random-effects weights, with sum 1.
    log_likelihood : float
        At ``tau2``, with all constants; restricted under REML.
    tau2_maxima : tuple of Tau2Maximum
        Under REML and ML, all local maxima of the likelihood, the highest (``tau2``) first; empty
        for other methods. A second maximum means that the data support two different values of tau2.
    """

    k: int
    te: float
    se: float
    lower: float
    upper: float
    p: float
    te_common: float
    se_common: float
    tau2: float
    tau2_method: str
    hartung_knapp: bool
    level: float
    q: float
    df_q: int
    p_q: float
    i2: float
    i2_lower: float
    i2_upper: float
    i2_tau2: float
    predict_lower: float
    predict_upper: float
    prediction_df: float
    weights: np.ndarray
    log_likelihood: float
    tau2_maxima: tuple[Tau2Maximum, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return common and random effects, then the prediction interval: model, te, se, lower, upper, p."""
        reach = critical_value(self.level) * self.se_common
        common = [self.te_common, self.se_common, self.te_common - reach, self.te_common + reach]
        rows = [
            ("common", *common, two_sided_p(self.te_common / self.se_common)),
            ("random", self.te, self.se, self.lower, self.upper, self.p),
            ("prediction", self.te, np.nan, self.predict_lower, self.predict_upper, np.nan),
        ]
        return pd.DataFrame(rows, columns=["model", "te", "se", "lower", "upper", "p"])

    def summary(self) -> str:
        """Format the number of studies, both models, heterogeneity and its test as text."""
        share = [f"{100 * x:.1f}%" for x in (self.i2, self.i2_lower, self.i2_upper)]
        method = f"{self.tau2_method}{', Hartung-Knapp' if self.hartung_knapp else ''}"
        table = self.to_frame().to_string(index=False, float_format=as_text, na_rep="")
        return "\n".join(
            [
                f"Studies {self.k}, {self.level:.0%} intervals",
                "",
                table,
                "",
                f"tau2 {as_text(self.tau2)} ({method}), I2 {share[0]} ({share[1]} to {share[2]})",
                f"Heterogeneity: Q = {as_text(self.q)}, df {self.df_q}, p {as_text(self.p_q)}",
            ]
        )


def study_estimates(te, se, *, at_least: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Check te and se and return them as float arrays (k,).

    Raises
    ------
    ValueError
        For a te that is not finite, an se that is not above 0, values whose powers exceed double
        precision (1e75, 1e-75, an se 1e5 times another), or fewer than ``at_least`` studies.
    """
    te, se = numbers({"te": "finite", "se": "positive"}, {"te": te, "se": se}, source="studies")
    te, se = np.atleast_1d(te), np.atleast_1d(se)
    if te.ndim != 1 or len(te) < at_least:
        raise ValueError(f"te and se: shape {te.shape} is not (k,) with k at least {at_least}")
    if se.size and se.max() > LARGEST_RATIO * se.min():
        most = f"at most {LARGEST_RATIO:g} times the smallest, {se.min():g}"
        require(se <= LARGEST_RATIO * se.min(), se, "se", most, source="studies")
    return te, se


def critical_value(level: float, df: float = np.inf) -> float:
    """Return the two-sided critical value of the t distribution, or of the normal for infinite df."""
    upper = (1 + one_number(level, "level", "level")) / 2
    return float(scipy.special.ndtri(upper) if np.isinf(df) else scipy.special.stdtrit(df, upper))


def two_sided_p(statistic: float, df: float = np.inf) -> float:
    """Return the two-sided p-value of a t statistic, or of a z statistic for infinite df."""
    lower = -abs(statistic)
    return float(2 * (scipy.special.ndtr(lower) if np.isinf(df) else scipy.special.stdtr(df, lower)))


def estimate_tau2(te, se, method: Tau2Method = "DL") -> float:
    """Estimate the between-study variance.

    Parameters
    ----------
    te, se : array (k,)
    method : {"DL", "REML", "ML", "PM", "SJ", "HE"}
        DerSimonian-Laird, restricted and full maximum likelihood, Paule-Mandel, Sidik-Jonkman
        (starting from the variance of te around its mean, divisor k) and Hedges.

    Returns
    -------
    float
        At least 0; 0 for one study. SJ is above 0 unless all te are equal. REML and ML give the
        global maximum of the likelihood, which can have several local ones.

    Source: DerSimonian & Laird 1986; Harville 1977; Paule & Mandel 1982; Sidik & Jonkman 2005;
    Hedges 1983. Reviewed in Veroniki 2016.  Checked against: metafor 3.8-1 rma().
    """
    te, se = study_estimates(te, se)
    choice(method, "tau2", get_args(Tau2Method))
    return _estimate_tau2(te, se, method)


def _estimate_tau2(te: np.ndarray, se: np.ndarray, method: str) -> float:
    k, v = len(te), se**2
    if k == 1:
        return 0.0
    if method == "PM":
        return _paule_mandel(te, v)
    if method == "HE":
        return max(0.0, float(te.var(ddof=1) - v.mean()))
    if method == "SJ":
        return _sidik_jonkman(te, v)
    if method == "DL":
        return _dersimonian_laird(te, v)
    return _likelihood_maxima(te, se, method)[0].tau2


def _dersimonian_laird(te: np.ndarray, v: np.ndarray) -> float:
    w = 1 / v
    if w.max() > UNEVEN * w.min():
        x, y, d = np.ones((len(te), 1)), te[None], v[None]
        return float(tau2_dl(x, least_squares(x, y, d, np.zeros(1)), len(te) - 1)[0])
    total = float(w.sum())
    return max(0.0, (_pool(te, v)[2] - (len(te) - 1)) / (total - float(w @ w) / total))


def _likelihood_maxima(te: np.ndarray, se: np.ndarray, method: str) -> tuple[Tau2Maximum, ...]:
    """Find all local maxima under REML or ML, the highest first."""
    restricted = method == "REML"
    if len(te) == 1:
        return (Tau2Maximum(0.0, log_likelihood(te, se, 0.0, restricted=restricted)),)
    found = local_maxima(OneMean(te[None], se[None] ** 2, restricted=restricted))
    heights = found.log_likelihood - found.log_likelihood[0]
    heights += log_likelihood(te, se, float(found.tau2[0]), restricted=restricted)
    return tuple(map(Tau2Maximum, found.tau2.tolist(), heights.tolist()))


def log_likelihood(te: np.ndarray, se: np.ndarray, tau2: float, *, restricted: bool) -> float:
    """Compute the log-likelihood of te ~ N(mean, se^2 + tau2) at the best mean, with metafor's constants."""
    k, total = len(te), se**2 + tau2
    _, standard_error, q = _pool(te, total)
    value = float(np.log(total).sum()) + q + k * LOG_2PI
    if restricted:
        value -= 2 * math.log(standard_error) + math.log(k) + LOG_2PI
    return -value / 2


def _pool(te: np.ndarray, total: np.ndarray) -> tuple[float, float, float]:
    """Compute the mean weighted by 1/total, its standard error, and the weighted sum of squares around it."""
    w = 1 / total
    sum_w = float(w.sum())
    mean = float((w * te).sum()) / sum_w
    residual = te - mean
    return mean, sum_w**-0.5, float((w * residual * residual).sum())


def _paule_mandel(te: np.ndarray, v: np.ndarray) -> float:
    """Find the tau2 at which the generalised Q equals its expectation k - 1."""
    df = len(te) - 1

    def excess(tau2: float) -> float:
        return _pool(te, v + tau2)[2] - df

    if excess(0.0) <= 0:
        return 0.0
    # At tau2 = the variance of te every weight is below 1 / variance, so Q is below k - 1.
    high = te.var(ddof=1)
    return float(scipy.optimize.brentq(excess, 0.0, high, xtol=1e-15 * high, rtol=1e-14))


def _sidik_jonkman(te: np.ndarray, v: np.ndarray) -> float:
    start = te.var()
    if start == 0:
        return 0.0
    return _pool(te, v / start + 1)[2] / (len(te) - 1)


def meta_analysis(
    te,
    se,
    tau2: Tau2Method | float = "DL",
    *,
    hartung_knapp: bool = False,
    prediction_df: PredictionDf = "k-2",
    level: float = 0.95,
) -> PairwiseFit:
    """Pool independent estimates of one comparison.

    Parameters
    ----------
    te, se : array (k,)
        Estimates, all in one direction and unit, and standard errors greater than 0.
    tau2 : {"DL", "REML", "ML", "PM", "SJ", "HE"} or float
        Estimator of the between-study variance (:func:`estimate_tau2`), or a value of at least 0.
    hartung_knapp : bool
        Use the standard error from the weighted residuals, and t with k - 1 degrees of freedom. The standard error
        is not truncated, so it can be smaller than the classical one.
    prediction_df : {"k-2", "k-1", "normal"}
        Degrees of freedom of the prediction interval te +- t sqrt(tau2 + se^2): k - 2 as in
        Riley 2011, k - 1, or the normal quantile as in metafor without Hartung-Knapp. The
        interval is NaN if no degrees of freedom are left.
    level : float
        Of all intervals.

    Returns
    -------
    PairwiseFit

    Raises
    ------
    ValueError
        For an invalid te, se, tau2, level or option, or Hartung-Knapp with one study.

    Source: DerSimonian & Laird 1986; Hartung & Knapp 2001; Riley 2011; Higgins & Thompson 2002.
    Checked against: metafor 3.8-1 rma() and predict().

    Examples
    --------
    >>> fit = meta_analysis([0.1, 0.3, 0.5], [0.1, 0.1, 0.1])
    >>> round(fit.te, 3), round(fit.se, 3), round(fit.tau2, 3)
    (0.3, 0.115, 0.03)
    """
    te, se = study_estimates(te, se, at_least=2 if hartung_knapp else 1)
    choice(prediction_df, "prediction_df", get_args(PredictionDf))
    method, between, maxima = _resolve_tau2(te, se, tau2)
    k, df = len(te), len(te) - 1
    te_common, se_common, q = _pool(te, se**2)
    total = se**2 + between
    mean, standard_error, q_random = _pool(te, total)
    if hartung_knapp:
        standard_error *= math.sqrt(q_random / df)
    precision = 1 / total
    height = maxima[0].log_likelihood if maxima else log_likelihood(te, se, between, restricted=False)
    df_test = df if hartung_knapp else np.inf
    reach = critical_value(level, df_test) * standard_error
    new_df = {"k-2": k - 2, "k-1": k - 1, "normal": np.inf}[prediction_df]
    new_reach = np.nan
    if new_df > 0:
        new_reach = critical_value(level, new_df) * math.sqrt(between + standard_error**2)
    i2, i2_lower, i2_upper = map(float, i_squared(q, df, level))
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = float(np.divide(mean, standard_error))
    return PairwiseFit(
        k=k,
        te=mean,
        se=float(standard_error),
        lower=mean - reach,
        upper=mean + reach,
        p=two_sided_p(statistic, df_test),
        te_common=te_common,
        se_common=se_common,
        tau2=between,
        tau2_method=method,
        hartung_knapp=hartung_knapp,
        level=level,
        q=q,
        df_q=df,
        p_q=float(p_of_q(np.array(q), df)),
        i2=i2,
        i2_lower=i2_lower,
        i2_upper=i2_upper,
        i2_tau2=between / (between + typical_variance(se)) if df else np.nan,
        predict_lower=mean - new_reach,
        predict_upper=mean + new_reach,
        prediction_df=new_df,
        weights=precision / precision.sum(),
        log_likelihood=height,
        tau2_maxima=maxima,
    )


def typical_variance(se) -> float:
    """Compute the typical within-study variance.

    Parameters
    ----------
    se : array (k,)
        Standard errors of at least two studies.

    Source: Higgins & Thompson 2002, eq. 9.
    """
    w = 1 / np.asarray(se, float) ** 2
    return float((len(w) - 1) * w.sum() / (w.sum() ** 2 - (w**2).sum()))


def _resolve_tau2(
    te: np.ndarray, se: np.ndarray, tau2: Tau2Method | float
) -> tuple[str, float, tuple[Tau2Maximum, ...]]:
    """Return method, value and, under REML and ML, all maxima of the likelihood."""
    if isinstance(tau2, str):
        if tau2 not in ("REML", "ML"):
            choice(tau2, "tau2", get_args(Tau2Method))
            return tau2, _estimate_tau2(te, se, tau2), ()
        maxima = _likelihood_maxima(te, se, tau2)
        return tau2, maxima[0].tau2, maxima
    return "fixed", one_number(tau2, "tau2", "not negative"), ()


def leave_one_out(te, se, labels: Sequence | None = None, **options) -> pd.DataFrame:
    """Repeat the meta-analysis without each study in turn.

    Parameters
    ----------
    te, se : array (k,)
        At least two studies.
    labels : sequence (k,), optional
        Study labels; by default positions from 0.
    **options
        Arguments of :func:`meta_analysis`.

    Returns
    -------
    DataFrame [left_out, te, se, lower, upper, tau2, q, i2]
        k rows, in the order given.
    """
    te, se = study_estimates(te, se, at_least=2)
    labels = range(len(te)) if labels is None else labels
    if len(labels) != len(te):
        raise ValueError(f"labels: {len(labels)} for {len(te)} studies")
    rows = []
    for position, label in enumerate(labels):
        fit = meta_analysis(np.delete(te, position), np.delete(se, position), **options)
        columns = ("te", "se", "lower", "upper", "tau2", "q", "i2")
        rows.append({"left_out": label} | {c: getattr(fit, c) for c in columns})
    return pd.DataFrame(rows)
