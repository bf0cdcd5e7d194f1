"""Additive component network meta-analysis: the effect of a combination is the sum of its components'."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from psps_paper.effects.checks import one_number
from psps_paper.network.heterogeneity import LeastSquares, i_squared, least_squares, p_of_q
from psps_paper.network.model import between_variance, differences, prepare, standard_errors
from psps_paper.network.reduction import check_ratio, connected_parts, multi_arm_notes, reduce_contrasts
from psps_paper.network.results import Result, as_text, pairs_frame, square, with_limits
from psps_paper.network.tau2_search import Tau2Maximum

# A difference is identified if its part outside the space that the studies compare is no larger than this.
IDENTIFIED = 1e-8


@dataclass(frozen=True, eq=False)
class ComponentFit(Result):
    """Result of :func:`fit_components`.

    Effects that the studies do not identify are NaN. Matrices are row minus column, in the unit of the input.

    Attributes
    ----------
    components : DataFrame [component x te, se, lower, upper, p, te_common, ..., p_common]
        Effect of adding each component; random effects, then common effect (tau2 = 0).
    combinations : DataFrame [treatment x the same columns]
        Effect of each treatment against nothing, or against the inactive component.
    te, se, lower, upper, te_common, se_common, lower_common, upper_common : DataFrame [treatment x treatment]
        Differences of treatments under the additive model.
    identified : DataFrame [treatment x treatment] of bool
        Whether the difference is identified; it can be, even if the effects of both treatments are not.
    unidentified : tuple of str
        Components whose effects the studies do not identify.
    treatments : list of str
        Sorted.
    component_matrix : DataFrame [treatment x component] of int
        1 where the treatment contains the component. The inactive component has no column.
    inactive : str or None
    tau2, method : float, str
        Between-study variance of the additive model; 0 without degrees of freedom.
    tau2_maxima : tuple of Tau2Maximum
        As in :class:`NetworkFit`.
    q_additive, df_q_additive, p_q_additive : float, int, float
        Heterogeneity and departure from additivity together.
    q_standard, df_q_standard, p_q_standard : float
        Of the standard network meta-analysis, without additivity; NaN for a disconnected network.
    q_difference, df_q_difference, p_q_difference : float
        Test of additivity: q_additive minus q_standard; NaN for a disconnected network.
    i2, i2_lower, i2_upper : float
        From q_additive, as fractions.
    rank : int
        Number of independent effects that the studies identify.
    subnetworks : list of set of str
        Connected parts of the network.
    level : float
    n_studies, n_contrasts : int
    excluded : DataFrame
        Rows without te or se, with column ``reason``.
    notes : tuple of str
        Irregularities that were accepted and effects that are not identified, one sentence each.
    """

    components: pd.DataFrame
    combinations: pd.DataFrame
    te: pd.DataFrame
    se: pd.DataFrame
    te_common: pd.DataFrame
    se_common: pd.DataFrame
    identified: pd.DataFrame
    unidentified: tuple[str, ...]
    treatments: list[str]
    component_matrix: pd.DataFrame
    inactive: str | None
    tau2: float
    method: str
    tau2_maxima: tuple[Tau2Maximum, ...]
    q_additive: float
    df_q_additive: int
    p_q_additive: float
    q_standard: float
    df_q_standard: float
    p_q_standard: float
    q_difference: float
    df_q_difference: float
    p_q_difference: float
    i2: float
    i2_lower: float
    i2_upper: float
    rank: int
    subnetworks: list[set[str]]
    level: float
    n_studies: int
    n_contrasts: int
    excluded: pd.DataFrame
    notes: tuple[str, ...]

    def _limit(self, name: str, model: str) -> pd.DataFrame:
        te, se = (getattr(self, f"{part}{model}").to_numpy() for part in ("te", "se"))
        return square(with_limits(te, se, self.level)[name], self.treatments)

    @cached_property
    def lower(self) -> pd.DataFrame:
        return self._limit("lower", "")

    @cached_property
    def upper(self) -> pd.DataFrame:
        return self._limit("upper", "")

    @cached_property
    def lower_common(self) -> pd.DataFrame:
        return self._limit("lower", "_common")

    @cached_property
    def upper_common(self) -> pd.DataFrame:
        return self._limit("upper", "_common")

    def to_frame(self) -> pd.DataFrame:
        """Return the table of components."""
        return self.components

    def pairs(self) -> pd.DataFrame:
        """Return all pairs of treatments: treat1, treat2, te, se, lower, upper, and the same for the common effect."""
        names = ["te", "se", "lower", "upper"]
        columns = {name: getattr(self, name) for name in names + [f"{name}_common" for name in names]}
        return pairs_frame(self.treatments, columns)

    def summary(self) -> str:
        """Format model, components, combinations and tests as text."""
        shown = ["te", "se", "lower", "upper", "p"]
        parts = f"{len(self.subnetworks)} subnetworks" if len(self.subnetworks) > 1 else "connected"
        tests = [
            f"{label}: Q = {as_text(q)}, df {df:g}, p {as_text(p)}"
            for label, q, df, p in (
                ("Additive model", self.q_additive, self.df_q_additive, self.p_q_additive),
                ("Standard model", self.q_standard, self.df_q_standard, self.p_q_standard),
                ("Difference", self.q_difference, self.df_q_difference, self.p_q_difference),
            )
            if not np.isnan(q)
        ]
        lines = [
            (
                f"Additive component network meta-analysis of {self.n_studies} studies, {len(self.treatments)}"
                f" treatments, {len(self.components)} components ({parts}; inactive: {self.inactive or 'none'})"
            ),
            "",
            f"Components (random effects, {self.level:.0%} interval):",
            self.components[shown].to_string(float_format=as_text),
            "",
            "Combinations:",
            self.combinations[shown].to_string(float_format=as_text),
            "",
            f"tau2 {as_text(self.tau2)} ({self.method}), I2 {as_text(self.i2)}",
            *tests,
            *self.notes,
        ]
        return "\n".join(lines)


def fit_components(
    contrasts: pd.DataFrame,
    inactive: str | None = None,
    separator: str = " + ",
    tau2: str | float = "DL",
    level: float = 0.95,
    *,
    loop_tolerance: float | None = None,
) -> ComponentFit:
    """Fit the additive component model to a network, connected or not.

    Parameters
    ----------
    contrasts : DataFrame [study, treat1, treat2, te, se]
        As in :func:`fit_network`: te is treat1 minus treat2, multi-arm studies complete. Treatments are named by
        their components, joined by ``separator``. The network may be disconnected if components link its parts.
    inactive : str, optional
        A component without effect, such as inactive pills. The effects of the others are then relative to it, and
        adding it to a treatment changes nothing.
    separator : str
        Text between the components of a treatment.
    tau2 : {"DL", "REML", "ML"} or float
        Estimator of the between-study variance of the additive model, or its value.
    level : float
        Of all intervals.
    loop_tolerance : float, optional
        As in :func:`fit_network`.

    Returns
    -------
    ComponentFit

    Raises
    ------
    TypeError, ValueError
        As :func:`fit_network`, except for disconnected networks; a treatment with an empty or repeated component; two
        treatments with the same components in a different order; an ``inactive`` that is not a component; no study
        that compares two different sums of components.

    Source: Rücker, Petropoulou & Schwarzer 2020 (Biom J 62:808), with the generalised least squares of
    :func:`fit_network`; without interactions of components.
    Checked against: netmeta 2.8-2 netcomb(), discomb().

    Examples
    --------
    >>> rows = [("1", "A + B", "P", 0.9, 0.2), ("2", "A", "P", 0.5, 0.1), ("3", "B", "P", 0.3, 0.2)]
    >>> fit = fit_components(pd.DataFrame(rows, columns=["study", "treat1", "treat2", "te", "se"]), inactive="P")
    >>> fit.components["te"].round(3).to_dict(), fit.df_q_difference
    ({'A': 0.511, 'B': 0.344}, 1)
    """
    level = one_number(level, "level", "level")
    if loop_tolerance is not None:
        loop_tolerance = one_number(loop_tolerance, "loop_tolerance", "not negative")
    design, te, se, used, excluded = prepare(contrasts, repeats=False, connected=False)
    matrix = component_matrix(design.treatments, inactive, separator)
    check_ratio(se[None])
    rows = reduce_contrasts(design, te[None], se[None], None, loop_tolerance)
    c = matrix.to_numpy(float)
    x = (rows.x if rows.x.ndim == 2 else rows.x[0]) @ c
    basis = _row_space(c[design.treat1] - c[design.treat2])
    if not basis.shape[1]:
        raise ValueError("contrasts: no study compares two treatments that differ in an active component")
    reduced = x @ basis
    df = reduced.shape[0] - reduced.shape[1]
    common = least_squares(reduced, rows.y, rows.d, np.zeros(1))
    value, maxima = between_variance(reduced, rows.y, rows.d, common, df, tau2)
    random = least_squares(reduced, rows.y, rows.d, value) if value.any() else common
    subnetworks = connected_parts(
        [design.treatments[k] for k in design.treat1], [design.treatments[k] for k in design.treat2]
    )
    standard = _standard(rows, subnetworks)
    i2, i2_lower, i2_upper = i_squared(common.q, df, level)
    unidentified = tuple(matrix.columns[~_inside(np.eye(c.shape[1]), basis)])
    return ComponentFit(
        **_estimates(matrix, basis, random, common, level),
        unidentified=unidentified,
        treatments=design.treatments,
        component_matrix=matrix,
        inactive=inactive,
        tau2=float(value[0]),
        method=tau2 if isinstance(tau2, str) else "fixed",
        tau2_maxima=() if maxima is None else maxima.of(0),
        **_tests(float(common.q[0]), df, *standard),
        i2=float(i2[0]),
        i2_lower=float(i2_lower[0]),
        i2_upper=float(i2_upper[0]),
        rank=reduced.shape[1],
        subnetworks=subnetworks,
        level=level,
        n_studies=len(design.studies),
        n_contrasts=len(used),
        excluded=excluded,
        notes=multi_arm_notes(design, te, se, loop_tolerance) + _notes(unidentified, df, tau2),
    )


def component_matrix(treatments: list[str], inactive: str | None, separator: str) -> pd.DataFrame:
    """Build the 0/1 matrix of the components of each treatment [treatment x component], without the inactive one."""
    if not isinstance(separator, str) or not separator.strip():
        raise ValueError(f"separator={separator!r}: expected text that is not blank, such as ' + '")
    parts = {name: [part.strip() for part in name.split(separator)] for name in treatments}
    same: dict[frozenset[str], str] = {}
    for name, found in parts.items():
        if not all(found):
            raise ValueError(f"treatment '{name}': a component before or after '{separator}' is empty")
        twice = [part for part in found if found.count(part) > 1]
        if twice:
            raise ValueError(f"treatment '{name}': component '{twice[0]}' appears twice; expected each once")
        other = same.setdefault(frozenset(found), name)
        if other != name:
            raise ValueError(f"treatments '{other}' and '{name}' have the same components; expected one name for both")
    names = sorted({part for found in parts.values() for part in found})
    if inactive is not None and inactive not in names:
        raise ValueError(f"inactive={inactive!r}: not one of the components {', '.join(names)}")
    active = [name for name in names if name != inactive]
    values = [[int(name in parts[treatment]) for name in active] for treatment in treatments]
    return pd.DataFrame(values, index=pd.Index(treatments), columns=pd.Index(active))


def _row_space(rows: np.ndarray) -> np.ndarray:
    """Compute an orthonormal basis [component x rank] of the row space of a matrix of whole numbers."""
    _, size, vectors = np.linalg.svd(np.unique(rows, axis=0), full_matrices=False)
    return vectors[size > IDENTIFIED * max(1.0, size.max(initial=0.0))].T


def _inside(functions: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Return which linear functions [..., component] of the components' effects the basis identifies."""
    return np.abs(functions - functions @ basis @ basis.T).max(axis=-1) < IDENTIFIED


