"""Display in chapters: nothing in a cell becomes markup by accident, and every table carries its own data."""

from __future__ import annotations

import base64
import io
import re

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from helpers import DATA, table
from psps_paper.book import claims, display
from psps_paper.book.claims import claim_span, claims_table
from psps_paper.book.display import Html, Shown, heading, show, table_markup, tier_badge, value_span, verdict_chip
from psps_paper.book.verdicts import rules_table, status_table
from psps_paper.claims.registry import check_claims, statements
from psps_paper.figures import Drawing, rob_stacked

NASTY = """<script>alert("x")</script> & 'a' < b > c"""
TIERS = ["printed", "recomputed", "implied", "re-extracted", "simulated"]


@pytest.fixture(scope="module")
def checked():
    return check_claims(DATA)


@pytest.fixture
def numbers():
    return pd.DataFrame(
        {
            "study": ["A", NASTY],
            "te": [0.285, -0.004],
            "n": [4, 12000],
            "p": ["<\u202f0.0001", "not known"],
            "extra": [Html('<b class="x">5 &amp; 6</b>'), None],
        }
    )


def parsed(shown: Shown | str) -> BeautifulSoup:
    return BeautifulSoup(shown if isinstance(shown, str) else shown._repr_html_(), "html.parser")


def csv_of(soup: BeautifulSoup) -> str:
    address = soup.find("a", class_="psps-csv")["href"]
    head, _, data = address.partition(";base64,")
    assert head == "data:text/csv;charset=utf-8"
    return base64.b64decode(data).decode("utf-8")


# --- tables -------------------------------------------------------------------------------------------


def test_cells_are_text(numbers):
    soup = parsed(table_markup(numbers, label="x"))
    assert soup.find("script") is None
    assert soup.find_all("tr")[2].find("td").get_text() == NASTY


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=40))
def test_any_text_survives_cell_header_and_caption(text):
    shown = show(pd.DataFrame({f"c{text}": [f"x{text}"]}), caption=f"Caption {text}.", tier="printed", name="t")
    soup = parsed(shown)
    assert soup.find("td").get_text() == f"x{text}"
    assert soup.find("th").get_text() == heading(f"c{text}")
    assert f"Caption {text}." in soup.find("figcaption").get_text()
    assert soup.find(class_="table-wrap")["aria-label"] == f"Caption {text}."
    assert len(soup.find_all(True)) == len(
        parsed(show(pd.DataFrame({"c": ["x"]}), caption="C.", tier="printed", name="t")).find_all(True)
    )


def test_headings_are_words():
    assert heading("treat1") == "first treatment" and heading("se") == "standard error"
    assert heading("n_studies") == "studies" and heading("why_not") == "why not" and heading("seen") == "seen"


def test_html_cells_stand_as_they_are(numbers):
    assert parsed(table_markup(numbers, label="x")).find("b", class_="x").get_text() == "5 & 6"


def test_numbers_are_formatted_and_marked(numbers):
    cells = [
        [cell.get_text() for cell in row.find_all("td")]
        for row in parsed(table_markup(numbers, label="x")).find_all("tr")[1:]
    ]
    assert cells[0][1:4] == ["0.29", "4", "<\u202f0.0001"]
    assert cells[1][1:] == ["0.00", "12000", "not known", ""]
    marked = [cell.get_text() for cell in parsed(table_markup(numbers, label="x")).find_all("td", class_="number")]
    assert marked == ["0.29", "4", "<\u202f0.0001", "0.00", "12000", "not known"]


def test_whole_numbers_stay_whole_beside_fractions():
    cells = parsed(table_markup(pd.DataFrame({"n": [4], "percent": [8.163]}), label="x")).find_all("td")
    assert [cell.get_text() for cell in cells] == ["4", "8.16"]


def test_missing_values_are_empty_cells():
    frame = pd.DataFrame({"a": pd.array([None, 1], dtype="Int64"), "b": [None, "x"], "c": [float("nan"), 1.0]})
    first = parsed(table_markup(frame, label="x")).find_all("tr")[1]
    assert [cell.get_text() for cell in first.find_all("td")] == ["", "", ""]


