"""One formatter for every number that readers see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal

MINUS = "\N{MINUS SIGN}"
NOT_KNOWN = "not known"
EVERY_DIGIT = Context(prec=400)  # enough for the largest double
UNIT_SUFFIX = {"percent": "\N{NARROW NO-BREAK SPACE}%"}


def half_unit(decimals: int) -> float:
    """Return half a unit in the last printed digit: the rounding error in either direction."""
    return 0.5 * 10.0 ** -int(decimals)


def rounds_to(value: float, printed: float, decimals: int) -> bool:
    """Return whether ``value`` prints as ``printed``: within half a unit in the last digit, ends included.

    A tolerance of a millionth of that half unit absorbs errors of binary representation.
    """
    return abs(value - printed) <= half_unit(decimals) * (1 + 1e-6)


def number(value: float, decimals: int = 2) -> str:
    """Format a number with fixed decimals: halves rounded away from zero, a true minus sign, no negative zero.

    Missing values read "not known"; infinite ones keep their sign.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NOT_KNOWN
    value = float(value)
    if math.isinf(value):
        return (MINUS if value < 0 else "") + "\N{INFINITY}"
    # repr() gives the value that a person would read: 0.285 rounds to 0.29, although its binary value is below it
    rounded = Decimal(repr(value)).quantize(
        Decimal(1).scaleb(-int(decimals)), rounding=ROUND_HALF_UP, context=EVERY_DIGIT
    )
    text = f"{abs(rounded):,f}" if abs(rounded) >= 10_000 else f"{abs(rounded):f}"
    return (MINUS if rounded < 0 else "") + text


def ratio_number(log: float) -> str:
    """Format the ratio with this logarithm: two decimals, or two significant digits below 0.1 or above 100.

    Examples
    --------
    >>> [ratio_number(log) for log in (0, -5, 6.2)]
    ['1.00', '0.0067', '490']
    """
    if log is None or math.isnan(log) or math.isinf(log):
        return NOT_KNOWN if log is None or math.isnan(log) else ("0" if log < 0 else "\N{INFINITY}")
    if abs(log) > 30:  # too large or too small to be worth writing out
        return f"10^{log / math.log(10):.0f}".replace("-", MINUS)
    ratio = math.exp(log)
    if 0.1 <= ratio < 100:
        return number(ratio)
    return number(float(f"{ratio:.2g}"), max(0, 1 - math.floor(math.log10(ratio))) if ratio < 1 else 0)


def interval(low: float, high: float, decimals: int = 2) -> str:
    """Format an interval as ``low to high``."""
    return f"{number(low, decimals)} to {number(high, decimals)}"


def estimate(te: float, lower: float, upper: float, decimals: int = 2) -> str:
    """Format an estimate with its limits as ``te (lower to upper)``."""
    return f"{number(te, decimals)} ({interval(lower, upper, decimals)})"


def p_value(p: float) -> str:
    """Format a p value with three decimals, or as a bound below 0.0001."""
    if p is None or math.isnan(p):
        return NOT_KNOWN
    return "<\N{NARROW NO-BREAK SPACE}0.0001" if p < 0.0001 else number(p, 4 if p < 0.001 else 3)


def p_interval(low: float, high: float) -> str:
    """Format a range of p values, or a bound where the whole range lies below 0.0001."""
    return p_value(high) if high < 0.0001 else f"{p_value(low)} to {p_value(high)}"


def percent(fraction: float, decimals: int = 1) -> str:
    """Format a fraction as a percentage."""
    return number(100 * fraction, decimals) + UNIT_SUFFIX["percent"]


def printed_value(value: float, decimals: int, relation: str = "=", unit: str = "none") -> str:
    """Format a printed number as this edition shows it, with its relation and a percent sign where it has one.

    Years are shown without a thousands separator.
    """
    text = str(int(value)) if unit == "year" else number(value, decimals)
    sign = {"=": "", "<": "<\N{NARROW NO-BREAK SPACE}", ">": ">\N{NARROW NO-BREAK SPACE}", "~": "about "}[relation]
    return sign + text + UNIT_SUFFIX.get(unit, "")


def out_of(found: int, total: int) -> str:
    """Say how many of a total, as in a sentence.

    Examples
    --------
    >>> [out_of(found, 5) for found in (0, 3, 5)]
    ['none of the 5', '3 of the 5', 'all 5']
    """
    several = number(total, 0)
    return {0: f"none of the {several}", total: f"all {several}"}.get(found, f"{number(found, 0)} of the {several}")


def references(refs: Sequence[int | str]) -> str:
    """Format reference numbers for tables and details: the word and the numbers, separated by commas."""
    return f"ref{'s' * (len(refs) != 1)} {', '.join(map(str, refs))}"


def sentence_list(items: Sequence[str]) -> str:
    """Join items as in a sentence: ``a, b and c``."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]
