"""Likelihoods of variances: the global maximum, and every local one.

multimodal_tau2.json and three_level.json hold maxima found by other programs (own grid search and
sixteen starts in R, beside metafor 3.8-1); the grids below are likelihoods written out here.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from oracle_cells import Cells
from psps_paper.network import fit_network, fit_networks, tau2_search
from psps_paper.pairwise import estimate_tau2, meta_analysis, three_level
from psps_paper.pairwise.random_effects import log_likelihood

pytestmark = pytest.mark.slow

LISTED_PEAKS = {
    "*/te": "the data",
    "*/se": "the data",
    "*/metafor_default/*": "where metafor's search ends; the global maximum is compared",
    "*/minima_*": "minima are not part of a result",
}
LISTED_LEVELS = {
    "*/input/*": "the data",
    "*/mods/*": "the data",
    "konstantopoulos2011_year/*": "three_level takes no moderators",
    "begg1989_trt/*": "three_level takes no moderators",
    "*/ML/*": "three_level fits by REML",
    "*/rma_mv/[!Q]*": "where metafor's search ends; the optimum is compared",
    "*/rma_mv/QM*": "a test that all is 0, not part of the result",
    "*/rma_mv/QEp": "the p of Q is not part of the result",
    "*/rma_mv_t*": "intervals by t are not part of the result",
    "*/typical_v": "not part of the result",
    "*/I2": "not part of the result",
    "*/profile_ci/*": "not part of the result",
    "*/CR?/*": "robust_meta_analysis has another working model",
    "*/reduced/*": "no variance can be fixed",
}
ORACLES = Path(__file__).parent / "oracles"
SETS = json.loads((ORACLES / "multimodal_tau2.json").read_text(encoding="utf-8"))["sets"]
NESTED = json.loads((ORACLES / "three_level.json").read_text(encoding="utf-8"))
# Largest excess of a dense grid over the fit that is tolerated, in log units.
BELOW_GRID = 1e-8


def torn(rng, se):
    """Effects that make two maxima likely: precise studies agree, imprecise ones are far apart."""
    return np.where(se < 0.5, rng.normal(0, 0.3, se.shape) * se, rng.standard_t(2, se.shape) * 2)


TWO_PEAKS = pd.DataFrame(  # cases/01-reml-two-peaks
    {
        "study": list("abcde"),
        "treat1": "drug",
        "treat2": "placebo",
        "te": [-0.85, 0.75, 0.36, -0.79, 0.20],
        "se": [0.08, 0.45, 0.69, 0.07, 1.05],
    }
)


@pytest.mark.parametrize("method", ["ML", "REML"])
@pytest.mark.parametrize("name", SETS)
def test_all_maxima_of_the_oracle(name, method):
    data = SETS[name]
    te, se, expected = np.array(data["te"]), np.array(data["se"]), data[method]
    fit = meta_analysis(te, se, method)
    maxima = fit.tau2_maxima
    # README of the oracles: logLik to 1e-8, tau2 to 1e-6.
    assert [m.tau2 for m in maxima] == pytest.approx(np.atleast_1d(expected["maxima"]["tau2"]), rel=1e-6)
    heights = np.atleast_1d(expected["maxima"]["logLik"])
    assert [m.log_likelihood for m in maxima] == pytest.approx(heights, abs=1e-8)
    assert fit.tau2 == maxima[0].tau2 == pytest.approx(expected["global_tau2"], rel=1e-6)
    assert fit.te == pytest.approx(expected["global_mu"], rel=1e-6)
    assert fit.se == pytest.approx(expected["global_se"], rel=1e-6)
    assert fit.log_likelihood == pytest.approx(expected["global_logLik"], abs=1e-8)
    assert estimate_tau2(te, se, method) == fit.tau2
    table = pd.DataFrame({"study": range(len(te)), "treat1": "A", "treat2": "B", "te": te, "se": se})
    network = fit_network(table, tau2=method)
    assert [m.tau2 for m in network.tau2_maxima] == pytest.approx([m.tau2 for m in maxima], rel=1e-9)
    below = [m.log_likelihood - network.log_likelihood for m in network.tau2_maxima]
    assert below == pytest.approx([m.log_likelihood - fit.log_likelihood for m in maxima], abs=1e-8)


def test_every_cell_of_the_two_files_is_compared_or_listed():
    peaks = Cells("multimodal_tau2", LISTED_PEAKS)
    for name, data in SETS.items():
        te, se = np.array(data["te"]), np.array(data["se"])
        for method in ("ML", "REML"):
            fit = meta_analysis(te, se, method)
            at_each = [meta_analysis(te, se, m.tau2) for m in fit.tau2_maxima]
            heights = [m.log_likelihood for m in fit.tau2_maxima]
            found = {
                "global_tau2": fit.tau2,
                "global_logLik": fit.log_likelihood,
                "global_mu": fit.te,
                "global_se": fit.se,
                "n_maxima": len(heights),
                "gap": heights[0] - heights[min(1, len(heights) - 1)],
                "maxima/tau2": [m.tau2 for m in fit.tau2_maxima],
                "maxima/logLik": heights,
                "maxima/mu": [f.te for f in at_each],
                "maxima/se": [f.se for f in at_each],
                "logLik_at_0": log_likelihood(te, se, 0.0, restricted=method == "REML"),
            }
            for cell, ours in found.items():
                peaks.check(f"sets/{name}/{method}/{cell}", ours, 1e-6, 1e-8)
    levels = Cells("three_level", LISTED_LEVELS)
    for name in (k for k, v in NESTED.items() if k != "meta" and "mods" not in v):
        data = NESTED[name]["input"]
        fit = three_level(data["yi"], np.sqrt(data["vi"]), data["outer"])
        found = {
            "optimum/sigma2": [fit.sigma2_between, fit.sigma2_within],
            "optimum/logLik": fit.log_likelihood,
            "optimum/b": fit.te,
            "optimum/se": fit.se,
            "rma_mv/QE": fit.q,
        }
        for cell, ours in found.items():
            levels.check(f"{name}/REML/{cell}", ours, 1e-5 if "sigma2" in cell else 1e-7, 1e-7)
    for book in (peaks, levels):
        book.assert_complete(__file__)


def test_two_peaks():
    """cases/01-reml-two-peaks: the higher peak counts; the lower one is at 0."""
    reml = fit_network(TWO_PEAKS, tau2="REML")
    assert reml.tau2 == pytest.approx(0.4615, rel=1e-3)
    interval = [frame.at["drug", "placebo"] for frame in (reml.te, reml.lower, reml.upper)]
    assert interval == pytest.approx([-0.2494, -0.9654, 0.4666], rel=1e-3)
    first, second = reml.tau2_maxima
    assert second.tau2 == 0 and first.log_likelihood - second.log_likelihood == pytest.approx(2.670, abs=5e-4)
    ml = meta_analysis(TWO_PEAKS.te, TWO_PEAKS.se, "ML")
    assert (ml.tau2, ml.te) == (pytest.approx(0.3173, rel=1e-3), pytest.approx(-0.3016, rel=1e-3))
    assert fit_network(TWO_PEAKS).tau2_maxima == () == meta_analysis([1, 2], [1, 1]).tau2_maxima


def test_each_way_to_evaluate_the_likelihood_finds_the_same_maxima():
    rng = np.random.default_rng(1)
    se = np.exp(rng.uniform(-3, 2, (50, 9)))
    te = torn(rng, se)
    x = np.ones((9, 1))
    for restricted in (True, False):
        found = [
            tau2_search.local_maxima(model)
            for model in (
                tau2_search.Spectral(x, te, se**2, restricted=restricted),
                tau2_search.OneMean(te, se**2, restricted=restricted),
                tau2_search.Direct(x, te, se**2, restricted=restricted),
            )
        ]
        for other in found[1:]:
            np.testing.assert_array_equal(other.data_set, found[0].data_set)
            np.testing.assert_allclose(other.tau2, found[0].tau2, rtol=1e-7, atol=1e-12)
            below = [f.log_likelihood - f.log_likelihood[f.first][f.data_set] for f in (other, found[0])]
            np.testing.assert_allclose(*below, atol=1e-9)
        assert len(found[0].tau2) > 55  # several sets have two


@pytest.mark.parametrize("restricted", [True, False])
def test_a_tree_is_searched_by_the_means_of_its_comparisons(restricted):
    """Rows of x are those of a chain with a branch, in any order and direction."""
    rng = np.random.default_rng(8)
    tree = np.array([[1.0, 0, 0], [-1, 1, 0], [0, -1, 1]])
    rows = rng.permutation(np.repeat([0, 1, 2], [6, 1, 4]))
    x = tree[rows] * rng.choice([-1.0, 1.0], (11, 1))
    se = np.exp(rng.uniform(-3, 2, (60, 11)))
    y = torn(rng, se)
    group, sign = tau2_search._groups(x)
    assert len(set(zip(rows, group, strict=True))) == 3
    assert tau2_search._groups(np.vstack([x, [1.0, 0, -1]])) is None  # closes a loop
    found = [
        tau2_search.local_maxima(model)
        for model in (
            tau2_search.Spectral(x, y, se**2, restricted=restricted),
            tau2_search.SeveralMeans(y, se**2, group, sign, restricted=restricted),
        )
    ]
    np.testing.assert_array_equal(found[1].data_set, found[0].data_set)
    np.testing.assert_allclose(found[1].tau2, found[0].tau2, rtol=1e-7, atol=1e-12)
    below = [f.log_likelihood - f.log_likelihood[f.first][f.data_set] for f in found]
    np.testing.assert_allclose(*below, atol=1e-9)
    assert len(found[0].tau2) > 62  # several sets have two


def grid_of(te, se, points):
    """From 0 to beyond every maximum, dense where d + tau2 is small [B x points]."""
    floor, top = (se**2).min(axis=1), ((te - te.mean(axis=1, keepdims=True)) ** 2).sum(axis=1) + 1e-9
    reach = np.log1p(top / floor)[:, None]
    return floor[:, None] * np.expm1(reach * np.linspace(0, 1, points))


def one_mean(te, se, tau2, *, restricted):
    """Log-likelihood of [B x k] at tau2 [B x points], metafor's constants."""
    total = se[:, None] ** 2 + tau2[:, :, None]
    w = 1 / total
    mean = (w * te[:, None]).sum(axis=2) / w.sum(axis=2)
    k = te.shape[1] - restricted
    value = np.log(total).sum(axis=2) + (w * (te[:, None] - mean[..., None]) ** 2).sum(axis=2)
    if restricted:
        value += np.log(w.sum(axis=2)) - np.log(te.shape[1])
    return -(value + k * np.log(2 * np.pi)) / 2


