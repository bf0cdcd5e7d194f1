"""Reporting checklists: complete, and each item on the page that it names, in the words that it names."""

from __future__ import annotations

import re
from functools import cache

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from conftest import BOOK, chapters
from psps_paper.book.verdicts import linked_checklist
from psps_paper.tables.load import load_table

# Page 2021, Table 1: items with parts
PARTS = {10: "ab", 13: "abcdef", 16: "ab", 20: "abcd", 23: "abcd", 24: "abc"}
MET = ("done", "partly")


def met() -> pd.DataFrame:
    table = load_table("checklists")
    return table[table["status"].isin(MET)]


@cache
def page(stem: str) -> tuple[str, frozenset[str]]:
    """Text and anchors of a chapter as it is stored: prose, and what its cells show."""
    cells = nbformat.read(BOOK / f"{stem}.ipynb", as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    shown = BeautifulSoup(
        "".join(
            markup
            for cell in cells
            for output in cell.get("outputs", [])
            if (markup := output.get("data", {}).get("text/html"))
        ),
        "html.parser",
    )
    headings = re.findall(r"^#+ (.+)$", prose, flags=re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-") for heading in headings} | {
        element["id"] for element in shown.select("[id]")
    }
    return " ".join(f"{re.sub(r'[{]glue[}]`[^`]*`', '', prose)} {shown.get_text(' ')}".split()), frozenset(anchors)


@pytest.mark.parametrize(
    "checklist, items",
    [
        ("PRISMA 2020", [f"{n}{part}" for n in range(1, 28) for part in PARTS.get(n, [""])]),  # Page 2021
        ("PRISMA-NMA", [f"S{n}" for n in range(1, 6)]),  # Hutton 2015
        ("SWiM", [str(n) for n in range(1, 10)]),  # Campbell 2020
    ],
)
def test_every_item_once_in_order(checklist, items):
    table = load_table("checklists")
    assert table.loc[table["checklist"] == checklist, "item"].tolist() == items


def test_every_item_names_a_chapter():
    assert set(load_table("checklists")["chapter"]) <= set(chapters())


@pytest.mark.parametrize("row", met().to_dict("records"), ids=lambda row: f"{row['checklist']}-{row['item']}")
def test_the_page_says_what_the_item_claims(row):
    text, anchors = page(row["chapter"])
    assert isinstance(row["says"], str) and len(row["says"].split()) > 1, "a claim without words to look for"
    assert row["says"] in text
    assert pd.isna(row["anchor"]) or row["anchor"] in anchors


def test_another_page_would_not_do():
    """Nearly all of the words occur in only one chapter, so that a wrong page fails."""
    elsewhere = {
        row.item: [stem for stem in set(met()["chapter"]) - {row.chapter} if row.says in page(stem)[0]]
        for row in met().itertuples()
    }
    assert {item for item, stems in elsewhere.items() if len(stems) > 1} == set()
    # support and interests were once claimed for a front page without a word of them
    assert not elsewhere["25"] and not elsewhere["26"]


def test_what_is_not_done_says_why():
    table = load_table("checklists")
    assert table.loc[table["status"] != "done", "remark"].notna().all()
    assert table.loc[~table["status"].isin(MET), ["says", "anchor"]].isna().all().all()


def test_links_lead_to_the_anchor():
    linked, table = linked_checklist(load_table("checklists")), load_table("checklists")
    for link, row in zip(linked["chapter"], table.itertuples(), strict=True):
        target = f"{row.chapter}.html" + (f"#{row.anchor}" if isinstance(row.anchor, str) else "")
        assert link.startswith(f'<a href="{target}">')


@pytest.mark.built
@pytest.mark.parametrize("row", met().to_dict("records"), ids=lambda row: f"{row['checklist']}-{row['item']}")
def test_the_built_page_says_it_too(built, row):
    article = BeautifulSoup(
        (built / "book" / f"{row['chapter']}.html").read_text(encoding="utf-8"), "html.parser"
    ).select_one("article.bd-article")
    assert row["says"] in " ".join(article.get_text().split())
    assert pd.isna(row["anchor"]) or article.find(id=row["anchor"]) is not None
