"""Tables of the data dictionary."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from psps_paper.book.display import Html, tier_badge
from psps_paper.tables.dataset import Dataset, dataset


def dictionary_table(name: str, data: Dataset | Path | str | None = None) -> pd.DataFrame:
    """Column dictionary of a table as readers see it."""
    dictionary = dataset(data).dictionary(name)
    return pd.DataFrame(
        {
            "column": dictionary["name"],
            "type": dictionary["type"],
            "unit": dictionary["unit"],
            "may be empty": dictionary["nullable"],
            "values": dictionary["allowed"].str.replace("|", ", ", regex=False),
            "meaning": dictionary["meaning"],
            "source": dictionary["provenance"],
        }
    )


def dictionary_of_all(data: Dataset | Path | str | None = None) -> pd.DataFrame:
    """:func:`dictionary_table` of every table, one below the other: DataFrame [table, column, type, ...]."""
    data = dataset(data)
    return pd.concat(
        [dictionary_table(name, data).assign(table=f"{name}.csv") for name in data.names], ignore_index=True
    )[["table", "column", "type", "unit", "may be empty", "values", "meaning", "source"]]


def tables_table(data: Dataset | Path | str | None = None) -> pd.DataFrame:
    """Every table with what it holds, its tier, its size and the first twelve digits of its checksum; each name
    downloads it.

    Raises
    ------
    ValueError
        A table that ``tables.csv`` does not tell of, or tells of and is not there.
    """
    data = dataset(data)
    told = data.table("tables").set_index("table")
    tables = {name: data.table(name) for name in data.names}
    if odd := sorted(set(tables) ^ set(told.index)):
        raise ValueError(
            f"tables.csv, column table: {odd[0]!r} is not both there and in {data.folder.name}/; expected each once"
        )
    return pd.DataFrame(
        {
            "table": [Html(f'<a download href="../data/{name}.csv">{name}.csv</a>') for name in tables],
            "holds": [told.at[name, "holds"] for name in tables],
            "tier": [
                Html(" ".join(tier_badge(tier) for tier in told.at[name, "tier"].split(" and "))) for name in tables
            ],
            "rows": [len(table) for table in tables.values()],
            "columns": [table.shape[1] for table in tables.values()],
            "SHA-256": [data.checksums[f"{name}.csv"][:12] for name in tables],
        }
    )
