"""Frequentist network meta-analysis on contrasts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import scipy

from psps_paper.effects.checks import LARGEST, choice, one_number
from psps_paper.network.heterogeneity import LeastSquares, i_squared, least_squares, log_likelihood, p_of_q, tau2_dl
from psps_paper.network.reduction import (
    PRECISION,
    Design,
    Reduced,
    beyond_precision,
    check_ratio,
    check_table,
    connected_parts,
    make_design,
    multi_arm_notes,
    read_contrasts,
    real_numbers,
    reduce_contrasts,
)
from psps_paper.network.results import Result, as_text, pairs_frame, with_limits
from psps_paper.network.tau2_search import Tau2Maxima, Tau2Maximum, tau2_maxima
from psps_paper.parallel import count, each

Desirable = Literal["lower", "higher"]
METHODS = ("DL", "REML", "ML")
PredictionDf = Literal["q-1", "q", "normal", "partlett-riley"]
# fit_networks processes B data sets in pieces of about this many numbers.
PIECE = 2_000_000
# Number of data sets from which another process is worthwhile.
FEWEST = 1_000


@dataclass(frozen=True, eq=False)
class NetworkFit(Result):
    """Result of a network meta-analysis.

    Every DataFrame ``[treatment x treatment]`` is row minus column, in the unit of the input; its
    diagonal is zero.

    Attributes
    ----------
    treatments : list of str
        Sorted; the first is the reference of ``effects`` and ``covariance``.
    te, se, lower, upper : DataFrame [treatment x treatment]
        Random-effects estimates, standard errors and limits of the normal confidence interval.
    predict_lower, predict_upper : DataFrame [treatment x treatment]
        Limits of the prediction interval, ``te -+ t * sqrt(predict_scale**2 * se**2 + tau2)`` with
        t on ``df_predict`` degrees of freedom; NaN if these are not positive.
    te_common, se_common : DataFrame [treatment x treatment]
        Common-effect estimates (tau2 = 0).
    cov : DataFrame [treatment x treatment]
        Covariance of the random effects estimates relative to the reference.
    effects, covariance, effects_common, covariance_common : ndarray [n], [n x n]
        Effects relative to the reference, whose entries are zero.
    tau2 : float
        Between-study variance, common to all comparisons, estimated by ``method``.
    method : str
        "DL", "REML", "ML", "fixed" or "pooled".
    q, df_q, p_q : float
        Generalised Cochran Q of the common-effect model.
    i2, i2_lower, i2_upper : float
        Fractions in [0, 1]; NaN without degrees of freedom, and the limits also with only one.
    df_predict : float
        Degrees of freedom of prediction intervals, by the convention passed to the fit; ``df_q - 1`` by default.
    predict_scale : float
        Factor of standard errors in prediction intervals: 1, except in the convention of Partlett and Riley.
    log_likelihood : float
        At ``tau2``, of the contrasts with each study's first arm as baseline; restricted, without
        the constant ``log|X'X| / 2``, under REML; NaN for a pooled network.
    tau2_maxima : tuple of Tau2Maximum
        Under REML and ML, all local maxima of the likelihood, the highest (``tau2``) first; empty
        for other methods. A second maximum means that the data support two different values of tau2.
    loop_tolerance : float or None
        As given to :func:`fit_network`.
    level : float
        Of all intervals.
    correlation : float or None
        Within-study correlation assumed for several estimates of one comparison.
    n_studies, n_contrasts : int
        Numbers used in the fit.
    contrasts, excluded : DataFrame
        Rows of the input that were used; rows that were not, with a column ``reason``.
    """

    treatments: list[str]
    effects: np.ndarray
    covariance: np.ndarray
    effects_common: np.ndarray
    covariance_common: np.ndarray
    tau2: float
    method: str
    q: float
    df_q: float
    df_predict: float
    log_likelihood: float
    level: float
    correlation: float | None
    n_studies: int
    n_contrasts: int
    contrasts: pd.DataFrame
    left_out: pd.DataFrame | None = field(default=None, repr=False)
    tau2_maxima: tuple[Tau2Maximum, ...] = ()
    loop_tolerance: float | None = None
    predict_scale: float = 1.0

    def _square(self, values: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame(values, self._index, self._index, copy=False)

    @cached_property
    def _index(self) -> pd.Index:
        return _labels(tuple(self.treatments))

    @cached_property
    def _te(self) -> np.ndarray:
        return differences(self.effects)

    @cached_property
    def _se(self) -> np.ndarray:
        return standard_errors(self.covariance)

    def _limit(self, side: int) -> pd.DataFrame:
        return self._square(self._te + side * z_quantile(self.level) * self._se)

    def _prediction_limit(self, side: int) -> pd.DataFrame:
        spread = np.sqrt((self.predict_scale * self._se) ** 2 + self.tau2)
        limit = self._te + side * t_quantile(self.level, self.df_predict) * spread
        np.fill_diagonal(limit, 0.0)
        return self._square(limit)

    @property
    def tau(self) -> float:
        """Square root of ``tau2``."""
        return float(np.sqrt(self.tau2))

    @cached_property
    def p_q(self) -> float:
        return float(p_of_q(np.array(self.q), self.df_q))

    @cached_property
    def _i_squared(self) -> tuple[float, ...]:
        return tuple(map(float, i_squared(np.array(self.q), self.df_q, self.level)))

    @property
    def i2(self) -> float:
        return self._i_squared[0]

    @property
    def i2_lower(self) -> float:
        return self._i_squared[1]

    @property
    def i2_upper(self) -> float:
        return self._i_squared[2]

    @cached_property
    def excluded(self) -> pd.DataFrame:
        return nothing_excluded(self.contrasts) if self.left_out is None else self.left_out

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Irregularities of multi-arm studies that were accepted, one sentence each.

        Estimates that do not quite close a loop, and standard errors that independent arms cannot have.
        """
        return () if self.method == "pooled" else contrast_notes(self.contrasts, self.loop_tolerance)

    @cached_property
    def te(self) -> pd.DataFrame:
        return self._square(self._te.copy())

    @cached_property
    def se(self) -> pd.DataFrame:
        return self._square(self._se.copy())

    @cached_property
    def lower(self) -> pd.DataFrame:
        return self._limit(-1)

    @cached_property
    def upper(self) -> pd.DataFrame:
        return self._limit(1)

    @cached_property
    def predict_lower(self) -> pd.DataFrame:
        return self._prediction_limit(-1)

    @cached_property
    def predict_upper(self) -> pd.DataFrame:
        return self._prediction_limit(1)

    @cached_property
    def te_common(self) -> pd.DataFrame:
        return self._square(differences(self.effects_common))

    @cached_property
    def se_common(self) -> pd.DataFrame:
        return self._square(standard_errors(self.covariance_common))

    @cached_property
    def cov(self) -> pd.DataFrame:
        return self._square(self.covariance)

    def to_frame(self) -> pd.DataFrame:
        """Return all pairs of treatments: treat1, treat2, te, se, lower, upper, p, predict_lower, ..., se_common."""
        p = with_limits(self.te.to_numpy(), self.se.to_numpy(), self.level)["p"]
        names = ["te", "se", "lower", "upper", "predict_lower", "predict_upper", "te_common", "se_common"]
        frame = pairs_frame(self.treatments, {name: getattr(self, name) for name in names} | {"p": self._square(p)})
        return frame[["treat1", "treat2", *names[:4], "p", *names[4:]]]

    def summary(self, reference: str | None = None) -> str:
        """Format counts, each treatment against the reference, heterogeneity and the tests of Q as text.

        Parameters
        ----------
        reference : str, optional
            Default: the first treatment.

        Raises
        ------
        ValueError
            ``reference`` is not a treatment of the fit.
        """
        reference = self.treatments[0] if reference is None else reference
        choice(reference, "reference", self.treatments)
        rows = self.treatments
        columns = {name: getattr(self, name)[reference] for name in ("te", "se", "lower", "upper")}
        p = with_limits(columns["te"].to_numpy(), columns["se"].to_numpy(), self.level)["p"]
        shown = pd.DataFrame(columns, index=rows).assign(p=p)
        shown[["predict_lower", "predict_upper"]] = np.column_stack(
            [self.predict_lower[reference], self.predict_upper[reference]]
        )
        common = pd.DataFrame({"te": self.te_common[reference], "se": self.se_common[reference]}, index=rows)
        share = [f"{100 * x:.1f}%" for x in (self.i2, self.i2_lower, self.i2_upper)]
        lines = [
            f"Studies {self.n_studies}, pairwise comparisons {self.n_contrasts}, treatments {len(self.treatments)}",
            "",
            f"Random effects, treatment minus {reference}, with {self.level:.0%} confidence and prediction intervals:",
            shown.drop(index=reference).to_string(float_format=as_text),
            "",
            f"Common effect, treatment minus {reference}:",
            common.drop(index=reference).to_string(float_format=as_text),
            "",
            f"tau2 {as_text(self.tau2)} ({self.method}), tau {as_text(self.tau)}, I2 {share[0]} ({share[1]} to"
            f" {share[2]})",
            "",
            "Tests of heterogeneity and inconsistency:",
            self._tests().to_string(float_format=as_text),
        ]
        return "\n".join([*lines, *self.notes])

    def _tests(self) -> pd.DataFrame:
        """Return Q of the network and, if the fit has studies, its parts."""
        from psps_paper.network.inconsistency import decompose_q

        parts = {"total": {"q": self.q, "df": self.df_q, "p": self.p_q}}
        if self.method != "pooled":
            found = decompose_q(self)
            parts |= {"within designs": found.within, "between designs": found.between}
        table = pd.DataFrame(parts).T[["q", "df", "p"]]
        return table.assign(df=[f"{df:g}" for df in table["df"]])


