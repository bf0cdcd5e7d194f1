"""Per-member analyses of an ensemble, on two members built by hand and on a small sampled ensemble.

Expected values: closed forms written out in each test, or the engine.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, t

from psps_paper.article.published import published_network
from psps_paper.book.conclusions import centres_note
from psps_paper.conclusions import robustness
from psps_paper.ensemble import (
    Assumptions,
    Ensemble,
    assumption_labels,
    load_ensemble,
    published_evidence,
    sample_ensemble,
)
from psps_paper.ensemble.model import draw_allocation
from psps_paper.formatting import number
from psps_paper.network import fit_network
from psps_paper.network.robust import cluster_robust
from psps_paper.pairwise import published_fraction_at_bias
from psps_paper.tables.load import load_table

HUB = "neuromodulation"


@pytest.fixture(scope="module")
def evidence():
    return published_evidence()


@pytest.fixture(scope="module")
def small(evidence):
    return sample_ensemble(40, evidence=evidence, assumptions=[Assumptions("paired", 0.75, "ML")])


@pytest.fixture(scope="module")
def by_hand(evidence):
    """Two members without heterogeneity: every estimate at its comparison's value, equal SEs within a comparison."""
    level = np.array([{"placebo/sham": 0.4, "conservative": 0.1}.get(name, 0.6) for name in evidence.edges["treat2"]])
    se = np.array([0.30, 0.25, 0.20])[evidence.estimates]
    study = draw_allocation(evidence, np.random.default_rng(0))
    members = pd.DataFrame({"convention": "change score", "correlation": 0.0, "tau2_method": ["ML", "ML"], "chain": [0, 1]})
    return Ensemble(
        evidence=evidence, te=np.tile(level[evidence.estimates], (2, 1)), se=np.tile(se, (2, 1)),
        study=np.tile(study, (2, 1)), n=np.full((2, 13), 50.0), tau2=np.zeros(2), members=members, sampling=pd.DataFrame(),
    )  # fmt: skip


def row_of(table, **where):
    for name, value in where.items():
        table = table[table[name] == value]
    (label,) = table.index
    return table.loc[label]


def test_composite_of_equal_estimates(by_hand):
    """k estimates with one SE s and correlation r: variance s^2 (1 + (k - 1) r) / k (Borenstein 2009, eq. 24.6)."""
    for r in (0.0, 0.5, 1.0):
        design, te, se = robustness.composite_estimates(by_hand, r)
        counts = np.bincount(by_hand.study[0], minlength=13)
        at = by_hand.evidence.studies["comparison"].to_numpy()
        base = np.array([0.30, 0.25, 0.20])[at]
        np.testing.assert_allclose(se[0], base * np.sqrt((1 + (counts - 1) * r) / counts))
        assert design["study"].tolist() == by_hand.evidence.studies["study"].tolist() and te.shape == (2, 13)
    with pytest.raises(ValueError, match="correlation=1.5"):
        robustness.composite_estimates(by_hand, 1.5)


def test_grouping_widens_intervals_when_estimates_are_correlated(by_hand):
    """Without heterogeneity, correlation 0 changes nothing and correlation 1 widens by up to sqrt(k)."""
    table = robustness.unit_of_analysis(by_hand, robustness.refits_by_unit(by_hand))
    alone = row_of(table, setting="each estimate by itself", treat2="conservative")
    zero = row_of(table, setting="one a study, correlation 0", treat2="conservative")
    one = row_of(table, setting="one a study, correlation 1", treat2="conservative")
    k = by_hand.evidence.edges.set_index("treat2").loc["conservative", "estimates"]
    assert zero["se_median"] == pytest.approx(alone["se_median"])
    assert one["se_median"] == pytest.approx(alone["se_median"] * np.sqrt(k))
    se = one["se_median"]
    assert one["lower_median"] == pytest.approx(0.1 - norm.ppf(0.975) * se)
    assert one["p_median"] == pytest.approx(2 * norm.sf(0.1 / se))


def test_unit_of_analysis_matches_the_print_when_estimates_stand_alone(small):
    refits = robustness.refits_by_unit(small)
    table = robustness.unit_of_analysis(small, refits)
    row = row_of(table, setting="each estimate by itself", treat2="placebo/sham")
    assert 0.355 <= row["te_low"] <= row["te_high"] <= 0.365 and row["significant"] == 1.0
    row = row_of(table, setting="each estimate by itself", treat2="conservative")
    assert row["significant"] == 0.0
    ranks = robustness.ranking_by_unit(small, refits)
    first = row_of(ranks, setting="each estimate by itself", treatment=HUB)
    assert first["rank_1"] == 1.0 and 0.974 < first["low"] <= first["high"] < 0.976
    assert ranks.groupby("setting")[["rank_1", "rank_2", "rank_3", "rank_4"]].sum().to_numpy() == pytest.approx(1.0)


