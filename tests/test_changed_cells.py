"""A cell that repeats another place cannot change alone: each is changed here, and the finding names it.

``test_mutations.py`` follows two changed values as far as the built page; this one goes through all declared cells.
"""

from __future__ import annotations

import functools

import pandas as pd
import pytest

from helpers import DATA, copy_data, replace_once
from psps_paper.claims.consistency import compare, disagreements
from psps_paper.cli.main import main
from psps_paper.tables.conditions import select
from psps_paper.tables.errors import TableError
from psps_paper.tables.load import load_table, row_name, table_names

pytestmark = pytest.mark.slow

REPEATING = ["nma_published", "prisma", "responders", "rob_domains"]


@functools.cache
def tables() -> dict[str, pd.DataFrame]:
    return {name: load_table(name, DATA) for name in table_names(DATA)}


def changed(name: str, column: str, rows, values, **others) -> list:
    """Disagreements where some cells of a table hold other values, in this column and in ``others``."""
    table = tables()[name].copy()
    for one, cells in {column: values, **others}.items():
        table.loc[rows, one] = cells
    return compare({**tables(), name: table})


def linked_rows(name: str, column: str) -> list[int]:
    """Rows of a table whose cell in a column repeats a statement."""
    links = tables()["repeats"].dropna(subset="claim")
    links = links[(links["table"] == name) & (links["column"] == column)]
    return sorted({row for query in links["row"] for row in select(tables()[name], query).index})


def test_the_tables_agree():
    assert disagreements(DATA) == []


def test_every_printed_number_of_the_four_tables_is_linked():
    links = tables()["repeats"]
    assert sorted(set(links["table"])) == REPEATING
    assert (
        len(linked_rows("nma_published", "value"))
        == (tables()["nma_published"]["quantity"] != "heterogeneous").sum()
        == 21
    )
    assert len(linked_rows("responders", "percent")) == len(tables()["responders"]) == 14
    assert len(linked_rows("rob_domains", "percent")) == tables()["rob_domains"]["percent"].notna().sum() == 4
    assert len(linked_rows("prisma", "n")) == tables()["prisma"]["n"].notna().sum() == 14


OTHER_RELATION = {"=": "<", "<": "=", ">": "="}
CHANGES = {
    ("nma_published", "value"): lambda cells, rows: cells + 10.0 ** -rows["decimals"].astype(float),
    ("nma_published", "decimals"): lambda cells, rows: cells + 1,
    ("nma_published", "relation"): lambda cells, rows: cells.map(OTHER_RELATION),
    ("nma_published", "unit"): lambda cells, rows: "metres",
    ("responders", "percent"): lambda cells, rows: cells - 10.0 ** -rows["decimals"].astype(float),
    ("responders", "decimals"): lambda cells, rows: cells + 1,
    ("responders", "time"): lambda cells, rows: "1" + cells,
    ("rob_domains", "percent"): lambda cells, rows: cells + 10.0 ** -rows["decimals"].astype(float),
    ("rob_domains", "decimals"): lambda cells, rows: cells + 1,
    ("prisma", "n"): lambda cells, rows: cells + 1,
}


@pytest.mark.parametrize(("name", "column"), CHANGES)
def test_every_changed_cell_is_named(name, column):
    """All cells of a column at once: each link is compared by itself, so each must have its own finding."""
    key = (
        column
        if column in set(tables()["repeats"]["column"])
        else {"responders": "percent", "rob_domains": "percent"}.get(name, "value")
    )
    rows = linked_rows(name, key)
    table = tables()[name]
    found = changed(name, column, rows, CHANGES[name, column](table.loc[rows, column], table.loc[rows]))
    named = {one.row for one in found if (one.table, one.column) == (name, column) and "as printed: " in one.expected}
    assert rows and named == {row_name(table, row) for row in rows}


@pytest.mark.parametrize("column", ["arm", "comparator", "site"])
def test_responders_are_compared_by_arm(column):
    responders, links = tables()["responders"], tables()["repeats"]
    others = {
        "arm": responders["arm"] + " or sham",
        "comparator": responders["comparator"].map({"yes": "no", "no": "yes"}),
        "site": responders["site"].map({"back": "not stated", "leg": "not stated", "not stated": "back"}),
    }
    found = changed("responders", column, responders.index, others[column])
    unselected = {
        one.row
        for one in found
        if (one.table, one.column) == ("repeats", "row") and one.expected.endswith("it selects 0")
    }
    assert unselected == {row_name(links, row) for row in links.index[links["table"] == "responders"]}


