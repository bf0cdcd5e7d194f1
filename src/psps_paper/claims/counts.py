"""Checks that count rows."""

from __future__ import annotations

import dataclasses

import networkx as nx
import pandas as pd

from psps_paper import formatting
from psps_paper.claims.model import (
    CODED,
    Evidence,
    Finding,
    _arguments,
    _between,
    _by_trials,
    _check,
    _exactly,
    _impossible,
    _listed,
    _missing_from_data,
    _optional,
    _select,
    _source,
    _spaced,
)
from psps_paper.network.inconsistency import split_evidence
from psps_paper.tables.conditions import condition_in_words


@_check("recomputed")
def count(evidence: Evidence, claim: pd.Series) -> Finding:
    """Count the rows of a table that meet a condition: ``table | condition | wider condition`` (optional).

    Where it is unclear what the statement includes, a wider condition is given, and the two counts are its bounds.
    """
    table, *conditions = _optional(claim, 2)
    against, (rows, *more) = _source(evidence, table, *conditions), _select(evidence, table, *conditions)
    detail = f"{len(rows)} row{'s' * (len(rows) != 1)} of {table}.csv" + _refs(rows)
    if not more:
        return _exactly(len(rows), detail, against)
    added = more[0].drop(rows.index)
    return _between(len(rows), len(more[0]), f"{detail}; {len(added)} more if taken widely" + _refs(added), against)


@_check("recomputed")
def percent(evidence: Evidence, claim: pd.Series) -> Finding:
    """Compute the percentage of rows that meet a condition: ``table | condition | condition of the denominator``.

    An optional fourth argument is a wider condition; the two percentages are then the bounds of the statement.
    """
    table, numerator, denominator, *wider = _optional(claim, 3)
    against, (part, *more) = (
        _source(evidence, table, numerator, denominator, *wider),
        _select(evidence, table, numerator, *wider),
    )
    whole = len(_select(evidence, table, denominator)[0])
    if not more:
        return _exactly(100 * len(part) / whole, f"{len(part)} of {whole} rows of {table}.csv", against)
    detail = f"{len(part)} of {whole} rows of {table}.csv, {len(more[0])} if taken widely"
    return _between(100 * len(part) / whole, 100 * len(more[0]) / whole, detail, against)


@_check("recomputed")
def extreme(evidence: Evidence, claim: pd.Series) -> Finding:
    """Find the lowest or highest value of a column: ``table | column | min or max``."""
    table, column, which = _arguments(claim, 3)
    word = {"min": "least", "max": "greatest"}[which]
    value = getattr(evidence.table(table)[column], which)()
    return _exactly(value, f"{word} {_spaced(column)} in {table}.csv", evidence.source(table, column))


@_check("recomputed")
def citations(evidence: Evidence, claim: pd.Series) -> Finding:
    """Count a printed citation list, which must name the studies that a condition selects.

    Arguments: ``list | condition on studies``, or ``list | condition | wider condition`` where it is unclear which
    studies belong to the list. The list must then contain every study of the first condition and none outside the
    second, and the two counts are the bounds of the statement.
    """
    listed, *conditions = _optional(claim, 2)
    cited, against = expand_citations(listed), _source(evidence, "studies", *conditions)
    selected, *more = ({int(ref) for ref in rows["ref"]} for rows in _select(evidence, "studies", *conditions))
    widest = more[0] if more else selected
    detail = f"{len(cited)} reference{'s' * (len(cited) != 1)} cited"
    if not selected <= cited <= widest:
        only_cited, only_selected = sorted(cited - widest), sorted(selected - cited)
        difference = f"cited only: {_listed(only_cited)}; registry only: {_listed(only_selected)}"
        return dataclasses.replace(_impossible(f"{detail}, not those of studies.csv ({difference})"), against=against)
    if more:
        return _between(
            len(selected),
            len(widest),
            f"{detail}; studies.csv has {len(selected)}, and {len(widest)} if taken widely",
            against,
        )
    return _exactly(len(cited), detail + ", the same as in studies.csv", against)


