"""Frequentist network meta-analysis."""
