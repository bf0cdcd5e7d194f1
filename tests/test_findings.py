"""Harms, funding and the three comparisons: each count is in its source, each sentence follows from its numbers."""

from __future__ import annotations

import dataclasses
import re

import pandas as pd
import pytest

from conftest import BOOK
from psps_paper.article import harms, patient_information
from psps_paper.article.facts import fact
from psps_paper.book import findings, front
from psps_paper.book import harms as pages
from psps_paper.tables.load import load_table


@pytest.fixture(scope="module")
def facts():
    return load_table("study_facts")


@pytest.fixture(scope="module")
def studies():
    return load_table("studies")


@pytest.fixture(scope="module")
def events():
    return load_table("harms")


@pytest.fixture(scope="module")
def table(events, facts, studies):
    return harms.harms_table(events, facts, studies)


@pytest.fixture(scope="module")
def found():
    return {finding.treat2: finding for finding in findings.findings()}


# --- the tables are their sources -----------------------------------------------------------------------


def test_every_number_of_an_event_stands_in_its_fact(events, facts):
    """Double entry: study_facts.csv holds the page's words, harms.csv its numbers."""
    for row in events.itertuples():
        source = fact(facts, row.fact)
        assert (source["study"], source["field"], source["source_kind"] != "searched") == (
            row.study,
            "adverse_events",
            True,
        ), row.harm
        said = re.findall(r"[\d.]+", source["value"].replace("%", ""))
        if row.events == 0:
            assert re.search(r"\bno(ne)?\b", source["value"]), row.harm
        else:
            assert str(row.events) in said, row.harm
        for value in (row.total, row.percent):
            assert pd.isna(value) or f"{value:g}" in said, row.harm
        if isinstance(row.total_fact, str):
            assert fact(facts, row.total_fact)["study"] == row.study
        if isinstance(row.time, str):
            assert source["time"] == row.time, row.harm


def test_percentages_are_those_of_their_counts(events, facts):
    for _, row in events.dropna(subset="percent").iterrows():
        assert any(abs(100 * row["events"] / total - row["percent"]) <= 0.5 for total in harms.totals(row, facts)), row[
            "harm"
        ]


def test_parts_add_up_to_the_whole(events):
    # Table 3 of ref 64: nobody had more than one event
    whole = events.set_index("harm")["events"]
    parts = events.dropna(subset="part_of").groupby("part_of")["events"].sum()
    assert parts.to_dict() == {"hara2022.any": whole["hara2022.any"]}


def test_every_fact_on_harms_with_a_count_has_its_row(events, facts):
    told = facts[(facts["field"] == "adverse_events") & (facts["source_kind"] != "searched")]
    left = set(told["fact"]) - set(events["fact"])
    assert left == {"kapural2015.adverse_events.1"}  # that no paraesthesia was felt is an effect, no harm


def test_every_funder_is_named_in_its_fact(facts):
    funders = load_table("funders")
    told = facts[(facts["field"] == "funding") & (facts["source_kind"] != "searched") & (facts["chosen"] == "yes")]
    assert set(funders["fact"]) == set(told["fact"])
    for row in funders.itertuples():
        said = fact(facts, row.fact)["value"]
        if row.funder != "not named":
            assert all(name.split()[0] in said for name in row.funder.split("; ")), row.study


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"percent": None}, "a: neither patients nor a percentage above 0"),
        ({"events": 7, "percent": 99.0, "total": None}, "7 is 99.0 % of no number of patients"),
    ],
)
def test_a_count_without_patients_is_an_error(fault, error):
    row = pd.Series({"harm": "a", "events": 27, "total_fact": None, "total": None, "percent": 32.0} | fault)
    with pytest.raises(ValueError, match=re.escape(error)):
        harms.totals(row, pd.DataFrame())


# --- by comparison ----------------------------------------------------------------------------------------


