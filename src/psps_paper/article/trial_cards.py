"""One card for each trial: design, results, harms, funding, risk of bias, and its use in the review."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import pandas as pd

from psps_paper.article.facts import arm_numbers, chosen, contrast_numbers, value_text
from psps_paper.article.harms import count_text
from psps_paper.article.reextracted import contrasts
from psps_paper.article.studies import included
from psps_paper.formatting import estimate, sentence_list

TABLES = (
    "studies",
    "study_facts",
    "harms",
    "funders",
    "responder_counts",
    "reextracted_contrasts",
    "source_differences",
    "nma_published",
)
NOT_FOUND = "not in the public sources"
NO_COUNT = "no count found in the public sources"
# Addresses of identifiers, the most permanent first.
RESOLVERS = {
    r"doi:(?P<id>.+)": "https://doi.org/{id}",
    r"PMID (?P<id>\d+)": "https://pubmed.ncbi.nlm.nih.gov/{id}/",
    r"(?P<id>PMC\d+)": "https://pmc.ncbi.nlm.nih.gov/articles/{id}/",
    r"(?P<id>NCT\d{8})": "https://clinicaltrials.gov/study/{id}",
    r"(?P<id>ISRCTN\d+)": "https://www.isrctn.com/{id}",
}
KINDS = {
    "abstract": "abstract",
    "registry": "register",
    "full_text_excerpt": "part of the paper",
    "review": "table of a review",
    "guideline": "guideline",
    "news_or_blog": "news",
}


@dataclass(frozen=True)
class Entry:
    """One line of a card: its label, its text, and whether anything is known.

    Attributes
    ----------
    label, text : str
    known : bool
        False if ``text`` states that nothing was found.
    percent : float or None
        The percentage that the line states, if any.
    page : str
        File stem of the page of the book with more detail; may be empty.
    """

    label: str
    text: str
    known: bool = True
    percent: float | None = None
    page: str = ""


@dataclass(frozen=True)
class Source:
    """A page that gave values of a card: label, address, kind of page, and number of values."""

    label: str
    url: str
    kind: str
    values: int


@dataclass(frozen=True)
class TrialCard:
    """The public information on a trial.

    Attributes
    ----------
    ref : int
        Reference number in the article.
    study, name, treatment_class, compared : str
        Identifier, first author and year, class, and the arms in words.
    lead : str
        The comparison, the patients, and the result that the article reports.
    results, harms, trust, design, used, differences : tuple of Entry
    sources : tuple of Source
        DOIs first.
    """

    ref: int
    study: str
    name: str
    treatment_class: str
    compared: str
    patients: str
    rob: str
    lead: str
    results: tuple[Entry, ...]
    harms: tuple[Entry, ...]
    trust: tuple[Entry, ...]
    design: tuple[Entry, ...]
    used: tuple[Entry, ...]
    differences: tuple[Entry, ...]
    sources: tuple[Source, ...]


def trial_cards(tables: Mapping[str, pd.DataFrame]) -> list[TrialCard]:
    """Build a card for each included trial, in the order of the article's references.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        The tables named in ``TABLES``.

    Raises
    ------
    ValueError
        A table is missing, or a trial has no facts.

    Example
    -------
    >>> from psps_paper.tables.load import load_table
    >>> cards = trial_cards({name: load_table(name) for name in TABLES})
    >>> len(cards), cards[-2].name, cards[-2].patients
    (49, 'Rigoard 2019', '218 patients')
    """
    missing = [name for name in TABLES if name not in tables]
    if missing:
        raise ValueError(f"tables: {', '.join(missing)} missing; expected {', '.join(TABLES)}")
    tables = {name: tables[name] for name in TABLES} | {
        "study_facts": _in_order(tables["study_facts"], "fact"),
        "harms": tables["harms"].sort_values("harm", kind="stable"),
        "responder_counts": tables["responder_counts"].sort_values(["study", "comparison", "time"]),
        "reextracted_contrasts": tables["reextracted_contrasts"].sort_values("id"),
        "source_differences": tables["source_differences"].sort_values(["study", "fact", "topic"]),
    }
    converted = contrasts(tables["reextracted_contrasts"], tables["study_facts"])
    return [_card(row, tables, converted) for row in included(tables["studies"]).sort_values("ref").itertuples()]


def _in_order(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Sort rows by study, field and the number that ends ``study.field.10``, whatever their order in the file."""
    parts = table[column].str.rpartition(".")
    return (
        table.assign(_name=parts[0], _number=parts[2].astype(int))
        .sort_values(["_name", "_number"])
        .drop(columns=["_name", "_number"])
    )


