"""From a file that somebody made to the review's trial-level data: read, converted, checked, and only then written."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from psps_paper.effects import contrasts_from_arms, impute_sd, mean_sd_from_quantiles
from psps_paper.living.formats import ARM_NUMBERS, COLUMN_KINDS, CONTRAST_COLUMNS, REVMAN_5, REVMAN_WEB, Kind, Layout, plain, recognise
from psps_paper.living.reading import NotText, RawTable, read_table
from psps_paper.living.writing import csv_bytes, only_writer, replace_folder, runs_as_formula, unprotected
from psps_paper.tables import TableError, load_table
from psps_paper.trials import CONTRASTS, SOURCE, TRIALS, check_network, lacking_print, load_source, load_trials, main_part, trials_folder

MISSING = frozenset({"", "na", "n/a", "nan", "null", "."})
MEASURES = ("SMD", "MD", "OR", "RD")
EXPECTED = {
    "number": (lambda x: True, "a number"),
    "positive": (lambda x: x > 0, "a number greater than 0"),
    "sample size": (lambda x: x >= 2 and x % 1 == 0, "a sample size, a whole number of at least 2"),
    "count": (lambda x: x >= 0 and x % 1 == 0, "a count, a whole number of at least 0"),
}
LARGEST = 1e9  # beyond it a number is a slip, and its square would leave the range of a float
QUANTILES = ("median", "q1", "q3", "minimum", "maximum")
CONTRASTS_DICTIONARY = [
    ("outcome", "text", "none", "no", "Outcome, a row of outcomes.csv"),
    ("study", "text", "none", "no", "Study; several estimates of a study share its label"),
    ("treat1", "text", "none", "no", "First-named treatment"),
    ("treat2", "text", "none", "no", "Second-named treatment"),
    ("te", "number", "see outcomes.csv", "no", "Effect, treat1 minus treat2, in the direction that outcomes.csv states"),
    ("se", "number", "see outcomes.csv", "no", "Its standard error"),
    ("rows", "text", "none", "no", "Rows of the imported file behind it, counted from 1 below the header"),
]
ARMS_DICTIONARY = [
    ("outcome", "text", "none", "no", "Outcome, a row of outcomes.csv"),
    ("study", "text", "none", "no", "Study"),
    ("treatment", "text", "none", "no", "Treatment of the arm"),
    ("n", "number", "people", "no", "People analysed"),
    ("mean", "number", "the scale of the study", "yes", "Mean, converted where source.json says so"),
    ("sd", "number", "the scale of the study", "yes", "Standard deviation, converted or imputed where source.json says so"),
    ("events", "number", "people", "yes", "People with the event"),
    ("rows", "text", "none", "no", "Row of the imported file, counted from 1 below the header"),
]
ARM_COLUMNS = [row[0] for row in ARMS_DICTIONARY]


@dataclass(frozen=True)
class Options:
    """How a file is to be read.

    Attributes
    ----------
    kind : {"contrasts", "arms"}
    outcome : str, optional
        Row of ``outcomes.csv``; by default the first.
    mapping, constants : mapping of str to str
        Column of this package to column of the file; to one value for all rows.
    labels : mapping of str to str
        Treatment in the file to treatment of the review.
    where : mapping of str to str
        Column of the file to the value that selects a row; other rows are listed as not selected.
    measure : {"SMD", "MD", "OR", "RD"}, optional
        What te measures; refused where it is not that of the outcome.
    reverse : bool
        For contrasts: turn the sign of te.
    impute : bool
        Where an arm has no SD, take its baseline SD.
    impute_sd : bool
        Where it has no baseline SD either, take the mean SD of the other studies of the file. They should have measured on one scale.
    sheet, skip
        As in :func:`psps_paper.living.reading.read_table`.
    """

    kind: Kind
    outcome: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    measure: str | None = None
    reverse: bool = False
    impute: bool = True
    impute_sd: bool = False
    sheet: str | None = None
    skip: int = 0


@dataclass(frozen=True)
class Import:
    """What a file gives, before anything is written.

    Attributes
    ----------
    contrasts : DataFrame [outcome, study, treat1, treat2, te, se, rows]
    arms : DataFrame [outcome, study, treatment, n, mean, sd, events, rows]
        As used, conversions included; empty for contrasts.
    listed : DataFrame [row, study, reason]
        Everything that was read and not used; read = used + listed, in the unit ``unit``.
    conversions : list of str
        What was changed on the way, one sentence each.
    source : dict
        File, checksum, layout and counts, as it goes into ``source.json``.
    warnings : list of str
    """

    contrasts: pd.DataFrame
    arms: pd.DataFrame
    listed: pd.DataFrame
    conversions: list[str]
    source: dict
    warnings: list[str]


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


def write_trials(result: Import, folder: Path, *, add: bool = False) -> Path:
    """Write an import into ``data/trials``, in one step.

    Parameters
    ----------
    result : Import
    folder : Path
        The data folder.
    add : bool
        Add to the trials of the same outcome; otherwise they are replaced. Other outcomes stay.

    Returns
    -------
    Path
        The folder written.

    Raises
    ------
    TableError
        Another process writes there; ``add`` without trials to add to, or with a study that is there.
    """
    outcome = result.source["outcome"]
    with only_writer(folder):
        if add:
            beside_present(result, folder)
        contrasts, arms, sources = result.contrasts, result.arms, []
        if trials_folder(folder):
            present, source = load_trials(folder), load_source(folder)
            kept = present if add else present[present["outcome"] != outcome]
            contrasts = pd.concat([kept, contrasts], ignore_index=True)
            sources = [entry for entry in source["sources"] if add or entry["outcome"] != outcome]
            old_arms = load_arms(folder)
            arms = pd.concat([table for table in (old_arms if add else old_arms[old_arms["outcome"] != outcome], arms) if len(table)]
                             or [old_arms], ignore_index=True)
        files = {CONTRASTS: csv_bytes(contrasts), "dictionaries/contrasts.csv": csv_bytes(_dictionary(CONTRASTS_DICTIONARY))}
        if len(arms):
            files |= {"arms.csv": csv_bytes(arms), "dictionaries/arms.csv": csv_bytes(_dictionary(ARMS_DICTIONARY))}
        record = {
            "schema": 1,
            "versions": versions(),
            "sources": [*sources, result.source],
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        }
        files[SOURCE] = (json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")
        replace_folder(folder / TRIALS, files)
    return folder / TRIALS


def beside_present(result: Import, folder: Path) -> Import:
    """An addition as it stands beside the trials that are there; nothing is written.

    Parameters
    ----------
    result : Import
    folder : Path
        The data folder.

    Returns
    -------
    Import
        The same, with the notes on all trials of the outcome together.

    Raises
    ------
    TableError
        There are no trials of the outcome, they hold one of the studies, they have another measure, or both together cannot be fitted.
    """
    source = result.source
    file, outcome = source["file"], source["outcome"]
    present = load_trials(folder) if trials_folder(folder) else pd.DataFrame({"outcome": []})
    present = present[present["outcome"] == outcome]
    if present.empty:
        raise TableError(f"{file}: --add needs trials of outcome {outcome} to add to; import the review's own first")
    for entry in load_source(folder)["sources"]:
        if entry["outcome"] == outcome and entry.get("measure", source["measure"]) != source["measure"]:
            raise TableError(f"{file}: gives {source['measure']}, and {entry['file']}, which is there, gave {entry['measure']}; one network has one measure")
    shared = sorted(set(result.contrasts["study"]) & set(present["study"]))
    if shared:
        raise TableError(f"{file}: study {shared[0]!r} is in contrasts.csv already; import the whole table again, or rename the study")
    together = pd.concat([present, result.contrasts], ignore_index=True)
    own = _notes(result.contrasts, file, outcome, folder)
    notes = [note for note in result.warnings if note not in own] + _notes(together, "contrasts.csv with the addition", outcome, folder)
    arms = pd.concat([table for table in (load_arms(folder), result.arms) if len(table)] or [result.arms])
    unarmed = sorted(set(together["study"]) - set(arms.loc[arms["outcome"] == outcome, "study"]))
    if len(arms) and unarmed:
        rest = f" and {len(unarmed) - 5} more" if len(unarmed) > 5 else ""
        notes.append(f"arms are known of some studies only; exports of arms will lack {', '.join(unarmed[:5])}{rest}")
    return dataclasses.replace(result, warnings=notes)


def load_arms(folder: Path) -> pd.DataFrame:
    """Arms behind the contrasts, where arms were imported: DataFrame [outcome, study, treatment, n, mean, sd, events, rows]."""
    place = trials_folder(folder)
    if place is None or not (place / "arms.csv").is_file():
        return pd.DataFrame(columns=ARM_COLUMNS)
    arms = load_table("arms", place)
    for name in ("outcome", "study", "treatment", "rows"):
        arms[name] = arms[name].map(unprotected)
    return arms


def versions() -> dict[str, str]:
    """Versions of what computed a result."""
    return {name: version(name) for name in ("psps-paper", "numpy", "pandas", "scipy")}


def _dictionary(columns: list[tuple]) -> pd.DataFrame:
    rows = [(*row[:4], "no", "", "", "", row[4], "the imported file" if row[0] != "outcome" else "outcomes.csv") for row in columns]
    return pd.DataFrame(rows, columns=["name", "type", "unit", "nullable", "unique", "minimum", "maximum", "allowed", "meaning", "provenance"])


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
    for position in np.flatnonzero(~chosen):
        listed.append((str(cells.index[position]), "", "blank" if blank[position] else "not selected"))
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
        for row in cells.index[cells[column] != asked]:
            listed.append((str(row), "", "not selected"))
        return cells[cells[column] == asked]
    if len(values) > 1:
        ways = [f"--outcome {value}" if value in known else f"--where {f'{column}={value}'!r}" for value in values[:10]]
        raise TableError(f"{file}: column {column!r} holds {len(values)} outcomes; choose one: {'; '.join(ways)}")
    if known & set(values) - {outcome}:
        raise TableError(f"{file}: column {column!r} says {values[0]!r}, and {outcome!r} is to be read; choose it with --outcome {values[0]}")
    return cells


def _one_analysis(cells: pd.DataFrame, keys: list[str], file: str) -> list[tuple]:
    analyses = sorted(set(cells[keys].itertuples(index=False, name=None)))
    if len(analyses) > 1:
        ways = "; ".join(" ".join(f"--where {f'{key}={value}'!r}" for key, value in zip(keys, analysis, strict=True)) for analysis in analyses[:10])
        raise TableError(f"{file}: holds {len(analyses)} analyses; choose one: {ways}")
    return analyses


class _Cells:
    """Reads cells as labels or numbers; an error names file, row, column, value and what was expected."""

    def __init__(self, file: str, decimal_comma: bool, labels: Mapping[str, str], conversions: list[str]):
        self.file, self.decimal_comma, self.labels, self.conversions = file, decimal_comma, labels, conversions
        self.marks: dict[str, tuple[str, object, str]] = {}
        self.labels_seen: set[str] = set()
        self.treatments_seen: set[str] = set()

    def fail(self, row: object, column: str, cell: str, expected: str):
        shown = repr(cell if len(cell) <= 80 else cell[:79] + "\N{HORIZONTAL ELLIPSIS}")
        raise TableError(f"{self.file}, row {row}, column {column}: {shown} is not {expected}")

    def label(self, row: object, column: str, cell: str, *, treatment: bool) -> str:
        if isinstance(cell, NotText):
            self.fail(row, column, cell, "text: the workbook holds a date or a truth value there; write it as text")
        text = unprotected(" ".join(cell.split()))
        if text.lower() in MISSING:
            self.fail(row, column, cell, "a label")
        if runs_as_formula(cell):
            self.fail(row, column, cell, f"text that is safe in a spreadsheet: it begins with {cell[0]!r}, like a formula")
        if not treatment:
            return text
        self.treatments_seen.add(text)
        if text in self.labels:
            self.labels_seen.add(text)
            return self.labels[text]
        return text

    def number(self, row: object, column: str, cell: str, kind: str) -> float:
        """A number, or NaN for a missing one."""
        if cell.lower() in MISSING:
            return math.nan
        text = cell
        if "\N{MINUS SIGN}" in text:
            text = text.replace("\N{MINUS SIGN}", "-")
            self._note("typographic minus signs were read as minus")
        if self.decimal_comma and ("," in text or "." in text):
            mark = "," if "," in text else "."
            other, other_row, other_cell = self.marks.setdefault(column, (mark, row, cell))
            if other != mark:
                self.fail(row, column, cell, f"written like {other_cell!r} in row {other_row}: one column has one decimal sign")
            text = text.replace(",", ".", 1)
        accepted, expected = EXPECTED[kind]
        try:
            value = float(text) if "_" not in text else math.nan
        except ValueError:
            value = math.nan
        if math.isnan(value) or not accepted(value):
            hint = "; write it with a decimal point" if "," in cell and not self.decimal_comma else ""
            self.fail(row, column, cell, expected + hint)
        if abs(value) > LARGEST or (kind == "positive" and value < 1 / LARGEST):
            self.fail(row, column, cell, f"a number of a believable size (at most {LARGEST:,.0f}, at least its inverse)")
        return value

    def _note(self, sentence: str) -> None:
        if sentence not in self.conversions:
            self.conversions.append(sentence)


def _lines(cells: pd.DataFrame) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows as (number, column to cell)."""
    columns = list(cells.columns)
    return ((row, dict(zip(columns, line, strict=True))) for row, line in zip(cells.index, cells.to_numpy().tolist(), strict=True))


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


