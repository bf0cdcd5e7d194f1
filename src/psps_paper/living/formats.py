"""The column conventions of other software, and how to recognise them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from psps_paper.living.roles import arms_by_role
from psps_paper.tables.errors import TableError

Kind = Literal["contrasts", "arms"]
Shape = Literal["contrasts", "relative", "long", "wide"]

# The kind of value each column holds; see cells.EXPECTED.
COLUMN_KINDS = {
    "study": "label",
    "treat1": "label",
    "treat2": "label",
    "treatment": "label",
    "te": "number",
    "ratio": "positive",
    "se": "positive",
    "lower": "number",
    "upper": "number",
    "p": "p-value",
    "variance": "positive",
    "se_baseline": "positive",
    "n": "sample size",
    "mean": "number",
    "sd": "positive",
    "events": "count",
    "time": "positive",
    "sd_baseline": "positive",
    "median": "number",
    "q1": "number",
    "q3": "number",
    "minimum": "number",
    "maximum": "number",
    "year": "label",
}
CONTRAST_COLUMNS = ("study", "treat1", "treat2", "te", "se")
# Numbers that an arm may report; the first name of each is that of this package.
ARM_NUMBERS = ("n", "mean", "sd", "se", "events", "time", "sd_baseline", "median", "q1", "q3", "minimum", "maximum")
OPTIONAL_NUMBERS = {
    "se": ("se", "sem", "stderr", "stderror", "standarderror", "semean"),
    "time": ("time", "persontime", "personyears", "patientyears", "py", "exposure", "e"),
    "sd_baseline": ("sdbaseline", "baselinesd"),
    "median": ("median",),
    "q1": ("q1", "p25", "lowerquartile", "firstquartile", "1stquartile", "25thpercentile", "lq"),
    "q3": ("q3", "p75", "upperquartile", "thirdquartile", "3rdquartile", "75thpercentile", "uq"),
    "minimum": ("min", "minimum"),
    "maximum": ("max", "maximum"),
}
PERSON_TIME = (
    "persontime",
    "personyears",
    "patientyears",
    "py",
    "exposure",
    "e",
)  # "time" may be the moment of measurement
_LIMITS = {
    end: (
        end,
        f"{end}limit",
        f"ci{end}",
        f"{end}ci",
        f"{end}bound",
        f"conf{other}",
        f"95%ci{end}",
        f"{end}95%ci",
        f"95ci{end}",
        f"{end}95",
        f"ci95{end}",
        *short,
    )
    for end, other, short in (
        ("lower", "low", ("ll", "lcl", "lci", "cilow", "cilb", "low")),
        ("upper", "high", ("ul", "ucl", "uci", "cihigh", "ciub", "high")),
    )
}
# Column names that indicate ratios, or logarithms of ratios
RATIOS = {
    "OR": ("or", "oddsratio", "aor", "adjustedor", "adjustedoddsratio"),
    "RR": ("rr", "riskratio", "relativerisk", "adjustedrr", "adjustedriskratio"),
    "HR": ("hr", "hazardratio", "ahr", "adjustedhr", "adjustedhazardratio"),
    "IRR": ("irr", "rateratio", "incidencerateratio"),
    "ROM": ("rom", "ratioofmeans"),
}
LOGS = {measure: tuple(f"{log}{name}" for log in ("log", "ln") for name in names) for measure, names in RATIOS.items()}
_LOG_SE = {
    measure: tuple(
        form
        for name in names
        for form in (f"se{name}", f"{name}se", f"selog{name[3:] if name.startswith('log') else name[2:]}")
    )
    for measure, names in LOGS.items()
}
# Column names that indicate a difference; in the convention of common names they are read as te
DIFFERENCES = {
    "MD": ("md", "wmd", "meandifference", "meandiff", "differenceinmeans", "diffinmeans"),
    "SMD": (
        "smd",
        "standardisedmeandifference",
        "standardizedmeandifference",
        "hedgesg",
        "hedgessg",
        "cohensd",
        "cohenssd",
        "stddiffinmeans",
        "stdmeandifference",
    ),
    "RD": ("rd", "riskdifference"),
}
_EFFECTS = {
    "ratio": tuple(name for names in RATIOS.values() for name in names),
    "variance": ("vi", "var", "variance"),
    "lower": _LIMITS["lower"],
    "upper": _LIMITS["upper"],
    "p": ("p", "pvalue", "pval"),
    "se_baseline": ("sebaseline", "baselinese", "serefarm"),
}


@dataclass(frozen=True)
class Format:
    """A convention for column names.

    Attributes
    ----------
    name : str
    shape : {"contrasts", "relative", "long", "wide"}
        Rows are contrasts; effects against a baseline arm that has its own row; arms; or studies (or pairs of arms)
        with numbered columns.
    names : mapping of str to tuple of str
        For each column of this package its names in the convention, ignoring case and punctuation; for "wide" without
        the number of the arm.
    signs : tuple of str
        Columns that distinguish this convention from others with the same required columns.
    """

    name: str
    shape: Shape
    names: Mapping[str, tuple[str, ...]]
    signs: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        return "contrasts" if self.shape in ("contrasts", "relative") else "arms"


def _contrast_format(
    name: str, study: tuple[str, ...], treat: tuple[str, ...], te: tuple[str, ...], se: tuple[str, ...]
) -> Format:
    logs = tuple(log for names in LOGS.values() for log in names)
    log_se = tuple(form for names in _LOG_SE.values() for form in names)
    return Format(
        name,
        "contrasts",
        {
            "study": study,
            "treat1": tuple(f"{t}1" for t in treat),
            "treat2": tuple(f"{t}2" for t in treat),
            "te": (*te, *logs),
            "se": (*se, *log_se),
            **_EFFECTS,
        },
    )


def _relative(name: str, study: tuple[str, ...], treatment: tuple[str, ...], te: str, se: str) -> Format:
    return Format(name, "relative", {"study": study, "treatment": treatment, "te": (te,), "se": (se,)})


_DIFFERENCE_SE = (
    "seeffectsize",
    "effectsizestandarderror",
    "effectsizese",
    "sees",
    "metase",
    "sesmd",
    "smdse",
    "semd",
    "mdse",
)


def _common_contrasts() -> Format:
    """Build the convention of common names, which tables of any origin may use."""
    form = _contrast_format(
        "common names",
        _STUDIES,
        _TREATMENTS,
        (
            *("te", "estimate", "effect", "yi", "es", "effectsize", "effectestimate", "metaes"),
            *(name for names in DIFFERENCES.values() for name in names),
        ),
        ("se", "sete", "sei", *OPTIONAL_NUMBERS["se"][2:], *_DIFFERENCE_SE),
    )
    names = dict(form.names)
    names["treat1"] += ("intervention", "treatment", "experimental", "experimentalintervention")
    names["treat2"] += ("comparator", "control", "controlintervention", "comparatorintervention")
    return Format(form.name, form.shape, names)


# Names of studies, treatments and numbers of arms that any program may use
_STUDIES = ("study", "studlab", "studyc", "studyid", "studyname", "trial", "trialid", "id", "studyn")
_STUDIES += ("studyorsubgroup", "studylabel", "metastudylabel", "label", "labels", "slab", "trialname", "shorttitle")
_STUDIES += ("studyno", "studynumber", "sid")
_TREATMENTS = ("treatment", "treat", "trt", "trtc", "intervention", "t", "trtn")
_TREATMENTS += (
    "treatmentname",
    "interventionname",
    "armname",
    "treatmentarm",
    "treatmentgroup",
    "arm",
    "drug",
    "therapy",
    "group",
)
_SIZES = ("patients", "participants", "subjects")
_COMMON = {
    "mean": ("mean", "y"),
    "events": ("events", "event", "responders", "r", "cases", "nevents", "noofevents", "numberofevents", "deaths"),
    "n": (
        *("n", "samplesize", "total", "ntotal", "totaln", "nanalysed", "nanalyzed", "nrandomised", "nrandomized"),
        *_SIZES,
        *(f"{of}{name}" for of in ("n", "noof", "numberof", "nof") for name in _SIZES),
    ),
    "sd": ("sd", "stddev", "standarddeviation", "std", "stdev", "stddeviation"),
}


def _arms(
    name: str,
    shape: Shape,
    study: tuple[str, ...],
    treatment: tuple[str, ...],
    mean: tuple[str, ...],
    events: tuple[str, ...],
    signs: tuple[str, ...] = (),
    n: tuple[str, ...] = ("n",),
    sd: tuple[str, ...] = ("sd",),
) -> Format:
    numbers = {"n": n, "mean": mean, "sd": sd, "events": events, **OPTIONAL_NUMBERS}
    return Format(name, shape, {"study": study, "treatment": treatment, **numbers}, signs)


REVMAN_5 = "RevMan 5 CSV"
REVMAN_5_EFFECTS = "RevMan 5 CSV, effects"
REVMAN_WEB = "RevMan Web CSV"
REVMAN_WEB_EFFECTS = "RevMan Web CSV, inverse variance"
ROLES = "arms distinguished by words"
METAFOR = "metafor, columns of escalc"
_MULTINMA = (("study", "studyc", "studyn"), ("trt", "trtc", "trtn"))  # labels are preferred to numbers
# The first convention that fits is used, those with distinguishing columns first.
FORMATS = (
    _contrast_format("psps-paper contrasts", ("study",), ("treat",), ("te",), ("se",)),
    _contrast_format("netmeta", ("studlab",), ("treat",), ("te",), ("sete",)),
    _contrast_format("netmeta", ("study",), ("treat",), ("te",), ("sete",)),
    _contrast_format("CINeMA, inverse variance", ("study", "id"), ("t",), ("effect",), ("se",)),
    _relative("gemtc, relative effects", ("study",), ("treatment",), "diff", "stderr"),
    _relative("multinma, relative effects", _MULTINMA[0], _MULTINMA[1], "diff", "sediff"),
    _relative("multinma, relative effects", _MULTINMA[0], _MULTINMA[1], "y", "se"),
    _arms(
        "netmeta pairwise, long arms",
        "long",
        ("studlab", "study"),
        ("treat", "treatment"),
        ("mean", "y"),
        ("event", "events"),
    ),
    _arms("CINeMA, long", "long", ("study", "id"), ("t",), ("y",), ("r",), signs=("rob", "indirectness")),
    _arms("CINeMA, long", "long", ("study", "id"), ("t",), ("y",), ()),
    _arms("MetaInsight, long", "long", ("study", "studyid"), ("t",), ("mean",), ("r",)),
    _arms(
        "gemtc, arms", "long", ("study",), ("treatment",), ("mean",), ("responders",), n=("samplesize",), sd=("stddev",)
    ),
    _arms("multinma, arms", "long", _MULTINMA[0], _MULTINMA[1], ("y",), ("r",)),
    _arms(
        "netmeta pairwise, wide arms",
        "wide",
        ("studlab", "study"),
        ("treat", "treatment"),
        ("mean", "y"),
        ("event", "events"),
    ),
    _arms("CINeMA, pairs of arms", "wide", ("study", "id"), ("t",), ("y",), ("r",), signs=("rob", "indirectness")),
    _arms("MetaInsight, wide", "wide", ("study", "studyid"), ("t",), ("mean",), ("r",)),
    Format(
        REVMAN_WEB_EFFECTS,
        "contrasts",
        {
            "study": ("study",),
            "treat1": ("experimentalintervention",),
            "treat2": ("comparatorintervention", "controlintervention"),
            "te": ("givmean",),
            "se": ("givse",),
        },
    ),
    _common_contrasts(),
    _arms("common names", "long", _STUDIES, _TREATMENTS, **_COMMON),
    _arms("common names", "wide", _STUDIES, _TREATMENTS, **_COMMON),
)
_NO_OUTCOME = "mean, median or events"
# Columns that are not searched for once one of these was found
_INSTEAD = {
    "te": ("ratio",),
    "se": ("lower", "upper", "p", "variance"),
    "sd": ("se", "sd_baseline", "median", "q1", "q3", "minimum", "maximum"),
    "mean": ("events", "time", "median", "q1", "q3", "minimum", "maximum"),
    "events": ("mean", "sd", "se", "sd_baseline", *OPTIONAL_NUMBERS),
}
_REVMAN_5_ARMS = {"n": "total", "mean": "mean", "sd": "sd", "events": "events", "treatment": "grouplabel"}
_REVMAN_WEB_ARMS = {
    "n": ("n", "total"),
    "mean": ("mean",),
    "sd": ("sd",),
    "events": ("cases", "events"),
    "treatment": ("intervention",),
}
_METAFOR_ARMS = (
    {"events": "ai", "n": "n1i", "mean": "m1i", "sd": "sd1i"},
    {"events": "ci", "n": "n2i", "mean": "m2i", "sd": "sd2i"},
)
_METAFOR_RATES = ({"events": "x1i", "time": "t1i"}, {"events": "x2i", "time": "t2i"})


@dataclass(frozen=True)
class Layout:
    """The position of this package's columns in a file.

    Attributes
    ----------
    format : str
        Name of the convention, or "columns as mapped".
    shape : {"contrasts", "relative", "long", "wide"}
    columns : dict of str to str
        Maps columns of this package to columns of the file.
    arms : dict of int to dict
        For "wide": maps the number of each arm to its columns.
    names : dict of int to str
        For "wide": maps the number of each arm to its treatment, where columns are named by treatments.
    """

    format: str
    shape: Shape
    columns: dict[str, str]
    arms: dict[int, dict[str, str]]
    names: dict[int, str] = field(default_factory=dict)

    def named(self) -> dict[str, str]:
        """Map columns of this package (numbered by arm in a wide file) to columns of the file."""
        return self.columns | {
            f"{name}{number}": column for number, arm in self.arms.items() for name, column in arm.items()
        }

    def used(self) -> list[str]:
        """List the columns of the file that are read."""
        return list(self.named().values())


def plain(name: str) -> str:
    """Remove case and harmless punctuation from a column name: ``T.1`` becomes ``t1``; ``-te`` and ``se²`` are kept."""
    text = name.strip().lower()
    text = re.sub(r"(?<=[^\W\d_])-(?=[^\W\d_])", "", text)  # a hyphen between letters is not a minus
    return re.sub(r"[\s._:,;'\"()\[\]]", "", text)


def _stripped(name: str) -> str:
    """Remove all signs from a column name, as a careless reader would."""
    return re.sub(r"[^0-9a-z]", "", name.lower())


def recognise(
    columns: Sequence[str], kind: Kind, mapping: Mapping[str, str], constants: Mapping[str, str], file: str
) -> Layout:
    """Find the convention of a header.

    Parameters
    ----------
    columns : sequence of str
        The header.
    kind : {"contrasts", "arms"}
    mapping : mapping of str to str
        Maps columns of this package (numbered, as in ``mean2``, for wide arms) to columns of the file; takes precedence
        over any convention.
    constants : mapping of str to str
        Columns of this package that have one value in all rows; they need no column in the file.
    file : str
        Name of the file, for messages.

    Raises
    ------
    TableError
        No convention fits (the message names the closest and what it needs), a column would be read as two things, two
        columns differ in case or punctuation only, a column's name contains a sign that changes its meaning, or an
        option names a column that the convention does not have.
    """
    for target, column in mapping.items():
        if target not in COLUMN_KINDS and not _arm_column(target):
            raise TableError(f"{file}: --map {target}={column}: {target!r} is not one of {', '.join(COLUMN_KINDS)}")
        if column not in columns:
            raise TableError(f"{file}: --map {target}={column}: no column {column!r}; there are {_some_names(columns)}")
    layout, lacks = _find_layout(columns, kind, mapping, constants)
    _check_signs(columns, layout, kind, mapping, file)
    if layout is None:
        raise TableError(f"{file}: {_fits_nothing(columns, kind, mapping, constants, lacks)}")
    _check_options(layout, kind, mapping, constants, file)
    return _unambiguous(layout, columns, mapping, file)


def _find_layout(
    columns: Sequence[str], kind: Kind, mapping: Mapping[str, str], constants: Mapping[str, str]
) -> tuple[Layout | None, list[tuple[Format, list[str]]]]:
    """Return the layout of the first convention that fits, or the columns missing for each."""
    if kind == "arms":
        special = _revman_5(columns) or _revman_web(columns) or _metafor(columns)
        if special:
            return _with_mapping(special, mapping), []
    elif special := _revman_5_effects(columns, constants):
        return _with_mapping(special, mapping), []
    lacks: list[tuple[Format, list[str]]] = []
    for form in sorted((form for form in FORMATS if form.kind == kind), key=lambda form: not form.signs):
        layout, missing = _fit(form, columns, mapping, constants)
        if layout:
            return layout, []
        lacks.append((form, missing))
    if kind == "arms" and (layout := _by_role(columns, mapping)):
        return layout, []
    return None, lacks


def _fits_nothing(
    columns: Sequence[str],
    kind: Kind,
    mapping: Mapping[str, str],
    constants: Mapping[str, str],
    lacks: list[tuple[Format, list[str]]],
) -> str:
    """Write a sentence that names the closest convention, what else it needs, and the option that provides it."""
    sentence = f"the columns ({_some_names(columns)}) fit no known convention for {kind}"
    other: Kind = "arms" if kind == "contrasts" else "contrasts"
    for form, missing in lacks:
        treatments = [_names_of(form, name) for name in ("treat1", "treat2")] if form.shape == "contrasts" else []
        if missing and set(missing) <= set(treatments):
            asked = " ".join(f"--set {name}=NAME" for name in ("treat1", "treat2") if _names_of(form, name) in missing)
            first = asked.removeprefix("--set ").partition("=")[0]
            return (
                f"{sentence}, because no column names the treatments of {form.name}: give them with {asked}, or name"
                f" the columns, as in --map {first}=COLUMN"
            )
    layout, _ = _find_layout(columns, other, mapping, constants)
    if layout and (layout.format != REVMAN_5 or all(map(_has_arm_numbers, layout.arms.values()))):
        return f"{sentence}; they can be read as {other} (--kind {other}): {layout.format}"
    form, missing = min((pair for pair in lacks if not pair[0].signs), key=lambda pair: len(pair[1]))
    sentence += f"; the closest is {form.name}, which also needs {', '.join(missing)}"
    targets = [
        target for target, names in form.names.items() for lack in missing if lack in _names_in_message(target, names)
    ]
    for target in targets:
        # A unit or a time in brackets may be the reason why a column was not recognised
        for column in columns:
            if plain(re.sub(r"[(\[].*[)\]]", "", column)) in form.names[target] and column not in mapping.values():
                return f"{sentence}; if column {column!r} is meant, use --map '{target}={column}'"
    return f"{sentence}; name the columns, as in --map {targets[0] if targets else 'study'}=COLUMN"


def _names_in_message(target: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names by which a message calls a missing column."""
    outcome = (_NO_OUTCOME,) if target in ("mean", "events", "median") else ()
    return (" or ".join(names[:7]), *names[:1], *outcome)