@pytest.mark.parametrize("method", ["ML", "REML"])
@pytest.mark.parametrize("k", [2, 3, 4, 5, 7, 12])
def test_pairwise_fit_is_never_below_a_dense_grid(k, method):
    """1,000 sets in all; standard errors differ up to 3,000-fold, effects are heavy-tailed."""
    rng = np.random.default_rng(k)
    count = 84 if method == "REML" else 83
    se = np.exp(rng.uniform(-4, 4, (count, k)))
    te = rng.standard_t(1.5, (count, k)) * np.exp(rng.uniform(-2, 3, (count, 1)))
    te[::2] = torn(rng, se[::2])
    fits = [meta_analysis(te[b], se[b], method) for b in range(count)]
    highest = one_mean(te, se, grid_of(te, se, 3000), restricted=method == "REML").max(axis=1)
    assert (np.array([fit.log_likelihood for fit in fits]) > highest - BELOW_GRID).all()
    for b, fit in enumerate(fits):
        tau2 = np.array([m.tau2 for m in fit.tau2_maxima])
        height = one_mean(te[[b]], se[[b]], tau2[None], restricted=method == "REML")[0]
        assert [m.log_likelihood for m in fit.tau2_maxima] == pytest.approx(height, abs=1e-8)
        step = 1e-4 * (tau2 + se[b].min() ** 2)
        beside = [
            one_mean(te[[b]], se[[b]], np.maximum(tau2 + s, 0)[None], restricted=method == "REML")[0]
            for s in (-step, step)
        ]
        assert (height >= np.max(beside, axis=0) - 1e-12).all()  # each is a local maximum


