"""Properties that hold for every effect size, and errors on bad input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from psps_paper.effects import (
    log_odds_ratio,
    mean_difference,
    risk_difference,
    smd,
    smd_from_log_or,
    smd_from_p,
    smd_from_t,
)

n = st.integers(2, 2000)
mean = st.floats(-100, 100)
sd = st.floats(0.1, 50)
group = st.tuples(n, mean, sd)
correction = st.sampled_from(["exact", "approximate", "none"])
variance = st.sampled_from(["large_sample", "unbiased"])
continuity = st.sampled_from(["zero_cells", "all", "treatment_arm"])
cells = st.tuples(st.integers(0, 60), st.integers(2, 60)).map(lambda c: (min(c), max(2, max(c))))
CLOSE = {"rel": 1e-9, "abs": 1e-9}
quick = settings(max_examples=100, deadline=None)


@quick
@given(group, group, correction, variance)
def test_swapping_the_groups_negates_te_and_keeps_se(one, two, correction, variance):
    options = {"correction": correction, "variance": variance}
    effects = [
        (smd(*one, *two, **options), smd(*two, *one, **options)),
        (mean_difference(*one, *two), mean_difference(*two, *one)),
    ]
    for (te, se), (te_swapped, se_swapped) in effects:
        assert te_swapped == pytest.approx(-te, **CLOSE)
        assert se_swapped == pytest.approx(se, **CLOSE)
        assert se > 0


@quick
@given(cells, cells, continuity)
def test_swapping_the_groups_of_binary_outcomes(one, two, continuity):
    for function in (log_odds_ratio, risk_difference):
        te, se = function(*one, *two, continuity=continuity)
        swapped = function(*two, *one, continuity=continuity)
        assert swapped.te == pytest.approx(-te, **CLOSE)
        assert swapped.se == pytest.approx(se, **CLOSE)


@quick
@given(group, group, st.floats(0.01, 100), mean)
def test_smd_has_no_unit_and_mean_difference_has(one, two, scale, shift):
    (n1, mean1, sd1), (n2, mean2, sd2) = one, two
    moved = (n1, shift + scale * mean1, scale * sd1, n2, shift + scale * mean2, scale * sd2)
    assert smd(*moved) == pytest.approx(smd(*one, *two), rel=1e-6, abs=1e-6)
    expected = mean_difference(*one, *two)
    assert mean_difference(*moved).te == pytest.approx(scale * expected.te, rel=1e-6, abs=1e-6)
    assert mean_difference(*moved).se == pytest.approx(scale * expected.se, rel=1e-9)


@quick
@given(cells, cells, continuity)
def test_counting_the_other_event_negates_the_log_odds_ratio(one, two, continuity):
    te, se = log_odds_ratio(*one, *two, continuity=continuity)
    (events1, n1), (events2, n2) = one, two
    other = log_odds_ratio(n1 - events1, n1, n2 - events2, n2, continuity=continuity)
    assert other.te == pytest.approx(-te, **CLOSE)
    assert other.se == pytest.approx(se, **CLOSE)


@quick
@given(n, n, st.floats(0.001, 8), st.sampled_from([1, -1]), correction, variance)
def test_means_t_and_p_of_one_trial_give_one_smd(n1, n2, t, sign, correction, variance):
    options = {"correction": correction, "variance": variance}
    difference = sign * t * np.sqrt(1 / n1 + 1 / n2)
    expected = smd(n1, difference, 1, n2, 0, 1, **options)
    assert smd_from_t(sign * t, n1, n2, **options) == pytest.approx(expected, rel=1e-9)
    p = 2 * stats.t.sf(t, n1 + n2 - 2)
    assert smd_from_p(p, n1, n2, sign=sign, **options) == pytest.approx(expected, rel=1e-6)


def test_smd_from_the_p_value_of_a_t_test():
    rng = np.random.default_rng(7)
    one, two = rng.normal(1, 2, 30), rng.normal(0, 2, 25)
    p = stats.ttest_ind(one, two).pvalue
    expected = smd(30, one.mean(), one.std(ddof=1), 25, two.mean(), two.std(ddof=1))
    assert smd_from_p(p, 30, 25, sign=1) == pytest.approx(expected, rel=1e-10)


def test_tiny_p_values_keep_their_digits():
    assert smd_from_p(1e-40, 100, 100).te > smd_from_p(1e-30, 100, 100).te > 1.5


def test_log_odds_ratio_to_smd_is_the_logistic_sd():
    """Hasselblad & Hedges 1995: the SD of the logistic distribution is pi / sqrt(3)."""
    te, se = smd_from_log_or(0.8, 0.3)
    assert te == pytest.approx(0.8 / stats.logistic.std(), rel=1e-14)
    assert se == pytest.approx(0.3 / stats.logistic.std(), rel=1e-14)


def test_log_odds_ratio_by_hand():
    """Cells 12 8 / 6 14: log(12 * 14 / (8 * 6)), variance the sum of reciprocals."""
    te, se = log_odds_ratio(12, 20, 6, 20)
    assert te == pytest.approx(np.log(3.5), rel=1e-14)
    assert se**2 == pytest.approx(1 / 12 + 1 / 8 + 1 / 6 + 1 / 14, rel=1e-14)


@pytest.mark.parametrize(
    "continuity, cells",  # 0 of 10 against 3 of 30
    [
        ("zero_cells", (0.5, 10.5, 3.5, 27.5)),
        ("treatment_arm", (0.25, 10.25, 3.75, 27.75)),  # Sweeting 2004: 10/40 and 30/40
    ],
)
def test_continuity_corrections_by_hand(continuity, cells):
    a, b, c, d = cells
    te, se = log_odds_ratio(0, 10, 3, 30, continuity=continuity)
    assert te == pytest.approx(np.log(a * d / (b * c)), rel=1e-14)
    assert se**2 == pytest.approx(sum(1 / x for x in cells), rel=1e-14)


def test_corrections_touch_only_the_studies_that_they_should():
    plain = log_odds_ratio([5, 0], [20, 20], [8, 4], [20, 20])
    alone = log_odds_ratio(5, 20, 8, 20, continuity="none")
    every = log_odds_ratio([5, 0], [20, 20], [8, 4], [20, 20], continuity="all", increment=0.25)
    assert plain.te[0] == alone.te and every.te[0] != alone.te
    assert every.te[1] == pytest.approx(np.log(0.25 * 16.25 / (20.25 * 4.25)), rel=1e-14)


def test_risk_difference_by_simulation():
    te, se = risk_difference(12, 40, 30, 60)
    drawn = np.random.default_rng(3).binomial([40, 60], [0.3, 0.5], (200_000, 2)) / [40, 60]
    assert te == pytest.approx(-0.2, rel=1e-12)
    assert se == pytest.approx((drawn[:, 0] - drawn[:, 1]).std(), rel=0.01)
    # The correction enters the standard error only.
    assert risk_difference(0, 10, 3, 30).te == pytest.approx(-0.1, rel=1e-12)


def test_hedges_correction_removes_the_bias():
    """Mean of 100,000 trials of 5 + 5 with a true SMD of 0.8 (Hedges 1981)."""
    rng = np.random.default_rng(11)
    one, two = rng.normal(0.8, 1, (100_000, 5)), rng.normal(0, 1, (100_000, 5))
    summary = [f(x, axis=1, **k) for x in (one, two) for f, k in ((np.mean, {}), (np.std, {"ddof": 1}))]
    arguments = (5, summary[0], summary[1], 5, summary[2], summary[3])
    exact, cohen = smd(*arguments).te, smd(*arguments, correction="none").te
    error = exact.std() / np.sqrt(100_000)
    assert abs(exact.mean() - 0.8) < 4 * error
    assert cohen.mean() - 0.8 > 20 * error
    unbiased = smd(*arguments, variance="unbiased").se ** 2
    assert unbiased.mean() == pytest.approx(exact.var(), rel=0.02)


def test_scalars_give_scalars_and_arrays_keep_their_shape():
    assert np.ndim(smd(20, 1, 1, 20, 0, 1).te) == 0
    assert smd([20, 30], 1, 1, 20, 0, 1).se.shape == (2,)
    assert log_odds_ratio([1, 2, 3], 20, 4, 20).te.shape == (3,)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: smd([20, 1], 1, 1, 20, 0, 1), "row 1, column n1: 1.0 is not a sample size of at least 2"),
        (lambda: smd(20, 1, [1, -2], 20, 0, 1), "row 1, column sd1: -2.0 is not a number greater than 0"),
        (lambda: smd(20, np.nan, 1, 20, 0, 1), "row 0, column mean1: nan is not a finite number"),
        (lambda: smd(20, 1, 1, 20, 0, 1, correction="glass"), "'glass' is not one of exact, approximate"),
        (lambda: smd(20, 1, 1, 20, 0, 1, variance="x"), "variance: 'x' is not one of"),
        (lambda: smd([1, 2, 3], [1, 2], 1, 20, 0, 1), "must be numbers of one length"),
        (lambda: smd("zwölf", 1, 1, 20, 0, 1), "zwölf"),
        (lambda: log_odds_ratio(11, 10, 3, 10), "row 0, column events1: 11.0 is not at most n1"),
        (lambda: log_odds_ratio(-1, 10, 3, 10), "column events1: -1.0 is not a count of at least 0"),
        (lambda: log_odds_ratio(0, 10, 3, 10, continuity="none"), "an empty cell needs a continuity"),
        (lambda: log_odds_ratio(1, 10, 3, 10, continuity="half"), "'half' is not one of zero_cells"),
        (lambda: log_odds_ratio(1, 10, 3, 10, increment=0), "increment: 0 is not a number greater"),
        (lambda: risk_difference(0, 10, 10, 10, continuity="none"), "use a continuity correction"),
        (lambda: smd_from_p(0, 10, 10), "column p: 0.0 is not a p-value above 0 and at most 1"),
        (lambda: smd_from_p(0.04, 10, 10, sign=0), "column sign: 0.0 is not 1 or -1"),
        (lambda: smd_from_log_or(0.3, 0), "column se: 0.0 is not a number greater than 0"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
