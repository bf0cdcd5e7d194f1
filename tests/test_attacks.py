"""Small hostile inputs: each is refused in one line that names the place, or read right, within limits of time and memory.

``attacks/attacks.json`` lists them: ``refused`` holds patterns that must all be found in one line of the message, ``right`` the
numbers where a file may be accepted, ``control`` a harmless twin that must go on working. Conditions in tables are tried in
test_conditions.py.
"""

from __future__ import annotations

import csv
import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT
from limited import RAW, Done, run_limited

from psps_paper.living.new_review import new_review
from psps_paper.tables import cache

ATTACKS = ROOT / "tests" / "attacks"
LISTED = json.loads((ATTACKS / "attacks.json").read_text(encoding="utf-8"))


def of(run: str):
    listed = [attack for attack in LISTED if attack["run"] == run]
    return pytest.mark.parametrize("attack", listed, ids=[attack["name"] for attack in listed])


@pytest.fixture(scope="module")
def review(tmp_path_factory) -> Path:
    """The sample review; its data folder takes the imports."""
    place = tmp_path_factory.mktemp("attacks") / "made"
    new_review(place)
    return place


@pytest.fixture(scope="module")
def made_files(tmp_path_factory) -> Path:
    """The workbooks and large tables, which are not stored."""
    place = tmp_path_factory.mktemp("workbooks")
    subprocess.run([sys.executable, ATTACKS / "make_workbooks.py"], cwd=place, check=True)
    return place


@pytest.fixture
def folder(tmp_path, review) -> Path:
    """A working folder with a copy of the review."""
    shutil.copytree(review, tmp_path / "work" / "review")
    return tmp_path / "work"


def check_refusal(done: Done, attack: dict) -> None:
    lines = done.err.splitlines()
    assert done.status == 2 and len(lines) == 1 and len(lines[0]) < 1000, done
    for pattern in attack["refused"]:
        assert re.search(pattern, lines[0]), lines[0]


def check_numbers(done: Done, right: dict, folder: Path) -> None:
    assert done.status == 0, done
    with (folder / "review" / "data" / "trials" / "contrasts.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["outcome"] == "sleep"]
    assert len(rows) == right["contrasts"]
    assert len({row["study"] for row in rows}) == right.get("studies", len({row["study"] for row in rows}))
    found = {(row["study"], row["treat1"], row["treat2"]): (float(row["te"]), float(row["se"])) for row in rows}
    for *names, te, se in right.get("rows", []):
        assert found[tuple(names)] == pytest.approx((te, se), abs=1e-9)
    for pattern in right.get("says", []):
        assert re.search(pattern, done.out), done.out
    for pattern in right.get("says_not", []):
        assert not re.search(pattern, done.out), done.out


def imported(attack: dict, folder: Path, made_files: Path, name: str, options: list[str]) -> Done:
    source = ATTACKS / name if (ATTACKS / name).exists() else made_files / name
    target = attack.get("as") or source.name
    shutil.copy(source, folder / target)
    kind = attack.get("kind_of", "contrasts")
    return run_limited(folder, ["import", target, "--kind", kind, "--outcome", "sleep", *options, "--data", "review/data", "--write"])


@of("import")
def test_a_hostile_table_is_refused_or_read_right(folder, made_files, attack):
    done = imported(attack, folder, made_files, attack["file"], attack.get("options", []))
    assert not RAW.search(done.out + done.err), "a control character would reach the terminal"
    if done.status == 0:
        check_numbers(done, attack["right"], folder)
    else:
        check_refusal(done, attack)


CONTROLS = {json.dumps(attack["control"]): attack for attack in LISTED if attack["run"] == "import" and "control" in attack}


@pytest.mark.parametrize("attack", CONTROLS.values(), ids=[attack["control"]["file"] + " for " + attack["name"] for attack in CONTROLS.values()])
def test_its_harmless_twin_is_read(folder, made_files, attack):
    control = attack["control"]
    plain = {key: value for key, value in attack.items() if key != "as"}
    done = imported(plain, folder, made_files, control["file"], control.get("options", attack.get("options", [])))
    check_numbers(done, control["right"], folder)


@of("new")
def test_a_hostile_review_yml_is_refused_with_its_line(folder, attack):
    line = (ATTACKS / attack["file"]).read_text(encoding="utf-8")
    name = line.partition(":")[0]
    settings = folder / "review" / "review.yml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(re.sub(rf"^{name}:.*\n", lambda _: line, text, count=1, flags=re.MULTILINE), encoding="utf-8")
    assert settings.read_text(encoding="utf-8") != text
    check_refusal(run_limited(folder, ["new", "review"]), attack)


@of("python")
@pytest.mark.filterwarnings("error")
def test_an_extreme_number_is_refused_or_computed_right(tmp_path, attack):
    script = tmp_path / "script.py"
    text = (ATTACKS / attack["file"]).read_text(encoding="utf-8")
    script.write_text(text, encoding="utf-8")
    try:
        result = runpy.run_path(str(script))["result"]
    except ValueError as error:
        for pattern in attack["refused"]:
            assert re.search(pattern, str(error))
    else:
        assert [float(value) for value in result] == pytest.approx(attack["right"], rel=attack.get("rel", 1e-9))
    script.write_text(text.replace(attack["control"]["old"], attack["control"]["new"]), encoding="utf-8")
    assert all(abs(float(value)) < float("inf") for value in runpy.run_path(str(script))["result"])


@of("cache")
def test_a_damaged_cache_is_computed_again(tmp_path, monkeypatch, attack):
    monkeypatch.setenv("PSPS_BUILD_CACHE", str(tmp_path / "cache"))
    counted = []

    def compute() -> list[int]:
        counted.append(1)
        return [1, 2, 3]

    assert cache.once("numbers", "some", compute) == cache.once("numbers", "some", compute) == [1, 2, 3]
    assert len(counted) == 1
    (file,) = (tmp_path / "cache").iterdir()
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2] if attack["damage"] == "half" else b"")
    assert cache.once("numbers", "some", compute) == [1, 2, 3] and len(counted) == 2
    assert file.read_bytes() == content


@of("beside")
def test_a_folder_of_another_is_kept(folder, attack):
    shutil.copy(ATTACKS / "plain.csv", folder / "rows.csv")
    for name in attack["foreign"]:
        (folder / name).mkdir()
        (folder / name / "mine.txt").write_text("mine")
    for _ in range(2):
        done = run_limited(folder, attack["command"], seconds=20)
        assert done.status == 0 and (folder / attack["makes"]).is_file(), done
    assert all((folder / name / "mine.txt").read_text() == "mine" for name in attack["foreign"])


@of("disk")
def test_a_chapter_outlives_a_full_disk(tmp_path, attack):
    cell = {"cell_type": "code", "execution_count": None, "id": "a", "metadata": {}, "outputs": [], "source": 'print("x" * 300_000)'}
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    path = tmp_path / attack["watch"]
    path.parent.mkdir()
    path.write_text(json.dumps({"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
    before = path.read_bytes()
    command = f"ulimit -f {attack['bytes'] // 1024}; exec {sys.executable} -m {' '.join(attack['module'])}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert path.read_bytes() == before and [entry.name for entry in path.parent.iterdir()] == ["a.ipynb"]
    assert done.returncode == 1 and "Traceback" not in done.stderr and attack["watch"] in done.stderr.splitlines()[-1]


def test_every_attack_is_tried():
    tried = {"import", "new", "python", "cache", "beside", "disk", "pages", "data"}
    assert {attack["run"] for attack in LISTED} == tried
