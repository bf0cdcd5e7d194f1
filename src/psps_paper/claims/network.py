"""Checks of statements about the network."""

from __future__ import annotations

import math

import pandas as pd
import scipy

from psps_paper import formatting
from psps_paper.article.published import PublishedNetwork, clashing_values
from psps_paper.article.trials import ENOUGH_FOR_EGGER, comparison_adjusted_egger
from psps_paper.claims.model import (
    Evidence,
    Finding,
    _arguments,
    _by_trials,
    _check,
    _impossible,
    _missing_from_data,
    _nothing,
    _too_little,
)
from psps_paper.network.inconsistency import decompose_q
from psps_paper.network.model import NetworkFit
from psps_paper.recover.i2 import df_from_i2_interval
from psps_paper.recover.printed import I2_QUANTITIES, rounding_interval


def _clash(published: PublishedNetwork) -> Finding:
    return _impossible(f"the printed values cannot hold together: {clashing_values(published.recovery)}")


@_check("implied")
def network(evidence: Evidence, claim: pd.Series) -> Finding:
    """Bound a quantity of the network by all other printed values: ``quantity | treat1 | treat2``."""
    quantity, treat1, treat2 = _quantity(claim)
    if evidence.trial_fit is None or quantity == "level":
        return allowed_by_print(evidence, claim, quantity, treat1, treat2)
    missing = (
        _missing_from_data(evidence, every="treatments")
        if quantity == "p_score"
        else _missing_from_data(evidence, treat1, treat2)
    )
    if missing:
        return missing
    value = (
        evidence.trial_p_scores[treat1]
        if quantity == "p_score"
        else _contrast_quantity(evidence.trial_fit, quantity, treat1, treat2)
    )
    return _by_trials(evidence.trial_fit, value, "network meta-analysis")


@_check("implied")
def rank(evidence: Evidence, claim: pd.Series) -> Finding:
    """Rank a treatment by P-score in the networks that the printed values allow: ``treatment``."""
    (treatment,) = _arguments(claim, 1)
    if evidence.trial_fit is None:
        return allowed_by_print(evidence, claim, "rank", treatment)
    if missing := _missing_from_data(evidence, every="treatments"):
        return missing
    order = list(evidence.trial_p_scores.sort_values(ascending=False).index)
    return _by_trials(evidence.trial_fit, order.index(treatment) + 1, f"by P-score: {', '.join(order)}")


@_check("implied")
def i2_interval(evidence: Evidence, claim: pd.Series) -> Finding:
    """Check I2, its interval and the numbers of estimates against each other: ``quantity | treat1 | treat2``.

    I2 or one of its limits is bounded by the other I2 values and the printed numbers of estimates, a number of
    estimates by the degrees of freedom that fit the printed I2 and its interval, and ``level`` by the limits.
    """
    quantity, treat1, treat2 = _quantity(claim)
    if quantity == "level":
        return allowed_by_print(evidence, claim, "i2_level")
    if evidence.trial_fit is not None:
        return _heterogeneity_by_trials(evidence, quantity, treat1, treat2)
    return allowed_by_print(evidence, claim, quantity, treat1, treat2)


@_check("printed")
def trial_level(evidence: Evidence, claim: pd.Series) -> Finding:
    """Compute what needs trial-level data: ``egger_p``, or ``within_designs | treat1 vs treat2 | ...``.

    ``egger_p`` is the p value of Egger's test on the comparison-adjusted funnel: each estimate minus the random-effects
    estimate of its comparison. ``within_designs`` counts the named comparisons whose estimates differ by more than
    chance (p of Q within the design below 0.05); the article's wording ("largely") allows at most the verdict
    "consistent".

    Source: Egger 1997; Chaimani & Salanti 2012; Krahn, Binder & König 2013.
    """
    quantity, *comparisons = _arguments(claim, claim["arguments"].count("|") + 1)
    if quantity not in ("egger_p", "within_designs"):
        raise ValueError(f"{quantity!r} is not egger_p or within_designs")
    fit = evidence.trial_fit
    if fit is None:
        return _nothing("no trial-level data of this outcome in data/trials")
    if quantity == "egger_p":
        if missing := _missing_from_data(evidence, every="comparisons"):
            return missing
        egger = comparison_adjusted_egger(fit, evidence.trial_order)
        if egger is None:
            return _too_little(
                f"{fit.n_contrasts} estimates are too few for Egger's test",
                f"At least {ENOUGH_FOR_EGGER} estimates of unequal precision",
            )
        return _by_trials(
            fit,
            egger.p,
            "Egger's test on the comparison-adjusted funnel, treatments in the order"
            f" {', '.join(evidence.trial_order)}",
        )
    designs = decompose_q(fit).designs.set_index("design")
    named = [":".join(sorted(name.split(" vs "))) for name in comparisons]
    missing = [name for name, design in zip(comparisons, named, strict=True) if design not in designs.index]
    if missing:
        return _too_little(f"no two-arm study of {', '.join(missing)}", f"Two-arm studies of {', '.join(missing)}")
    counted = sum(bool(designs.at[name, "p"] < 0.05) for name in named)
    shown = "; ".join(
        f"{name}: Q {formatting.number(row['q'])}, df {row['df']:.0f}, p {formatting.p_value(row['p'])}"
        for name, row in designs.iterrows()
    )
    return _by_trials(fit, counted, f"Q within designs ({shown})", determined=False)


