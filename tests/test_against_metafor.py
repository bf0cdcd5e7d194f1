"""SMD, meta-analysis, Egger's test and the models for dependent estimates against metafor 3.8-1
and robumeta 2.0. Expected values: tests/oracles, made by validation/pairwise.R."""

import json
from pathlib import Path

import numpy as np
import pytest

from psps_paper.book.validation_pairwise import COMPARISONS, NOT_COMPARED, compare_pairwise_with_oracles
from psps_paper.effects import smd
from psps_paper.pairwise import egger_test, estimate_tau2, meta_analysis

ORACLES = Path(__file__).parent / "oracles"
TABLE = compare_pairwise_with_oracles(ORACLES)
FROM_META = ("smd_meta_", "egger_meta.", "iqr.", "range.", "both.")
ROWS = [row for row in TABLE.itertuples() if not row.field.startswith(FROM_META)]


def load(name):
    return json.loads((ORACLES / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.oracle}:{row.field}")
def test_field_agrees(row):
    assert row.max_rel_diff <= row.tolerance


@pytest.mark.parametrize("name", COMPARISONS)
def test_every_field_of_the_oracle_is_compared_or_listed_with_a_reason(name):
    oracle = load(name)
    leaves = {
        f"{key}.{inner}" if isinstance(value, dict) and key not in NOT_COMPARED[name] else key
        for key, value in oracle.items()
        for inner in (value if isinstance(value, dict) else [""])
    }
    compared = set(TABLE.loc[TABLE.oracle == name, "field"])
    reasons = NOT_COMPARED[name]
    assert leaves == {f for f in compared if "," not in f} | set(reasons)
    assert all(reasons.values())


def test_no_row_of_the_comparison_disagrees():
    """Whatever file of tests names it: no row can slip between their selections."""
    assert TABLE[~(TABLE.max_rel_diff <= TABLE.tolerance)].empty


def test_tolerances_are_no_looser_than_asked():
    closed = TABLE[~TABLE.field.str.contains("REML|ML|PM|three_level", regex=True)]
    assert (closed.tolerance == 1e-8).all()
    likelihood = TABLE[TABLE.field.isin(["rma_REML.tau2", "rma_ML.tau2", "three_level.sigma2"])]
    assert len(likelihood) == 3 and (likelihood.tolerance == 1e-5).all()


def test_paule_mandel_equation_is_solved_more_closely_than_by_the_reference():
    """Why PM has its own tolerance: Q(tau2) = k - 1 holds here to 1e-12, there to 1e-4 only."""
    oracle = load("pairwise_normand1999")
    te, v = (np.array(oracle["smd_metafor"][c]) for c in ("yi", "vi"))

    def excess(tau2):
        w = 1 / (v + tau2)
        return (w * (te - np.average(te, weights=w)) ** 2).sum() - (len(te) - 1)

    assert abs(excess(estimate_tau2(te, np.sqrt(v), "PM"))) < 1e-12
    assert 1e-6 < abs(excess(oracle["rma_PM"]["tau2"])) < 1e-3


def test_both_forms_of_eggers_regression_give_one_test():
    """metafor: te on se, weights 1/se^2, slope.  meta: te/se on 1/se, intercept."""
    oracle = load("pairwise_normand1999")
    te, se = smd(**{k.replace("m", "mean"): v for k, v in oracle["arms"].items()})
    design = np.column_stack([np.ones_like(se), se]) / se[:, None]
    coefficients, residual, *_ = np.linalg.lstsq(design, te / se)
    covariance = residual[0] / (len(te) - 2) * np.linalg.inv(design.T @ design)
    result = egger_test(te, se)
    assert result.limit == pytest.approx(coefficients[0], rel=1e-10)
    assert result.bias == pytest.approx(coefficients[1], rel=1e-10)
    assert result.se == pytest.approx(np.sqrt(covariance[1, 1]), rel=1e-10)


def test_under_dl_both_definitions_of_i2_are_one():
    oracle = load("pairwise_normand1999")
    fit = meta_analysis(oracle["smd_metafor"]["yi"], np.sqrt(oracle["smd_metafor"]["vi"]), "DL")
    assert fit.i2 == pytest.approx(fit.i2_tau2, rel=1e-12)
    assert 100 * fit.i2 == pytest.approx(oracle["rma_DL"]["I2"], rel=1e-8)
