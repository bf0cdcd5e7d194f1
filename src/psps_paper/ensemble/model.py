"""The public information on a star network, and assumptions about the rest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import scipy

from psps_paper.article.published import printed_values, published_edges
from psps_paper.recover.i2 import q_interval
from psps_paper.recover.printed import I2_QUANTITIES, Desirable, rounding_interval
from psps_paper.recover.region import PooledRegion
from psps_paper.tables.dataset import Dataset, dataset

Method = Literal["DL", "REML", "ML"]
Crossovers = Literal["independent groups", "one correlation", "by study"]

METHODS: tuple[Method, ...] = ("DL", "REML", "ML")
CROSSOVERS: tuple[Crossovers, ...] = ("independent groups", "one correlation", "by study")
CAPS = (1.0, 1.5, 2.0, 3.0)
MOST_CORRELATED = 0.95  # largest correlation between a crossover trial's periods


@dataclass(frozen=True)
class Setting:
    """Assumptions about the unpublished estimates, beyond the printed values.

    Attributes
    ----------
    tau2 : {"DL", "REML", "ML"}
    crossovers : {"independent groups", "one correlation", "by study"}
        Standard errors of crossover trials: as if from two groups of n; paired, with the same correlation of periods
        for all trials; or paired, with a separate correlation for each trial.
    cap : float
        Largest absolute value of any standardised mean difference.
    trials : bool
        Whether the article's statements on single trials must hold too.
    correlation : tuple of float
        Range of the correlation between periods.
    """

    tau2: Method
    crossovers: Crossovers
    cap: float
    trials: bool
    correlation: tuple[float, float] = (0.0, MOST_CORRELATED)


def variance_terms(crossover: np.ndarray, correlation: np.ndarray, *, paired: bool) -> tuple[np.ndarray, np.ndarray]:
    """Compute a and b of the sampling variance (a + b te^2) / n of an SMD from n patients [B x S].

    Parallel trials, two equal arms: 4/n + te^2/2n. Crossover trials: paired with correlation r of the periods, in units
    of the raw SD, 2(1 - r)(1/n + te^2/2n); otherwise as two groups of n, 2/n + te^2/4n.

    Source: Hedges 1981; Elbourne 2002 (paired).
    """
    pair = (2 * (1 - correlation), 1 - correlation) if paired else (2.0, 0.25)
    a, b = (np.where(crossover, value, parallel) for value, parallel in zip(pair, (4.0, 0.5), strict=True))
    return np.broadcast_to(a, correlation.shape), np.broadcast_to(b, correlation.shape)


@dataclass(frozen=True)
class PublishedResults:
    """The public information on a star network: printed values and, for each study, design and sample size.

    Attributes
    ----------
    printed : DataFrame
        As in :func:`psps_paper.recover.recover_contrasts`, without tau2.
    edges : DataFrame [treat1, treat2, estimates]
        The hub is always treat1.
    studies : DataFrame [ref, study, comparison, crossover, n_low, n_high, most_estimates, printed_result]
        ``comparison`` is the row of ``edges``; ``most_estimates`` is two for each active arm; ``printed_result`` is the
        printed result of the trial's own comparison: "better", "no difference" or missing.
    egger_t : tuple of float
        Range of the absolute t that prints as Egger's p.
    heterogeneous : tuple of int
        Rows of ``edges`` to which the article attributes the within-design heterogeneity.
    desirable : {"lower", "higher"}
    """

    printed: pd.DataFrame
    edges: pd.DataFrame
    studies: pd.DataFrame
    egger_t: tuple[float, float]
    heterogeneous: tuple[int, ...]
    desirable: Desirable

    @cached_property
    def estimates(self) -> np.ndarray:
        """Return the comparison (row of ``edges``) of each estimate."""
        return np.repeat(np.arange(len(self.edges)), self.edges["estimates"])

    @cached_property
    def df(self) -> int:
        return int(self.edges["estimates"].sum()) - len(self.edges)

    @cached_property
    def q_range(self) -> tuple[float, float]:
        """Return the range of Q that prints as I2 with its interval at this network's degrees of freedom."""
        return q_interval(self.printed, self.df)

    @cached_property
    def region(self) -> PooledRegion:
        rows = self.printed[~self.printed["quantity"].isin(I2_QUANTITIES)]
        return PooledRegion(rows, self.edges[["treat1", "treat2"]], desirable=self.desirable)

    def contrasts(self, study: np.ndarray) -> pd.DataFrame:
        """Return the rows [study, treat1, treat2] of one data set; ``study`` holds row numbers of ``studies``."""
        pair = self.edges.iloc[self.estimates]
        return pd.DataFrame(
            {
                "study": self.studies["study"].to_numpy()[study],
                "treat1": pair["treat1"].to_numpy(),
                "treat2": pair["treat2"].to_numpy(),
            }
        )


