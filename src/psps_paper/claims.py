"""The registry of printed numbers: how each is checked, and the verdict that the check gives."""

from __future__ import annotations

import ast
import dataclasses
import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import scipy

from psps_paper import formatting
from psps_paper.evidence import fact as fact_row, linked_value
from psps_paper.network.inconsistency import decompose_q, split_evidence
from psps_paper.network.model import NetworkFit
from psps_paper.network.ranking import p_scores
from psps_paper.published import LABELS, PublishedNetwork, published_network
from psps_paper.recover import df_from_i2_interval
from psps_paper.tables import TableError, load_table
from psps_paper.trials import ENOUGH_FOR_EGGER, LackingPrint, Printed, book_network, comparison_adjusted_egger, lacking_print

if TYPE_CHECKING:
    import networkx as nx  # each function that needs it imports it: it is slow to load

VERDICTS = ("reproduces", "consistent", "contradicts", "not checkable")
ABOUT = 0.1  # a quantity stated in a word ("half") may differ by this share of its value


@dataclass(frozen=True)
class Finding:
    """What a check found for one statement.

    Attributes
    ----------
    low, high : float
        The values that the check allows; equal where it gives one value, NaN where it has no evidence,
        ``low`` above ``high`` where no value at all is possible.
    detail : str
        How the value came about, in a few words with the numbers.
    determined : bool
        True where the check computes the value itself, so that agreement means that it reproduces;
        False where it can only say whether the printed value is possible.
    from_trials : bool
        True where the value comes from trial-level data in ``data/trials`` (tier "recomputed"), or would if they held enough.
    settles : str
        What would settle a statement that cannot be checked, where the registry does not say it.
    """

    low: float
    high: float
    detail: str
    determined: bool = True
    from_trials: bool = False
    settles: str = ""


@dataclass(frozen=True)
class Evidence:
    """The tables on which checks draw, and the network that they imply."""

    folder: Path | None = None

    def table(self, name: str) -> pd.DataFrame:
        """A table of the data folder, loaded once."""
        if name not in self._tables:
            self._tables[name] = load_table(name, self.folder)
        return self._tables[name]

    @cached_property
    def _tables(self) -> dict[str, pd.DataFrame]:
        return {}

    @cached_property
    def claims(self) -> pd.DataFrame:
        return load_claims(self.folder)

    @cached_property
    def te_desirable(self) -> str:
        return self.table("outcomes")["te_desirable"].iloc[0]

    @cached_property
    def network(self) -> PublishedNetwork:
        return published_network(self.table("nma_published"), desirable=self.te_desirable)

    @cached_property
    def trial_fit(self) -> NetworkFit | None:
        """Network of the trial-level data, where those of the article's outcome are present."""
        book = book_network(self.folder)
        return None if isinstance(book.state, Printed) else book.fit

    @cached_property
    def lacking(self) -> LackingPrint:
        """What the print names and the trials of :attr:`trial_fit` lack."""
        return lacking_print(self.trial_fit.contrasts, self.table("nma_published"))

    @cached_property
    def trial_p_scores(self) -> pd.Series:
        return p_scores(self.trial_fit, desirable=self.te_desirable)

    @cached_property
    def p_scores(self) -> pd.Series:
        return p_scores(self.network.fit, desirable=self.te_desirable)


def load_claims(folder: Path | None = None) -> pd.DataFrame:
    """Every quantitative statement of the article, one row each, indexed by its id.

    Raises
    ------
    TableError
        The table breaks its dictionary, names an unknown check, or gives a check another tier than it has.
    """
    claims = load_table("claims", folder)
    for row, claim in claims.iterrows():
        where = f"claims.csv, row {row + 1} (id {claim['id']})"
        if claim["check"] not in CHECKS:
            raise TableError(f"{where}, column check: {claim['check']!r} is not one of {', '.join(sorted(CHECKS))}")
        tier = CHECKS[claim["check"]].tier
        if claim["tier"] != tier:
            raise TableError(f"{where}, column tier: {claim['tier']!r} is not {tier}, the tier of {claim['check']}")
    return claims.set_index("id", drop=False)


