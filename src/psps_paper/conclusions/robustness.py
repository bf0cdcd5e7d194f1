"""What has been proved about each conclusion of the article, and what the print leaves open."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import pandas as pd
import scipy

from psps_paper.article.published import PublishedNetwork
from psps_paper.ensemble import findings, implied_prediction_intervals, load_witnesses, published_results, tau2_routes
from psps_paper.ensemble.bayesian import FACTORS, bayesian_conclusions
from psps_paper.ensemble.countings import AS_PRINTED, COUNTINGS, ONE_MEAN, ROBUST, WITHOUT, Conclusion, conclusions
from psps_paper.ensemble.model import CAPS, CROSSOVERS, METHODS, PublishedResults
from psps_paper.ensemble.proofs import as_printed, impossible_switches
from psps_paper.ensemble.ranges import aimed_at
from psps_paper.ensemble.witnesses import SPREADS, SWITCHES, Witness, belongs, identified_range
from psps_paper.tables.cache import cached
from psps_paper.tables.dataset import Dataset, dataset
from psps_paper.tables.load import load_table

PROVED, OPEN, NONE_FOUND, NOT_SOUGHT, ALWAYS_FAILS = (
    "holds",
    "may hold, may fail",
    "no counterexample found",
    "no counterexample among the data sets, none sought",
    "no case found where it holds",
)
NO_SET, NO_SEARCH = "no agreeing set found", "not searched"
_Z = float(scipy.special.ndtri(0.975))


@dataclass(frozen=True)
class ClinicalScale:
    """Conversion of an SMD to points on a scale from 0 to 10, and the smallest difference that matters.

    Attributes
    ----------
    sd : float
        Points on the scale that correspond to one SMD.
    important : float
        Minimal clinically important difference, in points.
    """

    sd: float
    important: float

    @property
    def important_smd(self) -> float:
        """Smallest difference that matters, as an SMD."""
        return self.important / self.sd


def clinical_scale(table: pd.DataFrame) -> ClinicalScale:
    """Read the scale from the table ``clinical_scale``, which gives the source of each value."""
    values = table.set_index("quantity")["value"]
    return ClinicalScale(sd=float(values["points_per_smd"]), important=float(values["minimal_important_difference"]))


@dataclass(frozen=True, eq=False)
class Proved:
    """What pages report on the conclusions: ``evidence``, ``witnesses``, their ``found``, ``searches``, ``ranges``."""

    evidence: PublishedResults
    witnesses: list[Witness]
    found: pd.DataFrame
    searches: pd.DataFrame
    ranges: pd.DataFrame


@cache
def under_bayes(known: Proved) -> pd.DataFrame:
    """Evaluate the conclusions in every stored data set under the Bayesian model, by :func:`bayesian_conclusions`.

    With one mean per study, five scales of the prior for tau are tried; with each estimate separate, three.
    """

    def compute() -> pd.DataFrame:
        by_itself = bayesian_conclusions(known.witnesses, AS_PRINTED, factors=(FACTORS[0], 1.0, FACTORS[-1]))
        return pd.concat([by_itself, bayesian_conclusions(known.witnesses, ONE_MEAN)], ignore_index=True)

    inputs = "".join(witness.rows.to_csv() for witness in known.witnesses) + _content(known.evidence)
    return cached("under_bayes", inputs, compute)


def _content(evidence: PublishedResults) -> str:
    """Serialise the published results as part of a cache key."""
    tables = [table.to_csv() for table in (evidence.printed, evidence.edges, evidence.studies)]
    return "".join([*tables, repr((evidence.egger_t, evidence.heterogeneous, evidence.desirable))])


def proved() -> Proved:
    """Collect what the stored data sets prove about the article's conclusions, with all switches open."""
    return _proved(dataset())


@lru_cache(maxsize=1)
def _proved(data: Dataset) -> Proved:
    evidence, searches, table = published_results(data), data.table("range_searches"), data.table("witnesses")
    witnesses = load_witnesses(evidence, table)
    found = cached("findings", table.to_csv() + _content(evidence), lambda: findings(witnesses))
    return Proved(evidence, witnesses, found, searches, identified_ranges(witnesses, found, searches))


