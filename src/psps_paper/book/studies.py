"""Tables and sentences of the chapters on studies and their facts."""

from __future__ import annotations

import html

import pandas as pd

from psps_paper import formatting
from psps_paper.article import reextracted
from psps_paper.article.facts import chosen, sample_size, value_text
from psps_paper.article.studies import included
from psps_paper.article.swim import one_way
from psps_paper.bayes import Posterior
from psps_paper.book.display import Html


def labelled_studies(studies: pd.DataFrame) -> pd.DataFrame:
    """Select the included studies and add ``label``, author and year."""
    rows = included(studies)
    return rows.assign(label=rows["first_author"] + " " + rows["year"].astype(str))


def registry_table(studies: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the included studies with the columns that readers look for.

    Patients, country, mean age and follow-up are the chosen values of ``study_facts`` for the whole trial; the other
    columns are the article's.
    """
    rows = labelled_studies(studies)
    patients = sample_size(facts).reindex(rows["study"])
    return pd.DataFrame(
        {
            "ref": rows["ref"].astype(str),
            "study": rows["label"],
            "journal": rows["journal"],
            "class": rows["treatment_class"],
            "comparison": rows["arms"].str.replace(" | ", " against ", regex=False),
            "design": rows["design"],
            "placebo arm": rows["placebo_arm"],
            "risk of bias": rows["rob_overall"],
            "in the network": rows["nma_status"],
            "patients": ["not found" if pd.isna(number) else f"{number}" for number in patients],
            **{
                name: _values_by_study(facts, field).reindex(rows["study"], fill_value="not found").to_numpy()
                for name, field in (("country", "country"), ("mean age", "age_mean"), ("follow-up", "follow_up"))
            },
        }
    )


def _values_by_study(facts: pd.DataFrame, field: str) -> pd.Series:
    """Collect the values of a field on public pages, by study: of the whole trial or else of each arm."""
    rows = chosen(facts, field)
    whole = rows["arm"] == "all"
    rows = rows[whole | ~rows["study"].isin(rows.loc[whole, "study"])]
    texts = [
        value_text(row) if row["arm"] == "all" else f"{value_text(row)} ({row['arm']})" for _, row in rows.iterrows()
    ]
    return pd.Series(texts, index=rows["study"], dtype=object).groupby(level=0, sort=False).agg("; ".join)


def facts_table(facts: pd.DataFrame) -> pd.DataFrame:
    """Tabulate every value found, for readers, with a link to its page.

    Parameters
    ----------
    facts : DataFrame
        The table ``study_facts``.

    Returns
    -------
    DataFrame [study, field, value, arm, time, source, chosen, note]
        One row for each row of ``facts`` that holds a value. The text of a link is the page's identifier or otherwise
        its site.
    """
    found = facts[facts["source_kind"] != "searched"]
    identifiers = found["identifier"].fillna("").str.strip()
    return pd.DataFrame(
        {
            "study": [f"{study} (ref {ref})" for study, ref in zip(found["study"], found["ref"], strict=True)],
            "field": found["field"].str.replace("_", " "),
            "value": [value_text(row) for _, row in found.iterrows()],
            "arm": found["arm"].fillna(""),
            "time": found["time"].fillna(""),
            "source": [
                Html(f'<a href="{html.escape(url)}">{html.escape(identifier)}</a>') if identifier else url
                for url, identifier in zip(found["source_url"], identifiers, strict=True)
            ],
            "chosen": found["chosen"],
            "note": found["note"].fillna(""),
        }
    ).reset_index(drop=True)


def directions_page(directions: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the article's statement on each study next to the direction of the study's own numbers, for readers.

    Parameters
    ----------
    directions : DataFrame
        From :func:`psps_paper.article.swim.effect_direction_table`.

    Returns
    -------
    DataFrame [comparison, stated, own numbers, risk of bias]
        The study and its question are named below the comparison; the basis of a statement or of the numbers is given
        below each.
    """

    def below(text: str, more: str) -> Html:
        return Html(html.escape(text) + (f' <span class="psps-place">{html.escape(more)}</span>' if more else ""))

    rows = [row for _, row in directions.iterrows()]
    return pd.DataFrame(
        {
            "comparison": [
                below(f"{row['first-named arm']} against {row['other arms']}", f"{row['study']}: {row['group']}")
                for row in rows
            ],
            "stated": [below(row["stated direction"], row["what the statement rests on"]) for row in rows],
            "own numbers": [below(row["numbers lean"], row["the numbers"]) for row in rows],
            "risk of bias": directions["risk of bias"],
        }
    )


def judged_table(weighted: pd.DataFrame) -> pd.DataFrame:
    """Tabulate judgements by studies and by patients for readers, in percent with one decimal.

    Parameters
    ----------
    weighted : DataFrame
        From :func:`psps_paper.article.facts.weighted_risk_of_bias`.
    """
    shares = [name for name in weighted.columns if name.startswith("percent")]
    return weighted.assign(
        **{name: [f"{formatting.number(value, 1)} %" for value in weighted[name]] for name in shares}
    )


def high_risk_table(shares: pd.DataFrame) -> pd.DataFrame:
    """Tabulate for readers how much of each comparison may come from trials at high risk of bias.

    Parameters
    ----------
    shares : DataFrame
        From :func:`psps_paper.conclusions.certainty.high_risk_information`.

    Returns
    -------
    DataFrame [comparison, studies, at high risk, estimates, estimates from studies at high risk]
        The last column is in percent, "32 to 79 %" if only bounds are known.
    """

    def percent(low: float, high: float) -> str:
        ends = dict.fromkeys(formatting.number(100 * end, 0) for end in (low, high))
        return f"{' to '.join(ends)} %"

    ends = shares[["least share of estimates", "greatest share of estimates"]].itertuples(index=False, name=None)
    return pd.DataFrame(
        {
            "comparison": [
                f"{first} against {second}" if second else first
                for first, second in zip(shares["treat1"], shares["treat2"], strict=True)
            ],
            **{name: shares[name] for name in ("studies", "at high risk", "estimates")},
            "estimates from studies at high risk": [percent(*both) for both in ends],
        }
    )


def lean_sentence(directions: pd.DataFrame) -> str:
    """Write a sentence on the public numbers of the studies that the article says show no difference.

    Parameters
    ----------
    directions : DataFrame
        From :func:`psps_paper.article.swim.effect_direction_table`.

    Examples
    --------
    >>> lean_sentence(pd.DataFrame({"stated direction": ["no difference"], "numbers lean": ["not seen"]}))
    'For the only study said to show no difference no public numbers were found.'
    """
    stated, seen, leaning = one_way(directions)
    if stated == 0:
        return "No study here is said to show no difference."
    if stated > 1:
        lean = (
            ("it leans" if leaning else "it does not lean") if seen == 1 else f"{formatting.out_of(leaning, seen)} lean"
        )
        return (
            f"Public numbers were found for {formatting.out_of(seen, stated)} studies said to show no difference"
            f"{f'; {lean} one way' if seen else ''}."
        )
    if seen == 0:
        return "For the only study said to show no difference no public numbers were found."
    return (
        f"The only study said to show no difference leans {'one way' if leaning else 'no way'} in its own public"
        " numbers."
    )


def audit_sentence(audit: pd.DataFrame) -> str:
    """Write a sentence on the references that are cited under another author's name.

    Parameters
    ----------
    audit : DataFrame
        From :func:`psps_paper.article.studies.citation_audit`.

    Examples
    --------
    >>> pairs = pd.DataFrame({"named": ["A", "C"], "ref": [1, 2], "first_author": ["B", "C"], "agrees": [False, True]})
    >>> audit_sentence(pairs.assign(place="Here"))[55:].strip()
    ', these do not match: A with reference 1, which is by B (Here).'
    """
    wrong = [
        f"{row.named} with reference {row.ref}, which is by {row.first_author} ({row.place})"
        for row in audit[~audit["agrees"]].itertuples()
    ]
    of = f"Of the {len(audit)} pairs of author and reference in the narrative, "
    return of + (f"these do not match: {formatting.sentence_list(wrong)}." if wrong else "each matches.")


def repeated_groups(tests: pd.DataFrame) -> pd.DataFrame:
    """Select the sign tests of groups with several studies, dropping columns without a study.

    They are those of :func:`psps_paper.article.swim.sign_tests`.
    """
    rows = tests[tests["studies"] > 1]
    counted = ["favours intervention", "favours comparator", "no difference", "mixed", "not reported"]
    return rows.drop(columns=[name for name in counted if not rows[name].any()]).reset_index(drop=True)


def summary_page(summary: pd.DataFrame, treatment_class: str) -> pd.DataFrame:
    """Tabulate for readers the article's summary sentences on a class, with the directions of the studies they cite.

    Parameters
    ----------
    summary : DataFrame
        From :func:`psps_paper.article.swim.summary_against_table`.
    treatment_class : str

    Returns
    -------
    DataFrame [the article's sentence, cited studies, agrees, every study on the question, remark]
    """
    rows = summary[summary["class"] == treatment_class]
    counts = (
        rows[["favours intervention", "favours comparator", "no difference", "other"]]
        .astype(str)
        .agg(" / ".join, axis=1)
    )
    return pd.DataFrame(
        {
            "the article's sentence": rows["claim"],
            "cited studies": counts,
            "agrees": rows["agrees"],
            "every study on the question": rows["all of the group"] + ": " + rows["agrees over the group"],
            "remark": rows["remark"],
        }
    ).reset_index(drop=True)


def pooled_responders_table(pooled: pd.DataFrame) -> pd.DataFrame:
    """Format pooled responder results: DataFrame [analysis, measure, pooled, Hartung-Knapp, prediction, ...]."""

    def limits(row: pd.Series, low: str, high: str) -> str:
        return (
            formatting.interval(row[low], row[high], 2)
            if row[high] < 1000
            else f"{formatting.number(row[low])} to above 1000"
        )

    return pd.DataFrame(
        [
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
        ]
    )


def _effect(row, stem: str = "", low: str = "lower", high: str = "upper") -> str:
    prefix = f"{stem} " if stem else ""
    return formatting.estimate(
        row[f"{prefix}te" if stem != "difference" else "difference"], row[f"{prefix}{low}"], row[f"{prefix}{high}"]
    )


def beside_table(beside: pd.DataFrame) -> pd.DataFrame:
    """Tabulate :func:`psps_paper.article.reextracted.beside_published` for readers, estimates with their intervals."""
    return pd.DataFrame(
        [
            {
                "first": row["treat1"],
                "against": row["treat2"],
                "from public pages": _effect(row),
                "published": _effect(row, "published"),
                "difference": _effect(row, "difference"),
                "studies": row["studies"],
                "estimates": row["estimates"],
                "published estimates": row["published estimates"],
                "prediction interval": formatting.interval(row["predict lower"], row["predict upper"]),
            }
            for _, row in beside.iterrows()
        ]
    )


def beside_bayes_table(table: pd.DataFrame) -> pd.DataFrame:
    """Tabulate :func:`psps_paper.article.reextracted.beside_bayes` for readers."""
    return pd.DataFrame(
        [
            {
                "against": row["treat2"],
                "SMD (95 % CI)": _effect(row),
                "Bayesian SMD (95 % interval)": _effect(row, "Bayesian"),
                "P better": formatting.percent(row["P treat1 better (%)"] / 100, 0),
                "P better in a new study": formatting.percent(row["P treat1 better in a new study (%)"] / 100, 0),
            }
            for _, row in table.iterrows()
        ]
    )


def contrasts_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the re-extracted contrasts for readers, from :func:`psps_paper.article.reextracted.contrasts`."""
    return pd.DataFrame(
        [
            {
                "study": row["study"],
                "against": row["treat2"],
                "outcome": f"{row['outcome']}, {row['time']}",
                "SMD (95 % CI)": _effect(row),
                "conversion": row["conversion"],
                "ref": row["ref"],
                "method": row["method"],
                "assumption": row["assumption"],
                "sources": row["sources"],
            }
            for _, row in rows.iterrows()
        ]
    )


def arms_table(arms: pd.DataFrame) -> pd.DataFrame:
    """Tabulate responders by arm for readers, from :func:`psps_paper.article.responders.arm_counts`."""
    return pd.DataFrame(
        {
            "trial": arms["trial"],
            "arm": arms["arm"],
            "time": arms["time"],
            "responders": [
                f"{row.events} of {row.randomised} ({formatting.percent(row.percent / 100, 0)})"
                for row in arms.itertuples()
            ],
            "definition": arms["definition"],
            "site": arms["site"],
            "ref": arms["ref"],
            "comparison": arms["comparison"],
            "observed": [
                (
                    f"{row.observed_low}"
                    if row.observed_low == row.observed_high
                    else f"{row.observed_low} to {row.observed_high}"
                )
                for row in arms.itertuples()
            ],
            "source": arms["source"],
            "note": arms["note"],
        }
    )


def reextracted_texts(beside: pd.DataFrame, shares: pd.DataFrame, *, undecided: str) -> dict[str, str]:
    """Compare the re-extracted network with the published one, as texts for prose.

    Parameters
    ----------
    beside : DataFrame
        From :func:`psps_paper.article.reextracted.beside_published`.
    shares : DataFrame
        From :func:`psps_paper.article.reextracted.resting_on_conversions`.
    undecided : str
        The treatment against which the article shows no difference.
    """
    finding = beside.set_index("treat2").loc[undecided]
    apart = beside[(beside["difference lower"] > 0) | (beside["difference upper"] < 0)]
    return {
        "undecided": _effect(finding),
        "undecided_published": _effect(finding, "published"),
        "same_side_of": formatting.out_of(int((beside["same side"] == "yes").sum()), len(beside)),
        "larger_of": formatting.out_of(int((beside["difference"] > 0).sum()), len(beside)),
        "differences": ", ".join(map(formatting.number, beside["difference"])),
        "apart": ", ".join(apart["treat2"]) or "none",
        "n_counts": str(((shares["method"] == "log odds ratio") & (shares["share"] > 1 - 1e-9)).sum()),
        "middle": formatting.number(reextracted.CORRELATION, 1),
    }


def bayes_texts(post: Posterior, table: pd.DataFrame, scales: pd.DataFrame, treat2: str) -> dict[str, str]:
    """Summarise the Bayesian fit of the re-extracted contrasts, as texts for prose.

    Parameters
    ----------
    post : Posterior
        From :func:`psps_paper.article.reextracted.reextracted_posterior`.
    table : DataFrame
        From :func:`psps_paper.article.reextracted.beside_bayes`; probabilities are of its row against ``treat2``.
    scales : DataFrame
        From :func:`psps_paper.article.reextracted.over_prior_scales`.
    """
    row = table[table["treat2"] == treat2].iloc[0]
    over = scales[scales["treat2"] == treat2]
    tau = (post.tau_quantile(p) for p in (0.5, 0.025, 0.975))
    span = {
        name: f"{formatting.percent(over[name].min(), 0)} to {formatting.percent(over[name].max(), 0)}"
        for name in ("probability", "probability_new")
    }
    return {
        "bayes_studies": str(post.contrasts["study"].nunique()),
        "bayes_tau": formatting.estimate(*tau),
        "bayes_effect": formatting.estimate(row["Bayesian te"], row["Bayesian lower"], row["Bayesian upper"]),
        "bayes_p": formatting.percent(row["P treat1 better (%)"] / 100, 0),
        "bayes_p_new": formatting.percent(row["P treat1 better in a new study (%)"] / 100, 0),
        "bayes_range": span["probability"],
        "bayes_range_new": span["probability_new"],
    }
