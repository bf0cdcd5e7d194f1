"""Colours of treatment classes, and the contrast between two colours."""

from __future__ import annotations

import bisect
import colorsys
import functools
import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator

import matplotlib as mpl
import numpy as np
import pandas as pd

from psps_paper.tables.csv_text import unprotected
from psps_paper.tables.dataset import Dataset, dataset
from psps_paper.tables.errors import TableError

# Text on a filled shape must not follow the page's ink, or it would vanish on a dark page.
DARK_TEXT = "#000000"


LIGHT_TEXT = "#ffffff"

# Ends of the shades of a league table; the middle is near-white so that cells carry dark text in both themes.
TOWARDS_LATER, NEUTRAL, TOWARDS_FIRST = "#d98a3d", "#f4f4f4", "#3f93c9"

# The first colours for treatments without one; each has a contrast of 3:1 on light and on dark pages
COLOURS = ("#0072b2", "#009e73", "#d55e00", "#7d6000", "#c0679a", "#8a5fd0", "#7a7a7a", "#b5472f", "#3f7f8f", "#6b7d2a")
LUMINANCES = (0.15, 0.21, 0.28)  # for further colours; between 0.12 and 0.3 the contrast is 3:1 on both


def relative_luminance(colour: str) -> float:
    """Compute the relative luminance of an ``#rrggbb`` colour, in [0, 1].  Source: WCAG 2.2."""
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast_ratio(first: str, second: str) -> float:
    """Compute the contrast between two colours, from 1 to 21.  Source: WCAG 2.2."""
    dark, light = sorted([relative_luminance(first), relative_luminance(second)])
    return (light + 0.05) / (dark + 0.05)


def text_on(fill: str) -> str:
    """Return black or white, whichever is more legible on a fill."""
    return max((DARK_TEXT, LIGHT_TEXT), key=lambda text: contrast_ratio(text, fill))


def class_colours() -> dict[str, str]:
    """Return the colour of each treatment class of the review, from ``data/treatment_classes.csv``, in legend order.

    Treatments named only in ``data/trials`` follow, each in the colour of :func:`colour_from_name`.
    """
    return dict(_class_colours(dataset()))


@functools.lru_cache(maxsize=1)
def _class_colours(data: Dataset) -> dict[str, str]:
    colours = _declared_colours(data)
    new = _trial_treatments(data) - set(colours)
    return colours | {name: colour_from_name(name) for name in sorted(new)}


def _trial_treatments(data: Dataset) -> frozenset[str]:
    if data.trials is None:
        return frozenset()
    contrasts = data.trials.table("contrasts")
    return frozenset(map(unprotected, pd.concat([contrasts["treat1"], contrasts["treat2"]])))


def distinct_colours() -> Iterator[str]:
    """Yield different colours as #rrggbb without end, each with a contrast of at least 3:1 on light and dark pages."""
    used = set(COLOURS)
    yield from COLOURS
    for number in itertools.count():
        # By the golden ratio, so that hues never repeat
        hue, wanted = number * 0.6180339887 % 1, LUMINANCES[number % len(LUMINANCES)]
        colour = _colour(
            bisect.bisect_left(range(256), wanted, key=lambda light: relative_luminance(_colour(light, hue))), hue
        )
        if colour not in used:
            used.add(colour)
            yield colour


def _colour(light: int, hue: float) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue, light / 255, 0.75))


def colour_from_name(name: str) -> str:
    """Choose a colour for a treatment without one: the hue depends on the name, the luminance suits all pages."""
    hue = int.from_bytes(hashlib.sha256(name.encode("utf-8")).digest()[:2], "big") / 2**16
    shades = (mpl.colors.to_hex(colorsys.hls_to_rgb(hue, lightness / 100, 0.45)) for lightness in range(20, 80))
    return min(shades, key=lambda shade: abs(relative_luminance(shade) - 0.18))


def _declared_colours(data: Dataset) -> dict[str, str]:
    classes = data.table("treatment_classes")
    for row, colour in enumerate(classes["colour"], start=1):
        if not re.fullmatch("#[0-9a-f]{6}", colour):
            raise TableError(
                f"treatment_classes.csv, row {row}, column colour: {colour!r} is not a colour written #rrggbb in lower"
                " case"
            )
    return dict(zip(classes["treatment_class"], classes["colour"], strict=True))


def __getattr__(name: str) -> dict[str, str]:
    # The palette belongs to the review, not to the package, so it is read when a figure first needs it
    if name == "CLASS_COLOURS":
        return class_colours()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def colours_of(classes: Iterable[str], *, strict: bool = True) -> dict[str, str]:
    """Return the colour of each class of a drawing; a class written as #rrggbb is its own colour.

    If no class is known, the drawing belongs to another review, and the colours depend on the names. If only some are
    known, an unknown class is an error, unless ``strict=False``: another review may have a treatment of the same
    name.
    """
    drawn = list(dict.fromkeys(classes))
    known = class_colours()
    own = {name: name for name in drawn if re.fullmatch("#[0-9a-f]{6}", name)}
    if strict and set(drawn) & set(known):
        return {name: class_colour(name) for name in drawn}
    return {name: own.get(name) or known.get(name) or colour_from_name(name) for name in drawn}


def class_colour(treatment_class: str) -> str:
    """Return the colour of a treatment class, or #rrggbb itself; an unknown class is an error."""
    if re.fullmatch("#[0-9a-f]{6}", treatment_class):
        return treatment_class
    colours = class_colours()
    if treatment_class not in colours:
        raise ValueError(f"treatment class {treatment_class!r} is not one of {', '.join(colours)}")
    return colours[treatment_class]
