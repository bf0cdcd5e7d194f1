"""Checks that count rows."""

from __future__ import annotations

import pandas as pd

from psps_paper import formatting
from psps_paper.claims.model import (
    Evidence,
    Finding,
    _arguments,
    _by_trials,
    _check,
    _exactly,
    _lacking,
    _listed,
    _select,
    _spaced,
)
from psps_paper.network.inconsistency import split_evidence


@_check("recomputed")
def count(evidence: Evidence, claim: pd.Series) -> Finding:
    """Count the rows of a table that meet a condition: ``table | condition``."""
    table, query = _arguments(claim, 2)
    rows = _select(evidence, table, query)
    return _exactly(len(rows), f"{len(rows)} row{'s' * (len(rows) != 1)} of {table}.csv" + _refs(rows))


@_check("recomputed")
def percent(evidence: Evidence, claim: pd.Series) -> Finding:
    """Share of rows that meet a condition: ``table | condition | condition of the denominator``."""
    table, numerator, denominator = _arguments(claim, 3)
    part, whole = _select(evidence, table, numerator), _select(evidence, table, denominator)
    return _exactly(100 * len(part) / len(whole), f"{len(part)} of {len(whole)} rows of {table}.csv")


@_check("recomputed")
def extreme(evidence: Evidence, claim: pd.Series) -> Finding:
    """Least or greatest value of a column: ``table | column | min or max``."""
    table, column, which = _arguments(claim, 3)
    word = {"min": "least", "max": "greatest"}[which]
    return _exactly(getattr(evidence.table(table)[column], which)(), f"{word} {_spaced(column)} in {table}.csv")


@_check("recomputed")
def citations(evidence: Evidence, claim: pd.Series) -> Finding:
    """Length of a printed citation list, which must name the studies that a condition selects.

    Arguments: ``list | condition on studies``. Where list and condition differ, both counts are given.
    """
    listed, query = _arguments(claim, 2)
    cited = expand_citations(listed)
    selected = {int(ref) for ref in _select(evidence, "studies", query)["ref"]}
    detail = f"{len(cited)} reference{'s' * (len(cited) != 1)} cited"
    if cited != selected:
        only_cited, only_selected = sorted(cited - selected), sorted(selected - cited)
        detail += f"; the registry has {len(selected)} (cited only: {_listed(only_cited)}; registry only: {_listed(only_selected)})"
        return Finding(min(len(cited), len(selected)), max(len(cited), len(selected)), detail, determined=False)
    return _exactly(len(cited), detail + ", the same as in studies.csv")


@_check("recomputed")
def distinct(evidence: Evidence, claim: pd.Series) -> Finding:
    """Count the different values of a column in the rows that meet a condition: ``table | column | condition``."""
    table, column, query = _arguments(claim, 3)
    rows = _select(evidence, table, query).dropna(subset=column).sort_values(column)
    values = rows[column].unique()
    # Identifiers say little to readers, titles what is counted
    named = rows.drop_duplicates(column)["title"] if "title" in rows else values
    return _exactly(len(values), f"{_spaced(column)} in {table}.csv: " + "; ".join(map(str, named)))


@_check("recomputed")
def cell(evidence: Evidence, claim: pd.Series) -> Finding:
    """The value of a column in the one row that meets a condition: ``table | column | condition``."""
    table, column, query = _arguments(claim, 3)
    rows = _select(evidence, table, query)
    if len(rows) != 1:
        raise ValueError(f"{len(rows)} rows of {table}.csv meet {query}, expected one")
    condition = _spaced(query).replace(" == ", " is ").replace('"', "").replace("'", "")
    return _exactly(rows[column].iloc[0], f"{_spaced(column)} in {table}.csv of the row where {condition}")


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
    import networkx as nx

    text = claim["arguments"]
    word, _, rest = text.partition(" ")
    studies = evidence.table("studies")
    if word == "@arms":
        return _exactly(len(_arms(studies, int(rest))), "arms: " + ", ".join(_arms(studies, int(rest))))
    if word == "@arms_named":
        named, _, ref = rest.rpartition(" ")
        names, every = named.split(" or "), _arms(studies, int(ref))
        arms = [arm for arm in every if any(name in arm for name in names)]
        return _exactly(len(arms), f"{named} among {', '.join(every)}: {', '.join(arms)}")
    if word == "@fewest_arms":
        counts = {ref: len(_arms(studies, ref)) for ref in sorted(expand_citations(rest))}
        return _exactly(min(counts.values()), "arms: " + ", ".join(f"ref {ref} {n}" for ref, n in counts.items()))
    if word == "@classes":
        parts = studies["nma_comparison"].dropna().str.split(r" vs | \+ ").explode()
        names = sorted(parts.unique())
        return _exactly(len(names), "classes compared: " + ", ".join(names))
    if word in ("@loops", "@mixed") and evidence.trial_fit is not None:
        return _loops_by_trials(evidence, word)
    if word in ("@used_components", "@mixed"):
        used = _comparisons(studies[studies["nma_status"] == "used"])
        groups = [formatting.sentence_list(sorted(part)) for part in nx.connected_components(used)]
        mixed = sorted(set(used.edges) - set(nx.bridges(used)))
        names = groups if word == "@used_components" else [" vs ".join(edge) for edge in mixed]
        return _exactly(len(names), "; ".join(names) or "every comparison is the only path between its treatments")
    if word == "@clinical_groups":
        groups = sorted(studies.loc[studies["treatment_class"] == rest, "clinical_group"].unique())
        return _exactly(len(groups), "groups: " + ", ".join(groups))
    if word in ("@treatments", "@components", "@loops"):
        graph = _comparisons(studies)
        parts = list(nx.connected_components(graph))
        main = graph.subgraph(max(parts, key=len))
        names = {"@treatments": sorted(main), "@components": [formatting.sentence_list(sorted(part)) for part in parts],
                 "@loops": nx.cycle_basis(graph)}[word]
        return _exactly(len(names), "; ".join(map(str, names)) or "none in the comparisons of studies.csv")
    if word.startswith("@"):
        raise ValueError(f"{word} is not something to count")
    names = [part.strip() for part in text.split(" | ")]
    return Finding(len(names), len(names), "named: " + ", ".join(names), determined=False)


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


def _comparisons(studies: pd.DataFrame) -> "nx.Graph":  # noqa: F821
    import networkx as nx

    return nx.Graph([tuple(text.split(" vs ")) for text in studies["nma_comparison"].dropna()])


def _loops_by_trials(evidence: Evidence, word: str) -> Finding:
    import networkx as nx

    if lacking := _lacking(evidence, every="comparisons"):
        return lacking
    fit = evidence.trial_fit
    graph = nx.Graph(list(zip(fit.contrasts["treat1"], fit.contrasts["treat2"], strict=True)))
    if word == "@loops":
        names = [" - ".join(loop) for loop in nx.cycle_basis(graph)]
    else:
        split = split_evidence(fit).dropna(subset=["direct_te", "indirect_te"])
        names = [f"{row.treat1} vs {row.treat2}" for row in split.itertuples()]
    return _by_trials(fit, len(names), "; ".join(names) or ("no closed loop" if word == "@loops" else "no comparison has both kinds of evidence"))
