"""The network of comparisons."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.patches import Circle, FancyBboxPatch

from psps_paper.figures import layout as layout_module
from psps_paper.figures import palette, style
from psps_paper.figures.drawing import Drawing
from psps_paper.figures.style import MUTED, PAPER, Width
from psps_paper.network.model import NetworkFit
from psps_paper.network.orientation import orient

if TYPE_CHECKING:
    import networkx as nx  # imported in the functions that need it, because it is slow to load
    from matplotlib.axes import Axes


@style.styled
def network_graph(
    edges: pd.DataFrame,
    *,
    classes: dict[str, str] | None = None,
    sizes: pd.Series | None = None,
    sized_by: str = "patients",
    width: Width = "double",
    name: str = "network_graph",
) -> Drawing:
    """Draw the network of direct comparisons; line width shows the number of studies.

    Parameters
    ----------
    edges : DataFrame [treat1, treat2, n_studies, n_estimates]
        One row per comparison. ``n_estimates`` may be missing if the article does not print it.
    classes : dict, optional
        Treatment class of each treatment; by default each treatment is its own class.
    sizes : Series by treatment, optional
        Numbers, such as patients, that set the areas of dots; treatments are then always dots.
    sized_by : str
        Name of these numbers.

    Notes
    -----
    The largest subnetwork is drawn at the top, the others below it with dashed lines. Names are inside the network
    if they and the numbers fit without touching. Otherwise treatments are dots on a ring, with their names beside it
    (or below it, numbered, if the figure is narrow), lines show only the number of studies, and numbers that still do
    not fit are given only in the data. If dots have sizes, the comparator of most treatments is in the middle of the
    ring.

    Raises
    ------
    ValueError
        Unknown class, a comparison of a treatment with itself or listed twice, fewer than one study, or a treatment
        without a size.
    """
    data, graph = _compared(edges)
    areas = None if sizes is None else _shares(sizes, graph)
    if sizes is not None:
        data = data.assign(**{f"{sized_by}{k}": data[f"treat{k}"].map(sizes) for k in (1, 2)})
    colours = style.treatment_colours(graph.nodes, classes)
    parts = _parts(graph)
    data["subnetwork"] = [next(i for i, part in enumerate(parts, 1) if t in part) for t in data["treat1"]]

    size = layout_module.font_size(width)
    middle = layout_module.page_width(width) / 2
    layouts = [_layout(graph.subgraph(part), width, areas) for part in parts]
    note = 3.6 * size
    height = sum(layout.height for layout in layouts) + note * (len(parts) - 1) + 4
    figure, canvas = layout_module.page(width, height)
    top = height - 2
    most = max(studies for _, _, studies in graph.edges(data="studies"))
    for index, layout in enumerate(layouts):
        if index:
            text = "separate subnetwork, not connected to the others"
            layout_module.write(canvas, middle, top - 0.65 * note, text, size, ha="center", color=MUTED)
            top -= note
        top -= layout.height
        _draw_part(canvas, layout.up(top), most, colours, size, "-" if index == 0 else (0, (2, 1)))

    sentences = [
        _in_words(data[data["subnetwork"] == index], part, "Network" if index == 1 else "Separate subnetwork")
        for index, part in enumerate(parts, 1)
    ]
    if sizes is not None:
        said = [f"{t} {sizes[t]:,.0f}" for t in sorted(graph)]
        sentences.append(f"{sized_by[0].upper()}{sized_by[1:]}: {style.listed(said)}")
    return Drawing(name, figure, data, ". ".join(sentences) + ".")


def _shares(sizes: pd.Series, graph: nx.Graph) -> dict[str, float]:
    """Compute each treatment's size as a proportion of the largest."""
    for treatment in sorted(graph):
        size = sizes.get(treatment, math.nan)
        if not 0 < size < math.inf:
            raise ValueError(f"network_graph: sizes: {treatment!r} has {size}, not a finite number above 0")
    most = max(float(sizes[t]) for t in graph)
    return {t: float(sizes[t]) / most for t in graph}


def _compared(edges: pd.DataFrame) -> tuple[pd.DataFrame, nx.Graph]:
    """Check the rows of :func:`network_graph`, and return them also as a graph."""
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
    return data, graph


