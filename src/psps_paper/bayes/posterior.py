"""The posterior of a Bayesian meta-analysis, and the quantities computed from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
import scipy

from psps_paper.bayes import mixture, ranks
from psps_paper.bayes.checks import finite, probability
from psps_paper.bayes.model import LinearModel, moment_exists, rows_to_contrasts
from psps_paper.bayes.priors import TauPrior
from psps_paper.bayes.quadrature import Axis, Nodes, cumulative, quantile, sinc_density
from psps_paper.network.model import Desirable, differences, standard_errors

TAU = 0  # Position of tau among the standard deviations
POINT = 1e-8


@dataclass(frozen=True, eq=False)
class Posterior:
    """Posterior of a Bayesian meta-analysis or network meta-analysis, from :func:`fit_bayes`.

    Every DataFrame ``[treatment x treatment]`` is row minus column, in the unit of the input; its diagonal is zero.

    Attributes
    ----------
    treatments : list of str
        Sorted.
    reference : str
        The treatment relative to which the basic parameters have their prior.
    te, sd : DataFrame [treatment x treatment]
        Posterior means and SDs. With a flat prior of effects, ``te`` is NaN and ``sd`` infinite where the tail of
        tau's prior is too heavy for them to exist, as for the SD from two studies under a half-Cauchy prior.
    lower, upper, median : DataFrame [treatment x treatment]
        Equal-tailed quantiles.
    predict_lower, predict_upper : DataFrame [treatment x treatment]
        The same for the true effect in a new study; NaN for ``effects="fixed"``.
    tau_mean, tau_sd : float
        Infinite if they do not exist or exceed double precision; 0 without tau.
    class_sd_mean, class_sd_sd : float
        The same for the SD within classes; NaN without classes.
    log_marginal : float
        Log marginal likelihood of the contrasts with each study's first arm as baseline, with all constants. With
        ``effect_sd=inf`` the flat prior has density 1, so only differences between priors of tau are meaningful;
        NaN for ``effects="fixed"``.
    error_bound : float
        Largest change of ``log_marginal``, of means and SDs (in posterior SDs) and of tail probabilities when the nodes
        were doubled to the number used. The remaining error is about its square, or rounding.
    nodes : int
        Number of nodes.
    level : float
        Level of the intervals.
    effects : str
    tau_prior, class_sd_prior : TauPrior or None
    contrasts, excluded : DataFrame
        Rows of the input that were used; rows that were not, with a column ``reason``.
    components : DataFrame [component x mean, sd] or None
        Effects of components under an additive model.
    """

    treatments: list[str]
    reference: str
    effects: str
    tau_prior: TauPrior | None
    class_sd_prior: TauPrior | None
    effect_sd: float
    level: float
    error_bound: float
    log_marginal: float
    contrasts: pd.DataFrame = field(repr=False)
    excluded: pd.DataFrame = field(repr=False)
    components: pd.DataFrame | None = field(repr=False)
    model: LinearModel = field(repr=False)
    axes: tuple[Axis | None, Axis | None] = field(repr=False)
    rule: Nodes = field(repr=False)

    # ------------------------------------------------------------ shared parts

    @property
    def nodes(self) -> int:
        return len(self.rule.weight)

    @cached_property
    def _mean(self) -> np.ndarray:
        """Means of the treatments' effects given the node, [nodes x n]."""
        return self.rule.carried[0] @ self.model.effects.T

    @cached_property
    def _covariance(self) -> np.ndarray:
        """Covariance of the treatments' effects given the node, [nodes x n x n]."""
        return self.model.effects @ self.rule.carried[1] @ self.model.effects.T

    @cached_property
    def _spread(self) -> np.ndarray:
        """SDs of differences given the node, [nodes x n x n]."""
        return standard_errors(self._covariance)

    @property
    def _tau(self) -> np.ndarray:
        return self.rule.values[TAU]

    @cached_property
    def _pairs(self) -> tuple[np.ndarray, np.ndarray]:
        return np.triu_indices(len(self.treatments), 1)

    def _parts(self, predictive: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and SD of each pair given the node, [nodes x pairs]."""
        first, second = self._pairs
        sd = self._spread[:, first, second]
        # Members of a class may nearly coincide at a node; this SD is small enough for a point and safe to divide by.
        sd = np.maximum(sd, POINT * sd[self.rule.weight.argmax()])
        if predictive:
            sd = np.sqrt(sd**2 + (self._tau**2)[:, None])
        return self._mean[:, first] - self._mean[:, second], sd

    def _square(self, values: np.ndarray) -> pd.DataFrame:
        labels = pd.Index(self.treatments)
        return pd.DataFrame(values, index=labels, columns=labels)

    def _of_pairs(self, upper: np.ndarray, lower: np.ndarray, diagonal: float = 0.0) -> pd.DataFrame:
        """Build a square table from the values of pairs and of reversed pairs."""
        values = np.full((len(self.treatments),) * 2, diagonal)
        values[self._pairs] = upper
        values[self._pairs[::-1]] = lower
        return self._square(values)

    def _moment_exists(self, order: int) -> bool:
        return moment_exists(self.tau_prior, self.model, order)

    def _within_moment(self, order: int) -> float:
        if self.class_sd_prior is None:
            return np.nan
        exists = moment_exists(self.class_sd_prior, self.model, order, within=True)
        return self._sd_moments(1)[order - 1] if exists else np.inf

    # ------------------------------------------------------------ effects

    @cached_property
    def te(self) -> pd.DataFrame:
        mean = self.rule.weight @ self._mean
        if np.isinf(self.effect_sd) and not self._moment_exists(1):
            return self._square(np.where(np.eye(len(mean)) > 0, 0.0, np.nan))
        return self._square(differences(mean))

    @cached_property
    def sd(self) -> pd.DataFrame:
        if np.isinf(self.effect_sd) and not self._moment_exists(2):
            return self._square(np.where(np.eye(len(self.treatments)) > 0, 0.0, np.inf))
        between = (differences(self._mean) - differences(self.rule.weight @ self._mean)) ** 2
        return self._square(np.sqrt(np.tensordot(self.rule.weight, self._spread**2 + between, axes=1)))

    @cached_property
    def _limits(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        return self._quantiles((1 - self.level) / 2, False)

    @cached_property
    def _predicted(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        return self._quantiles((1 - self.level) / 2, True)

    @property
    def lower(self) -> pd.DataFrame:
        return self._limits[0]

    @property
    def upper(self) -> pd.DataFrame:
        return self._limits[1]

    @cached_property
    def median(self) -> pd.DataFrame:
        return self.quantile(0.5)

    @property
    def predict_lower(self) -> pd.DataFrame:
        return self._predicted[0]

    @property
    def predict_upper(self) -> pd.DataFrame:
        return self._predicted[1]

    def _quantiles(self, p: float, predictive: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Compute the quantiles p and 1 - p of each difference."""
        if predictive and self.effects == "fixed":
            missing = self._square(np.full((len(self.treatments),) * 2, np.nan))
            return missing, missing
        # Nodes needed only for moments of tau have too little weight to change a quantile.
        kept = self.rule.weight > 1e-18
        weight, (mean, sd) = self.rule.weight[kept], (part[kept] for part in self._parts(predictive))
        both = np.repeat([p, 1 - p], mean.shape[1])
        low, high = np.split(mixture.quantiles(both, weight, np.tile(mean, 2), np.tile(sd, 2)), 2)
        # The quantile p of column minus row is minus the quantile 1 - p of row minus column.
        return self._of_pairs(low, -high), self._of_pairs(high, -low)

    def quantile(self, p: float, *, predictive: bool = False) -> pd.DataFrame:
        """Compute a quantile of each difference.

        Parameters
        ----------
        p : float
            In (0, 1).
        predictive : bool
            For the true effect in a new study instead of the mean effect.

        Returns
        -------
        DataFrame [treatment x treatment]
            Row minus column.

        Raises
        ------
        ValueError
            p outside (0, 1).
        """
        return self._quantiles(probability(p, "p"), predictive)[0]

    def density(self, treat1: str, treat2: str, at: np.ndarray, *, predictive: bool = False) -> np.ndarray:
        """Compute the posterior density of treat1 minus treat2 at given values.

        Raises
        ------
        ValueError
            An unknown treatment, or one against itself.
        """
        mean, sd = self._pair(treat1, treat2, predictive)
        at = np.asarray(at, float)
        shape = (-1,) + (1,) * at.ndim
        return mixture.density(at, self.rule.weight, mean.reshape(shape), sd.reshape(shape))

    def _pair(self, treat1: str, treat2: str, predictive: bool) -> tuple[np.ndarray, np.ndarray]:
        for name in (treat1, treat2):
            if name not in self.treatments:
                raise ValueError(f"treatment {name!r}: expected one of {self.treatments}")
        if treat1 == treat2:
            raise ValueError(f"treatment {treat1!r} against itself; expected two treatments")
        i, j = self.treatments.index(treat1), self.treatments.index(treat2)
        mean, sd = self._parts(predictive)
        column = int(np.flatnonzero((self._pairs[0] == min(i, j)) & (self._pairs[1] == max(i, j)))[0])
        return np.sign(j - i) * mean[:, column], sd[:, column]

    # ------------------------------------------------------------ standard deviations

    def _sd_moments(self, which: int) -> tuple[float, float]:
        values, weight = self.rule.values[which], self.rule.weight
        mean = weight @ values
        return float(mean), float(np.sqrt(weight @ (values - mean) ** 2))

    @property
    def tau_mean(self) -> float:
        return self._sd_moments(TAU)[0] if self._moment_exists(1) else np.inf

    @property
    def tau_sd(self) -> float:
        return self._sd_moments(TAU)[1] if self._moment_exists(2) else np.inf

    @property
    def class_sd_mean(self) -> float:
        return self._within_moment(1)

    @property
    def class_sd_sd(self) -> float:
        return self._within_moment(2)

    def tau_quantile(self, p: float) -> float:
        """Compute a quantile of tau, p in (0, 1).

        Raises
        ------
        ValueError
            p outside (0, 1).
        """
        p = probability(p, "p")
        axis = self.axes[TAU]
        return 0.0 if axis is None else quantile(axis, self.rule, p, TAU)

    def tau_below(self, tau: np.ndarray) -> np.ndarray:
        """Compute P(tau <= value)."""
        tau = np.asarray(tau, float)
        axis = self.axes[TAU]
        return (tau >= 0) * 1.0 if axis is None else cumulative(axis, self.rule, tau, TAU)

    def tau_density(self, tau: np.ndarray) -> np.ndarray:
        """Compute the posterior density of tau at given values.

        Raises
        ------
        ValueError
            The model has no tau.
        """
        axis = self.axes[TAU]
        if axis is None:
            raise ValueError(f"effects={self.effects!r}: tau is 0 and has no density")
        return sinc_density(axis, self.rule, np.asarray(tau, float), TAU)

    def highest_density(self, level: float | None = None, of: tuple[str, str] | None = None) -> tuple[float, float]:
        """Find the shortest interval with a given probability, the highest-density interval if there is one mode.

        Parameters
        ----------
        level : float, optional
            In (0, 1); default: the level of the fit.
        of : (str, str), optional
            Two treatments, for the first minus the second; default: tau.

        Returns
        -------
        (float, float)

        Raises
        ------
        ValueError
            A level outside (0, 1) or an unknown treatment.
        """
        level = self.level if level is None else probability(level, "level")
        if of is None:
            if self.tau_prior is None:  # common effects, or unrelated ones: tau is 0
                return 0.0, 0.0
            return _shortest(self.tau_quantile, level, self.tau_prior.bounds[0])
        mean, sd = (part[:, None] for part in self._pair(*of, False))
        return _shortest(lambda p: float(mixture.quantiles(np.array([p]), self.rule.weight, mean, sd)[0]), level, None)

    # ------------------------------------------------------------ which is better

    def p_better(
        self, desirable: Desirable = "lower", margin: float = 0.0, *, predictive: bool = False
    ) -> pd.DataFrame:
        """Compute the probability that the row is better than the column by more than a margin.

        Parameters
        ----------
        desirable : {"lower", "higher"}
            The direction that is better for the patient.
        margin : float
            In the outcome's unit. If negative, the row may be worse, but by less than this margin.
        predictive : bool
            In a new study instead of on average.

        Returns
        -------
        DataFrame [treatment x treatment]
            NaN on the diagonal.

        Raises
        ------
        ValueError
            An unknown direction or a margin that is not a finite number.
        """
        sign = ranks.direction(desirable)
        margin = finite(margin, "margin")
        mean, sd = self._parts(predictive)
        row = mixture.below(-margin, self.rule.weight, -sign * mean, sd)
        column = mixture.below(-margin, self.rule.weight, sign * mean, sd)
        if predictive and self.effects == "fixed":
            row, column = row * np.nan, column * np.nan
        return self._of_pairs(row, column, np.nan)

    def sucra(self, desirable: Desirable = "lower") -> pd.Series:
        """Compute SUCRA, the mean probability of being better than another treatment.

        Returns
        -------
        pandas.Series, shape (n_treatments,)
            In [0, 1], without Monte-Carlo error.

        Source: Rücker & Schwarzer 2015, eq. 4, for the equality.
        """
        better = self.p_better(desirable)
        return pd.Series(better.mean(axis=1), name="sucra")

    def rank_probabilities(self, desirable: Desirable = "lower", *, draws: int = 2**16, seed: int = 0) -> pd.DataFrame:
        """Compute the probability that each treatment has each rank; rank 1 is the best.

        Parameters
        ----------
        desirable : {"lower", "higher"}
        draws, seed : int
            Number of quasi-random points and seed of their randomisation; used only with four or more treatments.

        Returns
        -------
        DataFrame [treatment x rank]
            Rows and columns sum to 1. ``attrs["max_standard_error"]`` is 0 for two and three treatments, whose
            probabilities are exact; otherwise the largest standard error, from 16 independent randomisations.

        Raises
        ------
        ValueError
            An unknown direction or too few draws.
        """
        sign = ranks.direction(desirable)
        if len(self.treatments) <= 3:
            table, error = ranks.exact(self.rule.weight, sign * self._mean, self._covariance), 0.0
        else:
            parts = self.rule.weight, sign * self._mean, self._covariance
            table, error = ranks.quasi_random(*parts, draws=draws, seed=seed)
        index = pd.RangeIndex(1, len(self.treatments) + 1, name="rank")
        result = pd.DataFrame(table, index=self.treatments, columns=index)
        result.attrs = {"max_standard_error": error}
        return result

    # ------------------------------------------------------------ tables

    def study_effects(self) -> pd.DataFrame:
        """Compute the posterior of each study's true effect, shrunk towards the mean, and more so if tau is small.

        Returns
        -------
        DataFrame [study, treat1, treat2, te, se, mean, sd]
            One row per contrast used, treat1 minus treat2.

        Raises
        ------
        ValueError
            A study has several estimates of one comparison, so it has no single true effect.

        Source: Röver 2020, section 2.9 (shrinkage).  Checked against: bayesmeta 3.4, by quadrature.
        """
        own, model, weight = rows_to_contrasts(self.contrasts), self.model, self.rule.weight
        pull = self._tau[:, None] ** 2 / (self._tau[:, None] ** 2 + model.d)
        if self.effects == "fixed":
            pull = np.ones_like(pull)
        b, covariance = self.rule.carried
        mean = (pull * model.y + (1 - pull) * (b @ model.x.T)) @ own.T
        across = (own * (1 - pull)[:, None, :]) @ model.x
        variance = (pull * model.d) @ (own**2).T + ((across @ covariance) * across).sum(axis=2)
        total = weight @ mean
        table = self.contrasts[["study", "treat1", "treat2", "te", "se"]].reset_index(drop=True)
        return table.assign(mean=total, sd=np.sqrt(weight @ (variance + (mean - total) ** 2)))

    def to_frame(self) -> pd.DataFrame:
        """Return one row per pair of treatments.

        Returns
        -------
        DataFrame [treat1, treat2, te, sd, lower, median, upper, predict_lower, predict_upper, p_below_0]
            treat1 minus treat2; ``p_below_0`` is the probability that the difference is negative.
        """
        first, second = self._pairs
        names = np.array(self.treatments, dtype=object)
        columns = ("te", "sd", "lower", "median", "upper", "predict_lower", "predict_upper")
        frames = {name: getattr(self, name).to_numpy()[first, second] for name in columns}
        below = self.p_better("lower").to_numpy()[first, second]
        return pd.DataFrame({"treat1": names[first], "treat2": names[second], **frames, "p_below_0": below})

    def summary(self) -> pd.DataFrame:
        """Summarise the fit as a table [quantity, value]: model, priors, tau, marginal likelihood, error bound."""
        q = (1 - self.level) / 2
        tau = [("tau, mean", self.tau_mean), ("tau, SD", self.tau_sd)]
        tau += [(f"tau, quantile {p:g}", self.tau_quantile(p)) for p in (q, 0.5, 1 - q)]
        if self.effects != "exchangeable":
            tau = []
        within = (
            []
            if np.isnan(self.class_sd_mean)
            else [("SD within classes, mean", self.class_sd_mean), ("SD within classes, SD", self.class_sd_sd)]
        )
        rows = [
            ("treatments", len(self.treatments)),
            ("studies", self.contrasts["study"].nunique()),
            ("effects of studies", self.effects),
            ("prior of tau", "none" if self.tau_prior is None else repr(self.tau_prior)),
            ("prior SD of effects", self.effect_sd),
            *tau,
            *within,
            ("log marginal likelihood", self.log_marginal),
            ("nodes", self.nodes),
            ("error bound", self.error_bound),
        ]
        return pd.DataFrame(rows, columns=["quantity", "value"])


def bayes_factor(first: Posterior, second: Posterior) -> float:
    """Compute the Bayes factor of the first model against the second, the ratio of their marginal likelihoods.

    It can compare priors of tau, consistency with inconsistency (``inconsistency_sd``), additive with full models
    (``separator``), and common with exchangeable effects. Between models with different effects it depends on
    ``effect_sd``, and increasingly so for wider priors (Lindley's paradox).

    Raises
    ------
    ValueError
        The fits are of different contrasts, or have flat priors of different effects, so that their marginal
        likelihoods have no common scale.

    Source: Kass & Raftery 1995.
    """
    columns = ["study", "treat1", "treat2", "te", "se"]
    one, other = (fit.contrasts[columns].sort_values(columns, ignore_index=True) for fit in (first, second))
    if not one.equals(other):
        raise ValueError("bayes_factor: the two fits are of different contrasts")
    flat = [int((fit.model.precision == 0).sum()) for fit in (first, second)]
    if any(flat) and (flat[0] != flat[1] or not np.array_equal(first.model.effects, second.model.effects)):
        raise ValueError(
            "bayes_factor: with effect_sd=inf, models of different effects have no common scale; use a finite effect_sd"
        )
    return float(np.exp(first.log_marginal - second.log_marginal))


def _shortest(quantile_at, level: float, bound: float | None) -> tuple[float, float]:
    """Find the shortest interval from quantile p to p + level; the bound is the quantile for p = 0."""
    edge = 1e-9

    def width(p: float) -> float:
        return quantile_at(p + level) - quantile_at(p)

    grid = np.linspace(0, 1 - level, 25)
    grid[0], grid[-1] = edge * (1 - level), (1 - edge) * (1 - level)
    best = int(np.argmin([width(p) for p in grid]))
    ends = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    p = float(scipy.optimize.minimize_scalar(width, bounds=ends, method="bounded", options={"xatol": 1e-10}).x)
    if bound is not None and quantile_at(level) - bound <= width(p):
        return bound, quantile_at(level)
    return quantile_at(p), quantile_at(p + level)
