"""Convert rows of effects, in any form that papers print, to contrasts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from psps_paper.effects import effect_from_interval, effect_from_p
from psps_paper.living.cells import Reading, _Cells, _lines, _some_rows
from psps_paper.living.formats import (
    COLUMN_KINDS,
    CONTRAST_COLUMNS,
    DIFFERENCES,
    LOGS,
    RATIOS,
    REVMAN_5_EFFECTS,
    REVMAN_WEB_EFFECTS,
    Layout,
    plain,
)
from psps_paper.living.model import ARM_COLUMNS, LOG_MEASURES, Estimates, Options
from psps_paper.living.revman import revman_5_effects, revman_web_effects
from psps_paper.network.completion import complete_contrasts
from psps_paper.tables.errors import TableError

_ANY_SCALE = ("es", "effectsize", "effect", "estimate", "effectestimate", "metaes")  # names that tell no scale
_PREPARED = {REVMAN_5_EFFECTS: revman_5_effects, REVMAN_WEB_EFFECTS: revman_web_effects}
_ASYMMETRIC = 0.1  # as a fraction of the width: rounding can cause this much where the width is ten units


def from_contrasts(cells: pd.DataFrame, reading: Reading) -> Estimates:
    """Read contrasts from rows that hold them."""
    layout, reader, options, log = reading.layout, reading.cells, reading.options, reading.log
    outcome = reading.outcome
    _check_scale(layout, reader.file, options, outcome)
    n_read = len(cells) + len(log.listed)
    if layout.format in _PREPARED:
        cells = _PREPARED[layout.format](cells, reading)
    rows = (
        _relative(cells, layout, reader, options)
        if layout.shape == "relative"
        else _pairs(cells, layout, reader, options)
    )
    _check_ratios(rows, layout, reader.file, outcome)
    kept = []
    conversions: dict[str, list[object]] = {}
    for row in rows:
        missing = _effect(row, layout, reader, conversions)
        if missing:
            log.set_aside(row["rows"], row["study"], f"no {' and no '.join(missing)}")
        else:
            kept.append(row)
    if outcome["measure"] in LOG_MEASURES and plain(layout.columns.get("te", "")) in _ANY_SCALE:
        log.record(f"column {layout.columns['te']} was taken to hold the logarithm of {outcome['measure']}")
    uneven = _asymmetric(kept) if "ratio" not in layout.columns else []
    if uneven:
        log.record(
            f"the estimate does not lie in the middle of its interval, so check its scale: row {_some_rows(uneven)}"
        )
    apart = _disagreeing(kept) if "ratio" not in layout.columns else []
    if apart:
        log.record(
            "the interval does not agree with the standard error, which was used; check whether it is an SD or of"
            f" another scale: row {_some_rows([row for row in apart if row not in uneven] or apart)}"
        )
    log.record(*(f"{sentence}: row {_some_rows(found)}" for sentence, found in conversions.items()))
    names = [*CONTRAST_COLUMNS, "rows", "se_baseline"]
    table = pd.DataFrame(kept, columns=names).astype({"te": float, "se": float, "se_baseline": float})
    if table["se_baseline"].notna().any():
        table = _completed(table, reading)
    contrasts = table[names[:-1]].copy()
    if options.reverse:
        contrasts["te"] = -contrasts["te"]
        log.record("the sign of te was turned, as asked")
    return Estimates(contrasts, pd.DataFrame(columns=ARM_COLUMNS), n_read, "rows")


def _check_scale(layout: Layout, file: str, options: Options, outcome: Mapping) -> None:
    """Refuse columns whose names suggest a measure other than the outcome's, or a ratio instead of its logarithm."""
    measure = outcome["measure"]
    for target in ("te", "ratio", "se"):
        column = layout.columns.get(target, "")
        name = plain(column)
        for other, ratios in RATIOS.items():
            is_ratio, is_log = (
                name in ratios,
                name in LOGS[other] or (target == "se" and any(log in name for log in LOGS[other])),
            )
            if target == "te" and is_ratio:
                raise TableError(
                    f"{file}: column {column!r} holds ratios, by its name, but te of {measure} is on the log scale; "
                    f"--map 'ratio={column}' takes its logarithm"
                )
            if (is_ratio or is_log) and other != measure and options.mapping.get(target) != column:
                raise TableError(
                    f"{file}: column {column!r} holds {'log ' * is_log}{other}, by its name, but outcome"
                    f" {outcome['outcome']} is measured as {measure} in outcomes.csv; choose another with --outcome, or"
                    f" use --map '{target}={column}'"
                )
    _check_difference(layout, file, options, outcome)
    for column in (layout.columns.get("lower", ""), layout.columns.get("upper", "")):
        level = re.search(r"(\d\d(\.\d+)?) ?%", column)
        if level and float(level[1]) != 95:
            raise TableError(
                f"{file}: column {column!r} holds a limit of an interval of {level[1]} %, and 95 % is expected; give"
                " the standard error in a column se"
            )
    if "ratio" in layout.columns and measure not in LOG_MEASURES:
        raise TableError(
            f"{file}: column {layout.columns['ratio']!r} holds ratios, but outcome {outcome['outcome']} is measured as"
            f" {measure}"
        )
    if "ratio" in layout.columns and not {"lower", "upper"} <= set(layout.columns) and "p" not in layout.columns:
        raise TableError(
            f"{file}: column {layout.columns['ratio']!r} holds ratios, and column"
            f" {layout.columns.get('se', layout.columns.get('variance'))!r} may be of the ratio or of its logarithm;"
            " give the limits of the interval (lower, upper) instead, or the logarithm as te"
        )


