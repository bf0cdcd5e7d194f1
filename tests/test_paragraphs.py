"""Every paragraph of the article is mirrored in this edition, in its own sentences and with the paragraph's numbers.

The article's text is not part of this repository. Where ``PSPS_ARTICLE`` names a file with it, the list of paragraphs
and their lengths are compared with it, and no page may share eight words in a row with it.
"""

from __future__ import annotations

import re
from functools import cache

import nbformat
import pytest

from article_text import article, paragraphs, words
from conftest import BOOK, chapters
from helpers import table
from sentences import chapter_sentences, prose

PARAGRAPHS, NUMBERS = table("paragraphs"), table("article_numbers")
CLAIMS = table("claims").set_index("id", drop=False)
SHARED = 8  # words in a row that are a quotation


@cache
def places(stem: str) -> dict[str, str]:
    """What stands at each anchor of a chapter: its prose from there to the next anchor or heading, code cells passed
    over."""
    cells = nbformat.read(BOOK / f"{stem}.ipynb", as_version=4).cells
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    found, anchor = {}, None
    for line in text.splitlines():
        if marked := re.fullmatch(r"\(([\w-]+)\)=", line):
            anchor = marked[1]
            assert anchor not in found, f"{stem}: {anchor} stands twice"
            found[anchor] = ""
        elif line.startswith("#"):
            anchor = None
        elif anchor is not None:
            found[anchor] += line + "\n"
    return found


def statement(name: str) -> str:
    """The id of the place that prints a statement first, whichever of its places is named."""
    first = CLAIMS.at[name, "same_as"]
    return first if isinstance(first, str) else name


def shared(own: list[str], others: list[str], length: int = SHARED) -> list[str]:
    """Runs of ``length`` words that both texts have."""
    theirs = {tuple(others[i : i + length]) for i in range(len(others) - length + 1)}
    return [" ".join(run) for i in range(len(own) - length + 1) if (run := tuple(own[i : i + length])) in theirs]


@pytest.mark.parametrize("row", list(PARAGRAPHS.itertuples()), ids=lambda row: f"{row.section} {row.paragraph}")
def test_a_paragraph_has_its_place_with_sentences_and_every_registered_number(row):
    assert row.chapter in chapters()
    assert row.anchor in places(row.chapter), f"{row.chapter}: no anchor {row.anchor}"
    text = places(row.chapter)[row.anchor]
    sentences = [sentence for sentence in prose(text) if len(sentence.text.split()) > 3]
    assert len(sentences) >= 2, f"{row.chapter}#{row.anchor}: {len(sentences)} sentences"
    glued = {statement(key) for key in re.findall(r"\{glue\}`([^`]+)`", text) if key in CLAIMS.index}
    here = NUMBERS[(NUMBERS["section"] == row.section) & (NUMBERS["paragraph"] == row.paragraph)].dropna(
        subset="claims"
    )
    missing = [
        f"{number.token} ({number.claims})"
        for number in here.itertuples()
        if not {statement(name) for name in number.claims.split()} & glued
    ]
    assert missing == [], f"{row.chapter}#{row.anchor}"


def test_every_paragraph_with_a_number_is_listed():
    listed = set(PARAGRAPHS[["section", "paragraph"]].itertuples(index=False, name=None))
    assert set(NUMBERS[["section", "paragraph"]].itertuples(index=False, name=None)) <= listed


@pytest.mark.parametrize("stem", sorted(set(CLAIMS["chapter"])))
def test_every_statement_is_glued_on_the_page_that_mirrors_it(stem):
    """So that each number of the article can be pressed; a statement without digits too."""
    keys = {
        key for sentence in chapter_sentences(BOOK / f"{stem}.ipynb") for key in sentence.keys if key in CLAIMS.index
    }
    glued = {statement(key) for key in keys}
    assert [
        f"{claim.id}: glue it into a sentence of book/{stem}.ipynb, as {{glue}}`{claim.id}`, with its row in"
        " data/glue_subjects.csv"
        for claim in CLAIMS.itertuples()
        if claim.chapter == stem and statement(claim.id) not in glued
    ] == []


# --- against the article's text, where it is at hand ----------------------------------------------------


def test_the_list_is_that_of_the_article():
    listed = PARAGRAPHS.set_index(["section", "paragraph"])["words"].to_dict()
    assert len(listed) == len(PARAGRAPHS) and min(listed.values()) > 0
    if (text := article()) is not None:
        assert {place: len(words(found)) for place, found in paragraphs(text).items()} == listed


@pytest.mark.parametrize("path", sorted([*BOOK.glob("*.ipynb"), *BOOK.glob("*.md")]), ids=lambda path: path.name)
def test_no_page_shares_eight_words_in_a_row_with_the_article(path):
    own = [word for sentence in chapter_sentences(path) for word in [*words(sentence.text), "|"]]
    text = article()
    assert shared(own, [] if text is None else words(text.partition("### References")[0])) == []


@pytest.mark.parametrize("name", ["studies", "summary_claims", "wording", "paragraphs", "claims"])
def test_no_table_shares_eight_words_in_a_row_with_the_article(name):
    cells = table(name).astype(object).fillna("").map(str).to_numpy().ravel()
    text = article()
    own = [word for cell in cells for word in [*words(cell), "|"]]
    assert shared(own, [] if text is None else words(text.partition("### References")[0])) == []


def test_shared_words_are_seen():
    assert shared(["a", "b", "c", "d", "e"], ["x", "b", "c", "d", "y"], 3) == ["b c d"]
    assert shared(["a", "b", "|", "c"], ["a", "b", "c"], 3) == []


TEXT = """# Title

Somebody

## Abstract

**Background** One<sup>1</sup> two.

## Plain language summary

Plain words.

The pooled prevalence is high and

 mail

## Results

### Study selection

Of 50 found,

**Fig. 1 | A flow.**

Its caption.

**Fig. 2 | Bars.** Judged.

45 were kept ( $n = 2$ ).

### Narrative synthesis

**Studies with surgery ( $n = 2$ ).** North compared.

### References

- Nobody.
"""


def test_paragraphs_are_joined_over_pages_and_figures():
    found = {place: words(text) for place, text in paragraphs(TEXT.replace(" mail", "\N{ENVELOPE} mail")).items()}
    assert found == {
        ("Abstract", "1"): ["background", "one", "two"],
        ("Plain language summary", "1"): ["plain", "words"],
        ("Introduction", "1"): ["the", "pooled", "prevalence", "is", "high", "and"],
        ("Results, Study selection", "1"): ["of", "50", "found", "45", "were", "kept", "n", "2"],
        ("Fig. 1, caption", "1"): ["fig", "1", "a", "flow", "its", "caption"],
        ("Fig. 2, caption", "1"): ["fig", "2", "bars", "judged"],
        ("Results, Narrative synthesis, surgery", "1"): ["studies", "with", "surgery", "n", "2", "north", "compared"],
    }
