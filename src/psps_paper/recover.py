"""What printed results imply: the inverse problem under rounding.

A printed value is an interval of half a unit in its last digit. On a tree network the pooled contrasts of
the edges determine everything else (contrasts, z, p, confidence limits, P-scores), so all printed values
together confine the edges' (te, se) to a region; this module finds its extent, or the values that clash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
import scipy

from psps_paper.network.heterogeneity import i_squared

Desirable = Literal["lower", "higher"]

CONTRAST_QUANTITIES = ("te", "lower", "upper", "z", "p")
I2_QUANTITIES = ("i2", "i2_lower", "i2_upper")
QUANTITIES = (*CONTRAST_QUANTITIES, "p_score", "tau2", *I2_QUANTITIES)
RELATIONS = ("=", "<", ">")

_TOLERANCE = 1e-6  # a constraint may be missed by this share of its rounding half-width, and a limit met within it
_SE_FLOOR = 1e-4  # smallest pooled SE searched, as a share of the largest printed magnitude
_REACH = 50.0  # te and se are searched up to this multiple of the largest printed magnitude
_STARTS = 160
_MAX_DF = 1000


@dataclass(frozen=True)
class Recovery:
    """What a set of printed values implies for a tree network.

    Attributes
    ----------
    feasible : bool
        Whether some pooled network agrees with every printed value.
    treatments : list of str
    bounds : pandas.DataFrame
        One row a pair of treatments (edges first): ``treat1, treat2, edge`` and, for each of te, se, lower,
        upper, z and p, ``<name>_low`` and ``<name>_high``; infinite where the print leaves it open. Empty if
        not feasible.
    solution : pandas.DataFrame
        ``treat1, treat2, te, se`` of each edge at the point whose largest rounding residual is smallest;
        ready for ``network_from_pooled``. If not feasible, the nearest miss.
    residual : float
        That largest residual in half-units of the last printed digit: up to 1 agrees with the print.
    at_boundary : bool
        Whether the print can hold only at the boundary of rounding: feasible, but at every point some exact value
        ends in a 5 that had to be rounded the right way (``residual`` is 1 up to the search's precision). Then
        "feasible" rests on rounding intervals that include both ends; a wrong digit is as good an explanation.
    clashes : pandas.DataFrame
        The rows of ``printed`` that form the smallest set that cannot hold together; empty if feasible.
    tau2_low, tau2_high : float
        Range of the between-study variance left by the print and, where ``edges`` has the number of
        estimates, by tau2 <= estimates x se^2 of each edge. NaN if neither is known.
    df : tuple of int
        Degrees of freedom of Q consistent with the printed I2 and its interval; empty if none was printed.
    """

    feasible: bool
    treatments: list[str]
    bounds: pd.DataFrame
    solution: pd.DataFrame
    residual: float
    clashes: pd.DataFrame
    tau2_low: float
    tau2_high: float
    df: tuple[int, ...]

    @property
    def at_boundary(self) -> bool:
        return self.feasible and abs(self.residual - 1) <= _TOLERANCE

    @property
    def conclusion(self) -> str:
        """In words: whether the printed values agree with each other."""
        if self.at_boundary:
            return "agrees only at the boundary of rounding"
        return "agrees within rounding" if self.feasible else f"{len(self.clashes)} printed values clash"


# --- printed values -----------------------------------------------------------------------------------


def rounding_interval(value: float, decimals: int, relation: str = "=") -> tuple[float, float]:
    """Interval of the exact values that print as ``value``: half a unit in the last digit, or a printed bound."""
    if relation == "<":
        return -np.inf, float(value)
    if relation == ">":
        return float(value), np.inf
    half = 0.5 * 10.0 ** -int(decimals)
    return float(value) - half, float(value) + half


def _check_printed(printed: pd.DataFrame) -> pd.DataFrame:
    """Validated copy with columns quantity, treat1, treat2, value, decimals, relation and the caller's index."""
    missing = {"quantity", "value", "decimals"} - set(printed.columns)
    if missing:
        raise ValueError(f"printed: missing column(s) {sorted(missing)}")
    if printed.empty:
        raise ValueError("printed: no rows; at least one printed value is needed")
    rows = printed.copy()
    if "relation" not in rows:
        rows["relation"] = "="
    rows["relation"] = rows["relation"].fillna("=")
    for column in ("treat1", "treat2"):
        if column not in rows:
            rows[column] = None
    if "treatment" in rows:
        rows["treat1"] = rows["treat1"].where(rows["treat1"].notna(), rows["treatment"])

    def fail(label, row, column, expected):
        raise ValueError(
            f"printed, row {label} ({row['quantity']}), column {column}: {row[column]!r} is not {expected}"
        )

    for label, row in rows.iterrows():
        if row["quantity"] not in QUANTITIES:
            fail(label, row, "quantity", f"one of {', '.join(QUANTITIES)}")
        if row["relation"] not in RELATIONS:
            fail(label, row, "relation", f"one of {', '.join(RELATIONS)}")
        try:
            finite = np.isfinite(float(row["value"]))
        except (TypeError, ValueError):
            finite = False
        if not finite:
            fail(label, row, "value", "a finite number")
        try:
            digits = float(row["decimals"])
        except (TypeError, ValueError):
            digits = -1.0
        if digits < 0 or digits != int(digits):
            fail(label, row, "decimals", "a whole number of printed decimals >= 0")
        needs = {"p_score": ("treat1",)}.get(
            row["quantity"], ("treat1", "treat2") if row["quantity"] in CONTRAST_QUANTITIES else ()
        )
        for column in needs:
            if pd.isna(row[column]):
                fail(label, row, column, "a treatment")
        if row["quantity"] in ("p", "p_score", *I2_QUANTITIES) and not 0 <= float(row["value"]) <= 1:
            fail(label, row, "value", "in [0, 1]" + " (I2 as a fraction)" * (row["quantity"] in I2_QUANTITIES))
        if row["quantity"] == "tau2" and float(row["value"]) < 0:
            fail(label, row, "value", ">= 0")
    return rows[["quantity", "treat1", "treat2", "value", "decimals", "relation"]]


def _check_edges(edges) -> pd.DataFrame:
    import networkx as nx

    if not isinstance(edges, pd.DataFrame):
        edges = pd.DataFrame(list(edges), columns=["treat1", "treat2"])
    missing = {"treat1", "treat2"} - set(edges.columns)
    if missing:
        raise ValueError(f"edges: missing column(s) {sorted(missing)}")
    frame = edges.reset_index(drop=True)
    graph = nx.Graph()
    graph.add_edges_from(zip(frame["treat1"], frame["treat2"], strict=True))
    if len(frame) == 0 or graph.number_of_edges() != len(frame) or not nx.is_tree(graph):
        pairs = ", ".join(f"{a}-{b}" for a, b in zip(frame["treat1"], frame["treat2"], strict=True))
        raise ValueError(f"edges: a tree is expected (connected, no loop, no repeated pair); got {pairs or 'no edge'}")
    return frame


# --- the forward model on a tree ----------------------------------------------------------------------


class _Tree:
    """Pooled contrasts of a tree as smooth functions of x = (te of edges, log se of edges[, log tau2])."""

    def __init__(self, printed: pd.DataFrame, edges: pd.DataFrame, desirable: Desirable, level: float):
        if desirable not in ("lower", "higher"):
            raise ValueError(f"desirable: {desirable!r} is not one of lower, higher")
        self.edges = edges
        self.sign = 1.0 if desirable == "higher" else -1.0
        self.quantile = float(scipy.special.ndtri(0.5 + level / 2))
        self.treatments = sorted(set(edges["treat1"]) | set(edges["treat2"]))
        self.m = len(edges)
        self.pairs = list(zip(edges["treat1"], edges["treat2"], strict=True))
        known = {frozenset(pair) for pair in self.pairs}
        self.pairs += [p for p in combinations(self.treatments, 2) if frozenset(p) not in known]
        self.path = self._paths()
        self.path_squared = self.path**2
        self.index = {}
        for k, (a, b) in enumerate(self.pairs):
            self.index[a, b], self.index[b, a] = (k, 1.0), (k, -1.0)
        self._p_score_signs()

        counts = edges["estimates"].to_numpy(float) if "estimates" in edges else None
        self.has_tau2 = counts is not None or bool((printed["quantity"] == "tau2").any())
        self.n = 2 * self.m + self.has_tau2

        sizes = printed.loc[printed["quantity"].isin(("te", "lower", "upper")), "value"].abs()
        self.scale = float(sizes.max()) if len(sizes) and sizes.max() > 0 else 1.0
        te_max, se_min = _REACH * self.scale, np.log(_SE_FLOOR * self.scale)
        se_max = np.log(_REACH * self.scale)
        self.low = np.r_[np.full(self.m, -te_max), np.full(self.m, se_min)]
        self.high = np.r_[np.full(self.m, te_max), np.full(self.m, se_max)]
        if self.has_tau2:
            self.low, self.high = np.r_[self.low, 2 * se_min], np.r_[self.high, 2 * se_max]

        self.rows = self._compile(printed)
        self.structural = []
        if counts is not None:
            # a random-effects pooled variance is at least tau2 / (number of estimates)
            self.structural = [("tau2_room", k, np.log(counts[k]), 0.0, np.inf, 0.01) for k in range(self.m)]

    def _paths(self) -> np.ndarray:
        import networkx as nx

        graph = nx.Graph()
        for k, (a, b) in enumerate(self.pairs[: self.m]):
            graph.add_edge(a, b, k=k, a=a)
        path = np.zeros((len(self.pairs), self.m))
        for row, (a, b) in enumerate(self.pairs):
            nodes = nx.shortest_path(graph, a, b)
            for u, v in zip(nodes[:-1], nodes[1:], strict=True):
                edge = graph.edges[u, v]
                path[row, edge["k"]] = 1.0 if edge["a"] == u else -1.0
        return path

    def _p_score_signs(self):
        n = len(self.treatments)
        self.beats = {}
        for t in self.treatments:
            others = [self.index[t, u] for u in self.treatments if u != t]
            self.beats[t] = (np.array([k for k, _ in others]), self.sign * np.array([s for _, s in others]), n - 1)

    def _compile(self, printed: pd.DataFrame) -> list[tuple]:
        """(kind, pair or treatment, sign, low, high, half-width) of each printed row; None for the I2 block."""
        rows = []
        for label, row in printed.iterrows():
            kind, low_high = row["quantity"], rounding_interval(row["value"], row["decimals"], row["relation"])
            low, high = low_high
            half = 0.5 * 10.0 ** -int(row["decimals"])
            if kind in I2_QUANTITIES:
                rows.append(None)
                continue
            if kind == "p_score":
                if row["treat1"] not in self.beats:
                    raise ValueError(f"printed, row {label}, column treat1: {row['treat1']!r} is not in the network")
                low, high = (-np.inf if low <= 0 else low), (np.inf if high >= 1 else high)
                rows.append(("p_score", row["treat1"], 1.0, low, high, half))
                continue
            if kind == "tau2":
                low, high = max(low, 0.0), max(high, 0.0)
                floor = np.exp(self.low[-1])
                low, high = np.log(max(low, floor)), np.log(max(high, floor)) if np.isfinite(high) else np.inf
                rows.append(("tau2", 0, 1.0, -np.inf if low <= self.low[-1] else low, high, max((high - low) / 2, 1e-3)))
                continue
            pair = (row["treat1"], row["treat2"])
            if pair not in self.index:
                raise ValueError(f"printed, row {label}: {pair[0]!r} versus {pair[1]!r} is not a pair of the network")
            k, sign = self.index[pair]
            if kind == "p":
                # two-sided p is decreasing in |z|
                z_low = 0.0 if high >= 1 else -scipy.special.ndtri(high / 2)
                z_high = np.inf if low <= 0 else -scipy.special.ndtri(low / 2)
                half = (z_high - z_low) / 2 if np.isfinite(z_high) else 0.01
                low, high = (-np.inf if z_low <= 0 else z_low), z_high
            rows.append((kind, k, sign, low, high, half))
        return rows

    def compile(self, spec: Sequence[tuple]) -> _Functions:
        return _Functions(self, spec)

    def values(self, spec: Sequence[tuple], x: np.ndarray) -> np.ndarray:
        """Value (B x K) of each quantity in ``spec`` at the points x (B x n)."""
        return self.compile(spec)(np.atleast_2d(x), jacobian=False)[0]


class _Functions:
    """Quantities of ``spec`` and their Jacobian, grouped by form so that one call costs few array operations."""

    def __init__(self, tree: _Tree, spec: Sequence[tuple]):
        self.tree, self.size = tree, len(spec)
        linear, ratio, score, room, self.tau2 = [], [], [], [], []
        for i, (kind, k, sign, *_) in enumerate(spec):
            if kind in ("te", "se", "lower", "upper"):
                side = {"te": 0.0, "se": 1.0, "lower": -tree.quantile, "upper": tree.quantile}[kind]
                linear.append((i, k, 0.0 if kind == "se" else sign, side))
            elif kind in ("z", "p"):
                ratio.append((i, k, sign, kind == "p"))
            elif kind == "p_score":
                score.append((i, *tree.beats[k]))
            elif kind == "tau2_room":
                room.append((i, k, sign))
            else:
                self.tau2.append(i)
        self.linear = self._columns(linear, 4)
        self.ratio = self._columns(ratio, 4)
        self.room = self._columns(room, 3)
        self.score_at = np.array([row[0] for row in score], dtype=int)
        self.score_weight = np.zeros((len(score), len(tree.pairs)))
        self.score_sign = np.zeros((len(score), len(tree.pairs)))
        for row, (_, pairs, signs, rivals) in enumerate(score):
            self.score_weight[row, pairs] = 1.0 / rivals
            self.score_sign[row, pairs] = signs

    @staticmethod
    def _columns(rows, width):
        table = np.array(rows, dtype=float).reshape(-1, width)
        return (table[:, 0].astype(int), table[:, 1].astype(int), *table[:, 2:].T)

    def __call__(self, x: np.ndarray, jacobian: bool = True):
        tree = self.tree
        m, a = tree.m, tree.path
        a2 = tree.path_squared
        var_edge = np.exp(2 * x[:, m : 2 * m])
        te = x[:, :m] @ a.T
        se = np.sqrt(var_edge @ a2.T)
        g = np.empty((len(x), self.size))
        jac = None
        at, k, slope, side = self.linear
        if len(at):
            g[:, at] = slope * te[:, k] + side * se[:, k]
        z = te / se
        r_at, r_k, r_sign, r_abs = self.ratio
        if len(r_at):
            turn = np.where(r_abs > 0, np.where(z[:, r_k] < 0, -1.0, 1.0), r_sign)
            g[:, r_at] = turn * z[:, r_k]
        if len(self.score_at):
            share = np.where(self.score_sign > 0, scipy.special.ndtr(z)[:, None], scipy.special.ndtr(-z)[:, None])
            g[:, self.score_at] = (self.score_weight * share).sum(axis=2)
        room_at, room_k, room_log = self.room
        if len(room_at):
            g[:, room_at] = room_log + 2 * x[:, m + room_k] - x[:, -1:]
        if self.tau2:
            g[:, self.tau2] = x[:, -1:]
        if jacobian:
            jac = np.zeros((len(x), self.size, tree.n))
            d_se = a2 * var_edge[:, None, :] / se[:, :, None]  # with respect to log se of each edge
            if len(at):
                jac[:, at, :m] = slope[:, None] * a[k]
                jac[:, at, m : 2 * m] = side[:, None] * d_se[:, k]
            if len(r_at) or len(self.score_at):
                d_z = np.concatenate([a / se[:, :, None], -(z / se)[:, :, None] * d_se], axis=2)
            if len(r_at):
                jac[:, r_at, : 2 * m] = turn[:, :, None] * d_z[:, r_k]
            if len(self.score_at):
                weight = self.score_weight * self.score_sign * np.exp(-(z**2) / 2)[:, None] / np.sqrt(2 * np.pi)
                jac[:, self.score_at, : 2 * m] = weight @ d_z
            if len(room_at):
                jac[:, room_at, m + room_k] = 2.0
                jac[:, room_at, -1] = -1.0
            if self.tau2:
                jac[:, self.tau2, -1] = 1.0
        return g, jac


# --- feasibility and bounds ---------------------------------------------------------------------------


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
        rng = np.random.default_rng(self.seed)  # anew each time, so that answers do not depend on earlier ones
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
            lambda u: u[-1], start, jac=lambda u: last, bounds=[*span, (-1e3, None)], method="SLSQP",
            constraints={"type": "ineq", "fun": slack, "jac": slope}, options={"maxiter": 200, "ftol": 1e-10},
        )  # fmt: skip
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
            objective, np.zeros(tree.n), jac=True, bounds=span, method="SLSQP",
            constraints={
                "type": "ineq", "fun": lambda u: self._room(at(u)[0])[0], "jac": lambda u: self._room_slope(at(u)[1])[0],
            } if self.spec else (),
            options={"maxiter": 100, "ftol": 1e-9},
        )  # fmt: skip
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


