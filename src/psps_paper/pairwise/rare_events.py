"""Mantel-Haenszel and Peto meta-analysis of rare events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
import scipy

from psps_paper.effects.checks import choice, numbers, one_number, require
from psps_paper.effects.single_arm import proportion_values, rate_values
from psps_paper.network.heterogeneity import p_of_q
from psps_paper.pairwise.random_effects import study_estimates
from psps_paper.pairwise.results import Result, interval

MHMeasure = Literal["OR", "RR", "RD", "IRR", "IRD"]
RDVariance = Literal["Sato", "Greenland-Robins"]
NOTHING = "events: in every study all groups have no events, or all groups have only events"
TRANSFORMATION = {"OR": "PLO", "RR": "PLN", "RD": "PR", "IRR": "IRLN", "IRD": "IR"}


@dataclass(frozen=True, eq=False)
class RareEventsFit(Result):
    """Result of :func:`mantel_haenszel` and :func:`peto`.

    Attributes
    ----------
    method, measure : str
        "Mantel-Haenszel" or "Peto"; ratios are on the log scale, group 1 against group 2.
    te, se, lower, upper, p : float
    q, df_q, p_q : float
        Cochran's Q of the studies about te, and its chi-squared test.
    k, k_used : int
        Numbers of studies given, and of those with events (and, for people, non-events) in at least one group.
    te_random, se_random, lower_random, upper_random, tau2 : float
        Inverse-variance random effects with the DerSimonian-Laird tau2 from Q about te.
    cmh, p_cmh : float or None
        For the OR: Cochran-Mantel-Haenszel statistic with continuity correction.
    tarone, p_tarone : float or None
        For the OR: Breslow and Day's test of one common odds ratio with Tarone's correction.
    studies : DataFrame [te, se]
        One row per study given; excluded studies are NaN.
    """

    method: str
    measure: str
    te: float
    se: float
    lower: float
    upper: float
    p: float
    q: float
    df_q: int
    p_q: float
    k: int
    k_used: int
    te_random: float
    se_random: float
    lower_random: float
    upper_random: float
    tau2: float
    cmh: float | None
    p_cmh: float | None
    tarone: float | None
    p_tarone: float | None
    studies: pd.DataFrame

    @property
    def title(self) -> str:
        return f"{self.method} meta-analysis, {self.measure}, {self.k_used} of {self.k} studies with events"


def two_groups(events1, n1, events2, n2, *, time: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Check events and sizes and return them as [2 x k].

    Raises
    ------
    ValueError
        Naming study (row), column, value and what was expected.
    """
    second = ("time1", "time2") if time else ("n1", "n2")
    kinds = {"events1": "count", second[0]: "positive", "events2": "count", second[1]: "positive"}
    values = dict(zip(kinds, (np.atleast_1d(x) for x in (events1, n1, events2, n2)), strict=True))
    e1, s1, e2, s2 = numbers(kinds, values, source="studies")
    if e1.ndim != 1 or not len(e1):
        raise ValueError(f"events1: shape {e1.shape} is not (k,) with k at least 1")
    if not time:
        for group, e, s in (("1", e1, s1), ("2", e2, s2)):
            require(s >= 1, s, f"n{group}", "at least 1", source="studies")
            require(e <= s, e, f"events{group}", f"at most n{group}", source="studies")
    return np.stack([e1, e2]), np.stack([s1, s2])


def informative(events: np.ndarray, size: np.ndarray, *, time: bool) -> np.ndarray:
    """Return which studies have events and, for people, non-events in at least one group."""
    some = (events > 0).any(axis=0)
    return np.asarray(some if time else some & (events < size).any(axis=0))


def study_effects(events: np.ndarray, size: np.ndarray, measure: str) -> tuple[np.ndarray, np.ndarray]:
    """Compute te and variance of each study, adding 0.5 to all cells of a study with an empty cell."""
    time = measure in ("IRR", "IRD")
    empty = (events == 0) | ((events == size) if not time else False)
    added = 0.5 * empty.any(axis=0)
    transform = rate_values if time else proportion_values
    value, variance = transform(events + added, size if time else size + 2 * added, TRANSFORMATION[measure])
    return value[0] - value[1], variance.sum(axis=0)


