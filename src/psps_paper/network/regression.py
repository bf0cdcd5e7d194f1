"""Network meta-regression: how treatment effects change with a characteristic of the studies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Literal, cast, get_args

import numpy as np
import pandas as pd

from psps_paper.effects.checks import LARGEST, choice, one_number
from psps_paper.network.heterogeneity import least_squares, log_likelihood, p_of_q
from psps_paper.network.model import between_variance, differences, prepare, standard_errors
from psps_paper.network.reduction import Design, Reduced, check_ratio, multi_arm_notes, reduce_contrasts
from psps_paper.network.results import Result, as_text, pairs_frame, square, with_limits
from psps_paper.network.tau2_search import Tau2Maxima, Tau2Maximum

Interaction = Literal["common", "independent"]
# A coefficient is estimable if its part outside the space that the studies compare is no larger than this.
ESTIMABLE = 1e-8


@dataclass(frozen=True, eq=False)
class NetworkMetaRegression(Result):
    """Result of :func:`network_meta_regression`.

    Attributes
    ----------
    coefficients : DataFrame [term x estimate, se, lower, upper, p]
        First each treatment minus the reference, at the centre of the covariate; then the slopes: one term named after
        the covariate ("common"), or "covariate:treatment" for each treatment ("independent").
    covariance : DataFrame [term x term]
    te, se : DataFrame [treatment x treatment]
        Row minus column at the centre of the covariate.
    tau2, tau2_method : float, str
        Residual between-study variance.
    tau2_without_covariate : float
        By the same estimator.
    tau2_maxima : tuple of Tau2Maximum
        Under REML and ML, all local maxima, the highest first.
    q_interaction, df_interaction, p_interaction : float, int, float
        Wald test that all slopes are 0.
    q_residual, df_residual, p_residual : float, int, float
        Residual heterogeneity and inconsistency, with common-effect weights.
    log_likelihood : float
        As in :class:`NetworkFit`: restricted, without the constant ``log|X'X| / 2``, under REML; only ML
        likelihoods can be compared between covariates.
    treatments : list of str
    reference, interaction, covariate : str
    centre : float
        Mean of the covariate over studies.
    left_out : tuple of str
        Slopes that the studies cannot separate from effects, such as that of a treatment in only one study; they are
        fixed at 0.
    level : float
    data : DataFrame [study, treat1, treat2, te, se, covariate]
        The contrasts used, as needed for a bubble plot.
    excluded : DataFrame
    notes : tuple of str
    """

    coefficients: pd.DataFrame
    covariance: pd.DataFrame
    te: pd.DataFrame
    se: pd.DataFrame
    tau2: float
    tau2_method: str
    tau2_without_covariate: float
    tau2_maxima: tuple[Tau2Maximum, ...]
    q_interaction: float
    df_interaction: int
    p_interaction: float
    q_residual: float
    df_residual: int
    p_residual: float
    log_likelihood: float
    treatments: list[str]
    reference: str
    interaction: str
    covariate: str
    centre: float
    left_out: tuple[str, ...]
    level: float
    data: pd.DataFrame
    excluded: pd.DataFrame
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return the coefficients."""
        return self.coefficients

    def predict(self, value: float) -> pd.DataFrame:
        """Predict the effects of all pairs of treatments at a value of the covariate.

        Returns
        -------
        DataFrame [treat1, treat2, te, se, lower, upper]
            treat1 minus treat2.
        """
        value = one_number(value, "value", "finite")
        terms = list(self.coefficients.index)
        load = np.zeros((len(self.treatments), len(terms)))
        for k, name in enumerate(self.treatments):
            if name != self.reference:
                load[k, terms.index(name)] = 1.0
                slope = self.covariate if self.interaction == "common" else f"{self.covariate}:{name}"
                if slope in terms:
                    load[k, terms.index(slope)] = value - self.centre
        effects = load @ self.coefficients["estimate"].to_numpy()
        covariance = load @ self.covariance.to_numpy() @ load.T
        columns = with_limits(differences(effects), standard_errors(covariance), self.level)
        return pairs_frame(
            self.treatments, {name: square(columns[name], self.treatments) for name in ("te", "se", "lower", "upper")}
        )

    def summary(self) -> str:
        """Format coefficients and tests as text."""
        lines = [
            (
                f"Network meta-regression on {self.covariate} (centre {as_text(self.centre)}; {self.interaction}"
                f" slopes; reference {self.reference}; tau2: {self.tau2_method})"
            ),
            "",
            self.coefficients.to_string(float_format=as_text),
            "",
            f"tau2 {as_text(self.tau2)} (without covariate {as_text(self.tau2_without_covariate)})",
            f"Slopes: Q = {as_text(self.q_interaction)}, df {self.df_interaction}, p {as_text(self.p_interaction)}",
            f"Residual: Q = {as_text(self.q_residual)}, df {self.df_residual}, p {as_text(self.p_residual)}",
            *self.notes,
        ]
        return "\n".join(lines)


