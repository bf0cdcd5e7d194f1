"""The registry of printed numbers: how each is checked, and the verdict that the check gives."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from psps_paper import formatting
from psps_paper.claims.model import (
    ABOUT,
    CHECKS,
    STRONGEST_LAST,
    Evidence,
    Finding,
    _cut_off,
    _first_place,
    place,
    shown,
)
from psps_paper.tables.conditions import shortened
from psps_paper.tables.dataset import Dataset, dataset
from psps_paper.tables.errors import TableError


def check_claims(data: Dataset | Path | str | None = None) -> pd.DataFrame:
    """Check every statement of the registry.

    Parameters
    ----------
    data : Dataset, Path or str, optional
        The data folder; by default that of this checkout.

    Returns
    -------
    DataFrame
        The registry with the columns ``shown`` (the printed value as this edition writes it),
        ``computed`` (what the check found, formatted), ``low``, ``high``, ``detail``, ``verdict``,
        ``as_expected`` (whether the verdict is that of the last release), ``against`` (what the statement was
        checked against, one of ``AGAINST``) and ``statement`` (the id of the first place that prints the statement;
        other places may repeat it, see :func:`statements`). A statement checked by trial-level data has the tier
        "recomputed" and is expected to agree with them; where they do not suffice it is expected to be not checkable,
        and ``settles`` names what is missing.
    """
    evidence = Evidence(dataset(data))
    claims = evidence.claims
    rows = []
    tiers, expected, settles = (claims[name].copy() for name in ("tier", "expected", "settles"))
    for _, claim in claims.iterrows():
        finding = find(evidence, claim)
        rows.append(
            {
                "shown": shown(claim),
                "computed": _computed(claim, finding),
                "low": finding.low,
                "high": finding.high,
                "detail": finding.detail,
                "verdict": verdict(claim, finding),
                "against": finding.against,
                "statement": _first_place(claim),
            }
        )
        if finding.from_trials:
            tiers[claim["id"]] = "recomputed"
            found = "reproduces" if finding.determined else "consistent"
            expected[claim["id"]] = "not checkable" if math.isnan(finding.low) else found
            settles[claim["id"]] = finding.settles or None
    checked = claims.assign(tier=tiers, expected=expected, settles=settles).join(pd.DataFrame(rows, index=claims.index))
    return checked.assign(as_expected=checked["verdict"] == checked["expected"])


def statements(checked: pd.DataFrame) -> pd.DataFrame:
    """Join the places that print the same number: one row per statement, in the order of first appearance.

    Parameters
    ----------
    checked : DataFrame
        As from :func:`check_claims`.

    Returns
    -------
    DataFrame
        The row of the first place of each statement, with two lists: ``ids``, the identifiers, and ``places``, the
        places that print it, as text. Where the verdicts of the places differ, the least favourable one is kept.

    Examples
    --------
    >>> checked = pd.DataFrame({
    ...     "id": ["a", "b"], "statement": ["a", "a"], "section": ["Abstract", "Results"], "paragraph": ["1", "2"],
    ...     "verdict": ["consistent", "contradicts"],
    ... })
    >>> joined = statements(checked)
    >>> joined["verdict"].tolist(), joined["places"].tolist()
    (['contradicts'], [['Abstract, paragraph 1', 'Results, paragraph 2']])
    """
    groups = [rows for _, rows in checked.groupby("statement", sort=False)]
    return checked.drop_duplicates("statement").assign(
        verdict=[max(rows["verdict"], key=STRONGEST_LAST.index) for rows in groups],
        ids=[list(rows["id"]) for rows in groups],
        places=[[place(row) for _, row in rows.iterrows()] for rows in groups],
    )


def find(evidence: Evidence, claim: pd.Series) -> Finding:
    """Run the check of one statement.

    Raises
    ------
    TableError
        The statement's arguments do not suit its check; the message names the statement.
    """
    try:
        return CHECKS[claim["check"]].function(evidence, claim)
    except TableError:
        raise
    except (ArithmeticError, AttributeError, LookupError, NameError, SyntaxError, TypeError, ValueError) as error:
        row = evidence.claims.index.get_loc(claim["id"]) + 1
        raise TableError(
            f"claims.csv, row {row} (id {claim['id']}), column arguments: {shortened(str(claim['arguments']))} "
            f"does not suit {claim['check']}: {error}"
        ) from error


def verdict(claim: pd.Series, finding: Finding) -> str:
    """Compare the result of a check with the printed value.

    reproduces
        Without using the printed value, the evidence allows only values that round to it (for ``<`` and ``>``: the
        relation holds).
    consistent
        Some value that the check allows rounds to the printed one; or the check rests on rows coded from the article
        itself; or the article states the value in a word ("half") and the result lies within a tenth of it.
    truncated
        No value that the check allows rounds to the printed one, but some value truncates to it.
    contradicts
        No value that the check allows rounds to the printed one.
    not checkable
        The check finds no evidence in this edition.
    """
    if math.isnan(finding.low):
        return "not checkable"
    value, low, high = claim["value"], finding.low, finding.high
    if low > high:
        return "contradicts"
    if claim["relation"] == "<":
        holds, may_hold = high < value, low < value
    elif claim["relation"] == ">":
        holds, may_hold = low > value, high > value
    elif claim["relation"] == "~":
        holds, may_hold = False, low <= value * (1 + ABOUT) and high >= value * (1 - ABOUT)
    else:
        slack = formatting.half_unit(claim["decimals"]) * (1 + 1e-6)
        may_hold = low <= value + slack and high >= value - slack
        holds = value - slack <= low and high <= value + slack
        if (
            not may_hold
            and (claim["decimals"] or claim["unit"] == "percent")
            and _cut_off(value, claim["decimals"], low, high)
        ):
            return "truncated"
    if holds and finding.determined:
        return "reproduces"
    return "consistent" if may_hold else "contradicts"


def _computed(claim: pd.Series, finding: Finding) -> str:
    if math.isnan(finding.low):
        return "nothing here"
    if finding.low > finding.high:
        return "no value fits"
    decimals = claim["decimals"] if claim["decimals"] == 0 else claim["decimals"] + 1
    if claim["unit"] == "year":
        return str(int(finding.low))
    if 0 < finding.low <= finding.high < formatting.half_unit(decimals):  # a tiny p value is not zero
        text = f"<\N{NARROW NO-BREAK SPACE}{formatting.number(2 * formatting.half_unit(decimals), decimals)}"
    elif finding.low == finding.high:
        text = formatting.number(finding.low, decimals if finding.low % 1 else claim["decimals"])
    else:
        ends = [formatting.number(end, decimals) for end in (finding.low, finding.high)]
        text = " to ".join(dict.fromkeys(ends))
    return text + formatting.UNIT_SUFFIX.get(claim["unit"], "")
