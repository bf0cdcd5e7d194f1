"""One switch for chapters and checks: printed numbers only, or trial-level data in the shape of Supplementary Data
2."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient

from conftest import BOOK
from helpers import ROOT
from living_examples import LABELS, ORACLE, printed_only, star_demo, with_trials
from psps_paper.article.published import forest_rows
from psps_paper.article.trials import (
    Printed,
    Trials,
    book_network,
    comparison_adjusted_egger,
    network_state,
    te_desirable,
    trial_network,
)
from psps_paper.book.claims import keeps_to_print
from psps_paper.book.trials import small_study_table
from psps_paper.claims.registry import check_claims
from psps_paper.cli.main import main
from psps_paper.figures import Drawing, forest_network, league_heat, palette, rankogram
from psps_paper.formatting import estimate, number, percent
from psps_paper.living.chapters import changes_since_print, show_changes
from psps_paper.living.diff import compare_paths
from psps_paper.living.importing import convert, read_trials
from psps_paper.living.model import Options
from psps_paper.living.reading import table_from_bytes
from psps_paper.living.results import review_results
from psps_paper.living.store import write_trials
from psps_paper.network import fit_network
from psps_paper.network.ranking import p_scores, rank_probabilities
from psps_paper.network.sensitivity import comparison_adjusted_funnel
from psps_paper.network.summary import league_table
from psps_paper.pairwise import egger_test
from psps_paper.tables.errors import TableError
from psps_paper.tables.trials import trials_folder

pytestmark = pytest.mark.slow

ORDER = [LABELS[name] for name in ORACLE["trts"]]
# Statements that Supplementary Data 2 settles, and what the oracle in its place says of them
SETTLED = {
    "nma.estimates.n_p": 19,
    "nma.estimates.n_cm": 4,
    "nma.estimates.n_c": 2,
    "nma.i2": 100 * ORACLE["I2"],
    "nma.i2.lower": 100 * ORACLE["lower_I2"],
    "nma.i2.upper": 100 * ORACLE["upper_I2"],
    "nma.n_p.te": ORACLE["TE_random"][2][3],
    "nma.n_p.lower": ORACLE["lower_random"][2][3],
    "nma.n_p.upper": ORACLE["upper_random"][2][3],
    "nma.n_cm.te": ORACLE["TE_random"][2][0],
    "nma.n_cm.z": ORACLE["TE_random"][2][0] / ORACLE["seTE_random"][2][0],
    "nma.p_score.neuromodulation": ORACLE["pscore_random"][2],
    "nma.p_score.conservative": ORACLE["pscore_random"][1],
    "nma.p_score.placebo": ORACLE["pscore_random"][3],
    "nma.p_score.conservative_minimally_invasive": ORACLE["pscore_random"][0],
    "nma.rank.neuromodulation": 1,
    # Q_design of the oracle: 12.3 (df 3) and 45.3 (df 18) exceed chance, 0.003 (df 1) does not; the article names the
    # last two
    "nma.within_design": 1,
}


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    return printed_only(tmp_path_factory.mktemp("printed"))


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    return with_trials(tmp_path_factory.mktemp("trials"))


@pytest.fixture(scope="module")
def checked(printed, trials):
    return check_claims(printed), check_claims(trials)


def test_the_state_is_read_from_the_data_folder(printed, trials):
    assert isinstance(network_state(printed), Printed) and network_state(printed).label == "printed numbers only"
    state = network_state(trials)
    assert isinstance(state, Trials) and state.tier == "recomputed"
    assert len(state.contrasts) == 25 and state.source["sources"][0]["file"] == "netmeta.csv"


def test_printed_numbers_give_the_implied_network(printed):
    book = book_network(printed)
    assert (book.tier, book.forest_tier) == ("implied", "printed and implied")
    assert book.fit is book.published.fit and book.excluded.empty
    assert book.edges["estimates"].tolist() == [19, 4, 2]
    pd.testing.assert_frame_equal(book.forest("neuromodulation"), forest_rows(book.published, "neuromodulation"))


def test_trials_give_netmeta_s_fit(trials):
    book = book_network(trials)
    assert (book.tier, book.forest_tier) == ("recomputed", "recomputed")
    for name, field in {
        "te": "TE_random",
        "se": "seTE_random",
        "lower": "lower_random",
        "upper": "upper_random",
        "predict_lower": "lower_predict",
        "predict_upper": "upper_predict",
    }.items():
        np.testing.assert_allclose(getattr(book.fit, name).loc[ORDER, ORDER], ORACLE[field], rtol=1e-9, atol=1e-11)
    assert book.edges["estimates"].tolist() == [19, 4, 2]
    forest = book.forest("neuromodulation").set_index("treatment_class")
    assert set(forest["tier"]) == {"recomputed"}
    for other in set(ORDER) - {"neuromodulation"}:
        assert forest.at[other, "te"] == book.fit.te.at["neuromodulation", other]
        assert forest.at[other, "lower"] < forest.at[other, "te"] < forest.at[other, "upper"]


@pytest.mark.parametrize("state", ["printed", "trials"])
def test_the_same_cells_of_a_chapter_run_in_both_states(state, request):
    folder = request.getfixturevalue(state)
    book, desirable = book_network(folder), te_desirable(folder)
    scores = p_scores(book.fit, desirable=desirable)
    order = list(scores.sort_values(ascending=False).index)
    assert order[0] == "neuromodulation"
    drawings = [
        forest_network(
            book.forest("neuromodulation"), desirable=desirable, first="neuromodulation", second="the other treatment"
        ),
        league_heat(
            book.fit.te.loc[order, order],
            book.fit.lower.loc[order, order],
            book.fit.upper.loc[order, order],
            desirable=desirable,
        ),
        rankogram(rank_probabilities(book.fit, desirable=desirable, draws=1000, seed=1), scores),
    ]
    assert all(isinstance(drawing, Drawing) for drawing in drawings)
    assert league_table(book.fit, order=order).shape == (4, 4)


def test_an_outcome_without_trials_falls_back_to_what_is_printed_or_says_so(trials):
    with pytest.raises(TableError, match="neither trial-level data nor printed results of outcome disability"):
        book_network(trials, outcome="disability")


# --- whole chapters -----------------------------------------------------------------------------------

SWITCHED = ["network_meta_analysis", "what_print_allows", "abstract", "what_changed", "clinician_summary"]
# Words of prose that only one state has, as the outputs that glue keeps for it hold them
SAID = {
    "abstract": ("are not available here", "This copy holds trial-level data"),
    "plain_language": ("are not public here", "This copy of the book holds the trials"),
    "reproduction_status": ("the trial-level data are missing", "are computed from the trial-level data of this copy"),
    "discussion": ("the trial-level estimates and the meta-analyses", "The domain judgements and the meta-analyses"),
    "network_meta_analysis": (
        "The recovered network gives the order",
        "The network of the trial-level data gives the order",
    ),
}
# Sentences that are true of one state only, or of no network but the published one; each stood in a chapter
UNTRUE_WITH_TRIALS = [
    "The trial-level data of the article (its Supplementary Data) are not available here",
    "Neuromodulation ranks first.",
    "The network has {glue}",
    "The network is a star",
    "trial-level data are missing;",
    "The trial-level data are not published",
    "the trial-level data are missing",
    "are not public here",
    "estimates and the meta-analyses",
    "contradict another part of the article or",
    "whatever the trial-level data,",
    "are not part of the network.",
    "Two of them are in this section",
]
KEEP_TO_PRINT = [
    "certainty",
    "clinician_summary",
    "discussion",
    "index",
    "summary_of_findings",
    "robustness",
    "what_print_allows",
]


def outputs(chapter: str, folder) -> list[dict]:
    """The outputs of a chapter's code cells: executed with a data folder, or as stored where ``folder`` is None."""
    notebook = nbformat.read(BOOK / f"{chapter}.ipynb", as_version=4)
    if folder is not None:
        environment = {
            **os.environ,
            "PSPS_DATA": str(folder),
            "JUPYTER_PREFER_ENV_PATH": "1",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        NotebookClient(
            notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(BOOK)}}
        ).execute(env=environment)
    return [output["data"] for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def markup(data: list[dict]) -> str:
    return "\n".join(str(output.get("text/html", "")) for output in data)


def said(data: list[dict]) -> str:
    """What a chapter keeps for its prose."""
    return "\n".join(str(output.get("application/papermill.record/text/plain", "")) for output in data)


@pytest.fixture(scope="module")
def executed(printed, trials):
    """Chapters in both states. They are stored as of the printed numbers, which a build proves, unless an author put
    trials into data/."""
    stored = None if trials_folder(ROOT / "data") is None else printed
    return {name: (outputs(name, stored), outputs(name, trials)) for name in SWITCHED}


def test_with_trials_the_network_chapter_shows_their_fit(executed, trials):
    printed, recomputed = map(markup, executed["network_meta_analysis"])
    fit = book_network(trials).fit
    for other in set(ORDER) - {"neuromodulation"}:
        text = estimate(*(frame.at["neuromodulation", other] for frame in (fit.te, fit.lower, fit.upper)))
        assert (
            text in recomputed.partition('id="figure-forest_network"')[2].partition("</figure>")[0]
            and text not in printed
        )
    assert "draws of the network of the trial-level data" in recomputed and "recovered network" not in recomputed
    badges = re.findall(r'<figcaption>((?:<span class="tier[^>]*>[^<]*</span> ?)+)', recomputed)
    assert [re.sub("<[^>]*>", "", badge).split() for badge in badges] == [
        ["recomputed"],
        ["recomputed"],  # the network and its comparisons
        ["recomputed"],  # forest plot
        ["recomputed"],  # league table
        ["recomputed"],  # rankogram
        ["printed", "implied"],  # whether the print fits together
        ["printed"],  # the statements
    ]
    assert "from 25 estimates in trials/contrasts.csv" in recomputed


def test_with_trials_the_heterogeneity_chapter_shows_theirs_and_the_funnel(executed):
    printed, recomputed = map(markup, executed["what_print_allows"])
    assert "points are not available here" in printed and 'id="figure-funnel"' not in printed
    assert "points are not available here" not in recomputed and 'id="figure-funnel"' in recomputed
    table = recomputed.partition('id="table-heterogeneity-of-trials"')[2].partition("</figure>")[0]
    for cell in (number(ORACLE["tau2"], 3), number(ORACLE["Q"]), percent(ORACLE["I2"])):
        assert f">{cell}<" in table
    assert "no comparison has both kinds of evidence" in recomputed and 'id="table-small-studies"' in recomputed


def cells_of(chapter: str) -> list:
    return nbformat.read(BOOK / f"{chapter}.ipynb", as_version=4).cells


def test_no_chapter_states_in_prose_what_trials_would_make_untrue():
    prose = {
        path.stem: " ".join(
            " ".join(cell.source for cell in cells_of(path.stem) if cell.cell_type == "markdown").split()
        )
        for path in sorted(BOOK.glob("*.ipynb"))
    }
    found = [(name, words) for name, text in prose.items() for words in UNTRUE_WITH_TRIALS if words in text]
    assert len(prose) > 25 and found == []


@pytest.mark.parametrize("chapter", SAID)
def test_prose_that_depends_on_the_state_comes_from_the_state(chapter, tmp_path):
    """The sources hold both texts, the prose a name for them, and the stored outputs the one of the printed numbers."""
    printed, trials = SAID[chapter]
    cells = cells_of(chapter)
    stored = said(outputs(chapter, None if trials_folder(ROOT / "data") is None else printed_only(tmp_path)))
    assert printed in stored and trials not in stored
    calls = [
        node
        for cell in cells
        if cell.cell_type == "code"
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call)
    ]
    names = [keyword.arg for call in calls if getattr(call.func, "id", "") == "glue_texts" for keyword in call.keywords]
    prose = " ".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert names and [name for name in names if f"{{glue}}`{name}`" not in prose] == []


