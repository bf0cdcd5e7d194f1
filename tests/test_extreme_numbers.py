"""Numbers beyond double precision, options given as text, and formulas that would cancel."""

import json
from pathlib import Path

import mpmath
import numpy as np
import pandas as pd
import pytest

from psps_paper.effects import log_odds_ratio, mean_difference, mean_sd_from_quantiles, smd
from psps_paper.effects.estimates import MANY_DF, small_sample_factor, unbiased_excess
from psps_paper.network import fit_network
from psps_paper.pairwise import copas_jackson_bound, egger_test, meta_analysis, robust_meta_analysis, three_level

EFFECTS = json.loads((Path(__file__).parent / "oracles" / "effect_sizes.json").read_text(encoding="utf-8"))
ROWS = pd.DataFrame({"study": ["a", "b"], "treat1": "A", "treat2": "B", "te": [0.5, 0.3], "se": 0.2})


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: meta_analysis([0.1, 0.2, 0.5], [0.1, 1e-160, 0.1]), r"^studies, row 1, column se: 1e-160 is not"),
        (lambda: meta_analysis([1e200, -1e200, 0.5], [0.1] * 3), r"^studies, row 0, column te: 1e\+200 is not"),
        (
            lambda: meta_analysis([1, 2, 3], [1, 1, 2e5]),
            r"^studies, row 2, column se: 200000.0 is not at most 100000 times",
        ),
        (lambda: egger_test([1, 2, 3], [1, 1e-160, 2]), "row 1, column se"),
        (lambda: three_level([1, 2, 1e80], [1, 1, 2], list("aab")), "row 2, column te"),
        (lambda: smd(20, 5.0, 1e308, 20, 4.0, 2.0), "column sd1: 1e"),
        (lambda: smd(20, 1.7e308, 2.0, 20, -1.7e308, 2.0), "column mean1: 1.7e"),
        (lambda: mean_difference(20, 5.0, 2.0, 20, 4.0, 1e200), "column sd2: 1e"),
        (lambda: mean_difference(20, 5.0, 2.0, 1e80, 4.0, 1.0), "column n2: 1e"),
        (lambda: log_odds_ratio(0, 1e300, 5, 20), "column n1: 1e"),
        (lambda: mean_sd_from_quantiles(20, 0.0, q1=-1.5e308, q3=1.5e308), "column q1: -1.5e"),
        (lambda: meta_analysis([0.1, 0.2], [0.1, 0.1], level="0.95"), "^level: '0.95' is not a number between 0 and 1"),
        (lambda: fit_network(ROWS, level="0.95"), "level='0.95': expected a number between 0 and 1"),
        (lambda: meta_analysis([0.1, 0.2], [0.1, 0.1], None), "^tau2: None is not a number of at least 0"),
        (lambda: fit_network(ROWS, tau2=None), "tau2=None: expected one of"),
        (lambda: log_odds_ratio(0, 20, 5, 20, increment="0.5"), "^increment: '0.5' is not a number greater than 0"),
        (lambda: robust_meta_analysis([1, 2], [1, 1], [1, 2], rho="0.8"), "^rho: '0.8' is not"),
        (lambda: copas_jackson_bound([0.1], 0.5, tau2=None), "column tau2: nan is not"),
    ],
)
def test_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_largest_accepted_numbers_give_finite_results():
    assert np.isfinite(smd(20, 1e75, 1e-75, 20, -1e75, 1e-75)).all()
    for unit in (1e-74, 1e74):
        for method in ("DL", "REML", "ML", "PM", "SJ", "HE"):
            fit = meta_analysis(np.array([0.1, 0.5, 0.9]) * unit, np.array([0.1, 0.2, 0.1]) * unit, method)
            plain = meta_analysis([0.1, 0.5, 0.9], [0.1, 0.2, 0.1], method)
            assert [fit.te, fit.se, fit.lower] == pytest.approx(unit * np.array([plain.te, plain.se, plain.lower]))


