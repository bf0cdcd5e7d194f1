"""Pages run only scripts of the book and the theme: the policy of the pages, and the build's report of any others.

test_browser.py tests that browsers obey it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from psps_paper.site.policy import foreign_code, hash_of, protect, protected

THEME = 'document.documentElement.dataset.{0} = localStorage.getItem("{0}") || "auto";'
SCRIPT = f"\n    {THEME.format('mode')}\n    {THEME.format('theme')}\n  "
PAGE = (
    '<!DOCTYPE html><html><head>\n    <meta charset="utf-8" />\n<script data-cfasync="false">' + SCRIPT + "</script>"
    '<script src="../_static/psps-tables.js?v=1"></script></head><body><script type="application/json">{"a": 1}</script>'
    '<button onclick="window.print()" class="btn">print</button>'
    '<button onclick="toggleFullScreen()">whole</button><p>on="off" is text</p></body></html>'
)


def test_the_policy_comes_first_and_names_the_theme_s_script_by_its_hash():
    page = protected(PAGE)
    assert page.index("Content-Security-Policy") < page.index("<script")
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)"/>', page)
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    assert rules["script-src"] == ["'self'", hash_of(SCRIPT)] and rules["default-src"] == ["'none'"]
    assert not [source for sources in rules.values() for source in sources if ":" in source and "//" in source]
    assert "*" not in policy and "unsafe-eval" not in policy
    assert [page.count(f'<button data-psps-does="{what}"') for what in ("print", "screen")] == [1, 1]
    assert foreign_code(page) == []


PLANTED = {
    "script": "<script>window.pwn=1</script>",
    "script with a type": "<SCRIPT TYPE='text/javascript'>window.pwn=1</SCRIPT>",
    "module": '<script type="module">window.pwn=1</script>',
    "the theme's script and more": f"<script>{SCRIPT}window.pwn=1</script>",
    "a name that ends the theme's text": "<script>DOCUMENTATION_OPTIONS.pagename = 'a';window.pwn='';</script>",
    "script from elsewhere": '<script src="https://example.org/a.js"></script>',
    "script from anywhere": '<script src="//example.org/a.js"></script>',
    "script in the address": '<script src="data:text/javascript,window.pwn=1"></script>',
    "handler": "<img src=x onerror=window.pwn=1>",
    "handler after a slash": "<svg/onload=window.pwn=1>",
    "address": '<a href="java\tscript:window.pwn=1">a</a>',
    "form": '<button formaction="javascript:window.pwn=1">a</button>',
    "frame": '<iframe srcdoc="&lt;script&gt;window.pwn=1&lt;/script&gt;"></iframe>',
    "base": '<base href="https://example.org/">',
    "object": '<object data="a.swf"></object>',
}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_a_planted_script_is_reported_and_gets_no_hash(tmp_path, planted):
    page = PAGE.replace("<p>", planted + "<p>")
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    (tmp_path / "plain.html").write_text(PAGE, encoding="utf-8")
    assert list(protect(tmp_path)) == ["page.html"]
    hashes = {path.name: re.findall("'sha256-[^']*'", path.read_text()) for path in tmp_path.iterdir()}
    assert hashes["page.html"] == hashes["plain.html"] == [hash_of(SCRIPT)]


def test_a_page_without_a_head_stays_as_it_is(tmp_path):
    text = '<meta http-equiv="Refresh" content="0; url=book/index.html" />\n'
    (tmp_path / "index.html").write_text(text)
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "macros.html").write_text("<head><script>theme()</script></head>")
    assert protect(tmp_path) == {} and (tmp_path / "index.html").read_text() == text
    assert "Policy" not in (tmp_path / "_static" / "macros.html").read_text()


@pytest.mark.built
def test_every_built_page_has_the_policy_and_no_foreign_code(built):
    pages: list[Path] = [path for path in built.rglob("*.html") if path.parent.name != "_static"]
    assert len(pages) > 40
    for path in pages:
        page = path.read_text(encoding="utf-8")
        assert page.count('http-equiv="Content-Security-Policy"') == page.count("<head>"), path
        assert foreign_code(page) == [] and "onclick" not in page.partition("<article")[0], path
