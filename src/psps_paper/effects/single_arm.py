"""Effects of one group: proportions, rates, correlations, changes from baseline; and their back-transformations."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import scipy

from psps_paper.effects.checks import SMALLEST, choice, numbers, one_number, require
from psps_paper.effects.estimates import Correction, Effect, small_sample_factor

ProportionMeasure = Literal["PR", "PLN", "PLO", "PAS", "PFT"]
RateMeasure = Literal["IR", "IRLN", "IRS", "IRFT"]
CorrelationMeasure = Literal["COR", "ZCOR"]
ChangeMeasure = Literal["MC", "SMCC", "SMCR", "SMCRH", "ROMC", "CVRC", "VRC"]
ProportionInterval = Literal["CP", "WS", "WSCC", "AC", "SA", "SACC", "NAsm"]
LARGEST_LOG = 700
# Measures that need no correction with 0 events or only events.
NEVER_CORRECTED = {"PAS", "PFT", "IRS", "IRFT"}


def as_effect(te: np.ndarray, variance: np.ndarray) -> Effect:
    """Return te and se; scalars stay scalars."""
    return Effect(np.asarray(te)[()], np.sqrt(variance)[()])


def proportion_values(events: np.ndarray, n: np.ndarray, measure: str) -> tuple[np.ndarray, np.ndarray]:
    """Transform proportions, with their variances, from counts already corrected.

    Source: delta method on the binomial variance; Freeman & Tukey 1950 for "PFT".
    """
    p = events / n
    if measure == "PR":
        return p, p * (1 - p) / n
    if measure == "PLN":
        return np.log(p), 1 / events - 1 / n
    if measure == "PLO":
        return np.log(events / (n - events)), 1 / events + 1 / (n - events)
    if measure == "PAS":
        return np.arcsin(np.sqrt(p)), 1 / (4 * n)
    if measure == "PBIT":
        z = scipy.special.ndtri(p)
        return z, 2 * np.pi * p * (1 - p) * np.exp(z**2) / n
    halves = np.arcsin(np.sqrt(events / (n + 1))) + np.arcsin(np.sqrt((events + 1) / (n + 1)))
    return halves / 2, 1 / (4 * n + 2)


def rate_values(events: np.ndarray, time: np.ndarray, measure: str) -> tuple[np.ndarray, np.ndarray]:
    """Transform rates, with their variances, from counts already corrected.

    Source: delta method on the Poisson variance; Freeman & Tukey 1950 for "IRFT".
    """
    if measure == "IR":
        return events / time, events / time**2
    if measure == "IRLN":
        return np.log(events / time), 1 / events
    if measure == "IRS":
        return np.sqrt(events / time), 1 / (4 * time)
    return (np.sqrt(events / time) + np.sqrt((events + 1) / time)) / 2, 1 / (4 * time)


def proportion_effect(
    events, n, measure: ProportionMeasure = "PLO", *, increment: float = 0.5, correct_estimate: bool = True
) -> Effect:
    """Compute the proportion of one group, raw or transformed.

    Parameters
    ----------
    events, n : float or array
        Events and people; n at least 1.
    measure : {"PR", "PLN", "PLO", "PAS", "PFT"}
        The proportion, its logarithm, its logit, the arcsine of its square root, or the double arcsine of
        Freeman and Tukey (the mean of the two arcsines).
    increment : float
        Added to events and non-events of a group with no events or only events, if the
        transformation needs it ("PR" for its variance); never for "PAS" and "PFT".
    correct_estimate : bool
        For "PR": use the increment in estimate and variance (escalc()) or in the variance only (metaprop()).

    Returns
    -------
    Effect

    Raises
    ------
    ValueError

    Source: Freeman & Tukey 1950; Stijnen, Hamza & Ozdemir 2010.
    Checked against: metafor 3.8-1 escalc(), meta 6.2-1 metaprop().

    Examples
    --------
    >>> te, se = proportion_effect(2, 40)
    >>> round(float(te), 4), round(float(se), 4)
    (-2.9444, 0.7255)
    """
    choice(measure, "measure", get_args(ProportionMeasure))
    increment = one_number(increment, "increment", "positive")
    events, n = _events_of(events, n)
    if measure not in NEVER_CORRECTED:
        added = np.where((events == 0) | (events == n), increment, 0.0)
        te, variance = proportion_values(events + added, n + 2 * added, measure)
        return as_effect(events / n if measure == "PR" and not correct_estimate else te, variance)
    return as_effect(*proportion_values(events, n, measure))


def _events_of(events, n) -> list[np.ndarray]:
    events, n = numbers({"events": "count", "n": "positive"}, {"events": events, "n": n})
    require(n >= 1, n, "n", "at least 1")
    require(events <= n, events, "events", "at most n")
    return [events, n]


def rate_effect(events, time, measure: RateMeasure = "IRLN", *, increment: float = 0.5) -> Effect:
    """Compute the incidence rate of one group, raw or transformed.

    Parameters
    ----------
    events, time : float or array
        Events and person-time; time above 0.
    measure : {"IR", "IRLN", "IRS", "IRFT"}
        The rate, its logarithm, its square root, or the mean of two square roots of Freeman and Tukey.
    increment : float
        Added to a count of 0 for "IR" and "IRLN".

    Source: Freeman & Tukey 1950; Stijnen, Hamza & Ozdemir 2010.  Checked against: metafor 3.8-1 escalc().
    """
    choice(measure, "measure", get_args(RateMeasure))
    increment = one_number(increment, "increment", "positive")
    events, time = numbers({"events": "count", "time": "positive"}, {"events": events, "time": time})
    if measure not in NEVER_CORRECTED:
        events = np.where(events == 0, increment, events)
    return as_effect(*rate_values(events, time, measure))


def correlation_effect(correlation, n, measure: CorrelationMeasure = "ZCOR") -> Effect:
    """Compute the correlation of one group, raw ("COR") or as Fisher's z ("ZCOR").

    Parameters
    ----------
    correlation : float or array
        Between -1 and 1, ends excluded.
    n : float or array
        People, at least 4.

    Source: Fisher 1921.  Checked against: metafor 3.8-1 escalc().
    """
    choice(measure, "measure", get_args(CorrelationMeasure))
    kinds = {"correlation": "correlation", "n": "sample size"}
    r, n = numbers(kinds, {"correlation": correlation, "n": n})
    require(np.abs(r) < 1, r, "correlation", "between -1 and 1, ends excluded")
    require(n >= 4, n, "n", "at least 4")
    if measure == "COR":
        return as_effect(r, (1 - r**2) ** 2 / (n - 1))
    return as_effect(np.arctanh(r), 1 / (n - 3))


def change_effect(
    n,
    mean1,
    sd1,
    mean2,
    sd2,
    correlation,
    measure: ChangeMeasure = "SMCC",
    *,
    divide_by: Literal["sd1", "sd2"] = "sd1",
    correction: Correction = "exact",
    borenstein: bool = False,
) -> Effect:
    """Compute the change of one group between two measurements, first minus second.

    Parameters
    ----------
    n : float or array
        People measured twice, at least 3.
    mean1, sd1, mean2, sd2 : float or array
        At the first-named measurement (usually after treatment) and the second-named (before).
    correlation : float or array
        Between a person's two measurements, from -1 to 1, ends excluded.
    measure : {"MC", "SMCC", "SMCR", "SMCRH", "ROMC", "CVRC", "VRC"}
        Mean change; mean change divided by the SD of the change ("SMCC") or by the SD of one measurement, with
        one variance ("SMCR") or two ("SMCRH"); logarithm of the ratio of means, of coefficients of variation
        or of SDs.
    divide_by : {"sd1", "sd2"}
        The SD for "SMCR" and "SMCRH": "sd1", as in escalc(), or "sd2", that of the measurement before.
    correction : {"exact", "approximate", "none"}
        Small-sample correction of the standardised measures, with n - 1 degrees of freedom.
    borenstein : bool
        For "SMCC" and "SMCR": the variance of the uncorrected effect times the correction squared.

    Returns
    -------
    Effect

    Raises
    ------
    ValueError

    Source: Becker 1988; Morris & DeShon 2002; Bonett 2008; Borenstein 2009; Lajeunesse 2011; Senior 2020.
    Checked against: metafor 3.8-1 escalc().
    """
    choice(measure, "measure", get_args(ChangeMeasure))
    kinds = {
        "n": "sample size",
        "mean1": "finite",
        "sd1": "positive",
        "mean2": "finite",
        "sd2": "positive",
        "correlation": "correlation",
    }
    n, mean1, sd1, mean2, sd2, r = numbers(kinds, locals())
    require(np.abs(r) < 1, r, "correlation", "between -1 and 1, ends excluded")
    require(n >= 3, n, "n", "at least 3")
    change = sd1**2 + sd2**2 - 2 * r * sd1 * sd2
    difference = mean1 - mean2
    if measure == "MC":
        return as_effect(difference, change / n)
    if measure in ("ROMC", "CVRC", "VRC"):
        return _log_ratio_change(n, mean1, sd1, mean2, sd2, r, measure)
    factor = small_sample_factor(n - 1, correction)
    choice(divide_by, "divide_by", ("sd1", "sd2"))
    sd = np.sqrt(change) if measure == "SMCC" else sd1 if divide_by == "sd1" else sd2
    d = difference / sd
    if measure == "SMCRH":
        return as_effect(factor * d, factor**2 * (change / sd**2 / (n - 1) + (factor * d) ** 2 / (2 * (n - 1))))
    sampling = (1 if measure == "SMCC" else 2 * (1 - r)) / n
    if borenstein:
        return as_effect(factor * d, factor**2 * (sampling + d**2 / (2 * n)))
    return as_effect(factor * d, sampling + (factor * d) ** 2 / (2 * n))


def _log_ratio_change(n, mean1, sd1, mean2, sd2, r, measure: str) -> Effect:
    if measure == "VRC":
        return as_effect(np.log(sd1 / sd2), (1 - r**2) / (n - 1))
    require(np.sign(mean1) * np.sign(mean2) > 0, mean2, "mean2", "a mean of the sign of mean1, as a ratio needs")
    for name, mean in (("mean1", mean1), ("mean2", mean2)):
        require(np.abs(mean) >= SMALLEST, mean, name, f"a mean of at least {SMALLEST:g} in size, as a ratio needs")
    cv1, cv2 = sd1 / mean1, sd2 / mean2
    means = (cv1**2 + cv2**2 - 2 * r * cv1 * cv2) / n
    if measure == "ROMC":
        return as_effect(np.log(mean1 / mean2), means)
    return as_effect(np.log(cv1 / cv2), (1 - r**2) / (n - 1) + means)


def back_transform(te, measure: ProportionMeasure | RateMeasure | CorrelationMeasure, *, n=None) -> np.ndarray:
    """Transform results back to proportions, rates or correlations.

    Parameters
    ----------
    te : float or array
    measure : str
        A measure of :func:`proportion_effect`, :func:`rate_effect` or :func:`correlation_effect`.
    n : float or array, optional
        For "PFT" only: the sample size or, for a pooled value, the harmonic mean of the studies' sizes.

    Returns
    -------
    float or ndarray
        For "PFT", 0 or 1 beyond the range of the transformation at n, and NaN below 0 or above pi / 2.

    Raises
    ------
    ValueError

    Source: Miller 1978 for "PFT".  Checked against: metafor 3.8-1 transf.ipft(), transf.ipft.hm().
    """
    (te,) = numbers({"te": "finite"}, {"te": te})
    simple = {
        "PR": lambda x: x,
        "PLN": np.exp,
        "PLO": scipy.special.expit,
        "PAS": _squared_sine,
        "IR": lambda x: x,
        "IRLN": np.exp,
        "IRS": lambda x: np.maximum(x, 0.0) ** 2,
        "COR": lambda x: x,
        "ZCOR": np.tanh,
    }
    choice(measure, "measure", (*simple, "PFT"))
    if measure in ("PLN", "IRLN"):
        require(te <= LARGEST_LOG, te, "te", f"at most {LARGEST_LOG}, the logarithm of the largest number")
    if measure != "PFT":
        return simple[measure](te)[()]
    if n is None:
        raise ValueError("n: the double arcsine needs a sample size to be transformed back")
    te, n = numbers({"te": "finite", "n": "positive"}, {"te": te, "n": n})
    low, high = (proportion_values(e, n, "PFT")[0] for e in (np.zeros_like(n), n))
    angle = np.clip(2 * te, 1e-9, np.pi - 1e-9)
    sine = np.sin(angle)
    inside = 1 - (sine + (sine - 1 / sine) / n) ** 2
    p = (1 - np.sign(np.cos(angle)) * np.sqrt(np.maximum(inside, 0.0))) / 2
    p = np.where(te <= low, 0.0, np.where(te >= high, 1.0, p))
    return np.where((te < 0) | (te > np.pi / 2), np.nan, p)[()]


def _squared_sine(te: np.ndarray) -> np.ndarray:
    """Compute the squared sine; 0 or 1 beyond the ends of the arcsine scale."""
    return np.sin(np.clip(te, 0.0, np.pi / 2)) ** 2


def proportion_interval(
    events, n, method: ProportionInterval = "CP", *, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Compute a confidence interval for one proportion.

    Parameters
    ----------
    events, n : float or array
    method : {"CP", "WS", "WSCC", "AC", "SA", "SACC", "NAsm"}
        Clopper-Pearson; Wilson's score without and with continuity correction; Agresti-Coull; simple
        asymptotic without and with continuity correction; normal on the logit scale, with limits on that scale.
    level : float

    Returns
    -------
    lower, upper : float or ndarray
        "SA" and "SACC" are cut at 0 and 1.

    Source: Clopper & Pearson 1934; Wilson 1927; Newcombe 1998; Agresti & Coull 1998.
    Checked against: meta 6.2-1 metaprop(method.ci = ...).

    Examples
    --------
    >>> lower, upper = proportion_interval(3, 30)
    >>> round(float(lower), 4), round(float(upper), 4)
    (0.0211, 0.2653)
    """
    choice(method, "method", get_args(ProportionInterval))
    level = one_number(level, "level", "level")
    events, n = _events_of(events, n)
    p, z = events / n, scipy.special.ndtri((1 + level) / 2)
    if method == "CP":
        tail = (1 - level) / 2
        inverse, none = scipy.special.betaincinv, n - events
        lower = np.where(events == 0, 0.0, inverse(np.maximum(events, 1e-300), none + 1, tail))
        upper = np.where(events == n, 1.0, inverse(events + 1, np.maximum(none, 1e-300), 1 - tail))
    elif method == "NAsm":
        te, se = proportion_effect(events, n, "PLO")
        lower, upper = te - z * se, te + z * se
    elif method == "WS":
        centre, reach = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
        lower, upper = (centre - reach) / (1 + z**2 / n), (centre + reach) / (1 + z**2 / n)
    elif method == "AC":
        size = n + z**2
        centre = (events + z**2 / 2) / size
        reach = z * np.sqrt(centre * (1 - centre) / size)
        lower, upper = np.maximum(centre - reach, 0.0), np.minimum(centre + reach, 1.0)
    elif method == "WSCC":
        lower, upper = _wilson_corrected(p, n, z)
    else:
        reach = z * np.sqrt(p * (1 - p) / n) + (1 / (2 * n) if method == "SACC" else 0.0)
        lower, upper = np.maximum(p - reach, 0.0), np.minimum(p + reach, 1.0)
    return np.asarray(lower)[()], np.asarray(upper)[()]


def _wilson_corrected(p: np.ndarray, n: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray]:
    """Compute Wilson's interval with continuity correction.  Source: Newcombe 1998, method 4."""
    below = z**2 - 2 - 1 / n + 4 * p * (n * (1 - p) + 1)
    above = z**2 + 2 - 1 / n + 4 * p * (n * (1 - p) - 1)
    lower = (2 * n * p + z**2 - 1 - z * np.sqrt(np.maximum(below, 0.0))) / (2 * (n + z**2))
    upper = (2 * n * p + z**2 + 1 + z * np.sqrt(np.maximum(above, 0.0))) / (2 * (n + z**2))
    return np.where(p == 0, 0.0, np.maximum(lower, 0.0)), np.where(p == 1, 1.0, np.minimum(upper, 1.0))