def test_headers_state_their_scope(numbers):
    frame = numbers.set_index("study")
    soup = parsed(table_markup(frame, label="x", index=True))
    assert [cell["scope"] for cell in soup.find("thead").find_all("th")] == ["col"] * 5
    assert [row.find("th")["scope"] for row in soup.find("tbody").find_all("tr")] == ["row", "row"]
    assert all(len(row.find_all(["td", "th"])) == 5 for row in soup.find_all("tr")), "every row has every column"


def test_corner_without_a_name_is_no_header():
    head = parsed(table_markup(pd.DataFrame({"a": [1]}), label="x", index=True)).find("thead")
    assert [cell.name for cell in head.find_all(["td", "th"])] == ["td", "th"]


def test_table_can_be_reached_by_keyboard_and_sorted_where_asked(numbers):
    soup = parsed(table_markup(numbers, label='A "label"', sortable=True))
    wrap = soup.find(class_="table-wrap")
    assert (wrap["role"], wrap["tabindex"], wrap["aria-label"]) == ("region", "0", 'A "label"')
    assert soup.find("table").has_attr("data-sortable")
    assert not parsed(table_markup(numbers, label="x")).find("table").has_attr("data-sortable")


# --- the data one click away --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["studies", "responders", "nma_published", "prisma"])
def test_csv_holds_the_same_data(name):
    frame = table(name)
    assert csv_of(parsed(show(frame, caption="C.", tier="printed"))) == frame.to_csv(index=False)


def test_csv_keeps_text_and_full_precision(numbers):
    back = pd.read_csv(io.StringIO(csv_of(parsed(show(numbers, caption="C.", tier="printed")))))
    assert back["study"].tolist() == ["A", NASTY], "text with < and > is not taken for markup"
    assert back["te"].tolist() == [0.285, -0.004]
    assert back["extra"].tolist()[0] == "5 & 6", "markup of a cell is left out"


def test_csv_holds_the_row_headers_where_they_are_shown(numbers):
    frame = numbers.set_index("study")[["te"]]
    assert csv_of(parsed(show(frame, caption="C.", tier="printed", index=True))).startswith("study,te\nA,0.285\n")
    assert csv_of(parsed(show(frame, caption="C.", tier="printed"))).startswith("te\n0.285\n")


def test_a_long_table_names_its_file_instead_of_carrying_a_copy(numbers):
    link = parsed(show(numbers, caption="C.", tier="printed", file="study_facts.csv")).find("a")
    assert (link["href"], link.get_text()) == (
        "../data/study_facts.csv",
        "CSV of study_facts.csv",
    ) and "download" in link.attrs


def test_csv_has_the_name_of_what_is_shown(numbers):
    soup = parsed(show(numbers, caption="Studies, by class!", tier="printed"))
    assert soup.find("a")["download"] == "studies-by-class.csv"
    assert soup.find("figure")["id"] == "table-studies-by-class"
    assert "of studies-by-class" in soup.find("a").get_text(), "a link that a screen reader can tell from the next"
    assert parsed(show(numbers, caption="C.", tier="printed", name="own")).find("a")["download"] == "own.csv"


# --- tiers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", TIERS)
def test_badge_of_each_tier(tier):
    badge = parsed(tier_badge(tier)).find("span")
    assert badge["class"] == ["tier", f"tier-{tier}"]
    assert badge.get_text() == tier
    assert len(badge["title"]) > 20


def test_tiers_are_these_five():
    assert list(display.TIERS) == TIERS


@pytest.mark.parametrize(
    "make",
    [
        lambda tier: tier_badge(tier),
        lambda tier: value_span("0.33", tier),
        lambda tier: show(pd.DataFrame({"a": [1]}), caption="C.", tier=tier),
        lambda tier: show(pd.DataFrame({"a": [1]}), caption="C.", tier=f"printed and {tier}"),
    ],
)
def test_unknown_tier_is_refused(make):
    with pytest.raises(
        ValueError, match="tier='guessed': expected one of printed, recomputed, implied, re-extracted, simulated"
    ):
        make("guessed")


