"""Save every figure of the book to files, at the width and resolution that a journal requires.

The chapters determine which figures there are. They are run here, and each drawing that they show is kept, so that
there is no second list that could differ from the book.
"""

from __future__ import annotations

import contextlib
import io
import re
import string
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat

from psps_paper.book import display
from psps_paper.errors import ChapterError
from psps_paper.figures.drawing import FORMATS, Drawing, check_formats, drawing_files, page_high, with_letter
from psps_paper.figures.style import REDRAW_WIDTH, Width
from psps_paper.tables.files import replace_files
from psps_paper.tables.load import data_folder
from psps_paper.tables.yaml_text import load_yaml

# Main figures of an article in order, by the names of their drawings
MAIN = (r"prisma_flow|flow", r"rob_stacked|judgements", r"network_graph|network-\d+", r"forest_network|forest-\d+")
LETTERS = string.ascii_lowercase
# Part of the table of contents whose figures are not part of the article
DEVELOPERS = "For developers"


def book_folder() -> Path:
    """Return the folder of chapters in the checkout that holds the data folder."""
    return data_folder().parent / "book"


@contextlib.contextmanager
def _shown_drawings() -> Iterator[tuple[list[Drawing], list[str]]]:
    """Collect every drawing shown within this context, and its caption."""
    kept: list[Drawing] = []
    captions: list[str] = []
    to_svg = display.to_svg

    def keep(drawing: Drawing) -> str:
        kept.append(drawing)
        captions.append(display.CAPTION.get())
        return to_svg(drawing)

    display.to_svg = keep
    try:
        yield kept, captions
    finally:
        display.to_svg = to_svg


def chapter_cells(chapter: Path) -> list[tuple[int, str]]:
    """List position and source of a chapter's code cells, from a notebook or Markdown with ``{code-cell}`` blocks."""
    if chapter.suffix == ".md":
        text = chapter.read_text(encoding="utf-8")
        blocks = re.findall(r"^```{code-cell}[^\n]*\n((?::[^\n]*\n)*)(.*?)^```", text, re.DOTALL | re.MULTILINE)
        return [(number, source) for number, (_, source) in enumerate(blocks, 1)]
    cells = nbformat.read(chapter, as_version=4).cells
    return [(position, cell.source) for position, cell in enumerate(cells) if cell.cell_type == "code"]


