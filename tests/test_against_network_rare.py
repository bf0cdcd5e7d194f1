"""Networks of rare events against netmeta and own maxima: tests/oracles/network_rare.json
(validation/network_rare.R)."""

import numpy as np
import pandas as pd
import pytest

from oracle_cells import Cells
from psps_paper.effects import effect_sizes
from psps_paper.network import fit_binary_network, fit_network

# README of the reference results: 1e-9, own maxima 1e-8
TOLERANCE, OWN_MAXIMUM = 1e-9, 1e-8
APPROXIMATE = "netmeta maximises an approximation with replacement; own_maximum_exact_likelihood is compared"
LISTED = {
    "*/arms/event": "the data",
    "*/arms/n": "the data",
    "*/m": "contrasts of multi-arm studies count a(a-1)/2: n_arms is compared",
    "*/NCH/own_maximum_netmeta_likelihood/*": APPROXIMATE,
    "*/NCH/TE_common": APPROXIMATE,
    "*/NCH/seTE_common": APPROXIMATE,
    "*/NCH/lower_common": APPROXIMATE,
    "*/NCH/upper_common": APPROXIMATE,
    "*/NCH/pval_common": APPROXIMATE,
    "*/NCH/*_direct_common": "netmeta gives Mantel-Haenszel estimates there, which MH/*_direct_common compares",
    "*/NCH_cc_pooled/*": "the exact likelihood needs whole counts: an error here, the approximation in netmeta",
    "*/MH_cc_pooled/*_direct_common": (
        "netmeta adds 0.5 to each study with an empty cell there, not only to the designs of continuity='pooled'"
    ),
}
RULES = {"only0": "only0", "incr0.1": "only0", "allincr": "if0all", "addincr": "all", "allstudies": "only0"}


def arms_of(data: dict) -> pd.DataFrame:
    return pd.DataFrame(data["arms"]).rename(columns={"studlab": "study", "treat": "treatment", "event": "events"})


def hollow(matrix: pd.DataFrame) -> np.ndarray:
    """netmeta has nothing on the diagonal of direct estimates."""
    values = matrix.to_numpy().copy()
    np.fill_diagonal(values, np.nan)
    return values


def compare_conditional(book: Cells, name: str, field: str) -> None:
    method, pooled = field.split("_")[0], field.endswith("pooled")
    reference = book.data[name][field]
    fit = fit_binary_network(arms_of(book.data[name]), method, "pooled" if pooled else None)
    assert fit.treatments == reference["trts"] and sorted(set(fit.arms["study"])) == sorted(
        reference["used"]["studies"]
    )
    ours = {
        "k": fit.n_studies,
        "n": len(fit.treatments),
        "d": fit.n_designs,
        "used/n_arms": fit.n_arms,
        "TE_common": fit.te_common,
        "seTE_common": fit.se_common,
        "lower_common": fit.lower_common,
        "upper_common": fit.upper_common,
        "pval_common": fit.p_common,
        "Q_inconsistency": fit.q,
        "df_Q_inconsistency": fit.df_q,
        "pval_Q_inconsistency": fit.p_q,
        "TE_direct_common": hollow(fit.te_direct),
        "seTE_direct_common": hollow(fit.se_direct),
    }
    for cell, value in ours.items():
        book.check(f"{name}/{field}/{cell}", value, TOLERANCE)
    own = {"TE": fit.te_common, "seTE": fit.se_common, "logLik": fit.log_likelihood}
    for cell, value in own.items():
        book.check(f"{name}/{field}/own_maximum_exact_likelihood/{cell}", value, OWN_MAXIMUM, 1e-11)


def compare_inverse(book: Cells, name: str, field: str) -> None:
    _, measure, rule = field.split("_")
    reference = book.data[name][field]
    made = effect_sizes(
        arms_of(book.data[name]),
        measure,
        continuity=RULES[rule],
        increment=0.1 if rule == "incr0.1" else 0.5,
        double_zero="keep" if measure == "RD" or rule == "allstudies" else "drop",
        correct_estimate=False,
        rr_increments=1,
    )
    order = reference["trts"]
    theirs = pd.DataFrame(reference["contrasts"])
    both = pd.concat([made, made.rename(columns={"treat1": "treat2", "treat2": "treat1"}).assign(te=-made["te"])])
    rows = both.set_index(["study", "treat1", "treat2"]).loc[
        list(zip(theirs["studlab"], theirs["treat1"], theirs["treat2"], strict=True))
    ]
    fit = fit_network(made)
    ours = {
        "k": fit.n_studies,
        "n": len(fit.treatments),
        "contrasts/TE": rows["te"],
        "contrasts/seTE": rows["se"],
        "TE_common": fit.te_common.loc[order, order],
        "seTE_common": fit.se_common.loc[order, order],
        "TE_random": fit.te.loc[order, order],
        "seTE_random": fit.se.loc[order, order],
        "tau": fit.tau,
        "Q": fit.q,
        "df_Q": fit.df_q,
    }
    for cell, value in ours.items():
        book.check(f"{name}/{field}/{cell}", value, TOLERANCE)


@pytest.fixture(scope="module")
def book() -> Cells:
    found = Cells("network_rare", LISTED)
    for name, data in found.data.items():
        for field in data if name != "meta" else ():
            if field in ("MH", "MH_cc_pooled", "NCH"):
                compare_conditional(found, name, field)
            elif field.startswith("Inverse") and "error" not in data[field]:
                compare_inverse(found, name, field)
    return found


def test_every_cell_agrees(book):
    assert not book.differences


def test_every_cell_is_compared_or_listed(book):
    book.assert_complete(__file__)
