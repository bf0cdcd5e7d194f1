"""Checks against facts from public pages."""

from __future__ import annotations

import re

import pandas as pd

from psps_paper.article.facts import fact as fact_row
from psps_paper.article.facts import linked_value
from psps_paper.claims.model import CODED, Evidence, Finding, _arguments, _check, _exactly, _nothing
from psps_paper.tables.errors import TableError


@_check("re-extracted")
def fact(evidence: Evidence, claim: pd.Series) -> Finding:
    """Compare with a fact from a trial's public pages, linked in ``claim_facts.csv``; takes no arguments.

    A fact that merely allows the printed value (relation "allows") shows that it is possible and no more.
    """
    links = evidence.table("claim_facts").set_index("claim")
    if claim["id"] not in links.index:
        raise TableError(f"claims.csv, id {claim['id']}, column check: claim_facts.csv has no row for this statement")
    link, facts = links.loc[claim["id"]], evidence.table("study_facts")
    value = linked_value(facts, link["fact"], link["total"], link["relation"])
    row = fact_row(facts, link["fact"])
    _needs_page_of_trial(row, link["fact"], f"claim_facts.csv, claim {claim['id']}, column fact")
    source = row["source_url"]
    how = "what the page says allows it" if link["relation"] == "allows" else link["relation"]
    stated, against = link["relation"] != "allows", evidence.source("study_facts", "number")
    return Finding(value, value, f"{how}, from {source}", determined=stated and against != CODED, against=against)


@_check("re-extracted")
def fact_text(evidence: Evidence, claim: pd.Series) -> Finding:
    """Read a number from text recorded from a trial's public page: ``fact | column | words with {} for the number``.

    The number may be in digits or be one of the words in ``NUMBER_WORDS``.
    """
    name, column, words = _arguments(claim, 3)
    row = fact_row(evidence.table("study_facts"), name)
    _needs_page_of_trial(row, name, f"claims.csv, id {claim['id']}, column arguments")
    before, after = map(re.escape, words.split("{}"))
    found = re.search(rf"{before}(\d+(?:\.\d+)?|{'|'.join(NUMBER_WORDS)}){after}", str(row[column]))
    if found is None:
        raise ValueError(f"{words!r} is not in column {column} of {name}: {row[column]!r}")
    number = found.group(1)
    value = NUMBER_WORDS.get(number) or float(number)
    return _exactly(value, f"{found.group(0)!r}, from {row['source_url']}", evidence.source("study_facts", column))


@_check("printed")
def unavailable(evidence: Evidence, claim: pd.Series) -> Finding:
    """Report that nothing in this repository bears on the statement; the column ``settles`` names what would."""
    return _nothing("no evidence in this repository")


NUMBER_WORDS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}


def _needs_page_of_trial(row: pd.Series, name: str, where: str) -> None:
    if row["source_kind"] in ("article", "searched"):
        raise TableError(
            f"{where}: {name} has source kind {row['source_kind']!r}, which checks nothing; "
            "expected a page of the trial"
        )
