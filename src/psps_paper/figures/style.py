"""One look for every figure: colours, type, sizes, and the helpers that lay text out in points.

Lengths are in points (1/72 inch) throughout. ``INK``, ``MUTED``, ``GRID`` and ``PAPER`` are the
only colours that depend on the page: each is used for nothing else, so that whoever inlines an
SVG can replace it by a CSS variable. All other colours stand on light and on dark pages as they are.
"""

from __future__ import annotations

import colorsys
import contextlib
import functools
import hashlib
import logging
import pathlib
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontEntry, FontPath, FontProperties, findfont, fontManager, get_font, weight_dict
from matplotlib.patches import Rectangle
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.textpath import TextPath

from psps_paper.living.writing import unprotected
from psps_paper.tables import TableError, data_folder, load_table
from psps_paper.trials import SOURCE, trials_folder

Width = Literal["single", "double"]
WIDTH_MM: dict[str, float] = {"single": 90.0, "double": 180.0}
FONT_SIZE: dict[str, float] = {"single": 8.0, "double": 9.0}
FONT = "DejaVu Sans"
FONT_STACK = '"DejaVu Sans", Verdana, sans-serif'

INK = "#1a1a1a"
MUTED = "#6b6b6b"
GRID = "#d0d0d0"
PAPER = "#fefefe"
# Text on a filled shape must not follow the page's ink, or a dark page would make it vanish.
DARK_TEXT = "#000000"
LIGHT_TEXT = "#ffffff"

# From light to dark as the risk grows, so that the order survives in greyscale.
ROB_COLOURS: dict[str, str] = {
    "low": "#8fd3bd",
    "some concerns": "#c98a00",
    "high": "#9c3a00",
    "unknown": "#c4c4c4",
}
ROB_HATCHES: dict[str, str] = {"low": "", "some concerns": "//", "high": "xx", "unknown": ".."}
ROB_SYMBOLS: dict[str, str] = {"low": "+", "some concerns": "?", "high": "×", "unknown": ""}

# Marker and whether it is filled: printed values are solid, values that follow from them hollow.
TIER_MARKERS: dict[str, tuple[str, bool]] = {
    "printed": ("o", True),
    "recomputed": ("s", True),
    "implied": ("o", False),
    "re-extracted": ("D", True),
    "simulated": ("^", False),
}

RC = {
    "font.family": [FONT],
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "none",
    "figure.dpi": 72,
    "hatch.linewidth": 0.6,
    # Hatches lie on fills of fixed colour, so theirs is fixed too.
    "hatch.color": DARK_TEXT,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "psps-paper",
    "pdf.fonttype": 42,
    "path.simplify": False,
}


# Width of drawings that name none, in place of their own default; for whoever draws the book again at another width.
REDRAW_WIDTH: ContextVar[Width | None] = ContextVar("REDRAW_WIDTH", default=None)


def styled(draw: Callable) -> Callable:
    """Run a drawing function under the one style; matplotlib's own settings are left as they were.

    A drawing whose width nobody named can be drawn again for a narrow screen (``Drawing.narrow``).
    """

    @functools.wraps(draw)
    def wrapper(*args, **kwargs):
        if REDRAW_WIDTH.get() is not None:
            kwargs = {"width": REDRAW_WIDTH.get()} | kwargs
        with mpl.rc_context(RC):
            drawing = draw(*args, **kwargs)
        return drawing if "width" in kwargs else replace(drawing, narrow=functools.partial(wrapper, *args, width="single", **kwargs))

    return wrapper


# ---------------------------------------------------------------- colour


def relative_luminance(colour: str) -> float:
    """Relative luminance of an ``#rrggbb`` colour, in [0, 1].  Source: WCAG 2.2."""
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast_ratio(first: str, second: str) -> float:
    """Contrast between two colours, from 1 to 21.  Source: WCAG 2.2."""
    dark, light = sorted([relative_luminance(first), relative_luminance(second)])
    return (light + 0.05) / (dark + 0.05)