def pool_about(te, se, centre: float, *, df: int | None = None) -> tuple[float, float, float, float]:
    """Compute Q about a given estimate, its DerSimonian-Laird tau2, and the random-effects mean with its se.

    Parameters
    ----------
    te, se : array (k,)
    centre : float
        The given estimate, such as Mantel-Haenszel's.
    df : int, optional
        Degrees of freedom of Q; default k - 1.

    Returns
    -------
    q, tau2, te_random, se_random : float

    Source: DerSimonian & Laird 1986.  Checked against: meta 6.2-1 metabin(method = "MH").
    """
    te, se = study_estimates(te, se)
    centre = one_number(centre, "centre", "finite")
    if df is not None:
        one_number(df, "df", "finite")
    w = se**-2.0
    q = float((w * (te - centre) ** 2).sum())
    spread = w.sum() - (w**2).sum() / w.sum()
    df = len(te) - 1 if df is None else df
    tau2 = max(0.0, (q - df) / spread) if df > 0 and spread > 0 else 0.0
    w = 1 / (se**2 + tau2)
    return q, float(tau2), float((w * te).sum() / w.sum()), float(w.sum() ** -0.5)


def mantel_haenszel(
    events1,
    n1,
    events2,
    n2,
    measure: MHMeasure = "OR",
    *,
    increment: float = 0.0,
    variance: RDVariance = "Sato",
    level: float = 0.95,
) -> RareEventsFit:
    """Fit a Mantel-Haenszel meta-analysis of two-by-two tables or of rates.

    Parameters
    ----------
    events1, n1, events2, n2 : array (k,)
        Events and people of groups 1 and 2; for "IRR" and "IRD", person-time instead of people.
    measure : {"OR", "RR", "RD", "IRR", "IRD"}
        Ratios are returned as logarithms.
    increment : float
        Added to all cells of studies with an empty cell before summing (for differences, only in the
        weights and the variance). With 0, the default, a ratio needs events in each group in at least one study.
    variance : {"Sato", "Greenland-Robins"}
        For "RD" only. "Sato" is valid both for few large and for many small studies.
    level : float

    Returns
    -------
    RareEventsFit
        A study with no events (or only events) in both groups does not contribute to OR, RR and IRR. It contributes
        to RD and IRD, but not to Q, as in metafor. For Q, 0.5 is added to the cells of studies with an
        empty cell.

    Raises
    ------
    ValueError
        Also if a ratio is 0 or infinite because one group has no events in any study.

    Source: Mantel & Haenszel 1959; Robins, Breslow & Greenland 1986 (OR); Greenland & Robins 1985 (RR, RD,
    IRR, IRD); Sato, Greenland & Robins 1989 (RD); Tarone 1985.
    Checked against: metafor 3.8-1 rma.mh(), meta 6.2-1 metabin(), metainc().

    Examples
    --------
    >>> fit = mantel_haenszel([4, 0, 3], [50, 40, 60], [9, 2, 5], [52, 41, 58])
    >>> round(fit.te, 3), round(fit.se, 3), fit.k_used
    (-0.9, 0.475, 3)
    """
    choice(measure, "measure", get_args(MHMeasure))
    choice(variance, "variance", get_args(RDVariance))
    increment = one_number(increment, "increment", "not negative")
    time = measure in ("IRR", "IRD")
    events, size = two_groups(events1, n1, events2, n2, time=time)
    use = informative(events, size, time=time)
    if not use.any():
        raise ValueError(NOTHING)
    cells, total = _with_increment(events, size, use, increment, measure)
    if measure in ("RD", "IRD"):
        te, v = _mantel_haenszel_difference(events / size, cells, total, measure, variance)
    else:
        te, v = _mantel_haenszel_ratio(cells, total, measure)
    tests = _odds_ratio_tests(events[:, use], size[:, use], te) if measure == "OR" else (None,) * 4
    effects = study_effects(events, size, measure)
    return _fit("Mantel-Haenszel", measure, te, v, effects, use, tests, level)


