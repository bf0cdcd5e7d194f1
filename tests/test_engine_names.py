"""Public names of the rooms, names of treatments in its tables, and what cannot be estimated."""

import importlib

import numpy as np
import pandas as pd
import pytest

from psps_paper import network
from psps_paper.network import (
    contribution_matrix,
    decompose_q,
    fit_network,
    hat_matrix,
    heterogeneity_table,
    league_table,
    net_heat,
    subnetworks,
)

PUBLIC = {
    "network": (
        "fit_network fit_networks subnetworks p_scores rank_probabilities decompose_q split_evidence "
        "contribution_matrix network_from_pooled heterogeneity_table league_table hat_matrix comparison_adjusted_funnel"
    ),
    "effects": "smd log_odds_ratio smd_from_p smd_from_log_or mean_sd_from_quantiles effect_sizes",
    "pairwise": (
        "meta_analysis egger_test three_level meta_regression subgroup_analysis mantel_haenszel peto "
        "binomial_normal trim_and_fill pet_peese selection_model rank_test limit_meta_analysis"
    ),
    "bayes": (
        "fit_bayes half_normal half_cauchy uniform exponential inverse_gamma log_normal log_t turner_prior rhodes_prior"
    ),
    "claims": "load_claims check_claims",
    "recover": "recover_contrasts df_from_i2_interval",
    "tables": "load_table validate_table",
    "audit": "audit",
}


@pytest.mark.parametrize("room, names", PUBLIC.items())
def test_public_names_are_importable_from_their_room(room, names):
    module = importlib.import_module(f"psps_paper.{room}")
    assert set(names.split()) <= set(module.__all__)


def test_the_former_name_of_subnetworks_warns():
    rows = pd.DataFrame([("s", "A", "B", 0.1, 1.0)], columns=["study", "treat1", "treat2", "te", "se"])
    with pytest.warns(DeprecationWarning, match="components is now called subnetworks"):
        assert network.components(rows) == subnetworks(rows) == [{"A", "B"}]


COLON = pd.DataFrame(  # cases/19-colon-in-names
    [
        ("s0", "A", "B:C", 0.41, 0.2),
        ("s1", "A:B", "C", -0.51, 0.2),
        ("s2", "A", "C", 0.08, 0.2),
        ("s3", "B:C", "C", -0.11, 0.2),
        ("s4", "A", "A:B", -0.09, 0.2),
    ],
    columns=["study", "treat1", "treat2", "te", "se"],
)


@pytest.mark.parametrize(
    "treatments", [["A", "A:B", "B:C", "C"], ["a|b:c~d;e", ":", "||", "→"], [" vs ", "x", "y\tz", "\\"]]
)
def test_names_of_comparisons_differ_whatever_the_treatments_are_called(treatments):
    plain = ["A", "A:B", "B:C", "C"]
    rows = COLON.replace(dict(zip(plain, treatments, strict=True)))
    fit, reference = fit_network(rows), fit_network(COLON.replace(dict(zip(plain, "PQRS", strict=True))))
    for table in (hat_matrix(fit), contribution_matrix(fit)):
        assert table.shape == (6, 5) and table.index.is_unique and table.columns.is_unique
    assert contribution_matrix(fit).sum(axis=1).to_numpy() == pytest.approx(np.ones(6))
    assert sorted(np.abs(hat_matrix(fit).to_numpy()).ravel()) == pytest.approx(
        sorted(np.abs(hat_matrix(reference).to_numpy()).ravel())
    )
    assert decompose_q(fit).designs["design"].is_unique and net_heat(fit).index.is_unique


def test_comparisons_are_joined_by_a_colon_where_no_name_has_one():
    fit = fit_network(COLON.replace({"A:B": "B", "B:C": "D"}))
    assert list(hat_matrix(fit).index) == ["A:B", "A:C", "A:D", "B:C", "B:D", "C:D"]


def test_what_no_degree_of_freedom_can_tell():
    """cases/21-no-degrees-of-freedom."""
    star = pd.DataFrame(
        [("a", "A", "P", 0.40, 0.15), ("b", "B", "P", 0.2, 0.1), ("c", "C", "P", 0.1, 0.2)],
        columns=["study", "treat1", "treat2", "te", "se"],
    )
    fit = fit_network(star)
    shown = heterogeneity_table(fit).iloc[0]
    assert shown["tau2"] == shown["p"] == shown["I2"] == "not known"
    assert shown["95 % CI of I2"] == "not known"
    assert heterogeneity_table(fit_network(star, tau2=0.04)).at[0, "tau2"] == "0.040"
    assert league_table(fit).at["A", "P"] == "0.40 (0.11 to 0.69)"
    assert league_table(fit, limits="prediction").at["A", "P"] == "0.40 (no interval)"
