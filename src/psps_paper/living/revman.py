"""Read analyses exported by RevMan 5 and RevMan Web: study rows, group names, and effects on the outcome's scale."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from psps_paper.living.cells import MISSING, Reading, _lines, _some_rows
from psps_paper.living.formats import LOGS, RATIOS, plain
from psps_paper.living.model import LOG_MEASURES, _one_analysis
from psps_paper.tables.errors import TableError

_ARMS_OF = {"DIC": ("OR", "RR", "RD"), "CON": ("SMD", "MD", "ROM"), "IPD": ("OR", "RR", "RD")}
_MEASURES = {
    **{name: measure for measure, names in RATIOS.items() for name in (*names, *LOGS[measure])},
    **dict.fromkeys(("peto_or", "petooddsratio", "petoor"), "OR"),
    **dict.fromkeys(("md", "meandifference"), "MD"),
    **dict.fromkeys(("smd", "stdmeandifference", "standardizedmeandifference"), "SMD"),
    **dict.fromkeys(("rd", "riskdifference"), "RD"),
}
_SCORES = "te is O-E divided by its variance, and se the square root of the inverse variance"
_OFF_CENTRE = 0.02  # of the width: RevMan writes eight digits


def revman_5_arms(cells: pd.DataFrame, reading: Reading) -> pd.DataFrame:
    """Select the study rows of a RevMan 5 export of arms, with the group labels from the heading of their outcome.

    Raises
    ------
    TableError
        The file holds several analyses, or one whose arms do not give the measure of the outcome.
    """
    by_name = {plain(column): column for column in cells.columns}
    totals = [arm["n"] for arm in reading.layout.arms.values() if "n" in arm]
    labels = {column: arm["treatment"] for arm in reading.layout.arms.values() if (column := arm.get("treatment"))}
    studies, heading = _studies(cells, reading, totals, list(labels))
    kind = str(heading.get(by_name.get("datatype", ""), "")).upper()
    measure = reading.outcome["measure"]
    if kind == "IV":
        raise TableError(
            f"{reading.file}: the analysis is one of generic inverse variance, which has effects and no arms; use"
            " --kind contrasts"
        )
    if measure not in _ARMS_OF.get(kind, (measure,)):
        raise TableError(
            f"{reading.file}: the analysis is of data type {kind}, whose arms give {', '.join(_ARMS_OF[kind])}, but"
            f" outcome {reading.outcome['outcome']} is measured as {measure} in outcomes.csv; choose another with"
            " --outcome"
        )
    return studies


def revman_5_effects(cells: pd.DataFrame, reading: Reading) -> pd.DataFrame:
    """Select the study rows of a RevMan 5 export of effects, with te and se on the scale of the outcome.

    Any type of data is accepted, including generic inverse variance and O-E with its variance.

    Raises
    ------
    TableError
        The file holds several analyses or a measure other than the outcome's, or an effect is not in the middle of its
        interval on the expected scale.
    """
    layout = reading.layout
    labels = [layout.columns[name] for name in ("treat1", "treat2") if name in layout.columns]
    studies, heading = _studies(cells, reading, [], labels)
    by_name = {plain(column): column for column in cells.columns}
    _check_measure(str(heading.get(by_name.get("effectmeasure", ""), "")), reading)
    return _on_scale(studies, by_name, reading)


def _studies(
    cells: pd.DataFrame, reading: Reading, totals: list[str], labels: list[str]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Select the study rows, and the heading of their outcome."""
    by_name = {plain(column): column for column in cells.columns}
    keys = [by_name["comparisonnumber"], by_name["outcomenumber"]]
    headings = [by_name[name] for name in ("datatype", "q", "df") if name in by_name]
    is_heading = (cells[headings].to_numpy() != "").any(axis=1)
    if totals:
        is_heading |= (cells[totals].to_numpy() == "").all(axis=1)
    order = by_name.get("userdefinedorder")
    if order and (cells[order] != "").any():
        is_heading |= cells[order].to_numpy() == ""
    is_heading |= cells[by_name["outcomenumber"]].to_numpy() == "0"  # of a whole comparison
    studies = cells[~is_heading].copy()
    above = cells[is_heading]
    heading: dict[str, str] = {}
    if len(studies):
        analysis = _one_analysis(studies, keys, reading.file)[0]
        mine = above[[tuple(key) == analysis for key in above[keys].to_numpy()]]
        heading = {
            str(column): next((cell for cell in mine[column] if cell), "") for column in mine.columns if len(mine)
        }
        for number, column in enumerate(labels, 1):
            if not heading.get(column) and not studies[column].all() and not _set(number, reading):
                raise TableError(
                    f"{reading.file}: column {column!r} does not name the treatment of arm {number}; give it with --set"
                    f" treat{number}=NAME"
                )
            studies[column] = [own or heading.get(column, "") for own in studies[column]]
    for row in cells.index[is_heading]:
        reading.log.set_aside(row, "", "a heading or total, not a study")
    return studies, heading


