"""Exact likelihood of the events in the arms of studies, given each study's sum of events.

Given their sum, independent binomial counts follow Fisher's non-central hypergeometric distribution, which depends on
the odds ratios alone. The log-likelihood is concave in the log odds of treatments, and has a maximum exactly where no
order of treatments explains all counts (:func:`_check_maximum`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import scipy

# Newton's last step, in log odds
LAST_STEP = 1e-12
MAX_STEPS = 200
# Longer convolutions go by Fourier transforms
DIRECT = 1000


@dataclass(frozen=True, eq=False)
class Arms:
    """One study: positions of its treatments, events and people, whole numbers [arm]."""

    treatments: np.ndarray
    events: np.ndarray
    n: np.ndarray


def maximise(studies: Sequence[Arms], names: list[str]) -> tuple[np.ndarray, np.ndarray, float]:
    """Log odds against the first treatment, their covariance and the maximum of the log-likelihood.

    Parameters
    ----------
    studies : sequence of Arms
        Each with both events and non-events.
    names : list of str
        Of the treatments.

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
        # A concave function: some fraction of the step rises, or the end is reached to rounding.
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
    """Log-likelihood at the log odds of the treatments, its gradient and the information."""
    value, score, information = 0.0, np.zeros(len(effects)), np.zeros((len(effects),) * 2)
    for study in studies:
        part, mean, covariance = _moments(study.events, study.n, effects[study.treatments])
        value += part
        score[study.treatments] += study.events - mean
        information[np.ix_(study.treatments, study.treatments)] += covariance
    return value, score, information


def _moments(events: np.ndarray, n: np.ndarray, log_odds: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Log-probability of the events given their sum, and mean and covariance of that distribution."""
    total = int(events.sum())
    logits = log_odds + _centre(n, log_odds, total)
    # Centred so, the sum is near its mean and its probability far from underflow.
    counts = [np.arange(min(size, total) + 1.0) for size in n]
    mass = [np.exp(_log_binomial(count, size, logit)) for count, size, logit in zip(counts, n, logits, strict=True)]
    probability = _at(mass, total)

    def expected(*arms: int) -> float:
        """Of the product of these arms' events."""
        parts = [m * count ** arms.count(k) for k, (m, count) in enumerate(zip(mass, counts, strict=True))]
        return _at(parts, total) / probability

    mean = np.array([expected(k) for k in range(len(n))])
    second = np.array([[expected(min(k, j), max(k, j)) for k in range(len(n))] for j in range(len(n))])
    value = sum(
        float(_log_binomial(x, size, logit)) for x, size, logit in zip(events, n, logits, strict=True)
    ) - np.log(probability)
    return value, mean, second - np.outer(mean, mean)


def _centre(n: np.ndarray, log_odds: np.ndarray, total: int) -> float:
    """The constant at which the expected sum of events is the observed one."""
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
    """Coefficient of the sum ``total`` in the convolution of all parts."""
    rest = reduce(lambda one, other: _convolve(one, other)[: total + 1], parts[1:-1], parts[0])
    last = parts[-1]
    x = np.arange(max(0, total - len(rest) + 1), min(total + 1, len(last)))
    return float(rest[total - x] @ last[x])


def _convolve(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    # By Fourier transforms the error is of the size of the largest term, and only terms near it are used.
    many = min(len(one), len(other)) > DIRECT
    return scipy.signal.fftconvolve(one, other) if many else np.convolve(one, other)


def _check_maximum(studies: Sequence[Arms], names: list[str]) -> None:
    """ValueError where some treatments beat all others as far as their studies can tell.

    Raising the odds of a set of treatments without end never lowers the likelihood if, in each study, its arms hold
    as many of the events as they can: each has only events, or the arms outside the set have none. So a maximum
    exists exactly where the graph with an edge from k to j, wherever an arm k with non-events stands beside an arm j
    with events, is strongly connected (the argument of Ford 1957 for paired comparisons).
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
        "arms: the exact likelihood has no maximum, since in every study the events lie at one extreme between the "
        f"treatments {' and '.join(str(group) for group in groups)}; their odds ratios would be 0 or infinite"
    )