def network_meta_regression(
    contrasts: pd.DataFrame,
    covariate: pd.Series | Mapping[str, float],
    reference: str,
    interaction: Interaction = "common",
    tau2: str | float = "REML",
    level: float = 0.95,
    *,
    loop_tolerance: float | None = None,
) -> NetworkMetaRegression:
    """Fit a random-effects network meta-regression on one characteristic of the studies.

    Parameters
    ----------
    contrasts : DataFrame [study, treat1, treat2, te, se]
        As in :func:`fit_network`.
    covariate : Series by study
        A finite number for each study of ``contrasts``; code two groups as 0 and 1. Its name labels the slopes ("x" if
        it has none). Other studies are ignored. The covariate is centred at its mean over studies.
    reference : str
        The treatment to which effects and slopes refer.
    interaction : {"common", "independent"}
        "common": the same slope for every treatment against the reference, so that the covariate does not change
        differences between other treatments. "independent": a separate slope for each treatment.
    tau2 : {"REML", "ML", "DL"} or float
        Estimator of the between-study variance, or its value.
    level : float
        Of all intervals, which are normal.
    loop_tolerance : float, optional
        As in :func:`fit_network`.

    Returns
    -------
    NetworkMetaRegression

    Raises
    ------
    ValueError
        As :func:`fit_network`; a study without a value; a reference that is not a treatment; a covariate that does not
        vary, or whose slopes the studies cannot separate from effects; a name that is also a treatment's.

    Source: Cooper et al. 2009, Stat Med 28:1861; Dias et al. 2013, Med Decis Making 33:618.
    Checked against: metafor 3.8-1 rma.mv(struct = "CS", rho = 0.5), and our own maximisation in R.

    Examples
    --------
    >>> rows = [("1", "A", "P", 0.9, 0.2), ("2", "A", "P", 0.5, 0.2)]
    >>> rows += [("3", "B", "P", 0.3, 0.2), ("4", "A", "B", 0.4, 0.2)]
    >>> contrasts = pd.DataFrame(rows, columns=["study", "treat1", "treat2", "te", "se"])
    >>> fit = network_meta_regression(contrasts, {"1": 60, "2": 50, "3": 50, "4": 40}, reference="P", tau2=0)
    >>> fit.coefficients["estimate"].round(3).to_dict()
    {'A': 0.567, 'B': 0.233, 'x': 0.033}
    """
    choice(interaction, "interaction", get_args(Interaction))
    level = one_number(level, "level", "level")
    if loop_tolerance is not None:
        loop_tolerance = one_number(loop_tolerance, "loop_tolerance", "not negative")
    design, te, se, used, excluded = prepare(contrasts, repeats=False)
    check_ratio(se[None])
    model = _model(design, covariate, reference, interaction)
    rows = reduce_contrasts(design, te[None], se[None], None, loop_tolerance)
    fit = _fit(model, rows, tau2)
    terms, n = [*model.others, *model.slopes], len(model.others)
    base = design.treatments.index(reference)
    effects = np.insert(fit.estimate[:n], base, 0.0)
    covariance = np.insert(np.insert(fit.covariance[:n, :n], base, 0.0, axis=0), base, 0.0, axis=1)
    table = with_limits(fit.estimate, np.sqrt(np.diag(fit.covariance)), level)
    return NetworkMetaRegression(
        coefficients=pd.DataFrame(table, index=pd.Index(terms, name="term")).rename(columns={"te": "estimate"}),
        covariance=pd.DataFrame(fit.covariance, index=terms, columns=terms),
        te=square(differences(effects), design.treatments),
        se=square(standard_errors(covariance), design.treatments),
        tau2=fit.tau2,
        tau2_method=tau2 if isinstance(tau2, str) else "fixed",
        tau2_without_covariate=fit.tau2_without,
        tau2_maxima=() if fit.maxima is None else fit.maxima.of(0),
        q_interaction=fit.q_interaction,
        df_interaction=len(model.slopes),
        p_interaction=float(p_of_q(np.array(fit.q_interaction), len(model.slopes))),
        q_residual=fit.q_residual,
        df_residual=fit.df,
        p_residual=float(p_of_q(np.array(fit.q_residual), fit.df)),
        log_likelihood=fit.log_likelihood,
        treatments=design.treatments,
        reference=reference,
        interaction=interaction,
        covariate=model.name,
        centre=model.centre,
        left_out=model.left_out,
        level=level,
        data=used.assign(covariate=model.values[design.study]),
        excluded=excluded,
        notes=multi_arm_notes(design, te, se, loop_tolerance) + _notes(model.left_out),
    )