def _from_arms(cells, layout, reader, options, outcome, listed, conversions):
    measure = outcome["measure"]
    if measure not in MEASURES:
        raise TableError(f"{reader.file}: outcome {outcome['outcome']} is measured as {measure}, and arms give {', '.join(MEASURES)}; import contrasts")
    continuous = measure in ("SMD", "MD")
    wanted = ["n", *(["mean", "sd", "sd_baseline", *QUANTILES] if continuous else ["events"])]
    if layout.format == REVMAN_5:
        cells = _revman_5_studies(cells, layout, reader, options, listed)
    long = _long(cells, layout, reader, options, wanted, listed)
    # Whole rows that were set aside count once; in a wide file all else counts by arms
    n_read = len(long) + len(listed)
    long = _without_repeats(long, reader, listed)
    if continuous:
        long = _convert_quantiles(long, reader, conversions)
        long = _impute(long, options, conversions)
    arms_of = Counter(long["study"])
    alone = np.array([arms_of[study] < 2 for study in long["study"]], bool)
    for rows, study, treatment in long.loc[alone, ["rows", "study", "treatment"]].to_numpy(object):
        listed.append((rows, study, f"{treatment}: the study has no other arm in the file"))
    long = long[~alone]
    if long.empty:
        empty = pd.DataFrame(columns=[*CONTRAST_COLUMNS, "rows"])
        return empty, pd.DataFrame(columns=ARM_COLUMNS), n_read
    try:
        result = contrasts_from_arms(long, measure=measure, source=reader.file)
    except TableError:
        raise
    except ValueError as error:
        raise TableError(str(error)) from None
    by_label = long["rows"]
    for row, study, treatment, reason in result.excluded.to_numpy(object):
        listed.append((by_label[row], study, f"{treatment}: {reason}"))
    used = long[~long.index.isin(result.excluded["row"])]
    contrasts = result.table.copy()
    rows_of = {(study, treatment): rows for study, treatment, rows in zip(used["study"], used["treatment"], used["rows"], strict=True)}
    contrasts["rows"] = [
        ", ".join(dict.fromkeys([rows_of[study, treat1], rows_of[study, treat2]]))
        for study, treat1, treat2 in zip(contrasts["study"], contrasts["treat1"], contrasts["treat2"], strict=True)
    ]
    conversions.append(f"{measure} of each pair of arms of a study, treat1 minus treat2" + (
        ", SD pooled over its arms, Hedges' correction" if measure == "SMD" else ", on the log scale" if measure == "OR" else ""))
    if outcome["scale_desirable"] != outcome["te_desirable"]:
        contrasts["te"] = -contrasts["te"]
        conversions.append(f"the sign of te was turned, because {outcome['scale_desirable']} values of the scale are desirable "
                           f"and outcomes.csv wants {outcome['te_desirable']} te to favour the first-named treatment")
    given = {name: used[name].array for name in ARM_COLUMNS if name in used.columns}
    arms = pd.DataFrame({"mean": np.nan, "sd": np.nan, "events": np.nan, "outcome": outcome["outcome"]} | given)
    return contrasts, arms[ARM_COLUMNS], n_read


