"""The data folder as one object (issue H, part 3): read, checked and hashed once; no cache outlives a change of it."""

import ast
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

import psps_paper
from helpers import DATA, replace_once
from psps_paper.book.display import table_markup
from psps_paper.book.findings import findings
from psps_paper.figures.palette import class_colours
from psps_paper.tables import TableError, dataset, load_table

PACKAGE = Path(psps_paper.__file__).parent
FUNCTIONS = [
    (path.relative_to(PACKAGE).as_posix(), node)
    for path in PACKAGE.rglob("*.py")
    for node in ast.walk(ast.parse(path.read_text("utf-8")))
    if isinstance(node, ast.FunctionDef)
]
READS = {"load_table", "load_dictionary", "table_names", "data_folder", "dataset", "open", "read_text", "read_bytes"}
# What does not change while a process runs: the package's own code and its reference numbers
FIXED = {"tables/cache.py _code", "book/coming_from_netmeta.py _oracle"}


def _calls(node: ast.FunctionDef) -> set[str]:
    called = [each.func for each in ast.walk(node) if isinstance(each, ast.Call)]
    return {getattr(function, "id", getattr(function, "attr", "")) for function in called}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    copy = Path(shutil.copytree(DATA, tmp_path / "data", ignore=shutil.ignore_patterns("trials*", ".trials*")))
    monkeypatch.setenv("PSPS_DATA", str(copy))
    return copy


def _labels() -> str:
    return table_markup(pd.DataFrame({"study": ["hamdy2021"]}), label="studies")


@pytest.mark.parametrize(
    ("file", "old", "new", "shown"),
    [
        ("studies.csv", b"included,Hamdy", b"included,Qamdy", _labels),
        ("treatment_classes.csv", b"#0072b2", b"#0072b3", class_colours),
        ("readers_words.csv", b"Sham or placebo", b"Placebo or sham", lambda: [each.name for each in findings()]),
    ],
    ids=["labels of studies", "colours", "front page"],
)
def test_a_changed_cell_shows_in_the_same_process(folder, file, old, new, shown):
    """Labels of the data folder that was read first stayed when it changed: their cache had no key."""
    before = shown()
    replace_once(folder / file, old, new)
    assert shown() != before


def test_no_cache_keeps_what_it_read_without_a_key():
    cached = {
        f"{file} {node.name}": _calls(node) & READS
        for file, node in FUNCTIONS
        if any(re.search(r"\b(lru_)?cache\b", ast.unparse(each)) for each in node.decorator_list)
    }
    assert len(cached) > len(FIXED)
    assert {name for name, reads in cached.items() if reads} == FIXED, "give it a Dataset, which is its key"


def test_tables_of_a_folder_are_read_through_a_dataset():
    """A function outside the tables room that takes a folder and loads its tables one by one reads them again each time,
    and may read two states of it."""
    again = [
        f"{file}, line {call.lineno}: {ast.unparse(call)}"
        for file, node in FUNCTIONS
        if not file.startswith("tables/")
        for call in ast.walk(node)
        if isinstance(call, ast.Call)
        and getattr(call.func, "id", "") in {"load_table", "load_dictionary"}
        and len(call.args) + len(call.keywords) > 1
    ]
    assert again == []


def test_equal_content_is_equal_data(folder):
    here, there = dataset(DATA), dataset(folder)
    assert here == there and hash(here) == hash(there) and here.names == there.names
    replace_once(folder / "studies.csv", b"included,Hamdy", b"included,Qamdy")
    assert dataset(folder) != there, "a change is another content"
    assert there.table("studies").equals(load_table("studies", DATA)), "what was read stays as it was"
    assert dataset(folder).table("studies").equals(load_table("studies", folder))


def test_row_rules_hold_in_a_dataset(folder):
    """As in ``load_table``: data/row_rules.csv, row 1, holds a P-score between 0 and 1."""
    replace_once(folder / "nma_published.csv", b"p_score,neuromodulation,,0.", b"p_score,neuromodulation,,1.")
    with pytest.raises(TableError) as loaded:
        load_table("nma_published", folder)
    with pytest.raises(TableError, match=re.escape(str(loaded.value))):
        dataset(folder).table("nma_published")


def test_a_table_of_a_dataset_is_the_callers_own():
    data = dataset(DATA)
    table = data.table("studies")
    table.iloc[0, 0] = "changed"
    assert data.table("studies").iloc[0, 0] != "changed"


def test_trial_level_data_are_part_of_the_content(folder):
    trials = folder / "trials" / "dictionaries"
    trials.mkdir(parents=True)
    (folder / "trials" / "source.json").write_text("{}", encoding="utf-8")
    with_trials = dataset(folder)
    assert with_trials.trials is not None and with_trials != dataset(DATA)
    (folder / "trials" / "source.json").write_text("[]", encoding="utf-8")
    assert dataset(folder) != with_trials


def test_a_folder_without_dictionaries_is_no_data_folder(tmp_path):
    with pytest.raises(TableError, match="is no data folder: it has no folder dictionaries"):
        dataset(tmp_path)
