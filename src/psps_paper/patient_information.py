"""What clinics tell patients, beside the trials of the review; in plain words, without advice."""

from __future__ import annotations

import re

import pandas as pd

from psps_paper.formatting import interval, number
from psps_paper.narrative import included
from psps_paper.network.model import NetworkFit

NO_TRIAL = "no RCT in this review"


def treatments_table(
    patient_information: pd.DataFrame, phrases: pd.DataFrame, studies: pd.DataFrame, classes: pd.DataFrame, fit: NetworkFit
) -> pd.DataFrame:
    """Each treatment that a page names, with what the review holds on it.

    Parameters
    ----------
    patient_information, phrases, studies, classes : DataFrame
        The tables ``patient_information``, ``patient_phrases``, ``studies`` and ``treatment_classes``.
    fit : NetworkFit
        The network whose results stand beside the trials.

    Returns
    -------
    DataFrame [treatment, named by, the page says, class, trials, refs, with placebo arm, risk of bias,
               direction, network result, in plain words]
        ``trials`` is a number, 0 where the review has none; ``direction`` counts the article's statements for
        the first-named arm, which is not always this treatment alone.

    Raises
    ------
    ValueError
        A condition that selects a study of another class where the treatment is tested alone.
    """
    rows, texts, notes = [], phrases.set_index("case"), classes.set_index("treatment_class")["network_note"]
    for row in patient_information.itertuples():
        trials = included(studies).query(row.trials, engine="python")
        stray = trials[~trials["treatment_class"].isin([row.treatment_class, row.other_class])]
        if len(stray) and row.studied == "alone":
            raise ValueError(f"patient_information.csv, id {row.id}: refs {[int(ref) for ref in sorted(stray['ref'])]} are not {row.treatment_class}")
        network = network_result(row.treatment_class, notes, fit)
        rows.append({
            "treatment": row.treatment,
            "named by": row.site,
            "the page says": row.page_says,
            "class": row.treatment_class,
            "trials": len(trials),
            "refs": ", ".join(map(str, sorted(trials["ref"]))) or NO_TRIAL,
            "with placebo arm": int((trials["placebo_arm"] == "yes").sum()),
            "risk of bias": _counts(trials["rob_overall"], ["low", "some concerns", "high"]),
            "direction": _counts(trials["direction"], ["favours intervention", "no difference", "mixed", "not reported"]),
            "network result": network if len(trials) else NO_TRIAL,
            "in plain words": plain_sentence(row, trials, texts),
        })
    return pd.DataFrame(rows)


def network_result(treatment_class: str, notes: pd.Series, fit: NetworkFit) -> str:
    """What the network says of a class, or why it says nothing (``notes`` by class)."""
    if treatment_class not in fit.treatments:
        note = notes[treatment_class]
        return note if isinstance(note, str) else "not in the network of these data"
    parts = []
    for other in fit.treatments:
        if other == treatment_class:
            continue
        te, lower, upper = (float(frame.at[treatment_class, other]) for frame in (fit.te, fit.lower, fit.upper))
        clear = "" if lower > 0 or upper < 0 else ", no clear difference"
        parts.append(f"against {other} {number(te)} ({interval(lower, upper)}){clear}")
    return "SMD " + "; ".join(parts)


def plain_sentence(row, trials: pd.DataFrame, texts: pd.DataFrame) -> str:
    """A few short sentences about the trials of a treatment; counts, never a recommendation.

    Better and worse count only trials with ``other_care``: that compare the treatment with something else. ``texts`` are the sentences, one row
    a case, in the columns ``one`` and ``several``.
    """
    def text(case: str, n: int, *, of: int) -> str:
        return texts.at[case, "one" if of == 1 else "several"].format(n=n, all=of)

    if trials.empty:
        return text("no trial", 0, of=0)
    n, other = len(trials), trials[trials["other_care"] == "yes"]
    parts = [text("trials", n, of=n)]
    if other.empty:
        parts.append(text("none compared", n, of=n))
    else:
        if len(other) < n:
            parts.append(text("compared", len(other), of=len(other)))
        parts += [text(case, count, of=len(other)) for case, count in _outcomes(other, row.arm).items()]
    high = int((trials["rob_overall"] == "high").sum())
    if high:
        parts.append(text("high risk", high, of=n))
    if isinstance(row.remark, str):
        parts.append(row.remark[0].upper() + row.remark[1:] + ".")
    return " ".join(parts)


def _outcomes(other: pd.DataFrame, arm: str) -> pd.Series:
    """How many trials found the treatment better, worse, the same or unclear; in this order, without zeros."""
    found = other["direction"].map({
        "favours intervention": "better" if arm == "first" else "worse",
        "favours comparator": "worse" if arm == "first" else "better",
        "no difference": "the same",
    }).fillna("unclear").value_counts()
    return found.reindex([case for case in ("better", "worse", "the same", "unclear") if case in found])


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