def _long(cells, layout, reader, options, wanted, listed) -> pd.DataFrame:
    rows, index = [], []
    for row, line in _lines(cells):
        column = layout.columns.get("study", "--set study")
        study = reader.label(row, column, options.constants.get("study") or line[column], treatment=False)
        arms = layout.arms.items() if layout.shape == "wide" else [("", layout.columns)]
        for number, columns in arms:
            constant = options.constants.get(f"treat{number}") or options.constants.get("treatment")
            treatment = "" if constant or "treatment" not in columns else line[columns["treatment"]]
            given = [name for name in wanted if name in columns and line[columns[name]].lower() not in MISSING]
            if layout.shape == "wide" and number > 2 and treatment.lower() in MISSING and not given:
                continue
            if not constant and "treatment" not in columns:
                raise TableError(f"{reader.file}: no column names the treatment of arm {number}; give it with --set treat{number}=NAME")
            label = reader.label(row, columns.get("treatment", f"--set treat{number}"), constant or treatment, treatment=True)
            values = {name: reader.number(row, columns[name], line[columns[name]], COLUMN_KINDS[name]) for name in wanted if name in columns}
            if values.get("events", 0) > values.get("n", math.inf):
                reader.fail(row, columns["events"], line[columns["events"]], f"at most the number of people, {line[columns['n']]}")
            rows.append({"study": study, "treatment": label, **values, "rows": str(row)})
            index.append(f"{row}" if layout.shape == "long" else f"{row} (arm {number})")
    names = ["study", "treatment", *[name for name in ARM_NUMBERS if name in wanted], "rows"]
    table = pd.DataFrame(rows, index=index, columns=names)
    return table.astype({name: float for name in names if name in ARM_NUMBERS})


