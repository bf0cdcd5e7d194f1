"""Rare events, rates and proportions against meta and metafor (tests/oracles/rare_*.json, made by
validation/rare_events.R)."""

import numpy as np
import pytest
from scipy.special import ndtr

from oracle_cells import Cells
from psps_paper.effects import back_transform, effect_sizes, proportion_effect, proportion_interval
from psps_paper.pairwise import (
    binomial_normal,
    binomial_normal_proportion,
    mantel_haenszel,
    meta_analysis,
    peto,
    pool_about,
)
from test_against_escalc import aligned, arms_of

pytestmark = pytest.mark.slow

# README of the reference results: closed forms 1e-9; GLMM 1e-3 against R's optimiser; the own maximum 1e-6, its se
# 1e-4.
CLOSED, GLMM, OWN, OWN_SE = 1e-9, 1e-3, 1e-6, 1e-4
LME4 = (
    "the log-likelihood of lme4 fits has no binomial constants where tau2 is above 0 (README of the reference results)"
)
LISTED_BINARY = {
    "*/input/*": "the data",
    "*/glmm_UM.RS_ML/*": "random study effects by Laplace's approximation: not the exact likelihood, and not offered",
    "*/QE_Wld": (
        "Wald test of the saturated model, whose estimates are infinite at an empty cell; q is the likelihood-ratio"
        " test"
    ),
    "*/glmm_UM.FS_ML/logLik": LME4,
    "*/glmm_CM.AL_ML/logLik": LME4,
    "*/k_MH": "a count of studies that metabin() used",
}
LISTED_RATES = {
    "*/input/*": "the data",
    "*/k_MH": "a count of studies that metainc() used",
    "*/IRR_Cochran/*": "Cochran's crude ratio of pooled rates is not offered",
    "*/IRR_GLMM_*/Q": "Wald test of the saturated model; q is the likelihood-ratio test",
    "*/GLMM/Q": "Wald test of the saturated model; q is the likelihood-ratio test",
    "*/rma_glmm/logLik": LME4,
    "made_up_proportions/PLN/*": (
        "metaprop() adds 0.5 to n once, so that a study of events only gets variance 1/n - 1/(n + 0.5); "
        "ours adds it to events and non-events. Compared without such studies on bcg_controls"
    ),
    "made_up_proportions/study_ci_WSCC/*": (
        "metaprop() does not set the limits to 0 and 1 at 0 and n events, as Newcombe 1998 does: "
        "test_corrected_wilson_limits"
    ),
    "made_up_proportions/rma_glmm/*": "7 nodes are too few here: test_the_true_maximum_of_proportions",
    "made_up_proportions/GLMM/tau2": "7 nodes are too few here: test_the_true_maximum_of_proportions",
    "made_up_proportions/GLMM/TE_random": "as tau2",
    "made_up_proportions/GLMM/seTE_random": "as tau2",
    "made_up_proportions/GLMM/lower_random": "as tau2",
    "made_up_proportions/GLMM/upper_random": "as tau2",
    "made_up_proportions/GLMM/prop_random*": "as tau2",
}
CONTINUITY = {
    "only0": {},
    "allstudies": {"double_zero": "keep"},
    "incr0.1": {"increment": 0.1},
    "TACC": {"continuity": "treatment_arm"},
    "all": {"continuity": "all"},
    "if0all": {"continuity": "if0all"},
}


def pooled_cells(te, v, centre=None, **also) -> dict:
    """The fields of a meta object by inverse variance, or with Q about another common-effect estimate."""
    used = np.isfinite(te)
    fit = meta_analysis(te[used], np.sqrt(v[used]))
    common, q, tau2, random = (fit.te_common, fit.se_common), fit.q, fit.tau2, (fit.te, fit.se)
    if centre is not None:
        common = centre
        q, tau2, *random = pool_about(te[used], np.sqrt(v[used]), centre[0])
    z = 1.959963984540054
    cells = {
        "TE": te,
        "seTE": np.sqrt(v),
        "tau2": tau2,
        "Q": q,
        "df_Q": used.sum() - 1,
        "k": used.sum(),
        "k_all": len(te),
    }
    for name, (estimate, se) in {"common": common, "random": random}.items():
        cells |= {
            f"TE_{name}": estimate,
            f"seTE_{name}": se,
            f"lower_{name}": estimate - z * se,
            f"upper_{name}": estimate + z * se,
        }
    return cells | {"pval_common": 2 * ndtr(-abs(common[0] / common[1]))} | also


def check(book: Cells, path: str, cells: dict, tolerance: float = CLOSED) -> None:
    for cell, ours in cells.items():
        # A limit near 0 has no relative tolerance under R's optimiser.
        book.check(f"{path}/{cell}", ours, tolerance, tolerance / 2 if tolerance == GLMM else 1e-12)


