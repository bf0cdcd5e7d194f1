"""Text and panels laid out in points."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import os
import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import (
    FontEntry,
    FontPath,
    FontProperties,
    findfont,
    findSystemFonts,
    fontManager,
    get_font,
    weight_dict,
)
from matplotlib.patches import Rectangle
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.textpath import TextPath

from psps_paper.figures.style import FONT, FONT_SIZE, INK, PAPER, TIER_MARKERS, WIDTH_MM, Width


@functools.cache
def _characters(weight: str) -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family=FONT, weight=weight))).get_charmap())


def foreign(text: str, weight: str = "normal") -> str:
    """Return the characters missing from the figures' own typeface, each once.

    It has Latin, Greek, Cyrillic, Arabic, Hebrew and others.
    """
    return "".join(sorted({c for c in text if ord(c) not in _characters(weight) and c.isprintable()}))


@functools.cache
def families(characters: str, entries: tuple[FontEntry, ...]) -> tuple[list[str], str]:
    """Choose the typefaces that together have most of the characters missing from the figures' own typeface.

    Parameters
    ----------
    characters : str
    entries : tuple of matplotlib.font_manager.FontEntry
        The available typefaces. Of several files with one name, the one nearest to the normal weight is used.

    Returns
    -------
    list of str
        The figures' own typeface first, then repeatedly the one with most of the characters still missing; ties by
        name.
    str
        The characters that no typeface has.
    """
    files: dict[str, FontEntry] = {}
    for entry in sorted(entries, key=lambda entry: abs(weight_dict.get(entry.weight, entry.weight) - 400)):
        if entry.style == "normal":
            files.setdefault(entry.name, entry)
    missing, found, chosen = set(map(ord, characters)), {}, [FONT]
    for name in sorted(files.keys() - {FONT}):
        with contextlib.suppress(RuntimeError, OSError):  # skip fonts that cannot be opened
            glyphs = get_font(FontPath(files[name].fname, files[name].index)).get_charmap()
            # A placeholder font such as matplotlib's claims all of Unicode but draws the same box for a whole script
            if len(set(glyphs.values())) > len(glyphs) / 10:
                found[name] = missing & glyphs.keys()
    while (
        missing
        and (best := max(found, key=lambda name: len(found[name] & missing), default=""))
        and found[best] & missing
    ):
        chosen.append(best)
        missing -= found[best]
    return chosen, "".join(map(chr, sorted(missing)))


def find_new_typefaces() -> None:
    """Make matplotlib find typefaces installed after it built its font list."""
    if "MPL_IGNORE_SYSTEM_FONTS" in os.environ:
        return
    known = {entry.fname for entry in fontManager.ttflist}
    for path in sorted(set(findSystemFonts()) - known):
        with contextlib.suppress(RuntimeError, OSError, ValueError):  # skip fonts that cannot be read
            fontManager.addfont(path)


@contextlib.contextmanager
def browser_finds_typefaces() -> Iterator[None]:
    """Silence only matplotlib's warning of characters missing from the figures' typeface while a file is written.

    An SVG keeps its text as text, for which the reader's browser finds a typeface, so its bytes do not depend on
    installed typefaces.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from", category=UserWarning)
        yield


@contextlib.contextmanager
def installed_typefaces(figure: Figure) -> Iterator[None]:
    """Use installed typefaces for characters missing from the figures' own while a PDF or PNG is written.

    Characters that no typeface has become boxes, with a single warning.
    """
    missing = {text: foreign(text.get_text(), text.get_fontweight()) for text in figure.findobj(Text)}
    before = {text: text.get_fontfamily() for text in missing if missing[text]}
    chosen, boxes = families("".join(sorted(set("".join(missing.values())))), tuple(fontManager.ttflist))
    if boxes:
        warnings.warn(
            f"no installed typeface has {boxes}: a PDF or PNG shows boxes; install one that has them, or use the SVG",
            stacklevel=3,
        )
    mixed = {text: text.get_text() for text in missing if _begins_from_the_right(text.get_text())}
    log = logging.getLogger("matplotlib.font_manager")
    level = log.level
    log.setLevel(logging.ERROR)  # a typeface without bold is also used for bold text
    try:
        for text in before:
            text.set_fontfamily(chosen)
        for text, words in mixed.items():
            text.set_text("\N{LEFT-TO-RIGHT MARK}" + words)
        with browser_finds_typefaces():
            yield
    finally:
        log.setLevel(level)
        for text, family in before.items():
            text.set_fontfamily(family)
        for text, words in mixed.items():
            text.set_text(words)