# Two-arm studies, one study with three arms and one with four, of treatments A to D.
ARMS = [list(pair) for pair in ("AB", "AB", "AC", "BC", "CD", "AD")] + [list("ABC"), list("ABCD")]


def network_sets(count, seed):
    """Contrasts of ``count`` data sets of one design, and arms' means and variances behind them."""
    rng = np.random.default_rng(seed)
    rows, te, se, means, variances = [], [], [], [], []
    for study, arms in enumerate(ARMS):
        variance = np.exp(rng.uniform(-7, 5, (count, len(arms))))
        mean = torn(rng, np.sqrt(variance.max(axis=1, keepdims=True)) + 0 * variance)
        means.append(mean)
        variances.append(variance)
        for i in range(len(arms)):
            for j in range(i + 1, len(arms)):
                rows.append((f"s{study}", arms[i], arms[j]))
                te.append(mean[:, i] - mean[:, j])
                se.append(np.sqrt(variance[:, i] + variance[:, j]))
    table = pd.DataFrame(rows, columns=["study", "treat1", "treat2"])
    return table, np.array(te).T, np.array(se).T, means, variances


def written_out(means, variances, tau2, *, restricted):
    """Log-likelihood of contrasts against each study's last arm, full covariance [B x points]."""
    y = np.concatenate([m[:, :-1] - m[:, -1:] for m in means], axis=1)
    size = y.shape[1]
    fixed = np.zeros((len(y), size, size))
    random = np.zeros((size, size))
    x = np.zeros((size, 4))
    at = 0
    for arms, variance in zip(ARMS, variances, strict=True):
        part = slice(at, at + len(arms) - 1)
        fixed[:, part, part] = variance[:, -1, None, None]
        for k, arm in enumerate(arms[:-1]):
            fixed[:, at + k, at + k] += variance[:, k]
            x[at + k, ord(arm) - 65] += 1
            x[at + k, ord(arms[-1]) - 65] -= 1
        random[part, part] = (1 + np.eye(len(arms) - 1)) / 2
        at = part.stop
    x = x[:, 1:]
    total = fixed[:, None] + tau2[:, :, None, None] * random
    inverse = np.linalg.inv(total)
    information = x.T @ inverse @ x
    solved = np.linalg.solve(information, (x.T @ inverse @ y[:, None, :, None]))
    residual = y[:, None, :, None] - x @ solved
    value = np.linalg.slogdet(total)[1] + (residual * (inverse @ residual)).sum(axis=(2, 3))
    if restricted:
        value += np.linalg.slogdet(information)[1]
    return -(value + (size - 3 * restricted) * np.log(2 * np.pi)) / 2


