"""From arms in any layout to contrasts."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pandas as pd

from psps_paper.effects import contrasts_from_arms, impute_sd, mean_sd_from_quantiles
from psps_paper.living.cells import MISSING, _Cells, _lines
from psps_paper.living.formats import ARM_NUMBERS, COLUMN_KINDS, CONTRAST_COLUMNS, REVMAN_5, plain
from psps_paper.living.model import ARM_COLUMNS, MEASURES, Options, _one_analysis
from psps_paper.tables.errors import TableError

HEDGES = {"exact": "Hedges' correction", "approximate": "Hedges' approximate correction", "none": "no small-sample correction"}
QUANTILES = ("median", "q1", "q3", "minimum", "maximum")


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
        result = contrasts_from_arms(long, measure=measure, correction=outcome["correction"], continuity=outcome["continuity"],
                                     increment=float(outcome["increment"]), source=reader.file)
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
        f", SD pooled over its arms, {HEDGES[outcome['correction']]}" if measure == "SMD" else ", on the log scale" if measure == "OR" else ""))
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
        same = [(a == b) or (math.isnan(a) and math.isnan(b)) for a, b in zip(arm[numbers], before, strict=True)]
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
