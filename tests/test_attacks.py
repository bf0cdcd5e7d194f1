"""Small hostile inputs: each is refused in one line that names the place, or read correctly, within time and memory
limits.

``attacks/attacks.json`` lists them: ``refused`` holds patterns that one line of the message must match, ``right`` the
numbers expected if a file may be accepted, and ``control`` a harmless twin that must keep working. Conditions in tables
are tested in test_conditions.py.
"""

from __future__ import annotations

import csv
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import ROOT
from limited import RAW, Done, run_limited
from psps_paper.cli.main import main
from psps_paper.living import exports
from psps_paper.living.new_review import new_review
from psps_paper.tables import cache

pytestmark = pytest.mark.slow

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
    return run_limited(
        folder, ["import", target, "--kind", kind, "--outcome", "sleep", *options, "--data", "review/data", "--write"]
    )


@of("import")
def test_a_hostile_table_is_refused_or_read_right(folder, made_files, attack):
    done = imported(attack, folder, made_files, attack["file"], attack.get("options", []))
    assert not RAW.search(done.out + done.err), "a control character would reach the terminal"
    if done.status == 0:
        check_numbers(done, attack["right"], folder)
    else:
        check_refusal(done, attack)


CONTROLS = {
    json.dumps(attack["control"]): attack for attack in LISTED if attack["run"] == "import" and "control" in attack
}


@pytest.mark.parametrize(
    "attack",
    CONTROLS.values(),
    ids=[attack["control"]["file"] + " for " + attack["name"] for attack in CONTROLS.values()],
)
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
def test_a_damaged_cache_is_recomputed(tmp_path, monkeypatch, attack):
    monkeypatch.setenv("PSPS_BUILD_CACHE", str(tmp_path / "cache"))
    counted = []

    def compute() -> list[int]:
        counted.append(1)
        return [1, 2, 3]

    assert cache.cached("numbers", "some", compute) == cache.cached("numbers", "some", compute) == [1, 2, 3]
    assert len(counted) == 1
    (file,) = (tmp_path / "cache").iterdir()
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2] if attack["damage"] == "half" else b"")
    assert cache.cached("numbers", "some", compute) == [1, 2, 3] and len(counted) == 2
    assert file.read_bytes() == content


def _flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


