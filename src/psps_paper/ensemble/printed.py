"""Check whether estimates give the printed values, each to its last digit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy

from psps_paper.ensemble.countings import egger_t
from psps_paper.ensemble.model import Method, PublishedResults
from psps_paper.ensemble.star import fit_stars


class PrintedValues:
    """All printed values of a star network, as intervals for the results of a fit to its estimates.

    Attributes
    ----------
    table : DataFrame [quantity, treat1, treat2, low, high, half]
        The printed values; I2, from which its interval follows; the absolute t of Egger's test; and the statement on
        where heterogeneity lies: each named comparison has a Q beyond its 5 % critical value (``q_limits``) and a
        larger Q per degree of freedom than every other (``q_more``). ``half`` is half a unit of the last printed digit.
    """

    def __init__(self, evidence: PublishedResults, method: Method):
        self.evidence, self.method = evidence, method
        region = evidence.region
        rows = region.rows[["quantity", "treat1", "treat2"]].assign(low=region.low, high=region.high, half=region.half)
        i2 = evidence.printed[evidence.printed["quantity"] == "i2"].iloc[0]
        df, half = evidence.df, 0.5 * 10.0 ** -int(i2["decimals"])
        more = [("i2", None, None, 1 - df / evidence.q_range[0], 1 - df / evidence.q_range[1], half)]
        more.append(("egger_t", None, None, *evidence.egger_t, np.ptp(evidence.egger_t) / 2))
        edges, self.remark = evidence.edges, []
        freedom = edges["estimates"].to_numpy(float) - 1
        for named in evidence.heterogeneous:
            name = edges.loc[named, ["treat1", "treat2"]].tolist()
            self.remark.append((named, None, scipy.special.chdtri(freedom[named], 0.05)))
            more.append(("q_limits", *name, 1.0, np.inf, 0.05))
            for other in set(range(len(edges))) - set(evidence.heterogeneous):
                self.remark.append((named, other, freedom[named] / freedom[other]))
                more.append(("q_more", *name, 0.0, np.inf, 0.05))
        self.table = pd.concat([rows, pd.DataFrame(more, columns=rows.columns)], ignore_index=True)
        self._at = evidence.estimates
        self._one_hot = np.eye(len(edges))[self._at]
        self._low, self._high, self._half = (self.table[name].to_numpy() for name in ("low", "high", "half"))

    def values(self, te: np.ndarray, se: np.ndarray) -> np.ndarray:
        """Compute each row of ``table`` from estimates [B x m], unrounded [B x K]; absolute z instead of p."""
        fit = fit_stars(te, se**2, self._one_hot, self.method)
        pooled, q = fit.te, fit.q
        values, _ = self.evidence.region.values(np.c_[pooled, np.log(fit.variance) / 2])
        remark = [
            q[:, k] / limit if other is None else (q[:, k] - limit * q[:, other]) / 10
            for k, other, limit in self.remark
        ]
        egger = np.abs(egger_t(te - pooled[:, self._at], se))
        return np.column_stack([values, 1 - self.evidence.df / q.sum(axis=1), egger, *remark])

    def room(self, te: np.ndarray, se: np.ndarray) -> np.ndarray:
        """Compute half-units from each value to the nearer end of its rounding interval [B x K]; negative outside."""
        values = self.values(te, se)
        return np.minimum(values - self._low, self._high - values) / self._half
