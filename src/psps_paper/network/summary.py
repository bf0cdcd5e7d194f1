"""Networks from pooled contrasts, and league tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from psps_paper import formatting
from psps_paper.effects.checks import LARGEST, SMALLEST, one_number
from psps_paper.network.model import METHODS, NetworkFit, check_fit

if TYPE_CHECKING:
    import networkx as nx  # slow to load


def network_from_pooled(
    pooled: pd.DataFrame,
    *,
    tau2: float = np.nan,
    df_predict: float = np.nan,
    level: float = 0.95,
) -> NetworkFit:
    """Compute the network estimates that follow from the pooled contrasts of a tree network.

    In a tree each pair of treatments is joined by one path, so its estimate is the signed sum of the pooled
    contrasts on that path, and its variance is the sum of their variances.

    Parameters
    ----------
    pooled : DataFrame [treat1, treat2, te, se]
        te is treat1 minus treat2; one row per comparison, n - 1 rows for n treatments.
        Other columns are ignored.
    tau2 : float
        Common between-study variance, if known; if NaN, prediction intervals are NaN.
    df_predict : float
        Degrees of freedom of the prediction intervals; if NaN, the intervals are NaN.
    level : float

    Returns
    -------
    NetworkFit
        ``te``, ``se``, limits and ``cov`` as pooled. Q, I2 and the
        common-effect estimates are unknown and NaN; the number of studies is given as 0.

    Raises
    ------
    ValueError
        A column is missing, an estimate is missing, se <= 0, the comparisons have a cycle, or
        they do not connect all treatments.

    Source: Bucher et al. 1997.  Checked against: fit_network on a star with one study per comparison.
    """
    for name, value, kind in (("tau2", tau2, "not negative"), ("df_predict", df_predict, "degrees of freedom")):
        if value == value:  # NaN means unknown
            one_number(value, name, kind)
    one_number(level, "level", "level")
    treatments = sorted(_tree(pooled).nodes)
    n = len(treatments)
    position = {name: i for i, name in enumerate(treatments)}
    design = np.zeros((n - 1, n))
    rows = np.arange(n - 1)
    design[rows, pooled["treat1"].map(position)] = 1.0
    design[rows, pooled["treat2"].map(position)] = -1.0
    solve = np.linalg.inv(design[:, 1:])
    effects = np.concatenate([[0.0], solve @ pooled["te"].to_numpy(float)])
    cov = np.zeros((n, n))
    cov[1:, 1:] = (solve * pooled["se"].to_numpy(float) ** 2) @ solve.T
    return NetworkFit(
        treatments=treatments,
        effects=effects,
        covariance=cov,
        effects_common=np.full(n, np.nan),
        covariance_common=np.full((n, n), np.nan),
        tau2=float(tau2),
        method="pooled",
        q=np.nan,
        df_q=np.nan,
        df_predict=float(df_predict),
        log_likelihood=np.nan,
        level=level,
        correlation=None,
        n_studies=0,
        n_contrasts=len(pooled),
        contrasts=pooled.copy(),
    )


def _tree(pooled: pd.DataFrame) -> nx.Graph:
    """Build the graph of pooled contrasts after checking each row and that they form a tree."""
    import networkx as nx

    needed = ["treat1", "treat2", "te", "se"]
    if not isinstance(pooled, pd.DataFrame):
        raise TypeError(f"pooled contrasts: {type(pooled).__name__} given; expected a DataFrame with columns {needed}")
    missing = [name for name in needed if name not in pooled.columns]
    if missing:
        raise ValueError(f"pooled contrasts: column(s) {missing} missing; expected {needed}")
    if pooled.empty:
        raise ValueError("pooled contrasts: no rows")
    graph = nx.Graph()
    row: Any
    for row in pooled[needed].itertuples():
        label = f"pooled contrasts, row {row.Index} ({row.treat1} vs {row.treat2})"
        numbers = isinstance(row.te, Real) and isinstance(row.se, Real)
        if not (numbers and abs(row.te) <= LARGEST and SMALLEST <= row.se <= LARGEST):
            raise ValueError(
                f"{label}: te={row.te}, se={row.se}; expected numbers with se > 0, between 1e-75 and 1e75 in size"
            )
        if row.treat1 == row.treat2:
            raise ValueError(f"{label}: a treatment is compared with itself")
        if graph.has_edge(row.treat1, row.treat2):
            raise ValueError(f"{label}: the comparison appears twice; expected one row each")
        graph.add_edge(row.treat1, row.treat2)
    if not nx.is_connected(graph):
        parts = [sorted(part) for part in nx.connected_components(graph)]
        raise ValueError(f"pooled contrasts: the network is not connected; its parts are {parts}")
    if not nx.is_tree(graph):
        cycle = [edge[0] for edge in nx.find_cycle(graph)]
        raise ValueError(
            f"pooled contrasts: {cycle} form a cycle; pooled contrasts determine a network only "
            "if it is a tree; otherwise use fit_network with the studies"
        )
    return graph


def league_table(
    fit: NetworkFit,
    *,
    order: Sequence[str] | None = None,
    limits: Literal["confidence", "prediction"] = "confidence",
    outcome: str | None = None,
    number: Callable[[float], str] = "{:.2f}".format,
) -> pd.DataFrame:
    """Format a league table as text: every cell is row minus column, with its interval.

    Parameters
    ----------
    fit : NetworkFit
    order : sequence of str, optional
        Order of the treatments in the table, for example by P-score; default ``fit.treatments``.
    limits : {"confidence", "prediction"}
    outcome : str, optional
        Outcome to name in the statement of orientation.
    number : callable
        Formats one number.

    Returns
    -------
    DataFrame [treatment x treatment] of str
        "te (lower to upper)", or "te (no interval)" where there is none; the diagonal is empty. The orientation is
        stated in the name of the index and, as a sentence, in ``attrs["orientation"]``.
    """
    check_fit(fit)
    order = list(fit.treatments if order is None else order)
    if sorted(order) != fit.treatments:
        raise ValueError(f"order={order}: expected each of {fit.treatments} once")
    bounds = {
        "confidence": (fit.lower, fit.upper),
        "prediction": (fit.predict_lower, fit.predict_upper),
    }
    if limits not in bounds:
        raise ValueError(f"limits={limits!r}: expected one of {sorted(bounds)}")
    lower, upper = bounds[limits]
    te, low, high = (table.loc[order, order].to_numpy(float) for table in (fit.te, lower, upper))
    places = range(len(order))
    cells = [
        ["" if i == j else f"{number(te[i, j])} ({_interval(low[i, j], high[i, j], number)})" for j in places]
        for i in places
    ]
    table = pd.DataFrame(
        cells,
        index=pd.Index(order, name="row minus column"),
        columns=pd.Index(order, name=outcome),
    )
    unit = f" in {outcome}" if outcome else ""
    table.attrs["orientation"] = (
        f"Each cell is the effect{unit} of the treatment of its row minus that of its column, "
        f"with the {fit.level:.0%} {limits} interval."
    )
    return table


def _interval(lower: float, upper: float, number: Callable[[float], str]) -> str:
    if np.isnan(lower) or np.isnan(upper):
        return "no interval"
    return f"{number(lower)} to {number(upper)}"


def heterogeneity_table(fit: NetworkFit) -> pd.DataFrame:
    """Format the heterogeneity of a network as text.

    Parameters
    ----------
    fit : NetworkFit

    Returns
    -------
    DataFrame [tau2, Q, df, p, I2, 95 % CI of I2]
        One row; the interval has the fit's ``level``. Quantities that cannot be estimated, such as tau2
        without degrees of freedom, read "not known".
    """
    check_fit(fit)
    known = fit.method not in METHODS or fit.df_q > 0
    i2 = [_or_not_known(value, formatting.percent) for value in (fit.i2, fit.i2_lower, fit.i2_upper)]
    row = {
        "tau2": formatting.number(fit.tau2, 3) if known else formatting.NOT_KNOWN,
        "Q": formatting.number(fit.q),
        "df": str(fit.df_q),
        "p": _or_not_known(fit.p_q, formatting.p_value),
        "I2": i2[0],
        f"{100 * fit.level:g} % CI of I2": f"{i2[1]} to {i2[2]}" if np.isfinite(fit.i2_lower) else formatting.NOT_KNOWN,
    }
    return pd.DataFrame([row])


def _or_not_known(value: float, shown: Callable[[float], str]) -> str:
    return formatting.NOT_KNOWN if np.isnan(value) else shown(value)
