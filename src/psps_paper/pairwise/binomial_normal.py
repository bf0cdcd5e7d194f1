"""Exact likelihoods of counts with normal random effects, and their global maximum.

Given tau, the log-likelihood is concave in all other parameters, because a log-concave likelihood integrated
over a normal distribution stays log-concave (Prékopa 1973). So a search over all values of tau finds the global
maximum.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal, get_args

import numpy as np
import scipy

from psps_paper.effects.checks import choice, numbers, require
from psps_paper.pairwise.rare_events import informative, two_groups
from psps_paper.pairwise.results import Result, interval

Model = Literal["conditional", "approximate", "unconditional"]
NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(26)
# The integral stops where the integrand has fallen by this many log units.
CUT = 42.0
# Range of log odds over which the likelihood of a study without events falls from flat to negligible.
EDGE = 6.0
TAU_GRID = np.concatenate([[0.0], np.geomspace(0.02, 60.0, 34)])
# Step of the table of the hypergeometric normalising sum, in log odds.
STEP = 0.05
# Largest numbers: of events in sums over tables, and of other counts.
LARGEST_EXACT, LARGEST_COUNT = 1e5, 1e9


@dataclass(frozen=True, eq=False)
class BinomialNormalFit(Result):
    """Result of :func:`binomial_normal` and :func:`binomial_normal_proportion`.

    Attributes
    ----------
    model, measure : str
    te, se, lower, upper, p : float
        Maximum likelihood estimate (log ratio, or logit of a proportion), Wald interval and test of 0.
    tau2 : float
        Between-study variance; it can be 0.
    log_likelihood : float
        With all constants.
    te_common, se_common, log_likelihood_common : float
        The same model at tau2 = 0.
    q, df_q, p_q : float
        Likelihood-ratio test of a common effect against a separate effect for each study.
    k, k_used : int
        Numbers of studies given, and of studies whose likelihood depends on the effect.
    maxima : tuple of (tau2, te, log_likelihood)
        All local maxima along tau2, highest first.
    """

    model: str
    measure: str
    te: float
    se: float
    lower: float
    upper: float
    p: float
    tau2: float
    log_likelihood: float
    te_common: float
    se_common: float
    log_likelihood_common: float
    q: float
    df_q: int
    p_q: float
    k: int
    k_used: int
    maxima: tuple[tuple[float, float, float], ...]

    @property
    def title(self) -> str:
        return f"Exact likelihood, random effects: {self.model}, {self.measure}, {self.k_used} of {self.k} studies"


def _log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    gammaln = scipy.special.gammaln
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


class _Logistic:
    """Likelihood of x successes out of m, with log odds eta + offset."""

    nuisance = False

    def __init__(self, x, m, offset):
        self.x, self.m, self.offset = x, m, offset
        self.constant = _log_choose(m, x)

    def of(self, eta: np.ndarray, alpha=None) -> tuple[np.ndarray, ...]:
        """Compute the log-likelihood [k x N] and its first two derivatives with respect to eta."""
        z = eta + self.offset[:, None]
        p = scipy.special.expit(z)
        m = self.m[:, None]
        value = self.x[:, None] * z - m * np.logaddexp(0, z) + self.constant[:, None]
        return value, self.x[:, None] - m * p, -m * p * (1 - p)

    def saturated(self) -> float:
        """Return the sum of the studies' own maxima."""
        x, m = self.x, self.m
        own = scipy.special.xlogy(x, x / m) + scipy.special.xlogy(m - x, (m - x) / m)
        return float((own + self.constant).sum())


