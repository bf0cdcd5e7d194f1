"""Certainty: each judgement follows from a stated rule, and changes when its basis changes."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from conftest import BOOK
from psps_paper.article.published import published_edges, published_network
from psps_paper.article.syntheses import sds_in_points
from psps_paper.book.studies import high_risk_table
from psps_paper.conclusions import certainty
from psps_paper.conclusions.robustness import clinical_scale
from psps_paper.ensemble import compatibility_map, implied_prediction_intervals, published_results, tau2_routes
from psps_paper.tables.load import load_table

pytestmark = pytest.mark.slow

DOMAINS = ["within-study bias", "reporting bias", "indirectness", "imprecision", "heterogeneity", "incoherence"]
HUB, SHAM, USUAL, BOTH = "neuromodulation", "placebo/sham", "conservative", "conservative + minimally invasive"


@pytest.fixture(scope="module")
def basis():
    return certainty.published_basis(published_network(load_table("nma_published"), desirable="higher"))


@pytest.fixture(scope="module")
def table(basis):
    return certainty.judgements(basis)


@pytest.fixture(scope="module")
def routes():
    return tau2_routes()


def judgement(table, treat1, treat2, domain):
    rows = table[(table["treat1"] == treat1) & (table["treat2"] == treat2) & (table["domain"] == domain)]
    return rows.iloc[0]


def judged(table, domain):
    """Position of each contrast's judgement among the steps, at best and at worst: arrays over contrasts."""
    rows = table[table["domain"] == domain]
    return tuple(rows[end].map(certainty.STEPS.index).to_numpy() for end in ("at best", "at worst"))


def concern(lower, upper, important):
    """The rule of imprecision once more: one important side with zero inside, or two."""
    return int(lower <= 0 <= upper and (lower <= -important or upper >= important)) + int(
        lower <= -important and upper >= important
    )


@pytest.mark.parametrize("n_studies, n_high, n_estimates", [(10, 6, 19), (4, 1, 7), (3, 0, 5), (2, 2, 4), (3, 2, 3)])
def test_bounds_of_the_high_risk_share_by_enumeration(n_studies, n_high, n_estimates):
    if n_studies == 10:
        # at least one estimate a study: the 9 spare ones all in low-risk or all in high-risk studies
        assert certainty.high_share_bounds(10, 6, 19) == (6 / 19, 15 / 19)
        return
    shares = [
        sum(spread[:n_high]) / n_estimates
        for spread in product(range(1, n_estimates + 1), repeat=n_studies)
        if sum(spread) == n_estimates
    ]
    assert certainty.high_share_bounds(n_studies, n_high, n_estimates) == (min(shares), max(shares))


def test_impossible_counts_are_named():
    with pytest.raises(ValueError, match="studies=3, at high risk=4"):
        certainty.high_share_bounds(3, 4, 5)


@pytest.mark.parametrize(
    "lower, upper, step",
    [
        (0.1, 0.9, certainty.NONE),
        (-0.2, 0.4, certainty.NONE),
        (-0.1, 0.6, certainty.SOME),
        (-0.6, 0.1, certainty.SOME),
        (-0.5, 0.5, certainty.MAJOR),
        (0.5, 0.9, certainty.NONE),
    ],
)
def test_imprecision_of_an_interval(lower, upper, step):
    assert certainty.imprecision_step(lower, upper, 0.5) == step


def test_imprecision_rejects_a_reversed_interval():
    with pytest.raises(ValueError, match="lower=1"):
        certainty.imprecision_step(1, 0, 0.5)


def test_every_contrast_has_every_domain(table):
    assert len(table) == 6 * len(DOMAINS)
    assert set(table["domain"]) == set(DOMAINS) == set(load_table("certainty_rules")["domain"])
    assert table[["judgement", "basis", "would settle"]].notna().all().all()