def test_pages_on_printed_numbers_say_so_where_there_are_trials(printed, trials, monkeypatch):
    for chapter in KEEP_TO_PRINT:
        assert "keeps_to_print()" in [cell.source for cell in cells_of(chapter)], chapter
    monkeypatch.setenv("PSPS_DATA", str(printed))
    assert keeps_to_print() is None
    monkeypatch.setenv("PSPS_DATA", str(trials))
    assert 'the page <a href="what_changed.html">What changed</a>.' in keeps_to_print().markup


def test_with_trials_prose_speaks_of_them(executed):
    for chapter in ("abstract", "network_meta_analysis"):
        before, after = map(said, executed[chapter])
        printed, trials = SAID[chapter]
        assert printed in before and printed not in after and trials in after and trials not in before
    order = ", ".join(p_scores(trial_network(reviewed()), desirable="higher").sort_values(ascending=False).index)
    assert f"The network of the trial-level data gives the order {order}." in said(executed["network_meta_analysis"][1])
    before, after = map(markup, executed["clinician_summary"])
    assert "This page keeps to the numbers" in after and "This page keeps to the numbers" not in before


def test_with_trials_the_abstract_shows_their_forest_plot(executed):
    printed, recomputed = map(markup, executed["abstract"])
    assert "hollow: implied by the other printed numbers" in printed and "From the trial-level data." in recomputed


