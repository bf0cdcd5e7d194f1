"""Exports: nothing is lost on the way out and back, and R is asked to check exactly what netmeta gave."""

from __future__ import annotations

import hashlib
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from helpers import ROOT
from living_examples import LABELS, ORACLE, examples, measured_as, printed_only, with_trials
from psps_paper.article.trials import book_network, load_trials
from psps_paper.cli.main import main
from psps_paper.living.exports import MANIFEST, export, export_files, netmeta_script
from psps_paper.living.importing import convert, read_trials
from psps_paper.living.model import Options
from psps_paper.living.reading import read_table, table_from_bytes
from psps_paper.living.store import load_arms, write_trials
from psps_paper.network import fit_network
from psps_paper.tables.errors import TableError

pytestmark = pytest.mark.slow

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
    write_trials(convert(table_from_bytes(name, content), options, folder), folder, replace_printed=True)
    return folder


def same_contrasts(found: pd.DataFrame, expected: pd.DataFrame) -> bool:
    columns = ["study", "treat1", "treat2", "te", "se"]
    return found[columns].reset_index(drop=True).equals(expected[columns].reset_index(drop=True))


# --- there and back -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("contrasts.csv", "psps-paper contrasts"),
        ("netmeta.csv", "netmeta"),
        ("cinema.csv", "CINeMA, inverse variance"),
    ],
)
def test_contrasts_survive_export_and_import_bit_by_bit(tmp_path, trials, files, name, format):
    (tmp_path / name).write_bytes(files[name])
    back = read_trials(tmp_path / name, Options("contrasts"), trials)
    assert back.source["format"] == format
    assert same_contrasts(back.contrasts, load_trials(trials))


@pytest.mark.parametrize(
    ("name", "format"), [("arms.csv", "netmeta pairwise, long arms"), ("metainsight.csv", "MetaInsight, long")]
)
def test_arms_survive_export_and_import_bit_by_bit(tmp_path, from_arms, name, format):
    (tmp_path / name).write_bytes(export_files(from_arms)[name])
    back = read_trials(tmp_path / name, Options("arms", measure="MD"), from_arms)
    assert back.source["format"] == format
    assert same_contrasts(back.contrasts, load_trials(from_arms))
    columns = ["study", "treatment", "n", "mean", "sd"]
    assert back.arms[columns].equals(load_arms(from_arms)[columns])


def test_a_second_export_of_the_imported_export_is_the_same_byte_for_byte(tmp_path, trials, files):
    folder = printed_only(tmp_path)
    write_trials(
        convert(table_from_bytes("contrasts.csv", files["contrasts.csv"]), Options("contrasts"), folder),
        folder,
        replace_printed=True,
    )
    again = export_files(folder)
    for name in (
        "contrasts.csv",
        "netmeta.csv",
        "netmeta.R",
        "cinema.csv",
        "results_contrasts.csv",
        "results_ranking.csv",
    ):
        assert again[name] == files[name], name


def test_labels_that_look_like_formulas_survive_and_are_never_bare(tmp_path):
    folder = printed_only(tmp_path)
    content = b"studlab,treat1,treat2,TE,seTE\n'=cmd,'-A,'@B,0.1,0.2\n"
    write_trials(
        convert(table_from_bytes("f.csv", content), Options("contrasts"), folder), folder, replace_printed=True
    )
    assert load_trials(folder).loc[0, ["study", "treat1", "treat2"]].tolist() == ["=cmd", "-A", "@B"]
    written = (folder / "trials" / "contrasts.csv").read_text()
    assert "'=cmd,'-A,'@B" in written
    files = export_files_of_contrasts(folder)
    back = convert(table_from_bytes("contrasts.csv", files), Options("contrasts"), folder)
    assert same_contrasts(back.contrasts, load_trials(folder))


def export_files_of_contrasts(folder) -> bytes:
    from psps_paper.tables.csv_text import csv_bytes

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
    """R is not installed: the oracle holds the output of netmeta 2.8-2, and the script must expect just that."""
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
    contrasts = pd.DataFrame(
        {
            "study": given["studlab"],
            "treat1": given["treat1"],
            "treat2": given["treat2"],
            "te": given["TE"],
            "se": given["seTE"],
        }
    )
    script = netmeta_script(fit_network(contrasts), measure="MD", desirable="lower")
    assert r_values(script, "TE") == given["TE"] and 'small.values = "good"' in script
    np.testing.assert_allclose(
        np.array(r_values(script, "expected_TE")), np.array(oracle["TE_random"]).ravel(), rtol=1e-7, atol=1e-9
    )


