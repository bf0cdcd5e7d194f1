"""What happens to each conclusion over an ensemble of trial-level sets that agree with the print."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import scipy

from psps_paper.ensemble.sampler import Ensemble, assumption_labels
from psps_paper.network.model import fit_network, fit_networks
from psps_paper.network.ranking import p_score_values
from psps_paper.network.robust import cluster_robust
from psps_paper.pairwise import published_fraction_at_bias

CORRELATIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
SHARED_CORRELATIONS = (0.25, 0.5, 0.75)  # of sampling errors and true effects; 0 is the fit as printed
REFITTED_ONE_BY_ONE = 200  # members, evenly spaced: each has a design of its own, and a share of them is known to within 0.07
_INTERVAL = (0.025, 0.5, 0.975)
_ABSENT = 2e3  # standard error that takes an estimate out of a likelihood-based fit


@dataclass(frozen=True)
class ClinicalScale:
    """Translation of an SMD to points of a scale from 0 to 10, and the least difference that matters.

    Attributes
    ----------
    sd : float
        Points that one SMD stands for.
    important : float
        Minimal clinically important difference, in points.
    """

    sd: float
    important: float

    @property
    def important_smd(self) -> float:
        """The least difference that matters, as an SMD."""
        return self.important / self.sd


def clinical_scale(table: pd.DataFrame) -> ClinicalScale:
    """The scale of the table ``clinical_scale``, where each value has its source."""
    values = table.set_index("quantity")["value"]
    return ClinicalScale(sd=float(values["points_per_smd"]), important=float(values["minimal_important_difference"]))


# --- members in parts ---------------------------------------------------------------------------------

_PART = 1000  # members of a task; fixed, so that no number depends on the workers


def over_members(function: Callable[..., dict[str, np.ndarray]], *arrays: np.ndarray) -> dict[str, np.ndarray]:
    """Compute arrays over members part by part, through joblib.

    Where it runs is joblib's: in this process by default, elsewhere within
    ``joblib.parallel_config(backend="loky" | "dask", n_jobs=...)``; a single part is not worth sending. The numbers are the
    same.

    Parameters
    ----------
    function : callable
        Of one part of each array; returns arrays whose first axis is members. It must be picklable.
    *arrays : numpy.ndarray
        Each [B x ...].

    Returns
    -------
    dict of numpy.ndarray
        What ``function`` returns, [B x ...].
    """
    # One layout in memory, as after a transfer: sums depend on it in their last bit.
    arrays = tuple(map(np.ascontiguousarray, arrays))
    starts = range(0, len(arrays[0]), _PART)
    if len(starts) == 1:
        return function(*arrays)
    from joblib import Parallel, delayed  # slow to load

    parts = Parallel()(delayed(function)(*(array[start : start + _PART] for array in arrays)) for start in starts)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


# --- refits -------------------------------------------------------------------------------------------


_FIELDS = ("te", "se", "predict_lower", "predict_upper", "tau2", "q", "i2", "i2_lower", "i2_upper")


def _fit(
    design: pd.DataFrame, method: str | float, correlation: float | None, te: np.ndarray, se: np.ndarray
) -> dict[str, np.ndarray]:
    fit = fit_networks(design, te, se, tau2=method, correlation=correlation)
    return {name: getattr(fit, name) for name in _FIELDS}


def _refit(
    methods: np.ndarray, design: pd.DataFrame, te: np.ndarray, se: np.ndarray, correlation: float | None = None
) -> dict[str, np.ndarray]:
    """Fit every member by its own tau2 method; arrays over members of the fields above.

    The engine knows no method "common": it is tau2 = 0.
    """
    out: dict[str, np.ndarray] = {"treatments": np.array(sorted({*design["treat1"], *design["treat2"]}))}
    for method in np.unique(methods):
        rows = methods == method
        fit = partial(_fit, design, 0.0 if method == "common" else str(method), correlation)
        for name, values in over_members(fit, te[rows], se[rows]).items():
            out.setdefault(name, np.empty((len(te), *values.shape[1:])))[rows] = values
    return out


def _methods(ensemble: Ensemble) -> np.ndarray:
    return ensemble.members["tau2_method"].to_numpy(str)


def refit_as_printed(ensemble: Ensemble) -> dict[str, np.ndarray]:
    """Every member fitted as the print implies: each estimate an independent study.

    Returns a dict of ``treatments`` [n] and arrays over members: ``te, se, predict_lower, predict_upper``
    [B x n x n] (row minus column), ``tau2, q, i2, i2_lower, i2_upper`` [B].
    """
    return _refit(_methods(ensemble), ensemble.design(), ensemble.te, ensemble.se)


def composite_estimates(ensemble: Ensemble, correlation: float) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """One estimate for each study: the mean of its estimates, whose sampling errors have this correlation.

    Returns the design [study, treat1, treat2] and te, se [B x S].

    Source: Borenstein, Hedges, Higgins & Rothstein 2009, Introduction to Meta-Analysis, chapter 24.
    """
    if not 0 <= correlation <= 1:
        raise ValueError(f"correlation={correlation}: expected a number in [0, 1]")
    studies = ensemble.evidence.studies
    belongs = ensemble.study[:, :, None] == np.arange(len(studies))
    counts = belongs.sum(axis=1)
    te = (ensemble.te[:, :, None] * belongs).sum(axis=1) / counts
    se_sum = (ensemble.se[:, :, None] * belongs).sum(axis=1)
    square_sum = (ensemble.se[:, :, None] ** 2 * belongs).sum(axis=1)
    variance = ((1 - correlation) * square_sum + correlation * se_sum**2) / counts**2
    pairs = ensemble.evidence.edges.iloc[studies["comparison"]]
    design = pd.DataFrame(
        {"study": studies["study"].to_numpy(), "treat1": pairs["treat1"].to_numpy(), "treat2": pairs["treat2"].to_numpy()}
    )
    return design, te, np.sqrt(variance)


def _by_pattern(ensemble: Ensemble) -> Iterator[tuple[np.ndarray, np.ndarray, pd.DataFrame]]:
    """Members that differ only in which study of a comparison gives how many estimates, since one design fits them all.

    Yields their rows [b], the columns of their estimates in the order of the design [b x m], and the design.
    """
    comparison, study = ensemble.evidence.studies["comparison"].to_numpy(), ensemble.study
    counts = (study[:, :, None] == np.arange(len(comparison))).sum(axis=1)
    # Studies are numbered anew: by comparison, and within it those with the most estimates first
    order = np.lexsort((-counts, np.broadcast_to(comparison, counts.shape)))
    number = np.take_along_axis(order.argsort(axis=1), study, axis=1)
    columns = number.argsort(axis=1, kind="stable")
    patterns, which = np.unique(np.sort(number, axis=1), axis=0, return_inverse=True)
    for k, pattern in enumerate(patterns):
        pairs = ensemble.evidence.edges.iloc[np.sort(comparison)[pattern]]
        rows = np.flatnonzero(which == k)
        yield rows, columns[rows], pairs[["treat1", "treat2"]].assign(study=pattern)


def refit_correlated(ensemble: Ensemble, correlation: float) -> dict[str, np.ndarray]:
    """Every member refitted with the estimates of a study correlated, in their sampling errors and in their true effects.

    Returns what :func:`refit_as_printed` does.

    Source: ``fit_networks(correlation=...)``.
    """
    methods, out = _methods(ensemble), {}
    for rows, columns, design in _by_pattern(ensemble):
        at = rows[:, None], columns
        fit = _refit(methods[rows], design, ensemble.te[at], ensemble.se[at], correlation)
        for name in _FIELDS:
            out.setdefault(name, np.empty((len(ensemble), *fit[name].shape[1:])))[rows] = fit[name]
    return out | {"treatments": fit["treatments"]}


def _contrast(fit: dict[str, np.ndarray], treat1: str, treat2: str, name: str) -> np.ndarray:
    order = list(fit["treatments"])
    return fit[name][:, order.index(treat1), order.index(treat2)]


def _summary(values: np.ndarray) -> dict[str, float]:
    low, median, high = np.quantile(values, _INTERVAL)
    return {"low": low, "median": median, "high": high}


# --- (a) unit of analysis -----------------------------------------------------------------------------


Refits = dict[str, dict[str, np.ndarray]]
BY_ITSELF, GROUPED, CORRELATED = "each estimate by itself", "one a study, correlation {:g}", "all estimates, correlation {:g}"


def refits_by_unit(ensemble: Ensemble, *more: float) -> Refits:
    """Members refitted when the estimates of one study are not taken as independent, by two models; keys name the setting.

    "One a study": the estimates of a study are averaged first; their sampling errors have the stated correlation,
    their true effects are the study's own (:func:`composite_estimates`). "All estimates": each stays in the network,
    and the stated correlation holds for sampling errors and true effects alike (:func:`refit_correlated`). Under the
    first a higher correlation leaves less of the spread to tau2, under the second it leaves less information and more tau2.
    Correlations are those of the constants above, and ``more``.
    """
    refits = {BY_ITSELF: refit_as_printed(ensemble)}
    for correlation in sorted({*CORRELATIONS, *more}):
        refits[GROUPED.format(correlation)] = _refit(_methods(ensemble), *composite_estimates(ensemble, correlation))
    for correlation in sorted({*SHARED_CORRELATIONS, *more}):
        refits[CORRELATED.format(correlation)] = refit_correlated(ensemble, correlation)
    return refits


def unit_of_analysis(ensemble: Ensemble, refits: Refits) -> pd.DataFrame:
    """Contrasts with the hub under each setting of :func:`refits_by_unit`.

    Returns
    -------
    pandas.DataFrame
        One row a setting and contrast: ``setting, treat1, treat2``; median and central 95 % range over the
        members of ``te, se, p, lower, upper, tau2`` (columns ``<name>_low, _median, _high``) and
        ``significant`` (share of members with p < 0.05).
    """
    rows = []
    for setting, fit in refits.items():
        for edge in ensemble.evidence.edges.itertuples():
            te, se = (_contrast(fit, edge.treat1, edge.treat2, name) for name in ("te", "se"))
            p = 2 * scipy.special.ndtr(-np.abs(te / se))
            half = scipy.special.ndtri(0.975) * se
            values = {"te": te, "se": se, "p": p, "lower": te - half, "upper": te + half, "tau2": fit["tau2"]}
            row = {"setting": setting, "treat1": edge.treat1, "treat2": edge.treat2}
            for name, value in values.items():
                row |= {f"{name}_{end}": x for end, x in _summary(value).items()}
            rows.append(row | {"significant": float((p < 0.05).mean())})
    return pd.DataFrame(rows)


def lower_limits_by_unit(ensemble: Ensemble, refits: Refits) -> pd.DataFrame:
    """Quantiles over the members of the lower confidence limit, by contrast and setting.

    Returns
    -------
    pandas.DataFrame
        ``label`` (other treatment and setting), ``q025, q25, q50, q75, q975``; a limit above zero means that the
        first-named treatment, the hub, is significantly better.
    """
    quantiles = {"q025": 0.025, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q975": 0.975}
    rows = []
    for setting, fit in refits.items():
        for edge in ensemble.evidence.edges.itertuples():
            te, se = (_contrast(fit, edge.treat1, edge.treat2, name) for name in ("te", "se"))
            lower = te - scipy.special.ndtri(0.975) * se
            rows.append({"treat2": edge.treat2, "label": f"{edge.treat2}: {setting}",
                         **{name: float(np.quantile(lower, q)) for name, q in quantiles.items()}})
    return pd.DataFrame(rows).sort_values("treat2", kind="stable").drop(columns="treat2").reset_index(drop=True)


def ranking_by_unit(ensemble: Ensemble, refits: Refits) -> pd.DataFrame:
    """P-scores and ranks under each setting of :func:`refits_by_unit`.

    Returns
    -------
    pandas.DataFrame
        ``setting, treatment``, P-score ``low, median, high`` and ``rank_1`` to ``rank_n`` (share of members).
    """
    rows = []
    for setting, fit in refits.items():
        scores = p_score_values(fit["te"], fit["se"], desirable=ensemble.evidence.desirable)
        ranks = (-scores).argsort(axis=1).argsort(axis=1) + 1
        for k, treatment in enumerate(fit["treatments"]):
            shares = {f"rank_{r}": float((ranks[:, k] == r).mean()) for r in range(1, scores.shape[1] + 1)}
            rows.append({"setting": setting, "treatment": treatment, **_summary(scores[:, k]), **shares})
    return pd.DataFrame(rows)


def one_by_one(ensemble: Ensemble) -> np.ndarray:
    """Row numbers of the members that are refitted one by one: evenly spaced, so from every combination and chain."""
    step = max(1, len(ensemble) // REFITTED_ONE_BY_ONE)
    return np.arange(0, len(ensemble), step)


def _estimates(ensemble: Ensemble) -> pd.DataFrame:
    """Row [study, treat1, treat2, te, se] of each estimate, to which a member's values are given."""
    return ensemble.contrasts(0)


