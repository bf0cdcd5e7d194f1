"""Synthesis without meta-analysis: directions of effect, sign tests, and the article's summary sentences."""

from __future__ import annotations

import math

import pandas as pd

from psps_paper.evidence import sample_size
from psps_paper.narrative import DIRECTIONS, included

EXPECTATIONS = ["all favour the first arm", "most favour the first arm", "most show no difference", "all show no difference", "unclear"]
LARGEST = 0.5  # "most" and "more than half" both mean a share above this


def direction_rows(studies: pd.DataFrame, facts: pd.DataFrame, *, by: str = "subclass", treatment_class: str | None = None) -> pd.DataFrame:
    """Rows for an effect direction plot.

    Parameters
    ----------
    studies, facts : DataFrame
        The tables ``studies`` and ``study_facts``.
    by : {"subclass", "clinical_group"}
        The article's grouping, or the one that a clinician would ask for.
    treatment_class : str, optional
        Only this class.

    Returns
    -------
    DataFrame [study, subclass, direction, n, rob_overall]
        ``subclass`` holds the group of ``by``; ``n`` is the patients of :func:`~psps_paper.evidence.sample_size`, NA where they were
        not found. The direction is the article's statement for the first-named arm.

    Source: Boon & Thomson 2021; SWiM (Campbell 2020), items 1, 3 and 6.
    """
    rows = _group_rows(studies, by, treatment_class).sort_values([by, "year", "ref"])
    return pd.DataFrame({
        "study": [f"{row.first_author} {row.year} [{row.ref}]" for row in rows.itertuples()],
        "subclass": rows[by].to_numpy(),
        "direction": rows["direction"].to_numpy(),
        "n": rows["study"].map(sample_size(facts)).to_numpy(),
        "rob_overall": rows["rob_overall"].to_numpy(),
    })


def effect_direction_table(studies: pd.DataFrame, facts: pd.DataFrame, *, by: str = "subclass", treatment_class: str | None = None) -> pd.DataFrame:
    """The same as a table that readers see.

    Returns
    -------
    DataFrame [group, study, first-named arm, other arms, patients, direction, what it rests on, risk of bias]
    """
    rows = _group_rows(studies, by, treatment_class).sort_values([by, "year", "ref"])
    arms = rows["arms"].str.split(" | ", n=1, regex=False)
    return pd.DataFrame({
        "group": rows[by].to_numpy(),
        "study": [f"{row.first_author} {row.year} (ref {row.ref})" for row in rows.itertuples()],
        "first-named arm": arms.str[0].to_numpy(),
        "other arms": arms.str[1].str.replace(" | ", "; ", regex=False).to_numpy(),
        "patients": rows["study"].map(sample_size(facts)).to_numpy(),
        "direction": rows["direction"].to_numpy(),
        "what it rests on": rows["direction_basis"].to_numpy(),
        "risk of bias": rows["rob_overall"].to_numpy(),
    })


def sign_p(better: int, worse: int) -> float:
    """Two-sided exact sign test of ``better`` against ``worse`` studies; NaN without any.

    Twice the smaller tail of a binomial with probability one half, at most 1; the distribution is symmetric,
    so other definitions of two-sided agree.

    Source: Dixon & Mood 1946.  Checked against: scipy.stats.binomtest.
    """
    if better < 0 or worse < 0:
        raise ValueError(f"better={better}, worse={worse}: expected counts of at least 0")
    n = better + worse
    if n == 0:
        return math.nan
    tail = sum(math.comb(n, k) for k in range(max(better, worse), n + 1)) / 2**n
    return min(1.0, 2 * tail)


def sign_tests(studies: pd.DataFrame, *, by: str = "subclass", treatment_class: str | None = None) -> pd.DataFrame:
    """Sign test by group.

    Parameters
    ----------
    studies : DataFrame
    by : {"subclass", "clinical_group", "treatment_class"}
    treatment_class : str, optional
        Only this class.

    Returns
    -------
    DataFrame [group, studies, favours intervention, favours comparator, no difference, mixed, not reported,
               p, p with no difference counted against]
        ``p`` counts only studies that favour one arm. The second p counts "no difference" as not favouring
        the first arm. "mixed" and "not reported" count in neither.

    Notes
    -----
    The article states directions mostly where a difference was significant, so a study without a
    statement of difference may still have pointed one way. The test therefore speaks of statements,
    not of effects, and ``p`` overstates the evidence where many studies show no difference.
    """
    rows = _group_rows(studies, by, treatment_class)
    counts = pd.crosstab(rows[by], rows["direction"]).reindex(columns=DIRECTIONS, fill_value=0)
    better, worse, even = (counts[name] for name in ("favours intervention", "favours comparator", "no difference"))
    table = pd.DataFrame({"group": counts.index, "studies": counts.sum(axis=1).to_numpy()})
    for name in ("favours intervention", "favours comparator", "no difference", "mixed", "not reported"):
        table[name] = counts[name].to_numpy()
    table["p"] = [sign_p(int(a), int(b)) for a, b in zip(better, worse)]
    table["p with no difference counted against"] = [sign_p(int(a), int(b + c)) for a, b, c in zip(better, worse, even)]
    return table