def text_on(fill: str) -> str:
    """Black or white, whichever reads better on a fill."""
    return max((DARK_TEXT, LIGHT_TEXT), key=lambda text: contrast_ratio(text, fill))


def class_colours() -> dict[str, str]:
    """Colour of each treatment class of the review, from ``data/treatment_classes.csv``, in the order of legends.

    Treatments that only ``data/trials`` names follow, each in the colour of :func:`colour_from_name`.
    """
    folder = data_folder()
    colours = _class_colours(folder)
    place = trials_folder(folder)
    if place is None:
        return colours
    new = _trial_treatments(place, (place / SOURCE).read_bytes()) - set(colours)
    return colours | {name: colour_from_name(name) for name in sorted(new)}


@functools.lru_cache(maxsize=4)
def _trial_treatments(place: pathlib.Path, source: bytes) -> frozenset[str]:
    """Treatments of the trials whose record is ``source``, by which the cache knows them again."""
    contrasts = load_table("contrasts", place)
    return frozenset(map(unprotected, pd.concat([contrasts["treat1"], contrasts["treat2"]])))


def colour_from_name(name: str) -> str:
    """A colour for a treatment that has none: its hue comes from the name, its luminance stands out on light and on dark pages."""
    hue = int.from_bytes(hashlib.sha256(name.encode("utf-8")).digest()[:2], "big") / 2**16
    shades = (mpl.colors.to_hex(colorsys.hls_to_rgb(hue, lightness / 100, 0.45)) for lightness in range(20, 80))
    return min(shades, key=lambda shade: abs(relative_luminance(shade) - 0.18))


@functools.cache
def _class_colours(folder: pathlib.Path) -> dict[str, str]:
    classes = load_table("treatment_classes", folder)
    for row, colour in enumerate(classes["colour"], start=1):
        if not re.fullmatch("#[0-9a-f]{6}", colour):
            raise TableError(f"treatment_classes.csv, row {row}, column colour: {colour!r} is not a colour written #rrggbb in lower case")
    return dict(zip(classes["treatment_class"], classes["colour"], strict=True))


def __getattr__(name: str) -> dict[str, str]:
    # The palette belongs to the review, not to the package, and is read when a figure first needs it
    if name == "CLASS_COLOURS":
        return class_colours()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def class_colour(treatment_class: str) -> str:
    """Colour of a treatment class; an unknown class is an error."""
    colours = class_colours()
    if treatment_class not in colours:
        raise ValueError(f"treatment class {treatment_class!r} is not one of {', '.join(colours)}")
    return colours[treatment_class]


# ---------------------------------------------------------------- words


def plural(count: float, noun: str, nouns: str | None = None) -> str:
    """``1 study``, ``10 studies``."""
    return f"{int(count)} {noun if int(count) == 1 else nouns or noun + 's'}"


