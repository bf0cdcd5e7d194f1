"""Meta-regression, subgroups and small-sample intervals against metafor and meta.

tests/oracles/metareg.json, subgroups.json (validation/metareg.R) and pairwise_options.json
(validation/pairwise_options.R).
"""

import numpy as np
import pandas as pd
import pytest
from scipy.special import stdtrit

from oracle_cells import Cells, at
from psps_paper.network.heterogeneity import i_squared
from psps_paper.pairwise import (
    generalised_q_meta_analysis,
    meta_regression,
    small_sample_meta_analysis,
    subgroup_analysis,
    tau2_interval,
)
from psps_paper.pairwise.between_variance import full_log_likelihood
from psps_paper.pairwise.regression import design

# README of the reference results: 1e-8 and 1e-7 (REML, ML, PM); bounds of tau2 1e-6 against rma, 2e-3 against metagen,
# whose lower bound of raudenbush1985 by J is 2.03e-3 off. A tau2 below 1e-9 means 0.
TOLERANCE, BOUND, METAGEN_BOUND = 1e-7, 1e-6, 2.5e-3
LISTED_REGRESSION = {
    "*/yi": "the data",
    "*/vi": "the data",
    "*/mods/*": "the data",
    "*/new/*": "the data",
}
LISTED_SUBGROUPS = {"*/te": "the data", "*/se": "the data"}
ONE_DF = (
    "meta gives I2 a test-based interval with one degree of freedom, where netmeta and Higgins & Thompson 2002 have"
    " none"
)
LISTED_OPTIONS = {
    "*/te": "the data",
    "*/se": "the data",
    "two/meta_*/lower_I2": ONE_DF,
    "two/meta_*/upper_I2": ONE_DF,
    "*/tau2_ci_PL_REML/*_tau2": (
        "metagen 6.2-1 returns the Q-profile interval under this name; rma_*/confint_profile_likelihood is compared"
    ),
    "two/rma_GENQ_*/confint_GENQ": "the upper bound 100 is where metafor stops searching",
}


def number(value) -> float:
    value = value[0] if isinstance(value, list) else value
    return np.nan if value is None else value


def compare_regression(book: Cells, name: str) -> None:
    data = book.data[name]
    moderators, new = pd.DataFrame(data["mods"]), pd.DataFrame(data["new"])
    for method in ("REML", "DL", "ML", "PM", "FE"):
        for test in data.get(method, {}):
            fit = meta_regression(
                data["yi"], np.sqrt(data["vi"]), moderators, method, "z" if test == "z" else "knapp-hartung"
            )
            table = fit.coefficients
            first, second = fit.df_moderators
            cells = {
                "b": table["estimate"],
                "se": table["se"],
                "stat": table["estimate"] / table["se"],
                "pval": table["p"],
                "ci_lb": table["lower"],
                "ci_ub": table["upper"],
                "vcov": fit.covariance,
                "tau2": fit.tau2,
                "se_tau2": fit.se_tau2,
                "tau2_without_mods": fit.tau2_without_moderators,
                "R2": 100 * fit.r2,
                "I2": 100 * fit.i2,
                "H2": fit.h2,
                "QE": fit.q_residual,
                "QE_df": fit.df_residual,
                "QEp": fit.p_residual,
                "QM": fit.q_moderators,
                "QM_df": [first, np.nan if np.isinf(second) else second],
                "QMp": fit.p_moderators,
                "logLik": fit.log_likelihood,
            }
            predicted = fit.predict(new)
            columns = {
                "pred": "te",
                "se": "se",
                "ci_lb": "lower",
                "ci_ub": "upper",
                "pi_lb": "predict_lower",
                "pi_ub": "predict_upper",
            }
            cells |= {f"predict/{cell}": predicted[column] for cell, column in columns.items()}
            for cell, ours in cells.items():
                book.check(f"{name}/{method}/{test}/{cell}", ours, TOLERANCE, 1e-9)
    book.check(f"{name}/design", design(moderators, fit.levels), 0)
    book.check(f"{name}/new_design_without_intercept", design(new, fit.levels).iloc[:, 1:], 0)


