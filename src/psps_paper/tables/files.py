"""Writing that leaves either the old state or the new one, to one writer at a time, and CSV that no spreadsheet runs.

Formula injection: a spreadsheet evaluates a cell of a CSV file that begins with ``=``, ``+``, ``-``, ``@``, a tab or a
carriage return. Such a cell is written with an apostrophe in front, unless it is a number; reading takes it off again,
so that no label changes on the way.  Source: OWASP, "CSV Injection".
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

_RUNS = re.compile(r"'*[=+\-@\t\r]")
_PROTECTED = re.compile(r"'+[=+\-@\t\r]")


# Names of what is being written beside its place, with a token that nobody can foresee; nothing else is ever removed
_TOKEN = "[0-9a-f]{16}"
# In the names of files that wait in a folder until all are there
TOGETHER = "psps-paper"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a crash at any moment leaves the old file or the new one, never a part.

    The content goes to a temporary file of the same folder, is flushed to the disk, and takes the name in one step. Its
    mode is what the user's umask gives. What a writer that was killed left behind is removed.
    """
    _remove_leftovers(path, "part")
    temporary, file = _new_and_held(path)
    try:
        with file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise type(error)(error.errno, error.strerror, str(path)) from None
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def current_folder(path: Path) -> Path | None:
    """Where the content of a folder written by :func:`replace_folder` is now, or None where there is none.

    Where the system cannot exchange two folders in one step, an update that was killed between its two renames leaves
    the old state under a name with ``.previous``; readers go on with it and the next writer puts it back.
    """
    if path.is_dir():
        return path
    path = _followed(path)
    # Only between the renames are both there, and both complete
    return next(
        (old for old in _leftovers(path, "previous") if old.is_dir() and old.with_suffix(".new").is_dir()), None
    )


def replace_folder(path: Path, files: Mapping[str, bytes], *, also: Mapping[str, bytes] | None = None) -> None:
    """Replace a folder and all its files in one step, as :func:`current_folder` sees it.

    Parameters
    ----------
    path : Path
        Its parent must exist. A symbolic link stays, and the folder that it leads to is replaced.
    files : mapping of str to bytes
        Names may hold slashes.
    also : mapping of str to bytes, optional
        Files beside the folder that go with it, by their names from its parent, whose own folders exist. A writer that
        is killed after the folder was replaced leaves them to :func:`finish_replacing`.
    """
    path = _followed(path)
    finish_replacing(path)
    new = _beside(path, "new")
    new.mkdir()
    handle = os.open(new, os.O_RDONLY)
    journal = new.with_suffix(".also") if also else None
    try:
        _hold(handle)
        _write_all(new, files)
        if journal and also:
            journal.mkdir()
            names = {str(k): name for k, name in enumerate(also)}
            record = {"files": names, "digest": _digest(files)}
            _write_all(
                journal, {**{k: also[name] for k, name in names.items()}, "record.json": json.dumps(record).encode()}
            )
        if path.is_dir():
            shutil.copymode(path, new)
        _switch(new, path)
    except BaseException:
        previous = new.with_suffix(".previous")
        if not path.is_dir() and previous.is_dir():
            os.rename(previous, path)
        for made in (new, journal):
            if made:
                shutil.rmtree(made, ignore_errors=True)
        raise
    finally:
        os.close(handle)
    if journal:
        _apply(journal, path)
    _flush_folder(path.parent)
    for old in (new, new.with_suffix(".previous")):
        shutil.rmtree(old, ignore_errors=True)


def finish_replacing(path: Path) -> None:
    """Put right what a killed :func:`replace_folder` left: the old state again, or the new one with all files that go
    with it."""
    path = _followed(path)
    found = current_folder(path)
    if found is not None and found != path:
        os.rename(found, path)
    for journal in _leftovers(path, "also"):
        with contextlib.suppress(OSError, ValueError, KeyError):  # without a whole record the folder was not replaced
            present = {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}
            if json.loads((journal / "record.json").read_bytes())["digest"] == _digest(present):
                _apply(journal, path)
        shutil.rmtree(journal, ignore_errors=True)
    _remove_leftovers(path, "previous", "new")


