"""Many meta-analyses at once are those of a loop."""

import dataclasses

import numpy as np
import pytest

from psps_paper.pairwise import meta_analyses, meta_analysis

RNG = np.random.default_rng(3)
TE, SE = RNG.normal(0, 0.6, (40, 7)), RNG.uniform(0.05, 0.8, (40, 7))
TE[0] = 0.2  # no heterogeneity at all


@pytest.mark.parametrize("method", ["DL", "REML", "ML", "PM", "SJ", "HE", 0.3])
@pytest.mark.parametrize(
    "options", [{}, {"hartung_knapp": True, "prediction_df": "k-1"}, {"prediction_df": "normal", "level": 0.9}]
)
def test_batch_equals_loop(method, options):
    fits = meta_analyses(TE, SE, method, **options)
    for b in range(len(TE)):
        fit = meta_analysis(TE[b], SE[b], method, **options)
        for field in dataclasses.fields(fits):
            if field.name not in ("maxima", "k", "df_q", "prediction_df"):
                expected = getattr(fit, field.name)
                assert getattr(fits, field.name)[b] == pytest.approx(expected, rel=1e-8, abs=1e-12, nan_ok=True), (
                    field.name
                )
        assert (fits.k, fits.df_q, fits.prediction_df) == (fit.k, fit.df_q, fit.prediction_df)
        if fits.maxima is not None:
            assert [m.tau2 for m in fits.maxima.of(b)] == pytest.approx([m.tau2 for m in fit.tau2_maxima], rel=1e-9)


def test_values_of_tau2_and_shared_standard_errors():
    tau2 = np.linspace(0, 1, 40)
    fits = meta_analyses(TE, SE[0], tau2)
    assert fits.te[7] == pytest.approx(meta_analysis(TE[7], SE[0], tau2[7]).te, rel=1e-12)
    order = RNG.permutation(7)
    moved = meta_analyses(2 - 3 * TE[:, order], 3 * SE[:, order], "REML")
    assert moved.te == pytest.approx(2 - 3 * meta_analyses(TE, SE, "REML").te, rel=1e-7, abs=1e-9)
    alone = meta_analyses([[0.3], [0.4]], [0.1])
    assert alone.tau2.tolist() == [0, 0] and np.isnan(alone.p_q).all() and np.isnan(alone.i2).all()


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: meta_analyses(TE, SE * np.where(np.arange(40)[:, None] == 2, -1, 1)),
            "data sets, row 14, column se: -0",
        ),
        (
            lambda: meta_analyses([[1, 2]], [[1, 2e5]]),
            "row 1, column se: 200000.0 is not at most 100000 times the smallest",
        ),
        (lambda: meta_analyses(TE, SE, [0.1, 0.2]), "tau2: shape .2,. is not .40,."),
        (lambda: meta_analyses(TE, SE, None), "tau2: None is not"),
        (lambda: meta_analyses(TE, SE, "EB"), "tau2: 'EB' is not one of"),
        (
            lambda: meta_analyses(TE[:, :1], SE[:, :1], hartung_knapp=True),
            r"shape \(40, 1\) is not \[B x k\] with k at least 2",
        ),
        (lambda: meta_analyses(TE, SE, level="0.95"), "level: '0.95' is not a number between 0 and 1"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