def test_a_chapter_is_byte_for_byte_as_before_once_the_trials_are_removed(tmp_path):
    """As book/add_a_trial.md says: remove ``data/trials`` and execute the chapters."""
    folder, chapter = printed_only(tmp_path), tmp_path / "book" / "what_changed.ipynb"
    chapter.parent.mkdir()
    shutil.copy(BOOK / chapter.name, chapter)

    def execute() -> bytes:
        subprocess.run(
            [sys.executable, "-m", "psps_paper.site.notebooks", chapter],
            env={**os.environ, "PSPS_DATA": str(folder)},
            check=True,
            capture_output=True,
            timeout=120,
        )
        return chapter.read_bytes()

    def tables() -> dict:
        return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    before, data = execute(), tables()
    demo = reviewed().to_csv(index=False).encode()
    write_trials(
        convert(table_from_bytes("demo.csv", demo), Options("contrasts"), folder), folder, replace_printed=True
    )
    assert execute() != before
    shutil.rmtree(folder / "trials")
    assert execute() == before
    assert tables() == data


def test_the_page_what_changed_names_every_change_or_says_that_there_is_none(executed, trials):
    printed, recomputed = map(markup, executed["what_changed"])
    assert "Nothing has changed since print" in printed and "<table" not in printed
    changes = changes_since_print(trials)
    assert (
        f"Differences: {len(changes)}; of these flip a conclusion or a verdict: {changes['flips'].sum()}." in recomputed
    )
    assert recomputed.count("<tr>") == len(changes) + 1


