"""The inverse problem under rounding: known truths are recovered, altered digits are detected.

Expected values: the random networks are rounded here and their truth is known; star_demo.json is netmeta
2.8-2 output; the article's values cite its Results, "Network meta-analysis".
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from psps_paper.network.heterogeneity import i_squared
from psps_paper.recover.contrasts import implied_without, leave_one_out, recover_contrasts
from psps_paper.recover.i2 import df_from_i2_interval
from psps_paper.recover.printed import I2_QUANTITIES, rounding_interval
from psps_paper.recover.region import PooledRegion
from sizes import cases

pytestmark = pytest.mark.slow

ORACLES = Path(__file__).parent / "oracles"
N, P, CM, C = "neuromodulation", "placebo", "conservative + minimally invasive", "conservative"
EDGES = pd.DataFrame({"treat1": [N, N, N], "treat2": [P, CM, C], "estimates": [19, 4, 2]})
COLUMNS = ["quantity", "treat1", "treat2", "value", "decimals", "relation"]

# Results, "Network meta-analysis", second and third paragraphs
ARTICLE = pd.DataFrame(
    [
        ("te", N, P, 0.36, 2, "="),
        ("lower", N, P, 0.18, 2, "="),
        ("upper", N, P, 0.53, 2, "="),
        ("z", N, P, 4.03, 2, "="),
        ("p", N, P, 0.0001, 4, "<"),
        ("te", N, CM, 0.45, 2, "="),
        ("lower", N, CM, 0.14, 2, "="),
        ("upper", N, CM, 0.76, 2, "="),
        ("z", N, CM, 2.88, 2, "="),
        ("p", N, CM, 0.004, 3, "="),
        ("p_score", N, None, 0.975, 3, "="),
        ("p_score", C, None, 0.423, 3, "="),
        ("p_score", P, None, 0.389, 3, "="),
        ("p_score", CM, None, 0.212, 3, "="),
        ("i2", None, None, 0.775, 3, "="),
        ("i2_lower", None, None, 0.666, 3, "="),
        ("i2_upper", None, None, 0.848, 3, "="),
    ],
    columns=COLUMNS,
)


def print_network(te: dict, se: dict, shown: dict) -> pd.DataFrame:
    """A star network as a paper prints it. ``te``, ``se``: leaf -> N minus leaf; ``shown``: leaf -> quantities."""
    rows = []
    for leaf, quantities in shown.items():
        z = te[leaf] / se[leaf]
        p = 2 * norm.sf(abs(z))
        exact = {
            "te": te[leaf],
            "lower": te[leaf] - norm.ppf(0.975) * se[leaf],
            "upper": te[leaf] + norm.ppf(0.975) * se[leaf],
            "z": z,
        }
        rows += [(q, N, leaf, round(exact[q], 2), 2, "=") for q in quantities if q != "p"]
        if "p" in quantities:
            rows.append(("p", N, leaf, 0.0001, 4, "<") if p < 1e-4 else ("p", N, leaf, round(p, 3), 3, "="))
    effects = {N: (0.0, 0.0)} | {leaf: (-te[leaf], se[leaf] ** 2) for leaf in te}
    for treatment, (effect, variance) in effects.items():
        beats = [
            norm.cdf((effect - other) / np.sqrt(variance + other_variance))
            for rival, (other, other_variance) in effects.items()
            if rival != treatment
        ]
        rows.append(("p_score", treatment, None, round(float(np.mean(beats)), 3), 3, "="))
    return pd.DataFrame(rows, columns=COLUMNS)


def random_star(rng):
    """Three leaves around N; two printed in full or in part, the third left to the P-scores, as in the article."""
    leaves = [P, CM, C]
    te = dict(zip(leaves, rng.normal(0.3, 0.35, 3), strict=True))
    se = dict(zip(leaves, np.exp(rng.uniform(np.log(0.06), np.log(0.35), 3)), strict=True))
    sets = [("te", "lower", "upper", "z", "p"), ("te", "lower", "upper"), ("te", "z"), ("lower", "upper", "p")]
    shown = {leaf: sets[rng.integers(len(sets))] for leaf in leaves[:2]}
    return te, se, print_network(te, se, shown)


def outside(recovery, te, se):
    """Pairs and quantities whose truth lies outside the bounds."""
    effect = {N: 0.0} | {leaf: -value for leaf, value in te.items()}
    variance = {N: 0.0} | {leaf: value**2 for leaf, value in se.items()}
    missed = []
    for row in recovery.bounds.itertuples():
        truth = effect[row.treat1] - effect[row.treat2]
        error = np.sqrt(variance[row.treat1] + variance[row.treat2])
        exact = {"te": truth, "se": error, "z": truth / error, "p": 2 * norm.sf(abs(truth / error))}
        exact |= {"lower": truth - norm.ppf(0.975) * error, "upper": truth + norm.ppf(0.975) * error}
        missed += [
            (row.treat1, row.treat2, name)
            for name, value in exact.items()
            if not getattr(row, f"{name}_low") - 1e-6 <= value <= getattr(row, f"{name}_high") + 1e-6
        ]
    return missed


def _one_random_star(seed):
    te, se, printed = random_star(np.random.default_rng(seed))
    recovery = recover_contrasts(printed, EDGES[["treat1", "treat2"]], desirable="higher")
    return recovery.feasible, outside(recovery, te, se) if recovery.feasible else None


@pytest.mark.long
def test_truth_within_bounds_in_random_star_networks():
    seeds = np.random.SeedSequence(20250305).spawn(cases(50, 500))
    results = [_one_random_star(seed) for seed in seeds]
    assert all(feasible for feasible, _ in results)
    missed = [found for _, found in results if found]
    assert len(missed) <= len(seeds) // 100, missed  # at least 99 %


def test_star_demo_printed_as_in_a_paper_is_recovered():
    oracle = json.loads((ORACLES / "star_demo.json").read_text())
    at = {name: k for k, name in enumerate(oracle["trts"])}
    names = {P: "Placebo", CM: "Cons+MinInv", C: "Conservative"}
    row = at["Neuromodulation"]
    te = {leaf: oracle["TE_random"][row][at[name]] for leaf, name in names.items()}
    se = {leaf: oracle["seTE_random"][row][at[name]] for leaf, name in names.items()}
    full = ("te", "lower", "upper", "z", "p")
    printed = print_network(te, se, {P: full, CM: full})
    i2 = [("i2", oracle["I2"]), ("i2_lower", oracle["lower_I2"]), ("i2_upper", oracle["upper_I2"])]
    i2_rows = pd.DataFrame([(q, None, None, round(v, 3), 3, "=") for q, v in i2], columns=COLUMNS)
    printed = pd.concat([printed, i2_rows], ignore_index=True)
    recovery = recover_contrasts(printed, EDGES, desirable="higher")
    assert recovery.feasible and outside(recovery, te, se) == []
    inside = recovery.solution.merge(recovery.bounds, on=["treat1", "treat2"])
    assert (
        len(inside) == 3 and (inside["te"] - inside["te_low"] > -1e-9).all() and (inside["se"] > inside["se_low"]).all()
    )
    assert (inside["te"] < inside["te_high"]).all() and (inside["se"] < inside["se_high"]).all()
    assert recovery.df == (oracle["df_Q"],)
    assert recovery.tau2_low <= oracle["tau2"] <= recovery.tau2_high
    # the contrast that was not printed is pinned by the P-scores alone
    unprinted = recovery.bounds.query("treat1 == @N and treat2 == @C").iloc[0]
    assert unprinted["se_high"] - unprinted["se_low"] < 0.15 * se[C]


def test_other_tree_shapes_and_direction():
    """A chain with a printed composite contrast; lower is better."""
    edges = [("a", "b"), ("b", "c"), ("c", "d")]
    te, se = np.array([-0.5, 0.2, -0.9]), np.array([0.2, 0.15, 0.3])
    effect = {"a": 0.0, "b": 0.5, "c": 0.3, "d": 1.2}
    path = {("a", "c"): [0, 1], ("a", "d"): [0, 1, 2]}
    ac_se, ad_se = (np.sqrt((se[path[pair]] ** 2).sum()) for pair in (("a", "c"), ("a", "d")))
    order = ["a", "b", "c", "d"]
    between = {(order[i], order[j]): np.sqrt((se[i:j] ** 2).sum()) for i in range(4) for j in range(i + 1, 4)}
    score = {
        t: np.mean([norm.cdf((effect[u] - effect[t]) / between[min(t, u), max(t, u)]) for u in order if u != t])
        for t in order
    }
    rows = [
        ("te", "b", "a", 0.5, 2, "="),
        ("z", "a", "b", -2.5, 2, "="),
        ("te", "c", "a", 0.3, 2, "="),
        ("lower", "a", "c", round(-0.3 - norm.ppf(0.975) * ac_se, 2), 2, "="),
        ("upper", "a", "d", round(-1.2 + norm.ppf(0.975) * ad_se, 2), 2, "="),
    ] + [("p_score", t, None, round(v, 3), 3, "=") for t, v in score.items()]
    recovery = recover_contrasts(pd.DataFrame(rows, columns=COLUMNS), edges, desirable="lower")
    assert recovery.feasible
    for k, row in recovery.bounds.head(3).iterrows():
        assert row["te_low"] <= te[k] <= row["te_high"] and row["se_low"] <= se[k] <= row["se_high"]
    assert not recover_contrasts(pd.DataFrame(rows, columns=COLUMNS), edges, desirable="higher").feasible


def test_what_is_not_determined_is_unbounded():
    printed = pd.DataFrame([("te", N, P, 0.36, 2, "=")], columns=COLUMNS)
    bounds = recover_contrasts(printed, [(N, P), (N, C)], desirable="higher").bounds.set_index("treat2")
    first, second = bounds.loc[P].iloc[0] if bounds.loc[[P]].shape[0] > 1 else bounds.loc[P], bounds.loc[C]
    assert first["te_low"] == pytest.approx(0.355) and first["te_high"] == pytest.approx(0.365)
    assert first["se_low"] == 0 and np.isinf(first["se_high"])
    assert np.isinf(second["te_low"]) and np.isinf(second["te_high"])


def test_article_conservative_contrast():
    """Abstract: no statistically significant difference between conservative options and neuromodulation."""
    recovery = recover_contrasts(ARTICLE, EDGES, desirable="higher")
    assert recovery.feasible and recovery.clashes.empty and recovery.residual < 1
    row = recovery.bounds.query("treat1 == @N and treat2 == @C").iloc[0]
    assert 0.3 < row["te_low"] < row["te_high"] < 0.4
    assert 0.2 < row["se_low"] < row["se_high"] < 0.25
    assert row["p_low"] > 0.05 and row["lower_high"] < 0 < row["upper_low"]
    # in the row of N: 3 x 0.975 less the two printed probabilities leaves Phi(z) by hand
    z = norm.ppf(3 * np.array([0.9745, 0.9755]) - norm.cdf(4.03) - norm.cdf(2.88))
    assert z[0] - 0.01 < row["z_low"] and row["z_high"] < z[1] + 0.01
    assert recovery.df == (22,)
    assert 0 == recovery.tau2_low < recovery.tau2_high < 4 * 0.1583**2 + 1e-3


CHANGED = [
    (0, 0.46),
    (1, 0.28),
    (2, 0.73),
    (3, 4.23),
    (5, 0.25),
    (6, 0.24),
    (7, 0.79),
    (8, 2.98),
    (9, 0.014),
    (10, 0.985),
    (14, 0.785),
    (15, 0.686),
    (16, 0.868),
]


def hold_together(rows):
    """Whether some network prints all of them; without I2, to which the network is free, by one that does."""
    if rows["quantity"].isin(I2_QUANTITIES).any():
        return recover_contrasts(rows, EDGES, desirable="higher").feasible
    region = PooledRegion(rows, EDGES, desirable="higher")
    return region.misfit(region.centre[None]).item() <= 1


@pytest.mark.parametrize("row, value", CHANGED)
def test_one_digit_changed_is_detected_and_named(row, value):
    changed = ARTICLE.copy()
    changed.loc[row, "value"] = value
    recovery = recover_contrasts(changed, EDGES, desirable="higher")
    assert not recovery.feasible and recovery.bounds.empty
    assert row in recovery.clashes.index
    # smallest set: without any one of its values the others hold together
    for label in recovery.clashes.index:
        rest = recovery.clashes.drop(index=label)
        if len(rest):
            assert hold_together(rest)


def test_what_holds_only_at_the_boundary_of_rounding_is_said_to():
    """SMD 0.46 with 0.14 to 0.76: the interval is symmetric only at 0.455, 0.145 and 0.765, where rounding decides."""
    changed = ARTICLE.copy()
    changed.loc[5, "value"] = 0.46
    recovery = recover_contrasts(changed, EDGES, desirable="higher")
    assert recovery.feasible and recovery.at_boundary and recovery.residual == pytest.approx(1, abs=1e-6)
    assert recovery.conclusion == "agrees only at the boundary of rounding"
    row = recovery.solution.query("treat2 == @CM").iloc[0]
    assert (row["te"], row["te"] + norm.ppf(0.975) * row["se"]) == pytest.approx((0.455, 0.765), abs=1e-6)
    as_printed = recover_contrasts(ARTICLE, EDGES, desirable="higher")
    assert not as_printed.at_boundary and as_printed.conclusion == "agrees within rounding"
    changed.loc[5, "value"] = 0.47
    clash = recover_contrasts(changed, EDGES, desirable="higher")
    assert not clash.at_boundary and clash.conclusion == f"{len(clash.clashes)} printed values clash"


def test_smallest_clash_of_two():
    """p = 0.004 says |z| near 2.88; printed z 2.98 alone contradicts it."""
    changed = ARTICLE.copy()
    changed.loc[8, "value"] = 2.28
    assert list(recover_contrasts(changed, EDGES, desirable="higher").clashes.index) == [8, 9]


def test_leave_one_out_on_the_article():
    table = leave_one_out(ARTICLE, EDGES, desirable="higher")
    assert table["agrees"].all() and len(table) == len(ARTICLE)
    assert implied_without(ARTICLE, 3, EDGES, desirable="higher") == pytest.approx(
        tuple(table.loc[3, ["implied_low", "implied_high"]])
    )
    # z from the printed SMD and the narrowest and widest interval they allow
    assert table.loc[3, "implied_low"] >= 2 * norm.ppf(0.975) * 0.35 / 0.36 - 0.01
    changed = ARTICLE.copy()
    changed.loc[3, "value"] = 4.23
    table = leave_one_out(changed, EDGES, desirable="higher")
    network = table.drop(index=[14, 15, 16])  # the I2 rows are a block of their own
    assert not network["agrees"].any()
    # leaving z out frees the rest, and the rest implies the z that was printed
    assert network.loc[3, "implied_low"] < 4.03 < network.loc[3, "implied_high"] < 4.23
    # leaving out a value of another contrast frees nothing
    assert network.loc[[5, 6, 7, 8, 9], "implied_low"].isna().all()


@pytest.mark.parametrize("estimates, treatments, reproduced", [(25, 4, True), (13, 4, False)])
def test_i2_interval_identifies_estimates_not_studies(estimates, treatments, reproduced):
    """Results: I2 77.5 % (66.6 to 84.8 %); 25 estimates (19 + 4 + 2) from 13 studies."""
    df = estimates - (treatments - 1)
    assert (df in df_from_i2_interval(0.775, 0.666, 0.848, decimals=3)) is reproduced
    _, lower, upper = i_squared(df / (1 - 0.775), df, 0.95)
    assert ((round(float(lower), 3), round(float(upper), 3)) == (0.666, 0.848)) is reproduced


def test_df_from_i2_interval_finds_every_true_df():
    rng = np.random.default_rng(1)
    for _ in range(200):
        df = int(rng.integers(3, 120))
        q = df * rng.uniform(0.6, 8)
        shown = [round(float(v), 3) for v in i_squared(q, df, 0.95)]
        if shown[0] > 0:
            assert df in df_from_i2_interval(*shown, decimals=3)
    assert df_from_i2_interval(0.775, 0.766, 0.778) == ()


def test_rounding_interval():
    assert rounding_interval(0.36, 2) == pytest.approx((0.355, 0.365))
    assert rounding_interval(0.0001, 4, "<") == (-np.inf, 0.0001)
    assert rounding_interval(0.9, 1, ">") == (0.9, np.inf)


@pytest.mark.parametrize(
    "column, value, message",
    [
        ("quantity", "smd", "row 0 .*column quantity: 'smd' is not one of"),
        ("value", np.inf, "row 0 .*column value"),
        ("decimals", -1, "row 0 .*column decimals"),
        ("relation", "~", "row 0 .*column relation"),
        ("treat2", None, "row 0 .*column treat2"),
        ("treat2", "surgery", "row 0.*not a pair"),
    ],
)
def test_malformed_rows_are_named(column, value, message):
    bad = ARTICLE.copy().astype({"value": float, "decimals": int})
    bad.loc[0, column] = value
    with pytest.raises(ValueError, match=message):
        recover_contrasts(bad, EDGES, desirable="higher")


def test_edges_must_form_a_tree():
    with pytest.raises(ValueError, match="expected a tree"):
        recover_contrasts(ARTICLE, [(N, P), (N, CM), (P, CM), (N, C)], desirable="higher")
    with pytest.raises(ValueError, match="fraction"):
        df_from_i2_interval(77.5, 66.6, 84.8)
    with pytest.raises(ValueError, match="i2=0.5, lower=0.7, upper=0.3: expected lower <= i2 <= upper"):
        df_from_i2_interval(0.5, 0.7, 0.3)
