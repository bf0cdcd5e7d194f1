"""Network meta-regression against metafor: tests/oracles/network_metareg.json (validation/network_metareg.R)."""

import numpy as np
import pandas as pd
import pytest

from oracle_cells import Cells
from psps_paper.network import fit_network, network_meta_regression

# README of the reference results: 1e-6 (of own maxima; rma.mv stops within 1e-6, its tau2 within 1e-5)
TOLERANCE, TAU2 = 1e-6, 1e-5
LISTED = {
    "*/input/*": "the data",
    "*/covariate/x": "the data",
    "*/contrasts/y": "the data against each study's first arm",
    "*/V": "the data's covariance against each study's first arm",
    "*/design": "the columns that the constant of the restricted likelihood is taken from",
}


def contrasts_of(data: dict) -> pd.DataFrame:
    return pd.DataFrame(data["input"]).rename(columns={"studlab": "study", "TE": "te", "seTE": "se"})


def constant(columns: np.ndarray, method: str) -> float:
    """metafor's log|X'X| / 2 of the restricted likelihood, X against each study's first arm."""
    return np.linalg.slogdet(columns.T @ columns)[1] / 2 if method == "REML" else 0.0


def check(book: Cells, path: str, ours: dict) -> None:
    for cell, value in ours.items():
        book.check(f"{path}/{cell}", value, TOLERANCE, 1e-9)
        book.check(f"{path}/rma_mv/{cell}", value, TAU2 if cell == "tau2" else TOLERANCE, 1e-8)


def compare(book: Cells, name: str) -> None:
    data = book.data[name]
    covariate = pd.DataFrame(data["covariate"]).set_index("studlab")["x"]
    rows, x = contrasts_of(data), np.array(data["design"], float)
    for method in ("REML", "ML"):
        fit = network_meta_regression(rows, covariate, data["reference"], data["interaction"], method)
        assert list(fit.coefficients.index) == data["terms"] and fit.left_out == ()
        table = fit.coefficients
        check(
            book,
            f"{name}/{method}_regression",
            {
                "tau2": fit.tau2,
                "b": table["estimate"],
                "se": table["se"],
                "vcov": fit.covariance,
                "logLik": fit.log_likelihood + constant(x, method),
                "Q_residual": fit.q_residual,
                "df_residual": fit.df_residual,
                "Q_interaction": fit.q_interaction,
                "df_interaction": fit.df_interaction,
            },
        )
        plain = fit_network(rows, method)
        others = [term for term in data["terms"] if term in plain.treatments]
        both = plain.cov.loc[others, others] - plain.cov.loc[others, [data["reference"]]].to_numpy()
        covariance = (
            both
            - plain.cov.loc[[data["reference"]], others].to_numpy()
            + plain.cov.at[data["reference"], data["reference"]]
        )
        assert fit.tau2_without_covariate == pytest.approx(plain.tau2, rel=1e-7)
        check(
            book,
            f"{name}/{method}_consistency",
            {
                "tau2": plain.tau2,
                "b": plain.te.loc[others, data["reference"]],
                "se": plain.se.loc[others, data["reference"]],
                "vcov": covariance,
                "logLik": plain.log_likelihood + constant(x[:, : len(others)], method),
                "Q_residual": plain.q,
                "df_residual": plain.df_q,
                "df_interaction": 0,
            },
        )
    book.check(f"{name}/covariate_centre", fit.centre, 1e-12)


@pytest.fixture(scope="module")
def book() -> Cells:
    found = Cells("network_metareg", LISTED)
    for name in found.data:
        if name != "meta":
            compare(found, name)
    return found


def test_every_cell_agrees(book):
    assert not book.differences


def test_every_cell_is_compared_or_listed(book):
    book.assert_complete(__file__)
