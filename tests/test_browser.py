"""What a reader's browser does with the pages: no request leaves the machine, nothing fails, all can be read.

Needs Chromium. ``.ci/run`` installs it and makes its absence a failure.
"""

from __future__ import annotations

import functools
import http.server
import io
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import sync_playwright

from conftest import chapters
from psps_paper.site.formulas import ASSETS
from psps_paper.site.printing import ARGUMENTS, find_chromium
from test_built_html import expected_verdicts

CHROMIUM = find_chromium()
PAGES = [f"book/{stem}.html" for stem in chapters()] + ["search.html"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium, or set PSPS_CHROMIUM"),
]


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # one connection for many files

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


# The theme fades colours in, which takes each page half a second and changes nothing of how it ends.
NOTHING_FADES = """(() => {
  const still = new CSSStyleSheet();
  still.replaceSync("*, *::before, *::after { transition: none !important; animation: none !important }");
  document.adoptedStyleSheets = [still];
})()"""


@pytest.fixture(scope="module")
def reader(browser):
    """One reader who goes from page to page, so that styles and scripts are fetched once."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    context.add_init_script(NOTHING_FADES)
    yield context
    context.close()


@pytest.fixture
def open_page(reader, address):
    """Open a page of the book; what it asks for and what goes wrong is kept beside it."""
    pages = []

    def open_page(path: str):
        page = reader.new_page()
        pages.append(page)
        page.external, page.failures = [], []
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith((address, "data:", "blob:")) else page.external.append(request.url)
            ),
        )
        page.on("requestfailed", lambda request: page.failures.append(f"failed: {request.url}"))
        page.on(
            "response",
            lambda response: (
                page.failures.append(f"{response.status} {response.url}") if response.status >= 400 else None
            ),
        )
        page.on("pageerror", lambda error: page.failures.append(f"script: {error}"))
        page.on(
            "console",
            lambda message: page.failures.append(f"console: {message.text}") if message.type == "error" else None,
        )
        page.goto(address + path, wait_until="load")
        settle(page)
        return page

    yield open_page
    for page in pages:
        page.close()


AXE = """([context, options]) => axe.run(context, {preload: false, resultTypes: ["violations"], ...options}).then(({violations}) =>
  violations.map(rule => [rule.id, rule.nodes.slice(0, 3).map(node => node.html.slice(0, 160))]))"""
CONTRAST = "color-contrast"
# Contrast of 7:1 is more than the book claims.
ALL_BUT_CONTRAST = """Object.fromEntries(axe.getRules().map(({ruleId}) => [ruleId, {enabled: !ruleId.startsWith("color-contrast")}]))"""


def axe_violations(page) -> list[tuple[str, list[str]]]:
    """What axe-core finds by all its rules, those of WCAG 2.2 and experimental ones too, contrast aside: the rules that
    are broken, each with the first elements that break it.

    Rows after the tenth of a table, and the like, have the structure of those before; axe-core takes them as away. With ``preload`` it
    would fetch the style sheets again, from wrong addresses.
    """
    page.evaluate(Axe().axe_script)
    rows = page.add_style_tag(content=":is(tbody tr, .psps-card, dl.py):nth-of-type(n+11) { display: none !important }")
    found = page.evaluate(AXE, [{"include": [["html"]]}, {"rules": page.evaluate(ALL_BUT_CONTRAST)}])
    rows.evaluate("style => style.remove()")
    return found


# Keeps of all elements with a text of their own the first of each look: colour, size, weight, and every background and
# opacity on the way to the root, which is all that contrast depends on. The rest leaves the layout, of which axe-core
# draws a map first, and that takes it seconds. Looks of ``known`` are left out too. Returns all looks of the page.
ONE_OF_EACH_LOOK = """(known) => {
  document.querySelector("#looks")?.remove();
  const grounds = new Map();
  const ground = (element) => {
    if (!element) return "";
    if (!grounds.has(element)) {
      const {backgroundColor, backgroundImage, opacity, filter, mixBlendMode} = getComputedStyle(element);
      grounds.set(element, ground(element.parentElement) + [backgroundColor, backgroundImage, opacity, filter, mixBlendMode].join() + ";");
    }
    return grounds.get(element).replace(/(?:rgba\\(0, 0, 0, 0\\),none,1,none,normal;)+/g, "");
  };
  const looks = new Map();
  for (const element of document.querySelectorAll("body *")) {
    if (!element.checkVisibility({visibilityProperty: true, opacityProperty: true})) continue;
    if (![...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim()) && !element.matches("input, select")) continue;
    const {color, fontSize, fontWeight, textShadow} = getComputedStyle(element);
    const look = [color, fontSize, fontWeight, textShadow, ground(element)].join("|");
    if (!looks.has(look)) looks.set(look, element);
  }
  document.querySelectorAll("[data-look]").forEach(element => delete element.dataset.look);
  const found = [...looks.keys()];
  for (const look of known) looks.delete(look);
  for (const element of looks.values()) {
    for (let above = element; above; above = above.parentElement) above.dataset.look = "";
    element.querySelectorAll("*").forEach(below => { below.dataset.look = ""; });
  }
  document.head.insertAdjacentHTML("beforeend", "<style id=looks>body :not([data-look]) { display: none !important }</style>");
  return found;
}"""


def contrast_violations(page, known: set[str] = frozenset()) -> tuple[list[tuple[str, list[str]]], set[str]]:
    """Texts without contrast to what is behind them, and every look of the page. The page is cut down and left so.

    ``known`` are looks that had contrast on an earlier page: colours, size and weight are all that contrast depends on.
    """
    looks = set(page.evaluate(ONE_OF_EACH_LOOK, sorted(known)))
    assert looks
    if looks <= known:
        return [], looks
    return page.evaluate(AXE, [{"include": [["html"]]}, {"runOnly": [CONTRAST]}]), looks


def until(page, condition: str) -> None:
    """Wait for a condition; Playwright's own way makes the page evaluate text, which the policy forbids."""
    end = time.monotonic() + 30
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"after 30 s not yet: {condition}"
        page.wait_for_timeout(20)


