"""The "what if" page: what changes when a reader changes an assumption, adds a trial or leaves out a comparison.

Trial-level estimates are not available. The page starts from the recovered network, whose pooled contrasts te and
standard errors s are implied by the print, and from the printed numbers of estimates k and of studies m of each
comparison. ``book/_static/explorer.js`` has the same equations; the tests compare the two.

Equations
---------
*Sampling variance of one estimate.* Under the random-effects model the pooled variance of k estimates with the same
sampling variance v is s^2 = (v + t) / k, where t is the between-study variance that the article used. t is not
printed, so it is a setting (``reference``), and

    v = k s^2 - t.

v > 0 must hold for every comparison; otherwise ``reference`` is not compatible with the print.

*Pooled variance under other assumptions.* With a between-study variance ``tau2`` and a correlation ``rho`` among the
k / m estimates that each study gives (of sampling errors and of true effects alike),

    s'^2 = (v + tau2) / k * (1 + (k / m - 1) rho).

Pooled te do not change: estimates of equal precision keep equal weights.

*New trial.* Hedges' g with its large-sample variance (:func:`psps_paper.effects.smd`), arm 1 against arm 2, signed so
that a positive te favours arm 1; its variance in the network is se^2 + tau2. It joins as a separate study.

*Network.* Generalised least squares on the pooled contrasts that are kept and on the new trial, each with the variance
above (:func:`psps_paper.network.fit_network`); on a tree without a new trial these are sums along the paths. For
estimates of equal precision this is the same as fitting all estimates one by one.

*Prediction interval.* te -+ t_d sqrt(se^2 + tau2), d = estimates - treatments (degrees of freedom of Q less one, as
elsewhere in this edition).

*Bayesian model.* tau has a half-normal prior of scale ``prior``, effects a flat one, and tau is integrated out. The k
estimates of a comparison are taken to differ as much as the print implies: their sum of squares about te is
(k - 1) k s^2, which makes the DL estimate of the whole network equal to ``reference``. Given tau the log-likelihood is
that of k - 1 residuals of variance v + tau^2 in each comparison, and of te with the pooled variance above at
tau2 = tau^2; so rho changes the weight of the mean, not the information of the residuals on tau. ``tau2`` is not used.

*Minimal important difference.* P(effect > mid) = Phi((te - mid) / se); in a new study
P(effect > mid) = F_d((te - mid) / sqrt(se^2 + tau2)), F_d the t distribution with d degrees of freedom.

*Ranking.* P-scores as in :func:`psps_paper.network.ranking.p_scores`; ``p_score_mid`` counts a competitor as beaten
only by more than ``mid``: the mean of Phi((te - mid) / se) over competitors. Rank probabilities are shares of
:func:`normal_points` mapped to the normal distribution of the estimates.

Assumptions beyond the print: estimates of one comparison are equally precise; every study of a comparison gives the
same number of estimates; the between-study variance is common; ``reference`` itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import scipy

from psps_paper import formatting
from psps_paper.article.published import PublishedNetwork
from psps_paper.book.display import Shown, show
from psps_paper.conclusions.robustness import clinical_scale
from psps_paper.effects import smd
from psps_paper.figures import forest_network
from psps_paper.figures.palette import class_colours
from psps_paper.network import fit_network, subnetworks
from psps_paper.network.model import Desirable, NetworkFit, t_quantile
from psps_paper.network.ranking import p_scores

DRAWS = 2**15  # rank probabilities are then within 0.001 of exact (tests/test_explorer.py)
DECIMALS = 4  # of the exported te and se: finer than the rounding of the print, and short enough to read
NEW_TRIAL = "new trial"
NODES, REACH = 600, 14.0  # nodes of the quadrature over tau, and its upper end in scales of the prior
# Limits of a new trial: values beyond them are mistakes, such as a wrong unit or an SE for an SD, or lose precision.
LIMITS = {"people": [2, 100_000], "mean": 1e6, "sd": [1e-6, 1e6], "smd": 100}


@dataclass(frozen=True)
class Trial:
    """A two-arm trial typed in by a reader: number of people, mean and SD of each arm."""

    treat1: str
    n1: int
    mean1: float
    sd1: float
    treat2: str
    n2: int
    mean2: float
    sd2: float


@dataclass(frozen=True)
class Settings:
    """Settings that a reader can change.

    Attributes
    ----------
    reference : float
        Between-study variance that the article is taken to have used, >= 0.
    tau2 : float
        Between-study variance to assume instead, >= 0.
    rho : float
        Correlation among the estimates of one study, in [0, 1].
    mid : float
        Minimal important difference in SMD, >= 0.
    level : float
        Level of both intervals, in (0, 1).
    keep : tuple of bool
        Whether each comparison is kept, in the order of the exported ``comparisons``.
    trial : Trial or None
    prior : float
        Scale of the half-normal prior of tau under the Bayesian model, > 0.
    """

    reference: float
    tau2: float
    rho: float
    mid: float
    level: float
    keep: tuple[bool, ...]
    trial: Trial | None = None
    prior: float = 0.5


def explorer_data(
    published: PublishedNetwork,
    comparisons: pd.DataFrame,
    agreeing: pd.Series,
    scale: pd.DataFrame,
    *,
    desirable: Desirable,
    scale_desirable: Desirable,
) -> dict[str, Any]:
    """Collect everything that the page needs, ready for JSON.

    Parameters
    ----------
    published : PublishedNetwork
    comparisons : DataFrame [treat1, treat2, n_studies, n_estimates]
        From :func:`psps_paper.article.published.comparisons`.
    agreeing : Series
        Between-study variance of data sets that agree with the print, from :func:`psps_paper.ensemble.agreeing_tau2`.
    scale : DataFrame
        The table ``clinical_scale`` (for the smallest important SMD, to the two decimals that the page shows).
    desirable, scale_desirable : {"lower", "higher"}
        Desirable direction of te, and of the outcome's own scale, used to type a new trial.

    Returns
    -------
    dict
        ``comparisons`` (treat1, treat2, te, se, estimates, studies), ``pairs``, ``desirable``, ``scale_desirable``,
        ``draws``, ``limits`` (of a new trial: :data:`LIMITS`), ``colours``, ``tau2`` (``allowed``: [low, high] of all
        printed numbers together; ``found``: [low, high] of the agreeing sets) and ``settings``, the defaults.
    """
    counts = comparisons.set_index(["treat1", "treat2"])
    rows = [
        {
            "treat1": row.treat1,
            "treat2": row.treat2,
            "te": round(float(row.te), DECIMALS),
            "se": round(float(row.se), DECIMALS),
            "estimates": int(counts.at[(row.treat1, row.treat2), "n_estimates"]),
            "studies": int(counts.at[(row.treat1, row.treat2), "n_studies"]),
        }
        for row in published.recovery.solution.itertuples()
    ]
    tau2 = round(float(agreeing.median()), 3)
    important = round(clinical_scale(scale).important_smd, 2)
    bounds, colours = published.bounds, class_colours()
    settings = Settings(reference=tau2, tau2=tau2, rho=0.0, mid=important, level=0.95, keep=(True,) * len(rows))
    return {
        "comparisons": rows,
        "pairs": [[row.treat1, row.treat2] for row in bounds.itertuples()],
        "desirable": desirable,
        "scale_desirable": scale_desirable,
        "draws": DRAWS,
        "limits": LIMITS,
        "colours": {treatment: colours[treatment] for treatment in published.recovery.treatments},
        "tau2": {
            "allowed": [
                round(float(bound), 3) for bound in (published.recovery.tau2_low, published.recovery.tau2_high)
            ],
            "found": [round(float(bound), 3) for bound in (agreeing.min(), agreeing.max())],
        },
        "settings": asdict(settings) | {"keep": list(settings.keep)},
    }


def default_settings(data: Mapping[str, Any]) -> Settings:
    """Return the initial settings of the page: the recovered network itself."""
    return Settings(**data["settings"] | {"keep": tuple(data["settings"]["keep"])})


def pooled_under(data: Mapping[str, Any], settings: Settings) -> pd.DataFrame:
    """Compute the published comparisons under other assumptions.

    Returns
    -------
    DataFrame [treat1, treat2, te, estimates, studies, variance, se]
        ``variance``: sampling variance of one estimate, k s^2 - reference; not positive where ``reference`` is not
        compatible with the print. ``se``: pooled standard error under ``tau2`` and ``rho``, NaN in that case.
    """
    rows = pd.DataFrame(data["comparisons"])
    k, m = rows["estimates"], rows["studies"]
    rows["variance"] = k * rows["se"] ** 2 - settings.reference
    inflation = 1 + (k / m - 1) * settings.rho
    rows["se"] = np.sqrt(((rows["variance"] + settings.tau2) / k * inflation).where(rows["variance"] > 0))
    return rows


def trial_contrast(trial: Trial, *, scale_desirable: Desirable) -> tuple[float, float]:
    """Compute te and se of a new trial, arm 1 against arm 2; te > 0 favours arm 1.

    Raises
    ------
    ValueError
        From :func:`psps_paper.effects.smd`, naming the value; or both arms have the same treatment; or a value or
        the SMD is outside :data:`LIMITS`.
    """
    if trial.treat1 == trial.treat2:
        raise ValueError(f"new trial: both arms are {trial.treat1!r}; expected two treatments")
    ranges = {"n": LIMITS["people"], "mean": [-LIMITS["mean"], LIMITS["mean"]], "sd": LIMITS["sd"]}
    for column in ("n1", "mean1", "sd1", "n2", "mean2", "sd2"):
        value, (low, high) = getattr(trial, column), ranges[column[:-1]]
        if not low <= value <= high:
            raise ValueError(f"new trial: {column} is {value!r}; expected {low:g} to {high:g}")
    te, se = smd(trial.n1, trial.mean1, trial.sd1, trial.n2, trial.mean2, trial.sd2)
    if abs(te) > LIMITS["smd"]:
        raise ValueError(f"new trial: its SMD is {float(te):g}; expected at most {LIMITS['smd']} either way")
    return (1 if scale_desirable == "higher" else -1) * float(te), float(se)


def explore(data: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Compute the results under given settings.

    Parameters
    ----------
    data : dict
        From :func:`explorer_data`.
    settings : Settings

    Returns
    -------
    dict
        ``status``: "ok"; "incompatible" (``reference`` leaves some comparison no sampling variance); "empty"; or
        "disconnected" (``parts`` lists the parts). ``comparisons``: treat1, treat2, variance, se. Only with "ok":
        ``treatments``, sorted, in the order of ``p_scores``, ``p_scores_mid``, ``mean_ranks`` and the rows of
        ``ranks`` (columns: rank 1, the best, and so on); ``df_predict``; ``contrasts`` (treat1, treat2, te, se, lower,
        upper, predict_lower, predict_upper, beyond, beyond_new), one for each pair of the network; ``trial`` (te, se,
        and ``difference``, ``difference_se``, ``p`` against the network estimate without it) or None; ``bayes``
        (``tau_mean``, and ``contrasts``: treat1, treat2, te, lower, upper, beyond, beyond_new). A value is None where a
        prediction has no degrees of freedom or a difference no counterpart.
    """
    pooled = pooled_under(data, settings)
    result: dict[str, Any] = {
        "status": "ok",
        "comparisons": [
            {"treat1": row.treat1, "treat2": row.treat2, "variance": row.variance, "se": _known(row.se)}
            for row in pooled.itertuples()
        ],
    }
    if not (pooled["variance"] > 0).all():
        return result | {"status": "incompatible"}
    kept = pooled[list(settings.keep)]
    rows = kept.assign(study=kept["treat1"] + " vs " + kept["treat2"])[["study", "treat1", "treat2", "te", "se"]]
    estimates = int(kept["estimates"].sum())
    trial = None
    if settings.trial is not None:
        te, se = trial_contrast(settings.trial, scale_desirable=data["scale_desirable"])
        trial = {"te": te, "se": se} | _against_network(rows, settings, te, se)
        joined = (NEW_TRIAL, settings.trial.treat1, settings.trial.treat2, te, np.sqrt(se**2 + settings.tau2))
        rows = pd.concat([rows, pd.DataFrame([joined], columns=rows.columns)], ignore_index=True)
        estimates += 1
    if rows.empty:
        return result | {"status": "empty"}
    parts = subnetworks(rows)
    if len(parts) > 1:
        return result | {"status": "disconnected", "parts": [sorted(part) for part in parts]}
    fit = fit_network(rows, tau2=0.0, level=settings.level)  # each se already includes the between-study variance
    df = estimates - len(fit.treatments)
    ranks = rank_shares(fit, data)
    return result | {
        "treatments": fit.treatments,
        "df_predict": df,
        "contrasts": [_contrast(fit, pair, settings, df) for pair in data["pairs"] if set(pair) <= set(fit.treatments)],
        "p_scores": p_scores(fit, desirable=data["desirable"]).tolist(),
        "p_scores_mid": _p_scores_beyond(fit, settings.mid, data["desirable"]).tolist(),
        "ranks": ranks.tolist(),
        "mean_ranks": (ranks @ np.arange(1, len(fit.treatments) + 1)).tolist(),
        "trial": trial,
        "bayes": bayes_under(data, settings, kept, None if trial is None else (trial["te"], trial["se"])),
    }


