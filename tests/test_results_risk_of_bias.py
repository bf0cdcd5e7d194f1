"""Results "Risk of bias" and Fig. 2: overall judgements by citation list, domains as far as they are printed."""

from __future__ import annotations

import nbformat
import pandas as pd
import pytest

from conftest import BOOK
from helpers import table
from psps_paper.article import rob
from psps_paper.formatting import rounds_to

# Results, Risk of bias, second sentence: citation lists, counts and percentages
CITED = {
    "low": ({11, *range(26, 29)}, 4, 8.2),
    "some concerns": ({*range(29, 42)}, 13, 26.5),
    "high": ({10, *range(42, 73)}, 32, 65.3),
}


@pytest.fixture(scope="module")
def studies():
    return table("studies")


@pytest.fixture(scope="module")
def domains():
    return table("rob_domains")


def made_domain(*percents, decimals=1) -> pd.DataFrame:
    """One domain with percentages for low, some concerns, high; None is not printed."""
    return pd.DataFrame(
        {
            "domain": 1,
            "domain_label": "Made",
            "judgement": rob.JUDGEMENTS,
            "percent": pd.Series(percents, dtype=float),
            "decimals": decimals,
            "place": "here",
        }
    )


@pytest.mark.parametrize("judgement", CITED)
def test_overall_judgement_of_each_study(studies, judgement):
    refs, count, _ = CITED[judgement]
    assert set(studies.loc[studies["rob_overall"] == judgement, "ref"]) == refs
    assert len(refs) == count


@pytest.mark.parametrize("judgement", CITED)
def test_overall_counts_print_as_printed(studies, judgement):
    _, count, percent = CITED[judgement]
    row = rob.overall_counts(studies).set_index("judgement").loc[judgement]
    assert row["n"] == count
    assert rounds_to(row["percent"], percent, 1)


def test_overall_counts_leave_out_the_retracted_article(studies):
    counts = rob.overall_counts(studies)
    assert counts["n"].sum() == 49
    assert counts["percent"].sum() == pytest.approx(100)
    assert counts["judgement"].tolist() == ["low", "some concerns", "high"]


# Results, Risk of bias: domain, judgement, printed percentage -> the whole number of 49 that prints so
@pytest.mark.parametrize(
    ("domain", "judgement", "count"),
    [
        (3, "low", 32),
        (3, "high", 14),
        (4, "high", 24),
        (5, "some concerns", 26),
    ],
)
def test_domain_percentage_is_one_whole_number_of_studies(domains, domain, judgement, count):
    bounds = rob.domain_bounds(domains, 49).set_index(["domain", "judgement"]).loc[(domain, judgement)]
    assert (bounds["n_low"], bounds["n_high"], bounds["tier"]) == (count, count, "printed")


def test_the_third_judgement_of_domain_3_follows(domains):
    """65.3 % low and 28.6 % high of 49 leave 3 studies with some concerns."""
    bounds = rob.domain_bounds(domains, 49).set_index(["domain", "judgement"]).loc[(3, "some concerns")]
    assert (bounds["n_low"], bounds["n_high"], bounds["tier"]) == (3, 3, "implied")


@pytest.mark.parametrize(
    ("domain", "judgement", "most"), [(1, "high", 49), (2, "low", 49), (4, "low", 25), (5, "high", 23)]
)
def test_what_is_not_printed_stays_unknown(domains, domain, judgement, most):
    bounds = rob.domain_bounds(domains, 49).set_index(["domain", "judgement"]).loc[(domain, judgement)]
    assert (bounds["n_low"], bounds["n_high"], bounds["tier"]) == (0, most, "unknown")


def test_only_the_printed_percentages_are_in_the_table(domains):
    printed = domains.dropna(subset="percent")
    assert sorted(zip(printed["domain"], printed["judgement"], printed["percent"], strict=True)) == [
        (3, "high", 28.6),
        (3, "low", 65.3),
        (4, "high", 49.0),
        (5, "some concerns", 53.1),
    ]
    assert len(domains) == 15
    assert domains.groupby("domain")["judgement"].apply(list).tolist() == [rob.JUDGEMENTS] * 5


def test_a_coarse_percentage_leaves_a_range():
    bounds = rob.domain_bounds(made_domain(10, None, 50, decimals=0), 400).set_index("judgement")
    assert (bounds.at["low", "n_low"], bounds.at["low", "n_high"]) == (38, 42)
    assert (bounds.at["high", "n_low"], bounds.at["high", "n_high"]) == (198, 202)
    assert tuple(bounds.loc["some concerns", ["n_low", "n_high", "tier"]]) == (156, 164, "implied")


def test_a_percentage_that_no_count_gives_is_refused():
    with pytest.raises(ValueError, match=r"rob_domains.csv, domain 1, high: 50.0 % is not a whole number of 49"):
        rob.domain_bounds(made_domain(None, None, 50.0), 49)


def test_percentages_above_hundred_are_refused():
    with pytest.raises(ValueError, match="rob_domains.csv, domain 1: the printed percentages exceed 100"):
        rob.domain_bounds(made_domain(65.3, None, 53.1), 49)


def test_stacked_percentages_fill_each_bar(studies, domains):
    """Fig. 2: bars on a percentage scale; what is not printed is shown as unknown."""
    stacked = rob.stacked_percentages(studies, domains)
    totals = stacked.groupby("domain")["percent"].sum()
    assert len(totals) == 6
    assert totals.to_numpy() == pytest.approx([100] * 6)
    unknown = stacked[stacked["judgement"] == "unknown"].set_index("domain")["percent"]
    assert unknown.index.str[0].tolist() == ["1", "2", "4", "5"]
    assert unknown.to_numpy() == pytest.approx([100, 100, 100 * 25 / 49, 100 * 23 / 49])


def test_no_class_is_free_of_high_risk(studies):
    """The sentence below the table: in every class more than half of the studies are at high risk."""
    included = studies[studies["status"] == "included"]
    assert ((included["rob_overall"] == "high").groupby(included["treatment_class"]).mean() > 0.5).all()


@pytest.mark.parametrize("name", ["weighted-rob", "high-risk-information"])
def test_each_summary_is_on_the_page(name):
    page = nbformat.read(BOOK / "risk_of_bias.ipynb", as_version=4)
    shown = [
        output["data"].get("text/html", "")
        for cell in page.cells
        for output in cell.get("outputs", [])
        if "data" in output
    ]
    assert sum(f'id="table-{name}"' in "".join(markup) for markup in shown) == 1


def test_judgements_by_year(studies):
    periods = rob.by_year(studies)
    included = studies[studies["status"] == "included"]
    assert periods["studies"].sum() == 49 and periods[rob.JUDGEMENTS].sum().tolist() == [4, 13, 32]
    assert periods["years"].tolist()[0] == "1995 to 1999" and periods["years"].tolist()[-1] == "2020 to 2024"
    row = periods.set_index("years").loc["2015 to 2019"]
    recent = included[included["year"].between(2015, 2019)]
    assert row["studies"] == len(recent) and row["high"] == (recent["rob_overall"] == "high").sum()
    assert row["high_percent"] == pytest.approx(100 * row["high"] / row["studies"])
    single = rob.by_year(studies, years=1)
    assert single["years"].tolist() == [str(year) for year in range(1999, 2024)]
    assert single.set_index("years").at["2000", "studies"] == 0
    with pytest.raises(ValueError, match="years=0"):
        rob.by_year(studies, years=0)
