"""Search for data sets that agree with all printed values and are least or most favourable to a conclusion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy

from psps_paper.ensemble.countings import Conclusion, Counting, Statistic
from psps_paper.ensemble.model import PublishedResults, Setting, variance_terms
from psps_paper.ensemble.printed import PrintedValues

INSET = 0.03  # half-units by which a search stays inside the rounding limits, so that stored digits agree too
_STEP = 1e-6  # step of finite differences; every variable is of the order of one


@dataclass(frozen=True)
class Target:
    """The margin of one conclusion under one counting, which a search minimises (side -1) or maximises (side 1).

    ``without`` is the row of an omitted study, if any.
    """

    conclusion: Conclusion | Statistic
    counting: str
    side: int
    without: int | None = None


class Problem:
    """Data sets with one allocation of estimates to studies, as points of a box.

    A point holds te of each estimate, the sample size of each study (0 at the lower end of its range, 1 at the upper)
    and, for crossover trials, one correlation of periods or one per study.
    """

    def __init__(self, evidence: PublishedResults, setting: Setting, study: np.ndarray):
        self.evidence, self.setting, self.study = evidence, setting, study
        self.print = PrintedValues(evidence, setting.tau2)
        self.counting = Counting(evidence, study, setting.tau2)
        self.crossover = evidence.studies["crossover"].to_numpy()
        self.m, self.s = len(study), len(evidence.studies)
        self.free = {"independent groups": 0, "one correlation": 1, "by study": int(self.crossover.sum())}[
            setting.crossovers
        ]
        self.low = np.r_[np.full(self.m, -setting.cap), np.zeros(self.s), np.full(self.free, setting.correlation[0])]
        self.high = np.r_[np.full(self.m, setting.cap), np.ones(self.s), np.full(self.free, setting.correlation[1])]
        self.n_low = evidence.studies["n_low"].to_numpy()
        self.n_span = evidence.studies["n_high"].to_numpy() - self.n_low
        results = evidence.studies["printed_result"].to_numpy()[study]
        self.null = np.flatnonzero(results == "no difference")
        # "better" requires at least one significant estimate; without loss of generality it is the first
        self.better = np.array(
            [k for k in np.flatnonzero(results == "better") if k == 0 or study[k - 1] != study[k]], int
        )

    def unpack(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return te, se [B x m], sample sizes and correlations [B x S] at points [B x variables]."""
        te, n = x[:, : self.m], self.n_low + self.n_span * x[:, self.m : self.m + self.s]
        correlation = np.zeros((len(x), self.s))
        if self.free:
            correlation[:, self.crossover] = x[:, self.m + self.s :]
        a, b = variance_terms(self.crossover, correlation, paired=bool(self.free))
        v = (a[:, self.study] + b[:, self.study] * te**2) / n[:, self.study]
        return te, np.sqrt(v), n, correlation

    def room(self, x: np.ndarray) -> np.ndarray:
        """Compute half-units inside each rounding limit, minus the inset [B x K]; negative outside."""
        te, se, _, _ = self.unpack(x)
        rooms = [self.print.room(te, se) - INSET]
        if self.setting.trials:
            z, limit = te / se, scipy.special.ndtri(0.975)
            rooms += [limit - np.abs(z[:, self.null]) - 1e-4, z[:, self.better] - limit - 1e-4]
        return np.concatenate(rooms, axis=1)

    def margin(self, x: np.ndarray, target: Target) -> np.ndarray:
        te, se, _, _ = self.unpack(x)
        return target.conclusion.margin(self.counting(te, se, target.counting, target.without))

    def start(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a point of the box, with estimates around the printed means."""
        centre = self.evidence.region.centre[: len(self.evidence.edges)][self.evidence.estimates]
        shared = rng.normal(size=self.s)[self.study]
        te = centre + 0.5 * (np.sqrt(0.5) * shared + np.sqrt(0.5) * rng.normal(size=self.m))
        rest = rng.uniform(self.low[self.m :], self.high[self.m :])
        return np.clip(np.r_[te, rest], self.low, self.high)


def _slopes(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute values [K] and forward differences [K x variables] of a function of points [B x variables]."""
    values = function(np.vstack([x, x + _STEP * np.eye(len(x))]))
    return values[0], ((values[1:] - values[0]) / _STEP).T


def _cache_slopes(
    function: Callable[[np.ndarray], np.ndarray],
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    memory: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

    def at(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        key = x.tobytes()
        if key not in memory:
            memory.clear()
            memory[key] = _slopes(function, x)
        return memory[key]

    return at


def approach(problem: Problem, x: np.ndarray, *, fixed: np.ndarray | None = None) -> tuple[np.ndarray, float]:
    """Move a point towards agreement by least squares; return the point and its largest miss in half-units."""
    vary = np.ones(len(x), bool) if fixed is None else ~fixed

    def whole(part):
        out = np.tile(x, (len(part), 1))
        out[:, vary] = part
        return out

    at = _cache_slopes(lambda part: np.minimum(problem.room(whole(part)), 0.0))
    low, high = problem.low[vary], problem.high[vary]
    inside = np.clip(x[vary], low + 1e-9 * (high - low), high - 1e-9 * (high - low))
    found = scipy.optimize.least_squares(
        lambda p: at(p)[0],
        inside,
        jac=lambda p: at(p)[1],
        bounds=(low, high + 1e-12),
        max_nfev=400,
        ftol=1e-12,
        xtol=1e-12,
        gtol=1e-14,
    )
    point = whole(found.x[None])[0]
    return point, float(-np.minimum(problem.room(point[None])[0], 0.0).min())


def push(
    problem: Problem, x: np.ndarray, target: Target, *, steps: int = 80, fixed: np.ndarray | None = None
) -> np.ndarray:
    """Optimise a target from x by sequential quadratic programming, within the rounding limits."""
    low, high = problem.low.copy(), problem.high.copy()
    if fixed is not None:
        low[fixed] = high[fixed] = x[fixed]
    room = _cache_slopes(problem.room)
    aim = _cache_slopes(lambda points: -target.side * problem.margin(points, target)[:, None])
    found = scipy.optimize.minimize(
        lambda p: float(aim(p)[0][0]),
        np.clip(x, low, high),
        jac=lambda p: aim(p)[1][0],
        method="SLSQP",
        bounds=list(zip(low, high, strict=True)),
        constraints={"type": "ineq", "fun": lambda p: room(p)[0], "jac": lambda p: room(p)[1]},
        options={"maxiter": steps, "ftol": 1e-6},
    )
    return np.clip(found.x, low, high) if np.isfinite(found.x).all() else x


def settle(problem: Problem, x: np.ndarray, target: Target | None = None) -> pd.DataFrame | None:
    """Round the data set at a point: whole patients, correlations to 2 decimals, te to 5; None if it does not agree."""
    n = np.round(problem.n_low + problem.n_span * x[problem.m : problem.m + problem.s])
    fixed = np.r_[np.zeros(problem.m, bool), np.ones(problem.s + problem.free, bool)]
    x = x.copy()
    x[problem.m : problem.m + problem.s] = np.where(
        problem.n_span > 0, (n - problem.n_low) / np.where(problem.n_span > 0, problem.n_span, 1), 0
    )
    x[problem.m + problem.s :] = np.round(x[problem.m + problem.s :], 2)
    x, miss = approach(problem, x, fixed=fixed)
    if miss > 2 * INSET:
        return None
    if target is not None:
        pushed, off = approach(problem, push(problem, x, target, steps=40, fixed=fixed), fixed=fixed)
        x = pushed if off <= miss + 1e-9 or off < INSET / 2 else x
    x[: problem.m] = np.round(x[: problem.m], 5)
    if problem.room(x[None]).min() < -INSET:
        return None
    return data_set(problem, x)


def data_set(problem: Problem, x: np.ndarray) -> pd.DataFrame:
    """Build the rows [study, treat1, treat2, te, se, n, correlation] at a point (correlation: crossover periods)."""
    te, se, n, correlation = (part[0] for part in problem.unpack(x[None]))
    shown = np.where(problem.crossover & bool(problem.free), correlation, np.nan)
    return problem.evidence.contrasts(problem.study).assign(
        te=te, se=np.round(se, 7), n=np.round(n[problem.study]).astype(int), correlation=shown[problem.study]
    )