@dataclass(frozen=True, eq=False)
class _Model:
    """The covariate of each study, and the loadings of each slope."""

    name: str
    values: np.ndarray  # [study]
    centre: float
    others: list[str]  # treatments except the reference
    base: int
    slopes: dict[str, np.ndarray]  # by term: loading of each treatment
    left_out: tuple[str, ...]

    @property
    def unit(self) -> float:
        """Largest distance from the centre; fitting in this unit makes rounding independent of the covariate's unit."""
        return float(np.abs(self.values - self.centre).max())


@dataclass(frozen=True, eq=False)
class _Fit:
    """Coefficients in the unit of the covariate, with their covariance and fit statistics."""

    estimate: np.ndarray
    covariance: np.ndarray
    tau2: float
    tau2_without: float
    maxima: Tau2Maxima | None
    q_interaction: float
    q_residual: float
    df: int
    log_likelihood: float


def _model(design: Design, covariate: pd.Series | Mapping[str, float], reference: str, interaction: str) -> _Model:
    """Check reference and covariate, and find the slopes that can be estimated."""
    if reference not in design.treatments:
        raise ValueError(f"reference={reference!r}: not one of the treatments {', '.join(design.treatments)}")
    name, values = _covariate(covariate, design)
    base = design.treatments.index(reference)
    others = [treatment for treatment in design.treatments if treatment != reference]
    each = np.delete(np.eye(len(design.treatments)), base, axis=0)
    loads = (
        {name: each.sum(axis=0)}
        if interaction == "common"
        else {f"{name}:{one}": load for one, load in zip(others, each, strict=True)}
    )
    clash = [term for term in loads if term in design.treatments]
    if clash:
        raise ValueError(f"covariate: its term '{clash[0]}' is also the name of a treatment; expected another name")
    z = values - values.mean()
    # For the contrasts as given: whole numbers, and whole numbers times the covariate.
    contrast = np.eye(len(design.treatments))[design.treat1] - np.eye(len(design.treatments))[design.treat2]
    slope = np.column_stack([contrast @ load * z[design.study] for load in loads.values()])
    known = _estimable(np.column_stack([np.delete(contrast, base, axis=1), slope / np.abs(z).max()]))[len(others) :]
    if not known.any():
        raise ValueError(f"covariate '{name}': the studies cannot separate its slopes from the effects of treatments")
    return _Model(
        name=name,
        values=values,
        centre=float(values.mean()),
        others=others,
        base=base,
        slopes={term: load for (term, load), keep in zip(loads.items(), known, strict=True) if keep},
        left_out=tuple(term for term, keep in zip(loads, known, strict=True) if not keep),
    )