def captioned_figures(chapter: Path, width: Width = "double") -> list[tuple[Drawing, str]]:
    """Run a chapter's code and return the drawings that it shows, in order, with their captions.

    Parameters
    ----------
    chapter : Path
        An ``.ipynb`` file, or an ``.md`` file of a review of your own.
    width : {"single", "double"}
        Width of drawings for which the chapter sets none.

    Raises
    ------
    ChapterError
        The code of a cell fails; the message names chapter and cell.
    """
    namespace: dict = {"__name__": "__main__"}
    token = REDRAW_WIDTH.set(width)
    try:
        # A chapter runs in its own folder. Output is captured, since outside a notebook glued numbers are printed.
        with (
            _shown_drawings() as (drawings, captions),
            contextlib.chdir(chapter.parent),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            for position, source in chapter_cells(chapter):
                try:
                    exec(compile(source, f"{chapter.name}, cell {position}", "exec"), namespace)
                except Exception as error:
                    raise ChapterError(f"{chapter.name}, cell {position}: {type(error).__name__}: {error}") from error
    finally:
        REDRAW_WIDTH.reset(token)
    return list(zip(drawings, captions, strict=True))


def chapter_figures(chapter: Path, width: Width = "double") -> list[Drawing]:
    """Return the drawings of :func:`captioned_figures`."""
    return [drawing for drawing, _ in captioned_figures(chapter, width)]


def export_figures(
    folder: Path,
    *,
    formats: tuple[str, ...] = FORMATS,
    dpi: int = 300,
    width: Width = "double",
    chapters: Path | None = None,
) -> list[list[Path]]:
    """Write every figure of the book, each with a CSV of the data plotted; either all files are written or none.

    Parameters
    ----------
    folder : Path
        Created if it does not exist.
    formats, dpi
        As in :func:`psps_paper.figures.save`.
    width : {"single", "double"}
        90 or 180 mm.
    chapters : Path, optional
        Folder of the chapters; by default that of this checkout.

    Returns
    -------
    list of list of Path
        Files of each figure: ``<chapter>-<figure>.<format>``, then ``.csv``.
    """
    check_formats(formats)
    figures = [
        drawing_files(replace(drawing, name=f"{chapter.stem}-{drawing.name}"), formats, dpi)
        for chapter in found_chapters(chapters or book_folder())
        for drawing in chapter_figures(chapter, width)
    ]
    return _write_all(Path(folder), figures)


def _write_all(folder: Path, figures: list[dict[str, bytes]]) -> list[list[Path]]:
    """Write the files of all figures, or none, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    replace_files(folder, {name: content for files in figures for name, content in files.items()})
    return [[folder / name for name in files] for files in figures]


def found_chapters(chapters: Path) -> list[Path]:
    """List chapters that may show a figure, by name: notebooks, and in your own review Markdown with code cells."""
    found = sorted(chapters.glob("*.ipynb"))
    found += sorted(p for p in chapters.glob("*.md") if "{code-cell}" in p.read_text(encoding="utf-8"))
    if not found:
        raise FileNotFoundError(f"no chapter (*.ipynb) in {chapters}")
    return [chapter for chapter in found if _may_draw(chapter)]


def _may_draw(chapter: Path) -> bool:
    """Test whether a chapter must be run; the stored outputs of an executed notebook show whether it has a figure."""
    if chapter.suffix == ".md":
        return True
    outputs = [output for cell in nbformat.read(chapter, as_version=4).cells for output in cell.get("outputs", [])]
    return not outputs or any("psps-figure" in output.get("data", {}).get("text/html", "") for output in outputs)


def journal_figures(
    folder: Path,
    *,
    formats: tuple[str, ...] = FORMATS,
    dpi: int = 300,
    width: Width = "double",
    chapters: Path | None = None,
) -> list[list[Path]]:
    """Write each figure once, under the name that journals require, and all captions in one file.

    The flow of records, risk of bias, the network and its forest plot are Fig. 1 to 4, with panel letters if there are
    several outcomes; all others are S1, S2 and so on, in the order of chapters. ``captions.txt`` has a line for each.

    Parameters
    ----------
    folder, formats, dpi, width, chapters
        As in :func:`export_figures`.

    Returns
    -------
    list of list of Path
        Files of each figure, its data last; at the end the file of captions.
    """
    check_formats(formats)
    once: dict[tuple[str, str, str], tuple[Drawing, str]] = {}
    for chapter in in_reading_order(chapters or book_folder()):
        for drawing, caption in captioned_figures(chapter, width):
            once.setdefault((caption, drawing.alt, drawing.data.to_csv()), (drawing, caption))
    lines, figures = [], []
    for number, letter, drawing, caption in numbered(list(once.values())):
        shown = page_high(drawing)
        shown = with_letter(shown, letter) if letter else shown
        shown = replace(shown, name=f"fig_{number.lower()}{letter}")
        figures.append(drawing_files(shown, formats, dpi, f"Fig_{number}{letter}"))
        lines.append(f"{'Supplementary ' * number.startswith('S')}Fig. {number}{letter}. {caption}")
    return _write_all(Path(folder), [*figures, {"captions.txt": ("\n".join(lines) + "\n").encode()}])


def in_reading_order(chapters: Path) -> list[Path]:
    """List chapters with code in the order of the table of contents, or by name if there is none.

    Chapters for developers are left out.
    """
    found = found_chapters(chapters)
    path = chapters.parent / "_toc.yml"
    if not path.is_file():
        return found
    contents: Any = load_yaml(path, path.name)
    parts = contents.get("parts", [contents])
    files = [contents["root"]] + [
        chapter["file"] for part in parts if part.get("caption") != DEVELOPERS for chapter in part.get("chapters", [])
    ]
    place = {Path(name).stem: k for k, name in enumerate(files)}
    return sorted((chapter for chapter in found if chapter.stem in place), key=lambda chapter: place[chapter.stem])


def numbered(figures: list[tuple[Drawing, str]]) -> list[tuple[str, str, Drawing, str]]:
    """Return number, panel letter, drawing and caption of each figure, main figures first.

    Of several drawings of the same estimates, only the fullest is kept; the estimates that the book shows first are the
    main figure.
    """
    main: dict[int, list[tuple[Drawing, str]]] = {}
    rest = []
    for drawing, caption in figures:
        place = next((k for k, pattern in enumerate(MAIN) if re.fullmatch(pattern, drawing.name)), None)
        (rest if place is None else main.setdefault(place, [])).append((drawing, caption))
    named = []
    for number, place in enumerate(sorted(main), 1):
        panels = main[place]
        if not re.search(r"-\d+$", panels[0][0].name):  # one outcome, drawn on several pages
            first, *others = _keep_fullest(panels)
            panels, rest = [first], rest + others
        letters = LETTERS if len(panels) > 1 else [""]
        named += [(str(number), x, *pair) for x, pair in zip(letters, panels, strict=False)]
        rest += panels[len(letters) :]
    return named + [(f"S{number}", "", *pair) for number, pair in enumerate(rest, 1)]


def _keep_fullest(panels: list[tuple[Drawing, str]]) -> list[tuple[Drawing, str]]:
    """Keep the fullest of the drawings of the same estimates, in the order in which the estimates first appear."""
    groups: list[list[tuple[Drawing, str]]] = []
    for pair in panels:
        own = next((group for group in groups if same_estimates(pair[0], group[0][0])), None)
        if own is None:
            groups.append([pair])
        else:
            own.append(pair)
    return [max(group, key=lambda pair: pair[0].data.notna().to_numpy().sum()) for group in groups]


def same_estimates(one: Drawing, other: Drawing) -> bool:
    """Test whether two drawings show the same estimates, even with different names or intervals."""
    if "te" not in one.data or "te" not in other.data:
        return False
    first, second = (sorted(drawing.data["te"].dropna().round(6)) for drawing in (one, other))
    return first == second