@dataclass(frozen=True, eq=False)
class NetworkFits(Result):
    """Results for B data sets of one design, as arrays; see :class:`NetworkFit`.

    Attributes
    ----------
    treatments : list of str
        The n treatments, sorted; the order of all matrices.
    effects : ndarray [B x n]
        Relative to the first treatment.
    covariance : ndarray [B x n x n]
    tau2, q, p_q, i2, i2_lower, i2_upper, log_likelihood, predict_scale : ndarray [B]
    maxima : Tau2Maxima or None
        Under REML and ML, all local maxima of the likelihood, as ``data_set, tau2,
        log_likelihood``, the highest of each data set first.
    df_q : int
    df_predict : float
    te, se, lower, upper, predict_lower, predict_upper : ndarray [B x n x n]
        Row minus column.
    """

    treatments: list[str]
    effects: np.ndarray
    covariance: np.ndarray
    effects_common: np.ndarray
    covariance_common: np.ndarray
    tau2: np.ndarray
    q: np.ndarray
    log_likelihood: np.ndarray
    predict_scale: np.ndarray
    maxima: Tau2Maxima | None
    df_q: int
    df_predict: float
    level: float

    def _prediction_limit(self, side: int) -> np.ndarray:
        spread = np.sqrt((self.predict_scale[:, None, None] * self.se) ** 2 + self.tau2[:, None, None])
        limit = self.te + side * t_quantile(self.level, self.df_predict) * spread
        diagonal = np.arange(len(self.treatments))
        limit[:, diagonal, diagonal] = 0.0
        return limit

    @cached_property
    def p_q(self) -> np.ndarray:
        return p_of_q(self.q, self.df_q)

    @cached_property
    def _i_squared(self) -> tuple[np.ndarray, ...]:
        return i_squared(self.q, self.df_q, self.level)

    @property
    def i2(self) -> np.ndarray:
        return self._i_squared[0]

    @property
    def i2_lower(self) -> np.ndarray:
        return self._i_squared[1]

    @property
    def i2_upper(self) -> np.ndarray:
        return self._i_squared[2]

    @cached_property
    def te(self) -> np.ndarray:
        return differences(self.effects)

    @cached_property
    def se(self) -> np.ndarray:
        return standard_errors(self.covariance)

    @cached_property
    def te_common(self) -> np.ndarray:
        return differences(self.effects_common)

    @cached_property
    def se_common(self) -> np.ndarray:
        return standard_errors(self.covariance_common)

    @property
    def lower(self) -> np.ndarray:
        return self.te - z_quantile(self.level) * self.se

    @property
    def upper(self) -> np.ndarray:
        return self.te + z_quantile(self.level) * self.se

    @property
    def predict_lower(self) -> np.ndarray:
        return self._prediction_limit(-1)

    @property
    def predict_upper(self) -> np.ndarray:
        return self._prediction_limit(1)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per data set: tau2, q, p_q, i2, i2_lower, i2_upper."""
        return pd.DataFrame({name: getattr(self, name) for name in ("tau2", "q", "p_q", "i2", "i2_lower", "i2_upper")})

    def summary(self) -> str:
        """Format quantiles of the columns of :meth:`to_frame` as text."""
        quantiles = self.to_frame().quantile([0, 0.25, 0.5, 0.75, 1])
        head = f"{len(self.tau2)} networks of {len(self.treatments)} treatments, quantiles:"
        return f"{head}\n{quantiles.to_string(float_format=as_text)}"


def z_quantile(level: float) -> float:
    """Return the critical value of a two-sided normal interval."""
    return float(scipy.special.ndtri((1 + level) / 2))


def t_quantile(level: float, df: float) -> float:
    """Return the critical value of a two-sided t interval, normal for infinite df; NaN if df is not positive."""
    if np.isinf(df):
        return z_quantile(level)
    return float(scipy.special.stdtrit(df, (1 + level) / 2)) if df > 0 else np.nan


def differences(effects: np.ndarray) -> np.ndarray:
    """Compute all differences of treatment effects [..., n], row minus column [..., n, n]."""
    return effects[..., :, None] - effects[..., None, :]


def standard_errors(covariance: np.ndarray) -> np.ndarray:
    """Compute the standard errors of all differences from the covariance of the effects [..., n, n]."""
    diagonal = covariance.diagonal(0, -2, -1)
    variance = diagonal[..., :, None] + diagonal[..., None, :] - 2 * covariance
    return np.sqrt(np.maximum(variance, 0.0))


def subnetworks(contrasts: pd.DataFrame) -> list[set[str]]:
    """Find the subnetworks: sets of treatments that comparisons connect, the largest first.

    Parameters
    ----------
    contrasts : DataFrame [study, treat1, treat2, te, se]
        Rows without te or se are ignored, and so are treatments that have only such rows.

    Raises
    ------
    ValueError
        As :func:`fit_network`, except for disconnected networks.
    """
    _, treat1, treat2, te, se = read_contrasts(contrasts)
    used = np.flatnonzero(~(np.isnan(te) | np.isnan(se)))
    return connected_parts([treat1[k] for k in used], [treat2[k] for k in used])


def components(contrasts: pd.DataFrame) -> list[set[str]]:
    """Former name of :func:`subnetworks`; it will be removed in the next minor version."""
    warnings.warn("components is now called subnetworks", DeprecationWarning, stacklevel=2)
    return subnetworks(contrasts)


def fit_network(
    contrasts: pd.DataFrame,
    tau2: str | float = "DL",
    level: float = 0.95,
    correlation: float | None = None,
    *,
    df_predict: PredictionDf = "q-1",
    loop_tolerance: float | None = None,
) -> NetworkFit:
    """Fit a common-effect and random-effects network meta-analysis.

    Parameters
    ----------
    contrasts : DataFrame [study, treat1, treat2, te, se]
        te is treat1 minus treat2. A study with a arms needs all a(a-1)/2 rows, in any order and
        direction. Rows without te or se are excluded and listed in ``excluded``. Other columns
        are kept but not used.
    tau2 : {"DL", "REML", "ML"} or float
        Estimator of the between-study variance, or its value.
    level : float
        Of all intervals.
    correlation : float, optional
        In [0, 1): correlation between several estimates of one comparison from one study
        (several outcomes or waveforms), both of their sampling errors and of their true effects.
        With 0 each estimate is treated as a separate study. Without it such rows are an
        error. :func:`cluster_robust` gives standard errors that do not rely on it.
    df_predict : {"q-1", "q", "normal", "partlett-riley"}
        Degrees of freedom of t in prediction intervals. "q-1": those of Q minus one, as in netmeta 2.8
        (Riley 2011 for two treatments). "q": those of Q, as in netmeta 3.4. "normal": the normal
        quantile. "partlett-riley": those of Q minus one, with standard errors multiplied by
        ``sqrt(Q(tau2) / df_q)``, the Hartung-Knapp factor, where Q(tau2) uses random-effects weights
        (Partlett & Riley 2017 for two treatments, with tau2 by REML).
    loop_tolerance : float, optional
        Largest amount, in the unit of te, by which three contrasts of a multi-arm study may fail to close a loop.
        By default 0.15 of its smallest standard error or, if larger, the gap that rounding of its
        estimates explains (half a unit each), up to 0.5 of that standard error. ``notes`` reports each gap.

    Returns
    -------
    NetworkFit

    Raises
    ------
    TypeError
        ``contrasts`` is not a DataFrame.
    ValueError
        A column or label is missing; a column appears twice; two labels differ only in spaces or
        in how accents are encoded; se <= 0, an infinite value or one too large or small for double
        precision (1e75, 1e-75, or 1e5 times another se); a treatment compared with itself; fewer than two treatments; a
        disconnected network (its parts are named); a multi-arm study with missing or contradictory
        contrasts (study and numbers are named); a study with several rows for one comparison but
        no ``correlation``; an unknown method.

    Source: Rücker 2012; Rücker & Schwarzer 2014 (multi-arm studies), as generalised least squares
    with one tau2 and correlation 1/2 between contrasts that share a baseline; DL by Jackson, White
    & Riley 2012; prediction interval by Riley 2011.
    Checked against: netmeta 2.8-2 (DL), metafor 3.8-1 rma.mv (REML, ML), pimeta 1.1 (DL).
    """
    if correlation is not None:
        wrong = f"correlation={correlation!r}: expected a number in [0, 1)"
        if not (np.ndim(correlation) == 0 and 0 <= real_numbers(correlation, wrong) < 1):
            raise ValueError(wrong)
    design, te, se, used, left_out = _prepare(contrasts, repeats=correlation is not None)
    if loop_tolerance is not None:
        loop_tolerance = one_number(loop_tolerance, "loop_tolerance", "not negative")
    fits = _fit(design, te[None], se[None], tau2, level, correlation, df_predict, loop_tolerance)
    return NetworkFit(
        treatments=list(design.treatments),
        effects=fits.effects[0],
        covariance=fits.covariance[0],
        effects_common=fits.effects_common[0],
        covariance_common=fits.covariance_common[0],
        tau2=float(fits.tau2[0]),
        method=tau2 if isinstance(tau2, str) else "fixed",
        q=float(fits.q[0]),
        df_q=fits.df_q,
        df_predict=fits.df_predict,
        log_likelihood=float(fits.log_likelihood[0]),
        level=level,
        correlation=correlation,
        n_studies=len(design.studies),
        n_contrasts=len(used),
        contrasts=used,
        left_out=left_out,
        tau2_maxima=() if fits.maxima is None else fits.maxima.of(0),
        loop_tolerance=loop_tolerance,
        predict_scale=float(fits.predict_scale[0]),
    )


def fit_networks(
    contrasts: pd.DataFrame,
    te: np.ndarray,
    se: np.ndarray,
    tau2: str | float | np.ndarray = "DL",
    level: float = 0.95,
    correlation: float | np.ndarray | None = None,
    *,
    df_predict: PredictionDf = "q-1",
    loop_tolerance: float | None = None,
) -> NetworkFits:
    """Fit B data sets with the same studies and comparisons, with the results of a loop but much faster.

    Inside :func:`psps_paper.parallel.workers`, thousands of data sets are distributed over processes or a cluster.

    Parameters
    ----------
    contrasts : DataFrame [study, treat1, treat2]
        The design, m rows; its columns te and se, if any, are not used.
    te, se : ndarray [B x m]
        Estimates (treat1 minus treat2) and standard errors, columns in the order of the rows of
        ``contrasts``. A one-dimensional array [m] applies to all data sets. No value may be missing.
    tau2 : {"DL", "REML", "ML"}, float or ndarray [B]
    level : float
    correlation : float or ndarray [B], optional
    df_predict : {"q-1", "q", "normal", "partlett-riley"}
    loop_tolerance : float, optional
        As in :func:`fit_network`.

    Returns
    -------
    NetworkFits

    Raises
    ------
    ValueError
        As :func:`fit_network`; shapes that do not match; no data sets; a missing te or se.
    """
    check_table(contrasts)
    te, se, correlation = _data_sets(len(contrasts), te, se, tau2, correlation)
    study, treat1, treat2, _, _ = read_contrasts(contrasts.assign(te=te[0], se=se[0]))
    design = make_design(study, treat1, treat2, repeats=correlation is not None)
    n_sets = len(te)
    share = max(FEWEST, -(-n_sets // count()))
    size = max(1, min(share, PIECE // (design.n_rows * len(design.treatments))))

    def of_piece(value, piece):
        return value[piece] if np.size(value) > 1 and np.ndim(value) == 1 else value

    starts = range(0, n_sets, size)
    arguments = [
        (
            design,
            te[piece],
            se[piece],
            of_piece(tau2, piece),
            level,
            of_piece(correlation, piece),
            df_predict,
            loop_tolerance,
        )
        for piece in (slice(start, start + size) for start in starts)
    ]
    return _join_fits(each(_fit, arguments), starts) if len(arguments) > 1 else _fit(*arguments[0])


def _data_sets(
    m: int, te: np.ndarray, se: np.ndarray, tau2: str | float | np.ndarray, correlation: float | np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return te and se as [B x m] and correlation as numbers, after checking that the shapes agree."""
    te, se = (
        np.atleast_2d(real_numbers(values, f"{name}: {np.asarray(values).dtype} given; expected real numbers"))
        for name, values in (("te", te), ("se", se))
    )
    lengths = {len(values) for values in (te, se)} | {
        len(value) for value in map(np.asarray, (tau2, correlation)) if value.ndim == 1
    }
    n_sets = max(lengths)
    if (
        0 in lengths
        or lengths - {1, n_sets}
        or te.ndim > 2
        or se.ndim > 2
        or te.shape[1] != m
        or se.shape[1] != m
        or np.asarray(tau2).ndim > 1
        or np.asarray(correlation).ndim > 1
    ):
        raise ValueError(
            f"te {te.shape}, se {se.shape}, tau2 {np.asarray(tau2).shape}, correlation "
            f"{np.asarray(correlation).shape}: expected [B x {m}] and [B] with one B of at least 1"
        )
    if not (np.isfinite(te).all() and np.isfinite(se).all() and (se > 0).all()):
        raise ValueError("te and se: expected finite numbers with se > 0 in every data set")
    if beyond_precision(te, se).any():
        raise ValueError(f"te and se: {PRECISION}")
    if correlation is not None:
        correlation = real_numbers(correlation, f"correlation={correlation!r}: expected numbers in [0, 1)")
        if not ((correlation >= 0) & (correlation < 1)).all():
            raise ValueError("correlation: expected numbers in [0, 1)")
    return np.broadcast_to(te, (n_sets, m)), np.broadcast_to(se, (n_sets, m)), correlation


