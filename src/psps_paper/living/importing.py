"""From a file that somebody made to the review's trial-level data: read, converted, checked, and only then written."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from psps_paper.living.arms import _from_arms, _suspected_errors
from psps_paper.living.cells import _Cells
from psps_paper.living.contrasts import _from_contrasts
from psps_paper.living.decimals import Decimals
from psps_paper.living.formats import COLUMN_KINDS, REVMAN_WEB, Layout, plain, recognise
from psps_paper.living.model import ARM_COLUMNS, LOG_MEASURES, Import, Options, _one_analysis
from psps_paper.living.notes import _label_notes, _notes, _without_sd
from psps_paper.living.reading import CONTROL, RawTable, read_table
from psps_paper.tables.errors import TableError
from psps_paper.tables.limits import MAX_ESTIMATES, MAX_TREATMENTS
from psps_paper.tables.load import load_table

LARGEST_LOG = 30.0


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
        raise TableError(
            f"{raw.file}: --measure {options.measure}: outcome {outcome['outcome']} is measured as {outcome['measure']}"
            " in outcomes.csv; choose another with --outcome, or give it a row there"
        )
    if options.impute_sd and not options.impute:
        raise TableError(f"{raw.file}: --impute-sd and --no-imputation exclude each other")
    layout = recognise(raw.columns, options.kind, options.mapping, options.constants, raw.file)
    if options.reverse and options.kind == "arms":
        raise TableError(f"{raw.file}: --reverse is for contrasts; with arms outcomes.csv gives the direction")
    for name in options.constants:
        if name not in ("study", "treat1", "treat2", "treatment"):
            raise TableError(f"--set {name}: only study, treat1, treat2 and treatment can be set for all rows")
    for option, texts in (("--set", options.constants), ("--label", options.labels)):
        for name, text in texts.items():
            if CONTROL.search(text):
                raise TableError(f"{option} {name}={text!r}: holds a control character; expected text")
    cells = pd.DataFrame(
        raw.rows, columns=raw.columns, index=pd.RangeIndex(1, len(raw.rows) + 1, name="row"), dtype=object
    )
    listed: list[tuple[str, str, str]] = []
    cells = _selected(cells, raw.file, options.where, listed)
    cells = _one_outcome(
        cells,
        layout,
        raw.file,
        options.outcome,
        outcome["outcome"],
        set(load_table("outcomes", folder)["outcome"]),
        listed,
    )
    conversions: list[str] = [*raw.conversions, *_set_instead(options, layout)]
    reader = _Cells(raw.file, _decimals(raw, cells, layout, options, conversions), options.labels, conversions)
    if options.kind == "contrasts":
        contrasts, n_read = _from_contrasts(cells, layout, reader, options, outcome, listed, conversions)
        arms = pd.DataFrame(columns=ARM_COLUMNS)
        unit = "rows"
        if options.reverse:
            contrasts["te"] = -contrasts["te"]
            conversions.append("the sign of te was turned, as asked")
    else:
        contrasts, arms, n_read = _from_arms(cells, layout, reader, options, outcome, listed, conversions)
        unit = "rows" if layout.shape == "long" else "arms"
    conversions += reader.said()
    unknown = [label for label in options.labels if label not in reader.labels_seen]
    if unknown:
        raise TableError(
            f"{raw.file}: --label {unknown[0]}=...: no treatment {unknown[0]!r}; there are"
            f" {', '.join(sorted(reader.treatments_seen))}"
        )
    contrasts.insert(0, "outcome", outcome["outcome"])
    for table in (contrasts, arms):
        table["rows"] = table["rows"].astype(str)
    table = pd.DataFrame(listed, columns=["row", "study", "reason"])
    n_used = n_read - len(table)
    if contrasts.empty:
        reasons = "; ".join(f"{count} {reason}" for reason, count in table["reason"].value_counts().head(3).items())
        raise TableError(f"{raw.file}: nothing of {n_read} {unit} can be used ({reasons})")
    _check_limits(contrasts, raw.file, outcome["measure"])
    own = [
        *raw.notes,
        *_label_notes(contrasts, options, layout, raw.columns, outcome["measure"]),
        *_suspected_errors(arms),
    ]
    warnings = [*own, *_without_sd(table, options), *_notes(contrasts, raw.file, outcome["outcome"], folder)]
    source = {
        "outcome": outcome["outcome"],
        "file": raw.file,
        "sha256": raw.sha256,
        "kind": options.kind,
        "measure": outcome["measure"],
        "format": layout.format,
        "columns": {
            name: column
            for name, column in layout.named().items()
            if name.replace("treatment", "treat") not in _set(options)
        },
        "not read": [column for column in raw.columns if column not in layout.used() and column not in options.where],
        "options": {
            key: value
            for key, value in dataclasses.asdict(options).items()
            if value and key not in ("kind", "outcome", "mapping")
        },
        "unit": unit,
        "read": n_read,
        "used": n_used,
        "listed": [dict(zip(table.columns, entry, strict=True)) for entry in listed],
        "conversions": conversions,
        "notes": own,
        "contrasts": len(contrasts),
        "studies": int(contrasts["study"].nunique()),
    }
    return Import(contrasts, arms, table, conversions, source, warnings)


def _set(options: Options) -> set[str]:
    """Columns that an option gives one value."""
    return {name.replace("treatment", "treat") for name in options.constants}


def _set_instead(options: Options, layout: Layout) -> list[str]:
    """What options override."""
    named = {name.replace("treatment", "treat"): column for name, column in layout.named().items()}
    said = []
    for name, value in options.constants.items():
        short = name.replace("treatment", "treat")
        columns = [
            column for ours, column in named.items() if ours == short or (short == "treat" and ours.startswith("treat"))
        ]
        if columns:
            said.append(
                f"{name} is {value!r} in all rows, as --set says, instead of what column {', '.join(columns)} holds"
            )
    return said


def _decimals(raw: RawTable, cells: pd.DataFrame, layout: Layout, options: Options, conversions: list[str]) -> Decimals:
    numeric = [
        column
        for part in (layout.columns, *layout.arms.values())
        for name, column in part.items()
        if COLUMN_KINDS[name] != "label"
    ]
    columns = {
        column: [(row, cell) for row, cell in zip(cells.index, cells[column], strict=True) if cell]
        for column in dict.fromkeys(numeric)
    }
    return Decimals(raw.file, raw.separator, options.decimal, columns, conversions)


def _check_limits(contrasts: pd.DataFrame, file: str, measure: str) -> None:
    """Refuse networks whose tables of pairs, or studies whose covariances, would not fit into memory."""
    n_treatments = len(set(contrasts["treat1"]) | set(contrasts["treat2"]))
    if n_treatments > MAX_TREATMENTS:
        raise TableError(f"{file}: {n_treatments:,} treatments, the limit is {MAX_TREATMENTS}")
    sizes = contrasts["study"].value_counts()
    if sizes.iloc[0] > MAX_ESTIMATES:
        raise TableError(
            f"{file}: study {sizes.index[0]!r} has {sizes.iloc[0]:,} estimates, the limit is {MAX_ESTIMATES:,}"
        )
    if measure in LOG_MEASURES and contrasts["te"].abs().max() > LARGEST_LOG:
        row = contrasts.loc[contrasts["te"].abs().idxmax()]
        raise TableError(
            f"{file}, row {row['rows']}: te {row['te']:g} of {row['study']} is not the logarithm of a ratio of a"
            f" believable size (at most {LARGEST_LOG:g})"
        )


def report(result: Import) -> str:
    """What was read, converted, left out and why, as text."""
    source = result.source
    lines = [
        f"{source['file']}: {source['kind']} in the convention {source['format']}",
        f"  outcome {source['outcome']}; columns "
        + ", ".join(f"{ours} from {theirs}" for ours, theirs in source["columns"].items()),
        *([f"  columns not read: {', '.join(source['not read'])}"] if source["not read"] else []),
        f"  read {source['read']} {source['unit']}, used {source['used']}, listed below {len(result.listed)}",
        f"  gives {source['contrasts']} contrasts of {source['studies']} studies and "
        f"{len(set(result.contrasts['treat1']) | set(result.contrasts['treat2']))} treatments: "
        + ", ".join(sorted(set(result.contrasts["treat1"]) | set(result.contrasts["treat2"]))),
    ]
    lines += [f"  converted: {sentence}" for sentence in result.conversions]
    lines += [
        f"  not used: row {row.row}" + (f" ({row.study})" if row.study else "") + f": {row.reason}"
        for row in result.listed.itertuples()
    ]
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
            raise TableError(
                f"{file}: --where {column}={where[column]}: no column {column!r}; there are {', '.join(cells.columns)}"
            )
    blank = (cells.to_numpy() == "").all(axis=1)
    chosen = ~blank
    for column, value in where.items():
        chosen &= cells[column].to_numpy() == value
    listed += [(str(cells.index[k]), "", "blank" if blank[k] else "not selected") for k in np.flatnonzero(~chosen)]
    return cells[chosen]


def _one_outcome(
    cells: pd.DataFrame, layout: Layout, file: str, asked: str | None, outcome: str, known: set[str], listed: list
) -> pd.DataFrame:
    """The rows of one outcome and one analysis; a file that holds several is refused unless one was chosen."""
    by_name = {plain(column): column for column in cells.columns if column not in layout.used()}
    if layout.format == REVMAN_WEB:
        _one_analysis(
            cells,
            [by_name[name] for name in ("analysisgroup", "analysisnumber", "analysis", "outcome") if name in by_name],
            file,
        )
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
        raise TableError(
            f"{file}: column {column!r} says {values[0]!r}, and {outcome!r} is to be read; choose it with --outcome"
            f" {values[0]}"
        )
    return cells
