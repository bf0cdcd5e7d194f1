"""What patients are told: each treatment of the two pages mapped to the included trials."""

import pandas as pd
import pytest

from psps_paper import patient_information as patients
from psps_paper.narrative import included
from psps_paper.network.summary import network_from_pooled
from psps_paper.published import published_network
from psps_paper.tables import load_table

ADVICE = ["should", "recommend", "ask your", "choose", "best"]


def table_of(treatments):
    fit = published_network(load_table("nma_published"), desirable="higher").fit
    return patients.treatments_table(treatments, load_table("patient_phrases"), load_table("studies"), load_table("treatment_classes"), fit)


@pytest.fixture(scope="module")
def table():
    return table_of(load_table("patient_information"))


def test_both_pages_are_there(table):
    assert set(table["named by"]) == {"Caring Medical Florida", "Total Pain Specialist, Singapore"}
    assert len(table) == len(load_table("patient_information"))


@pytest.mark.parametrize("treatment, n", [
    ("spinal cord stimulation", 21), ("mindfulness training", 1), ("pain medicine", 4), ("epidural adhesiolysis", 7),
    ("prolotherapy (sugar injections into ligaments)", 0), ("platelet-rich plasma", 0),
])
def test_number_of_trials(table, treatment, n):
    assert (table.loc[table["treatment"] == treatment, "trials"] == n).all()


def test_no_trial_says_so_everywhere(table):
    none = table[table["trials"] == 0]
    assert len(none) and (none[["refs", "network result"]] == patients.NO_TRIAL).all().all()
    assert none["in plain words"].str.contains("no trial").all()


def test_counts_match_the_registry(table):
    studies = included(load_table("studies")).set_index("ref")
    for row in table[table["trials"] > 0].itertuples():
        refs = [int(ref) for ref in row.refs.split(", ")]
        high = (studies.loc[refs, "rob_overall"] == "high").sum()
        assert row[8] == ", ".join(
            f"{(studies.loc[refs, 'rob_overall'] == name).sum()} {name}" for name in ("low", "some concerns", "high")
            if (studies.loc[refs, "rob_overall"] == name).any()
        )
        assert ("could mislead" in row[11]) == (high > 0)


def test_another_operation_did_worse_than_stimulation(table):
    # ref 70: the first-named arm, which did better, is SCS
    rows = table[table["treatment"] == "another operation"]
    assert rows["in plain words"].str.contains("eased less").all()


def test_forms_of_one_treatment_do_not_count_as_better(table):
    text = table.loc[table["treatment"] == "spinal cord stimulation", "in plain words"].iloc[0]
    assert "9 of them compare it with other care or a sham. Pain eased more with it in 6." in text
    # ref 30 compares bupivacaine with saline; the other trials compare injections with injections
    text = table.loc[table["treatment"] == "epidural injection", "in plain words"].iloc[0]
    assert "One of them compares it with other care or a sham. It made no clear difference to pain." in text
    text = table.loc[table["treatment"] == "opioid pills", "in plain words"].iloc[0]
    assert "does not show if this beats other care" in text


def test_a_trial_has_one_status_in_every_row():
    """The condition is a column of the trial, and no injection trial is shown both as treatment and as its control."""
    studies, rows = included(load_table("studies")), load_table("patient_information")
    assert studies["other_care"].notna().all()
    for other in rows.columns.difference(["trials"]):
        assert not rows[other].astype(str).str.contains("ref in|other_care").any(), other
    chosen = {row.id: set(studies.query(row.trials, engine="python")["ref"]) for row in rows.itertuples()}
    assert not chosen["injections"] & chosen["adhesiolysis"]


def test_other_care_of_each_trial():
    studies = included(load_table("studies"))
    # a placebo arm is other care by definition; so are the saline controls of refs 30, 32 and 33
    assert (studies.loc[studies["placebo_arm"] == "yes", "other_care"] == "yes").all()
    care = studies.set_index("ref")["other_care"]
    assert (care[[30, 32, 33, 44, 47, 49, 57, 70, 71]] == "yes").all()
    # forms of one treatment, or one treatment added to SCS in both arms
    forms = studies["clinical_group"].isin(["SCS waveform against waveform", "SCS material or programming", "stimulation added to SCS"])
    assert (studies.loc[forms, "other_care"] == "no").all()
    assert (care[[26, 31, 48, 53, 54, 56, 59, 62]] == "no").all()


def test_a_class_that_trials_lack_is_said_to_be_outside():
    fit = network_from_pooled(pd.DataFrame([("neuromodulation", "placebo/sham", 0.36, 0.09)], columns=["treat1", "treat2", "te", "se"]))
    notes = load_table("treatment_classes").set_index("treatment_class")["network_note"]
    assert patients.network_result("conservative", notes, fit) == "not in the network of these data"
    assert patients.network_result("surgery", notes, fit) == notes["surgery"]


def test_network_result_of_each_class(table):
    results = table.drop_duplicates("class").set_index("class")["network result"]
    assert "against placebo/sham 0.36 (0.18 to 0.53)" in results["neuromodulation"]
    assert "no clear difference" in results["conservative"]
    assert "only together" in results["minimally invasive"] and "outside" in results["surgery"]


def test_plain_words_give_no_advice_and_are_easy(table):
    text = " ".join(table["in plain words"])
    assert not [word for word in ADVICE if word in text.lower()]
    assert patients.reading_level(text) < 6


def test_reading_level_by_hand():
    # 6 words, 1 sentence, 6 syllables: 0.39 * 6 + 11.8 * 1 - 15.59
    assert patients.reading_level("The cat sat on the mat.") == pytest.approx(-1.45)
    # 3 words, 1 sentence, 1 + 4 + 5 syllables
    assert patients.reading_level("The neurostimulator") > patients.reading_level("The lead")
    with pytest.raises(ValueError, match="no words"):
        patients.reading_level("1. 2.")


def test_a_trial_of_another_class_is_named():
    wrong = load_table("patient_information").head(1).assign(trials="ref == 44")
    with pytest.raises(ValueError, match=r"id scs: refs \[44\]"):
        table_of(wrong)
