"""Chapter displays of trial-level data, where there are any."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from psps_paper import formatting
from psps_paper.article.trials import BookNetwork, Trials, comparison_adjusted, comparison_adjusted_egger
from psps_paper.book.display import Shown, sentence, show
from psps_paper.figures import Drawing, funnel
from psps_paper.network import NetworkFit, split_evidence


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
        As in :func:`psps_paper.book.display.show`.
    absent : str
        The sentence to show instead where there are no trial-level data; without one nothing is shown.
    """
    if isinstance(book.state, Trials):
        return show(make(book.fit), caption=caption, tier=book.tier, name=name)
    return sentence(absent) if absent else None
