"""Conditions and arithmetic in tables are parsed and never run; hostile ones are refused in one line that names the
cell.

``hostile/conditions.json`` holds small hostile cells, one for each way in which a table once ran as code or crashed a
command. If their code ran, it would only create an empty file MARKER in the current folder.
"""

from __future__ import annotations

import json
import operator
import re
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import DATA, ROOT, copy_data, table
from psps_paper.article.patient_information import treatments_table
from psps_paper.cli.main import main
from psps_paper.conclusions.certainty import Basis
from psps_paper.tables.checksums import record_checksums
from psps_paper.tables.conditions import (
    ConditionError,
    columns_of,
    evaluate,
    in_words,
    parsed_condition,
    rows_where,
    select,
)
from psps_paper.tables.dataset import dataset

pytestmark = pytest.mark.slow

HOSTILE = json.loads((ROOT / "tests" / "hostile" / "conditions.json").read_text(encoding="utf-8"))
# Every table and column that holds conditions, and the table that they select from (a column's name where it is named
# there)
HOLD_CONDITIONS = {
    ("row_rules", "rows"): "table",
    ("row_rules", "holds"): "table",
    ("repeats", "row"): "table",
    ("summary_claims", "could_cite"): "=studies",
    ("certainty_rules", "condition"): "=studies",
    ("patient_information", "trials"): "=studies",
}
FIRST_CONDITION = {
    "count": 1,
    "percent": 1,
    "citations": 1,
    "distinct": 2,
    "cell": 2,
}  # place among the arguments of a check
ROWS = pd.DataFrame(
    {
        "kind": ["tree", "herb", None, "tree"],
        "label": ["oak | ash | elm", "mint", "old oak", "ash | fir"],
        "n": pd.array([3, 1, None, 12], "Int64"),
        "share": [0.5, np.nan, 2.0, -1.0],
        "name": ["oak3", "mint2", "x", "ash12"],
    }
)


# --- what conditions mean -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ('kind == "tree"', [0, 3]),
        ("kind == 'tree'", [0, 3]),
        ('kind != "tree"', [1]),  # an empty cell meets no comparison
        ('not kind == "tree"', [1, 2]),
        ("n > 1", [0, 3]),
        ("n >= 1", [0, 1, 3]),
        ("n < 3", [1]),
        ("n <= 3", [0, 1]),
        ("n == 12.0", [3]),
        ("share < 0", [3]),
        ("share == -1", [3]),
        ("share > .4", [0, 2]),
        ("share == n", []),
        ("share < n", [0, 3]),
        ('kind in ("herb", "tree")', [0, 1, 3]),
        ('kind not in ("herb")', [0, 2, 3]),
        ("n in (1, 12)", [1, 3]),
        ("n in (3)", [0]),
        ("kind is given", [0, 1, 3]),
        ("kind is empty", [2]),
        ("share is empty", [1]),
        ("share is whole", [2, 3]),
        ("n is whole", [0, 1, 3]),
        ('label contains "oak"', [0, 2]),
        ('label starts with "oak"', [0]),
        ('label ends with "oak"', [2]),
        ('label contains "."', []),
        ("name contains n", [0, 3]),
        ("label contains label", [0, 1, 2, 3]),
        ("parts(label) == 3", [0]),
        ("parts(label) > 1", [0, 3]),
        ("one kind per label", [0, 1, 3]),
        ("one label per kind", [1]),
        ('kind == "tree" and n > 3 or n < 2', [1, 3]),
        ('kind == "tree" and (n > 3 or n < 2)', [3]),
        ('not (kind == "tree" or n < 2)', [2]),
        ('not kind == "tree" and n is given', [1]),
        ("not not n > 1", [0, 3]),
    ],
)
def test_rows_where(condition, met):
    assert ROWS.index[rows_where(ROWS, condition)].tolist() == met


SIGNS = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=6),
    st.lists(st.tuples(st.sampled_from(sorted(SIGNS)), st.integers(-3, 3)), min_size=1, max_size=4),
    st.lists(st.sampled_from(["and", "or"]), min_size=3, max_size=3),
    st.booleans(),
)
def test_joined_comparisons_are_those_of_python(values, comparisons, words, negated):
    """``and`` binds tighter than ``or``, and ``not`` tightest, as in Python, in which the same condition is written out
    here."""
    text = " ".join(
        f"{word} n {sign} {value}" for word, (sign, value) in zip(["", *words], comparisons, strict=False)
    ).strip()
    text = f"not ({text})" if negated else text

    def holds(n):
        groups, met = [], []
        for word, (sign, value) in zip(["or", *words], comparisons, strict=False):
            if word == "or":
                groups.append([])
            groups[-1].append(SIGNS[sign](n, value))
        met = any(all(group) for group in groups)
        return met != negated

    rows = pd.DataFrame({"n": values})
    assert rows_where(rows, text).tolist() == [holds(n) for n in values]
    assert rows_where(rows[::-1], text).tolist() == [holds(n) for n in values[::-1]]


