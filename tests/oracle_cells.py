"""Every numeric cell of a reference file, each compared or listed with a reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

ORACLES = Path(__file__).parent / "oracles"


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
        self.data = json.loads((ORACLES / f"{name}.json").read_text(encoding="utf-8"))
        self.cells = {path: x for path, x in flatten(self.data) if not path.startswith("meta/")}
        self.listed = listed
        self.compared: set[str] = set()
        self.differences: list[str] = []

    def check(self, path: str, ours: object, rtol: float, atol: float = 1e-12) -> None:
        """Compare one leaf; NaN (R's null) agrees with NaN only."""
        if path not in self.cells or self.reason(path):
            return
        theirs, ours = self.cells[path], np.asarray(ours, float)
        self.compared.add(path)
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
        """Patterns that no cell has."""
        return [p for p in self.listed if not any(fnmatchcase(path, p) for path in self.cells)]


def at(values: object) -> np.ndarray:
    """A list of the file as floats, null as NaN."""
    return np.array([np.nan if v is None else v for v in values], float)
