"""The smallest set of printed values that cannot all hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import scipy

from psps_paper.recover.region import _TOLERANCE, _Region
from psps_paper.recover.tree import _Tree


def _satisfied(
    tree: _Tree, subset: Iterable[int], rows: Sequence[int], near: np.ndarray | None
) -> tuple[set[int], np.ndarray] | None:
    """Find points that satisfy ``subset``; return the rows that hold at one of them, and the points, or None.

    The search covers the whole region or, quickly, starts from the points ``near``.
    """
    region = _Region(tree, subset)
    cloud, misfit = region.explore(near)
    cloud = cloud[misfit <= 1 + _TOLERANCE]
    if not len(cloud):
        return None
    everything = _Region(tree, rows)
    over = everything.limits.over(tree.values(everything.spec, cloud))
    hold = over[:, : len(everything.keep)] <= _TOLERANCE
    best = hold[hold.sum(axis=1).argmax()]
    return {k for k, ok in zip(everything.keep, best, strict=True) if ok} | set(subset), cloud


def _smallest_clash(
    rows: Sequence[int],
    satisfied: Callable[[Iterable[int], np.ndarray | None], tuple[set[int], np.ndarray | None] | None],
) -> list[int]:
    """Find the smallest subset of ``rows`` that cannot hold together, by implicit hitting sets.

    Every clash intersects the complement of every satisfiable set. The smallest set that intersects all complements
    found so far is either a clash, and then the smallest one, or yields a new complement.

    Source: Ignatiev, Previti, Liffiton & Marques-Silva 2015, CP, "Smallest MUS extraction".
    """
    rows = list(rows)
    complements: list[np.ndarray] = []
    while True:
        if complements:
            chosen = scipy.optimize.milp(
                np.ones(len(rows)),
                integrality=np.ones(len(rows)),
                bounds=scipy.optimize.Bounds(0, 1),
                constraints=scipy.optimize.LinearConstraint(np.array(complements), lb=1),
            ).x
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
