"""Write an R script that checks any network in base R and metafor."""

from __future__ import annotations

import numpy as np
import pandas as pd

from psps_paper.living.r_text import r_matrix, r_number, r_text, r_vector
from psps_paper.living.store import versions
from psps_paper.network import NetworkFit
from psps_paper.network.model import prepare
from psps_paper.network.reduction import Design, closed_estimates

# Algebra in R agrees more closely than this. metafor's search stops by its own rule, so its tolerance is wider.
ALGEBRA, SEARCH = 1e-8, 1e-4


def metafor_script(fit: NetworkFit) -> str:
    """Write an R script that refits a network from the full covariance of its contrasts and compares every number.

    Base R does the algebra: estimates and standard errors at this package's tau2, Q, and tau2 under DL. metafor's
    ``rma.mv`` searches for tau2 under REML and ML; the script stops if it finds a likelihood above this package's.
    It runs for every network that :func:`psps_paper.network.fit_network` fits: multi-arm studies with any variances,
    several estimates per study with ``correlation``, and networks without degrees of freedom.

    Parameters
    ----------
    fit : NetworkFit
        A network fitted to studies.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        The network was made from pooled contrasts and has no studies.

    Source: generalised least squares as in Rücker & Schwarzer 2014; DL by Jackson, White & Riley 2012.
    Checked against: run in R 4.2.2 with metafor 3.8-1 (validation/README.md).
    """
    if fit.method == "pooled":
        raise ValueError("a network from pooled contrasts has no studies; expected a fit of fit_network")
    rows, shared = basic_contrasts(fit)
    lines = [
        f"# {len(rows)} contrasts, checked in R against psps-paper {versions()['psps-paper']}.",
        "# Written by psps-paper export. Base R suffices, except that REML and ML need metafor (3.8 or later).",
        *_data(fit, rows, shared),
        *_ALGEBRA_IN_R,
        *_expected(fit),
    ]
    if fit.method in ("REML", "ML") and fit.df_q > 0:
        lines += _search(fit)
    return "\n".join([*lines, 'cat("R agrees with psps-paper\\n")']) + "\n"


