"""Direct evidence behind a full league table: weights, verdicts and clashes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from psps_paper.audit.cells import Interval, interval_of, place
from psps_paper.audit.findings import Finding, overlap
from psps_paper.audit.geometry import Weights, weight_bounds
from psps_paper.audit.model import Cell, Network
from psps_paper.audit.network_checks import Analysis
from psps_paper.audit.square import Square, closed

COLUMNS = ("network", "treat1", "treat2", "weight", "lower", "upper", "direct")
ROUNDED = 0.5 * (1 + 1e-6)  # units of the last digit
IMPRECISE = 4.0  # a trial is assumed to be at most this many times less precise than the least precise comparison
_NAN = float("nan")


@dataclass(frozen=True, eq=False)
class Geometry:
    """Weights of one analysis, with their square and the smallest weight that counts as direct evidence."""

    square: Square
    weights: Weights
    smallest: float
    table: pd.DataFrame


def geometry(analysis: Analysis, smallest: float | None = None) -> tuple[Geometry | None, list[Finding]]:
    """Compute the weights of the direct evidence if the table is full, normal and symmetric.

    Parameters
    ----------
    analysis : Analysis
    smallest : float, optional
        Assumed smallest weight of a trial. Default: the weight at a standard error of four times the largest
        in the table.
    """
    network = analysis.network
    where = analysis.where
    square = analysis.square(slack=ROUNDED)
    if len(square.treatments) < 3:
        return None, []
    if not square.full:
        missing = int((~square.printed).sum() - len(square.printed)) // 2
        count = f"{missing} comparisons are" if missing > 1 else "One comparison is"
        return None, [
            _note(where, f"{count} not printed; the weights of direct evidence follow only from a full table.")
        ]
    found = _bounds(analysis, square, ROUNDED)
    if not found.possible:
        found = _bounds(analysis, analysis.square(), None)
    if not found.possible:
        text = (
            "No network whose weights are all at least 0 gives these intervals. Multi-arm studies with unequal arms,"
            " correlated estimates or intervals of different models can do that; which of them is it?"
        )
        return None, [Finding("direct evidence", where, "", _NAN, _NAN, "cannot tell", text)]
    if smallest is None:
        smallest = 1 / (IMPRECISE * float(square.se_high.max())) ** 2
    determined = network.framework != "bayesian" and square.symmetric
    table = _weight_table(network.name if not analysis.label else where, square, found, smallest, determined)
    notes = []
    if not determined:
        notes.append(
            _note(
                where,
                "Weights are of normal intervals; posterior or asymmetric ones give them only nearly, so no comparison"
                " is told as direct or not.",
            )
        )
    return Geometry(square, found, smallest, table), notes


def _note(where: str, text: str) -> Finding:
    return Finding("direct evidence", where, "", _NAN, _NAN, "cannot tell", text)


def _bounds(analysis: Analysis, square: Square, slack: float | None) -> Weights:
    if square.symmetric:
        confined = closed(analysis.network, square, **({} if slack is None else {"slack": slack}))
        square = confined if confined is not None else square
    if (square.se_low[~np.eye(len(square.se_low), dtype=bool)] <= 0).any() or not np.isfinite(square.se_high).all():
        n = len(square.se_low)
        with np.errstate(divide="ignore"):
            top = np.where(np.eye(n, dtype=bool), 0.0, 1 / square.se_low**2)
        return Weights(np.full((n, n), np.nan), np.zeros((n, n)), top, True)
    return weight_bounds(square.se_low**2, square.se_high**2)


def _weight_table(name: str, square: Square, found: Weights, smallest: float, determined: bool) -> pd.DataFrame:
    rows = []
    for i, treat1 in enumerate(square.treatments):
        for j in range(i + 1, len(square.treatments)):
            low, high = float(found.low[i, j]), float(found.high[i, j])
            direct = "yes" if low > 0 else "no" if high < smallest else "cannot tell"
            rows.append(
                (
                    name,
                    treat1,
                    square.treatments[j],
                    float(np.clip(found.weight[i, j], low, high)),
                    low,
                    high,
                    direct if determined else "cannot tell",
                )
            )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def direct_findings(analysis: Analysis, shape: Geometry | None) -> list[Finding]:
    """Check printed direct estimates against the network: their weights, and equality if all evidence is direct."""
    if shape is None or not analysis.direct:
        return []
    network = analysis.network
    of = {frozenset((cell.treat1, cell.treat2)): cell for cell in analysis.cells}
    weights = {frozenset((row.treat1, row.treat2)): row for row in shape.table.itertuples()}
    printed = {frozenset((cell.treat1, cell.treat2)) for cell in analysis.direct}
    findings = []
    for cell in analysis.direct:
        pair = frozenset((cell.treat1, cell.treat2))
        one = interval_of(cell, network.scale, network.level)
        if one.ordered and pair in weights:
            findings.append(_direct_weight(network, cell, one, weights[pair]))
            findings += _only_direct(analysis, shape, cell, of.get(pair), one)
    return findings + [
        _weight_alone(network, row) for pair, row in weights.items() if row.direct == "yes" and pair not in printed
    ]


def _direct_weight(network: Network, cell: Cell, one: Interval, row) -> Finding:
    """Compare the precision of a printed direct estimate with its weight in the network."""
    low, high = _reciprocal(one.se_high), _reciprocal(one.se_low)
    if row.direct == "no":
        verdict = "cannot tell"
        why = "A direct estimate is printed, and the network leaves it no weight; is it a part of this network?"
    elif overlap(low, high, row.lower, row.upper):
        verdict, why = "holds", "Its precision can be its weight in the network."
    else:
        verdict = "explained"
        why = (
            f"Its precision is {low:.3g} to {high:.3g}; a tau2 of its own, or multi-arm studies, give another"
            " weight in the network."
        )
    where, pair = place(cell, network.name, "direct"), ((cell.treat1, cell.treat2),)
    return Finding("direct weight", where, cell.triple.text, row.lower, row.upper, verdict, why, pair)


def _weight_alone(network: Network, row) -> Finding:
    """Report a comparison with direct weight but without a printed direct estimate."""
    why = (
        "The network gives this comparison direct weight, and no direct estimate is printed; is one"
        " left out, or a multi-arm study?"
    )
    where = f"{network.name}: {row.treat1} vs {row.treat2}"
    pair = ((row.treat1, row.treat2),)
    return Finding("direct weight", where, "", row.lower, row.upper, "cannot tell", why, pair)


def _reciprocal(se: float) -> float:
    return 1 / se**2 if se > 0 else np.inf


def _only_direct(
    analysis: Analysis, shape: Geometry, cell: Cell, network_cell: Cell | None, one: Interval
) -> list[Finding]:
    """Check that the network estimate equals the direct one if the weight is the comparison's whole precision."""
    if network_cell is None:
        return []
    network, square = analysis.network, shape.square
    i, j = (square.treatments.index(label) for label in (cell.treat1, cell.treat2))
    share = shape.weights.low[i, j] * square.se_low[i, j] ** 2
    if share < 0.95:
        return []
    other = interval_of(network_cell, network.scale, network.level)
    low, high = (other.te_low, other.te_high) if network_cell.treat1 == cell.treat1 else (-other.te_high, -other.te_low)
    reach = 0.05 * one.se_high
    holds = overlap(low - reach, high + reach, one.te_low, one.te_high)
    where = place(cell, network.name, "direct")
    if network.scale == "ratio":
        low, high = float(np.exp(low)), float(np.exp(high))
    why = (
        "All evidence here is direct, and both estimates agree."
        if holds
        else (
            "Nearly all evidence here is direct, and the two estimates differ; another tau2 can shift the weights of"
            " its trials."
        )
    )
    return [
        Finding(
            "only direct evidence",
            where,
            cell.triple.text,
            low,
            high,
            "holds" if holds else "explained",
            why,
            ((cell.treat1, cell.treat2),),
        )
    ]
