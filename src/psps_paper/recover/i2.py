"""Inference from a printed I2 with its interval: degrees of freedom and Q."""

from __future__ import annotations

import numpy as np
import pandas as pd

from psps_paper.network.heterogeneity import i_squared
from psps_paper.recover.printed import I2_QUANTITIES, _check_printed, rounding_interval

_MAX_DF = 1000


def i2_interval(q, df: int, level: float = 0.95):
    """Compute I2 and its test-based limits (fractions) from Q at ``df``, by the engine's formula.

    Source: Higgins & Thompson 2002, Stat Med 21:1539.  Checked against: netmeta 2.8-2.
    """
    return i_squared(q, df, level)


def df_from_i2_interval(
    i2: float, lower: float, upper: float, decimals: int = 3, *, level: float = 0.95
) -> tuple[int, ...]:
    """Find the degrees of freedom of Q consistent with a printed I2 and its test-based interval.

    Parameters
    ----------
    i2, lower, upper : float
        As fractions (77.5 % is 0.775).
    decimals : int
        Printed decimals of the fraction (77.5 % has 3).
    level : float

    Returns
    -------
    tuple of int
        In increasing order; empty if no df up to 1000 reproduces the three printed values. In a network
        df = independent comparisons - (treatments - 1).

    Source: Higgins & Thompson 2002, Stat Med 21:1539.  Checked against: brute-force rounding in the tests.
    """
    names = ["i2", "i2_lower", "i2_upper"]
    rows = _check_printed(pd.DataFrame({"quantity": names, "value": [i2, lower, upper], "decimals": decimals}))
    if not lower <= i2 <= upper:
        raise ValueError(f"i2={i2}, lower={lower}, upper={upper}: expected lower <= i2 <= upper")
    return _df_of(rows, level)


def q_interval(printed: pd.DataFrame, df: int, level: float = 0.95) -> tuple[float, float]:
    """Find the range of Cochran's Q that prints as the given I2 rows at ``df``; NaN if there is none."""
    rows = _check_printed(printed)
    limits = {
        row["quantity"]: rounding_interval(row["value"], row["decimals"], row["relation"])
        for _, row in rows[rows["quantity"].isin(I2_QUANTITIES)].iterrows()
    }
    low, high = limits.get("i2", (0.0, 0.999))
    q = df / (1 - np.linspace(max(low, 0.0), min(high, 0.999), 20001))
    values = dict(zip(I2_QUANTITIES, i_squared(q, df, level), strict=True))
    fit = np.ones(len(q), dtype=bool)
    for name, (a, b) in limits.items():
        fit &= (values[name] >= a) & (values[name] <= b)
    return (float(q[fit].min()), float(q[fit].max())) if fit.any() else (np.nan, np.nan)


def _i2_grid(rows: pd.DataFrame, level: float):
    """Compute I2 and its limits on a fine grid of I2 for each df [df x grid], and where they fit all ``rows``."""
    limits = {
        row["quantity"]: rounding_interval(row["value"], row["decimals"], row["relation"]) for _, row in rows.iterrows()
    }
    low, high = limits.get("i2", (0.0, 0.9999))
    # without a printed I2 the grid must cover its whole range, so fewer df are tried
    share = np.linspace(max(low, 0.0), min(high, 0.9999), 41 if "i2" in limits else 5001)
    df = np.arange(2, (_MAX_DF if "i2" in limits else 200) + 1)
    values = dict(zip(I2_QUANTITIES, i_squared(df[:, None] / (1 - share), df[:, None], level), strict=True))
    fit = np.ones((len(df), len(share)), dtype=bool)
    for name in I2_QUANTITIES[1:]:
        if name in limits:
            a, b = limits[name]
            fit &= (values[name] >= a - 1e-12) & (values[name] <= b + 1e-12)
    return df, values, fit


def _df_of(rows: pd.DataFrame, level: float) -> tuple[int, ...]:
    df, _, fit = _i2_grid(rows, level)
    return tuple(int(k) for k in df[fit.any(axis=1)])


def _i2_implied(rows: pd.DataFrame, kind: str, level: float) -> tuple[float, float]:
    _, values, fit = _i2_grid(rows, level)
    found = values[kind][fit]
    return (float(found.min()), float(found.max())) if found.size else (np.nan, np.nan)
