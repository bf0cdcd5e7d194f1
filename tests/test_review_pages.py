"""Pages of a user's review beyond its fit: studies, certainty, findings, subgroups, figures, documents."""

from __future__ import annotations

import ast
import re
import shutil
from dataclasses import replace
from pathlib import Path

import docx
import numpy as np
import openpyxl
import pandas as pd
import pytest

from helpers import ROOT
from psps_paper.book.display import Shown, show
from psps_paper.cli.main import main
from psps_paper.figures import Drawing
from psps_paper.living import certainty, pages
from psps_paper.living.analyses import own_labels
from psps_paper.living.documents import DocumentTable, write_documents
from psps_paper.living.new_review import build_data, new_review
from psps_paper.living.review import open_review
from psps_paper.living.study_table import numbers_of, read_flow, read_studies
from psps_paper.network import contribution_matrix, fit_network, network_meta_regression, subnetworks
from psps_paper.site.figures import in_reading_order, journal_figures, numbered
from psps_paper.site.markup import rewritten
from psps_paper.site.tables import arrange
from psps_paper.tables.errors import TableError
from sample_reviews import sample_review
from sizes import LONG
from test_new_review import run_in

pytestmark = pytest.mark.slow
SIZES = (4, 20, 33)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("reviews")
    return {n: sample_review(place / f"of {n}", n) for n in SIZES}


@pytest.fixture
def inside(folders, monkeypatch):
    """A review, in whose book folder one works, as chapters do."""

    def enter(n: int):
        monkeypatch.chdir(folders[n] / "book")
        return open_review()

    return enter


def ids_of(parts: list[Shown]) -> list[str]:
    return [
        part.markup.split('class="psps psps-', 1)[1].split('id="', 1)[1].split('"', 1)[0]
        for part in parts
        if 'class="psps psps-' in part.markup
    ]


@pytest.mark.long
@pytest.mark.parametrize("n", SIZES if LONG else (4, 33))
def test_every_page_of_a_review_of_any_size_can_be_drawn(folders, inside, n):
    """Two outcomes, one with events; loops: each estimate, treatment and study is on its page, and no id twice.

    In ``make long`` the review is built too, and passes the tests that it ships; otherwise the large one draws its first
    outcome and the small one both.
    """
    review = inside(n)
    outcomes = list(review.outcomes) if LONG or n == min(SIZES) else list(review.outcomes)[:1]
    made = {"network": [], "evidence": [], "certainty": [], "further": []}
    for outcome in outcomes:
        fit = review.network(outcome).fit
        shown = {name: getattr(pages, f"{name}_parts")(review, outcome) for name in made}
        text = {name: "\n".join(part.text for part in parts) for name, parts in shown.items()}
        assert all(study in text["evidence"] for study in fit.contrasts["study"])
        for words in ("Inconsistency between all designs", "prediction interval", "I² "):
            assert words in text["evidence"]
        assert all(cell in text["network"] for cell in review.league(outcome).to_numpy().ravel())
        assert len(shown["certainty"]) == 4 and len(shown["further"]) == 2
        made = {name: made[name] + parts for name, parts in shown.items()}
    for parts in made.values():
        assert len(set(ids_of(parts))) == len(ids_of(parts)) >= len(parts) - 2  # but for what names the model
    studies = "\n".join(part.text for part in pages.study_parts(review))
    assert "Risk of bias:" in studies and "Records identified" in studies
    assert all(study in studies for study in review.studies["study"])
    assert "Hasse diagram" in pages.outcomes_together(review)[0].text
    for chapter in ("index", "heterogeneity", "data", "what_changed"):
        cells = re.findall(r"```\{code-cell\} python\n(.*?)```", Path(f"{chapter}.md").read_text(), re.DOTALL)
        names: dict = {}
        for cell in cells:
            exec(re.sub("^:.*$", "", cell, flags=re.MULTILINE), names)
        assert cells and any(name in names for name in ("review", "open_review"))
    if LONG:
        run_in(folders[n], ["make", "test"])


