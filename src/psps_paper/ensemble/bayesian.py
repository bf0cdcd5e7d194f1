"""The article's conclusions in every stored data set under the Bayesian model, with narrower and wider priors."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from psps_paper.bayes import fit_bayes
from psps_paper.bayes.posterior import Posterior
from psps_paper.bayes.priors import HalfNormal, TauPrior
from psps_paper.ensemble.countings import AS_PRINTED, ONE_MEAN, Conclusion, conclusions
from psps_paper.ensemble.witnesses import Witness

FACTORS = (1 / 8, 1 / 2, 1.0, 2.0, 8.0)


def bayesian_conclusions(
    witnesses: Iterable[Witness],
    counting: str,
    tau_prior: TauPrior = HalfNormal(0.5),
    *,
    factors: Iterable[float] = FACTORS,
) -> pd.DataFrame:
    """Evaluate each conclusion in each data set by exact fits, under priors of tau scaled by given factors.

    Parameters
    ----------
    witnesses : iterable of Witness
    counting : str
        Each estimate separately (``AS_PRINTED``) or one mean per study (``ONE_MEAN``).
    tau_prior : TauPrior
        Prior of the SD between studies, in units of the standardised mean difference.
    factors : iterable of float
        Factors of the prior's scale.

    Returns
    -------
    DataFrame [witness, counting, factor, conclusion, holds, probability, probability_new]
        ``holds``: the credible interval lies above zero
        (better) or includes it (no difference), or the order by SUCRA gives the rank. ``probability`` is the
        probability that the hub is better on average, ``probability_new`` in a new study; for a rank both are the
        SUCRA.

    Raises
    ------
    ValueError
        A different counting.

    Source: as :func:`psps_paper.bayes.fit_bayes`; SUCRA as in Salanti 2011, the mean probability of beating a
    competitor.
    """
    if counting not in (AS_PRINTED, ONE_MEAN):
        raise ValueError(f"counting={counting!r}: expected {AS_PRINTED!r} or {ONE_MEAN!r}")
    factors, rows = list(factors), []
    for witness in witnesses:
        contrasts, correlation, said = witness.contrasts, 0.0, conclusions(witness.evidence)
        if counting == ONE_MEAN:
            contrasts = contrasts.groupby(["study", "treat1", "treat2"], as_index=False, sort=False).mean()
        for factor in factors:
            post = fit_bayes(contrasts, tau_prior.scaled(factor), correlation=correlation)
            rows += [
                {"witness": witness.name, "counting": counting, "factor": factor, "conclusion": name, **found}
                for name, found in _evaluate_conclusions(post, witness, said).items()
            ]
    return pd.DataFrame(rows)


def _evaluate_conclusions(
    post: Posterior, witness: Witness, said: Iterable[Conclusion]
) -> dict[str, dict[str, object]]:
    """Evaluate each conclusion under one posterior."""
    evidence = witness.evidence
    hub, others = evidence.edges["treat1"].iloc[0], list(evidence.edges["treat2"])
    better, new = (post.p_better(evidence.desirable, predictive=predictive) for predictive in (False, True))
    lower, upper = post.lower, post.upper
    sucra = better.mean(axis=1)  # the diagonal is missing: a treatment does not compete with itself
    found: dict[str, dict[str, object]] = {}
    for conclusion in said:
        treatment = hub if conclusion.at < 0 else others[conclusion.at]
        if conclusion.kind == "rank":
            holds = 1 + int((sucra > sucra[treatment]).sum()) == conclusion.rank
            values = (sucra[treatment], sucra[treatment])
        else:
            holds = _interval_supports(
                conclusion, lower.at[hub, treatment], upper.at[hub, treatment], evidence.desirable
            )
            values = (better.at[hub, treatment], new.at[hub, treatment])
        found[conclusion.name] = {"holds": holds, "probability": float(values[0]), "probability_new": float(values[1])}
    return found


def _interval_supports(conclusion: Conclusion, lower: float, upper: float, desirable: str) -> bool:
    if conclusion.kind == "no difference":
        return bool(lower <= 0 <= upper)
    return bool(lower > 0 if desirable == "higher" else upper < 0)


def bayesian_ranges(found: pd.DataFrame) -> pd.DataFrame:
    """Find the extremes over the data sets, as fitted and over all scales of the prior.

    Parameters
    ----------
    found : DataFrame
        From :func:`bayesian_conclusions`.

    Returns
    -------
    DataFrame [conclusion, counting, holds_in, fails_in, low, high, least, most]
        ``holds_in`` and ``fails_in`` name the first data set in which the conclusion holds or fails, under the unscaled
        prior; ``low`` and ``high`` are the extremes of ``probability`` under it, ``least`` and ``most`` over all
        factors.
    """
    rows = []
    for (conclusion, counting), part in found.groupby(["conclusion", "counting"], sort=False):
        given = part[part["factor"] == 1]
        named = {
            name: next(iter(given.loc[given["holds"] == value, "witness"]), None)
            for name, value in (("holds_in", True), ("fails_in", False))
        }
        ends = {"low": given["probability"].min(), "high": given["probability"].max()}
        all_scales = {"least": part["probability"].min(), "most": part["probability"].max()}
        rows.append({"conclusion": conclusion, "counting": counting, **named, **ends, **all_scales})
    return pd.DataFrame(rows)


def least_by_scale(found: pd.DataFrame, counting: str = ONE_MEAN) -> pd.DataFrame:
    """Find the smallest probability over the data sets that the hub is better, by the prior's scale.

    Returns
    -------
    DataFrame [conclusion, factor, probability, probability_new]
        For the conclusions that the hub is better.
    """
    part = found[(found["counting"] == counting) & found["conclusion"].str.contains(" better than ")]
    least = part.groupby(["conclusion", "factor"], sort=False)[["probability", "probability_new"]].min()
    return least.reset_index()
