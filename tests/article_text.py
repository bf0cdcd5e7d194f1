"""The article's paragraphs, from its text in Markdown.

The text is not part of this repository: its licence does not allow derivatives. ``PSPS_ARTICLE`` names a file with the
text, if the user has one. Sections and paragraphs are named as in ``article_numbers.csv``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

INTRODUCTION = "The pooled prevalence"  # it has no heading
ENDS = "### References"
TABLE = ("Methods, Eligibility criteria", "Table 1")
_HEADING = re.compile(r"^(#+) (.+)$")
_CLASS = re.compile(r"\*\*Studies .*?\*\* ?")
_CLASSES = {
    "conservative": "conservative",
    "minimal": "minimally invasive",
    "neuromodulation": "neuromodulation",
    "surgery": "surgery",
}
_SECTIONS = {"Study Characteristics": "Study characteristics"}


def article() -> str | None:
    """The article's text, or None if it is not available."""
    path = os.environ.get("PSPS_ARTICLE")
    return Path(path).read_text(encoding="utf-8") if path else None


def words(text: str) -> list[str]:
    """Words of a paragraph in lower case: without markup, citations and punctuation."""
    plain = re.sub(r"<sup>.*?</sup>|<https?://[^>]*>|\]\([^)]*\)", " ", text)
    plain = re.sub(r"\\[a-z]+|[$*_{}\[\]~]", " ", plain).lower()
    return [word for word in (re.sub(r"^\W+|\W+$", "", part) for part in plain.split()) if word]


def paragraphs(text: str) -> dict[tuple[str, str], str]:
    """Text of each paragraph by section and number, joined if a figure or page break splits it."""
    found: dict[tuple[str, str], str] = {}
    section, above, current, caption = "", "", None, None
    for block in re.split(r"\n\s*\n", text.partition(ENDS)[0]):
        block = " ".join(line for line in block.splitlines() if not line.startswith("[^"))
        block = block.strip()
        if heading := _HEADING.match(block):
            title = _SECTIONS.get(heading[2], heading[2])
            above = title if len(heading[1]) == 2 else above
            section = title if len(heading[1]) == 2 or title == "Data availability" else f"{above}, {title}"
            section = "" if len(heading[1]) == 1 else section  # the article's title
            current = None
        elif not block or not section or block.startswith(("\N{ENVELOPE}", "Received:", "Published")):
            continue
        elif figure := re.match(r"\*\*Fig\. (\d)", block):
            caption = (f"Fig. {figure[1]}, caption", "1")
            found[caption] = block
            caption = caption if block.endswith("**") else None  # its text is a block of its own
        elif caption:
            found[caption] += " " + block
            caption = None
        elif block.startswith(("**Table 1", "Framework", "FBSS failed")):
            found[TABLE] = found.get(TABLE, "") + " " + block
        elif current and not re.search(r"[.?!]$", found[current]):
            found[current] += " " + block
        else:
            if block.startswith(INTRODUCTION):
                section = "Introduction"
            if named := _CLASS.match(block):
                kind = next(name for word, name in _CLASSES.items() if word in named[0].lower())
                section = f"Results, Narrative synthesis, {kind}"
            number = 1 + sum(1 for place in found if place[0] == section and place[1].isdigit())
            current = (section, str(number))
            found[current] = block
    return found
