"""Tables and texts that chapters show and that belong to no single method."""

from __future__ import annotations

import html
import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd

from psps_paper import formatting, reextracted
from psps_paper.claims import VERDICTS
from psps_paper.display import Html, claims_table, linked
from psps_paper.effects.quantiles import MISPRINTED_QUARTILES, MISPRINTED_RANGE
from psps_paper.ensemble import Ensemble, convergence
from psps_paper.ensemble.compatibility import (
    UNDECIDED,
    assumptions_of,
    change_score_correlation,
    combinations_text,
    convention_label,
)
from psps_paper.ensemble.sampler import RARE
from psps_paper.evidence import class_page_table, value_text
from psps_paper.narrative import included
from psps_paper.published import PublishedNetwork
from psps_paper.recover import i2_interval, rounding_interval
from psps_paper.tables import checksums, data_folder, load_dictionary, load_table, table_names
from psps_paper.validation import TOLERANCE, TOLERANCE_EVIDENCE, TOLERANCE_LIKELIHOOD, compare_with_oracle
from psps_paper.validation_pairwise import PAULE_MANDEL, compare_pairwise_with_oracles

MOST_DIGITS = 10  # beyond it the order of additions decides, which differs between machines
SHARES = ("significant", "holds_", "rank_", "changes", "excludes_zero", "favours_first", "accepted")


def verdict_texts(checked: pd.DataFrame) -> dict[str, str]:
    """Number of statements in all and by verdict, as text for prose: ``n_claims``, ``n_reproduces`` and so on."""
    counts = {f"n_{verdict.replace(' ', '_')}": str((checked["verdict"] == verdict).sum()) for verdict in VERDICTS}
    return {"n_claims": str(len(checked)), **counts}


def verdict_counts(checked: pd.DataFrame) -> pd.DataFrame:
    """Statements by section of the article and verdict, with totals."""
    section = checked["section"].str.split(",").str[:2].str.join(",")
    table = pd.crosstab(section, checked["verdict"]).reindex(columns=list(VERDICTS), fill_value=0)
    table = table.reindex(section.unique())
    table.loc["All"] = table.sum()
    table["all"] = table.sum(axis=1)
    return table.rename_axis(index="section", columns=None).reset_index()


def number_texts(numbers: pd.DataFrame) -> dict[str, str]:
    """Numbers of the article in all and those that a statement registers, as text: ``n_numbers`` and ``n_registered``."""
    return {"n_numbers": str(len(numbers)), "n_registered": str(int(numbers["claims"].notna().sum()))}


def numbers_by_reason(numbers: pd.DataFrame) -> pd.DataFrame:
    """Numbers of the article by what they are: registered, or the reason why they state nothing, with examples."""
    kind = numbers["excluded"].fillna("registered")
    groups = numbers["token"].groupby(kind)
    table = pd.DataFrame({"numbers": groups.size(), "examples": groups.agg(lambda tokens: "; ".join(tokens.unique()[:4]))})
    return table.sort_values("numbers", ascending=False, kind="stable").rename_axis("what it is").reset_index()


def page_title(stem: str) -> str:
    """Title of a chapter, the heading at its top; where there are no chapters beside the data, its file's name in words."""
    path = data_folder().parent / "book" / f"{stem}.ipynb"
    found = re.search(r'"# (.+?)(?:\\n)?"', path.read_text(encoding="utf-8")[:4000]) if path.exists() else None
    return found.group(1) if found else stem.replace("_", " ").capitalize()


def rules_table(rules: pd.DataFrame) -> pd.DataFrame:
    """The table ``certainty_rules`` as readers see it: without the conditions' code, each threshold to at most two decimals."""
    return rules.drop(columns=["condition", "condition_label"]).assign(
        threshold=["" if pd.isna(value) else f"{round(value, 2):g}" for value in rules["threshold"]],
    )


