"""Consistency of all cells with one vector of effects, by shortest paths, and the smallest set of cells that clash.

The rounding interval of a printed estimate of i against j is two inequalities, effect_i - effect_j <= high and
effect_j - effect_i <= -low. Such a system of difference constraints has a solution if and only if the graph with these
bounds as lengths has no negative cycle, and the cycle with the fewest edges is the smallest set of cells that cannot
hold together. Shortest paths give the exact range of each difference. This solves the dual of the table's linear
programme without a solver.

Source: Cormen, Leiserson, Rivest & Stein, Introduction to Algorithms, section on difference constraints.
"""

from __future__ import annotations

import numpy as np


def tightened(high: np.ndarray) -> np.ndarray | None:
    """Find the largest value of each difference that all cells together allow; None if they allow none.

    Parameters
    ----------
    high : ndarray [n, n]
        Upper bound of row minus column, infinite where nothing is printed; the lower bound is ``-high.T``.

    Examples
    --------
    >>> high = np.array([[0, 1.0, 9], [-0.5, 0, 1], [9, -0.5, 0]])  # 0.5 to 1, 0.5 to 1
    >>> float(tightened(high)[0, 2])
    2.0
    """
    distance = high.copy()
    np.fill_diagonal(distance, 0.0)
    for k in range(len(distance)):
        np.minimum(distance, distance[:, k, None] + distance[None, k, :], out=distance)
    size = np.abs(high[np.isfinite(high)]).max(initial=1e-3)
    return None if np.diagonal(distance).min() < -1e-9 * size else distance


def smallest_cycle(high: np.ndarray) -> list[int]:
    """Find the negative cycle with fewest edges, as treatments in order; empty if there is none.

    Ties go to the cycle with the largest violation.
    """
    n = len(high)
    step = high.copy()
    np.fill_diagonal(step, np.inf)
    size = np.abs(step[np.isfinite(step)]).max(initial=1e-3)
    walk, parents = step.copy(), []
    for _ in range(n - 1):
        through = walk[:, :, None] + step[None, :, :]
        parents.append(through.argmin(axis=1))
        walk = through.min(axis=1)
        diagonal = np.diagonal(walk)
        if diagonal.min() < -1e-9 * size:
            start = int(diagonal.argmin())
            cycle, node = [start], start
            for parent in reversed(parents):
                node = int(parent[start, node])
                cycle.append(node)
            return [start, *cycle[:0:-1]]
    return []


def feasible(high: np.ndarray) -> bool:
    """Return whether one vector of effects satisfies all bounds."""
    return tightened(high) is not None


def repairs(high: np.ndarray, pairs: list[tuple[int, int]]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Find pairs whose cell, if reversed, makes the table consistent, and pairs whose removal does.

    Parameters
    ----------
    high : ndarray [n, n]
    pairs : list of (i, j)
        Cells to try.
    """
    inverted, left_out = [], []
    for i, j in pairs:
        changed = high.copy()
        changed[i, j], changed[j, i] = np.inf, np.inf
        if feasible(changed):
            left_out.append((i, j))
            changed[i, j], changed[j, i] = high[j, i], high[i, j]
            if feasible(changed):
                inverted.append((i, j))
    return inverted, left_out
