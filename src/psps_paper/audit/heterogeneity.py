"""Checks of Q, I2, tau2, degrees of freedom and prediction intervals, and of percentages."""

from __future__ import annotations

import numpy as np
from scipy.special import chdtrc, stdtrit

from psps_paper.audit.cells import Interval, interval_of, place
from psps_paper.audit.findings import Finding, Implied, overlap
from psps_paper.audit.model import Cell, Network, bounds
from psps_paper.audit.numbers import Number
from psps_paper.network.model import z_quantile
from psps_paper.recover.i2 import df_from_i2_interval

_NAN = float("nan")


def q_findings(network: Network) -> tuple[list[Finding], list[Implied]]:
    """Check Q against its p and I2, the parts of Q against their sum, tau against tau2, and df against studies."""
    values = network.heterogeneity
    findings: list[Finding] = []
    implied: list[Implied] = []
    rows = list(network.q_rows)
    if "Q" in values and "df" in values:
        rows.append(("Q", values["Q"], values["df"], values.get("p")))
    for name, q, df, p in rows:
        findings += _q_and_p(network, name, q, df, p)
    findings += _sum_of_q(network)
    if "Q" in values and "df" in values:
        low, high = _i2_of(values["Q"], values["df"])
        if "I2" in values:
            findings.append(
                _equal(
                    network,
                    "I2",
                    values["I2"],
                    low,
                    high,
                    "I2 is 1 - df / Q, or 0, within rounding.",
                    "Q and df give another I2; is it of another model, or is one of these numbers another?",
                )
            )
        else:
            implied.append(Implied("I2", network.name, low, high, "Q and df"))
    if {"tau", "tau2"} <= set(values):
        low, high = (max(end, 0.0) ** 2 for end in values["tau"].bounds())
        findings.append(
            _equal(
                network,
                "tau2",
                values["tau2"],
                low,
                high,
                "tau2 is the square of tau, within rounding.",
                "tau2 is not the square of tau; is one of them the other, or I2?",
            )
        )
    findings += _i2_and_tau2(network)
    implied += _df_of_i2(network)
    more, given = _df_of_studies(network)
    return findings + more, implied + given


def _equal(network: Network, check: str, number: Number, low: float, high: float, yes: str, no: str) -> Finding:
    holds = overlap(low, high, *number.bounds())
    return Finding(check, network.name, number.text, low, high, "holds" if holds else "clash", yes if holds else no)


def _q_and_p(network: Network, name: str, q: Number, df: Number, p: Number | None) -> list[Finding]:
    if df.value < 0 or df.value % 1:
        return [
            Finding(
                "degrees of freedom",
                f"{network.name}: {name}",
                df.text,
                0.0,
                np.inf,
                "clash",
                "Degrees of freedom are whole and not negative; is this another quantity?",
            )
        ]
    if p is None or df.value == 0:
        return []
    low, high = (float(chdtrc(df.value, max(end, 0.0))) for end in reversed(q.bounds()))
    where = f"{network.name}: {name}"
    if overlap(low, high, *p.bounds()):
        return [
            Finding("p of Q", where, p.text, low, high, "holds", "p is the chi-squared tail of Q, within rounding.")
        ]
    near = [
        other
        for other in (df.value - 1, df.value + 1)
        if other > 0 and overlap(*(float(chdtrc(other, max(end, 0.0))) for end in reversed(q.bounds())), *p.bounds())
    ]
    hint = (
        f"with {near[0]:g} degrees of freedom it would be; are those the degrees of freedom?"
        if near
        else "is one of the three numbers another?"
    )
    return [Finding("p of Q", where, p.text, low, high, "clash", f"p is not the chi-squared tail of Q; {hint}")]