def _card(row, tables: Mapping[str, pd.DataFrame], converted: pd.DataFrame) -> TrialCard:
    own = tables["study_facts"]
    own = own[own["study"] == row.study]
    if own.empty:
        raise ValueError(f"study_facts.csv: no row for {row.study}, which studies.csv includes")
    compared = row.arms.replace(" | ", " against ")
    patients = _patients(own)
    return TrialCard(
        ref=int(row.ref),
        study=row.study,
        name=f"{row.first_author} {row.year}",
        treatment_class=row.treatment_class,
        compared=compared,
        patients=patients,
        rob=row.rob_overall,
        lead=_lead(row, compared, patients),
        results=_results(own),
        harms=_harms(row.study, own, tables["harms"]),
        trust=_trust(row, own, tables["funders"]),
        design=_design(own),
        used=_used(row, tables, converted),
        differences=_differences(row.study, tables["source_differences"]),
        sources=_sources(row, own),
    )


def _lead(row, compared: str, patients: str) -> str:
    whom = f" ({patients})" if patients != NOT_FOUND else ""
    return f"{compared[:1].upper()}{compared[1:]}{whom}. The article reports: {row.direction_basis}."


def _texts(own: pd.DataFrame, *fields: str) -> str:
    """Join the chosen values of fields, with their arm if they have one; the trial's own pages before the article."""
    found = []
    for field in fields:
        rows = chosen(own, field)
        first_hand = rows[rows["source_kind"] != "article"]
        for _, row in (first_hand if len(first_hand) else rows).iterrows():
            text = value_text(row)
            names_arm = row["arm"] == "all" or row["arm"] == text or " vs " in row["arm"]
            found.append(text if names_arm else f"{row['arm']}: {text}")
    return "; ".join(dict.fromkeys(found))


def _entry(label: str, text: str, *, otherwise: str = NOT_FOUND) -> Entry:
    return Entry(label, text or otherwise, known=bool(text))


def _patients(own: pd.DataFrame) -> str:
    whole = chosen(own, "n_randomised", arm="all")
    if len(whole):
        return f"{whole['number'].iloc[0]:.0f} patients"
    arms = chosen(own, "n_randomised")
    return f"{arms['number'].sum():.0f} patients" if len(arms) else NOT_FOUND


def _results(own: pd.DataFrame) -> tuple[Entry, ...]:
    """List results in words, then in numbers: percentages of patients line by line, others by outcome and time."""
    entries = [_entry("In words", _texts(own, "result_text"))]
    arms = arm_numbers(own)
    entries += [
        Entry(f"Responders, {_when(row)}", f"{row.arm}: {row.text}", percent=float(row.value))
        for row in arms[arms["measure"] == "responders"].itertuples()
    ]
    others = arms[arms["measure"] != "responders"]
    for _, group in others.groupby(["outcome", "time", "measure", "unit"], sort=False):
        row = next(group.itertuples())
        unit = "" if row.unit == "percent" else f" ({row.unit})"
        values = "; ".join(f"{arm.arm} {arm.text}" for arm in group.itertuples())
        entries.append(Entry(f"{row.measure.capitalize()}, {_when(row)}", f"{values}{unit}"))
    between = contrast_numbers(own)
    for _, group in between.groupby(["outcome", "time", "arm"], sort=False):
        row = next(group.itertuples())
        values = ", ".join(_between_text(contrast) for contrast in group.itertuples())
        entries.append(Entry(f"Between arms, {_when(row)}", f"{row.arm.replace(' vs ', ' against ')}: {values}"))
    if arms.empty and between.empty:
        entries.append(Entry("In numbers", "no numbers by arm found in the public sources", known=False))
    return tuple(entries)


