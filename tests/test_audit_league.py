"""Published tables as printed: what must come out of each is stated in its meta.yml (findings) in tests/league."""

from __future__ import annotations

from pathlib import Path

import pytest

from psps_paper.audit import audit

LEAGUE = Path(__file__).parent / "league"
CELLS = {
    "01-depression-exercise-smd": 11,
    "03-vte-two-outcomes-rr": 12,
    "06-parkinson-exercise-vs-control": 30,
    "12-crossnma-full-square": 12,
    "16-maths-education-upper-csv": 76,
    "24-nsclc-netmeta-readme": 24,
    "31-depression-exercise-acceptability-rr": 11,
    "32-brain-injury-depression-smd": 21,
    "33-renal-cancer-versus-everolimus-hr": 7,
    "34-diabetes-add-on-pairs": 18,
    "35-back-pain-exercise-vs-control": 12,
    "36-balneotherapy-ranks": 0,
}


@pytest.fixture(scope="module")
def found():
    return {folder: audit(LEAGUE / folder / "audit.yml") for folder in CELLS}


def verdicts(found, check: str) -> list[str]:
    return found.findings.query("check == @check")["verdict"].tolist()


def test_every_printed_cell_is_read(found):
    for folder, count in CELLS.items():
        assert sum(len(table.cells) for network in found[folder].printed.networks for table in network.tables) == count


def test_only_the_one_known_clash(found):
    clashes = {folder: one.findings.query("verdict == 'clash'") for folder, one in found.items()}
    assert {folder for folder, rows in clashes.items() if len(rows)} == {"03-vte-two-outcomes-rr"}
    row = clashes["03-vte-two-outcomes-rr"].iloc[0]
    assert (
        row["where"] == "2B recurrent VTE"
        and "turned round, DOAC vs LMWH 0.71 (0.14-3.51) would close" in row["why"]
        and row["why"].endswith("?")
    )
    # 0.93 / 0.71, in the direction of the cell that is named last, LMWH vs VKA
    assert (
        row["printed"].endswith("LMWH vs VKA 0.67 (0.46-0.97) (row 5, column 4)")
        and row["lower"] < 0.93 / 0.71 < row["upper"]
    )


def test_depression_network_behind_the_table(found):
    """League README, 01: 160 (about 146 to 178), 44, 41, 41, 8.4, and none for combination against control."""
    one = found["01-depression-exercise-smd"]
    weights = {frozenset((row.treat1, row.treat2)): row for row in one.weights.itertuples()}
    expected = {
        ("Control", "Antidepressants"): 160,
        ("Exercise", "Antidepressants"): 44,
        ("Combination", "Antidepressants"): 41,
        ("Control", "Exercise"): 41,
        ("Combination", "Exercise"): 8.4,
    }
    for pair, weight in expected.items():
        row = weights[frozenset(pair)]
        assert row.direct == "yes" and row.weight == pytest.approx(weight, rel=0.03) and row.lower < weight < row.upper
    none = weights[frozenset(("Combination", "Control"))]
    assert none.lower == 0 and none.direct != "yes"
    assert verdicts(one, "consistency") == ["holds"] and verdicts(one, "covariance") == ["holds"]


def test_adjusted_model_off_the_middle_is_no_clash(found):
    row = (
        found["03-vte-two-outcomes-rr"]
        .findings.query("where.str.contains('2B major bleeding: DOAC vs LMWH') and check == 'interval'")
        .iloc[0]
    )
    assert row["verdict"] == "explained"


def test_parkinson_p_values_and_sucra(found):
    one = found["06-parkinson-exercise-vs-control"]
    assert verdicts(one, "p value") == ["holds"] * 30
    assert set(verdicts(one, "SUCRA")) == {"holds"}
    reference = one.findings.query("check == 'SUCRA' and where.str.endswith('True control')")  # 19 and 7 percent
    assert [(round(row.lower, 2), round(row.upper, 2)) for row in reference.itertuples()] == [(0.19, 0.2), (0.07, 0.07)]


def test_posterior_medians_close_within_their_draws(found):
    one = found["12-crossnma-full-square"]
    assert one.verdict == "cannot tell" and verdicts(one, "mirrored triangles") == ["holds"] * 6
    assert verdicts(one, "consistency") == ["explained"] and set(one.weights["direct"]) == {"cannot tell"}


def test_trailing_zeros_and_a_list_with_four_decimals_close_together(found):
    one = found["16-maths-education-upper-csv"]
    assert (
        one.verdict == "holds"
        and one.findings.query("check == 'consistency'")["printed"].tolist()[0] == "66 comparisons of 12 treatments"
    )


def test_p_scores_from_two_decimals_and_parts_of_q(found):
    one = found["24-nsclc-netmeta-readme"]
    assert one.verdict == "holds" and len(verdicts(one, "P-score")) == 6 and verdicts(one, "p of Q") == ["holds"] * 3
    assert set(one.weights["direct"]) == {"cannot tell"}


def test_six_more_tables_of_other_journals(found):
    """Addresses in each audit.yml: BJSM, J Psychiatry Neurosci, BMJ Open, Diabetol Metab Syndr, Br J Sports Med,
    Frontiers."""
    assert verdicts(found["31-depression-exercise-acceptability-rr"], "consistency") == ["holds"]
    told = {
        frozenset((row.treat1, row.treat2)): row.direct
        for row in found["32-brain-injury-depression-smd"].weights.itertuples()
    }
    assert [
        other
        for other in ("Methylphenidate", "Desipramine", "Escitalopram", "Sertraline", "Atomoxetine", "Melatonin")
        if told[frozenset((other, "Placebo"))] != "yes"
    ] == []  # six pairwise cells against placebo are printed
    renal = found["33-renal-cancer-versus-everolimus-hr"].findings.query("verdict == 'explained'")["why"]
    assert len(renal) == 4 and renal.str.contains("posterior mean of a ratio").all()
    assert verdicts(found["34-diabetes-add-on-pairs"], "consistency") == ["holds", "holds", "explained"]
    pain = found["35-back-pain-exercise-vs-control"]  # SUCRA in whole tens: their last digit is the tens
    assert verdicts(pain, "p value") == ["holds"] * 12 and set(verdicts(pain, "SUCRA")) == {"holds"}
    assert verdicts(found["36-balneotherapy-ranks"], "SUCRA and mean rank") == ["holds"] * 9


@pytest.mark.parametrize("folder", ["01-depression-exercise-smd", "12-crossnma-full-square", "24-nsclc-netmeta-readme"])
@pytest.mark.parametrize("file", ["table.csv", "pasted.txt"])
def test_a_table_alone_needs_nothing_else(folder, file):
    one = audit(LEAGUE / folder / file)
    assert one.verdict != "clash" and verdicts(one, "scale") == ["holds"]
    triangles = one.findings.query("check == 'orientation'")["why"]
    assert (
        len(triangles) == 1
        and "Row versus column, or column versus row? The lower triangle is read as row versus column."
        in triangles.iloc[0]
    )


def test_wording_is_about_numbers_and_questions(found):
    text = " ".join(" ".join(one.findings["why"]) for one in found.values()).lower()
    assert not any(word in text for word in ("author", "mistake", "error in", "wrong", "fraud", "careless"))
    assert all(why.endswith("?") for one in found.values() for why in one.findings.query("verdict == 'clash'")["why"])
