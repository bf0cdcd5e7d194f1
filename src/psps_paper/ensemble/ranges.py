"""The search behind the identified ranges: the least and most favourable data sets of every setting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from psps_paper.ensemble.countings import (
    AS_PRINTED,
    CORRELATED,
    ONE_MEAN,
    REFITTED,
    ROBUST,
    WITHOUT,
    Conclusion,
    Statistic,
    conclusions,
)
from psps_paper.ensemble.model import CAPS, CROSSOVERS, METHODS, Method, PublishedResults, Setting, draw_allocation
from psps_paper.ensemble.proofs import impossible
from psps_paper.ensemble.search import Problem, Target, approach, push, settle
from psps_paper.ensemble.witnesses import SPREADS, SWITCHES, belongs, findings, load_witnesses
from psps_paper.parallel import each

SEED = 20250305
FIXED_CORRELATIONS = (0.25, 0.5, 0.75, 0.9)
STARTS = 16  # random starting points per setting
FIXED_STARTS, FIXED_POINTS = (
    96,
    6,
)  # settings with a fixed correlation of periods, to which no stricter setting contributes points
POINTS = 2  # starts near agreement after which no more are tried
AGAIN = 0.3  # proportion of targets also optimised from a random point, besides the best known one
_HALF = next(name for name, r in CORRELATED.items() if r == 0.5)


@dataclass(frozen=True, eq=False)
class Found:
    """A data set found for ``target`` that agrees with the printed values under ``setting``."""

    setting: Setting
    target: Target
    rows: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Searched:
    """Record of the search in one setting: starts, starts within a half-unit of agreement, least miss, and pushes."""

    setting: Setting
    starts: int
    near: int
    least_miss: float
    pushed: int
    settled: int


def settings(method: Method) -> list[Setting]:
    """List the settings of one estimator, the strictest first."""
    grid = [
        Setting(method, crossovers, cap, trials)
        for cap in CAPS
        for trials in (True, False)
        for crossovers in ("one correlation", "by study")
    ]
    fixed = [Setting(method, "one correlation", CAPS[-1], False, (r, r)) for r in FIXED_CORRELATIONS]
    fixed += [
        Setting(method, "one correlation", 2.0, False, (0.75, 0.75)),
        Setting(method, "independent groups", CAPS[-1], False),
    ]
    return [*grid, *fixed]


def targets(evidence: PublishedResults, setting: Setting, rng: np.random.Generator) -> list[Target]:
    """List the targets to push both ways: each conclusion with studies counted once, and where it seems weakest."""
    better_p, better_cm, no_c, first, second = conclusions(evidence)
    studies = np.flatnonzero(evidence.studies["comparison"] == better_p.at)
    both = [
        (c, counting, side)
        for c in (better_p, better_cm, no_c, second)
        for counting in (ONE_MEAN, _HALF)
        for side in (-1, 1)
    ]
    both += [
        (better_p, ROBUST, -1),
        (better_p, ROBUST, 1),
        (better_cm, ROBUST, 1),
        (first, ONE_MEAN, -1),
        (first, _HALF, -1),
    ]
    both += [(Statistic(name), ONE_MEAN, side) for name in ("Q", "Egger's t") for side in (-1, 1)]
    if setting.correlation[0] == setting.correlation[1]:
        return [Target(*each) for each in both if each[0] == better_p]
    others = [name for name, other in REFITTED.items() if other != setting.tau2]
    both += [(better_p, name, -1) for name in others]
    found = [Target(*each) for each in both]
    return [*found, Target(better_p, AS_PRINTED, -1, int(rng.choice(studies)))]


def aimed_at(evidence: PublishedResults) -> frozenset[tuple[str, str]]:
    """List the conclusions (name, counting) that some search pushed towards failing; others were only evaluated."""
    found = set()
    for method in METHODS:
        for aim in targets(evidence, settings(method)[0], np.random.default_rng(0)):
            if isinstance(aim.conclusion, Conclusion) and aim.side == (
                1 if aim.conclusion.kind == "no difference" else -1
            ):
                found.add((aim.conclusion.name, aim.counting if aim.without is None else WITHOUT))
    return frozenset(found)


def explore(
    evidence: PublishedResults,
    setting: Setting,
    known: Sequence[tuple[np.ndarray, np.ndarray]],
    rng: np.random.Generator,
    *,
    starts: int = STARTS,
    points: int = POINTS,
    again: float = AGAIN,
    kinds: Sequence[Target] | None = None,
) -> tuple[list[Found], Searched, list[tuple[np.ndarray, np.ndarray]]]:
    """Search one setting.

    Parameters
    ----------
    known : sequence of (study [m], point)
        Points of stricter settings that agree with the printed values, in this setting's variables.

    Returns
    -------
    list of Found, Searched, list of (study, point)
        The points are the best ones found, for settings that contain this one.
    """
    tried, reached, least, fresh = 0, 0, np.inf, []
    while tried < starts and reached < points:
        problem = Problem(evidence, setting, draw_allocation(evidence, rng, any_spread=bool(tried % 2)))
        x, miss = approach(problem, problem.start(rng))
        tried, least = tried + 1, min(least, miss)
        if miss < 1:
            reached += 1
            fresh.append((problem.study, x))
    pool = [*known, *fresh]
    found: list[Found] = []
    best: dict[Target, tuple[float, np.ndarray, np.ndarray]] = {}
    pushed = 0
    for target in (targets(evidence, setting, rng) if kinds is None else kinds) if pool else ():
        margins = [target.side * Problem(evidence, setting, study).margin(x[None], target)[0] for study, x in pool]
        order = np.argsort(margins)[::-1]
        picks = [int(order[0])] + [int(rng.integers(len(pool)))] * bool(rng.random() < again)
        for pick in dict.fromkeys(picks):
            study, x = pool[pick]
            problem = Problem(evidence, setting, study)
            y = push(problem, x, target)
            pushed += 1
            rows = settle(problem, y, target)
            if rows is not None:
                found.append(Found(setting, target, rows))
                reach = target.side * float(problem.margin(y[None], target)[0])
                if target not in best or reach > best[target][0]:
                    best[target] = (reach, study, y)
    kept = [(study, x) for _, study, x in best.values()] + fresh
    return found, Searched(setting, tried, reached, least, pushed, len(found)), kept[:60]


def carried(
    evidence: PublishedResults,
    setting: Setting,
    earlier: Sequence[tuple[Setting, Sequence[tuple[np.ndarray, np.ndarray]]]],
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Convert points of settings that this one contains to its variables."""
    out = []
    crossover = int(evidence.studies["crossover"].sum())
    for other, points in earlier:
        if not contains(setting, other):
            continue
        repeat = crossover if (setting.crossovers, other.crossovers) == ("by study", "one correlation") else 1
        for study, x in points:
            fixed = len(study) + len(evidence.studies)
            out.append((study, np.r_[x[:fixed], np.repeat(x[fixed:], repeat)]))
    return out