def bayes_under(
    data: Mapping[str, Any], settings: Settings, kept: pd.DataFrame, own: tuple[float, float] | None
) -> dict[str, Any]:
    """Fit the Bayesian model to the current contrasts, by Gauss-Legendre quadrature over tau.

    Parameters
    ----------
    data, settings
        As in :func:`explore`.
    kept : DataFrame
        Rows of :func:`pooled_under` that are kept in the network.
    own : (float, float) or None
        te and se of the new trial.
    """
    place, weight = _quadrature()
    tau = settings.prior * REACH * (1 + place) / 2
    variance, k, m = (kept[name].to_numpy(float) for name in ("variance", "estimates", "studies"))
    spread = k * kept["te"].index.map(lambda row: data["comparisons"][row]["se"]).to_numpy(float) ** 2
    one = variance + tau[:, None] ** 2
    pooled = one / k * (1 + (k / m - 1) * settings.rho)
    te, pairs = kept["te"].to_numpy(float), list(zip(kept["treat1"], kept["treat2"], strict=True))
    if own is not None:
        te, pairs = np.append(te, own[0]), [*pairs, (settings.trial.treat1, settings.trial.treat2)]
        pooled = np.column_stack([pooled, own[1] ** 2 + tau**2])
    names = sorted({name for pair in pairs for name in pair})
    x = np.array([[(name == first) - (name == second) for name in names[1:]] for first, second in pairs], float)
    information = (x.T / pooled[:, None, :]) @ x
    covariance = np.linalg.inv(information)
    effects = np.einsum("nij,nj->ni", covariance @ x.T, te / pooled)
    residual = te - effects @ x.T
    log = -((k - 1) * (np.log(one) + spread / one)).sum(axis=1) - (np.log(pooled) + residual**2 / pooled).sum(axis=1)
    log = (log - np.linalg.slogdet(information)[1] - (tau / settings.prior) ** 2) / 2
    share = weight * np.exp(log - log.max())
    share /= share.sum()
    contrasts = []
    for first, second in (pair for pair in data["pairs"] if set(pair) <= set(names)):
        side = np.array([(name == first) - (name == second) for name in names[1:]], float)
        mean, se = effects @ side, np.sqrt(np.einsum("i,nij,j->n", side, covariance, side))
        contrasts.append(_mixture(share, mean, se, tau, settings) | {"treat1": first, "treat2": second})
    return {"tau_mean": float(share @ tau), "contrasts": contrasts}


