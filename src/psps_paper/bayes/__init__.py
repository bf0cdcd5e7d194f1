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
from psps_paper.bayes.sensitivity import prior_sensitivity, tau_curve

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
    "prior_sensitivity",
    "rhodes_prior",
    "tau_curve",
    "turner_prior",
    "uniform",
]
