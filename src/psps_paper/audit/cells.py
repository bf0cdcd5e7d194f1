"""Checks of one printed comparison: its limits, the middle of its interval, its p and z."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, stdtr, stdtrit

from psps_paper.audit.findings import Finding, overlap
from psps_paper.audit.model import Cell, Network, bounds
from psps_paper.audit.numbers import SLACK, Number
from psps_paper.network.model import z_quantile

USUAL_OFFSET = 0.25  # SE: how far estimates lie from the middle in published tables of other methods
RARE_OFFSET = 0.7  # SE: the same with rare events
_DF = np.r_[np.arange(1.0, 31.0), 40.0, 60.0, 100.0, 200.0, 500.0, 1e6]


@dataclass(frozen=True)
class Interval:
    """The range of estimates and standard errors behind one printed comparison, on the scale of analysis.

    Attributes
    ----------
    te_low, te_high : float
        The estimate, narrowed by the middle of the limits if the two agree.
    se_low, se_high : float
    middle : bool
        Whether the estimate can be the middle of its limits.
    ordered : bool
        Whether the lower limit can be below the upper one and the estimate between them.
    offset : float
        Smallest distance of the estimate from the middle, in standard errors; 0 if ``middle``.
    """

    te_low: float
    te_high: float
    se_low: float
    se_high: float
    middle: bool
    ordered: bool
    offset: float


def interval_of(cell: Cell, scale: str, level: float, slack: float = SLACK) -> Interval:
    """Bound the exact estimates and standard errors that print as this cell, with limits of the normal distribution.

    A t quantile would scale all standard errors of a table by the same factor; only the check of p depends on it.
    """
    z = z_quantile(level)
    e0, e1 = bounds(cell.triple.estimate, scale, slack)
    l0, l1 = bounds(cell.triple.lower, scale, slack)
    u0, u1 = bounds(cell.triple.upper, scale, slack)
    ordered = l0 <= u1 and l0 <= e1 and e0 <= u1
    m0, m1 = (l0 + u0) / 2, (l1 + u1) / 2
    se_low, se_high = max((u0 - l1) / (2 * z), 0.0), (u1 - l0) / (2 * z)
    middle = ordered and overlap(e0, e1, m0, m1)
    if not middle:
        width = ((u0 + u1) - (l0 + l1)) / (4 * z)
        offset = max(m0 - e1, e0 - m1) / abs(width) if math.isfinite(width) and width else math.inf
        return Interval(e0, e1, se_low, max(se_high, se_low), False, ordered, float(offset))
    t0, t1 = max(e0, m0), min(e1, m1)
    if t0 > t1:
        t0 = t1 = (t0 + t1) / 2
    return narrowed(Interval(t0, t1, se_low, se_high, True, True, 0.0), (l0, l1), (u0, u1), z)


def narrowed(found: Interval, lower: tuple[float, float], upper: tuple[float, float], z: float) -> Interval:
    """Narrow the standard error of an estimate in the middle by its distance from either limit."""
    low = max(found.se_low, (upper[0] - found.te_high) / z, (found.te_low - lower[1]) / z, 0.0)
    high = min(found.se_high, (upper[1] - found.te_low) / z, (found.te_high - lower[0]) / z)
    return replace(found, se_low=low, se_high=max(low, high))


def limit_findings(network: Network, cells: list[Cell], label: str = "") -> list[Finding]:
    """Check that each cell's limits are in order and its estimate in their middle, on the scale of analysis."""
    found = [interval_of(cell, network.scale, network.level) for cell in cells]
    symmetric = sum(one.middle for one in found)
    findings = []
    for cell, one in zip(cells, found, strict=True):
        others = len(cells) - 1
        alone = others >= 3 and symmetric >= others and not one.middle
        findings.append(_limit_finding(network, cell, one, alone, label))
    return findings


def order_findings(network: Network) -> list[Finding]:
    """Find cells whose limits are out of order or whose estimate is outside them, a clash on any scale."""
    cells = [cell for table in network.tables for cell in table.cells]
    as_difference = replace(network, scale="difference")
    return [
        _limit_finding(as_difference, cell, one, False, "")
        for cell in cells
        if not (one := interval_of(cell, "difference", network.level)).ordered
    ]


