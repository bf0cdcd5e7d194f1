"""A finding: what was checked, where, what print allows, and one of four verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import pandas as pd

COLUMNS = ("check", "where", "printed", "lower", "upper", "verdict", "why")


@dataclass(frozen=True)
class Finding:
    """One check of one place.

    Attributes
    ----------
    check : str
    where : str
    printed : str
        As printed.
    lower, upper : float
        What the other printed numbers allow for it; NaN where the check is no number.
    verdict : {"holds", "explained", "cannot tell", "clash"}
    why : str
        One sentence; of a clash a question.
    cells : tuple of (str, str)
        Pairs of treatments that it concerns, for marking; not in the table.
    """

    check: str
    where: str
    printed: str
    lower: float
    upper: float
    verdict: str
    why: str
    cells: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Implied:
    """A quantity that was not printed and follows: its interval, and from what."""

    quantity: str
    where: str
    lower: float
    upper: float
    source: str


def finding_table(findings: Iterable[Finding]) -> pd.DataFrame:
    """Findings as a table, one row each."""
    rows = [tuple(getattr(finding, name) for name in COLUMNS) for finding in findings]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"lower": float, "upper": float})


def implied_table(implied: Iterable[Implied]) -> pd.DataFrame:
    """Implied quantities as a table, one row each."""
    return pd.DataFrame(
        [asdict(row) for row in implied], columns=["quantity", "where", "lower", "upper", "source"]
    ).astype({"lower": float, "upper": float})


def overlap(low1: float, high1: float, low2: float, high2: float) -> bool:
    """Return whether two closed intervals share a point; a millionth of their size absorbs binary representation."""
    size = max((abs(value) for value in (low1, high1, low2, high2) if math.isfinite(value)), default=1.0)
    return bool(max(low1, low2) <= min(high1, high2) + 1e-9 * max(size, 1e-3))