def _check_signs(
    columns: Sequence[str], layout: Layout | None, kind: Kind, mapping: Mapping[str, str], file: str
) -> None:
    """Refuse a needed column whose name contains a sign that may change its meaning, such as a minus or a square."""
    forms = [form for form in FORMATS if form.kind == kind]
    known = {name: target for form in forms for target, names in form.names.items() for name in names}
    found = set(layout.columns) | {name for arm in layout.arms.values() for name in arm} if layout else set()
    found |= {name for one in found & set(_INSTEAD) for name in _INSTEAD[one]}
    for column in columns:
        bare = _stripped(column)
        target = known.get(bare) or known.get(bare.rstrip("0123456789"))
        # Words in brackets, such as a unit or a time, are harmless; signs in the name itself are not
        if target and target not in found and plain(column) != bare and column not in mapping.values():
            raise TableError(
                f"{file}: column {column!r} is not read as {target}, because its name contains signs: it may be the"
                f" opposite, a square, a root, a percentage or an inverse; if it is {target}, use --map"
                f" '{target}={column}'"
            )


def _check_options(
    layout: Layout, kind: Kind, mapping: Mapping[str, str], constants: Mapping[str, str], file: str
) -> None:
    """Refuse options that would be ignored."""
    named = layout.named()
    for target, column in mapping.items():
        arm = _arm_column(target)
        if column not in (named.get(target), named.get(f"{arm[0]}{arm[1]}") if arm else None):
            arms = f", whose arms are {', '.join(map(str, layout.arms))}" if layout.arms else ""
            raise TableError(
                f"{file}: --map {target}={column}: there is no {target} in {kind} of the convention"
                f" {layout.format}{arms}"
            )
    allowed = {
        "contrasts": ("study", "treat1", "treat2"),
        "relative": ("study",),
        "long": ("study", "treatment"),
        "wide": ("study", "treat1", "treat2", "treatment"),
    }[layout.shape]
    for name, value in constants.items():
        if name in ("study", "treat1", "treat2", "treatment") and name not in allowed:
            raise TableError(
                f"{file}: --set {name}={value}: there is no {name} in {kind} of the convention {layout.format};"
                f" expected {' or '.join(allowed)}"
            )


