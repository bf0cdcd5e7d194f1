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
    """Count the rows of a table that meet a condition: ``table | condition``, or ``table | condition | wider
    condition``.

    With a wider condition, where it is open what the statement takes in, both counts bound it.
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
    """Share of rows that meet a condition: ``table | condition | condition of the denominator``.

    A fourth argument is a wider condition; then both shares bound the statement.
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
    """Least or greatest value of a column: ``table | column | min or max``."""
    table, column, which = _arguments(claim, 3)
    word = {"min": "least", "max": "greatest"}[which]
    value = getattr(evidence.table(table)[column], which)()
    return _exactly(value, f"{word} {_spaced(column)} in {table}.csv", evidence.source(table, column))


@_check("recomputed")
def citations(evidence: Evidence, claim: pd.Series) -> Finding:
    """Length of a printed citation list, which must name the studies that a condition selects.

    Arguments: ``list | condition on studies``, or ``list | condition | wider condition`` where it is open which studies
    belong to the list; then it must hold the first and lie within the second, and both counts bound the statement.
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
    """Count the different values of a column in the rows that meet a condition: ``table | column | condition``.

    A fourth argument is a wider condition; then both counts bound the statement.
    """
    table, column, *conditions = _optional(claim, 3)
    against = _source(evidence, table, *conditions, column=column)
    rows, *more = (part.dropna(subset=column).sort_values(column) for part in _select(evidence, table, *conditions))
    values = rows[column].unique()
    if more:
        most = more[0][column].nunique()
        detail = f"{len(values)} by {table}.csv, and {most - len(values)} of which it does not say"
        return _between(len(values), most, detail, against)
    # Identifiers say little to readers, titles what is counted
    named = rows.drop_duplicates(column)["title"] if "title" in rows else values
    return _exactly(len(values), f"{_spaced(column)} in {table}.csv: " + "; ".join(map(str, named)), against)


@_check("recomputed")
def cell(evidence: Evidence, claim: pd.Series) -> Finding:
    """The value of a column in the one row that meets a condition: ``table | column | condition``."""
    table, column, query = _arguments(claim, 3)
    (rows,) = _select(evidence, table, query)
    if len(rows) != 1:
        raise ValueError(f"{len(rows)} rows of {table}.csv meet {query}, expected one")
    detail = f"{_spaced(column)} in {table}.csv of the row where {condition_in_words(query)}"
    return _exactly(rows[column].iloc[0], detail, _source(evidence, table, query, column=column))


@_check("recomputed")
def text_count(evidence: Evidence, claim: pd.Series) -> Finding:
    """Count things that the article lists by name.

    Arguments: the names themselves, separated by bars, which shows only that the number fits the list beside it; or
    ``@arms REF`` (arms of a study), ``@arms_named WORD or WORD REF`` (those of them with one of the words),
    ``@fewest_arms LIST`` (of the studies of a citation list, the least number of arms), ``@clinical_groups CLASS``;
    of the network of all eligible studies ``@classes`` (treatment classes, combinations taken apart),
    ``@treatments`` (of its greatest part), ``@components`` and ``@loops``; of the network of the studies used
    ``@used_components`` and ``@mixed`` (comparisons with direct and indirect evidence). ``@loops`` and ``@mixed`` are
    counted in the trial-level data where there are any.
    """
    text = claim["arguments"]
    word, _, rest = text.partition(" ")
    studies = evidence.table("studies")
    if word in ("@loops", "@mixed") and evidence.trial_fit is not None:
        return _loops_by_trials(evidence, word)
    if word in ("@classes", "@used_components", "@mixed", "@treatments", "@components", "@loops"):
        names, detail = _parts_of_network(studies, word)
        return _exactly(len(names), detail, evidence.source("studies", "nma_comparison"))
    if word == "@clinical_groups":
        groups = sorted(studies.loc[studies["treatment_class"] == rest, "clinical_group"].unique())
        return _exactly(len(groups), "groups: " + ", ".join(groups), evidence.source("studies", "clinical_group"))
    if word.startswith("@"):
        number, detail = _counted_arms(studies, word, rest)
        return _exactly(number, detail, evidence.source("studies", "arms"))
    names = [part.strip() for part in text.split(" | ")]
    return _exactly(len(names), "named: " + ", ".join(names), CODED)


def expand_citations(text: str) -> set[int]:
    """Reference numbers of a printed citation list such as ``11,28,36–41``."""
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


def _loops_by_trials(evidence: Evidence, word: str) -> Finding:
    if missing := _missing_from_data(evidence, every="comparisons"):
        return missing
    fit = evidence.trial_fit
    graph = nx.Graph(list(zip(fit.contrasts["treat1"], fit.contrasts["treat2"], strict=True)))
    if word == "@loops":
        names = [" - ".join(loop) for loop in nx.cycle_basis(graph)]
    else:
        split = split_evidence(fit).dropna(subset=["direct_te", "indirect_te"])
        names = [f"{row.treat1} vs {row.treat2}" for row in split.itertuples()]
    return _by_trials(
        fit,
        len(names),
        "; ".join(names) or ("no closed loop" if word == "@loops" else "no comparison has both kinds of evidence"),
    )


def _counted_arms(studies: pd.DataFrame, word: str, rest: str) -> tuple[int, str]:
    if word == "@arms":
        arms = _arms(studies, int(rest))
        return len(arms), "arms: " + ", ".join(arms)
    if word == "@arms_named":
        named, _, ref = rest.rpartition(" ")
        names, every = named.split(" or "), _arms(studies, int(ref))
        arms = [arm for arm in every if any(name in arm for name in names)]
        return len(arms), f"{named} among {', '.join(every)}: {', '.join(arms)}"
    if word == "@fewest_arms":
        counts = {ref: len(_arms(studies, ref)) for ref in sorted(expand_citations(rest))}
        return min(counts.values()), "arms: " + ", ".join(f"ref {ref} {n}" for ref, n in counts.items())
    raise ValueError(f"{word} is not something to count")


def _parts_of_network(studies: pd.DataFrame, word: str) -> tuple[list, str]:
    """What a word of :func:`text_count` counts in the comparisons of the studies, and how it reads."""
    import networkx as nx

    if word == "@classes":
        names = sorted(studies["nma_comparison"].dropna().str.split(r" vs | \+ ").explode().unique())
        return names, "classes compared: " + ", ".join(names)
    used = word in ("@used_components", "@mixed")
    graph = _comparisons(studies[studies["nma_status"] == "used"] if used else studies)
    parts = list(nx.connected_components(graph))
    if word == "@mixed":
        names = [" vs ".join(edge) for edge in sorted(set(graph.edges) - set(nx.bridges(graph)))]
        return names, "; ".join(names) or "every comparison is the only path between its treatments"
    if word == "@treatments":
        names = sorted(max(parts, key=len))
    elif word == "@loops":
        names = nx.cycle_basis(graph)
    else:
        names = [formatting.sentence_list(sorted(part)) for part in parts]
    return names, "; ".join(map(str, names)) or "none in the comparisons of studies.csv"
