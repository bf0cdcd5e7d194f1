"""Reporting checklists: complete, and pointing at chapters that exist in the plan of the book."""

import pytest

from psps_paper.tables import load_table

CHAPTERS = set(
    "index plain_language background methods study_selection risk_of_bias study_characteristics narrative_conservative "
    "narrative_minimally_invasive narrative_neuromodulation narrative_surgery network_meta_analysis heterogeneity discussion "
    "reproduction_status evidence_base responders reextracted_network certainty patient_information other_syntheses checklists "
    "what_print_allows compatibility ensemble robustness validation data_dictionary references".split()
)


@pytest.mark.parametrize("checklist, items", [
    ("PRISMA 2020", [str(n) for n in range(1, 28)]),  # Page 2021
    ("PRISMA-NMA", [f"S{n}" for n in range(1, 6)]),  # Hutton 2015
    ("SWiM", [str(n) for n in range(1, 10)]),  # Campbell 2020
])
def test_every_item_once_in_order(checklist, items):
    table = load_table("checklists")
    assert table.loc[table["checklist"] == checklist, "item"].tolist() == items


def test_every_item_names_a_chapter():
    assert set(load_table("checklists")["chapter"]) <= CHAPTERS


def test_what_is_not_done_says_why():
    table = load_table("checklists")
    assert table.loc[table["status"] == "not possible", "remark"].notna().all()
    assert (table["status"] == "done").sum() > len(table) / 2
