"""Random and hostile input to every function of issue N in effects and pairwise: a finite, right result or one
sentence.

A call passes with a ValueError of one line, or with numbers that are finite (NaN where its docstring says so), a
standard error above 0, limits around the estimate, and the same answer when signs are flipped, units changed or studies
shuffled.
"""

import warnings
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from psps_paper.effects import MEASURES, effect_sizes
from psps_paper.pairwise import (
    binomial_normal,
    binomial_normal_proportion,
    generalised_q_meta_analysis,
    limit_meta_analysis,
    mantel_haenszel,
    meta_regression,
    method_comparison,
    pet_peese,
    peto,
    rank_test,
    selection_model,
    small_sample_meta_analysis,
    subgroup_analysis,
    tau2_interval,
    trim_and_fill,
)

# Shares of the calls; the exact models and the selection model are slow.
KINDS = {
    "regression": 8,
    "subgroups": 6,
    "small sample": 8,
    "tau2 interval": 4,
    "generalised q": 2,
    "comparison": 1,
    "trim": 8,
    "pet": 6,
    "rank": 6,
    "limit": 6,
    "selection": 1,
    "mh": 12,
    "peto": 6,
    "exact": 1,
    "proportions": 1,
    "effects": 10,
}


def studies(rng) -> tuple[np.ndarray, np.ndarray]:
    k = int(rng.integers(1, 13))
    scale = 10.0 ** rng.choice([0, 0, 0, -6, 6])
    se = rng.choice(
        [rng.uniform(0.05, 1, k), np.full(k, 0.2), np.exp(rng.uniform(-5, 3, k)), np.round(rng.uniform(0.1, 0.6, k), 1)]
    )
    te = rng.choice(
        [rng.normal(0.3, 0.5 + se), np.zeros(k), np.full(k, 0.7), np.round(rng.normal(0, 1, k)), rng.normal(0, 1e-9, k)]
    )
    return te * scale, se * scale


def tables(rng) -> list[np.ndarray]:
    k = int(rng.integers(1, 9))
    n = rng.integers(1, rng.choice([3, 20, 300]), (2, k))
    p = rng.choice([0.0, 0.01, 0.05, 0.3, 0.9, 1.0], (2, k) if rng.random() < 0.5 else (2, 1))
    events = rng.binomial(n, p)
    return [events[0], n[0], events[1], n[1]]


def moderators(rng, k: int) -> pd.DataFrame:
    x = rng.normal(2000, 5, k)
    columns = {"x": x, "year": np.round(x), "group": rng.choice(list("abc"), k), "double": 2 * x + 1, "constant": 1.0}
    return pd.DataFrame(
        {c: columns[c] for c in rng.choice(list(columns), int(rng.integers(1, 4)), replace=False)}, index=range(k)
    )


def spoiled(rng, te, se) -> tuple:
    """One bad value now and then."""
    if rng.random() > 0.08 or not len(te):
        return te, se
    te, se = te.astype(object), se.astype(object)
    (te if rng.random() < 0.5 else se)[rng.integers(len(te))] = rng.choice(
        np.array([np.nan, np.inf, -1.0, 0.0, 1e200], object)
    )
    return te, se


def on_studies(rng, kind: str):
    """A function of te and se with its options drawn, and whether flipping signs leaves it the same."""
    methods = ["DL", "REML", "ML", "PM", "HE", "SJ"]
    tau2 = str(rng.choice(methods))
    if kind == "small sample":
        method = str(rng.choice(["classic", "hartung-knapp", "kenward-roger"]))
        ad_hoc = str(rng.choice(["none", "se", "ci", "IQWiG6"])) if method == "hartung-knapp" else "none"
        return lambda t, s: small_sample_meta_analysis(
            t, s, "REML" if method == "kenward-roger" else tau2, method, ad_hoc=ad_hoc
        )
    if kind == "tau2 interval":
        which = str(rng.choice(["QP", "BJ", "J", "PL"]))
        return lambda t, s: tau2_interval(t, s, which, "REML")
    if kind == "generalised q":
        return lambda t, s: generalised_q_meta_analysis(t, s)
    if kind == "trim":
        estimator, side = str(rng.choice(["L0", "R0"])), rng.choice(np.array([None, "left", "right"], object))
        return lambda t, s: trim_and_fill(t, s, tau2, estimator, side)
    if kind == "pet":
        method = str(rng.choice(["WLS", "FE", "REML", "ML", "DL"]))
        return lambda t, s: pet_peese(t, s, method)
    if kind == "limit":
        adjustment = str(rng.choice(["beta0", "betalim", "mulim"]))
        return lambda t, s: limit_meta_analysis(t, s, adjustment)
    if kind == "comparison":
        return lambda t, s: method_comparison(t, s)
    if kind == "selection":
        steps = [(0.025,), (0.025, 0.5), (0.05, 0.5)][rng.integers(3)]
        return lambda t, s: selection_model(t, s, steps, str(rng.choice(["greater", "less"])))
    return lambda t, s: rank_test(t, s)