def settle(page) -> None:
    """Wait for colours: the theme fades them in, and half-way they have no contrast."""
    until(page, "document.getAnimations().every(animation => animation.playState !== 'running')")


TOO_WIDE = """() => document.documentElement.scrollWidth <= 360 ? [] : ["page", ...[...document.querySelectorAll("body *")]
.filter(e => e.getBoundingClientRect().right > 361 && !e.closest(".table-wrap, pre, a.image-reference")).slice(0, 5).map(e => e.outerHTML.slice(0, 120))]"""

# The theme says some time after a change of width which blocks a key must reach.
KEYS_REACH = """[...document.querySelectorAll("pre, .cell_output > .output")].every(
  e => !e.checkVisibility() || (e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight) === (e.tabIndex === 0))"""

SCROLLS_SIDEWAYS = """() => [...document.querySelectorAll("body *")].filter(
  e => e.scrollWidth > e.clientWidth + 1 && ["auto", "scroll"].includes(getComputedStyle(e).overflowX) && e.checkVisibility()
    && !e.matches(".table-wrap, pre, div.math, a.image-reference")
).slice(0, 5).map(e => e.outerHTML.slice(0, 120))"""

# Texts of drawings with less than 12 CSS pixels
TOO_SMALL = """() => [...document.querySelectorAll("article svg text")].filter(e => e.checkVisibility() && e.textContent.trim()).flatMap(e => {
  const {a, b} = e.getScreenCTM(), size = Math.hypot(a, b) * parseFloat(getComputedStyle(e).fontSize);
  return size < 11.99 ? [`${e.closest("figure")?.id}, ${size.toFixed(1)}: ${e.textContent}`] : [];
}).slice(0, 5)"""

# Texts of drawings, of which axe-core says nothing, with less than 4.5:1 to the last shape behind their middle, or to
# the page. Source of the ratio: WCAG 2.2, definition of contrast ratio.
PALE = """() => {
  const parts = colour => (colour.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, k) => sum + c * [0.2126, 0.7152, 0.0722][k], 0);
  const over = (top, share, below) => below.map((c, k) => share * top[k] + (1 - share) * c);
  const ground = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parts(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const pale = [];
  for (const drawing of document.querySelectorAll("article svg")) {
    if (!drawing.checkVisibility()) continue;
    const page = ground(drawing);
    const shapes = [...drawing.querySelectorAll("path, rect, circle, ellipse, polygon, use")].map(e => [e, getComputedStyle(e)])
      .filter(([e, {fill}]) => fill.startsWith("rgb") && !e.closest("defs, clipPath"))
      .map(([e, {fill, fillOpacity, opacity}]) => [e, e.getBoundingClientRect(), parts(fill), fillOpacity * opacity]);
    for (const text of drawing.querySelectorAll("text")) {
      if (!text.textContent.trim()) continue;
      const box = text.getBoundingClientRect(), x = (box.left + box.right) / 2, y = (box.top + box.bottom) / 2;
      const behind = shapes.filter(([e, {left, right, top, bottom}]) => left <= x && x <= right && top <= y && y <= bottom
        && e.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING
        && (e.matches("use") || e.isPointInFill(new DOMPoint(x, y).matrixTransform(e.getScreenCTM().inverse()))))
        .reduce((below, [, , fill, share]) => over(fill, share * (fill[3] ?? 1), below), page);
      const {fill, fillOpacity, opacity} = getComputedStyle(text), own = parts(fill);
      const [high, low] = [over(own, fillOpacity * opacity * (own[3] ?? 1), behind), behind].map(light).sort((a, b) => b - a);
      if ((high + 0.05) / (low + 0.05) < 4.5) pale.push(`${drawing.id}, ${((high + 0.05) / (low + 0.05)).toFixed(1)}: ${text.textContent}`);
    }
  }
  return pale.slice(0, 5);
}"""

