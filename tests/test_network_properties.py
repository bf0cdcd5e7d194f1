"""Properties that hold for every network, whatever its numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psps_paper.network import fit_network, fit_networks
from psps_paper.network.contribution import contribution_matrix, hat_matrix
from psps_paper.network.inconsistency import decompose_q, split_evidence
from psps_paper.network.ranking import p_score_values, p_scores, rank_probabilities
from psps_paper.network.summary import network_from_pooled

METHODS = ["DL", "REML", "ML", 0.07]
# Rounding grows with the condition of small networks; the numbers themselves are about 1.
CLOSE = {"rtol": 1e-7, "atol": 1e-9}
# REML and ML stop where a step no longer changes tau2: its last digits depend on rounding.
CLOSE_TAU2 = {"rtol": 1e-6, "atol": 1e-9}

# The same examples in every run; the machine's speed is no property of a network.
EXAMPLES = settings(max_examples=40, deadline=None, derandomize=True)


@st.composite
def networks(draw, max_arms: int = 4) -> pd.DataFrame:
    """A connected network of two to six treatments, multi-arm studies among its studies."""
    n = draw(st.integers(2, 6))
    extra = draw(st.integers(0, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    arms = [[k, k + 1] for k in range(n - 1)]
    for _ in range(extra):
        size = int(rng.integers(2, min(n, max_arms) + 1))
        arms.append(rng.choice(n, size, replace=False).tolist())
    rows = []
    for study, members in enumerate(arms):
        # Contrasts come from arms, so that those of a multi-arm study agree with one another.
        mean = dict(zip(members, rng.normal(0, 0.6, len(members)), strict=True))
        variance = dict(zip(members, rng.uniform(0.005, 0.2, len(members)), strict=True))
        for position, a in enumerate(members):
            for b in members[position + 1 :]:
                te, se = mean[a] - mean[b], np.sqrt(variance[a] + variance[b])
                rows.append((f"s{study}", f"t{a}", f"t{b}", te, se))
    return pd.DataFrame(rows, columns=["study", "treat1", "treat2", "te", "se"])


def assert_same(fit, other, names=None):
    """Same estimates, tau2 and Q; ``names`` gives the first fit's labels in the second."""
    names = names or {name: name for name in fit.treatments}
    theirs = [names[name] for name in fit.treatments]
    for matrix in ("te", "se", "te_common", "se_common", "lower", "predict_upper"):
        expected = getattr(other, matrix).loc[theirs, theirs].to_numpy()
        np.testing.assert_allclose(getattr(fit, matrix), expected, **CLOSE_TAU2)
    for number in ("tau2", "q", "df_q", "i2", "log_likelihood"):
        np.testing.assert_allclose(getattr(fit, number), getattr(other, number), **CLOSE_TAU2)


@EXAMPLES
@given(networks(), st.sampled_from(METHODS))
def test_antisymmetry(contrasts, tau2):
    fit = fit_network(contrasts, tau2)
    for matrix in (fit.te, fit.te_common):
        np.testing.assert_array_equal(matrix, -matrix.T)
    for matrix in (fit.se, fit.se_common):
        np.testing.assert_array_equal(matrix, matrix.T)
    np.testing.assert_allclose(fit.lower, -fit.upper.T, **CLOSE)
    # Consistency: the effects along a path add up.
    effects = fit.te.to_numpy()
    np.testing.assert_allclose(effects, effects[:, [0]] + effects[[0], :], **CLOSE)


@EXAMPLES
@given(networks(), st.sampled_from(METHODS), st.randoms(use_true_random=False))
def test_row_order_and_study_labels_do_not_matter(contrasts, tau2, random):
    order = list(range(len(contrasts)))
    random.shuffle(order)
    studies = sorted(set(contrasts["study"]))
    renamed = dict(zip(studies, random.sample(studies, len(studies)), strict=True))
    shuffled = contrasts.iloc[order].replace({"study": renamed})
    assert_same(fit_network(contrasts, tau2), fit_network(shuffled, tau2))


