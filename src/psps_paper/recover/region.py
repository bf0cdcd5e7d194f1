"""The region of pooled networks that agree with the printed values, and its extremes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import scipy

from psps_paper.recover.optimise import interior_point, levenberg_marquardt
from psps_paper.recover.printed import CONTRAST_QUANTITIES, I2_QUANTITIES, Desirable, _check_edges, _check_printed
from psps_paper.recover.tree import Quantity, _Functions, _Tree

_TOLERANCE = 1e-6  # constraints and limits hold within this proportion of the rounding half-width
_STARTS = 160


@dataclass(frozen=True, eq=False)
class Limits:
    """Intervals of K quantities; distances from their ends are counted in half-units of the last printed digit."""

    low: np.ndarray
    high: np.ndarray
    half: np.ndarray

    def over(self, g: np.ndarray) -> np.ndarray:
        """Compute by how many half-units each quantity is outside its interval, negative inside (B x K)."""
        return np.maximum(g - self.high, self.low - g) / self.half

    def misfit(self, g: np.ndarray) -> np.ndarray:
        """Compute the largest residual in half-units: <= 1 inside the rounding intervals (B,)."""
        return 1.0 + self.over(g).max(axis=1)

    def residuals(self, g: np.ndarray) -> np.ndarray:
        """Compute by how many half-units each quantity is above (below: negative) its interval, 0 inside (B x K)."""
        return (np.maximum(g - self.high, 0) - np.maximum(self.low - g, 0)) / self.half

    def inset(self) -> Limits:
        """Return slightly narrower limits."""
        width = np.where(np.isfinite(self.high - self.low), self.high - self.low, 0.2 * self.half)
        inset = 0.1 * np.minimum(width, self.half)
        return replace(self, low=self.low + inset, high=self.high - inset)

    @cached_property
    def _ends(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each finite end: the quantity, the limit, and the slack lost per unit towards the limit."""
        above, below = np.flatnonzero(np.isfinite(self.high)), np.flatnonzero(np.isfinite(self.low))
        at = np.r_[above, below]
        return (
            at,
            np.r_[self.high[above], self.low[below]],
            np.r_[np.ones(len(above)), -np.ones(len(below))] / self.half[at],
        )

    def slack(self, g: np.ndarray) -> np.ndarray:
        """Compute the distance in half-units to each finite end of the intervals (B x ends), negative outside."""
        at, limit, per_unit = self._ends
        return (limit - g[:, at]) * per_unit

    def slack_slope(self, jac: np.ndarray) -> np.ndarray:
        """Compute the slopes of :meth:`slack` from those of the quantities (B x ends x n)."""
        at, _, per_unit = self._ends
        return -jac[:, at] * per_unit[:, None]


