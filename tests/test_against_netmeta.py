"""The network engine against netmeta 2.8-2 and metafor 3.8-1, every field of every reference file.

How the files were made: validation/README.md. Tolerances and what is not compared, with reasons:
psps_paper.book.validation_networks.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from psps_paper.book.validation import agreement_by_field, other_references
from psps_paper.book.validation_networks import NOT_COMPARED, compare_with_oracle
from psps_paper.network import fit_network
from psps_paper.network.ranking import p_scores, rank_probabilities, sucra

ORACLES = Path(__file__).parent / "oracles"
NETMETA = [
    "senn2013",
    "franchini2012",
    "franchini2012_smd",
    "linde2015",
    "smoking",
    "star_demo",
]
METAFOR = ["senn2013_gls", "smoking_gls"]


def path_of(name: str) -> Path:
    return ORACLES / f"{name}.json"


def reference(name: str) -> dict:
    return json.loads(path_of(name).read_text(encoding="utf-8"))


def contrasts_of(name: str) -> pd.DataFrame:
    table = pd.DataFrame(reference(name)["input"])
    return table.rename(columns={"studlab": "study", "TE": "te", "seTE": "se"})


COMPARISONS = {name: compare_with_oracle(path_of(name)) for name in NETMETA + METAFOR}
CELLS = [(name, row.field) for name, table in COMPARISONS.items() for row in table.itertuples() if row.cells]


@pytest.mark.parametrize("name, field", CELLS)
def test_agrees_with_reference(name, field):
    row = COMPARISONS[name].set_index("field").loc[field]
    assert row["agrees"], f"max_abs_diff {row['max_abs_diff']}, max_rel_diff {row['max_rel_diff']}"


@pytest.mark.parametrize("name", NETMETA)
@pytest.mark.parametrize("ours, theirs", [("te", "TE_random"), ("se", "seTE_random"), ("te_common", "TE_common")])
def test_estimates_to_1e8_without_the_comparison_code(name, ours, theirs):
    # A second, direct look at the core numbers, so that no error in the comparison hides one here.
    expected, labels = np.array(reference(name)[theirs]), reference(name)["trts"]
    got = getattr(fit_network(contrasts_of(name)), ours).loc[labels, labels]
    np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-15)


def leaves(node: dict, prefix: str = "") -> set[str]:
    found = set()
    for key, value in node.items():
        found |= leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key}
    return found


@pytest.mark.parametrize("name", NETMETA + METAFOR)
def test_every_field_is_compared_or_listed_with_a_reason(name):
    table = COMPARISONS[name]
    assert ((table["cells"] > 0) | (table["reason"] != "")).all()
    covered = set(table["field"])
    missing = {leaf for leaf in leaves(reference(name)) if leaf not in covered and leaf.split(".")[0] not in covered}
    assert not missing
    compared = table[table["cells"] > 0]
    assert compared["agrees"].notna().all() and compared["tolerance"].le(1e-5).all()


def test_reasons_are_all_needed():
    fields = {field for table in COMPARISONS.values() for field in table["field"]}
    assert set(NOT_COMPARED) <= fields


def test_every_network_file_is_in_the_grid():
    networks = {
        path.stem
        for path in ORACLES.glob("*.json")
        # Bayesian fits: test_bayes_oracles.py
        if not path.stem.startswith("bayes_")
        and {"trts", "treatments"} & set(json.loads(path.read_text(encoding="utf-8")))
    }
    assert networks == set(NETMETA + METAFOR)


@pytest.mark.parametrize("name", NETMETA)
def test_required_tolerances(name):
    # From the requirements: te and se to 1e-8, P-scores to 1e-8, node-splits and Q decomposition to 1e-6.
    table = COMPARISONS[name].set_index("field")["tolerance"]
    assert table[["TE_random", "seTE_random", "pscore_random", "pscore_common"]].max() <= 1e-8
    assert table[["netsplit.TE", "netsplit.p", "decomp.Q_design", "Q_inconsistency"]].max() <= 1e-6


@pytest.mark.parametrize(
    "name, field, cell, factor",
    [
        ("senn2013", "TE_random", (0, 1), 1 + 2e-8),
        ("senn2013", "pval_Q", None, 1 + 2e-8),
        ("star_demo", "tau2", None, 1 - 2e-8),
        ("smoking", "pscore_random", (3,), 1 + 2e-8),
        ("smoking", "lower_predict", (2, 0), -1),
    ],
)
def test_comparison_notices_a_change(tmp_path, name, field, cell, factor):
    changed = reference(name)
    value = np.array(changed[field])
    value[cell or ()] *= factor
    changed[field] = value.tolist()
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(changed), encoding="utf-8")
    table = compare_with_oracle(path).set_index("field")["agrees"]
    assert list(table.index[~table.fillna(True).astype(bool)]) == [field]


def test_comparison_refuses_unknown_fields(tmp_path):
    path = tmp_path / "more.json"
    path.write_text(json.dumps(reference("star_demo") | {"new": 1.0}), encoding="utf-8")
    with pytest.raises(KeyError, match="new"):
        compare_with_oracle(path)


def test_linde2015_rows_without_estimates_are_listed():
    # Linde 2015 in netmeta: 9 of 82 contrasts have no estimate (no event in both arms and the like).
    contrasts = contrasts_of("linde2015")
    fit = fit_network(contrasts)
    missing = contrasts[contrasts["te"].isna()]
    pd.testing.assert_frame_equal(fit.excluded.drop(columns="reason"), missing)
    assert set(fit.excluded["reason"]) == {"te and se missing"}
    assert len(fit.contrasts) + len(fit.excluded) == len(contrasts)


@pytest.mark.parametrize("name", NETMETA)
def test_sucra_of_draws_is_the_p_score(name):
    # Rücker & Schwarzer 2015: equal in the limit; 5 standard errors of a mean of 100,000 ranks.
    data = reference(name)
    desirable = "lower" if data["meta"]["small_values"] == "good" else "higher"
    fit = fit_network(contrasts_of(name))
    table = rank_probabilities(fit, desirable=desirable, seed=1)
    expected = pd.Series(data["pscore_random"], index=data["trts"])
    assert (sucra(table) - expected).abs().max() < 5 * 0.5 / np.sqrt(table.attrs["draws"])
    np.testing.assert_allclose(p_scores(fit, desirable=desirable)[data["trts"]], expected, atol=1e-8)


def test_every_reference_file_is_in_the_validation_chapter():
    """By field, or cell by cell in a test of its own; of the two GLS files the networks' tests compare what the file is
    for."""
    shown = set(agreement_by_field()["reference"]) | set(other_references()["reference"])
    compared_here = set(METAFOR)
    assert {path.stem for path in ORACLES.glob("*.json")} == shown | compared_here and not shown & compared_here
    assert (pd.to_numeric(other_references()["cells compared"]) > 0).all()
