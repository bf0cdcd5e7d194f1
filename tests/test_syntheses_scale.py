"""Other syntheses on one scale: conversions by hand, and nothing left out without a reason."""

import pytest

from psps_paper.article import syntheses
from psps_paper.conclusions.robustness import clinical_scale
from psps_paper.tables.load import load_table


@pytest.fixture(scope="module")
def table():
    return load_table("syntheses")


@pytest.fixture(scope="module")
def scaled(table):
    return syntheses.on_common_scale(table, (1.0, 2.0))


def test_rows_in_are_rows_shown_and_rows_left_out(table, scaled):
    assert len(scaled) + len(syntheses.left_out(table)) == len(table)
    assert syntheses.left_out(table)["why"].ne("").all()


def test_smd_becomes_points_by_a_range_of_sds(scaled):
    # Abstract: 0.36 (0.18 to 0.53) against placebo or sham
    row = scaled[(scaled["synthesis"] == "Goudman") & (scaled["control"] == "placebo or sham")].iloc[0]
    assert (row["low estimate"], row["high estimate"]) == (pytest.approx(0.36), pytest.approx(0.72))
    assert (row["lower"], row["upper"]) == (pytest.approx(0.18), pytest.approx(1.06))


def test_mean_differences_turn_so_that_positive_is_less_pain(scaled):
    # Duarte 2020: -1.15 (-1.75 to -0.55) of 10 points
    row = scaled[scaled["synthesis"] == "Duarte"].iloc[0]
    assert (row["low estimate"], row["high estimate"], row["lower"], row["upper"]) == (1.15, 1.15, 0.55, 1.75)
    assert (scaled["low estimate"] > 0).all() and (scaled["lower"] <= scaled["low estimate"]).all()


def test_a_scale_to_100_is_divided_by_10(table):
    row = table[table["synthesis"] == "duarte2020"].assign(
        unit="points 0 to 100", estimate=-11.5, lower=-17.5, upper=-5.5
    )
    assert syntheses.on_common_scale(row, (1, 1)).iloc[0]["low estimate"] == pytest.approx(1.15)


def test_what_cannot_stand_on_the_scale(table):
    why = syntheses.left_out(table).groupby("synthesis")["why"].first()
    assert why["O'Connell (Cochrane)"] == why["Traeger (Cochrane)"] == "contrast, estimate not seen"
    assert why["Qin"] == "rank" and "unit not stated" in set(syntheses.left_out(table)["why"])


def test_spread_comes_from_the_trials():
    # ref 66: 1.22; change in ref 57: 2.65
    assert syntheses.plausible_sds(load_table("study_facts")) == (1.22, 2.65)
    with pytest.raises(ValueError, match="sds=\\(2, 1\\)"):
        syntheses.on_common_scale(load_table("syntheses"), (2, 1))


def test_the_clinicians_summary_takes_the_greatest_spread():
    scale = clinical_scale(load_table("clinical_scale"))
    assert scale.sd == syntheses.plausible_sds(load_table("study_facts"))[1]


def test_estimates_lie_within_their_limits(table):
    rows = table.dropna(subset=["estimate", "lower", "upper"])
    assert ((rows["lower"] <= rows["estimate"]) & (rows["estimate"] <= rows["upper"])).all()
    assert table["source_url"].notna().all()


def test_this_review_stands_in_the_table_as_printed(table):
    own = table[table["synthesis"] == "goudman2025"]
    printed = load_table("nma_published")
    te = printed[(printed["quantity"] == "te")]["value"].tolist()
    assert sorted(own["estimate"]) == sorted(te)


def test_both_cochrane_reviews_are_listed(table):
    shown = syntheses.reviews(table).set_index("synthesis")
    assert shown.loc[["O'Connell (Cochrane)", "Traeger (Cochrane)"], "with an estimate"].tolist() == [0, 0]
    assert shown["results"].sum() == len(table)


def test_readers_see_authors_and_not_identifiers(table, scaled):
    for shown in (scaled, syntheses.left_out(table), syntheses.reviews(table)):
        assert set(shown["synthesis"]) <= set(table["name"])
        assert not shown["synthesis"].str.contains(r"[0-9_]").any()
    assert (table.groupby("synthesis")["name"].nunique() == 1).all()
