"""Consistency of the tables: cells against the registry, tables against each other, sums against totals.

A rule takes tables that conform to their dictionaries and yields a :class:`Disagreement` for each cell that another
place contradicts. ``data/repeats.csv`` declares which cell repeats which printed number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from psps_paper.article.outcomes import outcome_of
from psps_paper.article.prisma import complete_flow
from psps_paper.article.published import published_edges
from psps_paper.article.rob import domain_bounds
from psps_paper.article.studies import included
from psps_paper.article.swim import summary_against_table
from psps_paper.claims.model import place
from psps_paper.formatting import half_unit, number
from psps_paper.tables.dataset import Dataset, dataset
from psps_paper.tables.errors import TableError
from psps_paper.tables.load import meeting, row_name

Tables = Mapping[str, pd.DataFrame]
NUMERAL = re.compile(r"\d[\d,]*(?:\.\d+)?")
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
# Measurements of a trial that results or tables use
MEASURED = ("_mean", "_sd")  # suffixes of fields
COUNT_COLUMNS = [f"{name}{arm}" for name in ("events", "randomised", "observed", "missing") for arm in (1, 2)]
# Columns that refer to a row of another table: table, column, then the table and column referred to
REFERENCES = [
    ("claim_facts", "claim", "claims", "id"),
    ("claim_facts", "fact", "study_facts", "fact"),
    ("repeats", "claim", "claims", "id"),
    ("claims", "same_as", "claims", "id"),
]


@dataclass(frozen=True)
class Disagreement:
    """A cell that another place contradicts, or several cells of a table that cannot all be right.

    Attributes
    ----------
    table : str
        Name of the table, without ``.csv``.
    row : str
        The row as messages name it; empty where no single row is at fault.
    column : str
    value : str
        The content of the cell or cells.
    expected : str
        The content of the other place, and which place that is.
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
    """A function that compares tables, and the tables that it needs."""

    function: Callable[[Tables], Iterator[Disagreement]]
    tables: tuple[str, ...]


RULES: list[Rule] = []


def _rule(*tables: str):
    def register(function):
        RULES.append(Rule(function, tables))
        return function

    return register


def disagreements(data: Dataset | Path | str | None = None) -> list[Disagreement]:
    """List all contradictions between the tables of a data folder; the list is empty where all agree.

    Raises
    ------
    TableError
        A table violates its dictionary.
    """
    data = dataset(data)
    return compare({name: data.table(name) for name in data.names})


def compare(tables: Tables) -> list[Disagreement]:
    """Apply every rule whose tables all exist; a review need not have every table."""
    return [found for rule in RULES if set(rule.tables) <= set(tables) for found in rule.function(tables)]


@_rule("repeats", "claims")
def repeated_cells(tables: Tables) -> Iterator[Disagreement]:
    """Check cells that repeat a statement: the value, and decimals, relation and unit where the table has them."""
    claims = tables["claims"].set_index("id", drop=False)
    linked: dict[tuple[str, str], set[int]] = {}
    for number_of_link, link in tables["repeats"].iterrows():
        if link["table"] not in tables or link["column"] not in tables[link["table"]]:
            yield _at(
                tables,
                "repeats",
                number_of_link,
                "column",
                f"a column of a table in data; {link['table']}.csv has no such column",
            )
            continue
        table = tables[link["table"]]
        rows = table.index[
            meeting(table, link["row"], f"{link['table']}.csv", f"repeats.csv, row {number_of_link + 1}, column row")
        ]
        linked.setdefault((link["table"], link["column"]), set()).update(rows)
        if pd.isna(link["claim"]):
            continue
        if len(rows) != 1:
            yield _at(
                tables, "repeats", number_of_link, "row", f"one row of {link['table']}.csv; it selects {len(rows)}"
            )
        elif link["claim"] in claims.index:
            claim = claims.loc[link["claim"]]
            for column, printed in _expected_cells(table, link["column"], claim).items():
                if table.at[rows[0], column] != printed:
                    yield _at(
                        tables,
                        link["table"],
                        rows[0],
                        column,
                        f"{_shown(printed)} as printed: {claim['id']} ({place(claim)})",
                    )
    for (name, column), rows in linked.items():
        if pd.api.types.is_numeric_dtype(tables[name][column]):
            for row in tables[name].index[tables[name][column].notna()].difference(sorted(rows)):
                yield _at(
                    tables, name, row, column, "a printed number: a row of repeats.csv that links it to its statement"
                )


