"""Inference from printed results: the inverse problem under rounding.

A printed value stands for an interval of half a unit in its last digit either way. In a tree network the pooled
contrasts of the edges determine all other results (contrasts, z, p, confidence limits, P-scores), so the printed
values together confine the edges' (te, se) to a region. This module finds its extent, or the values that clash.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy

from psps_paper.recover.clash import _satisfied, _smallest_clash
from psps_paper.recover.i2 import _df_of, _i2_implied
from psps_paper.recover.printed import I2_QUANTITIES, Desirable, _check_edges, _check_printed, rounding_interval
from psps_paper.recover.region import _TOLERANCE, _Region
from psps_paper.recover.tree import Quantity, _Tree


@dataclass(frozen=True)
class Recovery:
    """The implications of a set of printed values for a tree network.

    Attributes
    ----------
    feasible : bool
        Whether some pooled network agrees with every printed value.
    treatments : list of str
    bounds : pandas.DataFrame
        One row per pair of treatments (edges first): ``treat1, treat2, edge`` and, for each of te, se, lower,
        upper, z and p, ``<name>_low`` and ``<name>_high``; infinite where the printed values set no bound. Empty if
        not feasible.
    solution : pandas.DataFrame
        ``treat1, treat2, te, se`` of each edge at the point whose largest rounding residual is smallest,
        as input for ``network_from_pooled``. If not feasible, the point nearest to agreement.
    residual : float
        That largest residual in half-units of the last printed digit; up to 1 agrees with the printed values.
    at_boundary : bool
        Whether the printed values agree only at the boundary of rounding: feasible, but at every point some exact value
        ends in a 5 that had to be rounded in the right direction (``residual`` is 1 up to the search's precision).
        "Feasible" then relies on rounding intervals that include both ends, and a wrong digit is just as plausible.
    clashes : pandas.DataFrame
        The rows of ``printed`` that form the smallest set that cannot hold together; empty if feasible.
    tau2_low, tau2_high : float
        Range of the between-study variance that agrees with the printed values and, if ``edges`` has the number of
        estimates, with tau2 <= estimates x se^2 of each edge. NaN if neither is known.
    df : tuple of int
        Degrees of freedom of Q consistent with the printed I2 and its interval; empty if none was printed.
    """

    feasible: bool
    treatments: list[str]
    bounds: pd.DataFrame
    solution: pd.DataFrame
    residual: float
    clashes: pd.DataFrame
    tau2_low: float
    tau2_high: float
    df: tuple[int, ...]

    @property
    def at_boundary(self) -> bool:
        return self.feasible and abs(self.residual - 1) <= _TOLERANCE

    @property
    def conclusion(self) -> str:
        """Whether the printed values agree with each other, in words."""
        if self.at_boundary:
            return "agrees only at the boundary of rounding"
        return "agrees within rounding" if self.feasible else f"{len(self.clashes)} printed values clash"


def recover_contrasts(
    printed: pd.DataFrame,
    edges: pd.DataFrame | Iterable[tuple[str, str]],
    *,
    desirable: Desirable,
    level: float = 0.95,
) -> Recovery:
    """Find the pooled contrasts and SEs of a tree network that agree with every printed value at once.

    Parameters
    ----------
    printed : pandas.DataFrame
        One row per printed value: ``quantity`` (te, lower, upper, z, p, p_score, tau2, i2, i2_lower, i2_upper),
        ``treat1, treat2`` (a P-score has ``treat1`` or ``treatment`` only; tau2 and I2 have none), ``value``
        (I2 as a fraction), ``decimals`` (printed digits after the decimal point; for I2, of the fraction) and
        ``relation`` (=, <, >; default =). te is treat1 minus treat2.
    edges : pandas.DataFrame or iterable of (treat1, treat2)
        The direct comparisons, which must form a tree. A column ``estimates`` (number of estimates of each
        comparison) adds the constraint tau2 <= estimates x se^2.
    desirable : {"lower", "higher"}
        The direction that is better for the patient; only P-scores depend on it.
    level : float
        Level of the printed confidence intervals, which are normal.

    Returns
    -------
    Recovery
        Bounds for te, se, confidence limits, z and p of every pair, and a central solution; or the clashing values.

    Raises
    ------
    ValueError
        Naming the row, column and value of a malformed input, or edges that are not a tree.

    Notes
    -----
    Edges of a tree without multi-arm loops are independent, so var(path) is the sum of its edges' variances.
    The region is searched from many starts (batched Levenberg-Marquardt), and each bound is optimised by SLSQP.
    Bounds are extremes over points verified to agree with the printed values, so they are never too wide.

    Source: Rücker & Schwarzer 2015 for P-scores.  Checked against: 500 rounded random star networks and
    netmeta's output for tests/oracles/star_demo.json.
    """
    rows, frame = _check_printed(printed), _check_edges(edges)
    tree = _Tree(rows, frame, desirable, level)
    network_rows = [k for k, row in enumerate(tree.rows) if row is not None]
    i2_rows = [k for k, row in enumerate(tree.rows) if row is None]

    df = _df_of(rows.iloc[i2_rows], level) if i2_rows else ()
    region = _Region(tree, network_rows)
    cloud, misfit = region.explore()
    fits = misfit <= 1 + _TOLERANCE
    agrees = bool(fits.any())
    centre, residual = min((region.minimax(start) for start in cloud[:4]), key=lambda found: found[1])
    if not region.spec:
        centre, residual = cloud[0], 0.0

    clash: list[int] = []
    if not agrees:
        clash = _smallest_clash(network_rows, lambda subset, near: _satisfied(tree, subset, network_rows, near))
    if i2_rows and not df:
        clash_i2 = _smallest_clash(
            i2_rows, lambda subset, near: (set(subset), near) if _df_of(rows.iloc[list(subset)], level) else None
        )
        clash = min((c for c in (clash, clash_i2) if c), key=len)
    feasible = agrees and not (i2_rows and not df)

    bounds, tau2 = pd.DataFrame(), (np.nan, np.nan)
    if feasible:
        bounds = _bounds_table(tree, region, cloud[fits])
        if tree.has_tau2:
            low, high = region.range([Quantity("tau2", 0, 1.0)], cloud[fits])[0]
            tau2 = (
                0.0 if low <= tree.low[-1] + 1e-6 else float(np.exp(low)),
                np.inf if high >= tree.high[-1] - 1e-6 else float(np.exp(high)),
            )
    m = tree.m
    solution = frame[["treat1", "treat2"]].assign(te=centre[:m], se=np.exp(centre[m : 2 * m]))
    return Recovery(
        feasible, tree.treatments, bounds, solution, float(residual), printed.iloc[sorted(clash)], *tau2, df
    )


def implied_without(
    printed: pd.DataFrame,
    row,
    edges: pd.DataFrame | Iterable[tuple[str, str]],
    *,
    desirable: Desirable,
    level: float = 0.95,
) -> tuple[float, float]:
    """Find the interval that all other printed values imply for the printed value in ``row`` (its index label).

    NaN if the other values already clash. Parameters as in :func:`recover_contrasts`. For I2 rows the
    interval follows from the degrees of freedom consistent with the other I2 rows.
    """
    rows, frame = _check_printed(printed), _check_edges(edges)
    position = rows.index.get_loc(row)
    if not isinstance(position, (int, np.integer)):
        raise ValueError(f"printed: index label {row!r} is not unique")
    kind = rows.iloc[position]["quantity"]
    if kind in I2_QUANTITIES:
        others = rows[rows["quantity"].isin(I2_QUANTITIES)].drop(index=row)
        return _i2_implied(others, kind, level)
    tree = _Tree(rows, frame, desirable, level)
    region = _Region(tree, [k for k in range(len(rows)) if k != position])
    cloud, misfit = region.explore()
    cloud = cloud[misfit <= 1 + _TOLERANCE]
    if not len(cloud):
        return np.nan, np.nan
    spec = tree.rows[position]
    if kind == "p":
        z_low, z_high = region.range([spec._replace(kind="z")], cloud)[0]
        return _p_range(z_low, z_high)
    low, high = region.range([spec], cloud)[0]
    if kind == "tau2":
        return (
            0.0 if low <= tree.low[-1] + 1e-6 else float(np.exp(low)),
            np.inf if high >= tree.high[-1] - 1e-6 else float(np.exp(high)),
        )
    return float(low), float(high)


def leave_one_out(
    printed: pd.DataFrame,
    edges: pd.DataFrame | Iterable[tuple[str, str]],
    *,
    desirable: Desirable,
    level: float = 0.95,
) -> pd.DataFrame:
    """Compare each printed value with the interval that all the others imply for it.

    Returns
    -------
    pandas.DataFrame
        The rows of ``printed`` with ``printed_low, printed_high, implied_low, implied_high, agrees``:
        ``agrees`` is True if the two intervals overlap (False if the other values already clash).
    """
    rows = _check_printed(printed)
    out = []
    for label, row in rows.iterrows():
        low, high = rounding_interval(row["value"], row["decimals"], row["relation"])
        implied_low, implied_high = implied_without(printed, label, edges, desirable=desirable, level=level)
        out.append((low, high, implied_low, implied_high, bool(implied_low <= high and implied_high >= low)))
    names = ["printed_low", "printed_high", "implied_low", "implied_high", "agrees"]
    return rows.join(pd.DataFrame(out, columns=names, index=rows.index))


def _p_range(z_low: float, z_high: float) -> tuple[float, float]:
    near = 0.0 if z_low <= 0 <= z_high else min(abs(z_low), abs(z_high))
    return float(2 * scipy.special.ndtr(-max(abs(z_low), abs(z_high)))), float(2 * scipy.special.ndtr(-near))


def _bounds_table(tree: _Tree, region: _Region, cloud: np.ndarray) -> pd.DataFrame:
    names = ("te", "se", "lower", "upper", "z")
    targets = [Quantity(name, k, 1.0) for k in range(len(tree.pairs)) for name in names]
    limits = region.range(targets, cloud).reshape(len(tree.pairs), len(names), 2)
    te_edge, se_low, se_high = tree.high[0], np.exp(tree.low[tree.m]), np.exp(tree.high[tree.m])
    out = []
    for k, (a, b) in enumerate(tree.pairs):
        row = {"treat1": a, "treat2": b, "edge": k < tree.m}
        open_te = np.abs(limits[k, 0]) >= 0.999 * te_edge
        for name, (low, high) in zip(names, limits[k], strict=True):
            if name == "se":
                low, high = (0.0 if low <= 1.001 * se_low else low), (np.inf if high >= 0.999 * se_high else high)
            elif name != "z":
                low, high = (-np.inf if low <= -0.999 * te_edge else low), (np.inf if high >= 0.999 * te_edge else high)
            elif open_te.any() or row["se_low"] == 0:
                # if te or se is unbounded, z is unbounded on that side
                low, high = (low if low > 0 else -np.inf), (high if high < 0 else np.inf)
            row[f"{name}_low"], row[f"{name}_high"] = float(low), float(high)
        row["p_low"], row["p_high"] = _p_range(row["z_low"], row["z_high"])
        out.append(row)
    return pd.DataFrame(out)
