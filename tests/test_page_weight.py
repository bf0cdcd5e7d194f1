"""The size of a page for a reader on a slow connection, and of the whole book on disk."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup, SoupStrainer

from conftest import chapters
from psps_paper.site.slimming import slim, without_unused_icons, without_unused_rules

MEGABYTE = 1_000_000
PAGE, SITE = 1 * MEGABYTE, 40 * MEGABYTE


def loaded(page: Path) -> set[Path]:
    """The page, what it names to be loaded, and every font of its style sheets; that for formulas where it has one."""
    kinds = SoupStrainer(["script", "link", "img", "math"])
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser", parse_only=kinds)
    named = [
        element.get("src") or element.get("href")
        for element in soup.select("script[src], link[rel=stylesheet], link[rel=preload], link[rel=icon], img[src]")
    ]
    files = {page, *((page.parent / unquote(urlsplit(address).path)).resolve() for address in named)}
    for sheet in [file for file in files if file.suffix == ".css"]:
        fonts = re.findall(r"url\(\"?([^)\"]+\.(?:woff2?|ttf))", sheet.read_text(encoding="utf-8"))
        files |= {(sheet.parent / font).resolve() for font in fonts if soup.math or "math" not in font}
    return files


@pytest.mark.built
@pytest.mark.parametrize("stem", chapters())
def test_a_page_with_all_that_it_loads_weighs_a_megabyte_or_less(built, stem):
    weights = {file.name: file.stat().st_size for file in loaded(built / "book" / f"{stem}.html")}
    assert sum(weights.values()) <= PAGE, sorted(weights.items(), key=lambda item: -item[1])[:5]


@pytest.mark.built
def test_the_whole_book_weighs_40_megabytes_or_less(built):
    assert sum(path.stat().st_size for path in built.rglob("*") if path.is_file()) <= SITE


def test_icons_that_no_page_uses_are_left_out():
    script = (
        'var a={"angle-left":[320,512,[8249],"f104","M41 2z"],bars:[448,512,["navicon"],"f0c9","M0'
        ' 9z"],"x-y":[1,2,[],"f1",["M1","M2"]]};next(a)'
    )
    assert (
        without_unused_icons(script, {"angle-left"}) == 'var a={"angle-left":[320,512,[8249],"f104","M41 2z"],};next(a)'
    )
    assert (
        without_unused_icons(script, {"navicon", "x-y"})
        == 'var a={bars:[448,512,["navicon"],"f0c9","M0 9z"],"x-y":[1,2,[],"f1",["M1","M2"]]};next(a)'
    )


def test_rules_that_match_nothing_on_any_page_are_left_out():
    css = (
        '@charset "UTF-8";/*! MIT, example.com */:root{--a:1}.used,.gone:hover,a.used .gone{color:red}/* why'
        " */.gone{top:0}@media (min-width:1px){.gone{top:1px}@supports (top:0){.gone{top:2px}}}@media"
        " print{.gone,.used:not(.gone,.lost){top:3px}}@font-face{font-family:x;src:url(x.ttf)}@keyframes"
        " k{0%{top:0}to{top:1px}}a[href$='.gone']{top:4px}.bs-tooltip-auto{top:5px}"
    )
    assert (
        without_unused_rules(css, {"used"})
        == '@charset "UTF-8";/*! MIT, example.com */:root{--a:1}.used{color:red}@media'
        " print{.used:not(.gone,.lost){top:3px}}@font-face{font-family:x;src:url(x.ttf)}@keyframes"
        " k{0%{top:0}to{top:1px}}a[href$='.gone']{top:4px}.bs-tooltip-auto{top:5px}"
    )


def carrying(name: str, content: bytes, mark: str = "") -> str:
    data = base64.b64encode(content).decode()
    return (
        f'<figure id="table-x"{mark}><figcaption>C. <a class="psps-csv" download="{name}"'
        f' href="data:text/csv;charset=utf-8;base64,{data}">CSV</a></figcaption></figure>'
    )


def test_a_long_table_becomes_a_file_beside_its_page_and_a_short_or_searched_one_stays(tmp_path):
    rows = "a,b\nKöln,1\n".encode() * 1000
    short, searched = carrying("short.csv", b"a\n1\n"), carrying("searched.csv", rows, " data-registry")
    (tmp_path / "book" / "deep").mkdir(parents=True)
    for page, up in (("book/page.html", "../"), ("book/deep/page.html", "../../"), ("page.html", "")):
        (tmp_path / page).write_text(short + searched + carrying("a &amp; b.csv", rows), encoding="utf-8")
        slim(tmp_path)
        markup = (tmp_path / page).read_text(encoding="utf-8")
        assert markup.startswith(short + searched)
        place = f"_downloads/{page.removesuffix('.html')}"
        assert f'download="a &amp; b.csv" href="{up}{place}/a%20%26%20b.csv">CSV<' in markup
        assert (tmp_path / place / "a & b.csv").read_bytes() == rows
        slim(tmp_path)
        assert (tmp_path / page).read_text(encoding="utf-8") == markup


@pytest.mark.built
def test_every_table_beside_a_page_is_there_and_none_is_left_over(built):
    linked = {
        (page.parent / unquote(link)).resolve()
        for page in built.rglob("*.html")
        for link in re.findall(r'href="((?:\.\./)*_downloads/[^"]+\.csv)"', page.read_text(encoding="utf-8"))
    }
    assert linked and linked == {path.resolve() for path in (built / "_downloads").rglob("*.csv")}


SEARCH = (
    '<p class="used"><script src="_static/searchtools.js?v=1"></script><script src="searchindex.js"></script><script'
    ' src="_static/own.js"></script>'
)


def test_only_the_search_loads_its_index_and_own_styles_stay(tmp_path):
    (tmp_path / "_static").mkdir()
    for name in ("theme.css", "own.css"):
        (tmp_path / "_static" / name).write_text(".used{top:0}.gone{top:0}")
    (tmp_path / "_static" / "own.js").write_text("")
    for name in ("page.html", "search.html"):
        (tmp_path / name).write_text(SEARCH)
    slim(tmp_path, own=frozenset({"own.css"}), search_as_you_type=True)
    assert (tmp_path / "page.html").read_text() == SEARCH
    slim(tmp_path, own=frozenset({"own.css"}))
    assert (tmp_path / "page.html").read_text() == '<p class="used"><script src="_static/own.js"></script>'
    assert (tmp_path / "search.html").read_text() == SEARCH
    assert (tmp_path / "_static" / "theme.css").read_text() == ".used{top:0}"
    assert (tmp_path / "_static" / "own.css").read_text() == ".used{top:0}.gone{top:0}"
