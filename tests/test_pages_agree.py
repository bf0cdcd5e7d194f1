"""No page contradicts another: a quantity has one value wherever the built pages show it.

It holds with the printed numbers alone and with trial-level data in ``data/trials``. With them a page may keep to the
printed network, if it says so: in its own words, or by the badge or caption of the figure or the table.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from functools import cache
from itertools import permutations

import pytest
from bs4 import BeautifulSoup, Tag

from conftest import BOOK, ROOT
from helpers import DATA
from psps_paper.article.trials import Printed, book_network, network_state
from psps_paper.claims.model import VERDICTS
from psps_paper.formatting import estimate
from psps_paper.network.model import NetworkFit
from test_built_html import PAGES, STATUS, article, plain

pytestmark = pytest.mark.built

# An effect with its interval, and what may stand between its parts
ESTIMATE = re.compile(r"[−-]?\d+\.\d+ \([−-]?\d+\.\d+ to [−-]?\d+\.\d+\)")
KEEPS = re.compile(r"This page keeps to (?:the numbers that|what) the article printed|本页仍只依据原文刊出的数字")
# Words by which a figure, a row or a sentence says that its numbers are of the print, or of the trials
OF_PRINT = re.compile(
    r"\b(?:print(?:s|ed)?|implied|implies|before|the article(?:’s|'s)?|by its authors)\b", re.IGNORECASE
)
OF_TRIALS = re.compile(r"\b(?:recomputed|trial-level|this copy|after)\b", re.IGNORECASE)


def spaced(text: str) -> str:
    """Text with ordinary blanks."""
    return re.sub(r"\s+", " ", text)


# --- statements ---------------------------------------------------------------------------------------


@cache
def shown_statements() -> dict[str, dict[str, dict[str, set[str]]]]:
    """What the pages show of each statement: {id: {"printed" | "verdict" | "found": {text: pages}}}."""
    seen: dict = defaultdict(lambda: defaultdict(lambda: defaultdict(set)))
    for stem in PAGES:
        for element in article(stem).select("[data-claim]"):
            of = seen[element["data-claim"]]
            # Prose says "no" for a printed 0
            of["printed"]["0" if plain(element) == "no" else plain(element)].add(stem)
            row = element.find_parent("tr")
            if element.name == "a" and "claim" in element.get("class", []):
                (name,) = (word for word in element["class"] if word.startswith("verdict-"))
                of["verdict"][name.removeprefix("verdict-").replace("-", " ")].add(stem)
                of["found"][spaced(element["data-found"])].add(stem)
            elif row is not None and (chip := row.select_one(".verdict")) is not None:
                of["verdict"][plain(chip)].add(stem)
                if (cell := row.find("td", attrs={"data-head": "found here"})) is not None:
                    of["found"][plain(cell)].add(stem)
    return seen


@pytest.mark.parametrize("what", ["printed", "verdict", "found"])
def test_each_statement_shows_the_same_on_all_pages(built, what):
    statements = shown_statements()
    assert sum(len(set().union(*of[what].values())) > 1 for of in statements.values()) > 200
    assert {name: dict(of[what]) for name, of in statements.items() if len(of[what]) > 1} == {}


def test_each_glued_value_is_the_same_in_all_chapters():
    """Points, ranges, counts of studies and patients: chapters glue them under one name."""
    seen: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for stem in PAGES:
        if not (path := BOOK / f"{stem}.ipynb").exists():
            continue
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            for output in cell.get("outputs", []):
                markup = "".join(output.get("data", {}).get("application/papermill.record/text/html", ""))
                if 'class="value ' in markup:
                    name = output["metadata"]["scrapbook"]["name"]
                    seen[name][BeautifulSoup(markup, "html.parser").get_text()].add(stem)
    assert sum(len(set().union(*texts.values())) > 1 for texts in seen.values()) > 20
    assert {name: dict(texts) for name, texts in seen.items() if len(texts) > 1} == {}


# --- counts of verdicts -------------------------------------------------------------------------------


def rows_of(figure: Tag) -> list[list[str]]:
    return [[plain(cell) for cell in row.find_all(["td", "th"])] for row in figure.select("tbody tr:not(.psps-rest)")]


@cache
def registered() -> list[tuple[str, str]]:
    """Weight and verdict of each row of the table of all statements."""
    found = []
    for row in article(STATUS).select("#table-status tbody tr:not(.psps-rest)"):
        facts = row.find_next_sibling("tr").select("dl div")
        (weight,) = (plain(fact.dd) for fact in facts if plain(fact.dt) == "weight")
        found.append((weight, plain(row.select_one(".verdict"))))
    return found


def test_every_count_of_verdicts_is_that_of_the_rows(built):
    by_weight = Counter(registered())
    counts = {weight: [by_weight[weight, verdict] for verdict in VERDICTS] for weight in ("result", "method", "detail")}
    counts["all"] = [sum(column) for column in zip(*counts.values(), strict=True)]
    for name, *cells in rows_of(article(STATUS).select_one("#table-verdict-counts")):
        assert list(map(int, cells)) == [*counts[name], sum(counts[name])], name
    for stem in (STATUS, "abstract"):
        said = plain(article(stem))
        (numbers,) = re.findall(
            r"(\d+) distinct results,? (\d+) reproduce, (\d+) are consistent.*?(\d+) (?:are printed with|have) digits cut"
            r" off,.*? (\d+) contradict.*?and (\d+) cannot be checked",
            said,
        )
        assert list(map(int, numbers)) == [sum(counts["result"]), *counts["result"]], stem
        assert f"{len(registered())} statements" in said, stem


def test_the_bar_of_a_page_counts_the_numbers_of_its_text(built):
    bars = 0
    for stem in PAGES:
        if (bar := article(stem).select_one(".psps-bar")) is None:
            continue
        bars += 1
        text = Counter(
            name for link in article(stem).select("a.claim") for name in link["class"] if name.startswith("verdict-")
        )
        shown = {mark["class"][1]: int(plain(mark)) for mark in bar.select(".xray-verdict")}
        assert shown == dict(text), stem
    assert bars > 10


# --- the network --------------------------------------------------------------------------------------


def effects(fit: NetworkFit) -> dict[str, set[str]]:
    """Texts of the effects of a network, each with the comparisons whose text it is."""
    found = defaultdict(set)
    for first, second in permutations(fit.treatments, 2):
        te, lower, upper = (frame.at[first, second] for frame in (fit.te, fit.lower, fit.upper))
        found[spaced(estimate(te, lower, upper))].add(f"{first} vs {second}")
    return found


def occurrences(stem: str) -> list[tuple[str, str]]:
    """Effects on a page, each with the words of the figure, the row or the paragraph in which it stands."""
    found = []
    for node in article(stem).find_all(string=ESTIMATE):
        figure, row, value = (
            node.find_parent("figure"),
            node.find_parent("tr"),
            node.find_parent("span", class_="value"),
        )
        near = row or node.find_parent(["li", "p", "dd", "section", "div"])
        said = [plain(figure.figcaption) if figure else plain(near.find_previous(["h1", "h2", "h3"]))]
        said += [plain(near)] if row or not figure else []
        said += value["class"] if value else []
        found += [(spaced(text), " ".join(said)) for text in ESTIMATE.findall(spaced(str(node)))]
    return found


@cache
def networks() -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Effects by the print, and by the state of the data."""
    return effects(book_network(DATA).fit), effects(book_network(ROOT / "data").fit)


