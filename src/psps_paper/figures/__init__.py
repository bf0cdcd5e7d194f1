"""Figures: functions from DataFrames to a :class:`Drawing`; they read only the palette and change nothing global."""

from psps_paper.figures.bayes import prior_strip, tau_posterior
from psps_paper.figures.bias import rob_by_study, rob_domains, rob_stacked
from psps_paper.figures.drawing import Drawing, save, to_svg
from psps_paper.figures.engine import time_growth
from psps_paper.figures.flow import prisma_flow
from psps_paper.figures.forest import forest_network, forest_responders
from psps_paper.figures.heat import contribution_heat, net_heat_map
from psps_paper.figures.intervals import funnel, interval_strip
from psps_paper.figures.league import league_direct, league_heat
from psps_paper.figures.network import network_graph, network_of
from psps_paper.figures.orders import hasse_diagram
from psps_paper.figures.ranks import cumulative_ranks, p_score_dots, rank_heat, rank_interval, rankogram
from psps_paper.figures.robustness import identified_ranges, threshold_forest
from psps_paper.figures.small_study import bubble, contour_funnel
from psps_paper.figures.studies import effect_direction, studies_by_year
from psps_paper.figures.studies_forest import (
    forest_comparisons,
    forest_pages,
    forest_pairwise,
    forest_treatments,
    node_split_forest,
)

__all__ = [
    "Drawing",
    "bubble",
    "contour_funnel",
    "contribution_heat",
    "cumulative_ranks",
    "effect_direction",
    "forest_comparisons",
    "forest_network",
    "forest_pages",
    "forest_pairwise",
    "forest_responders",
    "forest_treatments",
    "funnel",
    "hasse_diagram",
    "identified_ranges",
    "interval_strip",
    "league_direct",
    "league_heat",
    "net_heat_map",
    "network_graph",
    "network_of",
    "node_split_forest",
    "p_score_dots",
    "prior_strip",
    "prisma_flow",
    "rank_heat",
    "rank_interval",
    "rankogram",
    "rob_by_study",
    "rob_domains",
    "rob_stacked",
    "save",
    "studies_by_year",
    "tau_posterior",
    "threshold_forest",
    "time_growth",
    "to_svg",
]