def _sum_of_q(network: Network) -> list[Finding]:
    rows = {name.lower(): (q, df) for name, q, df, _ in network.q_rows}
    total = next((rows[name] for name in rows if name.startswith("total")), None)
    parts = [
        row for name, row in rows.items() if name.startswith(("within", "between", "heterogeneity", "inconsistency"))
    ]
    if total is None or len(parts) != 2:
        return []
    low, high = (sum(q.bounds()[side] for q, _ in parts) for side in (0, 1))
    findings = [
        _equal(
            network,
            "parts of Q",
            total[0],
            low,
            high,
            "Within and between designs sum to the total Q.",
            "The parts of Q do not sum to its total; is one of them another?",
        )
    ]
    freedom = sum(df.value for _, df in parts)
    findings.append(
        _equal(
            network,
            "parts of df",
            total[1],
            freedom,
            freedom,
            "The degrees of freedom sum to their total.",
            "The degrees of freedom do not sum to their total.",
        )
    )
    return findings


def _i2_of(q: Number, df: Number) -> tuple[float, float]:
    low, high = (max(end, 1e-12) for end in q.bounds())
    return max(0.0, 1 - df.value / low), max(0.0, 1 - df.value / high)


def _i2_and_tau2(network: Network) -> list[Finding]:
    values = network.heterogeneity
    if not {"I2", "tau2"} <= set(values):
        return []
    i2, tau2 = values["I2"], values["tau2"]
    if i2.bounds()[0] > 0.001 and tau2.bounds()[1] <= 0:
        return [
            Finding(
                "I2 and tau2",
                network.name,
                f"{i2.text}; {tau2.text}",
                _NAN,
                _NAN,
                "clash",
                "I2 is above 0 and tau2 is 0; are they of one model?",
            )
        ]
    if i2.value == tau2.value and i2.value != 0 and i2.decimals == tau2.decimals:
        return [
            Finding(
                "I2 and tau2",
                network.name,
                f"{i2.text}; {tau2.text}",
                _NAN,
                _NAN,
                "cannot tell",
                "I2 and tau2 are the same number; is one of them printed twice?",
            )
        ]
    return []


def _df_of_i2(network: Network) -> list[Implied]:
    """Infer degrees of freedom from I2 and its interval if none are printed."""
    values = network.heterogeneity
    if not {"I2", "I2_lower", "I2_upper"} <= set(values) or "df" in values:
        return []
    i2, lower, upper = values["I2"], values["I2_lower"], values["I2_upper"]
    if len({number.decimals for number in (i2, lower, upper)}) > 1:
        return []
    found = df_from_i2_interval(i2.value, lower.value, upper.value, decimals=i2.decimals, level=network.level)
    return (
        [Implied("df", network.name, float(min(found)), float(max(found)), "I2 and its interval")] if len(found) else []
    )


def _df_of_studies(network: Network) -> tuple[list[Finding], list[Implied]]:
    """Check df of Q: the arms beyond the first of each study, minus the treatments beyond the first."""
    values, n = network.heterogeneity, len(network.treatments)
    if "studies" not in values or n < 2:
        return [], []
    studies = values["studies"].value
    if "arms" in values:
        exact = values["arms"].value - studies - (n - 1)
        low, high = exact, exact
    else:
        low, high = studies - (n - 1), np.inf
    if low < 0 and "arms" in values:
        return [
            Finding(
                "degrees of freedom",
                network.name,
                values["arms"].text,
                0.0,
                np.inf,
                "clash",
                "These arms and studies cannot connect all treatments; is one of the counts another?",
            )
        ], []
    if "df" not in values:
        return [], [
            Implied(
                "df",
                network.name,
                max(low, 0.0),
                high,
                "studies and arms" if "arms" in values else "studies, each with two arms or more",
            )
        ]
    df = values["df"]
    if low - 1e-9 <= df.value <= high + 1e-9:
        why = (
            "df follows from studies, arms and treatments."
            if "arms" in values
            else "df is possible: at least one for each study, less the treatments beyond the first."
        )
        return [Finding("degrees of freedom", network.name, df.text, max(low, 0.0), high, "holds", why)], []
    verdict, why = "cannot tell", "df is below what so many studies give; were some studies left out of this analysis?"
    if "arms" in values and df.value > high:
        verdict, why = "clash", "df is above what these studies and arms give; is one of the counts another?"
    return [Finding("degrees of freedom", network.name, df.text, max(low, 0.0), high, verdict, why)], []


