"""A fixed direction for every comparison, however its rows are written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

LIMITS = (("lower", "upper"), ("predict_lower", "predict_upper"))


def orient(contrasts: pd.DataFrame, order: Sequence[str]) -> pd.DataFrame:
    """Reverse contrasts where needed so that treat1 comes before treat2 in a given order.

    Parameters
    ----------
    contrasts : DataFrame [treat1, treat2, ...]
        ``te`` and the pairs ``lower`` and ``upper``, ``predict_lower`` and ``predict_upper`` are reversed with the
        treatments; other columns and the order of rows do not change.
    order : sequence of str
        Every treatment of the contrasts once; further treatments are allowed.

    Returns
    -------
    DataFrame
        With the same columns and index.

    Raises
    ------
    ValueError
        A treatment is not in ``order``, or appears twice.

    Examples
    --------
    >>> rows = pd.DataFrame([("B", "A", 0.5, 0.1)], columns=["treat1", "treat2", "te", "se"])
    >>> orient(rows, ["A", "B"]).to_numpy().tolist()
    [['A', 'B', -0.5, 0.1]]
    """
    order = list(order)
    rank = {name: k for k, name in enumerate(order)}
    if len(rank) < len(order):
        raise ValueError(f"order={order}: expected each treatment once")
    for column in ("treat1", "treat2"):
        unknown = sorted(set(contrasts[column]) - set(rank))
        if unknown:
            raise ValueError(f"order={order}: {unknown[0]!r} of column {column} is not among them")
    turned = (contrasts["treat1"].map(rank) > contrasts["treat2"].map(rank)).to_numpy()
    swapped = {"treat1": contrasts["treat2"], "treat2": contrasts["treat1"]}
    if "te" in contrasts:
        swapped["te"] = -contrasts["te"]
    for lower, upper in LIMITS:
        if {lower, upper} <= set(contrasts.columns):
            swapped |= {lower: -contrasts[upper], upper: -contrasts[lower]}
    return contrasts.assign(**{name: np.where(turned, values, contrasts[name]) for name, values in swapped.items()})
