"""Bounds that hold for every data set that agrees with the printed values: proofs by computation."""

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
    """An interval valid for every network that agrees with the printed values; values outside contradict them."""

    low: float
    high: float


def _interval(evidence: PublishedResults, quantity: str, treatment: str) -> tuple[float, float]:
    """Return the rounding interval of a treatment's value or of its contrast with the hub; unbounded if not printed."""
    rows = evidence.printed[evidence.printed["quantity"] == quantity]
    row = rows[rows["treat1" if quantity == "p_score" else "treat2"] == treatment]
    if row.empty:
        return -np.inf, np.inf
    return rounding_interval(*row[["value", "decimals", "relation"]].iloc[0])


def printed_contrast(evidence: PublishedResults, treatment: str) -> dict[str, Bound]:
    """Bound te, se, lower, upper and z of a printed contrast with the hub, which is better.

    Estimate, limits, z and p are linear in (te, se), so each bound solves a linear programme, with z at an end of its
    own printed interval. P-scores are not used; they could only narrow the bounds.
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
    """List every allocation of a comparison's estimates to its studies, at least one each [A x studies]."""
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
    """Bound tau2 from the pooled standard error of a comparison of parallel trials.

    1/se^2 is the sum of 1/(v + tau2), and v lies between 4/n and (4 + cap^2/2)/n, so the largest se with the smallest
    variances bounds tau2 from above, and the smallest se with the largest variances from below (at least 0).

    Parameters
    ----------
    counts : ndarray [studies]
        Estimates of each study.
    se : tuple of float
        Bounds of the pooled standard error.

    Returns
    -------
    tuple of float
        NaN if even tau2 = 0 gives a larger standard error.
    """
    mine = evidence.studies[evidence.studies["comparison"] == comparison]
    if mine["crossover"].any():
        raise ValueError(f"comparison {comparison}: it has crossover trials; expected only parallel trials")
    ends = []
    for sizes, numerator, pooled in (("n_low", 4 + cap**2 / 2, se[0]), ("n_high", 4.0, se[1])):
        v = np.repeat(numerator / mine[sizes].to_numpy(), counts)

        def gap(t: float, v: np.ndarray = v, pooled: float = pooled) -> float:
            return float((1 / (v + t)).sum() - 1 / pooled**2)

        ends.append(float(scipy.optimize.brentq(gap, 0.0, 10.0)) if gap(0.0) > 0 else np.nan)
    low, high = ends
    return (0.0 if np.isnan(low) else low), high


def largest_estimate(evidence: PublishedResults, comparison: int) -> float:
    """Bound the absolute SMD of any estimate of a comparison of parallel trials; infinite if there is no bound.

    The article names the comparisons with heterogeneity, so any other has a smaller Q per degree of freedom: its Q is
    at most its proportion q of the printed total. Two estimates satisfy (te_i - te_j)^2 <= q (v_i + v_j), with v = (4 +
    te^2/2)/n. Some estimate lies on the other side of the pooled one, so the largest, M, satisfies M - te <= sqrt(2 q
    (4 + M^2/2) / n), where te is the upper bound of the pooled estimate and n the smallest number of patients.
    """
    mine = evidence.studies[evidence.studies["comparison"] == comparison]
    if mine["crossover"].any():
        raise ValueError(f"comparison {comparison}: it has crossover trials; expected only parallel trials")
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
    """Find the greatest tau2 that the pooled SE of a comparison of parallel trials allows, for any allocation."""
    every = [
        tau2_by_standard_error(evidence, comparison, counts, 0.0, (1e-9, se_high))[1]
        for counts in allocations(evidence, comparison)
    ]
    return float(np.nanmax(every))