def test_columns_of_a_condition():
    assert columns_of("one a per b and (parts(c) == d or e in (1, 2)) and not a is empty") == ["a", "b", "c", "d", "e"]


def test_a_table_without_rows_has_none_that_meet():
    assert rows_where(ROWS.iloc[:0], 'kind == "tree" and one kind per label or parts(label) == 2').tolist() == []
    assert len(select(ROWS, "n > 100")) == 0


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("", "it is not a condition: expected a column, a number or a text in quotes, not its end"),
        ("n", "expected a comparison, not its end"),
        ("n >", "expected a column, a number or a text in quotes, not its end"),
        ("n > 1 n < 2", "'n' is out of place"),
        ("(n > 1", r"expected \), not its end"),
        ("n > 1)", r"'\)' is out of place"),
        ("n = 1", "'=' at character 3"),
        ("n in (1", "not its end"),
        ("n in ()", "expected a column"),
        ("n in 1", r"expected \(, not '1'"),
        ("n is big", "expected given or empty or whole"),
        ('label starts "a"', "expected with"),
        ("one n", "expected per"),
        ("nothing > 1", "there is no column nothing; expected one of kind, label, n"),
        ('n == "a"', "n is a number and 'a' is text, which cannot be compared"),
        ('kind > "a"', "kind holds text, which > cannot order"),
        ("kind < n", "cannot be compared"),
        ('n contains "1"', "n holds numbers, where contains expects text"),
        ("kind is whole", "kind holds text"),
        ("parts(n) == 1", "n holds numbers"),
        ("n.mean() > 1", r"'\.' at character 2"),
        ("n > @x", "'@' at character 5"),
        ("`n` > 1", "'`'"),
        ("n > 1; n", "';'"),
        ("n[0] > 1", r"'\['"),
        ("len(n) > 1", r"expected a comparison, not '\('"),
        ('kind == "tree', "'\"' at character 9"),
        ("n > 1e9", "'e9' is out of place"),
        ("n > 1234567890123456", "more than 15 digits"),
        ("n > 1 and", "not its end"),
        ("not", "not its end"),
        ("n is not given", "expected given"),
        ("n > 1" + " and n > 1" * 41, "it joins more than 40 parts"),
        ("(" * 41 + "n > 1" + ")" * 41, "parts more than 40 deep"),
        ("not " * 41 + "n > 1", "parts more than 40 deep"),
        ("n > 1 " + " " * 1000, "it has 1006 characters, more than 1000"),
        ("n > " + "a" * 900, "there is no column aaa"),
        ("n == \x1b[31m", r"'\\x1b' at character 6"),
    ],
)
def test_what_is_no_condition_is_refused_in_one_short_line(condition, message):
    with pytest.raises(ConditionError, match=message) as caught:
        rows_where(ROWS, condition)
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value) and len(str(caught.value)) < 1100


def test_what_lies_within_the_bounds_is_read():
    assert rows_where(ROWS, "n > 0" + " and n > 0" * 40).sum() == 3
    assert rows_where(ROWS, "(" * 40 + "n > 0" + ")" * 40).sum() == 3
    assert rows_where(ROWS, "not " * 40 + "n > 0").sum() == 3
    assert evaluate("1" + "+1" * 40, {}, {}) == 41


@given(st.text(alphabet="ab n01.,()\"'<>=!+-*/@_\t\n", max_size=60))
def test_any_text_is_read_or_refused(text):
    for read in (lambda: rows_where(ROWS, text), lambda: evaluate(text, {"a": 1.0}, {"b": abs})):
        try:
            read()
        except (ConditionError, TypeError) as error:  # a function called with too many numbers
            assert "\n" not in str(error)


# --- arithmetic ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("-a + b", 1),
        ("b / a", 1.5),
        ("8 - 3 - 2", 3),
        ("8 / 2 / 2", 2),
        ("--a", 2),
        ("-(a - b)", 1),
        ("2 * -a", -4),
        ("round(2.567, 1)", 2.6),
        ("f('x') - 1", 41),
        ('f("x")', 42),
        ("0.1 + 0.2", 0.3),
        (".5 * 4", 2),
    ],
)
def test_evaluate(expression, value):
    found = evaluate(expression, {"a": 2.0, "b": 3.0}, {"round": round, "f": lambda name: {"x": 42.0}[name]})
    assert found == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(
    "expression",
    [
        "a.real",
        "a.__class__",
        "().__class__.__bases__",
        "__import__('os')",
        "open('x')",
        "eval('1')",
        "round.__self__",
        "round(x)",
        "[1, 2]",
        "a[0]",
        "a if a else 1",
        "lambda: 1",
        "a and 1",
        "a < 1",
        "a ** 2",
        "a // 2",
        "f'{a}'",
        "(a := 1)",
        "unknown",
        "f",
        "'x'",
        "'a' * 3",
        "2 * 'a'",
        "round(2.5, ndigits=0)",
        "round(*a)",
        "1 +",
        "",
        "import os",
        "a; a",
        "1 / 0",
        "a / (a - 2)",
        "-" * 41 + "1",
        "1" + "+1" * 41,
        "(" * 41 + "1" + ")" * 41,
        "9" * 16,
        "1" + " " * 1000,
        "(" * 5000 + "1",
    ],
)
def test_evaluate_refuses_what_is_not_arithmetic(expression):
    with pytest.raises(ConditionError) as caught:
        evaluate(expression, {"a": 2.0}, {"round": round})
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_an_overflow_is_refused():
    with pytest.raises(ConditionError, match="not a finite number"):
        evaluate("a * a", {"a": 1e200}, {})


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("a - (b + 1)", "A − (B + 1)"),
        ("100 * (a - f('x')) / a", "100 × (A − [x]) / A"),
        ("-a * b", "−A × B"),
        ("(a + b) * 2", "(A + B) × 2"),
        ("a - b - 1", "A − B − 1"),
    ],
)
def test_expression_in_words(expression, words):
    assert in_words(expression, {"a": "A", "b": "B"}, {"f": "[{}]".format}) == words


