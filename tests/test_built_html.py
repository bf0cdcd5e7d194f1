"""What readers get: the pages of _build/html, checked against the table of contents and the registry of claims."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from conftest import BUILT, ROOT, chapters
from psps_paper.claims.registry import check_claims
from psps_paper.formatting import printed_value
from psps_paper.site.extension import make_room
from psps_paper.site.markup import rewritten
from psps_paper.tables.trials import trials_folder

pytestmark = pytest.mark.built

STATUS = "reproduction_status"
PAGES = chapters()
CLAIMS = pd.read_csv(ROOT / "data" / "claims.csv", dtype=str, keep_default_na=False).to_dict("records")
# What myst-nb, Sphinx and Python leave on a page when something went wrong
RESIDUE = re.compile(r"\{glue|No key '|WARNING:|Traceback \(most recent|<(?:class|function|module) '|np\.\w+\(|\bnan\b")


@cache
def soup(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def page(stem: str) -> BeautifulSoup:
    return soup(BUILT / "book" / f"{stem}.html")


def article(stem: str):
    return page(stem).select_one("article.bd-article")


def plain(element) -> str:
    return " ".join(element.get_text().split())


@cache
def anchors(path: Path) -> frozenset[str]:
    return frozenset(element["id"] for element in soup(path).select("[id]"))


@cache
def claim_elements(stem: str) -> dict[str, list]:
    found: dict[str, list] = {}
    for element in article(stem).select("[data-claim]"):
        found.setdefault(element["data-claim"], []).append(element)
    return found


def shown(claim: dict) -> str:
    """The printed value as this edition writes it, from the registry's own columns."""
    text = printed_value(float(claim["value"]), int(claim["decimals"]), claim["relation"], claim["unit"])
    return " ".join(text.split())


def pages() -> list[str]:
    """Every page that the build wrote, for the checks that hold on all of them."""
    return [f"book/{stem}.html" for stem in PAGES] + ["index.html", "search.html"]


def test_every_chapter_has_a_page_with_text(built):
    for stem in PAGES:
        assert len(plain(article(stem))) > 100, stem


def test_no_page_without_a_chapter(built):
    assert sorted(path.stem for path in (built / "book").glob("*.html")) == sorted(PAGES)


@pytest.mark.parametrize("path", pages())
def test_internal_links_lead_somewhere(built, path):
    broken = []
    source = built / path
    for element in soup(source).select("a[href], link[href], img[src], script[src], source[src]"):
        link = element.get("href") or element.get("src")
        parts = urlsplit(link)
        if parts.scheme or parts.netloc or link == "#":
            continue
        target = (source.parent / unquote(parts.path)).resolve() if parts.path else source
        target = target / "index.html" if target.is_dir() else target
        if not target.exists() or (
            parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in anchors(target)
        ):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("path", pages())
def test_ids_are_unique(built, path):
    ids = [element["id"] for element in soup(built / path).select("[id]")]
    assert sorted({name for name in ids if ids.count(name) > 1}) == []


@pytest.mark.parametrize("path", pages())
def test_nothing_is_loaded_from_elsewhere(built, path):
    loaded = soup(built / path).select("script[src], link[rel=stylesheet], link[rel=preload], img[src], iframe[src]")
    assert [element for element in loaded if urlsplit(element.get("src") or element.get("href")).netloc] == []


@pytest.mark.parametrize("stem", PAGES)
def test_every_image_says_what_it_shows(built, stem):
    for image in page(stem).select("img"):
        assert image.get("alt", "").strip(), image
    for drawing in article(stem).select("figure svg, div.cell_output svg"):
        if (
            drawing.find_parent("svg") is None and drawing.get("aria-hidden") != "true"
        ):  # the words beside it say the same
            assert drawing.get("role") == "img" and drawing.get("aria-label", "").strip(), str(drawing)[:200]


@pytest.mark.parametrize("stem", PAGES)
def test_every_figure_has_a_caption(built, stem):
    for figure in article(stem).select("figure.psps"):
        assert figure.figcaption is not None and plain(figure.figcaption), str(figure)[:200]


@pytest.mark.parametrize("stem", PAGES)
def test_no_number_is_missing_and_no_message_is_left(built, stem):
    text = BeautifulSoup(str(article(stem)), "html.parser")
    for code in text.select("pre, code, dt.sig, div.cell_input"):
        code.decompose()
    assert [match[0] for match in RESIDUE.finditer(text.get_text())] == []
    for pasted in text.select("span.pasted-text, span.pasted-inline, .claim, [data-claim]"):
        assert plain(pasted), f"empty: {pasted}"