def _join_fits(fits: Sequence[NetworkFits], starts: Sequence[int]) -> NetworkFits:
    """Join the fits of pieces of :func:`fit_networks`, which begin at the data sets ``starts``."""
    first = fits[0]
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(fit, name) for fit in fits])
        for name, value in vars(first).items()
        if isinstance(value, np.ndarray)
    }
    return replace(first, maxima=_join_maxima([fit.maxima for fit in fits], starts), **joined)


def nothing_excluded(contrasts: pd.DataFrame) -> pd.DataFrame:
    """Return an empty table of excluded rows."""
    return pd.DataFrame(columns=[*contrasts.columns, "reason"], index=pd.RangeIndex(0), dtype=object)


@lru_cache(maxsize=32)
def _labels(treatments: tuple[str, ...]) -> pd.Index:
    """Return the labels of rows and columns; an Index is immutable, so fits of the same treatments can share it."""
    return pd.Index(treatments)


@lru_cache(maxsize=8)
def _same_design(
    study: tuple[str, ...], treat1: tuple[str, ...], treat2: tuple[str, ...], repeats: bool, connected: bool
) -> Design:
    """Build the design of these labels, cached for later fits of the same network with other values or estimators."""
    return make_design(study, treat1, treat2, repeats=repeats, connected=connected)


