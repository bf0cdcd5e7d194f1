"""Tables and sentences of the chapters on the network."""

from __future__ import annotations

import pandas as pd

from psps_paper import formatting
from psps_paper.article.published import PublishedNetwork
from psps_paper.ensemble.model import PublishedResults
from psps_paper.ensemble.proofs import dl_floor, least_common_correlation, parallel_ceiling
from psps_paper.recover.i2 import i2_interval
from psps_paper.recover.printed import rounding_interval


def i2_by_df(published: PublishedNetwork, reach: int = 3) -> pd.DataFrame:
    """Compute the interval of the printed I2 for a range of degrees of freedom.

    Parameters
    ----------
    published : PublishedNetwork
    reach : int
        Number of degrees of freedom to try on either side of those implied by the printed numbers of estimates.

    Returns
    -------
    DataFrame [degrees of freedom, lower limit, upper limit, as printed]
        Limits in percent over all values that round to the printed I2.
    """
    printed = published.printed.set_index("quantity")
    value, decimals = printed.at["i2", "value"], int(printed.at["i2", "decimals"])
    low, high = rounding_interval(value, decimals)
    degrees = degrees_of_freedom(published)
    rows = []
    for df in range(degrees - reach, degrees + reach + 1):
        limits = [i2_interval(df / (1 - i2), df)[1:] for i2 in (low, high)]
        rows.append(
            {
                "degrees of freedom": df,
                "lower limit": formatting.interval(100 * limits[0][0], 100 * limits[1][0], decimals - 1),
                "upper limit": formatting.interval(100 * limits[0][1], 100 * limits[1][1], decimals - 1),
                "as printed": "yes" if df in published.recovery.df else "no",
            }
        )
    return pd.DataFrame(rows)


def degrees_of_freedom(published: PublishedNetwork) -> int:
    """Compute the degrees of freedom of Q: printed numbers of estimates minus comparisons of the tree."""
    return int(published.edges["estimates"].sum()) - len(published.edges)


def heterogeneity_texts(published: PublishedNetwork, n_studies: int) -> dict[str, str]:
    """Return the number of estimates, and the degrees of freedom implied by it, the I2 interval and the studies."""
    return {
        "df": formatting.sentence_list([str(df) for df in published.recovery.df]),
        "n_estimates": str(int(published.edges["estimates"].sum())),
        "n_studies": str(n_studies),
        "df_studies": str(n_studies - len(published.edges)),
        "n_comparisons": str(len(published.edges)),
    }


def comparison_texts(found: pd.DataFrame, treat1: str, treat2: str, prefix: str) -> dict[str, str]:
    """Return the numbers of estimates and trials of a comparison, a row of ``comparisons``, as text for prose."""
    row = found.set_index(["treat1", "treat2"]).loc[(treat1, treat2)]
    trials = int(row["n_studies"])
    return {prefix + "estimates": str(row["n_estimates"]), prefix + "trials": f"{trials} trial" + "s" * (trials != 1)}


def tau2_routes_table(routes: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the routes to the between-study variance for readers, from :func:`psps_paper.ensemble.tau2_routes`."""
    first = routes["route"] == routes["route"].iloc[0]
    return pd.DataFrame(
        {
            "route": routes["route"],
            "from": routes["basis"],
            "estimates of each trial": routes["spread"],
            "no SMD beyond": [f"{cap:.3g}" for cap in routes["cap"]],
            "crossover trials": [
                "none" if parallel else "independent groups" if pd.isna(r) else f"one correlation for all, {r:g}"
                for parallel, r in zip(first, routes["correlation"], strict=True)
            ],
            "tau2": [
                formatting.interval(low, high, 3) for low, high in zip(routes["low"], routes["high"], strict=True)
            ],
        }
    )


def tau2_route_texts(routes: pd.DataFrame, evidence: PublishedResults) -> dict[str, str]:
    """Show, as text, where the routes to the between-study variance cannot meet, which is proved for DerSimonian-Laird.

    Returns
    -------
    dict
        ``tau2_low`` and ``tau2_high`` of the first route over all caps and spreads; ``floor_groups`` and ``floor_half``
        (smallest tau2 by DerSimonian-Laird with crossover trials as independent groups, or with a correlation of one
        half); and ``least_correlation`` (of all crossover trials, below which that estimator cannot give the printed
        results).
    """
    first = routes[routes["route"] == routes["route"].iloc[0]]
    ceiling = parallel_ceiling(evidence)
    return {
        "tau2_low": formatting.number(first["low"].min(), 3),
        "tau2_high": formatting.number(first["high"].max(), 3),
        "ceiling": formatting.number(ceiling, 3),
        "floor_groups": formatting.number(dl_floor(evidence, None), 3),
        "floor_half": formatting.number(dl_floor(evidence, 0.5), 3),
        "half": "0.5",
        "least_correlation": formatting.number(least_common_correlation(evidence, ceiling)),
    }


def intervals_table(intervals: pd.DataFrame) -> pd.DataFrame:
    """Tabulate for readers the prediction intervals that the print allows.

    Parameters
    ----------
    intervals : DataFrame
        From :func:`psps_paper.ensemble.implied_prediction_intervals`.

    Returns
    -------
    DataFrame [comparison, narrowest, widest]
        Intervals as text, in SMD.
    """
    return pd.DataFrame(
        [
            {
                "comparison": f"{row.treat1} against {row.treat2}",
                "narrowest": formatting.interval(row.narrow_lower, row.narrow_upper),
                "widest": formatting.interval(row.wide_lower, row.wide_upper),
            }
            for row in intervals.itertuples()
        ],
        columns=["comparison", "narrowest", "widest"],
    )


def prediction_texts(intervals: pd.DataFrame) -> dict[str, str]:
    """Count the prediction intervals that include zero even at their narrowest."""
    zero = (intervals["narrow_lower"] <= 0) & (intervals["narrow_upper"] >= 0)
    return {"zero_of": formatting.out_of(int(zero.sum()), len(intervals))}