def basic_contrasts(fit: NetworkFit) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reduce each study to its basic contrasts, and list which of them are not independent.

    Returns
    -------
    contrasts : DataFrame [study, treat1, treat2, te, variance]
        The a - 1 contrasts with the first arm of a study with a arms; all estimates of a study that repeats one.
    shared : DataFrame [row, other, covariance, correlation]
        Positions from 0, the covariance of the sampling errors and the correlation of the true effects.
    """
    design, te, se, _, _ = prepare(fit.contrasts, repeats=fit.correlation is not None)
    te = closed_estimates(design, te, se)
    rows = [(k, design.treat1[k], design.treat2[k], te[k], se[k] ** 2, design.study[k]) for k in design.single.tolist()]
    shared: list[tuple[int, int, float, float]] = []
    for group in design.multi_arm:
        arms = group.arms.shape[1]
        places = {pair: k for k, pair in enumerate(zip(*np.triu_indices(arms, 1), strict=True))}
        for own, sign, members, study in zip(group.rows, group.sign, group.arms, group.studies, strict=True):
            start, variance = len(rows), se[own] ** 2
            # A basic contrast: the first arm minus the other one.
            rows += [
                (own[k], members[0], members[k + 1], sign[k] * te[own[k]], variance[k], study) for k in range(arms - 1)
            ]
            for i in range(arms - 1):
                for j in range(i + 1, arms - 1):
                    third = variance[places[i + 1, j + 1]]
                    shared.append((start + i, start + j, (variance[i] + variance[j] - third) / 2, 0.5))
    for group in design.repeated:
        for own, sign, members, study in zip(group.rows, group.sign, group.arms, group.studies, strict=True):
            start, rho = len(rows), float(fit.correlation or 0.0)
            rows += [(k, members[0], members[1], s * te[k], se[k] ** 2, study) for k, s in zip(own, sign, strict=True)]
            pairs = [(i, j) for i in range(len(own)) for j in range(i + 1, len(own))]
            shared += [(start + i, start + j, rho * se[own[i]] * se[own[j]], rho) for i, j in pairs]
    return _named(design, rows), pd.DataFrame(shared, columns=["row", "other", "covariance", "correlation"])


def _named(design: Design, rows: list[tuple]) -> pd.DataFrame:
    names = np.array(design.treatments, object)
    _, first, second, te, variance, study = (list(column) for column in zip(*rows, strict=True))
    return pd.DataFrame(
        {
            "study": np.array(design.studies, object)[study],
            "treat1": names[first],
            "treat2": names[second],
            "te": te,
            "variance": variance,
        }
    )


def _data(fit: NetworkFit, rows: pd.DataFrame, shared: pd.DataFrame) -> list[str]:
    """Write the lines that hold the data and build the matrices X, V and R of the model."""
    labels = {name: r_vector(map(r_text, rows[name])) for name in ("study", "treat1", "treat2")}
    numbers = {name: r_vector(map(r_number, rows[name])) for name in ("te", "variance")}
    lines = [
        "",
        "contrasts <- data.frame(",
        ",\n".join(f"  {name} = {values}" for name, values in (labels | numbers).items()),
        ")",
        f"treatments <- {r_vector(map(r_text, fit.treatments))}",
        "y <- contrasts$te",
        'X <- outer(contrasts$treat1, treatments[-1], "==") - outer(contrasts$treat2, treatments[-1], "==")',
        "V <- diag(contrasts$variance, length(y))",
        "R <- diag(1, length(y))  # correlation of the true effects",
    ]
    if len(shared):
        places = (r_vector(str(k + 1) for k in shared[name]) for name in ("row", "other"))
        row, other = places
        lines += [
            f"pairs <- cbind({row}, {other})",
            f"V[pairs] <- V[pairs[, 2:1, drop = FALSE]] <- {r_vector(map(r_number, shared['covariance']))}",
            f"R[pairs] <- R[pairs[, 2:1, drop = FALSE]] <- {r_vector(map(r_number, shared['correlation']))}",
        ]
    return lines


_ALGEBRA_IN_R = [
    "",
    "fitted <- function(tau2) {",
    "  W <- solve(V + tau2 * R)",
    "  cov <- solve(t(X) %*% W %*% X)",
    "  b <- cov %*% t(X) %*% W %*% y",
    "  r <- y - X %*% b",
    "  Q <- c(t(r) %*% W %*% r)",
    "  P <- W - W %*% X %*% cov %*% t(X) %*% W",
    "  effects <- c(0, b)",
    "  full <- rbind(0, cbind(0, cov))",
    "  list(TE = outer(effects, effects, '-'), Q = Q, trace = sum(diag(P %*% R)),",
    "       seTE = sqrt(pmax(outer(diag(full), diag(full), '+') - 2 * full, 0)),",
    "       ml = c(-(determinant(V + tau2 * R)$modulus + Q + length(y) * log(2 * pi)) / 2),",
    "       reml = c(-(determinant(V + tau2 * R)$modulus - determinant(cov)$modulus + Q +",
    "                 (length(y) - ncol(X)) * log(2 * pi)) / 2))",
    "}",
    "agree <- function(found, expected, tolerance) {",
    "  stopifnot(max(abs(c(found) - c(expected))) <= tolerance * max(abs(expected), 1e-12))",
    "}",
]


def _expected(fit: NetworkFit) -> list[str]:
    """Write the lines that compare the algebra."""
    tolerance = r_number(ALGEBRA)
    likelihood = "reml" if fit.method == "REML" else "ml"
    lines = [
        "",
        "# What psps-paper computed, row minus column",
        f"tau2 <- {r_number(fit.tau2)}",
        "common <- fitted(0)",
        "random <- fitted(tau2)",
        *[
            f"agree({ours}, {r_matrix(frame)}, {tolerance})"
            for ours, frame in (
                ("random$TE", fit.te),
                ("random$seTE", fit.se),
                ("common$TE", fit.te_common),
                ("common$seTE", fit.se_common),
            )
        ],
        # Without degrees of freedom, Q is rounding error in both programs.
        f"stopifnot(abs(common$Q - {r_number(fit.q)}) <= {tolerance} * max(1, common$Q))",
        f"stopifnot(abs(random${likelihood} - {r_number(fit.log_likelihood)}) <= {tolerance} * length(y))",
    ]
    if fit.method == "DL" and fit.df_q > 0:
        lines.append(
            f"stopifnot(abs(max(0, (common$Q - {fit.df_q}) / common$trace) - tau2) <= {tolerance} * max(1, tau2))"
        )
    return lines


def _search(fit: NetworkFit) -> list[str]:
    """Write the lines that make metafor search for tau2; the likelihood can have several maxima."""
    method = fit.method
    constant = "determinant(t(X) %*% X)$modulus / 2" if method == "REML" else "0"
    return [
        "",
        "library(metafor)",
        "contrasts$row <- factor(seq_along(y))",
        "dimnames(R) <- list(levels(contrasts$row), levels(contrasts$row))",
        "search <- rma.mv(y, V, mods = ~ X - 1, random = ~ 1 | row, R = list(row = R), Rscale = FALSE,",
        f"                 data = contrasts, method = {r_text(method)}, sparse = FALSE)",
        f"reached <- c(logLik(search)) - c({constant})",
        f"highest <- {r_number(fit.log_likelihood)}",
        f"stopifnot(reached <= highest + {r_number(SEARCH)})",
        f"if (reached >= highest - {r_number(SEARCH)}) {{",
        # Near a flat maximum, an error in the likelihood gives an error in tau2 of about its square root.
        "  stopifnot(abs(search$sigma2 - tau2) <= 0.05 * (tau2 + min(diag(V))))",
        '  cat("metafor finds the same tau2,", search$sigma2, "\\n")',
        "} else {",
        '  cat("metafor stops at a lower maximum, tau2", search$sigma2, "\\n")',
        "}",
    ]
