"""Time the network engine against pimeta and, if R is present, netmeta, in one run.

    python benchmarks/network.py [--check | --quick]

Prints ratios and the machine. With ``--check`` the exit code is 1 if a promise is not kept. Each time is processor
time, the shortest of several repeats, since other work on the machine only adds time. ``--quick`` runs everything once
on small data, to see that it runs; its times mean little.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pimeta
import psutil

from psps_paper.network import (
    contribution_matrix,
    fit_binary_network,
    fit_components,
    fit_network,
    fit_networks,
    net_impact,
    network_meta_regression,
    rank_probabilities,
)
from psps_paper.pairwise import meta_analyses, meta_analysis
from psps_paper.tables.files import write_atomically

ORACLES = Path(__file__).resolve().parent.parent / "tests" / "oracles"


@dataclass(frozen=True)
class Sizes:
    """Sizes of the data, and ``repeats`` as a proportion of the full number.

    ``many``: data sets for fit_networks; the loop over pimeta is timed on ``timed`` of them.
    """

    many: int = 10_000
    timed: int = 200
    draws: int = 100_000
    pooled: int = 10_000
    connected: tuple[int, int] = (30, 230)
    studies: int = 2_000
    treatments: int = 100
    repeats: float = 1.0


QUICK = Sizes(many=20, timed=2, draws=100, pooled=20, connected=(5, 7), studies=20, treatments=5, repeats=0.0)


def seconds(run: Callable[[], object], repeats: float) -> float:
    """Find the shortest processor time of a call; at least one call is made."""
    times = []
    for _ in range(max(1, round(repeats))):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def contrasts_of(name: str) -> pd.DataFrame:
    data = json.loads((ORACLES / f"{name}.json").read_text(encoding="utf-8"))["input"]
    return pd.DataFrame(data).rename(columns={"studlab": "study", "TE": "te", "seTE": "se"})


def by_pimeta(table: pd.DataFrame):
    return pimeta.netmeta(table["te"], table["se"], table["treat1"], table["treat2"], table["study"])


def whole_fit(table: pd.DataFrame) -> list[pd.DataFrame]:
    """Fit, and compute every matrix as pimeta does; ours are computed on first use."""
    fit = fit_network(table)
    return [fit.te, fit.se, fit.lower, fit.upper, fit.te_common, fit.se_common]


def single_fit(sizes: Sizes) -> list[tuple[str, float, str, bool]]:
    """Time repeated fits of one table, and fits with new labels, since designs are cached for the next fit."""
    table = contrasts_of("senn2013")
    many = max(1, round(300 * sizes.repeats))
    unmet = iter([renamed(table, k) for k in range(many)])
    ours = seconds(lambda: whole_fit(table), many)
    first = seconds(lambda: whole_fit(next(unmet)), many)
    theirs = seconds(lambda: by_pimeta(table), many)
    rows = [("Senn2013, one fit, ms", 1e3 * ours, f"pimeta {1e3 * theirs:.2f} ms", True)]
    for name, time_taken, promise in (("", ours, 8), (", labels never met before", first, 5)):
        ratio = theirs / time_taken
        name = f"Senn2013{name}, times faster than pimeta"
        rows.append((name, ratio, f"promised: {promise}", ratio >= promise))
    return rows + single_fit_in_r(table, ours)


def renamed(table: pd.DataFrame, k: int) -> pd.DataFrame:
    """Rename the treatments and studies of a network."""
    return table.assign(**{name: table[name] + f" {k}" for name in ("study", "treat1", "treat2")})


def single_fit_in_r(table: pd.DataFrame, ours: float) -> list[tuple[str, float, str, bool]]:
    rscript = shutil.which("Rscript")
    probe = [rscript, "-e", "suppressMessages(library(netmeta))"]
    if rscript is None or subprocess.run(probe, capture_output=True).returncode:
        return [("Senn2013, netmeta", np.nan, "R with netmeta not present: not timed", True)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "senn2013.csv"
        write_atomically(path, table.to_csv(index=False).encode())
        script = (
            "suppressMessages(library(netmeta)); p <- read.csv(commandArgs(TRUE)[1]); "
            "f <- function() netmeta(te, se, treat1, treat2, study, data = p); f(); "
            "cat(min(sapply(1:15, function(i) system.time(for (j in 1:5) f())[['elapsed']] / 5)))"
        )
        out = subprocess.run([rscript, "-e", script, str(path)], capture_output=True, text=True, check=True).stdout
    theirs = float(out.split()[-1])
    return [("Senn2013, times faster than netmeta", theirs / ours, f"{1e3 * theirs:.1f} ms", True)]


def many_fits(sizes: Sizes) -> list[tuple[str, float, str, bool]]:
    table, many, timed = contrasts_of("star_demo"), sizes.many, sizes.timed
    rng = np.random.default_rng(0)
    te = table["te"].to_numpy() + rng.normal(0, 0.2, (many, len(table)))
    se = table["se"].to_numpy() * rng.uniform(0.8, 1.25, (many, len(table)))

    def ours() -> None:
        fits = fit_networks(table, te, se)
        for name in ("te", "se", "lower", "upper", "te_common", "se_common"):
            getattr(fits, name)

    def theirs() -> None:
        for k in range(timed):
            by_pimeta(table.assign(te=te[k], se=se[k]))

    fast = seconds(ours, 5 * sizes.repeats)
    slow = seconds(theirs, 3 * sizes.repeats) / timed * many
    note = f"pimeta {slow:.1f} s, extrapolated from {timed} of {many}"
    return [
        (f"star_demo, {many} data sets, s", fast, note, True),
        (f"star_demo, {many} data sets, times faster", slow / fast, "promised: 50", slow / fast >= 50),
    ]


def many_likelihoods(sizes: Sizes) -> list[tuple[str, float, str, bool]]:
    """Time REML by its global maximum against pimeta's DL, since pimeta's REML is a different estimator."""
    table, many, timed = contrasts_of("star_demo"), sizes.many, sizes.timed
    rng = np.random.default_rng(0)
    te = table["te"].to_numpy() + rng.normal(0, 0.2, (many, len(table)))
    se = table["se"].to_numpy() * rng.uniform(0.8, 1.25, (many, len(table)))
    fast = seconds(lambda: fit_networks(table, te, se, "REML").te, 3 * sizes.repeats)

    def theirs() -> None:
        for k in range(timed):
            by_pimeta(table.assign(te=te[k], se=se[k]))

    slow = seconds(theirs, 2 * sizes.repeats) / timed * many
    name = f"star_demo, {many} data sets by REML, times faster than DL"
    return [(name, slow / fast, "promised: 100", slow / fast >= 100)]


def pairwise(sizes: Sizes) -> list[tuple[str, float, str, bool]]:
    """Time a meta-analysis of 13 studies on many data sets, since some need a longer search, and all at once."""
    rng = np.random.default_rng(0)
    te, se = rng.normal(0, 0.4, (sizes.pooled, 13)), rng.uniform(0.1, 0.5, (sizes.pooled, 13))
    timed = range(min(100, sizes.pooled))
    rows = []
    for method, single, batch in (("DL", 2, 100), ("REML", 2, 100)):

        def each(run: Callable[..., object], method: str = method) -> float:
            repeats = 3 * sizes.repeats
            return seconds(lambda: [run(te[k], se[k], method=method) for k in timed], repeats) / len(timed)

        ours = each(lambda te, se, method: meta_analysis(te, se, method))
        theirs = each(lambda te, se, method: pimeta.rma(yi=te, sei=se, method=method))
        many = seconds(partial(meta_analyses, te, se, method), 5 * sizes.repeats) / sizes.pooled
        name = f"meta-analysis by {method}"
        for what, ratio, promise in (
            (f"{name}, times faster than pimeta", theirs / ours, single),
            (f"{name}, {sizes.pooled} at once, times faster than a loop of pimeta", theirs / many, batch),
        ):
            rows.append((what, ratio, f"promised: {promise}", ratio >= promise))
        what = f"{name}, {sizes.pooled} at once, times faster than our own loop"
        rows.append((what, ours / many, f"{1e6 * ours:.0f} and {1e6 * many:.1f} microseconds", True))
    return rows


def contributions(sizes: Sizes) -> list[tuple[str, float, str, bool]]:
    n, edges = sizes.connected
    rng = np.random.default_rng(0)
    pairs = {(k - 1, k) for k in range(1, n)}
    while len(pairs) < edges:
        pairs.add(tuple(sorted(rng.choice(n, 2, replace=False).tolist())))
    table = pd.DataFrame(
        [
            (f"s{k}", f"T{a:02}", f"T{b:02}", rng.normal(0, 0.5), rng.uniform(0.1, 0.5))
            for k, (a, b) in enumerate(sorted(pairs))
        ],
        columns=["study", "treat1", "treat2", "te", "se"],
    )
    fit, reference = fit_network(table), by_pimeta(table)
    ours = seconds(lambda: contribution_matrix(fit), 2 * sizes.repeats)
    theirs = seconds(lambda: pimeta.netcontrib(reference, method="shortestpath"), 0)
    name = f"contributions, {n} treatments, {edges} comparisons"
    ratio = theirs / ours
    return [
        (f"{name}, s", ours, f"pimeta {theirs:.2f} s", True),
        (f"{name}, times faster", ratio, "promised: 5", ratio >= 5),
    ]


def table_of(file: str, *keys: str) -> pd.DataFrame:
    """Read a table of a reference file, with this package's column names."""
    data = json.loads((ORACLES / f"{file}.json").read_text(encoding="utf-8"))
    for key in keys:
        data = data[key]
    names = {"studlab": "study", "TE": "te", "seTE": "se", "treat": "treatment", "event": "events"}
    return pd.DataFrame(data).rename(columns=names)


