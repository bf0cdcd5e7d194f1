"""The guides "Add a trial" and "Start your own review": every command in them runs as written, with the stated result."""

from __future__ import annotations

import importlib
import inspect
import io
import re
import shlex
from pathlib import Path

import openpyxl
import pytest

from helpers import ROOT
from living_examples import LABELS, printed_only, star_demo
from psps_paper.article.trials import load_trials
from psps_paper.cli.main import main
from psps_paper.living import reading
from psps_paper.living.formats import FORMATS, plain
from psps_paper.living.settings import OUTCOME_FIELDS, TABLE_FIELDS

BOOK = ROOT / "book"
ADD, START = ((BOOK / f"{name}.md").read_text() for name in ("add_a_trial", "start_your_review"))
API = "\n".join(page.read_text() for page in sorted(BOOK.glob("api*.md")))


def commands(text: str) -> list[list[str]]:
    """The commands of a guide's indented blocks."""
    return [shlex.split(line)[1:] for line in re.findall(r"^    (psps-paper .*)$", text, re.MULTILINE)]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """What a user has in front of them: a checkout, the supplement as a workbook, and one new trial."""
    printed_only(tmp_path)
    monkeypatch.delenv("PSPS_DATA", raising=False)
    book = openpyxl.Workbook()
    book.active.append(["studlab", "treat1", "treat2", "TE", "seTE"])
    for row in star_demo().replace({"treat1": LABELS, "treat2": LABELS}).itertuples(index=False):
        book.active.append(list(row))
    content = io.BytesIO()
    book.save(content)
    (tmp_path / "supplement.xlsx").write_bytes(content.getvalue())
    (tmp_path / "new_trial.csv").write_text(
        "studlab,treat,n,mean,sd\nNew 2026,neuromodulation,40,4.1,2.2\nNew 2026,placebo/sham,41,5.6,2.1\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_trial_is_added_by_the_commands_of_the_guide(checkout, capsys):
    steps = commands(ADD)
    assert [step[0] for step in steps] == ["import", "import", "import", "verify", "diff"]
    look, write, add, verify, diff = steps
    assert main(look) == 0 and "read 25 rows, used 25" in capsys.readouterr().out
    assert not (checkout / "data" / "trials").exists()
    assert main(write) == 0 and len(load_trials(checkout / "data")) == 25
    (checkout / "before").mkdir()
    old = printed_only(checkout / "before")
    assert main(add) == 0 and len(load_trials(checkout / "data")) == 26
    capsys.readouterr()
    assert main(verify) == 1, "the numbers are made up, so the article's statements do not hold"
    diff[1] = str(old)
    assert main(diff) == 1
    assert "moves: pain: data: state: printed numbers only -> trial-level data" in capsys.readouterr().out


def test_a_review_is_started_by_the_commands_of_the_guide(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PSPS_DATA", raising=False)
    new, tables, figures, export = commands(START)
    (tmp_path / "checkout").mkdir()
    monkeypatch.chdir(tmp_path / "checkout")
    assert main(new) == 0
    monkeypatch.chdir(new[1])
    assert main(export) == 0
    assert "wrote out/netmeta.R" in capsys.readouterr().out
    assert main(tables) == 0 and (Path("tables.docx").is_file() and Path("tables.xlsx").is_file())
    assert main([*figures, "--format", "svg"]) == 0
    assert {"Fig_1.svg", "Fig_4a.svg", "Fig_S1.csv", "captions.txt"} <= {
        path.name for path in Path("figures").iterdir()
    }


@pytest.mark.parametrize("guide", [ADD, START], ids=["add", "start"])
def test_a_guide_says_where_the_command_is(guide):
    """It is not on the path: ``make book`` installs into ``.venv``."""
    first = guide.index("psps-paper import" if guide is ADD else "    psps-paper new")
    assert (
        guide.index("source .venv/bin/activate") < first
        and "`.venv/bin/psps-paper`" in guide
        and "pip install" not in guide
    )


def test_the_guide_lists_every_convention_and_its_limits():
    table = plain(ADD)
    for form in FORMATS:
        assert plain(form.name.split(",")[0].replace("psps-paper contrasts", "this package")) in table, form.name
    for limit in (
        f"{reading.MAX_BYTES // 1_000_000} MB",
        f"{reading.MAX_ROWS:,} rows",
        f"{reading.MAX_COLUMNS} columns",
    ):
        assert limit in ADD


def test_the_guide_names_every_entry_of_review_yml():
    for field in (*OUTCOME_FIELDS, *TABLE_FIELDS):
        assert re.search(rf"(`|^ +(- )?){field}(`|:)", START, re.MULTILINE), field


def names_of_the_api_page() -> list[str]:
    names = re.findall(r"auto(?:function|class):: ([\w.]+)", API)
    for module, members in re.findall(r"automodule:: ([\w.]+)\n   :members:(.*)", API):
        listed = [name.strip() for name in members.split(",") if name.strip()]
        # automodule without a list takes what the module says is public
        names += [f"{module}.{name}" for name in listed or importlib.import_module(module).__all__]
    return names


@pytest.mark.parametrize("package", ["network", "pairwise", "ensemble"])
def test_the_api_page_has_every_public_name_of_the_analyses(package):
    module = importlib.import_module(f"psps_paper.{package}")
    shown = {name.rpartition(".")[2] for name in names_of_the_api_page() if f".{package}." in name}
    assert set(module.__all__) <= shown


@pytest.mark.parametrize(
    "name",
    ["network.cluster_robust", "network.leave_one_study_out", "conclusions.robustness.robustness_of_conclusions"],
)
def test_the_api_page_has_the_analyses_of_robustness(name):
    assert f"psps_paper.{name}" in names_of_the_api_page()


def test_every_name_of_the_api_page_exists_and_is_documented():
    names = names_of_the_api_page()
    assert len(names) > 50 and len(set(names)) == len(names)
    for name in names:
        module, _, attribute = name.rpartition(".")
        assert inspect.getdoc(getattr(importlib.import_module(module), attribute)), name


def test_the_picture_has_a_title_and_names_rooms_that_exist():
    picture = (BOOK / "_static" / "architecture.svg").read_text()
    assert "<title" in picture and "<desc" in picture
    for room in (
        "living/importing.py",
        "tables",
        "effects",
        "network",
        "pairwise",
        "recover",
        "ensemble",
        "article/trials.py",
        "claims",
        "figures",
        "book/display.py",
    ):
        assert (ROOT / "src" / "psps_paper" / room).exists()
        assert room.split(".")[0].split("/")[-1] in picture
