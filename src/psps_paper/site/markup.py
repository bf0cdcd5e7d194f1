"""Parse the HTML of a page's text once into a tree, which all rules of the site change in place, and write it once.

Prose, tables, figures and verdicts reach a page together, some as docutils nodes and some as raw HTML of notebooks; the
tree holds both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from bs4 import BeautifulSoup, NavigableString, Tag
from bs4.dammit import EntitySubstitution
from bs4.formatter import HTMLFormatter

_SVG = re.compile(r"<svg\b(?:[^>]*/>)?|</svg>")  # drawings are kept as they are, so they are not parsed
_PLACE = re.compile(r'<svg data-drawing="(\d+)"></svg>')
_VOID = frozenset(["br", "img", "input", "wbr"])
Part: TypeAlias = str | Tag


class _AsWritten(HTMLFormatter):
    """Formatter that keeps the order of attributes, which BeautifulSoup would sort."""

    def attributes(self, tag: Tag) -> Iterable[tuple[str, str | None]]:
        return tag.attrs.items()


_FORMAT = _AsWritten(entity_substitution=EntitySubstitution.substitute_xml)


@dataclass(frozen=True)
class Page:
    """The parsed text of a page; ``str`` writes it.

    Attributes
    ----------
    tree : BeautifulSoup
        What rules change. A drawing is an empty ``svg`` in it; ``class`` is one string.
    drawings : tuple of str
        The drawings as they were written: the parser would lower the case of ``viewBox``.
    """

    tree: BeautifulSoup
    drawings: tuple[str, ...]

    def __str__(self) -> str:
        return _PLACE.sub(lambda place: self.drawings[int(place[1])], self.tree.decode(formatter=_FORMAT))


def parse(body: str) -> Page:
    """Read the HTML of a page's text.

    Example
    -------
    >>> page = parse('<p title="b" id="a">x &lt; y<br/></p><svg viewBox="0 0 1 1"><svg/></svg>')
    >>> page.tree.p["id"] = "c"
    >>> str(page)
    '<p title="b" id="c">x &lt; y<br/></p><svg viewBox="0 0 1 1"><svg/></svg>'
    """
    pieces: list[str] = []
    drawings: list[str] = []
    start = end = depth = 0
    for tag in _SVG.finditer(body):
        closing = tag[0] == "</svg>"
        if not depth:
            if closing:
                continue
            start = tag.start()
        depth += -1 if closing else tag[0] == "<svg"
        if not depth:
            pieces += [body[end:start], f'<svg data-drawing="{len(drawings)}"></svg>']
            drawings.append(body[start : tag.end()])
            end = tag.end()
    pieces.append(body[end:])
    return Page(BeautifulSoup("".join(pieces), "html.parser", multi_valued_attributes=None), tuple(drawings))


def rewritten(body: str, *rules: Callable[[BeautifulSoup], object]) -> str:
    """Apply rules to the tree of a page's text and return its HTML.

    Example
    -------
    >>> rewritten("<p>a</p><hr/>", lambda tree: tree.p.decompose())
    '<hr/>'
    """
    page = parse(body)
    for rule in rules:
        rule(page.tree)
    return str(page)


def element(name: str, attributes: dict[str, str], *inside: Part) -> Tag:
    """Create an element; its content is inserted as text, whatever it contains.

    Example
    -------
    >>> print(element("b", {"title": '"'}, "1 < 2 ", element("wbr", {})))
    <b title='"'>1 &lt; 2 <wbr/></b>
    """
    made = Tag(name=name, attrs=attributes, can_be_empty_element=name in _VOID)
    made.extend(inside)
    return made


def fragment(markup: str) -> list[Part]:
    """Parse a piece of HTML into nodes to be put into a tree."""
    return [
        part.extract() for part in list(BeautifulSoup(markup, "html.parser", multi_valued_attributes=None).contents)
    ]


def texts(inside: Tag, apart: frozenset[str] = frozenset()) -> Iterator[NavigableString]:
    """Yield the texts inside an element in order, without comments and the content of elements named in ``apart``."""
    for child in list(inside.children):
        if isinstance(child, Tag):
            if child.name not in apart:
                yield from texts(child, apart)
        elif type(child) is NavigableString:
            yield child


def replace_in(
    text: NavigableString, pattern: re.Pattern[str], made: Callable[[re.Match[str]], Iterable[Part]]
) -> None:
    """Replace the matches of a pattern in a text by elements or texts; a match without a replacement is kept.

    Example
    -------
    >>> def number(found):
    ...     return [element("i", {}, found[0])]
    >>> rewritten("<p>a 1 &amp; 2</p>", lambda tree: replace_in(tree.p.string, re.compile(r"[0-9]"), number))
    '<p>a <i>1</i> &amp; <i>2</i></p>'
    """
    parts: list[Part] = []
    end = 0
    for found in pattern.finditer(text):
        if new := list(made(found)):
            parts += [text[end : found.start()], *new]
            end = found.end()
    if parts:
        text.replace_with(*(part for part in (*parts, text[end:]) if part != ""))


def words(inside: Tag) -> str:
    """Extract the words of an element: tags separate words, but optional line breaks do not.

    Example
    -------
    >>> words(parse('<td><a href="x">low</a> &amp; h<wbr/>igh<span>here</span></td>').tree)
    'low & high here'
    """
    parted = (f"{'' if getattr(text.previous_element, 'name', '') == 'wbr' else ' '}{text}" for text in texts(inside))
    return " ".join("".join(parted).replace("\u00ad", "").split())