def check_claims(folder: Path | None = None) -> pd.DataFrame:
    """Check every statement of the registry.

    Parameters
    ----------
    folder : Path, optional
        The data folder; by default that of this checkout.

    Returns
    -------
    DataFrame
        The registry with the columns ``shown`` (the printed value as this edition writes it),
        ``computed`` (what the check found, formatted), ``low``, ``high``, ``detail``, ``verdict``,
        ``as_expected`` (whether the verdict is the one of the last release). A statement that trial-level data
        check has the tier "recomputed" and is expected to agree with them, or to be not checkable where they hold too little;
        then ``settles`` says what they lack.
    """
    evidence = Evidence(folder)
    claims = evidence.claims
    rows = []
    tiers, expected, settles = (claims[name].copy() for name in ("tier", "expected", "settles"))
    for _, claim in claims.iterrows():
        finding = find(evidence, claim)
        rows.append({
            "shown": shown(claim),
            "computed": _computed(claim, finding),
            "low": finding.low,
            "high": finding.high,
            "detail": finding.detail,
            "verdict": verdict(claim, finding),
        })
        if finding.from_trials:
            tiers[claim["id"]] = "recomputed"
            found = "reproduces" if finding.determined else "consistent"
            expected[claim["id"]] = "not checkable" if math.isnan(finding.low) else found
            settles[claim["id"]] = finding.settles or None
    checked = claims.assign(tier=tiers, expected=expected, settles=settles).join(pd.DataFrame(rows, index=claims.index))
    return checked.assign(as_expected=checked["verdict"] == checked["expected"])


def find(evidence: Evidence, claim: pd.Series) -> Finding:
    """Run the check of one statement.

    Raises
    ------
    TableError
        Naming the statement, where its arguments are not what its check takes.
    """
    try:
        return CHECKS[claim["check"]].function(evidence, claim)
    except TableError:
        raise
    except (ArithmeticError, AttributeError, LookupError, NameError, SyntaxError, TypeError, ValueError) as error:
        row = evidence.claims.index.get_loc(claim["id"]) + 1
        raise TableError(
            f"claims.csv, row {row} (id {claim['id']}), column arguments: {claim['arguments']!r} "
            f"does not suit {claim['check']}: {error}"
        ) from error


def shown(claim: pd.Series) -> str:
    """The printed value of a statement as this edition writes it."""
    return formatting.printed_value(claim["value"], claim["decimals"], claim["relation"], claim["unit"])


def place(claim: pd.Series) -> str:
    """Where a statement is printed: its section, and its paragraph or table."""
    paragraph = claim["paragraph"]
    return f"{claim['section']}, " + (f"paragraph {paragraph}" if paragraph.isdigit() else paragraph)


def verdict(claim: pd.Series, finding: Finding) -> str:
    """Compare what a check found with what is printed.

    reproduces
        The check computes the value, and it prints as printed (for ``<`` and ``>``: the relation holds).
    consistent
        The check cannot compute the value, but what it allows includes the printed one; or the value is
        stated in a word and lies within a tenth of it.
    contradicts
        Nothing that the check allows prints as printed.
    not checkable
        The check finds no evidence here.
    """
    if math.isnan(finding.low):
        return "not checkable"
    value, low, high = claim["value"], finding.low, finding.high
    if low > high:
        return "contradicts"
    if claim["relation"] == "<":
        holds, may_hold = high < value, low < value
    elif claim["relation"] == ">":
        holds, may_hold = low > value, high > value
    elif claim["relation"] == "~":
        holds, may_hold = False, low <= value * (1 + ABOUT) and high >= value * (1 - ABOUT)
    else:
        slack = formatting.half_unit(claim["decimals"]) * (1 + 1e-6)
        may_hold = low <= value + slack and high >= value - slack
        holds = low == high and may_hold
    if holds and finding.determined:
        return "reproduces"
    return "consistent" if may_hold else "contradicts"


def _computed(claim: pd.Series, finding: Finding) -> str:
    if math.isnan(finding.low):
        return "nothing here"
    if finding.low > finding.high:
        return "no value fits"
    decimals = claim["decimals"] if claim["decimals"] == 0 else claim["decimals"] + 1
    if claim["unit"] == "year":
        return str(int(finding.low))
    if 0 < finding.low <= finding.high < formatting.half_unit(decimals):  # a tiny p value is not zero
        text = f"<\N{NARROW NO-BREAK SPACE}{formatting.number(2 * formatting.half_unit(decimals), decimals)}"
    elif finding.low == finding.high:
        text = formatting.number(finding.low, decimals if finding.low % 1 else claim["decimals"])
    else:
        text = formatting.interval(finding.low, finding.high, decimals)
    return text + formatting.UNIT_SUFFIX.get(claim["unit"], "")


