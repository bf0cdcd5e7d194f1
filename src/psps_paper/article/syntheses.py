"""Pooled results of other reviews of the same question, on a common scale where possible."""

from __future__ import annotations

import math

import pandas as pd

from psps_paper.article.facts import chosen
from psps_paper.formatting import estimate

POINTS = "points 0 to 10"


def sds_in_points(facts: pd.DataFrame) -> list[float]:
    """List every SD on a scale from 0 to 10 that public pages give for the trials, in points, ascending.

    SDs of the scores after treatment and of their changes, because the article standardises by change scores.
    """
    rows = pd.concat([chosen(facts, "outcome_sd"), chosen(facts, "change_sd")])
    return sorted(set(rows.loc[rows["unit"].isin([POINTS, "cm 0 to 10"]), "number"].astype(float)))


def plausible_sds(facts: pd.DataFrame) -> tuple[float, float]:
    """Return the smallest and the largest of :func:`sds_in_points`."""
    found = sds_in_points(facts)
    return found[0], found[-1]


def on_common_scale(syntheses: pd.DataFrame, sds: tuple[float, float]) -> pd.DataFrame:
    """Convert contrasts of the main outcome to a scale from 0 to 10, positive in favour of the first-named treatment.

    Parameters
    ----------
    syntheses : DataFrame
        The table of that name.
    sds : (float, float)
        Smallest and largest SD in points, for SMDs; see :func:`plausible_sds`.

    Returns
    -------
    DataFrame [synthesis, year, population, comparison, control, outcome, time, low estimate, high estimate, lower,
               upper, conversion, scale note, studies, patients, reason, source]
        "low estimate" and "high estimate" differ only for SMDs: the SMD times the smallest and the largest SD;
        ``lower`` and ``upper`` are the widest limits that follow. The table has only contrasts of the main outcome with
        an estimate; :func:`left_out` lists the rest.

    Source: Cochrane Handbook 15.5.3.2 (re-expressing SMDs), with a range instead of one SD.
    """
    if not 0 < sds[0] <= sds[1]:
        raise ValueError(f"sds={sds}: expected a smallest and a largest SD above 0")
    rows = []
    for row in syntheses[_convertible(syntheses)].itertuples():
        factors, conversion = _factors(row.unit, sds)
        sign = 1.0 if row.desirable == "higher" else -1.0
        estimates = sorted(sign * row.estimate * factor for factor in factors)
        limits = [sign * value * factor for value in (row.lower, row.upper) for factor in factors]
        rows.append(
            {
                "synthesis": row.name,
                "year": row.year,
                "population": row.population,
                "comparison": row.comparison,
                "control": row.control,
                "outcome": row.outcome,
                "time": row.time if isinstance(row.time, str) else "",
                "low estimate": estimates[0],
                "high estimate": estimates[-1],
                "lower": min(limits),
                "upper": max(limits),
                "conversion": conversion,
                "scale note": row.scale_note,
                "studies": row.n_studies,
                "patients": row.n_patients,
                "reason": row.reason,
                "source": row.source_url,
            }
        )
    return pd.DataFrame(rows)


def left_out(syntheses: pd.DataFrame) -> pd.DataFrame:
    """List results that cannot be converted: DataFrame [synthesis, comparison, outcome, result, why, note, source]."""
    rows = syntheses[~_convertible(syntheses)]
    return pd.DataFrame(
        {
            "synthesis": rows["name"].to_numpy(),
            "comparison": rows["comparison"].to_numpy(),
            "outcome": rows["outcome"].to_numpy(),
            "result": [_result(row) for row in rows.itertuples()],
            "why": [_why(row) for row in rows.itertuples()],
            "note": rows["note"].fillna("").to_numpy(),
            "source": rows["source_url"].to_numpy(),
        }
    )


def reviews(syntheses: pd.DataFrame) -> pd.DataFrame:
    """List the reviews, one row each.

    DataFrame [synthesis, title, year, population, question, results, with an estimate, reason, source].

    Reason and source are those of its first result, by ``id``.
    """
    grouped = syntheses.sort_values("id").groupby("synthesis")
    return (
        grouped.agg(
            name=("name", "first"),
            title=("title", "first"),
            year=("year", "first"),
            population=("population", "first"),
            question=("question", "first"),
            results=("id", "size"),
            estimates=("estimate", "count"),
            reason=("reason", "first"),
            source=("source_url", "first"),
        )
        .loc[syntheses["synthesis"].unique()]
        .rename(columns={"name": "synthesis", "estimates": "with an estimate"})
        .reset_index(drop=True)
    )


def _convertible(syntheses: pd.DataFrame) -> pd.Series:
    return (
        (syntheses["kind"] == "contrast")
        & (syntheses["main_outcome"] == "yes")
        & syntheses["unit"].isin([POINTS, "points 0 to 100", "SMD"])
        & syntheses[["estimate", "lower", "upper"]].notna().all(axis=1)
    )


def _factors(unit: str, sds: tuple[float, float]) -> tuple[tuple[float, ...], str]:
    if unit == POINTS:
        return (1.0,), "none"
    if unit == "points 0 to 100":
        return (0.1,), "divided by 10"
    return sds, f"SMD times an SD of {sds[0]:.2f} to {sds[1]:.2f} points"


def _result(row) -> str:
    if row.estimate is None or math.isnan(row.estimate):
        return "not seen"
    if math.isnan(row.lower) or math.isnan(row.upper):
        return f"{row.statistic} {row.estimate:g}"
    return f"{row.statistic} {estimate(row.estimate, row.lower, row.upper)}"


def _why(row) -> str:
    if row.kind != "contrast":
        return row.kind
    if row.main_outcome == "no":
        return "another outcome than that of the network"
    return "unit not stated"
