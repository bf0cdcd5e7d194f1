"""The evidence base: sourced facts about each trial, compared with the article's numbers."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from psps_paper.article.studies import included
from psps_paper.formatting import number, references, rounds_to

FOUND, DOUBTFUL, ARTICLE_ONLY = "found", "found, but too doubtful to use", "told by the article only"
NOT_FOUND, NOT_SEARCHED = "searched, not found", "not looked for"
STATUSES = [FOUND, DOUBTFUL, ARTICLE_ONLY, NOT_FOUND, NOT_SEARCHED]
BEST_FIRST = [FOUND, ARTICLE_ONLY, DOUBTFUL, NOT_FOUND, NOT_SEARCHED]  # the best status of a field's rows counts

# Questions that readers ask about a trial, and the fields of study_facts.csv that answer them.
COVERED = {
    "country": ["country"],
    "design": ["design"],
    "registration": ["registration"],
    "blinding": ["blinding"],
    "funding": ["funding"],
    "patients": ["n_randomised"],
    "patients by arm": ["n_randomised"],
    "patients analysed or completing": ["n_analysed", "n_completed"],
    "age": ["age_mean", "age_range"],
    "sex": ["female_percent", "male_percent", "female_n", "male_n"],
    "site of symptoms": ["symptom_site"],
    "outcome scale": ["outcome_scale"],
    "intervention": ["intervention"],
    "comparator": ["comparator"],
    "settings or doses": ["dose_or_settings", "setting_value", "setting_lower"],
    "follow-up": ["follow_up", "follow_up_text"],
    "primary outcome": ["primary_outcome"],
    "main result in words": ["result_text"],
    "main result in numbers": [
        "responders_n",
        "responders_percent",
        "outcome_mean",
        "change_mean",
        "percent_change",
        "mean_difference",
        "p_value",
    ],
}
FOLLOW_UP_DAYS = {"days": 1, "weeks": 7, "months": 365.25 / 12, "years": 365.25, "minutes": 1 / 1440}
# Measures in study_facts.csv of single arms (besides responders) and between arms, with their names in tables.
ARM_MEASURES = {"outcome_mean": "mean", "change_mean": "mean change", "percent_change": "change"}
CONTRAST_MEASURES = {"mean_difference": "difference", "relative_risk": "relative risk", "p_value": "p"}
COMPARABLE = ["study", "outcome", "time", "measure", "unit"]
NUMBER_COLUMNS = [*COMPARABLE, "arm", "value", "text", "source"]
RELATIONS = ["same value", "months to years", "Hz to kHz", "percentage of counts", "allows"]


def chosen(facts: pd.DataFrame, field: str, *, arm: str | None = None) -> pd.DataFrame:
    """Select the rows of a field that tables use: marked as chosen, with a value, and of the named arm if any."""
    rows = facts[(facts["field"] == field) & (facts["chosen"] == "yes") & (facts["source_kind"] != "searched")]
    return rows if arm is None else rows[rows["arm"] == arm]


def fact(facts: pd.DataFrame, name: str) -> pd.Series:
    """Return the row with an identifier.

    Raises
    ------
    KeyError
        There is no such row; the message names the identifier.
    """
    positions = np.flatnonzero(facts["fact"].to_numpy(object) == name)
    if not len(positions):
        raise KeyError(f"study_facts.csv, column fact: {name!r} is not there")
    return facts.iloc[positions[0]]


def value_text(row: pd.Series) -> str:
    """Write the value of a fact for readers, with relation and unit; for patients, also how they were counted."""
    if pd.isna(row["number"]):
        return row["value"] if isinstance(row["value"], str) else ""
    relation = "below " if row["relation"] == "<" else ""
    text = relation + _number_text(row["number"])
    if row["unit"] == "p":
        return "p " + (text if relation else "= " + text)
    if row["unit"] == "percent":
        return text + " %"
    unit = row["unit"]
    if row["number"] == 1 and unit.endswith("s") and " " not in unit and unit != "microseconds":
        unit = unit[:-1]
    return f"{text} {unit}" + (f" ({row['counted']})" if isinstance(row["counted"], str) else "")


def coverage(facts: pd.DataFrame, studies: pd.DataFrame) -> pd.DataFrame:
    """Tabulate what is known about each study, field by field.

    Parameters
    ----------
    facts, studies : DataFrame
        The tables ``study_facts`` and ``studies``.

    Returns
    -------
    DataFrame [study x field]
        Index ``study``; one column for each key of ``COVERED``; cells are one of ``STATUSES``. A field counts
        as found with at least one chosen value from a page other than the article.
    """
    statuses, names = _status(facts), included(studies)["study"]
    table = {}
    for label, fields in COVERED.items():
        rows = facts["field"].isin(fields)
        if label == "patients":
            rows &= facts["arm"] == "all"
        if label == "patients by arm":
            rows &= (facts["arm"] != "all") | (facts["source_kind"] == "searched")
        best = (
            statuses[rows]
            .groupby(facts.loc[rows, "study"])
            .min()
            .reindex(names, fill_value=BEST_FIRST.index(NOT_SEARCHED))
        )
        table[label] = [BEST_FIRST[status] for status in best]
    return pd.DataFrame(table, index=pd.Index(names, name="study"))


def coverage_counts(facts: pd.DataFrame, studies: pd.DataFrame) -> pd.DataFrame:
    """Count studies by field and status: DataFrame [field, one column per status, percent found]."""
    table = coverage(facts, studies)
    counts = table.apply(lambda column: column.value_counts()).T.reindex(columns=STATUSES).fillna(0).astype(int)
    counts["percent found"] = (100 * counts[FOUND] / len(table)).round().astype(int)
    return counts.rename_axis("field").reset_index()


def sample_size(facts: pd.DataFrame) -> pd.Series:
    """Return patients by study, as the page counts them (column ``counted``), for studies with a chosen number.

    The number for the whole trial or, failing that, the sum of the arms.
    """
    rows = chosen(facts, "n_randomised")
    whole = rows[rows["arm"] == "all"].set_index("study")["number"]
    arms = rows[rows["arm"] != "all"].groupby("study")["number"].sum()
    return whole.combine_first(arms).rename("patients").astype("Int64")


def follow_up_days(facts: pd.DataFrame, *, randomised: bool = False) -> pd.Series:
    """Return the follow-up in days, by study.

    Parameters
    ----------
    facts : DataFrame
    randomised : bool
        Use the length of the randomised comparison if it ends before the last visit.
    """
    days = _in_days(chosen(facts, "follow_up"))
    if randomised:
        days = _in_days(chosen(facts, "randomised_follow_up")).combine_first(days)
    return days.rename("days")


def sourced_studies(facts: pd.DataFrame, studies: pd.DataFrame) -> list[str]:
    """List included studies with a chosen number of patients and follow-up, both from a page other than the article."""
    first_hand = facts[facts["source_kind"] != "article"]
    both = set(sample_size(first_hand).index) & set(chosen(first_hand, "follow_up")["study"])
    return [study for study in included(studies)["study"] if study in both]


def patients_by_count(facts: pd.DataFrame, studies: pd.DataFrame) -> pd.DataFrame:
    """Tabulate how the pages count the patients of :func:`sourced_studies`.

    Returns
    -------
    DataFrame [how counted, studies, references]
        References as in the article, ascending; the most frequent way of counting comes first.
    """
    rows = chosen(facts, "n_randomised", arm="all")
    rows = rows[rows["study"].isin(sourced_studies(facts, studies))].sort_values("ref")
    refs = rows.groupby("counted")["ref"].agg(list)
    return pd.DataFrame(
        {
            "how counted": refs.index,
            "studies": refs.map(len).to_numpy(),
            "references": [references(of_way) for of_way in refs],
        }
    ).sort_values("studies", ascending=False, kind="stable", ignore_index=True)


def cells_not_looked_for(facts: pd.DataFrame, studies: pd.DataFrame) -> int:
    """Count the cells of :func:`coverage`, each a study and a field, that nobody has looked for."""
    return int((coverage(facts, studies) == NOT_SEARCHED).sum().sum())


def arm_numbers(facts: pd.DataFrame) -> pd.DataFrame:
    """Collect numerical results that public pages give for two or more arms of a trial.

    Parameters
    ----------
    facts : DataFrame
        The table ``study_facts``.

    Returns
    -------
    DataFrame [study, outcome, time, measure, unit, arm, value, text, source]
        One row per arm; ``measure`` is one of ``ARM_MEASURES`` or "responders". Rows with the same study, outcome,
        time, measure and unit can be compared. Responders are percentages, as stated on the page or computed from its
        counts; ``text`` gives both if the page does. ``time`` is empty if the page gives none. Values of all arms
        together, values that tables do not use, and values found only in the article are omitted.
    """
    rows = _own_results(facts)
    means = rows[rows["field"].isin(ARM_MEASURES)]
    table = pd.DataFrame(
        {
            **{name: means[name] for name in ("study", "outcome", "time", "unit", "arm")},
            "measure": means["field"].map(ARM_MEASURES),
            "value": means["number"],
            "text": [
                value_text(row) if row["unit"] == "percent" else _number_text(row["number"])
                for _, row in means.iterrows()
            ],
            "source": means["source_url"],
        }
    )
    responders = [
        _responders(key, group) for key, group in rows.groupby(["study", "outcome", "time", "arm"], sort=False)
    ]
    table = pd.DataFrame([row for row in responders if row] + table.to_dict("records"), columns=NUMBER_COLUMNS)
    arms = table.groupby(COMPARABLE, sort=False)["arm"].transform("nunique")
    return table[arms > 1].reset_index(drop=True)


def contrast_numbers(facts: pd.DataFrame) -> pd.DataFrame:
    """Collect numerical results that public pages give between arms of a trial: differences, ratios and p values.

    Parameters
    ----------
    facts : DataFrame
        The table ``study_facts``.

    Returns
    -------
    DataFrame [study, outcome, time, measure, unit, arm, value, text, source]
        As :func:`arm_numbers`; ``arm`` is the contrast as the page names it, ``measure`` one of
        ``CONTRAST_MEASURES``, and ``text`` includes confidence limits if the page gives them.
    """
    rows = _own_results(facts)
    rows = rows[rows["basis"] == "between arms"]
    places = ["study", "outcome", "time", "unit", "arm"]
    limits = rows[rows["field"].isin(["lower", "upper"])].set_index([*places, "field"])["number"]
    records = []
    for _, row in rows[rows["field"].isin(CONTRAST_MEASURES)].iterrows():
        place = tuple(row[places])
        ends = [limits.get((*place, end)) for end in ("lower", "upper")]
        text = value_text(row) if row["unit"] == "p" else _number_text(row["number"])
        if None not in ends:
            text += f" ({_number_text(ends[0])} to {_number_text(ends[1])})"
        records.append(
            {
                **dict(zip(places, place, strict=True)),
                "measure": CONTRAST_MEASURES[row["field"]],
                "value": row["number"],
                "text": text,
                "source": row["source_url"],
            }
        )
    return pd.DataFrame(records, columns=NUMBER_COLUMNS)


def numbers_text(arms: pd.DataFrame, contrasts: pd.DataFrame) -> str:
    """Write the numerical results of one trial for readers: outcome, time, each arm's value, then results between arms.

    Parameters
    ----------
    arms, contrasts : DataFrame
        Rows of :func:`arm_numbers` and :func:`contrast_numbers` for one study.
    """
    texts: dict[tuple[str, str], list[str]] = {}
    for (outcome, time, measure, unit), group in arms.groupby(COMPARABLE[1:], sort=False):
        values = ", ".join(f"{row.arm} {row.text}" for row in group.itertuples())
        texts.setdefault((outcome, time), []).append(
            f"{measure} {values}" + ("" if unit == "percent" else f" ({unit})")
        )
    for row in contrasts.itertuples():
        unit = {"percent": " percentage points", "p": "", "ratio": ""}.get(row.unit, f" in {row.unit}")
        between = f"{row.text} between arms" if row.unit == "p" else f"{row.measure} {row.arm} {row.text}{unit}"
        texts.setdefault((row.outcome, row.time), []).append(between)
    return ". ".join(
        f"{outcome}{', ' if time else ''}{time}: {'; '.join(parts)}" for (outcome, time), parts in texts.items()
    )


def weighted_risk_of_bias(studies: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
    """Count overall judgements by studies and by patients.

    Returns
    -------
    DataFrame [judgement, studies, percent of studies, studies with known size, patients, percent of patients]
    """
    rows = included(studies).assign(patients=lambda t: t["study"].map(sample_size(facts)))
    table = (
        rows.groupby("rob_overall", sort=False)
        .agg(studies=("study", "size"), known=("patients", "count"), patients=("patients", "sum"))
        .reindex(["low", "some concerns", "high"])
    )
    return pd.DataFrame(
        {
            "judgement": table.index,
            "studies": table["studies"].to_numpy(),
            "percent of studies": (100 * table["studies"] / table["studies"].sum()).to_numpy(float),
            "studies with known size": table["known"].to_numpy(),
            "patients": table["patients"].to_numpy(),
            "percent of patients": (100 * table["patients"] / table["patients"].sum()).to_numpy(float),
        }
    )


def differences_from_sources(source_differences: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
    """List where the article and a trial's public pages differ in substance, or where a source contradicts itself.

    Returns
    -------
    DataFrame [study, topic, the article, the source, matters for, place, source]
    """
    return pd.DataFrame(
        {
            "study": [f"{row.study} (ref {row.ref})" for row in source_differences.itertuples()],
            "topic": source_differences["topic"],
            "the article": source_differences["article_says"],
            "the source": source_differences["source_says"],
            "matters for": source_differences["matters_for"],
            "place": source_differences["place"],
            "source": [fact(facts, name)["source_url"] for name in source_differences["fact"]],
        }
    ).reset_index(drop=True)


def linked_value(facts: pd.DataFrame, name: str, total: str | float, relation: str) -> float:
    """Compute the value that a fact (and, for percentages, a second one) gives for a statement.

    Parameters
    ----------
    facts : DataFrame
    name, total : str
        Identifiers; ``total`` is the denominator of "percentage of counts", else missing.
    relation : str
        One of ``RELATIONS``.
    """
    if relation not in RELATIONS:
        raise ValueError(f"relation={relation!r}: expected one of {', '.join(RELATIONS)}")
    value = float(fact(facts, name)["number"])
    if math.isnan(value):
        raise ValueError(f"study_facts.csv, {name}: the fact has no number")
    if relation == "months to years":
        return value / 12
    if relation == "Hz to kHz":
        return value / 1000
    if relation == "percentage of counts":
        return 100 * value / float(fact(facts, total)["number"])
    return value


def denominators(percentages: list[float], decimals: int, largest: int) -> list[int]:
    """Find the denominators up to ``largest`` for which every percentage is a whole number of patients.

    Source: Brown & Heathers 2017 (GRIM), solved for the denominator.
    """
    return [
        n
        for n in range(1, largest + 1)
        if all(
            any(rounds_to(100 * k / n, value, decimals) for k in (int(value * n / 100), int(value * n / 100) + 1))
            for value in percentages
        )
    ]


def _status(facts: pd.DataFrame) -> pd.Series:
    """Return the status of each row by itself, as a position in ``BEST_FIRST``; the best row of a field counts."""
    searched, used = facts["source_kind"] == "searched", facts["chosen"] == "yes"
    of_article = facts["source_kind"] == "article"
    status = np.select([searched, used & ~of_article, used], [NOT_FOUND, FOUND, ARTICLE_ONLY], DOUBTFUL)
    return pd.Series([BEST_FIRST.index(text) for text in status], index=facts.index)


def _in_days(rows: pd.DataFrame) -> pd.Series:
    days = rows["number"] * rows["unit"].map(FOLLOW_UP_DAYS)
    return pd.Series(days.to_numpy(), index=rows["study"].to_numpy())


def _number_text(value: float) -> str:
    # the shortest decimal that converts back to the value is the one in the source
    digits = repr(float(value)).partition(".")[2]
    return number(value, 0 if digits == "0" else len(digits))


def _own_results(facts: pd.DataFrame) -> pd.DataFrame:
    """Select rows with a number that tables use, from pages other than the article, for an arm or a contrast."""
    rows = facts[
        (facts["chosen"] == "yes")
        & facts["number"].notna()
        & (facts["source_kind"] != "article")
        & (facts["arm"] != "all")
    ]
    return rows.assign(time=rows["time"].fillna(""))


def _responders(key: tuple[str, str, str, str], rows: pd.DataFrame) -> dict[str, object] | None:
    """Return the responders of one arm as a row of :func:`arm_numbers`; None if the rows give no percentage."""
    found = rows.drop_duplicates("field").set_index("field")["number"]
    percent, count, total = (found.get(f"responders_{name}", math.nan) for name in ("percent", "n", "total"))
    counted = "" if math.isnan(count) or math.isnan(total) else f"{count:.0f} of {total:.0f}"
    if math.isnan(percent) and not counted:
        return None
    study, outcome, time, arm = key
    return {
        "study": study,
        "outcome": outcome,
        "time": time,
        "arm": arm,
        "unit": "percent",
        "measure": "responders",
        "value": 100 * count / total if math.isnan(percent) else percent,
        "text": counted if math.isnan(percent) else f"{_number_text(percent)} %" + (f" ({counted})" if counted else ""),
        "source": rows.sort_values("fact")["source_url"].iloc[0],
    }