def test_a_star_cannot_be_incoherent(table):
    # Results, Network meta-analysis: no comparison rests on direct and indirect evidence
    assert (table.loc[table["domain"] == "incoherence", "judgement"] == certainty.UNKNOWN).all()


@pytest.mark.parametrize(
    "treat2, judged",
    [
        (BOTH, "major concerns"),  # refs 57 and 71, both high
        (USUAL, "major concerns"),  # ref 49, high
        (SHAM, "some or major concerns"),  # 6 of 10 studies, 19 estimates: 32 to 79 %
    ],
)
def test_within_study_bias(table, treat2, judged):
    assert judgement(table, HUB, treat2, "within-study bias")["judgement"] == judged


# ---------------------------------------------------------------- reporting bias


def test_no_contrast_is_cleared_of_reporting_bias(table):
    """The only printed p of Egger's test is over all comparisons, and cannot be recomputed."""
    rows = table[table["domain"] == "reporting bias"]
    assert (rows["judgement"] == certainty.UNKNOWN).all()
    few = rows["basis"].str.contains("a funnel plot needs 10")
    assert rows.loc[~few, ["treat1", "treat2"]].to_numpy().tolist() == [[HUB, SHAM]]  # the only one with ten studies
    assert rows.loc[~few, "basis"].str.contains("over the whole network").all()


def test_asymmetry_is_a_concern_where_there_are_enough_studies(basis):
    nma = basis.nma_published.copy()
    nma.loc[nma["quantity"] == "egger_p", "value"] = certainty.EGGER_LEVEL / 2
    domain = (
        certainty.judgements(replace(basis, nma_published=nma))
        .query("domain == 'reporting bias'")
        .set_index(["treat1", "treat2"])["judgement"]
    )
    assert domain[(HUB, SHAM)] == certainty.SOME
    assert (domain.drop((HUB, SHAM)) == certainty.UNKNOWN).all()


# ---------------------------------------------------------------- indirectness


def test_indirect_contrasts_are_never_without_concern(table):
    rows = table[(table["evidence"] == "indirect") & (table["domain"] == "indirectness")]
    assert len(rows) == 3 and (rows["at best"] != certainty.NONE).all()


def test_no_scs_in_the_only_study_against_conservative_treatment(table):
    row = judgement(table, HUB, USUAL, "indirectness")
    assert row["judgement"] == certainty.SOME and "none with SCS" in row["basis"]


def test_every_doubt_about_eligibility_of_a_network_study_is_named(table, basis):
    used = basis.studies[basis.studies["nma_status"] == "used"].set_index("study")
    doubts = basis.differences[basis.differences["matters_for"].str.contains("eligibility")]
    concerned = used.loc[[study for study in dict.fromkeys(doubts["study"]) if study in used.index]]
    assert {38, 66} <= set(
        concerned["ref"]
    )  # a prospective case series; complex regional pain syndrome without surgery
    for row in concerned.itertuples():
        found = judgement(table, *row.nma_comparison.split(" vs "), "indirectness")
        assert f"{row.first_author} {row.year}" in found["basis"]
        assert certainty.STEPS.index(found["at worst"]) > certainty.STEPS.index(found["at best"])


def test_a_doubt_counts_at_worst_only(basis):
    without = certainty.judgements(
        replace(basis, differences=basis.differences[basis.differences["study"] == "kapural2015"])
    )
    row = judgement(without, HUB, SHAM, "indirectness")
    assert row["judgement"] == certainty.SOME  # several sub-classes
    one = basis.differences[:1].assign(study="kumar2007", topic="population", matters_for="eligibility")
    row = judgement(certainty.judgements(replace(basis, differences=one)), HUB, BOTH, "indirectness")
    assert (row["at best"], row["at worst"]) == (certainty.NONE, certainty.SOME) and "Kumar 2007 (population)" in row[
        "basis"
    ]


