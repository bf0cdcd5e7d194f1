"""Every stored data set, refitted by the public engine: all printed values, and whether each conclusion holds."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from helpers import table
from psps_paper.cli.main import main
from psps_paper.conclusions.robustness import (
    NO_SEARCH,
    NO_SET,
    NONE_FOUND,
    NOT_SOUGHT,
    OPEN,
    PROVED,
    by_switch,
    proved,
)
from psps_paper.ensemble import findings, load_witnesses, published_results
from psps_paper.ensemble.countings import ONE_MEAN, ROBUST, WITHOUT, conclusions
from psps_paper.ensemble.model import Setting, variance_terms
from psps_paper.ensemble.ranges import aimed_at, contains, explore, settings, targets
from psps_paper.ensemble.witnesses import belongs, public_refit
from psps_paper.network import fit_network
from psps_paper.network.ranking import p_scores
from psps_paper.pairwise import egger_test

pytestmark = pytest.mark.slow

HUB = "neuromodulation"
EVIDENCE = published_results()
WITNESSES = load_witnesses(EVIDENCE)
NAMED = {w.name: w for w in WITNESSES}
each_witness = pytest.mark.parametrize("witness", WITNESSES, ids=lambda w: w.name)


@pytest.fixture(scope="module")
def found():
    return proved().found


@pytest.fixture(scope="module")
def ranges():
    return proved().ranges


@pytest.fixture(scope="module")
def verdicts(found):
    return by_switch(WITNESSES, found, table("range_searches"), ONE_MEAN)


def prints_as(value, row):
    """Whether a value prints as the row of nma_published."""
    if row.relation == "<":
        return value < row.value
    return abs(value - row.value) <= 0.5 * 10.0**-row.decimals * (1 + 1e-9)


@each_witness
def test_every_printed_value_is_reproduced(witness):
    """Results, Network meta-analysis: each value of nma_published.csv from the public fit, each estimate by itself."""
    rows = witness.contrasts.assign(study=[f"e{k}" for k in range(len(witness.rows))])
    fit = fit_network(rows, tau2=witness.tau2)
    scores = p_scores(fit, desirable="higher")
    i2 = {"i2": fit.i2, "i2_lower": fit.i2_lower, "i2_upper": fit.i2_upper}
    pooled = np.array([fit.te.loc[a, b] for a, b in zip(rows["treat1"], rows["treat2"], strict=True)])
    q = {}
    for (a, b), part in rows.groupby(["treat1", "treat2"]):
        w = 1 / part["se"] ** 2
        q[a, b] = (w * (part["te"] - np.average(part["te"], weights=w)) ** 2).sum() / (len(part) - 1)
    for row in table("nma_published").itertuples():
        pair = row.treat1, row.treat2
        if row.quantity in ("te", "lower", "upper"):
            assert prints_as(getattr(fit, row.quantity).loc[pair], row), row
        elif row.quantity in ("z", "p"):
            z = fit.te.loc[pair] / fit.se.loc[pair]
            assert prints_as(z if row.quantity == "z" else 2 * norm.sf(z), row), row
        elif row.quantity == "p_score":
            assert prints_as(scores[row.treat1], row), row
        elif row.quantity in i2:
            assert prints_as(100 * i2[row.quantity], row), row
        elif row.quantity == "egger_p":
            assert prints_as(egger_test(rows["te"] - pooled, rows["se"]).p, row), row
        elif row.quantity == "n_estimates":
            assert ((rows["treat1"] == row.treat1) & (rows["treat2"] == row.treat2)).sum() == row.value
        else:
            assert row.quantity == "heterogeneous", row
            assert q[pair] > q[HUB, "conservative + minimally invasive"], row
    assert witness.printed_again()["agrees"].all()


def test_standard_errors_follow_from_public_sample_sizes():
    sizes = EVIDENCE.studies.set_index("study")
    for witness in WITNESSES:
        rows = witness.rows
        correlation = rows["correlation"].fillna(0.0).to_numpy()
        a, b = variance_terms(
            sizes.loc[rows["study"], "crossover"].to_numpy(),
            correlation,
            paired=bool(rows["correlation"].notna().any()),
        )
        np.testing.assert_allclose(rows["se"], np.sqrt((a + b * rows["te"] ** 2) / rows["n"]), rtol=1e-5)
        assert (rows["n"] >= sizes.loc[rows["study"], "n_low"].to_numpy()).all()
        assert (rows["n"] <= sizes.loc[rows["study"], "n_high"].to_numpy()).all()
        assert rows.groupby("study")[["n", "correlation"]].nunique().max().max() == 1, "one of each a study"
        assert set(rows["study"]) == set(sizes.index), "every study gives an estimate"


def test_pages_name_data_sets_in_which_the_engine_says_the_same(ranges):
    """The named data sets by fit_network or cluster_robust instead of the closed forms."""
    said = {c.name: c for c in conclusions(EVIDENCE)}
    refits = {}
    for row in ranges[ranges["counting"] != WITHOUT].itertuples():
        conclusion = said[row.conclusion]
        for name, holds in (
            (row.holds_in, True),
            (row.fails_in, False),
            (row.holds_strictly, True),
            (row.fails_strictly, False),
        ):
            if not name:
                continue
            fit = refits.setdefault((name, row.counting), public_refit(NAMED[name], row.counting))
            if conclusion.kind == "rank":
                scores = p_scores(fit, desirable="higher").sort_values(ascending=False)
                treatment = HUB if conclusion.at < 0 else EVIDENCE.edges["treat2"].iloc[conclusion.at]
                assert (scores.index[conclusion.rank - 1] == treatment) == holds, row
            else:
                lower, upper = (
                    limits.loc[HUB, EVIDENCE.edges["treat2"].iloc[conclusion.at]] for limits in (fit.lower, fit.upper)
                )
                assert (lower > 0 if conclusion.kind == "better" else lower < 0 < upper) == holds, row


def test_a_study_left_out_overturns_what_the_pages_say(ranges, found):
    rows = found[(found["counting"] == WITHOUT) & ~found["holds"] & found["lower"].notna()]
    for row in rows.drop_duplicates("conclusion").itertuples():
        witness = NAMED[row.witness]
        kept = witness.contrasts[witness.contrasts["study"] != row.without]
        fit = fit_network(kept, tau2=witness.tau2, correlation=0.0)
        other = EVIDENCE.edges["treat2"].iloc[next(c.at for c in conclusions(EVIDENCE) if c.name == row.conclusion)]
        assert fit.lower.loc[HUB, other] == pytest.approx(row.lower, rel=1e-5)


def test_ranges_are_at_least_as_wide_as_an_independent_search_found(ranges, found, verdicts):
    """Issue G, part 2, (b), (c) and (e): what 410 data sets of another search showed."""
    placebo = conclusions(EVIDENCE)[0].name
    by_study = verdicts.query("tau2 == 'DL' and crossovers == 'by study' and conclusion == @placebo")
    assert (by_study.query("cap == 1.0 and trials == 'no'")["verdict"] == OPEN).all(), (
        "DL by study, all |SMD| <= 1, studies counted once"
    )
    small = [w.name for w in WITNESSES if w.tau2 == "DL" and w.switches["cap"] <= 1]
    for counting in (ONE_MEAN, ROBUST, "tau2 by REML", WITHOUT):
        part = found[found["witness"].isin(small) & (found["counting"] == counting) & (found["conclusion"] == placebo)]
        assert not part["holds"].all(), counting
    alike = [
        w
        for w in WITNESSES
        if w.tau2 == "REML" and (w.switches["least_correlation"], w.switches["most_correlation"]) == (0.75, 0.75)
    ]
    overturned = {
        cap: (
            not found[
                found["witness"].isin([w.name for w in alike if w.switches["cap"] <= cap])
                & (found["counting"] == ONE_MEAN)
                & (found["conclusion"] == placebo)
            ]["holds"].all()
        )
        for cap in (2.0, 3.0)
    }
    assert overturned == {2.0: False, 3.0: True}, "REML with r = 0.75"
    once = found[found["counting"] == ONE_MEAN]
    assert once["q"].min() < 0.5 and once["q"].max() > 93.5, "(e): Q by study from 0 to 94"
    assert once["egger_t"].min() < -12 and once["egger_t"].max() > 2, "(e): Egger's t by study from -12 to 2"
    printed = ranges[ranges["counting"] == "each estimate by itself"]
    assert (printed["verdict"] == PROVED).all() and (printed["fails_in"] == "").all()


def test_no_counterexample_is_said_to_be_missing_where_no_search_aimed_at_one(ranges):
    """Issue G, part 2: "no counterexample found in N starts" is said as exactly that."""
    aimed = aimed_at(EVIDENCE)
    first, none = conclusions(EVIDENCE)[3].name, conclusions(EVIDENCE)[2].name
    assert {(first, ONE_MEAN), (none, "correlation 0.5"), (conclusions(EVIDENCE)[0].name, WITHOUT)} <= aimed
    assert not {(first, "tau2 by DL"), (none, "tau2 by REML")} & aimed
    verdicts = ranges.set_index(["conclusion", "counting"])["verdict"]
    assert verdicts[none, ONE_MEAN] == NONE_FOUND and verdicts[first, "tau2 by DL"] == NOT_SOUGHT
    assert {key for key, verdict in verdicts.items() if verdict == NONE_FOUND} <= aimed
    assert not {key for key, verdict in verdicts.items() if verdict == NOT_SOUGHT} & aimed


def test_where_no_set_agrees_the_starts_and_the_nearest_miss_are_reported(verdicts):
    """Must show: ranges with starts and best miss where nothing was found."""
    assert (verdicts.loc[verdicts["verdict"] == NO_SEARCH, "starts"] == 0).all()
    without = verdicts[verdicts["verdict"] == NO_SET]
    wide = without["spread"] == "any"
    assert wide.any() and (without["starts"] > 0).all() and without.loc[wide, "least_miss"].notna().all()
    one = without.query("tau2 == 'DL' and crossovers == 'one correlation' and cap == 1.0 and trials == 'yes'")
    # its one row of range_searches.csv; every other start spreads the estimates narrowly
    assert set(one.loc[wide, "starts"]) == {16} and set(one.loc[wide, "least_miss"]) == {21.0}
    assert set(one.loc[~wide, "starts"]) == {8} and one.loc[~wide, "least_miss"].isna().all()


def test_a_start_counts_as_near_only_within_a_half_unit_of_every_printed_value():
    tried = table("range_searches")
    assert (tried["near"] <= tried["starts"]).all()
    assert ((tried["near"] > 0) == (tried["least_miss"] < 1)).all()


def test_ranges_only_grow_when_a_switch_opens(verdicts):
    """A wider setting has every data set of a narrower one, so it cannot turn an open verdict into another."""
    switches = pd.DataFrame([w.switches for w in WITNESSES])
    for narrow, wide in (
        ({"cap": 1.0}, {"cap": 3.0}),
        ({"trials": True}, {"trials": False}),
        ({"spread": "two an arm"}, {"spread": "any"}),
        ({"crossovers": "one correlation"}, {"crossovers": "by study"}),
    ):
        assert (belongs(switches, wide) | ~belongs(switches, narrow)).all()
    assert set(verdicts.query("tau2 == 'DL' and crossovers == 'independent groups'")["verdict"]) == {"impossible"}
    keys = ["conclusion", "tau2", "crossovers", "trials", "spread"]
    for _, rows in verdicts.groupby(keys):
        was_open = (rows.sort_values("cap")["verdict"] == OPEN).to_numpy()
        assert (np.diff(was_open.astype(int)) >= 0).all()


def test_findings_do_not_depend_on_the_order_of_rows_or_witnesses(found):
    some = WITNESSES[::12]
    again, found = findings(some[::-1]), found[found["witness"].isin([w.name for w in some])]
    keys = ["witness", "counting", "conclusion", "without"]
    pd.testing.assert_frame_equal(
        again.sort_values(keys, ignore_index=True), found.sort_values(keys, ignore_index=True)
    )


def test_settings_come_before_those_that_contain_them():
    """Data sets found under strict assumptions are thus carried over to looser ones, and are counted there too."""
    order = [s for s in settings("REML") if s.correlation == (0.0, 0.95)]
    for k, narrow in enumerate(order):
        assert not any(contains(narrow, wide) and contains(wide, narrow) for wide in order[k + 1 :])
        assert not any(contains(narrow, later) for later in order[k + 1 :]), narrow


def test_a_short_search_finds_an_agreeing_counterexample():
    """From its seed: by DL with a correlation of each crossover trial, studies counted once."""
    setting = Setting("DL", "by study", 1.5, False)
    aim = targets(EVIDENCE, setting, np.random.default_rng(1))[0]
    assert (aim.counting, aim.side) == (ONE_MEAN, -1)
    found, searched, _ = explore(EVIDENCE, setting, [], np.random.default_rng(5), starts=12, points=1, kinds=[aim])
    assert searched.near == 1 and len(found) >= 1
    rows = found[0].rows.assign(witness="made", tau2="DL")
    (witness,) = load_witnesses(EVIDENCE, rows[["witness", "tau2", "study", "te", "se", "n", "correlation"]])
    assert witness.printed_again()["agrees"].all() and witness.switches["cap"] <= 1.5
    fit = public_refit(witness, ONE_MEAN)
    assert fit.lower.loc[HUB, "placebo/sham"] < 0


def test_the_command_shows_printed_values_and_conclusions(capsys, tmp_path):
    name = WITNESSES[0].name
    assert main(["witness"]) == 0 and len(capsys.readouterr().out.splitlines()) == len(WITNESSES)
    assert main(["witness", name, "--csv", str(tmp_path / "w.csv")]) == 0
    shown = capsys.readouterr().out
    assert "p_score" in shown and "one mean a study" in shown and "NO" not in shown and "FAILS" in shown
    assert fit_network(pd.read_csv(tmp_path / "w.csv"), tau2=WITNESSES[0].tau2, correlation=0.0).tau2 == pytest.approx(
        WITNESSES[0].counted("each estimate by itself").tau2[0], rel=1e-6
    )
    # Results, Network meta-analysis: p = 0.004 (paragraph 2), Egger's p = 0.94 (paragraph 3), shown as printed
    (combined,) = re.findall(r"^ *p .*minimally invasive +([\d.]+) +([\d.]+) +([\d.]+) +yes$", shown, re.MULTILINE)
    (egger,) = re.findall(r"^ *egger_p +([\d.]+) +([\d.]+) +([\d.]+) +yes$", shown, re.MULTILINE)
    assert combined[:2] == ("0.0035", "0.0045") and float(combined[2]) == pytest.approx(0.004, abs=5e-4)
    assert [float(v) for v in egger[:2]] == pytest.approx([0.935, 0.945], abs=1e-4) and round(
        float(egger[2]), 2
    ) == 0.94
    assert main(["witness", "none"]) == 2 and "witness 'none': not one of" in capsys.readouterr().err
    assert main(["ranges", str(tmp_path / "absent")]) == 2 and "expected an existing folder" in capsys.readouterr().err


def test_a_changed_estimate_no_longer_prints_the_same():
    changed = table("witnesses")
    changed.loc[0, "te"] += 0.05
    assert not load_witnesses(EVIDENCE, changed)[0].printed_again()["agrees"].all()
    with pytest.raises(ValueError, match="expected the printed number of estimates"):
        load_witnesses(EVIDENCE, changed.drop(index=3))
    with pytest.raises(ValueError, match="counting='twice'"):
        public_refit(WITNESSES[0], "twice")
