"""The printed book and the summary for clinicians: two pages, nothing cut off, internal links, no link to a missing
file."""

from __future__ import annotations

import shutil
from io import BytesIO

import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader

from conftest import ROOT, chapters
from psps_paper.errors import ChapterError
from psps_paper.site import printing

CHROMIUM = printing.find_chromium()
browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here: apt-get install chromium, or set PSPS_CHROMIUM"
)


@pytest.fixture(scope="module")
def listed(built):
    return printing.chapters(built, ROOT / "_toc.yml")


@pytest.fixture(scope="module")
def print_pdf(built):
    with printing.printer(built) as print_pdf:
        yield print_pdf


@pytest.mark.built
@pytest.mark.browser
@browser
def test_the_summary_for_clinicians_fills_two_pages(built, listed, print_pdf):
    assert printing.page_count(print_pdf(printing.summary_document(built, listed))) == 2


@pytest.mark.built
@pytest.mark.browser
@browser
def test_pages_are_found_and_wide_tables_lie_on_their_side(built, print_pdf):
    row = "".join(f"<td>number{column:08}</td>" for column in range(12))
    body = (
        '<h2 id="first">1</h2><a href="#second">there</a><section class="chapter"><h2'
        ' id="second">2</h2></section><figure class="psps psps-table"><table'
        f' class="psps"><tbody><tr>{row}</tr></tbody></table></figure><p id="last"><a href="#first">back</a></p>'
    )
    pdf = print_pdf(printing.document(built, body, title="t", kind="book"))
    assert printing.page_count(pdf) == 4
    assert {name: printing.page_numbers(pdf)[name] for name in ("first", "second")} == {"first": 1, "second": 2}
    assert sorted(round(page.mediabox.width) for page in PdfReader(BytesIO(pdf)).pages) == [595, 595, 595, 842]


@pytest.mark.built
@pytest.mark.browser
@browser
def test_what_would_be_cut_off_is_an_error(built, print_pdf):
    body = '<p style="width:900px">wide</p>'
    with pytest.raises(ChapterError, match="too wide for the paper:\n900 px: <p"):
        print_pdf(printing.document(built, body, title="t", kind="book"))


@pytest.mark.built
def test_the_book_holds_every_chapter_once_and_links_to_itself(built, listed):
    assert [chapter.stem for chapter in listed] == chapters()
    document = BeautifulSoup(printing.book_document(built, listed, "Title", {"methods": 12}), "html.parser")
    ids = [element["id"] for element in document.select("[id]")]
    assert len(ids) == len(set(ids))
    assert [section["id"] for section in document.select("section.chapter")] == chapters()
    contents = document.select("nav.printed-contents li li")
    assert [line.a["href"] for line in contents] == [f"#{stem}" for stem in chapters()]
    assert [line.select_one(".page").get_text() for line in contents if line.a["href"] == "#methods"] == ["12"]
    inside = [link["href"] for link in document.select("a[href^='#']")]
    assert len(inside) > 500
    assert sorted({link for link in inside if link[1:] not in set(ids)}) == []


def test_a_chapter_keeps_its_anchors_and_links_to_itself():
    markup = (
        '<h2 id="a">x</h2><a href="#a">1</a><a href="other.html#b">2</a><a href="other.html">3</a><a'
        ' href="https://x.org/other.html#b">4</a><a href="../data/t.csv">5</a><svg><style>#forest-svg *{x}</style><use'
        ' xlink:href="#m"/><path id="m" clip-path="url(#c)"/></svg>'
    )
    assert (
        printing.within_one_page(markup, "here", {"here", "other"})
        == '<h2 id="here--a">x</h2><a href="#here--a">1</a><a href="#other--b">2</a><a href="#other">3</a><a'
        ' href="https://x.org/other.html#b">4</a><a href="../data/t.csv">5</a><svg><style>#here--forest-svg'
        ' *{x}</style><use xlink:href="#here--m"/><path id="here--m" clip-path="url(#here--c)"/></svg>'
    )


