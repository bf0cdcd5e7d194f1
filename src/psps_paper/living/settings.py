"""Read and check ``review.yml``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from psps_paper.article.outcomes import BETWEEN, DEFAULTS
from psps_paper.living.model import LOG_MEASURES, MEASURES
from psps_paper.living.reading import without_invisible
from psps_paper.tables.errors import TableError
from psps_paper.tables.limits import MAX_CELL, MAX_OUTCOMES, MAX_TREATMENTS
from psps_paper.tables.yaml_text import load_yaml

CONFIG = "review.yml"
TEXTS = ("title", "author", "question", "repository", "note")
NEEDED = TEXTS[:3]
OUTCOME_FIELDS = ("name", "label", "measure", "unit", "scale_desirable", "te_desirable", "reference")
# Optional settings for the certainty of an outcome's results
JUDGED_FIELDS = ("important", "baseline_risk", "reporting_bias")
# Tables of the review other than those of its outcomes, and lists of columns of the first of them
TABLES, COLUMN_LISTS = ("studies", "flow"), ("subgroups", "moderators")
OUTCOME_NUMBERS = tuple(name for name, value in DEFAULTS.items() if isinstance(value, float))
TABLE_FIELDS = {
    "file": str,
    "kind": str,
    "map": dict,
    "set": dict,
    "labels": dict,
    "where": dict,
    "measure": str,
    "reverse": bool,
    "impute": bool,
    "impute_sd": bool,
    "decimal": str,
    "sheet": str,
    "skip": int,
}


def read_settings(folder: Path) -> dict:
    """Read ``review.yml`` and check it.

    Raises
    ------
    TableError
        The message names the entry and what was expected.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise TableError(f"{CONFIG}: no such file in {folder}")
    settings = load_yaml(path, CONFIG)
    settings = _mapping(settings, "the file")
    for name in TEXTS:
        if name in NEEDED or name in settings:
            _text(settings, name, CONFIG)
    _check_known(settings, (*TEXTS, *TABLES, *COLUMN_LISTS, "treatments", "outcomes"), CONFIG)
    _check_study_tables(settings)
    names = [
        _treatment(entry, f"treatments, entry {number}")
        for number, entry in enumerate(_list(settings, "treatments"), start=1)
    ]
    _check_unique(names, "treatments")
    outcomes = [
        _outcome(entry, f"outcomes, entry {number}", names)
        for number, entry in enumerate(_list(settings, "outcomes"), start=1)
    ]
    _check_unique(outcomes, "outcomes")
    return settings


def _treatment(entry: object, where: str) -> str:
    """Check the entry of a treatment and return its name."""
    entry = _mapping(entry, where)
    name = _text(entry, "name", f"{CONFIG}, {where}")
    _check_known(entry, ("name", "colour"), f"{CONFIG}, {where}")
    if "colour" in entry and not (isinstance(entry["colour"], str) and re.fullmatch("#[0-9a-f]{6}", entry["colour"])):
        raise TableError(
            f"{CONFIG}, {where}, colour: {_shown(entry['colour'])} is not written #rrggbb in lower case, in quotes"
        )
    if BETWEEN in name:
        raise TableError(f"{CONFIG}, {where}, name: {name!r} holds {BETWEEN!r}, which separates names in outcomes.csv")
    return name


def _outcome(entry: object, where: str, treatments: list[str]) -> str:
    """Check the entry of an outcome and return its name."""
    entry, place = _mapping(entry, where), f"{CONFIG}, {where}"
    for field in OUTCOME_FIELDS:
        _text(entry, field, place)
    _choice(entry, "measure", MEASURES, place)
    for field in ("scale_desirable", "te_desirable"):
        _choice(entry, field, ("lower", "higher"), place)
    if entry["reference"] not in treatments:
        raise TableError(f"{place}, reference: {entry['reference']!r} is not one of {', '.join(treatments)}")
    _check_analysis(entry, treatments, place)
    _check_table(_mapping(entry.get("table"), f"{where}, table"), f"{place}, table")
    return entry["name"]


def _check_table(table: dict, where: str) -> None:
    """Check the options for reading the table of an outcome."""
    for field, value in table.items():
        if field not in TABLE_FIELDS:
            raise TableError(f"{where}: {_shown(field)} is not one of {', '.join(TABLE_FIELDS)}")
        if not isinstance(value, TABLE_FIELDS[field]):
            raise TableError(f"{where}, {field}: {_shown(value)} is not a {TABLE_FIELDS[field].__name__}")
        if isinstance(value, dict) and not all(isinstance(part, str) for pair in value.items() for part in pair):
            raise TableError(f"{where}, {field}: expected text: text pairs; put numbers in quotes")
    _text(table, "file", where)
    _check_inside(table["file"], f"{where}, file")
    _choice(table, "kind", ("contrasts", "arms"), where)


