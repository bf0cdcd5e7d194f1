"""Sensitivity to the prior: prior and posterior of tau, and conclusions as the prior's scale changes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from psps_paper.bayes.checks import finite
from psps_paper.bayes.fit import fit_bayes
from psps_paper.bayes.posterior import Posterior
from psps_paper.bayes.priors import HalfNormal, TauPrior
from psps_paper.network.model import Desirable

FACTORS = tuple(2.0 ** (k / 2) for k in range(-6, 7))


def tau_curve(post: Posterior, points: int = 201) -> pd.DataFrame:
    """Tabulate the prior and posterior density of tau.

    Parameters
    ----------
    post : Posterior
        With ``effects="exchangeable"``.
    points : int
        Number of points, at least 2, evenly spaced from near the lower bound of tau to its 99.5 % posterior quantile.

    Returns
    -------
    DataFrame [tau, prior, posterior, below]
        Densities, and the posterior probability of a tau up to this value.

    Raises
    ------
    ValueError
        The fit has no tau, or too few points.
    """
    if post.tau_prior is None:
        raise ValueError(f"tau_curve: effects={post.effects!r} have no tau")
    if points < 2:
        raise ValueError(f"points={points!r}: expected at least 2")
    low, high = post.tau_prior.bounds[0], post.tau_quantile(0.995)
    tau = np.linspace(low + 1e-3 * (high - low), high, points)
    return pd.DataFrame(
        {
            "tau": tau,
            "prior": np.exp(post.tau_prior.log_density(tau)),
            "posterior": post.tau_density(tau),
            "below": post.tau_below(tau),
        }
    )


def prior_sensitivity(
    contrasts: pd.DataFrame,
    pairs: Iterable[tuple[str, str]],
    tau_prior: TauPrior = HalfNormal(0.5),
    *,
    desirable: Desirable,
    margin: float = 0.0,
    factors: Iterable[float] = FACTORS,
    **options,
) -> pd.DataFrame:
    """Evaluate conclusions under priors of tau that are narrower or wider by given factors.

    Parameters
    ----------
    contrasts, tau_prior
        As in :func:`fit_bayes`; ``options`` are its other arguments.
    pairs : iterable of (str, str)
        Each pair is a conclusion: the first treatment is better than the second by more than the margin.
    desirable : {"lower", "higher"}
    margin : float
        In the outcome's unit.
    factors : iterable of float
        Factors of the prior's scale, above 0.

    Returns
    -------
    DataFrame [treat1, treat2, factor, prior, tau_median, te, lower, upper, probability, probability_new]
        One row per conclusion and factor; ``probability`` is the probability of the conclusion, ``probability_new`` the
        same for the effect in a new study.

    Raises
    ------
    ValueError
        As :func:`fit_bayes`; an unknown treatment or a factor that is not above 0.
    """
    pairs, rows = list(pairs), []
    for factor in factors:
        prior = tau_prior.scaled(finite(factor, "factor", above=0))
        post = fit_bayes(contrasts, prior, **options)
        unknown = {name for pair in pairs for name in pair} - set(post.treatments)
        if unknown:
            raise ValueError(f"pairs: {sorted(unknown)} not among {post.treatments}")
        better = post.p_better(desirable, margin)
        new = post.p_better(desirable, margin, predictive=True)
        median = post.tau_quantile(0.5)
        rows += [
            {
                "treat1": pair[0],
                "treat2": pair[1],
                "factor": factor,
                "prior": repr(prior),
                "tau_median": median,
                "te": post.te.at[pair],
                "lower": post.lower.at[pair],
                "upper": post.upper.at[pair],
                "probability": better.at[pair],
                "probability_new": new.at[pair],
            }
            for pair in pairs
        ]
    return pd.DataFrame(rows)
