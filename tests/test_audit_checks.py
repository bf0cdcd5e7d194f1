"""Each check of `audit` on numbers made for it, and the methods that explain a difference before anything is called a
clash."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from psps_paper.audit import audit, html_report, text_report
from psps_paper.audit.closure import smallest_cycle, tightened
from psps_paper.audit.covariance import covariance_exists


def network(**entry):
    return audit({"schema": 1, "networks": [{"measure": "SMD", **entry}]})


def cell(text: str, **entry):
    return network(tables=[{"text": f"A {text}\nB\n", "orientation": "row versus column"}], **entry)


def verdict(found, check: str) -> str:
    return found.findings.query("check == @check")["verdict"].item()


@pytest.mark.parametrize(
    "text, expected",
    [
        ("0.45 (0.14, 0.76)", "holds"),
        ("0.45 (0.76, 0.14)", "clash"),
        ("-0.45 (0.14, 0.76)", "clash"),
        ("0.37 (0.14, 0.76)", "cannot tell"),  # 0.5 standard errors off the middle
        ("0.42 (0.14, 0.76)", "explained"),  # 0.2
    ],
)
def test_limits_and_middle(text, expected):
    assert verdict(cell(text), "interval") == expected


def test_a_lost_minus_sign_is_asked_for():
    assert "did a minus sign get lost" in cell("-0.45 (0.76, -0.14)").findings["why"].iloc[0]


def test_the_mean_of_a_log_normal_is_explained():
    mu, s = 0.3, 0.6
    text = f"{math.exp(mu + s * s / 2):.2f} ({math.exp(mu - 1.96 * s):.2f}, {math.exp(mu + 1.96 * s):.2f})"
    assert "posterior mean" in cell(text, measure="OR").findings["why"].iloc[0]


def p_of(p: str, half: float, te: float = 0.45):
    return cell(f"{te:.3f} ({te - half:.3f}, {te + half:.3f})", p_values=[{"treat1": "A", "treat2": "B", "p": p}])


@pytest.mark.parametrize(
    "p, half, expected, word",
    [
        (f"{2 * stats.norm.sf(0.45 / 0.2):.3f}", 1.96 * 0.2, "holds", "follows"),
        (
            f"{2 * stats.t.sf(0.45 / 0.2, 5):.3f}",
            stats.t.ppf(0.975, 5) * 0.2,
            "explained",
            "t distribution with about 5",
        ),
        (f"{stats.norm.sf(0.45 / 0.2):.4f}", 1.96 * 0.2, "explained", "one-sided"),
        ("0.60", 1.96 * 0.2, "clash", "?"),
        ("< 0.001", 1.96 * 0.1, "holds", "follows"),
    ],
)
def test_p_against_interval(p, half, expected, word):
    row = p_of(p, half).findings.query("check == 'p value'").iloc[0]
    assert row["verdict"] == expected and word in row["why"]


def table(cells: dict[tuple[str, str], str], **entry):
    names = sorted({name for pair in cells for name in pair})
    rows = ["\t".join(["", *names])] + ["\t".join([a, *(cells.get((a, b), "") for b in names)]) for a in names]
    return network(tables=[{"text": "\n".join(rows) + "\n", "orientation": "row versus column"}], **entry)


GOOD = {("A", "B"): "0.20 (0.00, 0.40)", ("A", "C"): "0.50 (0.20, 0.80)", ("B", "C"): "0.30 (0.00, 0.60)"}


def test_a_triangle_closes_or_names_its_cells():
    assert verdict(table(GOOD), "consistency") == "holds"
    row = table(GOOD | {("B", "C"): "-0.30 (-0.60, 0.00)"}).findings.query("check == 'consistency'").iloc[0]
    assert row["verdict"] == "clash" and "turned round, B vs C -0.30 (-0.60, 0.00) would close" in row["why"]
    assert (row["lower"], row["upper"]) != (row["lower"], math.inf)


def test_last_digits_cut_off_are_explained():
    assert (
        verdict(table(GOOD | {("B", "C"): "0.28 (-0.02, 0.58)"}, framework="frequentist"), "consistency") == "explained"
    )


def test_the_smallest_clashing_set_is_a_cycle_of_fewest_cells():
    """Four treatments on a ring without chords: only the four cells together clash."""
    cells = {
        ("A", "B"): "0.20 (0.00, 0.40)",
        ("B", "C"): "0.20 (0.00, 0.40)",
        ("C", "D"): "0.20 (0.00, 0.40)",
        ("A", "D"): "0.10 (-0.10, 0.30)",
    }
    row = table(cells).findings.query("check == 'consistency'").iloc[0]
    assert row["verdict"] == "clash" and row["why"].startswith("These 4 cells")


@given(st.integers(0, 10_000))
def test_closing_agrees_with_the_linear_program(seed):
    """Independent reference: scipy's HiGHS on the same inequalities."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 6))
    effects = rng.normal(0, 1, n)
    high = effects[:, None] - effects[None, :] + rng.uniform(-0.08, 0.2, (n, n))
    high[rng.random((n, n)) < 0.2] = np.inf
    rows, bounds = [], []
    for i in range(n):
        for j in range(n):
            if i != j and np.isfinite(high[i, j]):
                rows.append(np.eye(n)[i] - np.eye(n)[j])
                bounds.append(high[i, j])
    solved = optimize.linprog(np.zeros(n), A_ub=np.array(rows), b_ub=bounds, bounds=(None, None)) if rows else None
    closed = tightened(high)
    assert (closed is not None) == (solved is None or solved.status == 0)
    cycle = smallest_cycle(high)
    assert bool(cycle) == (closed is None)
    if cycle:
        assert sum(high[i, j] for i, j in zip(cycle, [*cycle[1:], cycle[0]], strict=True)) < 0