def _unambiguous(layout: Layout, columns: Sequence[str], mapping: Mapping[str, str], file: str) -> Layout:
    read_as: dict[str, str] = {}
    for target, column in layout.named().items():
        if column in read_as:
            raise TableError(
                f"{file}: column {column!r} would be read as {read_as[column]} and as {target}; name another with --map"
                f" {target}=COLUMN"
            )
        read_as[column] = target
        twins = (
            []
            if column in mapping.values()
            else [other for other in columns if other != column and plain(other) == plain(column)]
        )
        if twins:
            raise TableError(
                f"{file}: columns {column!r} and {twins[0]!r} differ in case or punctuation only; choose one, "
                f"for example --map '{target}={column}'"
            )
    return layout


def _fit(
    form: Format, columns: Sequence[str], mapping: Mapping[str, str], constants: Mapping[str, str]
) -> tuple[Layout | None, list[str]]:
    by_name = {}
    for column in columns:
        by_name.setdefault(plain(column), column)
    signs = [sign for sign in form.signs if sign not in by_name]
    if signs:
        return None, signs
    shared = _study(form, by_name, mapping)
    if form.shape == "wide":
        return _fit_wide(form, by_name, mapping, constants, shared)
    found = dict(shared)
    for target, names in form.names.items():
        column = mapping.get(target) or next(
            (by_name[name] for name in names if name in by_name and by_name[name] not in mapping.values()), None
        )
        if column and target not in found:
            found[target] = column
    needed = {
        "contrasts": ("study", "treat1", "treat2"),
        "relative": ("study", "treatment", "te", "se"),
        "long": ("study", "treatment"),
    }[form.shape]
    missing = [_names_of(form, target) for target in needed if target not in found and target not in constants]
    if form.shape == "contrasts":
        missing += _missing_effect(form, found)
        if "te" in found and "ratio" not in mapping:
            found.pop("ratio", None)
    elif form.shape == "long":
        missing += _missing_size(form, found) + _missing_outcome(found)
    if missing:
        return None, missing
    return Layout(_format_name(form, mapping), form.shape, found, {}), []


