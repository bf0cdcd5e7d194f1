"""Exact Bayesian fits: names, directions, units and the order of rows change nothing; models agree where they are the
same."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

from bayes_reference import random_network, random_prior
from psps_paper.bayes import (
    bayes_factor,
    exponential,
    fit_bayes,
    half_cauchy,
    half_normal,
    inverse_gamma,
    log_normal,
    log_t,
    prior_sensitivity,
    rhodes_prior,
    tau_curve,
    turner_prior,
    uniform,
)
from psps_paper.bayes.presets import DOUBTFUL, RHODES_2015, TURNER_2012, TURNER_2015
from psps_paper.errors import ConvergenceError
from psps_paper.network import fit_network

pytestmark = pytest.mark.slow

FRAMES = ("te", "sd", "lower", "upper", "median", "predict_lower", "predict_upper")
ORACLE = Path(__file__).parent / "oracles" / "bayes_nma_senn2013.json"


@pytest.fixture(scope="module")
def senn() -> pd.DataFrame:
    rows = pd.DataFrame(json.loads(ORACLE.read_text(encoding="utf-8"))["input"])
    return rows.rename(columns={"studlab": "study", "TE": "te", "seTE": "se"})


def assert_same(first, second, names: dict[str, str] | None = None, factor: float = 1.0):
    """The second fit has the first one's numbers times a factor, under other names."""
    order = [(names or {}).get(name, name) for name in first.treatments]
    for frame in FRAMES:
        expected = factor * getattr(first, frame).to_numpy()
        np.testing.assert_allclose(
            getattr(second, frame).loc[order, order], expected, rtol=1e-9, atol=1e-10 * abs(factor), err_msg=frame
        )
    for name in ("tau_mean", "tau_sd"):
        assert getattr(second, name) == pytest.approx(factor * getattr(first, name), rel=1e-10)
    assert second.tau_quantile(0.3) == pytest.approx(factor * first.tau_quantile(0.3), rel=1e-9)
    assert second.highest_density(0.8) == pytest.approx(
        tuple(factor * np.array(first.highest_density(0.8))), rel=1e-5, abs=1e-6 * factor
    )
    np.testing.assert_allclose(
        second.p_better("higher", margin=0.1 * factor).loc[order, order],
        first.p_better("higher", margin=0.1),
        atol=1e-10,
    )
    np.testing.assert_allclose(second.sucra("lower")[order], first.sucra("lower"), atol=1e-10)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), effect_sd=st.sampled_from([np.inf, 100.0, 1.0]))
def test_names_directions_and_order_change_nothing(seed, effect_sd):
    rng = np.random.default_rng(seed)
    table, prior = random_network(rng), random_prior(rng)
    first = fit_bayes(table, prior, effect_sd=effect_sd)
    names = dict(
        zip(first.treatments, rng.permutation([f"x {k}: +" for k in range(len(first.treatments))]), strict=True)
    )
    changed = table.assign(
        treat1=table["treat1"].map(names), treat2=table["treat2"].map(names), study="the " + table["study"]
    )
    flip = rng.random(len(table)) < 0.5
    changed.loc[flip, ["treat1", "treat2"]] = changed.loc[flip, ["treat2", "treat1"]].to_numpy()
    changed.loc[flip, "te"] *= -1
    changed = changed.sample(frac=1, random_state=seed % 2**32).reset_index(drop=True)
    second = fit_bayes(changed, prior, effect_sd=effect_sd, reference=names[first.reference])
    assert_same(first, second, names)
    assert second.log_marginal == pytest.approx(first.log_marginal, abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), factor=st.sampled_from([1e-6, 0.03, 7.0, 1e5]))
def test_another_unit_scales_everything(seed, factor):
    rng = np.random.default_rng(seed)
    table, prior = random_network(rng), random_prior(rng)
    first = fit_bayes(table, prior, effect_sd=10.0)
    second = fit_bayes(
        table.assign(te=factor * table["te"], se=factor * table["se"]), prior.scaled(factor), effect_sd=10 * factor
    )
    assert_same(first, second, factor=factor)
    assert second.log_marginal == pytest.approx(first.log_marginal - len(table) * np.log(factor), abs=1e-8)