def _estimates(
    matrix: pd.DataFrame, basis: np.ndarray, random: LeastSquares, common: LeastSquares, level: float
) -> dict[str, Any]:
    """Build the tables of components, combinations and differences; NaN where not identified."""
    c, treatments = matrix.to_numpy(float), list(matrix.index)
    pairs = _inside(c[:, None, :] - c[None, :, :], basis)
    known = {"components": _inside(np.eye(c.shape[1]), basis), "combinations": _inside(c, basis)}
    names = {"components": matrix.columns, "combinations": matrix.index}
    columns: dict[str, dict[str, np.ndarray]] = {"components": {}, "combinations": {}}
    tables = {"identified": square(pairs, treatments)}
    for suffix, fit in (("", random), ("_common", common)):
        effect = basis @ fit.b[0]
        covariance = basis @ fit.cov[0] @ basis.T
        for part, functions in (("components", np.eye(c.shape[1])), ("combinations", c)):
            te = np.where(known[part], functions @ effect, np.nan)
            variance = (functions @ covariance * functions).sum(axis=1)
            se = np.where(known[part], np.sqrt(np.maximum(variance, 0.0)), np.nan)
            columns[part] |= {f"{name}{suffix}": value for name, value in with_limits(te, se, level).items()}
        te, se = differences(c @ effect), standard_errors(c @ covariance @ c.T)
        tables[f"te{suffix}"] = square(np.where(pairs, te, np.nan), treatments)
        tables[f"se{suffix}"] = square(np.where(pairs, se, np.nan), treatments)
    return tables | {part: pd.DataFrame(columns[part], index=names[part]) for part in columns}