def test_percentages_swapped_between_arms_are_both_named():
    """Kapural 2015, back pain: 84.5 with 10 kHz, 43.8 with tonic stimulation (Results, Narrative synthesis)."""
    found = changed("responders", "percent", [0, 2], [43.8, 84.5])
    assert [str(one).split(" (Results")[0] for one in found] == [
        (
            "responders.csv, row 1 (ref 46), column percent: 43.8, expected 84.5 as printed:"
            " neuromodulation.kapural_back_10k"
        ),
        (
            "responders.csv, row 3 (ref 46), column percent: 84.5, expected 43.8 as printed:"
            " neuromodulation.kapural_back_tonic"
        ),
    ]


def test_a_new_number_needs_its_statement():
    domain = tables()["rob_domains"].query("domain == 1 and judgement == 'low'").index
    (found,) = changed("rob_domains", "percent", domain, 51.0, decimals=1, place="made up")
    assert (
        str(found)
        == "rob_domains.csv, row 1, column percent: 51, expected a printed number: a row of repeats.csv that links it "
        "to its statement"
    )


@pytest.mark.parametrize(
    ("name", "row", "column", "value", "named"),
    [
        (
            "responders",
            0,
            "study",
            "kapural2016",
            "responders.csv, row 1 (ref 46), column study: 'kapural2016', expected 'kapural2015', which",
        ),
        (
            "responders",
            0,
            "ref",
            45,
            "responders.csv, row 1 (ref 45), column study: 'kapural2015', expected 'hossieni2017', which",
        ),
        (
            "responders",
            0,
            "ref",
            1,
            "responders.csv, row 1 (ref 1), column ref: 1, expected a reference number of studies.csv",
        ),
        (
            "rob_domains",
            8,
            "percent",
            48.6,
            "rob_domains.csv, domain 3, column percent: low 65.3, high 48.6, expected whole numbers of 49",
        ),
        ("prisma", 11, "n", 2, "prisma.csv, column n: identified 1140, duplicates 432"),
        (
            "claim_facts",
            0,
            "claim",
            "conservative.none",
            "claim_facts.csv, row 1, column claim: 'conservative.none', expected an identifier",
        ),
        (
            "repeats",
            0,
            "claim",
            "nma.none",
            "repeats.csv, row 1, column claim: 'nma.none', expected an identifier in column id of claims.csv",
        ),
        (
            "repeats",
            0,
            "table",
            "mna",
            "repeats.csv, row 1, column column: 'value', expected a column of a table in data; mna.csv has no such column",
        ),
        (
            "studies",
            1,
            "nma_comparison",
            "surgery vs surgery + minimally invasive",
            "studies.csv, row 2 (ref 11), column nma_comparison: ",
        ),
    ],
)
def test_a_cell_that_another_table_contradicts_is_named(name, row, column, value, named):
    assert any(str(one).startswith(named) for one in changed(name, column, row, value))


@pytest.mark.parametrize("shares", [(10.2, 20.4, 69.4), (10.2, 20.4, 71.4), (10.2, 20.4, 67.3)])
def test_three_shares_of_a_domain_make_a_whole(shares):
    """5, 10 and 34 of 49 studies make 100 %; 35 or 33 of them don't."""
    found = changed("rob_domains", "percent", [0, 1, 2], list(shares), decimals=1)
    sums = [one for one in found if "100 %" in one.expected]
    assert len(sums) == (sum(shares) != 100)


@pytest.mark.parametrize("study", ["kumar2007", "hashemi2019", "hamdy2021", "north2005b", "kapural2015", "eldabe2019"])
def test_a_direction_turned_round_clashes_with_the_summary_that_cites_it(study):
    rows = tables()["studies"].index[tables()["studies"]["study"] == study]
    ref = tables()["studies"].at[rows[0], "ref"]
    found = changed("studies", "direction", rows, "favours comparator")
    assert [one for one in found if one.table == "summary_claims" and str(ref) in one.expected]


def test_a_stated_design_is_that_of_the_trials_own_pages():
    studies = tables()["studies"]
    stated = studies.index[studies["design"].isin(["parallel", "crossover"])]
    other = studies.loc[stated, "design"].map({"parallel": "crossover", "crossover": "parallel"})
    found = changed("studies", "design", stated, other)
    assert {one.row for one in found if one.column == "design"} == {row_name(studies, row) for row in stated}


