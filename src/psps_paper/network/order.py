"""Rankings combined: the partial order over several outcomes, and the precision of a ranking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from psps_paper.network.results import Result, as_text

# Scores of a ranking add up to half the number of treatments; printed ones only up to rounding.
ROUNDING = 0.02


@dataclass(frozen=True, eq=False)
class PartialOrder(Result):
    """Result of :func:`partial_order`.

    Attributes
    ----------
    relation : DataFrame [treatment x treatment] of bool
        Whether the row is at least as good as the column in every outcome; False on the diagonal.
    covering : DataFrame [treatment x treatment] of bool
        Whether the row is better than the column with no treatment between them: the lines of the Hasse diagram.
    scores : DataFrame [treatment x outcome]
    """

    relation: pd.DataFrame
    covering: pd.DataFrame
    scores: pd.DataFrame

    @property
    def incomparable(self) -> list[tuple[str, str]]:
        """Return the pairs in which each treatment is better in some outcome."""
        relation = self.relation.to_numpy()
        neither = np.triu(~(relation | relation.T), 1)
        return [(self.relation.index[i], self.relation.index[j]) for i, j in np.argwhere(neither)]

    @property
    def best(self) -> list[str]:
        """Return the treatments that no other treatment beats."""
        strict = self.relation.to_numpy() & ~self.relation.to_numpy().T
        return [name for name, beaten in zip(self.relation.index, strict.any(axis=0), strict=True) if not beaten]

    def to_frame(self) -> pd.DataFrame:
        """Return the lines of the Hasse diagram: better, worse."""
        pairs = [(self.relation.index[i], self.relation.index[j]) for i, j in np.argwhere(self.covering.to_numpy())]
        return pd.DataFrame(pairs, columns=["better", "worse"])

    def summary(self) -> str:
        """Format scores, lines of the diagram and incomparable pairs as text."""
        outcomes = ", ".join(map(str, self.scores.columns))
        lines = [
            f"Partial order of {len(self.scores)} treatments by {outcomes}",
            "",
            self.scores.to_string(float_format=as_text),
            "",
            *(f"{row.better} is better than {row.worse}" for row in self.to_frame().itertuples()),
            f"Best: {', '.join(self.best)}",
            *(f"Not comparable: {one} and {other}" for one, other in self.incomparable),
        ]
        return "\n".join(lines)


def partial_order(scores: pd.DataFrame) -> PartialOrder:
    """Order treatments by several outcomes at once, as far as the outcomes agree.

    Parameters
    ----------
    scores : DataFrame [treatment x outcome]
        Scores such as P-scores; higher is better in each outcome.

    Returns
    -------
    PartialOrder

    Raises
    ------
    TypeError, ValueError
        Not a DataFrame; a treatment or outcome that appears twice; a score that is missing or not a finite number
        (treatment and outcome are named).

    Source: Carlsen & Bruggemann 2014; Rücker & Schwarzer 2017 (Res Synth Methods 8:526).
    Checked against: netmeta 2.8-2 netposet().

    Examples
    --------
    >>> scores = pd.DataFrame({"benefit": [0.9, 0.6, 0.2], "safety": [0.7, 0.8, 0.1]}, index=["A", "B", "P"])
    >>> order = partial_order(scores)
    >>> order.best, order.incomparable, order.to_frame().values.tolist()
    (['A', 'B'], [('A', 'B')], [['A', 'P'], ['B', 'P']])
    """
    if not isinstance(scores, pd.DataFrame):
        raise TypeError(f"scores: {type(scores).__name__} given; expected a DataFrame [treatment x outcome]")
    if not scores.size:
        raise ValueError(
            f"scores: {len(scores)} treatments and {scores.shape[1]} outcomes; expected at least one of each"
        )
    for what, names in (("treatment", scores.index), ("outcome", scores.columns)):
        if not names.is_unique:
            raise ValueError(f"scores: {what} {names[names.duplicated()][0]!r} appears twice; expected each once")
    for outcome in scores.columns:
        column = pd.to_numeric(scores[outcome], errors="coerce")
        for name in scores.index[~np.isfinite(column.to_numpy(float, na_value=np.nan))]:
            value: object = scores.at[name, outcome]
            raise ValueError(f"scores: {name}, {outcome}: {value} is not a finite number")
    values = scores.to_numpy(float)
    relation = np.asarray((values[:, None, :] >= values[None, :, :]).all(axis=2))
    np.fill_diagonal(relation, False)
    strict = relation & ~relation.T
    covering = strict & ~(strict.astype(int) @ strict.astype(int) > 0)
    names = scores.index
    return PartialOrder(
        relation=pd.DataFrame(relation, index=names, columns=names),
        covering=pd.DataFrame(covering, index=names, columns=names),
        scores=scores,
    )


def poth(scores: pd.Series) -> float:
    """Compute the precision of treatment hierarchy (POTH): how far a ranking is from a tie of all treatments.

    Parameters
    ----------
    scores : Series by treatment
        P-scores or SUCRA values, in [0, 1] with mean 1/2.

    Returns
    -------
    float
        Variance of the scores divided by that of a certain ranking: 0 if all scores are 1/2, 1 if each rank is certain.

    Raises
    ------
    ValueError
        Fewer than two scores; a score outside [0, 1] (treatment is named); a mean other than 1/2.

    Source: Wigle et al. 2025, precision of treatment hierarchy (Stat Med).

    Examples
    --------
    >>> poth(pd.Series({"A": 1.0, "B": 0.5, "P": 0.0})), round(poth(pd.Series({"A": 0.8, "B": 0.5, "P": 0.2})), 3)
    (1.0, 0.36)
    """
    scores = pd.Series(scores)
    values = pd.to_numeric(scores, errors="coerce").to_numpy(float, na_value=np.nan)
    for name in scores.index[~((values >= 0) & (values <= 1))]:
        raise ValueError(f"scores: {name}: {scores[name]} is not a number between 0 and 1")
    n = len(values)
    if n < 2:
        raise ValueError(f"scores: {n} given; a ranking needs at least two treatments")
    if abs(values.mean() - 0.5) > ROUNDING:
        raise ValueError(
            f"scores: their mean is {values.mean():.3g}; P-scores and SUCRA of all treatments have mean 1/2"
        )
    return float(12 * (n - 1) / (n * (n + 1)) * ((values - 0.5) ** 2).sum())
