"""Abbreviations of the book, explained where a section first uses them and listed on the glossary page.

Both come from ``book/glossary.yml``. Sphinx loads this module through :mod:`psps_paper.site.extension`.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from pathlib import Path

import yaml
from docutils import nodes
from docutils.parsers.rst import Directive

PARTS = {
    "clinical": "Treatments and measures",
    "statistics": "Statistics and methods",
    "technical": "Files, registers and software",
}
PAGE = "glossary"
# A comment or a tag; an attribute may hold ">".
_TAG = re.compile(r"""(<!--.*?-->|<(?:[^>"']|"[^"]*"|'[^']*')*>)""", re.DOTALL)
_NAME = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]*)")
# Elements where no link may be added: links, headings with anchors, code, formulas and drawings.
_UNTOUCHED = frozenset(
    [
        "a",
        "abbr",
        "button",
        "code",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "label",
        "math",
        "option",
        "pre",
        "script",
        "select",
        "style",
        "summary",
        "svg",
        "textarea",
    ]
)
_SCOPES = frozenset(["section", "table", "figure", "aside"])
_VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]
)


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


def explained(body: str, terms: dict[str, Term]) -> str:
    """Explain each abbreviation on its first use in a section, table, figure or note of a page's body.

    The full form is the title of an ``abbr``, for mice and screen readers; the link to the glossary page around it
    serves keyboards and touch screens. Table heads have no such links, since a script may turn them into buttons.
    """
    if not terms:
        return body
    words = re.compile(
        r"(?<![\w/.&-])(" + "|".join(sorted(map(re.escape, terms), key=len, reverse=True)) + r")(?![\w/]|[.-]\w)"
    )
    pieces: list[str] = []
    seen: set[str] = set()
    head = False
    untouched, depth = "", 0

    def mark(match: re.Match) -> str:
        term = terms[match[0]]
        if term.short in seen:
            return match[0]
        seen.add(term.short)
        full = html.escape(term.long)
        marked = f'<abbr title="{full}">{term.short}</abbr>'
        return (
            marked if head else f'<a class="psps-abbr" href="{PAGE}.html#{term.anchor}" data-full="{full}">{marked}</a>'
        )

    for piece in _TAG.split(body):
        if not piece.startswith("<"):
            pieces.append(piece if untouched else words.sub(mark, piece))
            continue
        pieces.append(piece)
        match = _NAME.match(piece)
        if match is None:
            continue
        name, closing = match[1].lower(), piece.startswith("</")
        if untouched:
            if name == untouched:
                depth += -1 if closing else 1
                if depth == 0:
                    untouched = ""
        elif not closing:
            if name in _SCOPES:
                seen.clear()
            if (
                (name in _UNTOUCHED or 'class="math' in piece or 'class="sig' in piece)
                and name not in _VOID
                and not piece.endswith("/>")
            ):
                untouched, depth = name, 1
        if name == "thead":
            head = not closing
    return "".join(pieces)


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