def further_models(sizes: Sizes) -> list[tuple[str, float, str, bool]]:
    """Time components, rare events, meta-regression and impact on public data."""
    linde = table_of("components", "linde2016", "input")
    # pimeta 1.1 stops at arms without events: one more event in each
    arms = table_of("network_rare", "smokingcessation", "arms").assign(events=lambda t: t["events"] + 1)
    pairs = arms.merge(arms, on="study", suffixes=("1", "2")).query("treatment1 < treatment2")
    senn = contrasts_of("senn2013")
    year = senn["study"].str.extract(r"(\d{4})")[0].astype(float)
    by_study = dict(zip(senn["study"], year, strict=True))
    fit, reference = fit_network(senn), by_pimeta(senn)
    # the network is connected at both levels
    level = dict.fromkeys(senn["study"], "all but one") | {"Willms1999": "one"}
    levels = senn["study"].map(level)
    cells = [linde[name] for name in ("te", "se", "treat1", "treat2", "study")]
    counts = [pairs[name] for name in ("events1", "n1", "events2", "n2", "treatment1", "treatment2", "study")]
    calls = {
        "components, Linde2016": (
            lambda: fit_components(linde, "Placebo"),
            lambda: pimeta.discomb(*cells, inactive="Placebo", sep_comps=" + "),
        ),
        "Mantel-Haenszel network, smoking": (
            lambda: fit_binary_network(arms),
            lambda: pimeta.netmetabin(*counts, method="MH"),
        ),
        "network meta-regression, Senn2013": (
            lambda: network_meta_regression(senn, by_study, "plac"),
            lambda: pimeta.netmetareg(reference, year.to_numpy(), reference_group="plac", assumption="common"),
        ),
        "impact of studies, Senn2013": (lambda: net_impact(fit), lambda: pimeta.netimpact(reference)),
        "subgroups of studies, Senn2013": (
            lambda: [fit_network(part) for _, part in senn.groupby(levels)],
            lambda: pimeta.subgroup(reference, levels.tolist()),
        ),
    }
    rows = []
    for name, (our_call, their_call) in calls.items():
        ours, theirs = seconds(our_call, 20 * sizes.repeats), seconds(their_call, 3 * sizes.repeats)
        ratio = theirs / ours
        rows.append(
            (f"{name}, times faster", ratio, f"promised: 1; {1e3 * ours:.1f} and {1e3 * theirs:.1f} ms", ratio >= 1)
        )
    return rows


