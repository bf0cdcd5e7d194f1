"""Failures that are nobody's wrong input; a command reports each in one line."""

from __future__ import annotations


class ConvergenceError(RuntimeError):
    """A numerical method did not settle; the message states what moved and what may be the cause."""


class ChapterError(RuntimeError):
    """A chapter failed to run, or to print; the message names the chapter and, where known, the cell."""
