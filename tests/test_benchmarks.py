"""The benchmarks run with the current engine; times depend on the machine and are not tested."""

from __future__ import annotations

import runpy

import pytest

from helpers import ROOT, table

pytestmark = pytest.mark.slow

BENCHMARK = runpy.run_path(str(ROOT / "benchmarks" / "network.py"))


def test_every_measurement_of_the_network_benchmark_runs(capsys, monkeypatch):
    monkeypatch.setenv("PATH", "")  # R takes seconds to start where it is there
    assert BENCHMARK["main"](["--quick"]) == 0
    printed = capsys.readouterr().out
    for measured in (
        "20 two-arm studies, 5 treatments, s",
        "Senn2013, one fit, ms",
        "Senn2013, times faster than pimeta",
        "R with netmeta not present",
        "star_demo, 20 data sets, s",
        "10 treatments, 100 draws, s",
        "20 data sets by REML",
        "meta-analysis by REML, times faster",
        "20 at once",
        "contributions, 5 treatments",
        "components, Linde2016",
        "Mantel-Haenszel network",
        "network meta-regression",
        "impact of studies",
    ):
        assert measured in printed
    assert "NOT KEPT" not in printed


def test_promises_are_only_checked_at_full_size():
    with pytest.raises(SystemExit):
        BENCHMARK["main"](["--quick", "--check"])


def test_every_measurement_of_the_bayesian_benchmark_runs(capsys):
    benchmark = runpy.run_path(str(ROOT / "benchmarks" / "bayes.py"))
    assert benchmark["main"](["--quick"]) == 0
    printed = capsys.readouterr().out
    for measured in (
        "exact Bayesian fit, ms",
        "times the time of fit_network",
        "rank probabilities",
        "60 two-arm studies, 12 treatments",
    ):
        assert measured in printed
    assert "NOT KEPT" not in printed


def test_the_audit_benchmark_times_every_size(capsys):
    audit_benchmark = runpy.run_path(str(ROOT / "benchmarks" / "audit.py"))
    assert audit_benchmark["main"](["--quick"]) == 0
    assert [line.split(" ")[0] for line in capsys.readouterr().out.splitlines()] == ["5", "10", "15", "20"]


def test_the_table_of_growth_is_made_by_its_benchmark(monkeypatch):
    """Its columns are those of data/engine_growth.csv; the chapter draws what that holds."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    growth = runpy.run_path(str(ROOT / "benchmarks" / "growth.py"))["growth"]
    made = growth((3, 4), (6, 9), (3, 6))
    stored = table("engine_growth")
    assert list(made) == list(stored) and made["times_smallest"].min() == 1
    assert made["times_faster"].notna().tolist() == [True, False, False, False]
    assert (stored["treatments"].min(), stored["treatments"].max(), stored["studies"].max()) == (10, 300, 20_000)
