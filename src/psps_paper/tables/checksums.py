"""Recorded checksums of the data folder's files."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from psps_paper.tables.conditions import shortened
from psps_paper.tables.dataset import Dataset
from psps_paper.tables.errors import TableError
from psps_paper.tables.files import write_atomically
from psps_paper.tables.load import CHECKSUMS


def recorded_checksums(folder: Path) -> pd.Series:
    """Read the checksums recorded in ``data/checksums.sha256`` (format of sha256sum)."""
    path = folder / CHECKSUMS
    recorded = {}
    for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), start=1):
        digest, gap, name = line.partition("  ")
        if not (gap and name and re.fullmatch("[0-9a-f]{64}", digest)):
            raise TableError(
                f"{CHECKSUMS}, line {number}: {shortened(line)} is not a SHA-256 checksum, two spaces and a file name"
            )
        recorded[name] = digest
    return pd.Series(recorded, dtype=str)


def changed_files(data: Dataset) -> list[str]:
    """List, as sentences, the files of the data folder that differ from their record in ``checksums.sha256``."""
    folder = data.folder
    remedy = "if intended, run psps-paper tables --record"
    if not (folder / CHECKSUMS).is_file():
        return [f"{CHECKSUMS}: the file is missing; to write it, run psps-paper tables --record"]
    recorded, now = recorded_checksums(folder), data.checksums
    faults = {
        "changed since recorded": [name for name in now.index if name in recorded and recorded[name] != now[name]],
        "not recorded": [name for name in now.index if name not in recorded],
        "recorded, but missing": [name for name in recorded.index if name not in now],
    }
    return [f"{name}: {fault}; {remedy}" for fault, names in faults.items() for name in names]


def record_checksums(data: Dataset) -> Path:
    """Rewrite ``data/checksums.sha256``, for an author who has changed a table intentionally."""
    path = data.folder / CHECKSUMS
    write_atomically(path, "".join(f"{digest}  {name}\n" for name, digest in data.checksums.items()).encode("utf-8"))
    return path
