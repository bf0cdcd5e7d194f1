"""Tables with a few columns in view: every cell stays on the page, with its heading, and rows keep their addresses."""

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from psps_paper.book.display import show, table_markup
from psps_paper.site.markup import rewritten
from psps_paper.site.tables import IN_VIEW, LONG, MOST_SHORT, arrange

WORDS = "a cell that says more than a number"


def soup(frame, **options):
    return BeautifulSoup(rewritten(table_markup(frame, label="t", **options), arrange), "html.parser")


def frame(columns, cell=WORDS, rows=2):
    return pd.DataFrame({f"column {k}": [f"{cell} {k}.{row}" for row in range(rows)] for k in range(columns)})


def heads(page):
    return [head.get_text() for head in page.select("thead th")]


def test_what_fits_stays_in_view_and_what_does_not_opens_below_its_row():
    assert heads(soup(frame(IN_VIEW))) == [f"column {k}" for k in range(IN_VIEW)]
    assert not soup(frame(IN_VIEW)).select(".psps-rest")
    page = soup(frame(7))
    assert len(heads(page)) == IN_VIEW
    rows = page.select("tbody tr")
    assert [row.get("class") for row in rows] == [None, ["psps-rest"]] * 2
    assert {
        term.get_text(): told.get_text() for term, told in zip(rows[1].select("dt"), rows[1].select("dd"), strict=True)
    } == {"column 5": f"{WORDS} 5.0", "column 6": f"{WORDS} 6.0"}
    assert rows[1].find("td")["colspan"] == str(IN_VIEW) and rows[1].summary.get_text().startswith("More of a cell")


def test_numbers_fit_where_words_do_not():
    assert len(heads(soup(frame(MOST_SHORT, "1")))) == MOST_SHORT
    assert len(heads(soup(frame(MOST_SHORT + 1, "1")))) == IN_VIEW


def test_the_columns_in_view_can_be_named():
    assert heads(soup(frame(7), view=["column 0", "column 6"])) == ["column 0", "column 6"]
    indexed = frame(7).set_index("column 0")
    page = soup(indexed, view=["column 6"], index=True)
    assert heads(page) == ["column 0", "column 6"] and len(page.select("tbody th[scope=row]")) == 2
    with pytest.raises(ValueError, match="no column 'z'; expected some of column 0"):
        table_markup(frame(2), label="t", view=["z"])


def test_rows_keep_their_anchors_and_cells_their_headings():
    table = frame(6)
    table.attrs["row_ids"] = {0: "claim-a"}
    page = soup(table)
    assert [cell["data-head"] for cell in page.select("#claim-a > td")] == [f"column {k}" for k in range(IN_VIEW)]


def test_a_table_written_in_markdown_is_arranged_too():
    page = BeautifulSoup(
        rewritten(
            '<table class="table"><thead><tr class="row-odd"><th class="head"><p>A</p></th></tr></thead>'
            '<tbody><tr class="row-even"><td><p>x</p></td></tr></tbody></table>',
            arrange,
        ),
        "html.parser",
    )
    assert page.table["class"] == ["table", "psps-rows"] and page.td["data-head"] == "A"


def test_headings_stand_above_their_numbers_and_lists_of_numbers_are_words():
    page = soup(pd.DataFrame({"a": ["x", "y"], "n": [1, 20], "refs": ["57, 71", "49"]}))
    assert [head.get("class") for head in page.select("thead th")] == [None, ["number"], None]
    assert [cell.get("class") for cell in page.select("tbody td")] == [None, ["number"], None] * 2


def test_cells_are_parted_for_a_search():
    text = soup(pd.DataFrame({"a": ["yes"], "b": ["low"], "c": ["used"]})).get_text()
    assert "yeslow" not in text and "lowused" not in text


@given(st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=30), min_size=9, max_size=9))
def test_no_cell_is_lost_whatever_it_says(cells):
    """Cells in view come as they are; the others with the heading of their column, those without words left out."""
    table = pd.DataFrame([cells], columns=[f"h{k}" for k in range(9)])
    page = soup(table)
    found = [cell.get_text() for cell in page.select("tbody tr:first-child > td")] + [
        told.get_text() for told in page.select("dd")
    ]
    plain = BeautifulSoup(table_markup(table, label="t"), "html.parser").select("tbody td")
    assert found == [cell.get_text() for k, cell in enumerate(plain) if k < len(heads(page)) or cell.get_text().split()]


def test_a_registry_shows_the_first_rows_and_its_csv_has_all():
    page = BeautifulSoup(
        show(frame(3, rows=40), caption="C.", tier="printed", name="registry", short=4).markup, "html.parser"
    )
    assert len(page.select("tbody tr")) == 4 and page.figure.has_attr("data-registry")
    assert "4 of 40 rows" in page.select_one(".psps-note").get_text()
    whole = BeautifulSoup(
        show(frame(3, rows=3), caption="C.", tier="printed", name="registry", short=4).markup, "html.parser"
    )
    assert not whole.figure.has_attr("data-registry") and whole.select_one(".psps-note") is None


def test_a_long_table_opens_below_its_caption():
    assert soup(frame(2, rows=LONG)).find("details") is None
    closed = soup(frame(2, rows=LONG + 1)).find("details", class_="psps-long")
    assert closed.summary.get_text() == f"All {LONG + 1} rows" and closed.table is not None
    assert soup(frame(2, rows=LONG + 1), whole=True).find("details") is None
    body = f"<details><summary>s</summary>{table_markup(frame(2, rows=LONG + 1), label='t')}</details>"
    within = rewritten(body, arrange)
    assert within.count("<details") == 1
