"""Subcommands that change, compare or begin reviews: import, diff, export, new."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path

from psps_paper.tables.dataset import dataset
from psps_paper.tables.limits import limits
from psps_paper.tables.load import data_folder


def add_import(importing: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``psps-paper import``."""
    importing.epilog = limits()
    importing.description = (
        "Reads contrasts or arms in the conventions of netmeta, CINeMA, MetaInsight or RevMan and reports what it "
        "found. Without --write nothing is written."
    )
    importing.add_argument("file", type=Path, help="CSV, TSV, XLSX or XLS")
    importing.add_argument(
        "--kind", choices=["contrasts", "arms"], required=True, help="one effect a row, or arms of trials"
    )
    importing.add_argument("--outcome", help="row of outcomes.csv (default: the first)")
    _add_names(importing)
    _add_reading(importing)
    _add_writing(importing)
    importing.add_argument("--data", type=Path, help="data folder (default: that of this checkout)")
    importing.set_defaults(run=_import)


def _add_names(importing: argparse.ArgumentParser) -> None:
    """Add options that name columns, treatments and rows; each may be repeated."""
    for option, metavar, text in (
        (
            "--map",
            "NAME=COLUMN",
            "column of the file for study, treat1, treat2, te (or ratio), se (or lower and upper, or p), "
            "or treatment, n, mean, sd (or se), events, time, ...",
        ),
        ("--set", "NAME=VALUE", "one value for all rows: treat1, treat2, treatment or study"),
        ("--label", "OLD=NEW", "rename a treatment; each of these four may be repeated"),
        ("--where", "COLUMN=VALUE", "use only these rows"),
    ):
        importing.add_argument(option, action="append", default=[], metavar=metavar, help=text)


def _add_reading(importing: argparse.ArgumentParser) -> None:
    """Add options that control how numbers are read."""
    importing.add_argument(
        "--measure",
        choices=["SMD", "MD", "OR", "RD", "RR", "HR", "IRR", "ROM"],
        help="state the measure; refused where it is not that of the outcome",
    )
    importing.add_argument(
        "--reverse", action="store_true", help="contrasts in the other direction: turn the sign of te"
    )
    importing.add_argument(
        "--no-imputation",
        action="store_true",
        help="leave out arms without an SD, even if their baseline SD is known",
    )
    importing.add_argument(
        "--impute-sd", action="store_true", help="give arms without any SD the mean SD of the other studies"
    )
    importing.add_argument(
        "--decimal", choices=["comma", "point"], help="decimal sign, where a text file could be read in two ways"
    )
    importing.add_argument("--sheet", help="sheet of a workbook")
    importing.add_argument("--skip", type=int, default=0, metavar="LINES", help="number of lines above the header")


def _add_writing(importing: argparse.ArgumentParser) -> None:
    """Add options that control what is written."""
    importing.add_argument(
        "--add", action="store_true", help="add to the trials already present, instead of replacing them"
    )
    importing.add_argument("--write", action="store_true", help="write data/trials")
    importing.add_argument(
        "--replace-printed",
        action="store_true",
        help="write trials even if they would replace the printed network without covering all of it",
    )


def add_diff(diff: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``psps-paper diff``."""
    diff.add_argument("old", type=Path, help="data folder, or results.json of an export")
    diff.add_argument("new", type=Path, help="data folder, or results.json of an export")
    diff.add_argument("--json", action="store_true", help="as JSON")
    diff.set_defaults(run=_diff)


def add_export(export: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``psps-paper export``."""
    export.add_argument("target", type=Path, help="a new folder, or one with an earlier export and nothing else")
    export.add_argument("--outcome", help="row of outcomes.csv (default: all outcomes with results)")
    export.add_argument("--data", type=Path, help="data folder (default: that of this checkout)")
    export.set_defaults(run=_export)


def add_new(new: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``psps-paper new``."""
    new.description = (
        "In a new folder, write a sample review that builds. In a review's folder, renew data/ and the lines "
        "that repeat title, author and repository."
    )
    new.add_argument("folder", type=Path)
    new.set_defaults(run=_new)


def _pairs(option: str, texts: list[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not (name and sign and value):
            raise ValueError(f"--{option} {text}: expected two parts with = between them")
        if name in pairs:
            raise ValueError(f"--{option} {text}: {name} is given twice")
        pairs[name] = value
    return pairs


def _import(options: argparse.Namespace) -> int:
    from psps_paper.living.importing import read_trials, report
    from psps_paper.living.model import Options
    from psps_paper.living.settings import CONFIG
    from psps_paper.living.store import beside_present, write_trials

    if re.search("[\ud800-\udfff]", str(options.file)):
        raise ValueError(f"{str(options.file)!a}: the name is not valid UTF-8; rename the file")
    if options.skip < 0:
        raise ValueError(f"--skip {options.skip}: expected a number of lines")
    data = dataset(options.data)
    result = read_trials(
        options.file,
        Options(
            kind=options.kind,
            outcome=options.outcome,
            mapping=_pairs("map", options.map),
            constants=_pairs("set", options.set),
            labels=_pairs("label", options.label),
            where=_pairs("where", options.where),
            measure=options.measure,
            reverse=options.reverse,
            impute=not options.no_imputation,
            impute_sd=options.impute_sd,
            decimal=options.decimal,
            sheet=options.sheet,
            skip=options.skip,
        ),
        data,
    )
    print(report(beside_present(result, data) if options.add else result))
    if options.write:
        if (data.folder.absolute().parent / CONFIG).is_file():
            result = replace(result, source=result.source | {"imported": True})
            print(
                f"  note: this folder is made from {CONFIG}; until that names the file and options under table of the"
                " outcome, psps-paper new and make book stop instead of undoing the import"
            )
        print(f"wrote {write_trials(result, data.folder, add=options.add, replace_printed=options.replace_printed)}")
    else:
        print("nothing was written; to write, add --write")
    return 0


def _diff(options: argparse.Namespace) -> int:
    from psps_paper.living.diff import compare_paths, diff_json, diff_text

    changes = compare_paths(options.old, options.new)
    print(diff_json(changes) if options.json else diff_text(changes))
    return 1 if changes["flips"].any() else 0


def _export(options: argparse.Namespace) -> int:
    from psps_paper.living.exports import export

    for name in export(options.data or data_folder(), options.target, outcome=options.outcome):
        print(f"wrote {options.target / name}")
    return 0


def _new(options: argparse.Namespace) -> int:
    from psps_paper.living.new_review import new_review

    for name in new_review(options.folder, tell=print):
        print(f"wrote {options.folder / name}")
    return 0