DAMAGE = {
    "other bytes": lambda file: file.write_bytes(bytes(range(256)) * 3),
    "a bit": _flipped,
    "zeros": lambda file: file.write_bytes(bytes(len(file.read_bytes()))),
    "more bytes": lambda file: file.write_bytes(file.read_bytes() + b"x"),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
    "a link to nothing": lambda file: (file.unlink(), file.symlink_to("nowhere")),
    "a link to itself": lambda file: (file.unlink(), file.symlink_to(file.name)),
    "no cache": lambda file: shutil.rmtree(file.parent),
    "a file in its place": lambda file: (shutil.rmtree(file.parent), file.parent.write_bytes(b"")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_cache_damaged_in_any_way_is_recomputed(tmp_path, monkeypatch, damage):
    monkeypatch.setenv("PSPS_BUILD_CACHE", str(tmp_path / "cache"))
    assert cache.cached("numbers", "some", lambda: [1, 2, 3]) == [1, 2, 3]
    (file,) = (tmp_path / "cache").iterdir()
    DAMAGE[damage](file)
    assert cache.cached("numbers", "some", lambda: [1, 2, 4]) == [1, 2, 4]


RESULTS = {
    "no object": (lambda results: [], "the file is not an object"),
    "no data": (lambda results: {**results, "data": None}, "data is not an object"),
    "a number for a checksum": (lambda results: {**results, "data": {"a.csv": 5}}, "data, a.csv is not text"),
    "no claims": (lambda results: {**results, "claims": 5}, "claims is not a list"),
    "a claim without a verdict": (
        lambda results: {**results, "claims": [{"id": "a"}]},
        "no verdict in claims, entry 1",
    ),
    "no outcome": (lambda results: {**results, "outcomes": [{}]}, "no outcome in outcomes, entry 1"),
    "a list for tau2": (
        lambda results: changed(results, "network", {"tau2": []}),
        "outcomes, entry 1, network, tau2 is not a number or null",
    ),
    "no treatments": (lambda results: changed(results, "network", {"treatments": None}), "treatments is not a list"),
    "no rank": (lambda results: changed(results, "ranks", []), "ranks is an empty list"),
    "te of no size": (
        lambda results: changed(results, "contrasts", [{**results["outcomes"][0]["contrasts"][0], "te": 10**400}]),
        "contrasts, entry 1, te is not a number",
    ),
}


def changed(results: dict, name: str, value: object) -> dict:
    first, *others = results["outcomes"]
    value = {**first[name], **value} if isinstance(value, dict) else value
    return {**results, "outcomes": [{**first, name: value}, *others]}


@pytest.fixture(scope="module")
def results(review, tmp_path_factory) -> dict:
    target = tmp_path_factory.mktemp("results") / "out"
    exports.export(review / "data", target)
    return json.loads((target / "results.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", RESULTS)
def test_damaged_results_are_refused_by_their_place(folder, results, name):
    change, message = RESULTS[name]
    (folder / "old.json").write_text(json.dumps(results), encoding="utf-8")
    (folder / "new.json").write_text(json.dumps(change(results)), encoding="utf-8")
    assert run_limited(folder, ["diff", "old.json", "old.json"]).status == 0
    check_refusal(run_limited(folder, ["diff", "old.json", "new.json"]), {"refused": [r"new\.json: .*" + message]})


def test_results_that_are_nested_without_end_are_refused(folder):
    (folder / "new.json").write_text("[" * 100_000, encoding="utf-8")
    check_refusal(run_limited(folder, ["diff", "new.json", "new.json"]), {"refused": [r"new\.json: nested too deep"]})


@of("beside")
def test_a_folder_of_someone_else_is_kept(folder, attack):
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
    cell = {
        "cell_type": "code",
        "execution_count": None,
        "id": "a",
        "metadata": {},
        "outputs": [],
        "source": 'print("x" * 300_000)',
    }
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    path = tmp_path / attack["watch"]
    path.parent.mkdir()
    path.write_text(json.dumps({"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
    before = path.read_bytes()
    command = f"ulimit -f {attack['bytes'] // 1024}; exec {shlex.quote(sys.executable)} -m {' '.join(attack['module'])}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert path.read_bytes() == before and [entry.name for entry in path.parent.iterdir()] == ["a.ipynb"]
    assert done.returncode == 1 and "Traceback" not in done.stderr and attack["watch"] in done.stderr.splitlines()[-1]


def test_every_attack_is_tried():
    tried = {"import", "new", "python", "cache", "beside", "disk", "pages", "data"}
    assert {attack["run"] for attack in LISTED} == tried


# --- more of the same kinds, made here ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def make() -> dict:
    """The functions of make_workbooks.py, without the files that it writes."""
    text = (ATTACKS / "make_workbooks.py").read_text(encoding="utf-8").partition('book("plain.xlsx"')[0]
    names: dict = {}
    exec(compile(text, "make_workbooks.py", "exec"), names)
    names["RAW_ROWS"] = [names["row"](1, names["HEAD"])]
    return names


def plain_sheet(make: dict) -> str:
    return make["sheet"](make["ROWS"])


def texts(make: dict, body: str) -> str:
    return f'<?xml version="1.0"?><sst xmlns="{make["NS"]}">{body}</sst>'


WORKBOOKS = {
    # each makes book(path, first, ...) arguments; the pattern of the message, or None where the two rows are read
    "borders": (
        lambda m: {"styles": m["styles"](borders="<border/>" * 600_000)},
        "more than 500,000 tags in xl/styles.xml, the limit",
    ),
    "content types": (
        lambda m: {"extra_types": '<Override PartName="/a" ContentType="b"/>' * 600_000},
        r"more than 500,000 tags in \[Content_Types\]",
    ),
    "one sheet nine hundred times": (
        lambda m: {"sheets": 900, "same": True},
        "several sheets have content: .* and 890 more",
    ),
    "a long text": (
        lambda m: {"first": plain_sheet(m).replace("Birch 2006", "x" * 50_000_000)},
        "cell A3 of the sheet holds more than 2,000 characters",
    ),
    "merged areas that overlap": (
        lambda m: {
            "first": (
                plain_sheet(m).replace(
                    "</worksheet>", "<mergeCells>" + '<mergeCell ref="A3:A9000"/>' * 9_000 + "</mergeCells></worksheet>"
                )
            )
        },
        "merged area A3:A9000 overlaps",
    ),
    "attributes": (
        lambda m: {
            "first": (
                plain_sheet(m).replace(
                    "<sheetData>", "<sheetData " + " ".join(f'a{k}="1"' for k in range(50_000)) + ">"
                )
            )
        },
        "a tag of more than 100,000 characters",
    ),
    "another encoding": (
        lambda m: {"first": plain_sheet(m).replace('version="1.0"', 'version="1.0" encoding="cp1026"')},
        "is in the encoding cp1026",
    ),
    "a cell given twice": (
        lambda m: {
            "first": m["raw"](
                *m["RAW_ROWS"], m["row"](2, m["ROWS"][0]).replace("</row>", m["cell"]("C2", "nasal rinse") + "</row>")
            )
        },
        "cell C2 is given twice or out of order",
    ),
    "a long text given 19,000 times": (
        lambda m: {
            "strings": f'<?xml version="1.0"?><sst xmlns="{m["NS"]}"><si><t>{"y" * 2_000_000}</t></si></sst>',
            "first": m["raw"](
                *m["RAW_ROWS"],
                *(m["row"](k, [m["text"](0), "tablet", "usual care", 0.5, 0.2]) for k in range(2, 19_000)),
            ),
        },
        "takes more than 400,000,000 bytes or 5 seconds to read, the limits",
    ),
    "phonetic texts": (
        lambda m: {"strings": texts(m, "<si><t>a</t>" + "<rPh sb='0' eb='1'><t>x</t></rPh>" * 600_000 + "</si>")},
        "more than 2,000,000 tags in xl/sharedStrings.xml, the limit",
    ),
    "a list of texts that says it is long": (
        lambda m: {
            "strings": texts(m, "<si><t>a</t></si>").replace(
                "<sst ", '<sst count="4294967295" uniqueCount="4294967295" '
            )
        },
        "takes more than 400,000,000 bytes or 5 seconds to read, the limits",
    ),
    "a comment in the list of texts": (
        lambda m: {"strings": texts(m, "<si><t>Alder<!-- --> 2005</t></si>")},
        "sharedStrings.xml holds an XML comment",
    ),
    "a comment in a number": (
        lambda m: {"first": plain_sheet(m).replace("0.5", "0.<!-- x -->5")},
        "cell D2 of the sheet holds an XML comment inside its value",
    ),
    "an instruction in a number": (
        lambda m: {"first": plain_sheet(m).replace("0.5", "0.<?x y?>5")},
        "cell D2 of the sheet holds an XML comment inside its value",
    ),
    "two values in a cell": (
        lambda m: {"first": plain_sheet(m).replace("<v>0.5</v>", "<v>0.5</v><v>0.7</v>")},
        "cell D2 of the sheet holds two values",
    ),
    "a text and a value in a cell": (
        lambda m: {"first": plain_sheet(m).replace("<v>0.5</v>", "<is><t>0.5</t></is><v>0.7</v>")},
        "cell D2 of the sheet holds two values",
    ),
    "cells in two parts": (
        lambda m: {"first": plain_sheet(m).replace("</worksheet>", "<sheetData/></worksheet>")},
        "holds its cells in two parts",
    ),
    "a study under a merged area": (
        lambda m: {
            "first": plain_sheet(m).replace(
                "</worksheet>", '<mergeCells><mergeCell ref="A2:A3"/></mergeCells></worksheet>'
            )
        },
        "cell A3 of the sheet lies under the merged area A2:A3 and holds a value other than the one shown",
    ),
    "numbers under a merged area": (
        lambda m: {
            "first": plain_sheet(m).replace(
                "</worksheet>", '<mergeCells><mergeCell ref="A2:XFD1048576"/></mergeCells></worksheet>'
            )
        },
        "cell B2 of the sheet lies under the merged area A2:XFD1048576 and holds a value other than the one shown",
    ),
    "merged areas": (
        lambda m: {
            "first": plain_sheet(m).replace(
                "</worksheet>",
                "<mergeCells>"
                + "".join(f'<mergeCell ref="A{k}:B{k}"/>' for k in range(10, 200_010))
                + "</mergeCells></worksheet>",
            )
        },
        "200,000 merged areas, the limit is 10,000",
    ),
    "names": (
        lambda m: {"names": "<definedNames>" + '<definedName name="a">A1</definedName>' * 300_000 + "</definedNames>"},
        "more than 500,000 tags in xl/workbook.xml, the limit",
    ),
    "drawings": (
        lambda m: {"more": [("xl/drawings/drawing1.xml", "<a>" + "<b/>" * 600_000 + "</a>")]},
        "more than 500,000 tags in xl/drawings/drawing1.xml, the limit",
    ),
    "comments": (
        lambda m: {"more": [("xl/comments1.xml", "<a>" + "<b/>" * 600_000 + "</a>")]},
        "more than 500,000 tags in xl/comments1.xml, the limit",
    ),
    "parts of other workbooks": (
        lambda m: {"more": [(f"xl/externalLinks/externalLink{k}.xml", "<x/>") for k in range(1_000)]},
        "1005 parts in the workbook, the limit is 1000",
    ),
    "a sheet at another address": (
        lambda m: {
            "more": [
                (
                    "xl/_rels/workbook.xml.rels",
                    f'<Relationships xmlns="{m["PKG"]}/relationships"><Relationship Id="rId1"'
                    f' Type="{m["REL"]}/worksheet" Target="http://127.0.0.1:9/x.xml" TargetMode="External"/>'
                    "</Relationships>",
                )
            ]
        },
        "not a readable XLSX workbook",
    ),
    "entities": (
        lambda m: {
            "first": plain_sheet(m).replace("?>", '?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>', 1)
        },
        "declares XML entities",
    ),
    "a dimension of the whole sheet": (
        lambda m: {"first": plain_sheet(m).replace("<sheetData>", '<dimension ref="A1:XFD1048576"/><sheetData>')},
        None,
    ),
    "a row of no height": (
        lambda m: {"first": plain_sheet(m).replace('<row r="2"', '<row r="2" ht="0" customHeight="1"')},
        None,
    ),
    "rows of no height": (
        lambda m: {"first": plain_sheet(m).replace("<sheetData>", '<sheetFormatPr zeroHeight="1"/><sheetData>')},
        None,
    ),
    "a column of no width": (
        lambda m: {
            "first": plain_sheet(m).replace("<sheetData>", '<cols><col min="4" max="4" width="0"/></cols><sheetData>')
        },
        None,
    ),
    "hidden for ever": (lambda m: {"states": ["veryHidden"], "sheets": 2}, None),
    "cells without places": (lambda m: {"first": re.sub(r' r="[A-Z]+\d+"', "", plain_sheet(m))}, None),
}


@pytest.mark.parametrize("name", WORKBOOKS)
def test_a_hostile_workbook_of_the_same_kinds(folder, make, name):
    arguments, message = WORKBOOKS[name]
    make["book"](folder / "any.xlsx", **{"first": plain_sheet(make), **arguments(make)})
    done = run_limited(
        folder, ["import", "any.xlsx", "--kind", "contrasts", "--outcome", "sleep", "--data", "review/data", "--write"]
    )
    if message is None:
        check_numbers(done, LISTED_TWO, folder)
        assert ("hidden" in done.out) == (name == "hidden for ever" or " of no " in name)
    else:
        check_refusal(done, {"refused": [r"any\.xlsx", message]})


LISTED_TWO = next(attack["control"]["right"] for attack in LISTED if attack["name"] == "styles")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n" * 9_999_999, "more than 200,000 lines, the limit"),
        (b"," * 9_999_999, "the file is empty"),
        (b'"' * 9_999_999, "field larger than field limit"),
        (
            b"study,treatment,n,mean,sd\n" + b"".join(b"S,t%d,20,1,2\n" % k for k in range(19_000)),
            "study 'S' has 19,000 arms, which give .* the limit is 300",
        ),
        (
            b"study,treatment,n,mean,sd\n" + b"".join(b"S%d,t%d,20,1,2\n" % divmod(k, 20) for k in range(19_980)),
            "the arms give .* contrasts, the limit is 20,000",
        ),
        (
            b",".join(b"c%d" % k for k in range(500)) + b"\n" + (b",".join([b"1"] * 500) + b"\n") * 9_000,
            "fit no known convention",
        ),
    ],
    ids=["lines", "commas", "quotes", "arms of one study", "arms of many", "columns"],
)
def test_a_large_table_is_refused_with_its_limit(folder, content, message):
    (folder / "any.csv").write_bytes(content)
    done = run_limited(folder, ["import", "any.csv", "--kind", "arms", "--outcome", "sleep", "--data", "review/data"])
    assert done.status == 2 and done.err.count("\n") == 1 and len(done.err) <= 2100
    assert re.search(message, done.err), done.err


@pytest.mark.parametrize(
    "line",
    [
        "note: {<<: [{a: 1}, {b: 2}]}",
        "note: [1, 2]",
        "note: !!python/object/apply:os.system ['touch MARKER']",
        'note: "\\x07" \x07',
        "note: *nobody",
        "question: " + "x" * 3_000,
        "note: &a [*a]",
        "note: 2020-01-01T25:00:00",
        "note: !!binary ###",
        "note: !!set {a, b}",
        "note: !!python/object/new:os.system [touch MARKER]",
        "note: !!python/module:os x",
        "note: !!omap [a: 1]",
        "note: !!foo x",
        "note: !" + "!" * 50_000,
        "note: 2020-02-30",
        "note: 1_000",
        "note: .inf",
        "note: 190:20:30",
        'note: "\\ud800"',
        'note: "\\U00110000"',
        'note: "\\0"',
        'note: "\\x9b31m"',
        'note: "\\u202eabc"',
        'note: "\\ufeff"',
        "note: a\nnote: b",
        "note: a\nnotes: b",
        "note: a\nmany: " + "[" * 30,
        "note: a\na: &a [1]\nb: &b [*a, *a]\nc: [*b, *b]",
        "? [a]\n: b",
    ],
)
def test_a_review_yml_of_the_same_kinds_is_refused(folder, line):
    settings = folder / "review" / "review.yml"
    name = line.partition(":")[0] if line[0].isalpha() else "note"
    text = re.sub(
        rf"^{name}:.*\n", lambda _: line + "\n", settings.read_text(encoding="utf-8"), count=1, flags=re.MULTILINE
    )
    settings.write_text(text, encoding="utf-8")
    check_refusal(
        run_limited(folder, ["new", "review"]),
        {"refused": [r"review\.yml(, (line \d+|note|question)|: '(notes|a)' is not one of)"]},
    )
    assert not (folder / "MARKER").exists()


def printed(treatments: int, cell: str = "0.1 (0.0 to 0.2)") -> str:
    names = [f"t{k}" for k in range(treatments)]
    rows = [",".join([name, *("" if name == other else cell for other in names)]) for name in names]
    return "\n".join([",".join(["", *names]), *rows, ""])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (printed(81), "81 treatments, the limit is 80"),
        (printed(300), "301 columns, the limit is 200"),
        (
            printed(3).replace("0.1 (0.0", "0.1 (0.0" + " to 0.2" * 280, 1),
            "any.csv, row 2, column 3: .* is not an estimate",
        ),
        ("," * 500_000 + "x\n" + printed(3), "500,001 columns, the limit is 200"),
        (printed(3, "1e308 (0 to 1e309)"), "any.csv"),
        (printed(3, "inf (0 to inf)"), "any.csv"),
        (printed(3).replace("0.1", "=1+1", 1), "any.csv"),
        (printed(3).replace("t1", "t0"), "any.csv"),
    ],
)
def test_a_hostile_league_table_is_refused(folder, content, message):
    (folder / "any.csv").write_text(content, encoding="utf-8")
    done = run_limited(folder, ["audit", "any.csv", "--measure", "MD"])
    assert not RAW.search(done.out + done.err)
    check_refusal(done, {"refused": [message]})


def test_a_league_table_at_the_limit_is_checked(folder):
    (folder / "any.csv").write_text(printed(80), encoding="utf-8")
    done = run_limited(folder, ["audit", "any.csv", "--measure", "MD"])
    assert done.status in (0, 1) and not done.err


@pytest.mark.parametrize(
    "text",
    ["-" * 300_000 + "1", "1" + "\u00a0000" * 100_000, "0.1 (0.0" + " " * 400_000 + "x", "0.1 (95% CI " * 50_000],
    ids=["rule", "thousands", "blanks", "words before an interval"],
)
def test_a_hostile_pasted_text_is_refused_in_time(folder, text):
    (folder / "any.txt").write_text(text, encoding="utf-8")
    check_refusal(run_limited(folder, ["audit", "any.txt"]), {"refused": [r"any\.txt: no estimate"]})


COLUMNS = {
    "te": [
        *(
            "log te",
            "exp(te)",
            "1/te",
            "te^2",
            "|te|",
            "te*100",
            "te (x100)",
            "te %",
            "te reversed",
            "minus te",
            "\u2212te",
        ),
        *("\u2013te", "te rank", "te baseline", "no te", "te sd", "\u0394te", "1-te", "t\u0435"),
    ],
    "se": [
        *("SE^2", "se2", "1/se", "1/se^2", "var(te)", "CI width", "CI length", "half width", "2*se", "1.96*se", "se/2"),
        *("log se", "ln(se)", "-se", "\u00b1se", "SE sq", "precision", "weight", "se**2", "sd(te)", "se (x100)"),
    ],
}


@pytest.mark.parametrize(("name", "other"), [(name, other) for name in COLUMNS for other in COLUMNS[name]])
def test_a_column_of_another_quantity_is_not_read_as_it(folder, name, other):
    header = ",".join(
        f'"{other}"' if column == name else column for column in ("study", "treat1", "treat2", "te", "se")
    )
    (folder / "any.csv").write_text(f"{header}\nAlder 2005,tablet,usual care,0.5,0.2\n", encoding="utf-8")
    done = run_limited(
        folder, ["import", "any.csv", "--kind", "contrasts", "--outcome", "sleep", "--data", "review/data"]
    )
    check_refusal(done, {"refused": [r"any\.csv", re.escape(other)]})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--skip", "99999999999999999999"], r"any\.csv: the file is empty"),
        (["--set", "treat1=\x9b31m"], r"--set treat1='\\x9b31m': holds a control character"),
        (["--label", "tablet=\u202eb"], r"--label tablet='\\u202eb': holds a control character"),
        (["--label", "tablet==1+1"], r"--label tablet==1\+1: expected a name"),
        (["--label", "tablet=NA"], r"--label tablet=NA: expected a name, not a missing value"),
        (["--label", "tablet=" + "x" * 3_000], r"--label tablet=\.\.\.: 3,000 characters, the limit is 2,000"),
        (["--set", "treat1=" + "x" * 3_000], r"--set treat1=\.\.\.: 3,000 characters, the limit is 2,000"),
        (
            ["--set", "treat1=A", "--map", "treat1=treat1"],
            r"--set treat1=A: --map also names a column for it, 'treat1'",
        ),
        (["--map", "te=te", "--map", "te=se"], r"--map te=se: te is given twice"),
        (["--set", "te=0.5"], r"--set te: only study, treat1, treat2 and treatment"),
        (["--where", "te=.5"], r"nothing of 2 rows can be used \(2 not selected\)"),
    ],
)
def test_a_hostile_option_is_refused(folder, options, message):
    shutil.copy(ATTACKS / "plain.csv", folder / "any.csv")
    arguments = ["import", "any.csv", "--kind", "contrasts", "--outcome", "sleep", *options, "--data", "review/data"]
    check_refusal(run_limited(folder, arguments), {"refused": [message]})


