"""Ensembles: every member reproduces the print, chains agree, numbers do not depend on where they are computed.

Printed values: Results, "Network meta-analysis".
"""

import functools

import joblib
import numpy as np
import pandas as pd
import pytest

from psps_paper.cli import ensemble as cli_ensemble
from psps_paper.cli.main import main
from psps_paper.conclusions import robustness
from psps_paper.ensemble import (
    Assumptions,
    compatibility_map,
    convergence,
    describe_compatibility,
    dropped_assumptions,
    feasible_assumptions,
    load_ensemble,
    published_evidence,
    refit_agrees,
    sample_ensemble,
    save_ensemble,
)
from psps_paper.ensemble.compatibility import (
    assumption_grid,
    assumptions_of,
    change_score_correlation,
    grouped_row,
    search,
    stored_form,
    verdict,
)
from psps_paper.network import fit_network, fit_networks
from psps_paper.network.ranking import p_score_values
from psps_paper.pairwise import egger_test
from psps_paper.tables.load import load_table

EASY = [Assumptions("paired", 0.75, "ML"), Assumptions("change score", 0.0, "ML")]
QUICK = [Assumptions("change score", 0.0, "ML"), Assumptions("paired", 0.75, "REML"), Assumptions("paired", 0.25, "DL")]
NAMES = ("te", "se", "study", "n", "tau2")


@pytest.fixture(scope="module")
def evidence():
    return published_evidence()


@pytest.fixture(scope="module")
def stored(evidence):
    return load_ensemble(evidence=evidence)


@pytest.fixture(scope="module")
def small(evidence):
    return sample_ensemble(60, evidence=evidence, assumptions=EASY)


@pytest.fixture(scope="module", params=["stored", "small"])
def ensemble(request):
    return request.getfixturevalue(request.param)


def printed_interval(quantity, treat1=None, treat2=None):
    table = load_table("nma_published")
    rows = table[table["quantity"] == quantity]
    if treat1:
        rows = rows[rows["treat1"] == treat1]
    if treat2:
        rows = rows[rows["treat2"] == treat2]
    (row,) = rows.itertuples()
    half = 0.5 * 10.0**-row.decimals
    return row.value - half, row.value + half


def within(values, interval, scale=1.0):
    # rounding intervals are met to a thousandth of their half-width
    low, high = interval
    slack = 2e-3 * (high - low)
    return bool(((values * scale >= low - slack) & (values * scale <= high + slack)).all())


@pytest.fixture
def off_the_maximum(request):
    """The stored members were drawn when tau2 could end at a lower maximum: 198 do not refit."""
    if "stored" in request.node.name:
        request.applymarker(pytest.mark.xfail(strict=True, reason="198 stored members are off the maximum"))


def refits(ensemble):
    for method, rows in ensemble.members.groupby("tau2_method").groups.items():
        rows = np.asarray(rows)
        yield fit_networks(ensemble.design(), ensemble.te[rows], ensemble.se[rows], tau2=method), rows


def test_stored_ensemble_has_at_least_2000_members(stored):
    assert len(stored) >= 2000
    assert set(stored.members["tau2_method"]) <= {a.tau2 for a in feasible_assumptions()}


def test_every_member_reproduces_every_printed_aggregate(ensemble, off_the_maximum):
    hub = "neuromodulation"
    for fit, _ in refits(ensemble):
        order = list(fit.treatments)
        for rival in ("placebo/sham", "conservative + minimally invasive"):
            i, j = order.index(hub), order.index(rival)
            te, se = fit.te[:, i, j], fit.se[:, i, j]
            assert within(te, printed_interval("te", hub, rival))
            assert within(fit.lower[:, i, j], printed_interval("lower", hub, rival))
            assert within(fit.upper[:, i, j], printed_interval("upper", hub, rival))
            assert within(te / se, printed_interval("z", hub, rival))
        scores = p_score_values(fit.te, fit.se, desirable="higher")
        for k, treatment in enumerate(order):
            assert within(scores[:, k], printed_interval("p_score", treatment))
        for name in ("i2", "i2_lower", "i2_upper"):
            assert within(getattr(fit, name), printed_interval(name), scale=100.0)
        assert fit.df_q == 22


