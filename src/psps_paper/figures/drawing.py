"""Drawings: a figure with its data and text alternative, and functions that write it to files."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from psps_paper.figures.layout import browser_finds_typefaces, installed_typefaces
from psps_paper.figures.style import FONT_STACK, RC
from psps_paper.tables.files import replace_files

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
FORMATS = ("svg", "pdf", "png")
_REFERENCE = re.compile(r"(?:^|url\()#([^)]+)")
_NO_TURN = re.compile(r"rotate\(-?0 .*\)")
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure together with its data and text alternative.

    Attributes
    ----------
    name : str
        Lower-case letters, digits, ``-`` and ``_``; the prefix of every id in the SVG and the stem of file names.
    figure : matplotlib.figure.Figure
    data : pandas.DataFrame
        The plotted data, one row per mark.
    alt : str
        Text alternative, computed from ``data``.
    narrow : callable, optional
        Takes no arguments; draws the same figure for a telephone, 90 mm wide. None if the caller chose the width.
    """

    name: str
    figure: Figure
    data: pd.DataFrame
    alt: str
    narrow: Callable[[], Drawing] | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", self.name):
            raise ValueError(f"drawing name {self.name!r}: expected lower-case letters, digits, '-' and '_'")
        if not self.alt.strip():
            raise ValueError(f"drawing {self.name!r} has no text alternative")


def to_svg(drawing: Drawing) -> str:
    """Write the drawing as an ``<svg>`` element that can share a page with others.

    Text stays text. Every id, and every reference to one, starts with the drawing's name, and the
    style rules apply only to this element. The same drawing gives the same bytes: there is
    no XML header and no date. ``role="img"`` and ``aria-label`` carry the text alternative.
    """
    buffer = io.StringIO()
    with mpl.rc_context(RC), browser_finds_typefaces():
        drawing.figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(buffer.getvalue())
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    for metadata in root.findall(f"{{{SVG}}}metadata"):
        root.remove(metadata)
    prefix = f"{drawing.name}-"
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "id":
                element.set(key, prefix + value)
            elif key == f"{{{XLINK}}}href":
                element.set(key, value.replace("#", f"#{prefix}", 1))
            else:
                value = value.replace("url(#", f"url(#{prefix}")
                element.set(key, value.replace("'DejaVu Sans'", FONT_STACK.replace('"', "'")))
        if element.tag == f"{{{SVG}}}style":
            element.text = (element.text or "").replace("*", f"#{prefix}svg *")
    _shorten(root)
    root.set("id", f"{prefix}svg")
    root.set("role", "img")
    root.set("aria-label", drawing.alt)
    return ElementTree.tostring(root, encoding="unicode")


def _shorten(root: ElementTree.Element) -> None:
    """Drop what a page needs not carry: ids that nothing refers to, groups without content, blanks between elements,
    turns by nothing, and digits beyond a hundredth of a point."""
    named = {name for element in root.iter() for value in element.attrib.values() for name in _REFERENCE.findall(value)}
    for element in root.iter():
        for child in list(element):
            if child.tag == f"{{{SVG}}}g" and not len(child):
                element.remove(child)
            if not (child.tail or "").strip():
                child.tail = None
        if not (element.text or "").strip():
            element.text = None
        if element.get("id") not in named:
            element.attrib.pop("id", None)
        if _NO_TURN.fullmatch(element.get("transform", "")):
            del element.attrib["transform"]
        for key in ("d", "x", "y", "transform"):
            if key in element.attrib:
                element.set(key, " ".join(_LONG_NUMBER.sub(_hundredths, element.attrib[key]).split()))


def _hundredths(found: re.Match) -> str:
    return f"{float(found[0]):.2f}".rstrip("0").rstrip(".")


def for_csv(data: pd.DataFrame) -> pd.DataFrame:
    """Round the data to ten significant digits, because further digits differ between machines."""
    return data.map(lambda value: float(f"{value:.9e}") if isinstance(value, float) else value)


def save(drawing: Drawing, folder: Path, formats: tuple[str, ...] = FORMATS, dpi: int = 300) -> list[Path]:
    """Write the drawing in each format, and its data as CSV, under ``folder``: all files or none.

    Parameters
    ----------
    formats : tuple of {"svg", "pdf", "png"}
    dpi : int
        Resolution of the PNG, which has a white background; SVG and PDF are transparent.

    Returns
    -------
    list of Path
        ``<name>.<format>`` in the order of ``formats``, then ``<name>.csv``.
    """
    folder, files = Path(folder), drawing_files(drawing, formats, dpi)
    folder.mkdir(parents=True, exist_ok=True)
    replace_files(folder, files)
    return [folder / name for name in files]


def check_formats(formats: tuple[str, ...]) -> None:
    """Raise a ValueError that names the first unknown format."""
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise ValueError(f"format {unknown[0]!r} is not one of {', '.join(FORMATS)}")


def drawing_files(drawing: Drawing, formats: tuple[str, ...], dpi: int, name: str | None = None) -> dict[str, bytes]:
    """Return the names and contents of the files of :func:`save`, optionally under another name."""
    check_formats(formats)
    of = {
        "svg": lambda: (to_svg(drawing) + "\n").encode(),
        "csv": lambda: for_csv(drawing.data).to_csv(index=False, lineterminator="\n").encode(),
    }
    return {
        f"{name or drawing.name}.{ending}": of[ending]() if ending in of else _picture(drawing, ending, dpi)
        for ending in (*formats, "csv")
    }


def _picture(drawing: Drawing, ending: str, dpi: int) -> bytes:
    # A date or version in the file would change its bytes with every build.
    dateless = {"Software": None} if ending == "png" else {"CreationDate": None}
    buffer = io.BytesIO()
    with mpl.rc_context(RC), installed_typefaces(drawing.figure):
        background = "white" if ending == "png" else "none"
        drawing.figure.savefig(buffer, format=ending, dpi=dpi, metadata=dateless, facecolor=background)
    return buffer.getvalue()


# Size of a journal's page, in millimetres, and the space above a figure for its panel letter, in points
PAGE_HEIGHT, LETTER = 247.0, 14.0


def with_letter(drawing: Drawing, letter: str) -> Drawing:
    """Add a bold panel letter above the upper left corner, enlarging the figure by its height."""
    figure = drawing.figure
    width, height = figure.get_size_inches()
    taller = height + LETTER / 72
    for axes in figure.axes:
        box = axes.get_position()
        axes.set_position((box.x0, box.y0 * height / taller, box.width, box.height * height / taller))
    figure.set_size_inches(width, taller)
    figure.text(0.0, 1 - 2 / (72 * taller), letter, fontsize=10, fontweight="bold", va="top", ha="left")
    return drawing


def page_high(drawing: Drawing) -> Drawing:
    """Scale a drawing that is too high for a page down to fit; return others unchanged."""
    width, height = drawing.figure.get_size_inches()
    share = (PAGE_HEIGHT / 25.4 - LETTER / 72) / height
    if share >= 1:
        return drawing
    figure = drawing.figure
    figure.set_size_inches(width * share, height * share)
    for text in figure.findobj(Text):
        text.set_fontsize(text.get_fontsize() * share)
    for line in figure.findobj(Line2D):
        line.set_linewidth(line.get_linewidth() * share)
        line.set_markersize(line.get_markersize() * share)
    return drawing
