"""Responders, patients with at least half of their symptoms relieved, by arm."""

from __future__ import annotations

import math

import pandas as pd

from psps_paper.article.facts import FOLLOW_UP_DAYS, fact
from psps_paper.effects import log_odds_ratio, risk_difference
from psps_paper.formatting import half_unit, number
from psps_paper.network.model import z_quantile
from psps_paper.pairwise import PairwiseFit, meta_analysis

LEVEL = 0.95
ESTIMATORS = {"DL": "DerSimonian-Laird", "REML": "restricted maximum likelihood", "PM": "Paule-Mandel"}
ANALYSES = {
    "missing as failure": "everyone randomised, with missing patients counted as failures",
    "observed, fewest": (
        "patients with an outcome, at the fewest that the print allows; all randomised where it tells nothing"
    ),
    "observed, most": (
        "patients with an outcome, at the most that the print allows; all randomised where it tells nothing"
    ),
}
NOT_SEEN = "not seen, all randomised"


def arm_counts(responder_counts: pd.DataFrame, facts: pd.DataFrame, studies: pd.DataFrame) -> pd.DataFrame:
    """Tabulate responders and patients of each arm, with the page of each number.

    Parameters
    ----------
    responder_counts, facts, studies : DataFrame
        The tables ``responder_counts``, ``study_facts`` and ``studies``.

    Returns
    -------
    DataFrame [trial, study, ref, comparison, arm, role, site, definition, time, events, randomised,
               observed_low, observed_high, observed_from, percent, source, note]
        Two rows per comparison, with role "intervention" or "comparator". ``observed_low`` and ``observed_high``
        bound the number of patients with an outcome, and ``observed_from`` gives the source: "seen" (a printed
        denominator), "missing" (randomised minus missing), "percentage" (the denominators consistent with the count and
        its printed percentage), or ``NOT_SEEN``: a percentage of all randomised patients does not reveal how many were
        missing, so both bounds are all randomised. ``percent`` is of all randomised.
    """
    named = studies.set_index("study")
    rows = []
    for row in responder_counts.itertuples():
        for arm, role in ((1, "intervention"), (2, "comparator")):
            events = fact(facts, getattr(row, f"events{arm}"))
            randomised = int(fact(facts, getattr(row, f"randomised{arm}"))["number"])
            low, high, basis = _bound_observed(row, arm, facts, int(events["number"]), randomised)
            rows.append(
                {
                    "trial": f"{named.at[row.study, 'first_author']} {named.at[row.study, 'year']}",
                    "study": row.study,
                    "ref": row.ref,
                    "comparison": row.comparison,
                    "arm": getattr(row, f"arm{arm}"),
                    "role": role,
                    "site": row.site,
                    "definition": row.definition,
                    "time": row.time,
                    "events": int(events["number"]),
                    "randomised": randomised,
                    "observed_low": low,
                    "observed_high": high,
                    "observed_from": basis,
                    "percent": 100 * events["number"] / randomised,
                    "source": events["source_url"],
                    "note": row.note if isinstance(row.note, str) else "",
                }
            )
    return pd.DataFrame(rows)


def contrasts(arms: pd.DataFrame, analysis: str = "missing as failure") -> pd.DataFrame:
    """Compute the odds ratio and risk difference of each comparison.

    Parameters
    ----------
    arms : DataFrame
        The result of :func:`arm_counts`.
    analysis : str
        A key of ``ANALYSES``. "fewest" and "most" bound the observed-case analysis if a denominator
        is not known.

    Returns
    -------
    DataFrame [label, study, ref, comparison, site, definition, time, events1, n1, events2, n2, log_or, se_log_or,
               estimate, lower, upper, rd, se_rd, rd_lower, rd_upper]
        Arm 1 is the intervention; ``estimate`` is the odds ratio, above 1 in favour of arm 1; ``rd`` is a
        fraction. The first columns are those of ``figures.forest.forest_responders``.
    """
    if analysis not in ANALYSES:
        raise ValueError(f"analysis={analysis!r}: expected one of {', '.join(ANALYSES)}")
    column = {
        "missing as failure": "randomised",
        "observed, fewest": "observed_low",
        "observed, most": "observed_high",
    }[analysis]
    keys = ["trial", "study", "ref", "comparison", "site", "definition", "time"]
    one, two = (arms[arms["role"] == role].reset_index(drop=True) for role in ("intervention", "comparator"))
    table = one[keys].copy()
    table["events1"], table["n1"], table["events2"], table["n2"] = (
        one["events"],
        one[column],
        two["events"],
        two[column],
    )
    counts = [table[name].to_numpy(float) for name in ("events1", "n1", "events2", "n2")]
    odds, difference = log_odds_ratio(*counts), risk_difference(*counts)
    z = z_quantile(LEVEL)
    table["log_or"], table["se_log_or"] = odds.te, odds.se
    for name, reach in (("estimate", 0.0), ("lower", -z), ("upper", z)):
        table[name] = [math.exp(te + reach * se) for te, se in zip(odds.te, odds.se, strict=True)]
    table["rd"], table["se_rd"] = difference.te, difference.se
    table["rd_lower"], table["rd_upper"] = difference.te - z * difference.se, difference.te + z * difference.se
    table.insert(0, "label", [_label(row) for row in table.itertuples()])
    return table.drop(columns="trial")


