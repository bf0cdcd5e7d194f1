"""Properties that hold for every meta-analysis, and its errors on bad input."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from psps_paper.pairwise import (
    egger_test,
    estimate_tau2,
    leave_one_out,
    meta_analysis,
    meta_regression,
    robust_meta_analysis,
    selection_model,
    three_level,
)

METHODS = ("DL", "REML", "ML", "PM", "SJ", "HE")
te = st.floats(-5, 5).map(lambda x: round(x, 3))
se = st.floats(0.05, 2).map(lambda x: round(x, 3))
studies = st.lists(st.tuples(te, se), min_size=3, max_size=15).map(lambda r: np.array(r).T)
method = st.sampled_from(METHODS)
quick = settings(max_examples=100, deadline=None)
SHARED = ("te", "lower", "upper", "predict_lower", "predict_upper")


@quick
@given(studies, method, st.booleans())
def test_flipping_the_treatments_negates_te_and_keeps_the_rest(data, method, hartung_knapp):
    fit = meta_analysis(*data, method, hartung_knapp=hartung_knapp)
    flipped = meta_analysis(-data[0], data[1], method, hartung_knapp=hartung_knapp)
    for name in ("se", "tau2", "q", "i2"):
        assert getattr(flipped, name) == pytest.approx(getattr(fit, name), rel=1e-7, abs=1e-9)
    assert flipped.te == pytest.approx(-fit.te, rel=1e-7, abs=1e-8)
    assert flipped.lower == pytest.approx(-fit.upper, rel=1e-7, abs=1e-8)
    assert flipped.predict_lower == pytest.approx(-fit.predict_upper, rel=1e-7, abs=1e-8)


@quick
@given(studies, method, st.floats(0.1, 10), st.floats(-3, 3), st.randoms())
def test_order_unit_and_origin_do_not_matter(data, method, scale, shift, random):
    order = list(range(data.shape[1]))
    random.shuffle(order)
    fit = meta_analysis(*data, method)
    moved = meta_analysis(shift + scale * data[0][order], scale * data[1][order], method)
    for name in SHARED:
        expected = shift + scale * getattr(fit, name)
        assert getattr(moved, name) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert moved.tau2 == pytest.approx(scale**2 * fit.tau2, rel=1e-6, abs=1e-8)
    assert moved.i2 == pytest.approx(fit.i2, rel=1e-7, abs=1e-9)


@quick
@given(te, se, st.integers(2, 20), method)
def test_identical_studies(effect, error, k, method):
    """No heterogeneity: the estimate is theirs, its standard error theirs over sqrt(k)."""
    fit = meta_analysis([effect] * k, [error] * k, method)
    assert fit.te == pytest.approx(effect, rel=1e-12, abs=1e-12)
    assert fit.se == pytest.approx(error / np.sqrt(k), rel=1e-9)
    assert fit.tau2 == pytest.approx(0, abs=1e-20) and fit.i2 == 0
    assert fit.q == pytest.approx(0, abs=1e-15) and fit.p_q == pytest.approx(1)


@quick
@given(studies, method, st.sampled_from(["k-2", "k-1", "normal"]))
def test_prediction_interval_contains_the_confidence_interval(data, method, prediction_df):
    fit = meta_analysis(*data, method, prediction_df=prediction_df)
    assert fit.predict_lower <= fit.lower + 1e-12 and fit.upper <= fit.predict_upper + 1e-12
    if fit.tau2 > 1e-6:
        assert fit.predict_upper - fit.predict_lower > fit.upper - fit.lower


@quick
@given(studies)
def test_dl_is_hedges_where_all_standard_errors_are_equal(data):
    equal = np.full(data.shape[1], 0.3)
    values = [estimate_tau2(data[0], equal, m) for m in ("DL", "HE", "PM", "REML")]
    assert values == pytest.approx([values[0]] * 4, rel=1e-8, abs=1e-10)


@quick
@given(studies, method)
def test_weights_and_limits(data, method):
    fit = meta_analysis(*data, method)
    assert fit.weights.sum() == pytest.approx(1)
    assert fit.te == pytest.approx(fit.weights @ data[0], rel=1e-9, abs=1e-9)
    assert fit.se >= fit.se_common * (1 - 1e-12)
    assert data[0].min() - 1e-9 <= fit.te <= data[0].max() + 1e-9
    assert 0 <= fit.i2 < 1 and 0 <= fit.i2_tau2 < 1 and 0 <= fit.i2_lower <= fit.i2_upper <= 1
    assert fit.p == pytest.approx(2 * stats.norm.sf(abs(fit.te / fit.se)), rel=1e-9)
    assert (fit.p < 0.05) == (fit.lower > 0 or fit.upper < 0)


def test_prediction_degrees_of_freedom():
    data = ([0.1, 0.5, 0.9, 0.2], [0.1, 0.1, 0.2, 0.1])
    for name, df in (("k-2", 2), ("k-1", 3), ("normal", np.inf)):
        fit = meta_analysis(*data, prediction_df=name)
        reach = stats.t.ppf(0.975, df) * np.sqrt(fit.tau2 + fit.se**2)
        assert fit.prediction_df == df
        assert fit.predict_upper == pytest.approx(fit.te + reach, rel=1e-10)
    assert np.isnan(meta_analysis([1, 2], [1, 1]).predict_upper)


def test_one_study_is_its_own_estimate():
    for name in METHODS:
        fit = meta_analysis([0.4], [0.2], name)
        assert (fit.te, fit.se, fit.tau2, fit.q) == pytest.approx((0.4, 0.2, 0, 0), abs=1e-15)
        assert np.isnan([fit.i2, fit.i2_tau2, fit.p_q, fit.predict_lower]).all()


def test_confidence_interval_covers():
    """2000 meta-analyses of 10 studies: Hartung-Knapp covers 95%, the normal interval less."""
    rng = np.random.default_rng(5)
    errors = rng.uniform(0.1, 0.5, 10)
    hits = np.zeros(2)
    for _ in range(2000):
        effects = rng.normal(0.5, np.sqrt(errors**2 + 0.3**2))
        for i, hartung_knapp in enumerate((False, True)):
            fit = meta_analysis(effects, errors, hartung_knapp=hartung_knapp)
            hits[i] += fit.lower < 0.5 < fit.upper
    normal, hartung_knapp = hits / 2000
    # Four standard errors of the simulation.
    assert abs(hartung_knapp - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 2000)
    assert 0.9 < normal < hartung_knapp


def test_leave_one_out_is_the_meta_analysis_of_the_others():
    effects, errors = np.array([0.1, 0.5, 0.9, 0.2]), np.array([0.1, 0.1, 0.2, 0.3])
    table = leave_one_out(effects, errors, labels=["α", "β", "γ", "δ"], tau2="REML")
    fit = meta_analysis(effects[[0, 1, 3]], errors[[0, 1, 3]], "REML")
    row = table[table.left_out == "γ"].iloc[0]
    assert len(table) == 4
    for name in ("te", "se", "lower", "upper", "tau2", "q", "i2"):
        assert row[name] == getattr(fit, name)
    assert leave_one_out(effects, errors)["left_out"].tolist() == [0, 1, 2, 3]


@quick
@given(studies)
def test_one_estimate_per_study_makes_the_robust_estimate_a_dl_meta_analysis(data):
    """Without dependence tau2 is DerSimonian-Laird's, whatever rho is."""
    fit = meta_analysis(*data, "DL")
    for rho in (0, 0.8):
        robust = robust_meta_analysis(*data, range(data.shape[1]), rho=rho)
        assert robust.tau2 == pytest.approx(fit.tau2, rel=1e-7, abs=1e-9)
        assert robust.te == pytest.approx(fit.te, rel=1e-7, abs=1e-9)
        assert robust.df <= data.shape[1] - 1 + 1e-9