def test_a_title_is_text_wherever_it_is_printed(tmp_path):
    (tmp_path / "book").mkdir()
    heading = '<h1>A &amp; <em>B</em> &lt;b&gt;<a class="headerlink" href="#a">#</a></h1>'
    for stem in ("one", "methods"):
        text = f'<link rel="stylesheet" href="s.css"/><article class="bd-article">{heading}<p>x</p></article>'
        (tmp_path / "book" / f"{stem}.html").write_text(text, encoding="utf-8")
    (tmp_path / "_toc.yml").write_text("root: book/one\nparts: [{caption: P, chapters: [{file: book/methods}]}]\n")
    listed = printing.chapters(tmp_path, tmp_path / "_toc.yml")
    assert [chapter.title for chapter in listed] == ["A & B <b>"] * 2
    page = BeautifulSoup(printing.book_document(tmp_path, listed, "T", {}), "html.parser")
    assert [link.get_text() for link in page.select(".printed-contents li li a")] == ["A & B <b>"] * 2


def test_the_summary_leads_nowhere(tmp_path):
    """What leads into the book is plain text; addresses outside stay links."""
    (tmp_path / "book").mkdir()
    links = (
        '<a class="claim verdict-consistent" data-claim="x" href="p.html">1 &lt; <b>2</b></a>'
        '<a class="psps-abbr" href="glossary.html"><abbr title="t">CI</abbr></a>'
        '<a class="reference internal" href="p.html"><span>p</span></a><a class="reference external" href="u">u</a>'
    )
    for stem, text in ((printing.SUMMARY_PAGE, links), ("methods", "")):
        page = f'<link rel="stylesheet" href="s.css"/><article class="bd-article">{text}</article>'
        (tmp_path / "book" / f"{stem}.html").write_text(page, encoding="utf-8")
    text = printing.summary_document(tmp_path, [printing.Chapter("", printing.SUMMARY_PAGE, "A & B")])
    assert (
        '<span class="claim">1 &lt; <b>2</b></span><abbr title="t">CI</abbr><span>p</span>'
        '<a class="reference external" href="u">u</a>'
    ) in text
    assert "<title>A &amp; B</title>" in text


@pytest.fixture
def front_page(tmp_path):
    (tmp_path / "book").mkdir()
    page = tmp_path / "book" / "index.html"
    page.write_text('<p>a</p><p class="psps-pdf"></p><p>b</p>', encoding="utf-8")
    return page


def test_the_front_page_links_to_the_pdfs_that_are_there(front_page):
    built = front_page.parent.parent
    printing.link_pdfs(built)
    assert front_page.read_text() == '<p>a</p><p class="psps-pdf"></p><p>b</p>'
    folder = built / printing.FOLDER
    folder.mkdir()
    (folder / printing.SUMMARY).write_bytes(b"x" * 100_000)
    printing.link_pdfs(built)
    assert [link["href"] for link in BeautifulSoup(front_page.read_text(), "html.parser").select("a")] == [
        "../pdf/clinician-summary.pdf"
    ]
    (folder / printing.BOOK).write_bytes(b"x" * 2_300_000)
    printing.link_pdfs(built)
    links = BeautifulSoup(front_page.read_text(), "html.parser").select("p.psps-pdf a")
    assert [link["href"] for link in links] == ["../pdf/clinician-summary.pdf", "../pdf/psps-paper.pdf"]
    assert links[1].get_text() == "The whole book (PDF, 2.3 MB)"
    shutil.rmtree(folder)
    printing.link_pdfs(built)
    assert front_page.read_text() == '<p>a</p><p class="psps-pdf"></p><p>b</p>'


def test_a_front_page_without_a_place_for_links_is_an_error(front_page):
    front_page.write_text("<p>a</p>", encoding="utf-8")
    with pytest.raises(ChapterError, match="index.html has no place"):
        printing.link_pdfs(front_page.parent.parent)


@pytest.mark.built
def test_the_front_page_has_the_place_and_links_to_what_is_there(built):
    (place,) = BeautifulSoup((built / "book" / "index.html").read_text(encoding="utf-8"), "html.parser").select(
        "p.psps-pdf"
    )
    there = [
        f"../pdf/{name}" for name in (printing.SUMMARY, printing.BOOK) if (built / printing.FOLDER / name).exists()
    ]
    assert [link["href"] for link in place.select("a")] == there


@pytest.mark.built
def test_without_chromium_printing_says_how_to_get_it(built, monkeypatch, capsys):
    monkeypatch.setattr(printing, "find_chromium", lambda: None)
    assert printing.main([str(built), "--source", str(ROOT)]) == 1
    assert capsys.readouterr().err == "psps-paper: no Chromium here: apt-get install chromium, or set PSPS_CHROMIUM\n"
