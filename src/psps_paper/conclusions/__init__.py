"""How far the evidence may change before a conclusion does."""

from psps_paper.conclusions.threshold import threshold_analysis

__all__ = ["threshold_analysis"]
