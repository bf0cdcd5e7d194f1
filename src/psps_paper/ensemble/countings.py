"""Ways to count several estimates of one study, and the article's conclusions under each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy

from psps_paper.ensemble.model import METHODS, Method, PublishedResults
from psps_paper.ensemble.star import StarFits, fit_stars, turn_correlated

AS_PRINTED, ONE_MEAN, ROBUST, WITHOUT = (
    "each estimate by itself",
    "one mean a study",
    "cluster-robust",
    "one study left out",
)
CORRELATED = {f"correlation {r:g}": r for r in (0.25, 0.5, 0.75)}
REFITTED = {f"tau2 by {method}": method for method in METHODS}
COUNTINGS = (AS_PRINTED, *CORRELATED, ONE_MEAN, ROBUST, *REFITTED)
Z = float(scipy.special.ndtri(0.975))


@dataclass(frozen=True, eq=False)
class Counted:
    """Fits of B data sets under one counting; above zero favours the hub.

    Attributes
    ----------
    te, se, quantile : ndarray [B x c]
        Contrasts of the hub with the other treatments; the interval is te -+ quantile se, with quantiles of t for
        cluster-robust standard errors, which are NaN for a comparison of one study.
    q, egger, tau2 : ndarray [B]
        Q of the pooled estimates; t of Egger's test about the pooled contrasts; tau2.
    """

    te: np.ndarray
    se: np.ndarray
    quantile: np.ndarray
    q: np.ndarray
    egger: np.ndarray
    tau2: np.ndarray

    @cached_property
    def p_scores(self) -> np.ndarray:
        """Compute the P-scores [B x (1 + c)], the hub first.

        Source: Rücker & Schwarzer 2015.
        """
        effect = np.c_[np.zeros(len(self.te)), -self.te]
        variance = np.c_[np.zeros(len(self.te)), self.se**2]
        n = effect.shape[1]
        spread = np.sqrt(variance[:, :, None] + variance[:, None, :])
        spread[:, np.arange(n), np.arange(n)] = 1.0
        wins = scipy.special.ndtr((effect[:, :, None] - effect[:, None, :]) / spread)
        return (wins.sum(axis=2) - 0.5) / (n - 1)


def egger_t(te: np.ndarray, se: np.ndarray) -> np.ndarray:
    """Compute t of Egger's test for data sets [B x k]; see :func:`psps_paper.pairwise.egger_test`."""
    x, y = 1 / se, te / se
    deviation = x - x.mean(axis=-1, keepdims=True)
    spread = (deviation**2).sum(axis=-1)
    slope = (deviation * y).sum(axis=-1) / spread
    bias = y.mean(axis=-1) - slope * x.mean(axis=-1)
    residual = y - bias[..., None] - slope[..., None] * x
    k = te.shape[-1]
    return bias / np.sqrt((residual**2).sum(axis=-1) / (k - 2) * (1 / k + x.mean(axis=-1) ** 2 / spread))