# --- prediction intervals -----------------------------------------------------------------------------


def _tau2_bounds(network: Network) -> tuple[float, float] | None:
    values = network.heterogeneity
    if "tau2" in values:
        return max(values["tau2"].bounds()[0], 0.0), values["tau2"].bounds()[1]
    if "tau" in values:
        low, high = values["tau"].bounds()
        return max(low, 0.0) ** 2, high**2
    return None


def _freedoms(network: Network) -> list[tuple[str, float]]:
    """List the conventions for degrees of freedom of prediction intervals, with their names."""
    values = network.heterogeneity
    if "df_predict" in values:
        return [("stated", values["df_predict"].value)]
    found = [("normal distribution", np.inf)]
    if "df" in values:
        found = [("df - 1", values["df"].value - 1), ("df", values["df"].value), *found]
    if "studies" in values:
        studies, n = values["studies"].value, len(network.treatments)
        found += [("studies - treatments", studies - n), ("studies - 2", studies - 2), ("studies - 1", studies - 1)]
    return [(name, df) for name, df in found if df > 0]


def prediction_findings(network: Network, cells: list[Cell]) -> tuple[list[Finding], list[Implied]]:
    """Check printed prediction intervals against confidence intervals and tau2."""
    of = {frozenset((cell.treat1, cell.treat2)): cell for cell in cells}
    findings: list[Finding] = []
    implied: list[Implied] = []
    for prediction in network.predictions:
        cell = of.get(frozenset((prediction.treat1, prediction.treat2)))
        if cell is not None:
            found, given = _prediction(network, cell, prediction)
            findings.append(found)
            implied += given
    if not network.predictions and _tau2_bounds(network) is not None and _known_freedom(network):
        implied += [_implied_prediction(network, cell) for cell in cells]
    return findings, implied


def _known_freedom(network: Network) -> bool:
    values = network.heterogeneity
    return ("df_predict" in values and values["df_predict"].value > 0) or ("df" in values and values["df"].value > 1)


def _half_width(low: tuple[float, float], high: tuple[float, float]) -> tuple[float, float]:
    return max((high[0] - low[1]) / 2, 0.0), (high[1] - low[0]) / 2


def _prediction(network: Network, cell: Cell, prediction: Cell) -> tuple[Finding, list[Implied]]:
    """Check a printed prediction interval against its cell's confidence interval and tau2; return also implied tau2."""
    one = interval_of(cell, network.scale, network.level)
    half = _half_width(bounds(prediction.triple.lower, network.scale), bounds(prediction.triple.upper, network.scale))
    tau2, z = _tau2_bounds(network), z_quantile(network.level)
    where = place(prediction, network.name)
    implied: list[Implied] = []
    if half[1] < z * one.se_low * (1 - 1e-9):
        why = "It is narrower than the confidence interval; are the two exchanged, or of different models?"
        lower, upper, verdict = 2 * z * one.se_low, np.inf, "clash"
    elif tau2 is None:
        why = "No tau2 is printed to check it with; it is at least as wide as the confidence interval."
        lower, upper, verdict = _NAN, _NAN, "cannot tell"
        low, high = (max((half[side] / z) ** 2 - (one.se_high, one.se_low)[side] ** 2, 0.0) for side in (0, 1))
        source = "prediction and confidence interval, by the normal distribution"
        implied.append(Implied("tau2", where, low, high, source))
    else:
        lower, upper, verdict, why = _predicted_width(network, one, half, tau2)
    pair = ((cell.treat1, cell.treat2),)
    finding = Finding("prediction interval", where, prediction.triple.text, lower, upper, verdict, why, pair)
    return finding, implied


