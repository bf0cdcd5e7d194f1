"""Several estimates of one comparison by one study, against the formulas with full matrices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import sqrtm

from psps_paper.network import fit_network, fit_networks
from psps_paper.network.inconsistency import split_evidence
from psps_paper.network.robust import cluster_robust

# Sums of some dozens of double-precision terms.
CLOSE = {"rtol": 1e-9, "atol": 1e-12}


@pytest.fixture
def contrasts() -> pd.DataFrame:
    """Ten studies of three treatments; s0 to s3 give two or three estimates, some turned around."""
    rng = np.random.default_rng(7)
    pairs = [("A", "B"), ("B", "C"), ("A", "C")]
    rows = []
    for study in range(10):
        a, b = pairs[study % 3]
        for estimate in range({0: 3, 1: 2, 2: 2, 3: 3}.get(study, 1)):
            te, se = rng.normal(0.3, 0.5), rng.uniform(0.1, 0.4)
            turn = estimate == 1
            rows.append((f"s{study}", b if turn else a, a if turn else b, -te if turn else te, se))
    return pd.DataFrame(rows, columns=["study", "treat1", "treat2", "te", "se"])


def matrices(contrasts: pd.DataFrame, rho: float):
    """x, y, sampling covariance and correlation of all rows, B and C relative to A."""
    x = np.zeros((len(contrasts), 3))
    rows = np.arange(len(contrasts))
    x[rows, contrasts["treat1"].map({"A": 0, "B": 1, "C": 2})] = 1
    x[rows, contrasts["treat2"].map({"A": 0, "B": 1, "C": 2})] -= 1
    sign = np.where(contrasts["treat1"] < contrasts["treat2"], 1.0, -1.0)
    same = contrasts["study"].to_numpy()[:, None] == contrasts["study"].to_numpy()
    correlation = np.where(same, rho, 0.0) * np.outer(sign, sign)
    np.fill_diagonal(correlation, 1.0)
    se = contrasts["se"].to_numpy()
    return x[:, 1:], contrasts["te"].to_numpy(), correlation * np.outer(se, se), correlation


def gls(x, y, v):
    inverse = np.linalg.inv(v)
    cov = np.linalg.inv(x.T @ inverse @ x)
    b = cov @ x.T @ inverse @ y
    return b, cov, (y - x @ b) @ inverse @ (y - x @ b), inverse


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.8, 0.99])
def test_dl_with_a_working_covariance(contrasts, rho):
    # Jackson, White & Riley 2012 with covariance S + tau2 R, R the working correlation.
    x, y, v, r = matrices(contrasts, rho)
    _, cov, q, inverse = gls(x, y, v)
    projection = inverse - inverse @ x @ cov @ x.T @ inverse
    df = len(y) - 2
    tau2 = max(0.0, (q - df) / np.trace(projection @ r))
    assert tau2 > 0
    b, cov, _, _ = gls(x, y, v + tau2 * r)
    fit = fit_network(contrasts, correlation=rho)
    np.testing.assert_allclose([fit.tau2, fit.q, fit.df_q], [tau2, q, df], **CLOSE)
    np.testing.assert_allclose(fit.effects[1:], b, **CLOSE)
    np.testing.assert_allclose(fit.covariance[1:, 1:], cov, **CLOSE)


@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_ml_is_the_maximum_of_the_full_likelihood(contrasts, rho):
    x, y, v, r = matrices(contrasts, rho)

    def log_likelihood(tau2):
        total = v + tau2 * r
        q = gls(x, y, total)[2]
        return -(len(y) * np.log(2 * np.pi) + np.linalg.slogdet(total)[1] + q) / 2

    fit = fit_network(contrasts, "ML", correlation=rho)
    assert fit.tau2 > 0
    assert fit.log_likelihood == pytest.approx(log_likelihood(fit.tau2), rel=1e-10)
    # A maximum: flat at 1e-4 to either side, in terms of what curvature makes of that step.
    for step in (1e-3, -1e-3):
        assert log_likelihood(fit.tau2 * (1 + step)) < fit.log_likelihood
    slope = log_likelihood(fit.tau2 + 1e-6) - log_likelihood(fit.tau2 - 1e-6)
    assert abs(slope) / 2e-6 < 1e-3


@pytest.mark.parametrize("tau2", ["DL", "REML", 0.05])
def test_correlation_0_is_independence(contrasts, tau2):
    unique = contrasts.assign(study=[f"{k}" for k in range(len(contrasts))])
    fit, other = fit_network(contrasts, tau2, correlation=0.0), fit_network(unique, tau2)
    np.testing.assert_allclose(fit.te, other.te, **CLOSE)
    np.testing.assert_allclose(fit.se, other.se, **CLOSE)
    assert fit.tau2 == pytest.approx(other.tau2, rel=1e-9)
    assert (fit.n_studies, other.n_studies) == (10, len(contrasts))


def test_correlation_widens_a_mean_of_equal_estimates():
    # Two estimates of equal se: the variance of their mean is se^2 (1 + rho) / 2.
    rows = pd.DataFrame(
        [("s", "A", "B", 0.2, 0.3), ("s", "A", "B", 0.4, 0.3)],
        columns=["study", "treat1", "treat2", "te", "se"],
    )
    fit = fit_network(rows, 0.0, correlation=0.5)
    assert fit.te.at["A", "B"] == pytest.approx(0.3)
    assert fit.se.at["A", "B"] == pytest.approx(0.3 * np.sqrt(0.75))


def test_correlation_may_vary_over_data_sets(contrasts):
    rho, tau2 = np.array([0.0, 0.4, 0.9]), np.array([0.0, 0.1, 0.3])
    te, se = contrasts["te"].to_numpy(), contrasts["se"].to_numpy()
    for values in ("DL", "REML", tau2):
        fits = fit_networks(contrasts, te, se, values, correlation=rho)
        for k in range(3):
            value = values if isinstance(values, str) else values[k]
            alone = fit_network(contrasts, value, correlation=rho[k])
            np.testing.assert_allclose(fits.te[k], alone.te, **CLOSE)
            np.testing.assert_allclose(fits.se[k], alone.se, **CLOSE)
            assert fits.log_likelihood[k] == pytest.approx(alone.log_likelihood, rel=1e-9)


def test_pieces_of_many_data_sets_join(contrasts, monkeypatch):
    te = np.random.default_rng(0).normal(size=(7, len(contrasts)))
    se = contrasts["se"].to_numpy()
    varying = {"tau2": np.linspace(0, 0.3, 7), "correlation": np.linspace(0, 0.9, 7)}
    whole = [fit_networks(contrasts, te, se, correlation=0.5), fit_networks(contrasts, te, se, **varying)]
    # Two data sets a piece.
    monkeypatch.setattr("psps_paper.network.model.PIECE", 120)
    pieces = [fit_networks(contrasts, te, se, correlation=0.5), fit_networks(contrasts, te, se, **varying)]
    for joined, expected in zip(pieces, whole, strict=True):
        for name in ("te", "se", "tau2", "q", "i2_upper"):
            np.testing.assert_array_equal(getattr(joined, name), getattr(expected, name))


def test_direct_evidence_is_that_of_the_comparison_alone(contrasts):
    fit = fit_network(contrasts, correlation=0.5)
    evidence = split_evidence(fit)
    assert evidence["studies"].tolist() == [4, 3, 3]
    for row in evidence.itertuples():
        pair = {row.treat1, row.treat2}
        alone = contrasts[[{a, b} == pair for a, b in zip(contrasts["treat1"], contrasts["treat2"], strict=True)]]
        direct = fit_network(alone, fit.tau2, correlation=0.5)
        assert row.direct_te == pytest.approx(direct.te.at[row.treat1, row.treat2])
        assert row.direct_se == pytest.approx(direct.se.at[row.treat1, row.treat2])


@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_cr2_written_out(contrasts, rho):
    """Bell & McCaffrey 2002 and Pustejovsky & Tipton 2018 with full matrices, working covariance V."""
    fit = fit_network(contrasts, correlation=rho)
    x, y, v, r = matrices(contrasts, rho)
    total = v + fit.tau2 * r
    whiten = np.linalg.inv(np.real(sqrtm(total)))
    x, y = whiten @ x, whiten @ y
    cov = np.linalg.inv(x.T @ x)
    residual_maker = np.eye(len(y)) - x @ cov @ x.T
    clusters = [contrasts["study"].to_numpy() == s for s in contrasts["study"].unique()]
    contrast = np.array([-1.0, 1.0])  # C minus B
    columns = []
    for mine in clusters:
        adjust = np.linalg.inv(np.real(sqrtm(residual_maker[np.ix_(mine, mine)])))
        columns.append(residual_maker[:, mine] @ adjust @ x[mine] @ cov @ contrast)
    variance = sum((column @ y) ** 2 for column in columns)
    products = np.array(columns) @ np.array(columns).T
    df = np.trace(products) ** 2 / (products**2).sum()
    robust = cluster_robust(fit)
    assert robust.se.at["C", "B"] == pytest.approx(np.sqrt(variance), rel=1e-9)
    assert robust.df.at["C", "B"] == pytest.approx(df, rel=1e-9)
    # Bell & McCaffrey: unbiased where the working covariance is true.
    assert np.trace(products) == pytest.approx(fit.se.at["C", "B"] ** 2, rel=1e-9)
    pd.testing.assert_frame_equal(robust.te, fit.te)
    assert (robust.lower.to_numpy() <= robust.upper.to_numpy()).all()


def test_robust_error_of_a_mean_with_equal_weights():
    # Equal variances: CR2 is the usual standard error of a mean, with k - 1 degrees of freedom.
    te = np.array([0.1, 0.5, -0.2, 0.7, 0.3])
    rows = pd.DataFrame({"study": list("abcde"), "treat1": "A", "treat2": "B", "te": te, "se": 0.2})
    robust = cluster_robust(fit_network(rows, 0.0))
    assert robust.se.at["A", "B"] == pytest.approx(te.std(ddof=1) / np.sqrt(5))
    assert robust.df.at["A", "B"] == pytest.approx(4)


def test_robust_error_of_a_single_study_is_unknown(contrasts):
    more = pd.concat([contrasts, pd.DataFrame([["alone", "C", "D", 0.1, 0.2]], columns=contrasts.columns)])
    robust = cluster_robust(fit_network(more, correlation=0.5))
    assert robust.se["D"].drop("D").isna().all() and robust.df["D"].isna().all()
    assert robust.se.loc["A", "B"] > 0
