"""Distribution of a weighted sum of chi-squared variables."""

from __future__ import annotations

import numpy as np
import scipy

# Points of the trapezoidal rule on the path, in units of the saddle point's width.
STEP, REACH = 0.04, 14.0
# With weights of at most 1, the tail beyond this is below exp(-1e5).
FAR = 1e6


def upper_tail(x: float, weights: np.ndarray) -> float:
    """Compute P(sum of weights times chi-squared(1) > x).

    Parameters
    ----------
    x : float
    weights : ndarray
        At least 0, and at least one above 0.

    Notes
    -----
    The inversion integral of exp(K(s) - s x) / s, with cumulant function K, is taken along a parabola through the
    saddle point that bends towards the branch cut of K, where exp(-s x) decreases. The integrand decays like a normal
    density there, and the trapezoidal rule converges geometrically. A saddle point left of the pole at 0 gives the
    lower tail.

    Source: Rice 1980 (inversion through the saddle point); Imhof 1961 for the integral.
    Checked against: chi-squared, and sums of two weights in closed form (tests).
    """
    weights = np.asarray(weights, float)
    unit = weights.max()
    weights = weights[weights > 1e-15 * unit] / unit
    x = x / unit
    if x <= 0:
        return 1.0
    if x > FAR + 100 * len(weights):
        return 0.0
    c = _saddle(x, weights)
    near = 0.5 / np.sqrt(2 * (weights**2).sum())
    if abs(c) < near:
        c = min(near, 0.25)
    parts = weights / (1 - 2 * c * weights)
    second, third = 2 * (parts**2).sum(), 8 * (parts**3).sum()
    width = second**-0.5
    bend = third / (6 * second) * width
    t = np.arange(0.0, REACH, STEP)
    s = c + width * (1j * t + bend * t**2)
    exponent = -0.5 * np.log(1 - 2 * s[:, None] * weights).sum(axis=1) - s * x
    integrand = (np.exp(exponent) / s * width * (1j + 2 * bend * t)).imag
    total = STEP * (integrand.sum() - integrand[0] / 2) / np.pi
    return float(np.clip(total if c > 0 else 1 + total, 0.0, 1.0))


def _saddle(x: float, weights: np.ndarray) -> float:
    """Find s where K'(s) = sum of weights / (1 - 2 s weights) equals x; the largest weight is 1."""

    def excess(s: float) -> float:
        return float((weights / (1 - 2 * s * weights)).sum() - x)

    m = len(weights)
    high = 0.5 - 0.25 / max(x, m)
    while excess(high) < 0:
        high = (high + 0.5) / 2
    low = -1.0
    while excess(low) > 0:
        low *= 4
    return float(scipy.optimize.brentq(excess, low, high, xtol=1e-12, rtol=1e-12))
