"""A wheel of the package holds all that an installed package needs, above all the files that ``psps-paper new``
copies."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from helpers import ROOT

SRC = ROOT / "src"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built by setuptools from a copy, so that the checkout stays as it is; no network."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(SRC, folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    build = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return next((folder / "dist").glob("*.whl"))


def test_every_file_of_the_package_is_in_the_wheel(wheel):
    package = {
        path.relative_to(SRC).as_posix(): path.read_bytes()
        for path in (SRC / "psps_paper").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"psps_paper/living/templates/.gitignore", "psps_paper/living/templates/tables/sleep.csv"} <= set(package)
    with zipfile.ZipFile(wheel) as archive:
        held = {
            name: archive.read(name) for name in archive.namelist() if not name.split("/")[0].endswith(".dist-info")
        }
    assert held == package


def test_a_review_begun_from_the_wheel_is_the_one_begun_from_the_checkout(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    made = {}
    for name, package in (("wheel", tmp_path / "installed"), ("checkout", SRC)):
        environment = {**os.environ, "PYTHONPATH": str(package)}
        command = [
            sys.executable,
            "-P",
            "-c",
            "import psps_paper.cli.main as c, sys; print(c.__file__); sys.exit(c.main(sys.argv[1:]))",
            "new",
            "mine",
        ]
        (tmp_path / name).mkdir()
        done = subprocess.run(
            command, cwd=tmp_path / name, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(str(package))
        folder = tmp_path / name / "mine"
        made[name] = {
            path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }
    assert made["wheel"] == made["checkout"] and len(made["wheel"]) > 15
