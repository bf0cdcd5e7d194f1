"""One formatter for every number: rounding, signs and units as readers see them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psps_paper.formatting import (
    estimate,
    half_unit,
    interval,
    number,
    p_interval,
    p_value,
    percent,
    printed_value,
    rounds_to,
)

MINUS, NARROW = "\u2212", "\u202f"


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (0.45, 2, "0.45"),
        (0.285, 2, "0.29"),  # its double lies below 0.285: rounded as a person reads it
        (1.005, 2, "1.01"),
        (2.5, 0, "3"),
        (-2.5, 0, MINUS + "3"),  # half away from zero, both ways
        (-0.004, 2, "0.00"),  # no negative zero
        (-0.005, 2, MINUS + "0.01"),
        (-0.0, 1, "0.0"),
        (3, 0, "3"),
        (3, 2, "3.00"),
        (9999.4, 0, "9999"),
        (9999.5, 0, "10,000"),
        (164709, 0, "164,709"),
        (-12345.6, 1, MINUS + "12,345.6"),
        (1e-7, 2, "0.00"),
        (1e22, 0, "10,000,000,000,000,000,000,000"),
        (math.inf, 2, "∞"),
        (-math.inf, 2, MINUS + "∞"),
        (math.nan, 2, "not known"),
        (None, 2, "not known"),
    ],
)
def test_number(value, decimals, text):
    assert number(value, decimals) == text


@given(st.floats(-1e6, 1e6), st.integers(0, 4))
def test_number_prints_as_the_value_rounds(value, decimals):
    text = number(value, decimals)
    read = float(text.replace(MINUS, "-").replace(",", ""))
    assert rounds_to(value, read, decimals)
    assert len(text.partition(".")[2]) == decimals


@given(st.floats(-1e6, 1e6), st.integers(0, 4))
def test_number_is_symmetric_in_sign(value, decimals):
    assert number(-value, decimals).lstrip(MINUS) == number(value, decimals).lstrip(MINUS)


@pytest.mark.parametrize(("decimals", "half"), [(0, 0.5), (1, 0.05), (2, 0.005), (4, 0.00005)])
def test_half_unit(decimals, half):
    assert half_unit(decimals) == pytest.approx(half, rel=1e-12)


@pytest.mark.parametrize(
    ("value", "printed", "decimals", "agrees"),
    [
        (0.455, 0.45, 2, True),  # ends included, both ways
        (0.445, 0.45, 2, True),
        (0.4551, 0.45, 2, False),
        (0.4449, 0.45, 2, False),
        (100 * 32 / 49, 65.3, 1, True),
        (100 * 33 / 49, 65.3, 1, False),
        (49.0, 49, 0, True),
        (49.51, 49, 0, False),
    ],
)
def test_rounds_to(value, printed, decimals, agrees):
    assert rounds_to(value, printed, decimals) is agrees


def test_interval_and_estimate():
    assert interval(-0.1, 0.25) == f"{MINUS}0.10 to 0.25"
    assert interval(1, 2, 0) == "1 to 2"
    assert estimate(0.45, 0.14, 0.76) == "0.45 (0.14 to 0.76)"
    assert estimate(0.36, -0.05, 0.535, 3) == f"0.360 ({MINUS}0.050 to 0.535)"


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.5, "0.500"), (0.94, "0.940"), (0.0039, "0.004"), (0.001, "0.001"), (0.00099, "0.0010"), (0.0001, "0.0001"),
        (0.00009999, f"<{NARROW}0.0001"), (0.0, f"<{NARROW}0.0001"), (math.nan, "not known"), (None, "not known"),
    ],
)  # fmt: skip
def test_p_value(p, text):
    assert p_value(p) == text


def test_p_interval():
    assert p_interval(5e-5, 6e-5) == f"<{NARROW}0.0001"
    assert p_interval(0.1432, 0.1441) == "0.143 to 0.144"


def test_percent():
    assert percent(32 / 49) == f"65.3{NARROW}%"
    assert percent(0.5, 0) == f"50{NARROW}%"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((65.3, 1, "=", "percent"), f"65.3{NARROW}%"),
        ((0.0001, 4, "<", "none"), f"<{NARROW}0.0001"),
        ((50, 0, ">", "percent"), f">{NARROW}50{NARROW}%"),
        ((50, 0, "~", "percent"), f"about 50{NARROW}%"),
        ((1999, 0, "=", "year"), "1999"),
        ((164709, 0, "=", "patients"), "164,709"),
        ((0.45, 2), "0.45"),
    ],
)
def test_printed_value(arguments, text):
    assert printed_value(*arguments) == text


def test_printed_value_refuses_an_unknown_relation():
    with pytest.raises(KeyError):
        printed_value(1, 0, "≤")
