"""``psps-paper new``: a review of one's own that builds and passes its tests, and has nothing of this one."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup

from helpers import DATA, ROOT
from psps_paper.article.trials import book_network
from psps_paper.cli.main import main
from psps_paper.figures import palette
from psps_paper.living.exports import export
from psps_paper.living.new_review import build_data, new_review
from psps_paper.living.review import open_review
from psps_paper.living.settings import CONFIG
from psps_paper.site.extension import failed_cell
from psps_paper.tables.errors import TableError
from psps_paper.tables.load import data_folder, load_table
from test_browser import (  # noqa: F401  (fixtures)
    CHROMIUM,
    browser,
    contrast_violations,
    luminance,
    reader,
    serve,
    settle,
)

pytestmark = pytest.mark.slow

NOT_MADE = ("_build", "__pycache__", ".pytest_cache", ".hypothesis", ".git", ".venv", "node_modules")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not set(path.parts) & set(NOT_MADE)
    }


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reviews") / "mine"
    new_review(folder)
    return folder


@pytest.fixture
def review(tmp_path):
    folder = tmp_path / "mine"
    new_review(folder)
    return folder


def edited(folder: Path, old: str, new: str) -> None:
    path = folder / "review.yml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def ended_in(folder: Path, command: list[str]) -> subprocess.CompletedProcess:
    """A command that has ended, in a process with no variable of this checkout's tests, where nothing can be written to
    HOME.

    What the review's Makefile exports is there, as in a recipe of it.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PSPS_", "PYTEST_", "JUPYTER_", "MPL"))
    }
    exported = re.findall(r"^export (\w+) := (.*)$", (folder / "Makefile").read_text(), re.MULTILINE)
    environment |= {name: value.replace("$(CURDIR)", str(folder)) for name, value in exported}
    environment |= {"HOME": f"{os.devnull}/home", "LANG": "C", "FONTCONFIG_FILE": f"{os.devnull}/none"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def run_in(folder: Path, command: list[str]) -> subprocess.CompletedProcess:
    """A command that succeeded."""
    done = ended_in(folder, command)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


def build_command(folder: Path) -> list[str]:
    """How a review's Makefile builds its book."""
    recipe = (folder / "Makefile").read_text()
    command = next(line.strip() for line in recipe.splitlines() if "jupyter-book build" in line).split()
    assert {"--all", "-W", "--keep-going"} <= set(command)
    return command


def build(folder: Path) -> None:
    """Run the recipe of the target "book", where fontconfig, as Matplotlib asks it for typefaces, complains on
    stderr."""
    recipe = re.search(r"^book: data\n((?:\t.*\n)+)", (folder / "Makefile").read_text(), re.MULTILINE)[1]
    run_in(folder, ["bash", "-e", "-c", recipe.replace("\t", "")])


def test_the_sample_builds_green_and_passes_its_own_tests(sample):
    build(sample)
    assert re.search(r"\b20 passed", run_in(sample, [sys.executable, "-m", "pytest", "-q", "tests"]).stdout)


CHAPTER = """---
file_format: mystnb
kernelspec: {{name: python3, display_name: Python 3, language: python}}
---
# {title}

```{{code-cell}} python
{source}
```
"""


def test_each_chapter_that_fails_is_named_last_with_its_cell_and_what_it_raised(review):
    """What Python raises for an index out of range; nbclient's timeout, here of two seconds."""
    for path in (review / "book").glob("*.md"):
        path.unlink()
    sources = {"index": "values = [1, 2]\nvalues[7]", "sleeps": "import time\ntime.sleep(60)"}
    for name, source in sources.items():
        (review / "book" / f"{name}.md").write_text(CHAPTER.format(title=name, source=source))
    (review / "_toc.yml").write_text("format: jb-book\nroot: book/index\nchapters:\n  - file: book/sleeps\n")
    config = (review / "_config.yml").read_text()
    assert "timeout: 120" in config
    (review / "_config.yml").write_text(config.replace("timeout: 120", "timeout: 2"))
    done = ended_in(review, build_command(review))
    assert done.returncode != 0
    assert done.stderr.rstrip().endswith("""book/index.md: this cell failed:
    values = [1, 2]
    values[7]
IndexError: list index out of range

book/sleeps.md: this cell failed:
    import time
    time.sleep(60)
timed out after 2 seconds""")
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("source", "message", "expected"),
    [
        (
            "x = [\n1",
            "  Cell In[1], line 1\n    x = [\n        ^\n_IncompleteInputError: incomplete input",
            "_IncompleteInputError: incomplete input",
        ),
        (
            "\n".join(f"x{k} = 1" for k in range(40)),
            "-" * 75 + "\n\x1b[0;31mValueError\x1b[0m        Traceback (most recent call last)\n"
            "\x1b[0mCell In[3], line 21\x1b[0m\n---> 21 x20 = 1\n\n\x1b[0;31mValueError\x1b[0m: one\ntwo",
            "ValueError: one\ntwo",
        ),
    ],
)
def test_only_the_lines_around_a_failure_in_a_long_cell_are_shown(source, message, expected):
    """Messages as IPython writes them; nbclient puts the cell between rules before them."""
    rule = "-" * 18
    told = failed_cell(
        f"An error occurred while executing the following cell:\n{rule}\n{source}\n{rule}\n\n{message}\n"
    )
    assert told.endswith(expected) and len(told.splitlines()) <= 15
    assert "    x20 = 1" in told or len(source) < 10