def _parts(graph: nx.Graph) -> list[set[str]]:
    """List the treatments of each subnetwork, the largest first."""
    import networkx as nx

    return sorted(nx.connected_components(graph), key=lambda part: (-len(part), sorted(part)))


def _in_words(rows: pd.DataFrame, part: set[str], head: str) -> str:
    described = [
        f"{row.treat1} versus {row.treat2} ({_edge_label(row.n_studies, row.n_estimates)})" for row in rows.itertuples()
    ]
    count = style.plural(len(described), "comparison")
    return f"{head} of {len(part)} treatments and {count}: {style.listed(described)}"


def _edge_label(studies: float, estimates: float, separator: str = " ") -> str:
    first = style.plural(studies, "study", "studies")
    if pd.isna(estimates):
        return first
    return f"{first},{separator}{style.plural(estimates, 'estimate')}"


Point = tuple[float, float]
PAD = 1.5  # around the text on a line, on each side
SPARSE = 20  # number of lines up to which numbers also avoid other lines


@dataclass(frozen=True)
class _Text:
    """A text, the size of the area that it covers, and its centre."""

    text: str
    place: Point
    size: Point

    def touches(self, other: _Text) -> bool:
        return all(
            abs(a - b) < (m + n) / 2 for a, b, m, n in zip(self.place, other.place, self.size, other.size, strict=True)
        )

    def at(self, place: Point) -> _Text:
        return replace(self, place=place)


@dataclass(frozen=True)
class _Layout:
    """A part of the network, in points from its lower left: treatments, texts on lines, and positions of names."""

    height: float
    nodes: dict[str, Point]
    names: dict[str, _Text]
    lines: dict[tuple[str, str], tuple[float, _Text | None]]  # number of studies, and the text if it fits
    dots: dict[str, _Text] | None = None  # if names are beside the ring
    keys: dict[str, _Text] | None = None  # numbers of the names below, inside the dots or outside them
    note: str = ""
    bottom: float = 0.0

    def up(self, points: float) -> _Layout:
        """Return a copy moved up the page by ``points``."""

        def moved(text: _Text) -> _Text:
            return text.at((text.place[0], text.place[1] + points))

        return replace(
            self,
            nodes={t: (x, y + points) for t, (x, y) in self.nodes.items()},
            names={t: moved(name) for t, name in self.names.items()},
            lines={pair: (n, None if text is None else moved(text)) for pair, (n, text) in self.lines.items()},
            dots=None if self.dots is None else {t: moved(dot) for t, dot in self.dots.items()},
            keys=None if self.keys is None else {t: moved(key) for t, key in self.keys.items()},
            bottom=self.bottom + points,
        )


def _block(text: str, size: float, across: float, along: float) -> _Text:
    return _Text(
        text,
        (0, 0),
        (
            layout_module.block_width(text, size) + across,
            layout_module.line_count(text) * layout_module.line_height(size) + along,
        ),
    )


def _layout(part: nx.Graph, width: Width, areas: dict[str, float] | None) -> _Layout:
    """Lay out names inside the network if nothing touches and dots have no sizes, otherwise beside a ring."""
    if areas is not None:
        return _ring(part, width, areas)
    framed = _framed(part, width)
    things = [*framed.names.values(), *(text for _, text in framed.lines.values())]
    clear = not any(one.touches(other) for one, other in itertools.combinations(things, 2))
    passing = any(
        _passes(framed.nodes[first], framed.nodes[second], name)
        for first, second in framed.lines
        for treatment, name in framed.names.items()
        if treatment not in (first, second)
    )
    return framed if clear and not passing else _ring(part, width, None)


def _passes(start: Point, end: Point, box: _Text) -> bool:
    """Return whether a line crosses a box."""
    shares = np.linspace(0, 1, 101)[:, None]
    path = np.array(start) + shares * (np.array(end) - np.array(start)) - np.array(box.place)
    return bool((np.abs(path) < np.array(box.size) / 2).all(axis=1).any())


def _pairs(part: nx.Graph) -> list[tuple[str, str]]:
    # the order of a set differs between runs
    return sorted(tuple(sorted(pair)) for pair in part.edges)


