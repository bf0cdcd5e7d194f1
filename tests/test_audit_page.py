"""The page "Check another review": its JavaScript against the Python audit on random tables, in Chromium."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from audit_examples import ERRORS, random_example, text_of
from conftest import BOOK
from psps_paper.audit import audit
from test_browser import CHROMIUM, browser  # noqa: F401  (fixture)

LEAGUE = Path(__file__).parent / "league"
NOT_IN_THE_PAGE = ["direct weight", "only direct evidence", "P-score", "SUCRA", "p value", "z"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium, or set PSPS_CHROMIUM"),
]


@pytest.fixture(scope="module")
def page(browser):
    page = browser.new_page()
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    for script in ("ml-matrix.js", "audit.js"):
        page.add_script_tag(content=(BOOK / "_static" / script).read_text(encoding="utf-8"))
    yield page
    assert requests == []
    page.close()


# Infinite and missing numbers have no JSON: as text
RUN = """texts => texts.map(text => { try { const {findings, weights, notes} = pspsAudit.audit(text);
  return JSON.parse(JSON.stringify({findings, weights, notes}, (key, value) => typeof value === "number" && !Number.isFinite(value) ? String(value) : value)) }
  catch (error) { return {error: error.message} } })"""


def number(value) -> float:
    return float({"Infinity": "inf", "-Infinity": "-inf", "NaN": "nan"}.get(value, value))


def same(first: float, second: float) -> bool:
    return (
        first == second
        or (math.isnan(first) and math.isnan(second))
        or first == pytest.approx(second, rel=1e-6, abs=1e-6)
    )


def assert_same(text: str, there: dict) -> None:
    here = audit(text)
    assert "error" not in there, there
    mine = here.findings[~here.findings["check"].isin(NOT_IN_THE_PAGE)]
    key = ["check", "where", "printed", "verdict", "why"]
    assert [tuple(row[name] for name in key) for row in there["findings"]] == list(
        mine[key].itertuples(index=False, name=None)
    )
    for row, other in zip(there["findings"], mine.itertuples(), strict=True):
        assert same(number(row["lower"]), other.lower) and same(number(row["upper"]), other.upper), (row, other)
    assert [(row["treat1"], row["treat2"], row["direct"]) for row in there["weights"]] == [
        (row.treat1, row.treat2, row.direct) for row in here.weights.itertuples()
    ]
    for row, other in zip(there["weights"], here.weights.itertuples(), strict=True):
        scale = max(other.upper, 1.0) if math.isfinite(other.upper) else 1.0
        assert abs(number(row["upper"]) - other.upper) <= 1e-4 * scale or number(row["upper"]) == other.upper
        assert abs(number(row["lower"]) - other.lower) <= 1e-4 * scale


def test_page_and_python_agree_on_200_random_tables(page):
    texts = []
    for seed in range(100):
        example = random_example(seed, most=10)
        texts.append(text_of(example.table()))
        name = list(ERRORS)[seed % len(ERRORS)]
        triples = ERRORS[name](example, np.random.default_rng(seed))
        texts.append(text_of(example.table(triples)))
    assert len(texts) == 200
    for text, there in zip(texts, page.evaluate(RUN, texts), strict=True):
        assert_same(text, there)


PASTED = sorted(LEAGUE.glob("*/pasted.txt"))


@pytest.mark.parametrize("file", PASTED, ids=lambda file: file.parent.name[:2])
def test_page_and_python_agree_on_published_tables_as_pasted(page, file):
    text = file.read_text()
    [there] = page.evaluate(RUN, [text])
    assert_same(text, there)
    assert there["notes"] == [note for network in audit(text).printed.networks for note in network.notes]


@pytest.mark.parametrize(
    "text",
    [
        "no table\nat all\n",
        "A\t0.45 (0.16)\t0.3 (0.1 to 0.5)\n\tB\t0.2 (0 to 0.4)\n\t\tC\n",
        "A 0.2 (0 to 0.4) B\nC D\n",
    ],
)
def test_unreadable_input_is_reported_in_the_same_words(page, text):
    [there] = page.evaluate(RUN, [text])
    with pytest.raises(ValueError) as error:
        audit(text)
    assert there.get("error") == str(error.value)


def test_ten_treatments_take_about_200_ms(page):
    example = random_example(3, layout="square", most=10)
    text = json.dumps(text_of(example.table()))
    milliseconds = page.evaluate(
        f"() => {{ pspsAudit.audit({text}); const start = performance.now(); pspsAudit.audit({text}); return"
        " performance.now() - start }"
    )
    assert milliseconds < 2000  # generous: other tests run beside it; benchmarks/ has the measured times


def test_the_form_checks_what_is_pasted_and_asks_for_nothing(browser):
    """The form as the chapter shows it, with its scripts and style written into one page."""
    from psps_paper.book.audit import show_audit

    static = BOOK / "_static"
    scripts = "".join(
        f"<script>{(static / name).read_text(encoding='utf-8')}</script>" for name in ("ml-matrix.js", "audit.js")
    )
    markup = (
        show_audit().markup.split("<script defer")[0].replace('<link rel="stylesheet" href="../_static/audit.css">', "")
    )
    form = browser.new_page()
    requests, failures = [], []
    form.on("request", lambda request: requests.append(request.url))
    form.on("pageerror", lambda error: failures.append(str(error)))
    form.set_content(
        "<!DOCTYPE html><html"
        f" lang=en><title>x</title><style>{(static / 'audit.css').read_text()}</style>{markup}{scripts}"
    )
    assert form.input_value("#audit-text") == ""
    form.click(".audit-example")
    assert form.locator("td.audit-clash").count() == 3 and "turned round, D vs A" in form.inner_text(".audit-out")
    form.fill(
        "#audit-text", (LEAGUE / "01-depression-exercise-smd" / "pasted.txt").read_text()
    )  # as a peer reviewer would
    form.click("button[type=submit]")
    text = form.inner_text(".audit-out")
    assert "One vector of effects gives every cell" in text and "are not known; these cells are not read" in text
    form.fill("#audit-text", "<img src=x onerror=alert(1)> 0.2")
    form.click("button[type=submit]")
    assert "no estimate with its interval" in form.inner_text(".audit-out") and form.locator("img").count() == 0
    assert requests == [] and failures == []
    form.close()