def _between_text(row) -> str:
    if row.measure == "p":
        return row.text
    unit = {"ratio": "", "percent": " percentage points"}.get(row.unit, f" ({row.unit})")
    return f"{row.measure} {row.text}{unit}"


def _when(row) -> str:
    return ", ".join(part for part in (row.outcome, row.time) if isinstance(part, str) and part)


def _harms(study: str, own: pd.DataFrame, harms: pd.DataFrame) -> tuple[Entry, ...]:
    """List counted events with their patients; else statements without a count; else that nothing was found."""
    counted = harms[harms["study"] == study]
    rows = chosen(own, "adverse_events")
    if counted.empty and rows.empty:
        return (Entry("Harms", NO_COUNT, known=False, page="harms"),)
    if counted.empty:
        return tuple(Entry("Harms", text) for text in _texts(own, "adverse_events").split("; "))
    entries = []
    of_others = counted["part_of"].notna()
    for _, row in pd.concat([counted[~of_others], counted[of_others]]).iterrows():
        text = count_text(row, own)
        share = re.search(r"\((\d+)\s%\)", text)
        when = f" within {row['time']}" if isinstance(row["time"], str) else ""
        note = f"; {row['note']}" if isinstance(row["note"], str) else ""
        label = (
            f"Of these: {row['event']}"
            if isinstance(row["part_of"], str)
            else row["event"][:1].upper() + row["event"][1:]
        )
        entries.append(Entry(label, f"{text}{when}{note}", percent=float(share[1]) if share else None, page="harms"))
    return tuple(entries)


def _trust(row, own: pd.DataFrame, funders: pd.DataFrame) -> tuple[Entry, ...]:
    paid = [
        f"{payer.funder}, {payer.kind} ({payer.role})" for payer in funders[funders["study"] == row.study].itertuples()
    ]
    return (
        Entry(
            "Risk of bias",
            f"{row.rob_overall} overall, as judged in the article; judgements by domain are not printed for single"
            " trials",
        ),
        _entry("Blinding", _texts(own, "blinding")),
        _entry("Who paid", "; ".join(paid), otherwise="no funder found in the public sources"),
        _entry("Analysed", _texts(own, "n_analysed", "n_completed")),
        _entry("Lost or changed group", _texts(own, "dropouts_n", "crossovers_n"), otherwise=NO_COUNT),
    )


def _design(own: pd.DataFrame) -> tuple[Entry, ...]:
    fields = {
        "Design": ("design",),
        "Randomised": ("n_randomised",),
        "Country": ("country", "care_setting"),
        "Age": ("age_mean", "age_range"),
        "Sex": ("female_percent", "male_percent", "female_n", "male_n"),
        "Symptoms": ("symptom_site",),
        "Arms": ("intervention", "comparator"),
        "Doses or settings": ("dose_or_settings", "treatment_duration"),
        "Measure": ("outcome_scale",),
        "Primary outcome": ("primary_outcome",),
        "Follow-up": ("follow_up", "follow_up_text"),
        "Arms compared at": ("randomised_follow_up",),
        "Registration": ("registration",),
    }
    entries, missing = [], []
    for label, names in fields.items():
        text = _sex(own, names) if label == "Sex" else _texts(own, *names)
        if text:
            entries.append(Entry(label, f"mean {text}" if label == "Age" and text[0].isdigit() else text))
        elif label != "Arms compared at":  # shown only if the arms changed before the last visit
            missing.append(label.lower())
    if missing:
        entries.append(Entry("Not found", f"{sentence_list(missing)}: {NOT_FOUND}", known=False))
    return tuple(entries)


def _sex(own: pd.DataFrame, fields: tuple[str, ...]) -> str:
    found = [(field, _texts(own, field)) for field in fields]
    return "; ".join(
        f"{text.removesuffix(' patients')} {'women' if field.startswith('female') else 'men'}"
        for field, text in found
        if text
    )