def _check_difference(layout: Layout, file: str, options: Options, outcome: Mapping) -> None:
    """Refuse a column whose name suggests a difference other than the outcome's."""
    column = layout.columns.get("te", "")
    for other, names in DIFFERENCES.items():
        if plain(column) in names and other != outcome["measure"] and options.mapping.get("te") != column:
            raise TableError(
                f"{file}: column {column!r} holds {other}, by its name, but outcome {outcome['outcome']} is measured as"
                f" {outcome['measure']} in outcomes.csv; choose another with --outcome, or use --map 'te={column}'"
            )


def _read_value(reader: _Cells, layout: Layout, row: object, line: Mapping[str, str], name: str) -> float:
    column = layout.columns.get(name)
    return math.nan if column is None else reader.number(row, column, line[column], COLUMN_KINDS[name])


def _study(reader: _Cells, layout: Layout, options: Options, row: object, line: Mapping[str, str]) -> str:
    """Read the study's label, joining author and year if they are in separate columns."""
    if "study" in options.constants:
        return reader.label(row, "--set study", options.constants["study"], treatment=False)
    label = reader.label(row, layout.columns["study"], line[layout.columns["study"]], treatment=False)
    year = line[layout.columns["year"]].strip() if "year" in layout.columns else ""
    # Smith 2001a has its year
    return f"{label} {year}" if year and not re.search(rf"{re.escape(year)}[a-z]?\)?$", label) else label


def _read_numbers(reader: _Cells, layout: Layout, row: object, line: Mapping[str, str]) -> dict[str, object]:
    """Read te, ratio and se; if se is missing, also the columns that can replace it."""
    values = {name: _read_value(reader, layout, row, line, name) for name in ("te", "ratio", "se", "se_baseline")}
    if math.isnan(values["se"]) or "ratio" in layout.columns:
        values |= {name: _read_value(reader, layout, row, line, name) for name in ("lower", "upper")}
        # Beside an interval a p-value such as <0.001 is not needed
        missing = math.isnan(values["lower"]) or math.isnan(values["upper"])
        for name in ("p", "variance"):
            values[name] = _read_value(reader, layout, row, line, name) if missing else math.nan
    elif {"lower", "upper"} <= set(layout.columns):
        values |= _limits_beside(reader, layout, row, line)
    return values


