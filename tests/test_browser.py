"""What a reader's browser does with the pages: no request leaves the machine, nothing fails, all can be read.

Needs Chromium. ``.ci/run`` installs it and makes its absence a failure.
"""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import ROOT, chapters
from playwright.sync_api import sync_playwright

from psps_paper.printing import ARGUMENTS, find_chromium

CHROMIUM = find_chromium()
PAGES = [f"book/{stem}.html" for stem in chapters()] + ["search.html"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium, or set PSPS_CHROMIUM"),
]


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def serve(folder: Path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(QuietHandler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_address[1]}/"


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def address(built):
    server, address = serve(built)
    yield address
    server.shutdown()


@pytest.fixture
def open_page(browser, address):
    """Open a page of the book; what it asks for and what goes wrong is kept beside it."""
    contexts = []

    def open_page(path: str):
        context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
        contexts.append(context)
        page = context.new_page()
        page.external, page.failures = [], []
        page.on(
            "request",
            lambda request: None if request.url.startswith((address, "data:", "blob:")) else page.external.append(request.url),
        )
        page.on("requestfailed", lambda request: page.failures.append(f"failed: {request.url}"))
        page.on("response", lambda response: page.failures.append(f"{response.status} {response.url}") if response.status >= 400 else None)
        page.on("pageerror", lambda error: page.failures.append(f"script: {error}"))
        page.on("console", lambda message: page.failures.append(f"console: {message.text}") if message.type == "error" else None)
        page.goto(address + path, wait_until="load")
        settle(page)
        return page

    yield open_page
    for context in contexts:
        context.close()


def axe_violations(page, rules: dict) -> list[tuple[str, list[str]]]:
    """What axe-core finds: the rules that are broken, each with the first elements that break it.

    Rows after the tenth of a table have the structure of those before. With ``preload`` axe would fetch the
    style sheets again, from wrong addresses.
    """
    context = {"include": [["html"]], "exclude": [["tbody tr:nth-child(n+11)"]]}
    options = {"preload": False, "resultTypes": ["violations"]} | rules
    violations = Axe().run(page, context=context, options=options).response["violations"]
    return [(rule["id"], [node["html"][:160] for node in rule["nodes"][:3]]) for rule in violations]


def settle(page) -> None:
    """Wait for mathematics, and for colours: the theme fades them in, and half-way they have no contrast."""
    page.wait_for_function("!window.MathJax?.startup?.promise || window.MathJax.startup.promise.then(() => true)")
    page.wait_for_function("document.getAnimations().every(animation => animation.playState !== 'running')")


TOO_WIDE = """() => document.documentElement.scrollWidth <= 360 ? [] : ["page", ...[...document.querySelectorAll("body *")]
.filter(e => e.getBoundingClientRect().right > 361 && !e.closest(".table-wrap, pre")).slice(0, 5).map(e => e.outerHTML.slice(0, 120))]"""


# One visit for all, since loading a page costs more than looking at it.
@pytest.mark.built
@pytest.mark.parametrize("path", PAGES)
def test_page_is_sound_in_light_and_dark_at_a_desk_and_on_a_telephone(open_page, path):
    page = open_page(path)
    found = {"axe, light": axe_violations(page, {})}
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    settle(page)
    # The dark theme differs in nothing but colours.
    found["axe, dark"] = axe_violations(page, {"runOnly": ["color-contrast"]})
    page.set_viewport_size({"width": 360, "height": 900})
    settle(page)
    found["wider than a telephone"] = page.evaluate(TOO_WIDE)
    found["asked of others"] = page.external
    found["failed"] = page.failures
    assert {what: things for what, things in found.items() if things} == {}


@pytest.mark.built
def test_tables_read_without_script(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address + "book/reproduction_status.html")
    rows = page.locator("table.psps[data-sortable] tbody tr")
    assert rows.count() > 0 and rows.first.is_visible()
    context.close()


ROWS = [("b", 'b, "quoted"', "0.45", "reproduces"), ("a", "a", "−0.10", "contradicts"), ("c", "c", "10.2", "reproduces")]
ROWS += [(f"d{n}", f"d{n}", str(20 + n), "not checkable") for n in range(6)]
TABLE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>t</title>
<link rel="stylesheet" href="psps.css"><script defer src="psps-tables.js"></script></head><body><main>
<div class="table-wrap"><table class="psps" data-sortable data-filename="demo.csv"><thead><tr>
<th scope="col">Name</th><th scope="col">SMD</th><th scope="col">Found</th></tr></thead><tbody>""" + "".join(
    f'<tr id="{key}"><td>{name}</td><td class="number">{smd}</td>'
    f'<td data-value="{verdict}"><span class="verdict verdict-{verdict.replace(" ", "-")}">{verdict}</span> here</td></tr>'
    for key, name, smd, verdict in ROWS
) + "</tbody></table></div></main></body></html>"
REST = "".join(key for key, *_ in ROWS[3:])


@pytest.fixture
def table(browser, tmp_path):
    for asset in ("psps.css", "psps-tables.js"):
        shutil.copy(ROOT / "book" / "_static" / asset, tmp_path)
    (tmp_path / "index.html").write_text(TABLE, encoding="utf-8")
    server, address = serve(tmp_path)
    page = browser.new_page()
    page.goto(address)
    yield page
    page.close()
    server.shutdown()


def visible_rows(page):
    return page.eval_on_selector_all("tbody tr", "rows => rows.filter(row => !row.hidden).map(row => row.id).join('')")


def test_a_header_sorts_numbers_as_numbers_both_ways(table):
    header = table.locator("th", has_text="SMD")
    header.get_by_role("button").press("Enter")
    assert (visible_rows(table), header.get_attribute("aria-sort")) == ("abc" + REST, "ascending")
    header.get_by_role("button").press("Enter")
    assert (visible_rows(table), header.get_attribute("aria-sort")) == ("d5d4d3d2d1d0cba", "descending")
    table.locator("th", has_text="Name").get_by_role("button").click()
    assert (visible_rows(table), header.get_attribute("aria-sort")) == ("abc" + REST, None)


def test_rows_filter_by_word_and_by_verdict(table):
    table.get_by_label("Verdict").select_option("reproduces")
    assert visible_rows(table) == "bc"
    table.get_by_label("Filter rows").fill("quoted")
    assert visible_rows(table) == "b"
    assert table.locator("output").text_content() == "1 of 9 rows"


def test_shown_rows_download_as_csv(table):
    table.get_by_label("Verdict").select_option("reproduces")
    with table.expect_download() as download:
        table.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "demo.csv"
    lines = Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert lines == ["Name,SMD,Found", '"b, ""quoted""",0.45,reproduces', "c,10.2,reproduces"]


def test_table_controls_have_no_axe_violation(table):
    # The page around this table is no page of the book, so it has no heading.
    assert [rule for rule, _ in axe_violations(table, {}) if rule != "page-has-heading-one"] == []