LINES = (DATA / "nma_published.csv").read_bytes().splitlines(keepends=True)
Q = "a second treatment, other than the first"


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "nma_published",
            LINES[1],
            LINES[1] + LINES[1],
            (
                "row 1, columns quantity, treat1, treat2: 'te', 'neuromodulation', 'conservative + "
                "minimally invasive' occur together more than once (rows 1, 2); expected one row for each"
            ),
        ),
        (
            "nma_published",
            b"0.004,3,=",
            b"1.5,3,=",
            "row 5, column value: '1.5' is not a number from 0 to 1, as a p value",
        ),
        ("nma_published", b"0.975", b"9.75", "row 11, column value: '9.75' is not a number from 0 to 1"),
        (
            "nma_published",
            b"77.5",
            b"775",
            "row 15, column value: '775' is not a number from 0 to 100, as I2 in percent is",
        ),
        ("nma_published", b"0.94", b"9.4", "row 18, column value: '9.4' is not a number from 0 to 1"),
        ("nma_published", b"sham,4.03", b"sham,x", "row 9, column value: 'x' is not a number"),
        (
            "nma_published",
            b"invasive,4,0",
            b"invasive,-4,0",
            "row 20, column value: '-4' is not a whole number of at least 1",
        ),
        (
            "nma_published",
            b"invasive,4,0",
            b"invasive,4.5,0",
            "row 20, column value: '4.5' is not a whole number of at least 1",
        ),
        (
            "nma_published",
            b"te,neuromodulation,placebo/sham",
            b"te,neuromodulation,",
            f"row 6, column treat2: '' is not {Q}",
        ),
        (
            "nma_published",
            b"te,neuromodulation,placebo/sham",
            b"te,placebo/sham,placebo/sham",
            f"row 6, column treat2: 'placebo/sham' is not {Q}",
        ),
        (
            "nma_published",
            b"i2,,",
            b"i2,conservative,",
            "row 15, column treat1: 'conservative' is not empty, as the value belongs to",
        ),
        (
            "rob_domains",
            b"1,Randomisation process,some",
            b"1,Randomisation,some",
            "row 1, column domain_label: 'Randomisation process' is not",
        ),
        (
            "rob_domains",
            b"process,some concerns,",
            b"process,low,",
            "row 1, columns domain, judgement: '1', 'low' occur together",
        ),
        (
            "rob_domains",
            b"low,65.3,1,",
            b"low,65.3,,",
            "row 7, column percent: '65.3' is not given together with its decimals and place",
        ),
        (
            "responders",
            b"leg,at least",
            b"back,at least",
            "row 1 (ref 46), columns study, arm, site: 'kapural2015', '10 kHz SCS', 'back' occur",
        ),
        (
            "studies",
            b"Hamdy,2021",
            b"Hamdy,2020",
            "row 1 (ref 10), column year: '2020' is not the year in the identifier of the study",
        ),
        (
            "studies",
            b"Kumar,2007,Pain,,neuromodulation,neuromodulation added to medical management",
            b"Kumar,2007,Pain,,neuromodulation,medication",
            "row 3 (ref 26), column subclass: 'medication' is not of one treatment class",
        ),
        (
            "studies",
            b"high,no,yes,no,no,not eligible",
            b"high,no,no,no,no,not eligible",
            "row 20 (ref 43), column scs_arm: 'no' is not what the arms",
        ),
        (
            "studies",
            b"10.3340/jkns.2022.0225",
            b"hello world",
            "row 3 (ref 26), column doi: 'hello world' is not a DOI such as 10.1000/182",
        ),
        ("claims", b",databases,=", b",banana,=", "row 1, column unit: 'banana' is not one of arms, articles"),
        (
            "claims",
            b",abstract,",
            b",abstrct,",
            "row 1, column chapter: 'abstrct' is not one of background, discussion",
        ),
        (
            "study_facts",
            b"patients,all,,,treated,",
            b"patients,all,,,,",
            "row 312 (ref 36), column counted: '' is not what belongs here: in the chosen n_randomised",
        ),
        (
            "study_facts",
            b"patients,no hyaluronidase,,,,",
            b"patients,no hyaluronidase,,,enrolled,",
            "row 469 (ref 42), column counted: 'enrolled' is not what belongs here",
        ),
        ("row_rules", b"value >= 0 and value <= 1,", b"nothing >= 0,", None),
    ],
)
def test_a_cell_that_breaks_a_bound_is_refused(tmp_path, name, old, new, message):
    folder = copy_data(tmp_path)
    replace_once(folder / f"{name}.csv", old, new)
    with pytest.raises(TableError) as caught:
        load_table(name if message else "nma_published", folder)
    assert str(caught.value).startswith(
        f"{name}.csv, {message}"
        if message
        else (
            "row_rules.csv, row 1, column holds: 'nothing >= 0' does not suit nma_published.csv: there is no column"
            " nothing"
        )
    )