def test_multi_arm_studies_have_no_baseline(senn):
    first = fit_bayes(senn, half_normal(0.5), effect_sd=np.inf)
    renamed = {name: f"{25 - k:02}" for k, name in enumerate(first.treatments)}
    second = fit_bayes(
        senn.assign(treat1=senn["treat1"].map(renamed), treat2=senn["treat2"].map(renamed)),
        half_normal(0.5),
        effect_sd=np.inf,
    )
    assert_same(first, second, renamed)
    pd.testing.assert_series_equal(first.study_effects()["mean"], second.study_effects()["mean"], rtol=1e-9)


def test_the_reference_matters_only_to_a_proper_prior(senn):
    flat = [fit_bayes(senn, half_normal(0.5), effect_sd=np.inf, reference=name) for name in (None, "plac")]
    assert_same(*flat)
    tight = [fit_bayes(senn, half_normal(0.5), effect_sd=0.5, reference=name) for name in (None, "plac")]
    assert np.abs(tight[0].te - tight[1].te).to_numpy().max() > 0.01


def test_a_prior_at_one_tau_gives_the_frequentist_fit(senn):
    # With tau all but known and flat effects, the posterior is the estimate and its covariance.
    fit = fit_network(senn, tau2=0.09)
    post = fit_bayes(senn, uniform(0.3 - 1e-7, 0.3 + 1e-7), effect_sd=np.inf)
    np.testing.assert_allclose(post.te, fit.te, atol=1e-7)
    np.testing.assert_allclose(post.sd, fit.se, atol=1e-7)
    np.testing.assert_allclose(post.upper, fit.upper, atol=1e-6)


def test_common_and_fixed_effects(senn):
    fit = fit_network(senn)
    for effects in ("common", "fixed"):
        post = fit_bayes(senn, effect_sd=np.inf, effects=effects)
        np.testing.assert_allclose(post.te, fit.te_common, atol=1e-12)
        np.testing.assert_allclose(post.sd, fit.se_common, atol=1e-12)
        assert post.tau_mean == post.tau_quantile(0.9) == 0
    assert np.isnan(post.log_marginal) and post.predict_lower.isna().all().all()
    own = post.study_effects()
    np.testing.assert_allclose(own["mean"], own["te"], atol=1e-12)
    np.testing.assert_allclose(own["sd"], own["se"], atol=1e-12)


def test_common_effects_are_the_limit_of_a_narrow_prior(senn):
    common, narrow = fit_bayes(senn, effects="common"), fit_bayes(senn, half_normal(1e-7))
    assert narrow.log_marginal == pytest.approx(common.log_marginal, abs=1e-6)
    np.testing.assert_allclose(narrow.te, common.te, atol=1e-7)


def test_shrinkage_goes_from_the_mean_to_the_study(senn):
    for prior, column in ((half_normal(1e-6), None), (uniform(999, 1000), "te")):
        post = fit_bayes(senn, prior)
        own = post.study_effects()
        target = (
            own[column] if column else [post.te.at[a, b] for a, b in zip(own["treat1"], own["treat2"], strict=True)]
        )
        np.testing.assert_allclose(own["mean"], target, atol=1e-4)


# ---------------------------------------------------------------- models


def direct_log_marginal(y, covariance) -> float:
    return scipy.stats.multivariate_normal(np.zeros(len(y)), covariance).logpdf(y)


def test_inconsistency_adds_its_covariance_to_each_design():
    # Three comparisons of three treatments and two studies each; tau all but 0.2, so that one normal density says it
    # all.
    rng = np.random.default_rng(5)
    pairs = [("A", "B"), ("A", "C"), ("B", "C")] * 2
    table = pd.DataFrame(pairs, columns=["treat1", "treat2"]).assign(
        study=list("abcdef"), te=rng.normal(0, 0.5, 6), se=rng.uniform(0.1, 0.3, 6)
    )
    post = fit_bayes(table, uniform(0.2 - 1e-8, 0.2 + 1e-8), effect_sd=2.0, inconsistency_sd=0.7)
    x = np.array([[(a == t) - (b == t) for t in "BC"] for a, b in pairs], float)
    same = np.array([[p == q for q in pairs] for p in pairs], float)
    covariance = np.diag(table["se"] ** 2 + 0.04) + 4 * x @ x.T + 0.49 * same
    assert post.log_marginal == pytest.approx(direct_log_marginal(table["te"].to_numpy(), covariance), abs=1e-7)