def prepare(
    contrasts: pd.DataFrame, *, repeats: bool, connected: bool = True
) -> tuple[Design, np.ndarray, np.ndarray, pd.DataFrame, pd.DataFrame]:
    """Return the design, te [m] and se [m] of the rows with both; those rows; and the others, with reasons."""
    design, te, se, used, left_out = _prepare(contrasts, repeats=repeats, connected=connected)
    # New lists, because results pass them to callers.
    design = replace(design, treatments=list(design.treatments), studies=list(design.studies))
    return design, te, se, used, nothing_excluded(contrasts) if left_out is None else left_out


def _prepare(
    contrasts: pd.DataFrame, *, repeats: bool, connected: bool = True
) -> tuple[Design, np.ndarray, np.ndarray, pd.DataFrame, pd.DataFrame | None]:
    """Do the work of :func:`prepare`, with None if no row is excluded."""
    study, treat1, treat2, te, se = read_contrasts(contrasts)
    # The sum is NaN if any part is; te and se are finite or NaN, and far from overflow.
    if study and not np.isnan(te.sum() + se.sum()):
        design = _same_design(tuple(study), tuple(treat1), tuple(treat2), repeats, connected)
        return design, te, se, contrasts.copy(deep=False), None
    no_te, no_se = np.isnan(te), np.isnan(se)
    out = no_te | no_se
    if out.all():
        raise ValueError(f"contrasts: none of the {len(contrasts)} rows has both te and se")
    keep = np.flatnonzero(~out)
    design = make_design(
        [study[k] for k in keep],
        [treat1[k] for k in keep],
        [treat2[k] for k in keep],
        repeats=repeats,
        connected=connected,
    )
    reason = np.select([no_te & no_se, no_te], ["te and se missing", "te missing"], "se missing")
    excluded = contrasts[out].assign(reason=reason[out])
    return design, te[keep], se[keep], contrasts[~out].copy(), excluded


