"""Write text and numbers as R source that reads the same in any locale."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd


def r_text(text: str) -> str:
    """Write an R string that reads the same in any locale."""
    short = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    signs = [
        short.get(c) or (c if " " <= c <= "~" else f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}")
        for c in str(text)
    ]
    return '"' + "".join(signs) + '"'


def r_number(value: float) -> str:
    value = float(value)
    if value != value:
        return "NA_real_"
    return format(value, ".17g")


def r_vector(items: Iterable[str]) -> str:
    return "c(" + ", ".join(items) + ")"


def r_matrix(frame: pd.DataFrame) -> str:
    cells = [r_number(value) for row in frame.to_numpy() for value in row]
    return f"matrix({r_vector(cells)}, nrow = {len(frame)}, byrow = TRUE)"
