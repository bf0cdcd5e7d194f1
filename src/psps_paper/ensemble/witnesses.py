"""Stored data sets that agree with all printed values, and each conclusion in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import scipy

from psps_paper.ensemble.countings import (
    AS_PRINTED,
    CORRELATED,
    COUNTINGS,
    ONE_MEAN,
    REFITTED,
    ROBUST,
    WITHOUT,
    Conclusion,
    Counted,
    Counting,
    conclusions,
)
from psps_paper.ensemble.model import CROSSOVERS, Method, PublishedResults
from psps_paper.ensemble.printed import PrintedValues
from psps_paper.network import fit_network
from psps_paper.network.ranking import p_scores
from psps_paper.network.robust import cluster_robust
from psps_paper.tables.load import load_table

SPREADS = ("two an arm", "any")
SWITCHES = ("tau2", "crossovers", "cap", "trials", "spread")


@dataclass(frozen=True, eq=False)
class Witness:
    """A data set that agrees with all printed values.

    Attributes
    ----------
    name : str
    tau2 : {"DL", "REML", "ML"}
        Estimator under which it gives the printed values.
    rows : DataFrame [study, te, se, n, correlation]
        One row per estimate, in the order of ``evidence.estimates``: hub minus other, number of patients, and the
        correlation of a crossover trial's periods (missing if it enters as two groups, and for parallel trials).
    """

    evidence: PublishedResults
    name: str
    tau2: Method
    rows: pd.DataFrame

    @cached_property
    def study(self) -> np.ndarray:
        return pd.Index(self.evidence.studies["study"]).get_indexer(self.rows["study"])

    @property
    def te(self) -> np.ndarray:
        return self.rows["te"].to_numpy()

    @property
    def se(self) -> np.ndarray:
        return self.rows["se"].to_numpy()

    @cached_property
    def contrasts(self) -> pd.DataFrame:
        """Return the rows [study, treat1, treat2, te, se] for ``fit_network(correlation=...)``."""
        return self.evidence.contrasts(self.study).assign(te=self.te, se=self.se)

    @cached_property
    def switches(self) -> dict[str, object]:
        """Return the strictest value of each switch that the data set satisfies."""
        periods = self.rows.loc[self.evidence.studies["crossover"].to_numpy()[self.study], "correlation"]
        crossovers = (
            CROSSOVERS[0] if periods.isna().all() else CROSSOVERS[1] if periods.nunique() == 1 else CROSSOVERS[2]
        )
        counts = np.bincount(self.study, minlength=len(self.evidence.studies))
        within = (counts <= self.evidence.studies["most_estimates"]).all()
        return {
            "tau2": self.tau2,
            "crossovers": crossovers,
            "cap": float(np.abs(self.te).max()),
            "trials": self.trials_hold,
            "spread": SPREADS[0] if within else SPREADS[1],
            "least_correlation": periods.min(),
            "most_correlation": periods.max(),
        }

    @cached_property
    def trials_hold(self) -> bool:
        """Whether the statements printed for single trials hold: no estimate significant, or at least one better."""
        z = pd.Series(self.te / self.se)
        printed = self.evidence.studies["printed_result"].to_numpy()[self.study]
        null = (z[printed == "no difference"].abs() < 1.96).all()
        best = z[printed == "better"].groupby(self.study[printed == "better"]).max()
        return bool(null and (best > 1.959964).all())

    def printed_again(self) -> pd.DataFrame:
        """Compare each printed value with the refit: ``quantity, treat1, treat2, low, high, refit, agrees``."""
        printed = PrintedValues(self.evidence, self.tau2)
        refit = printed.values(self.te[None], self.se[None])[0]
        table = printed.table.drop(columns="half").assign(refit=refit)
        return table.assign(agrees=(table["low"] <= refit) & (refit <= table["high"]))

    def printed_in_its_units(self) -> pd.DataFrame:
        """Return :meth:`printed_again` with p-values as the article prints them, not as absolute z and t."""
        table = self.printed_again()
        ends = ["low", "high", "refit"]
        t_df = len(self.evidence.estimates) - 2
        for quantity, name, tail in (
            ("p", "p", lambda z: 2 * scipy.special.ndtr(-z)),
            ("egger_t", "egger_p", lambda t: 2 * scipy.special.stdtr(t_df, -t)),
        ):
            rows = table["quantity"] == quantity
            # a larger statistic gives a smaller p, so the ends change places
            table.loc[rows, ["high", "low", "refit"]] = tail(table.loc[rows, ends].to_numpy(float))
            table.loc[rows, "quantity"] = name
        return table

    @property
    def agrees(self) -> bool:
        """Return whether the refit gives every printed value, at the same tau2 as the public engine."""
        counted = self.counted(AS_PRINTED)
        engine = public_refit(self, AS_PRINTED).tau2
        return bool(self.printed_again()["agrees"].all() and np.isclose(counted.tau2[0], engine, rtol=1e-6))

    @cached_property
    def _counting(self) -> Counting:
        return Counting(self.evidence, self.study, self.tau2)

    def counted(self, counting: str, without: int | None = None) -> Counted:
        """Fit by one of ``COUNTINGS``, optionally without a study (its row of ``evidence.studies``)."""
        return self._counting(self.te[None], self.se[None], counting, without)


def load_witnesses(evidence: PublishedResults, table: pd.DataFrame | None = None) -> list[Witness]:
    """Load the witnesses of the table ``witnesses``.

    Raises ValueError naming a witness whose studies are not those of the evidence or whose totals differ.
    """
    table = load_table("witnesses") if table is None else table
    found = []
    for name, rows in table.groupby("witness", sort=False):
        witness = Witness(
            evidence, str(name), rows["tau2"].iloc[0], rows.drop(columns=["witness", "tau2"]).reset_index(drop=True)
        )
        if (witness.study < 0).any() or list(evidence.studies["comparison"].to_numpy()[witness.study]) != list(
            evidence.estimates
        ):
            raise ValueError(
                f"witnesses, witness {name}: expected the printed number of estimates of each comparison, "
                "in their order"
            )
        found.append(witness)
    return found


def agreeing_tau2(witnesses: Iterable[Witness]) -> pd.Series:
    """Return the between-study variance of each witness, with each estimate separate; the index holds names."""
    return pd.Series({w.name: float(w.counted(AS_PRINTED).tau2[0]) for w in witnesses}, name="tau2")


def findings(witnesses: Iterable[Witness]) -> pd.DataFrame:
    """Evaluate each conclusion in each witness under each counting.

    Returns
    -------
    DataFrame [witness, counting, conclusion, holds, z, lower, upper, p_score, rank, margin, q, egger_t, without]
        ``z, lower, upper`` of a conclusion's contrast (t for cluster-robust standard errors), or ``p_score, rank``
        of a rank's treatment; missing if not defined. "one study left out" has a row for each study that can
        be omitted, named in ``without``.
    """
    out = []
    for witness in witnesses:
        said = conclusions(witness.evidence)
        studies = witness.evidence.studies
        more = (studies.groupby("comparison")["study"].transform("size") > 1).to_numpy()
        for counting in COUNTINGS:
            if REFITTED.get(counting) != witness.tau2:
                counted = witness.counted(counting)
                out += [_finding(witness, counting, "", conclusion, counted) for conclusion in said]
        for s in np.flatnonzero(more):
            counted = witness.counted(AS_PRINTED, int(s))
            out += [_finding(witness, WITHOUT, studies["study"].iloc[s], conclusion, counted) for conclusion in said]
    return pd.DataFrame([row for row in out if row is not None])


def _finding(witness: Witness, counting: str, without: str, conclusion: Conclusion, counted: Counted) -> dict | None:
    if counting == ROBUST and (conclusion.kind == "rank" or np.isnan(counted.se[0, conclusion.at])):
        return None
    row = {
        "witness": witness.name,
        "counting": counting,
        "conclusion": conclusion.name,
        "holds": bool(conclusion.holds(counted)[0]),
        "z": np.nan,
        "lower": np.nan,
        "upper": np.nan,
        "p_score": np.nan,
        "rank": np.nan,
    }
    if conclusion.kind == "rank":
        scores = counted.p_scores[0]
        row |= {"p_score": scores[conclusion.at + 1], "rank": 1 + int((scores > scores[conclusion.at + 1]).sum())}
    else:
        te, se, quantile = (getattr(counted, name)[0, conclusion.at] for name in ("te", "se", "quantile"))
        row |= {"z": te / se, "lower": te - quantile * se, "upper": te + quantile * se}
    return row | {
        "margin": float(conclusion.margin(counted)[0]),
        "q": counted.q[0],
        "egger_t": counted.egger[0],
        "without": without,
    }


def belongs(switches: pd.DataFrame, setting: dict[str, object]) -> np.ndarray:
    """Return which witnesses (rows of switches) belong to a setting, which need not fix every switch."""
    kept = np.ones(len(switches), bool)
    if "tau2" in setting:
        kept &= (switches["tau2"] == setting["tau2"]).to_numpy()
    if setting.get("crossovers", CROSSOVERS[2]) != CROSSOVERS[2]:
        kept &= (switches["crossovers"] == setting["crossovers"]).to_numpy()
    elif "crossovers" in setting:
        kept &= (switches["crossovers"] != CROSSOVERS[0]).to_numpy()
    if "cap" in setting:
        kept &= (switches["cap"] <= setting["cap"]).to_numpy()
    if setting.get("trials"):
        kept &= switches["trials"].to_numpy(bool)
    if setting.get("spread") == SPREADS[0]:
        kept &= (switches["spread"] == SPREADS[0]).to_numpy()
    return kept


def identified_range(found: pd.DataFrame, kept: Iterable[str]) -> pd.DataFrame:
    """Compute the ranges over the witnesses ``kept``: one row per conclusion and counting.

    Returns
    -------
    DataFrame [conclusion, counting, data_sets, <name>_low, <name>_high, holds_in, fails_in]
        ``<name>`` is z, lower, upper, p_score and rank. ``holds_in`` names the most favourable witness if the
        conclusion holds in it, ``fails_in`` the least favourable if it fails in it. The true ranges are at least this
        wide.
    """
    rows = []
    for (conclusion, counting), part in found[found["witness"].isin(set(kept))].groupby(
        ["conclusion", "counting"], sort=False
    ):
        row = {"conclusion": conclusion, "counting": counting, "data_sets": part["witness"].nunique()}
        for name in ("z", "lower", "upper", "p_score", "rank"):
            row |= {f"{name}_low": part[name].min(), f"{name}_high": part[name].max()}
        # the further the margin is from the opposite conclusion, the more favourable; for "no difference" a small
        # margin is favourable
        favour = -part["margin"].abs() if str(conclusion).startswith("no difference") else part["margin"]
        for column, holds in (("holds_in", True), ("fails_in", False)):
            those = favour[part["holds"] == holds]
            at = (those.idxmax() if holds else those.idxmin()) if len(those) else None
            row[column] = "" if at is None else part.at[at, "witness"]
        rows.append(row)
    return pd.DataFrame(rows)


def public_refit(witness: Witness, counting: str):
    """Fit a witness under one counting by the engine: a NetworkFit, or a RobustNetworkFit if cluster-robust.

    Raises ValueError for a counting that is not one of ``COUNTINGS``.
    """
    if counting not in COUNTINGS:
        raise ValueError(f"counting={counting!r}: expected one of {', '.join(COUNTINGS)}")
    rows = witness.contrasts
    if counting == ONE_MEAN:
        rows = rows.groupby(["study", "treat1", "treat2"], as_index=False, sort=False).mean()
    fit = fit_network(rows, tau2=REFITTED.get(counting, witness.tau2), correlation=CORRELATED.get(counting, 0.0))
    return cluster_robust(fit) if counting == ROBUST else fit


def conclusions_by_refit(witness: Witness) -> pd.DataFrame:
    """Evaluate each conclusion by the public engine: ``counting``, then one column per conclusion."""
    hub, others = witness.evidence.edges["treat1"].iloc[0], list(witness.evidence.edges["treat2"])
    rows = []
    for counting in COUNTINGS:
        if REFITTED.get(counting) == witness.tau2:
            continue
        fit = public_refit(witness, counting)
        scores = None if counting == ROBUST else p_scores(fit, desirable=witness.evidence.desirable)
        row = {"counting": counting}
        for conclusion in conclusions(witness.evidence):
            if conclusion.kind != "rank":
                limits = [table.loc[hub, others[conclusion.at]] for table in (fit.te, fit.lower, fit.upper)]
                excludes = limits[1] > 0 or limits[2] < 0
                holds = limits[1] > 0 if conclusion.kind == "better" else not excludes
                text = f"{limits[0]:.2f} ({limits[1]:.2f} to {limits[2]:.2f})"
                row[conclusion.name] = (
                    "not defined" if pd.isna(limits[1]) else f"{'holds' if holds else 'FAILS'}: {text}"
                )
            elif scores is None:
                row[conclusion.name] = "not defined"
            else:
                treatment = hub if conclusion.at < 0 else others[conclusion.at]
                rank = 1 + int((scores > scores[treatment]).sum())
                row[conclusion.name] = (
                    f"{'holds' if rank == conclusion.rank else 'FAILS'}: rank {rank}, P-score {scores[treatment]:.3f}"
                )
        rows.append(row)
    return pd.DataFrame(rows)