def compare_subgroups(book: Cells, name: str) -> None:
    data = book.data[name]
    for field, cells in data.items():
        if not isinstance(cells, dict):
            continue
        knapp = field.endswith("HK")
        fit = subgroup_analysis(
            data["te"], data["se"], data["group"], field.split("_")[0], "common" in field, hartung_knapp=knapp
        )
        groups = fit.groups
        assert list(groups.index) == cells["groups"]
        same = {
            "k": "k",
            "TE_random": "te",
            "seTE_random": "se",
            "lower_random": "lower",
            "upper_random": "upper",
            "TE_common": "te_common",
            "seTE_common": "se_common",
            "tau2": "tau2",
            "Q": "q",
            "pval_Q": "p_q",
            "I2": "i2",
            "lower_predict": "predict_lower",
            "upper_predict": "predict_upper",
        }
        ours = {cell: groups[column] for cell, column in same.items()}
        overall = fit.overall
        ours |= {
            "Q_between_common": fit.q_between_common,
            "Q_within_common": fit.q_within,
            "df_between": fit.df_between,
            "p_between_common": fit.p_between_common,
            "Q_between_random": fit.q_between,
            "p_between_random": fit.p_between,
            "tau2_within": fit.tau2_within,
            "Q_resid": fit.q_within,
            "overall/TE_random": overall.te,
            "overall/seTE_random": overall.se,
            "overall/tau2": overall.tau2,
            "overall/Q": overall.q,
            "df_HK": groups["k"] - 1,
        }
        for cell, value in ours.items():
            book.check(f"{name}/{field}/{cell}", value, TOLERANCE, 1e-9)


def metagen_options(field: str) -> dict:
    _, kind, *rest = field.split("_")
    if kind == "HK":
        return {"method": "hartung-knapp", "ad_hoc": rest[0] if len(rest) == 2 else "none"}
    if kind == "predict":
        method = {"HK": "hartung-knapp", "KR": "kenward-roger"}.get(rest[0], "classic")
        return {"method": method, "prediction": rest[0]}
    return {"method": {"classic": "classic", "KR": "kenward-roger"}[kind]}


def compare_metagen(book: Cells, path: str, te, se) -> None:
    field = path.split("/")[1]
    method = field.split("_")[-1]
    fit = small_sample_meta_analysis(te, se, method, **metagen_options(field))
    i2, low, high = (x[0] for x in i_squared(np.array([fit.q]), fit.df_q, 0.95))
    knapp = fit.method == "hartung-knapp"
    profile = tau2_interval(te, se, "J" if method == "DL" else "QP")
    cells = {
        "TE": fit.te,
        "seTE": fit.se,
        "lower": fit.lower,
        "upper": fit.upper,
        "stat": fit.te / fit.se,
        "p": fit.p,
        "df": np.nan if np.isinf(fit.df) else fit.df,
        "df_hakn": fit.k - 1 if knapp else np.nan,
        "seTE_hakn_unadjusted": fit.se_hartung_knapp,
        "tau2": fit.tau2,
        "se_tau2": fit.se_tau2,
        "seTE_predict": fit.se_predict,
        "df_predict": np.nan if np.isinf(fit.df_predict) else fit.df_predict,
        "lower_predict": fit.predict_lower,
        "upper_predict": fit.predict_upper,
        "seTE_classic": fit.se_classic,
        "seTE_KR": fit.se_kenward_roger,
        "df_KR": fit.df_kenward_roger,
        "Q": fit.q,
        "I2": i2,
        "lower_I2": low,
        "upper_I2": high,
        "H": fit.h,
        "Rb": fit.rb,
    }
    for cell, ours in cells.items():
        book.check(f"{path}/{cell}", ours, TOLERANCE, 1e-9)
    for cell, ours in {"lower_tau2": profile.lower, "upper_tau2": profile.upper}.items():
        book.check(f"{path}/{cell}", ours, METAGEN_BOUND)


