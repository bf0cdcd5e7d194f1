"""Several estimates per study: three-level model and robust variance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy

from psps_paper.effects.checks import one_number, require
from psps_paper.network.results import Result
from psps_paper.network.tau2_search import tau2_maxima
from psps_paper.pairwise.random_effects import critical_value, study_estimates, two_sided_p

# Step of the grid over the variance within clusters, in log(smallest se^2 + variance).
GRID = 0.1
# A score below this, in units of 1 / (smallest se^2 + variance), counts as a stationary point.
STATIONARY = 1e-6
# Largest distance of te from their median, in smallest standard errors; beyond it the score loses precision.
LARGEST_SPREAD = 1e7


@dataclass(frozen=True)
class Sigma2Maximum:
    """A local maximum of the likelihood of :func:`three_level`."""

    sigma2_between: float
    sigma2_within: float
    log_likelihood: float


@dataclass(frozen=True, eq=False)
class ThreeLevelFit(Result):
    """Result of :func:`three_level`.

    Attributes
    ----------
    te, se, lower, upper, p : float
    sigma2_between, sigma2_within : float
        Variance between clusters, and between the estimates of one cluster.
    q : float
        Cochran's Q of all estimates, treated as independent.
    log_likelihood : float
        Restricted, with all constants.
    n_clusters, n_estimates : int
    weights : ndarray (k,)
        Weights of the estimates in ``te``, with sum 1.
    sigma2_maxima : tuple of Sigma2Maximum
        All local maxima of the likelihood that the search found, the highest (the fit) first.
    """

    te: float
    se: float
    lower: float
    upper: float
    p: float
    sigma2_between: float
    sigma2_within: float
    q: float
    log_likelihood: float
    n_clusters: int
    n_estimates: int
    weights: np.ndarray
    sigma2_maxima: tuple[Sigma2Maximum, ...]

    @property
    def title(self) -> str:
        return "Three-level meta-analysis (REML)"


@dataclass(frozen=True)
class RobustFit(Result):
    """Result of :func:`robust_meta_analysis`.

    Attributes
    ----------
    te, se, lower, upper, p : float
        From t with ``df`` degrees of freedom.
    df : float
        Satterthwaite degrees of freedom; below 4 the p-value cannot be trusted (Tipton 2015).
    tau2, rho : float
    n_studies, n_estimates : int
    """

    te: float
    se: float
    lower: float
    upper: float
    p: float
    df: float
    tau2: float
    rho: float
    n_studies: int
    n_estimates: int

    @property
    def title(self) -> str:
        return "Meta-analysis with robust variance"


def _codes(groups: Sequence, k: int, name: str) -> tuple[np.ndarray, int]:
    """Number the groups from 0, and return how many there are."""
    given = np.asarray(groups, object)  # as objects, so that a missing label does not become the text "nan"
    if given.shape != (k,) or pd.isna(given).any():
        raise ValueError(f"{name}: expected {k} labels with none missing, one for each estimate")
    codes, labels = pd.factorize(given)
    if len(labels) < 2:
        raise ValueError(f"{name}: {len(labels)} is not at least 2 different labels")
    return codes, len(labels)


def three_level(te, se, cluster: Sequence, *, level: float = 0.95) -> ThreeLevelFit:
    """Fit a meta-analysis of estimates nested in clusters by REML.

    te_ij = mean + between_i + within_ij + error_ij, with independent sampling errors of variance
    se^2. Estimates from the same people have correlated errors; use
    :func:`robust_meta_analysis` for them.

    Parameters
    ----------
    te, se : array (k,)
        At least three estimates.
    cluster : sequence (k,)
        Label of the study (or district, centre, ...) of each estimate; at least two different labels, and
        at least one shared by several estimates.
    level : float
        Level of the interval, which is normal.

    Returns
    -------
    ThreeLevelFit

    Raises
    ------
    ValueError

    Source: Konstantopoulos 2011; Harville 1977 (score).
    Checked against: metafor 3.8-1 rma.mv(random = ~ 1 | district/study) with its own maxima from
    sixteen starts; dense grids on 400 random sets (tests).
    """
    te, se = study_estimates(te, se, at_least=3)
    codes, n_clusters = _codes(cluster, len(te), "cluster")
    if n_clusters == len(te):
        raise ValueError("cluster: every label is different, so the two variances cannot be separated")
    away = np.abs(te - np.median(te))
    require(
        away <= LARGEST_SPREAD * se.min(),
        te,
        "te",
        f"within {LARGEST_SPREAD:g} times the smallest se of the median",
        source="studies",
    )
    model = _Nested(te, se**2, codes, n_clusters)
    maxima = model.maxima()
    best = maxima[0]
    row = model.row(best.sigma2_between, best.sigma2_within)
    precision = row.sum()
    mean, error = row @ te / precision, 1 / np.sqrt(precision)
    reach = critical_value(level) * error
    q = ((te - np.average(te, weights=se**-2)) ** 2 / se**2).sum()
    return ThreeLevelFit(
        te=float(mean),
        se=float(error),
        lower=float(mean - reach),
        upper=float(mean + reach),
        p=two_sided_p(mean / error),
        sigma2_between=best.sigma2_between,
        sigma2_within=best.sigma2_within,
        q=float(q),
        log_likelihood=best.log_likelihood,
        n_clusters=n_clusters,
        n_estimates=len(te),
        weights=row / precision,
        sigma2_maxima=maxima,
    )


@dataclass(frozen=True, eq=False)
class _Nested:
    """Restricted likelihood of te ~ N(mean, diag(v + within) + between for pairs of a cluster).

    At a given variance within clusters each cluster reduces to one estimate, its weighted mean, with variance
    1 / (sum of weights). So the maxima over the variance between clusters are those of tau2 in an
    ordinary meta-analysis (:func:`tau2_maxima`), and only one dimension remains. In it the score is
    negative beyond the sum of squares of te around their mean, whatever the variance between
    clusters: in the coordinates of :mod:`psps_paper.network.tau2_search` no u^2 can be larger. The
    nearest poles of the score lie at minus the smallest v or further away, so on the scale of log(v + variance)
    it changes over distances of about 1, and a grid with steps of 0.1 finds its changes of sign.
    """

    te: np.ndarray
    v: np.ndarray
    codes: np.ndarray
    n_clusters: int

    def _sums(self, values: np.ndarray) -> np.ndarray:
        """Sum over the estimates of each cluster: [R x k] -> [R x clusters]."""
        return values @ (self.codes[:, None] == np.arange(self.n_clusters)).astype(float)

    def inner(self, within: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Find all maxima over the variance between clusters: position in ``within``, variance, log-likelihood."""
        w = 1 / (self.v + within[:, None])
        total = self._sums(w)
        mean = self._sums(w * self.te) / total
        found = tau2_maxima(np.ones((self.n_clusters, 1)), mean, 1 / total, restricted=True, heights=True)
        rest = -np.log(w).sum(axis=1) + np.log(total).sum(axis=1)
        rest += (w * (self.te - mean[:, self.codes]) ** 2).sum(axis=1)
        k = len(self.te)
        constant = (k - 1) * np.log(2 * np.pi) - np.log(k)
        height = found.log_likelihood - (rest[found.data_set] + constant) / 2
        return found.data_set, found.tau2, height

    def row(self, between: float, within: float) -> np.ndarray:
        """Compute 1' V^-1."""
        w = 1 / (self.v + within)
        return w / (1 + between * self._sums(w[None])[0][self.codes])

    def score(self, between: np.ndarray, within: np.ndarray) -> np.ndarray:
        """Compute twice the derivative in the variance within clusters, times (smallest v + within) [R]."""
        w = 1 / (self.v + within[:, None])
        shrink = between[:, None] / (1 + between[:, None] * self._sums(w))
        row = w * (1 - (shrink * self._sums(w))[:, self.codes])
        precision = row.sum(axis=1, keepdims=True)
        residual = self.te - (row * self.te).sum(axis=1, keepdims=True) / precision
        projected = w * (residual - (shrink * self._sums(w * residual))[:, self.codes])
        trace = w.sum(axis=1) - (shrink * self._sums(w * w)).sum(axis=1)
        trace -= (row * row).sum(axis=1) / precision[:, 0]
        return ((projected**2).sum(axis=1) - trace) * (self.v.min() + within)

    def maxima(self) -> tuple[Sigma2Maximum, ...]:
        """Find all local maxima, the highest first."""
        floor, top = self.v.min(), ((self.te - self.te.mean()) ** 2).sum()
        reach = np.log1p(top / floor) + GRID
        grid = floor * np.expm1(np.linspace(0, reach, int(np.ceil(reach / GRID)) + 1))
        step, between, height = self.inner(grid)
        score = self.score(between, grid[step])
        found = [
            Sigma2Maximum(float(between[k]), 0.0, float(height[k])) for k in np.flatnonzero((step == 0) & (score <= 0))
        ]
        starts = np.searchsorted(step, np.arange(len(grid) + 1))
        for k in np.flatnonzero((score > 0) & (step < len(grid) - 1)):
            ahead = slice(*starts[step[k] + 1 : step[k] + 3])
            nearest = np.abs(np.log((floor + between[ahead]) / (floor + between[k]))).argmin()
            if score[ahead][nearest] <= 0:
                ends = grid[step[k]], grid[step[k] + 1]
                found += self._polish(*ends, between[k], between[ahead][nearest])
        return tuple(sorted(found, key=lambda one: -one.log_likelihood))

    def _polish(self, low: float, high: float, at_low: float, at_high: float) -> list[Sigma2Maximum]:
        """Find the maximum between two points of the grid, if the branch of maxima does not end between them."""
        floor = self.v.min()

        def on_branch(within: float) -> tuple[float, float]:
            _, between, height = self.inner(np.array([within]))
            expected = at_low + (at_high - at_low) * (within - low) / (high - low)
            nearest = np.abs(np.log((floor + between) / (floor + expected))).argmin()
            return between[nearest], height[nearest]

        def slope(within: float) -> float:
            return self.score(np.array([on_branch(within)[0]]), np.array([within]))[0]

        if slope(low) <= 0 or slope(high) > 0:
            return []
        within = float(scipy.optimize.brentq(slope, low, high, xtol=1e-13 * (floor + high), rtol=1e-13))
        between, height = on_branch(within)
        if abs(slope(within)) > STATIONARY:
            return []
        return [Sigma2Maximum(float(between), within, float(height))]