@pytest.mark.parametrize("stem", PAGES)
def test_no_cell_shows_an_error_or_a_warning(built, stem):
    assert article(stem).select("div.traceback, div.stderr, div.system-message") == []


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim["id"])
def test_claim_is_on_its_page_with_its_printed_value(built, claim):
    found = claim_elements(claim["chapter"]).get(claim["id"], [])
    assert found, f"{claim['chapter']}.html has no element with data-claim={claim['id']!r}"
    # Prose says "no" where the article says "none" or "without"; the row of the statement has the number.
    said = {"no"} if shown(claim) == "0" and not re.search(r"\d", claim["printed"]) else set()
    assert {plain(element) for element in found} == {shown(claim)} | said


@cache
def expected_verdicts() -> dict[str, str]:
    """The registry's verdicts; with trial-level data those that the data give, since a number that they contradict or
    settle is a finding, and pages must show it."""
    if trials_folder(ROOT / "data") is None:
        return {claim["id"]: claim["expected"] for claim in CLAIMS}
    return check_claims(ROOT / "data").set_index("id")["verdict"].to_dict()


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim["id"])
def test_claim_has_its_row_and_its_verdict(built, claim):
    expected = expected_verdicts()[claim["id"]]
    rows = [element.find_parent("tr") for element in claim_elements(STATUS).get(claim["id"], [])]
    rows = [row for row in rows if row is not None]
    assert rows, f"{STATUS}.html has no row with data-claim={claim['id']!r}"
    for row in rows:
        assert shown(claim) in [plain(cell) for cell in row.find_all(["td", "th"])]
        verdict = row.select_one(".verdict")
        assert plain(verdict) == expected
        assert f"verdict-{expected.replace(' ', '-')}" in verdict["class"]


def test_no_page_marks_a_number_that_is_not_registered(built):
    registered = {claim["id"] for claim in CLAIMS}
    for stem in PAGES:
        assert set(claim_elements(stem)) <= registered, stem


def test_tiers_and_verdicts_are_words(built):
    for stem in PAGES:
        for kind in ("tier", "verdict"):
            for badge in article(stem).select(f".{kind}"):
                assert f"{kind}-{plain(badge).replace(' ', '-')}" in badge["class"], badge


def test_wide_tables_take_the_margin_and_long_cells_are_marked():
    def body(columns, cell, section="<h2>Section</h2>"):
        heads = '<th scope="col">h</th>' * columns
        return (
            f'{section}<div class="table-wrap" role="region"><table'
            f' class="psps"><thead><tr>{heads}</tr></thead><tbody><tr>{cell}</tr></tbody></table></div>'
        )

    assert '<div class="table-wrap wide full-width" role="region">' in rewritten(body(5, "<td>x</td>"), make_room)
    # without sections there is no list of contents to hide
    assert '<div class="table-wrap wide" role="region">' in rewritten(body(5, "<td>x</td>", section=""), make_room)
    assert rewritten(body(4, "<td>x</td>"), make_room) == body(4, "<td>x</td>")
    link = '<a href="https://example.org/a/long/address/that/nobody/reads/in/a/cell">twelve words</a>'
    assert rewritten(body(2, f"<td>{link}</td>"), make_room) == body(2, f"<td>{link}</td>")
    marked = rewritten(
        body(2, f'<td>{"w " * 10}</td><td data-value="1">{"w " * 40}</td><td class="number">{"9; " * 30}</td>'),
        make_room,
    )
    assert [cell.split(">")[0] for cell in marked.split("<td")[1:]] == [
        ' data-says="phrase"',
        ' data-value="1" data-says="sentence"',
        ' data-says="sentence"',
    ]


def test_every_reference_leads_to_a_page(built):
    """By its DOI or address where it prints one, else by a search for its title."""
    entries = article("references").select("div.citation")
    assert len(entries) > 88  # the article's own, and those of this edition
    for entry in entries:
        links = [link["href"] for link in entry.select("a.external")]
        assert links and all(link.startswith("https://") for link in links), plain(entry)
    searched = [link["href"] for link in article("references").select('a[href*="pubmed.ncbi.nlm.nih.gov/?term="]')]
    assert any("Prevalence+of+chronic+pain+after+spinal+surgery" in link for link in searched)
    assert not any(brace in link for link in searched for brace in ("{", "}", "%7B"))
