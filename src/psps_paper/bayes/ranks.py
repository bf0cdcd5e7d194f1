"""Rank probabilities of mixtures of multivariate normal distributions."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import scipy

from psps_paper.network.model import Desirable

REPLICATES = 16


def direction(desirable: Desirable) -> float:
    """Return 1 if higher is better, -1 if lower is."""
    if desirable not in ("lower", "higher"):
        raise ValueError(f"desirable={desirable!r}: expected 'lower' or 'higher'")
    return 1.0 if desirable == "higher" else -1.0


def both_positive(h: np.ndarray, k: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """Compute P(X > -h, Y > -k) for standard normals with correlation rho, by Owen's T.

    Source: Owen 1956, eq. 2.1.
    """
    # Owen's formula divides by h and k; this close to 0 the probability is unchanged in double precision.
    h, k = (np.where(np.abs(value) < 1e-150, 1e-150, value) for value in (h, k))
    root = np.sqrt((1 - rho) * (1 + rho))
    with np.errstate(divide="ignore"):
        first, second = (k / h - rho) / root, (h / k - rho) / root
    ndtr, owens_t = scipy.special.ndtr, scipy.special.owens_t
    opposite = np.where(h * k < 0, 0.5, 0.0)
    return (ndtr(h) + ndtr(k)) / 2 - owens_t(h, first) - owens_t(k, second) - opposite


def exact(weight: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Compute exact rank probabilities of two or three treatments.

    Parameters
    ----------
    weight : ndarray [k]
    mean : ndarray [k x n]
        Higher is better.
    covariance : ndarray [k x n x n]

    Returns
    -------
    ndarray [n x n]
        Treatment by rank, the first rank the best.
    """
    n = mean.shape[1]
    table = np.zeros((n, n))
    for i in range(n):
        others = [j for j in range(n) if j != i]
        gap = mean[:, [i]] - mean[:, others]
        turn = np.zeros((n - 1, n))
        turn[:, i], turn[np.arange(n - 1), others] = 1.0, -1.0
        spread = turn @ covariance @ turn.T
        sd = np.sqrt(np.diagonal(spread, axis1=1, axis2=2))
        z = gap / sd
        if n == 2:
            table[i] = weight @ scipy.special.ndtr(z[:, 0]), weight @ scipy.special.ndtr(-z[:, 0])
            continue
        rho = spread[:, 0, 1] / (sd[:, 0] * sd[:, 1])
        best = weight @ both_positive(z[:, 0], z[:, 1], rho)
        worst = weight @ both_positive(-z[:, 0], -z[:, 1], rho)
        table[i] = best, 1 - best - worst, worst
    return table


def quasi_random(
    weight: np.ndarray, mean: np.ndarray, covariance: np.ndarray, *, draws: int, seed: int
) -> tuple[np.ndarray, float]:
    """Estimate rank probabilities of any number of treatments by randomised Sobol points, with the largest error.

    Source: Owen 1997 (scrambled nets); the error is that of the mean of independent randomisations.
    """
    from scipy.stats import qmc  # slow to load

    each = draws // REPLICATES if isinstance(draws, Integral) else 0
    if each < 1:
        raise ValueError(f"draws={draws!r}: expected a whole number (int) of at least {REPLICATES}")
    n = mean.shape[1]
    # A symmetric square root, because the covariance is singular: the reference is zero in every draw.
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    edges = np.cumsum(weight)
    tables = np.empty((REPLICATES, n, n))
    for replicate in range(REPLICATES):
        sobol = qmc.Sobol(n, seed=np.random.default_rng([seed, replicate]))
        points = sobol.random_base2(int(np.ceil(np.log2(each))))[:each]
        node = np.minimum(np.searchsorted(edges / edges[-1], points[:, 0]), len(weight) - 1)
        # The smallest eigenvalue is zero, so one coordinate fewer than treatments suffices.
        z = np.zeros((each, n))
        z[:, 1:] = scipy.special.ndtri(np.clip(points[:, 1:], 1e-16, 1 - 1e-16))
        effects = np.empty((each, n))
        for k in np.unique(node):
            here = node == k
            effects[here] = mean[k] + z[here] @ root[k].T
        cells = np.argsort(-effects, axis=1, kind="stable") * n + np.arange(n)
        tables[replicate] = np.bincount(cells.ravel(), minlength=n * n).reshape(n, n) / each
    error = tables.std(axis=0, ddof=1) / np.sqrt(REPLICATES)
    return tables.mean(axis=0), float(error.max())
