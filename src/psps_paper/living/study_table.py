"""Study-level information other than results: risk of bias, characteristics, the flow of records."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from psps_paper.tables.errors import TableError

# From 1 to 3, as CINeMA counts them
JUDGEMENTS = ("low", "some concerns", "high")
JUDGED = ("rob", "indirectness")
CINEMA = {str(k): judgement for k, judgement in enumerate(JUDGEMENTS, 1)}
FLOW = ("stage", "label", "n", "side")
STAGES = ("identification", "screening", "eligibility", "included", "synthesis")
SIDES = ("main", "excluded", "added")


def read_studies(path: Path, name: str, studies: set[str]) -> pd.DataFrame:
    """Read the table of studies and check it.

    Parameters
    ----------
    path : Path
        CSV with ``study`` and any other columns. ``rob`` and ``indirectness`` hold low, some concerns or high,
        or 1 to 3 as in CINeMA. Other columns, including subgroups and moderators, are shown unchanged.
    name : str
        Name of the file, for messages.
    studies : set of str
        Studies with results. A study without a row gets an empty one at the end, and therefore no judgement.

    Returns
    -------
    DataFrame [study, ...] of str
        In the order of the file.

    Raises
    ------
    TableError
        The file or a column does not exist, a study is listed twice, or a judgement is unknown; the message names row
        and value.
    """
    table = _read(path, name, ("study",))
    repeated = table["study"].duplicated()
    if repeated.any():
        row = int(repeated.to_numpy().argmax())
        raise TableError(f"{name}, row {row + 2}, column study: {table['study'].iloc[row]!r} is listed twice")
    for column in JUDGED:
        if column in table.columns:
            table[column] = table[column].replace(CINEMA)
            for number, value in enumerate(table[column], 2):
                if value and value not in JUDGEMENTS:
                    allowed = ", ".join(JUDGEMENTS)
                    raise TableError(f"{name}, row {number}, column {column}: {value!r} is not one of {allowed}")
    missing = pd.DataFrame({"study": sorted(studies - set(table["study"]))}, dtype=object)
    return pd.concat([table, missing], ignore_index=True).fillna("")


def judged_columns(table: pd.DataFrame) -> list[str]:
    """List the columns that hold judgements and nothing else: risk of bias, indirectness, domains."""
    allowed = {*JUDGEMENTS, "unknown"}
    return [
        column
        for column in table.columns
        if column in JUDGED or (set(table[column]) - {""} and set(table[column]) - {""} <= allowed)
    ]


def numbers_of(table: pd.DataFrame, column: str, name: str) -> pd.Series:
    """Read a column of the table of studies as numbers, by study, NaN where it is empty; an error names the row."""
    numbers = []
    for number, value in enumerate(table[column], 2):
        try:
            numbers.append(float(value or "nan"))
        except ValueError:
            raise TableError(f"{name}, row {number}, column {column}: {value!r} is not a number") from None
    return pd.Series(numbers, index=table["study"], name=column, dtype=float)


def read_flow(path: Path, name: str) -> pd.DataFrame:
    """Read the counts of a flow diagram, for :func:`psps_paper.figures.prisma_flow`.

    Parameters
    ----------
    path : Path
        CSV with ``stage`` (identification, screening, eligibility, included, synthesis), ``label``, ``n`` (a whole
        number, or empty where it is not known) and ``side`` (main, excluded, added), from the search to the synthesis.

    Raises
    ------
    TableError
        The message names row and value.
    """
    table = _read(path, name, FLOW)
    for number, row in enumerate(table.itertuples(index=False), 2):
        for column, allowed in (("stage", STAGES), ("side", SIDES)):
            if getattr(row, column) not in allowed:
                shown = ", ".join(allowed)
                raise TableError(
                    f"{name}, row {number}, column {column}: {getattr(row, column)!r} is not one of {shown}"
                )
        if row.n and not (row.n.isascii() and row.n.isdigit()):
            raise TableError(f"{name}, row {number}, column n: {row.n!r} is not a whole number")
    order = range(1, len(table) + 1)
    boxes = [f"box{k}" for k in order]
    counts = [int(n) if n else None for n in table["n"]]
    return table[list(FLOW)].assign(n=counts, box=boxes, order=list(order))


def _read(path: Path, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    if not path.is_file():
        raise TableError(f"{name}: no such file")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise TableError(f"{name}: cannot be read as CSV in UTF-8 ({error})") from None
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise TableError(f"{name}: no column {missing[0]}; there are {', '.join(table.columns)}")
    if table.empty:
        raise TableError(f"{name}: no rows")
    return table.map(str.strip)