def _member(rows: pd.DataFrame, names: np.ndarray, te: np.ndarray, se: np.ndarray, study: np.ndarray) -> pd.DataFrame:
    return rows.assign(study=names[study], te=te, se=se)


def _cluster_robust(
    rows: pd.DataFrame, names: np.ndarray, te: np.ndarray, se: np.ndarray, study: np.ndarray, tau2: np.ndarray
) -> dict[str, np.ndarray]:
    fits = [
        cluster_robust(fit_network(_member(rows, names, *member), tau2=float(variance), correlation=0.0))
        for *member, variance in zip(te, se, study, tau2, strict=True)
    ]
    columns = {name: np.array([getattr(fit, name).to_numpy() for fit in fits]) for name in ("te", "se", "df", "lower", "upper")}
    return columns | {"treatments": np.array([fit.te.columns for fit in fits], dtype=str)}


def cluster_robust_contrasts(ensemble: Ensemble) -> pd.DataFrame:
    """Contrasts with the hub by cluster-robust (CR2) standard errors, studies as clusters.

    The estimates stay as they are; their variance comes from what the studies leave over, with Satterthwaite's degrees
    of freedom of t. Members are those of :func:`one_by_one`. A comparison from one study has none.

    Returns
    -------
    pandas.DataFrame
        ``treat1, treat2, studies``; ``df_, se_, p_, lower_, upper_`` with ``low, median, high`` over members;
        ``significant``. NaN where the comparison rests on one study. Below 4 degrees of freedom p and limits are
        not to be trusted (Tipton 2015).

    Source: ``network.robust.cluster_robust``, tau2 of each member as it was sampled.
    """
    taken = one_by_one(ensemble)
    studies = ensemble.evidence.studies
    fit = over_members(
        partial(_cluster_robust, _estimates(ensemble), studies["study"].to_numpy()),
        ensemble.te[taken], ensemble.se[taken], ensemble.study[taken], ensemble.tau2[taken],
    )  # fmt: skip
    fit |= {"treatments": fit["treatments"][0]}
    names = ("df", "se", "p", "lower", "upper")
    rows = []
    for k, edge in enumerate(ensemble.evidence.edges.itertuples()):
        values = {name: _contrast(fit, edge.treat1, edge.treat2, name) for name in ("te", *names) if name != "p"}
        row = {"treat1": edge.treat1, "treat2": edge.treat2, "studies": int((studies["comparison"] == k).sum())}
        if np.isnan(values["se"]).all():
            empty = {f"{name}_{end}": np.nan for name in names for end in ("low", "median", "high")}
            rows.append(row | empty | {"significant": np.nan})
            continue
        with np.errstate(divide="ignore"):
            values["p"] = 2 * scipy.special.stdtr(values["df"], -np.abs(values["te"] / values["se"]))
        for name in names:
            row |= {f"{name}_{end}": x for end, x in _summary(values[name]).items()}
        rows.append(row | {"significant": float((values["p"] < 0.05).mean())})
    return pd.DataFrame(rows)