# --- public functions ---------------------------------------------------------------------------------


def recover_contrasts(
    printed: pd.DataFrame,
    edges: pd.DataFrame | Iterable[tuple[str, str]],
    *,
    desirable: Desirable,
    level: float = 0.95,
) -> Recovery:
    """Pooled contrasts and SEs of a tree network that agree with every printed value at once.

    Parameters
    ----------
    printed : pandas.DataFrame
        One row a printed value: ``quantity`` (te, lower, upper, z, p, p_score, tau2, i2, i2_lower, i2_upper),
        ``treat1, treat2`` (a P-score has ``treat1`` or ``treatment`` only; tau2 and I2 have none), ``value``
        (I2 as a fraction), ``decimals`` (printed digits after the point, of the fraction for I2) and
        ``relation`` (=, <, >; default =). te is treat1 minus treat2.
    edges : pandas.DataFrame or iterable of (treat1, treat2)
        The direct comparisons; they must form a tree. A column ``estimates`` (number of estimates of each
        comparison) adds the constraint tau2 <= estimates x se^2.
    desirable : {"lower", "higher"}
        Direction that is good for the patient; only P-scores depend on it.
    level : float
        Level of the printed confidence intervals (normal quantile).

    Returns
    -------
    Recovery
        Bounds of te, se, confidence limits, z and p of every pair; a central solution; or the clashing values.

    Raises
    ------
    ValueError
        Naming the row, column and value of a malformed input, or edges that are not a tree.

    Notes
    -----
    Edges of a tree without multi-arm loops are independent, so var(path) is the sum of its edges' variances.
    The region is searched from many starts (batched Levenberg-Marquardt) and each bound is optimised by SLSQP;
    bounds are extremes of points verified to agree with the print, so they are never wider than the truth.

    Source: Rücker & Schwarzer 2015 for P-scores.  Checked against: 500 rounded random star networks and
    netmeta's output for tests/oracles/star_demo.json.
    """
    rows, frame = _check_printed(printed), _check_edges(edges)
    tree = _Tree(rows, frame, desirable, level)
    network_rows = [k for k, row in enumerate(tree.rows) if row is not None]
    i2_rows = [k for k, row in enumerate(tree.rows) if row is None]

    df = _df_of(rows.iloc[i2_rows], level) if i2_rows else ()
    region = _Region(tree, network_rows)
    cloud, misfit = region.explore()
    fits = misfit <= 1 + _TOLERANCE
    agrees = bool(fits.any())
    centre, residual = min((region.minimax(start) for start in cloud[:4]), key=lambda found: found[1])
    if not region.spec:
        centre, residual = cloud[0], 0.0

    clash: list[int] = []
    if not agrees:
        clash = _smallest_clash(network_rows, lambda subset, near: _satisfied(tree, subset, network_rows, near))
    if i2_rows and not df:
        clash_i2 = _smallest_clash(
            i2_rows, lambda subset, near: (set(subset), near) if _df_of(rows.iloc[list(subset)], level) else None
        )
        clash = min((c for c in (clash, clash_i2) if c), key=len)
    feasible = agrees and not (i2_rows and not df)

    bounds, tau2 = pd.DataFrame(), (np.nan, np.nan)
    if feasible:
        bounds = _bounds_table(tree, region, cloud[fits])
        if tree.has_tau2:
            low, high = region.range([("tau2", 0, 1.0)], cloud[fits])[0]
            tau2 = (
                0.0 if low <= tree.low[-1] + 1e-6 else float(np.exp(low)),
                np.inf if high >= tree.high[-1] - 1e-6 else float(np.exp(high)),
            )
    m = tree.m
    solution = frame[["treat1", "treat2"]].assign(te=centre[:m], se=np.exp(centre[m : 2 * m]))
    return Recovery(
        feasible, tree.treatments, bounds, solution, float(residual), printed.iloc[sorted(clash)], *tau2, df
    )


