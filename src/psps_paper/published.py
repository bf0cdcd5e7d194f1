"""The published network: from its printed values to a network that agrees with all of them."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from psps_paper.network.model import Desirable, NetworkFit
from psps_paper.network.summary import network_from_pooled
from psps_paper.recover import I2_QUANTITIES, QUANTITIES, Recovery, leave_one_out, recover_contrasts


@dataclass(frozen=True)
class PublishedNetwork:
    """What the printed values of a network say together.

    Attributes
    ----------
    printed : DataFrame
        The printed values that constrain the network, I2 as a fraction.
    edges : DataFrame [treat1, treat2, estimates]
        Direct comparisons with their printed numbers of estimates.
    recovery : Recovery
        Bounds of every contrast, a central solution, or the clashing values.
    fit : NetworkFit
        The central solution as a network (tier "implied").
    without : DataFrame [low, high]
        For each row of ``printed``, the interval that all other printed values imply for it.
    """

    printed: pd.DataFrame
    edges: pd.DataFrame
    recovery: Recovery
    fit: NetworkFit
    without: pd.DataFrame


def printed_values(nma_published: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``nma_published`` that constrain the network, in the units that ``recover`` expects.

    I2 is printed in percent and returned as a fraction, with two more decimals.
    """
    rows = nma_published[nma_published["quantity"].isin(QUANTITIES)].copy()
    percent = rows["quantity"].isin(I2_QUANTITIES)
    rows.loc[percent, "value"] = rows.loc[percent, "value"] / 100
    rows.loc[percent, "decimals"] = rows.loc[percent, "decimals"] + 2
    return rows


def published_edges(nma_published: pd.DataFrame) -> pd.DataFrame:
    """Direct comparisons of the network with their numbers of estimates: DataFrame [treat1, treat2, estimates]."""
    rows = nma_published[nma_published["quantity"] == "n_estimates"]
    return rows[["treat1", "treat2"]].assign(estimates=rows["value"].astype(int)).reset_index(drop=True)


def published_network(nma_published: pd.DataFrame, *, desirable: Desirable) -> PublishedNetwork:
    """Recover the network behind printed values.

    Parameters
    ----------
    nma_published : DataFrame
        The table of that name.
    desirable : {"lower", "higher"}
        Desirable direction of te, from ``data/outcomes.csv`` (``te_desirable``).

    Returns
    -------
    PublishedNetwork
        Also where the values clash: then ``recovery.feasible`` is false and ``fit`` is the nearest miss.
    """
    printed = printed_values(nma_published)
    edges = published_edges(nma_published)
    recovery = recover_contrasts(printed, edges, desirable=desirable)
    without = leave_one_out(printed, edges, desirable=desirable)
    fit = network_from_pooled(recovery.solution)
    return PublishedNetwork(printed, edges, recovery, fit, without)
