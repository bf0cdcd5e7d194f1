"""Contrasts from tables of trial arms; every row is either used or listed as excluded."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from itertools import combinations, compress
from typing import Literal, get_args

import numpy as np
import pandas as pd

from psps_paper.effects.checks import choice, numbers, require
from psps_paper.effects.estimates import (
    Continuity,
    Correction,
    Effect,
    Variance,
    continuity_corrected,
    mean_difference,
    odds_ratio_of_cells,
    risk_difference_of_cells,
    standardise,
)

Measure = Literal["SMD", "MD", "OR", "RD"]
CONTINUOUS = {"n": "sample size", "mean": "finite", "sd": "positive"}
BINARY = {"events": "count", "n": "sample size"}
COLUMNS = {"SMD": CONTINUOUS, "MD": CONTINUOUS, "OR": BINARY, "RD": BINARY}


@dataclass(frozen=True)
class Contrasts:
    """All contrasts of a set of arms.

    Attributes
    ----------
    table : DataFrame [study, treat1, treat2, te, se]
        A study with a arms gives a (a - 1) / 2 rows; te is treat1 minus treat2, in the order in
        which the arms are listed.
    excluded : DataFrame [row, study, treatment, reason]
        The arms that were not used; every arm of the input is either used or listed here.
    """

    table: pd.DataFrame
    excluded: pd.DataFrame


@dataclass(frozen=True)
class ImputedArms:
    """Arms with missing SDs imputed.

    Attributes
    ----------
    arms : DataFrame
        The input with ``sd`` filled where a rule could fill it.
    log : DataFrame [row, study, treatment, rule, sd, n_donors]
        One row per arm without a reported post-treatment SD: "baseline", "mean of other studies"
        or "none"; the SD used; and the number of arms that it comes from.
    """

    arms: pd.DataFrame
    log: pd.DataFrame


def require_columns(table: pd.DataFrame, columns: list[str], source: str) -> None:
    """Raise a ValueError that names the missing columns."""
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"{source}: {type(table).__name__} given; expected a DataFrame with {', '.join(columns)}")
    missing = [c for c in columns if c not in table.columns]
    if missing:
        raise ValueError(f"{source}: no column {', '.join(missing)}; there are {', '.join(map(str, table.columns))}")


def contrasts_from_arms(
    arms: pd.DataFrame,
    *,
    measure: Measure,
    correction: Correction = "exact",
    variance: Variance = "large_sample",
    continuity: Continuity = "zero_cells",
    increment: float = 0.5,
    source: str = "arms",
) -> Contrasts:
    """Compute all pairwise contrasts of each study, consistent within multi-arm studies.

    Parameters
    ----------
    arms : DataFrame
        One row per arm: ``study``, ``treatment`` and ``n, mean, sd`` (SMD, MD) or ``events, n``
        (OR, RD).
    measure : {"SMD", "MD", "OR", "RD"}
        OR contrasts are on the log scale.
    correction, variance : str
        For the SMD, as in :func:`smd`. The SD is pooled over all arms of the study, and the variance
        counts the people of all arms, so that te and se of a multi-arm study are
        consistent. With two arms the result equals that of :func:`smd`.
    continuity, increment
        For OR and RD, as in :func:`log_odds_ratio`; a study is corrected in all arms or in none.
    source : str
        File or table named in errors.

    Returns
    -------
    Contrasts
        ``excluded`` lists, with the reason, arms with a missing number, arms left alone by such an
        exclusion and, for OR, studies with no events (or only events) in any arm.

    Raises
    ------
    ValueError
        Naming source, row, column, value and what was expected: n below 2, SD not above 0, more
        events than people, a treatment twice in a study, a study with one arm, a missing label.

    Source: Gleser & Olkin 2009; Crippa & Orsini 2016 (the SD pooled over arms).
    Checked against: netmeta 2.8-2 pairwise() on Franchini 2012 (MD, SMD) and smoking cessation (OR).

    Examples
    --------
    >>> arms = pd.DataFrame({"study": ["Ü1", "Ü1"], "treatment": ["a", "b"], "n": [20, 20],
    ...                      "mean": [3.0, 4.0], "sd": [2.0, 2.0]})
    >>> contrasts_from_arms(arms, measure="MD").table.round(3).values.tolist()
    [['Ü1', 'a', 'b', -1.0, 0.632]]
    """
    choice(measure, "measure", get_args(Measure))
    kinds = COLUMNS[measure]
    require_columns(arms, ["study", "treatment", *kinds], source)
    _check_labels(arms, source)
    reasons = _missing_numbers(arms, list(kinds))
    at = np.flatnonzero(reasons == "")
    used = arms.iloc[at]
    values = dict(zip(kinds, numbers(kinds, used, rows=used.index, source=source), strict=True))
    if measure in ("OR", "RD"):
        events, n = values["events"], values["n"]
        require(events <= n, events, "events", "at most n", rows=used.index, source=source)
    treatment = used["treatment"].to_numpy(object)
    members: dict[object, list[int]] = {}
    for position, study in enumerate(used["study"]):
        members.setdefault(study, []).append(position)
    columns: dict[str, list] = {name: [] for name in ("study", "treat1", "treat2", "te", "se")}
    for study, mine in members.items():
        numeric = {c: column[mine] for c, column in values.items()}
        reason = _exclusion_reason(numeric, measure)
        if reason:
            reasons[at[mine]] = reason
            continue
        first, second = np.array(list(combinations(range(len(mine)), 2))).T
        effect = _study_effects(numeric, first, second, measure, correction, variance, continuity, increment)
        columns["study"] += [study] * len(first)
        columns["treat1"] += list(treatment[mine][first])
        columns["treat2"] += list(treatment[mine][second])
        columns["te"] += list(effect.te)
        columns["se"] += list(effect.se)
    return Contrasts(pd.DataFrame(columns), _excluded(arms, reasons))


def _check_labels(arms: pd.DataFrame, source: str) -> None:
    check = partial(require, rows=arms.index, source=source)
    if not arms.index.is_unique:
        raise ValueError(f"{source}: row label {arms.index[arms.index.duplicated()][0]} is not unique")
    for column in ("study", "treatment"):
        values = arms[column].to_numpy(object)
        named = np.array([bool(str(value).strip()) for value in values], bool) & ~pd.isna(values)
        check(named, values, column, "a label")
    pairs = list(zip(arms["study"], arms["treatment"], strict=True))
    label = np.array([f"{treatment} in study {study}" for study, treatment in pairs], object)
    first = {pair: position for position, pair in reversed(list(enumerate(pairs)))}
    once = np.array([first[pair] == position for position, pair in enumerate(pairs)], bool)
    check(once, label, "treatment", "named once in its study")
    arm_count = Counter(study for study, _ in pairs)
    accompanied = np.array([arm_count[study] > 1 for study, _ in pairs], bool)
    check(accompanied, label, "study", "part of a study with at least two arms")


def _missing_numbers(arms: pd.DataFrame, columns: list[str]) -> np.ndarray:
    """Return the reason for excluding each arm: the columns without a number, or an empty string."""
    missing = arms[columns].isna().to_numpy()
    return np.array([f"no {', '.join(compress(columns, row))}" if row.any() else "" for row in missing], object)


def _exclusion_reason(arm: dict[str, np.ndarray], measure: Measure) -> str:
    """Explain why a study's usable arms give no contrast, or return an empty string."""
    if len(arm["n"]) == 1:
        return "no other arm of the study is usable"
    if measure == "OR" and (arm["events"] == 0).all():
        return "no events in any arm: the study has no information on the odds ratio"
    if measure == "OR" and (arm["events"] == arm["n"]).all():
        return "only events in every arm: the study has no information on the odds ratio"
    return ""


