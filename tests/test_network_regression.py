"""Properties of network meta-regression, slopes that studies cannot tell, and its errors."""

import numpy as np
import pandas as pd
import pytest

from psps_paper.network import fit_network, network_meta_regression
from psps_paper.pairwise import meta_regression

COLUMNS = ["study", "treat1", "treat2", "te", "se"]
TRUTH = {"A": 0.5, "B": 0.2, "C": -0.3, "P": 0.0}
PAIRS = ["AP", "AP", "BP", "BP", "AB", "CP", "CP", "CA", "AP", "BC"]
COVARIATE = pd.Series(
    {str(k): float(10 + k * k % 17) for k in range(len(PAIRS))} | {"three": 14.0, "not in the network": 3.0}, name="age"
)


def table(multi_arm: bool = True) -> pd.DataFrame:
    rng = np.random.default_rng(11)
    rows = [
        (str(k), a, b, TRUTH[a] - TRUTH[b] + rng.normal(0, 0.3), rng.uniform(0.1, 0.4))
        for k, (a, b) in enumerate(PAIRS)
    ]
    if multi_arm:
        mean, variance = {"A": 0.6, "B": 0.1, "P": 0.2}, {"A": 0.02, "B": 0.03, "P": 0.05}
        rows += [("three", a, b, mean[a] - mean[b], np.sqrt(variance[a] + variance[b])) for a, b in ("AB", "AP", "BP")]
    return pd.DataFrame(rows, columns=COLUMNS)


@pytest.mark.parametrize("interaction", ["common", "independent"])
@pytest.mark.parametrize("tau2", ["REML", "ML", "DL", 0.05])
def test_only_names_and_units_change(interaction, tau2):
    fit = network_meta_regression(table(), COVARIATE, "P", interaction, tau2)
    new = {"A": "zinc", "B": "yew", "C": "abacus", "P": "milk"}
    turned = table().sample(frac=1, random_state=2).rename(columns={"treat1": "treat2", "treat2": "treat1"})
    turned = turned.assign(te=-turned["te"]).replace({"treat1": new, "treat2": new})
    # Months in place of years, from another origin
    other = network_meta_regression(turned, 12 * COVARIATE + 1000, "milk", interaction, tau2)
    names = {term: ":".join(new.get(part, part) for part in term.split(":")) for term in fit.coefficients.index}
    scale = np.array([12.0 if term.startswith("age") else 1.0 for term in names])
    for column in ("estimate", "se", "lower"):
        ours = other.coefficients[column].loc[list(names.values())].to_numpy() * scale
        np.testing.assert_allclose(ours, fit.coefficients[column], rtol=1e-6, atol=1e-9)
    assert (other.tau2, other.q_interaction, other.q_residual) == pytest.approx(
        (fit.tau2, fit.q_interaction, fit.q_residual), rel=1e-6
    )
    predicted = {
        frozenset((row.treat1, row.treat2)): (abs(row.te), row.se) for row in other.predict(12 * 20 + 1000).itertuples()
    }
    for row in fit.predict(20).itertuples():
        assert predicted[frozenset((new[row.treat1], new[row.treat2]))] == pytest.approx(
            (abs(row.te), row.se), rel=1e-6
        )


def test_the_slope_of_two_treatments_is_that_of_pairwise_meta_regression():
    rows = table(multi_arm=False).query("treat1 + treat2 == 'AP'")
    rows = pd.concat([rows, rows.assign(study=lambda t: t["study"] + "b", te=lambda t: 0.8 * t["te"])])
    covariate = {study: float(k) ** 1.5 for k, study in enumerate(rows["study"])}
    x = np.array(list(covariate.values()))
    pair = meta_regression(rows["te"], rows["se"], pd.DataFrame({"x": x - x.mean()}))
    fit = network_meta_regression(rows, covariate, "P")
    np.testing.assert_allclose(
        fit.coefficients.loc[["A", "x"], ["estimate", "se"]], pair.coefficients[["estimate", "se"]], rtol=1e-6
    )
    assert (fit.tau2, fit.q_residual) == pytest.approx((pair.tau2, pair.q_residual), rel=1e-6)


