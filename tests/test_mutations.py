"""Planted faults must be found: a changed input, a chapter that fails, a number that is missing.

Each case works on a copy. Without these tests, a check that cannot fail would look like one that passes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
import yaml

from conftest import ROOT
from psps_paper.site.notebooks import KERNEL

pytestmark = [pytest.mark.slow, pytest.mark.built]


# Both by their entry points, so that PYTHONPATH decides which copy of the package runs
VERIFY = ["-c", "import sys; from psps_paper.cli.main import main; sys.exit(main(['verify']))"]
BUILD = ["-c", "from jupyter_book.cli.main import main; main()", "build", ".", "--all"]


@dataclass(frozen=True)
class Mutation:
    """One value of one table; a claim that must notice, and one of the same chapter that must not."""

    table: str
    row: str  # how its line begins
    before: str
    after: str
    chapter: str
    claim: str
    bystander: str


MUTATIONS = [
    Mutation(
        "studies", "khosravi2014,", ",high,", ",low,", "risk_of_bias", "rob.high.count", "rob.some_concerns.count"
    ),
    Mutation(
        "nma_published",
        "te,neuromodulation,conservative + minimally invasive,",
        ",0.45,",
        ",0.49,",
        "network_meta_analysis",
        "nma.n_cm.te",
        "nma.used",
    ),
]


def change(folder: Path, mutation: Mutation) -> None:
    """Change the value; the case is wrong where there is not exactly one such value."""
    table = folder / "data" / f"{mutation.table}.csv"
    lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
    (row,) = [number for number, line in enumerate(lines) if line.startswith(mutation.row)]
    assert lines[row].count(mutation.before) == 1
    lines[row] = lines[row].replace(mutation.before, mutation.after)
    table.write_text("".join(lines), encoding="utf-8")


def lenient_book(folder: Path, chapters: list[str]) -> None:
    """Cut the copy down to the pages in question, and let it build whatever the cells say."""
    root, *others = chapters
    pages = [{"file": f"book/{name}"} for name in (*others, "reproduction_status")]
    toc = {"format": "jb-book", "root": f"book/{root}", "chapters": pages}
    (folder / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    config = yaml.safe_load((folder / "_config.yml").read_text(encoding="utf-8"))
    config["execute"] |= {"raise_on_error": False, "allow_errors": True, "stderr_output": "show"}
    (folder / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")


@pytest.fixture
def mutated(tmp_path):
    """A copy with every mutation; each has a bystander, which shows that it does not reach beyond its statement.

    It holds no trial-level data, since they, where they are in place, and not the changed print would decide verdicts;
    and the tests of the pages, which expect what their own folder's data give.
    """
    without = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", "trials")
    for name in ("data", "book", "src"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=without)
    (tmp_path / "tests").mkdir()
    for name in ("_config.yml", "pyproject.toml", "tests/conftest.py", "tests/test_built_html.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    for mutation in MUTATIONS:
        change(tmp_path, mutation)
    lenient_book(tmp_path, [mutation.chapter for mutation in MUTATIONS])
    return tmp_path


def run(*arguments, cwd: Path, **variables: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_changed_value_turns_every_check_red(mutated):
    copy = {"PYTHONPATH": str(mutated / "src"), "PSPS_DATA": str(mutated / "data")}

    verify = run(*VERIFY, cwd=mutated, **copy)
    assert verify.returncode == 1, verify.stdout + verify.stderr
    for mutation in MUTATIONS:
        assert mutation.claim in verify.stderr
        assert mutation.bystander not in verify.stderr

    chapters = [f"book/{mutation.chapter}.ipynb" for mutation in MUTATIONS]
    notebooks = run(
        "-m", "pytest", *chapters, "--nbval", "--nbval-current-env", "-q", "-p", "no:cacheprovider", cwd=mutated, **copy
    )
    assert notebooks.returncode == 1, notebooks.stdout + notebooks.stderr
    assert "Cell outputs differ" in notebooks.stdout or "Notebook cell execution failed" in notebooks.stdout
    for chapter in chapters:
        assert f"FAILED {chapter}" in notebooks.stdout
    # What reviewers.md promises: the chapter names the numbers that clash, as printed or as changed
    plain = re.sub(r"\x1b\[[\d;]*m", "", notebooks.stdout)
    said = re.search(r"ValueError: no network agrees with all printed values; these cannot hold together: (.*)", plain)
    assert (
        said
        and "SMD neuromodulation against conservative + minimally invasive 0.49" in said[1].split("; ")
        and "KeyError" not in plain
    )

    build = run(*BUILD, cwd=mutated, **copy)
    pages = mutated / "_build" / "html"
    assert (pages / "index.html").exists(), build.stdout + build.stderr
    test = "tests/test_built_html.py::test_claim_has_its_row_and_its_verdict"
    wrong, right = (
        [f"{test}[{getattr(mutation, which)}]" for mutation in MUTATIONS] for which in ("claim", "bystander")
    )
    html = run("-m", "pytest", *wrong, *right, "-q", "-p", "no:cacheprovider", cwd=mutated, **copy)
    assert html.returncode == 1, html.stdout + html.stderr
    for name in wrong:
        assert f"FAILED {name}" in html.stdout
    assert f"{len(wrong)} failed, {len(right)} passed" in html.stdout


# A code cell, prose, and how the build says that this chapter is at fault
FAULTS = [
    ("1 / 0", "", "Executing notebook failed: CellExecutionError"),
    ("import sys; print('careful', file=sys.stderr)", "", "stderr was found"),
    ("1", "We found {glue}`nowhere` studies.", "No key 'nowhere' found"),
]


def test_a_fault_in_a_chapter_stops_the_build(tmp_path):
    """One build with a chapter for each fault: by ``-W`` every warning is an error, and all that it counts are theirs."""
    book = tmp_path / "book"
    shutil.copytree(ROOT / "book" / "_static", book / "_static")
    shutil.copy(ROOT / "book" / "references.bib", book)
    shutil.copy(ROOT / "_config.yml", tmp_path)
    # Chapters enough for the build to read them in several processes, as it does with the whole book
    names = ["index", *(f"chapter_{number}" for number in range(6))]
    for name in names:
        (book / f"{name}.md").write_text(f"# {name}\n\nText.\n", encoding="utf-8")
    for number, (code, prose, _) in enumerate(FAULTS):
        cells = [nbformat.v4.new_markdown_cell(f"# Faulty\n\n{prose}"), nbformat.v4.new_code_cell(code)]
        notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
        nbformat.write(notebook, book / f"faulty_{number}.ipynb")
        names.append(f"faulty_{number}")
    toc = {"format": "jb-book", "root": "book/index", "chapters": [{"file": f"book/{name}"} for name in names[1:]]}
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")

    build = run(*BUILD, "-W", "--keep-going", cwd=tmp_path)
    said = re.sub(r"\x1b\[[\d;]*m", "", build.stdout + build.stderr)
    assert build.returncode != 0
    told = re.findall(r"faulty_(\d)\.ipynb(?::\d+)?: (?:WARNING|ERROR): (.*)", said)
    for number, (*_, message) in enumerate(FAULTS):
        assert any(chapter == str(number) and message in text for chapter, text in told), said[-3000:]
    assert f"build finished with problems, {len(told)} warnings" in said, said[-3000:]
