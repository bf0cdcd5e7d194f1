"""Tables and sentences of the chapters on robustness and certainty."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from psps_paper import formatting
from psps_paper.article.published import PublishedNetwork
from psps_paper.ensemble import Ensemble, convergence
from psps_paper.ensemble.compatibility import UNDECIDED, assumptions_of, change_score_correlation, combinations_text
from psps_paper.ensemble.sampler import RARE

SHARES = ("significant", "holds_", "rank_", "changes", "excludes_zero", "favours_first", "accepted")


def ranges_as_text(table: pd.DataFrame, decimals: int = 2) -> pd.DataFrame:
    """Join the columns ``x_low``, ``x_median``, ``x_high`` (or ``low``, ``median``, ``high``) into ``x``: "median (low to high)".

    Shares of members (``significant``, ``holds_...``, ``rank_...``, ``changes``...) become percentages; an undefined
    range becomes "not defined".
    """
    shown = table.copy()
    for median in [column for column in table.columns if column == "median" or column.endswith("_median")]:
        stem = median.removesuffix("median")
        low, high, joined = stem + "low", stem + "high", stem.rstrip("_") or "value"
        texts = [
            "not defined" if pd.isna(row[median]) else formatting.estimate(row[median], row[low], row[high], decimals)
            for _, row in table.iterrows()
        ]
        shown[median] = texts
        shown = shown.rename(columns={median: joined}).drop(columns=[low, high])
    shares = [column for column in shown.columns if column.startswith(SHARES) and pd.api.types.is_float_dtype(shown[column])]
    for column in shares:
        shown[column] = [formatting.NOT_KNOWN if pd.isna(value) else formatting.percent(value, 0) for value in shown[column]]
    return shown


def conclusions_table(conclusions: pd.DataFrame) -> pd.DataFrame:
    """The article's conclusions as readers see them, from :func:`psps_paper.conclusions.robustness.robustness_of_conclusions`."""
    def whole(low: float, high: float) -> str:
        return f"{low:.0f} to {high:.0f}"

    def studies(count: int) -> str:
        return "1 study" if count == 1 else f"{count} studies"

    rows = []
    for row in conclusions.itertuples():
        has_contrast = not pd.isna(row.te)
        rows.append({
            "conclusion": row.conclusion,
            "rests on": f"{studies(row.studies)}, {row.estimates} estimates, {whole(row.patients_low, row.patients_high)} patients",
            "holds with estimates as printed": formatting.percent(row.holds_as_printed, 0),
            "one estimate a study": f"{formatting.percent(row.holds_grouped, 0)} ({formatting.percent(row.holds_grouped_low, 0)} to {formatting.percent(row.holds_grouped_high, 0)})",
            "all estimates, correlated": formatting.percent(row.holds_correlated, 0),
            "at worst": formatting.percent(row.holds_worst, 0),
            "SMD, prediction interval": formatting.estimate(row.te, row.predict_lower, row.predict_upper) if has_contrast else "",
            "points of 0 to 10": formatting.estimate(row.points, row.points_lower, row.points_upper, 1) if has_contrast else "",
            "minimal important difference": row.important if has_contrast else "",
            "in words": row.verdict,
        })
    return pd.DataFrame(rows)


def centres_note(conclusions: pd.DataFrame, published: PublishedNetwork) -> str:
    """Why the centre of a conclusion's effect may differ in its last digit from the recovered network, with both values.

    Parameters
    ----------
    conclusions : DataFrame
        Of :func:`psps_paper.conclusions.robustness.robustness_of_conclusions`; ``te`` is the median over the members.
    published : PublishedNetwork
    """
    text = "The SMD here is the median over the simulated sets; other pages show the central solution of the recovered network."
    differing = []
    for row in conclusions.dropna(subset="te").drop_duplicates(["treat1", "treat2"]).itertuples():
        recovered = published.fit.te.at[row.treat1, row.treat2]
        if formatting.number(row.te) != formatting.number(recovered):
            differing.append(f"{formatting.number(row.te, 4)} here and {formatting.number(recovered, 4)} there for {row.treat1} against {row.treat2}")
    if not differing:
        return text + " Both agree to two decimals."
    return f"{text} Both agree with everything printed, but round apart: {formatting.sentence_list(differing)}."


SCALE_WORDS = {
    "points_per_smd": "one SMD stands for",
    "minimal_important_difference": "smallest difference that patients notice",
}