def listed(parts: Sequence[str]) -> str:
    """``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


# ---------------------------------------------------------------- input checks


def table(frame: pd.DataFrame, columns: Iterable[str], where: str) -> pd.DataFrame:
    """A copy with a fresh index, after checking that the columns exist and that there are rows."""
    for column in columns:
        if column not in frame.columns:
            raise ValueError(
                f"{where}: column {column!r} is missing; found {', '.join(map(str, frame.columns))}"
            )
    if frame.empty:
        raise ValueError(f"{where}: no rows")
    return frame.reset_index(drop=True).copy()


def _row(frame: pd.DataFrame, position: int) -> str:
    return f"row {position + 1} ({frame.iloc[position, 0]})"


def check_values(
    frame: pd.DataFrame, column: str, allowed: Iterable[str], where: str
) -> None:
    """Each value is one of ``allowed``; the error names row, column and value."""
    allowed = list(allowed)
    for position, value in enumerate(frame[column]):
        if value not in allowed:
            raise ValueError(
                f"{where}: {_row(frame, position)}, column {column}: {value!r} is not one of "
                f"{', '.join(allowed)}"
            )


def check_numbers(
    frame: pd.DataFrame,
    columns: Iterable[str],
    where: str,
    *,
    missing_allowed: bool = False,
    above: float = -np.inf,
    at_least: float = -np.inf,
    at_most: float = np.inf,
) -> None:
    """Each value is a finite number in range; the error names row, column and value."""
    for column in columns:
        for position, value in enumerate(frame[column]):
            if missing_allowed and pd.isna(value):
                continue
            try:
                good = np.isfinite(float(value)) and above < float(value) <= at_most
                good = good and float(value) >= at_least
            except (TypeError, ValueError):
                good = False
            if not good:
                limits = [
                    f"above {above:g}" if np.isfinite(above) else "",
                    f"at least {at_least:g}" if np.isfinite(at_least) else "",
                    f"at most {at_most:g}" if np.isfinite(at_most) else "",
                ]
                expected = " ".join(["a finite number", *filter(None, limits)])
                raise ValueError(
                    f"{where}: {_row(frame, position)}, column {column}: {value!r} is not "
                    f"{expected}"
                )


def check_order(frame: pd.DataFrame, columns: Sequence[str], where: str) -> None:
    """Values do not decrease from column to column, where they are given."""
    for position in range(len(frame)):
        values = frame.loc[position, list(columns)].dropna().astype(float)
        if not values.is_monotonic_increasing:
            raise ValueError(
                f"{where}: {_row(frame, position)}, columns {', '.join(columns)}: "
                f"{values.tolist()} are not in increasing order"
            )


def check_matrix(frame: pd.DataFrame, where: str) -> None:
    """Rows and columns carry the same treatments in the same order."""
    if list(frame.index) != list(frame.columns) or len(frame) < 2:
        raise ValueError(
            f"{where}: rows {list(frame.index)} and columns {list(frame.columns)} are not the same "
            "two or more treatments"
        )


# ---------------------------------------------------------------- text


@functools.cache
def _characters(weight: str) -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family=FONT, weight=weight))).get_charmap())


def foreign(text: str, weight: str = "normal") -> str:
    """The characters that the figures' own typeface lacks, each once; it has Latin, Greek, Cyrillic, Arabic, Hebrew and others."""
    return "".join(sorted({c for c in text if ord(c) not in _characters(weight) and c.isprintable()}))


@functools.cache
def families(characters: str, entries: tuple[FontEntry, ...]) -> tuple[list[str], str]:
    """Choose, for characters that the figures' own typeface lacks, from typefaces those that together have most of them.

    Parameters
    ----------
    characters : str
    entries : tuple of matplotlib.font_manager.FontEntry
        The typefaces that there are. Of one name, the file that is nearest to the normal weight counts.

    Returns
    -------
    list of str
        The figures' own typeface first, then each that has most of what is still missing; ties by name.
    str
        The characters that none has.
    """
    files: dict[str, FontEntry] = {}
    for entry in sorted(entries, key=lambda entry: abs(weight_dict.get(entry.weight, entry.weight) - 400)):
        if entry.style == "normal":
            files.setdefault(entry.name, entry)
    missing, found, chosen = set(map(ord, characters)), {}, [FONT]
    for name in sorted(files.keys() - {FONT}):
        with contextlib.suppress(RuntimeError, OSError):  # a font that cannot be opened is none
            glyphs = get_font(FontPath(files[name].fname, files[name].index)).get_charmap()
            # A placeholder, as matplotlib brings one, claims all of Unicode but draws one box for a whole script
            if len(set(glyphs.values())) > len(glyphs) / 10:
                found[name] = missing & glyphs.keys()
    while missing and (best := max(found, key=lambda name: len(found[name] & missing), default="")) and found[best] & missing:
        chosen.append(best)
        missing -= found[best]
    return chosen, "".join(map(chr, sorted(missing)))


