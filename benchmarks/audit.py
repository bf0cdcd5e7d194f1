"""Time of `audit` by number of treatments, in Python and in the page's JavaScript.

    python benchmarks/audit.py             # five tables of each size
    python benchmarks/audit.py --quick     # one

Measured on 2 idle cores: 20 treatments in about 0.3 s in Python. Times depend on the machine and are not tested.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from audit_examples import STYLES, Example, random_contrasts, text_of
from psps_paper.audit import audit
from psps_paper.network import fit_network
from psps_paper.site.printing import ARGUMENTS, find_chromium

SIZES = (5, 10, 15, 20)


def tables(size: int, count: int) -> list[str]:
    """Make full league tables of random networks, with two decimals."""
    texts = []
    for seed in range(count):
        fit = fit_network(random_contrasts(np.random.default_rng(seed), size))
        texts.append(text_of(Example(fit, bool(seed % 2), 2, STYLES[0], "square", "-").table()))
    return texts


def in_python(texts: list[str]) -> float:
    start = time.perf_counter()
    for text in texts:
        audit(text)
    return (time.perf_counter() - start) / len(texts)


def in_page(texts: list[str]) -> float | None:
    """Time a table in Chromium, in seconds; None if Chromium is missing."""
    from playwright.sync_api import sync_playwright

    chromium = find_chromium()
    if chromium is None:
        return None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page()
        for script in ("ml-matrix.js", "audit.js"):
            page.add_script_tag(content=(ROOT / "book" / "_static" / script).read_text(encoding="utf-8"))
        milliseconds = page.evaluate(
            f"() => {{ const texts = {json.dumps(texts)}; pspsAudit.audit(texts[0]); const start = performance.now();"
            " texts.forEach(text => pspsAudit.audit(text)); return performance.now() - start }"
        )
        browser.close()
    return milliseconds / 1000 / len(texts)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one table of each size")
    options = parser.parse_args(arguments)
    for size in SIZES:
        texts = tables(size, 1 if options.quick else 5)
        page = in_page(texts)
        print(
            f"{size} treatments: {in_python(texts):.3f} s in Python, "
            + ("no Chromium here" if page is None else f"{page:.3f} s in the page")
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