def clinical_scale_table(scale: pd.DataFrame) -> pd.DataFrame:
    """The table ``clinical_scale`` as readers see it, each value in points of 0 to 10 with its page."""
    return pd.DataFrame({
        "quantity": scale["quantity"].map(SCALE_WORDS),
        "points of 0 to 10": [formatting.number(value, 2) for value in scale["value"]],
        "where it comes from": scale["meaning"],
        "source": scale["source_url"],
        "seen on": scale["date_seen"],
    })


def clinical_table(conclusions: pd.DataFrame, ratings: pd.DataFrame) -> pd.DataFrame:
    """The conclusions with what a clinician asks first, beside the certainty of :func:`psps_paper.conclusions.certainty.certainty_table`."""
    certainty = ratings.set_index("contrast")[["certainty at best", "certainty at worst"]]
    rated = {name: " or ".join(dict.fromkeys(row)) for name, row in zip(certainty.index, certainty.itertuples(index=False))}
    contrasts = conclusions["treat1"] + " against " + conclusions["treat2"]
    table = conclusions_table(conclusions)
    return pd.DataFrame({
        "conclusion": table["conclusion"],
        "rests on": table["rests on"],
        "points of 0 to 10": table["points of 0 to 10"],
        "survives at worst": table["at worst"],
        "certainty": [rated.get(name, "not rated") for name in contrasts],
    })


def extreme_estimates(ensemble: Ensemble, large: float = 2.0) -> pd.DataFrame:
    """How large the estimates of the members are: quantiles of each member's largest and smallest, and how many are large.

    Parameters
    ----------
    ensemble : Ensemble
    large : float
        An absolute SMD that few trials reach.
    """
    quantiles = {"least": 0.0, "median": 0.5, "greatest": 1.0}
    extremes = {"largest SMD of a member": ensemble.te.max(axis=1), "smallest SMD of a member": ensemble.te.min(axis=1)}
    beyond = (np.abs(ensemble.te) > large).any(axis=1).mean()
    return pd.DataFrame([
        {"quantity": name, **{key: formatting.number(np.quantile(values, q)) for key, q in quantiles.items()},
         f"members with any SMD beyond {large:g} either way": formatting.percent(beyond, 0)}
        for name, values in extremes.items()
    ])


def convergence_as_text(ensemble: Ensemble) -> pd.DataFrame:
    """Two streams of the ensemble side by side, from :func:`psps_paper.ensemble.convergence`, to three significant digits."""
    table = convergence(ensemble)

    def mean(chain: int) -> list[str]:
        return [f"{_three_digits(m)} ({formatting.number(e, 1 - math.floor(math.log10(e)) if e else 0)})" for m, e in zip(table[f"mean_{chain}"], table[f"error_{chain}"], strict=True)]

    return pd.DataFrame({
        "quantity": table.index.str.replace("_", " ").str.replace(r"\bte\b", "SMD", regex=True),
        "first stream: mean (error)": mean(0),
        "second stream: mean (error)": mean(1),
        "distance in errors": [formatting.number(value, 2) for value in table["distance"]],
        "members that count in full": [f"{value:.0f}" for value in table["effective_size"]],
    })


def _three_digits(value: float) -> str:
    return formatting.number(value, max(0, 2 - math.floor(math.log10(abs(value))))) if value else "0"


def compatibility_texts(table: pd.DataFrame) -> dict[str, str]:
    """The compatibility map in numbers and names, as text for prose; each combination counts once.

    Parameters
    ----------
    table : DataFrame
        The table ``compatibility``.

    Returns
    -------
    dict
        ``n_rows, n_feasible, n_undecided, n_infeasible``; ``undecided`` and ``undecided_below`` (half-units); ``n_sampled``
        and ``dropped`` (feasible combinations in the ensemble and left out of it), ``dropped_below`` (share of draws) and
        ``dropped_weight`` (share of members that the left-out would have); ``change_score`` (correlation).
    """
    counts = table["feasible"].value_counts()
    feasible = table[table["feasible"] == "yes"]
    rare = feasible["share"] < RARE
    return {
        "n_rows": str(len(table)),
        "n_feasible": str(counts.get("yes", 0)),
        "n_undecided": str(counts.get("undecided", 0)),
        "n_infeasible": str(counts.get("no", 0)),
        "undecided": combinations_text(assumptions_of(table.query("feasible == 'undecided'"))),
        "undecided_below": formatting.number(UNDECIDED, 0),
        "n_sampled": str(int((~rare).sum())),
        "dropped": combinations_text(assumptions_of(feasible[rare])),
        "dropped_below": formatting.percent(RARE, 0),
        "dropped_weight": formatting.percent(feasible.loc[rare, "share"].sum() / feasible["share"].sum()),
        "change_score": formatting.number(change_score_correlation(), 1),
    }