def sane(result) -> None:
    """Numbers are finite and in order."""
    for name in ("te", "se", "tau2", "q", "log_likelihood"):
        if hasattr(result, name):
            assert np.isfinite(getattr(result, name)), name
    for name in ("tau2", "q", "q_between", "q_residual", "k0", "p"):
        if hasattr(result, name):
            assert getattr(result, name) >= 0, name
    if hasattr(result, "se"):
        assert result.se > 0
    if hasattr(result, "lower"):
        middle = result.te if hasattr(result, "te") else result.lower
        assert result.lower <= middle <= result.upper
    if hasattr(result, "p"):
        assert 0 <= result.p <= 1 + 1e-12
    assert isinstance(result.to_frame(), pd.DataFrame) and result.summary()


def close(a, b, factor: float = 1.0) -> None:
    """The same answer up to the factor on te and its absolute value on se."""
    if hasattr(a, "te") and hasattr(a, "se"):
        slack = 1e-6 * max(a.se, abs(a.te))
        assert b.te == pytest.approx(factor * a.te, abs=slack * abs(factor)) and b.se == pytest.approx(
            abs(factor) * a.se, rel=1e-5
        )
    elif hasattr(a, "tau"):
        assert (b.tau, b.p) == pytest.approx((np.sign(factor) * a.tau, a.p), abs=1e-9)
    elif hasattr(a, "table"):
        np.testing.assert_allclose(b.table["se"], abs(factor) * a.table["se"], rtol=1e-5)
    else:
        assert (b.tau2, b.lower, b.upper) == pytest.approx(
            tuple(factor**2 * x for x in (a.tau2, a.lower, a.upper)), rel=1e-5, abs=1e-8 * factor**2
        )


