"""The base of this room's results: a table of their numbers, and a summary as text."""

from __future__ import annotations

import numpy as np

from psps_paper.network.results import Result, as_text
from psps_paper.pairwise.random_effects import critical_value, two_sided_p

__all__ = ["Result", "as_text", "interval"]


def interval(te: float, se: float, level: float, df: float = np.inf) -> tuple[float, float, float]:
    """Return the limits and the two-sided p-value of an estimate."""
    reach = critical_value(level, df) * se
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = float(np.divide(te, se))
    return te - reach, te + reach, two_sided_p(statistic, df)
