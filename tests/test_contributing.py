"""The recipes of CONTRIBUTING.md, each as a script from a copy of the checkout to a green ``make check``.

In ``make test`` that check runs only the test files that concern the recipe and executes only a new chapter; in
``make long`` everything is done as written.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

import pytest

from helpers import ROOT
from sizes import LONG

pytestmark = [pytest.mark.slow, pytest.mark.long]

GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SCRIPTS = ROOT / "tests" / "recipes"
# What each recipe concerns, by its name in CONTRIBUTING.md; a trial comes last, since data change what is checked
CONCERNED = {
    "chapter": ["test_notebooks.py", "test_sentences.py"],
    "claim": ["test_claims.py", "test_article_numbers.py"],
    "statistic": ["test_h_statistic.py", "test_engine_names.py", "test_new_functions.py"],
    "trial": ["test_schemas.py", "test_sentences.py"],
}
CHECK = "make check\n"
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "_build", "*.egg-info", ".pytest_cache", "trials")


def recipes() -> dict[str, list[str]]:
    """Lines of each recipe, by the first word of what it adds."""
    parts = re.findall(r"^### Add an? (.+)\n\n((?:.+\n)+)", GUIDE, re.MULTILINE)
    return {heading.split()[0]: text.splitlines() for heading, text in parts}


def test_there_are_four_recipes_of_under_ten_lines():
    assert set(recipes()) == set(CONCERNED) == {path.stem for path in SCRIPTS.glob("*.sh")}
    assert all(len(lines) < 10 for lines in recipes().values())


@pytest.mark.parametrize("name", CONCERNED)
def test_a_script_runs_the_commands_of_its_recipe(name):
    script = (SCRIPTS / f"{name}.sh").read_text(encoding="utf-8")
    commands = re.findall(r"`((?:make|psps-paper|python) [^`]+)`", "\n".join(recipes()[name]))
    assert "make check" in commands
    for command in commands:
        words = [word for word in command.split() if not word.isupper()]  # NAME stands for any
        assert all(word in script for word in words), command


def environment(folder: Path) -> dict[str, str]:
    """A virtual environment of the copy, which finds the copy's package first, then what is installed here."""
    place = folder / ".venv"
    venv.create(place, with_pip=False, symlinks=True)
    (site,) = place.glob("lib/python*/site-packages")
    installed = next(path for path in map(Path, sys.path) if path.name == "site-packages")
    (site / "copy.pth").write_text(f"{folder / 'src'}\n{installed}\n")
    for name in ("ruff", "codespell", "lint-imports", "mypy", "psps-paper", "pytest"):
        program = Path(sys.executable).parent / name
        content = program.read_bytes()
        if content.startswith(b"#!"):
            content = f"#!{place / 'bin' / 'python'}\n".encode() + content.partition(b"\n")[2]
        (place / "bin" / name).write_bytes(content)
        (place / "bin" / name).chmod(0o755)
    (place / "state").mkdir()
    (place / ".installed").touch()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PSPS", "PYTHONPATH"))}
    return kept | {"PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize("names", [[name] for name in CONCERNED] if LONG else [list(CONCERNED)], ids="-".join)
def test_recipes_lead_to_a_green_check(tmp_path, capsys, names):
    start = time.monotonic()
    folder = Path(shutil.copytree(ROOT, tmp_path / "copy", ignore=LEFT_OUT))
    variables = environment(folder)
    scripts = [(SCRIPTS / f"{name}.sh").read_text(encoding="utf-8") for name in names]
    assert all(script.count(CHECK) == 1 and script.endswith(CHECK) for script in scripts)
    script = "".join(script.removesuffix(CHECK) for script in scripts) + CHECK
    if not LONG:
        files = dict.fromkeys(f"tests/{file}" for name in names for file in CONCERNED[name])
        variables["FAST"] = " ".join(files)
        script = script.replace("make notebooks\n", "").replace("make test FILE=", "true ")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert " passed" in done.stdout
    with capsys.disabled():
        print(f"\n{', '.join(names)}: from a copy to a green check in {time.monotonic() - start:.0f} s")