def test_the_script_expects_no_tau2_where_netmeta_estimates_none():
    """Without degrees of freedom netmeta 2.8-2 reports NA, and ``all.equal(NA, 0)`` is not TRUE."""
    tree = pd.DataFrame({"study": ["a", "b"], "treat1": ["A", "B"], "treat2": ["B", "C"], "te": [0.1, 0.2], "se": 0.2})
    script = netmeta_script(fit_network(tree), measure="SMD", desirable="higher")
    assert "expected_tau2" not in script and "expected_I2" not in script and "agree(fit$Q, expected_Q)" in script
    # a tau2 that was given to netmeta comes back
    assert "expected_tau2 <- 0.25" in netmeta_script(fit_network(tree, tau2=0.25), measure="SMD", desirable="higher")


def test_the_script_says_in_its_head_what_it_leaves_out():
    """For REML and ML, negative arm variances (cases/13) and correlated estimates netmeta's conventions are others."""
    rows = pd.DataFrame(
        [
            ("Ko 2001", "a", "b", -0.30, 0.20),
            ("Ko 2001", "a", "c", -0.10, 0.10),
            ("Ko 2001", "b", "c", 0.20, 0.1095),
            ("Li 2002", "a", "b", -0.2, 0.1),
            ("Mo 2003", "b", "c", 0.3, 0.15),
        ],
        columns=["study", "treat1", "treat2", "te", "se"],
    )
    script = netmeta_script(fit_network(rows), measure="MD", desirable="lower")
    assert '# Left out: the studies "Ko 2001", where an arm would have a negative variance' in script
    assert "Ko 2001" not in script.split("library")[1] and "expected" not in script and "netmeta(TE" in script
    apart = netmeta_script(fit_network(rows[:4]), measure="MD", desirable="lower")
    assert "netmeta(TE" in apart
    alone = netmeta_script(fit_network(rows[:3]), measure="MD", desirable="lower")
    assert "nothing to fit" in alone and "library" not in alone
    reml = netmeta_script(fit_network(rows[3:], tau2="REML"), measure="MD", desirable="lower")
    assert "Left out" not in reml and 'method.tau = "REML"' in reml  # no degrees of freedom: nothing to estimate
    twice = pd.concat([rows[3:], rows[3:].assign(te=[-0.5, 0.1])])
    labelled = twice.assign(study=list("pqrs"))
    reml = netmeta_script(fit_network(labelled, tau2="REML"), measure="MD", desirable="lower")
    assert (
        "# Left out: the search for tau2 by REML" in reml
        and "tau.preset = " in reml
        and "agree(fit$tau^2, expected_tau2)" in reml
    )
    correlated = netmeta_script(fit_network(twice, correlation=0.5), measure="MD", desirable="lower")
    assert "# Left out: the correlation 0.5 of several estimates" in correlated and "agree" not in correlated
    assert "agree" in netmeta_script(fit_network(twice, correlation=0.0), measure="MD", desirable="lower")


def test_the_script_closes_loops_and_reads_the_same_in_any_locale():
    """cases/12: netmeta stops at a gap of 0.01; names with colons, other scripts and line breaks."""
    names = {"A": "A:\nb", "B": "\u4e2d:~", "C": "C;="}
    rows = pd.DataFrame(
        [
            ("Ko\n2001", "A", "B", -0.31, 0.06),
            ("Ko\n2001", "B", "C", 0.12, 0.06),
            ("Ko\n2001", "A", "C", -0.18, 0.06),
            ("Li", "A", "B", -0.2, 0.1),
            ("Mo", "B", "C", 0.1, 0.1),
        ],
        columns=["study", "treat1", "treat2", "te", "se"],
    ).replace(names)
    script = netmeta_script(fit_network(rows), measure="MD", desirable="lower")
    te = r_values(script, "TE")
    assert te[0] + te[1] == pytest.approx(te[2], abs=1e-15) and te[3:] == [-0.2, 0.1]
    assert script.isascii() and r_values(script, "treat2")[:1] == [names["B"]]
    separator = json.loads(re.search(r"sep.trts = (.*),", script)[1])
    assert not any(separator in name for name in names.values())