@EXAMPLES
@given(networks(), st.sampled_from(METHODS), st.randoms(use_true_random=False))
def test_treatment_labels_do_not_matter(contrasts, tau2, random):
    fit = fit_network(contrasts, tau2)
    names = dict(zip(fit.treatments, random.sample("ABCDEFGH", len(fit.treatments)), strict=True))
    other = fit_network(contrasts.replace({"treat1": names, "treat2": names}), tau2)
    assert_same(fit, other, names)


@EXAMPLES
@given(networks(), st.sampled_from(METHODS), st.randoms(use_true_random=False))
def test_direction_of_contrasts_does_not_matter(contrasts, tau2, random):
    # With all contrasts given, turning them is what makes another arm the baseline.
    turned = np.array([random.random() < 0.5 for _ in range(len(contrasts))])
    other = contrasts.assign(
        treat1=np.where(turned, contrasts["treat2"], contrasts["treat1"]),
        treat2=np.where(turned, contrasts["treat1"], contrasts["treat2"]),
        te=np.where(turned, -contrasts["te"], contrasts["te"]),
    )
    assert_same(fit_network(contrasts, tau2), fit_network(other, tau2))


@EXAMPLES
@given(networks(), st.sampled_from(["DL", "REML", "ML"]), st.floats(1e-3, 1e3))
def test_scale(contrasts, tau2, factor):
    fit = fit_network(contrasts, tau2)
    scaled = contrasts.assign(te=contrasts["te"] * factor, se=contrasts["se"] * factor)
    other = fit_network(scaled, tau2)
    np.testing.assert_allclose(other.te, fit.te * factor, rtol=1e-6, atol=1e-9 * factor)
    np.testing.assert_allclose(other.se, fit.se * factor, rtol=1e-6, atol=1e-9 * factor)
    np.testing.assert_allclose(other.tau2, fit.tau2 * factor**2, rtol=1e-6, atol=1e-9 * factor**2)
    np.testing.assert_allclose([other.q, other.i2], [fit.q, fit.i2], **CLOSE)


@EXAMPLES
@given(networks())
def test_ranking_averages(contrasts):
    fit = fit_network(contrasts)
    n = len(fit.treatments)
    higher, lower = (p_scores(fit, desirable=which) for which in ("higher", "lower"))
    assert higher.mean() == pytest.approx(0.5, abs=1e-12)
    np.testing.assert_allclose(higher + lower, 1.0, rtol=0, atol=1e-12)
    table = rank_probabilities(fit, desirable="higher", draws=200)
    np.testing.assert_allclose(table.sum(axis=0), np.ones(n), rtol=0, atol=1e-12)
    np.testing.assert_allclose(table.sum(axis=1), np.ones(n), rtol=0, atol=1e-12)


@EXAMPLES
@given(networks(), st.sampled_from(["shortest_path", "random_walk"]))
def test_contributions_sum_to_one(contrasts, method):
    shares = contribution_matrix(fit_network(contrasts), method)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=0, atol=1e-9)
    assert shares.to_numpy().min() >= 0


@EXAMPLES
@given(networks())
def test_hat_matrix_gives_the_estimates_of_two_arm_networks(contrasts):
    # Only there is the direct estimate of a comparison the same in every row of the matrix.
    two_arm = contrasts[contrasts.groupby("study")["te"].transform("size") == 1]
    fit = fit_network(two_arm)
    evidence = split_evidence(fit).assign(pair=lambda t: t["treat1"] + ":" + t["treat2"])
    evidence = evidence.set_index("pair")
    hat = hat_matrix(fit)
    fitted = hat @ evidence.loc[hat.columns, "direct_te"]
    np.testing.assert_allclose(fitted, evidence.loc[hat.index, "te"], **CLOSE)


@EXAMPLES
@given(networks(max_arms=2))
def test_evidence_adds_up(contrasts):
    evidence = split_evidence(fit_network(contrasts)).dropna()
    share = evidence["direct_proportion"]
    mixed = share * evidence["direct_te"] + (1 - share) * evidence["indirect_te"]
    np.testing.assert_allclose(mixed, evidence["te"], **CLOSE)
    assert share.between(0, 1).all()


@EXAMPLES
@given(networks())
def test_q_adds_up(contrasts):
    parts = decompose_q(fit_network(contrasts))
    for key in ("q", "df"):
        assert parts.within[key] + parts.between[key] == pytest.approx(parts.total[key], abs=1e-7)
    assert (parts.detached["q"] <= parts.between["q"] + 1e-7).all()


