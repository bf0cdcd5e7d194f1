"""No false alarms, and detection of errors, on random networks fitted by the engine and printed in common styles.

The full numbers are in ``data/audit_simulation.csv``, made by ``benchmarks/audit_simulation.py``.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audit_examples import ERRORS, Example, direct_pairs, random_example, text_of
from psps_paper.audit import audit
from psps_paper.audit.geometry import laplacian, weight_bounds
from psps_paper.network import fit_network

ORACLES = Path(__file__).parent / "oracles"


def test_no_clash_and_no_untrue_word_on_direct_evidence():
    for seed in range(60):
        example = random_example(seed, most=12)
        found = audit(text_of(example.table()))
        assert found.verdict != "clash", (seed, found.findings.query("verdict == 'clash'").to_dict("records"))
        direct = direct_pairs(example.fit)
        for row in found.weights.itertuples():
            assert row.direct == "cannot tell" or (row.direct == "yes") == (
                frozenset((row.treat1, row.treat2)) in direct
            ), (seed, row)


@pytest.mark.parametrize(
    "name", ["sign of an estimate turned", "cell turned round", "limits exchanged", "rows exchanged"]
)
def test_gross_errors_are_clashes_at_two_decimals(name):
    found = []
    for seed in range(40):
        example = random_example(seed, decimals=2, most=9)
        triples = ERRORS[name](example, np.random.default_rng(seed))
        if triples is not None and example.table(triples) != example.table():
            found.append(audit(text_of(example.table(triples))).verdict == "clash")
    assert np.mean(found) >= 0.95 and len(found) >= 30


def contrasts_of(name: str):
    import pandas as pd

    given = json.loads((ORACLES / f"{name}.json").read_text())["input"]
    return pd.DataFrame(
        {
            "study": given["studlab"],
            "treat1": given["treat1"],
            "treat2": given["treat2"],
            "te": given["TE"],
            "se": given["seTE"],
        }
    )


# Data sets of netmeta with their source in each file
@pytest.mark.parametrize(
    "name, ratio", [("senn2013", False), ("franchini2012", False), ("linde2015", True), ("smoking", True)]
)
@pytest.mark.parametrize("decimals, least", [(2, 0.6), (3, 0.9)])
def test_direct_evidence_of_public_networks(name, ratio, decimals, least):
    fit = fit_network(contrasts_of(name))
    found = audit(
        text_of(Example(fit, ratio, decimals, "{e} ({l}, {u})", "square", "-").table()), measure="OR" if ratio else "MD"
    )
    direct = direct_pairs(fit)
    told = {frozenset((row.treat1, row.treat2)): row.direct for row in found.weights.itertuples()}
    assert np.mean([told[pair] == "yes" for pair in direct]) >= least
    assert not any(
        (answer == "no" and pair in direct) or (answer == "yes" and pair not in direct) for pair, answer in told.items()
    )


def test_true_weights_lie_within_their_bounds_and_bounds_shrink_to_them():
    fit = fit_network(contrasts_of("senn2013"))
    variances = fit.se.to_numpy() ** 2
    truth = -laplacian(variances) * ~np.eye(len(variances), dtype=bool)
    for share in (1e-6, 1e-3, 1e-2):
        found = weight_bounds(variances * (1 - share), variances * (1 + share))
        assert (found.low <= truth + 1e-9).all() and (truth <= found.high + 1e-9).all()
    tight = weight_bounds(variances * (1 - 1e-8), variances * (1 + 1e-8))
    assert np.abs(tight.high - tight.low).max() < 1e-3


def test_weights_are_those_of_two_arm_studies():
    """Rücker 2012: the weight of a comparison is the sum of the reciprocal variances of its studies, tau2 included."""
    import pandas as pd

    rows = [("1", "A", "B", 0.2, 0.2), ("2", "B", "C", 0.1, 0.3), ("3", "A", "C", 0.4, 0.25), ("4", "C", "D", 0.0, 0.4)]
    fit = fit_network(pd.DataFrame(rows, columns=["study", "treat1", "treat2", "te", "se"]), tau2=0.05)
    weights = -laplacian(fit.se.to_numpy() ** 2)
    for _, a, b, _, se in rows:
        i, j = fit.treatments.index(a), fit.treatments.index(b)
        assert weights[i, j] == pytest.approx(1 / (se**2 + 0.05))
    assert weights[0, 3] == pytest.approx(0, abs=1e-9)


def test_order_and_names_change_nothing_but_names():
    example = random_example(7, decimals=3, layout="square", most=6)
    found = audit(text_of(example.table()))
    rng = np.random.default_rng(0)
    order = rng.permutation(example.n)
    rows = example.table()
    shuffled = [[rows[0][0], *[rows[0][1 + k] for k in order]]] + [
        [rows[1 + i][0], *[rows[1 + i][1 + k] for k in order]] for i in order
    ]
    other = audit(text_of(shuffled))
    renamed = audit(text_of(rows).replace("T0", "Drug "))
    assert other.verdict == renamed.verdict == found.verdict
    first = {frozenset((row.treat1, row.treat2)): (row.lower, row.upper) for row in found.weights.itertuples()}
    second = {frozenset((row.treat1, row.treat2)): (row.lower, row.upper) for row in other.weights.itertuples()}
    third = [(row.lower, row.upper) for row in renamed.weights.itertuples()]
    assert all(
        first[pair] == pytest.approx(second[pair], rel=1e-3, abs=1e-3) for pair in first
    )  # the iteration stops at a millionth of the largest
    assert np.array(third) == pytest.approx(found.weights[["lower", "upper"]].to_numpy())


def test_a_table_turned_round_has_the_same_weights():
    example = random_example(11, decimals=3, layout="lower", most=8)
    first, second = (audit(text_of(replace(example, layout=layout).table())).weights for layout in ("lower", "upper"))
    assert (first["direct"] == second["direct"]).all()
