"""Writing that leaves either the old state or the new one, to one writer at a time, and CSV that no spreadsheet runs.

Formula injection: a spreadsheet evaluates a cell of a CSV file that begins with ``=``, ``+``, ``-``, ``@``, a tab or a
carriage return. Such a cell is written with an apostrophe in front, unless it is a number; reading takes it off again,
so that no label changes on the way.  Source: OWASP, "CSV Injection".
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

_RUNS = re.compile(r"'*[=+\-@\t\r]")
_PROTECTED = re.compile(r"'+[=+\-@\t\r]")


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a crash at any moment leaves the old file or the new one, never a part.

    The content goes to a temporary file of the same folder, is flushed to the disk, and takes the name in one step. Its
    mode is what the user's umask gives.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def current_folder(path: Path) -> Path | None:
    """Where the content of a folder written by :func:`replace_folder` is now, or None where there is none.

    Between the two renames of an update that was killed, the old state stands under the name with ``.previous``;
    readers go on with it and the next writer puts it back. At any other time what bears that name is being removed.
    """
    if path.is_dir():
        return path
    new, previous = _beside(_followed(path))
    # Only between the renames are both there, and both complete
    return previous if new.is_dir() and previous.is_dir() else None


def replace_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Replace a folder and all its files in one step, as :func:`current_folder` sees it.

    Parameters
    ----------
    path : Path
        Its parent must exist. A symbolic link stays, and the folder that it leads to is replaced.
    files : mapping of str to bytes
        Names may hold slashes.
    """
    path = _followed(path)
    new, previous = _beside(path)
    if current_folder(path) == previous:
        os.rename(previous, path)
    # In this order, for a reader takes the two together for an update in progress
    for leftover in (previous, new):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        for name, content in files.items():
            place = new / name
            place.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(place, content)
        if path.is_dir():
            os.rename(path, previous)
        os.rename(new, path)
    except BaseException:
        if not path.is_dir() and previous.is_dir():
            os.rename(previous, path)
        shutil.rmtree(new, ignore_errors=True)
        raise
    _flush_folder(path.parent)
    shutil.rmtree(previous, ignore_errors=True)


def _followed(path: Path) -> Path:
    return path.resolve() if path.is_symlink() else path


def _beside(path: Path) -> tuple[Path, Path]:
    """Names of the folder that is being written and of the one that it replaces."""
    return path.with_name(f".{path.name}.new"), path.with_name(f".{path.name}.previous")


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the right to write below a folder; another process that holds it is an error, not a wait.

    The lock is on the folder itself: there is no lock file to be left behind, and the system lifts it when the process ends,
    however it ends. It needs a system with ``flock`` (Linux, macOS) and a local disk.

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

            raise TableError(f"{folder}: another process is writing here; nothing was changed, try again when it has finished") from None
        yield
    finally:
        os.close(handle)
