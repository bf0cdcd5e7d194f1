"""Integrals over standard deviations by the trapezoidal rule, on an axis with double-exponential tails.

An axis ``s`` runs over the real line; ``y = centre + spread * c * sinh(s / c)`` is log tau, or the logit of tau's
position between two bounds. Smooth integrands then have double-exponential tails, for which the trapezoidal rule with
step h converges like ``exp(-a / h)``: halving the step squares the error (Takahasi & Mori 1974; Trefethen &
Weideman 2014). Its nodes also give the distribution function at any point, by integrating the sinc interpolant
(Stenger 1993, ch. 4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy

from psps_paper.bayes.priors import TauPrior
from psps_paper.errors import ConvergenceError

# For one axis and for two: the change on doubling the nodes at which a fit stops; the change at which it may stop if
# doubling no longer helps, because of rounding or of a tail beyond LARGEST_LOG; and the finest step.
TOLERANCE, ACCEPTED, FINEST = (1e-12, 1e-9), 1e-8, 2.0**-9
FIRST_STEP, REACH = 1.0, 24.0
NEGLIGIBLE = (45.0, 34.0)  # log densities this far below the largest are neglected
LARGEST_LOG = 340.0  # exp(340) can still be squared
LARGEST_LOGIT = 30.0
# The axis is nearly linear over this many SDs of y on either side, and extends far beyond.
STRAIGHT = 3.0
CRUDE = 41


@dataclass(frozen=True)
class Axis:
    """Map from the real line to tau."""

    lower: float
    upper: float
    centre: float = 0.0
    spread: float = 1.0
    largest: float = LARGEST_LOG

    def at(self, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return tau and the log of its derivative with respect to s."""
        y = self.centre + self.spread * STRAIGHT * np.sinh(s / STRAIGHT)
        tau, slope = self.at_unscaled(np.clip(y, -LARGEST_LOG, LARGEST_LOG))
        slope = np.where((y < -LARGEST_LOG) | (y > self.largest), -np.inf, slope)
        return tau, slope + np.log(self.spread) + np.log(np.cosh(s / STRAIGHT))

    def at_unscaled(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return tau and the log of its derivative with respect to y."""
        if np.isinf(self.upper):
            return self.lower + np.exp(y), y
        width = self.upper - self.lower
        return self.lower + width * scipy.special.expit(y), np.log(width) - np.logaddexp(0, y) - np.logaddexp(0, -y)

    def unscaled(self, tau: np.ndarray) -> np.ndarray:
        """Convert tau to y."""
        tau = np.clip(tau, self.lower, self.upper)
        with np.errstate(divide="ignore"):
            if np.isinf(self.upper):
                return np.log(tau - self.lower)
            return np.log(tau - self.lower) - np.log(self.upper - tau)

    def back(self, tau: np.ndarray) -> np.ndarray:
        """Convert tau to s."""
        return STRAIGHT * np.arcsinh((self.unscaled(tau) - self.centre) / (STRAIGHT * self.spread))


def place_axes(
    log_density: Callable, priors: list[TauPrior], guesses: list[tuple[float, float]], largest: list[float]
) -> list[Axis]:
    """Place axes with the mean and SD of y as centre and spread, over a grid that closes in on the mass.

    Parameters
    ----------
    log_density : callable
        Takes one array per prior, all of the same shape, with values of the standard deviations; returns the log of
        likelihood times priors.
    guesses : list of (float, float)
        For each axis, two values between which the likelihood changes.
    largest : list of float
        For each axis, the value beyond which nothing is computed.
    """
    axes = [Axis(*prior.bounds) for prior in priors]
    axes = [
        replace(axis, largest=min(LARGEST_LOG, float(axis.unscaled(np.array(limit)))))
        for axis, limit in zip(axes, largest, strict=True)
    ]
    spans = []
    for prior, axis, guess in zip(priors, axes, guesses, strict=True):
        ends = axis.unscaled(np.clip([*prior.quantile(np.array([1e-4, 1 - 1e-4])), *guess], *prior.bounds))
        reach = LARGEST_LOG if np.isinf(axis.upper) else LARGEST_LOGIT
        ends = np.clip(ends, -reach, min(reach, axis.largest) - 1)
        spans.append((ends.min() - 1, ends.max() + 1))
    for _ in range(30):
        grids = [np.linspace(*span, CRUDE if len(axes) == 1 else CRUDE // 2) for span in spans]
        mesh = np.meshgrid(*grids, indexing="ij")
        values = [axis.at_unscaled(y) for axis, y in zip(axes, mesh, strict=True)]
        log = log_density(*(tau for tau, _ in values)) + sum(slope for _, slope in values)
        weight = np.exp(log - log.max())
        found, narrow = [], False
        for k, (grid, span) in enumerate(zip(grids, spans, strict=True)):
            marginal = weight.sum(axis=tuple(other for other in range(len(grids)) if other != k))
            marginal = marginal / marginal.sum()
            mean, step = marginal @ grid, grid[1] - grid[0]
            sd = np.sqrt(marginal @ (grid - mean) ** 2)
            found.append((mean, sd))
            if sd < 1.5 * step:
                narrow = True
                spans[k] = (mean - 4 * max(sd, step), mean + 4 * max(sd, step))
            else:
                spans[k] = span
        if not narrow:
            break
    return [replace(axis, centre=mean, spread=sd) for axis, (mean, sd) in zip(axes, found, strict=True)]


@dataclass(frozen=True, eq=False)
class Nodes:
    """Nodes of the trapezoidal rule.

    Attributes
    ----------
    values : ndarray [axes x n]
        The standard deviations.
    weight : ndarray [n]
        Posterior weights, with sum 1.
    carried : tuple of ndarray [n x ...]
        Further results of the integrand, beside its logarithm.
    log_integral : float
    steps : ndarray [axes x n] of int
        Position of each node on each axis, in units of ``step``.
    step : float
    """

    values: np.ndarray
    weight: np.ndarray
    carried: tuple[np.ndarray, ...]
    log_integral: float
    steps: np.ndarray
    step: float


def integrate(integrand: Callable, axes: list[Axis], summaries: Callable, moment: int) -> tuple[Nodes, float]:
    """Halve the step until the summaries converge.

    Parameters
    ----------
    integrand : callable
        Takes one array [n] per standard deviation; returns the log density [n] and a tuple of arrays [n x ...] to keep.
    summaries : callable
        Takes :class:`Nodes`; returns the numbers that must converge, scaled so that absolute changes are meaningful.
    moment : int
        Order of the highest moment of the first standard deviation needed; the nodes extend far enough for it.

    Returns
    -------
    (Nodes, float)
        The finer of the last two rules, and the largest change from the coarser one.

    Raises
    ------
    ConvergenceError
        The summaries do not converge.
    """
    step, size = FIRST_STEP, round(REACH / FIRST_STEP)
    log, index, carried = _evaluate(integrand, axes, _lattice([(-size, size)] * len(axes)), step)
    there = _contributes(axes, log, index, step, moment)
    bounds = [_kept_range(row, there) for row in index]
    kept = np.all([(row >= low) & (row <= high) for row, (low, high) in zip(index, bounds, strict=True)], axis=0)
    log, index, carried = log[kept], index[:, kept], tuple(values[kept] for values in carried)
    before, change = None, np.inf
    while step >= FINEST:
        rule = _rule(axes, log, index, carried, step, moment)
        numbers = summaries(rule)
        if before is not None:
            last, change = change, float(np.abs(numbers - before).max())
            if change <= TOLERANCE[len(axes) - 1] or (change <= ACCEPTED and change > last / 10):
                return rule, change
        before, step, index = numbers, step / 2, 2 * index
        bounds = [(2 * low, 2 * high) for low, high in bounds]
        new = _lattice(bounds)
        more, new, added = _evaluate(integrand, axes, new[:, (new % 2).any(axis=0)], step)
        log, index = np.concatenate([log, more]), np.concatenate([index, new], axis=1)
        carried = tuple(np.concatenate(both) for both in zip(carried, added, strict=True))
    raise ConvergenceError(
        f"the integral over tau did not converge: it changed by {change:.1e} on the last doubling of its nodes; "
        "does the prior of tau extend beyond double precision?"
    )


def _lattice(bounds: list[tuple[int, int]]) -> np.ndarray:
    axes = [np.arange(low, high + 1) for low, high in bounds]
    return np.stack([grid.ravel() for grid in np.meshgrid(*axes, indexing="ij")])


def _evaluate(integrand: Callable, axes: list[Axis], index: np.ndarray, step: float) -> tuple:
    placed = [axis.at(step * row) for axis, row in zip(axes, index, strict=True)]
    slope = sum((slope for _, slope in placed), np.zeros(index.shape[1]))
    inside = np.isfinite(slope)
    log, carried = integrand(*(value[inside] for value, _ in placed))
    return slope[inside] + log, index[:, inside], carried


def _contributes(axes: list[Axis], log: np.ndarray, index: np.ndarray, step: float, moment: int) -> np.ndarray:
    """Return which nodes contribute to the integral, or to the moment's."""
    with np.errstate(divide="ignore"):
        far = log + moment * np.log(axes[0].at(step * index[0])[0]) if moment else log
    least = NEGLIGIBLE[len(axes) - 1]
    return (log > log.max() - least) | (far > far.max() - least)


def _kept_range(index: np.ndarray, kept: np.ndarray) -> tuple[int, int]:
    """Return the range of kept nodes, and one step beyond."""
    there = index[kept]
    return int(there.min()) - 1, int(there.max()) + 1


def _rule(axes: list[Axis], log: np.ndarray, index: np.ndarray, carried: tuple, step: float, moment: int) -> Nodes:
    kept = np.flatnonzero(_contributes(axes, log, index, step, moment))
    # In order, so that quasi-random points see a smooth function of the node.
    kept = kept[np.lexsort(index[::-1, kept])]
    log, index = log[kept], index[:, kept]
    weight = np.exp(log - log.max())
    total = weight.sum()
    values = np.stack([axis.at(step * row)[0] for axis, row in zip(axes, index, strict=True)])
    return Nodes(
        values,
        weight / total,
        tuple(array[kept] for array in carried),
        float(log.max() + np.log(total) + len(axes) * np.log(step)),
        index,
        step,
    )


def cumulative(axis: Axis, rule: Nodes, tau: np.ndarray, which: int = 0) -> np.ndarray:
    """Compute the distribution function of one standard deviation at any points from the nodes."""
    place = axis.back(np.asarray(tau, float))[..., None] / rule.step
    offset = np.pi * (place - rule.steps[which])
    return np.clip((0.5 + scipy.special.sici(offset)[0] / np.pi) @ rule.weight, 0.0, 1.0)


def quantile(axis: Axis, rule: Nodes, p: float, which: int = 0) -> float:
    """Invert :func:`cumulative` by Brent's method on the axis."""
    steps = rule.steps[which]
    low, high = rule.step * (steps.min() - 1), rule.step * (steps.max() + 1)

    def excess(s: float) -> float:
        offset = np.pi * (s / rule.step - steps)
        return (0.5 + scipy.special.sici(offset)[0] / np.pi) @ rule.weight - p

    if excess(low) >= 0 or excess(high) <= 0:
        return float(axis.at(np.array(low if excess(low) >= 0 else high))[0])
    found = scipy.optimize.brentq(excess, low, high, xtol=1e-14, rtol=1e-14)
    return float(axis.at(np.array(found))[0])


def sinc_density(axis: Axis, rule: Nodes, tau: np.ndarray, which: int = 0) -> np.ndarray:
    """Compute the density of one standard deviation at any points from the nodes."""
    s = axis.back(tau)
    with np.errstate(invalid="ignore"):
        on_axis = np.sinc(s[..., None] / rule.step - rule.steps[which]) @ rule.weight / rule.step
        density = np.maximum(on_axis, 0.0) * np.exp(-axis.at(s)[1])
    return np.where((tau > axis.lower) & (tau < axis.upper), density, 0.0)