def _predicted_width(
    network: Network, one: Interval, half: tuple[float, float], tau2: tuple[float, float]
) -> tuple[float, float, str, str]:
    """Compute the width from tau2 and the standard error, and judge the printed width: verdict and sentence."""
    z, share = z_quantile(network.level), (1 + network.level) / 2
    se_low, se_high = np.sqrt(one.se_low**2 + tau2[0]), np.sqrt(one.se_high**2 + tau2[1])
    for name, df in _freedoms(network):
        t = z if np.isinf(df) else float(stdtrit(df, share))
        if overlap(t * se_low, t * se_high, *half):
            verdict = "holds" if name in ("stated", "df - 1") else "explained"
            why = f"Its width follows from tau2 and the standard error, with t by {name}."
            return 2 * (t * se_low), 2 * (t * se_high), verdict, why
    narrowest = z * se_low
    some = half[1] >= narrowest and half[0] <= stdtrit(1.0, share) * se_high  # t is widest for one degree of freedom
    if some and network.framework != "frequentist":
        why = "Some degrees of freedom would give it, none that are in use here; a posterior predictive interval could."
    elif some and "df_predict" not in network.heterogeneity:
        why = "Some degrees of freedom would give it; which were used?"
    else:
        why = (
            "Its width does not follow from tau2 and the standard error; is tau2 of another model, or is it tau or I2?"
        )
        return 2 * narrowest, _NAN, "clash", why
    return 2 * narrowest, _NAN, "cannot tell", why


def _implied_prediction(network: Network, cell: Cell) -> Implied:
    values = network.heterogeneity
    df = values["df_predict"].value if "df_predict" in values else values["df"].value - 1
    one, tau2 = interval_of(cell, network.scale, network.level), _tau2_bounds(network)
    t = float(stdtrit(df, (1 + network.level) / 2))
    widest = t * np.sqrt(one.se_high**2 + tau2[1])
    low, high = one.te_low - widest, one.te_high + widest
    low, high = (float(np.exp(low)), float(np.exp(high))) if network.scale == "ratio" else (float(low), float(high))
    return Implied(
        "prediction interval, at its widest",
        place(cell, network.name),
        low,
        high,
        f"tau2, interval and {df:g} degrees of freedom",
    )


# --- percentages --------------------------------------------------------------------------------------


def percentage_findings(percentages: tuple[tuple[Number, int], ...]) -> list[Finding]:
    """Check that a whole number of people gives each percentage.

    Source: Brown & Heathers 2017 (GRIM), for percentages.
    """
    findings = []
    for number, people in percentages:
        low, high = number.bounds(0.5)
        count = np.arange(max(int(np.floor(low * people / 100)) - 1, 0), int(np.ceil(high * people / 100)) + 2)
        count = count[count <= people]
        possible = count[(100 * count / people >= low - 1e-9) & (100 * count / people <= high + 1e-9)]
        nearest = count[np.argmin(np.abs(100 * count / people - number.value))] if len(count) else people
        text = f"{number.text} of {people}"
        if len(possible):
            findings.append(
                Finding(
                    "percentage",
                    text,
                    number.text,
                    float(possible.min()),
                    float(possible.max()),
                    "holds",
                    "A whole number of people gives this percentage.",
                )
            )
            continue
        cut = (100 * count / people >= number.value - 1e-9) & (
            100 * count / people < number.value + 10.0**-number.decimals
        )
        if cut.any():
            findings.append(
                Finding(
                    "percentage",
                    text,
                    number.text,
                    float(nearest),
                    float(nearest),
                    "explained",
                    "A whole number of people gives this percentage, cut off instead of rounded.",
                )
            )
        else:
            findings.append(
                Finding(
                    "percentage",
                    text,
                    number.text,
                    float(nearest),
                    float(nearest),
                    "clash",
                    f"No whole number of {people} people gives this percentage; is the number of people in this row"
                    " another, or were some missing?",
                )
            )
    return findings
