"""Link every reference number of a trial, wherever a page gives it, to the card of the trial."""

from __future__ import annotations

import re
from pathlib import Path

from bs4 import Tag

from psps_paper.article.studies import included
from psps_paper.site.markup import Part, element, replace_in, texts
from psps_paper.tables.dataset import dataset

PAGE = "trials"
_BRACKETS = re.compile(r"\[\d{1,3}(?:, ?\d{1,3})*\]")
# Parts to leave unchanged: links, code, formulas, drawings and scripts
_APART = frozenset(["a", "code", "math", "pre", "script", "style", "summary", "svg"])
_REFERENCES = "td[data-head=ref], td[data-head=refs], td[data-head=references]"


def trial_references(data: Path) -> frozenset[int]:
    """Return the reference numbers of the included trials of a data folder; none if it has no table of studies."""
    if not (data / "studies.csv").is_file():
        return frozenset()
    return frozenset(int(ref) for ref in included(dataset(data).table("studies"))["ref"].dropna())


def link_trials(tree: Tag, refs: frozenset[int]) -> None:
    """Link citations, numbers in square brackets, and cells of columns of references in a page's tree to the cards.

    Parameters
    ----------
    tree : Tag
        Changed in place.
    refs : frozenset of int
        References that have a card; other numbers are left unchanged.

    Example
    -------
    >>> from psps_paper.site.markup import rewritten
    >>> rewritten("as in [57, 99]", lambda tree: link_trials(tree, frozenset({57})))
    'as in [<a class="psps-trial" href="trials.html#ref-57">57</a>, 99]'
    """

    def card(number: str) -> dict[str, str]:
        return {"class": "psps-trial", "href": f"{PAGE}.html#ref-{number}"} if int(number) in refs else {}

    def linked(found: re.Match[str]) -> list[Part]:
        parts = re.split(r"(\d+)", found[0])
        return [element("a", card(part), part) if part.isdecimal() and card(part) else part for part in parts]

    for text in list(texts(tree, _APART)):
        replace_in(text, _BRACKETS, linked)
    for cell in tree.select(_REFERENCES):
        if cell.string and re.fullmatch(r"[\d, ]+", cell.string):
            replace_in(cell.string, re.compile(r"\d+"), linked)
    for cited in tree.select('a.reference.internal[href^="references.html#"]'):
        if (cited.string or "").isdecimal():
            cited.attrs.update(card(cited.string))


def lead_to_cards(app, page: str, tree: Tag) -> None:
    """Link the trials that a page names before it is written, if the book has the page of cards."""
    if (
        f"book/{PAGE}" in app.env.found_docs
        and page.startswith("book/")
        and Path(page).name not in (PAGE, "references")
        and (refs := trial_references(Path(app.srcdir) / "data"))
    ):
        link_trials(tree, refs)
