"""Bounds that hold for every data set that agrees with the print: arguments, computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
import scipy

from psps_paper.ensemble.model import Crossovers, Method, PublishedResults, Setting, variance_terms
from psps_paper.recover.printed import rounding_interval

_Z = float(scipy.special.ndtri(0.975))


@dataclass(frozen=True)
class Bound:
    """An interval that holds for every network that agrees with the print: a value outside clashes with it."""

    low: float
    high: float


def _interval(evidence: PublishedResults, quantity: str, treatment: str) -> tuple[float, float]:
    """What prints as the value of a treatment, or of the hub's contrast with it; unbounded if none is printed."""
    rows = evidence.printed[evidence.printed["quantity"] == quantity]
    row = rows[rows["treat1" if quantity == "p_score" else "treat2"] == treatment]
    if row.empty:
        return -np.inf, np.inf
    return rounding_interval(*row[["value", "decimals", "relation"]].iloc[0])


def printed_contrast(evidence: PublishedResults, treatment: str) -> dict[str, Bound]:
    """Bounds of te, se, lower, upper and z of a printed contrast with the hub, which is better.

    Its estimate, limits, z and p are linear in (te, se), so each end is a linear programme; z at an end of its own
    printed interval. P-scores are not used: they can only narrow it.
    """
    rows, limits = [], []
    for quantity, te, se in (("te", 1.0, 0.0), ("lower", 1.0, -_Z), ("upper", 1.0, _Z)):
        low, high = _interval(evidence, quantity, treatment)
        rows += [(te, se), (-te, -se)]
        limits += [high, -low]
    z_low, z_high = _interval(evidence, "z", treatment)
    p_low, p_high = _interval(evidence, "p", treatment)
    z_low, z_high = (
        max(z_low, -scipy.special.ndtri(min(p_high, 1.0) / 2)),
        min(z_high, -scipy.special.ndtri(max(p_low, 0.0) / 2)),
    )
    rows += [(1.0, -z_high), (-1.0, z_low)]
    limits += [0.0, 0.0]
    kept = np.isfinite(limits)
    ends = [
        [
            sign
            * scipy.optimize.linprog(
                sign * np.array(aim), np.array(rows)[kept], np.array(limits)[kept], bounds=(None, None)
            ).fun
            for sign in (1, -1)
        ]
        for aim in ((1.0, 0.0), (0.0, 1.0), (1.0, -_Z), (1.0, _Z))
    ]
    named = {name: Bound(*pair) for name, pair in zip(("te", "se", "lower", "upper"), ends, strict=True)}
    return named | {"z": Bound(z_low, z_high)}


def allocations(evidence: PublishedResults, comparison: int) -> np.ndarray:
    """Every way to spread a comparison's estimates over its studies, at least one each [A x studies]."""
    studies = int((evidence.studies["comparison"] == comparison).sum())
    return _compositions(int(evidence.edges["estimates"].iloc[comparison]), studies)


@lru_cache
def _compositions(total: int, parts: int) -> np.ndarray:
    cuts = np.array(list(combinations(range(1, total), parts - 1)), int)
    ends = np.c_[np.zeros(len(cuts), int), cuts, np.full(len(cuts), total)]
    return np.diff(ends, axis=1)