def _study(form: Format, by_name: Mapping[str, str], mapping: Mapping[str, str]) -> dict[str, str]:
    """Find the columns of the study's label: one column, or author and year."""
    study = mapping.get("study") or next((by_name[name] for name in form.names["study"] if name in by_name), None)
    author = next((by_name[name] for name in ("author", "firstauthor", "authors") if name in by_name), None)
    year = next((by_name[name] for name in ("year", "publicationyear", "yearofpublication") if name in by_name), None)
    numbered = study is not None and plain(study) in ("id", "trialid", "studyn") and "study" not in mapping
    if (study is None or numbered) and author and year:
        return {"study": author, "year": year}  # a column of numbers may just number the rows
    study = study or author
    return ({"study": study} if study else {}) | ({"year": mapping["year"]} if "year" in mapping else {})


def _missing_effect(form: Format, found: Mapping[str, str]) -> list[str]:
    effect = [] if {"te", "ratio"} & set(found) else [form.names["te"][0]]
    spread = {"se", "p", "variance"} & set(found) or {"lower", "upper"} <= set(found)
    return effect + ([] if spread else [form.names["se"][0]])


def _missing_size(form: Format, found: Mapping[str, str]) -> list[str]:
    return [] if "n" in found or {"events", "time"} <= set(found) else [form.names["n"][0]]


