"""Properties of mantel_haenszel(), peto() and the exact likelihood models."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln
from scipy.stats import nchypergeom_fisher

from psps_paper.pairwise import binomial_normal, binomial_normal_proportion, mantel_haenszel, peto
from psps_paper.pairwise.rare_events import _expected_at_odds_ratio

pytestmark = pytest.mark.slow

MEASURES = ("OR", "RR", "RD", "IRR", "IRD")
TABLES = st.lists(
    st.tuples(st.integers(1, 60), st.integers(1, 60), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=7
).map(
    lambda rows: [np.array(c) for c in zip(*[(round(a * p), a, round(b * q), b) for a, b, p, q in rows], strict=True)]
)
NIELWEISE = (  # dat.nielweise2007, tests/oracles/rare_binary.json
    [0, 1, 2, 0, 5, 1, 1, 1, 1, 1, 0, 0, 3, 6, 0, 0, 1, 4],
    [116, 44, 208, 130, 151, 98, 174, 74, 97, 113, 66, 70, 188, 187, 118, 252, 345, 64],
    [3, 3, 9, 7, 6, 4, 3, 2, 19, 2, 7, 1, 5, 11, 0, 1, 3, 1],
    [117, 35, 195, 136, 157, 139, 177, 39, 103, 122, 64, 58, 175, 180, 105, 262, 362, 69],
)


def outcome(function, *x, **options):
    """The result, or None for an error of one sentence."""
    try:
        return function(*x, **options)
    except ValueError as error:
        message = str(error)
        assert 10 < len(message) < 300 and "\n" not in message and message.split(":")[0]
        return None


def same(a, b, sign=1):
    assert (a is None) == (b is None)
    if a is not None:
        np.testing.assert_allclose([a.te, a.se, a.q], [sign * b.te, b.se, b.q], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("measure", MEASURES)
@settings(max_examples=60)
@given(x=TABLES)
def test_mantel_haenszel_of_any_tables(measure, x):
    fit = outcome(mantel_haenszel, *x, measure)
    same(fit, outcome(mantel_haenszel, *x[2:], *x[:2], measure), -1)
    same(fit, outcome(mantel_haenszel, *(c[::-1] for c in x), measure))
    if fit is not None:
        assert np.isfinite([fit.te, fit.se, fit.q, fit.te_random, fit.se_random, fit.tau2]).all() and fit.se > 0
        assert len(fit.to_frame()) == 1 and "Mantel-Haenszel" in fit.summary()


@settings(max_examples=60)
@given(x=TABLES)
def test_peto_of_any_tables(x):
    fit = outcome(peto, *x)
    same(fit, outcome(peto, *x[2:], *x[:2]), -1)
    same(fit, outcome(peto, *(c[::-1] for c in x)))
    assert fit is None or np.isfinite([fit.te, fit.se, fit.q, fit.te_random, fit.tau2]).all()


@settings(max_examples=8)
@given(
    x=TABLES,
    model=st.sampled_from(["conditional", "approximate", "unconditional"]),
    measure=st.sampled_from(["OR", "IRR"]),
)
def test_exact_models_of_any_tables(x, model, measure):
    fit = outcome(binomial_normal, *x, measure=measure, model=model)
    if fit is not None:
        assert np.isfinite([fit.te, fit.se, fit.tau2, fit.log_likelihood]).all() and fit.se > 0
        assert fit.log_likelihood >= fit.log_likelihood_common - 1e-9
        if model != "approximate" or measure == "IRR":  # the approximation is not symmetric in events and non-events
            again = binomial_normal(*x[2:], *x[:2], measure=measure, model=model)
            assert again.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-7)
            assert again.te == pytest.approx(-fit.te, abs=1e-5)
            assert again.tau2 == pytest.approx(fit.tau2, rel=1e-4, abs=1e-8)


def test_conditional_likelihood_at_tau2_0_is_the_noncentral_hypergeometric():
    fit = binomial_normal(*NIELWEISE)
    total = sum(
        nchypergeom_fisher.logpmf(a, n1 + n2, n1, a + c, np.exp(fit.te_common))
        for a, n1, c, n2 in zip(*NIELWEISE, strict=True)
        if a + c
    )
    assert fit.log_likelihood_common == pytest.approx(total, abs=1e-9)


@pytest.mark.parametrize("tau2", [0.05, 0.69, 3.0])
def test_no_point_of_a_dense_grid_is_above_the_maximum(tau2):
    """The integral by an independent rule: 4001 trapezoids over 10 SDs of a binomial-normal likelihood."""
    x, n = np.array([3, 12, 0, 25, 7, 40, 0, 61]), np.array([30, 45, 18, 60, 22, 40, 12, 80])
    fit = binomial_normal_proportion(x, n)
    u = np.linspace(-10, 10, 4001)
    weight = np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi) * (u[1] - u[0])
    constant = gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1)

    def log_likelihood(mean, variance):
        z = mean + np.sqrt(variance) * u
        each = x[:, None] * z - n[:, None] * np.logaddexp(0, z) + constant[:, None]
        return np.log((np.exp(each) * weight).sum(axis=1)).sum()

    assert log_likelihood(fit.te, fit.tau2) == pytest.approx(fit.log_likelihood, abs=1e-9)
    assert max(log_likelihood(m, tau2) for m in np.linspace(-4, 2, 61)) <= fit.log_likelihood + 1e-9


@pytest.mark.parametrize("odds", [1e-6, 0.2, 1.0, 7.0, 1e6])
def test_expected_events_have_the_margins_and_the_odds_ratio(odds):
    """Also where the quadratic equation cancels: m above n2 and a tiny odds ratio."""
    a = _expected_at_odds_ratio(np.array([[8.0], [3.0]]), np.array([[10.0], [4.0]]), odds)[0]
    b, c, d = 10 - a, 11 - a, 4 - 11 + a
    assert a * d == pytest.approx(odds * b * c, rel=1e-4, abs=1e-9)
    assert 7 - 1e-9 <= a <= 10 + 1e-9


def test_one_study_has_the_estimate_of_its_own_likelihood():
    fit = binomial_normal([4], [20], [9], [25], model="unconditional")
    assert fit.te == pytest.approx(np.log(4 / 16 / (9 / 16)), abs=1e-8)
    assert fit.tau2 == 0 and np.isnan(fit.p_q)


def test_double_zeros_change_nothing_where_they_say_nothing():
    x = [np.array(c) for c in NIELWEISE]
    keep = x[0] + x[2] > 0
    for fit in (mantel_haenszel, peto, binomial_normal):
        whole, less = fit(*x), fit(*(c[keep] for c in x))
        assert whole.te == pytest.approx(less.te, rel=1e-12) and whole.se == pytest.approx(less.se, rel=1e-9)
        assert whole.k == 18 and whole.k_used == 17
    whole, less = mantel_haenszel(*x, "RD"), mantel_haenszel(*(c[keep] for c in x), "RD")
    assert abs(whole.te) < abs(less.te)  # here their people count


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: mantel_haenszel([0, 0], [9, 8], [1, 2], [9, 9]), "measure: OR is 0 or infinite"),
        (lambda: mantel_haenszel([0], [9], [0], [9]), "events: in every study"),
        (lambda: mantel_haenszel([7], [6], [1], [9]), "studies, row 0, column events1: 7.0 is not at most n1"),
        (lambda: mantel_haenszel([1], [6], [1], [0], "IRR"), "studies, row 0, column time2: 0.0"),
        (lambda: mantel_haenszel([1], [6], [1], [9], "HR"), "measure: 'HR'"),
        (lambda: mantel_haenszel([], [], [], []), "events1: shape"),
        (lambda: binomial_normal([0, 0], [9, 8], [1, 2], [9, 9]), "events1: in every study group 1 has no events"),
        (lambda: binomial_normal([0, 3], [9, 8], [3, 0], [9, 9]), "no finite estimate"),
        (lambda: binomial_normal([1.5], [9], [3], [9]), "events1: 1.5 is not a whole number"),
        (lambda: binomial_normal_proportion([0, 0], [4, 5]), "events: there are no events, or only events"),
    ],
)
def test_errors_say_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
