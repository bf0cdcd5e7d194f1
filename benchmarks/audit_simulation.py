"""Make ``data/audit_power.csv`` and ``data/audit_geometry.csv``: what `audit` finds in printed random networks.

    python benchmarks/audit_simulation.py            # about an hour on one core; the same numbers everywhere
    python benchmarks/audit_simulation.py --share 0.02 --out /tmp   # a look

Every number is simulated. The networks are those of ``tests/audit_examples.py``, the public ones those of ``tests/oracles``.
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

from audit_examples import ERRORS, Example, description, direct_pairs, random_example, text_of  # noqa: E402

from psps_paper.audit import audit  # noqa: E402
from psps_paper.network import fit_network  # noqa: E402

PUBLIC = {"senn2013": False, "franchini2012": False, "linde2015": True, "smoking": True}
SIZES = {"3 to 5": range(3, 6), "6 to 10": range(6, 11), "11 to 20": range(11, 21)}
DECIMALS = (1, 2, 3)


def outcome(found) -> str:
    """Clash; asked about (a question that an unharmed table does not raise); or not noticed."""
    if found.verdict == "clash":
        return "clash"
    raised = found.findings[found.findings["verdict"] == "cannot tell"]
    return "asked" if raised["check"].isin(["interval", "covariance", "consistency", "P-score", "prediction interval"]).any() else "unnoticed"


def power(tables: int, unharmed: int) -> pd.DataFrame:
    counts: dict[tuple[str, int], dict[str, int]] = {}

    def count(kind: str, decimals: int, found) -> None:
        row = counts.setdefault((kind, decimals), {"tables": 0, "clash": 0, "asked": 0, "unnoticed": 0})
        row["tables"] += 1
        row[outcome(found)] += 1

    for seed in range(unharmed):
        example = random_example(seed)
        count("none", example.decimals, audit(text_of(example.table())))
    for decimals in DECIMALS:
        for seed in range(tables):
            example = random_example(seed, decimals=decimals)
            for kind, harm in ERRORS.items():
                triples = harm(example, np.random.default_rng(seed))
                if triples is not None and example.table(triples) != example.table():
                    count(kind, decimals, audit(text_of(example.table(triples))))
            count("none, with ranks and prediction intervals", decimals, audit(description(example)))
            count("ranks reversed", decimals, audit(description(example, reverse_ranks=True)))
            if abs(example.fit.i2 - example.fit.tau2) > 0.01 and example.fit.df_predict > 0:
                count("I2 for tau2", decimals, audit(description(example, i2_for_tau2=True)))
    rows = [{"kind": kind, "decimals": decimals, **row} for (kind, decimals), row in counts.items()]
    return pd.DataFrame(rows).sort_values(["kind", "decimals"], ignore_index=True)


def public_fit(name: str):
    given = json.loads((ROOT / "tests" / "oracles" / f"{name}.json").read_text())["input"]
    return fit_network(pd.DataFrame({"study": given["studlab"], "treat1": given["treat1"], "treat2": given["treat2"], "te": given["TE"], "se": given["seTE"]}))


def geometry(networks: int) -> pd.DataFrame:
    counts: dict[tuple[str, int, str], dict[str, int]] = {}

    def count(group: str, example: Example) -> None:
        found = audit(text_of(example.table()), measure="OR" if example.ratio else "MD")
        direct = direct_pairs(example.fit)
        for row in found.weights.itertuples():
            evidence = "direct" if frozenset((row.treat1, row.treat2)) in direct else "none"
            counts.setdefault((group, example.decimals, evidence), {"yes": 0, "no": 0, "cannot tell": 0})[row.direct] += 1

    for decimals in DECIMALS:
        for name, ratio in PUBLIC.items():
            count(name, Example(public_fit(name), ratio, decimals, "{e} ({l}, {u})", "square", "-"))
        for seed in range(networks):
            example = random_example(seed, decimals=decimals)
            count(next(f"random, {size} treatments" for size, sizes in SIZES.items() if example.n in sizes), example)
    rows = [{"network": group, "decimals": decimals, "evidence": evidence, "comparisons": sum(row.values()),
             "yes": row["yes"], "no": row["no"], "cannot_tell": row["cannot tell"]} for (group, decimals, evidence), row in counts.items()]
    return pd.DataFrame(rows).sort_values(["network", "decimals", "evidence"], ignore_index=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the networks (default: 1)")
    parser.add_argument("--out", type=Path, default=ROOT / "data")
    options = parser.parse_args()
    start = time.monotonic()
    power(round(300 * options.share), round(2000 * options.share)).to_csv(options.out / "audit_power.csv", index=False, lineterminator="\n")
    print(f"wrote audit_power.csv after {time.monotonic() - start:.0f} s", flush=True)
    geometry(round(1000 * options.share)).to_csv(options.out / "audit_geometry.csv", index=False, lineterminator="\n")
    print(f"wrote audit_geometry.csv after {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