def _expected_cells(table: pd.DataFrame, column: str, claim: pd.Series) -> dict[str, object]:
    """Return what the cells of a row must hold if ``column`` repeats a statement."""
    if not pd.api.types.is_numeric_dtype(table[column]):
        return {column: f"{number(claim['value'], claim['decimals'])} {claim['unit']}"}
    same = [name for name in ("decimals", "relation", "unit") if name in table]
    return {column: claim["value"], **{name: claim[name] for name in same}}


@_rule("claims")
def printed_numerals(tables: Tables) -> Iterator[Disagreement]:
    """Check that the quoted words of a statement contain its value, if they contain numerals other than citations."""
    for row, claim in tables["claims"].iterrows():
        numerals = [text.replace(",", "") for text in NUMERAL.findall(claim["printed"])]
        value = f"{claim['value']:.{claim['decimals']}f}"
        in_words = claim["value"] in range(len(WORDS)) and WORDS[int(claim["value"])] in claim["printed"].lower()
        if (
            numerals
            and value not in numerals
            and not in_words
            and claim["check"] != "citations"
            and claim["relation"] != "~"
        ):
            yield _at(tables, "claims", row, "printed", f"words that hold the value, {value}")


@_rule("claims")
def repeated_statements(tables: Tables) -> Iterator[Disagreement]:
    """Check that repeats of a statement agree with its first place: value, decimals, relation, unit and weight."""
    claims = tables["claims"].set_index("id", drop=False)
    for row, claim in tables["claims"].dropna(subset="same_as").iterrows():
        if claim["same_as"] not in claims.index:
            continue  # references() reports it
        first = claims.loc[claim["same_as"]]
        if isinstance(first["same_as"], str) or first["id"] == claim["id"]:
            yield _at(tables, "claims", row, "same_as", "the first place of a statement, which repeats no other")
        for column in ("value", "decimals", "relation", "unit", "weight"):
            if claim[column] != first[column]:
                yield _at(
                    tables, "claims", row, column, f"{_shown(first[column])}, as in {first['id']}, which it repeats"
                )


@_rule("studies")
def studies_named_alike(tables: Tables) -> Iterator[Disagreement]:
    """Check that every table gives a study the identifier and reference number that it has in ``studies.csv``."""
    names = tables["studies"].dropna(subset="ref").set_index("ref")["study"]
    for name, table in tables.items():
        if name == "studies" or "ref" not in table:
            continue
        for row, ref in table["ref"].dropna().items():
            if ref not in names.index:
                yield _at(tables, name, row, "ref", "a reference number of studies.csv")
            elif "study" in table and table.at[row, "study"] != names[ref]:
                yield _at(
                    tables, name, row, "study", f"{names[ref]!r}, which has reference number {ref} in studies.csv"
                )


@_rule()
def references(tables: Tables) -> Iterator[Disagreement]:
    """Check that identifiers that refer to a row of another table refer to one that exists."""
    for name, column, target, key in REFERENCES:
        if name in tables and target in tables:
            known = set(tables[target][key])
            for row, cell in tables[name][column].dropna().items():
                if cell not in known:
                    yield _at(tables, name, row, column, f"an identifier in column {key} of {target}.csv")


@_rule("studies", "study_facts")
def designs(tables: Tables) -> Iterator[Disagreement]:
    """Check that the article states the same design as the trial's own pages, where they state one."""
    facts = tables["study_facts"]
    independent = facts[
        (facts["field"] == "design") & (facts["chosen"] == "yes") & ~facts["source_kind"].isin(["article", "searched"])
    ]
    texts = independent.set_index("study")["value"]
    for row, study in tables["studies"].dropna(subset="design").iterrows():
        text = texts.get(study["study"])
        if study["design"] != "not stated" and isinstance(text, str) and study["design"] not in text:
            yield _at(
                tables, "studies", row, "design", f"what study_facts.csv has from the trial's own pages: {text!r}"
            )


