"""Words of the search: the cells of a table are words of their own, and a name is found without its accents."""

from __future__ import annotations

import re
import unicodedata

from docutils import nodes
from sphinx.search.en import SearchEnglish

_END = re.compile(
    r"(</(?:t[dhr]|p|li|d[dt]|div|h\d|text|title|summary|caption|figcaption)>|<br\s*/?>)(?=\S)"
    r'|(?<=\S)(?=<span class="psps-(?:place|label)")'
)


def plain_letters(word: str) -> str:
    """A word without accents.

    Example
    -------
    >>> plain_letters("König"), plain_letters("Rapčan")
    ('Konig', 'Rapcan')
    """
    return "".join(letter for letter in unicodedata.normalize("NFD", word) if not unicodedata.combining(letter))


class English(SearchEnglish):
    """English, whose index holds a word with accents without them too."""

    def split(self, input: str) -> list[str]:
        """Words of a text, those with accents twice."""
        words = super().split(input)
        return words + [plain for word in words if (plain := plain_letters(word)) != word]


def parted(markup: str) -> str:
    """HTML in which the ends of cells and blocks are followed by a space, since the index drops tags and keeps no gap.

    Example
    -------
    >>> parted("<tr><td>yes</td><td>low</td></tr>")
    '<tr><td>yes</td> <td>low</td> </tr>'
    """
    return _END.sub(lambda found: f"{found[0]} ", markup)


def part_words(app, doctree: nodes.document, docname: str) -> None:
    """Before pages are written and indexed: part the words of the outputs of cells."""
    for node in doctree.findall(nodes.raw):
        if "html" in node.get("format", "").split():
            node[:] = [nodes.Text(parted(node.astext()))]