# --- checks -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Check:
    """A way to check a statement, and the tier of the value that it computes."""

    function: Callable[[Evidence, pd.Series], Finding]
    tier: str


CHECKS: dict[str, Check] = {}


def _check(tier: str):
    def register(function):
        CHECKS[function.__name__] = Check(function, tier)
        return function

    return register


def _arguments(claim: pd.Series, count: int) -> list[str]:
    text = claim["arguments"]
    parts = [part.strip() for part in text.split(" | ")] if isinstance(text, str) else []
    if len(parts) != count:
        raise ValueError(f"{len(parts)} parts, expected {count}")
    return parts


def _exactly(value: float, detail: str) -> Finding:
    return Finding(float(value), float(value), detail)


def _by_trials(fit: NetworkFit, value: float, what: str, *, determined: bool = True) -> Finding:
    detail = f"{what}, from {fit.n_contrasts} estimates in trials/contrasts.csv"
    return Finding(float(value), float(value), detail, determined=determined, from_trials=True)


def _nothing(detail: str) -> Finding:
    return Finding(math.nan, math.nan, detail, determined=False)


def _lacking(evidence: Evidence, *treatments: str, every: str = "") -> Finding | None:
    """A finding that says what trial-level data lack for a statement; None where they lack nothing.

    ``every`` is "treatments" or "comparisons": a statement on the whole network needs all that are printed.
    """
    lacking, has = evidence.lacking, evidence.trial_fit.treatments
    missing = [name for name in treatments if name not in has]
    if every == "treatments":
        missing = lacking.treatments
    elif every == "comparisons":
        missing = [f"{treat1} against {treat2}" for treat1, treat2 in lacking.comparisons]
    return _too_little(f"no estimate of {', '.join(missing)}", f"Estimates of {', '.join(missing)} from trials") if missing else None


def _too_little(detail: str, settles: str) -> Finding:
    """What trial-level data would tell, and do not hold."""
    return dataclasses.replace(_nothing(f"trials/contrasts.csv: {detail}"), from_trials=True, settles=settles)


def _impossible(detail: str) -> Finding:
    return Finding(math.inf, -math.inf, detail)


def _clash(published: PublishedNetwork) -> Finding:
    clashes = ", ".join(f"{LABELS[row.quantity]} {row.treat1}" for row in published.recovery.clashes.itertuples())
    return _impossible(f"the printed values cannot hold together: {clashes}")


def _select(evidence: Evidence, table: str, query: str) -> pd.DataFrame:
    return evidence.table(table).query(query, engine="python")


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


@_check("implied")
def arithmetic(evidence: Evidence, claim: pd.Series) -> Finding:
    """Evaluate an expression over the boxes of the flow diagram and other printed values.

    Names are boxes of ``prisma.csv``; ``claim("id")`` is another printed value, ``arms(ref)`` the number of
    arms of a study. The statement's own value is never used.
    """
    expression = claim["arguments"]
    steps = evidence.table("prisma").dropna(subset="n").set_index("box")
    boxes = steps["n"].astype(float)

    def printed(name):
        if name == claim["id"]:
            raise ValueError("the statement would check itself")
        return float(evidence.claims.at[name, "value"])

    functions = {
        "claim": printed,
        "arms": lambda ref: float(len(_arms(evidence.table("studies"), int(ref)))),
        "round": round,
    }
    value = evaluate(expression, boxes.to_dict(), functions)
    found = formatting.number(value, 3 if value % 1 else 0)
    if whole := re.fullmatch(r'claim\("([^"]+)"\)', expression.strip()):
        other = evidence.claims.loc[whole.group(1)]
        return _exactly(value, f"{other['quantity']}: {shown(other)}, as printed in {place(other)}")

    def other_printed(name):
        other = evidence.claims.loc[name]
        return f"{formatting.printed_value(other['value'], other['decimals'])} ({other['quantity']})"

    words = in_words(
        expression,
        {box: f"{steps.at[box, 'n']:.0f} ({steps.at[box, 'label'][0].lower()}{steps.at[box, 'label'][1:]})" for box in steps.index},
        {"claim": other_printed, "arms": lambda ref: f"{functions['arms'](ref):.0f} (arms of ref {ref})", "round": "{}, rounded".format},
    )
    return _exactly(value, f"{words} = {found}")


