"""The re-extracted network: conversions by hand, weights that add up, the published estimates beside it."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from psps_paper.article import reextracted
from psps_paper.article.published import published_network
from psps_paper.bayes import fit_bayes, log_t
from psps_paper.book.studies import bayes_texts
from psps_paper.figures.forest import forest_network
from psps_paper.tables.load import load_table


@pytest.fixture(scope="module")
def table():
    return load_table("reextracted_contrasts")


@pytest.fixture(scope="module")
def facts():
    return load_table("study_facts")


@pytest.fixture(scope="module")
def rows(table, facts):
    return reextracted.contrasts(table, facts)


@pytest.fixture(scope="module")
def published():
    return published_network(load_table("nma_published"), desirable="higher")


@pytest.mark.parametrize(
    "name, cells",
    [
        ("kumar2007.leg", (24, 28, 4, 44)),
        ("rigoard2019.back", (15, 95, 5, 103)),
        ("eldabe2019.back", (19, 37, 1, 59)),
    ],
)
def test_log_odds_ratio_to_smd_by_hand(rows, name, cells):
    row = rows.set_index("id").loc[name]
    a, b, c, d = cells
    factor = math.sqrt(3) / math.pi  # Chinn 2000
    assert row["te"] == pytest.approx(factor * math.log(a * d / (b * c)))
    assert row["se"] == pytest.approx(factor * math.sqrt(1 / a + 1 / b + 1 / c + 1 / d))


@pytest.mark.parametrize("name, p", [("lim2023.back", 0.003), ("lim2023.leg", 0.002)])
def test_p_to_smd_by_hand(rows, name, p):
    n1, n2 = 26, 25
    t = stats.t.isf(p / 2, n1 + n2 - 2)
    d = t * math.sqrt(1 / n1 + 1 / n2)
    g = d * (1 - 3 / (4 * (n1 + n2) - 9))  # Hedges 1981, the common approximation of the exact factor
    assert rows.set_index("id").at[name, "te"] == pytest.approx(g, abs=2e-4)


def factor(df):
    """Exact factor of Hedges 1981: gamma(df / 2) / (sqrt(df / 2) gamma((df - 1) / 2))."""
    return math.gamma(df / 2) / (math.sqrt(df / 2) * math.gamma((df - 1) / 2))


def test_crossover_means_by_hand(rows):
    # ref 66: tonic 4.18 (SD 1.76), sham 5.42 (SD 1.22), 18 patients, correlation 0.5 assumed
    row = rows.set_index("id").loc["sokal2020.tonic"]
    te = factor(17) * (5.42 - 4.18) / math.sqrt((1.76**2 + 1.22**2) / 2)  # 0.9550 * 0.8189
    assert te == pytest.approx(0.7821, abs=5e-5) and row["te"] == pytest.approx(te)
    assert row["se"] == pytest.approx(math.sqrt((1 / 18 + te**2 / 36) * 2 * (1 - 0.5)))


def test_imputed_sd_is_the_mean_of_the_published_ones(rows, facts):
    sd = np.mean([1.76, 1.40, 1.33, 1.22])  # ref 66
    assert reextracted.imputed_sd(facts, ["pain"]) == pytest.approx(sd)
    assert sd == pytest.approx(1.4275)
    # 24 patients, so 23 degrees of freedom
    assert rows.set_index("id").at["alkaisy2018.5882", "te"] == pytest.approx(factor(23) * (4.83 - 3.22) / sd)


def test_a_spread_of_something_else_than_pain_is_not_averaged_in(table, facts, rows):
    row = facts[facts["fact"] == "sokal2020.outcome_sd.1"].assign(
        fact="made.outcome_sd.1", outcome="disability", number=9.0
    )
    more = pd.concat([facts, row])
    assert (
        reextracted.imputed_sd(more, ["pain"])
        == reextracted.imputed_sd(facts, ["pain"])
        < reextracted.imputed_sd(more, ["pain", "disability"])
    )
    assert reextracted.contrasts(table, more)["te"].tolist() == rows["te"].tolist()


def test_changes_within_arms_against_a_t_test():
    rng = np.random.default_rng(7)
    samples = [rng.normal(-40, 30, 12), rng.normal(-20, 25, 14)]
    inputs = [x for s in samples for x in (s.mean(), stats.ttest_1samp(s, 0).pvalue, len(s))]
    effect = reextracted.smd_from_changes_within_arms(*inputs)
    pooled = math.sqrt((11 * samples[0].var(ddof=1) + 13 * samples[1].var(ddof=1)) / 24)
    assert float(effect.te) == pytest.approx((samples[0].mean() - samples[1].mean()) / pooled * (1 - 3 / 95), abs=1e-3)
    with pytest.raises(ValueError, match="change=0"):
        reextracted.smd_from_changes_within_arms(0, 0.1, 12, -5, 0.2, 12)


def test_positive_favours_neuromodulation(rows):
    signs = rows.set_index("id")["te"]
    assert (
        signs[["kumar2007.leg", "lim2023.back", "sokal2020.tonic", "alkaisy2018.5882", "sorrell2018.42us.back"]] > 0
    ).all()
    assert signs["sorrell2018.38us.back"] < 0  # sham fell by 25.6 %, 38 us by 18.6 %


def test_every_network_study_is_used_or_listed_with_a_reason(table, rows):
    studies = load_table("studies")
    used = set(studies.loc[studies["nma_status"] == "used", "study"])
    left = reextracted.not_extractable(table)
    assert set(rows["study"]) | set(left["study"]) == used and not set(rows["study"]) & set(left["study"])
    assert left[["why", "would settle it"]].notna().all().all()
    assigned = studies.set_index("study")["nma_comparison"]
    for row in table.itertuples():
        assert assigned[row.study] == f"{row.treat1} vs {row.treat2}"


def test_every_contrast_names_its_sources_and_assumption(rows):
    assert rows["sources"].str.startswith("http").all()
    assert rows[["conversion", "assumption"]].notna().all().all()


@pytest.mark.parametrize("which", ["primary", "wider"])
@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_information_of_the_studies_adds_up_to_the_fit(table, facts, which, correlation):
    rows = reextracted.contrasts(table, facts, which=which, correlation=correlation)
    fit = reextracted.reextracted_fit(rows, correlation=correlation)
    sums = reextracted.information(fit, rows).groupby("treat2")["information"].sum()
    for treat2, total in sums.items():
        assert 1 / fit.se.at["neuromodulation", treat2] ** 2 == pytest.approx(total, rel=1e-9)
    shares = reextracted.resting_on_conversions(fit, rows).groupby("treat2")["share"].sum()
    assert shares.to_numpy() == pytest.approx(np.ones(len(shares)))


def test_the_fit_is_generalised_least_squares_written_out(rows):
    """Full matrices: estimates of one study and comparison are correlated; tau2 by the moments of Q (Jackson 2013,
    DL)."""
    rho = reextracted.CORRELATION
    y, se = rows["te"].to_numpy(), rows["se"].to_numpy()
    treats = sorted(rows["treat2"].unique())
    x = (rows["treat2"].to_numpy()[:, None] == np.array(treats)).astype(float)
    same = (rows["study"] + rows["treat2"]).to_numpy()
    shape = np.where(same[:, None] == same, rho, 0.0)
    np.fill_diagonal(shape, 1.0)
    within = shape * np.outer(se, se)

    def fitted(tau2):
        weights = np.linalg.inv(within + tau2 * shape)
        covariance = np.linalg.inv(x.T @ weights @ x)
        return covariance @ x.T @ weights @ y, covariance, weights - weights @ x @ covariance @ x.T @ weights

    _, _, residual = fitted(0.0)
    q, df = y @ residual @ y, len(y) - len(treats)
    tau2 = (q - df) / np.trace(residual @ shape)
    assert tau2 > 0.1
    te, covariance, _ = fitted(tau2)
    fit = reextracted.reextracted_fit(rows)
    assert fit.tau2 == pytest.approx(tau2, rel=1e-9) and fit.i2 == pytest.approx((q - df) / q, rel=1e-9)
    assert fit.te.loc["neuromodulation", treats].to_numpy() == pytest.approx(te, rel=1e-9)
    assert fit.se.loc["neuromodulation", treats].to_numpy() == pytest.approx(np.sqrt(np.diag(covariance)), rel=1e-9)


def test_beside_the_published_estimates(rows, published):
    fit = reextracted.reextracted_fit(rows)
    beside = reextracted.beside_published(fit, rows, published).set_index("treat2")
    assert (
        beside["published te"]["placebo/sham"] == 0.36
        and beside["published te"]["conservative + minimally invasive"] == 0.45
    )
    assert beside.at["conservative", "published tier"] == "implied"
    assert beside["studies"].to_dict() == {"placebo/sham": 4, "conservative + minimally invasive": 2, "conservative": 1}
    assert beside["published estimates"].to_dict() == {
        "placebo/sham": 19,
        "conservative + minimally invasive": 4,
        "conservative": 2,
    }
    # one study: its estimate passes through
    assert beside.at["conservative", "te"] == pytest.approx(rows.set_index("id").at["eldabe2019.back", "te"])
    assert (beside["same side"] == "yes").all()
    # against conservative treatment: 1.546, half widths 1.379 (0.501 to 3.260) and 0.448 (-0.114 to 0.783)
    row = beside.loc["conservative"]
    reach = math.sqrt(((row["upper"] - row["lower"]) / 2) ** 2 + ((0.782992 + 0.113833) / 2) ** 2)
    assert reach == pytest.approx(1.4505, abs=1e-3)
    assert row["difference lower"] == pytest.approx(row["difference"] - reach) and row["difference lower"] > 0
    assert row["difference upper"] == pytest.approx(row["difference"] + reach)
    assert (beside.drop("conservative")["difference lower"] < 0).all()


def test_forest_takes_the_rows(rows, published):
    shown = reextracted.forest_rows(reextracted.reextracted_fit(rows), rows, published)
    assert len(forest_network(shown, desirable="higher").data) == 6
    assert shown.loc[shown["tier"] == "printed", "te"].tolist() == [0.36, 0.45]


def test_sensitivity_covers_the_grid(table, facts):
    grid = reextracted.sensitivity(table, facts, correlations=((0.5, 0.5), (0.8, 0.5)))
    assert len(grid) == 2 * 2 * 2 * 3
    rows = grid[(grid["set"] == "wider") & (grid["tau2 by"] == "DL") & (grid["treat2"] == "placebo/sham")].set_index(
        "within patients"
    )
    fit = reextracted.reextracted_fit(reextracted.contrasts(table, facts))
    assert rows.at[0.5, "te"] == pytest.approx(fit.te.at["neuromodulation", "placebo/sham"])
    apart = reextracted.reextracted_fit(reextracted.contrasts(table, facts, correlation=0.8), correlation=0.5)
    assert rows.at[0.8, "te"] == pytest.approx(apart.te.at["neuromodulation", "placebo/sham"])


def test_effect_against_placebo_is_lost_with_the_higher_correlation_between_estimates(table, facts):
    zero = reextracted.including_zero(reextracted.sensitivity(table, facts), "placebo/sham").set_index(
        ["within patients", "between estimates"]
    )
    assert list(zero.index) == list(reextracted.CORRELATIONS)
    assert (zero["of"] == 4).all()
    assert zero["including zero"].tolist() == [0, 0, 4, 0, 4]
    with pytest.raises(ValueError, match="treat2='sham'"):
        reextracted.including_zero(reextracted.sensitivity(table, facts, correlations=((0.5, 0.5),)), "sham")


def test_unknown_choices_are_named(table, facts):
    with pytest.raises(ValueError, match="which='all'"):
        reextracted.contrasts(table, facts, which="all")
    odd = pd.DataFrame([{**table.iloc[0], "method": "guess"}])
    with pytest.raises(ValueError, match="'guess' is not a known method"):
        reextracted.contrasts(odd, facts)


# ---------------------------------------------------------------- the Bayesian model


@pytest.fixture(scope="module")
def bayes(rows):
    post = reextracted.reextracted_posterior(rows)
    return post, reextracted.beside_bayes(reextracted.reextracted_fit(rows), post, rows, "higher")


def test_bayesian_fit_has_the_published_prior_of_pain(rows, bayes):
    # Rhodes 2015, Table 3: general physical health, adverse events, pain, quality of life; non-pharmacological
    expected = fit_bayes(rows[["study", "treat1", "treat2", "te", "se"]], log_t(-3.02, 2.27), correlation=0.5)
    post, table = bayes
    assert table["Bayesian te"].tolist() == [
        expected.te.at[pair] for pair in zip(table["treat1"], table["treat2"], strict=True)
    ]
    assert table["Bayesian upper"].tolist() == [
        expected.upper.at[pair] for pair in zip(table["treat1"], table["treat2"], strict=True)
    ]
    assert post.error_bound < 1e-10


def test_bayesian_fit_by_simulation(rows, bayes):
    """Importance sampling from the prior of tau, with every estimate of a study in one covariance matrix."""
    post, table = bayes
    rng, names = np.random.default_rng(0), ["conservative", "conservative + minimally invasive", "placebo/sham"]
    x = np.array([[float(row.treat2 == name) for name in names] for row in rows.itertuples()])
    y, se = rows["te"].to_numpy(), rows["se"].to_numpy()
    same = (rows["study"].to_numpy()[:, None] == rows["study"].to_numpy()) & (
        rows["treat2"].to_numpy()[:, None] == rows["treat2"].to_numpy()
    )
    within = np.where(np.eye(len(y)) > 0, 1.0, np.where(same, 0.5, 0.0))
    tau2 = np.exp(-3.02 + 2.27 * rng.standard_t(5, 20_000))
    covariance = within * np.outer(se, se) + tau2[:, None, None] * within + 100**2 * x @ x.T
    inverse = np.linalg.inv(covariance)
    log = -(y @ inverse @ y + np.linalg.slogdet(covariance)[1]) / 2
    weight = np.exp(log - log.max())
    mean = weight @ (1e4 * inverse @ y @ x) / weight.sum()
    own = table.set_index("treat2").loc[names]
    np.testing.assert_allclose(own["Bayesian te"], mean, atol=0.01)
    assert post.tau_mean == pytest.approx(weight @ np.sqrt(tau2) / weight.sum(), abs=0.01)


def test_conclusions_over_the_prior_start_from_the_fit(rows, bayes):
    _, table = bayes
    scales = reextracted.over_prior_scales(rows, "higher")
    as_fitted = scales[scales["factor"] == 1]
    assert (100 * as_fitted["probability"]).tolist() == table["P treat1 better (%)"].tolist()
    assert as_fitted["conclusion"].tolist() == [f"neuromodulation better than {other}" for other in table["treat2"]]
    assert scales["factor"].min() == 1 / 8 and scales["factor"].max() == 8
    texts = bayes_texts(bayes[0], table, scales, "placebo/sham")
    over = scales[scales["treat2"] == "placebo/sham"]["probability_new"]
    assert texts["bayes_range_new"] == f"{100 * over.min():.0f}\u202f% to {100 * over.max():.0f}\u202f%"
    assert texts["bayes_studies"] == "7"