def _study_effects(
    arm: dict[str, np.ndarray],
    first: np.ndarray,
    second: np.ndarray,
    measure: Measure,
    correction: Correction,
    variance: Variance,
    continuity: Continuity,
    increment: float,
) -> Effect:
    """Compute the effects of the pairs (first, second) of one study's arms."""
    n = arm["n"]
    pair = np.stack([first, second])
    if measure == "MD":
        one, two = ([arm[c][i] for c in CONTINUOUS] for i in (first, second))
        return mean_difference(*one, *two)
    if measure == "SMD":
        df = (n - 1).sum()
        pooled = np.sqrt(((n - 1) * arm["sd"] ** 2).sum() / df)
        d = (arm["mean"][first] - arm["mean"][second]) / pooled
        return standardise(d, 1 / n[first] + 1 / n[second], n.sum(), df, correction, variance)
    corrected = continuity_corrected(arm["events"], n, continuity, increment)
    corrected_events, corrected_n = (cells[pair] for cells in corrected)
    if measure == "OR":
        return odds_ratio_of_cells(corrected_events, corrected_n, ("treat1", "treat2"))
    return risk_difference_of_cells(arm["events"][pair], n[pair], corrected_events, corrected_n)


def _excluded(arms: pd.DataFrame, reasons: np.ndarray) -> pd.DataFrame:
    out = np.flatnonzero(reasons != "")
    labels = {column: arms[column].array[out] for column in ("study", "treatment")}
    return pd.DataFrame({"row": list(arms.index[out]), **labels, "reason": reasons[out]})


def impute_sd(arms: pd.DataFrame, *, by: str | None = None, source: str = "arms") -> ImputedArms:
    """Impute missing post-treatment SDs by the review's rules, and log each imputation.

    An arm without a post-treatment SD gets its baseline SD or, failing that, the mean of the SDs of
    the other studies' arms, whether reported or taken from baseline.

    Parameters
    ----------
    arms : DataFrame
        ``study, treatment, sd, sd_baseline``; the SDs may be missing.
    by : str, optional
        Column that names the measurement scale. If given, only studies on the same scale are averaged,
        because a mean over different scales has no unit.
    source : str
        File or table named in errors.

    Returns
    -------
    ImputedArms

    Raises
    ------
    ValueError
        For a given SD that is not above 0.

    Source: the article, Methods, "Data extraction". It does not state whether the mean was weighted,
    or over which scales; here it is the unweighted mean over arms.
    """
    require_columns(arms, ["study", "treatment", "sd", "sd_baseline", *filter(None, [by])], source)
    for column in ("sd", "sd_baseline"):
        given = arms[column].dropna()
        numbers({column: "positive"}, {column: given}, rows=given.index, source=source)
    known = arms["sd"].astype(float).fillna(arms["sd_baseline"].astype(float))
    completed, log = known.copy(), []
    for row in arms.index[arms["sd"].isna()]:
        rule, n_donors = "baseline", 1
        if pd.isna(known[row]):
            same = arms[by] == arms.at[row, by] if by else True
            donors = known[(arms["study"] != arms.at[row, "study"]) & same].dropna()
            rule, n_donors = ("mean of other studies" if len(donors) else "none"), len(donors)
            completed[row] = donors.mean()
        log.append((row, arms.at[row, "study"], arms.at[row, "treatment"], rule, completed[row], n_donors))
    columns = ["row", "study", "treatment", "rule", "sd", "n_donors"]
    return ImputedArms(arms.assign(sd=completed), pd.DataFrame(log, columns=columns))