def test_a_common_slope_leaves_differences_of_others_alone():
    fit = network_meta_regression(table(), COVARIATE, "P")
    near, far = (fit.predict(value).set_index(["treat1", "treat2"])["te"] for value in (fit.centre, fit.centre + 10))
    slope = fit.coefficients.at["age", "estimate"]
    assert far["A", "B"] == pytest.approx(near["A", "B"]) and far["A", "P"] == pytest.approx(
        near["A", "P"] + 10 * slope
    )
    assert near["A", "P"] == pytest.approx(fit.te.at["A", "P"]) == pytest.approx(fit.coefficients.at["A", "estimate"])
    assert fit.to_frame() is fit.coefficients and "Slopes: Q" in fit.summary() and len(fit.data) == 13


def test_slopes_of_one_study_are_left_out_and_named():
    rows = pd.concat([table(), pd.DataFrame([("new", "D", "P", 0.4, 0.2)], columns=COLUMNS)])
    covariate = {**COVARIATE, "new": 30.0}
    fit = network_meta_regression(rows, covariate, "P", "independent", 0.05)
    assert fit.left_out == ("x:D",) and "fixed at 0: x:D" in fit.notes[-1]
    assert fit.coefficients.loc["D", ["estimate", "se"]].tolist() == pytest.approx([0.4, np.sqrt(0.04 + 0.05)])
    # Its study then tells nothing of the others, but shifts the centre
    without = network_meta_regression(table(), COVARIATE, "P", "independent", 0.05)
    assert fit.coefficients.at["x:A", "estimate"] == pytest.approx(without.coefficients.at["age:A", "estimate"])


def test_slopes_of_0_leave_the_network():
    """Estimates made by the network itself: no slope, and the same effects."""
    plain = fit_network(table(), 0.0)
    exact = table().assign(te=[plain.te.at[a, b] for a, b in zip(table()["treat1"], table()["treat2"], strict=True)])
    fit = network_meta_regression(exact, COVARIATE, "P", "independent", 0.0)
    np.testing.assert_allclose(fit.te, plain.te, atol=1e-12)
    assert fit.q_interaction == pytest.approx(0, abs=1e-18) and fit.q_residual == pytest.approx(0, abs=1e-18)


@pytest.mark.parametrize(
    ("covariate", "arguments", "message"),
    [
        (COVARIATE, {"reference": "Q"}, "reference='Q': not one of the treatments A, B, C, P"),
        (COVARIATE, {"interaction": "exchangeable"}, "interaction: 'exchangeable' is not one of common, independent"),
        (COVARIATE.drop("4"), {}, "covariate 'age': study '4' has no value"),
        (COVARIATE.astype(object).where(COVARIATE.index != "4", "old"), {}, "covariate 'age': study '4' has 'old'"),
        (COVARIATE.where(COVARIATE.index != "4"), {}, "covariate 'age': study '4' has nan"),
        (COVARIATE * 0 + 2, {}, "covariate 'age': the value is 2 in all studies"),
        (COVARIATE.rename("A"), {}, "its term 'A' is also the name of a treatment"),
        (pd.concat([COVARIATE, COVARIATE.head(1)]), {}, "covariate 'age': study '0' appears twice"),
        ([1, 2, 3], {}, "covariate: list given"),
        (COVARIATE, {"tau2": "PM"}, "tau2='PM'"),
    ],
)
def test_errors_name_what_is_wrong(covariate, arguments, message):
    with pytest.raises(ValueError) as error:
        network_meta_regression(table(), covariate, **{"reference": "P"} | arguments)
    assert message in str(error.value)


def test_a_slope_without_a_study_of_the_reference_is_an_error():
    rows = pd.DataFrame(
        [("1", "A", "P", 0.1, 0.2), ("2", "A", "B", 0.3, 0.2), ("3", "A", "B", 0.5, 0.2)], columns=COLUMNS
    )
    with pytest.raises(ValueError, match="covariate 'x': the studies cannot separate its slopes from the effects"):
        network_meta_regression(rows, {"1": 1, "2": 2, "3": 5}, "P")
