"""How much each direct comparison contributes to each network estimate."""

from __future__ import annotations

from collections import deque
from typing import Literal

import numpy as np
import pandas as pd

from psps_paper.network.model import NetworkFit, rows_of
from psps_paper.network.reduction import pair_names

# Flows below this share of the whole are rounding error.
NO_FLOW = 1e-12


def hat_matrix(fit: NetworkFit) -> pd.DataFrame:
    """Weights of the direct comparisons in the network estimates (random effects).

    Parameters
    ----------
    fit : NetworkFit

    Returns
    -------
    DataFrame [comparison x direct comparison]
        Both named "A:B" with A before B in sorted order, effects being A minus B (another sign
        joins them where ":" stands in the name of a treatment). A multi-arm
        study enters with the weights of its contrasts that reproduce its generalised least
        squares; rows are unit flows from A to B.

    Source: Rücker 2012; König, Krahn & Binder 2013; Davies et al. 2022 (aggregate model).
    """
    adjacent, flow = _flows(fit)
    first, second = np.triu_indices(len(fit.treatments), 1)
    edges = np.argwhere(np.triu(adjacent, 1))
    return pd.DataFrame(
        flow[:, edges[:, 0], edges[:, 1]],
        index=pair_names(fit.treatments, first, second),
        columns=pair_names(fit.treatments, *edges.T),
    )


def _flows(fit: NetworkFit) -> tuple[np.ndarray, np.ndarray]:
    """Which treatments are compared [n x n], and flows [pair x n x n], antisymmetric."""
    design, rows = rows_of(fit)
    x = rows.x[0] if rows.x.ndim == 3 else rows.x
    w = 1 / (rows.d[0] + fit.tau2)
    laplacian = (x.T * w) @ x
    weight = -laplacian
    np.fill_diagonal(weight, 0.0)
    adjacent = np.zeros(weight.shape, bool)
    adjacent[design.treat1, design.treat2] = adjacent[design.treat2, design.treat1] = True
    weight[~adjacent] = 0.0
    first, second = np.triu_indices(len(fit.treatments), 1)
    covariance = fit.covariance
    # Potential of every treatment when a unit flows from first to second.
    potential = covariance[first] - covariance[second]
    return adjacent, weight * (potential[:, :, None] - potential[:, None, :])


def contribution_matrix(
    fit: NetworkFit, method: Literal["shortest_path", "random_walk"] = "shortest_path"
) -> pd.DataFrame:
    """Share of each direct comparison in each network estimate (random effects).

    Parameters
    ----------
    fit : NetworkFit
    method : {"shortest_path", "random_walk"}
        "shortest_path" (Papakonstantinou et al. 2018) takes the flow apart along shortest paths
        in turn and splits a path's flow equally among its comparisons. Which of several shortest
        paths comes first is not part of the method but changes shares; here it is the one that
        netmeta 2.8-2 takes: a breadth-first search that visits treatments in the order in which
        they first appear when the comparisons "A:B", sorted, are read as tail, head of the flow.
        "random_walk" (Davies et al. 2022) takes every path of the flow with the probability that
        a walker who follows the flow takes it; it has no ties.

    Returns
    -------
    DataFrame [comparison x direct comparison]
        Named as in :func:`hat_matrix`; rows sum to 1.

    Source: Papakonstantinou et al. 2018; Davies et al. 2022.
    Checked against: netmeta 2.8-2 netcontrib(method = "shortestpath").
    """
    methods = {"shortest_path": _shortest_paths, "random_walk": _random_walk}
    if method not in methods:
        raise ValueError(f"method={method!r}: expected one of {', '.join(methods)}")
    adjacent, flows = _flows(fit)
    first, second = np.triu_indices(len(fit.treatments), 1)
    shares = np.array(
        [methods[method](flow, i, j) for flow, i, j in zip(flows, first.tolist(), second.tolist())]
    )
    edges = np.argwhere(np.triu(adjacent, 1))
    both_ways = shares + shares.swapaxes(1, 2)
    return pd.DataFrame(
        both_ways[:, edges[:, 0], edges[:, 1]],
        index=pair_names(fit.treatments, first, second),
        columns=pair_names(fit.treatments, *edges.T),
    )


def _shortest_paths(flow: np.ndarray, source: int, sink: int) -> np.ndarray:
    left = np.where(flow > NO_FLOW, flow, 0.0)
    share = np.zeros_like(left)
    turn = _turns(left)
    while (path := _shortest_path(left > 0, source, sink, turn)) is not None:
        tails, heads = path[:-1], path[1:]
        through = left[tails, heads].min()
        share[tails, heads] += through / len(tails)
        left[tails, heads] -= through
        left[left < NO_FLOW] = 0.0
    return share


def _turns(flow: np.ndarray) -> np.ndarray:
    """Turn of each treatment: its first appearance in the list of tails and heads."""
    turn = np.full(len(flow), len(flow))
    seen = 0
    for i, j in np.argwhere(np.triu(flow + flow.T) > 0):
        for treatment in (i, j) if flow[i, j] > 0 else (j, i):
            if turn[treatment] == len(flow):
                turn[treatment] = seen
                seen += 1
    return turn


def _shortest_path(
    open_edges: np.ndarray, source: int, sink: int, turn: np.ndarray
) -> list[int] | None:
    """Breadth-first, treatments with an earlier turn first."""
    parent = {source: source}
    queue = deque([source])
    while queue:
        here = queue.popleft()
        if here == sink:
            path = [sink]
            while path[-1] != source:
                path.append(parent[path[-1]])
            return path[::-1]
        ahead = np.flatnonzero(open_edges[here])
        for there in ahead[np.argsort(turn[ahead])].tolist():
            if there not in parent:
                parent[there] = here
                queue.append(there)
    return None


def _random_walk(flow: np.ndarray, source: int, sink: int) -> np.ndarray:
    """Sum over paths of probability / length, without listing the paths.

    The flow has no cycle, so the number of paths that reach a treatment after so many steps
    follows from its predecessors', and likewise the way on from it.
    """
    step = np.maximum(flow, 0.0)
    step[step < NO_FLOW] = 0.0
    outflow = step.sum(axis=1, keepdims=True)
    step = np.divide(step, outflow, out=np.zeros_like(step), where=outflow > 0)
    n = len(step)
    reach, onward = np.zeros((n, n)), np.zeros((n, n))
    reach[0, source] = onward[0, sink] = 1.0
    for length in range(1, n):
        reach[length] = reach[length - 1] @ step
        onward[length] = step @ onward[length - 1]
    steps = np.arange(n)
    inverse_length = 1 / (steps[:, None] + steps[None, :] + 1)
    return step * (reach.T @ inverse_length @ onward)
