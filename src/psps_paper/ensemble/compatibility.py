"""Which assumptions about the unpublished estimates can give the printed values: possible, impossible or not found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from psps_paper.ensemble.model import CAPS, METHODS, MOST_CORRELATED, PublishedResults, Setting
from psps_paper.ensemble.proofs import dl_floor, impossible, parallel_ceiling, printed_contrast
from psps_paper.ensemble.ranges import FIXED_CORRELATIONS
from psps_paper.ensemble.witnesses import Witness
from psps_paper.recover.i2 import df_from_i2_interval
from psps_paper.recover.printed import I2_QUANTITIES

STUDY_UNIT = "one estimate a study"
ESTIMATE_UNIT = "each estimate by itself"


def compatibility_map(evidence: PublishedResults, witnesses: Sequence[Witness], searches: pd.DataFrame) -> pd.DataFrame:
    """Decide for each combination of assumptions whether some data set gives all printed values.

    Parameters
    ----------
    witnesses : sequence of Witness
        Each shows that the combinations it belongs to are possible.
    searches : DataFrame
        The table ``range_searches``, a record of the searches.

    Returns
    -------
    DataFrame [unit, crossovers, correlation, tau2_method, verdict, because, witness, starts, least_miss]
        ``verdict`` is "possible" (``witness`` is a data set), "impossible" (``because`` is the argument in one line) or
        "not found": ``starts`` random starts gave no agreeing data set, and the nearest one misses a printed value by
        ``least_miss`` half-units of its last digit. SMDs are at most 3 in absolute value throughout.
    """
    rows = [_study_unit(evidence), _common_effect(evidence)]
    for method in METHODS:
        options = [("independent groups", None)] + [("one correlation", r) for r in FIXED_CORRELATIONS]
        for crossovers, correlation in [*options, ("one correlation", None), ("by study", None)]:
            span = (0.0, MOST_CORRELATED) if correlation is None else (correlation, correlation)
            setting = Setting(method, crossovers, CAPS[-1], False, span)
            row = {"unit": ESTIMATE_UNIT, "crossovers": crossovers, "correlation": correlation, "tau2_method": method}
            rows.append(row | _decide(evidence, setting, witnesses, searches))
    return pd.DataFrame(rows)[
        ["unit", "crossovers", "correlation", "tau2_method", "verdict", "because", "witness", "starts", "least_miss"]
    ]


def _decide(evidence: PublishedResults, setting: Setting, witnesses: Sequence[Witness], searches: pd.DataFrame) -> dict:
    if impossible(evidence, setting):
        floor = dl_floor(evidence, setting.correlation[1] if setting.crossovers == "one correlation" else None)
        return {
            "verdict": "impossible",
            "because": (
                f"tau2 would be at least {floor:.3f}, and the printed standard errors allow at most "
                f"{parallel_ceiling(evidence):.3f}"
            ),
            "witness": "",
        }
    agreeing = [w.name for w in witnesses if _belongs(w, setting)]
    if agreeing:
        return {"verdict": "possible", "because": "", "witness": agreeing[0]}
    tried = searches[
        (searches["tau2"] == setting.tau2)
        & (searches["crossovers"] == setting.crossovers)
        & (searches["least_correlation"] >= setting.correlation[0])
        & (searches["most_correlation"] <= setting.correlation[1])
    ]
    return {
        "verdict": "not found",
        "because": "",
        "witness": "",
        "starts": int(tried["starts"].sum()),
        "least_miss": tried["least_miss"].min(),
    }


def _belongs(witness: Witness, setting: Setting) -> bool:
    if witness.tau2 != setting.tau2:
        return False
    own = witness.switches
    if setting.crossovers == "independent groups" or own["crossovers"] == "independent groups":
        return own["crossovers"] == setting.crossovers
    one = setting.crossovers == "by study" or own["crossovers"] == "one correlation"
    return (
        one and setting.correlation[0] <= own["least_correlation"] and own["most_correlation"] <= setting.correlation[1]
    )


def _study_unit(evidence: PublishedResults) -> dict:
    """Check one estimate per study: the printed interval of I2 may rule out its fewer degrees of freedom."""
    printed = evidence.printed.set_index("quantity")
    i2 = {name: printed.loc[name] for name in I2_QUANTITIES}
    df = len(evidence.studies) - len(evidence.edges)
    possible = df_from_i2_interval(
        *(float(i2[name]["value"]) for name in I2_QUANTITIES), decimals=int(i2["i2"]["decimals"])
    )
    if df in possible:
        raise ValueError(
            f"printed I2: its interval agrees with {df} degrees of freedom, so one estimate a study is not ruled out"
        )
    because = (
        f"the interval of I2 has {' or '.join(map(str, possible))} degrees of freedom, one estimate a study leaves {df}"
    )
    return {
        "unit": STUDY_UNIT,
        "crossovers": "any",
        "tau2_method": "any",
        "verdict": "impossible",
        "because": because,
        "witness": "",
    }


def _common_effect(evidence: PublishedResults) -> dict:
    """Check a common effect: without tau2, a comparison of parallel trials may not reach its printed standard error."""
    worst = []
    for k, other in enumerate(evidence.edges["treat2"]):
        mine = evidence.studies[evidence.studies["comparison"] == k]
        if mine["crossover"].any() or other not in set(
            evidence.printed.loc[evidence.printed["quantity"] == "te", "treat2"]
        ):
            continue
        # v is at most (4 + cap^2/2)/n; the fewest patients arise if the smallest trial has all estimates beyond one
        # per trial
        n = np.sort(mine["n_low"].to_numpy())
        patients = n.sum() + (evidence.edges["estimates"].iloc[k] - len(n)) * n[0]
        worst.append((np.sqrt((4 + CAPS[-1] ** 2 / 2) / patients), printed_contrast(evidence, other)["se"].low))
    most, printed = max(worst, key=lambda pair: pair[1] - pair[0])
    if most >= printed:
        raise ValueError(
            f"printed standard error {printed}: without tau2 it can be {most}, so a common effect is not ruled out"
        )
    because = f"without tau2 a standard error would be at most {most:.3f}, and {printed:.3f} is printed"
    return {
        "unit": ESTIMATE_UNIT,
        "crossovers": "any",
        "tau2_method": "common",
        "verdict": "impossible",
        "because": because,
        "witness": "",
    }


def crossovers_label(crossovers: str, correlation: float | None) -> str:
    """Describe in words how crossover trials entered."""
    if crossovers == "one correlation":
        return (
            "one correlation for all"
            if correlation is None or np.isnan(correlation)
            else f"one correlation for all, {correlation:g}"
        )
    return {"by study": "a correlation of each trial"}.get(crossovers, crossovers)


def describe_compatibility(table: pd.DataFrame, readings: pd.DataFrame) -> pd.DataFrame:
    """Prepare the map for readers: ``assumptions, verdict, why, witness, explanations, settled_by``.

    Parameters
    ----------
    table : DataFrame
        The result of :func:`compatibility_map`.
    readings : DataFrame
        The table ``compatibility_readings``, with the texts for each kind of row.
    """
    readings = readings.set_index("case").fillna("")
    out = []
    for row in table.to_dict("records"):
        common = row["tau2_method"] == "common"
        case = row["unit"] if row["unit"] == STUDY_UNIT else "common effect" if common else row["verdict"]
        name = (
            row["unit"]
            if case == STUDY_UNIT
            else (
                "common effect"
                if common
                else f"{crossovers_label(row['crossovers'], row['correlation'])}; tau2 by {row['tau2_method']}"
            )
        )
        verdict = row["verdict"]
        if verdict == "not found":
            verdict = (
                f"no agreeing set found in {row['starts']:.0f} starts; "
                f"the nearest misses by {row['least_miss']:.1f} half-units"
            )
        out.append(
            (
                name,
                verdict,
                row["because"],
                row["witness"],
                readings.at[case, "explanations"],
                readings.at[case, "settled_by"],
            )
        )
    return pd.DataFrame(out, columns=["assumptions", "verdict", "why", "witness", "explanations", "settled_by"])
