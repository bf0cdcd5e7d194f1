"""The environment is the locked one, and every file that names a version, a command or a path agrees with it."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from importlib import metadata

import pytest
import yaml
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK = [
    Requirement(line)
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    if line and not line.lstrip().startswith("#")
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_python_is_the_one_that_was_locked():
    assert sys.version_info[:2] == (3, 11)


def test_installed_versions_are_the_locked_ones():
    wanted = {lock.name: lock.specifier for lock in LOCK if lock.marker is None or lock.marker.evaluate()}
    wrong = {name: metadata.version(name) for name, pin in wanted.items() if metadata.version(name) not in pin}
    assert wrong == {}


def test_lock_pins_every_declared_dependency():
    locked = {canonicalize_name(lock.name): str(lock.specifier) for lock in LOCK}
    extras = PROJECT["optional-dependencies"].values()
    for declared in map(Requirement, [*PROJECT["dependencies"], *(name for extra in extras for name in extra)]):
        pin = locked[canonicalize_name(declared.name)]
        assert pin.startswith("==") and declared.specifier.contains(pin.removeprefix("=="))


def test_jupyter_book_is_not_version_2():
    # Version 2 ignores _config.yml, writes no HTML and exits 0.
    assert metadata.version("jupyter-book").startswith("1.")


def test_binder_installs_the_lock():
    environment = yaml.safe_load(read("environment.yml"))
    assert environment["dependencies"] == ["python=3.11", "pip", {"pip": ["-r requirements.lock", "-e ."]}]


def test_one_version_everywhere():
    citation = yaml.safe_load(read("CITATION.cff"))
    newest = re.search(r"^## (\S+)", read("CHANGELOG.md"), re.MULTILINE)[1]
    assert citation["version"] == newest == PROJECT["version"] == metadata.version("psps-paper")


def test_citation_names_the_article():
    (article,) = yaml.safe_load(read("CITATION.cff"))["references"]
    assert article["doi"] == "10.1038/s43856-025-00778-x"
    assert len(article["authors"]) == 9  # the author list at the end of the article


@pytest.mark.parametrize("command", re.findall(r"^    make (\S+)", read("README.md"), re.MULTILINE))
def test_readme_commands_exist(command):
    assert re.search(rf"^{command}:", read("Makefile"), re.MULTILINE)


def test_ci_runs_the_command_of_the_readme():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = [line for line in read(".ci/run").splitlines() if line and not line.startswith("#")]
    assert lines[0] == "set -euo pipefail" and lines[-1] == "make test"
    assert "export PSPS_REQUIRE_BROWSER=1" in lines


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_build_by_the_same_commands(workflow):
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values()
    assert any(step.get("run", "").strip() in (".ci/run", "make book") for job in jobs for step in job["steps"])


def test_no_file_that_readers_get_names_a_machine():
    machine = re.compile(r"(?<![\w.:])/(?:home|Users|root|tmp|private|mnt)/|\b[A-Z]:\\\\")
    files = [*ROOT.glob("*.*"), *ROOT.glob("book/*.*"), *ROOT.glob("data/**/*.*"), ROOT / "requirements.lock"]
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in files
        if path.is_file() and (match := machine.search(path.read_text(encoding="utf-8", errors="replace")))
    ]
    assert found == []
