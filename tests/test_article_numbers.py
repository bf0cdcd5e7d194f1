"""Every number of the article is registered or has a reason not to be, and every statement's number is at its place.

The article's text is not part of this repository, so these tests cannot read it: they compare its numbers, as listed in
``article_numbers.csv`` by section and paragraph, with the registry.
"""

from __future__ import annotations

import re

import pytest

from helpers import table
from psps_paper import formatting
from psps_paper.book.verdicts import number_texts, numbers_by_reason
from psps_paper.claims.counts import expand_citations

NUMBERS, CLAIMS = table("article_numbers"), table("claims").set_index("id", drop=False)
UNITS = {
    word: value
    for value, word in enumerate(
        [
            "none",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
} | {"first": 1, "twice": 2, "half": 50, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50}
LISTS = {"citations"}  # checks whose statement is the length of a printed citation list


def value_of(token: str) -> float:
    """A number as printed, in digits (a version's third part left off) or in words; half is 50 per cent."""
    digits = re.match(r"[\d,]+(\.\d+)?", token)
    if digits:
        return float(digits.group(0).replace(",", ""))
    hundreds, _, rest = token.lower().rpartition("hundred")
    words = [word for word in re.split(r"[ -]", rest) if word not in ("", "and")]
    return (100 * UNITS[hundreds.strip()] if hundreds else 0) + sum(UNITS[word] for word in words)


def numerals(printed: str) -> list[str]:
    """Digits and number words of the printed words of a statement."""
    words = "|".join(sorted(UNITS, key=len, reverse=True))
    return re.findall(rf"\d[\d.,]*\d|\d|\b(?:{words})\b", printed, re.IGNORECASE)


def at_place(claim) -> list[str]:
    here = NUMBERS[(NUMBERS["section"] == claim.section) & (NUMBERS["paragraph"] == claim.paragraph)]
    return here["token"].tolist()


@pytest.mark.parametrize(
    ("token", "value"),
    [
        ("1140", 1140),
        ("164,709", 164709),
        ("0.45", 0.45),
        ("2022.07.2", 2022.07),
        ("1KHz", 1),
        ("18th", 18),
        ("Half", 50),
        ("One hundred and five", 105),
        ("Thirty-four", 34),
        ("Fourteen", 14),
        ("none", 0),
        ("twice", 2),
    ],
)
def test_value_of(token, value):
    assert value_of(token) == pytest.approx(value)


def test_every_number_is_registered_or_has_a_reason():
    assert (NUMBERS["claims"].notna() != NUMBERS["excluded"].notna()).all()


def test_numbers_of_a_paragraph_are_counted_through():
    for _, rows in NUMBERS.groupby(["section", "paragraph"], sort=False):
        assert rows["position"].tolist() == list(range(1, len(rows) + 1))


def test_registered_numbers_are_those_of_their_statements():
    """Each registered number has the place and the value of every statement to which it belongs."""
    for row in NUMBERS.dropna(subset="claims").itertuples():
        for name in row.claims.split():
            claim = CLAIMS.loc[name]
            assert (claim["section"], claim["paragraph"]) == (row.section, row.paragraph), name
            if (
                re.fullmatch(r"\d+([,–-]\d+)*", row.token)
                and claim["check"] in LISTS
                and formatting.rounds_to(len(expand_citations(row.token)), claim["value"], 0)
            ):
                continue
            if name == "neuromodulation.side_by_side":  # two citations of one reference each
                assert row.token in claim["arguments"].partition(" | ")[0].split(",")
                continue
            assert formatting.rounds_to(value_of(row.token), claim["value"], claim["decimals"]), (name, row.token)


def test_every_statement_with_a_number_is_registered_at_its_place():
    mapped = {name for names in NUMBERS["claims"].dropna() for name in names.split()}
    assert mapped <= set(CLAIMS.index)
    for claim in CLAIMS.itertuples():
        registered, printed = claim.id in mapped, bool(numerals(claim.printed))
        assert registered or not printed, (
            f"{claim.id}: name it in column claims of data/article_numbers.csv beside its number in {claim.section},"
            f" {claim.paragraph}; it prints {claim.printed!r}"
        )
        assert printed or not registered, f"{claim.id}: article_numbers.csv has it, but {claim.printed!r} has no number"


def test_printed_digits_occur_at_their_place():
    for claim in CLAIMS.itertuples():
        here = " ".join(at_place(claim)).replace("-", "–")
        for digits in re.findall(r"\d[\d.,–-]*\d|\d", claim.printed):
            for part in digits.replace("-", "–").split("–"):
                assert part in here, (
                    f"{claim.id}: {part} of {claim.printed!r} is no number of {claim.section}, {claim.paragraph} in"
                    " data/article_numbers.csv"
                )


def test_reasons_fit_their_numbers():
    reasons = NUMBERS.dropna(subset="excluded").groupby("excluded")["token"].agg(list)
    assert all(max(expand_citations(token)) <= 88 for token in reasons["citation"])  # the reference list ends at 88
    assert all(re.search(r"[A-Z^]", token) or token == "2" for token in reasons["part of a name"])
    assert {token.lower() for token in reasons["ordinal"]} <= {
        "first",
        "second",
        "secondly",
        "third",
        "fourth",
        "fifth",
    }
    assert set(reasons["number of a domain"]) <= set("12345")
    assert set(reasons["registration number"]) == {"CRD42022360160"}
    # "one or both", "one of the arms", "these two treatments"
    assert sorted(reasons["no quantity"]) == ["one", "one", "two"]


def test_reference_list_is_cited_in_full():
    cited = set()
    for row in NUMBERS.itertuples():
        checks = {CLAIMS.at[name, "check"] for name in str(row.claims).split() if name in CLAIMS.index}
        if row.excluded == "citation" or (checks == LISTS and re.fullmatch(r"\d+([,–-]\d+)*", row.token)):
            cited |= expand_citations(row.token)
    assert set(range(1, 89)) <= cited


def test_the_status_page_counts_every_number():
    by_reason, texts = numbers_by_reason(NUMBERS).set_index("what it is"), number_texts(NUMBERS)
    assert by_reason["numbers"].sum() == len(NUMBERS) == int(texts["n_numbers"])
    assert by_reason.at["registered", "numbers"] == NUMBERS["claims"].notna().sum() == int(texts["n_registered"])
    assert by_reason.at["registration number", "examples"] == "CRD42022360160"