def _standard(rows, subnetworks: list[set[str]]) -> tuple[float, float]:
    """Compute Q and degrees of freedom of the model without additivity; NaN for a disconnected network."""
    if len(subnetworks) > 1:
        return np.nan, np.nan
    x = rows.x[..., 1:]
    return float(least_squares(x, rows.y, rows.d, np.zeros(1)).q[0]), rows.y.shape[1] - x.shape[-1]


def _tests(q: float, df: int, q_standard: float, df_standard: float) -> dict[str, Any]:
    """Test both models and their difference, which is kept from falling below 0 by rounding."""
    df_difference = df - df_standard
    difference = 0.0 if df_difference == 0 else max(q - q_standard, 0.0)
    found: dict[str, Any] = {}
    for name, value, freedom in (
        ("additive", q, df),
        ("standard", q_standard, df_standard),
        ("difference", difference, df_difference),
    ):
        p = np.nan if np.isnan(value) else float(p_of_q(np.array(value), int(freedom)))
        found |= {f"q_{name}": float(value), f"df_q_{name}": freedom, f"p_q_{name}": p}
    return found


def _notes(unidentified: tuple[str, ...], df: int, tau2: str | float) -> tuple[str, ...]:
    found = []
    if unidentified:
        found.append(f"The studies do not identify the effect of: {', '.join(unidentified)}.")
    if df == 0 and isinstance(tau2, str):
        found.append("No degrees of freedom are left: tau2 cannot be estimated and is taken as 0.")
    return tuple(found)
