"""What patients are told: each treatment of the two pages mapped to the included trials."""

from collections import Counter

import pandas as pd
import pytest

from conftest import BOOK
from psps_paper.article import patient_information as patients
from psps_paper.article.published import published_network
from psps_paper.article.studies import included
from psps_paper.network.summary import network_from_pooled
from psps_paper.tables.conditions import select
from psps_paper.tables.load import load_table

ADVICE = ["should", "recommend", "ask your", "choose", "best"]
# other_care of every included trial, by what its arms get ("Results, Narrative synthesis", and study_facts.csv for refs
# 30 and 34)
OTHER_CARE = {
    # an arm goes without: sham or placebo; saline instead of the drug; usual care or management alone; another kind of
    # treatment
    "yes": [11, 37, 38, 39, 52, 58, 64, 65, 66, 67, 27, *[32, 33], *[44, 47, 49, 57, 71], *[51, 60, 70]],
    # the same active procedure in every arm, and something on top: repeats after one injection that all got (30),
    # dexmedetomidine (31, 48), hyaluronidase (34, 42), drugs (35), adhesiolytic, steroid or both (50), a steroid (59,
    # 61), a second stimulation (43, 72), radiofrequency and an injection with the same screws (10)
    "addition": [30, 31, 48, 34, 42, 35, 50, 59, 61, 43, 72, 10],
    # forms of one treatment: waveforms, materials and programs of SCS; length and route of a procedure; drug against
    # drug
    "no": [*[29, 36, 41, 46, 55, 68], *[28, 40, 63, 69], *[45, 53, 54], *[26, 56, 62]],
}


def table_of(treatments):
    fit = published_network(load_table("nma_published"), desirable="higher").fit
    return patients.treatments_table(
        treatments,
        load_table("patient_phrases"),
        load_table("studies"),
        load_table("treatment_classes"),
        fit,
        load_table("source_differences"),
    )


@pytest.fixture(scope="module")
def table():
    return table_of(load_table("patient_information"))


def of(table, treatment):
    """The first row of a treatment."""
    return table[table["treatment"] == treatment].iloc[0]


def test_both_pages_are_there(table):
    assert set(table["named by"]) == {"Caring Medical Florida", "Total Pain Specialist, Singapore"}
    assert len(table) == len(load_table("patient_information"))


@pytest.mark.parametrize(
    "treatment, n",
    [
        ("spinal cord stimulation", 21),
        ("mindfulness training", 1),
        ("pain medicine", 4),
        ("epidural adhesiolysis", 7),
        ("prolotherapy (sugar injections into ligaments)", 0),
        ("platelet-rich plasma", 0),
    ],
)
def test_number_of_trials(table, treatment, n):
    assert (table.loc[table["treatment"] == treatment, "trials"] == n).all()


def test_no_trial_says_so_everywhere(table):
    none = table[table["trials"] == 0]
    assert len(none) and (none[["refs", "in the network", "network result"]] == patients.NO_TRIAL).all().all()
    assert none["in plain words"].str.contains("no trial").all() and (none["direction"] == "").all()


def test_counts_match_the_registry(table):
    studies = included(load_table("studies")).set_index("ref")
    for row in table[table["trials"] > 0].to_dict("records"):
        refs = [int(ref) for ref in row["refs"].split(", ")]
        high = (studies.loc[refs, "rob_overall"] == "high").sum()
        assert row["risk of bias"] == ", ".join(
            f"{(studies.loc[refs, 'rob_overall'] == name).sum()} {name}"
            for name in ("low", "some concerns", "high")
            if (studies.loc[refs, "rob_overall"] == name).any()
        )
        assert ("could mislead" in row["in plain words"]) == (high > 0)
        assert row["in the network"] == f"{(studies.loc[refs, 'nma_status'] == 'used').sum()} of {len(refs)}"


def test_another_operation_did_worse_than_stimulation(table):
    # ref 70: the first-named arm, which did better, is SCS
    rows = table[table["treatment"] == "another operation"]
    assert rows["in plain words"].str.contains("eased less").all()
    assert (rows["direction"] == "against other care: worse 1").all()


def test_forms_of_one_treatment_do_not_count_as_better(table):
    row = of(table, "spinal cord stimulation")
    assert "9 of them compare it with other care or a sham. Pain eased more with it in 6." in row["in plain words"]
    assert (
        "2 of them add something to a treatment that all groups had. Pain eased more with the addition in 2."
        in row["in plain words"]
    )
    assert "10 of them compare forms of it." in row["in plain words"]
    assert "does not show if this beats other care" in of(table, "opioid pills")["in plain words"]
    # refs 26 and 56 are drug against drug
    medicine = of(table, "pain medicine")["direction"]
    assert "against other care: no difference 1" in medicine and "between its forms: one form better" in medicine