def ranks(sizes: Sizes) -> list[tuple[str, float, str, bool]]:
    fit = fit_network(contrasts_of("senn2013"))
    time_taken = seconds(lambda: rank_probabilities(fit, desirable="lower", draws=sizes.draws), 5 * sizes.repeats)
    name = f"rank probabilities, {len(fit.treatments)} treatments, {sizes.draws:,} draws, s"
    return [(name, time_taken, "promised: under 0.3", time_taken < 0.3)]


def large(sizes: Sizes) -> list[tuple[str, float, str, bool]]:
    n_studies, n = sizes.studies, sizes.treatments
    rng = np.random.default_rng(0)
    # A chain connects all treatments; the other studies compare random pairs.
    first = np.concatenate([np.arange(n - 1), rng.integers(0, n, n_studies - n + 1)])
    step = np.concatenate([np.ones(n - 1, int), rng.integers(1, n, n_studies - n + 1)])
    table = pd.DataFrame(
        {
            "study": [f"study {k}" for k in range(n_studies)],
            "treat1": [f"treatment {k:03}" for k in first],
            "treat2": [f"treatment {k:03}" for k in (first + step) % n],
            "te": rng.normal(0, 0.5, n_studies),
            "se": rng.uniform(0.1, 0.5, n_studies),
        }
    )
    time_taken = seconds(lambda: whole_fit(table), 3 * sizes.repeats)
    # In kilobytes on Linux, in bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    name = f"{n_studies} two-arm studies, {n} treatments"
    return [
        (f"{name}, s", time_taken, "promised: under 2", time_taken < 2),
        ("peak memory of this whole run, MB", peak / 1e6, "promised: under 1000", peak < 1e9),
    ]


PARTS = (large, single_fit, many_fits, many_likelihoods, pairwise, contributions, further_models, ranks)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    # Promises are for the full sizes, so they cannot be checked on small ones.
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="exit 1 if a promise is not kept")
    mode.add_argument("--quick", action="store_true", help="everything once on small data")
    options = parser.parse_args(arguments)
    sizes = QUICK if options.quick else Sizes()
    machine = f"{platform.machine()}, {os.cpu_count()} logical CPUs, {platform.system()}"
    load = psutil.getloadavg()[0]
    print(f"{machine}, {psutil.virtual_memory().total / 1e9:.0f} GB, load {load:.1f} at the start")
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "pandas", "scipy", "pimeta"))
    print(f"Python {platform.python_version()}, {packages}")
    rows = [row for part in PARTS for row in part(sizes)]
    for name, value, note, kept in rows:
        shown = "-" if np.isnan(value) else f"{value:.3g}"
        print(f"{name:74} {shown:>8}  {note}{'' if kept or options.quick else '  NOT KEPT'}")
    return int(options.check and not all(kept for *_, kept in rows))


if __name__ == "__main__":
    sys.exit(main())