def implied_without(
    printed: pd.DataFrame,
    row,
    edges: pd.DataFrame | Iterable[tuple[str, str]],
    *,
    desirable: Desirable,
    level: float = 0.95,
) -> tuple[float, float]:
    """Interval that all other printed values imply for the printed value in ``row`` (its index label).

    NaN where the other values already clash. Parameters as in :func:`recover_contrasts`. For I2 rows the
    interval follows from the degrees of freedom that the other I2 rows leave.
    """
    rows, frame = _check_printed(printed), _check_edges(edges)
    position = rows.index.get_loc(row)
    if not isinstance(position, (int, np.integer)):
        raise ValueError(f"printed: index label {row!r} is not unique")
    kind = rows.iloc[position]["quantity"]
    if kind in I2_QUANTITIES:
        others = rows[rows["quantity"].isin(I2_QUANTITIES)].drop(index=row)
        return _i2_implied(others, kind, level)
    tree = _Tree(rows, frame, desirable, level)
    region = _Region(tree, [k for k in range(len(rows)) if k != position])
    cloud, misfit = region.explore()
    cloud = cloud[misfit <= 1 + _TOLERANCE]
    if not len(cloud):
        return np.nan, np.nan
    spec = tree.rows[position]
    if kind == "p":
        z_low, z_high = region.range([("z", *spec[1:])], cloud)[0]
        return _p_range(z_low, z_high)
    low, high = region.range([spec], cloud)[0]
    if kind == "tau2":
        return (
            0.0 if low <= tree.low[-1] + 1e-6 else float(np.exp(low)),
            np.inf if high >= tree.high[-1] - 1e-6 else float(np.exp(high)),
        )
    return float(low), float(high)


