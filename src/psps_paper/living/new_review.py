"""A living review of your own: one YAML file and tables in, data folder, chapters and tests out."""

from __future__ import annotations

import bisect
import colorsys
import itertools
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path

import pandas as pd
import yaml

from psps_paper import formatting
from psps_paper.display import Shown, sentence
from psps_paper.figures.style import relative_luminance
from psps_paper.living.chapters import heterogeneity_table, inconsistency_table, show_changes, small_study_table
from psps_paper.living.diff import comparable, compare
from psps_paper.living.importing import MEASURES, Options, read_trials, report, write_trials
from psps_paper.living.results import read_results, review_results
from psps_paper.living.writing import csv_bytes, current_folder, only_writer, replace_folder, write_atomically
from psps_paper.network.model import Desirable, NetworkFit
from psps_paper.network.ranking import p_scores, rank_probabilities
from psps_paper.schemas import DICTIONARY_COLUMNS
from psps_paper.tables import TableError, record_checksums, validate_table
from psps_paper.trials import BookNetwork, book_network, check_network, load_source, load_trials, main_part

CONFIG = "review.yml"
# The first ones for treatments without a colour; each has a contrast of 3:1 on light and on dark pages
COLOURS = ("#0072b2", "#009e73", "#d55e00", "#7d6000", "#c0679a", "#8a5fd0", "#7a7a7a", "#b5472f", "#3f7f8f", "#6b7d2a")
LUMINANCES = (0.15, 0.21, 0.28)  # of further ones; between 0.12 and 0.3 the contrast is 3:1 on both
# Files with lines that repeat review.yml; each placeholder is the last thing in its line, and what stands before it finds the line again
TITLED = ("_config.yml", "README.md", "book/index.md")
OUTCOME_FIELDS = ("name", "label", "measure", "unit", "scale_desirable", "te_desirable", "reference")
TABLE_FIELDS = {"file": str, "kind": str, "map": dict, "set": dict, "labels": dict, "where": dict, "measure": str, "reverse": bool,
                "impute": bool, "impute_sd": bool, "sheet": str, "skip": int}  # fmt: skip
DICTIONARIES = {
    "outcomes": [
        ("outcome", "text", "none", "yes", "", "Identifier"),
        ("label", "text", "none", "no", "", "Name for readers"),
        ("measure", "choice", "none", "no", "|".join(MEASURES), "Effect measure; OR on the log scale"),
        ("unit", "text", "none", "no", "", "Unit of te"),
        ("scale_desirable", "choice", "none", "no", "lower|higher", "Desirable direction of the scale"),
        ("te_desirable", "choice", "none", "no", "lower|higher", "Desirable direction of te, treat1 minus treat2"),
        ("reference", "text", "none", "no", "", "Treatment with which forest plots compare"),
    ],
    "treatment_classes": [
        ("treatment_class", "text", "none", "yes", "", "Treatment, in the order of legends"),
        ("colour", "text", "none", "yes", "", "Colour in every figure, as #rrggbb"),
    ],
}


