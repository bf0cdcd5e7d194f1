"""Remove the parts of the theme that no page of a built book uses.

The theme includes all of Bootstrap and Font Awesome and makes every page load the search index. Only what a page or a
script of the book names is kept. Long tables that a page carries for download become files beside it.
"""

from __future__ import annotations

import base64
import html
import io
import logging
import re
from pathlib import Path
from urllib.parse import quote

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

from psps_paper.tables.files import write_atomically

_ICON = re.compile(
    r'(?:"(?P<quoted>[a-z0-9-]+)"|\b(?P<plain>[a-z0-9]+)):\[\d+,\d+,\[(?P<aliases>[^\]]*)\],"[0-9a-f]+",(?:"[^"]*"|\["[^"]*","[^"]*"\])\],?'
)
_RULE = re.compile(r"(?P<selectors>[^{}@;]+)\{(?P<body>[^{}]*)\}")
_EMPTY = re.compile(r"@(?:media|supports|container)[^{}]*\{\s*\}")
_LICENCE, _COMMENT = re.compile(r"/\*!.*?\*/", re.DOTALL), re.compile(r"/\*.*?\*/", re.DOTALL)
# Known markup of the theme and of this book, in whole pages that are otherwise left letter by letter
_OPTIONAL = re.compile(r"\s*<script[^>]* src=\"[^\"]*\b(?:searchtools|language_data|searchindex)\.js[^\"]*\"></script>")
_CARRIED = re.compile(r'download="(?P<name>[^"/]+)" href="data:text/csv;charset=utf-8;base64,(?P<content>[^"]+)"')
_MOST_CARRIED = 8_000  # characters of a table that a page carries itself
_COMPOSED = "bs-"  # prefix of names that Bootstrap's script composes at run time


def without_unused_icons(script: str, used: set[str]) -> str:
    """Remove from Font Awesome's script all icons that the book does not use, by name or alias."""

    def kept(icon: re.Match) -> str:
        names = {icon["quoted"] or icon["plain"], *re.findall(r'"([a-z0-9-]+)"', icon["aliases"])}
        return icon[0] if names & used else ""

    return _ICON.sub(kept, script)


def without_unused_rules(css: str, used: set[str]) -> str:
    """Remove from a style sheet its comments, except licences, and the rules for classes that are not ``used``."""

    def kept(rule: re.Match) -> str:
        selectors = [
            selector.strip() for selector in re.split(r",(?![^(]*\))", rule["selectors"]) if _can_match(selector, used)
        ]
        return f"{','.join(selectors)}{{{rule['body']}}}" if selectors else ""

    rules, before = _RULE.sub(kept, _COMMENT.sub("", css)), ""
    while rules != before:
        rules, before = _EMPTY.sub("", rules), rules
    # "@charset" has to come first.
    charset = re.match(r'\s*@charset "[^"]*";', rules)
    start = charset.end() if charset else 0
    return rules[:start] + "".join(dict.fromkeys(_LICENCE.findall(css))) + rules[start:]


def _can_match(selector: str, used: set[str]) -> bool:
    """Test whether an element with only ``used`` classes can match; the content of brackets is ignored."""
    named = re.findall(r"\.([A-Za-z_][\w-]*)", re.sub(r"\([^()]*\)|\[[^\]]*\]|\"[^\"]*\"", "", selector))
    return all(name in used or name.startswith(_COMPOSED) for name in named)


def with_long_tables_beside(page: Path, output: Path) -> str:
    """Write the long CSVs that a page carries to files below ``output`` and return the page with links to them.

    Then only readers who want a table load it. A table of which the page shows some rows and searches all
    (``data-registry``) stays in the page, since a script may not read files of a page opened from disk.
    """
    markup = page.read_text(encoding="utf-8")
    place = page.relative_to(output).with_suffix("")
    folder = output / "_downloads" / place

    def beside(link: re.Match) -> str:
        figure = markup[markup.rfind("<figure", 0, link.start()) : link.start()].partition(">")[0]
        if len(link["content"]) <= _MOST_CARRIED or " data-registry" in figure:
            return link[0]
        folder.mkdir(parents=True, exist_ok=True)
        name = html.unescape(link["name"])
        write_atomically(folder / name, base64.b64decode(link["content"]))
        up = "../" * (len(place.parts) - 1)
        return f'download="{link["name"]}" href="{up}_downloads/{quote(f"{place.as_posix()}/{name}")}"'

    return _CARRIED.sub(beside, markup)


def slim(output: Path, *, own: frozenset[str] = frozenset(), search_as_you_type: bool = False) -> None:
    """Remove from the built pages in ``output`` what none of them uses.

    Parameters
    ----------
    output : Path
        Folder of the built pages.
    own : frozenset of str
        Names of style sheets of the book itself, which are left alone.
    search_as_you_type : bool
        Whether the theme's search shows results during typing; if not, only the search page loads the index.
    """
    static = output / "_static"
    icons = static / "scripts" / "fontawesome.js"
    data = {icons, output / "searchindex.js"}
    used: set[str] = set()
    for file in [*output.rglob("*.html"), *(file for file in output.rglob("*.js") if file not in data)]:
        before = file.read_text(encoding="utf-8")
        text = with_long_tables_beside(file, output) if file.suffix == ".html" else before
        used.update(re.findall(r"[\w-]+", text))
        slimmer = (
            text
            if search_as_you_type or file.suffix == ".js" or file.name == "search.html"
            else _OPTIONAL.sub("", text)
        )
        if slimmer != before:
            write_atomically(file, slimmer.encode())
    if icons.exists():
        named = {word.removeprefix("fa-") for word in used if word.startswith("fa-")}
        write_atomically(icons, without_unused_icons(icons.read_text(encoding="utf-8"), named).encode())
    drawn: set[int] = set()
    for sheet in (sheet for sheet in static.rglob("*.css") if sheet.name not in own):
        css = without_unused_rules(sheet.read_text(encoding="utf-8"), used)
        drawn |= {int(code, 16) for code in re.findall(r"\\([ef][0-9a-f]{3})\b", css)}
        # One format of the theme's fonts is enough, since every browser reads it.
        css = re.sub(r'url\([^)]*/webfonts/[^)]*\.woff2\) format\("woff2"\),', "", css)
        write_atomically(sheet, css.encode())
    for path in static.rglob("webfonts/*"):
        if path.suffix == ".ttf":
            _keep_characters(path, drawn)
        elif path.suffix == ".woff2":
            path.unlink()
    for source_map in static.rglob("*.map"):
        source_map.unlink()


def _keep_characters(path: Path, characters: set[int]) -> None:
    """Reduce a font to some characters, in place."""
    content = io.BytesIO()
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # otherwise it logs each table that it cuts
    with TTFont(path) as font:
        subsetter = Subsetter(Options(hinting=False))
        subsetter.populate(unicodes=characters)
        subsetter.subset(font)
        font.save(content)
    write_atomically(path, content.getvalue())
