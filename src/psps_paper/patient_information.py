"""What two clinics tell patients, beside the trials of the review; in plain words, without advice."""

from __future__ import annotations

import re

import pandas as pd

from psps_paper.formatting import interval, number
from psps_paper.narrative import included
from psps_paper.published import PublishedNetwork

NO_TRIAL = "no RCT in this review"


def treatments_table(patient_information: pd.DataFrame, studies: pd.DataFrame, published: PublishedNetwork) -> pd.DataFrame:
    """Each treatment that a page names, with what the review holds on it.

    Parameters
    ----------
    patient_information, studies : DataFrame
        The tables of those names.
    published : PublishedNetwork

    Returns
    -------
    DataFrame [treatment, named by, the page says, class, trials, refs, against placebo or sham, risk of bias,
               direction, network result, in plain words]
        ``trials`` is a number, 0 where the review has none; ``direction`` counts the article's statements for
        the first-named arm, which is not always this treatment alone.

    Raises
    ------
    ValueError
        A condition that selects a study of another class where the treatment is tested alone.
    """
    rows = []
    for row in patient_information.itertuples():
        trials = included(studies).query(row.trials, engine="python")
        stray = trials[trials["treatment_class"] != row.treatment_class]
        # trials of reoperation compare it with SCS and are counted as surgery; those of SCS include none of them
        if len(stray) and row.studied == "alone" and not (row.treatment_class == "neuromodulation" and set(stray["treatment_class"]) == {"surgery"}):
            raise ValueError(f"patient_information.csv, id {row.id}: refs {[int(ref) for ref in sorted(stray['ref'])]} are not {row.treatment_class}")
        network = network_result(row.treatment_class, published)
        rows.append({
            "treatment": row.treatment,
            "named by": row.site,
            "the page says": row.page_says,
            "class": row.treatment_class,
            "trials": len(trials),
            "refs": ", ".join(map(str, sorted(trials["ref"]))) or NO_TRIAL,
            "against placebo or sham": int((trials["placebo_arm"] == "yes").sum()),
            "risk of bias": _counts(trials["rob_overall"], ["low", "some concerns", "high"]),
            "direction": _counts(trials["direction"], ["favours intervention", "no difference", "mixed", "not reported"]),
            "network result": network if len(trials) else NO_TRIAL,
            "in plain words": plain_sentence(row, trials),
        })
    return pd.DataFrame(rows)


def network_result(treatment_class: str, published: PublishedNetwork) -> str:
    """What the network says of a class, or why it says nothing."""
    fit = published.fit
    if treatment_class == "surgery":
        return "outside the network: one trial, in a part that was not analysed"
    if treatment_class == "minimally invasive":
        return "in the network only together with conservative treatment"
    parts = []
    for other in fit.treatments:
        if other == treatment_class:
            continue
        te, lower, upper = (float(frame.at[treatment_class, other]) for frame in (fit.te, fit.lower, fit.upper))
        clear = "" if lower > 0 or upper < 0 else ", no clear difference"
        parts.append(f"against {other} {number(te)} ({interval(lower, upper)}){clear}")
    return "SMD " + "; ".join(parts)


def plain_sentence(row, trials: pd.DataFrame) -> str:
    """A few short sentences about the trials of a treatment; counts, never a recommendation.

    Better and worse count only trials that compare the treatment with something else.
    """
    if trials.empty:
        return "This review found no trial of it for this pain."
    n = len(trials)
    other = trials.query(row.compared_with_else, engine="python")
    parts = ["One trial in this review." if n == 1 else f"{n} trials in this review."]
    if other.empty:
        parts.append("None of them shows if it beats other care." if n > 1 else "It does not show if this beats other care.")
    else:
        if len(other) < n:
            parts.append(f"{len(other)} of them compare it with other care or a sham." if len(other) > 1 else "One of them compares it with other care or a sham.")
        parts.append(_outcome(other, row.arm))
    high = int((trials["rob_overall"] == "high").sum())
    if high:
        parts.append("The way it was done could mislead." if n == 1 else f"The way {high} of the {n} were done could mislead.")
    if isinstance(row.remark, str):
        parts.append(row.remark[0].upper() + row.remark[1:] + ".")
    return " ".join(parts)


def _outcome(other: pd.DataFrame, arm: str) -> str:
    found = other["direction"].map({
        "favours intervention": "better" if arm == "first" else "worse",
        "favours comparator": "worse" if arm == "first" else "better",
        "no difference": "the same",
    }).fillna("unclear").value_counts()
    if len(other) == 1:
        return {"better": "Pain eased more with it.", "worse": "Pain eased less with it.", "the same": "It made no clear difference to pain.",
                "unclear": "The result was unclear."}[found.index[0]]
    words = {"better": "Pain eased more with it in {}.", "worse": "Pain eased less with it in {}.",
             "the same": "It made no clear difference in {}.", "unclear": "The result was unclear in {}."}
    return " ".join(text.format(found[word]) for word, text in words.items() if word in found)


def reading_level(text: str) -> float:
    """Flesch-Kincaid grade of an English text: the school years that it takes to read it.

    Syllables are groups of vowels, without a silent final e; the grade is good to about one year.

    Source: Kincaid 1975.

    Raises
    ------
    ValueError
        A text without words.
    """
    words = re.findall(r"[A-Za-z]+", text)
    if not words:
        raise ValueError("text: no words")
    sentences = max(1, len(re.findall(r"[.!?]+(?:\s|$)", text)))
    return 0.39 * len(words) / sentences + 11.8 * sum(map(_syllables, words)) / len(words) - 15.59


def _syllables(word: str) -> int:
    word = word.lower()
    groups = len(re.findall(r"[aeiouy]+", word))
    if word.endswith("e") and not word.endswith("le") and groups > 1:
        groups -= 1
    return max(1, groups)


def _counts(column: pd.Series, order: list[str]) -> str:
    counts = column.value_counts()
    return ", ".join(f"{counts[name]} {name}" for name in order if name in counts)
