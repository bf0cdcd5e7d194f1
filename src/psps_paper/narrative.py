"""The narrative synthesis as tables: who compared what, and what the article says came out."""

from __future__ import annotations

import unicodedata

import pandas as pd

DIRECTIONS = ["favours intervention", "no difference", "favours comparator", "mixed", "not reported"]


def included(studies: pd.DataFrame) -> pd.DataFrame:
    """The studies of the review, without counted exclusions."""
    return studies[studies["status"] == "included"]


def class_table(studies: pd.DataFrame, treatment_class: str) -> pd.DataFrame:
    """Studies of a treatment class, grouped by sub-class, in the article's own grouping.

    Returns
    -------
    DataFrame [sub-class, study, year, design, comparison, direction, what it rests on, risk of bias]

    Raises
    ------
    ValueError
        A class that no study has.
    """
    rows = included(studies)
    rows = rows[rows["treatment_class"] == treatment_class].sort_values(["subclass", "year", "ref"])
    if rows.empty:
        known = ", ".join(sorted(included(studies)["treatment_class"].unique()))
        raise ValueError(f"treatment_class={treatment_class!r}: expected one of {known}")
    return pd.DataFrame({
        "sub-class": rows["subclass"],
        "study": [f"{row.first_author} (ref {row.ref})" for row in rows.itertuples()],
        "year": rows["year"].astype(str),
        "design": rows["design"],
        "comparison": rows["arms"].str.replace(" | ", " against ", regex=False),
        "stated direction": rows["direction"],
        "on what": rows["direction_basis"],
        "risk of bias": rows["rob_overall"],
    }).reset_index(drop=True)


def direction_counts(studies: pd.DataFrame, by: str) -> pd.DataFrame:
    """Stated directions counted by a column such as ``subclass``: DataFrame [by, one column a direction, studies]."""
    rows = included(studies)
    table = pd.crosstab(rows[by], rows["direction"]).reindex(columns=DIRECTIONS, fill_value=0)
    table["studies"] = table.sum(axis=1)
    return table.rename_axis(index=by, columns=None).reset_index()


def without_placebo_arm(studies: pd.DataFrame, word: str) -> pd.DataFrame:
    """Studies with a word among their arms, and without a placebo arm as the article counts them."""
    rows = included(studies)
    return rows[rows["arms"].str.contains(word, regex=False) & (rows["placebo_arm"] == "no")]


def citation_audit(citation_pairs: pd.DataFrame, studies: pd.DataFrame) -> pd.DataFrame:
    """Whether the author whom the narrative names is the first author of the reference that it cites.

    Names are compared without accents and case.

    Returns
    -------
    DataFrame [named, ref, first_author, agrees, place]
    """
    authors = studies.dropna(subset="ref").set_index("ref")["first_author"]
    audit = citation_pairs.assign(first_author=citation_pairs["ref"].map(authors))
    audit["agrees"] = audit["named"].map(_plain_name) == audit["first_author"].map(_plain_name)
    return audit[["named", "ref", "first_author", "agrees", "place"]]


def _plain_name(name: str) -> str:
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().casefold()
