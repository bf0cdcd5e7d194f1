"""A disk that fills up during writing: nothing is lost, truncated or left behind.

The disk is simulated by a limit on the bytes that ``tables/files.py`` can write, since all writing goes through that
module (test_writing.py).
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from helpers import copy_data
from interrupted import Disk, contents, left_behind
from living_examples import examples
from psps_paper.cli.main import main
from psps_paper.living.exports import export
from psps_paper.living.importing import convert
from psps_paper.living.new_review import new_review
from psps_paper.living.reading import table_from_bytes
from psps_paper.living.store import write_trials
from psps_paper.site import notebooks
from sizes import cases

pytestmark = pytest.mark.slow

LEVELS = 14


def _record_checksums(folder: Path) -> Callable[[], object]:
    data = copy_data(folder)
    recorded = data / "checksums.sha256"
    recorded.write_bytes(recorded.read_bytes().partition(b"\n")[2])  # one table is not recorded yet
    return lambda: main(["tables", "--record", "--data", str(data)])


def _import(folder: Path) -> Callable[[], object]:
    data = copy_data(folder)
    name, content, options = examples()["netmeta"]
    result = convert(table_from_bytes(name, content), options, data)
    return lambda: write_trials(result, data, replace_printed=True)


def _export(folder: Path) -> Callable[[], object]:
    (folder / "source").mkdir()
    add_trials = _import(folder / "source")
    data = folder / "source" / "data"
    export(data, folder / "out")
    add_trials()
    return lambda: export(data, folder / "out")


def _review(folder: Path) -> Callable[[], object]:
    new_review(folder / "mine")
    settings = folder / "mine" / "review.yml"
    text = settings.read_text(encoding="utf-8")
    title = next(line for line in text.splitlines() if line.startswith("title:"))
    settings.write_text(text.replace(title, "title: Another"), encoding="utf-8")
    return lambda: new_review(folder / "mine")


def _chapter(folder: Path) -> Callable[[], object]:
    cells = [nbformat.v4.new_code_cell("print('x' * 300_000)")]
    path = folder / "a.ipynb"
    path.write_bytes(notebooks.serialise(nbformat.v4.new_notebook(cells=cells), "a"))
    return lambda: notebooks.execute(path)


class _Client:
    """A stand-in for a kernel whose cell prints."""

    def __init__(self, notebook, **_):
        self.notebook = notebook

    def execute(self) -> None:
        output = nbformat.v4.new_output("stream", name="stdout", text="x" * 300_000)
        self.notebook.cells[0].update(execution_count=1, outputs=[output])


@pytest.mark.long
@pytest.mark.parametrize("prepare", [_record_checksums, _import, _export, _review, _chapter])
def test_no_file_is_lost_at_any_fill_level(tmp_path, monkeypatch, capsys, prepare):
    """``make long`` tries every level."""
    monkeypatch.setattr(notebooks, "NotebookClient", _Client)
    monkeypatch.delenv("PSPS_BUILD_CACHE", raising=False)  # it would take room too
    start = tmp_path / "start"
    start.mkdir()
    act = prepare(start)
    before = contents(start)
    kept = Path(shutil.copytree(start, tmp_path / "kept", symlinks=True))

    def on(disk: Disk) -> bool:
        with monkeypatch.context() as patched:
            patched.setattr(Path, "open", lambda path, *args, **kwargs: disk.open(path, *args, **kwargs))
            try:
                return act() != 2
            except OSError as error:
                assert error.errno == errno.ENOSPC and error.filename, "the message names the file"
                return False

    whole = Disk(float("inf"))
    assert on(whole)
    after = contents(start)
    assert after != before and whole.taken > 100
    for level in range(0, LEVELS, cases(3, 1)):
        shutil.rmtree(start)
        shutil.copytree(kept, start, symlinks=True)
        assert not on(Disk(whole.taken * level / LEVELS))
        assert contents(start) == before, f"at {level} of {LEVELS}"
        assert not left_behind(start)
    assert on(Disk(whole.taken)) and contents(start) == after
    if prepare is _record_checksums:
        assert "No space left on device" in capsys.readouterr().err
