"""Second, independent references for models that one program alone gave: pimeta, and the definitions written out.

Dense matrices and scipy's own distributions and optimisers: slow, and nothing of the package's algebra.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pimeta
import pytest
from scipy import integrate, optimize, stats

from psps_paper.network import (
    fit_binary_network,
    fit_components,
    fit_network,
    network_meta_regression,
    partial_order,
    split_evidence,
)
from psps_paper.pairwise import binomial_normal, selection_model

COLUMNS = ["study", "treat1", "treat2", "te", "se"]
TAU2 = 0.07


def trials(seed: int = 4, names: tuple[str, ...] = ("A", "A + B", "B", "P")) -> pd.DataFrame:
    """Two-arm trials of every pair, three each."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"s{k}", *pair, rng.normal(0.3, 0.3), rng.uniform(0.1, 0.3))
        for k, pair in enumerate([*itertools.combinations(names, 2)] * 3)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def least_squares(x: np.ndarray, rows: pd.DataFrame, tau2: float = TAU2) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and standard errors of weighted least squares, by dense matrices."""
    weight = np.diag(1 / (rows["se"].to_numpy() ** 2 + tau2))
    covariance = np.linalg.inv(x.T @ weight @ x)
    return covariance @ x.T @ weight @ rows["te"].to_numpy(), np.sqrt(np.diag(covariance))


def test_components_are_least_squares_on_what_treatments_contain():
    rows = trials()
    held = {"A": (1, 0), "B": (0, 1), "A + B": (1, 1), "P": (0, 0)}
    x = np.array([np.subtract(held[a], held[b]) for a, b in zip(rows["treat1"], rows["treat2"], strict=True)], float)
    te, se = least_squares(x, rows)
    fit = fit_components(rows, "P", tau2=TAU2)
    assert fit.components.loc[["A", "B"], "te"].to_numpy() == pytest.approx(te, rel=1e-10)
    assert fit.components.loc[["A", "B"], "se"].to_numpy() == pytest.approx(se, rel=1e-10)
    common, _ = least_squares(x, rows, 0.0)
    q = (((rows["te"] - x @ common) / rows["se"]) ** 2).sum()
    assert fit.q_additive == pytest.approx(q, rel=1e-10) and fit.df_q_additive == len(rows) - 2


@pytest.mark.parametrize("interaction", ["common", "independent"])
def test_network_meta_regression_is_least_squares_with_the_covariate(interaction):
    """Dummies of treatments against the reference, and the covariate, centred, times those or times their sum."""
    rows = trials(7, ("A", "B", "C", "P"))
    year = pd.Series(np.linspace(-3.0, 5.0, len(rows)), index=rows["study"], name="year")
    dummies = np.array(
        [[(a == t) - (b == t) for t in "ABC"] for a, b in zip(rows["treat1"], rows["treat2"], strict=True)], float
    )
    centred = (year - year.mean()).to_numpy()[:, None]
    slopes = centred * (dummies.sum(axis=1, keepdims=True) if interaction == "common" else dummies)
    te, se = least_squares(np.hstack([dummies, slopes]), rows)
    fit = network_meta_regression(rows, year, "P", interaction, tau2=TAU2)
    assert fit.coefficients["estimate"].to_numpy() == pytest.approx(te, rel=1e-9)
    assert fit.coefficients["se"].to_numpy() == pytest.approx(se, rel=1e-9)


def test_sidde_is_direct_trials_against_the_network_without_them():
    rows = trials(9, ("A", "B", "C", "P"))
    split = split_evidence(fit_network(rows, TAU2), "SIDDE").set_index(["treat1", "treat2"])
    for pair in itertools.combinations("ABCP", 2):
        own = (rows["treat1"] == pair[0]) & (rows["treat2"] == pair[1])
        direct, others = fit_network(rows[own], TAU2), fit_network(rows[~own], TAU2)
        row = split.loc[pair]
        assert row["direct_te"] == pytest.approx(direct.te.at[pair], rel=1e-9)
        assert row["indirect_te"] == pytest.approx(others.te.at[pair], rel=1e-9)
        assert row["indirect_se"] == pytest.approx(others.se.at[pair], rel=1e-9)
        z = (direct.te.at[pair] - others.te.at[pair]) / np.hypot(direct.se.at[pair], others.se.at[pair])
        assert row["p"] == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-8)


def test_a_partial_order_is_what_the_scores_say_pair_by_pair():
    rng = np.random.default_rng(2)
    shares = rng.dirichlet(np.ones(9), 3).T * 4.5
    order = partial_order(pd.DataFrame(shares, list("abcdefghi"), ["x", "y", "z"]))
    for i, j in itertools.permutations(range(9), 2):
        better = all(shares[i] >= shares[j])
        between = any(all(shares[i] >= shares[k]) and all(shares[k] >= shares[j]) for k in range(9) if k not in (i, j))
        assert order.relation.iat[i, j] == better and order.covering.iat[i, j] == (better and not between)


def rare_arms() -> pd.DataFrame:
    """Two-arm trials with few events."""
    counts = [("A", 3, 60, "P", 7, 62), ("A", 0, 45, "P", 2, 44), ("B", 4, 80, "P", 5, 75), ("B", 1, 50, "A", 3, 52)]
    counts += [("A", 2, 90, "B", 0, 91), ("B", 6, 120, "P", 9, 118)]
    rows = [(f"s{k}", *arm) for k, one in enumerate(counts) for arm in (one[:3], one[3:])]
    return pd.DataFrame(rows, columns=["study", "treatment", "events", "n"])


def exact_log_likelihood(events: tuple, sizes: tuple, te: np.ndarray | float) -> np.ndarray:
    """Of the first arm's events given their sum, by scipy's own non-central hypergeometric distribution."""
    (a, b), (m, n) = events, sizes
    return stats.nchypergeom_fisher.logpmf(a, m + n, a + b, m, np.exp(te))


def test_the_exact_network_likelihood_is_highest_where_scipy_s_distribution_says():
    arms = rare_arms()
    effects = {"A": 0, "B": 1}

    def negative(theta: np.ndarray) -> float:
        value = {**{name: theta[k] for name, k in effects.items()}, "P": 0.0}
        total = 0.0
        for _, one in arms.groupby("study"):
            (t1, e1, n1), (t2, e2, n2) = one[["treatment", "events", "n"]].itertuples(index=False)
            total -= exact_log_likelihood((e1, e2), (n1, n2), value[t1] - value[t2])
        return total

    best = optimize.minimize(negative, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    fit = fit_binary_network(arms, "NCH")
    assert [fit.te_common.at[name, "P"] for name in effects] == pytest.approx(best.x, abs=1e-6)


def test_the_mantel_haenszel_network_agrees_with_pimeta():
    """Two-arm trials with events in every arm: pimeta 1.1 divides by zero where a design has arms without any."""
    rng = np.random.default_rng(3)
    pairs = [pair for pair in itertools.combinations("ABP", 2) for _ in range(3)]
    rows = [(f"s{k}", t, int(rng.integers(3, 15)), 80 + 7 * k) for k, pair in enumerate(pairs) for t in pair]
    arms = pd.DataFrame(rows, columns=["study", "treatment", "events", "n"])
    one, two = arms.iloc[::2], arms.iloc[1::2]
    counts = [part[name].to_numpy() for part in (one, two) for name in ("events", "n")]
    names = [part["treatment"].to_numpy() for part in (one, two)]
    other = pimeta.netmetabin(*counts, *names, one["study"].to_numpy(), method="MH")
    fit, order = fit_binary_network(arms, "MH"), list(other.trts)
    for ours, theirs in ((fit.te_common, other.TE_common), (fit.se_common, other.seTE_common)):
        assert ours.loc[order, order].to_numpy() == pytest.approx(np.asarray(theirs, float), abs=1e-9)


def test_the_conditional_model_is_highest_where_numerical_integration_says():
    """Stijnen 2010: Fisher's non-central hypergeometric likelihood over a normal log odds ratio."""
    events1, n1, events2, n2 = (
        [2, 0, 5, 1, 3, 8],
        [40, 35, 60, 50, 44, 70],
        [6, 3, 7, 6, 2, 9],
        [42, 33, 61, 48, 45, 72],
    )
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / np.sqrt(2 * np.pi)

    def negative(theta: np.ndarray) -> float:
        mu, tau = theta[0], np.exp(theta[1])
        total = 0.0
        for a, m, b, n in zip(events1, n1, events2, n2, strict=True):
            total -= np.log(weights @ np.exp([exact_log_likelihood((a, b), (m, n), mu + tau * x) for x in nodes]))
        return total

    fit = binomial_normal(events1, n1, events2, n2)
    at = np.array([fit.te, 0.5 * np.log(max(fit.tau2, 1e-12))])
    assert -negative(at) == pytest.approx(fit.log_likelihood, abs=1e-5)
    for step in np.array([(0.02, 0), (-0.02, 0), (0, 0.05), (0, -0.05)]):
        assert negative(at + step) >= negative(at) - 1e-7