def harvest_counts(studies: pd.DataFrame, *, by: str = "clinical_group") -> pd.DataFrame:
    """Directions by overall risk of bias within groups: DataFrame [group, direction, low, some concerns, high]."""
    rows = _group_rows(studies, by, None)
    table = pd.crosstab([rows[by], rows["direction"]], rows["rob_overall"])
    table = table.reindex(columns=["low", "some concerns", "high"], fill_value=0)
    return table.rename_axis(index=["group", "direction"], columns=None).reset_index()


def summary_against_table(studies: pd.DataFrame, summary_claims: pd.DataFrame) -> pd.DataFrame:
    """Compare each class's summary sentences with the directions of the studies they cite.

    Parameters
    ----------
    studies, summary_claims : DataFrame
        The tables of those names.

    Returns
    -------
    DataFrame [class, claim, expected, refs, favours intervention, favours comparator, no difference, other, agrees,
               all of the group, agrees over the group, remark, place]
        ``agrees``: "yes", "no", or "cannot tell" where the claim is vague or a study has no direction that
        decides it. ``all of the group`` counts the same directions over every study on the same question,
        cited or not, as "favours intervention / favours comparator / no difference / other". Directions are the article's own, so the
        comparison shows inner agreement and choice of citations, not whether the trials were read rightly.

    Raises
    ------
    ValueError
        A reference that is not among the included studies.
    """
    table = included(studies).set_index("ref")
    rows = []
    for claim in summary_claims.itertuples():
        refs = [int(ref) for ref in str(claim.refs).split()]
        missing = [ref for ref in refs if ref not in table.index]
        if missing:
            raise ValueError(f"summary_claims.csv, claim {claim.id}: refs {missing} are not included studies")
        cited = _tally(table.loc[refs, "direction"])
        eligible = table.query(claim.could_cite, engine="python")["direction"]
        rows.append({
            "class": claim.treatment_class,
            "claim": claim.claim,
            "expected": claim.expected,
            "refs": ", ".join(map(str, refs)),
            "favours intervention": cited[0],
            "favours comparator": cited[1],
            "no difference": cited[2],
            "other": cited[3],
            "agrees": agreement(claim.expected, *cited),
            "all of the group": " / ".join(map(str, _tally(eligible))),
            "agrees over the group": agreement(claim.expected, *_tally(eligible)),
            "remark": claim.remark if isinstance(claim.remark, str) else "",
            "place": claim.place,
        })
    return pd.DataFrame(rows)


def agreement(expected: str, better: int, worse: int, even: int, other: int) -> str:
    """Whether counts of directions bear out an expectation: "yes", "no" or "cannot tell".

    ``worse`` counts directions in favour of another arm, which speak against every expectation. ``other`` are mixed or
    unreported directions: a majority must hold whatever they would be, else it cannot be told.
    """
    if expected not in EXPECTATIONS:
        raise ValueError(f"expected={expected!r}: one of {', '.join(EXPECTATIONS)}")
    if expected == "unclear":
        return "cannot tell"
    n = better + worse + even + other
    count = better if expected.endswith("first arm") else even
    if expected.startswith("all"):
        if count == n:
            return "yes"
        return "cannot tell" if count + other == n else "no"
    if count > LARGEST * n:
        return "yes"
    return "cannot tell" if count + other > LARGEST * n else "no"


def _tally(directions: pd.Series) -> tuple[int, int, int, int]:
    better, worse, even = (int((directions == name).sum()) for name in ("favours intervention", "favours comparator", "no difference"))
    return better, worse, even, len(directions) - better - worse - even


def _group_rows(studies: pd.DataFrame, by: str, treatment_class: str | None) -> pd.DataFrame:
    known = ["subclass", "clinical_group", "treatment_class"]
    if by not in known:
        raise ValueError(f"by={by!r}: expected one of {', '.join(known)}")
    rows = included(studies)
    if treatment_class is not None:
        rows = rows[rows["treatment_class"] == treatment_class]
        if rows.empty:
            raise ValueError(f"treatment_class={treatment_class!r}: no included study has it")
    return rows
