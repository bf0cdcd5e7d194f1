"""Results "Narrative synthesis": one table for each treatment class, and what the text says came out."""

from __future__ import annotations

import pytest

from helpers import table
from psps_paper.article import facts as evidence
from psps_paper.article import studies as narrative


@pytest.fixture(scope="module")
def studies():
    return table("studies")


# Headings of Results, Narrative synthesis
@pytest.mark.parametrize(
    ("treatment_class", "printed"),
    [
        ("conservative", 6),
        ("minimally invasive", 16),
        ("neuromodulation", 25),
        ("surgery", 2),
    ],
)
def test_class_table_has_a_row_for_each_study(studies, treatment_class, printed):
    shown = evidence.class_page_table(studies, table("study_facts"), treatment_class)
    assert len(shown) == printed
    assert shown["study"].is_unique
    assert shown.notna().all(axis=None)
    assert shown["sub-class"].is_monotonic_increasing, "sub-classes stay together"


def test_class_tables_show_every_included_study_once(studies):
    names = [
        name
        for kind in ("conservative", "minimally invasive", "neuromodulation", "surgery")
        for name in evidence.class_page_table(studies, table("study_facts"), kind)["study"]
    ]
    expected = [f"{row.first_author} (ref {row.ref})" for row in narrative.included(studies).itertuples()]
    assert sorted(names) == sorted(expected)


def test_class_table_names_what_was_compared(studies):
    row = evidence.class_page_table(studies, table("study_facts"), "surgery").set_index("study").loc["North (ref 70)"]
    assert (row["comparison"], row["stated direction"], row["year"]) == (
        "SCS against reoperation",
        "favours intervention",
        "2005",
    )


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