def test_a_page_of_an_audit_runs_no_script(folder):
    name = "<script>window.pwn=1</script>"
    (folder / "any.csv").write_text(f",{name},B\n{name},,0.1 (0.0 to 0.2)\nB,-0.1 (-0.2 to 0.0),\n", encoding="utf-8")
    done = run_limited(folder, ["audit", "any.csv", "--measure", "MD", "--html", "page.html"])
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert done.status == 0 and "<script" not in page and "&lt;script&gt;window.pwn" in page
    assert "content=\"default-src 'none'; style-src 'unsafe-inline'\"" in page


def test_new_writes_through_no_symbolic_link(folder):
    (folder / "empty").mkdir()
    (folder / "linked").symlink_to(folder / "empty", target_is_directory=True)
    (folder / "dangling").symlink_to(folder / "nowhere")
    for name in ("linked", "dangling"):
        done = run_limited(folder, ["new", name])
        assert (done.status, done.err.count("\n")) == (2, 1) and "is a symbolic link" in done.err
    assert not any((folder / "empty").iterdir()) and not (folder / "nowhere").exists()
    (folder / "mine.md").write_text("mine")
    readme = folder / "review" / "README.md"
    readme.unlink()
    readme.symlink_to(folder / "mine.md")
    done = run_limited(folder, ["new", "review"])
    assert (
        done.status == 2 and "README.md: is a symbolic link" in done.err and (folder / "mine.md").read_text() == "mine"
    )


