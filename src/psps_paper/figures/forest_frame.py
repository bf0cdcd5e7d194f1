"""Shared parts of all forest plots: the layout of the page, the axis, the null line and its labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from psps_paper.figures import layout, style
from psps_paper.figures.style import INK, MUTED, Width
from psps_paper.formatting import number, p_value


def favours_labels(first: str, second: str, desirable: str) -> tuple[str, str]:
    """Label the left and the right side of the null line by the treatment that they favour.

    ``desirable`` states whether a lower or a higher value is better for ``first``.
    """
    ends = (f"favours {second}", f"favours {first}")
    return ends if style.favours_first(desirable) == "positive" else ends[::-1]


@dataclass(frozen=True)
class Page:
    """A page of a given width, with the labels of both sides of the null line wrapped to it."""

    width: Width
    sides: tuple[str, str]

    @classmethod
    def of(cls, width: Width, sides: tuple[str, str]) -> Page:
        size = layout.font_size(width)
        if width != "double":
            return cls(width, sides)
        left, right = (layout.wrap(side, 0.4 * layout.page_width(width), size) for side in sides)
        return cls(width, (left, right))

    @property
    def wide(self) -> bool:
        """Return whether labels and numbers have room beside the plot."""
        return self.width == "double"

    @property
    def size(self) -> float:
        return layout.font_size(self.width)

    @property
    def total(self) -> float:
        return layout.page_width(self.width)

    @property
    def line(self) -> float:
        return layout.line_height(self.size)

    @property
    def axis_height(self) -> float:
        """Space below the panel for ticks, the name of the axis, and the labels of both sides."""
        lines = max(map(layout.line_count, self.sides)) if self.wide else 2
        return 3.3 * self.size + (1.9 * self.size + lines * self.line)

    def row_height(self, label: str, beside: int, padding: float) -> float:
        """Compute the height of a row with ``beside`` lines of numbers, next to its label or, if narrow, below it."""
        lines, numbers = layout.line_count(label) * self.line, beside * self.line
        return (max(lines, numbers) if self.wide else lines + numbers) + padding * self.size


@dataclass(frozen=True)
class Frame:
    """The position of the panel: space for labels (``left``) and axis (``bottom``), in points; and heights of rows."""

    page: Page
    left: float
    bottom: float
    across: float
    heights: Sequence[float]

    @property
    def body(self) -> float:
        return sum(self.heights)

    @property
    def top(self) -> float:
        return self.bottom + self.body

    @property
    def right(self) -> float:
        """Right edge of the numbers."""
        return self.page.total - 1

    def tops(self) -> list[float]:
        """Return the upper edge of each row."""
        found, top = [], self.top
        for height in self.heights:
            found.append(top)
            top -= height
        return found

    def bands(self, labels: Sequence[str]) -> list[tuple[float, float]]:
        """Return where to draw the null line: over the full height or, if narrow, below the label of each row."""
        if self.page.wide:
            return [(self.bottom, self.top)]
        line, gap = self.page.line, 0.5 * self.page.size
        return [
            (top - height, top - layout.line_count(label) * line - gap)
            for top, height, label in zip(self.tops(), self.heights, labels, strict=True)
        ]

    def span(self, values: Iterable[float]) -> tuple[float, float]:
        """Compute axis limits around values and 0, with room for the labels of both sides of the null line."""
        low, high = style.nice_limits([*values, 0.0])
        if not self.page.wide:
            return low, high
        half = max(layout.block_width(side, self.page.size) for side in self.page.sides)
        return _room_for_labels(low, high, half + 8, self.left, self.page.total - self.left, self.across)

    def height(self, above: float) -> float:
        """Return the height of a page with ``above`` points over the panel."""
        return above + self.body + self.bottom + 2

    def open(self, above: float) -> tuple[Figure, Axes, Axes]:
        """Create the figure, a canvas that covers it, and the panel, with ``above`` points over the panel."""
        figure, canvas = layout.page(self.page.width, self.height(above))
        axes = layout.panel(figure, self.left, self.bottom, self.across, self.body, self.page.size)
        axes.set(ylim=(self.bottom, self.top), yticks=[])
        axes.spines["left"].set_visible(False)
        return figure, canvas, axes

    def close(self, canvas: Axes, axes: Axes, name: str, null: float) -> None:
        """Write the name of the axis and the labels of both sides of ``null``."""
        size = self.page.size
        half = layout.text_width(name, size) / 2 + 1
        middle = min(max(self.left + self.across / 2, half), self.page.total - half)
        layout.write(canvas, middle, self.bottom - 2.4 * size, name, size, ha="center")
        _write_favours(canvas, axes, self, null, self.bottom - 3.5 * size)


def number_axis(axes: Axes, page: Page) -> None:
    """Set ticks at round numbers, as many as fit on the page."""
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6 if page.wide else 4))


def ratio_axis(axes: Axes, page: Page, span: tuple[float, float], place: Callable[[float], float]) -> None:
    """Set ticks at round ratios between exp(low) and exp(high); ``place`` gives the position of a ratio."""
    ticks = _ratio_ticks(*span, 6 if page.wide else 4)
    axes.xaxis.set_major_locator(FixedLocator([place(tick) for tick in ticks]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{tick:g}" for tick in ticks])


def prediction_line(axes: Axes, lower: float, upper: float, y: float) -> None:
    """Draw a thin line with end ticks, wider than the confidence interval on top of it."""
    axes.plot([lower, upper], [y, y], color=MUTED, linewidth=1.2, marker="|", markersize=7, zorder=2)


def null_line(axes: Axes, null: float, bands: list[tuple[float, float]]) -> None:
    """Draw the null line, interrupted where labels are above the rows."""
    for low, high in bands:
        axes.plot([null, null], [low, high], color=INK, linewidth=0.9, zorder=1)


def heterogeneity_line(tau2: float, i2: float, q: float, df_q: float, p_q: float) -> str:
    """Describe heterogeneity in one line, or state that there are no degrees of freedom."""
    if not df_q > 0:
        return "Heterogeneity cannot be estimated from one study."
    return f"tau² {number(tau2, 3)}, I² {number(100 * i2, 0)} %, Q = {number(q)}, df {df_q:g}, {p_text(p_q)}"


def p_text(p: float) -> str:
    """Write a p-value with its relation; empty if there is none."""
    shown = "" if np.isnan(p) else p_value(p)
    return shown if not shown else f"p {shown}" if shown[0] in "<>" else f"p = {shown}"


def _write_favours(canvas: Axes, axes: Axes, frame: Frame, null: float, y: float) -> None:
    """Write the labels of both sides of the null line, beside arrows away from it or on two lines."""
    left, width, size, sides = frame.left, frame.across, frame.page.size, frame.page.sides
    if not frame.page.wide:
        y -= 0.6 * size
        right = max(left + width, layout.text_width(f"{sides[1]} →", size) + 1)
        layout.write(canvas, 1, y, f"← {sides[0]}", size)
        layout.write(canvas, right, y - layout.line_height(size), f"{sides[1]} →", size, ha="right")
        return
    share = axes.transLimits.transform((axes.transScale.transform((null, 1))[0], 0))[0]
    middle = left + share * width
    arrow = {"arrowstyle": "->", "color": MUTED, "linewidth": 1.0, "shrinkA": 0, "shrinkB": 0}
    canvas.annotate("", xy=(left, y), xytext=(middle - 4, y), arrowprops=arrow)
    canvas.annotate("", xy=(left + width, y), xytext=(middle + 4, y), arrowprops=arrow)
    for text, x, align in ((sides[0], middle - 5, "right"), (sides[1], middle + 5, "left")):
        layout.write(canvas, x, y - 0.5 * size, text, size, ha=align, va="top")


def _room_for_labels(
    low: float, high: float, needed: float, before: float, after: float, width: float
) -> tuple[float, float]:
    """Widen the limits until the null line is ``needed`` points from either end of the page.

    ``before`` is the space left of the axes, ``after`` the distance from the axes' left edge to the page's
    right edge, and ``width`` the width of the axes, in points.
    """
    needed = min(needed, 0.48 * (before + after))
    null = -low / (high - low) * width
    if null + before < needed:
        share = min((needed - before) / width, 0.6)
        low = -share * high / (1 - share)
    elif after - null < needed:
        share = max((after - needed) / width, 0.4)
        high = -low * (1 - share) / share
    return low, high


def _ratio_ticks(low: float, high: float, most: int) -> list[float]:
    """Choose round numbers between exp(low) and exp(high), at most ``most``, always including 1."""
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [m * 10.0**e for e in range(-6, 7) for m in steps if low <= np.log(m * 10.0**e) <= high]
        if len(ticks) <= most:
            break
    while len(ticks) > most:
        ticks = [t for t in ticks if round(np.log10(t)) % 2 == 0]
    return [round(t, 9) for t in ticks]
