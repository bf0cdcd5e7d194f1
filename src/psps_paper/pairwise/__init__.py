"""Meta-analysis of one comparison: pooled effects, small-study effects, dependent estimates."""

from psps_paper.network.tau2_search import Tau2Maximum
from psps_paper.pairwise.binomial_normal import BinomialNormalFit, binomial_normal, binomial_normal_proportion
from psps_paper.pairwise.dependent import RobustFit, Sigma2Maximum, ThreeLevelFit, robust_meta_analysis, three_level
from psps_paper.pairwise.funnel import (
    LimitMetaAnalysis,
    PetPeese,
    RankTest,
    TrimAndFill,
    limit_meta_analysis,
    pet_peese,
    rank_test,
    trim_and_fill,
)
from psps_paper.pairwise.many import PairwiseFits, meta_analyses
from psps_paper.pairwise.options import (
    GeneralisedQFit,
    MethodComparison,
    SmallSampleFit,
    Tau2IntervalFit,
    generalised_q_meta_analysis,
    kenward_roger,
    method_comparison,
    small_sample_meta_analysis,
    tau2_interval,
)
from psps_paper.pairwise.random_effects import PairwiseFit, estimate_tau2, leave_one_out, meta_analysis
from psps_paper.pairwise.rare_events import RareEventsFit, mantel_haenszel, peto, pool_about
from psps_paper.pairwise.regression import MetaRegression, meta_regression
from psps_paper.pairwise.selection import SelectionModel, selection_model
from psps_paper.pairwise.small_study import EggerTest, copas_jackson_bound, egger_test, published_fraction_at_bias
from psps_paper.pairwise.subgroups import SubgroupAnalysis, subgroup_analysis

__all__ = [
    "BinomialNormalFit",
    "EggerTest",
    "GeneralisedQFit",
    "LimitMetaAnalysis",
    "MetaRegression",
    "MethodComparison",
    "PairwiseFit",
    "PairwiseFits",
    "PetPeese",
    "RankTest",
    "RareEventsFit",
    "RobustFit",
    "SelectionModel",
    "Sigma2Maximum",
    "SmallSampleFit",
    "SubgroupAnalysis",
    "Tau2IntervalFit",
    "Tau2Maximum",
    "ThreeLevelFit",
    "TrimAndFill",
    "binomial_normal",
    "binomial_normal_proportion",
    "copas_jackson_bound",
    "egger_test",
    "estimate_tau2",
    "generalised_q_meta_analysis",
    "kenward_roger",
    "leave_one_out",
    "limit_meta_analysis",
    "mantel_haenszel",
    "meta_analyses",
    "meta_analysis",
    "meta_regression",
    "method_comparison",
    "pet_peese",
    "peto",
    "pool_about",
    "published_fraction_at_bias",
    "rank_test",
    "robust_meta_analysis",
    "selection_model",
    "small_sample_meta_analysis",
    "subgroup_analysis",
    "tau2_interval",
    "three_level",
    "trim_and_fill",
]
