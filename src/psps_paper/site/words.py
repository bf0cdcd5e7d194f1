"""Count the words on each page of a built book that a reader sees before opening anything.

``python -m psps_paper.site.words _build/html`` counts the text of each page's article, without folded parts, code,
downloads and drawings. The sum over the readers' pages excludes the developers' pages, the glossary and the references.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import yaml
from bs4 import BeautifulSoup

from psps_paper.site.paths import DEVELOPERS

LIMIT = 25_000  # words on all readers' pages together
APART = ("glossary", "references")
_NOT_READ = (
    "details:not([open]) > :not(summary), script, style, svg, .psps-csv, .psps-code, .psps-code-switch, .headerlink,"
    " .visually-hidden, [hidden]"
)


def words(page: str) -> int:
    """Count the words of a page's article.

    Example
    -------
    >>> page = '<p>Two words</p><details><summary>More</summary><p>not read</p></details>'
    >>> words(f'<article class="bd-article">{page}</article>')
    3
    """
    article = BeautifulSoup(page, "html.parser").select_one("article.bd-article")
    if article is None:
        return 0
    for part in article.select(_NOT_READ):
        part.decompose()
    return len(article.get_text(" ").split())


def parts(toc: Path) -> dict[str, str]:
    """Read the part of each page, by its stem, from the table of contents; the first page is in the part ``""``."""
    contents = yaml.safe_load(toc.read_text(encoding="utf-8"))
    found = {Path(contents["root"]).name: ""}
    for part in contents["parts"]:
        for entry in part["chapters"]:
            for listed in (entry, *entry.get("sections", [])):
                found[Path(listed["file"]).name] = part["caption"]
    return found


def is_for_readers(stem: str, part: str) -> bool:
    """Test whether a page counts as a readers' page."""
    return not part.startswith(DEVELOPERS) and stem not in APART


def count(built: Path, toc: Path) -> dict[str, int]:
    """Count the words of each page of a built book, in the order of its table of contents."""
    return {stem: words((built / "book" / f"{stem}.html").read_text(encoding="utf-8")) for stem in parts(toc)}


def main(arguments: list[str] | None = None) -> int:
    """Print the number of words on each page and on all readers' pages; return 1 if the latter exceeds the limit."""
    parser = argparse.ArgumentParser(prog="python -m psps_paper.site.words", description=main.__doc__)
    parser.add_argument("built", type=Path, help="folder of the built pages")
    parser.add_argument("--source", type=Path, default=Path(), help="folder of _toc.yml (default: here)")
    options = parser.parse_args(arguments)
    toc = options.source / "_toc.yml"
    try:
        part, found = parts(toc), count(options.built, toc)
    except OSError as error:
        print(f"psps-paper: {error}", file=sys.stderr)
        return 1
    for stem, number in found.items():
        print(f"{number:6} {stem}{'' if is_for_readers(stem, part[stem]) else '  (apart)'}")
    total = sum(number for stem, number in found.items() if is_for_readers(stem, part[stem]))
    print(f"{total:6} words on the readers' pages; at most {LIMIT}")
    return int(total > LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
