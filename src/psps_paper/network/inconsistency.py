"""Agreement of direct and indirect evidence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import scipy

from psps_paper.effects.checks import choice
from psps_paper.network.heterogeneity import least_squares, p_of_q
from psps_paper.network.model import METHODS, NetworkFit, fit_network, rows_of, subnetworks
from psps_paper.network.reduction import Design, Reduced, joiner
from psps_paper.network.results import Result, as_text

# With a direct proportion this close to 1 there is no indirect evidence.
NO_INDIRECT = 1e-9


@dataclass(frozen=True, eq=False)
class QDecomposition(Result):
    """Q by design, and tests of inconsistency between designs.

    A design is the set of treatments that a study compares.

    Attributes
    ----------
    total, within, between : dict with q, df, p
        Common-effect Q of the network; its part within designs (heterogeneity); and the remainder, between
        designs (inconsistency).
    between_random : dict with q, df, p, tau2
        Test of the full design-by-treatment interaction with random effects, with the DL
        estimate of tau2 within designs; NaN if there are no degrees of freedom within designs.
    designs : DataFrame [design, studies, q, df, p]
        The parts of ``within``.
    detached : DataFrame [design, q, df, p]
        Q between designs that remains when a design is detached, that is, has its own effects. Designs whose
        detachment uses no degrees of freedom are omitted.
    """

    total: dict[str, float]
    within: dict[str, float]
    between: dict[str, float]
    between_random: dict[str, float]
    designs: pd.DataFrame
    detached: pd.DataFrame

    @property
    def title(self) -> str:
        return "Q of the network by design"

    def to_frame(self) -> pd.DataFrame:
        """Return the parts (total, within and between designs, common and random effects): part, q, df, p, tau2."""
        parts = ("total", "within", "between", "between_random")
        rows = [{"part": part, **getattr(self, part)} for part in parts]
        return pd.DataFrame(rows, columns=["part", "q", "df", "p", "tau2"])

    def summary(self) -> str:
        """Format the parts, then the designs, as text."""
        tables = {
            self.title: self.to_frame(),
            "Within each design": self.designs,
            "Between designs, without one": self.detached,
        }
        shown = (f"{title}:\n{x.to_string(index=False, float_format=as_text)}" for title, x in tables.items() if len(x))
        return "\n\n".join(shown)


@dataclass(frozen=True, eq=False)
class DesignRows:
    """The independent rows of one data set, with the design of each."""

    x: np.ndarray  # [N x n]
    y: np.ndarray
    d: np.ndarray
    names: list[str]
    sizes: list[int]  # treatments in each design
    design: np.ndarray  # [N] position of the row's design
    studies: list[int]


def design_rows(design: Design, rows: Reduced) -> DesignRows:
    """Find the designs, named "A:B" (see :func:`joiner`) with sorted treatments; two-arm designs come first."""
    arms_of: list[set[int]] = [set() for _ in design.studies]
    for study, first, second in zip(design.study, design.treat1, design.treat2, strict=True):
        arms_of[study] |= {int(first), int(second)}
    sets = [tuple(sorted(arms)) for arms in arms_of]
    found = sorted(set(sets), key=lambda arms: (len(arms), arms))
    position = {arms: k for k, arms in enumerate(found)}
    of_study = np.array([position[arms] for arms in sets])
    return DesignRows(
        x=rows.x[0] if rows.x.ndim == 3 else rows.x,
        y=rows.y[0],
        d=rows.d[0],
        names=[joiner(design.treatments).join(design.treatments[k] for k in arms) for arms in found],
        sizes=[len(arms) for arms in found],
        design=of_study[rows.study],
        studies=np.bincount(of_study).tolist(),
    )


def _q(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> tuple[float, int]:
    """Compute the weighted residual sum of squares, and the rank of x, for x of any rank."""
    root = np.sqrt(w)
    solution, _, rank, _ = np.linalg.lstsq(x * root[:, None], y * root, rcond=1e-10)
    return float((w * (y - x @ solution) ** 2).sum()), int(rank)


def _test(q: float, df: int, **more: float) -> dict[str, float]:
    # Without degrees of freedom Q is rounding error.
    return {"q": q if df > 0 else 0.0, "df": df, "p": float(p_of_q(q, df)), **more}


def decompose_q(fit: NetworkFit) -> QDecomposition:
    """Decompose Cochran's Q by design and test for inconsistency between designs.

    Parameters
    ----------
    fit : NetworkFit

    Returns
    -------
    QDecomposition

    Source: Krahn, Binder & König 2013; design-by-treatment interaction: Higgins et al. 2012,
    White et al. 2012.  Checked against: netmeta 2.8-2 decomp.design().
    """
    rows = design_rows(*rows_of(fit))
    w = 1 / rows.d
    total, rank = _q(rows.x, rows.y, w)
    by_design = []
    for k, name in enumerate(rows.names):
        mine = rows.design == k
        q, used = _q(rows.x[mine], rows.y[mine], w[mine])
        by_design.append({"design": name, "studies": rows.studies[k], **_test(q, mine.sum() - used)})
    designs = pd.DataFrame(by_design)
    within, df_within = designs["q"].sum(), int(designs["df"].sum())
    df_between = len(rows.y) - rank - df_within
    detached = []
    for k, name in enumerate(rows.names):
        q, used = _q(_detach(rows, [k]), rows.y, w)
        if used > rank:
            detached.append({"design": name, **_test(q - within, len(rows.y) - used - df_within)})
    return QDecomposition(
        total=_test(total, len(rows.y) - rank),
        within=_test(within, df_within),
        between=_test(total - within, df_between),
        between_random=_between_random(rows, df_within, df_between),
        designs=designs,
        detached=pd.DataFrame(detached, columns=["design", "q", "df", "p"]),
    )


def _detach(rows: DesignRows, designs: Iterable[int]) -> np.ndarray:
    """Repeat the columns of x for each detached design, zero in all other rows, after x itself."""
    extra = [np.where((rows.design == k)[:, None], rows.x, 0.0) for k in designs]
    return np.concatenate([rows.x, *extra], axis=1)


def tau2_within(rows: DesignRows) -> float:
    """Compute the DL estimate of tau2 with separate effects for every design; NaN without degrees of freedom.

    Source: Krahn, Binder & König 2013; Jackson, White & Riley 2012.
    """
    q, df, trace = 0.0, 0, 0.0
    for k in range(len(rows.names)):
        mine = rows.design == k
        arms = np.flatnonzero(np.abs(rows.x[mine]).sum(axis=0) > 0)
        x, y, d = rows.x[mine][:, arms[1:]], rows.y[mine][None], rows.d[mine][None]
        common = least_squares(x, y, d, np.zeros(1))
        w = common.w[0]
        q += common.q[0]
        df += len(w) - x.shape[1]
        trace += w.sum() - (common.cov[0] * ((x.T * w**2) @ x)).sum()
    return max(0.0, (q - df) / trace) if df > 0 else np.nan


def _between_random(rows: DesignRows, df_within: int, df_between: int) -> dict[str, float]:
    tau2 = tau2_within(rows)
    if df_within == 0:
        return {"q": np.nan, "df": df_between, "p": np.nan, "tau2": tau2}
    w = 1 / (rows.d + tau2)
    network = _q(rows.x, rows.y, w)[0]
    within = sum(
        _q(rows.x[mine], rows.y[mine], w[mine])[0] for mine in (rows.design == k for k in range(len(rows.names)))
    )
    return _test(network - within, df_between, tau2=tau2)


def split_evidence(fit: NetworkFit, method: Literal["back-calculation", "SIDDE"] = "back-calculation") -> pd.DataFrame:
    """Split the evidence for every comparison into direct and indirect (node-splitting).

    Parameters
    ----------
    fit : NetworkFit
        Random effects are used, with the network's tau2 also for direct estimates.
    method : {"back-calculation", "SIDDE"}
        Source of the indirect estimate. "back-calculation": the network estimate after removing the direct
        evidence; the other arms of a multi-arm study that compares both treatments then still contribute. "SIDDE"
        (separating indirect from direct design evidence): only studies that do not compare both treatments, with
        their own estimate of tau2.

    Returns
    -------
    DataFrame
        One row per pair of treatments, treat1 before treat2 in sorted order, with te treat1 minus
        treat2: ``treat1, treat2, studies, te, se, direct_te, direct_se, indirect_te, indirect_se,
        direct_proportion, difference, se_difference, z, p``. ``direct_proportion`` is
        ``se**2 / direct_se**2``, 0 without direct evidence; ``difference`` is direct minus
        indirect. Missing evidence is NaN: in a tree no comparison has both kinds.
        A multi-arm study counts as direct evidence for each of its comparisons.

    Raises
    ------
    ValueError
        An unknown method; a network from pooled contrasts.

    Source: Dias et al. 2010; König, Krahn & Binder 2013 (back-calculation and direct proportion); Efthimiou et al.
    2019 (SIDDE).  Checked against: netmeta 2.8-2 netsplit().
    """
    choice(method, "method", ("back-calculation", "SIDDE"))
    design, rows = rows_of(fit)
    n = len(fit.treatments)
    first, second = np.triu_indices(n, 1)
    te, se = fit.te.to_numpy()[first, second], fit.se.to_numpy()[first, second]
    pair, estimate, loading, variance, study = _direct_rows(fit, design, rows)
    w = 1 / (variance + fit.tau2)
    precision = np.bincount(pair, loading**2 * w, minlength=n * n)[first * n + second]
    weighted = np.bincount(pair, loading * w * estimate, minlength=n * n)[first * n + second]
    once = np.unique(np.stack([pair, study]), axis=1)[0]
    studies = np.bincount(once, minlength=n * n)[first * n + second]
    with np.errstate(divide="ignore", invalid="ignore"):
        direct_te = weighted / precision
        direct_se = 1 / np.sqrt(precision)
        proportion = se**2 * precision
        rest = 1 / se**2 - precision
        has_indirect = 1 - proportion > NO_INDIRECT
        indirect_te = np.where(has_indirect, (te / se**2 - weighted) / rest, np.nan)
        indirect_se = np.where(has_indirect, 1 / np.sqrt(rest), np.nan)
        direct_se = np.where(studies > 0, direct_se, np.nan)
    if method == "SIDDE":
        indirect_te, indirect_se = _indirect_from_other_designs(fit, studies > 0, indirect_te, indirect_se)
    difference = direct_te - indirect_te
    se_difference = np.sqrt(direct_se**2 + indirect_se**2)
    z = difference / se_difference
    return pd.DataFrame(
        {
            "treat1": [fit.treatments[k] for k in first],
            "treat2": [fit.treatments[k] for k in second],
            "studies": studies,
            "te": te,
            "se": se,
            "direct_te": direct_te,
            "direct_se": direct_se,
            "indirect_te": indirect_te,
            "indirect_se": indirect_se,
            "direct_proportion": proportion,
            "difference": difference,
            "se_difference": se_difference,
            "z": z,
            "p": 2 * scipy.special.ndtr(-np.abs(z)),
        }
    )


def _indirect_from_other_designs(
    fit: NetworkFit, direct: np.ndarray, te: np.ndarray, se: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate indirect effects [pair], where direct ones exist, from studies that do not compare both treatments."""
    te, se = te.copy(), se.copy()
    tau2 = fit.method if fit.method in METHODS else fit.tau2
    labels = ["study", "treat1", "treat2"]
    rows = fit.contrasts.assign(**{name: fit.contrasts[name].astype(str) for name in labels})
    first, second = np.triu_indices(len(fit.treatments), 1)
    for k in np.flatnonzero(direct):
        pair = {fit.treatments[first[k]], fit.treatments[second[k]]}
        both = rows["treat1"].isin(pair) & rows["treat2"].isin(pair)
        rest = rows[~rows["study"].isin(rows["study"][both])]
        part = next((part for part in subnetworks(rest) if pair <= part), None) if len(rest) else None
        te[k] = se[k] = np.nan
        if part is not None:
            rest = rest[rest["treat1"].isin(part)]
            other = fit_network(rest, tau2, fit.level, fit.correlation, loop_tolerance=fit.loop_tolerance)
            one, another = fit.treatments[first[k]], fit.treatments[second[k]]
            te[k], se[k] = other.te.at[one, another], other.se.at[one, another]
    return te, se


