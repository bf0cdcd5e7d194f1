"""The network behind a league table: the weight of direct evidence of each comparison, with bounds by rounding.

The variances of all differences are the effective resistances of a graph whose conductances are the weights of the
direct evidence (Rücker 2012). With D the variances and J the centring matrix, G = -J D J / 2 is the covariance of the
centred effects and its pseudo-inverse L the Laplacian of the graph: minus its off-diagonal entries are the weights.

For two matrices D0 and D, with L0 and L their Laplacians, L - L0 = L0 (D - D0) L / 2 holds exactly. Bounds of D and of
L on the right give bounds of L on the left; iterated, they converge to bounds on the weights of all tables that round
to the printed one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ROUNDS = 60
_DONE = 1e-6


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights of direct evidence and their bounds.

    Attributes
    ----------
    weight : ndarray [n, n]
        Weights at the middle of the bounds of the variances; can be negative by rounding.
    low, high : ndarray [n, n]
        Outer bounds: they contain the weights of every network with weights of at least 0 whose variances lie within
        their bounds. They can be wider than necessary.
    possible : bool
        False if no such network exists; the bounds are then NaN.
    """

    weight: np.ndarray
    low: np.ndarray
    high: np.ndarray
    possible: bool


def laplacian(variances: np.ndarray) -> np.ndarray:
    """Compute the Laplacian of the network whose effective resistances are these variances of differences.

    Examples
    --------
    >>> chain = np.array([[0, 1.0, 3], [1, 0, 2], [3, 2, 0]])  # variances 1 and 2, one after the other
    >>> laplacian(chain).round(6).tolist()
    [[1.0, -1.0, 0.0], [-1.0, 1.5, -0.5], [0.0, -0.5, 0.5]]

    Source: Rücker 2012, Res Synth Methods 3:312, section 2; Gutman & Xiao 2004 (inverse).
    """
    n = len(variances)
    rows = variances.mean(axis=1)
    covariance = (rows[:, None] + rows[None, :] - variances - rows.mean()) / 2
    found = np.linalg.inv(covariance + 1 / n) - 1 / n
    return (found + found.T) / 2


def weight_bounds(low: np.ndarray, high: np.ndarray) -> Weights:
    """Bound the weights of direct evidence from bounds of the variances of all differences.

    Parameters
    ----------
    low, high : ndarray [n, n]
        Symmetric and finite; positive except on the diagonal, which is 0.

    Returns
    -------
    Weights

    Source: the identity above; Krawczyk's interval iteration is the same idea for general matrices.
    Checked against: local optimisation over the same tables, and the true weights of simulated networks.
    """
    n = len(low)
    middle, half = (low + high) / 2, (high - low) / 2
    try:
        base = laplacian(middle)
    except np.linalg.LinAlgError:
        return _reciprocal_bounds(n, low, high)
    if not np.isfinite(base).all():
        return _reciprocal_bounds(n, low, high)
    off = ~np.eye(n, dtype=bool)
    with np.errstate(divide="ignore"):
        largest = np.where(off, 1 / np.where(off, low, 1.0), 0.0)  # a weight is at most the reciprocal of the variance
    bottom, top = np.where(off, -largest, 0.0), np.zeros((n, n))
    bottom[~off], top[~off] = 0.0, largest.sum(axis=1)
    upper = np.triu(half, 1)
    for _ in range(_ROUNDS):
        radius = _radius(base, upper, (bottom + top) / 2, (top - bottom) / 2)
        radius = np.minimum(radius, radius.T)
        new_bottom, new_top = np.maximum(bottom, base - radius), np.minimum(top, base + radius)
        _diagonal(new_bottom, new_top, off)
        slack = 1e-9 * np.abs(base).max()
        if (new_bottom > new_top + slack).any():
            return Weights(-base * off, np.full((n, n), np.nan), np.full((n, n), np.nan), False)
        gain = np.max(
            (new_top - new_bottom) / np.maximum(top - bottom, 1e-300), where=(top - bottom) > slack, initial=0.0
        )
        change = np.max(np.abs(new_top - top)) + np.max(np.abs(new_bottom - bottom))
        bottom, top = new_bottom, new_top
        if change < _DONE * np.abs(base).max() or gain == 0.0:
            break
    return Weights(
        -base * off, np.where(off, np.maximum(-top, 0.0), 0.0), np.where(off, np.maximum(-bottom, 0.0), 0.0), True
    )


def _reciprocal_bounds(n: int, low: np.ndarray, high: np.ndarray) -> Weights:
    """Bound weights by reciprocal variances if the middle of the bounds is not a network."""
    off = ~np.eye(n, dtype=bool)
    with np.errstate(divide="ignore"):
        return Weights(np.full((n, n), np.nan), np.zeros((n, n)), np.where(off, 1 / np.where(off, low, 1.0), 0.0), True)


def _radius(base: np.ndarray, half: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Bound |L0 E L| / 2 over errors E of at most ``half`` (upper triangle) and L within ``spread`` of ``centre``."""
    a, b = np.nonzero(half)
    size = half[a, b]
    left_a, left_b = base[:, a], base[:, b]
    by_centre = np.abs(left_a[:, :, None] * centre[None, b, :] + left_b[:, :, None] * centre[None, a, :])
    total = np.einsum("tpi,p->ti", by_centre, size)
    total += (np.abs(left_a) * size) @ spread[b] + (np.abs(left_b) * size) @ spread[a]
    return total / 2


def _diagonal(bottom: np.ndarray, top: np.ndarray, off: np.ndarray) -> None:
    """Bound each diagonal entry by the sum of its row, and each other entry by the remainder of its row, in place."""
    rows_top, rows_bottom = (-bottom * off).sum(axis=1), (-top * off).sum(axis=1)
    diagonal = np.arange(len(off))
    top[diagonal, diagonal] = np.minimum(top[diagonal, diagonal], rows_top)
    bottom[diagonal, diagonal] = np.maximum(bottom[diagonal, diagonal], rows_bottom)
    most = top[diagonal, diagonal][:, None] - (
        rows_bottom[:, None] + top * off
    )  # the remainder of a row for one weight
    least = bottom[diagonal, diagonal][:, None] - (rows_top[:, None] + bottom * off)
    most, least = np.minimum(most, most.T), np.maximum(least, least.T)
    np.copyto(bottom, np.maximum(bottom, -most), where=off)
    np.copyto(top, np.minimum(top, -least), where=off)
