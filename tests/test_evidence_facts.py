"""The sourced facts: no value without a page, one vocabulary, numbers that add up, nothing silently missing."""

import html
import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from psps_paper.article import facts as evidence
from psps_paper.article.studies import included
from psps_paper.book.studies import facts_table, judged_table, registry_table
from psps_paper.formatting import out_of
from psps_paper.tables.load import data_folder, load_dictionary, load_table

pytestmark = pytest.mark.slow

ONE_VALUE = [
    "country",
    "design",
    "registration",
    "blinding",
    "funding",
    "outcome_scale",
    "symptom_site",
    "n_randomised",
    "follow_up",
    "randomised_follow_up",
    "age_mean",
]
OWN_TABLES = [
    "study_facts",
    "claim_facts",
    "source_differences",
    "summary_claims",
    "responder_counts",
    "reextracted_contrasts",
    "certainty_rules",
    "patient_information",
    "syntheses",
    "checklists",
]


@pytest.fixture(scope="module")
def facts():
    return load_table("study_facts")


@pytest.fixture(scope="module")
def studies():
    return load_table("studies")


def test_every_included_study_is_present_under_its_reference(facts, studies):
    refs = included(studies).set_index("study")["ref"].astype(int).to_dict()
    assert dict(zip(facts["study"], facts["ref"].astype(int), strict=True)) == refs
    assert len(refs) == 49  # Results, Study selection


def test_no_fact_without_source(facts):
    found = facts[facts["source_kind"] != "searched"]
    assert found["source_url"].notna().all(), found[found["source_url"].isna()]["fact"].tolist()
    assert (found["value"].notna() | found["number"].notna()).all()


def test_sources_are_named_hosts(facts):
    hosts = facts["source_url"].dropna().map(lambda url: urlsplit(url).hostname)
    assert not hosts[hosts.str.fullmatch(r"[0-9.]+|\[.*")].tolist(), (
        "an address in numbers says nothing of who vouches for the page"
    )


def test_what_was_not_found_holds_no_value(facts):
    searched = facts[facts["source_kind"] == "searched"]
    assert len(searched) > 0
    assert searched[["value", "number", "source_url"]].isna().all().all()
    assert (searched["chosen"] == "no").all()


def test_a_value_is_a_text_or_a_number_with_a_unit(facts):
    found = facts[facts["source_kind"] != "searched"]
    text = found["unit"] == "text"
    assert found.loc[text, "number"].isna().all() and found.loc[text, "value"].notna().all()
    assert found.loc[~text, "value"].isna().all() and found.loc[~text, "number"].notna().all()
    assert (found.loc[~text, "unit"] != "none").all()


def test_numbers_lie_within_their_scale(facts):
    for unit, low, high in [
        ("p", 0, 1),
        ("points 0 to 10", 0, 10),
        ("points 0 to 100", 0, 100),
        ("percent", -100, 100),
        ("patients", 0, 1000),
    ]:
        # differences, changes and their limits may be negative
        rows = facts[(facts["unit"] == unit) & ~facts["field"].isin(["mean_difference", "lower", "upper"])]
        assert len(rows) and rows["number"].between(low, high).all(), unit
    counts = facts[facts["unit"] == "patients"]["number"]
    assert (counts % 1 == 0).all()
    assert set(facts.loc[facts["relation"] == "<", "unit"]) == {"p"}


def test_results_name_their_outcome_and_what_they_compare(facts):
    fields = ["p_value", "mean_difference", "outcome_mean", "percent_change", "responders_n", "responders_percent"]
    results = facts[facts["field"].isin(fields) & (facts["source_kind"] != "searched")]
    assert results[["outcome", "basis"]].notna().all().all()
    contrast = results["arm"].str.contains(" vs ") & ~results["arm"].str.contains("others")
    assert results.loc[contrast & (results["basis"] == "within arm")].empty


def test_one_chosen_value_for_each_study_field_and_arm(facts):
    rows = facts[(facts["chosen"] == "yes") & facts["field"].isin(ONE_VALUE)]
    several = rows.groupby(["study", "field", "arm"]).size()
    assert several.max() == 1, several[several > 1].to_dict()


def test_values_that_disagree_are_kept_with_a_reason(facts):
    for _, group in facts[facts["source_kind"] != "searched"].groupby(["study", "field", "arm"]):
        rejected = group[(group["chosen"] == "no") & group["field"].isin(ONE_VALUE)]
        assert rejected["note"].notna().all(), rejected["fact"].tolist()


