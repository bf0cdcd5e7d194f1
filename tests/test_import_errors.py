"""Files that cannot be imported: each is refused by one sentence that names file, row, column and value."""

from __future__ import annotations

import datetime
import io
import zipfile

import openpyxl
import pytest

from helpers import DATA, ROOT, run_command
from psps_paper.cli.main import main
from psps_paper.living import reading
from psps_paper.living.importing import read_trials
from psps_paper.living.model import Options
from psps_paper.living.reading import read_table
from psps_paper.tables.errors import TableError

pytestmark = pytest.mark.slow

INVALID = ROOT / "tests" / "living_data" / "invalid"
# fmt: off
MESSAGES = {
    "contradicting_multi_arm.csv": ": study 'a': estimates do not add up, contrasts are inconsistent: A vs B: te 0.1, se 0.2; A vs C: te 0.3, se 0.2; B vs C: te 0.9, se 0.2; they miss by 0.7, at most 0.1 is accepted (loop_tolerance)",
    "control_character.csv": ", row 1, column 'studlab': 'a\\x07' holds a control character; expected text",
    "decimal_comma.csv": ", row 1, column TE: '0,45' is not a number; use --decimal comma, or point if commas separate thousands",
    "empty.csv": ": the file is empty; expected a header line",
    "formula_at.csv": ", row 1, column treat1: '@SUM(A1)' is not text that is safe in a spreadsheet: it begins with '@', as formulas do",
    "formula_label.csv": ", row 1, column studlab: '=HYPERLINK(\"\"x\"\")' is not text that is safe in a spreadsheet: it begins with '=', as formulas do",
    "formula_number.csv": ", row 1, column TE: '=1+1' is not a number",
    "header_only.csv": ": the file has a header but no rows of data",
    "huge_te.csv": ", row 1, column TE: '1e300' is not a number of a plausible size (at most 1,000,000,000, at least its inverse)",
    "incomplete_multi_arm.csv": ": study 'a' compares 3 treatments (A, B, C) and needs 3 contrasts, has 2; missing: B vs C; complete_contrasts gives them from the standard error of the arm that the others share, A (column se_baseline)",
    "infinite_te.csv": ", row 1, column TE: 'inf' is not a number of a plausible size (at most 1,000,000,000, at least its inverse)",
    "long_row.csv": ", row 1: 6 cells where the header has 5",
    "n_of_one_arms.csv": ", row 2, column n: '1' is not a sample size, a whole number of at least 2",
    "negative_sd_arms.csv": ", row 2, column sd: '-1' is not a number greater than 0",
    "negative_se.csv": ", row 1, column seTE: '-0.2' is not a number greater than 0",
    "no_study.csv": ", row 1, column studlab: '' is not a label",
    "no_treatment.csv": ", row 1, column treat2: 'NA' is not a label",
    "not_a_workbook.xlsx": ": not a readable XLSX workbook (BadZipFile); open it and save it again",
    "nothing_usable.csv": ": nothing of 2 rows can be used (1 no TE; 1 no seTE)",
    "one_arm_arms.csv": ": nothing of 1 rows can be used (1 A: the study has no other arm in the file)",
    "quartiles_out_of_order_arms.csv": ", row 1, column median: 5.0 is not at least q1",
    "repeated_column.csv": ": column 'TE' occurs more than once in the header",
    "revman_no_treatments_arms.csv": ": no column names the treatment of arm 1; give it with --set treat1=NAME",
    "revman_two_analyses_arms.csv": ": holds 2 analyses; choose one: --where 'Comparison Number=1' --where 'Outcome Number=1'; --where 'Comparison Number=1' --where 'Outcome Number=2'",
    "same_treatment.csv": ", row 1, column treat2: 'A' is not different from the first treatment",
    "short_row.csv": ", row 1: 4 cells where the header has 5",
    "text_in_te.csv": ", row 2, column TE: 'high' is not a number",
    "two_values_of_an_arm_arms.csv": ", row 3, column mean: 3 is not 1, the value of the same arm (A of a) in row 1; several results of a study are imported as contrasts",
    "unclosed_quote.csv": ", line 2: unexpected end of data; expected cells separated by ','",
    "underscore_number.csv": ", row 1, column TE: '1_0' is not a number",
    "unknown_columns.csv": ": the columns (author, effect_size, variance) fit no known convention for contrasts, because no column names the treatments of common names: give them with --set treat1=NAME --set treat2=NAME, or name the columns, as in --map treat1=COLUMN",
    "unnamed_column.csv": ": column 3 has no name and holds 'B'; name it, or, if there is a caption above the header, use --skip",
    "wide_without_arm_2_arms.csv": ", row 1: 7 cells where the header has 8",
    "zero_se.csv": ", row 2, column seTE: '0' is not a number greater than 0",
}
# fmt: on


