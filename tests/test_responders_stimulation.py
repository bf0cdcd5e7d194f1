"""Responders: arm counts, odds ratios and their pooling, against hand calculation."""

import math

import numpy as np
import pytest
from scipy.stats import chi2_contingency, norm, t

from psps_paper.article import responders
from psps_paper.figures.forest import forest_responders
from psps_paper.tables.load import load_table

POOLED = "stimulation against medical management"


@pytest.fixture(scope="module")
def arms():
    return responders.arm_counts(load_table("responder_counts"), load_table("study_facts"), load_table("studies"))


@pytest.fixture(scope="module")
def pooled(arms):
    return responders.pooled(arms, comparison=POOLED)


def _row(table, study, time):
    return table[(table["study"] == study) & (table["time"] == time)].iloc[0]


@pytest.mark.parametrize(
    "study, time, role, events, randomised, observed",
    [
        ("kumar2007", "6 months", "intervention", 24, 52, (50, 50)),  # 24 and 48 % leave 50
        ("kumar2007", "6 months", "comparator", 4, 48, (43, 47)),  # 4 and 9 % leave 43 to 47
        ("rigoard2019", "6 months", "intervention", 15, 110, (110, 110)),
        ("eldabe2019", "9 months", "intervention", 19, 56, (36, 36)),  # 20 of 56 missing
        ("eldabe2019", "9 months", "comparator", 1, 60, (36, 36)),  # 24 of 60 missing
        ("north2005b", "3 years", "intervention", 9, 24, (19, 19)),  # 19 of 24 followed
        ("kumar2007", "24 months", "intervention", 17, 52, (46, 46)),  # PMID 18981888
    ],
)
def test_arm_counts(arms, study, time, role, events, randomised, observed):
    row = _row(arms[arms["role"] == role], study, time)
    assert (row["events"], row["randomised"], (row["observed_low"], row["observed_high"])) == (
        events,
        randomised,
        observed,
    )


def test_it_is_said_where_the_patients_with_an_outcome_come_from(arms):
    found = arms.set_index(["study", "time", "role"])["observed_from"]
    assert (
        found["kumar2007", "6 months", "intervention"] == "seen"
        and found["kumar2007", "6 months", "comparator"] == "percentage"
    )
    assert found["eldabe2019", "9 months", "comparator"] == "missing"
    # ref 71: 15 of 110 is the 13.6 % printed, which does not tell how many of the 110 were missing
    assert found["rigoard2019", "6 months", "intervention"] == responders.NOT_SEEN
    whole = arms[arms["observed_from"] == responders.NOT_SEEN]
    assert (whole["observed_low"] == whole["randomised"]).all()
    assert "of Rigoard 2019 had an outcome was not seen" in responders.not_seen_text(arms, comparison=POOLED)
    assert responders.not_seen_text(arms[arms["study"] != "rigoard2019"], comparison=POOLED) == ""


def test_counts_are_ordered(arms):
    assert (arms["events"] <= arms["observed_low"]).all()
    assert (arms["observed_low"] <= arms["observed_high"]).all()
    assert (arms["observed_high"] <= arms["randomised"]).all()
    assert arms["source"].str.startswith("http").all()


def test_odds_ratio_and_risk_difference_by_hand(arms):
    row = _row(responders.contrasts(arms), "kumar2007", "6 months")
    # 24 of 52 against 4 of 48: OR = (24 * 44) / (28 * 4)
    log_or, se = math.log(24 * 44 / (28 * 4)), math.sqrt(1 / 24 + 1 / 28 + 1 / 4 + 1 / 44)
    assert row["estimate"] == pytest.approx(math.exp(log_or)) and row["se_log_or"] == pytest.approx(se)
    assert row["lower"] == pytest.approx(math.exp(log_or - norm.ppf(0.975) * se))
    p1, p2 = 24 / 52, 4 / 48
    assert row["rd"] == pytest.approx(p1 - p2)
    assert row["se_rd"] == pytest.approx(math.sqrt(p1 * (1 - p1) / 52 + p2 * (1 - p2) / 48))


def test_pooling_by_hand(pooled):
    """DerSimonian-Laird on the three log odds ratios, written out; then Hartung-Knapp and the prediction interval."""
    cells = [(24, 28, 4, 44), (15, 95, 5, 103), (19, 37, 1, 59)]  # refs 57, 71, 49: missing as failure
    y = np.array([math.log(a * d / (b * c)) for a, b, c, d in cells])
    v = np.array([1 / a + 1 / b + 1 / c + 1 / d for a, b, c, d in cells])
    w = 1 / v
    q = (w * (y - (w * y).sum() / w.sum()) ** 2).sum()
    tau2 = max(0, (q - 2) / (w.sum() - (w**2).sum() / w.sum()))
    w = 1 / (v + tau2)
    mean, se = (w * y).sum() / w.sum(), math.sqrt(1 / w.sum())
    hk = math.sqrt((w * (y - mean) ** 2).sum() / 2 / w.sum())
    row = pooled[(pooled["analysis"] == "missing as failure") & (pooled["measure"] == "odds ratio")].iloc[0]
    assert row["tau2"] == pytest.approx(tau2) and tau2 > 0.5
    assert row["estimate"] == pytest.approx(math.exp(mean))
    assert row["lower"] == pytest.approx(math.exp(mean - norm.ppf(0.975) * se))
    assert row["Hartung-Knapp upper"] == pytest.approx(math.exp(mean + t.ppf(0.975, 2) * hk))
    assert row["prediction lower"] == pytest.approx(math.exp(mean - t.ppf(0.975, 1) * math.sqrt(tau2 + se**2)))
    assert row["I2"] == pytest.approx((q - 2) / q)
    assert (row["studies"], row["patients"]) == (3, 100 + 218 + 116)


