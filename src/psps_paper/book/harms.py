"""Tables and sentences of the pages on harms, on who paid, and on single treatments."""

from __future__ import annotations

import html

import pandas as pd

from psps_paper.article import harms
from psps_paper.article.studies import included
from psps_paper.book.display import Html
from psps_paper.book.findings import (
    Finding,
    answer_text,
    funding_text,
    harms_text,
    limits_text,
    points_text,
    relief_texts,
    trials_text,
)
from psps_paper.formatting import number, sentence_list


def _study(row) -> Html:
    return Html(
        f'<a href="{html.escape(row.source)}">{html.escape(row.study)}</a> <span class="psps-ref">[{row.ref}]</span>'
    )


def went_wrong_table(table: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the events of :func:`psps_paper.article.harms.harms_table` for readers, parts of an event below it."""
    return pd.DataFrame(
        {
            "trial": [_study(row) for row in table.itertuples()],
            "patients had": [f"of these: {row.event}" if row.part else row.event for row in table.itertuples()],
            "how many": table["count"].tolist(),
            "within": [time or "not told" for time in table["time"]],
            "remark": table["note"].tolist(),
        }
    )


def paid_table(table: pd.DataFrame, words: pd.DataFrame) -> pd.DataFrame:
    """Tabulate ``article.harms.funding_by_comparison`` for readers, with the names of ``readers_words``."""

    def share(row: pd.Series) -> str:
        low, high = (number(100 * row[f"share {end}"], 0) for end in ("low", "high"))
        return f"{low} %" if low == high else f"{low} to {high} %"

    return pd.DataFrame(
        [
            {
                "against": name.lower(),
                "trials": table.at[treat2, "trials"],
                "a device maker": (
                    f"{table.at[treat2, harms.MAKER]} ({table.at[treat2, 'makers']})"
                    if table.at[treat2, harms.MAKER]
                    else "0"
                ),
                "others": table.at[treat2, harms.OTHER],
                "not found": table.at[treat2, harms.NOT_FOUND],
                "patients in a device maker's trials": share(table.loc[treat2]),
            }
            for treat2, name in zip(words["treat2"], words["name"], strict=True)
        ]
    )


def funders_page(table: pd.DataFrame) -> pd.DataFrame:
    """Tabulate :func:`psps_paper.article.harms.funders_table` for readers."""
    return pd.DataFrame(
        {
            "trial": [_study(row) for row in table.itertuples()],
            "treatment class": table["class"].tolist(),
            "who": table["funder"].tolist(),
            "kind": table["kind"].tolist(),
            "as": table["role"].tolist(),
            "remark": table["note"].tolist(),
        }
    )


def harms_texts(table: pd.DataFrame, funders: pd.DataFrame, studies: pd.DataFrame) -> dict[str, str]:
    """Count trials for prose on harms and funding.

    Returns
    -------
    dict
        ``n_trials``; ``n_counted`` (trials with a count, including zero), ``n_uncounted``; ``n_maker``, ``n_other`` and
        ``n_unknown`` by who paid; ``greatest``, ``greatest_event`` and ``greatest_trial``: the largest percentage.
    """
    trials = included(studies)
    counted = table["ref"].nunique()
    kinds = funders["kind"]
    top = table.loc[table["share"].idxmax()]
    return {
        "n_trials": str(len(trials)),
        "n_counted": str(counted),
        "n_uncounted": str(len(trials) - counted),
        "n_maker": str(int((kinds == harms.MAKER).sum())),
        "n_other": str(int((kinds != harms.MAKER).sum())),
        "n_unknown": str(len(trials) - len(funders)),
        "greatest": top["count"],
        "greatest_event": top["event"],
        "greatest_trial": top["study"],
        "greatest_time": top["time"],
    }


def _bare(points: str, finding: Finding) -> str:
    return points.removesuffix(f" {finding.outcome}").replace(" points", "")


def clinician_table(found: list[Finding]) -> pd.DataFrame:
    """Tabulate the comparisons for the printed summary: evidence, points, responders, certainty."""
    return pd.DataFrame(
        [
            {
                f"{finding.treat1} against": finding.name.lower(),
                "rests on": trials_text(finding),
                "points of 0 to 10 (95 % CI)": f"{_bare(points_text(finding), finding)} ({limits_text(finding)})",
                f"half of the {finding.outcome} gone, of 100": "; ".join(relief_texts(finding)) or "no counts found",
                "certainty": finding.certainty,
            }
            for finding in found
        ]
    )


def finding_texts(found: list[Finding]) -> dict[str, str]:
    """Write sentences on each comparison: ``answer_X``, ``harms_X`` and ``paid_X``, X as in ``findings_texts``."""
    return {
        f"{name}_{finding.key}": text
        for finding in found
        for name, text in (
            ("answer", answer_text(finding)),
            ("harms", harms_text(finding)),
            ("paid", funding_text(finding)),
        )
    }


AGAINST_OTHER_CARE = {
    "favours intervention": "better",
    "no difference": "no difference shown",
    "favours comparator": "worse",
    "mixed": "mixed",
    "not reported": "not reported",
}


def treatments_table(studies: pd.DataFrame) -> pd.DataFrame:
    """Tabulate every kind of treatment tested, grouped as a clinician would, with what its trials can show.

    Parameters
    ----------
    studies : DataFrame

    Returns
    -------
    DataFrame [treatment, trials, at high risk of bias, against other care or a placebo arm, in the network]
        Directions are the article's, for the first-named arm. Trials that compare forms of one treatment, or add to it,
        are counted but are no evidence on the treatment itself.
    """
    rows = []
    for (treatment_class, group), own in included(studies).groupby(["treatment_class", "clinical_group"], sort=False):
        against = own[own["other_care"] == "yes"]
        found = against["direction"].map(AGAINST_OTHER_CARE).value_counts()
        parts = [f"{word} in {found[word]}" for word in AGAINST_OTHER_CARE.values() if word in found]
        untold = {1: "its trial compares", 2: "both compare"}.get(len(own), f"all {len(own)} compare")
        rows.append(
            {
                "class": treatment_class,
                "treatment": Html(
                    f'<a href="narrative_{str(treatment_class).replace(" ", "_")}.html">{html.escape(group)}</a>'
                    f'<span class="psps-place">{treatment_class}</span>'
                ),
                "trials": len(own),
                "at high risk of bias": int((own["rob_overall"] == "high").sum()),
                "against other care or a placebo arm": (
                    sentence_list(parts) if parts else f"not tested: {untold} forms or additions"
                ),
                "in the network": int((own["nma_status"] == "used").sum()),
            }
        )
    table = pd.DataFrame(rows).sort_values(["class", "trials"], ascending=[True, False], kind="stable")
    return table.drop(columns="class").reset_index(drop=True)


def patient_harms(table: pd.DataFrame, facts: pd.DataFrame, *, words: str = "{events} of {total}") -> dict[str, str]:
    """Collect the counts for the patients' pages, as text, each under its name in the column ``told_as``.

    Parameters
    ----------
    table, facts : DataFrame
        The tables ``harms`` and ``study_facts``.
    words : str
        Wording of a count; if the number of patients is known only within limits, the larger one is used.
        A part of another event is given as a number alone.
    """
    rows = table.dropna(subset="told_as").set_index("told_as")
    texts = {
        name: words.format(events=row["events"], total=harms.totals(row, facts)[1]) for name, row in rows.iterrows()
    }
    return texts | {name: str(rows.at[name, "events"]) for name in rows.index[rows["part_of"].notna()]}


def patient_times(table: pd.DataFrame) -> dict[str, str]:
    """Return the times within which the events of :func:`patient_harms` were counted: ``X_time`` for each name X."""
    rows = table.dropna(subset="told_as")
    return {f"{name}_time": time for name, time in zip(rows["told_as"], rows["time"], strict=True)}
