"""PRISMA 2020 flow diagram."""

from __future__ import annotations

import pandas as pd
from matplotlib.patches import Rectangle

from psps_paper.figures import layout, style
from psps_paper.figures.drawing import Drawing
from psps_paper.figures.style import GRID, INK, Width

STAGES = ("identification", "screening", "eligibility", "included", "synthesis")
SIDES = ("main", "excluded", "added")


def _count(box: pd.Series) -> str:
    """``n = 708``; says where a count is not printed, or not printed but implied by others."""
    if pd.isna(box["n"]):
        return "n not printed"
    return f"n = {int(box['n'])}" + ("" if box["tier"] == "printed" else f", {box['tier']}")


@style.styled
def prisma_flow(prisma: pd.DataFrame, *, width: Width = "double", name: str = "prisma_flow") -> Drawing:
    """Flow of records, from the search to the synthesis.

    Parameters
    ----------
    prisma : DataFrame [stage, box, label, n, side, order]
        ``stage`` is one of :data:`STAGES`, in that order as ``order`` grows. ``side`` is "main" for
        a box of the column; "excluded" for records that leave the main box before it; "added" for
        records that join the main box after it. ``n`` may be missing: the box then says so.
        Optional column ``tier``; a count of another tier than "printed" carries its name.

    Raises
    ------
    ValueError
        Naming row, column and value: unknown stage or side, a negative or fractional ``n``, a
        repeated ``order``, or an "excluded" (an "added") box with no main box before (after) it.

    Source: Page et al. 2021 (PRISMA 2020), flow diagram.
    """
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
    boxes = boxes.sort_values("order", ignore_index=True)
    levels = _levels(boxes, where)

    size = layout.font_size(width)
    total = layout.page_width(width)
    strip, gap, pad = 2.0 * size, 2.6 * size, 0.7 * size
    main_left = strip + size
    main_width = 0.5 * (total - main_left - gap)
    side_left = main_left + main_width + gap
    side_width = total - side_left - 1

    def height(caption: str) -> float:
        return layout.line_count(caption) * layout.line_height(size) + 2 * pad

    def caption(box: pd.Series, room: float) -> str:
        return f"{layout.wrap(box['label'], room - 2 * pad, size)}\n({_count(box)})"

    plans = []
    for level in levels:
        main_text = caption(level["main"], main_width)
        sides = [(box, caption(box, side_width)) for box in level["sides"]]
        stacked = sum(height(text) for _, text in sides) + 0.8 * size * max(len(sides) - 1, 0)
        plans.append([level, main_text, sides, max(height(main_text), stacked), stacked])
    arrow = 2.4 * size
    _make_room_for_stages(plans, arrow, size)
    total_height = sum(plan[3] for plan in plans) + arrow * (len(plans) - 1) + 4

    figure, canvas = layout.page(width, total_height)
    arrow_style = {
        "arrowstyle": "-|>,head_width=0.25,head_length=0.45",
        "color": INK,
        "linewidth": 1.0,
        "shrinkA": 0,
        "shrinkB": 0,
    }

    def connect(start: tuple[float, float], end: tuple[float, float]) -> None:
        canvas.annotate("", xy=end, xytext=start, arrowprops=arrow_style)

    def box_at(left: float, top: float, box_width: float, box_height: float, text: str) -> None:
        canvas.add_patch(
            Rectangle(
                (left, top - box_height),
                box_width,
                box_height,
                facecolor="none",
                edgecolor=INK,
                linewidth=1.0,
            )
        )
        layout.write(canvas, left + pad, top - box_height / 2, text, size)

    top = total_height - 2
    spans: dict[str, list[float]] = {}
    middle = main_left + main_width / 2
    for index, (level, main_text, sides, level_height, stacked) in enumerate(plans):
        box_at(main_left, top, main_width, level_height, main_text)
        side_top = top - (level_height - stacked) / 2
        for box, text in sides:
            box_at(side_left, side_top, side_width, height(text), text)
            y = side_top - height(text) / 2
            ends = [(main_left + main_width, y), (side_left, y)]
            connect(*(ends if box["side"] == "excluded" else ends[::-1]))
            side_top -= height(text) + 0.8 * size
        bottom = top - level_height
        if index + 1 < len(plans):
            connect((middle, bottom), (middle, bottom - arrow))
        span = spans.setdefault(level["main"]["stage"], [top, bottom])
        span[1] = bottom
        top = bottom - arrow
    for stage, (upper, lower) in spans.items():
        canvas.add_patch(
            Rectangle(
                (1, max(lower - arrow + 3, 1)),
                strip - 1,
                upper - max(lower - arrow + 3, 1),
                facecolor="none",
                edgecolor=GRID,
                linewidth=1.0,
            )
        )
        layout.write(
            canvas,
            0.5 * strip + 0.5,
            (upper + max(lower - arrow + 3, 1)) / 2,
            stage,
            size,
            rotation=90,
            ha="center",
            va="center",
        )

    def phrase(box: pd.Series) -> str:
        return f"{box['label'].rstrip('.')}: {_count(box).removeprefix('n = ')}"

    sentences = []
    for level in levels:
        parts = [phrase(level["main"])]
        parts += [f"{'leaving' if box['side'] == 'excluded' else 'joining'} – {phrase(box)}" for box in level["sides"]]
        sentences.append(", ".join(parts))
    alt = "Flow of records through the review. " + ". ".join(sentences) + "."
    return Drawing(name, figure, boxes, alt)


def _make_room_for_stages(plans: list[list], arrow: float, size: float) -> None:
    """Heighten the boxes of a stage whose name, written upwards, would not fit beside them."""
    for stage in {plan[0]["main"]["stage"] for plan in plans}:
        members = [plan for plan in plans if plan[0]["main"]["stage"] == stage]
        # The last stage has no arrow below it.
        arrows = len(members) - (members[-1] is plans[-1])
        room = sum(plan[3] for plan in members) + arrows * arrow - 3
        missing = layout.text_width(stage, size) + size - room
        for plan in members:
            plan[3] += max(missing, 0) / len(members)


def _levels(boxes: pd.DataFrame, where: str) -> list[dict]:
    """Main boxes from top to bottom, each with the side boxes at its height."""
    levels: list[dict] = []
    waiting: list[pd.Series] = []
    for _, box in boxes.iterrows():
        if box["side"] == "main":
            levels.append({"main": box, "sides": waiting})
            waiting = []
        elif box["side"] == "added":
            waiting.append(box)
        elif not levels:
            raise ValueError(f"{where}: box {box['box']!r}, column side: no main box before it")
        else:
            levels[-1]["sides"].append(box)
    if waiting:
        raise ValueError(f"{where}: box {waiting[0]['box']!r}, column side: no main box after it")
    return levels