@_check("implied")
def cross_check(evidence: Evidence, claim: pd.Series) -> Finding:
    """An expression as for ``arithmetic``, over printed values that have no other check.

    One equation among several such values, or the same number at two places, shows that they fit together; it does
    not compute any of them.
    """
    return dataclasses.replace(arithmetic(evidence, claim), determined=False)


@_check("implied")
def possible_percent(evidence: Evidence, claim: pd.Series) -> Finding:
    """Whether some whole number of a denominator prints as the percentage (GRIM).

    Arguments: the denominator, or a range ``low..high`` where it is not known; each as a number, a box of
    ``prisma.csv`` or a fact of ``study_facts.csv``.

    Source: Brown & Heathers 2017.
    """
    (text,) = _arguments(claim, 1)
    value, decimals = claim["value"], claim["decimals"]
    ends = [_whole_number(evidence, end) for end in text.split("..")]
    denominators = list(range(ends[0], ends[-1] + 1))
    options = possible_counts(value, decimals, denominators)
    if not options:
        nearest = min(
            ((abs(100 * k / n - value), k, n) for n in denominators for k in (int(value * n / 100), int(value * n / 100) + 1)),
        )
        _, k, n = nearest
        whole = f"{ends[0]} to {ends[-1]}" if len(denominators) > 1 else str(n)
        return Finding(100 * k / n, 100 * k / n, f"no whole number of {whole} gives it; nearest {k} of {n}", determined=False)
    shown_options = ", ".join(f"{k} of {n}" for k, n in options[:3]) + (" and more" if len(options) > 3 else "")
    shares = [100 * k / n for k, n in options]
    return Finding(min(shares), max(shares), "possible as " + shown_options, determined=False)


@_check("implied")
def interval_midpoint(evidence: Evidence, claim: pd.Series) -> Finding:
    """Where an estimate must lie if its interval is symmetric: ``lower | upper | logit | decimals``.

    A pooled proportion is symmetric on the logit scale only for some methods, so this can show consistency,
    not more.
    """
    lower, upper, _, decimals = _arguments(claim, 4)
    half = formatting.half_unit(int(decimals))
    logits = [[scipy.special.logit((float(limit) + d) / 100) for limit in (lower, upper)] for d in (-half, half)]
    ends = [100 * scipy.special.expit(sum(pair) / 2) for pair in logits]
    return Finding(min(ends), max(ends), f"midpoint of {lower} to {upper} on the logit scale", determined=False)


@_check("implied")
def network(evidence: Evidence, claim: pd.Series) -> Finding:
    """A quantity of the network that agrees with all printed values: ``quantity | treat1 | treat2``.

    A printed value is computed at the central solution and must also lie in the interval that all other
    printed values imply for it. One that is not printed has the interval that all printed values imply.
    """
    quantity, treat1, treat2 = (claim["arguments"].split("|") + ["", ""])[:3]
    quantity, treat1, treat2 = quantity.strip(), treat1.strip(), treat2.strip()
    published = evidence.network
    if quantity == "level":
        return _level_of_limits(published)
    if evidence.trial_fit is not None:
        lacking = _lacking(evidence, every="treatments") if quantity == "p_score" else _lacking(evidence, treat1, treat2)
        if lacking:
            return lacking
        value = (evidence.trial_p_scores[treat1] if quantity == "p_score"
                 else _contrast_quantity(evidence.trial_fit, quantity, treat1, treat2))
        return _by_trials(evidence.trial_fit, value, "network meta-analysis")
    if not published.recovery.feasible:
        return _clash(published)
    if quantity == "p_score":
        value = evidence.p_scores[treat1]
    else:
        value = _contrast_quantity(published.fit, quantity, treat1, treat2)
    rows = published.without
    row = rows[(rows["quantity"] == quantity) & (rows["treat1"] == treat1)
               & ((rows["treat2"] == treat2) | (quantity == "p_score"))]
    if quantity == "p_score" and claim["value"] != row["value"].iloc[0]:
        low, high = (row[f"implied_{end}"].iloc[0] for end in ("low", "high"))
        return Finding(low, high, f"the other printed values imply {formatting.interval(low, high, 4)}")
    if row.empty or claim["value"] != row["value"].iloc[0]:
        low, high = _bounds(published, quantity, treat1, treat2)
        return Finding(low, high, f"all printed values imply {_implied_text(quantity, low, high, 3)}")
    low, high = row["implied_low"].iloc[0], row["implied_high"].iloc[0]
    detail = f"the other printed values imply {_implied_text(quantity, low, high, 4)}"
    if published.recovery.at_boundary:
        detail += "; the print as a whole " + published.recovery.conclusion
    if not row["agrees"].iloc[0]:
        return Finding(low, high, detail)
    return _exactly(value, detail)


