"""Random networks, fitted by the engine and printed as papers print them, and typical errors in print."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from psps_paper.network import fit_network
from psps_paper.network.model import NetworkFit
from psps_paper.network.ranking import p_scores

MINUS = "\u2212"
STYLES = ("{e} ({l}, {u})", "{e} ({l} to {u})", "{e} [{l}; {u}]", "{e} [{l}, {u}]", "{e} ({l}; {u})", "{e} ({l} - {u})")
LAYOUTS = ("square", "lower", "upper", "diagonal")


@dataclass(frozen=True, eq=False)
class Example:
    """A fitted network with the scale, digits, spelling and layout of its print."""

    fit: NetworkFit
    ratio: bool
    decimals: int
    style: str
    layout: str
    minus: str

    @property
    def n(self) -> int:
        return len(self.fit.treatments)

    def on_scale(self, value: float) -> float:
        return float(np.exp(value)) if self.ratio else float(value)

    def triples(self) -> np.ndarray:
        """Printed numbers [n, n, 3] of row versus column: estimate, lower, upper."""
        values = np.stack([self.fit.te.to_numpy(), self.fit.lower.to_numpy(), self.fit.upper.to_numpy()], axis=-1)
        return np.round(np.exp(values) if self.ratio else values, self.decimals) + 0.0

    def cell(self, triple: np.ndarray) -> str:
        estimate, lower, upper = (f"{value:.{self.decimals}f}".replace("-", self.minus) for value in triple)
        return self.style.format(e=estimate, l=lower, u=upper)

    def table(self, triples: np.ndarray | None = None) -> list[list[str]]:
        """The league table as rows of text, with names in the first row and column or on the diagonal."""
        triples = self.triples() if triples is None else triples
        names = self.fit.treatments
        rows = []
        for i, name in enumerate(names):
            cells = []
            for j in range(self.n):
                shown = i != j and (self.layout in ("square", "diagonal") or (i > j) == (self.layout == "lower"))
                cells.append(self.cell(triples[i, j]) if shown else (name if i == j else ""))
            rows.append(cells if self.layout == "diagonal" else [name, *cells])
        return rows if self.layout == "diagonal" else [["", *names], *rows]


def text_of(rows: list[list[str]]) -> str:
    return "\n".join("\t".join(row) for row in rows) + "\n"


def random_contrasts(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Studies of a connected network: a random tree, loops, and studies of three or four arms."""
    names = [f"T{k:02d}" for k in range(n)]
    arms = [[int(rng.integers(k)), k] for k in range(1, n)]
    arms += [list(rng.choice(n, 2, replace=False)) for _ in range(rng.integers(0, 2 * n))]
    arms += [list(rng.choice(n, min(n, int(rng.integers(3, 5))), replace=False)) for _ in range(rng.integers(0, 3))]
    arms += [arms[int(rng.integers(len(arms)))] for _ in range(rng.integers(0, n))]
    truth, tau = rng.normal(0, 0.5, n), rng.choice([0.0, 0.1, 0.3])
    rows = []
    for k, members in enumerate(arms):
        spread = rng.uniform(0.1, 0.45) * rng.uniform(0.8, 1.25, len(members))  # standard errors of arms
        effects = truth[members] + rng.normal(0, tau / np.sqrt(2), len(members)) + rng.normal(0, spread)
        rows += [
            (
                f"study {k}",
                names[members[a]],
                names[members[b]],
                effects[a] - effects[b],
                float(np.hypot(spread[a], spread[b])),
            )
            for a in range(len(members))
            for b in range(a + 1, len(members))
        ]
    return pd.DataFrame(rows, columns=["study", "treat1", "treat2", "te", "se"])


def random_example(seed: int, *, decimals: int | None = None, layout: str | None = None, most: int = 20) -> Example:
    """The example of a seed."""
    rng = np.random.default_rng(seed)
    fit = fit_network(random_contrasts(rng, int(rng.integers(3, most + 1))))
    ratio = bool(rng.integers(2))
    drawn = int(rng.integers(1, 4))
    style, chosen, minus = (
        STYLES[rng.integers(len(STYLES))],
        LAYOUTS[rng.integers(len(LAYOUTS))],
        ("-", MINUS, "\u2013")[rng.integers(3)],
    )
    return Example(fit, ratio, decimals or drawn, style, layout or chosen, minus)


def direct_pairs(fit: NetworkFit) -> set[frozenset[str]]:
    return {frozenset(pair) for pair in zip(fit.contrasts["treat1"], fit.contrasts["treat2"], strict=True)}


# --- typical errors in print -----------------------------------------------------------------------


