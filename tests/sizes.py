"""Number of cases that a test tries: few in ``make test``, all in ``make long``, which sets ``PSPS_LONG``."""

from __future__ import annotations

import os

LONG = bool(os.environ.get("PSPS_LONG"))


def cases(short: int, full: int) -> int:
    """The number of cases; the test that asks bears the mark ``long``, by which ``make long`` finds it."""
    return full if LONG else short
