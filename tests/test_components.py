"""Properties of the additive component model, effects that it does not identify, and its errors."""

import numpy as np
import pandas as pd
import pytest

from psps_paper.network import fit_components, fit_network

COLUMNS = ["study", "treat1", "treat2", "te", "se"]
ROWS = [
    ("1", "A", "P", 0.5, 0.2), ("2", "B", "P", -0.2, 0.3), ("3", "A + B", "P", 0.5, 0.25), ("4", "A + B", "A", -0.1, 0.2),
    ("5", "C + A", "C", 0.7, 0.3), ("6", "C + D", "C", 0.1, 0.4), ("7", "A", "P", 0.8, 0.2),
]  # fmt: skip


def table(rows=ROWS) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS)


def three_arms(names=("A", "A + B", "P")) -> pd.DataFrame:
    mean, variance = dict(zip(names, (0.6, 0.4, 0.1), strict=True)), dict(zip(names, (0.02, 0.03, 0.05), strict=True))
    rows = [
        ("8", a, b, mean[a] - mean[b], np.sqrt(variance[a] + variance[b]))
        for a, b in ((names[0], names[1]), (names[0], names[2]), (names[1], names[2]))
    ]
    return table([*ROWS, *rows])


@pytest.mark.parametrize("tau2", ["DL", "REML", "ML", 0.1])
def test_only_names_change_when_rows_are_written_otherwise(tau2):
    fit = fit_components(three_arms(), "P", tau2=tau2)
    new = {"A": "zinc", "B": "yew", "C": "milk", "D": "apple", "P": "nothing"}
    turned = (
        three_arms()
        .sample(frac=1, random_state=1)
        .rename(columns={"treat1": "treat2", "treat2": "treat1"})
        .assign(te=lambda t: -t["te"])
    )
    for column in ("treat1", "treat2"):
        turned[column] = [" / ".join(new[part] for part in reversed(name.split(" + "))) for name in turned[column]]
    other = fit_components(turned, "nothing", " / ", tau2)
    pd.testing.assert_frame_equal(
        other.components.sort_index(), fit.components.rename(index=new).sort_index(), rtol=1e-6
    )
    assert (other.tau2, other.q_additive, other.df_q_additive) == pytest.approx(
        (fit.tau2, fit.q_additive, fit.df_q_additive), rel=1e-6
    )
    assert other.unidentified == ("milk",) and fit.unidentified == ("C",)


def test_the_unit_scales_estimates_alone():
    fit = fit_components(three_arms(), "P")
    scaled = fit_components(three_arms().assign(te=lambda t: 10 * t["te"], se=lambda t: 10 * t["se"]), "P")
    np.testing.assert_allclose(scaled.te, 10 * fit.te, rtol=1e-9, atol=1e-12)
    assert (scaled.tau2, scaled.q_additive) == pytest.approx((100 * fit.tau2, fit.q_additive))


def test_without_combinations_it_is_network_meta_analysis():
    rows = table(
        [("1", "A", "P", 0.5, 0.2), ("2", "B", "P", -0.2, 0.3), ("3", "A", "B", 0.4, 0.25), ("4", "A", "P", 1.2, 0.2)]
    )
    fit, network = fit_components(rows, "P"), fit_network(rows)
    np.testing.assert_allclose(fit.te, network.te, atol=1e-12)
    np.testing.assert_allclose(fit.se, network.se, atol=1e-12)
    assert (fit.tau2, fit.q_additive) == pytest.approx((network.tau2, network.q))
    assert (fit.q_difference, fit.df_q_difference) == (0, 0) and np.isnan(fit.p_q_difference)
    # Without an inactive component differences stay identified, single effects do not
    free = fit_components(rows)
    np.testing.assert_allclose(free.te, network.te, atol=1e-12)
    assert free.unidentified == ("A", "B", "P") and free.identified.to_numpy().all()


def test_two_parts_share_a_component():
    """C against C + A repeats what A does: 0.5, 0.8 and 0.7 weighted by 25, 25 and 1/0.09, by hand."""
    rows = table([ROWS[0], ROWS[4], ROWS[6]])
    fit = fit_components(rows, "P", tau2=0)
    expected = (25 * 0.5 + 25 * 0.8 + 0.7 / 0.09) / (50 + 1 / 0.09)
    assert fit.components.at["A", "te"] == pytest.approx(expected)
    assert fit.te.at["C + A", "C"] == pytest.approx(expected) and np.isnan(fit.te.at["C", "P"])
    assert len(fit.subnetworks) == 2 and np.isnan(fit.q_difference) and "C." in fit.notes[0]
    assert fit.to_frame() is fit.components and "do not identify" in fit.summary()
    assert len(fit.pairs()) == 6 and fit.pairs()["te"].isna().sum() == 4


def test_a_treatment_with_the_inactive_component_is_the_same():
    rows = table([("1", "A + P", "P", 0.5, 0.2), ("2", "A", "P", 0.3, 0.2), ("3", "A", "A + P", 0.1, 0.1)])
    fit = fit_components(rows, "P", tau2=0)
    assert fit.components.at["A", "te"] == pytest.approx(0.4) and fit.te.at["A", "A + P"] == 0
    assert fit.df_q_additive == 2 and fit.q_additive == pytest.approx(0.5 + 1)


@pytest.mark.parametrize(
    ("rows", "arguments", "message"),
    [
        (ROWS, {"inactive": "Q"}, "inactive='Q': not one of the components A, B, C, D, P"),
        (ROWS, {"separator": " "}, "separator=' ': expected text that is not blank"),
        (ROWS, {"tau2": "PM"}, "tau2='PM': expected one of DL, REML, ML or a number >= 0"),
        (ROWS, {"level": 95}, "level: 95 is not a number between 0 and 1"),
        ([("1", "A + ", "P", 0.1, 0.2)], {}, "treatment 'A + ': a component before or after ' + ' is empty"),
        ([("1", "A + A", "P", 0.1, 0.2)], {}, "treatment 'A + A': component 'A' appears twice"),
        (
            [("1", "A + B", "P", 0.1, 0.2), ("2", "B + A", "P", 0.1, 0.2)],
            {},
            "treatments 'A + B' and 'B + A' have the same components",
        ),
        (
            [("1", "A + P", "A", 0.1, 0.2)],
            {"inactive": "P"},
            "no study compares two treatments that differ in an active component",
        ),
        ([("1", "A", "P", 0.1, -0.2)], {}, "row 0: te=0.1, se=-0.2 (study '1')"),
        ([("1", "A", "P", 0.1, 0.2), ("1", "A", "B", 0.1, 0.2)], {}, "study '1' compares 3 treatments"),
    ],
)
def test_errors_name_what_is_wrong(rows, arguments, message):
    with pytest.raises(ValueError) as error:
        fit_components(table(rows), **arguments)
    assert message in str(error.value)
