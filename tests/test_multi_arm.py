"""Multi-arm studies as papers print them, and conventions of prediction intervals."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from psps_paper.network import (
    cluster_robust,
    complete_contrasts,
    contrast_notes,
    decompose_q,
    fit_network,
    fit_networks,
    leave_one_study_out,
)
from psps_paper.pairwise import meta_analysis

COLUMNS = ["study", "treat1", "treat2", "te", "se"]


def table(*rows):
    return pd.DataFrame(rows, columns=COLUMNS)


ROUNDED = table(  # cases/12-multiarm-rounding
    ("Ko 2001", "A", "B", -0.31, 0.06),
    ("Ko 2001", "B", "C", 0.12, 0.06),
    ("Ko 2001", "A", "C", -0.18, 0.06),
    ("Li 2002", "A", "B", -0.2, 0.1),
    ("Mo 2002", "B", "C", 0.1, 0.1),
)
NEGATIVE = table(  # cases/13-negative-arm-variance
    ("Ko 2001", "a", "b", -0.30, 0.20),
    ("Ko 2001", "a", "c", -0.10, 0.10),
    ("Ko 2001", "b", "c", 0.20, 0.1095),
    ("Li 2002", "a", "b", -0.2, 0.1),
    ("Mo 2003", "b", "c", 0.3, 0.15),
)


def test_a_loop_that_fails_to_close_by_rounding_is_accepted_and_reported():
    """-0.306 + 0.124 = -0.182 exactly: each of three roundings moves at most 0.005."""
    fit = fit_network(ROUNDED)
    exact = fit_network(ROUNDED.assign(te=[-0.306, 0.124, -0.182, -0.2, 0.1]))
    assert fit.te_common.at["A", "B"] == pytest.approx(-0.277, abs=0.005)
    assert fit.se_common.at["A", "B"] == pytest.approx(0.0502, abs=5e-5)
    assert np.abs(fit.te_common - exact.te_common).to_numpy().max() < 0.005
    (note,) = fit.notes
    assert "Ko 2001" in note and "miss closing a loop by 0.01 (at most 0.015 is accepted)" in note
    assert exact.notes == () and contrast_notes(ROUNDED) == (note,)
    batch = fit_networks(ROUNDED, ROUNDED["te"], ROUNDED["se"])
    assert batch.effects[0] == pytest.approx(fit.effects, rel=1e-12)


def test_a_larger_gap_is_refused_with_study_gap_and_limit():
    wrong = ROUNDED.assign(te=[-0.31, 0.12, -0.30, -0.2, 0.1])
    with pytest.raises(
        ValueError, match="study 'Ko 2001'.* they miss by 0.11, at most 0.015 is accepted .loop_tolerance."
    ):
        fit_network(wrong)
    fit = fit_network(wrong, loop_tolerance=0.12)
    assert "0.11 (at most 0.12 is accepted)" in fit.notes[0]
    # What follows from a fit takes the same tolerance.
    assert cluster_robust(fit).te.shape == (3, 3) and decompose_q(fit).total["df"] == 2
    assert leave_one_study_out(fit)["note"].eq("").any()
    with pytest.raises(ValueError, match="they miss by 0.01, at most 0.001"):
        fit_network(ROUNDED, loop_tolerance=0.001)
    with pytest.raises(ValueError, match="loop_tolerance: -1 is not"):
        fit_network(ROUNDED, loop_tolerance=-1)


def test_rounding_explains_no_gap_that_is_large_for_its_standard_errors():
    """Whole numbers would explain 1.5; half of the smallest standard error is the most."""
    whole = ROUNDED.assign(te=[1.0, 2.0, 4.0, 1.0, 2.0], se=1.9)
    with pytest.raises(ValueError, match="they miss by 1, at most 0.95"):
        fit_network(whole)
    assert fit_network(whole.assign(se=2.1)).notes


def test_negative_arm_variance_is_used_as_printed_and_reported():
    """cases/13: generalised least squares with covariances (V_ij + V_ik - V_jk)/2, in numpy."""
    fit = fit_network(NEGATIVE)
    found = [(fit.te_common.at[arm, "a"], fit.se_common.at[arm, "a"]) for arm in "bc"]
    assert np.ravel(found) == pytest.approx([0.243222, 0.085518, 0.067657, 0.052301], abs=1e-6)
    assert fit.q == pytest.approx(0.985268, abs=1e-6) and fit.df_q == 2
    (note,) = fit.notes
    assert "Ko 2001" in note and "arm c" in note and "-0.0090" in note


def test_four_arms_with_uneven_standard_errors():
    """cases/14-fourarm-uneven-se, generalised least squares in numpy."""
    pairs = [
        ("P", "A", 0.30, 0.40),
        ("P", "B", 0.50, 0.45),
        ("P", "C", 0.10, 0.50),
        ("A", "B", 0.20, 0.42),
        ("A", "C", -0.20, 0.55),
        ("B", "C", -0.40, 0.47),
    ]
    rows = table(
        *[("Ko 2001", *pair) for pair in pairs],
        ("Li 2002", "P", "A", 0.1, 0.2),
        ("Mo 2003", "B", "C", -0.1, 0.25),
        ("No 2004", "P", "B", 0.35, 0.15),
    )
    fit = fit_network(rows)
    found = [(fit.te_common.at[arm, "A"], fit.se_common.at[arm, "A"]) for arm in "BCP"]
    assert np.ravel(found) == pytest.approx([-0.215591, 0.212054, -0.055757, 0.296692, 0.133351, 0.173468], abs=1e-6)
    assert fit.q == pytest.approx(0.446901, abs=1e-6) and fit.df_q == 3


TWO_OF_THREE = table(
    ("Ko 2001", "A", "P", -0.31, 0.20), ("Ko 2001", "B", "P", -0.12, 0.22), ("Li 2002", "A", "P", -0.2, 0.1)
)


def test_two_contrasts_of_three_arms():
    """cases/15: sqrt(0.20^2 + 0.22^2 - 2 x 0.10^2) = 0.261534."""
    with pytest.raises(
        ValueError, match="'Ko 2001'.*missing: A vs B; .*standard error of the arm that the others share, P"
    ):
        fit_network(TWO_OF_THREE)
    given = TWO_OF_THREE.assign(se_baseline=[0.1, 0.1, np.nan])
    completed = complete_contrasts(given)
    added = completed[completed["completed"]]
    assert added[["study", "treat1", "treat2"]].to_numpy().tolist() == [["Ko 2001", "A", "B"]]
    assert added[["te", "se"]].to_numpy()[0] == pytest.approx([-0.19, 0.261534], abs=1e-6)
    turned = given.assign(treat1=["P", "B", "A"], treat2=["A", "P", "P"], te=[0.31, -0.12, -0.2])
    assert fit_network(complete_contrasts(turned)).te.to_numpy() == pytest.approx(fit_network(completed).te.to_numpy())
    assert fit_network(completed).notes == ()


@pytest.mark.parametrize(
    "baseline, message",
    [
        ([0.1, 0.11, np.nan], r"study 'Ko 2001': se_baseline \[0.1, 0.11\]; expected one value"),
        ([0.1, np.nan, np.nan], "expected one value in all its rows"),
        ([0.2, 0.2, np.nan], "se 0.2 of A against P leaves nothing for A"),
        ([-0.1, 0.1, np.nan], "row 0 .study 'Ko 2001'., column se_baseline: -0.1 is not a number greater than 0"),
        (["x", "x", None], "column se_baseline: 'x' is not a number greater than 0"),
    ],
)
def test_baselines_that_cannot_be(baseline, message):
    with pytest.raises(ValueError, match=message):
        complete_contrasts(TWO_OF_THREE.assign(se_baseline=baseline))


def test_completed_contrasts_are_those_of_independent_arms():
    rng = np.random.default_rng(0)
    mean, variance = rng.normal(size=4), rng.uniform(0.01, 0.1, 4)
    rows = table(
        *[("s", arm, "P", mean[k] - mean[3], np.sqrt(variance[k] + variance[3])) for k, arm in enumerate("ABC")]
    )
    completed = complete_contrasts(rows.assign(se_baseline=np.sqrt(variance[3])))
    for row in completed[completed["completed"]].itertuples():
        i, j = ord(row.treat1) - 65, ord(row.treat2) - 65
        assert (row.te, row.se) == (pytest.approx(mean[i] - mean[j]), pytest.approx(np.sqrt(variance[i] + variance[j])))


PAIR = table(
    *[
        (f"s{k}", "A", "B", te, se)
        for k, (te, se) in enumerate([(0.1, 0.2), (0.9, 0.25), (-0.4, 0.3), (0.5, 0.1), (1.4, 0.3)])
    ]
)


@pytest.mark.parametrize(
    "convention, options",
    [
        ("q-1", {"prediction_df": "k-2"}),
        ("q", {"prediction_df": "k-1"}),
        ("normal", {"prediction_df": "normal"}),
        ("partlett-riley", {"prediction_df": "k-2", "hartung_knapp": True}),
    ],
)
def test_prediction_intervals_of_two_treatments_are_the_pairwise_ones(convention, options):
    fit = fit_network(PAIR, tau2="REML", df_predict=convention)
    pairwise = meta_analysis(PAIR["te"], PAIR["se"], "REML", **options)
    found = [fit.predict_lower.at["A", "B"], fit.predict_upper.at["A", "B"]]
    assert found == pytest.approx([pairwise.predict_lower, pairwise.predict_upper], rel=1e-9)
    batch = fit_networks(PAIR, PAIR["te"], PAIR["se"], "REML", df_predict=convention)
    assert batch.predict_lower[0, 0, 1] == pytest.approx(found[0], rel=1e-12)


def test_conventions_change_prediction_intervals_alone():
    with pytest.raises(ValueError, match="df_predict: 'k' is not one of q-1, q, normal, partlett-riley"):
        fit_network(PAIR, df_predict="k")
    plain = fit_network(PAIR)
    assert (plain.df_q, plain.df_predict) == (4, 3)
    for convention, df in (("q", 4), ("normal", np.inf), ("partlett-riley", 3)):
        fit = fit_network(PAIR, df_predict=convention)
        assert fit.df_predict == df
        for field in dataclasses.fields(fit):
            if field.name not in ("df_predict", "predict_scale", "contrasts", "excluded", "treatments"):
                assert np.array_equal(getattr(fit, field.name), getattr(plain, field.name)), field.name
    senn = json.loads((Path(__file__).parent / "oracles" / "senn2013.json").read_text(encoding="utf-8"))["input"]
    rows = pd.DataFrame(senn).rename(columns={"studlab": "study", "TE": "te", "seTE": "se"})
    assert fit_network(rows, df_predict="q").df_predict == 18  # netmeta 3.4; 2.8 takes 17
    one = fit_network(PAIR[:1], df_predict="partlett-riley")
    assert np.isnan(one.predict_lower.at["A", "B"])
