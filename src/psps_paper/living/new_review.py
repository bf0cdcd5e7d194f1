"""Start a living review of your own: from one YAML file and tables, make a data folder, chapters and tests."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path

import pandas as pd

from psps_paper.article.outcomes import BETWEEN, DEFAULTS, outcome_of
from psps_paper.article.trials import load_source
from psps_paper.figures.palette import distinct_colours
from psps_paper.living.importing import read_trials, report
from psps_paper.living.model import MEASURES, Import, Options
from psps_paper.living.settings import COLUMN_LISTS, CONFIG, OUTCOME_FIELDS, read_settings
from psps_paper.living.store import write_trials
from psps_paper.living.study_table import numbers_of, read_flow, read_studies
from psps_paper.tables.checksums import record_checksums
from psps_paper.tables.csv_text import csv_bytes
from psps_paper.tables.dataset import dataset
from psps_paper.tables.errors import TableError
from psps_paper.tables.files import finish_replacing, only_writer, replace_folder, write_atomically
from psps_paper.tables.load import validate_table
from psps_paper.tables.schemas import DICTIONARY_COLUMNS

# Files with lines that repeat review.yml. Each placeholder is at the end of its line; the text before it identifies the
# line when the review is remade
TITLED = ("_config.yml", "README.md", "book/index.md")


DICTIONARIES = {
    "outcomes": [
        ("outcome", "text", "none", "yes", "", "Identifier"),
        ("label", "text", "none", "no", "", "Name for readers"),
        ("measure", "choice", "none", "no", "|".join(MEASURES), "Effect measure; OR on the log scale"),
        ("unit", "text", "none", "no", "", "Unit of te"),
        ("scale_desirable", "choice", "none", "no", "lower|higher", "Desirable direction of the scale"),
        ("te_desirable", "choice", "none", "no", "lower|higher", "Desirable direction of te, treat1 minus treat2"),
        ("reference", "text", "none", "no", "", "Reference treatment of forest plots"),
        (
            "order",
            "text",
            "none",
            "no",
            "",
            (
                "Treatments, separated by a vertical bar between blanks, those that small studies may favour first; "
                "the order sets the direction of every comparison"
            ),
        ),
        ("tau2", "choice", "none", "no", "DL|REML|ML", "Estimator of the between-study variance"),
        (
            "correlation",
            "number",
            "none",
            "no",
            "",
            "Correlation of several estimates of one comparison by one study; 0 counts each as a study",
        ),
        (
            "continuity",
            "choice",
            "none",
            "no",
            "zero_cells|all|treatment_arm|none",
            "Which studies get a continuity correction of counts",
        ),
        ("increment", "number", "people", "no", "", "Continuity correction, added to each cell"),
        (
            "correction",
            "choice",
            "none",
            "no",
            "exact|approximate|none",
            "Small-sample correction of a standardised mean difference",
        ),
        ("level", "number", "none", "no", "", "Level of all intervals"),
    ],
    "treatment_classes": [
        ("treatment_class", "text", "none", "yes", "", "Treatment, in the order of legends"),
        ("colour", "text", "none", "yes", "", "Colour in every figure, as #rrggbb"),
    ],
}


def new_review(folder: Path, *, tell: Callable[[str], None] = lambda text: None) -> list[str]:
    """Begin a review, or remake its data after a change of its ``review.yml`` or tables.

    Parameters
    ----------
    folder : Path
        In a folder that does not exist or is empty, the sample review is written. In one with ``review.yml``, ``data/``
        is renewed, with the lines that repeat title, author and repository; nothing else is touched.
    tell : callable
        Receives the import report of each table, as text.

    Returns
    -------
    list of str
        The files written, relative to the folder.

    Raises
    ------
    TableError
        The folder holds something else, or ``review.yml`` or a table is invalid; nothing is written.
    """
    folder = folder.absolute()
    if folder.is_symlink():
        raise TableError(f"{folder}: is a symbolic link; name the folder itself")
    if folder.exists() and not folder.is_dir():
        raise TableError(f"{folder}: is a file; expected a folder")
    templates = _templates()
    if (folder / CONFIG).is_file():
        return _remake(folder, templates, tell)
    if folder.is_dir() and any(folder.iterdir()):
        raise TableError(f"{folder}: holds files but no {CONFIG}; name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        for name, content in templates.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(place / name, content)
        made = {f"data/{name}": content for name, content in build_data(place, tell=tell).items()}
        made |= _corrected_files(templates, templates, read_settings(place))
    if folder.is_dir():
        folder.rmdir()
    replace_folder(folder, templates | made)
    return sorted([*templates, "data"])


def _remake(folder: Path, templates: Mapping[str, bytes], tell: Callable[[str], None]) -> list[str]:
    """Rewrite the data of a review, and the lines that repeat its ``review.yml``."""
    with only_writer(folder):
        for name in ("data", *TITLED):
            if (folder / name).is_symlink():
                raise TableError(
                    f"{folder / name}: is a symbolic link, and nothing is written through links; replace it by a file"
                    " or folder"
                )
        finish_replacing(folder / "data")
        made = build_data(folder, tell=tell)
        _refuse_to_undo_import(folder, made)
        present = {name: (folder / name).read_bytes() for name in TITLED if (folder / name).is_file()}
        titled = _corrected_files(templates, present, read_settings(folder))
        replace_folder(folder / "data", made, also=titled)
    return ["data", *titled]


def _refuse_to_undo_import(folder: Path, made: Mapping[str, bytes]) -> None:
    """Refuse to replace trials written by psps-paper import with those that review.yml reads from another file."""
    present: list[dict] = []
    with contextlib.suppress(TableError, OSError):  # unreadable trials are simply remade
        data = dataset(folder / "data")
        present = [] if data.trials is None else load_source(data)["sources"]
    named = {(entry["outcome"], entry["sha256"]) for entry in json.loads(made["trials/source.json"])["sources"]}
    for entry in present:
        if entry.get("imported") and (entry["outcome"], entry["sha256"]) not in named:
            raise TableError(
                f"data/trials holds {entry['file']}, which psps-paper import wrote as outcome {entry['outcome']}, but"
                f" {CONFIG} names another table for it: name that file and its options, or remove data/trials"
            )


def _corrected_files(templates: Mapping[str, bytes], files: Mapping[str, bytes], settings: dict) -> dict[str, bytes]:
    """Return the files in which a line no longer matches ``review.yml``, with the line corrected."""
    title, author, repository = (" ".join(settings.get(name, "").split()) for name in ("title", "author", "repository"))
    # The theme rejects addresses of hosts that it does not know
    linked = repository if re.fullmatch(r"https://[^/]*(github|gitlab|bitbucket)[^/]*/.+/[^/]+", repository) else ""
    values = {
        "TITLE": title,
        "AUTHOR": author,
        "REPOSITORY": linked,
        "BUTTON": "true" if linked else "false",
        "HOME": repository or "not public yet",
    }
    changed = {}
    for name in TITLED:
        text = files.get(name, b"").decode("utf-8")
        for start, quoted, key in re.findall(r'^(.*?)("?)@([A-Z]+)@"?$', templates[name].decode("utf-8"), re.MULTILINE):
            value = json.dumps(values[key], ensure_ascii=False) if quoted else values[key]
            if name.endswith(".md") and key == "TITLE":  # a title is plain text, not Markdown
                value = re.sub(r"[\\`*_{}\[\]<>$&#|~]", r"\\\g<0>", value)
            text = re.sub(
                rf"^{re.escape(start)}.*$", lambda _, line=start + value: line, text, count=1, flags=re.MULTILINE
            )
        if text.encode("utf-8") != files.get(name, b""):
            changed[name] = text.encode("utf-8")
    return changed


def _read(folder: Path, outcome: Mapping, data: Path) -> Import:
    """Read the table of an outcome with the options of its entry."""
    table = outcome["table"]
    options = Options(
        kind=table["kind"],
        outcome=outcome["name"],
        mapping=table.get("map", {}),
        constants=table.get("set", {}),
        labels=table.get("labels", {}),
        where=table.get("where", {}),
        measure=table.get("measure"),
        reverse=table.get("reverse", False),
        impute=table.get("impute", True),
        impute_sd=table.get("impute_sd", False),
        decimal=table.get("decimal"),
        sheet=table.get("sheet"),
        skip=table.get("skip", 0),
    )
    try:
        return read_trials(folder / table["file"], options, data)
    except TableError as error:
        if " --" not in str(error):
            raise
        # The message names options of psps-paper import
        raise TableError(f"{error} ({CONFIG}: an option is an entry of the outcome's table, without dashes)") from None


def build_data(folder: Path, *, tell: Callable[[str], None] = lambda text: None) -> dict[str, bytes]:
    """Build the files of ``data/`` from a review's ``review.yml`` and tables, without writing them.

    Parameters
    ----------
    folder : Path
        The folder of the review.
    tell : callable
        Receives the import report of each table, as text.

    Raises
    ------
    TableError
        ``review.yml`` has no value for a required setting or names something that does not exist, or a table cannot be
        imported.
    """
    settings = read_settings(folder)
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary)
        _write_settings(data, settings)
        treatments = [entry["name"] for entry in settings["treatments"]]
        studies: set[str] = set()
        for outcome in settings["outcomes"]:
            result = _read(folder, outcome, data)
            _check_named(result, outcome, treatments)
            tell(report(result))
            write_trials(result, data)
            studies |= set(result.contrasts["study"])
        check_beside(folder, settings, studies, tell)
        record_checksums(dataset(data))
        return {
            path.relative_to(data).as_posix(): path.read_bytes() for path in sorted(data.rglob("*")) if path.is_file()
        }


def _write_settings(data: Path, settings: dict) -> None:
    """Write the tables that need only ``review.yml``, outcomes and treatments, with their dictionaries."""
    (data / "dictionaries").mkdir()
    for name, table in {"outcomes": _outcomes(settings), "treatment_classes": _classes(settings)}.items():
        dictionary = _dictionary(name)
        validate_table(table.astype(str), dictionary, f"{CONFIG}, {name}")
        if name == "outcomes":
            for number, row in table.iterrows():
                outcome_of(row, f"{CONFIG}, outcomes, entry {number + 1}")
        write_atomically(data / f"{name}.csv", csv_bytes(table))
        write_atomically(data / "dictionaries" / f"{name}.csv", csv_bytes(dictionary))


def _check_named(result: Import, outcome: dict, treatments: list[str]) -> None:
    """Refuse a table with a treatment that ``review.yml`` does not name, or without the reference treatment."""
    named = set(result.contrasts["treat1"]) | set(result.contrasts["treat2"])
    unknown = sorted(named - set(treatments))
    if unknown:
        raise TableError(
            f"{result.source['file']}: treatment {unknown[0]!r} is not in {CONFIG} ({', '.join(treatments)})"
        )
    if outcome["reference"] not in named:
        raise TableError(
            f"{CONFIG}, outcome {outcome['name']}: reference {outcome['reference']!r} is not in {result.source['file']}"
        )


def check_beside(folder: Path, settings: dict, studies: set[str], tell: Callable[[str], None]) -> None:
    """Read the tables of studies and of the flow once, so that errors in them stop here; report studies without a row.

    Raises
    ------
    TableError
    """
    if "flow" in settings:
        read_flow(folder / settings["flow"], settings["flow"])
    if "studies" not in settings:
        return
    file = settings["studies"]
    table = read_studies(folder / file, file, studies)
    without = sorted(studies - set(read_studies(folder / file, file, set())["study"]))
    if without:
        tell(f"{file}: no row, and therefore no judgement, for {', '.join(without)}")
    for name in COLUMN_LISTS:
        for column in settings.get(name, []):
            if column not in table.columns:
                there = ", ".join(table.columns)
                raise TableError(f"{CONFIG}, {name}: {column!r} is not a column of {settings['studies']} ({there})")
            if name == "moderators":
                numbers_of(table[table["study"].isin(studies)], column, settings["studies"])


def _templates() -> dict[str, bytes]:
    found = {}

    def walk(place, prefix: str) -> None:
        for entry in sorted(place.iterdir(), key=lambda entry: entry.name):
            if entry.is_dir() and entry.name != "__pycache__":
                walk(entry, f"{prefix}{entry.name}/")
            elif entry.is_file():
                found[prefix + entry.name] = entry.read_bytes()

    walk(files("psps_paper.living") / "templates", "")
    return found


def _dictionary(name: str) -> pd.DataFrame:
    rows = [
        (column, kind, unit, "no", unique, "", "", allowed, meaning, CONFIG)
        for column, kind, unit, unique, allowed, meaning in DICTIONARIES[name]
    ]
    return pd.DataFrame(rows, columns=DICTIONARY_COLUMNS)


def _outcomes(settings: dict) -> pd.DataFrame:
    names = [entry["name"] for entry in settings["treatments"]]
    rows = []
    for entry in settings["outcomes"]:
        # As listed, but the reference last, since small studies may favour the treatments compared with it
        order = entry.get("order") or [*(name for name in names if name != entry["reference"]), entry["reference"]]
        rows.append(
            {"outcome" if field == "name" else field: entry[field] for field in OUTCOME_FIELDS}
            | {"order": BETWEEN.join(order)}
            | {field: entry.get(field, default) for field, default in DEFAULTS.items()}
        )
    return pd.DataFrame(rows)


def _classes(settings: dict) -> pd.DataFrame:
    given = {entry["colour"] for entry in settings["treatments"] if "colour" in entry}
    free = (colour for colour in distinct_colours() if colour not in given)
    return pd.DataFrame(
        [
            {"treatment_class": entry["name"], "colour": entry.get("colour") or next(free)}
            for entry in settings["treatments"]
        ]
    )