def article_conclusions(published: PublishedNetwork) -> pd.DataFrame:
    """Apply :func:`robustness_of_conclusions` to the article, with the prediction intervals that the print allows."""
    routes = tau2_routes()
    first = routes[routes["route"] == routes["route"].iloc[0]]
    known = proved()
    predictions = implied_prediction_intervals(first["low"].min(), first["high"].max(), known.evidence)
    scale = clinical_scale(load_table("clinical_scale"))
    return robustness_of_conclusions(known.evidence, known.ranges, scale, published.recovery.solution, predictions)


def identified_ranges(
    witnesses: Sequence[Witness], found: pd.DataFrame, searches: pd.DataFrame, setting: dict | None = None
) -> pd.DataFrame:
    """Compute the range of the quantity behind each conclusion, by the counting of several estimates per study.

    Parameters
    ----------
    witnesses : sequence of Witness
    found : DataFrame
        From :func:`psps_paper.ensemble.findings`.
    searches : DataFrame
        The table ``range_searches``, for the number of searches.
    setting : dict, optional
        Values of the switches ``tau2, crossovers, cap, trials, spread``; a switch left out is open.

    Returns
    -------
    DataFrame
        As :func:`psps_paper.ensemble.identified_range`, with ``verdict``, ``fails_strictly`` and ``holds_strictly``
        (the witness under the strictest assumptions, by trials, cap, crossovers) and ``searches``. With estimates
        counted as printed, a conclusion "holds" by proof, since the printed values themselves show it. Otherwise the
        range is at least this wide.
    """
    setting = setting or {}
    switches = pd.DataFrame([w.switches for w in witnesses], index=[w.name for w in witnesses])
    kept = switches.index[belongs(switches, setting)]
    table = identified_range(found, kept)
    if table.empty:
        return table
    order = _by_strictness(switches.loc[kept])
    strict = {holds: _strictest(found[found["witness"].isin(kept)], order, holds) for holds in (True, False)}
    keys = list(zip(table["conclusion"], table["counting"], strict=True))
    table["holds_strictly"], table["fails_strictly"] = (
        [strict[holds].get(key, "") for key in keys] for holds in (True, False)
    )
    table["searches"] = int(_tried(searches, setting)["pushes"].sum())
    aimed = aimed_at(witnesses[0].evidence)
    table["verdict"] = [_verdict(row, aimed) for row in table.itertuples()]
    return _with_proved(table, witnesses[0].evidence)


def _with_proved(table: pd.DataFrame, evidence: PublishedResults) -> pd.DataFrame:
    """Replace the ranges over witnesses by what is proved, where each estimate is counted separately."""
    hub, others = evidence.edges["treat1"].iloc[0], list(evidence.edges["treat2"])
    for conclusion in conclusions(evidence):
        row = (table["conclusion"] == conclusion.name) & (table["counting"] == AS_PRINTED)
        known = as_printed(evidence, hub if conclusion.at < 0 else others[conclusion.at])
        names = ("p_score",) if conclusion.kind == "rank" else ("z", "lower", "upper")
        for name in names:
            table.loc[row, [f"{name}_low", f"{name}_high"]] = known.get(name, (np.nan, np.nan))
    return table


def _by_strictness(switches: pd.DataFrame) -> list[str]:
    rank = pd.DataFrame(
        {
            "trials": ~switches["trials"].astype(bool),
            "cap": np.searchsorted(CAPS, switches["cap"]),
            "crossovers": switches["crossovers"].map(list(CROSSOVERS).index),
            "spread": switches["spread"].map(list(SPREADS).index),
            "exact": switches["cap"],
        }
    )
    return list(rank.sort_values(list(rank.columns), kind="stable").index)


def _strictest(found: pd.DataFrame, order: Sequence[str], holds: bool) -> dict[tuple[str, str], str]:
    rows = found[found["holds"] == holds].assign(
        place=lambda d: d["witness"].map({name: k for k, name in enumerate(order)})
    )
    return (
        rows.sort_values("place", kind="stable")
        .groupby(["conclusion", "counting"], sort=False)["witness"]
        .first()
        .to_dict()
    )


