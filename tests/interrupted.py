"""Writers that are killed, or whose disk fills up, and what they leave behind."""

from __future__ import annotations

import errno
import io
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

STEPS = ("fsync", "replace", "rename", "mkdir", "rmdir", "unlink")  # what changes the disk, and the flushes between
LEFT = {".part", ".new", ".previous", ".also", ".files"}
_OPEN = Path.open


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def left_behind(folder: Path) -> list[Path]:
    """What a killed writer left for the next one to remove."""
    return [path for path in folder.rglob(".*") if path.suffix in LEFT]


def killed_at(step: int, action: Callable[[], object]) -> bool:
    """Run an action in a process that is killed (SIGKILL) when it enters its step-th call; whether it was."""
    child = os.fork()
    if child == 0:
        try:
            count = 0

            def counting(function):
                def wrapped(*args, **kwargs):
                    nonlocal count
                    count += 1
                    if count == step:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return function(*args, **kwargs)

                return wrapped

            for name in STEPS:
                setattr(os, name, counting(getattr(os, name)))
            action()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the action failed by itself"
    return os.WIFSIGNALED(status)


def steps_of(action: Callable[[], object]) -> int:
    """Run an action and count how many of these steps it takes."""
    count = 0

    def counting(function):
        def wrapped(*args, **kwargs):
            nonlocal count
            count += 1
            return function(*args, **kwargs)

        return wrapped

    with pytest.MonkeyPatch.context() as patched:
        for name in STEPS:
            patched.setattr(os, name, counting(getattr(os, name)))
        action()
    return count


class Disk:
    """A disk with room for a fixed number of bytes; ``taken`` counts them."""

    def __init__(self, room: float):
        self.room, self.taken = room, 0

    def open(self, path: Path, mode: str = "r", *args, **kwargs):
        return _Limited(path, self) if mode == "xb" else _OPEN(path, mode, *args, **kwargs)


class _Limited(io.FileIO):
    def __init__(self, path: Path, disk: Disk):
        super().__init__(path, "xb")
        self.disk = disk

    def write(self, content) -> int:
        fits = int(min(len(content), max(0, self.disk.room - self.disk.taken)))
        self.disk.taken += super().write(content[:fits])
        if fits < len(content):
            raise OSError(errno.ENOSPC, "No space left on device")
        return fits
