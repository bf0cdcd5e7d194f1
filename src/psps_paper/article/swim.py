"""Synthesis without meta-analysis: directions of effect, sign tests, and the article's summary sentences."""

from __future__ import annotations

import math

import pandas as pd
from scipy.stats import binomtest

from psps_paper.article.facts import COMPARABLE, arm_numbers, contrast_numbers, numbers_text, sample_size
from psps_paper.article.studies import direction_counts, included
from psps_paper.tables.load import meeting

EXPECTATIONS = [
    "all favour the first arm",
    "most favour the first arm",
    "most show no difference",
    "all show no difference",
    "directions differ",
    "not testable",
]
LARGEST = 0.5  # "most" and "more than half" both mean a proportion above this


def direction_rows(
    studies: pd.DataFrame, facts: pd.DataFrame, *, by: str = "subclass", treatment_class: str | None = None
) -> pd.DataFrame:
    """Return the rows of an effect direction plot.

    Parameters
    ----------
    studies, facts : DataFrame
        The tables ``studies`` and ``study_facts``.
    by : {"subclass", "clinical_group"}
        The article's grouping, or the one useful to clinicians.
    treatment_class : str, optional
        Restrict the rows to this class.

    Returns
    -------
    DataFrame [study, subclass, direction, n, rob_overall]
        ``subclass`` holds the group of ``by``; ``n`` is the number of patients from
        :func:`~psps_paper.article.facts.sample_size`, NA if not found. The direction is the article's statement for the
        first-named arm.

    Source: Boon & Thomson 2021; SWiM (Campbell 2020), items 1, 3 and 6.
    """
    rows = _group_rows(studies, by, treatment_class).sort_values([by, "year", "ref"])
    return pd.DataFrame(
        {
            "study": [f"{row.first_author} {row.year} [{row.ref}]" for row in rows.itertuples()],
            "subclass": rows[by].to_numpy(),
            "direction": rows["direction"].to_numpy(),
            "n": rows["study"].map(sample_size(facts)).to_numpy(),
            "rob_overall": rows["rob_overall"].to_numpy(),
        }
    )


def effect_direction_table(
    studies: pd.DataFrame,
    facts: pd.DataFrame,
    fact_arms: pd.DataFrame,
    outcomes: pd.DataFrame,
    *,
    by: str = "clinical_group",
    treatment_class: str | None = None,
) -> pd.DataFrame:
    """Tabulate directions for readers: the article's statements and the trials' own numbers.

    Parameters
    ----------
    studies, facts, fact_arms, outcomes : DataFrame
        The tables ``studies``, ``study_facts``, ``fact_arms`` and ``outcomes``.
    by, treatment_class
        As in :func:`direction_rows`.

    Returns
    -------
    DataFrame [group, study, first-named arm, other arms, stated direction, numbers lean, the numbers, what the
    statement rests on,
               patients, risk of bias]
        ``numbers lean`` is as in :func:`leanings`, based on ``the numbers``.
    """
    rows = _group_rows(studies, by, treatment_class).sort_values([by, "year", "ref"])
    arms = rows["arms"].str.split(" | ", n=1, regex=False)
    leans = leanings(studies, facts, fact_arms, outcomes).set_index("study").loc[rows["study"]]
    return pd.DataFrame(
        {
            "group": rows[by].to_numpy(),
            "study": [f"{row.first_author} {row.year} (ref {row.ref})" for row in rows.itertuples()],
            "first-named arm": arms.str[0].to_numpy(),
            "other arms": arms.str[1].str.replace(" | ", "; ", regex=False).to_numpy(),
            "stated direction": rows["direction"].to_numpy(),
            "numbers lean": leans["lean"].to_numpy(),
            "the numbers": leans["numbers"].to_numpy(),
            "what the statement rests on": rows["direction_basis"].to_numpy(),
            "patients": sample_size(facts).reindex(rows["study"]).array,
            "risk of bias": rows["rob_overall"].to_numpy(),
        }
    )


