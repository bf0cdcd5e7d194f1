"""Every command that writes, and every option that names a file: killed at each step, on a disk that fills, in a folder
that nothing can be written to, beside files of others and through symbolic links.

The commands and their options are read from the command line itself, so that a new one cannot be forgotten.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from conftest import BOOK
from helpers import ROOT, copy_data
from interrupted import Disk, contents, killed_at, left_behind, steps_of
from psps_paper.cli import ensemble as ensemble_commands
from psps_paper.cli.main import COMMANDS, _parser, main
from psps_paper.ensemble import load_witnesses, published_results
from psps_paper.living import documents, exports, importing, new_review, store  # noqa: F401 - loaded once, here
from psps_paper.site import figures
from psps_paper.tables import files as writer
from sizes import cases

pytestmark = pytest.mark.slow

LEVELS = 14
PLAIN = ROOT / "tests" / "attacks" / "plain.csv"
IMPORT = ["import", "rows.csv", "--kind", "contrasts", "--outcome", "sleep", "--data", "mine/data"]


@pytest.fixture(scope="module")
def review(tmp_path_factory) -> Path:
    """The sample review."""
    place = tmp_path_factory.mktemp("review") / "mine"
    new_review.new_review(place)
    return place


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    """A book of one chapter, and the result of a search."""
    folder = tmp_path / "book"
    folder.mkdir()
    (folder / "study_selection.ipynb").write_bytes((BOOK / "study_selection.ipynb").read_bytes())
    monkeypatch.setattr(figures, "book_folder", lambda: folder)
    monkeypatch.setattr(ensemble_commands, "search_ranges", lambda *_, **__: ([], []))
    monkeypatch.setattr(ensemble_commands, "chosen", lambda *_: pd.DataFrame({"te": [0.1] * 50}))
    monkeypatch.setattr(ensemble_commands, "search_table", lambda *_: pd.DataFrame({"starts": [1] * 50}))
    monkeypatch.delenv("PSPS_BUILD_CACHE", raising=False)


def reviewed(folder: Path, review: Path) -> None:
    shutil.copytree(review, folder / "mine")
    shutil.copy(PLAIN, folder / "rows.csv")


def another_title(folder: Path, review: Path) -> None:
    reviewed(folder, review)
    settings = folder / "mine" / "review.yml"
    text = settings.read_text(encoding="utf-8")
    title = next(line for line in text.splitlines() if line.startswith("title:"))
    settings.write_text(text.replace(title, "title: Another"), encoding="utf-8")


def exported(folder: Path, review: Path) -> None:
    reviewed(folder, review)
    exports.export(folder / "mine" / "data", folder / "out")
    assert main([*IMPORT[:1], str(folder / "rows.csv"), *IMPORT[2:-1], str(folder / "mine" / "data"), "--write"]) == 0


def one_table_not_recorded(folder: Path, review: Path) -> None:
    recorded = copy_data(folder) / "checksums.sha256"
    recorded.write_bytes(recorded.read_bytes().partition(b"\n")[2])


def league_table(folder: Path, review: Path) -> None:
    shutil.copytree(next((ROOT / "tests" / "league").glob("01-*")), folder / "league")


def searched(folder: Path, review: Path) -> None:
    (folder / "out").mkdir()


def nothing(folder: Path, review: Path) -> None:
    pass


@dataclass(frozen=True)
class Writing:
    """A command that writes.

    Attributes
    ----------
    arguments : list of str
    prepare : callable
        Of the folder in which it runs, and the sample review.
    written : tuple of str
        Files whose earlier state may be anything; () if the command replaces only what it wrote itself.
    """

    arguments: list[str]
    prepare: Callable[[Path, Path], None]
    written: tuple[str, ...] = ()


def first_witness() -> str:
    return load_witnesses(published_results())[0].name


FIGURE = "study_selection-prisma_flow"
WRITING = {
    "tables record": Writing(["tables", "--record", "--data", "data"], one_table_not_recorded),
    "tables docx, xlsx": Writing(
        ["tables", "--data", "mine/data", "--docx", "out/a.docx", "--xlsx", "out/a.xlsx"],
        lambda folder, review: (reviewed(folder, review), (folder / "out").mkdir()),
        ("out/a.docx", "out/a.xlsx"),
    ),
    "import write": Writing([*IMPORT, "--write"], reviewed),
    "export target": Writing(["export", "out", "--data", "mine/data"], exported),
    "new folder": Writing(["new", "mine"], another_title),
    "witness csv": Writing(["witness", "FIRST", "--csv", "rows.csv"], nothing, ("rows.csv",)),
    "ranges folder": Writing(["ranges", "out"], searched, ("out/witnesses.csv", "out/range_searches.csv")),
    "audit html": Writing(["audit", "league/table.csv", "--html", "page.html"], league_table, ("page.html",)),
    "figures out": Writing(
        ["figures", "--format", "svg", "--out", "out"], nothing, (f"out/{FIGURE}.svg", f"out/{FIGURE}.csv")
    ),
    "figures journal": Writing(
        ["figures", "--format", "svg", "--out", "out", "--journal"],
        nothing,
        ("out/Fig_1.svg", "out/Fig_1.csv", "out/captions.txt"),
    ),
}
# Options and arguments that name a file or folder to read, by command
READ = {
    "verify": {"data"},
    "tables": {"data"},
    "import": {"file", "data"},
    "diff": {"old", "new"},
    "export": {"data"},
    "audit": set(),
}
WRITES_NOTHING = {"verify": ["verify"], "diff": ["diff", "mine/data", "mine/data"]}


def test_every_command_and_every_option_with_a_place_is_tried():
    tried = {name.split()[0] for name in WRITING} | set(WRITES_NOTHING)
    assert tried == set(COMMANDS)
    for command in COMMANDS:
        choices = next(action for action in _parser(command)._actions if action.choices and command in action.choices)
        places = {action.dest for action in choices.choices[command]._actions if action.type is Path}
        written = {word.strip(",") for name in WRITING if name.split()[0] == command for word in name.split()[1:]}
        assert places - READ.get(command, set()) <= written, command


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A folder made ready for a command, and the command."""

    def ready(writing: Writing, review: Path) -> tuple[Path, Callable[[], int]]:
        start = tmp_path / "start"
        start.mkdir()
        writing.prepare(start, review)
        for name in writing.written:
            (start / name).parent.mkdir(exist_ok=True)
            (start / name).write_bytes(b"old")
        work = tmp_path / "work"
        arguments = [first_witness() if argument == "FIRST" else argument for argument in writing.arguments]

        def act() -> int:
            with contextlib.chdir(work):
                return main(arguments)

        return start, act

    return ready