def test_every_member_has_the_printed_egger_p(ensemble, off_the_maximum):
    for fit, rows in refits(ensemble):
        order = list(fit.treatments)
        edges = ensemble.evidence.edges
        pooled = np.column_stack([fit.te[:, order.index(a), order.index(b)] for a, b in zip(edges["treat1"], edges["treat2"], strict=True)])
        centred = ensemble.te[rows] - pooled[:, ensemble.evidence.estimates]
        p = np.array([egger_test(y, s).p for y, s in zip(centred, ensemble.se[rows], strict=True)])
        assert within(p, printed_interval("egger_p"))


def test_every_member_has_the_printed_totals_and_the_remark(ensemble):
    evidence = ensemble.evidence
    comparison = evidence.studies["comparison"].to_numpy()
    assert (comparison[ensemble.study] == evidence.estimates).all()
    counts = np.apply_along_axis(np.bincount, 1, ensemble.study, minlength=13)
    assert (counts >= 1).all() and (counts.sum(axis=1) == 25).all()
    w = 1 / ensemble.se**2
    q = np.empty((len(ensemble), 3))
    for k in range(3):
        columns = evidence.estimates == k
        centre = (w[:, columns] * ensemble.te[:, columns]).sum(axis=1) / w[:, columns].sum(axis=1)
        q[:, k] = (w[:, columns] * (ensemble.te[:, columns] - centre[:, None]) ** 2).sum(axis=1)
    per_df = dict(zip(evidence.edges["treat2"], (q / (evidence.edges["estimates"].to_numpy() - 1)).T, strict=True))
    other = per_df["conservative + minimally invasive"]
    for named in ("conservative", "placebo/sham"):
        assert (per_df[named] >= other - 1e-3).all()
    assert (per_df["conservative"] > 3.84 - 1e-2).all()  # 5 % point of chi-squared with one df


def test_fit_network_agrees_on_one_member(small):
    fit = fit_network(small.contrasts(7), tau2="ML", correlation=0.0)
    assert fit.tau2 == pytest.approx(small.tau2[7], rel=1e-3)
    assert fit.n_studies == 13 and fit.n_contrasts == 25


def test_chains_agree(stored):
    """Differences of chain means within 4 Monte-Carlo errors for all seven quantities that the print leaves free."""
    table = convergence(stored)
    assert len(table) == 7 and table.index.name == "quantity"
    # the correlation of neighbours is known to within 4 / sqrt(members)
    assert (table["effective_size"] > len(stored) * (1 - 8 / np.sqrt(len(stored)))).all()
    assert table["distance"].abs().max() < 4


def test_effective_size_falls_where_neighbours_are_alike(stored):
    """A walk in place of independent draws: each value is mostly the one before it."""
    draws = np.random.default_rng(1).normal(size=len(stored))
    walk = pd.DataFrame({"walk": pd.Series(draws).ewm(alpha=0.1).mean()})
    assert convergence(stored, walk).loc["walk", "effective_size"] < 0.2 * len(stored)


def test_refit_check_rejects_a_shifted_member(small):
    """A member whose first estimate moves by 0.5 no longer prints the same."""
    te = small.te[:5].copy()
    assert refit_agrees(small.evidence, "ML", te, small.se[:5]).all()
    te[:, 0] += 0.5
    assert not refit_agrees(small.evidence, "ML", te, small.se[:5]).any()


@pytest.mark.slow
def test_same_numbers_whatever_the_workers(small, evidence):
    threads = sample_ensemble(60, evidence=evidence, assumptions=EASY, n_jobs=2, backend="threading")
    for name in NAMES:
        np.testing.assert_array_equal(getattr(small, name), getattr(threads, name))


@pytest.mark.slow
def test_same_numbers_on_a_dask_cluster_of_two_workers(evidence, monkeypatch):
    sample = functools.partial(sample_ensemble, 20, evidence=evidence, assumptions=EASY[:1])  # two tasks, one a chain
    distributed = pytest.importorskip("distributed", reason="extra 'cluster' is not installed")
    monkeypatch.setattr(robustness, "_PART", 7)  # several tasks, the last one smaller
    analyses = [
        lambda e: robustness.unit_of_analysis(e, robustness.refits_by_unit(e)),
        robustness.cluster_robust_contrasts,
        robustness.selection_bounds,
    ]
    local = sample()
    here = [analysis(local) for analysis in analyses]
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        with distributed.Client(cluster):
            remote = sample(n_jobs=2, backend="dask")
            with joblib.parallel_config(backend="dask"):
                there = [analysis(local) for analysis in analyses]
    for name in NAMES:
        np.testing.assert_array_equal(getattr(local, name), getattr(remote, name))
    pd.testing.assert_frame_equal(local.members, remote.members)
    for own, other in zip(here, there, strict=True):
        pd.testing.assert_frame_equal(own, other, check_exact=True)


