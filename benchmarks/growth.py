"""Time fits of networks of growing size, in one run: ``python benchmarks/growth.py [FILE]`` writes the table as CSV.

Each row is a made-up connected network of two-arm studies. ``times_smallest`` is the processor time of its fit, with
every matrix and with new labels, relative to the smallest network; ``times_faster`` is pimeta's time divided by
ours, unless pimeta takes too long. Each time is the shortest of several repeats.
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from network import by_pimeta, seconds, whole_fit

from psps_paper.network.model import _same_design
from psps_paper.tables.files import write_atomically

TREATMENTS, STUDIES = (10, 30, 100, 300), (300, 1_000, 3_000, 10_000, 20_000)
# Largest network for which pimeta is timed: beyond it, pimeta takes minutes and more memory than most machines have.
WAITED_FOR = (100, 1_000)


def network_of(treatments: int, studies: int) -> pd.DataFrame:
    """Make two-arm studies: a chain connects all treatments, the others compare random pairs."""
    rng = np.random.default_rng([treatments, studies])
    chain = treatments - 1
    first = np.concatenate([np.arange(chain), rng.integers(0, treatments, studies - chain)])
    step = np.concatenate([np.ones(chain, int), rng.integers(1, treatments, studies - chain)])
    names = np.array([f"treatment {k:03}" for k in range(treatments)], object)
    return pd.DataFrame(
        {
            "study": [f"study {k}" for k in range(studies)],
            "treat1": names[first],
            "treat2": names[(first + step) % treatments],
            "te": rng.normal(0, 0.5, studies),
            "se": rng.uniform(0.1, 0.5, studies),
        }
    )


def first_fit(table: pd.DataFrame) -> None:
    """Fit without results cached by an earlier fit."""
    _same_design.cache_clear()
    whole_fit(table)


def growth(
    treatments: tuple[int, ...] = TREATMENTS,
    studies: tuple[int, ...] = STUDIES,
    waited_for: tuple[int, int] = WAITED_FOR,
) -> pd.DataFrame:
    """Time the fits: DataFrame [treatments, studies, times_smallest, times_faster], empty if pimeta is not timed."""
    rows = []
    for n, m in product(treatments, studies):
        table = network_of(n, m)
        ours = seconds(lambda table=table: first_fit(table), 5)
        short = n <= waited_for[0] and m <= waited_for[1]
        theirs = seconds(lambda table=table: by_pimeta(table), 2) if short else np.nan
        rows.append((n, m, ours, theirs / ours))
        print(f"{n:4} treatments {m:6} studies {1e3 * ours:9.2f} ms  pimeta / ours {theirs / ours:8.1f}", flush=True)
    result = pd.DataFrame(rows, columns=["treatments", "studies", "times_smallest", "times_faster"])
    result["times_smallest"] = (result["times_smallest"] / result["times_smallest"].min()).round(1)
    return result.assign(times_faster=result["times_faster"].round(0).astype("Int64"))


if __name__ == "__main__":
    made = growth()
    if len(sys.argv) > 1:
        write_atomically(Path(sys.argv[1]), made.to_csv(index=False, lineterminator="\n").encode())
