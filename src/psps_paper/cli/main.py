"""Command line: ``psps-paper verify`` and its companions."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import re
import sys
from importlib.metadata import version
from typing import NamedTuple

from psps_paper.cli import one_line
from psps_paper.errors import ChapterError, ConvergenceError

# Characters that move a terminal's cursor, change its colours or reverse the direction of its text
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]")
CLOSED_EARLY = 141  # the status that a shell reports for a process that wrote to a closed pipe


class Command(NamedTuple):
    """A subcommand: the module that declares and runs it, the extra with what it imports, and a line of help."""

    module: str
    extra: str
    help: str


# In the order of the help text. A module is imported only when its command is run.
COMMANDS = {
    "verify": Command("statements", "files", "check every printed number and report its verdict"),
    "tables": Command("statements", "files", "validate every table of the data folder"),
    "import": Command("living", "files", "read trial-level data and, with --write, put them into data/trials"),
    "diff": Command("living", "files", "what an update changes: numbers, ranks, verdicts, conclusions that flip"),
    "export": Command("living", "files", "data and results for R, CINeMA, MetaInsight and spreadsheets"),
    "new": Command("living", "files", "begin a review of your own, or remake its data from review.yml"),
    "witness": Command(
        "ensemble", "files", "refit a data set that agrees with the print: every printed value, and each conclusion"
    ),
    "ranges": Command(
        "ensemble", "files", "search for the data sets that are least and most favourable to each conclusion"
    ),
    "audit": Command(
        "audit", "files", "check what a network meta-analysis prints: what agrees, what clashes, what follows"
    ),
    "figures": Command("figures", "book", "rebuild every figure of the book, with the data plotted in it"),
}


class _Printable:
    """A stream that prints control characters, which may occur in names from files, as escape sequences."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(_CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text))
        return len(text)

    def __getattr__(self, name: str):
        return getattr(self._stream, name)


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand.

    Returns 0 if all is as expected, 1 for a difference, 2 for bad input, 141 if the reader of the output closed it.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may not be able to print every character of a name
            stream.reconfigure(errors="replace")
    given = sys.argv[1:] if arguments is None else arguments
    asked = next((argument for argument in given if not argument.startswith("-")), "")
    try:
        parser = _parser(asked)
        with contextlib.redirect_stdout(_Printable(sys.stdout)), contextlib.redirect_stderr(_Printable(sys.stderr)):
            return _run(parser.parse_args(given))
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "psps_paper" or asked not in COMMANDS:
            raise
        print(
            f"psps-paper: {asked} needs {missing}, which is not installed; install it with"
            f" pip install 'psps-paper[{COMMANDS[asked].extra}]'",
            file=sys.stderr,
        )
        return 2


def _parser(asked: str) -> argparse.ArgumentParser:
    """Build a parser with the names of all commands and the arguments of the requested one."""
    parser = argparse.ArgumentParser(prog="psps-paper", description="Executable edition of a systematic review.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('psps-paper')}")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        own = commands.add_parser(name, help=command.help)
        if name == asked:
            module = importlib.import_module(f"psps_paper.cli.{command.module}")
            getattr(module, f"add_{name}")(own)
    return parser


def _run(options: argparse.Namespace) -> int:
    try:
        status = options.run(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The interpreter flushes stdout again on exit, which would raise the error a second time
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_EARLY
    except (MemoryError, RecursionError) as error:
        print(
            f"psps-paper: {options.command}: the input is too large or too deep ({type(error).__name__})",
            file=sys.stderr,
        )
        return 2
    except (ValueError, OSError, ConvergenceError, ChapterError) as error:
        print(f"psps-paper: {one_line(str(error))}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
