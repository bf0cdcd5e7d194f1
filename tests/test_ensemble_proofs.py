"""Bounds that hold for every data set that agrees with the print, against brute force and the stored witnesses."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from psps_paper.ensemble import load_witnesses, published_results, tau2_routes
from psps_paper.ensemble.model import Setting, variance_terms
from psps_paper.ensemble.proofs import (
    Bound,
    allocations,
    dl_floor,
    hartung_knapp_floor,
    impossible,
    largest_estimate,
    least_common_correlation,
    parallel_ceiling,
    printed_contrast,
    tau2_by_standard_error,
    typical_precision,
    unprinted_bounds,
    unprinted_z,
)
from psps_paper.network import fit_network

pytestmark = pytest.mark.slow

EVIDENCE = published_results()
PLACEBO, COMBINED, CONSERVATIVE = EVIDENCE.edges["treat2"]


def test_dl_cannot_come_from_independent_groups_nor_from_one_correlation_of_a_half():
    """Issue G, part 2, (a): at least 0.142 and 0.087 for any allocation, at most 0.077 by the printed SE."""
    assert dl_floor(EVIDENCE, None) == pytest.approx(0.142, abs=5e-4)
    assert dl_floor(EVIDENCE, 0.5) == pytest.approx(0.087, abs=5e-4)
    assert parallel_ceiling(EVIDENCE) == pytest.approx(0.077, abs=5e-4)
    assert impossible(EVIDENCE, Setting("DL", "independent groups", 3.0, False))
    assert impossible(EVIDENCE, Setting("DL", "one correlation", 3.0, False, (0.5, 0.5)))
    assert not impossible(EVIDENCE, Setting("DL", "by study", 3.0, False))
    assert not impossible(EVIDENCE, Setting("REML", "independent groups", 3.0, False))
    least = least_common_correlation(EVIDENCE, parallel_ceiling(EVIDENCE))
    assert dl_floor(EVIDENCE, least) == pytest.approx(parallel_ceiling(EVIDENCE)) and 0.5 < least < 0.75


def test_no_random_data_set_has_a_larger_typical_precision():
    """The bound of C, over random estimates, sample sizes and allocations, and attained at its argument's end."""
    rng = np.random.default_rng(1)
    studies, c = EVIDENCE.studies, len(EVIDENCE.edges)
    for correlation in (None, 0.75):
        low, high = typical_precision(EVIDENCE, correlation, cap=2.0)
        reached = 0.0
        for draw in range(200):
            at_end = draw % 2
            counts = [allocations(EVIDENCE, k)[rng.integers(len(allocations(EVIDENCE, k)))] for k in range(c)]
            study = np.concatenate([np.repeat(np.flatnonzero(studies["comparison"] == k), counts[k]) for k in range(c)])
            n = studies["n_high"].to_numpy() if at_end else rng.uniform(studies["n_low"], studies["n_high"])
            te = np.zeros(25) if at_end else rng.uniform(-2, 2, 25)
            (a,), (b,) = variance_terms(
                studies["crossover"].to_numpy(), np.full((1, 13), correlation or 0.0), paired=correlation is not None
            )
            u = n[study] / (a[study] + b[study] * te**2)
            parts = [u[EVIDENCE.estimates == k] for k in range(c)]
            precision = sum(part.sum() - (part**2).sum() / part.sum() for part in parts)
            assert low <= precision <= high
            reached = max(reached, precision)
        assert reached > 0.8 * high


def test_a_pooled_standard_error_bounds_tau2_from_both_sides():
    """By hand: with tau2 known the fit's standard error must lead back to an interval that holds it."""
    mine = EVIDENCE.studies[EVIDENCE.studies["comparison"] == 1]
    for counts in allocations(EVIDENCE, 1):
        n = np.repeat(mine[["n_low", "n_high"]].mean(axis=1).to_numpy(), counts)
        te = np.array([0.2, 0.9, -0.4, 0.5])
        se = 1 / np.sqrt((1 / ((4 + te**2 / 2) / n + 0.05)).sum())
        low, high = tau2_by_standard_error(EVIDENCE, 1, counts, 1.0, (se, se))
        assert low < 0.05 < high
    with pytest.raises(ValueError, match="comparison 0: it has crossover trials"):
        tau2_by_standard_error(EVIDENCE, 0, np.ones(10, int), 1.0, (0.1, 0.1))


def test_route_1_by_allocation():
    """Issue G, part 2: 2 + 2 estimates give a narrower range than 3 + 1 and 1 + 3, up to 0.077."""
    first = tau2_routes().query("route == 'pooled SE and sample sizes'").set_index("spread")
    assert list(first.index) == ["1 + 3", "2 + 2", "3 + 1", "any"]
    assert first.loc["any", "high"] == pytest.approx(0.077, abs=5e-4) and first.loc["2 + 2", "high"] == pytest.approx(
        0.072, abs=5e-4
    )
    assert first.loc["any", "low"] == first["low"].min() > 0.04