def replace_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Replace files of a folder, all of them or none.

    A folder with nothing else in it is exchanged in one step. In one that holds other files, or where this process
    works, all new files are complete before the first takes its name; what a writer that was killed then left to do is
    done by :func:`finish_files`.

    Parameters
    ----------
    folder : Path
        Made where its parent exists. A symbolic link to a folder stays; one in the place of a file gives way.
    files : mapping of str to bytes
        By their names, without slashes.
    """
    folder = _followed(folder)
    finish_files(folder)
    if _holds_nothing_but(folder, files) and not Path.cwd().is_relative_to(folder.resolve()):
        replace_folder(folder, files)
        return
    with only_writer(folder):
        journal = _beside(folder / TOGETHER, "files")
        journal.mkdir()
        try:
            _write_all(journal, {str(k): content for k, content in enumerate(files.values())})
            record = {"files": {str(k): name for k, name in enumerate(files)}}
            write_atomically(journal / "record.json", json.dumps(record).encode())
        except BaseException:
            shutil.rmtree(journal, ignore_errors=True)
            raise
        _apply(journal, folder / TOGETHER)
        _flush_folder(folder)


def _holds_nothing_but(folder: Path, files: Mapping[str, bytes]) -> bool:
    if not folder.is_dir():
        return True
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    with os.scandir(folder) as entries:
        return all(entry.name in files and entry.is_file(follow_symlinks=False) for entry in entries)


def finish_files(folder: Path) -> None:
    """Put right what a killed :func:`replace_files` left in a folder: all files new, or all as they were."""
    folder = _followed(folder)
    for journal in _leftovers(folder / TOGETHER, "files"):
        with only_writer(folder):
            if (journal / "record.json").is_file():
                _apply(journal, folder / TOGETHER)
            shutil.rmtree(journal, ignore_errors=True)


def _apply(journal: Path, path: Path) -> None:
    """Move the files of a journal to their places; a file already there was moved before."""
    for k, name in json.loads((journal / "record.json").read_bytes())["files"].items():
        if (journal / k).is_file():
            os.replace(journal / k, path.parent / name)
    shutil.rmtree(journal, ignore_errors=True)


def _write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, content)


def _digest(files: Mapping[str, bytes]) -> str:
    parts = [f"{name} {hashlib.sha256(content).hexdigest()}\n" for name, content in sorted(files.items())]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def _switch(new: Path, path: Path) -> None:
    """Give a new folder its name; the old one then bears the new one's, or that with ``.previous``."""
    if not path.is_dir():
        os.rename(new, path)
    elif not _exchange(new, path):
        os.rename(path, new.with_suffix(".previous"))
        os.rename(new, path)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; whether the system can."""
    call = {"linux": "renameat2", "darwin": "renameatx_np"}.get(sys.platform)
    function = getattr(ctypes.CDLL(None, use_errno=True), call, None) if call else None
    here = {"linux": -100, "darwin": -2}.get(
        sys.platform
    )  # paths from the working directory; the flag, 2, is the same on both
    return function is not None and function(here, os.fsencode(one), here, os.fsencode(other), 2) == 0


def _followed(path: Path) -> Path:
    return path.resolve() if path.is_symlink() else path


def _beside(path: Path, kind: str) -> Path:
    """A new name beside a file or folder."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.{kind}")


def _new_and_held(path: Path) -> tuple[Path, BinaryIO]:
    """A new file beside another, open and locked.

    Before it is locked, a second writer of the same file may take it for what a killed writer left and remove it: then
    the next name is tried.
    """
    while True:
        temporary = _beside(path, "part")
        try:
            file = temporary.open("xb")
        except OSError as error:
            raise type(error)(error.errno, error.strerror, str(path)) from None
        if _hold(file.fileno()) and os.fstat(file.fileno()).st_nlink:
            return temporary, file
        file.close()
        temporary.unlink(missing_ok=True)


def _leftovers(path: Path, *kinds: str) -> list[Path]:
    """What writers of a file or folder put beside it and did not take away."""
    name = re.compile(rf"\.{re.escape(path.name)}\.{_TOKEN}\.({'|'.join(kinds)})")
    if not path.parent.is_dir():
        return []
    with os.scandir(path.parent) as entries:
        return sorted(
            path.parent / entry.name for entry in entries if name.fullmatch(entry.name) and not entry.is_symlink()
        )


def _remove_leftovers(path: Path, *kinds: str) -> None:
    """Remove what killed writers left; a living one still holds its lock."""
    for old in _leftovers(path, *kinds):
        try:
            handle = os.open(old, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        except OSError:  # gone, or not ours
            continue
        try:
            if _hold(handle):
                if old.is_dir():
                    shutil.rmtree(old, ignore_errors=True)
                else:
                    old.unlink(missing_ok=True)
        finally:
            os.close(handle)


def _hold(handle: int) -> bool:
    """Lock what is being written until its writer ends, however it ends; whether no other holds it."""
    try:
        import fcntl  # not on Windows, where reading must still work
    except ImportError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a disk that knows no locks
        return True
    return True


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the right to write below a folder; another process that holds it is an error, not a wait.

    The lock is on the folder itself: there is no lock file to be left behind, as there would be with the package
    filelock, and the system lifts it when the process ends, however it ends. It needs a system with ``flock`` (Linux,
    macOS) and a local disk.

    Raises
    ------
    TableError
        Another process is writing.
    """
    import fcntl  # not on Windows, where reading must still work

    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            from psps_paper.tables.errors import TableError  # whose module keeps what it has read by means of this one

            raise TableError(
                f"{folder}: another process is writing here; nothing was changed, try again when it has finished"
            ) from None
        yield
    finally:
        os.close(handle)