class _Hypergeometric:
    """Likelihood of the events of group 1 given both margins, with log odds ratio eta."""

    nuisance = False

    def __init__(self, events, size):
        (x1, x2), (n1, n2) = np.round(events), np.round(size)
        self.x, m = x1, x1 + x2
        self.low, self.high = np.maximum(0, m - n2), np.minimum(m, n1)
        reach = 15 + np.log(n1.max() * n2.max() + 1)
        self.half = int(np.ceil(reach / STEP))
        grid = STEP * np.arange(-self.half, self.half + 1)
        self.table = np.empty((3, len(x1), len(grid)))
        self.constant = _log_choose(n1, x1) + _log_choose(n2, x2)
        for i in range(len(x1)):
            support = np.arange(self.low[i], self.high[i] + 1)
            weight = _log_choose(n1[i], support) + _log_choose(n2[i], m[i] - support)
            for start in range(0, len(grid), max(1, 2_000_000 // len(support))):
                part = slice(start, start + max(1, 2_000_000 // len(support)))
                self.table[:, i, part] = _cumulants(weight, support, grid[part])

    def of(self, eta: np.ndarray, alpha=None) -> tuple[np.ndarray, ...]:
        """Interpolate the log-likelihood [k x N] and its first two derivatives in eta (quintic Hermite)."""
        end = self.half * STEP
        inside = np.clip(eta, -end, end)
        position = np.minimum(((inside + end) / STEP).astype(int), 2 * self.half - 1)
        t = (inside + end) / STEP - position
        rows = np.arange(len(self.x))[:, None]
        corners = [self.table[:, rows, position + side] for side in (0, 1)]
        normaliser, slope, curvature = _quintic(t, *corners)
        # Beyond the table one end of the support has all the probability, and the log of the sum is linear.
        normaliser = normaliser + slope * (eta - inside)
        return self.x[:, None] * eta + self.constant[:, None] - normaliser, self.x[:, None] - slope, -curvature

    def saturated(self) -> float:
        """Return the sum of the studies' own maxima, each 0 if x is at an end of its support."""
        total = 0.0
        for i, x in enumerate(self.x):
            if self.low[i] < x < self.high[i]:
                eta = scipy.optimize.brentq(partial(self._slope, i), -self.half * STEP, self.half * STEP)
                total += self._one(i, eta)[0]
        return float(total)

    def _one(self, i: int, eta: float) -> tuple[float, float]:
        value, slope, _ = self.of(np.full((len(self.x), 1), eta))
        return float(value[i, 0]), float(slope[i, 0])

    def _slope(self, i: int, eta: float) -> float:
        return self._one(i, eta)[1]


def _cumulants(weight: np.ndarray, support: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Compute the log of the sum of exp(weight + support grid), and its first two derivatives."""
    exponent = weight[None, :] + np.outer(grid, support)
    top = exponent.max(axis=1, keepdims=True)
    p = np.exp(exponent - top)
    total = p.sum(axis=1)
    p /= total[:, None]
    mean = p @ support
    return np.stack([top[:, 0] + np.log(total), mean, (p * (support - mean[:, None]) ** 2).sum(axis=1)])


def _quintic(t: np.ndarray, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, ...]:
    """Interpolate on a step (Hermite): value, first and second derivative at the fraction t of the step."""
    f0, g0, h0 = left[0], left[1] * STEP, left[2] * STEP**2
    f1, g1, h1 = right[0], right[1] * STEP, right[2] * STEP**2
    rise = f1 - f0
    c3 = 10 * rise - 6 * g0 - 4 * g1 - 1.5 * h0 + 0.5 * h1
    c4 = -15 * rise + 8 * g0 + 7 * g1 + 1.5 * h0 - h1
    c5 = 6 * rise - 3 * g0 - 3 * g1 - 0.5 * h0 + 0.5 * h1
    value = f0 + t * (g0 + t * (h0 / 2 + t * (c3 + t * (c4 + t * c5))))
    slope = g0 + t * (h0 + t * (3 * c3 + t * (4 * c4 + t * 5 * c5)))
    curvature = h0 + t * (6 * c3 + t * (12 * c4 + t * 20 * c5))
    return value, slope / STEP, curvature / STEP**2


class _TwoArms:
    """Likelihood of both groups' counts, with an intercept alpha per study and the effect split as +eta/2, -eta/2."""

    nuisance = True

    def __init__(self, events, size, *, time: bool):
        self.events, self.size, self.time = events, size, time
        if time:
            constant = scipy.special.xlogy(events, size) - scipy.special.gammaln(events + 1)
        else:
            constant = _log_choose(size, events)
        self.constant = constant.sum(axis=0)

    def of(self, eta: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute the log-likelihood [k x N] and its derivatives in eta and alpha: first, then second (pure, mixed)."""
        value, first, second = self.constant[:, None] + 0 * eta, [], []
        for sign, x, n in zip((0.5, -0.5), self.events[:, :, None], self.size[:, :, None], strict=True):
            z = np.clip(alpha[:, None] + sign * eta, -700, 700)
            if self.time:
                mean = n * np.exp(z)
                value = value + x * z - mean
                spread = mean
            else:
                p = scipy.special.expit(z)
                mean, spread = n * p, n * p * (1 - p)
                value = value + x * z - n * np.logaddexp(0, z)
            first.append(x - mean)
            second.append(-spread)
        d, dd = (first[0] - first[1]) / 2, (second[0] + second[1]) / 4
        return value, d, dd, first[0] + first[1], second[0] + second[1], (second[0] - second[1]) / 2

    def start(self) -> np.ndarray:
        if self.time:
            return np.log((self.events.sum(axis=0)) / self.size.sum(axis=0))
        p = (self.events.sum(axis=0) + 0.5) / (self.size.sum(axis=0) + 1)
        return scipy.special.logit(p)

    def saturated(self) -> float:
        x, n = self.events, self.size
        if self.time:
            own = scipy.special.xlogy(x, x / n) - x
        else:
            own = scipy.special.xlogy(x, x / n) + scipy.special.xlogy(n - x, (n - x) / n)
        return float(own.sum() + self.constant.sum())


@dataclass(frozen=True, eq=False)
class _Point:
    """The integrated likelihood at one point: value, gradient and Hessian in (theta, tau, alpha...)."""

    value: float
    gradient: np.ndarray
    hessian: np.ndarray


class _Integrated:
    """Likelihood of theta and tau with each study's normal deviate integrated out."""

    def __init__(self, model):
        self.model = model
        self.k = len(model.constant)

    def at(self, theta: float, tau: float, alpha: np.ndarray | None) -> _Point:
        u, w = (np.zeros((self.k, 1)), np.ones((self.k, 1))) if tau == 0 else self._nodes(theta, tau, alpha)
        parts = self.model.of(theta + tau * u, alpha)
        log = parts[0] - u**2 / 2 - (np.log(2 * np.pi) / 2 if tau > 0 else 0.0)
        top = log.max(axis=1, keepdims=True)
        share = w * np.exp(log - top)
        total = share.sum(axis=1, keepdims=True)
        share /= total
        value = float((top[:, 0] + np.log(total[:, 0])).sum())
        d, dd = parts[1], parts[2]
        scores = [d, u * d]
        seconds = {(0, 0): dd, (0, 1): u * dd, (1, 1): u**2 * dd}
        if self.model.nuisance:
            scores.append(parts[3])
            seconds |= {(2, 2): parts[4], (0, 2): parts[5], (1, 2): u * parts[5]}
        mean = [(share * s).sum(axis=1) for s in scores]
        blocks = {
            (i, j): (share * (second + scores[i] * scores[j])).sum(axis=1) - mean[i] * mean[j]
            for (i, j), second in seconds.items()
        }
        return _Point(value, *self._assemble(mean, blocks))

    def _assemble(self, mean: list[np.ndarray], blocks: dict) -> tuple[np.ndarray, np.ndarray]:
        size = 2 + (self.k if self.model.nuisance else 0)
        gradient, hessian = np.zeros(size), np.zeros((size, size))
        gradient[:2] = mean[0].sum(), mean[1].sum()
        for i, j in ((0, 0), (0, 1), (1, 1)):
            hessian[i, j] = hessian[j, i] = blocks[i, j].sum()
        if self.model.nuisance:
            gradient[2:] = mean[2]
            own = np.arange(2, size)
            hessian[own, own] = blocks[2, 2]
            for i in (0, 1):
                hessian[i, 2:] = hessian[2:, i] = blocks[i, 2]
        return gradient, hessian

    def _nodes(self, theta: float, tau: float, alpha) -> tuple[np.ndarray, np.ndarray]:
        """Place Gauss-Legendre nodes on three panels either side of each mode, to where the integrand is negligible.

        The likelihood of a study without events is flat up to an edge, which is sharp in u if tau is large. The edge
        lies at the end of the range, so the outer panels are short.
        """

        def log(u: np.ndarray) -> np.ndarray:
            return self.model.of(theta + tau * u, alpha)[0] - u**2 / 2

        mode = self._modes(theta, tau, alpha)
        peak = log(mode)
        nodes, weights = [], []
        for side in (-1.0, 1.0):
            short, long = np.zeros_like(mode), np.full_like(mode, np.sqrt(2 * CUT))
            for _ in range(12):
                middle = (short + long) / 2
                far = log(mode + side * middle) < peak - CUT
                short, long = np.where(far, short, middle), np.where(far, middle, long)
            outer = [np.maximum(long - 2 * EDGE / tau, long / 4), np.maximum(long - EDGE / tau, long / 2)]
            edges = [0 * long, *outer, long]
            for near, end in itertools.pairwise(edges):
                nodes.append(mode + side * ((end + near) / 2 + (end - near) / 2 * NODES))
                weights.append((end - near) / 2 * NODE_WEIGHTS)
        return np.concatenate(nodes, axis=1), np.concatenate(weights, axis=1)

    def _modes(self, theta: float, tau: float, alpha) -> np.ndarray:
        """Find the root of the decreasing derivative of each study's integrand, by bracketed Newton steps."""
        u = np.zeros((self.k, 1))
        slope = tau * self.model.of(theta + tau * u, alpha)[1]
        low, high = np.minimum(0.0, slope), np.maximum(0.0, slope)  # the derivative falls by at least u
        for _ in range(100):
            parts = self.model.of(theta + tau * u, alpha)
            slope, curvature = tau * parts[1] - u, tau**2 * parts[2] - 1
            low, high = np.where(slope > 0, u, low), np.where(slope < 0, u, high)
            step = u - slope / curvature
            new = np.where((step >= low) & (step <= high), step, (low + high) / 2)
            if np.abs(new - u).max() < 1e-9 * (1 + np.abs(u).max()):
                return new
            u = new
        return u


class _Search:
    """Search for the maximum over all parameters, along tau."""

    def __init__(self, model):
        self.model, self.likelihood = model, _Integrated(model)

    def given_tau(self, tau: float, start: tuple[float, np.ndarray | None]) -> tuple[_Point, float, np.ndarray | None]:
        """Maximise over theta and the intercepts by damped Newton steps; the problem is concave."""
        theta, alpha = start
        point = self.likelihood.at(theta, tau, alpha)
        free = np.array([i for i in range(len(point.gradient)) if i != 1])
        for _ in range(200):
            gradient, hessian = point.gradient[free], point.hessian[np.ix_(free, free)]
            ridge = 1e-12 * max(1.0, np.abs(np.diag(hessian)).max())
            step = np.linalg.solve(ridge * np.eye(len(free)) - hessian, gradient)
            gain = gradient @ step
            step = np.clip(step, -3.0, 3.0)
            if gain < 1e-12 * max(1.0, abs(point.value)):
                # One more Newton step squares the error; below this, rounding decides whether the value rises.
                theta, alpha = theta + step[0], None if alpha is None else alpha + step[1:]
                return self.likelihood.at(theta, tau, alpha), theta, alpha
            share = 1.0
            while share > 1e-4:
                moved = theta + share * step[0], None if alpha is None else alpha + share * step[1:]
                attempt = self.likelihood.at(moved[0], tau, moved[1])
                # Quadrature errors of values are below this; near the maximum the gradient is more accurate.
                if attempt.value >= point.value - 1e-9 * max(1.0, abs(point.value)):
                    break
                share /= 2
            else:
                return point, theta, alpha
            (theta, alpha), point = moved, attempt
        return point, theta, alpha

    def start(self) -> tuple[float, np.ndarray | None]:
        return 0.0, self.model.start() if self.model.nuisance else None

    @cached_property
    def at_zero(self) -> tuple[_Point, float, np.ndarray | None]:
        return self.given_tau(0.0, self.start())

    def maxima(self) -> list[tuple[float, tuple[_Point, float, np.ndarray | None]]]:
        """Find the local maxima along tau as (tau, solution), highest first."""
        found, solutions = [], [self.at_zero]
        for tau in TAU_GRID[1:]:
            solutions.append(self.given_tau(tau, solutions[-1][1:]))
        slopes = [s[0].gradient[1] for s in solutions]
        if slopes[-1] > 0:
            raise ValueError(
                f"events: the likelihood still rises at tau = {TAU_GRID[-1]:g}, so tau2 has no finite estimate; "
                "nearly all studies have an empty cell"
            )
        if slopes[1] <= 0:
            found.append((0.0, solutions[0]))
        found += [
            self._refine(TAU_GRID[j], TAU_GRID[j + 1], solutions[j])
            for j in range(1, len(TAU_GRID) - 1)
            if slopes[j] > 0 >= slopes[j + 1]
        ]
        if not found:
            found.append((0.0, solutions[0]))
        return sorted(found, key=lambda item: -item[1][0].value)

    def _refine(self, low: float, high: float, near) -> tuple[float, tuple]:
        last = {"near": near[1:]}

        def slope(tau: float) -> float:
            last["solution"] = self.given_tau(tau, last["near"])
            last["near"] = last["solution"][1:]
            return last["solution"][0].gradient[1]

        # By rounding, the slope depends on where Newton's method started, so the ends are computed only once.
        ends = {low: slope(low), high: slope(high)}
        if ends[low] > 0 >= ends[high]:
            tau = scipy.optimize.brentq(lambda t: ends[t] if t in ends else slope(t), low, high, xtol=1e-13, rtol=1e-13)
        else:  # the slope at an end is 0 up to rounding
            tau = min(ends, key=lambda t: abs(ends[t]))
        return tau, self.given_tau(tau, last["near"])


def _standard_error(point: _Point, tau: float) -> float:
    """Compute the standard error from the inverse of minus the Hessian, without tau if it is at its boundary."""
    keep = np.array([i for i in range(len(point.gradient)) if i != 1 or tau > 0])
    information = -point.hessian[np.ix_(keep, keep)]
    with np.errstate(invalid="ignore"):
        return float(np.sqrt(np.linalg.inv(information)[0, 0]))


def _fit(model, name: str, measure: str, k: int, level: float) -> BinomialNormalFit:
    search = _Search(model)
    common, te_common, _ = search.at_zero
    used = search.likelihood.k
    maxima = search.maxima() if used > 1 else [(0.0, search.at_zero)]
    tau, (point, te, _) = maxima[0]
    se = _standard_error(point, tau)
    if not (np.isfinite(se) and se > 0):
        raise ValueError("events: the likelihood is flat at its maximum, so there is no standard error")
    lower, upper, p = interval(float(te), se, level)
    q = max(0.0, 2 * (model.saturated() - common.value))
    return BinomialNormalFit(
        model=name,
        measure=measure,
        te=float(te),
        se=se,
        lower=lower,
        upper=upper,
        p=p,
        tau2=float(tau**2),
        log_likelihood=point.value,
        te_common=float(te_common),
        se_common=_standard_error(common, 0.0),
        log_likelihood_common=common.value,
        q=q,
        df_q=used - 1,
        p_q=float(scipy.special.chdtrc(used - 1, q)) if used > 1 else np.nan,
        k=k,
        k_used=used,
        maxima=tuple((float(t**2), float(s[1]), s[0].value) for t, s in maxima),
    )


def binomial_normal(
    events1,
    n1,
    events2,
    n2,
    measure: Literal["OR", "IRR"] = "OR",
    model: Model = "conditional",
    *,
    level: float = 0.95,
) -> BinomialNormalFit:
    """Fit a random-effects meta-analysis by the exact likelihood of the counts, without correcting empty cells.

    Parameters
    ----------
    events1, n1, events2, n2 : array (k,)
        Events and people of groups 1 and 2 as whole numbers; for "IRR", person-time instead of people.
    measure : {"OR", "IRR"}
        Log odds ratio or log rate ratio, normally distributed over studies.
    model : {"conditional", "approximate", "unconditional"}
        "conditional", given each study's margins: non-central hypergeometric for "OR", binomial for "IRR".
        "approximate": the binomial approximation of the first, for rare events. "unconditional": both groups'
        counts with an intercept for each study, and the effect split as plus and minus one half.
    level : float

    Returns
    -------
    BinomialNormalFit
        The global maximum: for each tau the problem is concave, and tau is searched from 0 to 60.
        Studies with no events (or only events) in both groups give no information on the effect and are
        excluded; ``k_used`` counts the others.

    Raises
    ------
    ValueError
        If the maximum is at infinity: one group has no events (or only events) in every study, or every
        study has an empty cell.

    Source: Stijnen, Hamza & Ozdemir 2010; Simmonds & Higgins 2016.
    Checked against: metafor 3.8-1 rma.glmm(), and an independent maximisation of the conditional likelihood.

    Examples
    --------
    >>> fit = binomial_normal([4, 0, 3], [50, 40, 60], [9, 2, 5], [52, 41, 58])
    >>> round(fit.te, 3), round(fit.se, 3), fit.tau2
    (-0.89, 0.472, 0.0)
    """
    choice(measure, "measure", ("OR", "IRR"))
    choice(model, "model", get_args(Model))
    time = measure == "IRR"
    events, size = two_groups(events1, n1, events2, n2, time=time)
    for group, x in zip("12", events, strict=True):
        require(x == np.round(x), x, f"events{group}", "a whole number", source="studies")
    if not time:
        for group, n in zip("12", size, strict=True):
            require(n == np.round(n), n, f"n{group}", "a whole number", source="studies")
    _refuse_unbounded(events, size, model, time=time)
    use = informative(events, size, time=time)
    k, events, size = len(use), events[:, use], size[:, use]
    _refuse_infinite(events, size, time=time)
    if model == "unconditional":
        return _fit(_TwoArms(events, size, time=time), model, measure, k, level)
    likelihood: _Logistic | _Hypergeometric
    if model == "approximate" or time:
        likelihood = _Logistic(events[0], events.sum(axis=0), np.log(size[0] / size[1]))
    else:
        likelihood = _Hypergeometric(events, size)
    return _fit(likelihood, model, measure, k, level)


def _refuse_unbounded(events, size, model: str, *, time: bool) -> None:
    """Refuse counts that make sums over tables or searches too long."""
    exact = model == "conditional" and not time
    for group, x, s in zip("12", events, size, strict=True):
        most = LARGEST_EXACT if exact else LARGEST_COUNT
        require(x <= most, x, f"events{group}", f"at most {most:g}", source="studies")
        if not time:
            require(s <= LARGEST_COUNT, s, f"n{group}", f"at most {LARGEST_COUNT:g}", source="studies")
    if time:
        require(
            np.abs(np.log(size[0] / size[1])) <= np.log(LARGEST_COUNT),
            size[0],
            "time1",
            f"within {LARGEST_COUNT:g} times time2",
            source="studies",
        )


def _refuse_infinite(events, size, *, time: bool) -> None:
    if not events.shape[1]:
        raise ValueError(
            "events: every study has no events, or only events, in both groups, which gives no information"
        )
    m = events.sum(axis=0)
    low = np.zeros_like(m) if time else np.maximum(0, m - size[1])
    high = m if time else np.minimum(m, size[0])
    for end, group, other in ((low, 1, 2), (high, 2, 1)):
        if (events[0] == end).all():
            raise ValueError(
                f"events{group}: in every study group {group} has no events, or group {other} only events, "
                "so the ratio has no finite estimate"
            )
    if ((events[0] == low) | (events[0] == high)).all():
        raise ValueError(
            "events: every study has an empty cell, in one group or the other, so tau2 has no finite estimate"
        )


def binomial_normal_proportion(events, n, *, level: float = 0.95) -> BinomialNormalFit:
    """Fit a random-effects meta-analysis of proportions: binomial likelihood, normally distributed logits.

    Parameters
    ----------
    events, n : array (k,)
        Events and people as whole numbers; 0 and n events need no correction.
    level : float

    Returns
    -------
    BinomialNormalFit
        ``te`` is the mean logit; its back-transform is the median proportion over studies.

    Raises
    ------
    ValueError
        If no study has events, if every study has only events, or if each study has no events or only events.

    Source: Stijnen, Hamza & Ozdemir 2010.
    Checked against: metafor 3.8-1 rma.glmm(measure = "PLO") and quadrature with 2001 nodes.
    """
    values = {"events": np.atleast_1d(events), "n": np.atleast_1d(n)}
    x, n = numbers({"events": "count", "n": "positive"}, values, source="studies")
    if x.ndim != 1 or not len(x):
        raise ValueError(f"events: shape {x.shape} is not (k,) with k at least 1")
    for name, counts in (("events", x), ("n", n)):
        require(counts == np.round(counts), counts, name, "a whole number", source="studies")
    require(x <= n, x, "events", "at most n", source="studies")
    require(n <= LARGEST_COUNT, n, "n", f"at most {LARGEST_COUNT:g}", source="studies")
    if (x == 0).all() or (x == n).all():
        raise ValueError("events: there are no events, or only events, in all studies, so the logit is infinite")
    if ((x == 0) | (x == n)).all():
        raise ValueError("events: every study has either no events or only events, so tau2 has no finite estimate")
    return _fit(_Logistic(x, n, np.zeros_like(x)), "conditional", "logit", len(x), level)
