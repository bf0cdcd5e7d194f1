"""What all forest plots share: where their parts lie on the page, the axis, the null line and what its sides favour."""

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
    """What the left and the right side of the null line favour.

    ``desirable`` says whether a lower or a higher value is good for ``first``.
    """
    ends = (f"favours {second}", f"favours {first}")
    return ends if style.favours_first(desirable) == "positive" else ends[::-1]


@dataclass(frozen=True)
class Page:
    """A page as wide as asked for, and what the sides of the null line favour, wrapped to it."""

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
        """Room under the panel for ticks, the name of the axis, and what its sides favour."""
        lines = max(map(layout.line_count, self.sides)) if self.wide else 2
        return 3.3 * self.size + (1.9 * self.size + lines * self.line)

    def row_height(self, label: str, beside: int, padding: float) -> float:
        """Height of a row with ``beside`` lines of numbers next to its label, or below it on a narrow page."""
        lines, numbers = layout.line_count(label) * self.line, beside * self.line
        return (max(lines, numbers) if self.wide else lines + numbers) + padding * self.size


@dataclass(frozen=True)
class Frame:
    """Where the panel lies: ``left`` of it labels, ``bottom`` below it the axis, in points; and the rows' heights."""

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
        """Where numbers end."""
        return self.page.total - 1

    def tops(self) -> list[float]:
        """Upper edge of each row."""
        found, top = [], self.top
        for height in self.heights:
            found.append(top)
            top -= height
        return found

    def bands(self, labels: Sequence[str]) -> list[tuple[float, float]]:
        """Where the null line is drawn: all along, or on a narrow page below the label of each row."""
        if self.page.wide:
            return [(self.bottom, self.top)]
        line, gap = self.page.line, 0.5 * self.page.size
        return [
            (top - height, top - layout.line_count(label) * line - gap)
            for top, height, label in zip(self.tops(), self.heights, labels, strict=True)
        ]

    def span(self, values: Iterable[float]) -> tuple[float, float]:
        """Limits of the axis around values and 0, with room for what both sides of the null line favour."""
        low, high = style.nice_limits([*values, 0.0])
        if not self.page.wide:
            return low, high
        half = max(layout.block_width(side, self.page.size) for side in self.page.sides)
        return _room_for_labels(low, high, half + 8, self.left, self.page.total - self.left, self.across)

    def height(self, above: float) -> float:
        """Height of a page with ``above`` points over the panel."""
        return above + self.body + self.bottom + 2

    def open(self, above: float) -> tuple[Figure, Axes, Axes]:
        """The figure, a canvas of all of it and the panel, with ``above`` points over the panel."""
        figure, canvas = layout.page(self.page.width, self.height(above))
        axes = layout.panel(figure, self.left, self.bottom, self.across, self.body, self.page.size)
        axes.set(ylim=(self.bottom, self.top), yticks=[])
        axes.spines["left"].set_visible(False)
        return figure, canvas, axes

    def close(self, canvas: Axes, axes: Axes, name: str, null: float) -> None:
        """Write the name of the axis and what each side of ``null`` favours."""
        size = self.page.size
        half = layout.text_width(name, size) / 2 + 1
        middle = min(max(self.left + self.across / 2, half), self.page.total - half)
        layout.write(canvas, middle, self.bottom - 2.4 * size, name, size, ha="center")
        _write_favours(canvas, axes, self, null, self.bottom - 3.5 * size)


def number_axis(axes: Axes, page: Page) -> None:
    """Ticks at round numbers, as many as the page has room for."""
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6 if page.wide else 4))


def ratio_axis(axes: Axes, page: Page, span: tuple[float, float], place: Callable[[float], float]) -> None:
    """Ticks at round ratios between exp(low) and exp(high), ``place`` being where the axis has a ratio."""
    ticks = _ratio_ticks(*span, 6 if page.wide else 4)
    axes.xaxis.set_major_locator(FixedLocator([place(tick) for tick in ticks]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{tick:g}" for tick in ticks])


def prediction_line(axes: Axes, lower: float, upper: float, y: float) -> None:
    """A thin line with end ticks, wider than the confidence interval that lies on it."""
    axes.plot([lower, upper], [y, y], color=MUTED, linewidth=1.2, marker="|", markersize=7, zorder=2)


def null_line(axes: Axes, null: float, bands: list[tuple[float, float]]) -> None:
    """The null line, left out where labels stand above the rows."""
    for low, high in bands:
        axes.plot([null, null], [low, high], color=INK, linewidth=0.9, zorder=1)


def heterogeneity_line(tau2: float, i2: float, q: float, df_q: float, p_q: float) -> str:
    """Heterogeneity in one line; where there are no degrees of freedom, only that."""
    if not df_q > 0:
        return "Heterogeneity cannot be estimated from one study."
    return f"tau² {number(tau2, 3)}, I² {number(100 * i2, 0)} %, Q = {number(q)}, df {df_q:g}, {p_text(p_q)}"


def p_text(p: float) -> str:
    """A p-value with its sign of equality; nothing for one that does not exist."""
    shown = "" if np.isnan(p) else p_value(p)
    return shown if not shown else f"p {shown}" if shown[0] in "<>" else f"p = {shown}"


def _write_favours(canvas: Axes, axes: Axes, frame: Frame, null: float, y: float) -> None:
    """What each side of the null line favours: beside arrows that leave it, or on two lines."""
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
    """Widen the limits until the null line has ``needed`` points to either end of the page.

    ``before`` points lie left of the axes, ``after`` points from the axes' left edge to the page's
    right edge; ``width`` is the axes' own.
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
    """Round numbers inside exp(low) to exp(high), no more than ``most``, always with 1."""
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [m * 10.0**e for e in range(-6, 7) for m in steps if low <= np.log(m * 10.0**e) <= high]
        if len(ticks) <= most:
            break
    while len(ticks) > most:
        ticks = [t for t in ticks if round(np.log10(t)) % 2 == 0]
    return [round(t, 9) for t in ticks]