def status_table(checked: pd.DataFrame, *, anchors: bool = True) -> pd.DataFrame:
    """Statements with their verdicts, each linked to its row on the chapter that mirrors its place.

    ``anchors`` gives each row the anchor ``status-<id>`` and marks its printed number; for one table of a page only.
    """
    table = claims_table(checked)
    titles = {stem: page_title(stem) for stem in checked["chapter"].unique()}
    links = [
        Html(f'<a href="{claim["chapter"]}.html#claim-{claim["id"]}">{html.escape(titles[claim["chapter"]])}</a>')
        for _, claim in checked.iterrows()
    ]
    table.insert(1, "chapter", links)
    if not anchors:
        table["printed"] = checked["shown"]
    table.attrs["row_ids"] = {key: f"status-{key}" for key in checked.index} if anchors else {}
    return table


def labelled_studies(studies: pd.DataFrame) -> pd.DataFrame:
    """Included studies with ``label``, author and year."""
    rows = included(studies)
    return rows.assign(label=rows["first_author"] + " " + rows["year"].astype(str))


def registry_table(studies: pd.DataFrame) -> pd.DataFrame:
    """The registry of included studies with the columns that readers look for."""
    rows = labelled_studies(studies)
    return pd.DataFrame({
        "ref": rows["ref"].astype(str),
        "study": rows["label"],
        "journal": rows["journal"],
        "class": rows["treatment_class"],
        "comparison": rows["arms"].str.replace(" | ", " against ", regex=False),
        "design": rows["design"],
        "placebo arm": rows["placebo_arm"],
        "risk of bias": rows["rob_overall"],
        "in the network": rows["nma_status"],
    })


def i2_by_df(published: PublishedNetwork, reach: int = 3) -> pd.DataFrame:
    """The interval of the printed I2 at different degrees of freedom, around those of its estimates.

    Parameters
    ----------
    published : PublishedNetwork
    reach : int
        How many degrees of freedom to either side of those that the printed numbers of estimates leave.

    Returns
    -------
    DataFrame [degrees of freedom, lower limit, upper limit, as printed]
        Limits in percent over all values that print as the printed I2.
    """
    printed = published.printed.set_index("quantity")
    value, decimals = printed.at["i2", "value"], int(printed.at["i2", "decimals"])
    low, high = rounding_interval(value, decimals)
    degrees = degrees_of_freedom(published)
    rows = []
    for df in range(degrees - reach, degrees + reach + 1):
        limits = [i2_interval(df / (1 - i2), df)[1:] for i2 in (low, high)]
        rows.append({
            "degrees of freedom": df,
            "lower limit": formatting.interval(100 * limits[0][0], 100 * limits[1][0], decimals - 1),
            "upper limit": formatting.interval(100 * limits[0][1], 100 * limits[1][1], decimals - 1),
            "as printed": "yes" if df in published.recovery.df else "no",
        })
    return pd.DataFrame(rows)


def degrees_of_freedom(published: PublishedNetwork) -> int:
    """Degrees of freedom of Q that the printed numbers of estimates leave: estimates less comparisons of the tree."""
    return int(published.edges["estimates"].sum()) - len(published.edges)


def heterogeneity_texts(published: PublishedNetwork, n_studies: int) -> dict[str, str]:
    """Estimates, and the degrees of freedom that they, the printed I2 interval and the studies imply."""
    return {
        "df": formatting.sentence_list([str(df) for df in published.recovery.df]),
        "n_estimates": str(int(published.edges["estimates"].sum())),
        "n_studies": str(n_studies),
        "df_studies": str(n_studies - len(published.edges)),
        "n_comparisons": str(len(published.edges)),
    }


def comparison_texts(found: pd.DataFrame, treat1: str, treat2: str, prefix: str) -> dict[str, str]:
    """Estimates and trials of a comparison, from :func:`psps_paper.published.comparisons`, as text for prose."""
    row = found.set_index(["treat1", "treat2"]).loc[(treat1, treat2)]
    trials = int(row["n_studies"])
    return {prefix + "estimates": str(row["n_estimates"]), prefix + "trials": f"{trials} trial" + "s" * (trials != 1)}


def dictionary_table(name: str, folder: Path | None = None) -> pd.DataFrame:
    """Column dictionary of a table as readers see it."""
    dictionary = load_dictionary(name, folder)
    return pd.DataFrame({
        "column": dictionary["name"],
        "type": dictionary["type"],
        "unit": dictionary["unit"],
        "may be empty": dictionary["nullable"],
        "values": dictionary["allowed"].str.replace("|", ", ", regex=False),
        "meaning": dictionary["meaning"],
        "source": dictionary["provenance"],
    })


