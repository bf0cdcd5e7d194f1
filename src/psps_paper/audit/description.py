"""Read the results to check: a YAML description, a single league table, pasted text, or a dict."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from psps_paper.audit.layout import Grid, Raw, as_fractions, key, read_grid
from psps_paper.audit.model import Cell, Network, Printed, Table, scale_of
from psps_paper.audit.numbers import Number, Triple, plain, read_interval, read_number
from psps_paper.audit.pasted import read_pasted
from psps_paper.tables.limits import MAX_BYTES
from psps_paper.tables.workbook import check_package, sheet_names, workbook_lines
from psps_paper.tables.yaml_text import load_yaml

MOST_SHEETS = 30
SCHEMA = "1"
ORIENTATIONS = ("row versus column", "column versus row")
_TOP = ("schema", "title", "source", "networks", "percentages")
_NETWORK = (
    "name",
    "tables",
    "measure",
    "framework",
    "level",
    "better",
    "scores",
    "mean_ranks",
    "rank_probabilities",
    "best",
    "worst",
    "heterogeneity",
    "Q",
    "p_values",
    "z_values",
    "predictions",
)
_TABLE = (
    "file",
    "text",
    "sheet",
    "where",
    "holds",
    "triangle",
    "orientation",
    "decimals",
    "label_column",
    "reference",
    "columns",
)
HETEROGENEITY = (
    "tau2",
    "tau",
    "I2",
    "I2_lower",
    "I2_upper",
    "Q",
    "df",
    "p",
    "df_predict",
    "studies",
    "comparisons",
    "arms",
    "designs",
)
_WORDS = ("SMD", "WMD", "MD", "OR", "RR", "HR", "IRR", "RD")


def read_printed(source: str | Path | Mapping[str, Any], *, measure: str = "", name: str = "") -> Printed:
    """Read printed results from a file, a dict or pasted text.

    Parameters
    ----------
    source : str, Path or dict
        A path ending in .yml, .yaml, .csv, .tsv, .txt, .md or .xlsx; a text with line breaks is read as pasted text; a
        dict has the content of the YAML.
    measure : str
        Measure of a table without description ("SMD", "OR", ...), if its numbers do not show whether they are ratios.
    name : str
        Name of the text in messages.

    Raises
    ------
    ValueError
        Naming the file, the place in it, the text found, and the expectation.
    """
    if isinstance(source, Mapping):
        return _described(source, Path(), name or "description")
    if isinstance(source, str) and "\n" in source:
        return _bare(read_pasted(source, name or "pasted text"), name or "pasted text", measure)
    path = Path(source)
    if not path.is_file():
        raise ValueError(
            f"{path}: {'a folder' if path.is_dir() else 'there is no such file'}; expected a YAML description, or a"
            " CSV, XLSX or text file with a table"
        )
    if path.suffix.lower() in (".yml", ".yaml"):
        return _described(_yaml(path), path.parent, path.name)
    return _bare(_grids(path), path.stem, measure)


def _yaml(path: Path) -> Mapping[str, Any]:
    # Numbers are kept as typed, to preserve trailing zeros
    content = load_yaml(path, path.name, as_text=True)
    if not isinstance(content, Mapping):
        raise ValueError(f"{path.name}: holds no description; `psps-paper audit --template` writes one to fill in")
    return content


def _text(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"{path.name}: larger than {MAX_BYTES:,} bytes, the limit")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path.name}, line {line}: byte {content[error.start]:#04x} is not UTF-8; save the file as UTF-8"
        ) from None


def _grids(path: Path, sheet: str = "") -> list[Grid]:
    suffix = path.suffix.lower()
    if suffix == ".xlsx":
        return _sheets(path, sheet)
    text = _text(path)
    if suffix in (".csv", ".tsv"):
        delimiter = "\t" if suffix == ".tsv" else _delimiter(text)
        try:
            return [Grid(list(csv.reader(io.StringIO(text), delimiter=delimiter)), path.name)]
        except csv.Error as error:
            raise ValueError(f"{path.name}: {error}; expected values separated by commas, semicolons or tabs") from None
    if suffix in (".txt", ".md"):
        return read_pasted(text, path.name)
    raise ValueError(
        f"{path.name}: files ending in {suffix or 'nothing'} are not read; expected .yml, .csv, .tsv, .xlsx, .txt"
        " or .md"
    )


def _delimiter(text: str) -> str:
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(",;\t", key=lambda mark: (first.count(mark), mark == ","))


def _sheets(path: Path, sheet: str) -> list[Grid]:
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"{path.name}: larger than {MAX_BYTES:,} bytes, the limit")
    check_package(path.name, content)
    names = sheet_names(path.name, content)
    if sheet and sheet not in names:
        raise ValueError(f"{path.name}: there is no sheet {sheet!r}; expected one of {', '.join(names[:20])}")
    if len(names) > MOST_SHEETS and not sheet:
        raise ValueError(f"{path.name}: {len(names)} sheets; the limit is {MOST_SHEETS}")
    grids = []
    for name in [sheet] if sheet else names:
        rows, _, _ = workbook_lines(path.name, content, name, fill_merged=False)
        width = max(map(len, rows), default=0)
        if width:
            whole = [row + [""] * (width - len(row)) for row in rows]
            grids.append(
                Grid(
                    whole, f"{path.name}, sheet {name}" if len(names) > 1 else path.name, name if len(names) > 1 else ""
                )
            )
    if not grids:
        raise ValueError(f"{path.name}: every sheet is empty; expected a league table")
    return grids


# --- a table without description ----------------------------------------------------------------------


def _bare(grids: list[Grid], title: str, measure: str) -> Printed:
    networks = []
    for grid in grids:
        networks += [_from_raw(raw, raw.name or title, measure) for raw in read_grid(grid)]
    if len(networks) > 1 and len({network.name for network in networks}) == 1:
        networks = [replace(network, name=f"{network.name}, table {k + 1}") for k, network in enumerate(networks)]
    return Printed(title, "", tuple(networks))


def _from_raw(raw: Raw, name: str, measure: str) -> Network:
    """Make a network of a single table: triangles separate; orientation and scale open unless printed."""
    tables = tuple(
        _table(raw, area, "network", "", None)
        for area in ("lower", "upper", "list")
        if any(cell.area == area for cell in raw.cells)
    )
    measure = measure or next(
        (word for word in _WORDS if f" {word} " in f" {plain(raw.head).replace('(', ' ').replace(')', ' ')} "), ""
    )
    scale = scale_of(measure) if measure else ""
    if measure and not scale:
        raise ValueError(f"measure {measure!r}: expected one such as SMD, MD, OR, RR or HR")
    credible = re.search(r"\bCr[IL]\b|credible", " ".join([raw.head, *(cell.triple.text for cell in raw.cells)]))
    return Network(
        name,
        raw.treatments,
        tables,
        scale,
        "stated" if scale else "",
        "bayesian" if credible else "",
        scores=raw.scores,
        score_kind=raw.score_kind or "P-score",
        best=raw.best,
        worst=raw.worst,
        misplaced=raw.misplaced,
        notes=raw.notes,
    )


def _table(raw: Raw, area: str, holds: str, orientation: str, mapping: Mapping[str, str] | None) -> Table:
    """Read the cells of one area in the stated orientation, by default row versus column."""
    cells = []
    for cell in raw.cells:
        if cell.area != area:
            continue
        row, column = ((mapping or {}).get(key(label), label) for label in (cell.row, cell.column))
        first, second = (column, row) if orientation == "column versus row" else (row, column)
        cells.append(Cell(first, second, cell.triple, cell.where, cell.p, cell.z))
    stated = bool(orientation) or area == "list"
    return Table(tuple(cells), holds, area, orientation or "row versus column", stated)


# --- a description ------------------------------------------------------------------------------------


def _known(found: Mapping, allowed: tuple[str, ...], place: str) -> None:
    for name in found:
        if name not in allowed:
            raise ValueError(f"{place}: {name!r} is not known; expected one of {', '.join(allowed)}")


def _one_of(value: str, allowed: tuple[str, ...], place: str) -> str:
    if value not in allowed:
        raise ValueError(f"{place}: {value!r} is not one of {', '.join(allowed)}")
    return value


def _number(value: Any, place: str, *, fraction: bool = False) -> Number:
    number = read_number(str(value), percent_as_fraction=fraction)
    if number is None:
        raise ValueError(f"{place}: {str(value)!r} is not a number")
    return number


def _described(content: Mapping[str, Any], folder: Path, file: str) -> Printed:
    _known(content, _TOP, file)
    version = str(content.get("schema", ""))
    if version != SCHEMA:
        raise ValueError(f"{file}, schema: {version[:40]!r} is not {SCHEMA}, the one version that this program reads")
    listed = content.get("networks") or []
    if not isinstance(listed, list) or not (listed or content.get("percentages")):
        raise ValueError(f"{file}, networks: expected a list with at least one network")
    networks = tuple(_network(entry, folder, f"{file}, networks[{k + 1}]") for k, entry in enumerate(listed))
    percentages = []
    for k, entry in enumerate(content.get("percentages") or []):
        place = f"{file}, percentages[{k + 1}]"
        _known(entry, ("percent", "of"), place)
        number, people = (
            _number(entry.get("percent", ""), f"{place}, percent"),
            _number(entry.get("of", ""), f"{place}, of"),
        )
        if people.decimals or people.value < 1:
            raise ValueError(f"{place}, of: {people.text!r} is not a whole number of at least 1")
        percentages.append((number, int(people.value)))
    return Printed(str(content.get("title", file)), str(content.get("source", "")), networks, tuple(percentages))


def _network(entry: Mapping[str, Any], folder: Path, place: str) -> Network:
    _known(entry, _NETWORK, place)
    name = str(entry.get("name", "network"))
    listed = entry.get("tables") or []
    raws: list[tuple[Raw, Mapping[str, Any]]] = []
    for k, table in enumerate(listed):
        raws.append((_raw(table, folder, f"{place}, tables[{k + 1}]"), table))
    treatments, spelled = [], {}
    for raw, _ in raws:
        for label in raw.treatments:
            if key(label) not in spelled:
                spelled[key(label)] = label
                treatments.append(label)
    tables: list[Table] = []
    for k, (raw, table) in enumerate(raws):
        tables += _tables(raw, table, spelled, f"{place}, tables[{k + 1}]")
    measure = str(entry.get("measure", ""))
    scale = scale_of(measure) if measure else ""
    if measure and not scale:
        raise ValueError(f"{place}, measure: {measure!r} is unknown; expected one such as SMD, MD, OR, RR or HR")
    first = raws[0][0] if raws else None
    level = _number(entry.get("level", "95"), f"{place}, level").value
    level = level / 100 if level > 1 else level
    if not 0.5 <= level < 1:
        raise ValueError(f"{place}, level: {entry.get('level')!r}: expected percent, 50 to below 100")
    network = Network(
        name,
        tuple(treatments),
        tuple(tables),
        scale,
        "stated" if scale else "",
        framework=_one_of(str(entry.get("framework", "")), ("", "frequentist", "bayesian"), f"{place}, framework"),
        level=level,
        better=_one_of(str(entry.get("better", "")), ("", "lower", "higher"), f"{place}, better"),
        scores=first.scores if first else {},
        score_kind=(first.score_kind if first else "") or "P-score",
        best=first.best if first else {},
        worst=first.worst if first else {},
        heterogeneity=_heterogeneity(entry.get("heterogeneity") or {}, f"{place}, heterogeneity"),
        q_rows=_q_rows(entry.get("Q") or [], f"{place}, Q"),
        notes=tuple(note for raw, _ in raws for note in raw.notes),
        misplaced=tuple(one for raw, _ in raws for one in raw.misplaced),
    )
    return _with_lists(network, entry, spelled, place)


def _raw(table: Mapping[str, Any], folder: Path, place: str) -> Raw:
    _known(table, _TABLE, place)
    if ("file" in table) == ("text" in table):
        raise ValueError(f"{place}: expected either file or text, the table itself")
    if "file" in table:
        path = folder / str(table["file"])
        if not path.is_file():
            raise ValueError(f"{place}, file: there is no file {table['file']!r} beside the description")
        grids = _grids(path, str(table.get("sheet", "")))
    else:
        grids = read_pasted(str(table["text"]) + "\n", f"{place}, text")
    options: dict[str, Any] = {"reference": str(table.get("reference", "")), "columns": table.get("columns")}
    for name in ("label_column", "decimals"):
        if name in table:
            options[name] = int(_number(table[name], f"{place}, {name}").value)
    raws = [raw for grid in grids for raw in read_grid(_part(grid, table.get("where"), place), **options)]
    if len(raws) > 1:
        raise ValueError(
            f"{place}: holds {len(raws)} tables ({', '.join(raw.name for raw in raws[:6])}); "
            "expected where: to say which, by the head of a column and its value"
        )
    return raws[0]


def _part(grid: Grid, where: Mapping[str, str] | None, place: str) -> Grid:
    """Keep the rows whose column has the stated value; other rows are emptied to preserve row numbers."""
    if not where:
        return grid
    head = next(row for row in grid.rows if any(cell.strip() for cell in row))
    kept = grid.rows
    for name, value in where.items():
        column = next((k for k, cell in enumerate(head) if key(cell) == key(name)), None)
        if column is None:
            raise ValueError(
                f"{place}, where: no column is named {name!r}; expected one of {', '.join(filter(None, head))}"
            )
        kept = [
            row if row is head or (column < len(row) and key(row[column]) == key(str(value))) else [""] * len(row)
            for row in kept
        ]
        if not any(any(row) for row in kept if row is not head):
            raise ValueError(f"{place}, where: no row has {value!r} in column {name!r}")
    return replace(grid, rows=kept, name=", ".join(map(str, where.values())))


def _tables(raw: Raw, table: Mapping[str, Any], spelled: Mapping[str, str], place: str) -> list[Table]:
    holds = _one_of(str(table.get("holds", "network")), ("network", "direct"), f"{place}, holds")
    orientation = str(table.get("orientation", ""))
    if orientation:
        _one_of(orientation, ORIENTATIONS, f"{place}, orientation")
    present = [area for area in ("lower", "upper", "list") if any(cell.area == area for cell in raw.cells)]
    wanted = _one_of(str(table.get("triangle", "both")), ("lower", "upper", "both"), f"{place}, triangle")
    chosen = [area for area in present if wanted == "both" or area in (wanted, "list")]
    if not chosen:
        raise ValueError(f"{place}, triangle: the {wanted} triangle holds no estimate; expected {' or '.join(present)}")
    return [_table(raw, area, holds, orientation, spelled) for area in chosen]


def _heterogeneity(entry: Mapping[str, Any], place: str) -> dict[str, Number]:
    _known(entry, HETEROGENEITY, place)
    values = {}
    for name, value in entry.items():
        number = _number(value, f"{place}, {name}", fraction=True)
        if name.startswith("I2") and "%" not in number.text and number.value > 1:
            number = number.over(100)
        if number.value < 0:
            raise ValueError(f"{place}, {name}: {number.text!r} is below 0")
        values[name] = number
    return values


def _q_rows(entries: list, place: str) -> tuple[tuple[str, Number, Number, Number | None], ...]:
    rows = []
    for k, entry in enumerate(entries):
        here = f"{place}[{k + 1}]"
        _known(entry, ("name", "Q", "df", "p"), here)
        p = _number(entry["p"], f"{here}, p") if "p" in entry else None
        rows.append(
            (
                str(entry.get("name", f"row {k + 1}")),
                _number(entry.get("Q", ""), f"{here}, Q"),
                _number(entry.get("df", ""), f"{here}, df"),
                p,
            )
        )
    return tuple(rows)


def _with_lists(network: Network, entry: Mapping[str, Any], spelled: dict[str, str], place: str) -> Network:
    """Add the values that are listed by treatment or by pair to the network."""

    notes = list(network.notes)

    def treatment(label: Any, where: str, *, ranked: bool = False) -> str:
        if key(str(label)) in spelled:
            return spelled[key(str(label))]
        if ranked and network.tables:
            notes.append(
                f"{label} has a rank but stands in no table: is it a treatment of its own, or another spelling?"
            )
        elif network.tables:
            raise ValueError(f"{where}: {str(label)!r} is in no table; expected one of {', '.join(network.treatments)}")
        spelled[key(str(label))] = str(label)
        return str(label)

    changes: dict[str, Any] = {}
    for name in ("scores", "mean_ranks", "best", "worst"):
        values = dict(entry.get(name) or {})
        if name == "scores" and values:
            changes["score_kind"] = _one_of(
                str(values.pop("kind", "P-score")), ("P-score", "SUCRA"), f"{place}, scores, kind"
            )
        numbers = {
            treatment(label, f"{place}, {name}", ranked=True): _number(value, f"{place}, {name}, {label}")
            for label, value in values.items()
        }
        if numbers:
            changes[name] = numbers if name == "mean_ranks" else _as_fractions(numbers)
    rows = {}
    for label, values in (entry.get("rank_probabilities") or {}).items():
        here = f"{place}, rank_probabilities, {label}"
        rows[treatment(label, here, ranked=True)] = {str(k): _number(value, here) for k, value in enumerate(values)}
    if rows:
        percent = any(
            number.value > 1 or "%" in number.text for numbers in rows.values() for number in numbers.values()
        )
        changes["rank_probabilities"] = {
            label: tuple(number.over(100 if percent else 1) for number in numbers.values())
            for label, numbers in rows.items()
        }
    tables = list(network.tables)
    for name, kind in (("p_values", "p"), ("z_values", "z")):
        for k, row in enumerate(entry.get(name) or []):
            here = f"{place}, {name}[{k + 1}]"
            _known(row, ("treat1", "treat2", kind), here)
            pair = frozenset((treatment(row.get("treat1"), here), treatment(row.get("treat2"), here)))
            tables = _with_value(tables, pair, kind, _number(row.get(kind, ""), here), here)
    changes["tables"] = tuple(tables)
    changes["predictions"] = tuple(
        _prediction(row, treatment, f"{place}, predictions[{k + 1}]")
        for k, row in enumerate(entry.get("predictions") or [])
    )
    missing = [label for label in spelled.values() if label not in network.treatments]
    return replace(network, treatments=(*network.treatments, *missing), notes=tuple(notes), **changes)


def _as_fractions(numbers: dict[str, Number]) -> dict[str, Number]:
    return as_fractions(numbers, percent=any(number.value > 1 or "%" in number.text for number in numbers.values()))


def _with_value(tables: list[Table], pair: frozenset[str], kind: str, number: Number, place: str) -> list[Table]:
    changed, found = [], False
    for table in tables:
        cells = []
        for cell in table.cells:
            if table.holds == "network" and {cell.treat1, cell.treat2} == pair:
                cell, found = replace(cell, **{kind: number}), True
            cells.append(cell)
        changed.append(replace(table, cells=tuple(cells)))
    if not found:
        raise ValueError(f"{place}: no cell compares {' and '.join(sorted(pair))}; expected a comparison of the tables")
    return changed


def _prediction(row: Mapping[str, Any], treatment, place: str) -> Cell:
    _known(row, ("treat1", "treat2", "interval", "estimate"), place)
    limits = read_interval(str(row.get("interval", "")))
    if limits is None:
        raise ValueError(f"{place}, interval: {row.get('interval')!r} is not two limits such as -0.3 to 0.9")
    estimate = _number(row["estimate"], f"{place}, estimate") if "estimate" in row else Number("", float("nan"), 0)
    return Cell(
        treatment(row.get("treat1"), place),
        treatment(row.get("treat2"), place),
        Triple(estimate, *limits, str(row["interval"])),
        place,
    )