def leave_one_out(
    printed: pd.DataFrame,
    edges: pd.DataFrame | Iterable[tuple[str, str]],
    *,
    desirable: Desirable,
    level: float = 0.95,
) -> pd.DataFrame:
    """Each printed value beside the interval that all the others imply for it.

    Returns
    -------
    pandas.DataFrame
        The rows of ``printed`` with ``printed_low, printed_high, implied_low, implied_high, agrees``:
        ``agrees`` says whether the two intervals meet (False where the others already clash).
    """
    rows = _check_printed(printed)
    out = []
    for label, row in rows.iterrows():
        low, high = rounding_interval(row["value"], row["decimals"], row["relation"])
        implied_low, implied_high = implied_without(printed, label, edges, desirable=desirable, level=level)
        out.append((low, high, implied_low, implied_high, bool(implied_low <= high and implied_high >= low)))
    names = ["printed_low", "printed_high", "implied_low", "implied_high", "agrees"]
    return rows.join(pd.DataFrame(out, columns=names, index=rows.index))


def i2_interval(q, df: int, level: float = 0.95):
    """I2 and its test-based limits (fractions) from Q at ``df``: the engine's, under the name used for printed I2.

    Source: Higgins & Thompson 2002, Stat Med 21:1539.  Checked against: netmeta 2.8-2.
    """
    return i_squared(q, df, level)


