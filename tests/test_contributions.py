"""Contributions by shortest paths against the definition written out."""

from collections import deque

import numpy as np
import pandas as pd
import pytest

from psps_paper.network import contribution_matrix, fit_network, hat_matrix


def network(n, edges, seed):
    rng = np.random.default_rng(seed)
    pairs = {tuple(sorted((k, int(rng.integers(0, k))))) for k in range(1, n)}
    while len(pairs) < edges:
        pairs.add(tuple(sorted(rng.choice(n, 2, replace=False).tolist())))
    return pd.DataFrame(
        [
            (f"s{k}", f"T{a:02}", f"T{b:02}", rng.normal(), rng.uniform(0.1, 0.6))
            for k, (a, b) in enumerate(sorted(pairs))
        ],
        columns=["study", "treat1", "treat2", "te", "se"],
    )


def shares_written_out(row, source, sink):
    """Remove the flow along the first shortest path of a breadth-first search until no flow is left."""
    ends = {name: name.split(":")[:: 1 if value > 0 else -1] for name, value in row.items() if abs(value) > 1e-12}
    left = {name: abs(row[name]) for name in ends}
    turn = list(dict.fromkeys(name for pair in ends.values() for name in pair))
    share = dict.fromkeys(row.index, 0.0)
    while True:
        came, queue = {source: None}, deque([source])
        while queue and sink not in came:
            here = queue.popleft()
            ways = [(turn.index(ends[e][1]), ends[e][1], e) for e in left if ends[e][0] == here]
            for _, there, edge in sorted(ways):
                if there not in came:
                    came[there] = (here, edge)
                    queue.append(there)
        if sink not in came:
            return share
        path, here = [], sink
        while came[here]:
            here, edge = came[here]
            path.append(edge)
        through = min(left[e] for e in path)
        for edge in path:
            share[edge] += through / len(path)
            left[edge] -= through
        left = {edge: value for edge, value in left.items() if value >= 1e-12}


@pytest.mark.parametrize("n, edges, seed", [(4, 5, 0), (7, 12, 1), (10, 28, 2), (12, 45, 3)])
def test_shortest_paths_are_those_of_the_definition(n, edges, seed):
    fit = fit_network(network(n, edges, seed))
    flows, found = hat_matrix(fit), contribution_matrix(fit)
    for name, row in flows.iterrows():
        expected = shares_written_out(row, *name.split(":"))
        assert found.loc[name].to_numpy() == pytest.approx(list(expected.values()), abs=1e-14)
    assert (found.to_numpy() >= 0).all() and found.sum(axis=1).to_numpy() == pytest.approx(np.ones(len(found)))


@pytest.mark.parametrize("method", ["shortest_path", "random_walk"])
def test_direction_and_order_of_rows_do_not_matter(method):
    rows = network(8, 15, 4)
    turned = rows.assign(treat1=rows["treat2"], treat2=rows["treat1"], te=-rows["te"]).sample(frac=1, random_state=1)
    found = contribution_matrix(fit_network(turned), method)
    pd.testing.assert_frame_equal(found, contribution_matrix(fit_network(rows), method), atol=1e-10)
