"""A glued number stands in a sentence that names its subject, a typed one is declared, and what is said of the edition
holds."""

from __future__ import annotations

import itertools
import re
from functools import cache

import pytest

from helpers import ROOT, evidence, table
from psps_paper.book.display import TIERS
from psps_paper.book.verdicts import verdict_texts
from psps_paper.claims.registry import check_claims, statements
from sentences import (
    Sentence,
    chapter_sentences,
    glued_results,
    misplaced,
    prose,
    typed_numbers,
    undeclared,
    untrue,
)

CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))
PAGES = sorted([*CHAPTERS, *(ROOT / "book").glob("*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")


@cache
def subjects(chapter: str) -> dict[str, str]:
    rows = table("glue_subjects")
    return dict(rows.loc[rows["chapter"] == chapter, ["key", "says"]].itertuples(index=False, name=None))


# --- glued numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_glued_number_stands_where_its_subject_is_named(path):
    """A new number needs a row in data/glue_subjects.csv that says what its sentence says of it."""
    assert misplaced(chapter_sentences(path), glued_results(path), subjects(path.stem)) == []


def test_every_row_is_of_a_number_that_a_chapter_glues():
    """A key that its chapter no longer glues has no row any more."""
    glued = {(path.stem, key) for path in CHAPTERS for sentence in chapter_sentences(path) for key in sentence.keys}
    assert set(table("glue_subjects")[["chapter", "key"]].itertuples(index=False, name=None)) <= glued


def swapped(sentences: list[Sentence], one: str, other: str) -> list[Sentence]:
    """The sentences with two keys in each other's places."""
    places = {one: other, other: one}
    key = re.compile("(?<=\N{LEFT-POINTING ANGLE BRACKET})[^\N{RIGHT-POINTING ANGLE BRACKET}]+")
    return [
        Sentence(each.chapter, key.sub(lambda found: places.get(found[0], found[0]), each.text))
        for each in sentences
        if {one, other} & set(each.keys)
    ]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_any_two_swapped_keys_are_seen(path):
    """Among them those of "placebo" and "conservative + minimally invasive", whose swap once passed every test."""
    results, sentences = glued_results(path), chapter_sentences(path)
    keys = sorted({key for sentence in sentences for key in sentence.keys} & results)
    unseen = [
        pair
        for pair in itertools.combinations(keys, 2)
        if not misplaced(swapped(sentences, *pair), results, subjects(path.stem))
    ]
    assert unseen == []


def test_the_swap_of_both_printed_contrasts_is_seen():
    path = ROOT / "book" / "network_meta_analysis.ipynb"
    faults = misplaced(
        swapped(chapter_sentences(path), "nma.n_p.te", "nma.n_cm.te"), glued_results(path), subjects(path.stem)
    )
    assert [fault.partition(" (")[0] for fault in faults] == [
        "network_meta_analysis: nma.n_p.te",
        "network_meta_analysis: nma.n_cm.te",
    ]


def test_a_number_without_a_row_is_named():
    (fault,) = misplaced(prose("We found {glue}`n` trials.", "new"), {"n"}, {})
    assert fault.startswith("new: n has no row in glue_subjects.csv that says what its sentence says: We found")
    assert misplaced(prose("We found {glue}`n` trials.", "new"), set(), {}) == [], (
        "words that depend on the data are no numbers"
    )


@pytest.mark.parametrize(
    ("text", "says", "seen"),
    [
        ("We ate {glue}`a` apples.", "{} apples", True),
        ("We ate {glue}`a`  red\napples.", "{} red apples", True),
        ("We ate {glue}`a` red apples.", "{} apples", False),
        ("Apples: **{glue}`a`** kg.", "apples: {} kg", True),
        ("Between {glue}`a` and {glue}`b` kg.", "between {} and # kg", True),
        ("Between {glue}`b` and {glue}`a` kg.", "between {} and # kg", False),
        ("Between {glue}`a` and 3 kg.", "between {} and # kg", False),
        ("Pears ({glue}`b` kg) and apples weigh {glue}`a` kg.", "apples … {} kg", True),
        ("Apples and pears weigh {glue}`a` kg.", "apples … {} kg", False),
        ("Green apples weigh {glue}`a` kg.", "pears … {} kg", False),
        ("We ate {glue}`a` pears.", "{} apples | {} pears", True),
        ("We ate apples.\n\n{glue}`a` kg.", "apples … {} kg", False),
        ("We ate apples. All weigh {glue}`a` kg.", "apples … {} kg", False),
    ],
)
def test_what_a_sentence_must_say(text, says, seen):
    assert (misplaced(prose(text), {"a", "b"}, {"a": says, "b": "pears … {} kg | {}"}) == []) == seen


@pytest.mark.parametrize(
    ("markdown", "sentences"),
    [
        ("(an-anchor-1)=\nOne.", ["One."]),
        ("```{margin} A\nB.\n```\n\nOne.\n\n```{note} C\nD.\n```", ["B.", "One.", "D."]),
        ("# Title\n\nOne. Two? *Three*.", ["Title", "One.", "Two?", "Three."]),
        ("- a\n- b", ["a", "b"]),
        ("See Fig. 3 there. All", ["See Fig. 3 there.", "All"]),
        ("```{note} A\n:class: x\nText `code` {cite}`ref1`.\n```", ["Text ."]),
        ("```python\nx = 1\n```\nAfter.", ["After."]),
        ("甲。乙？", ["甲。", "乙？"]),
        ("## 2. Check\n\nDone [here](x.md) <b>now</b>.", ["2.", "Check", "Done here now."]),
    ],
)
def test_prose(markdown, sentences):
    assert [sentence.text for sentence in prose(markdown)] == sentences


# --- typed numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_typed_number_is_declared(path):
    """A number word or digit in prose is glued instead, or has a row in data/typed_numbers.csv, with the check that
    gives it where it counts something."""
    assert undeclared(chapter_sentences(path), table("typed_numbers")) == []


def test_typed_numbers_are_what_their_checks_give():
    assert untrue(table("typed_numbers"), evidence()) == []


def test_a_typed_number_that_no_longer_holds_is_named():
    rows = table("typed_numbers")
    at = rows.index[rows["relation"] == "="][0]
    rows.loc[at, "value"] += 1
    words, value = rows.loc[at, ["words", "value"]]
    (fault,) = untrue(rows, evidence())
    assert fault.startswith(f"typed_numbers.csv, row {at + 1}: {words!r} says {value:g}, found {value - 1:g}: ")


def test_checked_rows_have_a_check_and_the_others_none():
    rows = table("typed_numbers")
    checked = rows["reason"] == "checked"
    for column in ("value", "relation", "check", "arguments"):
        assert (rows[column].notna() == checked).all(), column
    assert (rows["words"] == rows["words"].str.lower()).all()


def test_every_declared_number_is_typed_somewhere():
    typed = [
        (sentence.chapter, around) for path in PAGES for sentence, _, around in typed_numbers(chapter_sentences(path))
    ]
    for row in table("typed_numbers").itertuples():
        anywhere = not isinstance(row.chapter, str)
        assert any(row.words in around and (anywhere or row.chapter == chapter) for chapter, around in typed), row.words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The text gives six trials.", ["six"]),
        ("More than half of them, and most of the rest.", ["half", "most"]),
        ("In 49 of 50.", ["49", "50"]),
        ("One trial; one of them; one large study.", ["one", "one"]),
        ("They number {glue}`n`.", []),
        ("It is $1 + 2$ or `3`.", []),
        ("*Mirrors: Fig. 3.*", []),
        ("At 0.45 (95 %).", ["0.45", "95"]),
        ("The second and the third.", []),
        ("1. First", []),
    ],
)
def test_what_counts_as_a_typed_number(text, words):
    assert [word for _, word, _ in typed_numbers(prose(text))] == words