def test_a_covariance_exists_or_a_vector_proves_that_none_does():
    rng = np.random.default_rng(1)
    half = rng.normal(size=(6, 6))
    g = half @ half.T
    d = np.diag(g)[:, None] + np.diag(g)[None, :] - 2 * g
    assert covariance_exists(0.99 * d, 1.01 * d).exists
    broken = d.copy()
    broken[0, 1] = broken[1, 0] = 2 * (d[0, 2] + d[2, 1]) + 1
    found = covariance_exists(0.99 * broken, 1.01 * broken)
    assert found.exists is False
    x = found.weights
    product = np.outer(x, x)
    assert abs(x.sum()) < 1e-9 and (product * np.where(product > 0, 0.99 * broken, 1.01 * broken)).sum() > 0


@pytest.mark.parametrize("seed", range(20))
def test_no_proof_where_a_matrix_within_the_bounds_exists(seed):
    """The middle of the bounds is none, but the true variances lie within them."""
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(5, 5)) * [1, 1, 0.3, 0.1, 0.05]
    g = half @ half.T
    d = np.diag(g)[:, None] + np.diag(g)[None, :] - 2 * g
    off = np.triu(rng.uniform(-1, 1, d.shape), 1)
    middle = d * (1 + 0.1 * (off + off.T))
    assert covariance_exists(np.minimum(0.9 * middle, d), np.maximum(1.1 * middle, d)).exists is not False


def test_an_interval_that_no_covariance_allows_is_a_clash():
    cells = {("A", "B"): "0.20 (0.10, 0.30)", ("A", "C"): "0.50 (0.40, 0.60)", ("B", "C"): "0.30 (-0.60, 1.20)"}
    assert verdict(table(cells), "covariance") == "clash"


def test_mirrored_triangles_and_exchanged_rows():
    square = GOOD | {
        ("B", "A"): "-0.20 (-0.40, 0.00)",
        ("C", "A"): "-0.50 (-0.80, -0.20)",
        ("C", "B"): "-0.30 (-0.60, 0.00)",
    }
    assert set(table(square).findings.query("check == 'mirrored triangles'")["verdict"]) == {"holds"}
    broken = table(square | {("C", "B"): "-0.30 (-0.60, 0.10)"}).findings.query(
        "check == 'mirrored triangles' and verdict == 'clash'"
    )
    assert "upper limit" in broken["why"].item() or "lower limit" in broken["why"].item()


def test_scores_in_reverse_order_are_a_clash():
    scores = {"A": "0.90", "B": "0.52", "C": "0.08"}
    good = table(GOOD, better="higher", scores={"kind": "P-score", "A": "0.99", "B": "0.50", "C": "0.01"})
    assert set(good.findings.query("check == 'P-score'")["verdict"]) == {"holds"}
    bad = table(GOOD, better="higher", scores={"kind": "P-score", "A": "0.01", "B": "0.50", "C": "0.99"})
    assert verdict(bad, "direction") == "clash"
    sums = table(GOOD, scores={"kind": "P-score", **scores, "C": "0.28"})
    assert verdict(sums, "sum of P-scores") == "clash"


def test_scores_say_which_way_a_table_is_read_that_does_not_say_it():
    text = "A | 0.30 (0.10 to 0.50) | 0.50 (0.20 to 0.80)\n | B | 0.20 (-0.10 to 0.50)\n | | C\n"
    forward, reverse = (
        {"kind": "P-score", **dict(zip("ABC", scores, strict=True))}
        for scores in (["1.00", "0.45", "0.05"], ["0.00", "0.55", "0.95"])
    )
    for scores, way, first in ((forward, "row versus column", "A vs B"), (reverse, "column versus row", "B vs A")):
        found = network(better="higher", scores=scores, tables=[{"text": text}])
        assert found.verdict == "holds" and len(found.findings.query("check == 'P-score'")) == 3
        assert (
            found.findings.query("check == 'orientation'")["why"].item()
            == f"The P-scores say that the upper triangle is read as {way}."
        )
        assert found.findings.query("check == 'interval'")["where"].iloc[0].startswith(f"network: {first}")
    assert (
        verdict(
            network(better="higher", scores=reverse, tables=[{"text": text, "orientation": "row versus column"}]),
            "direction",
        )
        == "clash"
    )
    assert verdict(network(tables=[{"text": text}]), "orientation") == "cannot tell"


