"""SMD conventions and Egger's test against meta 6.2-1 (tests/oracles/pairwise_normand1999.json)."""

import json
from pathlib import Path

import numpy as np
import pytest

from psps_paper.book.validation_pairwise import compare_pairwise_with_oracles
from psps_paper.effects import smd
from psps_paper.effects.estimates import small_sample_factor

ORACLES = Path(__file__).parent / "oracles"
TABLE = compare_pairwise_with_oracles(ORACLES)
ROWS = [row for row in TABLE.itertuples() if row.field.startswith(("smd_meta_", "egger_meta"))]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.field)
def test_field_agrees(row):
    assert row.max_rel_diff <= row.tolerance


def test_every_convention_of_meta_is_there():
    assert {row.field.split(".")[0] for row in ROWS} == {
        "smd_meta_hedges",
        "smd_meta_hedges_exact",
        "smd_meta_cohen",
        "egger_meta",
    }


def test_the_approximate_correction_is_close_to_the_exact_one_that_meta_uses():
    """meta 6.2-1 corrects exactly with and without exact.smd, so only closeness can be shown.

    The relative error of 1 - 3/(4 df - 1) is of order df^-3 (Hedges 1981).
    """
    arms = json.loads((ORACLES / "pairwise_normand1999.json").read_text())["arms"]
    groups = {k.replace("m", "mean"): np.array(v, float) for k, v in arms.items()}
    exact, approximate = (smd(**groups, correction=c).te for c in ("exact", "approximate"))
    df = groups["n1"] + groups["n2"] - 2
    assert (approximate != exact).all()
    assert (np.abs(approximate / exact - 1) < 10 * df**-2.0 / 19).all()


@pytest.mark.parametrize(
    "df, factor",  # Gamma(df/2) / (sqrt(df/2) Gamma((df-1)/2)) by hand
    [(2, 1 / np.sqrt(np.pi)), (3, np.sqrt(np.pi / 6)), (4, np.sqrt(2 / np.pi))],
)
def test_exact_correction_by_hand(df, factor):
    assert small_sample_factor(df, "exact") == pytest.approx(factor, rel=1e-14)
