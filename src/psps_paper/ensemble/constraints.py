"""Everything printed about a star network, as interval constraints on trial-level sets."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy

from psps_paper.ensemble.model import Evidence

FITS = 1e-3  # an excess up to this share of a half-unit counts as agreement


class Constraints:
    """Everything printed as intervals of a member's aggregates, residuals in half-units of the last digit."""

    def __init__(self, evidence: Evidence, method: str):
        self.evidence, self.method = evidence, method
        region = evidence.region
        c = self.c = len(evidence.edges)
        self.names = [self._name(row) for _, row in region.rows.iterrows()] + ["i2", "egger_t"]
        q_low, q_high = evidence.q_range
        df = evidence.df
        i2 = evidence.printed[evidence.printed["quantity"] == "i2"].iloc[0]
        i2_half = 0.5 * 10.0 ** -int(i2["decimals"])
        egger = evidence.egger_t
        low = [*region.low, 1 - df / q_low, egger[0]]
        high = [*region.high, 1 - df / q_high, egger[1]]
        half = [*region.half, i2_half, (egger[1] - egger[0]) / 2]
        # the remark on heterogeneity: each named comparison is heterogeneous by itself, and per degree of
        # freedom more so than every comparison that is not named
        self.remark = []
        freedom = evidence.edges["estimates"].to_numpy(float) - 1
        for named in evidence.heterogeneous:
            self.remark.append((named, freedom[named], None, 1.0))
            self.names.append(f"q_{named}")
            low, high, half = [*low, 1.0], [*high, np.inf], [*half, 0.05]
            for other in set(range(c)) - set(evidence.heterogeneous):
                self.remark.append((named, freedom[named], other, freedom[other]))
                self.names.append(f"q_{named}_{other}")
                low, high, half = [*low, 0.0], [*high, np.inf], [*half, 0.05]
        if method in ("REML", "ML"):
            self.names.append("score")
            low, high, half = [*low, -1e-7], [*high, 1e-7], [*half, 1e-3]
        self.low, self.high, self.half = map(np.array, (low, high, half))
        self.limit = {  # 5 % points of chi-squared per degree of freedom, for the named comparisons
            named: float(scipy.special.chdtri(freedom[named], 0.05)) / freedom[named] for named in evidence.heterogeneous
        }

    @staticmethod
    def _name(row: pd.Series) -> str:
        parts = [row["quantity"], row["treat1"], row["treat2"]]
        return " ".join(str(p) for p in parts if not pd.isna(p))

    def __call__(self, value: np.ndarray, jac: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Constraint values [B x K] and Jacobian [B x K x L] from a model's aggregates."""
        c = self.c
        g, d = self.evidence.region.values(value[:, : 2 * c])
        q = value[:, 2 * c : 3 * c]
        total = q.sum(axis=1, keepdims=True)
        df = self.evidence.df
        sign = np.where(value[:, 3 * c : 3 * c + 1] < 0, -1.0, 1.0)
        values = [g, 1 - df / total, sign * value[:, 3 * c : 3 * c + 1]]
        jacs = [
            d @ jac[:, : 2 * c],
            (df / total**2)[:, :, None] * jac[:, 2 * c : 3 * c].sum(axis=1, keepdims=True),
            sign[:, :, None] * jac[:, 3 * c : 3 * c + 1],
        ]
        if self.remark:
            remark, remark_j = self.remark_values(value, jac)
            values.append(remark)
            jacs.append(remark_j)
        if self.method in ("REML", "ML"):
            values.append(value[:, -1:])
            jacs.append(jac[:, -1:])
        return np.concatenate(values, axis=1), np.concatenate(jacs, axis=1)

    @property
    def remark_low(self) -> np.ndarray:
        """Least value of each row of the remark [R]."""
        return np.array([1.0 if other is None else 0.0 for _, _, other, _ in self.remark])

    def remark_values(self, value: np.ndarray, jac: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the remark on heterogeneity [B x R] and their Jacobian."""
        c = self.c
        q, q_j = value[:, 2 * c : 3 * c], jac[:, 2 * c : 3 * c]
        values = np.empty((len(value), len(self.remark)))
        jacs = np.empty((len(value), len(self.remark), jac.shape[2]))
        for i, (named, f_named, other, f_other) in enumerate(self.remark):
            values[:, i], jacs[:, i] = q[:, named] / f_named, q_j[:, named] / f_named
            if other is None:
                values[:, i] /= self.limit[named]
                jacs[:, i] /= self.limit[named]
            else:
                values[:, i] -= q[:, other] / f_other
                jacs[:, i] -= q_j[:, other] / f_other
        return values, jacs

    def excess(self, g: np.ndarray) -> np.ndarray:
        """Signed distance outside the interval in half-units [B x K]; 0 inside."""
        return (np.maximum(g - self.high, 0) - np.maximum(self.low - g, 0)) / self.half
