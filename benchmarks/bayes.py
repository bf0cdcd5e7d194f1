"""Time exact Bayesian fits against the frequentist fit of the same contrasts, in one run.

    python benchmarks/bayes.py [--check | --quick]

Prints ratios and the machine. With ``--check`` the exit code is 1 if a promise is not kept. Each time is the shortest
of several repeats, alternating between the two, since other work on the machine only adds time. ``--quick`` runs
everything once on small data, to see that it runs; its times mean little.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from psps_paper.bayes import fit_bayes, half_normal
from psps_paper.network import fit_network

ORACLES = Path(__file__).resolve().parent.parent / "tests" / "oracles"


def senn2013() -> pd.DataFrame:
    data = json.loads((ORACLES / "bayes_nma_senn2013.json").read_text(encoding="utf-8"))["input"]
    return pd.DataFrame(data).rename(columns={"studlab": "study", "TE": "te", "seTE": "se"})


def bayesian(table: pd.DataFrame) -> list[pd.DataFrame]:
    """Fit, and compute means, SDs and intervals, which are computed on first use."""
    post = fit_bayes(table, half_normal(0.5))
    return [post.te, post.sd, post.lower, post.upper]


def frequentist(table: pd.DataFrame) -> list[pd.DataFrame]:
    fit = fit_network(table)
    return [fit.te, fit.se, fit.lower, fit.upper]


def in_turn(runs: list[Callable[[], object]], repeats: int) -> list[float]:
    """Find the shortest time of each, in seconds."""
    best = [np.inf] * len(runs)
    for _ in range(repeats):
        for k, run in enumerate(runs):
            start = time.perf_counter()
            run()
            best[k] = min(best[k], time.perf_counter() - start)
    return best


def large(studies: int, treatments: int) -> pd.DataFrame:
    """Make two-arm studies: a chain that connects all treatments, then random pairs."""
    rng = np.random.default_rng(0)
    first = np.concatenate([np.arange(treatments - 1), rng.integers(0, treatments, studies - treatments + 1)])
    step = np.concatenate([np.ones(treatments - 1, int), rng.integers(1, treatments, studies - treatments + 1)])
    names = np.array([f"t{k:03}" for k in range(treatments)], dtype=object)
    return pd.DataFrame(
        {
            "study": [f"study {k}" for k in range(studies)],
            "treat1": names[first],
            "treat2": names[(first + step) % treatments],
            "te": rng.normal(0, 0.5, studies),
            "se": rng.uniform(0.1, 0.5, studies),
        }
    )


def measurements(*, quick: bool) -> list[tuple[str, float, str, bool]]:
    table = senn2013()
    ours, theirs = in_turn([lambda: bayesian(table), lambda: frequentist(table)], 1 if quick else 300)
    ratio = ours / theirs
    studies, treatments = (60, 12) if quick else (2000, 60)
    wide = large(studies, treatments)
    (time_taken,) = in_turn([lambda: bayesian(wide)], 1 if quick else 3)
    post = fit_bayes(table, half_normal(0.5))
    (ranks,) = in_turn([lambda: post.rank_probabilities("lower")], 1 if quick else 3)
    return [
        ("Senn2013, exact Bayesian fit, ms", 1e3 * ours, f"fit_network {1e3 * theirs:.2f} ms", True),
        ("Senn2013, times the time of fit_network", ratio, "promised: at most 10", ratio <= 10),
        ("Senn2013, rank probabilities, s", ranks, f"nodes {post.nodes}, error bound {post.error_bound:.0e}", True),
        (f"{studies} two-arm studies, {treatments} treatments, s", time_taken, "promised: under 5", time_taken < 5),
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="exit 1 if a promise is not kept")
    mode.add_argument("--quick", action="store_true", help="everything once on small data")
    options = parser.parse_args(arguments)
    print(f"{platform.machine()}, {os.cpu_count()} logical CPUs, load {psutil.getloadavg()[0]:.1f} at the start")
    print(
        f"Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "pandas"))
    )
    rows = measurements(quick=options.quick)
    for name, value, note, kept in rows:
        print(f"{name:50} {value:>8.3g}  {note}{'' if kept or options.quick else '  NOT KEPT'}")
    return int(options.check and not all(kept for *_, kept in rows))


if __name__ == "__main__":
    sys.exit(main())