def test_several_tiers_have_a_badge_each(numbers):
    badges = parsed(show(numbers, caption="C.", tier="printed and implied")).find("figcaption").find_all(class_="tier")
    assert [badge.get_text() for badge in badges] == ["printed", "implied"]


def test_every_verdict_has_a_chip(checked):
    for verdict in checked["verdict"].unique():
        chip = parsed(verdict_chip(verdict)).find("span")
        assert chip["class"] == ["verdict", f"verdict-{verdict.replace(' ', '-')}"] and chip.get_text() == verdict


def test_value_in_prose_has_its_tier():
    span = parsed(value_span("0.33 <b>", "implied")).find("span")
    assert (span.get_text(), span["class"]) == ("0.33 <b>", ["value", "value-implied"])
    assert span["title"].startswith("implied: ")


# --- figures ------------------------------------------------------------------------------------------


def test_figure_is_shown_with_its_data_and_its_alternative():
    figure, axes = plt.subplots(figsize=(2, 1))
    axes.plot([0, 1], [1, 2])
    drawing = Drawing("made-up", figure, pd.DataFrame({"x": [0, 1], "y": [1, 2]}), "A line that rises from 1 to 2.")
    shown = show(drawing, caption="A line.", tier="simulated", note="Note <x>.")
    plt.close(figure)
    soup = parsed(shown)
    assert soup.find("figure")["class"] == ["psps", "psps-figure"] and soup.find("figure")["id"] == "figure-made-up"
    assert soup.find("svg") is not None
    assert csv_of(soup) == "x,y\n0,1\n1,2\n"
    assert repr(shown) == "[simulated] A line.\nA line that rises from 1 to 2."
    assert soup.find("p", class_="psps-note").get_text() == "Note <x>."


def test_a_telephone_gets_a_narrow_drawing_and_a_screen_reader_one_of_the_two():
    drawing = rob_stacked(
        pd.DataFrame({"domain": ["Overall"] * 2, "judgement": ["low", "high"], "percent": [40.0, 60.0]})
    )
    soup = parsed(show(drawing, caption="Judgements.", tier="recomputed"))
    wide, narrow = soup.select("figure > .svg-wrap")
    assert [wrap.has_attr("hidden") for wrap in (wide, narrow)] == [False, True]
    assert [float(wrap.svg["width"][:-2]) * 25.4 / 72 for wrap in (wide, narrow)] == pytest.approx([180, 86.7], abs=0.1)
    assert wide.svg["aria-label"] == narrow.svg["aria-label"]
    ids = [element["id"] for element in soup.select("[id]")]
    assert len(ids) == len(set(ids))
    assert len(soup.select("figcaption")) == len(soup.select("a.psps-csv")) == 1


@pytest.mark.parametrize("width", ["single", "double", "phone"])
def test_a_width_that_is_named_is_the_only_one(width):
    drawing = rob_stacked(pd.DataFrame({"domain": ["Overall"], "judgement": ["low"], "percent": [100.0]}), width=width)
    assert drawing.narrow is None
    assert len(parsed(show(drawing, caption="Judgements.", tier="recomputed")).select("svg")) == 1


# --- plain text, which stored outputs are compared by ------------------------------------------------


def test_text_of_a_table_is_stable_and_without_markup(numbers):
    first, second = (repr(show(numbers, caption="C.", tier="printed")) for _ in range(2))
    assert first == second
    assert first.startswith("[printed] C.\n")
    assert "5 & 6" in first and "<b" not in first and NASTY in first and "0x" not in first


def test_shown_is_its_text_and_its_markup():
    shown = Shown("<b>x</b>", "x")
    assert (repr(shown), str(shown), shown._repr_html_()) == ("x", "x", "<b>x</b>")


