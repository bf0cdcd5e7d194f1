"""A chapter from the template is stored as every chapter is, and its name is no other page's."""

from __future__ import annotations

import nbformat
import pytest

import test_notebooks as guards
from psps_paper.site import notebooks
from psps_paper.site.new_chapter import main

pytestmark = pytest.mark.slow


def test_the_template_passes_what_every_chapter_must(tmp_path, capsys):
    assert main(["age_and_harms", "--folder", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[1] == f"      - file: {tmp_path.name}/age_and_harms"
    path = tmp_path / "age_and_harms.ipynb"
    chapter = nbformat.read(path, as_version=4)
    for guard in (
        guards.test_every_code_cell_ran_in_order,
        guards.test_no_cell_raised_or_wrote_to_stderr,
        guards.test_every_cell_holds_output,
        guards.test_every_table_and_figure_that_a_cell_makes_is_displayed,
        guards.test_cells_are_thin_and_take_directions_from_the_outcomes_table,
        guards.test_metadata_holds_nothing_of_one_run,
    ):
        guard(chapter)
    guards.test_stored_bytes_are_normal_form(path)
    assert chapter.cells[0].source.startswith("# Age and harms\n")
    assert not notebooks.execute(path), "a second run changes no byte"


@pytest.mark.parametrize("name", ["Harms", "harms-by-age", "harms by age", "../harms", "harms_", "1st", ""])
def test_a_name_that_no_page_can_have_is_refused(tmp_path, capsys, name):
    assert main([name, "--folder", str(tmp_path)]) == 2
    assert "expected lower-case words joined by underscores" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".ipynb", ".md"])
def test_a_page_that_exists_is_kept(tmp_path, capsys, suffix):
    page = tmp_path / f"harms{suffix}"
    page.write_text("mine")
    assert main(["harms", "--folder", str(tmp_path)]) == 2
    assert "exists" in capsys.readouterr().err and page.read_text() == "mine"
