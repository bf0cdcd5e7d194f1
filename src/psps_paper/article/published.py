"""The published network, reconstructed so that it agrees with all printed values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import pandas as pd

from psps_paper.formatting import interval, number, p_interval, p_value, printed_value
from psps_paper.network.model import Desirable, NetworkFit
from psps_paper.network.summary import network_from_pooled
from psps_paper.recover.contrasts import Recovery, leave_one_out, recover_contrasts
from psps_paper.recover.printed import CONTRAST_QUANTITIES, I2_QUANTITIES, QUANTITIES
from psps_paper.tables.cache import cached

LABELS = {
    "te": "SMD",
    "lower": "lower limit",
    "upper": "upper limit",
    "z": "z",
    "p": "p",
    "p_score": "P-score",
    "i2": "I2",
    "i2_lower": "lower limit of I2",
    "i2_upper": "upper limit of I2",
    "tau2": "tau2",
}


@dataclass(frozen=True)
class PublishedNetwork:
    """The joint implications of the printed values of a network.

    Attributes
    ----------
    printed : DataFrame
        The printed values that constrain the network, I2 as a fraction.
    edges : DataFrame [treat1, treat2, estimates]
        Direct comparisons with their printed numbers of estimates.
    recovery : Recovery
        Bounds of every contrast, a central solution, or the clashing values.
    fit : NetworkFit
        The central solution as a network (tier "implied").
    without : DataFrame [low, high]
        For each row of ``printed``, the interval that all other printed values imply for it.
    """

    printed: pd.DataFrame
    edges: pd.DataFrame
    recovery: Recovery
    fit: NetworkFit
    without: pd.DataFrame

    @property
    def bounds(self) -> pd.DataFrame:
        """Return the range of each pair's values that the printed values allow, as in ``Recovery.bounds``.

        Raises
        ------
        ValueError
            No network agrees with all printed values; the message names the values that clash.
        """
        if not self.recovery.feasible:
            raise ValueError(
                "no network agrees with all printed values; these cannot hold together:"
                f" {clashing_values(self.recovery)}"
            )
        return self.recovery.bounds


def clashing_values(recovery: Recovery) -> str:
    """Describe the smallest set of printed values that cannot hold together, each with its name and printed form."""
    rows = recovery.clashes
    return "; ".join(
        f"{label} {'' if row.relation == '=' else row.relation}{number(row.value, int(row.decimals))}"
        for label, row in zip(_labels(rows), rows.itertuples(), strict=True)
    )


def _labels(rows: pd.DataFrame) -> list[str]:
    return [
        " ".join(
            [LABELS[row.quantity]]
            + [f"{row.treat1}"] * isinstance(row.treat1, str)
            + [f"against {row.treat2}"] * isinstance(row.treat2, str)
        )
        for row in rows.itertuples()
    ]


def printed_values(nma_published: pd.DataFrame) -> pd.DataFrame:
    """Select the rows of ``nma_published`` that constrain the network, in the units that ``recover`` expects.

    I2 is printed in percent and returned as a fraction, with two more decimals.
    """
    rows = nma_published[nma_published["quantity"].isin(QUANTITIES)].copy()
    percent = rows["quantity"].isin(I2_QUANTITIES)
    rows.loc[percent, "value"] = rows.loc[percent, "value"] / 100
    rows.loc[percent, "decimals"] = rows.loc[percent, "decimals"] + 2
    return rows


def audit_description(nma_published: pd.DataFrame, *, desirable: Desirable) -> dict:
    """Convert the printed values to the input of :func:`psps_paper.audit.audit`, to audit them like any others.

    Parameters
    ----------
    nma_published : DataFrame
        The table of that name.
    desirable : {"lower", "higher"}
        Desirable direction of te.
    """

    def text(row: pd.Series) -> str:
        return f"{row['relation'] if row['relation'] in '<>' else ''}{row['value']:.{int(row['decimals'])}f}"

    contrasts = nma_published[nma_published["treat2"].notna() & nma_published["quantity"].isin(CONTRAST_QUANTITIES)]
    pairs = ["\t".join(("treatment 1", "treatment 2", "estimate", "lower", "upper", "p", "z"))]
    for (treat1, treat2), rows in contrasts.groupby(["treat1", "treat2"], sort=False):
        printed = {row["quantity"]: text(row) for _, row in rows.iterrows()}
        if {"te", "lower", "upper"} <= set(printed):
            triple = f"{printed['te']} ({printed['lower']}, {printed['upper']})"
            pairs.append("\t".join((treat1, treat2, triple, "", "", printed.get("p", ""), printed.get("z", ""))))
    single = nma_published[nma_published["treat2"].isna()]
    scores = {row["treat1"]: text(row) for _, row in single[single["quantity"] == "p_score"].iterrows()}
    names = {"i2": "I2", "i2_lower": "I2_lower", "i2_upper": "I2_upper", "tau2": "tau2"}
    heterogeneity = {
        names[row["quantity"]]: text(row) + "%" * (row["unit"] == "percent")
        for _, row in single[single["quantity"].isin(names)].iterrows()
    }
    return {
        "schema": 1,
        "title": "the article's network",
        "networks": [
            {
                "name": "network",
                "measure": "SMD",
                "framework": "frequentist",
                "better": desirable,
                "tables": [{"text": "\n".join(pairs) + "\n"}],
                "scores": {"kind": "P-score", **scores},
                "heterogeneity": heterogeneity,
            }
        ],
    }


def published_edges(nma_published: pd.DataFrame) -> pd.DataFrame:
    """List the direct comparisons by number of estimates, most first: DataFrame [treat1, treat2, estimates]."""
    rows = nma_published[nma_published["quantity"] == "n_estimates"]
    edges = rows[["treat1", "treat2"]].assign(estimates=rows["value"].astype(int))
    # Neither the recovered values nor the starts of a search may depend on the order of rows
    return edges.sort_values(["estimates", "treat1", "treat2"], ascending=[False, True, True], ignore_index=True)


def published_network(nma_published: pd.DataFrame, *, desirable: Desirable) -> PublishedNetwork:
    """Recover the network behind printed values.

    Parameters
    ----------
    nma_published : DataFrame
        The table of that name.
    desirable : {"lower", "higher"}
        Desirable direction of te, from ``data/outcomes.csv`` (``te_desirable``).

    Returns
    -------
    PublishedNetwork
        Also if the values clash: ``recovery.feasible`` is then false and ``fit`` is the network nearest to agreement.
    """
    return _published_network(_Hashed(nma_published), desirable)


class _Hashed:
    """A table that is hashed and compared by its content, as the key of a cache."""

    def __init__(self, table: pd.DataFrame):
        self.table = table
        self.digest = table.to_csv()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashed) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


# A chapter needs the same network several times, and recovering it takes a second or two.
@lru_cache(maxsize=4)
def _published_network(hashed: _Hashed, desirable: Desirable) -> PublishedNetwork:
    return cached("network", hashed.digest + desirable, lambda: _recovered(hashed.table, desirable))


def _recovered(nma_published: pd.DataFrame, desirable: Desirable) -> PublishedNetwork:
    printed = printed_values(nma_published)
    edges = published_edges(nma_published)
    recovery = recover_contrasts(printed, edges, desirable=desirable)
    without = leave_one_out(printed, edges, desirable=desirable)
    fit = network_from_pooled(recovery.solution)
    return PublishedNetwork(printed, edges, recovery, fit, without)


def comparisons(studies: pd.DataFrame, nma_published: pd.DataFrame) -> pd.DataFrame:
    """List every comparison that the article found, with its numbers of studies and estimates.

    Parameters
    ----------
    studies, nma_published : DataFrame
        The tables of those names.

    Returns
    -------
    DataFrame [treat1, treat2, n_studies, n_estimates, refs, used]
        ``n_estimates`` is NA for a comparison outside the analysed network.
    """
    rows = []
    estimates = published_edges(nma_published).set_index(["treat1", "treat2"])["estimates"]
    for name, group in studies.dropna(subset="nma_comparison").groupby("nma_comparison", sort=True):
        treat1, treat2 = name.split(" vs ")
        rows.append(
            {
                "treat1": treat1,
                "treat2": treat2,
                "n_studies": len(group),
                "n_estimates": estimates.get((treat1, treat2), pd.NA),
                "refs": ", ".join(map(str, sorted(group["ref"]))),
                "used": bool((group["nma_status"] == "used").all()),
            }
        )
    return pd.DataFrame(rows).sort_values("n_studies", ascending=False, ignore_index=True)


def forest_rows(published: PublishedNetwork, reference: str) -> pd.DataFrame:
    """Return the rows of a forest plot: effects of one treatment against each other one.

    Parameters
    ----------
    published : PublishedNetwork
    reference : str
        First-named treatment of every row; te is reference minus the other.

    Returns
    -------
    DataFrame [label, te, lower, upper, tier, treatment_class]
        Tier "printed", with the printed values, if the article prints the contrast; otherwise "implied",
        with the central solution.
    """
    printed = published.printed.set_index(["quantity", "treat1", "treat2"])["value"]
    rows = []
    for other in published.fit.treatments:
        if other == reference:
            continue
        key = (reference, other)
        is_printed = ("te", *key) in printed.index
        frames = {"te": published.fit.te, "lower": published.fit.lower, "upper": published.fit.upper}
        values = {name: printed[(name, *key)] if is_printed else frame.at[key] for name, frame in frames.items()}
        rows.append(
            {
                "label": f"against {other}",
                **values,
                "tier": "printed" if is_printed else "implied",
                "treatment_class": other,
            }
        )
    return pd.DataFrame(rows).sort_values("te", ascending=False, ignore_index=True)


def contrast_texts(published: PublishedNetwork, treat1: str, treat2: str, prefix: str) -> dict[str, str]:
    """Write the ranges that all printed values allow for a contrast, for use in sentences.

    Returns
    -------
    dict
        ``te``, ``se``, ``lower``, ``upper``, ``p``: "low to high" with three decimals; ``te_point`` and
        ``interval_point``: the central solution with two. Each name starts with ``prefix``.
    """
    bounds = published.bounds
    row = bounds[(bounds["treat1"] == treat1) & (bounds["treat2"] == treat2)]
    if row.empty:
        raise ValueError(f"{treat1} vs {treat2}: not a pair of the network as listed in its bounds")
    row = row.iloc[0]
    fit, key = published.fit, (treat1, treat2)
    texts = {name: interval(row[f"{name}_low"], row[f"{name}_high"], 3) for name in ("te", "se", "lower", "upper")}
    texts["p"] = p_interval(row["p_low"], row["p_high"])
    texts["te_point"] = number(fit.te.at[key])
    texts["interval_point"] = interval(fit.lower.at[key], fit.upper.at[key])
    return {prefix + name: text for name, text in texts.items()}


def bounds_table(published: PublishedNetwork) -> pd.DataFrame:
    """Tabulate, as text, the ranges that the printed values allow for every pair of treatments.

    Returns
    -------
    DataFrame [first, second, SMD, lower limit, upper limit, z, p]
        Each cell is "low to high"; the SMD is first minus second.
    """
    bounds = published.bounds
    columns = {"te": "SMD", "lower": "lower limit", "upper": "upper limit", "z": "z"}
    cells = {
        shown: [interval(low, high, 3) for low, high in zip(bounds[f"{name}_low"], bounds[f"{name}_high"], strict=True)]
        for name, shown in columns.items()
    }
    cells["p"] = [p_interval(low, high) for low, high in zip(bounds["p_low"], bounds["p_high"], strict=True)]
    return bounds[["treat1", "treat2"]].rename(columns={"treat1": "first", "treat2": "second"}).assign(**cells)


def without_each(published: PublishedNetwork) -> pd.DataFrame:
    """Return each printed value and the interval that all others imply for it, in the units of ``published.printed``.

    Returns
    -------
    DataFrame [quantity, label, low, high, printed, decimals]
        Input of :func:`psps_paper.figures.interval_strip`.
    """
    rows = published.without
    # Such a limit often ends in exactly 5; the search's tolerance must not decide how it is rounded
    low, high = (rows[name].round(9).to_numpy() for name in ("implied_low", "implied_high"))
    return pd.DataFrame(
        {
            "quantity": rows["quantity"].to_numpy(),
            "label": _labels(rows),
            "low": low,
            "high": high,
            "printed": rows["value"].to_numpy(),
            "decimals": rows["decimals"].to_numpy(),
        }
    )


def without_table(published: PublishedNetwork) -> pd.DataFrame:
    """Tabulate, as text, each printed value and the interval that all others imply for it.

    Implied values have one decimal more than the printed one; I2 is in percent; p values below 0.0001 are given as that
    bound.

    Returns
    -------
    DataFrame [what, printed, implied by all others, low, implied by all others, high, agrees]
        ``agrees``: "yes" if the rounding interval of the printed value overlaps the implied interval, else "no".
    """
    rows = []
    for row, relation, agrees in zip(
        without_each(published).itertuples(), published.without["relation"], published.without["agrees"], strict=True
    ):
        in_percent = row.quantity in I2_QUANTITIES
        unit, scale, decimals = (
            ("percent", 100, int(row.decimals) - 2) if in_percent else ("none", 1, int(row.decimals))
        )
        low, high = (
            (
                p_value(end)
                if row.quantity == "p" and end < 0.0001
                else printed_value(scale * end, decimals + 1, unit=unit)
            )
            for end in (row.low, row.high)
        )
        rows.append(
            {
                "what": row.label,
                "printed": printed_value(scale * row.printed, decimals, relation, unit),
                "implied by all others, low": low,
                "implied by all others, high": high,
                "agrees": "yes" if agrees else "no",
            }
        )
    return pd.DataFrame(rows)