def test_changes_since_print_are_those_between_two_data_folders(printed, trials):
    expected = compare_paths(printed, trials)
    assert len(expected) > 50 and set(expected["what"]) >= {"data", "network", "estimate", "interval", "verdict"}
    pd.testing.assert_frame_equal(changes_since_print(trials), expected)
    assert (trials / "trials" / "contrasts.csv").is_file()


def test_no_change_is_a_sentence(printed):
    assert (
        show_changes(changes_since_print(printed), caption="c", nothing="Nothing changed.").markup
        == "<p>Nothing changed.</p>"
    )


def test_a_study_outside_the_network_is_among_the_comparisons(trials, tmp_path):
    folder = with_trials(tmp_path)
    path = tmp_path / "apart.csv"
    path.write_text("studlab,treat1,treat2,TE,seTE\napart,surgery,surgery + minimally invasive,0.1,0.2\n")
    write_trials(read_trials(path, Options("contrasts"), folder), folder, add=True)
    rows = book_network(folder).comparisons().set_index("treat1")
    assert not rows.at["surgery", "used"] and rows.at["surgery", "refs"] == "apart"
    assert rows["used"].sum() == 3 and rows["n_estimates"].tolist() == [19, 4, 2, 1]


# --- statements ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("identifier", SETTLED)
def test_trials_check_what_supplementary_data_2_settles(checked, identifier):
    claim = checked[1].loc[identifier]
    assert claim["tier"] == "recomputed" and "from 25 estimates in trials/contrasts.csv" in claim["detail"]
    assert claim["low"] == claim["high"] == pytest.approx(SETTLED[identifier], rel=1e-9)
    assert claim["verdict"] != "not checkable"


