"""From a file that somebody made to the review's trial-level data: read, converted, checked, and only then written."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from psps_paper.living.arms import _from_arms
from psps_paper.living.cells import _Cells, _lines
from psps_paper.living.formats import COLUMN_KINDS, CONTRAST_COLUMNS, REVMAN_WEB, Layout, plain, recognise
from psps_paper.living.model import ARM_COLUMNS, Import, Options, _one_analysis
from psps_paper.living.notes import _notes, _without_sd
from psps_paper.living.reading import RawTable, read_table
from psps_paper.tables.errors import TableError
from psps_paper.tables.load import load_table


def read_trials(path: Path, options: Options, folder: Path) -> Import:
    """Read a file of contrasts or arms; nothing is written.

    Parameters
    ----------
    path : Path
    options : Options
    folder : Path
        The data folder: its ``outcomes.csv`` gives measure and direction.

    Raises
    ------
    TableError
        Naming file, row, column, value and what was expected.
    """
    return convert(read_table(path, sheet=options.sheet, skip=options.skip), options, folder)


def convert(raw: RawTable, options: Options, folder: Path) -> Import:
    """As :func:`read_trials`, from a table that was read."""
    outcome = _outcome(folder, options.outcome)
    if options.measure not in (None, outcome["measure"]):
        raise TableError(f"{raw.file}: --measure {options.measure}: outcome {outcome['outcome']} is measured as {outcome['measure']} in outcomes.csv; "
                         "choose another with --outcome, or give it a row there")
    if options.impute_sd and not options.impute:
        raise TableError(f"{raw.file}: --impute-sd and --no-imputation exclude each other")
    layout = recognise(raw.columns, options.kind, options.mapping, options.constants, raw.file)
    if options.reverse and options.kind == "arms":
        raise TableError(f"{raw.file}: --reverse is for contrasts; with arms outcomes.csv gives the direction")
    for name in options.constants:
        if name not in ("study", "treat1", "treat2", "treatment"):
            raise TableError(f"--set {name}: only study, treat1, treat2 and treatment can be set for all rows")
    cells = pd.DataFrame(raw.rows, columns=raw.columns, index=pd.RangeIndex(1, len(raw.rows) + 1, name="row"), dtype=object)
    listed: list[tuple[str, str, str]] = []
    cells = _selected(cells, raw.file, options.where, listed)
    cells = _one_outcome(cells, layout, raw.file, options.outcome, outcome["outcome"], set(load_table("outcomes", folder)["outcome"]), listed)
    conversions: list[str] = []
    if raw.decimal_comma and any("," in cell for column in layout.used() for cell in cells[column]):
        conversions.append("decimal commas were read as decimal points, since semicolons separate the cells")
    reader = _Cells(raw.file, raw.decimal_comma, options.labels, conversions)
    if layout.shape == "contrasts":
        contrasts, n_read = _contrasts(cells, layout, reader, options, listed)
        arms = pd.DataFrame(columns=ARM_COLUMNS)
        unit = "rows"
        if options.reverse:
            contrasts["te"] = -contrasts["te"]
            conversions.append("the sign of te was turned, as asked")
    else:
        contrasts, arms, n_read = _from_arms(cells, layout, reader, options, outcome, listed, conversions)
        unit = "rows" if layout.shape == "long" else "arms"
    unknown = [label for label in options.labels if label not in reader.labels_seen]
    if unknown:
        raise TableError(f"{raw.file}: --label {unknown[0]}=...: no treatment {unknown[0]!r}; there are {', '.join(sorted(reader.treatments_seen))}")
    contrasts.insert(0, "outcome", outcome["outcome"])
    for table in (contrasts, arms):
        table["rows"] = table["rows"].astype(str)
    table = pd.DataFrame(listed, columns=["row", "study", "reason"])
    n_used = n_read - len(table)
    if contrasts.empty:
        reasons = "; ".join(f"{count} {reason}" for reason, count in table["reason"].value_counts().head(3).items())
        raise TableError(f"{raw.file}: nothing of {n_read} {unit} can be used ({reasons})")
    warnings = [*raw.notes, *_without_sd(table, options), *_notes(contrasts, raw.file, outcome["outcome"], folder)]
    source = {
        "outcome": outcome["outcome"],
        "file": raw.file,
        "sha256": raw.sha256,
        "kind": options.kind,
        "measure": outcome["measure"],
        "format": layout.format,
        "columns": layout.named(),
        "not read": [column for column in raw.columns if column not in layout.used() and column not in options.where],
        "options": {key: value for key, value in dataclasses.asdict(options).items() if value and key not in ("kind", "outcome", "mapping")},
        "unit": unit,
        "read": n_read,
        "used": n_used,
        "listed": [dict(zip(table.columns, entry, strict=True)) for entry in listed],
        "conversions": conversions,
        "contrasts": len(contrasts),
        "studies": int(contrasts["study"].nunique()),
    }
    return Import(contrasts, arms, table, conversions, source, warnings)


def report(result: Import) -> str:
    """What was read, converted, left out and why, as text."""
    source = result.source
    lines = [
        f"{source['file']}: {source['kind']} in the convention {source['format']}",
        f"  outcome {source['outcome']}; columns " + ", ".join(f"{ours} from {theirs}" for ours, theirs in source["columns"].items()),
        *([f"  columns not read: {', '.join(source['not read'])}"] if source["not read"] else []),
        f"  read {source['read']} {source['unit']}, used {source['used']}, listed below {len(result.listed)}",
        f"  gives {source['contrasts']} contrasts of {source['studies']} studies and "
        f"{len(set(result.contrasts['treat1']) | set(result.contrasts['treat2']))} treatments: "
        + ", ".join(sorted(set(result.contrasts["treat1"]) | set(result.contrasts["treat2"]))),
    ]
    lines += [f"  converted: {sentence}" for sentence in result.conversions]
    lines += [f"  not used: row {row.row}" + (f" ({row.study})" if row.study else "") + f": {row.reason}" for row in result.listed.itertuples()]
    lines += [f"  note: {warning}" for warning in result.warnings]
    return "\n".join(lines)


def _outcome(folder: Path, name: str | None) -> pd.Series:
    outcomes = load_table("outcomes", folder)
    if name is None:
        return outcomes.iloc[0]
    rows = outcomes[outcomes["outcome"] == name]
    if rows.empty:
        raise TableError(f"--outcome {name}: not one of {', '.join(outcomes['outcome'])} (outcomes.csv)")
    return rows.iloc[0]


def _selected(cells: pd.DataFrame, file: str, where: Mapping[str, str], listed: list) -> pd.DataFrame:
    for column in where:
        if column not in cells.columns:
            raise TableError(f"{file}: --where {column}={where[column]}: no column {column!r}; there are {', '.join(cells.columns)}")
    blank = (cells.to_numpy() == "").all(axis=1)
    chosen = ~blank
    for column, value in where.items():
        chosen &= cells[column].to_numpy() == value
    listed += [(str(cells.index[k]), "", "blank" if blank[k] else "not selected") for k in np.flatnonzero(~chosen)]
    return cells[chosen]


def _one_outcome(cells: pd.DataFrame, layout: Layout, file: str, asked: str | None, outcome: str, known: set[str], listed: list) -> pd.DataFrame:
    """The rows of one outcome and one analysis; a file that holds several is refused unless one was chosen."""
    by_name = {plain(column): column for column in cells.columns if column not in layout.used()}
    if layout.format == REVMAN_WEB:
        _one_analysis(cells, [by_name[name] for name in ("analysisgroup", "analysisnumber", "analysis", "outcome") if name in by_name], file)
    column = by_name.get("outcome")
    if column is None:
        return cells
    values = sorted(set(cells[column]))
    if asked in values:
        listed += [(str(row), "", "not selected") for row in cells.index[cells[column] != asked]]
        return cells[cells[column] == asked]
    if len(values) > 1:
        ways = [f"--outcome {value}" if value in known else f"--where {f'{column}={value}'!r}" for value in values[:10]]
        raise TableError(f"{file}: column {column!r} holds {len(values)} outcomes; choose one: {'; '.join(ways)}")
    if known & set(values) - {outcome}:
        raise TableError(f"{file}: column {column!r} says {values[0]!r}, and {outcome!r} is to be read; choose it with --outcome {values[0]}")
    return cells


def _contrasts(cells: pd.DataFrame, layout: Layout, reader: _Cells, options: Options, listed: list) -> tuple[pd.DataFrame, int]:
    rows = []
    n_read = len(cells) + len(listed)
    for row, line in _lines(cells):
        values: dict[str, object] = {}
        for name in CONTRAST_COLUMNS:
            column, kind = layout.columns.get(name, f"--set {name}"), COLUMN_KINDS[name]
            cell = options.constants[name] if name in options.constants else line[column]
            values[name] = (reader.label(row, column, cell, treatment=name != "study") if kind == "label"
                            else reader.number(row, column, cell, kind))
        if values["treat1"] == values["treat2"]:
            reader.fail(row, layout.columns.get("treat2", "treat2"), str(values["treat2"]), "another treatment than the first")
        lacking = [layout.columns[name] for name in ("te", "se") if math.isnan(values[name])]
        if lacking:
            listed.append((str(row), values["study"], f"no {' and no '.join(lacking)}"))
            continue
        rows.append({**values, "rows": str(row)})
    return pd.DataFrame(rows, columns=[*CONTRAST_COLUMNS, "rows"]).astype({"te": float, "se": float}), n_read