def test_every_invalid_file_has_its_message():
    assert {path.name for path in INVALID.iterdir()} == set(MESSAGES)


@pytest.mark.parametrize("name", MESSAGES)
def test_invalid_files_are_refused_by_name(name):
    with pytest.raises(TableError) as caught:
        read_trials(INVALID / name, Options("arms" if "_arms" in name else "contrasts"), DATA)
    assert str(caught.value).splitlines()[0] == f"{name}{MESSAGES[name]}"


def test_text_in_no_known_encoding_is_named(tmp_path):
    path = tmp_path / "strange.csv"
    path.write_bytes(
        b"studlab,treat1,treat2,TE,seTE\nRap\x81an,A,B,0.1,0.2\n"
    )  # 0x81 stands for nothing in Windows-1252 either
    with pytest.raises(TableError, match=r"^strange.csv: byte 33 \(0x81\) is not UTF-8; save the file as CSV UTF-8$"):
        read_trials(path, Options("contrasts"), DATA)


def test_columns_that_fit_nothing_name_the_nearest_convention_and_the_option_in_one_sentence(tmp_path):
    """What is not needed is not listed; a unit in brackets, or the other kind, is the usual reason."""
    for text, kind, message in (
        ("study,treatment,n,mean (mm),sd (mm)\n", "arms", "if column 'mean (mm)' is meant, use --map 'mean=mean (mm)'"),
        (
            "Study,Pill,n,mean,sd\n",
            "arms",
            "also needs treat or treatment; name the columns, as in --map treatment=COLUMN",
        ),
        (
            "study,treatment,n,mean,sd\n",
            "contrasts",
            "they can be read as arms (--kind arms): netmeta pairwise, long arms",
        ),
        ("study,treat1,treat2,TE,seTE\n", "arms", "they can be read as contrasts (--kind contrasts): netmeta"),
    ):
        path = tmp_path / "a.csv"
        path.write_text(text + ",".join(["1"] * text.count(",")) + ",1\n")
        with pytest.raises(TableError) as caught:
            read_trials(path, Options(kind), DATA)
        assert str(caught.value).endswith(message) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options("contrasts", mapping={"effect": "TE"}), "--map effect=TE: 'effect' is not one of study, treat1"),
        (Options("contrasts", mapping={"te": "effect"}), "--map te=effect: no column 'effect'; there are studlab"),
        (Options("contrasts", labels={"C": "D"}), "--label C=...: no treatment 'C'; there are A, B"),
        (Options("contrasts", where={"time": "end"}), "--where time=end: no column 'time'"),
        (Options("contrasts", constants={"te": "1"}), "--set te: only study, treat1, treat2 and treatment"),
        (
            Options("contrasts", outcome="sleep"),
            "--outcome sleep: not one of pain, responders, disability, quality_of_life",
        ),
        (Options("contrasts", mapping={"te": "TE", "se": "TE"}), "column 'TE' would be read as te and as se"),
        (Options("contrasts", measure="OR"), "--measure OR: outcome pain is measured as SMD in outcomes.csv"),
        (Options("contrasts", impute=False, impute_sd=True), "--impute-sd and --no-imputation exclude each other"),
        (Options("contrasts", sheet="1"), "a sheet (1) can only be chosen in an XLSX file"),
    ],
)
def test_options_that_do_not_suit_the_file_are_named(tmp_path, options, message):
    path = tmp_path / "a.csv"
    path.write_text("studlab,treat1,treat2,TE,seTE\na,A,B,0.1,0.2\n")
    with pytest.raises(TableError) as caught:
        read_trials(path, options, DATA)
    assert message in str(caught.value)


