"""Results "Study selection" and Fig. 1: the flow of records adds up, and its gaps are solved for."""

from __future__ import annotations

import pandas as pd
import pytest

from helpers import table
from psps_paper.article.prisma import STAGES, complete_flow

# Results, Study selection; Fig. 1, caption
PRINTED = {
    "identified": 1140,
    "duplicates": 432,
    "screened": 708,
    "full_text_sought": 105,
    "full_text_missing": 34,
    "full_text_assessed": 71,
    "included_first_search": 45,
    "included_update": 5,
    "included_before_retraction": 50,
    "retracted": 1,
    "included": 49,
    "nma_eligible": 14,
    "nma_other_subnetwork": 1,
    "nma_used": 13,
}
# Neither is printed: 708 - 105 and 71 - 45
IMPLIED = {"screened_out": 603, "full_text_excluded": 26}


@pytest.fixture
def prisma():
    return table("prisma")


def change(prisma: pd.DataFrame, **counts) -> pd.DataFrame:
    changed = prisma.set_index("box")
    for box, n in counts.items():
        changed.loc[box, "n"] = n
    return changed.reset_index()


@pytest.mark.parametrize("box", PRINTED)
def test_box_holds_the_printed_count(prisma, box):
    row = complete_flow(prisma).set_index("box").loc[box]
    assert (row["n"], row["tier"]) == (PRINTED[box], "printed")


@pytest.mark.parametrize("box", IMPLIED)
def test_box_that_is_not_printed_follows_from_its_neighbours(prisma, box):
    row = complete_flow(prisma).set_index("box").loc[box]
    assert (row["n"], row["tier"]) == (IMPLIED[box], "implied")


def test_flow_holds_these_boxes_and_no_other(prisma):
    flow = complete_flow(prisma)
    assert set(flow["box"]) == {*PRINTED, *IMPLIED}
    assert flow["order"].tolist() == list(range(1, 17))
    assert set(flow["stage"]) == set(STAGES)


def test_order_of_rows_does_not_matter(prisma):
    shuffled = prisma.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(complete_flow(shuffled), complete_flow(prisma))


def test_table_itself_is_not_changed(prisma):
    before = prisma.copy()
    complete_flow(prisma)
    pd.testing.assert_frame_equal(prisma, before)


def test_registry_and_flow_count_the_same_studies(prisma):
    studies, flow = table("studies"), complete_flow(prisma).set_index("box")["n"]
    assert flow["included_before_retraction"] == len(studies)
    assert flow["included"] == (studies["status"] == "included").sum()
    assert flow["retracted"] == (studies["status"] == "excluded: retracted").sum()
    assert flow["nma_eligible"] == (studies["nma_status"] != "not eligible").sum()
    assert flow["nma_used"] == (studies["nma_status"] == "used").sum()


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"duplicates": 431}, "boxes identified, duplicates, screened: the counts do not add up; -1 are left over"),
        (
            {"retracted": 2},
            "boxes included_before_retraction, retracted, included: the counts do not add up; 1 are left over",
        ),
        ({"full_text_sought": 800}, "boxes screened, screened_out, full_text_sought: the unknown count would be -92"),
        ({"screened": pd.NA}, "box screened: a box of the main path has no count"),
    ],
)
def test_counts_that_cannot_be_are_refused(prisma, counts, message):
    with pytest.raises(ValueError, match=f"^prisma.csv, {message}$"):
        complete_flow(change(prisma, **counts))


def test_an_added_box_is_solved_for_with_its_sign(prisma):
    flow = complete_flow(change(prisma, included_update=pd.NA)).set_index("box")
    assert (flow.at["included_update", "n"], flow.at["included_update", "tier"]) == (5, "implied")


def test_two_unknowns_between_two_boxes_are_refused(prisma):
    second = prisma[prisma["box"] == "screened_out"].assign(box="also_out", order=4)
    with pytest.raises(ValueError, match="2 counts are unknown; expected at most one"):
        complete_flow(pd.concat([prisma, second], ignore_index=True))
