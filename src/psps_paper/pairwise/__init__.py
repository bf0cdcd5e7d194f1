"""Meta-analysis of one comparison: pooled effects, small-study effects, dependent estimates."""

from psps_paper.network.tau2_search import Tau2Maximum
from psps_paper.pairwise.binomial_normal import BinomialNormalFit, binomial_normal, binomial_normal_proportion
from psps_paper.pairwise.dependent import RobustFit, Sigma2Maximum, ThreeLevelFit, robust_meta_analysis, three_level
from psps_paper.pairwise.random_effects import PairwiseFit, estimate_tau2, leave_one_out, meta_analysis
from psps_paper.pairwise.rare_events import RareEventsFit, mantel_haenszel, peto, pool_about
from psps_paper.pairwise.small_study import EggerTest, copas_jackson_bound, egger_test, published_fraction_at_bias

__all__ = [
    "BinomialNormalFit",
    "EggerTest",
    "PairwiseFit",
    "RareEventsFit",
    "RobustFit",
    "Sigma2Maximum",
    "Tau2Maximum",
    "ThreeLevelFit",
    "binomial_normal",
    "binomial_normal_proportion",
    "copas_jackson_bound",
    "egger_test",
    "estimate_tau2",
    "leave_one_out",
    "mantel_haenszel",
    "meta_analysis",
    "peto",
    "pool_about",
    "published_fraction_at_bias",
    "robust_meta_analysis",
    "three_level",
]
