"""Convert arms in any layout to contrasts."""

from __future__ import annotations

import math
import re
from collections import Counter

import numpy as np
import pandas as pd

from psps_paper.effects import contrasts_from_arms, effect_sizes, impute_sd, mean_sd_from_quantiles
from psps_paper.living.cells import NO_NUMBER, Reading, _lines, _some_rows
from psps_paper.living.contrasts import _study
from psps_paper.living.formats import ARM_NUMBERS, COLUMN_KINDS, CONTRAST_COLUMNS, REVMAN_5, plain
from psps_paper.living.model import ARM_COLUMNS, LOG_MEASURES, Estimates, ImportLog
from psps_paper.living.revman import revman_5_arms
from psps_paper.tables.errors import TableError
from psps_paper.tables.limits import MAX_ESTIMATES, MAX_ROWS

HEDGES = {
    "exact": "Hedges' correction",
    "approximate": "Hedges' approximate correction",
    "none": "no small-sample correction",
}
_ERRORS = re.compile(r"se|semean|sem|.*(stderr|stderror|standarderror).*")
QUANTILES = ("median", "q1", "q3", "minimum", "maximum")
_CONTINUOUS = ["n", "mean", "sd", "se", "sd_baseline", *QUANTILES]
WANTED = {
    "SMD": _CONTINUOUS,
    "MD": _CONTINUOUS,
    "ROM": _CONTINUOUS,
    "OR": ["n", "events"],
    "RR": ["n", "events"],
    "RD": ["n", "events"],
    "IRR": ["events", "time"],
}


def from_arms(cells: pd.DataFrame, reading: Reading) -> Estimates:
    """Compute the contrast of each pair of arms of a study, from rows that hold arms."""
    outcome, log = reading.outcome, reading.log
    measure = outcome["measure"]
    _check_columns(reading)
    if reading.layout.format == REVMAN_5:
        cells = revman_5_arms(cells, reading)
    long = _one_row_per_arm(cells, reading)
    if measure == "IRR" and "time" not in {name.rstrip("0123456789") for name in reading.options.mapping}:
        _check_follow_up(long, cells, reading)
    unit = "rows" if reading.layout.shape == "long" else "arms"
    # A row set aside as a whole counts once; otherwise a wide file is counted in arms
    n_read = len(long) + len(log.listed)
    long = _without_repeated_arms(long, cells, reading)
    if "mean" in WANTED[measure]:
        long = _convert_errors(long, log)
        long = _convert_quantiles(long, reading)
        long = _impute(long, reading)
    long = _with_other_arms(long, log)
    if long.empty:
        contrasts = pd.DataFrame(columns=[*CONTRAST_COLUMNS, "rows"])
        return Estimates(contrasts, pd.DataFrame(columns=ARM_COLUMNS), n_read, unit)
    _check_sizes(long, reading.file)
    contrasts, excluded = _effects(long, measure, outcome, reading.file)
    for row, study, treatment, reason in excluded.to_numpy(object):
        reason = "events not given" if reason == "no events" else reason
        log.set_aside(long["rows"][row], study, f"{treatment}: {reason}")
    used = long[~long.index.isin(excluded["row"])]
    contrasts["rows"] = _rows_behind(contrasts, used)
    _log_corrections(used, measure, outcome, log)
    log.record(f"{measure} of each pair of arms of a study, treat1 minus treat2{_how_computed(outcome)}")
    if outcome["scale_desirable"] != outcome["te_desirable"]:
        contrasts["te"] = -contrasts["te"]
        log.record(
            f"the sign of te was turned, because {outcome['scale_desirable']} values of the scale are desirable "
            f"and outcomes.csv requires that {outcome['te_desirable']} te favours the first-named treatment"
        )
    return Estimates(contrasts, _with_all_columns(used, outcome["outcome"]), n_read, unit)


