"""All local maxima of the likelihood of tau2, for rows ``y ~ N(x b, d + tau2)``.

Twice the derivative of the log-likelihood is a difference ``c - a`` of two functions that both fall
with tau2: with ``P`` the projection that REML uses, c is ``y'PPy`` and a is ``tr P`` (REML) or the
sum of weights (ML). Its own derivative is ``a2 - 2 c2`` with ``c2 = y'PPPy`` and ``a2 = tr PP`` (or
the sum of squared weights), again both falling. So the values at the two ends of an interval bound
both functions inside it, and an interval in which neither c = a nor a2 = 2 c2 is possible holds no
or one stationary point, told by the signs of the ends. Intervals of which this can't be said are
split. No stationary point is missed, up to rounding: pairs closer than ``FINEST`` are, and the
log-likelihoods of such a pair differ by less than rounding.

In coordinates in which the likelihood is that of independent ``u ~ N(0, lambda + tau2)``, c - a is
the sum of ``(u^2 - lambda - tau2) / (lambda + tau2)^2``: it is negative beyond the largest
``u^2 - lambda``, which ends the search (or a bound from the sum of the u^2, :func:`_beyond`). Under
ML a is larger still, since the d interlace the lambda.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

# First intervals: (d + tau2) grows by this power of e at most; wider where there are many data sets,
# since there the number of evaluations counts and not the number of calls. Then they split in so many.
FIRST, FIRST_OF_MANY, MANY, SPLIT = 0.15, 0.5, 50, 4
# Intervals over which d + tau2 grows by less than this share are not split further.
FINEST = 1e-7
# Newton's steps stop below this share of tau2, or of d + tau2 for a tau2 far below d.
NEWTON, RESOLUTION = 1e-8, 1e-16
MAX_STEPS = 100
# Work in pieces of about this many numbers.
PIECE = 1_000_000
# Up to so many rows beyond x's columns, eigenvalues cost less than repeated least squares.
FEW = 150
# From this ratio of variances on, small eigenvalues are taken from singular values.
UNEVEN = 1e4


@dataclass(frozen=True)
class Tau2Maximum:
    """A local maximum of the likelihood of tau2."""

    tau2: float
    log_likelihood: float


@dataclass(frozen=True, eq=False)
class Tau2Maxima:
    """Local maxima of B data sets, flat; sorted by data set, the highest of each first.

    Attributes
    ----------
    data_set : ndarray of int
        Position of the data set of each maximum; every data set has at least one.
    tau2, log_likelihood : ndarray
        The latter up to a constant of the data set.
    """

    data_set: np.ndarray
    tau2: np.ndarray
    log_likelihood: np.ndarray

    @property
    def first(self) -> np.ndarray:
        """Position of the global maximum of each data set [B]."""
        return np.flatnonzero(np.diff(self.data_set, prepend=-1))

    def at(self, log_likelihood: np.ndarray) -> Tau2Maxima:
        """The same with the global maxima at these log-likelihoods [B]."""
        highest = self.log_likelihood[self.first]
        moved = self.log_likelihood + (log_likelihood - highest)[self.data_set]
        return Tau2Maxima(self.data_set, self.tau2, moved)

    def of(self, data_set: int) -> tuple[Tau2Maximum, ...]:
        """Of one data set, the highest first."""
        mine = self.data_set == data_set
        rows = zip(self.tau2[mine].tolist(), self.log_likelihood[mine].tolist(), strict=True)
        return tuple(Tau2Maximum(*row) for row in rows)


class Likelihood(Protocol):
    """Of tau2, for B data sets; ``index`` says to which of them each value of tau2 belongs.

    ``floor`` [B] is the smallest d, ``top`` [B] a tau2 beyond which the likelihood falls.
    """

    floor: np.ndarray
    top: np.ndarray
    size: int  # numbers that one evaluation holds at a time

    def parts(self, tau2: np.ndarray, index: np.ndarray) -> np.ndarray:
        """c, a, c2, a2 times (floor + tau2), the last two times its square [4 x R]."""

    def value(self, tau2: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Log-likelihood up to a constant of the data set."""


