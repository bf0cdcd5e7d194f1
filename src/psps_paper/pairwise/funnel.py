"""Small-study effects: trim and fill, PET-PEESE, rank test, limit meta-analysis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
import scipy

from psps_paper.effects.checks import choice
from psps_paper.network.heterogeneity import p_of_q
from psps_paper.pairwise.random_effects import Tau2Method, meta_analysis, study_estimates, two_sided_p
from psps_paper.pairwise.regression import Test, meta_regression
from psps_paper.pairwise.results import Result, as_text, interval

Side = Literal["left", "right"]
TrimTau2 = Literal["DL", "REML", "ML", "PM", "SJ", "HE", "FE"]
PetMethod = Literal["WLS", "FE", "REML", "ML", "DL", "PM"]
Adjustment = Literal["beta0", "betalim", "mulim"]
MAX_STEPS = 500


@dataclass(frozen=True, eq=False)
class TrimAndFill(Result):
    """Result of :func:`trim_and_fill`.

    Attributes
    ----------
    k0 : int
        Number of studies filled in.
    side : str
        The side on which studies are missing.
    estimator : str
    te, se, lower, upper, p, tau2 : float
        Results for the completed set.
    te_common, se_common, q : float
        Common effect and Cochran's Q of the completed set.
    se_k0, p_k0 : float
        Standard error of the estimator before rounding (NaN for an L0 far below 0), and the p-value for no missing
        studies (R0 only, else NaN).
    filled : DataFrame [te, se]
        The filled studies, sorted by te.
    k : int
        Number of studies before filling.
    """

    k0: int
    side: str
    estimator: str
    te: float
    se: float
    lower: float
    upper: float
    p: float
    tau2: float
    te_common: float
    se_common: float
    q: float
    se_k0: float
    p_k0: float
    filled: pd.DataFrame
    k: int

    @property
    def title(self) -> str:
        return f"Trim and fill ({self.estimator}): {self.k0} studies filled on the {self.side} of {self.k}"


def _numeric(tau2: TrimTau2 | float) -> Tau2Method | float:
    return 0.0 if tau2 == "FE" else tau2


def _slope_side(te: np.ndarray, se: np.ndarray) -> Side:
    """Choose the side of missing studies: the left if te rises with se."""
    if np.ptp(se) <= 1e-9 * se.max():
        raise ValueError("side: the standard errors are equal and cannot determine it; give 'left' or 'right'")
    w = se**-2.0
    centre = (w * se).sum() / w.sum()
    return "right" if (w * (se - centre) * te).sum() < 0 else "left"


def trim_and_fill(
    te,
    se,
    tau2: TrimTau2 | float = "REML",
    estimator: Literal["L0", "R0"] = "L0",
    side: Side | None = None,
    *,
    trim_tau2: TrimTau2 | float | None = None,
    level: float = 0.95,
) -> TrimAndFill:
    """Apply Duval and Tweedie's trim and fill.

    Parameters
    ----------
    te, se : array (k,)
        At least three studies.
    tau2 : str or float
        For the completed set and, unless ``trim_tau2`` is given, for the trimmed sets; "FE" is 0.
    estimator : {"L0", "R0"}
        Estimator of the number of missing studies.
    side : {"left", "right"}, optional
        The side on which studies are missing; by default from the slope of te on se: left if te rises with se.
    trim_tau2 : str or float, optional
        Only for the centre of the trimmed sets, for example "FE".
    level : float

    Returns
    -------
    TrimAndFill

    Raises
    ------
    ValueError
        Also if the iteration does not converge.

    Notes
    -----
    This is a sensitivity analysis, not a correction: it assumes that missing studies cause any asymmetry.

    Source: Duval & Tweedie 2000a, 2000b.
    Checked against: metafor 3.8-1 trimfill(), meta 6.2-1 trimfill().

    Examples
    --------
    >>> fit = trim_and_fill([0.1, 0.2, 0.3, 0.5, 0.8, 1.1], [0.1, 0.1, 0.12, 0.2, 0.3, 0.4], "FE")
    >>> fit.k0, fit.side
    (2, 'left')
    """
    te, se = study_estimates(te, se, at_least=3)
    choice(estimator, "estimator", ("L0", "R0"))
    for name, value in (("tau2", tau2), ("trim_tau2", trim_tau2)):
        if isinstance(value, str):
            choice(value, name, get_args(TrimTau2))
    side = _slope_side(te, se) if side is None else side
    choice(side, "side", get_args(Side))
    sign = -1.0 if side == "right" else 1.0
    order = np.argsort(sign * te, kind="stable")
    k, y, s = len(te), (sign * te)[order], se[order]
    k0, raw, centre = _count(y, s, estimator, tau2 if trim_tau2 is None else trim_tau2)
    last = slice(k - k0, k)
    filled = pd.DataFrame({"te": sign * (2 * centre - y[last]), "se": s[last]})
    filled = filled.sort_values(["te", "se"], ignore_index=True)
    both = np.concatenate([te, filled["te"]]), np.concatenate([se, filled["se"]])
    fit = meta_analysis(*both, _numeric(tau2), level=level)
    se_k0 = np.sqrt(2 * k0 + 2) if estimator == "R0" else 4 * np.sqrt(_rank_sum_variance(k, raw)) / (2 * k - 1)
    return TrimAndFill(
        k0=k0,
        side=side,
        estimator=estimator,
        te=fit.te,
        se=fit.se,
        lower=fit.lower,
        upper=fit.upper,
        p=fit.p,
        tau2=fit.tau2,
        te_common=fit.te_common,
        se_common=fit.se_common,
        q=fit.q,
        se_k0=float(se_k0),
        p_k0=0.5 ** (k0 + 1) if estimator == "R0" else np.nan,
        filled=filled,
        k=k,
    )


def _count(y: np.ndarray, s: np.ndarray, estimator: str, tau2: TrimTau2 | float) -> tuple[int, float, float]:
    """Count missing studies on the left (rounded and not) and find the centre of the set trimmed right; y ascending."""
    k, k0 = len(y), 0
    for _ in range(MAX_STEPS):
        keep = slice(0, k - k0)
        centre = meta_analysis(y[keep], s[keep], _numeric(tau2)).te
        deviation = y - centre
        ranks = scipy.stats.rankdata(np.abs(deviation)) * np.sign(deviation)
        if estimator == "R0":
            found = k - max(0.0, *-ranks[ranks < 0], 0.0) - 1
        else:
            found = (4 * ranks[ranks > 0].sum() - k * (k + 1)) / (2 * k - 1)
        new = max(0, round(float(found)))
        if new > k - 1:
            raise ValueError(f"te: trim and fill would trim all {k} studies")
        if new == k0:
            return k0, float(found), centre
        k0 = new
    raise ValueError(f"te: the number of trimmed studies does not converge in {MAX_STEPS} steps")


def _rank_sum_variance(k: int, k0: float) -> float:
    """Compute the variance; NaN if the unrounded estimate is too far below 0.  Source: Duval & Tweedie 2000a."""
    base = k * (k + 1) * (2 * k + 1) + 10 * k0**3 + 27 * k0**2 + 17 * k0
    variance = (base - 18 * k * k0**2 - 18 * k * k0 + 6 * k**2 * k0) / 24
    return variance if variance >= 0 else np.nan


@dataclass(frozen=True, eq=False)
class Precision(Result):
    """One regression of :func:`pet_peese`.

    Attributes
    ----------
    te, se, lower, upper, p : float
        Intercept: the effect at standard error 0.
    slope, se_slope, lower_slope, upper_slope, p_slope : float
        On se (PET) or se^2 (PEESE).
    df : float
        Degrees of freedom of t; infinite for the normal.
    tau2, q : float
        Additive between-study variance (0 under weighted least squares) and residual Q.
    sigma : float
        Residual standard deviation of weighted least squares; 1 for other methods.
    log_likelihood : float
        NaN for weighted least squares.
    """

    te: float
    se: float
    lower: float
    upper: float
    p: float
    slope: float
    se_slope: float
    lower_slope: float
    upper_slope: float
    p_slope: float
    df: float
    tau2: float
    q: float
    sigma: float
    log_likelihood: float


@dataclass(frozen=True, eq=False)
class PetPeese(Result):
    """Result of :func:`pet_peese`.

    Attributes
    ----------
    pet, peese : Precision
        Regressions on se and on se^2.
    chosen : str
        "PEESE" if PET's intercept differs from 0 at the two-sided level 0.1, else "PET".
    te, se, lower, upper, p : float
        Results of the chosen regression.
    method : str
    """

    pet: Precision
    peese: Precision
    chosen: str
    te: float
    se: float
    lower: float
    upper: float
    p: float
    method: str

    @property
    def title(self) -> str:
        return f"PET-PEESE ({self.method}); chosen: {self.chosen}"

    def to_frame(self) -> pd.DataFrame:
        """Return one row each for PET and PEESE."""
        return pd.concat([self.pet.to_frame(), self.peese.to_frame()], keys=["PET", "PEESE"]).droplevel(1)

    def summary(self) -> str:
        """Format both regressions as text."""
        columns = ["te", "se", "lower", "upper", "p", "slope", "p_slope"]
        return f"{self.title}\n\n{self.to_frame()[columns].to_string(float_format=as_text)}"


def pet_peese(te, se, method: PetMethod = "WLS", *, test: Test = "z", level: float = 0.95) -> PetPeese:
    """Compute the precision-effect test (PET) and the precision-effect estimate with standard error (PEESE).

    Parameters
    ----------
    te, se : array (k,)
        At least three studies whose standard errors are not all equal.
    method : {"WLS", "FE", "REML", "ML", "DL", "PM"}
        "WLS": least squares with weights 1 / se^2 and t with k - 2 degrees of freedom (a multiplicative variance).
        Others: a meta-regression with additive tau2.
    test : {"z", "knapp-hartung"}
        For meta-regressions.
    level : float

    Returns
    -------
    PetPeese

    Raises
    ------
    ValueError

    Source: Stanley & Doucouliagos 2014.
    Checked against: R's lm(weights = 1 / se^2), metafor 3.8-1 rma(mods = ...).

    Examples
    --------
    >>> fit = pet_peese([0.1, 0.2, 0.4, 0.7], [0.05, 0.1, 0.2, 0.4])
    >>> round(fit.pet.te, 3), fit.chosen
    (0.01, 'PET')
    """
    te, se = study_estimates(te, se, at_least=3)
    choice(method, "method", get_args(PetMethod))
    if np.ptp(se) <= 1e-9 * se.max():
        raise ValueError("se: all are equal, so te cannot be regressed on se")
    pet, peese = (_precision(te, se, x, method, test, level) for x in (se, se**2))
    chosen = peese if pet.p < 0.1 else pet
    return PetPeese(
        pet,
        peese,
        "PEESE" if chosen is peese else "PET",
        chosen.te,
        chosen.se,
        chosen.lower,
        chosen.upper,
        chosen.p,
        method,
    )


def _precision(te, se, x, method: PetMethod, test: Test, level: float) -> Precision:
    fit = meta_regression(
        te,
        se,
        pd.DataFrame({"x": x}),
        "FE" if method == "WLS" else method,
        "z" if method == "WLS" else test,
        level=level,
    )
    sigma, df, likelihood = 1.0, fit.df_moderators[1], fit.log_likelihood
    estimate, error = (fit.coefficients[c].tolist() for c in ("estimate", "se"))
    if method == "WLS":
        df, likelihood = float(len(te) - 2), np.nan
        sigma = float(np.sqrt(fit.q_residual / df))
        if sigma <= 1e-9 * np.abs(te / se).max():
            raise ValueError("te: the studies lie exactly on a line, so least squares gives standard errors of 0")
        error = [sigma * e for e in error]
    intercept, slope = (interval(m, s, level, df) for m, s in zip(estimate, error, strict=True))
    first, second = (estimate[0], error[0], *intercept), (estimate[1], error[1], *slope)
    return Precision(*first, *second, df, fit.tau2, fit.q_residual, sigma, likelihood)


@dataclass(frozen=True, eq=False)
class RankTest(Result):
    """Result of :func:`rank_test`.

    Attributes
    ----------
    tau, p : float
        Kendall's rank correlation (tau-b with ties) of standardised effects and variances; two-sided.
    exact : bool
        Whether p is exact; with ties it comes from the normal distribution.
    s, se_s, p_normal : float
        Concordant minus discordant pairs, its standard error without correlation, and p from the normal.
    k : int
    """

    tau: float
    p: float
    exact: bool
    s: float
    se_s: float
    p_normal: float
    k: int

    @property
    def title(self) -> str:
        return f"Rank correlation test of funnel-plot asymmetry, {self.k} studies"


def rank_test(te, se) -> RankTest:
    """Apply Begg and Mazumdar's rank correlation test.

    Parameters
    ----------
    te, se : array (k,)
        At least three studies whose standard errors are not all equal.

    Returns
    -------
    RankTest

    Raises
    ------
    ValueError

    Source: Begg & Mazumdar 1994; Kendall 1970.
    Checked against: metafor 3.8-1 ranktest(), meta 6.2-1 metabias(method.bias = "Begg").

    Examples
    --------
    >>> fit = rank_test([0.1, 0.2, 0.4, 0.7], [0.05, 0.1, 0.2, 0.4])
    >>> round(fit.tau, 3), round(fit.p, 3)
    (1.0, 0.083)
    """
    te, se = study_estimates(te, se, at_least=3)
    k, w = len(te), (se.min() / se) ** 2
    centre = (w * te).sum() / w.sum()
    # Residuals that are 0 or equal up to rounding are ties.
    spread = np.sqrt(1 / w - 1 / w.sum())
    first = _ties((te - centre) / spread, np.abs(te).max() / spread.min())
    second = _ties(se**2, (se**2).max())
    if first.max() == 1 or second.max() == 1:
        raise ValueError(f"{'te' if first.max() == 1 else 'se'}: all are equal, so there is no rank correlation")
    pairs = np.sign(first[:, None] - first) * np.sign(second[:, None] - second)
    s = float(np.triu(pairs).sum())
    counts = [np.bincount(ranks.astype(int)) for ranks in (first, second)]
    tied = [float((c * (c - 1)).sum()) / 2 for c in counts]
    total = k * (k - 1) / 2
    tau = s / np.sqrt((total - tied[0]) * (total - tied[1]))
    se_s = float(np.sqrt(_kendall_variance(k, *counts)))
    p_normal = two_sided_p(s / se_s)
    exact = tied == [0.0, 0.0] and k <= 170
    p = float(scipy.stats.kendalltau(first, second, method="exact").pvalue) if exact else p_normal
    return RankTest(float(tau), p, exact, s, se_s, p_normal, k)


def _ties(values: np.ndarray, scale: float) -> np.ndarray:
    """Compute dense ranks from 1; values that differ only by rounding share a rank."""
    order = np.argsort(values, kind="stable")
    new = np.diff(values[order], prepend=-np.inf) > 1e-13 * scale
    ranks = np.empty(len(values))
    ranks[order] = np.cumsum(new)
    return ranks


def _kendall_variance(k: int, t: np.ndarray, u: np.ndarray) -> float:
    """Compute the variance of S with ties.  Source: Kendall 1970, chapter 4."""

    def sums(c: np.ndarray) -> tuple[float, float, float]:
        c = c.astype(float)
        return (c * (c - 1) * (2 * c + 5)).sum(), (c * (c - 1)).sum(), (c * (c - 1) * (c - 2)).sum()

    (t5, t2, t3), (u5, u2, u3) = sums(t), sums(u)
    variance = (k * (k - 1) * (2 * k + 5) - t5 - u5) / 18 + t2 * u2 / (2 * k * (k - 1))
    return variance + t3 * u3 / (9 * k * (k - 1) * (k - 2))


@dataclass(frozen=True, eq=False)
class LimitMetaAnalysis(Result):
    """Result of :func:`limit_meta_analysis`.

    Attributes
    ----------
    te, se, lower, upper, p : float
        Adjusted effect.
    adjustment : str
    alpha, beta : float
        Bias parameter and effect at infinite precision in the radial regression with tau2.
    tau2 : float
        DerSimonian-Laird.
    q, q_small, q_residual, p_small, p_residual : float
        Cochran's Q, the part that small-study effects explain (1 degree of freedom) and the remainder (k - 2).
    g2 : float
        Proportion of heterogeneity that small-study effects do not explain.
    te_random, se_random : float
        The meta-analysis without adjustment.
    studies : DataFrame [te, se, te_limit]
        ``te_limit`` is each study's effect shrunk to its expected value at infinite precision.
    k : int
    """

    te: float
    se: float
    lower: float
    upper: float
    p: float
    adjustment: str
    alpha: float
    beta: float
    tau2: float
    q: float
    q_small: float
    q_residual: float
    p_small: float
    p_residual: float
    g2: float
    te_random: float
    se_random: float
    studies: pd.DataFrame
    k: int

    @property
    def title(self) -> str:
        return f"Limit meta-analysis ({self.adjustment}), {self.k} studies"


def limit_meta_analysis(
    te, se, adjustment: Adjustment = "beta0", tau2: Tau2Method | float = "DL", *, level: float = 0.95
) -> LimitMetaAnalysis:
    """Estimate the effect in studies of infinite precision, adjusting for small-study effects.

    Parameters
    ----------
    te, se : array (k,)
        At least three studies whose standard errors are not all equal.
    adjustment : {"beta0", "betalim", "mulim"}
        "beta0": the expected effect of a study of infinite precision, beta + tau alpha. "betalim", "mulim": the limit
        effects pooled with, or without, a bias parameter.
    tau2 : str or float
    level : float

    Returns
    -------
    LimitMetaAnalysis

    Raises
    ------
    ValueError

    Source: Rücker, Schwarzer, Carpenter, Binder & Schumacher 2011.
    Checked against: metasens 1.5-2 limitmeta().
    """
    te, se = study_estimates(te, se, at_least=3)
    choice(adjustment, "adjustment", get_args(Adjustment))
    if np.ptp(se) <= 1e-9 * se.max():
        raise ValueError("se: all are equal, so te cannot be regressed on se")
    random = meta_analysis(te, se, tau2)
    between, total = random.tau2, np.sqrt(se**2 + random.tau2)
    radial = meta_regression(te, total, pd.DataFrame({"x": total}), "FE")
    (beta, alpha), covariance = radial.coefficients["estimate"], radial.covariance.to_numpy()
    limit = beta + np.sqrt(between) / total * (te - beta)
    plain = meta_regression(te, se, pd.DataFrame({"x": se}), "FE")
    on_limit = meta_regression(limit, se, pd.DataFrame({"x": se}), "FE")
    if adjustment == "beta0":
        share = np.array([1.0, np.sqrt(between)])
        mean, error = share @ [beta, alpha], np.sqrt(share @ covariance @ share)
    elif adjustment == "betalim":
        mean, error = on_limit.coefficients.loc["intercept", ["estimate", "se"]]
    else:
        fit = meta_analysis(limit, se, 0.0)
        mean, error = fit.te, fit.se
    q, rest = random.q, plain.q_residual
    k = len(te)
    return LimitMetaAnalysis(
        float(mean),
        float(error),
        *interval(float(mean), float(error), level),
        adjustment,
        float(alpha),
        float(beta),
        between,
        q,
        max(0.0, q - rest),
        rest,
        float(p_of_q(np.array([q - rest]), 1)[0]),
        float(p_of_q(np.array([rest]), k - 2)[0]),
        _g2(limit, se, on_limit.q_residual),
        random.te,
        random.se,
        pd.DataFrame({"te": te, "se": se, "te_limit": limit}),
        k,
    )


def _g2(limit: np.ndarray, se: np.ndarray, residual: float) -> float:
    """Compute the residual proportion of the variation of limit / se about its mean."""
    ratio = limit / se
    spread = ((ratio - ratio.mean()) ** 2).sum()
    return float(residual / spread) if spread > 0 else np.nan
