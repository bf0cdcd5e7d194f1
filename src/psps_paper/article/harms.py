"""Harms and funding of the trials: counts and names from public pages, and gaps."""

from __future__ import annotations

import math

import pandas as pd

from psps_paper.article.facts import fact
from psps_paper.article.studies import included
from psps_paper.formatting import half_unit, number

NO_COUNT = "no count found"
NOT_FOUND = "not found"
MAKER, OTHER = "device maker", "others"


def label(study: str, studies: pd.DataFrame) -> str:
    """Return first author and year of a study."""
    row = studies.set_index("study").loc[study]
    return f"{row['first_author']} {row['year']}"


def totals(row: pd.Series, facts: pd.DataFrame) -> tuple[int, int]:
    """Bound the number of patients among whom the events of a row of ``harms`` were counted.

    Parameters
    ----------
    row : Series
        A row of the table ``harms``.
    facts : DataFrame
        The table ``study_facts``.

    Raises
    ------
    ValueError
        The row has neither a number of patients nor a percentage, or no number of patients gives its percentage.

    Example
    -------
    >>> row = pd.Series({"harm": "a", "events": 27, "total_fact": None, "total": None, "percent": 32.0})
    >>> totals(row, pd.DataFrame())
    (84, 85)
    """
    if isinstance(row["total_fact"], str):
        total = int(fact(facts, row["total_fact"])["number"])
        return total, total
    if not pd.isna(row["total"]):
        return int(row["total"]), int(row["total"])
    if pd.isna(row["percent"]) or not row["percent"] > 0:
        raise ValueError(f"harms.csv, {row['harm']}: neither patients nor a percentage above 0")
    half = half_unit(_decimals(row["percent"]))
    low, high = 100 * row["events"] / (row["percent"] + half), 100 * row["events"] / (row["percent"] - half)
    fits = range(math.ceil(low), math.floor(high) + 1)
    if not fits:
        raise ValueError(f"harms.csv, {row['harm']}: {row['events']} is {row['percent']} % of no number of patients")
    return fits[0], fits[-1]


def count_text(row: pd.Series, facts: pd.DataFrame) -> str:
    """Write a count among its patients: "12 of 102 (12 %)", with a range of patients if the page does not fix them."""
    low, high = totals(row, facts)
    among = str(low) if low == high else f"{low} {'or' if high == low + 1 else 'to'} {high}"
    if row["events"] == 0:
        return f"none of {among}"
    return f"{row['events']} of {among} ({number(100 * row['events'] / ((low + high) / 2), 0)} %)"


def harms_table(harms: pd.DataFrame, facts: pd.DataFrame, studies: pd.DataFrame) -> pd.DataFrame:
    """List every event counted on public pages, with its patients.

    Parameters
    ----------
    harms, facts, studies : DataFrame
        The tables ``harms``, ``study_facts`` and ``studies``.

    Returns
    -------
    DataFrame [study, ref, class, event, count, share, time, part, source, note]
        In the order of the article's references. ``share``: proportion of the patients, at the middle of their range if
        only bounds are known. ``part``: whether another row of the study counts the same patients.
    """
    rows = []
    named = studies.set_index("study")
    for row in harms.sort_values("ref", kind="stable").to_dict("records"):
        row = pd.Series(row)
        rows.append(
            {
                "study": label(row["study"], studies),
                "ref": row["ref"],
                "class": named.at[row["study"], "treatment_class"],
                "event": row["event"],
                "count": count_text(row, facts),
                "share": 2 * row["events"] / sum(totals(row, facts)),
                "time": row["time"] if isinstance(row["time"], str) else "",
                "part": isinstance(row["part_of"], str),
                "source": fact(facts, row["fact"])["source_url"],
                "note": row["note"] if isinstance(row["note"], str) else "",
            }
        )
    return pd.DataFrame(rows)


def compared(studies: pd.DataFrame) -> dict[str, list[str]]:
    """List the studies of each comparison of the published network, by the treatment compared with the reference."""
    used = included(studies)
    used = used[used["nma_status"] == "used"]
    return {name.split(" vs ")[1]: list(group["study"]) for name, group in used.groupby("nma_comparison", sort=False)}


