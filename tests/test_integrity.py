"""Accidents must not leave half a file, let two processes write at once, run a formula, fail without a message or reach
the network."""

from __future__ import annotations

import csv
import functools
import io
import multiprocessing
import os
import random
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers import DATA, copy_data
from interrupted import contents, killed_at
from living_examples import examples, review_of
from psps_paper.article.trials import load_trials
from psps_paper.living.importing import convert, read_trials
from psps_paper.living.model import Options
from psps_paper.living.reading import table_from_bytes
from psps_paper.living.store import write_trials
from psps_paper.tables.csv_text import csv_bytes, protected, runs_as_formula, unprotected
from psps_paper.tables.dataset import Dataset, dataset
from psps_paper.tables.errors import TableError
from psps_paper.tables.files import (
    current_folder,
    finish_files,
    finish_replacing,
    only_writer,
    replace_files,
    replace_folder,
    write_atomically,
)
from sizes import cases

pytestmark = pytest.mark.slow

EXAMPLES = examples()


# --- a crash at any moment ----------------------------------------------------------------------------


def test_a_file_is_old_or_new_wherever_the_writer_is_killed(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"old")
    seen, step = set(), 1
    while killed_at(step, lambda: write_atomically(path, b"new" * 1000)):
        seen.add(path.read_bytes())
        step += 1
    assert step > 3, "the writer was killed at several moments"
    assert seen <= {b"old", b"new" * 1000} and b"old" in seen
    assert path.read_bytes() == b"new" * 1000


@pytest.mark.parametrize("before", [None, {"a.csv": b"old", "d/b.csv": b"old"}])
def test_a_folder_is_old_or_new_wherever_the_writer_is_killed(tmp_path, before):
    new = {"a.csv": b"new", "d/c.csv": b"new" * 1000}
    states, step, killed = [], 0, True
    while killed:
        step += 1
        folder = tmp_path / str(step) / "trials"
        folder.parent.mkdir()
        if before:
            replace_folder(folder, before)
        killed = killed_at(step, functools.partial(replace_folder, folder, new))
        place = current_folder(folder)
        states.append(None if place is None else contents(place))
        if folder.is_dir():  # to remove it is to have none, whatever the killed writer left beside it
            shutil.copytree(folder.parent, tmp_path / "removed" / str(step))
            shutil.rmtree(tmp_path / "removed" / str(step) / "trials")
            assert current_folder(tmp_path / "removed" / str(step) / "trials") is None
        # The next writer copes with whatever the last one left behind, and leaves nothing behind itself
        replace_folder(folder, new)
        assert contents(folder) == new and [path.name for path in folder.parent.iterdir()] == ["trials"]
    assert step > 8 and states[-1] == new
    assert all(state in (before, new) for state in states) and before in states


