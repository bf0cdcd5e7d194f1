"""Compare effects and pairwise meta-analyses with reference results from R."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from psps_paper.effects import mean_sd_from_quantiles, smd
from psps_paper.pairwise import egger_test, meta_analysis, robust_meta_analysis, three_level

# Closed formulas may differ by rounding only.
CLOSED = 1e-8
# Likelihoods are maximised by iteration; R stops at a relative change near this.
ITERATIVE = 1e-5
# R finds the Paule-Mandel root with uniroot(), whose default tolerance is eps^(1/4) = 1.2e-4 in
# tau2 (0.79 here); the equation itself is solved to 1e-12 in tests/test_against_metafor.py.
PAULE_MANDEL = 2e-4
TAU2_TOLERANCE = {"DL": CLOSED, "SJ": CLOSED, "HE": CLOSED, "REML": ITERATIVE, "ML": ITERATIVE}
TAU2_METHODS = ("DL", "REML", "ML", "PM", "SJ", "HE")
SMD_CONVENTIONS = {
    "smd_meta_hedges": {"correction": "exact", "variance": "unbiased"},
    "smd_meta_hedges_exact": {"correction": "exact", "variance": "unbiased"},
    "smd_meta_cohen": {"correction": "none", "variance": "unbiased"},
}

# Fields of the three files that are not results, with the reason.
NOT_COMPARED = {
    "pairwise_normand1999": {
        "meta": "source, call and versions",
        "arms": "input",
    },
    "multilevel_konstantopoulos2011": {
        "meta": "source, call and versions",
        "yi": "input",
        "vi": "input",
        "district": "input",
        "study": "input: one label per estimate, which is the within-district level",
    },
    "wan2014": {"meta": "source, call and versions", "input": "input"},
}


def compare_pairwise_with_oracles(folder: str | Path) -> pd.DataFrame:
    """Find the largest differences from the reference results, one row per field.

    Parameters
    ----------
    folder : path
        Holds pairwise_normand1999.json, multilevel_konstantopoulos2011.json and wan2014.json.

    Returns
    -------
    DataFrame [oracle, field, max_abs_diff, max_rel_diff, tolerance]
        ``max_rel_diff`` is relative to the field's largest absolute value; a field agrees if it is at
        most ``tolerance``. A field "..., at its tau2" was computed with tau2 fixed at the reference
        value, which separates the pooling from the search for tau2.
    """
    rows = []
    for name, compute in COMPARISONS.items():
        oracle = json.loads((Path(folder) / f"{name}.json").read_text(encoding="utf-8"))
        for field, ours, tolerance in compute(oracle):
            expected = oracle
            for key in field.split(",")[0].split("."):
                expected = expected[key]
            expected = np.asarray(expected, float)
            difference = np.abs(np.asarray(ours, float) - expected).max()
            relative = difference / np.abs(expected).max()
            rows.append((name, field, difference, relative, tolerance))
    columns = ["oracle", "field", "max_abs_diff", "max_rel_diff", "tolerance"]
    return pd.DataFrame(rows, columns=columns)


Field = tuple[str, object, float]


def _normand(oracle: dict) -> Iterator[Field]:
    arms = {name: np.asarray(values, float) for name, values in oracle["arms"].items()}
    groups = {name.replace("m", "mean"): values for name, values in arms.items()}
    te, se = smd(**groups)
    yield "smd_metafor.yi", te, CLOSED
    yield "smd_metafor.vi", se**2, CLOSED
    for name, convention in SMD_CONVENTIONS.items():
        effect = smd(**groups, **convention)
        yield f"{name}.TE", effect.te, CLOSED
        yield f"{name}.seTE", effect.se, CLOSED
    for method in TAU2_METHODS:
        tolerance = TAU2_TOLERANCE.get(method, PAULE_MANDEL)
        yield from _rma(te, se, method, f"rma_{method}", tolerance, "")
        theirs = oracle[f"rma_{method}"]["tau2"]
        yield from _rma(te, se, theirs, f"rma_{method}", CLOSED, ", at its tau2")
    egger = egger_test(te, se)
    yield from (
        ("egger_lm.t", egger.t, CLOSED),
        ("egger_lm.df", egger.df, CLOSED),
        ("egger_lm.p", egger.p, CLOSED),
        ("egger_meta.bias", egger.bias, CLOSED),
        ("egger_meta.se", egger.se, CLOSED),
        ("egger_meta.t", egger.t, CLOSED),
        ("egger_meta.p", egger.p, CLOSED),
    )


def _rma(te, se, tau2, name: str, tolerance: float, suffix: str) -> Iterator[Field]:
    # metafor's prediction interval uses the normal quantile unless Hartung-Knapp is on.
    fit = meta_analysis(te, se, tau2, prediction_df="normal")
    hartung_knapp = meta_analysis(te, se, tau2, hartung_knapp=True)
    values = {
        "b": fit.te,
        "se": fit.se,
        "ci_lb": fit.lower,
        "ci_ub": fit.upper,
        "tau2": fit.tau2,
        "I2": 100 * fit.i2_tau2,
        "QE": fit.q,
        "pi_lb": fit.predict_lower,
        "pi_ub": fit.predict_upper,
        "hk_se": hartung_knapp.se,
        "hk_ci_lb": hartung_knapp.lower,
        "hk_ci_ub": hartung_knapp.upper,
    }
    for field, value in values.items():
        if not (suffix and field in ("tau2", "QE")):
            yield f"{name}.{field}{suffix}", value, tolerance


def _konstantopoulos(oracle: dict) -> Iterator[Field]:
    te, se = np.asarray(oracle["yi"]), np.sqrt(oracle["vi"])
    nested = three_level(te, se, oracle["district"])
    robust = robust_meta_analysis(te, se, oracle["district"], rho=0.8)
    yield from (
        ("three_level.b", nested.te, ITERATIVE),
        ("three_level.se", nested.se, ITERATIVE),
        ("three_level.sigma2", [nested.sigma2_between, nested.sigma2_within], ITERATIVE),
        ("three_level.QE", nested.q, CLOSED),
        ("three_level.logLik", nested.log_likelihood, CLOSED),
        ("rve_corr.b", robust.te, CLOSED),
        ("rve_corr.se", robust.se, CLOSED),
        ("rve_corr.df", robust.df, CLOSED),
        ("rve_corr.p", robust.p, CLOSED),
        ("rve_corr.tau2", robust.tau2, CLOSED),
    )


def _wan(oracle: dict) -> Iterator[Field]:
    given = oracle["input"]
    quartiles = {"q1": given["q1"], "q3": given["q3"]}
    extremes = {"minimum": given["mi"], "maximum": given["ma"]}
    for name, values in (
        ("iqr", quartiles),
        ("range", extremes),
        ("both", quartiles | extremes),
    ):
        estimate = mean_sd_from_quantiles(given["n"], given["med"], **values)
        yield f"{name}.mean", estimate.mean, CLOSED
        yield f"{name}.sd", estimate.sd, CLOSED


COMPARISONS = {
    "pairwise_normand1999": _normand,
    "multilevel_konstantopoulos2011": _konstantopoulos,
    "wan2014": _wan,
}
