"""``psps-paper new``: a review of one's own that builds and passes its tests, and has nothing of this one."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers import DATA, ROOT

from psps_paper.cli import main
from psps_paper.figures import style
from psps_paper.living.new_review import COLOURS, build_data, new_review, open_review
from psps_paper.tables import TableError, data_folder, load_table
from psps_paper.trials import book_network

NOT_MADE = ("_build", "__pycache__", ".pytest_cache", ".hypothesis", ".git", ".venv", "node_modules")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file() and not set(path.parts) & set(NOT_MADE)}


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reviews") / "mine"
    new_review(folder)
    return folder


@pytest.fixture
def review(tmp_path):
    folder = tmp_path / "mine"
    new_review(folder)
    return folder


def edited(folder: Path, old: str, new: str) -> None:
    path = folder / "review.yml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.slow
def test_the_sample_builds_green_and_passes_its_own_tests(sample):
    """As its Makefile does it, in processes of their own, with no variable of this checkout's tests."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PSPS_", "PYTEST_"))}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    recipe = (sample / "Makefile").read_text()
    build = next(line.strip() for line in recipe.splitlines() if "jupyter-book build" in line).split()
    assert {"--all", "-W", "--keep-going"} <= set(build)
    for command in (build, [sys.executable, "-m", "pytest", "-q", "tests"]):
        done = subprocess.run(command, cwd=sample, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert re.search(r"\b17 passed", done.stdout), done.stdout


def test_no_file_is_shared_but_the_package(sample):
    mine = {hashlib.sha256(content).hexdigest(): name for name, content in contents(sample).items() if content}
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    outside = [ROOT / name for name in tracked if name and not name.startswith("src/")]
    shared = {path.relative_to(ROOT).as_posix() for path in outside if path.is_file()
              and hashlib.sha256(path.read_bytes()).hexdigest() in mine}
    assert len(outside) > 100 and shared == set()


def test_no_word_of_this_review_is_in_the_other(sample):
    words = {name for name in load_table("treatment_classes", DATA)["treatment_class"]} | {"Goudman", "spinal", "PSPS Type", "Supplementary"}
    for name, content in contents(sample).items():
        text = content.decode("utf-8")
        assert not [word for word in words if word in text], name


def test_chapters_name_no_treatment_and_hold_no_number(sample):
    settings = yaml.safe_load((sample / "review.yml").read_text())
    for path in (sample / "book").glob("*.md"):
        text = path.read_text()
        assert not [entry["name"] for entry in settings["treatments"] if entry["name"] in text]
        assert not re.search(r"\d\.\d", text.replace("95 %", ""))


def test_the_package_s_own_functions_find_the_review_in_which_one_works(sample, monkeypatch):
    monkeypatch.delenv("PSPS_DATA", raising=False)
    for place in (sample, sample / "book"):
        monkeypatch.chdir(place)
        assert data_folder().samefile(sample / "data")
        assert list(style.class_colours()) == ["usual care", "nasal rinse", "tablet", "rinse and tablet"]
        assert book_network().tier == "recomputed"
    monkeypatch.chdir(ROOT)
    assert data_folder() == ROOT / "data"


def test_every_default_colour_stands_out_on_light_and_dark_pages():
    for colour in COLOURS:
        assert style.contrast_ratio(colour, "#ffffff") >= 3 and style.contrast_ratio(colour, "#121212") >= 3, colour
    assert len(set(COLOURS)) == len(COLOURS)


def test_a_second_run_makes_the_same_data_and_touches_nothing_else(review):
    (review / "book" / "notes.md").write_text("my own chapter")
    before = contents(review)
    assert new_review(review) == ["data"]
    assert contents(review) == before


def test_a_changed_table_changes_the_data_and_the_page_says_what(review):
    table = review / "tables" / "sneezing.csv"
    table.write_text(table.read_text() + "Yew 2024,usual care,80,6.5,2.0\nYew 2024,tablet,82,3.0,2.0\n")
    assert open_review(review).changes()["what"].tolist() == ["nothing changed"]
    new_review(review)
    changes = open_review(review).changes()
    row = changes[changes["item"] == "estimates"].iloc[0]
    assert (row["before"], row["after"]) == ("17", "18")
    assert "trials/contrasts.csv" in changes["item"].tolist()


def test_what_was_left_out_of_the_sample_is_listed(sample):
    listed = open_review(sample).listed()
    assert listed[listed["what"].str.startswith("not used")].to_dict("records") == [
        {"file": "sleep.csv", "row": "7", "study": "Spruce 2018", "what": "not used: no TE"}]  # fmt: skip


def test_the_direction_of_an_outcome_decides_what_is_first(review):
    first = open_review(review).order("sneezing")[0]
    edited(review, "scale_desirable: lower", "scale_desirable: higher")
    new_review(review)
    assert open_review(review).order("sneezing")[-1] == first


@pytest.mark.parametrize(("old", "new", "message"), [
    ("title:", "titel:", "review.yml, title: None is not text"),
    ("question: Which", "question: [Which", "review.yml, line "),
    ("  - name: tablet", "  - name: nasal rinse", "review.yml, treatments: 'nasal rinse' occurs more than once"),
    ("  - name: tablet\n", "", "treatment 'tablet' is not in review.yml (usual care, nasal rinse, rinse and tablet)"),
    ('"#7a7a7a"', '"grey"', "review.yml, treatments, entry 1, colour: 'grey' is not written #rrggbb"),
    ("measure: SMD", "measure: smd", "review.yml, outcomes, entry 1, measure: 'smd' is not one of SMD, MD, OR, RD"),
    ("te_desirable: higher", "te_desirable: up", "review.yml, outcomes, entry 1, te_desirable: 'up' is not one of lower, higher"),
    ("reference: usual care", "reference: placebo", "review.yml, outcomes, entry 1, reference: 'placebo' is not one of"),
    ("kind: arms", "kind: arm", "review.yml, outcomes, entry 1, table, kind: 'arm' is not one of contrasts, arms"),
    ("      kind: arms", "      kind: arms\n      skip: one", "table, skip: 'one' is not a int"),
    ("      kind: arms", "      kind: arms\n      sort: yes", "table: 'sort' is not one of file, kind"),
    ("tables/sneezing.csv", "../sneezing.csv", "table, file: '../sneezing.csv' is outside the review's folder"),
    ("tables/sneezing.csv", "tables/other.csv", "other.csv: no such file"),
    ("name: sleep", "name: sneezing", "review.yml, outcomes: 'sneezing' occurs more than once"),
])  # fmt: skip
def test_a_broken_review_yml_is_named_and_changes_nothing(review, old, new, message):
    edited(review, old, new)
    before = contents(review)
    with pytest.raises(TableError) as caught:
        new_review(review)
    assert message in str(caught.value)
    assert contents(review) == before


def test_review_yml_can_hold_no_object(review):
    """A YAML tag that would build a Python object is refused, not run."""
    edited(review, "author: The review team", "author: !!python/object/apply:os.system [exit]")
    with pytest.raises(TableError, match=r"^review.yml, line \d+: not YAML"):
        build_data(review)


def test_a_folder_with_something_else_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("x")
    assert main(["new", str(tmp_path)]) == 2
    assert "holds files but no review.yml; name a new folder" in capsys.readouterr().err
    assert main(["new", str(tmp_path / "thesis.txt")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_the_command_lists_what_it_wrote(tmp_path, capsys):
    assert main(["new", str(tmp_path / "mine")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"wrote {tmp_path / 'mine' / 'review.yml'}" in lines and f"wrote {tmp_path / 'mine' / 'data'}" in lines
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