def _used(row, tables: Mapping[str, pd.DataFrame], converted: pd.DataFrame) -> tuple[Entry, ...]:
    entries = [
        Entry(
            "In the article",
            f"narrative synthesis, {row.treatment_class}",
            page=f"narrative_{row.treatment_class.replace(' ', '_')}",
        )
    ]
    if row.nma_status == "used":
        entries.append(Entry("In the network", _network_text(row, tables), page="network_meta_analysis"))
    elif row.nma_status == "not eligible":
        entries.append(Entry("In the network", "not used: not eligible", page="network_meta_analysis"))
    else:
        entries.append(
            Entry("In the network", "not used: it connects with none of its treatments", page="network_meta_analysis")
        )
    mine = converted[converted["study"] == row.study]
    entries += [
        Entry(
            "From public pages",
            f"SMD {estimate(effect.te, effect.lower, effect.upper)} for {_when(effect)}, "
            f"{effect.treat1} against {effect.treat2}: {effect.conversion}",
            page="reextracted_network",
        )
        for effect in mine.itertuples()
    ]
    none = tables["reextracted_contrasts"]
    entries += [
        Entry(
            "From public pages",
            f"no effect can be computed: {gap.conversion}. It would take {gap.assumption}",
            known=False,
            page="reextracted_network",
        )
        for gap in none[(none["study"] == row.study) & (none["method"] == "none")].itertuples()
    ]
    counts = tables["responder_counts"]
    entries += [
        Entry("Responders", f"{count.definition}: {count.comparison}", page="reextracted_network")
        for count in counts[counts["study"] == row.study].drop_duplicates("comparison").itertuples()
    ]
    return tuple(entries)


def _network_text(row, tables: Mapping[str, pd.DataFrame]) -> str:
    studies, printed = tables["studies"], tables["nma_published"]
    treat1, treat2 = row.nma_comparison.split(" vs ")
    trials = int(((studies["nma_comparison"] == row.nma_comparison) & (studies["nma_status"] == "used")).sum())
    counted = printed[
        (printed["quantity"] == "n_estimates") & (printed["treat1"] == treat1) & (printed["treat2"] == treat2)
    ]["value"]
    behind = "the only trial" if trials == 1 else f"one of {trials} trials"
    estimates = f", which give {counted.iloc[0]:.0f} estimates" if len(counted) else ""
    return f"{behind} of {treat1} against {treat2}{estimates}"


def _differences(study: str, differences: pd.DataFrame) -> tuple[Entry, ...]:
    return tuple(
        Entry(
            row.topic.capitalize(),
            f"The article: {row.article_says}. The source: {row.source_says}.",
            page="evidence_base",
        )
        for row in differences[differences["study"] == study].itertuples()
    )


def resolved(identifier: str) -> tuple[int, str]:
    """Return rank and address of an identifier: DOIs before PubMed, PubMed Central and registers.

    Example
    -------
    >>> resolved("doi:10.1001/jama.2022.18231"), resolved("NCT03546738")[0]
    ((0, 'https://doi.org/10.1001/jama.2022.18231'), 3)
    """
    for rank, (pattern, address) in enumerate(RESOLVERS.items()):
        match = re.fullmatch(pattern, identifier)
        if match:
            return rank, address.format(id=match["id"])
    return len(RESOLVERS), ""


def _sources(row, own: pd.DataFrame) -> tuple[Source, ...]:
    """List the pages that gave values, by identifier if they have one; the DOI of the reference list comes first."""
    seen = own[~own["source_kind"].isin(["searched", "article"])]
    keys = seen["identifier"].where(seen["identifier"].notna(), seen["source_url"])
    found = []
    for key, rows in seen.groupby(keys, sort=False):
        rank, url = resolved(key)
        label = key if url else urlsplit(rows["source_url"].iloc[0]).netloc.removeprefix("www.")
        kinds = sentence_list(list(dict.fromkeys(KINDS[kind] for kind in rows["source_kind"])))
        rank += 10 * (
            not set(rows["source_kind"]) & {"abstract", "full_text_excerpt", "registry"}
        )  # the trial's own pages first
        found.append((rank, -len(rows), Source(label, url or rows["source_url"].iloc[0], kinds, len(rows))))
    listed = f"doi:{row.doi}" if isinstance(row.doi, str) else ""
    if listed and all(source.label != listed for *_, source in found):
        found.append((-1, 0, Source(listed, resolved(listed)[1], "reference list of the article", 0)))
    return tuple(source for *_, source in sorted(found, key=lambda item: item[:2]))