def test_without_trials_nothing_is_recomputed_from_them(checked):
    before, after = checked
    assert not before["detail"].str.contains("trials/contrasts.csv").any()
    assert set(before.index[before["as_expected"]]) == set(before.index)
    moved = after.index[after["tier"] != before["tier"]]
    assert set(SETTLED) <= set(moved)
    still = after[
        after["settles"].fillna("").str.contains("Supplementary Data 2") & (after["verdict"] == "not checkable")
    ]
    # A threshold of pain relief is not an effect size, so no table of effects can show it
    assert set(still["id"]) == {"discussion.relief_thresholds", "discussion.relief_threshold_upper"}


def test_statements_beside_the_network_keep_their_verdicts(checked):
    before, after = checked
    same = (after["tier"] == before["tier"]) & (after["against"] != "trial-level data")
    assert (after.loc[same, "verdict"] == before.loc[same, "verdict"]).all()
    assert (after.loc[after["tier"] != before["tier"], "against"].isin(["trial-level data", "nothing"])).all()


def test_agreement_is_expected_of_trials(checked):
    """The oracle is made up, so that most numbers contradict the article, and verify must say so."""
    after = checked[1]
    assert not after.at["nma.n_p.te", "as_expected"] and after.at["nma.n_p.te", "verdict"] == "contradicts"
    assert after.at["nma.estimates.n_p", "as_expected"] and after.at["nma.estimates.n_p", "verdict"] == "reproduces"


def test_trials_that_agree_with_the_print_reproduce_it(printed, tmp_path):
    """A set of trials whose pooled contrasts are the implied ones: each estimate equal, so Q is 0."""
    implied = book_network(printed)
    rows = ["studlab,treat1,treat2,TE,seTE"]
    for edge in implied.edges.itertuples():
        te, se = implied.fit.te.at[edge.treat1, edge.treat2], implied.fit.se.at[edge.treat1, edge.treat2]
        rows += [
            f"{edge.treat2} {k},{edge.treat1},{edge.treat2},{float(te)!r},{float(se * np.sqrt(edge.estimates))!r}"
            for k in range(edge.estimates)
        ]
    folder = printed_only(tmp_path)
    write_trials(
        convert(table_from_bytes("implied.csv", "\n".join(rows).encode()), Options("contrasts"), folder),
        folder,
        replace_printed=True,
    )
    after = check_claims(folder)
    network = after[after["check"].isin(["network", "rank"]) & (after["tier"] == "recomputed")]
    assert len(network) > 25 and (network["verdict"] == "reproduces").all()


def folder_with(place, text: str, *, outcome: str | None = None):
    """A data folder with these rows of studlab, treat1, treat2, TE, seTE as its trials."""
    folder = printed_only(place)
    table = table_from_bytes("some.csv", ("studlab,treat1,treat2,TE,seTE\n" + text).encode())
    write_trials(convert(table, Options("contrasts", outcome=outcome), folder), folder, replace_printed=True)
    return folder


