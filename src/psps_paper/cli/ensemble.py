"""Command line: ``psps-paper witness`` refits a stored data set, ``psps-paper ranges`` searches for them."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from psps_paper.ensemble import load_witnesses, published_results
from psps_paper.ensemble.model import CAPS, METHODS
from psps_paper.ensemble.ranges import SEED, Searched, chosen, search_ranges, search_table
from psps_paper.ensemble.witnesses import conclusions_by_refit
from psps_paper.parallel import workers
from psps_paper.tables.files import finish_files, replace_files, write_atomically


def add_witness(witness: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``psps-paper witness``."""
    witness.description = "Exit 0 if every printed value is reproduced, 1 if not."
    witness.add_argument("name", nargs="?", help="name of a data set; without it, all are listed")
    witness.add_argument("--csv", type=Path, help="also write the data set to this file: study, treat1, treat2, te, se")
    witness.set_defaults(run=_witness)


def add_ranges(ranges: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``psps-paper ranges``."""
    ranges.description = (
        "Takes about twenty minutes on one processor. Another processor may round differently and find other data sets."
    )
    ranges.add_argument("folder", type=Path, help="folder to write witnesses.csv and range_searches.csv to")
    ranges.add_argument(
        "--tau2", choices=METHODS, action="append", help="estimator of tau2; may be repeated (default: all)"
    )
    ranges.add_argument(
        "--cap", type=float, choices=CAPS, action="append", help="largest absolute SMD; may be repeated (default: all)"
    )
    ranges.add_argument("--jobs", type=int, help="processes (default: one per processor); the result is the same")
    ranges.add_argument("--cluster", metavar="ADDRESS", help="address of a Dask scheduler to use (extra: cluster)")
    ranges.add_argument("--seed", type=int, default=SEED, help=f"(default: {SEED})")
    ranges.set_defaults(run=_ranges)


def _witness(options: argparse.Namespace) -> int:
    evidence = published_results()
    witnesses = {w.name: w for w in load_witnesses(evidence)}
    if options.name is None:
        for found in witnesses.values():
            own = found.switches
            print(
                f"{found.name}: crossover trials {own['crossovers']}, |SMD| up to {own['cap']:.2f}, "
                f"results of single trials {'hold' if own['trials'] else 'do not all hold'}"
            )
        return 0
    if options.name not in witnesses:
        raise ValueError(f"witness {options.name!r}: not one of the {len(witnesses)} that `psps-paper witness` lists")
    found = witnesses[options.name]
    printed = found.printed_in_its_units()
    shown = printed.assign(agrees=printed["agrees"].map({True: "yes", False: "NO"})).fillna("")
    print(f"{found.name}: {len(found.rows)} estimates, tau2 by {found.tau2}. What is printed, and the refit:")
    print(shown.to_string(index=False, float_format="{:.4f}".format))
    print("The article's conclusions, by how several estimates of one study are counted:")
    print(conclusions_by_refit(found).to_string(index=False))
    if options.csv is not None:
        write_atomically(options.csv, found.contrasts.to_csv(index=False, lineterminator="\n").encode())
        print(f"wrote {options.csv}")
    return 0 if printed["agrees"].all() else 1


def _ranges(options: argparse.Namespace) -> int:
    if not options.folder.is_dir():
        raise ValueError(f"folder {options.folder}: does not exist; expected an existing folder")
    finish_files(options.folder)
    evidence, start = published_results(), time.monotonic()

    def report(what: Searched) -> None:
        setting = what.setting
        print(
            f"{time.monotonic() - start:5.0f} s  tau2 by {setting.tau2}, crossover trials {setting.crossovers}, "
            f"|SMD| up to {setting.cap:g}: {what.near} of {what.starts} starts come near, "
            f"{what.settled} data sets from {what.pushed} searches",
            flush=True,
        )

    methods = list(dict.fromkeys(options.tau2 or METHODS))
    with workers(options.jobs, options.cluster):
        found, searched = search_ranges(evidence, methods, seed=options.seed, caps=options.cap or CAPS, report=report)
    tables = {"witnesses.csv": chosen(evidence, found), "range_searches.csv": search_table(searched)}
    replace_files(
        options.folder,
        {name: table.to_csv(index=False, lineterminator="\n").encode() for name, table in tables.items()},
    )
    for name in tables:
        print(f"wrote {options.folder / name}")
    return 0