def df_from_i2_interval(
    i2: float, lower: float, upper: float, decimals: int = 3, *, level: float = 0.95
) -> tuple[int, ...]:
    """Degrees of freedom of Q consistent with a printed I2 and its test-based interval.

    Parameters
    ----------
    i2, lower, upper : float
        As fractions (77.5 % is 0.775).
    decimals : int
        Printed decimals of the fraction (77.5 % has 3).
    level : float

    Returns
    -------
    tuple of int
        In increasing order; empty if no df up to 1000 reproduces the three printed values. In a network
        df = independent comparisons - (treatments - 1).

    Source: Higgins & Thompson 2002, Stat Med 21:1539.  Checked against: brute-force rounding in the tests.
    """
    names = ["i2", "i2_lower", "i2_upper"]
    rows = pd.DataFrame({"quantity": names, "value": [i2, lower, upper], "decimals": decimals})
    return _df_of(_check_printed(rows), level)


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


def q_interval(printed: pd.DataFrame, df: int, level: float = 0.95) -> tuple[float, float]:
    """Range of Cochran's Q that prints as the given I2 rows at ``df``; NaN if there is none."""
    rows = _check_printed(printed)
    limits = {
        row["quantity"]: rounding_interval(row["value"], row["decimals"], row["relation"])
        for _, row in rows[rows["quantity"].isin(I2_QUANTITIES)].iterrows()
    }
    low, high = limits.get("i2", (0.0, 0.999))
    q = df / (1 - np.linspace(max(low, 0.0), min(high, 0.999), 20001))
    values = dict(zip(I2_QUANTITIES, i_squared(q, df, level), strict=True))
    fit = np.ones(len(q), dtype=bool)
    for name, (a, b) in limits.items():
        fit &= (values[name] >= a) & (values[name] <= b)
    return (float(q[fit].min()), float(q[fit].max())) if fit.any() else (np.nan, np.nan)


