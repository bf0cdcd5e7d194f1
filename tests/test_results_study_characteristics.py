"""The registry of studies against the article: Results "Study Characteristics", reference list, narrative.

The lists are typed from the article, not read from data/, so that a slip in studies.csv shows here. Citation
lists are written as printed, with every range spelt out by ``range``.
"""

from __future__ import annotations

import pytest

from helpers import table

INCLUDED = {10, 11, *range(26, 73)}

# Reference list: first author and year of refs 10, 11 and 26 to 72
REFERENCES = {
    10: ("Hamdy", 2021),
    11: ("Sorrell", 2018),
    26: ("Al-Ameri", 2023),
    27: ("Gewandter", 2019),
    28: ("Rigoard", 2021),
    29: ("Breel", 2021),
    30: ("Fredman", 1999),
    31: ("Hashemi", 2019),
    32: ("Hayek", 2023),
    33: ("Park", 2012),
    34: ("Rahimzadeh", 2014),
    35: ("Rapcan", 2018),
    36: ("Rigoard", 2023),
    37: ("Schu", 2014),
    38: ("Sweet", 2016),
    39: ("Weintraub", 2005),
    40: ("Al-Kaisy", 2022),
    41: ("De Andres", 2017),
    42: ("Yousef", 2010),
    43: ("Rigoard", 2021),
    44: ("Karahan", 2016),
    45: ("Hossieni", 2017),
    46: ("Kapural", 2015),
    47: ("Esmer", 2010),
    48: ("Eskandr", 2016),
    49: ("Eldabe", 2019),
    50: ("Devulder", 1999),
    51: ("Chun-jing", 2012),
    52: ("Bursali", 2021),
    53: ("Celenioglu", 2022),
    54: ("Akbas", 2018),
    55: ("Bolash", 2019),
    56: ("Khosravi", 2014),
    57: ("Kumar", 2007),
    58: ("Lim", 2023),
    59: ("Manchikanti", 2010),
    60: ("Manchikanti", 2012),
    61: ("Meadeb", 2001),
    62: ("Neumann", 2020),
    63: ("North", 2005),
    64: ("Hara", 2022),
    65: ("Tan", 2016),
    66: ("Sokal", 2020),
    67: ("Al-Kaisy", 2018),
    68: ("Duse", 2019),
    69: ("Beasley", 2019),
    70: ("North", 2005),
    71: ("Rigoard", 2019),
    72: ("van Gorp", 2016),
}

# Results, Study Characteristics: citation lists of the four classes
CLASSES = {
    "neuromodulation": {11, 28, 29, *range(36, 42), 43, 46, 49, 52, 55, 57, 58, *range(63, 70), 71, 72},
    "minimally invasive": {*range(30, 36), 42, 45, 48, 50, 51, 53, 54, *range(59, 62)},
    "surgery": {10, 70},
    "conservative": {26, 27, 44, 47, 56, 62},
}
PLACEBO = {11, 27, *range(37, 40), 52, 58, *range(64, 68)}

# Results, Narrative synthesis: (place, condition on studies.csv, citation list)
NARRATIVE = [
    ("conservative, paragraph 1", "clinical_group == 'exercise and mindfulness'", {44, 47}),
    ("conservative, paragraph 1", "subclass == 'medication'", {26, 27, 56, 62}),
    ("minimally invasive, paragraph 1, dexmedetomidine", "subclass == 'epidural adjuvant'", {31, 48}),
    (
        "minimally invasive, paragraph 1, adhesiolysis that seems beneficial",
        "subclass == 'adhesiolysis' and direction == 'favours intervention'",
        {34, 42, 51, 60},
    ),
    ("minimally invasive, paragraph 1, approach", "subclass == 'approach'", {53, 54}),
    (
        "minimally invasive, paragraph 1, repeated administration",
        "subclass == 'repeated epidural administration'",
        {30},
    ),
    ("minimally invasive, paragraph 5, intravenous infusion", "subclass == 'intravenous infusion'", {33}),
    ("minimally invasive, paragraph 6, intrathecal trialling", "subclass == 'intrathecal infusion'", {32}),
    (
        "neuromodulation, paragraph 1, without SCS",
        "treatment_class == 'neuromodulation' and scs_arm == 'no'",
        {11, 39, 49, 52, 58},
    ),
    (
        "neuromodulation, paragraph 1, paradigms",
        "subclass == 'SCS paradigm comparison'",
        {29, *range(36, 39), 41, 46, 55, *range(64, 69)},
    ),
    (
        "neuromodulation, paragraph 1, paradigms without difference",
        "subclass == 'SCS paradigm comparison' and direction == 'no difference'",
        {29, 36, 41, 55, 64, 66, 68},
    ),
    (
        "neuromodulation, paragraph 1, paradigms with difference",
        "subclass == 'SCS paradigm comparison' and direction == 'favours intervention'",
        {46, 37, 67, 38},
    ),
    ("neuromodulation, paragraph 4, no conclusion reported", "direction == 'not reported'", {65}),
    ("neuromodulation, paragraph 1, material", "subclass == 'SCS material or programming'", {28, 40, 63, 69}),
    ("neuromodulation, paragraph 1, combinations", "subclass == 'add-on neuromodulation'", {43, 72}),
    (
        "neuromodulation, paragraph 1, against conservative and minimally invasive treatment",
        "subclass == 'neuromodulation added to medical management'",
        {49, 57, 71},
    ),
    (
        "neuromodulation, paragraph 2, high against low frequency",
        "subclass == 'SCS paradigm comparison' and arms.str.contains('10 kHz')",
        {41, 46, 55},
    ),
    (
        "neuromodulation, paragraph 8, other interventions",
        "clinical_group == 'non-invasive stimulation'",
        {52, 39, 11, 58},
    ),
]