def pooled(arms: pd.DataFrame, *, comparison: str) -> pd.DataFrame:
    """Pool a comparison under each way of counting patients.

    Parameters
    ----------
    arms : DataFrame
        The result of :func:`arm_counts`.
    comparison : str
        A value of its column ``comparison``.

    Returns
    -------
    DataFrame [analysis, measure, estimate, lower, upper, Hartung-Knapp lower, Hartung-Knapp upper,
               prediction lower, prediction upper, tau2, I2, studies, patients, estimator]
        Random effects by DerSimonian-Laird, with normal and Hartung-Knapp intervals, and prediction intervals with
        k - 2 degrees of freedom. Odds ratios are on the ratio scale, risk differences are fractions with limits cut at
        -1 and 1, and tau2 is on the scale of pooling (log odds ratio, risk difference).

    Checked against: hand calculation in the tests of these counts, and metafor through the pairwise engine.
    """
    rows = []
    for analysis in ANALYSES:
        table = contrasts(arms, analysis)
        table = table[table["comparison"] == comparison]
        if table.empty:
            raise ValueError(
                f"comparison={comparison!r}: expected one of {', '.join(sorted(arms['comparison'].unique()))}"
            )
        patients = int(table["n1"].sum() + table["n2"].sum())
        for measure, te, se, scale in (
            ("odds ratio", "log_or", "se_log_or", math.exp),
            ("risk difference", "rd", "se_rd", _clip_risk_difference),
        ):
            fit, wide = _fit_both_intervals(table[te], table[se])
            rows.append(
                {
                    "analysis": analysis,
                    "measure": measure,
                    "estimate": scale(fit.te),
                    "lower": scale(fit.lower),
                    "upper": scale(fit.upper),
                    "Hartung-Knapp lower": scale(wide.lower),
                    "Hartung-Knapp upper": scale(wide.upper),
                    "prediction lower": scale(fit.predict_lower),
                    "prediction upper": scale(fit.predict_upper),
                    "tau2": fit.tau2,
                    "I2": fit.i2,
                    "studies": fit.k,
                    "patients": patients,
                    "estimator": fit.tau2_method,
                }
            )
    return pd.DataFrame(rows)


def not_seen_text(arms: pd.DataFrame, *, comparison: str) -> str:
    """Name the trials that observed-case analyses count in full, because patients with an outcome are not known."""
    rows = arms[(arms["comparison"] == comparison) & (arms["observed_from"] == NOT_SEEN)]
    trials = " and ".join(rows["trial"].unique())
    return (
        trials
        and f"How many patients of {trials} had an outcome was not seen: "
        "the observed analyses count all randomised there."
    )


def method_text(pooled_table: pd.DataFrame) -> str:
    """Describe the model of :func:`pooled` in words, from the fits themselves."""
    used = pooled_table["estimator"].unique()
    if len(used) != 1:
        raise ValueError(f"column estimator: {', '.join(used)}; expected one for the whole table")
    return f"random effects ({ESTIMATORS[used[0]]})"