@_check("implied")
def rank(evidence: Evidence, claim: pd.Series) -> Finding:
    """Rank of a treatment by P-score in the network that agrees with all printed values: ``treatment``."""
    (treatment,) = _arguments(claim, 1)
    if evidence.trial_fit is not None:
        if lacking := _lacking(evidence, every="treatments"):
            return lacking
        order = list(evidence.trial_p_scores.sort_values(ascending=False).index)
        return _by_trials(evidence.trial_fit, order.index(treatment) + 1, f"by P-score: {', '.join(order)}")
    if not evidence.network.recovery.feasible:
        return _clash(evidence.network)
    order = evidence.p_scores.sort_values(ascending=False)
    detail = ", ".join(f"{name} {formatting.number(score, 3)}" for name, score in order.items())
    return _exactly(list(order.index).index(treatment) + 1, f"P-scores: {detail}")


@_check("implied")
def i2_interval(evidence: Evidence, claim: pd.Series) -> Finding:
    """What I2, its interval and the numbers of estimates say of each other: ``quantity | treat1 | treat2``.

    A limit of I2 is computed from the other I2 values and the printed numbers of estimates; a number of
    estimates from the degrees of freedom that fit the printed I2 and its interval; ``level`` from the limits.
    """
    quantity, treat1, treat2 = (claim["arguments"].split("|") + ["", ""])[:3]
    quantity, treat1, treat2 = quantity.strip(), treat1.strip(), treat2.strip()
    if evidence.trial_fit is not None and quantity != "level":
        return _heterogeneity_by_trials(evidence, quantity, treat1, treat2)
    published = evidence.network
    rows = published.without.set_index("quantity")
    values = {name: rows.at[name, "value"] for name in ("i2", "i2_lower", "i2_upper")}
    edges = published.edges
    degrees = int(edges["estimates"].sum()) - len(edges)
    fitting = df_from_i2_interval(*values.values(), decimals=int(rows.at["i2", "decimals"]))
    if quantity == "n_estimates":
        others = edges[(edges["treat1"] != treat1) | (edges["treat2"] != treat2)]["estimates"].sum()
        counts = [df + len(edges) - int(others) for df in fitting]
        if not counts:
            return _impossible("no degrees of freedom fit the printed I2 and its interval")
        detail = f"the printed I2 and interval fit {', '.join(map(str, fitting))} degrees of freedom"
        return Finding(min(counts), max(counts), detail, determined=False)
    if quantity == "level":
        return _level_of_i2_limits(values, degrees, int(rows.at["i2", "decimals"]))
    low, high = (100 * rows.at[quantity, name] for name in ("implied_low", "implied_high"))
    detail = (f"the other printed I2 values with {degrees} degrees of freedom imply "
              f"{formatting.interval(low, high, 2)}")
    if degrees not in fitting:
        return _impossible(f"{degrees} degrees of freedom do not fit the printed I2 and its interval")
    if quantity == "i2":
        return Finding(low, high, detail, determined=False)
    limit = 100 * i2_limit(values["i2"], degrees, upper=quantity == "i2_upper")
    return _exactly(limit, f"from I2 and {degrees} degrees of freedom; {detail}")


