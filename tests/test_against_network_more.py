"""Ranking, league, splits, impact, measures, contributions and partial order against netmeta.

tests/oracles/network_more.json (validation/network_more.R).
"""

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

from oracle_cells import Cells
from psps_paper.network import (
    NetworkFit,
    contribution_matrix,
    decompose_q,
    evidence_measures,
    fit_network,
    league_with_direct,
    net_impact,
    p_scores,
    p_scores_from,
    partial_order,
    split_evidence,
)

# README of the reference results: 1e-8; netimpact 1e-4 against leaving the study out
TOLERANCE, IMPACT = 1e-8, 1e-4
LISTED = {
    "*/input/*": "the data",
    "*/inputs/*": "the data",
    "*/netimpact/seTE_ignore": "the standard error that netmeta gives a study in place of leaving it out",
}
DESIRABLE = {"desirable": "lower", "undesirable": "higher"}


def contrasts_of(rows: dict) -> pd.DataFrame:
    return pd.DataFrame(rows).rename(columns={"studlab": "study", "TE": "te", "seTE": "se"})


def both_ways(table: pd.DataFrame, signed: list[str]) -> pd.DataFrame:
    other = table.rename(columns={"treat1": "treat2", "treat2": "treat1"})
    other[signed] = -other[signed]
    return pd.concat([table, other]).set_index(["treat1", "treat2"])


def pairs_of(names: list[str]) -> list[tuple[str, str]]:
    return [tuple(name.split(":")) for name in names]


def compare_splits(book: Cells, path: str, method: str, fits: dict[str, NetworkFit]) -> None:
    reference = book.data[path]
    for model, fit in fits.items():
        table = both_ways(split_evidence(fit, method), ["te", "direct_te", "indirect_te", "difference", "z"])
        field = f"netsplit_{method.replace('-', '_')}"
        rows = table.loc[pairs_of(reference[field]["comparison"])]
        same = {
            "direct_TE": "direct_te",
            "direct_se": "direct_se",
            "indirect_TE": "indirect_te",
            "indirect_se": "indirect_se",
            "difference": "difference",
            "se": "se_difference",
            "p": "p",
            "proportion": "direct_proportion",
        }
        for cell, column in same.items():
            book.check(f"{path}/{field}/{model}/{cell}", rows[column], TOLERANCE, 1e-9)
        book.check(f"{path}/{field}/k", rows["studies"], 0)


def compare_evidence(book: Cells, path: str, model: str, fit: NetworkFit) -> None:
    reference = book.data[path]
    impact, table = net_impact(fit), reference["netimpact"]
    names = {frozenset(pair): name for name, pair in zip(impact.columns, pairs_of(list(impact.columns)), strict=True)}
    columns = [names[frozenset(pair)] for pair in pairs_of(table["comparisons"])]
    book.check(f"{path}/netimpact/{model}", impact.loc[table["studies"], columns], IMPACT, IMPACT)
    measures = both_ways(evidence_measures(fit), [])
    cells = {
        "proportion": "direct_proportion",
        "meanpath": "mean_path_length",
        "minpar": "minimal_parallelism",
        "minpar_study": "minimal_parallelism_studies",
    }
    for cell, column in cells.items():
        rows = measures.loc[pairs_of(reference[f"netmeasures_{model}"]["comparisons"])]
        book.check(f"{path}/netmeasures_{model}/{cell}", rows[column], TOLERANCE, 1e-9)
    for field, method in (("shortestpath", "shortest_path"), ("randomwalk", "random_walk")):
        shares, table = contribution_matrix(fit, method), reference[f"contribution_{field}"]
        rows, columns = ([names[frozenset(pair)] for pair in pairs_of(table[k])] for k in ("rows", "cols"))
        book.check(f"{path}/contribution_{field}/{model}", shares.loc[rows, columns], TOLERANCE, 1e-9)
    league = league_with_direct(fit, reference["trts"])
    for cell, table in {"estimate": league.te, "lower": league.lower, "upper": league.upper}.items():
        book.check(f"{path}/league_{model}/{cell}", table, TOLERANCE, 1e-9)


def compare_q(book: Cells, path: str, fit: NetworkFit) -> None:
    q, reference = decompose_q(fit), book.data[path]["decomp_design"]
    cells = {"Q": "q", "df": "df", "pval": "p"}
    for cell, name in cells.items():
        parts = [part[name] for part in (q.total, q.within, q.between)]
        book.check(f"{path}/decomp_design/Q_decomp/{cell}", parts, TOLERANCE)
        book.check(f"{path}/decomp_design/inc_random/{cell}", q.between_random[name], TOLERANCE)
        for field, table in (("het_design", q.designs), ("inc_detach", q.detached)):
            found = table.set_index("design")[name].reindex(reference[field]["design"])
            if field == "inc_detach":  # those that take no degree of freedom are left out: 0 and no p
                found = found.where(found.notna(), np.nan if name == "p" else 0.0)
            book.check(f"{path}/decomp_design/{field}/{cell}", found, TOLERANCE, 1e-9)
    book.check(f"{path}/decomp_design/inc_random/tau2_within", q.between_random["tau2"], TOLERANCE)


def compare_network(book: Cells, path: str) -> None:
    reference = book.data[path]
    rows, order = contrasts_of(reference["input"]), reference["trts"]
    fits = {"random": fit_network(rows), "common": fit_network(rows, 0.0)}
    fit, desirable = fits["random"], DESIRABLE[reference["small_values"]]
    sign = 1 if desirable == "higher" else -1
    better = ndtr(sign * fit.te.to_numpy() / (fit.se.to_numpy() + np.eye(len(order))))
    np.fill_diagonal(better, np.nan)
    position = [fit.treatments.index(name) for name in order]
    ours = {
        "tau2": fit.tau2,
        "TE_random": fit.te.loc[order, order],
        "seTE_random": fit.se.loc[order, order],
        "pscore_random": p_scores(fit, desirable=desirable)[order],
        "pscore_common": p_scores_from(fit.te_common, fit.se_common, desirable=desirable)[order],
        "pscore_matrix_random": better[np.ix_(position, position)],
    }
    for cell, value in ours.items():
        book.check(f"{path}/{cell}", value, TOLERANCE, 1e-10)
    for method in ("back-calculation", "SIDDE"):
        compare_splits(book, path, method, fits)
    for model, one in fits.items():
        compare_evidence(book, path, model, one)
    compare_q(book, path, fit)


def compare_order(book: Cells, path: str) -> None:
    reference = book.data[path]
    order = reference["trts"]
    for model, tau2 in (("random", "DL"), ("common", 0.0)):
        scores = pd.DataFrame(
            {
                outcome: p_scores(fit_network(contrasts_of(rows), tau2), desirable=DESIRABLE[small])
                for (outcome, rows), small in zip(reference["inputs"].items(), reference["small_values"], strict=True)
            }
        ).loc[order, reference["outcomes"]]
        found = partial_order(scores)
        book.check(f"{path}/pscores_{model}", scores, TOLERANCE)
        book.check(f"{path}/M_{model}", found.relation, 0)
        book.check(f"{path}/M0_{model}", found.covering, 0)


@pytest.fixture(scope="module")
def book() -> Cells:
    found = Cells("network_more", LISTED)
    for name in found.data:
        if name.startswith("poset"):
            compare_order(found, name)
        elif name != "meta":
            compare_network(found, name)
    return found


def test_every_cell_agrees(book):
    assert not book.differences


def test_every_cell_is_compared_or_listed(book):
    book.assert_complete(__file__)
