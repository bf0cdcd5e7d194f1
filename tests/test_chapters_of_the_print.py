"""Sentences of the chapters on what the print allows: computed, true, and without a number typed into them."""

from __future__ import annotations

import ast
import re

import nbformat
import pytest

from conftest import BOOK
from helpers import table
from psps_paper.article.published import comparisons
from psps_paper.book.conclusions import compatibility_texts
from psps_paper.book.network import comparison_texts, intervals_table, prediction_texts, tau2_route_texts
from psps_paper.ensemble import (
    compatibility_map,
    implied_prediction_intervals,
    load_witnesses,
    published_results,
    tau2_routes,
)

CHAPTERS = ["what_print_allows"]
NUMBERS = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "twenty",
    "dozen",
    "twice",
    "half",
]
# "one" as a pronoun, and a unit; everything else is glued
ALLOWED = [
    "here one fits",
    "are not the one that was",
    "one of them",
    "half-units",
    "half a unit",
    "one might assume",
    "one after the other",
    "one reason for it",
    "the only one",
]
# the article's paragraphs and figures, and names of quantities
PLACES = r"paragraphs? [0-9]+( and [0-9]+)?|Supplementary Fig\. [0-9]+|\bI2\b|95 %"


@pytest.fixture(scope="module")
def routes():
    return tau2_routes()


@pytest.fixture(scope="module")
def intervals(routes):
    parallel = routes[routes["route"] == "pooled SE and sample sizes"]
    return implied_prediction_intervals(parallel["low"].min(), parallel["high"].max())


def typed_numbers(text: str) -> list[str]:
    """Numbers of a text, in words or digits, that are neither glued nor allowed."""
    text = re.sub(r"\{(glue|cite)\}`[^`]*`|\]\([^)]*\)|\$[^$]*\$|" + PLACES, " ", text)
    text = re.sub("|".join(ALLOWED), " ", " ".join(text.split()), flags=re.IGNORECASE)
    return re.findall(rf"\b(?:{'|'.join(NUMBERS)})\b|\b[0-9][0-9.,]*", text, flags=re.IGNORECASE)


def shown_texts(source: str) -> list[str]:
    """Captions, notes and other texts that a code cell passes on for display, without the values computed into them."""
    keywords = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.keyword)]
    values = [node.value for node in keywords if node.arg in ("caption", "note", "absent")]
    return [
        part.value
        for value in values
        for part in ast.walk(value)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]


@pytest.mark.parametrize("name", CHAPTERS)
def test_no_number_is_typed(name):
    cells = nbformat.read(BOOK / f"{name}.ipynb", as_version=4).cells
    texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    captions = [text for cell in cells if cell.cell_type == "code" for text in shown_texts(cell.source)]
    assert len(texts) > 2 and captions
    assert {text: found for text in [*texts, *captions] if (found := typed_numbers(text))} == {}


@pytest.mark.parametrize(
    "text",
    ["three contrasts", "The four P-scores", "two estimates of one trial", "Every one of 25", "in {glue}`n` of 3"],
)
def test_a_typed_number_is_found(text):
    assert typed_numbers(text)


def test_routes_cannot_meet_below_the_stated_correlation(routes):
    """Issue's independent search: DL needs tau2 of at least 0.142 or 0.087, and the standard error allows at most
    0.077."""
    texts = tau2_route_texts(routes, published_results())
    assert (texts["floor_groups"], texts["floor_half"], texts["ceiling"], texts["tau2_high"]) == (
        "0.142",
        "0.087",
        "0.077",
        "0.077",
    )
    assert texts["least_correlation"] == "0.57" and texts["tau2_low"] == "0.045"


def test_every_prediction_interval_includes_zero(intervals):
    assert prediction_texts(intervals) == {"zero_of": "all 6"}
    assert (
        prediction_texts(intervals.assign(narrow_lower=[0.1, *intervals["narrow_lower"][1:]]))["zero_of"]
        == "5 of the 6"
    )


def test_readers_see_the_narrowest_and_the_widest_interval(intervals):
    table = intervals_table(intervals).set_index("comparison")
    assert list(table) == ["narrowest", "widest"] and len(table) == 6
    # -0.123 to 0.833 and -0.249 to 0.965, by the same rows
    assert table.loc["neuromodulation against placebo/sham"].tolist() == ["−0.12 to 0.83", "−0.25 to 0.97"]


def test_each_combination_counts_once():
    evidence = published_results()
    found = compatibility_map(evidence, load_witnesses(evidence), table("range_searches"))
    texts = compatibility_texts(found)
    assert (
        sum(int(texts[name]) for name in ("n_possible", "n_impossible", "n_not_found"))
        == int(texts["n_rows"])
        == len(found)
        == 23
    )
    assert not found.duplicated(["unit", "crossovers", "correlation", "tau2_method"]).any()


def test_heterogeneity_against_conservative_is_of_a_single_trial():
    """The page says that it is between outcomes of the same patients."""
    found = comparisons(table("studies"), table("nma_published"))
    assert comparison_texts(found, "neuromodulation", "conservative", "") == {"estimates": "2", "trials": "1 trial"}
    assert comparison_texts(found, "neuromodulation", "placebo/sham", "")["trials"].endswith(" trials")