@_rule("studies", "nma_published")
def network_comparisons(tables: Tables) -> Iterator[Disagreement]:
    """Check that the comparisons of the studies used are those with a printed number of estimates."""
    edges = published_edges(tables["nma_published"])
    known = set(edges["treat1"] + " vs " + edges["treat2"])
    studies = tables["studies"]
    for row, comparison in studies.loc[studies["nma_status"] == "used", "nma_comparison"].items():
        if comparison not in known:
            yield _at(
                tables,
                "studies",
                row,
                "nma_comparison",
                f"a comparison with n_estimates in nma_published.csv: {', '.join(sorted(known))}",
            )


@_rule("studies", "rob_domains")
def domain_totals(tables: Tables) -> Iterator[Disagreement]:
    """Check that the percentages of a domain are whole numbers of the included studies and add up to all of them."""
    total = len(included(tables["studies"]))
    for domain, group in tables["rob_domains"].groupby("domain"):
        cells = ", ".join(f"{row.judgement} {row.percent:g}" for row in group.dropna(subset="percent").itertuples())
        try:
            bounds = domain_bounds(group, total)
        except ValueError as error:
            yield Disagreement(
                "rob_domains",
                f"domain {domain}",
                "percent",
                cells,
                f"whole numbers of {total} studies, at most 100 % together: {error}",
            )
            continue
        if group["percent"].notna().all() and not bounds["n_low"].sum() <= total <= bounds["n_high"].sum():
            yield Disagreement(
                "rob_domains", f"domain {domain}", "percent", cells, f"100 % within rounding, which is {total} studies"
            )


@_rule("prisma")
def flow_totals(tables: Tables) -> Iterator[Disagreement]:
    """Check that each box of the flow diagram holds the records that enter it less those that leave."""
    flow = tables["prisma"]
    try:
        complete_flow(flow)
    except ValueError as error:
        boxes = ", ".join(f"{row.box} {row.n}" for row in flow.dropna(subset="n").itertuples())
        yield Disagreement("prisma", "", "n", boxes, f"counts that add up: {error}")


@_rule("studies", "summary_claims")
def summaries(tables: Tables) -> Iterator[Disagreement]:
    """Check that the directions of the studies that a summary sentence cites do not contradict it."""
    agreement = summary_against_table(tables["studies"], tables["summary_claims"])["agrees"]
    for row, agrees in enumerate(agreement):
        if agrees == "no":
            yield _at(
                tables,
                "summary_claims",
                row,
                "expected",
                f"what the directions in studies.csv show for refs {tables['summary_claims'].at[row, 'refs']}",
            )


@_rule("second_entries", "study_facts")
def second_entries(tables: Tables) -> Iterator[Disagreement]:
    """Check that a number entered a second time, or calculated from other facts, equals the cell."""
    facts = tables["study_facts"].set_index("fact")["number"]
    for row, entry in tables["second_entries"].iterrows():
        cell = _cell(tables, entry)
        if cell is None:
            yield _at(tables, "second_entries", row, "key", f"a row of {entry['table']}.csv")
            continue
        where = f"second_entries.csv, row {row + 1}"
        if entry["kind"] == "arithmetic":
            try:
                value = total_of(entry["terms"], facts)
            except ValueError as error:
                yield _at(tables, "second_entries", row, "terms", str(error))
                continue
            if value != entry["entry"]:
                yield _at(tables, "second_entries", row, "entry", f"{value:g}, which the terms give")
        if tables[entry["table"]].at[cell, entry["column"]] != entry["entry"]:
            yield _at(
                tables,
                entry["table"],
                cell,
                entry["column"],
                f"{entry['entry']:g}, as entered a second time ({entry['kind']}: {where})",
            )