def new_review(folder: Path, *, tell: Callable[[str], None] = lambda text: None) -> list[str]:
    """Begin a review, or make the data of one anew after a change of its ``review.yml`` or tables.

    Parameters
    ----------
    folder : Path
        A folder that does not exist or is empty gets the sample review; one with ``review.yml`` gets ``data/`` anew,
        and title, author and repository in the lines that repeat them; nothing else in it is touched.
    tell : callable
        Gets the import report of each table, as text.

    Returns
    -------
    list of str
        What was written, relative to the folder.

    Raises
    ------
    TableError
        The folder holds something else; ``review.yml`` or a table is broken (then nothing is written).
    """
    folder = folder.absolute()
    if folder.exists() and not folder.is_dir():
        raise TableError(f"{folder}: is a file; expected a folder")
    templates = _templates()
    if (folder / CONFIG).is_file():
        with only_writer(folder):
            made = build_data(folder, tell=tell)
            titled = _titled(templates, {name: (folder / name).read_bytes() for name in TITLED if (folder / name).is_file()}, read_settings(folder))
            replace_folder(folder / "data", made)
            for name, content in titled.items():
                write_atomically(folder / name, content)
        return ["data", *titled]
    if folder.is_dir() and any(folder.iterdir()):
        raise TableError(f"{folder}: holds files but no {CONFIG}; name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        place = Path(temporary)
        for name, content in templates.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(place / name, content)
        made = {f"data/{name}": content for name, content in build_data(place, tell=tell).items()}
        made |= _titled(templates, templates, read_settings(place))
    if folder.is_dir():
        folder.rmdir()
    replace_folder(folder, templates | made)
    return sorted([*templates, "data"])


def _titled(templates: Mapping[str, bytes], files: Mapping[str, bytes], settings: dict) -> dict[str, bytes]:
    """Those of the files of which a line no longer repeats ``review.yml``, with this line put right."""
    title, author, repository = (" ".join(settings.get(name, "").split()) for name in ("title", "author", "repository"))
    # The theme refuses an address of which it cannot tell what serves it
    linked = repository if re.fullmatch(r"https://[^/]*(github|gitlab|bitbucket)[^/]*/.+/[^/]+", repository) else ""
    values = {"TITLE": title, "AUTHOR": author, "REPOSITORY": linked, "BUTTON": "true" if linked else "false",
              "HOME": repository or "not public yet"}  # fmt: skip
    changed = {}
    for name in TITLED:
        text = files.get(name, b"").decode("utf-8")
        for start, quoted, key in re.findall(r'^(.*?)("?)@([A-Z]+)@"?$', templates[name].decode("utf-8"), re.MULTILINE):
            value = json.dumps(values[key], ensure_ascii=False) if quoted else values[key]
            text = re.sub(rf"^{re.escape(start)}.*$", lambda _: start + value, text, count=1, flags=re.MULTILINE)  # noqa: B023
        if text.encode("utf-8") != files.get(name, b""):
            changed[name] = text.encode("utf-8")
    return changed


def build_data(folder: Path, *, tell: Callable[[str], None] = lambda text: None) -> dict[str, bytes]:
    """Files of ``data/`` that follow from a review's ``review.yml`` and tables; nothing is written.

    Parameters
    ----------
    folder : Path
        Of the review.
    tell : callable
        Gets the import report of each table, as text.

    Raises
    ------
    TableError
        ``review.yml`` lacks something or names what is not there; a table cannot be imported.
    """
    settings = read_settings(folder)
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary)
        (data / "dictionaries").mkdir()
        for name, table in {"outcomes": _outcomes(settings), "treatment_classes": _classes(settings)}.items():
            dictionary = _dictionary(name)
            validate_table(table.astype(str), dictionary, f"{CONFIG}, {name}")
            (data / f"{name}.csv").write_bytes(csv_bytes(table))
            (data / "dictionaries" / f"{name}.csv").write_bytes(csv_bytes(dictionary))
        treatments = [entry["name"] for entry in settings["treatments"]]
        for outcome in settings["outcomes"]:
            table = outcome["table"]
            result = read_trials(folder / table["file"], Options(
                kind=table["kind"], outcome=outcome["name"], mapping=table.get("map", {}), constants=table.get("set", {}),
                labels=table.get("labels", {}), where=table.get("where", {}), measure=table.get("measure"), reverse=table.get("reverse", False),
                impute=table.get("impute", True), impute_sd=table.get("impute_sd", False), sheet=table.get("sheet"), skip=table.get("skip", 0),
            ), data)  # fmt: skip
            named = set(result.contrasts["treat1"]) | set(result.contrasts["treat2"])
            unknown = sorted(named - set(treatments))
            if unknown:
                raise TableError(f"{result.source['file']}: treatment {unknown[0]!r} is not in {CONFIG} ({', '.join(treatments)})")
            if outcome["reference"] not in named:
                raise TableError(f"{CONFIG}, outcome {outcome['name']}: reference {outcome['reference']!r} is not in {result.source['file']}")
            inside, outside = main_part(result.contrasts)
            parts = [sorted(set(part["treat1"]) | set(part["treat2"])) for part in (inside, outside)]
            if outcome["reference"] in parts[1]:
                raise TableError(f"{CONFIG}, outcome {outcome['name']}: reference {outcome['reference']!r} is not connected with the largest part "
                                 f"of the network; name one of its treatments ({', '.join(parts[0])})")
            tell(report(result))
            write_trials(result, data)
        record_checksums(data)
        return {path.relative_to(data).as_posix(): path.read_bytes() for path in sorted(data.rglob("*")) if path.is_file()}


