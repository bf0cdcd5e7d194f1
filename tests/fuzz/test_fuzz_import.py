"""Random files: the import's numbers equal another reading with plain csv and fractions, or it refuses in one sentence.

A short run belongs to the suite; ``make fuzz MINUTES=30`` goes on with other files until the time is over, and counts.
"""

from __future__ import annotations

import argparse
import re
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import hypothesis
import pytest
from hypothesis import HealthCheck, given, settings
from strategies import Sheet, Unread, independent, sheets

from living_examples import each_measure
from psps_paper.living import importing
from psps_paper.living.importing import convert, report
from psps_paper.living.model import Options
from psps_paper.living.reading import table_from_bytes
from psps_paper.tables.dataset import Dataset, dataset
from psps_paper.tables.errors import TableError

SECONDS, BYTES = 5, 1_000_000_000
SHORT = 250


def compare(sheet: Sheet, folder: Dataset) -> str:
    """What became of a file; AssertionError where the two readings do not agree."""
    try:
        expected = independent(sheet)
    except Unread:
        expected = None
    try:
        result = convert(table_from_bytes("any.csv", sheet.content), Options(sheet.kind, outcome="score_md"), folder)
    except TableError as error:
        message = str(error)
        assert message.startswith("any.csv") and len(message) < 2000
        return ("refused, as the other reading: " if expected is None else "refused alone: ") + kind_of(message)
    assert expected is not None, f"accepted what the other reading refuses: {sheet.content!r}"
    found = Counter(
        (row.study, row.treat1, row.treat2, round(row.te, 9), round(row.se, 9)) for row in result.contrasts.itertuples()
    )
    rounded = Counter({(*labels, round(te, 9), round(se, 9)): count for (*labels, te, se), count in expected.items()})
    assert found == rounded, f"{found} instead of {rounded}: {sheet.content!r}"
    assert result.source["read"] == result.source["used"] + len(result.listed)
    assert not re.search("[\x00-\x08\x0e-\x1f\x7f-\x9f]", report(result))
    return "accepted by both and equal"


def kind_of(message: str) -> str:
    """A message without what differs from file to file."""
    text = re.sub(r"'(?:[^'\\]|\\.)*'|\"[^\"]*\"", "...", message.removeprefix("any.csv"))
    return re.sub(r"\(.*\)|-?\d[\d.,]*|column \S+:", "#", text)[:70]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return dataset(each_measure(tmp_path_factory.mktemp("fuzz")))


COUNTS: Counter = Counter()


@given(sheet=sheets())
@settings(max_examples=SHORT, deadline=None, suppress_health_check=list(HealthCheck))
def check(folder, sheet):
    COUNTS[compare(sheet, folder).partition(":")[0]] += 1


def test_random_files_are_read_right_or_refused(folder):
    COUNTS.clear()
    check(folder)
    assert COUNTS["accepted by both and equal"] > 0.3 * COUNTS.total(), COUNTS


def test_the_other_reading_finds_a_wrong_number(folder, monkeypatch):
    """The oracle is awake: with numbers read a thousandth too large it objects."""
    right = importing.from_contrasts

    def wrong(*arguments):
        read = right(*arguments)
        return replace(read, contrasts=read.contrasts.assign(te=read.contrasts["te"] * 1.001 + 0.001))

    monkeypatch.setattr(importing, "from_contrasts", wrong)
    with pytest.raises(BaseException, match="instead of"):
        check(folder)


def main() -> int:
    """Fuzz until the time is over; 1 where a file was read wrong, raised another exception, or took too much."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    minutes = parser.parse_args().minutes
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    counts: Counter = Counter()
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        folder = dataset(each_measure(Path(place)))
        end, seed = time.monotonic() + 60 * minutes, 0

        def overdue(number, frame):
            raise TimeoutError(f"more than {SECONDS} s of the processor")

        signal.signal(signal.SIGPROF, overdue)  # of the processor: a busy machine is no fault of the code
        while time.monotonic() < end and len(failures) < 5:
            seed += 1

            @hypothesis.seed(seed)
            @given(sheet=sheets())
            @settings(
                max_examples=500,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                database=None,
                derandomize=False,
            )
            def some(sheet):
                signal.setitimer(signal.ITIMER_PROF, SECONDS)
                try:
                    counts[compare(sheet, folder)] += 1
                finally:
                    signal.setitimer(signal.ITIMER_PROF, 0)

            try:
                some()
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                failures.append(f"seed {seed}: {type(error).__name__}: {str(error)[:1000]}")
    total = counts.total()
    for what, count in counts.most_common():
        print(f"{count:8} {100 * count / total:5.1f} %  {what}")
    print(f"{total:8} files, {len(failures)} failures", *failures, sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
