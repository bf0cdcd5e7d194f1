"""The closed forms of the search against the public engine, on random data sets of the article's shape."""

import numpy as np
import pytest

from psps_paper.ensemble.countings import CORRELATED, COUNTINGS, ONE_MEAN, REFITTED, ROBUST, Counting, egger_t
from psps_paper.ensemble.model import METHODS, draw_allocation, published_results
from psps_paper.network import fit_network
from psps_paper.network.ranking import p_scores
from psps_paper.network.robust import cluster_robust
from psps_paper.pairwise import egger_test

EVIDENCE = published_results()
RNG = np.random.default_rng(3)
STUDY = draw_allocation(EVIDENCE, RNG)
# unequal errors, but one peak of the likelihood: with several the engine is tested elsewhere
TE, SE = RNG.normal(0.4, 0.6, (3, 25)), RNG.uniform(0.15, 0.4, (3, 25))


def public_fit(b, method, counting):
    rows = EVIDENCE.contrasts(STUDY).assign(te=TE[b], se=SE[b])
    if counting == ONE_MEAN:
        rows = rows.groupby(["study", "treat1", "treat2"], as_index=False, sort=False).mean()
    return fit_network(rows, tau2=REFITTED.get(counting, method), correlation=CORRELATED.get(counting, 0.0))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("counting", COUNTINGS)
def test_countings_are_refits_by_the_engine(method, counting):
    counted = Counting(EVIDENCE, STUDY, method)(TE, SE, counting)
    for b in range(len(TE)):
        fit = public_fit(b, method, counting)
        errors = cluster_robust(fit) if counting == ROBUST else fit
        for k, edge in enumerate(EVIDENCE.edges.itertuples()):
            at = edge.treat1, edge.treat2
            half = counted.quantile[b, k] * counted.se[b, k]
            assert counted.te[b, k] == pytest.approx(fit.te.loc[at], rel=1e-6)
            assert counted.te[b, k] - half == pytest.approx(errors.lower.loc[at], rel=1e-6, nan_ok=True)
        assert (counted.q[b], counted.tau2[b]) == pytest.approx((fit.q, fit.tau2), rel=1e-6, abs=1e-9)
        if counting != ROBUST:
            scores = p_scores(fit, desirable="higher")[["neuromodulation", *EVIDENCE.edges["treat2"]]]
            np.testing.assert_allclose(counted.p_scores[b], scores, rtol=1e-6)


def test_a_study_left_out_is_the_fit_without_it():
    counted = Counting(EVIDENCE, STUDY, "REML")(TE, SE, "each estimate by itself", without=4)
    rows = EVIDENCE.contrasts(STUDY).assign(te=TE[0], se=SE[0])[STUDY != 4]
    fit = fit_network(rows, tau2="REML", correlation=0.0)
    edge = EVIDENCE.edges.iloc[0]
    assert counted.te[0, 0] == pytest.approx(fit.te.loc[edge.treat1, edge.treat2], rel=1e-6)


def test_egger_t_is_that_of_the_engine():
    assert egger_t(TE, SE) == pytest.approx([egger_test(te, se).t for te, se in zip(TE, SE, strict=True)])
