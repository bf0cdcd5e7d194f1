"""Trial-level estimates of a star network as smooth functions of latent standard normals, and what they print."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
import scipy

from psps_paper.article.published import printed_values, published_edges
from psps_paper.recover.i2 import q_interval
from psps_paper.recover.printed import I2_QUANTITIES, Desirable, rounding_interval
from psps_paper.recover.region import PooledRegion
from psps_paper.tables.load import load_table

Convention = Literal["independent groups", "paired", "change score"]
Method = Literal["DL", "REML", "ML", "common"]

# no standardised mean difference beyond this is thought possible
TE_LIMIT = 3.0
SPREAD_SHARE = (0.2, 1.0)  # between-estimate variance, as a share of the most that the printed SEs allow
MOST_SHARED = 0.95  # of an estimate's deviation, what the estimates of its study may have in common
# latents of sample sizes and shared deviations are kept within this many standard deviations
_REACH = 4.0


@dataclass(frozen=True)
class Assumptions:
    """How the unpublished estimates came about.

    Attributes
    ----------
    convention : {"independent groups", "paired", "change score"}
        SE of a crossover trial with n patients: as if two groups of n (variance 2/n + d^2/4n); paired with
        ``correlation`` r of the two periods, in units of the raw SD (2(1 - r)(1/n + d^2/2n), Elbourne 2002);
        or standardised by the SD of the change (1/n + d^2/2n). Parallel trials with n patients in two equal
        arms always have 4/n + d^2/2n (Hedges 1981).
    correlation : float
        Within-patient correlation; used by "paired" only.
    tau2 : {"DL", "REML", "ML", "common"}
    """

    convention: Convention
    correlation: float
    tau2: Method

    def coefficients(self, crossover: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """a and b of variance = (a + b d^2) / n for each study."""
        if self.convention == "paired":
            pair = (2 * (1 - self.correlation), 1 - self.correlation)
        else:
            pair = {"independent groups": (2.0, 0.25), "change score": (1.0, 0.5)}[self.convention]
        return np.where(crossover, pair[0], 4.0), np.where(crossover, pair[1], 0.5)


@dataclass(frozen=True)
class Evidence:
    """What is public about a star network: printed values and, for each study, design and sample size.

    Attributes
    ----------
    printed : DataFrame
        As in :func:`psps_paper.recover.recover_contrasts`, without tau2.
    edges : DataFrame [treat1, treat2, estimates]
        The hub is always treat1.
    studies : DataFrame [ref, study, comparison, crossover, n_low, n_high, most_estimates]
        ``comparison`` is the row of ``edges``.
    egger_t : tuple of float
        Range of the absolute t that prints as the Egger p.
    heterogeneous : tuple of int
        Rows of ``edges`` that are said to carry the within-design heterogeneity.
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
        """Comparison (row of ``edges``) of each estimate."""
        return np.repeat(np.arange(len(self.edges)), self.edges["estimates"])

    @cached_property
    def df(self) -> int:
        return int(self.edges["estimates"].sum()) - len(self.edges)

    @cached_property
    def q_range(self) -> tuple[float, float]:
        """Q that prints as I2 with its interval at this network's degrees of freedom."""
        return q_interval(self.printed, self.df)

    @cached_property
    def region(self) -> PooledRegion:
        rows = self.printed[~self.printed["quantity"].isin(I2_QUANTITIES)]
        return PooledRegion(rows, self.edges[["treat1", "treat2"]], desirable=self.desirable)

    def contrasts(self, study: np.ndarray) -> pd.DataFrame:
        """Design rows [study, treat1, treat2] of one member; ``study`` holds row numbers of ``studies``."""
        pair = self.edges.iloc[self.estimates]
        return pd.DataFrame(
            {
                "study": self.studies["study"].to_numpy()[study],
                "treat1": pair["treat1"].to_numpy(),
                "treat2": pair["treat2"].to_numpy(),
            }
        )


