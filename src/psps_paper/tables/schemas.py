"""Turn a column dictionary of ``data/dictionaries`` into a pandera schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    import pandera.pandas as pa

DICTIONARY_COLUMNS = [
    "name",
    "type",
    "unit",
    "nullable",
    "unique",
    "minimum",
    "maximum",
    "allowed",
    "meaning",
    "provenance",
]
DTYPES = {
    "text": "str",
    "choice": "str",
    "url": "str",
    "doi": "str",
    "date": "str",
    "integer": "Int64",
    "number": "float64",
}
# "together": the columns marked so form one key, which no two rows may share
DICTIONARY_CHOICES = {"type": list(DTYPES), "nullable": ["yes", "no"], "unique": ["yes", "no", "together"]}


def allowed_values(column: pd.Series) -> list[str]:
    """List the values that a column of type choice may take, in the dictionary's order."""
    return column["allowed"].split("|") if column["allowed"] else []


def key_columns(dictionary: pd.DataFrame) -> list[str]:
    """List the columns that form one key; most tables have none."""
    return dictionary.loc[dictionary["unique"] == "together", "name"].tolist()


def expectation(column: pd.Series) -> str:
    """Describe, for an error message, the values that a column accepts."""
    kind = column["type"]
    if kind == "choice":
        return "one of " + ", ".join(allowed_values(column))
    words = {
        "text": "text",
        "url": "a web address starting with http:// or https://",
        "doi": "a DOI such as 10.1000/182",
        "date": "a date written YYYY-MM-DD",
        "integer": "a whole number",
        "number": "a number",
    }[kind]
    if column["minimum"]:
        words += f", at least {column['minimum']}"
    if column["maximum"]:
        words += f", at most {column['maximum']}"
    return words


def schema_from_dictionary(dictionary: pd.DataFrame) -> pa.DataFrameSchema:
    """Build the pandera schema that a table must meet after its types are read.

    Parameters
    ----------
    dictionary : DataFrame
        One row per column, with the columns ``DICTIONARY_COLUMNS``, all text.

    Returns
    -------
    pandera.pandas.DataFrameSchema
        Strict (no other columns) and in the dictionary's order.
    """
    import pandera.pandas as pa  # takes a fifth of each command's start-up time, and many commands check no new table

    columns = {}
    for _, column in dictionary.iterrows():
        checks = []
        if column["type"] == "choice":
            checks.append(pa.Check.isin(allowed_values(column)))
        if column["type"] == "url":
            checks.append(pa.Check.str_matches(r"^https?://\S+$"))
        if column["type"] == "doi":
            checks.append(pa.Check.str_matches(r"^10\.\d{4,9}/\S+$"))
        if column["type"] == "date":
            checks.append(pa.Check(_is_date, name="date"))
        if column["minimum"]:
            checks.append(pa.Check.ge(float(column["minimum"])))
        if column["maximum"]:
            checks.append(pa.Check.le(float(column["maximum"])))
        columns[column["name"]] = pa.Column(
            DTYPES[column["type"]],
            checks=checks,
            nullable=column["nullable"] == "yes",
            unique=column["unique"] == "yes",
        )
    return pa.DataFrameSchema(columns, strict=True, ordered=True, unique=key_columns(dictionary) or None)


def _is_date(cells: pd.Series) -> pd.Series:
    days = pd.to_datetime(cells, format="%Y-%m-%d", errors="coerce")
    return days.notna() & cells.str.fullmatch(r"\d{4}-\d{2}-\d{2}")