def forest_rows(rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return the studies of one comparison with their weights, and the pooled odds ratio with its heterogeneity.

    Parameters
    ----------
    rows : DataFrame
        Rows of :func:`contrasts` for one comparison.

    Returns
    -------
    DataFrame, dict
        ``rows`` with ``weight``, a fraction, and the argument ``pooled`` of ``figures.forest.forest_responders``,
        without the prediction interval.
    """
    fit, _ = _fit_both_intervals(rows["log_or"], rows["se_log_or"])
    ratio = {
        name: math.exp(getattr(fit, te)) for name, te in (("estimate", "te"), ("lower", "lower"), ("upper", "upper"))
    }
    spread = {name: float(getattr(fit, name)) for name in ("tau2", "i2", "q", "df_q", "p_q")}
    return rows.assign(weight=fit.weights), ratio | spread


def percentages_against_counts(
    responders: pd.DataFrame, arms: pd.DataFrame, facts: pd.DataFrame, studies: pd.DataFrame
) -> pd.DataFrame:
    """Compare the article's percentages with the counts found.

    Parameters
    ----------
    responders : DataFrame
        The table of that name: percentages as printed.
    arms : DataFrame
        The result of :func:`arm_counts`.
    facts, studies : DataFrame
        The tables ``study_facts`` and ``studies``.

    Returns
    -------
    DataFrame [trial, ref, arm, site, printed, counts, percent of counts, agrees, denominators]
        ``agrees``: whether for some denominator between the observed and the randomised patients the count
        rounds to the percentage; ``denominators`` lists them. If the article states no time, the earliest
        count is used. Percentages without a count have "no count found"; if
        the trial's page prints the ratio of the two arms, ``agrees`` then refers to that ratio.
    """
    named = studies.set_index("study")
    rows = []
    for row in responders.itertuples():
        match = arms[
            (arms["study"] == row.study)
            & (arms["arm"] == row.arm)
            & ((arms["time"] == row.time) | (row.time == "not stated"))
        ]
        trial = f"{named.at[row.study, 'first_author']} {named.at[row.study, 'year']}"
        out = {
            "trial": trial,
            "ref": row.ref,
            "arm": row.arm,
            "site": row.site,
            "printed": number(row.percent, row.decimals),
        }
        if match.empty:
            rows.append({**out, "percent of counts": math.nan, "denominators": "", **_by_ratio(row, responders, facts)})
            continue
        arm = match.loc[match["time"].map(_days).idxmin()]
        fits = [
            n
            for n in range(int(arm["observed_low"]), int(arm["randomised"]) + 1)
            if abs(100 * arm["events"] / n - row.percent) <= half_unit(row.decimals) * (1 + 1e-6)
        ]
        rows.append(
            {
                **out,
                "counts": f"{arm['events']} of {arm['randomised']} randomised",
                "percent of counts": 100 * arm["events"] / arm["randomised"],
                "agrees": "yes" if fits else "no",
                "denominators": ", ".join(map(str, fits)),
            }
        )
    return pd.DataFrame(rows)[
        ["trial", "ref", "arm", "site", "printed", "counts", "percent of counts", "agrees", "denominators"]
    ]


def _by_ratio(row, responders: pd.DataFrame, facts: pd.DataFrame) -> dict[str, str]:
    """Compare a percentage without a count with the trial's own ratio of responders."""
    pair = responders[(responders["study"] == row.study) & (responders["site"] == row.site)].sort_values("comparator")
    ratios = facts[(facts["study"] == row.study) & (facts["field"] == "relative_risk") & (facts["chosen"] == "yes")]
    ratios = ratios[ratios["outcome"].str.startswith(f"{row.site} ") & (ratios["time"] == row.time)]
    if len(pair) != 2 or len(ratios) != 1:
        return {"counts": "no count found", "agrees": "cannot tell"}
    printed = float(ratios.iloc[0]["number"])
    (first, second), (half1, half2) = pair["percent"], pair["decimals"].map(half_unit)
    least, most = (first - half1) / (second + half2), (first + half1) / (second - half2)
    half = half_unit(len(f"{printed:g}".partition(".")[2])) * (1 + 1e-6)
    agrees = least <= printed + half and most >= printed - half
    return {
        "counts": f"no count found; ratio of the arms {number(first / second)}, the page prints {printed:g}",
        "agrees": "the ratio does" if agrees else "the ratio does not",
    }


def _days(time: str) -> float:
    """Convert a follow-up such as 6 months to days."""
    amount, unit = time.split()
    return float(amount) * FOLLOW_UP_DAYS[unit]


def _label(row) -> str:
    site = "" if row.site == "not stated" else f", {row.site}"
    return f"{row.trial}, {row.time}{site}"


def _bound_observed(row, arm: int, facts: pd.DataFrame, events: int, randomised: int) -> tuple[int, int, str]:
    seen, missing = getattr(row, f"observed{arm}"), getattr(row, f"missing{arm}")
    if isinstance(seen, str):
        total = int(fact(facts, seen)["number"])
        return total, total, "seen"
    if isinstance(missing, str):
        total = randomised - int(fact(facts, missing)["number"])
        return total, total, "missing"
    fits = _denominators_from_percentage(row, arm, facts, events, randomised)
    if not fits or min(fits) == randomised:
        return randomised, randomised, NOT_SEEN
    return min(fits), max(fits), "percentage"


def _denominators_from_percentage(row, arm: int, facts: pd.DataFrame, events: int, randomised: int) -> list[int]:
    """List the denominators consistent with a count and the percentage of the same arm and time, if there is one."""
    event = fact(facts, getattr(row, f"events{arm}"))
    same = facts[(facts["study"] == row.study) & (facts["field"] == "responders_percent") & (facts["chosen"] == "yes")]
    same = same[(same["arm"] == event["arm"]) & (same["time"] == event["time"])]
    if same.empty:
        return []
    printed = float(same.iloc[0]["number"])
    half = 0.5 if printed % 1 == 0 else 0.05
    return [n for n in range(max(events, 1), randomised + 1) if abs(100 * events / n - printed) <= half * (1 + 1e-6)]


def _fit_both_intervals(te: pd.Series, se: pd.Series) -> tuple[PairwiseFit, PairwiseFit]:
    te, se = te.to_numpy(float), se.to_numpy(float)
    plain = meta_analysis(te, se, "DL")
    return plain, (meta_analysis(te, se, "DL", hartung_knapp=True) if len(te) > 1 else plain)


def _clip_risk_difference(difference: float) -> float:
    return max(-1.0, min(1.0, difference))
