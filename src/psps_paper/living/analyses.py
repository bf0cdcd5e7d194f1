"""Tables of a review beyond its main fit: subgroups, meta-regression, certainty, summary of findings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from psps_paper.formatting import number as plain_number
from psps_paper.formatting import p_value
from psps_paper.living.certainty import DOMAINS, NOT_JUDGED, Rules, absolute_risk, judgements, rating
from psps_paper.network import NetworkFit, fit_network, network_meta_regression, subnetworks

Number = Callable[[float], str]
SUBGROUPS = ["subgroup", "studies", "treatment", "estimate", "tau²"]
REGRESSION = ["moderator", "studies", "slope for one unit more", "p", "tau²"]
FINDINGS = ["treatment", "studies", "effect", "risk with reference", "risk with treatment", "certainty", "why"]


def subgroup_rows(
    fit: NetworkFit, groups: pd.Series, reference: str, number: Number, order: Sequence[str] = ()
) -> pd.DataFrame:
    """Refit the network within each group of studies: DataFrame [subgroup, studies, treatment, estimate, tau²].

    Treatments that a group's studies do not connect to the reference are listed in a row of their own.

    Parameters
    ----------
    groups : Series by study
    number : callable
        Formats an effect.
    order : sequence of str, optional
        Every treatment, in the order of the rows of a subgroup; by default as in the fit.
    """
    rows = []
    labels = fit.contrasts["study"].map(groups).replace("", "no entry")
    for group in sorted(labels.unique()):
        part = fit.contrasts[labels == group]
        studies = str(part["study"].nunique())
        connected = next((names for names in subnetworks(part) if reference in names), set())
        apart = sorted({*part["treat1"], *part["treat2"]} - connected)
        part = part[part["treat1"].isin(connected)]
        if apart:
            rows.append([group, studies, ", ".join(apart), "not connected with the reference", ""])
        if part.empty:
            continue
        one = fit_network(part, tau2=_estimator(fit), level=fit.level, correlation=fit.correlation)
        for treatment in (t for t in order or one.treatments if t in one.treatments and t != reference):
            te, low, high = (side.at[treatment, reference] for side in (one.te, one.lower, one.upper))
            shown = f"{number(te)} ({number(low)} to {number(high)})"
            rows.append([group, studies, treatment, shown, plain_number(one.tau2, 3)])
    return pd.DataFrame(rows, columns=SUBGROUPS)


def regression_row(fit: NetworkFit, moderator: pd.Series, reference: str, number: Number) -> pd.DataFrame:
    """Run a network meta-regression on one study-level number, with one slope for all treatments against the reference.

    Parameters
    ----------
    moderator : Series by study
        Its name is shown. Studies without a value are left out, and so are treatments that the remaining studies do
        not connect to the reference.

    Returns
    -------
    DataFrame [moderator, studies, slope for one unit more, p, tau²]
        One row.
    """
    rows = fit.contrasts[fit.contrasts["study"].map(moderator).notna()]
    connected = next((names for names in subnetworks(rows) if reference in names), set())
    rows = rows[rows["treat1"].isin(connected)]
    used = moderator.reindex(rows["study"].unique())
    if used.nunique() < 2:
        row = [str(moderator.name), str(len(used)), "fewer than two different values", "", ""]
        return pd.DataFrame([row], columns=REGRESSION)
    labels = own_labels(rows)
    if fit.correlation and labels != rows["study"].tolist():
        row = [str(moderator.name), str(len(used)), "not offered for correlated estimates of one study", "", ""]
        return pd.DataFrame([row], columns=REGRESSION)
    # As in the fit, each estimate of a comparison counts as a study and takes the moderator value of its study
    of_label = pd.Series(rows["study"].map(moderator).to_numpy(), index=labels)
    of_label = of_label[~of_label.index.duplicated()]
    tau2 = _estimator(fit)
    result = network_meta_regression(
        rows.assign(study=labels), of_label, reference=reference, tau2=tau2, level=fit.level
    )
    slope = result.coefficients.iloc[-1]
    half = (fit.upper.iat[0, 1] - fit.lower.iat[0, 1]) / (2 * fit.se.iat[0, 1])
    low, high = slope["estimate"] - half * slope["se"], slope["estimate"] + half * slope["se"]
    p = 2 * _two_sided_p(abs(slope["estimate"] / slope["se"]))
    shown = f"{number(slope['estimate'])} ({number(low)} to {number(high)})"
    row = [str(moderator.name), str(len(used)), shown, p_value(p), plain_number(result.tau2, 3)]
    return pd.DataFrame([row], columns=REGRESSION)


def own_labels(rows: pd.DataFrame) -> list[str]:
    """Label the studies, giving each further estimate of the same comparison its own label."""
    taken = set(rows["study"])
    seen: set[tuple] = set()
    labels = []
    for study, first, second in zip(rows["study"], rows["treat1"], rows["treat2"], strict=True):
        label, k = study, 1
        key = (study, *sorted([first, second]))
        while (*key, label) in seen or (label != study and label in taken):
            k += 1
            label = f"{study} (estimate {k})"
        seen.add((*key, label))
        labels.append(label)
    return labels


def _two_sided_p(z: float) -> float:
    from scipy.special import ndtr

    return float(ndtr(-z))


def _estimator(fit: NetworkFit) -> str | float:
    return fit.method if fit.method in ("DL", "REML", "ML") else fit.tau2


def certainty_rows(
    fit: NetworkFit, reference: str, studies: pd.DataFrame | None, rules: Rules, order: list[str]
) -> pd.DataFrame:
    """Tabulate judgements by treatment, in the given order: DataFrame [treatment, certainty, each domain]."""
    judged = judgements(fit, reference, studies, rules)
    table = judged.pivot(index="treatment", columns="domain", values="judgement")[list(DOMAINS)]
    table.insert(0, "certainty", [rating(row) for _, row in table.iterrows()])
    return table.reindex([t for t in order if t != reference]).rename_axis(columns=None).reset_index()


def findings_rows(
    fit: NetworkFit,
    reference: str,
    studies: pd.DataFrame | None,
    rules: Rules,
    order: list[str],
    number: Number,
    risk: tuple[str, float] | None,
) -> pd.DataFrame:
    """Summarise the findings: each treatment against the reference, with effect, absolute risk, certainty and reasons.

    Parameters
    ----------
    risk : (measure, risk with the reference) or None
        For absolute risks per 1000 people; without it those columns are left out.

    Returns
    -------
    DataFrame [treatment, studies, effect, risk with reference, risk with treatment, certainty, why]
        ``studies`` counts the direct comparisons.
    """
    judged = judgements(fit, reference, studies, rules)
    rows = []
    for treatment in (t for t in order if t != reference):
        own = judged[judged["treatment"] == treatment]
        te, low, high = (float(side.at[treatment, reference]) for side in (fit.te, fit.lower, fit.upper))
        pairs = fit.contrasts[["treat1", "treat2"]].isin([treatment, reference]).all(axis=1)
        lowered = [f"{r.domain}: {r.why}" for r in own.itertuples() if r.judgement not in ("no concerns", NOT_JUDGED)]
        absolute = ["", ""]
        if risk is not None:
            measure, baseline = risk
            risks = sorted(1000 * absolute_risk(measure, baseline, x) for x in (low, high))
            with_treatment = 1000 * absolute_risk(measure, baseline, te)
            absolute = [
                f"{baseline * 1000:.0f} in 1000",
                f"{with_treatment:.0f} in 1000 ({risks[0]:.0f} to {risks[1]:.0f})",
            ]
        rows.append(
            [
                treatment,
                str(fit.contrasts[pairs]["study"].nunique()),
                f"{number(te)} ({number(low)} to {number(high)})",
                *absolute,
                rating(own.set_index("domain")["judgement"]),
                "; ".join(lowered) or "no domain lowers it",
            ]
        )
    table = pd.DataFrame(rows, columns=FINDINGS)
    return table if risk is not None else table.drop(columns=["risk with reference", "risk with treatment"])


def rob_shares(judged: pd.DataFrame, column: str, label: str) -> pd.DataFrame:
    """Compute the percentage of studies by judgement: DataFrame [domain, judgement, percent]."""
    shares = 100 * judged[column].replace("", "unknown").value_counts(normalize=True)
    return pd.DataFrame({"domain": label, "judgement": shares.index, "percent": shares.to_numpy()})


def important_of(entry: dict, *, ratio: bool) -> float | None:
    """Return the smallest important te that an outcome declares, as a logarithm if the measure is a ratio."""
    if "important" not in entry:
        return None
    return float(np.log(entry["important"])) if ratio else float(entry["important"])