def _check_study_tables(settings: dict) -> None:
    """Check the tables of studies and of the flow, and which columns are subgroups or moderators."""
    for name in TABLES:
        if name in settings:
            _check_inside(_text(settings, name, CONFIG), f"{CONFIG}, {name}")
    for name in COLUMN_LISTS:
        value = settings.get(name, [])
        if not isinstance(value, list) or not all(isinstance(column, str) and column for column in value):
            raise TableError(f"{CONFIG}, {name}: {_shown(value)} is not a list of columns of the table of studies")
        if value and "studies" not in settings:
            raise TableError(f"{CONFIG}, {name}: needs studies, the file whose columns it names")
        _check_unique(value, name)


def _check_inside(file: str, where: str) -> None:
    if Path(file).is_absolute() or ".." in Path(file).parts:
        raise TableError(f"{where}: {file!r} is outside the review's folder")


def _check_certainty(entry: dict, where: str) -> None:
    """Check the settings for the certainty of an outcome's results."""
    ratio = entry["measure"] in LOG_MEASURES
    limits = {"important": (1.0 if ratio else 0.0, float("inf")), "baseline_risk": (0.0, 1.0)}
    for field, (low, high) in limits.items():
        value = entry.get(field)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not low < value < high:
            wanted = f"a number above {low:g}" if high == float("inf") else f"a number between {low:g} and {high:g}"
            raise TableError(f"{where}, {field}: {_shown(value)} is not {wanted}")
    if "baseline_risk" in entry and entry["measure"] not in ("OR", "RR", "HR", "RD"):
        raise TableError(f"{where}, baseline_risk: is for OR, RR, HR or RD, not for {entry['measure']}")
    if "reporting_bias" in entry:
        _choice(entry, "reporting_bias", ("undetected", "suspected"), where)


def _check_analysis(entry: dict, names: list[str], where: str) -> None:
    """Check the settings of an outcome's analysis; the others are checked with ``outcomes.csv``."""
    _check_known(entry, sorted({*OUTCOME_FIELDS, "order", "table", *DEFAULTS, *JUDGED_FIELDS}), where)
    _check_certainty(entry, where)
    order = entry.get("order", names)
    if (
        not isinstance(order, list)
        or not all(isinstance(name, str) for name in order)
        or sorted(order) != sorted(names)
    ):
        raise TableError(
            f"{where}, order: {_shown(order)} is not a list of all treatments, each once ({', '.join(names)})"
        )
    for field in OUTCOME_NUMBERS:
        value = entry.get(field, DEFAULTS[field])
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TableError(f"{where}, {field}: {_shown(value)} is not a number")


def _check_known(entry: dict, names: Sequence[str], where: str) -> None:
    """Refuse unknown settings, which nothing would read."""
    for field in entry:
        if field not in names:
            raise TableError(f"{where}: {_shown(field)} is not one of {', '.join(names)}")


def _mapping(value: object, where: str) -> dict:
    if not isinstance(value, dict):
        raise TableError(f"{CONFIG}, {where}: expected entries written name: value")
    return value


def _list(settings: dict, name: str) -> list:
    if not isinstance(settings.get(name), list) or not settings[name]:
        raise TableError(f"{CONFIG}, {name}: expected a list of at least one entry")
    most = {"treatments": MAX_TREATMENTS, "outcomes": MAX_OUTCOMES}[name]
    if len(settings[name]) > most:
        raise TableError(f"{CONFIG}, {name}: {len(settings[name])} entries, the limit is {most}")
    return settings[name]


def _text(entry: dict, name: str, where: str) -> str:
    if not isinstance(entry.get(name), str) or not without_invisible(entry[name]).strip():
        raise TableError(f"{where}, {name}: {_shown(entry.get(name))} is not text")
    if len(entry[name]) > MAX_CELL:
        raise TableError(f"{where}, {name}: {len(entry[name]):,} characters, the limit is {MAX_CELL:,}")
    return entry[name]


def _shown(value: object) -> str:
    """Quote a value in a message; give only the type of long or nested ones, which YAML aliases can make endless."""
    flat = (
        isinstance(value, list) and len(value) <= 10 and not any(isinstance(v, (list, dict, set, tuple)) for v in value)
    )
    if not flat and isinstance(value, (list, dict, set, tuple)):
        return f"a {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "\N{HORIZONTAL ELLIPSIS}"


def _choice(entry: dict, name: str, choices: tuple[str, ...], where: str) -> None:
    if _text(entry, name, where) not in choices:
        raise TableError(f"{where}, {name}: {entry[name]!r} is not one of {', '.join(choices)}")


def _check_unique(names: list[str], where: str) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise TableError(f"{CONFIG}, {where}: {repeated[0]!r} occurs more than once")
