"""A content security policy for every page: browsers run the book's own scripts and no others.

The inline scripts of the theme are known word for word, and the policy holds the hashes of these only. A script or
handler that entered a page in any other way is blocked by browsers and reported by the build.
"""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

from psps_paper.tables.files import write_atomically

# All inline scripts of the theme, up to white space.
THEME_SCRIPTS = tuple(
    re.compile(pattern)
    for pattern in (
        r"document\.documentElement\.dataset\.mode = localStorage\.getItem\(\"mode\"\) \|\| \"(?:auto|light|dark)\"; "
        r"document\.documentElement\.dataset\.theme = localStorage\.getItem\(\"theme\"\) \|\| \"(?:auto|light|dark)\";",
        r"let toggleHint(?:Show|Hide) = '[\w ]*';",
        r"let toggleOpenOnPrint = '(?:true|false)';",
        r"var togglebuttonSelector = '\.toggle, \.admonition\.dropdown';",
        r"kernelName = 'python3'",
        r"DOCUMENTATION_OPTIONS\.pagename = '[^'\"\\<>]*';",
        r"DOCUMENTATION_OPTIONS\.search_as_you_type = (?:true|false);",
        r"DOCUMENTATION_OPTIONS\.COLLAPSE_INDEX = true;",
        r"// Activate the search field on page load let searchInput = "
        r"document\.querySelector\(\"form\.bd-search input\"\); if \(searchInput\) \{ searchInput\.focus\(\); "
        r"searchInput\.select\(\); console\.log\(\"\[PST\]: Set focus on search field\.\"\); \}",
    )
)
# Regular expressions, since the policy is put into whole pages whose scripts must keep every letter that was hashed.
# The theme's buttons with inline handlers; psps-tables.js performs their actions instead.
BUTTON = re.compile(r'<button onclick="(?:window\.print|toggleFullScreen)\(\)"')
SCRIPT_TYPES = ("", "text/javascript", "application/javascript", "module")  # scripts of any other type are data
# Inline styles are needed: Sphinx and the theme set style attributes, and figures (SVG) and icons contain styles.
POLICY = (
    "default-src 'none'; base-uri 'none'; object-src 'none'; form-action 'self'; connect-src 'self' data: blob:; "
    "font-src 'self' data:; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; script-src 'self' {hashes}"
)
_HEAD = re.compile(r"<head[^>]*>\s*(?:<meta charset=[^>]*>)?", re.IGNORECASE)


class _Active(HTMLParser):
    """Collector of a page's inline scripts, attributes that run code, and code that it would fetch from elsewhere."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.scripts: list[str] = []
        self.foreign: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self._inside = tag == "script" and "src" not in values and values.get("type", "").lower() in SCRIPT_TYPES
        if self._inside:
            self.scripts.append("")
        self.foreign += [f'{name}="{value}" in <{tag}>' for name, value in values.items() if name.startswith("on")]
        for name in ("src", "href", "action", "formaction", "data"):
            address = re.sub(r"[\x00-\x20]", "", values.get(name, "")).lower()
            if address.startswith("javascript:") or (tag == "script" and re.match(r"\w+:|//", address)):
                self.foreign.append(f'{name}="{values[name]}" in <{tag}>')
        if tag in ("base", "iframe", "frame", "object", "embed"):
            self.foreign.append(f"<{tag}>")

    handle_startendtag = handle_starttag

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._inside = False


def _known(script: str) -> bool:
    plain = " ".join(script.split())
    return any(pattern.fullmatch(plain) for pattern in THEME_SCRIPTS)


def hash_of(script: str) -> str:
    """Hash a script's text as a policy does.

    Example
    -------
    >>> hash_of("")
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    """
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def foreign_code(page: str) -> list[str]:
    """List the code that would run in a page but is neither a file of the book nor written by the theme.

    Parameters
    ----------
    page : str
        HTML of a page.

    Returns
    -------
    list of str
        Inline scripts, handlers, addresses that run code, and frames; empty for a page of the book.

    Example
    -------
    >>> foreign_code("<script>alert(1)</script><img src=x onerror=alert(2)>")
    ['onerror="alert(2)" in <img>', '<script>alert(1)']
    """
    active = _Active()
    active.feed(page)
    active.close()
    return active.foreign + [f"<script>{script.strip()[:60]}" for script in active.scripts if not _known(script)]


def protected(page: str) -> str:
    """Put the policy in the head of a page, with the hashes of the theme's own scripts, and label the theme's buttons.

    Parameters
    ----------
    page : str
        HTML of a page with a head; any other is returned unchanged.
    """
    page = BUTTON.sub(lambda button: f'<button data-psps-does="{"print" if "print" in button[0] else "screen"}"', page)
    active = _Active()
    active.feed(page)
    active.close()
    hashes = sorted({hash_of(script) for script in active.scripts if _known(script)})
    meta = f'\n<meta http-equiv="Content-Security-Policy" content="{POLICY.format(hashes=" ".join(hashes)).strip()}"/>'
    return _HEAD.sub(lambda head: head[0] + meta, page, count=1)


def protect(output: Path) -> dict[str, list[str]]:
    """Give every built page the policy.

    Parameters
    ----------
    output : Path
        Folder of the built pages; the theme's files in ``_static`` are skipped.

    Returns
    -------
    dict
        The foreign code (see :func:`foreign_code`) of each page that has some, by its path in the folder.
    """
    found = {}
    for path in sorted(output.rglob("*.html")):
        name = path.relative_to(output)
        if name.parts[0] == "_static":
            continue
        page = protected(path.read_text(encoding="utf-8"))
        write_atomically(path, page.encode())
        if foreign := foreign_code(page):
            found[name.as_posix()] = foreign
    return found