def read_settings(folder: Path) -> dict:
    """Content of ``review.yml``, checked.

    Raises
    ------
    TableError
        Naming the entry and what was expected.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise TableError(f"{CONFIG}: no such file in {folder}")
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = getattr(error, "problem_mark", None)
        where = f", line {place.line + 1}" if place else ""
        raise TableError(f"{CONFIG}{where}: not YAML ({getattr(error, 'problem', None) or type(error).__name__})") from None
    settings = _mapping(settings, "the file")
    for name in ("title", "author", "question"):
        _text(settings, name, CONFIG)
    if "repository" in settings:
        _text(settings, "repository", CONFIG)
    names = []
    for number, entry in enumerate(_list(settings, "treatments"), start=1):
        where = f"treatments, entry {number}"
        names.append(_text(_mapping(entry, where), "name", f"{CONFIG}, {where}"))
        if "colour" in entry and not re.fullmatch("#[0-9a-f]{6}", str(entry["colour"])):
            raise TableError(f"{CONFIG}, {where}, colour: {entry['colour']!r} is not written #rrggbb in lower case, in quotes")
    _unique(names, "treatments")
    outcomes = []
    for number, entry in enumerate(_list(settings, "outcomes"), start=1):
        where = f"outcomes, entry {number}"
        entry = _mapping(entry, where)
        for field in OUTCOME_FIELDS:
            _text(entry, field, f"{CONFIG}, {where}")
        for field, choices in (("measure", MEASURES), ("scale_desirable", ("lower", "higher")), ("te_desirable", ("lower", "higher"))):
            _choice(entry, field, choices, f"{CONFIG}, {where}")
        if entry["reference"] not in names:
            raise TableError(f"{CONFIG}, {where}, reference: {entry['reference']!r} is not one of {', '.join(names)}")
        table = _mapping(entry.get("table"), f"{where}, table")
        for field, value in table.items():
            if field not in TABLE_FIELDS:
                raise TableError(f"{CONFIG}, {where}, table: {field!r} is not one of {', '.join(TABLE_FIELDS)}")
            if not isinstance(value, TABLE_FIELDS[field]):
                raise TableError(f"{CONFIG}, {where}, table, {field}: {value!r} is not a {TABLE_FIELDS[field].__name__}")
            if isinstance(value, dict) and not all(isinstance(part, str) for pair in value.items() for part in pair):
                raise TableError(f"{CONFIG}, {where}, table, {field}: expected text: text pairs; put numbers in quotes")
        _text(table, "file", f"{CONFIG}, {where}, table")
        if Path(table["file"]).is_absolute() or ".." in Path(table["file"]).parts:
            raise TableError(f"{CONFIG}, {where}, table, file: {table['file']!r} is outside the review's folder")
        _choice(table, "kind", ("contrasts", "arms"), f"{CONFIG}, {where}, table")
        outcomes.append(entry["name"])
    _unique(outcomes, "outcomes")
    return settings


def open_review(folder: Path | None = None) -> Review:
    """The review of a folder; by default of the working directory or the folder above it, as chapters need."""
    places = [folder] if folder else [Path.cwd(), Path.cwd().parent]
    for place in places:
        if (place / CONFIG).is_file():
            return Review(place.absolute(), read_settings(place))
    raise TableError(f"no {CONFIG} in {places[0]}")


@dataclass(frozen=True)
class Review:
    """What the chapters of a review show.

    Attributes
    ----------
    folder : Path
    settings : dict
        Content of ``review.yml``.
    """

    folder: Path
    settings: dict

    @property
    def data(self) -> Path:
        """The data folder."""
        return current_folder(self.folder / "data") or self.folder / "data"

    @property
    def outcomes(self) -> list[str]:
        """Names of the outcomes, the main one first."""
        return [entry["name"] for entry in self.settings["outcomes"]]

    @property
    def treatments(self) -> list[str]:
        """Names of the treatments."""
        return [entry["name"] for entry in self.settings["treatments"]]

    @cached_property
    def _networks(self) -> dict[str, BookNetwork]:
        return {outcome: book_network(self.data, outcome=outcome) for outcome in self.outcomes}

    def _outcome(self, outcome: str) -> Mapping[str, str]:
        return next(entry for entry in self.settings["outcomes"] if entry["name"] == outcome)

    def network(self, outcome: str) -> BookNetwork:
        """The fitted network of an outcome."""
        return self._networks[outcome]

    def label(self, outcome: str) -> str:
        """Name of an outcome for readers."""
        return self._outcome(outcome)["label"]

    def reference(self, outcome: str) -> str:
        """Treatment with which forest plots compare."""
        return self._outcome(outcome)["reference"]

    def te_desirable(self, outcome: str) -> Desirable:
        """Desirable direction of te."""
        return self._outcome(outcome)["te_desirable"]

    def direction(self, outcome: str) -> dict[str, str]:
        """Arguments of a forest plot that say which side favours what, and in which unit."""
        return {"desirable": self.te_desirable(outcome), "first": "the treatment", "second": self.reference(outcome),
                "unit": self._outcome(outcome)["unit"]}

    def question_table(self) -> pd.DataFrame:
        """The question with its treatments and outcomes: DataFrame [what, this review]."""
        rows = [("question", self.settings["question"]), ("treatments", ", ".join(self.treatments)),
                ("outcomes", ", ".join(map(self.label, self.outcomes)))]
        if self.settings.get("note"):
            rows.append(("note", str(self.settings["note"])))
        return pd.DataFrame(rows, columns=["what", "this review"])

    def summary(self) -> pd.DataFrame:
        """One row an outcome: DataFrame [outcome, studies, estimates, treatments, first by P-score]."""
        rows = []
        for outcome in self.outcomes:
            fit = self.network(outcome).fit
            rows.append({"outcome": self.label(outcome), "studies": str(fit.contrasts["study"].nunique()), "estimates": str(fit.n_contrasts),
                         "treatments": str(len(fit.treatments)), "first by P-score": self.order(outcome)[0]})
        return pd.DataFrame(rows)

    def edges(self, outcome: str) -> pd.DataFrame:
        """Direct comparisons: DataFrame [treat1, treat2, n_studies, n_estimates]."""
        return self.network(outcome).edges.rename(columns={"studies": "n_studies", "estimates": "n_estimates"})

    def forest(self, outcome: str) -> pd.DataFrame:
        """Each treatment against the reference: DataFrame [label, te, lower, upper, tier, treatment_class]."""
        fit, reference = self.network(outcome).fit, self.reference(outcome)
        return pd.DataFrame([
            {"label": name, "te": fit.te.at[name, reference], "lower": fit.lower.at[name, reference], "upper": fit.upper.at[name, reference],
             "tier": "recomputed", "treatment_class": name}
            for name in self.order(outcome) if name != reference
        ])

    def order(self, outcome: str) -> list[str]:
        """Treatments by P-score, the best first."""
        return list(self.p_scores(outcome).index)

    def p_scores(self, outcome: str) -> pd.Series:
        """P-scores, the best first."""
        scores = p_scores(self.network(outcome).fit, desirable=self.te_desirable(outcome))
        return scores.sort_values(ascending=False, kind="stable")

    def ranks(self, outcome: str) -> pd.DataFrame:
        """Probability of each rank: DataFrame [treatment x rank]."""
        return rank_probabilities(self.network(outcome).fit, desirable=self.te_desirable(outcome), draws=100_000, seed=1)

    def heterogeneity(self) -> pd.DataFrame:
        """Heterogeneity by outcome, as text."""
        return self._by_outcome(heterogeneity_table)

    def inconsistency(self) -> pd.DataFrame:
        """Direct against indirect evidence by outcome and comparison, as text; one row saying so where there is none."""
        return self._by_outcome(inconsistency_table)

    def small_studies(self) -> pd.DataFrame:
        """Egger's test by outcome, as text."""
        return self._by_outcome(small_study_table)

    def _by_outcome(self, make: Callable[[NetworkFit], pd.DataFrame]) -> pd.DataFrame:
        tables = {self.label(outcome): make(self.network(outcome).fit) for outcome in self.outcomes}
        return pd.concat(tables, names=["outcome", None]).reset_index("outcome").reset_index(drop=True).fillna("")

    def sources_of(self, outcome: str) -> list[dict]:
        """Records of the tables of an outcome, as in ``data/trials/source.json``."""
        return [entry for entry in load_source(self.data)["sources"] if entry["outcome"] == outcome]

    def sources(self) -> pd.DataFrame:
        """Tables with what was read: DataFrame [outcome, file, convention, read, used, listed, SHA-256]."""
        return pd.DataFrame([
            {"outcome": self.label(outcome), "file": entry["file"], "convention": entry["format"], "read": f"{entry['read']} {entry['unit']}",
             "used": str(entry["used"]), "listed": str(len(entry["listed"])), "SHA-256": entry["sha256"][:12]}
            for outcome in self.outcomes for entry in self.sources_of(outcome)
        ])

    def listed(self) -> pd.DataFrame:
        """What was read and not used, what was converted, and what to know of the data: DataFrame [file, row, study, what]."""
        rows = []
        for entry in load_source(self.data)["sources"]:
            rows += [{"file": entry["file"], "row": row["row"], "study": row["study"], "what": f"not used: {row['reason']}"} for row in entry["listed"]]
            rows += [{"file": entry["file"], "row": "", "study": "", "what": f"converted: {text}"} for text in entry["conversions"]]
        for outcome in self.outcomes:
            files = ", ".join(entry["file"] for entry in self.sources_of(outcome))
            rows += [{"file": files, "row": "", "study": "", "what": f"note: {text}"} for text in check_network(self._estimates(outcome), files)]
        return pd.DataFrame(rows, columns=["file", "row", "study", "what"])

    def _estimates(self, outcome: str) -> pd.DataFrame:
        table = load_trials(self.data)
        return table[table["outcome"] == outcome]

    def contrasts(self) -> pd.DataFrame:
        """Every estimate, as text: DataFrame [outcome, study, first, second, te, se, in the fit]; the last says why one is not."""
        parts = [part for outcome in self.outcomes for part in main_part(self._estimates(outcome))]
        table = pd.concat([part for part in parts if len(part)]).sort_index()
        reason = table["reason"] if "reason" in table else pd.Series(index=table.index, dtype=object)
        return pd.DataFrame({
            "outcome": table["outcome"].map(self.label), "study": table["study"], "first": table["treat1"], "second": table["treat2"],
            "te": table["te"].map(lambda value: formatting.number(value, 3)), "se": table["se"].map(lambda value: formatting.number(value, 3)),
            "in the fit": reason.map(lambda text: "yes" if pd.isna(text) else f"no: {text}"),
        }).reset_index(drop=True)

    def changes(self) -> pd.DataFrame | None:
        """What differs from ``release/results.json``, as from :func:`psps_paper.living.diff.compare`.

        None where there is no release, or only one of other outcomes: by name, measure and desirable direction.
        """
        place = current_folder(self.folder / "release")
        if place is None or not (place / "results.json").is_file():
            return None
        old, new = read_results(place / "results.json"), review_results(self.data)
        return compare(old, new) if comparable(old, new) else None

    def show_changes(self) -> Shown:
        """The changes as a table, or a sentence that says that there are none, or nothing to compare with."""
        changes = self.changes()
        if changes is None:
            return sentence("There is no earlier release of this review with one of these outcomes, so there is nothing to compare with. "
                            "To make one: make release.")
        return show_changes(changes, caption="Differences from the last release; conclusions that flip come first.",
                            nothing="Nothing has changed since the last release.")


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
    rows = [(column, kind, unit, "no", unique, "", "", allowed, meaning, CONFIG) for column, kind, unit, unique, allowed, meaning in DICTIONARIES[name]]
    return pd.DataFrame(rows, columns=DICTIONARY_COLUMNS)


