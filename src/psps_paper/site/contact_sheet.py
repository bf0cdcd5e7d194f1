"""Photograph every page, at two widths and in both themes, on one contact sheet.

Run as ``python -m psps_paper.site.contact_sheet _build/html``. This needs Chromium and playwright, which building the
book does not.
"""

from __future__ import annotations

import argparse
import functools
import html
import http.server
import sys
import threading
from pathlib import Path

from psps_paper.site.printing import ARGUMENTS, find_chromium
from psps_paper.site.words import parts
from psps_paper.tables.files import write_atomically

WIDTHS = (1280, 360)
THEMES = ("light", "dark")
TALLEST = 4000  # height in pixels at which pictures are cut
_STYLE = (
    "body { font: 14px sans-serif; margin: 1rem } section { display: flex; gap: 1rem; align-items: flex-start;"
    " margin-bottom: 2rem } img { border: 1px solid #999 } h2 { font-size: 1rem }"
)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Suppress the log of requests."""


def sheet(stems: list[str]) -> str:
    """Write the HTML page that shows the pictures ``STEM-WIDTH-THEME.jpg`` in its folder, page by page.

    Example
    -------
    >>> sheet(["index"]).count("<img")
    4
    """
    rows = "".join(
        f"<h2>{html.escape(stem)}</h2><section>"
        + "".join(
            f'<img src="{stem}-{width}-{theme}.jpg" width="{width // 4 if width > 600 else width // 3}" alt="{stem},'
            f' {width} px, {theme}">'
            for width in WIDTHS
            for theme in THEMES
        )
        + "</section>"
        for stem in stems
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Contact'
        f" sheet</title><style>{_STYLE}</style>{rows}</html>"
    )


def photograph(built: Path, stems: list[str], folder: Path) -> None:
    """Save a picture of each page at each width and in each theme to a folder, and the sheet that shows them."""
    from playwright.sync_api import sync_playwright

    chromium = find_chromium()
    if chromium is None:
        raise FileNotFoundError("no Chromium here: apt-get install chromium, or set PSPS_CHROMIUM")
    folder.mkdir(parents=True, exist_ok=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(built)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
            for width in WIDTHS:
                for theme in THEMES:
                    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=theme)
                    for stem in stems:
                        page.goto(f"http://127.0.0.1:{server.server_port}/book/{stem}.html", wait_until="load")
                        height = min(page.evaluate("document.documentElement.scrollHeight"), TALLEST)
                        # A tall window is used because full-page pictures can be shifted while the layout settles.
                        page.set_viewport_size({"width": width, "height": height})
                        picture = page.screenshot(type="jpeg", quality=60)
                        page.set_viewport_size({"width": width, "height": 800})
                        write_atomically(folder / f"{stem}-{width}-{theme}.jpg", picture)
                    page.close()
            browser.close()
    finally:
        server.shutdown()
    write_atomically(folder / "index.html", sheet(stems).encode())


def main(arguments: list[str] | None = None) -> int:
    """Photograph the pages of a built book; return 1 if Chromium or a page is missing."""
    parser = argparse.ArgumentParser(prog="python -m psps_paper.site.contact_sheet", description=main.__doc__)
    parser.add_argument("built", type=Path, help="folder of the built pages")
    parser.add_argument("pages", nargs="*", help="stems of pages (default: all)")
    parser.add_argument("--source", type=Path, default=Path(), help="folder of _toc.yml (default: here)")
    parser.add_argument(
        "--to", type=Path, help="folder of the pictures (default: contact_sheet beside the pages' folder)"
    )
    options = parser.parse_args(arguments)
    folder = options.to or options.built.parent / "contact_sheet"
    try:
        photograph(options.built, options.pages or list(parts(options.source / "_toc.yml")), folder)
    except OSError as error:
        print(f"psps-paper: {error}", file=sys.stderr)
        return 1
    print(folder / "index.html")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