def test_every_witness_lies_within_the_proved_bounds():
    cap = largest_estimate(EVIDENCE, 1)
    route = tau2_routes().query("route == 'pooled SE and sample sizes' and spread == 'any'").iloc[0]
    proved = [printed_contrast(EVIDENCE, name) for name in (PLACEBO, COMBINED)]
    for witness in load_witnesses(EVIDENCE):
        counted = witness.counted("each estimate by itself")
        assert np.abs(witness.te[EVIDENCE.estimates == 1]).max() < cap
        assert route["low"] < counted.tau2[0] < route["high"]
        for k, bounds in enumerate(proved):
            for what, value in (
                ("te", counted.te[0, k]),
                ("se", counted.se[0, k]),
                ("z", counted.te[0, k] / counted.se[0, k]),
            ):
                assert bounds[what].low <= value <= bounds[what].high


def test_hartung_knapp_cannot_reach_further_than_proved():
    """Issue G, part 2, (d): the lower limit against placebo is at least -0.031; the scale by the engine."""
    floor = hartung_knapp_floor(EVIDENCE, PLACEBO)
    assert floor == pytest.approx(-0.031, abs=5e-4)
    for witness in load_witnesses(EVIDENCE)[:10]:
        rows = witness.contrasts.assign(study=[f"e{k}" for k in range(25)])
        fit = fit_network(rows, tau2=witness.tau2)
        residual = rows["te"] - [fit.te.loc[a, b] for a, b in zip(rows["treat1"], rows["treat2"], strict=True)]
        scale = np.sqrt((residual**2 / (rows["se"] ** 2 + fit.tau2)).sum() / 22)
        assert (
            fit.te.loc["neuromodulation", PLACEBO]
            - student.ppf(0.975, 22) * scale * fit.se.loc["neuromodulation", PLACEBO]
            > floor
        )


def test_the_contrast_that_is_not_printed_is_not_significant():
    """Issue G, part 2, (d): z from the P-score of neuromodulation alone, one line of interval arithmetic."""
    z = unprinted_z(EVIDENCE, CONSERVATIVE)
    assert z.low == pytest.approx(1.443, abs=1e-3) and z.high == pytest.approx(1.465, abs=1e-3)


def test_the_contrast_that_is_not_printed_by_branch_and_bound():
    """Issue G, part 2, (d): 0.333 to 0.338, and conservative against placebo |z| of at most 0.09."""
    proved = unprinted_bounds(EVIDENCE, CONSERVATIVE, PLACEBO, te=Bound(0.3325, 0.3385), rival_z=Bound(0.083, 0.0905))
    assert proved == dict.fromkeys(("te_low", "te_high", "rival_z_low", "rival_z_high"), True)
    # inside the range the printed values are consistent, so nothing can be proved there
    assert not any(
        unprinted_bounds(
            EVIDENCE, CONSERVATIVE, PLACEBO, te=Bound(0.336, 0.335), rival_z=Bound(0.088, 0.086), most=20_000
        ).values()
    )


def test_a_bound_is_proved_in_any_unit_and_never_a_false_one():
    """All printed values times ten: te is then 3.33 to 3.38, so that nothing at or below 3 may be proved."""
    large = EVIDENCE.printed.copy()
    limits = large["quantity"].isin(["te", "lower", "upper"])
    large.loc[limits, ["value", "decimals"]] = large.loc[limits, ["value", "decimals"]].to_numpy() * [10, 1] - [0, 1]
    tenfold = replace(EVIDENCE, printed=large)
    any_z = Bound(-9.0, 9.0)
    proved = unprinted_bounds(tenfold, CONSERVATIVE, PLACEBO, te=Bound(0.0, 3.0), rival_z=any_z, most=20_000)
    assert not proved["te_high"]
    proved = unprinted_bounds(tenfold, CONSERVATIVE, PLACEBO, te=Bound(0.0, 3.6), rival_z=any_z)
    assert proved["te_high"]


def test_a_printed_limit_beyond_zero_throws_no_agreeing_network_away():
    """te 0.335 and z 1.45 have a lower limit of -0.12: with that printed too, the same networks agree."""
    row = EVIDENCE.printed[EVIDENCE.printed["quantity"] == "lower"].iloc[[0]]
    row = row.assign(treat2=CONSERVATIVE, value=-0.12)
    more = replace(EVIDENCE, printed=pd.concat([EVIDENCE.printed, row], ignore_index=True))
    te, rival_z = Bound(0.336, 0.335), Bound(0.088, 0.086)
    assert not any(unprinted_bounds(more, CONSERVATIVE, PLACEBO, te=te, rival_z=rival_z, most=20_000).values())


def test_where_the_print_sets_no_end_nothing_is_proved():
    scores = EVIDENCE.printed.copy()
    mine = (scores["quantity"] == "p_score") & (scores["treat1"] == CONSERVATIVE)
    scores.loc[mine, "value"] = 0.05
    with pytest.raises(ValueError, match="conservative: its printed P-score does not bound the contrast"):
        unprinted_bounds(replace(EVIDENCE, printed=scores), CONSERVATIVE, PLACEBO, te=Bound(0, 1), rival_z=Bound(0, 1))
    scores = EVIDENCE.printed.copy()
    mine = (scores["quantity"] == "p_score") & (scores["treat1"] == "neuromodulation")
    scores.loc[mine, "value"] = 0.75
    with pytest.raises(ValueError, match="conservative: z of the hub against it is at least"):
        unprinted_bounds(replace(EVIDENCE, printed=scores), CONSERVATIVE, PLACEBO, te=Bound(0, 1), rival_z=Bound(0, 1))