def test_inconsistency_of_three_arm_designs_has_no_baseline(senn):
    posts = []
    for names in (None, {"acar": "z", "plac": "a"}):
        table = senn if names is None else senn.replace({"treat1": names, "treat2": names})
        posts.append(fit_bayes(table, half_normal(0.5), effect_sd=np.inf, inconsistency_sd=0.4))
    assert posts[0].log_marginal == pytest.approx(posts[1].log_marginal, abs=1e-9)
    assert posts[0].te.at["metf", "plac"] == pytest.approx(posts[1].te.at["metf", "a"], abs=1e-9)


def test_bayes_factor_of_inconsistency_follows_the_data():
    loop = pd.DataFrame(
        {
            "study": list("abcdef"),
            "treat1": list("AABAAB"),
            "treat2": list("BCCBCC"),
            "te": [1.0, 1, 0, 1, 1, 0],
            "se": 0.1,
        }
    )
    factors = []
    for shift in (0.0, 1.5):
        table = loop.assign(te=loop["te"] + shift * (loop["treat1"] == "B"))
        consistent, other = (
            fit_bayes(table, half_normal(0.1), effect_sd=5.0, inconsistency_sd=sd) for sd in (0.0, 0.5)
        )
        factors.append(bayes_factor(consistent, other))
    assert factors[0] > 1 > factors[1]


def test_bayes_factor_refuses_what_has_no_common_scale(senn):
    first = fit_bayes(senn, half_normal(0.5))
    with pytest.raises(ValueError, match="different contrasts"):
        bayes_factor(first, fit_bayes(senn.iloc[1:]))
    table = pd.DataFrame(
        {"study": list("abc"), "treat1": ["A + B", "A", "B"], "treat2": "P", "te": [1.0, 0.4, 0.7], "se": 0.2}
    )
    flat = [
        fit_bayes(table, effect_sd=np.inf, separator=separator, inactive=separator and "P")
        for separator in (None, " + ")
    ]
    with pytest.raises(ValueError, match="common scale"):
        bayes_factor(*flat)
    wider = fit_bayes(senn.sample(frac=1, random_state=0), half_normal(1))
    assert bayes_factor(wider, first) == pytest.approx(np.exp(wider.log_marginal - first.log_marginal))


def test_additive_model_by_full_covariance():
    table = pd.DataFrame(
        {
            "study": list("abcd"),
            "treat1": ["A + B", "A", "B", "A + B"],
            "treat2": ["P", "P", "P", "A"],
            "te": [1.0, 0.4, 0.7, 0.5],
            "se": [0.2, 0.25, 0.2, 0.3],
        }
    )
    post = fit_bayes(table, uniform(0.3 - 1e-8, 0.3 + 1e-8), effect_sd=3.0, separator=" + ", inactive="P")
    x = np.array([[1.0, 1], [1, 0], [0, 1], [0, 1]])
    covariance = np.diag(table["se"] ** 2 + 0.09) + 9 * x @ x.T
    assert post.log_marginal == pytest.approx(direct_log_marginal(table["te"].to_numpy(), covariance), abs=1e-7)
    gain = 9 * x.T @ np.linalg.inv(covariance)
    np.testing.assert_allclose(post.components["mean"], gain @ table["te"], atol=1e-7)
    assert post.te.at["A + B", "P"] == pytest.approx(post.components["mean"].sum(), abs=1e-12)
    assert post.te.at["A + B", "A"] == pytest.approx(post.components.at["B", "mean"], abs=1e-12)


