"""Networks of few events: properties, second references on single tables, exclusions and errors."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.special import comb
from scipy.stats.contingency import odds_ratio

from psps_paper.network import fit_binary_network
from psps_paper.network.conditional_likelihood import Arms, log_likelihood
from psps_paper.pairwise import mantel_haenszel

COLUMNS = ["study", "treatment", "events", "n"]
ROWS = [
    ("1", "A", 4, 50), ("1", "B", 9, 52), ("2", "B", 5, 58), ("2", "C", 3, 60), ("3", "A", 2, 40), ("3", "C", 4, 41),
    ("4", "A", 1, 30), ("4", "B", 3, 31), ("4", "C", 0, 33), ("5", "A", 2, 45), ("5", "B", 2, 44), ("5", "C", 3, 40),
    ("6", "A", 0, 20), ("6", "B", 0, 22), ("7", "A", 0, 25), ("7", "B", 1, 24),
]  # fmt: skip


def table(rows=ROWS) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS)


@pytest.mark.parametrize("method", ["MH", "NCH"])
def test_only_names_change_when_arms_are_written_otherwise(method):
    fit = fit_binary_network(table(), method)
    names = {"A": "zinc", "B": "abacus", "C": "milk"}
    other = fit_binary_network(table().replace({"treatment": names}).sample(frac=1, random_state=3), method)
    order = [names[name] for name in fit.treatments]
    for field in ("te_common", "se_common", "lower_common", "te_direct", "se_direct", "p_common"):
        np.testing.assert_allclose(getattr(other, field).loc[order, order], getattr(fit, field), rtol=1e-9, atol=1e-11)
    assert (other.q, other.df_q) == pytest.approx((fit.q, fit.df_q), nan_ok=True)


@pytest.mark.parametrize("method", ["MH", "NCH"])
def test_counting_non_events_turns_the_sign(method):
    fit = fit_binary_network(table(), method)
    turned = fit_binary_network(table().assign(events=lambda t: t["n"] - t["events"]), method)
    np.testing.assert_allclose(turned.te_common, -fit.te_common, rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(turned.se_common, fit.se_common, rtol=1e-8, atol=1e-11)


def test_more_people_with_the_same_risks_scale_the_errors():
    fit = fit_binary_network(table())
    larger = fit_binary_network(table().assign(events=lambda t: 9 * t["events"], n=lambda t: 9 * t["n"]))
    np.testing.assert_allclose(larger.te_common, fit.te_common, atol=1e-12)
    np.testing.assert_allclose(larger.se_common, fit.se_common / 3, atol=1e-12)
    assert larger.q == pytest.approx(9 * fit.q)


def test_two_treatments_are_the_pairwise_mantel_haenszel():
    rows = table().query("treatment != 'C' and study in ['1', '4', '5', '7']")
    one, other = (rows[rows["treatment"] == name] for name in "AB")
    pair = mantel_haenszel(one["events"], one["n"], other["events"], other["n"])
    fit = fit_binary_network(rows)
    assert (fit.te_common.at["A", "B"], fit.se_common.at["A", "B"]) == pytest.approx((pair.te, pair.se))
    assert (fit.q, fit.df_q) == (0, 0) and np.isnan(fit.p_q) and fit.te_direct.at["A", "B"] == pytest.approx(pair.te)


@pytest.mark.parametrize("cells", [(4, 50, 9, 52), (1, 10, 3, 4), (180, 400, 90, 300), (19, 20, 1, 20)])
def test_one_table_has_the_conditional_maximum_of_scipy(cells):
    x1, n1, x2, n2 = cells
    fit = fit_binary_network(table([("1", "A", x1, n1), ("1", "B", x2, n2)]), "NCH")
    expected = np.log(odds_ratio([[x1, n1 - x1], [x2, n2 - x2]], kind="conditional").statistic)
    assert fit.te_common.at["A", "B"] == pytest.approx(expected, abs=1e-7)


def test_the_likelihood_of_three_arms_is_the_sum_over_all_tables():
    n, effects, total = np.array([6, 4, 5]), np.array([0.0, 0.7, -1.2]), 7
    tables = [x for x in itertools.product(*(range(k + 1) for k in n)) if sum(x) == total]
    weight = np.array(
        [np.prod([comb(k, x) for k, x in zip(n, one, strict=True)]) * np.exp(effects @ one) for one in tables]
    )
    probability = weight / weight.sum()
    mean = probability @ np.array(tables)
    for observed in ((3, 2, 2), (6, 1, 0)):
        value, score, information = log_likelihood([Arms(np.arange(3), np.array(observed), n)], effects)
        assert value == pytest.approx(np.log(probability[tables.index(observed)]))
        np.testing.assert_allclose(score, observed - mean, atol=1e-12)
        np.testing.assert_allclose(information, np.cov(np.array(tables).T, aweights=probability, bias=True), atol=1e-12)


def test_arms_that_say_nothing_are_listed_with_the_reason():
    rows = [
        *ROWS[:6],
        ("8", "A", 0, 20),
        ("8", "D", 2, 20),
        ("9", "A", 0, 10),
        ("9", "B", 0, 12),
        ("10", "C", 5, 5),
        ("10", "B", 9, 9),
        ("11", "B", 1, 10),
        ("12", "A", np.nan, 10),
        ("12", "B", 1, 10),
    ]
    fit = fit_binary_network(table(rows))
    assert fit.excluded.set_index(["study", "treatment"])["reason"].to_dict() == {
        ("12", "A"): "events or n missing",
        ("12", "B"): "the only arm of its study",
        ("9", "A"): "no events in the study",
        ("9", "B"): "no events in the study",
        ("10", "B"): "only events in the study",
        ("10", "C"): "only events in the study",
        ("11", "B"): "the only arm of its study",
        ("8", "A"): "no events in any study of its design",
        ("8", "D"): "the only arm of its study",
    }
    assert fit.treatments == ["A", "B", "C"]
    assert set(fit.excluded["study"]) - set(fit.arms["study"]) == {"8", "9", "10", "11", "12"}
    assert "Left out: study 8, A: no events in any study of its design" in fit.summary()
    assert len(fit.arms) + len(fit.excluded) == len(rows)


def test_pooled_adds_a_half_to_all_arms_of_the_design():
    rows = [("1", "A", 0, 20), ("1", "B", 2, 20), ("2", "A", 0, 30), ("2", "B", 1, 35)]
    fit = fit_binary_network(table(rows), continuity="pooled")
    assert fit.arms["events"].tolist() == [0.5, 2.5, 0.5, 1.5] and fit.arms["n"].tolist() == [21, 21, 31, 36]
    pair = mantel_haenszel([0.5, 0.5], [21, 31], [2.5, 1.5], [21, 36])
    assert fit.te_common.at["A", "B"] == pytest.approx(pair.te)


ONE_SIDED = [("1", "A", 5, 5), ("1", "B", 3, 5), ("2", "A", 2, 5), ("2", "B", 0, 5)]


@pytest.mark.parametrize(
    ("rows", "method", "arguments", "message"),
    [
        (ROWS, "IV", {}, "method: 'IV' is not one of MH, NCH"),
        (ROWS, "NCH", {"continuity": "pooled"}, "continuity='pooled': the exact likelihood of NCH needs whole counts"),
        (ROWS, "MH", {"continuity": 0.5}, "continuity=0.5: expected None or 'pooled'"),
        ([("1", "A", 1, 10), ("1", "A", 2, 10)], "MH", {}, "row 1: study '1' has treatment 'A' twice"),
        (
            [("1", "A", 11, 10), ("1", "B", 2, 10)],
            "MH",
            {},
            "row 0 (study '1', A), column events: 11 is more than its n",
        ),
        (
            [("1", "A", -1, 10), ("1", "B", 2, 10)],
            "MH",
            {},
            "row 0 (study '1', A), column events: -1 is not a number from 0",
        ),
        ([("1", "A", 1.5, 10), ("1", "B", 2, 10)], "NCH", {}, "row 0 (study '1', A), column events: 1.5 is not whole"),
        ([("1", "A", np.inf, 10), ("1", "B", 2, 10)], "NCH", {}, "column events: inf is not a number from 0"),
        ([("1", None, 1, 10), ("1", "B", 2, 10)], "MH", {}, "row 0, column treatment: missing label"),
        (
            [("1", "A", 1, 10), ("1", "B", 2, 10), ("2", "A ", 2, 10)],
            "MH",
            {},
            "arms: treatment labels 'A' and 'A ' differ only in spaces",
        ),
        ([("1", "A", np.inf, 10), ("1", "B", 2, 10)], "MH", {}, "column events: inf is not a number from 0"),
        ([("1", "A", "one", 10), ("1", "B", 2, 10)], "MH", {}, "arms, column events:"),
        (
            [("1", "A", 0, 10), ("1", "B", 0, 10)],
            "MH",
            {},
            "no study has two arms whose events give information on their odds ratio",
        ),
        (
            [("1", "A", 1, 9), ("1", "B", 2, 9), ("2", "C", 1, 9), ("2", "D", 2, 9)],
            "MH",
            {},
            "2 parts: ['A', 'B']; ['C', 'D']",
        ),
        (ONE_SIDED, "MH", {}, "design A:B: the Mantel-Haenszel odds ratio of B against A is 0"),
        (ONE_SIDED, "NCH", {}, "between the treatments ['A'] and ['B']; their odds ratios would be 0 or infinite"),
    ],
)
def test_errors_name_what_is_wrong(rows, method, arguments, message):
    with pytest.raises(ValueError) as error:
        fit_binary_network(table(rows), method, **arguments)
    assert message in str(error.value)


def test_random_tables_give_a_result_or_one_sentence():
    """Found strongly connected or not by the graph, the maximum exists or not: its score is 0, or the error says so."""
    rng, results = np.random.default_rng(5), 0
    for _ in range(60):
        rows = []
        for study in range(rng.integers(2, 6)):
            for name in rng.permutation(list("ABCD"))[: rng.integers(2, 5)]:
                n = int(rng.integers(1, 12))
                rows.append((str(study), name, int(rng.integers(0, n + 1)), n))
        for method in ("MH", "NCH"):
            try:
                fit = fit_binary_network(table(rows), method)
            except ValueError as error:
                assert str(error).startswith(("arms", "design")) and "\n" not in str(error)
                continue
            results += 1
            assert np.isfinite(fit.te_common).all(axis=None) and np.isfinite(fit.se_common).all(axis=None)
            if method == "NCH":
                position = {name: k for k, name in enumerate(fit.treatments)}
                studies = [
                    Arms(
                        np.array([position[x] for x in t["treatment"]]), t["events"].to_numpy(int), t["n"].to_numpy(int)
                    )
                    for _, t in fit.arms.groupby("study")
                ]
                assert np.abs(log_likelihood(studies, fit.te_common.iloc[:, 0].to_numpy())[1]).max() < 1e-8
    assert results > 40
