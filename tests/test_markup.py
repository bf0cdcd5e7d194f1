"""The one tree of a page: what it does not change it writes as it was, and text of the data stays text."""

from __future__ import annotations

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from psps_paper.book.display import table_markup
from psps_paper.site.extension import add_switch, correct, make_room
from psps_paper.site.formulas import join, mathml
from psps_paper.site.glossary import Term, explain
from psps_paper.site.markup import parse, rewritten
from psps_paper.site.tables import arrange
from psps_paper.site.trial_links import link_trials
from psps_paper.site.xray import add_bar

TERMS = {"CI": Term("CI", 'confidence <i>interval</i> & "more"', "statistics")}
RULES = (
    correct,
    add_switch,
    arrange,
    make_room,
    join,
    add_bar,
    lambda tree: explain(tree, TERMS),
    lambda tree: link_trials(tree, frozenset({57})),
)
HOSTILE = [
    "<b>x</b>",
    "&amp;",
    "&amp;lt;i&amp;gt;",
    "<script>x</script>",
    "</td></tr>",
    '"><img src=x onerror=y>',
    "<svg>",
    "</svg>",
]


@pytest.mark.parametrize(
    "body",
    [
        '<svg viewBox="0 0 1 1" preserveAspectRatio="none"><clipPath id="a"></clipPath><text>a &quot; b</text></svg>',
        "<p>a</p><svg><svg viewBox='0'></svg>CI</svg><p>b</p><svg viewBox='1'/><p>c</p>",
        "<!-- <p> --><p hidden>x</p>".replace(" hidden", ' hidden=""'),
        '<p class="b  a" id="z" data-a="&lt;&amp;">x &lt; y &amp;amp; z</p><br/><img alt="" src="a"/>',
        '<script type="application/json">{"a": "<svg viewBox=\\"0\\"></svg> & <b>"}</script>',
        "<pre>\n  a\n\n b</pre>",
        f'<span class="math">{mathml(r"x_1 < 2")}</span>',
        "<p>x</svg>y</p>".replace("</svg>", ""),
    ],
)
def test_what_no_rule_changes_is_written_as_it_was(body):
    assert rewritten(body) == body
    assert rewritten(body, *RULES) == body


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_looks_like_markup_stays_text(name):
    """In cells in view, in the row that opens, in headings and as the name of the row that opens."""
    table = pd.DataFrame([[f"{name} {k}, CI [57]" for k in range(9)]], columns=[f"{name} {k}" for k in range(9)])
    page = BeautifulSoup(rewritten(table_markup(table, label=name), *RULES), "html.parser")
    said = " ".join(f"{name} 3, CI [57]".split())
    assert [cell.get_text() for cell in page.select("tbody tr:first-child > td")][3] == said
    assert [told.get_text() for told in page.select("dd")] == [f"{name} {k}, CI [57]" for k in range(5, 9)]
    assert [head.get_text() for head in page.select("thead th, dt")] == [f"{name} {k}" for k in range(9)]
    assert page.select("tbody td")[0]["data-head"] == f"{name} 0" and page.summary.get_text().startswith(
        f"More of {name}"
    )
    assert not page.select("b, i, script, img, svg")
    assert {link["data-full"] for link in page.select(".psps-abbr")} == {TERMS["CI"].long}
    assert len(page.select(".psps-trial")) == 9


@given(st.lists(st.sampled_from(["<svg>", "</svg>", "<svg/>", "<g/>", "a", "<p>", "</p>"]), max_size=9))
def test_drawings_are_found_whatever_stands_around_them(pieces):
    """Whole drawings are kept letter by letter; one that never ends is parsed like all else, and no text is lost."""
    body = "".join(pieces)
    assert str(parse(body)).count("a") == body.count("a")