def _framed(part: nx.Graph, width: Width) -> _Layout:
    size, wide = layout_module.font_size(width), width == "double"
    room = (11.5 if wide else 9.5) * size
    names = {t: _block(layout_module.wrap(t, room, size), size, 1.6 * size, 1.2 * size) for t in part}
    height = _part_height(part, wide, size)
    places = _places(part, {t: name.size for t, name in names.items()}, layout_module.page_width(width), height, size)
    lines = {}
    for first, second in _pairs(part):
        edge = part.edges[first, second]
        label = _block(_edge_label(edge["studies"], edge["estimates"], "\n"), size, 2 * PAD, 2 * PAD)
        middle = _middle(places[first], names[first].size, places[second], names[second].size)
        lines[first, second] = edge["studies"], label.at(middle)
    return _Layout(height, places, {t: name.at(places[t]) for t, name in names.items()}, lines)


def _ring(part: nx.Graph, width: Width, areas: dict[str, float] | None) -> _Layout:
    """Lay out treatments as dots on a circle, clockwise from the top by name, equal or with proportional areas.

    A treatment with which most others are compared, and whose dot would cover its neighbours, is in the middle.
    """
    size, total, wide = layout_module.font_size(width), layout_module.page_width(width), width == "double"
    everyone, hub = sorted(part), None if areas is None else _crowded(part, areas)
    treatments = [t for t in everyone if t != hub]
    dot = (2.2 if areas is None else 4 if wide else 3) * size
    radius = min(max(15 * size, len(treatments) * 1.25 * dot / math.pi), 0.29 * total if wide else total / 2 - dot)
    dot = min(dot, 1.8 * radius * math.sin(math.pi / len(treatments)))  # neighbours do not touch
    turns = {t: 2 * math.pi * (k + 0.5) / len(treatments) for k, t in enumerate(treatments)}

    def around(reach: float) -> dict[str, Point]:
        ring = {t: (total / 2 + reach * math.sin(turn), reach * math.cos(turn)) for t, turn in turns.items()}
        return ring if hub is None else ring | {hub: (total / 2, 0.0)}

    across = {t: dot if areas is None else dot * math.sqrt(areas[t]) for t in everyone}
    beyond = 0.0 if wide or areas is None else dot / 2 + 0.8 * size  # small dots have no room for a number
    # A ring of few has nothing at its very top and bottom
    extent = radius if areas is None else max(abs(y) for _, y in around(radius).values())
    if wide:
        names, low, high = _beside({t: around(radius)[t] for t in treatments}, radius, total, size)
        if hub is not None:
            name = _block(layout_module.wrap(hub, radius, size), size, 2 * PAD, 2 * PAD)
            names[hub] = name.at((total / 2, -across[hub] / 2 - name.size[1] / 2))
    else:
        names, low, high = _below(around(radius), extent + dot + beyond, total, size)
    lift = -min(low, -extent - dot) + 3.4 * size  # room for the note
    nodes, outer = ({t: (x, y + lift) for t, (x, y) in around(r).items()} for r in (radius, radius + beyond))
    names = {t: name.at((name.place[0], name.place[1] + lift)) for t, name in names.items()}
    dots = {t: _Text("", nodes[t], (across[t], across[t])) for t in everyone}
    keys = None if wide else {t: _block(str(k), size, 0, 0).at(outer[t]) for k, t in enumerate(everyone, 1)}
    taken = [*dots.values(), *([names[hub]] if wide and hub is not None else [])]
    lines = _numbered(part, nodes, taken, size)
    left_out = sum(text is None for _, text in lines.values())
    note = "On each line: number of studies" + (f"; {left_out} without room are in the data" if left_out else "")
    note = layout_module.wrap(note, total - 4, size)
    return _Layout(lift + max(high, extent + dot + beyond), nodes, names, lines, dots, keys, note)


MANY, MOST = 8, 2 / 3  # treatments of a ring with a place for all; share of the others that one is compared with


def _crowded(part: nx.Graph, areas: dict[str, float]) -> str | None:
    """The treatment with which most others of many are compared, if its dot has room for a number; or None."""
    hub = max(sorted(part), key=part.degree)
    return hub if len(part) > MANY and part.degree(hub) >= MOST * (len(part) - 1) and areas[hub] >= 0.25 else None


