"""Data sets that agree with all printed values: which assumptions allow them, and what they prove."""

from psps_paper.ensemble.compatibility import compatibility_map, describe_compatibility
from psps_paper.ensemble.heterogeneity import implied_prediction_intervals, tau2_routes
from psps_paper.ensemble.model import PublishedResults, Setting, published_results
from psps_paper.ensemble.witnesses import Witness, agreeing_tau2, findings, identified_range, load_witnesses

__all__ = [
    "PublishedResults",
    "Setting",
    "Witness",
    "agreeing_tau2",
    "compatibility_map",
    "describe_compatibility",
    "findings",
    "identified_range",
    "implied_prediction_intervals",
    "load_witnesses",
    "published_results",
    "tau2_routes",
]
