"""Compare exact Bayesian fits with quadrature in R, field by field."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from psps_paper.bayes import Posterior, fit_bayes, half_cauchy, half_normal, uniform

# For a single comparison, the quadrature in R used fewer nodes.
NETWORK, COMPARISON = 1e-10, 1e-9
QUANTILES = {"q025": 0.025, "median": 0.5, "q975": 0.975}
EFFECT_SD = {"mu_flat": np.inf, "mu_normal_0_1": 1.0, "mu_normal_0_100": 100.0}
TAU_PRIORS = {
    "half_normal_0.5": half_normal(0.5),
    "half_normal_1": half_normal(1),
    "half_cauchy_0.5": half_cauchy(0.5),
    "half_cauchy_1": half_cauchy(1),
    "uniform_0_2": uniform(0, 2),
}
SAMPLED = "drawn by JAGS: compared within 4 Monte-Carlo errors in the tests"
GRID = "on bayesmeta's own grid: compared within its step in the tests"
COLUMNS = ["field", "cells", "max_abs_diff", "max_rel_diff", "tolerance", "agrees", "reason"]


def compare_bayes(path: Path) -> pd.DataFrame:
    """Find the largest differences from a reference file, one row per field.

    Parameters
    ----------
    path : Path
        ``bayes_nma_*.json`` or ``bayes_pairwise.json``.

    Returns
    -------
    DataFrame [field, cells, max_abs_diff, max_rel_diff, tolerance, agrees, reason]
        ``max_rel_diff`` is relative to the largest absolute value of a quantity. Sampled or gridded results are not
        compared here (``reason`` says why); tests/test_bayes_oracles.py compares every numeric cell.
    """
    data = json.loads(path.read_text(encoding="utf-8"))
    if "exact" in data:
        return pd.DataFrame(_network(data), columns=COLUMNS)
    compared = [row for name, part in data.items() if name != "meta" for row in _comparison(part)]
    rows = pd.DataFrame(compared, columns=COLUMNS)
    # One row per pair of priors, over all data sets and quantities, which are too many for a page.
    largest = {"cells": "sum", "agrees": "all", "reason": "first"} | dict.fromkeys(COLUMNS[2:5], "max")
    found = rows.groupby("field", sort=False, as_index=False).agg(largest)[COLUMNS]
    left_out = pd.DataFrame([_left_out("bayesmeta", GRID)], columns=COLUMNS)
    return pd.concat([found, left_out], ignore_index=True)


def _row(field: str, ours: object, theirs: object, tolerance: float) -> tuple:
    ours, theirs = np.atleast_1d(np.asarray(ours, float)), np.atleast_1d(np.asarray(theirs, float))
    given = ~np.isnan(theirs)
    difference = np.abs(ours[given] - theirs[given]).max()
    relative = difference / np.abs(theirs[given]).max()
    return field, int(given.sum()), difference, relative, tolerance, relative <= tolerance, ""


def _left_out(field: str, reason: str) -> tuple:
    return field, 0, np.nan, np.nan, np.nan, False, reason


def _tau(post: Posterior) -> dict[str, float]:
    moments = {"mean": post.tau_mean, "sd": post.tau_sd}
    return moments | {name: post.tau_quantile(p) for name, p in QUANTILES.items()}


def _network(data: dict) -> list[tuple]:
    rows = pd.DataFrame(data["input"]).rename(columns={"studlab": "study", "TE": "te", "seTE": "se"})
    post = fit_bayes(rows, half_normal(data["meta"]["prior_tau_scale"]))
    exact, names = data["exact"], data["trts"]
    frames = {
        "mean": post.te,
        "sd": post.sd,
        "q025": post.lower,
        "median": post.median,
        "q975": post.upper,
        "prob_below_0": post.p_better("lower"),
        "pred_q025": post.predict_lower,
        "pred_q975": post.predict_upper,
    }
    table = exact["contrasts"]
    pairs = list(zip(table["treat1"], table["treat2"], strict=True))
    found = [_row("exact.log_evidence", post.log_marginal, exact["log_evidence"], NETWORK)]
    for name, frame in frames.items():
        found.append(_row(f"exact.contrasts.{name}", [frame.at[pair] for pair in pairs], table[name], NETWORK))
    found.append(_row("exact.sucra", post.sucra("lower")[names], exact["sucra"], NETWORK))
    better = post.p_better("lower").loc[names, names].to_numpy()
    found.append(_row("exact.prob_better", better, np.array(exact["prob_better"], float), NETWORK))
    found += [_row(f"exact.tau.{name}", value, exact["tau"][name], NETWORK) for name, value in _tau(post).items()]
    return [*found, _left_out("jags", SAMPLED)]


def _comparison(part: dict) -> list[tuple]:
    labels = [f"study {k:02}" for k in range(len(part["te"]))]
    rows = pd.DataFrame({"study": labels, "treat1": "A", "treat2": "B", "te": part["te"], "se": part["se"]})
    found = []
    for key in (key for key in part if "__" in key):
        effect, tau = key.split("__")
        post, expected = fit_bayes(rows, TAU_PRIORS[tau], effect_sd=EFFECT_SD[effect]), part[key]
        own = post.study_effects()
        sd = post.sd.at["A", "B"]
        values = {
            "mu": (
                {"mean": post.te.at["A", "B"], "sd": sd}
                | {q: post.quantile(p).at["A", "B"] for q, p in QUANTILES.items()}
            ),
            "predictive": (
                {"mean": post.te.at["A", "B"], "sd": np.hypot(sd, np.hypot(post.tau_mean, post.tau_sd))}
                | {q: post.quantile(p, predictive=True).at["A", "B"] for q, p in QUANTILES.items()}
            ),
            "tau": _tau(post),
        }
        for what, numbers in values.items():
            theirs = [expected[what][column] for column in numbers]
            found.append(_row(key, list(numbers.values()), theirs, COMPARISON))
        singles = {
            "prob_mu_below_0": post.p_better("lower").at["A", "B"],
            "prob_predictive_below_0": post.p_better("lower", predictive=True).at["A", "B"],
            "log_marginal": post.log_marginal,
            "density_mu": post.density("A", "B", expected["density_mu"]["x"]),
            "shrinkage_mean": own["mean"],
            "shrinkage_sd": own["sd"],
        }
        for field, value in singles.items():
            theirs = expected[field]["d"] if field == "density_mu" else expected[field]
            found.append(_row(key, value, theirs, COMPARISON))
    return found
