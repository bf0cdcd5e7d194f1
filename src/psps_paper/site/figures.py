"""Every figure of the book as files, at the width and resolution that a journal asks for.

The chapters say which figures there are and what is in them. They are run again here and each drawing that they show
is kept, so that no second list can differ from the book.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import nbformat

from psps_paper.book import display
from psps_paper.figures.drawing import FORMATS, Drawing, save
from psps_paper.figures.style import REDRAW_WIDTH, Width
from psps_paper.tables.load import data_folder


def book_folder() -> Path:
    """Folder of the chapters, beside the data folder."""
    return data_folder().parent / "book"


@contextlib.contextmanager
def _shown_drawings() -> Iterator[list[Drawing]]:
    """Keep every drawing that is shown while this lasts."""
    kept: list[Drawing] = []
    to_svg = display.to_svg

    def keep(drawing: Drawing) -> str:
        kept.append(drawing)
        return to_svg(drawing)

    display.to_svg = keep
    try:
        yield kept
    finally:
        display.to_svg = to_svg


def chapter_figures(chapter: Path, width: Width = "double") -> list[Drawing]:
    """Run a chapter's code and return the drawings that it shows, in order.

    Parameters
    ----------
    chapter : Path
        An ``.ipynb`` file.
    width : {"single", "double"}
        Of drawings for which the chapter names none.

    Raises
    ------
    RuntimeError
        Naming chapter and cell, where its code fails.
    """
    namespace: dict = {"__name__": "__main__"}
    token = REDRAW_WIDTH.set(width)
    try:
        cells = nbformat.read(chapter, as_version=4).cells
        # A chapter runs in its own folder. Without a notebook around them, numbers for prose would be printed.
        with _shown_drawings() as drawings, contextlib.chdir(chapter.parent), contextlib.redirect_stdout(io.StringIO()):
            for position, cell in enumerate(cells):
                if cell.cell_type != "code":
                    continue
                try:
                    exec(compile(cell.source, f"{chapter.name}, cell {position}", "exec"), namespace)
                except Exception as error:
                    raise RuntimeError(f"{chapter.name}, cell {position}: {type(error).__name__}: {error}") from error
    finally:
        REDRAW_WIDTH.reset(token)
    return drawings


def export_figures(
    folder: Path,
    *,
    formats: tuple[str, ...] = FORMATS,
    dpi: int = 300,
    width: Width = "double",
    chapters: Path | None = None,
) -> Iterator[list[Path]]:
    """Write every figure of the book, and the data plotted in it as CSV beside it.

    Parameters
    ----------
    folder : Path
        Made where it does not exist.
    formats, dpi
        As in :func:`psps_paper.figures.save`.
    width : {"single", "double"}
        90 or 180 mm.
    chapters : Path, optional
        Folder of the chapters; default that of this checkout.

    Yields
    ------
    list of Path
        Files of one figure: ``<chapter>-<figure>.<format>``, then ``.csv``.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise ValueError(f"format {unknown[0]!r} is not one of {', '.join(FORMATS)}")
    chapters = chapters or book_folder()
    found = sorted(chapters.glob("*.ipynb"))
    if not found:
        raise FileNotFoundError(f"no chapter (*.ipynb) in {chapters}")
    for chapter in found:
        for drawing in chapter_figures(chapter, width):
            yield save(replace(drawing, name=f"{chapter.stem}-{drawing.name}"), folder, formats, dpi)
