"""Measures of the evidence behind network estimates, and a league table of network and direct estimates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from psps_paper.network.impact import study_information
from psps_paper.network.inconsistency import split_evidence
from psps_paper.network.model import NetworkFit
from psps_paper.network.results import Result, square, with_limits


def evidence_measures(fit: NetworkFit) -> pd.DataFrame:
    """Measure how direct, short and parallel the evidence for each comparison is (random effects).

    Parameters
    ----------
    fit : NetworkFit

    Returns
    -------
    DataFrame [treat1, treat2, direct_proportion, mean_path_length, minimal_parallelism, minimal_parallelism_studies]
        One row per pair of treatments. ``mean_path_length`` is the mean number of comparisons on the paths of evidence
        (1: all evidence is direct). ``minimal_parallelism`` is the inverse of the largest proportion of the evidence
        that passes through one design (1: all of it does); ``minimal_parallelism_studies`` is the same for one study.
        Within a multi-arm study evidence takes the shortest path.

    Raises
    ------
    ValueError
        For a network from pooled contrasts.

    Source: König, Krahn & Binder 2013.  Checked against: netmeta 2.8-2 netmeasures().

    Examples
    --------
    >>> from psps_paper.network import fit_network
    >>> rows = [("1", "A", "P", 0.9, 0.2), ("2", "A", "P", 0.5, 0.1), ("3", "B", "P", 0.3, 0.2)]
    >>> fit = fit_network(pd.DataFrame(rows, columns=["study", "treat1", "treat2", "te", "se"]), 0)
    >>> evidence_measures(fit).set_index(["treat1", "treat2"])["mean_path_length"].round(3).to_dict()
    {('A', 'B'): 2.0, ('A', 'P'): 1.0, ('B', 'P'): 1.0}
    """
    evidence = split_evidence(fit)
    information, arms = study_information(fit)
    _, design = np.unique(arms, axis=0, return_inverse=True)
    of_design = np.zeros((design.max() + 1, *information.shape[1:]))
    np.add.at(of_design, design.ravel(), information)
    first, second = np.triu_indices(len(fit.treatments), 1)
    potential = fit.covariance[:, first] - fit.covariance[:, second]
    # Flow into or out of a design or study at each of its arms when one unit flows from first to second.
    designs, studies = (np.abs(part @ potential) for part in (of_design, information))
    measures = {
        "mean_path_length": designs.sum(axis=(0, 1)) / 2,
        "minimal_parallelism": 1 / designs.max(axis=(0, 1)),
        "minimal_parallelism_studies": 1 / studies.max(axis=(0, 1)),
    }
    return evidence[["treat1", "treat2", "direct_proportion"]].assign(**measures)


@dataclass(frozen=True, eq=False)
class LeagueWithDirect(Result):
    """Result of :func:`league_with_direct`.

    Every cell is the treatment earlier in ``order`` minus the later one.

    Attributes
    ----------
    order : list of str
    te, se, lower, upper : DataFrame [treatment x treatment]
        Network estimates below the diagonal (column minus row), direct estimates above it (row minus column); NaN on
        the diagonal and where there is no direct evidence.
    level : float
    """

    order: list[str]
    te: pd.DataFrame
    se: pd.DataFrame
    lower: pd.DataFrame
    upper: pd.DataFrame
    level: float

    def to_frame(self) -> pd.DataFrame:
        """Return one row per pair: treat1, treat2, te, se, lower, upper, direct_te, ..., direct_upper."""
        first, second = np.triu_indices(len(self.order), 1)
        names, values = np.array(self.order, object), {}
        for prefix, (row, column) in (("", (second, first)), ("direct_", (first, second))):
            for name in ("te", "se", "lower", "upper"):
                values[prefix + name] = getattr(self, name).to_numpy()[row, column]
        return pd.DataFrame({"treat1": names[first], "treat2": names[second], **values})

    def text(self, number: Callable[[float], str] = "{:.2f}".format) -> pd.DataFrame:
        """Format as text: "te (lower to upper)", treatments on the diagonal, "." where there is no direct evidence."""
        te, lower, upper = (getattr(self, name).to_numpy() for name in ("te", "lower", "upper"))
        cells = [
            [
                (
                    self.order[i]
                    if i == j
                    else (
                        "."
                        if np.isnan(te[i, j])
                        else f"{number(te[i, j])} ({number(lower[i, j])} to {number(upper[i, j])})"
                    )
                )
                for j in range(len(self.order))
            ]
            for i in range(len(self.order))
        ]
        return square(np.array(cells, object), self.order)

    def summary(self) -> str:
        """Format the table as text, with an explanation of its cells."""
        return (
            f"{self.text().to_string(index=False, header=False)}\n\nBelow the diagonal network estimates, above it"
            f" direct ones, each the treatment that comes first minus the one that comes later, with {self.level:.0%}"
            " intervals."
        )


def league_with_direct(fit: NetworkFit, order: Sequence[str] | None = None) -> LeagueWithDirect:
    """Build a league table: network estimates below the diagonal, direct ones above it (random effects).

    Parameters
    ----------
    fit : NetworkFit
        For the common effect pass a fit with ``tau2=0``.
    order : sequence of str, optional
        Order of the treatments in the table; default ``fit.treatments``.

    Returns
    -------
    LeagueWithDirect

    Raises
    ------
    ValueError
        ``order`` is not a permutation of the treatments; the network is from pooled contrasts.

    Checked against: netmeta 2.8-2 netleague().

    Examples
    --------
    >>> from psps_paper.network import fit_network
    >>> rows = [("1", "A", "P", 0.9, 0.2), ("2", "A", "P", 0.5, 0.1), ("3", "B", "P", 0.3, 0.2)]
    >>> fit = fit_network(pd.DataFrame(rows, columns=["study", "treat1", "treat2", "te", "se"]), 0)
    >>> print(league_with_direct(fit).text().loc["B"].to_list())
    ['0.28 (-0.15 to 0.71)', 'B', '0.30 (-0.09 to 0.69)']
    """
    order = list(fit.treatments if order is None else order)
    if sorted(order) != fit.treatments:
        raise ValueError(f"order={order}: expected each of {fit.treatments} once")
    evidence = split_evidence(fit)
    place = {name: k for k, name in enumerate(order)}
    n = len(order)
    te, se = np.full((n, n), np.nan), np.full((n, n), np.nan)
    columns = ("treat1", "treat2", "te", "se", "direct_te", "direct_se")
    for one, other, *numbers in zip(*(evidence[name] for name in columns), strict=True):
        i, j = place[one], place[other]
        sign, first, later = (1, i, j) if i < j else (-1, j, i)
        whole, whole_se, direct, direct_se = numbers
        te[later, first], se[later, first] = sign * whole, whole_se
        te[first, later], se[first, later] = sign * direct, direct_se
    limits = with_limits(te, se, fit.level)
    return LeagueWithDirect(
        order=order, **{name: square(limits[name], order) for name in ("te", "se", "lower", "upper")}, level=fit.level
    )