def published_evidence() -> Evidence:
    """Evidence of the article: printed values, registry of studies and public sample sizes from ``data/``.

    A study gives at least one estimate and at most two for each active arm (say, two sites).
    """
    published = load_table("nma_published")
    edges = published_edges(published)
    desirable = load_table("outcomes")["te_desirable"].iloc[0]
    registry = load_table("studies")
    registry = registry[registry["nma_status"] == "used"]
    sizes = load_table("sample_sizes")
    studies = registry.merge(sizes, on="ref", how="left", suffixes=("_registry", ""), validate="one_to_one")
    unsized = studies.loc[studies["n_low"].isna(), "ref"]
    if len(unsized):
        raise ValueError(f"sample_sizes.csv, column ref: no row for {unsized.tolist()}, which are in the network")
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
        }
    )
    studies = studies.sort_values(["comparison", "ref"], kind="stable", ignore_index=True)
    egger = published[published["quantity"] == "egger_p"].iloc[0]
    low, high = rounding_interval(egger["value"], egger["decimals"], egger["relation"])
    df_egger = int(edges["estimates"].sum()) - 2
    named = published.loc[published["quantity"] == "heterogeneous", ["treat1", "treat2"]].agg(" vs ".join, axis=1)
    return Evidence(
        printed=printed_values(published).reset_index(drop=True),
        edges=edges,
        studies=studies,
        egger_t=(float(scipy.special.stdtrit(df_egger, 1 - high / 2)), float(scipy.special.stdtrit(df_egger, 1 - low / 2))),
        heterogeneous=tuple(sorted(names.index(name) for name in named)),
        desirable=desirable,
    )


def draw_allocation(evidence: Evidence, rng: np.random.Generator) -> np.ndarray:
    """Study (row number) of each estimate: totals as printed, spare estimates spread over studies' free places."""
    out = []
    for comparison, total in enumerate(evidence.edges["estimates"]):
        rows = np.flatnonzero(evidence.studies["comparison"] == comparison)
        spare = evidence.studies["most_estimates"].to_numpy()[rows] - 1
        extra = int(total) - len(rows)
        if extra < 0 or extra > spare.sum():
            raise ValueError(f"edges, row {comparison}: {total} estimates do not fit {len(rows)} studies")
        counts = 1 + rng.multivariate_hypergeometric(spare, extra)
        out.append(np.repeat(rows, counts))
    return np.concatenate(out)


