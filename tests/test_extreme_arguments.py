"""Every public function of the engine, with each numeric argument in turn replaced by an extreme value.

The call is refused with a ValueError of one line, or every number in the result that was finite before is still finite:
no warning, no other exception, no NaN. test_new_functions.py finds functions without a call; ``make long`` tries more
numbers.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import partial

import numpy as np
import pandas as pd
import pytest

from psps_paper import bayes, effects, network, pairwise
from psps_paper.errors import ConvergenceError
from sizes import LONG

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.filterwarnings("error"),
]

SECONDS = 20
VALUES = [1e308, -1e308, 1e74, 5e-324, 1e15, math.inf, 10**400, "x", None]
MORE = [1e200, 1e100, -1e74, 1e30, 1e-30, 1e-74, 1e-100, 1e-160, 0.0, -0.0, -1.0, 1.0, 2.0, -math.inf, math.nan, 1 + 2j]

TE, SE = np.array([0.1, 0.5, -0.3, 0.2, 0.4]), np.array([0.2, 0.25, 0.3, 0.15, 0.22])
STUDIES = {"te": TE, "se": SE}
COUNTS = {
    "events1": np.array([3, 5, 0, 7, 2.0]),
    "n1": np.array([40, 50, 30, 60, 45.0]),
    "events2": np.array([4, 9, 2, 12, 3.0]),
    "n2": np.array([42, 48, 31, 59, 44.0]),
}
GROUPS = {"n1": 20.0, "mean1": 5.0, "sd1": 2.0, "n2": 22.0, "mean2": 4.0, "sd2": 2.1}
PAIRED = {"n": 20.0, "mean1": 5.0, "sd1": 2.0, "mean2": 4.0, "sd2": 2.1, "correlation": 0.5}
TWO_BY_TWO = {"events1": 3.0, "n1": 40.0, "events2": 2.0, "n2": 42.0, "increment": 0.5}
ROWS = pd.DataFrame(
    {
        "study": list("abcdef"),
        "treat1": list("AABABC"),
        "treat2": list("BCCBCD"),
        "te": [0.1, 0.3, 0.2, 0.15, 0.22, 0.4],
        "se": [0.2, 0.25, 0.3, 0.2, 0.22, 0.3],
    }
)
COMBINED = ROWS.replace({"treat1": {"C": "A + B"}, "treat2": {"C": "A + B"}})
POOLED = ROWS.iloc[[0, 2, 5]].drop(columns="study")
PAIRS = {"study": list("aabbcc"), "treatment": list("ABABBC")}
MEANS = pd.DataFrame(
    {**PAIRS, "n": [20.0, 22, 30, 31, 40, 41], "mean": [1, 2, 1.5, 2.5, 2, 3], "sd": [1, 1.1, 1.2, 1, 1, 0.9]}
)
EVENTS = pd.DataFrame({**PAIRS, "n": [20.0, 22, 30, 31, 40, 41], "events": [3.0, 5, 4, 9, 7, 12]})
TIMES = pd.DataFrame({**PAIRS, "time": [20.0, 22, 30, 31, 40, 41], "events": [3.0, 5, 4, 9, 7, 12]})
QUANTILES = pd.DataFrame(
    {
        "study": list("aabb"),
        "treatment": list("ABAB"),
        "n": [20.0, 22, 30, 31],
        "mean": [1, 2, 3, np.nan],
        "sd": [1, 1.1, np.nan, np.nan],
        "median": [np.nan, np.nan, np.nan, 3],
        "q1": [np.nan, np.nan, np.nan, 2],
        "q3": [np.nan, np.nan, np.nan, 4.5],
    }
)


def fitted(function: Callable, **options) -> Callable:
    """A function of a fit, as one of the rows."""
    return lambda contrasts: function(network.fit_network(contrasts), **options)


def regressed(te, se, x, tau2) -> pairwise.MetaRegression:
    if x.dtype == object:
        raise ValueError("x: a factor, no numbers")
    return pairwise.meta_regression(te, se, pd.DataFrame({"x": x}), tau2)


def posterior(contrasts, scale, effect_sd, effect_mean, level) -> tuple:
    post = bayes.fit_bayes(contrasts, bayes.half_normal(scale), effect_sd, level, effect_mean=effect_mean)
    return post.te, post.sd, post.tau_mean, post.log_marginal


def under(prior: Callable) -> Callable:
    """A prior has no result of its own, so a fit with it is used."""

    def result(**arguments):
        post = bayes.fit_bayes(ROWS, prior(**arguments))
        return post.te, post.tau_mean, post.log_marginal

    return result


# Name, and after a comma what is special; the call; its arguments, of which each number is replaced in turn
CALLS: dict[str, tuple[Callable, Mapping]] = {
    **{f"smd, {v}": (effects.smd, {**GROUPS, "variance": v}) for v in ("large_sample", "unbiased", "LS2", "RevMan")},
    "smd, uncorrected": (effects.smd, {**GROUPS, "correction": "none"}),
    "mean_difference": (effects.mean_difference, GROUPS),
    **{
        f"{f.__name__}, {rule}": (f, {**TWO_BY_TWO, "continuity": rule})
        for f in (effects.log_odds_ratio, effects.risk_difference)
        for rule in ("zero_cells", "treatment_arm", "none")
    },
    "log_hazard_ratio": (effects.log_hazard_ratio, {"observed_minus_expected": -3.0, "variance": 7.0}),
    "log_hazard_ratio_from_p": (
        effects.log_hazard_ratio_from_p,
        {"p": 0.03, "events1": 20.0, "events2": 30.0, "sign": -1.0, "ratio": 1.0},
    ),
    "smd_from_p": (effects.smd_from_p, {"p": 0.03, "n1": 20.0, "n2": 22.0, "sign": 1.0}),
    "smd_from_t": (effects.smd_from_t, {"t": 2.1, "n1": 20.0, "n2": 22.0}),
    "smd_from_log_or": (effects.smd_from_log_or, {"log_or": 0.5, "se": 0.2}),
    "effect_from_interval": (
        effects.effect_from_interval,
        {"lower": 0.1, "upper": 0.9, "te": 0.5, "level": 0.95, "df": 20.0},
    ),
    "effect_from_interval, ratio": (effects.effect_from_interval, {"lower": 0.5, "upper": 2.0, "scale": "ratio"}),
    "effect_from_p": (effects.effect_from_p, {"te": 0.5, "p": 0.04, "df": 20.0}),
    "effect_from_p, ratio": (effects.effect_from_p, {"te": 0.5, "p": 0.04, "scale": "ratio"}),
    "effect_from_t": (effects.effect_from_t, {"te": 0.5, "t": 2.0}),
    **{
        f"change_effect, {m}": (effects.change_effect, {**PAIRED, "measure": m})
        for m in ("MC", "SMCC", "SMCR", "SMCRH", "ROMC", "CVRC", "VRC")
    },
    "crossover_smd": (effects.crossover_smd, PAIRED),
    "crossover_mean_difference": (effects.crossover_mean_difference, PAIRED),
    "correlation_from_sds": (effects.correlation_from_sds, {"sd1": 2.0, "sd2": 2.1, "sd_difference": 2.05}),
    **{
        f"correlation_effect, {m}": (effects.correlation_effect, {"correlation": 0.5, "n": 30.0, "measure": m})
        for m in ("COR", "ZCOR")
    },
    **{
        f"proportion_effect, {m}": (
            effects.proportion_effect,
            {"events": 3.0, "n": 40.0, "measure": m, "increment": 0.5},
        )
        for m in ("PR", "PLN", "PLO", "PAS", "PFT")
    },
    **{
        f"rate_effect, {m}": (effects.rate_effect, {"events": 3.0, "time": 40.0, "measure": m, "increment": 0.5})
        for m in ("IR", "IRLN", "IRS", "IRFT")
    },
    **{
        f"back_transform, {m}": (effects.back_transform, {"te": 0.3, "measure": m})
        for m in ("PR", "PLN", "PLO", "PAS", "IR", "IRLN", "IRS", "COR", "ZCOR")
    },
    "back_transform, PFT": (partial(effects.back_transform, 0.3, "PFT"), {"n": 40.0}),  # NaN beyond its range, as said
    **{
        f"proportion_interval, {m}": (
            effects.proportion_interval,
            {"events": 3.0, "n": 40.0, "method": m, "level": 0.95},
        )
        for m in ("CP", "WS", "WSCC", "AC", "SA", "SACC", "NAsm")
    },
    "mean_sd_from_quantiles, quartiles": (
        effects.mean_sd_from_quantiles,
        {"n": 40.0, "median": 5.0, "q1": 4.0, "q3": 6.5},
    ),
    "mean_sd_from_quantiles, all": (
        effects.mean_sd_from_quantiles,
        {"n": 40.0, "median": 5.0, "q1": 4.0, "q3": 6.5, "minimum": 1.0, "maximum": 9.0},
    ),
    **{
        f"contrasts_from_arms, {m}": (effects.contrasts_from_arms, {"arms": arms, "measure": m})
        for m, arms in (("MD", MEANS), ("SMD", MEANS), ("OR", EVENTS), ("RD", EVENTS))
    },
    **{
        f"effect_sizes, {m}": (effects.effect_sizes, {"arms": arms, "measure": m, "increment": 0.5})
        for m, arms in (
            *((m, MEANS) for m in ("MD", "SMD", "SMDH", "ROM", "CVR", "VR")),
            *((m, EVENTS) for m in ("OR", "RR", "RD", "AS")),
            *((m, TIMES) for m in ("IRR", "IRD", "IRSD")),
        )
    },
    "complete_means": (effects.complete_means, {"arms": QUANTILES}),
    "impute_sd": (
        lambda sd: effects.impute_sd(MEANS.assign(sd=sd, sd_baseline=1.5)).arms["sd"],
        {"sd": MEANS["sd"].to_numpy()},
    ),
    **{f"meta_analysis, {m}": (pairwise.meta_analysis, {**STUDIES, "tau2": m, "level": 0.95}) for m in ("DL", "REML")},
    "meta_analysis, given tau2": (pairwise.meta_analysis, {**STUDIES, "tau2": 0.1, "hartung_knapp": True}),
    **{f"estimate_tau2, {m}": (pairwise.estimate_tau2, {**STUDIES, "method": m}) for m in ("ML", "PM", "SJ", "HE")},
    "meta_analyses": (pairwise.meta_analyses, {"te": np.array([TE, TE + 0.1]), "se": SE}),
    "copas_jackson_bound": (pairwise.copas_jackson_bound, {"se": SE, "published": 0.5, "tau2": 0.1}),
    "published_fraction_at_bias": (pairwise.published_fraction_at_bias, {"bias": 0.1, "se": SE, "tau2": 0.1}),
    "egger_test": (pairwise.egger_test, STUDIES),
    "generalised_q_meta_analysis": (pairwise.generalised_q_meta_analysis, STUDIES),
    "kenward_roger": (pairwise.kenward_roger, {**STUDIES, "tau2": 0.1}),
    "leave_one_out": (pairwise.leave_one_out, STUDIES),
    "limit_meta_analysis": (pairwise.limit_meta_analysis, {**STUDIES, "tau2": 0.1}),
    **{
        f"mantel_haenszel, {m}": (pairwise.mantel_haenszel, {**COUNTS, "measure": m, "increment": 0.5})
        for m in ("OR", "RR", "RD", "IRR")
    },
    "peto": (pairwise.peto, COUNTS),
    **{
        f"binomial_normal, {m}": (pairwise.binomial_normal, {**COUNTS, "model": m})
        for m in ("conditional", "approximate")
    },
    "binomial_normal, IRR": (pairwise.binomial_normal, {**COUNTS, "measure": "IRR"}),
    "binomial_normal_proportion": (
        pairwise.binomial_normal_proportion,
        {"events": COUNTS["events1"], "n": COUNTS["n1"]},
    ),
    "meta_regression": (
        regressed,
        {**STUDIES, "x": np.array([1.0, 2, 3, 5, 8]), "tau2": 0.1},
    ),
    "method_comparison": (pairwise.method_comparison, {**STUDIES, "level": 0.95}),
    "pet_peese": (pairwise.pet_peese, {**STUDIES, "level": 0.95}),
    "pool_about": (pairwise.pool_about, {**STUDIES, "centre": 0.2, "df": 4}),
    "rank_test": (pairwise.rank_test, STUDIES),
    "robust_meta_analysis": (pairwise.robust_meta_analysis, {**STUDIES, "study": list("aabbc"), "rho": 0.8}),
    "selection_model": (pairwise.selection_model, {**STUDIES, "level": 0.95}),
    "small_sample_meta_analysis": (pairwise.small_sample_meta_analysis, {**STUDIES, "tau2": 0.1}),
    "small_sample_meta_analysis, KR": (pairwise.small_sample_meta_analysis, {**STUDIES, "method": "kenward-roger"}),
    "subgroup_analysis": (pairwise.subgroup_analysis, {**STUDIES, "by": list("aabba"), "level": 0.95}),
    **{f"tau2_interval, {m}": (pairwise.tau2_interval, {**STUDIES, "method": m}) for m in ("QP", "BJ", "J", "PL")},
    "three_level": (pairwise.three_level, {**STUDIES, "cluster": list("aabbc")}),
    "trim_and_fill": (pairwise.trim_and_fill, {**STUDIES, "tau2": 0.1}),
    **{f"fit_network, {m}": (network.fit_network, {"contrasts": ROWS, "tau2": m}) for m in ("DL", "REML")},
    "fit_network, given tau2": (network.fit_network, {"contrasts": ROWS, "tau2": 0.1, "level": 0.95}),
    "fit_networks": (
        network.fit_networks,
        {"contrasts": ROWS, "te": np.array([ROWS["te"], ROWS["te"] + 0.1]), "se": np.array([ROWS["se"]] * 2)},
    ),
    **{
        f.__name__: (fitted(f), {"contrasts": ROWS})
        for f in (
            network.split_evidence,
            network.decompose_q,
            network.net_heat,
            network.contribution_matrix,
            network.hat_matrix,
            network.leave_one_study_out,
            network.cluster_robust,
            network.evidence_measures,
            network.net_impact,
            network.heterogeneity_table,
            network.league_table,
            network.league_with_direct,
        )
    },
    "comparison_adjusted_funnel": (
        fitted(network.comparison_adjusted_funnel, order=list("ABCD")),
        {"contrasts": ROWS},
    ),
    "split_evidence, SIDDE": (fitted(network.split_evidence, method="SIDDE"), {"contrasts": ROWS}),
    "p_scores": (fitted(network.p_scores, desirable="higher"), {"contrasts": ROWS}),
    "rank_probabilities": (fitted(network.rank_probabilities, desirable="higher", draws=500), {"contrasts": ROWS}),
    "network_meta_regression": (
        lambda contrasts, x: network.network_meta_regression(contrasts, dict(zip("abcdef", x, strict=True)), "A"),
        {"contrasts": ROWS, "x": np.array([1.0, 2, 3, 5, 8, 9])},
    ),
    **{f"fit_binary_network, {m}": (network.fit_binary_network, {"arms": EVENTS, "method": m}) for m in ("MH", "NCH")},
    "fit_components": (network.fit_components, {"contrasts": COMBINED, "tau2": 0.1, "level": 0.95}),
    "network_from_pooled": (network.network_from_pooled, {"pooled": POOLED, "tau2": 0.1, "df_predict": 4.0}),
    "complete_contrasts": (network.complete_contrasts, {"contrasts": ROWS.assign(se_baseline=np.nan)}),
    "fit_bayes": (
        posterior,
        {"contrasts": ROWS, "scale": 0.5, "effect_sd": 100.0, "effect_mean": 0.0, "level": 0.95},
    ),
    "half_normal": (under(bayes.half_normal), {"scale": 0.5}),
    "half_cauchy": (under(bayes.half_cauchy), {"scale": 0.5}),
    "exponential": (under(bayes.exponential), {"rate": 2.0}),
    "inverse_gamma": (under(bayes.inverse_gamma), {"shape": 1.0, "scale": 0.1}),
    "log_normal": (under(bayes.log_normal), {"mean": -2.0, "sd": 1.0}),
    "log_t": (under(bayes.log_t), {"location": -2.0, "scale": 1.0, "df": 5.0}),
    "uniform": (under(bayes.uniform), {"lower": 0.0, "upper": 2.0}),
    "prior_sensitivity": (
        lambda margin, factor: bayes.prior_sensitivity(
            ROWS, [("A", "B")], desirable="higher", margin=margin, factors=[factor]
        ),
        {"margin": 0.0, "factor": 0.5},
    ),
}
# As their docstrings say
NOT_KNOWN = {("network_from_pooled", what) for what in ("tau2=nan", "df_predict=nan", "df_predict=inf")}
# They take no numbers of studies: names, a fit, a posterior or results of another function
WITHOUT = {
    *("components", "contrast_notes", "mean_ranks", "orient", "p_scores_from", "partial_order"),
    *("poth", "subnetworks", "sucra", "bayes_factor", "rhodes_prior", "turner_prior", "tau_curve"),
}


def replaced(arguments: Mapping) -> Iterator[tuple[str, Mapping]]:
    """The arguments with one number replaced, and which."""
    values = VALUES + MORE if LONG else VALUES
    for name, given in arguments.items():
        if isinstance(given, float | int) and not isinstance(given, bool):
            yield from ((f"{name}={value!s:.20}", {**arguments, name: value}) for value in values)
        elif isinstance(given, np.ndarray):
            for value in values:
                array = given.astype(object) if not isinstance(value, float) else given.copy()
                array.flat[1] = value
                yield f"{name}[1]={value!s:.20}", {**arguments, name: array}
        elif isinstance(given, pd.DataFrame):
            for column in given.select_dtypes("number"):
                for value in values:
                    cells = [value if k == 1 else cell for k, cell in enumerate(given[column])]
                    yield f"{column}[1]={value!s:.20}", {**arguments, name: given.assign(**{column: cells})}


def without_number(result: object, place: str = "") -> set[str]:
    """Places of a result that hold NaN or infinity."""
    if isinstance(result, pd.DataFrame):
        return set().union(*(without_number(result[name].to_numpy(), f"{place}.{name}") for name in result))
    if isinstance(result, pd.Series):
        return without_number(result.to_numpy(), place)
    if isinstance(result, np.ndarray) and result.dtype.kind == "f":
        return set() if np.isfinite(result).all() else {place}
    if isinstance(result, float):
        return set() if math.isfinite(result) else {place}
    if is_dataclass(result) and not isinstance(result, type):
        names = [field.name for field in fields(result) if field.name not in ("left_out", "excluded")]
        return set().union(*(without_number(getattr(result, name), f"{place}.{name}") for name in names))
    if isinstance(result, list | tuple):
        return set().union(set(), *(without_number(part, f"{place}[{k}]") for k, part in enumerate(result)))
    return set()


@pytest.mark.parametrize("name", CALLS)
def test_extreme_arguments_are_refused_or_give_numbers(name):
    function, arguments = CALLS[name]
    usual = without_number(function(**arguments))
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail(f"{name} takes more than {SECONDS} s"))
    signal.alarm(SECONDS)
    refused = 0
    try:
        for what, other in replaced(arguments):
            # A study without a result is left out
            missing = what.endswith(("[1]=None", "[1]=nan")) or (name, what) in NOT_KNOWN
            try:
                result = function(**other)
            except ValueError as error:
                refused += 1
                assert "\n" not in str(error) and len(str(error)) < 700, f"{what}: {error}"
            except ConvergenceError as error:  # as the docstring of fit_bayes says
                assert "does the prior of tau extend beyond double precision?" in str(error)
            else:
                assert missing or without_number(result) <= usual, what
    finally:
        signal.alarm(0)
    assert refused >= 2


@pytest.mark.parametrize(
    "call",
    [
        lambda: pairwise.tau2_interval([0.1, 1e15, -0.3, 0.2], [0.2, 0.25, 0.3, 0.15], "BJ"),
        lambda: pairwise.generalised_q_meta_analysis([0.1, 1e15, -0.3, 0.2], [0.2, 0.25, 0.3, 0.15]),
    ],
)
def test_an_estimate_far_from_the_others_scales_with_its_distance(call):
    """So far away the others are all at 0: limits of tau2 are a multiple of the square of the distance."""
    near = pairwise.tau2_interval([0.0, 1e6, 0.0, 0.0], [0.2, 0.25, 0.3, 0.15], "BJ")
    fit = call()
    if hasattr(fit, "q"):
        assert fit.q > 1e29 and 1e29 < fit.tau2 < 1e30
    else:
        assert [fit.lower / 1e30, fit.upper / 1e30] == pytest.approx([near.lower / 1e12, near.upper / 1e12], rel=1e-6)
