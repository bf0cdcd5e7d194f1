"""The audit of a paper's printed results: all checks, in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from psps_paper.audit.cells import limit_findings, order_findings, test_findings
from psps_paper.audit.description import read_printed
from psps_paper.audit.findings import Finding, Implied, finding_table, implied_table
from psps_paper.audit.heterogeneity import percentage_findings, prediction_findings, q_findings
from psps_paper.audit.model import VERDICTS, Network, Printed
from psps_paper.audit.network_checks import (
    Analysis,
    arrange,
    consistency_findings,
    covariance_findings,
    misplaced_findings,
    with_scale,
)
from psps_paper.audit.ranks import oriented_by_scores, score_findings, sum_findings
from psps_paper.audit.square import Square, closed
from psps_paper.audit.weights import COLUMNS, Geometry, direct_findings, geometry
from psps_paper.tables.limits import MAX_TABLE_TREATMENTS


@dataclass(frozen=True, eq=False)
class Audit:
    """The result of an audit.

    Attributes
    ----------
    findings : DataFrame [check, where, printed, lower, upper, verdict, why]
        One row per check of one place. ``lower`` and ``upper`` bound the values that the other printed numbers allow;
        ``verdict`` is holds, explained, cannot tell or clash.
    implied : DataFrame [quantity, where, lower, upper, source]
        Unpublished quantities that follow.
    weights : DataFrame [network, treat1, treat2, weight, lower, upper, direct]
        Weight of the direct evidence of each comparison, with outer bounds by rounding, and whether there is any: yes,
        no or cannot tell. Only for full tables.
    printed : Printed
        The printed results as read.
    details : tuple of Finding
        The findings with the pairs of treatments that they concern.
    analyses : tuple of (Analysis, Geometry or None)
    """

    findings: pd.DataFrame
    implied: pd.DataFrame
    weights: pd.DataFrame
    printed: Printed
    details: tuple[Finding, ...] = field(default=(), repr=False)
    analyses: tuple[tuple[Analysis, Geometry | None], ...] = field(default=(), repr=False)

    @property
    def verdict(self) -> str:
        """The most serious verdict of all findings."""
        found = set(self.findings["verdict"])
        return next((verdict for verdict in ("clash", "cannot tell", "explained") if verdict in found), "holds")

    def count(self) -> pd.Series:
        """Count findings by verdict."""
        return self.findings["verdict"].value_counts().reindex(list(VERDICTS), fill_value=0)


def audit(
    source: str | Path | Mapping[str, Any], *, measure: str = "", smallest_weight: float | None = None, name: str = ""
) -> Audit:
    """Check a paper's printed results of a network meta-analysis: what agrees, what clashes, and what follows.

    Parameters
    ----------
    source : path, text or dict
        A YAML description; a CSV, TSV, XLSX, TXT or MD file with only a league table; pasted text (with line breaks);
        or a dict with the content of the YAML. ``psps-paper audit --template`` writes a description to fill in.
    measure : str
        Measure of a table without description, such as "SMD" or "OR", if its numbers do not show whether they are
        ratios.
    smallest_weight : float, optional
        Assumed smallest weight of a trial (reciprocal variance, including tau2); a comparison with a smaller weight has
        no direct evidence. Default: the weight at a standard error of four times the largest in the table.
    name : str
        Name of a pasted text in messages.

    Returns
    -------
    Audit

    Raises
    ------
    ValueError
        The source cannot be read; the message names file, row, column, text and expectation.

    Examples
    --------
    >>> found = audit(\"\"\"A | 0.30 (0.10 to 0.50) | 0.50 (0.20 to 0.80)
    ... | B | 0.20 (-0.10 to 0.50)
    ... | | C\"\"\")
    >>> found.verdict
    'cannot tell'
    >>> found.findings.query("check == 'consistency'")["verdict"].item()
    'holds'
    """
    if smallest_weight is not None and not smallest_weight > 0:
        raise ValueError(f"smallest_weight={smallest_weight!r}: expected a number above 0")
    printed = read_printed(source, measure=measure, name=name)
    findings: list[Finding] = []
    implied: list[Implied] = []
    analyses: list[tuple[Analysis, Geometry | None]] = []
    networks = []
    for network in printed.networks:
        if len(network.treatments) > MAX_TABLE_TREATMENTS:
            raise ValueError(
                f"{network.name}: {len(network.treatments)} treatments, the limit is {MAX_TABLE_TREATMENTS}"
            )
        network, found = with_scale(network)
        networks.append(network)
        findings += found
        if network.tables and not network.scale:
            found, given = _sums(network)
            findings += order_findings(network) + found
            implied += given
            continue
        one_found, one_implied, one_analyses = _check_network(network, smallest_weight)
        findings += one_found
        implied += one_implied
        analyses += one_analyses
    findings += percentage_findings(printed.percentages)
    tables = [shape.table for _, shape in analyses if shape is not None]
    weights = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))
    return Audit(
        finding_table(findings),
        implied_table(implied),
        weights,
        replace(printed, networks=tuple(networks)),
        tuple(findings),
        tuple(analyses),
    )


def _check_network(
    network: Network, smallest: float | None
) -> tuple[list[Finding], list[Implied], list[tuple[Analysis, Geometry | None]]]:
    network, said = oriented_by_scores(network)
    analyses, findings = arrange(network)
    findings = misplaced_findings(network) + said + findings
    implied: list[Implied] = []
    kept: list[tuple[Analysis, Geometry | None]] = []
    for analysis in analyses:
        found, given, shape = _check_analysis(analysis, smallest)
        findings += found
        implied += given
        kept.append((analysis, shape))
    found, given = _sums(network)
    return findings + found, implied + given, kept


def _sums(network: Network) -> tuple[list[Finding], list[Implied]]:
    """Run the checks that apply on any scale: sums of ranks, Q, I2 and degrees of freedom."""
    found, given = q_findings(network)
    return sum_findings(network) + found, given


def _check_analysis(analysis: Analysis, smallest: float | None) -> tuple[list[Finding], list[Implied], Geometry | None]:
    network = analysis.network
    cells, direct = list(analysis.cells), list(analysis.direct)
    findings = limit_findings(network, cells, analysis.label) + limit_findings(network, direct, "direct")
    findings += test_findings(network, cells, analysis.label) + test_findings(network, direct, "direct")
    if not cells:
        return findings, [], None
    findings += consistency_findings(analysis)
    square = analysis.square()
    confined = closed(network, square) if square.symmetric else None
    clash = any(finding.verdict == "clash" for finding in findings)
    if not any(finding.verdict == "clash" and finding.check == "interval" for finding in findings):
        findings += covariance_findings(analysis, confined or square)
    shape, notes = geometry(analysis, smallest)
    findings += notes + direct_findings(analysis, shape)
    scored, given, _ = score_findings(network, confined or square)
    found, more = prediction_findings(network, cells)
    implied = given + more + ([] if clash else _missing_cells(analysis, confined))
    return findings + scored + found, implied, shape


def _missing_cells(analysis: Analysis, square: Square | None) -> list[Implied]:
    """List unpublished comparisons that follow from the printed ones."""
    if square is None:
        return []
    rows = []
    ratio = analysis.network.scale == "ratio"
    for i, treat1 in enumerate(square.treatments):
        for j in range(i + 1, len(square.treatments)):
            low, high = -square.te_high[j, i], square.te_high[i, j]
            if not square.printed[i, j] and np.isfinite(low) and np.isfinite(high):
                ends = (float(np.exp(low)), float(np.exp(high))) if ratio else (float(low), float(high))
                rows.append(
                    Implied(
                        "estimate", f"{analysis.network.name}: {treat1} vs {square.treatments[j]}", *ends, "other cells"
                    )
                )
    return rows