def test_arms_sum_to_the_number_randomised(facts):
    # Arms derived from the whole, or the whole from the arms, add up by themselves
    derived = "derived|equal groups|by arithmetic|12 [+] 12|series of 24|denominator of the success"
    rows = evidence.chosen(facts, "n_randomised")
    rows = rows[~rows["study"].isin(rows.loc[rows["note"].fillna("").str.contains(derived), "study"])]
    checked = 0
    for study, group in rows.groupby("study"):
        whole, arms = group[group["arm"] == "all"]["number"], group[group["arm"] != "all"]["number"]
        if len(whole) and len(arms):
            assert arms.sum() == whole.sum(), study
            checked += 1
    assert checked >= 12


def test_forty_studies_with_size_and_follow_up_on_pages_other_than_the_article(facts, studies):
    sourced = evidence.sourced_studies(facts, studies)
    assert len(sourced) == 40
    own = facts[(facts["chosen"] == "yes") & ~facts["source_kind"].isin(["article", "searched"])]
    for field in ("n_randomised", "follow_up"):
        assert set(sourced) <= set(own.loc[own["field"] == field, "study"]), field


def test_each_sourced_number_of_patients_tells_how_it_was_counted(facts, studies):
    table = evidence.patients_by_count(facts, studies)
    assert table["studies"].sum() == len(evidence.sourced_studies(facts, studies))
    assert table["studies"].tolist() == [len(refs.split(", ")) for refs in table["references"]]
    ways = {
        int(ref): way
        for way, refs in zip(table["how counted"], table["references"], strict=True)
        for ref in re.findall(r"\d+", refs)
    }
    # "32 participants were randomized", "36 patients were enrolled": abstracts of refs 27 and 32; ref 47: a review's
    # table
    assert (ways[27], ways[32], ways[47]) == ("randomised", "enrolled", "in a review's table")
    other = facts.assign(counted=facts["counted"].mask(facts["fact"] == "hayek2023.n_randomised.2", "treated"))
    changed = evidence.patients_by_count(other, studies).set_index("how counted")["references"]
    assert "32" in re.findall(r"\d+", changed["treated"]) and "32" not in re.findall(r"\d+", changed["enrolled"])


def test_a_follow_up_from_the_article_does_not_count_as_sourced(facts, studies):
    article = facts.assign(source_kind=facts["source_kind"].mask(facts["fact"] == "esmer2010.follow_up.1", "article"))
    assert set(evidence.sourced_studies(facts, studies)) - set(evidence.sourced_studies(article, studies)) == {
        "esmer2010"
    }


def test_follow_up_is_that_of_the_included_report(facts):
    days = evidence.follow_up_days(facts)
    # ref 46: 12 months in the included report; a meeting abstract has 18 months, a later report 24
    assert days["kapural2015"] == pytest.approx(365.25)
    assert evidence.fact(facts, "kapural2015.follow_up.2")[["number", "chosen"]].tolist() == [24, "no"]
    assert days["esmer2010"] == 280 and evidence.follow_up_days(facts, randomised=True)["esmer2010"] == 84


@pytest.mark.parametrize(
    "unit, high",
    [("points 0 to 10", 10), ("cm 0 to 10", 10), ("points 0 to 100", 100), ("mm 0 to 100", 100), ("ODI 0 to 100", 100)],
)
def test_scores_lie_on_their_scale_and_changes_are_not_scores(facts, unit, high):
    rows = facts[facts["field"].isin(["outcome_mean", "baseline_pain_mean"]) & (facts["unit"] == unit)]
    assert rows["number"].between(0, high).all(), rows["fact"].tolist()


def test_fragile_addresses_have_an_identifier(facts):
    # servers without a name, sessions, searches: gone tomorrow
    fragile = facts["source_url"].str.contains(
        r"://\d+\.\d+\.|/embedded/|query_string=|linkout\?|\?lang=|\?wd=", na=False
    )
    assert fragile.sum() > 20
    assert facts.loc[fragile, "identifier"].notna().all(), facts.loc[
        fragile & facts["identifier"].isna(), "fact"
    ].tolist()
    known = facts["identifier"].dropna()
    assert known.str.fullmatch(r"PMID \d+|PMC\d+|doi:10\.\d{4,}/\S+|NCT\d{8}|ISRCTN\d+|IRCT\w+").all()
    assert facts.loc[facts["source_url"].isna(), "identifier"].isna().all()


