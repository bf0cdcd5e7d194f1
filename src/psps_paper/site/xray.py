"""The bar of verdicts of a page: how many of each, a link to the first, and a switch that colours all.

The details of a number are in its link (:func:`psps_paper.book.claims.claim_span`) and open in place with
``psps-xray.js``.
"""

from __future__ import annotations

import re
from collections import Counter

from bs4 import Tag

from psps_paper.claims.model import VERDICT_PHRASES, VERDICTS
from psps_paper.site.markup import fragment

SCRIPT = "psps-xray.js"
_WORDS = VERDICT_PHRASES | {"not checkable": ("not checkable", "not checkable")}  # shorter, to fit the bar


def claims_in(tree: Tag) -> list[tuple[Tag, str]]:
    """Find the numbers with a verdict in the tree of a page, each with the name of its verdict's class."""
    claims = tree.select("a.claim[data-claim]")
    return [(claim, found[1]) for claim in claims if (found := re.search(r"\bverdict-([a-z-]+)", claim["class"]))]


def add_bar(tree: Tag) -> None:
    """Put the bar below the line on what a page mirrors, and give the first number of each verdict an anchor.

    A page without that line, or without numbers with a verdict, is left unchanged.

    Example
    -------
    >>> from psps_paper.site.markup import parse
    >>> tree = parse(
    ...     '<p><em>Mirrors: X.</em></p><p><a class="claim verdict-consistent" data-claim="a" href="#">1</a></p>'
    ... ).tree
    >>> add_bar(tree)
    >>> tree.li.a["href"], tree.select_one("a.claim")["id"]
    ('#first-consistent', 'first-consistent')
    """
    claims = claims_in(tree)
    lines = (line for line in tree.select("p > em:only-child") if line.get_text().startswith("Mirrors: "))
    mirrors = next(lines, None)
    if mirrors is None or not claims:
        return
    seen: set[str] = set()
    for claim, verdict in claims:
        if verdict not in seen:
            seen.add(verdict)
            claim["id"] = f"first-{verdict}"
    mirrors.parent.insert_after(*fragment(_bar(Counter(verdict for _, verdict in claims))))


def _bar(counts: Counter[str]) -> str:
    items = []
    for verdict in VERDICTS:
        name = verdict.replace(" ", "-")
        if number := counts[name]:
            words = _WORDS[verdict][number > 1]
            mark = f'<span class="xray-verdict verdict-{name}">{number}</span>'
            items.append(f'<li><a href="#first-{name}">{mark} {words}</a></li>')
    total = counts.total()
    label = f"Verdicts on the {total} printed numbers in this text"
    return (
        f'<div class="psps-bar" role="group" aria-label="{label}"><ul>{"".join(items)}</ul>'
        '<label class="psps-switch"><input type="checkbox" id="xray" role="switch"> Colour all</label></div>'
    )
