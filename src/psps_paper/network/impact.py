"""Contributions of single studies to the precision of a network."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy

from psps_paper.network.model import NetworkFit, rows_of, standard_errors
from psps_paper.network.reduction import pair_names


def study_information(fit: NetworkFit) -> tuple[np.ndarray, np.ndarray]:
    """Return each study's information [study x n x n], at the fit's tau2, and its arms [study x n] of bool."""
    design, rows = rows_of(fit)
    x = rows.x if rows.x.ndim == 2 else rows.x[0]
    weighted = x / (rows.d[0] + fit.tau2)[:, None]
    n = len(design.treatments)
    information = np.zeros((len(design.studies), n, n))
    np.add.at(information, rows.study, weighted[:, :, None] * x[:, None, :])
    arms = np.zeros((len(design.studies), n), bool)
    arms[design.study, design.treat1] = arms[design.study, design.treat2] = True
    return information, arms


def _errors_of_subsets(fit: NetworkFit, keep: np.ndarray) -> np.ndarray:
    """Compute standard errors [B x n x n] from the kept studies [B x study], tau2 kept; infinite if not connected."""
    information, arms = study_information(fit)
    n = len(fit.treatments)
    whole = (keep @ information.reshape(len(information), -1)).reshape(-1, n, n)
    adjacent = keep.astype(float) @ (arms[:, :, None] & arms[:, None, :]).reshape(len(arms), -1) > 0
    together = np.array([_connected_pairs(one) for one in adjacent.reshape(-1, n, n)])
    # Ones within each connected part make the matrix invertible and change no difference within a part.
    size = np.trace(whole, axis1=1, axis2=2) / n
    size = np.where(size > 0, size, 1.0)[:, None, None]
    return np.where(together, standard_errors(np.linalg.inv(whole + together * size / n)), np.inf)


def _connected_pairs(adjacent: np.ndarray) -> np.ndarray:
    """Return which pairs are connected by paths [n x n]."""
    label = scipy.sparse.csgraph.connected_components(adjacent, directed=False)[1]
    return label[:, None] == label[None, :]


def net_impact(fit: NetworkFit) -> pd.DataFrame:
    """Compute the impact of each study on the precision of each network estimate.

    Parameters
    ----------
    fit : NetworkFit
        Random effects are used; for the common effect pass a fit with ``tau2=0``.

    Returns
    -------
    DataFrame [study x comparison]
        ``1 - (se / se without the study)**2`` at the same tau2: 0 if the study has no influence, 1 if no evidence is
        left without it. Comparisons are named as in :func:`hat_matrix`.

    Raises
    ------
    ValueError
        For a network from pooled contrasts.

    Source: Rücker, Nikolakopoulou, Papakonstantinou, Salanti, Riley & Schwarzer 2020 (BMC Med Res Methodol 20:236).
    Checked against: netmeta 2.8-2 netimpact(), which gives the study 100 times the largest standard error instead of
    excluding it.

    Examples
    --------
    >>> from psps_paper.network import fit_network
    >>> rows = [("1", "A", "P", 0.9, 0.2), ("2", "A", "P", 0.5, 0.1), ("3", "B", "P", 0.3, 0.2)]
    >>> fit = fit_network(pd.DataFrame(rows, columns=["study", "treat1", "treat2", "te", "se"]), 0)
    >>> net_impact(fit).round(2).loc["2"].to_dict()
    {'A:B': 0.4, 'A:P': 0.8, 'B:P': 0.0}
    """
    design, _ = rows_of(fit)
    studies = len(design.studies)
    without = _errors_of_subsets(fit, ~np.eye(studies, dtype=bool))
    first, second = np.triu_indices(len(fit.treatments), 1)
    ratio = fit.se.to_numpy()[first, second] / without[:, first, second]
    return pd.DataFrame(
        np.maximum(1 - ratio**2, 0.0),
        index=pd.Index(design.studies, name="study"),
        columns=pair_names(fit.treatments, first, second),
    )