def test_classes_by_quadrature_over_both_deviations():
    table = pd.DataFrame(
        {
            "study": list("abcdef"),
            "treat1": ["x1", "x2", "x3", "y1", "x1", "x2"],
            "treat2": ["P", "P", "P", "P", "x2", "y1"],
            "te": [1.0, 0.6, 1.3, -0.2, 0.3, 0.9],
            "se": [0.2, 0.3, 0.25, 0.2, 0.3, 0.35],
        }
    )
    table["class1"], table["class2"] = table["treat1"].str[0], table["treat2"].str[0]
    tau_prior, within_prior = half_normal(0.4), half_normal(0.6)
    post = fit_bayes(table, tau_prior, effect_sd=5.0, classes="class", class_sd_prior=within_prior)
    names = ["P", "x1", "x2", "x3", "y1"]
    x = np.array(
        [[(a == t) - (b == t) for t in names[1:]] for a, b in zip(table["treat1"], table["treat2"], strict=True)], float
    )
    same = np.zeros((4, 4))
    same[:3, :3] = 1
    same[3, 3] = 1
    y, v = table["te"].to_numpy(), np.diag(table["se"] ** 2)
    z, w = np.polynomial.legendre.leggauss(60)
    t = 2 * (1 + z) / 2 * 1.6
    weights = 1.6 * w
    total, tau_mean, within_mean, mean, second = 0.0, 0.0, 0.0, np.zeros(4), np.zeros((4, 4))
    for tau, wt in zip(t, weights, strict=True):
        for within, ws in zip(t, weights, strict=True):
            own = 25 * same + within**2 * np.diag([1, 1, 1, 0])
            covariance = v + tau**2 * np.eye(6) + x @ own @ x.T
            inverse = np.linalg.inv(covariance)
            log = -(y @ inverse @ y + np.linalg.slogdet(2 * np.pi * covariance)[1]) / 2
            weight = wt * ws * np.exp(log + tau_prior.log_density(tau) + within_prior.log_density(within))
            b = own @ x.T @ inverse @ y
            total, tau_mean, within_mean = total + weight, tau_mean + weight * tau, within_mean + weight * within
            mean += weight * b
            second += weight * (own - own @ x.T @ inverse @ x @ own + np.outer(b, b))
    mean, second = mean / total, second / total
    assert post.log_marginal == pytest.approx(np.log(total), abs=1e-7)
    assert post.tau_mean == pytest.approx(tau_mean / total, rel=1e-7)
    assert post.class_sd_mean == pytest.approx(within_mean / total, rel=1e-7)
    np.testing.assert_allclose(post.te.loc[names[1:], "P"], mean, atol=1e-7)
    np.testing.assert_allclose(post.sd.loc[names[1:], "P"], np.sqrt(np.diag(second) - mean**2), atol=1e-7)
    # Exchangeable treatments lie closer together than unrelated ones.
    assert np.ptp(post.te.loc[names[1:4], "P"]) < np.ptp(
        fit_bayes(table, tau_prior, effect_sd=5.0).te.loc[names[1:4], "P"]
    )


@pytest.mark.parametrize("within", [half_cauchy(0.5), uniform(2), uniform(90, 110), log_t(-3, 2.0)])
def test_classes_whose_members_may_coincide_or_lie_far_apart(within):
    rng = np.random.default_rng(4)
    table = random_network(rng, 4).assign(class1="x", class2="x")
    for side in "12":
        table.loc[table[f"treat{side}"] == "t0", f"class{side}"] = "control"
    post = fit_bayes(table, half_normal(0.5), classes="class", class_sd_prior=within)
    # A prior that ends within reach of the data is integrated up to its end: cut short, it took 2.7 million nodes.
    assert post.error_bound < 1e-9 and 0 < post.class_sd_mean < np.inf and post.nodes < 60_000
    # Both limits of the SD within classes: one common effect of the class, and unrelated members.
    assert (post.lower < post.median).to_numpy()[np.triu_indices(4, 1)].all()
    narrow = fit_bayes(table, half_normal(0.5), classes="class", class_sd_prior=half_normal(1e-6))
    assert np.abs(narrow.te.loc[["t1", "t2", "t3"], ["t1", "t2", "t3"]]).to_numpy().max() < 1e-5
    apart = fit_bayes(table, half_normal(0.5), classes="class", class_sd_prior=uniform(90, 110))
    np.testing.assert_allclose(apart.te, fit_bayes(table, half_normal(0.5)).te, atol=1e-3)


