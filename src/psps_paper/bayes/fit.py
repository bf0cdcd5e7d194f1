"""Bayesian meta-analysis without sampling: normal given the standard deviations, which are integrated out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import pandas as pd
import scipy

from psps_paper.bayes.checks import finite, probability
from psps_paper.bayes.model import (
    LinearModel,
    basic_parameters,
    class_means,
    classes_of,
    component_basis,
    linear_model,
    moment_exists,
)
from psps_paper.bayes.posterior import Posterior
from psps_paper.bayes.priors import HalfNormal, TauPrior
from psps_paper.bayes.quadrature import Axis, Nodes, integrate, place_axes
from psps_paper.effects.checks import SMALLEST, choice
from psps_paper.network.model import prepare
from psps_paper.network.reduction import check_ratio, real_numbers, reduce_contrasts

Effects = Literal["exchangeable", "common", "fixed"]
# SDs within classes are considered up to this many times the spread of the data.
FAR = 1e6


def fit_bayes(
    contrasts: pd.DataFrame,
    tau_prior: TauPrior = HalfNormal(0.5),
    effect_sd: float = 100.0,
    level: float = 0.95,
    *,
    effect_mean: float = 0.0,
    reference: str | None = None,
    correlation: float | None = None,
    effects: Effects = "exchangeable",
    classes: str | None = None,
    class_sd_prior: TauPrior | None = None,
    inconsistency_sd: float = 0.0,
    separator: str | None = None,
    inactive: str | None = None,
) -> Posterior:
    """Fit a Bayesian meta-analysis of a network, or of one comparison, by quadrature over tau.

    Parameters
    ----------
    contrasts : DataFrame [study, treat1, treat2, te, se]
        As for ``fit_network``: te is treat1 minus treat2, and a study with a arms needs all a(a-1)/2 rows. With two
        treatments the fit is a pairwise meta-analysis. Rows without te or se are excluded and listed in ``excluded``.
    tau_prior : TauPrior
        Prior of the SD between studies, in the outcome's unit, such as :func:`half_normal`.
    effect_sd : float
        SD of the normal prior of the basic parameters (each other treatment minus the reference), in the outcome's
        unit; infinite for a flat prior.
    level : float
        Level of the equal-tailed intervals.
    effect_mean : float
        Mean of that prior.
    reference : str, optional
        Default: the first treatment in sorted order. With ``effect_sd=inf`` it has no influence.
    correlation : float, optional
        As in ``fit_network``: correlation between several estimates of one comparison from one study.
    effects : {"exchangeable", "common", "fixed"}
        Studies' true effects: "exchangeable", normal around the mean with SD tau; "common", all the same (tau is 0 and
        ``tau_prior`` is not used); or "fixed", unrelated, so that te is the precision-weighted mean of the studies in
        the data, with no priors and no prediction.
    classes : str, optional
        Columns ``<classes>1`` and ``<classes>2`` of ``contrasts`` name the classes of treat1 and treat2. Treatments of
        a class are then exchangeable: normal around the mean of their class, which has the prior of ``effect_sd``.
    class_sd_prior : TauPrior, optional
        Prior of the SD within classes; default ``tau_prior``.
    inconsistency_sd : float
        If above 0, each design departs from consistency by contrasts with this SD and correlation 1/2 (Jackson 2014).
    separator, inactive : str, optional
        Additive model: a treatment's effect is the sum of the effects of its components, which its name lists with
        ``separator`` between them; the inactive component has no effect. The prior of ``effect_sd`` is then the
        prior of each component.

    Returns
    -------
    Posterior

    Raises
    ------
    TypeError
        ``contrasts`` is not a DataFrame, or a prior is not valid.
    ValueError
        As ``fit_network``; an option or number out of range; under a flat prior, effects that the contrasts cannot
        separate.
    ConvergenceError
        The integral does not converge.

    Notes
    -----
    Given tau the posterior is multivariate normal, so the posterior is a mixture of normals over tau with
    weights from the marginal likelihood. The number of nodes is doubled until no result changes by more than 1e-11.

    Source: the model of Higgins & Whitehead 1996 with correlation 1/2 within multi-arm studies; integration over tau
    alone as in Röver 2020 for one comparison; class effects as in Dias 2018, chapter 8.
    Checked against: quadrature in R and JAGS 4.3.1 (networks), bayesmeta 3.4 (one comparison).

    Examples
    --------
    >>> rows = pd.DataFrame({"study": ["a", "b"], "treat1": "X", "treat2": "Y", "te": [0.3, 0.9], "se": [0.15, 0.25]})
    >>> post = fit_bayes(rows, HalfNormal(0.5), effect_sd=np.inf)
    >>> print(f"{post.te.at['X', 'Y']:.4f} {post.tau_mean:.4f}")
    0.5532 0.4123
    """
    level = probability(level, "level")
    choice(effects, "effects", get_args(Effects))
    within = class_sd_prior or tau_prior
    _check_prior(tau_prior, "tau_prior")
    _check_prior(within, "class_sd_prior")
    effect_sd, effect_mean = _effect_prior(effect_sd, effect_mean, effects)
    _check_spread(inconsistency_sd, correlation)
    design, te, se, used, excluded = prepare(contrasts, repeats=correlation is not None)
    check_ratio(se[None])
    names = design.treatments
    basis, labels, members = _basis(names, used, reference, classes, separator, inactive)
    model = linear_model(
        design,
        reduce_contrasts(design, te[None], se[None], correlation),
        basis,
        effect_mean=effect_mean,
        effect_sd=effect_sd,
        classes=members,
        inconsistency_sd=inconsistency_sd,
    )
    if np.isinf(effect_sd):
        _check_identified(model)
    priors = (tau_prior if effects == "exchangeable" else None, within if model.scaled.any() else None)
    with _in_double_precision(effect_sd, inconsistency_sd):
        rule, axes, change = _posterior_of_sds(model, priors)
    return Posterior(
        treatments=names,
        reference=reference or names[0],
        effects=effects,
        tau_prior=priors[0],
        class_sd_prior=priors[1],
        effect_sd=effect_sd,
        level=level,
        error_bound=change,
        log_marginal=np.nan if effects == "fixed" else rule.log_integral,
        contrasts=used,
        excluded=excluded,
        components=None if labels is None else _component_table(labels, rule),
        model=model,
        axes=axes,
        rule=rule,
    )


def _check_prior(prior: object, name: str) -> None:
    if not all(hasattr(prior, part) for part in ("bounds", "tail", "log_density", "quantile")):
        raise TypeError(f"{name}: {type(prior).__name__} given; expected a prior of tau, such as half_normal(0.5)")


def _check_spread(inconsistency_sd: object, correlation: object) -> None:
    if finite(inconsistency_sd, "inconsistency_sd") < 0:
        raise ValueError(f"inconsistency_sd={inconsistency_sd!r}: expected a number of at least 0")
    wrong = f"correlation={correlation!r}: expected a number in [0, 1)"
    if correlation is not None and not (
        np.asarray(correlation).ndim == 0 and 0 <= real_numbers(correlation, wrong) < 1
    ):
        raise ValueError(wrong)


def _effect_prior(effect_sd: object, effect_mean: object, effects: Effects) -> tuple[float, float]:
    """Check the SD and mean of the prior of effects, which fits of unrelated studies do not have."""
    wrong = f"effect_sd={effect_sd!r}: expected a number above 0, from {SMALLEST:g} on, or infinity for a flat prior"
    value = real_numbers(effect_sd, wrong)
    if value.ndim or not value >= SMALLEST:
        raise ValueError(wrong)
    mean = finite(effect_mean, "effect_mean")
    return (np.inf, 0.0) if effects == "fixed" else (float(value), mean)


def _basis(
    names: list[str],
    used: pd.DataFrame,
    reference: str | None,
    classes: str | None,
    separator: str | None,
    inactive: str | None,
) -> tuple[np.ndarray, list[str] | None, list[str] | None]:
    """Return the columns with the prior of effects, the names of components and the class of each treatment."""
    if separator is None and inactive is not None:
        raise ValueError(f"inactive={inactive!r}: expected together with separator")
    if separator is not None and classes is not None:
        raise ValueError("separator and classes: expected at most one of them")
    if separator is not None:
        basic_parameters(names, reference)
        labels, basis = component_basis(names, separator, inactive)
        return basis, labels, None
    if classes is not None:
        members = classes_of(used, classes, names)
        return class_means(names, members, reference), None, members
    return basic_parameters(names, reference), None, None


def _check_identified(model: LinearModel) -> None:
    flat = model.x[:, model.precision == 0]
    if np.linalg.matrix_rank(flat) < flat.shape[1]:
        raise ValueError(
            "effect_sd=inf: these contrasts cannot separate the effects, so the posterior is improper; "
            "use a finite effect_sd"
        )


@contextmanager
def _in_double_precision(effect_sd: float, inconsistency_sd: float) -> Iterator[None]:
    """Turn the error of a singular matrix into one that says that these SDs are too wide."""
    try:
        yield
    except np.linalg.LinAlgError as error:
        raise ValueError(
            f"effect_sd={effect_sd:g}, inconsistency_sd={inconsistency_sd:g}: too wide for double precision to "
            "separate effects that the data do not separate; use smaller ones"
        ) from error


def _posterior_of_sds(
    model: LinearModel, priors: tuple[TauPrior | None, TauPrior | None]
) -> tuple[Nodes, tuple[Axis | None, Axis | None], float]:
    """Integrate over tau and, if there are classes, the SD within them."""
    products = model.products()
    given = {k: prior for k, prior in enumerate(priors) if prior is not None}
    present = list(given)

    def log_and_moments(*values: np.ndarray, moments: bool) -> tuple[np.ndarray, tuple]:
        by_place = dict(zip(present, values, strict=True))
        k = len(values[0]) if values else 1
        log, carried = model.given(by_place.get(0, np.zeros(k)), by_place.get(1), products, moments=moments)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            prior = sum((given[place].log_density(value) for place, value in by_place.items()), np.zeros(k))
        # 0 / 0 for a prior that vanishes at an end
        return log + np.where(np.isnan(prior), -np.inf, prior), carried

    if not present:
        log, carried = log_and_moments(moments=True)
        rule = Nodes(np.zeros((1, 1)), np.ones(1), carried, float(log[0]), np.zeros((1, 1), int), 1.0)
        return rule, (None, None), 0.0

    def crude(*values: np.ndarray) -> np.ndarray:
        shape = values[0].shape
        return log_and_moments(*(value.ravel() for value in values), moments=False)[0].reshape(shape)

    low, scale = 0.01 * np.sqrt(model.d.min()), max(np.sqrt(model.d.max()), np.ptp(model.y))
    # Far beyond the data, double precision cannot separate the members of a class from its mean.
    largest = [[np.inf, FAR * scale][k] for k in present]
    axes = place_axes(crude, list(given.values()), [(low, 100 * scale)] * len(present), largest)

    order = 0
    while order < 2 and all(moment_exists(prior, model, order + 1, within=k == 1) for k, prior in enumerate(priors)):
        order += 1
    centres = np.stack([axis.at(np.zeros(1))[0] for axis in axes])
    rule, change = integrate(
        lambda *values: log_and_moments(*values, moments=True),
        axes,
        lambda nodes: _summaries(nodes, centres, order == 2),
        order,
    )
    placed = dict(zip(present, axes, strict=True))
    return _with_zero_tau(rule, present), (placed.get(0), placed.get(1)), change


def _summaries(rule: Nodes, centres: np.ndarray, moments_exist: bool) -> np.ndarray:
    """Compute the numbers that must converge: marginal likelihood, means, SDs and tail probabilities."""
    b, covariance = rule.carried
    diagonal = np.diagonal(covariance, axis1=1, axis2=2)
    # Bounded functions of the standard deviations, because their own moments need not exist.
    shares = rule.values / (rule.values + centres)
    light = rule.weight * ((1 - shares) ** 2).prod(axis=0)
    weight = rule.weight if moments_exist else light
    mean = weight @ b
    sd = np.sqrt(weight @ (diagonal + (b - mean) ** 2))
    # Tail probabilities of effects and of predictions, from which quantiles are computed.
    spread = np.sqrt(np.stack([diagonal, diagonal + (rule.values[0] ** 2)[:, None]]))
    typical = np.tensordot(light, spread, axes=(0, 1)) / light.sum()
    away = np.stack([b - mean, mean - b])[:, None] - 2 * typical[:, None]
    tails = np.tensordot(rule.weight, scipy.special.ndtr(away / spread), axes=(0, 2))
    return np.concatenate([[rule.log_integral], shares @ rule.weight, np.log(sd), mean / sd, tails.ravel()])


def _with_zero_tau(rule: Nodes, present: list[int]) -> Nodes:
    """Add zeros for tau if it is not an axis."""
    if present[0] == 0:
        return rule
    missing = np.zeros((1, len(rule.weight)))
    return replace(rule, values=np.vstack([missing, rule.values]), steps=np.vstack([missing.astype(int), rule.steps]))


def _component_table(labels: list[str], rule: Nodes) -> pd.DataFrame:
    b, covariance = rule.carried
    mean = rule.weight @ b
    variance = rule.weight @ (np.diagonal(covariance, axis1=1, axis2=2) + (b - mean) ** 2)
    n = len(labels)
    return pd.DataFrame({"mean": mean[:n], "sd": np.sqrt(variance[:n])}, index=pd.Index(labels, name="component"))
