"""Printed values as rounding intervals."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

Desirable = Literal["lower", "higher"]

CONTRAST_QUANTITIES = ("te", "lower", "upper", "z", "p")
I2_QUANTITIES = ("i2", "i2_lower", "i2_upper")
QUANTITIES = (*CONTRAST_QUANTITIES, "p_score", "tau2", *I2_QUANTITIES)
RELATIONS = ("=", "<", ">")


def rounding_interval(value: float, decimals: int, relation: str = "=") -> tuple[float, float]:
    """Return the interval of exact values that print as ``value``: half a unit either way, or a printed bound."""
    if relation == "<":
        return -np.inf, float(value)
    if relation == ">":
        return float(value), np.inf
    half = 0.5 * 10.0 ** -int(decimals)
    return float(value) - half, float(value) + half


def _check_printed(printed: pd.DataFrame) -> pd.DataFrame:
    """Return a validated copy: quantity, treat1, treat2, value, decimals, relation, with the caller's index."""
    missing = {"quantity", "value", "decimals"} - set(printed.columns)
    if missing:
        raise ValueError(f"printed: missing column(s) {sorted(missing)}")
    if printed.empty:
        raise ValueError("printed: no rows; expected at least one printed value")
    rows = printed.copy()
    if "relation" not in rows:
        rows["relation"] = "="
    rows["relation"] = rows["relation"].fillna("=")
    for column in ("treat1", "treat2"):
        if column not in rows:
            rows[column] = None
    if "treatment" in rows:
        rows["treat1"] = rows["treat1"].where(rows["treat1"].notna(), rows["treatment"])

    for label, row in rows.iterrows():
        broken = _broken_cell(row)
        if broken is not None:
            column, expected = broken
            raise ValueError(
                f"printed, row {label} ({row['quantity']}), column {column}: {row[column]!r} is not {expected}"
            )
    return rows[["quantity", "treat1", "treat2", "value", "decimals", "relation"]]


def _broken_cell(row: pd.Series) -> tuple[str, str] | None:
    """Return the first invalid column of a printed row, and the values expected there."""
    quantity = row["quantity"]
    if quantity not in QUANTITIES:
        return "quantity", f"one of {', '.join(QUANTITIES)}"
    if row["relation"] not in RELATIONS:
        return "relation", f"one of {', '.join(RELATIONS)}"
    value, decimals = _float(row["value"]), _float(row["decimals"])
    if not np.isfinite(value):
        return "value", "a finite number"
    if not (decimals >= 0 and decimals % 1 == 0):
        return "decimals", "a whole number of printed decimals >= 0"
    needs = ("treat1",) if quantity == "p_score" else ("treat1", "treat2") if quantity in CONTRAST_QUANTITIES else ()
    for column in needs:
        if pd.isna(row[column]):
            return column, "a treatment"
    if quantity in ("p", "p_score", *I2_QUANTITIES) and not 0 <= value <= 1:
        return "value", "in [0, 1]" + " (I2 as a fraction)" * (quantity in I2_QUANTITIES)
    if quantity == "tau2" and value < 0:
        return "value", ">= 0"
    return None


def _float(value: object) -> float:
    """Convert to float; NaN if the value is not a number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan


def _check_edges(edges) -> pd.DataFrame:
    import networkx as nx

    if not isinstance(edges, pd.DataFrame):
        edges = pd.DataFrame(list(edges), columns=["treat1", "treat2"])
    missing = {"treat1", "treat2"} - set(edges.columns)
    if missing:
        raise ValueError(f"edges: missing column(s) {sorted(missing)}")
    frame = edges.reset_index(drop=True)
    graph = nx.Graph()
    graph.add_edges_from(zip(frame["treat1"], frame["treat2"], strict=True))
    if len(frame) == 0 or graph.number_of_edges() != len(frame) or not nx.is_tree(graph):
        pairs = ", ".join(f"{a}-{b}" for a, b in zip(frame["treat1"], frame["treat2"], strict=True))
        raise ValueError(f"edges: {pairs or 'no edge'}; expected a tree (connected, no loops, no repeated pairs)")
    return frame
