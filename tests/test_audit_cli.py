"""`psps-paper audit`: exit status, JSON, page, several files, pasted text."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from psps_paper.cli.main import main

LEAGUE = Path(__file__).parent / "league"
HOLDS, CLASH = (
    str(LEAGUE / folder / "audit.yml") for folder in ("16-maths-education-upper-csv", "03-vte-two-outcomes-rr")
)


def test_exit_status(capsys, tmp_path):
    assert main(["audit", HOLDS]) == 0
    assert main(["audit", CLASH]) == 1
    assert "is it printed the other way round?" in capsys.readouterr().out
    assert main(["audit", str(tmp_path / "none.csv")]) == 2
    assert "there is no such file" in capsys.readouterr().err
    for name, message in (
        ("none.csv", "there is no such file; expected"),
        ("some.folder", "a folder; expected"),
        ("empty.txt", "no estimate with its interval"),
    ):
        path = tmp_path / name
        if name == "some.folder":
            path.mkdir()
        if name == "empty.txt":
            path.touch()
        assert main(["audit", str(path)]) == 2
        told = capsys.readouterr()
        assert told.out == "" and told.err.startswith(f"psps-paper: {path}: {message}") and told.err.count(name) == 1
    assert main(["audit", HOLDS, CLASH]) == 1
    assert main(["audit", CLASH, str(tmp_path / "none.csv")]) == 2


def test_json_and_page(capsys, tmp_path):
    page = tmp_path / "report.html"
    assert main(["audit", CLASH, "--json", "--html", str(page)]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "clash" and found["counts"]["clash"] == 1
    assert list(found["findings"][0]) == ["check", "where", "printed", "lower", "upper", "verdict", "why"]
    assert page.read_text().count('class="clash"') >= 4  # the count, the row and the marked cells
    assert main(["audit", HOLDS, CLASH, "--json"]) == 1
    assert [one["verdict"] for one in json.loads(capsys.readouterr().out)] == ["holds", "clash"]
    none = str(tmp_path / "none.csv")
    assert main(["audit", none, "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"].startswith(f"{none}: there is no such file")
    assert main(["audit", none, HOLDS, "--json"]) == 2
    assert [one["file"] for one in json.loads(capsys.readouterr().out)] == [none, HOLDS]


def test_pasted_text(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO((LEAGUE / "24-nsclc-netmeta-readme" / "pasted.txt").read_text()))
    assert main(["audit", "-", "--measure", "HR"]) == 0
    assert "holds: consistency" in capsys.readouterr().out


def test_template_and_wrong_calls(capsys):
    assert main(["audit", "--template"]) == 0
    assert capsys.readouterr().out.startswith("# What a paper prints")
    assert main(["audit"]) == 2
    assert main(["audit", HOLDS, "--smallest-weight", "-1"]) == 2
    with pytest.raises(SystemExit):
        main(["audit", "--smallest-weight", "x", HOLDS])
