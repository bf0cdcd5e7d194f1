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
from psps_paper.book.network import comparison_texts, prediction_texts, tau2_route_texts
from psps_paper.ensemble import dropped_assumptions, feasible_assumptions, implied_prediction_intervals, tau2_routes
from psps_paper.ensemble.compatibility import combinations_text

CHAPTERS = ["compatibility", "heterogeneity", "what_print_allows"]
NUMBERS = "one two three four five six seven eight nine ten eleven twelve thirteen twenty dozen twice half".split()
# "one" as a pronoun, and a unit; everything else is glued
ALLOWED = ["here one fits", "are not the one that was", "one of them", "half-units", "half a unit", "one might assume",
           "one after the other", "one reason for it", "the only one"]
# the article's paragraphs and figures, and names of quantities
PLACES = r"paragraphs? [0-9]+( and [0-9]+)?|Supplementary Fig\. [0-9]+|\bI2\b|95 %"


@pytest.fixture(scope="module")
def routes():
    return tau2_routes()


@pytest.fixture(scope="module")
def intervals(routes):
    parallel = routes[routes["convention"].isna()]
    return implied_prediction_intervals(parallel["low"].min(), parallel["high"].max())


def typed_numbers(text: str) -> list[str]:
    """Numbers of a text, in words or digits, that are neither glued nor allowed."""
    text = re.sub(r"\{(glue|cite)\}`[^`]*`|\]\([^)]*\)|\$[^$]*\$|" + PLACES, " ", text)
    text = re.sub("|".join(ALLOWED), " ", " ".join(text.split()), flags=re.IGNORECASE)
    return re.findall(rf"\b(?:{'|'.join(NUMBERS)})\b|\b[0-9][0-9.,]*", text, flags=re.IGNORECASE)


def shown_texts(source: str) -> list[str]:
    """Captions, notes and other words that a code cell hands over for display, without what it computes into them."""
    keywords = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.keyword)]
    values = [node.value for node in keywords if node.arg in ("caption", "note", "absent")]
    return [part.value for value in values for part in ast.walk(value) if isinstance(part, ast.Constant) and isinstance(part.value, str)]


@pytest.mark.parametrize("name", CHAPTERS)
def test_no_number_is_typed(name):
    cells = nbformat.read(BOOK / f"{name}.ipynb", as_version=4).cells
    texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    captions = [text for cell in cells if cell.cell_type == "code" for text in shown_texts(cell.source)]
    assert len(texts) > 2 and captions
    assert {text: found for text in [*texts, *captions] if (found := typed_numbers(text))} == {}


@pytest.mark.parametrize("text", ["three contrasts", "The four P-scores", "two estimates of one trial", "Every one of 25", "in {glue}`n` of 3"])
def test_a_typed_number_is_found(text):
    assert typed_numbers(text)


def test_routes_agree_by_dl_only_for_the_strongest_correlation(routes):
    texts = tau2_route_texts(routes, table("compatibility"))
    assert texts["routes_agree"] == "paired with r = 0.9"
    assert texts["routes_differ"].startswith("independent groups, change score") and "r = 0.75" in texts["routes_differ"]
    # the map finds others feasible by other estimators, so the page may not claim this beyond DL
    assert "ML: change score" in texts["feasible_other"] and "REML: paired with r = 0.75" in texts["feasible_other"]
    assert "DL" not in texts["feasible_other"]


def test_routes_that_meet_nowhere_are_called_none(routes):
    far = routes.assign(low=routes["low"] + 10 * routes["convention"].notna(), high=routes["high"] + 10 * routes["convention"].notna())
    assert tau2_route_texts(far, table("compatibility"))["routes_agree"] == "none"


def test_every_prediction_interval_includes_zero(intervals):
    assert prediction_texts(intervals) == {"n_intervals": "6", "n_zero": "6"}
    assert prediction_texts(intervals.assign(narrow_lower=[0.1, *intervals["narrow_lower"][1:]]))["n_zero"] == "5"


def test_each_combination_counts_once():
    found = table("compatibility")
    texts = compatibility_texts(found)
    parts = [int(texts[name]) for name in ("n_feasible", "n_undecided", "n_infeasible")]
    assert sum(parts) == int(texts["n_rows"]) == len(found) == 21
    assert (int(texts["n_sampled"]), parts[0] - int(texts["n_sampled"])) == (len(feasible_assumptions()), len(dropped_assumptions()))
    assert texts["dropped"] == combinations_text(dropped_assumptions())
    assert texts["dropped_weight"].startswith("0.6")
    assert texts["change_score"] == "0.5" and "REML: change score (the same as paired with r = 0.5)" in texts["undecided"]


def test_heterogeneity_against_conservative_is_of_a_single_trial():
    """The page says that it is between outcomes of the same patients."""
    found = comparisons(table("studies"), table("nma_published"))
    assert comparison_texts(found, "neuromodulation", "conservative", "") == {"estimates": "2", "trials": "1 trial"}
    assert comparison_texts(found, "neuromodulation", "placebo/sham", "")["trials"].endswith(" trials")