def test_the_league_table_of_thirty_three_treatments_pages(inside):
    """Parts of at most five columns, all of them in view, every cell in one of them, and one figure of all."""
    review = inside(33)
    parts = pages.league_parts(review, "score")
    assert len(parts) == 8 and "Columns 31 to 33 of 33." in parts[6].text and "part 1 of 7" in parts[0].markup
    assert not any("psps-rest" in rewritten(part.markup, arrange) for part in parts)
    text = "\n".join(part.text for part in parts)
    assert all(cell in text for cell in review.league("score").to_numpy().ravel())


def test_no_column_that_a_reader_needs_is_folded_away(inside):
    """Certainty, p, estimates, the treatments of a study: once each was behind "More" in every row."""
    review = inside(20)
    shown = [*pages.certainty_parts(review, "relapse"), *pages.further_parts(review, "relapse")]
    shown += pages.study_parts(review)
    for chapter in ("index", "heterogeneity", "data"):
        cells = re.findall(r"```\{code-cell\} python\n(.*?)```", Path(f"{chapter}.md").read_text(), re.DOTALL)
        names: dict = {}
        for cell in cells:
            *lines, last = ast.parse(re.sub("^:.*$", "", cell, flags=re.MULTILINE)).body
            exec(compile(ast.Module(lines, []), chapter, "exec"), names)
            shown.append(eval(compile(ast.Expression(last.value), chapter, "eval"), names))
    tables = [part.markup for part in shown if "<table" in part.markup]
    assert len(tables) >= 12
    assert not [table for table in tables if "psps-rest" in rewritten(table, arrange)]
    # From eight columns on, rows with a long cell stay on one line each, and were cut
    assert review.contrasts().shape[1] <= 7
    assert 'class="psps psps-rows psps-short psps-named"' in rewritten(
        pages.certainty_parts(review, "relapse")[2].markup, arrange
    )


def test_rows_of_treatments_follow_the_ranking_everywhere(inside):
    review = inside(4)
    ranked = [name for name in review.order("relapse") if name != "usual care"]
    assert ranked != sorted(ranked)
    assert review.certainty_reasons("relapse")["treatment"].unique().tolist() == ranked
    groups = review.subgroups("relapse").groupby("subgroup")["treatment"].agg(list)
    assert groups.map(lambda names: names == [t for t in ranked if t in names]).all()


def test_studies_may_be_named_like_identifiers(tmp_path, monkeypatch):
    """Labels of "smith2009" were sought in a table that only this book has, and every page failed."""
    new_review(tmp_path / "mine")
    for table in (tmp_path / "mine" / "tables").glob("*.csv"):
        text = re.sub(r"^([A-Z])([a-z]+) (20\d\d)", lambda m: m[1].lower() + m[2] + m[3], table.read_text(), flags=re.M)
        table.write_text(text)
    new_review(tmp_path / "mine")
    monkeypatch.chdir(tmp_path / "mine" / "book")
    monkeypatch.delenv("PSPS_DATA", raising=False)
    review = open_review()
    assert "alder2005" in show(review.contrasts(), tier="recomputed", caption="Estimates.").markup
    assert any("alder2005" in part.markup for part in pages.study_parts(review))


def test_a_page_says_nothing_in_code(inside):
    review = inside(4)
    assert not review.listed()["what"].str.contains(r"\btreat[12]\b|\bte\b|outcomes\.csv").any()


# ---------------------------------------------------------------- certainty


ROWS = pd.DataFrame(
    [("s1", "A", "P", 0.5, 0.1), ("s2", "A", "P", 0.3, 0.2), ("s3", "B", "P", 0.1, 0.2), ("s4", "A", "B", 0.4, 0.2)],
    columns=["study", "treat1", "treat2", "te", "se"],
)
STUDIES = pd.DataFrame({"study": ["s1", "s2", "s3", "s4"], "rob": ["high", "low", "low", "low"]})
FIT = fit_network(ROWS, 0.0)


