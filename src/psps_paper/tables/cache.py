"""Compute results that several chapters of a build need only once.

joblib.Memory, which does much the same, was tried in version 1.6 and rejected. Given a file with one wrong bit it
returns wrong numbers or, with compression, prints a traceback, which must not appear in a chapter; and it does not
write through :mod:`psps_paper.tables.files`. Both store pickles, so the folder must be as trustworthy as the code
(SECURITY.md).
"""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from psps_paper.tables.files import write_atomically

Result = TypeVar("Result")


@cache
def _code() -> str:
    """Return a digest of the package's source, so that a change of code invalidates stored results."""
    return sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parents[1].rglob("*.py")))).hexdigest()


def cached(name: str, inputs: str, compute: Callable[[], Result]) -> Result:
    """Return ``compute()``, or its stored result for the same inputs and code from earlier in this build.

    ``make`` sets ``PSPS_BUILD_CACHE`` to a folder that it empties before each build; without it nothing is stored.

    Parameters
    ----------
    name : str
        Name of the result.
    inputs : str
        Text that identifies everything the result depends on, except the code of the package.
    compute : callable
        Takes no arguments; its result must be picklable.
    """
    folder = os.environ.get("PSPS_BUILD_CACHE")
    if not folder:
        return compute()
    file = Path(folder) / f"{name}-{sha256((_code() + inputs).encode()).hexdigest()}.pickle"
    kept = _read_stored(file)
    if kept is not None:
        return pickle.loads(kept)
    result = compute()
    content = pickle.dumps(result)
    with contextlib.suppress(OSError):  # a result that cannot be stored, as on a full disk, is computed each time
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, sha256(content).digest() + content)
    return result


def _read_stored(file: Path) -> bytes | None:
    """Return the content of a cache file, or None if it is missing or damaged."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    return content[32:] if sha256(content[32:]).digest() == content[:32] else None