def test_a_study_of_unknown_length_counts_as_short_at_worst_only(basis):
    row = judgement(
        certainty.judgements(replace(basis, days=basis.days.drop(["kumar2007", "rigoard2019"]))),
        HUB,
        BOTH,
        "indirectness",
    )
    assert (row["at best"], row["at worst"]) == (certainty.NONE, certainty.SOME)


# ---------------------------------------------------------------- the smallest important difference


def test_the_threshold_comes_from_the_clinical_scale(basis, table):
    values = load_table("clinical_scale").set_index("quantity")["value"]
    important = values["minimal_important_difference"] / values["points_per_smd"]
    assert load_table("certainty_rules").query("unit == 'SMD'")["threshold"].isna().all()
    assert [basis.threshold(domain) for domain in ("imprecision", "heterogeneity")] == pytest.approx(
        [important, important]
    )
    assert basis.rules["threshold"].notna().all()
    expected = [
        concern(row.lower_low, row.upper_high, important) for row in basis.published.recovery.bounds.itertuples()
    ]
    low, high = judged(table, "imprecision")
    assert low.tolist() == high.tolist() == expected


def test_a_rules_own_threshold_precedes_the_clinical_scale(basis):
    strict = certainty.with_important(basis, 0.1)
    assert judgement(certainty.judgements(strict), HUB, USUAL, "imprecision")["judgement"] == certainty.MAJOR
    with pytest.raises(ValueError, match="important=0"):
        certainty.with_important(basis, 0)


def test_rounding_can_leave_imprecision_undecided(basis):
    """Within the rounding of a printed limit, the effect may or may not be important."""
    bounds = basis.published.recovery.bounds
    row = bounds[(bounds["treat1"] == USUAL) & (bounds["treat2"] == SHAM)].iloc[0]
    important = 0.5
    assert row["upper_low"] < important < row["upper_high"]
    found = judgement(certainty.judgements(certainty.with_important(basis, important)), USUAL, SHAM, "imprecision")
    assert found["judgement"] == "no or some concerns" and "undecided" in found["basis"]


def test_certainty_at_other_thresholds(basis):
    scale, sds = clinical_scale(load_table("clinical_scale")), sds_in_points(load_table("study_facts"))
    assert scale.sd in sds
    shown = certainty.by_threshold(basis, scale.important, sds)
    columns = shown.columns[2:]
    assert [float(column.split()[1]) for column in columns] == sorted(round(scale.important / sd, 2) for sd in sds)
    assert shown.groupby("contrast").size().eq(3).all() and shown["contrast"].nunique() == 6
    for column, sd in zip(columns, sorted(sds, reverse=True), strict=True):
        rated = certainty.certainty_table(
            certainty.judgements(certainty.with_important(basis, scale.important / sd)), basis.published
        )
        by_hand = rated["imprecision"].tolist()
        assert shown.loc[shown["what"] == "imprecision", column].tolist() == by_hand
        ends = shown.loc[shown["what"] == "certainty", column].str.split(" to ")
        assert [end[0] for end in ends] == rated["certainty at best"].tolist() and [end[-1] for end in ends] == rated[
            "certainty at worst"
        ].tolist()
    texts = certainty.threshold_texts(shown)
    judgements = shown[shown["what"] != "certainty"]
    assert texts["n_judged_otherwise"] == str(sum(len(set(row)) > 1 for row in judgements[columns].to_numpy()))


# ---------------------------------------------------------------- heterogeneity


def test_tau2_is_what_the_print_allows_by_the_first_route(basis, routes):
    """The page "What the printed numbers allow" has the same range: pooled standard errors and sample sizes."""
    first = routes[routes["route"] == "pooled SE and sample sizes"]
    assert (basis.tau2.low, basis.tau2.high) == (first["low"].min(), first["high"].max())
    assert 0 < basis.tau2.low < basis.tau2.high <= basis.published.recovery.tau2_high
    pd.testing.assert_frame_equal(basis.predictions, implied_prediction_intervals(basis.tau2.low, basis.tau2.high))


