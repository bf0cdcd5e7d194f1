"""Arms to contrasts: multi-arm consistency, the account of rows, SD imputation, crossover trials."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psps_paper.effects import (
    contrasts_from_arms,
    correlation_from_sds,
    crossover_mean_difference,
    crossover_smd,
    impute_sd,
    log_odds_ratio,
    risk_difference,
    smd,
)

many_arms = st.lists(
    st.tuples(st.integers(2, 300), st.floats(-50, 50), st.floats(0.5, 30), st.floats(0, 1)),
    min_size=2,
    max_size=5,
)


def arms_of(values):
    table = pd.DataFrame(values, columns=["n", "mean", "sd", "share"])
    table["events"] = (table["share"] * table["n"]).round()
    return table.assign(study="Ä 1", treatment=[f"τ{i}" for i in range(len(table))])


@pytest.mark.parametrize("measure", ["MD", "SMD", "OR", "RD"])
@settings(max_examples=60, deadline=None)
@given(values=many_arms)
def test_multi_arm_contrasts_are_consistent(measure, values):
    arms = arms_of(values)
    result = contrasts_from_arms(arms, measure=measure)
    if measure == "OR" and (arms["events"].isin([0]).all() or (arms["events"] == arms["n"]).all()):
        assert len(result.excluded) == len(arms) and result.table.empty
        return
    table, a = result.table, len(arms)
    assert len(table) == a * (a - 1) // 2 and result.excluded.empty
    contrast = {(r.treat1, r.treat2): (r.te, r.se**2) for r in table.itertuples()}
    names = arms["treatment"].tolist()
    assert list(contrast) == list(combinations(names, 2))
    scale = 1 + table["te"].abs().max()
    for i, j, k in combinations(names, 3):
        loop = contrast[i, j][0] + contrast[j, k][0] - contrast[i, k][0]
        assert loop == pytest.approx(0, abs=1e-9 * scale)
    # The covariance matrix against the first arm that these variances imply is a covariance.
    base = names[0]
    rest = names[1:]
    variance = {frozenset(key): value for key, (_, value) in contrast.items()}
    implied = [
        [
            (
                variance[frozenset((base, i))]
                if i == j
                else (variance[frozenset((base, i))] + variance[frozenset((base, j))] - variance[frozenset((i, j))]) / 2
            )
            for j in rest
        ]
        for i in rest
    ]
    assert np.linalg.eigvalsh(implied).min() > -1e-9 * np.max(implied)


def test_two_arms_give_the_same_as_the_functions():
    arms = arms_of([(20, 3.0, 2.0, 0.3), (30, 4.0, 2.5, 0.5)])
    row = contrasts_from_arms(arms, measure="SMD").table.iloc[0]
    assert (row.te, row.se) == pytest.approx(smd(20, 3.0, 2.0, 30, 4.0, 2.5), rel=1e-14)
    for measure, function in (("OR", log_odds_ratio), ("RD", risk_difference)):
        row = contrasts_from_arms(arms, measure=measure).table.iloc[0]
        assert (row.te, row.se) == pytest.approx(function(6, 20, 15, 30), rel=1e-14)


def test_rows_in_are_rows_used_plus_rows_listed():
    arms = pd.DataFrame(
        {
            "study": ["a", "a", "a", "b", "b", "c", "c"],
            "treatment": ["x", "y", "z", "x", "y", "x", "y"],
            "n": [10, 10, 10, 10, np.nan, 12, 12],
            "mean": [1.0, 2, 3, 4, 5, 6, 7],
            "sd": [1.0, 1, np.nan, 1, 1, 1, 1],
        },
        index=range(2, 9),
    )
    result = contrasts_from_arms(arms, measure="MD")
    assert result.table[["study", "treat1", "treat2"]].values.tolist() == [
        ["a", "x", "y"],
        ["c", "x", "y"],
    ]
    assert result.excluded.values.tolist() == [
        [4, "a", "z", "no sd"],
        [5, "b", "x", "no other arm of the study is usable"],
        [6, "b", "y", "no n"],
    ]
    used = result.table.melt("study", ["treat1", "treat2"])[["study", "value"]].drop_duplicates()
    assert len(used) + len(result.excluded) == len(arms)


def test_nothing_usable_gives_an_empty_table_with_its_columns():
    arms = arms_of([(20, 3.0, 2.0, 0), (30, 4.0, 2.5, 0)])
    result = contrasts_from_arms(arms, measure="OR")
    assert list(result.table.columns) == ["study", "treat1", "treat2", "te", "se"]
    assert result.excluded["reason"].str.startswith("no events in any arm").all()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"n": [20, 1]}, r"pain\.csv, row 1, column n: 1\.0 is not a sample size of at least 2"),
        ({"sd": [0, 2]}, r"pain\.csv, row 0, column sd: 0\.0 is not a number greater than 0"),
        ({"mean": [np.inf, 2]}, r"pain\.csv, row 0, column mean: inf is not a finite number"),
        ({"treatment": ["κ", "κ"]}, r"row 1, column treatment: κ in study Ä 1 is not named once"),
        ({"treatment": ["κ", None]}, r"row 1, column treatment: None|nan is not a label"),
        ({"study": ["Ä", " "]}, r"row 1, column study:   is not a label"),
        ({"study": ["Ä", "Ö"]}, r"row 0, column study: τ0 in study Ä is not part of a study with"),
        ({"n": ["many", 2]}, r"many"),
    ],
)
def test_bad_arms(change, message):
    arms = arms_of([(20, 3.0, 2.0, 0.3), (30, 4.0, 2.5, 0.5)]).assign(**change)
    with pytest.raises(ValueError, match=message):
        contrasts_from_arms(arms, measure="MD", source="pain.csv")


def test_bad_tables():
    arms = arms_of([(20, 3.0, 2.0, 0.3), (30, 4.0, 2.5, 0.5)])
    with pytest.raises(ValueError, match="row 1, column events: 31.0 is not at most n"):
        contrasts_from_arms(arms.assign(events=[3, 31]), measure="OR")
    with pytest.raises(ValueError, match="arms: no column sd; there are n, mean"):
        contrasts_from_arms(arms.drop(columns="sd"), measure="SMD")
    with pytest.raises(ValueError, match="measure: 'SMDs' is not one of SMD, MD, OR, RD"):
        contrasts_from_arms(arms, measure="SMDs")
    with pytest.raises(ValueError, match="row label 7 is not unique"):
        contrasts_from_arms(arms.set_axis([7, 7]), measure="MD")


def test_imputation_follows_the_articles_order_and_is_logged():
    """Article, Methods, Data extraction: post-treatment SD, else baseline, else mean of others."""
    arms = pd.DataFrame(
        {
            "study": ["a", "a", "b", "b", "c", "d"],
            "treatment": ["x", "y"] * 3,
            "scale": ["VAS", "VAS", "VAS", "VAS", "NRS", "ODI"],
            "sd": [2.0, 1.0, np.nan, np.nan, 8.0, np.nan],
            "sd_baseline": [5.0, np.nan, 4.0, np.nan, 9.0, np.nan],
        }
    )
    result = impute_sd(arms, by="scale")
    assert result.arms["sd"].tolist()[:5] == [2.0, 1.0, 4.0, 1.5, 8.0]
    assert result.log.values.tolist()[:2] == [
        [2, "b", "x", "baseline", 4.0, 1],
        [3, "b", "y", "mean of other studies", 1.5, 2],
    ]
    assert result.log.iloc[2][["row", "rule", "n_donors"]].tolist() == [5, "none", 0]
    assert np.isnan(result.log.iloc[2]["sd"]) and np.isnan(result.arms["sd"][5])
    # Over all scales, study d takes the mean of 2, 1, 4 (from baseline) and 8: imputed SDs do not count.
    assert impute_sd(arms).arms["sd"][5] == pytest.approx(15 / 4)
    with pytest.raises(ValueError, match=r"sds\.csv, row 1, column sd: -1\.0 is not a number greater"):
        impute_sd(arms.assign(sd=[2, -1, 3, 4, 5, 6]), source="sds.csv")
    with pytest.raises(ValueError, match="no column unit"):
        impute_sd(arms, by="unit")


def test_crossover_example_of_the_cochrane_handbook():
    """Handbook 5.1, 16.4.6.4: n 10, means 7.0 and 6.5, SDs 2.38 and 2.21, correlation 0.68."""
    trial = (10, 7.0, 2.38, 6.5, 2.21, 0.68)
    assert crossover_mean_difference(*trial) == pytest.approx((0.5, 0.583), abs=5e-4)
    assert crossover_smd(*trial) == pytest.approx((0.218, 0.256), abs=5e-4)


def test_crossover_limits():
    assert crossover_mean_difference(10, 7, 2.0, 6, 2.0, 0).se == pytest.approx(np.sqrt(8 / 10))
    drawn = np.random.default_rng(1).multivariate_normal([7, 6], [[4, 2.4], [2.4, 9]], 200_000)
    sds = (*drawn.std(axis=0, ddof=1), (drawn[:, 0] - drawn[:, 1]).std(ddof=1))
    assert correlation_from_sds(*sds) == pytest.approx(np.corrcoef(drawn.T)[0, 1], rel=1e-10)
    with pytest.raises(ValueError, match="column df: 1.0 is not at least 2"):
        crossover_smd(2, 7, 2, 6, 2, 0.5, correction="exact")
    with pytest.raises(ValueError, match="column correlation: 1.0 is not below 1"):
        crossover_smd(10, 7, 2, 6, 2, 1)
    with pytest.raises(ValueError, match=r"sd_difference: 9.0 is not between \|sd1 - sd2\|"):
        correlation_from_sds(2, 3, 9)
