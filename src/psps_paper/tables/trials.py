"""Where trial-level data lie, if there are any."""

from __future__ import annotations

from pathlib import Path

from psps_paper.tables.files import current_folder

TRIALS = "trials"
SOURCE = "source.json"


def trials_folder(folder: Path) -> Path | None:
    """Where the trial-level data of a data folder are, or None where there are none."""
    return current_folder(folder / TRIALS)
