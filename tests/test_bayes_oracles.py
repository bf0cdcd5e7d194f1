"""Exact Bayesian fits against quadrature in R, JAGS 4.3.1 and bayesmeta 3.4: every numeric cell of the three files.

The files and the scripts that made them: validation/README.md. ``exact`` to 1e-10; the quadrature of one comparison to
1e-9; bayesmeta to 5e-4 posterior SDs for seven or more studies and 8e-3 for fewer (its grid); JAGS to 4 Monte-Carlo
errors.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy

from psps_paper.bayes import fit_bayes, half_cauchy, half_normal, uniform
from psps_paper.book.validation_bayes import compare_bayes

pytestmark = pytest.mark.slow

ORACLES = Path(__file__).parent / "oracles"
NETWORKS = ["bayes_nma_senn2013", "bayes_nma_twoarm"]
QUANTILES = {"q025": 0.025, "median": 0.5, "q975": 0.975}
PRIORS = {
    "half_normal_0.5": half_normal(0.5),
    "half_normal_1": half_normal(1),
    "half_cauchy_0.5": half_cauchy(0.5),
    "half_cauchy_1": half_cauchy(1),
    "uniform_0_2": uniform(0, 2),
}
EFFECT_SD = {"mu_flat": np.inf, "mu_normal_0_1": 1.0, "mu_normal_0_100": 100.0}
# Start of a cell's name -> why it is no result to compare.
NOT_COMPARED = {
    "meta.": "where the data come from, versions, and the prior's scale, which the fit is given",
    "input.": "the data",
    "jags.chains": "setting of the sampler",
    "jags.kept_samples": "setting of the sampler",
    "jags.rhat_max": "diagnostic of the sampler",
    "jags.contrasts.mcse_mean": "Monte-Carlo error, the unit in which JAGS is compared",
    "jags.sucra_mcse": "Monte-Carlo error, the unit in which JAGS is compared",
    "jags.tau.mcse_mean": "Monte-Carlo error, the unit in which JAGS is compared",
    "te": "the data",
    "se": "the data",
}


def load(name: str) -> dict:
    return json.loads((ORACLES / f"{name}.json").read_text(encoding="utf-8"))


def cells(node: object, prefix: str = "") -> dict[str, float]:
    """Name and value of each number; missing numbers too, text not."""
    if isinstance(node, dict):
        return {name: value for key, part in node.items() for name, value in cells(part, f"{prefix}{key}.").items()}
    if isinstance(node, list):
        return {name: value for k, part in enumerate(node) for name, value in cells(part, f"{prefix}{k}.").items()}
    return {} if isinstance(node, str | bool) else {prefix[:-1]: np.nan if node is None else float(node)}


def listed(name: str) -> bool:
    return any(name.startswith(start) for start in NOT_COMPARED if start.endswith(".")) or any(
        name == start or name.startswith(f"{start}.") for start in NOT_COMPARED
    )


# ---------------------------------------------------------------- networks


def network_fit(name: str):
    data = load(name)
    rows = pd.DataFrame(data["input"]).rename(columns={"studlab": "study", "TE": "te", "seTE": "se"})
    return data, fit_bayes(rows, half_normal(data["meta"]["prior_tau_scale"]))


FITS = {name: network_fit(name) for name in NETWORKS}


def contrast_cells(post, table: dict, prefix: str) -> dict[str, float]:
    frames = {
        "mean": post.te,
        "sd": post.sd,
        "q025": post.lower,
        "median": post.median,
        "q975": post.upper,
        "pred_q025": post.predict_lower,
        "pred_q975": post.predict_upper,
        "prob_below_0": post.p_better("lower"),
    }
    pairs = list(zip(table["treat1"], table["treat2"], strict=True))
    return {
        f"{prefix}.{field}.{k}": frames[field].at[pair]
        for field in table
        if field in frames
        for k, pair in enumerate(pairs)
    }


def tau_cells(post, prefix: str) -> dict[str, float]:
    moments = {"mean": post.tau_mean, "sd": post.tau_sd}
    return {
        f"{prefix}.{key}": value
        for key, value in (moments | {k: post.tau_quantile(p) for k, p in QUANTILES.items()}).items()
    }


def matrix_cells(table: np.ndarray, prefix: str) -> dict[str, float]:
    return {f"{prefix}.{i}.{j}": value for (i, j), value in np.ndenumerate(table)}


def exact_cells(data: dict, post) -> dict[str, float]:
    trts = data["trts"]
    got = {"exact.log_evidence": post.log_marginal, "exact.tau.integral": post.tau_below(1e3)}
    got |= contrast_cells(post, data["exact"]["contrasts"], "exact.contrasts") | tau_cells(post, "exact.tau")
    got |= {f"exact.sucra.{k}": post.sucra("lower")[name] for k, name in enumerate(trts)}
    return got | matrix_cells(post.p_better("lower").loc[trts, trts].to_numpy(), "exact.prob_better")


def sampled_cells(data: dict, post) -> dict[str, tuple[float, float]]:
    """What JAGS estimates, and its Monte-Carlo error: given for means and SUCRA, else from the effective sample
    size."""
    jags, trts = data["jags"], data["trts"]

    def errors(mean_error: float, sd: float, density) -> dict[str, float]:
        size = (sd / mean_error) ** 2
        # Of an SD: by the fourth moment of a normal distribution, with room for the mixture's longer tails.
        return {"mean": mean_error, "sd": 1.5 * sd / np.sqrt(2 * size)} | {
            key: np.sqrt(p * (1 - p) / size) / density(key) for key, p in QUANTILES.items()
        }

    got = {}
    table = jags["contrasts"]
    ours = contrast_cells(post, table, "jags.contrasts")
    for k, pair in enumerate(zip(table["treat1"], table["treat2"], strict=True)):
        error = errors(
            table["mcse_mean"][k], post.sd.at[pair], lambda key, pair=pair, k=k: post.density(*pair, table[key][k])
        )
        got |= {f"jags.contrasts.{key}.{k}": (ours[f"jags.contrasts.{key}.{k}"], error[key]) for key in error}
    tau = jags["tau"]
    error = errors(tau["mcse_mean"], post.tau_sd, lambda key: post.tau_density(tau[key]))
    got |= {name: (value, error[name.rsplit(".", 1)[1]]) for name, value in tau_cells(post, "jags.tau").items()}
    sucra = post.sucra("lower")
    got |= {f"jags.sucra.{k}": (sucra[name], jags["sucra_mcse"][k]) for k, name in enumerate(trts)}
    ranks = post.rank_probabilities("lower").loc[trts]
    p = np.clip(ranks.to_numpy(), 1e-3, 1 - 1e-3)
    # Ranks mix about as fast as SUCRA; ours have a sampling error too.
    size = np.median((post.sd.to_numpy()[np.triu_indices(len(trts), 1)] / np.array(table["mcse_mean"])) ** 2)
    error = np.sqrt(p * (1 - p) / size + ranks.attrs["max_standard_error"] ** 2)
    return got | {
        name: (value, error[tuple(map(int, name.split(".")[2:]))])
        for name, value in matrix_cells(ranks.to_numpy(), "jags.rank_prob").items()
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_exact_results_to_1e10(name):
    data, post = FITS[name]
    expected = cells(data)
    for cell, value in exact_cells(data, post).items():
        assert value == pytest.approx(expected[cell], rel=1e-10, abs=1e-11, nan_ok=True), cell


@pytest.mark.parametrize("name", NETWORKS)
def test_jags_within_four_monte_carlo_errors(name):
    data, post = FITS[name]
    expected = cells(data)
    for cell, (value, error) in sampled_cells(data, post).items():
        assert abs(value - expected[cell]) < 4 * error, cell


@pytest.mark.parametrize("name", NETWORKS)
def test_every_cell_of_a_network_is_compared_or_listed(name):
    data, post = FITS[name]
    compared = set(exact_cells(data, post)) | set(sampled_cells(data, post))
    assert {cell for cell in cells(data) if cell not in compared and not listed(cell)} == set()
    assert not {cell for cell in compared if listed(cell)}


# ---------------------------------------------------------------- one comparison

PAIRWISE = load("bayes_pairwise")
SETS = [(name, key) for name, part in PAIRWISE.items() if name != "meta" for key in part if "__" in key]


def pairwise_fit(name: str, key: str):
    data = PAIRWISE[name]
    rows = pd.DataFrame(
        {
            "study": [f"s{k:02}" for k in range(len(data["te"]))],
            "treat1": "A",
            "treat2": "B",
            "te": data["te"],
            "se": data["se"],
        }
    )
    effect, tau = key.split("__")
    return fit_bayes(rows, PRIORS[tau], effect_sd=EFFECT_SD[effect])


def of_pair(frame: pd.DataFrame) -> float:
    return frame.at["A", "B"]


def quadrature_cells(post, key: str, expected: dict) -> dict[str, float]:
    got = {
        f"{key}.mu.mean": of_pair(post.te),
        f"{key}.mu.sd": of_pair(post.sd),
        f"{key}.predictive.mean": of_pair(post.te),
    }
    # Given tau a new study adds tau squared to the variance.
    got[f"{key}.predictive.sd"] = np.sqrt(of_pair(post.sd) ** 2 + post.tau_mean**2 + post.tau_sd**2)
    for name, p in QUANTILES.items():
        got[f"{key}.mu.{name}"] = of_pair(post.quantile(p))
        got[f"{key}.predictive.{name}"] = of_pair(post.quantile(p, predictive=True))
    got |= tau_cells(post, f"{key}.tau")
    got |= {
        f"{key}.prob_mu_below_0": of_pair(post.p_better("lower")),
        f"{key}.prob_predictive_below_0": of_pair(post.p_better("lower", predictive=True)),
        f"{key}.log_marginal": post.log_marginal,
        f"{key}.integral": post.tau_below(1e9),
    }
    at, density = np.array(expected["density_mu"]["x"]), post.density("A", "B", expected["density_mu"]["x"])
    # The places are the mean and fixed distances from it.
    places = of_pair(post.te) + np.array([-0.5, -0.2, 0, 0.2, 0.5])
    got |= {f"{key}.density_mu.d.{k}": density[k] for k in range(len(at))}
    got |= {f"{key}.density_mu.x.{k}": places[k] for k in range(len(at))}
    studies = post.study_effects()
    for column in ("mean", "sd"):
        got |= {f"{key}.shrinkage_{column}.{k}": value for k, value in enumerate(studies[column])}
    return got


def mode(density, low: float, high: float) -> float:
    grid = np.linspace(low, high, 401)
    best = int(np.argmax(density(grid)))
    ends = grid[max(best - 1, 0)], grid[min(best + 1, 400)]
    return float(
        scipy.optimize.minimize_scalar(
            lambda x: -density(np.array(x)), bounds=ends, method="bounded", options={"xatol": 1e-9}
        ).x
    )


def bayesmeta_cells(post, key: str) -> dict[str, tuple[float, float]]:
    """Our number and the posterior SD that the tolerance is in."""
    exact, result = quadrature_cells(post, key, PAIRWISE["bcg_or"]["mu_flat__half_normal_1"]), {}
    for what in ("mu", "tau", "predictive"):
        sd = exact[f"{key}.{what}.sd"]
        for field in ("mean", "sd", *QUANTILES):
            result[f"{key}.bayesmeta.{what}.{field}"] = exact[f"{key}.{what}.{field}"], sd
        if what == "tau":
            top = mode(lambda t: post.tau_density(np.maximum(t, 1e-9)), 0, post.tau_quantile(0.99))
        else:
            predictive = what == "predictive"
            low, high = (of_pair(post.quantile(p, predictive=predictive)) for p in (0.1, 0.9))
            top = mode(lambda x, predictive=predictive: post.density("A", "B", x, predictive=predictive), low, high)
        result[f"{key}.bayesmeta.{what}.mode"] = top, sd
    return result


@pytest.fixture(scope="module")
def pairwise_fits():
    return {place: pairwise_fit(*place) for place in SETS}


@pytest.mark.parametrize("name, key", SETS)
def test_one_comparison_to_1e9(pairwise_fits, name, key):
    expected = cells(PAIRWISE[name])
    for cell, value in quadrature_cells(pairwise_fits[name, key], key, PAIRWISE[name][key]).items():
        assert value == pytest.approx(expected[cell], rel=1e-9, abs=1e-10), cell


@pytest.mark.parametrize("name, key", SETS)
def test_bayesmeta_to_its_grid(pairwise_fits, name, key):
    expected, few = cells(PAIRWISE[name]), len(PAIRWISE[name]["te"]) < 7
    for cell, (value, sd) in bayesmeta_cells(pairwise_fits[name, key], key).items():
        assert abs(value - expected[cell]) < (8e-3 if few else 5e-4) * sd, cell


@pytest.mark.parametrize("name", [name for name in PAIRWISE if name != "meta"])
def test_every_cell_of_a_comparison_is_compared_or_listed(pairwise_fits, name):
    compared = set()
    for key in (key for owner, key in SETS if owner == name):
        post = pairwise_fits[name, key]
        compared |= set(quadrature_cells(post, key, PAIRWISE[name][key])) | set(bayesmeta_cells(post, key))
    assert {cell for cell in cells(PAIRWISE[name]) if cell not in compared and not listed(cell)} == set()


@pytest.mark.parametrize("name", [*NETWORKS, "bayes_pairwise"])
def test_the_validation_chapter_s_rows_agree_and_notice_a_change(name, tmp_path):
    table = compare_bayes(ORACLES / f"{name}.json")
    compared = table[table["reason"] == ""]
    assert compared["agrees"].all() and compared["tolerance"].le(1e-9).all() and compared["cells"].sum() > 300
    changed = load(name)
    place = changed["exact"] if name in NETWORKS else changed["three"]["mu_flat__uniform_0_2"]
    place["tau"]["mean"] *= 1 + 1e-8
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(changed), encoding="utf-8")
    again = compare_bayes(path)
    differs = again["field"][(again["reason"] == "") & ~again["agrees"]].tolist()
    assert differs == (["exact.tau.mean"] if name in NETWORKS else ["mu_flat__uniform_0_2"])


def test_every_bayes_file_is_compared():
    assert {path.stem for path in ORACLES.glob("bayes_*.json")} == {*NETWORKS, "bayes_pairwise"}


def test_reasons_are_all_needed():
    names = {name for file in (*NETWORKS,) for name in cells(load(file))} | {
        name for part in PAIRWISE.values() for name in cells(part)
    }
    assert all(any(name.startswith(start) for name in names) for start in NOT_COMPARED)