# --- helpers ------------------------------------------------------------------------------------------


def _i2_grid(rows: pd.DataFrame, level: float):
    """I2 and its limits on a fine grid of I2 for each df [df x grid], and where they fit all ``rows``."""
    limits = {
        row["quantity"]: rounding_interval(row["value"], row["decimals"], row["relation"])
        for _, row in rows.iterrows()
    }
    low, high = limits.get("i2", (0.0, 0.9999))
    # without a printed I2 the grid must cover all of it, so fewer df are tried
    share = np.linspace(max(low, 0.0), min(high, 0.9999), 41 if "i2" in limits else 5001)
    df = np.arange(2, (_MAX_DF if "i2" in limits else 200) + 1)
    values = dict(zip(I2_QUANTITIES, i_squared(df[:, None] / (1 - share), df[:, None], level), strict=True))
    fit = np.ones((len(df), len(share)), dtype=bool)
    for name in I2_QUANTITIES[1:]:
        if name in limits:
            a, b = limits[name]
            fit &= (values[name] >= a - 1e-12) & (values[name] <= b + 1e-12)
    return df, values, fit


def _df_of(rows: pd.DataFrame, level: float) -> tuple[int, ...]:
    df, _, fit = _i2_grid(rows, level)
    return tuple(int(k) for k in df[fit.any(axis=1)])