class _Region:
    """The set of x that agrees with the rows in ``keep``."""

    def __init__(self, tree: _Tree, keep: Iterable[int], seed: int = 0):
        self.tree = tree
        self.keep = [k for k in keep if tree.rows[k] is not None]
        self.spec = [tree.rows[k] for k in self.keep] + tree.structural
        self.limits = Limits(*(np.array([getattr(s, name) for s in self.spec]) for name in ("low", "high", "half")))
        self.seed = seed
        self.functions = tree.compile(self.spec)

    def misfit(self, x: np.ndarray) -> np.ndarray:
        """Compute the largest residual in half-units at x (B x n): <= 1 inside the rounding intervals (B,)."""
        return self.limits.misfit(self.functions(x, jacobian=False)[0])

    def _starts(self) -> np.ndarray:
        """Draw random points near the printed values of each edge."""
        tree, m = self.tree, self.tree.m
        rng = np.random.default_rng(
            self.seed
        )  # a new generator each time, so that results do not depend on earlier calls
        x = np.empty((_STARTS, tree.n))
        near = np.log(tree.scale)
        x[:, :m] = tree.scale * rng.normal(0, 1.5, (_STARTS, m))
        x[:, m : 2 * m] = rng.uniform(near - 4, near + 1.5, (_STARTS, m))
        if tree.has_tau2:
            x[:, -1] = rng.uniform(tree.low[-1], near, _STARTS)
        for k in range(m):
            direct = self._printed_of(k)
            if "te" in direct:
                x[:, k] = direct["te"] + 1e-3 * tree.scale * rng.normal(size=_STARTS)
                for limit in ("lower", "upper"):
                    if limit in direct and direct[limit] != direct["te"]:
                        x[:, m + k] = np.log(abs(direct[limit] - direct["te"]) / tree.quantile)
                for ratio in ("z", "p"):
                    if direct.get(ratio) and direct["te"]:
                        x[:, m + k] = np.log(abs(direct["te"] / direct[ratio]))
        return np.clip(x, tree.low, tree.high)

    def _printed_of(self, edge: int) -> dict[str, float]:
        """Return the printed values of an edge in its own direction; te is the middle of its limits if not printed."""
        direct = {}
        for row in self.spec[: len(self.keep)]:
            if row.of == edge and row.kind in CONTRAST_QUANTITIES and np.isfinite(row.low + row.high):
                name = {"lower": "upper", "upper": "lower"}.get(row.kind, row.kind) if row.sign < 0 else row.kind
                middle = (row.low + row.high) / 2
                direct[name] = middle if row.kind == "p" else row.sign * (row.low + row.high) / 2
        if "te" not in direct and {"lower", "upper"} <= set(direct):
            direct["te"] = (direct["lower"] + direct["upper"]) / 2
        return direct

    def _project(self, x: np.ndarray, steps: int) -> np.ndarray:
        """Find points near x that agree with the rows, if there are any, slightly inside the intervals."""
        tree, aim = self.tree, self.limits.inset()

        def residuals(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            g, jac = self.functions(x)
            r = aim.residuals(g)
            return r, jac * (r != 0)[:, :, None] / aim.half[:, None]

        longest = np.where(np.arange(tree.n) < tree.m, np.inf, 1.5)
        return levenberg_marquardt(residuals, x, tree.low, tree.high, longest=longest, steps=steps, enough=40)

    def explore(self, near: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return points after projection and their misfit, best first; if none fits, refined by a minimax solve.

        With ``near``, points to start from (B x n), the search is quick and local, without refinement.
        """
        x = self._starts() if near is None else near
        if not self.spec:
            return x, np.zeros(len(x))
        x = self._project(x, steps=60 if near is None else 15)
        misfit = self.misfit(x)
        order = np.argsort(misfit)
        x, misfit = x[order], misfit[order]
        if misfit[0] > 1 and near is None:
            polished = [self.minimax(start) for start in x[:4]]
            x = np.vstack([[p for p, _ in polished], x])
            misfit = np.r_[[r for _, r in polished], misfit]
            order = np.argsort(misfit)
            x, misfit = x[order], misfit[order]
        return x, misfit

    def _frame(self, x0: np.ndarray) -> np.ndarray:
        """Scale each coordinate (B x n) so that one unit moves the tightest constraint by one half-unit."""
        _, jac = self.functions(x0)
        return 1.0 / np.abs(jac / self.limits.half[:, None]).max(axis=1, initial=1e-2)

    def _evaluator(self, functions: _Functions, x0: np.ndarray, unit: np.ndarray):
        """Evaluate quantities and slopes at x0 + unit u; one evaluation serves objective and constraints."""
        memory: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

        def at(u):
            key = u.tobytes()
            if key not in memory:
                memory.clear()
                g, jac = functions((x0 + unit * u)[None])
                memory[key] = g, jac * unit
            return memory[key]

        return at

    def minimax(self, x0: np.ndarray) -> tuple[np.ndarray, float]:
        """Find the point near x0 with the smallest maximal residual (SLSQP on the epigraph form), and that residual."""
        tree, unit = self.tree, self._frame(x0[None])[0]
        at = self._evaluator(self.functions, x0, unit)

        def slack(u):
            return u[-1] - 1.0 + self.limits.slack(at(u[:-1])[0])[0]

        def slope(u):
            found = self.limits.slack_slope(at(u[:-1])[1])[0]
            return np.c_[found, np.ones(len(found))]

        start = np.r_[np.zeros(tree.n), 0.0]
        start[-1] = max(0.0, -slack(start).min())
        span = [(lo, hi) for lo, hi in zip((tree.low - x0) / unit, (tree.high - x0) / unit, strict=True)]
        last = np.zeros(len(start))
        last[-1] = 1.0
        out = scipy.optimize.minimize(
            lambda u: u[-1],
            start,
            jac=lambda u: last,
            bounds=[*span, (-1e3, None)],
            method="SLSQP",
            constraints={"type": "ineq", "fun": slack, "jac": slope},
            options={"maxiter": 200, "ftol": 1e-10},
        )
        best, best_misfit = x0, float(self.misfit(x0[None])[0])
        if np.all(np.isfinite(out.x)):
            x = np.clip(x0 + unit * out.x[:-1], tree.low, tree.high)
            misfit = float(self.misfit(x[None])[0])
            if misfit < best_misfit:
                best, best_misfit = x, misfit
        return best, best_misfit

    def corners(
        self, targets: Sequence[Quantity], which: np.ndarray, direction: np.ndarray, x0: np.ndarray, steps: int = 40
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run :meth:`extreme` for B (target, direction, start) at once, and return which points are proven (B)."""
        tree, unit, column = self.tree, self._frame(x0), len(self.spec) + which
        functions = tree.compile([*self.spec, *targets])
        box = np.vstack([np.eye(tree.n), -np.eye(tree.n)])

        def problem(x: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            g, jac = functions(x)
            jac *= unit[index][:, None]
            ends = [(x - tree.low) / unit[index], (tree.high - x) / unit[index]]
            slack = np.concatenate([self.limits.slack(g), *ends], axis=1)
            walls = np.broadcast_to(box, (len(x), *box.shape))
            slope = np.concatenate([self.limits.slack_slope(jac), walls], axis=1)
            return jac[np.arange(len(x)), column[index]], slack, slope

        return interior_point(problem, x0, unit, direction, steps=steps)

    def extreme(self, target: Quantity, direction: float, x0: np.ndarray) -> np.ndarray:
        """Find the feasible point with the smallest ``direction * target``, starting from the feasible point x0."""
        tree, unit = self.tree, self._frame(x0[None])[0]
        at = self._evaluator(tree.compile([*self.spec, target]), x0, unit)
        size = max(np.abs(at(np.zeros(tree.n))[1][0, -1]).max(), 1e-12)

        def objective(u):
            g, jac = at(u)
            return direction * g[0, -1] / size, direction * jac[0, -1] / size

        span = list(zip((tree.low - x0) / unit, (tree.high - x0) / unit, strict=True))
        out = scipy.optimize.minimize(
            objective,
            np.zeros(tree.n),
            jac=True,
            bounds=span,
            method="SLSQP",
            constraints=(
                {
                    "type": "ineq",
                    "fun": lambda u: self.limits.slack(at(u)[0])[0],
                    "jac": lambda u: self.limits.slack_slope(at(u)[1])[0],
                }
                if self.spec
                else ()
            ),
            options={"maxiter": 100, "ftol": 1e-9},
        )
        if not np.all(np.isfinite(out.x)):
            return x0
        return np.clip(x0 + unit * out.x, tree.low, tree.high)

    def range(self, targets: Sequence[Quantity], cloud: np.ndarray) -> np.ndarray:
        """Find [low, high] of each target over the region (K x 2), from a cloud of feasible points.

        Every feasible point found while bounding one target is tried for all others; a target whose
        optimum is worse than such a point is optimised again from there.
        """
        points = cloud
        table = self.tree.values(targets, points)
        reached: dict[tuple[int, int], float] = {}
        for _ in range(4):
            best = np.c_[table.min(axis=0), table.max(axis=0)]
            at = np.c_[table.argmin(axis=0), table.argmax(axis=0)]
            todo = [
                (k, side)
                for k in range(len(targets))
                for side in (0, 1)
                if (k, side) not in reached
                or abs(reached[k, side] - best[k, side]) > 1e-6 * (1e-3 + abs(best[k, side]))
            ]
            if not todo:
                break
            which, side = np.array(todo).T
            found, proven = points[at[which, side]], np.zeros(len(todo), dtype=bool)
            if len(targets) > 1:  # for a single target SLSQP is as fast and more precise
                found, proven = self.corners(targets, which, 1.0 - 2 * side, found)
            for row in np.flatnonzero(~proven):
                found[row] = self.extreme(targets[which[row]], 1.0 - 2 * side[row], found[row])
            table_found = self.tree.values(targets, found)
            fits = np.ones(len(found), dtype=bool)
            if self.spec:
                fits = self.misfit(found) <= 1 + _TOLERANCE
            for row, (k, side) in enumerate(todo):
                own = table_found[row, k] if fits[row] else best[k, side]
                reached[k, side] = min(own, best[k, side]) if side == 0 else max(own, best[k, side])
            points, table = np.vstack([points, found[fits]]), np.vstack([table, table_found[fits]])
        return np.c_[table.min(axis=0), table.max(axis=0)]


class PooledRegion:
    """The pooled networks that agree with printed values, for searches that go beyond pooled numbers.

    Parameters as in :func:`recover_contrasts`; rows of tau2 and I2 are not used. A point is
    x = (te of edges, log se of edges), B points an array [B x 2 edges].
    """

    def __init__(
        self,
        printed: pd.DataFrame,
        edges: pd.DataFrame | Iterable[tuple[str, str]],
        *,
        desirable: Desirable,
        level: float = 0.95,
    ):
        rows = _check_printed(printed)
        rows = rows[~rows["quantity"].isin((*I2_QUANTITIES, "tau2"))]
        frame = _check_edges(edges)[["treat1", "treat2"]]
        self._tree = _Tree(rows, frame, desirable, level)
        self._region = _Region(self._tree, range(len(rows)))
        self.rows = rows
        limits = self._region.limits
        self.low, self.high, self.half = limits.low, limits.high, limits.half

    def values(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute the printed quantities [B x K] at x, unrounded (|z| instead of p), and their Jacobian."""
        return self._region.functions(x)

    @cached_property
    def centre(self) -> np.ndarray:
        """Return a point inside the region [2 edges]: of those found, the one furthest from any rounding limit.

        It is not refined further, because an optimiser's last digits depend on the machine's number of threads.
        """
        return self._cloud[0]

    @cached_property
    def _cloud(self) -> np.ndarray:
        cloud, misfit = self._region.explore()
        if misfit[0] > 1:
            raise ValueError("printed: no pooled network agrees with all values, so none can be sampled")
        return cloud[misfit <= 1]

    def misfit(self, x: np.ndarray) -> np.ndarray:
        """Compute the largest residual in half-units of the last printed digit [B]; up to 1 agrees with the print."""
        return self._region.misfit(x)

    def sample(self, size: int, rng: np.random.Generator, steps: int = 200) -> np.ndarray:
        """Sample points uniformly from the region [size x 2 edges], by hit-and-run walks from its interior.

        Raises ValueError if no point agrees with the print.
        """
        cloud = self._cloud
        x = cloud[rng.integers(len(cloud), size=size)]
        spread = np.cov(cloud.T) if len(cloud) > 2 * x.shape[1] else np.diag((1e-3 * np.abs(cloud[0])) ** 2)
        root = np.linalg.cholesky(spread + 0.01 * np.diag(np.diag(spread)))
        low, high = np.full(size, -3.0), np.full(size, 3.0)
        for _ in range(steps):
            direction = rng.normal(size=x.shape) @ root.T
            low[:], high[:] = -3.0, 3.0
            length = rng.uniform(low, high)
            for _ in range(12):  # shrink towards the current point until inside
                outside = self.misfit(x + length[:, None] * direction) > 1
                if not outside.any():
                    break
                below = outside & (length < 0)
                above = outside & (length >= 0)
                low[below], high[above] = length[below], length[above]
                length = np.where(outside, rng.uniform(low, high), length)
            else:
                length = np.where(outside, 0.0, length)
            x = x + length[:, None] * direction
        return x
