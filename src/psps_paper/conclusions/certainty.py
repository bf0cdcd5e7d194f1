"""Certainty of each contrast: judgements by stated rules, or the reason why a domain cannot be judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import pandas as pd

from psps_paper.article.facts import follow_up_days
from psps_paper.article.published import PublishedNetwork
from psps_paper.conclusions.robustness import clinical_scale
from psps_paper.ensemble import implied_prediction_intervals, published_results, tau2_routes
from psps_paper.formatting import estimate, interval, number, out_of, sentence_list
from psps_paper.tables.dataset import Dataset, dataset
from psps_paper.tables.load import meeting

NONE, SOME, MAJOR, UNKNOWN = "no concerns", "some concerns", "major concerns", "cannot be judged"
STEPS = [NONE, SOME, MAJOR]
RATINGS = ["very low", "low", "moderate", "high"]
SHORT_DAYS = 31
EGGER_LEVEL = 0.1
DOUBTS = "eligibility|class of"  # matters_for in source_differences.csv: doubts about the patients or the treatments


@dataclass(frozen=True)
class Judgement:
    """A judgement with its basis; ``low`` and ``high`` differ where public data give only a range."""

    low: str
    high: str
    basis: str

    @property
    def text(self) -> str:
        if self.low == self.high:
            return self.low
        between = "to" if (self.low, self.high) == (NONE, MAJOR) else "or"
        return f"{self.low.removesuffix(' concerns')} {between} {self.high}"


@dataclass(frozen=True)
class Tau2Range:
    """Range of the between-study variance that the print allows, and the route by which it was derived."""

    low: float
    high: float
    route: str


@dataclass(frozen=True)
class Basis:
    """The data from which the judgements are computed.

    Attributes
    ----------
    published : PublishedNetwork
    studies, nma_published, differences : DataFrame
        The tables ``studies``, ``nma_published`` and ``source_differences``.
    days : Series
        Duration of each study's comparison of its arms in days, by study; missing where unknown.
    rules : DataFrame
        The table ``certainty_rules`` with every threshold filled in (:func:`with_important`).
    tau2 : Tau2Range
    predictions : DataFrame [treat1, treat2, narrow_lower, narrow_upper, wide_lower, wide_upper]
        Prediction intervals that ``tau2`` allows.
    """

    published: PublishedNetwork
    studies: pd.DataFrame
    nma_published: pd.DataFrame
    differences: pd.DataFrame
    days: pd.Series
    rules: pd.DataFrame
    tau2: Tau2Range
    predictions: pd.DataFrame

    def threshold(self, domain: str) -> float:
        return float(self.rules.set_index("domain").at[domain, "threshold"])

    def contrasts(self) -> Iterator[tuple[str, str, list]]:
        """Yield every pair with its path of direct comparisons through the centre of the star."""
        edges = {frozenset((edge.treat1, edge.treat2)): edge for edge in self.published.edges.itertuples()}
        centre = frozenset.intersection(*edges) if len(edges) > 1 else frozenset()
        for row in self.published.bounds.itertuples():
            pair = frozenset((row.treat1, row.treat2))
            if pair in edges:
                yield row.treat1, row.treat2, [edges[pair]]
            else:
                yield row.treat1, row.treat2, [edges[frozenset((end, *centre))] for end in (row.treat1, row.treat2)]

    def without_main_treatment(self, own: pd.DataFrame) -> bool:
        """Test whether none of these studies has the treatment used by most studies of the network, if there is one."""
        condition = self.rules.set_index("domain").at["indirectness", "condition"]
        if pd.isna(condition):
            return False
        used = self.studies[self.studies["nma_status"] == "used"]
        row = self.rules.index[self.rules["domain"] == "indirectness"][0]
        where = f"certainty_rules.csv, row {row + 1}, column condition"
        return (
            2 * meeting(used, condition, "studies.csv", where).sum() > len(used)
            and not meeting(own, condition, "studies.csv", where).any()
        )

    def flagged_studies(self, own: pd.DataFrame) -> list[str]:
        """List the studies whose patients, design or class the sources put in doubt, each with the topic."""
        rows = self.differences[self.differences["matters_for"].str.contains(DOUBTS)]
        topics = rows.groupby("study")["topic"].agg(lambda topic: ", ".join(dict.fromkeys(topic)))
        return [
            f"{row.first_author} {row.year} ({topics[row.study]})" for row in own.itertuples() if row.study in topics
        ]

    def intervals(self, treat1: str, treat2: str) -> tuple[list, list]:
        """Return the narrowest and widest confidence, then prediction intervals that the print allows for a pair."""
        bounds, predictions = (
            next(table[(table["treat1"] == treat1) & (table["treat2"] == treat2)].itertuples())
            for table in (self.published.bounds, self.predictions)
        )
        return (
            [(bounds.lower_high, bounds.upper_low), (bounds.lower_low, bounds.upper_high)],
            [(predictions.narrow_lower, predictions.narrow_upper), (predictions.wide_lower, predictions.wide_upper)],
        )


def published_basis(published: PublishedNetwork, data: Dataset | None = None) -> Basis:
    """Collect the basis of the published network from the tables of ``data/``.

    A rule without a threshold of its own takes the smallest important SMD of the table ``clinical_scale``.

    Parameters
    ----------
    published : PublishedNetwork
    data : Dataset, optional
        By default that of this checkout.
    """
    data = dataset(data)
    evidence = published_results(data)
    tau2 = tau2_range(published, tau2_routes(evidence))
    basis = Basis(
        published,
        data.table("studies"),
        data.table("nma_published"),
        data.table("source_differences"),
        follow_up_days(data.table("study_facts"), randomised=True),
        data.table("certainty_rules"),
        tau2,
        implied_prediction_intervals(tau2.low, tau2.high, evidence),
    )
    own = basis.rules["threshold"]
    derived = with_important(basis, clinical_scale(data.table("clinical_scale")).important_smd)
    return replace(basis, rules=basis.rules.assign(threshold=own.fillna(derived.rules["threshold"])))


def with_important(basis: Basis, important: float) -> Basis:
    """Replace the smallest important SMD in every rule that has one."""
    if not important > 0:
        raise ValueError(f"important={important}: expected an SMD above 0")
    return replace(
        basis,
        rules=basis.rules.assign(threshold=basis.rules["threshold"].mask(basis.rules["unit"] == "SMD", important)),
    )


def tau2_range(published: PublishedNetwork, routes: pd.DataFrame) -> Tau2Range:
    """Bound the between-study variance by the first route that rules out zero.

    Parameters
    ----------
    published : PublishedNetwork
        Its pooled results alone do not rule out zero, but they bound tau2 from above, whatever the route.
    routes : DataFrame
        From :func:`psps_paper.ensemble.tau2_routes`, those with fewer assumptions first.

    Raises
    ------
    ValueError
        No route rules out zero, or a route leads to values above those that the pooled results allow.

    Source: the routes of :func:`psps_paper.ensemble.tau2_routes`.
    """
    most = published.recovery.tau2_high
    for route, rows in routes.dropna(subset=["low", "high"]).groupby("route", sort=False):
        low, high = float(rows["low"].min()), min(float(rows["high"].max()), most)
        if low > high:
            raise ValueError(f"tau2 from {low} by {route}: the pooled results allow at most {most}")
        if low > 0:
            return Tau2Range(low, high, route)
    raise ValueError(f"routes={sorted(routes['route'].unique())}: none gives a tau2 above 0")


def judgements(basis: Basis) -> pd.DataFrame:
    """Compute every judgement with its basis.

    Returns
    -------
    DataFrame [treat1, treat2, evidence, domain, judgement, at best, at worst, basis, would settle]
        One row per contrast and domain. "at best" and "at worst" are the ends of the range that public data
        allow; both are "cannot be judged" where there is no range.

    Source: domains and levels of concern after Nikolakopoulou 2020 (CINeMA); the rules are this edition's own.
    """
    settles = basis.rules.set_index("domain")["settles"]
    rows = []
    for treat1, treat2, path in basis.contrasts():
        for domain, judge in _JUDGES.items():
            judgement = judge(basis, treat1, treat2, path)
            rows.append(
                {
                    "treat1": treat1,
                    "treat2": treat2,
                    "evidence": "direct" if len(path) == 1 else "indirect",
                    "domain": domain,
                    "judgement": judgement.text,
                    "at best": judgement.low,
                    "at worst": judgement.high,
                    "basis": judgement.basis,
                    "would settle": settles[domain],
                }
            )
    return pd.DataFrame(rows)


def certainty_table(table: pd.DataFrame, published: PublishedNetwork) -> pd.DataFrame:
    """Tabulate the judgements side by side, with the resulting certainty.

    Parameters
    ----------
    table : DataFrame
        As from :func:`judgements`.
    published : PublishedNetwork

    Returns
    -------
    DataFrame [contrast, SMD, evidence, one column a domain, levels lost, certainty at best, certainty at worst]
        Levels and certainty by :func:`levels_lost` and :func:`rating`.
    """
    rows = []
    for (treat1, treat2), group in table.groupby(["treat1", "treat2"], sort=False):
        te, lower, upper = (
            frame.at[treat1, treat2] for frame in (published.fit.te, published.fit.lower, published.fit.upper)
        )
        best, worst = levels_lost(group)
        rows.append(
            {
                "contrast": f"{treat1} against {treat2}",
                "SMD": estimate(te, lower, upper),
                "evidence": group["evidence"].iloc[0],
                **dict(zip(group["domain"], group["judgement"], strict=True)),
                "levels lost": f"{best} to {worst}" if best < worst else str(best),
                "certainty at best": rating(best),
                "certainty at worst": rating(worst),
            }
        )
    return pd.DataFrame(rows)


def levels_lost(group: pd.DataFrame) -> tuple[int, int]:
    """Count the levels by which the judgements lower the certainty of a contrast, at best and at worst.

    Some concerns cost one level, major concerns two. A domain that cannot be judged costs nothing at best. At worst it
    costs as much as major concerns, since no public evidence rules them out.
    """
    cost = {judgement: step for step, judgement in enumerate(STEPS)}
    worst = cost[MAJOR]
    return int(group["at best"].map(cost | {UNKNOWN: 0}).sum()), int(
        group["at worst"].map(cost | {UNKNOWN: worst}).sum()
    )


def rating(lost: int) -> str:
    """Return the certainty after a number of levels are lost: it starts at high and ends at very low."""
    return RATINGS[max(0, len(RATINGS) - 1 - lost)]


def ratings_texts(table: pd.DataFrame) -> dict[str, str]:
    """Summarise :func:`certainty_table` for prose.

    Returns
    -------
    dict
        ``ratings``: every rating that a contrast has at best or at worst, from high to low; ``least_lost``: the fewest
        levels that a contrast loses even at best.
    """
    found = {*table["certainty at best"], *table["certainty at worst"]}
    return {
        "ratings": " or ".join(rated for rated in reversed(RATINGS) if rated in found),
        "least_lost": str(min(int(lost.split()[0]) for lost in table["levels lost"])),
    }


def by_threshold(basis: Basis, points: float, points_per_smd: Iterable[float]) -> pd.DataFrame:
    """Compute the judgements under other values of the smallest important SMD.

    Parameters
    ----------
    basis : Basis
    points : float
        Smallest important difference on the outcome's scale.
    points_per_smd : iterable of float
        SDs on that scale; each gives one threshold, ``points`` divided by the SD.

    Returns
    -------
    DataFrame [contrast, what, one column a threshold in rising order]
        ``what`` is "imprecision", "heterogeneity" or "certainty"; certainty is a range from best to worst.
    """
    columns = {}
    for sd in sorted(points_per_smd, reverse=True):
        table = judgements(with_important(basis, points / sd))
        rated = certainty_table(table, basis.published).set_index("contrast")
        ends = [
            " to ".join(dict.fromkeys(row))
            for row in rated[["certainty at best", "certainty at worst"]].itertuples(index=False)
        ]
        shown = rated[["imprecision", "heterogeneity"]].assign(certainty=ends).rename_axis(columns="what")
        columns[f"SMD {number(points / sd)} ({number(sd)} points per SMD)"] = shown.stack()
    return pd.DataFrame(columns).reset_index()


def threshold_texts(table: pd.DataFrame) -> dict[str, str]:
    """Summarise for prose what depends on the threshold in :func:`by_threshold`.

    Returns
    -------
    dict
        ``rated_otherwise_of`` (for how many of the contrasts the certainty changes), ``n_judgements`` and
        ``n_judged_otherwise`` (judgements of imprecision and heterogeneity, and how many change).
    """
    rated = table["what"] == "certainty"
    changes = table.drop(columns=["contrast", "what"]).nunique(axis=1) > 1
    return {
        "rated_otherwise_of": out_of(int(changes[rated].sum()), int(rated.sum())),
        "n_judgements": str(int((~rated).sum())),
        "n_judged_otherwise": str(int(changes[~rated].sum())),
    }


def high_risk_information(edges: pd.DataFrame, studies: pd.DataFrame) -> pd.DataFrame:
    """Compute the share of each comparison's evidence that comes from studies at high risk of bias.

    Parameters
    ----------
    edges : DataFrame [treat1, treat2, estimates]
        Direct comparisons, as from :func:`psps_paper.article.published.published_edges`.
    studies : DataFrame

    Returns
    -------
    DataFrame [treat1, treat2, studies, at high risk, estimates, least share of estimates, greatest share of estimates,
    note]
        One row per comparison, and one for the whole network. Weights are not published, so shares are of estimates:
        each study has at least one, and the distribution of the others is unknown.
    """
    rows = []
    for edge in edges.itertuples():
        own = _used(studies, edge.treat1, edge.treat2)
        high = int((own["rob_overall"] == "high").sum())
        low, greatest = high_share_bounds(len(own), high, int(edge.estimates))
        rows.append(
            {
                "treat1": edge.treat1,
                "treat2": edge.treat2,
                "studies": len(own),
                "at high risk": high,
                "estimates": int(edge.estimates),
                "least share of estimates": low,
                "greatest share of estimates": greatest,
                "note": (
                    "known exactly: all studies are at high risk"
                    if high == len(own)
                    else "the spread of estimates over studies is not published"
                ),
            }
        )
    table = pd.DataFrame(rows)
    counts = table[["studies", "at high risk", "estimates"]].sum()
    shares = {
        name: (table[name] * table["estimates"]).sum() / counts["estimates"]
        for name in ("least share of estimates", "greatest share of estimates")
    }
    whole = {
        "treat1": "the whole network",
        "treat2": "",
        **counts,
        **shares,
        "note": "all comparisons together, each estimate counted once",
    }
    return pd.concat([table, pd.DataFrame([whole])], ignore_index=True)


def high_share_bounds(n_studies: int, n_high: int, n_estimates: int) -> tuple[float, float]:
    """Bound the share of estimates from high-risk studies, given that each study has at least one estimate."""
    if not 0 <= n_high <= n_studies <= n_estimates:
        raise ValueError(
            f"studies={n_studies}, at high risk={n_high}, estimates={n_estimates}: expected 0 <= high <= studies <="
            " estimates"
        )
    spare = n_estimates - n_studies
    if n_high == 0:
        return 0.0, 0.0
    if n_high == n_studies:
        return 1.0, 1.0
    return n_high / n_estimates, (n_high + spare) / n_estimates


def imprecision_step(lower: float, upper: float, important: float) -> str:
    """Judge an interval: important effects in both directions, in one direction with zero inside, or neither."""
    if lower > upper or not important > 0:
        raise ValueError(
            f"lower={lower}, upper={upper}, important={important}: expected lower <= upper and important > 0"
        )
    if lower <= -important and upper >= important:
        return MAJOR
    if lower <= 0 <= upper and (lower <= -important or upper >= important):
        return SOME
    return NONE


def _counted(n: int) -> str:
    return f"{n} study" if n == 1 else f"{n} studies"


def _used(studies: pd.DataFrame, treat1: str, treat2: str) -> pd.DataFrame:
    return studies[(studies["nma_status"] == "used") & (studies["nma_comparison"] == f"{treat1} vs {treat2}")]


def _within_study_bias(basis: Basis, treat1: str, treat2: str, path: list) -> Judgement:
    threshold = basis.threshold("within-study bias")
    bounds, parts, all_low = [], [], True
    for edge in path:
        own = _used(basis.studies, edge.treat1, edge.treat2)
        high = int((own["rob_overall"] == "high").sum())
        all_low &= bool((own["rob_overall"] == "low").all())
        bounds.append(high_share_bounds(len(own), high, int(edge.estimates)))
        parts.append(f"{high} of {_counted(len(own))} ({edge.estimates} estimates) at high risk against {edge.treat2}")
    low, high = (sum(side) / len(path) for side in zip(*bounds, strict=True))
    share = number(100 * low, 0) if low == high else f"{number(100 * low, 0)} to {number(100 * high, 0)}"
    text = f"{'; '.join(parts)}: {share} % of estimates"
    mild = NONE if all_low else SOME
    if low > threshold:
        return Judgement(MAJOR, MAJOR, text)
    return Judgement(mild, mild if high <= threshold else MAJOR, text)


def _reporting_bias(basis: Basis, treat1: str, treat2: str, path: list) -> Judgement:
    least = min(len(_used(basis.studies, edge.treat1, edge.treat2)) for edge in path)
    threshold = int(basis.threshold("reporting bias"))
    if least < threshold:
        return Judgement(UNKNOWN, UNKNOWN, f"{_counted(least)}; a funnel plot needs {threshold}")
    p = float(basis.nma_published.set_index("quantity").at["egger_p", "value"])
    text = (
        f"{_counted(least)}; the printed Egger test (p {number(p, 2)}) is over the whole network, and its estimates are"
        " not public"
    )
    if p > EGGER_LEVEL:
        return Judgement(UNKNOWN, UNKNOWN, f"{text}: it says nothing of this comparison")
    return Judgement(SOME, SOME, f"{text}: asymmetry is a warning even so")


def _indirectness(basis: Basis, treat1: str, treat2: str, path: list) -> Judgement:
    steps, reasons = [(0, 0) if len(path) == 1 else (1, 1)], []
    for edge in path:
        own = _used(basis.studies, edge.treat1, edge.treat2)
        kinds, without_main, flagged = (
            own["subclass"].nunique(),
            basis.without_main_treatment(own),
            basis.flagged_studies(own),
        )
        known = own["study"].map(basis.days).dropna()
        short, unknown = int((known <= SHORT_DAYS).sum()), len(own) - len(known)
        limit = basis.threshold("indirectness") * len(own)
        sure = int(kinds > 1) + int(without_main)
        steps.append((sure + int(short > limit), sure + int(short + unknown > limit) + int(bool(flagged))))
        reasons.append(
            f"against {edge.treat2}: {kinds} {'sub-class' if kinds == 1 else 'sub-classes'}, {short} of"
            f" {_counted(len(own))} comparing arms for at most {SHORT_DAYS} days ({unknown} unknown)"
            + (
                f", none with {basis.rules.set_index('domain').at['indirectness', 'condition_label']}"
                if without_main
                else ""
            )
            + (f", sources raise doubts about {sentence_list(flagged)}" if flagged else "")
        )
    if len(path) > 1:
        reasons.append("no trial compares the two")
    low, high = (min(2, max(side)) for side in zip(*steps, strict=True))
    return Judgement(STEPS[low], STEPS[high], "; ".join(reasons))


def _imprecision(basis: Basis, treat1: str, treat2: str, path: list) -> Judgement:
    important = basis.threshold("imprecision")
    lower, upper = (float(frame.at[treat1, treat2]) for frame in (basis.published.fit.lower, basis.published.fit.upper))
    confidence, _ = basis.intervals(treat1, treat2)
    low, high = (imprecision_step(*ends, important) for ends in confidence)
    text = f"interval {interval(lower, upper)}, important from {number(important)}"
    return Judgement(low, high, text if low == high else f"{text}, which the rounding of the print leaves undecided")


def _heterogeneity(basis: Basis, treat1: str, treat2: str, path: list) -> Judgement:
    important = basis.threshold("heterogeneity")
    confidence, prediction = basis.intervals(treat1, treat2)
    plain, wider = (
        [STEPS.index(imprecision_step(*ends, important)) for ends in intervals]
        for intervals in (confidence, prediction)
    )
    steps = [max(0, new - mean) for new in wider for mean in plain]
    narrow, wide = (interval(*ends) for ends in prediction)
    text = (
        f"prediction interval {narrow} at its narrowest, {wide} at its widest "
        f"(tau2 {interval(basis.tau2.low, basis.tau2.high, 3)}), important from {number(important)}"
    )
    return Judgement(STEPS[min(steps)], STEPS[max(steps)], text)


def _incoherence(basis: Basis, treat1: str, treat2: str, path: list) -> Judgement:
    return Judgement(UNKNOWN, UNKNOWN, "the network is a star: no closed loop")


_JUDGES = {
    "within-study bias": _within_study_bias,
    "reporting bias": _reporting_bias,
    "indirectness": _indirectness,
    "imprecision": _imprecision,
    "heterogeneity": _heterogeneity,
    "incoherence": _incoherence,
}