def contrast_notes(contrasts: pd.DataFrame, loop_tolerance: float | None = None) -> tuple[str, ...]:
    """List irregularities of the multi-arm studies of a network that are accepted, one sentence each.

    Parameters
    ----------
    contrasts : DataFrame [study, treat1, treat2, te, se]
    loop_tolerance : float, optional
        As in :func:`fit_network`.

    Returns
    -------
    tuple of str
        Estimates that do not quite close a loop (study, gap and limit), and standard errors that
        independent arms cannot have (study, arm and the negative variance).

    Raises
    ------
    ValueError
        As :func:`fit_network`, except for several estimates of one study.
    """
    design, te, se, _, _ = prepare(contrasts, repeats=True)
    return multi_arm_notes(design, te, se, loop_tolerance)


def check_fit(fit: object) -> None:
    """Raise a TypeError unless it is a NetworkFit; a table of contrasts also has columns te and se."""
    if not isinstance(fit, NetworkFit):
        raise TypeError(f"fit: {type(fit).__name__} given; expected a NetworkFit, as fit_network gives")


def rows_of(fit: NetworkFit) -> tuple[Design, Reduced]:
    """Return the design and independent rows of a fit's contrasts; raise an error for a pooled network."""
    check_fit(fit)
    if fit.method == "pooled":
        raise ValueError("a network from pooled contrasts has no studies; expected a fit of fit_network")
    design, te, se, _, _ = prepare(fit.contrasts, repeats=fit.correlation is not None)
    return design, reduce_contrasts(design, te[None], se[None], fit.correlation, fit.loop_tolerance)


