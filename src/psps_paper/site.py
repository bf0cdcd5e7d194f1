"""Sphinx extension of the book: citations carry the article's own reference numbers.

Jupyter Book loads it by name (``_config.yml``, ``extra_extensions``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import pybtex.plugin
from pybtex.database import Entry, Person
from pybtex.style.formatting.unsrt import Style as UnsortedStyle
from pybtex.style.labels import BaseLabelStyle
from pybtex.style.sorting import BaseSortingStyle
from pybtex.style.template import names, sentence


def reference_number(key: str) -> int | None:
    """Number of an article's reference in the article (``ref26`` is 26); None for any other key."""
    match = re.fullmatch(r"ref(\d+)", key)
    return int(match[1]) if match else None


class ReferenceNumbers(BaseLabelStyle):
    """``[26]`` for the article's reference 26; ``[Rücker 2012]`` for what only this edition cites."""

    def format_labels(self, sorted_entries: Iterable[Entry]) -> Iterator[str]:
        for entry in sorted_entries:
            number = reference_number(entry.key)
            if number is None:
                yield f"{' '.join(entry.persons['author'][0].last_names)} {entry.fields['year']}"
            else:
                yield str(number)


class ReferenceOrder(BaseSortingStyle):
    """The article's references in its order, then the others by author and year."""

    def sort(self, entries: Iterable[Entry]) -> list[Entry]:
        def place(entry: Entry) -> tuple[float, str]:
            number = reference_number(entry.key)
            return (float("inf"), entry.key) if number is None else (number, "")

        return sorted(entries, key=place)


class ReferenceStyle(UnsortedStyle):
    """Names as in the article: a comma between them, and "et al." for those that it leaves out."""

    default_label_style = ReferenceNumbers
    default_sorting_style = ReferenceOrder

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        format_person = self.format_name

        def format_name(person: Person, abbreviate: bool = False):
            return "et al." if str(person) == "others" else format_person(person, abbreviate)

        self.format_name = format_name

    def format_names(self, role: str, as_sentence: bool = True):
        listed = names(role, sep=", ", sep2=", ", last_sep=", ")
        return sentence[listed] if as_sentence else listed


def setup(app) -> dict[str, bool]:
    """Register the reference style ``psps`` (Sphinx calls this when it loads the extension)."""
    pybtex.plugin.register_plugin("pybtex.style.formatting", "psps", ReferenceStyle)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
