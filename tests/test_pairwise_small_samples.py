"""The weighted sum of chi-squared, intervals for tau2, and meta-regression where references have no cell."""

import numpy as np
import pandas as pd
import pytest
import scipy

from psps_paper.pairwise import (
    meta_regression,
    method_comparison,
    rank_test,
    selection_model,
    small_sample_meta_analysis,
    subgroup_analysis,
    tau2_interval,
    trim_and_fill,
)
from psps_paper.pairwise.quadratic_forms import upper_tail

TE, SE = np.array([-0.5, 0.1, 0.62, 0.3, -0.1]), np.array([0.18, 0.25, 0.3, 0.11, 0.4])


@pytest.mark.parametrize("m", [1, 2, 3, 10, 100])
def test_equal_weights_are_chi_squared(m):
    for x in (1e-6, 0.01, 0.5, m, m + 0.1, 3 * m, 10 * m):
        assert upper_tail(x, np.full(m, 2.0)) == pytest.approx(scipy.special.chdtrc(m, x / 2), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("b", [0.99, 0.5, 1e-3, 1e-6])
def test_two_pairs_of_weights_are_a_difference_of_exponentials(b):
    for x in (1e-3, 0.1, 1, 3, 10, 40):
        exact = (np.exp(-x / 2) - b * np.exp(-x / 2 / b)) / (1 - b)
        assert upper_tail(x, np.array([1, 1, b, b])) == pytest.approx(exact, rel=1e-8, abs=1e-11)


def test_with_two_studies_all_exact_intervals_are_one():
    """Q has one degree of freedom, so that its weights cancel."""
    found = [tau2_interval([0.1, 0.75], [0.2, 0.22], method) for method in ("QP", "BJ", "J")]
    assert [f.upper for f in found] == pytest.approx([found[0].upper] * 3, rel=1e-9)


def test_a_year_gives_the_same_fit_as_the_year_less_2000():
    year = np.array([2001, 2003, 2004, 2010, 2019])
    one, two = (meta_regression(TE, SE, pd.DataFrame({"year": y}), "DL") for y in (year * 1.0, year - 2000.0))
    assert one.coefficients.loc["year"].tolist() == pytest.approx(two.coefficients.loc["year"].tolist(), rel=1e-9)
    assert one.q_moderators == pytest.approx(two.q_moderators, rel=1e-9)


@pytest.mark.parametrize("method", ["EB", "HS", "FE"])
def test_estimators_for_one_tau2_also_pool_all_studies(method):
    """The docstring of subgroup_analysis offers them; meta_analysis does not."""
    group = pd.DataFrame({"setting": list("aabbb")})
    found = subgroup_analysis(TE, SE, group["setting"], method, common_tau2=True)
    assert found.q_between == pytest.approx(meta_regression(TE, SE, group, method).q_moderators, rel=1e-9)
    alone = small_sample_meta_analysis(TE, SE, method, "classic")
    assert [found.overall.te, found.overall.se, found.overall.tau2] == pytest.approx(
        [alone.te, alone.se, alone.tau2], rel=1e-9
    )
    assert found.overall.tau2_method == method


def test_a_factor_is_a_subgroup_analysis_with_one_tau2():
    group = pd.DataFrame({"setting": list("aabbb")})
    fit = meta_regression(TE, SE, group, "REML")
    groups = subgroup_analysis(TE, SE, group["setting"], "REML", common_tau2=True)
    assert fit.q_moderators == pytest.approx(groups.q_between, rel=1e-9)
    assert fit.predict(pd.DataFrame({"setting": ["a", "b"]}))["te"].tolist() == pytest.approx(
        groups.groups["te"].tolist(), rel=1e-9
    )
    other = group["setting"].astype(pd.CategoricalDtype(["b", "a"]))
    turned = meta_regression(TE, SE, pd.DataFrame({"setting": other}), "REML").coefficients
    assert turned.loc["setting = a", "estimate"] == pytest.approx(
        -fit.coefficients.loc["setting = b", "estimate"], rel=1e-9
    )


@pytest.mark.parametrize(
    "columns, message",
    [
        ({"x": [1, 2, 3, 4, np.nan]}, "moderators, row 4, column x"),
        ({"x": [1, 1, 1, 1, 1]}, "x is constant or a linear combination"),
        ({"x": [1, 2, 3, 4, 5], "y": [2, 4, 6, 8, 10]}, "y is constant or a linear combination"),
        ({"g": list("abcde")}, "5 studies are too few for 5 coefficients"),
        ({"x": [1, 2]}, "2 rows for 5 studies"),
    ],
)
def test_moderators_that_cannot_be_used_are_named(columns, message):
    with pytest.raises(ValueError, match=message):
        meta_regression(TE, SE, pd.DataFrame(columns))


def test_predictions_name_an_unknown_level():
    fit = meta_regression(TE, SE, pd.DataFrame({"g": list("aabbb")}))
    with pytest.raises(ValueError, match="row 0, column g: 'z' is not one of a, b"):
        fit.predict(pd.DataFrame({"g": ["z"]}))
    with pytest.raises(ValueError, match="no column g"):
        fit.predict(pd.DataFrame({"h": ["a"]}))


def test_the_table_of_methods_says_which_changes_the_answer():
    found = method_comparison([0.21, 0.3, 0.18], [0.1, 0.12, 0.2])
    row = found.table.set_index(["tau2_method", "method", "ad_hoc"]).loc[("REML", "hartung-knapp", "none")]
    fit = small_sample_meta_analysis([0.21, 0.3, 0.18], [0.1, 0.12, 0.2])
    assert row["lower"] == fit.lower and bool(row["differs"]) == (
        (fit.lower > 0) != found.table["excludes_zero"].iloc[0]
    )
    assert "Which method changes the answer?" in found.summary()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: trim_and_fill([1, 2, 3], [0.1, 0.1, 0.1]), "cannot determine it"),
        (lambda: trim_and_fill([1, 2, 3], [0.1, 0.2, 0.1], "XX"), "tau2: 'XX'"),
        (lambda: rank_test([1, 2, 3], [0.1, 0.1, 0.1]), "se: all are equal"),
        (lambda: selection_model(TE, SE, (0.5, 0.1)), "ascending order"),
        (lambda: selection_model(TE, SE, (0.025,), weights=(1,)), "one for each interval"),
        (lambda: small_sample_meta_analysis([0.2, 0.2], [0.1, 0.2]), "standard error of 0"),
        (lambda: small_sample_meta_analysis(TE, SE, "DL", "kenward-roger"), "Kenward-Roger is defined for REML"),
        (lambda: small_sample_meta_analysis(TE, SE, method="classic", ad_hoc="se"), "ad_hoc"),
        (lambda: subgroup_analysis(TE, SE, ["a", "b", None, "a", "b"]), "by, row 2"),
        (lambda: tau2_interval(TE, SE, "PL", "DL"), "profile likelihood needs ML or REML"),
        (lambda: meta_regression(TE, [0.1, 0.2, 0.3, 0.4, 0], None), "studies, row 4, column se: 0.0"),
    ],
)
def test_errors_say_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