def _fit_wide(
    form: Format,
    by_name: Mapping[str, str],
    mapping: Mapping[str, str],
    constants: Mapping[str, str],
    shared: dict[str, str],
):
    arms: dict[int, dict[str, str]] = {}
    for target, names in form.names.items():
        if target == "study":
            continue
        names = tuple(name for name in names if name != "e")  # e1 is not known to be a time
        for name in names:
            for plain_name, column in by_name.items():
                match = re.fullmatch(re.escape(name) + r"([1-9]\d?)", plain_name)
                if match:
                    arms.setdefault(int(match[1]), {}).setdefault(target, column)
    for target, column in mapping.items():
        if _arm_column(target):
            name, number = _arm_column(target)
            arms.setdefault(number, {})[name] = column
    missing = [] if "study" in shared or "study" in constants else [_names_of(form, "study")]
    for number in sorted(set(arms) | {1, 2}):
        arm = arms.get(number, {})
        given = set(arm) | {name[: -len(str(number))] for name in constants if name.endswith(str(number))}
        if "treatment" not in given and "treat" not in given:
            missing.append(f"{_names_of(form, 'treatment')}{number}")
        missing += [f"{lack}{number}" for lack in _missing_size(form, arm) + _missing_outcome(arm)]
    if missing:
        return None, missing
    return Layout(_format_name(form, mapping), "wide", shared, dict(sorted(arms.items()))), []


