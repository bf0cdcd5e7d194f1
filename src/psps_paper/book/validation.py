"""Tables of the validation chapter: agreement of the engine with other software."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd

from psps_paper.book.validation_bayes import compare_bayes
from psps_paper.book.validation_networks import TOLERANCE, TOLERANCE_EVIDENCE, TOLERANCE_LIKELIHOOD, compare_with_oracle
from psps_paper.book.validation_pairwise import PAULE_MANDEL, compare_pairwise_with_oracles
from psps_paper.effects.quantiles import MISPRINTED_QUARTILES, MISPRINTED_RANGE
from psps_paper.tables.load import data_folder

MOST_DIGITS = 10  # further digits depend on the order of additions, which differs between machines


def oracle_folder() -> Path:
    """Return the folder of reference results in the checkout that holds the data folder."""
    return data_folder().parent / "tests" / "oracles"


def agreement_by_field(folder: Path | None = None) -> pd.DataFrame:
    """Compare every field of every reference result with this package.

    Returns
    -------
    DataFrame [reference, software, field, cells, digits, required digits, agrees, reason]
        ``digits``: significant digits on which all cells agree, at most ``MOST_DIGITS``; empty for a field that is not
        compared, for which ``reason`` says why.
    """
    folder = folder or oracle_folder()
    rows = []
    pairwise = compare_pairwise_with_oracles(folder)
    for path in sorted(folder.glob("*.json")):
        meta = json.loads(path.read_text(encoding="utf-8"))["meta"]
        packages = ("netmeta", "metafor", "meta", "robumeta", "bayesmeta", "rjags")
        software = ", ".join(f"{name} {meta[name]}" for name in packages if name in meta)
        if path.stem in set(pairwise["oracle"]):
            fields = pairwise[pairwise["oracle"] == path.stem]
            fields = fields.assign(agrees=fields["max_rel_diff"] <= fields["tolerance"], reason="", cells=pd.NA)
        elif "method_tau" in meta:
            fields = compare_with_oracle(path)
        elif path.stem.startswith("bayes_"):
            fields = compare_bayes(path)
        else:
            continue  # other_references
        for row in fields.itertuples():
            compared = not row.reason
            rows.append(
                {
                    "reference": path.stem,
                    "software": software,
                    "field": row.field,
                    "cells": "" if pd.isna(row.cells) or not compared else str(row.cells),
                    "digits": _digits(row.max_rel_diff, required_digits(row.tolerance)) if compared else "",
                    "required digits": str(required_digits(row.tolerance)) if compared else "",
                    "agrees": {True: "yes", False: "no"}[bool(row.agrees)] if compared else "not compared",
                    "reason": row.reason,
                }
            )
    return pd.DataFrame(rows)


def agreement_by_reference(by_field: pd.DataFrame) -> pd.DataFrame:
    """Count fields that agree, differ and are not compared, by reference: DataFrame [reference, software, ...]."""
    groups = by_field.groupby(["reference", "software"], sort=True)["agrees"]
    table = groups.value_counts().unstack(fill_value=0).reindex(columns=["yes", "no", "not compared"], fill_value=0)
    table = table.rename(
        columns={"yes": "fields that agree", "no": "fields that differ", "not compared": "not compared"}
    )
    return table.rename_axis(columns=None).reset_index()


def other_references(folder: Path | None = None) -> pd.DataFrame:
    """List the reference files that tests compare cell by cell.

    Returns
    -------
    DataFrame [reference, software, cells compared, cells listed, tolerance, why listed, test]
        As written by the tests to ``agreement.csv`` next to the files; the tests fail if it is out of date.
        ``tolerance`` is the largest relative difference allowed for any cell; for most the tolerance is smaller.
    """
    return pd.read_csv((folder or oracle_folder()) / "agreement.csv", dtype=str, keep_default_na=False)


def required_digits(tolerance: float) -> int:
    """Return the number of whole significant digits that a relative tolerance requires."""
    return math.floor(-math.log10(tolerance) + 1e-9)


def agreement_numbers() -> dict[str, str]:
    """Return the digits that must agree by kind of quantity, the digits shown, and the misprints in Wan's tables."""
    return {
        "digits_estimates": str(required_digits(TOLERANCE)),
        "digits_differences": str(required_digits(TOLERANCE_EVIDENCE)),
        "digits_iterated": str(required_digits(TOLERANCE_LIKELIHOOD)),
        "digits_paule_mandel": str(required_digits(PAULE_MANDEL)),
        "digits_shown": str(MOST_DIGITS),
        "wan_misprints": str(len(MISPRINTED_RANGE) + len(MISPRINTED_QUARTILES)),
    }


def _digits(relative_difference: float, required: int) -> str:
    agreeing = -math.log10(max(relative_difference, 1e-300))
    # Between the required digits and MOST_DIGITS the count depends on the machine, so it is not shown
    return (
        f"{MOST_DIGITS} or more"
        if agreeing >= MOST_DIGITS
        else f"{required} or more"
        if agreeing >= required
        else str(math.floor(agreeing))
    )
