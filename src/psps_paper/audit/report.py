"""An audit as text and as one self-contained HTML page."""

from __future__ import annotations

import html
import json
import math
from typing import Any

import numpy as np
import pandas as pd

from psps_paper.audit.checking import Audit
from psps_paper.audit.model import VERDICTS
from psps_paper.audit.network_checks import Analysis
from psps_paper.audit.weights import Geometry
from psps_paper.formatting import number

_ORDER = ("clash", "cannot tell", "explained", "holds")


def _range(low: float, high: float) -> str:
    if math.isnan(low) and math.isnan(high):
        return ""
    return f"{_digits(low)} to {_digits(high)}"


def _digits(value: float) -> str:
    """Write three significant digits, or all digits before the decimal point of large numbers."""
    if not math.isfinite(value):
        return number(value)
    decimals = 2 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
    return number(value, min(decimals, 6))


def text_report(found: Audit, *, everything: bool = False) -> str:
    """Write findings in words, the most serious first; those that hold are counted, or listed with ``everything``."""
    lines = [found.printed.title]
    counts = found.count()
    lines.append(", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS))
    for network in found.printed.networks:
        lines += [f"note: {network.name}: {note}" for note in network.notes]
    for verdict in _ORDER:
        rows = found.findings[found.findings["verdict"] == verdict]
        if verdict == "holds" and not everything:
            rows = rows[rows["check"].isin(["scale", "orientation", "direction", "consistency", "covariance"])]
        for row in rows.itertuples():
            allowed = _range(row.lower, row.upper)
            printed = f": printed {row.printed}" if row.printed else ""
            lines.append(
                f"{verdict}: {row.check}, {row.where}{printed}{f', from the others {allowed}' if allowed else ''}."
                f" {row.why}"
            )
    for row in found.implied.itertuples():
        lines.append(f"follows: {row.quantity}, {row.where}: {_range(row.lower, row.upper)} (from {row.source})")
    if len(found.weights):
        lines.append("weights of direct evidence, with outer bounds by rounding:")
        for row in found.weights.itertuples():
            lines.append(
                f"  {row.network}: {row.treat1} vs {row.treat2}: {_digits(row.weight)}"
                f" ({_range(row.lower, row.upper)}), direct: {row.direct}"
            )
    return "\n".join(lines)


def as_json(found: Audit) -> dict[str, Any]:
    """Convert an audit to plain objects; infinite and missing numbers become null."""

    def records(table: pd.DataFrame) -> list[dict[str, Any]]:
        return json.loads(table.replace([np.inf, -np.inf], np.nan).to_json(orient="records", double_precision=12))

    return {
        "title": found.printed.title,
        "source": found.printed.source,
        "verdict": found.verdict,
        "counts": {verdict: int(count) for verdict, count in found.count().items()},
        "findings": records(found.findings),
        "implied": records(found.implied),
        "weights": records(found.weights),
    }


# --- HTML ---------------------------------------------------------------------------------------------

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; color: #1d2733; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin-top: 2rem } table { border-collapse: collapse; margin: .75rem 0 }
caption { text-align: left; font-weight: 600; padding: .25rem 0 } th, td { border: 1px solid #c9d1da; padding: .3rem .5rem; text-align: left; vertical-align: top }
th { background: #f2f5f8 } .clash { background: #fbd9d3 } .cannot { background: #fdf0cc } .explained { background: #e3edf9 } .holds { background: #e6f3e6 }
.scroll { overflow-x: auto } svg text { font: 13px system-ui, sans-serif }
"""
_CLASS = {"clash": "clash", "cannot tell": "cannot", "explained": "explained", "holds": "holds"}


def html_report(found: Audit) -> str:
    """Write a page with the tables as read, marked by verdict, the findings, implied quantities and the network.

    The page loads nothing from outside.
    """
    counts = found.count()
    title = html.escape(found.printed.title)
    parts = [f"<h1>{title}</h1>", f"<p>{html.escape(found.printed.source)}</p>" if found.printed.source else ""]
    parts.append(
        "<p>"
        + ", ".join(f'<span class="{_CLASS[verdict]}">{counts[verdict]} {verdict}</span>' for verdict in VERDICTS)
        + "</p>"
    )
    for analysis, shape in found.analyses:
        parts.append(_table_markup(found, analysis))
        if shape is not None:
            parts.append(_graph_markup(analysis, shape))
    findings = found.findings.assign(order=found.findings["verdict"].map(_ORDER.index)).sort_values(
        "order", kind="stable"
    )
    rows = [
        (row.verdict, row.check, row.where, row.printed, _range(row.lower, row.upper), row.why)
        for row in findings.itertuples()
    ]
    parts.append(
        "<h2>Findings</h2>"
        + _rows_markup(("verdict", "check", "where", "printed", "from the others", "why"), rows, marked=True)
    )
    if len(found.implied):
        rows = [
            (row.quantity, row.where, _range(row.lower, row.upper), row.source) for row in found.implied.itertuples()
        ]
        parts.append(
            "<h2>What follows and was not printed</h2>" + _rows_markup(("quantity", "where", "interval", "from"), rows)
        )
    if len(found.weights):
        rows = [
            (row.network, row.treat1, row.treat2, _digits(row.weight), _range(row.lower, row.upper), row.direct)
            for row in found.weights.itertuples()
        ]
        parts.append(
            "<h2>Weights of the direct evidence</h2><p>The intervals are outer bounds over all tables that round to the"
            " print.</p>"
            + _rows_markup(("network", "treatment 1", "treatment 2", "weight", "interval", "direct"), rows)
        )
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport"'
        f' content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{title}:"
        f" audit</title><style>{_STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )


def _rows_markup(heads: tuple[str, ...], rows: list[tuple[str, ...]], *, marked: bool = False) -> str:
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in heads)
    body = "".join(
        f"<tr{f' class={chr(34)}{_CLASS[row[0]]}{chr(34)}' if marked else ''}>"
        + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row)
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _table_markup(found: Audit, analysis: Analysis) -> str:
    """Write the analysis as a square, row versus column as read, each cell with its most serious verdict."""
    grave: dict[frozenset[str], tuple[str, list[str]]] = {}
    prefix = analysis.network.name
    for finding in found.details:
        if not finding.where.startswith(prefix):
            continue
        for pair in finding.cells:
            verdict, why = grave.get(frozenset(pair), ("holds", []))
            if finding.verdict != "holds":
                why = [*why, f"{finding.verdict}: {finding.why}"]
            grave[frozenset(pair)] = (min(verdict, finding.verdict, key=_ORDER.index), why)
    names = [
        label
        for label in analysis.network.treatments
        if any(label in (cell.treat1, cell.treat2) for cell in analysis.cells)
    ]
    of = {(cell.treat1, cell.treat2): cell.triple.text for cell in analysis.cells}
    rows = []
    for row in names:
        cells = []
        for column in names:
            verdict, why = grave.get(frozenset((row, column)), ("holds", []))
            text = of.get((row, column), "")
            mark = (
                f' class="{_CLASS[verdict]}" title="{html.escape("; ".join(why), quote=True)}"'
                if text and verdict != "holds"
                else ""
            )
            cells.append(f"<td{mark}>{html.escape(text)}</td>")
        rows.append(f'<tr><th scope="row">{html.escape(row)}</th>{"".join(cells)}</tr>')
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in names)
    caption = html.escape(analysis.where + ", read as row versus column")
    return (
        "<div"
        f' class="scroll"><table><caption>{caption}</caption><thead><tr><td></td>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _graph_markup(analysis: Analysis, shape: Geometry) -> str:
    """Draw the recovered network: solid lines for certain direct evidence, dashed for possible, wider for more weight."""
    names = shape.square.treatments
    n = len(names)
    angle = [2 * math.pi * k / n - math.pi / 2 for k in range(n)]
    at = {name: (330 + 170 * math.cos(a), 220 + 170 * math.sin(a)) for name, a in zip(names, angle, strict=True)}
    largest = max(float(np.nanmax(shape.table["weight"].to_numpy(), initial=0.0)), 1e-12)
    lines = []
    for row in shape.table.itertuples():
        if row.direct == "no":
            continue
        (x1, y1), (x2, y2) = at[row.treat1], at[row.treat2]
        width = (
            1 + 9 * math.sqrt(max(row.weight, 0.0) / largest) if row.direct == "yes" and row.weight == row.weight else 1
        )
        style = 'stroke="#2f5d8a"' if row.direct == "yes" else 'stroke="#8a94a0" stroke-dasharray="4 4"'
        lines.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke-width="{width:.1f}" {style}/>'
        )
    labels = []
    for name, a in zip(names, angle, strict=True):
        x, y = at[name]
        anchor = "start" if math.cos(a) > 0.3 else "end" if math.cos(a) < -0.3 else "middle"
        labels.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="#1d2733"/><text x="{x + 14 * math.cos(a):.1f}"'
            f' y="{y + 18 * math.sin(a) + 4:.1f}" text-anchor="{anchor}">{html.escape(name)}</text>'
        )
    direct = (shape.table["direct"] == "yes").sum()
    label = html.escape(
        f"Recovered network of {analysis.network.name}: {direct} comparisons with direct evidence", quote=True
    )
    return (
        f'<figure><svg role="img" aria-label="{label}" viewBox="0 0 660 440" width="660"'
        f' height="440">{"".join(lines)}{"".join(labels)}</svg><figcaption>The network behind the table: lines where'
        " direct evidence is told, wider with more weight; dashed where it cannot be told.</figcaption></figure>"
    )