def rows_of(contrasts: pd.DataFrame) -> str:
    return contrasts.to_csv(index=False, header=False)


def reviewed() -> pd.DataFrame:
    """The oracle's contrasts with this review's names."""
    return star_demo().replace({"treat1": LABELS, "treat2": LABELS})


def test_trials_of_another_outcome_leave_the_article_s_as_printed(checked, tmp_path):
    folder = folder_with(tmp_path, "a,neuromodulation,conservative,0.1,0.2\n", outcome="responders")
    after = check_claims(folder)
    assert (after["verdict"] == checked[0]["verdict"]).all() and (after["tier"] == checked[0]["tier"]).all()
    assert review_results(folder)["outcomes"][0]["state"] == "printed numbers only"
    assert review_results(folder, outcome="responders")["outcomes"][0]["network"]["tier"] == "recomputed"


@pytest.mark.parametrize(
    ("missing", "details"),
    [
        (
            "conservative",
            {
                "nma.p_score.neuromodulation": "no estimate of conservative",
                "nma.rank.neuromodulation": "no estimate of conservative",
                **dict.fromkeys(
                    ["nma.estimates.n_c", "nma.i2", "nma.egger", "nma.closed_loops"],
                    "no estimate of neuromodulation against conservative",
                ),
                "nma.within_design": "no two-arm study of neuromodulation vs conservative",
            },
        ),
        (
            "placebo/sham",
            {
                "nma.n_p.te": "no estimate of placebo/sham",
                "nma.estimates.n_p": "no estimate of neuromodulation against placebo/sham",
            },
        ),
    ],
)
def test_what_is_missing_from_trials_is_not_checkable_and_says_what_would_settle_it(tmp_path, missing, details):
    after = check_claims(folder_with(tmp_path, rows_of(reviewed().query("treat2 != @missing"))))
    for identifier, detail in details.items():
        claim = after.loc[identifier]
        assert claim["verdict"] == "not checkable" and claim["as_expected"], identifier
        assert detail in claim["detail"] and missing in claim["settles"]
    assert after.at["nma.n_cm.te", "tier"] == "recomputed" and after.at["nma.n_cm.te", "verdict"] != "not checkable"


def test_a_printed_comparison_may_be_missing_while_its_treatments_are_there(tmp_path):
    rows = reviewed().replace({"treat1": {"neuromodulation": "conservative"}}).query("treat2 == 'placebo/sham'")
    after = check_claims(
        folder_with(tmp_path, rows_of(pd.concat([reviewed().query("treat2 != 'placebo/sham'"), rows])))
    )
    assert after.at["nma.estimates.n_p", "verdict"] == after.at["nma.within_design", "verdict"] == "not checkable"
    assert (
        after.at["nma.n_p.te", "verdict"] != "not checkable"
        and after.at["nma.rank.neuromodulation", "verdict"] != "not checkable"
    )


def test_loops_are_counted_in_the_trials(checked, tmp_path):
    assert checked[1].loc["nma.closed_loops", ["tier", "verdict", "computed"]].tolist() == [
        "recomputed",
        "reproduces",
        "0",
    ]
    assert "from 25 estimates in trials/contrasts.csv" in checked[1].at["nma.closed_loops", "detail"]
    after = check_claims(folder_with(tmp_path, rows_of(reviewed()) + "loop,conservative,placebo/sham,0.1,0.2\n"))
    assert after.loc["nma.closed_loops", ["verdict", "computed"]].tolist() == ["contradicts", "1"]
    assert after.loc["nma.mixed_comparisons", ["verdict", "computed"]].tolist() == ["contradicts", "3"]


