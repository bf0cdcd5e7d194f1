"""Print the built book as a PDF, and the summary for clinicians as a PDF of two pages.

``python -m psps_paper.site.printing _build/html`` joins the pages of a built book into one, which Chromium prints:
contents with page numbers, links within the file, wide tables on landscape pages. The PDFs are put next to the pages,
and the front page links to them. This needs Chromium, which building the book does not.
"""

from __future__ import annotations

import argparse
import html
import mimetypes
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import Tag
from pypdf import PdfReader

from psps_paper.book.display import TIERS
from psps_paper.errors import ChapterError
from psps_paper.site.markup import parse, rewritten
from psps_paper.tables.files import write_atomically

# No request leaves the machine, whatever a page asks for.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
FOLDER, BOOK, SUMMARY = "pdf", "psps-paper.pdf", "clinician-summary.pdf"
SUMMARY_PAGE = "clinician_summary"
TEXT_WIDTH = 680  # CSS pixels between the margins of an upright A4 page (psps-print.css)
WIDE_TEXT_WIDTH = 1009  # the same for a landscape page
_ORIGIN = "http://book.invalid"
_MARK = re.compile(r'<p class="psps-pdf">.*?</p>', re.DOTALL)  # in a whole page, whose other text must not change

# Long words in tables may break anywhere. A table too wide for an upright page goes on a landscape page, and one too
# wide for that is scaled down. Returns whatever still sticks out of the paper.
_FIT = """([upright, lying]) => {
  const width = (element) => element.getBoundingClientRect().width;
  for (const table of document.querySelectorAll("figure.psps table")) {
    if (width(table) <= upright + 1) continue;
    const texts = document.createTreeWalker(table, NodeFilter.SHOW_TEXT);
    const long = [];
    while (texts.nextNode()) if (/\\S{15}/.test(texts.currentNode.data)) long.push(texts.currentNode);
    for (const text of long) text.data = text.data.replace(/\\S{15,}/g, (word) => word.replace(/[,;:\\/_=.]|[^,;:\\/_=.]{10}/g, "$&\u200b"));
    if (width(table) <= upright + 1) continue;
    const figure = table.closest("figure");
    figure.classList.add("wide");
    figure.style.width = lying + "px";
    // Type sizes change in steps, and in some typefaces by less than requested
    for (let zoom = 1; width(table) > lying + 1 && zoom > 0.3; ) table.style.zoom = zoom *= lying / width(table) - 0.01;
  }
  return [...document.querySelectorAll("figure.psps, pre, table, svg, p, .math")].filter(
    (element) => element.getBoundingClientRect().right > (element.closest(".wide") ? lying : upright) + 1
  ).map((element) => Math.round(element.getBoundingClientRect().right) + " px: " + element.outerHTML.slice(0, 160));
}"""