def test_only_stimulation_against_medical_management_is_pooled(arms):
    used = arms[arms["comparison"] == POOLED]
    assert sorted(used["ref"].unique()) == [49, 57, 71]  # Results, Narrative synthesis: three studies
    with pytest.raises(ValueError, match="comparison='drugs'"):
        responders.pooled(arms, comparison="drugs")


def test_risk_differences_stay_possible(pooled):
    rows = pooled[pooled["measure"] == "risk difference"]
    limits = rows[["lower", "upper", "prediction lower", "prediction upper", "Hartung-Knapp lower"]]
    assert limits.abs().max().max() <= 1


def test_the_model_is_named_after_the_fit(pooled):
    assert responders.method_text(pooled) == "random effects (DerSimonian-Laird)"
    assert responders.method_text(pooled.assign(estimator="REML")) == "random effects (restricted maximum likelihood)"
    with pytest.raises(ValueError, match="DL, REML"):
        responders.method_text(pooled.assign(estimator=["DL"] * (len(pooled) - 1) + ["REML"]))


def _cells(row):
    return [[row["events1"], row["n1"] - row["events1"]], [row["events2"], row["n2"] - row["events2"]]]


def test_derived_counts_give_the_p_value_of_the_abstract(arms):
    # ref 45: counts derived from 76.7 and 83.3 % of 30; the abstract prints p = 0.519
    cells = _cells(_row(responders.contrasts(arms), "hossieni2017", "12 weeks"))
    assert chi2_contingency(cells, correction=False).pvalue == pytest.approx(0.519, abs=5e-4)


def test_counts_give_the_interval_of_the_abstract(arms):
    # ref 71: difference 9 % (0.6 to 17.5), which is Wald's interval with a continuity correction
    row = _row(responders.contrasts(arms), "rigoard2019", "6 months")
    wider = (1 / 110 + 1 / 108) / 2
    limits = 100 * (row["rd_lower"] - wider), 100 * (row["rd_upper"] + wider)
    assert limits == (pytest.approx(0.6, abs=0.05), pytest.approx(17.5, abs=0.05))


@pytest.mark.parametrize(
    "study, time, below",
    [
        ("north2005a", "1.9 years", 0.05),
        ("eldabe2019", "9 months", 0.0001),
        ("kumar2007", "6 months", 0.001),
        ("north2005b", "3 years", 0.01),
    ],
)
def test_counts_are_as_significant_as_the_abstracts_say(arms, study, time, below):
    row = _row(responders.contrasts(arms, "observed, fewest"), study, time)
    assert chi2_contingency(_cells(row), correction=False).pvalue < below


def test_percentages_of_the_article_against_counts(arms):
    counts = load_table("responders"), arms, load_table("study_facts"), load_table("studies")
    table = responders.percentages_against_counts(*counts)
    assert len(table) == len(load_table("responders"))
    # 5 of 12 prints as 41.7, not 41.6; ref 46 gives percentages and their ratio without counts
    assert table.loc[table["agrees"] == "no", "printed"].tolist() == ["41.6"]
    kapural = table[table["ref"] == 46]
    # 84.5 / 43.8 = 1.93 and 83.1 / 55.5 = 1.50; the abstract prints 1.9 and 1.5
    assert (kapural["agrees"] == "the ratio does").all() and kapural["counts"].str.contains("1.93").sum() == 2
    facts = counts[2].assign(number=counts[2]["number"].mask(counts[2]["fact"] == "kapural2015.relative_risk.1", 1.8))
    other = responders.percentages_against_counts(counts[0], arms, facts, counts[3])
    assert other[other["ref"] == 46].groupby("site")["agrees"].first().to_dict() == {
        "back": "the ratio does not",
        "leg": "the ratio does",
    }
    none = responders.percentages_against_counts(counts[0], arms, facts[facts["field"] != "relative_risk"], counts[3])
    assert (none.loc[none["ref"] == 46, "agrees"] == "cannot tell").all()
    kumar = table[(table["ref"] == 57) & (table["printed"] == "9")].iloc[0]
    assert kumar["denominators"] == "43, 44, 45, 46, 47"


def test_forest_plot_takes_the_rows(arms, pooled):
    table = responders.contrasts(arms)
    rows = table[table["comparison"] == POOLED]
    weighted, diamond = responders.forest_rows(rows)
    drawing = forest_responders(weighted, desirable="higher", pooled=diamond)
    assert len(drawing.data) == 4 and "Kumar 2007, 6 months, leg pain" in drawing.alt
    shown = pooled[(pooled["analysis"] == "missing as failure") & (pooled["measure"] == "odds ratio")].iloc[0]
    assert [diamond[name] for name in ("estimate", "lower", "upper")] == list(shown[["estimate", "lower", "upper"]])
    assert diamond["tau2"] == shown["tau2"] and diamond["i2"] == shown["I2"] and weighted["weight"].sum() == 1


def test_unknown_analysis_is_named(arms):
    with pytest.raises(ValueError, match="analysis='worst case'"):
        responders.contrasts(arms, "worst case")
