"""Commands killed at random moments: afterwards the old state or the new one, never a mixture, and the same command again
works.

Kills at every single step of the writers are tried in test_integrity.py. ``make long`` kills each command a hundred
times, and the build of a review twenty times.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from helpers import ROOT
from psps_paper.cli.main import main
from psps_paper.ensemble import load_witnesses, published_results
from psps_paper.living import exports, importing, new_review, store  # noqa: F401 - loaded once, here
from psps_paper.site import notebooks
from sizes import cases

pytestmark = pytest.mark.slow

PLAIN = ROOT / "tests" / "attacks" / "plain.csv"
LEFT = {".part", ".new", ".previous", ".also"}


def contents(folder: Path) -> dict[str, bytes]:
    """Files by their names, without what a killed writer may leave for the next one to remove."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def started(folder: Path, arguments: list[str]) -> int:
    """Start a command in its own process and process group, and return its id."""
    child = os.fork()
    if child == 0:
        status = 70
        try:
            os.setpgid(0, 0)
            os.chdir(folder)
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
            status = main(arguments)
        finally:
            os._exit(status)
    with contextlib.suppress(OSError):
        os.setpgid(child, child)
    return child


def finished(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed(folder: Path, arguments: list[str], delay: float) -> bool:
    """Run a command and kill it, with its children, after a time; whether it was still there."""
    child = started(folder, arguments)
    time.sleep(delay)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    return finished(child) < 0


def review(folder: Path) -> None:
    assert finished(started(folder, ["new", "mine"])) == 0
    shutil.copy(PLAIN, folder / "rows.csv")


def another_title(folder: Path) -> None:
    review(folder)
    settings = folder / "mine" / "review.yml"
    text = settings.read_text(encoding="utf-8")
    title = next(line for line in text.splitlines() if line.startswith("title:"))
    settings.write_text(text.replace(title, "title: Another").replace("0.38", "0.39"), encoding="utf-8")


def exported(folder: Path) -> None:
    review(folder)
    assert finished(started(folder, ["export", "out", "--data", "mine/data"])) == 0
    importing = ["import", "rows.csv", "--kind", "contrasts", "--outcome", "sleep", "--data", "mine/data", "--write"]
    assert finished(started(folder, importing)) == 0


def league_table(folder: Path) -> None:
    place = next((ROOT / "tests" / "league").glob("01-*"))
    shutil.copytree(place, folder / "league")
    (folder / "page.html").write_text("an earlier page")


COMMANDS: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "import": (
        review,
        ["import", "rows.csv", "--kind", "contrasts", "--outcome", "sleep", "--data", "mine/data", "--write"],
    ),
    "export": (exported, ["export", "out", "--data", "mine/data"]),
    "new": (another_title, ["new", "mine"]),
    "audit": (league_table, ["audit", "league/table.csv", "--html", "page.html"]),
    "witness": (lambda folder: None, ["witness", "FIRST", "--csv", "rows.csv"]),
}


@pytest.mark.long
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_leaves_the_old_state_or_the_new_one(tmp_path, name):
    prepare, arguments = COMMANDS[name]
    start = tmp_path / "start"
    start.mkdir()
    prepare(start)
    arguments = [first_witness() if argument == "FIRST" else argument for argument in arguments]
    before = contents(start)
    done = tmp_path / "done"
    shutil.copytree(start, done, symlinks=True)
    begun = time.monotonic()
    assert finished(started(done, arguments)) in (0, 1)
    duration = time.monotonic() - begun
    after = contents(done)
    assert after != before
    moments, kills, states = random.Random(name), 0, set()
    while kills < cases(1, 100):
        work = tmp_path / "work"
        shutil.copytree(start, work, symlinks=True)
        if killed(work, arguments, moments.uniform(0, duration)):
            kills += 1
        else:
            duration *= 0.95  # it was ready before: a busy machine made the first run long
        found = contents(work)
        assert found in (before, after), sorted(
            file for file in {*found, *after} if found.get(file) not in (before.get(file), after.get(file))
        )
        states.add(found == after)
        assert finished(started(work, arguments)) in (0, 1)
        assert contents(work) == after
        assert not [path for path in work.rglob(".*") if path.suffix in LEFT]
        shutil.rmtree(work)
    assert False in states or kills < 20, "some kills came before the new state"


def first_witness() -> str:
    return load_witnesses(published_results())[0].name


@pytest.mark.long
def test_a_search_that_is_killed_leaves_what_was_found_before(tmp_path):
    """It writes at its end, after some twenty minutes; until then its folder is as it was."""
    for name in ("witnesses.csv", "range_searches.csv"):
        (tmp_path / name).write_text("found before")
    before, moments = contents(tmp_path), random.Random("ranges")
    for _ in range(cases(1, 100)):
        assert killed(tmp_path, ["ranges", ".", "--tau2", "DL", "--jobs", "1"], moments.uniform(0, 2))
        assert contents(tmp_path) == before and len(list(tmp_path.iterdir())) == 2


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "JUPYTER_PREFER_ENV_PATH": "1", "OMP_NUM_THREADS": "1"}


def killed_program(arguments: list[str], folder: Path, delay: float) -> bool:
    """The same for a program of its own, which starts others."""
    process = subprocess.Popen(
        arguments,
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(delay)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait() < 0


@pytest.mark.long
def test_a_chapter_stays_as_it_was_or_is_executed(tmp_path):
    cells = [nbformat.v4.new_code_cell("print('x' * 300_000)")]
    path = tmp_path / "book" / "a.ipynb"
    path.parent.mkdir()
    old = notebooks.serialise(nbformat.v4.new_notebook(cells=cells), "a")
    path.write_bytes(old)
    arguments = [sys.executable, "-m", "psps_paper.site.notebooks", "book", "--jobs", "1"]
    begun = time.monotonic()
    assert not killed_program(arguments, tmp_path, 120)
    duration, new = time.monotonic() - begun, path.read_bytes()
    assert new != old
    moments, kills = random.Random("notebooks"), 0
    while kills < cases(1, 100):
        path.write_bytes(old)
        if killed_program(arguments, tmp_path, moments.uniform(0, duration)):
            kills += 1
        else:
            duration *= 0.95
        assert path.read_bytes() in (old, new)
    path.write_bytes(old)
    assert not killed_program(arguments, tmp_path, 120) and path.read_bytes() == new
    assert [entry.name for entry in path.parent.iterdir()] == ["a.ipynb"]


@pytest.mark.long
def test_the_build_of_a_review_changes_no_source_and_runs_again(tmp_path):
    if not cases(0, 1):
        return
    review(tmp_path)
    place = tmp_path / "mine"
    sources = contents(place)
    arguments = [str(Path(sys.executable).with_name("jupyter-book")), "build", ".", "--all", "-W", "--keep-going"]
    begun = time.monotonic()
    assert not killed_program(arguments, place, 600)
    duration = time.monotonic() - begun
    pages = {path.name for path in (place / "_build" / "html").rglob("*.html")}
    moments, kills = random.Random("book"), 0
    for _ in range(cases(0, 20)):
        kills += killed_program(arguments, place, moments.uniform(0, duration))
        found = contents(place)
        assert {name: content for name, content in found.items() if not name.startswith("_build")} == sources
    assert kills >= 15
    assert subprocess.run(arguments, cwd=place, env=ENVIRONMENT, capture_output=True, check=False).returncode == 0
    assert {path.name for path in (place / "_build" / "html").rglob("*.html")} == pages
