"""Small-study effects against metafor, meta and metasens (tests/oracles/small_study.json, made by
validation/small_study.R)."""

import numpy as np
import pytest
from scipy.special import chdtrc, stdtr

from oracle_cells import Cells, at
from psps_paper.pairwise import (
    egger_test,
    limit_meta_analysis,
    meta_analysis,
    pet_peese,
    rank_test,
    selection_model,
    trim_and_fill,
)

# README of the reference results: 1e-9; selection models 1e-4 against R, 1e-6 against the own maximum. trimfill()
# refits REML with metafor's default tolerance, which decides the fifth digit; other REML and ML fits 1e-7.
CLOSED, REML, REML_TRIMMED, SELECTION, OWN = 1e-9, 1e-7, 1e-4, 1e-4, 1e-6
BOUNDARY = "tau2 is 0: its standard error and the relative size of a tiny number mean nothing"
LISTED = {
    "*/te": "the data",
    "*/se": "the data",
    "*/table/*": "the data",
    "*/selection/*/steps": "the data",
    "*/selection/fixed_weights_*/delta": "the data",
    "*/selection/beta/*": "the beta selection model is not offered",
    "*/tests/metabias_Harbord/*": "tests on two-by-two tables are not offered",
    "*/tests/metabias_Peters/*": "tests on two-by-two tables are not offered",
    "*/tests/metabias_Macaskill/*": "tests on two-by-two tables are not offered",
    "*/tests/metabias_Deeks/*": "tests on two-by-two tables are not offered",
    "*/tests/metabias_Schwarzer/*": "tests on two-by-two tables are not offered",
    "raudenbush1985/selection/*step*/tau2": BOUNDARY,
    "raudenbush1985/selection/*step*/se_tau2": BOUNDARY,
    "raudenbush1985/selection/*step*/own_maximum/tau2": BOUNDARY,
    "raudenbush1985/selection/fixed_weights_severe/tau2": BOUNDARY,
    "crowther2003/selection/three_steps_0.01_0.05_0.5/own_maximum/delta": (
        "an interval without studies: only logLik and mu are to be compared"
    ),
    "crowther2003/selection/two_steps_0.025_0.5/own_maximum/delta": (
        "an interval without studies: only logLik and mu are to be compared"
    ),
}
STEPS = {
    "one_step_0.025": [0.025],
    "one_step_0.05": [0.05],
    "two_steps_0.025_0.5": [0.025, 0.5],
    "three_steps_0.01_0.05_0.5": [0.01, 0.05, 0.5],
}


def compare_trimfill(book: Cells, path: str, te, se) -> None:
    for field, cells in book.data[path.split("/")[0]]["trimfill"].items():
        program, *rest = field.split("_")
        at_field = f"{path}/{field}"
        if program == "meta":
            fit = trim_and_fill(te, se, "DL", f"{rest[1]}0", trim_tau2="FE" if rest[2] == "common" else None)
            ours = {
                "k0": fit.k0,
                "TE_common": fit.te_common,
                "seTE_common": fit.se_common,
                "TE_random": fit.te,
                "seTE_random": fit.se,
                "tau2": fit.tau2,
                "Q": fit.q,
            }
            assert (fit.side == "left") == cells["left"]
        else:
            fit = trim_and_fill(te, se, rest[0], rest[1], None if rest[2] == "default" else rest[2])
            assert fit.side == cells["side"]
            filled = fit.filled.assign(v=fit.filled["se"] ** 2).sort_values(["te", "v"])
            ours = {
                "k0": fit.k0,
                "se_k0": fit.se_k0,
                "p_k0": fit.p_k0,
                "filled_te": filled["te"],
                "filled_v": filled["v"],
                "b": fit.te,
                "se": fit.se,
                "ci_lb": fit.lower,
                "ci_ub": fit.upper,
                "pval": fit.p,
                "tau2": fit.tau2,
                "QE": fit.q,
            }
        for cell, value in ours.items():
            book.check(
                f"{at_field}/{cell}",
                value,
                REML_TRIMMED if "REML" in field and fit.k0 else REML if "REML" in field else CLOSED,
            )


def compare_regressions(book: Cells, path: str, te, se) -> None:
    for method, tests in {
        "lm": ("z",),
        "FE": ("z",),
        "REML": ("z", "knha"),
        "DL": ("z", "knha"),
        "ML": ("z", "knha"),
    }.items():
        for test in tests:
            fit = pet_peese(te, se, "WLS" if method == "lm" else method, test="z" if test == "z" else "knapp-hartung")
            for name, one in (("PET", fit.pet), ("PEESE", fit.peese)):
                field = f"{path}/{name}_lm" if method == "lm" else f"{path}/{name}_{method}_{test}"
                b, s = np.array([one.te, one.slope]), np.array([one.se, one.se_slope])
                ours = {
                    "b": b,
                    "se": s,
                    "t": b / s,
                    "stat": b / s,
                    "pval": [one.p, one.p_slope],
                    "ci_lb": [one.lower, one.lower_slope],
                    "ci_ub": [one.upper, one.upper_slope],
                    "df": one.df,
                    "sigma": one.sigma,
                    "tau2": one.tau2,
                    "QE": one.q,
                    "QEp": chdtrc(len(te) - 2, one.q),
                    "logLik": one.log_likelihood,
                }
                for cell, value in ours.items():
                    book.check(f"{field}/{cell}", value, CLOSED if method in ("lm", "FE", "DL") else REML, 1e-9)


