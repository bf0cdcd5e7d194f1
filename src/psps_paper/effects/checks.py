"""Checks of numeric input that name the row, the column, the value and what was expected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

# Methods use fourth powers of estimates and standard errors, which fit into double precision within these limits.
SMALLEST, LARGEST = 1e-75, 1e75
# Beyond this ratio of two standard errors, Q and tau2 silently lose digits.
LARGEST_RATIO = 1e5
# For a level nearer to 0 or 1 the quantile is 0 or infinite.
NARROWEST = 1e-10
# For each kind of column: a test of its values, and the words for it.
EXPECTED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "finite": (lambda x: np.abs(x) <= LARGEST, f"a finite number of at most {LARGEST:g} in size"),
    "positive": (
        lambda x: (x >= SMALLEST) & (x <= LARGEST),
        f"a number greater than 0, from {SMALLEST:g} to {LARGEST:g}",
    ),
    "sample size": (
        lambda x: (x >= 2) & (x <= LARGEST),
        f"a sample size of at least 2 and at most {LARGEST:g}",
    ),
    "count": (
        lambda x: (x == 0) | ((x >= SMALLEST) & (x <= LARGEST)),
        f"a count of at least 0 and at most {LARGEST:g}",
    ),
    "not negative": (lambda x: (x >= 0) & (x <= LARGEST**2), f"a number of at least 0, at most {LARGEST**2:g}"),
    "not zero": (
        lambda x: (np.abs(x) >= SMALLEST) & (np.abs(x) <= LARGEST),
        f"a number different from 0, from {SMALLEST:g} to {LARGEST:g} in size",
    ),
    "degrees of freedom": (lambda x: x >= 1e-3, "a number of degrees of freedom from 0.001 on, which may be infinite"),
    "level": (
        lambda x: (x >= NARROWEST) & (x <= 1 - NARROWEST),
        f"a number between 0 and 1, {NARROWEST:g} or more away from either",
    ),
    "correlation": (lambda x: (x >= -1) & (x <= 1), "a correlation between -1 and 1"),
    "probability": (lambda x: (x > 0) & (x <= 1), "a p-value above 0 and at most 1"),
    "fraction": (lambda x: (x > 0) & (x <= 1), "a fraction above 0 and at most 1"),
    "sign": (lambda x: np.abs(x) == 1, "1 or -1"),
}


def require(
    ok: np.ndarray | np.bool | bool,
    values: np.ndarray | pd.Series,
    column: str,
    expected: str,
    *,
    rows: Sequence[Any] | pd.Index | np.ndarray | None = None,
    source: str = "input",
) -> None:
    """Raise a ValueError for the first row that is not ``ok``.

    Parameters
    ----------
    ok, values : ndarray
        Broadcastable to one shape.
    column, expected : str
        Named in the message.
    rows : sequence, optional
        Row labels for the message; by default positions from 0.
    source : str
        File or table named in the message.

    Raises
    ------
    ValueError
        "source, row r, column c: value is not expected".
    """
    ok, values = np.broadcast_arrays(ok, values)
    if ok.all():
        return
    position = int(np.flatnonzero(~ok.ravel())[0])
    label = position if rows is None else rows[position]
    raise ValueError(f"{source}, row {label}, column {column}: {values.ravel()[position]} is not {expected}")


def numbers(kinds: Mapping[str, str], values: Mapping[str, Any] | pd.DataFrame, **where: Any) -> list[np.ndarray]:
    """Check columns and return them as float arrays of one shape.

    Parameters
    ----------
    kinds : dict
        Column name to a key of ``EXPECTED``.
    values : dict
        Column name to a scalar or array; must include the columns of ``kinds``.
    **where
        ``rows`` and ``source`` of :func:`require`.

    Returns
    -------
    list of ndarray
        In the order of ``kinds``.
    """
    for name in kinds:
        if np.iscomplexobj(values[name]):
            raise ValueError(f"column {name}: complex numbers given; expected real numbers")
    try:
        arrays = np.broadcast_arrays(*(np.asarray(values[name], float) for name in kinds))
    except (TypeError, ValueError, OverflowError) as error:
        shapes = ", ".join(f"{name} {np.shape(values[name])}" for name in kinds)
        raise ValueError(f"the columns must be numbers of one length or single numbers: {shapes} ({error})") from error
    for (name, kind), array in zip(kinds.items(), arrays, strict=True):
        accepted, expected = EXPECTED[kind]
        require(accepted(array), array, name, expected, **where)
    return list(arrays)


def one_number(value: object, column: str, kind: str) -> float:
    """Check a single number of a kind of ``EXPECTED``; anything else, including text, raises a ValueError."""
    accepted, expected = EXPECTED[kind]
    array = np.asarray(value)
    if array.ndim == 0 and array.dtype.kind in "iuf" and accepted(number := float(array)):
        return number
    raise ValueError(f"{column}: {value!r} is not {expected}")


def choice(value: str, column: str, allowed: Sequence[str]) -> None:
    """Raise a ValueError if an option is not one of ``allowed``."""
    if value not in allowed:
        raise ValueError(f"{column}: {value!r} is not one of {', '.join(allowed)}")
