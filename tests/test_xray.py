"""The bar of verdicts on a page, and the script that opens the verdict of a number in place."""

from __future__ import annotations

import re

import pytest
from bs4 import BeautifulSoup

from psps_paper.claims.model import VERDICTS
from psps_paper.site import xray
from psps_paper.site.formulas import ASSETS
from psps_paper.site.markup import parse, rewritten

MIRRORS = "<h1>Title</h1>\n<p><em>Mirrors: Results.</em></p>\n"


def number(verdict: str, text: str = "13") -> str:
    short = " short" if len(text) < 3 else ""
    return f'<a class="claim verdict-{verdict}{short}" data-claim="x" href="p.html#claim-x" data-of="trials">{text}</a>'


def test_the_bar_counts_each_verdict_in_its_order_and_leads_to_the_first():
    numbers = [number("contradicts"), number("consistent"), number("not-checkable"), number("consistent", "0.45")]
    body = rewritten(f"{MIRRORS}<p>{' '.join(numbers)}</p>", xray.add_bar)
    page = BeautifulSoup(body, "html.parser")
    bar = page.select_one(".psps-bar")
    assert [item.get_text() for item in bar.select("li")] == ["2 are consistent", "1 contradicts", "1 not checkable"]
    assert bar["aria-label"] == "Verdicts on the 4 printed numbers in this text"
    links = [link["href"] for link in bar.select("a")]
    assert links == ["#first-consistent", "#first-contradicts", "#first-not-checkable"]
    assert sorted(links) == sorted(f"#{first['id']}" for first in page.select("a.claim[id]"))
    assert body.index("Mirrors") < body.index("psps-bar") < body.index("data-claim")


@pytest.mark.parametrize("body", ["<p>x</p>", MIRRORS, f"<h1>Front</h1><p>{number('consistent')}</p>"])
def test_a_page_that_mirrors_nothing_or_has_no_number_has_no_bar(body):
    assert rewritten(body, xray.add_bar) == body


def test_numbers_that_the_bar_leads_to_are_numbers_still():
    """A page whose every number was the first of its verdict once went without the script that opens them."""
    tree = parse(f"{MIRRORS}<p>{number('consistent')}</p>").tree
    xray.add_bar(tree)
    assert [verdict for _, verdict in xray.claims_in(tree)] == ["consistent"]


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize("count", [1, 2])
def test_every_verdict_has_words_for_one_and_for_several(verdict, count):
    body = rewritten(MIRRORS + number(verdict.replace(" ", "-")) * count, xray.add_bar)
    assert BeautifulSoup(body, "html.parser").select_one("li").get_text().startswith(f"{count} ")


def test_the_switch_works_without_a_script_and_every_verdict_has_its_sign():
    style = (ASSETS / "psps.css").read_text(encoding="utf-8")
    assert "html:has(#xray:checked) .bd-content a.claim" in style
    for verdict in VERDICTS:
        assert re.search(rf"\.verdict-{verdict.replace(' ', '-')} {{ --mark: \"[^\"]+\"; --hue: ", style)


def test_the_script_is_a_file_without_markup_from_text():
    script = (ASSETS / xray.SCRIPT).read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|eval\(|\.on[a-z]+ =", script)