# --- (b) prediction -----------------------------------------------------------------------------------


def prediction_intervals(ensemble: Ensemble) -> pd.DataFrame:
    """Range in which the true effect of a new study would lie, over the members.

    Returns
    -------
    pandas.DataFrame
        ``treat1, treat2``; ``lower_, upper_`` with ``low, median, high``; ``excludes_zero`` (share of members);
        ``favours_first`` (median probability that a new study's true effect is above zero).

    Source: Riley, Higgins & Deeks 2011, BMJ 342:d549, with Q's degrees of freedom less one.
    """
    fit = refit_as_printed(ensemble)
    rows = []
    for edge in ensemble.evidence.edges.itertuples():
        te, se, lower, upper = (
            _contrast(fit, edge.treat1, edge.treat2, name) for name in ("te", "se", "predict_lower", "predict_upper")
        )
        row = {"treat1": edge.treat1, "treat2": edge.treat2}
        for name, value in (("lower", lower), ("upper", upper)):
            row |= {f"{name}_{end}": x for end, x in _summary(value).items()}
        above = scipy.special.stdtr(ensemble.evidence.df - 1, te / np.sqrt(se**2 + fit["tau2"]))
        rows.append(row | {"excludes_zero": float(((lower > 0) | (upper < 0)).mean()), "favours_first": float(np.median(above))})
    return pd.DataFrame(rows)