def _with_increment(events, size, use, increment: float, measure: str):
    time = measure in ("IRR", "IRD")
    if measure in ("OR", "RR", "IRR"):
        events, size = events[:, use], size[:, use]
    empty = (events == 0) | ((events == size) if not time else False)
    added = increment * empty.any(axis=0)
    return events + added, size if time else size + 2 * added


def _mantel_haenszel_difference(risk, events, size, measure: str, variance: str) -> tuple[float, float]:
    """Pool differences of the observed risks or rates; an increment affects only the weights and the variance."""
    (x1, x2), (n1, n2) = events, size
    weight = n1 * n2 / (n1 + n2)
    te = (weight * (risk[0] - risk[1])).sum() / weight.sum()
    return te, _difference_variance(x1, n1, x2, n2, te, measure, variance) / weight.sum() ** 2


def _mantel_haenszel_ratio(events, size, measure: str) -> tuple[float, float]:
    (x1, x2), (n1, n2) = events, size
    total = n1 + n2
    if measure == "OR":
        r, s = x1 * (n2 - x2) / total, x2 * (n1 - x1) / total
    else:
        r, s = x1 * n2 / total, x2 * n1 / total
    for sum_of, group, other in ((r.sum(), 1, 2), (s.sum(), 2, 1)):
        if sum_of <= 0:
            why = f"group {group} has no events, or group {other} only events, in the studies used"
            raise ValueError(f"measure: {measure} is 0 or infinite, because {why}; use RD, or an increment above 0")
    te = np.log(r.sum() / s.sum())
    if measure == "OR":
        p, q = (x1 + n2 - x2) / total, (x2 + n1 - x1) / total
        v = (p * r).sum() / r.sum() ** 2 + (p * s + q * r).sum() / (r.sum() * s.sum()) + (q * s).sum() / s.sum() ** 2
        v /= 2
    elif measure == "RR":
        v = ((x1 + x2) * n1 * n2 / total**2 - x1 * x2 / total).sum() / (r.sum() * s.sum())
    else:
        v = ((x1 + x2) * n1 * n2 / total**2).sum() / (r.sum() * s.sum())
    return te, v


def _difference_variance(x1, n1, x2, n2, te: float, measure: str, variance: str) -> float:
    total = n1 + n2
    if measure == "IRD":
        return ((x1 * n2**2 + x2 * n1**2) / total**2).sum()
    if variance == "Greenland-Robins":
        return ((x1 * (n1 - x1) * n2**3 + x2 * (n2 - x2) * n1**3) / (n1 * n2 * total**2)).sum()
    p = (n1**2 * x2 - n2**2 * x1 + n1 * n2 * (n2 - n1) / 2) / total**2
    q = (x1 * (n2 - x2) + x2 * (n1 - x1)) / (2 * total)
    return te * p.sum() + q.sum()


def _fit(method, measure, te, v, effects, use, tests, level: float) -> RareEventsFit:
    if not (np.isfinite(v) and v > 0):
        raise ValueError(f"measure: {measure} has the variance {v:g} in these studies, which is not above 0")
    te, se = float(te), float(np.sqrt(v))
    lower, upper, p = interval(te, se, level)
    study_te, study_v = (np.where(use, x, np.nan) for x in effects)
    df = int(use.sum()) - 1
    q, tau2, te_random, se_random = pool_about(study_te[use], np.sqrt(study_v[use]), te)
    lower_random, upper_random, _ = interval(te_random, se_random, level)
    return RareEventsFit(
        method=method,
        measure=measure,
        te=te,
        se=se,
        lower=lower,
        upper=upper,
        p=p,
        q=q,
        df_q=df,
        p_q=float(p_of_q(np.array([q]), df)[0]),
        k=len(use),
        k_used=int(use.sum()),
        te_random=te_random,
        se_random=se_random,
        lower_random=lower_random,
        upper_random=upper_random,
        tau2=tau2,
        cmh=tests[0],
        p_cmh=tests[1],
        tarone=tests[2],
        p_tarone=tests[3],
        studies=pd.DataFrame({"te": study_te, "se": np.sqrt(study_v)}),
    )


