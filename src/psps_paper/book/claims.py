"""Display of the article's statements in chapters: glued numbers and tables of verdicts."""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import lru_cache

import pandas as pd
from myst_nb import glue

from psps_paper.article.trials import Trials, book_state
from psps_paper.book.display import Html, Shown, folded, show, tier_badge, verdict_chip
from psps_paper.claims.model import VERDICT_PHRASES, VERDICTS, place
from psps_paper.claims.registry import check_claims, statements
from psps_paper.tables.cache import cached
from psps_paper.tables.dataset import Dataset, dataset
from psps_paper.tables.load import load_table


def keeps_to_print() -> Shown | None:
    """Show, if trial-level data are present, a sentence that this page nevertheless keeps to printed numbers."""
    if not isinstance(book_state(), Trials):
        return None
    text = (
        "Trial-level data are in this copy. This page keeps to the numbers that the article printed, except where it"
        " names the trial-level data; what they change is on the page What changed."
    )
    return Shown(
        f'<p>{html.escape(text).replace("What changed", """<a href="what_changed.html">What changed</a>""")}</p>', text
    )


def glue_basis() -> None:
    """Glue ``basis``, which ends the lead of the front page and, with trial-level data, points to what they change.

    The first screen has no room for :func:`keeps_to_print`.
    """
    end, link = (
        (". These rest on the print. ", "What the trials change") if isinstance(book_state(), Trials) else (".", "")
    )
    markup = f'{end}<a href="what_changed.html">{link}</a>' if link else end
    glue("basis", Shown(markup, end + link), display=False)


def claim_span(claim: pd.Series) -> str:
    """Mark up a printed number in prose: a link to its permanent address, with the details that ``psps-xray.js`` shows.

    The accessible name of the link includes the verdict, so that nobody depends on colour, hovering or a script.
    """
    carried = {
        "of": claim["quantity"],
        "place": place(claim),
        "found": claim["computed"],
        "against": claim["against"],
        "why": how(claim),
    }
    data = "".join(f' data-{name}="{html.escape(text)}"' for name, text in carried.items())
    said = said_text(claim)
    short = " short" if len(said) < 3 else ""  # a single digit needs padding to be easy to press
    return (
        f'<a class="claim verdict-{claim["verdict"].replace(" ", "-")}{short}" data-claim="{claim["id"]}"'
        f' href="{address(claim)}" aria-label="{html.escape(said)},'
        f' {claim["verdict"]}"{data}>{html.escape(said)}</a>'
    )


def said_text(claim: pd.Series) -> str:
    """Write a printed number as prose does: "no" where the article states in words that there are none."""
    in_words = not any(letter.isdigit() for letter in claim["printed"])
    return "no" if claim["shown"] == "0" and in_words else claim["shown"]


def address(claim: pd.Series) -> str:
    """Return the permanent address of a statement: its row on the page that mirrors its place in the article."""
    return f"{claim['chapter']}.html#claim-{claim['id']}"


def glue_claims(chapter: str, also: Sequence[str] = ()) -> None:
    """Make the printed numbers of a chapter, and further statements by their ids (``also``), available to its prose."""
    checked = _checked(dataset())
    unknown = [name for name in also if name not in checked.index]
    if unknown:
        raise ValueError(f"also={unknown}: no such statement in claims.csv")
    for _, claim in checked[(checked["chapter"] == chapter) | checked["id"].isin(also)].iterrows():
        glue(claim["id"], Shown(claim_span(claim), said_text(claim)), display=False)


# Cached because each chapter needs the result twice, and the check takes seconds
@lru_cache(maxsize=1)
def _checked(data: Dataset) -> pd.DataFrame:
    return cached("claims", data.digest, lambda: check_claims(data))


def claims_table(checked: pd.DataFrame) -> pd.DataFrame:
    """Tabulate statements with their verdicts for readers; those from :func:`statements` with all their places."""
    rows = [
        {
            "statement": Html(
                f"{html.escape(claim['quantity'])} <span"
                f' class="psps-place">{html.escape("; ".join(claim.get("places", [place(claim)])))}</span>'
            ),
            "printed": Html(_with_anchors(claim["shown"], claim.get("ids", [claim["id"]]))),
            "found here": claim["computed"],
            "verdict": Html(f"{verdict_chip(claim['verdict'])} {_claim_tier(claim)}"),
            "weight": claim["weight"],
            "checked against": claim["against"],
            "how, and what would settle it": how(claim),
        }
        for _, claim in checked.iterrows()
    ]
    table = pd.DataFrame(rows, index=checked.index)
    table.attrs["row_ids"] = {key: f"claim-{key}" for key in checked.index}
    return table


def show_claims(chapter: str) -> Shown:
    """Show every printed number that a chapter mirrors, in a folded table.

    Each row is a permanent address, and following a link to it unfolds the table. The caption counts distinct results,
    then the rest.
    """
    checked = _checked(dataset())
    rows = checked[checked["chapter"] == chapter]
    distinct = statements(rows)
    results = distinct["weight"] == "result"
    counts = [
        f"{name} {_verdict_counts(part['verdict'])}"
        for name, part in (("results", distinct[results]), ("methods and details", distinct[~results]))
        if len(part)
    ]
    table = show(
        claims_table(rows),
        caption=f"The article's numbers on this page. Of the {'; of the '.join(counts)}.",
        tier="printed",
        name=f"claims-{chapter.replace('_', '-')}",
        sortable=True,
    )
    return folded(table, f"All {len(rows)} printed numbers of this page, each with its address and its verdict")


def _claim_tier(claim: pd.Series) -> str:
    return "" if claim["verdict"] == "not checkable" else tier_badge(claim["tier"])


def how(claim: pd.Series) -> str:
    """Explain a verdict: values and remarks, what would settle it, and the authors' answer to a contradiction."""
    parts = [claim["detail"]]
    if isinstance(claim["note"], str):
        parts.append(claim["note"])
    if isinstance(claim["settles"], str) and claim["verdict"] != "reproduces":
        parts.append(f"Would settle it: {claim['settles']}.")
    if claim["verdict"] == "contradicts":
        parts.append(f"The authors' answer: {_answers().get(claim['id'], 'none so far')}.")
    return " ".join(part if part.endswith(".") else part + "." for part in parts)


def _answers() -> dict[str, str]:
    """Return the authors' answers to contradictions, with name and date, by statement."""
    table = load_table("answers").dropna(subset="answer")
    return {row.claim: f"{row.answer} ({row.answered_by}, {row.day})" for row in table.itertuples()}


def _with_anchors(text: str, ids: list[str]) -> str:
    """Mark up a printed number with the ids of all places that print it; those after the first are anchors as well."""
    first, *others = ids
    inner = html.escape(text)
    for name in others:
        inner = f'<span data-claim="{name}" id="status-{name}">{inner}</span>'
    return f'<span data-claim="{first}">{inner}</span>'


def _verdict_counts(verdicts: pd.Series) -> str:
    counts = {verdict: int((verdicts == verdict).sum()) for verdict in VERDICTS}
    return ", ".join(f"{count} {VERDICT_PHRASES[verdict][count > 1]}" for verdict, count in counts.items() if count)