def compare_tests(book: Cells, path: str, te, se) -> None:
    k = len(te)
    test = rank_test(te, se)
    book.check(f"{path}/ranktest/tau", test.tau, CLOSED)
    book.check(f"{path}/ranktest/pval", test.p, CLOSED)
    book.check(f"{path}/ranktest_normal/tau", test.tau, CLOSED)
    book.check(f"{path}/ranktest_normal/pval", test.p_normal, CLOSED)
    begg = {"statistic": test.s / test.se_s, "pval": test.p_normal, "estimate": [test.s, test.se_s]}
    for cell, value in begg.items():
        book.check(f"{path}/metabias_Begg/{cell}", value, CLOSED)
    for method in ("lm", "FE", "DL", "REML"):
        fit = pet_peese(te, se, "WLS" if method == "lm" else method)
        for predictor, one in (("sei", fit.pet), ("vi", fit.peese)):
            name = f"regtest_lm_{predictor}" if method == "lm" else f"regtest_rma_{method}_{predictor}"
            statistic = one.slope / one.se_slope
            ours = {
                "t": statistic,
                "z": statistic,
                "df": k - 2,
                "pval": one.p_slope,
                "est": one.te,
                "ci_lb": one.lower,
                "ci_ub": one.upper,
            }
            for cell, value in ours.items():
                book.check(f"{path}/{name}/{cell}", value, REML if method == "REML" else CLOSED)
        if method in ("lm", "DL"):
            one, name = fit.pet, {"lm": "metabias_Egger", "DL": "metabias_Thompson"}[method]
            statistic = one.slope / one.se_slope
            ours = {
                "statistic": statistic,
                "df": k - 2,
                "pval": 2 * stdtr(k - 2, -abs(statistic)),
                "estimate": [one.slope, one.se_slope, one.te, one.se],
                "tau2": one.sigma**2 if method == "lm" else one.tau2,
            }
            for cell, value in ours.items():
                book.check(f"{path}/{name}/{cell}", value, CLOSED)


def compare_limits(book: Cells, path: str, te, se) -> None:
    for adjustment in ("beta0", "betalim", "mulim"):
        fit = limit_meta_analysis(te, se, adjustment)
        ours = {
            "TE_adjust": fit.te,
            "seTE_adjust": fit.se,
            "lower_adjust": fit.lower,
            "upper_adjust": fit.upper,
            "pval_adjust": fit.p,
            "alpha_r": fit.alpha,
            "beta_r": fit.beta,
            "Q": fit.q,
            "Q_small": fit.q_small,
            "Q_resid": fit.q_residual,
            "G_squared": fit.g2,
            "tau": np.sqrt(fit.tau2),
            "TE_limit": fit.studies["te_limit"],
        }
        for cell, value in ours.items():
            book.check(f"{path}/{adjustment}/{cell}", value, CLOSED)


def compare_selection(book: Cells, path: str, te, se) -> None:
    data = book.data[path.split("/")[0]]["selection"]
    alternative = data["alternative"]
    for field, steps in STEPS.items():
        fit = selection_model(te, se, steps, alternative)
        ours = {
            "b": fit.te,
            "se": fit.se,
            "ci_lb": fit.lower,
            "ci_ub": fit.upper,
            "pval": fit.p,
            "tau2": fit.tau2,
            "se_tau2": fit.se_tau2,
            "delta": fit.weights,
            "se_delta": fit.intervals["se"],
            "logLik": fit.log_likelihood,
            "LRT": fit.lrt,
            "LRT_df": fit.df_lrt,
            "LRTp": fit.p_lrt,
        }
        for cell, value in ours.items():
            book.check(f"{path}/{field}/{cell}", value, SELECTION)
        own = {
            "mu": fit.te,
            "tau2": fit.tau2,
            "delta": fit.weights,
            "logLik": fit.log_likelihood,
            "studies_per_interval": fit.intervals["studies"],
        }
        for cell, value in own.items():
            book.check(f"{path}/{field}/own_maximum/{cell}", value, OWN)
    for name in ("moderate", "severe"):
        field = data[f"fixed_weights_{name}"]
        fit = selection_model(te, se, field["steps"], alternative, weights=field["delta"])
        for cell, value in {"b": fit.te, "se": fit.se, "tau2": fit.tau2, "logLik": fit.log_likelihood}.items():
            book.check(f"{path}/fixed_weights_{name}/{cell}", value, SELECTION)


@pytest.fixture(scope="module")
def book() -> Cells:
    found = Cells("small_study", LISTED)
    for name, data in found.data.items():
        if name == "meta":
            continue
        te, se = at(data["te"]), at(data["se"])
        for part, compare in (
            ("trimfill", compare_trimfill),
            ("pet_peese", compare_regressions),
            ("tests", compare_tests),
            ("limitmeta", compare_limits),
            ("selection", compare_selection),
        ):
            compare(found, f"{name}/{part}", te, se)
    return found


def test_every_cell_agrees(book):
    assert not book.differences


def test_every_cell_is_compared_or_listed(book):
    book.assert_complete(__file__)


def test_egger_and_the_default_of_pet_are_one_regression(book):
    data = book.data["crowther2003"]
    egger, pet = egger_test(data["te"], data["se"]), pet_peese(data["te"], data["se"]).pet
    assert [pet.slope, pet.se_slope, pet.p_slope, pet.te] == pytest.approx(
        [egger.bias, egger.se, egger.p, egger.limit], rel=1e-10
    )
    assert limit_meta_analysis(data["te"], data["se"]).te_random == meta_analysis(data["te"], data["se"]).te
