"""The direct comparisons with the reference for readers: size in points, certainty, harms and who paid."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import pandas as pd

from psps_paper.article import harms, responders
from psps_paper.article.published import PublishedNetwork, forest_rows, published_network
from psps_paper.article.syntheses import plausible_sds
from psps_paper.article.trials import te_desirable
from psps_paper.conclusions import certainty
from psps_paper.conclusions.robustness import clinical_scale
from psps_paper.formatting import estimate, interval, number, sentence_list
from psps_paper.tables.dataset import Dataset, dataset
from psps_paper.tables.load import load_table

FREQUENT = 0.1  # the front page names events that affected at least this proportion of patients
OPEN = r" of \d+ (?:or|to) \d+"  # an uncertain number of patients in article.harms.count_text


@dataclass(frozen=True)
class Finding:
    """One comparison of the reference with another treatment, by the printed numbers.

    Attributes
    ----------
    treat1, treat2 : str
        The reference and its comparator.
    place : int
        Row of the table ``readers_words``, from 1.
    key, name, gloss : str
        The words of that row.
    outcome : str
        Name of the outcome, from the table ``outcomes``.
    te, lower, upper : float
        SMD and its 95 % interval, above 0 in favour of the reference; the widest limits where they are implied.
    exact : tuple of float
        The same before rounding, as recovered from the article's other results.
    tier : str
        "printed", or "implied" where the article prints no estimate.
    trials, patients_low, patients_high : int
    sd, sd_low : float
        Points from 0 to 10 that correspond to one SMD, and the smallest number that trials support.
    important : float
        Smallest difference in points that patients notice.
    certainty : str
        Rating by the stated rules, at best and at worst if these differ.
    lost : str
        Levels lost, "3 to 9".
    reasons : dict of str
        Judgement of each domain.
    prediction : tuple of float
        Widest prediction interval that the print allows, as SMD.
    sure_of_none : bool
        Whether even the narrowest prediction interval includes no effect.
    harms : list of (str, str, float)
        Each event counted by a trial, the trial, and the proportion of its patients; see :func:`harm_texts`.
    counts, funding : Series
        Rows of :func:`psps_paper.article.harms.harms_by_comparison` and ``funding_by_comparison``.
    relief : DataFrame
        Rows of :func:`psps_paper.article.responders.contrasts` for its trials.
    """

    treat1: str
    treat2: str
    place: int
    key: str
    name: str
    gloss: str
    outcome: str
    te: float
    lower: float
    upper: float
    exact: tuple[float, float, float]
    tier: str
    trials: int
    patients_low: int
    patients_high: int
    sd: float
    sd_low: float
    important: float
    certainty: str
    lost: str
    reasons: dict[str, str]
    prediction: tuple[float, float]
    sure_of_none: bool
    harms: list[tuple[str, str, float]]
    counts: pd.Series
    funding: pd.Series
    relief: pd.DataFrame

    @property
    def points(self) -> tuple[float, float, float]:
        """Estimate and interval in points from 0 to 10."""
        te, lower, upper = self.exact
        return te * self.sd, lower * self.sd, upper * self.sd


def findings() -> list[Finding]:
    """Collect the direct comparisons of the network with its reference, in the order of the table ``readers_words``."""
    return list(_findings(dataset()))


# Cached because a page needs them several times, and the judgements take a second.
@lru_cache(maxsize=1)
def _findings(data: Dataset) -> tuple[Finding, ...]:
    tables = {
        name: data.table(name)
        for name in (
            "study_facts",
            "studies",
            "harms",
            "funders",
            "sample_sizes",
            "clinical_scale",
            "nma_published",
            "outcomes",
            "readers_words",
        )
    }
    facts, studies = tables["study_facts"], tables["studies"]
    published = published_network(tables["nma_published"], desirable=te_desirable(data))
    basis = certainty.published_basis(published, data)
    judged = certainty.judgements(basis)
    outcome, words = tables["outcomes"].iloc[0], tables["readers_words"]
    shared = {
        "centre": outcome["reference"],
        "outcome": outcome["outcome"],
        "words": words.set_index("treat2"),
        "scale": clinical_scale(tables["clinical_scale"]),
        "sd_low": plausible_sds(facts)[0],
        "forest": forest_rows(published, outcome["reference"]).set_index("treatment_class"),
        "judged": judged,
        "rated": certainty.certainty_table(judged, published).set_index("contrast"),
        "predictions": basis.predictions.set_index(["treat1", "treat2"]),
        "events": (
            harms.harms_table(tables["harms"], facts, studies).merge(
                studies[["study", "ref"]], on="ref", suffixes=("", "_id")
            )
        ),
        "counts": harms.harms_by_comparison(tables["harms"], studies),
        "funding": harms.funding_by_comparison(tables["funders"], studies, tables["sample_sizes"]),
        "relief": responders.contrasts(responders.arm_counts(data.table("responder_counts"), facts, studies)),
        "own": harms.compared(studies),
    }
    return tuple(_finding(treat2, published, shared) for treat2 in words["treat2"])


def _finding(treat2: str, published: PublishedNetwork, shared: dict) -> Finding:
    centre, words = shared["centre"], shared["words"].loc[treat2]
    row, rated = shared["forest"].loc[treat2], shared["rated"].loc[f"{centre} against {treat2}"]
    lower, upper = row["lower"], row["upper"]
    exact = tuple(frame.at[centre, treat2] for frame in (published.fit.te, published.fit.lower, published.fit.upper))
    if row["tier"] == "implied":
        bounds = published.recovery.bounds.set_index(["treat1", "treat2"]).loc[(centre, treat2)]
        lower, upper = bounds["lower_low"], bounds["upper_high"]
        exact = (row["te"], lower, upper)
    judged = shared["judged"]
    own = judged[(judged["treat1"] == centre) & (judged["treat2"] == treat2)]
    predicted, money = shared["predictions"].loc[(centre, treat2)], shared["funding"].loc[treat2]
    studies, relief, events = shared["own"][treat2], shared["relief"], shared["events"]
    return Finding(
        treat1=centre,
        treat2=treat2,
        place=shared["words"].index.get_loc(treat2) + 1,
        key=words["key"],
        name=words["name"],
        gloss=words["gloss"] if isinstance(words["gloss"], str) else "",
        outcome=shared["outcome"],
        te=row["te"],
        lower=lower,
        upper=upper,
        exact=exact,
        tier=row["tier"],
        trials=int(money["trials"]),
        patients_low=int(money["patients low"]),
        patients_high=int(money["patients high"]),
        sd=shared["scale"].sd,
        sd_low=shared["sd_low"],
        important=shared["scale"].important,
        certainty=" or ".join(dict.fromkeys([rated["certainty at best"], rated["certainty at worst"]])),
        lost=rated["levels lost"],
        reasons=dict(zip(own["domain"], own["judgement"], strict=True)),
        prediction=(predicted["wide_lower"], predicted["wide_upper"]),
        sure_of_none=bool(predicted["narrow_lower"] <= 0 <= predicted["narrow_upper"]),
        harms=harm_texts(events[events["study_id"].isin(studies)]),
        counts=shared["counts"].loc[treat2],
        funding=money,
        relief=relief[relief["study"].isin(studies) & (relief["comparison"] == words["responders"])],
    )


def harm_texts(events: pd.DataFrame) -> list[tuple[str, str, float]]:
    """Describe events in trials: ("12 of 102 (12 %) had a complication within 6 months", "Author 2019", 0.118).

    If the number of patients is uncertain, the text gives the percentage alone: "27 patients (32 %) had".

    Parameters
    ----------
    events : DataFrame
        Rows of :func:`psps_paper.article.harms.harms_table`. Events that did not occur and parts of other events are
        left out; the first event of each trial comes before the second of any.
    """
    rows = events[~events["part"] & ~events["count"].str.startswith("none")]
    rows = rows.assign(turn=rows.groupby("ref").cumcount()).sort_values(["turn", "ref"], kind="stable")
    return [
        (f"{re.sub(OPEN, ' patients', row.count_)} had {row.event} within {row.time}", row.study, row.share)
        for row in rows.rename(columns={"count": "count_"}).itertuples()
    ]


def points_text(finding: Finding) -> str:
    """Word the mean difference: "0.9 points less" of the outcome."""
    te = finding.points[0]
    return f"{number(abs(te), 1)} points {'less' if te >= 0 else 'more'} {finding.outcome}"


def limits_text(finding: Finding) -> str:
    """Word the interval: "0.5 to 1.4 less", or "0.3 more to 2.1 less" if it includes no difference."""
    _, lower, upper = finding.points
    ends = number(abs(lower), 1), number(abs(upper), 1)
    if lower >= 0 or upper <= 0:
        low, high = ends if lower >= 0 else reversed(ends)
        return f"{low} to {high} {'less' if lower >= 0 else 'more'}"
    return f"{ends[0]} more to {ends[1]} less"


def answer_text(finding: Finding) -> str:
    """Write the answer in the wording that GRADE recommends for the certainty of the comparison.

    Source: Santesso 2020 (wording by size and certainty: "may", and "the evidence is very uncertain" for very low).
    """
    te, lower, upper = finding.points
    if finding.certainty != "very low":
        raise ValueError(
            f"{finding.treat2}: certainty {finding.certainty!r}; only the wording for very low certainty is written"
        )
    if lower < 0 < upper:
        fits = f"the result fits slightly more {finding.outcome} as well as clearly less"
        return f"No difference was shown. They may still differ: {fits}."
    small = " slightly" if abs(te) < finding.important else ""
    return f"May relieve {finding.outcome}{small} {'more' if te > 0 else 'less'}, but the evidence is very uncertain."


def trials_text(finding: Finding) -> str:
    """Word the numbers of trials and patients: "10 trials, 207 to 299 patients"."""
    trials = "trial" if finding.trials == 1 else "trials"
    return f"{finding.trials} {trials}, {finding.patients_low} to {finding.patients_high} patients"


def trials_in_short(finding: Finding) -> str:
    """Shorten :func:`trials_text` for the front page: "10 trials, at least 207 patients" if the number is uncertain."""
    counted = trials_text(finding).split(", ")[0]
    low, high = finding.patients_low, finding.patients_high
    return f"{counted}, {low if low == high else f'at least {low}'} patients"


def harms_text(finding: Finding) -> str:
    """Describe harms counted on public pages, always mentioning the trials that report no counts."""
    parts = [f"{text} ({study})" for text, study, _ in finding.harms]
    if finding.counts["none"]:
        parts.append(
            f"{finding.counts['none']} trials report none" if finding.counts["none"] > 1 else "1 trial reports none"
        )
    return "; ".join([*parts, *_uncounted_trials(finding)])


def harms_in_short(finding: Finding) -> str:
    """Shorten :func:`harms_text` for the front page: the two commonest events, and the trials with few or none."""
    frequent = [(text, study) for text, study, share in finding.harms if share >= FREQUENT][:2]
    few = (
        finding.counts["counted"]
        + finding.counts["none"]
        - len({study for _, study, share in finding.harms if share >= FREQUENT})
    )
    where = ["in one trial", "in another" if len({study for _, study in frequent}) > 1 else "there"]
    parts = [f"{place} {text}" for place, (text, _) in zip(where, frequent, strict=False)]
    if few:
        rare = f"under 1 in {1 / FREQUENT:.0f}"
        trials = f"{few} {'trial' if few == 1 else 'trials'}"
        others = f"{few} {'other' if few == 1 else 'others'}"
        parts.append(f"in {others} {rare} did" if parts else f"in {trials} {rare} had an adverse event")
    return "; ".join([*parts, *_uncounted_trials(finding)])


def _uncounted_trials(finding: Finding) -> list[str]:
    missing = finding.counts["no count"]
    if missing == finding.trials:
        return [harms.NO_COUNT]
    return [f"{harms.NO_COUNT} for the other {missing}"] if missing else []


def funding_text(finding: Finding) -> str:
    """Describe who paid, in one line."""
    money = finding.funding
    if money[harms.MAKER] == finding.trials:
        where = {1: "the only trial", 2: "both trials"}.get(finding.trials, f"all {finding.trials} trials")
        return f"{money['makers']}, a device maker, in {where}"
    parts = [
        f"a device maker in {money[harms.MAKER]} of {finding.trials} trials" if money[harms.MAKER] else "",
        f"other funders in {money[harms.OTHER]}" if money[harms.OTHER] else "",
    ]
    text = ", ".join(filter(None, parts))
    missing = (
        f"no funder found for {'the other ' if text else ''}{money[harms.NOT_FOUND]}" if money[harms.NOT_FOUND] else ""
    )
    return "; ".join(filter(None, [text, missing]))


def relief_texts(finding: Finding) -> list[str]:
    """Word the responders per 100 in each arm, with site and time: "46 against 8 of 100 (leg, 6 months)"."""
    return [
        f"{number(100 * row.events1 / row.n1, 0)} against {number(100 * row.events2 / row.n2, 0)} of 100 "
        f"({row.site}, {row.time})"
        for row in finding.relief.itertuples()
    ]


def new_setting_text(found: list[Finding]) -> str:
    """State whether a new clinic could see no effect, by the prediction intervals that the print allows.

    An interval includes no effect even at its narrowest, only at its widest, or not at all.
    """
    surely = [finding for finding in found if finding.sure_of_none]
    perhaps = [finding for finding in found if finding.prediction[0] <= 0 <= finding.prediction[1]]
    if len(surely) == len(found):
        return "In a new clinic there could be no effect at all in any row."
    if len(perhaps) == len(found):
        return (
            "In a new clinic there could be no effect at all in any row, "
            "if the trials differ as much as the print allows."
        )
    against = sentence_list([finding.name.lower() for finding in perhaps])
    return f"In a new clinic there could be no effect at all against {against}."


def findings_texts(found: list[Finding]) -> dict[str, str]:
    """Collect numbers of the comparisons for prose.

    Returns
    -------
    dict
        ``certainty``: every rating; ``new_setting``: :func:`new_setting_text`; ``points_X``, ``limits_X``,
        ``small_X``, ``smd_X`` for each ``key`` X; ``sd``, ``sd_low``, ``important``; ``more``, ``more_interval``: how
        many more of 100 patients respond, and the Hartung-Knapp interval in words.
    """
    texts = {"certainty": " or ".join(dict.fromkeys(finding.certainty for finding in found))}
    for finding in found:
        key = finding.key
        texts |= {
            f"points_{key}": number(abs(finding.points[0]), 1),
            f"limits_{key}": limits_text(finding),
            f"small_{key}": number(abs(finding.exact[0] * finding.sd_low), 1),
            f"smd_{key}": estimate(finding.te, finding.lower, finding.upper),
            f"patients_{key}": f"{finding.patients_low} to {finding.patients_high}",
            f"trials_{key}": str(finding.trials),
            f"prediction_{key}": interval(*finding.prediction),
        }
    first = found[0]
    texts |= {"sd": number(first.sd), "sd_low": number(first.sd_low), "important": f"{first.important:g}"}
    arms = responders.arm_counts(load_table("responder_counts"), load_table("study_facts"), load_table("studies"))
    pooled = responders.pooled(arms, comparison=load_table("readers_words")["responders"].iloc[0])
    row = pooled[(pooled["analysis"] == "missing as failure") & (pooled["measure"] == "risk difference")].iloc[0]
    low, high = row["Hartung-Knapp lower"], row["Hartung-Knapp upper"]
    texts["new_setting"] = new_setting_text(found)
    texts["more"] = number(100 * row["estimate"], 0)
    texts["more_interval"] = (
        f"{number(100 * abs(low), 0)} {'fewer' if low < 0 else 'more'} to {number(100 * high, 0)} more"
    )
    return texts


def note_texts(finding: Finding) -> dict[str, str]:
    """Write the notes of a comparison: conversion to points, new setting, responders, reasons for the certainty."""
    judged: dict[str, list[str]] = {}
    for domain, judgement in finding.reasons.items():
        judged.setdefault(judgement, []).append(domain)
    why = "; ".join(
        f"{judgement}: {sentence_list(domains)}" for judgement, domains in judged.items() if judgement != certainty.NONE
    )
    printed = (
        ""
        if finding.tier == "printed"
        else " The article prints no estimate; the widest interval that its other results allow is shown."
    )
    notes = {
        "points": (
            f"One SMD is taken as {number(finding.sd)} points, the largest standard deviation found in these "
            "trials. "
            "With the smallest, "
            f"{number(finding.sd_low)}, the mean would be {number(abs(finding.exact[0] * finding.sd_low), 1)} points."
            f"{printed}"
        ),
        "new setting": (
            f"In a new setting the SMD could be anywhere from {interval(*finding.prediction)} (prediction interval, by "
            "t with the degrees of freedom of Q less one)."
        ),
    }
    if len(finding.relief):
        counts = sentence_list(
            [
                f"{row.events1} of {row.n1} against {row.events2} of {row.n2} ({row.label})"
                for row in finding.relief.itertuples()
            ]
        )
        notes["relief"] = (
            f"{counts}. Patients without a result count as not relieved. Patients knew which treatment they received."
        )
    notes["certainty"] = f"{finding.lost.capitalize()} levels lost. {why[0].upper()}{why[1:]}."
    return notes
