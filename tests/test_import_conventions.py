"""One network, written in every convention that the import knows: netmeta, CINeMA, MetaInsight, RevMan and own
names."""

from __future__ import annotations

import hashlib

import numpy as np
import openpyxl
import pandas as pd
import pytest

from helpers import DATA, copy_data
from living_examples import LABELS, ORACLE, examples, measured_as, review_of, star_demo
from psps_paper.article.trials import book_network, load_source, load_trials, trial_network
from psps_paper.cli.main import main
from psps_paper.effects import contrasts_from_arms, mean_sd_from_quantiles
from psps_paper.living.formats import FORMATS, METAFOR, REVMAN_5, REVMAN_WEB
from psps_paper.living.importing import read_trials, report
from psps_paper.living.layouts import layouts_tried
from psps_paper.living.model import Options
from psps_paper.living.store import beside_present, load_arms, write_trials
from psps_paper.network import fit_network
from psps_paper.tables.errors import TableError
from psps_paper.tables.load import load_table

pytestmark = pytest.mark.slow

EXAMPLES = examples()


def imported(folder, name: str, content: bytes | str, options: Options, data=DATA):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_trials(path, options, data)


def of_example(folder, example: str):
    name, content, options = EXAMPLES[example]
    return imported(folder, name, content, options, review_of(options.measure))


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_convention_gives_the_same_contrasts_and_the_same_fit_bit_by_bit(tmp_path, example):
    result = of_example(tmp_path, example)
    expected = star_demo()
    assert result.contrasts["study"].tolist() == expected["study"].tolist()
    assert result.contrasts["treat2"].tolist() == expected["treat2"].map(LABELS).tolist()
    assert result.contrasts["te"].tolist() == expected["te"].tolist()
    assert result.contrasts["se"].tolist() == expected["se"].tolist()
    fit = trial_network(result.contrasts)
    named = expected.replace({"treat1": LABELS, "treat2": LABELS})
    same = fit_network(named)
    for name in ("te", "se", "lower", "upper", "predict_lower", "predict_upper", "te_common", "se_common"):
        pd.testing.assert_frame_equal(getattr(fit, name), getattr(same, name), check_exact=True)
    assert (fit.tau2, fit.q, fit.i2) == (same.tau2, same.q, same.i2)