@pytest.mark.parametrize("command", [["new", "mine"], ["new", "deep/mine"], ["export", "out", "--data", "review/data"]])
def test_a_folder_that_nothing_can_be_written_to_gets_one_line(folder, monkeypatch, capsys, command):
    """Permission is denied artificially, since the tests may run as a user with every permission."""
    monkeypatch.chdir(folder)

    make = os.mkdir

    def denied(path, *rest, **more):
        if (folder / path).is_relative_to(folder):
            raise PermissionError(13, "Permission denied", str(path))
        make(path, *rest, **more)

    monkeypatch.setattr(os, "mkdir", denied)
    before = sorted(folder.rglob("*"))
    assert main(command) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "Permission denied" in err and command[1].partition("/")[0] in err
    assert sorted(folder.rglob("*")) == before


def test_a_title_is_text_wherever_the_theme_writes_it():
    from jinja2 import Environment

    from psps_paper.site.extension import escape_titles

    title = "<script>window.pwn=1</script>"
    context = {"docstitle": title, "root_title": title, "author": title, "copyright": title}
    escape_titles(None, "index", "page.html", context, None)
    written = (
        Environment()
        .from_string("{{ docstitle }} {{ docstitle|e }} {{ root_title }} {{ author }} {{ copyright|e }}")
        .render(context)
    )
    assert written == " ".join(["&lt;script&gt;window.pwn=1&lt;/script&gt;"] * 5)


def test_the_help_states_every_limit(capsys):
    from psps_paper.cli.main import main
    from psps_paper.tables import limits

    with pytest.raises(SystemExit):
        main(["import", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    numbers = [
        value for name, value in vars(limits).items() if name.isupper() and isinstance(value, int) and name != "MAX_TAG"
    ]
    assert len(numbers) >= 15 and all(f"{value:,}" in said for value in numbers)
