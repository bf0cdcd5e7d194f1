"""Many fits of one star network at once, in closed form and without tables, for the search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# tau2 at which likelihoods are compared before the last steps: few in a search, more for final results
_GRID, _FINE_GRID = (np.r_[0.0, np.geomspace(1e-4, 10.0, points)] for points in (30, 300))
_FEW = 4  # largest number of data sets for which the fine grid is used


@dataclass(frozen=True, eq=False)
class StarFits:
    """B fits of c comparisons with the hub.

    Attributes
    ----------
    te, variance, q : ndarray [B x c]
        Pooled contrasts, hub minus other; their variances; Q of each comparison.
    tau2 : ndarray [B]
    """

    te: np.ndarray
    variance: np.ndarray
    q: np.ndarray
    tau2: np.ndarray


def fit_stars(
    y: np.ndarray, d: np.ndarray, one_hot: np.ndarray, method: str, load: np.ndarray | None = None
) -> StarFits:
    """Fit B data sets of independent rows y ~ N(load te, d + tau2).

    Parameters
    ----------
    y, d : ndarray [B x m]
    one_hot : ndarray [m x c]
        Comparison of each row.
    method : {"DL", "REML", "ML"}
        The likelihoods are maximised over a grid, then by Newton steps between neighbouring points.
    load : ndarray [B x m], optional
        Ones, unless rows come from :func:`turn_correlated`.

    Source and oracle: as :func:`psps_paper.network.fit_networks`, against which it is tested.
    """
    load = np.ones_like(y) if load is None else load
    te, total, q = _pool(y, 1 / d, load, one_hot)
    if method == "DL":
        trace = (1 / d).sum(axis=1) - (((load / d) ** 2) @ one_hot / total).sum(axis=1)
        tau2 = np.maximum(0.0, (q.sum(axis=1) - (y.shape[1] - one_hot.shape[1])) / trace)
    else:
        tau2 = _most_likely(y, d, load, one_hot, restricted=method == "REML")
    te, total, _ = _pool(y, 1 / (d + tau2[:, None]), load, one_hot)
    return StarFits(te, 1 / total, q, tau2)


def _pool(
    y: np.ndarray, w: np.ndarray, load: np.ndarray, one_hot: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    total = (w * load**2) @ one_hot
    te = (w * load * y) @ one_hot / total
    return te, total, (w * (y - load * (te @ one_hot.T)) ** 2) @ one_hot


def _most_likely(
    y: np.ndarray, d: np.ndarray, load: np.ndarray, one_hot: np.ndarray, *, restricted: bool
) -> np.ndarray:
    grid = _FINE_GRID if len(y) <= _FEW else _GRID
    w = 1 / (d[:, None, :] + grid[:, None])  # [B x grid x m]
    total = (w * load[:, None] ** 2) @ one_hot
    te = ((w * load[:, None] * y[:, None]) @ one_hot) / total
    q = (w * (y[:, None] - load[:, None] * (te @ one_hot.T)) ** 2).sum(axis=2)
    loss = q - np.log(w).sum(axis=2) + (np.log(total).sum(axis=2) if restricted else 0.0)
    best = loss.argmin(axis=1)
    low, high = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, len(grid) - 1)]
    tau2 = grid[best]
    for _ in range(8):
        score, slope = _score(y, d, load, one_hot, tau2, restricted=restricted)
        low, high = np.where(score > 0, tau2, low), np.where(score > 0, high, tau2)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = tau2 - score / slope
        tau2 = np.where((step >= low) & (step <= high) & (slope < 0), step, (low + high) / 2)
    at_zero = (best == 0) & (_score(y, d, load, one_hot, np.zeros(len(y)), restricted=restricted)[0] <= 0)
    return np.where(at_zero, 0.0, tau2)


def _score(y, d, load, one_hot, tau2, *, restricted):
    """Compute twice the derivative of the log-likelihood in tau2, and its own derivative [B]."""
    w = 1 / (d + tau2[:, None])
    te, total, _ = _pool(y, w, load, one_hot)
    r = y - load * (te @ one_hot.T)
    cross = ((w**2 * load * r) @ one_hot) / total  # minus the derivative of te in tau2
    score = ((w * r) ** 2).sum(axis=1) - w.sum(axis=1)
    slope = -2 * (w**3 * r**2).sum(axis=1) + 2 * (total * cross**2).sum(axis=1) + (w**2).sum(axis=1)
    if restricted:
        square, cube = (w**2 * load**2) @ one_hot, (w**3 * load**2) @ one_hot
        score = score + (square / total).sum(axis=1)
        slope = slope + (-2 * cube / total + (square / total) ** 2).sum(axis=1)
    return score, slope


def turn_correlated(
    te: np.ndarray, se: np.ndarray, blocks: Sequence[np.ndarray], correlation: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Transform correlated estimates of studies to independent rows: y, d and load [B x m].

    Parameters
    ----------
    blocks : sequence of ndarray [studies x k]
        Rows of the studies with k estimates, for each k > 1.
    correlation : float
        Below 1; correlation both of sampling errors and of true effects.
    """
    y, d, load = te.copy(), se**2, np.ones_like(te)
    for rows in blocks:
        k = rows.shape[1]
        apart, together = (1 - correlation) ** -0.5, (1 + (k - 1) * correlation) ** -0.5
        whiten = apart * np.eye(k) + (together - apart) / k
        within = (1 - correlation) * np.eye(k) + correlation
        error = se[:, rows]
        values, vectors = np.linalg.eigh(whiten @ (error[..., :, None] * within * error[..., None, :]) @ whiten)
        turn = vectors.swapaxes(-1, -2) @ whiten
        y[:, rows] = (turn @ te[:, rows][..., None])[..., 0]
        d[:, rows], load[:, rows] = values, turn.sum(axis=-1)
    return y, d, load