@quick
@given(studies)
def test_repeating_a_studys_estimates_adds_nothing_to_the_robust_estimate(data):
    """With rho = 1 copies carry no information: the same estimate, standard error and df."""
    k = data.shape[1]
    copies = np.repeat(data, 3, axis=1)
    once = robust_meta_analysis(*data, range(k), rho=1)
    thrice = robust_meta_analysis(*copies, np.repeat(range(k), 3), rho=1)
    for name in ("te", "se", "df", "tau2"):
        assert getattr(thrice, name) == pytest.approx(getattr(once, name), rel=1e-6, abs=1e-8)


def test_robust_degrees_of_freedom_of_equal_studies():
    """m studies of equal weight give a one-sample t test of their means: df = m - 1."""
    effects = np.array([0.1, 0.4, 0.9, 0.2, 0.6])
    fit = robust_meta_analysis(effects, [0.3] * 5, list("abcde"))
    assert fit.df == pytest.approx(4, rel=1e-12)
    assert fit.p == pytest.approx(stats.ttest_1samp(effects, 0).pvalue, rel=1e-10)


BAD = [
    (lambda: meta_analysis([1, 2], [1, 0]), "studies, row 1, column se: 0.0 is not a number greater"),
    (lambda: meta_analysis([1, np.nan], [1, 1]), "studies, row 1, column te: nan is not a finite"),
    (lambda: meta_analysis([], []), r"shape \(0,\) is not \(k,\) with k at least 1"),
    (lambda: meta_analysis([[1, 2], [3, 4]], [[1, 1], [1, 1]]), r"shape \(2, 2\) is not \(k,\)"),
    (lambda: meta_analysis([1, 2, 3], [1, 1]), "must be numbers of one length"),
    (lambda: meta_analysis([1, 2], [1, 1], "EB"), "tau2: 'EB' is not one of DL, REML"),
    (lambda: meta_analysis([1, 2], [1, 1], -0.1), "tau2: -0.1 is not a number of at least 0"),
    (lambda: meta_analysis([1, 2], [1, 1], np.nan), "tau2: nan is not a number of at least 0"),
    (lambda: meta_analysis([1, 2], [1, 1], level=95), "level: 95 is not a number between 0 and 1"),
    (lambda: meta_analysis([1, 2], [1, 1], prediction_df="k"), "prediction_df: 'k' is not one of"),
    (lambda: meta_analysis([1], [1], hartung_knapp=True), "with k at least 2"),
    (lambda: leave_one_out([1], [1]), "with k at least 2"),
    (lambda: leave_one_out([1, 2], [1, 1], labels=["a"]), "labels: 1 for 2 studies"),
    (lambda: egger_test([1, 2], [1, 2]), "with k at least 3"),
    (lambda: egger_test([1, 2, 3], [1, 1, 1]), "se: all are equal"),
    (lambda: three_level([1, 2, 3], [1, 1, 1], list("abc")), "every label is different"),
    (lambda: three_level([1, 2, 3], [1, 1, 1], list("aaa")), "cluster: 1 is not at least 2"),
    (lambda: three_level([1, 2, 3], [1, 1, 1], None), "cluster: expected 3 labels with none missing"),
    (
        lambda: three_level([1, 2, 3], [1, 1, 1], ["a", "a", float("nan")]),
        "cluster: expected 3 labels with none missing",
    ),
    (lambda: three_level([1, 2, 3j], [1, 1, 1], list("aab")), "column te: complex numbers given; expected real"),
    (lambda: selection_model([1, 2, 3], [1, 1, 1], steps=()), r"^steps: \[\] are not p-values"),
    (lambda: selection_model([1, 2, 3], [1, 1, 1], steps=("x",)), r"^steps: \('x',\) are not numbers$"),
    (
        lambda: meta_regression([1, 2, 3], [1, 1, 1], pd.DataFrame({"g": list("aaa")})),
        "^moderators, column g: 'a' in every row",
    ),
    (lambda: meta_regression([1, 2, 3], [1, 1, 1], "dose"), "^moderators: str given; expected a DataFrame$"),
    (lambda: three_level([1, 2, 3], [1, 1, 1], ["a", None, "b"]), "expected 3 labels with none missing"),
    (lambda: robust_meta_analysis([1, 2], [1, 1], ["a"]), "study: expected 2 labels with none missing"),
    (lambda: robust_meta_analysis([1, 2], [1, 1], [1, 2], rho=2), "rho: 2 is not between 0 and 1"),
]


@pytest.mark.parametrize("call, message", BAD)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_dependent_estimates_of_equal_value():
    fit = three_level([0.2] * 4, [0.1] * 4, list("aabb"))
    assert (fit.sigma2_between, fit.sigma2_within) == (0, 0)
    assert fit.te == pytest.approx(0.2)