def dl_floor(evidence: PublishedResults, correlation: float | None) -> float:
    """Find the least tau2 by DerSimonian-Laird of any data set that gives the printed I2.

    tau2 = (Q - df) / C with C = sum over comparisons of (sum u - sum u^2 / sum u), u = 1/v. I2 with its interval
    bounds Q from below. C increases with every u, because its derivative is (1 - u/U)^2 + (S - u^2)/U^2 >= 0 with U =
    sum u and S = sum u^2; and u is at most n/a, at te = 0 and the largest n. So C is at most its value there, maximised
    over all allocations.

    Parameters
    ----------
    correlation : float, optional
        Common correlation between the periods of crossover trials; if None, they enter as two groups.

    Source: DerSimonian & Laird 1986; Jackson, White & Riley 2012.
    """
    return (evidence.q_range[0] - evidence.df) / typical_precision(evidence, correlation)[1]


def typical_precision(evidence: PublishedResults, correlation: float | None, cap: float = 0.0) -> tuple[float, float]:
    """Bound C, the divisor of DerSimonian-Laird's estimator, over every allocation of estimates.

    ``cap`` is the largest absolute SMD; only the lower bound depends on it. See :func:`dl_floor`.
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
    """Find the common correlation of periods below which DerSimonian-Laird cannot give the printed values."""
    return float(scipy.optimize.brentq(lambda r: dl_floor(evidence, r) - ceiling, 0.0, 0.999))


def impossible(evidence: PublishedResults, setting: Setting) -> bool:
    """Return whether it is proved that no data set agrees with the printed values under a setting.

    By DerSimonian-Laird, tau2 cannot be both above :func:`dl_floor` and below the :func:`tau2_ceiling` of the
    comparison of parallel trials.
    """
    if setting.tau2 != "DL" or setting.crossovers == "by study":
        return False
    paired = setting.crossovers == "one correlation"
    return dl_floor(evidence, setting.correlation[1] if paired else None) > parallel_ceiling(evidence)


def impossible_switches(evidence: PublishedResults, method: Method, crossovers: Crossovers) -> bool:
    """Apply :func:`impossible` without further assumptions."""
    return impossible(evidence, Setting(method, crossovers, np.inf, False))


def parallel_ceiling(evidence: PublishedResults) -> float:
    """Find the least :func:`tau2_ceiling` of the printed comparisons that have only parallel trials."""
    ends = []
    for k, other in enumerate(evidence.edges["treat2"]):
        parallel = not evidence.studies.loc[evidence.studies["comparison"] == k, "crossover"].any()
        if parallel and np.isfinite(_interval(evidence, "z", other)).all():
            ends.append(tau2_ceiling(evidence, printed_contrast(evidence, other)["se"].high, k))
    return min(ends)


def hartung_knapp_floor(evidence: PublishedResults, treatment: str) -> float:
    """Find the least Hartung-Knapp lower limit of a printed contrast, over all estimators of tau2.

    The scale is the generalised Q at tau2 over its df, which decreases as tau2 grows; so it is at most Q/df, which I2
    bounds. The limit is te (1 - t scale / z).

    Source: Hartung & Knapp 2001; Jackson, White & Riley 2012 (networks).
    """
    bounds = printed_contrast(evidence, treatment)
    reach = scipy.special.stdtrit(evidence.df, 0.975) * np.sqrt(evidence.q_range[1] / evidence.df)
    factor = 1 - reach / bounds["z"].low
    return float(factor * (bounds["te"].high if factor < 0 else bounds["te"].low))


def as_printed(evidence: PublishedResults, treatment: str) -> dict[str, tuple[float, float]]:
    """Collect the proved bounds of a treatment, estimates separate: ``p_score``; against the hub ``z, lower, upper``.

    Every data set that agrees with the printed values lies within them. Limits are omitted if only z is bounded.
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


# --- unpublished contrasts ----------------------------------------------------------------------------


def unprinted_z(evidence: PublishedResults, treatment: str) -> Bound:
    """Bound z of the hub against the one treatment whose contrast is not printed, from the hub's P-score.

    The P-score is the mean of Phi(z) over the hub's contrasts, and the other z are printed.
    """
    hub = evidence.edges["treat1"].iloc[0]
    low, high = (len(evidence.edges) * end for end in _interval(evidence, "p_score", hub))
    for other in evidence.edges["treat2"]:
        if other != treatment:
            z = printed_contrast(evidence, other)["z"]
            low, high = low - scipy.special.ndtr(z.high), high - scipy.special.ndtr(z.low)
    return Bound(float(scipy.special.ndtri(low)), float(scipy.special.ndtri(min(high, 1.0))))


