"""Threshold analysis against a search over refits, by hand on a star, and its invariances."""

import doctest

import numpy as np
import pandas as pd
import pytest

from psps_paper.conclusions import threshold, threshold_analysis
from psps_paper.network import fit_network

RNG = np.random.default_rng(11)


def network(treatments=4, studies=9):
    pairs = [(k - 1, k) for k in range(1, treatments)] + [
        tuple(RNG.choice(treatments, 2, replace=False)) for _ in range(studies)
    ]
    names = [f"T{k}" for k in range(treatments)]
    return pd.DataFrame(
        {
            "study": [f"s{k}" for k in range(len(pairs))],
            "treat1": [names[a] for a, _ in pairs],
            "treat2": [names[b] for _, b in pairs],
            "te": RNG.normal(0, 0.5, len(pairs)),
            "se": RNG.uniform(0.1, 0.5, len(pairs)),
        }
    )


def decided(rows, desirable, decision, important, reference):
    """The decision as the engine's refit gives it."""
    te = fit_network(rows, tau2=0.0).te
    te = te if desirable == "higher" else -te
    if decision == "important":
        return tuple(np.where(te.loc[reference] >= important, 1, np.where(te.loc[reference] <= -important, -1, 0)))
    order = te.iloc[:, 0].sort_values(ascending=False).index
    return tuple(order[:1] if decision == "best" else order)


@pytest.mark.parametrize("desirable", ["higher", "lower"])
@pytest.mark.parametrize("decision", ["best", "order", "important"])
def test_the_decision_holds_inside_and_changes_just_outside(decision, desirable):
    for rows in (network(), network(5, 4)):
        question = (desirable, decision, 0.2, "T1")
        found = threshold_analysis(rows, desirable=desirable, decision=decision, important=0.2, reference="T1")
        now = decided(rows, *question)
        for k, row in found.iterrows():
            for end, side in (("invariant_lower", -1), ("invariant_upper", 1)):
                limit = row[end] if np.isfinite(row[end]) else row["te"] + side * 50
                for share in (0.3, 0.999):
                    moved = rows.assign(te=rows["te"].where(rows.index != k, row["te"] + share * (limit - row["te"])))
                    assert decided(moved, *question) == now
                if np.isfinite(row[end]):
                    moved = rows.assign(te=rows["te"].where(rows.index != k, row["te"] + 1.001 * (limit - row["te"])))
                    assert decided(moved, *question) != now


def test_a_star_by_hand():
    """In a star an estimate moves only its own treatment (Phillippo 2018)."""
    rows = pd.DataFrame({"treat1": "N", "treat2": ["P", "C", "M"], "te": [0.36, 0.34, 0.45], "se": [0.09, 0.23, 0.16]})
    found = threshold_analysis(rows, desirable="higher", decision="order").set_index("treat2")
    assert found.loc["C", ["invariant_lower", "invariant_upper"]].tolist() == pytest.approx([0.0, 0.36])
    assert found.loc["P", ["invariant_lower", "invariant_upper"]].tolist() == pytest.approx([0.34, 0.45])
    assert found.loc["C", "above"] == "N, P, C, M" and found.loc["C", "below"] == "C, N, P, M"
    assert found.loc["M", "invariant_upper"] == np.inf and found.loc["M", "above"] == ""
    assert found["sensitive"].all(), "each interval reaches a point at which two treatments change places"
    best = threshold_analysis(rows, desirable="higher", decision="best").set_index("treat2")
    assert best["invariant_lower"].tolist() == pytest.approx([0.0] * 3) and not best.loc["P", "sensitive"]
    most = threshold_analysis(rows, desirable="higher", decision="important", important=0.4, reference="N").set_index(
        "treat2"
    )
    assert most.loc["M", "invariant_lower"] == pytest.approx(0.4) and most.loc["M", "below"].endswith(
        "neither better nor worse than any"
    )
    assert most.loc["P", "invariant_upper"] == pytest.approx(0.4) and most.loc["P", "invariant_lower"] == pytest.approx(
        -0.4
    )


def test_rows_units_names_and_directions_change_nothing_but_names():
    rows = network()
    columns = ["invariant_lower", "invariant_upper"]
    plain = threshold_analysis(rows, desirable="higher")
    shuffled = threshold_analysis(rows.sample(frac=1, random_state=1), desirable="higher")
    np.testing.assert_allclose(
        shuffled[columns].to_numpy(), plain.loc[rows.sample(frac=1, random_state=1).index, columns].to_numpy()
    )
    turned = rows.assign(treat1=rows["treat2"], treat2=rows["treat1"], te=-rows["te"])
    np.testing.assert_allclose(threshold_analysis(turned, desirable="higher")[columns[::-1]], -plain[columns])
    names = {f"T{k}": name for k, name in enumerate("ZYXW")}
    renamed = threshold_analysis(rows.replace({"treat1": names, "treat2": names}), desirable="higher")
    np.testing.assert_allclose(renamed[columns], plain[columns])
    scaled = threshold_analysis(rows.assign(te=10 * rows["te"], se=10 * rows["se"]), desirable="higher")
    np.testing.assert_allclose(scaled[columns], 10 * plain[columns])
    lower = threshold_analysis(rows.assign(te=-rows["te"]), desirable="lower")
    np.testing.assert_allclose(lower[columns[::-1]], -plain[columns])


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"se": 0.0}, {}, "row 0 .T0 vs T1.: te="),
        ({}, {"decision": "rank"}, "decision='rank'"),
        ({}, {"decision": "important", "reference": "T9"}, "reference='T9'"),
        ({}, {"important": -1.0}, "important=-1.0"),
        ({}, {"desirable": "up"}, "desirable='up'"),
    ],
)
def test_wrong_input_is_named(change, options, words):
    with pytest.raises(ValueError, match=words):
        threshold_analysis(network().assign(**change), **{"desirable": "higher", **options})


def test_a_network_in_parts_and_a_missing_column_are_named():
    rows = pd.DataFrame({"treat1": ["A", "C"], "treat2": ["B", "D"], "te": 0.1, "se": 0.1})
    with pytest.raises(ValueError, match="not connected"):
        threshold_analysis(rows, desirable="higher")
    with pytest.raises(ValueError, match=r"column\(s\) \['se'\] missing"):
        threshold_analysis(rows.drop(columns="se"), desirable="higher")


def test_the_example_of_the_documentation():
    assert doctest.testmod(threshold, extraglobs={"pd": pd}).failed == 0
