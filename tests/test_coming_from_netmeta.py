"""The page "Coming from netmeta": every call is run and agrees with R, and the public reviews are R's data sets."""

from __future__ import annotations

import dataclasses
import json

import pytest

from helpers import ROOT
from psps_paper.book import coming_from_netmeta as page
from psps_paper.effects import effect_sizes
from psps_paper.living.frames import from_netmeta
from psps_paper.network import fit_network

ORACLES = ROOT / "tests" / "oracles"


def test_every_call_agrees_with_the_number_that_r_gave():
    table = page.calls_compared()
    assert (table["agree"] == "yes").all(), table[table["agree"] != "yes"]
    assert len(table) >= 30 and table["in R"].is_unique
    assert {"netmeta", "meta", "metafor"} == set(table["package"])


def test_a_call_that_gives_another_number_is_reported(monkeypatch):
    wrong = dataclasses.replace(page.CALLS[0], ours=lambda contrasts: 1.0)
    monkeypatch.setattr(page, "CALLS", [wrong, page.CALLS[1]])
    assert page.calls_compared()["agree"].tolist() == ["no", "yes"]
    assert page.calls_numbers() == {"calls": "2", "calls_agree": "1"}


@pytest.mark.parametrize("one", page.CALLS, ids=lambda one: one.place)
def test_the_code_shown_is_one_call_that_would_run(one):
    compile(one.code, one.place, "eval")
    assert "\n" not in one.code and "return" not in one.code


def test_the_reference_numbers_are_found_by_labels():
    """senn2013.json: TE.random of metformin against placebo."""
    given = json.loads((ORACLES / "senn2013.json").read_text())
    i, j = given["trts"].index("metf"), given["trts"].index("plac")
    assert page.reference("senn2013/TE_random/metf/plac") == given["TE_random"][i][j]


def test_senn2013_comes_with_the_package_as_netmeta_has_it():
    given = json.loads((ORACLES / "senn2013.json").read_text())
    review = page.public_review("senn2013")
    assert {name: review.table[name].tolist() for name in review.table} == given["input"]
    fit = fit_network(from_netmeta(review.table))
    assert fit.tau2 == pytest.approx(given["tau2"], rel=1e-8)


@pytest.mark.parametrize(("name", "place"), [("smoking", "smokingcessation"), ("dong2013", "dong2013")])
def test_the_arms_come_with_the_package_as_netmeta_has_them(name, place):
    given = json.loads((ORACLES / "network_rare.json").read_text())[place]["arms"]
    table = page.public_review(name).table
    assert table["study"].tolist() == list(map(str, given["studlab"]))
    assert table[["events", "n"]].to_numpy().tolist() == [list(x) for x in zip(given["event"], given["n"], strict=True)]
    # The smoking trials' arms have names in place of netmeta's letters
    assert len(set(zip(table["treatment"], given["treat"], strict=True))) == table["treatment"].nunique()


def test_smoking_gives_netmeta_s_log_odds_ratio():
    """smoking.json: TE.random of A (no contact) against D (group counselling), DL."""
    given = json.loads((ORACLES / "smoking.json").read_text())
    fit = fit_network(effect_sizes(page.public_review("smoking").table, "OR"))
    assert fit.te.at["no contact", "group counselling"] == pytest.approx(given["TE_random"][0][3], rel=1e-8)


def test_an_unknown_review_is_named():
    with pytest.raises(ValueError, match="public review 'senn' is not one of senn2013, smoking, dong2013"):
        page.public_review("senn")


def test_the_usual_methods_for_few_studies_are_compared_and_two_change_the_answer():
    """The common effect and Hunter and Schmidt's estimator: intervals that exclude 0, as no other does."""
    table = page.small_sample_methods()
    assert table[table["changes the answer"] == "yes"]["tau2"].tolist() == ["FE", "HS"]
    assert {"classic", "hartung-knapp", "kenward-roger"} == set(table["interval"])
    excludes = (table["lower"] > 0) | (table["upper"] < 0)
    assert (excludes == (table["changes the answer"] == "yes")).all()