def _limit_finding(network: Network, cell: Cell, one: Interval, alone: bool, label: str) -> Finding:
    scale = network.scale
    lower, upper = cell.triple.lower, cell.triple.upper
    middle = _middle(cell, scale)
    where = place(cell, network.name, label)

    def finding(verdict: str, why: str) -> Finding:
        return Finding("interval", where, cell.triple.text, *middle, verdict, why, ((cell.treat1, cell.treat2),))

    if not one.ordered:
        if lower.bounds()[0] > upper.bounds()[1]:
            return finding(
                "clash",
                "The lower limit is above the upper one; "
                + _minus_question(cell, network, "are the two in the wrong places?"),
            )
        return finding(
            "clash",
            "The estimate is outside its interval; "
            + _minus_question(cell, network, "is one of the three numbers another?"),
        )
    if one.middle:
        on = "the logarithmic scale" if scale == "ratio" else "its scale"
        return finding("holds", f"The estimate is the middle of its interval on {on}, within rounding.")
    off = f"The estimate sits at least {one.offset:.2g} standard errors off the middle of its interval"
    restored = _restored(cell, network)
    if alone and restored:
        return finding(
            "clash",
            f"{off}, all other cells in theirs; with {restored} it would be there: did a minus sign get lost, or"
            " come in?",
        )
    if scale == "ratio" and _mean_of_log_normal(cell, network):
        return finding(
            "explained", f"{off}, where the mean of a log-normal distribution lies (posterior mean of a ratio)."
        )
    if network.framework == "bayesian":
        verdict = "explained" if one.offset <= RARE_OFFSET else "cannot tell"
        return finding(verdict, f"{off}; a posterior need not be symmetric.")
    if one.offset <= USUAL_OFFSET:
        return finding("explained", f"{off}; posterior medians, adjusted models and likelihood intervals do that.")
    if one.offset > 1 and alone and network.framework == "frequentist":
        return finding("clash", f"{off}, all other cells in theirs; is a digit of it another?")
    return finding("cannot tell", f"{off}; rare events or another method could do that; is a digit of it another?")


def place(cell: Cell, network: str, label: str = "") -> str:
    """Name a comparison for findings, with its place in print."""
    parts = [part for part in (network, label) if part]
    return f"{': '.join(parts)}{': ' if parts else ''}{cell.treat1} vs {cell.treat2} ({cell.where})"


def _middle(cell: Cell, scale: str) -> tuple[float, float]:
    """Return the range of the limits' middle, in the printed unit."""
    l0, l1 = bounds(cell.triple.lower, scale)
    u0, u1 = bounds(cell.triple.upper, scale)
    low, high = (l0 + u0) / 2, (l1 + u1) / 2
    return (float(np.exp(low)), float(np.exp(high))) if scale == "ratio" else (low, high)


def _flipped(number: Number) -> Number:
    return replace(number, value=-number.value)


def _with_reversed_signs(cell: Cell) -> list[tuple[str, Cell]]:
    """List the cell with the sign of one or two numbers reversed."""
    triple = cell.triple
    ways = {
        "estimate": ("estimate",),
        "lower limit": ("lower",),
        "upper limit": ("upper",),
        "estimate and lower limit": ("estimate", "lower"),
        "limits": ("lower", "upper"),
    }
    return [
        (
            f"the {name} of opposite sign",
            replace(cell, triple=replace(triple, **{one: _flipped(getattr(triple, one)) for one in numbers})),
        )
        for name, numbers in ways.items()
    ]


def _restored(cell: Cell, network: Network) -> str:
    """Describe the change of sign that puts the estimate in the middle of its interval; empty if there is none."""
    if network.scale == "ratio":
        return ""
    return next(
        (name for name, other in _with_reversed_signs(cell) if interval_of(other, network.scale, network.level).middle),
        "",
    )


def _minus_question(cell: Cell, network: Network, otherwise: str) -> str:
    restored = _restored(cell, network)
    return (
        f"with {restored} it would be in the middle: did a minus sign get lost in copying?" if restored else otherwise
    )


def _mean_of_log_normal(cell: Cell, network: Network) -> bool:
    """Return whether the estimate can be exp(mu + s^2/2), the mean of the log-normal with the limits as quantiles."""
    z = z_quantile(network.level)
    (l0, l1), (u0, u1) = bounds(cell.triple.lower, "ratio"), bounds(cell.triple.upper, "ratio")
    e0, e1 = bounds(cell.triple.estimate, "ratio")
    s0, s1 = max(u0 - l1, 0) / (2 * z), (u1 - l0) / (2 * z)
    return bool(np.isfinite(l0) and overlap(e0, e1, (l0 + u0) / 2 + s0**2 / 2, (l1 + u1) / 2 + s1**2 / 2))