def test_shares_of_studies_add_up_to_the_contributions_of_comparisons():
    shares = certainty.study_shares(FIT)
    contributions = contribution_matrix(FIT)
    for (first, second), share in shares.items():
        assert share.sum() == pytest.approx(1)
        assert share["s3"] == pytest.approx(contributions.at[f"{first}:{second}", "B:P"])
    # Two studies of A against P with se 0.1 and 0.2: weights 100 and 25
    assert shares["A", "P"]["s1"] / shares["A", "P"]["s2"] == pytest.approx(4)


def judged(fit=FIT, studies=STUDIES, **rules) -> pd.DataFrame:
    table = certainty.judgements(fit, "P", studies, certainty.Rules(**rules))
    return table.pivot(index="treatment", columns="domain", values="judgement")


def test_risk_of_bias_weighs_by_the_share_of_studies():
    """A against P rests mostly on s1, which is at high risk; the mean of 1 and 3 by share decides."""
    share = certainty.study_shares(FIT)["A", "P"]["s1"]
    mean = 3 * share + (1 - share)
    assert 1.5 <= mean < 2.5 and judged().at["A", "within-study bias"] == "some concerns"
    assert judged().at["B", "within-study bias"] == "no concerns"
    assert judged(studies=None).at["A", "within-study bias"] == "not judged"
    all_high = judged(studies=STUDIES.assign(rob="high"))
    assert (all_high["within-study bias"] == "major concerns").all()


def test_the_reason_for_a_judgement_names_the_studies_that_it_rests_on():
    """ "Some concerns" was once explained by "0 % from studies at high risk"."""
    rules = certainty.Rules()
    for judgement, expected in (
        ("some concerns", "100\u202f% from studies with some concerns"),
        ("high", "100\u202f% from studies at high risk"),
        ("low", "less than 1\u202f% from studies with concerns"),
    ):
        rows = certainty.judgements(FIT, "P", STUDIES.assign(rob=judgement), rules)
        assert set(rows.loc[rows["domain"] == "within-study bias", "why"]) == {expected}


@pytest.mark.parametrize(
    ("te", "se", "expected"),
    [(0.5, 0.1, "no concerns"), (0.3, 0.2, "some concerns"), (0.0, 0.3, "major concerns"), (-0.5, 0.1, "no concerns")],
)
def test_imprecision_is_about_no_effect_and_important_effects_the_other_way(te, se, expected):
    """Limits te -+ 1.96 se against no effect and an important difference of 0.2 the other way."""
    fit = fit_network(pd.DataFrame([("s1", "A", "P", te, se)], columns=list(ROWS)), 0.0)
    assert judged(fit, None, important=0.2).at["A", "imprecision"] == expected


def test_heterogeneity_is_about_what_the_prediction_interval_adds():
    rows = pd.DataFrame(
        [(f"s{k}", "A", "P", te, 0.05) for k, te in enumerate((0.1, 0.9, 0.5, 0.5, 1.0))], columns=list(ROWS)
    )
    fit = fit_network(rows)
    assert fit.lower.at["A", "P"] > 0.2 and fit.predict_lower.at["A", "P"] < -0.2
    assert judged(fit, None, important=0.2).at["A", "heterogeneity"] == "major concerns"
    assert judged(fit_network(rows.assign(te=0.5)), None, important=0.2).at["A", "heterogeneity"] == "no concerns"


def test_incoherence_follows_the_p_of_direct_against_indirect_evidence():
    apart = fit_network(ROWS.assign(te=[0.5, 0.5, 0.1, -1.5]), 0.0)
    assert judged(apart).at["A", "incoherence"] == "major concerns" and judged().at["A", "incoherence"] == "no concerns"
    tree = fit_network(ROWS.iloc[:3], 0.0)
    assert judged(tree).at["A", "incoherence"] == "not judged"


