"""``psps-paper diff``: every change is named, and conclusions that flip come first."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from living_examples import examples, printed_only, with_trials
from psps_paper.cli.main import main
from psps_paper.living.diff import compare, compare_paths, diff_json, diff_table, diff_text, shown
from psps_paper.living.exports import export
from psps_paper.living.importing import convert
from psps_paper.living.model import Options
from psps_paper.living.reading import table_from_bytes
from psps_paper.living.results import conclusion, review_results
from psps_paper.living.store import write_trials
from psps_paper.tables.errors import TableError

pytestmark = pytest.mark.slow

EXAMPLES = examples()


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    return printed_only(tmp_path_factory.mktemp("printed"))


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    return with_trials(tmp_path_factory.mktemp("trials"))


@pytest.fixture(scope="module")
def results(trials):
    return review_results(trials)


def changed(results: dict, path: str, value) -> dict:
    """Results with one entry replaced; the path names keys and positions."""
    new = copy.deepcopy(results)
    *parents, last = [int(key) if key.isdigit() else key for key in path.split("/")]
    place = new
    for key in parents:
        place = place[key]
    place[last] = value
    return new


def test_no_change_is_reported_as_such(results):
    assert compare(results, copy.deepcopy(results)).empty
    assert (
        diff_text(compare(results, results)) == "nothing changed"
        and json.loads(diff_json(compare(results, results))) == []
    )


def test_the_order_of_additions_is_no_change(results):
    row = results["outcomes"][0]["contrasts"][0]
    assert compare(results, changed(results, PAIN + "contrasts/0/te", np.nextafter(row["te"], 9))).empty


PAIN = "outcomes/0/"


@pytest.mark.parametrize(
    ("path", "value", "what", "item"),
    [
        (PAIN + "contrasts/0/te", 0.9, "estimate", "neuromodulation vs conservative + minimally invasive, te"),
        (PAIN + "contrasts/0/se", 0.9, "estimate", "neuromodulation vs conservative + minimally invasive, se"),
        (PAIN + "contrasts/1/upper", 0.9, "interval", "neuromodulation vs conservative, upper"),
        (PAIN + "contrasts/1/predict_lower", -9.0, "interval", "neuromodulation vs conservative, predict lower"),
        (PAIN + "network/tau2", 0.5, "heterogeneity", "tau2"),
        (PAIN + "network/i2", 0.5, "heterogeneity", "I2"),
        (PAIN + "network/df_q", 23, "heterogeneity", "degrees of freedom of Q"),
        (PAIN + "network/estimates", 26, "network", "estimates"),
        (PAIN + "ranks/1/p_score", 0.5, "P-score", "conservative"),
        (PAIN + "ranks/2/rank", 4, "rank", "placebo/sham"),
        (PAIN + "state", "printed numbers only", "data", "state"),
        ("data/studies.csv", "0" * 64, "data", "studies.csv"),
    ],
)
def test_each_kind_of_change_is_named_with_both_values(results, path, value, what, item):
    changes = compare(results, changed(results, path, value))
    (row,) = changes.itertuples()
    assert (row.what, row.item, row.flips) == (what, item, False)
    assert row.outcome == ("pain" if path.startswith(PAIN) else "")
    assert row.new == (value if what != "data" or path.endswith("state") else value[:12])
    if isinstance(value, float):
        assert row.change == row.new - row.old


def test_a_contrast_that_begins_to_exclude_no_effect_flips(results):
    before = results["outcomes"][0]["contrasts"][1]
    assert before["lower"] < 0 < before["upper"]
    new = copy.deepcopy(results)
    new["outcomes"][0]["contrasts"][1] |= {"te": 0.5, "lower": 0.1}
    changes = compare(results, new)
    first = changes.iloc[0]
    assert first["flips"] and first["what"] == "conclusion"
    assert (first["old"], first["new"]) == ("no difference shown", "neuromodulation is better than conservative")
    assert diff_text(changes).splitlines()[0] == "Differences: 3; of these flip a conclusion or a verdict: 1"
    assert diff_text(changes).splitlines()[1].startswith("flips: pain: conclusion: neuromodulation vs conservative")


def test_a_contrast_in_the_other_direction_is_no_change(results):
    """The declared order of treatments may have changed since the earlier release."""
    new = copy.deepcopy(results)
    row = new["outcomes"][0]["contrasts"][1]
    row |= {
        "treat1": row["treat2"],
        "treat2": row["treat1"],
        "te": -row["te"],
        "lower": -row["upper"],
        "upper": -row["lower"],
        "predict_lower": -row["predict_upper"],
        "predict_upper": -row["predict_lower"],
    }
    assert compare(results, new).empty and compare(new, results).empty
    assert set(compare(results, changed(new, PAIN + "contrasts/1/te", 0.9))["what"]) == {"estimate"}


def test_another_first_by_p_score_flips(results):
    new = copy.deepcopy(results)
    ranks = new["outcomes"][0]["ranks"]
    ranks[0], ranks[1] = ranks[1] | {"rank": 1}, ranks[0] | {"rank": 2}
    changes = compare(results, new)
    flip = changes[changes["flips"]].iloc[0]
    assert (flip["item"], flip["old"], flip["new"]) == ("first by P-score", "neuromodulation", "conservative")


def test_a_verdict_that_changes_flips_and_a_value_that_moves_does_not(results):
    identifier = results["claims"][0]["id"]
    moved = compare(results, changed(results, "claims/0/computed", "other"))
    assert moved["item"].tolist() == [identifier] and not moved["flips"].any()
    flipped = compare(results, changed(results, "claims/0/verdict", "contradicts"))
    assert flipped["flips"].all()


def test_treatments_and_statements_that_come_or_go_are_named(results):
    new = copy.deepcopy(results)
    pain = new["outcomes"][0]
    pain["network"]["treatments"] = pain["network"]["treatments"][:3]
    pain["contrasts"] = [row for row in pain["contrasts"] if "placebo/sham" not in (row["treat1"], row["treat2"])]
    pain["ranks"] = [row for row in pain["ranks"] if row["treatment"] != "placebo/sham"]
    gone = new["claims"].pop()
    changes = compare(results, new)
    assert {"treatment placebo/sham", "placebo/sham", "neuromodulation vs placebo/sham", gone["id"]} <= set(
        changes["item"]
    )
    assert changes.set_index("item").at["treatment placebo/sham", "new"] is None
    assert compare(new, results).set_index("item").at["treatment placebo/sham", "old"] is None


def test_other_outcomes_are_not_compared(results):
    with pytest.raises(ValueError, match="nothing to compare"):
        compare(results, changed(results, PAIN + "outcome/te_desirable", "lower"))


def with_sleep(te: float, folder):
    """Trials of a second outcome, beside the printed numbers of the first."""
    data = printed_only(folder)
    content = f"studlab,treat1,treat2,TE,seTE\na,A,B,{te},0.2\nb,A,B,{te},0.3\n".encode()
    write_trials(
        convert(table_from_bytes("r.csv", content), Options("contrasts", outcome="responders"), data),
        data,
        replace_printed=True,
    )
    (data / "claims.csv").unlink()  # what the statements of the print come to is not asked here
    return data


def test_every_outcome_is_compared(tmp_path, capsys):
    """The estimate of the second outcome turns its sign: its conclusion flips, and the status says so."""
    for name, te in (("old", -1.0), ("new", 3.0)):
        (tmp_path / name).mkdir()
        with_sleep(te, tmp_path / name)
    old, new = tmp_path / "old" / "data", tmp_path / "new" / "data"
    changes = compare_paths(old, new)
    assert set(changes["outcome"]) == {"responders", ""}
    by_item = changes.set_index(["what", "item"])
    assert by_item.at[("conclusion", "A vs B"), "flips"] and by_item.at[
        ("estimate", "A vs B, te"), "change"
    ] == pytest.approx(4)
    assert main(["diff", str(old), str(new)]) == 1
    assert "flips: responders: conclusion: A vs B: B is better than A -> A is better than B" in capsys.readouterr().out


def test_an_outcome_that_comes_or_goes_is_named(tmp_path, results):
    both = copy.deepcopy(results)
    both["outcomes"].append(changed(results, PAIN + "outcome/name", "sleep")["outcomes"][0])
    (gone,) = compare(both, results).to_dict("records")
    assert gone | {"change": None} == {
        "outcome": "",
        "what": "outcome",
        "item": "sleep (SMD, higher te is desirable)",
        "old": "in",
        "new": None,
        "change": None,
        "flips": True,
    }
    (come,) = compare(results, both).itertuples()
    assert (come.old, come.new, come.flips) == (None, "in", False)


@pytest.mark.parametrize(
    ("limits", "desirable", "expected"),
    [
        ((0.1, 0.5), "higher", 1),
        ((0.1, 0.5), "lower", -1),
        ((-0.5, -0.1), "higher", -1),
        ((-0.5, -0.1), "lower", 1),
        ((-0.1, 0.5), "higher", 0),
        ((0.0, 0.5), "lower", 0),
    ],
)
def test_conclusions_follow_the_desirable_direction(limits, desirable, expected):
    assert conclusion(sum(limits) / 2, *limits, desirable=desirable) == expected


def test_folders_and_exports_compare_alike(tmp_path, printed, trials):
    export(printed, tmp_path / "old")
    by_folder = compare_paths(printed, trials)
    by_mixed = compare_paths(tmp_path / "old" / "results.json", trials)
    assert by_folder.equals(by_mixed)
    flips = by_folder[by_folder["flips"]]
    assert {"conservative + minimally invasive vs conservative", "nma.egger", "nma.i2"} <= set(flips["item"])
    moved = by_folder.set_index(["what", "item"])
    assert moved.at[("data", "state"), "new"] == "trial-level data"
    assert moved.at[("heterogeneity", "I2"), "old"] == 0.775


def test_one_more_trial_changes_the_network_and_says_so(tmp_path, trials):
    folder = with_trials(tmp_path)
    content = b"studlab,treat1,treat2,TE,seTE\nnew,neuromodulation,conservative,1.5,0.1\n"
    write_trials(convert(table_from_bytes("new.csv", content), Options("contrasts"), folder), folder, add=True)
    changes = compare_paths(trials, folder)
    by_item = changes.set_index(["what", "item"])
    assert (by_item.at[("network", "estimates"), "old"], by_item.at[("network", "estimates"), "new"]) == (25, 26)
    # The printed number of these estimates is 2
    assert by_item.at[("verdict", "nma.estimates.n_c"), "flips"]
    assert set(by_item.xs("data").index) == {"trials/contrasts.csv"}


def test_the_page_shows_what_the_text_shows(results):
    new = changed(results, PAIN + "network/tau2", 0.25)
    table = diff_table(compare(results, new))
    assert table.to_dict("records") == [
        {"outcome": "pain", "what": "heterogeneity", "item": "tau2", "before": "0.088", "after": "0.250", "flips": ""}
    ]
    assert list(diff_table(compare(results, results)).columns) == [
        "outcome",
        "what",
        "item",
        "before",
        "after",
        "flips",
    ]


@pytest.mark.parametrize(
    ("value", "text"), [(None, "none"), (0.0005, "5.00e-04"), (12, "12"), (-0.25, "\N{MINUS SIGN}0.250"), ("x", "x")]
)
def test_values_are_shown_briefly(value, text):
    assert shown(value) == text


def test_the_command_tells_flips_by_its_status(tmp_path, printed, trials, capsys):
    assert main(["diff", str(printed), str(printed)]) == 0
    assert capsys.readouterr().out == "nothing changed\n"
    assert main(["diff", "--json", str(printed), str(trials)]) == 1
    rows = json.loads(capsys.readouterr().out)
    assert rows[0]["flips"] is True and {"outcome", "what", "item", "old", "new", "change", "flips"} == set(rows[0])


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"schema": "other"}', b"\xff", b'{"schema": "psps-paper results 1"}']
)
def test_other_files_are_refused_by_a_sentence(tmp_path, printed, content, capsys):
    path = tmp_path / "other.json"
    path.write_bytes(content)
    with pytest.raises(TableError, match="other.json: .*expected a data folder or results.json"):
        compare_paths(path, printed)
    assert main(["diff", str(path), str(printed)]) == 2