def compare_tables(book: Cells, name: str) -> None:
    data = book.data[name]
    x = list(data["input"].values())
    arms = arms_of(data["input"], {"event": "events", "n": "n"})
    k = len(x[0])
    for measure in ("OR", "RR", "RD"):
        keep = "keep" if measure == "RD" else "drop"
        meta = {"rr_increments": 1, "correct_estimate": False}
        for kind, options in CONTINUITY.items():
            te, v = aligned(effect_sizes(arms, measure, **{"double_zero": keep, **meta, **options}), k)
            check(book, f"{name}/{measure}_Inverse_{kind}", pooled_cells(te, v))
        for kind, increment in (("incr", 0.5), ("exact", 0.0), ("exact_allstudies", 0.0)):
            fit = mantel_haenszel(*x, measure, increment=increment, variance="Greenland-Robins")
            zero = "keep" if kind.endswith("allstudies") else keep
            te, v = aligned(effect_sizes(arms, measure, double_zero=zero, **meta), k)
            check(book, f"{name}/{measure}_MH_{kind}", pooled_cells(te, v, (fit.te, fit.se)))
        fit = mantel_haenszel(*x, measure)
        cells = {
            "b": fit.te,
            "se": fit.se,
            "ci_lb": fit.lower,
            "ci_ub": fit.upper,
            "zval": fit.te / fit.se,
            "pval": fit.p,
            "QE": fit.q,
            "QEp": fit.p_q,
        }
        if measure == "OR":
            cells |= {"CMH": fit.cmh, "CMHp": fit.p_cmh, "tarone": fit.tarone, "tarone_p": fit.p_tarone}
        check(book, f"{name}/rma_mh_{measure}", cells)
    te, v = aligned(effect_sizes(arms, "AS"), k)
    check(book, f"{name}/ASD_Inverse", pooled_cells(te, v))
    fit = peto(*x)
    te, v = fit.studies["te"].to_numpy(), fit.studies["se"].to_numpy() ** 2
    for path in ("OR_Peto", "OR_Peto_allstudies"):
        check(book, f"{name}/{path}", pooled_cells(te, v, (fit.te, fit.se)))
    check(
        book,
        f"{name}/rma_peto",
        {"b": fit.te, "se": fit.se, "ci_lb": fit.lower, "ci_ub": fit.upper, "QE": fit.q, "QEp": fit.p_q},
    )


def compare_exact_models(book: Cells, name: str) -> None:
    x = list(book.data[name]["input"].values())
    for model, code in (("conditional", "CM.EL"), ("approximate", "CM.AL"), ("unconditional", "UM.FS")):
        fit = binomial_normal(*x, model=model)
        cells = {
            "b": fit.te,
            "se": fit.se,
            "ci_lb": fit.lower,
            "ci_ub": fit.upper,
            "tau2": fit.tau2,
            "logLik": fit.log_likelihood,
            "QE_LRT": fit.q,
            "QE_df": fit.df_q,
        }
        check(book, f"{name}/glmm_{code}_ML", cells, GLMM)
        z = 1.959963984540054
        cells |= {
            "b": fit.te_common,
            "se": fit.se_common,
            "tau2": 0.0,
            "logLik": fit.log_likelihood_common,
            "ci_lb": fit.te_common - z * fit.se_common,
            "ci_ub": fit.te_common + z * fit.se_common,
        }
        check(book, f"{name}/glmm_{code}_FE", cells, GLMM)
        if model == "conditional":
            path = f"{name}/glmm_CM.EL_ML_own_maximum"
            check(book, path, {"b": fit.te, "tau2": fit.tau2, "logLik": fit.log_likelihood}, OWN)
            book.check(f"{path}/se", fit.se, OWN_SE)


def compare_rates(book: Cells, name: str) -> None:
    data = book.data[name]
    x = list(data["input"].values())
    arms = arms_of(data["input"], {"event": "events", "time": "time"})
    k = len(x[0])
    for field, measure, options in (
        ("IRR_Inverse", "IRR", {}),
        ("IRD_Inverse", "IRD", {"correct_estimate": False}),
        ("IRSD_Inverse", "IRSD", {}),
        ("IRR_Inverse_all", "IRR", {"continuity": "all"}),
        ("IRR_MH", "IRR", {}),
        ("IRD_MH", "IRD", {"correct_estimate": False}),
    ):
        te, v = aligned(effect_sizes(arms, measure, **options), k)
        cells = pooled_cells(te, v)
        if field.endswith("MH"):  # metainc() takes Q and tau2 from inverse variance here
            fit = mantel_haenszel(*x, measure)
            cells |= {
                "TE_common": fit.te,
                "seTE_common": fit.se,
                "lower_common": fit.lower,
                "upper_common": fit.upper,
                "pval_common": fit.p,
            }
            check(
                book,
                f"{name}/rma_mh_{measure}",
                {"b": fit.te, "se": fit.se, "ci_lb": fit.lower, "ci_ub": fit.upper, "QE": fit.q, "QEp": fit.p_q},
            )
        check(book, f"{name}/{field}", cells)
    te, v = aligned(effect_sizes(arms, "IRR"), k)
    for model, code in (("conditional", "CM.EL"), ("unconditional", "UM.FS")):
        fit = binomial_normal(*x, measure="IRR", model=model)
        check(book, f"{name}/IRR_GLMM_{code}", exact_cells(fit, te, v), GLMM)


