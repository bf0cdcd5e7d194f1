"""The style of all figures: colours, type, sizes, and checks of their data.

Lengths are in points (1/72 inch) throughout. ``INK``, ``MUTED``, ``GRID`` and ``PAPER`` are the
only colours that depend on the page. Each is used for nothing else, so that code that inlines an
SVG can replace it by a CSS variable. All other colours suit both light and dark pages.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import Literal

import matplotlib as mpl
import numpy as np
import pandas as pd

from psps_paper.figures import palette
from psps_paper.figures.palette import DARK_TEXT

# One and two columns of a journal, and the column of a telephone 360 pixels wide, on which 9 points are 12 pixels
Width = Literal["single", "double", "phone"]
WIDTH_MM: dict[str, float] = {"single": 90.0, "double": 180.0, "phone": 86.7}
FONT_SIZE: dict[str, float] = {"single": 8.0, "double": 9.0, "phone": 9.0}
SMALL_FONT_SIZE: dict[str, float] = {"single": 7.0, "double": 9.0, "phone": 9.0}
FONT = "DejaVu Sans"
FONT_STACK = '"DejaVu Sans", Verdana, sans-serif'

INK = "#1a1a1a"
MUTED = "#6b6b6b"
GRID = "#d0d0d0"
PAPER = "#fefefe"


# Darker for higher risk, so that the order remains visible in greyscale.
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
    # Hatches are on fills of fixed colour, so their colour is fixed too.
    "hatch.color": DARK_TEXT,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "psps-paper",
    "pdf.fonttype": 42,
    "path.simplify": False,
}


# Width of drawings whose caller names none, instead of their default; used to redraw the book at another width.
REDRAW_WIDTH: ContextVar[Width | None] = ContextVar("REDRAW_WIDTH", default=None)


def styled(draw: Callable) -> Callable:
    """Run a drawing function in the common style without changing matplotlib's own settings.

    A drawing whose caller named no width can be redrawn for a narrow screen (``Drawing.narrow``).
    """

    @functools.wraps(draw)
    def wrapper(*args, **kwargs):
        if REDRAW_WIDTH.get() is not None:
            kwargs = {"width": REDRAW_WIDTH.get()} | kwargs
        with mpl.rc_context(RC):
            drawing = draw(*args, **kwargs)
        return (
            drawing
            if "width" in kwargs
            else replace(drawing, narrow=functools.partial(wrapper, *args, width="phone", **kwargs))
        )

    return wrapper


def plural(count: float, noun: str, nouns: str | None = None) -> str:
    """Write ``1 study`` or ``10 studies``."""
    return f"{int(count)} {noun if int(count) == 1 else nouns or noun + 's'}"


def capitalised(text: str) -> str:
    """A text with a capital first letter, unless it begins with a sign of a unit, as in "mmol/l" or "kg".

    Example
    -------
    >>> capitalised("odds ratio"), capitalised("mmol/l")
    ('Odds ratio', 'mmol/l')
    """
    first = text.partition(" ")[0]
    word = first.isalpha() and (len(first) > 3 or " " in text)
    return text[0].upper() + text[1:] if word else text


def listed(parts: Sequence[str]) -> str:
    """Join texts as ``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def table(frame: pd.DataFrame, columns: Iterable[str], where: str) -> pd.DataFrame:
    """Return a copy with a new index after checking that the columns exist and that there are rows."""
    for column in columns:
        if column not in frame.columns:
            raise ValueError(f"{where}: column {column!r} is missing; found {', '.join(map(str, frame.columns))}")
    if frame.empty:
        raise ValueError(f"{where}: no rows")
    return frame.reset_index(drop=True).copy()


def _row(frame: pd.DataFrame, position: int) -> str:
    return f"row {position + 1} ({frame.iloc[position, 0]})"


def check_values(frame: pd.DataFrame, column: str, allowed: Iterable[str], where: str) -> None:
    """Check that each value is one of ``allowed``; the error names row, column and value."""
    allowed = list(allowed)
    for position, value in enumerate(frame[column]):
        if value not in allowed:
            raise ValueError(
                f"{where}: {_row(frame, position)}, column {column}: {value!r} is not one of {', '.join(allowed)}"
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
    """Check that each value is a finite number in range; the error names row, column and value."""
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
                raise ValueError(f"{where}: {_row(frame, position)}, column {column}: {value!r} is not {expected}")


def check_order(frame: pd.DataFrame, columns: Sequence[str], where: str) -> None:
    """Check that values, where given, do not decrease from column to column."""
    for position in range(len(frame)):
        values = frame.loc[position, list(columns)].dropna().astype(float)
        if not values.is_monotonic_increasing:
            raise ValueError(
                f"{where}: {_row(frame, position)}, columns {', '.join(columns)}: "
                f"{values.tolist()} are not in increasing order"
            )


def check_matrix(frame: pd.DataFrame, where: str) -> None:
    """Check that rows and columns are the same treatments in the same order."""
    if list(frame.index) != list(frame.columns) or len(frame) < 2:
        raise ValueError(
            f"{where}: rows {list(frame.index)} and columns {list(frame.columns)} are not the same "
            "two or more treatments"
        )


def favours_first(desirable: str) -> str:
    """Return the sign of first minus second that favours the first: "positive" or "negative"."""
    if desirable not in ("lower", "higher"):
        raise ValueError(f"desirable={desirable!r}: expected 'lower' or 'higher'")
    return "positive" if desirable == "higher" else "negative"


def treatment_colours(treatments: Iterable[str], classes: dict[str, str] | None) -> dict[str, str]:
    """Return the colour of each treatment, that of its class; by default each treatment is its own class."""
    class_of = {t: classes[t] if classes is not None else t for t in treatments}
    colours = palette.colours_of(class_of.values(), strict=classes is not None)
    return {t: colours[c] for t, c in class_of.items()}


def nice_limits(values: Iterable[float], margin: float = 0.06) -> tuple[float, float]:
    """Compute axis limits around values, never of width zero."""
    finite = np.array([v for v in values if np.isfinite(v)])
    low, high = finite.min(), finite.max()
    span = (high - low) or max(abs(high), 1.0)
    return float(low - margin * span), float(high + margin * span)