def _peto_terms(events: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute observed minus expected events of group 1, and the hypergeometric variance."""
    total, m = size.sum(axis=0), events.sum(axis=0)
    difference = events[0] - size[0] * m / total
    v = size[0] * size[1] * (m / total) * (1 - m / total) / np.maximum(total - 1, 1e-300)
    return difference, v


def _odds_ratio_tests(events, size, te: float) -> tuple[float, float, float, float]:
    """Compute CMH with continuity correction, and Breslow-Day-Tarone, with their p-values."""
    difference, v = _peto_terms(events, size)
    if v.sum() <= 0:
        return np.nan, np.nan, np.nan, np.nan
    cmh = max(0.0, abs(difference.sum()) - 0.5) ** 2 / v.sum()
    expected = _expected_at_odds_ratio(events, size, np.exp(te))
    (n1, n2), m = size, events.sum(axis=0)
    cells = np.stack([expected, n1 - expected, m - expected, n2 - m + expected])
    with np.errstate(divide="ignore"):
        variance = 1 / (1 / np.maximum(cells, 0.0)).sum(axis=0)
    gap = events[0] - expected
    use = variance > 0
    tarone = float((gap[use] ** 2 / variance[use]).sum() - gap.sum() ** 2 / variance.sum()) if use.any() else np.nan
    df = events.shape[1] - 1
    p_tarone = float(scipy.special.chdtrc(df, max(tarone, 0.0))) if df else np.nan
    return float(cmh), float(scipy.special.chdtrc(1, cmh)), tarone, p_tarone


def _expected_at_odds_ratio(events, size, odds: float) -> np.ndarray:
    """Find the events of group 1 at which, with the observed margins, the odds ratio is ``odds``."""
    (n1, n2), m = size, events.sum(axis=0)
    if abs(odds - 1) < 1e-9:
        return n1 * m / (n1 + n2)
    b = odds * (n1 + m) + n2 - m
    root = np.sqrt(np.maximum(b**2 - 4 * odds * (odds - 1) * n1 * m, 0.0))
    # Use the form of the root whose terms have the same sign, to avoid cancellation.
    return np.where(b >= 0, 2 * odds * n1 * m / np.where(b >= 0, b + root, 1.0), (b - root) / (2 * (odds - 1)))


def peto(events1, n1, events2, n2, *, level: float = 0.95) -> RareEventsFit:
    """Pool Peto's one-step odds ratios.

    Parameters
    ----------
    events1, n1, events2, n2 : array (k,)
        Events and people of groups 1 and 2. No correction is needed; studies with no events, or only
        events, in both groups give no information and are excluded.
    level : float

    Returns
    -------
    RareEventsFit
        te is the log odds ratio, sum of (O - E) over sum of V. It suits rare events, groups of similar size
        and small effects, and is biased otherwise (Greenland & Salvan 1990).

    Raises
    ------
    ValueError

    Source: Yusuf 1985.  Checked against: metafor 3.8-1 rma.peto(), meta 6.2-1 metabin(method = "Peto").

    Examples
    --------
    >>> fit = peto([4, 0, 3], [50, 40, 60], [9, 2, 5], [52, 41, 58])
    >>> round(fit.te, 3), round(fit.se, 3)
    (-0.846, 0.437)
    """
    events, size = two_groups(events1, n1, events2, n2)
    use = informative(events, size, time=False)
    if not use.any():
        raise ValueError(NOTHING)
    difference, v = _peto_terms(events, size)
    v = np.where(use, v, np.nan)
    te = difference[use].sum() / v[use].sum()
    tests = _odds_ratio_tests(events[:, use], size[:, use], te)
    return _fit("Peto", "OR", te, 1 / v[use].sum(), (difference / v, 1 / v), use, (*tests[:2], None, None), level)
