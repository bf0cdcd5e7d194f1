"""Command line: ``psps-paper verify`` and ``psps-paper tables`` check what is stored."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import pandas as pd

from psps_paper.claims.consistency import disagreements
from psps_paper.claims.model import AGAINST, VERDICTS, WEIGHTS, place
from psps_paper.claims.registry import check_claims, statements
from psps_paper.tables.checksums import changed_files, record_checksums
from psps_paper.tables.dataset import Dataset, dataset
from psps_paper.tables.files import only_writer


def add_verify(verify: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``psps-paper verify``."""
    verify.add_argument("--json", action="store_true", help="all statements as JSON")
    verify.add_argument("--data", type=Path, help="data folder (default: that of this checkout)")
    verify.set_defaults(run=_verify)


def add_tables(tables: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``psps-paper tables``."""
    tables.add_argument("--data", type=Path, help="data folder (default: that of this checkout)")
    tables.add_argument("--record", action="store_true", help="rewrite data/checksums.sha256 after a deliberate change")
    tables.add_argument("--docx", type=Path, help="write the tables of your own review to this Word document")
    tables.add_argument("--xlsx", type=Path, help="write the tables of your own review to this Excel workbook")
    tables.set_defaults(run=_tables)


def _verify(options: argparse.Namespace) -> int:
    data = dataset(options.data)
    checked = check_claims(data)
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
        _print_verdicts(checked)
    for _, row in unexpected.iterrows():
        print(
            f"not as expected: {row['id']}: {row['verdict']}, expected {row['expected']}. Printed {row['shown']}"
            f" ({place(row)}), found {row['computed']} ({row['detail']})",
            file=sys.stderr,
        )
    differences = _print_differences(data)
    return 1 if len(unexpected) or differences else 0


def _print_verdicts(checked: pd.DataFrame) -> None:
    """Print the number of statements by verdict, distinct results first, then each truncated or contradicted number."""
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


def _print_differences(data: Dataset) -> bool:
    """Print contradictions between tables and files that differ from the recorded checksums."""
    sentences = [f"disagrees: {found}" for found in disagreements(data)] + changed_files(data)
    for sentence in sentences:
        print(sentence, file=sys.stderr)
    return bool(sentences)


def _documents(options: argparse.Namespace) -> int:
    from psps_paper.living.documents import write_documents
    from psps_paper.living.review import open_review

    tables = open_review(options.data.parent if options.data else None).document_tables()
    for path in write_documents(tables, docx=options.docx, xlsx=options.xlsx):
        print(f"wrote {path}")
    return 0


def _tables(options: argparse.Namespace) -> int:
    if options.docx or options.xlsx:
        return _documents(options)
    data = dataset(options.data)
    for name in data.names:
        print(f"{name}.csv: {len(data.table(name))} rows")
    if options.record:
        with only_writer(data.folder):
            print(f"wrote {record_checksums(dataset(data.folder))}")
    return 1 if _print_differences(data) else 0
