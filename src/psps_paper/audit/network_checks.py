"""Checks of a whole league table: scale, orientation, mirrored triangles, one vector of effects, one covariance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations, pairwise

import numpy as np

from psps_paper.audit.cells import interval_of
from psps_paper.audit.closure import feasible, repairs, smallest_cycle
from psps_paper.audit.covariance import covariance_exists
from psps_paper.audit.findings import Finding, overlap
from psps_paper.audit.model import Cell, Network, Table, bounds
from psps_paper.audit.numbers import SLACK
from psps_paper.audit.square import Square, make_square
from psps_paper.formatting import sentence_list

DRAWS = 0.06  # standard errors: largest gap observed for posterior medians of 1,000 draws
MEANS = 0.4  # standard errors: the same for posterior means of ratios
CUT = 1.0  # units of the last digit: numbers truncated instead of rounded
_NAN = float("nan")


@dataclass(frozen=True)
class Analysis:
    """Cells that must come from one vector of effects, with their network."""

    network: Network
    label: str
    cells: tuple[Cell, ...]
    direct: tuple[Cell, ...] = ()

    @property
    def where(self) -> str:
        """Name of the network and, if it has one, of the analysis."""
        return ": ".join(part for part in (self.network.name, self.label) if part)

    def square(self, **slack: float) -> Square:
        return make_square(self.network, self.cells, **slack)


# --- scale --------------------------------------------------------------------------------------------


def with_scale(network: Network) -> tuple[Network, list[Finding]]:
    """Return the network with its scale, stated or inferred, and the finding that reports it.

    Raises
    ------
    ValueError
        A cell is negative in a table of ratios: row, column and text are named.
    """
    cells = [cell for table in network.tables for cell in table.cells]
    if not cells:
        return network, []
    negative = [
        cell
        for cell in cells
        if min(number.value for number in (cell.triple.estimate, cell.triple.lower, cell.triple.upper)) < 0
    ]
    if network.scale == "ratio" and negative:
        raise _mixed(network, negative[0], "the measure is a ratio")
    if network.scale:
        return network, []
    fits = {
        scale: np.array([interval_of(cell, scale, network.level).middle for cell in cells])
        for scale in ("ratio", "difference")
    }
    if negative:
        others = [k for k, cell in enumerate(cells) if cell not in negative]
        if (
            len(negative) <= 2
            and len(others) >= 3
            and fits["ratio"][others].all()
            and not fits["difference"][others].all()
        ):
            raise _mixed(network, negative[0], "the intervals of all other cells are symmetric as ratios")
        return _inferred(network, "difference", f"{len(negative)} of {len(cells)} cells have negative numbers")
    ratio, difference = fits["ratio"].sum(), fits["difference"].sum()
    if ratio > difference and ratio >= 0.8 * len(cells):
        return _inferred(
            network,
            "ratio",
            f"no number is negative, and {ratio} of {len(cells)} estimates are the geometric middle of "
            f"their interval, {difference} the arithmetic one",
        )
    if difference > ratio and difference >= 0.8 * len(cells):
        return _inferred(
            network,
            "difference",
            f"{difference} of {len(cells)} estimates are the middle of their interval, {ratio} the geometric one",
        )
    mirrored = {scale: _mirrored(replace(network, scale=scale)) for scale in ("ratio", "difference")}
    if mirrored["ratio"] != mirrored["difference"]:
        scale = "ratio" if mirrored["ratio"] else "difference"
        return _inferred(network, scale, f"the two triangles mirror each other as {scale}s")
    closes = {scale: _closes(replace(network, scale=scale)) for scale in ("ratio", "difference")}
    if closes["ratio"] != closes["difference"]:
        scale = "ratio" if closes["ratio"] else "difference"
        return _inferred(network, scale, f"the table closes only as {scale}s")
    question = Finding(
        "scale",
        network.name,
        "",
        _NAN,
        _NAN,
        "cannot tell",
        "Ratios or differences? The numbers fit either; please state the measure.",
    )
    return network, [question]


def _inferred(network: Network, scale: str, why: str) -> tuple[Network, list[Finding]]:
    finding = Finding("scale", network.name, scale, _NAN, _NAN, "holds", f"Read as {scale}s: {why}.")
    return replace(network, scale=scale, scale_from=why), [finding]


def _mixed(network: Network, cell: Cell, why: str) -> ValueError:
    return ValueError(
        f"{network.name}, {cell.where}: {cell.triple.text!r} is negative, but {why}; expected one scale; it would be"
        " read as a difference"
    )


def _mirrored(network: Network) -> bool:
    areas = {table.area: table for table in network.of("network")}
    if set(areas) != {"lower", "upper"}:
        return False
    turned, matched, pairs = _relation(network, areas["lower"], areas["upper"])
    return not turned and pairs > 0 and 2 * matched >= pairs


def _closes(network: Network) -> bool:
    return all(feasible(_estimate_bounds(network, table.cells)) for table in network.of("network"))


# --- triangles ----------------------------------------------------------------------------------------

_WHICH_WAY = "Only which treatments are better depends on it."


def _read_as(network: Network, first: Table, *others: Table) -> str:
    """Ask how a triangle is oriented, and report how it was read, if no orientation is stated."""
    if network.orientation_from or any(table.stated for table in (first, *others)):
        return ""
    return (
        f" Row versus column, or column versus row? The {first.area} triangle is read as {first.orientation}."
        f" {_WHICH_WAY}"
    )


def arrange(network: Network) -> tuple[list[Analysis], list[Finding]]:
    """Determine which cells belong to one vector of effects, from the paper's statements and the signs.

    If a table prints two triangles and states neither their content nor their orientation, each is compared with the
    other: the same comparisons reversed, the same signs (opposite orientations), or different content.
    """
    findings: list[Finding] = []
    tables = list(network.of("network"))
    direct = [cell for table in network.of("direct") for cell in table.cells]
    areas = {table.area: table for table in tables}
    if len(tables) == 2 and set(areas) == {"lower", "upper"}:
        lower, upper = areas["lower"], areas["upper"]
        turned, matched, pairs = _relation(network, lower, upper)
        if pairs and (2 * matched >= pairs or (lower.stated and upper.stated)):
            if turned and (matched or not upper.stated):
                if upper.stated and lower.stated:
                    findings.append(
                        Finding(
                            "orientation",
                            network.name,
                            f"{upper.orientation}",
                            _NAN,
                            _NAN,
                            "explained",
                            "Both triangles carry the same signs: each is read its own way, not both as stated.",
                        )
                    )
                upper = upper.turned()
            way = (
                "the same signs: one triangle is row versus column, the other column versus row"
                if turned
                else "opposite signs: both are read the same way"
            )
            if not (lower.stated and upper.stated):
                findings.append(
                    Finding(
                        "orientation",
                        network.name,
                        "",
                        _NAN,
                        _NAN,
                        "holds",
                        f"The two triangles hold the same comparisons with {way}.{_read_as(network, lower, upper)}",
                    )
                )
            findings += _mirror_findings(network, lower, upper)
            return [Analysis(network, "", (*lower.cells, *upper.cells), tuple(direct))], findings
        return _two_contents(network, lower, upper)
    if tables and not network.orientation_from and not any(table.stated for table in tables):
        findings.append(
            Finding(
                "orientation",
                network.name,
                "",
                _NAN,
                _NAN,
                "cannot tell",
                "Row versus column, or column versus row? One triangle alone does not say; it is read as row versus"
                f" column. {_WHICH_WAY}",
            )
        )
    cells = tuple(cell for table in tables for cell in table.cells)
    return ([Analysis(network, "", cells, tuple(direct))] if cells or direct else []), findings


def _relation(network: Network, lower: Table, upper: Table) -> tuple[bool, int, int]:
    """Return whether the upper triangle must be reversed to match the lower, the matching pairs, and all pairs."""
    below = {frozenset((cell.treat1, cell.treat2)): cell for cell in lower.cells}
    pairs = [
        (below[frozenset((cell.treat1, cell.treat2))], cell)
        for cell in upper.cells
        if frozenset((cell.treat1, cell.treat2)) in below
    ]
    matches = {}
    for turned in (False, True):
        matches[turned] = sum(
            not _differing_numbers(
                network, first, replace(second, treat1=second.treat2, treat2=second.treat1) if turned else second
            )
            for first, second in pairs
        )
    turned = matches[True] > matches[False]
    return turned, matches[turned], len(pairs)


def _differing_numbers(network: Network, first: Cell, second: Cell, draws: float = 0.0) -> list[str]:
    """Name the numbers of two cells of one comparison that cannot be equal, in the direction of the first."""
    one, other = first.triple, second.triple
    reverse = first.treat1 != second.treat1
    names = {
        "estimate": ("estimate", "estimate"),
        "lower limit": ("lower", "upper" if reverse else "lower"),
        "upper limit": ("upper", "lower" if reverse else "upper"),
    }
    extra = draws * interval_of(first, network.scale, network.level).se_high if draws else 0.0
    apart = []
    for name, (mine, theirs) in names.items():
        low1, high1 = bounds(getattr(one, mine), network.scale)
        low2, high2 = bounds(getattr(other, theirs), network.scale)
        if reverse:
            low2, high2 = -high2, -low2
        if not overlap(low1 - extra, high1 + extra, low2, high2):
            apart.append(name)
    return apart


def _mirror_findings(network: Network, lower: Table, upper: Table) -> list[Finding]:
    below = {frozenset((cell.treat1, cell.treat2)): cell for cell in lower.cells}
    findings = []
    for cell in upper.cells:
        first = below.get(frozenset((cell.treat1, cell.treat2)))
        if first is None:
            continue
        apart = _differing_numbers(network, first, cell)
        where = f"{network.name}: {first.treat1} vs {first.treat2} ({first.where}; {cell.where})"
        printed = f"{first.triple.text}; {cell.triple.text}"
        pair = ((first.treat1, first.treat2),)
        if not apart:
            findings.append(
                Finding(
                    "mirrored triangles",
                    where,
                    printed,
                    _NAN,
                    _NAN,
                    "holds",
                    "The two cells are one comparison, within rounding.",
                    pair,
                )
            )
        elif network.framework != "frequentist" and not _differing_numbers(network, first, cell, DRAWS):
            findings.append(
                Finding(
                    "mirrored triangles",
                    where,
                    printed,
                    _NAN,
                    _NAN,
                    "explained",
                    "The two agree within the simulation error of posterior draws.",
                    pair,
                )
            )
        else:
            findings.append(
                Finding(
                    "mirrored triangles",
                    where,
                    printed,
                    _NAN,
                    _NAN,
                    "clash",
                    f"The two cells of this comparison differ in {sentence_list(apart)}; which one is meant?",
                    pair,
                )
            )
    return findings


def misplaced_findings(network: Network) -> list[Finding]:
    """Report estimates on the diagonal of a table whose diagonal is otherwise without them."""
    return [
        Finding(
            "diagonal",
            f"{network.name}: {treatment} ({where})",
            text,
            _NAN,
            _NAN,
            "clash",
            f"An estimate stands where {treatment} meets itself; are rows or columns exchanged?",
        )
        for treatment, text, where in network.misplaced
    ]


def _exchanged(network: Network, lower: Table, upper: Table) -> tuple[str, str] | None:
    """Find two treatments whose rows, if exchanged, make the triangles mirror each other, or None.

    A row consists of the cells left and right of the diagonal in the printed table, in both triangles.
    """
    if not lower.cells or len(lower.cells) != len(upper.cells) or len(network.treatments) > 8:
        return None
    cells = (*lower.cells, *upper.cells)
    of = {(cell.treat1, cell.treat2): cell for cell in cells}
    for first, second in combinations(network.treatments, 2):
        moved = {}
        for (row, column), cell in of.items():
            other = {first: second, second: first}.get(row, row)
            target = (other, row) if other == column else (other, column)
            moved[target] = replace(cell, treat1=target[0], treat2=target[1])
        if len(moved) == len(of) and all(
            (b, a) in moved and not _differing_numbers(network, cell, moved[b, a]) for (a, b), cell in moved.items()
        ):
            return first, second
    return None


def _two_contents(network: Network, lower: Table, upper: Table) -> tuple[list[Analysis], list[Finding]]:
    """Handle triangles with different content: the full, consistent one is the network; the other may be direct."""
    rows = _exchanged(network, lower, upper)
    if rows is not None:
        why = (
            f"With the rows of {rows[0]} and {rows[1]} exchanged, the two triangles would mirror each other; are these"
            " rows in each other's place?"
        )
        finding = Finding("mirrored triangles", network.name, "", _NAN, _NAN, "clash", why, (rows,))
        return [Analysis(network, "", lower.cells)], [finding]
    n = len(network.treatments)
    complete = {table.area: len(table.cells) == n * (n - 1) // 2 for table in (lower, upper)}
    closes = {table.area: feasible(_estimate_bounds(network, table.cells)) for table in (lower, upper)}
    if all(complete.values()) and all(closes.values()) and n >= 3:
        why = (
            "The two triangles hold different estimates that close each by itself: two outcomes, or network and direct"
            " estimates? They are checked apart." + _read_as(network, lower, upper)
        )
        finding = Finding("orientation", network.name, "", _NAN, _NAN, "cannot tell", why)
        apart = [Analysis(network, f"{table.area} triangle", table.cells) for table in (lower, upper)]
        return apart, [finding]
    first, second = lower, upper
    if (complete["upper"], closes["upper"]) > (complete["lower"], closes["lower"]):
        first, second = upper, lower
    if _agreement(network, first, second) < 0:
        second = second.turned()
    finding = _direct_finding(network, first, second, complete[second.area], closes[second.area])
    return [Analysis(network, "", first.cells, second.cells)], [finding]


def _agreement(network: Network, first: Table, second: Table) -> float:
    """Count comparisons where two triangles favour the same treatment, minus those where they differ."""

    def sign(cell: Cell) -> float:
        return np.sign(cell.triple.estimate.value - (network.scale == "ratio"))

    of = {frozenset((cell.treat1, cell.treat2)): cell for cell in first.cells}
    agree = 0.0
    for cell in second.cells:
        other = of.get(frozenset((cell.treat1, cell.treat2)))
        if other is not None:
            agree += sign(cell) * sign(other) * (1 if other.treat1 == cell.treat1 else -1)
    return agree


def _direct_finding(network: Network, first: Table, second: Table, complete: bool, closes: bool) -> Finding:
    """Report that the second triangle is read as direct estimates, and the consequence if it is another outcome."""
    closing = "" if closes else ", and they do not close, as direct estimates need not"
    otherwise = "If they are another outcome, please say so."
    if complete and not closes:
        otherwise = f"If they are another outcome, they clash: {_question_of(network, second)}"
    why = (
        f"The {second.area} triangle holds other estimates than the {first.area} one{closing}; they are taken as direct"
        f" estimates. {otherwise}{_read_as(network, first, second)}"
    )
    verdict = "cannot tell" if complete else "holds"
    return Finding("orientation", network.name, "", _NAN, _NAN, verdict, why)


def _question_of(network: Network, table: Table) -> str:
    found = consistency_findings(Analysis(network, "", table.cells))
    return found[0].why[0].lower() + found[0].why[1:] if found else ""


# --- one vector of effects ----------------------------------------------------------------------------


def _estimate_bounds(network: Network, cells: Sequence[Cell], slack: float = SLACK, draws: float = 0.0) -> np.ndarray:
    """Bound row minus column from above by the printed estimates alone, combining two cells of a pair if they agree."""
    names = list(dict.fromkeys(label for cell in cells for label in (cell.treat1, cell.treat2)))
    position = {label: k for k, label in enumerate(sorted(names, key=network.treatments.index))}
    high = np.full((len(names), len(names)), np.inf)
    for cell in cells:
        i, j = position[cell.treat1], position[cell.treat2]
        low, top = bounds(cell.triple.estimate, network.scale, slack)
        if draws:
            extra = draws * interval_of(cell, network.scale, network.level, slack).se_high
            low, top = low - extra, top + extra
        if max(low, -high[j, i]) <= min(top, high[i, j]):
            high[i, j], high[j, i] = min(top, high[i, j]), min(-low, high[j, i])
    np.fill_diagonal(high, 0.0)
    return high


def consistency_findings(analysis: Analysis) -> list[Finding]:
    """Check whether one vector of effects gives every printed estimate; if not, name the fewest cells that conflict."""
    network, cells = analysis.network, analysis.cells
    names = [label for label in network.treatments if any(label in (cell.treat1, cell.treat2) for cell in cells)]
    pairs = {frozenset((cell.treat1, cell.treat2)) for cell in cells}
    if len(pairs) < len(names):  # without a cycle there is nothing to check
        return []
    high = _estimate_bounds(network, cells)
    closing = _how_it_closes(analysis, high)
    if closing is None:
        return [_unclosed(analysis, high, names)]
    printed = f"{len(pairs)} comparisons of {len(names)} treatments"
    return [Finding("consistency", analysis.where, printed, _NAN, _NAN, *closing)]


def _how_it_closes(analysis: Analysis, high: np.ndarray) -> tuple[str, str] | None:
    """Return verdict and sentence for cells that one vector of effects gives or could give; None if it cannot."""
    network, cells = analysis.network, analysis.cells
    if feasible(high):
        return "holds", "One vector of effects gives every cell, within rounding."
    if network.framework != "frequentist" and feasible(_estimate_bounds(network, cells, draws=DRAWS)):
        return "explained", f"The cells close within {DRAWS:g} standard errors, as medians of posterior draws do."
    if feasible(_estimate_bounds(network, cells, slack=CUT)):
        return "explained", "The cells close if numbers were cut off instead of rounded, or rounded twice."
    return None


def _unclosed(analysis: Analysis, high: np.ndarray, names: list[str]) -> Finding:
    """Report the smallest set of cells that cannot hold together, and what the others imply for its last one."""
    network, cells = analysis.network, analysis.cells
    cycle = smallest_cycle(high)
    pairs = [(names[i], names[j]) for i, j in zip(cycle, [*cycle[1:], cycle[0]], strict=True)]
    finding = partial(Finding, "consistency", analysis.where, _named(cells, pairs), cells=tuple(pairs))
    symmetric = all(interval_of(cell, network.scale, network.level).middle for cell in cells)
    if (
        network.scale == "ratio"
        and network.framework != "frequentist"
        and not symmetric
        and feasible(_estimate_bounds(network, cells, draws=MEANS))
    ):
        why = (
            f"The cells close within {MEANS:g} standard errors only, as posterior means of ratios do; are these means?"
        )
        return finding(_NAN, _NAN, "cannot tell", why)
    last = next(cell for cell in cells if {cell.treat1, cell.treat2} == set(pairs[-1]))
    low, upper = _implied_by_others(high, cycle if last.treat1 == pairs[-1][1] else cycle[::-1], network.scale)
    return finding(low, upper, "clash", _clash_sentence(analysis, high, names, pairs))


def _named(cells: Sequence[Cell], pairs: list[tuple[str, str]]) -> str:
    texts = []
    for pair in pairs:
        cell = next(cell for cell in cells if {cell.treat1, cell.treat2} == set(pair))
        texts.append(f"{cell.treat1} vs {cell.treat2} {cell.triple.text} ({cell.where})")
    return "; ".join(texts)


def _implied_by_others(high: np.ndarray, cycle: list[int], scale: str) -> tuple[float, float]:
    """Bound the first minus the last treatment of a path by the other steps."""
    steps = list(pairwise(cycle))
    low, top = sum(-high[j, i] for i, j in steps), sum(high[i, j] for i, j in steps)
    return (float(np.exp(low)), float(np.exp(top))) if scale == "ratio" else (float(low), float(top))


def _clash_sentence(analysis: Analysis, high: np.ndarray, names: list[str], set_: list[tuple[str, str]]) -> str:
    index = {label: k for k, label in enumerate(names)}
    in_set = [(index[first], index[second]) for first, second in set_]
    inverted, left_out = repairs(high, in_set)
    size = f"These {len(set_)} cells cannot come from one vector of effects"

    def named(pair: tuple[int, int]) -> str:
        cell = next(cell for cell in analysis.cells if {cell.treat1, cell.treat2} == {names[pair[0]], names[pair[1]]})
        return f"{cell.treat1} vs {cell.treat2} {cell.triple.text}"

    if inverted:
        cells = " or ".join(named(pair) for pair in inverted)
        return f"{size}; turned round, {cells} would close with all others: is it printed the other way round?"
    if left_out:
        return (
            f"{size}; without {' or '.join(named(pair) for pair in left_out)} all others close: is this cell another?"
        )
    return f"{size}, and no single cell turned round or left out makes all others close; are rows or names exchanged?"


# --- one covariance -----------------------------------------------------------------------------------


def covariance_findings(analysis: Analysis, square: Square) -> list[Finding]:
    """Check whether one covariance matrix gives every printed standard error."""
    count = int(square.printed.sum() // 2)
    if count < max(len(square.treatments), 3):  # without a cycle any standard errors are compatible
        return []
    result = covariance_exists(square.se_low**2, square.se_high**2)
    if result.exists is not False:
        verdict, why = "holds", "One covariance matrix gives every interval, within rounding."
        if result.exists is None:
            why = "Neither a covariance matrix for all intervals nor a proof against one was found."
            verdict = "cannot tell"
        return [Finding("covariance", analysis.where, f"{count} standard errors", _NAN, _NAN, verdict, why)]
    used = np.flatnonzero(np.abs(result.weights) > 1e-9)
    pairs = tuple((square.treatments[i], square.treatments[j]) for i in used for j in used if i < j)
    printed = f"intervals among {sentence_list([square.treatments[k] for k in used])}"
    verdict, why = _without_covariance(analysis, square, result.violation)
    return [Finding("covariance", analysis.where, printed, _NAN, _NAN, verdict, why, pairs)]


def _without_covariance(analysis: Analysis, square: Square, violation: float) -> tuple[str, str]:
    """Return verdict and sentence for intervals that no covariance matrix gives."""
    framework = analysis.network.framework
    if framework == "bayesian" or not square.symmetric:
        return (
            "cannot tell",
            "No covariance matrix gives these intervals as normal ones; posterior intervals need not be.",
        )
    if framework != "frequentist":
        wider = analysis.square(se_slack=DRAWS)
        if covariance_exists(wider.se_low**2, wider.se_high**2).exists is not False:
            return "explained", "One covariance matrix fits within the simulation error of posterior draws."
    return (
        "clash",
        f"No covariance matrix gives these intervals: their variances miss by at least {100 * violation:.2g} %. "
        "Is a limit another, or do the cells come from different models?",
    )
