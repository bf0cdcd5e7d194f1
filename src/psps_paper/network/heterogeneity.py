"""Between-study variance, Q and I2 on independent rows ``y ~ N(x b, d + tau2)``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

# From this ratio of weights, the trace in DL is computed by QR: a difference of sums would lose
# precision with the square of the ratio.
UNEVEN = 1e3


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """Weighted least squares of B data sets.

    Attributes
    ----------
    w, residual : ndarray [B x N]
    cov : ndarray [B x p x p]
        Covariance of ``b``, the inverse of ``x' w x``.
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
    """Compute x' diag(w) x for B sets of weights."""
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
    cov = (cov + cov.swapaxes(-1, -2)) * 0.5  # symmetric to the last digit
    b = cov @ (weighted @ y[:, :, None])
    residual = y - (x @ b)[:, :, 0]
    return LeastSquares(w, residual, cov, b[:, :, 0], (w * residual * residual).sum(axis=1))


def tau2_dl(x: np.ndarray, common: LeastSquares, df: int) -> np.ndarray:
    """Compute the generalised DerSimonian-Laird estimate of each data set; 0 without degrees of freedom.

    Source: Jackson, White & Riley 2012, in the univariate form for networks; DerSimonian &
    Laird 1986 for two treatments.  Checked against: netmeta 2.8-2 netmeta(method.tau = "DL").
    """
    if df == 0:
        return np.zeros(len(common.q))
    w = common.w
    trace = w.sum(axis=1) - (common.cov * weighted_cross(x, w * w)).sum(axis=(1, 2))
    if w.max() > UNEVEN * w.min():
        uneven = w.max(axis=1) > UNEVEN * w.min(axis=1)
        w = w[uneven]
        basis = np.linalg.qr(np.sqrt(w)[:, :, None] * (x if x.ndim == 2 else x[uneven]))[0]
        trace[uneven] = (w * (1 - (basis**2).sum(axis=2))).sum(axis=1)
    return np.maximum(0.0, (common.q - df) / trace)


def log_likelihood(fit: LeastSquares, *, restricted: bool) -> np.ndarray:
    """Compute the log-likelihood of each data set's rows; if restricted, without the constant log|x'x| / 2."""
    n, p = fit.w.shape[1], fit.b.shape[1]
    value = fit.q - np.log(fit.w).sum(axis=1)
    if restricted:
        value = value - np.linalg.slogdet(fit.cov)[1]
        n -= p
    return -(value + n * np.log(2 * np.pi)) / 2


def i_squared(q: float | np.ndarray, df: float | np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute I2 and its test-based interval, as fractions.

    Parameters
    ----------
    q : float or ndarray [B]
    df : float or ndarray that broadcasts with q
        Degrees of freedom of Q; with 0 all three are NaN, with 1 the limits are NaN.
    level : float

    Source: Higgins & Thompson 2002, I2 with the test-based interval of H.
    Checked against: netmeta 2.8-2.
    """
    df = _more_than(df, 0)
    at_least = np.maximum(q, df)
    i2 = 1 - df / at_least
    df = _more_than(df, 1)
    log_h2 = np.log(at_least / df)  # ln of H squared
    many = np.maximum(q, df + 1)
    se_many = np.log(many / df) / (np.sqrt(2 * many) - np.sqrt(2 * df - 1))
    se_few = 2 * np.sqrt(1 / (2 * (df - 1)) * (1 - 1 / (3 * (df - 1) ** 2)))
    reach = scipy.special.ndtri((1 + level) / 2) * np.where(q > df + 1, se_many, se_few)
    lower, upper = (-np.expm1(-np.maximum(0.0, limit)) for limit in (log_h2 - reach, log_h2 + reach))
    return i2, lower, upper


def _more_than(df: float | np.ndarray, least: int) -> float | np.ndarray:
    """Return the degrees of freedom, or NaN where they are not more than ``least``."""
    if np.ndim(df) == 0:
        return float(df) if df > least else np.nan
    return np.where(df > least, df, np.nan)


def p_of_q(q: float | np.ndarray, df: float) -> np.ndarray:
    """Compute the p-value of Q from chi-squared; NaN without degrees of freedom."""
    return scipy.special.chdtrc(df, np.maximum(q, 0.0)) if df > 0 else np.full(np.shape(q), np.nan)