# --- claims -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chapter", sorted(set(table("claims")["chapter"])))
def test_glue_yields_every_claim_of_a_chapter(monkeypatch, checked, chapter):
    glued = {}
    monkeypatch.setattr(claims, "glue", lambda name, value, display: glued.update({name: value}))
    claims.glue_claims(chapter)
    rows = checked[checked["chapter"] == chapter]
    assert list(glued) == rows["id"].tolist()
    for claim in rows.itertuples():
        link = parsed(glued[claim.id]).find("a")
        # Where the article says "none" or "without", prose says "no"; the table of statements has the number.
        said = "no" if claim.shown == "0" and not re.search(r"\d", claim.printed) else claim.shown
        assert (link.get_text(), link["data-claim"]) == (said, claim.id)
        assert repr(glued[claim.id]) == said


def test_glue_yields_further_claims_by_id(monkeypatch):
    glued = {}
    monkeypatch.setattr(claims, "glue", lambda name, value, display: glued.update({name: value}))
    claims.glue_claims("narrative_surgery", also=["abstract.surgery"])
    assert "abstract.surgery" in glued and "surgery.studies" in glued
    with pytest.raises(ValueError, match=r"also=\['no.such'\]: no such statement in claims.csv"):
        claims.glue_claims("narrative_surgery", also=["no.such"])


def test_glued_values_have_their_tier(monkeypatch):
    glued = {}
    monkeypatch.setattr(display, "glue", lambda name, value, display: glued.update({name: value}))
    display.glue_values("implied", n_c_te="0.33", n_c_p="0.14")
    assert {name: repr(value) for name, value in glued.items()} == {"n_c_te": "0.33", "n_c_p": "0.14"}
    assert parsed(glued["n_c_te"]).find("span")["class"] == ["value", "value-implied"]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda: display.glue_values("recomputed", n_studies=49),
            r"n_studies=49: expected the text .*str\(n_studies\)",
        ),
        (lambda: display.glue_texts(share=0.5), r"share=0\.5: .*formatting\.number\(share, decimals=2\)"),
    ],
)
def test_a_number_that_nobody_formatted_is_not_glued(monkeypatch, call, said):
    monkeypatch.setattr(display, "glue", lambda *args, **kwargs: pytest.fail("glued"))
    with pytest.raises(ValueError, match=said):
        call()


def test_claim_in_prose_carries_its_verdict_and_leads_to_its_row(checked):
    link = parsed(claim_span(checked.loc["discussion.epidural_share"])).find("a")
    assert link.get_text() == "32.7\u202f%"
    assert link["href"] == "discussion.html#claim-discussion.epidural_share"
    assert link["class"] == ["claim", "verdict-contradicts"] and not link.has_attr("title")
    assert link["aria-label"] == "32.7\u202f%, contradicts"
    assert (link["data-found"], link["data-place"]) == ("28.57\u202f%", "Discussion, paragraph 6")
    assert link["data-against"] == checked.at["discussion.epidural_share", "against"]
    assert link["data-why"].endswith("The authors' answer: none so far.")


def test_a_single_digit_has_room_to_be_pressed(checked):
    assert "short" in parsed(claim_span(checked.loc["surgery.studies"])).find("a")["class"]
    assert "short" not in parsed(claim_span(checked.loc["abstract.n_p.te"])).find("a")["class"]


def test_every_contradiction_has_room_for_an_answer_and_shows_it(checked, monkeypatch):
    assert sorted(table("answers")["claim"]) == sorted(checked.loc[checked["verdict"] == "contradicts", "id"])
    answers = table("answers").assign(answered_by="A. Author", day="2027-01-02", answer="The share is of another class")
    monkeypatch.setattr(claims, "load_table", lambda name: answers)
    how = claims.how(checked.loc["discussion.epidural_share"])
    assert how.endswith("The authors' answer: The share is of another class (A. Author, 2027-01-02).")


def test_folded_things_keep_their_text():
    shown = display.folded(Shown("<b>x</b>", "x"), "More & more")
    assert shown.text == "x" and "<summary>More &amp; more</summary><b>x</b>" in shown.markup


