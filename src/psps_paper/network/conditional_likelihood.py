"""Exact likelihood of the events in each study's arms, given the study's total number of events.

Given their sum, independent binomial counts follow Fisher's non-central hypergeometric distribution, which depends on
only the odds ratios. The log-likelihood is concave in the log odds of treatments. It has a maximum if and only if no
order of treatments separates all counts (:func:`_check_maximum`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import scipy

# Largest last step of Newton's method, in log odds
LAST_STEP = 1e-12
MAX_STEPS = 200
# Longer convolutions use Fourier transforms
DIRECT = 1000


@dataclass(frozen=True, eq=False)
class Arms:
    """One study: positions of its treatments, events and people, whole numbers [arm]."""

    treatments: np.ndarray
    events: np.ndarray
    n: np.ndarray


def maximise(studies: Sequence[Arms], names: list[str]) -> tuple[np.ndarray, np.ndarray, float]:
    """Estimate log odds against the first treatment, with their covariance and the maximum of the log-likelihood.

    Parameters
    ----------
    studies : sequence of Arms
        Each must have both events and non-events.
    names : list of str
        Names of the treatments.

    Raises
    ------
    ValueError
        The likelihood has no maximum: odds ratios would be infinite (treatments are named).

    Source: Stijnen, Hamza & Ozdemir 2010 for two arms; McCullagh & Nelder 1989, section 7.3.
    """
    _check_maximum(studies, names)
    effects = np.zeros(len(names))
    value, score, information = log_likelihood(studies, effects)
    for _ in range(MAX_STEPS):
        step = np.zeros(len(names))
        step[1:] = np.linalg.solve(information[1:, 1:], score[1:])
        # The function is concave: some fraction of the step increases it, or it has converged up to rounding.
        share = 1.0
        while True:
            trial = log_likelihood(studies, effects + share * step)
            if trial[0] >= value - 1e-12 * max(1.0, abs(value)) or share < 1e-6:
                break
            share /= 2
        effects = effects + share * step
        value, score, information = trial
        if np.abs(step).max() < LAST_STEP:
            break
    covariance = np.zeros_like(information)
    covariance[1:, 1:] = np.linalg.inv(information[1:, 1:])
    return effects, covariance, value


def log_likelihood(studies: Sequence[Arms], effects: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Compute the log-likelihood at the log odds of the treatments, its gradient and the information."""
    value, score, information = 0.0, np.zeros(len(effects)), np.zeros((len(effects),) * 2)
    for study in studies:
        part, mean, covariance = _moments(study.events, study.n, effects[study.treatments])
        value += part
        score[study.treatments] += study.events - mean
        information[np.ix_(study.treatments, study.treatments)] += covariance
    return value, score, information


def _moments(events: np.ndarray, n: np.ndarray, log_odds: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Compute the log-probability of the events given their sum, and the mean and covariance of that distribution."""
    total = int(events.sum())
    logits = log_odds + _centre(n, log_odds, total)
    # With this centring the sum is near its mean, and its probability far from underflow.
    counts = [np.arange(min(size, total) + 1.0) for size in n]
    mass = [np.exp(_log_binomial(count, size, logit)) for count, size, logit in zip(counts, n, logits, strict=True)]
    probability = _at(mass, total)

    def expected(*arms: int) -> float:
        """Compute the expected product of these arms' events."""
        parts = [m * count ** arms.count(k) for k, (m, count) in enumerate(zip(mass, counts, strict=True))]
        return _at(parts, total) / probability

    mean = np.array([expected(k) for k in range(len(n))])
    second = np.array([[expected(min(k, j), max(k, j)) for k in range(len(n))] for j in range(len(n))])
    value = sum(
        float(_log_binomial(x, size, logit)) for x, size, logit in zip(events, n, logits, strict=True)
    ) - np.log(probability)
    return value, mean, second - np.outer(mean, mean)


def _centre(n: np.ndarray, log_odds: np.ndarray, total: int) -> float:
    """Find the constant at which the expected sum of events equals the observed one."""
    middle = scipy.special.logit(total / n.sum())
    low, high = middle - log_odds.max(), middle - log_odds.min()
    if high - low < 1e-12:
        return float(low)
    return float(
        scipy.optimize.brentq(lambda c: (n * scipy.special.expit(log_odds + c)).sum() - total, low - 1, high + 1)
    )


def _log_binomial(x: np.ndarray, n: int, logit: float) -> np.ndarray:
    choose = scipy.special.gammaln(n + 1) - scipy.special.gammaln(x + 1) - scipy.special.gammaln(n - x + 1)
    return choose + x * logit - n * np.logaddexp(0.0, logit)


def _at(parts: list[np.ndarray], total: int) -> float:
    """Return the coefficient of the sum ``total`` in the convolution of all parts."""
    rest = reduce(lambda one, other: _convolve(one, other)[: total + 1], parts[1:-1], parts[0])
    last = parts[-1]
    x = np.arange(max(0, total - len(rest) + 1), min(total + 1, len(last)))
    return float(rest[total - x] @ last[x])


def _convolve(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    # The error of Fourier transforms is relative to the largest term, and only terms near the largest are used.
    many = min(len(one), len(other)) > DIRECT
    return scipy.signal.fftconvolve(one, other) if many else np.convolve(one, other)


def _check_maximum(studies: Sequence[Arms], names: list[str]) -> None:
    """Raise a ValueError if the likelihood has no maximum, because a set of treatments always has extreme counts.

    If in every study the arms of a set of treatments hold as many of the events as they can (they have only events, or
    the other arms have none), increasing the odds of the set never lowers the likelihood. Draw an edge from k to j
    wherever a study has an arm k with non-events and an arm j with events. A maximum exists if and only if this graph
    is strongly connected (the argument of Ford 1957 for paired comparisons).
    """
    edges = np.zeros((len(names),) * 2, bool)
    for study in studies:
        free, some = study.events < study.n, study.events > 0
        edges[np.ix_(study.treatments, study.treatments)] |= free[:, None] & some[None, :]
    count, label = scipy.sparse.csgraph.connected_components(edges, directed=True, connection="strong")
    if count == 1:
        return
    groups = sorted([name for name, one in zip(names, label, strict=True) if one == k] for k in range(count))
    raise ValueError(
        "arms: the exact likelihood has no maximum, because in every study the split of the events is extreme between "
        f"the treatments {' and '.join(str(group) for group in groups)}; their odds ratios would be 0 or infinite"
    )
