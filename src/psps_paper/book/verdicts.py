"""Tables and texts of verdicts, numbers and checklists for chapters."""

from __future__ import annotations

import html
import re

import pandas as pd

from psps_paper.book.claims import claims_table, how, place
from psps_paper.book.display import Html
from psps_paper.claims.model import AGAINST, VERDICTS, WEIGHTS
from psps_paper.claims.registry import statements
from psps_paper.tables.load import data_folder


def verdict_texts(checked: pd.DataFrame) -> dict[str, str]:
    """Count statements for prose; a number printed in several places counts once.

    Returns
    -------
    dict
        ``n_results``, the distinct results; ``n_reproduces`` and so on, their verdicts; ``n_statements``, which also
        counts methods and details; and ``n_places``, the places that print them.
    """
    distinct = statements(checked)
    results = distinct.loc[distinct["weight"] == "result", "verdict"]
    counts = {f"n_{verdict.replace(' ', '_')}": str((results == verdict).sum()) for verdict in VERDICTS}
    return {"n_results": str(len(results)), **counts, "n_statements": str(len(distinct)), "n_places": str(len(checked))}


def verdict_counts(checked: pd.DataFrame, by: str) -> pd.DataFrame:
    """Count distinct statements by verdict, with totals.

    ``by`` is "weight" or, for results alone, "against" (what they were checked against).
    """
    distinct = statements(checked)
    rows, first = {"weight": (WEIGHTS, "weight"), "against": (AGAINST, "results checked against")}[by]
    distinct = distinct if by == "weight" else distinct[distinct["weight"] == "result"]
    table = pd.crosstab(distinct[by], distinct["verdict"]).reindex(
        index=list(rows), columns=list(VERDICTS), fill_value=0
    )
    table = table[table.any(axis=1)]
    table.loc["all"] = table.sum()
    table["all"] = table.sum(axis=1)
    return table.rename_axis(index=first, columns=None).reset_index()


def number_texts(numbers: pd.DataFrame) -> dict[str, str]:
    """Count all numbers of the article and those in registered statements: ``n_numbers`` and ``n_registered``."""
    return {"n_numbers": str(len(numbers)), "n_registered": str(int(numbers["claims"].notna().sum()))}


def numbers_by_reason(numbers: pd.DataFrame) -> pd.DataFrame:
    """Count the numbers of the article: registered, or by the reason why they state nothing, with examples."""
    kind = numbers["excluded"].fillna("registered")
    groups = numbers["token"].groupby(kind)
    table = pd.DataFrame(
        {"numbers": groups.size(), "examples": groups.agg(lambda tokens: "; ".join(tokens.unique()[:4]))}
    )
    return table.sort_values("numbers", ascending=False, kind="stable").rename_axis("what it is").reset_index()


def page_title(stem: str) -> str:
    """Return the title of a chapter, its top heading; without chapters next to the data, its file name in words."""
    path = data_folder().parent / "book" / f"{stem}.ipynb"
    found = re.search(r'"# (.+?)(?:\\n)?"', path.read_text(encoding="utf-8")[:4000]) if path.exists() else None
    return found.group(1) if found else stem.replace("_", " ").capitalize()


def rules_table(rules: pd.DataFrame) -> pd.DataFrame:
    """Tabulate ``certainty_rules`` for readers, without the code of conditions and with at most two decimals."""
    return rules.drop(columns=["condition", "condition_label"]).assign(
        threshold=["" if pd.isna(value) else f"{round(value, 2):g}" for value in rules["threshold"]],
    )


def status_table(checked: pd.DataFrame, *, anchors: bool = True) -> pd.DataFrame:
    """Tabulate statements with their verdicts, each linked to its rows in the chapters that mirror its places.

    ``anchors`` gives each row the anchor ``status-<id>`` and marks its printed number; use it for one table per page.
    """
    distinct = statements(checked)
    table = claims_table(distinct)
    titles = {stem: page_title(stem) for stem in checked["chapter"].unique()}
    links = {
        key: f'<a href="{claim["chapter"]}.html#claim-{claim["id"]}">{html.escape(titles[claim["chapter"]])}</a>'
        for key, claim in checked.iterrows()
    }
    table.insert(1, "chapter", [Html(", ".join(links[key] for key in ids)) for ids in distinct["ids"]])
    if not anchors:
        table["printed"] = distinct["shown"]
    table.attrs["row_ids"] = {key: f"status-{key}" for key in distinct.index} if anchors else {}
    return table


def status_data(checked: pd.DataFrame) -> pd.DataFrame:
    """Return the content of :func:`status_table` as data, with one variable per column.

    Returns
    -------
    DataFrame [id, statement, chapter, places, printed, found, verdict, tier, weight, checked against, how]
    """
    distinct = statements(checked)
    return pd.DataFrame(
        [
            {
                "id": key,
                "statement": claim["quantity"],
                "chapter": " ".join(dict.fromkeys(checked.loc[claim["ids"], "chapter"])),
                "places": "; ".join(claim.get("places", [place(claim)])),
                "printed": claim["shown"],
                "found": claim["computed"],
                "verdict": claim["verdict"],
                "tier": claim["tier"],
                "weight": claim["weight"],
                "checked against": claim["against"],
                "how": how(claim),
            }
            for key, claim in distinct.iterrows()
        ]
    )


def linked_checklist(checklists: pd.DataFrame) -> pd.DataFrame:
    """Tabulate checklist items, each with a link to the place that meets it and the words found there."""
    links = [
        Html(
            f'<a href="{row.chapter}.html{f"#{row.anchor}" if isinstance(row.anchor, str) else ""}">'
            f"{html.escape(page_title(row.chapter))}</a>"
        )
        for row in checklists.itertuples()
    ]
    table = checklists.assign(chapter=links).drop(columns="anchor").rename(columns={"says": "the page says"})
    return table.fillna({"the page says": "", "remark": ""})