def test_several_estimates_of_a_study_have_labels_of_their_own():
    contrasts = pd.DataFrame(
        {"study": ["a", "a", 'b "x" \\'], "treat1": "A", "treat2": "B", "te": [0.1, 0.2, 0.3], "se": 0.2}
    )
    script = netmeta_script(fit_network(contrasts, correlation=0.0), measure="SMD", desirable="higher")
    assert r_values(script, "studlab") == ["a", "a (estimate 2)", 'b "x" \\']


# --- the folder ---------------------------------------------------------------------------------------


def test_the_manifest_names_every_file_with_its_checksum(files):
    manifest = json.loads(files[MANIFEST])
    assert set(manifest["files"]) | {MANIFEST} == set(files)
    for name, entry in manifest["files"].items():
        assert entry["sha256"] == hashlib.sha256(files[name]).hexdigest() and entry["meaning"]
    assert manifest["not written"] == {
        "metainsight.csv": "MetaInsight needs arms of trials, but the data were imported as contrasts"
    }
    assert "numpy" in manifest["versions"] and manifest["outcomes"] == [
        {"name": "pain", "measure": "SMD", "te_desirable": "higher", "state": "trial-level data", "folder": "."}
    ]


def test_without_trials_the_manifest_says_why_data_are_missing(tmp_path):
    files = export_files(printed_only(tmp_path))
    assert set(files) == {"results.json", "results_contrasts.csv", "results_ranking.csv", MANIFEST}
    reasons = json.loads(files[MANIFEST])["not written"]
    assert {"contrasts.csv", "netmeta.R", "cinema.csv", "metainsight.csv"} <= set(reasons)
    assert set(reasons.values()) == {"there are printed numbers only, no trial-level data"}
    results = json.loads(files["results.json"])
    (network,) = [entry["network"] for entry in results["outcomes"]]
    assert network["tau2"] is None and network["i2"] == 0.775, "unknown is unknown, printed is printed"


def test_result_tables_hold_the_fit_unrounded(tmp_path, trials, files):
    (tmp_path / "results.csv").write_bytes(files["results_contrasts.csv"])
    table = read_table(tmp_path / "results.csv")
    fit = book_network(trials).fit
    assert len(table.rows) == 6
    for row in table.rows:
        cells = dict(zip(table.columns, row, strict=True))
        assert float(cells["te"]) == fit.te.at[cells["treat1"], cells["treat2"]]
        assert float(cells["predict_upper"]) == fit.predict_upper.at[cells["treat1"], cells["treat2"]]


def test_a_contrast_outside_the_network_is_named_and_not_exported(tmp_path):
    folder = printed_only(tmp_path)
    name, content, options = EXAMPLES["netmeta"]
    write_trials(
        convert(table_from_bytes(name, content + b"extra,X,Y,0.1,0.2\n"), options, folder), folder, replace_printed=True
    )
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
    with pytest.raises(TableError, match="holds files that are not an export"):
        export(trials, other)
    with pytest.raises(TableError, match="is a file"):
        export(trials, other / "thesis.txt")
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    "manifest", ['{"name": "my web app"}', "[]", "", '{"schema": "psps-paper export 2", "files": ["x"]}']
)
def test_a_manifest_of_something_else_is_no_export(tmp_path, trials, manifest):
    (tmp_path / "site" / ".git").mkdir(parents=True)
    for name, text in (("manifest.json", manifest), ("thesis.txt", "important"), (".git/HEAD", "ref")):
        (tmp_path / "site" / name).write_text(text)
    with pytest.raises(TableError, match="holds files that are not an export"):
        export(trials, tmp_path / "site")
    assert (tmp_path / "site" / "thesis.txt").read_text() == "important" and (
        tmp_path / "site" / ".git" / "HEAD"
    ).is_file()


