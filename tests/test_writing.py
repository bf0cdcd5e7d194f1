"""One module (``tables/files.py``) writes files: under a temporary name, flushed, then renamed. Any other write is found
here, whatever the function is called."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import ROOT

WRITER = ROOT / "src" / "psps_paper" / "tables" / "files.py"
MODULES = sorted(path for folder in ("src", "benchmarks") for path in (ROOT / folder).rglob("*.py") if path != WRITER)
ALLOWED = {
    ("src/psps_paper/cli/main.py", "os.open"),  # of the null device
    # Of a drawing
    ("src/psps_paper/figures/forest.py", "frame.open"),
    ("src/psps_paper/figures/studies_forest.py", "frame.open"),
    # Of a table's column, and its name
    ("src/psps_paper/living/study_table.py", "table[column].replace"),
    ("src/psps_paper/figures/ranks.py", "frame.rename_axis(index='treatment', columns='rank').stack().rename"),
}

ALWAYS = {"write_text", "write_bytes", "touch", "symlink_to", "hardlink_to", "unpack_archive", "make_archive"}
MODULE_CALLS = {
    "os": {"open", "replace", "rename", "renames", "link", "symlink", "truncate", "mkfifo"},
    "shutil": {"copy", "copy2", "copyfile", "copytree", "copymode", "copystat", "move"},
    "tempfile": {"NamedTemporaryFile", "mkstemp", "mktemp"},
}
# Methods and functions that write to their first argument, unless that is a buffer or a stream of the process
TO_FIRST = {"to_csv", "to_json", "to_excel", "to_html", "to_markdown", "to_pickle", "to_parquet", "savefig", "save"}
TO_FIRST |= {"savetxt", "savez", "savez_compressed", "tofile", "imsave", "urlretrieve"}
TO_KEYWORD = {"path", "path_or_buf", "buf", "fname", "filename"}
DUMPS = {"dump"}  # of json, pickle, yaml: to their second argument
ARCHIVES = {"ZipFile", "TarFile", "GzipFile"}
BUFFERS = {"buffer", "content", "sys.stdout", "sys.stderr", "self._stream"}


def writes(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of each call that may write a file."""
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        whole = ast.unparse(call.func)
        owner, _, name = whole.rpartition(".")
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        first = call.args[0] if call.args else None
        in_memory = first is not None and ast.unparse(first) in BUFFERS
        if (
            name in ALWAYS
            or name in MODULE_CALLS.get(owner, ())
            or (name in TO_FIRST and owner and first is not None and not in_memory)
            or ((name in TO_FIRST or name in {"screenshot", "pdf"}) and TO_KEYWORD & keywords.keys())
            or (name in DUMPS and len(call.args) > 1 and ast.unparse(call.args[1]) not in BUFFERS)
            or (name in {"open", "fdopen"} and _to_write(call, name, owner, keywords))
            or (name in ARCHIVES and _to_write(call, name, owner, keywords) and not in_memory)
            # Of a path: one argument that is no text; a text's replace has two, a table's rename takes names
            or (name in {"replace", "rename"} and owner and len(call.args) == 1 and not keywords and _is_place(first))
        ):
            yield call.lineno, whole


def _to_write(call: ast.Call, name: str, owner: str, keywords: dict[str | None, ast.expr]) -> bool:
    """Whether a file is opened otherwise than to be read; a mode that is no literal may be any."""
    position = 0 if owner and name == "open" and owner not in {"io", "codecs", "gzip", "zipfile"} else 1
    mode = keywords.get("mode", call.args[position] if len(call.args) > position else None)
    return mode is not None and not (isinstance(mode, ast.Constant) and not set("wax+") & set(str(mode.value)))


def _is_place(argument: ast.expr | None) -> bool:
    return not isinstance(argument, ast.Constant | ast.Dict | ast.DictComp | ast.JoinedStr | ast.Lambda)


PLANTED = [
    "path.write_text('x')",
    "path.write_bytes(b'x')",
    "open(path, 'w')",
    "open(path, mode='ab')",
    "open(path, how)",
    "path.open('x', encoding='utf-8')",
    "path.open('r+')",
    "io.open(path, 'w')",
    "gzip.open(path, 'wt')",
    "table.to_csv(path)",
    "table.to_csv(path_or_buf=path)",
    "table.to_csv(folder / 'a.csv', index=False)",
    "figure.savefig(path)",
    "figure.savefig(fname=path)",
    "np.savez(path, a=1)",
    "zipfile.ZipFile(path, 'w')",
    "ZipFile(path, mode='a')",
    "gzip.GzipFile(filename=path, mode='wb')",
    "json.dump(content, file)",
    "shutil.copyfile(a, b)",
    "shutil.move(a, b)",
    "os.replace(a, b)",
    "os.open(path, os.O_WRONLY)",
    "path.replace(other)",
    "path.rename(folder / 'b')",
    "page.screenshot(path=path)",
    "page.pdf(path=path)",
    "font.save(path)",
    "path.touch()",
    "tempfile.NamedTemporaryFile()",
]
HARMLESS = [
    "open(path)",
    "open(path, 'rb')",
    "path.open(encoding='utf-8')",
    "path.open('rb')",
    "table.to_csv(index=False)",
    "table.to_json(orient='records')",
    "figure.savefig(buffer, format='svg')",
    "ZipFile(io.BytesIO(content))",
    "ZipFile(buffer, 'w')",
    "json.dump(found, sys.stdout)",
    "text.replace('a', 'b')",
    "dataclasses.replace(result, warnings=notes)",
    "table.rename(columns=names)",
    "series.rename('n')",
    "rows.rename({'a': 'b'})",
]


@pytest.mark.parametrize("source", PLANTED)
def test_a_planted_write_is_found(source):
    assert [line for line, _ in writes(source)] == [1]


@pytest.mark.parametrize("source", HARMLESS)
def test_what_writes_no_file_is_let_through(source):
    assert list(writes(source)) == []


def test_nothing_writes_but_the_writer():
    found = {
        (path.relative_to(ROOT).as_posix(), name, line)
        for path in MODULES
        for line, name in writes(path.read_text(encoding="utf-8"))
    }
    assert {(file, line, name) for file, name, line in found if (file, name) not in ALLOWED} == set()
    assert {(file, name) for file, name, _ in found} == ALLOWED, "an exception that nothing needs any more"


def test_the_writer_itself_is_seen():
    assert len(list(writes(Path(WRITER).read_text(encoding="utf-8")))) > 5
