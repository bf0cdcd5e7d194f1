"""Readers' paths through the book: parts whose captions begin in the same way ("For clinicians: ...") form one path.

Each page belongs to one path, so its address determines the reader: the sidebar shows only that path, and "next"
follows it, without a script. A book whose captions name fewer than two paths is left unchanged.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path

from bs4 import BeautifulSoup, Tag

TEMPLATES = Path(__file__).parent / "templates"
DEVELOPERS = "For developers"  # a path that the sidebars of the others do not show
DESCRIPTION = 160  # characters that search engines show


@dataclass(frozen=True)
class Part:
    """A part of the table of contents: its path ("For reviewers"), its title (may be empty) and its pages in order."""

    path: str
    title: str
    pages: tuple[str, ...]


def read_parts(site_map) -> list[Part]:
    """Read the parts with captions from a site map of sphinx-external-toc, including pages below their pages."""

    def below(name: str) -> list[str]:
        document = site_map.get(name)
        return [name, *(page for child in document.child_files() for page in below(child))] if document else [name]

    found = []
    for tree in site_map.root.subtrees:
        path, _, title = (tree.caption or "").partition(": ")
        if path:
            found.append(
                Part(
                    path,
                    title[:1].upper() + title[1:],
                    tuple(page for name in tree.files() for page in below(str(name))),
                )
            )
    return found


def path_of(parts: list[Part], page: str) -> str:
    """Return the path that a page is on; empty if it is on none."""
    return next((part.path for part in parts if page in part.pages), "")


def neighbours(parts: list[Part], page: str) -> tuple[str, str]:
    """Return the pages before and after a page on its path; empty if there is none.

    Example
    -------
    >>> parts = [Part("For a", "", ("x", "y")), Part("For b", "", ("z",)), Part("For a", "more", ("w",))]
    >>> neighbours(parts, "y"), neighbours(parts, "z")
    (('x', 'w'), ('', ''))
    """
    path = path_of(parts, page)
    pages = [name for part in parts if path and part.path == path for name in part.pages]
    if page not in pages:
        return "", ""
    at = pages.index(page)
    return (pages[at - 1] if at else ""), (pages[at + 1] if at + 1 < len(pages) else "")


def sidebar(toctree: BeautifulSoup, parts: list[Part], path: str, doors: str) -> BeautifulSoup:
    """Build the sidebar of a path: links to the first pages of the readers' paths, then the contents of this path.

    Parameters
    ----------
    toctree : BeautifulSoup
        The theme's own sidebar, with a caption and a list for each part; it is changed in place.
    parts : list of Part
        In the order of the captions.
    path : str
        The path to keep; empty keeps none.
    doors : str
        Markup of the links, placed first.
    """
    captions = {f"{part.path}: {part.title.lower()}" if part.title else part.path: part for part in parts}
    for caption in toctree.select("p.caption"):
        part = captions.get(_key(caption.get_text(strip=True)))
        contents = caption.find_next_sibling("ul")
        if part is None or part.path != path:
            caption.decompose()
            if contents is not None:
                contents.decompose()
        elif part.title:
            caption.span.string = part.title
        else:
            caption.decompose()
    toctree.insert(0, BeautifulSoup(doors, "html.parser"))
    return toctree


def _key(caption: str) -> str:
    path, colon, title = caption.partition(": ")
    return f"{path}{colon}{title.lower()}"


def description(tree: Tag) -> str:
    """Extract the first informative sentences of a page, at most ``DESCRIPTION`` characters; empty if it has none.

    Example
    -------
    >>> body = "<p><em>Mirrors: Methods.</em></p><p>Which of these treatments work best? So people ask.</p>"
    >>> description(BeautifulSoup(body, "html.parser"))
    'Which of these treatments work best? So people ask.'
    """
    for paragraph in tree.find_all("p"):
        text = " ".join(paragraph.get_text().split())
        aside = paragraph.find("em", recursive=False)
        if len(text) < 40 or (aside and text == " ".join(aside.get_text().split())):
            continue
        if len(text) <= DESCRIPTION:
            return text
        end = max(text.rfind(mark, 0, DESCRIPTION) for mark in (". ", "? "))
        return text[: end + 1] if end > 40 else f"{text[: text.rfind(' ', 0, DESCRIPTION - 1)]}\u2026"
    return ""


def add_templates(app, config) -> None:
    """Give this package's templates precedence over the theme's."""
    config.templates_path.append(str(TEMPLATES))


def describe(app, pagename: str, tree: Tag, context: dict) -> None:
    """Add a description to a page before it is written, and end the tab's title with the book's short name."""
    text = description(tree)
    if text:
        context["metatags"] = f'{context.get("metatags", "")}\n<meta name="description" content="{html.escape(text)}"/>'
    book = app.config.html_title or ""
    context["docstitle"] = "" if pagename == app.config.root_doc else book.partition(":")[0]


def follow_path(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Give a page the sidebar and neighbours of its path before it is written."""
    parts = read_parts(app.env.external_site_map) if hasattr(app.env, "external_site_map") else []
    readers = [path for path in dict.fromkeys(part.path for part in parts) if path != DEVELOPERS]
    if len(readers) < 2 or "pathto" not in context:
        return
    path = path_of(parts, pagename)
    first = {part.path: part.pages[0] for part in reversed(parts)}
    current = ' aria-current="true"'
    doors = (
        '<ul class="psps-paths">'
        + "".join(
            f'<li><a href="{html.escape(context["pathto"](first[name]))}"{current if name == path else ""}>'
            f"{html.escape(name)}</a></li>"
            for name in readers
        )
        + "</ul>"
    )
    whole = context.get("generate_toctree_html")
    if whole is not None:
        context["generate_toctree_html"] = lambda *a, **k: sidebar(
            BeautifulSoup(str(whole(*a, **k)), "html.parser"), parts, path, doors
        )
    if pagename == app.config.root_doc:
        context["sidebars"] = []
    for name, page in zip(("prev", "next"), neighbours(parts, pagename), strict=True):
        context[name] = {"link": context["pathto"](page), "title": context_title(app, page)} if page else None
    context["psps_next_words"] = f"Next {path[:1].lower()}{path[1:]}" if path else ""


def context_title(app, page: str) -> str:
    """Return the title of a page as used in links."""
    title = app.env.titles.get(page)
    return html.escape(title.astext()) if title is not None else page
