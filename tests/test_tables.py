"""Every table of data/ is what it was recorded to be, and a broken one is refused by name, row, column and value."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers import DATA, ROOT, copy_data, replace_once, table
from psps_paper.book.data import dictionary_of_all, tables_table
from psps_paper.book.display import TIERS
from psps_paper.cli.main import main
from psps_paper.tables.checksums import record_checksums, recorded_checksums
from psps_paper.tables.conditions import select
from psps_paper.tables.dataset import dataset
from psps_paper.tables.errors import TableError
from psps_paper.tables.load import data_folder, load_dictionary, load_table, table_names, validate_table

TABLES = sorted(path.stem for path in DATA.glob("*.csv"))
FILES = sorted(path.relative_to(DATA).as_posix() for path in DATA.rglob("*.csv"))
INVALID = ROOT / "tests" / "invalid_data"
STUDIES = (DATA / "studies.csv").read_bytes()
HEADER, FIRST, *_ = STUDIES.splitlines(keepends=True)


@pytest.fixture
def folder(tmp_path):
    return copy_data(tmp_path)


def error_of(folder, name="studies") -> str:
    with pytest.raises(TableError) as caught:
        load_table(name, str(folder))
    return str(caught.value)


# --- the tables of the repository ---------------------------------------------------------------------


@pytest.mark.parametrize("name", TABLES)
def test_table_meets_its_dictionary(name):
    loaded, dictionary = load_table(name, DATA), load_dictionary(name, DATA)
    assert list(loaded.columns) == list(dictionary["name"])
    assert len(loaded) == len(pd.read_csv(DATA / f"{name}.csv")), "rows in are rows out"


@pytest.mark.parametrize("file", FILES)
def test_checksum_is_the_recorded_one(file):
    recorded, now = recorded_checksums(DATA), dataset(DATA).checksums
    assert recorded.get(file) == now[file], (
        f"data/{file} is not what was recorded; if it was changed on purpose, run `psps-paper tables --record`"
    )


def test_every_recorded_file_is_there():
    assert sorted(recorded_checksums(DATA).index) == FILES


def test_every_table_has_a_dictionary_and_every_dictionary_a_table():
    assert table_names(DATA) == TABLES


@pytest.mark.parametrize("name", TABLES)
def test_dictionary_is_complete(name):
    dictionary = load_dictionary(name, DATA)
    for field in ("name", "type", "unit", "meaning", "provenance"):
        empty = dictionary.loc[dictionary[field].str.strip() == "", "name"].tolist()
        assert not empty, f"dictionaries/{name}.csv: no {field} for {empty}"
    assert dictionary["name"].is_unique
    choices = dictionary[dictionary["type"] == "choice"]
    assert (choices["allowed"] != "").all()
    assert (dictionary["unique"] == "together").sum() != 1, "a key of one column is unique by itself"
    assert (dictionary.loc[dictionary["type"] != "choice", "allowed"] == "").all()


# --- references between tables ------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in TABLES if "ref" in load_dictionary(name, DATA)["name"].tolist()])
def test_every_reference_is_a_study(name):
    assert set(table(name)["ref"].dropna()) <= set(table("studies")["ref"].dropna())


WITH_STUDY = [name for name in TABLES if {"study", "ref"} <= set(load_dictionary(name, DATA)["name"])]


@pytest.mark.parametrize("name", WITH_STUDY)
def test_tables_name_their_studies_as_the_registry_does(name):
    names = table("studies").dropna(subset="ref").set_index("ref")["study"]
    rows = table(name).dropna(subset="ref")
    assert rows["study"].tolist() == [names[ref] for ref in rows["ref"]]


def test_responders_have_one_comparator_for_each_outcome_of_a_study():
    groups = table("responders").groupby(["study", "site"])["comparator"].agg(lambda arms: sorted(arms))
    assert all(arms == ["no", "yes"] for arms in groups)


def test_comparisons_of_studies_are_those_of_the_published_network():
    studies, published = table("studies"), table("nma_published")
    edges = published[published["quantity"] == "n_estimates"]
    used = studies.loc[studies["nma_status"] == "used", "nma_comparison"]
    assert set(used) == set(edges["treat1"] + " vs " + edges["treat2"])
    treatments = set(published["treat1"].dropna()) | set(published["treat2"].dropna())
    ranked = set(published.loc[published["quantity"] == "p_score", "treat1"])
    assert treatments == ranked, "every treatment has a P-score, and none is misspelt"


def test_claims_belong_to_chapters_and_have_unique_ids():
    claims = table("claims")
    assert claims["id"].is_unique
    assert set(claims["chapter"]) <= {path.stem for path in (ROOT / "book").glob("*.ipynb")}
    assert claims["id"].str.fullmatch(r"[a-z0-9_.]+").all(), "an id is an anchor in HTML and a key of glue"


def test_every_published_result_is_linked_to_each_statement_that_prints_it():
    """The links of repeats.csv, found a second way: by the arguments of the checks."""
    links = table("repeats").dropna(subset="claim")
    linked = {
        (row, claim)
        for name, query, claim in zip(links["table"], links["row"], links["claim"], strict=True)
        if name == "nma_published"
        for row in select(table(name), query).index
    }
    claims = table("claims")
    network = claims[claims["check"].isin(["network", "i2_interval"])]
    keys = network["arguments"].str.split("|").apply(lambda parts: tuple(part.strip() for part in parts))
    printed = network.assign(key=keys)
    printed = printed[~((printed["relation"] != "=") & (printed["value"] == 0.05))]  # significance, said in words
    expected = {(table("nma_published").query("quantity == 'egger_p'").index[0], "nma.egger")}
    for row in table("nma_published").itertuples():
        if row.quantity == "heterogeneous":
            assert f"{row.treat1} vs {row.treat2}" in claims.set_index("id").at["nma.within_design", "arguments"].split(
                " | "
            )
            continue
        key = (row.quantity, "" if pd.isna(row.treat1) else row.treat1, "" if pd.isna(row.treat2) else row.treat2)
        expected |= {(row.Index, claim) for claim in printed.loc[printed["key"] == key, "id"]}
    assert linked == expected


# --- bad input: the bytes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "studies.csv: the file is empty; expected a header line"),
        (b"\n \n", "studies.csv: the file is empty; expected a header line"),
        (b"\xef\xbb\xbf", "studies.csv: the file is empty; expected a header line"),
        (HEADER, "studies.csv: the file has a header but no rows of data"),
        (STUDIES.decode().encode("utf-16"), "studies.csv, line 1: byte 0 (0xff) is not UTF-8; save the file as UTF-8"),
        (
            STUDIES.replace(b"Hamdy", "Hämdy".encode("latin-1"), 1),
            (
                r"studies.csv, line 2, row 1 (ref 10), column first_author: 'H\xe4mdy' holds byte 0xe4, which is not"
                r" UTF-8; save the file as UTF-8"
            ),
        ),
        (
            b"\xef\xbb\xbf" + STUDIES.replace(b"Hamdy", b"H\xe4mdy", 1),
            (
                r"studies.csv, line 2, row 1 (ref 10), column first_author: 'H\xe4mdy' holds byte 0xe4, which is not"
                r" UTF-8; save the file as UTF-8"
            ),
        ),
        (STUDIES.replace(b"Sorrell", b"Sorr\xe9ll", 1), "studies.csv, line 3, row 2 (ref 11), column first_author: "),
        (STUDIES.replace(b"Hamdy,2021", b'"Hamdy\xe4,2021', 1), "studies.csv, line 2: byte"),
        (
            STUDIES.replace(b"first_author", b"first_\xe4uthor", 1),
            f"studies.csv, line 1: byte {STUDIES.index(b'author')} (0xe4) is not UTF-8;",
        ),
        (
            STUDIES.replace(b"study,ref", b"study,study", 1),
            "studies.csv: a column name occurs more than once in ['study', 'study'",
        ),
        (STUDIES.replace(b",included,", b",included,,", 1), "studies.csv, row 1: 25 cells where the header has 24"),
        (STUDIES + b"\n", "studies.csv, row 51: 0 cells where the header has 24"),
        (
            STUDIES.replace(b"Hamdy", b"Ham\0dy", 1),
            r"studies.csv, row 1 (ref 10), column first_author: 'Ham\x00dy' holds a control character; expected text",
        ),
        (STUDIES.replace(b"Hamdy", b'"Hamdy', 1), "studies.csv, line"),
        (STUDIES.replace(b"Hamdy", b"H" * 200_000, 1), "studies.csv, line 2: field larger than field limit"),
    ],
    ids=[
        "empty",
        "blank",
        "byte order mark only",
        "header only",
        "UTF-16",
        "Latin-1",
        "Latin-1 after a byte order mark",
        "Latin-1 further down",
        "Latin-1 and an open quote",
        "Latin-1 in the header",
        "duplicated header",
        "ragged row",
        "blank last line",
        "NUL byte",
        "open quote",
        "endless cell",
    ],
)
def test_broken_file_is_refused(folder, content, message):
    (folder / "studies.csv").write_bytes(content)
    assert error_of(folder).startswith(message)


@pytest.mark.parametrize(
    "content",
    [b"\xef\xbb\xbf" + STUDIES, STUDIES.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + STUDIES.replace(b"\n", b"\r\n")],
    ids=["byte order mark", "CRLF", "both, as a spreadsheet writes it"],
)
def test_what_spreadsheets_write_is_the_same_table(folder, content):
    (folder / "studies.csv").write_bytes(content)
    pd.testing.assert_frame_equal(load_table("studies", folder), table("studies"))


def test_text_may_be_long_and_in_any_script(folder):
    replace_once(folder / "studies.csv", b"Hamdy", ("حمدي 汉" + "x" * 100_000).encode())
    assert load_table("studies", folder).at[0, "first_author"].startswith("حمدي 汉xxx")


def test_long_values_are_shortened_in_messages(folder):
    replace_once(folder / "studies.csv", b",2021,Egypt", b"," + b"9" * 5000 + b",Egypt")
    message = error_of(folder)
    assert "column year: '999" in message and "…" in message and len(message) < 250


# --- bad input: the table -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            b",2021,Egypt",
            b",twenty,Egypt",
            "row 1 (ref 10), column year: 'twenty' is not a whole number, at least 1950, at most 2023",
        ),
        (b",2021,Egypt", b",2021.5,Egypt", "row 1 (ref 10), column year: '2021.5' is not a whole number"),
        (b",2021,Egypt", b",1e30,Egypt", "row 1 (ref 10), column year: '1e30' is not a whole number"),
        (b",2021,Egypt", b",nan,Egypt", "row 1 (ref 10), column year: 'nan' is not a whole number"),
        (b",2021,Egypt", b",inf,Egypt", "row 1 (ref 10), column year: 'inf' is not a whole number"),
        (
            b",2021,Egypt",
            b",2024,Egypt",
            "row 1 (ref 10), column year: '2024' is not a whole number, at least 1950, at most 2023",
        ),
        (b",2021,Egypt", b",1949,Egypt", "row 1 (ref 10), column year: '1949' is not a whole number, at least 1950"),
        (
            b"hamdy2021,10",
            b"hamdy2021,89",
            "row 1 (ref 89), column ref: '89' is not a whole number, at least 1, at most 88",
        ),
        (b",high,", b",hgih,", "row 1 (ref 10), column rob_overall: 'hgih' is not one of low, some concerns, high"),
        (b",high,", b",High,", "row 1 (ref 10), column rob_overall: 'High' is not one of low, some concerns, high"),
        (b",low,", b",low ,", "row 2 (ref 11), column rob_overall: 'low ' is not one of low, some concerns, high"),
        (
            b",,surgery,",
            b",,sugery,",
            (
                "row 1 (ref 10), column treatment_class: 'sugery' is not one of conservative, minimally invasive,"
                " neuromodulation, surgery"
            ),
        ),
        (
            b"neuromodulation vs placebo/sham",
            b"neuromodulation vs placebo",
            (
                "row 2 (ref 11), column nma_comparison: 'neuromodulation vs placebo' is not one of neuromodulation vs"
                " placebo/sham,"
            ),
        ),
        (b",included,", b",,", "row 1 (ref 10), column status: is empty"),
        (
            b"sorrell2018,11",
            b"hamdy2021,11",
            "row 1 (ref 10), column study: 'hamdy2021' occurs more than once (rows 1, 2)",
        ),
        (b"sorrell2018,11", b"sorrell2018,10", "row 1 (ref 10), column ref: '10' occurs more than once (rows 1, 2)"),
    ],
)
def test_broken_cell_is_named(folder, old, new, message):
    replace_once(folder / "studies.csv", old, new)
    assert error_of(folder).startswith(f"studies.csv, {message}")


def test_duplicate_study_is_named(folder):
    (folder / "studies.csv").write_bytes(STUDIES + FIRST)
    assert error_of(folder) in (
        "studies.csv, row 1 (ref 10), column study: 'hamdy2021' occurs more than once (rows 1, 51)",
        "studies.csv, row 1 (ref 10), column ref: '10' occurs more than once (rows 1, 51)",
    )


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "nma_published",
            b"te,neuromodulation,placebo/sham",
            b"te,neuromodulatoin,placebo/sham",
            (
                "nma_published.csv, row 6, column treat1: 'neuromodulatoin' is not one of neuromodulation,"
                " conservative, conservative + minimally invasive, placebo/sham"
            ),
        ),
        ("nma_published", b",0.45,", b",0;45,", "nma_published.csv, row 1, column value: '0;45' is not a number"),
        ("nma_published", b",0.45,", b",inf,", "nma_published.csv, row 1, column value: 'inf' is not a number"),
        (
            "responders",
            b"84.5",
            b"184.5",
            "responders.csv, row 1 (ref 46), column percent: '184.5' is not a number, at least 0, at most 100",
        ),
        ("outcomes", b"lower,higher", b"lower,up", "outcomes.csv, row 1, column te_desirable: 'up' is not one of"),
        ("sample_sizes", b"https://", b"ftp://", "sample_sizes.csv, row 1 (ref 11), column source_url: 'ftp://"),
    ],
)
def test_broken_cell_of_another_table_is_named(folder, name, old, new, message):
    replace_once(folder / f"{name}.csv", old, new)
    assert error_of(folder, name).startswith(message)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("missing_column.csv", "outcomes.csv: column te_desirable is missing; expected outcome, label, measure"),
        ("unknown_column.csv", "outcomes.csv: column 'remark' is unknown; expected outcome, label, measure"),
        ("columns_out_of_order.csv", "outcomes.csv: columns are out of order; expected outcome, label, measure"),
        ("duplicate_outcome.csv", "outcomes.csv, row 1, column outcome: 'pain' occurs more than once (rows 1, 2)"),
        ("unknown_direction.csv", "outcomes.csv, row 1, column te_desirable: 'upwards' is not one of lower, higher"),
        ("semicolons.csv", "outcomes.csv: column outcome is missing; expected outcome, label, measure"),
    ],
)
def test_invalid_file_is_refused(folder, file, message):
    (folder / "outcomes.csv").write_bytes((INVALID / file).read_bytes())
    assert error_of(folder, "outcomes").startswith(message)


def test_every_invalid_file_is_tested():
    pytestmark = test_invalid_file_is_refused.pytestmark[0]
    assert {case[0] for case in pytestmark.args[1]} == {path.name for path in INVALID.iterdir()}


def test_rows_count_from_the_first_row_of_data(folder):
    rows = STUDIES.splitlines(keepends=True)
    rows[17] = rows[17].replace(b"some concerns", b"sme concerns")
    (folder / "studies.csv").write_bytes(b"".join(rows))
    assert error_of(folder).startswith("studies.csv, row 17 (ref 40), column rob_overall: 'sme concerns'")


# --- bad input: files and folders ---------------------------------------------------------------------


def test_missing_table_is_named(folder):
    (folder / "studies.csv").unlink()
    assert error_of(folder) == "studies.csv: the file is missing"


def test_folder_in_place_of_a_table_is_named(folder):
    (folder / "studies.csv").unlink()
    (folder / "studies.csv").mkdir()
    assert error_of(folder) == "studies.csv: is not a file"


def test_unknown_table_lists_those_there_are(folder):
    assert error_of(folder, "trials") == f"trials.csv: no such table; expected one of {', '.join(TABLES)}"


@pytest.mark.parametrize("place", ["nowhere", "studies.csv", "dictionaries"])
def test_a_place_without_tables_is_no_data_folder(folder, place):
    assert error_of(folder / place) == f"{folder / place} is not a data folder: it has no folder named dictionaries"


def test_data_folder_is_what_the_environment_names(folder, monkeypatch):
    monkeypatch.setenv("PSPS_DATA", str(folder))
    assert data_folder() == folder
    monkeypatch.setenv("PSPS_DATA", "nonsense")
    with pytest.raises(TableError, match="^nonsense is not a data folder"):
        load_table("studies")
    monkeypatch.delenv("PSPS_DATA")
    assert data_folder() == ROOT / "data"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"year,integer", b"year,whole", "row 5 (year), column type: 'whole' is not one of text, choice, url"),
        (
            b"year,integer,years,yes",
            b"year,integer,years,perhaps",
            "row 5 (year), column nullable: 'perhaps' is not one of yes, no",
        ),
        (b"1950", b"early", "row 5 (year), column minimum: 'early' is not a number"),
        (b"name,type,unit", b"name,kind,unit", None),
    ],
)
def test_broken_dictionary_is_named(folder, old, new, message):
    replace_once(folder / "dictionaries" / "studies.csv", old, new)
    expected = (
        f"dictionaries/studies.csv, {message}" if message else "dictionaries/studies.csv: columns are ['name', 'kind'"
    )
    assert error_of(folder).startswith(expected)


def test_missing_dictionary_is_named(folder):
    (folder / "dictionaries" / "studies.csv").unlink()
    assert error_of(folder).startswith("studies.csv: no such table; expected one of")


def test_record_checksums_records_what_is_there(folder):
    assert dataset(folder).checksums.equals(dataset(DATA).checksums), "a copy has the same checksums"
    replace_once(folder / "prisma.csv", b"1140", b"1141")
    assert recorded_checksums(folder)["prisma.csv"] != dataset(folder).checksums["prisma.csv"]
    record_checksums(dataset(folder))
    assert recorded_checksums(folder).equals(dataset(folder).checksums)
    assert recorded_checksums(folder)["studies.csv"] == dataset(DATA).checksums["studies.csv"]


# --- columns that are all empty, and text cells that look like numbers ---------------------------------


def test_cells_keep_their_text(folder):
    """ "NA", "1e3" and "007" in a text column are text; only the empty cell is missing."""
    dictionary = (
        load_dictionary("outcomes", DATA).iloc[:2].assign(name=["outcome", "label"], nullable="yes", unique="no")
    )
    raw = pd.DataFrame({"outcome": ["NA", "1e3", "007", ""], "label": [""] * 4}, dtype=str)
    loaded = validate_table(raw, dictionary, "made.csv")
    assert loaded["outcome"].tolist()[:3] == ["NA", "1e3", "007"]
    assert loaded["outcome"].isna().tolist() == [False, False, False, True]
    assert loaded["label"].isna().all()


@pytest.mark.parametrize("kind", ["integer", "number"])
def test_a_column_of_numbers_may_be_empty_throughout(kind):
    dictionary = (
        load_dictionary("studies", DATA)
        .iloc[[1]]
        .assign(name="n", type=kind, nullable="yes", unique="no", minimum="", maximum="")
    )
    loaded = validate_table(pd.DataFrame({"n": ["", ""]}, dtype=str), dictionary, "made.csv")
    assert loaded["n"].isna().all()


@pytest.mark.parametrize(
    ("cell", "valid"), [("2024-02-29", True), ("2023-02-29", False), ("2024-2-9", False), ("29.02.2024", False)]
)
def test_a_date_is_a_day_of_the_calendar(cell, valid):
    dictionary = load_dictionary("studies", DATA).iloc[[0]].assign(name="seen", type="date")
    raw = pd.DataFrame({"seen": [cell]}, dtype=str)
    if valid:
        assert validate_table(raw, dictionary, "made.csv").at[0, "seen"] == cell
    else:
        with pytest.raises(
            TableError, match=re.escape(f"made.csv, row 1, column seen: '{cell}' is not a date written YYYY-MM-DD")
        ):
            validate_table(raw, dictionary, "made.csv")


# --- whatever the bytes, the error is ours ------------------------------------------------------------


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    return copy_data(tmp_path_factory.mktemp("fuzz"))


edits = st.lists(
    st.tuples(
        st.integers(0, len(STUDIES) - 1),
        st.integers(0, 12),
        st.one_of(
            st.binary(max_size=4),
            st.sampled_from(
                [b",", b'"', b"\n", b"\r", b"\0", b"|", b"1e999", b"-1", b"\xff", b"\xef\xbb\xbf", b"nan", b""]
            ),
        ),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=edits)
def test_mutated_bytes_raise_nothing_but_table_errors(fuzzed, edits):
    content = STUDIES
    for start, length, new in edits:
        content = content[:start] + new + content[start + length :]
    (fuzzed / "studies.csv").write_bytes(content)
    try:
        loaded = load_table("studies", fuzzed)
    except TableError as error:
        assert str(error).startswith("studies.csv")
    else:
        assert loaded["study"].is_unique and loaded["status"].isin(["included", "excluded: retracted"]).all()


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300))
def test_any_bytes_raise_nothing_but_table_errors(fuzzed, content):
    (fuzzed / "prisma.csv").write_bytes(content)
    with pytest.raises(TableError, match="^prisma.csv"):
        load_table("prisma", fuzzed)


# --- the same from the command line -------------------------------------------------------------------


@pytest.mark.parametrize("command", ["tables", "verify"])
def test_command_names_the_fault(folder, capsys, command):
    replace_once(folder / "studies.csv", b",high,", b",hgih,")
    assert main([command, "--data", str(folder)]) == 2
    assert (
        capsys.readouterr().err
        == "psps-paper: studies.csv, row 1 (ref 10), column rob_overall: 'hgih' is not one of low, some concerns,"
        " high\n"
    )


@pytest.mark.parametrize("command", ["tables", "verify"])
def test_command_refuses_a_folder_without_tables(capsys, monkeypatch, command):
    monkeypatch.setenv("PSPS_DATA", "nonsense")
    assert main([command]) == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err == "psps-paper: nonsense is not a data folder: it has no folder named dictionaries\n"


def test_every_table_is_described_in_the_data_dictionary(tmp_path):
    told = load_table("tables")
    assert (
        sorted(told["table"])
        == sorted(table_names())
        == [name.removesuffix(".csv") for name in tables_table()["table"].map(lambda cell: re.sub("<[^>]+>", "", cell))]
    )
    assert all(set(tier.split(" and ")) <= set(TIERS) for tier in told["tier"])
    every = dictionary_of_all()
    assert len(every) == sum(load_table(name).shape[1] for name in table_names())
    folder = copy_data(tmp_path)
    replace_once(folder / "tables.csv", b"outcomes,", b"results,")
    with pytest.raises(ValueError, match="'outcomes' is not both there and in data/"):
        tables_table(folder)