def test_no_file_is_shared_but_the_package(sample):
    mine = {hashlib.sha256(content).hexdigest(): name for name, content in contents(sample).items() if content}
    tracked = (
        subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    )
    outside = [ROOT / name for name in tracked if name and not name.startswith("src/")]
    shared = {
        path.relative_to(ROOT).as_posix()
        for path in outside
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() in mine
    }
    assert len(outside) > 100 and shared == set()


def test_no_word_of_this_review_is_in_the_other(sample):
    words = set(load_table("treatment_classes", DATA)["treatment_class"]) | {
        "Goudman",
        "spinal",
        "PSPS Type",
        "Supplementary",
    }
    for name, content in contents(sample).items():
        text = content.decode("utf-8")
        assert not [word for word in words if word in text], name


def test_chapters_name_no_treatment_and_hold_no_number(sample):
    settings = yaml.safe_load((sample / "review.yml").read_text())
    for path in (sample / "book").glob("*.md"):
        text = path.read_text()
        assert not [entry["name"] for entry in settings["treatments"] if entry["name"] in text]
        assert not re.search(r"\d\.\d", text.replace("95 %", ""))


def test_the_package_s_own_functions_find_the_review_in_which_one_works(sample, monkeypatch):
    monkeypatch.delenv("PSPS_DATA", raising=False)
    for place in (sample, sample / "book"):
        monkeypatch.chdir(place)
        assert data_folder().samefile(sample / "data")
        assert list(palette.class_colours()) == ["usual care", "nasal rinse", "tablet", "rinse and tablet"]
        assert book_network().tier == "recomputed"
    monkeypatch.chdir(ROOT)
    assert data_folder() == ROOT / "data"


def test_every_default_colour_stands_out_on_light_and_dark_pages():
    first = list(itertools.islice(palette.distinct_colours(), 200))
    for colour in first:
        assert re.fullmatch("#[0-9a-f]{6}", colour)
        assert palette.contrast_ratio(colour, "#ffffff") >= 3 and palette.contrast_ratio(colour, "#121212") >= 3, colour
    assert len(set(first)) == len(first)


OWN = """
title: "Does counselling help: a \\"living\\" review"
author: A. Müller
repository: https://github.com/someone/counselling
question: Which helps?
treatments: [{treatments}]
outcomes:
  - name: quit
    label: Not smoking
    measure: OR
    unit: log odds ratio
    scale_desirable: higher
    te_desirable: higher
    reference: {reference}
    table: {{file: tables/quit.csv, kind: contrasts}}
"""


def own_review(folder: Path, rows: list[str], *, reference: str = "a") -> Path:
    """The sample, replaced by a review of one's own as the guide says; data are not made yet."""
    new_review(folder)
    names = sorted({name for row in rows for name in row.split(",")[1:3]})
    listed = ", ".join(f"{{name: {name}}}" for name in names)
    (folder / CONFIG).write_text(OWN.format(treatments=listed, reference=reference), encoding="utf-8")
    for path in (folder / "tables").iterdir():
        path.unlink()
    (folder / "tables" / "quit.csv").write_text(
        "\n".join(["studlab,treat1,treat2,TE,seTE", *rows, ""]), encoding="utf-8"
    )
    return folder