def test_correlated_refits_are_the_engines_and_those_of_composites_without_heterogeneity(by_hand, small):
    fit = robustness.refit_correlated(small, 0.5)
    for member in range(0, len(small), 4):
        own = fit_network(small.contrasts(member), tau2="ML", correlation=0.5)
        np.testing.assert_allclose(fit["te"][member], own.te.to_numpy(), rtol=1e-12)
        assert fit["tau2"][member] == pytest.approx(own.tau2, rel=1e-12)
    table = robustness.unit_of_analysis(by_hand, robustness.refits_by_unit(by_hand))
    for edge in by_hand.evidence.edges.itertuples():
        one, every = (row_of(table[table["treat2"] == edge.treat2], setting=f"{model}, correlation 0.5") for model in ("one a study", "all estimates"))
        assert every["se_median"] == pytest.approx(one["se_median"])


def test_the_two_models_of_dependence_move_tau2_in_opposite_directions(small):
    table = robustness.unit_of_analysis(small, robustness.refits_by_unit(small))
    tau2 = table[table["treat2"] == "placebo/sham"].set_index("setting")["tau2_median"]
    assert tau2["one a study, correlation 0.25"] > tau2["one a study, correlation 0.75"]
    assert tau2["all estimates, correlation 0.25"] < tau2["all estimates, correlation 0.75"]


def test_members_refitted_one_by_one_come_from_every_combination():
    ensemble = load_ensemble()
    taken = robustness.one_by_one(ensemble)
    assert len(taken) == robustness.REFITTED_ONE_BY_ONE
    labels = assumption_labels(ensemble.members)
    share, whole = labels.iloc[taken].value_counts(normalize=True), labels.value_counts(normalize=True)
    assert (share.reindex(whole.index, fill_value=0) - whole).abs().max() < 0.01
    assert 1.96 * np.sqrt(0.25 / len(taken)) < 0.07  # what the comment at the constant says


def test_cluster_robust_is_the_engines_and_absent_for_one_study(by_hand, small):
    table = robustness.cluster_robust_contrasts(by_hand).set_index(by_hand.evidence.edges["treat2"])
    assert table.loc["placebo/sham", "se_median"] == pytest.approx(0.0, abs=1e-12)
    assert np.isnan(table.loc["conservative", "se_median"]) and table.loc["conservative", "studies"] == 1
    fits = [cluster_robust(fit_network(small.contrasts(b), tau2=small.tau2[b], correlation=0.0)) for b in range(len(small))]
    table = robustness.cluster_robust_contrasts(small).set_index(small.evidence.edges["treat2"])
    for name in ("se", "df", "lower", "upper"):
        values = [getattr(fit, name).loc[HUB, "placebo/sham"] for fit in fits]
        assert table.loc["placebo/sham", f"{name}_median"] == pytest.approx(np.median(values))
    inside = [fit.lower.loc[HUB, "placebo/sham"] > 0 for fit in fits]
    assert table.loc["placebo/sham", "significant"] == pytest.approx(np.mean(inside))


def test_prediction_intervals_follow_the_formula(by_hand, small):
    table = robustness.prediction_intervals(by_hand).set_index(by_hand.evidence.edges["treat2"])
    # tau2 = 0, so the interval is the t interval with 21 degrees of freedom
    se = 0.30 / np.sqrt(19) if by_hand.evidence.edges["treat2"].iloc[0] == "placebo/sham" else None
    if se is None:
        k = list(by_hand.evidence.edges["treat2"]).index("placebo/sham")
        se = np.array([0.30, 0.25, 0.20])[k] / np.sqrt(19)
    assert table.loc["placebo/sham", "lower_median"] == pytest.approx(0.4 - t.ppf(0.975, 21) * se)
    row = robustness.prediction_intervals(small).set_index(small.evidence.edges["treat2"]).loc["placebo/sham"]
    assert row["lower_median"] < 0 < row["upper_median"] and row["excludes_zero"] == 0.0
    assert 0.5 < row["favours_first"] < 1


def test_leave_one_study_out_is_the_refit_without_it(small):
    table = robustness.leave_one_study_out(small).set_index("study")
    assert not table.loc["eldabe2019", "estimable"] and table["estimable"].sum() == 12
    study = "kumar2007"
    te = []
    for b in range(len(small)):
        contrasts = small.contrasts(b)
        kept = contrasts[contrasts["study"] != study].assign(study=lambda d: [f"e{k}" for k in range(len(d))])
        fit = fit_network(kept, tau2="ML")
        te.append(fit.te.loc[HUB, "conservative + minimally invasive"])
    assert table.loc[study, "te_median"] == pytest.approx(np.median(te), abs=2e-3)