def test_the_command_writes_an_ensemble_and_names_a_wrong_file(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cli_ensemble, "sample_ensemble", functools.partial(sample_ensemble, assumptions=EASY[:1]))
    made = tmp_path / "ensemble.npz"
    assert main(["ensemble", str(made), "--size", "20", "--jobs", "1"]) == 0
    assert len(load_ensemble(made)) == 20
    assert "every number above is simulated" in capsys.readouterr().out
    assert main(["ensemble", str(tmp_path / "ensemble.csv")]) == 2
    assert "ensemble.csv: expected a file name that ends in .npz" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["ensemble", "made.npz", "--size", "3"], "--size 3: expected a positive multiple of 2"),
        (["ensemble", "made.npz", "--size", "0"], "--size 0: expected a positive multiple of 2"),
        (["ensemble", "made.npz", "--size", "-2"], "--size -2: expected a positive multiple of 2"),
        (["ensemble", "made.npz", "--jobs", "0"], "--jobs 0: expected at least 1"),
        (["ensemble", "made.npz", "--seed", "-1"], "--seed -1: expected a whole number of at least 0"),
        (["ensemble", "absent/made.npz"], "file absent/made.npz: there is no folder absent; expected one that exists"),
        (["ensemble", "folder.npz"], "file folder.npz: this is a folder; expected a file"),
        (["compatibility", "made.csv", "--jobs", "0"], "--jobs 0: expected at least 1"),
        (["compatibility", "absent/made.csv"], "file absent/made.csv: there is no folder absent; expected one that exists"),
        (["compatibility", "folder.csv"], "file folder.csv: this is a folder; expected a file"),
    ],
)
def test_the_commands_refuse_bad_options_before_they_compute(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folders = {"folder.npz", "folder.csv"}
    for name in folders:
        (tmp_path / name).mkdir()
    for compute in ("sample_ensemble", "compatibility_map"):
        monkeypatch.setattr(cli_ensemble, compute, lambda *_, **__: pytest.fail("computed all the same"))
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.err == f"psps-paper: {message}\n" and printed.out == ""
    assert {path.name for path in tmp_path.iterdir()} == folders


def test_stored_form_keeps_members(small, evidence, tmp_path):
    save_ensemble(small, tmp_path / "e.npz")
    back = load_ensemble(tmp_path / "e.npz", evidence)
    for name in NAMES:
        np.testing.assert_allclose(getattr(small, name), getattr(back, name), rtol=1e-6)
    assert len(back.members) == len(small)


def test_bad_sizes_are_refused():
    with pytest.raises(ValueError, match="size=3"):
        sample_ensemble(3)


def test_one_estimate_a_study_cannot_print_the_i2_interval(evidence):
    row = grouped_row(evidence)
    assert row["feasible"] == "no" and row["half_units_off"] > 10


def test_stored_map_agrees_with_the_print_where_it_says_feasible():
    table = load_table("compatibility")
    feasible = table[table["feasible"] == "yes"]
    assert len(feasible) and (feasible["half_units_off"] < 1e-2).all()
    assert (table.loc[table["feasible"] == "no", "half_units_off"] > 1e-3).all()
    for name, scale in (("i2", 100.0), ("i2_lower", 100.0), ("i2_upper", 100.0)):
        assert within(feasible[name].to_numpy(), printed_interval(name), scale)
    # independent groups with the package's default: SE of the sparse comparison far larger than printed
    worst = table[(table["convention"] == "independent groups") & (table["tau2_method"] == "DL")].iloc[0]
    assert worst["feasible"] == "no" and worst["upper_1"] - worst["lower_1"] > 0.76 - 0.14 + 0.1
    text = describe_compatibility(table, load_table("compatibility_readings"))
    assert len(text) == len(table) and (text.loc[table["feasible"] == "no", "settled_by"] != "").all()


@pytest.mark.slow
def test_search_finds_what_draws_find_and_nothing_for_independent_dl(evidence):
    rng = np.random.default_rng(5)
    _, _, excess = search(evidence, Assumptions("paired", 0.75, "ML"), size=60, generations=15, rng=rng)
    assert excess.min() < 1.0
    _, _, excess = search(evidence, Assumptions("independent groups", 0.0, "DL"), size=40, generations=3, rng=rng)
    assert excess.min() > 20


def test_stored_map_has_every_combination_once_in_the_order_of_the_grid():
    table = load_table("compatibility")
    assert table["unit"].tolist() == ["one estimate a study"] + ["each estimate by itself"] * 20
    assert assumptions_of(table) == assumption_grid()
    crossover = np.array([True])
    variances = {(a.tau2, *(float(x[0]) for x in a.coefficients(crossover))) for a in assumption_grid()}
    assert len(variances) == 20


def test_stored_map_names_near_misses_undecided():
    table = load_table("compatibility")
    assert table["feasible"].tolist() == [verdict(off) for off in table["half_units_off"]]
    assert [verdict(off) for off in (0.0, 1e-2, 5.9, 10.0)] == ["yes", "undecided", "undecided", "no"]
    said = describe_compatibility(table, load_table("compatibility_readings"))["verdict"]
    assert said.str.startswith("undecided; nearest is").tolist() == (table["feasible"] == "undecided").tolist()


# Quick rows, one of which no draw reaches and a search decides. OpenBLAS rounds differently on other processors, which
# brings some of the 200 draws to another end: measured with its kernels for Zen, Haswell, SkylakeX and Nehalem, shares move by up to 0.04, the miss by up to 0.02, tau2 by 0.003 and limits by 0.012.
@pytest.mark.slow
@pytest.mark.parametrize("assumptions", QUICK, ids=str)
def test_stored_map_is_what_the_command_gives(assumptions, evidence):
    stored = load_table("compatibility")
    (position,) = [k for k, a in enumerate(assumptions_of(stored)) if a == assumptions]
    stored = stored.iloc[[0, position + 1]].reset_index(drop=True)
    again = stored_form(compatibility_map(evidence, assumptions=[assumptions]))
    assert list(again.columns) == list(stored.columns)
    for name in ("unit", "convention", "tau2_method", "feasible"):
        assert again[name].tolist() == stored[name].tolist(), name
    np.testing.assert_allclose(again["share"], stored["share"], atol=0.06)
    np.testing.assert_allclose(again["half_units_off"], stored["half_units_off"], rtol=0.1, atol=1e-2)
    np.testing.assert_allclose(again["tau2"], stored["tau2"], atol=5e-3)
    for name in stored.columns[stored.columns.get_loc("i2") :]:
        np.testing.assert_allclose(again[name], stored[name], atol=2e-2, err_msg=name)


def test_ensemble_leaves_out_rare_combinations(stored):
    """Sampled and left out together are the feasible rows; the stored ensemble was drawn from the sampled."""
    table = load_table("compatibility")
    sampled, dropped = feasible_assumptions(), dropped_assumptions()
    assert sorted(map(str, sampled + dropped)) == sorted(map(str, assumptions_of(table[table["feasible"] == "yes"])))
    drawn = stored.sampling[["convention", "correlation", "tau2_method"]].drop_duplicates()
    assert [Assumptions(*row) for row in drawn.itertuples(index=False)] == sampled
    assert (stored.sampling["accepted"] > 0).all()


def test_change_score_is_a_paired_standard_error():
    crossover = np.array([True, False])
    paired = Assumptions("paired", change_score_correlation(), "ML").coefficients(crossover)
    np.testing.assert_array_equal(paired, Assumptions("change score", 0.0, "ML").coefficients(crossover))


def test_the_command_writes_a_map_and_names_a_wrong_file(tmp_path, monkeypatch, capsys):
    made = tmp_path / "compatibility.csv"
    few = functools.partial(compatibility_map, assumptions=[Assumptions("paired", 0.75, "ML")], size=40, generations=5)
    monkeypatch.setattr(cli_ensemble, "compatibility_map", few)
    assert main(["compatibility", str(made), "--jobs", "1"]) == 0
    assert "paired with r = 0.75; tau2 by ML: yes" in capsys.readouterr().out
    assert made.read_text().splitlines()[2].startswith("each estimate by itself,paired,0.75,ML,yes,0.")
    assert main(["compatibility", str(tmp_path / "compatibility.txt")]) == 2
    assert "compatibility.txt: expected a file name that ends in .csv" in capsys.readouterr().err
