"""No result that a page shows depends on how a file is written: rows shuffled, treatments swapped, names changed.

Every public function of the engine stands in a table below, every chapter is executed, and every method of a review is
called, so that a new one cannot be forgotten.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from helpers import DATA, ROOT
from living_examples import LABELS, star_demo
from psps_paper.article.outcomes import Outcome, load_outcome
from psps_paper.article.trials import comparison_adjusted_egger, main_part, trial_edges, trial_network
from psps_paper.bayes import bayes_factor, fit_bayes, half_normal, prior_sensitivity, tau_curve
from psps_paper.book import trials as of_trials
from psps_paper.effects import contrasts_from_arms
from psps_paper.figures import Drawing
from psps_paper.formatting import p_value
from psps_paper.living.importing import read_trials
from psps_paper.living.model import Options
from psps_paper.living.new_review import new_review
from psps_paper.living.results import review_results
from psps_paper.living.review import Review, open_review
from psps_paper.living.store import write_trials
from psps_paper.network import (
    complete_contrasts,
    contrast_notes,
    evidence_measures,
    fit_binary_network,
    fit_components,
    fit_network,
    heterogeneity_table,
    inconsistency,
    league_with_direct,
    net_impact,
    network_meta_regression,
    orient,
    partial_order,
    poth,
    sensitivity,
    subnetworks,
)
from psps_paper.network.contribution import contribution_matrix, hat_matrix
from psps_paper.network.model import NetworkFit
from psps_paper.network.ranking import mean_ranks, p_scores, rank_probabilities, sucra
from psps_paper.network.robust import cluster_robust
from psps_paper.network.summary import league_table
from psps_paper.pairwise import (
    binomial_normal,
    binomial_normal_proportion,
    egger_test,
    estimate_tau2,
    generalised_q_meta_analysis,
    kenward_roger,
    leave_one_out,
    limit_meta_analysis,
    mantel_haenszel,
    meta_analysis,
    meta_regression,
    method_comparison,
    pet_peese,
    peto,
    pool_about,
    rank_test,
    robust_meta_analysis,
    selection_model,
    small_sample_meta_analysis,
    subgroup_analysis,
    tau2_interval,
    three_level,
    trim_and_fill,
)

pytestmark = pytest.mark.slow

COLUMNS = ["study", "treat1", "treat2", "te", "se"]
ORDER = ("delta", "alpha", "gamma", "beta")
CASE = ROOT / "tests" / "cases" / "egger_row_direction"


def example() -> pd.DataFrame:
    """Twenty-one estimates of four treatments, with a loop, a three-arm study and small-study effects."""
    rng = np.random.default_rng(1)
    truth = {"alpha": 0.0, "beta": 0.3, "gamma": -0.2, "delta": 0.5}
    pairs = [("alpha", "beta")] * 6 + [("alpha", "gamma")] * 4 + [("beta", "gamma")] * 3 + [("alpha", "delta")] * 5
    rows = []
    for k, (a, b) in enumerate(pairs):
        se = rng.uniform(0.08, 0.6)
        rows.append((f"s{k:02}", a, b, truth[a] - truth[b] + rng.normal(0, se) + 0.8 * se, se))
    mean, variance = {"alpha": 0.1, "beta": 0.5, "delta": 0.2}, {"alpha": 0.02, "beta": 0.05, "delta": 0.03}
    rows += [
        ("three", a, b, mean[a] - mean[b], float(np.sqrt(variance[a] + variance[b])))
        for a, b in (("alpha", "beta"), ("alpha", "delta"), ("beta", "delta"))
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def rewritten(contrasts: pd.DataFrame, seed: int, names: Mapping[str, str]) -> pd.DataFrame:
    """The same contrasts: rows shuffled, some swapped, treatments renamed."""
    rng = np.random.default_rng(seed)
    rows = contrasts.sample(frac=1, random_state=seed).reset_index(drop=True)
    turned = rng.random(len(rows)) < 0.5
    rows = rows.assign(
        treat1=rows["treat1"].where(~turned, rows["treat2"]),
        treat2=rows["treat2"].where(~turned, rows["treat1"]),
        te=rows["te"].where(~turned, -rows["te"]),
    )
    return rows.replace({"treat1": dict(names), "treat2": dict(names)})


SAME = {name: name for name in ORDER}
KEPT = {"alpha": "Aa", "beta": "Bb", "delta": "Dd", "gamma": "Gg"}  # the alphabet keeps their order
MIXED = {"alpha": "zinc", "beta": "yew", "delta": "milk", "gamma": "abacus"}
WAYS = [
    pytest.param(1, SAME, id="shuffled and swapped"),
    pytest.param(3, KEPT, id="renamed"),
]


def plain(result, names: Mapping[str, str]):
    """A result as dictionaries, lists, text and numbers, with the names changed; tables by what their rows hold."""
    if isinstance(result, str):
        return (
            re.sub(
                "|".join(sorted(map(re.escape, names), key=len, reverse=True)),
                lambda match: names[match.group()],
                result,
            )
            if names
            else result
        )
    if isinstance(result, pd.Series):
        result = result.to_frame("value")
    if isinstance(result, pd.DataFrame):
        # Names stand in an index, numbers of rows say where a row stood
        index = result.reset_index(drop=pd.api.types.is_integer_dtype(result.index))
        rows = [
            {plain(str(column), names): plain(value, names) for column, value in row.items()}
            for row in index.to_dict("records")
        ]
        return sorted(
            (dict(sorted(row.items())) for row in rows), key=lambda row: [_rounded(value) for value in row.values()]
        )
    if isinstance(result, NetworkFit):
        return {
            name: plain(getattr(result, name), names)
            for name in ("te", "se", "lower", "predict_upper", "tau2", "q", "i2", "i2_upper", "log_likelihood")
        }
    if isinstance(result, Drawing):
        return {"data": plain(result.data, names), "alt": plain(result.alt, names)}
    if is_dataclass(result):
        return {name: plain(getattr(result, name), names) for name in result.__dataclass_fields__}
    if isinstance(result, Mapping):
        return {plain(key, names): plain(value, names) for key, value in result.items()}
    if isinstance(result, set | frozenset):
        return sorted(plain(list(result), names))
    if isinstance(result, list | tuple | np.ndarray):
        return [plain(value, names) for value in result]
    return result


def words(record):
    """The record with the words of each text sorted: parts of a cell may stand in the order of the rows behind it."""
    if isinstance(record, str):
        return " ".join(
            sorted(
                filter(
                    None, (word.rstrip(".") for word in re.findall(r"[^\s;:,()<>]+", re.sub("</[a-z]+>", "", record)))
                )
            )
        )
    if isinstance(record, Mapping):
        return {key: words(value) for key, value in record.items()}
    if isinstance(record, list) and record and isinstance(record[0], Mapping):
        return sorted((words(row) for row in record), key=lambda row: [_rounded(value) for value in row.values()])
    return [words(value) for value in record] if isinstance(record, list) else record


def _rounded(value) -> str:
    return f"{value + 0.0:.6g}" if isinstance(value, float) else json.dumps(value, default=str)


def assert_same(one, other, where: str = "", tolerance: float = 1e-6) -> None:
    """Numbers agree to a millionth (REML and ML stop near the maximum; DL agrees to rounding), all else exactly."""
    if isinstance(one, Mapping):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same(one[key], other[key], f"{where}/{key}", tolerance)
    elif isinstance(one, list):
        assert len(one) == len(other), where
        for k, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same(a, b, f"{where}/{k}", tolerance)
    elif isinstance(one, float | np.floating) and not isinstance(one, bool):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=1e-3 * tolerance, err_msg=where)
    else:
        assert one == other, where


@functools.cache
def settings() -> Outcome:
    fields = load_outcome(DATA).__dict__
    return Outcome(**{**fields, "order": ORDER, "reference": "alpha"})


def renamed(names: Mapping[str, str]) -> Outcome:
    return Outcome(
        **{**settings().__dict__, "order": tuple(names[name] for name in ORDER), "reference": names["alpha"]}
    )


def of_fit(make: Callable) -> Callable:
    """A result that needs a fit, and the declared order of its treatments."""
    return lambda rows, outcome: make(trial_network(rows), list(outcome.order))


def pairwise(make: Callable) -> Callable:
    """A result of the one comparison with most studies, in the declared direction."""

    def result(rows: pd.DataFrame, outcome: Outcome):
        one = orient(rows, outcome.order)
        one = one[(one["treat1"] == outcome.order[1]) & (one["treat2"] == outcome.order[3]) & (one["study"] != "three")]
        return _by_study(one, make(one))

    return result


def _by_study(one: pd.DataFrame, result):
    """What a result has for each study stands in the order of the rows: by name instead."""
    if not is_dataclass(result):
        return result
    fields = {name: getattr(result, name) for name in result.__dataclass_fields__}
    of_rows = {
        name
        for name, value in fields.items()
        if isinstance(value, np.ndarray | list | tuple) and np.shape(value) == (len(one),)
    }
    return {
        name: dict(zip(one["study"], value, strict=True)) if name in of_rows else _by_study(one, value)
        for name, value in fields.items()
    }


def counted(make: Callable) -> Callable:
    """A result of counts in two groups of the studies of one comparison."""

    def result(one: pd.DataFrame):
        number = one["study"].str[1:].astype(int)
        return make(3 + number, 40 + 2 * number, 2 + number // 2, 45 + number)

    return pairwise(result)


def completed(rows: pd.DataFrame, outcome: Outcome) -> NetworkFit:
    """The three-arm study with the contrasts to its shared arm only, and that arm's standard error."""
    shared = (rows["treat1"] == outcome.reference) | (rows["treat2"] == outcome.reference)
    three = rows["study"] == "three"
    given = rows.assign(se_baseline=np.where(three, np.sqrt(0.02), np.nan))[~three | shared]
    return fit_network(complete_contrasts(given))


