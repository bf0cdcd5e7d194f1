"""Options and results of an import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from psps_paper.living.formats import Kind
from psps_paper.tables.errors import TableError

MEASURES = ("SMD", "MD", "OR", "RD", "RR", "HR", "IRR", "ROM")
LOG_MEASURES = ("OR", "RR", "HR", "IRR", "ROM")  # te is the logarithm of a ratio

MEASURE_NAMES = {
    "SMD": "standardised mean difference",
    "MD": "mean difference",
    "OR": "odds ratio",
    "RD": "risk difference",
    "RR": "risk ratio",
    "HR": "hazard ratio",
    "IRR": "rate ratio",
    "ROM": "ratio of means",
}

CONTRASTS_DICTIONARY = [
    ("outcome", "text", "none", "no", "Outcome, a row of outcomes.csv"),
    ("study", "text", "none", "no", "Study; several estimates of a study share its label"),
    ("treat1", "text", "none", "no", "First-named treatment"),
    ("treat2", "text", "none", "no", "Second-named treatment"),
    (
        "te",
        "number",
        "see outcomes.csv",
        "no",
        "Effect, treat1 minus treat2, in the direction that outcomes.csv states",
    ),
    ("se", "number", "see outcomes.csv", "no", "Its standard error"),
    ("rows", "text", "none", "no", "Rows of the imported file behind it, counted from 1 below the header"),
]


ARMS_DICTIONARY = [
    ("outcome", "text", "none", "no", "Outcome, a row of outcomes.csv"),
    ("study", "text", "none", "no", "Study"),
    ("treatment", "text", "none", "no", "Treatment of the arm"),
    ("n", "number", "people", "yes", "People analysed"),
    ("mean", "number", "the scale of the study", "yes", "Mean, converted where source.json says so"),
    (
        "sd",
        "number",
        "the scale of the study",
        "yes",
        "Standard deviation, converted or imputed where source.json says so",
    ),
    ("events", "number", "people", "yes", "People with the event, or events where time is given"),
    ("time", "number", "person-time", "yes", "Person-time over which the events were counted"),
    ("rows", "text", "none", "no", "Row of the imported file, counted from 1 below the header"),
]


ARM_COLUMNS = [row[0] for row in ARMS_DICTIONARY]


@dataclass(frozen=True)
class Options:
    """Options for reading a file.

    Attributes
    ----------
    kind : {"contrasts", "arms"}
    outcome : str, optional
        Row of ``outcomes.csv``; by default the first.
    mapping, constants : mapping of str to str
        Maps columns of this package to columns of the file, or to one value for all rows.
    labels : mapping of str to str
        Maps treatments in the file to treatments of the review.
    where : mapping of str to str
        Maps columns of the file to the value that selects a row; other rows are listed as not selected.
    measure : str, optional
        The effect measure; refused if it is not that of the outcome.
    reverse : bool
        For contrasts: reverse the sign of te.
    impute : bool
        Give an arm without an SD its baseline SD.
    impute_sd : bool
        Give an arm without a baseline SD either the mean SD of the other studies in the file, which should have used
        the same scale.
    decimal : {"comma", "point"}, optional
        The decimal sign of a text file; by default inferred from its columns, with an error if they are ambiguous.
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
    decimal: str | None = None
    sheet: str | None = None
    skip: int = 0


@dataclass(frozen=True)
class Import:
    """The result of reading a file, before anything is written.

    Attributes
    ----------
    contrasts : DataFrame [outcome, study, treat1, treat2, te, se, rows]
    arms : DataFrame [outcome, study, treatment, n, mean, sd, events, rows]
        Arms as used, after conversions; empty for contrasts.
    listed : DataFrame [row, study, reason]
        Everything that was read but not used; read = used + listed, in the unit ``unit``.
    conversions : list of str
        Every change made while reading, one sentence each.
    source : dict
        File, checksum, layout and counts, as written to ``source.json``.
    warnings : list of str
    """

    contrasts: pd.DataFrame
    arms: pd.DataFrame
    listed: pd.DataFrame
    conversions: list[str]
    source: dict
    warnings: list[str]


@dataclass
class ImportLog:
    """Log of what an import sets aside and what it changes, in the order of its steps.

    Attributes
    ----------
    listed : list of (row, study, reason)
        Everything that was read but is not used.
    conversions : list of str
        Every change made while reading, one sentence each.
    """

    listed: list[tuple[str, str, str]] = field(default_factory=list)
    conversions: list[str] = field(default_factory=list)

    def set_aside(self, row: object, study: str, reason: str) -> None:
        self.listed.append((str(row), study, reason))

    def record(self, *sentences: str) -> None:
        self.conversions.extend(sentences)

    def table(self) -> pd.DataFrame:
        """Tabulate what was set aside: DataFrame [row, study, reason]."""
        return pd.DataFrame(self.listed, columns=["row", "study", "reason"])


@dataclass(frozen=True, eq=False)
class Estimates:
    """Contrasts of a file, the arms behind them, and the number of rows or arms read.

    Attributes
    ----------
    contrasts : DataFrame [study, treat1, treat2, te, se, rows]
    arms : DataFrame
        As in :class:`Import`; empty for contrasts.
    n_read : int
    unit : {"rows", "arms"}
    """

    contrasts: pd.DataFrame
    arms: pd.DataFrame
    n_read: int
    unit: str


def _one_analysis(cells: pd.DataFrame, keys: list[str], file: str) -> list[tuple]:
    analyses = sorted(set(cells[keys].itertuples(index=False, name=None)))
    if len(analyses) > 1:
        ways = "; ".join(
            " ".join(f"--where {f'{key}={value}'!r}" for key, value in zip(keys, analysis, strict=True))
            for analysis in analyses[:10]
        )
        raise TableError(f"{file}: holds {len(analyses)} analyses; choose one: {ways}")
    return analyses