def leanings(
    studies: pd.DataFrame, facts: pd.DataFrame, fact_arms: pd.DataFrame, outcomes: pd.DataFrame
) -> pd.DataFrame:
    """Find the direction of each trial's own point estimates for its first-named arm, whether or not they were tested.

    Parameters
    ----------
    studies, facts, fact_arms, outcomes : DataFrame
        The tables ``studies``, ``study_facts``, ``fact_arms`` and ``outcomes``.

    Returns
    -------
    DataFrame [study, lean, numbers]
        One row per included study; ``numbers`` is the text of the compared numbers, empty if there were none.

    Raises
    ------
    ValueError
        An arm or contrast with numbers has no row in ``fact_arms``.

    Notes
    -----
    The first-named arm is compared with each other arm if public pages give numbers for both on the same outcome,
    measure, unit and time, or a difference that involves it on a scale of the outcome. Only the first outcome of
    ``outcomes`` counts, with its parts and composites, whose names begin or end with its name. A higher proportion of
    responders is better; for all other measures the direction that ``outcomes`` declares desirable is better. If all
    comparisons have the same direction, the result is "to the first arm" or "to another arm"; equal numbers are ignored
    beside others and give "to none" by themselves; otherwise the result is "both ways". Any difference counts, however
    small, so a lean is not a finding.
    """
    main = outcomes.iloc[0]
    arms, contrasts = (_on_outcome(table, main["outcome"]) for table in (arm_numbers(facts), contrast_numbers(facts)))
    contrasts = contrasts[(contrasts["measure"] == "difference") & (contrasts["unit"] != "percent")]
    arms, contrasts = _placed(arms, fact_arms), _placed(contrasts, fact_arms)
    signs: dict[str, list[int]] = {}
    compared = pd.Series(False, index=arms.index)
    for key, group in arms.groupby(COMPARABLE, sort=False):
        upwards = 1 if key[COMPARABLE.index("measure")] == "responders" or main["scale_desirable"] == "higher" else -1
        firsts, others = group.loc[group["position"] == 1, "value"], group.loc[group["position"] > 1, "value"]
        signs.setdefault(key[0], []).extend(upwards * _sign(first - other) for first in firsts for other in others)
        compared[group.index] = bool(len(firsts) and len(others))
    for row in contrasts[(contrasts["position"] == 1) | (contrasts["against"] == 1)].itertuples():
        forwards = (1 if row.position == 1 else -1) * (1 if main["scale_desirable"] == "higher" else -1)
        signs.setdefault(row.study, []).append(forwards * _sign(row.value))
    arms = arms[compared]
    return pd.DataFrame(
        [
            {
                "study": study,
                "lean": _lean(signs.get(study, [])),
                "numbers": numbers_text(arms[arms["study"] == study], contrasts[contrasts["study"] == study]),
            }
            for study in included(studies)["study"]
        ]
    )


def one_way(table: pd.DataFrame, direction: str = "no difference") -> tuple[int, int, int]:
    """Count studies of :func:`effect_direction_table` with a stated direction: all, with numbers, and one-way ones."""
    leans = table.loc[table["stated direction"] == direction, "numbers lean"]
    return len(leans), int((leans != "not seen").sum()), int(leans.isin(["to the first arm", "to another arm"]).sum())


def sign_p(better: int, worse: int, even: int = 0) -> float:
    """Compute the exact two-sided sign test of ``better`` against ``worse``, with ``even`` studies against the leader.

    Twice the upper tail of a binomial distribution with probability one half from the larger count, at most 1; NaN
    without studies. Without ``even`` the distribution is symmetric, so other definitions of two-sided agree. A further
    even study never lowers p, and p is 1 if no direction leads: studies without a difference are no evidence of one.

    Source: Dixon & Mood 1946, by scipy.stats.binomtest.  Checked against: sums of binomial coefficients.
    """
    if min(better, worse, even) < 0:
        raise ValueError(f"better={better}, worse={worse}, even={even}: expected counts of at least 0")
    n = better + worse + even
    if n == 0:
        return math.nan
    return min(1.0, 2 * float(binomtest(max(better, worse), n, alternative="greater").pvalue))


