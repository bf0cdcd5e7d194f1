"""PRISMA 2020 flow diagram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from psps_paper.figures import layout, style
from psps_paper.figures.drawing import Drawing
from psps_paper.figures.style import GRID, INK, Width

STAGES = ("identification", "screening", "eligibility", "included", "synthesis")
SIDES = ("main", "excluded", "added")


def _count(box: pd.Series) -> str:
    """Write ``n = 708``, with a remark if the count is not printed or is implied by others."""
    if pd.isna(box["n"]):
        return "n not printed"
    return f"n = {int(box['n'])}" + ("" if box["tier"] == "printed" else f", {box['tier']}")


@dataclass(frozen=True)
class _Sheet:
    """The columns of a diagram, in points from the left: stages, main boxes, side boxes."""

    size: float
    total: float

    @property
    def strip(self) -> float:
        return 2.0 * self.size

    @property
    def arrow(self) -> float:
        """Length of an arrow from one main box to the next."""
        return 2.4 * self.size

    @property
    def pad(self) -> float:
        return 0.7 * self.size

    @property
    def main(self) -> tuple[float, float]:
        """Left edge and width of the main boxes."""
        left, gap = self.strip + self.size, 2.6 * self.size
        return left, 0.5 * (self.total - left - gap)

    @property
    def side(self) -> tuple[float, float]:
        """Left edge and width of the side boxes."""
        left, width = self.main
        left += width + 2.6 * self.size
        return left, self.total - left - 1

    def caption(self, box: pd.Series, room: float) -> str:
        return f"{layout.wrap(box['label'], room - 2 * self.pad, self.size)}\n({_count(box)})"

    def height(self, caption: str) -> float:
        return layout.line_count(caption) * layout.line_height(self.size) + 2 * self.pad


@dataclass(frozen=True, eq=False)
class _Level:
    """A main box and the side boxes at its height, with their captions; the height of the level in points."""

    main: pd.Series
    caption: str
    sides: list[tuple[pd.Series, str]]
    stacked: float  # height of the side boxes
    height: float


@dataclass(frozen=True)
class _Box:
    left: float
    top: float
    width: float
    height: float
    text: str


@dataclass(frozen=True)
class _Arrow:
    start: tuple[float, float]
    end: tuple[float, float]


@style.styled
def prisma_flow(prisma: pd.DataFrame, *, width: Width = "double", name: str = "prisma_flow") -> Drawing:
    """Draw the flow of records, from the search to the synthesis.

    Parameters
    ----------
    prisma : DataFrame [stage, box, label, n, side, order]
        ``stage`` is one of :data:`STAGES`, in that order as ``order`` grows. ``side`` is "main" for
        a box of the main column; "excluded" for records that leave the main box before it; "added" for
        records that join the main box after it. ``n`` may be missing, which the box then states.
        Optional column ``tier``; counts of tiers other than "printed" show its name.

    Raises
    ------
    ValueError
        Naming row, column and value: unknown stage or side, a negative or fractional ``n``, a
        repeated ``order``, or an "excluded" (an "added") box with no main box before (after) it.

    Source: Page et al. 2021 (PRISMA 2020), flow diagram.
    """
    boxes = _checked(prisma)
    sheet = _Sheet(layout.font_size(width), layout.page_width(width))
    levels = _with_room_for_stages([_level(main, sides, sheet) for main, sides in _levels(boxes)], sheet)
    height = sum(level.height for level in levels) + sheet.arrow * (len(levels) - 1) + 4
    figure, canvas = layout.page(width, height)
    for shape in _shapes(levels, sheet, height - 2):
        if isinstance(shape, _Box):
            _draw_box(canvas, shape, sheet)
        else:
            _draw_arrow(canvas, shape)
    for stage, (upper, lower) in _stages(levels, sheet, height - 2).items():
        _draw_stage(canvas, stage, upper, lower, sheet)
    return Drawing(name, figure, boxes, f"Flow of records through the review. {'. '.join(map(_in_words, levels))}.")


def _checked(prisma: pd.DataFrame) -> pd.DataFrame:
    """Check the boxes and sort them by ``order``."""
    where = "prisma_flow"
    boxes = style.table(prisma, ["box", "stage", "label", "n", "side", "order"], where)
    if "tier" not in boxes.columns:
        boxes["tier"] = "printed"
    boxes = boxes[["box", "stage", "label", "n", "side", "order", "tier"]]
    style.check_values(boxes, "tier", style.TIER_MARKERS, where)
    style.check_values(boxes, "stage", STAGES, where)
    style.check_values(boxes, "side", SIDES, where)
    style.check_numbers(boxes, ["n"], where, missing_allowed=True, at_least=0)
    style.check_numbers(boxes, ["order"], where)
    fractional = boxes["n"].notna() & (boxes["n"].astype(float) % 1 != 0)
    if fractional.any():
        bad = boxes[fractional].iloc[0]
        raise ValueError(f"{where}: row of box {bad['box']!r}, column n: {bad['n']!r} is not a count")
    if boxes["order"].duplicated().any():
        bad = boxes[boxes["order"].duplicated()].iloc[0]
        raise ValueError(f"{where}: box {bad['box']!r}, column order: {bad['order']!r} is repeated")
    return boxes.sort_values("order", ignore_index=True)


def _levels(boxes: pd.DataFrame) -> list[tuple[pd.Series, list[pd.Series]]]:
    """List the main boxes from top to bottom, each with the side boxes at its height."""
    levels: list[tuple[pd.Series, list[pd.Series]]] = []
    waiting: list[pd.Series] = []
    for _, box in boxes.iterrows():
        if box["side"] == "main":
            levels.append((box, waiting))
            waiting = []
        elif box["side"] == "added":
            waiting.append(box)
        elif not levels:
            raise ValueError(f"prisma_flow: box {box['box']!r}, column side: no main box before it")
        else:
            levels[-1][1].append(box)
    if waiting:
        raise ValueError(f"prisma_flow: box {waiting[0]['box']!r}, column side: no main box after it")
    return levels


def _level(main: pd.Series, sides: Sequence[pd.Series], sheet: _Sheet) -> _Level:
    caption = sheet.caption(main, sheet.main[1])
    captioned = [(box, sheet.caption(box, sheet.side[1])) for box in sides]
    stacked = sum(sheet.height(text) for _, text in captioned) + 0.8 * sheet.size * max(len(captioned) - 1, 0)
    return _Level(main, caption, captioned, stacked, max(sheet.height(caption), stacked))


def _with_room_for_stages(levels: list[_Level], sheet: _Sheet) -> list[_Level]:
    """Make the boxes of a stage higher if its name, written upwards, would not fit beside them."""
    added = {}
    for stage in {level.main["stage"] for level in levels}:
        members = [level for level in levels if level.main["stage"] == stage]
        # The last stage has no arrow below it.
        arrows = len(members) - (members[-1] is levels[-1])
        room = sum(level.height for level in members) + arrows * sheet.arrow - 3
        missing = layout.text_width(stage, sheet.size) + sheet.size - room
        added[stage] = max(missing, 0) / len(members)
    return [replace(level, height=level.height + added[level.main["stage"]]) for level in levels]


def _shapes(levels: Sequence[_Level], sheet: _Sheet, top: float) -> list[_Box | _Arrow]:
    """Place boxes and arrows of all levels, downwards from ``top``."""
    (main_left, main_width), (side_left, side_width) = sheet.main, sheet.side
    middle = main_left + main_width / 2
    shapes: list[_Box | _Arrow] = []
    for level in levels:
        shapes.append(_Box(main_left, top, main_width, level.height, level.caption))
        side_top = top - (level.height - level.stacked) / 2
        for box, text in level.sides:
            height = sheet.height(text)
            shapes.append(_Box(side_left, side_top, side_width, height, text))
            y = side_top - height / 2
            ends = [(main_left + main_width, y), (side_left, y)]
            shapes.append(_Arrow(*(ends if box["side"] == "excluded" else ends[::-1])))
            side_top -= height + 0.8 * sheet.size
        bottom = top - level.height
        if level is not levels[-1]:
            shapes.append(_Arrow((middle, bottom), (middle, bottom - sheet.arrow)))
        top = bottom - sheet.arrow
    return shapes


def _stages(levels: Sequence[_Level], sheet: _Sheet, top: float) -> dict[str, tuple[float, float]]:
    """Compute the upper and lower end of each stage, downwards from ``top``."""
    spans: dict[str, tuple[float, float]] = {}
    for level in levels:
        bottom = top - level.height
        upper = spans.get(level.main["stage"], (top, bottom))[0]
        spans[level.main["stage"]] = (upper, max(bottom - sheet.arrow + 3, 1))
        top = bottom - sheet.arrow
    return spans


def _draw_box(canvas: Axes, box: _Box, sheet: _Sheet) -> None:
    corner = (box.left, box.top - box.height)
    canvas.add_patch(Rectangle(corner, box.width, box.height, facecolor="none", edgecolor=INK, linewidth=1.0))
    layout.write(canvas, box.left + sheet.pad, box.top - box.height / 2, box.text, sheet.size)


def _draw_arrow(canvas: Axes, arrow: _Arrow) -> None:
    line = {"color": INK, "linewidth": 1.0, "shrinkA": 0, "shrinkB": 0}
    head = {"arrowstyle": "-|>,head_width=0.25,head_length=0.45"}
    canvas.annotate("", xy=arrow.end, xytext=arrow.start, arrowprops=head | line)


def _draw_stage(canvas: Axes, stage: str, upper: float, lower: float, sheet: _Sheet) -> None:
    """Draw a box at the left edge with the stage's name, written upwards."""
    outline = {"facecolor": "none", "edgecolor": GRID, "linewidth": 1.0}
    canvas.add_patch(Rectangle((1, lower), sheet.strip - 1, upper - lower, **outline))
    place = (0.5 * sheet.strip + 0.5, (upper + lower) / 2)
    layout.write(canvas, *place, stage, sheet.size, rotation=90, ha="center", va="center")


def _in_words(level: _Level) -> str:
    sides = [
        f"{'leaving' if box['side'] == 'excluded' else 'joining'} – {_count_in_words(box)}" for box, _ in level.sides
    ]
    return ", ".join([_count_in_words(level.main), *sides])


def _count_in_words(box: pd.Series) -> str:
    return f"{box['label'].rstrip('.')}: {_count(box).removeprefix('n = ')}"