def tau2_by_standard_error(
    evidence: PublishedResults, comparison: int, counts: np.ndarray, cap: float, se: tuple[float, float]
) -> tuple[float, float]:
    """Bounds of tau2 from the pooled standard error of a comparison of parallel trials.

    1/se^2 is the sum of 1/(v + tau2), and v lies between 4/n and (4 + cap^2/2)/n, so the largest se with the smallest
    variances bounds tau2 from above, and the smallest se with the largest from below (then at least 0).

    Parameters
    ----------
    counts : ndarray [studies]
        Estimates of each study.
    se : tuple of float
        Bounds of the pooled standard error.

    Returns
    -------
    tuple of float
        NaN where even tau2 = 0 gives a larger standard error.
    """
    mine = evidence.studies[evidence.studies["comparison"] == comparison]
    if mine["crossover"].any():
        raise ValueError(f"comparison {comparison}: has crossover trials; expected parallel trials only")
    ends = []
    for sizes, numerator, pooled in (("n_low", 4 + cap**2 / 2, se[0]), ("n_high", 4.0, se[1])):
        v = np.repeat(numerator / mine[sizes].to_numpy(), counts)

        def gap(t: float, v: np.ndarray = v, pooled: float = pooled) -> float:
            return float((1 / (v + t)).sum() - 1 / pooled**2)

        ends.append(float(scipy.optimize.brentq(gap, 0.0, 10.0)) if gap(0.0) > 0 else np.nan)
    low, high = ends
    return (0.0 if np.isnan(low) else low), high


def largest_estimate(evidence: PublishedResults, comparison: int) -> float:
    """Largest absolute SMD that an estimate of a comparison of parallel trials can have; infinite if nothing bounds it.

    The article names the comparisons with heterogeneity, so per degree of freedom any other has a smaller Q:
    its Q is at most its share q of the printed total. For two estimates (te_i - te_j)^2 <= q (v_i + v_j), v = (4 +
    te^2/2)/n. One of the estimates is on the far side of the pooled one, so the largest, M, has M - te <= sqrt(2 q (4
    + M^2/2) / n) with te the pooled upper bound and n the fewest patients.
    """
    mine = evidence.studies[evidence.studies["comparison"] == comparison]
    if mine["crossover"].any():
        raise ValueError(f"comparison {comparison}: has crossover trials; expected parallel trials only")
    if comparison in evidence.heterogeneous:
        return np.inf
    freedom = evidence.edges["estimates"].to_numpy(float) - 1
    q = evidence.q_range[1] / (1 + freedom[list(evidence.heterogeneous)].sum() / freedom[comparison])
    te = printed_contrast(evidence, evidence.edges["treat2"].iloc[comparison])["te"]
    centre, n = max(abs(te.low), abs(te.high)), mine["n_low"].min()

    def gap(m: float) -> float:
        return float(m - centre - np.sqrt(2 * q * (4 + m**2 / 2) / n))

    return float(scipy.optimize.brentq(gap, centre, 1e3)) if gap(1e3) > 0 else np.inf


def tau2_ceiling(evidence: PublishedResults, se_high: float, comparison: int) -> float:
    """Greatest tau2 that the pooled SE of a comparison of parallel trials allows, for any spread of its estimates."""
    every = [
        tau2_by_standard_error(evidence, comparison, counts, 0.0, (1e-9, se_high))[1]
        for counts in allocations(evidence, comparison)
    ]
    return float(np.nanmax(every))


def dl_floor(evidence: PublishedResults, correlation: float | None) -> float:
    """Least tau2 by DerSimonian-Laird of any data set that prints the given I2.

    tau2 = (Q - df) / C with C = sum over comparisons of (sum u - sum u^2 / sum u), u = 1/v. I2 with its interval
    bounds Q from below. C grows with every u, since its derivative is (1 - u/U)^2 + (S - u^2)/U^2 >= 0 with U = sum u
    and S = sum u^2, and u is at most n/a, reached at te = 0 and the largest n. So C is at most its value there, and
    of all allocations the greatest counts.

    Parameters
    ----------
    correlation : float, optional
        Of a crossover trial's periods, one for all; without it, crossover trials enter as two groups.

    Source: DerSimonian & Laird 1986; Jackson, White & Riley 2012.
    """
    return (evidence.q_range[0] - evidence.df) / typical_precision(evidence, correlation)[1]


