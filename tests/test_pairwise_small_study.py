"""How large a selection bias could be: Copas & Jackson 2004."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from psps_paper.pairwise import copas_jackson_bound, published_fraction_at_bias

errors = st.lists(st.floats(0.05, 2), min_size=1, max_size=12)
fraction = st.floats(0.05, 0.99)
tau2 = st.floats(0, 1)
quick = settings(max_examples=60, deadline=None)


@quick
@given(errors, fraction, tau2)
def test_the_selection_that_attains_the_bound(se, published, tau2):
    """Publish the studies with (te - truth)/s above a quantile, whatever their precision is."""
    s = np.sqrt(np.array(se) ** 2 + tau2)
    expected = s * stats.truncnorm.mean(stats.norm.isf(published), np.inf)
    bias = np.average(expected, weights=s**-2.0)
    assert copas_jackson_bound(se, published, tau2) == pytest.approx(bias, rel=1e-6)


@pytest.mark.parametrize("slope", [0.5, 1.0, 3.0])
def test_selection_by_significance_stays_below_the_bound(slope):
    """Truth 0; published with probability Phi(slope z - 1/2): te / se drives it, for all alike."""
    rng = np.random.default_rng(8)
    se = rng.uniform(0.1, 1, 400_000)
    te = rng.normal(0, se)
    seen = rng.random(te.size) < stats.norm.cdf(slope * te / se - 0.5)
    bias = np.average(te[seen], weights=se[seen] ** -2.0)
    bound = copas_jackson_bound(se[seen], seen.mean())
    assert 0.3 * bound < bias < bound


@quick
@given(errors, fraction, tau2)
def test_the_fraction_inverts_the_bound(se, published, tau2):
    bias = copas_jackson_bound(se, published, tau2)
    assert published_fraction_at_bias(bias, se, tau2) == pytest.approx(published, rel=1e-6)


def test_many_fractions_at_once_are_those_one_by_one():
    rng = np.random.default_rng(3)
    bias, se, tau2 = rng.uniform(0.05, 0.5, 6), rng.uniform(0.1, 0.5, (6, 4)), rng.uniform(0, 0.2, 6)
    one_by_one = [published_fraction_at_bias(*member) for member in zip(bias, se, tau2, strict=True)]
    np.testing.assert_allclose(published_fraction_at_bias(bias, se, tau2), one_by_one, rtol=1e-12)


@quick
@given(errors, tau2)
def test_the_bound_falls_to_zero_as_everything_is_published(se, tau2):
    bounds = copas_jackson_bound(se, [0.1, 0.5, 0.9, 0.999, 1], tau2)
    assert (np.diff(bounds) < 0).all() and bounds[-1] == 0


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: copas_jackson_bound([0.1, 0], 0.5), "row 1, column se: 0.0 is not a number greater"),
        (lambda: copas_jackson_bound([0.1], 1.2), "column published: 1.2 is not a fraction"),
        (lambda: copas_jackson_bound([0.1], 0.5, -1), "tau2: -1.0 is not a number of at least 0"),
        (lambda: published_fraction_at_bias(0, [0.1]), "bias: 0 is not a number greater than 0"),
        (lambda: published_fraction_at_bias(99, [0.1]), "bias: 99 is beyond the bound"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
