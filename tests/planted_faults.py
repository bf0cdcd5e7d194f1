"""Plant a fault in a copy and see its guard fail: ``python tests/planted_faults.py``.

Each fault once passed every test. ``test_planted_faults.py`` runs them in CI.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Fault:
    """A change of one file, the command that must then fail, and the message that it must give.

    Attributes
    ----------
    name : str
    path : str
        The file, from the root of the checkout.
    changes : mapping of str to str
        Each old text occurs in the file once; all are replaced at the same time.
    command : tuple of str
        Arguments of the interpreter; run in the copy.
    says : str
    """

    name: str
    path: str
    changes: Mapping[str, str]
    command: tuple[str, ...]
    says: str


# Checksums are recorded again, so that the second entry reveals the fault rather than the checksum
TABLES = ("-m", "psps_paper.cli", "tables", "--record", "--data", "data")
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
FAULTS = [
    Fault(
        "Egger's test follows the direction of the rows",
        "src/psps_paper/article/trials.py",
        {
            "    points = comparison_adjusted_funnel(fit, order)\n": (
                "    points = comparison_adjusted_funnel(fit, order)\n"
                "    as_typed = fit.contrasts['treat1'].to_numpy() == points['treat1'].to_numpy()\n"
                "    points['te_adjusted'] = points['te_adjusted'].where(as_typed, -points['te_adjusted'])\n"
            )
        },
        (*PYTEST, "tests/test_invariance.py", "-k", "one_p_for_both_files"),
        "test_one_p_for_both_files_of_the_case",
    ),
    Fault(
        "two glued contrasts in each other's places",
        "book/network_meta_analysis.ipynb",
        {"{glue}`nma.n_p.te`": "{glue}`nma.n_cm.te`", "{glue}`nma.n_cm.te`": "{glue}`nma.n_p.te`"},
        (*PYTEST, "tests/test_sentences.py", "-k", "glued_number_stands and network_meta_analysis"),
        "network_meta_analysis: nma.n_p.te",
    ),
    Fault(
        "a sample size of 72 typed as 27",
        "data/sample_sizes.csv",
        {"49,72,116,": "49,27,116,"},
        TABLES,
        "column n_low: 27, expected 72",
    ),
    Fault(
        "an age off by ten years",
        "data/study_facts.csv",
        {"eldabe2019.age_mean.2,eldabe2019,49,age_mean,,50.9,": "eldabe2019.age_mean.2,eldabe2019,49,age_mean,,60.9,"},
        TABLES,
        "column number: 60.9, expected 50.9",
    ),
    Fault(
        "a number of responders with its digits turned",
        "data/study_facts.csv",
        {"vangorp2016,72,responders_n,,12,": "vangorp2016,72,responders_n,,21,"},
        TABLES,
        "column number: 21, expected 12",
    ),
]


def copy(folder: Path) -> Path:
    """Copy the parts of the checkout that tests and commands need into a folder."""
    for name in ("src", "data", "tests", "book"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "trials"))
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def run(fault: Fault, folder: Path) -> subprocess.CompletedProcess:
    """Plant a fault in a copy, run the command that must find it, and restore the file."""
    path = folder / fault.path
    text = path.read_text(encoding="utf-8")
    for old in fault.changes:
        if text.count(old) != 1:
            raise ValueError(f"{fault.path}: expected {old!r} once, to plant: {fault.name}")
    if fault.changes:
        path.write_text(
            re.sub("|".join(map(re.escape, fault.changes)), lambda match: fault.changes[match.group()], text),
            encoding="utf-8",
        )
    try:
        environment = {name: value for name, value in os.environ.items() if name != "PSPS_DATA"} | {
            "PYTHONPATH": str(folder / "src")
        }
        return subprocess.run(
            [sys.executable, *fault.command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    finally:
        path.write_text(text, encoding="utf-8")


def found(fault: Fault, done: subprocess.CompletedProcess) -> bool:
    """Whether the command failed, and for the right reason."""
    return done.returncode == 1 and fault.says in done.stdout + done.stderr


def main(tell: Callable[[str], None] = print) -> int:
    """Plant every fault; 0 if each is found."""
    with tempfile.TemporaryDirectory() as place:
        folder = copy(Path(place))
        missed = 0
        for fault in FAULTS:
            done = run(fault, folder)
            missed += not found(fault, done)
            tell(f"{'found ' if found(fault, done) else 'MISSED'} {fault.name}")
        return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
