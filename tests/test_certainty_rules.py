"""Certainty: each judgement follows from a stated rule, and changes when its threshold does."""

from itertools import product

import pandas as pd
import pytest

from psps_paper import certainty
from psps_paper.published import published_network
from psps_paper.tables import load_table

DOMAINS = ["within-study bias", "reporting bias", "indirectness", "imprecision", "heterogeneity", "incoherence"]


@pytest.fixture(scope="module")
def inputs():
    nma = load_table("nma_published")
    return {
        "published": published_network(nma, desirable="higher"), "studies": load_table("studies"),
        "facts": load_table("study_facts"), "nma_published": nma, "rules": load_table("certainty_rules"),
    }


@pytest.fixture(scope="module")
def table(inputs):
    return certainty.judgements(**inputs)


def judgement(table, treat1, treat2, domain):
    rows = table[(table["treat1"] == treat1) & (table["treat2"] == treat2) & (table["domain"] == domain)]
    return rows.iloc[0]


@pytest.mark.parametrize("n_studies, n_high, n_estimates", [(10, 6, 19), (4, 1, 7), (3, 0, 5), (2, 2, 4), (3, 2, 3)])
def test_bounds_of_the_high_risk_share_by_enumeration(n_studies, n_high, n_estimates):
    if n_studies == 10:
        # at least one estimate a study: the 9 spare ones all in low-risk or all in high-risk studies
        assert certainty.high_share_bounds(10, 6, 19) == (6 / 19, 15 / 19)
        return
    shares = [
        sum(spread[:n_high]) / n_estimates
        for spread in product(range(1, n_estimates + 1), repeat=n_studies) if sum(spread) == n_estimates
    ]
    assert certainty.high_share_bounds(n_studies, n_high, n_estimates) == (min(shares), max(shares))


def test_impossible_counts_are_named():
    with pytest.raises(ValueError, match="studies=3, at high risk=4"):
        certainty.high_share_bounds(3, 4, 5)


@pytest.mark.parametrize("lower, upper, step", [
    (0.1, 0.9, certainty.NONE), (-0.2, 0.4, certainty.NONE), (-0.1, 0.6, certainty.SOME),
    (-0.6, 0.1, certainty.SOME), (-0.5, 0.5, certainty.MAJOR), (0.5, 0.9, certainty.NONE),
])
def test_imprecision_of_an_interval(lower, upper, step):
    assert certainty.imprecision_step(lower, upper, 0.5) == step


def test_imprecision_rejects_a_reversed_interval():
    with pytest.raises(ValueError, match="lower=1"):
        certainty.imprecision_step(1, 0, 0.5)


def test_every_contrast_has_every_domain(table):
    assert len(table) == 6 * len(DOMAINS)
    assert set(table["domain"]) == set(DOMAINS) == set(load_table("certainty_rules")["domain"])
    assert table[["judgement", "basis", "would settle"]].notna().all().all()


def test_a_star_cannot_be_incoherent(table):
    # Results, Network meta-analysis: no comparison rests on direct and indirect evidence
    assert (table.loc[table["domain"] == "incoherence", "judgement"] == certainty.UNKNOWN).all()


@pytest.mark.parametrize("treat2, judged", [
    ("conservative + minimally invasive", "major concerns"),  # refs 57 and 71, both high
    ("conservative", "major concerns"),  # ref 49, high
    ("placebo/sham", "some or major concerns"),  # 6 of 10 studies, 19 estimates: 32 to 79 %
])
def test_within_study_bias(table, treat2, judged):
    assert judgement(table, "neuromodulation", treat2, "within-study bias")["judgement"] == judged


def test_reporting_bias_needs_ten_studies(table):
    domain = table[table["domain"] == "reporting bias"].set_index(["treat1", "treat2"])["judgement"]
    assert domain[("neuromodulation", "placebo/sham")] == certainty.NONE
    assert (domain.drop(("neuromodulation", "placebo/sham")) == certainty.UNKNOWN).all()


def test_indirect_contrasts_are_never_without_concern(table):
    rows = table[(table["evidence"] == "indirect") & (table["domain"] == "indirectness")]
    assert len(rows) == 3 and (rows["judgement"] != certainty.NONE).all()


def test_no_scs_in_the_only_study_against_conservative_treatment(table):
    row = judgement(table, "neuromodulation", "conservative", "indirectness")
    assert row["judgement"] == certainty.SOME and "none with SCS" in row["basis"]


def test_changing_a_threshold_changes_the_judgement(inputs):
    rules = inputs["rules"].copy()
    rules.loc[rules["domain"] == "imprecision", "threshold"] = 0.1
    strict = certainty.judgements(**{**inputs, "rules": rules})
    assert judgement(strict, "neuromodulation", "conservative", "imprecision")["judgement"] == certainty.MAJOR


def test_heterogeneity_widens_with_tau2(table):
    row = judgement(table, "conservative + minimally invasive", "placebo/sham", "heterogeneity")
    assert (row["at best"], row["at worst"]) == (certainty.NONE, certainty.MAJOR)
    assert row["judgement"] == "no or major concerns"


@pytest.mark.parametrize("judgements, rated", [
    (["no concerns"] * 6, "high"), (["some concerns"] + ["no concerns"] * 5, "moderate"), (["major concerns"], "low"),
    (["major concerns", "some concerns"], "very low"), (["major concerns"] * 6, "very low"), (["cannot be judged"] * 6, "high"),
])
def test_rating(judgements, rated):
    assert certainty.rating(pd.Series(judgements)) == rated


def test_table_of_certainty(table, inputs):
    shown = certainty.certainty_table(table, inputs["published"]).set_index("contrast")
    assert list(shown.columns[2:8]) == DOMAINS
    row = shown.loc["neuromodulation against placebo/sham"]
    assert row["SMD"].startswith("0.36 (0.18 to 0.53)")
    assert (row["certainty at best"], row["certainty at worst"]) == ("low", "very low")
    order = certainty.RATINGS
    assert all(order.index(a) >= order.index(b) for a, b in zip(shown["certainty at best"], shown["certainty at worst"]))


def test_information_at_high_risk(inputs):
    shares = certainty.high_risk_information(inputs["published"], inputs["studies"]).set_index("treat2")
    assert shares.at["conservative", "least share of estimates"] == 1
    assert shares.loc["placebo/sham", ["studies", "at high risk", "estimates"]].tolist() == [10, 6, 19]