def test_the_chapter_and_verify_share_one_rule_for_egger_s_test(tmp_path):
    few = reviewed().groupby("treat2").head(2)
    folder = folder_with(tmp_path, rows_of(few))
    book = book_network(folder)
    assert small_study_table(book.fit, book.order).iloc[0].tolist() == ["6", ", ".join(book.order), "too few estimates"]
    claim = check_claims(folder).loc["nma.egger"]
    assert (
        claim["verdict"] == "not checkable"
        and "6 estimates are too few" in claim["detail"]
        and "10 estimates" in claim["settles"]
    )


def test_a_new_treatment_gets_a_colour_and_a_place_in_every_drawing(tmp_path, monkeypatch):
    folder = folder_with(tmp_path, rows_of(reviewed()) + "new,drug pump,placebo/sham,0.3,0.2\n")
    with pytest.raises(ValueError, match="'drug pump' is not one of"):
        palette.class_colour("drug pump")
    monkeypatch.setenv("PSPS_DATA", str(folder))
    book = book_network(folder)
    drawing = forest_network(
        book.forest("neuromodulation"), desirable="higher", first="neuromodulation", second="the other treatment"
    )
    assert isinstance(drawing, Drawing) and list(palette.class_colours())[-1] == "drug pump"


@pytest.mark.parametrize("name", ["drug pump", "尼古丁", "a", "b", "c", "psychological treatment", "yoga", "x" * 100])
def test_colours_from_names_stand_out_on_light_and_dark_pages(name):
    colour = palette.colour_from_name(name)
    assert re.fullmatch("#[0-9a-f]{6}", colour) and colour not in palette.class_colours().values()
    assert all(palette.contrast_ratio(colour, page) >= 3 for page in ("#ffffff", "#121212"))


def test_verify_fails_where_trials_contradict_the_print(trials, capsys):
    assert main(["verify", "--data", str(trials)]) == 1
    assert "not as expected: nma.i2: contradicts, expected reproduces. Printed 77.5" in capsys.readouterr().err


# --- small-study effects ------------------------------------------------------------------------------


def test_the_adjusted_funnel_of_one_comparison_is_a_shifted_funnel():
    one = star_demo().query("treat2 == 'Placebo'")
    fit = trial_network(one)
    points = comparison_adjusted_funnel(fit, fit.treatments)
    assert np.ptp(points["centre"]) == 0
    assert points["centre"].iloc[0] == pytest.approx(fit.te.at["Neuromodulation", "Placebo"])
    assert comparison_adjusted_egger(fit, fit.treatments).bias == pytest.approx(egger_test(one["te"], one["se"]).bias)


def test_adjustment_takes_differences_between_comparisons_out_and_ignores_the_direction_of_rows():
    contrasts = star_demo()
    order = ["Neuromodulation", "Cons+MinInv", "Conservative", "Placebo"]
    expected = comparison_adjusted_egger(trial_network(contrasts), order).p
    shifted = contrasts.assign(te=contrasts["te"] + np.where(contrasts["treat2"] == "Placebo", 5.0, 0.0))
    # tau2 stays, since it is common and within comparisons of a star
    assert comparison_adjusted_egger(trial_network(shifted), order).p == pytest.approx(expected, rel=1e-8)
    turned = contrasts.assign(treat1=contrasts["treat2"], treat2=contrasts["treat1"], te=-contrasts["te"])
    for rows in (1, 10, 25):
        mixed = pd.concat([turned[:rows], contrasts[rows:]])
        assert comparison_adjusted_egger(trial_network(mixed), order).p == pytest.approx(expected, rel=1e-12)


def test_repeated_estimates_count_as_studies_of_their_own():
    repeated = star_demo()
    repeated["study"] = ["s" + str(k // 2) if k < 19 else f"t{k}" for k in range(25)]
    same = fit_network(star_demo())
    fit = trial_network(repeated)
    assert fit.df_q == same.df_q == 22
    assert fit.tau2 == pytest.approx(same.tau2, rel=1e-12)
    np.testing.assert_allclose(fit.se, same.se, rtol=1e-10)
