"""`make book` compares each stored output with that of the build, as `make test` does through nbval."""

from __future__ import annotations

import json
import shutil

import nbformat
import pytest

from psps_paper.site.executed import main, stale_outputs


@pytest.fixture
def folders(tmp_path):
    """A chapter as a build leaves it, and as it is stored: one cell that glues, one that prints, one that shows."""
    glued = {"data": {"text/plain": "14.9"}, "metadata": {"scrapbook": {"name": "share", "mime_prefix": ""}}}
    v4 = nbformat.v4
    printed = v4.new_output("stream", name="stdout", text="two\n")
    shown = v4.new_output("execute_result", data={"text/html": "<p>3</p>", "image/png": "AAAA"}, execution_count=3)
    cells = [v4.new_markdown_cell("# A chapter"), *map(v4.new_code_cell, ("glue(1)", "print(2)", "show(3)"))]
    for position, outputs in ((2, [printed]), (3, [shown])):
        cells[position].outputs = outputs
    for name in ("executed", "stored"):
        (tmp_path / name).mkdir()
        if name == "stored":
            data = {f"application/papermill.record/{kind}": text for kind, text in glued["data"].items()}
            cells[1].outputs = [v4.new_output("display_data", data=data, metadata=glued["metadata"])]
        nbformat.write(v4.new_notebook(cells=cells), tmp_path / name / "a.ipynb")
    (tmp_path / "executed" / "a.glue.json").write_text(json.dumps({"share": {"output_type": "display_data", **glued}}))
    return tmp_path


def test_equal_outputs_pass(folders):
    assert main([str(folders / "executed"), str(folders / "stored")]) == 0


@pytest.mark.parametrize(
    "old, new, says",
    [
        ("14.9", "14.8", "the stored value of share is not what its cell gives now"),
        ('"name": "share"', '"name": "part"', "the stored value of part"),
        (r"two\n", r"too\n", "cell 2: the stored output is not"),
        ("<p>3</p>", "<p>4</p>", "cell 3: the stored output is not"),
        ("AAAA", "AAAB", "cell 3: the stored output is not"),
        ("show(3)", "show(4)", "cell 3: changed since the build"),
    ],
)
def test_a_planted_stale_output_is_named(folders, capsys, old, new, says):
    path = folders / "stored" / "a.ipynb"
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    assert main([str(folders / "executed"), str(folders / "stored")]) == 1
    said = capsys.readouterr().err
    assert says in said and said.startswith("a.ipynb") and "make notebooks" in said


def test_a_value_that_is_no_longer_stored_and_a_chapter_that_was_not_executed_are_named(folders):
    stored = folders / "stored" / "a.ipynb"
    notebook = nbformat.read(stored, as_version=4)
    notebook.cells[1].outputs = []
    nbformat.write(notebook, stored)
    assert stale_outputs(folders / "executed" / "a.ipynb", stored) == [
        "a.ipynb: the stored value of share is not what its cell gives now"
    ]
    shutil.rmtree(folders / "executed")
    assert stale_outputs(folders / "executed" / "a.ipynb", stored) == ["a.ipynb: the build did not execute it"]