def _beside(
    around: dict[str, Point], radius: float, total: float, size: float
) -> tuple[dict[str, _Text], float, float]:
    """Place names left and right of a ring around (total / 2, 0), in the order of the dots, and return their extent."""
    gap, names, low, high = 3 * size, {}, 0.0, 0.0
    room = total / 2 - radius - gap - 2
    for side in (-1, 1):
        listed = sorted(
            (t for t, (x, _) in around.items() if (x - total / 2 > 1e-9) == (side > 0)), key=lambda t: -around[t][1]
        )
        blocks = {t: _block(layout_module.wrap(t, room, size), size, 0, 0.5 * size) for t in listed}
        places, limit = [], math.inf
        for t in listed:
            places.append(min(around[t][1], limit - blocks[t].size[1] / 2))
            limit = places[-1] - blocks[t].size[1] / 2
        shift = sum(around[t][1] - y for t, y in zip(listed, places, strict=True)) / max(len(listed), 1)
        for t, y in zip(listed, places, strict=True):
            across, along = blocks[t].size
            names[t] = blocks[t].at((total / 2 + side * (radius + gap + across / 2), y + shift))
            low, high = min(low, y + shift - along / 2), max(high, y + shift + along / 2)
    return names, low, high


def _below(around: dict[str, Point], reach: float, total: float, size: float) -> tuple[dict[str, _Text], float, float]:
    """Place names below a ring around (total / 2, 0), each after its number; return also their extent."""
    names, low = {}, -reach - 1.5 * size
    for k, t in enumerate(sorted(around), 1):
        text = layout_module.wrap(f"{k}\N{NO-BREAK SPACE}\N{NO-BREAK SPACE}{t}", total - 4, size)
        block = _block(text, size, 0, 0.3 * size)
        names[t] = block.at((2 + block.size[0] / 2, low - block.size[1] / 2))
        low -= block.size[1]
    return names, low, reach


def _numbered(
    part: nx.Graph, nodes: dict[str, Point], taken: list[_Text], size: float
) -> dict[tuple[str, str], tuple[float, _Text | None]]:
    """Place the number of studies of each line as near to its middle as possible without touching anything.

    In a small network it also avoids other lines. Short lines come first, because they have the least choice.
    """
    taken, lines, pairs = list(taken), {}, _pairs(part)
    for pair in sorted(pairs, key=lambda pair: (round(math.dist(nodes[pair[0]], nodes[pair[1]]), 6), pair)):
        studies = part.edges[pair]["studies"]
        start, end = np.array(nodes[pair[0]]), np.array(nodes[pair[1]])
        others = [other for other in pairs if other != pair] if len(pairs) <= SPARSE else []
        label = _block(str(int(studies)), size, 2 * PAD + 2, 2 * PAD + 2 - 0.3 * size)
        shares = [0.5 + sign * step / 40 for step in range(15) for sign in (-1, 1)]
        free = [
            one
            for one in (label.at(tuple((start + share * (end - start)).tolist())) for share in shares)
            if not any(one.touches(other) for other in taken)
        ]
        apart = (one for one in free if not any(_passes(nodes[first], nodes[second], one) for first, second in others))
        placed = next(apart, free[0] if free else None)
        taken += [placed] if placed else []
        lines[pair] = studies, placed
    return {pair: lines[pair] for pair in pairs}


def _draw_part(
    canvas: Axes, layout: _Layout, most: float, colours: dict[str, str], size: float, dashes: str | tuple
) -> None:
    """Draw lines, with widths in proportion to ``most`` studies, and treatments on them."""
    thick = 6.8 if layout.dots is None else min(3.8, 70 / len(layout.lines))
    for (first, second), (studies, label) in layout.lines.items():
        across, along = zip(layout.nodes[first], layout.nodes[second], strict=True)
        line = {"linewidth": 1.2 + thick * studies / most, "linestyle": dashes, "solid_capstyle": "butt"}
        canvas.plot(across, along, color=MUTED, zorder=1, **line)
        if label is not None:
            patch = {"facecolor": PAPER, "edgecolor": "none", "pad": PAD}
            layout_module.write(canvas, *label.place, label.text, size, ha="center", zorder=3, bbox=patch)
    for treatment in sorted(layout.nodes):
        name, colour = layout.names[treatment], colours[treatment]
        if layout.dots is None:
            _draw_framed(canvas, name, colour, size)
        else:
            key = None if layout.keys is None else layout.keys[treatment]
            _draw_dot(canvas, layout.dots[treatment], key, name, colour, size)
    if layout.note:
        layout_module.write(canvas, 2, layout.bottom + 1.4 * size, layout.note, size, color=MUTED)