def test_a_review_of_one_s_own_is_not_compared_with_the_sample(tmp_path):
    mine = own_review(tmp_path / "mine", ["s1,a,b,0.1,0.2"])
    new_review(mine)
    assert not (mine / "release").exists()
    assert "There is no earlier release of this review" in open_review(mine).show_changes().markup
    export(mine / "data", mine / "release")
    assert "Nothing has changed since the last release" in open_review(mine).show_changes().markup


def test_a_release_of_other_outcomes_is_no_release_of_this_review(tmp_path):
    mine = tmp_path / "mine"
    new_review(mine)
    export(mine / "data", mine / "release")
    shutil.move(mine / "release", tmp_path / "release")
    shutil.rmtree(mine)
    own_review(mine, ["s1,a,b,0.1,0.2"])
    shutil.move(tmp_path / "release", mine / "release")
    new_review(mine)
    assert open_review(mine).changes() is None


def test_a_change_of_any_outcome_is_on_the_page_what_changed(review):
    export(review / "data", review / "release")
    table = review / "tables" / "sleep.csv"
    table.write_text(table.read_text().replace("-0.019", "2.019"))
    new_review(review)
    changes = open_review(review).changes()
    assert set(changes["outcome"]) == {"sleep", ""} and "nasal rinse vs tablet, te" in changes["item"].tolist()


def test_the_part_with_the_reference_is_fitted_however_small_and_reported(tmp_path, capsys):
    mine = own_review(tmp_path / "mine", ["1,a,b,0.1,0.2", "2,b,c,0.1,0.2", "3,d,e,0.1,0.2"], reference="d")
    assert main(["new", str(mine)]) == 0
    told = capsys.readouterr().out
    assert (
        "2 of 3 contrasts are not connected with the part of the network with the reference d (a and b and c); they (1,"
        " 2) are kept" in told
    )
    assert open_review(mine).network("quit").fit.treatments == ["d", "e"]


def test_what_is_left_out_of_the_fit_is_told_listed_and_marked(tmp_path, capsys):
    mine = own_review(tmp_path / "mine", ["1,a,b,0.1,0.2", "2,b,c,0.1,0.2", "3,d,e,0.1,0.2", "1,a,b,0.3,0.2"])
    assert main(["new", str(mine)]) == 0
    told = capsys.readouterr().out
    assert "read 4 rows, used 4" in told and "note: 1 of 4 contrasts are not connected" in told
    assert "each counts as a study of its own" in told
    listed = "\n".join(open_review(mine).listed()["what"])
    assert (
        "note: 1 of 4 contrasts are not connected" in listed
        and "note: several estimates of one comparison (1)" in listed
    )
    marked = open_review(mine).contrasts()
    assert marked["in the fit"].str[:3].tolist() == ["yes", "yes", "no:", "yes"] and marked["study"].tolist() == [
        "1",
        "2",
        "3",
        "1",
    ]


def test_an_sd_is_imputed_only_where_review_yml_asks_for_it(tmp_path):
    """The other study's scale may be another one."""
    mine = tmp_path / "mine"
    new_review(mine)
    table = mine / "tables" / "sneezing.csv"
    table.write_text(table.read_text() + "Zeder 2020,usual care,30,5,\nZeder 2020,tablet,30,4,2.5\n")
    new_review(mine)
    review = open_review(mine)
    assert "Zeder 2020" not in set(review.contrasts()["study"]) and "Zeder 2020" in set(review.listed()["study"])
    edited(mine, "      kind: arms", "      kind: arms\n      impute_sd: true")
    new_review(mine)
    assert "Zeder 2020" in set(open_review(mine).contrasts()["study"])


STRANGE_TITLE = "Pain <test> & more: *stars*, $dollars$ and [brackets]"


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    """A built review with names in many scripts, long ones too, and a title that Markdown and HTML would read their own
    way.

    What is installed changes no SVG (``test_figures``), so matplotlib's own typefaces alone stand for every machine.
    """
    folder = own_review(
        tmp_path_factory.mktemp("strange reviews ü") / "mine",
        [
            "张 2019,尼古丁替代疗法,戒烟,0.1,0.2",
            "李 2020,戒烟,a,0.1,0.2",
            "한 2020,尼古丁替代疗法,a,0.3,0.2",
            "أحمد 2019,دواء,علاج سلوكي معرفي,0.1,0.2",
            "ليلى 2020,علاج سلوكي معرفي,a,-0.1,0.2",
            "سعيد 2020,دواء,a,0.3,0.2",
            "शर्मा 2019,निकोटीन,परामर्श,0.1,0.2",
            "वर्मा 2020,परामर्श,a,0.5,0.2",
            "गुप्ता 2020,निकोटीन,a,0.3,0.2",
        ],
    )
    edited(folder, 'title: "Does counselling help: a \\"living\\" review"', f"title: {json.dumps(STRANGE_TITLE)}")
    new_review(folder)
    build(folder)
    return folder


