"""The article's conclusions in stored data sets under the Bayesian model."""

from __future__ import annotations

import numpy as np
import pytest

from psps_paper.bayes import fit_bayes, half_normal
from psps_paper.ensemble import load_witnesses, published_results
from psps_paper.ensemble.bayesian import bayesian_conclusions, bayesian_ranges, least_by_scale
from psps_paper.ensemble.countings import AS_PRINTED, ONE_MEAN, ROBUST
from psps_paper.network import fit_network

pytestmark = pytest.mark.slow

EVIDENCE = published_results()
HUB, OTHERS = EVIDENCE.edges["treat1"].iloc[0], list(EVIDENCE.edges["treat2"])
SOME = load_witnesses(EVIDENCE)[::40]


@pytest.fixture(scope="module")
def found():
    return bayesian_conclusions(SOME, ONE_MEAN, factors=(0.125, 1.0, 8.0))


def test_each_conclusion_is_what_the_posterior_says(found):
    """With a share of ranks from the joint posterior: the mean of P(better) over rivals is the SUCRA."""
    witness = SOME[0]
    rows = witness.contrasts.groupby(["study", "treat1", "treat2"], as_index=False, sort=False).mean()
    post = fit_bayes(rows, half_normal(0.5))
    mine = found[(found["witness"] == witness.name) & (found["factor"] == 1)].set_index("conclusion")
    for name, other in zip(mine.index[:3], OTHERS, strict=True):
        assert mine.at[name, "probability"] == post.p_better("higher").at[HUB, other]
        assert mine.at[name, "probability_new"] == post.p_better("higher", predictive=True).at[HUB, other]
        above, below = post.lower.at[HUB, other] > 0, post.upper.at[HUB, other] < 0
        assert mine.at[name, "holds"] == (above if name.startswith(HUB) else not above and not below)
    sucra = post.sucra("higher")
    for name, treatment, rank in ((mine.index[3], HUB, 1), (mine.index[4], OTHERS[2], 2)):
        assert mine.at[name, "probability"] == pytest.approx(sucra[treatment], abs=5e-3)  # drawn at random
        assert mine.at[name, "holds"] == (sucra.rank(ascending=False)[treatment] == rank)


def test_a_prior_far_narrower_than_the_data_gives_the_common_effect():
    """Of each estimate by itself: the limit of the Bayesian model at tau 0 is the common-effect fit."""
    witness = SOME[1]
    tiny = bayesian_conclusions([witness], AS_PRINTED, half_normal(1e-7), factors=(1.0,)).set_index("conclusion")
    fit = fit_network(witness.contrasts, tau2=0.0, correlation=0.0)
    for name, other in zip(tiny.index[:3], OTHERS, strict=True):
        z = fit.te.at[HUB, other] / fit.se.at[HUB, other]
        assert (z > 1.96) == (tiny.at[name, "holds"] if name.startswith(HUB) else not tiny.at[name, "holds"])


def test_ranges_name_data_sets_and_cover_all_scales(found):
    for row in bayesian_ranges(found).itertuples():
        part = found[found["conclusion"] == row.conclusion]
        given = part[part["factor"] == 1].set_index("witness")
        for name, holds in ((row.holds_in, True), (row.fails_in, False)):
            assert (given["holds"] == holds).any() if isinstance(name, str) else (given["holds"] != holds).all()
            assert not isinstance(name, str) or given.at[name, "holds"] == holds
        assert row.least <= row.low <= row.high <= row.most
        assert (row.least, row.most) == (part["probability"].min(), part["probability"].max())


def test_the_strip_shows_the_least_over_the_data_sets(found):
    strip = least_by_scale(found)
    assert strip["conclusion"].nunique() == 2 and sorted(set(strip["factor"])) == [0.125, 1.0, 8.0]
    for row in strip.itertuples():
        part = found[(found["conclusion"] == row.conclusion) & (found["factor"] == row.factor)]
        assert row.probability == part["probability"].min() and np.isfinite(row.probability_new)


def test_another_counting_is_an_error():
    with pytest.raises(ValueError, match="counting='cluster-robust': expected"):
        bayesian_conclusions(SOME, ROBUST)
