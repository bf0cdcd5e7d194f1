"""Exact Bayesian fits of random data sets: against quadrature with 20 times the nodes, and 20 of them to 30 digits.

``python tests/test_bayes_random.py 10000`` makes the comparison of the first test for any number of networks.
"""

from __future__ import annotations

import sys

import mpmath as mp
import numpy as np
import pandas as pd
import pytest
import scipy

from bayes_reference import (
    dense,
    differences_from,
    exactly,
    log_density,
    random_network,
    random_prior,
)
from psps_paper.bayes import fit_bayes, half_normal

pytestmark = pytest.mark.slow

EVERYDAY = 40


def largest_difference(seed: int) -> tuple[float, str]:
    rng = np.random.default_rng([17, seed])
    table, prior, effect_sd = random_network(rng), random_prior(rng), float(rng.choice([np.inf, 100.0, 1.0]))
    post = fit_bayes(table, prior, effect_sd=effect_sd)
    found = differences_from(post, dense(table, prior, effect_sd, 20 * post.nodes))
    worst = max(found, key=found.get)
    return found[worst], f"seed {seed}: {worst} differs by {found[worst]:.1e} under {prior}, effect_sd={effect_sd}"


@pytest.mark.parametrize("seed", range(EVERYDAY))
def test_random_networks_agree_with_twenty_times_the_nodes(seed):
    difference, message = largest_difference(seed)
    assert difference < 1e-8, message


@pytest.mark.parametrize("seed", range(20))
def test_random_comparisons_agree_with_thirty_digits(seed):
    rng = np.random.default_rng([18, seed])
    table, scale, effect_sd = random_network(rng, 2), float(np.exp(rng.uniform(-2, 1))), [np.inf, 100.0, 1.0][seed % 3]
    flip = np.where(table["treat1"] == "t0", 1.0, -1.0)
    post = fit_bayes(table, half_normal(scale), effect_sd=effect_sd)
    # The basic parameter is t1 minus t0; a flat or centred prior has no side.
    truth = exactly(-flip * table["te"], table["se"], scale, effect_sd)
    for name in ("log_marginal", "tau_mean", "tau_sd"):
        assert getattr(post, name) == pytest.approx(float(truth[name]), rel=1e-12, abs=1e-12)
    assert post.te.at["t1", "t0"] == pytest.approx(float(truth["te"]), rel=1e-11, abs=1e-12)
    assert post.sd.at["t1", "t0"] == pytest.approx(float(truth["sd"]), rel=1e-12)
    for frame, p in ((post.lower, 0.025), (post.upper, 0.975)):
        limit = mp.mpf(frame.at["t1", "t0"])
        assert abs(sum(weight * mp.ncdf((limit - m) / s) for weight, m, s in truth["parts"]) - p) < 1e-13


@pytest.mark.parametrize("seed", range(16))
def test_densities_and_quantiles_of_priors(seed):
    prior = random_prior(np.random.default_rng(seed))
    p = np.array([0.01, 0.3, 0.5, 0.8, 0.99])
    at = prior.quantile(p)
    np.testing.assert_allclose(prior.log_density(at), log_density(prior)(at), rtol=1e-12)
    low = prior.bounds[0]
    mass = [
        scipy.integrate.quad(lambda t: np.exp(prior.log_density(t)), a, b, epsabs=1e-12)[0]
        for a, b in zip([low, *at], at, strict=False)
    ]
    np.testing.assert_allclose(np.cumsum(mass), p, rtol=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_quantiles_and_shortest_interval_of_tau(seed):
    rng = np.random.default_rng([19, seed])
    table, prior = random_network(rng), random_prior(rng)
    post = fit_bayes(table, prior)
    reference = dense(table, prior, 100.0, 3000)
    # A sum over nodes up to a point knows the distribution function to a node's weight.
    for p in (0.025, 0.5, 0.975):
        up_to = reference["weight"][reference["tau"] <= post.tau_quantile(p)].sum()
        assert up_to == pytest.approx(p, abs=2 * reference["weight"].max())
        assert post.tau_below(post.tau_quantile(p)) == pytest.approx(p, abs=1e-10)
    low, high = post.highest_density(0.9)
    assert post.tau_below(high) - post.tau_below(low) == pytest.approx(0.9, abs=1e-8)
    for shift in (0.0, 0.02, 0.05, 0.08):
        assert (
            high - low
            <= post.tau_quantile(0.9 + shift) - (post.tau_quantile(shift) if shift else prior.bounds[0]) + 1e-9
        )
    inside = np.linspace(post.tau_quantile(1e-6), post.tau_quantile(1 - 1e-9), 4001)
    area = scipy.integrate.simpson(post.tau_density(inside), x=inside)
    assert area == pytest.approx(1 - 1e-6, abs=2e-3)


def test_moments_that_do_not_exist_are_infinite():
    # Two studies, flat prior: the posterior of tau falls like tau**-(1 + tail of the prior).
    table = pd.DataFrame({"study": ["a", "b"], "treat1": "A", "treat2": "B", "te": [0.1, 0.4], "se": [0.1, 0.2]})
    from psps_paper.bayes import half_cauchy, log_t

    post = fit_bayes(table, half_cauchy(0.5), effect_sd=np.inf)
    assert np.isfinite(post.tau_mean) and post.tau_sd == np.inf and post.sd.at["A", "B"] == np.inf
    assert (
        np.isfinite(post.te.at["A", "B"])
        and np.isfinite(post.lower.at["A", "B"])
        and np.isfinite(post.predict_upper.at["A", "B"])
    )
    post = fit_bayes(table, log_t(-3, 2.0), effect_sd=np.inf)
    assert post.tau_mean == np.inf and np.isnan(post.te.at["A", "B"]) and np.isfinite(post.median.at["A", "B"])


if __name__ == "__main__":
    differences, messages = zip(*map(largest_difference, range(int(sys.argv[1]))), strict=True)
    print(
        f"{len(differences)} networks, largest difference {max(differences):.1e}, above 1e-8:"
        f" {np.sum(np.array(differences) > 1e-8)}"
    )
    print("\n".join(message for _, message in sorted(zip(differences, messages, strict=True))[-5:]))