@_check("recomputed")
def distinct(evidence: Evidence, claim: pd.Series) -> Finding:
    """Count the distinct values of a column in the rows that meet a condition: ``table | column | condition``.

    An optional fourth argument is a wider condition; the two counts are then the bounds of the statement.
    """
    table, column, *conditions = _optional(claim, 3)
    against = _source(evidence, table, *conditions, column=column)
    rows, *more = (part.dropna(subset=column).sort_values(column) for part in _select(evidence, table, *conditions))
    values = rows[column].unique()
    if more:
        most = more[0][column].nunique()
        detail = f"{len(values)} by {table}.csv, and {most - len(values)} of which it does not say"
        return _between(len(values), most, detail, against)
    # Readers recognise titles, not identifiers
    named = rows.drop_duplicates(column)["title"] if "title" in rows else values
    return _exactly(len(values), f"{_spaced(column)} in {table}.csv: " + "; ".join(map(str, named)), against)


@_check("recomputed")
def cell(evidence: Evidence, claim: pd.Series) -> Finding:
    """Look up a column in the one row that meets a condition: ``table | column | condition``."""
    table, column, query = _arguments(claim, 3)
    (rows,) = _select(evidence, table, query)
    if len(rows) != 1:
        raise ValueError(f"{len(rows)} rows of {table}.csv meet {query}, expected one")
    detail = f"{_spaced(column)} in {table}.csv of the row where {condition_in_words(query)}"
    return _exactly(rows[column].iloc[0], detail, _source(evidence, table, query, column=column))


@_check("recomputed")
def names_listed(evidence: Evidence, claim: pd.Series) -> Finding:
    """Count names separated by bars, as the article lists them; this shows only that number and list are consistent."""
    names = [part.strip() for part in claim["arguments"].split(" | ")]
    return _exactly(len(names), "named: " + ", ".join(names), CODED)


@_check("recomputed")
def arms_of_study(evidence: Evidence, claim: pd.Series) -> Finding:
    """Count the arms of a study: ``ref``."""
    (ref,) = _arguments(claim, 1)
    arms = _arms(evidence.table("studies"), int(ref))
    return _exactly(len(arms), "arms: " + ", ".join(arms), evidence.source("studies", "arms"))


@_check("recomputed")
def arms_named(evidence: Evidence, claim: pd.Series) -> Finding:
    """Count the arms of a study whose name contains one of the words: ``word or word | ref``."""
    words, ref = _arguments(claim, 2)
    every = _arms(evidence.table("studies"), int(ref))
    arms = [arm for arm in every if any(word in arm for word in words.split(" or "))]
    detail = f"{words} among {', '.join(every)}: {', '.join(arms)}"
    return _exactly(len(arms), detail, evidence.source("studies", "arms"))


@_check("recomputed")
def fewest_arms(evidence: Evidence, claim: pd.Series) -> Finding:
    """Find the smallest number of arms among the studies of a printed citation list: ``list``."""
    (cited,) = _arguments(claim, 1)
    counts = {ref: len(_arms(evidence.table("studies"), ref)) for ref in sorted(expand_citations(cited))}
    detail = "arms: " + ", ".join(f"ref {ref} {n}" for ref, n in counts.items())
    return _exactly(min(counts.values()), detail, evidence.source("studies", "arms"))


@_check("recomputed")
def clinical_groups(evidence: Evidence, claim: pd.Series) -> Finding:
    """Count the clinical groups within a treatment class: ``class``."""
    (treatment_class,) = _arguments(claim, 1)
    studies = evidence.table("studies")
    groups = sorted(studies.loc[studies["treatment_class"] == treatment_class, "clinical_group"].unique())
    return _exactly(len(groups), "groups: " + ", ".join(groups), evidence.source("studies", "clinical_group"))


@_check("recomputed")
def classes_compared(evidence: Evidence, claim: pd.Series) -> Finding:
    """Count the treatment classes that the eligible studies compare, splitting combinations; takes no arguments."""
    compared = evidence.table("studies")["nma_comparison"].dropna()
    names = sorted(compared.str.split(r" vs | \+ ").explode().unique())
    return _from_comparisons(evidence, claim, names, "classes compared: " + ", ".join(names))


