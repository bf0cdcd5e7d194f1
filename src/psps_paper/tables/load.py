"""Load and validate the tables of ``data/``: all data enter the package here."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from psps_paper.tables.cache import cached
from psps_paper.tables.conditions import ConditionError, rows_where, shortened
from psps_paper.tables.errors import TableError
from psps_paper.tables.schemas import (
    DICTIONARY_CHOICES,
    DICTIONARY_COLUMNS,
    DTYPES,
    expectation,
    key_columns,
    schema_from_dictionary,
)

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # all except the tab and line ends
_ESCAPED = re.compile("[\ud800-\udfff]")  # surrogates that stand for bytes that are not UTF-8
_LARGEST_WHOLE = 2.0**53  # a double holds every whole number up to here

ROW_RULES = "row_rules"
CHECKSUMS = "checksums.sha256"


def data_folder() -> Path:
    """Find the data folder: ``$PSPS_DATA``, else ``data/`` of the review in the working folder or this checkout."""
    named = os.environ.get("PSPS_DATA")
    if named:
        return Path(named)
    for root in (Path.cwd(), Path.cwd().parent, Path(__file__).resolve().parents[3]):
        if (root / "data" / "dictionaries").is_dir():
            return root / "data"
    raise TableError("no data folder found: run inside a checkout, or set PSPS_DATA to its data folder")


def table_names(folder: Path | None = None) -> list[str]:
    """List the tables that have a column dictionary, sorted; a folder without dictionaries is an error."""
    dictionaries = (folder or data_folder()) / "dictionaries"
    if not dictionaries.is_dir():
        raise TableError(f"{dictionaries.parent} is not a data folder: it has no folder named dictionaries")
    return sorted(path.stem for path in dictionaries.glob("*.csv"))


def load_dictionary(name: str, folder: Path | None = None) -> pd.DataFrame:
    """Load the column dictionary of a table: one row per column, all text, empty strings for missing entries."""
    file_name = f"dictionaries/{name}.csv"
    return dictionary_of(content_of((folder or data_folder()) / file_name, file_name), file_name)


def dictionary_of(content: bytes, file_name: str) -> pd.DataFrame:
    """Read a column dictionary from the content of its file; see :func:`load_dictionary`."""
    dictionary = _text_table(content, file_name)
    if list(dictionary.columns) != DICTIONARY_COLUMNS:
        raise TableError(f"{file_name}: columns are {list(dictionary.columns)}, expected {DICTIONARY_COLUMNS}")
    for row, column in enumerate(dictionary.to_dict("records"), 1):
        where = f"{file_name}, row {row} ({column['name']}), column"
        for field, choices in DICTIONARY_CHOICES.items():
            if column[field] not in choices:
                raise TableError(f"{where} {field}: {column[field]!r} is not one of {', '.join(choices)}")
        for field in ("minimum", "maximum"):
            if column[field] and pd.isna(pd.to_numeric(column[field], errors="coerce")):
                raise TableError(f"{where} {field}: {column[field]!r} is not a number")
    return dictionary


def load_table(name: str, folder: Path | str | None = None) -> pd.DataFrame:
    """Load a table of ``data/`` and check it against its dictionary and the rules of ``row_rules.csv``.

    Parameters
    ----------
    name : str
        File name without ``.csv``.
    folder : Path or str, optional
        The data folder; by default the one that :func:`data_folder` finds.

    Returns
    -------
    DataFrame
        Typed as the dictionary says; missing values are ``pandas.NA`` or NaN.

    Raises
    ------
    TableError
        Naming file, row, column, value and what was expected. Rows count from 1 at the first
        row of data.
    """
    place = Path(folder) if folder else data_folder()
    rules = (place / f"{ROW_RULES}.csv").exists()
    return checked_table(name, table_names(place), lambda file_name: content_of(place / file_name, file_name), rules)


def checked_table(name: str, names: Sequence[str], content: Callable[[str], bytes], rules: bool) -> pd.DataFrame:
    """Load a table as :func:`load_table` does, given all table names, a reader of files and whether row rules apply."""
    if name not in names:
        raise TableError(f"{name}.csv: no such table; expected one of {', '.join(names)}")
    files = [f"{name}.csv", f"dictionaries/{name}.csv"]
    if rules and name != ROW_RULES:
        files += [f"{ROW_RULES}.csv", f"dictionaries/{ROW_RULES}.csv"]
    return _checked(name, *map(content, files)).copy()


@lru_cache(maxsize=128)  # chapters and commands load the same tables many times
def _checked(name: str, *contents: bytes) -> pd.DataFrame:
    digests = "".join(hashlib.sha256(content).hexdigest() for content in contents)
    return cached(f"table-{name}", digests, lambda: _checked_now(name, *contents))


def _checked_now(
    name: str, content: bytes, dictionary: bytes, rules: bytes | None = None, rules_dictionary: bytes = b""
) -> pd.DataFrame:
    file_name = f"{name}.csv"
    raw = _text_table(content, file_name)
    table = validate_table(raw, dictionary_of(dictionary, f"dictionaries/{file_name}"), file_name)
    if rules is not None:
        _check_rules(raw, table, name, _rules(rules, rules_dictionary))
    return table


def validate_table(raw: pd.DataFrame, dictionary: pd.DataFrame, file_name: str) -> pd.DataFrame:
    """Check a table of text cells against its dictionary and convert its columns to their types.

    Parameters
    ----------
    raw : DataFrame
        All cells are text; an empty string is a missing value.
    dictionary : DataFrame
        As from :func:`load_dictionary`.
    file_name : str
        Named in messages.

    Returns
    -------
    DataFrame
        With the dictionary's types and order.

    Raises
    ------
    TableError
        For the first fault: a missing, unknown or misplaced column, a cell of the wrong type or outside
        the allowed values, a missing value, a duplicate, a key that two rows share.
    """
    expected = list(dictionary["name"])
    for column in expected:
        if column not in raw.columns:
            raise TableError(f"{file_name}: column {column} is missing; expected {', '.join(expected)}")
    for column in raw.columns:
        if column not in expected:
            raise TableError(f"{file_name}: column {column!r} is unknown; expected {', '.join(expected)}")
    if list(raw.columns) != expected:
        raise TableError(f"{file_name}: columns are out of order; expected {', '.join(expected)}")

    typed = pd.DataFrame(index=raw.index)
    for _, column in dictionary.iterrows():
        typed[column["name"]] = _typed_column(raw, column, file_name)
    schema = schema_from_dictionary(dictionary)
    from pandera.errors import SchemaErrors  # imported late, like the schema itself

    try:
        return schema.validate(typed, lazy=True)
    except SchemaErrors as errors:
        case = errors.failure_cases.iloc[0]
        if case["check"] == "multiple_fields_uniqueness":
            raise _shared_key_error(raw, key_columns(dictionary), int(case["index"]), file_name) from None
        column = dictionary.set_index("name", drop=False).loc[case["column"]]
        row, value = int(case["index"]), raw.loc[int(case["index"]), case["column"]]
        if case["check"] == "not_nullable":
            fault = "is empty"
        elif case["check"] == "field_uniqueness":
            rows = ", ".join(str(number + 1) for number in raw.index[raw[case["column"]] == value])
            fault = f"{value!r} occurs more than once (rows {rows})"
        else:
            fault = f"{shortened(value)} is not {expectation(column)}"
        raise TableError(f"{file_name}, {row_name(raw, row)}, column {case['column']}: {fault}") from None


def _shared_key_error(raw: pd.DataFrame, columns: list[str], row: int, file_name: str) -> TableError:
    same = (raw[columns] == raw.loc[row, columns]).all(axis=1)
    rows = ", ".join(str(number + 1) for number in raw.index[same])
    values = ", ".join(repr(raw.loc[row, column]) for column in columns)
    return TableError(
        f"{file_name}, {row_name(raw, row)}, columns {', '.join(columns)}: {values} occur together more than once "
        f"(rows {rows}); expected one row for each"
    )


@lru_cache(maxsize=8)
def _rules(content: bytes, dictionary: bytes) -> pd.DataFrame:
    file_name = f"{ROW_RULES}.csv"
    return validate_table(
        _text_table(content, file_name), dictionary_of(dictionary, f"dictionaries/{file_name}"), file_name
    )


def _check_rules(raw: pd.DataFrame, table: pd.DataFrame, name: str, rules: pd.DataFrame) -> None:
    """Check the rows of a table against the conditions in ``row_rules.csv``."""
    for number, rule in enumerate(rules.to_dict("records"), 1):
        if rule["table"] != name:
            continue
        where = f"{ROW_RULES}.csv, row {number}, column"
        if rule["column"] not in raw:
            raise TableError(f"{where} column: {shortened(rule['column'])} is not a column of {name}.csv")
        applies = (
            meeting(table, rule["rows"], f"{name}.csv", f"{where} rows") if isinstance(rule["rows"], str) else True
        )
        broken = applies & ~meeting(table, rule["holds"], f"{name}.csv", f"{where} holds")
        if broken.any():
            row = int(broken.index[np.flatnonzero(broken)[0]])
            cell: Any = raw.at[row, rule["column"]]
            raise TableError(
                f"{name}.csv, {row_name(raw, row)}, column {rule['column']}: {shortened(cell)} "
                f"is not {rule['expected']}"
            )


def meeting(table: pd.DataFrame, condition: str, file_name: str, where: str) -> pd.Series:
    """Return which rows of a table meet a condition that another table holds: Series of bool.

    ``file_name`` names the file of ``table``, ``where`` the cell that holds the condition.

    Raises
    ------
    TableError
        Naming the cell, if it does not hold a condition or the condition does not suit the table.

    Examples
    --------
    >>> meeting(pd.DataFrame({"n": [1, 3]}), "n > 2", "sizes.csv", "rules.csv, row 1, column holds").tolist()
    [False, True]
    """
    try:
        return rows_where(table, condition)
    except ConditionError as error:
        raise TableError(f"{where}: {shortened(condition)} does not suit {file_name}: {error}") from None


def row_name(raw: pd.DataFrame, row: int) -> str:
    """Name a row for messages: counted from 1 at the first row of data, with its reference if it has one."""
    reference: Any = raw.loc[row, "ref"] if "ref" in raw.columns else ""
    return f"row {row + 1}" + ("" if pd.isna(reference) or reference == "" else f" (ref {str(reference)[:80]})")


def content_of(path: Path, file_name: str) -> bytes:
    """Return the content of a file, or raise a TableError that calls it ``file_name`` if it is missing."""
    if not path.is_file():
        raise not_there(path, file_name)
    return path.read_bytes()


def not_there(path: Path, file_name: str) -> TableError:
    """Return the error for a file that is not there, which the message calls ``file_name``."""
    other = path.exists() and not path.is_file()
    return TableError(f"{file_name}: " + ("is not a file" if other else "the file is missing"))


def _text_table(content: bytes, file_name: str) -> pd.DataFrame:
    try:
        # Spreadsheets begin UTF-8 files with a byte order mark, which is not part of the data
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise TableError(f"{_not_utf8(error, file_name)}; save the file as UTF-8") from None
    if not text.strip():
        raise TableError(f"{file_name}: the file is empty; expected a header line")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header, *rows = reader
    except csv.Error as error:
        raise TableError(f"{file_name}, line {reader.line_num}: {error}; expected comma-separated values") from None
    if len(set(header)) != len(header):
        raise TableError(f"{file_name}: a column name occurs more than once in {header}")
    if not rows:
        raise TableError(f"{file_name}: the file has a header but no rows of data")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise TableError(f"{file_name}, row {number}: {len(row)} cells where the header has {len(header)}")
    table = pd.DataFrame(rows, columns=header, dtype=str)
    if not _CONTROL.search(text):
        return table
    for number, row in enumerate(rows):
        for column, cell in zip(header, row, strict=True):
            if _CONTROL.search(cell):
                raise TableError(
                    f"{file_name}, {row_name(table, number)}, column {column}: "
                    f"{shortened(cell)} holds a control character; expected text"
                )
    return table


def _not_utf8(error: UnicodeDecodeError, file_name: str) -> str:
    """Describe where a byte is not UTF-8: its line, and its cell if the file reads as a table up to there."""
    content = error.object
    line = content.count(b"\n", 0, error.start) + 1
    fault = f"{file_name}, line {line}: byte {error.start} ({content[error.start]:#04x}) is not UTF-8"
    text = content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    try:
        header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    except (csv.Error, ValueError):
        return fault
    if _ESCAPED.search("".join(header)):
        return fault
    for number, row in enumerate(rows):
        for column, cell in zip(header, row, strict=False):
            if _ESCAPED.search(cell):
                written = cell.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
                name = row_name(pd.DataFrame([dict(zip(header, row, strict=False))], index=[number]), number)
                return (
                    f"{file_name}, line {line}, {name}, column {column}: '{written[:80]}' "
                    f"holds byte {content[error.start]:#04x}, which is not UTF-8"
                )
    return fault


def _typed_column(raw: pd.DataFrame, column: pd.Series, file_name: str) -> pd.Series:
    cells = raw[column["name"]]
    if DTYPES[column["type"]] == "str":
        return cells.where(cells != "", None).astype("str")
    numbers = pd.to_numeric(cells.where(cells != "", None), errors="coerce").astype(float)
    wrong = (numbers.isna() & (cells != "")) | np.isinf(numbers)
    if column["type"] == "integer":
        wrong |= numbers.notna() & ((numbers % 1 != 0) | (numbers.abs() > _LARGEST_WHOLE))
    if wrong.any():
        row = int(wrong.idxmax())
        raise TableError(
            f"{file_name}, {row_name(raw, row)}, column {column['name']}: "
            f"{shortened(cells[row])} is not {expectation(column)}"
        )
    return numbers.astype(DTYPES[column["type"]])