def attempt(call):
    """The result, or None where the call refuses in one sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return call()
    except ValueError as error:
        message = str(error)
        assert ":" in message or "," in message
        assert 10 < len(message) < 400 and "\n" not in message, message
        return None


def one_call(rng, kind: str) -> bool:
    """Run one random call; was there a result?"""
    if kind in ("mh", "peto", "exact", "proportions"):
        return one_table(rng, kind)
    if kind == "effects":
        return one_arms(rng)
    te, se = studies(rng)
    if kind in ("regression", "subgroups"):
        return one_grouped(rng, kind, te, se)
    call = on_studies(rng, kind)
    rough = spoiled(rng, te, se)
    result = attempt(lambda: call(*rough))
    if result is None:
        return False
    sane(result)
    if rough[0] is te and kind != "selection":
        order = rng.permutation(len(te))
        tied_sides = kind == "trim"  # with ties, which of two equal studies is trimmed depends on their order
        if not (tied_sides and len(set(te)) < len(te)):
            close(result, call(te[order], se[order]))
        close(result, call(4 * te, 4 * se), 4.0)
    return True


def one_grouped(rng, kind: str, te, se) -> bool:
    k = len(te)
    if kind == "subgroups":
        by, common = rng.choice(list("xyz"), k), bool(rng.random() < 0.5)
        tau2, knapp = str(rng.choice(["DL", "REML", "ML"])), bool(rng.random() < 0.3)
        result = attempt(lambda: subgroup_analysis(te, se, by, tau2, common, hartung_knapp=knapp))
        if result is not None:
            assert (
                np.isfinite(result.groups[["te", "se", "lower", "upper"]]).all(axis=None) and result.q_between >= -1e-9
            )
            again = subgroup_analysis(-te[::-1], se[::-1], by[::-1], tau2, common, hartung_knapp=knapp)
            np.testing.assert_allclose(
                again.groups.loc[result.groups.index, "te"], -result.groups["te"], rtol=1e-6, atol=1e-6 * se.min()
            )
            assert result.summary()
        return result is not None
    table = moderators(rng, k)
    tau2, test = (
        str(rng.choice(["REML", "DL", "ML", "PM", "FE", "HE", "SJ", "HS", "EB"])),
        str(rng.choice(["z", "knapp-hartung"])),
    )
    result = attempt(lambda: meta_regression(te, se, table, tau2, test))
    if result is not None:
        assert np.isfinite(result.coefficients).all(axis=None) and (result.coefficients["se"] > 0).all()
        assert result.tau2 >= 0 and np.isfinite(result.predict()).all(axis=None)
        again = meta_regression(4 * te, 4 * se, table, tau2, test)
        size = np.abs(result.coefficients["estimate"]) + result.coefficients["se"]
        assert (np.abs(again.coefficients["estimate"] - 4 * result.coefficients["estimate"]) <= 4e-6 * size).all()
        assert result.summary()
    return result is not None


def one_table(rng, kind: str) -> bool:
    x = tables(rng)
    if kind == "proportions":
        call, flipped = lambda *x: binomial_normal_proportion(x[0], x[1]), None
    elif kind == "exact":
        measure, model = (
            str(rng.choice(["OR", "IRR"])),
            str(rng.choice(["conditional", "approximate", "unconditional"])),
        )
        call, flipped = lambda *x: binomial_normal(*x, measure=measure, model=model), None
    elif kind == "mh":
        measure = str(rng.choice(["OR", "RR", "RD", "IRR", "IRD"]))
        increment = float(rng.choice([0.0, 0.5]))
        call = flipped = lambda *x: mantel_haenszel(*x, measure, increment=increment)
    else:
        call = flipped = peto
    result = attempt(lambda: call(*x))
    if result is not None:
        sane(result)
        if flipped is not None:
            close(result, flipped(*x[2:], *x[:2]), -1.0)
            close(result, flipped(*(c[::-1] for c in x)))
    return result is not None


def one_arms(rng) -> bool:
    k, a = int(rng.integers(1, 6)), int(rng.integers(2, 4))
    n = rng.integers(1, 40, k * a)
    arms = pd.DataFrame(
        {
            "study": np.repeat(np.arange(k), a),
            "treatment": list("xyz"[:a]) * k,
            "n": n,
            "mean": rng.normal(0, 3, k * a),
            "sd": rng.choice([0.0, 1e-8, 1.0, 3.0], k * a, p=[0.02, 0.02, 0.48, 0.48]),
            "time": rng.uniform(0.5, 50, k * a),
            "events": rng.binomial(n, rng.choice([0, 0.1, 0.6, 1.0], k * a)),
        }
    )
    measure = str(rng.choice(MEASURES))
    result = attempt(lambda: effect_sizes(arms, measure))
    if result is not None:
        assert np.isfinite(result[["te", "se"]]).all(axis=None) and (result["se"] > 0).all()
        assert len(result) + (result.excluded["treat2"] != "").sum() == k * a * (a - 1) / 2
        assert result.summary()
    return result is not None


def run(count: int, seed: int) -> Counter:
    """``count`` random calls over all functions; how many of each kind had a result and how many were refused."""
    rng = np.random.default_rng(seed)
    names = np.repeat(list(KINDS), list(KINDS.values()))
    tally: Counter = Counter()
    for number in range(count):
        kind = str(names[number % len(names)])
        state = rng.bit_generator.state["state"]["state"]
        try:
            tally[kind, "result" if one_call(rng, kind) else "refused"] += 1
        except Exception as error:
            raise AssertionError(f"call {number} ({kind}), generator at {state}: {error!r}") from error
    return tally


def test_random_calls_give_a_right_result_or_one_sentence():
    """About ten seconds on one core would buy 1,000; ten thousand ran once before this was committed."""
    tally = run(2 * sum(KINDS.values()), seed=1)
    assert {kind for kind, outcome in tally if outcome == "result"} >= set(KINDS) - {
        "comparison",
        "selection",
        "exact",
        "proportions",
    }
