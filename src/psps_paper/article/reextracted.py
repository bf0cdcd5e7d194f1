"""The network that public abstracts support, compared with the published one."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import scipy

from psps_paper.article.facts import fact
from psps_paper.article.outcomes import load_outcome
from psps_paper.article.published import PublishedNetwork
from psps_paper.bayes import Posterior, fit_bayes, prior_sensitivity, rhodes_prior
from psps_paper.bayes.presets import CONTROL, GENERAL_HEALTH, OTHER
from psps_paper.effects import Effect, crossover_smd, log_odds_ratio, smd, smd_from_log_or, smd_from_p
from psps_paper.network import fit_network
from psps_paper.network.model import Desirable, NetworkFit, z_quantile
from psps_paper.network.orientation import orient

CORRELATION = 0.5  # for either role below; varied in `sensitivity`
# (between a patient's two periods, between the estimates of one study): varied together, then separately
CORRELATIONS = ((0.0, 0.0), (0.5, 0.5), (0.8, 0.8), (0.8, 0.5), (0.5, 0.8))
# The published distribution of tau for the Bayesian fit, by outcome and type of comparison
BAYES_SETTING = (GENERAL_HEALTH, f"{OTHER} vs {CONTROL}")
SETS = {"primary": ["primary"], "wider": ["primary", "wider"]}


def contrasts(
    table: pd.DataFrame, facts: pd.DataFrame, *, which: str = "wider", correlation: float = CORRELATION
) -> pd.DataFrame:
    """Compute the contrasts that public pages support, converted to SMDs.

    Parameters
    ----------
    table, facts : DataFrame
        The tables ``reextracted_contrasts`` and ``study_facts``.
    which : {"primary", "wider"}
        "primary": only results of a contrast (or of both conditions with their SDs). "wider": also results with an
        imputed SD or from changes within arms.
    correlation : float
        Correlation between a patient's two periods, from -1 to below 1.

    Returns
    -------
    DataFrame [id, study, ref, treat1, treat2, te, se, lower, upper, outcome, time, method, conversion,
               assumption, sources]
        te is in SDs, and te > 0 favours treat1 (lower scores); treatments are in the order declared in
        ``outcomes.csv``.

    Raises
    ------
    ValueError
        An unknown set or method, or a fact without a number.
    """
    if which not in SETS:
        raise ValueError(f"which={which!r}: expected one of {', '.join(SETS)}")
    z, outcomes = z_quantile(0.95), table["outcome"].dropna().unique().tolist()
    rows = []
    for row in table[table["set"].isin(SETS[which])].itertuples():
        names = row.facts.split()
        values = [_number(facts, name) for name in names]
        effect = _effect(row.method, values, correlation, facts, outcomes)
        te, se = float(effect.te), float(effect.se)
        rows.append(
            {
                "id": row.id,
                "study": row.study,
                "ref": row.ref,
                "treat1": row.treat1,
                "treat2": row.treat2,
                "te": te,
                "se": se,
                "lower": te - z * se,
                "upper": te + z * se,
                "outcome": row.outcome,
                "time": row.time,
                "method": row.method,
                "conversion": row.conversion,
                "assumption": row.assumption,
                "sources": " ".join(dict.fromkeys(fact(facts, name)["source_url"] for name in names)),
            }
        )
    table = pd.DataFrame(rows)
    return orient(table, load_outcome().ordered(set(table["treat1"]) | set(table["treat2"])))


def not_extractable(table: pd.DataFrame) -> pd.DataFrame:
    """List network studies without a usable public number: DataFrame [study, ref, comparison, why, would settle it]."""
    rows = table[table["method"] == "none"]
    return pd.DataFrame(
        {
            "study": rows["study"].to_numpy(),
            "ref": rows["ref"].to_numpy(),
            "comparison": (rows["treat1"] + " vs " + rows["treat2"]).to_numpy(),
            "why": rows["conversion"].to_numpy(),
            "would settle it": rows["assumption"].to_numpy(),
        }
    )


def reextracted_fit(rows: pd.DataFrame, *, correlation: float = CORRELATION, tau2: str | float = "DL") -> NetworkFit:
    """Fit the re-extracted contrasts with the network engine.

    Parameters
    ----------
    rows : DataFrame
        The result of :func:`contrasts`.
    correlation : float
        Correlation between several estimates of one comparison from one study, in [0, 1).
    tau2 : str or float
        As in ``fit_network``.
    """
    return fit_network(rows[["study", "treat1", "treat2", "te", "se"]], tau2=tau2, correlation=correlation)


def reextracted_posterior(rows: pd.DataFrame, *, correlation: float = CORRELATION) -> Posterior:
    """Fit the re-extracted contrasts by exact Bayesian quadrature, with the published prior of :data:`BAYES_SETTING`.

    Parameters
    ----------
    rows, correlation
        As in :func:`reextracted_fit`.
    """
    return fit_bayes(
        rows[["study", "treat1", "treat2", "te", "se"]], rhodes_prior(*BAYES_SETTING), correlation=correlation
    )


def beside_bayes(fit: NetworkFit, post: Posterior, rows: pd.DataFrame, desirable: Desirable) -> pd.DataFrame:
    """Compare both fits of the re-extracted contrasts, one row per direct comparison.

    Parameters
    ----------
    fit : NetworkFit
        From :func:`reextracted_fit`.
    post : Posterior
        From :func:`reextracted_posterior`.
    rows : DataFrame
        The contrasts of the fit.
    desirable : {"lower", "higher"}
        Desirable direction of te.

    Returns
    -------
    DataFrame [treat1, treat2, te, lower, upper, Bayesian te, Bayesian lower, Bayesian upper, Bayesian predict lower,
               Bayesian predict upper, P treat1 better (%), P treat1 better in a new study (%)]
    """
    pairs = [(row.treat1, row.treat2) for row in rows[["treat1", "treat2"]].drop_duplicates().itertuples()]
    frames = {
        "te": fit.te,
        "lower": fit.lower,
        "upper": fit.upper,
        "Bayesian te": post.te,
        "Bayesian lower": post.lower,
        "Bayesian upper": post.upper,
        "Bayesian predict lower": post.predict_lower,
        "Bayesian predict upper": post.predict_upper,
        "P treat1 better (%)": 100 * post.p_better(desirable),
        "P treat1 better in a new study (%)": 100 * post.p_better(desirable, predictive=True),
    }
    return pd.DataFrame(
        [
            {"treat1": pair[0], "treat2": pair[1]} | {name: float(frame.at[pair]) for name, frame in frames.items()}
            for pair in pairs
        ]
    )


def over_prior_scales(rows: pd.DataFrame, desirable: Desirable, *, correlation: float = CORRELATION) -> pd.DataFrame:
    """Evaluate each direct comparison's conclusion under narrower and wider priors of tau.

    Returns
    -------
    DataFrame [conclusion, factor, probability, probability_new, ...]
        As from :func:`psps_paper.bayes.prior_sensitivity`, from an eighth of the prior's scale to eight times.
    """
    pairs = list(rows[["treat1", "treat2"]].drop_duplicates().itertuples(index=False, name=None))
    table = prior_sensitivity(
        rows[["study", "treat1", "treat2", "te", "se"]],
        pairs,
        rhodes_prior(*BAYES_SETTING),
        desirable=desirable,
        correlation=correlation,
    )
    return table.assign(conclusion=table["treat1"] + " better than " + table["treat2"])


def beside_published(fit: NetworkFit, rows: pd.DataFrame, published: PublishedNetwork) -> pd.DataFrame:
    """Compare re-extracted estimates with the published ones.

    Parameters
    ----------
    fit : NetworkFit
        From :func:`reextracted_fit`.
    rows : DataFrame
        The contrasts of the fit.
    published : PublishedNetwork

    Returns
    -------
    DataFrame [treat1, treat2, studies, estimates, published estimates, te, lower, upper, predict lower, predict upper,
               published te, published lower, published upper, published tier, difference, difference lower,
               difference upper, same side, intervals overlap]
        One row per direct comparison. Limits of the difference treat both sides as independent. Because both use
        the same trials, their errors are correlated, and these limits are too wide rather than too narrow.
    """
    printed = published.printed.set_index(["quantity", "treat1", "treat2"])["value"]
    direct = published.edges
    out = []
    for edge in direct.itertuples():
        pair = (edge.treat1, edge.treat2)
        own = rows[(rows["treat1"] == pair[0]) & (rows["treat2"] == pair[1])]
        if own.empty:
            continue
        known = ("te", *pair) in printed.index
        frames = {"te": published.fit.te, "lower": published.fit.lower, "upper": published.fit.upper}
        other = {name: float(printed[(name, *pair)] if known else frame.at[pair]) for name, frame in frames.items()}
        te, lower, upper = (float(frame.at[pair]) for frame in (fit.te, fit.lower, fit.upper))
        reach = math.hypot((upper - lower) / 2, (other["upper"] - other["lower"]) / 2)
        out.append(
            {
                "treat1": pair[0],
                "treat2": pair[1],
                "studies": own["study"].nunique(),
                "estimates": len(own),
                "published estimates": edge.estimates,
                "te": te,
                "lower": lower,
                "upper": upper,
                "predict lower": float(fit.predict_lower.at[pair]),
                "predict upper": float(fit.predict_upper.at[pair]),
                "published te": other["te"],
                "published lower": other["lower"],
                "published upper": other["upper"],
                "published tier": "printed" if known else "implied",
                "difference": te - other["te"],
                "difference lower": te - other["te"] - reach,
                "difference upper": te - other["te"] + reach,
                "same side": "yes" if te * other["te"] > 0 else "no",
                "intervals overlap": "yes" if lower <= other["upper"] and other["lower"] <= upper else "no",
            }
        )
    return pd.DataFrame(out)


def information(fit: NetworkFit, rows: pd.DataFrame) -> pd.DataFrame:
    """Compute the information of each study: DataFrame [study, ref, treat1, treat2, method, information, share].

    Parameters
    ----------
    fit : NetworkFit
        From :func:`reextracted_fit`, a star without multi-arm studies.
    rows : DataFrame
        The contrasts of the fit.

    Returns
    -------
    DataFrame
        ``information`` is the inverse variance of the study's own estimate, 1' V^-1 1 over its estimates with
        V_ij = correlation * (se_i se_j + tau2). In a star network these add up to the inverse variance of the
        comparison. ``share`` is the proportion of the comparison's information, in [0, 1].
    """
    rho = fit.correlation or 0.0
    table = []
    for (study, ref, treat1, treat2, method), group in rows.groupby(
        ["study", "ref", "treat1", "treat2", "method"], sort=False
    ):
        se = group["se"].to_numpy(float)
        matrix = rho * (np.outer(se, se) + fit.tau2)
        np.fill_diagonal(matrix, se**2 + fit.tau2)
        table.append(
            {
                "study": study,
                "ref": ref,
                "treat1": treat1,
                "treat2": treat2,
                "method": method,
                "information": float(np.linalg.inv(matrix).sum()),
            }
        )
    weights = pd.DataFrame(table)
    weights["share"] = weights["information"] / weights.groupby(["treat1", "treat2"])["information"].transform("sum")
    return weights


def resting_on_conversions(fit: NetworkFit, rows: pd.DataFrame) -> pd.DataFrame:
    """Compute the proportion of each comparison's information that comes from each conversion.

    Returns
    -------
    DataFrame [treat1, treat2, method, studies, share, assumption]
        No public page gives an SMD, or both arms' means and SDs of a parallel trial, so the proportions of
        conversions add up to 1 in every comparison.
    """
    table = information(fit, rows)
    grouped = (
        table.groupby(["treat1", "treat2", "method"], sort=False)
        .agg(studies=("study", lambda names: ", ".join(names)), share=("share", "sum"))
        .reset_index()
    )
    first = rows.drop_duplicates("method").set_index("method")["assumption"]
    return grouped.assign(assumption=grouped["method"].map(first))


def sensitivity(
    table: pd.DataFrame, facts: pd.DataFrame, *, correlations: tuple[tuple[float, float], ...] = CORRELATIONS
) -> pd.DataFrame:
    """Repeat the estimates with other choices of set, correlations and heterogeneity estimator.

    Parameters
    ----------
    table, facts : DataFrame
        As in :func:`contrasts`.
    correlations : tuple of (float, float)
        Correlation between a patient's two periods, which determines the standard errors of crossover trials, and
        between the estimates of one study, which determines their combined weight.

    Returns
    -------
    DataFrame [set, within patients, between estimates, tau2 by, treat1, treat2, te, lower, upper, tau2, I2]
    """
    out = []
    for which in SETS:
        for within, between in correlations:
            rows = contrasts(table, facts, which=which, correlation=within)
            for method in ("DL", "REML"):
                fit = reextracted_fit(rows, correlation=between, tau2=method)
                for treat1, treat2 in rows[["treat1", "treat2"]].drop_duplicates().itertuples(index=False):
                    out.append(
                        {
                            "set": which,
                            "within patients": within,
                            "between estimates": between,
                            "tau2 by": method,
                            "treat1": treat1,
                            "treat2": treat2,
                            "te": float(fit.te.at[treat1, treat2]),
                            "lower": float(fit.lower.at[treat1, treat2]),
                            "upper": float(fit.upper.at[treat1, treat2]),
                            "tau2": fit.tau2,
                            "I2": fit.i2,
                        }
                    )
    return pd.DataFrame(out)


def including_zero(grid: pd.DataFrame, treat2: str) -> pd.DataFrame:
    """Count, for each pair of correlations, the other choices whose interval against ``treat2`` includes zero.

    Parameters
    ----------
    grid : DataFrame
        From :func:`sensitivity`.
    treat2 : str

    Returns
    -------
    DataFrame [within patients, between estimates, including zero, of]
    """
    rows = grid[grid["treat2"] == treat2]
    if rows.empty:
        raise ValueError(f"treat2={treat2!r}: expected one of {', '.join(sorted(grid['treat2'].unique()))}")
    zero = (rows["lower"] <= 0) & (rows["upper"] >= 0)
    keys = [rows["within patients"], rows["between estimates"]]
    return (
        zero.groupby(keys, sort=False)
        .agg(["sum", "size"])
        .reset_index()
        .rename(columns={"sum": "including zero", "size": "of"})
    )


def forest_rows(fit: NetworkFit, rows: pd.DataFrame, published: PublishedNetwork) -> pd.DataFrame:
    """Return published and re-extracted estimates as rows of ``figures.forest.forest_network``.

    Returns
    -------
    DataFrame [label, te, lower, upper, tier, treatment_class]
    """
    table = beside_published(fit, rows, published)
    out = []
    for _, row in table.iterrows():
        for kind, prefix, tier in (
            ("published", "published ", row["published tier"]),
            ("re-extracted", "", "re-extracted"),
        ):
            out.append(
                {
                    "label": f"against {row['treat2']}, {kind}",
                    "tier": tier,
                    "treatment_class": row["treat2"],
                    **{name: row[prefix + name] for name in ("te", "lower", "upper")},
                }
            )
    return pd.DataFrame(out)


def smd_from_changes_within_arms(change1: float, p1: float, n1: float, change2: float, p2: float, n2: float) -> Effect:
    """Compute the SMD of two mean changes, with SDs from the p value of a paired t test in each arm.

    Parameters
    ----------
    change1, change2 : float
        Mean changes in the same unit; not 0.
    p1, p2 : float
        Two-sided p values of change against 0, in (0, 1).
    n1, n2 : float
        Patients, at least 2.

    Returns
    -------
    Effect
        change1 minus change2 over the pooled SD (Hedges' g), SD = |change| sqrt(n) / t.

    Source: inversion of the paired t test (Cochrane Handbook 6.5.2.3).  Checked against: scipy's t test on samples
    made to have the mean and p value.
    """
    spreads = []
    for change, p, n in ((change1, p1, n1), (change2, p2, n2)):
        if change == 0 or not 0 < p < 1:
            raise ValueError(f"change={change}, p={p}: expected a change other than 0 and a p value inside (0, 1)")
        spreads.append(abs(change) * math.sqrt(n) / -scipy.special.stdtrit(n - 1, p / 2))
    return smd(n1, change1, spreads[0], n2, change2, spreads[1])


def _number(facts: pd.DataFrame, name: str) -> float:
    value = float(fact(facts, name)["number"])
    if math.isnan(value):
        raise ValueError(f"study_facts.csv, {name}: the fact has no number")
    return value


def _effect(method: str, values: list[float], correlation: float, facts: pd.DataFrame, outcomes: list[str]) -> Effect:
    """Compute an effect with te > 0 if treat1 is better (lower scores); means and p values give Hedges' g."""
    if method == "log odds ratio":
        # an event is relief, so an odds ratio above 1 already favours treat1
        return smd_from_log_or(*log_odds_ratio(*values))
    if method == "p value":
        return smd_from_p(*values, sign=1)
    if method == "crossover means":
        mean1, sd1, mean2, sd2, n = values
        return crossover_smd(n, mean2, sd2, mean1, sd1, correlation, correction="exact")
    if method == "crossover means, SD imputed":
        mean1, mean2, n = values
        sd = imputed_sd(facts, outcomes)
        return crossover_smd(n, mean2, sd, mean1, sd, correlation, correction="exact")
    if method == "p values within arms":
        change1, p1, change2, p2, n = values
        effect = smd_from_changes_within_arms(change1, p1, n / 3, change2, p2, n / 3)
        return Effect(-effect.te, effect.se)
    raise ValueError(f"reextracted_contrasts.csv, column method: {method!r} is not a known method")


def imputed_sd(facts: pd.DataFrame, outcomes: list[str]) -> float:
    """Average the published SDs of these outcomes after treatment on a scale from 0 to 10, the article's imputation."""
    rows = facts[(facts["field"] == "outcome_sd") & (facts["unit"] == "points 0 to 10") & (facts["chosen"] == "yes")]
    rows = rows[rows["outcome"].isin(outcomes)]
    return float(rows["number"].mean())