# --- every table that holds conditions ----------------------------------------------------------------


def conditions() -> list[tuple[str, str, str]]:
    """Every condition of the repository's tables: where it stands, the condition, and the table that it selects
    from."""
    found = []
    for (name, column), of in HOLD_CONDITIONS.items():
        for row, line in table(name).iterrows():
            if isinstance(line[column], str):
                found.append(
                    (f"{name}.csv, row {row + 1}, {column}", line[column], of[1:] if of.startswith("=") else line[of])
                )
    for row, claim in table("claims").iterrows():
        if claim["check"] in FIRST_CONDITION:
            parts = claim["arguments"].split(" | ")
            of = "studies" if claim["check"] == "citations" else parts[0]
            found += [
                (f"claims.csv, row {row + 1}", condition, of) for condition in parts[FIRST_CONDITION[claim["check"]] :]
            ]
    return found


def test_every_condition_is_read_and_is_far_from_the_bounds():
    found = conditions()
    assert len(found) > 250
    for where, condition, of in found:
        assert len(condition) < 400, where
        parsed_condition(condition)
        assert rows_where(table(of), condition).dtype == bool, where


def test_no_code_of_this_package_runs_text():
    """No eval, exec or query on data anywhere in the package."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        runs = re.search(r"(?<![\w.])(eval|exec)\(|\.eval\(|engine=.python.|ast\.parse", source)
        assert not runs or path.name == "figures.py", (
            path.name
        )  # which executes the book's own chapters for their figures
        for query in re.findall(r"\.query\(([^)]*)\)", source):
            assert re.fullmatch(r'"[^"]*"', query), f"{path.name}: {query} is no text written in the code"


def changed_cell(folder, case):
    """Write the hostile value into the first row that the case picks."""
    path = folder / f"{case['table']}.csv"
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    picked = np.logical_and.reduce(
        [rows[column].str.contains(pattern) for column, pattern in case["pick"].items()] or [np.ones(len(rows), bool)]
    )
    row = int(np.flatnonzero(picked)[0])
    value = case["value"]
    if isinstance(value, dict):
        value = value.get("before", "") + value["repeat"] * value["times"] + value.get("after", "")
    rows.loc[row, case["column"]] = value.replace("@OLD@", rows.at[row, case["column"]])
    rows.to_csv(path, index=False)
    record_checksums(dataset(folder))
    return row


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case["name"])
def test_a_hostile_cell_is_refused_with_its_place(tmp_path, monkeypatch, capsys, case):
    folder = copy_data(tmp_path)
    row = changed_cell(folder, case)
    (tmp_path / "rows.csv").write_text("study,treat1,treat2,te,se\nAlder 2005,tablet,usual care,0.5,0.2\n")
    named = {"DATA": folder, "OUT": tmp_path / "out", "OLD": DATA, "FILE": tmp_path / "rows.csv"}
    monkeypatch.chdir(tmp_path)
    start = time.monotonic()
    assert main([str(named.get(word, word)) for word in case["command"]]) == 2
    assert time.monotonic() - start < 60  # a command takes some seconds; a hostile cell once took minutes
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and len(message) < 400
    assert re.search(rf"{case['table']}\.csv, row {row + 1}\b.*column {case['column']}: ", message), message
    assert not (tmp_path / "MARKER").exists()


def test_a_table_that_only_chapters_read_refuses_it_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hostile, studies = 'ref == @pd.io.common.Path("MARKER").touch()', table("studies")
    rules, rows = table("certainty_rules"), table("patient_information")
    rules["condition"] = rules["condition"].where(rules["condition"].isna(), hostile)
    rows.loc[0, "trials"] = hostile
    with pytest.raises(ValueError, match=r"^certainty_rules.csv, row 3, column condition: 'ref == @pd"):
        Basis.without_main_treatment(SimpleNamespace(rules=rules, studies=studies), studies)
    with pytest.raises(ValueError, match=r"^patient_information.csv, row 1, column trials: 'ref == @pd"):
        treatments_table(
            rows, table("patient_phrases"), studies, table("treatment_classes"), None, table("source_differences")
        )
    assert not (tmp_path / "MARKER").exists()
