"""Search for all local maxima of the likelihood of tau2, for rows ``y ~ N(x b, d + tau2)``.

Twice the derivative of the log-likelihood is a difference ``c - a`` of two functions that both decrease
with tau2: with ``P`` the projection of REML, c is ``y'PPy`` and a is ``tr P`` (REML) or the
sum of weights (ML). Its derivative is ``a2 - 2 c2`` with ``c2 = y'PPPy`` and ``a2 = tr PP`` (or
the sum of squared weights), and both terms decrease again. So the values at the two ends of an interval bound
all these functions inside it. If either c = a or a2 = 2 c2 is impossible inside an interval, it contains no
or one stationary point, and the signs at its ends show which. All other intervals are
split. The search misses no stationary points except pairs closer than ``FINEST``, whose
log-likelihoods differ by less than rounding.

In coordinates where the likelihood is that of independent ``u ~ N(0, lambda + tau2)``, c - a is
the sum of ``(u^2 - lambda - tau2) / (lambda + tau2)^2``: it is negative beyond the largest
``u^2 - lambda``, where the search ends (or at a bound from the sum of the u^2, :func:`_search_end`). Under
ML, a is even larger, because the d interlace the lambda.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

# First intervals: log(d + tau2) grows by at most this much; the intervals are wider with many data sets,
# where the number of evaluations matters and not the number of calls. Intervals are then split into so many.
FIRST, FIRST_OF_MANY, MANY, SPLIT = 0.15, 0.9, 50, 2
# Intervals over which d + tau2 grows by less than this proportion are not split further.
FINEST = 1e-7
# A tangent must lie above a chord by this proportion, so that rounding cannot decide.
MARGIN = 1e-9
# Newton's method stops at steps below this proportion of tau2, or of d + tau2 for a tau2 far below d.
NEWTON, RESOLUTION = 1e-8, 1e-16
MAX_STEPS = 100
# Data sets are processed in pieces of about this many numbers.
PIECE = 50_000
# Up to this many rows beyond x's columns, eigenvalues cost less than repeated least squares.
FEW = 150
# From this ratio of variances, small eigenvalues are computed from singular values.
UNEVEN = 1e4


@dataclass(frozen=True)
class Tau2Maximum:
    """A local maximum of the likelihood of tau2."""

    tau2: float
    log_likelihood: float


@dataclass(frozen=True, eq=False)
class Tau2Maxima:
    """Local maxima of B data sets in flat arrays, sorted by data set, the highest of each first.

    Attributes
    ----------
    data_set : ndarray of int
        Position of the data set of each maximum; every data set has at least one.
    tau2, log_likelihood : ndarray
        The log-likelihood is up to a constant of the data set.
    """

    data_set: np.ndarray
    tau2: np.ndarray
    log_likelihood: np.ndarray

    @property
    def first(self) -> np.ndarray:
        """Return the position of the global maximum of each data set [B]."""
        return np.flatnonzero(np.diff(self.data_set, prepend=-1))

    def at(self, log_likelihood: np.ndarray) -> Tau2Maxima:
        """Return a copy with these log-likelihoods [B] at the global maxima."""
        highest = self.log_likelihood[self.first]
        moved = self.log_likelihood + (log_likelihood - highest)[self.data_set]
        return Tau2Maxima(self.data_set, self.tau2, moved)

    def of(self, data_set: int) -> tuple[Tau2Maximum, ...]:
        """Return the maxima of one data set, the highest first."""
        mine = self.data_set == data_set
        rows = zip(self.tau2[mine].tolist(), self.log_likelihood[mine].tolist(), strict=True)
        return tuple(Tau2Maximum(*row) for row in rows)


class Likelihood(Protocol):
    """Likelihood of tau2 for B data sets; ``index`` gives the data set of each value of tau2.

    ``floor`` [B] is the smallest d, ``top`` [B] a tau2 beyond which the likelihood decreases.
    """

    floor: np.ndarray
    top: np.ndarray
    size: int  # numbers that one evaluation holds at a time

    def parts(self, tau2: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Compute c and a times (floor + tau2), and c2 and a2 times its square [4 x R]."""

    def value(self, tau2: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Compute the log-likelihood up to a constant of the data set."""


class Spectral:
    """Likelihood from the eigenvalues of the variance of residual contrasts."""

    def __init__(self, x: np.ndarray, y: np.ndarray, d: np.ndarray, *, restricted: bool):
        p = x.shape[-1]
        rest = np.linalg.qr(x, mode="complete")[0][..., p:].swapaxes(-1, -2)
        if (d.max(axis=1) > UNEVEN * d.min(axis=1)).any():
            # Squared singular values keep digits that a sum of squares loses.
            scaled = rest * np.sqrt(d)[:, None, :]
            vectors, values, _ = np.linalg.svd(scaled, full_matrices=False)
            values = values**2
        else:
            values, vectors = np.linalg.eigh((rest * d[:, None, :]) @ rest.swapaxes(-1, -2))
        self.u2 = ((rest @ y[:, :, None]).swapaxes(-1, -2) @ vectors)[:, 0] ** 2
        # Eigenvalues fall below the smallest d only by rounding.
        self.floor = d.min(axis=1)
        self.values = np.maximum(values, self.floor[:, None])
        self.d = None if restricted else d
        largest = (self.u2 - self.values).max(axis=1)
        self.top = np.minimum(largest, _search_end(self.u2.sum(axis=1), d, p))
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
    """Likelihood from weighted means, if x is a column of ones.

    Studies run along the first axis, so that sums over them add whole rows of data sets.
    """

    def __init__(self, y: np.ndarray, d: np.ndarray, *, restricted: bool):
        self.y = np.ascontiguousarray((y - (y.sum(axis=1) / y.shape[1])[:, None]).T)
        self.d, self.restricted = np.ascontiguousarray(d.T), restricted
        self.floor = self.d.min(axis=0)
        self.top = _search_end((self.y * self.y).sum(axis=0), d, 1)
        self.size = len(self.d)

    def _of(self, tau2: np.ndarray, index: np.ndarray) -> tuple:
        """Return tau2, floor, y and d, [k x R] or [k] for a single tau2, and the inner product for such arrays."""
        if len(tau2) == 1:
            which = index[0]
            return tau2[0], self.floor[which], self.y[:, which], self.d[:, which], np.dot
        if self.floor.size == 1:
            return tau2, self.floor, self.y, self.d, _inner
        return tau2, self.floor[index], self.y.take(index, axis=1), self.d.take(index, axis=1), _inner

    def parts(self, tau2: np.ndarray, index: np.ndarray) -> np.ndarray:
        t, floor, y, d, inner = self._of(tau2, index)
        s = floor + t
        w = s / (d + t)
        total = np.add.reduce(w)
        residual = w * (y - inner(w, y) / total)
        square, weighted = w * w, w * residual
        pull = np.add.reduce(weighted)
        c, c2 = inner(residual, residual), inner(weighted, residual) - pull * pull / total
        a, a2 = total, np.add.reduce(square)
        if self.restricted:
            share = a2 / total
            a, a2 = a - share, a2 - 2 * inner(square, w) / total + share * share
        return np.array([c / s, a, c2 / s, a2]).reshape(4, -1)

    def value(self, tau2: np.ndarray, index: np.ndarray) -> np.ndarray:
        t, _, y, d, inner = self._of(tau2, index)
        variance = d + t
        w = 1 / variance
        total = np.add.reduce(w)
        residual = y - inner(w, y) / total
        value = np.add.reduce(np.log(variance)) + inner(w * residual, residual)
        return np.reshape(-(value + np.log(total) if self.restricted else value) / 2, -1)


class SeveralMeans:
    """Likelihood from weighted means of groups of rows, if x has as many different rows as columns: a tree.

    Each group then has its own mean, and sums over groups replace those of :class:`OneMean`.

    Parameters
    ----------
    group : ndarray of int [N]
        Numbers from 0; a group's rows of x are the same except for their sign, ``sign`` [N].
    """

    def __init__(self, y: np.ndarray, d: np.ndarray, group: np.ndarray, sign: np.ndarray, *, restricted: bool):
        order = np.argsort(group, kind="stable")
        self.group, self.restricted = group[order], restricted
        self.starts = np.searchsorted(self.group, np.arange(group.max() + 1))
        self.y, self.d = np.ascontiguousarray((y * sign)[:, order].T), np.ascontiguousarray(d[:, order].T)
        counts = np.diff([*self.starts, len(group)])[:, None]
        self.y -= (self._sums(self.y) / counts)[self.group]
        self.floor = self.d.min(axis=0)
        self.top = _search_end((self.y * self.y).sum(axis=0), d, len(counts))
        self.size = len(self.d)

    def _sums(self, rows: np.ndarray) -> np.ndarray:
        """Sum over the rows of each group [groups x R]."""
        return np.add.reduceat(rows, self.starts, axis=0)

    def parts(self, tau2: np.ndarray, index: np.ndarray) -> np.ndarray:
        y, d = self.y.take(index, axis=1), self.d.take(index, axis=1)
        s = self.floor[index] + tau2
        w = s / (d + tau2)
        total = self._sums(w)
        residual = w * (y - (self._sums(w * y) / total)[self.group])
        square, weighted = w * w, w * residual
        pull = self._sums(weighted)
        c, c2 = _inner(residual, residual), _inner(weighted, residual) - (pull * pull / total).sum(axis=0)
        a, a2 = total.sum(axis=0), square.sum(axis=0)
        if self.restricted:
            share = self._sums(square) / total
            a = a - share.sum(axis=0)
            a2 = a2 - 2 * (self._sums(square * w) / total).sum(axis=0) + _inner(share, share)
        return np.array([c / s, a, c2 / s, a2])

    def value(self, tau2: np.ndarray, index: np.ndarray) -> np.ndarray:
        y, variance = self.y.take(index, axis=1), self.d.take(index, axis=1) + tau2
        w = 1 / variance
        total = self._sums(w)
        residual = y - (self._sums(w * y) / total)[self.group]
        value = np.log(variance).sum(axis=0) + _inner(w * residual, residual)
        return -(value + np.log(total).sum(axis=0) if self.restricted else value) / 2


def _groups(x: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the group and sign of each row of x [N x p] if x has p different rows up to sign, else None."""
    place = (x != 0).argmax(axis=1)
    sign = np.sign(x[np.arange(len(x)), place])
    rows, group = np.unique(x * sign[:, None], axis=0, return_inverse=True)
    return (group.ravel(), sign) if len(rows) == x.shape[1] else None


class Direct:
    """Likelihood from least squares at every tau2, for many rows."""

    def __init__(self, x: np.ndarray, y: np.ndarray, d: np.ndarray, *, restricted: bool):
        self.x, self.d, self.restricted = x, d, restricted
        basis = np.linalg.qr(x)[0]
        self.y = y - (basis @ (basis.swapaxes(-1, -2) @ y[:, :, None]))[:, :, 0]
        self.floor = d.min(axis=1)
        self.top = _search_end((self.y**2).sum(axis=1), d, x.shape[-1])
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


def _inner(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compute inner products of columns [k x R]; either side may be a single column."""
    return np.einsum("ij,ij->j", a, b)


def _search_end(squares: np.ndarray, d: np.ndarray, p: int) -> np.ndarray:
    """Compute a tau2 beyond which every likelihood with this sum of u^2 decreases [B].

    There c < squares / (floor + tau2)^2 is less than a > (rows - p) / (largest d + tau2).
    """
    floor, df = d.min(axis=1), d.shape[1] - p
    root = np.sqrt(squares) * np.sqrt(squares + 4 * df * (d.max(axis=1) - floor))
    return np.minimum(squares, (squares + root) / (2 * df)) - floor


def tau2_maxima(x: np.ndarray, y: np.ndarray, d: np.ndarray, *, restricted: bool, heights: bool = False) -> Tau2Maxima:
    """Find the local maxima of the REML or ML likelihood of each data set; the first of each is global.

    Parameters
    ----------
    x : ndarray [N x p] or [B x N x p]
        Of full column rank.
    y, d : ndarray [B x N]
        Rows and their sampling variances.
    restricted : bool
        REML if true, ML if false.
    heights : bool
        Whether to compute the log-likelihood of data sets with a single maximum; otherwise it is 0 for them.

    Returns
    -------
    Tau2Maxima
        tau2 = 0 is a local maximum if the likelihood decreases from 0. Without degrees of
        freedom it is the only one.

    Source: Harville 1977 (score); Jackson, White & Riley 2012 for networks; this module's
    docstring derives the search and its bounds.
    Checked against: all maxima of 8 data sets by a grid (own R code), metafor 3.8-1 rma.mv(),
    dense grids on 2,000 random sets (tests).
    """
    if y.shape[1] <= x.shape[-1]:
        nothing = np.zeros(len(y))
        return Tau2Maxima(np.arange(len(y)), nothing, nothing)
    groups = _groups(x) if x.ndim == 2 else None
    if x.ndim == 2 and x.shape[1] == 1 and (x == x[0]).all():
        likelihood: Likelihood = OneMean(y, d, restricted=restricted)
    elif groups is not None:
        likelihood = SeveralMeans(y, d, *groups, restricted=restricted)
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
    if len(tau2) == 1:
        return Tau2Maxima(data_set, tau2, value)
    order = np.lexsort((tau2, -value, data_set))
    return Tau2Maxima(data_set[order], tau2[order], value[order])


def _in_pieces(run: Callable, size: int, tau2: np.ndarray, index: np.ndarray) -> np.ndarray:
    step = max(1, PIECE // size)
    if len(tau2) <= step:
        return run(tau2, index)
    parts = [run(tau2[k : k + step], index[k : k + step]) for k in range(0, len(tau2), step)]
    return np.concatenate(parts, axis=-1)


def _brackets(likelihood: Likelihood) -> tuple[np.ndarray, ...]:
    """Return intervals with one maximum (data set, ends, approximate position), and the data sets that fall from 0."""
    floor, top = likelihood.floor, likelihood.top
    # One step beyond the bound, so that rounding cannot put a maximum outside.
    width = FIRST if len(floor) < MANY else FIRST_OF_MANY
    reach = np.log1p(np.maximum(top, 0.0) / floor) + width
    counts = np.ceil(reach / width).astype(int)
    first = np.concatenate([[0], np.cumsum(counts + 1)])
    index = np.repeat(np.arange(len(floor)), counts + 1)
    step = np.arange(first[-1]) - np.repeat(first[:-1], counts + 1)
    tau2 = floor[index] * np.expm1(np.repeat(reach / counts, counts + 1) * step)
    parts = _in_pieces(likelihood.parts, likelihood.size, tau2, index)
    start = first[:-1]
    falls = np.flatnonzero(parts[0, start] <= parts[1, start])
    low, high, at_low, at_high = tau2[:-1], tau2[1:], parts[:, :-1], parts[:, 1:]
    # All intervals except those from the end of one data set to the start of the next.
    inner = np.flatnonzero(index[1:] == index[:-1])
    index = index[inner]
    if len(floor) > 1:
        low, high, at_low, at_high = low[inner], high[inner], parts.take(inner, axis=1), parts.take(inner + 1, axis=1)
    found: list[tuple] = []
    while index.size:
        settled = _settled(at_low, at_high, floor[index] + low, floor[index] + high)
        peak = np.flatnonzero(settled & (at_low[0] > at_low[1]) & (at_high[0] <= at_high[1]))
        share = _score_root_fraction(at_low.take(peak, axis=1), at_high.take(peak, axis=1))
        found.append((index[peak], low[peak], high[peak], share))
        again = np.flatnonzero(~settled)
        if not again.size:
            break
        index, low, high, at_low, at_high = _split(
            likelihood,
            index[again],
            low[again],
            high[again],
            at_low.take(again, axis=1),
            at_high.take(again, axis=1),
        )
    return *(np.concatenate(part) for part in zip(*found, strict=True)), falls


def _settled(low: np.ndarray, high: np.ndarray, s_low: np.ndarray, s_high: np.ndarray) -> np.ndarray:
    """Return which intervals contain no or one stationary point, as their ends show, or are too short to split.

    Parameters
    ----------
    low, high : ndarray [4 x R]
        c, a, c2 and a2 as :class:`Likelihood` scales them.
    s_low, s_high : ndarray [R]
        floor + tau2.
    """
    growth = s_high / s_low
    rises = high[0] > low[1] * growth
    falls = low[0] * growth < high[1]
    concave = 2 * high[2] > low[3] * growth**2
    convex = high[3] > 2 * low[2] * growth**2
    settled = rises | falls | concave | convex | (growth - 1 < FINEST)
    rest = np.flatnonzero(~settled)
    if rest.size:
        settled[rest] = _one_sign(low.take(rest, axis=1), high.take(rest, axis=1), s_low[rest], s_high[rest])
    return settled


def _one_sign(low: np.ndarray, high: np.ndarray, s_low: np.ndarray, s_high: np.ndarray) -> np.ndarray:
    """Return where c - a keeps its sign, as both are convex: one lies above its tangents, the other below its chord.

    The tangents must lie above the chord at both ends and where they meet.
    """
    above = low[0] > low[1]
    sign_kept = above == (high[0] > high[1])
    c_low, c_high = low[0] / s_low, high[0] / s_high
    a_low, a_high = low[1] / s_low, high[1] / s_high
    # Decrease per unit of tau2: 2 c2 and a2.
    c_fall_low, c_fall_high = 2 * low[2] / s_low**2, 2 * high[2] / s_high**2
    a_fall_low, a_fall_high = low[3] / s_low**2, high[3] / s_high**2
    top_low, top_high = np.where(above, c_low, a_low), np.where(above, c_high, a_high)
    fall_low, fall_high = np.where(above, c_fall_low, a_fall_low), np.where(above, c_fall_high, a_fall_high)
    under_low, under_high = np.where(above, a_low, c_low), np.where(above, a_high, c_high)
    width = s_high - s_low
    with np.errstate(divide="ignore", invalid="ignore"):
        meet = (top_low - top_high - fall_high * width) / (fall_low - fall_high)
        chord = under_low + (under_high - under_low) * meet / width
        return sign_kept & (top_low - fall_low * meet > chord * (1 + MARGIN))


def _score_root_fraction(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return where a straight line between the scores at the ends crosses 0, as a proportion of the interval."""
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
    """Find the stationary point between low, where the likelihood rises, and high, by Newton steps and bisection."""
    if index.size == 1:
        ends = float(low[0]), float(high[0]), float(share[0])
        return np.array([_polish_one(likelihood, index, *ends)])
    here, which, at = low + (high - low) * share, index, np.arange(index.size)
    found = here.copy()
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(MAX_STEPS):
            if not at.size:
                break
            c, a, c2, a2 = _in_pieces(likelihood.parts, likelihood.size, here, which)
            s = likelihood.floor[which] + here
            rises = c > a
            low, high = np.where(rises, here, low), np.where(rises, high, here)
            proposal = here + (c - a) * s / (2 * c2 - a2)
            inside = (proposal >= low) & (proposal <= high)
            if not inside.all():
                proposal = np.where(inside, proposal, (low + high) / 2)
            # The remaining error is about the square of Newton's last step.
            going = np.abs(proposal - here) > NEWTON * np.sqrt(proposal * s) + RESOLUTION * s
            found[at] = here = proposal
            if not going.all():
                at, here, which, low, high = (part[going] for part in (at, here, which, low, high))
    return found


def _polish_one(likelihood: Likelihood, index: np.ndarray, low: float, high: float, share: float) -> float:
    """Find the stationary point of a single interval: scalars cost less than arrays of length one."""
    floor, here = float(likelihood.floor[index[0]]), low + (high - low) * share
    for _ in range(MAX_STEPS):
        c, a, c2, a2 = likelihood.parts(np.array([here]), index)[:, 0].tolist()
        s, slope = floor + here, 2 * c2 - a2
        low, high = (here, high) if c > a else (low, here)
        proposal = here + (c - a) * s / slope if slope else math.nan
        if not low <= proposal <= high:
            proposal = (low + high) / 2
        step, here = abs(proposal - here), proposal
        if step <= NEWTON * math.sqrt(here * s) + RESOLUTION * s:
            break
    return here
