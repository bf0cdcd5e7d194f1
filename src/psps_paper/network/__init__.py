"""Frequentist network meta-analysis."""

from psps_paper.network.binary_model import BinaryNetworkFit, fit_binary_network
from psps_paper.network.completion import complete_contrasts
from psps_paper.network.component_model import ComponentFit, fit_components
from psps_paper.network.contribution import contribution_matrix, hat_matrix
from psps_paper.network.impact import net_impact
from psps_paper.network.inconsistency import QDecomposition, decompose_q, net_heat, split_evidence
from psps_paper.network.measures import LeagueWithDirect, evidence_measures, league_with_direct
from psps_paper.network.model import (
    NetworkFit,
    NetworkFits,
    components,
    contrast_notes,
    fit_network,
    fit_networks,
    subnetworks,
)
from psps_paper.network.order import PartialOrder, partial_order, poth
from psps_paper.network.orientation import orient
from psps_paper.network.ranking import mean_ranks, p_scores, p_scores_from, rank_probabilities, sucra
from psps_paper.network.regression import NetworkMetaRegression, network_meta_regression
from psps_paper.network.robust import RobustNetworkFit, cluster_robust
from psps_paper.network.sensitivity import comparison_adjusted_funnel, leave_one_study_out
from psps_paper.network.summary import heterogeneity_table, league_table, network_from_pooled
from psps_paper.network.tau2_search import Tau2Maxima, Tau2Maximum

__all__ = [
    "BinaryNetworkFit",
    "ComponentFit",
    "LeagueWithDirect",
    "NetworkFit",
    "NetworkFits",
    "NetworkMetaRegression",
    "PartialOrder",
    "QDecomposition",
    "RobustNetworkFit",
    "Tau2Maxima",
    "Tau2Maximum",
    "cluster_robust",
    "comparison_adjusted_funnel",
    "complete_contrasts",
    "components",
    "contrast_notes",
    "contribution_matrix",
    "decompose_q",
    "evidence_measures",
    "fit_binary_network",
    "fit_components",
    "fit_network",
    "fit_networks",
    "hat_matrix",
    "heterogeneity_table",
    "league_table",
    "league_with_direct",
    "leave_one_study_out",
    "mean_ranks",
    "net_heat",
    "net_impact",
    "network_from_pooled",
    "network_meta_regression",
    "orient",
    "p_scores",
    "p_scores_from",
    "partial_order",
    "poth",
    "rank_probabilities",
    "split_evidence",
    "subnetworks",
    "sucra",
]