def test_only_rounding_leaves_zero_possible(basis):
    """The pooled results allow tau2 = 0, but no set of estimates under a common effect agrees with the print."""
    assert basis.published.recovery.tau2_low == 0
    found = compatibility_map(published_results(), [], load_table("range_searches"))
    assert found.query("tau2_method == 'common'")["verdict"].tolist() == ["impossible"]
    printed = load_table("nma_published").set_index("quantity")["value"]
    assert printed["i2_lower"] > 0


def test_i2_is_used_if_the_first_route_does_not_rule_out_zero(basis, routes):
    second = routes["route"] == "I2 and sample sizes"
    open_below = routes.assign(low=routes["low"].where(second, 0.0))
    found = certainty.tau2_range(basis.published, open_below)
    assert found.route == "I2 and sample sizes"
    assert (found.low, found.high) == (routes.loc[second, "low"].min(), basis.published.recovery.tau2_high)


def test_routes_without_a_result_are_named(basis, routes):
    with pytest.raises(ValueError, match="none gives a tau2 above 0"):
        certainty.tau2_range(basis.published, routes.assign(low=0.0))
    with pytest.raises(ValueError, match="the pooled results allow at most"):
        certainty.tau2_range(basis.published, routes.assign(low=1.0, high=2.0))


def test_heterogeneity_of_the_allowed_prediction_intervals(basis, table):
    """By hand: te -+ t sqrt(se^2 + tau2) of the central solution, t with one degree of freedom less than Q has."""
    fit, important = basis.published.fit, basis.threshold("heterogeneity")
    quantile = student.ppf(0.975, basis.published.recovery.df[0] - 1)
    low, high = judged(table, "heterogeneity")
    for k, row in enumerate(basis.published.recovery.bounds.itertuples()):
        te, se = fit.te.at[row.treat1, row.treat2], fit.se.at[row.treat1, row.treat2]
        plain = concern(fit.lower.at[row.treat1, row.treat2], fit.upper.at[row.treat1, row.treat2], important)
        reach = [quantile * np.sqrt(se**2 + tau2) for tau2 in np.linspace(basis.tau2.low, basis.tau2.high, 7)]
        steps = [max(0, concern(te - half, te + half, important) - plain) for half in reach]
        assert low[k] <= min(steps) and max(steps) <= high[k]
        if low[k] == high[k]:
            assert set(steps) == {low[k]}


def test_heterogeneity_rests_on_the_least_tau2_and_not_on_zero(basis, table):
    """With tau2 = 0 the prediction interval is hardly wider than the mean's, and the two printed contrasts would
    pass."""
    none = certainty.judgements(replace(basis, predictions=implied_prediction_intervals(0.0, 0.0)))
    for treat2 in (SHAM, BOTH):
        assert judgement(none, HUB, treat2, "heterogeneity")["judgement"] == certainty.NONE
        assert judgement(table, HUB, treat2, "heterogeneity")["judgement"] == certainty.SOME


# ---------------------------------------------------------------- adding up


@pytest.mark.parametrize("lost, rated", [(0, "high"), (1, "moderate"), (2, "low"), (3, "very low"), (12, "very low")])
def test_rating(lost, rated):
    assert certainty.rating(lost) == rated


@pytest.mark.parametrize(
    "judgements, lost",
    [
        (["no concerns"] * 6, 0),
        (["some concerns"] + ["no concerns"] * 5, 1),
        (["major concerns", "some concerns"], 3),
    ],
)
def test_levels_lost(judgements, lost):
    assert certainty.levels_lost(pd.DataFrame({"at best": judgements, "at worst": judgements})) == (lost, lost)


