"""Effect sizes against metafor's escalc() and meta (tests/oracles/effect_sizes.json, made by
validation/effect_sizes.R)."""

import numpy as np
import pandas as pd
import pytest

from oracle_cells import Cells, at
from psps_paper.effects import (
    back_transform,
    change_effect,
    correlation_effect,
    effect_sizes,
    proportion_effect,
    rate_effect,
)
from psps_paper.pairwise import meta_analysis

# README of the reference results: closed forms agree to 1e-10.
TOLERANCE = 1e-10
LISTED = {
    "*/input/*": "the data",
    "*/RTET_only0/yi": "metafor's optimiser stops up to 2e-5 short: see test_tetrachoric_correlation_is_the_maximum",
    "*/RTET_only0/vi": "variance at that stopping point; same test, 5e-5",
}


def arms_of(data: dict, columns: dict[str, str]) -> pd.DataFrame:
    """Long table from numbered columns; group 1 is x, group 2 is y."""
    k = len(next(iter(data.values())))
    return pd.DataFrame(
        {"study": i, "treatment": "xy"[int(g) - 1], **{c: data[f"{stem}{g}"][i] for stem, c in columns.items()}}
        for i in range(k)
        for g in "12"
    )


def aligned(result, k: int) -> tuple[np.ndarray, np.ndarray]:
    """te and variance by study; NaN for what was excluded."""
    te, v = np.full(k, np.nan), np.full(k, np.nan)
    te[result["study"].astype(int)], v[result["study"].astype(int)] = result["te"], result["se"] ** 2
    return te, v


def compare_means(book: Cells, name: str) -> None:
    arms = arms_of(book.data[name]["input"], {"n": "n", "m": "mean", "s": "sd"})
    k = len(arms) // 2
    for field in book.data[name]:
        if field == "input":
            continue
        measure, _, rest = field.removeprefix("meta_").partition("_")
        options = {}
        if field.startswith("meta_SMD_Glass"):
            measure, options = "SMD1", {"variance": "RevMan", "correction": "none"}
        elif field.startswith("meta_SMD"):
            variance = "UB" if rest.endswith("exact") else "RevMan"
            options = {"variance": variance, "correction": "exact" if "Hedges" in rest else "none"}
        elif rest and rest != "uncorrected":  # metafor 3.8-1 has no argument "correct" and takes no notice of it
            options = {"variance": "HO" if rest == "pooledvar" else rest}
        swapped = rest.endswith("sdexp")
        te, v = aligned(effect_sizes(arms[::-1] if swapped else arms, measure, **options), k)
        te = -te if swapped else te
        path = f"{name}/{field}"
        if field.startswith("meta_"):
            pooled = meta_analysis(te, np.sqrt(v))
            for cell, ours in {
                "TE": te,
                "seTE": np.sqrt(v),
                "TE_common": pooled.te_common,
                "seTE_common": pooled.se_common,
            }.items():
                book.check(f"{path}/{cell}", ours, TOLERANCE)
        book.check(f"{path}/yi", te, TOLERANCE)
        book.check(f"{path}/vi", v, TOLERANCE)


def compare_tables(book: Cells, name: str) -> None:
    arms = arms_of(book.data[name]["input"], {"event": "events", "n": "n"})
    k = len(arms) // 2
    for field in book.data[name]:
        if field == "input":
            continue
        measure, continuity, *rest = field.split("_")
        te, v = aligned(effect_sizes(arms, measure, continuity=continuity, double_zero="drop" if rest else "keep"), k)
        if field == "RD_none":
            # escalc() gives a double zero te 0 with variance 0; without a standard error we exclude it
            zero = at(book.data[name][field]["vi"]) == 0
            assert np.isnan(te[zero]).all()
            te[zero] = v[zero] = 0.0
        book.check(f"{name}/{field}/yi", te, TOLERANCE)
        book.check(f"{name}/{field}/vi", v, TOLERANCE)


def compare_single_arms(book: Cells) -> None:
    data = book.data["rates"]
    x = data["input"]
    arms = arms_of(x, {"x": "events", "t": "time"})
    effects = {f"rates/{m}": aligned(effect_sizes(arms, m), len(arms) // 2) for m in ("IRR", "IRD", "IRSD")}
    single = {f"rates/{m}": rate_effect(x["x1"], x["t1"], m) for m in ("IR", "IRLN", "IRS", "IRFT")}
    x = book.data["proportions"]["input"]
    single |= {f"proportions/{m}": proportion_effect(x["x"], x["n"], m) for m in ("PR", "PLN", "PLO", "PAS", "PFT")}
    te, n = single["proportions/PFT"].te, np.array(x["n"], float)
    book.check("proportions/back_PFT_own_n", back_transform(te, "PFT", n=n), TOLERANCE)
    book.check("proportions/back_PFT_harmonic", back_transform(te, "PFT", n=1 / (1 / n).mean()), TOLERANCE)
    x = book.data["correlations"]["input"]
    single |= {f"correlations/{m}": correlation_effect(x["r"], x["n"], m) for m in ("COR", "ZCOR")}
    x = book.data["pre_post"]["input"]
    for field in book.data["pre_post"]:
        measure, _, borenstein = field.partition("_")
        if field != "input":
            single[f"pre_post/{field}"] = change_effect(
                x["n"], x["m_post"], x["sd_post"], x["m_pre"], x["sd_pre"], x["r"], measure, borenstein=bool(borenstein)
            )
    effects |= {path: (e.te, e.se**2) for path, e in single.items()}
    for path, (te, v) in effects.items():
        book.check(f"{path}/yi", te, TOLERANCE)
        book.check(f"{path}/vi", v, TOLERANCE)


@pytest.fixture(scope="module")
def book() -> Cells:
    found = Cells("effect_sizes", LISTED)
    for name in ("normand1999", "made_up_means"):
        compare_means(found, name)
    for name in ("bcg", "tables_with_zeros"):
        compare_tables(found, name)
    compare_single_arms(found)
    return found


def test_every_cell_agrees(book):
    assert not book.differences


def test_every_cell_is_compared_or_listed(book):
    book.assert_complete(__file__)


@pytest.mark.parametrize("name", ["bcg", "tables_with_zeros"])
def test_tetrachoric_correlation_is_the_maximum(book, name):
    """At ours the table's own probability is met, so the likelihood is at its maximum; metafor's is close to it."""
    data = book.data[name]
    te, v = aligned(
        effect_sizes(arms_of(data["input"], {"event": "events", "n": "n"}), "RTET"), len(data["input"]["n1"])
    )
    theirs = at(data["RTET_only0"]["yi"])
    inside = np.abs(theirs) < 1
    assert np.isnan(te[~inside]).all()  # an empty cell: metafor gives -1 or 1 with a variance that means nothing
    assert np.abs(te - theirs)[inside].max() < 3e-5
    assert np.abs(v / at(data["RTET_only0"]["vi"]) - 1)[inside].max() < 5e-5
