"""Tables of the data dictionary."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from psps_paper.book.display import Html, tier_badge
from psps_paper.tables.checksums import checksums
from psps_paper.tables.load import data_folder, load_dictionary, load_table, table_names


def dictionary_table(name: str, folder: Path | None = None) -> pd.DataFrame:
    """Column dictionary of a table as readers see it."""
    dictionary = load_dictionary(name, folder)
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


def dictionary_of_all(folder: Path | None = None) -> pd.DataFrame:
    """:func:`dictionary_table` of every table, one below the other: DataFrame [table, column, type, ...]."""
    return pd.concat(
        [dictionary_table(name, folder).assign(table=f"{name}.csv") for name in table_names(folder)], ignore_index=True
    )[["table", "column", "type", "unit", "may be empty", "values", "meaning", "source"]]


def tables_table(folder: Path | None = None) -> pd.DataFrame:
    """Every table with what it holds, its tier, its size and the first twelve digits of its checksum; each name
    downloads it.

    Raises
    ------
    ValueError
        A table that ``tables.csv`` does not tell of, or tells of and is not there.
    """
    folder = folder or data_folder()
    digests = checksums(folder)
    told = load_table("tables", folder).set_index("table")
    tables = {name: load_table(name, folder) for name in table_names(folder)}
    if odd := sorted(set(tables) ^ set(told.index)):
        raise ValueError(
            f"tables.csv, column table: {odd[0]!r} is not both there and in {folder.name}/; expected each table once"
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
            "SHA-256": [digests[f"{name}.csv"][:12] for name in tables],
        }
    )