def test_writers_of_one_file_at_the_same_time_each_succeed(tmp_path):
    """As the chapters of a build do, which run in parallel and keep the same results in its cache."""
    file = tmp_path / "kept.pickle"

    def write(mine: bytes) -> None:
        for _ in range(150):
            write_atomically(file, mine)

    writers = [multiprocessing.get_context("fork").Process(target=write, args=(bytes([k]) * 1000,)) for k in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert len(file.read_bytes()) == 1000 and [path.name for path in tmp_path.iterdir()] == [file.name]


def test_a_folder_and_the_files_that_go_with_it_are_old_or_new_together(tmp_path):
    """As a review's data and the lines that repeat its title; a killed writer's rest is done, or undone, by the next
    reader."""
    before, after = ({"data/a.csv": state, "README.md": state, "book/index.md": state} for state in (b"old", b"new"))
    seen, step, killed = set(), 0, True
    while killed:
        step += 1
        folder = tmp_path / str(step)
        (folder / "book").mkdir(parents=True)
        replace_folder(folder / "data", {"a.csv": b"old"})
        for name in ("README.md", "book/index.md"):
            (folder / name).write_bytes(b"old")
        killed = killed_at(
            step,
            lambda folder=folder: replace_folder(
                folder / "data", {"a.csv": b"new"}, also={"README.md": b"new", "book/index.md": b"new"}
            ),
        )
        finish_replacing(folder / "data")
        found = contents(folder)
        assert found in (before, after), "a mixture, or something left behind"
        seen.add(found["README.md"])
    assert seen == {b"old", b"new"} and step > 10


def test_files_among_others_are_old_or_new_together(tmp_path, monkeypatch):
    """Each is whole wherever the writer is killed, and the next one finishes what it left."""
    monkeypatch.chdir(tmp_path)
    before, after = ({"a.csv": state, "b.csv": state * 1000, "mine.txt": b"mine"} for state in (b"old", b"new"))
    seen, step, killed = [], 0, True
    while killed:
        step += 1
        folder = tmp_path / str(step)
        folder.mkdir(mode=0o750)
        for name, content in before.items():
            (folder / name).write_bytes(content)
        killed = killed_at(
            step, lambda folder=folder: replace_files(folder, {name: after[name] for name in ("a.csv", "b.csv")})
        )
        assert all((folder / name).read_bytes() in (before[name], after[name]) for name in before)
        finish_files(folder)
        seen.append(contents(folder))
        assert folder.stat().st_mode & 0o777 == 0o750
    assert all(found in (before, after) for found in seen) and before in seen and seen[-1] == after and step > 10


@pytest.mark.parametrize("here", [True, False], ids=["in the working folder", "elsewhere"])
def test_files_of_a_folder_of_their_own_are_exchanged_with_it(tmp_path, monkeypatch, here):
    """But where this process works, the folder stays: a shell would sit in one that is gone."""
    folder = tmp_path / "out"
    folder.mkdir(mode=0o700)
    (folder / "a.csv").write_bytes(b"old")
    number = folder.stat().st_ino
    monkeypatch.chdir(folder if here else tmp_path)
    replace_files(folder, {"a.csv": b"new", "b.csv": b"new"})
    assert contents(folder) == {"a.csv": b"new", "b.csv": b"new"} and folder.stat().st_mode & 0o777 == 0o700
    assert (folder.stat().st_ino == number) == here


def test_an_import_that_is_killed_leaves_the_old_trials_or_the_new_ones(tmp_path):
    data = copy_data(tmp_path)
    name, content, options = EXAMPLES["netmeta"]
    old = convert(table_from_bytes(name, content), options, data)
    new = convert(
        table_from_bytes("one.csv", b"studlab,treat1,treat2,TE,seTE\na,A,B,0.1,0.2\n"), Options("contrasts"), data
    )
    others = contents(data)
    write_trials(old, data, replace_printed=True)
    lengths, step = set(), 1
    while killed_at(step, lambda: write_trials(new, data, replace_printed=True)):
        lengths.add(len(load_trials(data)))
        write_trials(old, data, replace_printed=True)
        step += 1
    assert step > 8 and lengths == {25, 1}
    assert {key: value for key, value in contents(data).items() if not key.startswith("trials")} == others


def test_a_failed_write_leaves_no_trace(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    path.write_bytes(b"old")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    with pytest.raises(OSError, match="No space left"):
        replace_folder(tmp_path / "trials", {"a.csv": b"new"})
    assert contents(tmp_path) == {"table.csv": b"old"} and len(list(tmp_path.iterdir())) == 1


def test_half_a_previous_folder_never_becomes_the_present_one(tmp_path):
    """The writer was killed while it removed the old folder, the user then removed the new one, and another writer is
    killed early."""
    folder = tmp_path / "trials"
    (tmp_path / ".trials.previous").mkdir()
    (tmp_path / ".trials.previous" / "half.csv").write_bytes(b"old")
    assert current_folder(folder) is None
    step = 1
    while killed_at(step, lambda: replace_folder(folder, {"a.csv": b"new", "d/b.csv": b"new"})):
        place = current_folder(folder)
        assert place is None or contents(place) == {"a.csv": b"new", "d/b.csv": b"new"}
        step += 1
        shutil.rmtree(tmp_path)
        (tmp_path / ".trials.previous").mkdir(parents=True)
        (tmp_path / ".trials.previous" / "half.csv").write_bytes(b"old")
    assert step > 8


def test_a_folder_behind_a_symbolic_link_is_replaced_there(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "trials"
    link.symlink_to(tmp_path / "elsewhere" / "kept", target_is_directory=True)
    for content in (b"first", b"second", b"third"):
        replace_folder(link, {"a.csv": content})
        assert link.is_symlink() and contents(current_folder(link)) == {"a.csv": content}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["kept"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_get_the_mode_that_the_user_s_umask_gives(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        replace_folder(tmp_path / "trials", {"a.csv": b"a", "d/b.csv": b"b"})
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "trials").rglob("*.csv")} == {mode}


# --- one writer ---------------------------------------------------------------------------------------


def test_a_second_writer_is_refused_and_changes_nothing(tmp_path):
    data = copy_data(tmp_path)
    name, content, options = EXAMPLES["netmeta"]
    result = convert(table_from_bytes(name, content), options, data)
    code = (
        "import sys, pathlib\nfrom psps_paper.tables.files import only_writer\n"
        "with only_writer(pathlib.Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        before = contents(data)
        with pytest.raises(TableError, match="another process is writing here; nothing was changed"):
            write_trials(result, data, replace_printed=True)
        assert contents(data) == before
        holder.kill()
    # The lock of a dead process blocks nobody
    write_trials(result, data, replace_printed=True)
    assert len(load_trials(data)) == 25


def test_readers_are_not_held_up_by_a_writer(tmp_path):
    data = copy_data(tmp_path)
    name, content, options = EXAMPLES["netmeta"]
    write_trials(convert(table_from_bytes(name, content), options, data), data, replace_printed=True)
    with only_writer(data):
        assert len(load_trials(data)) == 25


# --- formulas -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0"])
def test_cells_that_a_spreadsheet_would_run_are_written_as_text(cell):
    assert runs_as_formula(cell) and protected(cell) == "'" + cell


@pytest.mark.parametrize("cell", ["-0.38", "+0.5", "-1e-3", "1", "Kumar 2008", "a=b", "", "placebo/sham"])
def test_numbers_and_plain_text_are_written_as_they_are(cell):
    assert not runs_as_formula(cell) and protected(cell) == cell


@given(st.text(alphabet="'=+-@\t\ra1. ", max_size=6))
def test_protection_is_undone_and_never_leaves_a_formula(text):
    assert unprotected(protected(text)) == text
    assert not runs_as_formula(protected(text))


@given(
    st.lists(
        st.tuples(
            st.text(max_size=20).filter(lambda text: "\x00" not in text),
            st.floats(allow_nan=False, allow_infinity=False),
        ),
        min_size=1,
        max_size=5,
    )
)
@settings(deadline=None)
def test_written_tables_hold_no_formula_and_read_back_bit_by_bit(rows):
    content = csv_bytes(pd.DataFrame(rows, columns=["text", "number"]))
    read = list(csv.reader(io.StringIO(content.decode("utf-8"), newline="")))[1:]
    assert [(unprotected(text), float(number)) for text, number in read] == rows
    assert not any(runs_as_formula(cell) for line in read for cell in line)


# --- unforeseen files ------------------------------------------------------------------------

SEEDS = {
    name: EXAMPLES[name]
    for name in (
        "netmeta",
        "netmeta, workbook",
        "own names",
        "netmeta pairwise, long arms",
        "CINeMA, pairs of arms",
        "MetaInsight, wide",
        "RevMan 5",
        "RevMan Web",
    )
}
MUTATIONS = cases(1_500, 10_000)
SPLICES = [
    b"",
    b",",
    b";",
    b"\t",
    b"\n",
    b'"',
    b"'",
    b"=1+1",
    b"-",
    b"NA",
    b"nan",
    b"inf",
    b"-1",
    b"0",
    b"1e308",
    b"1e-308",
    b"\xff",
    b"\x00",
    b"\xef\xbb\xbf",
    "\N{MINUS SIGN}".encode(),
    "\N{ARABIC-INDIC DIGIT ONE}".encode(),
    b"1_0",
    b"99999999999999999999",
    b"x" * 50,
]


def with_other_bytes(content: bytes, rng: random.Random) -> bytes:
    """A file with bytes replaced, cut, doubled or moved."""
    start = rng.randrange(len(content) + 1)
    end = min(len(content), start + rng.choice([0, 1, 2, 5, 20, 200]))
    return rng.choice(
        [
            lambda: content[:start] + rng.choice(SPLICES) + content[end:],
            lambda: content[:start] + bytes([rng.randrange(256)]) + content[end:],
            lambda: content[:start],
            lambda: content[:end] + content[start:],
            lambda: content[end:] + content[:start],
        ]
    )()


def with_other_cell(content: bytes, rng: random.Random) -> bytes:
    """A text file with one cell replaced, by another of its cells or by something that does not belong there."""
    lines = [re.split(rb"([,;\t])", line) for line in content.split(b"\n")]
    line = rng.choice(lines[1:] or lines)
    cells = [cell for other in lines for cell in other[::2]]
    line[2 * rng.randrange((len(line) + 1) // 2)] = rng.choice(SPLICES) if rng.random() < 0.5 else rng.choice(cells)
    return b"\n".join(b"".join(line) for line in lines)


def mutated(name: str, content: bytes, rng: random.Random) -> bytes:
    """A file with one to three faults."""
    for _ in range(rng.randint(1, 3)):
        change = with_other_bytes if name.endswith(".xlsx") or rng.random() < 0.3 else with_other_cell
        content = change(content, rng)
    return content


@functools.cache
def read_once(measure: str | None) -> Dataset:
    """The review's own tables, which stay the same."""
    return dataset(review_of(measure))


def outcome_of(name: str, content: bytes, options: Options) -> str:
    """The result of importing these bytes; any other exception is a traceback that a user would see."""
    try:
        result = convert(table_from_bytes(name, content), options, read_once(options.measure))
    except TableError as error:
        assert str(error).startswith((name, "--")) and "\n" not in str(error).split(":\n")[0], str(error)
        return "refused"
    assert result.source["read"] == result.source["used"] + len(result.listed)
    assert (result.contrasts["se"] > 0).all() and result.contrasts["te"].abs().max() < float("inf")
    return "read"


def small(name: str, content: bytes) -> bytes:
    """The first rows of a text file, in which a mutation is just as informative and faster to test."""
    return content if name.endswith(".xlsx") else b"\n".join(content.split(b"\n")[:5]) + b"\n"


@pytest.mark.long
def test_mutated_files_give_a_result_or_a_sentence():
    rng = random.Random(20250305)
    before = contents(DATA)
    outcomes = {"read": 0, "refused": 0}
    seeds = [
        (
            name,
            small(name, content),
            Options(options.kind, mapping=options.mapping, constants=options.constants, measure=options.measure),
        )
        for name, content, options in SEEDS.values()
    ]
    for _ in range(MUTATIONS):
        name, content, options = rng.choice(seeds)
        outcomes[outcome_of(name, mutated(name, content, rng), options)] += 1
    assert sum(outcomes.values()) == MUTATIONS and min(outcomes.values()) > MUTATIONS / 20, outcomes
    assert contents(DATA) == before


CELLS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["A", "B", "C", "s1", "s2", "NA", "", "0.1", "0.2", "20", "-1", "1e400", "=A1"]),
    st.floats(width=32).map(str),
    st.integers(-5, 50).map(str),
)
HEADERS = {
    "contrasts": ["studlab", "treat1", "treat2", "TE", "seTE"],
    "arms": ["study", "treat", "n", "mean", "sd", "median", "q1", "q3"],
}


@given(st.data())
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_tables_of_any_cells_give_a_result_or_a_sentence(data):
    kind = data.draw(st.sampled_from(sorted(HEADERS)))
    header = HEADERS[kind]
    rows = data.draw(st.lists(st.lists(CELLS, min_size=len(header), max_size=len(header)), min_size=1, max_size=5))
    lines = io.StringIO(newline="")
    csv.writer(lines).writerows([header, *rows])
    outcome_of("any.csv", lines.getvalue().encode("utf-8", "surrogatepass"), Options(kind))


@given(st.binary(max_size=300), st.sampled_from([".csv", ".tsv", ".xlsx"]))
@settings(deadline=None)
def test_any_bytes_give_a_sentence(content, suffix):
    assert outcome_of("any" + suffix, content, Options("contrasts")) == "refused"


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parent / "living_data" / "invalid").iterdir()), ids=lambda path: path.name
)
def test_a_failed_import_changes_no_byte_of_the_data_folder(tmp_path, path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "dictionaries").mkdir()
    for name in ("outcomes.csv", "dictionaries/outcomes.csv"):
        (data / name).write_bytes((DATA / name).read_bytes())
    before = contents(data)
    with pytest.raises(TableError):
        write_trials(
            read_trials(path, Options("arms" if "_arms" in path.name else "contrasts"), data),
            data,
            replace_printed=True,
        )
    assert contents(data) == before and not (data / "trials").exists()


# --- no network ---------------------------------------------------------------------------------------


def test_nothing_opens_a_connection(tmp_path, monkeypatch):
    def refused(*args, **kwargs):
        raise AssertionError("a connection was opened")

    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    data = copy_data(tmp_path)
    for name, content, options in SEEDS.values():
        result = convert(table_from_bytes(name, content), options, review_of(options.measure))
        write_trials(result, data, replace_printed=True)
    assert len(load_trials(data)) == 25