def _fit(
    design: Design,
    te: np.ndarray,
    se: np.ndarray,
    tau2: str | float | np.ndarray,
    level: float,
    correlation: float | np.ndarray | None,
    df_predict: PredictionDf,
    loop_tolerance: float | None,
) -> NetworkFits:
    choice(df_predict, "df_predict", get_args(PredictionDf))
    if not (isinstance(level, float) and 0 < level < 1):
        wrong = f"level={level!r}: expected a number between 0 and 1"
        if not (np.ndim(level) == 0 and 0 < real_numbers(level, wrong) < 1):
            raise ValueError(wrong)
    check_ratio(se)
    rows = reduce_contrasts(design, te, se, correlation, loop_tolerance)
    x, y, d = rows.x[..., 1:], rows.y, rows.d
    df = y.shape[1] - x.shape[-1]
    common = least_squares(x, y, d, np.zeros(len(y)))
    value, maxima = between_variance(x, y, d, common, df, tau2)
    # Without heterogeneity the two models coincide, and so must their results.
    random = common if not value.any() else least_squares(x, y, d, value)
    likelihood = log_likelihood(random, restricted=isinstance(tau2, str) and tau2 == "REML")
    likelihood = likelihood - rows.log_jacobian
    scale = np.ones(len(y))
    if df_predict == "partlett-riley":
        scale = np.sqrt(random.q / df) if df > 0 else np.full(len(y), np.nan)
    return NetworkFits(
        treatments=design.treatments,
        effects=_with_reference(random.b, 1),
        covariance=_with_reference(random.cov, 2),
        effects_common=_with_reference(common.b, 1),
        covariance_common=_with_reference(common.cov, 2),
        tau2=value,
        q=common.q,
        log_likelihood=likelihood,
        maxima=None if maxima is None else maxima.at(likelihood),
        predict_scale=scale,
        df_q=df,
        df_predict={"q": df, "normal": np.inf}.get(df_predict, df - 1),
        level=level,
    )


