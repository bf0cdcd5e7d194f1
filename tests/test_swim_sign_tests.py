"""Synthesis without meta-analysis: directions, sign tests and summary sentences."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest

from conftest import BOOK
from psps_paper.article import swim
from psps_paper.article.facts import arm_numbers, contrast_numbers
from psps_paper.article.studies import included
from psps_paper.book.studies import lean_sentence, repeated_groups
from psps_paper.figures.studies import effect_direction
from psps_paper.tables.conditions import select
from psps_paper.tables.load import load_table

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def studies():
    return load_table("studies")


@pytest.fixture(scope="module")
def facts():
    return load_table("study_facts")


def by_counting(leading, n):
    """Twice the tail of the binomial with probability one half, by counting outcomes: Dixon & Mood 1946."""
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(leading, n + 1)) / 2**n)


def test_sign_test_against_counting():
    assert np.isnan(swim.sign_p(0, 0))
    for better, worse in list(itertools.product(range(9), repeat=2))[1:]:
        assert swim.sign_p(better, worse) == pytest.approx(by_counting(max(better, worse), better + worse), rel=1e-12)


def test_studies_without_a_difference_are_no_evidence_of_one():
    for better, worse in itertools.product(range(6), repeat=2):
        ps = [swim.sign_p(better, worse, even) for even in range(not better + worse, 12)]
        assert ps == sorted(ps), "a further study without a difference never lowers p"
        expected = by_counting(max(better, worse), better + worse + 4)
        assert swim.sign_p(better, worse, 4) == pytest.approx(expected, rel=1e-12)
        if better == worse:
            assert ps[-1] == 1


def test_ten_null_studies_show_nothing(studies):
    assert swim.sign_p(0, 0, 10) == 1
    # the groups that favour no side at all
    for by in ("subclass", "clinical_group"):
        table = swim.sign_tests(studies, by=by).set_index("group")
        none = (table["favours intervention"] + table["favours comparator"] == 0) & (table["no difference"] > 0)
        assert (
            none.sum() >= 2
            and (table.loc[none, "p with no difference counted against"] == 1).all()
            and table.loc[none, "p"].isna().all()
        )
        both = table.dropna(subset="p")
        assert (both["p with no difference counted against"] >= both["p"]).all()


def test_three_of_three_cannot_reach_five_percent():
    assert swim.sign_p(3, 0) == 2 * 0.5**3
    with pytest.raises(ValueError, match="worse=-1"):
        swim.sign_p(2, -1)


@pytest.mark.parametrize("by", ["subclass", "clinical_group", "treatment_class"])
def test_every_study_is_counted_once(studies, by):
    table = swim.sign_tests(studies, by=by)
    directions = ["favours intervention", "favours comparator", "no difference", "mixed", "not reported"]
    assert table["studies"].sum() == 49
    assert (table[directions].sum(axis=1) == table["studies"]).all()


def test_ties_enter_only_the_second_p(studies):
    # SCS against sham or placebo: 3 in favour, 2 no difference, 1 without a conclusion
    row = swim.sign_tests(studies, by="clinical_group").set_index("group").loc["SCS against sham or placebo"]
    assert row["p"] == 0.25 and row["p with no difference counted against"] == by_counting(3, 5)


def test_no_group_reaches_five_percent(studies):
    # whatever the grouping, too few studies favour one arm
    for by in ("subclass", "clinical_group"):
        assert swim.sign_tests(studies, by=by)["p"].min() > 0.05


@pytest.mark.parametrize("by", ["subclass", "clinical_group"])
def test_direction_rows_draw(studies, facts, by):
    rows = swim.direction_rows(studies, facts, by=by)
    assert len(rows) == 49 and len(effect_direction(rows).data) == 49


@pytest.fixture(scope="module")
def tables(studies, facts):
    return studies, facts, load_table("fact_arms"), load_table("outcomes")


def test_direction_table_and_rows_agree(tables):
    studies, facts, _, _ = tables
    table = swim.effect_direction_table(*tables, by="subclass", treatment_class="surgery")
    rows = swim.direction_rows(studies, facts, treatment_class="surgery")
    assert table["stated direction"].tolist() == rows["direction"].tolist()
    assert table["first-named arm"].str.contains("SCS").any()
    assert str(table["patients"].dtype) == "Int64"


def test_groups_that_a_clinician_would_ask_for(studies):
    groups = included(studies).groupby("clinical_group")["ref"].agg(set)
    # ref 49 stimulates under the skin and has no SCS; 53 compares routes of one injectate, the others what is injected
    assert groups["SCS added to medical management"] == {57, 71} and groups[
        "subcutaneous stimulation added to medical management"
    ] == {49}
    assert groups["epidural injectate"] == {30, 31, 48, 50, 59, 61} and groups["epidural route"] == {53}
    with_scs = included(studies).set_index("ref")["scs_arm"] == "yes"
    for name in groups.index[groups.index.str.startswith("SCS ")]:
        assert with_scs[sorted(groups[name])].all(), name


def made(rows, *, basis="within arm", field="outcome_mean", unit="points 0 to 10", outcome="pain", time="2 weeks"):
    """Facts of study s: (arm, number), with anything else by name."""
    base = {
        "study": "s",
        "field": field,
        "unit": unit,
        "outcome": outcome,
        "time": time,
        "basis": basis,
        "chosen": "yes",
        "relation": "=",
        "source_kind": "abstract",
        "source_url": "https://example.org",
        "counted": None,
        "value": None,
    }
    return pd.DataFrame(
        [
            {**base, "fact": f"s.{number}", "arm": arm, "number": float(value), **other}
            for number, (arm, value, other) in enumerate(rows)
        ]
    )


PLACES = pd.DataFrame(
    [
        ("s", "a", 1, pd.NA),
        ("s", "b", 2, pd.NA),
        ("s", "c", 3, pd.NA),
        ("s", "b vs a", 2, 1),
        ("s", "pooled", pd.NA, pd.NA),
    ],
    columns=["study", "arm", "position", "against"],
).astype({"position": "Int64", "against": "Int64"})
PAIN = pd.DataFrame({"outcome": ["pain"], "scale_desirable": ["lower"]})
ONE = pd.DataFrame({"study": ["s"], "status": ["included"]})
NOTHING = {}


@pytest.mark.parametrize(
    "facts, lean",
    [
        (made([("a", 4, NOTHING), ("b", 5, NOTHING)]), "to the first arm"),
        (made([("a", 5, NOTHING), ("b", 4, NOTHING), ("c", 5, NOTHING)]), "to another arm"),
        (made([("a", 5, NOTHING), ("b", 4, NOTHING), ("c", 6, NOTHING)]), "both ways"),
        (made([("a", 5, NOTHING), ("b", 5, NOTHING)]), "to none"),
        (
            made([("a", 60, NOTHING), ("b", 50, NOTHING)], field="responders_percent", unit="percent"),
            "to the first arm",
        ),
        (made([("a", -60, NOTHING), ("b", -50, NOTHING)], field="percent_change", unit="percent"), "to the first arm"),
        (made([("b vs a", -1, NOTHING)], basis="between arms", field="mean_difference"), "to another arm"),
        (made([("b vs a", 9, NOTHING)], basis="between arms", field="mean_difference", unit="percent"), "not seen"),
        (made([("b", 4, NOTHING), ("c", 5, NOTHING)]), "not seen"),
        (made([("a", 4, NOTHING), ("b", 5, {"time": "1 year"})]), "not seen"),
        (made([("a", 4, NOTHING), ("b", 50, {"unit": "mm 0 to 100"})]), "not seen"),
        (made([("a", 4, NOTHING), ("b", 5, {"outcome": "leg pain"})]), "not seen"),
        (made([("a", 4, NOTHING), ("b", 5, {"chosen": "no"})]), "not seen"),
        (made([("a", 4, NOTHING), ("b", 5, {"source_kind": "article"})]), "not seen"),
        (made([("a", 4, NOTHING), ("b", 5, NOTHING)], outcome="disability"), "not seen"),
        (made([("a", 4, NOTHING), ("b", 5, NOTHING)], outcome="back pain"), "to the first arm"),
        (made([("a", 4, NOTHING), ("pooled", 5, NOTHING)]), "not seen"),
    ],
)
def test_where_numbers_lean(facts, lean):
    found = swim.leanings(ONE, facts, PLACES, PAIN).iloc[0]
    assert found["lean"] == lean and (found["numbers"] == "") == (lean == "not seen")
    # what is desirable turns every direction but that of responders
    turned = swim.leanings(ONE, facts, PLACES, PAIN.assign(scale_desirable="higher"))["lean"].iloc[0]
    other = {"to the first arm": "to another arm", "to another arm": "to the first arm"}
    assert turned == (lean if facts["field"].iloc[0].startswith("responders") else other.get(lean, lean))


def test_counts_without_percentages_are_compared_as_shares():
    rows = [
        (arm, n, {"field": field, "unit": "patients"})
        for arm, events, total in [("a", 5, 10), ("b", 6, 30)]
        for field, n in [("responders_n", events), ("responders_total", total)]
    ]
    found = swim.leanings(ONE, made(rows), PLACES, PAIN).iloc[0]
    assert (found["lean"], found["numbers"]) == ("to the first arm", "pain, 2 weeks: responders a 5 of 10, b 6 of 30")
    assert swim.leanings(ONE, made(rows[:3]), PLACES, PAIN)["lean"].iloc[0] == "not seen", "a count without its total"


def test_an_arm_that_nobody_placed_is_named():
    with pytest.raises(ValueError, match="fact_arms.csv, column arm: no row for 'd' of s"):
        swim.leanings(ONE, made([("a", 4, NOTHING), ("d", 5, NOTHING)]), PLACES, PAIN)


def test_statements_of_no_difference_whose_numbers_lean(tables):
    table = swim.effect_direction_table(*tables)
    refs = table["study"].str.extract(r"ref (\d+)", expand=False).astype(int)
    leans = dict(zip(refs, table["numbers lean"], strict=True))
    even = table["stated direction"] == "no difference"
    # abstracts: ref 66 4.18 against 5.17, 5.27 and sham 5.42; ref 55 -77 against -64 %; ref 11 -40.2 against -25.6 %;
    # ref 45 23 against 25 of 30
    assert {ref: leans[ref] for ref in (66, 55, 11, 45)} == {66: LEAN, 55: LEAN, 11: LEAN, 45: "to another arm"}
    # ref 29 does not say which arm is subtracted, ref 64 gives numbers of disability only, ref 56 no value of both arms
    # at one dose and time
    assert [leans[ref] for ref in (29, 64, 56)] == ["not seen"] * 3
    lean = table["numbers lean"]
    n_even, n_seen, n_one_way = swim.one_way(table)
    assert len(table) == 49 and (n_even, n_seen) == (even.sum(), (even & (lean != "not seen")).sum())
    assert n_one_way == (even & lean.isin([LEAN, "to another arm"])).sum() == 9
    # no trial is said to favour an arm against which its own numbers lean
    assert not ((table["stated direction"] == "favours intervention") & (lean == "to another arm")).any()


LEAN = "to the first arm"


def test_every_arm_with_numbers_has_its_place(tables):
    studies, facts, arms, _ = tables
    n_arms = studies.dropna(subset="arms").set_index("study")["arms"].str.count(" [|] ") + 1
    assert (arms["position"].dropna() <= n_arms[arms.loc[arms["position"].notna(), "study"]].to_numpy()).all()
    assert (arms["against"].dropna() <= n_arms[arms.loc[arms["against"].notna(), "study"]].to_numpy()).all()
    assert not arms.duplicated(["study", "arm"]).any()
    single = arms[arms["position"].notna() & arms["against"].isna()]
    assert not single.duplicated(["study", "position"]).any()
    named = {
        (row.study, row.arm) for table in (arm_numbers(facts), contrast_numbers(facts)) for row in table.itertuples()
    }
    assert {(row.study, row.arm) for row in arms[arms["position"].notna()].itertuples()} - named <= {
        ("khosravi2014", "gabapentin"),
        ("khosravi2014", "naproxen"),
    }


@pytest.mark.parametrize("stem", ["conservative", "minimally_invasive", "neuromodulation", "surgery"])
def test_class_pages_say_what_a_direction_is_and_show_each_table_once(stem):
    cells = json.loads((BOOK / f"narrative_{stem}.ipynb").read_text(encoding="utf-8"))["cells"]
    prose = " ".join(" ".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown").split())
    shown = [cell for cell in cells if cell["cell_type"] == "code" and "show" in "".join(cell["source"])[:5]]
    assert all(len(cell["outputs"]) == 1 and "".join(cell["source"]).count("show(") <= 1 for cell in shown)
    markup = "".join(
        "".join(out["data"].get("text/html", "")) for cell in cells for out in cell.get("outputs", []) if "data" in out
    )
    wanted = ["directions-and-numbers", "summary-claims"]
    if stem == "surgery":  # two trials, each a question of its own: nothing to count
        assert "A direction is a statement about significance" in markup and "sign-tests" not in markup
    else:
        wanted += ["sign-tests"]
        assert "It is not the sign of an effect" in prose
        assert "counts a trial" in prose and "patient_information.ipynb" in prose
    assert [markup.count(f'id="table-{name}"') for name in wanted] == [1] * len(wanted)
    assert "the directions that it states for the studies cited" in markup


def test_only_questions_with_several_studies_have_a_sign_test(studies):
    for kind in ("conservative", "minimally invasive", "neuromodulation"):
        rows = repeated_groups(swim.sign_tests(studies, by="clinical_group", treatment_class=kind))
        assert len(rows) and rows["studies"].min() > 1


@pytest.mark.parametrize(
    ("stated", "leans", "says"),
    [
        (["favours intervention"], ["not seen"], "No study here"),
        (["no difference"], ["not seen"], "For the only study said to show no difference no public"),
        (["no difference"], ["to the first arm"], "leans one way in"),
        (["no difference"], ["both ways"], "leans no way in"),
        (
            ["no difference"] * 3,
            ["both ways", "to another arm", "not seen"],
            "Public numbers were found for 2 of the 3 studies said to show no difference; 1 of the 2 lean one way.",
        ),
        (
            ["no difference"] * 2,
            ["not seen", "to another arm"],
            "found for 1 of the 2 studies said to show no difference; it leans",
        ),
        (["no difference"] * 2, ["both ways", "not seen"], "it does not lean one way."),
        (["no difference"] * 2, ["not seen"] * 2, "found for none of the 2 studies said to show no difference."),
    ],
)
def test_the_sentence_on_leaning_numbers_is_english_for_every_count(stated, leans, says):
    assert says in lean_sentence(pd.DataFrame({"stated direction": stated, "numbers lean": leans}))


def test_grouping_must_be_known(studies, facts):
    with pytest.raises(ValueError, match="by='journal'"):
        swim.sign_tests(studies, by="journal")
    with pytest.raises(ValueError, match="treatment_class='diet'"):
        swim.direction_rows(studies, facts, treatment_class="diet")


@pytest.mark.parametrize(
    "expected, counts, verdict",
    [
        ("all favour the first arm", (2, 0, 0, 0), "yes"),
        ("all favour the first arm", (2, 0, 0, 1), "cannot tell"),
        ("all favour the first arm", (2, 0, 1, 0), "no"),
        ("all favour the first arm", (2, 1, 0, 0), "no"),
        ("all favour the first arm", (2, 1, 0, 1), "no"),
        ("most favour the first arm", (4, 0, 2, 0), "yes"),
        ("most favour the first arm", (2, 0, 2, 0), "no"),
        ("most favour the first arm", (2, 2, 0, 0), "no"),
        ("most favour the first arm", (2, 0, 2, 1), "cannot tell"),
        ("most favour the first arm", (2, 2, 0, 1), "cannot tell"),
        ("most favour the first arm", (2, 3, 0, 1), "no"),
        ("most show no difference", (4, 0, 7, 1), "yes"),
        ("most show no difference", (4, 3, 7, 1), "cannot tell"),
        ("all show no difference", (0, 0, 3, 0), "yes"),
        ("all show no difference", (1, 0, 2, 0), "no"),
        ("all show no difference", (0, 1, 2, 0), "no"),
        ("directions differ", (2, 0, 1, 0), "yes"),
        ("directions differ", (1, 1, 0, 0), "yes"),
        ("directions differ", (3, 0, 0, 0), "no"),
        ("directions differ", (2, 0, 0, 1), "cannot tell"),
        ("not testable", (5, 0, 0, 0), "not testable"),
    ],
)
def test_agreement_of_a_sentence_with_counts(expected, counts, verdict):
    assert swim.agreement(expected, *counts) == verdict


def test_summary_sentences_against_the_table(studies):
    claims = load_table("summary_claims")
    table = swim.summary_against_table(studies, claims)
    assert set(table["class"]) == set(included(studies)["treatment_class"])
    assert set(table["agrees"]) == {"yes", "not testable"}
    assert ((table["expected"] == "not testable") == (table["agrees"] == "not testable")).all()
    assert table.loc[table["agrees"] == "not testable", "remark"].ne("").all(), "why no direction could contradict it"
    # 7 of the 12 comparisons of SCS paradigms: Results, Narrative synthesis, neuromodulation
    row = table.set_index("claim").loc["more than half of the comparisons of SCS paradigms found no difference"]
    assert (row["favours intervention"], row["favours comparator"], row["no difference"], row["other"]) == (4, 0, 7, 1)
    # the sentence on non-invasive stimulation cites the two trials in favour and none of the two without difference
    narrow = table[table["refs"] == "52, 58"].iloc[0]
    assert (narrow["agrees"], narrow["agrees over the group"]) == ("yes", "no")


def test_an_opposite_direction_speaks_against_the_sentence(studies):
    """Every cited study of a sentence that all favour the first arm, or that none differs, turned round one at a
    time."""
    claims = load_table("summary_claims")
    claims = claims[claims["expected"].str.startswith("all ")]
    cited = {int(ref) for refs in claims["refs"] for ref in refs.split()}
    assert len(cited) == 25
    for ref in cited:
        changed = studies.assign(direction=studies["direction"].mask(studies["ref"] == ref, "favours comparator"))
        table = swim.summary_against_table(changed, claims)
        names = table["refs"].str.split(", ").apply(lambda refs, ref=ref: str(ref) in refs)
        assert names.any() and table.loc[names, "agrees"].eq("no").all(), ref
        assert table.loc[~names, "agrees"].ne("no").all()


def test_conflicting_evidence_needs_directions_that_differ(studies):
    claims = load_table("summary_claims").query("expected == 'directions differ'")
    assert claims["refs"].tolist() == ["26 56 27"]
    alike = studies.assign(direction=studies["direction"].mask(studies["ref"] == 27, "favours intervention"))
    assert swim.summary_against_table(alike, claims)["agrees"].tolist() == ["no"]


def test_cited_studies_are_among_those_on_the_question(studies):
    table = included(studies).set_index("ref", drop=False)
    for claim in load_table("summary_claims").itertuples():
        eligible = set(select(table, claim.could_cite)["ref"])
        cited = {int(ref) for ref in claim.refs.split()}
        assert cited <= eligible, claim.id
        assert set(table.loc[sorted(cited), "treatment_class"]) == {claim.treatment_class}


def test_an_excluded_reference_is_named(studies):
    claims = load_table("summary_claims").head(1).assign(refs="44 88")
    with pytest.raises(ValueError, match=r"refs \[88\]"):
        swim.summary_against_table(studies, claims)


def test_unknown_expectation_is_named():
    with pytest.raises(ValueError, match="expected='some'"):
        swim.agreement("some", 1, 1, 1, 1)
