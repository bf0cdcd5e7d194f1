"""Abbreviations: each is in the glossary, explained where a section first uses it, and reached by keyboard."""

from __future__ import annotations

import html
import re
import string

import nbformat
import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from conftest import BOOK, chapters
from psps_paper.site.glossary import PAGE, PARTS, Term, explain, load_glossary
from psps_paper.site.markup import rewritten

TERMS = load_glossary(BOOK / "glossary.yml")
# Two capitals in one word make an abbreviation; "10-kHz" and "Flesch-Kincaid" do not have them.
ABBREVIATION = re.compile(r"(?<![\w/.&-])[A-Z][A-Za-z]*[A-Z][A-Za-z]*(?![\w/]|[.-]\w)")
SHORT = {
    name: Term(name, full, "statistics")
    for name, full in {"SMD": "standardised mean difference", "SMDs": "plural", "CI": "confidence interval"}.items()
}


def explained(body: str) -> str:
    """A page's text with ``SHORT`` explained."""
    return rewritten(body, lambda tree: explain(tree, SHORT))


def prose(stem: str) -> str:
    """What a chapter's author wrote: markdown, captions and notes, without code, formulas and references."""
    path = BOOK / f"{stem}.md"
    if path.exists():
        text = path.read_text(encoding="utf-8")
    else:
        cells = nbformat.read(BOOK / f"{stem}.ipynb", as_version=4).cells
        shown = [
            markup
            for cell in cells
            for output in cell.get("outputs", [])
            if (markup := output.get("data", {}).get("text/html"))
        ]
        captions = [
            part.get_text(" ")
            for markup in shown
            for part in BeautifulSoup(markup, "html.parser").select("figcaption, p.psps-note, thead th")
        ]
        text = "\n".join([cell.source for cell in cells if cell.cell_type == "markdown"] + captions)
    text = re.sub(
        r"^```(?!\{(?:margin|admonition))\S.*?^```$|\$\$.*?\$\$|\$[^$\n]*\$|^    .*$",
        " ",
        text,
        flags=re.DOTALL | re.MULTILINE,
    )
    return re.sub(r"`+[^`]*`+|\]\([^)]*\)|https?://\S+", " ", text)


@pytest.mark.parametrize("stem", [stem for stem in chapters() if stem not in ("references", PAGE)])
def test_every_abbreviation_of_the_prose_is_in_the_glossary(stem):
    assert sorted(set(ABBREVIATION.findall(prose(stem))) - TERMS.keys()) == []


def test_entries_are_explained_and_not_by_themselves():
    for term in TERMS.values():
        assert len(term.long) > len(term.short) - 2 and term.long != term.short, term
        assert not term.meaning or term.meaning.endswith("."), term
    assert len({term.anchor for term in TERMS.values()}) == len(TERMS)


def test_first_use_in_each_section_is_explained():
    marked = explained("<section><p>SMD and SMD, 95 % CI.</p><section><p>the SMDs; an SMD</p></section></section>")
    assert marked.count('title="standardised mean difference"') == 2
    first = (
        f'<a class="psps-abbr" href="{PAGE}.html#abbreviation-SMD" data-full="standardised mean difference"><abbr'
        ' title="standardised mean difference">SMD</abbr></a>'
    )
    assert marked.startswith(f"<section><p>{first} and SMD, 95 % <a")


@pytest.mark.parametrize(
    "body",
    [
        "<code>SMD</code>",
        "<pre><span>SMD</span></pre>",
        '<a href="x">SMD</a>',
        "<h2>SMD</h2>",
        '<svg aria-label="SMD"><text>SMD</text></svg>',
        '<span class="math notranslate">SMD <span>x</span> SMD</span>',
        "<!-- SMD <b> SMD -->",
        '<p title="a > SMD">x</p>',
        "<script>SMD</script>",
        "<p>pre-SMD-post SMD/CI.x XSMD SMD2 a.SMD</p>",
    ],
)
def test_what_is_code_link_formula_or_part_of_a_word_is_left_alone(body):
    assert explained(body) == rewritten(body)


def test_after_what_is_left_alone_the_text_goes_on():
    assert "psps-abbr" in explained("<pre><pre>SMD</pre>CI</pre><p>SMD</p>")
    assert "psps-abbr" in explained('<input type="text"><p>SMD</p>')


def test_in_the_head_of_a_table_there_is_no_link():
    marked = explained("<table><thead><tr><th>SMD</th></tr></thead><tbody><tr><td>CI</td></tr></tbody></table>")
    assert marked.count("<a ") == 1 and '<th><abbr title="standardised mean difference">SMD</abbr></th>' in marked


@given(st.text(alphabet=string.printable + "τ²–"))
def test_no_text_is_lost_or_changed(text):
    body = f"<p>{html.escape(text)} SMD</p>"
    marked = explained(body)
    assert marked != body and re.sub(r"</?(?:a|abbr)\b[^>]*>", "", marked) == rewritten(body)


@pytest.mark.parametrize(
    "entry, message",
    [
        ("{short: AB, long: a b}", "entry 1: unknown keys [], missing keys ['kind']"),
        ("{short: AB, long: a b, kind: clinical, url: x}", "entry 1: unknown keys ['url']"),
        ("{short: AB, long: a b, kind: other}", "entry 1, kind: 'other' is not one of clinical"),
        (
            "{short: AB, long: a b, kind: clinical}\n- {short: AB, long: a b, kind: clinical}",
            "entry 2: AB is listed twice",
        ),
    ],
)
def test_a_faulty_entry_is_named(tmp_path, entry, message):
    path = tmp_path / "glossary.yml"
    path.write_text(f"- {entry}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(f"glossary.yml, {message}")):
        load_glossary(path)


@pytest.mark.built
def test_the_glossary_page_lists_every_term_once(built):
    page = BeautifulSoup((built / "book" / f"{PAGE}.html").read_text(encoding="utf-8"), "html.parser")
    listed = {
        term["id"]: (term.get_text().strip(), term.find_next("dd").get_text().strip())
        for term in page.select("article dt[id^=abbreviation-]")
    }
    assert listed.keys() == {term.anchor for term in TERMS.values()}
    for term in TERMS.values():
        short, meaning = listed[term.anchor]
        assert short == term.short and meaning.lower().startswith(term.long.lower())
    assert [heading.get_text().strip("\n #") for heading in page.select("article h2")] == [*PARTS.values(), "Terms"]


@pytest.mark.built
@pytest.mark.parametrize("stem", [stem for stem in chapters() if stem not in ("references", PAGE)])
def test_every_section_explains_what_it_abbreviates(built, stem):
    """On the pages that readers get: no paragraph's abbreviation is without an explanation in its section."""
    article = BeautifulSoup((built / "book" / f"{stem}.html").read_text(encoding="utf-8"), "html.parser").select_one(
        "article.bd-article"
    )
    for part in article.select(
        "pre, code, svg, a:not(.psps-abbr), .math, h1, h2, h3, h4, script, dt.sig, div.cell_input, label, select"
    ):
        part.decompose()
    for paragraph in article.select("p, figcaption, dd, td, li"):
        for short in set(ABBREVIATION.findall(paragraph.get_text())) & TERMS.keys():
            scopes = [paragraph, *paragraph.find_parents(["section", "figure", "table", "aside"])]
            assert any(scope.find("abbr", string=short) for scope in scopes), f"{short}: {paragraph.get_text()[:100]}"