def _end_of_te(evidence: PublishedResults, treatment: str, z: Bound) -> float:
    """Bound te of the hub against the unprinted treatment from above, by the treatment's own P-score.

    At te = t its z against another treatment k is at most (te_k - t) / sqrt(se_k^2 + (t / z)^2) with te_k, se_k and
    t / z at their upper ends. Beyond te_k this decreases as t grows, and so does the P-score, until it no longer
    prints.

    Raises ValueError if the printed values do not show that the hub is better, or set no bound.
    """
    if not z.low > 0:
        raise ValueError(f"{treatment}: z of the hub against it is at least {z.low:.3g}; expected a value above 0")
    printed = _interval(evidence, "p_score", treatment)[0]
    others = [printed_contrast(evidence, name) for name in evidence.edges["treat2"] if name != treatment]

    def room(t: float) -> float:
        against = [(b["te"].high - t) / np.hypot(b["se"].high, t / z.low) for b in others]
        return float(scipy.special.ndtr([-z.low, *against]).mean()) - printed

    # its limit is the P-score of a treatment that loses to each other treatment as clearly as to the hub
    if not scipy.special.ndtr(-z.low) < printed:
        raise ValueError(
            f"{treatment}: its printed P-score does not bound the contrast; expected one above that of a certain loser"
        )
    start = max(b["te"].high for b in others)
    end = 2 * start
    while room(end) >= 0:
        end *= 2
    return end


class _Boxes:
    """Boxes of (te, z) of the contrasts with the hub; boxes that contradict the printed values are discarded."""

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
        """Bound z of treatment a against b, both through the hub: (te_b - te_a) / sqrt(se_a^2 + se_b^2)."""
        difference = low[:, 2 * b] - high[:, 2 * a], high[:, 2 * b] - low[:, 2 * a]
        spread = [
            np.sqrt(sum((te[:, 2 * k] / z[:, 2 * k + 1]) ** 2 for k in (a, b))) for te, z in ((low, high), (high, low))
        ]
        with np.errstate(divide="ignore", invalid="ignore"):
            lower = np.where(difference[0] < 0, difference[0] / spread[0], difference[0] / spread[1])
            upper = np.where(difference[1] > 0, difference[1] / spread[0], difference[1] / spread[1])
        return np.nan_to_num(lower, nan=-np.inf), np.nan_to_num(upper, nan=np.inf)

    def possible(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Return whether a box may contain a network that agrees with the printed values [B]."""
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
                # te and the factor each cover an interval; the factor of a lower limit can be below 0
                corners = [te[:, 2 * k] * (1 + side * _Z / z[:, 2 * k + 1]) for te in (low, high) for z in (low, high)]
                keep &= (np.max(corners, axis=0) >= printed[0]) & (np.min(corners, axis=0) <= printed[1])
        return keep


def no_network(boxes: _Boxes, narrowed: Callable[[np.ndarray, np.ndarray], np.ndarray], most: int = 400_000) -> bool:
    """Prove by branch and bound that no network agrees with the printed values and a further condition.

    Parameters
    ----------
    narrowed : callable
        Takes lower and upper corners [B x 2k]; returns whether each box may meet the condition.
    most : int
        Largest number of boxes in one round; beyond it the search gives up, which proves nothing.
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
    """Prove bounds of the unpublished contrast: te against the hub, and z against a competitor.

    Parameters
    ----------
    te, rival_z : Bound
        The bounds to prove, for instance those of :func:`psps_paper.recover.recover_contrasts`, moved
        outwards.

    Returns
    -------
    dict
        For ``te_low, te_high, rival_z_low, rival_z_high``: whether every box outside was shown to contradict the
        printed values.
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