def typical_precision(evidence: PublishedResults, correlation: float | None, cap: float = 0.0) -> tuple[float, float]:
    """Bounds of C, the divisor of DerSimonian-Laird's estimator, over every spread of estimates.

    ``cap`` is the largest absolute SMD; it matters for the lower bound only. See :func:`dl_floor`.
    """
    studies = evidence.studies
    periods = np.full((1, len(studies)), correlation or 0.0)
    (a,), (b,) = variance_terms(studies["crossover"].to_numpy(), periods, paired=correlation is not None)
    ends = []
    for u, pick in (
        (studies["n_low"].to_numpy() / (a + b * cap**2), np.min),
        (studies["n_high"].to_numpy() / a, np.max),
    ):
        total = 0.0
        for comparison in range(len(evidence.edges)):
            mine, counts = u[(studies["comparison"] == comparison).to_numpy()], allocations(evidence, comparison)
            total += pick(counts @ mine - (counts @ mine**2) / (counts @ mine))
        ends.append(float(total))
    return ends[0], ends[1]


def least_common_correlation(evidence: PublishedResults, ceiling: float) -> float:
    """Correlation of periods, one for all crossover trials, below which DerSimonian-Laird cannot give the print."""
    return float(scipy.optimize.brentq(lambda r: dl_floor(evidence, r) - ceiling, 0.0, 0.999))


def impossible(evidence: PublishedResults, setting: Setting) -> bool:
    """Return whether it is proved that no data set agrees with the print under a setting.

    By DerSimonian-Laird, tau2 cannot be both above :func:`dl_floor` and below the :func:`tau2_ceiling` of the
    comparison of parallel trials.
    """
    if setting.tau2 != "DL" or setting.crossovers == "by study":
        return False
    paired = setting.crossovers == "one correlation"
    return dl_floor(evidence, setting.correlation[1] if paired else None) > parallel_ceiling(evidence)


def impossible_switches(evidence: PublishedResults, method: Method, crossovers: Crossovers) -> bool:
    """:func:`impossible` with nothing else assumed."""
    return impossible(evidence, Setting(method, crossovers, np.inf, False))


def parallel_ceiling(evidence: PublishedResults) -> float:
    """The least :func:`tau2_ceiling` of the printed comparisons that have parallel trials only."""
    ends = []
    for k, other in enumerate(evidence.edges["treat2"]):
        parallel = not evidence.studies.loc[evidence.studies["comparison"] == k, "crossover"].any()
        if parallel and np.isfinite(_interval(evidence, "z", other)).all():
            ends.append(tau2_ceiling(evidence, printed_contrast(evidence, other)["se"].high, k))
    return min(ends)


def hartung_knapp_floor(evidence: PublishedResults, treatment: str) -> float:
    """Least lower limit of a printed contrast scaled by Hartung and Knapp, by any estimator of tau2.

    The scale is the generalised Q at tau2 over its df, which falls as tau2 grows; so it is at most Q/df, which I2
    bounds. The limit is te (1 - t scale / z).

    Source: Hartung & Knapp 2001; Jackson, White & Riley 2012 (networks).
    """
    bounds = printed_contrast(evidence, treatment)
    reach = scipy.special.stdtrit(evidence.df, 0.975) * np.sqrt(evidence.q_range[1] / evidence.df)
    factor = 1 - reach / bounds["z"].low
    return float(factor * (bounds["te"].high if factor < 0 else bounds["te"].low))


def as_printed(evidence: PublishedResults, treatment: str) -> dict[str, tuple[float, float]]:
    """What is proved of a treatment with each estimate by itself: ``p_score``; against the hub ``z, lower, upper``.

    No data set that agrees with the print lies outside. A limit is left out where only z is bounded.
    """
    hub, others = evidence.edges["treat1"].iloc[0], list(evidence.edges["treat2"])
    found = {"p_score": _interval(evidence, "p_score", treatment)}
    if treatment == hub:
        return found
    if np.isfinite(_interval(evidence, "z", treatment)).all():
        bounds = printed_contrast(evidence, treatment)
        return found | {name: (bounds[name].low, bounds[name].high) for name in ("z", "lower", "upper")}
    unprinted = [name for name in others if not np.isfinite(_interval(evidence, "z", name)).all()]
    if len(unprinted) > 1:
        return found
    z = unprinted_z(evidence, treatment)
    return found | {"z": (z.low, z.high)}


