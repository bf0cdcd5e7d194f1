"""What all results of this room share: a table of their numbers, and a text to read."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pandas as pd

from psps_paper.pairwise.random_effects import critical_value, two_sided_p


def interval(te: float, se: float, level: float, df: float = np.inf) -> tuple[float, float, float]:
    """Limits and two-sided p-value of an estimate."""
    reach = critical_value(level, df) * se
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = float(np.divide(te, se))
    return te - reach, te + reach, two_sided_p(statistic, df)


def as_text(value: object) -> str:
    """A number with four digits after the point, or in scientific notation where that shows too little."""
    if isinstance(value, float | np.floating):
        small = value != 0 and abs(value) < 1e-3
        return f"{value:.2e}" if small else f"{value:.4f}"
    return str(value)


class Result:
    """Base of the frozen dataclasses: ``to_frame()`` and ``summary()``."""

    @property
    def title(self) -> str:
        """First line of the summary."""
        return type(self).__name__

    def numbers(self) -> dict[str, object]:
        """Fields that hold one number, text or truth value."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: x for name, x in values.items() if x is None or (np.ndim(x) == 0 and not isinstance(x, Result))}

    def to_frame(self) -> pd.DataFrame:
        """The main table: by default one row with every single number."""
        return pd.DataFrame([self.numbers()])

    def summary(self) -> str:
        """The numbers, then the tables, as text."""
        lines = [self.title, ""]
        width = max(map(len, self.numbers()), default=0)
        lines += [f"{name:<{width}}  {as_text(x)}" for name, x in self.numbers().items() if x is not None]
        for field in fields(self):
            table = getattr(self, field.name)
            if isinstance(table, pd.DataFrame):
                lines += ["", f"{field.name}:", table.to_string(float_format=as_text)]
        return "\n".join(lines)
