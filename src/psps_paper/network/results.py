"""The base of the engine's results: a table of their numbers, and a summary as text."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import scipy


def as_text(value: object) -> str:
    """Format a number with four decimals, or in scientific notation if these show too little."""
    if isinstance(value, float | np.floating):
        small = value != 0 and abs(float(value)) < 1e-3
        return f"{value:.2e}" if small else f"{value:.4f}"
    return str(value)


class Result:
    """Base of the frozen dataclasses: ``to_frame()`` and ``summary()``."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]  # set by the dataclass decorator of each subclass

    @property
    def title(self) -> str:
        """Return the first line of the summary."""
        return type(self).__name__

    def numbers(self) -> dict[str, object]:
        """Return the fields that hold a single number, text or truth value."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: x for name, x in values.items() if x is None or (np.ndim(x) == 0 and not isinstance(x, Result))}

    def to_frame(self) -> pd.DataFrame:
        """Return the main table: by default one row with every single number."""
        return pd.DataFrame([self.numbers()])

    def summary(self) -> str:
        """Format the numbers, then the tables, as text."""
        lines = [self.title, ""]
        width = max(map(len, self.numbers()), default=0)
        lines += [f"{name:<{width}}  {as_text(x)}" for name, x in self.numbers().items() if x is not None]
        for field in fields(self):
            table = getattr(self, field.name)
            if isinstance(table, pd.DataFrame):
                lines += ["", f"{field.name}:", table.to_string(float_format=as_text)]
        return "\n".join(lines)


def square(values: np.ndarray, names: list[str]) -> pd.DataFrame:
    """Label a matrix [treatment x treatment]."""
    return pd.DataFrame(values, index=pd.Index(names), columns=pd.Index(names))


def with_limits(te: np.ndarray, se: np.ndarray, level: float) -> dict[str, np.ndarray]:
    """Add normal limits and two-sided p-values to estimates: te, se, lower, upper, p."""
    reach = scipy.special.ndtri((1 + level) / 2) * se
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * scipy.special.ndtr(-np.abs(te / se))
    return {"te": te, "se": se, "lower": te - reach, "upper": te + reach, "p": p}


def pairs_frame(treatments: list[str], columns: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Turn matrices (row minus column) into one row per pair, treat1 before treat2 in the given order."""
    first, second = np.triu_indices(len(treatments), 1)
    names = np.array(treatments, object)
    values = {name: matrix.to_numpy()[first, second] for name, matrix in columns.items()}
    return pd.DataFrame({"treat1": names[first], "treat2": names[second], **values})
