"""The exported metafor.R: its data give this package's numbers by plain algebra, for every kind of network.

R 4.2.2 with metafor 3.8-1 ran these 43 scripts (validation/README.md, "What agrees"); here numpy does what their base R
does, so that a change of the data or of the expected numbers is seen without R.
"""

from __future__ import annotations

import importlib.util
import json
import re

import numpy as np
import pytest

from helpers import ROOT
from psps_paper.living.metafor_script import basic_contrasts, metafor_script
from psps_paper.network import network_from_pooled

SPEC = importlib.util.spec_from_file_location("check_scripts", ROOT / "validation" / "check_scripts.py")
check_scripts = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(check_scripts)
FITS = check_scripts.networks()


def matrices(fit):
    rows, shared = basic_contrasts(fit)
    basic = np.array(fit.treatments[1:], object)
    first, second = (rows[name].to_numpy(object)[:, None] == basic for name in ("treat1", "treat2"))
    v, r = np.diag(rows["variance"].to_numpy()), np.eye(len(rows))
    for i, j, covariance, correlation in shared.itertuples(index=False):
        v[i, j] = v[j, i] = covariance
        r[i, j] = r[j, i] = correlation
    return rows["te"].to_numpy(), first.astype(float) - second, v, r


@pytest.mark.parametrize("name", FITS)
def test_plain_algebra_on_the_script_s_data_gives_the_fit(name):
    fit = FITS[name]
    y, x, v, r = matrices(fit)
    w = np.linalg.inv(v + fit.tau2 * r)
    cov = np.linalg.inv(x.T @ w @ x)
    effects = np.concatenate([[0], cov @ x.T @ w @ y])
    np.testing.assert_allclose(effects[:, None] - effects, fit.te, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(np.diag(cov), np.diag(fit.cov)[1:], rtol=1e-8)
    w0 = np.linalg.inv(v)
    p = w0 - w0 @ x @ np.linalg.inv(x.T @ w0 @ x) @ x.T @ w0
    assert y @ p @ y == pytest.approx(fit.q, rel=1e-8, abs=1e-10)
    if fit.method == "DL" and fit.df_q > 0:
        assert max(0, (y @ p @ y - fit.df_q) / np.trace(p @ r)) == pytest.approx(fit.tau2, rel=1e-8, abs=1e-12)
    residual = y - x @ effects[1:]
    value = np.linalg.slogdet(v + fit.tau2 * r)[1] + residual @ w @ residual + len(y) * np.log(2 * np.pi)
    if fit.method == "REML":
        value -= np.linalg.slogdet(cov)[1] + x.shape[1] * np.log(2 * np.pi)
    assert -value / 2 == pytest.approx(fit.log_likelihood, abs=1e-8)


@pytest.mark.parametrize("name", ["senn2013, REML", "no degrees of freedom, REML", "odd names, DL", "one study, ML"])
def test_the_script_holds_those_data_and_numbers(name):
    fit, script = FITS[name], metafor_script(FITS[name])
    rows, _ = basic_contrasts(fit)
    te = json.loads("[" + re.search(r"^  te = c\((.*)\),$", script, re.MULTILINE)[1] + "]")
    assert te == rows["te"].tolist() and script.isascii()
    (expected,) = re.findall(r"agree\(random\$TE, matrix\(c\((.*?)\), nrow", script)
    assert json.loads(f"[{expected}]") == fit.te.to_numpy().ravel().tolist()
    assert f"tau2 <- {fit.tau2:.17g}\n" in script
    searched = fit.method in ("REML", "ML") and fit.df_q > 0
    assert ("rma.mv(" in script) == ("library(metafor)" in script) == searched


def test_a_pooled_network_has_no_studies():
    pooled = check_scripts.table(("a", "A", "B", 0.1, 0.2))[["treat1", "treat2", "te", "se"]]
    fit = network_from_pooled(pooled.assign(tau2=0.1), tau2=0.1, df_predict=3)
    with pytest.raises(ValueError, match="has no studies"):
        metafor_script(fit)
