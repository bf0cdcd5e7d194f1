"""Abbreviations of the book, explained where a section first uses them and listed on the glossary page.

Both come from ``book/glossary.yml``. Sphinx loads this module through :mod:`psps_paper.site.extension`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import yaml
from bs4 import NavigableString, Tag
from docutils import nodes
from docutils.parsers.rst import Directive

from psps_paper.site.markup import element, replace_in

PARTS = {
    "clinical": "Treatments and measures",
    "statistics": "Statistics and methods",
    "technical": "Files, registers and software",
}
PAGE = "glossary"
# Elements where no link may be added: links, headings with anchors, code, formulas and drawings.
_UNTOUCHED = frozenset(
    ["a", "abbr", "button", "code", "label", "math", "option", "pre", "script", "select", "style", "summary", "svg"]
).union(["textarea"], (f"h{level}" for level in range(1, 7)))
_SCOPES = frozenset(["section", "table", "figure", "aside"])


@dataclass(frozen=True)
class Term:
    """One abbreviation.

    Attributes
    ----------
    short, long : str
        As written in the text, and in full.
    kind : str
        One of ``PARTS``.
    meaning : str
        A sentence for the glossary page; may be empty.
    """

    short: str
    long: str
    kind: str
    meaning: str = ""

    @property
    def anchor(self) -> str:
        """Id of the term on the glossary page."""
        return "abbreviation-" + re.sub(r"[^A-Za-z0-9]", "-", self.short)


def load_glossary(path: Path) -> dict[str, Term]:
    """Load the terms of a glossary file by their short form, in alphabetical order.

    Raises
    ------
    ValueError
        A key is missing or unknown, the kind is not in ``PARTS``, or a short form is listed twice; the message names
        the entry.
    """
    terms: dict[str, Term] = {}
    for position, entry in enumerate(yaml.safe_load(path.read_text(encoding="utf-8")), start=1):
        where = f"{path.name}, entry {position}"
        unknown, missing = set(entry) - set(Term.__dataclass_fields__), {"short", "long", "kind"} - set(entry)
        if unknown or missing:
            raise ValueError(f"{where}: unknown keys {sorted(unknown)}, missing keys {sorted(missing)}")
        term = Term(**entry)
        if term.kind not in PARTS:
            raise ValueError(f"{where}, kind: {term.kind!r} is not one of {', '.join(PARTS)}")
        if term.short in terms:
            raise ValueError(f"{where}: {term.short} is listed twice")
        terms[term.short] = term
    return dict(sorted(terms.items(), key=lambda item: (item[0].lower(), item[0])))


def explain(tree: Tag, terms: dict[str, Term]) -> None:
    """Explain each abbreviation on its first use in a section, table, figure or note of a page's tree.

    The full form is the title of an ``abbr``, for mice and screen readers; the link to the glossary page around it
    serves keyboards and touch screens. Table heads have no such links, since a script may turn them into buttons.
    """
    if not terms:
        return
    words = re.compile(
        r"(?<![\w/.&-])(" + "|".join(sorted(map(re.escape, terms), key=len, reverse=True)) + r")(?![\w/]|[.-]\w)"
    )
    seen: set[str] = set()

    def mark(found: re.Match[str], head: bool) -> list[Tag]:
        term = terms[found[0]]
        if term.short in seen:
            return []
        seen.add(term.short)
        marked = element("abbr", {"title": term.long}, term.short)
        link = {"class": "psps-abbr", "href": f"{PAGE}.html#{term.anchor}", "data-full": term.long}
        return [marked if head else element("a", link, marked)]

    def walk(inside: Tag, head: bool = False) -> None:
        for child in list(inside.children):
            if not isinstance(child, Tag):
                if type(child) is NavigableString:  # not a comment
                    replace_in(child, words, lambda found: mark(found, head))
                continue
            if child.name in _SCOPES:
                seen.clear()
            if child.name not in _UNTOUCHED and not child.get("class", "").startswith(("math", "sig")):
                walk(child, head or child.name == "thead")

    walk(tree)


class GlossaryDirective(Directive):
    """Directive ``psps-glossary``: every term of ``book/glossary.yml``, grouped by ``PARTS``."""

    def run(self) -> list[nodes.Node]:
        settings = self.state.document.settings.env
        path = Path(settings.srcdir) / "book" / "glossary.yml"
        settings.note_dependency(str(path))
        terms = load_glossary(path).values()
        parts: list[nodes.Node] = []
        for kind, title in PARTS.items():
            section = nodes.section(ids=[nodes.make_id(title)])
            section += nodes.title(text=title)
            listed = nodes.definition_list()
            for term in (term for term in terms if term.kind == kind):
                text = f"{term.long}. {term.meaning}" if term.meaning else f"{term.long}."
                listed += nodes.definition_list_item(
                    "",
                    nodes.term(term.short, term.short, ids=[term.anchor]),
                    nodes.definition("", nodes.paragraph(text=text[0].upper() + text[1:])),
                )
            section += listed
            parts.append(section)
        return parts
