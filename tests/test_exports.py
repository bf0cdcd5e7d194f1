"""Exports: nothing is lost on the way out and back, and what R is asked to check is what netmeta gave."""

from __future__ import annotations

import hashlib
import json
import re

import numpy as np
import pandas as pd
import pytest
from helpers import ROOT
from living_examples import LABELS, ORACLE, examples, measured_as, printed_only, with_trials

from psps_paper.cli import main
from psps_paper.living.exports import MANIFEST, export, export_files, netmeta_script
from psps_paper.living.importing import Options, convert, load_arms, read_trials, write_trials
from psps_paper.living.reading import read_table, table_from_bytes
from psps_paper.network import fit_network
from psps_paper.tables import TableError
from psps_paper.trials import book_network, load_trials

EXAMPLES = examples()
ORDER = [LABELS[name] for name in ORACLE["trts"]]


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    return with_trials(tmp_path_factory.mktemp("trials"))


@pytest.fixture(scope="module")
def files(trials):
    return export_files(trials)


@pytest.fixture(scope="module")
def from_arms(tmp_path_factory):
    folder = measured_as("MD", printed_only(tmp_path_factory.mktemp("arms")))
    name, content, options = EXAMPLES["netmeta pairwise, long arms"]
    write_trials(convert(table_from_bytes(name, content), options, folder), folder)
    return folder


def same_contrasts(found: pd.DataFrame, expected: pd.DataFrame) -> bool:
    columns = ["study", "treat1", "treat2", "te", "se"]
    return found[columns].reset_index(drop=True).equals(expected[columns].reset_index(drop=True))


# --- there and back -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "format"), [
    ("contrasts.csv", "psps-paper contrasts"), ("netmeta.csv", "netmeta"), ("cinema.csv", "CINeMA, inverse variance"),
])  # fmt: skip
def test_contrasts_survive_export_and_import_bit_by_bit(tmp_path, trials, files, name, format):
    (tmp_path / name).write_bytes(files[name])
    back = read_trials(tmp_path / name, Options("contrasts"), trials)
    assert back.source["format"] == format
    assert same_contrasts(back.contrasts, load_trials(trials))


@pytest.mark.parametrize(("name", "format"), [("arms.csv", "netmeta pairwise, long arms"), ("metainsight.csv", "MetaInsight, long")])
def test_arms_survive_export_and_import_bit_by_bit(tmp_path, from_arms, name, format):
    (tmp_path / name).write_bytes(export_files(from_arms)[name])
    back = read_trials(tmp_path / name, Options("arms", measure="MD"), from_arms)
    assert back.source["format"] == format
    assert same_contrasts(back.contrasts, load_trials(from_arms))
    columns = ["study", "treatment", "n", "mean", "sd"]
    assert back.arms[columns].equals(load_arms(from_arms)[columns])


def test_a_second_export_of_the_imported_export_is_the_same_byte_for_byte(tmp_path, trials, files):
    folder = printed_only(tmp_path)
    write_trials(convert(table_from_bytes("contrasts.csv", files["contrasts.csv"]), Options("contrasts"), folder), folder)
    again = export_files(folder)
    for name in ("contrasts.csv", "netmeta.csv", "netmeta.R", "cinema.csv", "results_contrasts.csv", "results_ranking.csv"):
        assert again[name] == files[name], name


def test_labels_that_look_like_formulas_survive_and_are_never_bare(tmp_path):
    folder = printed_only(tmp_path)
    content = b"studlab,treat1,treat2,TE,seTE\n'=cmd,'-A,'@B,0.1,0.2\n"
    write_trials(convert(table_from_bytes("f.csv", content), Options("contrasts"), folder), folder)
    assert load_trials(folder).loc[0, ["study", "treat1", "treat2"]].tolist() == ["=cmd", "-A", "@B"]
    written = (folder / "trials" / "contrasts.csv").read_text()
    assert "'=cmd,'-A,'@B" in written
    files = export_files_of_contrasts(folder)
    back = convert(table_from_bytes("contrasts.csv", files), Options("contrasts"), folder)
    assert same_contrasts(back.contrasts, load_trials(folder))


def export_files_of_contrasts(folder) -> bytes:
    from psps_paper.living.writing import csv_bytes

    return csv_bytes(load_trials(folder)[["study", "treat1", "treat2", "te", "se"]])


# --- the R script -------------------------------------------------------------------------------------


def r_values(script: str, name: str) -> list:
    """Items of the vector or number that a script assigns to a name."""
    text = re.search(rf"^ *{name} (?:=|<-) (.*?),?$", script, re.MULTILINE)[1]
    inside = re.search(r"c\((.*?)\)(?:,|$)", text)
    items = json.loads(f"[{inside[1] if inside else text}]")
    return items if inside else items[0]


def test_the_numbers_in_the_script_are_the_oracle_s_input(files):
    script = files["netmeta.R"].decode()
    assert r_values(script, "TE") == ORACLE["input"]["TE"] and r_values(script, "seTE") == ORACLE["input"]["seTE"]
    assert r_values(script, "studlab") == ORACLE["input"]["studlab"]
    assert r_values(script, "treat2") == [LABELS[name] for name in ORACLE["input"]["treat2"]]
    assert 'sm = "SMD", method.tau = "DL"' in script and 'small.values = "bad"' in script
    assert (ORACLE["meta"]["sm"], ORACLE["meta"]["method_tau"], ORACLE["meta"]["small_values"]) == ("SMD", "DL", "bad")


