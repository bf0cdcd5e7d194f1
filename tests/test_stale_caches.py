"""Caches in memory and in the build follow the data: labels of studies once remained those of the folder read first,
since their cache had no key.

For each cache of data, one cell is changed, under the same path and in one process. Slow computations are replaced by
short ones that show their inputs, since the key is tested and not the numbers.
"""

import ast
import importlib
from collections.abc import Callable
from typing import NamedTuple

import pandas as pd
import pytest

from helpers import copy_data, package_trees, replace_once
from psps_paper.article import published
from psps_paper.article.trials import te_desirable
from psps_paper.book import claims, display, findings
from psps_paper.claims import load_claims
from psps_paper.conclusions import robustness
from psps_paper.figures import palette
from psps_paper.tables import TableError, load_table

# Caches of texts, sizes and typefaces, and of files that belong to the package: no data reach them
WITHOUT_DATA = {
    "audit/layout.py key",
    "audit/numbers.py plain",
    "audit/numbers.py read_estimate",
    "book/coming_from_netmeta.py _oracle",
    "book/explorer.py _quadrature",
    "book/explorer.py normal_points",
    "effects/quantiles.py expected_order_statistic",
    "ensemble/proofs.py _compositions",
    "figures/layout.py _characters",
    "figures/layout.py families",
    "figures/layout.py text_width",
    "network/model.py _labels",
    "network/model.py _same_design",
    "network/reduction.py _places",
    "network/reduction.py contrast_basis",
    "tables/cache.py _code",
    "tables/conditions.py parsed_condition",
    "tables/conditions.py parsed_expression",
}


class Case(NamedTuple):
    """One cell, what is shown of it through a cache, and what stands in for slow work: (module, name, function)."""

    file: str
    old: str
    new: str
    shown: Callable[[], object]
    instead: tuple[tuple[object, str, Callable], ...] = ()


def _refusal() -> str:
    try:
        load_table("nma_published")
    except TableError as error:
        return str(error)
    return "accepted"


def _published() -> str:
    return published.published_network(load_table("nma_published"), desirable=te_desirable()).to_csv()


def _claims() -> str:
    return claims._checked(claims.dataset())["quantity"].iloc[0]


FOUND = (
    robustness,
    "findings",
    lambda witnesses: witnesses[0].rows.assign(n_low=witnesses[0].evidence.studies["n_low"]),
)
DIRECTION = (robustness, "findings", lambda witnesses: witnesses[0].rows.assign(best=witnesses[0].evidence.desirable))
RANGES = (robustness, "identified_ranges", lambda witnesses, found, searches: found)
BAYES = (robustness, "bayesian_conclusions", lambda witnesses, *_, **__: witnesses[0].evidence.studies)
CASES = {
    "tables/load.py _checked": Case(
        "studies.csv", "included,Hamdy", "included,Qamdy", lambda: load_table("studies").to_csv()
    ),
    "tables/load.py _rules": Case(
        "row_rules.csv", "value >= 0 and value <= 1,", "value >= 0 and value <= 0.9,", _refusal
    ),
    "article/published.py _published_network": Case(
        "nma_published.csv", "0.975", "0.974", _published, ((published, "_recovered", lambda table, _: table),)
    ),
    "book/claims.py _checked": Case(
        "claims.csv",
        "databases searched",
        "databases that were searched",
        _claims,
        ((claims, "check_claims", load_claims),),
    ),
    "book/display.py _study_labels": Case(
        "studies.csv",
        "included,Hamdy",
        "included,Qamdy",
        lambda: display.table_markup(pd.DataFrame({"study": ["hamdy2021"]}), label="Studies"),
    ),
    "book/findings.py _findings": Case(
        "readers_words.csv",
        "Sham or placebo",
        "Placebo or sham",
        lambda: [finding.name for finding in findings.findings()],
    ),
    "conclusions/robustness.py _proved": Case(
        "witnesses.csv", "2.27362", "2.27363", lambda: robustness.proved().ranges.to_csv(), (FOUND, RANGES)
    ),
    "conclusions/robustness.py under_bayes": Case(
        "sample_sizes.csv",
        "11,16,24,",
        "11,15,24,",
        lambda: robustness.under_bayes(robustness.proved()).to_csv(),
        (FOUND, RANGES, BAYES),
    ),
    "conclusions/robustness.py _proved, direction": Case(
        "outcomes.csv",
        "mean difference,lower,higher,",
        "mean difference,lower,lower,",
        lambda: robustness.proved().ranges.to_csv(),
        (DIRECTION, RANGES),
    ),
    "figures/palette.py _class_colours": Case("treatment_classes.csv", "#0072b2", "#0072b3", palette.class_colours),
}


@pytest.fixture(autouse=True)
def no_stand_in_is_kept():
    """Results of the stand-ins for slow computations must not reach the tests that follow."""
    yield
    for name in CASES:
        file, function = name.split(",")[0].split(" ")
        module = importlib.import_module("psps_paper." + file.removesuffix(".py").replace("/", "."))
        getattr(module, function).cache_clear()


@pytest.mark.parametrize("name", CASES)
def test_a_changed_cell_shows_in_the_same_process(name, tmp_path, monkeypatch):
    case, folder = CASES[name], copy_data(tmp_path)
    monkeypatch.setenv("PSPS_DATA", str(folder))
    monkeypatch.setenv("PSPS_BUILD_CACHE", str(tmp_path / "cache"))
    for replaced in case.instead:
        monkeypatch.setattr(*replaced)
    before = case.shown()
    assert case.shown() == before, "the same data show the same"
    replace_once(folder / case.file, case.old.encode(), case.new.encode())
    assert case.shown() != before, f"{name} still shows the data as they were"


def test_every_cache_has_its_case():
    cached = {
        f"{file} {function.name}"
        for file, tree in package_trees().items()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        and any(
            ast.unparse(each).split("(")[0].rpartition(".")[2] in ("cache", "lru_cache")
            for each in function.decorator_list
        )
    }
    assert cached == WITHOUT_DATA | {name.split(",")[0] for name in CASES}, (
        "give a new cache a Dataset as its key and a case in CASES, or name it in WITHOUT_DATA where no data reach it"
    )


def _outside_functions(node: ast.AST):
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.Lambda):
            yield child
            yield from _outside_functions(child)


def test_no_module_reads_data_when_it_is_imported():
    """What a module reads then stays for the life of the process: the colours of a page were kept so, under the name
    CLASS_COLOURS, which reads the data where it is imported from the palette."""
    reads = {"load_table", "load_dictionary", "dataset", "data_folder", "load_outcome", "open_review", "class_colours"}
    found = []
    for file, tree in package_trees().items():
        for node in _outside_functions(tree) if "templates" not in file else ():
            called = isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in reads
            named = isinstance(node, ast.ImportFrom) and "CLASS_COLOURS" in [alias.name for alias in node.names]
            if called or named:
                found.append(f"{file}, line {node.lineno}: {ast.unparse(node)}")
    assert found == []