def _tried(searches: pd.DataFrame, setting: dict) -> pd.DataFrame:
    kept = np.ones(len(searches), bool)
    if "tau2" in setting:
        kept &= (searches["tau2"] == setting["tau2"]).to_numpy()
    if "crossovers" in setting:
        other = [setting["crossovers"]] + [CROSSOVERS[1]] * (setting["crossovers"] == CROSSOVERS[2])
        kept &= searches["crossovers"].isin(other).to_numpy()
    if "cap" in setting:
        kept &= (searches["cap"] <= setting["cap"]).to_numpy()
    if setting.get("trials"):
        kept &= (searches["trials"] == "yes").to_numpy()
    return searches[kept]


def _verdict(row, aimed: Collection[tuple[str, str]]) -> str:
    if row.counting == AS_PRINTED:
        return PROVED
    if row.fails_in and row.holds_in:
        return OPEN
    if not row.holds_in:
        return ALWAYS_FAILS
    return NONE_FOUND if (row.conclusion, row.counting) in aimed else NOT_SOUGHT


def by_switch(witnesses: Sequence[Witness], found: pd.DataFrame, searches: pd.DataFrame, counting: str) -> pd.DataFrame:
    """Give the verdict on each conclusion under every combination of the switches, for one counting.

    Returns
    -------
    DataFrame [conclusion, tau2, crossovers, cap, trials, spread, verdict, z_low, z_high, p_score_low, p_score_high,
    holds_in, fails_in, searches, starts, least_miss]
        "impossible" where it is proved that no data set agrees with the print; "no agreeing set found" where
        ``starts`` random starts found none, the nearest missing a printed value by ``least_miss`` half-units; "not
        searched" where there were no starts.
    """
    if counting not in (*COUNTINGS, WITHOUT):
        raise ValueError(f"counting={counting!r}: expected one of {', '.join((*COUNTINGS, WITHOUT))}")
    evidence, rows = witnesses[0].evidence, []
    aimed = aimed_at(evidence)
    part = found[found["counting"] == counting]
    names = [c.name for c in conclusions(evidence) if c.name in set(part["conclusion"])]
    switches = pd.DataFrame([w.switches for w in witnesses], index=[w.name for w in witnesses])
    for method in METHODS:
        for crossovers in CROSSOVERS:
            proved = impossible_switches(evidence, method, crossovers)
            for cap in CAPS:
                for trials in (False, True):
                    for spread in reversed(SPREADS):
                        setting = dict(zip(SWITCHES, (method, crossovers, cap, trials, spread), strict=True))
                        table = identified_range(part, switches.index[belongs(switches, setting)])
                        tried = _effort(_tried(searches, setting), spread)
                        rows += [_switch_row(name, setting, table, tried, proved, aimed) for name in names]
    return pd.DataFrame(rows)


def _effort(tried: pd.DataFrame, spread: str) -> dict:
    """Count the starts, and the smallest miss, for a spread: starts alternate, the first being narrow.

    The misses of narrow starts are not stored.
    """
    narrow = spread == SPREADS[0]
    starts = (tried["starts"] + 1) // 2 if narrow else tried["starts"]
    return {
        "searches": int(tried["pushes"].sum()),
        "starts": int(starts.sum()),
        "least_miss": np.nan if narrow else tried["least_miss"].min(),
    }


def _switch_row(
    name: str, setting: dict, table: pd.DataFrame, tried: dict, proved: bool, aimed: Collection[tuple[str, str]]
) -> dict:
    row = {"conclusion": name, **setting, "trials": "yes" if setting["trials"] else "no"}
    if table.empty:
        return row | {"verdict": "impossible" if proved else NO_SET if tried["starts"] else NO_SEARCH, **tried}
    said = table[table["conclusion"] == name].iloc[0]
    kept = ["z_low", "z_high", "p_score_low", "p_score_high", "holds_in", "fails_in"]
    return row | {"verdict": _verdict(said, aimed), **said[kept].to_dict(), **tried}


