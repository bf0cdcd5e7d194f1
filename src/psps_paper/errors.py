"""Failures that are nobody's wrong input; a command reports each in one line."""

from __future__ import annotations


class ConvergenceError(RuntimeError):
    """A numerical method did not converge; the message states the last change and a possible cause."""


class ChapterError(RuntimeError):
    """A chapter failed to run, or to print; the message names the chapter and, where known, the cell."""