def harms_by_comparison(harms: pd.DataFrame, studies: pd.DataFrame) -> pd.DataFrame:
    """Count, for each comparison, the trials that report harms.

    Returns
    -------
    DataFrame [treat2, trials, counted, none, no count]
        Index ``treat2``. ``counted``: trials with an event; ``none``: trials whose page reports none.
    """
    main = harms[harms["part_of"].isna()]
    happened = set(main.loc[main["events"] > 0, "study"])
    rows = {}
    for treat2, own in compared(studies).items():
        counted = sum(study in happened for study in own)
        none = sum(study in set(main["study"]) - happened for study in own)
        rows[treat2] = {"trials": len(own), "counted": counted, "none": none, "no count": len(own) - counted - none}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("treat2")


def funding_by_comparison(funders: pd.DataFrame, studies: pd.DataFrame, sizes: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the funders of each comparison, by trials and by patients.

    Parameters
    ----------
    funders, studies, sizes : DataFrame
        The tables ``funders``, ``studies`` and ``sample_sizes``.

    Returns
    -------
    DataFrame [treat2, trials, device maker, others, not found, patients low, patients high, share low, share high,
               makers]
        Index ``treat2``. ``share``: smallest and largest proportion of patients in trials funded by a device maker that
        the numbers of patients allow; ``makers``: their names.
    """
    kinds = funders.set_index("study")["kind"]
    names = funders.set_index("study")["funder"]
    size = sizes.set_index("ref")[["n_low", "n_high"]]
    refs = studies.set_index("study")["ref"]
    rows = {}
    for treat2, own in compared(studies).items():
        made = [study for study in own if kinds.get(study) == MAKER]
        low, high = (
            size.loc[[refs[study] for study in own], "n_low"].sum(),
            size.loc[[refs[study] for study in own], "n_high"].sum(),
        )
        mine = size.loc[[refs[study] for study in made]].sum()
        rest = low - mine["n_low"], high - mine["n_high"]
        rows[treat2] = {
            "trials": len(own),
            MAKER: len(made),
            OTHER: sum(study in kinds.index for study in own) - len(made),
            NOT_FOUND: sum(study not in kinds.index for study in own),
            "patients low": int(low),
            "patients high": int(high),
            "share low": float(mine["n_low"] / (mine["n_low"] + rest[1])),
            "share high": float(mine["n_high"] / (mine["n_high"] + rest[0])),
            "makers": ", ".join(dict.fromkeys(names[study] for study in made)),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("treat2")


def funders_table(funders: pd.DataFrame, facts: pd.DataFrame, studies: pd.DataFrame) -> pd.DataFrame:
    """List the funders of each trial: DataFrame [study, ref, class, funder, kind, role, source, note]."""
    named = studies.set_index("study")
    return pd.DataFrame(
        [
            {
                "study": label(row["study"], studies),
                "ref": row["ref"],
                "class": named.at[row["study"], "treatment_class"],
                "funder": row["funder"],
                "kind": row["kind"],
                "role": row["role"],
                "source": fact(facts, row["fact"])["source_url"],
                "note": row["note"] if isinstance(row["note"], str) else "",
            }
            for row in funders.sort_values("ref", kind="stable").to_dict("records")
        ]
    )


def funding_by_class(funders: pd.DataFrame, studies: pd.DataFrame) -> pd.DataFrame:
    """Count trials by class and funder: DataFrame [treatment class, trials, device maker, others, not found]."""
    rows = included(studies)
    kinds = rows["study"].map(funders.set_index("study")["kind"])
    group = kinds.map(lambda kind: NOT_FOUND if pd.isna(kind) else MAKER if kind == MAKER else OTHER)
    table = pd.crosstab(rows["treatment_class"], group).reindex(columns=[MAKER, OTHER, NOT_FOUND], fill_value=0)
    table.insert(0, "trials", table.sum(axis=1))
    return table.sort_values("trials", ascending=False).rename_axis(index="treatment class", columns=None).reset_index()


def _decimals(value: float) -> int:
    return len(f"{value:g}".partition(".")[2])
