"""Numbers that results depend on are entered twice: a slip in either makes ``psps-paper tables`` fail."""

from __future__ import annotations

import pandas as pd
import pytest

from helpers import table
from psps_paper.claims.consistency import compare, total_of
from psps_paper.tables.load import table_names

pytestmark = pytest.mark.slow

TABLES = {name: table(name) for name in table_names()}


def with_cell(name: str, key: str, row: str, column: str, value) -> list[str]:
    """What disagrees after one cell is changed."""
    changed = TABLES[name].copy()
    changed.loc[changed[key].astype(str) == row, column] = value
    return [str(found) for found in compare({**TABLES, name: changed})]


def test_all_agree():
    assert compare(TABLES) == []


@pytest.mark.parametrize(
    ("name", "key", "row", "column", "value", "found"),
    [
        # 116 randomised less 20 and 24 missing at 9 months: 72, with its digits turned round
        (
            "sample_sizes",
            "ref",
            "49",
            "n_low",
            27,
            "sample_sizes.csv, row 5 (ref 49), column n_low: 27, expected 72, as entered a second time (arithmetic",
        ),
        (
            "study_facts",
            "fact",
            "esmer2010.age_mean.1",
            "number",
            65.2,
            "column number: 65.2, expected 55.2, as entered a second time (seen again",
        ),
        (
            "study_facts",
            "fact",
            "hashemi2019.age_mean.1",
            "number",
            63.88,
            "column number: 63.88, expected 53.88, as entered a second time (typed twice",
        ),
        ("study_facts", "fact", "sokal2020.outcome_sd.2", "number", 14.0, "column number: 14, expected 1.4"),
        (
            "study_facts",
            "fact",
            "eldabe2019.n_randomised.2",
            "number",
            65.0,
            "column number: 116, expected 125, the sum of its arms",
        ),
        (
            "study_facts",
            "fact",
            "vangorp2016.responders_n.1",
            "number",
            21.0,
            "column number: 21, expected a number that is 42.9 % of 28",
        ),
        (
            "study_facts",
            "fact",
            "weintraub2005.dropouts_n.1",
            "number",
            7.0,
            "column number: 7, expected 17 randomised less 16 who completed",
        ),
        (
            "second_entries",
            "key",
            "alkaisy2018.outcome_mean.4",
            "entry",
            2.23,
            "study_facts.csv, row 1252 (ref 67), column number: 3.22, expected 2.23",
        ),
    ],
)
def test_a_slip_in_either_entry_is_found(name, key, row, column, value, found):
    assert any(found in sentence for sentence in with_cell(name, key, row, column, value)), with_cell(
        name, key, row, column, value
    )


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        (
            "eldabe2019.age_mean.3",
            "study_facts.csv, row 687 (ref 49), column number: 52.2, expected a second entry in second_entries.csv",
        ),
        ("lim2023.p_value.1", "column number: 0.003, expected a second entry"),
        ("kumar2007.responders_n.1", "column number: 24, expected a second entry"),
    ],
)
def test_a_number_without_a_second_entry_is_found(entry, found):
    fewer = TABLES["second_entries"][TABLES["second_entries"]["key"] != entry]
    assert any(found in str(sentence) for sentence in compare({**TABLES, "second_entries": fewer}))


def test_every_kind_says_where_its_number_comes_from():
    entries = TABLES["second_entries"]
    seen, computed = entries["kind"] == "seen again", entries["kind"] == "arithmetic"
    assert entries.loc[seen, ["source_url", "date_seen"]].notna().all(axis=None) and entries.loc[
        ~seen, ["source_url", "date_seen"]
    ].isna().all(axis=None)
    assert (entries["terms"].notna() == computed).all()
    assert seen.sum() >= 35 and computed.sum() >= 15


@pytest.mark.parametrize(("terms", "value"), [("a", 5.0), ("a + 3 - b", 6.0), ("10 - a", 5.0)])
def test_terms_add_up(terms, value):
    assert total_of(terms, pd.Series({"a": 5.0, "b": 2.0})) == value


@pytest.mark.parametrize("terms", ["a +", "a * 2", "c", "a  + b", None, "a + -3", "__import__('os')"])
def test_terms_are_no_code(terms):
    with pytest.raises(ValueError, match=r"expected|facts"):
        total_of(terms, pd.Series({"a": 5.0, "b": 2.0}))


def test_the_trial_that_names_no_share_of_relief_is_not_said_to():
    """Ref 70: success by self-reported relief and satisfaction (study_facts.csv, north2005b.primary_outcome.1)."""
    rows = TABLES["responder_counts"].set_index("study")["definition"]
    assert "50" not in rows["north2005b"] and (rows["north2005a"] == "at least 50 % relief and satisfied").all()
    facts = TABLES["study_facts"].set_index("fact")["value"]
    assert "self-reported relief and satisfaction" in facts["north2005b.primary_outcome.1"]