def test_no_answer_to_an_open_question_falls_outside_best_and_worst(table):
    """Whatever a domain that cannot be judged turns out to be, the levels lost stay within the two ends."""
    for _, group in table.groupby(["treat1", "treat2"]):
        best, worst = certainty.levels_lost(group)
        unknown = group["judgement"] == certainty.UNKNOWN
        assert unknown.sum() >= 1
        totals = [
            certainty.levels_lost(
                group.assign(**{end: group[end].where(~unknown, answer) for end in ("at best", "at worst")})
            )
            for answer in certainty.STEPS
        ]
        assert min(low for low, _ in totals) == best and max(high for _, high in totals) == worst


def test_table_of_certainty(table, basis):
    shown = certainty.certainty_table(table, basis.published).set_index("contrast")
    assert list(shown.columns[2:8]) == DOMAINS
    row = shown.loc[f"{HUB} against {SHAM}"]
    assert row["SMD"].startswith("0.36 (0.18 to 0.53)")
    cost = dict(zip([*certainty.STEPS, certainty.UNKNOWN], [0, 1, 2, 0], strict=True))
    for (treat1, treat2), group in table.groupby(["treat1", "treat2"]):
        best = sum(cost[judgement] for judgement in group["at best"])
        cells = shown.loc[f"{treat1} against {treat2}"]
        assert cells["levels lost"].startswith(f"{best} to ")
        assert cells["certainty at best"] == certainty.RATINGS[max(0, 3 - best)]
    order = certainty.RATINGS
    assert all(
        order.index(a) >= order.index(b)
        for a, b in zip(shown["certainty at best"], shown["certainty at worst"], strict=True)
    )
    assert certainty.ratings_texts(shown)["least_lost"] == min(cell.split()[0] for cell in shown["levels lost"])


def test_ratings_in_words():
    made = pd.DataFrame(
        {
            "levels lost": ["3 to 9", "1"],
            "certainty at best": ["very low", "moderate"],
            "certainty at worst": ["very low", "low"],
        }
    )
    assert certainty.ratings_texts(made) == {"ratings": "moderate or low or very low", "least_lost": "1"}


def test_the_rules_are_not_badged_as_printed():
    """The article rates no certainty, so that no rule of it can be printed there."""
    page = (BOOK / "certainty.ipynb").read_text(encoding="utf-8")
    assert 'tier=\\"printed' not in page and "certainty-rules" in page


# ---------------------------------------------------------------- information at high risk


def test_information_at_high_risk(basis):
    shares = certainty.high_risk_information(published_edges(basis.nma_published), basis.studies).set_index("treat2")
    assert shares.at[USUAL, "least share of estimates"] == 1
    assert shares.loc[SHAM, ["studies", "at high risk", "estimates"]].tolist() == [10, 6, 19]


def test_information_at_high_risk_as_readers_see_it(basis):
    # 6 of 10 studies with 19 estimates: 6 to 15 of them; every study against the others is at high risk
    table = high_risk_table(certainty.high_risk_information(published_edges(basis.nma_published), basis.studies))
    shares = table.set_index("comparison")["estimates from studies at high risk"].to_dict()
    assert shares == {
        "neuromodulation against placebo/sham": "32 to 79 %",
        "neuromodulation against conservative + minimally invasive": "100 %",
        "neuromodulation against conservative": "100 %",
        "the whole network": "48 to 84 %",
    }


def test_information_at_high_risk_in_all(basis):
    shares = certainty.high_risk_information(published_edges(basis.nma_published), basis.studies)
    parts, whole = shares.iloc[:-1], shares.iloc[-1]
    used = basis.studies[basis.studies["nma_status"] == "used"]
    assert (whole["studies"], whole["at high risk"]) == (len(used), (used["rob_overall"] == "high").sum())
    assert whole["estimates"] == parts["estimates"].sum()
    for end in ("least share of estimates", "greatest share of estimates"):
        assert whole[end] == pytest.approx((parts[end] * parts["estimates"]).sum() / whole["estimates"])
