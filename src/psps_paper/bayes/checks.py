"""Checks of single numbers that name the argument, its value and what was expected."""

from __future__ import annotations

import numpy as np

from psps_paper.effects.checks import LARGEST, SMALLEST
from psps_paper.network.reduction import real_numbers


def finite(
    value: object, name: str, *, above: float = -np.inf, least: float = SMALLEST, most: float = LARGEST
) -> float:
    """Check a finite number of limited size, optionally above 0; raise a ValueError that names the argument."""
    positive = above == 0
    expected = f"a finite number above 0, from {least:g} to {most:g}" if positive else f"a finite number up to {most:g}"
    message = f"{name}={value!r}: expected {expected}"
    number = real_numbers(value, message)
    if number.ndim or not (abs(number) <= most and (not positive or number >= least)):
        raise ValueError(message)
    return float(number)


def probability(value: object, name: str) -> float:
    """Check a number strictly between 0 and 1; raise a ValueError that names the argument."""
    message = f"{name}={value!r}: expected a number between 0 and 1"
    number = real_numbers(value, message)
    if number.ndim or not 0 < number < 1:
        raise ValueError(message)
    return float(number)