@_rule("second_entries", "study_facts", "sample_sizes", "responder_counts", "reextracted_contrasts")
def entered_twice(tables: Tables) -> Iterator[Disagreement]:
    """Check that numbers that results depend on were entered twice."""
    entries = {tuple(cell) for cell in tables["second_entries"][["table", "key", "column"]].to_numpy()}
    for row, ref in tables["sample_sizes"]["ref"].items():
        for column in ("n_low", "n_high"):
            if ("sample_sizes", str(ref), column) not in entries:
                yield _at(tables, "sample_sizes", row, column, "a second entry in second_entries.csv")
    facts = tables["study_facts"]
    driving = facts["fact"].isin(_facts_behind_results(tables)) | (
        facts["field"].str.endswith(MEASURED) & (facts["chosen"] == "yes") & facts["number"].notna()
    )
    for row in facts.index[driving]:
        if ("study_facts", facts.at[row, "fact"], "number") not in entries:
            yield _at(tables, "study_facts", row, "number", "a second entry in second_entries.csv")


def _facts_behind_results(tables: Tables) -> set[str]:
    """Return the facts used to count responders and to convert effects."""
    counts = tables["responder_counts"]
    named = {name for column in COUNT_COLUMNS for name in counts[column].dropna()}
    return named | {name for names in tables["reextracted_contrasts"]["facts"].dropna() for name in names.split()}


def _cell(tables: Tables, entry: pd.Series) -> int | None:
    """Return the row of the cell that a second entry refers to."""
    table, key = tables.get(entry["table"]), {"study_facts": "fact", "sample_sizes": "ref"}[entry["table"]]
    rows = [] if table is None else table.index[table[key].astype(str) == entry["key"]]
    return int(rows[0]) if len(rows) else None


def total_of(terms: object, facts: pd.Series) -> float:
    """Add up facts and whole numbers, separated by + or - with a space on either side.

    Raises
    ------
    ValueError
        A term is neither a fact nor a whole number.
    """
    words = str(terms).split(" ") if isinstance(terms, str) else []
    if len(words) % 2 == 0 or not set(words[1::2]) <= {"+", "-"}:
        raise ValueError("facts and whole numbers, separated by + or - with a space on either side")
    total = 0.0
    for sign, word in zip(["+", *words[1::2]], words[::2], strict=True):
        value = float(word) if word.isdigit() else facts.get(word, math.nan)
        if math.isnan(value):
            raise ValueError(f"facts with a number: {word!r} has none")
        total += value if sign == "+" else -value
    return total


@_rule("study_facts")
def arms_add_up(tables: Tables) -> Iterator[Disagreement]:
    """Check that the patients randomised to the arms of a trial add up to all that it randomised."""
    facts = _numbers(tables, "n_randomised")
    for _, rows in facts.groupby("study"):
        whole, arms = rows[rows["arm"] == "all"], rows[rows["arm"] != "all"]
        if len(whole) == 1 and len(arms) > 1 and arms["number"].sum() != whole["number"].iloc[0]:
            yield _at(tables, "study_facts", whole.index[0], "number", f"{arms['number'].sum():g}, the sum of its arms")


@_rule("study_facts")
def losses_fit(tables: Tables) -> Iterator[Disagreement]:
    """Check that patients lost from an arm are those randomised less those who completed or were analysed.

    Only arms with both numbers are checked. A page may count lost patients as analysed, or start from more patients
    than the row chosen as randomised.
    """
    everyone = tables["study_facts"]
    for row, lost in _numbers(tables, "dropouts_n").iterrows():
        arm = everyone[
            (everyone["study"] == lost["study"]) & (everyone["arm"] == lost["arm"]) & everyone["number"].notna()
        ]
        begun = set(arm.loc[arm["field"] == "n_randomised", "number"])
        ended = {
            field: set(arm.loc[(arm["field"] == field) & (arm["chosen"] == "yes"), "number"])
            for field in ("n_completed", "n_analysed")
        }
        remain = {start - lost["number"] for start in begun}
        if begun and any(ended.values()) and not (remain & set.union(*ended.values()) or begun & ended["n_analysed"]):
            yield _at(
                tables,
                "study_facts",
                row,
                "number",
                f"{_joined(begun)} randomised less {_joined(set.union(*ended.values()))} who completed "
                "or were analysed",
            )


