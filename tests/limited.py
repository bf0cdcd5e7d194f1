"""Run commands of the package in a separate process, with limits on time and memory, without reloading the package."""

from __future__ import annotations

import os
import re
import resource
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

SECONDS = 5  # of processor time, since a busy machine is not the code's fault
BYTES = 500_000_000
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]")


@dataclass(frozen=True)
class Done:
    """The result of a command.

    Attributes
    ----------
    status : int
        Exit status; negative if a signal ended it, as at the time limit.
    out, err : str
    seconds : float
        Processor time, including its child processes.
    """

    status: int
    out: str
    err: str
    seconds: float


def run_limited(folder: Path, arguments: list[str], *, seconds: int = SECONDS, memory: int = BYTES) -> Done:
    """Run ``psps-paper`` with these arguments in a folder."""
    from psps_paper.cli.main import main
    from psps_paper.living import importing, new_review, store  # noqa: F401 - loaded once, here

    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        status = 70
        try:
            os.chdir(folder)
            for name, number in (("out", 1), ("err", 2)):
                os.dup2(os.open(folder.parent / name, os.O_CREAT | os.O_TRUNC | os.O_WRONLY), number)
            sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115
            present = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            resource.setrlimit(resource.RLIMIT_AS, (present + memory,) * 2)
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
            status = main(arguments)
        except SystemExit as error:
            status = error.code
        except BaseException:
            traceback.print_exc(file=sys.stderr)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    _, ended, used = os.wait4(child, 0)
    out, err = ((folder.parent / name).read_text(encoding="utf-8", errors="surrogateescape") for name in ("out", "err"))
    return Done(os.waitstatus_to_exitcode(ended), out, err, used.ru_utime + used.ru_stime)
