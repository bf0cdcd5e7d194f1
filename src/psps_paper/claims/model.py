"""What a check is given and what it returns."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from psps_paper import formatting
from psps_paper.article.published import PublishedNetwork, published_network
from psps_paper.article.trials import LackingPrint, Printed, book_network, lacking_print
from psps_paper.network.model import NetworkFit
from psps_paper.network.ranking import p_scores
from psps_paper.tables.errors import TableError
from psps_paper.tables.load import load_table

VERDICTS = ("reproduces", "consistent", "contradicts", "not checkable")
ABOUT = 0.1  # a quantity stated in a word ("half") may differ by this share of its value


@dataclass(frozen=True)
class Finding:
    """What a check found for one statement.

    Attributes
    ----------
    low, high : float
        The values that the check allows; equal where it gives one value, NaN where it has no evidence,
        ``low`` above ``high`` where no value at all is possible.
    detail : str
        How the value came about, in a few words with the numbers.
    determined : bool
        True where the check computes the value itself, so that agreement means that it reproduces;
        False where it can only say whether the printed value is possible.
    from_trials : bool
        True where the value comes from trial-level data in ``data/trials`` (tier "recomputed"), or would if they held enough.
    settles : str
        What would settle a statement that cannot be checked, where the registry does not say it.
    """

    low: float
    high: float
    detail: str
    determined: bool = True
    from_trials: bool = False
    settles: str = ""


@dataclass(frozen=True)
class Evidence:
    """The tables on which checks draw, and the network that they imply."""

    folder: Path | None = None

    def table(self, name: str) -> pd.DataFrame:
        """A table of the data folder, loaded once."""
        if name not in self._tables:
            self._tables[name] = load_table(name, self.folder)
        return self._tables[name]

    @cached_property
    def _tables(self) -> dict[str, pd.DataFrame]:
        return {}

    @cached_property
    def claims(self) -> pd.DataFrame:
        return load_claims(self.folder)

    @cached_property
    def te_desirable(self) -> str:
        return self.table("outcomes")["te_desirable"].iloc[0]

    @cached_property
    def network(self) -> PublishedNetwork:
        return published_network(self.table("nma_published"), desirable=self.te_desirable)

    @cached_property
    def trial_fit(self) -> NetworkFit | None:
        """Network of the trial-level data, where those of the article's outcome are present."""
        book = book_network(self.folder)
        return None if isinstance(book.state, Printed) else book.fit

    @cached_property
    def lacking(self) -> LackingPrint:
        """What the print names and the trials of :attr:`trial_fit` lack."""
        return lacking_print(self.trial_fit.contrasts, self.table("nma_published"))

    @cached_property
    def trial_p_scores(self) -> pd.Series:
        return p_scores(self.trial_fit, desirable=self.te_desirable)

    @cached_property
    def p_scores(self) -> pd.Series:
        return p_scores(self.network.fit, desirable=self.te_desirable)


def load_claims(folder: Path | None = None) -> pd.DataFrame:
    """Every quantitative statement of the article, one row each, indexed by its id.

    Raises
    ------
    TableError
        The table breaks its dictionary, names an unknown check, or gives a check another tier than it has.
    """
    claims = load_table("claims", folder)
    for row, claim in claims.iterrows():
        where = f"claims.csv, row {row + 1} (id {claim['id']})"
        if claim["check"] not in CHECKS:
            raise TableError(f"{where}, column check: {claim['check']!r} is not one of {', '.join(sorted(CHECKS))}")
        tier = CHECKS[claim["check"]].tier
        if claim["tier"] != tier:
            raise TableError(f"{where}, column tier: {claim['tier']!r} is not {tier}, the tier of {claim['check']}")
    return claims.set_index("id", drop=False)


def shown(claim: pd.Series) -> str:
    """The printed value of a statement as this edition writes it."""
    return formatting.printed_value(claim["value"], claim["decimals"], claim["relation"], claim["unit"])


def place(claim: pd.Series) -> str:
    """Where a statement is printed: its section, and its paragraph or table."""
    paragraph = claim["paragraph"]
    return f"{claim['section']}, " + (f"paragraph {paragraph}" if paragraph.isdigit() else paragraph)


@dataclass(frozen=True)
class Check:
    """A way to check a statement, and the tier of the value that it computes."""

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


def _exactly(value: float, detail: str) -> Finding:
    return Finding(float(value), float(value), detail)


def _by_trials(fit: NetworkFit, value: float, what: str, *, determined: bool = True) -> Finding:
    detail = f"{what}, from {fit.n_contrasts} estimates in trials/contrasts.csv"
    return Finding(float(value), float(value), detail, determined=determined, from_trials=True)


def _nothing(detail: str) -> Finding:
    return Finding(math.nan, math.nan, detail, determined=False)


def _lacking(evidence: Evidence, *treatments: str, every: str = "") -> Finding | None:
    """A finding that says what trial-level data lack for a statement; None where they lack nothing.

    ``every`` is "treatments" or "comparisons": a statement on the whole network needs all that are printed.
    """
    lacking, has = evidence.lacking, evidence.trial_fit.treatments
    missing = [name for name in treatments if name not in has]
    if every == "treatments":
        missing = lacking.treatments
    elif every == "comparisons":
        missing = [f"{treat1} against {treat2}" for treat1, treat2 in lacking.comparisons]
    return _too_little(f"no estimate of {', '.join(missing)}", f"Estimates of {', '.join(missing)} from trials") if missing else None


def _too_little(detail: str, settles: str) -> Finding:
    """What trial-level data would tell, and do not hold."""
    return dataclasses.replace(_nothing(f"trials/contrasts.csv: {detail}"), from_trials=True, settles=settles)


def _impossible(detail: str) -> Finding:
    return Finding(math.inf, -math.inf, detail)


def _select(evidence: Evidence, table: str, query: str) -> pd.DataFrame:
    return evidence.table(table).query(query, engine="python")


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _listed(refs: list[int]) -> str:
    return ", ".join(map(str, refs)) or "none"
