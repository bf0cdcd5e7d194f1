"""The data folder as one object (issue H, part 3): read, checked and hashed once; no cache outlives a change of it."""

import ast
import re
import shutil
from pathlib import Path

import pytest

from helpers import DATA, package_trees, replace_once
from psps_paper.tables import TableError, dataset, load_table

# Where a folder becomes a Dataset: commands, a review, what writes a folder and reads it first, and the page builder
DOORS = {
    "cli/living.py _import",
    "cli/statements.py _tables",
    "cli/statements.py _verify",
    "living/exports.py export",
    "living/new_review.py _read",
    "living/new_review.py _refuse_to_undo_import",
    "living/new_review.py build_data",
    "living/results.py read_results",
    "living/review.py data",
    "living/store.py write_trials",
    "site/trial_links.py trial_references",
}


def functions() -> list[tuple[str, ast.FunctionDef]]:
    return [
        (file, node)
        for file, tree in package_trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    ]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    copy = Path(shutil.copytree(DATA, tmp_path / "data", ignore=shutil.ignore_patterns("trials*", ".trials*")))
    monkeypatch.setenv("PSPS_DATA", str(copy))
    return copy


def test_tables_of_a_folder_are_read_through_a_dataset():
    """A function outside the tables room that takes a folder and loads its tables one by one reads them again each time,
    and may read two states of it."""
    again = [
        f"{file}, line {call.lineno}: {ast.unparse(call)}"
        for file, node in functions()
        if not file.startswith("tables/")
        for call in ast.walk(node)
        if isinstance(call, ast.Call)
        and getattr(call.func, "id", "") in {"load_table", "load_dictionary"}
        and len(call.args) + len(call.keywords) > 1
    ]
    assert again == []


def test_only_the_doors_make_a_dataset_of_a_folder():
    """Below them one Dataset is passed on, so that nothing is read twice or in two states."""

    def takes(node: ast.FunctionDef, kind: str) -> set[str]:
        return {
            each.arg
            for each in [*node.args.args, *node.args.kwonlyargs]
            if each.annotation and kind in ast.unparse(each.annotation)
        }

    found = functions()
    readers = {node.name for file, node in found if takes(node, "Dataset")}
    doors = set()
    for file, node in found:
        own, folders = takes(node, "Dataset"), takes(node, "Path")
        for call in ast.walk(node):
            if isinstance(call, ast.Call) and not file.startswith("tables/"):
                name, given = getattr(call.func, "id", ""), {ast.unparse(each) for each in call.args}
                if (name == "dataset" and given - own) or (name in readers and given & (folders - own)):
                    doors.add(f"{file} {node.name}")
    assert doors == DOORS, "take a Dataset and hand it on; where a folder itself is meant, name the function in DOORS"


def test_what_is_gone_is_not_read_from_the_disk(folder):
    """A Dataset is the folder as it was read: no table, dictionary or name of a table comes from a later state of it."""
    before = dataset(folder)
    names = list(dataset(DATA).names)
    shutil.copyfile(folder / "prisma.csv", folder / "later.csv")
    shutil.copyfile(folder / "dictionaries" / "prisma.csv", folder / "dictionaries" / "later.csv")
    (folder / "dictionaries" / "outcomes.csv").write_text("", encoding="utf-8")
    assert before.names == names and "later" in dataset(folder).names
    assert before.dictionary("outcomes").equals(dataset(DATA).dictionary("outcomes"))
    with pytest.raises(TableError, match=r"^later.csv: no such table"):
        before.table("later")


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
    with pytest.raises(TableError, match="is not a data folder: it has no folder named dictionaries"):
        dataset(tmp_path)
