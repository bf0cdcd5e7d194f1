"""Displays of trial-level data in chapters, empty where there are none; the same tables for every review."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd

from psps_paper.article.trials import Trials, network_state
from psps_paper.book.display import Shown, sentence, show
from psps_paper.living.diff import COLUMNS, compare, diff_table
from psps_paper.living.results import review_results
from psps_paper.tables.dataset import Dataset, dataset


def changes_since_print(data: Dataset | Path | str | None = None) -> pd.DataFrame:
    """Compare the data folder with the same folder without its trial-level data.

    Parameters
    ----------
    data : Dataset, Path or str, optional
        The data folder; by default that of this checkout.

    Returns
    -------
    DataFrame [outcome, what, item, old, new, change, flips]
        As from :func:`psps_paper.living.diff.compare`; empty where there are no trial-level data.
    """
    data = dataset(data)
    if not isinstance(network_state(data), Trials):
        return pd.DataFrame(columns=COLUMNS)
    return compare(review_results(dataclasses.replace(data, trials=None)), review_results(data))


def show_changes(changes: pd.DataFrame, *, caption: str, nothing: str) -> Shown:
    """Show the changes of an update, flips first, or the sentence ``nothing`` if there are none."""
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
