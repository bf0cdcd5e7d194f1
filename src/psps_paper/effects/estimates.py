"""Effect sizes of two groups; every function takes scalars or arrays."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
import scipy

from psps_paper.effects.checks import choice, numbers, one_number, require

Correction = Literal["exact", "approximate", "none"]
Variance = Literal["large_sample", "unbiased", "LS", "LS2", "UB", "RevMan"]
# From this many degrees of freedom the Hedges factor is computed from a series (relative error 1e-15).
MANY_DF = 60
Continuity = Literal["zero_cells", "all", "treatment_arm", "none"]
# RevMan subtracts this from the number of people in the variance of Hedges' g.
REVMAN_LOST = 3.94


class Effect(NamedTuple):
    """te and its standard error, floats or arrays of the input's shape."""

    te: np.ndarray
    se: np.ndarray


def _effect(te: np.ndarray, variance: np.ndarray) -> Effect:
    # [()] turns zero-dimensional arrays into scalars and leaves others unchanged.
    return Effect(np.asarray(te)[()], np.sqrt(variance)[()])


def small_sample_factor(df: np.ndarray, correction: Correction) -> np.ndarray:
    """Compute the factor J that corrects Cohen's d for small-sample bias.

    Parameters
    ----------
    df : float or ndarray
        Degrees of freedom of the pooled SD, at least 2 for "exact".
    correction : {"exact", "approximate", "none"}
        "exact": from gamma functions; "approximate": 1 - 3 / (4 df - 1); "none": 1.

    Source: Hedges 1981.
    """
    choice(correction, "correction", get_args(Correction))
    df = np.asarray(df, float)
    if correction == "none":
        return np.ones_like(df)
    if correction == "approximate":
        return 1 - 3 / (4 * df - 1)
    require(df >= 2, df, "df", "at least 2, as the exact correction needs")
    return np.exp(_log_exact_factor(df))


def _log_exact_factor(df: np.ndarray) -> np.ndarray:
    """Compute log J; for many df by Stirling's series, because the difference of two log gammas cancels."""
    half = np.minimum(df, 2 * MANY_DF) / 2
    few = scipy.special.gammaln(half) - scipy.special.gammaln(half - 0.5) - np.log(half) / 2
    # With w = df / 2 - 3 / 4, the series of log gamma(w + 3/4) - log gamma(w + 1/4) has only even powers of 1/w.
    square = 1 / (np.maximum(df, MANY_DF) / 2 - 0.75) ** 2
    series = square * (1 / 64 + square * (-5 / 2048 + square * (61 / 49152)))
    return np.where(df < MANY_DF, few, np.log1p(-1.5 / np.maximum(df, MANY_DF)) / 2 + series)


def unbiased_excess(df: np.ndarray) -> np.ndarray:
    """Compute 1 - (df - 2) / (df J^2), the factor of g^2 in the unbiased variance, without cancellation.

    Parameters
    ----------
    df : float or ndarray
        Degrees of freedom of the pooled SD, at least 2. Tends to 1 / (2 df).

    Source: Hedges 1983.
    """
    df = np.asarray(df, float)
    require(df >= 2, df, "df", "at least 2, as the exact correction needs")
    with np.errstate(divide="ignore"):
        return -np.expm1(np.log1p(-2 / df) - 2 * _log_exact_factor(df))


def standardise(
    d: np.ndarray,
    sampling: np.ndarray,
    n_total: np.ndarray,
    df: np.ndarray,
    correction: Correction,
    variance: Variance,
) -> Effect:
    """Compute the SMD from Cohen's d.

    Parameters
    ----------
    d : ndarray
        Difference in means divided by the pooled SD.
    sampling : ndarray
        Variance of the difference in means divided by the variance of one observation: 1/n1 + 1/n2.
    n_total, df : ndarray
        Number of people and degrees of freedom behind the pooled SD.
    correction, variance : str
        As in :func:`smd`.
    """
    choice(variance, "variance", get_args(Variance))
    if variance == "RevMan" and correction != "none":
        correction = "approximate"
    factor = small_sample_factor(df, correction)
    te = factor * d
    if variance in ("large_sample", "LS"):
        return _effect(te, sampling + te**2 / (2 * n_total))
    if variance == "LS2":
        return _effect(te, factor**2 * (sampling + d**2 / (2 * n_total)))
    if variance == "RevMan":
        lost = 0.0 if correction == "none" else REVMAN_LOST
        return _effect(te, sampling + te**2 / (2 * (n_total - lost)))
    exact = small_sample_factor(df, "exact")
    return _effect(te, sampling + (exact * d) ** 2 * unbiased_excess(df))


