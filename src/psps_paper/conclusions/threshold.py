"""Threshold analysis: how far one estimate may move before a conclusion from a network changes."""

from __future__ import annotations

from itertools import combinations
from typing import Literal, get_args

import numpy as np
import pandas as pd

from psps_paper.network.model import Desirable, z_quantile

Decision = Literal["best", "order", "important"]
_EQUAL = 1e-12  # influences and distances below this, relative to the estimates, are zero


def threshold_analysis(
    contrasts: pd.DataFrame,
    *,
    desirable: Desirable,
    decision: Decision = "order",
    important: float = 0.0,
    reference: str | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Find how far each estimate must move, the others held fixed, for the decision to change.

    The network's effects are linear in each estimate. A decision changes where two effects cross, or where an effect
    against the reference crosses the important difference.

    Parameters
    ----------
    contrasts : DataFrame [treat1, treat2, te, se]
        Independent estimates, one per row: pooled comparisons of a tree, or two-arm studies whose se includes the
        between-study variance. te is treat1 minus treat2.
    desirable : {"lower", "higher"}
    decision : {"best", "order", "important"}
        Which treatment is best; the order of all treatments; or which treatments are better or worse than
        ``reference`` by at least ``important``.
    important : float
        The smallest difference that matters, at least 0; used by "important" only.
    reference : str, optional
        Needed for "important".
    level : float
        Of ``lower`` and ``upper``.

    Returns
    -------
    DataFrame [treat1, treat2, te, lower, upper, invariant_lower, invariant_upper, below, above, sensitive]
        The decision is the same for every value of te from ``invariant_lower`` to ``invariant_upper`` (infinite where
        no change alters it); beyond them it is ``below`` and ``above``, as text. ``sensitive``: whether an end lies
        within the confidence interval.

    Raises
    ------
    ValueError
        A column is missing, an se is not above 0, the network is not connected, the decision or reference is unknown,
        or ``important`` is negative; the message names the row or argument.

    Source: Caldwell, Ades, Dias et al. 2016; Phillippo, Dias, Ades et al. 2018; Phillippo, Dias, Welton et al. 2019.
    Checked against: a search over refits by ``fit_network`` (tests).

    Example
    -------
    >>> rows = pd.DataFrame({"treat1": ["A", "A"], "treat2": ["B", "C"], "te": [0.5, 0.3], "se": [0.1, 0.1]})
    >>> threshold_analysis(rows, desirable="higher")[["treat2", "invariant_lower", "below"]].round(2)
      treat2  invariant_lower    below
    0      B              0.3  A, B, C
    1      C              0.0  C, A, B
    """
    _check(contrasts, decision, important, desirable)
    treatments = sorted({*contrasts["treat1"], *contrasts["treat2"]})
    if decision == "important" and reference not in treatments:
        raise ValueError(f"reference={reference!r}: expected one of {', '.join(treatments)}")
    effects, influence = _effects(contrasts, treatments)
    if desirable == "lower":
        effects, influence = -effects, -influence  # higher is better from here on
    at = treatments.index(reference) if reference is not None else 0
    rows = []
    for k, row in enumerate(contrasts.itertuples()):
        shifts = _crossings(effects, influence[:, k], decision, important, at)
        below, above = (
            max((s for s in shifts if s < 0), default=-np.inf),
            min((s for s in shifts if s > 0), default=np.inf),
        )
        half = z_quantile(level) * row.se
        said = [
            (
                _decision_text(effects + influence[:, k] * _beyond(shift, shifts), treatments, decision, important, at)
                if np.isfinite(shift)
                else ""
            )
            for shift in (below, above)
        ]
        rows.append(
            {
                "treat1": row.treat1,
                "treat2": row.treat2,
                "te": row.te,
                "lower": row.te - half,
                "upper": row.te + half,
                "invariant_lower": row.te + below,
                "invariant_upper": row.te + above,
                "below": said[0],
                "above": said[1],
                "sensitive": bool(min(-below, above) < half),
            }
        )
    return pd.DataFrame(rows)


def _check(contrasts: pd.DataFrame, decision: str, important: float, desirable: str) -> None:
    missing = [name for name in ("treat1", "treat2", "te", "se") if name not in contrasts.columns]
    if missing:
        raise ValueError(f"contrasts: column(s) {missing} missing; expected treat1, treat2, te, se")
    if contrasts.empty:
        raise ValueError("contrasts: no rows; expected at least one")
    if decision not in get_args(Decision):
        raise ValueError(f"decision={decision!r}: expected one of {', '.join(get_args(Decision))}")
    if desirable not in get_args(Desirable):
        raise ValueError(f"desirable={desirable!r}: expected one of {', '.join(get_args(Desirable))}")
    if not (np.isfinite(important) and important >= 0):
        raise ValueError(f"important={important}: expected a number of at least 0")
    for number, row in enumerate(contrasts.itertuples()):
        if not (np.isfinite(row.te) and np.isfinite(row.se) and row.se > 0):
            raise ValueError(
                f"contrasts, row {number} ({row.treat1} vs {row.treat2}): te={row.te}, "
                f"se={row.se}; expected numbers with se > 0"
            )


def _effects(contrasts: pd.DataFrame, treatments: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the effects of the treatments against the first [n], and their derivatives by each estimate [n x rows]."""
    x = np.zeros((len(contrasts), len(treatments)))
    rows = np.arange(len(contrasts))
    x[rows, [treatments.index(name) for name in contrasts["treat1"]]] += 1.0
    x[rows, [treatments.index(name) for name in contrasts["treat2"]]] -= 1.0
    w = 1 / contrasts["se"].to_numpy(float) ** 2
    inner = (x[:, 1:].T * w) @ x[:, 1:]
    if np.linalg.matrix_rank(x[:, 1:]) < len(treatments) - 1:
        raise ValueError("contrasts: the network is not connected; expected one where every treatment is linked")
    influence = np.zeros((len(treatments), len(contrasts)))
    influence[1:] = np.linalg.solve(inner, x[:, 1:].T * w)
    return influence @ contrasts["te"].to_numpy(float), influence


def _crossings(effects: np.ndarray, slope: np.ndarray, decision: str, important: float, reference: int) -> list[float]:
    """List the shifts of one estimate at which the decision may change."""
    if decision == "important":
        pairs = [(k, reference, side * important) for k in range(len(effects)) if k != reference for side in (-1, 1)]
    elif decision == "order":
        pairs = [(a, b, 0.0) for a, b in combinations(range(len(effects)), 2)]
    else:
        best = int(effects.argmax())
        pairs = [(best, b, 0.0) for b in range(len(effects)) if b != best]
    scale = max(np.abs(effects).max(), important, _EQUAL)
    shifts = []
    for a, b, gap in pairs:
        distance, change = effects[a] - effects[b] - gap, slope[a] - slope[b]
        if abs(change) > _EQUAL:
            # effects that are equal separate at once, in either direction
            shifts += [-distance / change] if abs(distance) > _EQUAL * scale else [-_EQUAL * scale, _EQUAL * scale]
    return shifts


def _beyond(shift: float, shifts: list[float]) -> float:
    """Return a shift a little beyond this one and short of the next."""
    further = [s for s in shifts if s * shift > 0 and abs(s) > abs(shift) * (1 + 1e-9)]
    return (shift + min(further, key=abs)) / 2 if further else shift * 1.5


def _decision_text(effects: np.ndarray, treatments: list[str], decision: str, important: float, reference: int) -> str:
    order = sorted(range(len(effects)), key=lambda k: -effects[k])
    if decision == "best":
        return treatments[order[0]]
    if decision == "order":
        return ", ".join(treatments[k] for k in order)
    others = [k for k in order if k != reference]
    words = []
    for sign, text in ((1, "better than"), (-1, "worse than")):
        names = [treatments[k] for k in others if sign * (effects[reference] - effects[k]) >= important]
        if names:
            words.append(f"{text} {', '.join(names)}")
    return f"{treatments[reference]} " + ("; ".join(words) if words else "neither better nor worse than any")
