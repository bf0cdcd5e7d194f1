"""``psps-paper figures``: every figure that the chapters show, with the data that the chapters link."""

from __future__ import annotations

import base64
import re
import warnings
from pathlib import Path

import nbformat
import pytest
from PIL import Image

from conftest import BOOK
from psps_paper.cli.main import main
from psps_paper.errors import ChapterError
from psps_paper.figures.style import REDRAW_WIDTH, WIDTH_MM
from psps_paper.site.figures import chapter_figures, export_figures

pytestmark = pytest.mark.slow

POINTS_PER_MM = 72 / 25.4


def stored_figures() -> dict[str, str]:
    """CSV behind each figure in the stored chapters, by the stem that an export gives it."""
    found = {}
    pattern = re.compile(r'<figure class="psps psps-figure" id="figure-([^"]+)">.*?</figure>', re.DOTALL)
    for path in sorted(BOOK.glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            for output in cell.get("outputs", []):
                for figure in pattern.finditer(output.get("data", {}).get("text/html", "")):
                    content = re.search(r'href="data:text/csv;charset=utf-8;base64,([^"]+)"', figure[0])[1]
                    found[f"{path.stem}-{figure[1]}"] = base64.b64decode(content).decode()
    return found


def test_every_figure_of_the_book_is_rebuilt_with_its_data(tmp_path, monkeypatch):
    # The book's own data, with trials where there are any, as its stored figures are made from
    monkeypatch.setenv("PSPS_DATA", str(BOOK.parent / "data"))
    written = list(export_figures(tmp_path, formats=("svg",), width="single"))
    stored = stored_figures()
    assert len(stored) > 15
    assert {svg.stem for svg, _ in written} == stored.keys()
    assert len(written) == len(stored), "two figures of a chapter share a name"
    for svg, csv in written:
        assert csv.read_text(encoding="utf-8") == stored[csv.stem], csv.name
        width = float(re.search(r'<svg[^>]* width="([\d.]+)pt"', svg.read_text(encoding="utf-8"))[1])
        assert width == pytest.approx(WIDTH_MM["single"] * POINTS_PER_MM, abs=0.01), svg.name


@pytest.fixture
def one_chapter(tmp_path, monkeypatch) -> Path:
    """A book of one quick chapter."""
    folder = tmp_path / "book"
    folder.mkdir()
    (folder / "study_selection.ipynb").write_bytes((BOOK / "study_selection.ipynb").read_bytes())
    monkeypatch.setattr("psps_paper.site.figures.book_folder", lambda: folder)
    return folder


@pytest.mark.parametrize("width", ["single", "double"])
def test_the_command_writes_each_format_at_its_size(one_chapter, tmp_path, capsys, width):
    out = tmp_path / "out"
    assert main(["figures", "--format", "svg, pdf,png", "--dpi", "120", "--width", width, "--out", str(out)]) == 0
    names = [f"study_selection-prisma_flow.{ending}" for ending in ("svg", "pdf", "png", "csv")]
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
    assert capsys.readouterr().out == ", ".join(str(out / name) for name in names) + "\n"
    with Image.open(out / names[2]) as image:
        assert image.width == pytest.approx(WIDTH_MM[width] / 25.4 * 120, abs=1)
    assert (out / names[1]).read_bytes().startswith(b"%PDF")
    svg = (out / names[0]).read_text(encoding="utf-8")
    assert "<text" in svg and 'id="study_selection-prisma_flow-svg"' in svg
    assert REDRAW_WIDTH.get() is None


def test_what_is_missing_is_told_once_and_in_one_line(tmp_path, monkeypatch, capsys):
    def write(out, **options):
        for name in "ab":
            warnings.warn("no installed typeface has X", stacklevel=1)
            yield [out / name]

    monkeypatch.setattr("psps_paper.cli.figures.export_figures", write)
    assert main(["figures", "--out", str(tmp_path)]) == 0
    told = capsys.readouterr()
    assert told.err == "psps-paper: note: no installed typeface has X\n" and len(told.out.splitlines()) == 2


def test_an_unknown_format_is_refused_before_anything_is_drawn(one_chapter, tmp_path, capsys):
    assert main(["figures", "--format", "svg,gif", "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == "psps-paper: format 'gif' is not one of svg, pdf, png\n"
    assert not (tmp_path / "out").exists()


def test_a_book_without_chapters_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no chapter"):
        next(export_figures(tmp_path / "out", chapters=tmp_path))


def test_a_chapter_whose_stored_outputs_hold_no_figure_is_not_run(tmp_path):
    cell = nbformat.v4.new_code_cell("1 / 0", outputs=[nbformat.v4.new_output("stream", text="no figure")])
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "told.ipynb")
    assert export_figures(tmp_path / "out", chapters=tmp_path) == []
    cell.outputs = []
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "told.ipynb")
    with pytest.raises(ChapterError, match="told.ipynb, cell 0: ZeroDivisionError"):
        export_figures(tmp_path / "out", chapters=tmp_path)


def test_a_chapter_that_fails_is_named_and_leaves_no_width_behind(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("#"), nbformat.v4.new_code_cell("1 / 0")])
    nbformat.write(notebook, tmp_path / "broken.ipynb")
    with pytest.raises(ChapterError, match="broken.ipynb, cell 1: ZeroDivisionError"):
        chapter_figures(tmp_path / "broken.ipynb", "single")
    assert REDRAW_WIDTH.get() is None