def robust_meta_analysis(te, se, study: Sequence, *, rho: float = 0.8, level: float = 0.95) -> RobustFit:
    """Pool correlated estimates, with a cluster-robust standard error.

    Each estimate of study j has weight 1 / (k_j (mean of se^2 in j + tau2)), with tau2 by the method of
    moments under the correlation rho. The standard error is valid whatever the true correlation;
    the small-sample correction (CR2) and the Satterthwaite degrees of freedom use the inverse
    weights as working variances.

    Parameters
    ----------
    te, se : array (k,)
    study : sequence (k,)
        Label of the study of each estimate; at least two different labels.
    rho : float
        Assumed correlation between the estimates of one study, from 0 to 1. It affects only tau2 and
        usually matters little, which a second value can confirm.
    level : float

    Returns
    -------
    RobustFit

    Raises
    ------
    ValueError

    Source: Hedges, Tipton & Johnson 2010 (weights, tau2); Tipton 2015 (small samples).
    Checked against: robumeta 2.0 robu(modelweights = "CORR", small = TRUE).
    """
    te, se = study_estimates(te, se, at_least=2)
    codes, m = _codes(study, len(te), "study")
    if not 0 <= one_number(rho, "rho", "finite") <= 1:
        raise ValueError(f"rho: {rho} is not between 0 and 1")
    size = np.bincount(codes)
    mean_te = np.bincount(codes, te) / size
    mean_v = np.bincount(codes, se**2) / size
    tau2 = _correlated_tau2(te - mean_te[codes], mean_te, mean_v, size, codes, rho)
    # With the intercept as the only covariate, the CR2 matrices depend only on each study's share of the weight.
    total = (1 / (mean_v + tau2)).sum()
    share = 1 / (mean_v + tau2) / total
    mean = share @ mean_te
    error = np.sqrt((share**2 * (mean_te - mean) ** 2 / (1 - share)).sum())
    leverage = share**2 / (1 - share)
    off_diagonal = leverage.sum() ** 2 - (leverage**2).sum()
    df = 1 / ((share**2).sum() + off_diagonal)
    reach = critical_value(level, df) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.divide(mean, error)
    return RobustFit(
        te=float(mean),
        se=float(error),
        lower=float(mean - reach),
        upper=float(mean + reach),
        p=two_sided_p(t, df),
        df=float(df),
        tau2=float(tau2),
        rho=rho,
        n_studies=m,
        n_estimates=len(te),
    )


def _correlated_tau2(
    within: np.ndarray,
    mean_te: np.ndarray,
    mean_v: np.ndarray,
    size: np.ndarray,
    codes: np.ndarray,
    rho: float,
) -> float:
    """Estimate tau2 by moments: the weighted sum of squares minus its expectation without tau2.

    Weights are 1 / (k_j mean_v_j); the expectation assumes variance mean_v_j for every estimate of
    study j and correlation rho between them. Source: Hedges, Tipton & Johnson 2010, appendix.
    """
    w = 1 / mean_v
    total = w.sum()
    mean = w @ mean_te / total
    q = (w * (mean_te - mean) ** 2).sum() + (w[codes] / size[codes] * within**2).sum()
    expected = len(w) - (1 - rho) * (w / size).sum() / total - rho
    return max(0.0, (q - expected) / (total - (w**2).sum() / total))
