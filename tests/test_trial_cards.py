"""Cards of the trials: every trial has one, what is missing is said, and every number in brackets leads to it."""

import pytest
from bs4 import BeautifulSoup

from psps_paper.article.studies import included
from psps_paper.article.trial_cards import NO_COUNT, TABLES, resolved, trial_cards
from psps_paper.book.trial_cards import card_markup, show_cards
from psps_paper.site.markup import rewritten
from psps_paper.site.trial_links import link_trials, trial_references
from psps_paper.tables.load import data_folder, load_table

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tables():
    return {name: load_table(name) for name in TABLES}


@pytest.fixture(scope="module")
def cards(tables):
    return {card.ref: card for card in trial_cards(tables)}


def texts(entries):
    return {entry.label: entry.text for entry in entries}


def test_each_of_the_49_included_trials_has_a_card_in_the_order_of_the_references(cards, tables):
    assert list(cards) == sorted(included(tables["studies"])["ref"])
    assert len(cards) == 49  # Results, Study selection


def test_a_card_tells_what_the_sources_tell(cards):
    card = cards[71]  # Rigoard 2019; abstract, doi:10.1097/j.pain.0000000000001510
    told = [entry.text for entry in card.results]
    assert "SCS plus OMM: 13.6 % (15 of 110)" in [text.replace("\u202f", " ") for text in told]
    assert any("difference 9 (0.6 to 17.5) percentage points, p = 0.036" in text for text in told)
    assert texts(card.harms)["Further surgery"] == "12 of 102 (12 %) within 6 months"
    assert texts(card.trust)["Who paid"] == "Medtronic, device maker (sponsor in the register)"
    assert texts(card.trust)["Risk of bias"].startswith("high overall")
    assert (
        "one of 2 trials" in texts(card.used)["In the network"]
        and "which give 4 estimates" in texts(card.used)["In the network"]
    )
    assert any(entry.text.startswith("SMD 0.65 (0.07 to 1.23)") for entry in card.used)
    assert card.sources[0].url == "https://doi.org/10.1097/j.pain.0000000000001510"


def test_unknown_values_are_shown_as_unknown(cards):
    card = cards[65]  # Tan 2016, of which no public page was found
    assert card.harms[0].text == NO_COUNT and not card.harms[0].known
    assert "registration" in texts(card.design)["Not found"]
    assert "no effect can be computed" in texts(card.used)["From public pages"]
    assert not card.sources
    for card in cards.values():
        assert card.results and card.harms and card.trust and card.design and card.used, card.name
        assert all(
            entry.text for group in (card.results, card.harms, card.trust, card.design, card.used) for entry in group
        ), card.name


def test_rows_in_another_order_give_the_same_cards(cards, tables):
    turned = {name: table.iloc[::-1].reset_index(drop=True) for name, table in tables.items()}
    assert {card.ref: card for card in trial_cards(turned)} == cards


def test_bad_input_is_named(tables):
    with pytest.raises(ValueError, match="studies missing"):
        trial_cards({name: table for name, table in tables.items() if name != "studies"})
    facts = tables["study_facts"]
    with pytest.raises(ValueError, match="no row for tan2016"):
        trial_cards(tables | {"study_facts": facts[facts["study"] != "tan2016"]})


@pytest.mark.parametrize(
    "identifier, address",
    [
        ("doi:10.1/x", "https://doi.org/10.1/x"),
        ("PMID 12", "https://pubmed.ncbi.nlm.nih.gov/12/"),
        ("ISRCTN77527324", "https://www.isrctn.com/ISRCTN77527324"),
        ("a trial", ""),
    ],
)
def test_identifiers_become_addresses(identifier, address):
    assert resolved(identifier)[1] == address


def test_the_anchor_lies_within_what_is_closed(cards):
    """So a browser opens the card for a link to it, without a script."""
    page = BeautifulSoup(card_markup(cards[57], hue=4), "html.parser")
    anchor = page.find(id="ref-57")
    assert anchor.find_parent("details") is not None and anchor.find_parent("details").get("open") is None
    assert page.find(style=True) is None and page.find(onclick=True) is None


def test_the_four_classes_hold_all_cards(cards):
    markup = "".join(
        show_cards(list(cards.values()), name, hue=4).markup
        for name in ("neuromodulation", "minimally invasive", "conservative", "surgery")
    )
    assert len(BeautifulSoup(markup, "html.parser").select("details.psps-card")) == len(cards)
    with pytest.raises(ValueError, match="expected one of"):
        show_cards(list(cards.values()), "magic", hue=1)


@pytest.mark.parametrize(
    "before, linked",
    [
        ("Kumar 2007 [57]", [57]),
        ("in [11, 99, 58]", [11, 58]),
        ("an interval [0.1, 0.2] and a list [1, 2]", []),
        ('<a href="x">[57]</a> <code>x[57]</code> <svg><text>[57]</text></svg>', []),
        (
            (
                '[<a class="reference internal" href="references.html#id58" title="K.">57</a>, <a class="reference'
                ' internal" href="references.html#id4">3</a>]'
            ),
            [57],
        ),
        ('<td data-head="references">11, 37, 3</td>', [11, 37]),
        ('<td data-head="patients">57</td>', []),
    ],
)
def test_numbers_of_trials_lead_to_their_cards_and_no_other_number_does(before, linked):
    after = rewritten(before, lambda tree: link_trials(tree, trial_references(data_folder())))
    page = BeautifulSoup(after, "html.parser")
    assert [int(link["href"].partition("#ref-")[2]) for link in page.select("a.psps-trial")] == linked
    assert page.get_text() == BeautifulSoup(before, "html.parser").get_text()


def test_a_folder_without_studies_links_nothing(tmp_path):
    assert trial_references(tmp_path) == frozenset()
    assert rewritten("[57]", lambda tree: link_trials(tree, frozenset())) == "[57]"
