"""Prior distributions of tau, the standard deviation between studies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import scipy

from psps_paper.bayes.checks import finite
from psps_paper.effects.checks import SMALLEST

# For the logarithm of tau squared: the largest centre whose exponential can be squared, and the smallest spread that
# the nodes of an integral can separate from a point.
LARGEST_LOG, SHARPEST = 600.0, 1e-8


class TauPrior(Protocol):
    """The interface of a prior of tau for :func:`fit_bayes`.

    Attributes
    ----------
    bounds : (float, float)
        Bounds of tau; the upper one may be infinite.
    tail : float
        The density decreases as ``tau ** -tail`` for large tau; infinite if it decreases faster.
    """

    bounds: tuple[float, float]
    tail: float

    def log_density(self, tau: np.ndarray) -> np.ndarray:
        """Compute the log density of tau with all constants; any shape."""

    def quantile(self, p: np.ndarray) -> np.ndarray:
        """Compute quantiles of tau for p in (0, 1)."""

    def scaled(self, factor: float) -> TauPrior:
        """Return the prior of ``factor * tau``: the same prior in another unit, or a wider or narrower one."""


@dataclass(frozen=True)
class HalfNormal:
    """See :func:`half_normal`."""

    scale: float
    bounds = (0.0, np.inf)
    tail = np.inf

    def log_density(self, tau: np.ndarray) -> np.ndarray:
        return np.log(2 / np.pi) / 2 - np.log(self.scale) - (tau / self.scale) ** 2 / 2

    def quantile(self, p: np.ndarray) -> np.ndarray:
        return self.scale * scipy.special.ndtri((1 + np.asarray(p)) / 2)

    def scaled(self, factor: float) -> HalfNormal:
        return replace(self, scale=factor * self.scale)


@dataclass(frozen=True)
class HalfCauchy:
    """See :func:`half_cauchy`."""

    scale: float
    bounds = (0.0, np.inf)
    tail = 2.0

    def log_density(self, tau: np.ndarray) -> np.ndarray:
        return np.log(2 / np.pi) - np.log(self.scale) - np.log1p((tau / self.scale) ** 2)

    def quantile(self, p: np.ndarray) -> np.ndarray:
        return self.scale * np.tan(np.pi * np.asarray(p) / 2)

    def scaled(self, factor: float) -> HalfCauchy:
        return replace(self, scale=factor * self.scale)


@dataclass(frozen=True)
class Uniform:
    """See :func:`uniform`."""

    lower: float
    upper: float
    tail = np.inf

    @property
    def bounds(self) -> tuple[float, float]:
        return self.lower, self.upper

    def log_density(self, tau: np.ndarray) -> np.ndarray:
        inside = (tau >= self.lower) & (tau <= self.upper)
        return np.where(inside, -np.log(self.upper - self.lower), -np.inf)

    def quantile(self, p: np.ndarray) -> np.ndarray:
        return self.lower + (self.upper - self.lower) * np.asarray(p)

    def scaled(self, factor: float) -> Uniform:
        return Uniform(factor * self.lower, factor * self.upper)


@dataclass(frozen=True)
class Exponential:
    """See :func:`exponential`."""

    rate: float
    bounds = (0.0, np.inf)
    tail = np.inf

    def log_density(self, tau: np.ndarray) -> np.ndarray:
        return np.log(self.rate) - self.rate * tau

    def quantile(self, p: np.ndarray) -> np.ndarray:
        return -np.log1p(-np.asarray(p)) / self.rate

    def scaled(self, factor: float) -> Exponential:
        return replace(self, rate=self.rate / factor)


@dataclass(frozen=True)
class InverseGamma:
    """See :func:`inverse_gamma`."""

    shape: float
    scale: float
    bounds = (0.0, np.inf)

    @property
    def tail(self) -> float:
        return 2 * self.shape + 1

    def log_density(self, tau: np.ndarray) -> np.ndarray:
        constant = np.log(2) + self.shape * np.log(self.scale) - scipy.special.gammaln(self.shape)
        return constant - (2 * self.shape + 1) * np.log(tau) - self.scale / tau**2

    def quantile(self, p: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.sqrt(self.scale / scipy.special.gammainccinv(self.shape, np.asarray(p)))

    def scaled(self, factor: float) -> InverseGamma:
        return replace(self, scale=factor**2 * self.scale)


@dataclass(frozen=True)
class LogNormal:
    """See :func:`log_normal`."""

    mean: float
    sd: float
    bounds = (0.0, np.inf)
    tail = np.inf

    def log_density(self, tau: np.ndarray) -> np.ndarray:
        z = (2 * np.log(tau) - self.mean) / self.sd
        return np.log(2) - np.log(2 * np.pi) / 2 - np.log(self.sd) - np.log(tau) - z**2 / 2

    def quantile(self, p: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):  # infinite on overflow
            return np.exp((self.mean + self.sd * scipy.special.ndtri(p)) / 2)

    def scaled(self, factor: float) -> LogNormal:
        return replace(self, mean=self.mean + 2 * np.log(factor))


@dataclass(frozen=True)
class LogT:
    """See :func:`log_t`."""

    location: float
    scale: float
    df: float
    bounds = (0.0, np.inf)
    tail = 1.0

    def log_density(self, tau: np.ndarray) -> np.ndarray:
        z = (2 * np.log(tau) - self.location) / self.scale
        gammaln = scipy.special.gammaln
        constant = gammaln((self.df + 1) / 2) - gammaln(self.df / 2) - np.log(self.df * np.pi) / 2
        kernel = -(self.df + 1) / 2 * np.log1p(z**2 / self.df)
        return np.log(2) + constant - np.log(self.scale) - np.log(tau) + kernel

    def quantile(self, p: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):  # infinite on overflow
            return np.exp((self.location + self.scale * scipy.special.stdtrit(self.df, p)) / 2)

    def scaled(self, factor: float) -> LogT:
        return replace(self, location=self.location + 2 * np.log(factor))


def half_normal(scale: float) -> HalfNormal:
    """Make the half-normal prior of tau.

    Parameters
    ----------
    scale : float
        SD of the normal distribution before it is folded, in the outcome's unit.

    Raises
    ------
    ValueError
        Not a finite number above 0.

    Examples
    --------
    >>> round(float(half_normal(0.5).quantile(0.95)), 2)
    0.98
    """
    return HalfNormal(finite(scale, "scale", above=0))


def half_cauchy(scale: float) -> HalfCauchy:
    """Make the half-Cauchy prior of tau, whose median is ``scale``.

    Raises
    ------
    ValueError
        Not a finite number above 0.

    Source: Gelman 2006.
    """
    return HalfCauchy(finite(scale, "scale", above=0))


def uniform(lower: float, upper: float | None = None) -> Uniform:
    """Make the uniform prior of tau between two bounds; a single number is the upper bound.

    Raises
    ------
    ValueError
        Bounds that are negative, not finite or not in order.

    Examples
    --------
    >>> uniform(2) == uniform(0, 2)
    True
    """
    low, high = (0.0, lower) if upper is None else (lower, upper)
    low, high = finite(low, "lower"), finite(high, "upper")
    if not (low >= 0 and high - low >= SMALLEST):
        raise ValueError(f"uniform prior from {low:g} to {high:g}: expected 0 <= lower < upper, {SMALLEST:g} apart")
    return Uniform(low, high)


def exponential(rate: float) -> Exponential:
    """Make the exponential prior of tau, whose mean is ``1 / rate``.

    Raises
    ------
    ValueError
        Not a finite number above 0.
    """
    return Exponential(finite(rate, "rate", above=0))


def inverse_gamma(shape: float, scale: float) -> InverseGamma:
    """Make the inverse-gamma prior of tau squared: ``1 / tau**2`` is gamma with this shape and rate.

    Raises
    ------
    ValueError
        Not finite numbers above 0.
    """
    return InverseGamma(finite(shape, "shape", above=0, most=1e8), finite(scale, "scale", above=0))


def log_normal(mean: float, sd: float) -> LogNormal:
    """Make the log-normal prior of tau squared: ``log(tau**2)`` is normal, as Turner 2012, 2015 state it.

    Raises
    ------
    ValueError
        Not finite numbers, or sd not above 0.
    """
    return LogNormal(finite(mean, "mean", most=LARGEST_LOG), finite(sd, "sd", above=0, least=SHARPEST))


def log_t(location: float, scale: float, df: float = 5.0) -> LogT:
    """Make the log-t prior of tau squared: ``log(tau**2)`` is t with 5 degrees of freedom, as Rhodes 2015 states it.

    Raises
    ------
    ValueError
        Not finite numbers, or scale or df not above 0.
    """
    scale = finite(scale, "scale", above=0, least=SHARPEST)
    return LogT(finite(location, "location", most=LARGEST_LOG), scale, finite(df, "df", above=0))
