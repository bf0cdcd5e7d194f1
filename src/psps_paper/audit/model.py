"""A paper's printed results as one object, without computation."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from psps_paper.audit.numbers import SLACK, Number, Triple

VERDICTS = ("holds", "explained", "cannot tell", "clash")
Scale = Literal["ratio", "difference", ""]
RATIOS = (
    "or",
    "rr",
    "hr",
    "irr",
    "rom",
    "rate ratio",
    "odds ratio",
    "risk ratio",
    "relative risk",
    "hazard ratio",
    "ratio",
    "ratio of means",
)
DIFFERENCES = (
    "md",
    "smd",
    "wmd",
    "rd",
    "mean difference",
    "standardised mean difference",
    "standardized mean difference",
    "risk difference",
    "difference",
    "hedges g",
    "cohen d",
    "log or",
    "log rr",
    "log hr",
    "log odds ratio",
)


@dataclass(frozen=True)
class Cell:
    """One printed comparison.

    Attributes
    ----------
    treat1, treat2 : str
        The estimate is read as ``treat1`` minus, or over, ``treat2``.
    triple : Triple
    where : str
        Its place in print: row and column.
    p, z : Number, optional
        Printed beside the estimate.
    """

    treat1: str
    treat2: str
    triple: Triple
    where: str
    p: Number | None = None
    z: Number | None = None


@dataclass(frozen=True)
class Table:
    """Cells that one analysis printed in one area: a triangle, a square or a list.

    ``holds`` is "network" or "direct"; ``orientation`` is the direction in which the cells were read, and ``stated``
    whether the paper states it.
    """

    cells: tuple[Cell, ...]
    holds: str = "network"
    area: str = ""
    orientation: str = ""
    stated: bool = False

    def turned(self) -> Table:
        """Return the same cells read in the opposite direction."""
        cells = tuple(replace(cell, treat1=cell.treat2, treat2=cell.treat1) for cell in self.cells)
        ways = {"row versus column": "column versus row", "column versus row": "row versus column"}
        return replace(self, cells=cells, orientation=ways.get(self.orientation, self.orientation))


@dataclass(frozen=True)
class Network:
    """Everything printed about one analysis.

    Attributes
    ----------
    name : str
    treatments : tuple of str
        In printed order.
    tables : tuple of Table
    scale : {"ratio", "difference", ""}
        Empty if neither the text nor the numbers determine it.
    scale_from : str
        "stated", or the reason for inferring it.
    orientation_from : {"", "scores"}
        "scores" if the paper does not state the orientation of its tables and the ranking determined it.
    framework : {"frequentist", "bayesian", ""}
    level : float
        Level of the intervals, a fraction.
    better : {"lower", "higher", ""}
    scores : dict of str to Number
        P-scores or SUCRA, as fractions; ``score_kind`` names them.
    mean_ranks : dict of str to Number
    rank_probabilities : dict of str to tuple of Number
        As fractions, rank 1 first.
    best, worst : dict of str to Number
        Probabilities of the first and of the last rank, as fractions.
    heterogeneity : dict of str to Number
        Keys tau2, tau, i2, i2_lower, i2_upper, q, df, p, df_predict, studies, comparisons, designs, multi_arm_arms.
    q_rows : tuple of (name, q, df, p)
    predictions : tuple of Cell
        The limits are those of the prediction interval.
    misplaced : tuple of (treatment, text, where)
        Estimates printed on the diagonal.
    notes : tuple of str
        Decisions made in reading that users should know.
    """

    name: str
    treatments: tuple[str, ...]
    tables: tuple[Table, ...]
    scale: Scale = ""
    scale_from: str = "stated"
    orientation_from: str = ""
    framework: str = ""
    level: float = 0.95
    better: str = ""
    scores: dict[str, Number] = field(default_factory=dict)
    score_kind: str = "P-score"
    mean_ranks: dict[str, Number] = field(default_factory=dict)
    rank_probabilities: dict[str, tuple[Number, ...]] = field(default_factory=dict)
    best: dict[str, Number] = field(default_factory=dict)
    worst: dict[str, Number] = field(default_factory=dict)
    heterogeneity: dict[str, Number] = field(default_factory=dict)
    q_rows: tuple[tuple[str, Number, Number, Number | None], ...] = ()
    predictions: tuple[Cell, ...] = ()
    misplaced: tuple[tuple[str, str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def of(self, holds: str) -> tuple[Table, ...]:
        """Return the tables of network or of direct estimates."""
        return tuple(table for table in self.tables if table.holds == holds)


@dataclass(frozen=True)
class Printed:
    """The content of one description: its networks, and its percentages with numbers of people."""

    title: str
    source: str
    networks: tuple[Network, ...]
    percentages: tuple[tuple[Number, int], ...] = ()


def bounds(number: Number, scale: str, slack: float = SLACK) -> tuple[float, float]:
    """Return the interval of exact values behind a printed number on the scale of analysis (log for ratios)."""
    low, high = number.bounds(slack)
    if scale != "ratio":
        return low, high
    return (math.log(low) if low > 0 else -math.inf), (math.log(high) if high > 0 else -math.inf)


def scale_of(measure: str) -> Scale:
    """Return whether a measure is a ratio or a difference; empty for an unknown one."""
    name = " ".join(measure.lower().replace("-", " ").replace("(", " ").replace(")", " ").split())
    if name in DIFFERENCES or name.startswith(("log ", "smd", "md", "ln ")):
        return "difference"
    return "ratio" if name in RATIOS or name.split(" ")[0] in RATIOS else ""