def _covariate(covariate: pd.Series | Mapping[str, float], design: Design) -> tuple[str, np.ndarray]:
    """Check the covariate and return its name and its values by study."""
    if not isinstance(covariate, pd.Series | Mapping):
        raise ValueError(f"covariate: {type(covariate).__name__} given; expected a Series of numbers by study")
    given = covariate.name if isinstance(covariate, pd.Series) else None
    name = "x" if given is None else str(given)
    found: dict[str, object] = {}
    for study, value in covariate.items():
        if str(study) in found:
            raise ValueError(f"covariate '{name}': study '{study}' appears twice; expected one value for each study")
        found[str(study)] = value
    for study in design.studies:
        value = found.get(study)
        if not (isinstance(value, Real) and abs(cast(float, value)) <= LARGEST):
            has = "no value" if study not in found else f"{value!r}"
            raise ValueError(f"covariate '{name}': study '{study}' has {has}; expected a finite number for each study")
    values = np.array([float(found[study]) for study in design.studies])  # type: ignore[arg-type]
    if np.ptp(values) <= ESTIMABLE * np.abs(values).max():
        raise ValueError(f"covariate '{name}': the value is {values[0]:g} in all studies; expected at least two values")
    return name, values


def _estimable(x: np.ndarray) -> np.ndarray:
    """Return which coefficients the rows of x determine."""
    _, size, vectors = np.linalg.svd(x, full_matrices=False)
    inside = vectors[size > ESTIMABLE * size.max()]
    return 1 - (inside**2).sum(axis=0) < ESTIMABLE


def _fit(model: _Model, rows: Reduced, tau2: str | float) -> _Fit:
    x = rows.x if rows.x.ndim == 2 else rows.x[0]
    z = ((model.values - model.centre) / model.unit)[rows.study]
    basic = np.delete(x, model.base, axis=1)
    full = np.column_stack([basic, *(x @ load * z for load in model.slopes.values())])
    # Orthogonal columns keep the digits that nearly collinear ones would lose.
    columns, triangle = np.linalg.qr(full)
    common, without = (least_squares(part, rows.y, rows.d, np.zeros(1)) for part in (columns, basic))
    df = full.shape[0] - full.shape[1]
    value, maxima = between_variance(columns, rows.y, rows.d, common, df, tau2)
    tau2_without, _ = between_variance(basic, rows.y, rows.d, without, df + len(model.slopes), tau2)
    random = least_squares(columns, rows.y, rows.d, value)
    restricted = isinstance(tau2, str) and tau2 == "REML"
    likelihood = log_likelihood(random, restricted=restricted) - rows.log_jacobian
    # The determinant for the original columns, slopes in their own unit
    size = np.log(np.abs(np.diag(triangle))).sum() + len(model.slopes) * np.log(model.unit)
    likelihood -= restricted * size
    slopes = slice(len(model.others), None)
    back = np.linalg.inv(triangle)
    b, cov = back @ random.b[0], back @ random.cov[0] @ back.T
    scale = np.concatenate([np.ones(len(model.others)), np.full(len(model.slopes), 1 / model.unit)])
    return _Fit(
        estimate=b * scale,
        covariance=cov * np.outer(scale, scale),
        tau2=float(value[0]),
        tau2_without=float(tau2_without[0]),
        maxima=maxima,
        q_interaction=float(b[slopes] @ np.linalg.solve(cov[slopes, slopes], b[slopes])),
        q_residual=float(common.q[0]),
        df=df,
        log_likelihood=float(likelihood[0]),
    )


def _notes(left_out: tuple[str, ...]) -> tuple[str, ...]:
    if not left_out:
        return ()
    return (f"The studies cannot separate these slopes from effects; they are fixed at 0: {', '.join(left_out)}.",)