@contextlib.contextmanager
def browser_finds_typefaces() -> Iterator[None]:
    """Silence matplotlib's warning of characters that the figures' typeface lacks, and no other, while a file is written.

    An SVG keeps its text as text, for which the reader's browser finds a typeface: its bytes depend on no installed one.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from", category=UserWarning)
        yield


@contextlib.contextmanager
def installed_typefaces(figure: Figure) -> Iterator[None]:
    """Let texts use installed typefaces for what the figures' own one lacks, while a PDF or a PNG is written.

    Characters that no typeface has become boxes, of which one warning tells.
    """
    lacking = {text: foreign(text.get_text(), text.get_fontweight()) for text in figure.findobj(Text)}
    before = {text: text.get_fontfamily() for text in lacking if lacking[text]}
    chosen, boxes = families("".join(sorted(set("".join(lacking.values())))), tuple(fontManager.ttflist))
    if boxes:
        warnings.warn(f"no installed typeface has {boxes}: a PDF or PNG shows boxes; install one that has, or use the SVG", stacklevel=3)
    log = logging.getLogger("matplotlib.font_manager")
    level = log.level
    log.setLevel(logging.ERROR)  # a typeface without bold serves for bold too
    try:
        for text in before:
            text.set_fontfamily(chosen)
        with browser_finds_typefaces():
            yield
    finally:
        log.setLevel(level)
        for text, family in before.items():
            text.set_fontfamily(family)


@functools.lru_cache(maxsize=4096)
def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Width of one line in points, in the figures' own typeface; a character that it lacks counts as one em, as Chinese ones are."""
    if not text.strip():
        return 0.0
    font = FontProperties(family=FONT, weight=weight)
    text = text.translate(dict.fromkeys(map(ord, foreign(text, weight)), "\N{EM DASH}"))
    return _right_edge(TextPath((0, 0), text, size=size, prop=font)) + 0.04 * size


def _right_edge(path: Path) -> float:
    """``get_extents().x1``, which takes the extremes of every curve, from the outlines that can reach furthest."""
    x, starts = path.vertices[:, 0], np.flatnonzero(path.codes == Path.MOVETO)
    reach = np.maximum.reduceat(x, starts)
    kept = np.repeat(reach >= x[starts].max(), np.diff([*starts, len(x)]))
    return float(Path(path.vertices[kept], path.codes[kept]).get_extents().x1)


def wrap(text: str, width: float, size: float, weight: str = "normal") -> str:
    """Break at spaces so that no line is wider than ``width``, unless one word is."""
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
    """Width of the widest line."""
    return max(text_width(line, size, weight) for line in text.split("\n"))


def line_height(size: float) -> float:
    return 1.3 * size


# ---------------------------------------------------------------- layout


def page(width: Width, height: float) -> tuple[Figure, Axes]:
    """A figure and axes that cover it, one unit a point, with the origin at the lower left."""
    points = page_width(width)
    figure = Figure(figsize=(points / 72, height / 72))
    canvas = figure.add_axes((0, 0, 1, 1))
    canvas.set(xlim=(0, points), ylim=(0, height))
    canvas.axis("off")
    return figure, canvas


def font_size(width: Width) -> float:
    """Size of all text, in points; an unknown width is an error."""
    if width not in FONT_SIZE:
        raise ValueError(f"width={width!r}: expected 'single' or 'double'")
    return FONT_SIZE[width]


def page_width(width: Width) -> float:
    """Width of a figure, in points."""
    return WIDTH_MM[width] / 25.4 * 72