# --- the contrasts that are not printed ---------------------------------------------------------------


def unprinted_z(evidence: PublishedResults, treatment: str) -> Bound:
    """z of the hub against the one treatment whose contrast is not printed, from the hub's P-score.

    The P-score is the mean of Phi(z) over the hub's contrasts, and the z of the others are printed.
    """
    hub = evidence.edges["treat1"].iloc[0]
    low, high = (len(evidence.edges) * end for end in _interval(evidence, "p_score", hub))
    for other in evidence.edges["treat2"]:
        if other != treatment:
            z = printed_contrast(evidence, other)["z"]
            low, high = low - scipy.special.ndtr(z.high), high - scipy.special.ndtr(z.low)
    return Bound(float(scipy.special.ndtri(low)), float(scipy.special.ndtri(min(high, 1.0))))


def _end_of_te(evidence: PublishedResults, treatment: str, z: Bound) -> float:
    """A value that te of the hub against the unprinted treatment cannot exceed, from the treatment's own P-score.

    At te = t its z against another treatment k is at most (te_k - t) / sqrt(se_k^2 + (t / z)^2) with te_k, se_k and
    t / z at their upper ends. Beyond te_k that falls as t grows, and with it the P-score, until it cannot be printed.

    Raises ValueError where the print does not say that the hub is better, or sets no end.
    """
    if not z.low > 0:
        raise ValueError(f"{treatment}: z of the hub against it is at least {z.low:.3g}; expected a value above 0")
    printed = _interval(evidence, "p_score", treatment)[0]
    others = [printed_contrast(evidence, name) for name in evidence.edges["treat2"] if name != treatment]

    def room(t: float) -> float:
        against = [(b["te"].high - t) / np.hypot(b["se"].high, t / z.low) for b in others]
        return float(scipy.special.ndtr([-z.low, *against]).mean()) - printed

    # its limit is the P-score of a treatment that loses to each other as clearly as to the hub
    if not scipy.special.ndtr(-z.low) < printed:
        raise ValueError(
            f"{treatment}: its printed P-score bounds no contrast; expected one above that of a sure loser"
        )
    start = max(b["te"].high for b in others)
    end = 2 * start
    while room(end) >= 0:
        end *= 2
    return end


