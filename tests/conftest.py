"""Settings of all tests: the place of the book, and the rule that a test that did not run has not passed.

With ``--complete``, which ``make test`` sets, a skipped test and a test file from which nothing ran count as failures,
and no test can be deselected. Chapters are tested through the outputs of the build (test_executed.py). Only one kind of
skip is allowed: browser tests on a machine without Chromium, unless ``PSPS_REQUIRE_BROWSER`` is set, as in ``.ci/run``.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
BUILT = ROOT / "_build" / "html"


def _files(node) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("root", "file"):
                yield value
            else:
                yield from _files(value)
    elif isinstance(node, list):
        for value in node:
            yield from _files(value)


def chapters() -> list[str]:
    """File stems of the chapters in the order of ``_toc.yml``."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    return [Path(file).name for file in _files(toc)]


# Time limits would blame the code for a slow machine; the same examples everywhere make failures reproducible.
hypothesis.settings.register_profile("psps", deadline=None, derandomize=True)
hypothesis.settings.load_profile("psps")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--complete", action="store_true", help="a test that did not run is a failure")


def _is_complete(config: pytest.Config) -> bool:
    return config.getoption("complete")


def pytest_collection_finish() -> None:
    # Thousands of tests and their modules stay in memory to the end, so collecting garbage among them is wasted time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and _is_complete(item.config):
        browser = item.get_closest_marker("browser") is not None
        if not browser or os.environ.get("PSPS_REQUIRE_BROWSER"):
            report.outcome = "failed"
            report.longrepr = f"skipped, and so not tested: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    report = yield
    if report.skipped and _is_complete(collector.config):
        report.outcome = "failed"
        report.longrepr = f"skipped as a whole, and so not tested: {report.longrepr}"
    return report


class _Completeness:
    """Record, in the controlling process, the files from which a test ran."""

    def __init__(self) -> None:
        self.ran: set[str] = set()
        self.missing: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.ran.add(report.nodeid.partition("::")[0])

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        expected = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
        self.missing = sorted(expected - self.ran)
        if self.missing and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter) -> None:
        for file in self.missing:
            terminalreporter.write_line(f"INCOMPLETE {file}: no test of it ran", red=True)


def pytest_configure(config: pytest.Config) -> None:
    if not _is_complete(config):
        return
    if config.option.keyword or config.option.markexpr or config.option.deselect:
        raise pytest.UsageError("--complete runs every test: leave out -k, -m and --deselect")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Completeness())


@pytest.fixture(scope="session")
def built() -> Path:
    """Folder of the built pages; a test that needs them fails if there is no book."""
    assert (BUILT / "index.html").exists(), f"no book in {BUILT}: run `make book`"
    return BUILT