@_check("printed")
def trial_level(evidence: Evidence, claim: pd.Series) -> Finding:
    """What only trial-level data can tell: ``egger_p``, or ``within_designs | treat1 vs treat2 | ...``.

    ``egger_p`` is the p value of Egger's test on the comparison-adjusted funnel: each estimate less the random-effects
    estimate of its comparison. ``within_designs`` counts those of the named comparisons whose estimates differ by more than
    chance (p of Q within the design below 0.05); the article's word for it ("largely") allows no more than consistency.

    Source: Egger 1997; Chaimani & Salanti 2012; Krahn, Binder & König 2013.
    """
    quantity, *comparisons = _arguments(claim, claim["arguments"].count("|") + 1)
    if quantity not in ("egger_p", "within_designs"):
        raise ValueError(f"{quantity!r} is not egger_p or within_designs")
    fit = evidence.trial_fit
    if fit is None:
        return _nothing("no trial-level data of this outcome in data/trials")
    if quantity == "egger_p":
        if lacking := _lacking(evidence, every="comparisons"):
            return lacking
        egger = comparison_adjusted_egger(fit)
        if egger is None:
            return _too_little(f"{fit.n_contrasts} estimates are too few for Egger's test", f"At least {ENOUGH_FOR_EGGER} estimates of unequal precision")
        return _by_trials(fit, egger.p, "Egger's test on the comparison-adjusted funnel")
    designs = decompose_q(fit).designs.set_index("design")
    named = [":".join(sorted(name.split(" vs "))) for name in comparisons]
    missing = [name for name, design in zip(comparisons, named, strict=True) if design not in designs.index]
    if missing:
        return _too_little(f"no two-arm study of {', '.join(missing)}", f"Two-arm studies of {', '.join(missing)}")
    counted = sum(bool(designs.at[name, "p"] < 0.05) for name in named)
    shown = "; ".join(f"{name}: Q {formatting.number(row['q'])}, df {row['df']:.0f}, p {formatting.p_value(row['p'])}"
                      for name, row in designs.iterrows())
    return _by_trials(fit, counted, f"Q within designs ({shown})", determined=False)


@_check("re-extracted")
def fact(evidence: Evidence, claim: pd.Series) -> Finding:
    """What a trial's public pages say, through ``claim_facts.csv``; the statement has no arguments.

    A fact that only allows the printed value (relation "allows") shows that it is possible, not more.
    """
    links = evidence.table("claim_facts").set_index("claim")
    if claim["id"] not in links.index:
        raise TableError(f"claims.csv, id {claim['id']}, column check: claim_facts.csv has no row for this statement")
    link, facts = links.loc[claim["id"]], evidence.table("study_facts")
    value = linked_value(facts, link["fact"], link["total"], link["relation"])
    row = fact_row(facts, link["fact"])
    _needs_page_of_trial(row, link["fact"], f"claim_facts.csv, claim {claim['id']}, column fact")
    source = row["source_url"]
    how = "what the page says allows it" if link["relation"] == "allows" else link["relation"]
    return Finding(value, value, f"{how}, from {source}", determined=link["relation"] != "allows")


@_check("re-extracted")
def fact_text(evidence: Evidence, claim: pd.Series) -> Finding:
    """A number within the words recorded from a trial's public page: ``fact | column | words with {} for it``.

    The number may be in digits or one of the words of ``NUMBER_WORDS``.
    """
    name, column, words = _arguments(claim, 3)
    row = fact_row(evidence.table("study_facts"), name)
    _needs_page_of_trial(row, name, f"claims.csv, id {claim['id']}, column arguments")
    before, after = map(re.escape, words.split("{}"))
    found = re.search(rf"{before}(\d+(?:\.\d+)?|{'|'.join(NUMBER_WORDS)}){after}", str(row[column]))
    if found is None:
        raise ValueError(f"{words!r} is not in column {column} of {name}: {row[column]!r}")
    number = found.group(1)
    return _exactly(NUMBER_WORDS.get(number) or float(number), f"{found.group(0)!r}, from {row['source_url']}")


@_check("printed")
def unavailable(evidence: Evidence, claim: pd.Series) -> Finding:
    """Nothing in this repository bears on the statement; the column ``settles`` says what would."""
    return _nothing("no evidence in this repository")


# --- helpers of the checks ----------------------------------------------------------------------------

NUMBER_WORDS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}


def _needs_page_of_trial(row: pd.Series, name: str, where: str) -> None:
    if row["source_kind"] in ("article", "searched"):
        raise TableError(f"{where}: {name} has source kind {row['source_kind']!r}, which checks nothing; "
                         "expected a page of the trial")


