"""Trial-level sets that agree with everything printed: which assumptions allow them, and ensembles of them."""

from psps_paper.ensemble.compatibility import compatibility_map, describe_compatibility
from psps_paper.ensemble.heterogeneity import implied_prediction_intervals, tau2_routes
from psps_paper.ensemble.model import Assumptions, Evidence, published_evidence
from psps_paper.ensemble.projection import refit_agrees
from psps_paper.ensemble.sampler import (
    Ensemble,
    assumption_labels,
    convergence,
    dropped_assumptions,
    feasible_assumptions,
    load_ensemble,
    priors,
    sample_ensemble,
    save_ensemble,
    summaries,
)

__all__ = [
    "Assumptions",
    "Ensemble",
    "Evidence",
    "assumption_labels",
    "compatibility_map",
    "convergence",
    "describe_compatibility",
    "dropped_assumptions",
    "feasible_assumptions",
    "implied_prediction_intervals",
    "load_ensemble",
    "priors",
    "published_evidence",
    "refit_agrees",
    "sample_ensemble",
    "save_ensemble",
    "summaries",
    "tau2_routes",
]
