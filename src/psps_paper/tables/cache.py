"""Compute once what every chapter of a build asks for.

Of joblib.Memory, which does much the same, version 1.6 was tried: from a file with one wrong bit it returns wrong
numbers, or with compression prints a traceback, which a chapter must not; and it writes files by other means than
:mod:`psps_paper.tables.files`. Both keep pickles, so the folder is trusted as the code is (SECURITY.md).
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
    """Digest of the package's source: what it computed before a change must not be taken for what it computes now."""
    return sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parents[1].rglob("*.py")))).hexdigest()


def cached(name: str, inputs: str, compute: Callable[[], Result]) -> Result:
    """``compute()``, or what it gave for the same inputs and the same code earlier in this build.

    ``make`` names a folder that it empties before each build (``PSPS_BUILD_CACHE``); without one nothing is kept.

    Parameters
    ----------
    name : str
        Of what is computed.
    inputs : str
        Everything that the result depends on, except the code of the package.
    compute : callable
        Without arguments; its result must be picklable.
    """
    folder = os.environ.get("PSPS_BUILD_CACHE")
    if not folder:
        return compute()
    file = Path(folder) / f"{name}-{sha256((_code() + inputs).encode()).hexdigest()}.pickle"
    kept = _kept(file)
    if kept is not None:
        return pickle.loads(kept)
    result = compute()
    content = pickle.dumps(result)
    with contextlib.suppress(OSError):  # what cannot be kept, as on a full disk, is computed each time
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, sha256(content).digest() + content)
    return result


def _kept(file: Path) -> bytes | None:
    """What a file of the cache holds, or None where there is none or it is damaged."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    return content[32:] if sha256(content[32:]).digest() == content[:32] else None
