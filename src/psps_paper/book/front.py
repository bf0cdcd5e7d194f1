"""The front page's answers and the summary of findings as HTML that suits screens of all widths."""

from __future__ import annotations

import html

from psps_paper.book.display import Shown
from psps_paper.book.findings import (
    Finding,
    answer_text,
    funding_text,
    harms_in_short,
    harms_text,
    limits_text,
    note_texts,
    points_text,
    relief_texts,
    trials_in_short,
    trials_text,
)
from psps_paper.conclusions import certainty
from psps_paper.formatting import estimate


def grade(rating: str) -> str:
    """Show a rating as four circles, with its words for everyone."""
    filled = certainty.RATINGS.index(rating) + 1 if rating in certainty.RATINGS else 0
    ink = [' class="filled"' if place < filled else "" for place in range(4)]
    circles = "".join(f'<circle cx="{6 + 14 * place}" cy="6" r="4.8"{ink[place]}/>' for place in range(4))
    drawn = f'<svg viewBox="0 0 56 12" aria-hidden="true">{circles}</svg>'
    return f'<span class="psps-grade">{drawn}{html.escape(rating.capitalize())} certainty</span>'


def interval_plot(finding: Finding, width: int, words: tuple[str, str, str]) -> str:
    """Draw an estimate and its interval on a line in points, at a fixed size.

    ``words`` are the labels below 0, the smallest difference that is noticed, and twice that.
    """
    te, lower, upper = finding.points
    low, high = -0.5, 2.5

    def x(points: float) -> str:
        return f"{width * (min(max(points, low), high) - low) / (high - low):.1f}"

    least = finding.important
    marks = "".join(
        f'<text x="{x(at)}" y="43" text-anchor="middle">{word}</text>'
        for at, word in zip((0, least, 2 * least), words, strict=True)
    )
    hollow = " hollow" if finding.tier == "implied" else ""
    said = (
        f"{points_text(finding)} with {finding.treat1}, 95 % confidence interval {limits_text(finding)}. "
        f"{least:g} point is the smallest difference that patients notice."
    )
    return (
        f'<svg class="psps-plot psps-hue-{finding.place}" width="{width}" height="46" viewBox="0 0 {width} 46" '
        f'role="img" aria-label="{html.escape(said)}">'
        f'<path class="axis" d="M0 26H{width}"/><path class="zero" d="M{x(0)} 2V30"/>'
        f'<path class="least" d="M{x(least)} 2V30"/>'
        f'<path class="axis" d="M{x(2 * least)} 22V30"/><path class="ci" d="M{x(lower)} 13H{x(upper)}"/>'
        f'<circle class="pt{hollow}" cx="{x(te)}" cy="13" r="5"/>{marks}</svg>'
    )


def show_answers(found: list[Finding]) -> Shown:
    """Show the rows of the front page: a sentence, points with interval, and certainty, harms and who paid."""
    heads = "".join(
        f"<div>{words}</div>"
        for words in (
            f"{found[0].treat1.capitalize()} compared with",
            f"Difference in {found[0].outcome}, 0 to 10, and range that fits the data",
            "How sure, what can go wrong, who paid",
        )
    )
    rows = "".join(_answer(finding) for finding in found)
    markup = (
        f'<div class="psps-answers"><div class="psps-answer psps-heads" aria-hidden="true">{heads}</div>{rows}</div>'
    )
    return Shown(markup, "\n".join(_plain(finding) for finding in found))


def _answer(finding: Finding) -> str:
    gloss = f'<p class="psps-note">{html.escape(finding.gloss)}</p>' if finding.gloss else ""
    implied = "; derived from other results" * (finding.tier == "implied")
    plot = interval_plot(
        finding, 320, ("no difference", f"{finding.important:g}: noticeable", f"{2 * finding.important:g} points less")
    )
    return (
        f'<section class="psps-answer psps-hue-{finding.place}"><div><h2 class="psps-class">{finding.name}</h2>'
        f"{gloss}<p>{html.escape(answer_text(finding))}</p></div>"
        f'<div><p><span class="big psps-number">{points_text(finding)}</span> '
        f'<span class="psps-number psps-note">range {limits_text(finding)}</span></p>'
        f'{plot}<p class="psps-note">{trials_in_short(finding)}{implied}</p></div>'
        f'<div><p>{grade(finding.certainty)}</p><dl class="psps-side">'
        f'<dt><a href="harms.html#what-went-wrong">Harms</a></dt><dd>{html.escape(harms_in_short(finding))}</dd>'
        f'<dt><a href="harms.html#who-paid">Who paid</a></dt><dd>{html.escape(funding_text(finding))}</dd>'
        "</dl></div></section>"
    )


