"""Information that clinics give patients, compared with the trials of the review, in plain words, without advice."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from psps_paper.article.studies import included
from psps_paper.formatting import interval, number
from psps_paper.network.model import NetworkFit
from psps_paper.tables.load import meeting

NO_TRIAL = "no trial in this review"
WITHIN_GROUPS = "direction rests on within-group statements"  # the wording of column matters_for of source_differences
KINDS = {"yes": "against other care", "addition": "with something added", "no": "between its forms"}
OUTCOMES = {
    "better": "better",
    "worse": "worse",
    "the same": "no difference",
    "within groups": "only within each group",
    "unclear": "mixed or not reported",
}
_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def treatments_table(
    patient_information: pd.DataFrame,
    phrases: pd.DataFrame,
    studies: pd.DataFrame,
    classes: pd.DataFrame,
    fit: NetworkFit,
    differences: pd.DataFrame,
) -> pd.DataFrame:
    """List each treatment that a page names, with the review's evidence on it.

    Parameters
    ----------
    patient_information, phrases, studies, classes, differences : DataFrame
        The tables ``patient_information``, ``patient_phrases``, ``studies``, ``treatment_classes`` and
        ``source_differences``.
    fit : NetworkFit
        The network whose results are shown with the trials.

    Returns
    -------
    DataFrame [treatment, named by, the page says, class, trials, refs, with placebo arm, risk of bias,
               direction, in the network, network result, in plain words]
        ``trials`` is a number, 0 if the review has none; ``direction`` is as in :func:`directions`, for the
        treatment of the row; ``in the network`` counts its trials that the review used in the network.

    Raises
    ------
    ValueError
        A condition selects a study of another class although the trials test the treatment itself.
    """
    rows, texts, notes = [], phrases.set_index("case"), classes.set_index("treatment_class")["network_note"]
    within = only_within_groups(differences)
    for row in patient_information.itertuples():
        trials = included(studies)
        trials = trials[
            meeting(trials, row.trials, "studies.csv", f"patient_information.csv, row {row.Index + 1}, column trials")
        ]
        stray = trials[~trials["treatment_class"].isin([row.treatment_class, row.other_class])]
        if len(stray) and not isinstance(row.tested, str):
            raise ValueError(
                f"patient_information.csv, id {row.id}: refs {[int(ref) for ref in sorted(stray['ref'])]} are not"
                f" {row.treatment_class}"
            )
        rows.append(
            {
                "treatment": row.treatment,
                "named by": row.site,
                "the page says": row.page_says,
                "class": row.treatment_class,
                "trials": len(trials),
                "refs": ", ".join(map(str, sorted(trials["ref"]))) or NO_TRIAL,
                "with placebo arm": int((trials["placebo_arm"] == "yes").sum()),
                "risk of bias": _counts(trials["rob_overall"], ["low", "some concerns", "high"]),
                "direction": directions(row, trials, within),
                "in the network": (
                    f"{(trials['nma_status'] == 'used').sum()} of {len(trials)}" if len(trials) else NO_TRIAL
                ),
                "network result": (
                    network_result(row.treatment_class, trials, studies, notes, fit) if len(trials) else NO_TRIAL
                ),
                "in plain words": plain_sentence(row, trials, texts, within),
            }
        )
    return pd.DataFrame(rows)


def only_within_groups(differences: pd.DataFrame) -> frozenset[str]:
    """Return the studies whose own pages compare groups only with their baseline, so that no direction is known."""
    return frozenset(differences.loc[differences["matters_for"].str.startswith(WITHIN_GROUPS), "study"])


def network_result(
    treatment_class: str, trials: pd.DataFrame, studies: pd.DataFrame, notes: pd.Series, fit: NetworkFit
) -> str:
    """Describe the network's result for a treatment's class, and how much of it comes from trials of the treatment.

    Parameters
    ----------
    treatment_class : str
        The class, a treatment of ``fit`` or not.
    trials : DataFrame
        The rows of ``studies`` with the treatment.
    studies : DataFrame
        The table ``studies``, which assigns each trial of the network to a comparison.
    notes : Series
        By class: why the network has no result for it.
    fit : NetworkFit

    Returns
    -------
    str
        A contrast is given only if trials of the treatment are in the comparison, with their number and with the other
        trials of the comparison; otherwise no number is given.
    """
    used = included(studies).query("nma_status == 'used'")
    if treatment_class not in fit.treatments:
        note = notes[treatment_class]
        return (
            "no trial of this treatment is in it; the class is"
            f" {note if isinstance(note, str) else 'not in the network of these data'}"
        )
    if not trials["ref"].isin(used["ref"]).any():
        of_class = used[used["nma_comparison"].str.split(" vs ").map(lambda pair: treatment_class in pair)]
        names = "; ".join(f"{row.first_author} {row.year}, {row.subclass}" for row in of_class.itertuples())
        rests = f"; what it says of the whole class rests on other trials ({names})" if names else ""
        return f"no trial of this treatment is in it{rests}"
    parts = []
    for other in (name for name in fit.treatments if name != treatment_class):
        compared = used[used["nma_comparison"].isin([f"{treatment_class} vs {other}", f"{other} vs {treatment_class}"])]
        own = compared["ref"].isin(trials["ref"])
        if not own.any():
            parts.append(f"against {other}: no trial of this treatment")
            continue
        te, lower, upper = (float(frame.at[treatment_class, other]) for frame in (fit.te, fit.lower, fit.upper))
        clear = "" if lower > 0 or upper < 0 else ", no clear difference"
        rest = ", ".join(sorted(compared.loc[~own, "subclass"].unique()))
        parts.append(
            f"against {other} SMD {number(te)} ({interval(lower, upper)}){clear}, with {own.sum()} of {len(compared)}"
            " trials of this treatment" + (f" (the others: {rest})" if rest else "")
        )
    return f"of the whole class {treatment_class}: " + "; ".join(parts)


def directions(row, trials: pd.DataFrame, within: Iterable[str] = ()) -> str:
    """Summarise the article's statements on a treatment by kind of comparison, in the direction of the row's treatment.

    Parameters
    ----------
    row : namedtuple
        A row of ``patient_information``; if its ``arm`` is the second, a trial that favours the first arm counts
        against it.
    trials : DataFrame
        Rows of ``studies``; ``other_care`` gives the kind.
    within : iterable of str
        Studies that compare groups only with their baseline.
    """
    if isinstance(row.tested, str):
        kinds = {"for what was tested": trials}
    else:
        kinds = {label: trials[trials["other_care"] == kind] for kind, label in KINDS.items()}
    parts = []
    for label, group in kinds.items():
        found = _outcomes(group, row.arm, within)
        if label == KINDS["no"]:
            found = (
                found.rename({"better": "one form better", "worse": "one form better"})
                .groupby(level=0, sort=False)
                .sum()
            )
        if len(found):
            parts.append(
                f"{label}: " + ", ".join(f"{OUTCOMES.get(case, case)} {count}" for case, count in found.items())
            )
    return "; ".join(parts)


def plain_sentence(row, trials: pd.DataFrame, texts: pd.DataFrame, within: Iterable[str] = ()) -> str:
    """Write a few short sentences about the trials of a treatment, with counts and without recommendations.

    Better and worse refer to trials whose ``other_care`` is yes, which compare the treatment with something else, and
    separately to additions to a treatment that all arms get. ``texts`` has the sentences, one row per case, in
    the columns ``one`` and ``several``; ``within`` is as in :func:`directions`.
    """

    def text(case: str, n: int, *, of: int) -> str:
        return texts.at[case, "one" if of == 1 else "several"].format(n=n, all=of, tested=row.tested)

    def outcome_sentences(group: pd.DataFrame, kind: str = "") -> list[str]:
        found = _outcomes(group, row.arm, within)
        return [
            text(kind + case if case in ("better", "worse") else case, count, of=len(group))
            for case, count in found.items()
        ]

    if trials.empty:
        return text("no trial", 0, of=0)
    n = len(trials)
    other, added, forms = (trials[trials["other_care"] == kind] for kind in KINDS)
    parts = [text("trials", n, of=n)]
    if isinstance(row.tested, str):
        parts += [text("tested", n, of=n), *outcome_sentences(trials, "tested ")]
    else:
        if other.empty:
            parts.append(text("none compared", n, of=n))
        elif len(other) < n:
            parts.append(text("compared", len(other), of=len(other)))
        parts += outcome_sentences(other)
        if len(added):
            parts += [text("added", len(added), of=len(added)), *outcome_sentences(added, "added ")]
        if 0 < len(forms) < n:
            parts.append(text("forms", len(forms), of=len(forms)))
    high = int((trials["rob_overall"] == "high").sum())
    if high:
        parts.append(text("high risk", high, of=n))
    if isinstance(row.remark, str):
        parts.append(row.remark[0].upper() + row.remark[1:] + ".")
    return " ".join(parts)


def _outcomes(trials: pd.DataFrame, arm: str, within: Iterable[str]) -> pd.Series:
    """Count trials that found the treatment better, worse and so on, in the order of ``OUTCOMES``, without zeros."""
    found = (
        trials["direction"]
        .map(
            {
                "favours intervention": "better" if arm == "first" else "worse",
                "favours comparator": "worse" if arm == "first" else "better",
                "no difference": "the same",
            }
        )
        .fillna("unclear")
        .mask(trials["study"].isin(list(within)), "within groups")
        .value_counts()
    )
    return found.reindex([case for case in OUTCOMES if case in found])


def page_prose(chapter: Path) -> list[str]:
    """Extract the paragraphs of a chapter file, without headings, code, markup and the line that places it.

    A number computed by a cell is read as one digit, because its size does not affect how hard the text is to read.

    Parameters
    ----------
    chapter : pathlib.Path
        An ``.ipynb`` file.
    """
    cells = json.loads(chapter.read_text(encoding="utf-8"))["cells"]
    markdown = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    markdown = re.sub(r"\{glue\}`[^`]*`", "1", markdown)
    markdown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", markdown)
    paragraphs = (" ".join(part.split()) for part in markdown.split("\n\n"))
    return [
        re.sub(r"[*`]", "", part)
        for part in paragraphs
        if part and not part.startswith("#") and not re.fullmatch(r"\*[^*]+\*", part)
    ]


def sentences(texts: Iterable[str]) -> list[str]:
    """Return the distinct sentences of texts in order, each once."""
    return list(dict.fromkeys(part for text in texts for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part))


def reading_level(texts: Iterable[str]) -> float:
    """Compute the Flesch-Kincaid grade of English texts: the school years needed to read them.

    Each distinct sentence counts once. Whole numbers count as spoken words. Syllables are groups of vowels,
    without a silent final e; the grade is accurate to about one year.

    Source: Kincaid 1975.

    Raises
    ------
    ValueError
        Texts without words.
    """
    distinct = sentences(texts)
    words = re.findall(
        r"[A-Za-z]+", " ".join(re.sub(r"\d+", lambda found: f" {_spoken(int(found[0]))} ", text) for text in distinct)
    )
    if not words:
        raise ValueError("texts: no words")
    return 0.39 * len(words) / len(distinct) + 11.8 * sum(map(_syllables, words)) / len(words) - 15.59


def _spoken(n: int) -> str:
    """Spell out a whole number in words up to 99, and digit by digit above."""
    if n < 20:
        return _ONES[n]
    if n < 100:
        return _TENS[n // 10 - 2] + (f" {_ONES[n % 10]}" if n % 10 else "")
    return " ".join(_ONES[int(digit)] for digit in str(n))


def _syllables(word: str) -> int:
    word = word.lower()
    groups = len(re.findall(r"[aeiouy]+", word))
    if word.endswith("e") and not word.endswith("le") and groups > 1:
        groups -= 1
    return max(1, groups)


def _counts(column: pd.Series, order: list[str]) -> str:
    counts = column.value_counts()
    return ", ".join(f"{counts[name]} {name}" for name in order if name in counts)
