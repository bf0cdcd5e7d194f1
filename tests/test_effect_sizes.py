"""Properties of effect_sizes() and of effects from incomplete reports, for every measure."""

import numpy as np
import pandas as pd
import pytest
import scipy

from psps_paper.effects import (
    MEASURES,
    back_transform,
    contrasts_from_arms,
    effect_from_interval,
    effect_from_p,
    effect_from_t,
    effect_sizes,
    log_hazard_ratio,
    log_hazard_ratio_from_p,
    mean_sd_from_quantiles,
    proportion_effect,
    smd,
)
from psps_paper.effects.measures import TWO_ARMS_ONLY, BinaryMeasure, ContinuousMeasure

RNG = np.random.default_rng(20)
CONTINUOUS = ContinuousMeasure.__args__
NETWORK_MEASURES = [m for m in MEASURES if m not in TWO_ARMS_ONLY]


def made_up_arms(arms: int = 2, studies: int = 6) -> pd.DataFrame:
    k = arms * studies
    n = RNG.integers(8, 90, k)
    return pd.DataFrame(
        {
            "study": np.repeat([f"s{i}" for i in range(studies)], arms),
            "treatment": list("xyzw"[:arms]) * studies,
            "n": n,
            "mean": RNG.uniform(5, 20, k),
            "sd": RNG.uniform(2, 6, k),
            "events": RNG.integers(1, n - 1),
            "time": RNG.uniform(50, 900, k),
        }
    )


def keyed(table: pd.DataFrame) -> pd.Series:
    return table.set_index(["study", "treat1", "treat2"])[["te", "se"]].sort_index()


@pytest.mark.parametrize(
    "measure", [m for m in MEASURES if m not in ("SMD1", "SMD1H")]
)  # by the SD of treat2: arms have roles
def test_swapping_the_arms_flips_the_sign_only(measure):
    arms = made_up_arms()
    one, two = effect_sizes(arms, measure), effect_sizes(arms[::-1], measure)
    two = two.iloc[::-1].reset_index(drop=True)
    assert (one["treat1"] == two["treat2"]).all()
    np.testing.assert_allclose(one["te"], -two["te"], rtol=1e-12)
    np.testing.assert_allclose(one["se"], two["se"], rtol=1e-12)


@pytest.mark.parametrize("measure", NETWORK_MEASURES)
def test_order_of_studies_and_names_change_nothing_but_names(measure):
    arms = made_up_arms(3)
    renamed = arms.assign(treatment=arms["treatment"].map({"x": "Ω 1", "y": "b:c", "z": "a"}))
    shuffled = pd.concat([part for _, part in list(arms.groupby("study", sort=False))[::-1]])
    pd.testing.assert_frame_equal(keyed(effect_sizes(arms, measure)), keyed(effect_sizes(shuffled, measure)))
    a, b = effect_sizes(arms, measure), effect_sizes(renamed, measure)
    np.testing.assert_array_equal(a[["te", "se"]], b[["te", "se"]])


@pytest.mark.parametrize("measure", NETWORK_MEASURES)
def test_contrasts_of_a_three_arm_study_add_up(measure):
    te = effect_sizes(made_up_arms(3), measure)["te"].to_numpy().reshape(-1, 3)  # xy, xz, yz
    np.testing.assert_allclose(te[:, 0] + te[:, 2], te[:, 1], atol=1e-12)


