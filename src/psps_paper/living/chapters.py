"""What chapters show of trial-level data, and nothing where there are none; the same tables for every review."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from psps_paper import formatting
from psps_paper.display import Shown, sentence, show
from psps_paper.figures import Drawing, funnel
from psps_paper.living.diff import COLUMNS, compare, diff_table
from psps_paper.living.results import review_results
from psps_paper.network import NetworkFit, heterogeneity_table, split_evidence
from psps_paper.tables import data_folder
from psps_paper.trials import TRIALS, BookNetwork, Trials, comparison_adjusted, comparison_adjusted_egger, network_state


def inconsistency_table(fit: NetworkFit) -> pd.DataFrame:
    """Direct against indirect evidence by comparison, as text; one row saying so where no comparison has both."""
    split = split_evidence(fit).dropna(subset=["direct_te", "indirect_te"])
    rows = [
        {"comparison": f"{row.treat1} vs {row.treat2}", "direct": formatting.number(row.direct_te),
         "indirect": formatting.number(row.indirect_te), "difference": formatting.number(row.difference), "p": formatting.p_value(row.p)}
        for row in split.itertuples()
    ]
    return pd.DataFrame(rows or [{"comparison": "no comparison has both kinds of evidence"}])


def small_study_table(fit: NetworkFit) -> pd.DataFrame:
    """Egger's test on the comparison-adjusted funnel, as text: DataFrame [estimates, p], one row."""
    egger = comparison_adjusted_egger(fit)
    p = formatting.p_value(egger.p) if egger else "too few estimates"
    return pd.DataFrame([{"estimates": str(fit.n_contrasts), "p": p}])


def trial_funnel(fit: NetworkFit, tier: str = "recomputed") -> Drawing:
    """The comparison-adjusted funnel plot of a network of trials; ``tier`` is that of their estimates."""
    points = comparison_adjusted(fit)
    return funnel(points.assign(comparison=points["treat1"] + " vs " + points["treat2"], summary=points["te"] - points["adjusted"]),
                  tier=tier)  # fmt: skip


def show_trials(
    book: BookNetwork, make: Callable[[NetworkFit], pd.DataFrame | Drawing], *, caption: str, name: str = "", absent: str = ""
) -> Shown | None:
    """Show a table or a figure that needs trial-level data.

    Parameters
    ----------
    book : BookNetwork
    make : callable
        Makes it from the network, for example :func:`heterogeneity_table`.
    caption, name : str
        As in :func:`psps_paper.display.show`.
    absent : str
        The sentence to show instead where there are no trial-level data; without one nothing is shown.
    """
    if isinstance(book.state, Trials):
        return show(make(book.fit), caption=caption, tier=book.tier, name=name)
    return sentence(absent) if absent else None


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
        before = Path(shutil.copytree(folder, Path(place) / "data", ignore=shutil.ignore_patterns(f"{TRIALS}*", f".{TRIALS}*")))
        return compare(review_results(before), review_results(folder))


def show_changes(changes: pd.DataFrame, *, caption: str, nothing: str) -> Shown:
    """Show what an update changes, what flips first; or the sentence ``nothing`` where nothing changed."""
    if changes.empty:
        return sentence(nothing)
    flips = int(changes["flips"].sum())
    return show(diff_table(changes), caption=caption, tier="recomputed", name="changes", sortable=True,
                note=f"Differences: {len(changes)}; of these flip a conclusion or a verdict: {flips}.")  # fmt: skip