def move_estimates(evidence: Evidence, study: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy of allocations [B x m] with one estimate of each member moved to another study with a free place."""
    out = study.copy()
    comparison = evidence.studies["comparison"].to_numpy()
    most = evidence.studies["most_estimates"].to_numpy()
    for row in out:
        counts = np.bincount(row, minlength=len(most))
        movable = np.flatnonzero(counts[row] > 1)
        rng.shuffle(movable)
        for at in movable:
            free = np.flatnonzero((comparison == comparison[row[at]]) & (counts < most))
            free = free[free != row[at]]
            if len(free):
                row[at] = rng.choice(free)
                break
    return out


class TrialModel:
    """B sets of trial-level estimates from latent standard normals z [B x L].

    z holds a shared deviation of each study, a deviation of each estimate, the sample size of each study
    (through the normal distribution function onto its range) and, for REML and ML, log tau2.
    """

    def __init__(
        self,
        evidence: Evidence,
        convention: np.ndarray,
        study: np.ndarray,
        method: Method,
        mean: np.ndarray,
        spread2: np.ndarray,
        correlation: np.ndarray,
    ):
        """``convention`` [B x 2 x S]: a and b of each study; ``study`` [B x m]; ``mean`` [comparisons];
        ``spread2`` [B]: prior between-estimate variance; ``correlation`` [B]: within-study share of it."""
        self.evidence, self.method = evidence, method
        self.study, self.mean = study, mean
        self.convention, self.spread2, self.correlation = convention, spread2, correlation
        self.size, self.m = study.shape
        self.s = len(evidence.studies)
        self.latent = self.s + self.m + self.s + (method in ("REML", "ML"))
        self.one_hot = np.eye(len(evidence.edges))[evidence.estimates]
        self.member = np.arange(self.size)[:, None]
        self.of_study = np.zeros((self.size, self.m, self.s))
        self.of_study[self.member, np.arange(self.m), study] = 1.0
        self.a = np.take_along_axis(convention[:, 0], study, axis=1)
        self.b = np.take_along_axis(convention[:, 1], study, axis=1)
        self.n_low = evidence.studies["n_low"].to_numpy(float)
        self.n_span = evidence.studies["n_high"].to_numpy(float) - self.n_low
        middle = self.n_low + 0.5 * self.n_span
        self.scale = np.sqrt(spread2[:, None] + self.a / middle[study])
        self.shared, self.own = np.sqrt(correlation)[:, None], np.sqrt(1 - correlation)[:, None]

    def subset(self, rows: np.ndarray) -> TrialModel:
        """The model of some members."""
        part = object.__new__(TrialModel)
        part.__dict__.update(self.__dict__)
        per_member = ("study", "of_study", "a", "b", "scale", "shared", "own", "convention", "spread2", "correlation")
        for name in per_member:
            setattr(part, name, getattr(self, name)[rows])
        part.size = len(part.study)
        part.member = np.arange(part.size)[:, None]
        return part

    def reallocated(self, study: np.ndarray) -> TrialModel:
        """The same members with other studies behind their estimates."""
        return TrialModel(
            self.evidence, self.convention, study, self.method, self.mean, self.spread2, self.correlation
        )

    def trials(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """te, variance [B x m] and sample sizes [B x S]."""
        s, m = self.s, self.m
        te = self.mean[self.evidence.estimates] + self.scale * (
            self.shared * np.take_along_axis(z[:, :s], self.study, axis=1) + self.own * z[:, s : s + m]
        )
        n = self.n_low + self.n_span * scipy.special.ndtr(z[:, s + m : 2 * s + m])
        v = (self.a + self.b * te**2) / np.take_along_axis(n, self.study, axis=1)
        return te, v, n

    def aggregates(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pooled te, log se and Q of each comparison, Egger's t and the score of tau2 [B x K], with Jacobian.

        The derivative of Egger's t leaves out the variances' part, which is small where t is near zero.
        """
        e = self.one_hot
        s, m, c = self.s, self.m, e.shape[1]
        te, v, n = self.trials(z)
        at = self.evidence.estimates

        def expand(pooled):  # a value of each comparison to its estimates
            return pooled[:, at]

        u = 1 / v
        big_u = u @ e
        common = (u * te) @ e / big_u
        r0 = te - expand(common)
        q = (u * r0**2) @ e
        q_te, q_v = 2 * u * r0, -(u**2) * r0**2

        t_te = t_v = None
        if self.method == "DL":
            square = (u**2) @ e
            room = (big_u - square / big_u).sum(axis=1, keepdims=True)
            room_v = -(u**2) * (1 - 2 * u / expand(big_u) + expand(square / big_u**2))
            tau2 = (q.sum(axis=1, keepdims=True) - self.evidence.df) / room
            t_te, t_v = q_te / room, q_v / room - tau2 / room * room_v
            positive = tau2 > 0
            tau2, t_te, t_v = np.where(positive, tau2, 0.0), t_te * positive, t_v * positive
        elif self.method == "common":
            tau2 = np.zeros((len(te), 1))
        else:
            tau2 = np.exp(z[:, -1:])

        w = 1 / (v + tau2)
        big_w = w @ e
        pooled = (w * te) @ e / big_w
        r = te - expand(pooled)

        def spread(values):  # [B x m] of estimates to [B x c x m] of comparisons
            return values[:, None, :] * e.T

        m_te = spread(w / expand(big_w))
        m_v = spread(-(w**2) * r / expand(big_w))
        l_v = spread(0.5 * w**2 / expand(big_w))

        se = np.sqrt(v)
        x, y = 1 / se, r / se
        x_mean = x.mean(axis=1, keepdims=True)
        sxx = ((x - x_mean) ** 2).sum(axis=1, keepdims=True)
        slope = ((x - x_mean) * y).sum(axis=1, keepdims=True) / sxx
        intercept = y.mean(axis=1, keepdims=True) - slope * x_mean
        residual = y - intercept - slope * x
        error = np.sqrt((residual**2).sum(axis=1, keepdims=True) / (m - 2) * (1 / m + x_mean**2 / sxx))
        lever = (1 / m - x_mean * (x - x_mean) / sxx) / se
        egger_te = (lever - w * expand(lever @ e / big_w)) / error

        zero = np.zeros_like(m_te)
        values = [pooled, -0.5 * np.log(big_w), q, intercept / error]
        d_te = [m_te, zero, spread(q_te), egger_te[:, None, :]]
        d_v = [m_v, l_v, spread(q_v), np.zeros((len(te), 1, m))]
        d_t = [m_v.sum(axis=2), l_v.sum(axis=2), np.zeros((len(te), c)), np.zeros((len(te), 1))]
        if self.method in ("REML", "ML"):
            restricted = self.method == "REML"
            square = (w**2) @ e
            cross = expand((w**2 * r) @ e / big_w)
            total = w.sum(axis=1, keepdims=True)
            score = (w**2 * r**2).sum(axis=1, keepdims=True) - total
            score_v = -2 * w**3 * r**2 + 2 * cross * w**2 * r + w**2
            if restricted:
                score = score + (square / big_w).sum(axis=1, keepdims=True)
                score_v = score_v - 2 * w**3 / expand(big_w) + expand(square / big_w**2) * w**2
            values.append(score / total)
            d_te.append(((2 * w**2 * r - 2 * cross * w) / total)[:, None, :])
            d_v.append((score_v / total)[:, None, :])
            d_t.append(score_v.sum(axis=1, keepdims=True) / total)
        value = np.concatenate(values, axis=1)
        j_te, j_v, j_t = (np.concatenate(parts, axis=1) for parts in (d_te, d_v, d_t))
        if self.method == "DL":
            j_te = j_te + j_t[:, :, None] * t_te[:, None, :]
            j_v = j_v + j_t[:, :, None] * t_v[:, None, :]

        n_at = np.take_along_axis(n, self.study, axis=1)
        j_all = (j_te + j_v * (2 * self.b * te / n_at)[:, None, :]) * self.scale[:, None, :]
        jac = np.zeros((len(te), value.shape[1], self.latent))
        jac[:, :, :s] = (j_all * self.shared[:, None, :]) @ self.of_study
        jac[:, :, s : s + m] = j_all * self.own[:, None, :]
        density = self.n_span * np.exp(-(z[:, s + m : 2 * s + m] ** 2) / 2) / np.sqrt(2 * np.pi)
        jac[:, :, s + m : 2 * s + m] = ((j_v * (-v / n_at)[:, None, :]) @ self.of_study) * density[:, None, :]
        if self.method in ("REML", "ML"):
            jac[:, :, -1] = j_t * tau2
        return value, jac

    def tau2(self, z: np.ndarray) -> np.ndarray:
        """tau2 of each set [B]."""
        if self.method in ("REML", "ML"):
            return np.exp(z[:, -1])
        if self.method == "common":
            return np.zeros(len(z))
        te, v, _ = self.trials(z)
        e, u = self.one_hot, 1 / v
        big_u = u @ e
        q = (u * (te - ((u * te) @ e / big_u)[:, self.evidence.estimates]) ** 2).sum(axis=1)
        return np.maximum(0.0, (q - self.evidence.df) / (big_u - (u**2) @ e / big_u).sum(axis=1))

    def clip(self, z: np.ndarray) -> np.ndarray:
        """Keep latents in range and estimates within ``TE_LIMIT``; log tau2 is free within a wide range."""
        s, m = self.s, self.m
        out = z.copy()
        out[:, :s] = np.clip(z[:, :s], -_REACH, _REACH)
        out[:, s + m : 2 * s + m] = np.clip(z[:, s + m : 2 * s + m], -_REACH, _REACH)
        centre = self.mean[self.evidence.estimates] + self.scale * self.shared * np.take_along_axis(
            out[:, :s], self.study, axis=1
        )
        unit = self.scale * np.maximum(self.own, 1e-3)
        out[:, s : s + m] = np.clip(z[:, s : s + m], (-TE_LIMIT - centre) / unit, (TE_LIMIT - centre) / unit)
        if self.method in ("REML", "ML"):
            out[:, -1] = np.clip(z[:, -1], np.log(1e-3), np.log(3.0))
        return out


def draw_model(
    evidence: Evidence, conventions: np.ndarray, method: str, size: int, rng: np.random.Generator
) -> tuple[TrialModel, np.ndarray]:
    """``size`` members drawn from the priors and their latents; ``conventions`` [size x 2 x studies]."""
    study = np.array([draw_allocation(evidence, rng) for _ in range(size)])
    solution = evidence.region.centre
    c = len(evidence.edges)
    ceiling = (evidence.edges["estimates"].to_numpy() * np.exp(2 * solution[c:])).min()
    spread2 = rng.uniform(*SPREAD_SHARE, size) * ceiling
    model = TrialModel(evidence, conventions, study, method, solution[:c], spread2, rng.uniform(0, MOST_SHARED, size))
    z = rng.normal(size=(size, model.latent))
    if method in ("REML", "ML"):
        z[:, -1] = np.log(spread2)
    return model, z
