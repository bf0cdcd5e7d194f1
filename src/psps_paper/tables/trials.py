"""The folder of trial-level data, if there are any."""

from __future__ import annotations

from pathlib import Path

from psps_paper.tables.files import current_folder

TRIALS = "trials"
SOURCE = "source.json"


def trials_folder(folder: Path) -> Path | None:
    """Return the folder of a data folder's trial-level data, or None if there are none."""
    return current_folder(folder / TRIALS)
