"""Tables of the data dictionary."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from psps_paper.book.display import Html, tier_badge
from psps_paper.tables.dataset import Dataset, dataset


def dictionary_table(name: str, data: Dataset | Path | str | None = None) -> pd.DataFrame:
    """Format the column dictionary of a table for readers."""
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
    """Stack the :func:`dictionary_table` of every table: DataFrame [table, column, type, ...]."""
    data = dataset(data)
    return pd.concat(
        [dictionary_table(name, data).assign(table=f"{name}.csv") for name in data.names], ignore_index=True
    )[["table", "column", "type", "unit", "may be empty", "values", "meaning", "source"]]


def tables_table(data: Dataset | Path | str | None = None) -> pd.DataFrame:
    """List every table with its content, tier, size and the first twelve digits of its checksum.

    Each name is a link that downloads the table.

    Raises
    ------
    ValueError
        A table is not described in ``tables.csv``, or is described but does not exist.
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