class Counting:
    """Refits of data sets with one allocation of estimates to studies.

    Parameters
    ----------
    evidence : PublishedResults
    study : ndarray of int [m]
        Row of ``evidence.studies`` behind each estimate.
    method : {"DL", "REML", "ML"}
        The published estimator of tau2; every counting uses it unless it names another.
    """

    def __init__(self, evidence: PublishedResults, study: np.ndarray, method: Method):
        self.evidence, self.study, self.method = evidence, study, method
        self.edges = np.eye(len(evidence.edges))
        self.one_hot = self.edges[evidence.estimates]
        self.of_study = np.eye(len(evidence.studies))[study]
        self.comparison = self.edges[evidence.studies["comparison"].to_numpy()]
        groups: dict[int, list[np.ndarray]] = {}
        for s in np.unique(study):
            rows = np.flatnonzero(study == s)
            groups.setdefault(len(rows), []).append(rows)
        self.blocks = [np.array(rows) for size, rows in groups.items() if size > 1]
        self.sign = 1.0 if evidence.desirable == "higher" else -1.0

    def __call__(self, te: np.ndarray, se: np.ndarray, counting: str, without: int | None = None) -> Counted:
        """Count data sets [B x m] by one of ``COUNTINGS``; ``without`` is the row of a study to omit."""
        one_hot, load, d = self.one_hot, None, se**2
        if counting == ONE_MEAN:
            # Variance of the mean of estimates whose errors have correlation 1 (Borenstein 2009, chapter 24)
            share = self.of_study / self.of_study.sum(axis=0)
            te, se, one_hot = te @ share, se @ share, self.comparison
            d = se**2
        y = te
        if without is not None:
            kept = self.study != without
            y, te, se, d, one_hot = te[:, kept], te[:, kept], se[:, kept], d[:, kept], one_hot[kept]
        if counting in CORRELATED:
            y, d, load = turn_correlated(te, se, self.blocks, CORRELATED[counting])
        fit = fit_stars(y, d, one_hot, REFITTED.get(counting, self.method), load)
        errors, quantiles = np.sqrt(fit.variance), np.full(fit.te.shape, Z)
        if counting == ROBUST:
            errors, quantiles = self._robust(te, se, fit)
        egger = egger_t(te - fit.te @ one_hot.T, se)
        return Counted(self.sign * fit.te, errors, quantiles, fit.q.sum(axis=1), egger, fit.tau2)

    def _robust(self, te: np.ndarray, se: np.ndarray, fit: StarFits) -> tuple[np.ndarray, np.ndarray]:
        """Compute CR2 errors and quantiles of t with Satterthwaite's degrees of freedom, in closed form for a star.

        With w the weights, W their sum over a comparison and f each study's proportion of W, the variance is
        sum (sum w r)^2 / (W^2 (1 - f)).

        Source: as :func:`psps_paper.network.robust.cluster_robust`.  Checked against: that function.
        """
        w = 1 / (se**2 + fit.tau2[:, None])
        alone = self.comparison.sum(axis=0) < 2
        share = (w @ self.of_study) * (fit.variance @ self.comparison.T) * (self.comparison @ ~alone)
        residual = (w * (te - fit.te @ self.one_hot.T)) @ self.of_study
        ratio = share**2 / (1 - share)
        variance = (residual**2 / (1 - share)) @ self.comparison * fit.variance**2
        inverse_df = (share**2) @ self.comparison + (ratio @ self.comparison) ** 2 - (ratio**2) @ self.comparison
        variance[:, alone] = np.nan
        df = 1 / np.where(alone, np.nan, inverse_df)
        return np.sqrt(variance), scipy.special.stdtrit(df, 0.975)


@dataclass(frozen=True)
class Statistic:
    """Q or Egger's t, from which the article draws no conclusion."""

    name: str

    def margin(self, counted: Counted) -> np.ndarray:
        return {"Q": counted.q, "Egger's t": counted.egger}[self.name]


@dataclass(frozen=True)
class Conclusion:
    """One conclusion of the article.

    Attributes
    ----------
    name : str
    kind : {"better", "no difference", "rank"}
        The hub is better than a treatment, no difference is shown between them, or a treatment has ``rank`` (1 is
        best).
    at : int
        Row of ``evidence.edges`` of the treatment; -1 for the hub.
    rank : int
    """

    name: str
    kind: str
    at: int
    rank: int = 0

    def margin(self, counted: Counted) -> np.ndarray:
        """Compute the quantity that decides the conclusion [B].

        For a contrast, te over the half-width of its interval, which is significant beyond 1 in either direction. For a
        rank, the P-score minus that of the best competitor, without the hub if the rank is the second.
        """
        if self.kind != "rank":
            return counted.te[:, self.at] / (counted.quantile[:, self.at] * counted.se[:, self.at])
        scores = counted.p_scores
        rivals = [k for k in range(scores.shape[1]) if k != self.at + 1 and not (k == 0 and self.rank == 2)]
        return scores[:, self.at + 1] - scores[:, rivals].max(axis=1)

    def holds(self, counted: Counted) -> np.ndarray:
        """Return whether the conclusion holds [B]; False where the counting does not define it."""
        if self.kind == "rank":
            scores = counted.p_scores
            return (scores > scores[:, [self.at + 1]]).sum(axis=1) == self.rank - 1
        margin = self.margin(counted)
        return margin > 1 if self.kind == "better" else np.abs(margin) < 1


def conclusions(evidence: PublishedResults) -> list[Conclusion]:
    """List the article's five conclusions: three contrasts with the hub, by printed significance, and two ranks."""
    hub, centre = evidence.edges["treat1"].iloc[0], evidence.region.centre
    others = list(evidence.edges["treat2"])
    found = []
    for k, other in enumerate(others):
        z = abs(centre[k]) / np.exp(centre[len(others) + k])
        kind, text = (
            ("better", f"{hub} better than {other}")
            if z > Z
            else ("no difference", f"no difference shown between {hub} and {other}")
        )
        found.append(Conclusion(text, kind, k))
    scores = evidence.printed[evidence.printed["quantity"] == "p_score"].sort_values("value", ascending=False)
    for rank, treatment in enumerate(scores["treat1"].head(2), 1):
        at = -1 if treatment == hub else others.index(treatment)
        found.append(Conclusion(f"{treatment} ranked {('first', 'second')[rank - 1]}", "rank", at, rank))
    return found