def test_many_studies_take_the_sparse_way_to_the_same_numbers(senn, monkeypatch):
    first = fit_bayes(senn, half_normal(0.5), inconsistency_sd=0.3)
    monkeypatch.setattr("psps_paper.bayes.model.DENSE", 0)
    assert_same(first, fit_bayes(senn, half_normal(0.5), inconsistency_sd=0.3))


def test_correlated_estimates_of_one_comparison():
    # With correlation 0 they are studies of their own, as in fit_network.
    rows = pd.DataFrame(
        {
            "study": ["a", "a", "b", "c"],
            "treat1": "A",
            "treat2": "B",
            "te": [0.2, 0.5, 0.1, 0.9],
            "se": [0.2, 0.3, 0.2, 0.3],
        }
    )
    apart = fit_bayes(rows.assign(study=list("wxyz")), half_normal(0.5))
    together = fit_bayes(rows, half_normal(0.5), correlation=0.0)
    assert_same(apart, together)
    assert together.log_marginal == pytest.approx(apart.log_marginal, abs=1e-10)
    with pytest.raises(ValueError, match="no single true effect"):
        together.study_effects()


# ---------------------------------------------------------------- ranks


@pytest.mark.parametrize("treatments", [2, 3])
def test_exact_ranks_agree_with_points_and_with_sucra(treatments):
    from psps_paper.bayes import ranks

    post = fit_bayes(random_network(np.random.default_rng(treatments), treatments), half_normal(0.5))
    for desirable, sign in (("lower", -1), ("higher", 1)):
        exact = post.rank_probabilities(desirable)
        assert exact.attrs["max_standard_error"] == 0
        np.testing.assert_allclose(exact.sum(axis=0), 1, atol=1e-13)
        sampled, error = ranks.quasi_random(post.rule.weight, sign * post._mean, post._covariance, draws=2**16, seed=1)
        assert np.abs(exact - sampled).to_numpy().max() < 5 * error + 1e-5
        cumulative = exact.to_numpy().cumsum(axis=1)[:, :-1].mean(axis=1)
        np.testing.assert_allclose(cumulative, post.sucra(desirable), atol=1e-12)


def test_orthant_probabilities():
    from psps_paper.bayes.ranks import both_positive

    # Sheppard 1899 at the origin; else scipy's quadrature.
    rho = np.array([-0.9, -0.3, 0.0, 0.5, 0.99])
    np.testing.assert_allclose(
        both_positive(np.zeros(5), np.zeros(5), rho), 0.25 + np.arcsin(rho) / 2 / np.pi, atol=1e-15
    )
    for h, k in ((0.3, -1.2), (-0.5, -0.4), (2.0, 0.0), (0.0, -1.0), (1e-8, 3.0)):
        got = both_positive(np.full(5, h), np.full(5, k), rho)
        expected = [scipy.stats.multivariate_normal([0, 0], [[1, r], [r, 1]]).cdf([h, k]) for r in rho]
        np.testing.assert_allclose(got, expected, atol=1e-7)


def test_sampled_ranks_are_reproducible_and_sum_to_one(senn):
    post = fit_bayes(senn, half_normal(0.5))
    first = post.rank_probabilities("lower", draws=4096)
    assert first.equals(post.rank_probabilities("lower", draws=4096))
    np.testing.assert_allclose([first.sum(axis=0), first.sum(axis=1)], 1, atol=1e-12)
    cumulative = first.to_numpy().cumsum(axis=1)[:, :-1].mean(axis=1)
    assert np.abs(cumulative - post.sucra("lower")).max() < 0.01
    assert 0 < first.attrs["max_standard_error"] < 0.01


