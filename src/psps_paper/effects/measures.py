"""Effects of two groups on all common measures, and contrasts from tables of arms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd

from psps_paper.effects.arms import _check_labels, _missing_numbers, require_columns
from psps_paper.effects.checks import choice, numbers, one_number, require
from psps_paper.effects.estimates import Correction, small_sample_factor, unbiased_excess
from psps_paper.effects.reports import complete_means
from psps_paper.effects.single_arm import proportion_values, rate_values
from psps_paper.effects.tetrachoric import tetrachoric

ContinuousMeasure = Literal["MD", "SMD", "SMDH", "SMD1", "SMD1H", "ROM", "CVR", "VR", "D2ORL", "D2ORN"]
BinaryMeasure = Literal["OR", "RR", "RD", "AS", "PETO", "PBIT", "OR2DL", "OR2DN", "YUQ", "YUY", "PHI", "RTET"]
RateContrast = Literal["IRR", "IRD", "IRSD"]
ContinuityRule = Literal["only0", "all", "if0all", "none", "treatment_arm"]
SMDVariance = Literal["LS", "LS2", "UB", "AV", "RevMan", "HO"]

COLUMNS = {
    **{key: {"n": "sample size", "mean": "finite", "sd": "positive"} for key in get_args(ContinuousMeasure)},
    **{key: {"events": "count", "n": "positive"} for key in get_args(BinaryMeasure)},
    **{key: {"events": "count", "time": "positive"} for key in get_args(RateContrast)},
}
MEASURES = tuple(COLUMNS)
# Measures defined for two arms only: contrasts with a third arm would not be consistent.
TWO_ARMS_ONLY = {"SMD1", "SMD1H", "PETO", "YUQ", "YUY", "PHI", "RTET"}
NO_CONTINUITY = {"AS", "PHI", "RTET", "IRSD"}
# SD of the standard logistic distribution, and the constant of Cox & Snell 1989.
LOGISTIC_SD, COX_SNELL = np.pi / np.sqrt(3), 1.65
VARIANCES = {
    "SMD": ("LS", "LS2", "UB", "AV", "RevMan"),
    "SMD1": ("LS", "RevMan"),
    "MD": ("LS", "HO"),
    "ROM": ("LS", "HO"),
}


class EffectSizes(pd.DataFrame):
    """Contrasts [study, treat1, treat2, te, se], with a list of those that could not be computed.

    Attributes
    ----------
    measure : str
    excluded : DataFrame [study, treat1, treat2, reason]
        Contrasts without a finite te and a positive se, and arms that were not usable (``treat2``
        empty).
    """

    # pandas passes attributes listed in _metadata on to copies.
    _metadata: ClassVar[list[str]] = ["measure", "excluded"]

    def to_frame(self) -> pd.DataFrame:
        """Return the contrasts as a plain DataFrame."""
        return pd.DataFrame(self)

    def summary(self) -> str:
        """Format the contrasts and the exclusions as text."""
        studies = self["study"].nunique()
        lines = [f"{len(self)} contrasts from {studies} studies, measure {self.measure}, treat1 minus treat2"]
        lines.append(self.to_frame().to_string(index=False, float_format=lambda x: f"{x:.4f}"))
        for row in self.excluded.itertuples():
            against = f" vs {row.treat2}" if row.treat2 else ""
            lines.append(f"Excluded: {row.study}, {row.treat1}{against}: {row.reason}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Options:
    """Options of :func:`effect_sizes`."""

    variance: SMDVariance
    correction: Correction
    continuity: ContinuityRule
    increment: float
    double_zero: str
    correct_estimate: bool
    rr_increments: int


class _Pairs(NamedTuple):
    """Contrasts as positions in the arms: ``study`` is a code for each arm."""

    first: np.ndarray
    second: np.ndarray
    study: np.ndarray


def effect_sizes(
    arms: pd.DataFrame,
    measure: str = "MD",
    *,
    variance: SMDVariance = "LS",
    correction: Correction = "exact",
    continuity: ContinuityRule | None = None,
    increment: float = 0.5,
    double_zero: Literal["keep", "drop"] = "keep",
    correct_estimate: bool = True,
    rr_increments: Literal[1, 2] = 2,
    source: str = "arms",
) -> EffectSizes:
    """Compute the contrasts of each study on any measure, treat1 minus treat2.

    Parameters
    ----------
    arms : DataFrame
        One row per arm: ``study``, ``treatment`` and, by measure, ``n, mean, sd`` (see below),
        ``events, n`` or ``events, time`` (person-time). A study with a arms gives a (a - 1) / 2 rows,
        in the order in which its arms are listed. A missing ``mean`` or ``sd`` is computed
        from ``se``, from ``lower, upper`` (a 95 % interval, t with n - 1 degrees of freedom), or from
        ``median`` with ``q1, q3`` or ``minimum, maximum`` or all four.
    measure : str
        Means: "MD"; "SMD" with the pooled SD; "SMDH" with the square root of the mean variance; "SMD1",
        "SMD1H" with the SD of treat2; log ratios of means "ROM", of coefficients of variation "CVR",
        of SDs "VR"; "D2ORL", "D2ORN": log odds ratio from the uncorrected SMD, logistic or normal.
        Events: "OR", "RR" (logarithms), "RD", "AS" (difference of arcsines), "PETO", "PBIT" (difference
        of probits), "OR2DL", "OR2DN" (SMD from the log odds ratio), "YUQ", "YUY" (Yule), "PHI",
        "RTET" (tetrachoric correlation). Rates: "IRR" (logarithm), "IRD", "IRSD" (difference of square roots).
    variance : {"LS", "LS2", "UB", "AV", "RevMan", "HO"}
        For "SMD", in this order: large-sample; Borenstein's, with the correction squared; unbiased;
        large-sample at the mean SMD of all studies (which must compare the same two treatments); RevMan's,
        with its approximate correction. For "SMD1": "LS" or "RevMan" (as for Glass's delta in meta). For "MD"
        and "ROM": "LS", or "HO" with one variance for all arms. Other measures accept only "LS".
    correction : {"exact", "approximate", "none"}
        Small-sample correction of the SMDs.
    continuity : {"only0", "all", "if0all", "none", "treatment_arm"}, optional
        Where ``increment`` is added to events and non-events of each arm: in studies with an empty cell, in
        all, in all if any study has an empty cell, in none, or in studies with an empty cell in
        proportion to the arm's size. "none" is the default for "PETO", "only0" for all others; "AS", "PHI",
        "RTET" and "IRSD" are never corrected.
    increment : float
        Above 0.
    double_zero : {"keep", "drop"}
        Studies without events in any arm (or, for people, with events in everyone): computed as the
        measure and the correction define them, or listed in ``excluded``. They have no information on OR and RR.
    correct_estimate : bool
        For "RD" and "IRD": add the increment to estimate and variance (as escalc() does), or to the
        variance only (as metabin() and :func:`contrasts_from_arms` do).
    rr_increments : {1, 2}
        Number of increments added to the people of an arm for "RR": 2, one each for events and non-events
        (escalc(), RevMan), or 1 (metabin()).
    source : str
        File or table named in errors.

    Returns
    -------
    EffectSizes
        A DataFrame [study, treat1, treat2, te, se] for :func:`psps_paper.network.fit_network`, with
        ``excluded``, ``to_frame()`` and ``summary()``.

    Raises
    ------
    ValueError
        Naming source, row, study, column, value and what was expected.

    Notes
    -----
    In a study with three or more arms the SMDs use one SD pooled over all its arms, so that its contrasts are
    consistent. Measures defined for two arms only raise an error that names the study.

    Source: Hedges 1981; Hedges & Olkin 1985; Bonett 2008, 2009; Hedges, Gurevitch & Curtis 1999;
    Nakagawa 2015; Chinn 2000; Yusuf 1985; Rücker 2009 ("AS"); Yule 1912; Pearson 1900; Sweeting 2004.
    Checked against: metafor 3.8-1 escalc(), meta 6.2-1 metacont(), metabin(), metainc().

    Examples
    --------
    >>> arms = pd.DataFrame({"study": ["a", "a"], "treatment": ["x", "y"], "events": [0, 4], "n": [25, 27]})
    >>> effect_sizes(arms, measure="OR").round(3).values.tolist()
    [['a', 'x', 'y', -2.279, 1.518]]
    """
    choice(measure, "measure", MEASURES)
    options = _options(
        measure, variance, correction, continuity, increment, double_zero, correct_estimate, rr_increments
    )
    require_columns(arms, ["study", "treatment"], source)
    _check_labels(arms, source)
    kinds = COLUMNS[measure]
    if "mean" in kinds:
        arms = complete_means(arms, source=source)
    require_columns(arms, list(kinds), source)
    reasons = _missing_numbers(arms, list(kinds))
    used = arms.iloc[np.flatnonzero(reasons == "")]
    rows = [f"{row} (study {study})" for row, study in zip(used.index, used["study"], strict=True)]
    values = dict(zip(kinds, numbers(kinds, used, rows=rows, source=source), strict=True))
    if "n" in kinds and "events" in kinds:
        require(values["n"] >= 1, values["n"], "n", "at least 1", rows=rows, source=source)
        require(values["events"] <= values["n"], values["events"], "events", "at most n", rows=rows, source=source)
    pairs = _pairs(used, measure, source)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        te, v, reason = _compute(values, pairs, used, measure, options)
    return _assemble(arms, reasons, used, pairs, te, v, reason, measure)


def _options(
    measure, variance, correction, continuity, increment, double_zero, correct_estimate, rr_increments
) -> Options:
    choice(variance, "variance", VARIANCES.get(measure, ("LS",)))
    choice(correction, "correction", get_args(Correction))
    continuity = continuity or ("none" if measure == "PETO" else "only0")
    choice(continuity, "continuity", get_args(ContinuityRule))
    choice(double_zero, "double_zero", ("keep", "drop"))
    increment = one_number(increment, "increment", "positive")
    if rr_increments not in (1, 2):
        raise ValueError(f"rr_increments: {rr_increments} is not 1 or 2")
    return Options(variance, correction, continuity, increment, double_zero, correct_estimate, rr_increments)


def _pairs(used: pd.DataFrame, measure: str, source: str) -> _Pairs:
    codes, studies = pd.factorize(used["study"])
    members: list[list[int]] = [[] for _ in studies]
    for position, code in enumerate(codes):
        members[code].append(position)
    if measure in TWO_ARMS_ONLY:
        for study, mine in zip(studies, members, strict=True):
            if len(mine) > 2:
                raise ValueError(f"{source}, study {study}: {len(mine)} arms, but {measure} compares exactly two")
    both = [pair for mine in members for pair in combinations(mine, 2)]
    first, second = np.array(both, int).reshape(-1, 2).T
    return _Pairs(first, second, codes)


def _compute(values, pairs: _Pairs, used: pd.DataFrame, measure: str, options: Options):
    """Compute te, its variance and, where known, the reason why a contrast has neither."""
    reason = np.full(len(pairs.first), "", object)
    if measure in get_args(ContinuousMeasure):
        te, v = _continuous(values, pairs, used, measure, options)
        return te, v, reason
    people = measure in get_args(BinaryMeasure)
    events, size = values["events"], values["n" if people else "time"]
    empty = events == 0
    full = (events == size) if people else np.zeros(len(events), bool)
    nothing = _all_of_study(empty, pairs.study) | _all_of_study(full, pairs.study)
    if options.double_zero == "drop":
        reason[nothing[pairs.first]] = "no events, or only events, in every arm of the study"
    corrected, corrected_size = events, size
    if measure not in NO_CONTINUITY:
        added = _added(empty | full, pairs.study, size, options)
        times = options.rr_increments if measure == "RR" else 2
        corrected, corrected_size = events + added, size + times * added * people
    te, v = _counts(events, size, corrected, corrected_size, pairs, measure)
    if measure in ("RD", "IRD") and not options.correct_estimate:
        risk = events / size
        te = risk[pairs.first] - risk[pairs.second]
    return te, v, reason


def _all_of_study(flag: np.ndarray, study: np.ndarray) -> np.ndarray:
    """Return, for each arm, whether the flag holds for every arm of its study."""
    return (np.bincount(study, ~flag) == 0)[study] if len(study) else flag


def _added(zero: np.ndarray, study: np.ndarray, size: np.ndarray, options: Options) -> np.ndarray:
    if options.continuity == "none" or not len(study):
        return np.zeros(len(zero))
    use = (np.bincount(study, zero) > 0)[study]
    if options.continuity == "all" or (options.continuity == "if0all" and zero.any()):
        use = np.ones(len(zero), bool)
    share = 1.0
    if options.continuity == "treatment_arm":
        share = size / (np.bincount(study, size) / np.bincount(study))[study]
    return np.where(use, options.increment * share, 0.0)


def _difference(arm: tuple[np.ndarray, np.ndarray], pairs: _Pairs) -> tuple[np.ndarray, np.ndarray]:
    value, variance = arm
    return value[pairs.first] - value[pairs.second], variance[pairs.first] + variance[pairs.second]


# Transformations of one arm; the measure is their difference.
OF_ONE_ARM = {"OR": "PLO", "OR2DL": "PLO", "OR2DN": "PLO", "RR": "PLN", "RD": "PR", "AS": "PAS", "PBIT": "PBIT"}
OF_ONE_RATE = {"IRR": "IRLN", "IRD": "IR", "IRSD": "IRS"}


def _counts(events, size, corrected, corrected_size, pairs: _Pairs, measure: str):
    if measure in OF_ONE_RATE:
        return _difference(rate_values(corrected, corrected_size, OF_ONE_RATE[measure]), pairs)
    if measure in OF_ONE_ARM:
        te, v = _difference(proportion_values(corrected, corrected_size, OF_ONE_ARM[measure]), pairs)
        scale = {"OR2DL": LOGISTIC_SD, "OR2DN": COX_SNELL}.get(measure, 1.0)
        return te / scale, v / scale**2
    table: Callable = {"PETO": _peto, "YUQ": _yule, "YUY": _yule_root, "PHI": _phi, "RTET": tetrachoric}[measure]
    a, c = corrected[pairs.first], corrected[pairs.second]
    b, d = corrected_size[pairs.first] - a, corrected_size[pairs.second] - c
    return table(a, b, c, d)


def _peto(a, b, c, d):
    """Compute the one-step log odds ratio (O - E) / V with variance 1 / V."""
    n1, n2, m1, m2 = a + b, c + d, a + c, b + d
    total = n1 + n2
    v = n1 * n2 * m1 * m2 / (total**2 * (total - 1))
    return (a - n1 * m1 / total) / v, 1 / v


def _yule(a, b, c, d):
    odds = a * d / (b * c)
    q = (odds - 1) / (odds + 1)
    return q, (1 - q**2) ** 2 / 4 * (1 / a + 1 / b + 1 / c + 1 / d)


def _yule_root(a, b, c, d):
    root = np.sqrt(a * d / (b * c))
    y = (root - 1) / (root + 1)
    return y, (1 - y**2) ** 2 / 16 * (1 / a + 1 / b + 1 / c + 1 / d)


def _phi(a, b, c, d):
    """Compute the phi coefficient and its variance when only the table's total is fixed (Yule 1912)."""
    n1, n2, m1, m2 = a + b, c + d, a + c, b + d
    total = n1 + n2
    rows, columns = n1 * n2, m1 * m2
    phi = (a * d - b * c) / np.sqrt(rows * columns)
    row_skew, column_skew = (n1 - n2) / np.sqrt(rows), (m1 - m2) / np.sqrt(columns)
    v = 1 - phi**2 + phi * (1 + phi**2 / 2) * row_skew * column_skew - 0.75 * phi**2 * (row_skew**2 + column_skew**2)
    return phi, v / total


def _continuous(values, pairs: _Pairs, used: pd.DataFrame, measure: str, options: Options):
    n, mean, sd = values["n"], values["mean"], values["sd"]
    if measure in ("MD", "ROM"):
        if options.variance == "HO":
            sd = np.sqrt(_pooled(n, sd, pairs.study)[0])
        if measure == "MD":
            return _difference((mean, sd**2 / n), pairs)
        return _log_ratio(mean, (sd / mean) ** 2 / n, mean, pairs)
    log_sd = np.log(sd) + 1 / (2 * (n - 1)), 1 / (2 * (n - 1))
    if measure == "VR":
        return _difference(log_sd, pairs)
    if measure == "CVR":
        te, v = _log_ratio(1 / mean, (sd / mean) ** 2 / n, mean, pairs)
        difference = _difference(log_sd, pairs)
        return te + difference[0], v + difference[1]
    if measure in ("SMD1", "SMD1H"):
        return _glass(n, mean, sd, pairs, measure, options)
    if measure == "SMDH":
        return _heteroscedastic(n, mean, sd, pairs, options)
    return _standardised(n, mean, sd, pairs, used, measure, options)


def _log_ratio(value, variance, mean, pairs: _Pairs):
    """Compute the log ratio of means (or inverse means) of the same sign; NaN where their signs differ."""
    same = mean[pairs.first] * mean[pairs.second] > 0
    te, v = _difference((np.log(np.abs(value)), variance), pairs)
    return np.where(same, te, np.nan), v


def _pooled(n, sd, study) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pooled variance, degrees of freedom and people of each arm's study."""
    df, people = np.bincount(study, n - 1), np.bincount(study, n)
    return (np.bincount(study, (n - 1) * sd**2) / df)[study], df[study], people[study]


def _standardised(n, mean, sd, pairs: _Pairs, used, measure: str, options: Options):
    first, second = pairs.first, pairs.second
    pooled, df, people = (x[first] for x in _pooled(n, sd, pairs.study))
    d = (mean[first] - mean[second]) / np.sqrt(pooled)
    sampling = 1 / n[first] + 1 / n[second]
    if measure in ("D2ORL", "D2ORN"):
        scale = LOGISTIC_SD if measure == "D2ORL" else COX_SNELL
        return scale * d, scale**2 * (sampling + d**2 / (2 * people))
    approximate = options.variance == "RevMan" and options.correction != "none"
    factor = small_sample_factor(df, "approximate" if approximate else options.correction)
    g = factor * d
    if options.variance == "LS2":
        return g, factor**2 * (sampling + d**2 / (2 * people))
    if options.variance == "RevMan":
        lost = 0.0 if options.correction == "none" else 3.94
        return g, sampling + g**2 / (2 * (people - lost))
    if options.variance == "UB":
        exact = small_sample_factor(df, "exact")
        return g, sampling + (exact * d) ** 2 * unbiased_excess(df)
    if options.variance == "AV":
        return g, sampling + _mean_effect(g, people, pairs, used) ** 2 / (2 * people)
    return g, sampling + g**2 / (2 * people)


def _mean_effect(g, people, pairs: _Pairs, used: pd.DataFrame) -> float:
    """Average the SMDs of studies of the same two treatments, weighted by people."""
    labels = used["treatment"].astype(str).to_numpy()
    one, two = labels[pairs.first], labels[pairs.second]
    if len({frozenset(pair) for pair in zip(one, two, strict=True)}) > 1:
        raise ValueError("variance: 'AV' needs studies that all compare the same two treatments")
    sign = np.where(one < two, 1, -1)
    return float((people * sign * g).sum() / people.sum()) if len(g) else 0.0


def _heteroscedastic(n, mean, sd, pairs: _Pairs, options: Options):
    """Compute the SMD with the square root of the mean variance of the study's arms."""
    study = pairs.study
    arms = np.bincount(study)
    variance = np.bincount(study, sd**2) / arms
    spread = np.bincount(study, sd**4 / (n - 1)) / arms**2
    of = study[pairs.first]
    factor = small_sample_factor(np.bincount(study, n - 1)[of], options.correction)
    g = factor * (mean[pairs.first] - mean[pairs.second]) / np.sqrt(variance[of])
    part = sd**2 / (n - 1)
    sampling = (part[pairs.first] + part[pairs.second]) / variance[of]
    return g, factor**2 * (sampling + g**2 * spread[of] / (2 * variance[of] ** 2))


def _glass(n, mean, sd, pairs: _Pairs, measure: str, options: Options):
    """Compute the SMD with the SD of the second group."""
    n1, n2, sd1, sd2 = n[pairs.first], n[pairs.second], sd[pairs.first], sd[pairs.second]
    g = small_sample_factor(n2 - 1, options.correction) * (mean[pairs.first] - mean[pairs.second]) / sd2
    if measure == "SMD1H":
        return g, (sd1 / sd2) ** 2 / n1 + 1 / n2 + g**2 / (2 * n2)
    return g, 1 / n1 + 1 / n2 + g**2 / (2 * (n2 - 1 if options.variance == "RevMan" else n2))


def _assemble(arms, reasons, used, pairs: _Pairs, te, v, reason, measure: str) -> EffectSizes:
    study = used["study"].to_numpy(object)[pairs.first]
    treatment = used["treatment"].to_numpy(object)
    treat1, treat2 = treatment[pairs.first], treatment[pairs.second]
    with np.errstate(invalid="ignore"):
        se = np.sqrt(v)
    bad = ~(np.isfinite(te) & np.isfinite(se) & (se > 0))
    undefined = f"{measure} has no finite value with a standard error above 0; a continuity correction may help"
    if measure in get_args(ContinuousMeasure):
        undefined = f"{measure} has no finite value with a standard error above 0 for these means and SDs"
    reason = np.where((reason == "") & bad, undefined, reason)
    keep = reason == ""
    columns = {"study": study, "treat1": treat1, "treat2": treat2}
    table = EffectSizes({**{c: x[keep] for c, x in columns.items()}, "te": te[keep], "se": se[keep]})
    out = [(s, a, b, why) for s, a, b, why in zip(study, treat1, treat2, reason, strict=True) if why]
    missing = [(s, t, "", why) for s, t, why in zip(arms["study"], arms["treatment"], reasons, strict=True) if why]
    left = used["study"].map(used["study"].value_counts()) == 1
    lone = zip(used["study"][left], used["treatment"][left], strict=True)
    alone = [(s, t, "", "no other arm of the study is usable") for s, t in lone]
    object.__setattr__(table, "measure", measure)
    object.__setattr__(
        table, "excluded", pd.DataFrame(missing + alone + out, columns=["study", "treat1", "treat2", "reason"])
    )
    return table