def page_of(folder: Path, name: str) -> BeautifulSoup:
    return BeautifulSoup(
        (folder / "_build" / "html" / "book" / f"{name}.html").read_text(encoding="utf-8"), "html.parser"
    )


def test_names_in_any_script_stay_text_in_figures_and_tables(strange):
    """The build that came before is the test that no cell writes to stderr, as matplotlib does for characters that it
    lacks."""
    page = page_of(strange, "network")
    drawn = " ".join(text.get_text() for text in page.select("figure svg text"))
    tables = " ".join(cell.get_text() for cell in page.select("table.psps :is(td, th)"))
    for name in open_review(strange).treatments:
        assert all(word in drawn for word in name.split()) and name in tables, name


def test_a_title_is_shown_as_it_is_typed_and_the_footer_names_no_year(strange):
    page = page_of(strange, "index")
    assert [heading.get_text().rstrip("#") for heading in page.select("h1")] == [STRANGE_TITLE] * 2
    footer = page.select_one("footer.bd-footer-content, .bd-footer-content").get_text()
    assert "© Copyright A. Müller." in footer and not re.search(r"20\d\d", footer)


# axe-core passes over the texts of drawings.
DRAWN_TEXTS = """figure => [...figure.querySelectorAll("svg text")].filter(e => e.checkVisibility() && e.textContent.trim()).map(e => {
  const {x, y, width, height} = e.getBoundingClientRect(), origin = figure.getBoundingClientRect();
  return [e.textContent, getComputedStyle(e).fill.match(/\\d+/g).map(Number), x - origin.x, y - origin.y, width, height];
})"""


def faint_texts(page) -> list[tuple[str, float]]:
    """Texts of drawings with a contrast below 4.5 to the pixels behind them, with the contrast."""
    page.add_style_tag(
        content="figure svg text { visibility: visible } figure.bare svg text { fill-opacity: 0 !important }"
    )
    faint = []
    for figure in page.locator("figure.psps-figure").all():
        texts = figure.evaluate(DRAWN_TEXTS)
        figure.evaluate("figure => figure.classList.add('bare')")
        behind = luminance(figure.screenshot())
        for text, colour, x, y, width, height in texts:
            one = palette.relative_luminance("#" + "".join(f"{part:02x}" for part in colour[:3]))
            other = np.median(behind[max(int(y), 0) : int(y + height) + 1, max(int(x), 0) : int(x + width) + 1])
            contrast = (max(one, other) + 0.05) / (min(one, other) + 0.05)
            if contrast < 4.5:
                faint.append((text, round(float(contrast), 2)))
    return faint


SCHEMES = {"light": ("light", "light"), "dark": ("dark", "dark"), "switched to dark": ("light", "dark")}


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium, or set PSPS_CHROMIUM")
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_text_of_a_review_has_contrast(strange, reader, scheme):
    """WCAG 2.2, 1.4.3, in light, in dark, and after the page's own switch; axe-core tells."""
    preferred, shown = SCHEMES[scheme]
    server, address = serve(strange / "_build" / "html")
    page, found = reader.new_page(), {}
    page.emulate_media(color_scheme=preferred)
    for path in sorted((strange / "_build" / "html" / "book").glob("*.html")):
        page.goto(f"{address}book/{path.name}")
        for _ in range(3):
            if page.evaluate("document.documentElement.dataset.theme") != shown:
                page.locator("button.theme-switch-button").first.click()
        assert page.evaluate("document.documentElement.dataset.theme") == shown
        page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
        settle(page)
        found[f"{path.name}, drawings"] = faint_texts(page)
        page.evaluate(Axe().axe_script)
        found[path.name], looks = contrast_violations(page)
        assert len(looks) > 5
    page.close()
    server.shutdown()
    assert {name: violations for name, violations in found.items() if violations} == {}


