"""Trial-level sets behind printed aggregates: derivatives, allocations, tau2 routes.

Checked against central differences, against the engine, and against arithmetic shown in each test.
"""

import numpy as np
import pandas as pd
import pytest

from psps_paper.ensemble import Assumptions, published_evidence, tau2_routes
from psps_paper.ensemble.constraints import Constraints
from psps_paper.ensemble.model import TE_LIMIT, TrialModel, draw_allocation, draw_model, move_estimates
from psps_paper.network import fit_networks
from psps_paper.pairwise import egger_test


@pytest.fixture(scope="module")
def evidence():
    return published_evidence()


def drawn(evidence, assumptions, size, seed=0):
    a, b = assumptions.coefficients(evidence.studies["crossover"].to_numpy())
    conventions = np.broadcast_to(np.array([a, b]), (size, 2, len(a)))
    model, z = draw_model(evidence, conventions, assumptions.tau2, size, np.random.default_rng(seed))
    return model, model.clip(z)


def test_evidence_is_the_articles(evidence):
    """Results, Network meta-analysis: 13 studies; 19, 4 and 2 estimates from 10, 2 and 1 of them."""
    per_comparison = dict(zip(evidence.edges["treat2"], evidence.studies.groupby("comparison").size(), strict=True))
    assert per_comparison == {"placebo/sham": 10, "conservative + minimally invasive": 2, "conservative": 1}
    assert sorted(evidence.edges["estimates"]) == [2, 4, 19]
    assert evidence.df == 22
    # Q = df / (1 - I2)
    assert 22 / (1 - 0.7745) - 0.01 <= evidence.q_range[0] < evidence.q_range[1] <= 22 / (1 - 0.7755)


@pytest.mark.parametrize("method", ["DL", "REML", "ML", "common"])
def test_jacobian_matches_central_differences(evidence, method):
    model, z = drawn(evidence, Assumptions("paired", 0.5, method), 3)
    z = 0.7 * z
    if method in ("REML", "ML"):
        z[:, -1] = np.log(0.07)
    value, jac = model.aggregates(z)
    c = len(evidence.edges)
    columns = slice(0, 3 * c)  # Egger's t and the score are scaled by numbers held fixed
    for k in range(model.latent):
        step = np.zeros_like(z)
        step[:, k] = 1e-6
        slope = (model.aggregates(z + step)[0] - model.aggregates(z - step)[0]) / 2e-6
        np.testing.assert_allclose(jac[:, columns, k], slope[:, columns], atol=2e-5 * (1 + np.abs(value[:, columns])).max())


@pytest.mark.parametrize("method", ["DL", "common"])
def test_aggregates_are_the_engines(evidence, method):
    model, z = drawn(evidence, Assumptions("independent groups", 0.0, method), 5)
    value, _ = model.aggregates(z)
    te, v, _ = model.trials(z)
    pairs = evidence.edges.iloc[evidence.estimates]
    design = pd.DataFrame(
        {"study": [f"s{k}" for k in range(len(pairs))], "treat1": pairs["treat1"].to_numpy(), "treat2": pairs["treat2"].to_numpy()}
    )
    fit = fit_networks(design, te, np.sqrt(v), tau2=0.0 if method == "common" else "DL")
    order = list(fit.treatments)
    c = len(evidence.edges)
    for k, edge in enumerate(evidence.edges.itertuples()):
        i, j = order.index(edge.treat1), order.index(edge.treat2)
        np.testing.assert_allclose(value[:, k], fit.te[:, i, j], atol=1e-10)
        np.testing.assert_allclose(np.exp(value[:, c + k]), fit.se[:, i, j], rtol=1e-10)
    np.testing.assert_allclose(value[:, 2 * c : 3 * c].sum(axis=1), fit.q, rtol=1e-10)
    np.testing.assert_allclose(model.tau2(z), fit.tau2, atol=1e-12)
    # Egger's t on estimates centred at their comparison's pooled value (Chaimani & Salanti 2012)
    centred = te[0] - value[0, :c][evidence.estimates]
    assert value[0, 3 * c] == pytest.approx(egger_test(centred, np.sqrt(v[0])).t, rel=1e-8)