def test_harms_by_comparison(events, studies):
    # refs 64 and 67 count events against sham, refs 37 and 39 say that there were none; refs 57 and 71; ref 49 without
    counts = harms.harms_by_comparison(events, studies)
    assert counts.loc["placebo/sham"].tolist() == [10, 2, 2, 6]
    assert counts.loc["conservative + minimally invasive"].tolist() == [2, 2, 0, 0]
    assert counts.loc["conservative"].tolist() == [1, 0, 0, 1]


def test_funding_by_comparison(studies):
    # Medtronic: refs 49, 57 and 71 (study_facts.csv); Regenesis: ref 11, 16 to 24 patients (sample_sizes.csv)
    paid = harms.funding_by_comparison(load_table("funders"), studies, load_table("sample_sizes"))
    assert paid[[harms.MAKER, harms.OTHER, harms.NOT_FOUND]].to_numpy().tolist() == [[1, 2, 7], [1, 0, 0], [2, 0, 0]]
    assert paid.loc["conservative", "share low"] == paid.loc["conservative + minimally invasive", "share high"] == 1
    sham = paid.loc["placebo/sham"]
    assert (sham["patients low"], sham["patients high"]) == (207, 299)
    assert sham["share low"] == pytest.approx(16 / (16 + 299 - 24)) and sham["share high"] == pytest.approx(
        24 / (24 + 207 - 16)
    )


def test_order_of_rows_changes_nothing(events, studies, facts, table):
    shuffled = studies.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(
        harms.harms_by_comparison(events.sample(frac=1, random_state=2), shuffled).sort_index(),
        harms.harms_by_comparison(events, studies).sort_index(),
    )
    paid = [
        harms.funding_by_comparison(f, s, z).drop(columns="makers").sort_index()
        for f, s, z in (
            (load_table("funders"), studies, load_table("sample_sizes")),
            (load_table("funders").iloc[::-1], shuffled, load_table("sample_sizes").iloc[::-1]),
        )
    ]
    pd.testing.assert_frame_equal(*paid)


# --- sentences --------------------------------------------------------------------------------------------


def test_points_are_those_of_the_print(found):
    # 0.36 (0.18 to 0.53) and 0.45 (0.14 to 0.76) times 2.65 points (clinical_scale.csv); the implied one 0.333 to 0.338
    texts = {name: (findings.points_text(one), findings.limits_text(one)) for name, one in found.items()}
    assert texts["placebo/sham"] == ("0.9 points less pain", "0.5 to 1.4 less")
    assert texts["conservative + minimally invasive"] == ("1.2 points less pain", "0.4 to 2.0 less")
    assert texts["conservative"] == ("0.9 points less pain", "0.3 more to 2.1 less")
    assert found["conservative"].tier == "implied" and found["placebo/sham"].tier == "printed"


def test_the_front_page_says_at_least_how_many_patients(found):
    # sample_sizes.csv: 207 to 299 and 72 to 116 patients
    assert findings.trials_in_short(found["placebo/sham"]) == "10 trials, at least 207 patients"
    assert findings.trials_in_short(found["conservative"]) == "1 trial, at least 72 patients"
    known = dataclasses.replace(found["conservative"], patients_low=116)
    assert findings.trials_in_short(known) == "1 trial, 116 patients"


def test_wording_follows_size_and_interval(found):
    one = found["placebo/sham"]
    assert findings.answer_text(one) == "May relieve pain slightly more, but the evidence is very uncertain."
    assert (
        findings.answer_text(dataclasses.replace(one, exact=(0.5, 0.2, 0.8)))
        == "May relieve pain more, but the evidence is very uncertain."
    )
    assert "No difference was shown" in findings.answer_text(dataclasses.replace(one, exact=(0.3, -0.1, 0.8)))
    assert findings.limits_text(dataclasses.replace(one, exact=(-0.5, -0.8, -0.2))) == "0.5 to 2.1 more"
    with pytest.raises(ValueError, match="placebo/sham: certainty 'low'"):
        findings.answer_text(dataclasses.replace(one, certainty="low"))