def _cells(example: Example, rng: np.random.Generator, least_z: float = 0.0) -> tuple[int, int] | None:
    """A printed cell at random, among those with a |z| above ``least_z``."""
    z = np.abs(example.fit.te.to_numpy()) / (example.fit.se.to_numpy() + np.eye(example.n))
    i, j = np.nonzero(z > least_z) if least_z else np.nonzero(~np.eye(example.n, dtype=bool))
    keep = [
        (a, b)
        for a, b in zip(i, j, strict=True)
        if example.layout in ("square", "diagonal") or (a > b) == (example.layout == "lower")
    ]
    return keep[rng.integers(len(keep))] if keep else None


def flip_sign(example: Example, rng: np.random.Generator) -> np.ndarray | None:
    """The estimate of a cell with |z| above 2 is reversed (the reciprocal of a ratio), but its limits are not."""
    at = _cells(example, rng, 2.0)
    triples = example.triples()
    if at is None:
        return None
    triples[at][0] = (
        np.round(1 / max(triples[at][0], 10.0**-example.decimals), example.decimals)
        if example.ratio
        else -triples[at][0]
    )
    return triples


def turn_cell(example: Example, rng: np.random.Generator) -> np.ndarray | None:
    """A cell with |z| above 2 is reversed, estimate and limits."""
    at = _cells(example, rng, 2.0)
    triples = example.triples()
    if at is None:
        return None
    triples[at] = example.triples()[at[1], at[0]]
    return triples


def swap_limits(example: Example, rng: np.random.Generator) -> np.ndarray | None:
    at = _cells(example, rng)
    triples = example.triples()
    triples[at][[1, 2]] = triples[at][[2, 1]]
    return triples if triples[at][1] != triples[at][2] else None


def swap_rows(example: Example, rng: np.random.Generator) -> np.ndarray | None:
    """Two rows of cells change places; names, diagonal and the cells of the two against each other stay."""
    i, j = (int(k) for k in rng.choice(example.n, 2, replace=False))
    old = example.triples()
    new = old.copy()
    others = [k for k in range(example.n) if k not in (i, j)]
    new[i, others], new[j, others] = old[j, others], old[i, others]
    return None if (new == old).all() else new


def change_digit(example: Example, rng: np.random.Generator) -> np.ndarray | None:
    """One digit of one number of a cell becomes another."""
    at, which = _cells(example, rng), int(rng.integers(3))
    triples = example.triples()
    text = list(f"{abs(triples[at][which]):.{example.decimals}f}")
    k = rng.choice([k for k, mark in enumerate(text) if mark.isdigit()])
    text[k] = str((int(text[k]) + int(rng.integers(1, 10))) % 10)
    triples[at][which] = float("".join(text)) * (-1 if triples[at][which] < 0 else 1)
    return triples


ERRORS = {
    "sign of an estimate turned": flip_sign,
    "cell turned round": turn_cell,
    "limits exchanged": swap_limits,
    "rows exchanged": swap_rows,
    "one digit changed": change_digit,
}


def description(example: Example, *, reverse_ranks: bool = False, i2_for_tau2: bool = False) -> dict:
    """The table with what papers print next to it: P-scores, Q, tau2, I2 and prediction intervals against the first
    treatment."""
    fit, d = example.fit, example.decimals
    scores = p_scores(fit, desirable="higher")
    if reverse_ranks:
        ranks = scores.to_numpy().argsort().argsort()
        scores = pd.Series(np.sort(scores.to_numpy())[::-1][ranks], index=scores.index)
    network: dict = {
        "name": "network",
        "measure": "OR" if example.ratio else "MD",
        "framework": "frequentist",
        "better": "higher",
        "tables": [{"text": text_of(example.table()), "orientation": "row versus column"}],
        "scores": {"kind": "P-score", **{name: f"{score:.2f}" for name, score in scores.items()}},
        "heterogeneity": {"tau2": f"{fit.i2 if i2_for_tau2 else fit.tau2:.{max(d, 2)}f}"},
    }
    if fit.df_predict > 0:
        network["heterogeneity"]["df_predict"] = str(int(fit.df_predict))
        first = fit.treatments[0]
        network["predictions"] = [
            {
                "treat1": other,
                "treat2": first,
                "interval": (
                    f"{example.on_scale(fit.predict_lower.loc[other, first]):.{d}f} to"
                    f" {example.on_scale(fit.predict_upper.loc[other, first]):.{d}f}"
                ),
            }
            for other in fit.treatments[1:4]
        ]
    return {"schema": 1, "networks": [network]}
