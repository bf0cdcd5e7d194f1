"""The evidence that a check receives and the finding that it returns."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from psps_paper import formatting
from psps_paper.article.published import PublishedNetwork, audit_description, published_network
from psps_paper.article.trials import BookNetwork, MissingFromData, Printed, book_network, missing_from_data
from psps_paper.audit import Audit, audit
from psps_paper.network.model import NetworkFit
from psps_paper.network.ranking import p_scores
from psps_paper.tables.conditions import columns_of, select
from psps_paper.tables.dataset import Dataset, dataset
from psps_paper.tables.errors import TableError

VERDICTS = ("reproduces", "consistent", "truncated", "contradicts", "not checkable")
# Verb phrases for one statement and for several
VERDICT_PHRASES = {
    "reproduces": ("reproduces", "reproduce"),
    "consistent": ("is consistent", "are consistent"),
    "truncated": ("is cut off", "are cut off"),
    "contradicts": ("contradicts", "contradict"),
    "not checkable": ("is not checkable", "are not checkable"),
}
STRONGEST_LAST = ("reproduces", "consistent", "not checkable", "truncated", "contradicts")
WEIGHTS = ("result", "method", "detail")
# What a statement was checked against, weakest first: a check that uses several is only as strong as the weakest
CODED, PRINTED, PAGE, TRIALS, NOTHING = AGAINST = (
    "rows coded from the article",
    "another printed number",
    "an outside page",
    "trial-level data",
    "nothing",
)
ABOUT = 0.1  # a quantity stated in a word ("half") may differ by this share of its value


@dataclass(frozen=True)
class Finding:
    """The result of a check of one statement.

    Attributes
    ----------
    low, high : float
        The values that the check allows; equal where it gives one value, NaN where it has no evidence,
        ``low`` above ``high`` where no value at all is possible.
    detail : str
        How the value was obtained, in a few words with the numbers.
    determined : bool
        True where the evidence of the check does not include the printed value, so that the statement reproduces if
        every value allowed agrees with it; False where the check can only show whether the printed value is possible.
    against : str
        What the statement was checked against, one of ``AGAINST``.
    from_trials : bool
        True where the value comes from trial-level data in ``data/trials`` (tier "recomputed"), or would if they were
        complete enough.
    settles : str
        What would settle a statement that cannot be checked, if the registry does not state it.
    """

    low: float
    high: float
    detail: str
    determined: bool = True
    against: str = PRINTED
    from_trials: bool = False
    settles: str = ""


@dataclass(frozen=True)
class Evidence:
    """The tables that checks use, and the network that they imply."""

    data: Dataset

    def table(self, name: str) -> pd.DataFrame:
        """Return a table of the data; checks share one copy."""
        if name not in self._tables:
            self._tables[name] = self.data.table(name)
        return self._tables[name]

    @cached_property
    def _tables(self) -> dict[str, pd.DataFrame]:
        return {}

    @cached_property
    def claims(self) -> pd.DataFrame:
        return load_claims(self.data)

    def source(self, table: str, *columns: str) -> str:
        """Return the weakest source of the named columns of a table, as declared in ``evidence_sources.csv``.

        Raises
        ------
        ValueError
            No source is declared for one of the columns; the message names them.
        """
        declared = self.table("evidence_sources")
        rows = declared[declared["table"] == table]
        by_column = dict(zip(rows["column"].fillna(""), rows["source"], strict=True))
        sources = {by_column.get(column, by_column.get("")) for column in columns or ("",)}
        if None in sources:
            raise ValueError(f"evidence_sources.csv declares no source for column {', '.join(columns)} of {table}.csv")
        return min(sources, key=AGAINST.index)

    @cached_property
    def te_desirable(self) -> str:
        return self.table("outcomes")["te_desirable"].iloc[0]

    @cached_property
    def network(self) -> PublishedNetwork:
        return published_network(self.table("nma_published"), desirable=self.te_desirable)

    @cached_property
    def audited(self) -> Audit:
        """Audit of the article's printed network, by the same route as for any other paper."""
        return audit(audit_description(self.table("nma_published"), desirable=self.te_desirable))

    @cached_property
    def _book(self) -> BookNetwork:
        return book_network(self.data)

    @property
    def trial_fit(self) -> NetworkFit | None:
        """Network fitted to the trial-level data, if there are any for the article's outcome."""
        return None if isinstance(self._book.state, Printed) else self._book.fit

    @property
    def trial_order(self) -> list[str]:
        """Treatments of :attr:`trial_fit`, in the order that sets the direction of comparisons."""
        return self._book.order

    @cached_property
    def missing_from_data(self) -> MissingFromData:
        """Printed treatments and comparisons for which :attr:`trial_fit` has no data."""
        return missing_from_data(self.trial_fit.contrasts, self.table("nma_published"))

    @cached_property
    def trial_p_scores(self) -> pd.Series:
        return p_scores(self.trial_fit, desirable=self.te_desirable)

    @cached_property
    def p_scores(self) -> pd.Series:
        return p_scores(self.network.fit, desirable=self.te_desirable)


