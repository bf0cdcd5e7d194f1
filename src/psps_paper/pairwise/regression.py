"""Meta-regression: how an effect changes with characteristics of the studies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import scipy

from psps_paper.effects.checks import LARGEST, choice
from psps_paper.network.heterogeneity import p_of_q
from psps_paper.network.tau2_search import Tau2Maximum
from psps_paper.pairwise.between_variance import (
    RegressionTau2,
    fit_at,
    full_log_likelihood,
    projection,
    tau2_of_regression,
)
from psps_paper.pairwise.random_effects import critical_value, study_estimates
from psps_paper.pairwise.results import Result, as_text, interval

Test = Literal["z", "knapp-hartung"]
# A column is taken as a combination of the others if they leave less than this proportion of it unexplained.
COLLINEAR = 1e-10


@dataclass(frozen=True, eq=False)
class MetaRegression(Result):
    """Result of :func:`meta_regression`.

    Attributes
    ----------
    coefficients : DataFrame [term x estimate, se, lower, upper, p]
        "intercept" first; a factor's terms are "column = level", against its first level.
    covariance : DataFrame [term x term]
    tau2, se_tau2 : float
        Residual between-study variance and its standard error.
    tau2_method, test : str
    q_moderators, p_moderators : float
        Test that all coefficients except the intercept are 0: chi-squared under "z", F under "knapp-hartung".
    df_moderators : tuple of (int, float)
        Its degrees of freedom; the second is infinite for chi-squared.
    q_residual, df_residual, p_residual : float, int, float
        Residual heterogeneity without tau2.
    r2 : float
        Fraction of the between-study variance that the moderators explain, at least 0; NaN if there is
        no variance to explain.
    tau2_without_moderators : float
    i2, h2 : float
        Residual tau2 over tau2 plus the typical variance, as a fraction; total over sampling variance.
    log_likelihood : float
        Restricted for REML, full for other methods; at the global maximum for REML and ML.
    tau2_maxima : tuple of Tau2Maximum
        All local maxima of REML and ML, the highest first.
    k : int
    level : float
    levels : dict
        Levels of each factor, None for a continuous moderator.
    data : DataFrame [te, se, weight, fitted, and each moderator]
        One row per study, as needed for a bubble plot.
    """

    coefficients: pd.DataFrame
    covariance: pd.DataFrame
    tau2: float
    se_tau2: float
    tau2_method: str
    test: str
    q_moderators: float
    df_moderators: tuple[int, float]
    p_moderators: float
    q_residual: float
    df_residual: int
    p_residual: float
    r2: float
    tau2_without_moderators: float
    i2: float
    h2: float
    log_likelihood: float
    tau2_maxima: tuple[Tau2Maximum, ...]
    k: int
    level: float
    levels: dict[str, tuple | None]
    data: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """Return the coefficients."""
        return self.coefficients

    def summary(self) -> str:
        """Format coefficients and tests as text."""
        first, second = self.df_moderators
        df = f"{first}" if np.isinf(second) else f"{first} and {second:g}"
        lines = [
            f"Meta-regression of {self.k} studies (tau2: {self.tau2_method}; test: {self.test})",
            "",
            self.coefficients.to_string(float_format=as_text),
            "",
            (
                f"tau2 {as_text(self.tau2)} (without moderators {as_text(self.tau2_without_moderators)}), "
                f"R2 {as_text(self.r2)}, residual I2 {as_text(self.i2)}"
            ),
            (
                f"Moderators: {'F' if np.isfinite(second) else 'Q'} = {as_text(self.q_moderators)}, df {df}, "
                f"p {as_text(self.p_moderators)}"
            ),
            (
                f"Residual heterogeneity: Q = {as_text(self.q_residual)}, df {self.df_residual}, "
                f"p {as_text(self.p_residual)}"
            ),
        ]
        if len(self.tau2_maxima) > 1:
            lines.append(f"The likelihood of tau2 has {len(self.tau2_maxima)} local maxima; the highest is used.")
        return "\n".join(lines)

    def predict(self, moderators: pd.DataFrame | None = None) -> pd.DataFrame:
        """Predict the mean effect and a new study's effect at given values of the moderators.

        Parameters
        ----------
        moderators : DataFrame, optional
            One row per prediction, with the columns of the fit; by default those of the studies.

        Returns
        -------
        DataFrame [te, se, lower, upper, predict_lower, predict_upper]
            Both intervals use the quantile of the coefficients: normal, or t with k - p degrees of freedom.

        Raises
        ------
        ValueError
            For a column or level that the fit does not have.
        """
        new = self.data[list(self.levels)] if moderators is None else as_table(moderators)
        x = design(new, self.levels).to_numpy()
        te = x @ self.coefficients["estimate"].to_numpy()
        se = np.sqrt(np.maximum((x @ self.covariance.to_numpy() * x).sum(axis=1), 0.0))
        critical = critical_value(self.level, self.df_moderators[1])
        both = critical * np.sqrt(se**2 + self.tau2)
        columns = {"te": te, "se": se, "lower": te - critical * se, "upper": te + critical * se}
        return pd.DataFrame(columns | {"predict_lower": te - both, "predict_upper": te + both}, index=new.index)


def as_table(moderators: Any) -> pd.DataFrame:
    """Return the moderators as a DataFrame, from a Series or dict too; raise a ValueError for anything else."""
    try:
        return pd.DataFrame(moderators)
    except (TypeError, ValueError) as error:
        raise ValueError(f"moderators: {type(moderators).__name__} given; expected a DataFrame") from error


def _require_numbers(values: np.ndarray, name: object, shown: pd.Series) -> None:
    """Raise a ValueError for the first row of a moderator that is not a number with a finite square."""
    wrong = ~(np.isreal(values) & (np.abs(values) <= LARGEST))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"moderators, row {row}, column {name}: {shown.iloc[row]} is not a number of at most {LARGEST:g} in size"
        )


def moderator_levels(moderators: pd.DataFrame) -> dict[str, tuple | None]:
    """Find the levels of each factor, alphabetical or in the order of a categorical column; None for numbers.

    Raises
    ------
    ValueError
        Naming row and column of a missing or infinite value.
    """
    levels: dict[str, tuple | None] = {}
    if not moderators.columns.is_unique:
        raise ValueError("moderators: two columns have the same name")
    for name in moderators.columns:
        column = moderators[name]
        missing = column.isna().to_numpy()
        if not missing.any() and pd.api.types.is_numeric_dtype(column):
            _require_numbers(column.to_numpy(), name, column)
        if missing.any():
            row = int(np.flatnonzero(missing)[0])
            raise ValueError(f"moderators, row {row}, column {name}: {column.iloc[row]} is not a value")
        if pd.api.types.is_numeric_dtype(column):
            levels[name] = None
        elif isinstance(column.dtype, pd.CategoricalDtype):
            levels[name] = tuple(level for level in column.cat.categories if (column == level).any())
        else:
            levels[name] = tuple(sorted(set(column), key=str))
        known = levels[name]
        if known is not None and len(known) == 1:
            raise ValueError(f"moderators, column {name}: {known[0]!r} in every row; expected at least two levels")
    return levels


def design(moderators: pd.DataFrame, levels: dict[str, tuple | None]) -> pd.DataFrame:
    """Build the design matrix with an intercept; factors are coded 0 and 1 against their first level.

    Raises
    ------
    ValueError
        For a missing column, or a level that is not among ``levels``.
    """
    columns: dict[str, np.ndarray] = {"intercept": np.ones(len(moderators))}
    for name, known in levels.items():
        if name not in moderators:
            raise ValueError(f"moderators: no column {name}; there are {', '.join(map(str, moderators.columns))}")
        values = moderators[name]
        if known is None:
            numeric = pd.to_numeric(values, errors="coerce").to_numpy(float)
            _require_numbers(numeric, name, values)
            columns[str(name)] = numeric
            continue
        unknown = ~values.isin(known).to_numpy()
        if unknown.any():
            row = int(np.flatnonzero(unknown)[0])
            among = ", ".join(map(str, known))
            raise ValueError(f"moderators, row {row}, column {name}: {values.iloc[row]!r} is not one of {among}")
        for level in known[1:]:
            columns[f"{name} = {level}"] = (values == level).to_numpy(float)
    return pd.DataFrame(columns, index=moderators.index)


def independent_columns(x: pd.DataFrame) -> None:
    """Raise a ValueError that names the first term that is a combination of those before it."""
    values = x.to_numpy()
    basis = np.empty((len(values), 0))
    for name, column in zip(x.columns, values.T, strict=True):
        size = np.abs(column).max()
        scaled = column / size if size > 0 else column
        rest = scaled - basis @ (basis.T @ scaled)
        rest -= basis @ (basis.T @ rest)
        length = np.linalg.norm(rest)
        if length <= COLLINEAR * np.linalg.norm(scaled) or size == 0:
            raise ValueError(f"moderators: {name} is constant or a linear combination of the terms before it")
        basis = np.column_stack([basis, rest / length])


def meta_regression(
    te,
    se,
    moderators: pd.DataFrame | None,
    tau2: RegressionTau2 | float = "REML",
    test: Test = "z",
    *,
    level: float = 0.95,
) -> MetaRegression:
    """Regress effects on characteristics of the studies, with residual between-study variance.

    Parameters
    ----------
    te, se : array (k,)
        Estimates, all in one direction and unit, and standard errors greater than 0.
    moderators : DataFrame (k rows), or None for none
        In the order of ``te``. Numbers are continuous; text and categorical columns are factors against their
        first level, in alphabetical order or in the order of the categories.
    tau2 : {"REML", "DL", "ML", "PM", "EB", "HE", "HS", "SJ", "FE"} or float
        Estimator of the residual variance, or a value of at least 0; "FE" is 0. REML and ML are global maxima.
    test : {"z", "knapp-hartung"}
        "z": normal. "knapp-hartung": the covariance times the weighted residual mean square (which may be below 1), and
        t with k - p degrees of freedom.
    level : float

    Returns
    -------
    MetaRegression

    Raises
    ------
    ValueError
        Naming row, column and value; also for a term that is a combination of others, or for too few studies.

    Source: Thompson & Higgins 2002; Knapp & Hartung 2003; Raudenbush 2009 (R2).
    Checked against: metafor 3.8-1 rma(mods = ...), predict().

    Examples
    --------
    >>> fit = meta_regression([0.1, 0.5, 0.9, 1.2], [0.1] * 4, pd.DataFrame({"dose": [1, 2, 3, 4]}))
    >>> fit.coefficients["estimate"].round(3).tolist()
    [-0.25, 0.37]
    """
    te, se = study_estimates(te, se)
    choice(test, "test", get_args(Test))
    critical_value(level)
    none = pd.DataFrame(index=range(len(te)))
    table = none if moderators is None else as_table(moderators).reset_index(drop=True)
    if len(table) != len(te):
        raise ValueError(f"moderators: {len(table)} rows for {len(te)} studies")
    levels = moderator_levels(table)
    x = design(table, levels)
    independent_columns(x)
    k, p = x.shape
    needed = p if tau2 == "FE" or not isinstance(tau2, str) else p + 1
    needed = max(needed, p + 1 if test == "knapp-hartung" else 0)
    if k < needed:
        raise ValueError(f"te: {k} studies are too few for {p} coefficients; at least {needed} are needed")
    return _fit(te, se, x, table, levels, tau2, test, level)


def _fit(te, se, x: pd.DataFrame, table, levels, method, test: str, level: float) -> MetaRegression:
    v, (k, p) = se**2, x.shape
    # Orthonormal columns keep precision for a moderator far from 0, such as a year.
    basis, triangle = np.linalg.qr(x.to_numpy())
    estimate = tau2_of_regression(basis, te, v, method)
    fit, common = fit_at(basis, te, v, estimate.tau2), fit_at(basis, te, v, 0.0)
    back = np.linalg.inv(triangle)
    b = back @ fit.b[0]
    df = k - p if test == "knapp-hartung" else np.inf
    scale = float(fit.q[0]) / df if test == "knapp-hartung" else 1.0
    if scale <= 1e-18 * float((fit.w[0] * te**2).sum()):
        raise ValueError("te: the moderators fit every study exactly, so Knapp-Hartung gives standard errors of 0")
    covariance = scale * back @ fit.cov[0] @ back.T
    errors = np.sqrt(np.diag(covariance))
    rows = [(m, s, *interval(m, s, level, df)) for m, s in zip(b, errors, strict=True)]
    coefficients = pd.DataFrame(rows, index=x.columns, columns=["estimate", "se", "lower", "upper", "p"])
    q_moderators, p_moderators = _wald(b[1:], covariance[1:, 1:], df)
    intercept = np.ones((k, 1)) / np.sqrt(k)
    without = tau2_of_regression(intercept, te, v, method).tau2
    q, df_q = float(common.q[0]), k - p
    i2, h2 = _inconsistency(basis, v, estimate.tau2, q, df_q, fixed=method == "FE")
    weight = fit.w[0] / fit.w[0].sum()
    data = pd.DataFrame({"te": te, "se": se, "weight": weight, "fitted": x.to_numpy() @ b})
    return MetaRegression(
        coefficients=coefficients,
        covariance=pd.DataFrame(covariance, x.columns, x.columns),
        tau2=estimate.tau2,
        se_tau2=estimate.se,
        tau2_method=method if isinstance(method, str) else "given",
        test=test,
        q_moderators=q_moderators,
        df_moderators=(p - 1, df),
        p_moderators=p_moderators,
        q_residual=q,
        df_residual=df_q,
        p_residual=float(p_of_q(np.array([q]), df_q)[0]),
        r2=max(0.0, 1 - estimate.tau2 / without) if without > 0 and isinstance(method, str) else np.nan,
        tau2_without_moderators=without,
        i2=i2,
        h2=h2,
        log_likelihood=full_log_likelihood(x.to_numpy(), te, v, estimate.tau2, restricted=method == "REML"),
        tau2_maxima=estimate.maxima,
        k=k,
        level=level,
        levels=levels,
        data=pd.concat([data, table], axis=1),
    )


def _wald(b: np.ndarray, covariance: np.ndarray, df: float) -> tuple[float, float]:
    """Test coefficients jointly: chi-squared, or F with df in the denominator."""
    if not len(b):
        return np.nan, np.nan
    scale = np.sqrt(np.diag(covariance))
    if not (scale > 0).all():
        return np.nan, np.nan
    z = b / scale
    q = float(z @ np.linalg.solve(covariance / np.outer(scale, scale), z))
    if np.isinf(df):
        return q, float(scipy.special.chdtrc(len(b), q))
    return q / len(b), float(scipy.special.fdtrc(len(b), df, q / len(b)))


def _inconsistency(x, v, tau2: float, q: float, df: int, *, fixed: bool) -> tuple[float, float]:
    """Compute I2 and H2: from Q for fixed effects, else from tau2 and the typical sampling variance."""
    if df == 0:
        return np.nan, np.nan
    if fixed:
        return max(0.0, (q - df) / q) if q > 0 else 0.0, q / df
    typical = df / np.trace(projection(x, 1 / v))
    return tau2 / (tau2 + typical), tau2 / typical + 1