@pytest.mark.parametrize("table", OWN_TABLES)
def test_tables_name_no_machine_and_copy_no_paragraph(table):
    text = (data_folder() / f"{table}.csv").read_text(encoding="utf-8")
    assert not re.search(r"(?<!:/)(?<![\w.])/(work|tmp|root|home)/", text)
    longest = load_table(table).select_dtypes("str").map(lambda cell: len(cell) if isinstance(cell, str) else 0)
    limit = 1000 if table == "certainty_rules" else 400
    columns = [name for name in longest if load_dictionary(table).set_index("name").at[name, "type"] != "url"]
    assert longest[columns].max().max() < limit


def test_coverage_counts_every_study_in_every_field(facts, studies):
    counts = evidence.coverage_counts(facts, studies)
    assert (counts[evidence.STATUSES].sum(axis=1) == 49).all()
    assert counts["field"].tolist() == list(evidence.COVERED)


@pytest.mark.parametrize(
    "study, field, status",
    [
        ("hara2022", "patients", evidence.FOUND),
        ("tan2016", "patients", evidence.NOT_FOUND),
        ("devulder1999", "follow-up", evidence.ARTICLE_ONLY),  # 1, 3 and 6 months only in the article's narrative
        ("hamdy2021", "patients", evidence.DOUBTFUL),  # 50 in a 2017 report that may be the same trial
        ("park2012", "sex", evidence.NOT_FOUND),
    ],
)
def test_coverage_tells_apart_how_a_value_is_known(facts, studies, study, field, status):
    assert evidence.coverage(facts, studies).at[study, field] == status


def test_what_nobody_looked_for_is_counted(facts, studies):
    assert evidence.cells_not_looked_for(facts, studies) == 0
    fewer = facts[~((facts["study"] == "park2012") & (facts["field"] == "female_percent"))]
    assert evidence.coverage(fewer, studies).at["park2012", "sex"] == evidence.NOT_SEARCHED
    assert evidence.cells_not_looked_for(fewer, studies) == 1


def test_the_page_states_how_much_nobody_looked_for(facts, studies):
    chapter = json.loads(
        (Path(__file__).resolve().parents[1] / "book" / "evidence_base.ipynb").read_text(encoding="utf-8")
    )
    stored = {
        output["metadata"]["scrapbook"]["name"]: output["data"]["application/papermill.record/text/plain"]
        for cell in chapter["cells"]
        for output in cell.get("outputs", [])
        if "scrapbook" in output["metadata"]
    }
    not_looked = evidence.cells_not_looked_for(facts, studies)
    assert stored["not_looked_of"] == out_of(not_looked, evidence.coverage(facts, studies).size)
    assert int(stored["n_sourced"]) == len(evidence.sourced_studies(facts, studies))
    prose = " ".join("".join(cell["source"]) for cell in chapter["cells"] if cell["cell_type"] == "markdown")
    assert "{glue}`not_looked_of`" in prose and "{glue}`n_sourced`" in prose


def test_every_fact_is_shown_with_its_value_and_its_page(facts):
    shown, found = facts_table(facts), facts[facts["source_kind"] != "searched"]
    assert len(shown) == len(found) > 1000
    assert (shown["value"].str.strip() != "").all()
    urls = [re.search(r'href="([^"]*)"', cell)[1] if "<a " in cell else cell for cell in shown["source"]]
    assert [html.unescape(url) for url in urls] == found["source_url"].tolist()
    counted = found.reset_index(drop=True)["unit"] == "patients"
    assert (
        counted.sum() > 100 and shown.loc[counted, "value"].str.fullmatch(r"[\d.,\s]+ patients?( \([a-z' ]+\))?").all()
    )


def shown_numbers(facts):
    """Results in numbers as pages show them, by the reference number of the study."""
    arms, contrasts = evidence.arm_numbers(facts), evidence.contrast_numbers(facts)
    refs = facts.drop_duplicates("study").set_index("study")["ref"]
    return {
        ref: evidence.numbers_text(arms[arms["study"] == study], contrasts[contrasts["study"] == study])
        for study, ref in refs.items()
    }