class Spectral:
    """By the eigenvalues of the variance of residual contrasts."""

    def __init__(self, x: np.ndarray, y: np.ndarray, d: np.ndarray, *, restricted: bool):
        p = x.shape[-1]
        rest = np.linalg.qr(x, mode="complete")[0][..., p:].swapaxes(-1, -2)
        if (d.max(axis=1) > UNEVEN * d.min(axis=1)).any():
            # Squared singular values keep the digits that a sum of squares has lost.
            scaled = rest * np.sqrt(d)[:, None, :]
            vectors, values, _ = np.linalg.svd(scaled, full_matrices=False)
            values = values**2
        else:
            values, vectors = np.linalg.eigh((rest * d[:, None, :]) @ rest.swapaxes(-1, -2))
        self.u2 = ((rest @ y[:, :, None]).swapaxes(-1, -2) @ vectors)[:, 0] ** 2
        # No eigenvalue is below the smallest d but by rounding.
        self.floor = d.min(axis=1)
        self.values = np.maximum(values, self.floor[:, None])
        self.d = None if restricted else d
        largest = (self.u2 - self.values).max(axis=1)
        self.top = np.minimum(largest, _beyond(self.u2.sum(axis=1), d, p))
        self.size = d.shape[1]

    def parts(self, tau2: np.ndarray, index: np.ndarray) -> np.ndarray:
        s = (self.floor[index] + tau2)[:, None]
        w = s / (self.values[index] + tau2[:, None])
        square = w * w
        q = self.u2[index] / s * square
        if self.d is None:
            a, a2 = w, square
        else:
            a = s / (self.d[index] + tau2[:, None])
            a2 = a * a
        return np.array([q.sum(axis=1), a.sum(axis=1), (q * w).sum(axis=1), a2.sum(axis=1)])

    def value(self, tau2: np.ndarray, index: np.ndarray) -> np.ndarray:
        total = self.values[index] + tau2[:, None]
        size = total if self.d is None else self.d[index] + tau2[:, None]
        return -(np.log(size).sum(axis=1) + (self.u2[index] / total).sum(axis=1)) / 2


class OneMean:
    """By weighted means, where x is a column of ones."""

    def __init__(self, y: np.ndarray, d: np.ndarray, *, restricted: bool):
        self.y, self.d, self.restricted = y - y.mean(axis=1, keepdims=True), d, restricted
        self.floor = d.min(axis=1)
        self.top = _beyond((self.y**2).sum(axis=1), d, 1)
        self.size = d.shape[1]

    def parts(self, tau2: np.ndarray, index: np.ndarray) -> np.ndarray:
        s = self.floor[index] + tau2
        w = s[:, None] / (self.d[index] + tau2[:, None])
        y = self.y[index]
        total = w.sum(axis=1)
        residual = w * (y - (np.einsum("ij,ij->i", w, y) / total)[:, None])
        square, weighted = w * w, w * residual
        c = np.einsum("ij,ij->i", residual, residual)
        c2 = np.einsum("ij,ij->i", weighted, residual) - weighted.sum(axis=1) ** 2 / total
        a, a2 = total, square.sum(axis=1)
        if self.restricted:
            share = a2 / total
            a, a2 = a - share, a2 - 2 * np.einsum("ij,ij->i", square, w) / total + share**2
        return np.array([c / s, a, c2 / s, a2])

    def value(self, tau2: np.ndarray, index: np.ndarray) -> np.ndarray:
        variance, y = self.d[index] + tau2[:, None], self.y[index]
        w = 1 / variance
        total = w.sum(axis=1)
        residual = y - ((w * y).sum(axis=1) / total)[:, None]
        value = np.log(variance).sum(axis=1) + (w * residual**2).sum(axis=1)
        return -(value + np.log(total) if self.restricted else value) / 2