def _begins_from_the_right(text: str) -> bool:
    """Return whether a left-to-right text such as "A vs B" begins with a right-to-left name, which would reverse it."""
    strong = [kind for kind in map(unicodedata.bidirectional, text) if kind in ("L", "R", "AL")]
    return bool(strong) and strong[0] != "L" and "L" in strong


@functools.lru_cache(maxsize=4096)
def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Measure one line in points, in the figures' own typeface; missing characters count as one em, as in Chinese."""
    if not text.strip():
        return 0.0
    font = FontProperties(family=FONT, weight=weight)
    text = text.translate(dict.fromkeys(map(ord, foreign(text, weight)), "\N{EM DASH}"))
    return _right_edge(TextPath((0, 0), text, size=size, prop=font)) + 0.04 * size


def _right_edge(path: Path) -> float:
    """Compute ``get_extents().x1`` faster, from only the outlines that can reach furthest right."""
    x, starts = path.vertices[:, 0], np.flatnonzero(path.codes == Path.MOVETO)
    reach = np.maximum.reduceat(x, starts)
    kept = np.repeat(reach >= x[starts].max(), np.diff([*starts, len(x)]))
    return float(Path(path.vertices[kept], path.codes[kept]).get_extents().x1)


def wrap(text: str, width: float, size: float, weight: str = "normal") -> str:
    """Break at spaces so that no line is wider than ``width``, unless a single word is."""
    lines: list[str] = []
    for word in str(text).split():
        if lines and text_width(f"{lines[-1]} {word}", size, weight) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)


def line_count(text: str) -> int:
    return text.count("\n") + 1


def block_width(text: str, size: float, weight: str = "normal") -> float:
    """Return the width of the widest line."""
    return max(text_width(line, size, weight) for line in text.split("\n"))


def line_height(size: float) -> float:
    return 1.3 * size


def page(width: Width, height: float) -> tuple[Figure, Axes]:
    """Create a figure and axes that cover it, in points, with the origin at the lower left."""
    points = page_width(width)
    figure = Figure(figsize=(points / 72, height / 72))
    canvas = figure.add_axes((0, 0, 1, 1))
    canvas.set(xlim=(0, points), ylim=(0, height))
    canvas.axis("off")
    return figure, canvas


def font_size(width: Width) -> float:
    """Return the size of all text, in points; an unknown width is an error."""
    if width not in FONT_SIZE:
        raise ValueError(f"width={width!r}: expected 'single', 'double' or 'phone'")
    return FONT_SIZE[width]


def page_width(width: Width) -> float:
    """Return the width of a figure, in points."""
    return WIDTH_MM[width] / 25.4 * 72


def panel(figure: Figure, left: float, bottom: float, width: float, height: float, size: float) -> Axes:
    """Create axes at a position in points, with the style's ticks."""
    total_width, total_height = figure.get_size_inches() * 72
    axes = figure.add_axes((left / total_width, bottom / total_height, width / total_width, height / total_height))
    axes.tick_params(labelsize=size, length=3, width=0.8, pad=2)
    axes.xaxis.label.set_fontsize(size)
    axes.yaxis.label.set_fontsize(size)
    return axes


def name_horizontal_axis(axes: Axes, text: str, size: float) -> None:
    """Centre the name below its axis, or as nearly as the edges of the figure allow."""
    points = axes.figure.get_size_inches()[0] * 72
    half, place = text_width(text, size) / 2 + 1, axes.get_position()
    middle = min(max((place.x0 + place.x1) / 2 * points, half), points - half)
    axes.set_xlabel(text, x=(middle / points - place.x0) / place.width)


