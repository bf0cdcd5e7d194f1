"""Settings of the analysis of each outcome, declared once in ``outcomes.csv``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from psps_paper.tables.csv_text import unprotected
from psps_paper.tables.dataset import Dataset, dataset
from psps_paper.tables.errors import TableError

BETWEEN = " | "  # separator in the column order
# Settings that review.yml may omit
DEFAULTS: dict[str, str | float] = {
    "tau2": "DL",
    "correlation": 0.0,
    "continuity": "zero_cells",
    "increment": 0.5,
    "correction": "exact",
    "level": 0.95,
}


@dataclass(frozen=True)
class Outcome:
    """One row of ``outcomes.csv``.

    Attributes
    ----------
    outcome, label, measure, unit : str
    scale_desirable, te_desirable : {"lower", "higher"}
        Desirable direction of the raw scale, and of te for the first-named treatment.
    order : tuple of str
        Treatments, those expected to be favoured by small-study effects first; every comparison has this order.
    reference : str
        Reference treatment of forest plots.
    tau2 : {"DL", "REML", "ML"}
    correlation : float
        In [0, 1): correlation between several estimates of one comparison from one study. With 0 each counts as a
        separate study.
    continuity : {"zero_cells", "all", "treatment_arm", "none"}
    increment : float
        Increment of the continuity correction, greater than 0.
    correction : {"exact", "approximate", "none"}
        Small-sample correction of an SMD (Hedges).
    level : float
        Level of all intervals, between 0 and 1.
    """

    outcome: str
    label: str
    measure: str
    unit: str
    scale_desirable: str
    te_desirable: str
    order: tuple[str, ...]
    reference: str
    tau2: str
    correlation: float
    continuity: str
    increment: float
    correction: str
    level: float

    def ordered(self, treatments: Iterable[str]) -> list[str]:
        """Sort treatments by the declared order; undeclared ones come last, by name."""
        rank = {name: k for k, name in enumerate(self.order)}
        return sorted(treatments, key=lambda name: (rank.get(name, len(rank)), name))

    def undeclared(self, treatments: Iterable[str]) -> list[str]:
        """Return the treatments that the declared order does not name, sorted by name."""
        return sorted(set(treatments) - set(self.order))


def load_outcome(data: Dataset | Path | str | None = None, outcome: str | None = None) -> Outcome:
    """Load the settings of an outcome; by default of the first in ``outcomes.csv``.

    Parameters
    ----------
    data : Dataset, Path or str, optional
        The data folder; by default that of this checkout.
    outcome : str, optional

    Raises
    ------
    TableError
        The outcome does not exist, or a setting is not valid; row and column are named.
    """
    table = dataset(data).table("outcomes")
    names = list(table["outcome"])
    if outcome is not None and outcome not in names:
        raise TableError(f"outcomes.csv: no outcome {outcome!r}; expected one of {', '.join(names)}")
    unknown = [name for name in Outcome.__dataclass_fields__ if name not in table.columns]
    if unknown:
        raise TableError(
            f"outcomes.csv: no column {', '.join(unknown)}; for a review of your own, psps-paper new writes the table"
            " again"
        )
    row = 0 if outcome is None else names.index(outcome)
    cells = table.iloc[row].copy()
    # A label that a spreadsheet would evaluate is stored with an apostrophe in front
    cells["order"], cells["reference"] = unprotected(cells["order"]), unprotected(cells["reference"])
    return outcome_of(cells, f"outcomes.csv, row {row + 1}")


def outcome_of(row: pd.Series, where: str) -> Outcome:
    """Check a row of ``outcomes.csv`` beyond the rules of its dictionary, and convert it.

    Raises
    ------
    TableError
        The message begins with ``where``.
    """
    order = tuple(row["order"].split(BETWEEN))
    repeated = [name for name in order if order.count(name) > 1 or not name.strip()]
    if len(order) < 2 or repeated:
        raise TableError(
            f"{where}, column order: {row['order']!r} is not two or more treatments, each once, "
            "separated by a vertical bar between spaces"
        )
    if row["reference"] not in order:
        raise TableError(
            f"{where}, column reference: {row['reference']!r} is not one of {', '.join(order)}, "
            "the treatments of column order"
        )
    for name, holds, expected in (
        ("correlation", 0 <= row["correlation"] < 1, "a number from 0 to below 1"),
        ("increment", row["increment"] > 0, "a number greater than 0"),
        ("level", 0 < row["level"] < 1, "a number between 0 and 1"),
    ):
        if not holds:
            raise TableError(f"{where}, column {name}: {row[name]:g} is not {expected}")
    fields = {name: row[name] for name in Outcome.__dataclass_fields__ if name != "order"}
    numbers = {name: float(row[name]) for name in ("correlation", "increment", "level")}
    return Outcome(**{**fields, **numbers, "order": order})