# --- (c) leave one study out --------------------------------------------------------------------------


def leave_one_study_out(ensemble: Ensemble) -> pd.DataFrame:
    """Refit without each study in turn, tau2 estimated again.

    Returns
    -------
    pandas.DataFrame
        One row a study: ``study, ref, treat1, treat2`` (its comparison); ``te_, p_`` with ``low, median, high``;
        ``significant`` (share of members with p < 0.05) and ``estimable`` (False where no study is left).

    Raises
    ------
    ValueError
        For members by DL, whose tau2 needs the degrees of freedom that absent estimates still count for.
    """
    methods = set(ensemble.members["tau2_method"])
    if "DL" in methods:
        raise ValueError("leave_one_study_out: members by DL are not supported; expected REML, ML or common")
    studies, edges = ensemble.evidence.studies, ensemble.evidence.edges
    rows = []
    for s, study in studies.iterrows():
        edge = edges.iloc[study["comparison"]]
        row = {"study": study["study"], "ref": study["ref"], "treat1": edge["treat1"], "treat2": edge["treat2"]}
        if (studies["comparison"] == study["comparison"]).sum() == 1:
            empty = {f"{n}_{e}": np.nan for n in ("te", "p") for e in ("low", "median", "high")}
            rows.append(row | empty | {"significant": np.nan, "estimable": False})
            continue
        se = np.where(ensemble.study == s, _ABSENT, ensemble.se)
        fit = _refit(_methods(ensemble), ensemble.design(), ensemble.te, se)
        te, error = (_contrast(fit, edge["treat1"], edge["treat2"], name) for name in ("te", "se"))
        p = 2 * scipy.special.ndtr(-np.abs(te / error))
        for name, value in (("te", te), ("p", p)):
            row |= {f"{name}_{end}": x for end, x in _summary(value).items()}
        rows.append(row | {"significant": float((p < 0.05).mean()), "estimable": True})
    return pd.DataFrame(rows)


