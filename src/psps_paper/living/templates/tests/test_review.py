"""Tests that every review made with psps-paper must pass; put your own in other files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from psps_paper.living.new_review import build_data
from psps_paper.living.review import open_review
from psps_paper.network import fit_network
from psps_paper.network.ranking import p_scores

ROOT = Path(__file__).resolve().parent.parent
REVIEW = open_review(ROOT)
CHAPTERS = ["book/index", *[chapter["file"] for chapter in yaml.safe_load((ROOT / "_toc.yml").read_text())["chapters"]]]


def test_data_are_made_from_review_yml_and_the_tables():
    made = build_data(ROOT)
    present = {
        path.relative_to(ROOT / "data").as_posix(): path.read_bytes()
        for path in (ROOT / "data").rglob("*")
        if path.is_file()
    }
    assert present == made, "run psps-paper new . after a change of review.yml or tables/"


@pytest.mark.parametrize("outcome", REVIEW.outcomes)
def test_every_row_is_used_or_listed(outcome):
    for source in REVIEW.sources_of(outcome):
        assert source["read"] == source["used"] + len(source["listed"])


@pytest.mark.parametrize("outcome", REVIEW.outcomes)
def test_the_network_holds_every_treatment_that_its_table_names_and_only_known_ones(outcome):
    fit = REVIEW.network(outcome).fit
    assert set(fit.treatments) <= set(REVIEW.treatments)
    assert REVIEW.reference(outcome) in fit.treatments


@pytest.mark.parametrize("outcome", REVIEW.outcomes)
def test_estimates_do_not_depend_on_the_order_or_direction_of_rows(outcome):
    fit = REVIEW.network(outcome).fit
    rows = fit.contrasts[["study", "treat1", "treat2", "te", "se"]].iloc[::-1]
    turned = rows.assign(treat1=rows["treat2"], treat2=rows["treat1"], te=-rows["te"])
    again = fit_network(turned, tau2=fit.method, level=fit.level, correlation=fit.correlation)
    np.testing.assert_allclose(again.te, fit.te, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(again.se, fit.se, rtol=1e-8)


@pytest.mark.parametrize("outcome", REVIEW.outcomes)
def test_p_scores_have_mean_one_half(outcome):
    assert p_scores(REVIEW.network(outcome).fit, desirable=REVIEW.te_desirable(outcome)).mean() == pytest.approx(0.5)


def test_every_chapter_is_listed_once():
    assert sorted(CHAPTERS) == sorted(f"book/{path.stem}" for path in (ROOT / "book").glob("*.md"))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_built_page_has_a_table_or_a_figure_or_says_that_nothing_changed_and_no_traceback(chapter):
    page = ROOT / "_build" / "html" / f"{chapter}.html"
    assert page.is_file(), "run make book"
    text = page.read_text(encoding="utf-8")
    assert "Traceback" not in text and ('class="psps' in text or REVIEW.show_changes().markup in text)


@pytest.mark.parametrize("outcome", REVIEW.outcomes)
def test_the_page_shows_the_league_table_of_the_data(outcome):
    """The page shows every estimate with its interval, as computed by an independent fit."""
    from psps_paper.network.summary import league_table

    text = (ROOT / "_build" / "html" / "book" / "network.html").read_text(encoding="utf-8")
    plain = re.sub(r"<[^>]+>", " ", text)
    shown = REVIEW.network(outcome).fit
    fit = fit_network(shown.contrasts, tau2=shown.method, level=shown.level, correlation=shown.correlation)
    cells = [cell for cell in league_table(fit, number=REVIEW.number(outcome)).to_numpy().ravel() if cell]
    assert len(cells) == len(fit.treatments) * (len(fit.treatments) - 1)
    assert all(cell in plain for cell in cells)
