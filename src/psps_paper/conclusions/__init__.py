"""Robustness and certainty of conclusions, and threshold analysis."""

from psps_paper.conclusions.threshold import threshold_analysis

__all__ = ["threshold_analysis"]
