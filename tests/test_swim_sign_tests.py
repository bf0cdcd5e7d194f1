"""Synthesis without meta-analysis: directions, sign tests and summary sentences."""

import numpy as np
import pytest
from scipy.stats import binomtest

from psps_paper import swim
from psps_paper.figures.studies import effect_direction
from psps_paper.narrative import included
from psps_paper.tables import load_table


@pytest.fixture(scope="module")
def studies():
    return load_table("studies")


@pytest.fixture(scope="module")
def facts():
    return load_table("study_facts")


@pytest.mark.parametrize("better", range(9))
@pytest.mark.parametrize("worse", range(9))
def test_sign_test_against_scipy(better, worse):
    if better + worse == 0:
        assert np.isnan(swim.sign_p(0, 0))
    else:
        assert swim.sign_p(better, worse) == pytest.approx(binomtest(better, better + worse).pvalue, rel=1e-12)


def test_three_of_three_cannot_reach_five_percent():
    assert swim.sign_p(3, 0) == 2 * 0.5**3
    with pytest.raises(ValueError, match="worse=-1"):
        swim.sign_p(2, -1)


@pytest.mark.parametrize("by", ["subclass", "clinical_group", "treatment_class"])
def test_every_study_is_counted_once(studies, by):
    table = swim.sign_tests(studies, by=by)
    directions = ["favours intervention", "favours comparator", "no difference", "mixed", "not reported"]
    assert table["studies"].sum() == 49
    assert (table[directions].sum(axis=1) == table["studies"]).all()


def test_ties_enter_only_the_second_p(studies):
    # SCS against sham or placebo: 3 in favour, 2 no difference, 1 without a conclusion
    row = swim.sign_tests(studies, by="clinical_group").set_index("group").loc["SCS against sham or placebo"]
    assert row["p"] == 0.25 and row["p with no difference counted against"] == binomtest(3, 5).pvalue


def test_no_group_reaches_five_percent(studies):
    # whatever the grouping, too few studies favour one arm
    for by in ("subclass", "clinical_group"):
        assert swim.sign_tests(studies, by=by)["p"].min() > 0.05


@pytest.mark.parametrize("by", ["subclass", "clinical_group"])
def test_direction_rows_draw(studies, facts, by):
    rows = swim.direction_rows(studies, facts, by=by)
    assert len(rows) == 49 and len(effect_direction(rows).data) == 49


def test_direction_table_and_rows_agree(studies, facts):
    table = swim.effect_direction_table(studies, facts, treatment_class="surgery")
    rows = swim.direction_rows(studies, facts, treatment_class="surgery")
    assert table["direction"].tolist() == rows["direction"].tolist()
    assert table["first-named arm"].str.contains("SCS").any()


def test_grouping_must_be_known(studies, facts):
    with pytest.raises(ValueError, match="by='journal'"):
        swim.sign_tests(studies, by="journal")
    with pytest.raises(ValueError, match="treatment_class='diet'"):
        swim.direction_rows(studies, facts, treatment_class="diet")


def test_harvest_counts_every_study(studies):
    assert swim.harvest_counts(studies)[["low", "some concerns", "high"]].to_numpy().sum() == 49


@pytest.mark.parametrize("expected, counts, verdict", [
    ("all favour the first arm", (2, 0, 0, 0), "yes"),
    ("all favour the first arm", (2, 0, 0, 1), "cannot tell"),
    ("all favour the first arm", (2, 0, 1, 0), "no"),
    ("all favour the first arm", (2, 1, 0, 0), "no"),
    ("all favour the first arm", (2, 1, 0, 1), "no"),
    ("most favour the first arm", (4, 0, 2, 0), "yes"),
    ("most favour the first arm", (2, 0, 2, 0), "no"),
    ("most favour the first arm", (2, 2, 0, 0), "no"),
    ("most favour the first arm", (2, 0, 2, 1), "cannot tell"),
    ("most favour the first arm", (2, 2, 0, 1), "cannot tell"),
    ("most favour the first arm", (2, 3, 0, 1), "no"),
    ("most show no difference", (4, 0, 7, 1), "yes"),
    ("most show no difference", (4, 3, 7, 1), "cannot tell"),
    ("all show no difference", (0, 0, 3, 0), "yes"),
    ("all show no difference", (1, 0, 2, 0), "no"),
    ("all show no difference", (0, 1, 2, 0), "no"),
    ("unclear", (5, 0, 0, 0), "cannot tell"),
])
def test_agreement_of_a_sentence_with_counts(expected, counts, verdict):
    assert swim.agreement(expected, *counts) == verdict


def test_summary_sentences_against_the_table(studies):
    claims = load_table("summary_claims")
    table = swim.summary_against_table(studies, claims)
    assert set(table["class"]) == set(included(studies)["treatment_class"])
    assert (table["agrees"] != "no").all()
    # 7 of the 12 comparisons of SCS paradigms: Results, Narrative synthesis, neuromodulation
    row = table.set_index("claim").loc["more than half of the comparisons of SCS paradigms found no difference"]
    assert (row["favours intervention"], row["favours comparator"], row["no difference"], row["other"]) == (4, 0, 7, 1)
    # the sentence on non-invasive stimulation cites the two trials in favour and none of the two without difference
    narrow = table[table["refs"] == "52, 58"].iloc[0]
    assert (narrow["agrees"], narrow["agrees over the group"]) == ("yes", "no")


def test_an_opposite_direction_speaks_against_the_sentence(studies):
    """Every cited study of a sentence that all favour the first arm, or that none differs, turned round one at a time."""
    claims = load_table("summary_claims")
    claims = claims[claims["expected"].str.startswith("all ")]
    cited = {int(ref) for refs in claims["refs"] for ref in refs.split()}
    assert len(cited) == 25
    for ref in cited:
        changed = studies.assign(direction=studies["direction"].mask(studies["ref"] == ref, "favours comparator"))
        table = swim.summary_against_table(changed, claims)
        names = table["refs"].str.split(", ").apply(lambda refs: str(ref) in refs)
        assert names.any() and table.loc[names, "agrees"].eq("no").all(), ref
        assert table.loc[~names, "agrees"].ne("no").all()


def test_cited_studies_are_among_those_on_the_question(studies):
    table = included(studies).set_index("ref")
    for claim in load_table("summary_claims").itertuples():
        eligible = set(table.query(claim.could_cite, engine="python").index.astype(int))
        cited = {int(ref) for ref in claim.refs.split()}
        assert cited <= eligible, claim.id
        assert set(table.loc[sorted(cited), "treatment_class"]) == {claim.treatment_class}


def test_an_excluded_reference_is_named(studies):
    claims = load_table("summary_claims").head(1).assign(refs="44 88")
    with pytest.raises(ValueError, match=r"refs \[88\]"):
        swim.summary_against_table(studies, claims)


def test_unknown_expectation_is_named():
    with pytest.raises(ValueError, match="expected='some'"):
        swim.agreement("some", 1, 1, 1, 1)
