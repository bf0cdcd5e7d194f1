"""Make ``data/audit_power.csv`` and ``data/audit_geometry.csv``: errors that `audit` finds in printed random networks.

    python benchmarks/audit_simulation.py            # about ten minutes on one core; the same numbers everywhere
    python benchmarks/audit_simulation.py --share 0.02 --out FOLDER   # a quick look

Every number is simulated. The random networks come from ``tests/audit_examples.py``, the public ones from
``tests/oracles``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from audit_examples import ERRORS, Example, description, direct_pairs, random_example, text_of
from psps_paper.audit import audit
from psps_paper.network import fit_network
from psps_paper.tables.files import write_atomically

PUBLIC = {"senn2013": False, "franchini2012": False, "linde2015": True, "smoking": True}
SIZES = {"3 to 5": range(3, 6), "6 to 10": range(6, 11), "11 to 20": range(11, 21)}
DECIMALS = (1, 2, 3)


def outcome(found) -> str:
    """Classify an audit: clash; question (one that an unaltered table does not raise); or not noticed."""
    if found.verdict == "clash":
        return "clash"
    raised = found.findings[found.findings["verdict"] == "cannot tell"]
    return (
        "asked"
        if raised["check"].isin(["interval", "covariance", "consistency", "P-score", "prediction interval"]).any()
        else "unnoticed"
    )


class Counts:
    """Rows of the two tables, counted audit by audit."""

    def __init__(self) -> None:
        self.power: dict[tuple[str, int], dict[str, int]] = {}
        self.geometry: dict[tuple[str, int, str], dict[str, int]] = {}

    def add(self, kind: str, decimals: int, found) -> None:
        row = self.power.setdefault((kind, decimals), {"tables": 0, "clash": 0, "asked": 0, "unnoticed": 0})
        row["tables"] += 1
        row[outcome(found)] += 1

    def add_weights(self, group: str, example: Example, found) -> None:
        direct = direct_pairs(example.fit)
        for row in found.weights.itertuples():
            evidence = "direct" if frozenset((row.treat1, row.treat2)) in direct else "none"
            self.geometry.setdefault((group, example.decimals, evidence), {"yes": 0, "no": 0, "cannot tell": 0})[
                row.direct
            ] += 1

    def power_table(self) -> pd.DataFrame:
        rows = [{"kind": kind, "decimals": decimals, **row} for (kind, decimals), row in self.power.items()]
        return pd.DataFrame(rows).sort_values(["kind", "decimals"], ignore_index=True)

    def geometry_table(self) -> pd.DataFrame:
        rows = [
            {
                "network": group,
                "decimals": decimals,
                "evidence": evidence,
                "comparisons": sum(row.values()),
                "yes": row["yes"],
                "no": row["no"],
                "cannot_tell": row["cannot tell"],
            }
            for (group, decimals, evidence), row in self.geometry.items()
        ]
        return pd.DataFrame(rows).sort_values(["network", "decimals", "evidence"], ignore_index=True)


def unharmed(counts: Counts, networks: int) -> None:
    """Audit random networks as fitted, with 1, 2 and 3 decimals in turn, and the public ones with each."""
    for seed in range(networks):
        example = random_example(seed, decimals=DECIMALS[seed % 3])
        found = audit(text_of(example.table()))
        counts.add("none", example.decimals, found)
        counts.add_weights(
            next(f"random, {size} treatments" for size, sizes in SIZES.items() if example.n in sizes), example, found
        )
    for name, ratio in PUBLIC.items():
        for decimals in DECIMALS:
            example = Example(public_fit(name), ratio, decimals, "{e} ({l}, {u})", "square", "-")
            counts.add_weights(name, example, audit(text_of(example.table()), measure="OR" if ratio else "MD"))


def harmed(counts: Counts, networks: int) -> None:
    """Audit the first random networks with each error and each number of decimals."""
    for decimals in DECIMALS:
        for seed in range(networks):
            example = random_example(seed, decimals=decimals)
            for kind, harm in ERRORS.items():
                triples = harm(example, np.random.default_rng(seed))
                if triples is not None and example.table(triples) != example.table():
                    counts.add(kind, decimals, audit(text_of(example.table(triples))))
            counts.add("none, with ranks and prediction intervals", decimals, audit(description(example)))
            counts.add("ranks reversed", decimals, audit(description(example, reverse_ranks=True)))
            if abs(example.fit.i2 - example.fit.tau2) > 0.01 and example.fit.df_predict > 0:
                counts.add("I2 for tau2", decimals, audit(description(example, i2_for_tau2=True)))


def public_fit(name: str):
    given = json.loads((ROOT / "tests" / "oracles" / f"{name}.json").read_text())["input"]
    return fit_network(
        pd.DataFrame(
            {
                "study": given["studlab"],
                "treat1": given["treat1"],
                "treat2": given["treat2"],
                "te": given["TE"],
                "se": given["seTE"],
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="proportion of the networks to use (default: 1)")
    parser.add_argument("--out", type=Path, default=ROOT / "data")
    options = parser.parse_args()
    start, counts = time.monotonic(), Counts()
    unharmed(counts, round(2000 * options.share))
    print(f"networks as fitted after {time.monotonic() - start:.0f} s", flush=True)
    harmed(counts, round(150 * options.share))
    for name, table in (("audit_power", counts.power_table()), ("audit_geometry", counts.geometry_table())):
        write_atomically(options.out / f"{name}.csv", table.to_csv(index=False, lineterminator="\n").encode())
    print(f"wrote audit_power.csv and audit_geometry.csv after {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