def test_margins_and_directions(senn):
    post = fit_bayes(senn, half_normal(0.5))
    lower, higher = post.p_better("lower"), post.p_better("higher")
    np.testing.assert_allclose(lower.to_numpy(), higher.T.to_numpy())
    off = ~np.eye(len(lower), dtype=bool)
    np.testing.assert_allclose((lower + lower.T).to_numpy()[off], 1, atol=1e-14)
    assert (post.p_better("lower", margin=0.2) < lower).to_numpy()[off].all()
    np.testing.assert_allclose(
        (post.p_better("lower", -0.2) + post.p_better("lower", 0.2).T).to_numpy()[off], 1, atol=1e-14
    )


# ---------------------------------------------------------------- tables


def test_tables(senn):
    post = fit_bayes(senn, half_normal(0.5))
    frame = post.to_frame()
    assert len(frame) == 45 and frame.notna().all().all()
    row = frame.set_index(["treat1", "treat2"]).loc[("acar", "plac")]
    assert row["te"] == post.te.at["acar", "plac"] and row["p_below_0"] == post.p_better("lower").at["acar", "plac"]
    summary = post.summary().set_index("quantity")["value"]
    assert summary["tau, mean"] == post.tau_mean and summary["prior of tau"] == "HalfNormal(scale=0.5)"
    assert "tau" not in " ".join(fit_bayes(senn, effects="common").summary()["quantity"]).replace("prior of tau", "")


def test_excluded_rows_are_listed(senn):
    table = senn.copy()
    table.loc[0, "te"] = np.nan
    assert fit_bayes(table).excluded["reason"].tolist() == ["te missing"]


# ---------------------------------------------------------------- presets


def additive(rows: list[tuple[float | None, ...]], tolerance: float) -> bool:
    """Whether a table is a sum of a row's and a column's term, up to rounding."""
    reference = next(row for row in rows if None not in row)
    for row in rows:
        shift = [a - b for a, b in zip(row, reference, strict=True) if a is not None]
        if max(shift) - min(shift) > tolerance:
            return False
    return True


def test_published_locations_are_sums_of_outcome_and_comparison():
    # Turner 2015 and Rhodes 2015 fit a term of the outcome and one of the comparison to log tau2; numbers have 2
    # decimals.
    assert additive([mean for mean, _ in TURNER_2015.values()], 0.021)
    for table in RHODES_2015.values():
        assert additive([location for location, _ in table.values()], 0.021)
    assert len(TURNER_2015) == 16 and all(len(table) == 8 for table in RHODES_2015.values())


def test_presets_by_name():
    # Turner 2015, Table IV, and Rhodes 2015, Table 3, by two public transcriptions each.
    assert turner_prior("Pain", "pharmacological vs. placebo / control") == log_normal(-1.83, 1.52)
    assert turner_prior("pain", "control vs pharmacological") == log_normal(-1.83, 1.52)
    assert turner_prior("mental health indicators", "non-pharmacological vs non-pharmacological") == log_normal(
        -1.67, 1.47
    )
    assert turner_prior("subjective", "pharmacological vs pharmacological", year=2012) == log_normal(-2.34, 1.62)
    assert turner_prior() == log_normal(-2.56, 1.74)
    assert rhodes_prior("biological marker", "pharmacological vs non-pharmacological") == log_t(-3.27, 2.66)
    assert rhodes_prior("obstetric outcome", "pharmacological vs pharmacological", "respiratory") == log_t(-6.31, 2.31)
    # Medians of tau2: Turner 2015 gives exp(mu), Rhodes 2015 exp(location).
    assert float(rhodes_prior().quantile(0.5)) ** 2 == pytest.approx(np.exp(-3.44))


def test_doubtful_presets_are_refused_with_the_reason():
    comparisons = ["pharmacological vs placebo", "pharmacological vs pharmacological", "non-pharmacological vs placebo"]
    for (area, outcome, column), reason in DOUBTFUL.items():
        assert RHODES_2015[area][outcome][0][column] is None
        with pytest.raises(ValueError, match="in doubt") as error:
            rhodes_prior(outcome, comparisons[column], area)
        assert reason in str(error.value)
    missing = [(outcome, k) for outcome, (mean, _) in TURNER_2012.items() for k in range(3) if mean[k] is None]
    for outcome, column in missing:
        with pytest.raises(ValueError, match="one transcription only"):
            turner_prior(outcome, comparisons[column], year=2012)


