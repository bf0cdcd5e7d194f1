"""Tables and the form of the chapters on auditing other reviews."""

from __future__ import annotations

import html
import json

import numpy as np
import pandas as pd

from psps_paper import formatting
from psps_paper.audit import audit
from psps_paper.audit.geometry import laplacian
from psps_paper.book.display import Shown
from psps_paper.book.validation import oracle_folder
from psps_paper.network import fit_network

# Made up: effects 0, 0.3, 0.5 and 0.9 below that of D, with one cell reversed
EXAMPLE = """\
\tA\tB\tC\tD
A\tA\t\t\t
B\t0.40 (0.11 to 0.69)\tB\t\t
C\t0.60 (0.27 to 0.93)\t0.20 (\u22120.12 to 0.52)\tC\t
D\t\u22120.90 (\u22121.13 to \u22120.67)\t0.50 (0.26 to 0.74)\t0.30 (0.03 to 0.57)\tD
"""
_PART = {
    "none": "nothing changed",
    "none, with ranks and prediction intervals": "nothing changed, with ranks and prediction intervals",
}


def show_audit() -> Shown:
    """Build the form of "Check another review", hidden until its script runs, and the text shown without a script."""
    measures = [
        ("", "let the numbers decide"),
        ("difference", "a difference (MD, SMD, RD)"),
        ("ratio", "a ratio (OR, RR, HR)"),
    ]
    options = "".join(f'<option value="{value}">{label}</option>' for value, label in measures)
    markup = (
        '<link rel="stylesheet" href="../_static/audit.css"><div class="audit" id="audit"><noscript><p>This form needs'
        " JavaScript, which is switched off. <code>psps-paper audit</code> does the same from a command"
        ' line.</p></noscript><form hidden><label for="audit-text">League table, pasted from a page, a PDF or a'
        ' spreadsheet</label><textarea id="audit-text" spellcheck="false"'
        f' autocomplete="off">{html.escape(EXAMPLE)}</textarea><label for="audit-measure">The numbers'
        f' are</label><select id="audit-measure">{options}</select><div><button type="submit">Check</button><button'
        ' type="button" class="audit-example">Fill in a made-up example</button></div></form><div class="audit-out"'
        ' aria-live="polite"></div></div><script defer src="../_static/ml-matrix.js"></script><script defer'
        ' src="../_static/audit.js"></script>'
    )
    return Shown(markup, "The form to paste a league table into.")


def power_table(power: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the percentages of altered tables reported as a clash or at least questioned, by decimals."""
    rows = []
    for kind, group in power.groupby("kind", sort=False):
        row = {"what was changed": _PART.get(kind, kind), "tables": int(group["tables"].sum())}
        for decimals in (1, 2, 3):
            part = group[group["decimals"] == decimals]
            count = part["tables"].sum()
            shares = [
                formatting.percent(part[name].sum() / count, 0) if count else formatting.NOT_KNOWN
                for name in ("clash", "asked")
            ]
            (
                row[f"clash, {decimals} decimal{'s' * (decimals > 1)}"],
                row[f"asked, {decimals} decimal{'s' * (decimals > 1)}"],
            ) = shares
        rows.append(row)
    return pd.DataFrame(rows)


def geometry_table(geometry: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the percentages of comparisons correctly identified as direct or not direct, and of wrong answers."""
    rows = []
    for (network, decimals), group in geometry.groupby(["network", "decimals"], sort=False):
        parts = group.set_index("evidence")
        row = {"network": network, "decimals": decimals}
        for evidence, answer, name in (("direct", "yes", "direct, told"), ("none", "no", "not direct, told")):
            known = evidence in parts.index
            row[name] = (
                formatting.percent(parts.loc[evidence, answer] / parts.loc[evidence, "comparisons"], 0)
                if known
                else "none there"
            )
        row["wrongly told"] = int(
            sum(
                parts.loc[evidence, answer]
                for evidence, answer in (("direct", "no"), ("none", "yes"))
                if evidence in parts.index
            )
        )
        rows.append(row)
    return pd.DataFrame(rows)


def simulation_texts(power: pd.DataFrame, geometry: pd.DataFrame) -> dict[str, str]:
    """Return counts for prose: unaltered tables, false alarms, and the lowest detection rate of gross errors."""
    unharmed = power[power["kind"].str.startswith("none")]
    gross = power[
        power["kind"].isin(["sign of an estimate turned", "cell turned round", "limits exchanged", "rows exchanged"])
        & (power["decimals"] == 2)
    ]
    random = geometry[geometry["network"].str.startswith("random")]
    wrong = (
        geometry.loc[geometry["evidence"] == "direct", "no"].sum()
        + geometry.loc[geometry["evidence"] == "none", "yes"].sum()
    )
    return {
        "false_alarms": formatting.out_of(int(unharmed["clash"].sum()), int(unharmed["tables"].sum())),
        "least_found": formatting.percent(float((gross["clash"] / gross["tables"]).min()), 0),
        "told_wrongly": formatting.out_of(int(wrong), int(random["comparisons"].sum())),
    }


def senn_recovered(decimals: int = 2) -> pd.DataFrame:
    """Compare the weights recovered from the rounded league table of netmeta's Senn2013 with those of the fit.

    Parameters
    ----------
    decimals : int
        Decimals of the printed limits.
    """
    given = json.loads((oracle_folder() / "senn2013.json").read_text(encoding="utf-8"))["input"]
    fit = fit_network(
        pd.DataFrame(
            {
                "study": given["studlab"],
                "treat1": given["treat1"],
                "treat2": given["treat2"],
                "te": given["TE"],
                "se": given["seTE"],
            }
        )
    )
    names = fit.treatments
    rows = [["", *names]]
    for name in names:
        cells = [
            (
                f"{fit.te.loc[name, other]:.{decimals}f} ({fit.lower.loc[name, other]:.{decimals}f},"
                f" {fit.upper.loc[name, other]:.{decimals}f})"
                if other != name
                else ""
            )
            for other in names
        ]
        rows.append([name, *cells])
    found = audit("\n".join("\t".join(row) for row in rows) + "\n", measure="MD").weights
    true = -laplacian(np.square(fit.se.to_numpy()))
    direct = {frozenset(pair) for pair in zip(fit.contrasts["treat1"], fit.contrasts["treat2"], strict=True)}
    found["true weight"] = [
        max(true[names.index(row.treat1), names.index(row.treat2)], 0.0) for row in found.itertuples()
    ]
    found["studies compare them"] = [
        "yes" if frozenset((row.treat1, row.treat2)) in direct else "no" for row in found.itertuples()
    ]
    kept = found[(found["direct"] == "yes") | (found["studies compare them"] == "yes") | (found["direct"] == "no")]
    table = pd.DataFrame(
        {
            "comparison": kept["treat1"] + " against " + kept["treat2"],
            "true weight": kept["true weight"].map(lambda value: formatting.number(value, 1)),
            "recovered weight": kept["weight"].map(lambda value: formatting.number(value, 1)),
            "bounds": [
                formatting.interval(low, high, 1) for low, high in zip(kept["lower"], kept["upper"], strict=True)
            ],
            "told as direct": kept["direct"],
            "studies compare them": kept["studies compare them"],
        }
    )
    return table.reset_index(drop=True)