@lru_cache(maxsize=1)
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    """Compute the nodes and weights of the quadrature, cached since this takes longer than everything else."""
    return np.polynomial.legendre.leggauss(NODES)


def _mixture(
    share: np.ndarray, mean: np.ndarray, se: np.ndarray, tau: np.ndarray, settings: Settings
) -> dict[str, float]:
    """Compute the mean, equal-tailed interval and probabilities beyond ``mid`` of a mixture of normals."""

    def quantile(p: float) -> float:
        reach = 1 + abs(scipy.special.ndtri(min(p, 1 - p) / 2))
        ends = (mean - reach * se).min(), (mean + reach * se).max()
        return float(
            scipy.optimize.brentq(lambda x: share @ scipy.special.ndtr((x - mean) / se) - p, *ends, xtol=1e-12)
        )

    return {
        "te": float(share @ mean),
        "lower": quantile((1 - settings.level) / 2),
        "upper": quantile((1 + settings.level) / 2),
        "beyond": float(share @ scipy.special.ndtr((mean - settings.mid) / se)),
        "beyond_new": float(share @ scipy.special.ndtr((mean - settings.mid) / np.sqrt(se**2 + tau**2))),
    }


def _contrast(fit: NetworkFit, pair: list[str], settings: Settings, df: int) -> dict[str, Any]:
    first, second = pair
    te, se = fit.te.at[first, second], fit.se.at[first, second]
    spread = np.sqrt(se**2 + settings.tau2)
    reach = t_quantile(settings.level, df) * spread
    return {
        "treat1": first,
        "treat2": second,
        "te": float(te),
        "se": float(se),
        "lower": float(fit.lower.at[first, second]),
        "upper": float(fit.upper.at[first, second]),
        "predict_lower": _known(te - reach),
        "predict_upper": _known(te + reach),
        "beyond": float(scipy.special.ndtr((te - settings.mid) / se)),
        "beyond_new": float(scipy.special.stdtr(df, (te - settings.mid) / spread)) if df > 0 else None,
    }


