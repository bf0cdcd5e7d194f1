"""A wheel of the package holds all that an installed package needs, above all the files that ``psps-paper new``
copies; and the engine needs no more than the core dependencies, the commands no more than their extra."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from engine import engine_tests
from helpers import DATA, ROOT
from psps_paper.cli.main import COMMANDS
from sizes import LONG

pytestmark = pytest.mark.slow

SRC = ROOT / "src"
TOOLS = ("pytest", "hypothesis", "mpmath", "pyyaml")  # of the engine's tests


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


# --- installed with the core dependencies alone, and with one extra -----------------------------------


def closure(requirements: Iterable[str]) -> set[str]:
    """Names of the distributions that requirements bring in, directly or not, on this machine."""
    found: set[str] = set()
    waiting = [(Requirement(text), frozenset({""})) for text in requirements]
    while waiting:
        requirement, extras = waiting.pop()
        applies = requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras)
        if applies and requirement.name not in found:
            found.add(requirement.name)
            own = frozenset(requirement.extras | {""})
            waiting += [(Requirement(text), own) for text in distribution(requirement.name).requires or ()]
    return found


def environment(folder: Path, wheel: Path, *extras: str, tools: tuple[str, ...] = ()) -> Path:
    """A virtual environment that sees only what the wheel declares, linked from this one; its folder of programs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    added = [text for name in extras for text in project["optional-dependencies"][name]]
    wanted = [*project["dependencies"], *added, *tools]
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for name in closure(wanted):
        for file in distribution(name).files or ():
            top = file.parts[0]
            if top != ".." and not (site / top).exists():
                (site / top).symlink_to(distribution(name).locate_file(top))
    pip = [sys.executable, "-m", "pip", "--python", str(folder), "install", "--quiet", "--no-deps", "--no-index"]
    # A path of this machine's own could say that the package is there already
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([*pip, wheel], env=variables, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "bin"


@pytest.fixture(scope="module")
def core(wheel, tmp_path_factory) -> Path:
    return environment(tmp_path_factory.mktemp("core") / "venv", wheel)


@pytest.fixture(scope="module")
def with_files(wheel, tmp_path_factory) -> Path:
    return environment(tmp_path_factory.mktemp("files") / "venv", wheel, "files")


def run_in(folder: Path, *command: str | Path, seconds: int = 120) -> subprocess.CompletedProcess[str]:
    """Run a program with no variable of this machine but PATH, in a folder without data."""
    return subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def test_the_core_dependencies_are_few(core):
    (site,) = core.parent.glob("lib/python*/site-packages")
    present = {path.name for path in site.iterdir() if path.suffix != ".dist-info" and path.name != "__pycache__"}
    assert {"numpy", "scipy", "pandas", "networkx", "psps_paper"} <= present
    assert not present & {"pandera", "yaml", "matplotlib", "sphinx", "IPython", "openpyxl", "joblib"}


def test_the_installed_command_says_its_version(core, tmp_path):
    done = run_in(tmp_path, core / "psps-paper", "--version")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert (done.returncode, done.stdout, done.stderr) == (0, f"psps-paper {version}\n", "")


def test_a_network_is_fitted_with_the_core_dependencies(core, tmp_path):
    """Two studies of A and B with equal weights, one of B and C: by hand, A - B is the mean and A - C the sum."""
    script = """
import pandas as pd, psps_paper
from psps_paper.network import fit_network
rows = [("s1", "A", "B", 0.2, 0.1), ("s2", "A", "B", 0.4, 0.1), ("s3", "B", "C", 0.5, 0.2)]
fit = fit_network(pd.DataFrame(rows, columns=["study", "treat1", "treat2", "te", "se"]), tau2=0.0)
print(psps_paper.__file__)
print(f"{fit.te.loc['A', 'B']:.6f} {fit.te.loc['A', 'C']:.6f} {fit.se.loc['A', 'C'] ** 2:.6f}")
"""
    done = run_in(tmp_path, core / "python", "-c", script)
    assert done.returncode == 0, done.stderr
    file, numbers = done.stdout.splitlines()
    assert Path(file).is_relative_to(core.parent) and numbers == "0.300000 0.800000 0.045000"


def test_every_example_of_the_engine_runs_with_the_core_dependencies(core, tmp_path):
    script = """
import doctest, importlib, pkgutil
tried = 0
for room in ("effects", "network", "pairwise", "bayes", "recover", "formatting"):
    package = importlib.import_module(f"psps_paper.{room}")
    names = [package.__name__, *(f"{package.__name__}.{m.name}" for m in pkgutil.iter_modules(getattr(package, "__path__", [])))]
    for name in names:
        failed, count = doctest.testmod(importlib.import_module(name))
        assert not failed, name
        tried += count
print(tried)
"""
    done = run_in(tmp_path, core / "python", "-c", script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout) > 60


# One command of each module
@pytest.mark.parametrize("name", {command.module: name for name, command in COMMANDS.items()}.values())
def test_a_command_runs_or_says_in_one_line_which_extra_it_needs(core, with_files, tmp_path, name):
    extra = COMMANDS[name].extra
    needs = f"is not installed; install it with pip install 'psps-paper[{extra}]'\n"
    for programs, suffices in ((core, False), (with_files, extra == "files")):
        done = run_in(tmp_path, programs / "psps-paper", name, "--help")
        if done.returncode == 0:
            assert f"usage: psps-paper {name}" in done.stdout
        else:
            assert not suffices, done.stderr
            assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
            assert done.stderr.startswith(f"psps-paper: {name} needs ") and done.stderr.endswith(needs)


def test_statements_are_checked_and_files_audited_with_the_extra_for_files(with_files, tmp_path):
    done = run_in(tmp_path, with_files / "psps-paper", "verify", "--data", DATA)
    assert done.returncode == 0 and " distinct results of " in done.stdout, done.stderr
    done = run_in(tmp_path, with_files / "psps-paper", "tables", "--data", DATA)
    assert done.returncode == 0 and "claims.csv: " in done.stdout, done.stderr


@pytest.mark.long
def test_the_engine_passes_its_tests_as_installed(wheel, tmp_path):
    """A few of its test files, all in make long; CI runs all on each Python from 3.11 on."""
    files = engine_tests()
    few = ("test_components.py", "test_multi_arm.py", "test_network_input.py", "test_pairwise_small_samples.py")
    chosen = [path for path in files if LONG or path.name in few]
    assert len(files) > 30 and len(chosen) >= len(few)
    programs = environment(tmp_path / "venv", wheel, tools=TOOLS)
    command = [programs / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ROOT, *chosen]
    done = run_in(tmp_path, *command, seconds=1200)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-3000:] + done.stderr


def test_ci_installs_the_wheel_and_tests_the_engine_on_each_python():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"]["engine"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]
    commands = "\n".join(step.get("run", "") for step in job["steps"])
    assert f"pip install dist/*.whl {' '.join(TOOLS)}\n" in commands + "\n"
    assert "psps-paper --version" in commands and "$(python tests/engine.py)" in commands
