"""Certainty of each contrast: judgements computed by stated rules, or the reason why they cannot be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from psps_paper.evidence import follow_up_days
from psps_paper.formatting import estimate, number
from psps_paper.network.model import t_quantile
from psps_paper.published import PublishedNetwork

NONE, SOME, MAJOR, UNKNOWN = "no concerns", "some concerns", "major concerns", "cannot be judged"
STEPS = [NONE, SOME, MAJOR]
RATINGS = ["very low", "low", "moderate", "high"]
SHORT_DAYS = 31
EGGER_LEVEL = 0.1


@dataclass(frozen=True)
class Judgement:
    """A judgement with its basis; ``low`` and ``high`` differ where only a range follows from what is public."""

    low: str
    high: str
    basis: str

    @property
    def text(self) -> str:
        return self.low if self.low == self.high else f"{self.low} or {self.high}".replace(" concerns or", " or")


def judgements(published: PublishedNetwork, studies: pd.DataFrame, facts: pd.DataFrame, nma_published: pd.DataFrame, rules: pd.DataFrame) -> pd.DataFrame:
    """Every judgement with its basis.

    Parameters
    ----------
    published : PublishedNetwork
    studies, facts, nma_published, rules : DataFrame
        The tables ``studies``, ``study_facts``, ``nma_published`` and ``certainty_rules``.

    Returns
    -------
    DataFrame [treat1, treat2, evidence, domain, judgement, at best, at worst, basis, would settle]
        One row a contrast and domain. "at best" and "at worst" are the ends of the range that public data
        leave; "cannot be judged" stands alone.

    Source: Nikolakopoulou 2020 (CINeMA), with the simplifications that ``rules`` state.
    """
    context = _Context(published, studies, follow_up_days(facts, randomised=True), nma_published, rules.set_index("domain"))
    rows = []
    for treat1, treat2, path in context.contrasts():
        for domain, judge in _JUDGES.items():
            judgement = judge(context, treat1, treat2, path)
            rows.append({
                "treat1": treat1, "treat2": treat2,
                "evidence": "direct" if len(path) == 1 else "indirect",
                "domain": domain,
                "judgement": judgement.text, "at best": judgement.low, "at worst": judgement.high,
                "basis": judgement.basis,
                "would settle": context.rules.at[domain, "settles"],
            })
    return pd.DataFrame(rows)


def certainty_table(table: pd.DataFrame, published: PublishedNetwork) -> pd.DataFrame:
    """The judgements side by side, with what they add up to.

    Parameters
    ----------
    table : DataFrame
        As from :func:`judgements`.
    published : PublishedNetwork

    Returns
    -------
    DataFrame [contrast, SMD, evidence, one column a domain, certainty at best, certainty at worst]
        Certainty starts at high and falls one level for some concerns and two for major ones, not below very low.
        A domain that cannot be judged takes nothing away at best; at worst it is left out too and named in its own
        column, since nothing is known of it: the true certainty can be lower than "at worst" says.
    """
    rows = []
    for (treat1, treat2), group in table.groupby(["treat1", "treat2"], sort=False):
        te, lower, upper = (frame.at[treat1, treat2] for frame in (published.fit.te, published.fit.lower, published.fit.upper))
        rows.append({
            "contrast": f"{treat1} against {treat2}",
            "SMD": estimate(te, lower, upper),
            "evidence": group["evidence"].iloc[0],
            **dict(zip(group["domain"], group["judgement"])),
            "certainty at best": rating(group["at best"]),
            "certainty at worst": rating(group["at worst"]),
        })
    return pd.DataFrame(rows)


def rating(column: pd.Series) -> str:
    """Certainty from a column of judgements: high less one level for some and two for major concerns."""
    lost = sum({SOME: 1, MAJOR: 2}.get(judgement, 0) for judgement in column)
    return RATINGS[max(0, len(RATINGS) - 1 - lost)]


def high_risk_information(published: PublishedNetwork, studies: pd.DataFrame) -> pd.DataFrame:
    """Share of each comparison's evidence that comes from studies at high risk of bias.

    Returns
    -------
    DataFrame [treat1, treat2, studies, at high risk, estimates, least share of estimates, greatest share of estimates, note]
        Weights are not published. By estimates, each study has at least one; how the rest are spread is open.
    """
    rows = []
    for edge in published.edges.itertuples():
        own = _used(studies, edge.treat1, edge.treat2)
        high = int((own["rob_overall"] == "high").sum())
        low, greatest = high_share_bounds(len(own), high, int(edge.estimates))
        rows.append({
            "treat1": edge.treat1, "treat2": edge.treat2, "studies": len(own), "at high risk": high,
            "estimates": int(edge.estimates), "least share of estimates": low, "greatest share of estimates": greatest,
            "note": "known exactly: all studies are at high risk" if high == len(own) else "the spread of estimates over studies is not published",
        })
    return pd.DataFrame(rows)


def high_share_bounds(n_studies: int, n_high: int, n_estimates: int) -> tuple[float, float]:
    """Least and greatest share of estimates from high-risk studies, each study having at least one estimate."""
    if not 0 <= n_high <= n_studies <= n_estimates:
        raise ValueError(f"studies={n_studies}, at high risk={n_high}, estimates={n_estimates}: expected 0 <= high <= studies <= estimates")
    spare = n_estimates - n_studies
    if n_high == 0:
        return 0.0, 0.0
    if n_high == n_studies:
        return 1.0, 1.0
    return n_high / n_estimates, (n_high + spare) / n_estimates


def imprecision_step(lower: float, upper: float, important: float) -> str:
    """Judgement of an interval: important effects on both sides, on one side with zero inside, or neither."""
    if lower > upper or not important > 0:
        raise ValueError(f"lower={lower}, upper={upper}, important={important}: expected lower <= upper and important > 0")
    if lower <= -important and upper >= important:
        return MAJOR
    if lower <= 0 <= upper and (lower <= -important or upper >= important):
        return SOME
    return NONE


@dataclass(frozen=True)
class _Context:
    published: PublishedNetwork
    studies: pd.DataFrame
    days: pd.Series
    nma_published: pd.DataFrame
    rules: pd.DataFrame

    def contrasts(self):
        """Every pair with its path of direct comparisons through the centre of the star."""
        edges = {frozenset((edge.treat1, edge.treat2)): edge for edge in self.published.edges.itertuples()}
        centre = frozenset.intersection(*edges) if len(edges) > 1 else frozenset()
        for row in self.published.recovery.bounds.itertuples():
            pair = frozenset((row.treat1, row.treat2))
            if pair in edges:
                yield row.treat1, row.treat2, [edges[pair]]
            else:
                yield row.treat1, row.treat2, [edges[frozenset((end, *centre))] for end in (row.treat1, row.treat2)]

    def lacks_main(self, own: pd.DataFrame) -> bool:
        """Whether none of these studies has the treatment that most studies of the network have, if there is one."""
        condition = self.rules.at["indirectness", "condition"]
        if pd.isna(condition):
            return False
        used = self.studies[self.studies["nma_status"] == "used"]
        return 2 * len(used.query(condition, engine="python")) > len(used) and own.query(condition, engine="python").empty

    def threshold(self, domain: str) -> float:
        return float(self.rules.at[domain, "threshold"])


def _counted(n: int) -> str:
    return f"{n} study" if n == 1 else f"{n} studies"


def _used(studies: pd.DataFrame, treat1: str, treat2: str) -> pd.DataFrame:
    return studies[(studies["nma_status"] == "used") & (studies["nma_comparison"] == f"{treat1} vs {treat2}")]


def _within_study_bias(context: _Context, treat1: str, treat2: str, path: list) -> Judgement:
    threshold = context.threshold("within-study bias")
    bounds, parts, all_low = [], [], True
    for edge in path:
        own = _used(context.studies, edge.treat1, edge.treat2)
        high = int((own["rob_overall"] == "high").sum())
        all_low &= bool((own["rob_overall"] == "low").all())
        bounds.append(high_share_bounds(len(own), high, int(edge.estimates)))
        parts.append(f"{high} of {_counted(len(own))} ({edge.estimates} estimates) at high risk against {edge.treat2}")
    low, high = (sum(side) / len(path) for side in zip(*bounds))
    share = number(100 * low, 0) if low == high else f"{number(100 * low, 0)} to {number(100 * high, 0)}"
    basis = f"{'; '.join(parts)}: {share} % of estimates"
    mild = NONE if all_low else SOME
    if low > threshold:
        return Judgement(MAJOR, MAJOR, basis)
    return Judgement(mild, mild if high <= threshold else MAJOR, basis)


def _reporting_bias(context: _Context, treat1: str, treat2: str, path: list) -> Judgement:
    least = min(len(_used(context.studies, edge.treat1, edge.treat2)) for edge in path)
    threshold = int(context.threshold("reporting bias"))
    if least < threshold:
        return Judgement(UNKNOWN, UNKNOWN, f"{_counted(least)}; a funnel plot needs {threshold}")
    printed = context.nma_published.set_index("quantity")["value"]
    p = float(printed["egger_p"])
    step = NONE if p > EGGER_LEVEL else SOME
    return Judgement(step, step, f"{least} studies; printed p of the Egger test {number(p, 2)}, over the whole network and not checkable here")


def _indirectness(context: _Context, treat1: str, treat2: str, path: list) -> Judgement:
    worst, reasons = 0 if len(path) == 1 else 1, []
    for edge in path:
        own = _used(context.studies, edge.treat1, edge.treat2)
        kinds = own["subclass"].nunique()
        known = own["study"].map(context.days).dropna()
        short = int((known <= SHORT_DAYS).sum())
        without_main = context.lacks_main(own)
        grounds = int(kinds > 1) + int(short > context.threshold("indirectness") * len(own)) + int(without_main)
        worst = min(2, max(worst, grounds))
        reasons.append(f"against {edge.treat2}: {kinds} {'sub-class' if kinds == 1 else 'sub-classes'}, {short} of {_counted(len(own))} "
                       f"comparing arms for at most {SHORT_DAYS} days ({len(own) - len(known)} unknown)"
                       + (f", none with {context.rules.at['indirectness', 'condition_label']}" if without_main else ""))
    if len(path) > 1:
        reasons.append("no trial compares the two")
    return Judgement(STEPS[worst], STEPS[worst], "; ".join(reasons))


def _imprecision(context: _Context, treat1: str, treat2: str, path: list) -> Judgement:
    important = context.threshold("imprecision")
    lower, upper = (float(frame.at[treat1, treat2]) for frame in (context.published.fit.lower, context.published.fit.upper))
    step = imprecision_step(lower, upper, important)
    return Judgement(step, step, f"interval {number(lower)} to {number(upper)}, important from {number(important, 1)}")


def _heterogeneity(context: _Context, treat1: str, treat2: str, path: list) -> Judgement:
    recovery = context.published.recovery
    if math.isnan(recovery.tau2_high) or not recovery.df:
        return Judgement(UNKNOWN, UNKNOWN, "tau2 is not printed and nothing bounds it")
    important = context.threshold("heterogeneity")
    fit = context.published.fit
    te, se = float(fit.te.at[treat1, treat2]), float(fit.se.at[treat1, treat2])
    plain = STEPS.index(imprecision_step(float(fit.lower.at[treat1, treat2]), float(fit.upper.at[treat1, treat2]), important))
    t = float(t_quantile(fit.level, max(recovery.df) - 1))
    steps, parts = [], []
    for tau2 in (max(0.0, recovery.tau2_low), recovery.tau2_high):
        reach = t * math.sqrt(se**2 + tau2)
        worse = STEPS.index(imprecision_step(te - reach, te + reach, important)) - plain
        steps.append(STEPS[max(0, worse)])
        parts.append(f"{number(te - reach)} to {number(te + reach)} with tau2 {number(tau2, 3)}")
    low, high = sorted(steps, key=STEPS.index)
    return Judgement(low, high, "prediction interval " + ", ".join(parts))


def _incoherence(context: _Context, treat1: str, treat2: str, path: list) -> Judgement:
    return Judgement(UNKNOWN, UNKNOWN, "the network is a star: no closed loop")


_JUDGES = {
    "within-study bias": _within_study_bias,
    "reporting bias": _reporting_bias,
    "indirectness": _indirectness,
    "imprecision": _imprecision,
    "heterogeneity": _heterogeneity,
    "incoherence": _incoherence,
}
