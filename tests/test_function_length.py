"""No function of the package exceeds 60 lines, not counting its docstring, without a reason in a comment."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from helpers import ROOT

MOST = 60
REASON = re.compile(r"\s*# Long: \S.{9,}")


def long_functions(source: str) -> list[tuple[str, int]]:
    """Functions over the limit with their lines, except those below a comment ``# Long: reason``."""
    lines, found = source.splitlines(), []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        length = node.end_lineno - node.lineno + 1
        if ast.get_docstring(node) is not None:
            length -= node.body[0].end_lineno - node.body[0].lineno + 1
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        if length > MOST and not (first > 1 and REASON.fullmatch(lines[first - 2])):
            found.append((node.name, length))
    return found


def function_of(lines: int, above: str = "", docstring: int = 0) -> str:
    text = ['    """First.', *["    More."] * (docstring - 2), '    """'] if docstring else []
    return "\n".join([above, "@cached", "def made():", *text, *["    x = 1"] * (lines - 1)])


def test_no_function_is_too_long_to_read():
    found = {
        f"{path.relative_to(ROOT)}: {name}": length
        for path in sorted(Path(ROOT, "src").rglob("*.py"))
        for name, length in long_functions(path.read_text(encoding="utf-8"))
    }
    assert found == {}, f"more than {MOST} lines: split it by what it does, or write '# Long: reason' above it"


def test_the_limit_counts_what_is_written_and_takes_one_reason():
    assert long_functions(function_of(MOST)) == []
    assert long_functions(function_of(MOST, docstring=40)) == []
    assert long_functions(function_of(MOST + 1)) == [("made", MOST + 1)]
    assert long_functions(function_of(MOST + 1, above="# Long: a table of cases reads best in one piece")) == []
    for none in ("# Long:", "# Long: so", "# a table of cases reads best in one piece"):
        assert long_functions(function_of(MOST + 1, above=none)) == [("made", MOST + 1)]