def write(canvas: Axes, x: float, y: float, text: str, size: float, **options) -> None:
    """Write text at a point; by default left-aligned and vertically centred."""
    # Single lines share a baseline whether or not they have a descender.
    middle = "center" if "\n" in text else "center_baseline"
    options = {"ha": "left", "va": middle, "linespacing": 1.15} | options
    if "\n" not in text or "rotation" in options or not foreign(text):
        canvas.text(x, y, text, fontsize=size, **options)
        return
    # Matplotlib places lines by widths that a reader's typeface may not have: each is written for itself
    lines, along = text.split("\n"), line_height(size)
    first = {"top": -0.5, "bottom": len(lines) - 0.5}.get(options["va"], (len(lines) - 1) / 2)
    for k, line in enumerate(lines):
        canvas.text(x, y + (first - k) * along, line, fontsize=size, **options | {"va": "center_baseline"})


def number_columns(canvas: Axes, left: float, across: float, n: int, y: float, size: float) -> None:
    """Write numbers above the columns of a grid, or above as many as have room."""
    step = next(k for k in itertools.count(1) if k * across > 2.2 * size)
    for k in range(step, n + 1, step):
        write(canvas, left + (k - 0.5) * across, y, str(k), size, ha="center")


@dataclass(frozen=True)
class Key:
    """One entry of a legend: a patch, or a marker if one is named."""

    label: str
    colour: str
    hatch: str = ""
    marker: str | None = None
    filled: bool = True


SWATCH = 12.0
KEY_GAP = 14.0


def _key_places(keys: Sequence[Key], width: float, size: float) -> list[tuple[float, float, str]]:
    """Return how far down and right each entry begins, and its label, wrapped if too long for the width."""
    places, down, x = [], 0.0, 0.0
    for key in keys:
        label = wrap(key.label, width - SWATCH - 4, size)
        needed = SWATCH + 4 + block_width(label, size)
        if x > 0 and x + needed > width:
            down, x = down + 1.5 * size, 0.0
        places.append((down, x, label))
        x += needed + KEY_GAP
        down += (line_count(label) - 1) * line_height(size)
    return places


def legend_height(keys: Sequence[Key], width: float, size: float) -> float:
    """Return the height that :func:`legend` needs, in points."""
    down, _, label = _key_places(keys, width, size)[-1]
    return down + (line_count(label) - 1) * line_height(size) + 1.5 * size


def legend(canvas: Axes, keys: Sequence[Key], left: float, top: float, width: float, size: float) -> None:
    """Draw a legend in as many lines as the width needs, downwards from ``top``."""
    for key, (down, x, label) in zip(keys, _key_places(keys, width, size), strict=True):
        y = top - down - 0.75 * size
        if key.marker is None:
            canvas.add_patch(
                Rectangle(
                    (left + x, y - 0.45 * size),
                    SWATCH,
                    0.9 * size,
                    facecolor=key.colour,
                    edgecolor=INK,
                    linewidth=0.6,
                    hatch=key.hatch,
                )
            )
        else:
            canvas.plot(left + x + SWATCH / 2, y, **marker_style(key.marker, key.colour, key.filled))
        lower = 0.5 * (line_count(label) - 1) * line_height(size)
        write(canvas, left + x + SWATCH + 4, y - lower, label, size)


def marker_style(marker: str, colour: str, filled: bool, size: float = 6.5) -> dict:
    """Return marker options; a hollow marker is filled with the page's colour to cover the line behind it."""
    return {
        "marker": marker,
        "markersize": size,
        "markerfacecolor": colour if filled else PAPER,
        "markeredgecolor": colour,
        "markeredgewidth": 1.4,
        "linestyle": "none",
        "zorder": 5,
    }


def tier_keys(tiers: Iterable[str]) -> list[Key]:
    """Return legend entries for the tiers present, in the order of :data:`TIER_MARKERS`."""
    present = set(tiers)
    return [
        Key(tier, INK, marker=marker, filled=filled)
        for tier, (marker, filled) in TIER_MARKERS.items()
        if tier in present
    ]