STICKS_OUT = """() => [...document.querySelectorAll("main *")].filter(e => e.checkVisibility() && !e.closest(".table-wrap, pre, svg, .bd-sidebar-secondary")
  && e.getBoundingClientRect().right > innerWidth + 1).slice(0, 5).map(e => e.outerHTML.slice(0, 120))"""


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium, or set PSPS_CHROMIUM")
def test_nothing_of_a_review_is_cut_off_on_a_telephone(strange, reader):
    server, address = serve(strange / "_build" / "html")
    page, found = reader.new_page(), {}
    page.set_viewport_size({"width": 360, "height": 900})
    for path in sorted((strange / "_build" / "html" / "book").glob("*.html")):
        page.goto(f"{address}book/{path.name}")
        page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
        found[path.name] = page.evaluate(STICKS_OUT)
    page.close()
    server.shutdown()
    assert {name: things for name, things in found.items() if things} == {}


def test_thirty_treatments_need_no_colour(tmp_path):
    mine = own_review(tmp_path / "mine", [f"s{k},a,t{k},0.1,0.2" for k in range(30)])
    new_review(mine)
    assert load_table("treatment_classes", mine / "data")["colour"].nunique() == 31


def test_title_author_and_repository_reach_every_file_that_repeats_them(tmp_path):
    mine = own_review(tmp_path / "mine", ["s1,a,b,0.1,0.2"])
    config = mine / "_config.yml"
    config.write_text(config.read_text() + "\nlogo: mine.svg\n")
    assert new_review(mine) == ["data", "_config.yml", "README.md", "book/index.md"]
    settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    assert settings["title"] == 'Does counselling help: a "living" review' and settings["author"] == "A. Müller"
    assert (
        settings["repository"]["url"] == "https://github.com/someone/counselling"
        and settings["html"]["use_repository_button"] is True
    )
    assert settings["logo"] == "mine.svg"
    for name in ("README.md", "book/index.md"):
        text = (mine / name).read_text(encoding="utf-8")
        assert '# Does counselling help: a "living" review\n' in text and "sneezing" not in text
    assert "Its home: https://github.com/someone/counselling\n" in (mine / "README.md").read_text()
    assert new_review(mine) == ["data"]
    edited(mine, "https://github.com/someone/counselling", "https://example.org/counselling")
    assert new_review(mine) == ["data", "_config.yml", "README.md"]
    settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    assert settings["repository"]["url"] == "" and settings["html"]["use_repository_button"] is False, (
        "the theme knows no such host"
    )
    assert "@" not in "".join((mine / name).read_text() for name in ("_config.yml", "README.md", "book/index.md"))


def test_a_second_run_makes_the_same_data_and_touches_nothing_else(review):
    (review / "book" / "notes.md").write_text("my own chapter")
    before = contents(review)
    assert new_review(review) == ["data"]
    assert contents(review) == before


def test_a_changed_table_changes_the_data_and_the_page_says_what(review):
    export(review / "data", review / "release")
    table = review / "tables" / "sneezing.csv"
    table.write_text(table.read_text() + "Yew 2024,usual care,80,6.5,2.0\nYew 2024,tablet,82,3.0,2.0\n")
    assert open_review(review).changes().empty
    new_review(review)
    changes = open_review(review).changes()
    row = changes[changes["item"] == "estimates"].iloc[0]
    assert (row["outcome"], row["old"], row["new"]) == ("sneezing", 17, 18)
    assert "flip a conclusion" in open_review(review).show_changes().markup
    assert "trials/contrasts.csv" in changes["item"].tolist()


def test_what_was_left_out_of_the_sample_is_listed(sample):
    listed = open_review(sample).listed()
    assert listed[listed["what"].str.startswith("not used")].to_dict("records") == [
        {"file": "sleep.csv", "row": "7", "study": "Spruce 2018", "what": "not used: no TE"}
    ]


