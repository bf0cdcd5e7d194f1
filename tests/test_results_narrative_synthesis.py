"""Results "Narrative synthesis": one table for each treatment class, and what the text says came out."""

from __future__ import annotations

import pytest

from helpers import table
from psps_paper.article import studies as narrative


@pytest.fixture(scope="module")
def studies():
    return table("studies")


# Headings of Results, Narrative synthesis
def test_each_class_has_as_many_studies_as_its_heading_says(studies):
    """Headings of Results, Narrative synthesis."""
    assert narrative.included(studies)["treatment_class"].value_counts().to_dict() == {
        "conservative": 6,
        "minimally invasive": 16,
        "neuromodulation": 25,
        "surgery": 2,
    }


def test_direction_counts_of_the_paradigm_comparisons(studies):
    """Neuromodulation, paragraph 1: 12 studies, 7 cited without a difference, 4 named with one, ref 65 without a
    conclusion."""
    row = narrative.direction_counts(studies, "subclass").set_index("subclass").loc["SCS paradigm comparison"]
    assert row.to_dict() == {
        "favours intervention": 4,
        "no difference": 7,
        "favours comparator": 0,
        "mixed": 0,
        "not reported": 1,
        "studies": 12,
    }


@pytest.mark.parametrize("by", ["subclass", "treatment_class", "rob_overall"])
def test_direction_counts_lose_no_study(studies, by):
    counts = narrative.direction_counts(studies, by)
    assert counts["studies"].sum() == counts[narrative.DIRECTIONS].sum(axis=None) == 49


def test_saline_arms_that_the_article_does_not_count_as_placebo(studies):
    """Arms of saline in the narrative: refs 30, 32, 33, 42 and 61; none is in the list of placebo arms."""
    assert set(narrative.without_placebo_arm(studies, "saline")["ref"]) == {30, 32, 33, 42, 61}
    counted = studies.assign(placebo_arm=studies["placebo_arm"].mask(studies["ref"] == 32, "yes"))
    assert set(narrative.without_placebo_arm(counted, "saline")["ref"]) == {30, 33, 42, 61}