def test_what_needs_no_scale_is_checked_without_one():
    found = audit(
        {
            "schema": 1,
            "networks": [
                {
                    "tables": [{"text": "A | 0.3 (0.1 to 0.5)\n | B\n"}],
                    "scores": {"kind": "P-score", "A": "0.9", "B": "0.3"},
                    "heterogeneity": {"Q": "37.0", "df": "20", "p": "0.5"},
                }
            ],
        }
    )
    assert verdict(found, "scale") == "cannot tell"
    assert [verdict(found, check) for check in ("sum of P-scores", "p of Q")] == ["clash", "clash"]


def test_rank_probabilities_sum_to_one():
    ranks = {"A": ["90.1", "8.2", "1.7"], "B": ["8", "60", "32"], "C": ["1.9", "31.8", "76.3"]}
    found = table(GOOD, rank_probabilities=ranks).findings
    clashes = found[found["verdict"] == "clash"]["check"].tolist()
    assert clashes == ["rank probabilities of C", "probabilities of rank 3"]


@pytest.mark.parametrize(
    "values, check, expected",
    [
        ({"Q": "37.0", "df": "20", "p": "0.012"}, "p of Q", "holds"),
        ({"Q": "37.0", "df": "20", "p": "0.12"}, "p of Q", "clash"),
        ({"Q": "37.0", "df": "20", "I2": "46%"}, "I2", "holds"),
        ({"Q": "37.0", "df": "20", "I2": "64%"}, "I2", "clash"),
        ({"tau2": "0.04", "tau": "0.20"}, "tau2", "holds"),
        ({"tau2": "0.46", "tau": "0.20"}, "tau2", "clash"),
        ({"I2": "46%", "tau2": "0"}, "I2 and tau2", "cannot tell"),
    ],
)
def test_heterogeneity(values, check, expected):
    found = network(heterogeneity=values).findings.query("check == @check")["verdict"].tolist()
    assert found == ([expected] if check != "I2 and tau2" else [])


def test_degrees_of_freedom_follow_from_studies_and_arms():
    both = {"studies": "10", "arms": "20"}
    assert verdict(table(GOOD, heterogeneity={**both, "df": "8"}), "degrees of freedom") == "holds"
    assert verdict(table(GOOD, heterogeneity={**both, "df": "9"}), "degrees of freedom") == "clash"
    implied = table(GOOD, heterogeneity=both).implied.query("quantity == 'df'")
    assert implied["lower"].item() == implied["upper"].item() == 8


@pytest.mark.parametrize(
    "interval, tau2, expected",
    [
        ("-0.05 to 0.95", "0.04", "holds"),  # 1.96 sqrt(0.1582^2 + 0.04) = 0.50
        ("0.20 to 0.70", "0.04", "clash"),  # narrower than the confidence interval
        ("-3.55 to 4.45", "0.04", "clash"),
    ],
)
def test_prediction_intervals(interval, tau2, expected):
    found = cell(
        "0.45 (0.14, 0.76)",
        heterogeneity={"tau2": tau2, "df_predict": "100000"},
        predictions=[{"treat1": "A", "treat2": "B", "interval": interval}],
    )
    assert verdict(found, "prediction interval") == expected


@pytest.mark.parametrize(
    "percent, people, expected",
    [("33.3%", 12, "holds"), ("31%", 12, "clash"), ("16.6", 12, "explained"), ("100", 7, "holds")],
)
def test_percentages_of_whole_people(percent, people, expected):
    assert (
        audit({"schema": 1, "percentages": [{"percent": percent, "of": people}]}).findings["verdict"].item() == expected
    )


def test_missing_cells_follow():
    found = table({("A", "B"): "0.20 (0.00, 0.40)", ("B", "C"): "0.30 (0.00, 0.60)"}).implied.query(
        "quantity == 'estimate'"
    )
    assert found["lower"].item() <= 0.5 <= found["upper"].item()


def test_reports_escape_what_they_show_and_ask_for_nothing_outside():
    found = audit("<b>A</b>\t0.20 (0.00, 0.40)\n\tB & C\n")
    page = html_report(found)
    assert "<b>A</b>" not in page and "&lt;b&gt;A" in page
    assert not any(word in page for word in ("http:", "https:", "src=", "@import", "url("))
    assert text_report(found).count("\n") >= 1