def _whole_number(evidence: Evidence, text: str) -> int:
    """A whole number given as itself, as a fact of ``study_facts.csv`` or as a box of ``prisma.csv``."""
    if text.isdigit():
        return int(text)
    if "." in text:
        return int(fact_row(evidence.table("study_facts"), text)["number"])
    return int(evidence.table("prisma").set_index("box")["n"][text])


def expand_citations(text: str) -> set[int]:
    """Reference numbers of a printed citation list such as ``11,28,36–41``."""
    numbers: set[int] = set()
    for part in text.replace("-", "–").split(","):
        first, _, last = part.strip().partition("–")
        numbers |= set(range(int(first), int(last or first) + 1))
    return numbers


def possible_counts(value: float, decimals: int, denominators: list[int]) -> list[tuple[int, int]]:
    """All (k, n) with n among the denominators for which 100 k / n prints as ``value``.

    Source: Brown & Heathers 2017 (GRIM).
    """
    options = []
    for n in denominators:
        for k in range(math.floor(value * n / 100), math.ceil(value * n / 100) + 1):
            if 0 <= k <= n and formatting.rounds_to(100 * k / n, value, decimals):
                options.append((k, n))
    return options


def i2_limit(i2: float, df: int, *, upper: bool, level: float = 0.95) -> float:
    """Test-based limit of I2 given its value and the degrees of freedom of Q.

    Source: Higgins & Thompson 2002, through ``recover.i2_interval``.
    """
    from psps_paper.recover import i2_interval as interval_of_i2

    _, low, high = interval_of_i2(df / (1 - i2), df, level)
    return float(high if upper else low)


_SIGNS = {ast.Add: "+", ast.Sub: formatting.MINUS, ast.Mult: "\N{MULTIPLICATION SIGN}", ast.Div: "/"}


def in_words(expression: str, names: dict[str, str], functions: dict[str, Callable[..., str]]) -> str:
    """An expression that :func:`evaluate` takes, as readers see it: names and calls replaced by texts."""

    def text(node, bound: bool = False) -> str:
        if isinstance(node, ast.BinOp):
            loose = isinstance(node.op, (ast.Add, ast.Sub))
            left = text(node.left, not loose)
            right = text(node.right, not isinstance(node.op, ast.Add))
            shown_as = f"{left} {_SIGNS[type(node.op)]} {right}"
            return f"({shown_as})" if bound and loose else shown_as
        if isinstance(node, ast.UnaryOp):
            return formatting.MINUS + text(node.operand, True)
        if isinstance(node, ast.Call):
            arguments = [part.value if isinstance(part, ast.Constant) else text(part) for part in node.args]
            return functions[node.func.id](*arguments)
        return names[node.id] if isinstance(node, ast.Name) else str(node.value)

    return text(ast.parse(expression, mode="eval").body)


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _listed(refs: list[int]) -> str:
    return ", ".join(map(str, refs)) or "none"


_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
              ast.USub: operator.neg}


def evaluate(expression: str, names: dict[str, float], functions: dict[str, Callable]) -> float:
    """Evaluate arithmetic over named numbers and the given functions; nothing else is allowed.

    Raises
    ------
    ValueError
        Naming the part of the expression that is not arithmetic, or the unknown name.
    """

    def value(node):
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float, str)):
            return node.value
        if isinstance(node, ast.Name):
            if node.id not in names:
                raise ValueError(f"{expression!r}: {node.id} is not one of {', '.join(sorted(names))}")
            return names[node.id]
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](value(node.operand))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions and not node.keywords:
            return functions[node.func.id](*map(value, node.args))
        raise ValueError(f"{expression!r}: {ast.unparse(node)!r} is not arithmetic")

    try:
        tree = ast.parse(expression, mode="eval")
    except SyntaxError as error:
        raise ValueError(f"{expression!r} is not arithmetic: {error.msg}") from None
    return float(value(tree.body))


def _refs(rows: pd.DataFrame) -> str:
    if "ref" not in rows or rows["ref"].isna().all():
        return ""
    refs = [str(ref) for ref in rows["ref"].dropna()]
    return f" ({formatting.references(refs)})" if len(refs) <= 8 else ""