def test_selection_bounds_invert_copas_and_jackson(by_hand):
    table = robustness.selection_bounds(by_hand).set_index(by_hand.evidence.edges["treat2"])
    columns = by_hand.evidence.estimates == list(by_hand.evidence.edges["treat2"]).index("placebo/sham")
    se = by_hand.se[0][columns]
    assert table.loc["placebo/sham", "estimate_median"] == pytest.approx(published_fraction_at_bias(0.4, se, 0.0))
    assert table.loc["placebo/sham", "limit_median"] > table.loc["placebo/sham", "estimate_median"]
    assert np.isnan(table.loc["conservative", "limit_median"])  # the interval includes zero


def test_next_trial_by_simulation(by_hand):
    """Share of significant pooled results over 200,000 simulated new trials."""
    row = row_of(robustness.next_trial(by_hand, sizes=(100,)), treat2="conservative")
    k = list(by_hand.evidence.edges["treat2"]).index("conservative")
    se = np.array([0.30, 0.25, 0.20])[k] / np.sqrt(2)
    v = 4 / 100 + 0.1**2 / 200
    rng = np.random.default_rng(1)
    new = rng.normal(0.1, np.sqrt(se**2 + v), 200_000)
    w_old, w_new = 1 / se**2, 1 / v
    pooled = (w_old * 0.1 + w_new * new) / (w_old + w_new)
    share = (np.abs(pooled) * np.sqrt(w_old + w_new) > norm.ppf(0.975)).mean()
    assert row["se_then"] == pytest.approx(1 / np.sqrt(w_old + w_new))
    assert row["significant_then"] == pytest.approx(share, abs=0.005)
    assert row["changes"] == pytest.approx(row["significant_then"])
    with pytest.raises(ValueError, match="sizes: 2"):
        robustness.next_trial(by_hand, sizes=(2,))


def test_conclusions_table(small):
    """Rows: three contrasts of the article and the first two ranks; shares and sizes as the evidence says."""
    scale = robustness.clinical_scale(load_table("clinical_scale"))
    table = robustness.robustness_of_conclusions(small, scale)
    assert len(table) == 5 and table["verdict"].notna().all()
    placebo = row_of(table, treat2="placebo/sham")
    assert placebo["holds_as_printed"] == 1.0 and placebo["studies"] == 10 and placebo["estimates"] == 19
    assert placebo["holds_worst"] <= min(placebo["holds_grouped"], placebo["holds_correlated"]) <= 1
    assert placebo["holds_grouped_low"] == placebo["holds_grouped"] == placebo["holds_grouped_high"], "one combination only"
    assert placebo["points"] == pytest.approx(scale.sd * placebo["te"])
    conservative = row_of(table, treat2="conservative")
    assert conservative["conclusion"].startswith("no difference shown") and conservative["studies"] == 1
    ranked = table[table["conclusion"].str.contains("ranked")]
    assert ranked["conclusion"].tolist() == [f"{HUB} ranked first", "conservative ranked second"]
    assert not ranked["verdict"].str.contains("new study").any(), "a rank has no prediction interval"
    wide = robustness.robustness_of_conclusions(small, robustness.ClinicalScale(sd=20.0, important=1.0))
    assert row_of(wide, treat2="placebo/sham")["important"].startswith("above")


def test_lower_limits_are_quantiles_of_the_same_refits(small):
    """The figure's medians are those of the table of settings."""
    refits = robustness.refits_by_unit(small)
    limits = robustness.lower_limits_by_unit(small, refits).set_index("label")
    unit = robustness.unit_of_analysis(small, refits)
    for row in unit.itertuples():
        assert limits.at[f"{row.treat2}: {row.setting}", "q50"] == pytest.approx(row.lower_median)
    assert (limits.diff(axis=1).iloc[:, 1:] >= 0).all().all()


def test_conclusions_mirror_where_lower_is_desirable(small):
    """Every estimate negated and the direction turned: the same shares, the same points in favour."""
    scale = robustness.clinical_scale(load_table("clinical_scale"))
    evidence = replace(small.evidence, desirable="lower")
    mirrored = replace(small, evidence=evidence, te=-small.te)
    table, other = (robustness.robustness_of_conclusions(e, scale) for e in (small, mirrored))
    columns = ["conclusion", "holds_as_printed", "holds_grouped", "holds_correlated", "holds_worst", "important", "verdict"]
    pd.testing.assert_frame_equal(table[columns], other[columns])
    np.testing.assert_allclose(table["points"], other["points"])


def test_the_two_centres_of_a_contrast_are_told_apart():
    """A median over the ensemble that rounds apart from the recovered network is said with both values."""
    published = published_network(load_table("nma_published"), desirable="higher")
    recovered = published.fit.te.at["neuromodulation", "conservative"]
    rows = pd.DataFrame({"treat1": "neuromodulation", "treat2": "conservative", "te": [recovered + 0.01, np.nan]})
    note = centres_note(rows, published)
    assert f"{number(recovered + 0.01, 4)} here and {number(recovered, 4)} there for neuromodulation against conservative" in note
    assert "Both agree to two decimals." in centres_note(rows.assign(te=recovered), published)