def bayes(rows: pd.DataFrame, prior=None) -> dict:
    post = fit_bayes(rows, prior or half_normal(0.5))
    return {
        "te": post.te,
        "sd": post.sd,
        "tau": post.tau_mean,
        "log_marginal": post.log_marginal,
        "sucra": post.sucra(),
    }


def regressed(rows: pd.DataFrame, outcome: Outcome, kind: str) -> dict:
    """Numbers by study as the covariate, and what the fit says of it."""
    covariate = {study: float(sum(map(ord, study)) % 11) for study in rows["study"]}
    fit = network_meta_regression(rows, covariate, outcome.reference, kind)
    return {
        "coefficients": fit.coefficients,
        "predicted": orient(fit.predict(3.0).assign(study=""), outcome.order)[["treat1", "treat2", "te", "se"]],
        "numbers": (fit.tau2, fit.tau2_without_covariate, fit.q_interaction, fit.q_residual, fit.log_likelihood),
        "left_out": sorted(fit.left_out),
    }


def arms_of(rows: pd.DataFrame, outcome: Outcome) -> pd.DataFrame:
    """Counts that depend on the study and the declared place of the treatment, in the order of the rows."""
    made = {}
    for study, *pair in rows[["study", "treat1", "treat2"]].itertuples(index=False):
        for name in pair:
            place, number = outcome.order.index(name), sum(map(ord, study)) % 7
            made[study, name] = (study, name, 1 + number + place, 40 + 3 * number - place)
    return pd.DataFrame(made.values(), columns=["study", "treatment", "events", "n"])