def _i2_implied(rows: pd.DataFrame, kind: str, level: float) -> tuple[float, float]:
    _, values, fit = _i2_grid(rows, level)
    found = values[kind][fit]
    return (float(found.min()), float(found.max())) if found.size else (np.nan, np.nan)


def _p_range(z_low: float, z_high: float) -> tuple[float, float]:
    near = 0.0 if z_low <= 0 <= z_high else min(abs(z_low), abs(z_high))
    return float(2 * scipy.special.ndtr(-max(abs(z_low), abs(z_high)))), float(2 * scipy.special.ndtr(-near))


def _bounds_table(tree: _Tree, region: _Region, cloud: np.ndarray) -> pd.DataFrame:
    names = ("te", "se", "lower", "upper", "z")
    targets = [(name, k, 1.0) for k in range(len(tree.pairs)) for name in names]
    limits = region.range(targets, cloud).reshape(len(tree.pairs), len(names), 2)
    te_edge, se_low, se_high = tree.high[0], np.exp(tree.low[tree.m]), np.exp(tree.high[tree.m])
    out = []
    for k, (a, b) in enumerate(tree.pairs):
        row = {"treat1": a, "treat2": b, "edge": k < tree.m}
        open_te = np.abs(limits[k, 0]) >= 0.999 * te_edge
        for name, (low, high) in zip(names, limits[k], strict=True):
            if name == "se":
                low, high = (0.0 if low <= 1.001 * se_low else low), (np.inf if high >= 0.999 * se_high else high)
            elif name != "z":
                low, high = (-np.inf if low <= -0.999 * te_edge else low), (np.inf if high >= 0.999 * te_edge else high)
            elif open_te.any() or row["se_low"] == 0:
                # without an end to te or se there is none to z on that side
                low, high = (low if low > 0 else -np.inf), (high if high < 0 else np.inf)
            row[f"{name}_low"], row[f"{name}_high"] = float(low), float(high)
        row["p_low"], row["p_high"] = _p_range(row["z_low"], row["z_high"])
        out.append(row)
    return pd.DataFrame(out)


