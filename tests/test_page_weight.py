"""What a page costs a reader on a slow connection, and the whole book a disk."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup
from conftest import chapters

from psps_paper.site import without_unused_icons

pytestmark = pytest.mark.built

MEGABYTE = 1_000_000
PAGE, SITE = 1 * MEGABYTE, 40 * MEGABYTE
COMPRESSED = {".html", ".css", ".js", ".svg", ".json"}  # what web servers, GitHub Pages among them, send compressed


@cache
def sent(path: Path) -> int:
    content = path.read_bytes()
    return len(gzip.compress(content, 6)) if path.suffix in COMPRESSED else len(content)


def loaded(page: Path) -> set[Path]:
    """The page and what it names to be loaded; for formulas MathJax's fonts too, all of them."""
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    named = [element.get("src") or element.get("href") for element in soup.select("script[src], link[rel=stylesheet], link[rel=preload], link[rel=icon], img[src]")]
    files = {page, *((page.parent / unquote(urlsplit(address).path)).resolve() for address in named)}
    for script in [file for file in files if file.name == "tex-chtml.js"]:
        files |= set(script.parent.rglob("*.woff"))
    return files


@pytest.mark.parametrize("stem", chapters())
def test_a_page_with_all_that_it_loads_weighs_a_megabyte_or_less(built, stem):
    weights = {file.name: sent(file) for file in loaded(built / "book" / f"{stem}.html")}
    assert sum(weights.values()) <= PAGE, sorted(weights.items(), key=lambda item: -item[1])[:5]


def test_the_whole_book_weighs_40_megabytes_or_less(built):
    assert sum(path.stat().st_size for path in built.rglob("*") if path.is_file()) <= SITE


def test_icons_that_no_page_uses_are_left_out():
    script = 'var a={"angle-left":[320,512,[8249],"f104","M41 2z"],bars:[448,512,["navicon"],"f0c9","M0 9z"],"x-y":[1,2,[],"f1",["M1","M2"]]};next(a)'
    assert without_unused_icons(script, {"angle-left"}) == 'var a={"angle-left":[320,512,[8249],"f104","M41 2z"],};next(a)'
    assert without_unused_icons(script, {"navicon", "x-y"}) == 'var a={bars:[448,512,["navicon"],"f0c9","M0 9z"],"x-y":[1,2,[],"f1",["M1","M2"]]};next(a)'