def test_the_direction_of_an_outcome_decides_what_is_first(review):
    first = open_review(review).order("sneezing")[0]
    edited(review, "scale_desirable: lower", "scale_desirable: higher")
    new_review(review)
    assert open_review(review).order("sneezing")[-1] == first


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title:", "titel:", "review.yml, title: None is not text"),
        ("question: Which", "question: [Which", "review.yml, line "),
        ("  - name: tablet", "  - name: nasal rinse", "review.yml, treatments: 'nasal rinse' occurs more than once"),
        (
            "  - name: tablet\n",
            "",
            "treatment 'tablet' is not in review.yml (usual care, nasal rinse, rinse and tablet)",
        ),
        ('"#7a7a7a"', '"grey"', "review.yml, treatments, entry 1, colour: 'grey' is not written #rrggbb"),
        (
            "measure: SMD",
            "measure: smd",
            "review.yml, outcomes, entry 1, measure: 'smd' is not one of SMD, MD, OR, RD, RR, HR, IRR, ROM",
        ),
        (
            "te_desirable: higher",
            "te_desirable: up",
            "review.yml, outcomes, entry 1, te_desirable: 'up' is not one of lower, higher",
        ),
        (
            "reference: usual care",
            "reference: placebo",
            "review.yml, outcomes, entry 1, reference: 'placebo' is not one of",
        ),
        ("kind: arms", "kind: arm", "review.yml, outcomes, entry 1, table, kind: 'arm' is not one of contrasts, arms"),
        ("      kind: arms", "      kind: arms\n      skip: one", "table, skip: 'one' is not a int"),
        ("      kind: arms", "      kind: arms\n      sort: yes", "table: 'sort' is not one of file, kind"),
        ("tables/sneezing.csv", "../sneezing.csv", "table, file: '../sneezing.csv' is outside the review's folder"),
        ("tables/sneezing.csv", "tables/other.csv", "other.csv: no such file"),
        ("name: sleep", "name: sneezing", "review.yml, outcomes: 'sneezing' occurs more than once"),
    ],
)
def test_a_broken_review_yml_is_named_and_changes_nothing(review, old, new, message):
    edited(review, old, new)
    before = contents(review)
    with pytest.raises(TableError) as caught:
        new_review(review)
    assert message in str(caught.value)
    assert contents(review) == before


def test_an_option_that_decides_is_named_as_review_yml_has_it(review):
    """The refusal speaks of --map, which psps-paper import has; in a review it is an entry of the table."""
    path = review / "tables" / "sleep.csv"
    path.write_text(path.read_text().replace("treat1,treat2", "Therapy,Against"))
    with pytest.raises(TableError, match=r"as in --map treat1=COLUMN \(review.yml: an option is an entry of the"):
        build_data(review)
    edited(review, "      kind: contrasts", "      kind: contrasts\n      map: {treat1: Therapy, treat2: Against}")
    assert build_data(review)


def test_an_import_into_a_review_is_never_undone_by_the_next_build(review, capsys):
    """The build stops until review.yml names the file, or the import is removed."""
    other = review / "tables" / "other.csv"
    other.write_text((review / "tables" / "sleep.csv").read_text().replace("0.828", "0.728"))
    command = ["import", str(other), "--kind", "contrasts", "--outcome", "sleep", "--data", str(review / "data")]
    assert main([*command, "--write"]) == 0
    assert "make book stop instead of undoing the import" in capsys.readouterr().out
    imported = {path: path.read_bytes() for path in (review / "data").rglob("*") if path.is_file()}
    with pytest.raises(
        TableError, match="data/trials holds other.csv, .* as outcome sleep, but review.yml names another"
    ):
        new_review(review)
    assert imported == {path: path.read_bytes() for path in (review / "data").rglob("*") if path.is_file()}
    edited(review, "file: tables/sleep.csv", "file: tables/other.csv")
    new_review(review)
    assert 0.728 in open_review(review).network("sleep").fit.contrasts["te"].tolist()
    # Once review.yml names it, its tables may change as ever
    other.write_text(other.read_text().replace("0.728", "0.628"))
    new_review(review)
    # Another import may be taken out
    assert main([*command, "--write"]) == 0
    edited(review, "file: tables/other.csv", "file: tables/sleep.csv")
    shutil.rmtree(review / "data" / "trials")
    new_review(review)


def test_review_yml_can_hold_no_object(review):
    """A YAML tag that would build a Python object is refused, not run."""
    edited(review, "author: The review team", "author: !!python/object/apply:os.system [exit]")
    with pytest.raises(TableError, match=r"^review.yml, line \d+: not YAML"):
        build_data(review)


def test_a_folder_with_something_else_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("x")
    assert main(["new", str(tmp_path)]) == 2
    assert "holds files but no review.yml; name a new folder" in capsys.readouterr().err
    assert main(["new", str(tmp_path / "thesis.txt")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_the_command_lists_what_it_wrote(tmp_path, capsys):
    assert main(["new", str(tmp_path / "mine")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"wrote {tmp_path / 'mine' / 'review.yml'}" in lines and f"wrote {tmp_path / 'mine' / 'data'}" in lines
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