def _plain(finding: Finding) -> str:
    return (
        f"{finding.name}: {answer_text(finding)} {points_text(finding)} ({limits_text(finding)}); "
        f"{trials_text(finding)}; {finding.certainty} certainty. "
        f"Harms: {harms_text(finding)}. Who paid: {funding_text(finding)}."
    )


COLUMNS = [
    "Compared with",
    "Patients and trials",
    "{outcome}, points of 0 to 10 (95 % CI)",
    "At least half of it gone",
    "Certainty",
    "Harms",
    "Who paid",
]


def show_summary(found: list[Finding]) -> Shown:
    """Show the summary of findings in GRADE's format: seven columns, with notes that open below each row."""
    head = "".join(f'<th scope="col">{column.format(outcome=found[0].outcome.capitalize())}</th>' for column in COLUMNS)
    body = "".join(
        _summary_row(finding, number_) + _notes(finding, number_) for number_, finding in enumerate(found, start=1)
    )
    caption = (
        f"{found[0].outcome.capitalize()} as pooled by the article. Certainty by the stated rules of this edition; "
        f"the article gives none. Dashed line: {found[0].important:g} point, "
        "the smallest difference that patients notice."
    )
    return Shown(
        f'<table class="psps psps-cards psps-sof"><caption>{caption}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>",
        "\n".join(_plain(finding) + " " + "; ".join(note_texts(finding).values()) for finding in found),
    )


def _summary_row(finding: Finding, row: int) -> str:
    gloss = f'<span class="psps-label">{html.escape(finding.gloss)}</span>' if finding.gloss else ""
    letters = {name: "abcd"[place] for place, name in enumerate(note_texts(finding))}

    def note(name: str) -> str:
        return (
            f'<sup><a href="#note-{row}-{letters[name]}" aria-label="note {letters[name]}">{letters[name]}</a></sup>'
            if name in letters
            else ""
        )

    smd = f"SMD {estimate(finding.te, finding.lower, finding.upper)}" + (
        ", implied by the print" if finding.tier == "implied" else ""
    )
    relief = "<br>".join(map(html.escape, relief_texts(finding))) or "No counts found"
    plot = interval_plot(finding, 150, ("0", f"{finding.important:g}", f"{2 * finding.important:g}"))
    cells = [
        "<br>".join(reversed(trials_text(finding).removesuffix(" patients").split(", "))),
        f'<strong class="psps-number">{points_text(finding).removesuffix(f" {finding.outcome}")}</strong>'
        f"{note('points')}"
        f'<br><span class="psps-number">{limits_text(finding)}</span>{note("new setting")}{plot}'
        f'<span class="psps-label">{smd}</span>',
        f"{relief}{note('relief')}",
        f"{grade(finding.certainty)}{note('certainty')}",
        *(html.escape(text[0].upper() + text[1:]) for text in (harms_text(finding), funding_text(finding))),
    ]
    heads = [
        "Patients",
        f"{finding.outcome.capitalize()}, 0 to 10",
        f"{finding.outcome.capitalize()} halved",
        "Certainty",
        "Harms",
        "Who paid",
    ]
    return (
        '<tr class="joined"><th scope="row">'
        f'<strong class="psps-class psps-hue-{finding.place}">{finding.name}</strong>'
        f"<br>{gloss}{html.escape(answer_text(finding))}</th>"
        + "".join(f'<td data-head="{name}">{cell}</td>' for name, cell in zip(heads, cells, strict=True))
        + "</tr>"
    )


def _notes(finding: Finding, row: int) -> str:
    items = "".join(
        f'<li id="note-{row}-{"abcd"[place]}">{html.escape(text)}</li>'
        for place, text in enumerate(note_texts(finding).values())
    )
    return (
        f'<tr class="footnotes"><td colspan="{len(COLUMNS)}"><details class="psps-more">'
        f"<summary>Why {finding.certainty}, and other notes"
        f'<span class="visually-hidden"> on {finding.name.lower()}</span></summary><ol>{items}</ol></details></td></tr>'
    )
