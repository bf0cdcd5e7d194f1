"""Names of the test files that need only the engine: ``python -m pytest $(python tests/engine.py)``.

They run on any Python from 3.11 on with the wheel, pytest, hypothesis, mpmath and PyYAML; CI runs them on each.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ENGINE = {"effects", "network", "pairwise", "bayes", "recover", "formatting", "parallel"}
LIBRARIES = {"numpy", "scipy", "pandas", "networkx", "pytest", "hypothesis", "mpmath", "yaml", "conftest", "psps_paper"}


def imported(path: Path) -> set[str]:
    """Modules that a file imports, wherever in it; of this package as ``psps_paper.room``."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = node.module == "psps_paper"
            names |= {f"psps_paper.{alias.name}" for alias in node.names} if whole else {node.module}
    return {".".join(name.split(".")[: 2 if name.startswith("psps_paper.") else 1]) for name in names}


def of_engine(path: Path, standard: frozenset[str]) -> bool:
    """Whether a test file, and each helper that it imports, needs only the engine."""
    for name in imported(path):
        neighbour = TESTS / f"{name}.py"
        if name.startswith("psps_paper."):
            fits = name.partition(".")[2] in ENGINE
        elif name != "conftest" and neighbour.is_file():
            fits = of_engine(neighbour, standard)
        else:
            fits = name in LIBRARIES or name in standard
        if not fits:
            return False
    return any(name.startswith("psps_paper.") for name in imported(path)) or not path.name.startswith("test_")


def engine_tests() -> list[Path]:
    """Test files that need only the engine, sorted."""
    standard = frozenset(sys.stdlib_module_names) - {"importlib"}  # with which a file can import anything
    return [path for path in sorted(TESTS.glob("test_*.py")) if of_engine(path, standard)]


if __name__ == "__main__":
    print(*(path.relative_to(TESTS.parent).as_posix() for path in engine_tests()))
