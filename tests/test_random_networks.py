"""Random and hostile input to the functions of networks of issue N: a finite, right result or one sentence.

A call passes with a ValueError of one line, or with numbers that are finite (NaN where its docstring says so) and the
same answer when rows are turned and shuffled and the unit is changed.
"""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from psps_paper.network import (
    contribution_matrix,
    evidence_measures,
    fit_binary_network,
    fit_components,
    fit_network,
    league_with_direct,
    net_impact,
    network_meta_regression,
    p_scores,
    partial_order,
    poth,
    split_evidence,
)
from test_random_inputs import attempt

COLUMNS = ["study", "treat1", "treat2", "te", "se"]
KINDS = {"components": 6, "binary": 6, "regression": 5, "evidence": 3}
PARTS = np.array(["A", "B", "C", "D", "P", "A + B", "B + C", "A + P", "A + B + C", "D + C"], object)
TAU2 = np.array(["DL", "REML", "ML", 0.0, 0.3], object)


def contrasts(rng) -> pd.DataFrame:
    """Two- and three-arm studies of consistent arms; equal and huge standard errors, and estimates without any
    spread."""
    names, rows = rng.choice(PARTS, int(rng.integers(2, 7)), replace=False), []
    spread = rng.choice([0.0, 0.3, 3.0])
    for study in range(int(rng.integers(1, 9))):
        arms = rng.choice(names, min(len(names), int(rng.choice([2, 2, 2, 3]))), replace=False)
        mean, variance = rng.normal(0, spread, len(arms)), np.exp(rng.uniform(-5, rng.choice([-4, 2]), len(arms)))
        for i in range(len(arms)):
            rows += [
                (f"s{study}", arms[i], arms[j], mean[i] - mean[j], np.sqrt(variance[i] + variance[j])) for j in range(i)
            ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.assign(te=table["te"] * (scale := 10.0 ** rng.choice([0, 0, -4, 5])), se=table["se"] * scale)


def spoiled(rng, table: pd.DataFrame) -> pd.DataFrame:
    """One bad or missing value now and then."""
    if rng.random() > 0.15:
        return table
    row, column = rng.integers(len(table)), rng.integers(table.shape[1])
    bad = rng.choice(np.array([np.nan, np.inf, -1.0, 0.0, 1e200, "x", ""], object))
    return table.astype(object).mask(
        pd.DataFrame({c: (np.arange(len(table)) == row) & (k == column) for k, c in enumerate(table)}), bad
    )


def turned(rng, table: pd.DataFrame, factor: float) -> pd.DataFrame:
    other = table.rename(columns={"treat1": "treat2", "treat2": "treat1"}).assign(
        te=-factor * table["te"], se=factor * table["se"]
    )
    return other.sample(frac=1, random_state=int(rng.integers(1000)))


def one_component_fit(rng) -> bool:
    table, inactive = contrasts(rng), rng.choice(np.array([None, "P", "A"], object))
    tau2 = rng.choice(TAU2)
    rough = spoiled(rng, table)
    fit = attempt(lambda: fit_components(rough, inactive, tau2=tau2))
    if fit is None:
        return False
    known = fit.identified.to_numpy()
    assert (np.isfinite(fit.te).to_numpy() == known).all() and (np.isfinite(fit.se_common).to_numpy() == known).all()
    assert set(fit.components.index[fit.components["te"].isna()]) == set(fit.unidentified)
    assert fit.tau2 >= 0 and fit.q_additive >= 0 and fit.df_q_additive >= 0 and fit.summary()
    assert np.isnan(fit.q_difference) == (len(fit.subnetworks) > 1)
    if rough is table:
        again = fit_components(turned(rng, table, 4.0), inactive, tau2=16 * tau2 if isinstance(tau2, float) else tau2)
        size = np.nanmax(np.abs(fit.te)) + np.nanmax(fit.se)
        np.testing.assert_allclose(again.te, 4 * fit.te, atol=4e-5 * size)
        assert again.q_additive == pytest.approx(fit.q_additive, rel=1e-6, abs=1e-9)
    return True


def one_regression(rng) -> bool:
    table, tau2 = contrasts(rng), rng.choice(TAU2)
    covariate = pd.Series(
        {study: float(rng.choice([rng.normal(), 1.0, 2.0, 1e6])) for study in table["study"].unique()}
    )
    kind, reference = str(rng.choice(["common", "independent"])), table["treat1"][0]
    rough = spoiled(rng, table)
    fit = attempt(lambda: network_meta_regression(rough, covariate, reference, kind, tau2))
    if fit is None:
        return False
    assert np.isfinite(fit.coefficients).all(axis=None) and (fit.coefficients["se"] > 0).all() and fit.tau2 >= 0
    assert np.isfinite(fit.predict(0.0)[["te", "se"]]).all(axis=None) and fit.summary()
    assert fit.q_residual >= 0 and fit.q_interaction >= 0
    if rough is table:
        again = network_meta_regression(
            turned(rng, table, 4.0), covariate, reference, kind, 16 * tau2 if isinstance(tau2, float) else tau2
        )
        size = 4 * (np.abs(fit.coefficients["estimate"]) + fit.coefficients["se"])
        assert (np.abs(again.coefficients["estimate"] - 4 * fit.coefficients["estimate"]) <= 1e-4 * size).all()
    return True


def one_binary(rng) -> bool:
    rows = []
    for study in range(int(rng.integers(1, 7))):
        for name in rng.permutation(list("ABCDE"))[: rng.integers(2, 4)]:
            n = int(rng.integers(1, rng.choice([3, 15, 200])))
            rows.append((f"s{study}", name, int(rng.binomial(n, rng.choice([0, 0.05, 0.4, 0.95, 1.0]))), n))
    table = pd.DataFrame(rows, columns=["study", "treatment", "events", "n"])
    method = str(rng.choice(["MH", "NCH"]))
    continuity = "pooled" if method == "MH" and rng.random() < 0.4 else None
    rough = spoiled(rng, table)
    fit = attempt(lambda: fit_binary_network(rough, method, continuity))
    if fit is None:
        return False
    assert np.isfinite(fit.te_common).all(axis=None) and np.isfinite(fit.se_common).all(axis=None)
    assert len(fit.arms) + len(fit.excluded) == len(table) and fit.summary()
    if rough is table:
        again = fit_binary_network(
            table.sample(frac=1, random_state=3).assign(events=lambda t: t["n"] - t["events"]), method, continuity
        )
        np.testing.assert_allclose(again.te_common, -fit.te_common, rtol=1e-6, atol=1e-6)
    return True


def one_evidence(rng) -> bool:
    rough = spoiled(rng, contrasts(rng))
    fit = attempt(lambda: fit_network(rough, rng.choice(TAU2)))
    if fit is None:
        return False
    impact, measures = net_impact(fit).to_numpy(), evidence_measures(fit)
    assert ((impact >= 0) & (impact <= 1)).all()
    assert (measures["mean_path_length"] > 1 - 1e-6).all() and (measures["minimal_parallelism"] > 1 - 1e-6).all()
    assert (measures["minimal_parallelism_studies"] >= measures["minimal_parallelism"] - 1e-9).all()
    split = split_evidence(fit, "SIDDE")
    assert np.isfinite(split.loc[split["studies"] == 0, ["indirect_te", "indirect_se"]]).all(axis=None)
    walk = contribution_matrix(fit, "random_walk")
    np.testing.assert_allclose(walk.sum(axis=1), 1)
    assert league_with_direct(fit).summary()
    scores = p_scores(fit, desirable="higher")
    assert 0 <= poth(scores) <= 1 and partial_order(scores.to_frame()).summary()
    return True


CALLS = {"components": one_component_fit, "regression": one_regression, "binary": one_binary, "evidence": one_evidence}


def run(count: int, seed: int) -> Counter:
    rng = np.random.default_rng(seed)
    names = np.repeat(list(KINDS), list(KINDS.values()))
    tally: Counter = Counter()
    for number in range(count):
        kind = str(names[number % len(names)])
        state = rng.bit_generator.state["state"]["state"]
        try:
            tally[kind, "result" if CALLS[kind](rng) else "refused"] += 1
        except Exception as error:
            raise AssertionError(f"call {number} ({kind}), generator at {state}: {error!r}") from error
    return tally


def test_random_networks_give_a_right_result_or_one_sentence():
    tally = run(8 * sum(KINDS.values()), seed=2)
    assert {kind for kind, outcome in tally if outcome == "result"} == set(KINDS)
