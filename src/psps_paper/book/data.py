"""Tables of the data dictionary."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from psps_paper.tables.checksums import checksums
from psps_paper.tables.load import data_folder, load_dictionary, load_table, table_names


def dictionary_table(name: str, folder: Path | None = None) -> pd.DataFrame:
    """Column dictionary of a table as readers see it."""
    dictionary = load_dictionary(name, folder)
    return pd.DataFrame({
        "column": dictionary["name"],
        "type": dictionary["type"],
        "unit": dictionary["unit"],
        "may be empty": dictionary["nullable"],
        "values": dictionary["allowed"].str.replace("|", ", ", regex=False),
        "meaning": dictionary["meaning"],
        "source": dictionary["provenance"],
    })


def checksum_table(folder: Path | None = None) -> pd.DataFrame:
    """Every table with its size and the first twelve digits of its checksum."""
    folder = folder or data_folder()
    digests = checksums(folder)
    tables = {name: load_table(name, folder) for name in table_names(folder)}
    return pd.DataFrame({
        "table": [f"{name}.csv" for name in tables],
        "rows": [len(table) for table in tables.values()],
        "columns": [table.shape[1] for table in tables.values()],
        "SHA-256": [digests[f"{name}.csv"][:12] for name in tables],
    })