def _limits_beside(reader: _Cells, layout: Layout, row: object, line: Mapping[str, str]) -> dict[str, object]:
    """Read the limits beside a standard error, which only check it; a limit that is no number checks nothing."""
    try:
        return {name: _read_value(reader, layout, row, line, name) for name in ("lower", "upper")}
    except TableError:
        return {}


def _pairs(cells: pd.DataFrame, layout: Layout, reader: _Cells, options: Options) -> list[dict]:
    rows = []
    for row, line in _lines(cells):
        values: dict[str, object] = {"study": _study(reader, layout, options, row, line)}
        for name in ("treat1", "treat2"):
            column = f"--set {name}" if name in options.constants else layout.columns[name]
            values[name] = reader.label(row, column, options.constants.get(name) or line[column], treatment=True)
        if values["treat1"] == values["treat2"]:
            reader.fail(
                row, layout.columns.get("treat2", "treat2"), str(values["treat2"]), "different from the first treatment"
            )
        rows.append({**values, **_read_numbers(reader, layout, row, line), "rows": str(row)})
    return rows


def _relative(cells: pd.DataFrame, layout: Layout, reader: _Cells, options: Options) -> list[dict]:
    """Read effects relative to each study's baseline arm, the one whose row has no effect."""
    arms: dict[str, list[dict]] = {}
    for row, line in _lines(cells):
        study = _study(reader, layout, options, row, line)
        treatment = reader.label(row, layout.columns["treatment"], line[layout.columns["treatment"]], treatment=True)
        arms.setdefault(study, []).append(
            {"study": study, "treat1": treatment, **_read_numbers(reader, layout, row, line), "row": row}
        )
    rows = []
    for study, mine in arms.items():
        baselines = [arm for arm in mine if math.isnan(arm["te"])]
        if len(baselines) != 1 or len(mine) == 1:
            raise TableError(
                f"{reader.file}: study {study!r} has {len(baselines)} of {len(mine)} rows without"
                f" {layout.columns['te']} (row {_some_rows([arm['row'] for arm in mine])}); expected one, its baseline"
                " arm, and others"
            )
        base = baselines[0]
        for arm in mine:
            if arm is base:
                continue
            if arm["treat1"] == base["treat1"]:
                reader.fail(
                    arm["row"],
                    layout.columns["treatment"],
                    arm["treat1"],
                    f"another treatment than the baseline of {study}",
                )
            rows.append(
                {**arm, "treat2": base["treat1"], "se_baseline": base["se"], "rows": f"{arm['row']}, {base['row']}"}
            )
    return rows


def _check_ratios(rows: list[dict], layout: Layout, file: str, outcome: Mapping) -> None:
    """Refuse effects whose intervals are symmetric on the log scale, where logarithms are expected already."""
    limited = [
        row
        for row in rows
        if not math.isnan(row["te"])
        and "lower" in row
        and row["te"] > 0
        and row["lower"] > 0
        and row["upper"] > row["lower"]
    ]
    if outcome["measure"] not in LOG_MEASURES or not limited or any(row["te"] <= 0 for row in rows):
        return
    te, lower, upper = np.array([[row["te"], row["lower"], row["upper"]] for row in limited]).T
    plainly = np.abs(te - (lower + upper) / 2) / (upper - lower)
    as_ratio = np.abs(np.log(te) - np.log(lower * upper) / 2) / np.log(upper / lower)
    if plainly.mean() > 2 * as_ratio.mean():
        column = layout.columns["te"]
        raise TableError(
            f"{file}: the intervals around column {column!r} are symmetric on the log scale, so it seems to hold"
            f" ratios, not logarithms; --map 'ratio={column}' takes the logarithm"
        )


