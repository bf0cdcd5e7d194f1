"""The linear model given the standard deviations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy

from psps_paper.bayes.priors import TauPrior
from psps_paper.network.model import prepare
from psps_paper.network.reduction import Design, Reduced, contrast_basis, reduce_contrasts

# Products of the design's columns are stored as a full matrix up to this many numbers.
DENSE = 200_000
# A moment whose integrand decreases more slowly than this depends on values beyond double precision.
BARELY = 0.1


@dataclass(frozen=True, eq=False)
class LinearModel:
    """``y ~ N(x b, d + tau2)`` on independent rows, ``b ~ N(mean, 1 / precision)``.

    Attributes
    ----------
    x : ndarray [N x q]
    y, d : ndarray [N]
    mean, precision : ndarray [q]
        Mean and precision of the prior; precision 0 is flat.
    scaled : ndarray [q] of bool
        Coefficients to multiply by the SD within classes.
    effects : ndarray [n x q]
        Matrix that maps coefficients to effects of treatments.
    log_jacobian : float
        As in ``Reduced``.
    within_df : int
        Number of members minus number of classes: how fast the likelihood decreases in the SD within classes.
    """

    x: np.ndarray
    y: np.ndarray
    d: np.ndarray
    mean: np.ndarray
    precision: np.ndarray
    scaled: np.ndarray
    effects: np.ndarray
    log_jacobian: float
    within_df: int

    def products(self) -> np.ndarray | scipy.sparse.csr_array:
        """Compute x_i x_j by row [N x q * q], sparse if large: a row of x involves few treatments."""
        n, q = self.x.shape
        if n * q * q <= DENSE:
            return (self.x[:, :, None] * self.x[:, None, :]).reshape(n, q * q)
        present = self.x != 0
        most = int(present.sum(axis=1).max())
        # Positions of the non-zero entries; shorter rows are padded with zeros, which add nothing.
        place = np.argsort(~present, axis=1, kind="stable")[:, :most]
        value = np.take_along_axis(self.x, place, axis=1)
        column = place[:, :, None] * q + place[:, None, :]
        row = np.broadcast_to(np.arange(n)[:, None, None], column.shape)
        entries = (value[:, :, None] * value[:, None, :]).ravel(), (row.ravel(), column.ravel())
        return scipy.sparse.csr_array(entries, shape=(n, q * q))

    def given(
        self,
        tau: np.ndarray,
        within: np.ndarray | None,
        products: np.ndarray | scipy.sparse.csr_array,
        *,
        moments: bool,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """Compute the log marginal likelihood [k] and, on request, mean [k x q] and covariance [k x q x q] of ``b``.

        Parameters
        ----------
        tau, within : ndarray [k]
            SD between studies and, if there are classes, within them.
        products : array
            From :meth:`products`.

        Flat coefficients have density 1 everywhere.
        """
        k, q = len(tau), self.x.shape[1]
        y = self.y - self.x @ self.mean
        variance = self.d + (tau**2)[:, None]
        w = 1 / variance
        cross = (products.T @ w.T).T.reshape(k, q, q)
        right = w @ (self.x * y[:, None])
        scale = np.ones((k, q)) if within is None else np.where(self.scaled, within[:, None], 1.0)
        precision = scale[:, :, None] * cross * scale[:, None, :]
        precision[:, np.arange(q), np.arange(q)] += self.precision
        factor = np.linalg.cholesky(precision)
        if moments:
            covariance = np.linalg.inv(precision)
            b = (covariance @ (scale * right)[:, :, None])[:, :, 0]
        else:
            b = np.linalg.solve(precision, (scale * right)[:, :, None])[:, :, 0]
        proper = self.precision > 0
        residual = y - (scale * b) @ self.x.T
        log = (
            -(
                (len(y) - (~proper).sum()) * np.log(2 * np.pi)
                + np.log(variance).sum(axis=1)
                + 2 * np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
                - np.log(self.precision[proper]).sum()
                + (w * residual**2).sum(axis=1)
                + b**2 @ self.precision
            )
            / 2
            - self.log_jacobian
        )
        if not moments:
            return log, ()
        return log, (scale * b + self.mean, scale[:, :, None] * covariance * scale[:, None, :])


def linear_model(
    design: Design,
    rows: Reduced,
    basis: np.ndarray,
    *,
    effect_mean: float,
    effect_sd: float,
    classes: list[str] | None,
    inconsistency_sd: float,
) -> LinearModel:
    """Assemble the columns: basic parameters or components, class members, designs.

    Parameters
    ----------
    basis : ndarray [n x p]
        Maps basic parameters, means of classes or components to treatments; ``effect_mean`` and ``effect_sd`` define
        their prior.
    classes : list of str, optional
        Class of each treatment; the members of a class of several treatments vary around its mean.
    inconsistency_sd : float
        SD of each design's departure from consistency; 0 for none.
    """
    x = np.broadcast_to(rows.x, (1, *rows.x.shape[-2:]))[0]
    members = np.zeros((len(basis), 0))
    if classes is not None:
        several = [k for k, name in enumerate(classes) if classes.count(name) > 1]
        members = np.eye(len(basis))[:, several]
    departures = inconsistency_sd * _departures(design, rows, x) if inconsistency_sd > 0 else np.zeros((len(x), 0))
    p, m, e = basis.shape[1], members.shape[1], departures.shape[1]
    return LinearModel(
        x=np.hstack([x @ basis, x @ members, departures]),
        y=rows.y[0],
        d=rows.d[0],
        mean=np.repeat([effect_mean, 0.0], [p, m + e]),
        precision=np.repeat([effect_sd**-2.0, 1.0], [p, m + e]),
        scaled=np.repeat([False, True, False], [p, m, e]),
        effects=np.hstack([basis, members, np.zeros((len(basis), e))]),
        log_jacobian=float(rows.log_jacobian[0]),
        within_df=0 if classes is None else m - len({classes[k] for k in several}),
    )


def _departures(design: Design, rows: Reduced, x: np.ndarray) -> np.ndarray:
    """Build columns [N x e] for each design's departure from consistency, modelled like a study's from the mean.

    A design with a arms gets a - 1 columns, whose contrasts all have variance 1 and correlation 1/2.
    """
    arms: dict[int, set[int]] = {}
    for study, first, second in zip(design.study, design.treat1, design.treat2, strict=True):
        arms.setdefault(study, set()).update((int(first), int(second)))
    designs = {study: tuple(sorted(treatments)) for study, treatments in arms.items()}
    columns = []
    for kind in sorted(set(designs.values())):
        own = np.array([designs[study] == kind for study in rows.study])
        columns.append(own[:, None] * (x[:, list(kind)] @ contrast_basis(len(kind)).T / 2))
    return np.hstack(columns)


def moment_exists(prior: TauPrior | None, model: LinearModel, order: int, *, within: bool = False) -> bool:
    """Return whether a standard deviation has a posterior moment, from how fast its posterior density decreases.

    The marginal likelihood decreases as ``tau ** -(rows - flat coefficients)``.
    """
    if prior is None or np.isinf(prior.tail):
        return True
    left = model.within_df if within else len(model.y) - int((model.precision == 0).sum())
    return bool(prior.tail + left - order > 1 + BARELY)


def basic_parameters(treatments: list[str], reference: str | None) -> np.ndarray:
    """Build the matrix of basic parameters, other treatments against the reference: columns of an identity matrix."""
    if reference is None:
        reference = treatments[0]
    if reference not in treatments:
        raise ValueError(f"reference={reference!r}: expected one of {treatments}")
    return np.delete(np.eye(len(treatments)), treatments.index(reference), axis=1)


def class_means(treatments: list[str], classes: list[str], reference: str | None) -> np.ndarray:
    """Build the matrix of means of the other classes against the class of the reference."""
    basic_parameters(treatments, reference)
    own = classes[treatments.index(reference or treatments[0])]
    names = [name for name in sorted(set(classes)) if name != own]
    if not names:
        raise ValueError(f"classes: all treatments are in '{own}'; expected at least two classes")
    return np.array([[float(name == label) for name in names] for label in classes])


def component_basis(treatments: list[str], separator: str, inactive: str | None) -> tuple[list[str], np.ndarray]:
    """Return the active components and the matrix of treatments by components."""
    parts = [[part.strip() for part in name.split(separator.strip())] for name in treatments]
    names = sorted({part for some in parts for part in some})
    if inactive is not None and inactive not in names:
        raise ValueError(f"inactive={inactive!r}: expected one of the components {names}")
    names = [name for name in names if name != inactive]
    return names, np.array([[float(name in some) for name in names] for some in parts])


def classes_of(contrasts: pd.DataFrame, column: str, treatments: list[str]) -> list[str]:
    """Read the class of each treatment from columns ``<column>1`` and ``<column>2``, for treat1 and treat2.

    Raises
    ------
    ValueError
        A column or class is missing, or a treatment has two classes.
    """
    found: dict[str, str] = {}
    for side in "12":
        if f"{column}{side}" not in contrasts.columns:
            raise ValueError(f"contrasts: column '{column}{side}' missing; classes={column!r} needs it")
        named = zip(contrasts.index, contrasts[f"treat{side}"], contrasts[f"{column}{side}"], strict=True)
        for row, treatment, label in named:
            if pd.isna(label) or not str(label).strip():
                raise ValueError(f"contrasts, row {row}, column {column}{side}: missing label")
            other = found.setdefault(str(treatment), str(label))
            if other != str(label):
                raise ValueError(
                    f"contrasts, row {row}, column {column}{side}: '{treatment}' is in '{label}', "
                    f"elsewhere in '{other}'"
                )
    return [found[name] for name in treatments]


def rows_to_contrasts(contrasts: pd.DataFrame) -> np.ndarray:
    """Build the matrix [m x N] that transforms the independent rows back to the contrasts.

    Raises
    ------
    ValueError
        A study has several estimates of one comparison, so it has no single true effect.
    """
    design, te, se, _, _ = prepare(contrasts, repeats=True)
    if design.repeated:
        name = design.studies[design.repeated[0].studies[0]]
        raise ValueError(f"study '{name}' has several estimates of one comparison, so it has no single true effect")
    rows = reduce_contrasts(design, te[None], se[None], None)
    x = np.broadcast_to(rows.x, (1, *rows.x.shape[-2:]))[0]
    back = np.zeros((len(te), len(x)))
    back[design.single, np.arange(design.single.size)] = 1.0
    column = design.single.size
    for group in design.multi_arm:
        size = group.arms.shape[1] - 1
        for own in group.rows:
            # Rows of the basis have squared length 2.
            arms = x[column : column + size].T / 2
            back[own, column : column + size] = arms[design.treat1[own]] - arms[design.treat2[own]]
            column += size
    return back
