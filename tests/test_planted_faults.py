"""Faults that once passed every test are found, and without them everything passes."""

from __future__ import annotations

import dataclasses

import pytest

from planted_faults import FAULTS, copy, found, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return copy(tmp_path_factory.mktemp("planted"))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_turns_its_guard_red(fault, folder):
    done = run(fault, folder)
    assert found(fault, done), done.stdout[-2000:] + done.stderr[-2000:]


@pytest.mark.parametrize(
    "command", list(dict.fromkeys(fault.command for fault in FAULTS)), ids=lambda command: command[-1]
)
def test_the_guards_are_green_without_a_fault(command, folder):
    fault = next(fault for fault in FAULTS if fault.command == command)
    done = run(dataclasses.replace(fault, changes={}), folder)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
