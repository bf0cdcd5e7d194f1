"""Command line: ``psps-paper audit`` checks what any network meta-analysis prints."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from psps_paper.audit import TEMPLATE, Audit, audit, html_report, text_report
from psps_paper.audit.report import as_json
from psps_paper.cli import one_line
from psps_paper.tables.files import write_atomically
from psps_paper.tables.limits import limits


def add_audit(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``psps-paper audit``."""
    parser.epilog = limits()
    parser.description = (
        "Exit status 0: no clash; 1: a clash; 2: something cannot be read. Nothing leaves this machine."
    )
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="YAML description, league table (.csv, .tsv, .xlsx) or text (.txt, .md); - reads pasted text",
    )
    parser.add_argument(
        "--measure",
        default="",
        help="measure of a bare table: SMD, MD, OR, RR, HR ... (default: inferred where the numbers determine it)",
    )
    parser.add_argument(
        "--smallest-weight",
        type=float,
        help="smallest weight (1 / variance) a trial can have (default: that of 4 times the largest standard error)",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="findings as JSON: an object, or a list for several files; for a file that cannot be read, its error",
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with the marked table; one input only")
    parser.add_argument("--all", action="store_true", help="also list the checks that hold")
    parser.add_argument("--template", action="store_true", help="print a description to fill in")
    parser.set_defaults(run=_audit)


def _audit(options: argparse.Namespace) -> int:
    if options.template:
        print(TEMPLATE, end="")
        return 0
    if not options.files:
        raise ValueError("audit: no file is named; expected at least one, or - for pasted text, or --template")
    if options.html and len(options.files) > 1:
        raise ValueError(f"--html {options.html}: {len(options.files)} files are named; expected one for a page")
    read: list[tuple[str, Audit | str]] = []
    for file in options.files:
        try:
            read.append((file, _audit_input(file, options)))
        except ValueError as error:  # the other files are still checked
            read.append((file, _with_path(file, str(error))))
    found = [one for _, one in read if isinstance(one, Audit)]
    faults = [one for _, one in read if isinstance(one, str)]
    if options.json:
        objects = [{"file": file, **({"error": one} if isinstance(one, str) else as_json(one))} for file, one in read]
        print(json.dumps(objects[0] if len(objects) == 1 else objects, indent=1, ensure_ascii=False))
    elif found:
        print("\n\n".join(text_report(one, everything=options.all) for one in found))
    if options.html and found:
        write_atomically(options.html, html_report(found[0]).encode())
    for fault in faults:
        print(f"psps-paper: {one_line(fault)}", file=sys.stderr)
    return 2 if faults else 1 if any(one.verdict == "clash" for one in found) else 0


def _with_path(file: str, fault: str) -> str:
    """Begin a message about a file with its path, removing the file name if the message already starts with it."""
    for start in (file, Path(file).name):
        if fault.startswith((f"{start}:", f"{start},")):
            return file + fault[len(start) :]
    return f"{file}: {fault}"


def _audit_input(file: str, options: argparse.Namespace) -> Audit:
    if file == "-":
        return audit(
            sys.stdin.read() + "\n",
            measure=options.measure,
            smallest_weight=options.smallest_weight,
            name="pasted text",
        )
    return audit(Path(file), measure=options.measure, smallest_weight=options.smallest_weight)
