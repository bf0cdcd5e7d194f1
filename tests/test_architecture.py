"""Rooms: drawn from the contracts that import-linter enforces, and an upward import fails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import BOOK
from helpers import ROOT
from psps_paper.site.architecture import drawing, main, purpose, read_layers

LAYERS = read_layers(ROOT / "pyproject.toml")
ROOMS = [room for height in LAYERS.heights for room in height]


def test_the_drawing_of_the_page_is_that_of_the_contracts(tmp_path):
    assert main([str(ROOT / "pyproject.toml"), str(tmp_path / "rooms.svg")]) == 0
    stored = (BOOK / "_static" / "rooms.svg").read_bytes()
    assert (tmp_path / "rooms.svg").read_bytes() == stored, (
        "python -m psps_paper.site.architecture pyproject.toml book/_static/rooms.svg draws it again"
    )


def test_every_room_is_drawn_from_top_to_bottom():
    picture = drawing(LAYERS)
    drawn = re.findall(r'text-anchor="middle">(\w+)<', picture)
    assert drawn == ROOMS and drawn[0] == "cli"
    assert picture.count('class="engine"') == len(LAYERS.engine) == 4
    assert all(10 < len(purpose(room)) < 105 for room in ROOMS)


def test_every_room_of_the_package_is_drawn():
    package = ROOT / "src" / "psps_paper"
    present = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert set(ROOMS) == present - {"__init__", "notebooks"}


def contracts(folder: Path) -> subprocess.CompletedProcess[str]:
    command = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    return subprocess.run(
        [sys.executable, "-c", command, "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "src")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("module", "line", "named"),
    [
        ("tables/errors.py", None, None),
        ("tables/errors.py", "from psps_paper.article.outcomes import outcome_of", "psps_paper.tables.errors"),
        ("network/robust.py", "from psps_paper.tables.load import load_table", "psps_paper.network.robust"),
        ("claims/counts.py", "from psps_paper.book.display import show", "psps_paper.claims.counts"),
    ],
)
def test_one_import_that_runs_upward_is_red(tmp_path, module, line, named):
    """An import inside a function fails as well; without the import all contracts are kept."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    if line:
        path = tmp_path / "src" / "psps_paper" / module
        path.write_text(path.read_text(encoding="utf-8") + f"\n\ndef _planted():\n    {line}\n", encoding="utf-8")
    done = contracts(tmp_path)
    if line is None:
        assert done.returncode == 0 and "Contracts: 2 kept, 0 broken" in done.stdout, done.stdout
    else:
        assert done.returncode == 1 and "BROKEN" in done.stdout and named in done.stdout, done.stdout
