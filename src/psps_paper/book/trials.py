"""Displays of trial-level data in chapters, if there are any."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from psps_paper import formatting
from psps_paper.article.trials import BookNetwork, Trials, comparison_adjusted_egger
from psps_paper.book.display import Shown, sentence, show
from psps_paper.figures import Drawing, funnel
from psps_paper.network import NetworkFit, split_evidence
from psps_paper.network.sensitivity import comparison_adjusted_funnel

# Most comparisons that a funnel plot can distinguish
MOST_COMPARISONS = 8


def inconsistency_table(
    fit: NetworkFit, order: Sequence[str], number: Callable[[float], str] = formatting.number
) -> pd.DataFrame:
    """Tabulate direct against indirect evidence by comparison, as text; one row says so if no comparison has both.

    ``order`` lists every treatment; the earlier one in it is named first. ``number`` formats an effect.
    """
    split = split_evidence(fit).dropna(subset=["direct_te", "indirect_te"])
    rank = {name: k for k, name in enumerate(order)}
    rows = []
    for row in split.itertuples():
        sign, first, second = (
            (1, row.treat1, row.treat2) if rank[row.treat1] < rank[row.treat2] else (-1, row.treat2, row.treat1)
        )
        numbers = {
            name: number(sign * value)
            for name, value in (
                ("direct", row.direct_te),
                ("indirect", row.indirect_te),
                ("difference", row.difference),
            )
        }
        rows.append(
            (
                (rank[first], rank[second]),
                {"comparison": f"{first} vs {second}", **numbers, "p": formatting.p_value(row.p)},
            )
        )
    shown = [row for _, row in sorted(rows, key=lambda entry: entry[0])]
    return pd.DataFrame(shown or [{"comparison": "no comparison has both kinds of evidence"}])


def small_study_table(fit: NetworkFit, order: Sequence[str]) -> pd.DataFrame:
    """Format Egger's test on the comparison-adjusted funnel: DataFrame [estimates, order, p], one row."""
    egger = comparison_adjusted_egger(fit, order)
    p = formatting.p_value(egger.p) if egger else "too few estimates"
    return pd.DataFrame([{"estimates": str(fit.n_contrasts), "order": ", ".join(order), "p": p}])


def trial_funnel(fit: NetworkFit, order: Sequence[str], tier: str = "recomputed", **options: str) -> Drawing:
    """Draw the comparison-adjusted funnel plot of a network of trials.

    ``tier`` is that of the estimates, and the options are those of :func:`psps_paper.figures.funnel`. If there are many
    comparisons, they share two markers.
    """
    points = comparison_adjusted_funnel(fit, order).sort_values(
        ["treat1", "treat2"], key=lambda names: names.map(list(order).index), kind="stable"
    )
    points = points.assign(comparison=points["treat1"] + " vs " + points["treat2"], summary=points["centre"])
    if points["comparison"].nunique() > MOST_COMPARISONS:
        against = points[["treat1", "treat2"]].eq(order[-1]).any(axis=1)
        points["comparison"] = against.map({True: f"against {order[-1]}", False: "other comparisons"})
    return funnel(points, tier=tier, **options)


def show_trials(
    book: BookNetwork,
    make: Callable[[NetworkFit], pd.DataFrame | Drawing],
    *,
    caption: str,
    name: str = "",
    absent: str = "",
) -> Shown | None:
    """Show a table or a figure that needs trial-level data.

    Parameters
    ----------
    book : BookNetwork
    make : callable
        Makes the table or figure from the network, for example :func:`heterogeneity_table`.
    caption, name : str
        As in :func:`psps_paper.book.display.show`.
    absent : str
        The sentence to show if there are no trial-level data; if it is empty, nothing is shown.
    """
    if isinstance(book.state, Trials):
        return show(make(book.fit), caption=caption, tier=book.tier, name=name)
    return sentence(absent) if absent else None