# --- p and z ------------------------------------------------------------------------------------------


def test_findings(network: Network, cells: list[Cell], label: str = "") -> list[Finding]:
    """Check that each printed p and z agrees with estimate and interval.

    A t distribution in both interval and p, a one-sided p and a Knapp-Hartung interval explain a difference.
    """
    findings = []
    for cell in cells:
        if cell.p is not None or cell.z is not None:
            one = interval_of(cell, network.scale, network.level)
            if not one.ordered:
                continue
            if cell.z is not None:
                findings.append(_z_finding(network, cell, one, label))
            if cell.p is not None:
                findings.append(_p_finding(network, cell, one, label))
    return findings


vars(test_findings)["__test__"] = False  # not a test of pytest


def statistic(one: Interval) -> tuple[float, float]:
    """Return the smallest and largest te / se."""
    ends = [
        te / se if se > 0 else np.sign(te) * np.inf if te else 0.0
        for te in (one.te_low, one.te_high)
        for se in (one.se_low, one.se_high)
    ]
    return min(ends), max(ends)


def _p_range(low: float, high: float, df: float = np.inf) -> tuple[float, float]:
    """Return the range of two-sided p over statistics from low to high."""
    smallest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    largest = max(abs(low), abs(high))
    tail = ndtr if np.isinf(df) else lambda t: stdtr(df, t)
    return float(2 * tail(-largest)), float(2 * tail(-smallest))


def _z_finding(network: Network, cell: Cell, one: Interval, label: str) -> Finding:
    low, high = statistic(one)
    printed = cell.z.bounds()
    where = place(cell, network.name, label)
    cells = ((cell.treat1, cell.treat2),)
    if overlap(low, high, *printed):
        return Finding(
            "z",
            where,
            cell.z.text,
            low,
            high,
            "holds",
            "z is the estimate over its standard error, within rounding.",
            cells,
        )
    if overlap(-high, -low, *printed) or overlap(low, high, *sorted((-printed[0], -printed[1]))):
        return Finding(
            "z",
            where,
            cell.z.text,
            low,
            high,
            "explained",
            "z has the opposite sign: it is of the comparison the other way round, or printed without sign.",
            cells,
        )
    z = z_quantile(network.level)
    factors = stdtrit(_DF, (1 + network.level) / 2) / z
    if any(overlap(*sorted((low * factor, high * factor)), *printed) for factor in factors):
        return Finding(
            "z",
            where,
            cell.z.text,
            low,
            high,
            "explained",
            "The interval is wider than a normal one, as with a t distribution.",
            cells,
        )
    return Finding(
        "z",
        where,
        cell.z.text,
        low,
        high,
        "clash",
        "z is not the estimate over the standard error of the interval; is one of these numbers another?",
        cells,
    )


def _p_finding(network: Network, cell: Cell, one: Interval, label: str) -> Finding:
    statistics = statistic(one)
    low, high = _p_range(*statistics)
    printed = (max(cell.p.bounds()[0], 0.0), min(cell.p.bounds()[1], 1.0))
    where = place(cell, network.name, label)

    def finding(verdict: str, why: str) -> Finding:
        return Finding("p value", where, cell.p.text, low, high, verdict, why, ((cell.treat1, cell.treat2),))

    if cell.p.value > 1 or cell.p.value < 0:
        return finding("clash", "A p value lies between 0 and 1; is this a percentage or another quantity?")
    if overlap(low, high, *printed):
        return finding("holds", "p follows from estimate and interval, within rounding.")
    if network.framework == "bayesian":
        return finding("cannot tell", "A posterior probability need not follow from estimate and interval.")
    z = z_quantile(network.level)
    for df in _DF:
        factor = stdtrit(df, (1 + network.level) / 2) / z
        if overlap(*_p_range(*(factor * value for value in statistics), df), *printed):
            return finding(
                "explained",
                f"p and interval agree by a t distribution with about {df:.0f} degrees of freedom (Knapp-Hartung or few"
                " studies).",
            )
    if overlap(low / 2, high / 2, *printed) or overlap(1 - high / 2, 1 - low / 2, *printed):
        return finding("explained", "p is one-sided.")
    return finding(
        "clash",
        "p does not follow from estimate and interval by a normal or a t distribution; is one of these numbers"
        " another?",
    )
