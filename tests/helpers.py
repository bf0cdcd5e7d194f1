"""Helpers of several tests: the checked registry, copies of the data folder, evidence with a changed table."""

from __future__ import annotations

import ast
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

import psps_paper
from psps_paper.claims.model import Evidence
from psps_paper.claims.registry import find, verdict
from psps_paper.tables.dataset import dataset

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
if (DATA / "trials").exists():
    # Trial-level data change what statements come to; the tests hold for the printed numbers, and
    # test_trials_both_states.py for both states. So these work on a copy without them.
    place = Path(tempfile.mkdtemp())
    DATA = Path(shutil.copytree(DATA, place / "data", ignore=shutil.ignore_patterns("trials")))
    for beside in ROOT.iterdir():  # reference results and chapters are found beside the data
        if beside.name != "data":
            (place / beside.name).symlink_to(beside)
    os.environ["PSPS_DATA"] = str(DATA)


@functools.cache
def evidence() -> Evidence:
    """Evidence of the repository's own data; one per process, since the network takes seconds to recover."""
    return Evidence(dataset(DATA))


def table(name: str) -> pd.DataFrame:
    """A copy of a table of the repository, typed."""
    return evidence().table(name).copy()


def with_tables(**tables: pd.DataFrame) -> Evidence:
    """Evidence in which some tables are replaced; it shares everything else, the network too, with :func:`evidence`."""
    changed = Evidence(dataset(DATA))
    changed.__dict__["_tables"] = {**evidence().__dict__.get("_tables", {}), **tables}
    changed.__dict__.update(
        {name: getattr(evidence(), name) for name in ("claims", "te_desirable", "network", "p_scores")}
    )
    return changed


def verdict_of(claim: pd.Series, source: Evidence | None = None) -> str:
    """Verdict of one statement."""
    return verdict(claim, find(source or evidence(), claim))


def made_claim(check: str, arguments: str | None = None, value: float = 0, **fields) -> pd.Series:
    """A statement that is not in the registry."""
    defaults = {"id": "made.up", "decimals": 0, "unit": "studies", "relation": "=", "expected": "contradicts"}
    return pd.Series({**defaults, "check": check, "arguments": arguments, "value": value, **fields})


@functools.cache
def package_trees() -> dict[str, ast.Module]:
    """Parsed modules of the package by their path in it. Ask in a test only: each process imports every test file."""
    package = Path(psps_paper.__file__).parent
    return {
        path.relative_to(package).as_posix(): ast.parse(path.read_text("utf-8"))
        for path in sorted(package.rglob("*.py"))
    }


def copy_data(folder: Path) -> Path:
    """A copy of the data folder below ``folder``."""
    return Path(shutil.copytree(DATA, folder / "data"))


def replace_once(path: Path, old: bytes, new: bytes) -> None:
    """Replace the first occurrence of some bytes, which must be there."""
    content = path.read_bytes()
    assert old in content, f"{path.name} no longer holds {old!r}"
    path.write_bytes(content.replace(old, new, 1))


def run_command(*arguments: str, **variables: str) -> subprocess.CompletedProcess:
    """Run ``psps-paper`` as a user does, in a separate process."""
    environment = (
        {name: value for name, value in os.environ.items() if name != "PSPS_DATA"}
        | {"PSPS_DATA": str(DATA)}
        | variables
    )
    return subprocess.run(
        [sys.executable, "-m", "psps_paper.cli.main", *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
