"""The error that every table check raises."""

from __future__ import annotations


class TableError(ValueError):
    """A table that does not fit its dictionary; the message names file, row, column, value and expectation."""
