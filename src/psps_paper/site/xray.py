"""The bar of verdicts of a page: how many of each, a link to the first, and a switch that colours all.

The details of a number are in its link (:func:`psps_paper.book.claims.claim_span`) and open in place with
``psps-xray.js``.
"""

from __future__ import annotations

import re
from collections import Counter

from psps_paper.claims.model import VERDICT_PHRASES, VERDICTS

SCRIPT = "psps-xray.js"
_CLAIM = re.compile(r'<a class="claim verdict-(?P<verdict>[a-z-]+)(?P<short> short)?" (?=data-claim=)')
_WORDS = VERDICT_PHRASES | {"not checkable": ("not checkable", "not checkable")}  # shorter, to fit the bar
_MIRRORS = re.compile(r"<p><em>Mirrors: .*?</em></p>\n?", re.DOTALL)


def claims_in(body: str) -> bool:
    """Test whether the text of a page contains numbers with a verdict."""
    return _CLAIM.search(body) is not None


def with_bar(body: str) -> str:
    """Put the bar below the line on what a page mirrors, and give the first number of each verdict an anchor.

    A page without that line, or without numbers with a verdict, is left unchanged.

    Examples
    --------
    >>> page = '<p><em>Mirrors: X.</em></p><p><a class="claim verdict-consistent" data-claim="a" href="#">1</a></p>'
    >>> 'href="#first-consistent"' in with_bar(page) and 'id="first-consistent"' in with_bar(page)
    True
    >>> with_bar("<p>No number.</p>")
    '<p>No number.</p>'
    """
    mirrors = _MIRRORS.search(body)
    counts = Counter(found["verdict"] for found in _CLAIM.finditer(body))
    if mirrors is None or not counts:
        return body
    seen: set[str] = set()

    def anchored(found: re.Match) -> str:
        if found["verdict"] in seen:
            return found[0]
        seen.add(found["verdict"])
        return found[0] + f'id="first-{found["verdict"]}" '

    return body[: mirrors.end()] + _bar(counts) + _CLAIM.sub(anchored, body[mirrors.end() :])


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
        '<label class="psps-switch"><input type="checkbox" id="xray" role="switch"> Colour all</label></div>\n'
    )
