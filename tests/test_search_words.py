"""The search finds a name without its accents, and no word of the index is two cells run together."""

from __future__ import annotations

import json
import re

import pytest
from docutils import nodes
from docutils.utils import new_document

from conftest import BUILT
from psps_paper.site.search_words import English, part_words, parted, plain_letters


@pytest.fixture(scope="module")
def words():
    """Words of the built index that lead to a page."""
    script = (BUILT / "searchindex.js").read_text(encoding="utf-8")
    terms = json.loads(script[script.index("(") + 1 : script.rindex(")")])["terms"]
    return {word for word, pages in terms.items() if pages != []}


@pytest.mark.parametrize(
    ("word", "plain"),
    [
        ("König", "Konig"),
        ("Rücker", "Rucker"),
        ("Rapčan", "Rapcan"),
        ("Özkan", "Ozkan"),
        ("pain", "pain"),
        ("中文", "中文"),
    ],
)
def test_accents_are_dropped_and_letters_stay(word, plain):
    assert plain_letters(word) == plain


def test_a_word_with_accents_is_indexed_with_and_without_them():
    assert English({}).split("by König 2013") == ["by", "König", "2013", "Konig"]


@pytest.mark.parametrize(
    ("markup", "apart"),
    [
        ("<tr><th>no</th><td>1</td><td>2</td></tr><tr><td>3</td></tr>", "no 1 2 3"),
        ("<text>0.5</text><text>placebo</text>", "0.5 placebo"),
        ('one<span class="psps-place">two</span><br/>three', "one two three"),
        ("<p>a</p><ul><li>b</li><li>c</li></ul>", "a b c"),
        ("<b>not</b>able", "notable"),
    ],
)
def test_blocks_are_parted_and_words_are_not(markup, apart):
    assert " ".join(re.sub(r"<[^>]+>", "", parted(markup)).split()) == apart
    assert parted(parted(markup)) == parted(markup)


def test_only_html_is_touched():
    document = new_document("page")
    document += nodes.raw("", "<td>a</td><td>b</td>", format="html")
    document += nodes.raw("", "<td>a</td><td>b</td>", format="latex")
    part_words(None, document, "page")
    assert [node.astext() for node in document] == ["<td>a</td> <td>b</td>", "<td>a</td><td>b</td>"]


@pytest.mark.built
def test_the_index_finds_konig(built, words):
    assert {"konig", "könig"} <= words


@pytest.mark.built
def test_no_two_cells_of_the_status_table_are_one_word(built, words):
    """Its rows once made words like "2discussion02contradict": paragraph, chapter, printed, found and verdict."""
    verdicts = ("reproduc", "consist", "truncat", "contradict")
    assert [word for word in words if any(verdict in word[1:] for verdict in verdicts) and word[0].isdigit()] == []
    assert [word for word in words if "neuromodulationconserv" in word or word.startswith("yesno")] == []
