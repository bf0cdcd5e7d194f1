"""Optimisers for many points at once; the first axis of every array is the point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np

Residuals = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
Problem = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


def levenberg_marquardt(
    residuals: Residuals,
    x: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    *,
    longest: np.ndarray,
    steps: int,
    enough: int,
) -> np.ndarray:
    """Find points near x with small sums of squared residuals.

    Parameters
    ----------
    residuals : callable
        Takes points [b x n]; returns residuals [b x K] and their Jacobian [b x K x n].
    x : ndarray [B x n]
    low, high : ndarray [n]
        Bounds of each coordinate.
    longest : ndarray [n]
        Longest step of each coordinate.
    steps, enough : int
        Stop after this many steps, or when this many points have zero residuals.

    Source: Nocedal & Wright 2006, Numerical Optimization, section 10.3.
    """
    x, diagonal_of = x.copy(), np.arange(x.shape[1])
    damping = np.full(len(x), 1e-2)
    r, jac = residuals(x)
    cost = (r**2).sum(axis=1)
    for _ in range(steps):
        live = np.flatnonzero(cost > 0)
        if not len(live) or len(x) - len(live) >= enough:
            break
        j = jac[live]
        normal = np.einsum("bki,bkj->bij", j, j)
        diagonal = np.einsum("bii->bi", normal)
        ridge = damping[live, None] * (diagonal + 1e-6 * diagonal.max(axis=1, keepdims=True) + 1e-12)
        normal[:, diagonal_of, diagonal_of] += ridge
        step = np.linalg.solve(normal, np.einsum("bki,bk->bi", j, r[live])[..., None])[..., 0]
        trial = np.clip(x[live] - np.clip(step, -longest, longest), low, high)
        r_new, jac_new = residuals(trial)
        cost_new = (r_new**2).sum(axis=1)
        better = cost_new < cost[live]
        won = live[better]
        x[won], r[won], cost[won], jac[won] = trial[better], r_new[better], cost_new[better], jac_new[better]
        damping[live] = np.where(better, damping[live] * 0.2, damping[live] * 6).clip(1e-10, 1e8)
    return x


@dataclass(frozen=True, eq=False)
class _Iterates:
    """Points of b problems, with the state of the method at each."""

    index: np.ndarray  # which of the problems, [b]
    x: np.ndarray  # [b x n]
    gradient: np.ndarray  # of the objective, [b x n]
    slack: np.ndarray  # of the constraints, [b x c]
    slope: np.ndarray  # of the slacks, [b x c x n]
    dual: np.ndarray  # multipliers of the constraints, [b x c]
    barrier: np.ndarray  # [b]
    damping: np.ndarray  # [b]

    def __getitem__(self, kept: np.ndarray) -> _Iterates:
        return _Iterates(*(getattr(self, field.name)[kept] for field in fields(self)))

    def stationarity(self) -> np.ndarray:
        """Compute how far each point is from the first-order conditions."""
        return np.abs(self.gradient - (self.dual[:, None] @ self.slope)[:, 0]).max(axis=1)

    def gap(self) -> np.ndarray:
        """Compute the complementarity: the sum of dual times slack."""
        return (self.dual * self.slack).sum(axis=1)


def interior_point(
    problem: Problem, x: np.ndarray, unit: np.ndarray, direction: np.ndarray, *, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Minimise or maximise B objectives under constraints, from interior points.

    A primal-dual interior-point method without second derivatives. It suits extremes that are mostly corners, where
    the constraints alone determine the steps.

    Parameters
    ----------
    problem : callable
        Takes points [b x n] and the numbers of their problems [b]; returns gradients [b x n], slacks [b x c] and slopes
        of the slacks [b x c x n], with respect to coordinates in units of ``unit``.
    x, unit : ndarray [B x n]
        Starting points, and the scale of their coordinates.
    direction : ndarray [B]
        1 to minimise, -1 to maximise.
    steps : int

    Returns
    -------
    ndarray [B x n]
    ndarray of bool [B]
        Whether the point is proven to be an optimum. Starts that are not interior stay unchanged and unproven.

    Source: Nocedal & Wright 2006, Numerical Optimization, ch. 19.
    """
    index = np.arange(len(x))
    gradient, slack, slope = problem(x, index)
    weight = direction / np.maximum(np.abs(gradient).max(axis=1), 1e-12)
    barrier, damping = np.full(len(x), 0.1), np.full(len(x), 1e-3)
    dual = barrier[:, None] / np.maximum(slack, 1e-9)
    found, proven = x.copy(), np.zeros(len(x), dtype=bool)
    now = _Iterates(index, x, gradient * weight[:, None], slack, slope, dual, barrier, damping)
    now = now[(slack > 1e-3).all(axis=1)]
    for _ in range(steps):
        if not len(now.x):
            break
        now = _step(now, problem, unit, weight)
        done = (now.stationarity() < 1e-6) & (now.gap() < 1e-10)
        found[now.index], proven[now.index] = now.x, done
        now = now[~done]
    return found, proven


def _step(now: _Iterates, problem: Problem, unit: np.ndarray, weight: np.ndarray) -> _Iterates:
    """Take one Newton step from each point if it stays interior; lower the barrier after long steps."""
    slack, slope, dual, barrier = now.slack, now.slope, now.dual, now.barrier
    pull = slope.swapaxes(1, 2)
    normal = pull @ (slope * (dual / slack)[:, :, None])
    ridge = now.damping + 1e-14 * np.trace(normal, axis1=1, axis2=2)
    aim = pull @ (barrier[:, None] / slack)[:, :, None] - now.gradient[:, :, None]
    move = np.linalg.solve(normal + ridge[:, None, None] * np.eye(now.x.shape[1]), aim)
    change = (slope @ move)[:, :, 0]
    dual_change = (barrier[:, None] - dual * change) / slack - dual
    length = 1 / np.maximum(1, (-change / slack).max(axis=1) / 0.99)
    dual_length = 1 / np.maximum(1, (-dual_change / dual).max(axis=1) / 0.99)

    trial = now.x + (length[:, None] * unit[now.index] * move[:, :, 0])
    gradient, slack_ahead, slope_ahead = problem(trial, now.index)
    inside = (slack_ahead > 0.005 * slack).all(axis=1)
    ahead = replace(
        now,
        x=np.where(inside[:, None], trial, now.x),
        gradient=np.where(inside[:, None], gradient * weight[now.index][:, None], now.gradient),
        slack=np.where(inside[:, None], slack_ahead, slack),
        slope=np.where(inside[:, None, None], slope_ahead, slope),
        dual=np.where(inside[:, None], dual + dual_length[:, None] * dual_change, dual),
        damping=np.clip(np.where(inside, now.damping * 0.2, now.damping * 6), 1e-9, 1e6),
    )
    long = np.minimum(length, dual_length) > 0.5
    lower = np.maximum(0.1 * np.minimum(barrier, ahead.gap() / slack.shape[1]), 1e-12)
    return replace(ahead, barrier=np.where(inside & long & (ahead.stationarity() < 10 * barrier), lower, barrier))