# ---------------------------------------------------------------- input

GOOD = pd.DataFrame({"study": ["a", "b"], "treat1": "A", "treat2": "B", "te": [0.1, 0.4], "se": [0.1, 0.2]})


@pytest.mark.parametrize(
    "options, message",
    [
        ({"effect_sd": 0}, "effect_sd=0"),
        ({"effect_sd": np.nan}, "effect_sd=nan"),
        ({"effect_sd": "wide"}, "effect_sd='wide'"),
        ({"effect_mean": np.inf}, "effect_mean=inf"),
        ({"level": 1.0}, "level=1.0"),
        ({"level": "95%"}, "level='95%'"),
        ({"reference": "C"}, r"reference='C': expected one of \['A', 'B'\]"),
        ({"correlation": 1.0}, "correlation=1.0"),
        ({"effects": "random"}, "effects: 'random' is not one of exchangeable, common, fixed"),
        ({"classes": "class"}, "column 'class1' missing"),
        ({"inconsistency_sd": -1}, "inconsistency_sd=-1"),
        ({"inactive": "A"}, "expected together with separator"),
        ({"separator": "+", "classes": "class"}, "at most one of them"),
        ({"separator": "+", "inactive": "C"}, r"inactive='C': expected one of the components \['A', 'B'\]"),
        ({"separator": "+", "effect_sd": np.inf}, "cannot separate the effects"),
    ],
)
def test_options_out_of_range_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        fit_bayes(GOOD, half_normal(0.5), **options)


@pytest.mark.parametrize(
    "change",
    [
        {"te": [np.inf, 0]},
        {"se": [0, 0.1]},
        {"se": [1e-80, 0.1]},
        {"te": [1e80, 0.1]},
        {"se": [1e-7, 1.0]},
        {"treat2": "A"},
        {"study": "a"},
        {"te": ["x", "y"]},
        {"te": np.nan},
        {"treat1": ["A", " "]},
    ],
)
def test_bad_rows_are_refused_as_by_fit_network(change):
    table = GOOD.assign(**change)
    with pytest.raises(ValueError) as expected:
        fit_network(table)
    with pytest.raises(ValueError) as got:
        fit_bayes(table)
    assert str(got.value) == str(expected.value)


def test_disconnected_networks_and_wrong_types_are_refused():
    apart = pd.concat([GOOD, GOOD.assign(study=["c", "d"], treat1="C", treat2="D")])
    with pytest.raises(ValueError, match="not connected"):
        fit_bayes(apart)
    with pytest.raises(TypeError, match="DataFrame"):
        fit_bayes([1, 2])
    with pytest.raises(TypeError, match="tau_prior: float given"):
        fit_bayes(GOOD, 0.5)


@pytest.mark.parametrize(
    "column, labels, message",
    [
        ("class1", ["x", None], "row 1, column class1: missing label"),
        ("class1", ["x", "y"], "'A' is in 'y', elsewhere in 'x'"),
    ],
)
def test_classes_are_checked(column, labels, message):
    with pytest.raises(ValueError, match=message):
        fit_bayes(GOOD.assign(class1="x", class2="z").assign(**{column: labels}), classes="class")