def test_no_summary_is_silent_on_what_was_not_counted(found):
    assert (
        findings.harms_text(found["conservative"]) == findings.harms_in_short(found["conservative"]) == "no count found"
    )
    for text in (findings.harms_text(found["placebo/sham"]), findings.harms_in_short(found["placebo/sham"])):
        assert "9 of 50 (18 %)" in text and text.endswith("no count found for the other 6")
    assert "; in 3 others under 1 in 10 did; no count" in findings.harms_in_short(found["placebo/sham"])
    # ref 57: 32 % and no denominator; refs 57 and 71 count events, so that the second says whose it is
    assert findings.harms_in_short(found["conservative + minimally invasive"]) == (
        "in one trial 27 patients (32 %) had a device complication within 12 months; in another 18 of 102 (18 %) had an"
        " adverse event related to stimulation within 6 months"
    )
    rare = dataclasses.replace(found["placebo/sham"], harms=[("1 of 30 (3 %) had to leave", "Al-Kaisy 2018", 0.03)])
    assert (
        findings.harms_in_short(rare)
        == "in 4 trials under 1 in 10 had an adverse event; no count found for the other 6"
    )
    assert "12 of 102 (12 %) had further surgery within 6 months (Rigoard 2019)" in findings.harms_text(
        found["conservative + minimally invasive"]
    )


def test_who_paid(found):
    assert (
        findings.funding_text(found["placebo/sham"])
        == "a device maker in 1 of 10 trials, other funders in 2; no funder found for the other 7"
    )
    assert (
        findings.funding_text(found["conservative + minimally invasive"]) == "Medtronic, a device maker, in both trials"
    )
    assert findings.funding_text(found["conservative"]) == "Medtronic, a device maker, in the only trial"


def test_a_new_setting_is_promised_only_as_far_as_the_print_goes(found):
    everything = list(found.values())
    assert findings.new_setting_text(everything) == "In a new clinic there could be no effect at all in any row."
    perhaps = [dataclasses.replace(one, sure_of_none=False) for one in everything]
    assert findings.new_setting_text(perhaps).endswith("if the trials differ as much as the print allows.")
    apart = [dataclasses.replace(everything[0], sure_of_none=False, prediction=(0.1, 0.5)), *everything[1:]]
    assert (
        findings.new_setting_text(apart)
        == "In a new clinic there could be no effect at all against usual care combined and conservative care alone."
    )


def test_more_of_100_comes_with_the_hartung_knapp_interval(found):
    # pooled risk difference 0.255 (-0.130 to 0.641)
    texts = findings.findings_texts(list(found.values()))
    assert (texts["more"], texts["more_interval"]) == ("26", "13 fewer to 64 more")


def test_no_summary_gives_a_number_needed_to_treat():
    for stem in ("index", "clinician_summary", "summary_of_findings", "how_sure", "plain_language"):
        source = (BOOK / f"{stem}.ipynb").read_text(encoding="utf-8")
        assert "nnt" not in source and "one more lost" not in source, stem


def test_the_summary_of_findings_has_seven_columns_and_notes_for_its_letters(found):
    markup = front.show_summary(list(found.values())).markup
    assert markup.partition("</thead>")[0].count("<th ") == 7
    notes = set(re.findall(r'<li id="(note-\d-\w)"', markup))
    assert notes == set(re.findall(r'href="#(note-\d-\w)"', markup)) and len(notes) > 9
    assert markup.count('class="filled"') == 3 == markup.count("<details")  # very low: one circle of four


def test_treatments_count_every_trial_once(studies):
    rows = pages.treatments_table(studies)
    assert (rows["trials"].sum(), rows["in the network"].sum()) == (49, 13)  # Abstract, paragraph 3
    assert rows["at high risk of bias"].sum() == 32  # Results, Risk of bias: 65.3 % of 49


def test_pages_for_patients_are_easy_to_read():
    for stem in ("plain_language", "what_can_go_wrong", "how_sure"):
        prose = patient_information.page_prose(BOOK / f"{stem}.ipynb")
        assert patient_information.reading_level(prose) < 8, (stem, patient_information.reading_level(prose))