def contains(wide: Setting, narrow: Setting) -> bool:
    """Return whether every data set of the narrow setting belongs to the wide one."""
    crossovers = wide.crossovers == narrow.crossovers or (wide.crossovers, narrow.crossovers) == (
        "by study",
        "one correlation",
    )
    within = wide.correlation[0] <= narrow.correlation[0] and narrow.correlation[1] <= wide.correlation[1]
    return (
        wide.tau2 == narrow.tau2 and crossovers and within and wide.cap >= narrow.cap and wide.trials <= narrow.trials
    )


def search_ranges(
    evidence: PublishedResults,
    methods: Method | Sequence[Method],
    *,
    seed: int = SEED,
    caps: Sequence[float] = CAPS,
    report: Callable[[Searched], None] | None = None,
    **limits: Any,
) -> tuple[list[Found], list[Searched]]:
    """Search the settings of one or several estimators with these caps.

    Each setting has its own stream of random numbers and starts from the points of the settings that it contains, so
    the result is the same in one process, in several and on a cluster (:func:`psps_paper.parallel.workers`).

    Parameters
    ----------
    evidence : PublishedResults
    methods : {"DL", "REML", "ML"} or a sequence of them
    seed : int
    caps : sequence of float
        Largest absolute SMD.
    report : callable, optional
        Called with the :class:`Searched` of each setting.
    **limits
        Arguments of :func:`explore` for every setting: ``starts``, ``points``, ``again`` and ``kinds``.

    Returns
    -------
    list of Found, list of Searched
        By estimator, then by setting.
    """
    waiting = [
        (method, number, setting)
        for method in ([methods] if isinstance(methods, str) else methods)
        for number, setting in enumerate(settings(method))
        if setting.cap in caps and not impossible(evidence, setting)
    ]
    order = [(method, number) for method, number, _ in waiting]
    done: dict[tuple[str, int], tuple] = {}
    while waiting:
        behind = [(setting, number) for _, number, setting in waiting]
        ready = [
            one for one in waiting if not any(k < one[1] and contains(one[2], other) for other, k in behind)
        ]  # of the same estimator, because others contain none of its data sets
        known = [
            [
                (done[key][1].setting, done[key][2])
                for key in order
                if key in done and key[0] == method and key[1] < number
            ]
            for method, number, _ in ready
        ]
        arguments = [(evidence, one, earlier, seed, limits) for one, earlier in zip(ready, known, strict=True)]
        for (method, number, _), result in zip(ready, each(_search_setting, arguments), strict=True):
            done[method, number] = result
            if report is not None:
                report(result[1])
        waiting = [one for one in waiting if one not in ready]
    return [found for key in order for found in done[key][0]], [done[key][1] for key in order]