def smd(
    n1,
    mean1,
    sd1,
    n2,
    mean2,
    sd2,
    *,
    correction: Correction = "exact",
    variance: Variance = "large_sample",
) -> Effect:
    """Compute the standardised mean difference, group 1 minus group 2, with the pooled SD.

    Parameters
    ----------
    n1, n2 : float or array
        People per group, at least 2.
    mean1, mean2, sd1, sd2 : float or array
        In the outcome's unit; SDs greater than 0.
    correction : {"exact", "approximate", "none"}
        "none" is Cohen's d; the other two are Hedges' g, from gamma functions or from the
        approximation 1 - 3 / (4 (n1 + n2) - 9).
    variance : {"large_sample", "unbiased", "LS", "LS2", "UB", "RevMan"}
        With N = n1 + n2 and J the correction. "large_sample" or "LS": 1/n1 + 1/n2 + te^2 / (2 N),
        the default of metafor's escalc(). "LS2": J^2 (1/n1 + 1/n2 + d^2 / (2 N)), Borenstein's.
        "unbiased" or "UB": 1/n1 + 1/n2 + g^2 (1 - (m - 2) / (m J^2)) with m = N - 2 and g, J the
        exact Hedges correction, also for Cohen's d; this agrees with meta's metacont() 6.2-1.
        "RevMan": 1/n1 + 1/n2 + te^2 / (2 (N - 3.94)), with te by the approximate correction
        for either choice of Hedges' g; for Cohen's d ("none") nothing is subtracted from N. This is
        metacont(exact.smd = FALSE), the convention of many published reviews.

    Returns
    -------
    Effect
        te and se in SDs.

    Raises
    ------
    ValueError
        Naming row, column, value and what was expected.

    Source: Hedges 1981; Hedges 1983 for the unbiased variance; Borenstein 2009 for LS2.
    Checked against: metafor 3.8-1 escalc(), meta 6.2-1 metacont().

    Examples
    --------
    >>> te, se = smd(30, 5.1, 2.0, 30, 6.3, 2.2)
    >>> round(float(te), 3), round(float(se), 3)
    (-0.563, 0.263)
    """
    n1, mean1, sd1, n2, mean2, sd2 = _two_groups(locals())
    df = n1 + n2 - 2
    pooled = np.sqrt(((n1 - 1) * sd1**2 + (n2 - 1) * sd2**2) / df)
    return standardise((mean1 - mean2) / pooled, 1 / n1 + 1 / n2, n1 + n2, df, correction, variance)


def mean_difference(n1, mean1, sd1, n2, mean2, sd2) -> Effect:
    """Compute the difference in means, group 1 minus group 2, with separate variances.

    Parameters
    ----------
    n1, mean1, sd1, n2, mean2, sd2 : float or array
        As in :func:`smd`.

    Returns
    -------
    Effect
        In the outcome's unit; variance sd1^2 / n1 + sd2^2 / n2.

    Checked against: netmeta 2.8-2 pairwise(sm = "MD") on Franchini 2012.
    """
    n1, mean1, sd1, n2, mean2, sd2 = _two_groups(locals())
    return _effect(mean1 - mean2, sd1**2 / n1 + sd2**2 / n2)


def _two_groups(values: dict) -> list[np.ndarray]:
    group = {"n": "sample size", "mean": "finite", "sd": "positive"}
    return numbers({f"{name}{g}": kind for g in "12" for name, kind in group.items()}, values)


def smd_from_t(
    t,
    n1,
    n2,
    *,
    correction: Correction = "exact",
    variance: Variance = "large_sample",
) -> Effect:
    """Compute the SMD from the t statistic of a two-sample test with pooled variance.

    Parameters
    ----------
    t : float or array
        Positive where group 1 has the higher mean.
    n1, n2 : float or array
        People per group, at least 2.
    correction, variance : str
        As in :func:`smd`; the same choices give the same results.

    Source: Hedges 1981 (d = t sqrt(1/n1 + 1/n2)).  Checked against: smd().
    """
    t, n1, n2 = numbers({"t": "finite", "n1": "sample size", "n2": "sample size"}, locals())
    sampling = 1 / n1 + 1 / n2
    return standardise(t * np.sqrt(sampling), sampling, n1 + n2, n1 + n2 - 2, correction, variance)


