"""Command line: ``psps-paper ensemble`` and ``psps-paper compatibility`` do anew what the stored results took."""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from pathlib import Path

from joblib import parallel_config

from psps_paper.conclusions.robustness import clinical_scale, robustness_of_conclusions
from psps_paper.ensemble import Ensemble, compatibility_map, convergence, sample_ensemble, save_ensemble
from psps_paper.ensemble.compatibility import row_label, stored_form
from psps_paper.ensemble.sampler import CHAINS
from psps_paper.tables.files import write_atomically
from psps_paper.tables.load import load_table


def ensemble_commands(commands) -> None:
    ensemble = commands.add_parser(
        "ensemble",
        help="sample trial-level sets that agree with the print, and test the conclusions on them",
        description="The same numbers come out whatever the number of workers and wherever they are.",
    )
    ensemble.add_argument("file", type=Path, help="file to write, ending in .npz (the book reads data/ensemble.npz)")
    ensemble.add_argument("--size", type=int, default=2000, help="members, an even number (default: 2000)")
    ensemble.add_argument("--seed", type=int, default=20250305, help="(default: 20250305)")
    ensemble.add_argument("--jobs", type=int, default=2, help="processes on this machine (default: 2)")
    ensemble.add_argument("--cluster", metavar="ADDRESS", help="scheduler of a Dask cluster, instead of this machine's processes")
    ensemble.set_defaults(run=_ensemble)

    compatibility = commands.add_parser(
        "compatibility",
        help="decide anew which assumptions about the unpublished estimates can give the print",
        description="The same table comes out whatever the number of workers. Another processor may round differently, "
        "which moves shares by a few draws.",
    )
    compatibility.add_argument("file", type=Path, help="file to write, ending in .csv (the book reads data/compatibility.csv)")
    compatibility.add_argument("--jobs", type=int, default=2, help="processes on this machine (default: 2)")
    compatibility.set_defaults(run=_compatibility)


@contextlib.contextmanager
def _workers(options: argparse.Namespace):
    """joblib's settings for the processes here, or for the cluster that was named."""
    if options.cluster is None:
        yield {"backend": "loky", "n_jobs": options.jobs}
        return
    try:
        from distributed import Client
    except ImportError:
        raise ValueError("--cluster needs Dask: pip install 'psps-paper[cluster]'") from None
    with Client(options.cluster, timeout=10):
        yield {"backend": "dask", "n_jobs": -1}


def _check(options: argparse.Namespace, suffix: str) -> None:
    """Refuse before an hour of work what would be refused after it."""
    if options.file.suffix != suffix:
        raise ValueError(f"file {options.file}: expected a file name that ends in {suffix}")
    if not options.file.absolute().parent.is_dir():
        raise ValueError(f"file {options.file}: there is no folder {options.file.parent}; expected one that exists")
    if options.file.is_dir():
        raise ValueError(f"file {options.file}: this is a folder; expected a file")
    if options.jobs < 1:
        raise ValueError(f"--jobs {options.jobs}: expected at least 1")


def _ensemble(options: argparse.Namespace) -> int:
    _check(options, ".npz")
    if options.size < CHAINS or options.size % CHAINS:
        raise ValueError(f"--size {options.size}: expected a positive multiple of {CHAINS}")
    if options.seed < 0:
        raise ValueError(f"--seed {options.seed}: expected a whole number of at least 0")
    start = time.monotonic()
    with _workers(options) as workers:
        print(f"sampling {options.size} members", flush=True)
        ensemble = sample_ensemble(options.size, seed=options.seed, verbose=5, **workers)
        _save(ensemble, options.file)
        print(f"wrote {options.file} after {time.monotonic() - start:.0f} s; refitting each member without and with grouped estimates", flush=True)
        with parallel_config(**workers):
            conclusions = robustness_of_conclusions(ensemble, clinical_scale(load_table("clinical_scale")))
    accepted = ensemble.sampling
    print(f"accepted {accepted['accepted'].sum()} of {accepted['drawn'].sum()} draws")
    print(convergence(ensemble).to_string(float_format="{:.4g}".format))
    shown = conclusions[["conclusion", "holds_as_printed", "holds_grouped", "holds_correlated", "holds_worst", "verdict"]]
    print(shown.to_string(index=False, float_format="{:.3f}".format))
    print(f"{time.monotonic() - start:.0f} s in all; every number above is simulated")
    return 0


def _compatibility(options: argparse.Namespace) -> int:
    _check(options, ".csv")
    start = time.monotonic()

    def report(row: dict) -> None:
        found = f"share {row['share']:.3f}, {row['half_units_off']:.3g} half-units off"
        print(f"{time.monotonic() - start:5.0f} s  {row_label(row)}: {row['feasible']} ({found})", flush=True)

    table = stored_form(compatibility_map(n_jobs=options.jobs, report=report))
    write_atomically(options.file, table.to_csv(index=False, lineterminator="\n").encode())
    print(f"wrote {options.file}; `psps-paper tables --record` takes it into the checksums")
    return 0


def _save(ensemble: Ensemble, path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / path.name
        save_ensemble(ensemble, made)
        write_atomically(path, made.read_bytes())