def again(start: Path) -> Path:
    work = start.with_name("work")
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(start, work, symlinks=True)
    return work


def quietly(act: Callable[[], int]) -> int:
    with contextlib.redirect_stdout(io.StringIO()):
        return act()


def visible(folder: Path) -> dict[str, bytes]:
    """Without what a killed writer left for the next one to remove, which bears a dot."""
    left = [path.relative_to(folder) for path in left_behind(folder)]
    return {
        name: content
        for name, content in contents(folder).items()
        if not any(Path(name).is_relative_to(path) for path in left)
    }


@pytest.mark.long
@pytest.mark.parametrize("name", WRITING)
def test_killed_at_any_step_it_leaves_the_old_state_or_the_new_one(run, review, name):
    """``make long`` tries every step."""
    start, act = run(WRITING[name], review)
    before, work = contents(start), again(start)
    steps = steps_of(lambda: quietly(act))
    after = contents(work)
    assert after != before and not left_behind(work) and steps >= 3
    states = []
    for step in sorted({round(1 + k * (steps - 1) / (cases(3, steps) - 1)) for k in range(cases(3, steps))}):
        work = again(start)
        killed = killed_at(step, lambda: quietly(act))
        states.append(visible(work))
        assert states[-1] in (before, after), f"step {step} of {steps}"
        assert quietly(act) in (0, 1)
        assert contents(work) == after and not left_behind(work), f"step {step} of {steps}"
    assert killed and before in states


