"""Impact of studies, SIDDE, measures of evidence, league with direct evidence, partial order and precision of
ranking."""

import numpy as np
import pandas as pd
import pytest

from psps_paper.network import (
    evidence_measures,
    fit_network,
    league_table,
    league_with_direct,
    mean_ranks,
    net_impact,
    network_from_pooled,
    p_scores,
    partial_order,
    poth,
    rank_probabilities,
    split_evidence,
)

COLUMNS = ["study", "treat1", "treat2", "te", "se"]
PAIRS = ["AB", "AB", "BC", "AC", "CD", "AD", "BD", "DE"]


def table() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    rows = [(f"s{k}", a, b, rng.normal(), rng.uniform(0.2, 0.5)) for k, (a, b) in enumerate(PAIRS)]
    mean, variance = {"A": 0.6, "B": 0.1, "C": 0.2}, {"A": 0.02, "B": 0.03, "C": 0.05}
    rows += [("three", a, b, mean[a] - mean[b], np.sqrt(variance[a] + variance[b])) for a, b in ("AB", "AC", "BC")]
    return pd.DataFrame(rows, columns=COLUMNS)


FIT = fit_network(table())


# --- impact ----------------------------------------------------------------------------------------------------------


def test_impact_is_what_a_refit_without_the_study_loses():
    impact = net_impact(FIT)
    for study in impact.index:
        rest = table()[table()["study"] != study]
        if study == "s7":  # the only study of E
            assert (impact.loc[study, ["A:E", "B:E", "C:E", "D:E"]] == 1).all()
            assert impact.at[study, "A:B"] == pytest.approx(0, abs=1e-12)
            continue
        refit = fit_network(rest, FIT.tau2)
        for name in impact.columns:
            a, b = name.split(":")
            assert impact.at[study, name] == pytest.approx(1 - (FIT.se.at[a, b] / refit.se.at[a, b]) ** 2, abs=1e-10)


def test_one_study_has_all_the_impact():
    fit = fit_network(table().query("study == 'three'"))
    assert (net_impact(fit) == 1).all(axis=None) and net_impact(fit).shape == (1, 3)


def test_impact_does_not_depend_on_the_unit():
    scaled = fit_network(table().assign(te=lambda t: 1e6 * t["te"], se=lambda t: 1e6 * t["se"]))
    np.testing.assert_allclose(net_impact(scaled), net_impact(FIT), atol=1e-9)


# --- direct and indirect ---------------------------------------------------------------------------------------------


def test_without_multi_arm_studies_both_splits_agree_at_a_given_tau2():
    fit = fit_network(table().query("study != 'three'"), 0.1)
    back, other = split_evidence(fit), split_evidence(fit, "SIDDE")
    pd.testing.assert_frame_equal(back, other, rtol=1e-9)
    assert not split_evidence(FIT)["indirect_te"].equals(split_evidence(FIT, "SIDDE")["indirect_te"])


def test_sidde_takes_the_studies_that_do_not_compare_both():
    row = split_evidence(FIT, "SIDDE").set_index(["treat1", "treat2"]).loc[("A", "B")]
    rest = fit_network(table().query("study not in ['s0', 's1', 'three']"))
    assert (row["indirect_te"], row["indirect_se"]) == pytest.approx((rest.te.at["A", "B"], rest.se.at["A", "B"]))
    # D against E has direct evidence only, A against E indirect only
    bridge = split_evidence(FIT, "SIDDE").set_index(["treat1", "treat2"])
    assert np.isnan(bridge.at[("D", "E"), "indirect_te"]) and bridge.at[("A", "E"), "indirect_te"] == pytest.approx(
        FIT.te.at["A", "E"]
    )


def test_measures_of_a_tree_count_its_comparisons():
    rows = pd.DataFrame(
        [("1", "A", "B", 0.1, 0.2), ("2", "B", "C", 0.1, 0.3), ("3", "B", "C", 0.2, 0.3)], columns=COLUMNS
    )
    measures = evidence_measures(fit_network(rows, 0.0)).set_index(["treat1", "treat2"])
    assert measures["mean_path_length"].tolist() == pytest.approx([1, 2, 1])
    assert measures["minimal_parallelism"].tolist() == pytest.approx([1, 1, 1])
    assert measures.at[("B", "C"), "minimal_parallelism_studies"] == pytest.approx(2)


@pytest.mark.parametrize(
    "function", [net_impact, evidence_measures, league_with_direct, lambda fit: split_evidence(fit, "SIDDE")]
)
def test_pooled_networks_have_no_studies(function):
    pooled = network_from_pooled(pd.DataFrame([("A", "B", 0.1, 0.2)], columns=COLUMNS[1:]))
    with pytest.raises(ValueError, match="a network from pooled contrasts has no studies"):
        function(pooled)