# --- statements about the edition itself --------------------------------------------------------------


def test_the_readme_has_the_verdict_counts_of_this_release():
    """README, first section: distinct results by verdict, and how many of the consistent ones are counts of coded
    rows."""
    checked = check_claims()
    texts = verdict_texts(checked)
    results = statements(checked)
    coded = (
        (results["weight"] == "result")
        & (results["verdict"] == "consistent")
        & (results["against"] == "rows coded from the article")
    )
    said = " ".join(README.split())
    assert [
        f"README.md, first section, should say {words!r}"
        for words in (
            f"Of {texts['n_results']} distinct results, {texts['n_reproduces']} reproduce,"
            f" {texts['n_consistent']} are consistent ({coded.sum()} of them counts of rows coded from the article"
            " itself",
            f"{texts['n_truncated']} are cut off, {texts['n_contradicts']} contradict something, and"
            f" {texts['n_not_checkable']} can't be checked",
            f"bring the total to {texts['n_statements']} statements",
        )
        if words not in said
    ] == []


def test_quotations_of_the_article_are_short():
    """README, Licences: fewer than eight words each; what stands in brackets in wording.csv is this edition's
    remark."""
    assert "fewer than eight words each in `data/claims.csv`" in " ".join(README.split())
    assert (table("claims")["printed"].str.split().str.len() < 8).all()
    for column in ("wording_first", "wording_second"):
        quoted = table("wording")[column].str.replace(r"\(.*?\)", "", regex=True)
        assert (quoted.str.split().str.len() < 8).all()
    assert (table("article_numbers")["token"].str.split().str.len() <= 4).all()  # "One hundred and five"


def test_every_value_of_the_evidence_base_has_its_page_and_day():
    """Evidence base, first sentence: each value stands with the address of its page and the day on which it was
    read."""
    facts = table("study_facts")
    found = facts["number"].notna() | facts["value"].notna()
    assert facts.loc[found, "source_url"].notna().all() and facts["date_seen"].notna().all()
    assert (found != (facts["source_kind"] == "searched")).all()


def test_the_book_does_not_say_what_the_authors_do_not():
    """The article asks for future trials at low risk of bias; that most of its trials are at high risk it gives as a
    number only."""
    said = " ".join(sentence.text for sentence in chapter_sentences(ROOT / "book" / "discussion.ipynb"))
    assert "future trials at low risk of bias" in said and not re.search(r"stress[^.]*high risk", said)


def test_there_are_as_many_tiers_as_the_front_page_says():
    assert len(TIERS) == 5
