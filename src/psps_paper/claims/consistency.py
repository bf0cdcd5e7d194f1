"""What the tables say twice must agree: cells against the registry, tables against each other, sums against wholes.

A rule looks at tables that their dictionaries accept and yields a :class:`Disagreement` for each cell that another
place contradicts. Which cell repeats which printed number is declared in ``data/repeats.csv``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from psps_paper.article.prisma import complete_flow
from psps_paper.article.published import published_edges
from psps_paper.article.rob import domain_bounds
from psps_paper.article.studies import included
from psps_paper.article.swim import summary_against_table
from psps_paper.claims.model import place
from psps_paper.formatting import number
from psps_paper.tables.load import load_table, meeting, row_name, table_names

Tables = Mapping[str, pd.DataFrame]
NUMERAL = re.compile(r"\d[\d,]*(?:\.\d+)?")
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
# Columns that name a row of another table: table, column, table and column that it names
REFERENCES = [
    ("claim_facts", "claim", "claims", "id"),
    ("claim_facts", "fact", "study_facts", "fact"),
    ("repeats", "claim", "claims", "id"),
    ("claims", "same_as", "claims", "id"),
]


@dataclass(frozen=True)
class Disagreement:
    """A cell that another place contradicts, or several cells of a table that cannot hold together.

    Attributes
    ----------
    table : str
        Name of the table, without ``.csv``.
    row : str
        As messages name it; empty where no single row is at fault.
    column : str
    value : str
        The cell, or the cells.
    expected : str
        What the other place says, and which place that is.
    """

    table: str
    row: str
    column: str
    value: str
    expected: str

    def __str__(self) -> str:
        where = ", ".join(part for part in (f"{self.table}.csv", self.row, f"column {self.column}") if part)
        return f"{where}: {self.value}, expected {self.expected}"


@dataclass(frozen=True)
class Rule:
    """A way to compare tables, and the tables that it needs."""

    function: Callable[[Tables], Iterator[Disagreement]]
    tables: tuple[str, ...]


RULES: list[Rule] = []


def _rule(*tables: str):
    def register(function):
        RULES.append(Rule(function, tables))
        return function

    return register


def disagreements(folder: Path | None = None) -> list[Disagreement]:
    """Everything in which the tables of a data folder contradict each other; empty where all agree.

    Raises
    ------
    TableError
        A table breaks its dictionary.
    """
    return compare({name: load_table(name, folder) for name in table_names(folder)})


def compare(tables: Tables) -> list[Disagreement]:
    """Apply every rule whose tables are all there; a review without a table has nothing to compare with it."""
    return [found for rule in RULES if set(rule.tables) <= set(tables) for found in rule.function(tables)]


@_rule("repeats", "claims")
def repeated_cells(tables: Tables) -> Iterator[Disagreement]:
    """Cells that repeat a statement of the registry: the value, and decimals, relation and unit where the table has them."""
    claims = tables["claims"].set_index("id", drop=False)
    linked: dict[tuple[str, str], set[int]] = {}
    for number_of_link, link in tables["repeats"].iterrows():
        if link["table"] not in tables or link["column"] not in tables[link["table"]]:
            yield _at(tables, "repeats", number_of_link, "column", f"a column of a table in data; {link['table']}.csv has none of that name")
            continue
        table = tables[link["table"]]
        rows = table.index[meeting(table, link["row"], f"{link['table']}.csv", f"repeats.csv, row {number_of_link + 1}, column row")]
        linked.setdefault((link["table"], link["column"]), set()).update(rows)
        if pd.isna(link["claim"]):
            continue
        if len(rows) != 1:
            yield _at(tables, "repeats", number_of_link, "row", f"one row of {link['table']}.csv; it selects {len(rows)}")
        elif link["claim"] in claims.index:
            claim = claims.loc[link["claim"]]
            for column, printed in _repeated(table, link["column"], claim).items():
                if table.at[rows[0], column] != printed:
                    yield _at(tables, link["table"], rows[0], column, f"{_shown(printed)} as printed: {claim['id']} ({place(claim)})")
    for (name, column), rows in linked.items():
        if pd.api.types.is_numeric_dtype(tables[name][column]):
            for row in tables[name].index[tables[name][column].notna()].difference(sorted(rows)):
                yield _at(tables, name, row, column, "a printed number: a row of repeats.csv that links it to its statement")


def _repeated(table: pd.DataFrame, column: str, claim: pd.Series) -> dict[str, object]:
    """What the cells of a row must hold if ``column`` repeats a statement."""
    if not pd.api.types.is_numeric_dtype(table[column]):
        return {column: f"{number(claim['value'], claim['decimals'])} {claim['unit']}"}
    same = [name for name in ("decimals", "relation", "unit") if name in table]
    return {column: claim["value"], **{name: claim[name] for name in same}}


@_rule("claims")
def printed_numerals(tables: Tables) -> Iterator[Disagreement]:
    """The printed words of a statement hold its value, where they hold numerals and are not a citation list."""
    for row, claim in tables["claims"].iterrows():
        numerals = [text.replace(",", "") for text in NUMERAL.findall(claim["printed"])]
        value = f"{claim['value']:.{claim['decimals']}f}"
        in_words = claim["value"] in range(len(WORDS)) and WORDS[int(claim["value"])] in claim["printed"].lower()
        if numerals and value not in numerals and not in_words and claim["check"] != "citations" and claim["relation"] != "~":
            yield _at(tables, "claims", row, "printed", f"words that hold the value, {value}")


@_rule("claims")
def repeated_statements(tables: Tables) -> Iterator[Disagreement]:
    """A place that repeats a statement prints the same: value, decimals, relation, unit, weight; and it repeats no repeat."""
    claims = tables["claims"].set_index("id", drop=False)
    for row, claim in tables["claims"].dropna(subset="same_as").iterrows():
        if claim["same_as"] not in claims.index:
            continue  # said by references()
        first = claims.loc[claim["same_as"]]
        if isinstance(first["same_as"], str) or first["id"] == claim["id"]:
            yield _at(tables, "claims", row, "same_as", "the first place of a statement, which repeats no other")
        for column in ("value", "decimals", "relation", "unit", "weight"):
            if claim[column] != first[column]:
                yield _at(tables, "claims", row, column, f"{_shown(first[column])}, as in {first['id']}, which it repeats")


@_rule("studies")
def studies_named_alike(tables: Tables) -> Iterator[Disagreement]:
    """Every table names a study by the identifier and the reference number that it has in ``studies.csv``."""
    names = tables["studies"].dropna(subset="ref").set_index("ref")["study"]
    for name, table in tables.items():
        if name == "studies" or "ref" not in table:
            continue
        for row, ref in table["ref"].dropna().items():
            if ref not in names.index:
                yield _at(tables, name, row, "ref", "a reference number of studies.csv")
            elif "study" in table and table.at[row, "study"] != names[ref]:
                yield _at(tables, name, row, "study", f"{names[ref]!r}, which has reference number {ref} in studies.csv")


@_rule()
def references(tables: Tables) -> Iterator[Disagreement]:
    """Identifiers that name a row of another table name one that is there."""
    for name, column, target, key in REFERENCES:
        if name in tables and target in tables:
            known = set(tables[target][key])
            for row, cell in tables[name][column].dropna().items():
                if cell not in known:
                    yield _at(tables, name, row, column, f"an identifier in column {key} of {target}.csv")


@_rule("studies", "study_facts")
def designs(tables: Tables) -> Iterator[Disagreement]:
    """A design that the article states is also the one that the trial's own pages state, where they state one."""
    facts = tables["study_facts"]
    independent = facts[(facts["field"] == "design") & (facts["chosen"] == "yes") & ~facts["source_kind"].isin(["article", "searched"])]
    texts = independent.set_index("study")["value"]
    for row, study in tables["studies"].dropna(subset="design").iterrows():
        text = texts.get(study["study"])
        if study["design"] != "not stated" and isinstance(text, str) and study["design"] not in text:
            yield _at(tables, "studies", row, "design", f"what study_facts.csv has from the trial's own pages: {text!r}")


