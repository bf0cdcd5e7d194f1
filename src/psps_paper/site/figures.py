"""Every figure of the book as files, at the width and resolution that a journal asks for.

The chapters say which figures there are and what is in them. They are run again here and each drawing that they show
is kept, so that no second list can differ from the book.
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

# Main figures of an article, by the names of their drawings, in order
MAIN = (r"prisma_flow|flow", r"rob_stacked|judgements", r"network_graph|network-\d+", r"forest_network|forest-\d+")
LETTERS = string.ascii_lowercase
# Part of the table of contents whose figures are none of the article's
DEVELOPERS = "For developers"


def book_folder() -> Path:
    """Folder of the chapters, beside the data folder."""
    return data_folder().parent / "book"


@contextlib.contextmanager
def _shown_drawings() -> Iterator[tuple[list[Drawing], list[str]]]:
    """Keep every drawing that is shown while this lasts, and its caption."""
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
    """Position and source of the code cells of a chapter: a notebook, or Markdown with ``{code-cell}`` blocks."""
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
        An ``.ipynb`` file, or an ``.md`` file of a review of one's own.
    width : {"single", "double"}
        Of drawings for which the chapter names none.

    Raises
    ------
    ChapterError
        Naming chapter and cell, where its code fails.
    """
    namespace: dict = {"__name__": "__main__"}
    token = REDRAW_WIDTH.set(width)
    try:
        # A chapter runs in its own folder. Without a notebook around them, numbers for prose would be printed.
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
    """The drawings of :func:`captioned_figures`."""
    return [drawing for drawing, _ in captioned_figures(chapter, width)]


def export_figures(
    folder: Path,
    *,
    formats: tuple[str, ...] = FORMATS,
    dpi: int = 300,
    width: Width = "double",
    chapters: Path | None = None,
) -> list[list[Path]]:
    """Write every figure of the book, and the data plotted in it as CSV beside it; all files or none.

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
    return _written(Path(folder), figures)


def _written(folder: Path, figures: list[dict[str, bytes]]) -> list[list[Path]]:
    """Write the files of all figures, or none; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    replace_files(folder, {name: content for files in figures for name, content in files.items()})
    return [[folder / name for name in files] for files in figures]


def found_chapters(chapters: Path) -> list[Path]:
    """Chapters that may show a figure: notebooks, and for a review of one's own Markdown with code cells, in the order
    of names."""
    found = sorted(chapters.glob("*.ipynb"))
    found += sorted(p for p in chapters.glob("*.md") if "{code-cell}" in p.read_text(encoding="utf-8"))
    if not found:
        raise FileNotFoundError(f"no chapter (*.ipynb) in {chapters}")
    return [chapter for chapter in found if _may_draw(chapter)]


def _may_draw(chapter: Path) -> bool:
    """Whether a chapter is to be run: of an executed notebook its stored outputs say whether it shows a figure."""
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
    """Write the figures under the names that journals ask for, each once, and their captions in one file.

    The flow of records, risk of bias, the network and its forest plot are Fig. 1 to 4, of several outcomes with panel
    letters; all others are S1, S2 and so on, in the order of chapters. ``captions.txt`` holds a line for each.

    Parameters
    ----------
    folder, formats, dpi, width, chapters
        As in :func:`export_figures`.

    Returns
    -------
    list of list of Path
        Files of each figure, the last its data; at the end the captions.
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
    return _written(Path(folder), [*figures, {"captions.txt": ("\n".join(lines) + "\n").encode()}])


def in_reading_order(chapters: Path) -> list[Path]:
    """Chapters with code in the order of the table of contents beside their folder, without those for developers.

    Without a table of contents in the order of names.
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
    """Number, panel letter, drawing and caption of each figure, main ones first.

    Of several drawings of the same estimates the one that shows most stands, once; the estimates that the book shows
    first are the main figure.
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
            first, *others = _fullest(panels)
            panels, rest = [first], rest + others
        letters = LETTERS if len(panels) > 1 else [""]
        named += [(str(number), x, *pair) for x, pair in zip(letters, panels, strict=False)]
        rest += panels[len(letters) :]
    return named + [(f"S{number}", "", *pair) for number, pair in enumerate(rest, 1)]


def _fullest(panels: list[tuple[Drawing, str]]) -> list[tuple[Drawing, str]]:
    """Of drawings of the same estimates the one that shows most, in the order in which the estimates come first."""
    groups: list[list[tuple[Drawing, str]]] = []
    for pair in panels:
        own = next((group for group in groups if same_estimates(pair[0], group[0][0])), None)
        if own is None:
            groups.append([pair])
        else:
            own.append(pair)
    return [max(group, key=lambda pair: pair[0].data.notna().to_numpy().sum()) for group in groups]


def same_estimates(one: Drawing, other: Drawing) -> bool:
    """Whether two drawings show the same estimates, be it with other names or intervals."""
    if "te" not in one.data or "te" not in other.data:
        return False
    first, second = (sorted(drawing.data["te"].dropna().round(6)) for drawing in (one, other))
    return first == second
