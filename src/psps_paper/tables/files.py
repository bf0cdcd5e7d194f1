"""Atomic writing by one writer at a time, and CSV that no spreadsheet runs.

Formula injection: a spreadsheet evaluates a cell of a CSV file that begins with ``=``, ``+``, ``-``, ``@``, a tab or a
carriage return. Such a cell is written with an apostrophe in front, unless it is a number; reading removes it again,
so that no label changes.  Source: OWASP, "CSV Injection".
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


# Temporary files and folders carry an unpredictable token in their names; nothing else is ever removed
_TOKEN = "[0-9a-f]{16}"
# Part of the names of files that wait in a folder until all of them are complete
TOGETHER = "psps-paper"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a crash at any moment leaves either the old file or the new one, complete.

    The content goes to a temporary file in the same folder, which is flushed to the disk and renamed in one step. The
    user's umask sets its mode. Temporary files left by a killed writer are removed.
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
    """Return where the content of a folder written by :func:`replace_folder` is now, or None if there is none.

    Where the system cannot exchange two folders in one step, an update that was killed between its two renames leaves
    the old state under a name with ``.previous``; readers use that one, and the next writer restores its name.
    """
    if path.is_dir():
        return path
    path = _resolve_link(path)
    # Both exist, and both are complete, only between the two renames
    return next(
        (old for old in _leftovers(path, "previous") if old.is_dir() and old.with_suffix(".new").is_dir()), None
    )


def replace_folder(path: Path, files: Mapping[str, bytes], *, also: Mapping[str, bytes] | None = None) -> None:
    """Replace a folder and all its files in one step, as :func:`current_folder` sees it.

    Parameters
    ----------
    path : Path
        Its parent must exist. If it is a symbolic link, the folder that it points to is replaced and the link stays.
    files : mapping of str to bytes
        Content by name; names may contain slashes.
    also : mapping of str to bytes, optional
        Files beside the folder to replace with it, by their paths from its parent, in folders that exist. If a writer
        is killed after it has replaced the folder, :func:`finish_replacing` replaces these files.
    """
    path = _resolve_link(path)
    finish_replacing(path)
    new = _unused_name(path, "new")
    new.mkdir()
    handle = os.open(new, os.O_RDONLY)
    journal = new.with_suffix(".also") if also else None
    try:
        _try_lock(handle)
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
    """Repair the state after a killed :func:`replace_folder`: all old, or all new with the files beside the folder."""
    path = _resolve_link(path)
    found = current_folder(path)
    if found is not None and found != path:
        os.rename(found, path)
    for journal in _leftovers(path, "also"):
        with contextlib.suppress(
            OSError, ValueError, KeyError
        ):  # without a complete record the folder was not replaced
            present = {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}
            if json.loads((journal / "record.json").read_bytes())["digest"] == _digest(present):
                _apply(journal, path)
        shutil.rmtree(journal, ignore_errors=True)
    _remove_leftovers(path, "previous", "new")


def replace_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Replace files of a folder, all of them or none.

    A folder that holds nothing else is exchanged in one step. In a folder with other files, or the working folder of
    this process, all new files are complete before the first is renamed; :func:`finish_files` completes the renaming
    after a killed writer.

    Parameters
    ----------
    folder : Path
        Created if its parent exists. A symbolic link to a folder stays; one in the place of a file is replaced.
    files : mapping of str to bytes
        Content by name; names without slashes.
    """
    folder = _resolve_link(folder)
    finish_files(folder)
    if _holds_nothing_but(folder, files) and not Path.cwd().is_relative_to(folder.resolve()):
        replace_folder(folder, files)
        return
    with only_writer(folder):
        journal = _unused_name(folder / TOGETHER, "files")
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
    """Repair a folder after a killed :func:`replace_files`: all files new, or all as they were."""
    folder = _resolve_link(folder)
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
    """Rename a new folder to its final name; the old one gets the new one's former name, or one with ``.previous``."""
    if not path.is_dir():
        os.rename(new, path)
    elif not _exchange(new, path):
        os.rename(path, new.with_suffix(".previous"))
        os.rename(new, path)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; return whether the system can."""
    call = {"linux": "renameat2", "darwin": "renameatx_np"}.get(sys.platform)
    function = getattr(ctypes.CDLL(None, use_errno=True), call, None) if call else None
    here = {"linux": -100, "darwin": -2}.get(
        sys.platform
    )  # paths from the working directory; the flag, 2, is the same on both
    return function is not None and function(here, os.fsencode(one), here, os.fsencode(other), 2) == 0


def _resolve_link(path: Path) -> Path:
    return path.resolve() if path.is_symlink() else path


def _unused_name(path: Path, kind: str) -> Path:
    """Make up an unused name beside a file or folder."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.{kind}")


def _new_and_held(path: Path) -> tuple[Path, BinaryIO]:
    """Create a new file beside another, open and locked.

    Before it is locked, a second writer of the same file may take it for a killed writer's file and remove it; then
    another name is tried.
    """
    while True:
        temporary = _unused_name(path, "part")
        try:
            file = temporary.open("xb")
        except OSError as error:
            raise type(error)(error.errno, error.strerror, str(path)) from None
        if _try_lock(file.fileno()) and os.fstat(file.fileno()).st_nlink:
            return temporary, file
        file.close()
        temporary.unlink(missing_ok=True)


def _leftovers(path: Path, *kinds: str) -> list[Path]:
    """List the temporary files that writers of a file or folder left beside it."""
    name = re.compile(rf"\.{re.escape(path.name)}\.{_TOKEN}\.({'|'.join(kinds)})")
    if not path.parent.is_dir():
        return []
    with os.scandir(path.parent) as entries:
        return sorted(
            path.parent / entry.name for entry in entries if name.fullmatch(entry.name) and not entry.is_symlink()
        )


def _remove_leftovers(path: Path, *kinds: str) -> None:
    """Remove the temporary files of killed writers; a running writer still holds its lock."""
    for old in _leftovers(path, *kinds):
        try:
            handle = os.open(old, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        except OSError:  # already removed, or another user's
            continue
        try:
            if _try_lock(handle):
                if old.is_dir():
                    shutil.rmtree(old, ignore_errors=True)
                else:
                    old.unlink(missing_ok=True)
        finally:
            os.close(handle)


def _try_lock(handle: int) -> bool:
    """Lock a file or folder until its writer ends, in whatever way; return False if another writer holds it."""
    try:
        import fcntl  # not on Windows, where reading must still work
    except ImportError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
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
    """Lock a folder for writing; if another process holds the lock, raise an error instead of waiting.

    The lock is on the folder itself. So no lock file can be left behind, as with the package filelock, and the system
    releases the lock when the process ends, in whatever way. It needs a system with ``flock`` (Linux, macOS) and a
    local disk.

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
            from psps_paper.tables.errors import TableError  # imported late: the import is circular

            raise TableError(
                f"{folder}: another process is writing here; nothing was changed, try again when it has finished"
            ) from None
        yield
    finally:
        os.close(handle)