HIDDEN_COLUMNS = """() => [...document.querySelectorAll(".table-wrap, .pst-scrollable-table-container, table")]
.filter(e => e.getClientRects().length && (e.scrollWidth > e.clientWidth + 1 || e.getBoundingClientRect().right > innerWidth + 1))
.map(e => e.closest("figure")?.id || e.outerHTML.slice(0, 80))"""
ALL_OPEN = """document.querySelectorAll('details').forEach(details => details.open = true);
dispatchEvent(new Event("resize"))"""

CUT_OFF = """() => [...document.querySelectorAll("figure.psps svg text")].filter(e => e.checkVisibility() && e.textContent.trim()).filter(e => {
  const [text, drawing] = [e, e.closest("svg")].map(e => e.getBoundingClientRect());
  return text.left < drawing.left - 1 || text.right > drawing.right + 1;
}).slice(0, 5).map(e => `${e.closest("figure").id}: ${e.textContent}`)"""


@pytest.fixture(scope="module")
def sound_looks():
    """Looks of text that had contrast on the pages seen so far."""
    return set()


def in_one_theme(page, theme: str, sound_looks: set[str], found: dict[str, list]) -> None:
    """Change the theme in place and look for texts without contrast."""
    page.emulate_media(color_scheme=theme)
    until(page, f"document.documentElement.dataset.theme === '{theme}'")
    settle(page)
    where = f"{page.viewport_size['width']} px, {theme}"
    found[f"pale in a drawing, {where}"] = page.evaluate(PALE)
    poor, looks = contrast_violations(page, sound_looks)
    page.evaluate("document.querySelector('#looks').remove()")
    found[f"contrast, {where}"] = poor
    if not poor:
        sound_looks |= looks


# One visit for all, since loading a page costs more than looking at it; what folds is open.
@pytest.mark.built
@pytest.mark.parametrize("path", PAGES)
def test_page_is_sound_in_light_and_dark_at_a_desk_and_on_a_telephone(open_page, sound_looks, path):
    page = open_page(path)
    page.evaluate(ALL_OPEN)
    found: dict[str, list] = {}
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 900})
        until(page, KEYS_REACH)
        found[f"columns out of view, {width} px"] = page.evaluate(HIDDEN_COLUMNS)
        found[f"small text in a drawing, {width} px"] = page.evaluate(TOO_SMALL)
        found[f"cut off in a drawing, {width} px"] = page.evaluate(CUT_OFF)
        if width == 360:
            found["wider than a telephone"] = page.evaluate(TOO_WIDE)
            found["scrolls sideways on a telephone"] = page.evaluate(SCROLLS_SIDEWAYS)
        found[f"axe, {width} px"] = axe_violations(page)
        for theme in ("light", "dark"):
            in_one_theme(page, theme, sound_looks, found)
    found["asked of others"] = page.external
    found["failed"] = page.failures
    assert {what: things for what, things in found.items() if things} == {}


def luminance(picture: bytes) -> np.ndarray:
    """Relative luminance of each pixel. Source: WCAG 2.2, definition of relative luminance."""
    share = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


FOCUSABLE = "a[href], button, summary, input, select, [tabindex='0']"


@pytest.mark.built
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_keyboards_place_shows_on_every_control(open_page, scheme):
    """WCAG 2.2, 2.4.13: between focused and not, as many pixels as a 2 px line around the control change by 3:1 or
    more."""
    page = open_page("book/explorer.html")
    page.emulate_media(color_scheme=scheme)
    until(page, f"document.documentElement.dataset.theme === '{scheme}'")
    page.add_style_tag(
        content="* { caret-color: transparent !important; transition: none !important; animation: none !important }"
    )
    page.keyboard.press("Tab")  # from here on the focus is the keyboard's
    dim, kinds = [], set()
    for control in page.locator(FOCUSABLE).all():
        # Links within text and lists have the theme's ring around words; of the others, one of each kind stands for
        # all.
        if not control.is_visible() or control.evaluate(
            "e => e.matches('article p a, nav li a, .tocsection a, .headerlink, footer a')"
        ):
            continue
        kind = control.evaluate(
            "e => [e.tagName, e.type, e.className, e.parentElement.tagName, e.parentElement.className].join()"
        )
        if kind in kinds:
            continue
        kinds.add(kind)
        control.scroll_into_view_if_needed()
        control.focus()
        box = control.bounding_box()
        clip = {
            "x": max(0, box["x"] - 6),
            "y": max(0, box["y"] - 6),
            "width": box["width"] + 12,
            "height": box["height"] + 12,
        }
        focused = luminance(page.screenshot(clip=clip))
        control.evaluate("e => e.blur()")
        plain = luminance(page.screenshot(clip=clip))
        contrast = (np.maximum(focused, plain) + 0.05) / (np.minimum(focused, plain) + 0.05)
        # Round corners are shorter than square ones, and a table's ring may end at the window.
        if (contrast >= 3).sum() < min(2 * 2 * (box["width"] + box["height"]), 1000) * 0.5:
            dim.append((control.evaluate("e => e.outerHTML.slice(0, 120)"), int((contrast >= 3).sum()), box))
    assert len(kinds) > 10
    assert dim == []