def between_variance(
    x: np.ndarray,
    y: np.ndarray,
    d: np.ndarray,
    common: LeastSquares,
    df: int,
    tau2: str | float | np.ndarray,
) -> tuple[np.ndarray, Tau2Maxima | None]:
    """Estimate tau2 of each data set, and under REML and ML the maxima of its likelihood."""
    wrong = f"tau2={tau2!r}: expected one of {', '.join(METHODS)} or a number >= 0, at most {LARGEST**2:g}"
    if isinstance(tau2, str):
        if tau2 not in METHODS:
            raise ValueError(wrong)
        if tau2 == "DL":
            return tau2_dl(x, common, df), None
        maxima = tau2_maxima(x, y, d, restricted=tau2 == "REML")
        return maxima.tau2[maxima.first], maxima
    value = real_numbers(tau2, wrong)
    if value.shape not in ((), (1,), (len(y),)) or not ((value >= 0) & (value <= LARGEST**2)).all():
        raise ValueError(wrong)
    return np.broadcast_to(value, len(y)).copy(), None


def _join_maxima(maxima: list[Tau2Maxima | None], starts: Sequence[int]) -> Tau2Maxima | None:
    """Join the maxima of pieces of :func:`fit_networks`, which begin at the data sets ``starts``."""
    found = [part for part in maxima if part is not None]
    if not found:
        return None
    return Tau2Maxima(
        np.concatenate([part.data_set + start for part, start in zip(found, starts, strict=True)]),
        np.concatenate([part.tau2 for part in found]),
        np.concatenate([part.log_likelihood for part in found]),
    )


def _with_reference(values: np.ndarray, axes: int) -> np.ndarray:
    """Add the reference's zeros in front of the last axes, 1 or 2, of values [B x ...]."""
    n = values.shape[-1] + 1
    padded = np.zeros((len(values), n) if axes == 1 else (len(values), n, n))
    if axes == 1:
        padded[:, 1:] = values
    else:
        padded[:, 1:, 1:] = values
    return padded