def test_an_unknown_split_is_an_error():
    with pytest.raises(ValueError, match="method: 'SIDE' is not one of back-calculation, SIDDE"):
        split_evidence(FIT, "SIDE")


# --- league ----------------------------------------------------------------------------------------------------------


def test_both_triangles_are_the_first_minus_the_later():
    order = ["D", "B", "E", "A", "C"]
    league = league_with_direct(FIT, order)
    direct = split_evidence(FIT).set_index(["treat1", "treat2"])
    assert league.te.at["A", "D"] == pytest.approx(FIT.te.at["D", "A"])
    assert league.te.at["D", "A"] == pytest.approx(-direct.at[("A", "D"), "direct_te"])
    assert np.isnan(league.te.at["B", "E"]) and league.text().at["B", "E"] == "." and league.text().at["B", "B"] == "B"
    assert league.text().at["A", "D"] == league_table(FIT).at["D", "A"]
    row = league.to_frame().set_index(["treat1", "treat2"]).loc[("D", "A")]
    assert (row["te"], row["direct_te"]) == pytest.approx((FIT.te.at["D", "A"], league.te.at["D", "A"]))
    assert row["upper"] == pytest.approx(FIT.upper.at["D", "A"]) and "above it direct" in league.summary()
    with pytest.raises(ValueError, match="expected each of"):
        league_with_direct(FIT, ["A", "B"])


# --- order and precision ---------------------------------------------------------------------------------------------

SCORES = pd.DataFrame({"benefit": [0.9, 0.6, 0.2, 0.6], "safety": [0.7, 0.8, 0.1, 0.8]}, index=["A", "B", "P", "C"])


def test_an_order_holds_where_all_outcomes_agree():
    order = partial_order(SCORES)
    assert order.relation.loc["A"].tolist() == [False, False, True, False]
    assert order.relation.at["B", "C"] and order.relation.at["C", "B"]  # equal in both
    assert order.incomparable == [("A", "B"), ("A", "C")] and order.best == ["A", "B", "C"]
    assert order.to_frame().to_numpy().tolist() == [["A", "P"], ["B", "P"], ["C", "P"]]
    assert "A is better than P" in order.summary() and "Not comparable: A and B" in order.summary()


def test_one_outcome_is_a_chain():
    order = partial_order(SCORES[["benefit"]].drop(index="C"))
    assert order.to_frame().to_numpy().tolist() == [["A", "B"], ["B", "P"]] and order.incomparable == []
    assert order.relation.at["A", "P"] and not order.covering.at["A", "P"]


def test_the_precision_of_a_ranking():
    certain = pd.Series(np.linspace(0, 1, 7))
    assert poth(certain) == pytest.approx(1) and poth(certain * 0 + 0.5) == 0
    scores = p_scores(FIT, desirable="higher")
    assert poth(scores) == pytest.approx(poth(1 - scores)) == pytest.approx(poth(p_scores(FIT, desirable="lower")))
    # Variance of the mean ranks over that of the ranks 1 to n
    probabilities = rank_probabilities(FIT, desirable="higher", draws=200_000)
    n = len(scores)
    assert poth(scores) == pytest.approx(mean_ranks(probabilities).var(ddof=0) / ((n**2 - 1) / 12), abs=0.01)


@pytest.mark.parametrize(
    ("function", "value", "message"),
    [
        (partial_order, SCORES.assign(safety=[0.1, np.nan, 0.2, 0.3]), "scores: B, safety: nan is not a finite number"),
        (partial_order, SCORES.assign(safety=["x", "0.1", "1", "2"]), "scores: A, safety: x is not a finite number"),
        (partial_order, pd.concat([SCORES, SCORES.head(1)]), "scores: treatment 'A' appears twice"),
        (partial_order, SCORES.iloc[:0], "scores: 0 treatments and 2 outcomes"),
        (poth, pd.Series({"A": 1.2, "B": -0.2}), "scores: A: 1.2 is not a number between 0 and 1"),
        (poth, pd.Series({"A": 0.5}), "scores: 1 given; a ranking needs at least two treatments"),
        (poth, pd.Series({"A": 0.9, "B": 0.8}), "scores: their mean is 0.85"),
    ],
)
def test_errors_name_what_is_wrong(function, value, message):
    with pytest.raises(ValueError) as error:
        function(value)
    assert message in str(error.value)


def test_scores_that_are_no_table_are_an_error():
    with pytest.raises(TypeError, match="scores: Series given"):
        partial_order(SCORES["benefit"])
