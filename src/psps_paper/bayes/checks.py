"""Checks of single numbers that name the argument, its value and what was expected."""

from __future__ import annotations

import numpy as np

from psps_paper.network.reduction import real_numbers


def finite(value: object, name: str, *, above: float = -np.inf) -> float:
    """A finite float above a bound; ValueError that names the argument."""
    expected = "a finite number" if above == -np.inf else f"a finite number above {above:g}"
    message = f"{name}={value!r}: expected {expected}"
    number = real_numbers(value, message)
    if number.ndim or not (np.isfinite(number) and number > above):
        raise ValueError(message)
    return float(number)


def probability(value: object, name: str) -> float:
    """A float between 0 and 1, without them; ValueError that names the argument."""
    message = f"{name}={value!r}: expected a number between 0 and 1"
    number = real_numbers(value, message)
    if number.ndim or not 0 < number < 1:
        raise ValueError(message)
    return float(number)