def smd_from_p(
    p,
    n1,
    n2,
    *,
    sign=1,
    correction: Correction = "exact",
    variance: Variance = "large_sample",
) -> Effect:
    """Compute the SMD from the two-sided p-value of a two-sample t test with pooled variance.

    Parameters
    ----------
    p : float or array
        Two-sided, in (0, 1]. "p < 0.05" is not a p-value: it only bounds the size of the SMD from below.
    n1, n2 : float or array
        People per group, at least 2.
    sign : 1, -1 or array of them
        A two-sided p-value has no direction: 1 where group 1 has the higher mean, else -1.
    correction, variance : str
        As in :func:`smd`.

    Source: inversion of the t test, then :func:`smd_from_t`.  Checked against: scipy's t test on
    simulated samples.
    """
    p, n1, n2, sign = numbers({"p": "probability", "n1": "sample size", "n2": "sample size", "sign": "sign"}, locals())
    # stdtrit of the lower tail stays accurate for tiny p; 1 - p/2 would lose digits.
    t = -sign * scipy.special.stdtrit(n1 + n2 - 2, p / 2)
    return smd_from_t(t, n1, n2, correction=correction, variance=variance)


def smd_from_log_or(log_or, se) -> Effect:
    """Convert a log odds ratio to an SMD, assuming a logistic outcome behind the events.

    Parameters
    ----------
    log_or, se : float or array
        Log odds ratio of group 1 against group 2 and its standard error, greater than 0.

    Returns
    -------
    Effect
        te and se, both multiplied by sqrt(3) / pi. The sign is kept: if an event is an improvement and
        higher values of the scale are worse, te has the opposite sign to the SMD on that scale.

    Source: Hasselblad & Hedges 1995; Chinn 2000.  Checked against: the SD of the logistic
    distribution in scipy.
    """
    log_or, se = numbers({"log_or": "finite", "se": "positive"}, locals())
    factor = np.sqrt(3) / np.pi
    return _effect(factor * log_or, (factor * se) ** 2)


def continuity_corrected(
    events: np.ndarray, n: np.ndarray, continuity: Continuity, increment: float
) -> tuple[np.ndarray, np.ndarray]:
    """Apply the continuity correction to events and people.

    Parameters
    ----------
    events, n : ndarray [arms x studies]
    continuity, increment
        As in :func:`log_odds_ratio`. Either all arms of a study are corrected or none, so that the
        contrasts of a multi-arm study stay consistent.
    """
    choice(continuity, "continuity", get_args(Continuity))
    one_number(increment, "increment", "positive")
    zero = ((events == 0) | (events == n)).any(axis=0)
    use = np.ones_like(zero) if continuity == "all" else zero & (continuity != "none")
    share = n / n.mean(axis=0) if continuity == "treatment_arm" else np.ones_like(n)
    added = np.where(use, increment * share, 0.0)
    return events + added, n + 2 * added


def _two_by_two(values: dict) -> tuple[np.ndarray, np.ndarray]:
    kinds = {"events1": "count", "n1": "sample size", "events2": "count", "n2": "sample size"}
    events1, n1, events2, n2 = numbers(kinds, values)
    for group, events, n in (("1", events1, n1), ("2", events2, n2)):
        require(events <= n, events, f"events{group}", f"at most n{group}")
    return np.stack([events1, events2]), np.stack([n1, n2])


def log_odds_ratio(
    events1,
    n1,
    events2,
    n2,
    *,
    continuity: Continuity = "zero_cells",
    increment: float = 0.5,
) -> Effect:
    """Compute the log odds ratio of group 1 against group 2.

    Parameters
    ----------
    events1, n1, events2, n2 : float or array
        Events and people per group; people at least 2.
    continuity : {"zero_cells", "all", "treatment_arm", "none"}
        "zero_cells" adds ``increment`` to the four cells of studies with an empty cell; "all" to
        those of every study; "treatment_arm" adds, in studies with an empty cell, an amount
        proportional to the group's size, ``increment`` on average; "none" adds nothing and raises
        an error for an empty cell.
    increment : float
        Greater than 0.

    Returns
    -------
    Effect
        On the log scale. For a study with no events (or only events) in both groups, te near 0 comes
        from the correction alone; :func:`contrasts_from_arms` excludes such studies.

    Source: Woolf 1955; Sweeting 2004 for "treatment_arm".
    Checked against: netmeta 2.8-2 pairwise(sm = "OR") on the smoking cessation arms.
    """
    events, n = continuity_corrected(*_two_by_two(locals()), continuity, increment)
    return odds_ratio_of_cells(events, n, ("group 1", "group 2"))


def odds_ratio_of_cells(events: np.ndarray, n: np.ndarray, groups: tuple[str, str]) -> Effect:
    """Compute log odds ratios from two rows of cells, already corrected [2 x studies]."""
    for name, row, total in zip(groups, events, n, strict=True):
        require(
            (row > 0) & (row < total),
            row,
            f"events of {name}",
            "above 0 and below n; an empty cell needs a continuity correction",
        )
    odds = events / (n - events)
    return _effect(np.log(odds[0]) - np.log(odds[1]), (1 / events + 1 / (n - events)).sum(axis=0))