BEYOND_THE_SHEET = """() => [...document.querySelectorAll("table")]
.filter(table => table.getClientRects().length && table.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
.map(table => table.textContent.slice(0, 80))"""


@pytest.mark.built
@pytest.mark.parametrize(
    "stem", ["robustness", "narrative_neuromodulation", "evidence_base", "other_syntheses", "trials"]
)
def test_no_table_is_cut_on_a4_paper(open_page, stem):
    page = open_page(f"book/{stem}.html")
    page.set_viewport_size({"width": 680, "height": 1000})  # 180 mm at 96 dots an inch
    page.emulate_media(media="print")
    assert page.evaluate(BEYOND_THE_SHEET) == []


@pytest.mark.built
@pytest.mark.parametrize("stem", ["summary_of_findings", "certainty", "robustness", "network_meta_analysis", "trials"])
def test_paper_shows_what_folds_and_no_control(open_page, stem):
    """All but the statements of the page, which the printed book has on one page."""
    page = open_page(f"book/{stem}.html")
    page.emulate_media(media="print")
    shown = page.eval_on_selector_all(
        "article details > :last-child",
        "parts => parts.filter(e => !e.closest('[id*=table-claims-], details:has([id*=table-claims-])'))"
        ".map(e => e.checkVisibility())",
    )
    assert shown and all(shown)
    controls = ".psps-bar, .psps-controls, .psps-code-switch, details:not(.psps-card) > summary"
    assert page.locator(f"article :is({controls})").filter(visible=True).count() == 0


@pytest.mark.built
def test_no_control_of_the_explorer_is_on_paper(open_page):
    page = open_page("book/explorer.html")
    page.emulate_media(media="print")
    assert page.locator(".explorer :is(button, input)").filter(visible=True).count() == 0


# Everything that opens in place, one of each kind: page, what is pressed, what is seen then
OPENS = {
    "the verdict on a number": ("network_meta_analysis", "a.claim[data-claim='nma.n_p.te']", ".psps-pop"),
    "a trial's card": ("narrative_neuromodulation", "a.psps-trial", "dialog.psps-dialog .psps-facts"),
    "a trial on the page of trials": ("trials", "details.psps-card > summary", ".psps-card-body"),
    "the notes of a row": ("summary_of_findings", "details.psps-more > summary", "details.psps-more li"),
    "the rest of a row": ("certainty", "#table-certainty .psps-rest summary", "#table-certainty .psps-rest dl"),
    "a long table": ("certainty", "details.psps-long > summary", "details.psps-long table"),
    "details under a finding": ("robustness", "details.psps-more > summary", "details.psps-more figure"),
}


@pytest.mark.built
@pytest.mark.parametrize("how", ["mouse", "keyboard", "touch"])
@pytest.mark.parametrize("kind", OPENS)
def test_everything_that_opens_does_so_by_mouse_keyboard_and_touch(browser, address, kind, how):
    stem, pressed, seen = OPENS[kind]
    page = browser.new_page(
        viewport={"width": 360 if how == "touch" else 1280, "height": 800}, has_touch=how == "touch"
    )
    page.goto(f"{address}book/{stem}.html")
    opener, opened = page.locator(pressed).first, page.locator(seen).first
    assert opened.count() == 0 or not opened.is_visible()
    if how == "keyboard":
        page.keyboard.press("Tab")  # from here on the focus is the keyboard's
        opener.focus()
        page.keyboard.press("Enter")
    else:
        opener.tap() if how == "touch" else opener.click()
    opened.wait_for(state="visible", timeout=5000)
    page.close()


@pytest.mark.built
@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("kind", ["the verdict on a number", "a trial's card"])
def test_what_opens_above_the_page_is_sound(open_page, kind, width):
    stem, pressed, seen = OPENS[kind]
    page = open_page(f"book/{stem}.html")
    page.set_viewport_size({"width": width, "height": 900})
    page.locator(pressed).first.click()
    page.locator(seen).first.wait_for()
    found = {"axe": axe_violations(page), "wider than the page": page.evaluate(HIDDEN_COLUMNS)}
    for theme in ("light", "dark"):
        in_one_theme(page, theme, set(), found)
    assert {what: things for what, things in found.items() if things} == {}