def _satisfied(
    tree: _Tree, subset: Iterable[int], rows: Sequence[int], near: np.ndarray | None
) -> tuple[set[int], np.ndarray] | None:
    """Rows that hold at a point found to satisfy ``subset``, and all points found; None if there are none.

    Searched everywhere or, quickly, from the points ``near``.
    """
    region = _Region(tree, subset)
    cloud, misfit = region.explore(near)
    cloud = cloud[misfit <= 1 + _TOLERANCE]
    if not len(cloud):
        return None
    everything = _Region(tree, rows)
    g = tree.values(everything.spec, cloud)[:, : len(everything.keep)]
    low, high, half = (a[: len(everything.keep)] for a in (everything.low, everything.high, everything.half))
    hold = (np.maximum(g - high, low - g) / half) <= _TOLERANCE
    best = hold[hold.sum(axis=1).argmax()]
    return {k for k, ok in zip(everything.keep, best, strict=True) if ok} | set(subset), cloud


def _smallest_clash(
    rows: Sequence[int], satisfied: Callable[[Iterable[int], np.ndarray | None], tuple[set[int], np.ndarray | None] | None]
) -> list[int]:
    """Smallest subset of ``rows`` that cannot hold together, by implicit hitting sets.

    Every clash meets the complement of every satisfiable set; the smallest set that meets all complements
    found so far is either a clash (then the smallest) or yields a new complement.

    Source: Ignatiev, Previti, Liffiton & Marques-Silva 2015, CP, "Smallest MUS extraction".
    """
    rows = list(rows)
    complements: list[np.ndarray] = []
    while True:
        if complements:
            chosen = scipy.optimize.milp(
                np.ones(len(rows)), integrality=np.ones(len(rows)), bounds=scipy.optimize.Bounds(0, 1),
                constraints=scipy.optimize.LinearConstraint(np.array(complements), lb=1),
            ).x  # fmt: skip
            candidate = {row for row, x in zip(rows, chosen, strict=True) if x > 0.5}
        else:
            candidate = set()
        found = satisfied(candidate, None) if candidate else (set(), None)
        if found is None:
            return sorted(candidate)
        held, points = found
        for row in rows:  # the larger the satisfiable set, the smaller its complement
            if row not in held:
                held, points = satisfied(held | {row}, points) or (held, points)
        complements.append(np.array([float(row not in held) for row in rows]))
