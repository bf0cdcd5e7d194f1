"""Tetrachoric correlation of two-by-two tables."""

from __future__ import annotations

import numpy as np
import scipy


def bivariate_normal_cdf(h: float, k: float, rho: float) -> float:
    """Compute P(X < h, Y < k) for standard normal X, Y with correlation rho.

    Source: Plackett 1954: the derivative with respect to rho is the bivariate density, integrated here over the
    angle arcsin(rho), from 0.
    """
    nodes, weights = np.polynomial.legendre.leggauss(96)
    angle = np.arcsin(rho) / 2 * (nodes + 1)
    sine, cosine = np.sin(angle), np.cos(angle)
    exponent = -(h**2 + k**2 - 2 * h * k * sine) / (2 * cosine**2)
    integral = np.arcsin(rho) / 2 * (weights @ np.exp(exponent)) / (2 * np.pi)
    return float(scipy.special.ndtr(h) * scipy.special.ndtr(k) + integral)


def tetrachoric(a, b, c, d) -> tuple[np.ndarray, np.ndarray]:
    """Compute the tetrachoric correlation of tables with rows (a, b) and (c, d), and its large-sample variance.

    Parameters
    ----------
    a, b, c, d : ndarray (k,)
        Events and non-events of the first group, events and non-events of the second.

    Returns
    -------
    correlation, variance : ndarray (k,)
        NaN where a row, a column or a single cell is empty; with one empty cell the estimate would be 1 or -1,
        where no standard error exists.

    Source: Pearson 1900; Hamdan 1970; Brown & Benedetti 1977 for the variance with estimated thresholds.
    Checked against: metafor 3.8-1 escalc(measure = "RTET").
    """
    found = [_of_one_table(*cells) for cells in zip(a, b, c, d, strict=True)]
    correlation, variance = np.array(found, float).reshape(-1, 2).T
    return correlation, variance


def _of_one_table(a: float, b: float, c: float, d: float) -> tuple[float, float]:
    if min(a, b, c, d) <= 0:
        return np.nan, np.nan
    total = a + b + c + d
    h, k = scipy.special.ndtri((a + b) / total), scipy.special.ndtri((a + c) / total)
    edge = 1 - 1e-12
    gap = [bivariate_normal_cdf(h, k, r) - a / total for r in (-edge, edge)]
    if gap[0] * gap[1] >= 0:
        return np.nan, np.nan
    rho = scipy.optimize.brentq(lambda r: bivariate_normal_cdf(h, k, r) - a / total, -edge, edge, xtol=1e-15)
    rest = np.sqrt(1 - rho**2)
    density = np.exp(-(h**2 + k**2 - 2 * rho * h * k) / (2 * rest**2)) / (2 * np.pi * rest)
    by_h = scipy.special.ndtr((k - rho * h) / rest) - 0.5
    by_k = scipy.special.ndtr((h - rho * k) / rest) - 0.5
    variance = (a + d) * (b + c) / (4 * total**2) + by_h**2 * (a + b) * (c + d) / total**2
    variance += by_k**2 * (a + c) * (b + d) / total**2 + 2 * by_h * by_k * (a * d - b * c) / total**2
    variance -= by_k * (a * b - c * d) / total**2 + by_h * (a * c - b * d) / total**2
    return float(rho), float(variance / (total * density**2))