@pytest.mark.built
@pytest.mark.parametrize("how", ["keyboard", "touch"])
def test_an_abbreviation_says_what_it_means(browser, address, how):
    """To a mouse its title does; a key's focus shows the same words, and a finger is led to the glossary."""
    page = browser.new_page(
        viewport={"width": 360 if how == "touch" else 1280, "height": 800}, has_touch=how == "touch"
    )
    page.goto(f"{address}book/certainty.html")
    term = page.locator("article p a.psps-abbr").first
    words = term.get_attribute("data-full")
    assert words and term.locator("abbr").get_attribute("title") == words
    if how == "keyboard":
        page.keyboard.press("Tab")
        term.focus()
        said = term.evaluate("e => [getComputedStyle(e, '::after').content, getComputedStyle(e, '::after').display]")
        assert words in said[0] and said[1] != "none"
    else:
        term.tap()
        page.wait_for_url("**/glossary.html#*")
        entry = page.locator("dt:target")
        header = page.locator(".bd-header-article").bounding_box()
        assert entry.bounding_box()["y"] >= header["y"] + header["height"]
    page.close()


@pytest.mark.built
def test_a_number_of_a_trial_opens_its_card_in_place(open_page):
    page = open_page("book/narrative_neuromodulation.html")
    link = page.locator("a.psps-trial").first
    link.click()
    card = page.locator("dialog.psps-dialog")
    card.wait_for()
    assert card.locator(".psps-facts").count() >= 5 and page.evaluate("document.activeElement.textContent") == "Close"
    page.keyboard.press("Escape")
    card.wait_for(state="detached")  # the browser tells of the closing after the key
    assert link.evaluate("e => e === document.activeElement")


@pytest.mark.built
def test_without_a_script_the_number_leads_to_the_open_card(browser, address):
    page = browser.new_page(java_script_enabled=False)
    page.goto(f"{address}book/trials.html#ref-57")
    assert page.locator("#ref-57 .psps-lead").is_visible()
    page.close()


@pytest.mark.built
def test_a_registry_is_searched_in_its_csv_and_the_address_keeps_the_search(open_page):
    page = open_page("book/evidence_base.html")
    figure = page.locator("#table-study-facts")
    figure.get_by_label("Search all rows").fill("kumar2007 funding")
    figure.locator(".psps-hits dl").first.wait_for()
    assert "Medtronic" in figure.locator(".psps-hits").inner_text() and "study-facts.search=kumar2007" in page.url
    page.reload()
    figure.locator(".psps-hits dl").first.wait_for()


@pytest.mark.built
def test_the_league_table_fits_a_desk(open_page):
    page = open_page("book/network_meta_analysis.html")
    league = page.locator(
        ".table-wrap", has=page.locator("thead th", has_text="conservative + minimally invasive")
    ).first
    assert league.evaluate("e => [e.clientWidth > 672, e.scrollWidth <= e.clientWidth]") == [True, True]
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


@pytest.mark.built
def test_no_column_of_sentences_is_a_word_wide(open_page):
    page = open_page("book/other_syntheses.html")
    cells = page.eval_on_selector_all(
        ".table-wrap tr:not(.psps-rest) td",
        "cells => cells.filter(c => c.textContent.trim().length >= 60).map(c => c.clientWidth /"
        " parseFloat(getComputedStyle(c).fontSize))",
    )
    assert len(cells) >= 10 and min(cells) > 8 and max(cells) < 40
    assert (
        max(
            page.eval_on_selector_all(
                ".table-wrap tbody tr:not(.psps-rest)", "rows => rows.map(row => row.offsetHeight)"
            )
        )
        < 190
    )


@pytest.mark.built
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_front_page_answers_on_one_screen(open_page, scheme):
    """At 1280 x 800, without scrolling: each answer with points, certainty, harms and who paid, who made this, and the
    doors."""
    page = open_page("book/index.html")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 1280, "height": 800})
    assert page.locator("section.psps-answer").count() == 3
    for what, number in (
        (".psps-answer h2", 3),
        (".psps-answer .big", 3),
        (".psps-answer .psps-grade", 3),
        (".psps-side dd", 6),
        ('.psps-side a[href^="harms.html"]', 6),
        (".psps-colophon p", 3),
        (".psps-doors a", 3),
    ):
        boxes = [element.bounding_box() for element in page.locator(what).all()]
        assert (
            len(boxes) == number
            and max(box["y"] + box["height"] for box in boxes) <= 800
            and min(box["y"] for box in boxes) >= 0
        ), what
    assert page.locator(".psps-answer .psps-grade").all_inner_texts() == ["Very low certainty"] * 3
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


