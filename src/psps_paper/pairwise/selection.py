"""Selection model: the probability of publication is a step function of the p-value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
import scipy

from psps_paper.effects.checks import choice
from psps_paper.network.reduction import real_numbers
from psps_paper.pairwise.between_variance import full_log_likelihood, tau2_of_regression
from psps_paper.pairwise.random_effects import study_estimates
from psps_paper.pairwise.results import Result, as_text, interval

Alternative = Literal["greater", "less"]
# Grid of the global search: means and tau in units of the data's spread, and the number of points refined.
MEANS, TAUS, POLISHED = 61, 24, 6
LOWEST = 1e-300
LARGEST_LOG_WEIGHT = 300.0


@dataclass(frozen=True, eq=False)
class SelectionModel(Result):
    """Result of :func:`selection_model`.

    Attributes
    ----------
    te, se, lower, upper, p : float
        Mean effect before selection.
    tau2, se_tau2 : float
    weights : ndarray (J,)
        Relative probability of publication in each interval of p-values: 1 in the first interval with a study; 0 in
        intervals without studies, where the likelihood increases towards this limit.
    intervals : DataFrame [upper, weight, se, studies]
        One row per interval: its upper end, its weight with standard error, and the number of studies.
    log_likelihood : float
    lrt, df_lrt, p_lrt : float, int, float
        Likelihood-ratio test against the ML model without selection.
    te_unadjusted, tau2_unadjusted, log_likelihood_unadjusted : float
    alternative : str
    maxima : tuple of (te, tau2, log_likelihood)
        The different local maxima that the search found, highest first.
    k : int
    """

    te: float
    se: float
    lower: float
    upper: float
    p: float
    tau2: float
    se_tau2: float
    weights: np.ndarray
    intervals: pd.DataFrame
    log_likelihood: float
    lrt: float
    df_lrt: int
    p_lrt: float
    te_unadjusted: float
    tau2_unadjusted: float
    log_likelihood_unadjusted: float
    alternative: str
    maxima: tuple[tuple[float, float, float], ...]
    k: int

    @property
    def title(self) -> str:
        return f"Selection model (steps of the one-sided p-value, alternative {self.alternative}), {self.k} studies"

    def summary(self) -> str:
        """Format numbers and weights as text."""
        shown = {n: x for n, x in self.numbers().items() if n not in ("alternative", "k")}
        lines = [self.title, "", *(f"{n:<26}{as_text(x)}" for n, x in shown.items())]
        return "\n".join([*lines, "", self.intervals.to_string(float_format=as_text)])


@dataclass(frozen=True, eq=False)
class _Steps:
    """The likelihood, with te signed so that selection favours high values and scaled by the data's spread.

    ``bounds`` [k x (J + 1)] are the values of te at the ends of the intervals, from high to low.
    """

    y: np.ndarray
    v: np.ndarray
    group: np.ndarray
    bounds: np.ndarray
    free: np.ndarray  # intervals with estimated weights, without the reference
    fixed: np.ndarray  # fixed log weights, or starting values

    def shares(self, mu: np.ndarray, tau: np.ndarray) -> np.ndarray:
        """Compute the probability of each interval for each study at G points [G x k x J]."""
        sd = np.sqrt(self.v + tau[:, None] ** 2)
        z = (self.bounds - mu[:, None, None]) / sd[..., None]
        high, low = z[..., :-1], z[..., 1:]
        ndtr = scipy.special.ndtr
        # Use the smaller tail, which keeps its precision.
        return np.where(low > 0, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))

    def density(self, mu: np.ndarray, tau: np.ndarray) -> np.ndarray:
        total = self.v + tau[:, None] ** 2
        return -0.5 * (np.log(2 * np.pi * total) + (self.y - mu[:, None]) ** 2 / total).sum(axis=1)

    def profile(self, mu: np.ndarray, tau: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Maximise the log-likelihood over the log weights [G x J], a concave problem."""
        shares = self.shares(mu, tau)
        log_weight = np.broadcast_to(self.fixed, (len(mu), len(self.fixed))).copy()
        counts = np.bincount(self.group, minlength=len(self.fixed)).astype(float)
        value = self._selection(shares, log_weight, counts)
        for _ in range(30 if len(self.free) else 0):
            part = np.exp(log_weight)[:, None, :] * shares
            part = part / np.maximum(part.sum(axis=2, keepdims=True), LOWEST)
            mine = part[..., self.free]
            gradient = counts[self.free] - mine.sum(axis=1)
            hessian = np.einsum("gki,gkj->gij", mine, mine) - np.eye(len(self.free)) * mine.sum(axis=1)[:, None, :]
            ridge = 1e-10 * np.eye(len(self.free))
            step = np.clip(np.linalg.solve(ridge - hessian, gradient[..., None])[..., 0], -2.0, 2.0)
            share = np.ones(len(mu))
            for _ in range(20):
                trial = log_weight.copy()
                trial[:, self.free] = np.clip(trial[:, self.free] + share[:, None] * step, -60.0, 60.0)
                new = self._selection(shares, trial, counts)
                worse = new < value - 1e-13 * (1 + np.abs(value))
                if not worse.any():
                    break
                share = np.where(worse, share / 2, share)
            moved = np.abs(trial[:, self.free] - log_weight[:, self.free]).max()
            better = new >= value - 1e-13 * (1 + np.abs(value))
            log_weight = np.where(better[:, None], trial, log_weight)
            value = np.where(better, new, value)
            if moved < 1e-4:  # good enough to start from
                break
        return value + self.density(mu, tau), log_weight

    def _selection(self, shares, log_weight, counts) -> np.ndarray:
        weight = np.exp(log_weight)
        total = np.log(np.maximum((shares * weight[:, None, :]).sum(axis=2), LOWEST)).sum(axis=1)
        return (counts * np.where(counts > 0, log_weight, 0.0)).sum(axis=1) - total

    def gradient(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """Compute minus the log-likelihood and its gradient in mu, tau and the free log weights."""
        mu, tau = point[:1], point[1:2]
        log_weight = self.fixed.copy()
        log_weight[self.free] = np.minimum(point[2:], LARGEST_LOG_WEIGHT)
        weight, shares = np.exp(log_weight), self.shares(mu, tau)[0]
        total = self.v + tau**2
        sd = np.sqrt(total)
        chance = np.maximum(shares @ weight, LOWEST)
        z = (self.bounds - mu) / sd[:, None]
        density = np.exp(-np.minimum(z**2, 1400.0) / 2) / np.sqrt(2 * np.pi)
        slope = np.where(np.isfinite(z), z, 0.0) * density
        by_mu = -(density[:, :-1] - density[:, 1:]) @ weight / sd / chance
        by_total = -(slope[:, :-1] - slope[:, 1:]) @ weight / (2 * total) / chance
        residual = self.y - mu
        counts = np.bincount(self.group, minlength=len(weight))
        value = self.density(mu, tau)[0] + log_weight[self.group].sum() - np.log(chance).sum()
        d_mu = (residual / total).sum() - by_mu.sum()
        d_total = ((residual**2 / total - 1) / (2 * total)).sum() - by_total.sum()
        d_weight = counts - (shares * weight / chance[:, None]).sum(axis=0)
        return -float(value), -np.concatenate([[d_mu], 2 * tau * d_total, d_weight[self.free]])


def _interval_ends(steps: Sequence[float], weights: Sequence[float] | None) -> np.ndarray:
    ends = np.atleast_1d(real_numbers(steps, f"steps: {steps!r} are not numbers"))
    if ends.ndim != 1 or not ends.size or not ((ends > 0) & (ends <= 1)).all() or not (np.diff(ends) > 0).all():
        raise ValueError(f"steps: {list(ends)} are not p-values above 0 and at most 1 in ascending order")
    ends = ends if ends[-1] == 1 else np.append(ends, 1.0)
    if len(ends) < 2:
        raise ValueError("steps: at least one step below 1 is needed")
    if weights is not None:
        given = np.asarray(weights, float)
        if given.shape != ends.shape or not (np.isfinite(given) & (given > 0)).all():
            raise ValueError(f"weights: {list(given)} are not {len(ends)} numbers above 0, one for each interval")
    return ends


def selection_model(
    te,
    se,
    steps: Sequence[float] = (0.025,),
    alternative: Alternative = "greater",
    *,
    weights: Sequence[float] | None = None,
    level: float = 0.95,
) -> SelectionModel:
    """Fit a random-effects selection model, with publication a step function of the p-value, by maximum likelihood.

    Parameters
    ----------
    te, se : array (k,)
        At least three studies.
    steps : sequence of float
        Upper ends of the intervals of the one-sided p-value, ascending; 1 is added. A p-value equal to an end belongs
        to the interval below it.
    alternative : {"greater", "less"}
        Direction of significant results.
    weights : sequence of float, optional
        Fixed relative probabilities of publication, one for each interval, instead of estimated ones: a
        sensitivity analysis if there are too few studies to estimate them.
    level : float

    Returns
    -------
    SelectionModel
        The global maximum. At each point of a grid over mean and tau the weights solve a concave problem; Newton's
        method starts from the best points.

    Raises
    ------
    ValueError
        Also if the likelihood is unbounded, as it may be with all studies in one interval.

    Source: Vevea & Hedges 1995; Vevea & Woods 2005 (fixed weights); Hedges 1992.
    Checked against: metafor 3.8-1 selmodel(type = "stepfun"), and an independent search from twelve starts.

    Examples
    --------
    >>> fit = selection_model([0.5, 0.4, 0.3, 0.25, 0.1, 0.6], [0.2, 0.15, 0.12, 0.11, 0.1, 0.28])
    >>> fit.intervals["studies"].tolist()
    [5, 1]
    """
    te, se = study_estimates(te, se, at_least=3)
    choice(alternative, "alternative", get_args(Alternative))
    ends = _interval_ends(steps, weights)
    sign = 1.0 if alternative == "greater" else -1.0
    p = scipy.special.ndtr(-sign * te / se)
    group = np.searchsorted(ends, p, side="left").clip(max=len(ends) - 1)
    counts = np.bincount(group, minlength=len(ends))
    # A common scale for all data sets; the result is transformed back below.
    unit = float(max(np.median(se), np.ptp(te) / 4))
    y, s = sign * te / unit, se / unit
    fixed = np.where(counts > 0, 0.0, -np.inf) if weights is None else np.log(np.asarray(weights, float))
    free = np.flatnonzero(counts > 0)[1:] if weights is None else np.empty(0, int)
    bounds = np.append(np.inf, -scipy.special.ndtri(ends)) * s[:, None]
    model = _Steps(y, s**2, group, bounds, free, fixed)
    return _fit(model, te, se, ends, counts, sign, unit, alternative, weights, level)


def _fit(model: _Steps, te, se, ends, counts, sign, unit, alternative, weights, level: float) -> SelectionModel:
    maxima = _search(model)
    point, value = maxima[0]
    k = len(te)
    tau = abs(point[1])
    errors = _errors(model, point)
    shift = k * np.log(unit)
    plain = tau2_of_regression(np.full((k, 1), k**-0.5), te, se**2, "ML").tau2
    w = 1 / (se**2 + plain)
    unadjusted = full_log_likelihood(np.ones((k, 1)), te, se**2, plain, restricted=False)
    log_weight = model.fixed.copy()
    log_weight[model.free] = point[2:]
    weight = np.exp(log_weight)
    se_weight = np.full(len(weight), np.nan)
    se_weight[model.free] = weight[model.free] * errors[2:]
    table = pd.DataFrame({"upper": ends, "weight": weight, "se": se_weight, "studies": counts})
    te_mean, te_error = float(sign * unit * point[0]), float(unit * errors[0])
    lrt, df = max(0.0, 2 * (value - shift - unadjusted)), len(model.fixed) - 1
    return SelectionModel(
        te_mean,
        te_error,
        *interval(te_mean, te_error, level),
        float((unit * tau) ** 2),
        float(2 * unit**2 * tau * errors[1]) if tau > 0 else np.nan,
        weight,
        table,
        value - shift,
        lrt if weights is None else np.nan,
        df if weights is None else 0,
        float(scipy.special.chdtrc(df, lrt)) if weights is None else np.nan,
        float((w * te).sum() / w.sum()),
        plain,
        unadjusted,
        alternative,
        tuple((float(sign * unit * x[0]), float((unit * x[1]) ** 2), f - shift) for x, f in maxima),
        k,
    )


def _search(model: _Steps) -> list[tuple[np.ndarray, float]]:
    """Find local maxima, highest first, from the best points of a grid over mean and tau."""
    reach = 4 * np.ptp(model.y) + 8 * np.sqrt(model.v.max())
    means = model.y.mean() + reach * np.linspace(-1, 1, MEANS) ** 3
    taus = np.concatenate([[0.0], np.geomspace(0.02, 4 * (1 + np.ptp(model.y)), TAUS - 1)])
    mu, tau = (grid.ravel() for grid in np.meshgrid(means, taus, indexing="ij"))
    value, log_weight = model.profile(mu, tau)
    table = np.pad(value.reshape(MEANS, TAUS), 1, constant_values=-np.inf)
    around = [table[1 + i : MEANS + 1 + i, 1 + j : TAUS + 1 + j] for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
    peak = (table[1:-1, 1:-1] >= np.max(around, axis=0)).ravel()
    candidates = np.flatnonzero(peak)
    candidates = candidates[np.argsort(-value[candidates])][:POLISHED]
    found: list[tuple[np.ndarray, float]] = []
    for i in candidates:
        start = np.concatenate([[mu[i], tau[i]], log_weight[i, model.free]])
        for free_tau in (False, True):
            point, height = _polish(model, start, free_tau=free_tau)
            if np.abs(point[0] - model.y.mean()) >= 0.98 * reach:
                continue
            if all(abs(height - f) > 1e-9 or np.abs(point[:2] - x[:2]).max() > 1e-4 for x, f in found):
                found.append((point, height))
    found.sort(key=lambda item: -item[1])
    if not found or found[0][1] < value.max() - 1e-6:
        raise ValueError("te: the likelihood of this selection model is unbounded, so there is no estimate")
    return [item for item in found if _is_maximum(model, item[0])] or found[:1]


def _is_maximum(model: _Steps, point: np.ndarray) -> bool:
    """Return whether the likelihood decreases with tau at tau = 0; refined points elsewhere are maxima already."""
    if point[1] > 0:
        return True
    nearby = point.copy()
    nearby[1] = 1e-3
    return model.gradient(nearby)[0] >= model.gradient(point)[0]


def _polish(model: _Steps, start: np.ndarray, *, free_tau: bool) -> tuple[np.ndarray, float]:
    """Refine a point by quasi-Newton steps, then Newton steps with differences of the gradient."""
    keep = np.array([i for i in range(len(start)) if free_tau or i != 1])
    point = start.copy()
    point[1] = max(point[1], 0.05) if free_tau else 0.0

    def run(x: np.ndarray) -> tuple[float, np.ndarray]:
        whole = point.copy()
        whole[keep] = x
        value, gradient = model.gradient(whole)
        return value, gradient[keep]

    x = scipy.optimize.minimize(run, point[keep], jac=True, method="BFGS", options={"gtol": 1e-7, "maxiter": 500}).x
    for _ in range(8):
        value, gradient = run(x)
        hessian = _hessian(lambda z: run(z)[1], x)
        if not np.isfinite(hessian).all() or np.linalg.eigvalsh(hessian)[0] <= 1e-10:
            break
        step = -np.linalg.solve(hessian, gradient)
        if np.abs(step).max() > 0.5 or run(x + step)[0] > value + 1e-12 * (1 + abs(value)):
            break
        x = x + step
        if np.abs(step).max() < 1e-13:
            break
    point[keep] = x
    point[1] = abs(point[1]) if abs(point[1]) > 1e-6 else 0.0
    return point, -model.gradient(point)[0]


def _hessian(gradient, x: np.ndarray) -> np.ndarray:
    """Compute the Hessian by fourth-order differences of a gradient, symmetrised."""
    rows, h = [], 1e-3
    for i in range(len(x)):
        e = np.zeros(len(x))
        e[i] = h
        near, far = gradient(x + e) - gradient(x - e), gradient(x + 2 * e) - gradient(x - 2 * e)
        rows.append((8 * near - far) / (12 * h))
    hessian = np.array(rows)
    return (hessian + hessian.T) / 2


def _errors(model: _Steps, point: np.ndarray) -> np.ndarray:
    """Compute the standard errors of mean, tau and log weights, without tau if it is 0."""
    keep = np.array([i for i in range(len(point)) if i != 1 or point[1] > 0])

    def gradient(x: np.ndarray) -> np.ndarray:
        whole = point.copy()
        whole[keep] = x
        return model.gradient(whole)[1][keep]

    hessian = _hessian(gradient, point[keep])
    errors = np.full(len(point), np.nan)
    if np.linalg.eigvalsh(hessian)[0] <= 1e-9:
        raise ValueError("te: the likelihood of this selection model is flat at its maximum; use fewer steps")
    errors[keep] = np.sqrt(np.diag(np.linalg.inv(hessian)))
    return errors