class Direct:
    """By least squares at every tau2, for many rows."""

    def __init__(self, x: np.ndarray, y: np.ndarray, d: np.ndarray, *, restricted: bool):
        self.x, self.d, self.restricted = x, d, restricted
        basis = np.linalg.qr(x)[0]
        self.y = y - (basis @ (basis.swapaxes(-1, -2) @ y[:, :, None]))[:, :, 0]
        self.floor = d.min(axis=1)
        self.top = _beyond((self.y**2).sum(axis=1), d, x.shape[-1])
        self.size = x.shape[-2] * x.shape[-1]

    def _solve(self, index: np.ndarray, w: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
        x = self.x if self.x.ndim == 2 else self.x[index]
        weighted = x.swapaxes(-1, -2) * w[:, None, :]
        information = weighted @ x
        solution = np.linalg.solve(information, weighted @ y[:, :, None])
        return x, weighted, information, y - (x @ solution)[:, :, 0]

    def parts(self, tau2: np.ndarray, index: np.ndarray) -> np.ndarray:
        s = (self.floor[index] + tau2)[:, None]
        w = s / (self.d[index] + tau2[:, None])
        x, weighted, information, residual = self._solve(index, w, self.y[index] / np.sqrt(s))
        g = w * residual
        h = weighted @ g[:, :, None]
        c2 = (w * g * g).sum(axis=1) - (h * np.linalg.solve(information, h)).sum(axis=(1, 2))
        a, a2 = w.sum(axis=1), (w * w).sum(axis=1)
        if self.restricted:
            share = np.linalg.solve(information, (weighted * w[:, None, :]) @ x)
            cubic = np.linalg.solve(information, (weighted * (w * w)[:, None, :]) @ x)
            a = a - np.trace(share, axis1=1, axis2=2)
            a2 = a2 - 2 * np.trace(cubic, axis1=1, axis2=2) + np.trace(share @ share, axis1=1, axis2=2)
        return np.array([(g * g).sum(axis=1), a, c2, a2])

    def value(self, tau2: np.ndarray, index: np.ndarray) -> np.ndarray:
        w = 1 / (self.d[index] + tau2[:, None])
        _, _, information, residual = self._solve(index, w, self.y[index])
        value = (w * residual**2).sum(axis=1) - np.log(w).sum(axis=1)
        if self.restricted:
            value += np.linalg.slogdet(information)[1]
        return -value / 2


def _beyond(squares: np.ndarray, d: np.ndarray, p: int) -> np.ndarray:
    """A tau2 beyond which every likelihood with this sum of u^2 falls [B].

    There c < squares / (floor + tau2)^2 is less than a > (rows - p) / (largest d + tau2).
    """
    floor, df = d.min(axis=1), d.shape[1] - p
    root = np.sqrt(squares) * np.sqrt(squares + 4 * df * (d.max(axis=1) - floor))
    return np.minimum(squares, (squares + root) / (2 * df)) - floor


def tau2_maxima(x: np.ndarray, y: np.ndarray, d: np.ndarray, *, restricted: bool, heights: bool = False) -> Tau2Maxima:
    """Local maxima of the REML or ML likelihood of each data set; the first of each is global.

    Parameters
    ----------
    x : ndarray [N x p] or [B x N x p]
        Of full column rank.
    y, d : ndarray [B x N]
        Rows and their sampling variances.
    restricted : bool
        REML where true, ML where false.
    heights : bool
        Whether the log-likelihood is needed where there is but one maximum; otherwise it is 0 there.

    Returns
    -------
    Tau2Maxima
        tau2 = 0 is a local maximum where the likelihood falls from 0 on. Without degrees of
        freedom it is the only one.

    Source: Harville 1977 (score); Jackson, White & Riley 2012 for networks; the search and its
    bounds are argued in this module.
    Checked against: all maxima of 8 data sets by a grid (own R code), metafor 3.8-1 rma.mv(),
    dense grids on 2,000 random sets (tests).
    """
    if y.shape[1] <= x.shape[-1]:
        nothing = np.zeros(len(y))
        return Tau2Maxima(np.arange(len(y)), nothing, nothing)
    if x.ndim == 2 and x.shape[1] == 1 and (x == x[0]).all():
        likelihood: Likelihood = OneMean(y, d, restricted=restricted)
    elif y.shape[1] - x.shape[-1] <= FEW:
        likelihood = Spectral(x, y, d, restricted=restricted)
    else:
        likelihood = Direct(x, y, d, restricted=restricted)
    return local_maxima(likelihood, heights=heights)


def local_maxima(likelihood: Likelihood, *, heights: bool = False) -> Tau2Maxima:
    """Find, polish and sort all local maxima."""
    data_set, low, high, share, falls = _brackets(likelihood)
    tau2 = np.concatenate([np.zeros(falls.size), _polish(likelihood, data_set, low, high, share)])
    data_set = np.concatenate([falls, data_set])
    value = np.zeros(len(tau2))
    several = (np.bincount(data_set) > 1 - heights)[data_set]
    if several.any():
        found = tau2[several], data_set[several]
        value[several] = _in_pieces(likelihood.value, likelihood.size, *found)
    order = np.lexsort((tau2, -value, data_set))
    return Tau2Maxima(data_set[order], tau2[order], value[order])


def _in_pieces(run: Callable, size: int, tau2: np.ndarray, index: np.ndarray) -> np.ndarray:
    step = max(1, PIECE // size)
    if len(tau2) <= step:
        return run(tau2, index)
    parts = [run(tau2[k : k + step], index[k : k + step]) for k in range(0, len(tau2), step)]
    return np.concatenate(parts, axis=-1)


def _brackets(likelihood: Likelihood) -> tuple[np.ndarray, ...]:
    """Data set, low and high end of intervals with one maximum, and about where in them it lies; data
    sets that fall from 0 on."""
    floor, top = likelihood.floor, likelihood.top
    # A step beyond the bound, so that rounding can't put a maximum outside.
    width = FIRST if len(floor) < MANY else FIRST_OF_MANY
    reach = np.log1p(np.maximum(top, 0.0) / floor) + width
    counts = np.ceil(reach / width).astype(int)
    first = np.concatenate([[0], np.cumsum(counts + 1)])
    index = np.repeat(np.arange(len(floor)), counts + 1)
    step = np.arange(first[-1]) - first[index]
    tau2 = floor[index] * np.expm1(reach[index] * step / counts[index])
    parts = _in_pieces(likelihood.parts, likelihood.size, tau2, index)
    start = first[:-1]
    falls = np.flatnonzero(parts[0, start] <= parts[1, start])
    inner = np.delete(np.arange(len(index)), first[1:] - 1)
    index, low, high = index[inner], tau2[inner], tau2[inner + 1]
    at_low, at_high = parts[:, inner], parts[:, inner + 1]
    found: list[tuple] = []
    while index.size:
        growth = (floor[index] + high) / (floor[index] + low)
        settled = _settled(at_low, at_high, growth) | (growth - 1 < FINEST)
        peak = settled & (at_low[0] > at_low[1]) & (at_high[0] <= at_high[1])
        found.append((index[peak], low[peak], high[peak], _between(at_low[:, peak], at_high[:, peak])))
        again = ~settled
        if not again.any():
            break
        index, low, high, at_low, at_high = _split(
            likelihood, index[again], low[again], high[again], at_low[:, again], at_high[:, again]
        )
    return *(np.concatenate(part) for part in zip(*found, strict=True)), falls


def _settled(low: np.ndarray, high: np.ndarray, growth: np.ndarray) -> np.ndarray:
    """Where the ends of an interval show that it holds no or one stationary point."""
    rises = high[0] > low[1] * growth
    falls = low[0] * growth < high[1]
    concave = 2 * high[2] > low[3] * growth**2
    convex = high[3] > 2 * low[2] * growth**2
    return rises | falls | concave | convex


def _between(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Where a straight line between the scores at the ends is 0, as a share of the interval."""
    rise, fall = low[0] - low[1], high[1] - high[0]
    return np.clip(rise / (rise + fall), 0.01, 0.99)


def _split(
    likelihood: Likelihood,
    index: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    at_low: np.ndarray,
    at_high: np.ndarray,
) -> tuple[np.ndarray, ...]:
    share = np.arange(SPLIT + 1) / SPLIT
    floor = likelihood.floor[index][:, None]
    width = np.log((floor + high[:, None]) / (floor + low[:, None]))
    ends = low[:, None] + (floor + low[:, None]) * np.expm1(width * share)
    ends[:, -1] = high
    parts = np.empty((4, *ends.shape))
    parts[..., 0], parts[..., -1] = at_low, at_high
    inner = ends[:, 1:-1]
    many = np.repeat(index, SPLIT - 1)
    fresh = _in_pieces(likelihood.parts, likelihood.size, inner.ravel(), many)
    parts[..., 1:-1] = fresh.reshape(4, *inner.shape)
    return (
        np.repeat(index, SPLIT),
        ends[:, :-1].ravel(),
        ends[:, 1:].ravel(),
        parts[..., :-1].reshape(4, -1),
        parts[..., 1:].reshape(4, -1),
    )


def _polish(
    likelihood: Likelihood, index: np.ndarray, low: np.ndarray, high: np.ndarray, share: np.ndarray
) -> np.ndarray:
    """The stationary point between low, where the likelihood rises, and high: Newton, bisection."""
    low, high = low.copy(), high.copy()
    tau2 = low + (high - low) * share
    active = np.arange(tau2.size)
    for _ in range(MAX_STEPS):
        if active.size == 0:
            break
        here, which = tau2[active], index[active]
        c, a, c2, a2 = _in_pieces(likelihood.parts, likelihood.size, here, which)
        s = likelihood.floor[which] + here
        low[active] = np.where(c > a, here, low[active])
        high[active] = np.where(c > a, high[active], here)
        with np.errstate(divide="ignore", invalid="ignore"):
            proposal = here + (c - a) * s / (2 * c2 - a2)
        inside = (proposal >= low[active]) & (proposal <= high[active])
        proposal = np.where(inside, proposal, (low[active] + high[active]) / 2)
        tau2[active] = proposal
        # The error that is left is about the square of Newton's last step.
        last = NEWTON * np.sqrt(proposal * s) + RESOLUTION * s
        active = active[np.abs(proposal - here) > last]
    return tau2