def load_claims(data: Dataset | Path | str | None = None) -> pd.DataFrame:
    """Load every quantitative statement of the article, one row each, indexed by its id.

    Parameters
    ----------
    data : Dataset, Path or str, optional
        The data folder; by default that of this checkout.

    Raises
    ------
    TableError
        The table violates its dictionary, names an unknown check, or gives a statement a tier other than its check's.
    """
    claims = dataset(data).table("claims")
    for row, claim in claims.iterrows():
        where = f"claims.csv, row {row + 1} (id {claim['id']})"
        if claim["check"] not in CHECKS:
            raise TableError(f"{where}, column check: {claim['check']!r} is not one of {', '.join(sorted(CHECKS))}")
        tier = CHECKS[claim["check"]].tier
        if claim["tier"] != tier:
            raise TableError(f"{where}, column tier: {claim['tier']!r} is not {tier}, the tier of {claim['check']}")
    return claims.set_index("id", drop=False)


def shown(claim: pd.Series) -> str:
    """Format the printed value of a statement as this edition writes it."""
    return formatting.printed_value(claim["value"], claim["decimals"], claim["relation"], claim["unit"])


def place(claim: pd.Series) -> str:
    """Name the place where a statement is printed: its section, and its paragraph or table."""
    paragraph = claim["paragraph"]
    return f"{claim['section']}, " + (f"paragraph {paragraph}" if paragraph.isdigit() else paragraph)


@dataclass(frozen=True)
class Check:
    """A function that checks a statement, and the tier of the value that it computes."""

    function: Callable[[Evidence, pd.Series], Finding]
    tier: str


CHECKS: dict[str, Check] = {}


def _check(tier: str):
    def register(function):
        CHECKS[function.__name__] = Check(function, tier)
        return function

    return register


def _arguments(claim: pd.Series, count: int) -> list[str]:
    text = claim["arguments"]
    parts = [part.strip() for part in text.split(" | ")] if isinstance(text, str) else []
    if len(parts) != count:
        raise ValueError(f"{len(parts)} parts, expected {count}")
    return parts


def _exactly(value: float, detail: str, against: str = PRINTED) -> Finding:
    """Return a single value as a finding; rows coded from the article itself cannot reproduce it."""
    return Finding(float(value), float(value), detail, determined=against != CODED, against=against)


def _by_trials(fit: NetworkFit, value: float, what: str, *, determined: bool = True) -> Finding:
    detail = f"{what}, from {fit.n_contrasts} estimates in trials/contrasts.csv"
    return Finding(float(value), float(value), detail, determined=determined, against=TRIALS, from_trials=True)


def _nothing(detail: str) -> Finding:
    return Finding(math.nan, math.nan, detail, determined=False, against=NOTHING)


def _missing_from_data(evidence: Evidence, *treatments: str, every: str = "") -> Finding | None:
    """Return a finding that names what the trial-level data do not cover; None where they cover the statement.

    ``every`` is "treatments" or "comparisons": a statement about the whole network needs all printed ones.
    """
    absent, has = evidence.missing_from_data, evidence.trial_fit.treatments
    missing = [name for name in treatments if name not in has]
    if every == "treatments":
        missing = absent.treatments
    elif every == "comparisons":
        missing = [f"{treat1} against {treat2}" for treat1, treat2 in absent.comparisons]
    return (
        _too_little(f"no estimate of {', '.join(missing)}", f"Estimates of {', '.join(missing)} from trials")
        if missing
        else None
    )


def _too_little(detail: str, settles: str) -> Finding:
    """Return the finding that trial-level data do not suffice."""
    return dataclasses.replace(_nothing(f"trials/contrasts.csv: {detail}"), from_trials=True, settles=settles)


def _impossible(detail: str) -> Finding:
    return Finding(math.inf, -math.inf, detail)


def _select(evidence: Evidence, table: str, *conditions: str) -> tuple[pd.DataFrame, ...]:
    """Select the rows that meet each condition; the second condition widens the first."""
    rows = evidence.table(table)
    first, *wider = (select(rows, condition) for condition in conditions)
    return first, *(rows.loc[rows.index.isin(first.index) | rows.index.isin(more.index)] for more in wider)


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _listed(refs: list[int]) -> str:
    return ", ".join(map(str, refs)) or "none"


def _first_place(claim: pd.Series) -> str:
    return claim["same_as"] if isinstance(claim.get("same_as"), str) else claim["id"]


def _cut_off(value: float, decimals: int, low: float, high: float) -> bool:
    """Test whether some value from ``low`` to ``high`` prints as ``value`` when truncated instead of rounded."""
    unit = 2 * formatting.half_unit(decimals)
    return value < high and low < value + unit if value >= 0 else value - unit < high and low < value


def _between(low: float, high: float, detail: str, against: str) -> Finding:
    return Finding(float(low), float(high), detail, determined=False, against=against)


def _optional(claim: pd.Series, least: int) -> list[str]:
    """Split the arguments of a check that takes ``least`` of them and, optionally, a wider condition after them."""
    return _arguments(claim, least + 1 if str(claim["arguments"]).count(" | ") == least else least)


def _source(evidence: Evidence, table: str, *conditions: str, column: str = "") -> str:
    """Return the weakest source of the columns in the conditions, and of ``column`` if it is given."""
    columns = [column] * bool(column) + [name for condition in conditions for name in columns_of(condition)]
    return evidence.source(table, *dict.fromkeys(columns))