def _effect(row: dict, layout: Layout, reader: _Cells, conversions: dict[str, list[object]]) -> list[str]:
    """Fill in te and se of a row from equivalent columns, and return the columns that are missing."""
    columns = layout.columns
    scale = "ratio" if "ratio" in columns else "difference"
    label = row["rows"].partition(",")[0]
    if scale == "ratio":
        given = row["ratio"]
        if not math.isnan(given):
            row["te"] = math.log(given)
            conversions.setdefault(f"the logarithm was taken of column {columns['ratio']}", []).append(label)
        row["se"] = math.nan
    else:
        given = row["te"]
    effect = columns.get("te") or columns.get("ratio")
    if math.isnan(given):
        return [effect, *([columns["se"]] if "se" in columns and math.isnan(row["se"]) else [])]
    if math.isnan(row["se"]):
        try:
            sentence = _set_se(row, given, scale, columns)
        except ValueError as error:
            raise TableError(
                f"{reader.file}, row {label}, {str(error).removeprefix('input, ').removeprefix('row 0, ')}"
            ) from None
        if not sentence:
            instead = [columns[name] for name in ("lower", "upper", "p", "variance") if name in columns]
            return [columns.get("se") or " or ".join(instead)]
        conversions.setdefault(sentence, []).append(label)
        if not 1e-9 <= row["se"] <= 1e9:
            raise TableError(
                f"{reader.file}, row {label}: this gives a standard error of {row['se']:g}, which is not of a plausible"
                " size"
            )
    return []


def _set_se(row: dict, given: float, scale: str, columns: Mapping[str, str]) -> str:
    """Set se from the limits, variance or p of a row; return a sentence naming the source, empty if there is none."""
    if not math.isnan(row["lower"]) and not math.isnan(row["upper"]):
        row["se"] = float(effect_from_interval(row["lower"], row["upper"], te=given, scale=scale).se)
        logs = "the logarithms of " if scale == "ratio" else ""
        return (
            f"se was taken from {logs}the limits of the 95 % interval, (upper - lower) / 3.92: column"
            f" {columns['lower']} and {columns['upper']}"
        )
    if scale == "difference" and not math.isnan(row["variance"]):
        row["se"] = math.sqrt(row["variance"])
        return f"se is the square root of the variance: column {columns['variance']}"
    if not math.isnan(row["p"]):
        row["se"] = float(effect_from_p(given, row["p"], scale=scale).se)
        return f"se was taken from the two-sided p-value: column {columns['p']}"
    return ""


def _asymmetric(rows: list[dict]) -> list[str]:
    return [
        row["rows"]
        for row in rows
        if "lower" in row
        and abs(row["te"] - (row["lower"] + row["upper"]) / 2) > _ASYMMETRIC * (row["upper"] - row["lower"])
    ]


def _disagreeing(rows: list[dict]) -> list[str]:
    """Return rows whose interval is less than half or more than twice as wide as the standard error tells."""
    return [
        row["rows"]
        for row in rows
        if row.get("upper", math.nan) > row.get("lower", math.nan)
        and not 0.5 < (row["upper"] - row["lower"]) / (3.92 * row["se"]) < 2
    ]


def _completed(table: pd.DataFrame, reading: Reading) -> pd.DataFrame:
    """Add the contrasts that follow from the standard error of a shared baseline arm."""
    try:
        full = complete_contrasts(table)
    except ValueError as error:
        raise TableError(f"{reading.file}: {error}") from None
    added = full["completed"].to_numpy(bool)
    if added.any():
        rows = table.groupby("study")["rows"].agg(lambda own: ", ".join(dict.fromkeys(", ".join(own).split(", "))))
        full.loc[added, "rows"] = full.loc[added, "study"].map(rows)
        names = [f"{row.study}: {row.treat1} against {row.treat2}" for row in full[added].itertuples()]
        reading.log.record(
            "contrasts were completed from the standard error of the shared baseline arm: "
            + "; ".join(names[:20])
            + (" and more" if len(names) > 20 else "")
        )
    return full.reset_index(drop=True)
