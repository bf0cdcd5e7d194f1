"""A public function of the engine cannot be added without the cases that it needs, and is told where they go.

The cases themselves are slow; that one is missing shows here, in ``make check``.
"""

from __future__ import annotations

import importlib
import inspect

import test_extreme_arguments as extreme
import test_invariance as invariance


def functions(*rooms: str) -> set[str]:
    """Names of the public functions of some rooms."""
    modules = [importlib.import_module(f"psps_paper.{room}") for room in rooms]
    return {name for module in modules for name in module.__all__ if inspect.isfunction(getattr(module, name))}


def cases(table) -> set[str]:
    """Names of functions that a table of cases calls; a case is named ``room.function, variant``."""
    return {name.partition(",")[0].rpartition(".")[2] for name in table}


def missing(public: set[str], table, exempt, add: str, otherwise: str) -> list[str]:
    """For each function without a case, what to add where; for each exemption of no function, that it can go."""
    lacking = sorted(public - cases(table) - set(exempt))
    gone = sorted(set(exempt) - public)
    return [f"{name}: add to {add}, or, where it {otherwise}" for name in lacking] + [
        f"{name} is no public function any more: take it out of {add.rpartition(' in ')[2]}" for name in gone
    ]


def without_invariance(public: set[str]) -> list[str]:
    add = "OF_CONTRASTS how it is called on contrasts, in tests/test_invariance.py"
    return missing(
        public, invariance.OF_CONTRASTS, invariance.NO_RESULT, add, "gives no result of contrasts, to NO_RESULT there"
    )


def without_extremes(public: set[str]) -> list[str]:
    add = "CALLS a call with ordinary numbers, in tests/test_extreme_arguments.py"
    return missing(public, extreme.CALLS, extreme.WITHOUT, add, "takes no numbers of studies, to WITHOUT there")


def test_every_public_result_is_tested_for_the_order_of_rows_and_the_names_of_treatments():
    """Networks, one comparison and Bayesian networks; for effects see test_effects_properties.py."""
    assert without_invariance(functions("network", "pairwise", "bayes")) == []


def test_every_public_function_with_numbers_is_called_with_extreme_ones():
    public = functions("effects", "network", "pairwise", "bayes")
    assert without_extremes(public) == []
    assert cases(extreme.CALLS) <= public


def test_a_new_function_is_told_what_it_still_needs():
    """With a made-up name added; what other functions want does not show here."""
    public, results = functions("effects", "network", "pairwise", "bayes"), functions("network", "pairwise", "bayes")
    new = {"tide_table"}
    (extremes,) = set(without_extremes(public | new)) - set(without_extremes(public))
    assert extremes.startswith("tide_table: add to CALLS") and "tests/test_extreme_arguments.py" in extremes
    (order,) = set(without_invariance(results | new)) - set(without_invariance(results))
    assert order.startswith("tide_table: add to OF_CONTRASTS") and "tests/test_invariance.py" in order
    assert set(without_extremes(public - {"poth"})) - set(without_extremes(public)) == {
        "poth is no public function any more: take it out of tests/test_extreme_arguments.py"
    }
