"""Published predictive distributions of tau squared, by outcome and comparison, as priors.

Turner 2012: Turner RM, Davey J, Clarke MJ, Thompson SG, Higgins JPT. Int J Epidemiol 2012;41:818-827
(nine settings, log odds ratios). Turner 2015: Turner RM, Jackson D, Wei Y, Thompson SG, Higgins JPT.
Stat Med 2015;34:984-998, Table IV (80 settings, log odds ratios). Rhodes 2015: Rhodes KM, Turner RM,
Higgins JPT. J Clin Epidemiol 2015;68:52-60, Table 3 and appendix Tables A.3.1, A.3.2 (standardised
mean differences). A number is given here only if it is the same in two public transcriptions of the table
(for Turner 2015 and Rhodes 2015 those of the R packages bayesmeta and rnmamod, for Turner 2012 that of
the R package gemtc and an analysis that cites the paper) and fits the authors' model, where the
location is a sum of a term of the outcome and one of the comparison. Other cells are None, and requesting
one raises an error that gives the reason.
"""

from __future__ import annotations

from psps_paper.bayes.priors import LogNormal, LogT, log_normal, log_t
from psps_paper.effects.checks import choice

_Table = dict[str, tuple[tuple[float | None, ...], tuple[float | None, ...]]]

PHARMA, OTHER, CONTROL = "pharmacological", "non-pharmacological", "placebo / control"

# Columns: mean and sd of log tau2 in each row are for these comparisons.
TURNER_COMPARISONS = ((PHARMA, CONTROL), (PHARMA, PHARMA), (OTHER, CONTROL), (OTHER, PHARMA), (OTHER, OTHER))
TURNER_2015: _Table = {
    "all-cause mortality": ((-3.95, -4.18, -4.17, -2.92, -3.50), (1.34, 1.41, 1.55, 1.02, 1.26)),
    "obstetric outcomes": ((-3.52, -3.75, -3.74, -2.49, -3.08), (1.74, 1.79, 1.91, 1.50, 1.68)),
    "cause-specific mortality / major morbidity event / composite (mortality or morbidity)": (
        (-3.71, -3.95, -3.93, -2.68, -3.27),
        (1.74, 1.79, 1.91, 1.51, 1.68),
    ),
    "resource use / hospital stay / process": ((-2.34, -2.58, -2.56, -1.31, -1.90), (1.74, 1.79, 1.91, 1.50, 1.68)),
    "surgical / device related success / failure": (
        (-2.14, -2.37, -2.36, -1.11, -1.69),
        (1.74, 1.79, 1.91, 1.50, 1.68),
    ),
    "withdrawals / drop-outs": ((-2.99, -3.23, -3.21, -1.96, -2.55), (1.74, 1.79, 1.91, 1.51, 1.68)),
    "internal / structure-related outcomes": ((-2.71, -2.94, -2.93, -1.67, -2.26), (1.74, 1.79, 1.92, 1.51, 1.68)),
    "general physical health indicators": ((-2.29, -2.53, -2.51, -1.26, -1.85), (1.53, 1.58, 1.72, 1.25, 1.46)),
    "adverse events": ((-1.87, -2.10, -2.10, -0.84, -1.43), (1.52, 1.58, 1.71, 1.24, 1.45)),
    "infection / onset of new disease": ((-2.49, -2.73, -2.71, -1.46, -2.05), (1.52, 1.58, 1.71, 1.24, 1.45)),
    "signs / symptoms reflecting continuation / end of condition": (
        (-2.06, -2.29, -2.28, -1.03, -1.61),
        (1.51, 1.58, 1.71, 1.24, 1.45),
    ),
    "pain": ((-1.83, -2.06, -2.05, -0.80, -1.38), (1.52, 1.58, 1.71, 1.25, 1.45)),
    "quality of life / functioning (dichotomized)": (
        (-2.54, -2.78, -2.77, -1.51, -2.10),
        (1.54, 1.60, 1.73, 1.27, 1.47),
    ),
    "mental health indicators": ((-2.12, -2.35, -2.34, -1.09, -1.67), (1.53, 1.60, 1.72, 1.27, 1.47)),
    "biological markers (dichotomized)": ((-1.77, -2.00, -1.99, -0.74, -1.33), (1.52, 1.58, 1.71, 1.24, 1.45)),
    "subjective outcomes (various)": ((-2.70, -2.93, -2.92, -1.67, -2.26), (1.52, 1.58, 1.71, 1.25, 1.45)),
}
# Columns: pharmacological against control, pharmacological against pharmacological, any other.
TURNER_2012: _Table = {
    "all-cause mortality": ((None, None, -3.93), (None, None, 1.51)),
    "semi-objective": ((None, None, None), (None, None, None)),
    "subjective": ((-2.13, -2.34, None), (1.58, 1.62, None)),
}
TURNER_ANY = (-2.56, 1.74)

