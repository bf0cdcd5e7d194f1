"""Data frames of netmeta and gemtc give the contrasts and the fit that the import gives."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from living_examples import ORACLE, star_demo
from psps_paper.effects import effect_sizes
from psps_paper.living.frames import from_gemtc, from_netmeta
from psps_paper.network import fit_network

STAR = star_demo()


@pytest.mark.parametrize("study", ["studlab", "study"])
def test_netmeta_s_data_give_netmeta_s_numbers(study):
    """star_demo, netmeta 2.8-2: tau2, Q and TE.random."""
    data = STAR.set_axis([study, "treat1", "treat2", "TE", "seTE"], axis=1).assign(**{".order": 1, "n1": 5})
    fit = fit_network(from_netmeta(data.iloc[::-1]))
    assert (fit.tau2, fit.q) == pytest.approx((ORACLE["tau2"], ORACLE["Q"]), rel=1e-10)
    assert fit.te.loc[ORACLE["trts"], ORACLE["trts"]].to_numpy().ravel().tolist() == pytest.approx(
        [te for row in ORACLE["TE_random"] for te in row], rel=1e-9, abs=1e-12
    )


def test_gemtc_s_relative_effects_complete_a_study_of_three_arms():
    """The variance of A against B is 0.20^2 + 0.22^2 - 2 x 0.10^2."""
    rows = pd.DataFrame(
        {
            "study": ["Ko"] * 3,
            "treatment": ["P", "A", "B"],
            "diff": [math.nan, -0.31, -0.12],
            "std.err": [0.10, 0.20, 0.22],
        }
    )
    found = from_gemtc(rows)
    assert found.iloc[2].tolist() == ["Ko", "A", "B", pytest.approx(-0.19), pytest.approx(math.sqrt(0.0684))]
    shuffled = from_gemtc(rows.iloc[[2, 0, 1]])
    assert {tuple(sorted([row.treat1, row.treat2])): round(row.se, 9) for row in shuffled.itertuples()} == {
        tuple(sorted([row.treat1, row.treat2])): round(row.se, 9) for row in found.itertuples()
    }


def test_gemtc_s_arms_are_compared_on_the_measure_asked_for():
    arms = pd.DataFrame(
        {
            "study": ["a", "a"],
            "treatment": ["A", "B"],
            "responders": [9, 5],
            "sampleSize": [40, 50],
            "exposure": [200.0, 210.0],
        }
    )
    same = arms.set_axis(["study", "treatment", "events", "n", "time"], axis=1)
    for measure in ("OR", "IRR"):
        assert from_gemtc(arms, measure).equals(effect_sizes(same, measure).to_frame())
    assert from_gemtc(arms, "IRR")["te"].tolist() == [pytest.approx(math.log((9 / 200) / (5 / 210)))]
    means = pd.DataFrame(
        {
            "study": ["a", "a"],
            "treatment": ["A", "B"],
            "mean": [6.0, 5.0],
            "std.err": [0.3, 0.4],
            "sampleSize": [40, 50],
        }
    )
    assert from_gemtc(means, "MD").iloc[0, 3:].tolist() == [1.0, pytest.approx(0.5)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: from_netmeta(STAR), "no column sete; there are study, treat1, treat2, te, se"),
        (
            lambda: from_netmeta(STAR.set_axis(["studlab", "treat1", "treat2", "TE", "seTE"], axis=1).assign(TE=None)),
            r"row 0 \(study '.*'\): no te; netmeta leaves it out",
        ),
        (lambda: from_gemtc(pd.DataFrame({"study": ["a"], "mean": [1]})), "no column treatment"),
        (
            lambda: from_gemtc(
                pd.DataFrame({"study": ["a"], "treatment": ["A"], "responders": [1], "sampleSize": [5]})
            ),
            "arms require a measure",
        ),
        (
            lambda: from_gemtc(
                pd.DataFrame({"study": ["a", "a"], "treatment": ["A", "B"], "diff": [1.0, 2.0], "std.err": [1, 1]})
            ),
            "study 'a': 0 of 2 rows without diff",
        ),
        (
            lambda: from_gemtc(
                pd.DataFrame({"study": ["a", "a"], "treatment": ["A", "B"], "diff": [1.0, None], "std.err": [None, 1]})
            ),
            r"row 0 \(study 'a'\): no se",
        ),
        (
            lambda: from_gemtc(pd.DataFrame({"study": ["a"], "treatment": ["A"], "diff": [1.0], "std.err": [1]}), "OR"),
            "measure='OR' is for arms",
        ),
    ],
)
def test_what_is_missing_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