def _against_network(rows: pd.DataFrame, settings: Settings, te: float, se: float) -> dict[str, float | None]:
    """Compare a new trial with the network estimate without it; None if the network has no such estimate."""
    pair = {settings.trial.treat1, settings.trial.treat2}
    if rows.empty or not any(pair <= part for part in subnetworks(rows)):
        return {"difference": None, "difference_se": None, "p": None}
    part = next(part for part in subnetworks(rows) if pair <= part)
    without = fit_network(rows[rows["treat1"].isin(part)], tau2=0.0)
    key = settings.trial.treat1, settings.trial.treat2
    difference = te - float(without.te.at[key])
    spread = float(np.sqrt(se**2 + settings.tau2 + without.se.at[key] ** 2))
    return {
        "difference": difference,
        "difference_se": spread,
        "p": float(2 * scipy.special.ndtr(-abs(difference) / spread)),
    }


def _p_scores_beyond(fit: NetworkFit, mid: float, desirable: Desirable) -> np.ndarray:
    sign = 1 if desirable == "higher" else -1
    n = len(fit.treatments)
    wins = scipy.special.ndtr((sign * fit.te.to_numpy() - mid) / (fit.se.to_numpy() + np.eye(n)))
    np.fill_diagonal(wins, 0.0)
    return wins.sum(axis=1) / (n - 1)