def _arms(studies: pd.DataFrame, ref: int) -> list[str]:
    return studies.set_index("ref").at[ref, "arms"].split(" | ")


def _comparisons(studies: pd.DataFrame) -> nx.Graph:
    import networkx as nx

    return nx.Graph([tuple(text.split(" vs ")) for text in studies["nma_comparison"].dropna()])


def _contrast_quantity(fit: NetworkFit, quantity: str, treat1: str, treat2: str) -> float:
    te, se = fit.te.at[treat1, treat2], fit.se.at[treat1, treat2]
    return {
        "te": te,
        "lower": fit.lower.at[treat1, treat2],
        "upper": fit.upper.at[treat1, treat2],
        "z": te / se,
        "p": 2 * scipy.special.ndtr(-abs(te / se)),
    }[quantity]


def _heterogeneity_by_trials(evidence: Evidence, quantity: str, treat1: str, treat2: str) -> Finding:
    fit = evidence.trial_fit
    if quantity == "n_estimates":
        pair = {treat1, treat2}
        count = sum({row.treat1, row.treat2} == pair for row in fit.contrasts.itertuples())
        if count == 0:
            return _too_little(f"no estimate of {treat1} against {treat2}", f"Estimates of {treat1} against {treat2} from trials")
        return _by_trials(fit, count, f"estimates of {treat1} against {treat2}")
    if lacking := _lacking(evidence, every="comparisons"):
        return lacking
    if math.isnan(fit.i2):
        return _too_little("no degrees of freedom for I2", "More estimates of a comparison")
    return _by_trials(fit, 100 * getattr(fit, quantity), f"{quantity} with {fit.df_q} degrees of freedom")


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


def _implied_text(quantity: str, low: float, high: float, decimals: int) -> str:
    if quantity != "p":
        return formatting.interval(low, high, decimals)
    return f"a p value {formatting.p_value(high)}" if high < 0.0001 else formatting.interval(low, high, 4)


def _bounds(published: PublishedNetwork, quantity: str, treat1: str, treat2: str) -> tuple[float, float]:
    bounds = published.recovery.bounds
    row = bounds[(bounds["treat1"] == treat1) & (bounds["treat2"] == treat2)].iloc[0]
    return float(row[f"{quantity}_low"]), float(row[f"{quantity}_high"])


def _level_of_limits(published: PublishedNetwork) -> Finding:
    """Level in percent that the printed limits and z values imply: 2 Phi((upper - lower) / 2 se) - 1."""
    printed = published.printed.set_index(["quantity", "treat1", "treat2"])
    levels = []
    for edge in published.edges.itertuples():
        key = (edge.treat1, edge.treat2)
        if ("z", *key) not in printed.index:
            continue
        te, lower, upper, z = (printed.loc[(name, *key)] for name in ("te", "lower", "upper", "z"))
        widths, ses = [], []
        for sign in (-1, 1):
            widths.append(upper["value"] - lower["value"] + sign * 2 * formatting.half_unit(upper["decimals"]))
            ses.append((te["value"] + sign * formatting.half_unit(te["decimals"]))
                       / (z["value"] - sign * formatting.half_unit(z["decimals"])))
        levels.append([100 * (2 * scipy.special.ndtr(width / (2 * se)) - 1) for width, se in zip(widths, reversed(ses))])
    low, high = max(level[0] for level in levels), min(level[1] for level in levels)
    return Finding(low, high, "from the printed limits, SMDs and z values", determined=False)


def _level_of_i2_limits(printed: dict[str, float], df: int, decimals: int) -> Finding:
    """Levels in percent, to a tenth, at which both test-based limits of I2 can print as they do."""
    half = formatting.half_unit(decimals)

    def can_print(level: float) -> bool:
        return all(
            i2_limit(printed["i2"] - half, df, upper=upper, level=level) <= printed[name] + half
            and i2_limit(printed["i2"] + half, df, upper=upper, level=level) >= printed[name] - half
            for name, upper in (("i2_lower", False), ("i2_upper", True))
        )

    levels = [tenths / 10 for tenths in range(800, 1000) if can_print(tenths / 1000)]
    if not levels:
        return _impossible(f"no level from 80 to 99.9 gives both printed limits with {df} degrees of freedom")
    return Finding(min(levels), max(levels), f"from the printed I2 and limits with {df} degrees of freedom", determined=False)
