"""Risk of bias: overall judgements from the registry, and domains as far as printed."""

from __future__ import annotations

import pandas as pd

from psps_paper.formatting import half_unit

JUDGEMENTS = ["low", "some concerns", "high"]
OVERALL = "Overall"


def overall_counts(studies: pd.DataFrame) -> pd.DataFrame:
    """Count included studies by overall judgement: DataFrame [judgement, n, percent]."""
    included = studies[studies["status"] == "included"]
    counts = included["rob_overall"].value_counts().reindex(JUDGEMENTS, fill_value=0)
    return pd.DataFrame(
        {"judgement": JUDGEMENTS, "n": counts.to_numpy(), "percent": 100 * counts.to_numpy() / len(included)}
    )


def domain_bounds(rob_domains: pd.DataFrame, n_studies: int) -> pd.DataFrame:
    """Bound each domain's counts by the printed percentages.

    Parameters
    ----------
    rob_domains : DataFrame
        The table of that name; empty percentages are unknown.
    n_studies : int
        Number of studies judged.

    Returns
    -------
    DataFrame [domain, domain_label, judgement, n_low, n_high, tier]
        Least and greatest number of studies: from the printed percentage and its rounding ("printed"), from
        the other judgements of the domain if only one is unknown ("implied"), else up to all the rest ("unknown").

    Raises
    ------
    ValueError
        A printed percentage that no whole number of studies gives, or percentages of a domain above 100.
    """
    rows = []
    for (domain, label), group in rob_domains.groupby(["domain", "domain_label"], sort=True):
        known = {}
        for row in group.dropna(subset="percent").itertuples():
            half = half_unit(row.decimals)
            fits = [n for n in range(n_studies + 1) if abs(100 * n / n_studies - row.percent) <= half * (1 + 1e-6)]
            if not fits:
                raise ValueError(
                    f"rob_domains.csv, domain {domain}, {row.judgement}: {row.percent} % is not a whole number of"
                    f" {n_studies}"
                )
            known[row.judgement] = (fits[0], fits[-1])
        left_low = n_studies - sum(high for _, high in known.values())
        left_high = n_studies - sum(low for low, _ in known.values())
        if left_high < 0:
            raise ValueError(f"rob_domains.csv, domain {domain}: the printed percentages exceed 100")
        unknown = [judgement for judgement in JUDGEMENTS if judgement not in known]
        for judgement in JUDGEMENTS:
            if judgement in known:
                low, high, tier = *known[judgement], "printed"
            elif len(unknown) == 1:
                low, high, tier = max(left_low, 0), left_high, "implied"
            else:
                low, high, tier = 0, left_high, "unknown"
            rows.append(
                {
                    "domain": domain,
                    "domain_label": label,
                    "judgement": judgement,
                    "n_low": low,
                    "n_high": high,
                    "tier": tier,
                }
            )
    return pd.DataFrame(rows)


def stacked_percentages(studies: pd.DataFrame, rob_domains: pd.DataFrame) -> pd.DataFrame:
    """Compute percentages for stacked bars: DataFrame [domain, judgement, percent], the rest as "unknown"."""
    counts = overall_counts(studies)
    total = int(counts["n"].sum())
    bounds = domain_bounds(rob_domains, total)
    rows = []
    for (domain, label), group in bounds.groupby(["domain", "domain_label"], sort=True):
        exact = group[group["n_low"] == group["n_high"]]
        exact = exact[exact["tier"] != "unknown"]
        name = f"{domain} {label}"
        rows += [
            {"domain": name, "judgement": row.judgement, "percent": 100 * row.n_low / total}
            for row in exact.itertuples()
        ]
        rest = 100 - 100 * exact["n_low"].sum() / total
        if rest > 1e-9:
            rows.append({"domain": name, "judgement": "unknown", "percent": rest})
    rows += [{"domain": OVERALL, "judgement": row.judgement, "percent": row.percent} for row in counts.itertuples()]
    return pd.DataFrame(rows)


def by_year(studies: pd.DataFrame, *, years: int = 5) -> pd.DataFrame:
    """Count overall judgements by year of publication.

    Parameters
    ----------
    studies : DataFrame
    years : int
        Length of a period; periods start at multiples of it.

    Returns
    -------
    DataFrame [years, low, some concerns, high, studies, high_percent]
        One row per period from the first to the last, including periods without studies.
    """
    if years < 1:
        raise ValueError(f"years={years}: expected at least 1")
    included = studies[studies["status"] == "included"]
    start = included["year"].astype(int) // years * years
    table = pd.crosstab(start, included["rob_overall"]).reindex(columns=JUDGEMENTS, fill_value=0)
    table = table.reindex(range(int(start.min()), int(start.max()) + 1, years), fill_value=0)
    table["studies"] = table.sum(axis=1)
    table["high_percent"] = 100 * table["high"] / table["studies"]
    table.insert(0, "years", [str(first) if years == 1 else f"{first} to {first + years - 1}" for first in table.index])
    return table.rename_axis(columns=None).reset_index(drop=True)