@lru_cache(maxsize=2)
def normal_points(draws: int, dimensions: int) -> np.ndarray:
    """Generate evenly spread points of the standard normal distribution.

    Returns
    -------
    ndarray [draws x dimensions]
        Normal quantiles of Halton's sequence in the bases 2, 3, 5 and so on, without its first point (zero).

    Source: Halton 1960.
    """
    sequence = scipy.stats.qmc.Halton(dimensions, scramble=False)
    sequence.fast_forward(1)
    return scipy.special.ndtri(sequence.random(draws))


def rank_shares(fit: NetworkFit, data: Mapping[str, Any]) -> np.ndarray:
    """Compute the probability of each rank, rank 1 being the best: ndarray [treatment x rank].

    Unlike :func:`psps_paper.network.ranking.rank_probabilities`, this uses fixed points instead of random draws, so
    that the page responds smoothly and the two programs agree.
    """
    n = len(fit.treatments)
    sign = 1 if data["desirable"] == "higher" else -1
    factor = np.linalg.cholesky(fit.covariance[1:, 1:])
    effects = np.zeros((data["draws"], n))
    effects[:, 1:] = normal_points(data["draws"], n - 1) @ factor.T
    best_first = np.argsort(-sign * (effects + fit.effects), axis=1)
    counts = np.bincount((best_first * n + np.arange(n)).ravel(), minlength=n * n)
    return counts.reshape(n, n) / data["draws"]


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def forest_rows(data: Mapping[str, Any], settings: Settings) -> pd.DataFrame:
    """Prepare contrasts for :func:`psps_paper.figures.forest_network`; tier "implied" with the default settings."""
    tier = (
        "implied"
        if settings == replace(default_settings(data), mid=settings.mid, level=settings.level)
        else "simulated"
    )
    contrasts = pd.DataFrame(explore(data, settings)["contrasts"])
    return contrasts.assign(
        label=contrasts["treat1"] + " against " + contrasts["treat2"], tier=tier, treatment_class=contrasts["treat2"]
    )[["label", "te", "lower", "upper", "predict_lower", "predict_upper", "tier", "treatment_class"]]


def show_explorer(data: Mapping[str, Any], *, effect: str) -> Shown:
    """Build the page's container: data, script, and a message with the forest plot for readers without JavaScript.

    ``effect`` is the name of the effect in the caption.
    """
    settings = default_settings(data)
    static = show(
        forest_network(
            forest_rows(data, settings),
            desirable=data["desirable"],
            name="explorer_forest",
            first="the first-named treatment",
            second="the second-named treatment",
        ),
        caption=(
            f"All pairs of treatments before anything is changed: {effect} with 95 % confidence intervals (implied) and"
            f" prediction intervals (simulated, for a between-study variance of {formatting.number(settings.tau2, 3)})."
        ),
        tier="implied and simulated",
    )
    payload = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    markup = (
        '<link rel="stylesheet" href="../_static/explorer.css">'
        '<div class="explorer" id="explorer"><div class="explorer-static">'
        "<p>The controls of this page need JavaScript, which is switched off or did not load. "
        "Without it, this is the network as recovered from the print.</p>"
        f'{static.markup}</div></div><script type="application/json" id="explorer-data">{payload}</script>'
        '<script defer src="../_static/explorer.js"></script>'
    )
    return Shown(markup, static.text)