def find_chromium() -> str | None:
    """Find Chromium on this machine: the variable ``PSPS_CHROMIUM``, or a program on the path."""
    named = os.environ.get("PSPS_CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@dataclass(frozen=True)
class Chapter:
    """A page of the book: its part of the table of contents, file stem and title."""

    part: str
    stem: str
    title: str


def chapters(built: Path, toc: Path) -> list[Chapter]:
    """List the chapters of a built book in the order of its table of contents."""
    contents = yaml.safe_load(toc.read_text(encoding="utf-8"))
    files = [("", contents["root"])]
    for part in contents["parts"]:
        for entry in part["chapters"]:
            files += [(part["caption"], listed["file"]) for listed in (entry, *entry.get("sections", []))]
    found = []
    for part, file in files:
        heading = parse(article(built, Path(file).name).partition("</h1>")[0]).tree.h1
        heading.select_one("a.headerlink").decompose()
        found.append(Chapter(part, Path(file).name, heading.get_text().strip()))
    return found


def article(built: Path, stem: str) -> str:
    """Extract the article of a page, without navigation."""
    page = (built / "book" / f"{stem}.html").read_text(encoding="utf-8")
    return re.search(r'<article class="bd-article">(.*)</article>', page, re.DOTALL)[
        1
    ]  # the theme's own, word for word


def within_one_page(markup: str, stem: str, stems: set[str]) -> str:
    """Prefix the anchors of a chapter, so that they differ from those of others, and point links into the document."""

    def link(match: re.Match) -> str:
        name, target = match[1], html.unescape(match[2])
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            return match[0]
        page = Path(parts.path).stem if parts.path else stem
        if page not in stems or (parts.path and not parts.path.endswith(".html")):
            return match[0]
        return f'{name}="#{page}--{html.escape(unquote(parts.fragment))}"' if parts.fragment else f'{name}="#{page}"'

    # Regular expressions, since ids are named alike in HTML, drawings and style sheets of drawings.
    markup = re.sub(r'(?<=\s)((?:xlink:)?href)="([^"]*)"', link, markup)
    markup = re.sub(r'(?<=\s)(id|for|aria-labelledby|aria-describedby|name)="([^"]+)"', rf'\1="{stem}--\2"', markup)
    markup = re.sub(r"url\(#", f"url(#{stem}--", markup)
    return re.sub(r"#([\w-]+-svg \*)", rf"#{stem}--\1", markup)


def document(built: Path, body: str, *, title: str, kind: str) -> str:
    """Build a page for print: ``body`` with the styles of the book."""
    source = (built / "book" / "methods.html").read_text(encoding="utf-8")
    styles = re.findall(r'<link[^>]*rel="stylesheet"[^>]*/>', source)
    return (
        '<!doctype html><html lang="en" data-theme="light" data-mode="light"><head><meta'
        f' charset="utf-8"><title>{html.escape(title)}</title>{"".join(styles)}<link rel="stylesheet"'
        f' href="../_static/psps-print.css"></head><body class="{kind}"><main class="bd-content"><div'
        f' class="bd-article-container"><div class="bd-article">{body}</div></div></main></body></html>'
    )


def book_document(built: Path, listed: list[Chapter], title: str, pages: dict[str, int]) -> str:
    """Build the whole book as one page; ``pages`` gives the page numbers for its table of contents."""
    stems = {chapter.stem for chapter in listed}
    parts: dict[str, list[Chapter]] = {}
    for chapter in listed:
        parts.setdefault(chapter.part, []).append(chapter)
    lines = "".join(
        f"<li>{html.escape(part)}<ol>"
        + "".join(
            f'<li><a href="#{chapter.stem}">{html.escape(chapter.title)}</a><span'
            f' class="page">{pages.get(chapter.stem, "")}</span></li>'
            for chapter in group
        )
        + "</ol></li>"
        for part, group in parts.items()
    )
    text = "".join(
        '<section class="chapter"'
        f' id="{chapter.stem}">{within_one_page(article(built, chapter.stem), chapter.stem, stems)}</section>'
        for chapter in listed
    )
    front = f'<section class="title-page"><h1>{html.escape(title)}</h1><p>Version {version("psps-paper")}</p></section>'
    return document(
        built,
        f'{front}<nav class="printed-contents"><h1>Contents</h1><ol>{lines}</ol></nav>{text}',
        title=title,
        kind="book",
    )


def summary_document(built: Path, listed: list[Chapter]) -> str:
    """Build the summary for clinicians as a page of its own.

    Links into the book become plain text, and numbers carry the letter of their tier.
    """

    def unlink(tree: Tag) -> None:
        for claim in tree.select("a.claim"):
            claim.name, claim.attrs = "span", {"class": "claim"}
        for link in tree.select("a.psps-abbr, a.reference.internal"):
            link.unwrap()

    letters = ", ".join(
        f"<sup>{tier[0]}</sup> {tier} ({TIERS[tier]})" for tier in ("printed", "implied", "re-extracted")
    )
    text = f'{rewritten(article(built, SUMMARY_PAGE), unlink)}<p class="letters">Numbers in the text: {letters}.</p>'
    title = next(chapter.title for chapter in listed if chapter.stem == SUMMARY_PAGE)
    return document(built, text, title=title, kind="summary")


@contextmanager
def printer(built: Path) -> Iterator:
    """Yield a function that prints a document to PDF bytes; it raises if anything would be cut off at the right."""
    from playwright.sync_api import sync_playwright

    chromium = find_chromium()
    if chromium is None:
        raise FileNotFoundError("no Chromium here: apt-get install chromium, or set PSPS_CHROMIUM")
    footer = (
        '<div style="width:100%;font:8px sans-serif;color:#55606d;text-align:center"><span class="pageNumber"></span> /'
        ' <span class="totalPages"></span></div>'
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)

        def print_pdf(text: str) -> bytes:
            page = browser.new_page(viewport={"width": TEXT_WIDTH, "height": 970}, color_scheme="light")

            def answer(route) -> None:
                address = urlsplit(route.request.url)
                file = built / unquote(address.path).lstrip("/")
                if address.path == "/book/print.html":
                    route.fulfill(body=text, content_type="text/html; charset=utf-8")
                elif route.request.url.startswith(_ORIGIN) and file.is_file():
                    route.fulfill(
                        body=file.read_bytes(),
                        content_type=mimetypes.guess_type(file.name)[0] or "application/octet-stream",
                    )
                else:
                    route.abort()

            page.route("**/*", answer)
            page.emulate_media(media="print")
            page.goto(f"{_ORIGIN}/book/print.html", wait_until="load", timeout=120_000)
            page.evaluate("document.fonts.ready.then(() => true)")
            cut = page.evaluate(_FIT, [TEXT_WIDTH, WIDE_TEXT_WIDTH])
            if cut:
                raise ChapterError("too wide for the paper:\n" + "\n".join(cut))
            printed = page.pdf(
                prefer_css_page_size=True,
                print_background=True,
                display_header_footer=True,
                header_template="<span></span>",
                footer_template=footer,
                outline=True,
                tagged=True,
            )
            page.close()
            return printed

        yield print_pdf
        browser.close()


def page_count(pdf: bytes) -> int:
    """Count the pages of a PDF."""
    return len(PdfReader(BytesIO(pdf)).pages)


def page_numbers(pdf: bytes) -> dict[str, int]:
    """Find the page of each named destination of a PDF, counted from 1."""
    reader = PdfReader(BytesIO(pdf))
    found = {name.lstrip("/"): place for name, place in reader.named_destinations.items()}
    return {name: reader.get_destination_page_number(place) + 1 for name, place in found.items()}


def link_pdfs(built: Path) -> None:
    """Show links on the front page to the PDFs that exist."""
    sizes = {name: path.stat().st_size for name in (SUMMARY, BOOK) if (path := built / FOLDER / name).exists()}
    words = {SUMMARY: "Summary for clinicians, two pages", BOOK: "The whole book"}
    links = " · ".join(
        f'<a href="../{FOLDER}/{name}">{words[name]} (PDF, {size / 1e6:.1f} MB)</a>' for name, size in sizes.items()
    )
    front = built / "book" / "index.html"
    text = front.read_text(encoding="utf-8")
    marked = _MARK.sub(f'<p class="psps-pdf">{links}</p>', text)
    if marked == text and not _MARK.search(text):
        raise ChapterError(f"{front.name} has no place for the links to the PDFs")
    write_atomically(front, marked.encode())


def print_all(built: Path, toc: Path, title: str) -> dict[str, int]:
    """Print the summary and the book into the folder ``pdf`` of a built book; return the number of pages of each."""
    listed = chapters(built, toc)
    counts = {}
    with printer(built) as print_pdf:
        summary = print_pdf(summary_document(built, listed))
        # Page numbers are known only after a first printing; adding them does not move any page.
        first = print_pdf(book_document(built, listed, title, {}))
        book = print_pdf(book_document(built, listed, title, page_numbers(first)))
    target = built / FOLDER
    target.mkdir(exist_ok=True)
    for name, content in ((SUMMARY, summary), (BOOK, book)):
        write_atomically(target / name, content)
        counts[name] = page_count(content)
    link_pdfs(built)
    return counts


def main(arguments: list[str] | None = None) -> int:
    """Print a built book; return 1 if the book or Chromium is missing."""
    parser = argparse.ArgumentParser(prog="python -m psps_paper.site.printing", description=main.__doc__)
    parser.add_argument("built", type=Path, help="folder of the built pages")
    parser.add_argument(
        "--source", type=Path, default=Path(), help="folder of _toc.yml and _config.yml (default: here)"
    )
    options = parser.parse_args(arguments)
    try:
        title = yaml.safe_load((options.source / "_config.yml").read_text(encoding="utf-8"))["title"]
        for name, pages in print_all(options.built, options.source / "_toc.yml", title).items():
            print(
                f"{options.built / FOLDER / name}: {pages} pages,"
                f" {(options.built / FOLDER / name).stat().st_size / 1e6:.1f} MB"
            )
    except (OSError, ChapterError) as error:
        print(f"psps-paper: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