def test_results_in_numbers_beside_the_words(facts):
    """Numbers as the abstracts give them: refs 60, 55, 27, 64 and 71."""
    texts = shown_numbers(facts)
    assert (
        texts[60]
        == "pain and disability, 24 months: responders adhesiolysis 82 % (49 of 60), caudal epidural 5 % (3 of 60)"
    )
    assert "back pain, 6 months: change 10 kHz \N{MINUS SIGN}77 %, 10-1500 Hz \N{MINUS SIGN}64 %" in texts[55]
    minus = "\N{MINUS SIGN}"
    assert (
        texts[27]
        == f"pain, 7 weeks: difference gabapentin ER vs placebo {minus}0.01 ({minus}0.22 to 0.2) in points 0 to 10"
    )
    assert texts[64].startswith(
        f"disability, 3 months: mean change burst {minus}10.6, placebo {minus}9.3 (ODI 0 to 100)"
    )
    assert "difference SCS plus OMM vs OMM 9 (0.6 to 17.5) percentage points; p = 0.036 between arms" in texts[71]
    # values at different doses and times, a p within each arm, and both arms together make no comparison
    assert texts[56] == texts[62] == texts[28] == ""
    other = facts.assign(number=facts["number"].mask(facts["fact"] == "manchikanti2012.responders_percent.2", 15))
    assert "caudal epidural 15 % (3 of 60)" in shown_numbers(other)[60]


def test_statements_that_rest_on_changes_within_arms_are_listed(facts):
    """Directions of refs 42, 44, 56 and 62: their abstracts give p of pain within arms only, and no number between
    them."""
    listed = load_table("source_differences").query("topic == 'analysis'")
    assert {42, 44, 56, 62} <= set(listed["ref"])
    between = evidence.contrast_numbers(facts)
    for study in listed.loc[listed["ref"].isin([42, 44, 56, 62]), "study"]:
        assert between[between["study"] == study].empty, study


def test_unknown_fact_is_named(facts):
    with pytest.raises(KeyError, match="nobody2000.n_randomised.1"):
        evidence.fact(facts, "nobody2000.n_randomised.1")


def test_months_become_years(facts):
    name = evidence.chosen(facts[facts["study"] == "manchikanti2010"], "follow_up").iloc[0]["fact"]
    assert evidence.linked_value(facts, name, None, "months to years") == 1


def test_hertz_become_kilohertz(facts):
    assert evidence.linked_value(facts, "kapural2015.setting_value.1", None, "Hz to kHz") == 10


def test_denominators_of_printed_percentages():
    # ref 46: 97 were randomised to tonic SCS, and no whole number of them gives 55.5 %
    assert evidence.denominators([55.5], 1, 97) == []
    assert evidence.denominators([55.5], 1, 110) == [110]  # 61 of 110 is 55.45 %
    assert evidence.denominators([84.5, 83.1], 1, 101) == [71]  # 60 and 59 of 71
    assert evidence.denominators([50.0], 1, 4) == [2, 4]


def test_differences_from_sources_rest_on_facts_of_the_same_study(facts):
    table = load_table("source_differences")
    shown = evidence.differences_from_sources(table, facts)
    assert len(shown) == len(table) and shown["source"].notna().all()
    for row in table.itertuples():
        assert evidence.fact(facts, row.fact)["study"] == row.study


def test_the_registry_tells_patients_age_and_follow_up(facts, studies):
    # study_facts.csv: ref 49 gives mean ages by arm, ref 31 of all patients, ref 50 no number of patients
    table = registry_table(studies, facts).set_index("ref")
    assert table.loc["49", ["patients", "mean age", "follow-up"]].tolist() == [
        "116",
        "50.9 years (SQS + OMM); 52.2 years (OMM)",
        "9 months",
    ]
    assert table.at["31", "mean age"] == "53.88 years" and table.at["50", "patients"] == "not found"
    assert (table != "").all(axis=None) and len(table) == 49


def test_shares_of_judgements_have_one_decimal(facts, studies):
    # Results, Risk of bias: 8.2, 26.5 and 65.3 %
    table = judged_table(evidence.weighted_risk_of_bias(studies, facts))
    assert table["percent of studies"].tolist() == ["8.2 %", "26.5 %", "65.3 %"]


def test_weighted_risk_of_bias_adds_up(facts, studies):
    table = evidence.weighted_risk_of_bias(studies, facts)
    assert table["studies"].tolist() == [4, 13, 32]  # Results, Risk of bias
    assert table["patients"].sum() == evidence.sample_size(facts).sum()
    assert table["percent of patients"].sum() == pytest.approx(100)


def test_follow_up_in_days(facts):
    days = evidence.follow_up_days(facts)
    assert (
        days["duse2019"] == 21 and evidence.follow_up_days(facts, randomised=True)["duse2019"] == 7
    )  # three programs of a week
    assert days["hara2022"] == pytest.approx(365.25)
    assert evidence.follow_up_days(facts, randomised=True)["hara2022"] == pytest.approx(365.25 / 4)