class _Boxes:
    """Boxes of (te, z) of the contrasts with the hub; boxes that clash with the print are thrown away."""

    def __init__(self, evidence: PublishedResults, unprinted: str):
        self.evidence, self.others = evidence, list(evidence.edges["treat2"])
        self.k = len(self.others)
        self.unprinted = self.others.index(unprinted)
        ends = []
        for name in self.others:
            if name != unprinted:
                bounds = printed_contrast(evidence, name)
                ends += [(bounds["te"].low, bounds["te"].high), (bounds["z"].low, bounds["z"].high)]
            else:
                z = unprinted_z(evidence, name)
                ends += [(0.0, _end_of_te(evidence, name, z)), (z.low, z.high)]
        self.low, self.high = np.array(ends).T

    def contrast(self, low: np.ndarray, high: np.ndarray, a: int, b: int) -> tuple[np.ndarray, np.ndarray]:
        """Interval of z of treatment a against b, both through the hub: (te_b - te_a) / sqrt(se_a^2 + se_b^2)."""
        difference = low[:, 2 * b] - high[:, 2 * a], high[:, 2 * b] - low[:, 2 * a]
        spread = [
            np.sqrt(sum((te[:, 2 * k] / z[:, 2 * k + 1]) ** 2 for k in (a, b))) for te, z in ((low, high), (high, low))
        ]
        with np.errstate(divide="ignore", invalid="ignore"):
            lower = np.where(difference[0] < 0, difference[0] / spread[0], difference[0] / spread[1])
            upper = np.where(difference[1] > 0, difference[1] / spread[0], difference[1] / spread[1])
        return np.nan_to_num(lower, nan=-np.inf), np.nan_to_num(upper, nan=np.inf)

    def possible(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Return whether a box may hold a network that agrees with the print [B]."""
        keep = np.ones(len(low), bool)
        hub = self.evidence.edges["treat1"].iloc[0]
        for name in (hub, *self.others):
            printed = _interval(self.evidence, "p_score", name)
            parts = []
            for other in range(self.k):
                if name == hub:
                    parts.append((low[:, 2 * other + 1], high[:, 2 * other + 1]))
                elif self.others[other] == name:
                    parts.append((-high[:, 2 * other + 1], -low[:, 2 * other + 1]))
                else:
                    parts.append(self.contrast(low, high, self.others.index(name), other))
            least, most = (sum(scipy.special.ndtr(part[side]) for part in parts) / self.k for side in (0, 1))
            keep &= (most >= printed[0]) & (least <= printed[1])
        for k, name in enumerate(self.others):
            for quantity, side in (("lower", -1), ("upper", 1)):
                printed = _interval(self.evidence, quantity, name)
                # te and the factor each run over an interval; the factor of a lower limit can be below 0
                corners = [te[:, 2 * k] * (1 + side * _Z / z[:, 2 * k + 1]) for te in (low, high) for z in (low, high)]
                keep &= (np.max(corners, axis=0) >= printed[0]) & (np.min(corners, axis=0) <= printed[1])
        return keep


def no_network(boxes: _Boxes, narrowed: Callable[[np.ndarray, np.ndarray], np.ndarray], most: int = 400_000) -> bool:
    """Return whether no network agrees with the print and with a further condition: branch and bound.

    Parameters
    ----------
    narrowed : callable
        Of lower and upper corners [B x 2k]: whether a box may meet the condition.
    most : int
        Boxes looked at in one round before giving up, which proves nothing.
    """
    low, high = boxes.low[None].copy(), boxes.high[None].copy()
    weight = np.where(np.arange(len(boxes.low)) % 2, 0.1, 1.0)  # P-scores depend less on z than on te
    for _ in range(80):
        keep = boxes.possible(low, high) & narrowed(low, high)
        low, high = low[keep], high[keep]
        if not len(low):
            return True
        if len(low) > most:
            return False
        widest = ((high - low) * weight).argmax(axis=1)
        at = np.arange(len(low)), widest
        middle = (low[at] + high[at]) / 2
        left, right = high.copy(), low.copy()
        left[at] = right[at] = middle
        low, high = np.vstack([low, right]), np.vstack([left, high])
    return False


def unprinted_bounds(
    evidence: PublishedResults, treatment: str, rival: str, *, te: Bound, rival_z: Bound, most: int = 400_000
) -> dict[str, bool]:
    """Prove bounds of the contrast that is not printed: te against the hub, and z against a rival.

    Parameters
    ----------
    te, rival_z : Bound
        What is to be proved, for instance the ends that :func:`psps_paper.recover.recover_contrasts` found, moved
        outwards.

    Returns
    -------
    dict
        For ``te_low, te_high, rival_z_low, rival_z_high``: whether every box outside was shown to clash with the print.
    """
    boxes = _Boxes(evidence, treatment)
    a, b = boxes.others.index(treatment), boxes.others.index(rival)
    conditions = {
        "te_low": lambda low, high: low[:, 2 * a] < te.low,
        "te_high": lambda low, high: high[:, 2 * a] > te.high,
        "rival_z_low": lambda low, high: boxes.contrast(low, high, a, b)[0] < rival_z.low,
        "rival_z_high": lambda low, high: boxes.contrast(low, high, a, b)[1] > rival_z.high,
    }
    return {name: no_network(boxes, condition, most) for name, condition in conditions.items()}
