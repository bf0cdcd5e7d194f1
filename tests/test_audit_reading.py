"""Input of `audit`: spellings, layouts, pasted text, and messages about what it cannot read."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest

from psps_paper.audit import TEMPLATE, audit
from psps_paper.audit.description import read_printed
from psps_paper.audit.numbers import read_estimate, read_number

LEAGUE = Path(__file__).parent / "league"


@pytest.mark.parametrize(
    "text, numbers",
    [
        ("0.45 (0.14, 0.76)", (0.45, 0.14, 0.76)),
        ("0.45 [0.14; 0.76]", (0.45, 0.14, 0.76)),
        ("0.45 (0.14 to 0.76)", (0.45, 0.14, 0.76)),
        ("\u22120.45 (\u22120.76 to \u22120.14)", (-0.45, -0.76, -0.14)),
        ("\u20130.45 (\u20130.76 \u2013 \u20130.14)", (-0.45, -0.76, -0.14)),
        ("-0.45 (-0.76--0.14)", (-0.45, -0.76, -0.14)),
        ("0.60 (0.45-0.79)", (0.6, 0.45, 0.79)),
        ("0\u00b745 (0\u00b714\u20130\u00b776)", (0.45, 0.14, 0.76)),
        ("0,45 (0,14; 0,76)", (0.45, 0.14, 0.76)),
        ("0,45 (0,14, 0,76)", (0.45, 0.14, 0.76)),
        ("-0,45 [-0,76 to -0,14]", (-0.45, -0.76, -0.14)),
        ("-0.08 (-0.4 , 0.24)", (-0.08, -0.4, 0.24)),
        ("0.45 (0.14,0.76)", (0.45, 0.14, 0.76)),
        ("5 (1,9)", (5, 1, 9)),
        ("0.45* (95% CI 0.14 to 0.76)\u2020", (0.45, 0.14, 0.76)),
        ("0.45 (95% CrI: 0.14, 0.76)", (0.45, 0.14, 0.76)),
        ("**0.69 [0.64; 0.74]**", (0.69, 0.64, 0.74)),
        ("1\u2009234.5 (1\u2009100.0 to 1\u2009369.0)", (1234.5, 1100, 1369)),
        (".45 (.14, .76)", (0.45, 0.14, 0.76)),
        ("0.45\u00b2 (0.14, 0.76)", (0.45, 0.14, 0.76)),
    ],
)
def test_spellings_of_one_cell(text, numbers):
    found = read_estimate(text)
    assert (found.estimate.value, found.lower.value, found.upper.value) == numbers


def test_each_number_keeps_its_own_last_digit():
    found = read_estimate("0.84 (0.8 to 1.1)")
    assert [number.decimals for number in (found.estimate, found.lower, found.upper)] == [2, 1, 1]


@pytest.mark.parametrize("text", ["Control", "0.45", "", "0.45 (0.16)", "(N=1; I2=NA*)", "Rank #1"])
def test_what_is_no_estimate_with_two_limits(text):
    assert read_estimate(text) is None


def test_relations_and_percentages():
    assert (read_number("< 0.001").relation, read_number("<.0001").value) == ("<", 0.0001)
    assert read_number("46%", percent_as_fraction=True).value == 0.46


def lines(*rows: str) -> str:
    return "\n".join(rows) + "\n"


SQUARE = [
    ["", "A", "B", "C"],
    ["A", "", "0.20 (0.00, 0.40)", "0.50 (0.20, 0.80)"],
    ["B", "", "", "0.30 (0.00, 0.60)"],
    ["C", "", "", ""],
]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join("\t".join(row) for row in SQUARE) + "\n",
        "\n".join("| " + " | ".join(row) + " |" for row in SQUARE) + "\n",
        lines("A 0.20 (0.00, 0.40) 0.50 (0.20, 0.80)", "B 0.30 (0.00, 0.60)", "C"),
        lines("A", "-0.20 (-0.40, 0.00) B", "-0.50 (-0.80, -0.20) -0.30 (-0.60, 0.00) C"),
        lines("A  0.20 (0.00, 0.40)  0.50 (0.20, 0.80)", ".  B  0.30 (0.00, 0.60)", ".  .  C"),
        lines("Table 3. League table", "", "A 0.20 (0.00, 0.40) 0.50 (0.20, 0.80)", "B 0.30 (0.00, 0.60)", "C"),
    ],
)
def test_pasted_layouts_hold_the_same_comparisons(text):
    network = read_printed(text).networks[0]
    assert network.treatments == ("A", "B", "C")
    found = {(cell.treat1, cell.treat2): cell.triple.estimate.value for table in network.tables for cell in table.cells}
    assert {abs(found.get(pair, found.get(pair[::-1]))) for pair in [("A", "B"), ("A", "C"), ("B", "C")]} == {
        0.2,
        0.5,
        0.3,
    }
    assert audit(text).findings.query("check == 'consistency'")["verdict"].item() == "holds"


def test_csv_with_semicolons_and_decimal_commas(tmp_path):
    file = tmp_path / "league.csv"
    file.write_text(
        lines(";A;B;C", "A;;0,20 (0,00 to 0,40);0,50 (0,20 to 0,80)", "B;;;0,30 (0,00 to 0,60)", "C;;;"),
        encoding="utf-8-sig",
    )
    assert len(read_printed(file).networks[0].tables[0].cells) == 3


def test_xlsx_reads_every_sheet(tmp_path):
    book = openpyxl.Workbook()
    for name in ("pain", "function"):
        sheet = book.create_sheet(name)
        for row in SQUARE:
            sheet.append(row)
    del book["Sheet"]
    book.save(tmp_path / "league.xlsx")
    assert [network.name for network in read_printed(tmp_path / "league.xlsx").networks] == ["pain", "function"]


# tests/league: how the same table arrives when it is copied from a page (pasted.txt) and typed (table.csv)
@pytest.mark.parametrize("folder", ["03-vte-two-outcomes-rr", "12-crossnma-full-square", "24-nsclc-netmeta-readme"])
def test_pasted_text_and_file_hold_the_same_numbers(folder):
    def numbers(file: str):
        return [
            sorted(
                (cell.treat1, cell.treat2, cell.triple.estimate.value, cell.triple.lower.value, cell.triple.upper.value)
                for table in network.tables
                for cell in table.cells
            )
            for network in read_printed(LEAGUE / folder / file).networks
        ]

    assert numbers("pasted.txt") == numbers("table.csv")


def test_broken_lines_and_a_name_that_was_not_copied():
    """01: names glued to numbers, rows broken over lines, no name of the last treatment, an empty cell without a
    trace."""
    network = read_printed(LEAGUE / "01-depression-exercise-smd" / "pasted.txt").networks[0]
    assert network.treatments == ("Combination", "Exercise", "Antidepressants", "treatment 4")
    lower = {
        (cell.treat1, cell.treat2): cell.triple.estimate.value
        for table in network.tables
        if table.area == "lower"
        for cell in table.cells
    }
    assert lower == {
        ("Exercise", "Combination"): 0,
        ("Antidepressants", "Combination"): -0.12,
        ("Antidepressants", "Exercise"): -0.12,
        ("treatment 4", "Combination"): -0.45,
        ("treatment 4", "Exercise"): -0.45,
        ("treatment 4", "Antidepressants"): -0.33,
    }
    assert "columns of 0.18 (-0.20 to 0.55), -0.13 (-0.63 to 0.36) are not known" in network.notes[0]


@pytest.mark.parametrize(
    "rows, message",
    [
        (
            [",A,B", "A,,0.45 (0.16)"],
            r"row 2, column 3: '0.45 \(0.16\)' is not an estimate with its interval.*standard error",
        ),
        (
            [",A,B,C", "A,,0.2 (0 to 0.4),0.45", "B,,,x (1 to 2)"],
            r"row 2, column 4: '0.45' .* would be read as 0.45 without limits",
        ),
        (
            [",A,B,C", "A,,0.2 (0 to 0.4),0.3 (0.1 to 0.5)", "D,,,0.1 (0 to 0.2)", "E,,,"],
            "not square: 3 rows and 3 columns; no column is named D, E, no row B, C",
        ),
        (["A,B", "1,2"], "without any cell"),
        (
            [",A,B,C", "A,,0.2 (0 to 0.4),0.5 (0.1 to 0.9)", "A,,,0.1 (0 to 0.2)"],
            "row 2, column 1: 'A' names a treatment that another row names too",
        ),
    ],
)
def test_what_cannot_be_read_is_named_with_row_column_and_text(tmp_path, rows, message):
    file = tmp_path / "table.csv"
    file.write_text(lines(*rows))
    with pytest.raises(ValueError, match=message):
        audit(file)


def test_mixed_scales_name_the_cell():
    text = lines(
        "A 1.22 (1.00, 1.49) 1.65 (1.22, 2.23) 1.35 (1.00, 1.82)",
        "B 1.35 (1.00, 1.82) 1.11 (0.91, 1.35)",
        "C -0.22 (-0.41, -0.02)",
        "D",
    )
    with pytest.raises(ValueError, match=r"line|row 3, column 4: '-0.22 \(-0.41, -0.02\)' is negative"):
        audit(text)
    with pytest.raises(ValueError, match="is negative, but the measure is a ratio"):
        audit(lines("A -0.22 (-0.41, -0.02)", "B"), measure="OR")


@pytest.mark.parametrize(
    "content, message",
    [
        ({"schema": "2", "networks": [{}]}, "schema: '2' is not 1"),
        ({"schema": 1, "network": []}, "'network' is not known; expected one of schema"),
        ({"schema": 1, "networks": [{"measure": "XX", "tables": []}]}, "measure: 'XX' is unknown"),
        ({"schema": 1, "networks": [{"tables": [{"file": "no.csv"}]}]}, "there is no file 'no.csv'"),
        ({"schema": 1, "networks": [{"heterogeneity": {"tau2": "x"}}]}, "tau2: 'x' is not a number"),
        ({"schema": 1, "percentages": [{"percent": "10%", "of": "1.5"}]}, "of: '1.5' is not a whole number"),
    ],
)
def test_descriptions_that_cannot_be_read(content, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        audit(content)


def test_the_template_can_be_read_as_it_is(tmp_path):
    file = tmp_path / "paper.yml"
    file.write_text(TEMPLATE)
    found = audit(file)
    assert found.verdict in ("holds", "cannot tell") and "P-score" in set(found.findings["check"])


def test_yaml_keeps_trailing_zeros(tmp_path):
    file = tmp_path / "paper.yml"
    file.write_text("schema: 1\nnetworks:\n  - heterogeneity: {tau2: 0.50}\n")
    assert read_printed(file).networks[0].heterogeneity["tau2"].decimals == 2


def test_nothing_asked_where_the_numbers_do_not_decide_the_scale():
    question = audit(lines("A 1.00 (0.99, 1.01)", "B")).findings
    assert question["check"].tolist() == ["scale"] and "please state the measure" in question["why"].item()
