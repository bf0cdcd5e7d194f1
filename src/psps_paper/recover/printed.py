"""Printed values as intervals of rounding."""

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
    """Interval of the exact values that print as ``value``: half a unit in the last digit, or a printed bound."""
    if relation == "<":
        return -np.inf, float(value)
    if relation == ">":
        return float(value), np.inf
    half = 0.5 * 10.0 ** -int(decimals)
    return float(value) - half, float(value) + half


def _check_printed(printed: pd.DataFrame) -> pd.DataFrame:
    """Validated copy with columns quantity, treat1, treat2, value, decimals, relation and the caller's index."""
    missing = {"quantity", "value", "decimals"} - set(printed.columns)
    if missing:
        raise ValueError(f"printed: missing column(s) {sorted(missing)}")
    if printed.empty:
        raise ValueError("printed: no rows; at least one printed value is needed")
    rows = printed.copy()
    if "relation" not in rows:
        rows["relation"] = "="
    rows["relation"] = rows["relation"].fillna("=")
    for column in ("treat1", "treat2"):
        if column not in rows:
            rows[column] = None
    if "treatment" in rows:
        rows["treat1"] = rows["treat1"].where(rows["treat1"].notna(), rows["treatment"])

    def fail(label, row, column, expected):
        raise ValueError(
            f"printed, row {label} ({row['quantity']}), column {column}: {row[column]!r} is not {expected}"
        )

    for label, row in rows.iterrows():
        if row["quantity"] not in QUANTITIES:
            fail(label, row, "quantity", f"one of {', '.join(QUANTITIES)}")
        if row["relation"] not in RELATIONS:
            fail(label, row, "relation", f"one of {', '.join(RELATIONS)}")
        try:
            finite = np.isfinite(float(row["value"]))
        except (TypeError, ValueError):
            finite = False
        if not finite:
            fail(label, row, "value", "a finite number")
        try:
            digits = float(row["decimals"])
        except (TypeError, ValueError):
            digits = -1.0
        if digits < 0 or digits != int(digits):
            fail(label, row, "decimals", "a whole number of printed decimals >= 0")
        needs = {"p_score": ("treat1",)}.get(
            row["quantity"], ("treat1", "treat2") if row["quantity"] in CONTRAST_QUANTITIES else ()
        )
        for column in needs:
            if pd.isna(row[column]):
                fail(label, row, column, "a treatment")
        if row["quantity"] in ("p", "p_score", *I2_QUANTITIES) and not 0 <= float(row["value"]) <= 1:
            fail(label, row, "value", "in [0, 1]" + " (I2 as a fraction)" * (row["quantity"] in I2_QUANTITIES))
        if row["quantity"] == "tau2" and float(row["value"]) < 0:
            fail(label, row, "value", ">= 0")
    return rows[["quantity", "treat1", "treat2", "value", "decimals", "relation"]]


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
        raise ValueError(f"edges: a tree is expected (connected, no loop, no repeated pair); got {pairs or 'no edge'}")
    return frame