def test_the_selection_model_is_highest_where_its_density_is_written_out():
    """Vevea & Hedges 1995: a study with one-sided p above 0.025 is seen with relative probability delta."""
    rng = np.random.default_rng(5)
    se = rng.uniform(0.1, 0.4, 30)
    te = rng.normal(0.25, np.hypot(se, 0.15))

    def log_density(y: float, s: float, mu: float, tau2: float, delta: float) -> float:
        spread, bound = np.sqrt(s**2 + tau2), s * stats.norm.isf(0.025)
        seen, _ = integrate.quad(lambda x: stats.norm.pdf(x, mu, spread), bound, np.inf)
        return np.log((1 if y >= bound else delta) * stats.norm.pdf(y, mu, spread) / (seen + delta * (1 - seen)))

    def total(mu: float, tau2: float, delta: float) -> float:
        return sum(log_density(y, s, mu, tau2, delta) for y, s in zip(te, se, strict=True))

    fit = selection_model(te, se, (0.025,))
    best = np.array([fit.te, fit.tau2, fit.weights[-1]])
    assert total(*best) == pytest.approx(fit.log_likelihood, abs=1e-6)
    for k, step in itertools.product(range(3), (-0.01, 0.01)):
        moved = best.copy()
        moved[k] += step * max(abs(best[k]), 0.1)
        if moved[1] >= 0:
            assert total(*moved) <= total(*best) + 1e-6
