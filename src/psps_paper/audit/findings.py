"""Findings: the check, its place, the values that the print allows, and one of four verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import pandas as pd

COLUMNS = ("check", "where", "printed", "lower", "upper", "verdict", "why")


@dataclass(frozen=True)
class Finding:
    """The result of one check of one place.

    Attributes
    ----------
    check : str
    where : str
    printed : str
        As printed.
    lower, upper : float
        Bounds from the other printed numbers; NaN if the check is not of a number.
    verdict : {"holds", "explained", "cannot tell", "clash"}
    why : str
        One sentence; for a clash, usually a question.
    cells : tuple of (str, str)
        Pairs of treatments concerned, for marking cells; not in the table.
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
    """An unpublished quantity that follows: its interval and its source."""

    quantity: str
    where: str
    lower: float
    upper: float
    source: str


def finding_table(findings: Iterable[Finding]) -> pd.DataFrame:
    """Build a table of findings, one row each."""
    rows = [tuple(getattr(finding, name) for name in COLUMNS) for finding in findings]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"lower": float, "upper": float})


def implied_table(implied: Iterable[Implied]) -> pd.DataFrame:
    """Build a table of implied quantities, one row each."""
    return pd.DataFrame(
        [asdict(row) for row in implied], columns=["quantity", "where", "lower", "upper", "source"]
    ).astype({"lower": float, "upper": float})


def overlap(low1: float, high1: float, low2: float, high2: float) -> bool:
    """Return whether two closed intervals overlap, with a tolerance of a millionth for binary representation."""
    size = max((abs(value) for value in (low1, high1, low2, high2) if math.isfinite(value)), default=1.0)
    return bool(max(low1, low2) <= min(high1, high2) + 1e-9 * max(size, 1e-3))
