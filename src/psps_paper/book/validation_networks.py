"""Compare the network engine with reference results, field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from psps_paper.network import NetworkFit, fit_network
from psps_paper.network.contribution import contribution_matrix
from psps_paper.network.inconsistency import decompose_q, split_evidence
from psps_paper.network.model import rows_of
from psps_paper.network.ranking import p_scores_from

# Both sides work in double precision; estimates are solutions of small linear systems.
TOLERANCE = 1e-8
# An optimiser's stopping rule, in metafor, decides the last digits of tau.
TOLERANCE_LIKELIHOOD = 1e-5
# Differences of two estimates, and sums over all designs.
TOLERANCE_EVIDENCE = 1e-6
# Zero is reached only up to rounding, so smaller differences do not count.
ZERO = 1e-12
# Small numbers that are not rounding error.
RELATIVE_ONLY = {"pval_Q"}

NOT_COMPARED = {
    "meta": "where the numbers come from and the versions used",
    "input": "goes into the fit",
    "trts": "labels of rows and columns",
    "reference": "label of the baseline treatment",
    "treatments": "labels of the basic parameters",
    "decomp.design": "labels",
    "netsplit.comparison": "labels",
    "contrib.rows": "labels",
    "contrib.cols": "labels",
}


def compare_with_oracle(path: str | Path) -> pd.DataFrame:
    """Refit the data of one reference file and compare every number in it.

    Parameters
    ----------
    path : str or Path
        A JSON file on networks in ``tests/oracles``: by netmeta (with ``input``), or
        ``*_gls.json`` by metafor, whose data are in the file of the same name without ``_gls``.

    Returns
    -------
    DataFrame [field, cells, max_abs_diff, max_rel_diff, tolerance, agrees, reason]
        One row per field, in the order of the file. ``agrees``: every cell differs by at most the
        tolerance, relative to the reference, or by at most 1e-12. Cells missing on both sides
        count as compared, such as node-splits of a tree. Fields that are not compared have 0 cells,
        NaN differences, ``agrees`` missing and a reason.

    Raises
    ------
    KeyError
        The file has a field that is neither compared nor listed as not compared.
    ValueError
        A field has a different shape from ours, or different missing cells.
    """
    path = Path(path)
    reference = json.loads(path.read_text(encoding="utf-8"))
    if "input" in reference:
        ours = dict(_network(reference))
    else:
        source = path.with_name(path.name.replace("_gls", ""))
        contrasts = _netmeta_contrasts(json.loads(source.read_text(encoding="utf-8")))
        ours = dict(_likelihood(reference, contrasts))
    return pd.DataFrame(_compare(field, value, ours) for field, value in _fields(reference)).astype(
        {"agrees": "boolean"}
    )


def _fields(reference: dict, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in reference.items():
        field = prefix + name
        if isinstance(value, dict) and field not in NOT_COMPARED:
            yield from _fields(value, field + ".")
        else:
            yield field, value


def _compare(field: str, value: object, ours: dict[str, tuple[object, float]]) -> dict:
    if field in NOT_COMPARED:
        return {
            "field": field,
            "cells": 0,
            "max_abs_diff": np.nan,
            "max_rel_diff": np.nan,
            "tolerance": np.nan,
            "agrees": pd.NA,
            "reason": NOT_COMPARED[field],
        }
    got, tolerance = ours[field]
    expected, got = np.asarray(value, float), np.asarray(got, float)
    same_gaps = expected.shape == got.shape and (np.isnan(expected) == np.isnan(got)).all()
    if not same_gaps:
        raise ValueError(f"{field}: shape or missing cells differ, {got} instead of {expected}")
    known = ~np.isnan(expected)
    cells, expected, difference = expected.size, expected[known], np.abs(got - expected)[known]
    zero = 0.0 if field in RELATIVE_ONLY else ZERO
    # Where the reference is zero up to rounding, a relative difference is meaningless.
    sizeable = np.abs(expected) > zero / tolerance
    relative = difference[sizeable] / np.abs(expected[sizeable])
    agrees = (difference <= np.maximum(zero, tolerance * np.abs(expected))).all()
    return {
        "field": field,
        "cells": cells,
        "max_abs_diff": float(difference.max(initial=0.0)),
        "max_rel_diff": float(relative.max(initial=0.0)),
        "tolerance": tolerance,
        "agrees": bool(agrees),
        "reason": "",
    }


def _netmeta_contrasts(reference: dict) -> pd.DataFrame:
    names = {"studlab": "study", "treat1": "treat1", "treat2": "treat2", "TE": "te", "seTE": "se"}
    return pd.DataFrame(reference["input"]).rename(columns=names)[list(names.values())]


def _network(reference: dict) -> Iterator[tuple[str, tuple[object, float]]]:
    """Yield our value and tolerance for each field of a netmeta file."""
    labels = reference["trts"]
    # R sorts labels by locale, Python by code point, and ties between shortest paths follow that
    # order; with numbers in front both sort in the same way. Nothing else depends on labels.
    number = {name: f"{k:03d}" for k, name in enumerate(labels)}
    contrasts = _netmeta_contrasts(reference).replace({"treat1": number, "treat2": number})
    fit = fit_network(contrasts, reference["meta"]["method_tau"])
    q = decompose_q(fit)
    counts = {"k": fit.n_studies, "m": fit.n_contrasts, "n": len(labels), "d": len(q.designs)}
    scalars = {
        "Q": fit.q,
        "df_Q": fit.df_q,
        "pval_Q": fit.p_q,
        "I2": fit.i2,
        "lower_I2": fit.i2_lower,
        "upper_I2": fit.i2_upper,
        "tau2": fit.tau2,
        "tau": fit.tau,
    }
    matrices = {
        "TE_common": fit.te_common,
        "seTE_common": fit.se_common,
        "TE_random": fit.te,
        "seTE_random": fit.se,
        "lower_random": fit.lower,
        "upper_random": fit.upper,
        "lower_predict": fit.predict_lower,
        "upper_predict": fit.predict_upper,
    }
    for name, value in (counts | scalars | matrices).items():
        yield name, (value, TOLERANCE)
    parts = {
        "Q_heterogeneity": q.within["q"],
        "df_Q_heterogeneity": q.within["df"],
        "Q_inconsistency": q.between["q"],
        "df_Q_inconsistency": q.between["df"],
        "decomp.Q_inc_random": q.between_random["q"],
        "decomp.df_inc_random": q.between_random["df"],
        "decomp.tau2_within": q.between_random["tau2"],
    }
    designs = q.designs.set_index("design")
    names = [":".join(sorted(number[arm] for arm in design.split(":"))) for design in reference["decomp"]["design"]]
    parts["decomp.Q_design"] = designs.loc[names, "q"]
    parts["decomp.df_design"] = designs.loc[names, "df"]
    for name, value in parts.items():
        yield name, (value, TOLERANCE_EVIDENCE)
    desirable = "lower" if reference["meta"]["small_values"] == "good" else "higher"
    common = p_scores_from(fit.te_common, fit.se_common, desirable=desirable)
    yield "pscore_common", (common, TOLERANCE)
    yield "pscore_random", (p_scores_from(fit.te, fit.se, desirable=desirable), TOLERANCE)
    yield from _evidence(reference, fit, number)
    rows, columns = (
        [":".join(sorted(number[arm] for arm in pair.split(":"))) for pair in reference["contrib"][k]]
        for k in ("rows", "cols")
    )
    yield "contrib.random", (contribution_matrix(fit).loc[rows, columns], TOLERANCE_EVIDENCE)


def _evidence(reference: dict, fit: NetworkFit, number: dict[str, str]) -> Iterator[tuple[str, tuple[object, float]]]:
    both_ways = _both_directions(split_evidence(fit))
    n = len(number)
    for name, column in (
        ("TE_direct_random", "direct_te"),
        ("TE_indirect_random", "indirect_te"),
        ("prop_direct_random", "direct_proportion"),
    ):
        matrix = np.full((n, n), np.nan)
        for (a, b), value in both_ways[column].items():
            matrix[int(a), int(b)] = value
        yield name, (matrix, TOLERANCE_EVIDENCE)
    pairs = [tuple(number[arm] for arm in pair.split(":")) for pair in reference["netsplit"]["comparison"]]
    for name, column in (
        ("TE", "difference"),
        ("seTE", "se_difference"),
        ("z", "z"),
        ("p", "p"),
        ("direct_TE", "direct_te"),
        ("direct_se", "direct_se"),
        ("indirect_TE", "indirect_te"),
        ("indirect_se", "indirect_se"),
        ("k", "studies"),
    ):
        yield f"netsplit.{name}", (both_ways.loc[pairs, column], TOLERANCE_EVIDENCE)


def _both_directions(evidence: pd.DataFrame) -> pd.DataFrame:
    """Return each comparison in both directions, indexed by treat1 and treat2."""
    signed = ["te", "direct_te", "indirect_te", "difference", "z"]
    other = evidence.rename(columns={"treat1": "treat2", "treat2": "treat1"})
    other[signed] = -other[signed]
    return pd.concat([evidence, other]).set_index(["treat1", "treat2"])


def _likelihood(reference: dict, contrasts: pd.DataFrame) -> Iterator[tuple[str, tuple[object, float]]]:
    """Yield our value and tolerance for each field of a metafor file."""
    for method in ("REML", "ML"):
        fit = fit_network(contrasts, method)
        base, others = reference["reference"], reference["treatments"]
        constant = _reml_constant(fit) if method == "REML" else 0.0
        yield f"{method}.tau", (fit.tau, TOLERANCE_LIKELIHOOD)
        yield f"{method}.beta", (fit.te.loc[others, base], TOLERANCE_LIKELIHOOD)
        yield f"{method}.se", (fit.se.loc[others, base], TOLERANCE_LIKELIHOOD)
        yield f"{method}.logLik", (fit.log_likelihood + constant, TOLERANCE_LIKELIHOOD)


def _reml_constant(fit: NetworkFit) -> float:
    """Compute log|X'X| / 2, which metafor adds; X is in contrasts with each study's first arm as baseline."""
    design, _ = rows_of(fit)
    first_arm = np.full(len(design.studies), len(fit.treatments))
    np.minimum.at(first_arm, design.study, np.minimum(design.treat1, design.treat2))
    low = np.minimum(design.treat1, design.treat2)
    basic = low == first_arm[design.study]
    x = np.zeros((basic.sum(), len(fit.treatments)))
    x[np.arange(len(x)), design.treat1[basic]] = 1.0
    x[np.arange(len(x)), design.treat2[basic]] = -1.0
    return float(np.linalg.slogdet(x[:, 1:].T @ x[:, 1:])[1] / 2)
