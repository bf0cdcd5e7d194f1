"""Distribution of a weighted sum of chi-squared variables."""

from __future__ import annotations

import numpy as np

NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(24)
# The tail of the integral beyond the last panel is below this.
TAIL = 1e-13


def upper_tail(x: float, weights: np.ndarray) -> float:
    """P(sum of weights times chi-squared(1) > x).

    Parameters
    ----------
    x : float
    weights : ndarray
        At least 0, one above 0.

    Source: Imhof 1961: 1/2 + 1/pi times the integral of sin(theta(u)) / (u rho(u)), here by Gauss-Legendre on
    panels of about half a turn of theta.
    Checked against: chi-squared and its sums of two in closed form (tests).
    """
    weights = np.asarray(weights, float)
    weights = weights[weights > 1e-14 * weights.max()]
    if x <= 0:
        return 1.0
    x, weights = x / weights.max(), weights / weights.max()
    half = len(weights) / 2
    # u rho(u) grows at least as u^(1 + m/2) times the root of the product of the weights.
    log_end = (-np.log(TAIL * np.pi * half) - np.log(weights).sum() / 2) / half
    end = float(np.exp(min(log_end, 12.0)))
    turn = 2 * np.pi / (weights.sum() + x)
    count = int(min(np.ceil(end / turn), 4000))
    edges = np.concatenate([np.linspace(0, min(end, count * turn), count + 1)])
    if edges[-1] < end:
        edges = np.concatenate([edges, np.geomspace(edges[-1], end, 400)[1:]])
    middle, reach = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
    u = middle[:, None] + reach[:, None] * NODES
    products = u[..., None] * weights
    theta = np.arctan(products).sum(axis=-1) / 2 - x * u / 2
    log_rho = np.log1p(products**2).sum(axis=-1) / 4
    integrand = np.sin(theta) * np.exp(-log_rho) / u
    total = float((integrand @ NODE_WEIGHTS * reach).sum())
    return float(np.clip(0.5 + total / np.pi, 0.0, 1.0))
