"""Meta-analysis of one comparison: pooled effects, small-study effects, dependent estimates."""

from psps_paper.network.tau2_search import Tau2Maximum
from psps_paper.pairwise.dependent import (
    RobustFit,
    Sigma2Maximum,
    ThreeLevelFit,
    robust_meta_analysis,
    three_level,
)
from psps_paper.pairwise.random_effects import (
    PairwiseFit,
    estimate_tau2,
    leave_one_out,
    meta_analysis,
)
from psps_paper.pairwise.small_study import (
    EggerTest,
    copas_jackson_bound,
    egger_test,
    published_fraction_at_bias,
)

__all__ = [
    "EggerTest",
    "PairwiseFit",
    "RobustFit",
    "Sigma2Maximum",
    "Tau2Maximum",
    "ThreeLevelFit",
    "copas_jackson_bound",
    "egger_test",
    "estimate_tau2",
    "leave_one_out",
    "meta_analysis",
    "published_fraction_at_bias",
    "robust_meta_analysis",
    "three_level",
]
