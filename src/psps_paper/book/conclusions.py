"""Tables and sentences of the chapters on robustness and certainty."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from psps_paper import formatting
from psps_paper.article.published import published_network
from psps_paper.article.trials import te_desirable
from psps_paper.conclusions.robustness import (
    ALWAYS_FAILS,
    NONE_FOUND,
    OPEN,
    Proved,
    article_conclusions,
    proved,
    settled_by,
)
from psps_paper.ensemble import agreeing_tau2
from psps_paper.ensemble.compatibility import crossovers_label
from psps_paper.ensemble.countings import AS_PRINTED, ONE_MEAN
from psps_paper.ensemble.model import CAPS
from psps_paper.ensemble.witnesses import Witness
from psps_paper.tables.load import load_table

SPREAD_WORDS = {"any": "any number", "two an arm": "at most two an active arm"}


def conclusions_table(conclusions: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the article's conclusions for readers, from ``robustness_of_conclusions``."""
    rows = []
    for row in conclusions.itertuples():
        has_contrast = not pd.isna(row.te)
        rows.append(
            {
                "conclusion": row.conclusion,
                "rests on": _evidence_text(row),
                "in words": row.verdict,
                "counted as printed": row.as_printed,
                "may fail under": row.fails_under or "none found",
                "no counterexample under": row.holds_under or "none of them",
                "data set": row.witness,
                "what would settle it": settled_by(row.fails_under),
                "SMD, widest prediction interval": (
                    formatting.estimate(row.te, row.predict_lower, row.predict_upper) if has_contrast else ""
                ),
                "points of 0 to 10": (
                    formatting.estimate(row.points, row.points_lower, row.points_upper, 1) if has_contrast else ""
                ),
                "minimal important difference": row.important if has_contrast else "",
            }
        )
    return pd.DataFrame(rows)


def _evidence_text(row) -> str:
    studies = "1 study" if row.studies == 1 else f"{row.studies} studies"
    return f"{studies}, {row.estimates} estimates, {row.patients_low:.0f} to {row.patients_high:.0f} patients"


def lower_limits(ranges: pd.DataFrame) -> pd.DataFrame:
    """Extract the range of the lower confidence limit of each contrast for the figure: ``label, low, high, proved``."""
    rows = ranges.dropna(subset="lower_low")
    other = rows["conclusion"].str.replace("^.*(?:better than| and) (?!minimally)", "", regex=True)
    order = list(dict.fromkeys(other))
    rows = rows.assign(other=other).sort_values("other", kind="stable", key=lambda names: names.map(order.index))
    return pd.DataFrame(
        {
            "label": rows["other"] + ": " + rows["counting"],
            "low": rows["lower_low"],
            "high": rows["lower_high"],
            "proved": rows["counting"].eq(AS_PRINTED).map({True: "yes", False: "no"}),
        }
    ).reset_index(drop=True)


def threshold_rows(thresholds: pd.DataFrame) -> pd.DataFrame:
    """Prepare a threshold analysis for display: a label per contrast, and whether the interval reaches a threshold."""
    named = thresholds.assign(label=thresholds["treat1"] + " vs " + thresholds["treat2"])
    columns = ["label", "te", "lower", "upper", "invariant_lower", "invariant_upper", "below", "above"]
    return named[columns].assign(**{"within the interval": named["sensitive"].map({True: "yes", False: "no"})})