def checksum_table(folder: Path | None = None) -> pd.DataFrame:
    """Every table with its size and the first twelve digits of its checksum."""
    folder = folder or data_folder()
    digests = checksums(folder)
    tables = {name: load_table(name, folder) for name in table_names(folder)}
    return pd.DataFrame({
        "table": [f"{name}.csv" for name in tables],
        "rows": [len(table) for table in tables.values()],
        "columns": [table.shape[1] for table in tables.values()],
        "SHA-256": [digests[f"{name}.csv"][:12] for name in tables],
    })


def with_sources(table: pd.DataFrame) -> pd.DataFrame:
    """Put the pages of each value below it: a column ``X source`` goes into the cells of column ``X``.

    The value stays as it is where it has no source.
    """
    merged = table.copy()
    for column in [name for name in table.columns if name.endswith(" source")]:
        target = column.removesuffix(" source")
        merged[target] = [
            Html(f'{html.escape(str(value))} <span class="psps-place">{linked(source)}</span>') if source else value
            for value, source in zip(table[target], table[column])
        ]
        merged = merged.drop(columns=column)
    return merged


def facts_table(facts: pd.DataFrame) -> pd.DataFrame:
    """Every value that was found, as readers see it, with a link to its page.

    Parameters
    ----------
    facts : DataFrame
        The table ``study_facts``.

    Returns
    -------
    DataFrame [study, field, value, arm, time, source, chosen, note]
        A row for each row of ``facts`` that holds a value. The link bears the page's identifier, or else names its site.
    """
    found = facts[facts["source_kind"] != "searched"]
    identifiers = found["identifier"].fillna("").str.strip()
    return pd.DataFrame({
        "study": [f"{study} (ref {ref})" for study, ref in zip(found["study"], found["ref"])],
        "field": found["field"].str.replace("_", " "),
        "value": [value_text(row) for _, row in found.iterrows()],
        "arm": found["arm"].fillna(""),
        "time": found["time"].fillna(""),
        "source": [
            Html(f'<a href="{html.escape(url)}">{html.escape(identifier)}</a>') if identifier else url
            for url, identifier in zip(found["source_url"], identifiers)
        ],
        "chosen": found["chosen"],
        "note": found["note"].fillna(""),
    }).reset_index(drop=True)


CLASS_PAGE_COLUMNS = [
    "study", "year", "comparison", "stated direction", "risk of bias", "patients", "result", "result in numbers",
    "follow-up", "measure", "sub-class",
]


def class_page(studies: pd.DataFrame, facts: pd.DataFrame, treatment_class: str) -> pd.DataFrame:
    """The table of a class page, what readers look for first in front, the pages of each value below it."""
    return with_sources(class_page_table(studies, facts, treatment_class))[CLASS_PAGE_COLUMNS]


def pooled_responders_table(pooled: pd.DataFrame) -> pd.DataFrame:
    """Pooled responder results as text: DataFrame [analysis, measure, pooled, Hartung-Knapp, prediction interval, ...]."""
    def limits(row: pd.Series, low: str, high: str) -> str:
        return formatting.interval(row[low], row[high], 2) if row[high] < 1000 else f"{formatting.number(row[low])} to above 1000"

    return pd.DataFrame([
        {
            "analysis": row["analysis"],
            "measure": row["measure"],
            "pooled (95 % CI)": formatting.estimate(row["estimate"], row["lower"], row["upper"]),
            "Hartung-Knapp interval": limits(row, "Hartung-Knapp lower", "Hartung-Knapp upper"),
            "prediction interval": limits(row, "prediction lower", "prediction upper"),
            "I2": formatting.percent(row["I2"], 0),
            "studies": str(row["studies"]),
            "patients": str(row["patients"]),
        }
        for _, row in pooled.iterrows()
    ])