def i2_limit(i2: float, df: int, *, upper: bool, level: float = 0.95) -> float:
    """Compute a test-based limit of I2 from its value and the degrees of freedom of Q.

    Source: Higgins & Thompson 2002, through ``recover.i2_interval``.
    """
    from psps_paper.recover.i2 import i2_interval as interval_of_i2

    _, low, high = interval_of_i2(df / (1 - i2), df, level)
    return float(high if upper else low)


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
            return _too_little(
                f"no estimate of {treat1} against {treat2}", f"Estimates of {treat1} against {treat2} from trials"
            )
        return _by_trials(fit, count, f"estimates of {treat1} against {treat2}")
    if missing := _missing_from_data(evidence, every="comparisons"):
        return missing
    if math.isnan(fit.i2):
        return _too_little("no degrees of freedom for I2", "More estimates of a comparison")
    return _by_trials(fit, 100 * getattr(fit, quantity), f"{quantity} with {fit.df_q} degrees of freedom")


def _implied_text(quantity: str, low: float, high: float, decimals: int) -> str:
    if quantity != "p":
        return formatting.interval(low, high, decimals)
    return f"a p value {formatting.p_value(high)}" if high < 0.0001 else formatting.interval(low, high, 4)


def _bounds(published: PublishedNetwork, quantity: str, treat1: str, treat2: str) -> tuple[float, float]:
    bounds = published.bounds
    row = bounds[(bounds["treat1"] == treat1) & (bounds["treat2"] == treat2)].iloc[0]
    return float(row[f"{quantity}_low"]), float(row[f"{quantity}_high"])


def _level_of_limits(published: PublishedNetwork) -> Finding:
    """Bound the level in percent implied by the printed limits and z values: 2 Phi((upper - lower) / 2 se) - 1."""
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
            ses.append(
                (te["value"] + sign * formatting.half_unit(te["decimals"]))
                / (z["value"] - sign * formatting.half_unit(z["decimals"]))
            )
        levels.append(
            [
                100 * (2 * scipy.special.ndtr(width / (2 * se)) - 1)
                for width, se in zip(widths, reversed(ses), strict=True)
            ]
        )
    low, high = max(level[0] for level in levels), min(level[1] for level in levels)
    return Finding(low, high, "from the printed limits, SMDs and z values")


def _level_of_i2_limits(printed: dict[str, float], df: int, decimals: int) -> Finding:
    """Bound the level in percent, to a tenth, by the levels at which both test-based limits of I2 print as they do."""
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
    return Finding(min(levels), max(levels), f"from the printed I2 and limits with {df} degrees of freedom")


def _quantity(claim: pd.Series) -> tuple[str, str, str]:
    quantity, treat1, treat2 = (part.strip() for part in [*claim["arguments"].split("|"), "", ""][:3])
    return quantity, treat1, treat2