def test_additions_are_told_alike_whatever_is_added(table):
    """Dexmedetomidine and hyaluronidase were each added to the same injection: neither speaks for the injection or the
    procedure."""
    epidural, adhesiolysis = of(table, "epidural injection"), of(table, "epidural adhesiolysis")
    assert "None of them shows if it beats other care. 6 of them add something" in epidural["in plain words"]
    assert "Pain eased more with the addition in 2. There was no clear difference in 4." in epidural["in plain words"]
    # refs 51 and 60 alone put adhesiolysis in place of an injection
    assert (
        "2 of them compare it with other care or a sham. Pain eased more with it in 2. 3 of them add"
        in adhesiolysis["in plain words"]
    )
    for row in (epidural, adhesiolysis):
        assert "with something added: better" in row["direction"]


def test_a_trial_without_a_test_between_groups_says_so(table):
    # source_differences.csv: the abstract of ref 42 gives relief within each group only
    assert "yousef2010" in patients.only_within_groups(load_table("source_differences"))
    row = of(table, "epidural adhesiolysis")
    assert "Pain eased more with the addition in 1." in row["in plain words"]  # ref 34, without ref 42
    assert "In 1, change was tested only within each group, not between them." in row["in plain words"]
    assert "only within each group 1" in row["direction"]


@pytest.mark.parametrize(
    "treatment, tested",
    [
        ("radiofrequency ablation", "this and an injection together, added to screws"),  # ref 10
        ("drug pump to the spine", "before any pump was placed"),  # ref 32: 14 to 18 hours of infusion
    ],
)
def test_a_treatment_is_not_credited_with_what_something_else_showed(table, treatment, tested):
    row = of(table, treatment)
    assert tested in row["in plain words"] and "It did not test quite this." in row["in plain words"]
    assert "more with that" in row["in plain words"] and "more with it" not in row["in plain words"]
    assert row["direction"] == "for what was tested: better 1"


def test_exercise_is_not_said_to_help_whatever_its_kind(table):
    # ref 44: the supervised programmes did better, home exercise did not
    assert "in the groups that had a trainer" in of(table, "exercise therapy")["in plain words"]


def test_a_trial_has_one_status_in_every_row():
    """The condition is a column of the trial, and no injection trial is shown both as treatment and as its control."""
    studies, rows = included(load_table("studies")), load_table("patient_information")
    assert studies["other_care"].notna().all()
    for other in rows.columns.difference(["trials"]):
        assert not rows[other].astype(str).str.contains("ref in|other_care").any(), other
    chosen = {row.id: set(select(studies, row.trials)["ref"]) for row in rows.itertuples()}
    assert not chosen["injections"] & chosen["adhesiolysis"]


def test_other_care_of_each_trial():
    """By the definition in the dictionary of ``studies``, whatever the group: an addition is one for either drug."""
    studies = included(load_table("studies"))
    assert {ref: kind for kind, refs in OTHER_CARE.items() for ref in refs} == dict(
        zip(studies["ref"], studies["other_care"], strict=True)
    )
    assert sum(map(len, OTHER_CARE.values())) == len(studies)
    assert list(OTHER_CARE) == list(patients.KINDS)
    # a placebo or sham arm of the article's list is other care by definition
    assert (studies.loc[studies["placebo_arm"] == "yes", "other_care"] == "yes").all()


def test_arms_that_name_an_addition_are_coded_so():
    """An arm that is another arm "with", "added to" or "and" something: an addition, unless the rest is usual care."""
    studies = included(load_table("studies"))
    for row in studies.itertuples():
        arms = [arm.replace(" alone", "") for arm in row.arms.split(" | ")]
        inside = [
            (a, b)
            for a in arms
            for b in arms
            if a != b and (a.startswith(f"{b} with ") or a.endswith(f" added to {b}"))
        ]
        if inside:
            usual = any("medical management" in smaller for _, smaller in inside)
            assert row.other_care == ("yes" if usual else "addition"), row.ref


def test_a_class_without_trials_is_said_to_be_outside():
    fit = network_from_pooled(
        pd.DataFrame([("neuromodulation", "placebo/sham", 0.36, 0.09)], columns=["treat1", "treat2", "te", "se"])
    )
    notes = load_table("treatment_classes").set_index("treatment_class")["network_note"]
    studies = load_table("studies")
    for treatment_class, says in (("conservative", "not in the network of these data"), ("surgery", notes["surgery"])):
        found = patients.network_result(
            treatment_class, studies[studies["treatment_class"] == treatment_class], studies, notes, fit
        )
        assert found == f"no trial of this treatment is in it; the class is {says}"


