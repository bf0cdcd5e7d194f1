"""Conclusions: how robust they are, how certain, and how far an estimate may move before one changes."""

from psps_paper.conclusions.threshold import threshold_analysis

__all__ = ["threshold_analysis"]