def test_claims_table_has_a_row_with_an_id_for_each_claim(checked):
    soup = parsed(table_markup(claims_table(checked), label="x"))
    rows = soup.find("tbody").find_all("tr")
    assert [row["id"] for row in rows] == [f"claim-{identifier}" for identifier in checked["id"]]
    assert [row.find(attrs={"data-claim": True}).get_text() for row in rows] == checked["shown"].tolist()
    assert [row.find(class_="verdict").get_text() for row in rows] == checked["verdict"].tolist()
    tiers = [badge.get_text() if (badge := row.find(class_="tier")) else None for row in rows]
    assert tiers == [None if claim.verdict == "not checkable" else claim.tier for claim in checked.itertuples()]


def test_claims_table_says_what_would_settle_it(checked):
    how = claims_table(checked)["how, and what would settle it"]
    for claim in checked.itertuples():
        assert how[claim.id].endswith(".") and claim.detail in how[claim.id]
        said = isinstance(claim.settles, str) and claim.verdict != "reproduces"
        assert ("Would settle it: " in how[claim.id]) == said


def test_show_claims_counts_the_verdicts_of_its_chapter(checked):
    shown = claims.show_claims("study_selection")
    rows = checked[checked["chapter"] == "study_selection"]
    caption = parsed(shown).find("figcaption").get_text()
    results, rest = (
        statements(rows[rows["weight"].eq("result") == is_result])["verdict"].value_counts()
        for is_result in (True, False)
    )
    first, second = caption.split("; of the methods and details ")
    assert "Of the results " in first
    said = {"reproduces": ("reproduces", "reproduce"), "consistent": ("is consistent", "are consistent")}
    said["contradicts"] = ("contradicts", "contradict")
    for part, counts in ((first, results), (second, rest)):
        assert len(counts)
        for verdict, count in counts.items():
            assert f"{count} {said[verdict][count > 1]}" in part
    assert len(parsed(shown).find("tbody").find_all("tr")) == len(rows)


def test_headings_are_words():
    names = {
        "treat1": "first treatment",
        "published_te": "published SMD",
        "se_now": "standard error now",
        "n_studies": "studies",
        "te_desirable": "desirable direction of the effect",
        "settled_by": "settled by",
    }
    head = parsed(table_markup(pd.DataFrame({name: [1] for name in names}), label="x")).find("thead")
    assert [cell.get_text() for cell in head.find_all("th")] == list(names.values())


def test_cells_are_words_with_one_minus_sign():
    frame = pd.DataFrame(
        {
            "study": ["hamdy2021 (ref 10)", "nobody2021"],
            "estimable": [True, False],
            "change": ["0.16 (-0.09 to 0.42)", "days -5 to -1"],
            "whole": [-35, 2],
            "range": ["10-1500 Hz", "2026-11-21"],
        }
    )
    rows = parsed(table_markup(frame, label="x")).find("tbody").find_all("tr")
    assert [[cell.get_text() for cell in row.find_all("td")] for row in rows] == [
        ["Hamdy 2021 (ref 10)", "yes", "0.16 (−0.09 to 0.42)", "−35", "10-1500 Hz"],
        ["nobody2021", "no", "days −5 to −1", "2", "2026-11-21"],
    ]
    assert (
        csv_of(parsed(show(frame, caption="C.", tier="printed"))).splitlines()[1].startswith("hamdy2021 (ref 10),True,")
    ), "data stay as they are"


def test_cells_of_a_column_are_aligned_alike():
    frame = pd.DataFrame({"numbers": ["1", "none", "2.5 (1 to 3)"], "mixed": ["1", "2 (a few) more", "3"]})
    rows = parsed(table_markup(frame, label="x")).find("tbody").find_all("tr")
    assert [[cell.get("class") for cell in row.find_all("td")] for row in rows] == [[["number"], None]] * 3


def test_pages_are_named_by_their_titles(checked):
    chapters = status_table(checked)["chapter"]
    assert chapters["nma.i2"].endswith(">Network meta-analysis</a>")
    assert not chapters.str.contains(r">[^<]*_").any()


def test_thresholds_have_no_more_digits_than_they_need():
    assert {"0.5", "10"} <= set(rules_table(table("certainty_rules"))["threshold"])