def _set(number: int, reading: Reading) -> bool:
    return bool({f"treat{number}", "treatment"} & set(reading.options.constants))


def _check_measure(given: str, reading: Reading) -> None:
    """Refuse an analysis of a measure other than the outcome's; if RevMan does not name the measure, accept it."""
    measure = reading.outcome["measure"]
    found = _MEASURES.get(given.lower()) or _MEASURES.get(plain(given))
    if found and found != measure:
        raise TableError(
            f"{reading.file}: the analysis is in {given}, but outcome {reading.outcome['outcome']} is measured as"
            f" {measure} in outcomes.csv; choose another with --outcome"
        )
    if "peto" in given.lower():
        reading.log.record("the odds ratios are Peto's, from observed minus expected events")


def _on_scale(studies: pd.DataFrame, by_name: Mapping[str, str], reading: Reading) -> pd.DataFrame:
    te, se = reading.layout.columns["te"], reading.layout.columns["se"]
    is_ratio = reading.outcome["measure"] in LOG_MEASURES
    lower, upper = by_name.get("cistart"), by_name.get("ciend")
    found, logs, scores = [], [], []
    for row, line in _lines(studies):

        def number(column: str | None, row: int = row, line: Mapping[str, str] = line) -> float:
            return math.nan if column not in line else reading.cells.number(row, column, line[column], "number")

        spread = number(se)
        observed, variance = number(by_name.get("oe")), number(by_name.get("variance"))
        estimate = math.nan if spread == 0 else number(te)
        if not spread > 0 and variance > 0:
            found.append((observed / variance, variance**-0.5))
            scores.append(row)
        elif is_ratio and estimate > 0:
            _check_middle(*map(math.log, _limits(estimate, number(lower), number(upper))), row, te, reading)
            found.append((math.log(estimate), spread))
            logs.append(row)
        else:
            if not is_ratio:
                _check_middle(estimate, number(lower), number(upper), row, te, reading)
            elif estimate <= 0 and spread > 0:
                reading.cells.fail(row, te, line[te], "a ratio, which RevMan 5 writes as such and not as a logarithm")
            found.append((estimate, spread))
    if logs:
        reading.log.record(f"the logarithm was taken of column {te}: row {_some_rows(logs)}")
    if scores:
        reading.log.record(f"{_SCORES}: row {_some_rows(scores)}")
    cells = [tuple("" if math.isnan(value) or value == math.inf else repr(value) for value in pair) for pair in found]
    return studies.assign(**{te: [pair[0] for pair in cells], se: [pair[1] for pair in cells]})


def _limits(estimate: float, lower: float, upper: float) -> tuple[float, float, float]:
    return (estimate, lower, upper) if lower > 0 and upper > 0 else (estimate, math.nan, math.nan)


def _check_middle(te: float, lower: float, upper: float, row: object, column: str, reading: Reading) -> None:
    """Refuse an effect that is not in the middle of its interval on the scale of the analysis."""
    if abs(te - (lower + upper) / 2) > _OFF_CENTRE * (upper - lower):
        scale = "of the logarithms" if reading.outcome["measure"] in LOG_MEASURES else "of the differences"
        raise TableError(
            f"{reading.file}, row {row}, column {column}: the effect is not in the middle of its interval on the scale"
            f" {scale}, on which {reading.outcome['measure']} is analysed; give te and se in columns of their own"
        )


def revman_web_effects(cells: pd.DataFrame, reading: Reading) -> pd.DataFrame:
    """Select the rows of a RevMan Web export, computing te and se from O-E and its variance if there is no effect."""
    by_name = {plain(column): column for column in cells.columns}
    observed, variance = by_name.get("oe"), by_name.get("variance")
    if not observed or not variance or reading.outcome["measure"] not in LOG_MEASURES:
        return cells
    te, se = reading.layout.columns["te"], reading.layout.columns["se"]
    cells, scores = cells.copy(), []
    for row, line in _lines(cells):
        if line[te].lower() not in MISSING or line[observed].lower() in MISSING or line[variance].lower() in MISSING:
            continue
        of = reading.cells.number(row, observed, line[observed], "number")
        spread = reading.cells.number(row, variance, line[variance], "positive")
        cells.loc[row, [te, se]] = [repr(of / spread), repr(spread**-0.5)]
        scores.append(row)
    if scores:
        reading.log.record(f"{_SCORES}: row {_some_rows(scores)}")
    return cells
