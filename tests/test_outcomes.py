"""The settings of an analysis are declared in outcomes.csv or review.yml, checked, and used."""

from __future__ import annotations

import pandas as pd
import pytest
import yaml

from helpers import DATA, table
from psps_paper.article.outcomes import DEFAULTS, Outcome, load_outcome, outcome_of
from psps_paper.article.trials import book_network
from psps_paper.claims.consistency import compare
from psps_paper.living.new_review import new_review
from psps_paper.living.review import open_review
from psps_paper.tables.errors import TableError
from psps_paper.tables.load import load_dictionary


def test_the_article_s_outcome():
    outcome = load_outcome(DATA)
    # Results, Network meta-analysis: every printed contrast is of neuromodulation; others are compared with placebo or
    # sham
    assert (outcome.outcome, outcome.order[0], outcome.order[-1], outcome.reference) == (
        "pain",
        "neuromodulation",
        "placebo/sham",
        "neuromodulation",
    )
    assert {name: getattr(outcome, name) for name in DEFAULTS} == DEFAULTS
    assert load_outcome(DATA, "responders").measure == "OR"
    assert outcome.ordered(["zinc", "placebo/sham", "neuromodulation", "art"]) == [
        "neuromodulation",
        "placebo/sham",
        "art",
        "zinc",
    ]
    with pytest.raises(TableError, match="no outcome 'sleep'; expected one of pain, responders"):
        load_outcome(DATA, "sleep")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("order", "a", "column order: 'a' is not two or more treatments"),
        ("order", "a | b | a", "each once"),
        ("reference", "c", "column reference: 'c' is not one of a, b, the treatments of column order"),
        ("correlation", 1.0, "column correlation: 1 is not a number from 0 to below 1"),
        ("increment", 0.0, "column increment: 0 is not a number greater than 0"),
        ("level", 1.0, "column level: 1 is not a number between 0 and 1"),
    ],
)
def test_what_no_dictionary_can_say_is_checked(column, value, message):
    row = pd.Series(
        {**dict.fromkeys(Outcome.__dataclass_fields__, "x"), **DEFAULTS, "order": "a | b", "reference": "a"}
    )
    assert outcome_of(row, "outcomes.csv, row 1").order == ("a", "b")
    with pytest.raises(TableError, match=r"^outcomes\.csv, row 1, ") as error:
        outcome_of(pd.Series({**row, column: value}), "outcomes.csv, row 1")
    assert message in str(error.value)


def test_the_tables_command_checks_declared_orders():
    outcomes = table("outcomes")
    tables = {
        "outcomes": outcomes,
        "treatment_classes": table("treatment_classes"),
        "nma_published": table("nma_published"),
    }
    assert compare(tables) == []
    outcomes["order"] = outcomes["order"].str.replace(" | surgery |", " |")
    assert any("column order" in str(found) and "(surgery)" in str(found) for found in compare(tables))
    turned = table("nma_published").rename(columns={"treat1": "treat2", "treat2": "treat1"})
    found = [str(each) for each in compare({**tables, "outcomes": table("outcomes"), "nma_published": turned})]
    assert (
        "nma_published.csv, row 1, column treat1: 'conservative + minimally invasive', "
        "expected 'neuromodulation', which comes before it" in found[0]
    )


def review_with(folder, **settings):
    """The sample review, whose first outcome says this of its analysis."""
    new_review(folder)
    content = yaml.safe_load((folder / "review.yml").read_text(encoding="utf-8"))
    content["outcomes"][0].update(settings)
    (folder / "review.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    new_review(folder)
    return open_review(folder)


def test_a_review_takes_the_same_names_and_defaults(tmp_path):
    names = [name for name in load_dictionary("outcomes", DATA)["name"] if name in Outcome.__dataclass_fields__]
    new_review(tmp_path / "sample")
    data = tmp_path / "sample" / "data"
    assert set(load_dictionary("outcomes", data)["name"]) == set(names)
    outcome = load_outcome(data)
    assert {name: getattr(outcome, name) for name in DEFAULTS} == DEFAULTS
    assert outcome.order == ("nasal rinse", "tablet", "rinse and tablet", "usual care"), "as listed, the reference last"


def test_a_review_uses_what_it_declares(tmp_path):
    declared = {
        "order": ["tablet", "usual care", "rinse and tablet", "nasal rinse"],
        "tau2": "REML",
        "level": 0.8,
        "correction": "none",
    }
    review, sample = review_with(tmp_path / "own", **declared), review_with(tmp_path / "sample")
    fit, before = review.network("sneezing").fit, sample.network("sneezing").fit
    assert (fit.method, fit.level) == ("REML", 0.8) and (before.method, before.level) == ("DL", 0.95)
    assert review.network("sneezing").order == declared["order"]
    # Hedges' factor is below 1, so effects without it are greater
    assert (fit.contrasts["te"].abs() > before.contrasts["te"].abs()).all()
    assert "80% CI of I²" in review.heterogeneity().columns and review.level("sneezing") == "80%"
    assert book_network(review.data, outcome="sleep").fit.level == 0.95


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"order": ["tablet"]},
            r"outcomes, entry 1, order: \['tablet'\] is not a list of all treatments, each once \(usual care, ",
        ),
        ({"tau2": "PM"}, "column tau2: 'PM' is not one of DL, REML, ML"),
        ({"level": 95}, "review.yml, outcomes, entry 1, column level: 95 is not a number between 0 and 1"),
        ({"level": "high"}, "review.yml, outcomes, entry 1, level: 'high' is not a number"),
        (
            {"tau": "DL"},
            "review.yml, outcomes, entry 1: 'tau' is not one of baseline_risk, continuity, correction, correlation",
        ),
    ],
)
def test_a_slip_in_review_yml_is_named(tmp_path, settings, message):
    with pytest.raises(TableError, match=message):
        review_with(tmp_path / "own", **settings)