@EXAMPLES
@given(networks(), st.sampled_from(METHODS), st.integers(0, 10))
def test_many_data_sets_as_in_a_loop(contrasts, tau2, seed):
    rng = np.random.default_rng(seed)
    fit = fit_network(contrasts, tau2)
    # Effects of treatments are added, so that multi-arm studies stay without contradiction.
    shift = pd.DataFrame(rng.normal(size=(4, len(fit.treatments))), columns=fit.treatments)
    te = contrasts["te"].to_numpy() + (
        shift[contrasts["treat1"]].to_numpy() - shift[contrasts["treat2"]].to_numpy()
    ) * rng.choice([0.1, 1.0], (4, 1))
    se = contrasts["se"].to_numpy() * rng.uniform(0.5, 2, (4, 1))
    fits = fit_networks(contrasts, te, se, tau2)
    for k in range(4):
        alone = fit_network(contrasts.assign(te=te[k], se=se[k]), tau2)
        for name in ("te", "se", "lower", "upper", "predict_lower", "te_common", "se_common"):
            np.testing.assert_allclose(getattr(fits, name)[k], getattr(alone, name), **CLOSE)
        for name in ("tau2", "q", "p_q", "i2", "i2_lower", "i2_upper", "log_likelihood"):
            np.testing.assert_allclose(getattr(fits, name)[k], getattr(alone, name), **CLOSE)
        scores = p_score_values(fits.te, fits.se, desirable="lower")[k]
        np.testing.assert_allclose(scores, p_scores(alone, desirable="lower"), **CLOSE)


@EXAMPLES
@given(st.integers(2, 5), st.integers(0, 2**32 - 1), st.sampled_from(METHODS))
def test_star_is_pairwise_with_common_tau2(n_comparators, seed, tau2):
    rng = np.random.default_rng(seed)
    size = n_comparators * 3
    contrasts = pd.DataFrame(
        {
            "study": [f"s{k}" for k in range(size)],
            "treat1": "hub",
            "treat2": [f"c{k % n_comparators}" for k in range(size)],
            "te": rng.normal(0, 0.5, size),
            "se": rng.uniform(0.1, 0.4, size),
        }
    )
    fit = fit_network(contrasts, tau2)
    # Inverse-variance means by hand: DerSimonian & Laird 1986 with the network's tau2.
    weights = 1 / (contrasts["se"] ** 2 + fit.tau2)
    group = contrasts["treat2"]
    total = weights.groupby(group).sum()
    mean = (weights * contrasts["te"]).groupby(group).sum() / total
    np.testing.assert_allclose(fit.te.loc["hub", total.index], mean, **CLOSE)
    np.testing.assert_allclose(fit.se.loc["hub", total.index], total**-0.5, **CLOSE)
    if tau2 == "DL":
        # Q and its trace add up over the comparisons: Jackson, White & Riley 2012.
        w = 1 / contrasts["se"] ** 2
        sums = w.groupby(group).sum()
        common = (w * contrasts["te"]).groupby(group).sum() / sums
        q = (w * (contrasts["te"] - group.map(common)) ** 2).sum()
        trace = (sums - (w**2).groupby(group).sum() / sums).sum()
        assert fit.tau2 == pytest.approx(max(0.0, (q - size + n_comparators) / trace), abs=1e-12)
    pooled = pd.DataFrame(
        {"treat1": "hub", "treat2": total.index, "te": mean.to_numpy(), "se": total.to_numpy() ** -0.5}
    )
    tree = network_from_pooled(pooled, tau2=fit.tau2, df_predict=fit.df_predict)
    for name in ("te", "se", "lower", "predict_upper", "cov"):
        np.testing.assert_allclose(getattr(tree, name), getattr(fit, name), **CLOSE)


