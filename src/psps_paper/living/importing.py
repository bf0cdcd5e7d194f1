"""Import other people's files as trial-level data: read, convert, check, and only then write."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pandas as pd

from psps_paper.article.outcomes import load_outcome
from psps_paper.living.arms import _suspected_errors, from_arms
from psps_paper.living.bugs import from_bugs
from psps_paper.living.cells import MISSING, NO_NUMBER, Reading, _Cells, _some_rows, without_marks
from psps_paper.living.contrasts import from_contrasts
from psps_paper.living.decimals import Decimals
from psps_paper.living.formats import (
    COLUMN_KINDS,
    REVMAN_5,
    REVMAN_5_EFFECTS,
    REVMAN_WEB,
    REVMAN_WEB_EFFECTS,
    Layout,
    plain,
    recognise,
)
from psps_paper.living.model import LOG_MEASURES, Estimates, Import, ImportLog, Options, _one_analysis
from psps_paper.living.notes import _label_notes, _look_alikes, _notes, _several_notes, _without_sd
from psps_paper.living.printed import (
    with_limits_apart,
    with_parts_apart,
    with_sizes,
    with_treatments_apart,
    without_twins,
)
from psps_paper.living.reading import CONTROL, RawTable, read_table
from psps_paper.tables.csv_text import runs_as_formula
from psps_paper.tables.dataset import Dataset, dataset
from psps_paper.tables.errors import TableError
from psps_paper.tables.limits import MAX_CELL, MAX_ESTIMATES, MAX_TREATMENTS
from psps_paper.tables.workbook import NotText

LARGEST_LOG = 30.0
# Lines below or between studies that programs write for all of them together
_TOTAL = re.compile(
    r"((grand[ -]|sub-?)?totals?|overall|pooled|summary|all studies|(random|fixed|common)[ -]effects?)"
    r"( (effect|estimate|result|model)s?)*( ?[(\[][^()\[\]]*[)\]])?:?|(heterogeneity|test (for|of))\b.*",
    re.IGNORECASE,
)
_YEARS = ("year", "studyyear", "publicationyear", "yearofpublication", "pubyear")


def read_trials(path: Path, options: Options, data: Dataset | Path | str) -> Import:
    """Read a file of contrasts or arms, without writing anything.

    Parameters
    ----------
    path : Path
    options : Options
    data : Dataset, Path or str
        The data folder; its ``outcomes.csv`` gives measure and direction.

    Raises
    ------
    TableError
        The message names file, row, column, value and what was expected.
    """
    return convert(read_table(path, sheet=options.sheet, skip=options.skip), options, data)


def convert(raw: RawTable, options: Options, data: Dataset | Path | str) -> Import:
    """Convert a table already read, as :func:`read_trials` does a file."""
    data = dataset(data)
    outcome = _outcome(data, options.outcome)
    _check_choices(options, outcome, raw.file)
    kept = {*options.mapping.values(), *options.where}
    raw = without_twins(from_bugs(raw), kept)
    raw = with_treatments_apart(with_limits_apart(raw, kept), kept) if options.kind == "contrasts" else raw
    raw = with_sizes(with_parts_apart(raw, kept), kept) if options.kind == "arms" else raw
    layout = recognise(raw.columns, options.kind, options.mapping, options.constants, raw.file)
    _check_texts(options, raw.file)
    log = ImportLog()
    rows = pd.RangeIndex(1, len(raw.rows) + 1, name="row")
    cells = _selected(pd.DataFrame(raw.rows, columns=raw.columns, index=rows, dtype=object), raw.file, options, log)
    known = set(data.table("outcomes")["outcome"])
    cells = _one_outcome(cells, layout, raw.file, options.outcome, outcome["outcome"], known, log)
    cells = _with_studies(cells, layout, log)
    layout = _with_year(cells, layout, log)
    cells = _without_totals(cells, layout, log)
    decimals = _decimals(raw, cells, layout, options)
    if layout.names:
        _check_treatments(layout, options, data, outcome["outcome"], raw.file)
        log.record(f"the names of treatments were taken from those of columns: {', '.join(layout.names.values())}")
    log.record(*raw.conversions, *_set_instead(options, layout), *decimals.conversions)
    reading = Reading(layout, _Cells(raw.file, decimals, options.labels, log), options, outcome, log)
    read = from_contrasts(cells, reading) if options.kind == "contrasts" else from_arms(cells, reading)
    log.record(*reading.cells.conversions())
    _check_labels(reading)
    contrasts, arms = (table.astype({"rows": str}) for table in (read.contrasts, read.arms))
    contrasts.insert(0, "outcome", outcome["outcome"])
    listed = log.table()
    if contrasts.empty:
        raise TableError(f"{raw.file}: nothing of {read.n_read} {read.unit} can be used {_why_nothing(raw, reading)}")
    _check_limits(contrasts, raw.file, outcome["measure"])
    own = [
        *raw.notes,
        *reading.cells.notes(),
        *_several_notes(contrasts, cells, layout),
        *_label_notes(contrasts, options, layout, raw.columns, outcome["measure"]),
        *_suspected_errors(arms),
    ]
    source = _source(raw, reading, read) | {"conversions": log.conversions, "notes": own}
    source |= {"contrasts": len(contrasts), "studies": int(contrasts["study"].nunique())}
    warnings = [
        *own,
        *_without_sd(listed, options),
        *_notes(contrasts, set(listed["study"]), raw.file, outcome["outcome"], data),
    ]
    return Import(contrasts, arms, listed, log.conversions, source, warnings)


def _check_choices(options: Options, outcome: pd.Series, file: str) -> None:
    """Refuse options that contradict the outcome or another option."""
    if options.measure not in (None, outcome["measure"]):
        raise TableError(
            f"{file}: --measure {options.measure}: outcome {outcome['outcome']} is measured as {outcome['measure']}"
            " in outcomes.csv; choose another with --outcome, or add a row there"
        )
    if options.impute_sd and not options.impute:
        raise TableError(f"{file}: --impute-sd and --no-imputation exclude each other")


def _check_texts(options: Options, file: str) -> None:
    """Refuse options that do not suit the columns of the file, and values that are not valid text."""
    if options.reverse and options.kind == "arms":
        raise TableError(f"{file}: --reverse is for contrasts; for arms, outcomes.csv gives the direction")
    for name in options.constants:
        if name not in ("study", "treat1", "treat2", "treatment"):
            raise TableError(f"--set {name}: only study, treat1, treat2 and treatment can be set for all rows")
    for option, texts in (("--set", options.constants), ("--label", options.labels)):
        for name, text in texts.items():
            if CONTROL.search(text):
                raise TableError(f"{option} {name}={text!r}: holds a control character; expected text")
            if len(text) > MAX_CELL:
                raise TableError(f"{option} {name}=...: {len(text):,} characters, the limit is {MAX_CELL:,}")
            if text.strip().lower() in MISSING or runs_as_formula(text):
                raise TableError(
                    f"{option} {name}={text}: expected a name, not a missing value or a spreadsheet formula"
                )
    for name in options.constants.keys() & options.mapping.keys():
        raise TableError(
            f"--set {name}={options.constants[name]}: --map also names a column for it,"
            f" {options.mapping[name]!r}; expected one of the two"
        )


def _check_labels(reading: Reading) -> None:
    """Refuse a --label of a treatment that the file does not name."""
    unknown = [label for label in reading.options.labels if label not in reading.cells.labels_seen]
    if unknown:
        raise TableError(
            f"{reading.file}: --label {unknown[0]}=...: no treatment {unknown[0]!r}; there are"
            f" {', '.join(sorted(reading.cells.treatments_seen))}"
        )


def _why_nothing(raw: RawTable, reading: Reading) -> str:
    """List the commonest reasons why no row was used, the columns not read, and studies spelt in two ways."""
    listed = reading.log.table()
    reasons = "; ".join(f"{count} {reason}" for reason, count in listed["reason"].value_counts().head(3).items())
    left = [name for name in raw.columns if name not in reading.layout.used() and name not in reading.options.where]
    hints = [f"columns not read, unless --map names them: {', '.join(left[:10])}"] if left else []
    return "; ".join([f"({reasons})", *hints, *_look_alikes(set(listed["study"]), "studies")[:1]])


def _source(raw: RawTable, reading: Reading, read: Estimates) -> dict:
    """Describe the file and how it was read, for ``source.json``."""
    options, layout, listed = reading.options, reading.layout, reading.log.listed
    asked = {key: value for key, value in dataclasses.asdict(options).items() if value}
    return {
        "outcome": reading.outcome["outcome"],
        "file": raw.file,
        "sha256": raw.sha256,
        "kind": options.kind,
        "measure": reading.outcome["measure"],
        "format": layout.format,
        "columns": {
            name: column
            for name, column in layout.named().items()
            if name.replace("treatment", "treat") not in _set(options)
        },
        "not read": [column for column in raw.columns if column not in layout.used() and column not in options.where],
        "options": {key: value for key, value in asked.items() if key not in ("kind", "outcome", "mapping")},
        "unit": read.unit,
        "read": read.n_read,
        "used": read.n_read - len(listed),
        "listed": [dict(zip(("row", "study", "reason"), entry, strict=True)) for entry in listed],
    }


def _set(options: Options) -> set[str]:
    """List the columns to which an option gives one value."""
    return {name.replace("treatment", "treat") for name in options.constants}


def _set_instead(options: Options, layout: Layout) -> list[str]:
    """List the values of the file that options override."""
    named = {name.replace("treatment", "treat"): column for name, column in layout.named().items()}
    said = []
    for name, value in options.constants.items():
        short = name.replace("treatment", "treat")
        columns = [
            column for ours, column in named.items() if ours == short or (short == "treat" and ours.startswith("treat"))
        ]
        if columns:
            said.append(
                f"{name} is {value!r} in all rows, by --set, instead of the values in column {', '.join(columns)}"
            )
    return said


def _decimals(raw: RawTable, cells: pd.DataFrame, layout: Layout, options: Options) -> Decimals:
    numeric = [
        column
        for part in (layout.columns, *layout.arms.values())
        for name, column in part.items()
        if COLUMN_KINDS[name] != "label"
    ]
    columns = {
        column: [
            (row, cell if isinstance(cell, NotText) else without_marks(cell))
            for row, cell in zip(cells.index, cells[column], strict=True)
            if cell.lower() not in NO_NUMBER
        ]
        for column in dict.fromkeys(numeric)
    }
    return Decimals(raw.file, raw.separator, options.decimal, columns)


def _check_limits(contrasts: pd.DataFrame, file: str, measure: str) -> None:
    """Refuse networks whose tables of pairs, or studies whose covariances, would not fit in memory."""
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
            f" plausible size (at most {LARGEST_LOG:g})"
        )


def report(result: Import) -> str:
    """Report as text what was read, converted and left out, with reasons."""
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


def _outcome(data: Dataset, name: str | None) -> pd.Series:
    outcomes = data.table("outcomes")
    if name is None:
        return outcomes.iloc[0]
    rows = outcomes[outcomes["outcome"] == name]
    if rows.empty:
        raise TableError(f"--outcome {name}: not one of {', '.join(outcomes['outcome'])} (outcomes.csv)")
    return rows.iloc[0]


def _selected(cells: pd.DataFrame, file: str, options: Options, log: ImportLog) -> pd.DataFrame:
    """Select the rows that are not blank and match --where."""
    where = options.where
    for column in where:
        if column not in cells.columns:
            raise TableError(
                f"{file}: --where {column}={where[column]}: no column {column!r}; there are {', '.join(cells.columns)}"
            )
    filled = cells.to_numpy() != ""
    blank = ~filled.any(axis=1)
    # A lone cell is a heading between rows or a note below them
    words = (filled.sum(axis=1) == 1) & [any(c.isalpha() for c in first) for first in cells.iloc[:, 0]]
    text = words & (cells.shape[1] > 2)
    chosen = ~blank & ~text
    for column, value in where.items():
        chosen &= cells[column].to_numpy() == value
    for k in np.flatnonzero(~chosen):
        alone = f"nothing but {cells.iat[k, 0][:80]!r} in the row" if text[k] else "not selected"
        log.set_aside(cells.index[k], "", "blank" if blank[k] else alone)
    return cells[chosen]


def _check_treatments(layout: Layout, options: Options, data: Dataset, outcome: str, file: str) -> None:
    """Refuse names in columns that may be those of outcomes or times: neither in the review nor given as a label."""
    names = list(layout.names.values())
    settings = load_outcome(data, outcome)
    known = {settings.reference, *settings.order, *options.labels}
    if not known & set(names):
        raise TableError(
            f"{file}: the columns are named by {', '.join(names)}, which may be treatments, outcomes or times; if they"
            f" are treatments, use --label '{names[0]}=NAME' with the name in the review"
        )


def _with_studies(cells: pd.DataFrame, layout: Layout, log: ImportLog) -> pd.DataFrame:
    """Set aside rows without labels and numbers, and fill in studies that only their first row names."""
    study = layout.columns.get("study")
    if study is None or (cells[study] != "").all():
        return cells
    labels = [column for name, column in layout.named().items() if name.rstrip("0123456789") in ("treatment", "treat")]
    empty = (cells[[study, *labels]] == "").all(axis=1).to_numpy()
    words = [not any(c.isdigit() for cell in line for c in cell) for line in cells.to_numpy()]
    for row in cells.index[empty & words]:
        log.set_aside(row, "", "no study, no treatment and no number, such as a line of units")
    cells = cells[~(empty & words)].copy()
    # A study that other rows name again shows that a blank cell is a gap, not a name written once.
    if layout.shape != "long" or not labels or cells.loc[cells[study].ne(""), study].duplicated().any():
        return cells
    filled = []
    columns = [layout.columns[name] for name in ("study", "year") if name in layout.columns]
    for row in cells.index[cells[study].eq("") & cells[labels[0]].ne("")]:
        if row - 1 in cells.index and cells.at[row - 1, study]:
            cells.loc[row, columns] = cells.loc[row - 1, columns]
            filled.append(row)
    if filled:
        log.record(f"the study was taken from the row above: row {_some_rows(filled)}")
    return cells


def _with_year(cells: pd.DataFrame, layout: Layout, log: ImportLog) -> Layout:
    """Add the column of years to the layout if a study name occurs with several years."""
    study = layout.columns.get("study")
    year = next((column for column in cells.columns if plain(column) in _YEARS and column not in layout.used()), None)
    if study is None or year is None or "year" in layout.columns:
        return layout
    years = cells[cells[year] != ""].groupby(study, sort=False)[year].nunique()
    several = list(years.index[years > 1])
    if not several:
        return layout
    log.record(f"the year was joined to the names of studies, since one name has several years: {_some_rows(several)}")
    return dataclasses.replace(layout, columns=layout.columns | {"year": year})


def _without_totals(cells: pd.DataFrame, layout: Layout, log: ImportLog) -> pd.DataFrame:
    """Drop rows that are totals or pooled results, by the name of their study."""
    study = layout.columns.get("study")
    if study is None or layout.format in (REVMAN_5, REVMAN_5_EFFECTS):  # whose headings are known by other columns
        return cells
    labels = cells[[study, *([layout.columns["treatment"]] if layout.shape == "long" else [])]]
    found = [
        next((name for name in line if _TOTAL.fullmatch(" ".join(name.split()))), "") for line in labels.to_numpy()
    ]
    total = np.array([bool(name) for name in found], bool)
    for row, name in zip(cells.index[total], filter(None, found), strict=True):
        log.set_aside(row, "", f"{name!r} is a total or pooled result by its name, not a study")
    return cells[~total]


def _one_outcome(
    cells: pd.DataFrame, layout: Layout, file: str, asked: str | None, outcome: str, known: set[str], log: ImportLog
) -> pd.DataFrame:
    """Select the rows of one outcome and one analysis; refuse a file that holds several unless one was chosen."""
    by_name = {plain(column): column for column in cells.columns if column not in layout.used()}
    if layout.format in (REVMAN_WEB, REVMAN_WEB_EFFECTS):
        _one_analysis(
            cells,
            [by_name[name] for name in ("analysisgroup", "analysisnumber", "analysis", "outcome") if name in by_name],
            file,
        )
    column = next((by_name[name] for name in ("outcome", "outcomename", "endpoint") if name in by_name), None)
    if column is None:
        return cells
    values = sorted(set(cells[column]))
    if asked in values:
        for row in cells.index[cells[column] != asked]:
            log.set_aside(row, "", "not selected")
        return cells[cells[column] == asked]
    if len(values) > 1:
        ways = [f"--outcome {value}" if value in known else f"--where {f'{column}={value}'!r}" for value in values[:10]]
        raise TableError(f"{file}: column {column!r} holds {len(values)} outcomes; choose one: {'; '.join(ways)}")
    if known & set(values) - {outcome}:
        raise TableError(
            f"{file}: column {column!r} is {values[0]!r}, but {outcome!r} was to be read; choose it with --outcome"
            f" {values[0]}"
        )
    return cells
