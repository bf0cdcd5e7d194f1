"""The page of trial cards, each folded to one line and opened by links that lead to it."""

from __future__ import annotations

import html

from psps_paper.article.trial_cards import NOT_FOUND, Entry, Source, TrialCard
from psps_paper.book.display import Shown

ROB = {"low": "low risk of bias", "some concerns": "some concerns about bias", "high": "high risk of bias"}


def show_cards(cards: list[TrialCard], treatment_class: str, *, hue: int) -> Shown:
    """Show the cards of one treatment class; ``#ref-N`` leads to the card of the article's reference N and opens it.

    ``hue`` is the number of a colour of the style sheet (``--psps-hue-N``).

    Raises
    ------
    ValueError
        There is no card of this class.
    """
    own = [card for card in cards if card.treatment_class == treatment_class]
    if not own:
        raise ValueError(
            f"treatment_class={treatment_class!r}: expected one of"
            f" {', '.join(sorted({card.treatment_class for card in cards}))}"
        )
    return Shown(
        "".join(card_markup(card, hue=hue) for card in own),
        "\n".join(f"[{card.ref}] {card.name}: {card.lead}" for card in own),
    )


def card_markup(card: TrialCard, *, hue: int) -> str:
    """Mark up one card; its anchor is inside the folded part, so that a link opens it without a script."""
    patients = "patients not known" if card.patients == NOT_FOUND else card.patients
    heading = (
        f'<summary><strong class="psps-class">{html.escape(card.name)}</strong> <span'
        f' class="psps-ref">[{card.ref}]</span> <span class="psps-label">{html.escape(card.compared)} · {patients} ·'
        f" {ROB[card.rob]}</span></summary>"
    )
    blocks = [
        ("Result", card.results),
        ("Harms", card.harms),
        ("How far to trust it", card.trust),
        ("What was done", card.design),
        ("Where this edition uses it", card.used),
        ("Where the article and the sources differ", card.differences),
    ]
    inside = "".join(_block(title, entries) for title, entries in blocks if entries)
    lead = f'<p class="psps-lead">{html.escape(card.lead)}</p>'
    return (
        f'<details class="psps-card psps-hue-{hue}">{heading}<div class="psps-card-body"'
        f' id="ref-{card.ref}">{lead}{inside}{_sources(card.sources)}</div></details>'
    )


def _block(title: str, entries: tuple[Entry, ...]) -> str:
    return f'<p class="psps-card-title">{title}</p><dl class="psps-facts">{"".join(map(_line, entries))}</dl>'


def _line(entry: Entry) -> str:
    text = html.escape(entry.text)
    if entry.page:
        text = (
            f'<a href="{entry.page}.html">{text}</a>'
            if len(text) < 60
            else f'{text} <a href="{entry.page}.html">More</a>'
        )
    known = "" if entry.known else ' class="psps-unknown"'
    return f"<div><dt>{html.escape(entry.label)}</dt><dd{known}>{_bar(entry.percent)}{text}</dd></div>"


def _bar(percent: float | None) -> str:
    """Draw a percentage as a bar from 0 to 100 %, next to its number."""
    if percent is None:
        return ""
    return (
        '<svg class="psps-bars" width="100%" height="8" viewBox="0 0 100 8" preserveAspectRatio="none"'
        ' aria-hidden="true"><rect class="track" width="100" height="8"/><rect class="fill"'
        f' width="{min(max(percent, 0), 100):.1f}" height="8"/></svg>'
    )


def _sources(sources: tuple[Source, ...]) -> str:
    if not sources:
        return f'<p class="psps-note">Sources: {NOT_FOUND}; what is here comes from the article.</p>'
    links = "; ".join(
        f'<a href="{html.escape(source.url)}">{html.escape(source.label)}</a> ({source.kind})' for source in sources
    )
    return (
        f'<p class="psps-note">Read at: {links}. Each value with its page: <a class="psps-csv" download'
        ' href="../data/study_facts.csv">study_facts.csv</a></p>'
    )