@pytest.mark.parametrize("method, count", [("ML", 300), ("REML", 300)])
def test_network_fit_is_never_below_a_dense_grid(method, count):
    table, te, se, means, variances = network_sets(count, seed=count)
    fits = fit_networks(table, te, se, method)
    restricted = method == "REML"
    reach = np.log1p((te**2).sum(axis=1) / (se**2).min(axis=1))[:, None]
    grid = (se**2).min(axis=1)[:, None] * np.expm1(reach * np.linspace(0, 1, 200))
    highest = written_out(means, variances, grid, restricted=restricted).max(axis=1)
    own = written_out(means, variances, fits.tau2[:, None], restricted=restricted)[:, 0]
    assert (own > highest - BELOW_GRID).all()
    assert fits.log_likelihood == pytest.approx(own, abs=1e-7)
    several = fits.maxima.data_set[1:][np.diff(fits.maxima.data_set) == 0]
    assert len(several) > 5
    for b in [0, 1, *several[:5]]:
        single = fit_network(table.assign(te=te[b], se=se[b]), tau2=method)
        mine = fits.maxima.of(b)
        assert [m.tau2 for m in single.tau2_maxima] == pytest.approx([m.tau2 for m in mine], rel=1e-8)
        assert single.tau2_maxima[0].log_likelihood == single.log_likelihood
        heights = written_out(
            [m[[b]] for m in means],
            [v[[b]] for v in variances],
            np.array([[m.tau2 for m in mine]]),
            restricted=restricted,
        )[0]
        assert [m.log_likelihood for m in mine] == pytest.approx(heights, abs=1e-7)


def test_fit_of_correlated_estimates_is_the_global_maximum():
    """cases/01 with every estimate given twice: at correlation 0 the likelihood is that of ten."""
    twice = pd.concat([TWO_PEAKS, TWO_PEAKS.assign(te=TWO_PEAKS.te + 0.01)])
    fit = fit_network(twice, tau2="REML", correlation=0.0)
    alone = meta_analysis(twice.te, twice.se, "REML")
    assert fit.tau2 == pytest.approx(alone.tau2, rel=1e-8)
    assert len(fit.tau2_maxima) == len(alone.tau2_maxima)
    half = fit_network(twice, tau2="REML", correlation=0.5)
    grid = np.concatenate([[0], np.geomspace(1e-4, 30, 400)])
    heights = [fit_network(twice, tau2=t, correlation=0.5) for t in grid]
    # With tau2 given, log_likelihood is the full one: add the restriction, log det of the precision.
    restricted = [f.log_likelihood + np.log(f.se.iat[0, 1]) for f in heights]
    constant = half.log_likelihood - np.log(2 * np.pi) / 2
    assert constant > max(restricted) - BELOW_GRID


