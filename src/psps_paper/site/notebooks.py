"""Execute the chapters in place, so that a second run changes no byte.

Run as ``python -m psps_paper.site.notebooks book``. Readers of the repository see the stored outputs, and a build
compares a fresh run with them (``site.executed``), so nothing in a stored chapter may depend on when, where or how
often it ran.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from psps_paper.errors import ChapterError
from psps_paper.tables.files import write_atomically

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def normalise(notebook: nbformat.NotebookNode, stem: str) -> nbformat.NotebookNode:
    """Reduce a notebook to the author's text and code and the outputs of its cells.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        A notebook of format version 4; it is changed in place.
    stem : str
        File name without its ending. Cell ids are ``<stem>-00``, ``<stem>-01`` and so on.

    Returns
    -------
    nbformat.NotebookNode
        The same notebook, whose metadata is reduced to the kernel and cell metadata to tags; transient fields of
        outputs are removed.
    """
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL})
    for position, cell in enumerate(notebook.cells):
        cell.id = f"{stem}-{position:02d}"
        cell.source = cell.source.strip("\n")
        tags = sorted(cell.metadata.get("tags", []))
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        cell.pop("attachments", None)
        for output in cell.get("outputs", []):
            output.pop("transient", None)
    return notebook


def serialise(notebook: nbformat.NotebookNode, stem: str) -> bytes:
    """Encode a chapter in normal form: keys sorted, indented by one space, UTF-8, one newline at the end."""
    text = nbformat.writes(normalise(notebook, stem), indent=1, sort_keys=True, ensure_ascii=False)
    return (text.rstrip("\n") + "\n").encode("utf-8")


def execute(path: Path, timeout: int = 120) -> bool:
    """Execute one chapter in a fresh kernel and write it back.

    Parameters
    ----------
    path : pathlib.Path
        An ``.ipynb`` file; its folder is the working directory of the kernel.
    timeout : int
        Seconds that a single cell may take.

    Returns
    -------
    bool
        Whether the file's bytes changed.

    Raises
    ------
    ChapterError
        A cell raises an error or writes to stderr; the file is left unchanged.
    """
    before = path.read_bytes()
    notebook = normalise(nbformat.reads(before.decode("utf-8"), as_version=4), path.stem)
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name=KERNEL["name"],
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute()
    except CellExecutionError as error:
        raise ChapterError(f"{path.name}: {error}") from None
    for position, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise ChapterError(f"{path.name}, cell {position}: wrote to stderr: {output.text.strip()}")
    after = serialise(notebook, path.stem)
    if after != before:
        write_atomically(path, after)
    return after != before


def main(arguments: list[str] | None = None) -> int:
    """Execute every chapter of a folder, or single chapters; return 1 if one of them fails."""
    parser = argparse.ArgumentParser(prog="python -m psps_paper.site.notebooks", description=main.__doc__)
    parser.add_argument("paths", nargs="+", type=Path, help="chapters, or folders that hold them")
    parser.add_argument("--jobs", type=int, default=2, help="chapters executed at a time (default: 2)")
    parser.add_argument("--timeout", type=int, default=120, help="seconds that a cell may take (default: 120)")
    options = parser.parse_args(arguments)

    chapters = [
        chapter for path in options.paths for chapter in (sorted(path.glob("*.ipynb")) if path.is_dir() else [path])
    ]
    if not chapters:
        parser.error(f"no chapter (*.ipynb) in {', '.join(map(str, options.paths))}")
    failed = 0
    with ProcessPoolExecutor(options.jobs) as pool:
        runs = {chapter: pool.submit(partial(execute, chapter, options.timeout)) for chapter in chapters}
        for chapter, run in runs.items():
            try:
                print(f"{chapter}: {'changed' if run.result() else 'unchanged'}", flush=True)
            except (ChapterError, OSError, ValueError) as error:
                failed += 1
                print(error if str(chapter) in str(error) else f"{chapter}: {error}", file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