@_check("recomputed")
def treatments_connected(evidence: Evidence, claim: pd.Series) -> Finding:
    """Count the treatments in the largest connected part of the network of all eligible studies; takes no arguments."""
    parts = nx.connected_components(_comparisons(evidence.table("studies")))
    return _from_comparisons(evidence, claim, sorted(max(parts, key=len)))


@_check("recomputed")
def subnetworks(evidence: Evidence, claim: pd.Series) -> Finding:
    """Count the connected parts of the network of all eligible studies; takes no arguments."""
    return _from_comparisons(evidence, claim, _parts(_comparisons(evidence.table("studies"))))


@_check("recomputed")
def subnetworks_used(evidence: Evidence, claim: pd.Series) -> Finding:
    """Count the connected parts of the network of the studies used; takes no arguments."""
    return _from_comparisons(evidence, claim, _parts(_comparisons(_used(evidence))))


@_check("recomputed")
def closed_loops(evidence: Evidence, claim: pd.Series) -> Finding:
    """Count the independent closed loops in the network of all eligible studies; takes no arguments.

    Where there are trial-level data, it counts the loops in those.
    """
    if (fit := evidence.trial_fit) is None:
        return _from_comparisons(evidence, claim, nx.cycle_basis(_comparisons(evidence.table("studies"))))
    if missing := _missing_from_data(evidence, every="comparisons"):
        return missing
    graph = nx.Graph(list(zip(fit.contrasts["treat1"], fit.contrasts["treat2"], strict=True)))
    names = [" - ".join(loop) for loop in nx.cycle_basis(graph)]
    return _by_trials(fit, len(names), "; ".join(names) or "no closed loop")


@_check("recomputed")
def mixed_comparisons(evidence: Evidence, claim: pd.Series) -> Finding:
    """Count comparisons with direct and indirect evidence in the network of the studies used; takes no arguments.

    Where there are trial-level data, it counts the comparisons in those.
    """
    if (fit := evidence.trial_fit) is None:
        graph = _comparisons(_used(evidence))
        names = [" vs ".join(edge) for edge in sorted(set(graph.edges) - set(nx.bridges(graph)))]
        none = "every comparison is the only path between its treatments"
        return _from_comparisons(evidence, claim, names, "; ".join(names) or none)
    if missing := _missing_from_data(evidence, every="comparisons"):
        return missing
    split = split_evidence(fit).dropna(subset=["direct_te", "indirect_te"])
    names = [f"{row.treat1} vs {row.treat2}" for row in split.itertuples()]
    return _by_trials(fit, len(names), "; ".join(names) or "no comparison has both kinds of evidence")


def expand_citations(text: str) -> set[int]:
    """Return the reference numbers in a printed citation list such as ``11,28,36–41``."""
    numbers: set[int] = set()
    for part in text.replace("-", "–").split(","):
        first, _, last = part.strip().partition("–")
        numbers |= set(range(int(first), int(last or first) + 1))
    return numbers


def _refs(rows: pd.DataFrame) -> str:
    if "ref" not in rows or rows["ref"].isna().all():
        return ""
    refs = [str(ref) for ref in rows["ref"].dropna()]
    return f" ({formatting.references(refs)})" if len(refs) <= 8 else ""


def _arms(studies: pd.DataFrame, ref: int) -> list[str]:
    return studies.set_index("ref").at[ref, "arms"].split(" | ")


def _comparisons(studies: pd.DataFrame) -> nx.Graph:
    return nx.Graph([tuple(text.split(" vs ")) for text in studies["nma_comparison"].dropna()])


def _used(evidence: Evidence) -> pd.DataFrame:
    studies = evidence.table("studies")
    return studies[studies["nma_status"] == "used"]


def _parts(graph: nx.Graph) -> list[str]:
    """List the treatments of each connected part, as text."""
    return [formatting.sentence_list(sorted(part)) for part in nx.connected_components(graph)]


def _from_comparisons(evidence: Evidence, claim: pd.Series, names: list, detail: str = "") -> Finding:
    """Return the number of names found in the comparisons of the studies as a finding."""
    _arguments(claim, 0)
    detail = detail or "; ".join(map(str, names)) or "none in the comparisons of studies.csv"
    return _exactly(len(names), detail, evidence.source("studies", "nma_comparison"))