def ranges_as_text(table: pd.DataFrame, decimals: int = 2) -> pd.DataFrame:
    """Join the columns ``x_low``, ``x_median``, ``x_high`` (or ``low``, ``median``, ``high``) into ``x``: "median (low to high)".

    Shares of members (``significant``, ``holds_...``, ``rank_...``, ``changes``...) become percentages; an undefined
    range becomes "not defined".
    """
    shown = table.copy()
    for median in [column for column in table.columns if column == "median" or column.endswith("_median")]:
        stem = median.removesuffix("median")
        low, high, joined = stem + "low", stem + "high", stem.rstrip("_") or "value"
        texts = [
            "not defined" if pd.isna(row[median]) else formatting.estimate(row[median], row[low], row[high], decimals)
            for _, row in table.iterrows()
        ]
        shown[median] = texts
        shown = shown.rename(columns={median: joined}).drop(columns=[low, high])
    shares = [column for column in shown.columns if column.startswith(SHARES) and pd.api.types.is_float_dtype(shown[column])]
    for column in shares:
        shown[column] = [formatting.NOT_KNOWN if pd.isna(value) else formatting.percent(value, 0) for value in shown[column]]
    return shown


def conclusions_table(conclusions: pd.DataFrame) -> pd.DataFrame:
    """The article's conclusions as readers see them, from :func:`psps_paper.robustness.robustness_of_conclusions`."""
    def whole(low: float, high: float) -> str:
        return f"{low:.0f} to {high:.0f}"

    def studies(count: int) -> str:
        return "1 study" if count == 1 else f"{count} studies"

    rows = []
    for row in conclusions.itertuples():
        has_contrast = not pd.isna(row.te)
        rows.append({
            "conclusion": row.conclusion,
            "rests on": f"{studies(row.studies)}, {row.estimates} estimates, {whole(row.patients_low, row.patients_high)} patients",
            "holds with estimates as printed": formatting.percent(row.holds_as_printed, 0),
            "one estimate a study": f"{formatting.percent(row.holds_grouped, 0)} ({formatting.percent(row.holds_grouped_low, 0)} to {formatting.percent(row.holds_grouped_high, 0)})",
            "all estimates, correlated": formatting.percent(row.holds_correlated, 0),
            "at worst": formatting.percent(row.holds_worst, 0),
            "SMD, prediction interval": formatting.estimate(row.te, row.predict_lower, row.predict_upper) if has_contrast else "",
            "points of 0 to 10": formatting.estimate(row.points, row.points_lower, row.points_upper, 1) if has_contrast else "",
            "minimal important difference": row.important if has_contrast else "",
            "in words": row.verdict,
        })
    return pd.DataFrame(rows)


def centres_note(conclusions: pd.DataFrame, published: PublishedNetwork) -> str:
    """Why the centre of a conclusion's effect may differ in its last digit from the recovered network, with both values.

    Parameters
    ----------
    conclusions : DataFrame
        Of :func:`psps_paper.robustness.robustness_of_conclusions`; ``te`` is the median over the members.
    published : PublishedNetwork
    """
    text = "The SMD here is the median over the simulated sets; other pages show the central solution of the recovered network."
    differing = []
    for row in conclusions.dropna(subset="te").drop_duplicates(["treat1", "treat2"]).itertuples():
        recovered = published.fit.te.at[row.treat1, row.treat2]
        if formatting.number(row.te) != formatting.number(recovered):
            differing.append(f"{formatting.number(row.te, 4)} here and {formatting.number(recovered, 4)} there for {row.treat1} against {row.treat2}")
    if not differing:
        return text + " Both agree to two decimals."
    return f"{text} Both agree with everything printed, but round apart: {formatting.sentence_list(differing)}."


SCALE_WORDS = {
    "points_per_smd": "one SMD stands for",
    "minimal_important_difference": "smallest difference that patients notice",
}


def clinical_scale_table(scale: pd.DataFrame) -> pd.DataFrame:
    """The table ``clinical_scale`` as readers see it, each value in points of 0 to 10 with its page."""
    return pd.DataFrame({
        "quantity": scale["quantity"].map(SCALE_WORDS),
        "points of 0 to 10": [formatting.number(value, 2) for value in scale["value"]],
        "where it comes from": scale["meaning"],
        "source": scale["source_url"],
        "seen on": scale["date_seen"],
    })


