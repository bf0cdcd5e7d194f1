"""The "what if" page: its engine against the package's own fits, and the browser's numbers against the engine's."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from scipy import special, stats

from conftest import BOOK
from helpers import table
from psps_paper.article.published import comparisons, published_network
from psps_paper.bayes import fit_bayes, half_normal
from psps_paper.book.explorer import (
    DRAWS,
    Settings,
    Trial,
    default_settings,
    explore,
    explorer_data,
    forest_rows,
    pooled_under,
    show_explorer,
    trial_contrast,
)
from psps_paper.ensemble import agreeing_tau2, load_witnesses, published_results
from psps_paper.formatting import half_unit
from psps_paper.network import fit_network
from psps_paper.network.ranking import p_scores, rank_probabilities
from psps_paper.network.summary import network_from_pooled
from psps_paper.site.formulas import ASSETS
from test_browser import CHROMIUM, address, browser, open_page, reader, serve  # noqa: F401  (fixtures)

NEEDS_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium, or set PSPS_CHROMIUM"),
]
AGREEING = agreeing_tau2(load_witnesses(published_results()))
NULL_TRIAL = Trial("conservative", 50, 5.0, 2.5, "placebo/sham", 50, 5.0, 2.5)


@pytest.fixture(scope="module")
def data():
    return explorer_data(
        published_network(table("nma_published"), desirable="higher"),
        comparisons(table("studies"), table("nma_published")),
        AGREEING,
        table("clinical_scale"),
        desirable="higher",
        scale_desirable="lower",
    )


@pytest.fixture(scope="module")
def start(data):
    return default_settings(data)


# ---------------------------------------------------------------- the engine


def test_the_start_agrees_with_every_printed_value(data, start):
    """Rounding the export to four decimals stays within the rounding of the print."""
    fit = network_from_pooled(pd.DataFrame(data["comparisons"]))
    result = explore(data, start)
    scores = dict(zip(result["treatments"], result["p_scores"], strict=True))
    by_pair = {(row["treat1"], row["treat2"]): row for row in result["contrasts"]}
    checked = 0
    for row in table("nma_published").itertuples():
        if row.quantity in ("te", "lower", "upper"):
            value = by_pair[row.treat1, row.treat2][row.quantity]
        elif row.quantity == "z":
            value = fit.te.at[row.treat1, row.treat2] / fit.se.at[row.treat1, row.treat2]
        elif row.quantity == "p_score":
            value = scores[row.treat1]
        else:
            continue
        assert abs(value - row.value) <= half_unit(row.decimals), row
        checked += 1
    assert checked == 12


def test_the_start_is_the_network_of_the_pooled_contrasts(data, start):
    fit = network_from_pooled(pd.DataFrame(data["comparisons"]), tau2=start.tau2, df_predict=21)
    result = explore(data, start)
    assert result["df_predict"] == 21  # 25 estimates, 4 treatments
    for row in result["contrasts"]:
        key = row["treat1"], row["treat2"]
        for name in ("te", "se", "lower", "upper", "predict_lower", "predict_upper"):
            assert row[name] == pytest.approx(getattr(fit, name).at[key], abs=1e-12), (key, name)
    assert result["p_scores"] == pytest.approx(p_scores(fit, desirable="higher").tolist(), abs=1e-12)


def test_the_page_starts_from_the_smallest_smd_that_certainty_takes(start):
    values = table("clinical_scale").set_index("quantity")["value"]
    assert start.mid == round(values["minimal_important_difference"] / values["points_per_smd"], 2)


def one_by_one(data, settings, studies):
    """Estimates such as the page assumes: of one comparison all with the same te and sampling variance."""
    rows = []
    for row, keep, number in zip(data["comparisons"], settings.keep, studies, strict=True):
        variance = row["estimates"] * row["se"] ** 2 - settings.reference
        for estimate in range(row["estimates"]):
            study = f"{row['treat2']} {estimate % number}"
            if keep:
                rows.append((study, row["treat1"], row["treat2"], row["te"], math.sqrt(variance)))
    if settings.trial:
        te, se = trial_contrast(settings.trial, scale_desirable="lower")
        rows.append(("new", settings.trial.treat1, settings.trial.treat2, te, se))
    return pd.DataFrame(rows, columns=["study", "treat1", "treat2", "te", "se"])


@pytest.mark.parametrize("rho", [0.0, 0.4])
@pytest.mark.parametrize("tau2", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("keep", [(True, True, True), (True, False, True)])
@pytest.mark.parametrize("trial", [None, NULL_TRIAL, replace(NULL_TRIAL, treat1="neuromodulation", mean1=3.0)])
def test_pooled_contrasts_give_what_a_fit_of_all_estimates_gives(data, start, rho, tau2, keep, trial):
    """fit_network on estimate level, with as many studies as give each the same whole number of estimates."""
    studies = [1, 2, 1]  # 19, 2 and 2 estimates a study
    whole = {**data, "comparisons": [row | {"studies": m} for row, m in zip(data["comparisons"], studies, strict=True)]}
    settings = replace(start, tau2=tau2, rho=rho, keep=keep, trial=trial)
    result = explore(whole, settings)
    fit = fit_network(one_by_one(data, settings, studies), tau2=tau2, correlation=rho)
    assert result["treatments"] == fit.treatments
    assert result["df_predict"] == fit.df_predict
    for row in result["contrasts"]:
        key = row["treat1"], row["treat2"]
        for name in ("te", "se", "lower", "upper", "predict_lower", "predict_upper"):
            assert row[name] == pytest.approx(getattr(fit, name).at[key], abs=1e-9), (key, name)


def test_the_difference_of_a_new_trial_is_against_the_network_without_it(data, start):
    """Back-calculation: joint estimate = inverse-variance mean of the trial and the network without it (König 2013)."""
    trial = replace(NULL_TRIAL, mean1=4.0)
    settings = replace(start, trial=trial)
    result = explore(data, settings)
    joint = next(
        row for row in result["contrasts"] if (row["treat1"], row["treat2"]) == ("conservative", "placebo/sham")
    )
    own_variance = result["trial"]["se"] ** 2 + settings.tau2
    rest_variance = 1 / (1 / joint["se"] ** 2 - 1 / own_variance)
    rest = rest_variance * (joint["te"] / joint["se"] ** 2 - result["trial"]["te"] / own_variance)
    assert result["trial"]["difference"] == pytest.approx(result["trial"]["te"] - rest, abs=1e-10)
    assert result["trial"]["difference_se"] == pytest.approx(math.sqrt(own_variance + rest_variance), abs=1e-10)
    z = result["trial"]["difference"] / result["trial"]["difference_se"]
    assert result["trial"]["p"] == pytest.approx(2 * stats.norm.sf(abs(z)), abs=1e-12)


def test_less_pain_in_arm_1_favours_arm_1(data):
    te, se = trial_contrast(replace(NULL_TRIAL, mean1=3.0), scale_desirable="lower")
    # Cohen's d of 0.8 times 1 - 3 / (4 * 98 - 1); the approximation is good to four decimals here
    assert te == pytest.approx(0.8 * (1 - 3 / 391), abs=1e-4)
    assert se == pytest.approx(math.sqrt(0.04 + te**2 / 200), abs=1e-12)
    assert trial_contrast(replace(NULL_TRIAL, mean1=3.0), scale_desirable="higher")[0] == -te


def test_a_trial_of_a_treatment_against_itself_is_refused():
    with pytest.raises(ValueError, match="both arms are 'conservative'"):
        trial_contrast(replace(NULL_TRIAL, treat2="conservative"), scale_desirable="lower")


BEYOND = {
    "n1": (100_001, "number of people in arm 1 must be a whole number from 2 to 100,000"),
    "mean1": (1e308, "mean of arm 1 must be from \u22121,000,000 to 1,000,000"),
    "sd1": (1e-7, "SD of arm 1 must be from 0.000001 to 1,000,000"),
    "sd2": (1e308, "SD of arm 2 must be from 0.000001 to 1,000,000"),
    "mean2": (
        5000.0,
        "its means are 1,983 SDs apart, and at most 100 can be shown",
    ),  # 1,998 times 1 - 3 / (4 * 98 - 1)
}


@pytest.mark.parametrize("column", BEYOND)
def test_a_trial_beyond_the_limits_is_refused(column):
    with pytest.raises(ValueError, match="its SMD is" if column == "mean2" else f"new trial: {column} is .*; expected"):
        trial_contrast(replace(NULL_TRIAL, **{column: BEYOND[column][0]}), scale_desirable="lower")


def test_a_variance_that_leaves_no_sampling_variance_is_not_compatible(data, start):
    limit = min(row["estimates"] * row["se"] ** 2 for row in data["comparisons"])
    assert explore(data, replace(start, reference=limit * 0.999))["status"] == "ok"
    result = explore(data, replace(start, reference=limit * 1.001, keep=(True, False, True)))
    assert result["status"] == "incompatible", "one variance is common to all, so leaving one out does not help"
    negative = [row["treat2"] for row in result["comparisons"] if row["variance"] <= 0]
    assert negative == ["conservative + minimally invasive"]
    assert [row["se"] is None for row in result["comparisons"]] == [False, True, False]


def test_the_page_starts_from_the_middle_of_the_agreeing_sets(data, start):
    assert AGREEING.min() <= start.reference <= AGREEING.max()
    assert start.reference == start.tau2
    low, high = data["tau2"]["allowed"]
    assert low <= start.reference <= high


def test_a_correlation_of_one_leaves_one_estimate_a_study(data, start):
    pooled = pooled_under(data, replace(start, rho=1.0))
    assert pooled["se"].to_numpy() == pytest.approx(np.sqrt((pooled["variance"] + start.tau2) / pooled["studies"]))


def test_comparisons_can_be_left_out_until_nothing_is_left(data, start):
    result = explore(data, replace(start, keep=(False, False, True)))
    assert result["treatments"] == ["conservative", "neuromodulation"]
    assert result["df_predict"] == 0
    assert [row["predict_lower"] for row in result["contrasts"]] == [None]
    assert [row["beyond_new"] for row in result["contrasts"]] == [None]
    assert explore(data, replace(start, keep=(False,) * 3))["status"] == "empty"
    apart = explore(
        data,
        replace(
            start, keep=(False, False, True), trial=replace(NULL_TRIAL, treat1="conservative + minimally invasive")
        ),
    )
    assert apart["status"] == "disconnected"
    assert sorted(apart["parts"]) == [
        ["conservative", "neuromodulation"],
        ["conservative + minimally invasive", "placebo/sham"],
    ]
    alone = explore(data, replace(start, keep=(False,) * 3, trial=NULL_TRIAL))
    assert alone["trial"]["difference"] is None
    assert alone["contrasts"][0]["te"] == pytest.approx(alone["trial"]["te"])


def test_the_minimal_important_difference_shifts_probabilities(data, start):
    result = explore(data, replace(start, mid=0.2))
    for row in result["contrasts"]:
        assert row["beyond"] == pytest.approx(stats.norm.sf(0.2, row["te"], row["se"]))
        spread = math.hypot(row["se"], math.sqrt(start.tau2))
        assert row["beyond_new"] == pytest.approx(stats.t.sf((0.2 - row["te"]) / spread, result["df_predict"]))
    beats = {(row["treat1"], row["treat2"]): row for row in result["contrasts"]}
    hub = [row["beyond"] for (first, _), row in beats.items() if first == "neuromodulation"]
    assert result["p_scores_mid"][result["treatments"].index("neuromodulation")] == pytest.approx(np.mean(hub))
    none = explore(data, replace(start, mid=0.0))
    assert none["p_scores_mid"] == pytest.approx(none["p_scores"], abs=1e-12)


@pytest.mark.parametrize("prior", [0.05, 0.5, 2.0])
def test_the_bayesian_table_is_the_exact_fit_of_such_estimates(data, start, prior):
    """Estimates of one comparison that differ as the print has it: half of them above te and half below."""
    settings = replace(start, prior=prior, trial=NULL_TRIAL, mid=0.2, level=0.9)
    rows = []
    for row in data["comparisons"]:
        k = row["estimates"]
        away = np.repeat([1.0, -1.0, 0.0], [k // 2, k // 2, k % 2])
        away *= math.sqrt((k - 1) * k * row["se"] ** 2 / (away**2).sum())
        se = math.sqrt(k * row["se"] ** 2 - start.reference)
        rows += [(f"{row['treat2']} {i}", row["treat1"], row["treat2"], row["te"] + x, se) for i, x in enumerate(away)]
    te, se = trial_contrast(NULL_TRIAL, scale_desirable="lower")
    given = pd.DataFrame(rows, columns=["study", "treat1", "treat2", "te", "se"])
    assert fit_network(given).tau2 == pytest.approx(start.reference, rel=1e-9)  # the DL estimate is the reference
    given.loc[len(given)] = ("new", NULL_TRIAL.treat1, NULL_TRIAL.treat2, te, se)
    post = fit_bayes(given, half_normal(prior), effect_sd=np.inf, level=0.9)
    found = explore(data, settings)["bayes"]
    assert found["tau_mean"] == pytest.approx(post.tau_mean, abs=1e-9)
    beyond, new = (post.p_better("higher", 0.2, predictive=predictive) for predictive in (False, True))
    for row in found["contrasts"]:
        pair = row["treat1"], row["treat2"]
        for name, frame in (
            ("te", post.te),
            ("lower", post.lower),
            ("upper", post.upper),
            ("beyond", beyond),
            ("beyond_new", new),
        ):
            assert row[name] == pytest.approx(frame.at[pair], abs=1e-9), (pair, name)


def test_ranks_are_within_a_thousandth_of_long_random_sampling(data, start):
    fit = network_from_pooled(pd.DataFrame(data["comparisons"]))
    sampled = rank_probabilities(fit, desirable="higher", draws=4_000_000, seed=3)
    assert sampled.attrs["max_standard_error"] < 3e-4
    result = explore(data, start)
    assert np.abs(np.array(result["ranks"]) - sampled.to_numpy()).max() < 1e-3 + 3 * 3e-4
    assert np.array(result["ranks"]).sum(axis=0) == pytest.approx(np.ones(4))


def test_the_static_forest_says_what_is_implied(data, start):
    assert set(forest_rows(data, start)["tier"]) == {"implied"}
    assert set(forest_rows(data, replace(start, mid=0.1, level=0.9))["tier"]) == {"implied"}
    assert set(forest_rows(data, replace(start, rho=0.1))["tier"]) == {"simulated"}


# ---------------------------------------------------------------- the browser

PAGE = """<!doctype html><html lang="en" data-theme="light"><head><meta charset="utf-8"><title>What if?</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="psps.css"></head>
<body><main class="bd-content"><h1>What if?</h1>{}</main></body></html>"""


@pytest.fixture(scope="module")
def page_address(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("explorer")
    (folder / "_static").symlink_to(BOOK / "_static")
    (folder / "psps.css").symlink_to(ASSETS / "psps.css")
    markup = show_explorer(data, effect="effect on pain intensity").markup
    assert markup.count("../_static/") == 2
    (folder / "index.html").write_text(PAGE.format(markup.replace("../_static/", "_static/")), encoding="utf-8")
    server, address = serve(folder)
    yield address
    server.shutdown()


@pytest.fixture
def page(browser, page_address):
    context = browser.new_context(viewport={"width": 1000, "height": 900})
    page = context.new_page()
    page.failures = []
    page.on("pageerror", lambda error: page.failures.append(str(error)))
    page.goto(page_address)
    yield page
    assert page.failures == []
    context.close()


def as_state(settings: Settings) -> dict:
    return asdict(settings) | {"keep": list(settings.keep)}


def random_settings(data, number: int) -> list[Settings]:
    rng = np.random.default_rng(20250305)
    pairs = [pair[:: rng.choice([-1, 1])] for pair in combinations(sorted(data["colours"]), 2)]
    limit = min(row["estimates"] * row["se"] ** 2 for row in data["comparisons"])
    drawn = []
    for _ in range(number):
        treat1, treat2 = pairs[rng.integers(len(pairs))]
        n1, n2 = (int(n) for n in np.exp(rng.uniform(np.log(2), np.log(2000), 2)))
        mean1, mean2, sd1, sd2 = *rng.uniform(0, 10, 2), *rng.uniform(0.5, 4, 2)
        trial = Trial(treat1, n1, mean1, sd1, treat2, n2, mean2, sd2)
        drawn.append(
            Settings(
                reference=float(rng.uniform(0, limit * 1.05)),
                tau2=float(rng.choice([0, rng.uniform(0, 0.3)], p=[0.1, 0.9])),
                rho=float(rng.choice([0, 1, rng.uniform()], p=[0.15, 0.1, 0.75])),
                mid=float(rng.choice([0, rng.uniform(0, 1.5)], p=[0.15, 0.85])),
                level=float(rng.uniform(0.5, 0.999)),
                keep=tuple(bool(kept) for kept in rng.random(3) < 0.75),
                trial=trial if rng.random() < 0.6 else None,
                prior=float(np.exp(rng.uniform(np.log(0.05), np.log(2)))),
            )
        )
    return drawn


def leaves(value, path=""):
    """Every number, word and None of a nested result, by its path."""
    if isinstance(value, dict):
        for key in value:
            yield from leaves(value[key], f"{path}.{key}")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from leaves(item, f"{path}[{position}]")
    else:
        yield path, value


class TestEngines:
    pytestmark = NEEDS_BROWSER

    def test_200_random_settings_agree_to_a_millionth(self, page, data):
        settings = random_settings(data, 200)
        found = page.evaluate(
            "states => states.map(state => pspsExplorer.compute(pspsExplorer.data, state))",
            [as_state(each) for each in settings],
        )
        statuses, worst, compared = [], 0.0, 0
        for each, theirs in zip(settings, found, strict=True):
            ours = explore(data, each)
            if "parts" in ours:
                ours["parts"], theirs["parts"] = sorted(ours["parts"]), sorted(theirs["parts"])
            ours, theirs = dict(leaves(ours)), dict(leaves(theirs))
            assert ours.keys() == theirs.keys(), each
            for path, value in ours.items():
                if isinstance(value, (int, float)):
                    worst = max(worst, abs(value - theirs[path]))
                    assert theirs[path] == pytest.approx(value, abs=1e-6, rel=0), (path, each)
                    compared += 1
                else:
                    assert theirs[path] == value, (path, each)
            statuses.append(ours[".status"])
        # every kind of outcome is among them, most of them with all results
        assert set(statuses) == {"ok", "incompatible", "disconnected", "empty"}
        assert statuses.count("ok") > 120 and compared > 10_000
        print(f"{compared} numbers, largest difference {worst:.1e}")

    def test_distributions_agree_with_scipy(self, page):
        x = np.r_[np.linspace(-9, 9, 73), 0.0]
        p = np.r_[np.logspace(-6, -1, 20), np.linspace(0.1, 0.9, 9), 1 - np.logspace(-1, -6, 20)]
        found = page.evaluate(
            """([x, p]) => ({
                ndtr: x.map(pspsExplorer.ndtr), ndtri: p.map(pspsExplorer.ndtri),
                stdtr: [1, 2, 3, 4, 21, 22].map(df => x.map(t => pspsExplorer.stdtr(df, t))),
                quantile: [1, 2, 3, 4, 21, 22].map(df => [0.5, 0.95, 0.999].map(level => pspsExplorer.tQuantile(level, df))),
                factor: [2, 3, 4, 5, 18, 99, 3998].map(pspsExplorer.smallSampleFactor)})""",
            [x.tolist(), p.tolist()],
        )
        assert found["ndtr"] == pytest.approx(special.ndtr(x).tolist(), abs=1e-14)
        assert found["ndtri"] == pytest.approx(special.ndtri(p).tolist(), rel=1e-9, abs=1e-12)
        for row, (df, values) in enumerate(zip([1, 2, 3, 4, 21, 22], found["stdtr"], strict=True)):
            assert values == pytest.approx(special.stdtr(df, x).tolist(), abs=1e-13)
            assert found["quantile"][row] == pytest.approx(stats.t.ppf([0.75, 0.975, 0.9995], df).tolist(), rel=1e-9)
        m = np.array([2, 3, 4, 5, 18, 99, 3998]) / 2
        exact = np.exp(special.gammaln(m) - special.gammaln(m - 0.5)) / np.sqrt(m)
        assert found["factor"] == pytest.approx(exact.tolist(), rel=1e-11)

    def test_an_address_holds_every_setting(self, page, data):
        """Round trip through the address, for settings that a reader can reach."""
        for each in random_settings(data, 40):
            state = as_state(each)
            back = page.evaluate(
                "state => pspsExplorer.fromAddress(pspsExplorer.data, pspsExplorer.toAddress(pspsExplorer.data,"
                " state))",
                state,
            )
            assert back == {"settings": json.loads(json.dumps(state)), "refused": []}
        assert page.evaluate("pspsExplorer.toAddress(pspsExplorer.data, pspsExplorer.data.settings)") == ""


def shown_cell(page, caption: str, row: str, column: str) -> str:
    """Text of one cell of a result table."""
    found = page.get_by_role("table", name=caption)
    heads = found.locator("thead th").all_text_contents()
    line = found.locator("tbody tr", has=page.get_by_role("rowheader", name=row, exact=True))
    return line.locator("th, td").nth(heads.index(column)).text_content()


def written(value: float, decimals: int = 2) -> str:
    return f"{value:.{decimals}f}".replace("-", "\u2212")


class TestHands:
    """A reader's actions: keys, mouse, typing, links."""

    pytestmark = NEEDS_BROWSER

    def test_keys_on_a_slider_change_the_prediction_interval(self, page, data, start):
        slider = page.get_by_role("slider", name="Between-study variance τ²")
        slider.focus()
        page.keyboard.press("End")
        row = explore(data, replace(start, tau2=0.3))["contrasts"][0]
        expected = f"{written(row['predict_lower'])} to {written(row['predict_upper'])}"
        assert shown_cell(page, "Effects", "neuromodulation against placebo/sham", "prediction interval") == expected
        expect(page.locator(".explorer-summary")).to_contain_text(expected)
        expect(page).to_have_url(re.compile(r"#tau2=0\.3$"))
        assert slider.get_attribute("aria-valuetext") == "0.300"
        page.keyboard.press("ArrowLeft")
        expect(page.get_by_role("spinbutton", name="Between-study variance τ²")).to_have_value("0.299")

    def test_each_question_rewrites_the_one_sentence(self, page, data, start):
        """What stands beside each pair is :func:`explore` under the settings that the button stands for."""
        said = page.locator(".explorer-summary")

        def asks(text, settings, told, predicted=False):
            page.get_by_role("button", name=text, exact=True).click()
            row = explore(data, settings)["contrasts"][0]
            ends = ("predict_lower", "predict_upper") if predicted else ("lower", "upper")
            expect(said).to_contain_text(
                f"{told}: neuromodulation against placebo/sham, SMD {written(row['te'])}"
                f" ({' to '.join(written(row[end]) for end in ends)})"
            )
            expect(page.get_by_role("button", name=text, exact=True)).to_have_attribute("aria-pressed", "true")

        expect(said).to_contain_text("As printed: neuromodulation against placebo/sham")
        asks("Count each study once", replace(start, rho=1.0), "Each study counted once")
        expect(said).to_contain_text(": better.")
        page.get_by_role("button", name="Count each study once").click()
        asks("A new setting", start, "In a new setting", predicted=True)
        expect(said).to_contain_text("may help there or not")
        expect(page).to_have_url(re.compile("#setting=new$"))
        page.reload()
        expect(said).to_contain_text("In a new setting")
        page.get_by_role("button", name="A new setting").click()
        asks(
            "A smaller important difference",
            replace(start, mid=round(start.mid / 2, 2)),
            f"{written(start.mid / 2)} taken as important",
        )
        page.get_by_role("button", name="Reset").click()
        page.get_by_role("button", name="Without neuromodulation against placebo/sham").click()
        expect(said).to_contain_text("Without neuromodulation against placebo/sham: ")

    def test_nothing_covers_the_controls(self, page):
        for control in page.locator("form.explorer-controls :is(input, button)").all():
            if control.is_visible():
                control.scroll_into_view_if_needed()
                assert control.evaluate(
                    "e => { const b = e.getBoundingClientRect(); const top = document.elementFromPoint(b.x + b.width /"
                    " 2, b.y + b.height / 2); return e.contains(top) || e.parentElement.contains(top) }"
                )

    def test_dragging_a_slider_changes_p_scores(self, page, data, start):
        box = page.get_by_role("slider", name="Correlation of estimates").bounding_box()
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + 8, middle)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2, middle, steps=5)
        page.mouse.up()
        rho = float(page.get_by_role("spinbutton", name="Correlation of estimates").input_value())
        assert 0.3 < rho < 0.7
        result = explore(data, replace(start, rho=rho))
        for treatment, score in zip(result["treatments"], result["p_scores"], strict=True):
            assert shown_cell(page, "Ranking", treatment, "P-score") == written(score, 3)
        expect(page.locator(".explorer-badges .tier").first).to_have_text("simulated")

    def test_typing_a_trial_closes_the_loop_and_reset_takes_it_back(self, page, data, start):
        page.get_by_label("Add a trial").check()
        page.get_by_label("Mean pain of arm 1").fill("3.5")
        page.get_by_label("People of arm 2").fill("80")
        result = explore(data, replace(start, trial=replace(NULL_TRIAL, mean1=3.5, n2=80)))
        row = result["contrasts"][2]
        assert (row["treat1"], row["treat2"]) == ("neuromodulation", "conservative")
        assert shown_cell(page, "Effects", "neuromodulation against conservative", "SMD") == written(row["te"])
        assert (
            shown_cell(page, "Effects", "neuromodulation against conservative", "confidence interval")
            == f"{written(row['lower'])} to {written(row['upper'])}"
        )
        expect(
            page.get_by_text(
                "It differs from what the network says without it by " + written(result["trial"]["difference"])
            )
        ).to_be_visible()
        page.get_by_label("SD of arm 1").fill("0")
        expect(page.get_by_text("The new trial is left out: the SD of arm 1 must be above 0.")).to_be_visible()
        page.get_by_role("button", name="Reset").click()
        expect(page.get_by_label("Add a trial")).not_to_be_checked()
        before = explore(data, start)["contrasts"][2]
        assert shown_cell(page, "Effects", "neuromodulation against conservative", "SMD") == written(before["te"])
        expect(page).to_have_url(re.compile("^[^#]*$"))

    def test_a_link_restores_the_view(self, page, page_address, data, start):
        trial = replace(NULL_TRIAL, treat1="neuromodulation", mean1=2.25)
        settings = replace(start, tau2=0.02, level=0.9, keep=(True, False, True), trial=trial)
        address = page.evaluate("state => pspsExplorer.toAddress(pspsExplorer.data, state)", as_state(settings))
        page.goto("about:blank")
        page.goto(f"{page_address}#{address}")
        row = explore(data, settings)["contrasts"][0]
        assert shown_cell(page, "Effects", "neuromodulation against placebo/sham", "SMD") == written(row["te"])
        assert page.get_by_role("checkbox", name="minimally invasive").is_checked() is False
        expect(page.get_by_label("Mean pain of arm 1")).to_have_value("2.25")
        expect(page.get_by_text("Not in this network: conservative + minimally invasive.")).to_be_visible()

    def test_a_broken_link_says_so(self, page, page_address):
        page.goto("about:blank")
        page.goto(f"{page_address}#tau2=-1&rho=0.25&drop=9&treat1=surgery")
        expect(page.get_by_text("Not understood in the link")).to_have_text(
            "Not understood in the link, and left as it was: tau2=-1, drop=9, the new trial (arm 1 is no treatment of"
            " this network)."
        )
        expect(page.get_by_role("spinbutton", name="Correlation of estimates")).to_have_value("0.25")

    def test_a_link_to_a_heading_leaves_the_view(self, page):
        page.get_by_role("checkbox", name="minimally invasive").uncheck()
        expect(page).to_have_url(re.compile("#drop=2$"))
        page.evaluate("location.hash = 'what-it-cannot-do'")
        expect(page).to_have_url(re.compile("#drop=2$"))
        assert page.get_by_role("checkbox", name="minimally invasive").is_checked() is False
        page.reload()
        assert page.get_by_role("checkbox", name="minimally invasive").is_checked() is False

    def test_a_copied_link_holds_the_view(self, page):
        page.evaluate("navigator.clipboard.writeText = async text => { window.copied = text; }")
        page.get_by_role("button", name="Copy link").click()
        assert "#" not in page.evaluate("copied")
        # The page reads its settings from the new address first; nobody clicks within the same moment.
        page.evaluate(
            """() => new Promise(done => {
              addEventListener("hashchange", () => setTimeout(done, 100), { once: true });
              location.hash = "what-it-cannot-do";
            })"""
        )
        page.get_by_role("checkbox", name="minimally invasive").uncheck()
        page.get_by_role("button", name="Copy link").click()
        expect(page.get_by_text("Link copied.")).to_be_visible()
        assert page.evaluate("copied").endswith("#drop=2")

    def test_impossible_settings_are_reported_and_not_computed(self, page):
        page.get_by_text("What this page has to assume").click()
        page.get_by_role("spinbutton", name="behind the printed intervals").fill("0.11")
        expect(page.locator(".explorer-summary")).to_contain_text("Not compatible with the print")
        expect(page.locator(".explorer-summary")).to_contain_text(
            "neuromodulation against conservative + minimally invasive"
        )
        assert not page.locator(".explorer-forest").is_visible()
        page.get_by_role("spinbutton", name="behind the printed intervals").fill("0.05")
        expect(page.locator(".explorer-forest")).to_be_visible()

    @pytest.mark.parametrize("column", BEYOND)
    def test_a_trial_beyond_the_limits_is_refused_beside_its_field(self, page, column):
        value, words = BEYOND[column]
        page.get_by_label("Add a trial").check()
        label = {"n": "People", "mean": "Mean pain", "sd": "SD"}[column[:-1]]
        typed = page.get_by_role("group", name=f"Arm {column[-1]}").get_by_label(label)
        typed.fill(f"{value:g}" if value > 1e6 or value < 1 else f"{value:.0f}")
        arm = page.get_by_role("group", name=f"Arm {column[-1]}")
        expect(arm.get_by_role("status")).to_contain_text(words)
        expect(typed).to_have_attribute("aria-invalid", "true")
        expect(typed).to_have_accessible_description(re.compile(re.escape(words)))
        typed.fill("5")
        expect(arm.get_by_role("status")).to_be_empty()
        assert page.locator("[aria-invalid]").count() == 0

    @pytest.mark.parametrize("width", [360, 1000])
    @pytest.mark.parametrize(
        "address",
        [
            "",
            "level=0.999&drop=1",
            "drop=1&treat1=conservative&n1=1000&mean1=50&sd1=0.6&treat2=placebo/sham&n2=1000&mean2=5&sd2=0.6",
            "drop=1&mid=0.1&level=0.999&treat1=conservative&n1=2&mean1=5&sd1=0.6&treat2=placebo/sham&n2=2&mean2=50&sd2=0.6",
        ],
    )
    def test_the_axis_has_few_ticks_and_no_label_meets_another(self, page, page_address, width, address):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto("about:blank")
        page.goto(f"{page_address}#{address}")
        assert page.locator(".explorer-notice:not(:empty)").count() == 0
        texts = page.eval_on_selector_all(
            ".explorer-forest text",
            "all => all.map(e => [e.textContent, ...(({x, y, right, bottom}) => [x, y, right,"
            " bottom])(e.getBoundingClientRect())])",
        )
        ticks = page.locator(".explorer-forest .tick").all_text_contents()
        assert 3 <= len(ticks) <= 9, ticks
        box = page.locator(".explorer-forest").bounding_box()
        assert [
            text for text, left, _, right, _ in texts if left < box["x"] - 1 or right > box["x"] + box["width"] + 1
        ] == []
        # a line of text is higher than its letters
        meet = [
            (a[0], b[0])
            for a, b in combinations(texts, 2)
            if a[1] < b[3] and b[1] < a[3] and a[2] < b[4] - 6 and b[2] < a[4] - 6
        ]
        assert meet == []

    def test_no_comparison_left_is_reported(self, page):
        for box in page.get_by_role("group", name="Comparisons in the network").get_by_role("checkbox").all():
            box.uncheck()
        expect(page.locator(".explorer-summary")).to_contain_text("No comparison is left")

    def test_the_results_download_in_full_precision(self, page, data, start):
        with page.expect_download() as download:
            page.get_by_role("button", name="CSV").click()
        rows = pd.read_csv(download.value.path())
        expected = pd.DataFrame(explore(data, start)["contrasts"])
        pd.testing.assert_frame_equal(rows, expected, rtol=0, atol=1e-9)

    def test_without_javascript_the_forest_stands(self, browser, page_address):
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(page_address)
        expect(page.get_by_text("need JavaScript")).to_be_visible()
        expect(page.locator("#figure-explorer_forest .svg-wide svg")).to_be_visible()
        assert page.get_by_role("slider").count() == 0
        context.close()

    @pytest.mark.parametrize(
        "address",
        [
            "",
            "#reference=0.12",
            "#drop=1&treat1=conservative&n1=9&mean1=1&sd1=1&treat2=placebo/sham&n2=9&mean2=2&sd2=1",
        ],
    )
    def test_no_view_has_an_axe_violation(self, page, page_address, address):
        page.goto("about:blank")
        page.goto(page_address + address)
        page.get_by_text("What this page has to assume").click()
        expect(page.locator(".explorer-summary")).not_to_be_empty()
        violations = Axe().run(page, options={"preload": False}).response["violations"]
        assert [(rule["id"], [node["html"][:160] for node in rule["nodes"][:3]]) for rule in violations] == []

    @pytest.mark.parametrize("width", [360, 1280])
    def test_the_page_does_not_scroll_sideways(self, page, width):
        page.set_viewport_size({"width": width, "height": 800})
        page.get_by_label("Add a trial").check()
        page.get_by_text("What this page has to assume").click()
        wide = (
            "[...document.querySelectorAll('.explorer *')].filter(e => !e.closest('.table-wrap') &&"
            " e.getBoundingClientRect().right > innerWidth + 1)"
        )
        assert page.evaluate(f"{wide}.map(e => e.outerHTML.slice(0, 100))") == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    def test_every_control_has_a_name_and_tab_reaches_it(self, page):
        page.get_by_label("Add a trial").check()
        controls = page.locator("form.explorer-controls :is(input, select, button)")
        assert all(
            page.evaluate(
                "[...document.querySelectorAll('.explorer :is(input, select)')].map(e => e.labels.length > 0 ||"
                " e.ariaLabel)"
            )
        )
        page.evaluate("document.activeElement.blur()")
        reached = set()
        for _ in range(controls.count() + 15):  # the questions come first
            page.keyboard.press("Tab")
            reached.add(
                page.evaluate(
                    "[...document.querySelectorAll('form.explorer-controls :is(input, select,"
                    " button)')].indexOf(document.activeElement)"
                )
            )
        assert reached - {-1} == set(range(controls.count()))


@pytest.mark.built
@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium, or set PSPS_CHROMIUM")
def test_the_page_of_the_book_starts_with_the_printed_network(open_page, data):
    page = open_page("book/explorer.html")
    assert page.evaluate("pspsExplorer.data") == data
    assert shown_cell(page, "Ranking", "neuromodulation", "P-score") == "0.975"
    assert page.failures == []


def test_the_chapter_keeps_the_scripts_number_of_points(data):
    assert data["draws"] == DRAWS
    chapter = (BOOK / "explorer.ipynb").read_text(encoding="utf-8")
    assert f"{DRAWS:,}" in chapter