CONTRASTS = "studlab,treat1,treat2,TE,seTE"
REVMAN_WEB = (
    "Analysis group,Analysis number,Study,Experimental mean,Experimental SD,Experimental N,Control mean,Control"
    " SD,Control N"
)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (
            f"{CONTRASTS},te\na,A,B,0.1,0.2,0.3\n",
            "contrasts",
            "columns 'TE' and 'te' differ in case or punctuation only; choose one, for example --map 'te=TE'",
        ),
        (
            f"{CONTRASTS},Outcome\na,A,B,0.1,0.2,back\nb,A,B,0.1,0.2,leg\n",
            "contrasts",
            "holds 2 outcomes; choose one: --where 'Outcome=back'; --where 'Outcome=leg'",
        ),
        (
            f"{CONTRASTS},outcome\na,A,B,0.1,0.2,responders\n",
            "contrasts",
            "is 'responders', but 'pain' was to be read",
        ),
        (
            f"{REVMAN_WEB}\n1,1,a,1,1,9,2,1,9\n1,2,b,1,1,9,2,1,9\n",
            "arms",
            (
                "holds 2 analyses; choose one: --where 'Analysis group=1' --where 'Analysis number=1'; --where"
                " 'Analysis group=1' --where 'Analysis number=2'"
            ),
        ),
        (
            "study;treat;n;mean;sd\na;A;20;1,234;1\na;B;20;0.5;1\n",
            "arms",
            "row 2, column mean: '0.5' is not written like '1,234' in row 1: one column has one decimal sign",
        ),
        (
            "study,treat,n,mean,sd\na,A,12.5,1,1\na,B,20,2,1\n",
            "arms",
            "row 1, column n: '12.5' is not a sample size, a whole number of at least 2",
        ),
        (
            "study,treat,n,events\na,A,12,3.5\na,B,20,2\n",
            "events",
            "row 1, column events: '3.5' is not a count, a whole number of at least 0",
        ),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(tmp_path, text, kind, message):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(TableError) as caught:
        read_trials(path, Options("arms", outcome="responders") if kind == "events" else Options(kind), DATA)
    assert message in str(caught.value)


@pytest.mark.parametrize("label", [datetime.date(2020, 5, 1), datetime.datetime(2020, 5, 1), True])
def test_dates_and_truth_values_of_a_workbook_are_no_labels(tmp_path, label):
    assert "row 1, column studlab: " in (said := refused(tmp_path, workbook([HEADER, [label, "A", "B", 0.1, 0.2]])))
    assert "is not text: the workbook holds a date or a truth value there; write it as text" in said


@pytest.mark.parametrize(
    ("name", "message"),
    [("a.xls", "save it as XLSX"), ("a.pdf", "expected a file ending in .csv"), ("a.csv", "no such file")],
)
def test_other_files_are_refused(tmp_path, name, message):
    if name != "a.csv":
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(TableError, match=message):
        read_table(tmp_path / name)


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(TableError, match="is not a file"):
        read_table(tmp_path / "a.csv")


# --- limits -------------------------------------------------------------------------------------------


def test_files_beyond_the_limit_of_bytes_are_refused(tmp_path):
    path = tmp_path / "large.csv"
    path.write_bytes(b"studlab,treat1,treat2,TE,seTE\n" + b"x" * reading.MAX_BYTES)
    with pytest.raises(TableError, match="larger than 10,000,000 bytes, the limit"):
        read_table(path)


