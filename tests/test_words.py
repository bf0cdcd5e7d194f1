"""The amount of text that a reader sees: words by page, and the pictures of the pages."""

from pathlib import Path

import pytest

from psps_paper.site import words
from psps_paper.site.contact_sheet import THEMES, WIDTHS, sheet

ROOT = Path(__file__).resolve().parents[1]


def page(inside: str) -> str:
    return f'<html><body><nav>menu</nav><article class="bd-article">{inside}</article></body></html>'


@pytest.mark.parametrize(
    "inside, number",
    [
        ("<p>One two</p><p>three</p>", 3),
        ("<table><tr><td>yes</td><td>low</td></tr></table>", 2),
        ("<details><summary>More</summary><p>closed <b>parts</b></p></details>", 1),
        ("<details open><summary>More</summary><p>open parts</p></details>", 3),
        (
            (
                '<svg><text>drawn</text></svg><div class="psps-code"><pre>1 + 1</pre></div><p hidden>no</p><a'
                ' class="psps-csv">CSV</a>'
            ),
            0,
        ),
    ],
)
def test_what_is_closed_drawn_or_code_does_not_count(inside, number):
    assert words.words(page(inside)) == number


def test_pages_without_an_article_have_no_words():
    assert words.words("<html></html>") == 0


def test_developers_pages_and_lists_are_apart():
    part = words.parts(ROOT / "_toc.yml")
    assert words.is_for_readers("index", part["index"]) and words.is_for_readers("methods", part["methods"])
    assert not any(
        words.is_for_readers(stem, part[stem]) for stem in ("validation", "api_network", "glossary", "references")
    )


@pytest.mark.built
def test_the_readers_pages_have_at_most_25000_words(built, capsys):
    assert words.main([str(built), "--source", str(ROOT)]) == 0, capsys.readouterr().out
    assert "words on the readers' pages; at most 25000" in capsys.readouterr().out


def test_a_missing_book_is_reported(tmp_path, capsys):
    assert words.main([str(tmp_path), "--source", str(ROOT)]) == 1
    assert "psps-paper: " in capsys.readouterr().err


def test_the_sheet_shows_each_page_at_each_width_in_each_theme():
    text = sheet(["index", "a & b"])
    assert (
        text.count("<img") == 2 * len(WIDTHS) * len(THEMES)
        and 'alt="index, 360 px, dark"' in text
        and "<h2>a &amp; b</h2>" in text
    )
