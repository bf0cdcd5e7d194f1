"""The page "For reviewers": its commands run in its order and end as it says; no link to an address that is not set."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup, SoupStrainer

from conftest import BOOK, ROOT, chapters
from helpers import copy_data

pytestmark = pytest.mark.slow

PAGE = (BOOK / "reviewers.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (\S.*)$", PAGE, re.MULTILINE)
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
EXECUTABLE = [stem for stem in chapters() if (BOOK / f"{stem}.ipynb").exists()]


@pytest.fixture
def run(tmp_path):
    """Run a command of the page in a checkout of its own, by the programs of this environment."""
    copy_data(tmp_path)
    (tmp_path / "book").mkdir()
    shutil.copy(BOOK / "risk_of_bias.ipynb", tmp_path / "book")
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    # The package of the checkout, which finds the data beside it, not the one that is installed
    environment = {name: value for name, value in os.environ.items() if name != "PSPS_DATA"} | {
        "PYTHONPATH": str(tmp_path / "src")
    }
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"

    def run(command: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


def test_the_commands_of_the_page_end_as_it_says(run):
    rerun, verify, change, verify_again, compare, undo, verify_at_last = COMMANDS
    assert verify == verify_again == verify_at_last == "psps-paper verify"

    assert run(rerun).stdout == "book/risk_of_bias.ipynb: unchanged\n"
    before = run(verify)
    assert before.returncode == 0, before.stdout + before.stderr
    assert run(change).returncode == 0
    after = run(verify_again)
    assert after.returncode == 1
    assert "rob.high.count" in after.stderr and "selection.identified" not in after.stderr
    chapter = run(compare)
    assert chapter.returncode == 1 and "Cell outputs differ" in chapter.stdout, chapter.stdout + chapter.stderr
    assert run(undo).returncode == 0
    assert run(verify_at_last).stdout == before.stdout


@pytest.mark.built
@pytest.mark.parametrize("stem", chapters())
def test_links_to_repository_and_binder_are_shown_only_where_their_address_is_set(built, stem):
    text = (built / "book" / f"{stem}.html").read_text(encoding="utf-8")
    page = BeautifulSoup(text, "html.parser", parse_only=SoupStrainer("a"))
    repository = CONFIG["repository"]["url"]
    links = [
        link["href"]
        for link in page.select("a[href]")
        if link["href"].startswith(repository) or urlsplit(link["href"]).netloc == "mybinder.org"
    ]
    if not CONFIG["html"]["use_repository_button"]:
        assert links == []
        assert "launch_buttons" not in CONFIG
        return
    binder = [urlsplit(link) for link in links if "/v2/" in link]
    if stem in EXECUTABLE:
        (address,) = binder
        assert address.path == f"/v2/gh{urlsplit(repository).path}/{CONFIG['repository']['branch']}"
        assert parse_qs(address.query)["urlpath"] == [f"lab/tree/book/{stem}.ipynb"]


def test_binder_finds_environment_yml_and_nothing_before_it():
    # repo2docker looks into binder/ and .binder/ first and then nowhere else; a Dockerfile goes before all
    for other in (
        "binder",
        ".binder",
        "Dockerfile",
        "runtime.txt",
        "apt.txt",
        "postBuild",
        "start",
        "Pipfile",
        "requirements.txt",
        "setup.py",
    ):
        assert not (ROOT / other).exists(), other
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["channels"] == ["conda-forge"]
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    for path in [line.split()[1] for line in pip if line.startswith("-")]:
        assert (ROOT / path).exists(), path
    # The kernel that the chapters name is the environment's own.
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert re.search(r"^ipykernel==", lock, re.MULTILINE)