def test_variance_conventions():
    """Crossover trial of 20 patients, d = 0.4: formulas of Elbourne 2002 and Hedges 1981 by hand."""
    crossover = np.array([True, False])
    expected = {
        ("independent groups", 0.0): 2 / 20 + 0.4**2 / 80,
        ("change score", 0.0): 1 / 20 + 0.4**2 / 40,
        ("paired", 0.8): 2 * 0.2 * (1 / 20 + 0.4**2 / 40),
    }
    for (convention, r), variance in expected.items():
        a, b = Assumptions(convention, r, "DL").coefficients(crossover)
        assert (a[0] + b[0] * 0.4**2) / 20 == pytest.approx(variance)
        assert (a[1] + b[1] * 0.4**2) / 20 == pytest.approx(4 / 20 + 0.4**2 / 40)


def test_allocations_keep_printed_totals(evidence):
    rng = np.random.default_rng(3)
    study = np.array([draw_allocation(evidence, rng) for _ in range(200)])
    moved = move_estimates(evidence, study, rng)
    comparison = evidence.studies["comparison"].to_numpy()
    most = evidence.studies["most_estimates"].to_numpy()
    for block in (study, moved):
        assert (comparison[block] == evidence.estimates).all()
        counts = np.apply_along_axis(np.bincount, 1, block, minlength=len(most))
        assert (counts >= 1).all() and (counts <= most).all()
    assert ((study != moved).sum(axis=1) == 1).all()


def test_estimates_stay_within_the_stated_limit(evidence):
    model, z = drawn(evidence, Assumptions("paired", 0.5, "DL"), 50)
    te, v, n = model.trials(model.clip(40 * z))
    assert np.abs(te).max() <= TE_LIMIT + 1e-9 and (v > 0).all()
    assert (n >= evidence.studies["n_low"].to_numpy() - 1e-9).all() and (n <= evidence.studies["n_high"].to_numpy() + 1e-9).all()


def test_tau2_routes_agree_only_for_strongly_correlated_periods(evidence):
    """Both sparse comparisons leave about 0.07; I2 asks for more unless crossover SEs are very small."""
    table = tau2_routes(evidence)
    first = table[table["route"] == "pooled SE and sample sizes"]
    assert len(first) == 2
    low, high = first["low"].max(), first["high"].min()
    assert 0.05 < low < high < 0.08
    second = table[table["route"] == "I2 and sample sizes"].set_index(["convention", table["correlation"].fillna(0).loc[table["route"] == "I2 and sample sizes"]])
    assert second.loc[("independent groups", 0.0), "low"] > high
    assert second.loc[("change score", 0.0), "low"] > high
    assert second.loc[("paired", 0.9), "low"] < high
    # the pooled SE follows back from tau2 and the sizes: conservative comparison, two estimates of one study
    size = evidence.studies.set_index("ref").loc[49, "n_high"]
    te = 0.3356
    v = 4 / size + te**2 / (2 * size)
    assert np.sqrt((v + first["high"].max()) / 2) == pytest.approx(0.2336, abs=0.001)


def test_constraints_are_zero_inside(evidence):
    constraints = Constraints(evidence, "ML")
    middle = np.where(np.isfinite(constraints.high + constraints.low), (constraints.low + constraints.high) / 2, np.maximum(constraints.low, 0) + 1)
    middle = np.where(np.isfinite(constraints.low), middle, constraints.high - 1)
    assert not constraints.excess(middle[None]).any()
    beyond = np.where(np.isfinite(constraints.high), constraints.high + constraints.half, middle)
    assert constraints.excess(beyond[None])[0, 0] == pytest.approx(1.0)


def test_model_subset_is_the_same_members(evidence):
    model, z = drawn(evidence, Assumptions("paired", 0.5, "DL"), 6)
    rows = np.array([4, 1])
    for whole, part in zip(model.trials(z), model.subset(rows).trials(z[rows]), strict=True):
        np.testing.assert_array_equal(whole[rows], part)
    assert isinstance(model.reallocated(model.study), TrialModel)