def test_the_rating_loses_a_level_for_some_and_two_for_major_concerns():
    none, some, major = certainty.STEPS
    assert certainty.rating({"a": none}) == "high" and certainty.rating({"a": some, "b": none}) == "moderate"
    assert (
        certainty.rating({"a": major, "b": "not judged"}) == "low"
        and certainty.rating({"a": major, "b": major}) == "very low"
    )
    assert certainty.rating({"a": some, "b": major, "c": major}) == "very low"


@pytest.mark.parametrize(
    ("measure", "te", "expected"),
    [
        ("OR", np.log(2), 0.5),  # odds 0.5 become 1
        ("RR", np.log(0.5), 1 / 6),
        ("RD", -0.1, 1 / 3 - 0.1),
        ("HR", np.log(2), 1 - (2 / 3) ** 2),
        ("RR", np.log(9), 1.0),
    ],
)
def test_absolute_risks_follow_from_the_reference_s_third(measure, te, expected):
    assert certainty.absolute_risk(measure, 1 / 3, te) == pytest.approx(expected)


def test_a_mean_difference_has_no_absolute_risk():
    with pytest.raises(ValueError, match="measure 'MD' gives no risk; expected OR, RR, HR or RD"):
        certainty.absolute_risk("MD", 0.3, 1.0)


def test_findings_hold_effects_and_absolute_risks_of_the_fit(inside):
    """tests/sample_reviews.py: 330 of 1000 with usual care; the limits are in increasing order."""
    review = inside(4)
    fit, table = review.network("relapse").fit, review.findings("relapse").set_index("treatment")
    for treatment, row in table.iterrows():
        odds = 0.33 / 0.67 * np.exp(fit.te.at[treatment, "usual care"])
        assert row["risk with reference"] == "330 in 1000"
        assert row["risk with treatment"].startswith(f"{1000 * odds / (1 + odds):.0f} in 1000")
        low, high = map(int, row["risk with treatment"].partition("(")[2].rstrip(")").split(" to "))
        assert low < high
    assert "risk with treatment" not in review.findings("score").columns
    assert set(table["certainty"]) <= set(certainty.RATINGS)
    assert table["why"].str.contains("reporting bias: suspected").all()


def test_dots_of_the_network_are_as_large_as_its_patients_or_say_that_they_are_not(inside):
    review = inside(20)
    arms = pd.read_csv("../tables/relapse.csv")
    sizes, of = review.sizes("relapse")
    assert of == "patients" and sizes.to_dict() == arms.groupby("treatment")["n"].sum().to_dict()
    sizes, of = review.sizes("score")  # contrasts, which give no numbers of patients
    rows = pd.read_csv("../tables/score.csv")
    assert of == "studies" and sizes["usual care"] == (rows == "usual care").any(axis=1).sum()
    graph = pages.network_parts(review, "score")[1].text
    assert "Dots: studies, since the table gives no numbers of patients." in graph


def test_every_page_that_depends_on_the_model_names_it(inside):
    """The estimator, what is counted as a study, corrections, and the level: issue reports had it nowhere."""
    review = inside(4)
    for outcome, estimator in (("relapse", "(REML)"), ("score", "(DL)")):
        for part in (pages.network_parts, pages.evidence_parts, pages.certainty_parts):
            said = part(review, outcome)[0].text
            assert estimator in said and "95% intervals" in said
    assert "0.5 added to each cell of studies with a zero cell" in review.model("relapse")
    assert review.heterogeneity()["estimator"].tolist() == ["REML", "DL"]
    assert review.summary()["model"].tolist() == ["random effects, REML", "random effects, DL"]


def test_a_page_names_the_measure_of_each_outcome(inside):
    """No te is called SMD that is none."""
    review = inside(4)
    assert set(review.contrasts()["measure"]) == {"odds ratio", "mean difference"}
    text = " ".join(part.text for o in review.outcomes for part in pages.network_parts(review, o))
    assert "SMD" not in text and "standardised" not in text


# ---------------------------------------------------------------- subgroups and meta-regression