def _without_repeats(long: pd.DataFrame, reader: _Cells, listed: list) -> pd.DataFrame:
    """One row an arm: pairs of arms repeat the arms of a multi-arm study."""
    if not long.duplicated(["study", "treatment"]).any():
        return long
    keep = []
    first: dict[tuple[str, str], str] = {}
    for label, arm in long.iterrows():
        key = (arm["study"], arm["treatment"])
        if key not in first:
            first[key] = label
            keep.append(label)
            continue
        numbers = [name for name in long.columns if name in ARM_NUMBERS]
        before = long.loc[first[key], numbers]
        same = [(a == b) or (math.isnan(a) and math.isnan(b)) for a, b in zip(arm[numbers], before)]
        if not all(same):
            column = numbers[same.index(False)]
            raise TableError(
                f"{reader.file}, row {label}, column {column}: {arm[column]:g} is not {before[column]:g}, the value of the same arm "
                f"({arm['treatment']} of {arm['study']}) in row {first[key]}; several results of a study are imported as contrasts"
            )
        listed.append((arm["rows"], arm["study"], f"{arm['treatment']}: the same arm as in row {first[key]}"))
    return long.loc[keep]


def _convert_quantiles(long: pd.DataFrame, reader: _Cells, conversions: list[str]) -> pd.DataFrame:
    if long["median"].isna().all():
        return long
    quartile, extreme = long[["q1", "q3"]].notna().all(axis=1), long[["minimum", "maximum"]].notna().all(axis=1)
    lacking = long[["mean", "sd"]].isna().any(axis=1) & long[["median", "n"]].notna().all(axis=1) & (quartile | extreme)
    if not lacking.any():
        return long
    long = long.copy()
    done, flat = [], []
    for label, arm in long[lacking].iterrows():
        quartiles, extremes = quartile[label], extreme[label]
        given = {name: arm[name] for name, ok in (("q1", quartiles), ("q3", quartiles), ("minimum", extremes), ("maximum", extremes)) if ok}
        try:
            mean, sd = mean_sd_from_quantiles(arm["n"], arm["median"], **given)
        except ValueError as error:
            raise TableError(f"{reader.file}, row {label}, {str(error).removeprefix('input, row 0, ')}") from None
        # A mean that is reported goes before one that is estimated
        if pd.isna(arm["mean"]):
            long.loc[label, "mean"] = float(mean)
        if pd.isna(arm["sd"]) and sd > 0:
            long.loc[label, "sd"] = float(sd)
        (flat if pd.isna(arm["sd"]) and not sd > 0 else done).append(f"{label} ({arm['study']}, {arm['treatment']})")
    if done:
        conversions.append("mean and SD from the median with quartiles or range (Wan 2014): row " + "; ".join(done))
    if flat:
        conversions.append("mean from the median (Wan 2014); quartiles or range without width give an SD of 0, so the SD counts as missing: row "
                           + "; ".join(flat))
    return long


