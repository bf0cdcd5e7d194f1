"""Several estimates per study: three-level model and robust variance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from psps_paper.pairwise.random_effects import (
    critical_value,
    estimate_tau2,
    study_estimates,
    two_sided_p,
)

# Relative step at which the likelihood search stops.
SIGMA2_PRECISION = 1e-12
MAX_STEPS = 1000


@dataclass(frozen=True)
class ThreeLevelFit:
    """Result of :func:`three_level`.

    Attributes
    ----------
    te, se, lower, upper, p : float
    sigma2_between, sigma2_within : float
        Variance between clusters, and between the estimates of one cluster.
    q : float
        Cochran's Q of all estimates, as if independent.
    log_likelihood : float
        Restricted, with all constants.
    n_clusters, n_estimates : int
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


@dataclass(frozen=True)
class RobustFit:
    """Result of :func:`robust_meta_analysis`.

    Attributes
    ----------
    te, se, lower, upper, p : float
        From t with ``df`` degrees of freedom.
    df : float
        Satterthwaite; below 4 the p-value is not to be trusted (Tipton 2015).
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


def _codes(groups: Sequence, k: int, name: str) -> tuple[np.ndarray, int]:
    """Whole numbers from 0 for the groups, and how many there are."""
    codes, labels = pd.factorize(np.asarray(groups))
    if len(codes) != k or (codes < 0).any():
        raise ValueError(f"{name}: expected {k} labels without gaps, one for each estimate")
    if len(labels) < 2:
        raise ValueError(f"{name}: {len(labels)} is not at least 2 different labels")
    return codes, len(labels)


def three_level(te, se, cluster: Sequence, *, level: float = 0.95) -> ThreeLevelFit:
    """Meta-analysis of estimates nested in clusters, by REML.

    te_ij = mean + between_i + within_ij + error_ij, with independent sampling errors of variance
    se^2. Estimates from the same people have correlated errors, for which
    :func:`robust_meta_analysis` is meant.

    Parameters
    ----------
    te, se : array (k,)
        At least three estimates.
    cluster : sequence (k,)
        Label of the study (or district, centre, ...) of each estimate; at least two different, and
        at least one with several estimates.
    level : float
        Of the interval, by the normal distribution.

    Returns
    -------
    ThreeLevelFit

    Raises
    ------
    ValueError
    RuntimeError
        No convergence.

    Source: Konstantopoulos 2011; Harville 1977 (score and information).
    Checked against: metafor 3.8-1 rma.mv(random = ~ 1 | district/study).
    """
    te, se = study_estimates(te, se, at_least=3)
    codes, n_clusters = _codes(cluster, len(te), "cluster")
    if n_clusters == len(te):
        raise ValueError("cluster: every label is different, so the two levels cannot be told apart")
    same = (codes[:, None] == codes[None, :]).astype(float)
    model = _Nested(te, se**2, (same, np.eye(len(te))))
    sigma2 = model.maximise(np.full(2, estimate_tau2(te, se, "HE") / 2))
    log_likelihood, precision, weighted = model.at(sigma2)[:3]
    mean, error = weighted / precision, 1 / np.sqrt(precision)
    reach = critical_value(level) * error
    q = ((te - np.average(te, weights=se**-2)) ** 2 / se**2).sum()
    return ThreeLevelFit(
        te=float(mean),
        se=float(error),
        lower=float(mean - reach),
        upper=float(mean + reach),
        p=two_sided_p(mean / error),
        sigma2_between=float(sigma2[0]),
        sigma2_within=float(sigma2[1]),
        q=float(q),
        log_likelihood=float(log_likelihood),
        n_clusters=n_clusters,
        n_estimates=len(te),
    )


@dataclass(frozen=True, eq=False)
class _Nested:
    """Restricted likelihood of te ~ N(mean, diag(v) + sum of sigma2 times pattern)."""

    te: np.ndarray
    v: np.ndarray
    patterns: tuple[np.ndarray, ...]

    def at(self, sigma2: np.ndarray) -> tuple[float, float, float, np.ndarray]:
        """Log-likelihood, 1' V^-1 1, 1' V^-1 te and the projection V^-1 - V^-1 1 1' V^-1 / .."""
        total = np.diag(self.v) + sum(s * p for s, p in zip(sigma2, self.patterns, strict=True))
        inverse = np.linalg.inv(total)
        row = inverse.sum(axis=0)
        precision, weighted = row.sum(), row @ self.te
        projection = inverse - np.outer(row, row) / precision
        k = len(self.te)
        value = (k - 1) * np.log(2 * np.pi) - np.log(k) + np.linalg.slogdet(total)[1]
        value += np.log(precision) + self.te @ projection @ self.te
        return -value / 2, precision, weighted, projection

    def score(self, projection: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Derivative of the log-likelihood by sigma2 and its expected information."""
        residual = projection @ self.te
        products = [projection @ p for p in self.patterns]
        gradient = [
            (residual @ p @ residual - np.trace(a)) / 2
            for p, a in zip(self.patterns, products, strict=True)
        ]
        information = [[(a * b.T).sum() / 2 for b in products] for a in products]
        return np.array(gradient), np.array(information)

    def maximise(self, sigma2: np.ndarray) -> np.ndarray:
        """Fisher scoring with step halving; a variance that would turn negative stays at 0."""
        value, _, _, projection = self.at(sigma2)
        for _ in range(MAX_STEPS):
            gradient, information = self.score(projection)
            free = (sigma2 > 0) | (gradient > 0)
            step = np.zeros(len(sigma2))
            if free.any():
                step[free] = np.linalg.solve(information[np.ix_(free, free)], gradient[free])
            proposal = np.maximum(0.0, sigma2 + step)
            # Rounding of the log-likelihood must not reject the last steps.
            slack = 1e-12 * max(1.0, abs(value))
            while (attempt := self.at(proposal))[0] < value - slack:
                proposal = (proposal + sigma2) / 2
            moved = np.abs(proposal - sigma2).max()
            sigma2, value, projection = proposal, attempt[0], attempt[3]
            if moved <= SIGMA2_PRECISION * (sigma2.max() + self.v.min()):
                return sigma2
        raise RuntimeError(f"sigma2: the likelihood search did not converge in {MAX_STEPS} steps")


def robust_meta_analysis(
    te, se, study: Sequence, *, rho: float = 0.8, level: float = 0.95
) -> RobustFit:
    """Meta-analysis of correlated estimates with a cluster-robust standard error.

    Each estimate of study j weighs 1 / (k_j (mean of se^2 in j + tau2)), tau2 by the method of
    moments under the correlation rho. The standard error holds whatever the true correlation is;
    the small-sample correction (CR2) and the Satterthwaite degrees of freedom take the inverse
    weights as working variance.

    Parameters
    ----------
    te, se : array (k,)
    study : sequence (k,)
        Label of the study of each estimate, at least two different.
    rho : float
        Assumed correlation of the estimates of one study, from 0 to 1; it enters tau2 only, and
        usually hardly matters: vary it.
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
    if not 0 <= rho <= 1:
        raise ValueError(f"rho: {rho} is not between 0 and 1")
    size = np.bincount(codes)
    mean_te = np.bincount(codes, te) / size
    mean_v = np.bincount(codes, se**2) / size
    tau2 = _correlated_tau2(te - mean_te[codes], mean_te, mean_v, size, codes, rho)
    # With one covariate, the intercept, the matrices of CR2 are functions of each study's share.
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
    """Moment estimate: the weighted sum of squares less its expectation without tau2.

    Weights are 1 / (k_j mean_v_j); the expectation takes variance mean_v_j for every estimate of
    study j and correlation rho between them. Source: Hedges, Tipton & Johnson 2010, appendix.
    """
    w = 1 / mean_v
    total = w.sum()
    mean = w @ mean_te / total
    q = (w * (mean_te - mean) ** 2).sum() + (w[codes] / size[codes] * within**2).sum()
    expected = len(w) - (1 - rho) * (w / size).sum() / total - rho
    return max(0.0, (q - expected) / (total - (w**2).sum() / total))