def test_the_common_fit_is_netmeta_s(tmp_path):
    """star_demo, netmeta 2.8-2: TE.random and seTE.random, tau2, Q, I2."""
    fit = trial_network(of_example(tmp_path, "netmeta").contrasts)
    order = [LABELS[name] for name in ORACLE["trts"]]
    np.testing.assert_allclose(fit.te.loc[order, order], ORACLE["TE_random"], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(fit.se.loc[order, order], ORACLE["seTE_random"], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose([fit.tau2, fit.q, fit.i2], [ORACLE["tau2"], ORACLE["Q"], ORACLE["I2"]], rtol=1e-10)


def test_every_known_convention_has_an_example(tmp_path):
    found = {of_example(tmp_path, example).source["format"] for example in EXAMPLES}
    known = {form.name for form in FORMATS} | {REVMAN_5, REVMAN_WEB, METAFOR}
    assert known <= found


@pytest.mark.parametrize("example", EXAMPLES)
def test_rows_in_are_rows_used_and_rows_listed(tmp_path, example):
    result = of_example(tmp_path, example)
    assert result.source["read"] == result.source["used"] + len(result.listed)
    assert f"read {result.source['read']} {result.source['unit']}, used {result.source['used']}" in report(result)


def test_rows_without_numbers_blank_rows_and_rows_not_selected_are_listed(tmp_path):
    text = "studlab,treat1,treat2,TE,seTE,when\na,A,B,0.1,0.2,end\nb,A,B,NA,0.2,end\n,,,,,\nc,A,B,0.3,,end\nd,A,B,0.4,0.2,start\n"
    result = imported(tmp_path, "rows.csv", text, Options("contrasts", where={"when": "end"}))
    assert dict(zip(result.listed["row"], result.listed["reason"], strict=True)) == {
        "2": "no TE",
        "3": "blank",
        "4": "no seTE",
        "5": "not selected",
    }
    assert (result.source["read"], result.source["used"]) == (5, 1)
    for row, reason in zip(result.listed["row"], result.listed["reason"], strict=True):
        assert f"not used: row {row}" in report(result) and reason in report(result)


def test_three_arms_in_one_row_and_in_pairs_of_arms_agree(tmp_path):
    """A pair of arms repeats the arms of a three-arm trial, and each counts once."""
    three = (
        "study,treat1,n1,mean1,sd1,treat2,n2,mean2,sd2,treat3,n3,mean3,sd3\n"
        "s1,A,20,3,2,B,20,4,2.5,C,21,5,2\ns2,A,30,3,2,B,31,3.5,2.5,NA,NA,NA,NA\n"
    )
    pairs = (
        "study,treat1,n1,mean1,sd1,treat2,n2,mean2,sd2\n"
        "s1,A,20,3,2,B,20,4,2.5\ns1,A,20,3,2,C,21,5,2\ns1,B,20,4,2.5,C,21,5,2\ns2,A,30,3,2,B,31,3.5,2.5\n"
    )
    wide = imported(tmp_path, "three.csv", three, Options("arms"))
    paired = imported(tmp_path, "pairs.csv", pairs, Options("arms"))
    assert len(wide.contrasts) == len(paired.contrasts) == 4
    assert wide.contrasts[["study", "treat1", "treat2", "te", "se"]].equals(
        paired.contrasts[["study", "treat1", "treat2", "te", "se"]]
    )
    assert (wide.source["read"], len(wide.listed)) == (5, 0)
    assert (paired.source["read"], len(paired.listed)) == (8, 3)
    assert all(
        "the same arm as in row 1" in reason or "the same arm as in row 2" in reason
        for reason in paired.listed["reason"]
    )


def test_smd_and_odds_ratios_are_those_of_effects(tmp_path):
    arms = pd.DataFrame(
        {
            "study": ["s", "s"],
            "treatment": ["A", "B"],
            "n": [20.0, 25.0],
            "mean": [3.0, 4.0],
            "sd": [2.0, 1.5],
            "events": [5.0, 12.0],
        }
    )
    continuous = imported(tmp_path, "a.csv", "study,treatment,n,mean,sd\ns,A,20,3,2\ns,B,25,4,1.5\n", Options("arms"))
    expected = contrasts_from_arms(arms, measure="SMD").table.iloc[0]
    assert continuous.contrasts.at[0, "te"] == -expected["te"], (
        "pain: lower is better, and te > 0 favours the first-named"
    )
    assert continuous.contrasts.at[0, "se"] == expected["se"]
    assert any("sign of te was turned" in sentence for sentence in continuous.conversions)
    binary = imported(
        tmp_path, "b.csv", "study,treatment,n,events\ns,A,20,5\ns,B,25,12\n", Options("arms", outcome="responders")
    )
    expected = contrasts_from_arms(arms, measure="OR").table.iloc[0]
    assert (binary.contrasts.at[0, "te"], binary.contrasts.at[0, "se"]) == (expected["te"], expected["se"])
    assert not any("sign" in sentence for sentence in binary.conversions), "responders: more is better on both scales"


def test_medians_become_means_by_wan_and_say_so(tmp_path):
    text = "study,treat,n,mean,sd,median,q1,q3\ns,A,20,,,6,5,8\ns,B,22,7,2,,,\n"
    result = imported(tmp_path, "wan.csv", text, Options("arms", measure="MD"), review_of("MD"))
    mean, sd = mean_sd_from_quantiles(20, 6, q1=5, q3=8)
    assert result.arms.loc[0, ["mean", "sd"]].tolist() == [float(mean), float(sd)]
    assert next(sentence for sentence in result.conversions if "Wan 2014" in sentence).endswith("row 1 (s, A)")


def test_missing_sds_are_imputed_as_far_as_asked_with_a_log(tmp_path):
    text = "study,treat,n,mean,sd,sd_baseline\ns,A,20,5,,1.5\ns,B,20,6,2,\nt,A,20,5,,\nt,B,20,6,3,\nu,A,20,5,1,\nu,B,20,6,1.25,\n"
    result = imported(tmp_path, "sd.csv", text, Options("arms"))
    assert "SD 1.5 imputed from its baseline SD: row 1 (s, A)" in result.conversions and result.source["used"] == 4
    assert any("1 arms have a mean but no SD; --impute-sd would use" in note for note in result.warnings)
    result = imported(tmp_path, "sd.csv", text, Options("arms", impute_sd=True))
    log = "\n".join(result.conversions)
    assert "SD 1.5 imputed from its baseline SD: row 1 (s, A)" in log
    # The mean of 1.5 (baseline), 2, 1 and 1.25, the SDs of the other studies
    assert (
        "SD 1.4375 imputed from the mean SD of 4 arms of other studies, taken to be on the same scale: row 3 (t, A)"
        in log
    )
    without = imported(tmp_path, "sd.csv", text, Options("arms", impute=False))
    assert without.source["used"] == 2 and not any("imputed" in sentence for sentence in without.conversions)
    assert {(row, reason) for row, reason in zip(without.listed["row"], without.listed["reason"], strict=True)} == {
        ("1", "A: no sd"),
        ("2", "B: no other arm of the study is usable"),
        ("3", "A: no sd"),
        ("4", "B: no other arm of the study is usable"),
    }


def test_decimal_commas_and_typographic_minus_signs_are_read_and_reported(tmp_path):
    text = "studlab;treat1;treat2;TE;seTE\na;A;B;\N{MINUS SIGN}0,45;0,2\n"
    result = imported(tmp_path, "continental.csv", text, Options("contrasts"))
    assert result.contrasts.loc[0, ["te", "se"]].tolist() == [-0.45, 0.2]
    assert len(result.conversions) == 2


def test_a_caption_above_the_header_is_skipped_where_asked(tmp_path):
    text = "Supplementary table,,,,\nstudlab,treat1,treat2,TE,seTE\na,A,B,0.1,0.2\n"
    with pytest.raises(TableError, match="use --skip"):
        imported(tmp_path, "caption.csv", text, Options("contrasts"))
    assert len(imported(tmp_path, "caption.csv", text, Options("contrasts", skip=1)).contrasts) == 1


def test_repeated_estimates_and_separate_parts_are_kept_and_named(tmp_path):
    text = "studlab,treat1,treat2,TE,seTE\na,A,B,0.1,0.2\na,A,B,0.2,0.2\nb,A,C,0.3,0.2\nc,D,E,0.4,0.2\nd,A,B,.1,.2\nd,A,C,.2,.2\nd,B,C,.1,.2\n"
    result = imported(tmp_path, "parts.csv", text, Options("contrasts"))
    assert len(result.contrasts) == 7
    first, second, third, *_ = result.warnings
    assert "1 of 7 contrasts are not connected with the largest part of the network (D and E)" in first
    assert "several estimates of one comparison (a); each counts as a study of its own, which" in second, (
        "d has three arms and repeats nothing"
    )
    assert "A, B, C, D, E: not among the treatments of nma_published.csv" in third


def test_the_supplement_s_treatments_are_known_after_labelling(tmp_path):
    assert of_example(tmp_path, "netmeta").warnings == []


def test_writing_records_file_checksum_and_versions_and_reads_back_the_same(tmp_path):
    data = measured_as("MD", copy_data(tmp_path))
    name, content, options = EXAMPLES["MetaInsight, wide"]
    (tmp_path / name).write_bytes(content)
    result = read_trials(tmp_path / name, options, data)
    place = write_trials(result, data, replace_printed=True)
    assert place == data / "trials"
    pd.testing.assert_frame_equal(load_trials(data), result.contrasts, check_exact=True, check_dtype=False)
    pd.testing.assert_frame_equal(load_arms(data), result.arms, check_exact=True, check_dtype=False)
    (entry,) = load_source(data)["sources"]
    assert entry["sha256"] == hashlib.sha256(content).hexdigest() and entry["file"] == name
    assert entry["format"] == "MetaInsight, wide" and entry["columns"]["mean2"] == "Mean.2"
    assert {"psps-paper", "numpy", "pandas", "scipy"} == set(load_source(data)["versions"])
    assert list(load_table("contrasts", place).columns) == ["outcome", "study", "treat1", "treat2", "te", "se", "rows"]


def test_another_outcome_stays_and_the_same_one_is_replaced(tmp_path):
    data = copy_data(tmp_path)
    first = imported(tmp_path, "a.csv", "studlab,treat1,treat2,TE,seTE\na,A,B,0.1,0.2\n", Options("contrasts"), data)
    second = imported(
        tmp_path,
        "b.csv",
        "studlab,treat1,treat2,TE,seTE\nb,A,B,0.3,0.2\n",
        Options("contrasts", outcome="disability"),
        data,
    )
    third = imported(tmp_path, "c.csv", "studlab,treat1,treat2,TE,seTE\nc,A,B,0.5,0.2\n", Options("contrasts"), data)
    for result in (first, second, third):
        write_trials(result, data, replace_printed=True)
    assert set(zip(load_trials(data)["outcome"], load_trials(data)["study"], strict=True)) == {
        ("pain", "c"),
        ("disability", "b"),
    }
    assert [entry["file"] for entry in load_source(data)["sources"]] == ["b.csv", "c.csv"]


def test_a_trial_is_added_once_and_only_to_trials(tmp_path):
    data = copy_data(tmp_path)
    new = imported(
        tmp_path,
        "new.csv",
        "studlab,treat1,treat2,TE,seTE\nnew,neuromodulation,placebo/sham,0.5,0.2\n",
        Options("contrasts"),
        data,
    )
    with pytest.raises(TableError, match="--add needs trials of outcome pain to add to"):
        write_trials(new, data, add=True)
    assert not (data / "trials").exists()
    name, content, options = EXAMPLES["netmeta"]
    write_trials(imported(tmp_path, name, content, options, data), data, replace_printed=True)
    write_trials(new, data, add=True)
    assert len(load_trials(data)) == 26 and len(load_source(data)["sources"]) == 2
    with pytest.raises(TableError, match="study 'new' is already in contrasts.csv"):
        write_trials(new, data, add=True)
    assert len(load_trials(data)) == 26


def test_notes_on_an_addition_are_on_all_trials_together(tmp_path, capsys):
    data = copy_data(tmp_path)
    name, content, options = EXAMPLES["netmeta"]
    write_trials(imported(tmp_path, name, content, options, data), data, replace_printed=True)
    command = ["import", str(tmp_path / "new.csv"), "--kind", "contrasts", "--data", str(data), "--add"]
    (tmp_path / "new.csv").write_text("studlab,treat1,treat2,TE,seTE\nnew,foo,bar,0.5,0.2\n")
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "note: 1 of 26 contrasts are not connected with the largest part of the network (bar and foo)" in said
    assert "no estimate of" not in said, "the trials that are there have all printed treatments"
    (tmp_path / "new.csv").write_text(
        f"studlab,treat1,treat2,TE,seTE\n{star_demo()['study'][0]},neuromodulation,conservative,0.5,0.2\n"
    )
    assert main(command) == 2
    assert "is already in contrasts.csv" in capsys.readouterr().err, "the dry run looks at what is there"


def test_an_addition_in_another_measure_is_refused(tmp_path):
    data = copy_data(tmp_path)
    name, content, options = EXAMPLES["netmeta"]
    write_trials(imported(tmp_path, name, content, options, data), data, replace_printed=True)
    measured_as("MD", data)
    new = imported(
        tmp_path,
        "new.csv",
        "studlab,treat1,treat2,TE,seTE\nnew,neuromodulation,conservative,0.5,0.2\n",
        Options("contrasts"),
        data,
    )
    with pytest.raises(
        TableError, match="new.csv: gives MD, but netmeta.csv, already imported, gave SMD; expected one measure"
    ):
        beside_present(new, data)


def test_contrasts_added_to_arms_report_which_arms_exports_will_not_include(tmp_path):
    data = copy_data(tmp_path)
    arms = "study,treatment,n,mean,sd\ns,neuromodulation,20,3,2\ns,conservative,25,4,1.5\n"
    write_trials(imported(tmp_path, "arms.csv", arms, Options("arms"), data), data, replace_printed=True)
    new = imported(
        tmp_path,
        "new.csv",
        "studlab,treat1,treat2,TE,seTE\nnew,neuromodulation,conservative,0.5,0.2\n",
        Options("contrasts"),
        data,
    )
    assert "some studies have no arms; exports of arms will not include new" in beside_present(new, data).warnings
    name, content, options = EXAMPLES["netmeta"]
    more = beside_present(imported(tmp_path, name, content, options, data), data)
    assert "exports of arms will not include s1_1, s1_10, s1_11, s1_12, s1_13 and 20 more" in more.warnings[-1]
    write_trials(new, data, add=True)
    assert [entry["kind"] for entry in load_source(data)["sources"]] == ["arms", "contrasts"]


def test_the_package_s_own_contrasts_are_read_by_outcome(tmp_path):
    data = copy_data(tmp_path)
    text = "studlab,treat1,treat2,TE,seTE\na,neuromodulation,conservative,0.1,0.2\n"
    for outcome in ("pain", "responders"):
        write_trials(
            imported(tmp_path, "a.csv", text, Options("contrasts", outcome=outcome), data), data, replace_printed=True
        )
    path = data / "trials" / "contrasts.csv"
    with pytest.raises(
        TableError, match="column 'outcome' holds 2 outcomes; choose one: --outcome pain; --outcome responders"
    ):
        read_trials(path, Options("contrasts"), data)
    result = read_trials(path, Options("contrasts", outcome="responders"), data)
    assert (len(result.contrasts), result.source["read"], result.listed["reason"].tolist()) == (1, 2, ["not selected"])
    assert "columns not read: outcome, rows" in report(result)
    with pytest.raises(
        TableError,
        match="column 'outcome' is 'responders', but 'pain' was to be read; choose it with --outcome responders",
    ):
        read_trials(path, Options("contrasts", where={"outcome": "responders"}), data)


def test_printed_treatments_and_comparisons_missing_from_the_data_are_named_and_new_ones_too(tmp_path):
    text = (
        "studlab,treat1,treat2,TE,seTE\na,neuromodulation,conservative,0.1,0.2\nb,conservative,placebo/sham,0.1,0.2\nc,drug"
        " pump,conservative,.2,.2\n"
    )
    notes = imported(tmp_path, "a.csv", text, Options("contrasts")).warnings
    assert notes[0].startswith("drug pump: not among the treatments of nma_published.csv")
    assert notes[1].startswith(
        "no estimate of conservative + minimally invasive: their printed numbers, and ranks, cannot be checked"
    )
    assert notes[2].startswith(
        "no estimate of neuromodulation against placebo/sham; neuromodulation against conservative + minimally"
        " invasive: "
    )
    assert notes[3].startswith("drug pump: no row in treatment_classes.csv") and "add a row" in notes[3]
    assert notes[4].startswith(
        "drug pump: not in the order of treatments of pain in outcomes.csv, so small-study effects are tested in the"
        " order of"
    )
    other = imported(tmp_path, "a.csv", text, Options("contrasts", outcome="disability")).warnings
    assert [note.partition(":")[0] for note in other] == ["drug pump"] * 2, "nothing is printed of another outcome"


def test_a_file_of_one_row_does_not_replace_the_printed_network_unless_asked(tmp_path, capsys):
    data = copy_data(tmp_path)
    (tmp_path / "one.csv").write_text("studlab,treat1,treat2,TE,seTE\nnew,neuromodulation,placebo/sham,0.3,0.2\n")
    command = ["import", str(tmp_path / "one.csv"), "--kind", "contrasts", "--data", str(data), "--write"]
    assert main(command) == 2
    refusal = capsys.readouterr().err
    # As printed, data/nma_published.csv: 19 + 4 + 2 estimates, two contrasts with their intervals
    for lost in (
        "treatments: conservative, conservative + minimally invasive",
        "neuromodulation against placebo/sham, 1 of 19",
        "neuromodulation against conservative + minimally invasive, 0 of 4",
        "neuromodulation against conservative, 0 of 2",
        "neuromodulation against placebo/sham 0.36 (0.18 to 0.53)",
        "0.45 (0.14 to 0.76)",
        "--replace-printed",
    ):
        assert lost in refusal
    assert not (data / "trials").exists() and book_network(data).tier == "implied"
    assert main([*command, "--outcome", "disability"]) == 0, "nothing is printed of this outcome"
    assert book_network(data).tier == "implied"
    assert main([*command, "--replace-printed"]) == 0 and book_network(data).tier == "recomputed"


def test_labels_that_differ_in_case_only_are_named(tmp_path):
    text = "studlab,treat1,treat2,TE,seTE\nS,x,B,0.1,0.2\ns,X,B,0.1,0.2\n"
    notes = "\n".join(imported(tmp_path, "a.csv", text, Options("contrasts")).warnings)
    assert (
        "treatments 'X' and 'x' differ in upper and lower case only and count as 2; if they are one, add --label 'X=x'"
        in notes
    )
    assert "studies 'S' and 's' differ in upper and lower case only and count as 2" in notes


def test_quartiles_without_width_leave_the_sd_missing_and_say_so(tmp_path):
    text = "study,treat,n,mean,sd,median,q1,q3,sd_baseline\ns,A,20,,,6,6,6,2\ns,B,22,7,2,,,,\n"
    result = imported(tmp_path, "flat.csv", text, Options("arms"))
    assert not any("mean and SD from the median" in sentence for sentence in result.conversions)
    assert any(
        sentence.startswith("mean from the median (Wan 2014); quartiles or a range of zero width give an SD of 0")
        and sentence.endswith("row 1 (s, A)")
        for sentence in result.conversions
    )
    assert result.arms["sd"].tolist() == [2, 2]


@pytest.mark.parametrize("header", ['"",', ","])
def test_r_s_row_numbers_and_empty_columns_without_a_name_are_left_out(tmp_path, header):
    text = header + "studlab,,treat1,treat2,TE,seTE\n" + '"1",a,,A,B,0.1,0.2\n"7",b,,A,B,0.1,0.2\n'
    result = imported(tmp_path, "r.csv", text, Options("contrasts"))
    assert len(result.contrasts) == 2
    assert "note: column 1 has no name and holds row numbers; it is not read" in report(result)
    assert "note: column 3 has no name and is empty" in report(result)


def test_a_table_may_start_in_column_b_and_hidden_rows_are_named(tmp_path):
    book = openpyxl.Workbook()
    for row in (
        ["", "studlab", "treat1", "treat2", "TE", "seTE"],
        [None, "a", "A", "B", 0.1, 0.2],
        [None, "b", "A", "B", 0.2, 0.2],
    ):
        book.active.append(row)
    book.active.row_dimensions[3].hidden = True
    book.save(tmp_path / "b.xlsx")
    result = read_trials(tmp_path / "b.xlsx", Options("contrasts"), DATA)
    assert len(result.contrasts) == 2
    assert "rows hidden in the workbook are read like the others: 3 of the sheet" in result.warnings


def test_a_table_edited_by_hand_is_noticed(tmp_path):
    data = copy_data(tmp_path)
    name, content, options = EXAMPLES["netmeta"]
    write_trials(imported(tmp_path, name, content, options, data), data, replace_printed=True)
    path = data / "trials" / "contrasts.csv"
    path.write_bytes(path.read_bytes().replace(b"-0.381", b"0.381"))
    with pytest.raises(TableError, match="its checksum is not the one in source.json"):
        load_trials(data)


def test_the_command_reports_first_and_writes_only_where_asked(tmp_path, capsys):
    data = copy_data(tmp_path)
    name, content, _ = EXAMPLES["netmeta"]
    (tmp_path / name).write_bytes(content)
    command = [
        "import",
        str(tmp_path / name),
        "--kind",
        "contrasts",
        "--data",
        str(data),
        *[f"--label={old}={new}" for old, new in LABELS.items()],
    ]
    assert main(command) == 0
    dry = capsys.readouterr()
    assert dry.err == "" and "read 25 rows, used 25, listed below 0" in dry.out
    assert dry.out.endswith("nothing was written; to write, add --write\n")
    assert not (data / "trials").exists()
    assert main([*command, "--write"]) == 0
    assert capsys.readouterr().out.endswith(f"wrote {data / 'trials'}\n")
    assert len(load_trials(data)) == 25


def test_the_book_shows_what_became_of_each_layout():
    """The table on the page of the data dictionary; of its samples some are made to need an option or a correction."""
    table = layouts_tried()
    assert len(table) >= 62 and table["layout"].is_unique
    read = table[table["first_try"] != "refused"]
    assert (read["rows"] == read["used"] + read["listed"]).all() and (read["contrasts"] > 0).all()
    assert dict(table[table["first_try"] != "yes"].set_index("layout")["first_try"]) == {
        "A caption above the header": "with --skip 1",
        "metafor, counts": "with --set treat1=x --set treat2=y",
        "Follow-up of each person as time": "refused",
        "Three arms, two contrasts": "refused",
        "Odds ratio with a standard error": "refused",
        "Points that may be thousands": "refused",
        "RevMan Web, O-E and variance": "with --set treat1=x --set treat2=y",
        "RevMan Web, two analyses": "refused",
        "meta, two groups": "with --set treat1=x --set treat2=y",
        "metafor, a two by two table": "with --set treat1=x --set treat2=y",
        "Columns named by outcomes": "refused",
    }
    # The line without a result, three headings of RevMan 5, the note below, the units, the arm of dashes, the total
    assert table["listed"].sum() == 8