# --- (d) small-study bias -----------------------------------------------------------------------------


def selection_bounds(ensemble: Ensemble) -> pd.DataFrame:
    """Fraction published at which selection alone could explain each result.

    Returns
    -------
    pandas.DataFrame
        ``treat1, treat2``; ``estimate_`` (fraction at which the whole pooled te could be bias) and ``limit_`` (at
        which its lower limit could), each with ``low, median, high``; NaN where the interval includes zero. A
        fraction near 1 means that little unpublished evidence would do.

    Source: Copas & Jackson 2004, Biometrics 60:146, through ``pairwise.published_fraction_at_bias``.
    """
    rows = []
    w = 1 / (ensemble.se**2 + ensemble.tau2[:, None])
    for k, edge in enumerate(ensemble.evidence.edges.itertuples()):
        columns = ensemble.evidence.estimates == k
        total = w[:, columns].sum(axis=1)
        te = (w[:, columns] * ensemble.te[:, columns]).sum(axis=1) / total
        row = {"treat1": edge.treat1, "treat2": edge.treat2}
        for name, bias in (("estimate", te), ("limit", te - scipy.special.ndtri(0.975) / np.sqrt(total))):
            if (bias <= 0).all():
                row |= dict.fromkeys((f"{name}_low", f"{name}_median", f"{name}_high"), np.nan)
                continue
            above = bias > 0
            fractions = published_fraction_at_bias(bias[above], ensemble.se[above][:, columns], ensemble.tau2[above])
            row |= {f"{name}_{end}": x for end, x in _summary(fractions).items()}
        rows.append(row)
    return pd.DataFrame(rows)