@pytest.mark.built
def test_the_summary_of_findings_shows_all_columns_or_becomes_cards(open_page):
    page = open_page("book/summary_of_findings.html")
    edges = "cells => cells.map(cell => cell.getBoundingClientRect()).map(box => [box.left, box.right, box.width])"
    heads = page.eval_on_selector_all("table.psps-sof thead th", edges)
    assert len(heads) == 7 and all(left >= 0 and right <= 1280 and width > 60 for left, right, width in heads)
    page.set_viewport_size({"width": 360, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert all(
        left >= 0 and right <= 360
        for left, right, _ in page.eval_on_selector_all("table.psps-sof td, table.psps-sof th[scope=row]", edges)
    )


@pytest.mark.built
def test_a_letter_opens_its_note_without_a_script(browser, address):
    """A browser unfolds by itself what an address leads to."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address + "book/summary_of_findings.html")
    note = page.locator("#note-1-a")
    assert not note.is_visible()
    page.locator('a[href="#note-1-a"]').click()
    note.wait_for(state="visible", timeout=5000)
    context.close()


@pytest.mark.built
@pytest.mark.parametrize("stem", ["plain_language", "harms", "methods", "api"])
def test_the_next_page_is_within_a_telephone(open_page, stem):
    page = open_page(f"book/{stem}.html")
    page.set_viewport_size({"width": 360, "height": 900})
    for link in page.locator(".prev-next-area a").all():
        box = link.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 360 and box["height"] >= 24, stem


@pytest.mark.built
def test_one_switch_shows_the_code_of_a_page(browser, address):
    """Without a script too; it is off, and on paper there is neither code nor switch."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address + "book/robustness.html")
    code, switch = page.locator(".psps-code"), page.get_by_label("Show the code of this page")
    assert code.count() > 5 and page.locator("details.above-input").count() == 0
    assert not any(cell.is_visible() for cell in code.all())
    assert min(switch.bounding_box()["width"], switch.bounding_box()["height"]) >= 24
    switch.press("Space")
    assert all(cell.is_visible() for cell in code.all())
    page.emulate_media(media="print")
    assert not any(cell.is_visible() for cell in [*code.all(), switch])
    context.close()


@pytest.mark.built
@pytest.mark.parametrize(
    ("width", "medium", "shown"),
    [
        (1280, "screen", "svg-wide"),
        (720, "screen", "svg-wide"),
        (719, "screen", "svg-narrow"),
        (360, "screen", "svg-narrow"),
        (360, "print", "svg-wide"),
    ],
)
def test_a_figure_shows_the_one_drawing_that_fits(open_page, width, medium, shown):
    page = open_page("book/study_selection.html")
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(media=medium)
    wraps = "wraps => wraps.filter(wrap => wrap.checkVisibility()).map(wrap => wrap.classList.item(1))"
    assert page.eval_on_selector_all("#figure-prisma_flow > .svg-wrap", wraps) == [shown]


@pytest.mark.built
def test_tables_read_without_script(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address + "book/reproduction_status.html")
    table = page.locator("table.psps[data-sortable]").last
    closed = page.locator("details", has=table).first
    closed.locator("> summary").click()
    assert table.locator("tbody tr").count() > 100 and table.locator("tbody tr").first.is_visible()
    context.close()


ROWS = [
    ("b", 'b, "quoted"', "0.45", "reproduces"),
    ("a", "a", "−0.10", "contradicts"),
    ("c", "c", "10.2", "reproduces"),
]
ROWS += [(f"d{n}", f"d{n}", str(20 + n), "not checkable") for n in range(5)]
ROWS += [("d5", "I² 95\u202f% Köln\u2013Bonn p\u00a0<\u202f0.001", "25", "not checkable")]
TABLE = (
    """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>t</title>
<link rel="stylesheet" href="psps.css"><script defer src="psps-tables.js"></script></head><body><main>
<div class="table-wrap"><table class="psps" data-sortable data-filename="demo.csv"><thead><tr>
<th scope="col">Name</th><th scope="col">SMD</th><th scope="col">Found</th></tr></thead><tbody>"""
    + "".join(
        f'<tr id="{key}"><td>{name}</td><td class="number">{smd}</td><td data-value="{verdict}"><span class="verdict'
        f' verdict-{verdict.replace(" ", "-")}">{verdict}</span> here</td></tr>'
        for key, name, smd, verdict in ROWS
    )
    + "</tbody></table></div></main></body></html>"
)
REST = "".join(key for key, *_ in ROWS[3:])


@pytest.fixture
def table(browser, tmp_path):
    for asset in ("psps.css", "psps-tables.js"):
        shutil.copy(ASSETS / asset, tmp_path)
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


@pytest.mark.parametrize(
    "typed", ["95%", "95 %", "95\u202f%", "i2 95%", "köln-bonn", "KÖLN\u2013BONN", "p<0.001", "p < 0.001"]
)
def test_a_filter_takes_spaces_and_dashes_as_they_are_typed(table, typed):
    table.get_by_label("Filter rows").fill(typed)
    assert visible_rows(table) == "d5"


@pytest.mark.parametrize("typed", ["-0.", "\u22120.", "\u20130.10"])
def test_a_filter_takes_any_minus_sign(table, typed):
    table.get_by_label("Filter rows").fill(typed)
    assert visible_rows(table) == "a"


def test_shown_rows_download_as_csv(table):
    table.get_by_label("Verdict").select_option("reproduces")
    with table.expect_download() as download:
        table.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "demo.csv"
    lines = Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert lines == ["Name,SMD,Found", '"b, ""quoted""",0.45,reproduces', "c,10.2,reproduces"]


def test_rows_download_with_what_opens_below_them_where_no_file_can_be_read(table):
    table.evaluate(
        """() => { for (const [id, facts] of [["b", {weight: "1"}], ["a", {weight: "2", how: "so"}], ["c", {}]]) {
          const list = Object.entries(facts).map(([name, fact]) => `<div><dt>${name}</dt><dd>${fact}</dd></div>`).join("");
          document.getElementById(id).insertAdjacentHTML("afterend",
            `<tr class="psps-rest"><td colspan="3"><dl>${list}</dl></td></tr>`);
        }
        document.querySelector(".psps-controls").remove();
        const again = document.createElement("script");
        again.src = "psps-tables.js?again";
        document.head.append(again); }"""
    )
    table.get_by_label("Filter rows").fill("here")
    table.get_by_label("Verdict").select_option("reproduces")
    with table.expect_download() as download:
        table.get_by_role("button", name="Download").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert lines == ["Name,SMD,Found,weight", '"b, ""quoted""",0.45,reproduces,1', "c,10.2,reproduces,"]


def test_table_controls_have_no_axe_violation(table):
    # The page around this table is no page of the book, so it has no heading.
    assert [
        rule for rule, _ in axe_violations(table) + contrast_violations(table)[0] if rule != "page-has-heading-one"
    ] == []


GREY = "<p style='color:#999'>grey</p>"
POOR = {
    "the second of two texts that differ in colour alone": f"<p>black</p>{GREY}",
    "after the tenth row": f"<table><tbody>{'<tr><td>x</td></tr>' * 14}<tr><td>{GREY}</td></tr></tbody></table>",
    "on another ground": "<p>black</p><div style='background:#333'><p>black</p></div>",
    "behind a veil": "<p>black</p><div style='opacity:.4'><p>black</p></div>",
    "small, where large will do": "<p style='color:#888;font-size:2rem'>grey</p><p style='color:#888'>grey</p>",
    "within a line": "<p>black <span style='color:#999'>grey</span></p>",
}


@pytest.mark.parametrize("body", POOR.values(), ids=POOR)
def test_poor_contrast_is_found_wherever_it_is(reader, body):
    page = reader.new_page()
    page.set_content(
        f"<!doctype html><html lang=en><title>t</title><body style='background:#fff;color:#000'><main>{body}</main>"
    )
    page.evaluate(Axe().axe_script)
    found, looks = contrast_violations(page)
    assert [(rule, len(nodes)) for rule, nodes in found] == [(CONTRAST, 1)]
    # What is known is passed over, and nothing else
    assert (
        [look for look in looks if contrast_violations(page, looks - {look})[0]]
        != []
        == contrast_violations(page, looks)[0]
    )
    page.close()


XRAY = "book/network_meta_analysis.html"
NUMBER = "a.claim[data-claim='nma.n_p.te']"


@pytest.mark.built
def test_a_number_opens_its_verdict_by_keyboard_and_closes_it(open_page):
    page = open_page(XRAY)
    page.locator(NUMBER).evaluate("number => number.focus({focusVisible: true})")
    said = page.locator(".psps-pop").inner_text()
    verdict = expected_verdicts()["nma.n_p.te"]
    assert all(words in said for words in (verdict, "Printed", "0.36", "Found", "Checked against", "Why"))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Permanent address"
    page.keyboard.press("Escape")
    assert page.locator(".psps-pop").count() == 0
    assert page.evaluate("document.activeElement.dataset.claim") == "nma.n_p.te"


@pytest.mark.built
def test_a_number_opens_its_verdict_by_mouse_and_stays_when_pressed(open_page):
    page = open_page(XRAY)
    page.hover(NUMBER)
    assert page.locator(".psps-pop").count() == 1
    page.hover(".bd-article h1")
    page.wait_for_selector(".psps-pop", state="detached")
    page.click(NUMBER)
    page.hover(".bd-article h1")
    page.wait_for_timeout(400)
    assert page.locator(".psps-pop").count() == 1
    page.mouse.click(5, 5)
    assert page.locator(".psps-pop").count() == 0


@pytest.mark.built
def test_a_contradiction_leads_to_its_address_and_to_where_it_is_disputed(open_page):
    page = open_page(XRAY)
    page.click("a.claim.verdict-contradicts")
    links = page.eval_on_selector_all(".psps-pop a", "links => links.map(link => link.getAttribute('href'))")
    assert links[0].endswith("#claim-nma.of_included") and links[1] == "reviewers.html#dispute-a-verdict"
    assert "The authors' answer: none so far." in page.locator(".psps-pop").inner_text()


@pytest.mark.built
def test_a_number_opens_by_touch_within_a_telephone(browser, address):
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True)
    page = context.new_page()
    page.goto(address + XRAY)
    page.tap(NUMBER)
    box = page.locator(".psps-pop").bounding_box()
    assert (box["x"], box["width"], box["y"] + box["height"]) == (0, 360, 740)
    context.close()


@pytest.mark.built
def test_without_a_script_a_number_leads_to_its_row_clear_of_the_header(browser, address):
    context = browser.new_context(viewport={"width": 1280, "height": 800}, java_script_enabled=False)
    page = context.new_page()
    page.goto(address + XRAY)
    page.click(NUMBER)
    row, header = page.locator("tr[id='claim-nma.n_p.te']"), page.locator(".bd-header-article")
    heads = page.locator("#table-claims-network-meta-analysis thead").bounding_box()
    assert page.url.endswith("#claim-nma.n_p.te") and row.is_visible()
    top = row.bounding_box()["y"]
    assert (
        top >= header.bounding_box()["y"] + header.bounding_box()["height"] and top + 1 >= heads["y"] + heads["height"]
    )
    page.check("#xray")
    assert page.locator(NUMBER).evaluate("number => getComputedStyle(number).textDecorationLine") == "none"
    context.close()


@pytest.mark.built
@pytest.mark.parametrize("stem", ["network_meta_analysis", "narrative_neuromodulation", "abstract"])
def test_every_number_is_at_least_24_pixels_to_press(open_page, stem):
    page = open_page(f"book/{stem}.html")
    sizes = page.eval_on_selector_all(
        ".bd-article a.claim",
        "numbers => numbers.flatMap(n => [...n.getClientRects()].map(r => Math.min(r.width, r.height)))",
    )
    assert len(sizes) > 20 and min(sizes) >= 23.9


# --- The policy of the pages -----------------------------------------------------------------------------


PLANTED = [
    "<script>window.pwn = 1</script>",
    '<img src="data:," onerror="window.pwn = 1">',
    '<a id="plant" href="javascript:void(window.pwn = 1)">a</a>',
    '<script src="https://example.org/pwn.js"></script>',
    '<iframe srcdoc="<script>parent.pwn = 1</script>"></iframe>',
]


@pytest.mark.built
@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_script_does_not_run(built, browser, tmp_path, planted):
    """What gets into a page by any way other than the theme is blocked, and seen by what watches the other pages."""
    page = (built / "book" / "index.html").read_text(encoding="utf-8")
    (tmp_path / "page.html").write_text(page.replace("</article>", planted + "</article>"), encoding="utf-8")
    server, address = serve(tmp_path)
    opened = browser.new_page()
    said = []
    opened.on("console", lambda message: said.append(message.text))
    opened.goto(address + "page.html", wait_until="load")
    if 'id="plant"' in planted:
        opened.evaluate("document.querySelector('#plant').click()")
    opened.wait_for_timeout(200)
    assert opened.evaluate("window.pwn ?? null") is None
    assert any("Content Security Policy" in text and "_static" not in text for text in said)
    opened.close()
    server.shutdown()


@pytest.mark.built
def test_the_search_finds_a_page_and_the_print_button_prints(open_page):
    page = open_page("search.html?q=neuromodulation")
    page.locator("#search-results li a").first.wait_for()
    assert page.failures == []
    page = open_page("book/index.html")
    page.evaluate("window.print = () => { window.printed = true }")
    page.evaluate("document.querySelector('[data-psps-does=print]').click()")
    assert page.evaluate("window.printed") is True and page.failures == []


@pytest.mark.built
def test_a_page_opened_from_the_disk_runs_its_scripts(built, browser):
    page = browser.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.goto((built / "book" / "reproduction_status.html").as_uri(), wait_until="load")
    assert page.locator(".psps-controls").count() and not [text for text in said if "Content Security" in text]
    page.close()


# Addresses that say nothing, too much, or something else
ADDRESSES = [
    "book/explorer.html#%",
    "book/explorer.html#tau2=1e999&rho=x&drop=constructor 99&treat1=<img src=x onerror=window.pwn=1>&n1=-1",
    "book/explorer.html#setting=%00&mid=" + "9" * 5000,
    "book/reproduction_status.html?status.filter=" + "%3Cimg%20src=x%20onerror=window.pwn=1%3E" + "#%E0%A4%A",
    "book/reproduction_status.html?status.sort=99999999999999999999d&status.verdict=__proto__",
    "book/check_another_review.html?text=<script>window.pwn=1</script>#a=b&text=%",
    "book/index.html#%ff",
    "search.html?q=%3Cimg%20src%3Dx%20onerror%3Dwindow.pwn%3D1%3E",
]


@pytest.mark.built
@pytest.mark.parametrize("path", ADDRESSES, ids=range(len(ADDRESSES)))
def test_an_address_that_says_anything_harms_nothing(open_page, path):
    page = open_page(path)
    page.wait_for_timeout(200)
    assert page.failures == [] and page.external == [] and page.evaluate("window.pwn ?? null") is None
    assert page.locator("article img[onerror]").count() == 0
