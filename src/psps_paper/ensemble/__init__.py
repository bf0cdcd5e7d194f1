"""Data sets that agree with everything printed: which assumptions allow them, and what they prove."""

from psps_paper.ensemble.compatibility import compatibility_map, describe_compatibility
from psps_paper.ensemble.heterogeneity import implied_prediction_intervals, tau2_routes
from psps_paper.ensemble.model import Evidence, Setting, published_evidence
from psps_paper.ensemble.witnesses import Witness, agreeing_tau2, findings, identified_range, load_witnesses

__all__ = [
    "Evidence",
    "Setting",
    "Witness",
    "agreeing_tau2",
    "compatibility_map",
    "describe_compatibility",
    "findings",
    "identified_range",
    "implied_prediction_intervals",
    "load_witnesses",
    "published_evidence",
    "tau2_routes",
]