def published_results(data: Dataset | Path | str | None = None) -> PublishedResults:
    """Collect the article's published results: printed values, registry of studies and public sample sizes.

    Parameters
    ----------
    data : Dataset, Path or str, optional
        The data folder; by default that of this checkout.
    """
    data = dataset(data)
    published = data.table("nma_published")
    edges = published_edges(published)
    desirable = data.table("outcomes")["te_desirable"].iloc[0]
    registry = data.table("studies")
    registry = registry[registry["nma_status"] == "used"]
    sizes = data.table("sample_sizes")
    studies = registry.merge(sizes, on="ref", how="left", suffixes=("_registry", ""), validate="one_to_one")
    unsized = studies.loc[studies["n_low"].isna(), "ref"]
    if len(unsized):
        raise ValueError(
            f"sample_sizes.csv, column ref: {unsized.tolist()} missing; expected a row for each study in the network"
        )
    names = [f"{a} vs {b}" for a, b in zip(edges["treat1"], edges["treat2"], strict=True)]
    unknown = sorted(set(studies["nma_comparison"]) - set(names))
    if unknown:
        raise ValueError(f"studies.csv, column nma_comparison: {unknown} not among {names}")
    arms = studies["arms"].str.split("|").str.len()
    studies = pd.DataFrame(
        {
            "ref": studies["ref"].astype(int),
            "study": studies["study"],
            "comparison": [names.index(name) for name in studies["nma_comparison"]],
            "crossover": studies["design"] == "crossover",
            "n_low": studies["n_low"].astype(float),
            "n_high": studies["n_high"].astype(float),
            "most_estimates": 2 * (arms - 1),
            "printed_result": studies["printed_result"].fillna(""),
        }
    )
    studies = studies.sort_values(["comparison", "ref"], kind="stable", ignore_index=True)
    egger = published[published["quantity"] == "egger_p"].iloc[0]
    low, high = rounding_interval(egger["value"], egger["decimals"], egger["relation"])
    df_egger = int(edges["estimates"].sum()) - 2
    named = published.loc[published["quantity"] == "heterogeneous", ["treat1", "treat2"]].agg(" vs ".join, axis=1)
    return PublishedResults(
        printed=printed_values(published).reset_index(drop=True),
        edges=edges,
        studies=studies,
        egger_t=(
            float(scipy.special.stdtrit(df_egger, 1 - high / 2)),
            float(scipy.special.stdtrit(df_egger, 1 - low / 2)),
        ),
        heterogeneous=tuple(sorted(names.index(name) for name in named)),
        desirable=desirable,
    )


def draw_allocation(evidence: PublishedResults, rng: np.random.Generator, *, any_spread: bool = True) -> np.ndarray:
    """Draw the study (row number) of each estimate: totals as printed, at least one per study.

    The others go to studies at random; without ``any_spread`` no study gets more than two per active arm.
    """
    out = []
    for comparison, total in enumerate(evidence.edges["estimates"]):
        rows = np.flatnonzero(evidence.studies["comparison"] == comparison)
        extra = int(total) - len(rows)
        spare = np.full(len(rows), extra) if any_spread else evidence.studies["most_estimates"].to_numpy()[rows] - 1
        if extra < 0 or extra > spare.sum():
            raise ValueError(f"edges, row {comparison}: {total} estimates do not fit {len(rows)} studies")
        out.append(np.repeat(rows, 1 + rng.multivariate_hypergeometric(spare, extra)))
    return np.concatenate(out)
