"""A changed input must turn the checks red: verify, the chapter's stored output, and the built page.

Each case changes one value in a copy of the project. Without this, a check that can't fail would look like one
that passes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.built]


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
    Mutation("studies", "khosravi2014,", ",high,", ",low,", "risk_of_bias", "rob.high.count", "rob.some_concerns.count"),
    Mutation(
        "nma_published", "te,neuromodulation,conservative + minimally invasive,", ",0.45,", ",0.49,",
        "network_meta_analysis", "nma.n_cm.te", "nma.used",
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


def lenient_book(folder: Path, chapter: str) -> None:
    """Cut the copy down to the pages in question, and let it build whatever the cells say."""
    toc = {"format": "jb-book", "root": "book/index", "chapters": [{"file": f"book/{chapter}"}, {"file": "book/reproduction_status"}]}
    (folder / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    config = yaml.safe_load((folder / "_config.yml").read_text(encoding="utf-8"))
    config["execute"] |= {"raise_on_error": False, "allow_errors": True, "stderr_output": "show"}
    (folder / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")


@pytest.fixture(params=MUTATIONS, ids=lambda mutation: mutation.claim)
def mutated(request, tmp_path):
    for name in ("data", "book", "src"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
    for name in ("_config.yml", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    change(tmp_path, request.param)
    lenient_book(tmp_path, request.param.chapter)
    return tmp_path, request.param


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
    folder, mutation = mutated
    copy = {"PYTHONPATH": str(folder / "src"), "PSPS_DATA": str(folder / "data")}

    verify = run("-c", "from psps_paper.cli import main; raise SystemExit(main(['verify']))", cwd=folder, **copy)
    assert verify.returncode == 1, verify.stdout + verify.stderr
    assert mutation.claim in verify.stderr
    assert mutation.bystander not in verify.stderr

    notebook = run(
        "-m", "pytest", f"book/{mutation.chapter}.ipynb", "--nbval", "--nbval-current-env", "-q", "-p", "no:cacheprovider",
        cwd=folder, **copy,
    )
    assert notebook.returncode == 1, notebook.stdout + notebook.stderr
    assert "Cell outputs differ" in notebook.stdout or "Notebook cell execution failed" in notebook.stdout

    build = run("-m", "jupyter_book.cli.main", "build", ".", "--all", cwd=folder, **copy)
    assert build.returncode == 0, build.stdout + build.stderr
    names = [f"tests/test_built_html.py::test_claim_has_its_row_and_its_verdict[{claim}]" for claim in (mutation.claim, mutation.bystander)]
    html = run("-m", "pytest", *names, "-q", "-p", "no:cacheprovider", cwd=ROOT, PSPS_BUILT=str(folder / "_build" / "html"))
    assert html.returncode == 1, html.stdout + html.stderr
    assert f"FAILED {names[0]}" in html.stdout
    assert "1 failed, 1 passed" in html.stdout
