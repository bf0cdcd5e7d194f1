"""The engine's computing time by size of network."""

from __future__ import annotations

import pandas as pd
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from psps_paper.figures import layout, style
from psps_paper.figures.drawing import Drawing
from psps_paper.figures.style import GRID, INK, MUTED, Width
from psps_paper.formatting import number

MARKERS = "osD^vPX"


@style.styled
def time_growth(growth: pd.DataFrame, *, width: Width = "double", name: str = "time_growth") -> Drawing:
    """Draw the time of a fit by the number of studies, one line per number of treatments, on logarithmic axes.

    Parameters
    ----------
    growth : DataFrame [treatments, studies, times_smallest]
        Time of each fit divided by that of the smallest network. At most seven numbers of treatments, each with the
        same two or more numbers of studies.

    Returns
    -------
    Drawing
        Data: the columns above, by treatments and studies.
    """
    where = "time_growth"
    columns = ["treatments", "studies", "times_smallest"]
    data = style.table(growth, columns, where)[columns]
    style.check_numbers(data, columns, where, above=0)
    data = data.sort_values(columns[:2], ignore_index=True)
    lines = [(int(n), line) for n, line in data.groupby("treatments")]
    studies = lines[0][1]["studies"].tolist()
    if not 2 <= len(set(studies)) == len(studies) or any(line["studies"].tolist() != studies for _, line in lines):
        raise ValueError(f"{where}: expected the same two or more numbers of studies for each number of treatments")
    if len(lines) > len(MARKERS):
        raise ValueError(f"{where}: {len(lines)} numbers of treatments; expected at most {len(MARKERS)}")

    size, total = layout.font_size(width), layout.page_width(width)
    keys = [
        layout.Key(f"{n} treatments", INK, marker=marker)
        for (n, _), marker in zip(reversed(lines), MARKERS, strict=False)
    ]
    note = layout.wrap("Height: time over that of the smallest network. Both axes are logarithmic.", total - 4, size)
    remark = layout.line_count(note) * layout.line_height(size) + 0.5 * size
    legend = layout.legend_height(keys, total, size) + 0.4 * size
    left, plot, bottom = 4.2 * size, 17 * size, 3.6 * size
    top = legend + remark + plot + bottom
    figure, canvas = layout.page(width, top)
    layout.legend(canvas, keys, 1, top, total, size)
    layout.write(canvas, 1, top - legend, note, size, va="top")
    axes = layout.panel(figure, left, bottom, total - left - 2.4 * size, plot, size)
    axes.set(xscale="log", yscale="log", xlim=(0.85 * min(studies), 1.18 * max(studies)))
    for (_, line), marker in zip(reversed(lines), MARKERS, strict=False):
        axes.plot(line["studies"], line["times_smallest"], color=MUTED, linewidth=1.2, zorder=2)
        for row in line.itertuples():
            axes.plot(row.studies, row.times_smallest, **layout.marker_style(marker, INK, True, 5))
    shown = studies if width == "double" else studies[:: max(1, len(studies) - 1)]
    plain = FuncFormatter(lambda value, _: f"{value:,.0f}")
    axes.xaxis.set(major_locator=FixedLocator(shown), minor_locator=NullLocator(), major_formatter=plain)
    axes.yaxis.set(minor_locator=NullLocator(), major_formatter=plain)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    layout.name_horizontal_axis(axes, "Studies", size)
    ends = "; ".join(
        f"{n} treatments, {number(line['times_smallest'].iloc[0], 1)} to {number(line['times_smallest'].iloc[-1], 1)}"
        for n, line in lines
    )
    return Drawing(
        name,
        figure,
        data,
        f"Time of a fit, over that of the smallest network, from {studies[0]:,} to {studies[-1]:,} studies: {ends}.",
    )