def risk_difference(
    events1,
    n1,
    events2,
    n2,
    *,
    continuity: Continuity = "zero_cells",
    increment: float = 0.5,
) -> Effect:
    """Compute the risk difference, group 1 minus group 2.

    Parameters
    ----------
    events1, n1, events2, n2, continuity, increment
        As in :func:`log_odds_ratio`. The correction affects only the standard error: te is always
        the difference of the observed risks.

    Raises
    ------
    ValueError
        Also if the standard error would be 0, which can happen only with continuity="none".

    Source: binomial variance of each risk.  Checked against: simulation in the tests.
    """
    events, n = _two_by_two(locals())
    return risk_difference_of_cells(events, n, *continuity_corrected(events, n, continuity, increment))


def risk_difference_of_cells(
    events: np.ndarray, n: np.ndarray, corrected_events: np.ndarray, corrected_n: np.ndarray
) -> Effect:
    """Compute risk differences from two rows of cells [2 x studies], standard errors from corrected cells."""
    risk = events / n
    corrected = corrected_events / corrected_n
    variance = (corrected * (1 - corrected) / corrected_n).sum(axis=0)
    require(variance > 0, variance, "variance", "greater than 0; use a continuity correction")
    return _effect(risk[0] - risk[1], variance)


def _crossover(values: dict) -> tuple[np.ndarray, ...]:
    kinds = {
        "n": "sample size",
        "mean1": "finite",
        "sd1": "positive",
        "mean2": "finite",
        "sd2": "positive",
        "correlation": "correlation",
    }
    n, mean1, sd1, mean2, sd2, correlation = numbers(kinds, values)
    require(correlation < 1, correlation, "correlation", "below 1: the standard error would be 0")
    return n, mean1, sd1, mean2, sd2, correlation


def crossover_mean_difference(n, mean1, sd1, mean2, sd2, correlation) -> Effect:
    """Compute the within-person mean difference of a crossover trial, treatment 1 minus treatment 2.

    Parameters
    ----------
    n : float or array
        People who finished both periods, at least 2.
    mean1, sd1, mean2, sd2 : float or array
        Under each treatment, in the outcome's unit; SDs greater than 0.
    correlation : float or array
        Between a person's two measurements, from -1 to below 1.

    Returns
    -------
    Effect
        Variance (sd1^2 + sd2^2 - 2 correlation sd1 sd2) / n.

    Source: Elbourne 2002; Cochrane Handbook 5.1, 16.4.6.  Checked against: its example, 16.4.6.4.
    """
    n, mean1, sd1, mean2, sd2, correlation = _crossover(locals())
    return _effect(mean1 - mean2, (sd1**2 + sd2**2 - 2 * correlation * sd1 * sd2) / n)


def crossover_smd(n, mean1, sd1, mean2, sd2, correlation, *, correction: Correction = "none") -> Effect:
    """Compute the SMD of a crossover trial on the scale of parallel-group trials.

    Parameters
    ----------
    n, mean1, sd1, mean2, sd2, correlation : float or array
        As in :func:`crossover_mean_difference`.
    correction : {"exact", "approximate", "none"}
        As in :func:`smd`, with n - 1 degrees of freedom.

    Returns
    -------
    Effect
        te is divided by sqrt((sd1^2 + sd2^2) / 2), the SD between people; variance
        (1/n + te^2 / (2 n)) 2 (1 - correlation).

    Source: Elbourne 2002; Cochrane Handbook 5.1, 16.4.6.  Checked against: its example, 16.4.6.4.
    Kitchenham & Madeyski 2020 show that this standard error is too small where both te and the
    correlation are large; it is kept because reviews use it.
    """
    n, mean1, sd1, mean2, sd2, correlation = _crossover(locals())
    te = (mean1 - mean2) / np.sqrt((sd1**2 + sd2**2) / 2)
    te = small_sample_factor(n - 1, correction) * te
    return _effect(te, (1 / n + te**2 / (2 * n)) * 2 * (1 - correlation))


def correlation_from_sds(sd1, sd2, sd_difference) -> np.ndarray:
    """Compute the within-person correlation from the SDs of both periods and of the difference.

    Parameters
    ----------
    sd1, sd2, sd_difference : float or array
        Greater than 0.

    Raises
    ------
    ValueError
        If no correlation between -1 and 1 gives these SDs.

    Source: the variance of a difference.  Checked against: crossover_mean_difference().
    """
    sd1, sd2, sd_difference = numbers(dict.fromkeys(("sd1", "sd2", "sd_difference"), "positive"), locals())
    correlation = (sd1**2 + sd2**2 - sd_difference**2) / (2 * sd1 * sd2)
    require(
        np.abs(correlation) <= 1,
        sd_difference,
        "sd_difference",
        "between |sd1 - sd2| and sd1 + sd2",
    )
    return correlation[()]
