"""Mixtures of normal distributions with shared weights, many at a time."""

from __future__ import annotations

import numpy as np
import scipy

from psps_paper.errors import ConvergenceError


def below(x: float | np.ndarray, weight: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Compute P(mixture <= x).

    Parameters
    ----------
    x : float or ndarray [...]
    weight : ndarray [n]
    mean, sd : ndarray [n, ...]
    """
    return np.tensordot(weight, scipy.special.ndtr((x - mean) / sd), axes=1)


def density(x: np.ndarray, weight: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Compute the density of the mixture at x; shapes as in :func:`below`."""
    return np.tensordot(weight, np.exp(-(((x - mean) / sd) ** 2) / 2) / sd, axes=1) / np.sqrt(2 * np.pi)


def quantiles(p: np.ndarray, weight: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Compute quantiles of m mixtures by Halley's method in a bracket, which is halved if a step would leave it.

    Parameters
    ----------
    p : ndarray [m]
        In (0, 1).
    weight : ndarray [n]
    mean, sd : ndarray [n x m]

    Returns
    -------
    ndarray [m]
    """
    single = mean + scipy.special.ndtri(p) * sd
    # The mixture's quantile lies between the smallest and the largest of its parts.
    low, high = single.min(axis=0), single.max(axis=0)
    least, centre = sd.min(axis=0), weight @ mean
    x = np.clip(weight @ single, low, high)
    # In the upper half the complement is more accurate.
    turn = np.where(p > 0.5, -1.0, 1.0)
    target = np.where(p > 0.5, 1 - p, p)
    todo = np.flatnonzero(high > low)
    x, found = x[todo], x
    state = [part[..., todo] for part in (low, high, least, centre, turn, target, mean, 1 / sd)]
    for _ in range(200):
        if not todo.size:
            return found
        low, high, least, centre, turn, target, mean, inverse = state
        z = (x - mean) * inverse
        excess = turn * (weight @ scipy.special.ndtr(turn * z) - target)
        kernel = np.exp(-(z**2) / 2) * inverse / np.sqrt(2 * np.pi)
        slope, curve = weight @ kernel, -(weight @ (kernel * z * inverse))
        low, high = np.where(excess < 0, x, low), np.where(excess > 0, x, high)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            newton = excess / slope
            halley = newton / np.maximum(1 - newton * curve / (2 * slope), 0.5)
        step = x - halley
        inside, far = (step > low) & (step < high), np.abs(step - x)
        # Close to the root, rounding may put a step outside the bracket.
        close = (excess == 0) | (far < 1e-9 * least)
        new = np.where(inside, step, np.where(close, x, _halfway(low, high, centre, least)))
        # Halley's next error would be the cube of this step; the bracket limits the error to its width.
        done = close | (inside & (far < 1e-6 * least)) | (high - low <= 1e-15 * (np.abs(x) + least))
        x = new
        if done.any():
            found[todo[done]] = x[done]
            go = ~done
            todo, x = todo[go], x[go]
            state = [part[..., go] for part in (low, high, least, centre, turn, target, mean, inverse)]
        else:
            state = [low, high, least, centre, turn, target, mean, inverse]
    raise ConvergenceError("quantiles of the posterior did not converge")


def _halfway(low: np.ndarray, high: np.ndarray, centre: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the middle of a bracket, on a logarithmic scale far from the centre, where it may span powers of ten."""
    ends = np.arcsinh((np.stack([low, high]) - centre) / scale)
    return np.clip(centre + scale * np.sinh(ends.mean(axis=0)), low, high)
