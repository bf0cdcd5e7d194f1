"""Compare the outputs of a build with the stored ones.

Run as ``python -m psps_paper.site.executed _build/jupyter_execute/book book``. A build executes every chapter for its
pages, whereas readers of the repository see the stored outputs. Any chapter and cell where the two differ by a byte is
named.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import nbformat

from psps_paper.site.notebooks import normalise

_GLUED = "application/papermill.record/"


def stale_outputs(executed: Path, stored: Path) -> list[str]:
    """List the cells of a stored chapter whose outputs differ from those of the build.

    Parameters
    ----------
    executed : Path
        The chapter as the build executed it, in ``_build/jupyter_execute``; its glued values are in ``NAME.glue.json``
        in the same folder.
    stored : Path
        The chapter in ``book/``.

    Returns
    -------
    list of str
        One sentence per cell or glued value; empty if all outputs are the same, to the last byte.
    """
    if not executed.is_file():
        return [f"{stored.name}: the build did not execute it"]
    notebooks = [nbformat.read(path, as_version=4) for path in (executed, stored)]
    fresh, kept = (normalise(notebook, stored.stem).cells for notebook in notebooks)
    beside = executed.with_name(f"{stored.stem}.glue.json")
    glued = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else {}
    found = []
    mine: dict[str, Any] = {}
    for position, (new, old) in enumerate(zip_longest(fresh, kept)):
        mine |= dict(_glued(old))
        if new is None or old is None or new.source != old.source:
            found.append(f"{stored.name}, cell {position}: changed since the build")
        elif new.get("outputs", []) != _shown(old):
            found.append(f"{stored.name}, cell {position}: the stored output is not what it gives now")
    given = {name: output["data"] for name, output in glued.items()}
    return found + [
        f"{stored.name}: the stored value of {name} is not what its cell gives now"
        for name in sorted(given.keys() | mine.keys())
        if mine.get(name) != given.get(name)
    ]


def _shown(cell: Any) -> list[Any]:
    """Return the outputs of a cell without the values that it glues, which a build removes."""
    return [output for output in cell.get("outputs", []) if "scrapbook" not in output.get("metadata", {})]


def _glued(cell: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and content of each value that a stored cell glues."""
    for output in cell.get("outputs", []) if cell else []:
        if "scrapbook" in output.get("metadata", {}):
            yield (
                output.metadata["scrapbook"]["name"],
                {kind.removeprefix(_GLUED): content for kind, content in output.data.items()},
            )


def main(arguments: list[str] | None = None) -> int:
    """Name every stored output that differs from that of the build; return 1 if there is one."""
    parser = argparse.ArgumentParser(prog="python -m psps_paper.site.executed", description=main.__doc__)
    parser.add_argument("executed", type=Path, help="folder of the chapters that the build executed")
    parser.add_argument("stored", type=Path, help="folder of the stored chapters")
    options = parser.parse_args(arguments)
    chapters = sorted(options.stored.glob("*.ipynb"))
    if not chapters:
        parser.error(f"no chapter (*.ipynb) in {options.stored}")
    found = [sentence for path in chapters for sentence in stale_outputs(options.executed / path.name, path)]
    for sentence in found:
        print(sentence, file=sys.stderr)
    if found:
        print("make notebooks executes the chapters and stores their outputs", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