def test_subgroups_and_slopes_are_those_of_the_engine(inside):
    review = inside(20)
    fit = review.network("score").fit
    place = review.studies.set_index("study")
    part = fit.contrasts[fit.contrasts["study"].map(place["setting"]) == "home"]
    connected = next(names for names in subnetworks(part) if "usual care" in names)
    alone = fit_network(part[part["treat1"].isin(connected)], "DL")
    rows = review.subgroups("score")
    rows = rows[rows["subgroup"] == "setting: home"]
    apart = rows[rows["estimate"] == "not connected with the reference"]["treatment"].str.split(", ").sum() or []
    shown = rows[rows["tau²"] != ""]
    assert sorted([*apart, *shown["treatment"], "usual care"]) == sorted({*part["treat1"], *part["treat2"]})
    for row in shown.itertuples():
        assert row.estimate.startswith(review.number("score")(alone.te.at[row.treatment, "usual care"]))
    slope = network_meta_regression(
        fit.contrasts, place["year"].astype(float), "usual care", tau2="DL"
    ).coefficients.iloc[-1]
    row = review.moderators("score").iloc[0]
    assert row["slope for one unit more"].startswith(review.number("score")(slope["estimate"]))


@pytest.mark.parametrize(("correlation", "shown"), [(0, "\u2212"), (0.5, "not offered for correlated estimates")])
def test_several_estimates_of_one_study_reach_every_page(tmp_path, monkeypatch, correlation, shown):
    """``cases/07-several-estimates-of-one-study``: an import that takes both must give a review that builds."""
    mine = tmp_path / "mine"
    new_review(mine)
    shutil.copy(next((ROOT / "tests" / "cases").glob("07-*")) / "sleep.csv", mine / "tables")
    path = mine / "review.yml"
    text = path.read_text()
    path.write_text(text.replace("  - name: sleep\n", f"  - name: sleep\n    correlation: {correlation}\n"))
    new_review(mine)
    monkeypatch.chdir(mine / "book")
    review = open_review()
    assert all(pages.further_parts(review, outcome) for outcome in review.outcomes)
    row = review.moderators("sleep").iloc[0]
    assert shown in row["slope for one unit more"]
    # The two estimates of Fir 2009 count apart, both with its year
    fit = review.network("sleep").fit
    labels = own_labels(fit.contrasts)
    assert "Fir 2009 (estimate 2)" in labels
    if not correlation:
        years = pd.Series(fit.contrasts["study"].str[-4:].astype(float).to_numpy(), index=labels)
        slope = network_meta_regression(fit.contrasts.assign(study=labels), years, "usual care", tau2="DL").coefficients
        assert row["slope for one unit more"].startswith(review.number("sleep")(slope["estimate"].iloc[-1]))