def _direct_rows(
    fit: NetworkFit, design: Design, rows: Reduced
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows of direct estimates ``y ~ N(loading * effect, d + tau2)``: pair, y, loading, d and study.

    A contrast is such a row with loading 1. Several estimates of one study and comparison are
    correlated and enter as the independent rows that the fit reduced them to.
    """
    n = len(design.treatments)
    te, se = (fit.contrasts[name].to_numpy(float) for name in ("te", "se"))
    low, high = np.minimum(design.treat1, design.treat2), np.maximum(design.treat1, design.treat2)
    plain = np.ones(len(te), bool)
    for group in design.repeated:
        plain[group.rows] = False
    sign = np.where(design.treat1 < design.treat2, 1.0, -1.0)
    parts = [(low[plain] * n + high[plain], (sign * te)[plain], np.ones(plain.sum()), se[plain] ** 2)]
    studies = [design.study[plain]]
    if design.repeated:
        again = np.isin(rows.study, np.concatenate([group.studies for group in design.repeated]))
        x = rows.x[0, again]
        arms = np.zeros((len(design.studies), 2), int)
        for group in design.repeated:
            arms[group.studies] = group.arms
        studies.append(rows.study[again])
        arms = arms[rows.study[again]]
        loading = x[np.arange(len(x)), arms[:, 0]]
        parts.append((arms[:, 0] * n + arms[:, 1], rows.y[0, again], loading, rows.d[0, again]))
    pair, estimate, loading, variance = (np.concatenate(part) for part in zip(*parts, strict=True))
    return pair, estimate, loading, variance, np.concatenate(studies)


def net_heat(fit: NetworkFit, *, random: bool = False) -> pd.DataFrame:
    """Compute the net heat matrix: how detaching one design changes another's share of the inconsistency.

    Parameters
    ----------
    fit : NetworkFit
    random : bool
        Use weights with the DL tau2 within designs instead of common-effect weights.

    Returns
    -------
    DataFrame [design x detached design]
        Contribution of the row's design to Q between designs, minus that contribution when the
        column's design is detached; positive if detaching reduces the row's inconsistency.
        Designs whose detachment uses no degrees of freedom are omitted, because they cannot show
        inconsistency. A multi-arm design has one row and column, the sum over its contrasts.

    Source: Krahn, Binder & König 2013, "net heat plot".
    """
    rows = design_rows(*rows_of(fit))
    tau2 = tau2_within(rows) if random else 0.0
    if np.isnan(tau2):
        raise ValueError("net_heat: no design has two studies, so tau2 within designs is unknown")
    w = 1 / (rows.d + tau2)
    rank = _q(rows.x, rows.y, w)[1]

    def contributions(x: np.ndarray) -> np.ndarray:
        """Compute each design's contribution to Q, minus its own Q within."""
        root = np.sqrt(w)
        solution = np.linalg.lstsq(x * root[:, None], rows.y * root, rcond=1e-10)[0]
        part = w * (rows.y - x @ solution) ** 2
        return np.bincount(rows.design, part, minlength=len(rows.names)) - within

    within = np.array(
        [_q(rows.x[mine], rows.y[mine], w[mine])[0] for mine in (rows.design == k for k in range(len(rows.names)))]
    )
    whole = contributions(rows.x)
    kept, columns = [], []
    for k in range(len(rows.names)):
        x = _detach(rows, [k])
        if np.linalg.matrix_rank(x) > rank:
            kept.append(k)
            columns.append(whole - contributions(x))
    names = pd.Index([rows.names[k] for k in kept], name="design")
    if not kept:
        return pd.DataFrame(index=names, columns=names.rename("detached"), dtype=float)
    values = np.array(columns).T[kept]
    return pd.DataFrame(values, index=names, columns=names.rename("detached"))
