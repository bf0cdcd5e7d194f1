"""The network of comparisons, and its league table as a heat map."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.patches import FancyBboxPatch, Rectangle

from psps_paper.figures import layout, palette, style
from psps_paper.figures.drawing import Drawing
from psps_paper.figures.style import INK, MUTED, PAPER, Width
from psps_paper.formatting import interval, number

if TYPE_CHECKING:
    import networkx as nx  # each function that needs it imports it: it is slow to load

# Ends of the heat map; the middle is near-white so that cells carry dark text in both themes.
TOWARDS_COLUMN, NEUTRAL, TOWARDS_ROW = "#d98a3d", "#f4f4f4", "#3f93c9"


@style.styled
def network_graph(
    edges: pd.DataFrame,
    *,
    classes: dict[str, str] | None = None,
    width: Width = "double",
    name: str = "network_graph",
) -> Drawing:
    """Network of direct comparisons; line width shows the number of studies.

    Parameters
    ----------
    edges : DataFrame [treat1, treat2, n_studies, n_estimates]
        One row a comparison. ``n_estimates`` may be missing where the article does not print it.
    classes : dict, optional
        Treatment class of each treatment; without it the treatments are classes themselves.

    Notes
    -----
    The largest subnetwork is drawn at the top; every other one below it with dashed lines.

    Raises
    ------
    ValueError
        Unknown class, a comparison of a treatment with itself or listed twice, or fewer than one
        study.
    """
    import networkx as nx

    where = "network_graph"
    columns = ["treat1", "treat2", "n_studies", "n_estimates"]
    data = style.table(edges, columns, where)[columns]
    style.check_numbers(data, ["n_studies"], where, at_least=1)
    style.check_numbers(data, ["n_estimates"], where, missing_allowed=True, at_least=1)
    graph = nx.Graph()
    for row in data.itertuples():
        if row.treat1 == row.treat2 or graph.has_edge(row.treat1, row.treat2):
            raise ValueError(
                f"{where}: row {row.Index + 1}: {row.treat1!r} vs {row.treat2!r} is not a new "
                "comparison of two treatments"
            )
        graph.add_edge(row.treat1, row.treat2, studies=row.n_studies, estimates=row.n_estimates)
    colours = {
        t: palette.class_colour(c) for t, c in style.class_of(graph.nodes, classes).items()
    }
    parts = sorted(nx.connected_components(graph), key=lambda part: (-len(part), sorted(part)))
    data["subnetwork"] = [
        next(i for i, part in enumerate(parts, 1) if t in part) for t in data["treat1"]
    ]

    size = layout.font_size(width)
    total_width = layout.page_width(width)
    wide = width == "double"
    room = (11.5 if wide else 9.5) * size
    text = {t: layout.wrap(t, room, size) for t in graph.nodes}
    box = {
        t: (layout.block_width(s, size) + 1.6 * size,
            layout.line_count(s) * layout.line_height(size) + 1.2 * size)
        for t, s in text.items()
    }
    heights = [_part_height(graph.subgraph(part), wide, size) for part in parts]
    note = 3.6 * size
    height = sum(heights) + note * (len(parts) - 1) + 4
    figure, canvas = layout.page(width, height)
    top = height - 2
    most = max(studies for _, _, studies in graph.edges(data="studies"))
    for index, (part, part_height) in enumerate(zip(parts, heights, strict=True)):
        if index:
            layout.write(
                canvas, total_width / 2, top - 0.65 * note,
                "separate subnetwork, not connected to the others", size, ha="center", color=MUTED,
            )
            top -= note
        places = _places(graph.subgraph(part), box, total_width, part_height, size)
        places = {t: (x, top - part_height + y) for t, (x, y) in places.items()}
        # a set has no order that is the same in every run
        pairs = sorted((*sorted(pair), graph.edges[pair]) for pair in map(tuple, graph.subgraph(part).edges))
        for first, second, edge in pairs:
            (x1, y1), (x2, y2) = places[first], places[second]
            canvas.plot(
                [x1, x2], [y1, y2], color=MUTED, zorder=1, solid_capstyle="butt",
                linewidth=1.2 + 6.8 * edge["studies"] / most, linestyle="-" if index == 0 else (0, (2, 1)),
            )
            middle = _middle(places[first], box[first], places[second], box[second])
            layout.write(
                canvas, *middle, _edge_label(edge["studies"], edge["estimates"], "\n"), size,
                ha="center", zorder=3, bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.5},
            )
        for treatment in sorted(part):
            (x, y), (w, h) = places[treatment], box[treatment]
            canvas.add_patch(
                FancyBboxPatch(
                    (x - w / 2, y - h / 2), w, h, boxstyle=f"round,pad=0,rounding_size={0.5 * size}",
                    facecolor=PAPER, edgecolor=colours[treatment], linewidth=2.6, zorder=2,
                )
            )
            layout.write(canvas, x, y, text[treatment], size, ha="center", zorder=3)
        top -= part_height

    sentences = []
    for index, part in enumerate(parts, 1):
        described = [
            f"{row.treat1} versus {row.treat2} ({_edge_label(row.n_studies, row.n_estimates)})"
            for row in data[data["subnetwork"] == index].itertuples()
        ]
        head = "Network" if index == 1 else "Separate subnetwork"
        sentences.append(
            f"{head} of {len(part)} treatments and {style.plural(len(described), 'comparison')}: "
            f"{style.listed(described)}"
        )
    return Drawing(name, figure, data, ". ".join(sentences) + ".")


def _edge_label(studies: float, estimates: float, separator: str = " ") -> str:
    first = style.plural(studies, "study", "studies")
    if pd.isna(estimates):
        return first
    return f"{first},{separator}{style.plural(estimates, 'estimate')}"


def _hub(part: nx.Graph):
    """The treatment that every other one is compared with, and with nothing else; or None."""
    if len(part) < 3 or part.number_of_edges() != len(part) - 1:
        return None
    return next((t for t in sorted(part) if part.degree(t) == len(part) - 1), None)


def _part_height(part: nx.Graph, wide: bool, size: float) -> float:
    if len(part) == 2:
        return 6.0 * size
    if _hub(part) is not None and len(part) == 3:
        return 22 * size
    return (24 if wide else 28) * size


def _places(part: nx.Graph, box: dict, total: float, height: float, size: float) -> dict:
    """Centre of each treatment's box, inside ``total`` by ``height`` points."""
    treatments = sorted(part)
    half_width = max(w for w, _ in (box[t] for t in treatments)) / 2
    half_height = max(h for _, h in (box[t] for t in treatments)) / 2
    centre = (total / 2, height / 2)
    reach = (total / 2 - half_width - 3, height / 2 - half_height - 3)
    if len(treatments) == 2:
        reach_x = min(reach[0], 17 * size)
        first, second = treatments
        return {first: (centre[0] - reach_x, centre[1]), second: (centre[0] + reach_x, centre[1])}
    reach = (min(reach[0], 21 * size), reach[1])
    hub = _hub(part)
    ring = [t for t in treatments if t != hub]
    # The busiest comparison points upwards.
    if hub is not None:
        ring.sort(key=lambda t: -part.edges[hub, t]["studies"])
    angles = [math.pi / 2 - 2 * math.pi * index / len(ring) for index in range(len(ring))]
    # The lowest treatments go to the very bottom, for the longest lines that the height allows.
    lowest = -min(math.sin(angle) for angle in angles)
    places = {hub: centre} if hub is not None else {}
    for treatment, angle in zip(ring, angles, strict=True):
        x, y = math.cos(angle), math.sin(angle)
        places[treatment] = (
            centre[0] + reach[0] * x, centre[1] + reach[1] * (y if y > 0 else y / lowest)
        )
    return places


