"""Between-study variance with moderators: the common estimators, their standard errors, and likelihoods."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
import scipy

from psps_paper.effects.checks import choice, one_number
from psps_paper.network.heterogeneity import LeastSquares, least_squares, log_likelihood, tau2_dl
from psps_paper.network.tau2_search import Tau2Maximum, tau2_maxima

RegressionTau2 = Literal["DL", "REML", "ML", "PM", "EB", "HE", "HS", "SJ", "FE"]


class Tau2Estimate(NamedTuple):
    """tau2, its standard error (NaN where there is none) and, for REML and ML, all local maxima."""

    tau2: float
    se: float
    maxima: tuple[Tau2Maximum, ...]


def fit_at(x: np.ndarray, te: np.ndarray, v: np.ndarray, tau2: float) -> LeastSquares:
    """Fit one data set by weighted least squares at a given tau2."""
    return least_squares(x, te[None], v[None], np.array([tau2]))


def projection(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Compute W - W X (X'WX)^-1 X'W by QR."""
    root = np.sqrt(w)
    basis = np.linalg.qr(root[:, None] * x)[0]
    return root[:, None] * (np.eye(len(w)) - basis @ basis.T) * root[None, :]


def tau2_of_regression(x: np.ndarray, te: np.ndarray, v: np.ndarray, method: str | float) -> Tau2Estimate:
    """Estimate the between-study variance of ``te ~ N(x b, v + tau2)``.

    Parameters
    ----------
    x : ndarray (k, p)
        Preferably with orthonormal columns.
    te, v : ndarray (k,)
    method : {"DL", "REML", "ML", "PM", "EB", "HE", "HS", "SJ", "FE"} or float
        DerSimonian-Laird, restricted and full maximum likelihood (their global maxima), Paule-Mandel, empirical
        Bayes (the same value), Hedges, Hunter-Schmidt, Sidik-Jonkman; "FE" is 0; or a value of at least 0.

    Source: DerSimonian & Laird 1986; Harville 1977; Paule & Mandel 1982; Morris 1983; Hedges 1983; Hunter &
    Schmidt 2004; Sidik & Jonkman 2005; standard errors as in Veroniki 2016 and Viechtbauer 2005.
    Checked against: metafor 3.8-1 rma().
    """
    if not isinstance(method, str):
        return Tau2Estimate(one_number(method, "tau2", "not negative"), np.nan, ())
    choice(method, "tau2", get_args(RegressionTau2))
    if method == "FE" or len(te) == x.shape[1]:
        return Tau2Estimate(0.0, np.nan, ())
    if method in ("REML", "ML"):
        restricted = method == "REML"
        found = tau2_maxima(x, te[None], v[None], restricted=restricted)
        tau2 = float(found.tau2[found.first][0])
        at = log_likelihood(fit_at(x, te, v, tau2), restricted=restricted)
        return Tau2Estimate(tau2, _likelihood_se(x, v, tau2, restricted), found.at(at).of(0))
    moment = _paule_mandel if method in ("PM", "EB") else _moments
    return Tau2Estimate(*moment(x, te, v, method), ())


def _likelihood_se(x: np.ndarray, v: np.ndarray, tau2: float, restricted: bool) -> float:
    w = 1 / (v + tau2)
    information = (projection(x, w) ** 2).sum() if restricted else (w**2).sum()
    return float(np.sqrt(2 / information)) if information > 0 else np.nan


def _paule_mandel(x, te, v, method: str) -> tuple[float, float]:
    """Find the tau2 at which the generalised Q equals its expectation k - p, with its standard error."""
    k, df = len(te), len(te) - x.shape[1]

    def excess(tau2: float) -> float:
        return float(fit_at(x, te, v, tau2).q[0]) - df

    tau2 = 0.0
    if excess(0.0) > 0:
        high = float(fit_at(x, te, np.ones(k), 0.0).q[0]) / df
        while excess(high) > 0:
            high *= 2
        tau2 = scipy.optimize.brentq(excess, 0.0, high, xtol=1e-15 * high, rtol=1e-14)
    return float(tau2), float(np.sqrt(2 * k**2 / df) / (1 / (v + tau2)).sum())


def _moments(x, te, v, method: str) -> tuple[float, float]:
    k, df = len(te), len(te) - x.shape[1]
    if method == "DL":
        fit = fit_at(x, te, v, 0.0)
        p = projection(x, 1 / v)
        tau2, scale, core = float(tau2_dl(x, fit, df)[0]), np.trace(p), 2.0 * df
        spread = 4 * tau2 * np.trace(p) + 2 * tau2**2 * (p**2).sum()
    elif method == "HS":
        p, scale = projection(x, 1 / v), (1 / v).sum()
        tau2 = max(0.0, (float(fit_at(x, te, v, 0.0).q[0]) - k) / scale)
        core, spread = 2.0 * df, 4 * tau2 * np.trace(p) + 2 * tau2**2 * (p**2).sum()
    else:
        start = 1.0 if method == "HE" else float(te.var())
        if start == 0:
            return 0.0, np.nan
        weight = np.ones(k) if method == "HE" else 1 / (v / start + 1)
        p, scale = projection(x, weight), float(df)
        q = max(0.0, float(te @ p @ te))
        tau2 = max(0.0, (q - np.trace(p * v)) / df) if method == "HE" else q / df
        weighted = p * v  # column j times v_j
        core, spread = 2 * (weighted * weighted.T).sum(), 4 * tau2 * (p @ weighted).trace() + 2 * tau2**2 * (p**2).sum()
    return tau2, float(np.sqrt(core + spread) / scale)


def full_log_likelihood(x: np.ndarray, te: np.ndarray, v: np.ndarray, tau2: float, *, restricted: bool) -> float:
    """Compute the log-likelihood with all constants, under REML including + log|x'x| / 2."""
    value = float(log_likelihood(fit_at(x, te, v, tau2), restricted=restricted)[0])
    return value + (np.linalg.slogdet(x.T @ x)[1] / 2 if restricted else 0.0)