def exact_cells(fit, te, v) -> dict:
    """Cells of a meta object by GLMM; study effects by inverse variance."""
    z = 1.959963984540054
    common = (fit.te_common - z * fit.se_common, fit.te_common + z * fit.se_common)
    return pooled_cells(
        te,
        v,
        TE_common=fit.te_common,
        seTE_common=fit.se_common,
        lower_common=common[0],
        upper_common=common[1],
        TE_random=fit.te,
        seTE_random=fit.se,
        lower_random=fit.lower,
        upper_random=fit.upper,
        tau2=fit.tau2,
        pval_common=_p(fit.te_common / fit.se_common),
    )


def _p(z: float) -> float:
    return float(2 * ndtr(-abs(z)))


def compare_proportions(book: Cells, name: str) -> None:
    x, n = (np.array(v, float) for v in book.data[name]["input"].values())
    harmonic = 1 / (1 / n).mean()
    for field, measure in (("PLOGIT", "PLO"), ("PAS", "PAS"), ("PFT", "PFT"), ("PLN", "PLN"), ("PRAW", "PR")):
        te, se = proportion_effect(x, n, measure, correct_estimate=False)
        cells = pooled_cells(te, se**2)
        size = {"n": harmonic} if measure == "PFT" else {}

        def back(value, measure=measure, size=size):
            return back_transform(value, measure, **size)

        for kind in ("common", "random"):
            cells[f"prop_{kind}"] = back(cells[f"TE_{kind}"])
            cells[f"prop_{kind}_ci"] = back([cells[f"lower_{kind}"], cells[f"upper_{kind}"]])
        lower, upper = proportion_interval(x, n)
        check(
            book,
            f"{name}/{field}",
            cells | {"harmonic_mean_n": harmonic, "study_ci_lower_CP": lower, "study_ci_upper_CP": upper},
        )
    for method in ("WS", "AC", "WSCC", "SA", "SACC", "NAsm"):
        limits = proportion_interval(x, n, method)
        if method == "NAsm":
            limits = [back_transform(limit, "PLO") for limit in limits]
        check(book, f"{name}/study_ci_{method}", {"lower": limits[0], "upper": limits[1]})
    fit = binomial_normal_proportion(x, n)
    te, se = proportion_effect(x, n)
    cells = exact_cells(fit, te, se**2)
    cells |= {
        "prop_common": back_transform(fit.te_common, "PLO"),
        "prop_random": back_transform(fit.te, "PLO"),
        "prop_random_ci": back_transform([fit.lower, fit.upper], "PLO"),
    }
    check(book, f"{name}/GLMM", cells, GLMM)
    check(book, f"{name}/rma_glmm", {"b": fit.te, "se": fit.se, "tau2": fit.tau2}, GLMM)


TABLES = ("bcg", "nielweise2007", "lee2004", "double_zeros")
RATES, PROPORTIONS = ("hart1999", "nielweise2008"), ("made_up_proportions", "bcg_controls")


@pytest.fixture(scope="module")
def binary() -> Cells:
    book = Cells("rare_binary", LISTED_BINARY)
    for name in TABLES:
        compare_tables(book, name)
        compare_exact_models(book, name)
    return book


@pytest.fixture(scope="module")
def rates() -> Cells:
    book = Cells("rare_rates_proportions", LISTED_RATES)
    for name in RATES:
        compare_rates(book, name)
    for name in PROPORTIONS:
        compare_proportions(book, name)
    return book


@pytest.mark.parametrize("name", ["binary", "rates"])
def test_every_cell_agrees(name, request):
    assert not request.getfixturevalue(name).differences


@pytest.mark.parametrize("name", ["binary", "rates"])
def test_every_cell_is_compared_or_listed(name, request):
    book = request.getfixturevalue(name)
    book.assert_complete(__file__)


@pytest.mark.parametrize(
    "name, te, tau2",  # README of the reference results, rare_rates_proportions: 2001 nodes
    [("made_up_proportions", -0.964066, 9.7411), ("bcg_controls", -4.115780, 2.50303)],
)
def test_the_true_maximum_of_proportions(rates, name, te, tau2):
    fit = binomial_normal_proportion(*rates.data[name]["input"].values())
    assert fit.te == pytest.approx(te, abs=6e-7)
    assert fit.tau2 == pytest.approx(tau2, rel=6e-6)


def test_corrected_wilson_limits(rates):
    """Newcombe 1998, method 4: the limit is 0 at no events and 1 at only events; elsewhere as metaprop()."""
    x, n = (np.array(v, float) for v in rates.data["made_up_proportions"]["input"].values())
    lower, upper = proportion_interval(x, n, "WSCC")
    theirs = rates.data["made_up_proportions"]["study_ci_WSCC"]
    assert (lower[x == 0] == 0).all() and (upper[x == n] == 1).all()
    np.testing.assert_allclose(lower[x > 0], np.array(theirs["lower"])[x > 0], rtol=CLOSED)
    np.testing.assert_allclose(upper[x < n], np.array(theirs["upper"])[x < n], rtol=CLOSED)
