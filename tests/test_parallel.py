"""Searches and batches give the same numbers in this process, in several, and on a Dask cluster."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
from distributed import LocalCluster

from psps_paper.cli.main import main
from psps_paper.ensemble import published_results, ranges
from psps_paper.ensemble.ranges import contains, search_table, settings, targets
from psps_paper.network import fit_networks
from psps_paper.parallel import count, each, workers

pytestmark = pytest.mark.slow

ROWS = pd.DataFrame(
    [("a", "A", "B"), ("b", "A", "B"), ("c", "B", "C"), ("d", "A", "C")], columns=["study", "treat1", "treat2"]
)


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as made:
        yield made.scheduler_address


def process(_: int) -> int:
    return os.getpid()


def test_one_process_by_default_several_where_asked_and_a_cluster_s_where_named(cluster):
    assert count() == 1 and set(each(process, [(k,) for k in range(3)])) == {os.getpid()}
    with workers(jobs=2):
        assert count() == 2 and os.getpid() not in each(process, [(k,) for k in range(4)])
    with workers(cluster=cluster):
        assert count() == 2 and os.getpid() not in each(process, [(k,) for k in range(4)])
        assert each(pow, [(2, k) for k in range(6)]) == [1, 2, 4, 8, 16, 32]
    assert count() == 1
    with pytest.raises(ValueError, match="jobs: 0 given"), workers(jobs=0):
        pass


def test_a_batch_is_shared_out_and_put_together_in_order(cluster):
    rng = np.random.default_rng(5)
    te, se = rng.normal(size=(2500, 4)), rng.uniform(0.1, 0.5, (2500, 4))
    alone = fit_networks(ROWS, te, se, "REML")
    for place in ({"jobs": 2}, {"cluster": cluster}):
        with workers(**place):
            shared = fit_networks(ROWS, te, se, "REML")
        for name in ("te", "se", "tau2", "q", "log_likelihood"):
            np.testing.assert_array_equal(getattr(shared, name), getattr(alone, name))
        np.testing.assert_array_equal(shared.maxima.data_set, alone.maxima.data_set)


def test_a_search_finds_the_same_data_sets_wherever_it_runs(cluster, monkeypatch):
    """The second setting contains the first, and so has to wait for its points."""
    evidence = published_results()
    narrow, wide = [s for s in settings("DL") if (s.cap, s.trials, s.correlation) == (3.0, False, (0.0, 0.95))][:2]
    assert contains(wide, narrow) and not contains(narrow, wide)
    monkeypatch.setattr(ranges, "settings", lambda method: [narrow, wide])
    kinds = [t for t in targets(evidence, narrow, np.random.default_rng(0)) if t.side == -1][:1]

    def searched():
        heard = []
        found, what = ranges.search_ranges(
            evidence, "DL", seed=5, starts=3, points=1, again=0.0, kinds=kinds, report=heard.append
        )
        assert [one.setting for one in heard] == [narrow, wide] == [one.setting for one in what]
        return found, search_table(what)

    alone, tried = searched()
    assert alone, "the same nothing would say nothing"
    for place in ({"jobs": 2}, {"cluster": cluster}):
        with workers(**place):
            again, retried = searched()
        pd.testing.assert_frame_equal(retried, tried)
        for one, other in zip(again, alone, strict=True):
            assert one.setting == other.setting
            pd.testing.assert_frame_equal(one.rows, other.rows)


def test_a_cluster_that_does_not_answer_is_named(tmp_path, capsys, monkeypatch):
    def refused(*_, **__):
        raise OSError("Timed out trying to connect to tcp://127.0.0.1:9")

    monkeypatch.setattr("distributed.Client", refused)
    assert main(["ranges", str(tmp_path), "--cluster", "tcp://127.0.0.1:9"]) == 2
    assert "cluster 'tcp://127.0.0.1:9': no Dask scheduler answers there" in capsys.readouterr().err