def _missing_outcome(found: Mapping[str, str]) -> list[str]:
    return [] if {"mean", "events", "median"} & set(found) else [_NO_OUTCOME]


def _names_of(form: Format, target: str) -> str:
    return " or ".join((form.names.get(target) or (target,))[:7])


def _some_names(names: Sequence[str]) -> str:
    """List names for a message: at most thirty, each of at most 40 characters."""
    shown = ", ".join(name if len(name) <= 40 else name[:39] + "\N{HORIZONTAL ELLIPSIS}" for name in names[:30])
    return shown + (f" and {len(names) - 30} more" if len(names) > 30 else "")


def _arm_column(target: str) -> tuple[str, int] | None:
    """Split a numbered column into column and arm, such as ("mean", 2) for ``mean2`` or ("q1", 3) for ``q13``."""
    for name in ("treat", "treatment", *ARM_NUMBERS):
        if match := re.fullmatch(name + "([1-9])", target):
            return ("treatment" if name == "treat" else name), int(match[1])
    return None


def _format_name(form: Format, mapping: Mapping[str, str]) -> str:
    return f"{form.name}, with mapped columns" if mapping else form.name


def _revman_5(columns: Sequence[str]) -> Layout | None:
    by_name = {plain(column): column for column in columns}
    if not {"comparisonnumber", "outcomenumber", "subgroupnumber", "name"} <= set(by_name):
        return None
    arms = {
        number: {
            target: by_name[f"{name}{number}"]
            for target, name in _REVMAN_5_ARMS.items()
            if f"{name}{number}" in by_name
        }
        for number in (1, 2)
    }
    return Layout(REVMAN_5, "wide", {"study": by_name["name"]}, arms)


