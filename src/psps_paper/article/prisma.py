"""The flow of records, with unpublished counts implied by the printed ones."""

from __future__ import annotations

import itertools

import pandas as pd

STAGES = ["identification", "screening", "eligibility", "included", "synthesis"]


def complete_flow(prisma: pd.DataFrame) -> pd.DataFrame:
    """Fill in the boxes without a printed count from their neighbours.

    Between two boxes of the main path, the records that enter minus those that leave are those that remain; this
    determines one unknown count.

    Parameters
    ----------
    prisma : DataFrame
        The table of that name.

    Returns
    -------
    DataFrame
        In order, with ``n`` complete and the column ``tier``: "printed", or "implied" if computed here.

    Raises
    ------
    ValueError
        More than one unknown between two main boxes, a negative solution, or counts that do not add up;
        the message names the boxes and the numbers.
    """
    flow = prisma.sort_values("order").reset_index(drop=True)
    flow["tier"] = flow["n"].isna().map({True: "implied", False: "printed"})
    main = flow.index[flow["side"] == "main"]
    if flow.loc[main, "n"].isna().any():
        box = flow.loc[main, "box"][flow.loc[main, "n"].isna()].iloc[0]
        raise ValueError(f"prisma.csv, box {box}: a box of the main path has no count")
    for start, end in itertools.pairwise(main):
        between = flow.loc[start + 1 : end - 1]
        signs = between["side"].map({"excluded": -1, "added": 1})
        unknown = between.index[between["n"].isna()]
        expected = flow.at[end, "n"] - flow.at[start, "n"] - (signs * between["n"]).sum()
        names = ", ".join(flow.loc[start:end, "box"])
        if len(unknown) > 1:
            raise ValueError(f"prisma.csv, boxes {names}: {len(unknown)} counts are unknown; expected at most one")
        if len(unknown) == 1:
            solved = int(expected * signs[unknown[0]])
            if solved < 0:
                raise ValueError(f"prisma.csv, boxes {names}: the unknown count would be {solved}")
            flow.loc[unknown[0], "n"] = solved
        elif len(between) and expected != 0:
            raise ValueError(f"prisma.csv, boxes {names}: the counts do not add up; {int(expected)} are left over")
    return flow
