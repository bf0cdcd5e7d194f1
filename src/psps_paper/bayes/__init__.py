"""Bayesian meta-analysis and network meta-analysis without sampling: quadrature over tau."""

from psps_paper.bayes.fit import fit_bayes
from psps_paper.bayes.posterior import Posterior, bayes_factor
from psps_paper.bayes.presets import rhodes_prior, turner_prior
from psps_paper.bayes.priors import (
    TauPrior,
    exponential,
    half_cauchy,
    half_normal,
    inverse_gamma,
    log_normal,
    log_t,
    uniform,
)

__all__ = [
    "Posterior",
    "TauPrior",
    "bayes_factor",
    "exponential",
    "fit_bayes",
    "half_cauchy",
    "half_normal",
    "inverse_gamma",
    "log_normal",
    "log_t",
    "rhodes_prior",
    "turner_prior",
    "uniform",
]
