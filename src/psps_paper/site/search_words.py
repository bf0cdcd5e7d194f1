"""Words in the search index: table cells are separate words, and names are also found without their accents."""

from __future__ import annotations

import re
import unicodedata

from docutils import nodes
from sphinx.search.en import SearchEnglish

# Regular expressions, since outputs are nodes of raw HTML that may begin or end within an element
_END = re.compile(
    r"(</(?:t[dhr]|p|li|d[dt]|div|h\d|text|title|summary|caption|figcaption)>|<br\s*/?>)(?=\S)"
    r'|(?<=\S)(?=<span class="psps-(?:place|label)")'
)


def plain_letters(word: str) -> str:
    """Remove the accents from a word.

    Example
    -------
    >>> plain_letters("König"), plain_letters("Rapčan")
    ('Konig', 'Rapcan')
    """
    return "".join(letter for letter in unicodedata.normalize("NFD", word) if not unicodedata.combining(letter))


class English(SearchEnglish):
    """Search language English, which indexes accented words without accents as well."""

    def split(self, input: str) -> list[str]:
        """Split a text into words, giving accented words twice."""
        words = super().split(input)
        return words + [plain for word in words if (plain := plain_letters(word)) != word]


def parted(markup: str) -> str:
    """Add a space after the ends of cells and blocks, since the index drops tags without leaving a gap.

    Example
    -------
    >>> parted("<tr><td>yes</td><td>low</td></tr>")
    '<tr><td>yes</td> <td>low</td> </tr>'
    """
    return _END.sub(lambda found: f"{found[0]} ", markup)


def part_words(app, doctree: nodes.document, docname: str) -> None:
    """Separate the words in the outputs of cells before pages are written and indexed."""
    for node in doctree.findall(nodes.raw):
        if "html" in node.get("format", "").split():
            node[:] = [nodes.Text(parted(node.astext()))]