def panel(
    figure: Figure, left: float, bottom: float, width: float, height: float, size: float
) -> Axes:
    """Axes at a place given in points, with the style's ticks."""
    total_width, total_height = figure.get_size_inches() * 72
    axes = figure.add_axes(
        (left / total_width, bottom / total_height, width / total_width, height / total_height)
    )
    axes.tick_params(labelsize=size, length=3, width=0.8, pad=2)
    axes.xaxis.label.set_size(size)
    axes.yaxis.label.set_size(size)
    return axes


def name_horizontal_axis(axes: Axes, text: str, size: float) -> None:
    """Centre the name below its axis, or as near to that as the edges of the figure let a longer one come."""
    points = axes.figure.get_size_inches()[0] * 72
    half, place = text_width(text, size) / 2 + 1, axes.get_position()
    middle = min(max((place.x0 + place.x1) / 2 * points, half), points - half)
    axes.set_xlabel(text, x=(middle / points - place.x0) / place.width)


def write(canvas: Axes, x: float, y: float, text: str, size: float, **options) -> None:
    """Text at a point; left-aligned and vertically centred unless told otherwise."""
    # Single lines share a baseline whether or not they hold a descender.
    middle = "center" if "\n" in text else "center_baseline"
    options = {"ha": "left", "va": middle, "linespacing": 1.15} | options
    canvas.text(x, y, text, fontsize=size, **options)


@dataclass(frozen=True)
class Key:
    """One entry of a legend: a patch, or a marker where one is named."""

    label: str
    colour: str
    hatch: str = ""
    marker: str | None = None
    filled: bool = True


SWATCH = 12.0
KEY_GAP = 14.0


def _key_places(keys: Sequence[Key], width: float, size: float) -> list[tuple[int, float]]:
    places, row, x = [], 0, 0.0
    for key in keys:
        needed = SWATCH + 4 + text_width(key.label, size)
        if x > 0 and x + needed > width:
            row, x = row + 1, 0.0
        places.append((row, x))
        x += needed + KEY_GAP
    return places


def legend_height(keys: Sequence[Key], width: float, size: float) -> float:
    """Height that :func:`legend` needs, in points."""
    return (_key_places(keys, width, size)[-1][0] + 1) * 1.5 * size


def legend(
    canvas: Axes, keys: Sequence[Key], left: float, top: float, width: float, size: float
) -> None:
    """Draw a legend in as many lines as the width asks for, downwards from ``top``."""
    for key, (row, x) in zip(keys, _key_places(keys, width, size), strict=True):
        y = top - (row + 0.5) * 1.5 * size
        if key.marker is None:
            canvas.add_patch(
                Rectangle(
                    (left + x, y - 0.45 * size), SWATCH, 0.9 * size,
                    facecolor=key.colour, edgecolor=INK, linewidth=0.6, hatch=key.hatch,
                )
            )
        else:
            canvas.plot(left + x + SWATCH / 2, y, **marker_style(key.marker, key.colour, key.filled))
        write(canvas, left + x + SWATCH + 4, y, key.label, size)


def marker_style(marker: str, colour: str, filled: bool, size: float = 6.5) -> dict:
    """Marker options; a hollow marker is filled with the page's colour, to cover the line behind."""
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
    """Legend entries for the tiers present, in the order of :data:`TIER_MARKERS`."""
    present = set(tiers)
    return [
        Key(tier, INK, marker=marker, filled=filled)
        for tier, (marker, filled) in TIER_MARKERS.items()
        if tier in present
    ]


def class_of(treatments: Iterable[str], classes: dict[str, str] | None) -> dict[str, str]:
    """Treatment class of each treatment: the treatment itself, unless ``classes`` says otherwise."""
    return {t: (classes[t] if classes is not None else t) for t in treatments}


def nice_limits(values: Iterable[float], margin: float = 0.06) -> tuple[float, float]:
    """Axis limits around values that contain more than one point."""
    finite = np.array([v for v in values if np.isfinite(v)])
    low, high = finite.min(), finite.max()
    span = (high - low) or max(abs(high), 1.0)
    return float(low - margin * span), float(high + margin * span)
