"""The environment is the locked one, and every file that names a version, a command or a path agrees with it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from conftest import ROOT

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
        if declared.name == PROJECT["name"]:
            continue  # one extra includes another
        pin = locked[canonicalize_name(declared.name)]
        assert pin.startswith("==") and declared.specifier.contains(pin.removeprefix("=="))


def test_jupyter_book_is_not_version_2():
    # Version 2 ignores _config.yml, writes no HTML and exits 0.
    assert metadata.version("jupyter-book").startswith("1.")


def test_conda_and_binder_install_the_lock_and_what_opens_the_chapters():
    environment = yaml.safe_load(read("environment.yml"))
    *conda, pip = environment["dependencies"]
    assert conda == ["python=3.11", "pip"] and pip["pip"][:2] == ["-r requirements.lock", "-e ."]
    (lab,) = map(Requirement, pip["pip"][2:])
    assert lab.name == "jupyterlab" and str(lab.specifier).startswith("==4.")
    assert lab.name not in {lock.name for lock in LOCK}, "else one pin is enough"


def test_one_version_everywhere():
    citation = yaml.safe_load(read("CITATION.cff"))
    newest = re.search(r"^## \[(\S+)\]", read("CHANGELOG.md"), re.MULTILINE)[1]
    assert citation["version"] == newest == PROJECT["version"] == metadata.version("psps-paper")


def test_the_changelog_keeps_its_form():
    """Keep a Changelog 1.1.0: versions in brackets with a date, and changes by their kinds, each once a version."""
    kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    _, *versions = re.split(r"^## ", read("CHANGELOG.md"), flags=re.MULTILINE)
    for version in versions:
        assert re.match(r"\[\d+\.\d+\.\d+\] - (\d{4}-\d\d-\d\d|not yet released)\n", version)
        listed = re.findall(r"^### (.*)", version, re.MULTILINE)
        assert listed == [kind for kind in kinds if kind in listed]


def test_citation_names_the_article():
    (article,) = yaml.safe_load(read("CITATION.cff"))["references"]
    assert article["doi"] == "10.1038/s43856-025-00778-x"
    assert len(article["authors"]) == 9  # the author list at the end of the article


@pytest.mark.parametrize("command", re.findall(r"^    make (\S+)", read("README.md"), re.MULTILINE))
def test_readme_commands_exist(command):
    assert re.search(rf"^{command}:", read("Makefile"), re.MULTILINE)


STAND_IN = """#!/bin/sh
printf '%s\\0' "$(basename "$0") $*" >>"{log}"
[ "$(basename "$0")" != make ] || {{ env -0; cat "$FONTCONFIG_FILE"; ls -A "$HOME"; }} >"{made}"
"""


def test_ci_runs_the_command_of_the_readme_on_a_bare_machine(tmp_path):
    """``.ci/run`` with stand-ins for the commands that install, test and need a browser."""
    log, made, own = tmp_path / "log", tmp_path / "made", tmp_path / "home"
    (own / ".config" / "pip").mkdir(parents=True)
    (own / ".config" / "pip" / "pip.conf").touch()
    (tmp_path / "bin").mkdir()
    for command in ("make", "chromium", "apt-get"):
        script = tmp_path / "bin" / command
        script.write_text(STAND_IN.format(log=log, made=made))
        script.chmod(0o755)
    kept = {
        "PIP_INDEX_URL": "https://mirror.invalid/simple",
        "UV_INDEX_URL": "https://mirror.invalid/simple",
        "https_proxy": "http://proxy.invalid:1",
        "NO_PROXY": "127.0.0.1",
        "SSL_CERT_FILE": "ca.pem",
    }
    dropped = {
        "MPLBACKEND": "Qt",
        "PSPS_DATA": "elsewhere",
        "PYTHONPATH": "x",
        "XDG_CACHE_HOME": "y",
        "LC_ALL": "de_DE.UTF-8",
        "TWO_LINES": "a\nb",
    }
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        [ROOT / ".ci" / "run"], env={"PATH": path, "HOME": str(own), **kept, **dropped}, check=True, timeout=60
    )
    assert log.read_text().split("\0")[-2] == "make test"
    *variables, rest = made.read_text().split("\0")
    found = dict(line.split("=", 1) for line in variables)
    home = Path(found.pop("HOME"))
    assert home != own and not home.exists(), "a new one, removed afterwards"
    assert found.pop("FONTCONFIG_FILE").startswith(str(home.parent))
    assert re.findall("<dir>(.*?)</dir>", rest) == ["/usr/share/fonts/truetype/dejavu"]
    assert rest.endswith("</fontconfig>\n"), "nothing in HOME"
    assert found.pop("PIP_CACHE_DIR") == "y/pip" and found.pop("PIP_CONFIG_FILE") == str(
        own / ".config" / "pip" / "pip.conf"
    )
    expected = {"PATH": path, "LANG": "C", "CI": "true", "PSPS_REQUIRE_BROWSER": "1", **kept}
    assert {name: value for name, value in found.items() if name not in ("PWD", "OLDPWD", "SHLVL", "_")} == expected


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


def test_a_commit_is_checked_by_the_tools_of_make_lint():
    (repository,) = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    hooks = {hook["entry"].split()[0].rpartition("/")[2] for hook in repository["hooks"]}
    tools = set(re.findall(r"^\.venv/bin/([\w-]+)", recipe("lint"), re.MULTILINE))
    assert repository["repo"] == "local" and hooks == tools


def recipe(*arguments: str) -> str:
    """What make would run."""
    command = ["make", "--dry-run", "--always-make", "--assume-old=.venv/.installed", *arguments]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def test_one_file_is_tested_without_a_book_and_all_with_one():
    one, every = recipe("test", "FILE=tests/test_tables.py"), recipe("test")
    assert "pytest tests/test_tables.py --nbval" in one and "--complete" not in one and "jupyter-book" not in one
    assert "pytest tests --complete" in every and "ruff check" in every and "jupyter-book build" in every
    assert every.index("pytest book --nbval") < every.index("jupyter-book build") < every.index("--complete")


def test_the_fast_tests_leave_out_what_is_marked_slow():
    check = recipe("check")
    assert "tests/test_formatting.py" in check and "tests/test_tables.py" in check
    assert "tests/test_mutations.py" not in check and "tests/test_integrity.py" not in check
    assert "jupyter-book" not in check and all(tool in check for tool in ("ruff", "codespell", "lint-imports", "mypy"))
