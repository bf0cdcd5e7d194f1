"""Effects from incomplete reports: intervals, p-values, test statistics, log-rank results, quantiles."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import scipy

from psps_paper.effects.checks import choice, numbers, one_number, require
from psps_paper.effects.estimates import Effect
from psps_paper.effects.quantiles import mean_sd_from_quantiles
from psps_paper.effects.single_arm import as_effect

Scale = Literal["difference", "ratio"]
QUARTILES, EXTREMES = ("q1", "q3"), ("minimum", "maximum")


def _two_sided_quantile(level: float, df) -> np.ndarray:
    return -_lower_quantile((1 - one_number(level, "level", "level")) / 2, df)


def _lower_quantile(p, df) -> np.ndarray:
    """Return a quantile of the t distribution, or of the normal distribution if df is infinite."""
    (df,) = numbers({"df": "degrees of freedom"}, {"df": df})
    return np.where(np.isinf(df), scipy.special.ndtri(p), scipy.special.stdtrit(np.minimum(df, 1e15), p))


def effect_from_interval(
    lower, upper, *, te=None, scale: Scale = "difference", level: float = 0.95, df=np.inf
) -> Effect:
    """Compute an effect and its standard error from a confidence interval.

    Parameters
    ----------
    lower, upper : float or array
        Limits, upper above lower; above 0 on the ratio scale.
    te : float or array, optional
        The reported estimate, on the same scale as the limits and between them; by default the middle of the
        interval.
    scale : {"difference", "ratio"}
        "ratio": limits and estimate are ratios (odds, risk, rate, hazard) and their logarithms are
        returned.
    level : float
        Of the interval.
    df : float or array
        Degrees of freedom of the t quantile used for the interval; infinite for the normal quantile.

    Returns
    -------
    Effect

    Raises
    ------
    ValueError

    Source: Cochrane Handbook 6.4, 6.3.1.  Checked against: the interval computed from the result.

    Examples
    --------
    >>> te, se = effect_from_interval(0.64, 0.98, te=0.79, scale="ratio")
    >>> round(float(te), 3), round(float(se), 3)
    (-0.236, 0.109)
    """
    choice(scale, "scale", get_args(Scale))
    kind = "positive" if scale == "ratio" else "finite"
    lower, upper = numbers({"lower": kind, "upper": kind}, {"lower": lower, "upper": upper})
    require(upper > lower, upper, "upper", "above lower")
    if te is not None:
        values = {"te": te, "lower": lower, "upper": upper}
        te, lower, upper = numbers(dict.fromkeys(values, kind), values)
        require((lower <= te) & (te <= upper), te, "te", "between lower and upper")
    if scale == "ratio":
        lower, upper, te = np.log(lower), np.log(upper), None if te is None else np.log(te)
    se = (upper - lower) / (2 * _two_sided_quantile(level, df))
    return as_effect((lower + upper) / 2 if te is None else te, se**2)


def effect_from_p(te, p, *, scale: Scale = "difference", df=np.inf) -> Effect:
    """Compute an effect and its standard error from an estimate and its two-sided p-value.

    Parameters
    ----------
    te : float or array
        Must differ from no effect (0 on the difference scale, 1 on the ratio scale), where p is always 1.
    p : float or array
        Two-sided, above 0 and below 1. "p < 0.05" is not a p-value.
    scale : {"difference", "ratio"}
    df : float or array
        Degrees of freedom of the t test behind p; infinite for a z test.

    Raises
    ------
    ValueError

    Source: Cochrane Handbook 6.3.2.  Checked against: the p-value computed from the result.
    """
    choice(scale, "scale", get_args(Scale))
    te, p = numbers({"te": "positive" if scale == "ratio" else "finite", "p": "probability"}, {"te": te, "p": p})
    te = np.log(te) if scale == "ratio" else te
    require(te != 0, te, "te", "different from no effect, where p does not determine the standard error")
    require(p < 1, p, "p", "below 1")
    return effect_from_t(te, -_lower_quantile(p / 2, df))


def effect_from_t(te, t) -> Effect:
    """Compute an effect and its standard error from an estimate and its test statistic te / se.

    Parameters
    ----------
    te, t : float or array
        Neither may be 0; the sign of ``t`` is ignored.

    Source: se = te / t.  Checked against: the statistic computed from the result.
    """
    te, t = numbers({"te": "not zero", "t": "not zero"}, {"te": te, "t": t})
    return as_effect(te, (te / t) ** 2)


def log_hazard_ratio(observed_minus_expected, variance) -> Effect:
    """Compute the log hazard ratio from a log-rank test, group 1 against group 2.

    Parameters
    ----------
    observed_minus_expected : float or array
        Observed minus expected events in group 1.
    variance : float or array
        Its hypergeometric variance V, above 0.

    Returns
    -------
    Effect
        te = (O - E) / V, se = 1 / sqrt(V).

    Source: Peto 1977; Parmar, Torri & Stewart 1998. For a hazard ratio with its interval or p-value, use
    :func:`effect_from_interval` or :func:`effect_from_p` with ``scale="ratio"``.
    Checked against: Parmar 1998, its formulas written out.

    Examples
    --------
    >>> te, se = log_hazard_ratio(-6.0, 25.0)
    >>> float(te), float(se)
    (-0.24, 0.2)
    """
    kinds = {"observed_minus_expected": "finite", "variance": "positive"}
    difference, v = numbers(kinds, {"observed_minus_expected": observed_minus_expected, "variance": variance})
    return as_effect(difference / v, 1 / v)


def log_hazard_ratio_from_p(p, events1, events2, *, sign=1, ratio: float = 1.0) -> Effect:
    """Compute the log hazard ratio from a log-rank p-value and the numbers of events.

    Parameters
    ----------
    p : float or array
        Two-sided, above 0 and below 1.
    events1, events2 : float or array
        Events per group, together above 0.
    sign : 1 or -1
        1 if group 1 has the higher hazard.
    ratio : float
        Number of people randomised to group 1 per person randomised to group 2.

    Source: Parmar, Torri & Stewart 1998, eq. 10 and 11 (V = events r / (1 + r)^2).
    Checked against: log_hazard_ratio().
    """
    kinds = {"p": "probability", "events1": "count", "events2": "count", "sign": "sign", "ratio": "positive"}
    p, events1, events2, sign, r = numbers(kinds, locals())
    require(p < 1, p, "p", "below 1")
    require(events1 + events2 > 0, events1 + events2, "events1 + events2", "above 0")
    v = (events1 + events2) * r / (1 + r) ** 2
    return log_hazard_ratio(-sign * scipy.special.ndtri(p / 2) * np.sqrt(v), v)


def complete_means(arms: pd.DataFrame, *, source: str = "arms") -> pd.DataFrame:
    """Fill in ``mean`` and ``sd`` of arms from the other statistics reported.

    Parameters
    ----------
    arms : DataFrame
        ``study, n`` and any of ``mean, sd, se, lower, upper, median, q1, q3, minimum, maximum``.
    source : str
        File or table named in errors.

    Returns
    -------
    DataFrame
        The input with ``mean`` and ``sd`` where they can be computed; others stay missing. In this order: sd
        from ``se`` (times the square root of n); sd from ``lower, upper`` (95 %, t with n - 1 degrees of
        freedom), and a missing mean as their middle; then both from the quantiles by Wan 2014.

    Raises
    ------
    ValueError

    Source: Cochrane Handbook 6.5.2; Wan 2014.
    """
    columns = ("mean", "sd", "se", "lower", "upper", "median", *QUARTILES, *EXTREMES)
    if not set(arms.columns) & set(columns[2:]) or "n" not in arms:
        return arms
    for name in (*columns, "n"):
        if name in arms and np.iscomplexobj(arms[name]):
            raise ValueError(f"{source}, column {name}: complex numbers given; expected real numbers")
    try:
        empty = np.full(len(arms), np.nan)
        known = {c: np.array(arms.get(c, empty), float) for c in (*columns, "n")}
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{source}: the columns {', '.join(columns)} must be numbers ({error})") from error
    rows = np.array([f"{row} (study {study})" for row, study in zip(arms.index, arms["study"], strict=True)], object)
    for name, values in known.items():
        require(~np.isinf(values), values, name, "a finite number", rows=rows, source=source)
    _fill_from_errors(known, rows, source)
    _fill_from_quantiles(known, rows, source)
    return arms.assign(mean=known["mean"], sd=known["sd"])


def _fill_from_errors(known: dict[str, np.ndarray], rows: np.ndarray, source: str) -> None:
    here = np.isnan(known["sd"]) & ~np.isnan(known["se"] + known["n"])
    kinds = {"n": "sample size", "se": "positive"}
    n, se = numbers(kinds, {c: known[c][here] for c in kinds}, rows=rows[here], source=source)
    known["sd"][here] = se * np.sqrt(n)
    here = np.isnan(known["sd"]) & ~np.isnan(known["lower"] + known["upper"] + known["n"])
    kinds = {"n": "sample size", "lower": "finite", "upper": "finite"}
    n, lower, upper = numbers(kinds, {c: known[c][here] for c in kinds}, rows=rows[here], source=source)
    require(upper > lower, upper, "upper", "above lower", rows=rows[here], source=source)
    known["sd"][here] = (upper - lower) / (2 * scipy.special.stdtrit(n - 1, 0.975)) * np.sqrt(n)
    known["mean"][here] = np.where(np.isnan(known["mean"][here]), (lower + upper) / 2, known["mean"][here])


def _fill_from_quantiles(known: dict[str, np.ndarray], rows: np.ndarray, source: str) -> None:
    """Apply Wan 2014 to rows with a median; a reported mean or SD is kept."""
    missing = np.isnan(known["sd"]) | np.isnan(known["mean"])
    for position in np.flatnonzero(missing & ~np.isnan(known["median"]) & ~np.isnan(known["n"])):
        row = {c: float(x[position]) for c, x in known.items()}
        pairs = [pair for pair in (QUARTILES, EXTREMES) if not np.isnan(row[pair[0]] + row[pair[1]])]
        given: dict[str, Any] = {c: row[c] for pair in pairs for c in pair}
        if not given:
            continue
        try:
            mean, sd = mean_sd_from_quantiles(row["n"], row["median"], **given)
        except ValueError as error:
            raise ValueError(f"{source}, row {rows[position]}: {error}") from error
        require(sd > 0, np.asarray(sd), "quantiles", "of a sample that varies", rows=[rows[position]], source=source)
        known["mean"][position] = mean if np.isnan(row["mean"]) else row["mean"]
        known["sd"][position] = sd if np.isnan(row["sd"]) else row["sd"]
