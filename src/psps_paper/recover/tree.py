"""Printed quantities as functions of a tree network's edges."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy

from psps_paper.recover.printed import I2_QUANTITIES, Desirable, rounding_interval

_SE_FLOOR = 1e-4  # smallest pooled SE searched, as a proportion of the largest printed magnitude
_REACH = 50.0  # te and se are searched up to this multiple of the largest printed magnitude


class Quantity(NamedTuple):
    """A function of the edges, and the interval of its printed value.

    Attributes
    ----------
    kind : {"te", "se", "lower", "upper", "z", "p", "p_score", "tau2", "tau2_room"}
        p means the absolute z; ``tau2_room`` is the log of an edge's variance times its number of estimates,
        minus log tau2.
    of : int or str
        The number of the pair, or the treatment of a P-score.
    sign : float
        -1 if the pair is reversed; for ``tau2_room`` the log of the number of estimates.
    low, high, half : float
        The interval, and half a unit of the last printed digit.
    """

    kind: str
    of: int | str
    sign: float
    low: float = -np.inf
    high: float = np.inf
    half: float = np.nan


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
            self.structural = [Quantity("tau2_room", k, np.log(counts[k]), 0.0, np.inf, 0.01) for k in range(self.m)]

    def _paths(self) -> np.ndarray:
        import networkx as nx

        graph = nx.Graph()
        for k, (a, b) in enumerate(self.pairs[: self.m]):
            graph.add_edge(a, b, k=k, a=a)
        path = np.zeros((len(self.pairs), self.m))
        for row, (a, b) in enumerate(self.pairs):
            nodes = nx.shortest_path(graph, a, b)
            for u, v in pairwise(nodes):
                edge = graph.edges[u, v]
                path[row, edge["k"]] = 1.0 if edge["a"] == u else -1.0
        return path

    def _p_score_signs(self):
        n = len(self.treatments)
        self.beats = {}
        for t in self.treatments:
            others = [self.index[t, u] for u in self.treatments if u != t]
            self.beats[t] = (np.array([k for k, _ in others]), self.sign * np.array([s for _, s in others]), n - 1)

    def _compile(self, printed: pd.DataFrame) -> list[Quantity | None]:
        """Return the quantity of each printed row; None for I2 rows."""
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
                rows.append(Quantity("p_score", row["treat1"], 1.0, low, high, half))
                continue
            if kind == "tau2":
                low, high = max(low, 0.0), max(high, 0.0)
                floor = np.exp(self.low[-1])
                low, high = np.log(max(low, floor)), np.log(max(high, floor)) if np.isfinite(high) else np.inf
                rows.append(
                    Quantity("tau2", 0, 1.0, -np.inf if low <= self.low[-1] else low, high, max((high - low) / 2, 1e-3))
                )
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
            rows.append(Quantity(kind, k, sign, low, high, half))
        return rows

    def compile(self, spec: Sequence[Quantity]) -> _Functions:
        return _Functions(self, spec)

    def values(self, spec: Sequence[Quantity], x: np.ndarray) -> np.ndarray:
        """Compute the value (B x K) of each quantity in ``spec`` at the points x (B x n)."""
        return self.compile(spec)(np.atleast_2d(x), jacobian=False)[0]


class _Functions:
    """Quantities of ``spec`` and their Jacobian, grouped by form so that one call needs few array operations."""

    def __init__(self, tree: _Tree, spec: Sequence[Quantity]):
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