def clinical_table(conclusions: pd.DataFrame, ratings: pd.DataFrame) -> pd.DataFrame:
    """The conclusions with what a clinician asks first, beside the certainty of :func:`psps_paper.certainty.certainty_table`."""
    certainty = ratings.set_index("contrast")[["certainty at best", "certainty at worst"]]
    rated = {name: " or ".join(dict.fromkeys(row)) for name, row in zip(certainty.index, certainty.itertuples(index=False))}
    contrasts = conclusions["treat1"] + " against " + conclusions["treat2"]
    table = conclusions_table(conclusions)
    return pd.DataFrame({
        "conclusion": table["conclusion"],
        "rests on": table["rests on"],
        "points of 0 to 10": table["points of 0 to 10"],
        "survives at worst": table["at worst"],
        "certainty": [rated.get(name, "not rated") for name in contrasts],
    })


def nnt_text(numbers: pd.DataFrame, analysis: str = "missing as failure") -> str:
    """The pooled number needed to treat, rounded up as is usual, with its interval, whose limits are rounded outwards."""
    row = numbers[(numbers["of"] == "pooled") & (numbers["analysis"] == analysis)].iloc[0]
    upper = "no limit" if math.isinf(row["upper"]) else str(math.ceil(row["upper"]))
    return f"{math.ceil(row['NNT'])} ({math.floor(row['lower'])} to {upper})"


def extreme_estimates(ensemble: Ensemble, large: float = 2.0) -> pd.DataFrame:
    """How large the estimates of the members are: quantiles of each member's largest and smallest, and how many are large.

    Parameters
    ----------
    ensemble : Ensemble
    large : float
        An absolute SMD that few trials reach.
    """
    quantiles = {"least": 0.0, "median": 0.5, "greatest": 1.0}
    extremes = {"largest SMD of a member": ensemble.te.max(axis=1), "smallest SMD of a member": ensemble.te.min(axis=1)}
    beyond = (np.abs(ensemble.te) > large).any(axis=1).mean()
    return pd.DataFrame([
        {"quantity": name, **{key: formatting.number(np.quantile(values, q)) for key, q in quantiles.items()},
         f"members with any SMD beyond {large:g} either way": formatting.percent(beyond, 0)}
        for name, values in extremes.items()
    ])


