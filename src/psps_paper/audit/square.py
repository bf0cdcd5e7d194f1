"""All network cells of one analysis as matrices of bounds, row minus column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from psps_paper.audit.cells import Interval, interval_of, narrowed
from psps_paper.audit.closure import tightened
from psps_paper.audit.model import Cell, Network, bounds
from psps_paper.audit.numbers import SLACK
from psps_paper.network.model import z_quantile


@dataclass(frozen=True, eq=False)
class Square:
    """Bounds of every difference and of its standard error.

    Attributes
    ----------
    treatments : tuple of str
    te_high : ndarray [n, n]
        Largest row minus column; the smallest is ``-te_high.T``. Infinite where nothing is printed.
    se_low, se_high : ndarray [n, n]
        Symmetric; 0 and infinite where nothing is printed.
    printed : ndarray of bool [n, n]
        True where a cell is printed, in either direction.
    cells : tuple of Cell
        The cells from which the bounds come.
    symmetric : bool
        Whether every estimate can be the middle of its interval.
    """

    treatments: tuple[str, ...]
    te_high: np.ndarray
    se_low: np.ndarray
    se_high: np.ndarray
    printed: np.ndarray
    cells: tuple[Cell, ...]
    symmetric: bool

    @property
    def full(self) -> bool:
        """Return whether every comparison is printed."""
        return bool(self.printed.sum() == self.printed.size - len(self.printed))

    def name(self, i: int, j: int) -> str:
        return f"{self.treatments[i]} vs {self.treatments[j]}"


def make_square(
    network: Network, cells: Sequence[Cell], *, slack: float = SLACK, te_slack: float = 0.0, se_slack: float = 0.0
) -> Square:
    """Compute bounds by rounding from the cells of one analysis, combining two cells of a pair if they agree.

    Parameters
    ----------
    network : Network
        Defines scale, level and the order of treatments.
    cells : sequence of Cell
    slack : float
        Rounding error of each number, in units of its last digit.
    te_slack, se_slack : float
        Additional slack of estimates and standard errors, in standard errors, for simulation error of posterior draws.
    """
    treatments = tuple(
        label for label in network.treatments if any(label in (cell.treat1, cell.treat2) for cell in cells)
    )
    position = {label: k for k, label in enumerate(treatments)}
    n = len(treatments)
    te_high, se_low, se_high = np.full((n, n), np.inf), np.zeros((n, n)), np.full((n, n), np.inf)
    printed, kept, symmetric = np.zeros((n, n), dtype=bool), [], True
    for cell in cells:
        i, j = position[cell.treat1], position[cell.treat2]
        one = interval_of(cell, network.scale, network.level, slack)
        symmetric &= one.middle
        low, high = one.te_low, one.te_high
        if not one.middle or te_slack:
            low, high = bounds(cell.triple.estimate, network.scale, slack)
        extra = one.se_high if np.isfinite(one.se_high) else 0.0
        low, high = low - te_slack * extra, high + te_slack * extra
        s0, s1 = one.se_low * (1 - se_slack), one.se_high * (1 + se_slack)
        if printed[i, j] and max(low, -te_high[j, i]) <= min(high, te_high[i, j]):
            low, high = max(low, -te_high[j, i]), min(high, te_high[i, j])
        elif printed[i, j]:
            continue  # the two triangles clash, which another check reports
        if max(s0, se_low[i, j]) <= min(s1, se_high[i, j]):
            s0, s1 = max(s0, se_low[i, j]), min(s1, se_high[i, j])
        te_high[i, j], te_high[j, i] = high, -low
        se_low[i, j] = se_low[j, i] = s0
        se_high[i, j] = se_high[j, i] = s1
        printed[i, j] = printed[j, i] = True
        kept.append(cell)
    for matrix in (te_high, se_low, se_high):
        np.fill_diagonal(matrix, 0.0)
    return Square(treatments, te_high, se_low, se_high, printed, tuple(kept), symmetric)


def closed(network: Network, square: Square, *, slack: float = SLACK) -> Square | None:
    """Narrow every estimate by all others, and standard errors by the estimates; None if cells clash.

    Only for symmetric squares, in which estimates are the middles of their intervals.
    """
    high = tightened(square.te_high)
    if high is None:
        return None
    z = z_quantile(network.level)
    position = {label: k for k, label in enumerate(square.treatments)}
    se_low, se_high = square.se_low.copy(), square.se_high.copy()
    for cell in square.cells:
        i, j = position[cell.treat1], position[cell.treat2]
        one = Interval(-high[j, i], high[i, j], se_low[i, j], se_high[i, j], True, True, 0.0)
        one = narrowed(
            one, bounds(cell.triple.lower, network.scale, slack), bounds(cell.triple.upper, network.scale, slack), z
        )
        se_low[i, j] = se_low[j, i] = one.se_low
        se_high[i, j] = se_high[j, i] = one.se_high
    return replace(square, te_high=high, se_low=se_low, se_high=se_high)
