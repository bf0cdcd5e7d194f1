"""The narrative synthesis as tables: the comparisons, and the results that the article states."""

from __future__ import annotations

import unicodedata

import pandas as pd

DIRECTIONS = ["favours intervention", "no difference", "favours comparator", "mixed", "not reported"]


def included(studies: pd.DataFrame) -> pd.DataFrame:
    """Select the studies of the review, without exclusions."""
    return studies[studies["status"] == "included"]


def direction_counts(studies: pd.DataFrame, by: str) -> pd.DataFrame:
    """Count stated directions by a column such as ``subclass``: DataFrame [by, one column per direction, studies]."""
    rows = included(studies)
    table = pd.crosstab(rows[by], rows["direction"]).reindex(columns=DIRECTIONS, fill_value=0)
    table["studies"] = table.sum(axis=1)
    return table.rename_axis(index=by, columns=None).reset_index()


def without_placebo_arm(studies: pd.DataFrame, word: str) -> pd.DataFrame:
    """Select studies with a word among their arms and without a placebo arm by the article's count."""
    rows = included(studies)
    return rows[rows["arms"].str.contains(word, regex=False) & (rows["placebo_arm"] == "no")]


def citation_audit(citation_pairs: pd.DataFrame, studies: pd.DataFrame) -> pd.DataFrame:
    """Check whether each author named in the narrative is the first author of the reference cited.

    Names are compared ignoring accents and case.

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