@EXAMPLES
@given(networks(), st.sampled_from(METHODS), st.integers(0, 3))
def test_generalised_least_squares_with_any_baseline(contrasts, tau2, which):
    """The model written out: a - 1 contrasts to one baseline, correlation 1/2 of the true effects.

    Source: Franchini et al. 2012; Rücker & Schwarzer 2014.
    """
    fit = fit_network(contrasts, tau2)
    position = {name: k for k, name in enumerate(fit.treatments)}
    n = len(position)
    xs, ys, blocks = [], [], []
    for _, rows in contrasts.groupby("study"):
        effect = {(r.treat1, r.treat2): r.te for r in rows.itertuples()}
        effect |= {(b, a): -te for (a, b), te in effect.items()}
        variance = {frozenset((r.treat1, r.treat2)): r.se**2 for r in rows.itertuples()}
        arms = sorted({*rows["treat1"], *rows["treat2"]})
        base = arms.pop(which % len(arms))
        block = np.empty((len(arms), len(arms)))
        for p, a in enumerate(arms):
            x = np.zeros(n)
            x[position[a]], x[position[base]] = 1, -1
            xs.append(x)
            ys.append(effect[a, base])
            for r, b in enumerate(arms):
                own = variance[frozenset((a, base))] + variance[frozenset((b, base))]
                block[p, r] = own / 2 - (variance[frozenset((a, b))] / 2 if a != b else 0)
                block[p, r] += fit.tau2 * (1.0 if a == b else 0.5)
        blocks.append(block)
    covariance = np.zeros((len(ys), len(ys)))
    start = 0
    for block in blocks:
        stop = start + len(block)
        covariance[start:stop, start:stop] = block
        start = stop
    x, inverse = np.array(xs)[:, 1:], np.linalg.inv(covariance)
    cov = np.linalg.inv(x.T @ inverse @ x)
    np.testing.assert_allclose(fit.effects[1:], cov @ x.T @ inverse @ ys, **CLOSE)
    np.testing.assert_allclose(fit.covariance[1:, 1:], cov, **CLOSE)


def test_rounded_multi_arm_contrasts_favour_no_baseline():
    # Printed to two digits the three contrasts need not add up; every arm must count alike.
    rows = [
        ("trial", "A", "B", 0.10, 0.40),
        ("trial", "B", "C", 0.21, 0.38),
        ("trial", "A", "C", 0.32, 0.41),
        ("other", "A", "B", 0.25, 0.20),
        ("third", "B", "C", -0.30, 0.25),
    ]
    contrasts = pd.DataFrame(rows, columns=["study", "treat1", "treat2", "te", "se"])
    fit = fit_network(contrasts)
    for names in ({"A": "B", "B": "C", "C": "A"}, {"A": "C", "B": "A", "C": "B"}):
        other = fit_network(contrasts.replace({"treat1": names, "treat2": names}))
        assert_same(fit, other, names)


@pytest.mark.parametrize("which", ["ML", "REML"])
@pytest.mark.parametrize("precision", [(0.1, 0.5), (0.01, 3.0)])
def test_likelihood_estimates_are_maxima(which, precision):
    rng = np.random.default_rng(3)
    n_sets, size = 1000, 12
    contrasts = pd.DataFrame(
        {
            "study": [f"s{k}" for k in range(size)],
            "treat1": ["A", "A", "B"] * 4,
            "treat2": ["B", "C", "C"] * 4,
        }
    )
    te = rng.normal(0, rng.uniform(0.05, 1, (n_sets, 1)), (n_sets, size))
    se = np.exp(rng.uniform(*np.log(precision), (n_sets, size)))
    found = fit_networks(contrasts, te, se, which).tau2
    assert (found > 0).mean() > 0.3 and (found == 0).any()

    def value(tau2: np.ndarray) -> np.ndarray:
        fits = fit_networks(contrasts, te, se, tau2)
        penalty = np.linalg.slogdet(fits.covariance[:, 1:, 1:])[1] / 2 if which == "REML" else 0
        # Restricted likelihood: Harville 1977, up to a constant.
        return fits.log_likelihood + penalty

    best = value(found)
    for factor in (0.9, 0.999, 1.001, 1.1):
        assert (value(found * factor) <= best + 1e-9).all()
    if precision == (0.1, 0.5):
        # With alike precisions there is one maximum; with others there may be several.
        for tau2 in (0.0, *np.geomspace(1e-4, 10, 30)):
            assert (value(np.full(n_sets, tau2)) <= best + 1e-9).all()