_OBSTETRIC = "obstetric outcome"
_RESOURCE = "resource use and hospital stay / process"
_STRUCTURE = "internal and external structure-related outcome"
GENERAL_HEALTH = "general physical health and adverse event and pain and quality of life / functioning"
_SIGNS = (
    "signs / symptoms reflecting continuation / end of condition and infection / onset of new acute / chronic disease"
)
_MENTAL, _MARKER, _SUBJECTIVE = "mental health outcome", "biological marker", "various subjectively measured outcomes"
RHODES_2015: dict[str, _Table] = {
    "other": {
        _OBSTETRIC: ((-4.13, -4.40, -3.99), (2.34, 2.31, 2.11)),
        _RESOURCE: ((-2.55, -2.83, -2.41), (2.73, 2.70, 2.57)),
        _STRUCTURE: ((-2.43, -2.70, -2.29), (2.50, 2.46, 2.32)),
        GENERAL_HEALTH: ((-3.16, -3.44, -3.02), (2.50, 2.44, 2.27)),
        _SIGNS: ((-3.00, -3.27, -2.86), (2.50, 2.47, 2.33)),
        _MENTAL: ((-2.99, -3.27, None), (2.16, 2.14, None)),
        _MARKER: ((-3.41, -3.68, -3.27), (2.83, 2.78, 2.66)),
        _SUBJECTIVE: ((-2.76, -3.03, -2.62), (2.58, 2.59, 2.41)),
    },
    "respiratory": {
        _OBSTETRIC: ((-6.03, -6.31, -5.89), (2.36, 2.31, 2.21)),
        _RESOURCE: ((-4.46, -4.73, -4.32), (2.74, 2.70, 2.57)),
        _STRUCTURE: ((-4.33, -4.61, -4.19), (2.51, 2.46, 2.33)),
        GENERAL_HEALTH: ((-5.07, -5.34, -4.93), (2.51, 2.45, 2.28)),
        _SIGNS: ((-4.90, -5.18, -4.76), (2.50, 2.47, 2.33)),
        _MENTAL: ((-4.90, -5.17, -4.76), (2.17, 2.14, 1.94)),
        _MARKER: ((-5.31, -5.59, -5.17), (2.83, 2.78, 2.66)),
        _SUBJECTIVE: ((-4.66, -4.94, -4.52), (2.59, 2.59, 2.41)),
    },
    "cancer": {
        _OBSTETRIC: ((-1.57, -1.85, -1.43), (2.45, 2.41, 2.24)),
        _RESOURCE: ((None, -0.27, 0.15), (None, 2.79, 2.68)),
        _STRUCTURE: ((None, -0.14, 0.27), (None, 2.56, 2.45)),
        GENERAL_HEALTH: ((-0.60, -0.88, -0.46), (2.61, 2.55, 2.40)),
        _SIGNS: ((-0.44, -0.71, -0.30), (2.60, 2.57, 2.46)),
        _MENTAL: ((-0.43, -0.71, -0.29), (2.28, 2.25, 2.08)),
        _MARKER: ((-0.85, -1.13, -0.71), (2.93, 2.87, 2.78)),
        _SUBJECTIVE: ((-0.20, -0.48, -0.06), (2.68, 2.68, 2.53)),
    },
}
RHODES_ANY = (-3.44, 2.59)
# (area, outcome, column): the reason why no number is given.
DOUBTFUL = {
    ("other", _MENTAL, 2): "it is transcribed as -3.85, but the rest of the table implies about -2.85",
    ("cancer", _RESOURCE, 0): "it is transcribed as 0.01 and as -0.01",
    ("cancer", _STRUCTURE, 0): "it is transcribed as -0.13, but the rest of the table implies about 0.13",
}