@_rule("study_facts")
def percentages_of_responders(tables: Tables) -> Iterator[Disagreement]:
    """Check the number of responders in an arm against the percentage on the trial's page, where there is one."""
    totals, randomised, percents = (
        _numbers(tables, field) for field in ("responders_total", "n_randomised", "responders_percent")
    )
    for row, count in _numbers(tables, "responders_n").iterrows():
        printed = _matching_facts(percents, count, ["arm", "time", "outcome"])["number"]
        people = list(_matching_facts(totals, count, ["arm", "time", "outcome"])["number"])
        if not people:
            people = [
                n
                for most in _matching_facts(randomised, count, ["arm"])["number"]
                for n in range(max(int(count["number"]), 1), int(most) + 1)
            ]
        shares = [100 * count["number"] / n for n in people]
        if len(printed) and people and not any(_prints_as(share, percent) for share in shares for percent in printed):
            expected = f"a number that is {_joined(printed)} % of {_joined([people[0], people[-1]])} patients"
            yield _at(tables, "study_facts", row, "number", expected)


def _matching_facts(facts: pd.DataFrame, row: pd.Series, columns: list[str]) -> pd.DataFrame:
    """Select the facts of the same study that agree with a row in these columns."""
    same = ["study", *columns]
    return facts[(facts[same].fillna("") == row[same].fillna("")).all(axis=1)]


def _prints_as(value: float, printed: float) -> bool:
    return abs(value - printed) <= half_unit(len(f"{printed:g}".partition(".")[2])) * (1 + 1e-6)


@_rule("outcomes")
def declared_outcomes(tables: Tables) -> Iterator[Disagreement]:
    """Check that the settings of each analysis are valid and name treatments that exist."""
    known = set(tables["treatment_classes"]["treatment_class"]) if "treatment_classes" in tables else None
    for row, cells in tables["outcomes"].iterrows():
        try:
            outcome = outcome_of(cells, f"outcomes.csv, row {row + 1}")
        except TableError as error:
            column, fault = str(error).partition(", column ")[2].split(": ", 1)
            yield Disagreement(
                "outcomes",
                row_name(tables["outcomes"], row),
                column,
                _shown(cells[column]),
                fault.partition(" is not ")[2],
            )
            continue
        if known is not None and set(outcome.order) != known:
            yield _at(
                tables,
                "outcomes",
                row,
                "order",
                f"the treatments of treatment_classes.csv, each once ({', '.join(sorted(set(outcome.order) ^ known))})",
            )


@_rule("outcomes")
def declared_direction(tables: Tables) -> Iterator[Disagreement]:
    """Check that comparisons are written in the declared order of treatments, so that no reader has to reverse one."""
    order = list(outcome_of(tables["outcomes"].iloc[0], "outcomes.csv, row 1").order)
    for name in ("nma_published", "reextracted_contrasts"):
        pairs = (
            tables[name][["treat1", "treat2"]].dropna()
            if name in tables
            else pd.DataFrame(columns=["treat1", "treat2"])
        )
        for row, (treat1, treat2) in zip(pairs.index, pairs.to_numpy(), strict=True):
            if {treat1, treat2} <= set(order) and order.index(treat1) > order.index(treat2):
                yield _at(
                    tables, name, row, "treat1", f"{treat2!r}, which comes before it in the order of outcomes.csv"
                )


def _numbers(tables: Tables, field: str) -> pd.DataFrame:
    """Select the facts of a field that were chosen and have a number."""
    facts = tables["study_facts"]
    return facts[(facts["field"] == field) & (facts["chosen"] == "yes") & facts["number"].notna()]


def _joined(values: Iterable[float]) -> str:
    return " or ".join(f"{value:g}" for value in dict.fromkeys(sorted(values)))


def _at(tables: Tables, name: str, row: int, column: str, expected: str) -> Disagreement:
    table = tables[name]
    return Disagreement(name, row_name(table, row), column, _shown(table.at[row, column]), expected)


def _shown(cell: object) -> str:
    if pd.isna(cell):
        return "empty"
    return repr(cell) if isinstance(cell, str) else f"{cell:g}"