def combined(rows: pd.DataFrame, outcome: Outcome) -> dict:
    """The additive model in which the last two treatments are combinations of the others."""
    first, second, third, fourth = outcome.order
    made = {third: f"{first} + {second}", fourth: f"{second} + {fourth}"}
    fit = fit_components(rows.replace({"treat1": made, "treat2": made}))
    return {
        "effects": fit.components["te"].to_numpy(),
        "q": (fit.q_additive, fit.q_difference),
        "df": (fit.df_q_additive, fit.df_q_difference),
        "tau2": fit.tau2,
    }


# Results of contrasts: each takes the rows and the outcome's settings
OF_CONTRASTS: dict[str, Callable[[pd.DataFrame, Outcome], object]] = {
    **{
        f"fit_network, {method}": lambda rows, outcome, method=method: fit_network(rows, method)
        for method in ("DL", "REML", "ML")
    },
    "network.complete_contrasts": completed,
    "network.fit_components": combined,
    "network.fit_binary_network, MH": lambda rows, outcome: fit_binary_network(arms_of(rows, outcome)),
    "network.fit_binary_network, NCH": lambda rows, outcome: fit_binary_network(arms_of(rows, outcome), "NCH"),
    **{
        f"network.network_meta_regression, {kind}": lambda rows, outcome, kind=kind: regressed(rows, outcome, kind)
        for kind in ("common", "independent")
    },
    "network.contrast_notes": lambda rows, outcome: contrast_notes(rows),
    "network.subnetworks": lambda rows, outcome: [sorted(part) for part in subnetworks(rows)],
    "network.orientation.orient": lambda rows, outcome: orient(rows, outcome.order),
    "network.contribution.contribution_matrix": of_fit(
        lambda fit, order: contribution_matrix(fit, "random_walk").abs()
    ),
    "network.contribution.hat_matrix": of_fit(lambda fit, order: hat_matrix(fit).abs()),
    "network.inconsistency.decompose_q": of_fit(lambda fit, order: inconsistency.decompose_q(fit)),
    "network.inconsistency.split_evidence": of_fit(lambda fit, order: inconsistency.split_evidence(fit)),
    "network.inconsistency.split_evidence, SIDDE": of_fit(
        lambda fit, order: inconsistency.split_evidence(fit, "SIDDE")
    ),
    "network.net_impact": of_fit(lambda fit, order: net_impact(fit)),
    "network.evidence_measures": of_fit(lambda fit, order: evidence_measures(fit)),
    "network.league_with_direct": of_fit(lambda fit, order: league_with_direct(fit, order)),
    "network.partial_order": of_fit(
        lambda fit, order: partial_order(
            pd.DataFrame({"up": p_scores(fit, desirable="higher"), "near 0": -fit.te[order[0]].abs()})
        )
    ),
    "network.poth": of_fit(lambda fit, order: poth(p_scores(fit, desirable="higher"))),
    "network.inconsistency.net_heat": of_fit(lambda fit, order: inconsistency.net_heat(fit)),
    "network.ranking.p_scores": of_fit(lambda fit, order: p_scores(fit, desirable="higher")),
    "network.ranking.rank_probabilities": of_fit(
        lambda fit, order: rank_probabilities(fit, desirable="higher", draws=2000)
    ),
    "network.ranking.sucra": of_fit(lambda fit, order: sucra(rank_probabilities(fit, desirable="higher", draws=2000))),
    "network.ranking.mean_ranks": of_fit(
        lambda fit, order: mean_ranks(rank_probabilities(fit, desirable="higher", draws=2000))
    ),
    "network.robust.cluster_robust": of_fit(lambda fit, order: cluster_robust(fit)),
    "network.sensitivity.comparison_adjusted_funnel": of_fit(sensitivity.comparison_adjusted_funnel),
    "network.sensitivity.leave_one_study_out": of_fit(lambda fit, order: sensitivity.leave_one_study_out(fit)),
    "network.summary.league_table": of_fit(lambda fit, order: league_table(fit, order=order)),
    "pairwise.meta_analysis": pairwise(lambda one: meta_analysis(one["te"], one["se"], hartung_knapp=True)),
    "pairwise.estimate_tau2": pairwise(lambda one: estimate_tau2(one["te"], one["se"])),
    "pairwise.leave_one_out": pairwise(lambda one: leave_one_out(one["te"], one["se"], labels=list(one["study"]))),
    "pairwise.egger_test": pairwise(lambda one: egger_test(one["te"], one["se"])),
    "pairwise.robust_meta_analysis": pairwise(
        lambda one: robust_meta_analysis(one["te"], one["se"], one["study"].str[-1].map(ord) // 2)
    ),
    "pairwise.three_level": pairwise(
        lambda one: three_level(one["te"], one["se"], list(one["study"].str[-1].map(ord) // 2))
    ),
    "pairwise.method_comparison": pairwise(lambda one: method_comparison(one["te"], one["se"])),
    "pairwise.meta_regression": pairwise(
        lambda one: meta_regression(one["te"], one["se"], pd.DataFrame({"x": one["study"].str[1:].astype(float)}))
    ),
    "pairwise.subgroup_analysis": pairwise(
        lambda one: subgroup_analysis(one["te"], one["se"], list(one["study"].str[1:].astype(int) % 2))
    ),
    "pairwise.tau2_interval": pairwise(lambda one: tau2_interval(one["te"], one["se"])),
    "pairwise.kenward_roger": pairwise(lambda one: kenward_roger(one["te"], one["se"])),
    "pairwise.pool_about": pairwise(lambda one: pool_about(one["te"], one["se"], 0.2)),
    "pairwise.small_sample_meta_analysis": pairwise(lambda one: small_sample_meta_analysis(one["te"], one["se"])),
    "pairwise.generalised_q_meta_analysis": pairwise(lambda one: generalised_q_meta_analysis(one["te"], one["se"])),
    "pairwise.trim_and_fill": pairwise(lambda one: trim_and_fill(one["te"], one["se"])),
    "pairwise.pet_peese": pairwise(lambda one: pet_peese(one["te"], one["se"])),
    "pairwise.selection_model": pairwise(lambda one: selection_model(one["te"], one["se"])),
    "pairwise.rank_test": pairwise(lambda one: rank_test(one["te"], one["se"])),
    "pairwise.limit_meta_analysis": pairwise(lambda one: limit_meta_analysis(one["te"], one["se"])),
    "pairwise.mantel_haenszel": counted(mantel_haenszel),
    "pairwise.peto": counted(peto),
    "pairwise.binomial_normal": counted(binomial_normal),
    "pairwise.binomial_normal_proportion": counted(
        lambda events1, n1, events2, n2: binomial_normal_proportion(events1, n1)
    ),
    "bayes.fit_bayes": lambda rows, outcome: bayes(rows),
    "bayes.tau_curve": lambda rows, outcome: tau_curve(fit_bayes(rows), 9),
    "bayes.prior_sensitivity": lambda rows, outcome: prior_sensitivity(
        rows, [outcome.order[:2]], desirable="higher", factors=(0.5, 2.0)
    ),
    "bayes.bayes_factor": lambda rows, outcome: bayes_factor(
        fit_bayes(rows, half_normal(0.5)), fit_bayes(rows, half_normal(1.0))
    ),
    "article.trials.comparison_adjusted_egger": of_fit(comparison_adjusted_egger),
    "article.trials.main_part": lambda rows, outcome: main_part(rows)[0].assign(te=0, treat1="", treat2=""),
    "article.trials.trial_edges": trial_edges,
    "network.summary.heterogeneity_table": of_fit(lambda fit, order: heterogeneity_table(fit)),
    "book.trials.inconsistency_table": of_fit(of_trials.inconsistency_table),
    "book.trials.small_study_table": of_fit(of_trials.small_study_table),
    "book.trials.trial_funnel": of_fit(of_trials.trial_funnel),
}


@functools.cache
def expected(name: str):
    return plain(OF_CONTRASTS[name](example(), settings()), {})


@pytest.mark.parametrize("name", OF_CONTRASTS)
@pytest.mark.parametrize(("seed", "names"), WAYS)
def test_results_of_contrasts_do_not_depend_on_how_they_are_written(name, seed, names):
    result = OF_CONTRASTS[name](rewritten(example(), seed, names), renamed(names))
    assert_same(expected(name), plain(result, {new: old for old, new in names.items()}), name)


# --- pages of the article ---------------------------------------------------------------------------------------------

# The order of their rows is meant: main outcome, legends, text of the article; witnesses are refused in another
IN_ORDER = {"outcomes", "treatment_classes", "article_numbers", "claims", "witnesses"}
# Chapters whose numbers do not come from rows of tables
NOT_OF_ROWS = {
    "coming_from_netmeta": "shows public reviews that come with the package, and reference results",
    "data_dictionary": "shows the tables themselves, and their checksums",
    "validation": "compares with reference results, each of its own file",
}
CHAPTERS = sorted(path.stem for path in (ROOT / "book").glob("*.ipynb") if path.stem not in NOT_OF_ROWS)


def code_of(chapter: str) -> str:
    cells = json.loads((ROOT / "book" / f"{chapter}.ipynb").read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


class Recorder:
    """Everything that a chapter hands to readers: tables, what figures draw, numbers and words in sentences."""

    def __init__(self, patch: pytest.MonkeyPatch):
        self.records: list = []
        for name in ("show", "folded", "sentence", "glue_values", "glue_texts", "show_explorer"):
            for module in (
                "psps_paper.book.display",
                "psps_paper.book.trials",
                "psps_paper.living.chapters",
                "psps_paper.book.explorer",
            ):
                if hasattr(importlib.import_module(module), name):
                    patch.setattr(f"{module}.{name}", functools.partial(self.take, name))
        for name in ("glue_claims", "show_claims", "keeps_to_print"):  # verdicts have a test of their own
            patch.setattr(f"psps_paper.book.claims.{name}", lambda *args, **kwargs: None)
        for name, member in inspect.getmembers(importlib.import_module("psps_paper.figures"), inspect.isfunction):
            patch.setattr(f"psps_paper.figures.{name}", functools.partial(self.drawn, name))
            if getattr(of_trials, name, None) is member:
                patch.setattr(f"psps_paper.book.trials.{name}", functools.partial(self.drawn, name))

    def take(self, kind: str, /, *args, **kwargs) -> None:
        self.records.append([kind, *args, kwargs])

    @staticmethod
    def drawn(kind: str, /, *args, **kwargs) -> list:
        return [kind, *args, kwargs]


def shown_by(chapter: str, folder: Path) -> list:
    """What a chapter shows of a data folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PSPS_DATA", str(folder))
        patch.chdir(ROOT / "book")
        recorder = Recorder(patch)
        exec(compile(code_of(chapter), chapter, "exec"), {"display": lambda *args: None})
        return plain(recorder.records, {})


@pytest.fixture(scope="module")
def two_orders(tmp_path_factory) -> tuple[Path, Path]:
    """Two data folders that differ in the order of rows; an eighth of the stored data sets says what all would."""
    plain_folder, shuffled = (
        Path(shutil.copytree(DATA, tmp_path_factory.mktemp(name) / "data")) for name in ("plain", "shuffled")
    )
    for folder in (plain_folder, shuffled):
        for name in ("book", "tests"):  # titles of pages, and reference results, are beside the data
            (folder.parent / name).symlink_to(ROOT / name)
        witnesses = pd.read_csv(folder / "witnesses.csv", dtype=str, keep_default_na=False)
        kept = witnesses["witness"].isin(witnesses["witness"].unique()[::8])
        witnesses[kept].to_csv(folder / "witnesses.csv", index=False, lineterminator="\n")
    for path in shuffled.glob("*.csv"):
        if path.stem not in IN_ORDER:
            table = pd.read_csv(path, dtype=str, keep_default_na=False)
            table.sample(frac=1, random_state=5).to_csv(path, index=False, lineterminator="\n")
    return plain_folder, shuffled


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_no_chapter_depends_on_the_order_of_rows(chapter, two_orders):
    one, other = (words(shown_by(chapter, folder)) for folder in two_orders)
    assert_same(one, other, chapter)


@pytest.fixture(scope="module")
def with_trials(tmp_path_factory) -> tuple[Path, Path]:
    """Two data folders with the same trials, in a file written in two ways."""
    folders = []
    for seed in (None, 4):
        folder = tmp_path_factory.mktemp("trials")
        data = Path(shutil.copytree(DATA, folder / "data"))
        rows = star_demo().replace({"treat1": LABELS, "treat2": LABELS})
        (rows if seed is None else rewritten(rows, seed, {})).to_csv(folder / "article.trials.csv", index=False)
        write_trials(read_trials(folder / "article.trials.csv", Options("contrasts"), data), data)
        folders.append(data)
    return tuple(folders)


@pytest.mark.parametrize(
    "chapter",
    sorted(name for name in CHAPTERS if "show_trials(" in code_of(name) or "book.comparisons(" in code_of(name)),
)
def test_no_chapter_depends_on_how_trials_are_written(chapter, with_trials):
    assert_same(*(words(shown_by(chapter, folder)) for folder in with_trials), chapter)


def test_no_verdict_or_result_depends_on_how_trials_are_written(with_trials):
    one, other = (review_results(folder) for folder in with_trials)
    for results in (one, other):
        results["data"] = {name: digest for name, digest in results["data"].items() if not name.startswith("trials/")}
        assert {claim["id"]: claim for claim in results["claims"]}["nma.egger"]["tier"] == "recomputed"
    assert_same(one, other)


# --- a review of one's own --------------------------------------------------------------------------------------------

# What names the file, its bytes or its rows
OF_THE_FILE = {"folder", "settings", "data", "sources", "sources_of"}
PUBLIC = sorted(name for name in vars(Review) if not name.startswith("_"))


def review_of(folder: Path, rows: pd.DataFrame, names: Mapping[str, str], *, order: bool = True) -> Review:
    """A review of these rows with two outcomes, of which the second is estimated otherwise."""
    new_review(folder)
    entry = {
        "name": "score",
        "label": "Score",
        "measure": "MD",
        "unit": "points",
        "scale_desirable": "higher",
        "te_desirable": "higher",
        "reference": names["alpha"],
        "table": {"file": "tables/rows.csv", "kind": "contrasts"},
    }
    entry |= {"order": [names[name] for name in ORDER]} if order else {}
    listed = [
        {"name": names[name], "colour": colour}
        for name, colour in zip(ORDER, ("#0072b2", "#009e73", "#d55e00", "#7d6000"), strict=True)
    ]
    settings = {
        "title": "T",
        "author": "A",
        "question": "Q",
        "treatments": listed,
        "outcomes": [entry, {**entry, "name": "second", "label": "Second", "tau2": "REML", "level": 0.9}],
    }
    (folder / "review.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    rows.to_csv(folder / "tables" / "rows.csv", index=False)
    new_review(folder)
    return open_review(folder)


@pytest.fixture(scope="module")
def reviews(tmp_path_factory) -> list[tuple[Review, Mapping[str, str]]]:
    incomplete = pd.DataFrame([("s99", "alpha", "beta", 0.3, np.nan)], columns=COLUMNS)
    rows = pd.concat([example(), incomplete], ignore_index=True)
    ways = [
        (rows, SAME),
        (rewritten(rows, 6, SAME), SAME),
        (rewritten(rows, 7, KEPT), KEPT),
        (rewritten(rows, 8, MIXED), MIXED),
    ]
    folder = tmp_path_factory.mktemp("reviews")
    return [(review_of(folder / str(k), given, names), names) for k, (given, names) in enumerate(ways)]


def result_of(review: Review, name: str):
    member = getattr(review, name)
    if not callable(member):
        return member
    if "outcome" not in inspect.signature(member).parameters:
        return member()
    results = [member(outcome) for outcome in review.outcomes]
    if name == "network":
        return [
            [book.fit, book.edges, book.order, book.comparisons(), book.forest(book.outcome.reference), book.outcome]
            for book in results
        ]
    return results


@pytest.mark.parametrize("name", sorted(set(PUBLIC) - OF_THE_FILE))
def test_a_review_shows_the_same_however_its_table_is_written(name, reviews):
    expected = plain(result_of(reviews[0][0], name), {})
    for review, names in reviews[1:]:
        result = result_of(review, name)
        if name == "listed":
            result = result.drop(columns="row")
        # Ranks are drawn: another alphabet gives other draws, five standard errors of which are far below this
        tolerance = 0.02 if name == "ranks" and names is MIXED else 1e-6
        found = plain(result, {new: old for old, new in names.items()})
        if name == "listed":
            assert len(found) > 1
            expected = plain(result_of(reviews[0][0], name).drop(columns="row"), {})
        if tolerance > 0.01:
            np.testing.assert_allclose(
                [[row[key] for key in row if key != "index"] for table in found for row in table],
                [[row[key] for key in row if key != "index"] for table in expected for row in table],
                atol=tolerance,
            )
        else:
            assert_same(expected, found, name)


def test_one_p_for_both_files_of_the_case(tmp_path):
    """tests/cases/egger_row_direction: 3.2e-7 for both; the prevailing direction of rows gave 0.98 for the second."""
    shown = []
    for name in ("egger_all_one_way", "egger_B_swapped"):
        folder = tmp_path / name
        new_review(folder)
        shutil.copy(CASE / "review.yml", folder / "review.yml")
        shutil.copy(CASE / f"{name}.csv", folder / "tables" / "rows.csv")
        new_review(folder)
        review = open_review(folder)
        shown.append(review.small_studies().iloc[0].tolist())
        book = review.network("score")
        test = comparison_adjusted_egger(book.fit, book.order)
        assert (test.bias, test.p) == (pytest.approx(0.806, abs=5e-4), pytest.approx(3.2e-7, rel=0.02))
    assert shown == [["Score", "14", "A, B, placebo", p_value(3.2e-7)]] * 2


# --- a new one cannot be forgotten ------------------------------------------------------------------------------------

# Public functions of the engine that are no result of contrasts of one network (test_new_functions.py asks for the rest)
NO_RESULT = {
    "fit_networks": "many data sets of one design; agrees with fit_network, which tests prove",
    "network_from_pooled": "of pooled contrasts: test_network_properties.py",
    "meta_analyses": "many data sets at once; agrees with meta_analysis, which tests prove",
    "components": "another name of subnetworks",
    "p_scores_from": "of matrices that a fit has",
    "copas_jackson_bound": "of standard errors alone: test_pairwise_small_study.py",
    "published_fraction_at_bias": "of standard errors alone: test_pairwise_small_study.py",
    **dict.fromkeys(
        [
            "exponential",
            "half_cauchy",
            "half_normal",
            "inverse_gamma",
            "log_normal",
            "log_t",
            "rhodes_prior",
            "turner_prior",
            "uniform",
        ],
        "a prior",
    ),
}


@pytest.mark.parametrize("measure", ["SMD", "MD", "OR", "RD"])
def test_contrasts_do_not_depend_on_the_order_of_arms(measure):
    arms = pd.DataFrame(
        [
            ("one", "alpha", 20, 3.0, 2.0, 0),
            ("one", "beta", 25, 4.0, 1.5, 7),
            ("one", "gamma", 18, 2.5, 1.8, 3),
            ("two", "delta", 30, 5.0, 2.2, 12),
            ("two", "alpha", 31, 4.4, 2.0, 20),
        ],
        columns=["study", "treatment", "n", "mean", "sd", "events"],
    )
    made = [
        orient(contrasts_from_arms(table, measure=measure).table, ORDER)
        for table in (arms, arms.iloc[::-1], arms.sample(frac=1, random_state=2))
    ]
    for other in made[1:]:
        assert_same(plain(made[0], {}), plain(other, {}))


def test_every_chapter_is_tested_here():
    """Chapters are executed as they stand; templates show methods of a review, which are all called."""
    assert set(CHAPTERS) | set(NOT_OF_ROWS) == {path.stem for path in (ROOT / "book").glob("*.ipynb")}
    for path in (ROOT / "src" / "psps_paper" / "living" / "templates" / "book").glob("*.md"):
        for block in re.findall(
            r"```{code-cell} python\n(?::.*\n)*(.*?)```", path.read_text(encoding="utf-8"), flags=re.DOTALL
        ):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "review":
                    assert node.attr in PUBLIC, f"{path.name}: review.{node.attr}"
