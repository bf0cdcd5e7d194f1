"""Draw the rooms of the package from the layers in ``pyproject.toml``, which import-linter enforces.

Run as ``python -m psps_paper.site.architecture pyproject.toml book/_static/rooms.svg``.
"""

from __future__ import annotations

import argparse
import html
import re
import tomllib
from pathlib import Path
from typing import NamedTuple

from psps_paper.tables.files import write_atomically

PACKAGE = Path(__file__).resolve().parents[1]
WIDTH, ROW, NAME = 860, 26, 104
_STYLE = """
.page { fill: #ffffff } .room { fill: #fefefe; stroke: #1a1a1a; stroke-width: 1.2 }
.engine { fill: #dff2ea; stroke: #00734f; stroke-width: 1.4 } .arrow { stroke: #1a1a1a; stroke-width: 1.4; fill: none }
text { fill: #1a1a1a } .says { font-size: 12px; fill: #444444 }"""


class Layers(NamedTuple):
    """Rooms from the highest down, those at the same height together; and the rooms of the engine."""

    heights: list[list[str]]
    engine: frozenset[str]


def read_layers(settings: Path) -> Layers:
    """Read import-linter's layers from a ``pyproject.toml``, and the engine's rooms from its second contract."""
    contracts = tomllib.loads(settings.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    (layers,) = (contract for contract in contracts if contract["type"] == "layers")
    (apart,) = (contract for contract in contracts if contract["type"] == "forbidden")
    heights = [[part.strip(" ()") for part in re.split("[|:]", layer)] for layer in layers["layers"]]
    return Layers(heights, frozenset(module.partition(".")[2] for module in apart["source_modules"]))


def purpose(room: str) -> str:
    """Return the first line of a room's docstring, up to a semicolon and without markup."""
    path = PACKAGE / room / "__init__.py"
    source = (path if path.is_file() else PACKAGE / f"{room}.py").read_text(encoding="utf-8")
    first = source.removeprefix('"""').partition("\n")[0].removesuffix('"""')
    return re.sub(r":\w+:|`", "", first.partition("; ")[0]).rstrip(".")


def drawing(layers: Layers) -> str:
    """Draw the rooms as SVG, one above the other, each with its purpose."""
    rooms = [(room, k == 0) for height in layers.heights for k, room in enumerate(height)]
    height = len(rooms) * ROW + sum(first for _, first in rooms) * 6 + 18
    rows, y = [], 6
    for room, first in rooms:
        y += 6 if first else 0
        kind = "engine" if room in layers.engine else "room"
        middle = y + ROW / 2 + 4
        rows.append(
            f'<rect class="{kind}" x="40" y="{y}" width="{NAME}" height="{ROW - 2}" rx="5"/>'
            f'<text x="{40 + NAME / 2:g}" y="{middle:g}" text-anchor="middle">{room}</text>'
            f'<text class="says" x="{40 + NAME + 14}" y="{middle:g}">{html.escape(purpose(room))}</text>'
        )
        y += ROW
    names = ", ".join(" and ".join(height) for height in layers.heights)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="t d" \
font-family="'DejaVu Sans', Verdana, sans-serif" font-size="13">
<title id="t">Rooms of the package: imports run downward only</title>
<desc id="d">From the highest to the lowest: {names}.</desc>
<style>{_STYLE}
</style>
<rect class="page" x="0" y="0" width="{WIDTH}" height="{height}"/>
<path class="arrow" d="M20 12V{height - 12}M14 {height - 22}L20 {height - 12}L26 {height - 22}"/>
{chr(10).join(rows)}
</svg>
"""


def main(arguments: list[str] | None = None) -> int:
    """Draw the rooms of the package as an SVG file."""
    parser = argparse.ArgumentParser(prog="python -m psps_paper.site.architecture", description=main.__doc__)
    parser.add_argument("settings", type=Path, help="pyproject.toml")
    parser.add_argument("target", type=Path, help="SVG file to write")
    options = parser.parse_args(arguments)
    write_atomically(options.target, drawing(read_layers(options.settings)).encode())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
