"""Sphinx extension of the book: citations carry the article's own reference numbers, and pages are tidied.

Jupyter Book loads it by name (``_config.yml``, ``extra_extensions``). Tidying removes scripts of services that the book
does not use and the parts of the theme that no page uses, makes roles and header cells readable for assistive
technology, puts the data tables next to the pages, and adds a policy under which no other script runs. Formulas are
MathML (:mod:`psps_paper.site.formulas`).
"""

from __future__ import annotations

import html
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote_plus

import markupsafe
import pybtex.plugin
from bs4 import NavigableString, Tag
from myst_nb.sphinx_ import NbMetadataCollector
from pybtex.database import Entry, Person
from pybtex.style.formatting.unsrt import Style as UnsortedStyle
from pybtex.style.labels import BaseLabelStyle
from pybtex.style.sorting import BaseSortingStyle
from pybtex.style.template import href, names, sentence
from sphinx.util import logging

from psps_paper.site import formulas, paths, policy, search_words, tables, trial_links, xray
from psps_paper.site.glossary import PAGE, GlossaryDirective, explain, load_glossary
from psps_paper.site.markup import element, parse, replace_in
from psps_paper.site.slimming import slim
from psps_paper.tables.files import write_atomically

LOG = logging.getLogger(__name__)


def reference_number(key: str) -> int | None:
    """Return the article's own number for a reference (N of ``refN``), or None for any other key."""
    match = re.fullmatch(r"ref(\d+)", key)
    return int(match[1]) if match else None


class ReferenceNumbers(BaseLabelStyle):
    """Labels: ``[N]`` for the article's reference N; ``[Rücker 2012]`` for works that only this edition cites."""

    def format_labels(self, sorted_entries: Iterable[Entry]) -> Iterator[str]:
        for entry in sorted_entries:
            number = reference_number(entry.key)
            if number is None:
                yield f"{' '.join(entry.persons['author'][0].last_names)} {entry.fields['year']}"
            else:
                yield str(number)


class ReferenceOrder(BaseSortingStyle):
    """Order of references: the article's own in its order, then the others by author and year."""

    def sort(self, entries: Iterable[Entry]) -> list[Entry]:
        def place(entry: Entry) -> tuple[float, str]:
            number = reference_number(entry.key)
            return (float("inf"), entry.key) if number is None else (number, "")

        return sorted(entries, key=place)


class ReferenceStyle(UnsortedStyle):
    """Names as in the article: separated by commas, with "et al." for the rest."""

    default_label_style = ReferenceNumbers
    default_sorting_style = ReferenceOrder

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        format_person = self.format_name

        def format_name(person: Person, abbreviate: bool = False):
            return "et al." if str(person) == "others" else format_person(person, abbreviate)

        self.format_name = format_name

    def format_web_refs(self, entry):
        """Format the links of a reference; if the article prints no DOI, link to a search for its title in PubMed."""
        if {"doi", "url"} & set(entry.fields) or "title" not in entry.fields:
            return super().format_web_refs(entry)
        title = re.sub(r"[{}\\]", "", entry.fields["title"])
        return sentence[href[f"https://pubmed.ncbi.nlm.nih.gov/?term={quote_plus(title)}", "find in PubMed"]]

    def format_names(self, role: str, as_sentence: bool = True):
        listed = names(role, sep=", ", sep2=", ", last_sep=", ")
        return sentence[listed] if as_sentence else listed


WIDE = 5  # a table with at least this many columns extends into the margin
PHRASE, SENTENCE = 16, 60  # cells with at least this many characters get a minimum width


def make_room(tree: Tag) -> None:
    """Extend wide tables into the margin, and mark cells by the length of their text.

    The theme hides the table of contents next to ``full-width`` content; its script fails on pages without sections,
    which have no such table. Browsers divide the width by the longest cells, so that a sentence next to many columns
    would become one word wide.
    """
    margin = " wide full-width" if tree.find("h2") else " wide"
    for wrap in tree.select("div.table-wrap"):
        if len(wrap.tr.find_all(tables.CELLS)) >= WIDE:
            wrap["class"] += margin
        for cell in wrap.find_all("td"):
            if not {"data-value", "data-head", "class"}.issuperset(cell.attrs):
                continue
            length = len(cell.get_text().strip())
            if length >= SENTENCE:  # may contain numbers, but is not a number to be kept on one line
                cell["data-says"] = "sentence"
                cell.attrs.pop("class", None)
            elif length >= PHRASE and "class" not in cell.attrs:
                cell["data-says"] = "phrase"


def add_switch(tree: Tag) -> None:
    """Replace the toggles of all code cells by one switch at the end of the page, which the style sheet obeys.

    Example
    -------
    >>> from psps_paper.site.markup import rewritten
    >>> cell = '<details class="admonition hide above-input"><summary>s</summary><pre>1 + 1</pre></details>'
    >>> rewritten(cell, add_switch).partition("<p ")[0]
    '<div class="psps-code"><pre>1 + 1</pre></div>'
    """
    cells = tree.select("details.above-input")
    for cell in cells:
        cell.summary.decompose()
        cell.name, cell.attrs = "div", {"class": "psps-code"}
    if cells:
        box = element("input", {"type": "checkbox", "id": "psps-code"})
        tree.append(
            element("p", {"class": "psps-code-switch"}, element("label", {}, box, " Show the code of this page"))
        )