def sign_tests(studies: pd.DataFrame, *, by: str = "subclass", treatment_class: str | None = None) -> pd.DataFrame:
    """Apply the sign test by group.

    Parameters
    ----------
    studies : DataFrame
    by : {"subclass", "clinical_group", "treatment_class"}
    treatment_class : str, optional
        Restrict the rows to this class.

    Returns
    -------
    DataFrame [group, studies, favours intervention, favours comparator, no difference, mixed, not reported,
               p, p with no difference counted against]
        ``p`` counts only studies that favour one arm. The second p counts "no difference" against the leading
        direction (see :func:`sign_p`). Neither counts "mixed" and "not reported". NaN if no study counts.

    Notes
    -----
    The article states directions mostly for significant differences, so a study without a
    stated difference may still have a point estimate in one direction. The test is therefore about statements,
    not about effects, and ``p`` overstates the evidence if many studies show no difference.
    """
    counts = direction_counts(_group_rows(studies, by, treatment_class), by)
    better, worse, even = (counts[name] for name in ("favours intervention", "favours comparator", "no difference"))
    table = pd.DataFrame({"group": counts[by], "studies": counts["studies"]})
    for name in ("favours intervention", "favours comparator", "no difference", "mixed", "not reported"):
        table[name] = counts[name]
    table["p"] = [sign_p(int(a), int(b)) for a, b in zip(better, worse, strict=True)]
    table["p with no difference counted against"] = [
        sign_p(int(a), int(b), int(c)) for a, b, c in zip(better, worse, even, strict=True)
    ]
    return table


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
        ``agrees``: "yes", "no", "cannot tell" if the unknown direction of a study decides, or "not testable"
        if no direction could contradict the claim. ``all of the group`` counts the same directions over
        every study on the same question, cited or not, as "favours intervention / favours comparator / no difference /
        other". Directions are the article's own, so the comparison shows internal consistency and choice of citations,
        not whether the trials were read correctly.

    Raises
    ------
    ValueError
        A reference is not among the included studies.
    """
    table = included(studies).set_index("ref", drop=False)
    rows = []
    for claim in summary_claims.itertuples():
        refs = [int(ref) for ref in str(claim.refs).split()]
        missing = [ref for ref in refs if ref not in table.index]
        if missing:
            raise ValueError(f"summary_claims.csv, claim {claim.id}: refs {missing} are not included studies")
        cited = _tally(table.loc[refs, "direction"])
        where = f"summary_claims.csv, row {claim.Index + 1}, column could_cite"
        eligible = table.loc[meeting(table, claim.could_cite, "studies.csv", where), "direction"]
        rows.append(
            {
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
            }
        )
    return pd.DataFrame(rows)


def agreement(expected: str, better: int, worse: int, even: int, other: int) -> str:
    """Judge whether counts of directions support an expectation: "yes", "no", "cannot tell" or "not testable".

    ``worse`` counts directions in favour of another arm, which contradict every expectation except that directions
    differ. ``other`` counts mixed or unreported directions: unless the expectation holds whatever these are, the result
    is "cannot tell".
    """
    if expected not in EXPECTATIONS:
        raise ValueError(f"expected={expected!r}: expected one of {', '.join(EXPECTATIONS)}")
    if expected == "not testable":
        return expected
    if expected == "directions differ":
        kinds = sum(count > 0 for count in (better, worse, even))
        return "yes" if kinds > 1 else "cannot tell" if other > 0 else "no"
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
    better, worse, even = (
        int((directions == name).sum()) for name in ("favours intervention", "favours comparator", "no difference")
    )
    return better, worse, even, len(directions) - better - worse - even


def _on_outcome(numbers: pd.DataFrame, outcome: str) -> pd.DataFrame:
    named = numbers["outcome"]
    return numbers[(named == outcome) | named.str.startswith(f"{outcome} ") | named.str.endswith(f" {outcome}")]


def _placed(numbers: pd.DataFrame, fact_arms: pd.DataFrame) -> pd.DataFrame:
    """Add ``position`` and ``against`` of the arms to the numbers, and drop those whose position is unknown."""
    placed = numbers.merge(
        fact_arms[["study", "arm", "position", "against"]], how="left", on=["study", "arm"], indicator="known"
    )
    unknown = placed[placed["known"] == "left_only"]
    if len(unknown):
        study, arm = unknown[["study", "arm"]].iloc[0]
        raise ValueError(
            f"fact_arms.csv, column arm: no row for {arm!r} of {study}, which has numbers in study_facts.csv"
        )
    return placed[placed["position"].notna()]


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _lean(signs: list[int]) -> str:
    if not signs:
        return "not seen"
    first, another = 1 in signs, -1 in signs
    return (
        "both ways"
        if first and another
        else "to the first arm"
        if first
        else "to another arm"
        if another
        else "to none"
    )


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
