"""All limits on reading files from other people."""

from __future__ import annotations

from psps_paper.tables.conditions import DEEPEST, LONGEST

MAX_BYTES = 10_000_000  # of a file
MAX_UNPACKED_BYTES = 100_000_000  # of all parts of a workbook
MAX_PARTS = 1_000  # of a workbook
MAX_SHEET_TAGS = 2_000_000  # of a sheet or of its table of texts; 20,000 rows of 20 numbers have 1,700,000
MAX_PART_TAGS = 500_000  # of any other part of a workbook
MAX_ROWS = 20_000
MAX_COLUMNS = 500
MAX_CELL = 2_000  # characters
MAX_TREATMENTS = 400  # tables of all pairs grow with the square of the number
MAX_TABLE_TREATMENTS, MAX_TABLE_COLUMNS = (
    80,
    200,
)  # of a printed table; the audit checks all its triangles of treatments
MAX_OUTCOMES = 50
MAX_LINES = 200_000  # blank ones included
MAX_TAG = 100_000  # characters between < and > in a workbook
MAX_ESTIMATES = 300  # of one study; their covariances grow with the square of the number
MAX_YAML_BYTES = 200_000
MAX_YAML_DEPTH = 20
READING_BYTES = 400_000_000  # memory of the process that reads a workbook
READING_SECONDS = 5  # processor time


def limits() -> str:
    """Describe all limits in words, for the help of the command line."""
    return (
        f"Limits: a file {MAX_BYTES:,} bytes, {MAX_ROWS:,} rows ({MAX_LINES:,} lines with blank ones), {MAX_COLUMNS}"
        f" columns, {MAX_CELL:,} characters a cell, {MAX_TREATMENTS} treatments, {MAX_ESTIMATES:,} estimates of one"
        f" study; a workbook {MAX_UNPACKED_BYTES:,} bytes unpacked, {MAX_PARTS:,} parts, {MAX_SHEET_TAGS:,} tags a"
        f" sheet or list of texts, {MAX_PART_TAGS:,} tags any other part, {READING_SECONDS} seconds and"
        f" {READING_BYTES:,} bytes of memory to read it; a printed table {MAX_TABLE_TREATMENTS} treatments and"
        f" {MAX_TABLE_COLUMNS} columns; review.yml {MAX_YAML_BYTES:,} bytes, {MAX_YAML_DEPTH} levels,"
        f" {MAX_OUTCOMES} outcomes; a condition or formula in a table {LONGEST:,} characters, {DEEPEST} levels."
    )