@pytest.mark.parametrize("name", WRITING)
def test_a_disk_that_fills_leaves_the_old_state(run, review, monkeypatch, capsys, name):
    start, act = run(WRITING[name], review)
    before = contents(start)

    def on(disk: Disk) -> int:
        with monkeypatch.context() as patched:
            patched.setattr(Path, "open", lambda path, *args, **kwargs: disk.open(path, *args, **kwargs))
            return quietly(act)

    work, whole = again(start), Disk(float("inf"))
    assert on(whole) in (0, 1)
    after = contents(work)
    for level in range(0, LEVELS, cases(6, 1)):
        work = again(start)
        capsys.readouterr()
        assert on(Disk(whole.taken * level / LEVELS)) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and "No space left on device: '" in err
        assert contents(work) == before and not left_behind(work), f"at {level} of {LEVELS}"
    work = again(start)
    assert on(Disk(whole.taken)) in (0, 1) and contents(work) == after


@pytest.mark.parametrize("name", WRITING)
def test_without_permission_it_says_so_in_one_line(run, review, monkeypatch, capsys, name):
    """Permission is denied artificially, since the tests may run as a user who may write anywhere."""
    start, act = run(WRITING[name], review)
    work, opened, make = again(start), Path.open, os.mkdir

    def denied(path: Path, mode: str = "r", *args, **kwargs):
        if set("wax+") & set(mode):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, mode, *args, **kwargs)

    def not_made(path, *rest, **more):
        if Path(path).resolve().is_relative_to(work):
            raise PermissionError(13, "Permission denied", str(path))
        make(path, *rest, **more)

    monkeypatch.setattr(Path, "open", denied)
    monkeypatch.setattr(os, "mkdir", not_made)
    capsys.readouterr()
    assert quietly(act) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "Permission denied: '" in err
    monkeypatch.undo()
    assert contents(work) == contents(start)


@pytest.mark.parametrize("name", [name for name, writing in WRITING.items() if writing.written])
def test_files_of_others_stay_and_nothing_is_written_through_a_link(run, review, name):
    start, act = run(WRITING[name], review)
    target = start / WRITING[name].written[0]
    (start.with_name("elsewhere.txt")).write_bytes(b"mine")
    target.unlink()
    target.symlink_to("../../elsewhere.txt" if target.parent != start else "../elsewhere.txt")
    (target.parent / "mine.txt").write_bytes(b"mine")
    (target.parent / ".hidden").write_bytes(b"mine")
    work = again(start)
    assert quietly(act) in (0, 1)
    assert (start.with_name("elsewhere.txt")).read_bytes() == b"mine"
    found = contents(work)
    place = target.parent.relative_to(start)
    assert [found[str(place / mine)] for mine in ("mine.txt", ".hidden")] == [b"mine"] * 2
    assert all(found[other] != b"old" for other in WRITING[name].written)
    assert not (work / WRITING[name].written[0]).is_symlink() and not left_behind(work)


@pytest.mark.parametrize("name", WRITES_NOTHING)
def test_a_command_that_only_reads_writes_nothing(tmp_path, review, monkeypatch, name):
    reviewed(tmp_path, review)

    def never(*_, **__):
        raise AssertionError("something was written")

    for function in ("write_atomically", "replace_folder", "replace_files"):
        monkeypatch.setattr(writer, function, never)
    monkeypatch.setattr(writer, "_new_and_held", never)
    before = contents(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert quietly(lambda: main(WRITES_NOTHING[name])) in (0, 1)
    assert contents(tmp_path / "mine") == before