def compare_rma(book: Cells, path: str, te, se) -> None:
    method = path.split("_")[-1]
    fit = small_sample_meta_analysis(te, se, method, "classic", prediction="S")
    interval = tau2_interval(te, se, "QP", method)
    restricted, k = method == "REML", len(te)
    log_likelihood = full_log_likelihood(np.ones((k, 1)), te, se**2, fit.tau2, restricted=restricted)
    n = k - restricted
    corrected = 4 * max(n, 4) / (max(n, 4) - 3)  # of two parameters
    knapp, larger = (small_sample_meta_analysis(te, se, method, ad_hoc=a) for a in ("none", "se"))
    reach = stdtrit(k - 1, 0.975) * np.sqrt(fit.tau2 + knapp.se**2)
    cells = {
        "b": fit.te,
        "se": fit.se,
        "tau2": fit.tau2,
        "se_tau2": fit.se_tau2,
        "QE": fit.q,
        "I2": 100 * interval.i2,
        "H2": interval.h2,
        "logLik": log_likelihood,
        "AIC": 4 - 2 * log_likelihood,
        "BIC": 2 * np.log(n) - 2 * log_likelihood,
        "AICc": corrected - 2 * log_likelihood,
        "pi_lb": fit.predict_lower,
        "pi_ub": fit.predict_upper,
        "knha/se": knapp.se,
        "knha/ci_lb": knapp.lower,
        "knha/ci_ub": knapp.upper,
        "knha/pval": knapp.p,
        "knha/pi_lb": fit.te - reach,
        "knha/pi_ub": fit.te + reach,
        "adhoc/se": larger.se,
        "adhoc/ci_lb": larger.lower,
        "adhoc/ci_ub": larger.upper,
    }
    for cell, ours in cells.items():
        book.check(f"{path}/{cell}", ours, TOLERANCE, 1e-9)
    for kind, tau2_method in (("Qprofile", "QP"), ("profile_likelihood", "PL")):
        if tau2_method == "PL" and method not in ("ML", "REML"):
            continue
        found = tau2_interval(te, se, tau2_method, method)
        three = np.array([found.tau2, found.lower, found.upper])
        rows = {
            "tau2": three,
            "tau": np.sqrt(three),
            "I2": 100 * np.array([found.i2, found.i2_lower, found.i2_upper]),
            "H2": [found.h2, found.h2_lower, found.h2_upper],
        }
        for row, ours in rows.items():
            # metafor's profile starts from a tolerance of its own: a lower bound of 0 comes out as up to 1e-9
            book.check(f"{path}/confint_{kind}/{row}", ours, BOUND, 1e-7)


def compare_options(book: Cells, name: str) -> None:
    data = book.data[name]
    te, se = at(data["te"]), at(data["se"])
    for field in data:
        path = f"{name}/{field}"
        if field.startswith("meta_"):
            compare_metagen(book, path, te, se)
        elif field.startswith("tau2_ci"):
            found = tau2_interval(te, se, field.split("_")[2], field.split("_")[3])
            book.check(f"{path}/tau2", found.tau2, TOLERANCE, 1e-9)
            book.check(f"{path}/lower_tau2", found.lower, METAGEN_BOUND)
            book.check(f"{path}/upper_tau2", found.upper, METAGEN_BOUND)
        elif field.startswith("rma_GENQ"):
            found = generalised_q_meta_analysis(te, se, "1/se" if field.endswith("se") else "1/se^2")
            for cell, ours in {"tau2": found.tau2, "b": found.te, "se": found.se, "QE": found.q}.items():
                book.check(f"{path}/{cell}", ours, TOLERANCE, 1e-9)
            book.check(f"{path}/confint_GENQ", [found.tau2, found.tau2_lower, found.tau2_upper], METAGEN_BOUND)
        elif field.startswith("rma_"):
            compare_rma(book, path, te, se)


@pytest.fixture(scope="module")
def books() -> dict[str, Cells]:
    found = {}
    for name, listed, compare in (
        ("metareg", LISTED_REGRESSION, compare_regression),
        ("subgroups", LISTED_SUBGROUPS, compare_subgroups),
        ("pairwise_options", LISTED_OPTIONS, compare_options),
    ):
        found[name] = Cells(name, listed)
        for data_set in found[name].data:
            if data_set != "meta":
                compare(found[name], data_set)
    return found


@pytest.mark.parametrize("name", ["metareg", "subgroups", "pairwise_options"])
def test_every_cell_agrees(books, name):
    assert not books[name].differences


@pytest.mark.parametrize("name", ["metareg", "subgroups", "pairwise_options"])
def test_every_cell_is_compared_or_listed(books, name):
    books[name].assert_complete(__file__)
