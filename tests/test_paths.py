"""Readers' paths: sidebar and neighbours of a page are those of its own path, and every page says what it is."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import pytest
import yaml
from bs4 import BeautifulSoup

from conftest import BUILT, ROOT, chapters
from psps_paper.site import paths
from psps_paper.site.paths import Part

PARTS = [
    Part("For patients", "", ("p1", "p2")),
    Part("For reviewers", "The article", ("r1",)),
    Part("For reviewers", "Certainty", ("r2", "r3")),
    Part("For developers", "", ("d1", "d2")),
]
TOCTREE = "".join(
    f'<p class="caption" role="heading"><span class="caption-text">{caption}</span></p>'
    f'<ul class="nav bd-sidenav"><li><a href="{first}.html">{first}</a></li></ul>'
    for caption, first in (
        ("For patients", "p1"),
        ("For reviewers: the article", "r1"),
        ("For reviewers: certainty", "r2"),
        ("For developers", "d1"),
    )
)


def test_next_leads_along_the_path_and_not_beyond_it():
    assert [paths.neighbours(PARTS, page) for page in ("p1", "p2", "r1", "r2", "r3", "d1", "elsewhere")] == [
        ("", "p2"),
        ("p1", ""),
        ("", "r2"),
        ("r1", "r3"),
        ("r2", ""),
        ("", "d2"),
        ("", ""),
    ]


@pytest.mark.parametrize(
    ("path", "shown", "titles"),
    [
        ("For patients", ["p1"], []),
        ("For reviewers", ["r1", "r2"], ["The article", "Certainty"]),
        ("For developers", ["d1"], []),
        ("", [], []),
    ],
)
def test_a_sidebar_shows_its_path_alone(path, shown, titles):
    found = paths.sidebar(BeautifulSoup(TOCTREE, "html.parser"), PARTS, path, '<ul class="psps-paths"></ul>')
    assert [link.get_text() for link in found.select("li a")] == shown
    assert [caption.get_text() for caption in found.select("p.caption")] == titles
    assert found.contents[0]["class"] == ["psps-paths"]


def test_parts_are_read_with_the_pages_below_their_pages():
    def tree(caption, *files):
        return SimpleNamespace(caption=caption, files=lambda: list(files))

    documents = {
        name: SimpleNamespace(child_files=lambda name=name: {"a": ["b"], "b": ["c"]}.get(name, [])) for name in "abcx"
    }

    class SiteMap(dict):
        root = SimpleNamespace(subtrees=[tree("For x: some thing", "a", "x"), tree(None, "x")])

    assert paths.read_parts(SiteMap(documents)) == [Part("For x", "Some thing", ("a", "b", "c", "x"))]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            "<p>Too short.</p><p>This sentence is long enough to describe the page.</p>",
            "This sentence is long enough to describe the page.",
        ),
        ("<p><em>Mirrors: the article's section on methods, all of it.</em></p>", ""),
        (
            f"<p>{'First sentence that is fairly long already. ' * 5}</p>",
            "First sentence that is fairly long already. " * 2 + "First sentence that is fairly long already.",
        ),
        (f"<p>{'word ' * 60}</p>", "word " * 30 + "word\N{HORIZONTAL ELLIPSIS}"),
    ],
)
def test_a_description_is_whole_sentences_of_the_page(body, says):
    assert paths.description(BeautifulSoup(body, "html.parser")) == says
    assert len(says) <= paths.DESCRIPTION


def test_every_part_of_the_table_of_contents_is_on_a_path():
    captions = [part["caption"] for part in yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]]
    assert list(dict.fromkeys(caption.partition(":")[0] for caption in captions)) == [
        "For patients",
        "For clinicians",
        "For reviewers",
        paths.DEVELOPERS,
    ]


# --- built pages ------------------------------------------------------------------------------------------


LOOKED_AT = "title, meta, .prev-next-area, .psps-doors, .bd-sidebar-primary"


@cache
def page(stem):
    """The parts of a built page that are looked at here, since walks along the book come by each page several times."""
    whole = BeautifulSoup((BUILT / "book" / f"{stem}.html").read_text(encoding="utf-8"), "html.parser")
    return BeautifulSoup("".join(map(str, whole.select(LOOKED_AT))), "html.parser")


def walked(first):
    """Pages from the first of a path on, by their links to the next one."""
    found, stem = [], first
    while stem:
        found.append(stem)
        link = page(stem).select_one(".prev-next-area a.right-next")
        stem = link["href"].partition(".html")[0] if link else ""
    return found


@pytest.mark.built
def test_the_doors_and_the_links_to_the_next_page_lead_to_every_page(built):
    doors = [link["href"].partition(".html")[0] for link in page("index").select(".psps-doors a")]
    reached = [walked(door) for door in doors]
    assert [len(path) > 4 for path in reached] == [True, True, True]
    assert sorted([stem for path in reached for stem in path] + walked("architecture") + ["index"]) == sorted(
        chapters()
    )


@pytest.mark.built
def test_developers_pages_stand_in_no_readers_sidebar(built):
    developers = set(walked("architecture"))
    for stem in ("plain_language", "harms", "methods"):
        listed = {link["href"].partition(".html")[0] for link in page(stem).select(".bd-sidebar-primary nav a")}
        assert not listed & developers and len(listed) > 5, stem


@pytest.mark.built
def test_every_page_has_a_title_and_a_description_of_its_own(built):
    titles, descriptions = zip(
        *((page(stem).title.get_text(), page(stem).select_one("meta[name=description]")) for stem in chapters()),
        strict=True,
    )
    assert len(set(titles)) == len(titles) and all(len(title) < 110 for title in titles)
    assert [stem for stem, found in zip(chapters(), descriptions, strict=True) if found is None] == []