def _search_setting(
    evidence: PublishedResults,
    which: tuple[Method, int, Setting],
    earlier: Sequence[tuple],
    seed: int,
    limits: dict[str, Any],
) -> tuple[list[Found], Searched, list[tuple[np.ndarray, np.ndarray]]]:
    """Search one setting, from the points of the earlier ones that it contains."""
    method, number, setting = which
    rng = np.random.default_rng([seed, ("DL", "REML", "ML").index(method), number])
    alone = setting.crossovers == "independent groups" or setting.correlation[0] == setting.correlation[1]
    usual = {"starts": FIXED_STARTS, "points": FIXED_POINTS, "again": 1.0} if alone else {}
    return explore(evidence, setting, carried(evidence, setting, earlier), rng, **(usual | limits))


# --- selection of data sets ---------------------------------------------------------------------------


def chosen(evidence: PublishedResults, found: Sequence[Found], *, tolerance: float = 0.4) -> pd.DataFrame:
    """Select the table ``witnesses``: data sets that span every range found to within ``tolerance``.

    In each setting, from the strictest on, a data set is added if no data set kept so far for the setting comes as near
    to the end of a range, or lies on the same side of the point where a conclusion changes. With all switches open the
    tolerance is zero. A data set whose refit does not give the printed values is omitted.
    """
    rows = [
        each.rows[["study", "te", "se", "n", "correlation"]].assign(witness=f"candidate {k}", tau2=each.setting.tau2)
        for k, each in enumerate(found)
    ]
    candidates = [w for w in load_witnesses(evidence, pd.concat(rows, ignore_index=True)) if w.agrees]
    said = findings(candidates)
    switches = pd.DataFrame([w.switches for w in candidates], index=[w.name for w in candidates])
    margins = said.groupby(["conclusion", "counting", "witness"])["margin"].agg(["min", "max"])
    by_conclusion = [part.droplevel([0, 1]) for _, part in margins.groupby(level=["conclusion", "counting"])]
    statistics = said[said["counting"] == ONE_MEAN].groupby("witness")[["q", "egger_t"]].first()
    kept: list[str] = []
    for members, slack in _groups(switches, tolerance):
        for part in by_conclusion:
            inside = part.reindex(members).dropna()
            kept += _ends(inside["min"], inside["max"], kept, slack, (-1.0, 0.0, 1.0))
        for name, room in (("q", 30.0), ("egger_t", 3.0)):
            inside = statistics.reindex(members)[name].dropna()
            kept += _ends(inside, inside, kept, room * slack, ())
    by_name = {w.name: w for w in candidates}
    out = [
        by_name[name].rows.assign(witness=f"{by_name[name].tau2}-{number:03d}", tau2=by_name[name].tau2)
        for number, name in enumerate(kept, 1)
    ]
    return pd.concat(out, ignore_index=True)[["witness", "tau2", "study", "te", "se", "n", "correlation"]]


def _groups(switches: pd.DataFrame, tolerance: float) -> Iterator[tuple[pd.Index, float]]:
    """Yield the names of the data sets of each setting, the strictest first, with its tolerance."""
    for setting in product(METHODS, CROSSOVERS, CAPS, (True, False), reversed(SPREADS)):
        yield switches.index[belongs(switches, dict(zip(SWITCHES, setting, strict=True)))], tolerance
    for method, correlation, cap in product(METHODS, FIXED_CORRELATIONS, CAPS[-2:]):
        alike = (switches["least_correlation"] == correlation) & (switches["most_correlation"] == correlation)
        yield switches.index[alike & (switches["tau2"] == method) & (switches["cap"] <= cap)], tolerance
    yield switches.index, 0.0


def _ends(
    low: pd.Series, high: pd.Series, kept: Sequence[str], tolerance: float, boundaries: Sequence[float]
) -> list[str]:
    """List the names to add so that the kept data sets reach the least ``low`` and the greatest ``high``."""
    if low.empty:
        return []
    more: list[str] = []
    for values, sign in ((low, -1), (high, 1)):
        reached = (sign * values).reindex([name for name in (*kept, *more) if name in values.index])
        best = (sign * values).idxmax()
        end = sign * values[best]
        if reached.empty or reached.max() < end - tolerance or any(reached.max() <= b < end for b in boundaries):
            more.append(str(best))
    return more


def search_table(searched: Sequence[Searched]) -> pd.DataFrame:
    """Build the table ``range_searches``, the record of the search in each setting."""
    return pd.DataFrame(
        [
            {
                "tau2": each.setting.tau2,
                "crossovers": each.setting.crossovers,
                "least_correlation": each.setting.correlation[0],
                "most_correlation": each.setting.correlation[1],
                "cap": each.setting.cap,
                "trials": "yes" if each.setting.trials else "no",
                "starts": each.starts,
                "near": each.near,
                "least_miss": float(f"{each.least_miss:.3g}"),
                "pushes": each.pushed,
                "data_sets": each.settled,
            }
            for each in searched
        ]
    )