def keeps(stem: str) -> bool:
    return any(KEEPS.search(plain(paragraph)) for paragraph in article(stem).select("p"))


@pytest.mark.parametrize("stem", PAGES)
def test_an_effect_is_that_of_the_data_or_the_page_says_that_it_is_printed(built, stem):
    printed, now = networks()
    for text, around in occurrences(stem):
        if text in printed and text not in now:
            assert keeps(stem) or OF_PRINT.search(around), f"{text}, {printed[text]}: {around[:300]}"
        if text in now and text not in printed:
            assert not keeps(stem) or OF_TRIALS.search(around), f"{text}, {now[text]}: {around[:300]}"


def test_the_pages_show_the_network_and_say_where_they_keep_to_print(built):
    """The guard above must meet something: effects of the data on some pages, printed ones on others."""
    printed, now = networks()
    showing = {stem: {text for text, _ in occurrences(stem)} for stem in PAGES}
    assert len([stem for stem, texts in showing.items() if texts & set(now)]) >= 2
    assert len([stem for stem, texts in showing.items() if texts & set(printed)]) >= 2
    keeping = [stem for stem in PAGES if keeps(stem)]
    if isinstance(network_state(ROOT / "data"), Printed):
        assert not keeping and printed == now
    else:
        assert {"certainty", "clinician_summary", "index", "robustness", "summary_of_findings"} <= set(keeping)


def test_the_forest_plot_is_the_same_wherever_it_stands(built):
    drawn = {
        stem: sorted(set(ESTIMATE.findall(spaced(plain(figure)))))
        for stem in PAGES
        if stem != "reextracted_network"  # its forest plot sets the printed network beside another
        for figure in article(stem).select("#figure-forest_network")
    }
    assert len(drawn) >= 2 and len(set(map(tuple, drawn.values()))) == 1 and all(drawn.values()), drawn
