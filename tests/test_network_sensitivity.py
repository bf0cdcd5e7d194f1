"""Leave-one-study-out, funnel data, league tables, net heat, and what pooled networks cannot do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from psps_paper.network import fit_network
from psps_paper.network.contribution import contribution_matrix
from psps_paper.network.inconsistency import decompose_q, net_heat, split_evidence
from psps_paper.network.ranking import mean_ranks, p_scores, rank_probabilities, sucra
from psps_paper.network.robust import cluster_robust
from psps_paper.network.sensitivity import comparison_adjusted_funnel, leave_one_study_out
from psps_paper.network.summary import league_table, network_from_pooled

COLUMNS = ["study", "treat1", "treat2", "te", "se"]
ROWS = [
    ("s1", "A", "B", 0.3, 0.2),
    ("s2", "B", "A", -0.8, 0.3),
    ("s3", "B", "C", 0.4, 0.25),
    ("s4", "A", "C", 0.2, 0.25),
    ("s5", "C", "D", 0.5, 0.3),
]


@pytest.fixture
def contrasts() -> pd.DataFrame:
    return pd.DataFrame(ROWS, columns=COLUMNS)


@pytest.fixture
def pooled():
    rows = [("N", "P", 0.3, 0.1), ("N", "C", 0.2, 0.05), ("D", "N", 0.1, 0.05)]
    return network_from_pooled(pd.DataFrame(rows, columns=["treat1", "treat2", "te", "se"]))


def test_leave_one_out_refits(contrasts):
    table = leave_one_study_out(fit_network(contrasts)).set_index(["left_out", "treat1", "treat2"])
    assert len(table) == 5 * 6
    rest = fit_network(contrasts[contrasts["study"] != "s2"])
    row = table.loc[("s2", "A", "C")]
    assert (row["te"], row["upper"]) == (rest.te.at["A", "C"], rest.upper.at["A", "C"])
    assert (row["tau2"], row["q"], row["note"]) == (rest.tau2, rest.q, "")


def test_leave_one_out_says_what_is_lost(contrasts):
    table = leave_one_study_out(fit_network(contrasts)).set_index(["left_out", "treat1", "treat2"])
    assert table.loc[("s5", "A", "D"), "note"] == "not compared: D"
    assert np.isnan(table.loc[("s5", "A", "D"), "te"]) and table.loc[("s5", "A", "B"), "te"] > 0
    middle = pd.DataFrame(
        [("s1", "A", "B", 0.3, 0.2), ("s2", "B", "C", 0.3, 0.2), ("s3", "C", "D", 0.3, 0.2)],
        columns=COLUMNS,
    )
    table = leave_one_study_out(fit_network(middle)).set_index("left_out")
    assert set(table.loc["s2", "note"]) == {"network falls apart: ['A', 'B']; ['C', 'D']"}
    assert table.loc["s2", "te"].isna().all()
    alone = leave_one_study_out(fit_network(middle.iloc[:1]))
    assert alone["note"].tolist() == ["no study left"]


def test_leave_one_out_keeps_method_and_correlation():
    rows = pd.DataFrame([*ROWS, ("s1", "A", "B", 0.9, 0.2), ("s6", "A", "B", -0.5, 0.1)], columns=COLUMNS)
    table = leave_one_study_out(fit_network(rows, "REML", 0.9, 0.5)).set_index("left_out")
    rest = fit_network(rows[rows["study"] != "s6"], "REML", 0.9, 0.5)
    assert table.loc["s6", "tau2"].iloc[0] == rest.tau2 > 0
    assert table.loc["s6", "lower"].iloc[0] == rest.lower.at["A", "B"]


def test_funnel_turns_and_centres(contrasts):
    fit = fit_network(contrasts)
    funnel = comparison_adjusted_funnel(fit, ["D", "C", "B", "A"]).set_index("study")
    assert funnel.loc["s1", ["treat1", "treat2", "te"]].tolist() == ["B", "A", -0.3]
    assert funnel.loc["s2", ["treat1", "treat2", "te"]].tolist() == ["B", "A", -0.8]
    w = 1 / (np.array([0.2, 0.3]) ** 2 + fit.tau2)
    centre = (w @ [-0.3, -0.8]) / w.sum()
    assert funnel.loc["s1", "centre"] == pytest.approx(centre)
    assert funnel.loc["s2", "te_adjusted"] == pytest.approx(-0.8 - centre)
    # A comparison with one study has nothing to deviate from.
    assert funnel.loc["s5", "te_adjusted"] == pytest.approx(0)
    with pytest.raises(ValueError, match="each of"):
        comparison_adjusted_funnel(fit, ["A", "B"])


def test_funnel_of_several_estimates(contrasts):
    rows = pd.concat([contrasts, pd.DataFrame([("s1", "A", "B", 0.5, 0.2)], columns=COLUMNS)])
    fit = fit_network(rows, correlation=0.5)
    assert len(comparison_adjusted_funnel(fit, ["A", "B", "C", "D"])) == len(rows)


def test_league_table_states_its_orientation(pooled):
    table = league_table(pooled, order=["D", "N", "C", "P"], outcome="pain")
    # te 0.3, se 0.1: 0.3 - 1.96 * 0.1 and 0.3 + 1.96 * 0.1.
    assert table.at["N", "P"] == "0.30 (0.10 to 0.50)"
    assert table.at["P", "N"] == "-0.30 (-0.50 to -0.10)"
    assert table.at["N", "N"] == ""
    assert table.index.name == "row minus column"
    assert "in pain of the treatment of its row minus that of its column" in table.attrs["orientation"]
    assert "95%" in table.attrs["orientation"]
    assert league_table(pooled, number="{:.1f}".format).at["N", "P"] == "0.3 (0.1 to 0.5)"


def test_pooled_network_adds_along_paths(pooled):
    # Bucher et al. 1997: differences add, and so do variances.
    assert pooled.te.at["D", "P"] == pytest.approx(0.4)
    assert pooled.se.at["D", "P"] == pytest.approx(np.hypot(0.05, 0.1))
    assert np.isnan(pooled.q) and pooled.predict_lower.isna().to_numpy().sum() == 12


def test_prediction_limits_of_a_pooled_network():
    rows = pd.DataFrame([("N", "P", 0.3, 0.1)], columns=["treat1", "treat2", "te", "se"])
    fit = network_from_pooled(rows, tau2=0.04, df_predict=10)
    # t(10) at 0.975 is 2.228139 in every table.
    assert fit.predict_upper.at["N", "P"] == pytest.approx(0.3 + 2.228139 * np.sqrt(0.05), abs=1e-6)


@pytest.mark.parametrize(
    "function",
    [decompose_q, split_evidence, net_heat, contribution_matrix, cluster_robust, leave_one_study_out],
)
def test_pooled_network_has_no_studies(pooled, function):
    with pytest.raises(ValueError, match="has no studies"):
        function(pooled)


def test_ranks_of_certain_effects():
    # 20 standard errors apart: the order is certain, and known.
    rows = [("A", "B", 2.0, 0.1), ("B", "C", 2.0, 0.1)]
    fit = network_from_pooled(pd.DataFrame(rows, columns=["treat1", "treat2", "te", "se"]))
    table = rank_probabilities(fit, desirable="higher", draws=1000)
    np.testing.assert_array_equal(table, np.eye(3))
    assert mean_ranks(table).tolist() == [1, 2, 3]
    assert sucra(table).tolist() == [1, 0.5, 0]
    assert sucra(rank_probabilities(fit, desirable="lower", draws=1000)).tolist() == [0, 0.5, 1]
    assert p_scores(fit, desirable="higher").tolist() == pytest.approx([1, 0.5, 0])


def test_ranks_of_two_treatments_have_a_closed_form():
    # Probability of being the best: Phi(te / se), here Phi(0.5).
    rows = pd.DataFrame([("A", "B", 0.1, 0.2)], columns=["treat1", "treat2", "te", "se"])
    table = rank_probabilities(network_from_pooled(rows), desirable="higher", draws=400_000)
    assert table.at["A", 1] == pytest.approx(0.6914624612740131, abs=5 * table.attrs["max_standard_error"])


def test_rank_draws_use_the_covariance():
    # A and B lie far above z but rest on the same noisy link to it: given their common error they
    # differ by 0.1 with se 0.14, though each of them differs from z by 9 with se 2.
    rows = [("A", "hub", 0.1, 0.1), ("B", "hub", 0.0, 0.1), ("hub", "z", 9.0, 2.0)]
    fit = network_from_pooled(pd.DataFrame(rows, columns=["treat1", "treat2", "te", "se"]))
    table = rank_probabilities(fit, desirable="higher", draws=200_000)
    assert table.at["z", 4] == pytest.approx(1, abs=1e-4)
    # Mean rank of A: 1 + P(B > A) + P(hub > A) + P(z > A), by Phi of independent links.
    expected = 1 + 0.23975006109347669 + 0.15865525393145707
    assert mean_ranks(table)["A"] == pytest.approx(expected, abs=0.01)


def test_net_heat_of_a_tree_is_empty():
    rows = pd.DataFrame([ROWS[0], ROWS[2], ROWS[4]], columns=COLUMNS)
    assert net_heat(fit_network(rows)).shape == (0, 0)
    with pytest.raises(ValueError, match="no design has two studies"):
        net_heat(fit_network(rows), random=True)


def test_unknown_contribution_method(contrasts):
    with pytest.raises(ValueError, match="shortest_path, random_walk"):
        contribution_matrix(fit_network(contrasts), "pseudopath")