def robustness_of_conclusions(
    evidence: PublishedResults,
    ranges: pd.DataFrame,
    scale: ClinicalScale,
    pooled: pd.DataFrame,
    predictions: pd.DataFrame,
) -> pd.DataFrame:
    """Tabulate the conclusions of the article, one per row, with what is proved about each.

    Parameters
    ----------
    ranges : DataFrame
        From :func:`identified_ranges` with all switches open.
    pooled : DataFrame [treat1, treat2, te, se]
        Central solution of the recovered network, one row per comparison with the common comparator.
    predictions : DataFrame
        From :func:`psps_paper.ensemble.implied_prediction_intervals`.

    Returns
    -------
    DataFrame
        ``conclusion, treat1, treat2``; ``studies, estimates, patients_low, patients_high`` behind it; ``as_printed``
        (always "holds", by proof); ``fails_under`` (countings under which some agreeing data set makes it fail) and
        ``holds_under`` (countings under which no such data set was found); ``witness`` (the data set under the
        strictest assumptions in which it fails) and ``searches``; ``te, lower, upper``; ``predict_lower,
        predict_upper`` (widest that the print allows); ``points, points_lower, points_upper`` (0 to 10, in favour of
        treat1); ``important``; ``verdict``.
    """
    sign = 1.0 if evidence.desirable == "higher" else -1.0
    rows = []
    for conclusion in conclusions(evidence):
        mine = ranges[(ranges["conclusion"] == conclusion.name) & (ranges["counting"] != AS_PRINTED)]
        fails = mine[mine["fails_in"] != ""]
        row = {
            "conclusion": conclusion.name,
            **_basis(evidence, conclusion),
            "as_printed": PROVED,
            "fails_under": ", ".join(fails["counting"]),
            "holds_under": ", ".join(mine.loc[mine["fails_in"] == "", "counting"]),
            "witness": fails["fails_strictly"].iloc[0] if len(fails) else "",
            "searches": int(mine["searches"].max()),
            "verdict": "not settled by what is printed" if len(fails) else "no counterexample found",
        }
        if conclusion.kind != "rank":
            row |= _size(pooled.iloc[conclusion.at], predictions.iloc[conclusion.at], scale, sign)
        rows.append(row)
    return pd.DataFrame(rows)


def _basis(evidence: PublishedResults, conclusion: Conclusion) -> dict:
    edges = evidence.edges if conclusion.at < 0 else evidence.edges.iloc[[conclusion.at]]
    studies = evidence.studies[evidence.studies["comparison"].isin(edges.index)]
    hub = evidence.edges["treat1"].iloc[0]
    treatment = hub if conclusion.at < 0 else edges["treat2"].iloc[0]
    names = {"treat1": treatment} if conclusion.kind == "rank" else {"treat1": hub, "treat2": treatment}
    return names | {
        "studies": len(studies),
        "estimates": int(edges["estimates"].sum()),
        "patients_low": studies["n_low"].sum(),
        "patients_high": studies["n_high"].sum(),
    }


def _size(pooled: pd.Series, prediction: pd.Series, scale: ClinicalScale, sign: float) -> dict:
    lower, upper = pooled["te"] - _Z * pooled["se"], pooled["te"] + _Z * pooled["se"]
    points = sorted(scale.sd * sign * end for end in (lower, upper))
    important = "below the minimal important difference"
    if points[1] >= scale.important:
        important = "above the minimal important difference" if points[0] >= scale.important else "may reach it"
    return {
        "te": pooled["te"],
        "lower": lower,
        "upper": upper,
        "predict_lower": prediction["wide_lower"],
        "predict_upper": prediction["wide_upper"],
        "points": scale.sd * sign * pooled["te"],
        "points_lower": points[0],
        "points_upper": points[1],
        "important": important,
    }


def settled_by(fails_under: str) -> str:
    """Name the further facts that would settle a conclusion, from the countings under which it may fail."""
    facts = []
    if any(name.startswith("correlation") or name == "one mean a study" for name in fails_under.split(", ")):
        facts.append("which estimates come from the same patients, and how strongly they are correlated")
    if "tau2 by" in fails_under:
        facts.append("by which estimator tau2 was found")
    if ROBUST in fails_under or WITHOUT in fails_under:
        facts.append("one number a study: its estimate, or its standard error")
    return "; ".join(facts)
