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
LARGEST = 0.5  # "most" and "more than half" both mean a share above this


def direction_rows(
    studies: pd.DataFrame, facts: pd.DataFrame, *, by: str = "subclass", treatment_class: str | None = None
) -> pd.DataFrame:
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
        ``subclass`` holds the group of ``by``; ``n`` is the patients of :func:`~psps_paper.article.facts.sample_size`,
        NA where they were not found. The direction is the article's statement for the first-named arm.

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
    """The directions as a table that readers see: what the article states beside the trial's own numbers.

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
        ``numbers lean`` is as in :func:`leanings`, and rests on ``the numbers``.
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
    """Which way a trial's own numbers point for its first-named arm, whether or not anything tests them.

    Parameters
    ----------
    studies, facts, fact_arms, outcomes : DataFrame
        The tables ``studies``, ``study_facts``, ``fact_arms`` and ``outcomes``.

    Returns
    -------
    DataFrame [study, lean, numbers]
        A row for each included study; ``numbers`` is the text of what was compared, empty where nothing could be.

    Raises
    ------
    ValueError
        An arm or contrast with numbers that ``fact_arms`` does not place.

    Notes
    -----
    The rule: the first-named arm is compared with each other arm wherever public pages give both a number on the same
    outcome, measure, unit and time, and wherever they give a difference that involves it on a scale of the outcome.
    Only the first outcome of ``outcomes`` counts, with its parts and composites: outcomes whose name begins or ends
    with its name. A higher share of responders is better, and of all else the direction that ``outcomes`` calls
    desirable. All comparisons the same way give "to the first arm" or "to another arm"; equal ones say nothing beside
    others and "to none" by themselves; else "both ways". Any difference counts, however small, so a lean is no finding.
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
    """Of :func:`effect_direction_table`, studies of a stated direction: how many, with numbers, and with numbers that
    lean one way."""
    leans = table.loc[table["stated direction"] == direction, "numbers lean"]
    return len(leans), int((leans != "not seen").sum()), int(leans.isin(["to the first arm", "to another arm"]).sum())


def sign_p(better: int, worse: int, even: int = 0) -> float:
    """Two-sided exact sign test of ``better`` against ``worse`` studies, ``even`` ones counted against whichever leads.

    Twice the tail of a binomial with probability one half at or above the larger count, at most 1; NaN without any
    study. Without ``even`` the distribution is symmetric, so other definitions of two-sided agree. A further even study
    never lowers the result, and where no direction leads it is 1: studies without a difference are no evidence of one.

    Source: Dixon & Mood 1946, by scipy.stats.binomtest.  Checked against: sums of binomial coefficients.
    """
    if min(better, worse, even) < 0:
        raise ValueError(f"better={better}, worse={worse}, even={even}: expected counts of at least 0")
    n = better + worse + even
    if n == 0:
        return math.nan
    return min(1.0, 2 * float(binomtest(max(better, worse), n, alternative="greater").pvalue))


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
        ``p`` counts only studies that favour one arm. The second p counts "no difference" against the direction
        that leads, see :func:`sign_p`. "mixed" and "not reported" count in neither. NaN where no study counts.

    Notes
    -----
    The article states directions mostly where a difference was significant, so a study without a
    statement of difference may still have pointed one way. The test therefore speaks of statements,
    not of effects, and ``p`` overstates the evidence where many studies show no difference.
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
        ``agrees``: "yes", "no", "cannot tell" where a study has no direction that decides it, or "not testable"
        where the claim is one that no direction could contradict. ``all of the group`` counts the same directions over
        every study on the same question, cited or not, as "favours intervention / favours comparator / no difference /
        other". Directions are the article's own, so the comparison shows inner agreement and choice of citations, not
        whether the trials were read rightly.

    Raises
    ------
    ValueError
        A reference that is not among the included studies.
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
    """Return whether counts of directions bear out an expectation: "yes", "no", "cannot tell" or "not testable".

    ``worse`` counts directions in favour of another arm, which speak against every expectation but that directions
    differ. ``other`` are mixed or unreported directions: a majority must hold whatever they would be, else it cannot be
    told.
    """
    if expected not in EXPECTATIONS:
        raise ValueError(f"expected={expected!r}: one of {', '.join(EXPECTATIONS)}")
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
    """The numbers with ``position`` and ``against`` of their arms; those whose place cannot be told are left out."""
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