def test_no_number_of_the_network_where_no_trial_of_the_treatment_is_in_it(table):
    """Refs 26, 27, 44, 47, 56 and 62 are not eligible; the conservative arm of the network is that of ref 49."""
    outside = table[table["in the network"].str.startswith("0 of")]
    assert {"opioid pills", "mindfulness training", "exercise therapy", "pain medicine"} <= set(outside["treatment"])
    assert not outside["network result"].str.contains(r"SMD|\d\.\d").any()
    assert outside["network result"].str.startswith("no trial of this treatment is in it").all()
    conservative = outside.loc[outside["class"] == "conservative", "network result"].unique()
    assert len(conservative) == 1 and "Eldabe 2019" in conservative[0]


def test_a_result_of_a_class_names_what_else_is_in_it(table):
    # 6 trials of SCS among 10 against placebo or sham; both against the combination; none against conservative (ref 49
    # is subcutaneous)
    result, used = of(table, "spinal cord stimulation"), included(load_table("studies")).query("nma_status == 'used'")
    assert result["in the network"] == "8 of 21"
    text = result["network result"]
    assert text.startswith("of the whole class neuromodulation: ")
    for comparison, group in used.groupby("nma_comparison"):
        own = (group["scs_arm"] == "yes").sum()
        part = text.split(f"against {comparison.split(' vs ')[1]}")[1].split(";")[0]
        assert (
            f"with {own} of {len(group)} trials of this treatment" in part
            if own
            else part == ": no trial of this treatment"
        )
    assert "against placebo/sham SMD 0.36 (0.18 to 0.53)" in text
    assert (
        "auricular acupressure, pulsed electromagnetic field, repetitive transcranial magnetic stimulation, static"
        " magnets" in text
    )
    assert "0.33" not in text


def test_plain_words_give_no_advice_and_are_easy(table):
    prose = [*patients.page_prose(BOOK / "patient_information.ipynb"), *table["in plain words"]]
    assert not [word for word in ADVICE if word in " ".join(prose).lower()]
    assert patients.reading_level(prose) < 5
    # nor is any one sentence hard
    assert {text for text in patients.sentences(prose) if patients.reading_level([text]) > 9} == set()


def test_terms_of_the_page_are_explained_in_its_words():
    prose = " ".join(patients.page_prose(BOOK / "patient_information.ipynb"))
    for term in (
        "A trial puts",
        "A sham looks",
        "Low means",
        "Some concerns means",
        "High means",
        "No clear difference does not mean",
        "SMD is short for",
    ):
        assert term in prose, term


def test_prose_is_without_code_headings_and_numbers_of_cells(tmp_path):
    (tmp_path / "a.ipynb").write_text(
        """{"cells": [{"cell_type": "markdown", "source": ["# Title\\n", "\\n", "*Extends: Results.*\\n", "\\n", "One *word*\\n",
        "and {glue}`n` [link](x.ipynb)."]}, {"cell_type": "code", "source": ["x = 1"]}]}""",
        encoding="utf-8",
    )
    assert patients.page_prose(tmp_path / "a.ipynb") == ["One word and 1 link."]


def test_reading_level_by_hand():
    # 6 words, 1 sentence, 6 syllables: 0.39 * 6 + 11.8 * 1 - 15.59
    assert patients.reading_level(["The cat sat on the mat."]) == pytest.approx(-1.45)
    # 3 words, 1 sentence, 1 + 4 + 5 syllables
    assert patients.reading_level(["The neurostimulator"]) > patients.reading_level(["The lead"])
    with pytest.raises(ValueError, match="no words"):
        patients.reading_level(["...!"])


def test_a_sentence_counts_once_and_a_number_as_it_is_said():
    once = ["The cat sat. A neurostimulator was there."]
    assert patients.reading_level(once * 3) == patients.reading_level(once)
    for digits, words in (("21", "twenty one"), ("7", "seven"), ("60", "sixty"), ("105", "one zero five")):
        assert patients.reading_level([f"In {digits} trials."]) == patients.reading_level([f"In {words} trials."])
    assert Counter(patients.sentences(["One. Two.", "Two. Three?"])) == Counter(["One.", "Two.", "Three?"])


def test_a_trial_of_another_class_is_named():
    wrong = load_table("patient_information").head(1).assign(trials="ref == 44")
    with pytest.raises(ValueError, match=r"id scs: refs \[44\]"):
        table_of(wrong)