def test_what_the_script_expects_is_what_netmeta_gave(files):
    """R is not here: netmeta 2.8-2's own output stands in the oracle, and the script must expect just that."""
    script = files["netmeta.R"].decode()
    treatments = r_values(script, "treatments")
    position = [ORDER.index(name) for name in treatments]
    for name, field in (("expected_TE", "TE_random"), ("expected_seTE", "seTE_random")):
        expected = np.array(r_values(script, name)).reshape(4, 4)
        np.testing.assert_allclose(expected, np.array(ORACLE[field])[np.ix_(position, position)], rtol=1e-9, atol=1e-11)
    assert r_values(script, "expected_tau2") == pytest.approx(ORACLE["tau2"], rel=1e-9)
    assert r_values(script, "expected_Q") == pytest.approx(ORACLE["Q"], rel=1e-9)
    assert r_values(script, "expected_I2") == pytest.approx(ORACLE["I2"], rel=1e-9)


def test_the_script_of_a_multi_arm_network_holds_netmeta_s_results():
    """Franchini 2012 with a three-arm study, netmeta 2.8-2."""
    oracle = json.loads((ROOT / "tests" / "oracles" / "franchini2012.json").read_text())
    given = oracle["input"]
    contrasts = pd.DataFrame({"study": given["studlab"], "treat1": given["treat1"], "treat2": given["treat2"], "te": given["TE"], "se": given["seTE"]})
    script = netmeta_script(fit_network(contrasts), measure="MD", desirable="lower")
    assert r_values(script, "TE") == given["TE"] and 'small.values = "good"' in script
    np.testing.assert_allclose(np.array(r_values(script, "expected_TE")), np.array(oracle["TE_random"]).ravel(), rtol=1e-7, atol=1e-9)


def test_several_estimates_of_a_study_have_labels_of_their_own():
    contrasts = pd.DataFrame({"study": ["a", "a", 'b "x" \\'], "treat1": "A", "treat2": "B", "te": [0.1, 0.2, 0.3], "se": 0.2})
    script = netmeta_script(fit_network(contrasts, correlation=0.0), measure="SMD", desirable="higher")
    assert r_values(script, "studlab") == ["a", "a (estimate 2)", 'b "x" \\']


# --- the folder ---------------------------------------------------------------------------------------


def test_the_manifest_names_every_file_with_its_checksum(files):
    manifest = json.loads(files[MANIFEST])
    assert set(manifest["files"]) | {MANIFEST} == set(files)
    for name, entry in manifest["files"].items():
        assert entry["sha256"] == hashlib.sha256(files[name]).hexdigest() and entry["meaning"]
    assert manifest["not written"] == {"metainsight.csv": "MetaInsight takes arms of trials, and the data were imported as contrasts"}
    assert "numpy" in manifest["versions"] and manifest["state"] == "trial-level data"


def test_without_trials_the_manifest_says_why_data_are_missing(tmp_path):
    files = export_files(printed_only(tmp_path))
    assert set(files) == {"results.json", "results_contrasts.csv", "results_ranking.csv", MANIFEST}
    reasons = json.loads(files[MANIFEST])["not written"]
    assert {"contrasts.csv", "netmeta.R", "cinema.csv", "metainsight.csv"} <= set(reasons)
    assert set(reasons.values()) == {"there are no trial-level data, only printed numbers"}
    results = json.loads(files["results.json"])
    assert results["network"]["tau2"] is None and results["network"]["i2"] == 0.775, "unknown is unknown, printed is printed"


def test_result_tables_hold_the_fit_unrounded(tmp_path, trials, files):
    (tmp_path / "results.csv").write_bytes(files["results_contrasts.csv"])
    table = read_table(tmp_path / "results.csv")
    fit = book_network(trials).fit
    assert len(table.rows) == 6
    for row in table.rows:
        cells = dict(zip(table.columns, row))
        assert float(cells["te"]) == fit.te.at[cells["treat1"], cells["treat2"]]
        assert float(cells["predict_upper"]) == fit.predict_upper.at[cells["treat1"], cells["treat2"]]


def test_a_contrast_outside_the_network_is_named_and_not_exported(tmp_path):
    folder = printed_only(tmp_path)
    name, content, options = EXAMPLES["netmeta"]
    write_trials(convert(table_from_bytes(name, content + b"extra,X,Y,0.1,0.2\n"), options, folder), folder)
    files = export_files(folder)
    (left_out,) = json.loads(files[MANIFEST])["left out of the fit"]
    assert left_out["study"] == "extra" and "not connected" in left_out["reason"]
    assert b"extra" not in files["contrasts.csv"]


def test_only_an_earlier_export_is_replaced(tmp_path, trials):
    target = tmp_path / "out"
    assert set(export(trials, target)) == {path.name for path in target.iterdir()}
    before = {path.name: path.read_bytes() for path in target.iterdir()}
    export(trials, target)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("x")
    with pytest.raises(TableError, match="holds files that are no export"):
        export(trials, other)
    with pytest.raises(TableError, match="is a file"):
        export(trials, other / "thesis.txt")
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]


def test_the_command_writes_a_folder(tmp_path, trials, capsys):
    assert main(["export", str(tmp_path / "out"), "--data", str(trials)]) == 0
    assert f"wrote {tmp_path / 'out' / 'netmeta.R'}" in capsys.readouterr().out
    assert main(["export", str(tmp_path / "out"), "--data", str(trials), "--outcome", "sleep"]) == 2
