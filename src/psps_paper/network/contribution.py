"""Contributions of direct comparisons to network estimates."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from psps_paper.network.model import NetworkFit, rows_of
from psps_paper.network.reduction import pair_names

# Flows below this proportion of the total are rounding error.
NO_FLOW = 1e-12


def hat_matrix(fit: NetworkFit) -> pd.DataFrame:
    """Compute the weights of the direct comparisons in the network estimates (random effects).

    Parameters
    ----------
    fit : NetworkFit

    Returns
    -------
    DataFrame [comparison x direct comparison]
        Both named "A:B" with A before B in sorted order; effects are A minus B. (Another sign joins the names if
        a treatment's name contains ":".) The contrasts of a multi-arm
        study have the weights that reproduce its generalised least
        squares estimates; each row is a unit flow from A to B.

    Source: Rücker 2012; König, Krahn & Binder 2013; Davies et al. 2022 (aggregate model).
    """
    edges, flow = _flows(fit)
    first, second = np.triu_indices(len(fit.treatments), 1)
    return pd.DataFrame(
        flow,
        index=pair_names(fit.treatments, first, second),
        columns=pair_names(fit.treatments, *edges.T),
    )


def _flows(fit: NetworkFit) -> tuple[np.ndarray, np.ndarray]:
    """Return the direct comparisons [edge x 2] and the flow through each, first to second [pair x edge]."""
    design, rows = rows_of(fit)
    x = rows.x[0] if rows.x.ndim == 3 else rows.x
    w = 1 / (rows.d[0] + fit.tau2)
    adjacent = np.zeros((len(fit.treatments),) * 2, bool)
    adjacent[design.treat1, design.treat2] = adjacent[design.treat2, design.treat1] = True
    edges = np.argwhere(np.triu(adjacent, 1))
    weight = -((x.T * w) @ x)[edges[:, 0], edges[:, 1]]
    first, second = np.triu_indices(len(fit.treatments), 1)
    # Potential of every treatment when one unit flows from first to second.
    potential = fit.covariance[first] - fit.covariance[second]
    return edges, weight * (potential[:, edges[:, 0]] - potential[:, edges[:, 1]])


def contribution_matrix(
    fit: NetworkFit, method: Literal["shortest_path", "random_walk"] = "shortest_path"
) -> pd.DataFrame:
    """Compute the proportion that each direct comparison contributes to each network estimate (random effects).

    Parameters
    ----------
    fit : NetworkFit
    method : {"shortest_path", "random_walk"}
        "shortest_path" (Papakonstantinou et al. 2018) removes the flow along one shortest path after
        another and splits each path's flow equally among its comparisons. The method does not define which of
        several shortest paths comes first, but the proportions depend on it. The order here is that of
        netmeta 2.8-2: a breadth-first search that visits treatments in the order in which
        they first appear when the sorted comparisons "A:B" are read as tail and head of the flow.
        "random_walk" (Davies et al. 2022) weights every path of the flow by the probability that
        a random walk along the flow takes it; no ties arise.

    Returns
    -------
    DataFrame [comparison x direct comparison]
        Named as in :func:`hat_matrix`; rows sum to 1.

    Source: Papakonstantinou et al. 2018; Davies et al. 2022.
    Checked against: netmeta 2.8-2 netcontrib(method = "shortestpath" and "randomwalk").
    """
    methods = {"shortest_path": _shortest_paths, "random_walk": _random_walk}
    if method not in methods:
        raise ValueError(f"method={method!r}: expected one of {', '.join(methods)}")
    edges, flows = _flows(fit)
    first, second = np.triu_indices(len(fit.treatments), 1)
    tails, heads = edges[:, 0].tolist(), edges[:, 1].tolist()
    shares = [
        methods[method](flow, tails, heads, source, sink, len(fit.treatments))
        for flow, source, sink in zip(flows, first.tolist(), second.tolist(), strict=True)
    ]
    return pd.DataFrame(
        np.array(shares),
        index=pair_names(fit.treatments, first, second),
        columns=pair_names(fit.treatments, *edges.T),
    )


def _shortest_paths(
    flow: np.ndarray, tails: list[int], heads: list[int], source: int, sink: int, n: int
) -> list[float]:
    """Compute the proportion that each comparison contributes to one network estimate.

    A breadth-first search that visits treatments in a fixed order first finds the shortest path that is
    lexicographically first in that order. Flows only decrease, so among paths of one length a dead end
    stays a dead end: each treatment keeps its position in its list of onward steps (the blocking flow
    of Dinic 1970).
    """
    size = np.abs(flow)
    left: list[float] = np.where(size <= NO_FLOW, 0.0, size).tolist()
    onward, back = _steps(flow.tolist(), left, tails, heads, n)
    share = [0.0] * len(left)
    while True:
        distance = _distances(back, left, sink, n)
        if distance[source] > n:
            return share
        place = [0] * n
        here, path = source, [source]
        steps: list[int] = []
        while True:
            if here == sink:
                through = min([left[edge] for edge in steps])
                for edge in steps:
                    share[edge] += through / len(steps)
                    rest = left[edge] - through
                    left[edge] = rest if rest >= NO_FLOW else 0.0
                here, path, steps = source, [source], []
            ways = onward[here]
            k, target = place[here], distance[here] - 1
            while k < len(ways) and not (left[ways[k][1]] and distance[ways[k][0]] == target):
                k += 1
            place[here] = k
            if k < len(ways):
                here, edge = ways[k]
                path.append(here)
                steps.append(edge)
            elif here == source:
                break
            else:
                path.pop()
                steps.pop()
                here = path[-1]
                place[here] += 1


def _steps(
    flow: list[float], left: list[float], tails: list[int], heads: list[int], n: int
) -> tuple[list[list[tuple[int, int]]], list[list[tuple[int, int]]]]:
    """List the steps with and against the flow from each treatment, as (treatment, comparison).

    Steps with the flow follow the order in which treatments first appear in the list of tails and heads.
    """
    onward: list[list[tuple[int, int]]] = [[] for _ in range(n)]
    back: list[list[tuple[int, int]]] = [[] for _ in range(n)]
    turn: dict[int, int] = {}
    for edge, there in enumerate(flow):
        if left[edge]:
            tail, head = (tails[edge], heads[edge]) if there > 0 else (heads[edge], tails[edge])
            turn.setdefault(tail, len(turn))
            turn.setdefault(head, len(turn))
            onward[tail].append((head, edge))
            back[head].append((tail, edge))
    for ways in onward:
        ways.sort(key=lambda way: turn[way[0]])
    return onward, back


def _distances(back: list[list[tuple[int, int]]], left: list[float], sink: int, n: int) -> list[int]:
    """Count the comparisons on the shortest path to the sink; more than n where there is none."""
    distance = [2 * n] * n
    distance[sink] = 0
    reached = [sink]
    for here in reached:
        further = distance[here] + 1
        for there, edge in back[here]:
            if left[edge] and distance[there] > further:
                distance[there] = further
                reached.append(there)
    return distance


def _random_walk(flow: np.ndarray, tails: list[int], heads: list[int], source: int, sink: int, n: int) -> np.ndarray:
    """Sum probability / length over all paths, without listing the paths.

    The flow has no cycles, so the probability of reaching a treatment after a given number of steps
    follows from its predecessors, and that of the steps after it from its successors.
    """
    step = np.zeros((n, n))
    step[tails, heads], step[heads, tails] = np.maximum(flow, 0.0), np.maximum(-flow, 0.0)
    step[step < NO_FLOW] = 0.0
    outflow = step.sum(axis=1, keepdims=True)
    step = np.divide(step, outflow, out=np.zeros_like(step), where=outflow > 0)
    reach, onward = np.zeros((n, n)), np.zeros((n, n))
    reach[0, source] = onward[0, sink] = 1.0
    for length in range(1, n):
        reach[length] = reach[length - 1] @ step
        onward[length] = step @ onward[length - 1]
    steps = np.arange(n)
    inverse_length = 1 / (steps[:, None] + steps[None, :] + 1)
    share = step * (reach.T @ inverse_length @ onward)
    return share[tails, heads] + share[heads, tails]
