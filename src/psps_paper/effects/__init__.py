"""From what trials report to treatment effects and their standard errors.

te of "treat1 vs treat2" is treat1 minus treat2 everywhere.
"""

from psps_paper.effects.arms import (
    Contrasts,
    ImputedArms,
    arms_wide_to_long,
    contrasts_from_arms,
    impute_sd,
)
from psps_paper.effects.estimates import (
    Effect,
    correlation_from_sds,
    crossover_mean_difference,
    crossover_smd,
    log_odds_ratio,
    mean_difference,
    risk_difference,
    smd,
    smd_from_log_or,
    smd_from_p,
    smd_from_t,
)
from psps_paper.effects.quantiles import MeanSD, mean_sd_from_quantiles

__all__ = [
    "Contrasts",
    "Effect",
    "ImputedArms",
    "MeanSD",
    "arms_wide_to_long",
    "contrasts_from_arms",
    "correlation_from_sds",
    "crossover_mean_difference",
    "crossover_smd",
    "impute_sd",
    "log_odds_ratio",
    "mean_difference",
    "mean_sd_from_quantiles",
    "risk_difference",
    "smd",
    "smd_from_log_or",
    "smd_from_p",
    "smd_from_t",
]