def test_tables_beyond_the_limit_of_rows_columns_and_characters_are_refused(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("a,b\n" + "1,2\n" * (reading.MAX_ROWS + 1))
    with pytest.raises(TableError, match="more than 20,000 rows, the limit"):
        read_table(path)
    path.write_text(",".join(f"c{k}" for k in range(501)) + "\n" + ",".join("1" * 501) + "\n")
    with pytest.raises(TableError, match="more than 500 columns, the limit"):
        read_table(path)
    path.write_text("a,b\n1," + "x" * 2001 + "\n")
    with pytest.raises(TableError, match="row 1, column 'b': 2,001 characters, the limit is 2,000"):
        read_table(path)


def workbook(*sheets: list[list]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets, start=1):
        sheet = book.create_sheet(f"Sheet{number}")
        for row in rows:
            sheet.append(row)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def package(**parts: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, part in parts.items():
            file.writestr(name, part)
    return content.getvalue()


HEADER = ["studlab", "treat1", "treat2", "TE", "seTE"]


def refused(tmp_path, content: bytes, **options) -> str:
    path = tmp_path / "book.xlsx"
    path.write_bytes(content)
    with pytest.raises(TableError) as caught:
        read_trials(path, Options("contrasts", **options), DATA)
    return str(caught.value)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    bomb = package(**{"xl/worksheets/sheet1.xml": b"0" * (reading.MAX_UNPACKED_BYTES + 1)})
    assert len(bomb) < 200_000
    assert "unpacks to 100,000,001 bytes, the limit is 100,000,000" in refused(tmp_path, bomb)
    many = package(**{f"part{k}": b"" for k in range(reading.MAX_PARTS + 1)})
    assert "1001 parts in the workbook, the limit is 1000" in refused(tmp_path, many)


@pytest.mark.parametrize("code", ["utf-8", "utf-16-le"])
def test_xml_entities_are_refused_before_they_are_parsed(tmp_path, code):
    laughs = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><x>&b;</x>'.encode(code)
    assert "declares XML entities" in refused(tmp_path, package(**{"xl/workbook.xml": laughs}))


def test_a_formula_in_a_workbook_is_refused_and_never_evaluated(tmp_path):
    assert "row 1, column TE: '=0.1+0.2' is not a number" in refused(
        tmp_path, workbook([HEADER, ["a", "A", "B", "=0.1+0.2", 0.2]])
    )
    unused = workbook([[*HEADER, "note"], ["a", "A", "B", 0.1, 0.2, "=NOW()"]])
    (tmp_path / "unused.xlsx").write_bytes(unused)
    assert len(read_trials(tmp_path / "unused.xlsx", Options("contrasts"), DATA).contrasts) == 1, (
        "a column that is not read may hold anything"
    )


def test_one_of_several_sheets_must_be_named(tmp_path):
    book = workbook([HEADER, ["a", "A", "B", 0.1, 0.2]], [["x"], [1]])
    assert "several sheets have content: 'Sheet1', 'Sheet2'; choose one with --sheet" in refused(tmp_path, book)
    assert "no sheet 'Sheet3'; there are 'Sheet1', 'Sheet2'" in refused(tmp_path, book, sheet="Sheet3")
    (tmp_path / "book.xlsx").write_bytes(book)
    assert len(read_trials(tmp_path / "book.xlsx", Options("contrasts", sheet="Sheet1"), DATA).contrasts) == 1


def test_the_command_writes_one_line_and_no_traceback():
    done = run_command("import", INVALID / "text_in_te.csv", "--kind", "contrasts", "--write")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "psps-paper: text_in_te.csv, row 2, column TE: 'high' is not a number\n"
    assert not (DATA / "trials").exists()


@pytest.mark.parametrize("text", ["te", "te=", "=TE"])
def test_an_option_without_two_parts_is_named(capsys, text):
    assert main(["import", str(INVALID / "text_in_te.csv"), "--kind", "contrasts", "--map", text]) == 2
    assert capsys.readouterr().err == f"psps-paper: --map {text}: expected two parts with = between them\n"