TOLD = [
    (
        "nma_published",
        b"egger_p,,,0.94",
        b"egger_p,,,0.93",
        "row 18, column value: 0.93, expected 0.94 as printed: nma.egger (Results, Network",
    ),
    (
        "nma_published",
        b"i2_lower,,,66.6",
        b"i2_lower,,,66.7",
        "row 16, column value: 66.7, expected 66.6 as printed: nma.i2.lower (Results, Network",
    ),
    (
        "nma_published",
        b"0.0001,4,<",
        b"0.001,4,<",
        "row 10, column value: 0.001, expected 0.0001 as printed: abstract.n_p.p (Abstract",
    ),
    (
        "nma_published",
        b"0.001,4,<",
        b"0.001,4,=",
        "row 10, column relation: '=', expected '<' as printed: abstract.n_p.p (Abstract",
    ),
    (
        "prisma",
        b"journal,1,",
        b"journal,2,",
        "row 12, column n: 2, expected 1 as printed: selection.retracted (Results, Study selection",
    ),
    (
        "responders",
        b"84.5",
        b"85.4",
        "row 1 (ref 46), column percent: 85.4, expected 84.5 as printed: neuromodulation.kapural_back_10k",
    ),
    (
        "rob_domains",
        b"28.6",
        b"48.6",
        "row 9, column percent: 48.6, expected 28.6 as printed: rob.domain3.high (Results, Risk of bias",
    ),
    (
        "claims",
        b"1140 articles,1140,",
        b"1141 articles,1140,",
        "column printed: '1141 articles', expected words that hold the value, 1140",
    ),
]


def test_verify_and_tables_report_and_fail(tmp_path, capsys):
    """Recorded or not: a checksum shows that a table was changed deliberately, not that it is right."""
    folder = copy_data(tmp_path)
    for name, old, new, _ in TOLD:
        replace_once(folder / f"{name}.csv", old, new)
    assert main(["verify", "--data", str(folder)]) == 1
    written = capsys.readouterr()
    assert " distinct results of " in written.out, "the verdicts are still computed"
    for name, _, _, named in TOLD:
        assert any(
            line.startswith(f"disagrees: {name}.csv, ") and named in line for line in written.err.splitlines()
        ), named
        assert f"{name}.csv: changed since recorded; if intended, run psps-paper tables --record" in written.err
    assert main(["tables", "--record", "--data", str(folder)]) == 1
    written = capsys.readouterr()
    assert all(named in written.err for *_, named in TOLD) and "changed since" not in written.err


def test_a_change_that_nothing_else_states_is_detected_by_its_checksum(tmp_path, capsys):
    folder = copy_data(tmp_path)
    replace_once(folder / "studies.csv", b"J. Pain Res.", b"J. Pain")
    (folder / "dictionaries" / "wording.csv").unlink()
    (folder / "wording.csv").rename(folder / "extra.csv")
    assert main(["verify", "--data", str(folder)]) == 1
    remedy = "if intended, run psps-paper tables --record"
    assert capsys.readouterr().err.splitlines() == [
        f"studies.csv: changed since recorded; {remedy}",
        f"extra.csv: not recorded; {remedy}",
        f"dictionaries/wording.csv: recorded, but missing; {remedy}",
        f"wording.csv: recorded, but missing; {remedy}",
    ]
    (folder / "checksums.sha256").unlink()
    assert main(["tables", "--data", str(folder)]) == 1
    assert (
        capsys.readouterr().err
        == "checksums.sha256: the file is missing; to write it, run psps-paper tables --record\n"
    )
    (folder / "checksums.sha256").write_text("abc studies.csv\n")
    assert main(["tables", "--data", str(folder)]) == 2
    assert "checksums.sha256, line 1: 'abc studies.csv' is not a SHA-256 checksum" in capsys.readouterr().err
