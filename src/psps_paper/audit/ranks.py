"""Checks of rankings: P-scores and SUCRA from the table, and sums that must hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import ndtr

from psps_paper.audit.findings import Finding, Implied, overlap
from psps_paper.audit.model import Network
from psps_paper.audit.network_checks import arrange
from psps_paper.audit.numbers import Number
from psps_paper.audit.square import Square

SIMULATED = 0.02  # SUCRA from draws, and posteriors that are not normal
FEW_STUDIES = 0.06  # the same with few studies
_NAN = float("nan")
_OTHER = {"lower": "higher", "higher": "lower"}


def score_bounds(square: Square, better: str, total: int) -> tuple[np.ndarray, np.ndarray]:
    """Bound the P-score of each treatment among ``total``; unprinted comparisons contribute 0 to 1.

    Source: Rücker & Schwarzer 2015, eq. 4, at the ends of the intervals by rounding.
    """
    n = len(square.treatments)
    high = _probability(
        square.te_high, square.se_low, square.se_high
    )  # upper bound of the probability that row is larger than column
    low = 1 - high.T
    if better == "lower":
        low, high = low.T, high.T
    np.fill_diagonal(low, 0.0)
    np.fill_diagonal(high, 0.0)
    unseen = total - n  # treatments that are ranked but in no table
    return low.sum(axis=1) / (total - 1), (high.sum(axis=1) + unseen) / (total - 1)


def _probability(te_high: np.ndarray, se_low: np.ndarray, se_high: np.ndarray) -> np.ndarray:
    """Compute the largest probability that a difference is above 0, given its largest estimate."""
    with np.errstate(divide="ignore", invalid="ignore"):
        positive = np.where(se_low > 0, te_high / se_low, np.inf)
        z = np.where(te_high > 0, positive, np.where(np.isfinite(se_high), te_high / se_high, 0.0))
    return ndtr(np.nan_to_num(z, nan=0.0, posinf=40.0, neginf=-40.0))


def score_findings(network: Network, square: Square) -> tuple[list[Finding], list[Implied], str]:
    """Check printed P-scores or SUCRA against the table; return also the better direction if they determine it."""
    if not network.scores or len(square.treatments) < 2:
        return [], _implied(network, square), network.better
    directions = [network.better] if network.better else ["lower", "higher"]
    misses = {better: _misses(network, square, better) for better in directions}
    better = min(misses, key=lambda one: sum(misses[one].values()))
    findings = []
    if not network.better and abs(sum(misses["lower"].values()) - sum(misses["higher"].values())) > 1e-9:
        findings.append(
            Finding(
                "direction",
                network.name,
                network.score_kind,
                _NAN,
                _NAN,
                "holds",
                f"The {network.score_kind}s say that {better} is better.",
            )
        )
    elif network.better:
        other = _OTHER[network.better]
        reverse = _misses(network, square, other)
        if sum(reverse.values()) == 0 and any(miss > FEW_STUDIES for miss in misses[better].values()):
            findings.append(
                Finding(
                    "direction",
                    network.name,
                    network.better,
                    _NAN,
                    _NAN,
                    "clash",
                    f"The {network.score_kind}s fit if {other} is better; is the table read the other way round, or the"
                    " order of ranks reversed?",
                )
            )
            better = other
            misses[other] = reverse
    low, high = score_bounds(square, better, len(network.treatments))
    tolerance = 0.0 if network.score_kind == "P-score" else SIMULATED
    for k, treatment in enumerate(square.treatments):
        if treatment in network.scores:
            findings.append(
                _score_finding(
                    network,
                    treatment,
                    network.scores[treatment],
                    float(low[k]),
                    float(high[k]),
                    misses[better][treatment],
                    tolerance,
                )
            )
    return findings, [], better


def oriented_by_scores(network: Network) -> tuple[Network, list[Finding]]:
    """Orient the network to fit its scores, if the better direction is stated but not the orientation of tables."""
    if not (network.better and network.scores and network.tables) or any(table.stated for table in network.tables):
        return network, []
    analyses, _ = arrange(network)
    if len(analyses) != 1 or not analyses[0].cells:  # two outcomes have separate rankings
        return network, []
    square = analyses[0].square()
    as_read, turned = (
        sum(_misses(network, square, better).values()) for better in (network.better, _OTHER[network.better])
    )
    if abs(as_read - turned) <= 1e-9:
        return network, []
    if turned < as_read:
        network = replace(network, tables=tuple(table.turned() for table in network.tables))
    first = next(table for table in network.tables if table.holds == "network")
    where = f"{first.area} triangle" if first.area in ("lower", "upper") else "table"
    finding = Finding(
        "orientation",
        network.name,
        "",
        _NAN,
        _NAN,
        "holds",
        f"The {network.score_kind}s say that the {where} is read as {first.orientation}.",
    )
    return replace(network, orientation_from="scores"), [finding]


def _misses(network: Network, square: Square, better: str) -> dict[str, float]:
    low, high = score_bounds(square, better, len(network.treatments))
    misses = {}
    for k, treatment in enumerate(square.treatments):
        if treatment in network.scores:
            first, last = network.scores[treatment].bounds()
            misses[treatment] = max(0.0, float(low[k]) - last - 1e-9, first - float(high[k]) - 1e-9)
    return misses


def _score_finding(
    network: Network, treatment: str, number: Number, low: float, high: float, miss: float, tolerance: float
) -> Finding:
    where, kind = f"{network.name}: {treatment}", network.score_kind

    def finding(verdict: str, why: str) -> Finding:
        return Finding(kind, where, number.text, low, high, verdict, why)

    if not -1e-9 <= number.value <= 1 + 1e-9:
        return finding("clash", f"A {kind} lies between 0 and 1; is this another quantity?")
    if miss == 0:
        return finding("holds", f"The {kind} follows from the table, within rounding.")
    if miss <= tolerance:
        return finding("explained", f"The table gives it within {SIMULATED:g}, the simulation error of ranks by draws.")
    if miss <= SIMULATED and network.framework != "frequentist":
        return finding("explained", f"The table gives it within {SIMULATED:g}, as ranks of posterior draws do.")
    if miss <= FEW_STUDIES:
        return finding(
            "cannot tell",
            f"It is {miss:.2g} from what the table gives; ranks by draws with few studies could do that, or a t"
            " distribution.",
        )
    return finding(
        "clash",
        f"It is {miss:.2g} from what the table gives; are ranks in another order, or of another outcome or model?",
    )


def _implied(network: Network, square: Square) -> list[Implied]:
    if not network.better or not square.full:
        return []
    low, high = score_bounds(square, network.better, len(network.treatments))
    return [
        Implied("P-score", f"{network.name}: {treatment}", float(low[k]), float(high[k]), "table")
        for k, treatment in enumerate(square.treatments)
    ]


# --- sums ---------------------------------------------------------------------------------------------


def sum_findings(network: Network) -> list[Finding]:
    """Check sums valid for any ranking: P-scores average 1/2, probabilities sum to 1, ranks average (n + 1) / 2."""
    n = len(network.treatments)
    findings = []
    if n and len(network.scores) == n:
        findings.append(
            _sum(network, f"sum of {network.score_kind}s", list(network.scores.values()), n / 2, "They average 1/2")
        )
    if n and len(network.mean_ranks) == n:
        findings.append(
            _sum(
                network,
                "sum of mean ranks",
                list(network.mean_ranks.values()),
                n * (n + 1) / 2,
                "They average (n + 1) / 2",
            )
        )
    for name, values in (
        ("probabilities of being best", network.best),
        ("probabilities of being worst", network.worst),
    ):
        if n and len(values) == n:
            findings.append(_sum(network, f"sum of {name}", list(values.values()), 1.0, "They sum to 1"))
    table = network.rank_probabilities
    for treatment, row in table.items():
        if len(row) == n:
            findings.append(_sum(network, f"rank probabilities of {treatment}", list(row), 1.0, "They sum to 1"))
    if n and len(table) == n and all(len(row) == n for row in table.values()):
        findings += [
            _sum(
                network,
                f"probabilities of rank {rank + 1}",
                [row[rank] for row in table.values()],
                1.0,
                "They sum to 1",
            )
            for rank in range(n)
        ]
        findings += _from_probabilities(network)
    if n > 1 and network.score_kind == "SUCRA":
        for treatment in network.scores:
            if treatment in network.mean_ranks:
                low, high = network.mean_ranks[treatment].bounds()
                findings.append(
                    _same(
                        network,
                        "SUCRA and mean rank",
                        treatment,
                        network.scores[treatment],
                        (n - high) / (n - 1),
                        (n - low) / (n - 1),
                        "mean rank",
                    )
                )
    return findings


def _sum(network: Network, check: str, numbers: list[Number], total: float, rule: str) -> Finding:
    low, high = sum(number.bounds()[0] for number in numbers), sum(number.bounds()[1] for number in numbers)
    printed = f"{sum(number.value for number in numbers):.6g}"
    if overlap(low, high, total, total):
        return Finding(check, network.name, printed, total, total, "holds", f"{rule}, within rounding.")
    return Finding(
        check,
        network.name,
        printed,
        total,
        total,
        "clash",
        f"{rule}; the printed ones give {printed} where {total:g} is due. Is one of them another, or one left out?",
    )


def _from_probabilities(network: Network) -> list[Finding]:
    """Check printed SUCRA and mean ranks against those from the rank probabilities."""
    n, findings = len(network.treatments), []
    for treatment, row in network.rank_probabilities.items():
        low, high = (
            sum((rank + 1) * max(number.bounds()[side], 0.0) for rank, number in enumerate(row)) for side in (0, 1)
        )
        if treatment in network.mean_ranks:
            findings.append(_same(network, "mean rank", treatment, network.mean_ranks[treatment], low, high))
        if treatment in network.scores and network.score_kind == "SUCRA":
            findings.append(
                _same(
                    network,
                    "SUCRA of rank probabilities",
                    treatment,
                    network.scores[treatment],
                    (n - high) / (n - 1),
                    (n - low) / (n - 1),
                )
            )
    return findings


def _same(
    network: Network,
    check: str,
    treatment: str,
    number: Number,
    low: float,
    high: float,
    source: str = "rank probabilities",
) -> Finding:
    holds = overlap(low, high, *number.bounds())
    why = (
        f"It follows from the {source}, within rounding."
        if holds
        else f"It does not follow from the {source}; is one of the numbers another?"
    )
    return Finding(check, f"{network.name}: {treatment}", number.text, low, high, "holds" if holds else "clash", why)