def _draw_framed(canvas: Axes, name: _Text, colour: str, size: float) -> None:
    """Draw a treatment as its name in a box."""
    (x, y), (across, along) = name.place, name.size
    shape = f"round,pad=0,rounding_size={0.5 * size}"
    line = {"edgecolor": colour, "linewidth": 2.6, "zorder": 2}
    corner = (x - across / 2, y - along / 2)
    canvas.add_patch(FancyBboxPatch(corner, across, along, boxstyle=shape, facecolor=PAPER, **line))
    layout_module.write(canvas, x, y, name.text, size, ha="center", zorder=3)


def _draw_dot(canvas: Axes, dot: _Text, key: _Text | None, name: _Text, colour: str, size: float) -> None:
    """Draw a treatment as a dot, with its name after the dot's number or at the end of a thin line."""
    (x, y), (left, level), across = dot.place, name.place, name.size[0]
    canvas.add_patch(Circle((x, y), dot.size[0] / 2, facecolor=colour, edgecolor=PAPER, linewidth=1, zorder=2))
    if key is not None:
        ink = {"color": palette.text_on(colour)} if key.place == dot.place else {}
        layout_module.write(canvas, *key.place, key.text, size, ha="center", zorder=3, **ink)
        layout_module.write(canvas, left - across / 2, level, name.text, size)
        return
    if left == x:  # in the middle of the ring
        patch = {"facecolor": PAPER, "edgecolor": "none", "pad": PAD}
        layout_module.write(canvas, left, level, name.text, size, ha="center", zorder=3, bbox=patch)
        return
    right = left > x
    near = left - across / 2 if right else left + across / 2
    canvas.plot([x, near + (-3 if right else 3)], [y, level], color=MUTED, linewidth=0.6, zorder=0)
    layout_module.write(canvas, near, level, name.text, size, ha="left" if right else "right")


def _hub(part: nx.Graph):
    """Return the treatment that is the only comparator of all others, or None."""
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
    """Compute the centre of each treatment's box, inside ``total`` by ``height`` points."""
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
    # The lowest treatments go to the bottom, for the longest lines that the height allows.
    lowest = -min(math.sin(angle) for angle in angles)
    places = {hub: centre} if hub is not None else {}
    for treatment, angle in zip(ring, angles, strict=True):
        x, y = math.cos(angle), math.sin(angle)
        places[treatment] = (centre[0] + reach[0] * x, centre[1] + reach[1] * (y if y > 0 else y / lowest))
    return places


def _middle(first, first_box, second, second_box) -> tuple[float, float]:
    """Compute the middle of the visible part of a line between two boxes."""
    start, end = np.array(first), np.array(second)
    step = end - start

    def leave(size) -> float:
        with np.errstate(divide="ignore"):
            return float(np.min(np.array(size) / 2 / np.maximum(np.abs(step), 1e-9)))

    share = (leave(first_box) + 1 - leave(second_box)) / 2
    return tuple(float(v) for v in start + share * step)


def network_of(fit: NetworkFit, *, name: str = "network_of", **options) -> Drawing:
    """Draw the network graph of a fit with any treatments.

    Parameters
    ----------
    fit : NetworkFit
        A fit of studies, not of pooled contrasts.
    options
        As in :func:`network_graph`; ``classes`` may give each treatment its own colour (#rrggbb).

    Returns
    -------
    Drawing
        As from :func:`network_graph`.
    """
    pairs = orient(fit.contrasts, fit.treatments).groupby(["treat1", "treat2"])["study"]
    edges = pairs.agg(n_studies="nunique", n_estimates="size").reset_index()
    return network_graph(
        edges, name=name, **{"classes": dict.fromkeys(fit.treatments, palette.TOWARDS_FIRST)} | options
    )