# --- (e) the next trial -------------------------------------------------------------------------------


def next_trial(ensemble: Ensemble, sizes: Sequence[int] = (50, 100, 200, 400)) -> pd.DataFrame:
    """What one more parallel trial of ``n`` patients would change, before its result is known.

    The new estimate is predicted from the member (normal, variance se^2 + tau2 + its own sampling variance) and
    pooled with fixed tau2.

    Returns
    -------
    pandas.DataFrame
        One row a contrast with the hub and size: ``treat1, treat2, n``; medians over members of ``se_now``,
        ``se_then``, ``significant_then`` (probability that p < 0.05 after the trial, in either direction) and
        ``changes`` (probability that significance is gained or lost).
    """
    fit = refit_as_printed(ensemble)
    rows = []
    for edge in ensemble.evidence.edges.itertuples():
        te, se = (_contrast(fit, edge.treat1, edge.treat2, name) for name in ("te", "se"))
        tau2 = fit["tau2"]
        for n in sizes:
            if n < 4:
                raise ValueError(f"sizes: {n} is not a number of patients of at least 4")
            sampling = 4 / n + te**2 / (2 * n)
            w_old, w_new = 1 / se**2, 1 / (tau2 + sampling)
            se_then = 1 / np.sqrt(w_old + w_new)
            # pooled te after the trial ~ N(te, spread^2) over predicted results
            spread = w_new / (w_old + w_new) * np.sqrt(se**2 + tau2 + sampling)
            critical = scipy.special.ndtri(0.975) * se_then
            then = scipy.special.ndtr((te - critical) / spread) + scipy.special.ndtr((-te - critical) / spread)
            now = np.abs(te / se) > scipy.special.ndtri(0.975)
            rows.append(
                {
                    "treat1": edge.treat1, "treat2": edge.treat2, "n": n,
                    "se_now": np.median(se), "se_then": np.median(se_then),
                    "significant_then": np.median(then), "changes": np.median(np.where(now, 1 - then, then)),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


# --- conclusions --------------------------------------------------------------------------------------


def _verdict(as_printed: float, worst: float, predicted: float | None) -> str:
    """In words, from shares of members: as printed, at worst over the models of dependence, and for a new study."""
    if as_printed < 0.95:
        return "not settled by what is printed"
    if worst < 0.5:
        return "depends on how several estimates of one study are treated"
    if worst < 0.95:
        return "mostly holds, but depends on how several estimates of one study are treated"
    if predicted is None:
        return "holds"
    return "holds on average, and for a new study" if predicted >= 0.95 else "holds on average; a new study may differ"


def robustness_of_conclusions(ensemble: Ensemble, scale: ClinicalScale, correlation: float = 0.5) -> pd.DataFrame:
    """Each conclusion of the article as a row.

    Parameters
    ----------
    ensemble : Ensemble
    scale : ClinicalScale
    correlation : float
        Within-study correlation at which ``holds_grouped`` and ``holds_correlated`` are given.

    Returns
    -------
    pandas.DataFrame
        ``conclusion, treat1, treat2``; ``studies, estimates, patients_low, patients_high`` that it rests on
        (patients where known: a range); shares of members in which it holds: ``holds_as_printed``,
        ``holds_grouped`` (one estimate a study), ``holds_correlated`` (all estimates, correlated),
        ``holds_worst`` (least over both models and all their correlations), ``holds_grouped_low`` and
        ``holds_grouped_high`` (``holds_grouped`` by combination of assumptions, least and greatest);
        ``te, predict_lower, predict_upper`` (medians); ``points, points_lower, points_upper`` (0-10 scale, positive
        in favour of treat1) and ``important`` (whether the interval of the mean effect reaches, lies above or stays
        below the minimal important difference); ``verdict``.
    """
    evidence = ensemble.evidence
    refits = refits_by_unit(ensemble, correlation)
    as_printed = refits.pop(BY_ITSELF)
    grouped, correlated = refits[GROUPED.format(correlation)], refits[CORRELATED.format(correlation)]
    combinations = assumption_labels(ensemble.members).to_numpy()
    hub = evidence.edges["treat1"].iloc[0]
    sign = 1.0 if evidence.desirable == "higher" else -1.0

    def z(fit, edge):
        return sign * _contrast(fit, edge.treat1, edge.treat2, "te") / _contrast(fit, edge.treat1, edge.treat2, "se")

    def better(fit, edge):
        return z(fit, edge) > scipy.special.ndtri(0.975)

    def no_difference(fit, edge):
        return np.abs(z(fit, edge)) < scipy.special.ndtri(0.975)

    def ranked(place):
        def has_place(fit, treatment):
            scores = p_score_values(fit["te"], fit["se"], desirable=evidence.desirable)
            ranks = (-scores).argsort(axis=1).argsort(axis=1)
            return ranks[:, list(fit["treatments"]).index(treatment)] == place

        return has_place

    def shares(test, of) -> dict[str, float]:
        settings = [test(fit, of).mean() for fit in refits.values()]
        by_combination = pd.Series(test(grouped, of)).groupby(combinations).mean()
        return {
            "holds_as_printed": float(test(as_printed, of).mean()),
            "holds_grouped": float(test(grouped, of).mean()),
            "holds_correlated": float(test(correlated, of).mean()),
            "holds_worst": float(min(settings)),
            "holds_grouped_low": float(by_combination.min()),
            "holds_grouped_high": float(by_combination.max()),
        }

    def basis(edges, studies) -> dict[str, float]:
        return {
            "studies": len(studies), "estimates": int(edges["estimates"].sum()),
            "patients_low": studies["n_low"].sum(), "patients_high": studies["n_high"].sum(),
        }  # fmt: skip

    rows = []
    for k, edge in enumerate(evidence.edges.itertuples()):
        shown_difference = better(as_printed, edge).mean() >= 0.5
        test = better if shown_difference else no_difference
        text = f"{edge.treat1} better than {edge.treat2}" if shown_difference else f"no difference shown between {edge.treat1} and {edge.treat2}"
        held = shares(test, edge)
        te, se, low, high = (
            _contrast(as_printed, edge.treat1, edge.treat2, n) for n in ("te", "se", "predict_lower", "predict_upper")
        )
        centre, error = sign * np.median(te), np.median(se)
        ends = [scale.sd * x for x in (centre - scipy.special.ndtri(0.975) * error, centre + scipy.special.ndtri(0.975) * error)]
        if ends[0] >= scale.important:
            important = "above the minimal important difference"
        else:
            important = "may reach it" if ends[1] >= scale.important else "below the minimal important difference"
        towards = low if sign > 0 else -high
        predicted = float((towards > 0).mean() if shown_difference else ((low < 0) & (high > 0)).mean())
        rows.append(
            {
                "conclusion": text, "treat1": edge.treat1, "treat2": edge.treat2,
                **basis(evidence.edges.iloc[[k]], evidence.studies[evidence.studies["comparison"] == k]), **held,
                "te": np.median(te), "predict_lower": np.median(low), "predict_upper": np.median(high),
                "points": scale.sd * centre, "points_lower": ends[0], "points_upper": ends[1], "important": important,
                "verdict": _verdict(held["holds_as_printed"], held["holds_worst"], predicted),
            }
        )  # fmt: skip
    scores = np.median(p_score_values(as_printed["te"], as_printed["se"], desirable=evidence.desirable), axis=0)
    order = [str(t) for t in as_printed["treatments"][np.argsort(-scores)]]
    for place, treatment in enumerate(order[:2]):
        held = shares(ranked(place), treatment)
        edges = evidence.edges if treatment == hub else evidence.edges[evidence.edges["treat2"] == treatment]
        rows.append(
            {
                "conclusion": f"{treatment} ranked {('first', 'second')[place]}", "treat1": treatment,
                **basis(edges, evidence.studies[evidence.studies["comparison"].isin(edges.index)]), **held,
                "verdict": _verdict(held["holds_as_printed"], held["holds_worst"], None),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)