def _impute(long: pd.DataFrame, options: Options, conversions: list[str]) -> pd.DataFrame:
    lacking = long["sd"].isna() & long["mean"].notna() & long["n"].notna()
    if not options.impute or not lacking.any():
        return long
    # Arms without a mean give nothing to complete, and no SD to others that they do not report
    imputed = impute_sd(long)
    rules = ["baseline", "mean of other studies"] if options.impute_sd else ["baseline"]
    log = imputed.log[imputed.log["row"].isin(long.index[lacking]) & imputed.log["rule"].isin(rules)]
    completed = long.assign(sd=np.where(long.index.isin(log["row"]), imputed.arms["sd"], long["sd"]))
    for entry in log.itertuples():
        source = "its baseline SD" if entry.rule == "baseline" else f"the mean SD of {entry.n_donors} arms of other studies, taken to be on the same scale"
        conversions.append(f"SD {entry.sd:.6g} imputed from {source}: row {entry.row} ({entry.study}, {entry.treatment})")
    return completed


def _revman_5_studies(cells, layout, reader, options, listed) -> pd.DataFrame:
    """Study rows of a RevMan 5 export, with the group labels of their outcome's heading."""
    by_name = {plain(column): column for column in cells.columns}
    keys = [by_name["comparisonnumber"], by_name["outcomenumber"]]
    headings = [by_name[name] for name in ("datatype", "q", "df") if name in by_name]
    totals = [layout.arms[number]["n"] for number in (1, 2) if "n" in layout.arms[number]]
    is_heading = (cells[headings].to_numpy() != "").any(axis=1) | (cells[totals].to_numpy() == "").all(axis=1)
    studies = cells[~is_heading].copy()
    analyses = _one_analysis(studies, keys, reader.file)
    above = cells[is_heading]
    for number in (1, 2):
        column = layout.arms[number].get("treatment")
        if column and len(studies):
            label = next((label for *key, label in above[[*keys, column]].to_numpy() if tuple(key) == analyses[0] and label), "")
            studies[column] = [own or label for own in studies[column]]
    for row in cells.index[is_heading]:
        listed.append((str(row), "", "a heading or total, no study"))
    return studies


