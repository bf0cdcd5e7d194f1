"""``psps-paper``: 0 where all is as expected, 1 where a statement is not, 2 where the input is bad."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib

import pandas as pd
import pytest

from helpers import DATA, ROOT, copy_data, replace_once, run_command, table
from living_examples import examples
from psps_paper.claims.model import AGAINST, VERDICTS, WEIGHTS
from psps_paper.claims.registry import check_claims, statements
from psps_paper.cli.main import main
from psps_paper.tables.checksums import recorded_checksums
from psps_paper.tables.dataset import dataset
from psps_paper.tables.files import only_writer
from psps_paper.tables.load import table_names

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path):
    return copy_data(tmp_path)


def test_verify_passes_on_the_repository(capsys):
    assert main(["verify", "--data", str(DATA)]) == 0
    written = capsys.readouterr()
    assert written.err == ""
    checked = check_claims(DATA)
    joined = statements(checked)
    results = joined[joined["weight"] == "result"]
    lines = written.out.splitlines()
    assert (
        lines[0]
        == f"{len(results)} distinct results of {len(joined)} statements, which are printed at {len(checked)} places"
    )
    tables = written.out.split("\n\n")[1:4]
    for text, title, rows, by in zip(
        tables,
        ("results checked against", "all statements by weight", "all statements checked against"),
        (results, joined, joined),
        ("against", "weight", "against"),
        strict=True,
    ):
        head, *counted, total = text.splitlines()
        assert head.startswith(title) and re.split(r"\s{2,}", head)[1:] == [*VERDICTS, "all"]
        for line in counted:
            name, *counts = re.split(r"\s{2,}", line.strip())
            mine = rows.loc[rows[by] == name, "verdict"]
            assert (
                list(map(int, counts)) == [*((mine == verdict).sum() for verdict in VERDICTS), len(mine)]
                and len(mine) > 0
            )
        assert total.split()[-1] == str(len(rows)) and len(counted) == rows[by].nunique()
    contradictions = [line for line in lines if line.startswith(("contradicts: ", "truncated: "))]
    assert len(contradictions) == joined["verdict"].isin(["contradicts", "truncated"]).sum()
    assert any(
        "selection.agreement_full_text: printed 84.76\u202f% (Results, Study selection, paragraph 1), found"
        " 84.507\u202f%: no whole number of 71 gives it; nearest 60 of 71. No whole number of the full texts" in line
        for line in contradictions
    )


def test_verify_as_json_holds_every_statement(capsys):
    assert main(["verify", "--json", "--data", str(DATA)]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["id"] for row in rows] == table("claims")["id"].tolist()
    assert {row["verdict"] for row in rows} == set(VERDICTS)
    assert all(row["as_expected"] is True for row in rows)
    assert {row["weight"] for row in rows} == set(WEIGHTS) and {row["against"] for row in rows} <= set(AGAINST)
    assert {row["statement"] for row in rows} < {row["id"] for row in rows}
    by_id = {row["id"]: row for row in rows}
    assert by_id["nma.n_cm.te"]["value"] == 0.45 and by_id["nma.n_cm.te"]["tier"] == "implied"
    assert by_id["minimal.rapcan_months"]["quantity"].endswith("(Rapčan)"), "text is not escaped away"
    assert by_id["abstract.included"]["note"] is None


@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [
        (
            "studies.csv",
            b'epidural triamcinolone | screw and rod fixation alone",high,',
            b'epidural triamcinolone | screw and rod fixation alone",low,',
            (
                "not as expected: rob.high.count: contradicts, expected consistent. Printed 32 (Results, Risk of bias,"
                " paragraph 1), found 31 (31 rows of studies.csv)"
            ),
        ),
        (
            "prisma.csv",
            b"432",
            b"431",
            (
                "not as expected: selection.identified: contradicts, expected consistent. Printed 1140 (Results, Study"
                " selection, paragraph 1), found 1139"
            ),
        ),
        (
            "claims.csv",
            b"1140 articles,1140,",
            b"1140 articles,1141,",
            (
                "not as expected: selection.identified: contradicts, expected consistent. Printed 1141 (Results, Study"
                " selection, paragraph 1), found 1140"
            ),
        ),
        (
            "claims.csv",
            b"abstract,The search log,consistent,Fits",
            b"abstract,The search log,reproduces,Fits",
            "not as expected: abstract.databases: consistent, expected reproduces. Printed 4 (Abstract, ",
        ),
    ],
)
def test_verify_fails_where_a_statement_is_not_as_expected(folder, capsys, file, old, new, named):
    replace_once(folder / file, old, new)
    assert main(["verify", "--data", str(folder)]) == 1
    written = capsys.readouterr()
    assert named in written.err
    assert "nan" not in written.out.split(), "a new contradiction has no note yet"


def test_verify_as_json_fails_too_and_still_writes_json(folder, capsys):
    replace_once(folder / "prisma.csv", b"432", b"431")
    assert main(["verify", "--json", "--data", str(folder)]) == 1
    rows = {row["id"]: row for row in json.loads(capsys.readouterr().out)}
    assert (
        rows["selection.identified"]["verdict"] == "contradicts"
        and rows["selection.identified"]["as_expected"] is False
    )


def test_verify_names_a_published_result_that_no_longer_fits(folder, capsys):
    """p = 0.004 printed as 0.005: no network agrees with all values, so nothing follows from them."""
    replace_once(folder / "nma_published.csv", b"0.004,3,=", b"0.005,3,=")
    assert main(["verify", "--data", str(folder)]) == 1
    written = capsys.readouterr().err
    for identifier in ("abstract.n_c.significance", "nma.rank.neuromodulation"):
        assert f"not as expected: {identifier}: contradicts, expected reproduces" in written
    assert "not as expected: nma.n_cm.z: contradicts, expected consistent" in written
    assert "no value fits" in written and "the printed values cannot hold together: " in written


def test_bad_input_is_named_without_a_traceback(folder):
    """In a separate process, as a user runs it."""
    replace_once(folder / "studies.csv", b",high,", b",hgih,")
    done = run_command("verify", "--data", folder)
    assert done.returncode == 2
    assert done.stdout == ""
    assert (
        done.stderr
        == "psps-paper: studies.csv, row 1 (ref 10), column rob_overall: 'hgih' is not one of low, some concerns,"
        " high\n"
    )


def test_tables_lists_every_table_with_its_rows(capsys):
    assert main(["tables", "--data", str(DATA)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{name}.csv: {len(pd.read_csv(DATA / f'{name}.csv'))} rows" for name in table_names(DATA)]


def test_tables_records_checksums_only_where_asked(folder, capsys):
    replace_once(folder / "prisma.csv", b"Duplicates removed", b"Duplicates")
    before = (folder / "checksums.sha256").read_bytes()
    assert main(["tables", "--data", str(folder)]) == 1
    assert (
        capsys.readouterr().err == "prisma.csv: changed since recorded; if intended, run psps-paper tables --record\n"
    )
    assert (folder / "checksums.sha256").read_bytes() == before
    assert main(["tables", "--record", "--data", str(folder)]) == 0
    assert recorded_checksums(folder).equals(dataset(folder).checksums)
    assert capsys.readouterr().out.endswith(f"wrote {folder / 'checksums.sha256'}\n")


def test_tables_records_nothing_while_another_process_writes(folder, capsys):
    with only_writer(folder):
        before = (folder / "checksums.sha256").read_bytes()
        replace_once(folder / "prisma.csv", b"Duplicates removed", b"Duplicates")
        assert main(["tables", "--record", "--data", str(folder)]) == 2
    assert "another process is writing here; nothing was changed" in capsys.readouterr().err
    assert (folder / "checksums.sha256").read_bytes() == before


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--label", "Neuromodulation=neuromodulation"),
        ("--map", "te=TE"),
        ("--where", "TE=-0.381"),
        ("--set", "treat1=Neuromodulation"),
    ],
)
def test_the_file_may_stand_after_any_option(tmp_path, folder, capsys, option, text):
    name, content, _ = examples()["netmeta"]
    (tmp_path / name).write_bytes(content)
    assert main(["import", "--kind", "contrasts", "--data", str(folder), option, text, str(tmp_path / name)]) == 0
    assert f"{name}: contrasts in the convention" in capsys.readouterr().out


def test_tables_records_nothing_where_a_table_is_broken(folder):
    replace_once(folder / "prisma.csv", b"1140", b"many")
    before = (folder / "checksums.sha256").read_bytes()
    assert main(["tables", "--record", "--data", str(folder)]) == 2
    assert (folder / "checksums.sha256").read_bytes() == before


@pytest.mark.parametrize("arguments", [[], ["verfiy"], ["verify", "--jsn"]])
def test_unknown_commands_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: psps-paper" in capsys.readouterr().err


def test_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert capsys.readouterr().out == f"psps-paper {declared}\n"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_terminal_without_a_character_gets_the_rest(encoding):
    done = run_command("verify", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    assert "printed 84.76?%" in done.stdout


def test_json_needs_no_more_than_ascii(capsys):
    assert main(["verify", "--json", "--data", str(DATA)]) == 0
    assert capsys.readouterr().out.isascii()


def test_a_reader_that_leaves_early_is_no_bad_input():
    """As in ``psps-paper verify | head -1``: the reader is gone before the first word."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "psps_paper.cli.main", "tables"],
        cwd=ROOT,
        stdout=writer,
        stderr=subprocess.PIPE,
        env={**os.environ, "PSPS_DATA": str(DATA)},
        text=True,
        timeout=120,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")
