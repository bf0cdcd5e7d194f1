"""Mean and SD from a median, quartiles and the range."""

from __future__ import annotations

from functools import cache
from typing import Literal, NamedTuple, get_args

import numpy as np
import scipy

from psps_paper.effects.checks import choice, numbers, require

Coefficients = Literal["table", "formula"]
# The tables of Wan 2014 reach these sample sizes, with this many decimals.
LARGEST_RANGE_N = 50
LARGEST_QUARTILE_Q = 50
PRINTED_DECIMALS = 3
# Three printed entries are one too high in the last digit: the integrals are 3.25846 (n = 12), 1.31047
# (Q = 12) and 1.32949 (Q = 24). Reviews divide by the printed values.
MISPRINTED_RANGE = {12: 3.259}
MISPRINTED_QUARTILES = {12: 1.311, 24: 1.330}


class MeanSD(NamedTuple):
    """Estimated mean and SD, floats or arrays of the input's shape."""

    mean: np.ndarray
    sd: np.ndarray


@cache
def expected_order_statistic(rank: int, n: int) -> float:
    """Compute the expectation of the ``rank``-th smallest of ``n`` standard normal values.

    Source: the integral of an order statistic's density, from which Wan 2014 calculated its tables.
    Checked against: Wan 2014, Table 1.
    """
    log_constant = -scipy.special.betaln(rank, n - rank + 1) - np.log(2 * np.pi) / 2

    def integrand(z: float) -> float:
        log_density = (rank - 1) * scipy.special.log_ndtr(z) + (n - rank) * scipy.special.log_ndtr(-z)
        return z * np.exp(log_constant + log_density - z**2 / 2)

    # Beyond 12 SDs the normal density is negligible in double precision.
    return scipy.integrate.quad(integrand, -12, 12, epsabs=1e-12, limit=200)[0]


def range_in_sds(n: np.ndarray, coefficients: Coefficients) -> np.ndarray:
    """Return xi(n) of Wan 2014, the expected range of n standard normal values.

    Source: Wan 2014, Table 1 for n <= 50; otherwise, and for "formula", its approximation by Blom.
    """
    blom = 2 * scipy.special.ndtri((n - 0.375) / (n + 0.25))
    if coefficients == "formula":
        return blom
    tabled = n <= LARGEST_RANGE_N
    return np.where(tabled, _each(_printed_range, n, tabled), blom)


def _printed_range(n: int) -> float:
    return MISPRINTED_RANGE.get(n, 2 * expected_order_statistic(n, n))


def interquartile_range_in_sds(n: np.ndarray, coefficients: Coefficients) -> np.ndarray:
    """Return eta(n) of Wan 2014, the expected interquartile range of n standard normal values.

    The table covers n = 4 Q + 1, and the paper gives no rule for other n; this function takes the
    nearest Q, or the larger of two that are equally near.

    Source: Wan 2014, Table 2 for Q <= 50; otherwise, and for "formula", its approximation by Blom.
    """
    blom = 2 * scipy.special.ndtri((0.75 * n - 0.125) / (n + 0.25))
    if coefficients == "formula":
        return blom
    q = np.floor((n + 1) / 4)
    tabled = q <= LARGEST_QUARTILE_Q
    return np.where(tabled, _each(_printed_quartiles, q, tabled), blom)


def _printed_quartiles(q: int) -> float:
    return MISPRINTED_QUARTILES.get(q, 2 * expected_order_statistic(3 * q + 1, 4 * q + 1))


def _each(function, values: np.ndarray, use: np.ndarray) -> np.ndarray:
    flat = [
        round(function(int(value)), PRINTED_DECIMALS) if wanted else np.nan
        for value, wanted in zip(values.ravel(), use.ravel(), strict=True)
    ]
    return np.reshape(flat, values.shape)


def mean_sd_from_quantiles(
    n,
    median,
    q1=None,
    q3=None,
    minimum=None,
    maximum=None,
    *,
    coefficients: Coefficients = "table",
) -> MeanSD:
    """Estimate the mean and SD of a sample from its median with quartiles, range or both.

    Parameters
    ----------
    n : int or array
        Sample size: at least 2, or 3 with quartiles.
    median : float or array
    q1, q3 : float or array, optional
        First and third quartile; give both or neither.
    minimum, maximum : float or array, optional
        Give both or neither.
    coefficients : {"table", "formula"}
        "table" divides by Wan's printed tables where they reach (n <= 50 for the range, about 200
        for quartiles) and by the formula beyond; "formula" always divides by the formula.

    Returns
    -------
    MeanSD
        In the outcome's unit. The sample is assumed to be roughly normal; skewness is not tested.

    Raises
    ------
    ValueError
        If the quantiles are not in ascending order, n is too small or not whole, or neither
        pair of quantiles is given; the message names row, column and value.

    Source: Wan 2014, scenario C1 (range), C2 (all five) and C3 (quartiles); Hozo 2005 for the mean
    in C1, with its term in 1/n.
    Checked against: meta 6.2-1 metamean(method.mean = "Wan", method.sd = "Wan").

    Examples
    --------
    >>> mean, sd = mean_sd_from_quantiles(20, 6, q1=5, q3=8)
    >>> round(float(mean), 3), round(float(sd), 3)
    (6.333, 2.381)
    """
    choice(coefficients, "coefficients", get_args(Coefficients))
    given = {
        name: value
        for name, value in locals().items()
        if name in ("minimum", "q1", "median", "q3", "maximum") and (value is not None or name == "median")
    }
    for low, high in (("q1", "q3"), ("minimum", "maximum")):
        if (low in given) != (high in given):
            raise ValueError(f"{low} and {high}: give both or neither")
    quartiles, extremes = "q1" in given, "minimum" in given
    if not quartiles and not extremes:
        raise ValueError("a median alone does not give an SD: give q1 and q3, minimum and maximum, or all four")
    ascending = [name for name in ("minimum", "q1", "median", "q3", "maximum") if name in given]
    size, *values = numbers({"n": "sample size", **dict.fromkeys(ascending, "finite")}, {"n": n, **given})
    require(size == np.floor(size), size, "n", "a whole number")
    require((size >= 3) | (not quartiles), size, "n", "at least 3, as quartiles need")
    for lower, upper in zip(range(len(values) - 1), range(1, len(values)), strict=True):
        require(
            values[lower] <= values[upper],
            values[upper],
            ascending[upper],
            f"at least {ascending[lower]}",
        )
    value = dict(zip(ascending, values, strict=True))
    sds = []
    if extremes:
        span = value["maximum"] - value["minimum"]
        sds.append(span / range_in_sds(size, coefficients))
    if quartiles:
        span = value["q3"] - value["q1"]
        sds.append(span / interquartile_range_in_sds(size, coefficients))
    return MeanSD(_mean(size, value)[()], np.mean(sds, axis=0)[()])


def _mean(n: np.ndarray, value: dict[str, np.ndarray]) -> np.ndarray:
    """Estimate means by Wan 2014, scenario C3 (quartiles), C2 (all five) or C1 (range)."""
    median = value["median"]
    if "minimum" not in value:
        return (value["q1"] + median + value["q3"]) / 3
    ends = value["minimum"] + value["maximum"]
    if "q1" in value:
        return (ends + 2 * (value["q1"] + median + value["q3"])) / 8
    return (ends + 2 * median) / 4 + (ends - 2 * median) / (4 * n)
