"""Check that every numeric cell of a reference file is compared or listed with a reason.

``tests/oracles/agreement.csv`` holds the counts for each file that has its own test; the validation chapter shows them.
If the comparisons change, ``PSPS_RECORD=1 pytest tests/test_against_...`` rewrites the rows of these tests.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

ORACLES = Path(__file__).parent / "oracles"
AGREEMENT = ORACLES / "agreement.csv"
PACKAGES = ("metafor", "meta", "metasens", "lme4", "clubSandwich", "CompQuadForm", "netmeta")
COLUMNS = ["reference", "software", "cells compared", "cells listed", "tolerance", "why listed", "test"]


def flatten(value: object, path: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Paths of the numeric leaves; a list of numbers is one leaf, null is NaN."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flatten(inner, f"{path}/{key}" if path else key)
    elif isinstance(value, bool | str) or value is None:
        return
    else:
        leaves = np.asarray(value, object)
        if not any(isinstance(leaf, str | bool) for leaf in leaves.ravel()):
            numbers = np.asarray([np.nan if leaf is None else leaf for leaf in leaves.ravel()], float)
            if np.isfinite(numbers).any():
                yield path, numbers.reshape(leaves.shape)


class Cells:
    """The cells of one file, what was compared and what differed."""

    def __init__(self, name: str, listed: dict[str, str]):
        self.name = name
        self.data = json.loads((ORACLES / f"{name}.json").read_text(encoding="utf-8"))
        self.cells = {path: x for path, x in flatten(self.data) if not path.startswith("meta/")}
        self.listed = listed
        self.compared: set[str] = set()
        self.loosest = 0.0
        self.differences: list[str] = []

    def check(self, path: str, ours: object, rtol: float, atol: float = 1e-12) -> None:
        """Compare one leaf; NaN (R's null) agrees only with NaN."""
        if path not in self.cells or self.reason(path):
            return
        theirs, ours = self.cells[path], np.asarray(ours, float)
        self.compared.add(path)
        self.loosest = max(self.loosest, rtol)
        if ours.size != theirs.size:
            self.differences.append(f"{path}: {ours.size} values for {theirs.size}")
            return
        ours = ours.reshape(theirs.shape)
        bad = ~np.isclose(ours, theirs, rtol=rtol, atol=atol, equal_nan=True)
        if bad.any():
            self.differences.append(f"{path}: {ours[bad]} is not {theirs[bad]}")

    def reason(self, path: str) -> str:
        return next((why for pattern, why in self.listed.items() if fnmatchcase(path, pattern)), "")

    def left_over(self) -> list[str]:
        """Cells that were neither compared nor listed."""
        return [path for path in self.cells if path not in self.compared and not self.reason(path)]

    def stale(self) -> list[str]:
        """Patterns that match no cell."""
        return [p for p in self.listed if not any(fnmatchcase(path, p) for path in self.cells)]

    def assert_complete(self, test: str) -> None:
        """Every cell agrees, or is listed; and the counts are those of ``agreement.csv``."""
        assert self.differences == [] and self.left_over() == [] and self.stale() == []
        listed = {path: why for path in self.cells if (why := self.reason(path))}
        software = [f"{name} {self.data['meta'][name]}" for name in PACKAGES if name in self.data["meta"]]
        row = [
            self.name,
            ", ".join(software),
            sum(self.cells[path].size for path in self.compared),
            sum(self.cells[path].size for path in listed),
            f"{self.loosest:g}",
            "; ".join(sorted(set(listed.values()))),
            Path(test).name,
        ]
        rows = (
            {line[0]: line for line in csv.reader(io.StringIO(AGREEMENT.read_text(encoding="utf-8")))}
            if AGREEMENT.exists()
            else {}
        )
        if os.environ.get("PSPS_RECORD"):
            rows[self.name] = row
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(
                [COLUMNS, *(rows[name] for name in sorted(set(rows) - {"reference"}))]
            )
            AGREEMENT.write_text(text.getvalue(), encoding="utf-8")
        assert rows.get(self.name) == [str(cell) for cell in row] or os.environ.get("PSPS_RECORD"), (
            "record it: PSPS_RECORD=1"
        )


def at(values: object) -> np.ndarray:
    """A list of the file as floats, null as NaN."""
    return np.array([np.nan if v is None else v for v in values], float)
