"""Results "Network meta-analysis": which studies it uses, and the network that its printed values imply.

SMD > 0 favours the first-named treatment, so the desirable direction of te is "higher" (data/outcomes.csv).
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from helpers import evidence, table
from psps_paper.article.published import (
    comparisons,
    forest_rows,
    printed_values,
    published_edges,
    without_each,
    without_table,
)
from psps_paper.figures import interval_strip
from psps_paper.formatting import half_unit, rounds_to
from psps_paper.network.ranking import p_scores, rank_probabilities
from psps_paper.network.summary import league_table

N, C, CM, P = "neuromodulation", "conservative", "conservative + minimally invasive", "placebo/sham"

# Paragraph 1: citation lists of the eligible and used studies and of each comparison
ELIGIBLE = {10, 11, *range(37, 40), 49, 52, 57, 58, *range(64, 68), 71}
USED = ELIGIBLE - {10}
COMPARISONS = {
    "neuromodulation vs placebo/sham": {11, *range(37, 40), 52, 58, *range(64, 68)},
    "neuromodulation vs conservative + minimally invasive": {57, 71},
    "neuromodulation vs conservative": {49},
    "surgery vs surgery + minimally invasive": {10},
}
# Paragraph 1: what placebo/sham consisted of
PLACEBOS = {"sham SCS": {38, *range(65, 68)}, "placebo SCS": {37, 64}, "other": {39, 52, 11, 58}}

# Paragraph 2: (te, lower, upper, z) of neuromodulation against each
POOLED = {CM: (0.45, 0.14, 0.76, 2.88), P: (0.36, 0.18, 0.53, 4.03)}
P_SCORES = {N: 0.975, C: 0.423, P: 0.389, CM: 0.212}  # paragraph 3


@pytest.fixture(scope="module")
def published():
    return evidence().network


@pytest.fixture(scope="module")
def fit(published):
    return published.fit


def bounds(published, treat1, treat2):
    rows = published.recovery.bounds.set_index(["treat1", "treat2"])
    return rows.loc[(treat1, treat2)]


# --- the studies --------------------------------------------------------------------------------------


def test_eligible_and_used_studies_are_the_cited_ones():
    studies = table("studies")
    assert set(studies.loc[studies["nma_status"] != "not eligible", "ref"]) == ELIGIBLE
    assert set(studies.loc[studies["nma_status"] == "used", "ref"]) == USED
    assert (len(ELIGIBLE), len(USED)) == (14, 13)


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_comparison_holds_the_cited_studies(comparison):
    studies = table("studies")
    assert set(studies.loc[studies["nma_comparison"] == comparison, "ref"]) == COMPARISONS[comparison]


def test_placebo_comparison_consists_of_the_listed_placebos():
    assert set.union(*PLACEBOS.values()) == COMPARISONS["neuromodulation vs placebo/sham"]
    studies = table("studies")
    scs = studies.loc[
        (studies["nma_comparison"] == "neuromodulation vs placebo/sham") & (studies["scs_arm"] == "yes"), "ref"
    ]
    assert set(scs) == PLACEBOS["sham SCS"] | PLACEBOS["placebo SCS"]


def test_only_eligible_studies_have_a_comparison():
    studies = table("studies")
    assert (studies["nma_comparison"].notna() == (studies["nma_status"] != "not eligible")).all()


# Paragraph 1: estimates; with three edges they leave 22 degrees of freedom
@pytest.mark.parametrize(("other", "studies", "estimates"), [(P, 10, 19), (CM, 2, 4), (C, 1, 2)])
def test_comparisons_have_the_printed_numbers(other, studies, estimates):
    shown = comparisons(table("studies"), table("nma_published")).set_index(["treat1", "treat2"])
    row = shown.loc[(N, other)]
    assert (row["n_studies"], row["n_estimates"], row["used"]) == (studies, estimates, True)


def test_the_other_subnetwork_is_shown_as_not_used():
    shown = comparisons(table("studies"), table("nma_published"))
    others = shown[~shown["used"]]
    assert others[["treat1", "treat2", "n_studies", "refs"]].to_numpy().tolist() == [
        ["surgery", "surgery + minimally invasive", 1, "10"]
    ]
    assert others["n_estimates"].isna().all()
    assert shown["n_studies"].sum() == 14


# --- what the printed values say ----------------------------------------------------------------------


def test_i2_enters_as_a_fraction():
    printed = printed_values(table("nma_published")).set_index("quantity")
    assert printed.loc["i2", ["value", "decimals"]].tolist() == [pytest.approx(0.775), 3]
    assert "egger_p" not in printed.index and "n_estimates" not in printed.index


def test_edges_are_those_of_the_text():
    edges = published_edges(table("nma_published"))
    assert set(edges.itertuples(index=False, name=None)) == {(N, P, 19), (N, CM, 4), (N, C, 2)}


def test_all_printed_values_hold_together(published):
    assert published.recovery.feasible
    assert published.recovery.clashes.empty
    assert published.recovery.residual <= 1, "no value is off by more than half a unit in its last digit"
    assert published.without["agrees"].all()


@pytest.mark.parametrize("other", POOLED)
@pytest.mark.parametrize("which", [0, 1, 2, 3], ids=["te", "lower", "upper", "z"])
def test_central_solution_prints_as_printed(fit, other, which):
    te, se = fit.te.at[N, other], fit.se.at[N, other]
    computed = (te, fit.lower.at[N, other], fit.upper.at[N, other], te / se)[which]
    assert rounds_to(computed, POOLED[other][which], 2)


@pytest.mark.parametrize(("other", "low", "high"), [(CM, 0.0035, 0.0045), (P, 0, 0.0001)])
def test_p_values_print_as_printed(fit, other, low, high):
    """Paragraph 2: p = 0.004 and p < 0.0001."""
    p = 2 * norm.sf(fit.te.at[N, other] / fit.se.at[N, other])
    assert low <= p < high


@pytest.mark.parametrize("treatment", P_SCORES)
def test_p_scores_print_as_printed(fit, treatment):
    assert rounds_to(p_scores(fit, desirable="higher")[treatment], P_SCORES[treatment], 3)


def test_i2_and_the_numbers_of_estimates_agree_on_the_degrees_of_freedom(published):
    """Paragraph 3: I2 77.5 % (66.6 to 84.8); 19 + 4 + 2 estimates on three comparisons leave 22."""
    assert published.recovery.df == (19 + 4 + 2 - 3,)


# --- the contrast that is not printed -----------------------------------------------------------------


def conservative_z_from_p_scores() -> tuple[float, float]:
    """z of neuromodulation against conservative, by hand from the P-score and the two printed z.

    The P-score of neuromodulation is the mean of three normal probabilities, of which two are printed as z.
    """
    half, half_z = half_unit(3), half_unit(2)
    ends = []
    for sign in (-1, 1):
        rest = 3 * (P_SCORES[N] + sign * half) - sum(norm.cdf(POOLED[other][3] - sign * half_z) for other in POOLED)
        ends.append(norm.ppf(rest))
    return tuple(ends)


def test_conservative_contrast_lies_where_the_p_score_puts_it(published, fit):
    low, high = conservative_z_from_p_scores()
    row = bounds(published, N, C)
    assert low - 1e-6 <= row["z_low"] < row["z_high"] <= high + 1e-6
    assert row["z_low"] <= fit.te.at[N, C] / fit.se.at[N, C] <= row["z_high"]


def test_conservative_contrast_is_narrow_and_not_significant(published):
    """Abstract: no statistically significant difference between conservative options and neuromodulation."""
    row = bounds(published, N, C)
    assert 0.3 < row["te_low"] < row["te_high"] < 0.4
    assert row["te_high"] - row["te_low"] < 0.01, "known to the second decimal although it is not printed"
    assert row["p_low"] > 0.05, "whatever the exact values behind the print"
    assert row["lower_high"] < 0 < row["upper_low"], "zero lies inside every possible 95 % interval"


def test_conservative_contrast_gives_back_the_other_p_scores(fit):
    """The P-scores of the three others, by hand from te and se of the recovered star."""
    te = {other: fit.te.at[N, other] for other in (P, CM, C)}
    se = {other: fit.se.at[N, other] for other in (P, CM, C)}
    for treatment in (P, CM, C):
        wins = [norm.cdf(-te[treatment] / se[treatment])]
        wins += [
            norm.cdf((te[other] - te[treatment]) / np.hypot(se[other], se[treatment]))
            for other in te
            if other != treatment
        ]
        assert rounds_to(np.mean(wins), P_SCORES[treatment], 3)


def test_forest_rows_say_which_contrast_is_not_printed(published, fit):
    rows = forest_rows(published, N).set_index("treatment_class")
    assert rows["tier"].to_dict() == {CM: "printed", P: "printed", C: "implied"}
    assert rows.loc[P, ["te", "lower", "upper"]].tolist() == [0.36, 0.18, 0.53]
    assert rows.loc[CM, ["te", "lower", "upper"]].tolist() == [0.45, 0.14, 0.76]
    assert rows.at[C, "te"] == fit.te.at[N, C]


# --- what must hold of any network --------------------------------------------------------------------


@pytest.mark.parametrize(("name", "mirror"), [("te", "te"), ("lower", "upper"), ("upper", "lower")])
def test_league_is_antisymmetric(fit, name, mirror):
    np.testing.assert_allclose(getattr(fit, name).to_numpy(), -getattr(fit, mirror).to_numpy().T, atol=1e-12)


def test_standard_errors_are_symmetric(fit):
    np.testing.assert_allclose(fit.se.to_numpy(), fit.se.to_numpy().T, rtol=1e-12)


def test_contrasts_are_consistent_around_the_centre(fit):
    for a in (P, CM, C):
        for b in (P, CM, C):
            assert fit.te.at[a, b] == pytest.approx(fit.te.at[a, N] + fit.te.at[N, b], abs=1e-12)
            if a != b:
                assert fit.se.at[a, b] == pytest.approx(np.hypot(fit.se.at[a, N], fit.se.at[b, N]), rel=1e-9)


def test_league_table_holds_the_printed_contrasts_and_states_its_orientation(fit):
    league = league_table(fit, order=[N, C, P, CM], outcome="SMD")
    assert league.at[N, CM].startswith("0.45 (0.14 to 0.76)")
    assert league.at[N, P].startswith("0.36 (0.18 to 0.53)")
    assert league.at[P, N].startswith("-0.36 (-0.53 to -0.18)")
    assert league.attrs["orientation"].startswith("Each cell is the effect in SMD of the treatment of its row minus")


def test_p_scores_average_one_half(fit):
    assert p_scores(fit, desirable="higher").mean() == pytest.approx(0.5, abs=1e-12)


def test_flipping_the_desirable_direction_turns_the_ranking_round(fit):
    assert evidence().te_desirable == "higher"
    flipped = p_scores(fit, desirable="lower")
    np.testing.assert_allclose(flipped, 1 - p_scores(fit, desirable="higher"), atol=1e-12)
    assert flipped.idxmax() == CM


def test_rank_probabilities_agree_with_the_p_scores(fit):
    """Fig. 4; a P-score is (treatments - mean rank) / (treatments - 1) (Rücker & Schwarzer 2015, section 2.3)."""
    ranks = rank_probabilities(fit, desirable="higher", draws=40_000, seed=1)
    np.testing.assert_allclose(ranks.sum(axis=0), 1)
    np.testing.assert_allclose(ranks.sum(axis=1), 1)
    mean_rank = ranks.to_numpy() @ np.arange(1, 5)
    # Monte-Carlo error of a mean rank is below 1 / sqrt(40000)
    np.testing.assert_allclose((4 - mean_rank) / 3, p_scores(fit, desirable="higher")[ranks.index], atol=5 * 0.005 / 3)
    assert ranks[1].idxmax() == N, "the article: neuromodulation the most effective"


def test_printed_values_beside_what_the_others_imply(published):
    """The figure and the table say the same of every printed value; the table prints each in its own unit and
    decimals."""
    table = without_table(published).set_index("what")
    rows = without_each(published)
    rows = rows[rows["quantity"].isin(["te", "lower", "upper"])]
    assert interval_strip(rows, unit="SMD").data["meets"].all()
    assert (table["agrees"] == "yes").all()
    assert table.loc["I2"].tolist() == ["77.5\u202f%", "77.45\u202f%", "77.49\u202f%", "yes"]
    assert table.loc["P-score neuromodulation"].tolist() == ["0.975", "0.9745", "0.9775", "yes"]
    assert table.loc["p neuromodulation against placebo/sham"].tolist() == ["<\u202f0.0001"] * 3 + ["yes"]