@pytest.fixture(scope="module")
def studies():
    return table("studies")


@pytest.fixture(scope="module")
def included(studies):
    return studies[studies["status"] == "included"].set_index("ref", drop=False)


def test_one_row_for_each_included_reference(included):
    assert sorted(included["ref"]) == sorted(INCLUDED) == sorted(REFERENCES)
    assert len(included) == 49


def test_the_retracted_fiftieth_is_counted_and_not_named(studies):
    """Results, Study selection: 50 articles before one was retracted; the article does not say which."""
    others = studies[studies["status"] != "included"]
    assert others["status"].tolist() == ["excluded: retracted"]
    assert others[["ref", "first_author", "year", "treatment_class", "nma_comparison"]].isna().all(axis=None)
    assert len(studies) == 50


@pytest.mark.parametrize("ref", REFERENCES)
def test_author_and_year_are_those_of_the_reference_list(included, ref):
    assert (included.at[ref, "first_author"], included.at[ref, "year"]) == REFERENCES[ref]


@pytest.mark.parametrize("ref", REFERENCES)
def test_identifier_is_author_and_year(included, ref):
    author, year = REFERENCES[ref]
    stem = "".join(letter for letter in author.lower() if letter.isalpha()) + str(year)
    twins = [other for other, of in REFERENCES.items() if of == REFERENCES[ref]]
    letter = "ab"[twins.index(ref)] if len(twins) > 1 else ""
    assert included.at[ref, "study"] == stem + letter


@pytest.mark.parametrize(
    "column",
    [
        "first_author",
        "year",
        "journal",
        "treatment_class",
        "subclass",
        "clinical_group",
        "design",
        "arms",
        "rob_overall",
        "placebo_arm",
        "scs_arm",
        "epidural_route",
        "opioid_arm",
        "direction",
    ],
)
def test_no_included_study_has_a_gap(included, column):
    """These columns may be empty for the retracted article only."""
    assert included.loc[included[column].isna(), "ref"].tolist() == []


@pytest.mark.parametrize("treatment_class", CLASSES)
def test_class_holds_the_cited_studies(included, treatment_class):
    assert set(included.loc[included["treatment_class"] == treatment_class, "ref"]) == CLASSES[treatment_class]


@pytest.mark.parametrize(
    ("treatment_class", "printed"),
    [
        ("neuromodulation", 25),
        ("minimally invasive", 16),
        ("conservative", 6),
        ("surgery", 2),
    ],
)
def test_class_has_the_printed_count(included, treatment_class, printed):
    """Abstract, Results paragraph; Results, Study Characteristics."""
    assert (included["treatment_class"] == treatment_class).sum() == printed


def test_class_lists_of_the_article_exhaust_the_studies_without_overlap():
    cited = [ref for refs in CLASSES.values() for ref in refs]
    assert len(cited) == len(set(cited)) == 49
    assert set(cited) == INCLUDED


def test_placebo_arms_are_the_cited_ones(included):
    """Results, Study Characteristics, last sentence: 11 studies."""
    assert set(included.loc[included["placebo_arm"] == "yes", "ref"]) == PLACEBO
    assert len(PLACEBO) == 11


def test_years_span_the_printed_ones(included):
    """Results, Study Characteristics: earliest 1999, most recent 2023."""
    assert (included["year"].min(), included["year"].max()) == (1999, 2023)


@pytest.mark.parametrize(("place", "condition", "refs"), NARRATIVE, ids=[case[0] for case in NARRATIVE])
def test_narrative_groups_the_cited_studies(included, place, condition, refs):
    assert set(included.query(condition, engine="python")["ref"]) == refs


@pytest.mark.parametrize(
    ("ref", "arms"),
    # Results, Narrative synthesis: numbers of arms as the text lists them
    {
        44: 4,
        47: 2,
        27: 2,
        62: 2,
        50: 3,
        61: 3,
        54: 3,
        53: 2,
        45: 2,
        33: 3,
        32: 2,
        37: 3,
        65: 3,
        66: 4,
        36: 3,
        67: 4,
        38: 3,
        11: 3,
        58: 2,
        57: 2,
        71: 2,
        49: 2,
        70: 2,
        10: 2,
    }.items(),
)
def test_study_has_the_arms_that_the_text_lists(included, ref, arms):
    assert len(included.at[ref, "arms"].split(" | ")) == arms


@pytest.mark.parametrize("ref", [29, 27, 33, 66, 36, 67, 40, 68, 38, 64])
def test_crossover_where_text_or_title_says_so(included, ref):
    """Text: refs 29, 27, 33, 66; groups crossed: 68, order varied: 38, periods: 64; titles: 36, 67, 40 (and 29, 27,
    66)."""
    assert included.at[ref, "design"] == "crossover"
    assert included["design"].eq("crossover").sum() == 10


def test_design_states_its_place(included):
    stated = included["design"] != "not stated"
    assert included.loc[stated, "design_place"].notna().all()
    assert included.loc[~stated, "design_place"].isna().all()


def test_two_trials_give_an_opioid(included):
    """Ref 62: buprenorphine/naloxone and methadone; ref 32: fentanyl (Results, Narrative synthesis)."""
    assert set(included.loc[included["opioid_arm"] == "yes", "ref"]) == {32, 62}


@pytest.mark.parametrize("ref", INCLUDED)
def test_flags_agree_with_the_arms(included, ref):
    arms = included.at[ref, "arms"]
    stimulates = any(word in arms for word in ("SCS", "placebo stimulation", "electrode", "lead placement"))
    assert (included.at[ref, "scs_arm"] == "yes") == stimulates
    if included.at[ref, "placebo_arm"] == "yes":
        assert "sham" in arms or "placebo" in arms
