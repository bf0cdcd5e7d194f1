"""What chapters show of trial-level data, and nothing where there are none; the same tables for every review."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pandas as pd

from psps_paper.article.trials import Trials, network_state
from psps_paper.book.display import Shown, sentence, show
from psps_paper.living.diff import COLUMNS, compare, diff_table
from psps_paper.living.results import review_results
from psps_paper.tables.load import data_folder
from psps_paper.tables.trials import TRIALS


def changes_since_print(folder: Path | None = None) -> pd.DataFrame:
    """What trial-level data change: the data folder as it is, against the same folder without them.

    Parameters
    ----------
    folder : Path, optional
        The data folder; by default that of this checkout.

    Returns
    -------
    DataFrame [outcome, what, item, old, new, change, flips]
        As from :func:`psps_paper.living.diff.compare`; empty where there are no trial-level data.
    """
    folder = folder or data_folder()
    if not isinstance(network_state(folder), Trials):
        return pd.DataFrame(columns=COLUMNS)
    with tempfile.TemporaryDirectory() as place:
        # The writer keeps trials in folders whose names begin with this one
        before = Path(
            shutil.copytree(folder, Path(place) / "data", ignore=shutil.ignore_patterns(f"{TRIALS}*", f".{TRIALS}*"))
        )
        return compare(review_results(before), review_results(folder))


def show_changes(changes: pd.DataFrame, *, caption: str, nothing: str) -> Shown:
    """Show what an update changes, what flips first; or the sentence ``nothing`` where nothing changed."""
    if changes.empty:
        return sentence(nothing)
    flips = int(changes["flips"].sum())
    return show(
        diff_table(changes),
        caption=caption,
        tier="recomputed",
        name="changes",
        sortable=True,
        note=f"Differences: {len(changes)}; of these flip a conclusion or a verdict: {flips}.",
    )