def _check_columns(reading: Reading) -> None:
    """Refuse a measure that cannot be computed from arms, and columns that do not provide what it needs."""
    measure, layout = reading.outcome["measure"], reading.layout
    if measure not in WANTED:
        raise TableError(
            f"{reading.file}: outcome {reading.outcome['outcome']} is measured as {measure}, but arms only give"
            f" {', '.join(WANTED)}; import contrasts"
        )
    if measure == "IRR" and not all("time" in part for part in layout.arms.values() or [layout.columns]):
        raise TableError(
            f"{reading.file}: no column holds the person-time of each arm, which {measure} requires; name it with --map"
            " time=COLUMN"
        )
    sds = [part["sd"] for part in (layout.columns, *layout.arms.values()) if "sd" in part]
    if any(_ERRORS.fullmatch(plain(column).rstrip("0123456789")) for column in sds):
        raise TableError(
            f"{reading.file}: a column named as standard errors is mapped to sd; --map se=COLUMN reads them as such"
        )


def _with_other_arms(long: pd.DataFrame, log: ImportLog) -> pd.DataFrame:
    """Keep the arms whose study has another arm in the file, and set the others aside."""
    arms_of = Counter(long["study"])
    alone = np.array([arms_of[study] < 2 for study in long["study"]], bool)
    for rows, study, treatment in long.loc[alone, ["rows", "study", "treatment"]].to_numpy(object):
        log.set_aside(rows, study, f"{treatment}: the study has no other arm in the file")
    return long[~alone]


def _rows_behind(contrasts: pd.DataFrame, used: pd.DataFrame) -> list[str]:
    """List the rows of the file that hold the two arms of each contrast."""
    rows_of = {
        (study, treatment): rows
        for study, treatment, rows in zip(used["study"], used["treatment"], used["rows"], strict=True)
    }
    return [
        ", ".join(dict.fromkeys([rows_of[study, treat1], rows_of[study, treat2]]))
        for study, treat1, treat2 in zip(contrasts["study"], contrasts["treat1"], contrasts["treat2"], strict=True)
    ]


def _how_computed(outcome: pd.Series) -> str:
    if outcome["measure"] == "SMD":
        return f", SD pooled over its arms, {HEDGES[outcome['correction']]}"
    return ", on the log scale" if outcome["measure"] in LOG_MEASURES else ""


