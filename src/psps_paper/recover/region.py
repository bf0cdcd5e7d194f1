"""The region of pooled networks that agree with print, and its extremes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
import pandas as pd
import scipy

from psps_paper.recover.printed import CONTRAST_QUANTITIES, I2_QUANTITIES, Desirable, _check_edges, _check_printed
from psps_paper.recover.tree import _Functions, _Tree

_TOLERANCE = 1e-6  # a constraint may be missed by this share of its rounding half-width, and a limit met within it
_STARTS = 160


class _Region:
    """The set of x that agrees with the rows in ``keep``."""

    def __init__(self, tree: _Tree, keep: Iterable[int], seed: int = 0):
        self.tree = tree
        self.keep = [k for k in keep if tree.rows[k] is not None]
        self.spec = [tree.rows[k] for k in self.keep] + tree.structural
        self.low = np.array([s[3] for s in self.spec])
        self.high = np.array([s[4] for s in self.spec])
        self.half = np.array([s[5] for s in self.spec])
        self.seed = seed
        self.functions = tree.compile(self.spec)
        above, below = np.flatnonzero(np.isfinite(self.high)), np.flatnonzero(np.isfinite(self.low))
        self._at = np.r_[above, below]
        self._limit = np.r_[self.high[above], self.low[below]]
        self._per_unit = np.r_[np.ones(len(above)), -np.ones(len(below))] / self.half[self._at]

    def misfit(self, g: np.ndarray) -> np.ndarray:
        """Largest residual in half-units: <= 1 inside the rounding intervals (B,)."""
        over = np.maximum(g - self.high, self.low - g) / self.half
        return 1.0 + over.max(axis=1)

    def _starts(self) -> np.ndarray:
        tree, m = self.tree, self.tree.m
        rng = np.random.default_rng(self.seed)  # a new one each time, so that answers do not depend on earlier ones
        x = np.empty((_STARTS, tree.n))
        near = np.log(tree.scale)
        x[:, :m] = tree.scale * rng.normal(0, 1.5, (_STARTS, m))
        x[:, m : 2 * m] = rng.uniform(near - 4, near + 1.5, (_STARTS, m))
        if tree.has_tau2:
            x[:, -1] = rng.uniform(tree.low[-1], near, _STARTS)
        for k in range(m):
            direct = {}
            for kind, pair, sign, low, high, _ in self.spec[: len(self.keep)]:
                if pair == k and kind in CONTRAST_QUANTITIES and np.isfinite(low + high):
                    name = {"lower": "upper", "upper": "lower"}.get(kind, kind) if sign < 0 else kind
                    direct[name] = sign * (low + high) / 2 if kind != "p" else (low + high) / 2
            if "te" not in direct and {"lower", "upper"} <= set(direct):
                direct["te"] = (direct["lower"] + direct["upper"]) / 2
            if "te" in direct:
                x[:, k] = direct["te"] + 1e-3 * tree.scale * rng.normal(size=_STARTS)
                for limit in ("lower", "upper"):
                    if limit in direct and direct[limit] != direct["te"]:
                        x[:, m + k] = np.log(abs(direct[limit] - direct["te"]) / tree.quantile)
                for ratio in ("z", "p"):
                    if direct.get(ratio) and direct["te"]:
                        x[:, m + k] = np.log(abs(direct["te"] / direct[ratio]))
        return np.clip(x, tree.low, tree.high)

    def _project(self, x: np.ndarray, steps: int = 60) -> np.ndarray:
        """Batched Levenberg-Marquardt on the hinge residuals, aiming a little inside the intervals."""
        tree = self.tree
        width = np.where(np.isfinite(self.high - self.low), self.high - self.low, 0.2 * self.half)
        inset = 0.1 * np.minimum(width, self.half)
        low, high = self.low + inset, self.high - inset
        damping = np.full(len(x), 1e-2)

        def residual(g):
            return (np.maximum(g - high, 0) - np.maximum(low - g, 0)) / self.half

        g, jac = self.functions(x)
        r = residual(g)
        cost = (r**2).sum(axis=1)
        for _ in range(steps):
            live = cost > 0
            if not live.any() or (~live).sum() >= 40:
                break
            j = jac[live] * (r[live] != 0)[:, :, None] / self.half[:, None]
            normal = np.einsum("bki,bkj->bij", j, j)
            diagonal = np.einsum("bii->bi", normal)
            ridge = damping[live, None] * (diagonal + 1e-6 * diagonal.max(axis=1, keepdims=True) + 1e-12)
            normal[:, np.arange(tree.n), np.arange(tree.n)] += ridge
            step = np.linalg.solve(normal, np.einsum("bki,bk->bi", j, r[live])[..., None])[..., 0]
            step[:, tree.m :] = np.clip(step[:, tree.m :], -1.5, 1.5)
            trial = np.clip(x[live] - step, tree.low, tree.high)
            g_new, jac_new = self.functions(trial)
            r_new = residual(g_new)
            cost_new = (r_new**2).sum(axis=1)
            better = cost_new < cost[live]
            where = np.flatnonzero(live)
            won = where[better]
            x[won], r[won], cost[won], jac[won] = trial[better], r_new[better], cost_new[better], jac_new[better]
            damping[where] = np.where(better, damping[where] * 0.2, damping[where] * 6).clip(1e-10, 1e8)
        return x

    def explore(self, near: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Points after projection and their misfit, best first; polished by a minimax solve if none fits.

        With ``near``, points to start from (B x n), it is a quick look around these only, without polishing.
        """
        x = self._starts() if near is None else near.copy()
        if not self.spec:
            return x, np.zeros(len(x))
        x = self._project(x, steps=60 if near is None else 15)
        misfit = self.misfit(self.functions(x, jacobian=False)[0])
        order = np.argsort(misfit)
        x, misfit = x[order], misfit[order]
        if misfit[0] > 1 and near is None:
            polished = [self.minimax(start) for start in x[:4]]
            x = np.vstack([[p for p, _ in polished], x])
            misfit = np.r_[[r for _, r in polished], misfit]
            order = np.argsort(misfit)
            x, misfit = x[order], misfit[order]
        return x, misfit

    def _room(self, g: np.ndarray) -> np.ndarray:
        """Distance in half-units to each finite end of the intervals (B x ends), negative outside."""
        return (self._limit - g[:, self._at]) * self._per_unit

    def _room_slope(self, jac: np.ndarray) -> np.ndarray:
        return -jac[:, self._at] * self._per_unit[:, None]

    def _frame(self, x0: np.ndarray) -> np.ndarray:
        """Scale of each coordinate (B x n) so that one unit moves the tightest constraint by one half-unit."""
        _, jac = self.functions(x0)
        return 1.0 / np.abs(jac / self.half[:, None]).max(axis=1, initial=1e-2)

    def _evaluator(self, functions: _Functions, x0: np.ndarray, unit: np.ndarray):
        """Quantities and slopes at x0 + unit u; objective, constraints and their slopes share one evaluation."""
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
        """Point with the smallest largest residual near x0 (SLSQP on the epigraph form), and that residual."""
        tree, unit = self.tree, self._frame(x0[None])[0]
        at = self._evaluator(self.functions, x0, unit)

        def slack(u):
            return u[-1] - 1.0 + self._room(at(u[:-1])[0])[0]

        def slope(u):
            return np.c_[self._room_slope(at(u[:-1])[1])[0], np.ones(len(self._at))]

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
        best, best_misfit = x0, float(self.misfit(self.functions(x0[None], jacobian=False)[0])[0])
        if np.all(np.isfinite(out.x)):
            x = np.clip(x0 + unit * out.x[:-1], tree.low, tree.high)
            misfit = float(self.misfit(self.functions(x[None], jacobian=False)[0])[0])
            if misfit < best_misfit:
                best, best_misfit = x, misfit
        return best, best_misfit

    def corners(
        self, targets: Sequence[tuple], which: np.ndarray, direction: np.ndarray, x0: np.ndarray, steps: int = 40
    ) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`extreme` for B (target, direction, start) at once, and which of the points are proven (B).

        A primal-dual interior-point method without second derivatives: extremes are mostly corners, where the
        constraints alone determine the steps. Starts that are not inside are left as they are, unproven.

        Source: Nocedal & Wright 2006, Numerical Optimization, ch. 19.
        """
        tree = self.tree
        functions = tree.compile([*self.spec, *targets])
        box = np.vstack([np.eye(tree.n), -np.eye(tree.n)])

        def at(x, unit, column):
            g, jac = functions(x)
            jac *= unit[:, None]
            room = np.concatenate([self._room(g), (x - tree.low) / unit, (tree.high - x) / unit], axis=1)
            slope = np.concatenate([self._room_slope(jac), np.broadcast_to(box, (len(x), *box.shape))], axis=1)
            return jac[np.arange(len(x)), column], room, slope

        def miss(gradient, slope, price):  # of the first-order conditions
            return gradient - (price[:, None] @ slope)[:, 0]

        found, proven = x0.copy(), np.zeros(len(x0), dtype=bool)
        x, unit, column, index = x0, self._frame(x0), len(self.spec) + which, np.arange(len(x0))
        gradient, room, slope = at(x, unit, column)
        weight = direction / np.maximum(np.abs(gradient).max(axis=1), 1e-12)
        gradient = gradient * weight[:, None]
        barrier, damping = np.full(len(x), 0.1), np.full(len(x), 1e-3)
        price = barrier[:, None] / np.maximum(room, 1e-9)
        live = (room > 1e-3).all(axis=1)
        for _ in range(steps):
            x, unit, column, index, weight, gradient, room, slope, barrier, damping, price = (
                a[live] for a in (x, unit, column, index, weight, gradient, room, slope, barrier, damping, price)
            )
            if not len(x):
                break
            pull = slope.swapaxes(1, 2)
            normal = pull @ (slope * (price / room)[:, :, None])
            ridge = damping + 1e-14 * np.trace(normal, axis1=1, axis2=2)
            aim = pull @ (barrier[:, None] / room)[:, :, None] - gradient[:, :, None]
            move = np.linalg.solve(normal + ridge[:, None, None] * np.eye(tree.n), aim)
            change = (slope @ move)[:, :, 0]
            reprice = (barrier[:, None] - price * change) / room - price
            length = 1 / np.maximum(1, (-change / room).max(axis=1) / 0.99)
            relength = 1 / np.maximum(1, (-reprice / price).max(axis=1) / 0.99)
            trial = x + (length[:, None] * unit * move[:, :, 0])
            ahead = at(trial, unit, column)
            ok = (ahead[1] > 0.005 * room).all(axis=1)
            x, room = np.where(ok[:, None], trial, x), np.where(ok[:, None], ahead[1], room)
            gradient = np.where(ok[:, None], ahead[0] * weight[:, None], gradient)
            slope = np.where(ok[:, None, None], ahead[2], slope)
            price = np.where(ok[:, None], price + relength[:, None] * reprice, price)
            damping = np.clip(np.where(ok, damping * 0.2, damping * 6), 1e-9, 1e6)
            off, gap = np.abs(miss(gradient, slope, price)).max(axis=1), (price * room).sum(axis=1)
            lower = ok & (np.minimum(length, relength) > 0.5) & (off < 10 * barrier)
            barrier = np.where(lower, np.maximum(0.1 * np.minimum(barrier, gap / room.shape[1]), 1e-12), barrier)
            done = (off < 1e-6) & (gap < 1e-10)
            found[index], proven[index] = x, done
            live = ~done
        return found, proven

    def extreme(self, target: tuple, direction: float, x0: np.ndarray) -> np.ndarray:
        """Feasible point near which ``direction * target`` is smallest, from x0 (feasible)."""
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
                    "fun": lambda u: self._room(at(u)[0])[0],
                    "jac": lambda u: self._room_slope(at(u)[1])[0],
                }
                if self.spec
                else ()
            ),
            options={"maxiter": 100, "ftol": 1e-9},
        )
        if not np.all(np.isfinite(out.x)):
            return x0
        return np.clip(x0 + unit * out.x, tree.low, tree.high)

    def range(self, targets: Sequence[tuple], cloud: np.ndarray) -> np.ndarray:
        """[low, high] of each target over the region (K x 2), from a cloud of feasible points.

        Every feasible point met while bounding one target is offered to all the others, and a target whose
        optimum is beaten by such a point is optimised again from there.
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
            if len(targets) > 1:  # SLSQP bounds one as fast, and to its last digit
                found, proven = self.corners(targets, which, 1.0 - 2 * side, found)
            for row in np.flatnonzero(~proven):
                found[row] = self.extreme(targets[which[row]], 1.0 - 2 * side[row], found[row])
            table_found = self.tree.values(targets, found)
            fits = np.ones(len(found), dtype=bool)
            if self.spec:
                fits = self.misfit(self.functions(found, jacobian=False)[0]) <= 1 + _TOLERANCE
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
        self.low, self.high, self.half = self._region.low, self._region.high, self._region.half

    def values(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The printed quantities [B x K] at x, unrounded (|z| in place of p), and their Jacobian."""
        return self._region.functions(x)

    @cached_property
    def centre(self) -> np.ndarray:
        """A point inside the region [2 edges]: of those found, the one furthest from any rounding limit.

        Not polished further, because an optimiser's last digits depend on the machine's number of threads.
        """
        return self._cloud[0]

    @cached_property
    def _cloud(self) -> np.ndarray:
        cloud, misfit = self._region.explore()
        if misfit[0] > 1:
            raise ValueError("printed: no pooled network agrees with all values, so none can be drawn")
        return cloud[misfit <= 1]

    def misfit(self, x: np.ndarray) -> np.ndarray:
        """Largest residual in half-units of the last printed digit [B]; up to 1 agrees with the print."""
        return self._region.misfit(self._region.functions(x, jacobian=False)[0])

    def sample(self, size: int, rng: np.random.Generator, steps: int = 200) -> np.ndarray:
        """Points spread uniformly over the region [size x 2 edges], by hit-and-run walks from its inside.

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