@pytest.mark.parametrize("name", [k for k, v in NESTED.items() if k != "meta" and "mods" not in v])
def test_three_level_against_the_oracle(name):
    data, optimum = NESTED[name]["input"], NESTED[name]["REML"]["optimum"]
    fit = three_level(data["yi"], np.sqrt(data["vi"]), data["outer"])
    # README of the oracles: 1e-7, sigma2 1e-5.
    assert [fit.sigma2_between, fit.sigma2_within] == pytest.approx(optimum["sigma2"], rel=1e-5, abs=1e-12)
    assert fit.log_likelihood == pytest.approx(optimum["logLik"], abs=1e-7)
    assert fit.te == pytest.approx(optimum["b"][0], rel=1e-7)
    assert fit.se == pytest.approx(optimum["se"][0], rel=1e-7)


def nested(te, v, codes, between, within):
    """Restricted log-likelihood on a grid between x within, by Sherman and Morrison."""
    indicator = (codes[:, None] == np.unique(codes)).astype(float)
    w = 1 / (v + within[:, None])  # [W x k]
    total, weighted, square = w @ indicator, (w * te) @ indicator, (w * te**2) @ indicator
    shrink = between[:, None, None] / (1 + between[:, None, None] * total)  # [B x W x clusters]
    precision = (total - shrink * total**2).sum(axis=2)
    linear = (weighted - shrink * total * weighted).sum(axis=2)
    quadratic = (square - shrink * weighted**2).sum(axis=2)
    log_det = -np.log(w).sum(axis=1) + np.log1p(between[:, None, None] * total).sum(axis=2)
    value = log_det + np.log(precision) + quadratic - linear**2 / precision
    return -(value + (len(te) - 1) * np.log(2 * np.pi) - np.log(len(te))) / 2


def test_three_level_fit_is_never_below_a_dense_grid():
    """400 sets, many with a variance at 0 or with two maxima."""
    rng = np.random.default_rng(14)
    at_zero = several = 0
    for _ in range(400):
        k = int(rng.integers(4, 12))
        codes = np.sort(np.concatenate([[0, 0, 1], rng.integers(0, max(2, k // 2), k - 3)]))
        se = np.exp(rng.uniform(-3.5, 3, k))
        te = rng.standard_t(2, k) if rng.random() < 0.3 else torn(rng, se)
        te += rng.normal(0, rng.choice([0, 0.1, 1]), k)[codes]
        fit = three_level(te, se, codes)
        top = ((te - te.mean()) ** 2).sum()
        within = (se**2).min() * np.expm1(np.log1p(top / (se**2).min()) * np.linspace(0, 1, 120))
        # Between clusters the maximum can lie further out, never beyond the spread of te.
        between = np.concatenate([[0], np.geomspace(1e-5, 10 * top, 150)])
        assert fit.log_likelihood > nested(te, se**2, codes, between, within).max() - BELOW_GRID
        for one in fit.sigma2_maxima:
            here = nested(te, se**2, codes, np.array([one.sigma2_between]), np.array([one.sigma2_within]))
            assert one.log_likelihood == pytest.approx(here.item(), abs=1e-8)
        at_zero += min(fit.sigma2_between, fit.sigma2_within) == 0
        several += len(fit.sigma2_maxima) > 1
    assert at_zero > 100 and several > 10


def test_three_level_weights():
    """cases/37-three-level-weights, REML by scipy."""
    te = [0.3, 0.5, 0.42, 0.1, 0.22, 0.75, 0.6, -0.05, 0.15]
    se = [0.12, 0.15, 0.2, 0.1, 0.14, 0.18, 0.2, 0.13, 0.11]
    fit = three_level(te, se, list("aaabbccdd"))
    assert (fit.te, fit.se) == (pytest.approx(0.305610, abs=1e-6), pytest.approx(0.132625, abs=1e-6))
    assert (fit.sigma2_between, fit.sigma2_within) == (pytest.approx(0.060960, abs=1e-6), 0)
    printed = [0.1290, 0.0826, 0.0465, 0.1723, 0.0879, 0.1232, 0.0998, 0.1079, 0.1507]
    assert fit.weights == pytest.approx(printed, abs=5e-5)
    assert fit.weights.sum() == pytest.approx(1) and fit.weights @ te == pytest.approx(fit.te)
