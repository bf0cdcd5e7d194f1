"""The build cache: the same inputs and code return the stored result, and any change recomputes it."""

import pytest

from psps_paper.tables import cache as module
from psps_paper.tables.cache import cached


@pytest.fixture
def counted(tmp_path, monkeypatch):
    monkeypatch.setenv("PSPS_BUILD_CACHE", str(tmp_path / "checked"))
    calls = []

    def compute(value):
        return lambda: calls.append(value) or value

    return calls, compute


def test_the_same_inputs_are_computed_once_and_changed_ones_again(counted):
    calls, compute = counted
    assert [
        cached("a", "x", compute(1)),
        cached("a", "x", compute(2)),
        cached("a", "y", compute(3)),
        cached("b", "x", compute(4)),
    ] == [1, 1, 3, 4]
    assert calls == [1, 3, 4]


def test_changed_code_is_recomputed(counted, monkeypatch):
    _, compute = counted
    assert cached("a", "x", compute(1)) == 1
    monkeypatch.setattr(module, "_code", lambda: "other code")
    assert cached("a", "x", compute(2)) == 2


def test_nothing_is_kept_where_no_folder_is_named(counted, monkeypatch):
    _, compute = counted
    monkeypatch.delenv("PSPS_BUILD_CACHE")
    assert [cached("a", "x", compute(1)), cached("a", "x", compute(2))] == [1, 2]
