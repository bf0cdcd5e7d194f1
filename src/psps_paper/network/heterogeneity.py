"""Between-study variance, Q and I2 on independent rows ``y ~ N(x b, d + tau2)``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

# Relative change of tau2 at which the likelihood search stops.
TAU2_PRECISION = 1e-13
MAX_STEPS = 500


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """Weighted least squares of B data sets.

    Attributes
    ----------
    w, residual : ndarray [B x N]
    cov : ndarray [B x p x p]
        Of ``b``, the inverse of ``x' w x``.
    b : ndarray [B x p]
    q : ndarray [B]
        Weighted sum of squared residuals.
    """

    w: np.ndarray
    residual: np.ndarray
    cov: np.ndarray
    b: np.ndarray
    q: np.ndarray


def weighted_cross(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """x' diag(w) x for B sets of weights."""
    return (x.swapaxes(-1, -2) * w[:, None, :]) @ x


def least_squares(x: np.ndarray, y: np.ndarray, d: np.ndarray, tau2: np.ndarray) -> LeastSquares:
    """Fit B data sets with weights ``1 / (d + tau2)``.

    Parameters
    ----------
    x : ndarray [N x p] or [B x N x p]
    y, d : ndarray [B x N]
    tau2 : ndarray [B]
    """
    w = 1 / (d + tau2[:, None])
    weighted = x.swapaxes(-1, -2) * w[:, None, :]
    cov = np.linalg.inv(weighted @ x)
    cov = (cov + cov.swapaxes(-1, -2)) / 2  # symmetric to the last digit
    b = cov @ (weighted @ y[:, :, None])
    residual = y - (x @ b)[:, :, 0]
    return LeastSquares(w, residual, cov, b[:, :, 0], (w * residual**2).sum(axis=1))


def tau2_dl(x: np.ndarray, common: LeastSquares, df: int) -> np.ndarray:
    """Generalised DerSimonian-Laird estimate of each data set; 0 without degrees of freedom.

    Source: Jackson, White & Riley 2012, in the univariate form for networks; DerSimonian &
    Laird 1986 for two treatments.  Checked against: netmeta 2.8-2 netmeta(method.tau = "DL").
    """
    if df == 0:
        return np.zeros(len(common.q))
    w = common.w
    trace = w.sum(axis=1) - (common.cov * weighted_cross(x, w**2)).sum(axis=(1, 2))
    return np.maximum(0.0, (common.q - df) / trace)


def tau2_likelihood(
    x: np.ndarray, y: np.ndarray, d: np.ndarray, start: np.ndarray, *, restricted: bool
) -> np.ndarray:
    """REML or ML estimate of each data set.

    Fisher scoring inside a bracket of the score's root, so that it cannot diverge; 0 where the
    likelihood falls from 0 on.

    Parameters
    ----------
    start : ndarray [B]
        First guess.
    restricted : bool
        REML where true, ML where false.

    Raises
    ------
    RuntimeError
        No convergence.

    Source: Harville 1977 (score and information); Jackson, White & Riley 2012 for networks.
    Checked against: metafor 3.8-1 rma.mv(), correlation 1/2 within multi-arm studies.
    """
    if y.shape[1] <= x.shape[-1]:
        return np.zeros(len(y))
    tau2 = np.zeros(len(y))
    active = np.flatnonzero(_score(x, y, d, tau2, restricted=restricted)[0] > 0)
    if active.size == 0:
        return tau2
    pick = (lambda index: x) if x.ndim == 2 else (lambda index: x[index])
    low = np.zeros(active.size)
    high = np.maximum(start[active], d[active].mean(axis=1))
    for _ in range(MAX_STEPS):
        score = _score(pick(active), y[active], d[active], high, restricted=restricted)[0]
        if (score <= 0).all():
            break
        low = np.where(score > 0, high, low)
        high = np.where(score > 0, 4 * high, high)
    guess = np.clip(start[active], low, high)
    for _ in range(MAX_STEPS):
        score, information = _score(
            pick(active), y[active], d[active], guess, restricted=restricted
        )
        low = np.where(score > 0, guess, low)
        high = np.where(score > 0, high, guess)
        step = guess + score / information
        step = np.where((step >= low) & (step <= high), step, (low + high) / 2)
        done = np.abs(step - guess) <= TAU2_PRECISION * step
        tau2[active] = step
        if done.all():
            return tau2
        active, low, high, guess = active[~done], low[~done], high[~done], step[~done]
    raise RuntimeError(
        f"tau2: the likelihood search did not converge in {MAX_STEPS} steps for "
        f"{active.size} data set(s)"
    )


def _score(
    x: np.ndarray, y: np.ndarray, d: np.ndarray, tau2: np.ndarray, *, restricted: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Derivative of the log-likelihood by tau2 and its expected information."""
    fit = least_squares(x, y, d, tau2)
    w = fit.w
    trace, information = w.sum(axis=1), (w**2).sum(axis=1)
    if restricted:
        hat = fit.cov @ weighted_cross(x, w**2)
        trace = trace - np.trace(hat, axis1=1, axis2=2)
        cube = (fit.cov * weighted_cross(x, w**3)).sum(axis=(1, 2))
        information = information - 2 * cube + (hat * hat.swapaxes(1, 2)).sum(axis=(1, 2))
    return (((w * fit.residual) ** 2).sum(axis=1) - trace) / 2, information / 2


def log_likelihood(fit: LeastSquares, *, restricted: bool) -> np.ndarray:
    """Log-likelihood of each data set's rows, restricted without the constant log|x'x| / 2."""
    n, p = fit.w.shape[1], fit.b.shape[1]
    value = fit.q - np.log(fit.w).sum(axis=1)
    if restricted:
        value = value - np.linalg.slogdet(fit.cov)[1]
        n -= p
    return -(value + n * np.log(2 * np.pi)) / 2


def i_squared(q: np.ndarray, df: int, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """I2 and its test-based interval, as fractions.

    Parameters
    ----------
    q : ndarray [B]
    df : int
        Degrees of freedom of Q; with 0 all is NaN, with 1 the limits are NaN.
    level : float

    Source: Higgins & Thompson 2002, I2 with the test-based interval of H.
    Checked against: netmeta 2.8-2.
    """
    q = np.asarray(q, float)
    unknown = np.full(q.shape, np.nan)
    if df == 0:
        return unknown, unknown, unknown
    safe = np.maximum(q, np.finfo(float).tiny)
    i2 = np.maximum(0.0, 1 - df / safe)
    if df == 1:
        return i2, unknown, unknown
    log_h = np.log(np.maximum(1.0, safe / df)) / 2
    se_many = (np.log(safe) - np.log(df)) / (2 * (np.sqrt(2 * safe) - np.sqrt(2 * df - 1)))
    se_few = np.sqrt(1 / (2 * (df - 1)) * (1 - 1 / (3 * (df - 1) ** 2)))
    reach = special.ndtri((1 + level) / 2) * np.where(q > df + 1, se_many, se_few)
    lower, upper = (1 - np.exp(-2 * np.maximum(0.0, log_h + side * reach)) for side in (-1, 1))
    return i2, lower, upper


def p_of_q(q: np.ndarray, df: int) -> np.ndarray:
    """Upper tail of chi-squared; NaN without degrees of freedom."""
    return special.chdtrc(df, np.maximum(q, 0.0)) if df > 0 else np.full(np.shape(q), np.nan)