def test_one_class_for_all_is_refused():
    with pytest.raises(ValueError, match="expected at least two classes"):
        fit_bayes(GOOD.assign(class1="x", class2="x"), classes="class")


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: half_normal(0), "scale=0"),
        (lambda: half_cauchy(-1), "scale=-1"),
        (lambda: half_normal("1"), "scale='1'"),
        (lambda: uniform(2, 1), "from 2 to 1"),
        (lambda: uniform(-1, 1), "from -1 to 1"),
        (lambda: exponential(np.inf), "rate=inf"),
        (lambda: inverse_gamma(1, 0), "scale=0"),
        (lambda: log_normal(np.nan, 1), "mean=nan"),
        (lambda: log_t(0, 1, 0), "df=0"),
        (
            lambda: turner_prior("headache", "pharmacological vs placebo"),
            "'headache' is not one of all-cause mortality",
        ),
        (lambda: turner_prior("pain", "drug vs placebo"), "comparison='drug vs placebo': expected one of"),
        (lambda: turner_prior("pain"), "comparison=None"),
        (lambda: turner_prior(year=2013), "year=2013"),
        (lambda: turner_prior("pain", "placebo vs control"), "expected one of"),
        (lambda: rhodes_prior(area="skin"), "'skin' is not one of"),
    ],
)
def test_priors_refuse_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "ask, message",
    [
        (lambda post: post.tau_quantile(1.0), "p=1.0"),
        (lambda post: post.quantile(0), "p=0"),
        (lambda post: post.highest_density(2), "level=2"),
        (lambda post: post.highest_density(0.9, ("A", "C")), "'C': expected one of"),
        (lambda post: post.p_better("up"), "desirable='up'"),
        (lambda post: post.p_better("lower", np.nan), "margin=nan"),
        (lambda post: post.density("A", "A", [0.0]), "against itself"),
        (lambda post: post.rank_probabilities("best"), "desirable='best'"),
    ],
)
def test_questions_out_of_range_are_refused_by_name(ask, message):
    with pytest.raises(ValueError, match=message):
        ask(fit_bayes(GOOD))


def test_a_prior_beyond_double_precision_is_refused():
    # Half of this prior's mass lies above exp(300), and a single study says nothing about tau.
    with pytest.raises(ConvergenceError, match="did not converge"):
        fit_bayes(GOOD.iloc[:1], inverse_gamma(0.001, 0.001), effect_sd=np.inf)
    # Quantiles beyond the largest number are infinite, and no warning of numpy's comes before the error.
    for prior in (log_t(-3, 2.0, 1), log_normal(0, 500)):
        with warnings.catch_warnings(), pytest.raises(ConvergenceError, match="did not converge"):
            warnings.simplefilter("error")
            fit_bayes(GOOD, prior)


# ---------------------------------------------------------------- sensitivity to the prior


def test_prior_sensitivity_is_a_fit_for_each_scale(senn):
    rows = prior_sensitivity(
        senn, [("metf", "plac"), ("acar", "sulf")], half_normal(0.5), desirable="lower", margin=0.1, factors=(0.5, 1, 3)
    )
    assert len(rows) == 6
    post = fit_bayes(senn, half_normal(1.5))
    row = rows.set_index(["treat1", "treat2", "factor"]).loc[("acar", "sulf", 3)]
    assert row["te"] == post.te.at["acar", "sulf"] and row["tau_median"] == post.tau_quantile(0.5)
    assert row["probability"] == post.p_better("lower", 0.1).at["acar", "sulf"]
    assert row["probability_new"] == post.p_better("lower", 0.1, predictive=True).at["acar", "sulf"]
    with pytest.raises(ValueError, match="'none'"):
        prior_sensitivity(senn, [("metf", "none")], desirable="lower")
    with pytest.raises(ValueError, match="factor=0"):
        prior_sensitivity(senn, [("metf", "plac")], desirable="lower", factors=(0,))


def test_tau_curve_holds_densities_and_their_integral(senn):
    post = fit_bayes(senn, half_normal(0.5))
    curve = tau_curve(post, 401)
    slope = np.gradient(curve["below"], curve["tau"])
    np.testing.assert_allclose(slope[1:-1], curve["posterior"][1:-1], atol=5e-3 * curve["posterior"].max())
    np.testing.assert_allclose(curve["prior"], 2 * scipy.stats.norm(0, 0.5).pdf(curve["tau"]), rtol=1e-12)
    assert curve["below"].iloc[-1] == pytest.approx(0.995, abs=1e-9)
    with pytest.raises(ValueError, match="have no tau"):
        tau_curve(fit_bayes(senn, effects="common"))
    with pytest.raises(ValueError, match="points=1"):
        tau_curve(post, 1)
