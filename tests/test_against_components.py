"""Additive component networks against netmeta: tests/oracles/components.json (validation/components.R)."""

import numpy as np
import pandas as pd
import pytest

from oracle_cells import Cells
from psps_paper.network import fit_components, fit_network

# README of the reference results: 1e-10; Linde2016 is rounded in the sixth digit, so that its three-arm studies
# contradict themselves there: 1e-5
TOLERANCE, ROUNDED = 1e-10, 1e-5
LISTED = {
    "*/input/TE": "the data",
    "*/input/seTE": "the data",
    "*/result/m": "contrasts of multi-arm studies count a(a-1)/2, as in n_contrasts: the data",
    "discomb_example/result/Q_additive": "rounding error of a model without degrees of freedom: both below 1e-20",
}
FIT_COLUMNS = {"TE": "te", "seTE": "se", "lower": "lower", "upper": "upper", "p": "p"}


def contrasts_of(data: dict) -> pd.DataFrame:
    return pd.DataFrame(data["input"]).rename(columns={"studlab": "study", "TE": "te", "seTE": "se"})


def compare(book: Cells, name: str) -> None:
    data, reference = book.data[name], book.data[name]["result"]
    fit = fit_components(contrasts_of(data), reference.get("inactive"))
    order, components = reference["trts"], reference["comps"]
    unknown = [c for c, te in zip(components, reference["common"]["components"]["TE"], strict=True) if te is None]
    assert list(fit.unidentified) == unknown
    book.check(f"{name}/subnetworks", len(fit.subnetworks), 0)
    i2 = [fit.i2, fit.i2_lower, fit.i2_upper]
    ours = {
        "C": fit.component_matrix.loc[order, components],
        "k": fit.n_studies,
        "n": len(fit.treatments),
        "d": contrasts_of(data).groupby("study").apply(lambda t: tuple(sorted({*t["treat1"], *t["treat2"]}))).nunique(),
        "n_components": len(fit.components),
        "rank_X": fit.rank,
        "tau": np.sqrt(fit.tau2),
        "tau2": fit.tau2,
        "identified": fit.identified.loc[order, order],
        **dict(zip(("I2", "lower_I2", "upper_I2"), i2, strict=True)),
    }
    for cell, part in (("additive", "additive"), ("standard", "standard"), ("diff", "difference")):
        ours |= {
            f"Q_{cell}": getattr(fit, f"q_{part}"),
            f"df_Q_{cell}": getattr(fit, f"df_q_{part}"),
            f"pval_Q_{cell}": getattr(fit, f"p_q_{part}"),
        }
    for model, suffix in (("common", "_common"), ("random", "")):
        for table, rows in (
            ("components", fit.components.loc[components]),
            ("combinations", fit.combinations.loc[order]),
        ):
            ours |= {f"{model}/{table}/{cell}": rows[f"{column}{suffix}"] for cell, column in FIT_COLUMNS.items()}
            with np.errstate(invalid="ignore"):
                ours[f"{model}/{table}/z"] = rows[f"te{suffix}"].to_numpy() / rows[f"se{suffix}"].to_numpy()
        for cell, column in (("TE", "te"), ("seTE", "se")):
            ours[f"{model}/{cell}"] = getattr(fit, f"{column}{suffix}").loc[order, order]
    rtol = ROUNDED if name.startswith("linde") else TOLERANCE
    # A difference of two effects loses digits of its own
    for cell, value in ours.items():
        book.check(f"{name}/result/{cell}", value, rtol, rtol / 10)


def compare_standard(book: Cells, name: str) -> None:
    """The standard model beside it, which has a tau2 of its own."""
    reference = book.data[name]["result"]
    if "standard_tau" in reference:
        fit = fit_network(contrasts_of(book.data[name]))
        order, rtol = reference["trts"], ROUNDED if name.startswith("linde") else TOLERANCE
        book.check(f"{name}/result/standard_tau", fit.tau, rtol)
        book.check(f"{name}/result/standard_TE_random", fit.te.loc[order, order], rtol, rtol / 10)
        book.check(f"{name}/result/standard_seTE_random", fit.se.loc[order, order], rtol, rtol / 10)


@pytest.fixture(scope="module")
def book() -> Cells:
    found = Cells("components", LISTED)
    for name in found.data:
        if name != "meta":
            compare(found, name)
            compare_standard(found, name)
    return found


def test_every_cell_agrees(book):
    assert not book.differences


def test_every_cell_is_compared_or_listed(book):
    book.assert_complete(__file__)
