"""Consistency of all printed standard errors with one covariance matrix.

With D the variances of all differences, some covariance matrix exists if and only if D is conditionally negative
definite: x'Dx <= 0 for every x that sums to zero. A vector x for which the printed bounds force x'Dx > 0 is a proof
that no covariance matrix fits; a matrix within the bounds that fits is a proof of the opposite.

Source: Schoenberg 1935 (Euclidean distance matrices); Gower 1985.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ROUNDS = 400


@dataclass(frozen=True, eq=False)
class Existence:
    """Whether variances within bounds can be those of differences.

    Attributes
    ----------
    exists : bool or None
        None if neither a matrix nor a proof against one was found.
    weights : ndarray [n] or None
        The vector of the proof, scaled to a largest entry of 1.
    violation : float
        Amount by which its quadratic form exceeds 0, as a proportion of the printed variances in it.
    """

    exists: bool | None
    weights: np.ndarray | None = None
    violation: float = 0.0


def covariance_exists(low: np.ndarray, high: np.ndarray) -> Existence:
    """Decide whether a matrix between ``low`` and ``high`` is conditionally negative definite.

    Parameters
    ----------
    low, high : ndarray [n, n]
        Bounds of the variances of all differences; symmetric, with diagonal 0, infinite where nothing is known.

    The method alternates projections onto the conditionally negative definite matrices, by removing positive
    eigenvalues, and back into the bounds. Each positive eigenvector is tried as a proof.
    """
    n = len(low)
    if n < 3:
        return Existence(True)
    bounded = np.where(np.isfinite(high), high, 4 * np.max(high[np.isfinite(high)], initial=1.0) * n)
    centring = np.eye(n) - 1 / n
    current = np.where(np.isfinite(high), (low + bounded) / 2, low)
    scale = np.max(low, initial=1e-300) or 1.0
    for _ in range(_ROUNDS):
        values, vectors = np.linalg.eigh(centring @ current @ centring)
        if values[-1] <= 1e-9 * scale:
            return Existence(True)
        for k in np.flatnonzero(values > 1e-9 * scale)[::-1]:
            proof = _proof(vectors[:, k], low, bounded)
            if proof is not None and np.isfinite(high[_used(vectors[:, k])]).all():
                return proof
        inner = (vectors[:, values > 0] * values[values > 0]) @ vectors[:, values > 0].T
        moved = current - inner  # nearest conditionally negative definite matrix, with a non-zero diagonal
        diagonal = np.diagonal(moved)
        moved = moved - (diagonal[:, None] + diagonal[None, :]) / 2
        current = np.clip(moved, low, bounded)
    return Existence(None)


def _used(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    part = np.flatnonzero(np.abs(x) > 1e-6)
    return np.ix_(part, part)


def _proof(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> Existence | None:
    """Return the vector as a proof, without its small entries if it remains one."""
    best = None
    for share in (0.0, 0.02, 0.05, 0.1, 0.2):
        kept = np.where(np.abs(x) >= share * np.abs(x).max(), x, 0.0)
        used = kept != 0
        if used.sum() < 3:
            break
        kept[used] -= kept[used].mean()
        product = np.outer(kept, kept)
        smallest = float((product * np.where(product > 0, low, high)).sum())
        size = float((np.abs(product) * low).sum())
        if smallest > 1e-9 * size:
            best = Existence(False, kept / np.abs(kept).max(), smallest / size)
    return best
