"""Link every reference number of a trial, wherever a page gives it, to the card of the trial."""

from __future__ import annotations

import re
from pathlib import Path

from psps_paper.article.studies import included
from psps_paper.tables.dataset import dataset

PAGE = "trials"
_CITED = re.compile(r'<a class="reference internal" href="references\.html#[^"]*"( title="[^"]*")?>(\d+)</a>')
_BRACKETS = re.compile(r"\[(\d{1,3}(?:, ?\d{1,3})*)\]")
# Parts to leave unchanged: links, code, drawings, scripts, and the markup itself
_KEPT = re.compile(r"<(a|code|pre|svg|script|style|summary|math)\b.*?</\1>|<[^>]*>", re.DOTALL)
_CELL = re.compile(r'(<td[^>]* data-head="(?:ref|refs|references)"[^>]*>)([\d, ]+)(</td>)')


def trial_references(data: Path) -> frozenset[int]:
    """Return the reference numbers of the included trials of a data folder; none if it has no table of studies."""
    if not (data / "studies.csv").is_file():
        return frozenset()
    return frozenset(int(ref) for ref in included(dataset(data).table("studies"))["ref"].dropna())


def link_trials(body: str, refs: frozenset[int]) -> str:
    """Link citations, numbers in square brackets, and cells of columns of references in a page's body to the cards.

    Parameters
    ----------
    body : str
        HTML.
    refs : frozenset of int
        References that have a card; other numbers are left unchanged.

    Example
    -------
    >>> link_trials("as in [57, 99]", frozenset({57}))
    'as in [<a class="psps-trial" href="trials.html#ref-57">57</a>, 99]'
    """
    if not refs:
        return body

    def link(number: str, attributes: str = "") -> str:
        return (
            f'<a class="psps-trial" href="{PAGE}.html#ref-{number}"{attributes}>{number}</a>'
            if int(number) in refs
            else number
        )

    def numbers(text: str) -> str:
        return re.sub(r"\d+", lambda found: link(found[0]), text)

    body = _CITED.sub(lambda cited: link(cited[2], cited[1] or "") if int(cited[2]) in refs else cited[0], body)
    body = _CELL.sub(lambda cell: cell[1] + numbers(cell[2]) + cell[3], body)
    parts, end = [], 0
    for kept in _KEPT.finditer(body):
        parts += [_BRACKETS.sub(lambda found: f"[{numbers(found[1])}]", body[end : kept.start()]), kept[0]]
        end = kept.end()
    return "".join(parts) + _BRACKETS.sub(lambda found: f"[{numbers(found[1])}]", body[end:])


def lead_to_cards(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Link the trials that a page names before it is written, if the book has the page of cards."""
    if (
        f"book/{PAGE}" in app.env.found_docs
        and pagename.startswith("book/")
        and Path(pagename).name not in (PAGE, "references")
    ):
        context["body"] = link_trials(context.get("body", ""), trial_references(Path(app.srcdir) / "data"))
