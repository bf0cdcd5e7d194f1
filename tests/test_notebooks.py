"""Every chapter is stored as it ran: all cells, in order, with output, without error, byte-stable.

Whether the outputs are still what the cells give, test_executed.py tells.
"""

from __future__ import annotations

import ast
import re
import shutil

import nbformat
import pytest

from conftest import BOOK, chapters
from psps_paper.errors import ChapterError
from psps_paper.site import notebooks

CHAPTERS = sorted(BOOK.glob("*.ipynb"))
MAY_BE_EMPTY = {"show_trials", "keeps_to_print"}  # show nothing without trial-level data
SILENT = {"remove-cell", "remove-output", "hide-output", "remove-input", "hide-cell", "hide-input"}


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def chapter(request):
    return nbformat.read(request.param, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_the_table_of_contents_lists_every_chapter_once():
    stored = sorted(path.stem for path in [*BOOK.glob("*.ipynb"), *BOOK.glob("*.md")])
    assert sorted(chapters()) == stored


def test_every_code_cell_ran_in_order(chapter):
    counts = [cell.execution_count for cell in code_cells(chapter)]
    assert counts == list(range(1, len(counts) + 1))


def test_no_cell_raised_or_wrote_to_stderr(chapter):
    for cell in code_cells(chapter):
        for output in cell.outputs:
            assert output.output_type != "error", cell.source
            assert output.get("name") != "stderr", cell.source


def test_every_cell_holds_output(chapter):
    for cell in code_cells(chapter):
        if not SILENT & set(cell.metadata.get("tags", [])):
            assert cell.outputs, f"no output stored, and no tag that says so:\n{cell.source}"


def shown_in(source):
    """Names of the functions that show something, for each of their calls in a cell."""
    called = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    names = [getattr(call.func, "id", getattr(call.func, "attr", "")) for call in called]
    return [name for name in names if name.startswith("show") or name in ("sentence", "keeps_to_print")]


def hidden_calls(source):
    """Calls of a cell that show something which no reader sees: of an expression, only that of the last line is
    displayed."""
    body = ast.parse(source).body
    last = shown_in(ast.unparse(body[-1])) if body and isinstance(body[-1], ast.Expr) else []
    return shown_in(source)[: len(shown_in(source)) - min(len(last), 1)]


def test_every_table_and_figure_that_a_cell_makes_is_displayed(chapter):
    for cell in code_cells(chapter):
        assert not hidden_calls(cell.source), (
            f"only the last of these is displayed, give each a cell of its own:\n{cell.source}"
        )
        made = shown_in(cell.source)
        stored = [output for output in cell.outputs if output.output_type == "execute_result"]
        if made and not MAY_BE_EMPTY & set(made):
            assert len(stored) == 1 and "text/html" in stored[0].data, (
                f"nothing stored of what the cell shows:\n{cell.source}"
            )


def test_a_table_that_another_one_hides_is_found():
    assert hidden_calls("show(a)\nshow(b)") == ["show"]
    assert hidden_calls("x = show(a)") == ["show"]
    assert hidden_calls("x = 1\nshow(show_trials(x))") != []
    assert hidden_calls("x = 1\nshow(x, caption='')") == hidden_calls("keeps_to_print()") == hidden_calls("x = 1") == []


def test_cells_are_thin_and_take_directions_from_the_outcomes_table(chapter):
    for cell in code_cells(chapter):
        assert len(cell.source.splitlines()) <= 20, f"logic belongs into the package:\n{cell.source}"
        assert not re.search(r"desirable\s*=\s*[\"']", cell.source), (
            f"outcomes.csv declares the direction:\n{cell.source}"
        )


def test_metadata_holds_nothing_of_one_run(chapter):
    assert dict(chapter.metadata) == {"kernelspec": notebooks.KERNEL}
    for cell in chapter.cells:
        assert set(cell.metadata) <= {"tags"}, cell.id


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_stored_bytes_are_normal_form(path):
    stored = path.read_bytes()
    assert notebooks.serialise(nbformat.reads(stored.decode("utf-8"), as_version=4), path.stem) == stored


def make_chapter(path, *sources):
    cells = [nbformat.v4.new_markdown_cell("# A chapter"), *map(nbformat.v4.new_code_cell, sources)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_a_second_execution_changes_no_byte(tmp_path):
    chapter = make_chapter(tmp_path / "chapter.ipynb", "import this", "{'b': 1, 'a': 2}", "print('x')")
    assert notebooks.execute(chapter)
    first = chapter.read_bytes()
    copy = shutil.copy(chapter, tmp_path / "copy.ipynb")
    assert not notebooks.execute(chapter)
    assert chapter.read_bytes() == first
    assert copy.read_bytes() == first


def test_a_failing_chapter_is_named_and_left_as_it_was(tmp_path, capsys):
    chapter = make_chapter(tmp_path / "broken.ipynb", "1 / 0")
    before = chapter.read_bytes()
    assert notebooks.main([str(tmp_path)]) == 1
    assert "broken.ipynb" in (message := capsys.readouterr().err) and "ZeroDivisionError" in message
    assert chapter.read_bytes() == before


def test_a_chapter_that_writes_to_stderr_fails(tmp_path):
    chapter = make_chapter(tmp_path / "loud.ipynb", "import sys; print('careful', file=sys.stderr)")
    with pytest.raises(ChapterError, match="loud.ipynb, cell 1: wrote to stderr: careful"):
        notebooks.execute(chapter)


def test_a_folder_without_chapters_is_an_error(tmp_path, capsys):
    with pytest.raises(SystemExit):
        notebooks.main([str(tmp_path)])
    assert "no chapter" in capsys.readouterr().err