def _without_sd(listed: pd.DataFrame, options: Options) -> list[str]:
    lacking = int(listed["reason"].str.endswith(": no sd").sum())
    if not lacking or not options.impute or options.impute_sd:
        return []
    return [f"{lacking} arms have a mean and no SD; --impute-sd would take the mean SD of the other studies, which is right on one scale only"]


def _notes(contrasts: pd.DataFrame, file: str, outcome: str, folder: Path) -> list[str]:
    """What a user should know of all contrasts of an outcome."""
    treatments = set(contrasts["treat1"]) | set(contrasts["treat2"])
    return [*check_network(contrasts, file), *_same_but_for_case(treatments, "treatments"), *_same_but_for_case(set(contrasts["study"]), "studies"),
            *_beside_print(contrasts, treatments, outcome, folder), *_without_class(treatments, folder)]


def _same_but_for_case(labels: set[str], what: str) -> list[str]:
    groups: dict[str, list[str]] = {}
    for label in sorted(labels):
        groups.setdefault(label.casefold(), []).append(label)
    hint = "; if they are one, add --label '{0}={1}'" if what == "treatments" else ""
    return [f"{what} {' and '.join(map(repr, group))} differ in upper and lower case only and count as {len(group)}" + hint.format(*group)
            for group in groups.values() if len(group) > 1]


def _beside_print(contrasts: pd.DataFrame, treatments: set[str], outcome: str, folder: Path) -> list[str]:
    """Treatments and comparisons in which the data and the printed results differ, because there no printed number can be checked."""
    if not (folder / "nma_published.csv").is_file() or outcome != load_table("outcomes", folder)["outcome"].iloc[0]:
        return []
    lacking = lacking_print(main_part(contrasts)[0], load_table("nma_published", folder))
    notes = []
    unknown = sorted(treatments - lacking.known)
    if unknown:
        notes.append(f"{', '.join(unknown)}: not among the treatments of nma_published.csv ({', '.join(sorted(lacking.known))}); "
                     f"if these are other names for them, add --label '{unknown[0]}=NAME'")
    if lacking.treatments:
        notes.append(f"no estimate of {', '.join(lacking.treatments)}: what is printed of them, and ranks, cannot be checked")
    if lacking.comparisons:
        notes.append(f"no estimate of {'; '.join(f'{a} against {b}' for a, b in lacking.comparisons)}: what is printed of the whole network cannot be checked")
    return notes


def _without_class(treatments: set[str], folder: Path) -> list[str]:
    if not (folder / "treatment_classes.csv").is_file():
        return []
    new = sorted(treatments - set(load_table("treatment_classes", folder)["treatment_class"]))
    if not new:
        return []
    return [f"{', '.join(new)}: no row in treatment_classes.csv, so figures choose a colour and nothing describes the class; for your own add a row "
            "(treatment_class, a colour written #rrggbb, network_note if any) and run psps-paper tables --record"]
