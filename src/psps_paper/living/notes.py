"""Notes of an import on the data that it read."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

import pandas as pd

from psps_paper.article.outcomes import load_outcome
from psps_paper.article.published import published_edges
from psps_paper.article.trials import check_network, main_part, missing_from_data
from psps_paper.living.formats import PERSON_TIME, Layout, plain
from psps_paper.living.model import LOG_MEASURES, Options
from psps_paper.network import contrast_notes
from psps_paper.tables.dataset import Dataset


def _without_sd(listed: pd.DataFrame, options: Options) -> list[str]:
    missing = int(listed["reason"].str.endswith(": no sd").sum())
    if not missing or not options.impute or options.impute_sd:
        return []
    return [
        f"{missing} arms have a mean but no SD; --impute-sd would use the mean SD of the other studies, which is valid"
        " only if all use the same scale"
    ]


def _notes(contrasts: pd.DataFrame, set_aside: set[str], file: str, outcome: str, data: Dataset) -> list[str]:
    """List what a user should know about the contrasts of an outcome; studies set aside are checked for look-alikes."""
    treatments = set(contrasts["treat1"]) | set(contrasts["treat2"])
    reference = load_outcome(data, outcome).reference
    return [
        *check_network(contrasts, file, reference),
        *contrast_notes(main_part(contrasts, reference)[0]),
        *_look_alikes(treatments, "treatments"),
        *_look_alikes(set(contrasts["study"]) | set_aside - {""}, "studies"),
        *_beside_print(contrasts, treatments, outcome, data),
        *_without_class(treatments, data),
        *_without_order(treatments, outcome, data),
    ]


def _without_order(treatments: set[str], outcome: str, data: Dataset) -> list[str]:
    new = load_outcome(data, outcome).undeclared(treatments)
    if not new:
        return []
    return [
        f"{', '.join(new)}: not in the order of treatments of {outcome} in outcomes.csv, so small-study effects are"
        " tested in the order of the fitted ranking; to choose the order, add the names to column order and run"
        " psps-paper tables --record"
    ]


# Letters of other scripts that look like Latin ones
_LOOK = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u04bb\u03bf\u03b1\u03c1\u03bd\u0131",
    "aeopcyxijsdhoapvi",
)
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mrz|mai|okt|dez"
_DATE = re.compile(
    rf"\d{{1,2}}[-. ]?({_MONTHS})([-. ]?\d{{2,4}})?|({_MONTHS})[-. ]?\d{{2}}"
    r"|\d{4}-\d\d-\d\d([ T][\d:]+)?|\d{1,2}[./]\d{1,2}[./](\d{4}|\d{2})?",
    re.IGNORECASE,
)


# Footnote signs, and quotation marks around a name
_MARKS = " *\N{DAGGER}\N{DOUBLE DAGGER}\N{SECTION SIGN}\N{PILCROW SIGN}#\"'\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb"


def _normalised(label: str) -> str:
    """Remove differences that a reader hardly sees: case, encoding of accents, hyphens, blanks, look-alike letters."""
    text = unicodedata.normalize("NFKC", label).casefold().strip(_MARKS)
    return "".join(
        c for c in text if unicodedata.category(c) not in ("Pd", "Zs", "Pc", "Cf") and c != "\N{MINUS SIGN}"
    ).translate(_LOOK)


def _look_alikes(labels: set[str], what: str) -> list[str]:
    groups: dict[str, list[str]] = {}
    for label in sorted(labels):
        groups.setdefault(_normalised(label), []).append(label)
    notes = []
    for group in groups.values():
        if len(group) < 2:
            continue
        case = len({label.casefold() for label in group}) == 1
        differ = "upper and lower case" if case else "hyphens, blanks, case, marks or look-alike letters"
        bare = [label for label in group if label == label.strip(_MARKS)] or group
        kept = ([label for label in bare if label.isascii()] or bare)[-1]
        hint = (
            "; if they are one, add " + " ".join(f"--label '{other}={kept}'" for other in group if other != kept)
            if what == "treatments"
            else ""
        )
        notes.append(
            f"{what} {' and '.join(map(ascii, group))} differ in {differ} only and count as {len(group)}{hint}"
        )
    return notes


def _label_notes(
    contrasts: pd.DataFrame, options: Options, layout: Layout, columns: list[str], measure: str
) -> list[str]:
    """List suspicious names and columns."""
    dates = sorted({study for study in contrasts["study"] if _DATE.fullmatch(study)})
    notes = (
        [
            f"study {', '.join(map(repr, dates))} looks like a date that a spreadsheet made of a name, such as 'Mar"
            " 02'; check it"
        ]
        if dates
        else []
    )
    times = [column for column in columns if plain(column) in PERSON_TIME and column not in layout.used()]
    if measure != "IRR" and (
        times
        or (
            layout.shape in ("long", "wide")
            and any(
                "time" in part and plain(part["time"]) in PERSON_TIME
                for part in (layout.columns, *layout.arms.values())
            )
        )
    ):
        notes.append(
            f"the file holds person-time, which {measure} ignores; if follow-up differs, use an outcome of measure IRR"
        )
    if (
        options.kind == "contrasts"
        and measure in LOG_MEASURES
        and "ratio" not in layout.columns
        and len(contrasts) > 2
        and (contrasts["te"] > 0).all()
    ):
        notes.append(
            f"every te is above 0; if these are ratios and not logarithms, use --map 'ratio={layout.columns['te']}'"
        )
    return notes


def _several_notes(contrasts: pd.DataFrame, cells: pd.DataFrame, layout: Layout) -> list[str]:
    """List the columns that distinguish several estimates of one comparison, such as a time point or a subgroup."""
    pairs = [
        (study, *sorted(pair))
        for study, *pair in contrasts[["study", "treat1", "treat2"]].itertuples(index=False, name=None)
    ]
    rows: dict[tuple[str, ...], list[str]] = {}
    for key, row in zip(pairs, contrasts["rows"], strict=True):
        rows.setdefault(key, []).append(row)
    of_rows = {str(row): row for row in cells.index}
    several = [[of_rows[row] for row in found if row in of_rows] for found in rows.values() if len(found) > 1]
    notes = []
    for column in cells.columns:
        if column in layout.used():
            continue
        values = [list(dict.fromkeys(cells.loc[found, column])) for found in several]
        apart = [found for found, own in zip(several, values, strict=True) if len(own) == len(found) > 1]
        if apart:
            first = cells.at[apart[0][0], column]
            notes.append(
                f"several estimates of one comparison differ in column {column}, which is not read (rows"
                f" {', '.join(map(str, apart[0]))}): --where {f'{column}={first}'!r} would choose one"
            )
    return notes[:5]


def _beside_print(contrasts: pd.DataFrame, treatments: set[str], outcome: str, data: Dataset) -> list[str]:
    """List treatments and comparisons found only in the data or only in print, whose numbers cannot be checked."""
    if "nma_published" not in data or outcome != data.table("outcomes")["outcome"].iloc[0]:
        return []
    missing = missing_from_data(
        main_part(contrasts, load_outcome(data, outcome).reference)[0], data.table("nma_published")
    )
    notes = []
    unknown = sorted(treatments - missing.known)
    if unknown:
        notes.append(
            f"{', '.join(unknown)}: not among the treatments of nma_published.csv ({', '.join(sorted(missing.known))});"
            f" if these are other names for them, add --label '{unknown[0]}=NAME'"
        )
    if missing.treatments:
        notes.append(
            f"no estimate of {', '.join(missing.treatments)}: their printed numbers, and ranks, cannot be checked"
        )
    if missing.comparisons:
        notes.append(
            f"no estimate of {'; '.join(f'{a} against {b}' for a, b in missing.comparisons)}: printed numbers of the"
            " whole network cannot be checked"
        )
    return notes


def printed_losses(contrasts: pd.DataFrame, outcome: str, data: Dataset) -> str:
    """List what pages would lose if these contrasts replaced the printed network; empty if they cover all of it.

    Parameters
    ----------
    contrasts : DataFrame [study, treat1, treat2, te, se]
        All contrasts that the outcome would then have.
    outcome : str
    data : Dataset
    """
    if "nma_published" not in data or outcome != data.table("outcomes")["outcome"].iloc[0]:
        return ""
    printed = data.table("nma_published")
    inside = main_part(contrasts, load_outcome(data, outcome).reference)[0]
    missing = missing_from_data(inside, printed)
    found = Counter(frozenset(pair) for pair in zip(inside["treat1"], inside["treat2"], strict=True))
    fewer = [
        (edge.treat1, edge.treat2, found[frozenset((edge.treat1, edge.treat2))], edge.estimates)
        for edge in published_edges(printed).itertuples()
        if found[frozenset((edge.treat1, edge.treat2))] < edge.estimates
    ]
    if not (missing.treatments or fewer):
        return ""
    parts = [f"treatments: {', '.join(missing.treatments)}"] if missing.treatments else []
    parts.append("estimates: " + "; ".join(f"{a} against {b}, {count} of {most}" for a, b, count, most in fewer))
    values = (
        printed[printed["quantity"].isin(["te", "lower", "upper"])]
        .set_index(["treat1", "treat2", "quantity"])["value"]
        .unstack()
    )
    lost = {frozenset(edge[:2]) for edge in fewer}
    conclusions = [
        f"{a} against {b} {row.te:g} ({row.lower:g} to {row.upper:g})"
        for (a, b), row in values.iterrows()
        if frozenset((a, b)) in lost
    ]
    if conclusions:
        parts.append("conclusions: " + "; ".join(conclusions))
    return "; ".join([*parts, "P-scores and ranks, and the heterogeneity of the whole"])


def _without_class(treatments: set[str], data: Dataset) -> list[str]:
    if "treatment_classes" not in data:
        return []
    new = sorted(treatments - set(data.table("treatment_classes")["treatment_class"]))
    if not new:
        return []
    return [
        f"{', '.join(new)}: no row in treatment_classes.csv, so figures choose a colour and no page describes the"
        " class; to choose your own, add a row (treatment_class, a colour written #rrggbb, network_note if any) and run"
        " psps-paper tables --record"
    ]
