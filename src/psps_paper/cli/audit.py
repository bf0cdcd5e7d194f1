"""Command line: ``psps-paper audit`` checks what any network meta-analysis prints."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from psps_paper.audit import TEMPLATE, Audit, audit, html_report, text_report
from psps_paper.audit.report import as_json
from psps_paper.tables.files import write_atomically


def audit_commands(commands) -> None:
    parser = commands.add_parser(
        "audit",
        help="check what a network meta-analysis prints: what agrees, what clashes, what follows",
        description="Exit status 0: no clash; 1: a clash; 2: something cannot be read. Nothing leaves this machine.",
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="YAML description, league table (.csv, .tsv, .xlsx) or text (.txt, .md); - reads pasted text")
    parser.add_argument("--measure", default="", help="of tables alone: SMD, MD, OR, RR, HR ... (default: inferred where the numbers decide it)")
    parser.add_argument("--smallest-weight", type=float, help="weight (1 / variance) below which no trial lies (default: that of 4 times the largest standard error)")
    parser.add_argument("--json", action="store_true", help="findings as JSON: an object, or a list of several files")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with the marked table; of one input")
    parser.add_argument("--all", action="store_true", help="list also what holds")
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
    found: list[tuple[str, Audit]] = []
    faults = []
    for file in options.files:
        try:
            found.append((file, _one(file, options)))
        except ValueError as error:  # the other files are still checked
            faults.append(f"{file}: {error}")
    if options.json:
        objects = [{"file": file, **as_json(one)} for file, one in found]
        print(json.dumps(objects[0] if len(options.files) == 1 and objects else objects, indent=1, ensure_ascii=False))
    else:
        print("\n\n".join(text_report(one, everything=options.all) for _, one in found))
    if options.html and found:
        write_atomically(options.html, html_report(found[0][1]).encode())
    for fault in faults:
        print(f"psps-paper: {fault}", file=sys.stderr)
    return 2 if faults else 1 if any(one.verdict == "clash" for _, one in found) else 0


def _one(file: str, options: argparse.Namespace) -> Audit:
    if file == "-":
        return audit(sys.stdin.read() + "\n", measure=options.measure, smallest_weight=options.smallest_weight, name="pasted text")
    return audit(Path(file), measure=options.measure, smallest_weight=options.smallest_weight)