# ---------------------------------------------------------------- what review.yml and its tables may hold


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("subgroups: [setting]", "subgroups: [place]", "subgroups: 'place' is not a column of tables/studies.csv"),
        ("subgroups: [setting]", "subgroups: setting", "subgroups: 'setting' is not a list of columns"),
        ("moderators: [year]", "moderators: [setting]", "column setting: 'clinic' is not a number"),
        ("studies: tables/studies.csv", "studies: ../studies.csv", "studies: '../studies.csv' is outside"),
        ("flow: tables/flow.csv", "flow: tables/none.csv", "tables/none.csv: no such file"),
        ("    important: 0.2", "    important: -0.2", "important: -0.2 is not a number above 0"),
        ("    important: 0.2", "    baseline_risk: 0.2", "baseline_risk: is for OR, RR, HR or RD, not for SMD"),
        (
            "    reporting_bias: undetected",
            "    reporting_bias: none",
            "reporting_bias: 'none' is not one of undetected, suspected",
        ),
    ],
)
def test_a_wrong_entry_is_named_when_the_review_is_made(tmp_path, old, new, message):
    new_review(tmp_path / "mine")
    path = tmp_path / "mine" / "review.yml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(TableError) as caught:
        build_data(tmp_path / "mine")
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("study,rob\ns1,fine\n", "t.csv, row 2, column rob: 'fine' is not one of low, some concerns, high"),
        ("study,rob\ns1,low\ns1,low\n", "t.csv, row 3, column study: 's1' is listed twice"),
        ("name\ns1\n", "t.csv: no column study; there are name"),
        ("study\n", "t.csv: no rows"),
    ],
)
def test_a_wrong_table_of_studies_is_named(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(TableError) as caught:
        read_studies(tmp_path / "t.csv", "t.csv", {"s1"})
    assert str(caught.value) == message


def test_a_study_without_a_row_or_judgement_is_told_and_not_judged(tmp_path):
    """Rows of two of four studies: their share of the evidence decides whether there is a judgement."""
    (tmp_path / "t.csv").write_text("study,rob,year\ns1,high,2001\ns2,,\n")
    table = read_studies(tmp_path / "t.csv", "t.csv", {"s1", "s2", "s3", "s4"})
    assert table.to_numpy().tolist() == [["s1", "high", "2001"], ["s2", "", ""], ["s3", "", ""], ["s4", "", ""]]
    found = judged(studies=table)
    share = certainty.study_shares(FIT)
    for treatment in "AB":
        known = share[treatment, "P"]["s1"] >= 0.5
        assert found.at[treatment, "within-study bias"] == ("major concerns" if known else "not judged")
    assert numbers_of(table, "year", "t.csv").fillna(0).tolist() == [2001, 0, 0, 0]


def test_cinema_s_numbers_are_judgements(tmp_path):
    (tmp_path / "t.csv").write_text("study,rob,indirectness\ns1,1,3\n")
    assert read_studies(tmp_path / "t.csv", "t.csv", {"s1"}).iloc[0].tolist() == ["s1", "low", "high"]


def test_a_wrong_count_of_the_flow_is_named(tmp_path):
    (tmp_path / "f.csv").write_text("stage,label,n,side\nidentification,Found,4.5,main\n")
    with pytest.raises(TableError, match="f.csv, row 2, column n: '4.5' is not a whole number"):
        read_flow(tmp_path / "f.csv", "f.csv")


def test_a_review_without_these_tables_says_so(inside):
    review = inside(4)
    kept = {k: v for k, v in review.settings.items() if k not in ("studies", "flow", "subgroups", "moderators")}
    bare = replace(review, settings=kept)
    assert bare.flow() is None and bare.studies is None
    assert pages.further_parts(bare, "score")[0].text.endswith("review.yml names no subgroups or moderators.")
    assert set(bare.certainty("score")["within-study bias"]) == {"not judged"}
    assert bare.characteristics().columns.tolist() == ["study", "treatments"]
    assert [part.text.split("\n")[0] for part in pages.study_parts(bare)] == [
        "[recomputed] Characteristics of the studies, as the table of studies has them."
    ]


# ---------------------------------------------------------------- documents and journal figures


def test_word_and_excel_hold_every_table_with_its_footnotes(folders, tmp_path, capsys):
    word, excel = tmp_path / "t.docx", tmp_path / "t.xlsx"
    data = str(folders[4] / "data")
    assert main(["tables", "--data", data, "--docx", str(word), "--xlsx", str(excel)]) == 0
    assert capsys.readouterr().out == f"wrote {word}\nwrote {excel}\n"
    tables = open_review(folders[4]).document_tables()
    document, book = docx.Document(str(word)), openpyxl.load_workbook(excel)
    assert len(document.tables) == len(book.sheetnames) == len(tables)
    paragraphs = [paragraph.text for paragraph in document.paragraphs]
    for number, (one, grid, sheet) in enumerate(zip(tables, document.tables, book.worksheets, strict=True), 1):
        cells = [[cell.text for cell in row.cells] for row in grid.rows]
        assert cells[0] == list(map(str, one.table.columns))
        assert cells[1:] == one.table.astype(str).to_numpy().tolist()
        assert f"Table {number}. {one.caption}" in paragraphs and all(note in paragraphs for note in one.footnotes)
        values = [[cell.value or "" for cell in row] for row in sheet.iter_rows()]
        assert values[0][0] == f"Table {number}. {one.caption}"
        assert [list(map(str, row)) for row in values[3 : 3 + len(one.table)]] == cells[1:]
        assert set(one.footnotes) <= {row[0] for row in values}
    assert any("Certainty starts at high" in note for one in tables for note in one.footnotes)


def test_a_formula_stays_text_in_excel_and_a_control_character_does_not_break_word(tmp_path):
    table = DocumentTable("a/b", "C", pd.DataFrame({"x": ["=1+1", "a\x07b"], "n": [1.5, np.nan]}))
    write_documents([table], docx=tmp_path / "a.docx", xlsx=tmp_path / "a.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "a.xlsx").worksheets[0]
    assert sheet["A4"].data_type == "s" and sheet["A4"].value == "=1+1" and sheet["B4"].value == 1.5
    assert docx.Document(str(tmp_path / "a.docx")).tables[0].cell(2, 0).text == "a\N{REPLACEMENT CHARACTER}b"
    with pytest.raises(TableError, match=r"expected a name that ends in \.docx"):
        write_documents([table], docx=tmp_path / "a.doc")


def test_journal_figures_have_numbers_panel_letters_and_captions(folders, tmp_path, monkeypatch):
    monkeypatch.chdir(folders[4])
    written = list(journal_figures(tmp_path, formats=("pdf",), chapters=folders[4] / "book"))
    names = [paths[0].name for paths in written]
    assert names[:6] == ["Fig_1.pdf", "Fig_2.pdf", "Fig_3a.pdf", "Fig_3b.pdf", "Fig_4a.pdf", "Fig_4b.pdf"]
    assert names[6] == "Fig_S1.pdf" and names[-1] == "captions.txt"
    lines = (tmp_path / "captions.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(written) - 1 and len(set(lines)) == len(lines)
    assert lines[2].startswith("Fig. 3a. Relapse") and lines[6].startswith("Supplementary Fig. S1. ")
    for paths in written[:-1]:
        content = paths[0].read_bytes()
        left, bottom, right, top = map(float, content.split(b"/MediaBox [")[1].split(b"]")[0].split())
        assert (top - bottom) / 72 * 25.4 <= 247.5 and (right - left) / 72 * 25.4 <= 180.5
        # The typeface is embedded as TrueType, and is sans
        assert b"/FontFile2" in content and b"DejaVuSans" in content and b"/Type3" not in content


def named(name: str, **columns) -> Drawing:
    return Drawing(name, None, pd.DataFrame(columns or {"x": [1]}), "as told")


def test_one_forest_stands_once_and_others_follow_as_supplement():
    pairs = [(named(name), name) for name in ("funnel-1", "forest-1", "flow", "network-1")]
    found = [(number, letter, drawing.name) for number, letter, drawing, _ in numbered(pairs)]
    assert found == [("1", "", "flow"), ("2", "", "network-1"), ("3", "", "forest-1"), ("S1", "", "funnel-1")]


def test_of_two_forests_of_the_same_estimates_the_fuller_one_stands():
    short = named("forest_network", te=[0.1, 0.2], upper=[0.3, 0.4])
    full = named("forest_network", te=[0.2, 0.1], upper=[0.4, 0.3], predict_upper=[0.9, 0.8])
    other = named("forest_network", te=[0.5, 0.6], upper=[0.9, 0.9])
    fullest = named("forest_network", te=[0.5, 0.6, 0.7], upper=[0.9, 0.9, 0.9], predict_upper=[1, 1, 1])
    found = numbered([(short, "a"), (other, "b"), (full, "c"), (fullest, "d"), (short, "e")])
    # What the book shows first is the main figure, though others show more
    assert [(number, caption) for number, _, _, caption in found] == [("1", "c"), ("S1", "b"), ("S2", "d")]


def test_figures_follow_the_table_of_contents_without_the_developers_part():
    order = [path.stem for path in in_reading_order(ROOT / "book")]
    assert order.index("abstract") < order.index("network_meta_analysis") < order.index("robustness")
    assert "coming_from_netmeta" not in order and "validation" not in order