def test_units_scale_mean_differences_and_leave_standardised_effects():
    arms = made_up_arms(3)
    scaled = arms.assign(mean=7 * arms["mean"], sd=7 * arms["sd"])
    for measure in set(CONTINUOUS) - TWO_ARMS_ONLY:
        a, b = effect_sizes(arms, measure), effect_sizes(scaled, measure)
        factor = 7 if measure == "MD" else 1
        np.testing.assert_allclose(factor * a["te"], b["te"], rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(factor * a["se"], b["se"], rtol=1e-10)


@pytest.mark.parametrize("measure", ["MD", "SMD", "OR"])
def test_agrees_with_contrasts_from_arms(measure):
    arms = made_up_arms(3)
    pd.testing.assert_frame_equal(
        effect_sizes(arms, measure).to_frame(), contrasts_from_arms(arms, measure=measure).table
    )


def test_rd_corrects_the_estimate_or_the_variance_only():
    arms = pd.DataFrame({"study": ["a", "a"], "treatment": ["x", "y"], "events": [0, 4], "n": [25, 27]})
    assert effect_sizes(arms, "RD").loc[0, "te"] == pytest.approx(0.5 / 26 - 4.5 / 28)
    assert effect_sizes(arms, "RD", correct_estimate=False).loc[0, "te"] == pytest.approx(-4 / 27)
    assert effect_sizes(arms, "RD").loc[0, "se"] == effect_sizes(arms, "RD", correct_estimate=False).loc[0, "se"]


def test_incomplete_reports_give_the_same_contrast():
    n, mean, sd = np.array([20, 31]), np.array([5.0, 7.5]), np.array([2.0, 3.1])
    base = pd.DataFrame({"study": "a", "treatment": ["x", "y"], "n": n})
    right = smd(n[0], mean[0], sd[0], n[1], mean[1], sd[1])
    reach = scipy.special.stdtrit(n - 1, 0.975) * sd / np.sqrt(n)
    for columns in (
        {"mean": mean, "sd": sd},
        {"mean": mean, "se": sd / np.sqrt(n)},
        {"lower": mean - reach, "upper": mean + reach},
        {"mean": mean, "sd": [sd[0], None], "se": [None, sd[1] / n[1] ** 0.5]},
    ):
        found = effect_sizes(base.assign(**columns), "SMD")
        assert found.loc[0, ["te", "se"]].tolist() == pytest.approx(list(right), rel=1e-12)
    quantiles = base.assign(median=[5, 7], q1=[4, 6], q3=[6.5, 9], minimum=[1, np.nan], maximum=[9, np.nan])
    one = mean_sd_from_quantiles(20, 5, 4, 6.5, 1, 9)
    two = mean_sd_from_quantiles(31, 7, 6, 9)
    assert effect_sizes(quantiles, "MD").loc[0, "te"] == pytest.approx(one.mean - two.mean)


def test_what_cannot_be_used_is_listed_with_the_reason():
    arms = pd.DataFrame(
        {
            "study": list("aabbccc"),
            "treatment": list("xyxyxyz"),
            "events": [0, 0, 3, np.nan, 1, 2, 0],
            "n": [9, 8, 7, 6, 20, 21, 22],
        }
    )
    found = effect_sizes(arms, "OR", continuity="none")
    assert found[["study", "treat1", "treat2"]].values.tolist() == [["c", "x", "y"]]
    assert found.excluded[["study", "treat1", "treat2"]].values.tolist() == [
        ["b", "y", ""],
        ["b", "x", ""],
        ["a", "x", "y"],
        ["c", "x", "z"],
        ["c", "y", "z"],
    ]
    assert "no events" in found.summary()
    dropped = effect_sizes(arms, "OR", double_zero="drop").excluded
    assert "in every arm" in dropped.set_index("study").loc["a", "reason"]


@pytest.mark.parametrize(
    "change, measure, options, message",
    [
        ({"events": [5, 99]}, "OR", {}, r"arms, row 1 \(study a\), column events: 99.0 is not at most n"),
        ({"events": [-1, 2]}, "RR", {}, r"row 0 \(study a\), column events: -1.0"),
        ({"sd": [0, 2]}, "SMD", {}, r"row 0 \(study a\), column sd: 0.0"),
        ({"n": [1, 20]}, "MD", {}, r"row 0 \(study a\), column n: 1.0"),
        ({"time": [0, 3]}, "IRR", {}, r"column time: 0.0"),
        ({"treatment": ["x", "x"]}, "MD", {}, "x in study a"),
        ({}, "XYZ", {}, "measure: 'XYZ' is not one of"),
        ({}, "OR", {"continuity": "some"}, "continuity: 'some'"),
        ({}, "OR", {"increment": 0}, "increment: 0"),
        ({}, "OR", {"variance": "UB"}, "variance: 'UB' is not one of LS"),
    ],
)
def test_errors_name_study_column_and_value(change, measure, options, message):
    arms = made_up_arms(2, 1).assign(study="a").assign(**change)
    with pytest.raises(ValueError, match=message):
        effect_sizes(arms, measure, **options)


def test_a_measure_of_two_arms_refuses_a_third_by_name():
    with pytest.raises(ValueError, match="study s0: 3 arms, but PETO"):
        effect_sizes(made_up_arms(3), "PETO")
    with pytest.raises(ValueError, match="same two treatments"):
        effect_sizes(made_up_arms(3), "SMD", variance="AV")


def test_reports_turn_back_into_themselves():
    te, se = np.array([-0.4, 0.9]), np.array([0.2, 0.31])
    z = scipy.special.ndtri(0.975)
    for df in (np.inf, 17.0):
        q = z if np.isinf(df) else scipy.special.stdtrit(df, 0.975)
        p = 2 * (scipy.special.ndtr(-np.abs(te / se)) if np.isinf(df) else scipy.special.stdtr(df, -np.abs(te / se)))
        for found in (
            effect_from_interval(te - q * se, te + q * se, df=df),
            effect_from_p(te, p, df=df),
            effect_from_t(te, te / se),
            effect_from_interval(np.exp(te - q * se), np.exp(te + q * se), te=np.exp(te), scale="ratio", df=df),
            effect_from_p(np.exp(te), p, scale="ratio", df=df),
        ):
            np.testing.assert_allclose(found.te, te, rtol=1e-9)
            np.testing.assert_allclose(found.se, se, rtol=1e-9)
    v = (30 + 42) / 4
    direct = log_hazard_ratio(-5.0, v)
    again = log_hazard_ratio_from_p(2 * scipy.special.ndtr(-5 / np.sqrt(v)), 30, 42, sign=-1)
    assert list(again) == pytest.approx(list(direct), rel=1e-12)
    for bad in (
        lambda: effect_from_p(0.0, 0.5),
        lambda: effect_from_interval(2, 1),
        lambda: log_hazard_ratio(1, 0),
        lambda: effect_from_interval(-1, 2, scale="ratio"),
        lambda: effect_from_interval(1, 2, te=3),
    ):
        with pytest.raises(ValueError, match="input, row 0"):
            bad()


def test_double_arcsine_turns_back_at_its_own_sample_size():
    n = np.arange(2, 60)
    events = RNG.integers(0, n + 1)
    te = proportion_effect(events, n, "PFT").te
    np.testing.assert_allclose(back_transform(te, "PFT", n=n), events / n, atol=1e-7)
    assert np.isnan(back_transform(-0.1, "PFT", n=20))


def test_random_tables_give_finite_effects_or_a_reason():
    """2,000 studies, many with empty cells: every contrast is there with se above 0, or excluded."""
    k = 2000
    n = RNG.integers(1, 40, 2 * k)
    arms = pd.DataFrame(
        {
            "study": np.repeat(np.arange(k), 2),
            "treatment": ["x", "y"] * k,
            "n": n,
            "events": RNG.binomial(n, RNG.choice([0, 0.03, 0.5, 1], 2 * k)),
        }
    )
    for measure in set(BinaryMeasure.__args__) - {"RTET"}:
        for continuity in (None, "none", "treatment_arm"):
            found = effect_sizes(arms, measure, continuity=continuity)
            assert len(found) + len(found.excluded) == k
            assert np.isfinite(found[["te", "se"]]).all(axis=None) and (found["se"] > 0).all()
