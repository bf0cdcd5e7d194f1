"""Unpublished contrasts of a multi-arm study, from the published ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

from psps_paper.effects.checks import LARGEST, SMALLEST
from psps_paper.network.reduction import read_contrasts


def complete_contrasts(contrasts: pd.DataFrame) -> pd.DataFrame:
    """Add the contrasts of multi-arm studies that follow from contrasts with one shared arm.

    If a study reports every arm against the same arm P, and the standard error of P itself,
    the other contrasts follow: te of A against B is te of A against P minus te of B against P, and
    its variance is the sum of their variances minus twice the variance of P.

    Parameters
    ----------
    contrasts : DataFrame [study, treat1, treat2, te, se, se_baseline]
        ``se_baseline`` is the standard error of the mean (or log odds, ...) of the arm that the
        study's contrasts share, or empty. Studies without it are unchanged.

    Returns
    -------
    DataFrame
        The rows given, followed by the rows added, with ``completed`` True for the added ones.

    Raises
    ------
    ValueError
        As :func:`psps_paper.network.fit_network` for an invalid row; different values of ``se_baseline`` within a
        study; a value not above 0, or so large that no variance is left for another arm.

    Source: the algebra of independent arms.

    Examples
    --------
    >>> rows = pd.DataFrame([("Ko", "A", "P", -0.31, 0.20, 0.1), ("Ko", "B", "P", -0.12, 0.22, 0.1)],
    ...     columns=["study", "treat1", "treat2", "te", "se", "se_baseline"])
    >>> complete_contrasts(rows).loc[2, ["treat1", "treat2", "te", "se"]].map(str).str[:5].tolist()
    ['A', 'B', '-0.19', '0.261']
    """
    if "se_baseline" not in contrasts.columns:
        raise ValueError("contrasts: column se_baseline missing; expected the standard error of the shared arm")
    study, treat1, treat2, te, se = read_contrasts(contrasts)
    given = np.array([_number(value) for value in contrasts["se_baseline"]])
    wrong = contrasts["se_baseline"].notna().to_numpy() & ~((given >= SMALLEST) & (given <= LARGEST))
    for row in map(int, np.flatnonzero(wrong)):
        value = contrasts["se_baseline"].iloc[row]
        shown = repr(value) if isinstance(value, str) else value
        raise ValueError(
            f"contrasts, row {contrasts.index[row]} (study '{study[row]}'), column se_baseline: "
            f"{shown} is not a number greater than 0, from {SMALLEST:g} to {LARGEST:g}"
        )
    added = []
    for name in dict.fromkeys(study):
        rows = [k for k, other in enumerate(study) if other == name]
        if len(rows) > 1 and not np.isnan(given[rows]).all():
            added += _contrasts_without_shared_arm(name, rows, treat1, treat2, te, se, given)
    new = pd.DataFrame(added, columns=["study", "treat1", "treat2", "te", "se"])
    table = pd.concat([contrasts, new], ignore_index=True) if added else contrasts.reset_index(drop=True)
    return table.assign(completed=np.arange(len(table)) >= len(contrasts))


def _contrasts_without_shared_arm(
    name: str,
    rows: list[int],
    treat1: list[str],
    treat2: list[str],
    te: np.ndarray,
    se: np.ndarray,
    given: np.ndarray,
) -> list[tuple]:
    """Compute the contrasts between the arms of one study other than the shared arm."""
    shared = set.intersection(*({treat1[k], treat2[k]} for k in rows))
    arms = {treat1[k] for k in rows} | {treat2[k] for k in rows}
    if len(shared) != 1 or len(arms) != len(rows) + 1:
        return []
    if len(set(given[rows])) > 1 or np.isnan(given[rows]).any():
        raise ValueError(f"study '{name}': se_baseline {given[rows].tolist()}; expected one value in all its rows")
    (hub,) = shared
    effect = [(treat1[k], te[k]) if treat2[k] == hub else (treat2[k], -te[k]) for k in rows]
    variance = se[rows] ** 2
    baseline = given[rows[0]] ** 2
    for (arm, _), total in zip(effect, variance, strict=True):
        if not total > baseline:
            raise ValueError(
                f"study '{name}': se {np.sqrt(total):g} of {arm} against {hub} leaves nothing for {arm}, "
                f"since {hub} alone has se_baseline {np.sqrt(baseline):g}; expected a smaller se_baseline"
            )
    return [
        (
            name,
            effect[i][0],
            effect[j][0],
            effect[i][1] - effect[j][1],
            np.sqrt(variance[i] + variance[j] - 2 * baseline),
        )
        for i in range(len(rows))
        for j in range(i + 1, len(rows))
    ]


def _number(value: object) -> float:
    """Convert to float; NaN if the value is not a real number."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return np.nan