_LIST = re.compile(r"\d+(?:, \d+){2,}")
_BREAK = re.compile(r"(?<=\S{6}[,/|=_(])(?=\S{6})")


def correct(tree: Tag) -> None:
    """Correct a page's tree: what axe-core reports, and long words in tables.

    axe-core reports pandas' empty header cells and docutils' citation roles. MyST-NB gives all toggles of code the
    same label; without it, a toggle is called by its text. Long words in tables may break.
    """
    for summary in tree.select('summary[aria-label="Toggle hidden content"]'):
        del summary["aria-label"]
    for aside in tree.select("aside.margin.sidebar"):
        aside["role"] = "note"
    for entry in tree.select("[role=doc-biblioentry]"):
        entry["role"] = "listitem"
    for cell in tree.select("th:empty"):
        cell.name = "td"
    for cell in tree.find_all("td"):
        first = next(iter(cell.contents), None)
        # A list of numbers need not stay on one line.
        if cell.get("class") == tables.NUMBER and _LIST.fullmatch(cell.string or ""):
            del cell["class"]
        if not cell.attrs and isinstance(first, NavigableString) and re.search(r"\S{25}", first):
            replace_in(first, _BREAK, lambda _: [element("wbr", {})])


def adapt_page(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Tidy a page's text before it is written, and drop unused scripts such as the theme's thebe."""
    page = parse(context.get("body", ""))
    for rule in (correct, add_switch, tables.arrange, make_room, formulas.join, xray.add_bar):
        rule(page.tree)
    dropped = ["thebe"] if xray.claims_in(page.tree) else ["thebe", xray.SCRIPT]
    for kind in ("script_files", "css_files"):
        context[kind] = [
            asset
            for asset in context[kind]
            if not any(
                name in f"{getattr(asset, 'filename', asset)} {getattr(asset, 'attributes', '')}".lower()
                for name in dropped
            )
        ]
    # No abbreviations are explained in the reference list (titles of other people's works) or the glossary itself.
    if (
        f"book/{PAGE}" in app.env.found_docs
        and pagename.startswith("book/")
        and Path(pagename).name not in ("references", PAGE)
    ):
        explain(page.tree, app.psps_glossary)
    trial_links.lead_to_cards(app, pagename, page.tree)
    paths.describe(app, pagename, page.tree, context)
    context["body"] = str(page)
    # The theme does not escape "<" in the heading of the printed page.
    context["pagetitle"] = html.escape(context.get("pagetitle", ""), quote=False)


def escape_titles(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Escape the site's title and author for every place where the theme writes them, without escaping them twice."""
    for name in ("docstitle", "shorttitle", "project", "root_title", "author", "copyright"):
        if isinstance(context.get(name), str):
            context[name] = markupsafe.escape(context[name])


def read_glossary(app) -> None:
    """Read the glossary once per build; in a book without one, no abbreviations are explained."""
    path = Path(app.srcdir) / "book" / "glossary.yml"
    app.psps_glossary = load_glossary(path) if path.exists() else {}


LOOK = "psps.css"  # style sheet of this edition and of every review, in assets/


def use_assets(app, config) -> None:
    """Add the package's style sheet and the font for MathML formulas to every book that loads this extension."""
    config.html_math_renderer = "mathml"
    config.html_static_path.append(str(formulas.ASSETS))


def read_in_parallel(app) -> None:
    """Read, and thereby execute, one chapter per core at a time; Jupyter Book has no option for this."""
    app.parallel = os.cpu_count() or 1
    # The extension is switched off and does nothing while pages are read, but does not declare itself parallel-safe.
    app.extensions["sphinx_multitoc_numbering"].parallel_read_safe = True


def run_all_chapters(app, config) -> None:
    """Keep running when a chapter fails, so that :func:`report_failures` can report all failures and fail the build."""
    app.psps_strict = getattr(config, "nb_execution_raise_on_error", False)  # undefined in a book without notebooks
    if app.psps_strict:
        config.nb_execution_raise_on_error = False


_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CELL = re.compile(r"^-{18,}\n(?P<source>.*?)\n-{18,}$", re.DOTALL | re.MULTILINE)
CELL_LINES = 10  # lines of a failed cell to show, around the line that failed


def failed_cell(message: str) -> str:
    """Reduce nbclient's message to what an author needs: the cell, indented, and its error or time-out.

    Example
    -------
    >>> line = "-" * 18
    >>> print(failed_cell(f"Executing:\\n{line}\\n1 / 0\\n{line}\\nZeroDivisionError: division by zero"))
        1 / 0
    ZeroDivisionError: division by zero
    """
    text = _COLOUR.sub("", message).strip()
    cell = _CELL.search(text)
    lines = cell["source"].split("\n") if cell else []
    at = re.search(r"^Cell In\[\d+\], line (\d+)", text, re.MULTILINE)
    first = max(min(int(at[1]) - CELL_LINES // 2, len(lines) - CELL_LINES), 0) if at else 0
    timed_out = re.search(r"A cell (timed out) .*?(after [\d.]+ seconds)", text)
    raised = re.search(r"^(\w+) +Traceback \(most recent call last\)$", text, re.MULTILINE)
    start = text.rfind(f"\n{raised[1]}") + 1 if raised else text.rfind("\n") + 1
    said = f"{timed_out[1]} {timed_out[2]}" if timed_out else text[start:]
    return "\n".join([*(f"    {line}" for line in lines[first : first + CELL_LINES]), *said.split("\n")[:5]])


def report_failures(app, error: Exception | None) -> None:
    """At the very end of a build, report each chapter that failed with its cell and error, and fail the build."""
    if error is not None or not app.psps_strict:
        return
    data = {name: NbMetadataCollector.get_exec_data(app.env, name) for name in sorted(app.env.found_docs)}
    for name, run in data.items():
        if run and not run["succeeded"]:
            app.statuscode = 1
            print(
                f"\n{app.env.doc2path(name, base=False)}: this cell failed:\n{failed_cell(run['traceback'])}",
                file=sys.stderr,
                flush=True,
            )


# Markup that the theme writes on every page, and its replacement with accessible roles and names
NAMED = {
    'class="bd-sidebar-primary bd-sidebar': (
        'role="complementary" aria-label="Book" class="bd-sidebar-primary bd-sidebar'
    ),
    '<summary><span class="toctree-toggle"': '<summary aria-label="Pages below"><span class="toctree-toggle"',
    'search-button-field search-button__button pst-js-only" title="Search" aria-label="Search"': (
        'search-button-field search-button__button pst-js-only"'
    ),
    'data-mode="light" title="Light"': 'data-mode="light"',
    'data-mode="dark"  title="Dark"': 'data-mode="dark"',
    'data-mode="auto"  title="System Settings"': 'data-mode="auto"',
}


def finish(app, error: Exception | None) -> None:
    """Finish a build.

    Make the sidebar a landmark and name its toggles, put the data next to the pages, remove unused parts of the theme,
    and allow only scripts of the book and the theme.
    """
    if error is not None or app.builder.format != "html":
        return
    output = Path(app.outdir)
    for page in output.rglob("*.html"):
        plain = page.read_text(encoding="utf-8")
        marked = plain
        for theirs, ours in NAMED.items():
            marked = marked.replace(theirs, ours)
        if marked != plain:
            write_atomically(page, marked.encode())
    # PDFs of an earlier build would show outdated numbers, and the new front page does not link to them.
    shutil.rmtree(output / "pdf", ignore_errors=True)
    data = output / "data"
    data.mkdir(exist_ok=True)
    for table in sorted((Path(app.srcdir) / "data").glob("*.csv")):
        write_atomically(data / table.name, table.read_bytes())
    # Extensions add their own static folders by full paths.
    folders = [Path(app.srcdir) / folder for folder in app.config.html_static_path if not Path(folder).is_absolute()]
    own = frozenset({LOOK}.union(sheet.name for folder in folders for sheet in folder.glob("*.css")))
    slim(output, own=own, search_as_you_type=bool(app.config.html_theme_options.get("search_as_you_type")))
    for page, foreign in policy.protect(output).items():
        LOG.warning("%s holds code that is not the book's, and that browsers will not run: %s", page, foreign[0])


def setup(app) -> dict[str, bool]:
    """Register the reference style ``psps`` and the handlers (Sphinx calls this when it loads the extension)."""
    pybtex.plugin.register_plugin("pybtex.style.formatting", "psps", ReferenceStyle)
    app.add_directive("psps-glossary", GlossaryDirective)
    app.add_html_math_renderer("mathml", (formulas.visit_math, None), (formulas.visit_displaymath, None))
    app.add_css_file("formulas.css")
    app.add_css_file(LOOK, priority=700)  # after those of the theme and MyST-NB (500), before a book's own (800)
    app.add_js_file("psps-tables.js", loading_method="defer")
    app.add_js_file(xray.SCRIPT, loading_method="defer")
    app.add_js_file("psps-trials.js", loading_method="defer")
    app.add_search_language(search_words.English)
    app.connect("doctree-resolved", search_words.part_words)
    app.connect("config-inited", use_assets)
    app.connect("config-inited", paths.add_templates)
    app.connect("config-inited", run_all_chapters)
    app.connect("builder-inited", read_glossary)
    app.connect("builder-inited", read_in_parallel)
    app.connect("html-page-context", adapt_page, priority=900)
    app.connect("html-page-context", paths.follow_path, priority=910)
    app.connect("html-page-context", escape_titles, priority=920)  # whatever the handlers before it made of them
    app.connect("build-finished", finish, priority=900)
    app.connect("build-finished", report_failures, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
