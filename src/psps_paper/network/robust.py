"""Standard errors that do not rely on the within-study correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy

from psps_paper.network.heterogeneity import least_squares
from psps_paper.network.model import NetworkFit, rows_of
from psps_paper.network.results import Result, as_text, pairs_frame

# Eigenvalues of I - H below this count as zero: the study alone determines a contrast.
LEVERAGE_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class RobustNetworkFit(Result):
    """Cluster-robust estimates as DataFrames [treatment x treatment], row minus column.

    ``df`` are the Satterthwaite degrees of freedom of t used for ``lower`` and ``upper``.
    If a contrast rests on a single study, ``se``, ``df`` and limits are NaN.
    """

    te: pd.DataFrame
    se: pd.DataFrame
    df: pd.DataFrame
    lower: pd.DataFrame
    upper: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """Return all pairs of treatments: treat1, treat2, te, se, df, lower, upper."""
        return pairs_frame(list(self.te.index), {n: getattr(self, n) for n in ("te", "se", "df", "lower", "upper")})

    def summary(self) -> str:
        """Format all pairs as text."""
        head = "Cluster-robust network meta-analysis (CR2), treat1 minus treat2"
        return f"{head}\n\n{self.to_frame().to_string(index=False, float_format=as_text)}"


def cluster_robust(fit: NetworkFit) -> RobustNetworkFit:
    """Compute CR2 standard errors of the random-effects estimates, clustered by study.

    Parameters
    ----------
    fit : NetworkFit
        With or without ``correlation``; its weights give the estimates and the working covariance.

    Returns
    -------
    RobustNetworkFit
        The estimates are those of the fit. With fewer than 4 degrees of freedom, p-values and limits
        cannot be trusted (Tipton 2015).

    Source: Bell & McCaffrey 2002; Tipton 2015; Pustejovsky & Tipton 2018, with the
    symmetric square root in the basis where the working covariance is the identity.
    Checked against: the same formulas written out with full matrices (tests).
    """
    design, rows = rows_of(fit)
    x = rows.x[0, :, 1:] if rows.x.ndim == 3 else rows.x[:, 1:]
    solved = least_squares(x, rows.y, rows.d, np.array([fit.tau2]))
    scale = np.sqrt(solved.w[0])
    x, residual, cov = x * scale[:, None], solved.residual[0] * scale, solved.cov[0]
    n = len(fit.treatments)
    first, second = np.triu_indices(n, 1)
    contrast = np.zeros((n, first.size))
    pair = np.arange(first.size)
    contrast[first, pair], contrast[second, pair] = 1.0, -1.0
    to_basic = cov @ contrast[1:]  # p x pairs
    variance = np.zeros(pair.size)
    trace = np.zeros(pair.size)
    square_sum = np.zeros(pair.size)
    spread = np.zeros((pair.size, n - 1, n - 1))
    alone = np.zeros(pair.size, bool)
    for k in range(len(design.studies)):
        mine = rows.study == k
        block = x[mine]
        values, vectors = np.linalg.eigh(np.eye(len(block)) - block @ cov @ block.T)
        regular = values > LEVERAGE_TOLERANCE
        rotated = vectors.T @ block
        alone |= (np.abs(rotated[~regular] @ to_basic) > LEVERAGE_TOLERANCE).any(axis=0)
        rotated, values = rotated[regular], values[regular]
        adjusted = (rotated @ to_basic) / np.sqrt(values)[:, None]
        variance += ((vectors.T @ residual[mine])[regular] @ adjusted) ** 2
        length = (adjusted**2).sum(axis=0)
        through = rotated.T @ adjusted
        trace += length - (through * (cov @ through)).sum(axis=0)
        square_sum += length**2 - 2 * length * (through * (cov @ through)).sum(axis=0)
        spread += through.T[:, :, None] * through.T[:, None, :]
    product = cov @ spread
    square_sum += (product * product.swapaxes(1, 2)).sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        df = np.where(alone, np.nan, trace**2 / square_sum)
    se = np.where(alone, np.nan, np.sqrt(variance))

    def square(values: np.ndarray, diagonal: float) -> pd.DataFrame:
        full = np.full((n, n), diagonal)
        full[first, second] = full[second, first] = values
        return pd.DataFrame(full, index=fit.treatments, columns=fit.treatments)

    reach = square(scipy.special.stdtrit(df, (1 + fit.level) / 2) * se, 0.0)
    return RobustNetworkFit(fit.te, square(se, 0.0), square(df, np.nan), fit.te - reach, fit.te + reach)
