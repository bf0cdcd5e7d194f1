"""Frequentist network meta-analysis."""

from .model import NetworkFit, NetworkFits, components, fit_network, fit_networks

__all__ = ["NetworkFit", "NetworkFits", "components", "fit_network", "fit_networks"]