def test_unbiased_variance_does_not_cancel():
    """attacks/numbers: the excess over 2/n is 6.250000703125084e-09 at n = 1e7."""
    n = 10_000_000
    assert smd(n, 5.0, 2.0, n, 4.0, 2.0, variance="unbiased").se ** 2 - 2e-7 == pytest.approx(
        6.250000703125084e-09, rel=1e-6
    )
    df = np.array([1e9, 1e12, 1e15])
    np.testing.assert_allclose(unbiased_excess(df), 1 / (2 * df), rtol=1e-8)
    te, se = smd(1e15, 5.0, 2.0, 20, 4.0, 2.0, variance="unbiased")
    assert (te, se) == (pytest.approx(0.5, rel=1e-14), pytest.approx(np.sqrt(1 / 20), rel=1e-12))
    assert unbiased_excess(2.0) == 1


@pytest.mark.parametrize("n", [3, 61, 20_000, 10_000_000, 10**12, 10**15])
def test_smd_against_fifty_digits(n):
    """attacks/numbers/smd-n-huge.py and its neighbours: J by the ratio of two gamma functions (Hedges 1981), the
    unbiased variance (Hedges 1983), d = 0.5 between 20 people and n, in arithmetic of 50 digits."""
    with mpmath.workdps(50):
        df, d = mpmath.mpf(n + 18), mpmath.mpf(1) / 2
        factor = mpmath.exp(mpmath.loggamma(df / 2) - mpmath.loggamma((df - 1) / 2)) / mpmath.sqrt(df / 2)
        variance = mpmath.mpf(1) / n + mpmath.mpf(1) / 20 + (1 - (df - 2) / (df * factor**2)) * (factor * d) ** 2
        expected = float(factor * d), float(mpmath.sqrt(variance))
    assert smd(float(n), 5.0, 2.0, 20, 4.0, 2.0, variance="unbiased") == pytest.approx(expected, rel=1e-13, abs=0)


def test_small_sample_factor_of_neighbours():
    """J(m) J(m + 1) = (m - 1) / sqrt(m (m + 1)), from gamma(x + 1) = x gamma(x); across the change to the series."""
    m = np.concatenate([np.arange(3.0, 3 * MANY_DF), [1e4, 1e7, 1e12]])
    product = small_sample_factor(m, "exact") * small_sample_factor(m + 1, "exact")
    np.testing.assert_allclose(product, (m - 1) / np.sqrt(m * (m + 1)), rtol=2e-14)
    direct = 1 - (m[:170] - 2) / (m[:170] * small_sample_factor(m[:170], "exact") ** 2)
    np.testing.assert_allclose(unbiased_excess(m[:170]), direct, rtol=1e-10)


@pytest.mark.parametrize("data", ["normand1999", "made_up_means"])
@pytest.mark.parametrize(
    "cell, options",
    [
        ("SMD_LS", {"variance": "LS"}),
        ("SMD_LS2", {"variance": "LS2"}),
        ("SMD_UB", {"variance": "UB"}),
        ("meta_SMD_Hedges_exact", {"variance": "unbiased"}),
        ("meta_SMD_Hedges_revman", {"variance": "RevMan"}),
        ("meta_SMD_Cohen_revman", {"variance": "RevMan", "correction": "none"}),
        ("meta_SMD_Cohen_exact", {"variance": "unbiased", "correction": "none"}),
    ],
)
def test_variance_conventions_of_the_smd(data, cell, options):
    """effect_sizes.json: metafor 3.8-1 escalc(), meta 6.2-1 metacont(); README: 1e-10."""
    arms, expected = EFFECTS[data]["input"], EFFECTS[data][cell]
    found = smd(*(arms[name] for name in ("n1", "m1", "s1", "n2", "m2", "s2")), **options)
    se = expected["seTE"] if "seTE" in expected else np.sqrt(expected["vi"])
    np.testing.assert_allclose(found.te, expected["TE" if "TE" in expected else "yi"], rtol=1e-10)
    np.testing.assert_allclose(found.se, se, rtol=1e-10)


def test_egger_refuses_standard_errors_equal_but_for_rounding():
    """cases/36-egger-equal-se; the p with unequal se by scipy's linregress."""
    for se in ([0.3, 0.3, 0.1 + 0.2, 0.3], np.array([0.3, 0.3, 0.1 + 0.2, 0.3]) * 1e70):
        with pytest.raises(ValueError, match="se: all are equal, so te cannot be regressed on se"):
            egger_test([0.1, 0.3, 0.5, 0.2], se)
    assert egger_test([0.1, 0.3, 0.5, 0.3], [0.3, 0.2, 0.1, 0.25]).p == pytest.approx(0.0225, abs=5e-5)