@_rule("studies", "nma_published")
def network_comparisons(tables: Tables) -> Iterator[Disagreement]:
    """The comparisons of the studies used are those of which the numbers of estimates are printed."""
    edges = published_edges(tables["nma_published"])
    known = set(edges["treat1"] + " vs " + edges["treat2"])
    studies = tables["studies"]
    for row, comparison in studies.loc[studies["nma_status"] == "used", "nma_comparison"].items():
        if comparison not in known:
            yield _at(tables, "studies", row, "nma_comparison", f"a comparison with n_estimates in nma_published.csv: {', '.join(sorted(known))}")


@_rule("studies", "rob_domains")
def domain_totals(tables: Tables) -> Iterator[Disagreement]:
    """The percentages of a domain are whole numbers of the included studies and add up to all of them."""
    total = len(included(tables["studies"]))
    for domain, group in tables["rob_domains"].groupby("domain"):
        cells = ", ".join(f"{row.judgement} {row.percent:g}" for row in group.dropna(subset="percent").itertuples())
        try:
            bounds = domain_bounds(group, total)
        except ValueError as error:
            yield Disagreement("rob_domains", f"domain {domain}", "percent", cells, f"whole numbers of {total} studies, at most 100 % together: {error}")
            continue
        if group["percent"].notna().all() and not bounds["n_low"].sum() <= total <= bounds["n_high"].sum():
            yield Disagreement("rob_domains", f"domain {domain}", "percent", cells, f"100 % within rounding, which is {total} studies")


@_rule("prisma")
def flow_totals(tables: Tables) -> Iterator[Disagreement]:
    """What enters a box of the flow diagram less what leaves it is what remains."""
    flow = tables["prisma"]
    try:
        complete_flow(flow)
    except ValueError as error:
        boxes = ", ".join(f"{row.box} {row.n}" for row in flow.dropna(subset="n").itertuples())
        yield Disagreement("prisma", "", "n", boxes, f"counts that add up: {error}")


@_rule("studies", "summary_claims")
def summaries(tables: Tables) -> Iterator[Disagreement]:
    """The directions of the studies that a summary sentence cites do not speak against it."""
    agreement = summary_against_table(tables["studies"], tables["summary_claims"])["agrees"]
    for row, agrees in enumerate(agreement):
        if agrees == "no":
            yield _at(tables, "summary_claims", row, "expected", f"what the directions in studies.csv show for refs {tables['summary_claims'].at[row, 'refs']}")


def _at(tables: Tables, name: str, row: int, column: str, expected: str) -> Disagreement:
    table = tables[name]
    return Disagreement(name, row_name(table, row), column, _shown(table.at[row, column]), expected)


def _shown(cell: object) -> str:
    if pd.isna(cell):
        return "empty"
    return repr(cell) if isinstance(cell, str) else f"{cell:g}"
