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

# What moves a terminal's cursor, changes its colours or turns the direction of its text
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]")
CLOSED_EARLY = 141  # as a shell reports a process that wrote to a closed pipe


class Command(NamedTuple):
    """A subcommand: the module that declares and runs it, the extra with what that module imports, one line of help."""

    module: str
    extra: str
    help: str


# In the order of the help. A module is imported only when its command is asked for.
COMMANDS = {
    "verify": Command("statements", "files", "check every printed number and give its verdict"),
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
    """A stream that shows control characters, which names in files may hold, by their numbers."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(_CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text))
        return len(text)

    def __getattr__(self, name: str):
        return getattr(self._stream, name)


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; 0 means all as expected, 1 a difference, 2 bad input, 141 that the reader of its output
    left."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not every terminal can write every character of a name
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
            f"psps-paper: {asked} needs {missing}, which is not installed; install what it needs with"
            f" pip install 'psps-paper[{COMMANDS[asked].extra}]'",
            file=sys.stderr,
        )
        return 2


def _parser(asked: str) -> argparse.ArgumentParser:
    """Parser that knows the names of all commands, and the arguments of the one that is asked for."""
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
        # The interpreter flushes once more when it ends, and would complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_EARLY
    except (MemoryError, RecursionError) as error:
        print(
            f"psps-paper: {options.command}: the input is too large or too deep ({type(error).__name__})",
            file=sys.stderr,
        )
        return 2
    except (ValueError, OSError, RuntimeError) as error:
        print(f"psps-paper: {one_line(str(error))}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