def conclusions_texts(conclusions: pd.DataFrame, ranges: pd.DataFrame, witnesses: Sequence[Witness]) -> dict[str, str]:
    """Summarise what is proved about the conclusions, as texts for prose.

    Returns
    -------
    dict
        ``n_conclusions``; ``n_open`` (may hold or fail under some counting), the same in words as ``open_of``, and
        ``n_open_once`` (with each study counted once); ``n_sets`` (data sets) and ``n_searches``; ``open_once`` and
        ``closed_once`` (conclusions that some data set overturns with each study counted once, and the others).
    """
    may_fail = int((conclusions["fails_under"] != "").sum())
    once = ranges[(ranges["counting"] == ONE_MEAN) & (ranges["verdict"] == OPEN)]["conclusion"]
    return {
        "n_conclusions": str(len(conclusions)),
        "n_open": str(may_fail),
        "open_of": formatting.out_of(may_fail, len(conclusions)),
        "n_open_once": str(len(once)),
        "n_sets": str(len(witnesses)),
        "n_searches": f"{int(ranges['searches'].max()):,}",
        "open_once": formatting.sentence_list(list(once) or ["none"]),
        "closed_once": formatting.sentence_list(
            [name for name in conclusions["conclusion"] if name not in set(once)] or ["none"]
        ),
    }


def proved_texts() -> dict[str, str]:
    """Apply :func:`conclusions_texts` to the article's conclusions and the stored data sets."""
    known = proved()
    published = published_network(load_table("nma_published"), desirable=te_desirable())
    return conclusions_texts(article_conclusions(published), known.ranges, known.witnesses)


def open_texts(known: Proved) -> dict[str, str]:
    """Summarise what else the stored data sets leave open: ``q`` and ``egger`` (one mean per study), and ``tau2``."""
    once = known.found[known.found["counting"] == ONE_MEAN]
    tau2 = agreeing_tau2(known.witnesses)
    return {
        "q": formatting.interval(once["q"].min(), once["q"].max(), 0),
        "egger": formatting.interval(once["egger_t"].min(), once["egger_t"].max(), 1),
        "tau2": formatting.interval(tau2.min(), tau2.max(), 3),
    }


def ranges_table(ranges: pd.DataFrame) -> pd.DataFrame:
    """Tabulate identified ranges for readers, from :func:`psps_paper.conclusions.robustness.identified_ranges`."""

    def span(row, name: str, decimals: int) -> str:
        low, high = getattr(row, f"{name}_low"), getattr(row, f"{name}_high")
        return "" if pd.isna(low) else formatting.interval(low, high, decimals)

    return pd.DataFrame(
        [
            {
                "conclusion": row.conclusion,
                "estimates of a study": row.counting,
                "verdict": row.verdict,
                "width": "no wider (proved)" if row.counting == AS_PRINTED else "at least this wide",
                "lower limit": span(row, "lower", 3),
                "upper limit": span(row, "upper", 3),
                "z or t": "" if row.counting == "cluster-robust" else span(row, "z", 3),
                "P-score": span(row, "p_score", 3),
                "rank": span(row, "rank", 0),
                "holds in": row.holds_in,
                "fails in": row.fails_in,
            }
            for row in ranges.itertuples()
        ]
    )


def bayes_table(ranges: pd.DataFrame) -> pd.DataFrame:
    """Tabulate conclusions under the Bayesian model, from :func:`psps_paper.ensemble.bayesian.bayesian_ranges`.

    Returns
    -------
    DataFrame [conclusion, estimates of a study, verdict, probability, over all scales, holds in, fails in]
    """
    verdicts = {(True, True): OPEN, (True, False): NONE_FOUND, (False, True): ALWAYS_FAILS}
    return pd.DataFrame(
        [
            {
                "conclusion": row.conclusion,
                "estimates of a study": row.counting,
                "verdict": verdicts[not pd.isna(row.holds_in), not pd.isna(row.fails_in)],
                "probability": formatting.interval(row.low, row.high, 2),
                "over all scales": formatting.interval(row.least, row.most, 2),
                "holds in": "" if pd.isna(row.holds_in) else row.holds_in,
                "fails in": "" if pd.isna(row.fails_in) else row.fails_in,
            }
            for row in ranges.itertuples()
        ]
    )