def turner_prior(outcome: str | None = None, comparison: str | None = None, *, year: int = 2015) -> LogNormal:
    """Make Turner's log-normal prior of tau squared for log odds ratios.

    Parameters
    ----------
    outcome : str, optional
        A key of ``TURNER_2015`` or, for 2012, of ``TURNER_2012``. Without outcome and comparison: any setting.
    comparison : str, optional
        Two of "pharmacological", "non-pharmacological" and "placebo / control" (or "placebo", "control"),
        joined by " vs ".
    year : {2012, 2015}
        Year of the paper.

    Raises
    ------
    ValueError
        An unknown name, an outcome without a comparison or the reverse, or a cell whose number could not be checked.

    Source: Turner 2012, Int J Epidemiol 41:818; Turner 2015, Stat Med 34:984, Table IV.

    Examples
    --------
    >>> turner_prior("all-cause mortality", "pharmacological vs placebo")
    LogNormal(mean=-3.95, sd=1.34)
    """
    if year not in (2012, 2015):
        raise ValueError(f"year={year!r}: expected 2012 or 2015")
    if outcome is None and comparison is None:
        return log_normal(*TURNER_ANY)
    pair = _pair(comparison)
    table = TURNER_2015 if year == 2015 else TURNER_2012
    column = TURNER_COMPARISONS.index(pair) if year == 2015 else _column_of_three(pair)
    mean, sd = table[_outcome(outcome, table)]
    at, spread = mean[column], sd[column]
    if at is None or spread is None:
        raise ValueError(
            f"outcome={outcome!r}, comparison={comparison!r}, year=2012: the number was found in one transcription "
            "only; use year=2015, or pass log_normal() with the numbers of the paper"
        )
    return log_normal(at, spread)


def rhodes_prior(outcome: str | None = None, comparison: str | None = None, area: str = "other") -> LogT:
    """Make Rhodes' log-t prior of tau squared for standardised mean differences.

    Parameters
    ----------
    outcome : str, optional
        A key of ``RHODES_2015["other"]``. Without outcome and comparison: any setting.
    comparison : str, optional
        As in :func:`turner_prior`.
    area : {"other", "respiratory", "cancer"}
        Medical area.

    Raises
    ------
    ValueError
        An unknown name, an outcome without a comparison or the reverse, or a cell whose number is in doubt.

    Source: Rhodes 2015, J Clin Epidemiol 68:52, Tables 3, A.3.1 and A.3.2.

    Examples
    --------
    >>> rhodes_prior()
    LogT(location=-3.44, scale=2.59, df=5.0)
    """
    choice(area, "area", tuple(RHODES_2015))
    if outcome is None and comparison is None:
        return log_t(*RHODES_ANY)
    column = _column_of_three(_pair(comparison))
    name = _outcome(outcome, RHODES_2015[area])
    locations, scales = RHODES_2015[area][name]
    location, scale = locations[column], scales[column]
    if location is None or scale is None:
        raise ValueError(
            f"outcome={outcome!r}, comparison={comparison!r}, area={area!r}: the published location is in doubt "
            f"({DOUBTFUL[area, name, column]}); pass log_t() with the number of your choice"
        )
    return log_t(location, scale)


def _outcome(outcome: str | None, table: _Table) -> str:
    name = " ".join(str(outcome).lower().split())
    choice(name, "outcome", tuple(table))
    return name


def _pair(comparison: str | None) -> tuple[str, str]:
    """Split a comparison into its two sides, as in the tables: the one further from control comes first."""
    sides = str(comparison).lower().replace(" vs. ", " vs ").split(" vs ")
    names = [{"placebo": CONTROL, "control": CONTROL}.get(side.strip(), side.strip()) for side in sides]
    pair = tuple(sorted(names, key=(OTHER, PHARMA, CONTROL).index)) if set(names) <= {PHARMA, OTHER, CONTROL} else ()
    if pair not in TURNER_COMPARISONS:
        known = ", ".join(f"'{first} vs {second}'" for first, second in TURNER_COMPARISONS)
        raise ValueError(f"comparison={comparison!r}: expected one of {known}")
    return pair


def _column_of_three(pair: tuple[str, str]) -> int:
    return 2 if OTHER in pair else int(pair == (PHARMA, PHARMA))