def allowed_by_print(
    evidence: Evidence, claim: pd.Series, quantity: str, treat1: str = "", treat2: str = ""
) -> Finding:
    """Bound a quantity of the network by the printed values, leaving out the one in question.

    Without trial-level data, every check of the network rests on this function: a statement reproduces if every value
    allowed rounds to the printed one, and is consistent if some value does.

    Parameters
    ----------
    evidence : Evidence
    claim : Series
        The statement; only its value is used, to identify the printed value that it repeats.
    quantity : str
        "te", "lower", "upper", "z", "p" or "p_score" (of a contrast or treatment), "rank", "n_estimates", "i2",
        "i2_lower", "i2_upper", "level" (of the intervals) or "i2_level".
    treat1, treat2 : str
        Empty where the quantity has none.
    """
    published = evidence.network
    if quantity == "level":
        return _level_of_limits(published)
    if quantity in ("n_estimates", "i2_level", *I2_QUANTITIES):
        return _i2_by_print(published, quantity, treat1, treat2)
    if not published.recovery.feasible:
        return _clash(published)
    if evidence.audited.verdict == "clash":
        found = evidence.audited.findings.query("verdict == 'clash'").iloc[0]
        return _impossible(f"{found['check']} of {found['where']}: {found['why']}")
    if quantity == "rank":
        return _rank_by_print(evidence.p_scores, published.printed, treat1)
    rows = published.without
    row = rows[
        (rows["quantity"] == quantity)
        & (rows["treat1"] == treat1)
        & ((rows["treat2"] == treat2) | (quantity == "p_score"))
    ]
    if row.empty:
        low, high = _bounds(published, quantity, treat1, treat2)
        return Finding(low, high, f"all printed values imply {_implied_text(quantity, low, high, 3)}")
    low, high = row["implied_low"].iloc[0], row["implied_high"].iloc[0]
    if claim["value"] != row["value"].iloc[0]:  # the network prints a different number, which is then evidence as well
        printed = row.iloc[0]
        if claim["relation"] == printed["relation"] == "=":
            return _impossible(f"the network prints {formatting.number(printed['value'], int(printed['decimals']))}")
        ends = rounding_interval(printed["value"], printed["decimals"], printed["relation"])
        low, high = max(low, ends[0]), min(high, ends[1])
        return Finding(low, high, f"all printed values imply {_implied_text(quantity, low, high, 3)}")
    detail = f"the other printed values imply {_implied_text(quantity, low, high, 4)}"
    if published.recovery.at_boundary:
        detail += "; the print as a whole " + published.recovery.conclusion
    return Finding(low, high, detail)


def _rank_by_print(p_scores: pd.Series, printed: pd.DataFrame, treatment: str) -> Finding:
    """Find the ranks that a treatment can have, given the rounding of the printed P-scores.

    In every network that agrees with the print, each P-score lies within half a unit of the printed one, and so does
    that of the central solution. Two treatments can therefore change places only if their central P-scores differ by
    at most two units.
    """
    rows = printed[printed["quantity"] == "p_score"].set_index("treat1")
    ahead = p_scores.drop(treatment) - p_scores[treatment]
    units = sum(
        rows["decimals"]
        .reindex(names)
        .map(lambda decimals: 1.0 if pd.isna(decimals) else 2 * formatting.half_unit(decimals))
        .to_numpy()
        for names in (ahead.index, [treatment] * len(ahead))
    )
    detail = ", ".join(
        f"{name} {formatting.number(score, 3)}" for name, score in p_scores.sort_values(ascending=False).items()
    )
    return Finding(1 + int((ahead > units).sum()), 1 + int((ahead >= -units).sum()), f"P-scores: {detail}")


def _i2_by_print(published: PublishedNetwork, quantity: str, treat1: str, treat2: str) -> Finding:
    rows, edges = published.without.set_index("quantity"), published.edges
    values = {name: rows.at[name, "value"] for name in I2_QUANTITIES}
    decimals, degrees = int(rows.at["i2", "decimals"]), int(edges["estimates"].sum()) - len(edges)
    if quantity == "i2_level":
        return _level_of_i2_limits(values, degrees, decimals)
    fitting = df_from_i2_interval(*(values[name] for name in ("i2", "i2_lower", "i2_upper")), decimals=decimals)
    if quantity == "n_estimates":
        others = edges[(edges["treat1"] != treat1) | (edges["treat2"] != treat2)]["estimates"].sum()
        counts = [df + len(edges) - int(others) for df in fitting]
        if not counts:
            return _impossible("no degrees of freedom fit the printed I2 and its interval")
        return Finding(
            min(counts),
            max(counts),
            f"the printed I2 and interval fit {', '.join(map(str, fitting))} degrees of freedom",
        )
    if degrees not in fitting:
        return _impossible(f"{degrees} degrees of freedom do not fit the printed I2 and its interval")
    low, high = (100 * rows.at[quantity, name] for name in ("implied_low", "implied_high"))
    return Finding(
        low,
        high,
        f"the other printed I2 values with {degrees} degrees of freedom imply {formatting.interval(low, high, 2)}",
    )