def _outcomes(settings: dict) -> pd.DataFrame:
    rows = [{"outcome" if field == "name" else field: entry[field] for field in OUTCOME_FIELDS} for entry in settings["outcomes"]]
    return pd.DataFrame(rows)


def _classes(settings: dict) -> pd.DataFrame:
    given = {entry["colour"] for entry in settings["treatments"] if "colour" in entry}
    free = (colour for colour in colours() if colour not in given)
    return pd.DataFrame([{"treatment_class": entry["name"], "colour": entry.get("colour") or next(free)} for entry in settings["treatments"]])


def colours() -> Iterator[str]:
    """Colours without end, as #rrggbb, no two alike; each has a contrast of at least 3:1 on light and on dark pages."""
    used = set(COLOURS)
    yield from COLOURS
    for number in itertools.count():
        # By the golden ratio, so that hues never come round to where they were
        hue, wanted = number * 0.6180339887 % 1, LUMINANCES[number % len(LUMINANCES)]
        colour = _colour(bisect.bisect_left(range(256), wanted, key=lambda light: relative_luminance(_colour(light, hue))), hue)
        if colour not in used:
            used.add(colour)
            yield colour


def _colour(light: int, hue: float) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue, light / 255, 0.75))


def _mapping(value: object, where: str) -> dict:
    if not isinstance(value, dict):
        raise TableError(f"{CONFIG}, {where}: expected entries written name: value")
    return value


def _list(settings: dict, name: str) -> list:
    if not isinstance(settings.get(name), list) or not settings[name]:
        raise TableError(f"{CONFIG}, {name}: expected a list of at least one entry")
    return settings[name]


def _text(entry: dict, name: str, where: str) -> str:
    if not isinstance(entry.get(name), str) or not entry[name].strip():
        raise TableError(f"{where}, {name}: {entry.get(name)!r} is not text")
    return entry[name]


def _choice(entry: dict, name: str, choices: tuple[str, ...], where: str) -> None:
    if _text(entry, name, where) not in choices:
        raise TableError(f"{where}, {name}: {entry[name]!r} is not one of {', '.join(choices)}")


def _unique(names: list[str], where: str) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise TableError(f"{CONFIG}, {where}: {repeated[0]!r} occurs more than once")
