"""Meta-analysis of few studies: intervals for the mean, for a new study and for tau2, and a comparison of methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np
import pandas as pd
import scipy

from psps_paper.effects.checks import choice
from psps_paper.pairwise.between_variance import RegressionTau2, fit_at, full_log_likelihood, tau2_of_regression
from psps_paper.pairwise.quadratic_forms import upper_tail
from psps_paper.pairwise.random_effects import critical_value, study_estimates, typical_variance
from psps_paper.pairwise.results import Result, interval

MeanInterval = Literal["classic", "hartung-knapp", "kenward-roger"]
AdHoc = Literal["none", "se", "ci", "IQWiG6"]
Prediction = Literal["HTS", "HK", "KR", "S"]
Tau2Interval = Literal["QP", "BJ", "J", "PL"]


@dataclass(frozen=True, eq=False)
class SmallSampleFit(Result):
    """Result of :func:`small_sample_meta_analysis`.

    Attributes
    ----------
    te, se, lower, upper, p, df : float
        The mean and its interval; df is infinite for the normal quantile.
    tau2, se_tau2 : float
    tau2_method, method, ad_hoc, prediction : str
    se_classic, se_hartung_knapp, se_kenward_roger, df_kenward_roger : float
        Values by each method; Kenward-Roger is NaN unless tau2 is by REML.
    predict_lower, predict_upper, df_predict, se_predict : float
        NaN if no degrees of freedom are left.
    q, df_q : float
    h, rb : float
        Square root of Q over its degrees of freedom, at least 1; mean proportion of tau2 in each study's variance.
    k : int
    level : float
    """

    te: float
    se: float
    lower: float
    upper: float
    p: float
    df: float
    tau2: float
    se_tau2: float
    tau2_method: str
    method: str
    ad_hoc: str
    prediction: str
    se_classic: float
    se_hartung_knapp: float
    se_kenward_roger: float
    df_kenward_roger: float
    predict_lower: float
    predict_upper: float
    df_predict: float
    se_predict: float
    q: float
    df_q: int
    h: float
    rb: float
    k: int
    level: float

    @property
    def title(self) -> str:
        return f"Meta-analysis of {self.k} studies ({self.tau2_method}, {self.method}, ad hoc: {self.ad_hoc})"


@dataclass(frozen=True, eq=False)
class Tau2IntervalFit(Result):
    """Result of :func:`tau2_interval`.

    Attributes
    ----------
    tau2, lower, upper : float
        Between-study variance; an interval entirely below 0 is given as 0 to 0.
    method, tau2_method : str
    i2, i2_lower, i2_upper, h2, h2_lower, h2_upper : float
        tau2 over tau2 plus the typical variance, and 1 plus tau2 over it, at the same three values.
    level : float
    """

    tau2: float
    lower: float
    upper: float
    method: str
    tau2_method: str
    i2: float
    i2_lower: float
    i2_upper: float
    h2: float
    h2_lower: float
    h2_upper: float
    level: float

    @property
    def title(self) -> str:
        return f"Interval for tau2 ({self.method}), estimate by {self.tau2_method}"


@dataclass(frozen=True, eq=False)
class MethodComparison(Result):
    """Result of :func:`method_comparison`.

    Attributes
    ----------
    table : DataFrame
        One row per method: ``tau2_method, method, ad_hoc, te, se, lower, upper, p, tau2, predict_lower,
        predict_upper, excludes_zero, differs``.
    agree : bool
        Whether all methods agree on whether the interval excludes 0.
    """

    table: pd.DataFrame
    agree: bool

    @property
    def title(self) -> str:
        count = int(self.table["differs"].sum())
        if self.agree:
            return f"Which method changes the answer? None of {len(self.table)}."
        return f"Which method changes the answer? {count} of {len(self.table)} differ from the first row."

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table


def _studies(te, se, at_least: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    te, se = study_estimates(te, se, at_least=at_least)
    return te, se**2, np.full((len(te), 1), len(te) ** -0.5)


def kenward_roger(te, se, *, tau2: float | None = None) -> tuple[float, float]:
    """Compute Kenward and Roger's standard error and degrees of freedom of the REML mean.

    Parameters
    ----------
    te, se : array (k,)
        At least two studies.
    tau2 : float, optional
        The REML estimate, if already known.

    Returns
    -------
    se, df : float

    Source: Kenward & Roger 1997, expected information; Partlett & Riley 2017 for meta-analysis, with degrees of
    freedom from the adjusted variance.
    Checked against: meta 6.2-1 metagen(method.random.ci = "KR").
    """
    te, v, x = _studies(te, se, 2)
    tau2 = tau2_of_regression(x, te, v, "REML" if tau2 is None else tau2).tau2
    w = 1 / (v + tau2)
    w = w / (unit := w.max())  # otherwise powers of precisions overflow or underflow
    one, two, three = w.sum(), (w**2).sum(), (w**3).sum()
    information = (two - 2 * three / one + (two / one) ** 2) / 2
    adjusted = 1 / one + 2 / one**2 / information * (three - two**2 / one)
    return float(np.sqrt(adjusted / unit)), float(2 * information / (two * adjusted) ** 2)


def small_sample_meta_analysis(
    te,
    se,
    tau2: RegressionTau2 | float = "REML",
    method: MeanInterval = "hartung-knapp",
    *,
    ad_hoc: AdHoc = "none",
    prediction: Prediction | None = None,
    level: float = 0.95,
) -> SmallSampleFit:
    """Fit a random-effects meta-analysis with the intervals proposed for few studies.

    Parameters
    ----------
    te, se : array (k,)
        At least two studies.
    tau2 : str or float
        As in :func:`meta_regression`.
    method : {"classic", "hartung-knapp", "kenward-roger"}
        "kenward-roger" needs tau2 by REML.
    ad_hoc : {"none", "se", "ci", "IQWiG6"}
        Correction of Hartung-Knapp intervals that are too short. "se": use the larger of its and the classical
        standard error. "ci": use the wider of the two intervals. "IQWiG6": use the larger standard error only if the
        interval is narrower than the classical one with tau2 by DerSimonian and Laird.
    prediction : {"HTS", "HK", "KR", "S"}, optional
        Prediction interval te +- quantile sqrt(tau2 + se^2). "HTS": t with k - 2 degrees of freedom and the classical
        standard error. "HK": the same with the Hartung-Knapp standard error (the larger one under ``ad_hoc="se"``).
        "KR": Kenward-Roger with its df - 1. "S": normal and classical. The default is the one that suits ``method``.
    level : float

    Returns
    -------
    SmallSampleFit

    Raises
    ------
    ValueError

    Source: Hartung & Knapp 2001; Knapp & Hartung 2003; Röver, Knapp & Friede 2015; Wiksten 2016; Jackson 2017;
    IQWiG, General Methods 6.0; Higgins, Thompson & Spiegelhalter 2009; Partlett & Riley 2017; Skipka 2006.
    Checked against: meta 6.2-1 metagen(), metafor 3.8-1 rma(test = "knha", "adhoc").

    Examples
    --------
    >>> fit = small_sample_meta_analysis([-0.5, 0.1, 0.62], [0.18, 0.25, 0.3], ad_hoc="se")
    >>> round(fit.lower, 3), round(fit.upper, 3)
    (-1.361, 1.439)
    """
    prediction = _prediction(method, ad_hoc, prediction, tau2)
    te, v, x = _studies(te, se, 2)
    estimate = tau2_of_regression(x, te, v, tau2)
    k = len(te)
    mean, classic, knapp = _mean_with_errors(x, te, v, estimate.tau2)
    kr = kenward_roger(te, np.sqrt(v), tau2=estimate.tau2) if tau2 == "REML" else (np.nan, np.nan)
    chosen, df = {"classic": (classic, np.inf), "hartung-knapp": (knapp, k - 1.0), "kenward-roger": kr}[method]
    chosen, lower, upper, p, df = _ad_hoc(x, te, v, mean, classic, chosen, df, ad_hoc, level)
    if chosen <= 1e-9 * classic:
        raise ValueError("te: all are equal, so Hartung-Knapp gives a standard error of 0; use ad_hoc='se'")
    larger = max(classic, knapp) if ad_hoc == "se" else knapp
    new = {"HTS": (classic, k - 2), "HK": (larger, k - 2), "KR": (kr[0], kr[1] - 1), "S": (classic, np.inf)}
    se_new, df_new = new[prediction]
    spread = float(np.sqrt(estimate.tau2 + se_new**2))
    reach = critical_value(level, df_new) * spread if df_new > 0 else np.nan
    q = float(fit_at(x, te, v, 0.0).q[0])
    return SmallSampleFit(
        te=mean,
        se=chosen,
        lower=lower,
        upper=upper,
        p=p,
        df=df,
        tau2=estimate.tau2,
        se_tau2=estimate.se,
        tau2_method=tau2 if isinstance(tau2, str) else "given",
        method=method,
        ad_hoc=ad_hoc,
        prediction=prediction,
        se_classic=classic,
        se_hartung_knapp=knapp,
        se_kenward_roger=kr[0],
        df_kenward_roger=kr[1],
        predict_lower=mean - reach,
        predict_upper=mean + reach,
        df_predict=float(df_new),
        se_predict=spread if df_new > 0 else np.nan,
        q=q,
        df_q=k - 1,
        h=float(np.sqrt(max(1.0, q / (k - 1)))),
        rb=_tau2_proportion(te, v, estimate.tau2),
        k=k,
        level=level,
    )


def _prediction(
    method: MeanInterval, ad_hoc: AdHoc, prediction: Prediction | None, tau2: RegressionTau2 | float
) -> Prediction:
    """Choose the prediction interval that suits a method, after checking that the options are compatible."""
    choice(method, "method", get_args(MeanInterval))
    choice(ad_hoc, "ad_hoc", get_args(AdHoc))
    if ad_hoc != "none" and method != "hartung-knapp":
        raise ValueError(f"ad_hoc: {ad_hoc!r} is a correction of Hartung-Knapp, but method is {method!r}")
    default: dict[MeanInterval, Prediction] = {"classic": "HTS", "hartung-knapp": "HK", "kenward-roger": "KR"}
    prediction = default[method] if prediction is None else prediction
    choice(prediction, "prediction", get_args(Prediction))
    if tau2 != "REML" and (prediction == "KR" or method == "kenward-roger"):
        raise ValueError(f"tau2: Kenward-Roger is defined for REML, not for {tau2!r}")
    return prediction


def _mean_with_errors(x, te, v, tau2: float) -> tuple[float, float, float]:
    """Compute the mean with its classical and its Hartung-Knapp standard error."""
    w = 1 / (v + tau2)
    mean = float((w * te).sum() / w.sum())
    knapp = np.sqrt((w * (te - mean) ** 2).sum() / (len(te) - 1) / w.sum())
    return mean, float(w.sum() ** -0.5), float(knapp)


def _tau2_proportion(te, v, tau2: float) -> float:
    """Compute Rb, the proportion of tau2 in the variance of the mean.  Source: Crippa 2016."""
    return float(tau2 / (v + tau2).mean() if tau2 == 0 else (tau2 / (v + tau2)).mean())


def _ad_hoc(x, te, v, mean, classic, chosen, df, ad_hoc: str, level: float):
    """Return standard error, limits, p-value and degrees of freedom after the correction."""
    lower, upper, _ = interval(mean, chosen, level, df)
    if ad_hoc == "se" and classic > chosen:
        chosen = classic
    elif ad_hoc == "ci":
        wide = interval(mean, classic, level)
        if wide[1] - wide[0] > upper - lower:
            return classic, *wide, np.inf
    elif ad_hoc == "IQWiG6" and classic > chosen:
        other = _mean_with_errors(x, te, v, tau2_of_regression(x, te, v, "DL").tau2)
        if upper - lower < 2 * critical_value(level) * other[1]:
            chosen = classic
    return chosen, *interval(mean, chosen, level, df), df


def tau2_interval(
    te, se, method: Tau2Interval = "QP", tau2: RegressionTau2 = "REML", *, level: float = 0.95
) -> Tau2IntervalFit:
    """Compute a confidence interval for the between-study variance.

    Parameters
    ----------
    te, se : array (k,)
        At least two studies.
    method : {"QP", "BJ", "J", "PL"}
        "QP": Q-profile. "BJ", "J": the exact distribution of Q with weights 1 / se^2 (Biggerstaff and Jackson) or
        1 / se (Jackson). "PL": profile likelihood, ML or REML according to ``tau2``.
    tau2 : str
        Estimator of tau2 itself; "PL" needs "ML" or "REML".
    level : float

    Returns
    -------
    Tau2IntervalFit

    Raises
    ------
    ValueError

    Source: Viechtbauer 2007; Biggerstaff & Jackson 2008; Jackson 2013; Hardy & Thompson 1996.
    Checked against: metafor 3.8-1 confint().

    Examples
    --------
    >>> fit = tau2_interval([-0.5, 0.1, 0.62], [0.18, 0.25, 0.3])
    >>> round(fit.lower, 4), round(fit.upper, 2)
    (0.0283, 12.35)
    """
    choice(method, "method", get_args(Tau2Interval))
    critical_value(level)
    te, v, x = _studies(te, se, 2)
    if method == "PL" and tau2 not in ("ML", "REML"):
        raise ValueError(f"tau2: the profile likelihood needs ML or REML, not {tau2!r}")
    estimate = tau2_of_regression(x, te, v, tau2).tau2
    if method == "PL":
        lower, upper = _profile(x, te, v, estimate, tau2, level)
    else:
        tails = {"QP": _q_profile, "BJ": _exact_q(1 / v), "J": _exact_q(v**-0.5)}[method]
        shares = (1 - level) / 2, (1 + level) / 2

        def above(share: float, t: float) -> float:
            return tails(te, v, t) - share

        lower, upper = (_crossing(partial(above, share), float(v.mean()), te) for share in shares)
    typical = typical_variance(np.sqrt(v))
    three = (estimate, lower, upper)
    i2, i2_lower, i2_upper = (t / (t + typical) for t in three)
    h2, h2_lower, h2_upper = (t / typical + 1 for t in three)
    return Tau2IntervalFit(estimate, lower, upper, method, tau2, i2, i2_lower, i2_upper, h2, h2_lower, h2_upper, level)


def _q_profile(te, v, tau2: float) -> float:
    """Compute the upper tail of the generalised Q at tau2, which increases with tau2."""
    w = 1 / (v + tau2)
    mean = (w * te).sum() / w.sum()
    return float(scipy.special.chdtrc(len(te) - 1, (w * (te - mean) ** 2).sum()))


def _exact_q(a: np.ndarray) -> Callable[[np.ndarray, np.ndarray, float], float]:
    """Return the upper tail of Q with fixed weights, distributed as a weighted sum of chi-squared variables."""

    def tail(te, v, tau2: float) -> float:
        mean = (a * te).sum() / a.sum()
        core = np.diag(a) - np.outer(a, a) / a.sum()
        root = np.sqrt(v + tau2)
        values = np.linalg.eigvalsh(root[:, None] * core * root[None, :])[1:]
        return upper_tail(float((a * (te - mean) ** 2).sum()), np.maximum(values, 0.0))

    return tail


def _crossing(excess: Callable[[float], float], unit: float, te: np.ndarray) -> float:
    """Find where a function that increases with tau2 crosses 0; return 0 if it starts above 0."""
    if excess(0.0) >= 0 or np.ptp(te) == 0:
        return 0.0
    high = unit
    while excess(high) < 0:
        high *= 4
        if high > 1e12 * (unit + np.ptp(te) ** 2):
            raise ValueError("tau2: the upper limit is too large to be meaningful; use a lower level")
    return float(scipy.optimize.brentq(excess, 0.0, high, xtol=1e-14 * high, rtol=1e-13))


def _profile(x, te, v, estimate: float, method: str, level: float) -> tuple[float, float]:
    """Find the outermost tau2 where twice the log-likelihood is the chi-squared quantile below its maximum."""
    drop = critical_value(level) ** 2 / 2
    restricted = method == "REML"
    top = full_log_likelihood(x, te, v, estimate, restricted=restricted)

    def above(tau2: float) -> float:
        return full_log_likelihood(x, te, v, tau2, restricted=restricted) - top + drop

    scale = max(estimate, float(v.mean()))
    high = 4 * scale
    while above(high) >= 0 or above(4 * high) >= 0:
        high *= 4
    # A second mode may lie beyond the first crossing: search a fine grid for the outermost crossings.
    grid = np.concatenate([[0.0], np.geomspace(1e-9 * scale, high, 400)])
    inside = np.array([above(t) >= 0 for t in grid])
    first, last = np.flatnonzero(inside)[[0, -1]] if inside.any() else (np.searchsorted(grid, estimate),) * 2
    edges = []
    for outer, inner in ((first - 1, first), (last + 1, last)):
        if outer < 0:
            edges.append(0.0)
            continue
        a, b = sorted((grid[outer], grid[inner] if inside[inner] else estimate))
        edges.append(float(scipy.optimize.brentq(above, a, b, xtol=1e-14 * high, rtol=1e-13)))
    return edges[0], edges[1]


@dataclass(frozen=True, eq=False)
class GeneralisedQFit(Result):
    """Result of :func:`generalised_q_meta_analysis`.

    Attributes
    ----------
    te, se, lower, upper, p : float
        Mean with fixed weights; its standard error includes tau2.
    tau2, tau2_lower, tau2_upper : float
        Moment estimate from Q with these weights, and the interval from its exact distribution.
    q : float
        Cochran's Q.
    k : int
    """

    te: float
    se: float
    lower: float
    upper: float
    p: float
    tau2: float
    tau2_lower: float
    tau2_upper: float
    q: float
    k: int


def generalised_q_meta_analysis(
    te, se, weights: Literal["1/se", "1/se^2"] = "1/se", *, level: float = 0.95
) -> GeneralisedQFit:
    """Fit a meta-analysis with fixed weights, with tau2 and its interval from Q with the same weights.

    Parameters
    ----------
    te, se : array (k,)
        At least two studies.
    weights : {"1/se", "1/se^2"}
    level : float

    Raises
    ------
    ValueError

    Source: DerSimonian & Kacker 2007; Jackson 2013.  Checked against: metafor 3.8-1 rma(method = "GENQ").
    """
    choice(weights, "weights", ("1/se", "1/se^2"))
    te, v, x = _studies(te, se, 2)
    a = v**-0.5 if weights == "1/se" else 1 / v
    mean = float((a * te).sum() / a.sum())
    q = (a * (te - mean) ** 2).sum()
    tau2 = max(0.0, (q - (a * v).sum() + (a**2 * v).sum() / a.sum()) / (a.sum() - (a**2).sum() / a.sum()))
    error = float(np.sqrt((a**2 * (v + tau2)).sum()) / a.sum())
    limits = tau2_interval(te, np.sqrt(v), "J" if weights == "1/se" else "BJ", "DL", level=level)
    return GeneralisedQFit(
        mean,
        error,
        *interval(mean, error, level),
        float(tau2),
        limits.lower,
        limits.upper,
        float(fit_at(x, te, v, 0.0).q[0]),
        len(te),
    )


def method_comparison(te, se, *, level: float = 0.95) -> MethodComparison:
    """Pool the same studies by every common method, and show which methods change the answer.

    Parameters
    ----------
    te, se : array (k,)
        At least two studies.
    level : float

    Returns
    -------
    MethodComparison
        The first row is REML with classical intervals. Then follow the common effect, all estimators of tau2 with
        classical and with Hartung-Knapp intervals, the ad hoc corrections and Kenward-Roger.

    Raises
    ------
    ValueError

    Source: as in :func:`small_sample_meta_analysis`.

    Examples
    --------
    >>> method_comparison([0.21, 0.3, 0.18], [0.1, 0.12, 0.2]).agree
    False
    """
    study_estimates(te, se, at_least=2)
    estimators: tuple[RegressionTau2, ...] = ("DL", "ML", "PM", "HE", "HS", "SJ")
    corrections: tuple[AdHoc, ...] = ("se", "ci", "IQWiG6")
    runs: list[tuple[RegressionTau2, MeanInterval, AdHoc]] = [("REML", "classic", "none"), ("FE", "classic", "none")]
    runs += [(t, "classic", "none") for t in estimators]
    runs += [(t, "hartung-knapp", "none") for t in ("REML", *estimators)]
    runs += [("REML", "hartung-knapp", a) for a in corrections]
    runs += [("REML", "kenward-roger", "none")]
    columns = ["tau2_method", "method", "ad_hoc", "te", "se", "lower", "upper", "p", "tau2"]
    columns += ["predict_lower", "predict_upper"]
    rows = []
    for tau2, method, ad_hoc in runs:
        fit = small_sample_meta_analysis(te, se, tau2, method, ad_hoc=ad_hoc, level=level)
        rows.append([getattr(fit, column) for column in columns])
    table = pd.DataFrame(rows, columns=columns)
    table["excludes_zero"] = (table["lower"] > 0) | (table["upper"] < 0)
    table["differs"] = table["excludes_zero"] != table["excludes_zero"].iloc[0]
    return MethodComparison(table, not table["differs"].any())