def _revman_5_effects(columns: Sequence[str], constants: Mapping[str, str]) -> Layout | None:
    by_name = {plain(column): column for column in columns}
    if not {"comparisonnumber", "outcomenumber", "subgroupnumber", "name", "effectestimate", "se"} <= set(by_name):
        return None
    labels = {f"treat{k}": by_name[f"grouplabel{k}"] for k in (1, 2) if f"grouplabel{k}" in by_name}
    if not {"treat1", "treat2"} <= labels.keys() | constants.keys():
        return None
    effect = {"study": by_name["name"], "te": by_name["effectestimate"], "se": by_name["se"]}
    return Layout(REVMAN_5_EFFECTS, "contrasts", effect | labels, {})


def _revman_web(columns: Sequence[str]) -> Layout | None:
    by_name = {plain(column): column for column in columns}
    if "study" not in by_name or not any(name.startswith("experimental") for name in by_name):
        return None
    arms = {}
    for number, prefixes in ((1, ("experimental",)), (2, ("control", "comparator"))):
        arms[number] = {}
        for target, names in _REVMAN_WEB_ARMS.items():
            column = next(
                (by_name[prefix + name] for prefix in prefixes for name in names if prefix + name in by_name), None
            )
            if column:
                arms[number][target] = column
    if not all("n" in arm and not _missing_outcome(arm) for arm in arms.values()):
        return None
    return Layout(REVMAN_WEB, "wide", {"study": by_name["study"]}, arms)