def reextracted_texts(beside: pd.DataFrame, shares: pd.DataFrame, grid: pd.DataFrame, treat2: str) -> dict[str, str]:
    """How the re-extracted network stands beside the published one, for prose.

    Parameters
    ----------
    beside : DataFrame
        From :func:`psps_paper.reextracted.beside_published`.
    shares : DataFrame
        From :func:`psps_paper.reextracted.resting_on_conversions`.
    grid : DataFrame
        From :func:`psps_paper.reextracted.sensitivity`; counts are of its rows against ``treat2``.
    """
    _, middle, both, within, between = reextracted.CORRELATIONS
    zero = reextracted.including_zero(grid, treat2).set_index(["within patients", "between estimates"])["including zero"]
    rows = grid[grid["treat2"] == treat2]
    wide = rows[(rows["set"] == "wider") & (rows["tau2 by"] == "DL")].set_index(["within patients", "between estimates"]).loc[both]
    apart = beside[(beside["difference lower"] > 0) | (beside["difference upper"] < 0)]
    return {
        "n_comparisons": str(len(beside)),
        "n_same_side": str((beside["same side"] == "yes").sum()),
        "n_larger": str((beside["difference"] > 0).sum()),
        "differences": ", ".join(map(formatting.number, beside["difference"])),
        "n_apart": str(len(apart)),
        "apart": ", ".join(apart["treat2"]) or "none",
        "n_counts": str(((shares["method"] == "log odds ratio") & (shares["share"] > 1 - 1e-9)).sum()),
        "middle": formatting.number(reextracted.CORRELATION, 1),
        "high": formatting.number(both[0], 1),
        "interval_high": formatting.interval(wide["lower"], wide["upper"]),
        "choices": str(len(rows) // len(zero)),
        "zero_middle": str(zero[middle]),
        "zero_both": str(zero[both]),
        "zero_within": str(zero[within]),
        "zero_between": str(zero[between]),
    }


def convergence_as_text(ensemble: Ensemble) -> pd.DataFrame:
    """Two streams of the ensemble side by side, from :func:`psps_paper.ensemble.convergence`, to three significant digits."""
    table = convergence(ensemble)

    def mean(chain: int) -> list[str]:
        return [f"{_three_digits(m)} ({formatting.number(e, 1 - math.floor(math.log10(e)) if e else 0)})" for m, e in zip(table[f"mean_{chain}"], table[f"error_{chain}"], strict=True)]

    return pd.DataFrame({
        "quantity": table.index.str.replace("_", " ").str.replace(r"\bte\b", "SMD", regex=True),
        "first stream: mean (error)": mean(0),
        "second stream: mean (error)": mean(1),
        "distance in errors": [formatting.number(value, 2) for value in table["distance"]],
        "members that count in full": [f"{value:.0f}" for value in table["effective_size"]],
    })


def _three_digits(value: float) -> str:
    return formatting.number(value, max(0, 2 - math.floor(math.log10(abs(value))))) if value else "0"


def tau2_routes_table(routes: pd.DataFrame) -> pd.DataFrame:
    """The routes to the between-study variance as readers see them, from :func:`psps_paper.ensemble.tau2_routes`."""
    return pd.DataFrame({
        "route": routes["route"],
        "from": routes["basis"],
        "crossover trials": [
            "none" if pd.isna(row.convention) else convention_label(row.convention, row.correlation)
            for row in routes.itertuples()
        ],
        "tau2": [formatting.interval(low, high, 3) for low, high in zip(routes["low"], routes["high"])],
    })


def tau2_route_texts(routes: pd.DataFrame, compatibility: pd.DataFrame) -> dict[str, str]:
    """Where the routes to the between-study variance agree, which holds by DL only, and what the map says of other estimators.

    Parameters
    ----------
    routes : DataFrame
        Of :func:`psps_paper.ensemble.tau2_routes`.
    compatibility : DataFrame
        The table of that name.

    Returns
    -------
    dict
        ``routes_agree`` and ``routes_differ`` (how crossover trials entered where the second route does, or does not,
        share a value with all of the first) and ``feasible_other`` (feasible combinations by other estimators).
    """
    first, second = routes[routes["convention"].isna()], routes.dropna(subset="convention")
    agree = (second["low"] <= first["high"].min()) & (second["high"] >= first["low"].max())
    labels = pd.Series([convention_label(row.convention, row.correlation) for row in second.itertuples()], index=second.index)
    others = compatibility.query("feasible == 'yes' and tau2_method != 'DL'")
    return {
        "routes_agree": formatting.sentence_list(list(labels[agree]) or ["none"]),
        "routes_differ": formatting.sentence_list(list(labels[~agree]) or ["none"]),
        "feasible_other": combinations_text(assumptions_of(others)),
    }


def prediction_texts(intervals: pd.DataFrame) -> dict[str, str]:
    """How many intervals of :func:`psps_paper.ensemble.implied_prediction_intervals` include zero even at their narrowest."""
    zero = (intervals["narrow_lower"] <= 0) & (intervals["narrow_upper"] >= 0)
    return {"n_intervals": str(len(intervals)), "n_zero": str(int(zero.sum()))}


def compatibility_texts(table: pd.DataFrame) -> dict[str, str]:
    """The compatibility map in numbers and names, as text for prose; each combination counts once.

    Parameters
    ----------
    table : DataFrame
        The table ``compatibility``.

    Returns
    -------
    dict
        ``n_rows, n_feasible, n_undecided, n_infeasible``; ``undecided`` and ``undecided_below`` (half-units); ``n_sampled``
        and ``dropped`` (feasible combinations in the ensemble and left out of it), ``dropped_below`` (share of draws) and
        ``dropped_weight`` (share of members that the left-out would have); ``change_score`` (correlation).
    """
    counts = table["feasible"].value_counts()
    feasible = table[table["feasible"] == "yes"]
    rare = feasible["share"] < RARE
    return {
        "n_rows": str(len(table)),
        "n_feasible": str(counts.get("yes", 0)),
        "n_undecided": str(counts.get("undecided", 0)),
        "n_infeasible": str(counts.get("no", 0)),
        "undecided": combinations_text(assumptions_of(table.query("feasible == 'undecided'"))),
        "undecided_below": formatting.number(UNDECIDED, 0),
        "n_sampled": str(int((~rare).sum())),
        "dropped": combinations_text(assumptions_of(feasible[rare])),
        "dropped_below": formatting.percent(RARE, 0),
        "dropped_weight": formatting.percent(feasible.loc[rare, "share"].sum() / feasible["share"].sum()),
        "change_score": formatting.number(change_score_correlation(), 1),
    }


def linked_checklist(checklists: pd.DataFrame) -> pd.DataFrame:
    """Checklist items with a link to the place that meets each, and the words that stand there."""
    links = [
        Html(f'<a href="{row.chapter}.html{f"#{row.anchor}" if isinstance(row.anchor, str) else ""}">{html.escape(page_title(row.chapter))}</a>')
        for row in checklists.itertuples()
    ]
    table = checklists.assign(chapter=links).drop(columns="anchor").rename(columns={"says": "the page says"})
    return table.fillna({"the page says": "", "remark": ""})


def oracle_folder() -> Path:
    """Folder of the reference results, beside the data folder's checkout."""
    return data_folder().parent / "tests" / "oracles"


def agreement_by_field(folder: Path | None = None) -> pd.DataFrame:
    """Every field of every reference result with how far this package agrees with it.

    Returns
    -------
    DataFrame [reference, software, field, cells, digits, required digits, agrees, reason]
        ``digits``: significant digits in which all cells agree, at most ``MOST_DIGITS`` since beyond it the order of
        additions decides; empty for a field that is not compared, with the reason.
    """
    folder = folder or oracle_folder()
    rows = []
    pairwise = compare_pairwise_with_oracles(folder)
    for path in sorted(folder.glob("*.json")):
        meta = json.loads(path.read_text(encoding="utf-8"))["meta"]
        software = ", ".join(f"{name} {meta[name]}" for name in ("netmeta", "metafor", "meta", "robumeta") if name in meta)
        if path.stem in set(pairwise["oracle"]):
            fields = pairwise[pairwise["oracle"] == path.stem]
            fields = fields.assign(agrees=fields["max_rel_diff"] <= fields["tolerance"], reason="", cells=pd.NA)
        else:
            fields = compare_with_oracle(path)
        for row in fields.itertuples():
            compared = not row.reason
            rows.append({
                "reference": path.stem,
                "software": software,
                "field": row.field,
                "cells": "" if pd.isna(row.cells) or not compared else str(row.cells),
                "digits": _digits(row.max_rel_diff, required_digits(row.tolerance)) if compared else "",
                "required digits": str(required_digits(row.tolerance)) if compared else "",
                "agrees": {True: "yes", False: "no"}[bool(row.agrees)] if compared else "not compared",
                "reason": row.reason,
            })
    return pd.DataFrame(rows)


def agreement_by_reference(by_field: pd.DataFrame) -> pd.DataFrame:
    """Fields compared, agreeing and not compared for each reference: DataFrame [reference, software, ...]."""
    groups = by_field.groupby(["reference", "software"], sort=True)["agrees"]
    table = groups.value_counts().unstack(fill_value=0).reindex(columns=["yes", "no", "not compared"], fill_value=0)
    table = table.rename(columns={"yes": "fields that agree", "no": "fields that differ", "not compared": "not compared"})
    return table.rename_axis(columns=None).reset_index()


def required_digits(tolerance: float) -> int:
    """Whole significant digits that a relative tolerance asks for."""
    return math.floor(-math.log10(tolerance) + 1e-9)


def agreement_numbers() -> dict[str, str]:
    """Digits that must agree by kind of quantity, those that are shown, and the misprints of Wan's tables."""
    return {
        "digits_estimates": str(required_digits(TOLERANCE)),
        "digits_differences": str(required_digits(TOLERANCE_EVIDENCE)),
        "digits_iterated": str(required_digits(TOLERANCE_LIKELIHOOD)),
        "digits_paule_mandel": str(required_digits(PAULE_MANDEL)),
        "digits_shown": str(MOST_DIGITS),
        "wan_misprints": str(len(MISPRINTED_RANGE) + len(MISPRINTED_QUARTILES)),
    }


def _digits(relative_difference: float, required: int) -> str:
    agreeing = -math.log10(max(relative_difference, 1e-300))
    # between the required digits and the most the machine has a say, so the count is not shown
    return f"{MOST_DIGITS} or more" if agreeing >= MOST_DIGITS else f"{required} or more" if agreeing >= required else str(math.floor(agreeing))