def switches_table(table: pd.DataFrame) -> pd.DataFrame:
    """Tabulate verdicts by switch for readers, from :func:`psps_paper.conclusions.robustness.by_switch`.

    Returns
    -------
    DataFrame
        One row for each combination of the switches, with the search effort; one column for each conclusion, with its
        verdict and the data sets in which it holds and fails.
    """
    verdicts = [
        f"{row.verdict}" + "".join(f"; {word} {name}" for word, name in sets if not pd.isna(name))
        for row in table.itertuples()
        for sets in [(("holds in", row.holds_in), ("fails in", row.fails_in))]
    ]
    rows = pd.DataFrame(
        {
            "assumptions": [
                f"tau2 by {row.tau2}; {crossovers_label(row.crossovers, None)}; no SMD beyond {row.cap:g}; "
                f"single trials as printed: {row.trials}; {SPREAD_WORDS[row.spread]}"
                for row in table.itertuples()
            ],
            "starts": table["starts"],
            "nearest start misses by": [
                "" if pd.isna(miss) else f"{max(miss, 0.0):.1f} half-units" for miss in table["least_miss"]
            ],
            "searches": table["searches"],
            "conclusion": table["conclusion"],
            "verdict": verdicts,
        }
    )
    effort = ["assumptions", "starts", "nearest start misses by", "searches"]
    wide = rows.pivot(index=effort, columns="conclusion", values="verdict")
    wide = wide.reindex(columns=rows["conclusion"].unique())
    order = rows["assumptions"].drop_duplicates()
    return wide.reset_index().set_index("assumptions").loc[order].reset_index().rename_axis(columns=None)


def witnesses_table(witnesses: Sequence[Witness]) -> pd.DataFrame:
    """Tabulate the stored data sets, each with its assumptions."""
    return pd.DataFrame(
        [
            {
                "data set": w.name,
                "tau2 by": w.tau2,
                "crossover trials": crossovers_label(w.switches["crossovers"], None),
                "largest SMD": formatting.number(w.switches["cap"]),
                "single trials as printed": "yes" if w.switches["trials"] else "no",
                "estimates of a study": SPREAD_WORDS[w.switches["spread"]],
            }
            for w in witnesses
        ]
    )


def strictest_texts(
    ranges: pd.DataFrame, witnesses: Sequence[Witness], conclusion: str, counting: str, prefix: str
) -> dict[str, str]:
    """Describe the data set under the strictest assumptions in which a conclusion fails: name, cap, single trials.

    Raises ValueError if none was found.
    """
    row = ranges[(ranges["conclusion"] == conclusion) & (ranges["counting"] == counting)].iloc[0]
    named = {w.name: w for w in witnesses}
    if row["fails_strictly"] not in named:
        raise ValueError(f"{conclusion}, {counting}: no data set was found in which it fails")
    own = named[row["fails_strictly"]].switches
    cap = min(c for c in CAPS if own["cap"] <= c)
    return {
        f"{prefix}witness": row["fails_strictly"],
        f"{prefix}cap": f"{cap:g}",
        f"{prefix}trials": "hold" if own["trials"] else "do not all hold",
    }


SCALE_WORDS = {
    "points_per_smd": "one SMD stands for",
    "minimal_important_difference": "smallest difference that patients notice",
}


def clinical_scale_table(scale: pd.DataFrame) -> pd.DataFrame:
    """Tabulate ``clinical_scale`` for readers, each value in points from 0 to 10 with its page."""
    return pd.DataFrame(
        {
            "quantity": scale["quantity"].map(SCALE_WORDS),
            "points of 0 to 10": [formatting.number(value, 2) for value in scale["value"]],
            "where it comes from": scale["meaning"],
            "source": scale["source_url"],
            "seen on": scale["date_seen"],
        }
    )


def compatibility_texts(table: pd.DataFrame) -> dict[str, str]:
    """Count the cells of the compatibility map: ``n_rows, n_possible, n_impossible, n_not_found``."""
    counts = table["verdict"].value_counts()
    return {
        "n_rows": str(len(table)),
        **{f"n_{name.replace(' ', '_')}": str(counts.get(name, 0)) for name in ("possible", "impossible", "not found")},
    }