def test_what_a_user_added_to_an_export_or_changed_in_it_is_never_lost(tmp_path, trials):
    target = tmp_path / "out"
    export(trials, target)
    rated = (target / "cinema.csv").read_bytes().replace(b",,", b",1,2", 1)
    (target / "cinema.csv").write_bytes(rated)
    (target / MANIFEST).write_text((target / MANIFEST).read_text().replace("P-scores", "P-scores, discussed on Monday"))
    (target / "notes").mkdir()
    (target / "notes" / "mine.md").write_text("x")
    (target / "netmeta.R").unlink()
    (target / "netmeta.R").symlink_to(tmp_path / "elsewhere.R")
    with pytest.raises(
        TableError,
        match=(
            "out: not replaced.* edited since: cinema.csv, manifest.json, netmeta.R, notes/mine.md; move them elsewhere"
        ),
    ):
        export(trials, target)
    assert (target / "cinema.csv").read_bytes() == rated and (target / "notes" / "mine.md").is_file()
    for name in ("cinema.csv", "netmeta.R", "notes/mine.md"):
        (target / name).unlink()
    (target / MANIFEST).write_text((target / MANIFEST).read_text().replace("P-scores, discussed on Monday", "P-scores"))
    export(trials, target)
    assert (target / "cinema.csv").is_file() and not (target / "notes").exists()


def test_an_export_behind_a_symbolic_link_is_replaced_there(tmp_path, trials):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    for _ in range(3):
        export(trials, tmp_path / "out")
        assert (tmp_path / "out").is_symlink() and (tmp_path / "disk" / MANIFEST).is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "out"]


def with_responders(folder):
    """Trials of a second outcome beside those of the first."""
    data = with_trials(folder)
    content = b"studlab,treat1,treat2,TE,seTE\na,A/x,B,0.1,0.2\nb,A/x,B,0.3,0.2\n"
    write_trials(
        convert(table_from_bytes("r.csv", content), Options("contrasts", outcome="responders"), data),
        data,
        replace_printed=True,
    )
    return data


def test_every_outcome_is_exported_the_first_on_top(tmp_path, trials):
    data = with_responders(tmp_path)
    files, alone = export_files(data), export_files(trials)
    for name in ("contrasts.csv", "netmeta.R", "results_ranking.csv"):
        assert files[name] == alone[name]
    assert (
        b'treat1 = c("A/x", "A/x")' in files["2_responders/netmeta.R"]
        and b'sm = "OR"' in files["2_responders/netmeta.R"]
    )
    manifest, results = json.loads(files[MANIFEST]), json.loads(files["results.json"])
    assert [(entry["name"], entry["folder"]) for entry in manifest["outcomes"]] == [
        ("pain", "."),
        ("responders", "2_responders/"),
    ]
    assert [entry["outcome"]["name"] for entry in results["outcomes"]] == ["pain", "responders"]
    assert (
        set(manifest["files"]) | {MANIFEST} == set(files) and "2_responders/metainsight.csv" in manifest["not written"]
    )
    only = export_files(data, outcome="responders")
    assert only["netmeta.R"] == files["2_responders/netmeta.R"] and not any("/" in name for name in only)
    export(data, tmp_path / "out")
    assert set(export(data, tmp_path / "out")) == {
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()
    }


def test_an_export_with_arms_of_only_some_studies_says_so(tmp_path, from_arms):
    data = shutil.copytree(from_arms, tmp_path / "data")
    added = b"studlab,treat1,treat2,TE,seTE\nlater,neuromodulation,placebo/sham,0.1,0.2\n"
    write_trials(convert(table_from_bytes("later.csv", added), Options("contrasts"), data), data, add=True)
    files = export_files(data)
    manifest = json.loads(files[MANIFEST])
    assert manifest["files"]["arms.csv"]["meaning"].endswith("without those of later, imported as contrasts")
    assert "metainsight.csv" not in files and manifest["not written"]["metainsight.csv"].endswith(
        "imported as contrasts: later"
    )


def test_the_command_writes_a_folder(tmp_path, trials, capsys):
    assert main(["export", str(tmp_path / "out"), "--data", str(trials)]) == 0
    assert f"wrote {tmp_path / 'out' / 'netmeta.R'}" in capsys.readouterr().out
    assert main(["export", str(tmp_path / "out"), "--data", str(trials), "--outcome", "sleep"]) == 2
