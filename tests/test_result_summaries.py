"""Every result has a table and a text, and both contain what netmeta prints."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math

import numpy as np
import pandas as pd
import pytest

from helpers import ROOT
from psps_paper import network, pairwise
from psps_paper.network.results import Result

SENN = json.loads((ROOT / "tests" / "oracles" / "senn2013.json").read_text(encoding="utf-8"))
ROWS = pd.DataFrame(SENN["input"]).set_axis(["study", "treat1", "treat2", "te", "se"], axis=1)
FIT = network.fit_network(ROWS)
ALONE = pairwise.meta_analysis(ROWS["te"], ROWS["se"])
# Parts of results, and options: never given back by themselves
PARTS = {"Tau2Maxima", "Tau2Maximum", "Sigma2Maximum"}


@pytest.mark.parametrize("room", [network, pairwise], ids=["network", "pairwise"])
def test_every_public_result_has_a_table_and_a_summary(room):
    results = {
        name: cls
        for name, cls in vars(room).items()
        if name in room.__all__ and inspect.isclass(cls) and dataclasses.is_dataclass(cls)
    }
    assert len(results) > 5
    assert {name for name, cls in results.items() if not issubclass(cls, Result)} <= PARTS


def test_the_network_s_table_has_netmeta_s_numbers():
    """senn2013.json: TE.random, seTE.random, TE.common; p by the normal distribution."""
    frame = FIT.to_frame().set_index(["treat1", "treat2"])
    trts = SENN["trts"]
    i, j = trts.index("metf"), trts.index("plac")
    row = frame.loc[("metf", "plac")]
    assert len(frame) == 45
    assert row["te"] == pytest.approx(SENN["TE_random"][i][j], rel=1e-9)
    assert row["se"] == pytest.approx(SENN["seTE_random"][i][j], rel=1e-9)
    assert row["te_common"] == pytest.approx(SENN["TE_common"][i][j], rel=1e-9)
    assert row["p"] == pytest.approx(math.erfc(abs(row["te"] / row["se"]) / 2**0.5), rel=1e-9)


def test_the_network_s_summary_reads_like_netmeta_s():
    """k, m and n; Q total, within and between designs; tau2 and I2 of senn2013.json."""
    text = FIT.summary("plac")
    assert "Studies 26, pairwise comparisons 28, treatments 10" in text
    for key in ("Q", "Q_heterogeneity", "Q_inconsistency", "tau2"):
        assert f"{SENN[key]:.4f}" in text, key
    assert f"{100 * SENN['I2']:.1f}% ({100 * SENN['lower_I2']:.1f}% to {100 * SENN['upper_I2']:.1f}%)" in text
    with pytest.raises(ValueError, match="reference: 'placebo' is not one of"):
        FIT.summary("placebo")


def test_a_pooled_network_has_a_summary_without_designs():
    pooled = network.network_from_pooled(
        pd.DataFrame([("A", "P", 0.5, 0.1), ("B", "P", 0.2, 0.1)], columns=["treat1", "treat2", "te", "se"])
    )
    assert "within designs" not in pooled.summary() and len(pooled.to_frame()) == 3


def test_summaries_of_one_comparison_say_its_numbers():
    assert f"{ALONE.te:.4f}" in ALONE.summary() and f"Q = {ALONE.q:.4f}" in ALONE.summary()
    frame = ALONE.to_frame().set_index("model")
    assert frame.at["common", "te"] == ALONE.te_common and frame.at["prediction", "upper"] == ALONE.predict_upper


@pytest.mark.parametrize(
    "result",
    [
        network.decompose_q(FIT),
        network.cluster_robust(FIT),
        network.fit_networks(ROWS, te=np.tile(ROWS["te"], (2, 1)), se=np.tile(ROWS["se"], (2, 1))),
        pairwise.egger_test(ROWS["te"], ROWS["se"]),
        pairwise.three_level(ROWS["te"], ROWS["se"], ROWS["study"]),
        pairwise.robust_meta_analysis(ROWS["te"], ROWS["se"], ROWS["study"]),
        pairwise.meta_analyses(np.tile(ROWS["te"], (2, 1)), np.tile(ROWS["se"], (2, 1))),
    ],
    ids=lambda result: type(result).__name__,
)
def test_other_results_have_a_table_and_a_text_of_more_than_their_name(result):
    assert len(result.to_frame()) >= 1 and result.to_frame().select_dtypes("number").notna().any().any()
    assert len(result.summary().splitlines()) > 2