def _metafor(columns: Sequence[str]) -> Layout | None:
    """Recognise metafor's columns: one row per comparison of two arms, which the file does not name."""
    by_name = {plain(column): column for column in columns}
    study = next((by_name[name] for name in (*_STUDIES, "author") if name in by_name), None)
    year = {"year": by_name["year"]} if study and plain(study) == "author" and "year" in by_name else {}
    for form in (_METAFOR_ARMS, _METAFOR_RATES):
        arms = {
            number: {target: by_name[name] for target, name in names.items() if name in by_name}
            for number, names in enumerate(form, start=1)
        }
        if study and all(_has_arm_numbers(arm) for arm in arms.values()):
            return Layout(METAFOR, "wide", {"study": study, **year}, arms)
    return None


def _by_role(columns: Sequence[str], mapping: Mapping[str, str]) -> Layout | None:
    """Find arms that words in the names of columns tell apart, one row per study."""
    by_name: dict[str, str] = {}
    for column in columns:
        by_name.setdefault(plain(column), column)
    shared = _study(FORMATS[-1], by_name, mapping)
    targets = {name: names for name, names in FORMATS[-1].names.items() if name not in ("study", "treatment")}
    targets["events"] = (*targets["events"], "d")  # deaths, in Stata
    others = {name: column for name, column in by_name.items() if column not in shared.values()}
    arms, names = arms_by_role(others, targets, _has_arm_numbers)
    return Layout(ROLES, "wide", shared, arms, names) if shared and arms else None


def _has_arm_numbers(arm: Mapping[str, str]) -> bool:
    return not (_missing_size(FORMATS[-1], arm) or _missing_outcome(arm))


def _with_mapping(layout: Layout, mapping: Mapping[str, str]) -> Layout:
    columns, arms = dict(layout.columns), {number: dict(arm) for number, arm in layout.arms.items()}
    for target, column in mapping.items():
        if target in columns:
            columns[target] = column
        elif _arm_column(target):
            name, number = _arm_column(target)
            if number in arms:
                arms[number][name] = column
    return Layout(layout.format, layout.shape, columns, arms)
