"""Convert data frames of netmeta and gemtc to the tables that this package fits."""

from __future__ import annotations

import pandas as pd

from psps_paper.effects import effect_sizes
from psps_paper.living.formats import plain
from psps_paper.network.completion import complete_contrasts

_GEMTC = {
    "study": "study",
    "treatment": "treatment",
    "mean": "mean",
    "stddev": "sd",
    "stderr": "se",
    "samplesize": "n",
    "responders": "events",
    "exposure": "time",
    "diff": "te",
}


def from_netmeta(data: pd.DataFrame) -> pd.DataFrame:
    """Read contrasts from a data frame of netmeta or of its ``pairwise()``.

    Parameters
    ----------
    data : DataFrame
        Needs ``studlab`` (or ``study``), ``treat1``, ``treat2``, ``TE`` and ``seTE``; other columns are ignored. Save
        it in R with ``write.csv(net$data)`` or ``write.csv(pairwise(...))``.

    Returns
    -------
    DataFrame [study, treat1, treat2, te, se]
        Input of :func:`psps_paper.network.fit_network`; te is treat1 minus treat2, on the log scale for ratios.

    Raises
    ------
    ValueError
        A column is missing, or a row has no TE or seTE; the message names study and row.

    Examples
    --------
    >>> table = pd.DataFrame({"studlab": ["Ko"], "treat1": ["A"], "treat2": ["B"], "TE": [-0.3], "seTE": [0.2]})
    >>> from_netmeta(table).values.tolist()
    [['Ko', 'A', 'B', -0.3, 0.2]]
    """
    by_name = {plain(str(name)): name for name in data.columns}
    names = {
        "study": ("studlab", "study"),
        "treat1": ("treat1",),
        "treat2": ("treat2",),
        "te": ("te",),
        "se": ("sete",),
    }
    found = {ours: next((by_name[name] for name in theirs if name in by_name), None) for ours, theirs in names.items()}
    missing = [theirs[0] for ours, theirs in names.items() if found[ours] is None]
    if missing:
        raise ValueError(f"netmeta data: no column {', '.join(missing)}; there are {', '.join(map(str, data.columns))}")
    table = pd.DataFrame({ours: data[column].to_numpy() for ours, column in found.items()}, index=data.index)
    _complete(table, ["te", "se"], "netmeta data", "netmeta leaves it out; drop it first")
    return table.reset_index(drop=True)


def from_gemtc(data: pd.DataFrame, measure: str | None = None) -> pd.DataFrame:
    """Read contrasts from gemtc's ``mtc.network()``: its ``data.re`` (relative effects) or ``data.ab`` (arms).

    Parameters
    ----------
    data : DataFrame
        Relative effects: ``study, treatment, diff, std.err``; ``diff`` is missing in the row of each study's baseline
        arm, whose ``std.err``, if given, completes a study of three or more arms. Arms: ``study, treatment`` and
        ``mean, std.dev, sampleSize`` (or ``std.err`` for ``std.dev``), or ``responders, sampleSize``, or ``responders,
        exposure``.
    measure : str, optional
        Needed for arms, as in :func:`psps_paper.effects.effect_sizes`.

    Returns
    -------
    DataFrame [study, treat1, treat2, te, se]

    Raises
    ------
    ValueError
        The message names column, study and what was expected.

    Examples
    --------
    >>> arms = {"study": ["Ko", "Ko"], "treatment": ["P", "A"], "diff": [None, -0.3], "std.err": [None, 0.2]}
    >>> rows = pd.DataFrame(arms)
    >>> from_gemtc(rows).values.tolist()
    [['Ko', 'A', 'P', -0.3, 0.2]]
    """
    table = data.rename(columns={name: _GEMTC[plain(str(name))] for name in data.columns if plain(str(name)) in _GEMTC})
    missing = [name for name in ("study", "treatment") if name not in table]
    if missing:
        raise ValueError(f"gemtc data: no column {', '.join(missing)}; there are {', '.join(map(str, data.columns))}")
    if "te" not in table:
        if measure is None:
            raise ValueError("gemtc data: arms require a measure, such as measure='OR'")
        return effect_sizes(table, measure, source="gemtc data").to_frame()
    if measure is not None:
        raise ValueError(f"gemtc data: measure={measure!r} is for arms, but these are relative effects (diff)")
    if "se" not in table:
        raise ValueError(f"gemtc data: no column std.err; there are {', '.join(map(str, data.columns))}")
    rows = []
    for study, arms in table.groupby("study", sort=False):
        base = arms[arms["te"].isna()]
        if len(base) != 1 or len(arms) == 1:
            raise ValueError(
                f"gemtc data, study {study!r}: {len(base)} of {len(arms)} rows without diff; expected one, its baseline"
                " arm, and others"
            )
        ((second, shared),) = base[["treatment", "se"]].itertuples(index=False)
        rows += [
            (study, arm.treatment, second, float(arm.te), arm.se, shared) for arm in arms.drop(base.index).itertuples()
        ]
    contrasts = pd.DataFrame(rows, columns=["study", "treat1", "treat2", "te", "se", "se_baseline"])
    _complete(contrasts, ["se"], "gemtc data", "give it")
    contrasts = contrasts.astype({"te": float, "se": float, "se_baseline": float})
    if contrasts["se_baseline"].notna().any():
        contrasts = complete_contrasts(contrasts)
    return contrasts[["study", "treat1", "treat2", "te", "se"]].reset_index(drop=True)


def _complete(table: pd.DataFrame, columns: list[str], source: str, way: str) -> None:
    for column in columns:
        empty = table.index[table[column].isna()]
        if len(empty):
            raise ValueError(f"{source}, row {empty[0]} (study {table.at[empty[0], 'study']!r}): no {column}; {way}")