def _middle(first, first_box, second, second_box) -> tuple[float, float]:
    """Middle of the visible part of a line between two boxes."""
    start, end = np.array(first), np.array(second)
    step = end - start

    def leave(size) -> float:
        with np.errstate(divide="ignore"):
            return float(np.min(np.array(size) / 2 / np.maximum(np.abs(step), 1e-9)))

    share = (leave(first_box) + 1 - leave(second_box)) / 2
    return tuple(float(v) for v in start + share * step)


@style.styled
def league_heat(
    te: pd.DataFrame,
    lower: pd.DataFrame,
    upper: pd.DataFrame,
    *,
    desirable: str,
    unit: str = "standardised mean difference",
    level: float = 0.95,
    width: Width = "double",
    name: str = "league_heat",
) -> Drawing:
    """League table: every pair of treatments, row minus column, shaded by who is favoured.

    Parameters
    ----------
    te, lower, upper : DataFrame [treatment x treatment]
        Row minus column, as in ``NetworkFit``; treatments are drawn in the order given.
    desirable : {"lower", "higher"}
        Whether a lower or a higher ``te`` is good for the first-named treatment.
    unit : str
        Unit of ``te``.
    level : float
        Of the interval.
    """
    where = "league_heat"
    favoured = favours_first(desirable)
    for frame, part in ((te, "te"), (lower, "lower"), (upper, "upper")):
        style.check_matrix(frame, f"{where}, {part}")
        if list(frame.index) != list(te.index):
            raise ValueError(f"{where}: {part} holds other treatments than te: {list(frame.index)}")
    treatments = list(te.index)
    records = [
        (r, c, float(te.loc[r, c]), float(lower.loc[r, c]), float(upper.loc[r, c]))
        for r in treatments for c in treatments if r != c
    ]
    data = pd.DataFrame(records, columns=["row", "column", "te", "lower", "upper"])

    size = layout.font_size(width)
    small = size if width == "double" else 7.0
    total_width = layout.page_width(width)
    cell = total_width / len(treatments)
    # The diagonal is bold only where bold names fit.
    diagonal = "bold" if width == "double" else "normal"
    texts = {t: layout.wrap(t, cell - 6, small, diagonal) for t in treatments}
    lines = max(3, *(layout.line_count(text) for text in texts.values()))
    cell_height = lines * layout.line_height(small) + 1.4 * size
    sign, word = (">", "above") if favoured == "positive" else ("<", "below")
    orientation = (
        f"Each cell: row treatment minus column treatment, {unit} ({100 * level:g}% confidence "
        f"interval). A value {word} 0 favours the row treatment (blue), otherwise the column "
        "treatment (orange). Bold: the interval excludes 0."
    )
    caption = layout.wrap(orientation, total_width - 4, size)
    caption_height = layout.line_count(caption) * layout.line_height(size) + size
    height = cell_height * len(treatments) + caption_height + 4
    figure, canvas = layout.page(width, height)
    shade = LinearSegmentedColormap.from_list("league", [TOWARDS_COLUMN, NEUTRAL, TOWARDS_ROW])
    largest = data["te"].abs().max()
    for i, row in enumerate(treatments):
        for j, column in enumerate(treatments):
            left, top = j * cell, height - 2 - i * cell_height
            corner = (left + 1, top - cell_height + 1)
            middle = (left + cell / 2, top - cell_height / 2)
            if row == column:
                canvas.add_patch(
                    Rectangle(corner, cell - 2, cell_height - 2, facecolor="none", edgecolor=INK,
                              linewidth=0.8)
                )
                layout.write(canvas, *middle, texts[row], small, ha="center", weight=diagonal)
                continue
            value, low, high = te.loc[row, column], lower.loc[row, column], upper.loc[row, column]
            toward_row = (value if favoured == "positive" else -value) / largest if largest else 0.0
            fill = NEUTRAL if pd.isna(value) else to_hex(shade(0.5 + 0.5 * toward_row))
            canvas.add_patch(
                Rectangle(corner, cell - 2, cell_height - 2, facecolor=fill, edgecolor="none")
            )
            weight = "bold" if low * high > 0 else "normal"
            text = (
                "not\nestimable" if pd.isna(value)
                else f"{number(value)}\n"
                + layout.wrap(interval(low, high), cell - 6, small, weight)
            )
            layout.write(
                canvas, *middle, text, small, ha="center", color=palette.text_on(fill),
                weight=weight,
            )
    layout.write(canvas, 2, caption_height - size, caption, size, va="top", color=INK)
    alt = [
        f"{r.row} minus {r.column} " + (
            "not estimable" if pd.isna(r.te)
            else f"{number(r.te)} ({interval(r.lower, r.upper)})"
        )
        for r in data.itertuples() if treatments.index(r.row) < treatments.index(r.column)
    ]
    return Drawing(
        name, figure, data,
        f"League table, {unit} with {100 * level:g}% confidence interval; a value {word} 0 favours "
        f"the first-named treatment: " + "; ".join(alt) + ".",
    )


def favours_first(desirable: str) -> str:
    """Sign of first minus second that is good for the first: "positive" or "negative"."""
    if desirable not in ("lower", "higher"):
        raise ValueError(f"desirable={desirable!r}: expected 'lower' or 'higher'")
    return "positive" if desirable == "higher" else "negative"
