"""Ranking of treatments from a fitted network."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import pandas as pd
import scipy

from psps_paper.network.model import Desirable, NetworkFit, check_fit


def _sign(desirable: Desirable) -> float:
    if desirable not in ("lower", "higher"):
        raise ValueError(f"desirable={desirable!r}: expected 'lower' or 'higher'")
    return 1.0 if desirable == "higher" else -1.0


def p_scores(fit: NetworkFit, *, desirable: Desirable) -> pd.Series:
    """Compute the P-score of each treatment: its mean probability of beating a competitor.

    Parameters
    ----------
    fit : NetworkFit
        Random-effects estimates are used; ``fit.te`` is row minus column, in the outcome's unit.
    desirable : {"lower", "higher"}
        The direction that is better for the patient, as ``data/outcomes.csv`` states it.

    Returns
    -------
    pandas.Series, shape (n_treatments,)
        In [0, 1], indexed by treatment; the mean over treatments is 1/2.

    Source: Rücker & Schwarzer 2015, eq. 4.  Checked against: netmeta 2.8-2 netrank().
    """
    check_fit(fit)
    return p_scores_from(fit.te, fit.se, desirable=desirable)


def p_scores_from(te: pd.DataFrame, se: pd.DataFrame, *, desirable: Desirable) -> pd.Series:
    """Compute P-scores from matrices of estimates and their standard errors, row minus column.

    For the common-effect ranking pass ``fit.te_common, fit.se_common``.

    Source: Rücker & Schwarzer 2015, eq. 4.  Checked against: netmeta 2.8-2 netrank().
    """
    values = p_score_values(te.to_numpy(), se.to_numpy(), desirable=desirable)
    return pd.Series(values, index=te.index, name="p_score")


def p_score_values(te: np.ndarray, se: np.ndarray, *, desirable: Desirable) -> np.ndarray:
    """Compute the P-scores of many data sets at once.

    Parameters
    ----------
    te, se : ndarray [..., n, n]
        Row minus column, as in ``NetworkFits``.
    desirable : {"lower", "higher"}

    Returns
    -------
    ndarray [..., n]

    Source: Rücker & Schwarzer 2015, eq. 4.  Checked against: netmeta 2.8-2 netrank().
    """
    n = te.shape[-1]
    # The diagonal compares a treatment with itself (0 / 1, probability 1/2) and is subtracted again.
    wins = scipy.special.ndtr(_sign(desirable) * te / (se + np.eye(n)))
    return (wins.sum(axis=-1) - 0.5) / (n - 1)


def rank_probabilities(fit: NetworkFit, *, desirable: Desirable, draws: int = 100_000, seed: int = 0) -> pd.DataFrame:
    """Estimate the probability that each treatment has each rank; rank 1 is the best.

    Effects are drawn from the multivariate normal distribution of the random-effects estimates.

    Parameters
    ----------
    fit : NetworkFit
    desirable : {"lower", "higher"}
    draws : int
    seed : int
        Seed of numpy's default generator; the same seed gives the same table.

    Returns
    -------
    DataFrame [treatment x rank]
        Rows and columns sum to 1. ``attrs["max_standard_error"]`` is the largest Monte-Carlo standard
        error of a cell, ``max(sqrt(p (1 - p) / draws))``.

    Source: Salanti, Ades & Ioannidis 2011, with normal draws instead of MCMC.
    """
    check_fit(fit)
    sign = _sign(desirable)
    if not isinstance(draws, Integral) or draws < 1:
        raise ValueError(f"draws={draws!r}: expected a whole number (int) of at least 1")
    if not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f"seed={seed!r}: expected a whole number (int) of at least 0")
    n = len(fit.treatments)
    # Cholesky factor of the basic parameters; the reference is zero in every draw.
    factor = np.linalg.cholesky(fit.cov.to_numpy()[1:, 1:])
    effects = np.zeros((draws, n))
    effects[:, 1:] = np.random.default_rng(seed).standard_normal((draws, n - 1)) @ factor.T
    effects += fit.te.to_numpy()[:, 0]
    best_first = np.argsort(-sign * effects, axis=1)
    # Count all cells at once: treatment * n + rank.
    cells = best_first * n + np.arange(n)
    counts = np.bincount(cells.ravel(), minlength=n * n).reshape(n, n)
    table = pd.DataFrame(counts / draws, index=fit.treatments, columns=pd.RangeIndex(1, n + 1, name="rank"))
    p = table.to_numpy()
    table.attrs = {
        "draws": draws,
        "seed": seed,
        "max_standard_error": float(np.sqrt(p * (1 - p) / draws).max()),
    }
    return table


def sucra(probabilities: pd.DataFrame) -> pd.Series:
    """Compute the surface under the cumulative ranking curve (SUCRA), in [0, 1].

    Parameters
    ----------
    probabilities : DataFrame [treatment x rank]
        From :func:`rank_probabilities`. As the number of draws grows, SUCRA tends to the P-score.

    Source: Salanti, Ades & Ioannidis 2011; equality with P-scores: Rücker & Schwarzer 2015.
    """
    cumulative = probabilities.to_numpy().cumsum(axis=1)[:, :-1]
    return pd.Series(cumulative.mean(axis=1), index=probabilities.index, name="sucra")


def mean_ranks(probabilities: pd.DataFrame) -> pd.Series:
    """Compute the expected rank of each treatment; rank 1 is the best.

    Parameters
    ----------
    probabilities : DataFrame [treatment x rank]
        From :func:`rank_probabilities`.
    """
    ranks = np.arange(1, probabilities.shape[1] + 1)
    return pd.Series(probabilities.to_numpy() @ ranks, index=probabilities.index, name="mean_rank")
