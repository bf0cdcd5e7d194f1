"""Input that fit_network refuses, and input that it accepts."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from psps_paper.network import (
    comparison_adjusted_funnel,
    contribution_matrix,
    decompose_q,
    fit_network,
    fit_networks,
    hat_matrix,
    heterogeneity_table,
    leave_one_study_out,
    split_evidence,
    subnetworks,
)
from psps_paper.network.ranking import p_scores, rank_probabilities
from psps_paper.network.summary import league_table, network_from_pooled

COLUMNS = ["study", "treat1", "treat2", "te", "se"]
TWO_ARM = [("s1", "A", "B", 0.3, 0.2), ("s2", "B", "C", -0.1, 0.3), ("s3", "A", "C", 0.4, 0.25)]


def table(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS)


@pytest.mark.parametrize(
    "rows, message",
    [
        ([*TWO_ARM, ("s4", "D", "E", 0.1, 0.2)], r"not connected.*\['A', 'B', 'C'\].*\['D', 'E'\]"),
        ([*TWO_ARM, ("s4", "A", "A", 0.1, 0.2)], "row 3.*'s4'.*'A' is compared with itself"),
        ([*TWO_ARM, ("s4", "A", "B", 0.1, 0.0)], r"row 3.*se=0\.0.*'s4'.*se > 0"),
        ([*TWO_ARM, ("s4", "A", "B", 0.1, -0.2)], r"row 3.*se=-0\.2"),
        ([*TWO_ARM, ("s4", "A", "B", np.inf, 0.2)], "row 3.*te=inf"),
        ([*TWO_ARM, ("s4", "A", None, 0.1, 0.2)], "row 3, column treat2: missing label"),
        ([*TWO_ARM, (np.nan, "A", "B", 0.1, 0.2)], "row 3, column study: missing label"),
        ([*TWO_ARM, ("s4", "A", "B", "much", 0.2)], "column te: expected numbers.*much"),
        ([("s1", "A", "B", np.nan, 0.2)], "none of the 1 rows has both te and se"),
        (
            [*TWO_ARM, ("trial", "A", "B", 0.1, 0.2), ("trial", "B", "C", 0.1, 0.2)],
            "study 'trial' compares 3 treatments .A, B, C. and needs 3 contrasts.*missing: A vs C",
        ),
        (
            [
                ("trial", "A", "B", 0.1, 0.2),
                ("trial", "B", "C", 0.2, 0.2),
                ("trial", "A", "C", 0.9, 0.2),
            ],
            "study 'trial': estimates do not add up.*A vs B: te 0.1, se 0.2.*A vs C: te 0.9",
        ),
        (
            [
                ("trial", "A", "B", 0.1, 0.2),
                ("trial", "B", "C", 0.2, 0.2),
                ("trial", "A", "C", 0.3, 0.9),
            ],
            "study 'trial': standard errors belong to no covariance matrix.*A vs C: te 0.3, se 0.9",
        ),
        (
            [*TWO_ARM, ("s1", "B", "A", -0.1, 0.2)],
            "study 's1' has 2 rows for A vs B: pass correlation=.*unique study labels",
        ),
        (
            [
                ("trial", "A", "B", 0.1, 0.2),
                ("trial", "B", "C", 0.2, 0.2),
                ("trial", "A", "C", 0.3, 0.2),
                ("trial", "C", "A", -0.3, 0.2),
            ],
            "study 'trial' has 3 treatments and 2 rows for A vs C; expected one row",
        ),
    ],
)
def test_bad_contrasts(rows, message):
    with pytest.raises(ValueError, match=message):
        fit_network(table(*rows))


def test_no_rows():
    with pytest.raises(ValueError, match="none of the 0 rows"):
        fit_network(table())


def test_missing_column():
    with pytest.raises(ValueError, match=r"\['se'\] missing"):
        fit_network(table(*TWO_ARM).drop(columns="se"))


def test_one_treatment():
    with pytest.raises(ValueError, match="only treatment is 'A'.*2 rows.*at least two treatments"):
        fit_network(table(("s1", "A", "A", 0.1, 0.2), ("s2", "A", "A", 0.3, 0.2)))


@pytest.mark.parametrize("column", ["study", "treat1", "treat2"])
@pytest.mark.parametrize("label", [pd.NA, None, np.nan, " "])
def test_missing_labels_of_every_kind(column, label):
    contrasts = table(*TWO_ARM).convert_dtypes()
    contrasts.loc[1, column] = label
    with pytest.raises(ValueError, match=f"row 1, column {column}: missing label"):
        fit_network(contrasts)


def test_nullable_columns_give_the_same_fit():
    rows = table(*TWO_ARM, ("s4", "A", "B", None, 0.2))
    fit, nullable = fit_network(rows), fit_network(rows.convert_dtypes())
    pd.testing.assert_frame_equal(fit.te, nullable.te)
    assert nullable.excluded["reason"].tolist() == ["te missing"]


@pytest.mark.parametrize(
    "first, second",
    [("caf\u00e9", "cafe\u0301"), ("A", "A "), ("two words", "two\u00a0words"), ("two words", "two  words")],
)
def test_labels_that_look_alike_are_refused_not_taken_for_two(first, second):
    named = f"{re.escape(ascii(first))} and {re.escape(ascii(second))} differ only in spaces"
    rows = [("s1", first, "B", 0.3, 0.2), ("s2", second, "B", 0.1, 0.2)]
    with pytest.raises(ValueError, match=f"treatment labels {named}"):
        fit_network(table(*rows))
    rows = [(first, "A", "B", 0.3, 0.2), (second, "A", "B", 0.1, 0.2)]
    with pytest.raises(ValueError, match=f"study labels {named}"):
        fit_network(table(*rows))


@pytest.mark.parametrize("fit", [fit_network, subnetworks, lambda x: fit_networks(x, [[0.1]], [0.1])])
@pytest.mark.parametrize("given", [TWO_ARM, {"study": ["s1"]}, None])
def test_contrasts_that_are_no_table(fit, given):
    with pytest.raises(TypeError, match=f"{type(given).__name__} given; expected a DataFrame with"):
        fit(given)


@pytest.mark.parametrize(
    "of_fit",
    [
        lambda fit: p_scores(fit, desirable="lower"),  # a table of contrasts has te and se too, and gave scores
        lambda fit: rank_probabilities(fit, desirable="lower"),
        lambda fit: comparison_adjusted_funnel(fit, ["A", "B", "C"]),
        decompose_q,
        split_evidence,
        contribution_matrix,
        hat_matrix,
        heterogeneity_table,
        league_table,
        leave_one_study_out,
    ],
)
@pytest.mark.parametrize("given", [table(*TWO_ARM), None])
def test_what_is_no_fit(of_fit, given):
    with pytest.raises(
        TypeError, match=f"^fit: {type(given).__name__} given; expected a NetworkFit, as fit_network gives$"
    ):
        of_fit(given)


def test_pooled_contrasts_that_are_no_table():
    with pytest.raises(TypeError, match="pooled contrasts: NoneType given; expected a DataFrame with columns"):
        network_from_pooled(None)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_that_appears_twice(column):
    rows = table(*TWO_ARM)
    with pytest.raises(ValueError, match=rf"\['{column}'\] appear more than once"):
        fit_network(pd.concat([rows, rows[[column]]], axis=1))


@pytest.mark.parametrize(
    "values, message",
    [
        ([0.3 + 1j, 0.1, 0.2], "column te: complex128 given; expected real numbers"),
        (pd.Series([0.3 + 1j, 0.1, "0.2"], dtype=object), "column te: expected numbers"),
        ([True, False, True], "column te: bool given"),
        (pd.to_datetime(["2020-01-01"] * 3), "column te: datetime64.* given"),
    ],
)
def test_columns_that_hold_no_real_numbers(values, message):
    with pytest.raises(ValueError, match=message):
        fit_network(table(*TWO_ARM).assign(te=values))


@pytest.mark.parametrize("scale", [1e76, 1e-76, 1e160, 1e-160])
def test_scales_beyond_double_precision_are_refused(scale):
    rows = table(*TWO_ARM)
    with pytest.raises(ValueError, match=r"row 0: te=.* \(study 's1'\): expected te between -1e\+75"):
        fit_network(rows.assign(te=scale * rows["te"], se=scale * rows["se"]))
    with pytest.raises(ValueError, match=r"te and se: expected te between -1e\+75"):
        fit_networks(rows, scale * rows["te"].to_numpy(), scale * rows["se"].to_numpy())
    with pytest.raises(ValueError, match="row 0"):
        fit_network(rows.assign(te=1e76))


@pytest.mark.parametrize("scale", [1e72, 1e-72])
@pytest.mark.parametrize("method", ["DL", "REML"])
def test_scales_within_double_precision_change_nothing(scale, method):
    rows = table(*TWO_ARM, ("s4", "A", "B", 1.9, 0.2))
    fit, scaled = (
        fit_network(rows, method),
        fit_network(rows.assign(te=scale * rows["te"], se=scale * rows["se"]), method),
    )
    np.testing.assert_allclose(scaled.te / scale, fit.te, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(scaled.se / scale, fit.se, rtol=1e-6, atol=1e-9)
    assert fit.tau2 > 0 and scaled.q == pytest.approx(fit.q)


@pytest.mark.parametrize("smallest", [1e-2, 1e-3, 1e-4, 4e-5])
def test_tau2_of_very_unequal_standard_errors(smallest):
    """Against the formula of Jackson, White & Riley 2012 in rational numbers, which round nothing."""
    rows = table(*TWO_ARM, ("s4", "A", "B", 1.9, 0.2), ("s5", "B", "C", 0.3, 0.4))
    rows.loc[1, "se"] = smallest
    x = np.array([[-1, 0], [1, -1], [0, -1], [-1, 0], [1, -1]])  # against A
    w = np.array([1 / Fraction(se) ** 2 for se in rows["se"]])
    y = np.array([Fraction(te) for te in rows["te"]])
    (a, b), (_, c) = x.T @ (w[:, None] * x)
    cov = np.array([[c, -b], [-b, a]]) / (a * c - b * b)
    q = (w * (y - x @ cov @ x.T @ (w * y)) ** 2).sum()
    trace = w.sum() - (cov * (x.T @ (w[:, None] ** 2 * x))).sum()
    fit = fit_network(rows)
    assert fit.q == pytest.approx(float(q), rel=1e-6)
    assert fit.tau2 == pytest.approx(float((q - 3) / trace), rel=1e-6)


def test_standard_errors_too_unequal_for_double_precision_are_refused():
    rows = table(*TWO_ARM)
    with pytest.raises(
        ValueError, match="contrasts: se from 1e-06 to 0.3; expected the largest to be at most 100000 times"
    ):
        fit_network(rows.assign(se=[0.2, 0.3, 1e-6]))
    with pytest.raises(ValueError, match=r"\(data set 1\): se from 1e-06 to 1"):
        fit_networks(rows, np.zeros((2, 3)), [[1, 1, 1], [1, 1, 1e-6]])


@pytest.mark.parametrize("tau2", ["PM", "dl", -0.1, np.nan, 1j, None, [0.1, 0.2]])
def test_unknown_method(tau2):
    with pytest.raises(ValueError, match="expected one of DL, REML, ML or a number >= 0"):
        fit_network(table(*TWO_ARM), tau2)


@pytest.mark.parametrize("correlation", [-0.1, 1, 2.5, "0.5", 0.5j, [0.5], np.nan, pd.NA, False])
def test_impossible_correlation(correlation):
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        fit_network(table(*TWO_ARM), correlation=correlation)


@pytest.mark.parametrize("level", [0, 1, 95, "0.95", None, [0.9]])
def test_impossible_level(level):
    with pytest.raises(ValueError, match="level=.*expected a number between 0 and 1"):
        fit_network(table(*TWO_ARM), level=level)


def test_missing_estimates_are_listed_not_dropped():
    contrasts = table(
        *TWO_ARM,
        ("s4", "A", "B", np.nan, 0.2),
        ("s5", "A", "B", 0.1, np.nan),
        ("s6", "A", "D", None, None),
    ).assign(note="kept")
    fit = fit_network(contrasts)
    assert fit.excluded[["study", "reason"]].values.tolist() == [
        ["s4", "te missing"],
        ["s5", "se missing"],
        ["s6", "te and se missing"],
    ]
    assert fit.treatments == ["A", "B", "C"]
    assert len(fit.contrasts) + len(fit.excluded) == len(contrasts)
    pd.testing.assert_frame_equal(fit.te, fit_network(table(*TWO_ARM)).te)


def test_fit_does_not_change_with_its_input():
    contrasts = table(*TWO_ARM)
    fit = fit_network(contrasts)
    contrasts.loc[0, "te"] = 99.0
    assert fit.contrasts.loc[0, "te"] == 0.3


def test_components_name_the_parts():
    rows = table(*TWO_ARM, ("s4", "D", "E", 0.1, 0.2), ("s5", "A", "D", np.nan, np.nan))
    assert subnetworks(rows) == [{"A", "B", "C"}, {"D", "E"}]


def test_unicode_and_very_long_labels():
    names = ["Rückenmarkstimulation 🧠", "脊髄刺激", "x" * 10_000]
    rows = [
        ("Müller’s „study“", names[0], names[1], 0.3, 0.2),
        ("研究" * 3000, names[1], names[2], 0.1, 0.2),
    ]
    fit = fit_network(table(*rows))
    assert fit.treatments == sorted(names)
    assert fit.te.at[names[0], names[2]] == pytest.approx(0.4, abs=1e-12)


def test_two_treatments_and_one_study():
    fit = fit_network(table(("s1", "A", "B", 0.3, 0.2)), level=0.9)
    assert (fit.te.at["A", "B"], fit.se.at["A", "B"]) == pytest.approx((0.3, 0.2))
    assert fit.tau2 == 0 and fit.df_q == 0
    assert np.isnan([fit.p_q, fit.i2, fit.predict_lower.at["A", "B"]]).all()
    assert fit.upper.at["A", "B"] == pytest.approx(0.3 + 1.6448536269514722 * 0.2)


def test_numbers_as_labels():
    rows = table((1, 10, 20, 0.3, 0.2), (2, 20, 30, 0.1, 0.2))
    assert fit_network(rows).treatments == ["10", "20", "30"]


@pytest.mark.parametrize(
    "te, se, more, message",
    [
        (np.zeros((4, 2)), np.ones(3), {}, "expected .B x 3."),
        (np.zeros((4, 3)), np.ones((2, 3)), {}, "with one B"),
        (np.zeros((4, 3)), np.ones(3), {"tau2": np.zeros(5)}, "with one B"),
        (np.zeros((0, 3)), np.ones(3), {}, r"te \(0, 3\).*at least 1"),
        (np.zeros((0, 3)), np.ones((0, 3)), {}, r"te \(0, 3\).*at least 1"),
        (np.zeros((4, 3)), np.ones(3), {"tau2": np.zeros(0)}, "at least 1"),
        (np.zeros((2, 3, 2)), np.ones(3), {}, "expected .B x 3."),
        (np.zeros((4, 3)), np.ones(3), {"correlation": np.zeros((4, 1))}, "expected .B x 3."),
        (np.full((4, 3), 1j), np.ones(3), {}, "te: complex128 given; expected real numbers"),
        (np.zeros(3), ["a", "b", "c"], {}, "se: <U1 given; expected real numbers"),
        (np.zeros((4, 3)), np.ones(3), {"correlation": "0.5"}, r"correlation='0.5'.*\[0, 1\)"),
        (np.full((4, 3), np.nan), np.ones(3), {}, "finite numbers"),
        (np.zeros((4, 3)), np.zeros(3), {}, "se > 0"),
        (np.zeros((4, 3)), np.ones(3), {"correlation": 1.0}, r"\[0, 1\)"),
        (np.zeros((4, 3)), np.ones(3), {"tau2": np.full(4, -1.0)}, ">= 0"),
    ],
)
def test_bad_sets(te, se, more, message):
    with pytest.raises(ValueError, match=message):
        fit_networks(table(*TWO_ARM), te, se, **more)


def test_sets_with_a_contradiction_name_the_data_set():
    rows = table(("t", "A", "B", 0, 1), ("t", "B", "C", 0, 1), ("t", "A", "C", 0, 1))
    te = np.zeros((3, 3))
    te[2, 0] = 1.0
    with pytest.raises(ValueError, match=r"study 't' \(data set 2\): estimates do not add up"):
        fit_networks(rows, te, np.ones(3))


def pooled(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["treat1", "treat2", "te", "se"])


@pytest.mark.parametrize(
    "rows, message",
    [
        ([("A", "B", 1, 0.1), ("B", "C", 1, 0.1), ("C", "A", 1, 0.1)], "form a cycle"),
        ([("A", "B", 1, 0.1), ("C", "D", 1, 0.1)], r"parts are.*\['A', 'B'\]"),
        ([("A", "B", 1, 0.1), ("B", "A", 1, 0.1)], "appears twice"),
        ([("A", "B", 1, 0.0)], "se > 0"),
        ([("A", "B", np.nan, 0.1)], "te=nan"),
        ([("A", "A", 1, 0.1)], "with itself"),
        ([], "no rows"),
    ],
)
def test_bad_pooled_contrasts(rows, message):
    with pytest.raises(ValueError, match=message):
        network_from_pooled(pooled(*rows))


@pytest.mark.parametrize("rank", [p_scores, rank_probabilities])
def test_direction_must_be_named(rank):
    with pytest.raises(ValueError, match="expected 'lower' or 'higher'"):
        rank(fit_network(table(*TWO_ARM)), desirable="good")


@pytest.mark.parametrize("draws", [1e3, "1000", 0, -5, None])
def test_draws_are_a_whole_number(draws):
    with pytest.raises(ValueError, match=f"draws={draws!r}: expected a whole number"):
        rank_probabilities(fit_network(table(*TWO_ARM)), desirable="lower", draws=draws)


def test_one_number_serves_all_pieces_of_many_sets(monkeypatch):
    """Also where the data sets are worked through in pieces."""
    te = np.random.default_rng(0).normal(size=(5, 3))
    rows, se = table(*TWO_ARM), np.ones(3)
    whole = fit_networks(rows, te, se, 0.1, correlation=0.5)
    monkeypatch.setattr("psps_paper.network.model.PIECE", 1)
    pieces = fit_networks(rows, te, se, np.array([0.1]), correlation=np.array([0.5]))
    np.testing.assert_array_equal(whole.effects, pieces.effects)


def test_league_table_needs_all_treatments():
    with pytest.raises(ValueError, match="each of"):
        league_table(fit_network(table(*TWO_ARM)), order=["A", "B"])
