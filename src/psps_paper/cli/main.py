"""Command line: ``psps-paper verify`` and its companions."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from psps_paper.claims.consistency import disagreements
from psps_paper.claims.model import AGAINST, VERDICTS, WEIGHTS, place
from psps_paper.claims.registry import check_claims, statements
from psps_paper.cli.audit import audit_commands
from psps_paper.cli.ensemble import ensemble_commands
from psps_paper.cli.living import living_commands
from psps_paper.tables.checksums import changed_files, record_checksums
from psps_paper.tables.errors import TableError
from psps_paper.tables.files import only_writer
from psps_paper.tables.load import data_folder, load_table, table_names

if TYPE_CHECKING:
    import pandas as pd

# What moves a terminal's cursor, changes its colours or turns the direction of its text
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]")
LONGEST_MESSAGE = 2_000  # characters; it may repeat names from a file
CLOSED_EARLY = 141  # as a shell reports a process that wrote to a closed pipe


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
    parser = argparse.ArgumentParser(prog="psps-paper", description="Executable edition of a systematic review.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('psps-paper')}")
    commands = parser.add_subparsers(dest="command", required=True)

    verify = commands.add_parser("verify", help="check every printed number and give its verdict")
    verify.add_argument("--json", action="store_true", help="all statements as JSON")
    verify.add_argument("--data", type=Path, help="data folder (default: that of this checkout)")
    verify.set_defaults(run=_verify)

    tables = commands.add_parser("tables", help="validate every table of the data folder")
    tables.add_argument("--data", type=Path, help="data folder (default: that of this checkout)")
    tables.add_argument(
        "--record", action="store_true", help="write data/checksums.sha256 anew after a change made on purpose"
    )
    tables.set_defaults(run=_tables)

    living_commands(commands)
    ensemble_commands(commands)
    audit_commands(commands)

    figures = commands.add_parser("figures", help="rebuild every figure of the book, with the data plotted in it")
    figures.add_argument(
        "--format", default="svg,pdf,png", help="one or more, separated by commas (default: svg,pdf,png)"
    )
    figures.add_argument("--dpi", type=int, default=300, help="of the png (default: 300)")
    figures.add_argument(
        "--width", choices=["single", "double"], default="double", help="single 90 mm, double 180 mm (default)"
    )
    figures.add_argument("--out", type=Path, default=Path("figures"), help="folder to write to (default: figures)")
    figures.set_defaults(run=_figures)

    with contextlib.redirect_stdout(_Printable(sys.stdout)), contextlib.redirect_stderr(_Printable(sys.stderr)):
        return _run(parser.parse_args(arguments))


def _run(options: argparse.Namespace) -> int:
    try:
        status = options.run(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The interpreter flushes once more when it ends, and would complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_EARLY
    except (TableError, ValueError, OSError) as error:
        message = "; ".join(line.strip().removesuffix(":") for line in str(error).splitlines())
        if len(message) > LONGEST_MESSAGE:
            message = message[: LONGEST_MESSAGE - 1] + "\N{HORIZONTAL ELLIPSIS}"
        print(f"psps-paper: {message}", file=sys.stderr)
        return 2
    except (MemoryError, RecursionError) as error:
        print(
            f"psps-paper: {options.command}: the input is too large or too deep ({type(error).__name__})",
            file=sys.stderr,
        )
        return 2


def _verify(options: argparse.Namespace) -> int:
    checked = check_claims(options.data)
    unexpected = checked[~checked["as_expected"]]
    if options.json:
        columns = [
            "id",
            "statement",
            "weight",
            "against",
            "section",
            "paragraph",
            "quantity",
            "printed",
            "value",
            "unit",
            "relation",
            "tier",
            "check",
            "computed",
            "detail",
            "verdict",
            "expected",
            "as_expected",
            "settles",
            "note",
        ]
        print(json.dumps(json.loads(checked[columns].to_json(orient="records")), indent=1))
    else:
        _tell_verdicts(checked)
    for _, row in unexpected.iterrows():
        print(
            f"not as expected: {row['id']}: {row['verdict']}, expected {row['expected']}. Printed {row['shown']}"
            f" ({place(row)}), found {row['computed']} ({row['detail']})",
            file=sys.stderr,
        )
    differences = _tell_differences(options.data)
    return 1 if len(unexpected) or differences else 0


def _tell_verdicts(checked: pd.DataFrame) -> None:
    """Print how many statements have which verdict, distinct results first, and each number that does not print as it
    should."""
    distinct = statements(checked)
    results = distinct[distinct["weight"] == "result"]
    print(
        f"{len(results)} distinct results of {len(distinct)} statements, which are printed at {len(checked)} places\n"
    )
    tables = [
        ("results checked against", results, "against", AGAINST),
        ("all statements by weight", distinct, "weight", WEIGHTS),
        ("all statements checked against", distinct, "against", AGAINST),
    ]
    for title, rows, by, names in tables:
        print(f"{title:<33}" + "".join(f"{verdict:>15}" for verdict in VERDICTS) + f"{'all':>6}")
        for name in [*(name for name in names if (rows[by] == name).any()), "all"]:
            verdicts = rows["verdict"] if name == "all" else rows.loc[rows[by] == name, "verdict"]
            print(
                f"  {name:<31}"
                + "".join(f"{(verdicts == verdict).sum():>15}" for verdict in VERDICTS)
                + f"{len(verdicts):>6}"
            )
        print()
    for _, row in distinct[distinct["verdict"].isin(["truncated", "contradicts"])].iterrows():
        note = f" {row['note']}" if isinstance(row["note"], str) else ""
        print(
            f"{row['verdict']}: {row['id']}: printed {row['shown']} ({'; '.join(row['places'])}), found"
            f" {row['computed']}: {row['detail']}.{note}"
        )


def _tell_differences(folder: Path | None) -> bool:
    """Say which tables contradict each other and which are not what was recorded."""
    sentences = [f"disagrees: {found}" for found in disagreements(folder)] + changed_files(folder)
    for sentence in sentences:
        print(sentence, file=sys.stderr)
    return bool(sentences)


def _tables(options: argparse.Namespace) -> int:
    for name in table_names(options.data):
        print(f"{name}.csv: {len(load_table(name, options.data))} rows")
    if options.record:
        with only_writer(options.data or data_folder()):
            print(f"wrote {record_checksums(options.data)}")
    return 1 if _tell_differences(options.data) else 0


def _figures(options: argparse.Namespace) -> int:
    # Needs the book's packages, which the other commands do without.
    from psps_paper.site.figures import export_figures

    formats = tuple(part.strip() for part in options.format.split(","))
    for paths in export_figures(options.out, formats=formats, dpi=options.dpi, width=options.width):
        print(", ".join(map(str, paths)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
