"""Command line: ``psps-paper figures`` draws every figure of the book to files."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

from psps_paper.figures.layout import find_new_typefaces
from psps_paper.site.figures import export_figures, journal_figures


def add_figures(figures: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``psps-paper figures``."""
    figures.add_argument(
        "--format", default="svg,pdf,png", help="one or more, separated by commas (default: svg,pdf,png)"
    )
    figures.add_argument("--dpi", type=int, default=300, help="resolution of the png (default: 300)")
    figures.add_argument(
        "--width", choices=["single", "double"], default="double", help="single 90 mm, double 180 mm (default)"
    )
    figures.add_argument("--out", type=Path, default=Path("figures"), help="folder to write to (default: figures)")
    figures.add_argument(
        "--journal", action="store_true", help="name them Fig. 1 to 4 and S1, S2, ..., and add a file of captions"
    )
    figures.set_defaults(run=_figures)


def _figures(options: argparse.Namespace) -> int:
    formats = tuple(part.strip() for part in options.format.split(","))
    write = journal_figures if options.journal else export_figures
    find_new_typefaces()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for paths in write(options.out, formats=formats, dpi=options.dpi, width=options.width):
            print(", ".join(map(str, paths)))
    for message in dict.fromkeys(str(warning.message) for warning in told):
        print(f"psps-paper: note: {message}", file=sys.stderr)
    return 0
