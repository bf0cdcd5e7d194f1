"""Meta-analysis against a second reference: pimeta, and likelihoods written out in full."""

import json
from pathlib import Path

import numpy as np
import pimeta
import pytest
from scipy import optimize, stats

from psps_paper.pairwise import egger_test, estimate_tau2, meta_analysis, three_level

ORACLES = Path(__file__).parent / "oracles"


def load(name):
    return json.loads((ORACLES / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture
def normand():
    effects = load("pairwise_normand1999")["smd_metafor"]
    return np.array(effects["yi"]), np.sqrt(effects["vi"])


@pytest.fixture(params=range(5))
def simulated(request):
    rng = np.random.default_rng(request.param)
    se = rng.uniform(0.1, 0.6, 20)
    return rng.normal(0.4, np.sqrt(se**2 + 0.5)), se


# Closed formulas to rounding; searches to where pimeta's stop, at steps of 1e-5 in tau2 and 1e-4
# in the Paule-Mandel root. That the maxima are found more closely is shown below.
PIMETA_TOLERANCE = {"DL": 1e-8, "HE": 1e-8, "SJ": 1e-8, "REML": 1e-4, "ML": 1e-4, "PM": 1e-3}


@pytest.mark.parametrize("method", PIMETA_TOLERANCE)
def test_meta_analysis_agrees_with_pimeta(simulated, method):
    te, se = simulated
    fit = meta_analysis(te, se, method)
    other = pimeta.rma(te.tolist(), sei=se.tolist(), method=method)
    tolerance = PIMETA_TOLERANCE[method]
    assert fit.tau2 > 0
    assert fit.tau2 == pytest.approx(other.tau2, rel=tolerance)
    assert fit.q == pytest.approx(other.QE, rel=1e-8)
    # With tau2 fixed, the pooling itself has to agree to rounding.
    fixed = meta_analysis(te, se, other.tau2)
    assert fixed.te == pytest.approx(other.b[0], rel=1e-8)
    assert fixed.se == pytest.approx(other.se[0], rel=1e-8)


def test_eggers_test_agrees_with_pimeta(simulated):
    te, se = simulated
    other = pimeta.egger_test(te.tolist(), (se**2).tolist(), model="lm")
    assert egger_test(te, se).p == pytest.approx(other.p, rel=1e-8)
    assert egger_test(te, se).t == pytest.approx(other.stat, rel=1e-8)


def restricted(te, covariance):
    """Minus twice the restricted log-likelihood of a common mean, from its definition."""
    ones = np.ones((len(te), 1))
    inverse = np.linalg.inv(covariance)
    information = ones.T @ inverse @ ones
    residual = te - np.linalg.solve(information, ones.T @ inverse @ te)
    return (
        (len(te) - 1) * np.log(2 * np.pi)
        - np.linalg.slogdet(ones.T @ ones)[1]
        + np.linalg.slogdet(covariance)[1]
        + np.linalg.slogdet(information)[1]
        + residual @ inverse @ residual
    )


def full(te, variance):
    mean = np.average(te, weights=1 / variance)
    return -2 * stats.norm.logpdf(te, mean, np.sqrt(variance)).sum()


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_tau2_maximises_the_likelihood(normand, simulated, method):
    for te, se in (normand, simulated):

        def objective(tau2, te=te, se=se):
            total = se**2 + tau2
            return restricted(te, np.diag(total)) if method == "REML" else full(te, total)

        best = optimize.minimize_scalar(objective, bounds=(0, 5), options={"xatol": 1e-12})
        tau2 = estimate_tau2(te, se, method)
        # A minimum is known to the square root of the precision of its value.
        assert tau2 == pytest.approx(best.x, rel=1e-6)
        assert objective(tau2) <= best.fun + 1e-10


def test_dl_is_the_moment_equation(simulated):
    """E(Q) at the estimated tau2 equals the observed Q, by the trace of its quadratic form."""
    te, se = simulated
    w = 1 / se**2
    form = np.diag(w) - np.outer(w, w) / w.sum()
    tau2 = estimate_tau2(te, se, "DL")
    assert np.trace(form @ np.diag(se**2 + tau2)) == pytest.approx(te @ form @ te, rel=1e-10)


def test_three_level_fit_is_the_maximum_of_the_likelihood():
    data = load("multilevel_konstantopoulos2011")
    te, v, district = (np.array(data[c]) for c in ("yi", "vi", "district"))
    same = (district[:, None] == district).astype(float)

    def objective(log_sigma2):
        between, within = np.exp(log_sigma2)
        return restricted(te, np.diag(v + within) + between * same)

    fit = three_level(te, np.sqrt(v), district)
    options = {"xatol": 1e-9, "fatol": 1e-13}
    best = optimize.minimize(objective, [-3, -3], method="Nelder-Mead", options=options)
    assert [fit.sigma2_between, fit.sigma2_within] == pytest.approx(np.exp(best.x), rel=1e-5)
    assert fit.log_likelihood == pytest.approx(-best.fun / 2, rel=1e-11)


def test_three_level_without_cluster_variance_is_reml():
    """Clusters that differ less than chance: the between variance stays at 0."""
    te = np.array([0.0, 1.0, 0.1, 0.9, 0.05, 0.95])
    se = np.full(6, 0.2)
    fit = three_level(te, se, list("aabbcc"))
    pooled = meta_analysis(te, se, "REML")
    assert fit.sigma2_between == 0
    assert fit.sigma2_within == pytest.approx(pooled.tau2, rel=1e-8)
    assert (fit.te, fit.se) == pytest.approx((pooled.te, pooled.se), rel=1e-8)
