"""Wan 2014: meta 6.2-1 metamean() (tests/oracles/wan2014.json) and the paper's own Table 1."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from psps_paper.book.validation import agreement_numbers
from psps_paper.book.validation_pairwise import compare_pairwise_with_oracles
from psps_paper.effects import mean_sd_from_quantiles
from psps_paper.effects.quantiles import expected_order_statistic, interquartile_range_in_sds, range_in_sds

TABLE = compare_pairwise_with_oracles(Path(__file__).parent / "oracles")
ROWS = [row for row in TABLE.itertuples() if row.oracle == "wan2014"]

# Wan 2014, Table 1: xi(n), n = 2 to 50.
# https://bmcmedresmethodol.biomedcentral.com/articles/10.1186/1471-2288-14-135/tables/1
XI = """1.128 1.693 2.059 2.326 2.534 2.704 2.847 2.970 3.078 3.173 3.259 3.336 3.407 3.472 3.532
3.588 3.640 3.689 3.735 3.778 3.819 3.858 3.895 3.931 3.964 3.997 4.027 4.057 4.086 4.113 4.139
4.165 4.189 4.213 4.236 4.259 4.280 4.301 4.322 4.341 4.361 4.379 4.398 4.415 4.433 4.450 4.466
4.482 4.498"""

# Wan 2014, Table 2: eta(n), n = 4 Q + 1, Q = 1 to 50.
ETA = """0.990 1.144 1.206 1.239 1.260 1.274 1.284 1.292 1.298 1.303 1.307 1.311 1.313 1.316 1.318
1.320 1.322 1.323 1.324 1.326 1.327 1.328 1.329 1.330 1.330 1.331 1.332 1.332 1.333 1.333 1.334
1.334 1.335 1.335 1.336 1.336 1.336 1.337 1.337 1.337 1.338 1.338 1.338 1.338 1.339 1.339 1.339
1.339 1.339 1.340"""


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.field)
def test_field_agrees_with_meta(row):
    assert row.max_rel_diff <= row.tolerance


def test_table_1():
    printed = [float(x) for x in XI.split()]
    assert range_in_sds(np.arange(2.0, 51), "table").tolist() == printed


def test_table_2():
    printed = [float(x) for x in ETA.split()]
    assert interquartile_range_in_sds(4 * np.arange(1.0, 51) + 1, "table").tolist() == printed


@pytest.mark.parametrize("rank, n, printed", [(12, 12, 3.259), (37, 49, 1.311), (73, 97, 1.330)])
def test_three_printed_entries_are_a_last_digit_too_high(rank, n, printed):
    """The sum over a fine grid, exact to rounding for such integrands, sides with the integral."""
    z = np.linspace(-10, 10, 20_001)
    log_density = stats.beta.logpdf(stats.norm.cdf(z), rank, n - rank + 1) + stats.norm.logpdf(z)
    coefficient = 2 * (z * np.exp(log_density)).sum() * (z[1] - z[0])
    assert 2 * expected_order_statistic(rank, n) == pytest.approx(coefficient, abs=1e-10)
    assert round(coefficient, 3) == pytest.approx(printed - 0.001, abs=1e-12)


def test_the_book_counts_the_misprints_and_the_digits_of_other_methods():
    numbers = agreement_numbers()
    assert numbers["wan_misprints"] == "3"
    assert [numbers[f"digits_{kind}"] for kind in ("estimates", "differences", "iterated", "paule_mandel")] == [
        "8",
        "6",
        "5",
        "3",
    ]


def test_large_samples_take_the_formula():
    n = np.array([51.0, 203.0, 500.0])
    assert range_in_sds(n, "table") == pytest.approx(range_in_sds(n, "formula"), rel=1e-15)
    quartiles = interquartile_range_in_sds(n, "table") - interquartile_range_in_sds(n, "formula")
    assert quartiles[0] != 0 and (quartiles[1:] == 0).all()


def test_table_and_formula_are_close():
    """Wan 2014 on its formula: near the table from small samples on; at n = 4 Q + 1 within 2%."""
    n = 4 * np.arange(1.0, 51) + 1
    table, formula = (interquartile_range_in_sds(n, c) for c in ("table", "formula"))
    assert 0 < np.abs(table / formula - 1).max() < 0.02


@pytest.mark.parametrize("quantiles", ["quartiles", "extremes", "both"])
def test_normal_samples_give_back_their_sd(quantiles):
    """Unbiased for normal data (Wan 2014): mean over 4000 samples of 25, mean 50, SD 10."""
    sample = np.random.default_rng(14).normal(50, 10, (4000, 25))
    values = np.quantile(sample, [0, 0.25, 0.5, 0.75, 1], axis=1)
    chosen = {}
    if quantiles != "extremes":
        chosen |= {"q1": values[1], "q3": values[3]}
    if quantiles != "quartiles":
        chosen |= {"minimum": values[0], "maximum": values[4]}
    mean, sd = mean_sd_from_quantiles(25, values[2], **chosen)
    for estimate, truth in ((mean, 50), (sd, 10)):
        # Four standard errors of the simulation.
        assert abs(estimate.mean() - truth) < 4 * estimate.std() / np.sqrt(4000)


finite = st.floats(-1e3, 1e3)


@settings(max_examples=60, deadline=None)
@given(st.lists(finite, min_size=5, max_size=5), st.integers(5, 400), finite, st.floats(0.01, 100))
def test_mean_and_sd_follow_a_change_of_units(values, n, shift, scale):
    low, q1, median, q3, high = np.sort(values)
    mean, sd = mean_sd_from_quantiles(n, median, q1, q3, low, high)
    moved = mean_sd_from_quantiles(n, *(shift + scale * v for v in (median, q1, q3, low, high)))
    assert moved.mean == pytest.approx(shift + scale * mean, rel=1e-9, abs=1e-7)
    assert moved.sd == pytest.approx(scale * sd, rel=1e-9, abs=1e-7)
    assert low <= mean <= high


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"n": 20, "median": 6}, "a median alone does not give an SD"),
        ({"n": 20, "median": 6, "q1": 5}, "q1 and q3: give both or neither"),
        ({"n": 20, "median": 6, "maximum": 9}, "minimum and maximum: give both or neither"),
        ({"n": [20, 20], "median": [6, 9], "q1": 5, "q3": 8}, "row 1, column q3: 8.0 is not at least median"),
        ({"n": 2, "median": 6, "q1": 5, "q3": 8}, "row 0, column n: 2.0 is not at least 3"),
        ({"n": 1, "median": 6, "minimum": 5, "maximum": 8}, "1.0 is not a sample size of at least 2"),
        ({"n": 20.5, "median": 6, "q1": 5, "q3": 8}, "column n: 20.5 is not a whole number"),
        ({"n": 20, "median": np.nan, "q1": 5, "q3": 8}, "column median: nan is not a finite number"),
        ({"n": 20, "median": 6, "q1": 5, "q3": 8, "coefficients": "luo"}, "'luo' is not one of table, formula"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        mean_sd_from_quantiles(**arguments)


def test_scalars_give_scalars_and_arrays_arrays():
    assert np.ndim(mean_sd_from_quantiles(20, 6, 5, 8).sd) == 0
    assert mean_sd_from_quantiles([20, 30], 6, 5, 8).mean.shape == (2,)
