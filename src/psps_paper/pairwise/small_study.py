"""Small-study effects: Egger's test and bounds on selection bias."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from psps_paper.effects.checks import numbers
from psps_paper.network.results import Result
from psps_paper.pairwise.random_effects import study_estimates, two_sided_p

# Standard errors that differ by less than this proportion are equal up to rounding.
SAME_SE = 1e-9


@dataclass(frozen=True)
class EggerTest(Result):
    """Result of :func:`egger_test`.

    Attributes
    ----------
    bias, se : float
        Slope of te on se, and its standard error.
    t, df, p : float
        Test that the slope is 0, two-sided.
    limit : float
        te of the regression line at se = 0.
    """

    bias: float
    se: float
    t: float
    df: int
    p: float
    limit: float

    @property
    def title(self) -> str:
        return "Egger's test of funnel-plot asymmetry"


def egger_test(te, se) -> EggerTest:
    """Apply Egger's regression test of funnel-plot asymmetry.

    te / se is regressed on 1 / se by ordinary least squares; the intercept is the bias.
    Equivalently, it is the slope when te is regressed on se with weights 1 / se^2.

    Parameters
    ----------
    te, se : array (k,)
        At least three studies whose se are not all equal (up to rounding, 1e-9). With fewer than ten the test has
        little power (Sterne 2011).

    Raises
    ------
    ValueError

    Source: Egger 1997.  Checked against: metafor 3.8-1 regtest(model = "lm"), meta 6.2-1
    metabias(method.bias = "linreg").
    """
    te, se = study_estimates(te, se, at_least=3)
    if np.ptp(se) <= SAME_SE * se.max():
        raise ValueError("se: all are equal, so te cannot be regressed on se")
    x, y = 1 / se, te / se
    df = len(te) - 2
    deviation = x - x.mean()
    spread = (deviation**2).sum()
    limit = (deviation * y).sum() / spread
    bias = y.mean() - limit * x.mean()
    residual = ((y - bias - limit * x) ** 2).sum() / df
    error = np.sqrt(residual * (1 / len(te) + x.mean() ** 2 / spread))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = float(np.divide(bias, error))
    return EggerTest(float(bias), float(error), t, df, two_sided_p(t, df), float(limit))


def copas_jackson_bound(se, published, tau2: float = 0.0) -> np.ndarray:
    """Compute the largest bias of the pooled estimate that selective publication could cause.

    Selection may depend on te in any way, as long as more precise studies are no less likely to be
    published. With s = sqrt(se^2 + tau2) and p the fraction published, the bound is
    phi(Phi^-1(p)) / p times sum(1/s) / sum(1/s^2).

    Parameters
    ----------
    se : array (k,)
        Of the published studies.
    published : float or array
        Fraction of all studies done that was published, in (0, 1].
    tau2 : float
        Between-study variance used in the weights, at least 0.

    Returns
    -------
    float or ndarray
        In the unit of se, with the shape of ``published``; 0 if everything was published.

    Source: Copas & Jackson 2004.  Checked against: numerical integration of the selection that attains it.
    """
    _, se = study_estimates(np.zeros(np.shape(se)), se)
    (fraction,) = numbers({"published": "fraction"}, {"published": published})
    return (_shift(fraction) * _leverage(se, tau2))[()]


def _shift(published: np.ndarray) -> np.ndarray:
    """Compute the mean of the upper tail of a standard normal that has this probability."""
    return np.exp(-(scipy.special.ndtri(published) ** 2) / 2) / np.sqrt(2 * np.pi) / published


def _leverage(se: np.ndarray, tau2: float | np.ndarray) -> np.ndarray:
    """Compute sum(1/s) / sum(1/s^2) over the last axis of se."""
    (tau2,) = numbers({"tau2": "not negative"}, {"tau2": tau2})
    precision = 1 / np.sqrt(se**2 + tau2[..., None])
    return precision.sum(axis=-1) / (precision**2).sum(axis=-1)


def published_fraction_at_bias(bias, se, tau2=0.0) -> float | np.ndarray:
    """Find the fraction published at which the bound of :func:`copas_jackson_bound` reaches a bias.

    Parameters
    ----------
    bias : float or array (B,)
        Greater than 0. Use the pooled te to find when selection alone could explain it, or the limit of
        its interval that is nearer to no effect.
    se : array (k,) or (B, k)
        Of the published studies.
    tau2 : float or array (B,)
        As in :func:`copas_jackson_bound`.

    Returns
    -------
    float or ndarray (B,)
        In (0, 1). If more than this fraction was published, selection cannot explain a bias of this size.

    Raises
    ------
    ValueError
        If no fraction above 1e-12 reaches the bias.

    Source: inversion of Copas & Jackson 2004.
    """
    from scipy.optimize import elementwise  # slow to load

    (bias,) = numbers({"bias": "finite"}, {"bias": bias})
    if not (bias > 0).all():
        raise ValueError(f"bias: {bias[~(bias > 0)].flat[0]:g} is not a number greater than 0")
    (se,) = numbers({"se": "positive"}, {"se": se}, source="studies")
    target = bias / _leverage(se, tau2)
    least = 1e-12
    beyond = target >= _shift(np.array(least))
    if beyond.any():
        raise ValueError(f"bias: {bias[beyond].flat[0]:g} is beyond the bound even if almost nothing was published")
    found = elementwise.find_root(
        lambda p, target: _shift(p) - target, (least, 1.0), args=(target,), tolerances={"xatol": 1e-14, "xrtol": 0.0}
    )
    return found.x[()]
