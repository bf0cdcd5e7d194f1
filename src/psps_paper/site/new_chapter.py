"""Begin a chapter from a template: ``python -m psps_paper.site.new_chapter NAME``, or ``make chapter NAME=...``.

The template consists of a heading, a line on what the chapter extends, a cell that loads a table, a sentence, and a
cell that shows the table. It is executed and stored like every chapter.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import nbformat

from psps_paper.errors import ChapterError
from psps_paper.site.notebooks import execute, serialise
from psps_paper.tables.files import write_atomically

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LOADS = """from psps_paper.book.display import show
from psps_paper.tables.load import load_table

outcomes = load_table("outcomes")"""
_SHOWS = """show(outcomes[["outcome", "te_desirable"]], tier="printed", name="{name}",
     caption="The outcome, and the direction of its effects that is good for patients.")"""


def new_chapter(name: str, folder: Path) -> Path:
    """Write and execute a new chapter.

    Parameters
    ----------
    name : str
        Lower-case words joined by underscores; they become the file name and, with spaces, the heading.
    folder : Path
        The folder of chapters, ``book``.

    Returns
    -------
    Path
        The chapter; it still needs its line in ``_toc.yml``.

    Raises
    ------
    ValueError
        The name has another form, or a page of that name exists.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"NAME={name!r}: expected lower-case words joined by underscores, such as harms_by_age")
    path = folder / f"{name}.ipynb"
    for present in (path, path.with_suffix(".md")):
        if present.exists():
            raise ValueError(f"NAME={name}: {present} exists; expected a new name")
    heading = name.replace("_", " ").capitalize()
    code, text = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell
    cells = [
        text(f"# {heading}\n\n*Extends: Results.*"),
        code(_LOADS, metadata={"tags": ["hide-input"]}),
        text("What this chapter asks, and what it finds."),
        code(_SHOWS.format(name=name.replace("_", "-")), metadata={"tags": ["hide-input"]}),
    ]
    write_atomically(path, serialise(nbformat.v4.new_notebook(cells=cells), name))
    execute(path)
    return path


def main(arguments: list[str] | None = None) -> int:
    """Begin a chapter from a template and print the next step; return 2 if its name is not valid."""
    parser = argparse.ArgumentParser(prog="python -m psps_paper.site.new_chapter", description=main.__doc__)
    parser.add_argument("name", help="lower-case words joined by underscores")
    parser.add_argument("--folder", type=Path, default=Path("book"), help="folder of the chapters (default: book)")
    options = parser.parse_args(arguments)
    try:
        path = new_chapter(options.name, options.folder)
    except (ValueError, OSError, ChapterError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"wrote {path}; put this line under a part of _toc.yml:\n      - file: {options.folder.name}/{options.name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
