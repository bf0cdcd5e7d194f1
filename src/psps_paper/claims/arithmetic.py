"""Checks that compute with printed numbers."""

from __future__ import annotations

import dataclasses
import math
import re

import pandas as pd
import scipy

from psps_paper import formatting
from psps_paper.article.facts import fact as fact_row
from psps_paper.claims.counts import _arms
from psps_paper.claims.model import (
    AGAINST,
    PRINTED,
    TRIALS,
    Evidence,
    Finding,
    _arguments,
    _between,
    _check,
    _cut_off,
    _exactly,
    _first_place,
    place,
    shown,
)
from psps_paper.tables.conditions import evaluate, in_words


@_check("implied")
def arithmetic(evidence: Evidence, claim: pd.Series) -> Finding:
    """Evaluate an expression over the boxes of the flow diagram and other printed values.

    A name stands for a box of ``prisma.csv``, ``claim("id")`` for another printed value and ``arms(ref)`` for the
    number of arms of a study. The statement's own value is never used.
    """
    expression = claim["arguments"]
    steps = evidence.table("prisma").dropna(subset="n").set_index("box")
    boxes = steps["n"].astype(float)

    sources = [evidence.source("prisma", "n")]

    def printed(name):
        other = evidence.claims.loc[name]
        if _first_place(other) == _first_place(claim):
            raise ValueError("the statement would check itself")
        return float(other["value"])

    def arms(ref):
        sources.append(evidence.source("studies", "arms"))
        return float(len(_arms(evidence.table("studies"), int(ref))))

    functions = {"claim": printed, "arms": arms, "round": round}
    value = evaluate(expression, boxes.to_dict(), functions)
    against = min(sources, key=AGAINST.index)
    found = formatting.number(value, 3 if value % 1 else 0)
    if whole := re.fullmatch(r'claim\("([^"]+)"\)', expression.strip()):
        other = evidence.claims.loc[whole.group(1)]
        return _exactly(value, f"{other['quantity']}: {shown(other)}, as printed in {place(other)}", against)

    def other_printed(name):
        other = evidence.claims.loc[name]
        return f"{formatting.printed_value(other['value'], other['decimals'])} ({other['quantity']})"

    words = in_words(
        expression,
        {
            box: f"{steps.at[box, 'n']:.0f} ({steps.at[box, 'label'][0].lower()}{steps.at[box, 'label'][1:]})"
            for box in steps.index
        },
        {
            "claim": other_printed,
            "arms": lambda ref: f"{functions['arms'](ref):.0f} (arms of ref {ref})",
            "round": "{}, rounded".format,
        },
    )
    return _exactly(value, f"{words} = {found}", against)


@_check("implied")
def cross_check(evidence: Evidence, claim: pd.Series) -> Finding:
    """Evaluate an expression as ``arithmetic`` does, over printed values that have no other check.

    One equation linking several such values, or the same number printed in two places, shows that they are consistent;
    it computes none of them.
    """
    return dataclasses.replace(arithmetic(evidence, claim), determined=False)


@_check("implied")
def possible_percent(evidence: Evidence, claim: pd.Series) -> Finding:
    """Test whether any whole number out of a denominator rounds to the printed percentage (GRIM).

    Arguments: the denominator, or a range ``low..high`` where it is not known; each is a number, a box of
    ``prisma.csv`` or a fact of ``study_facts.csv``.

    Source: Brown & Heathers 2017.
    """
    (text,) = _arguments(claim, 1)
    value, decimals = claim["value"], claim["decimals"]
    ends = [_whole_number(evidence, end) for end in text.split("..")]
    denominators = list(range(ends[0], ends[-1] + 1))
    against = min((_source_of_number(evidence, end) for end in text.split("..")), key=AGAINST.index)
    options = possible_counts(value, decimals, denominators)
    if not options:
        k, n = _nearest_count(value, decimals, denominators)
        whole = f"{ends[0]} to {ends[-1]}" if len(denominators) > 1 else str(n)
        how = "only by cutting digits off, as" if _cut_off(value, decimals, 100 * k / n, 100 * k / n) else "nearest"
        return _between(100 * k / n, 100 * k / n, f"no whole number of {whole} gives it; {how} {k} of {n}", against)
    shown_options = ", ".join(f"{k} of {n}" for k, n in options[:3]) + (" and more" if len(options) > 3 else "")
    shares = [100 * k / n for k, n in options]
    return _between(min(shares), max(shares), "possible as " + shown_options, against)


@_check("implied")
def interval_midpoint(evidence: Evidence, claim: pd.Series) -> Finding:
    """Locate the estimate implied by an interval that is symmetric: ``lower | upper | logit | decimals``.

    Only some methods give a pooled proportion an interval that is symmetric on the logit scale, so this check can show
    consistency and no more.
    """
    lower, upper, _, decimals = _arguments(claim, 4)
    half = formatting.half_unit(int(decimals))
    logits = [[scipy.special.logit((float(limit) + d) / 100) for limit in (lower, upper)] for d in (-half, half)]
    ends = [100 * scipy.special.expit(sum(pair) / 2) for pair in logits]
    return _between(min(ends), max(ends), f"midpoint of {lower} to {upper} on the logit scale", PRINTED)


def _whole_number(evidence: Evidence, text: str) -> int:
    """Return the whole number that a text gives: digits, a fact of ``study_facts.csv`` or a box of ``prisma.csv``."""
    if text.isdigit():
        return int(text)
    if "." in text:
        return int(fact_row(evidence.table("study_facts"), text)["number"])
    return int(evidence.table("prisma").set_index("box")["n"][text])


def possible_counts(value: float, decimals: int, denominators: list[int]) -> list[tuple[int, int]]:
    """List every (k, n) with n among the denominators for which 100 k / n rounds to ``value``.

    Source: Brown & Heathers 2017 (GRIM).
    """
    return [
        (k, n)
        for n in denominators
        for k in range(math.floor(value * n / 100), math.ceil(value * n / 100) + 1)
        if 0 <= k <= n and formatting.rounds_to(100 * k / n, value, decimals)
    ]


def _source_of_number(evidence: Evidence, text: str) -> str:
    if text.isdigit():
        return TRIALS  # a number typed into the expression is the strongest source, so the others decide
    return evidence.source("study_facts", "number") if "." in text else evidence.source("prisma", "n")


def _nearest_count(value: float, decimals: int, denominators: list[int]) -> tuple[int, int]:
    """Return the (k, n) whose percentage is nearest to ``value``, preferring one that truncates to it."""
    counts = [(k, n) for n in denominators for k in (int(value * n / 100), int(value * n / 100) + 1)]
    return min(
        counts,
        key=lambda count: (
            not _cut_off(value, decimals, 100 * count[0] / count[1], 100 * count[0] / count[1]),
            abs(100 * count[0] / count[1] - value),
        ),
    )
