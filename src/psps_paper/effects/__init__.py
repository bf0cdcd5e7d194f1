"""Treatment effects and their standard errors from the results that trials report.

Throughout, te of "treat1 vs treat2" is treat1 minus treat2.
"""

from psps_paper.effects.arms import Contrasts, ImputedArms, contrasts_from_arms, impute_sd
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
from psps_paper.effects.measures import MEASURES, EffectSizes, effect_sizes
from psps_paper.effects.quantiles import MeanSD, mean_sd_from_quantiles
from psps_paper.effects.reports import (
    complete_means,
    effect_from_interval,
    effect_from_p,
    effect_from_t,
    log_hazard_ratio,
    log_hazard_ratio_from_p,
)
from psps_paper.effects.single_arm import (
    back_transform,
    change_effect,
    correlation_effect,
    proportion_effect,
    proportion_interval,
    rate_effect,
)

__all__ = [
    "MEASURES",
    "Contrasts",
    "Effect",
    "EffectSizes",
    "ImputedArms",
    "MeanSD",
    "back_transform",
    "change_effect",
    "complete_means",
    "contrasts_from_arms",
    "correlation_effect",
    "correlation_from_sds",
    "crossover_mean_difference",
    "crossover_smd",
    "effect_from_interval",
    "effect_from_p",
    "effect_from_t",
    "effect_sizes",
    "impute_sd",
    "log_hazard_ratio",
    "log_hazard_ratio_from_p",
    "log_odds_ratio",
    "mean_difference",
    "mean_sd_from_quantiles",
    "proportion_effect",
    "proportion_interval",
    "rate_effect",
    "risk_difference",
    "smd",
    "smd_from_log_or",
    "smd_from_p",
    "smd_from_t",
]