def _with_all_columns(used: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """Give the arms all columns of ``arms.csv``."""
    given = {name: used[name].array for name in ARM_COLUMNS if name in used.columns}
    unknown = dict.fromkeys(("n", "mean", "sd", "events", "time"), np.nan)
    return pd.DataFrame(unknown | {"outcome": outcome} | given)[ARM_COLUMNS]


def _check_follow_up(long: pd.DataFrame, cells: pd.DataFrame, reading: Reading) -> None:
    """Refuse a time column that is equal in arms of unequal size: it is probably the follow-up of each person."""
    layout, reader = reading.layout, reading.cells
    parts = list(layout.arms.values()) or [layout.columns]
    column = parts[0]["time"]
    if plain(column).rstrip("0123456789") != "time" or not all("n" in part for part in parts):
        return
    size = [reader.number(row, part["n"], line[part["n"]], "number") for row, line in _lines(cells) for part in parts]
    if len(size) != len(long):  # a wide file with empty arms
        return
    for study, arms in long.assign(size=size).groupby("study", sort=False):
        if len(arms) > 1 and arms["time"].nunique() == 1 and arms["size"].nunique() > 1:
            raise TableError(
                f"{reading.file}: column {column!r} is {arms['time'].iloc[0]:g} in all arms of study {study!r}, whose"
                " sizes differ, so it may be the follow-up of each person; multiply it by the number of people, or,"
                f" if it is person-time, use --map 'time{'1' if layout.arms else ''}={column}'"
            )


def _check_sizes(long: pd.DataFrame, file: str) -> None:
    """Refuse arms that would give more contrasts than the limit, before computing them."""
    sizes = long["study"].value_counts()
    pairs = sizes * (sizes - 1) // 2
    if pairs.iloc[0] > MAX_ESTIMATES:
        raise TableError(
            f"{file}: study {sizes.index[0]!r} has {sizes.iloc[0]:,} arms, which give {pairs.iloc[0]:,} estimates; the"
            f" limit is {MAX_ESTIMATES:,}"
        )
    if pairs.sum() > MAX_ROWS:
        raise TableError(f"{file}: the arms give {pairs.sum():,} contrasts, the limit is {MAX_ROWS:,}")


def _effects(long: pd.DataFrame, measure: str, outcome, file: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute the contrasts of arms, and list the arms that give none: DataFrame [row, study, treatment, reason]."""
    increment = float(outcome["increment"])
    try:
        if measure in ("SMD", "MD", "OR", "RD"):
            found = contrasts_from_arms(
                long,
                measure=measure,
                correction=outcome["correction"],
                continuity=outcome["continuity"],
                increment=increment,
                source=file,
            )
            return found.table.copy(), found.excluded
        rule = {"zero_cells": "only0"}.get(outcome["continuity"], outcome["continuity"])
        options = {} if measure == "ROM" else {"continuity": rule, "increment": increment, "double_zero": "drop"}
        table = effect_sizes(long, measure, source=file, **options)
    except TableError:
        raise
    except ValueError as error:
        raise TableError(str(error)) from None
    reasons = {
        (study, name): reason for study, *names, reason in table.excluded.to_numpy(object) for name in names if name
    }
    kept = {(row.study, name) for row in table.itertuples() for name in (row.treat1, row.treat2)}
    out = [
        (row, *arm, reasons.get(arm, "gives no estimate"))
        for row, arm in zip(long.index, zip(long["study"], long["treatment"], strict=True), strict=True)
        if arm not in kept
    ]
    return table.to_frame().copy(), pd.DataFrame(out, columns=["row", "study", "treatment", "reason"])


def _log_corrections(used: pd.DataFrame, measure: str, outcome: pd.Series, log: ImportLog) -> None:
    """Log which studies received a continuity correction, and its size."""
    if measure not in ("OR", "RR", "RD", "IRR") or outcome["continuity"] == "none":
        return
    empty = used["events"].eq(0) | (used["events"].eq(used["n"]) if "n" in used else False)
    studies = used["study"] if outcome["continuity"] == "all" else used.loc[empty, "study"]
    if len(studies):
        what = "for its variance only" if measure == "RD" else "before its logarithm is taken"
        log.record(
            f"{float(outcome['increment']):g} was added to each cell of studies"
            f" {'' if outcome['continuity'] == 'all' else 'with an empty cell '}({outcome['continuity']} in"
            f" outcomes.csv), {what}: {_some_rows(list(dict.fromkeys(studies)))}"
        )


def _convert_errors(long: pd.DataFrame, log: ImportLog) -> pd.DataFrame:
    """Compute the SD from the standard error of the mean where no SD is reported."""
    if "se" not in long:
        return long
    from_error = long["sd"].isna() & long["se"].notna() & long["n"].notna()
    both = long["sd"].notna() & long["se"].notna() & ((long["se"] * np.sqrt(long["n"]) / long["sd"]).sub(1).abs() > 0.1)
    if from_error.any():
        log.record(
            "SD from the standard error of the mean (SE times the root of n): row "
            + _some_rows(list(long.index[from_error]))
        )
    if both.any():
        log.record(
            "the SD was used where it does not match the standard error (SE times the root of n): row "
            + _some_rows(list(long.index[both]))
        )
    return long.assign(sd=long["sd"].where(~from_error, long["se"] * np.sqrt(long["n"]))).drop(columns="se")


def _suspected_errors(arms: pd.DataFrame) -> list[str]:
    """List notes on studies whose SDs may be standard errors.

    Such SDs are far smaller than those of the other studies, and similar to them when multiplied by the root of n.
    """
    known = arms[arms["sd"].notna() & arms["n"].notna()]
    if known["study"].nunique() < 2:
        return []
    logs = np.log(known["sd"].to_numpy(float))
    as_error = logs + np.log(known["n"].to_numpy(float)) / 2
    study = known["study"].to_numpy(object)
    notes = []
    for name in dict.fromkeys(study):
        mine = study == name
        others = float(np.median(logs[~mine]))
        gap = others - float(logs[mine].mean())
        if gap > np.log(3) and abs(float(as_error[mine].mean()) - others) < min(np.log(2), gap / 2):
            values, rest = (", ".join(f"{value:g}" for value in known.loc[part, "sd"][:4]) for part in (mine, ~mine))
            beside = _some_rows(list(dict.fromkeys(study[~mine]))[:3])
            notes.append(
                f"the SDs of {name} ({values}) are about 1/{np.exp(gap):.0f} of those of {beside} ({rest}) and may be"
                " standard errors; if so, give them in a column se"
            )
    return notes[:20]


def _one_row_per_arm(cells: pd.DataFrame, reading: Reading) -> pd.DataFrame:
    """Reshape to one row per arm: DataFrame [study, treatment, the numbers that the measure needs, rows]."""
    layout, reader, options = reading.layout, reading.cells, reading.options
    wanted = WANTED[reading.outcome["measure"]]
    rows, index = [], []
    for row, line in _lines(cells):
        study = _study(reader, layout, options, row, line)
        arms = layout.arms.items() if layout.shape == "wide" else [("", layout.columns)]
        for number, columns in arms:
            constant = options.constants.get(f"treat{number}") or options.constants.get("treatment")
            constant = constant or layout.names.get(number or 0)
            treatment = "" if constant or "treatment" not in columns else line[columns["treatment"]]
            given = [name for name in wanted if name in columns and line[columns[name]].lower() not in NO_NUMBER]
            if layout.shape == "wide" and number > 2 and treatment.lower() in NO_NUMBER and not given:
                continue
            if number in layout.names and not given:  # a treatment that this study did not have
                continue
            if not constant and "treatment" not in columns:
                raise TableError(
                    f"{reader.file}: no column names the treatment of arm {number}; give it with --set"
                    f" treat{number}=NAME"
                )
            label = reader.label(
                row, columns.get("treatment", f"--set treat{number}"), constant or treatment, treatment=True
            )
            values = {
                name: reader.number(row, columns[name], line[columns[name]], COLUMN_KINDS[name])
                for name in wanted
                if name in columns
            }
            if values.get("events", 0) > values.get("n", math.inf):
                reader.fail(
                    row,
                    columns["events"],
                    line[columns["events"]],
                    f"at most the number of people, {line[columns['n']]}",
                )
            rows.append({"study": study, "treatment": label, **values, "rows": str(row)})
            index.append(f"{row}" if layout.shape == "long" else f"{row} (arm {number})")
    names = ["study", "treatment", *[name for name in ARM_NUMBERS if name in wanted], "rows"]
    table = pd.DataFrame(rows, index=index, columns=names)
    return table.astype({name: float for name in names if name in ARM_NUMBERS})


def _without_repeated_arms(long: pd.DataFrame, cells: pd.DataFrame, reading: Reading) -> pd.DataFrame:
    """Keep one row per arm: files of pairs of arms repeat the arms of a multi-arm study."""
    if not long.duplicated(["study", "treatment"]).any():
        return long
    keep = []
    of_rows = {str(row): row for row in cells.index}
    first: dict[tuple[str, str], str] = {}
    for label, arm in long.iterrows():
        key = (arm["study"], arm["treatment"])
        if key not in first:
            first[key] = label
            keep.append(label)
            continue
        numbers = [name for name in long.columns if name in ARM_NUMBERS]
        before = long.loc[first[key], numbers]
        same = [(a == b) or (math.isnan(a) and math.isnan(b)) for a, b in zip(arm[numbers], before, strict=True)]
        if not all(same):
            column = numbers[same.index(False)]
            rows = [of_rows[row] for row in (long.at[first[key], "rows"], arm["rows"])]
            apart = [
                name
                for name in cells.columns
                if name not in reading.layout.used() and cells.at[rows[0], name] != cells.at[rows[1], name]
            ][:1]
            way = "".join(f"; choose one, as with --where {f'{name}={cells.at[rows[0], name]}'!r}" for name in apart)
            raise TableError(
                f"{reading.file}, row {label}, column {column}: {arm[column]:g} is not {before[column]:g}, the value of"
                f" the same arm ({arm['treatment']} of {arm['study']}) in row {first[key]}; several results of a study"
                f" are imported as contrasts{way}"
            )
        reading.log.set_aside(arm["rows"], arm["study"], f"{arm['treatment']}: the same arm as in row {first[key]}")
    return long.loc[keep]


def _convert_quantiles(long: pd.DataFrame, reading: Reading) -> pd.DataFrame:
    if long["median"].isna().all():
        return long
    quartile, extreme = long[["q1", "q3"]].notna().all(axis=1), long[["minimum", "maximum"]].notna().all(axis=1)
    missing = long[["mean", "sd"]].isna().any(axis=1) & long[["median", "n"]].notna().all(axis=1) & (quartile | extreme)
    if not missing.any():
        return long
    long = long.copy()
    done, flat = [], []
    for label, arm in long[missing].iterrows():
        quartiles, extremes = quartile[label], extreme[label]
        given = {
            name: arm[name]
            for name, ok in (("q1", quartiles), ("q3", quartiles), ("minimum", extremes), ("maximum", extremes))
            if ok
        }
        try:
            mean, sd = mean_sd_from_quantiles(arm["n"], arm["median"], **given)
        except ValueError as error:
            raise TableError(f"{reading.file}, row {label}, {str(error).removeprefix('input, row 0, ')}") from None
        # A reported mean takes precedence over an estimated one
        if pd.isna(arm["mean"]):
            long.loc[label, "mean"] = float(mean)
        if pd.isna(arm["sd"]) and sd > 0:
            long.loc[label, "sd"] = float(sd)
        (flat if pd.isna(arm["sd"]) and not sd > 0 else done).append(f"{label} ({arm['study']}, {arm['treatment']})")
    if done:
        reading.log.record("mean and SD from the median with quartiles or range (Wan 2014): row " + "; ".join(done))
    if flat:
        reading.log.record(
            "mean from the median (Wan 2014); quartiles or a range of zero width give an SD of 0, so the SD counts as"
            " missing: row " + "; ".join(flat)
        )
    return long


def _impute(long: pd.DataFrame, reading: Reading) -> pd.DataFrame:
    missing = long["sd"].isna() & long["mean"].notna() & long["n"].notna()
    if not reading.options.impute or not missing.any():
        return long
    # Arms without a mean are neither completed nor used as donors of an SD
    imputed = impute_sd(long)
    rules = ["baseline", "mean of other studies"] if reading.options.impute_sd else ["baseline"]
    log = imputed.log[imputed.log["row"].isin(long.index[missing]) & imputed.log["rule"].isin(rules)]
    completed = long.assign(sd=np.where(long.index.isin(log["row"]), imputed.arms["sd"], long["sd"]))
    for entry in log.itertuples():
        source = (
            "its baseline SD"
            if entry.rule == "baseline"
            else f"the mean SD of {entry.n_donors} arms of other studies, taken to be on the same scale"
        )
        reading.log.record(
            f"SD {entry.sd:.6g} imputed from {source}: row {entry.row} ({entry.study}, {entry.treatment})"
        )
    return completed
