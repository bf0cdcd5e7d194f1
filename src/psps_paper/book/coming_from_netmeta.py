"""Calls of netmeta, meta and metafor next to their equivalents here, each run, and three public reviews to try."""

from __future__ import annotations

import inspect
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import pandas as pd

from psps_paper.book.display import Html
from psps_paper.book.validation import oracle_folder
from psps_paper.formatting import p_value
from psps_paper.network import (
    contribution_matrix,
    decompose_q,
    evidence_measures,
    fit_binary_network,
    fit_components,
    fit_network,
    league_with_direct,
    net_impact,
    network_meta_regression,
    p_scores,
    partial_order,
    split_evidence,
)
from psps_paper.pairwise import (
    binomial_normal,
    egger_test,
    limit_meta_analysis,
    mantel_haenszel,
    meta_analysis,
    meta_regression,
    method_comparison,
    pet_peese,
    peto,
    rank_test,
    selection_model,
    small_sample_meta_analysis,
    subgroup_analysis,
    tau2_interval,
    three_level,
    trim_and_fill,
)

# Closed-form estimates agree to more digits than those that R iterates to its own stopping rule.
CLOSED, ITERATED, TRIMMED = 1e-6, 1e-5, 1e-4
# Significant digits shown
SHOWN = 5


@dataclass(frozen=True)
class Call:
    """A call in R, a function that makes the equivalent call here, and the place of R's number in a reference file."""

    package: str
    r: str
    data: str
    place: str
    ours: Callable
    tolerance: float

    @property
    def code(self) -> str:
        """Source of the expression that is run."""
        source = inspect.getsource(self.ours).partition("return ")[2]
        return " ".join(source.split()).replace("( ", "(").replace(" )", ")").replace(",)", ")")


CALLS: list[Call] = []


def call(package: str, r: str, data: str, place: str, tolerance: float = CLOSED) -> Callable[[Callable], Callable]:
    """Add a function to the table; ``place`` is a path in a file of ``tests/oracles``."""

    def add(ours: Callable) -> Callable:
        CALLS.append(Call(package, r, data, place, ours, tolerance))
        return ours

    return add


def calls_compared() -> pd.DataFrame:
    """Run every call and compare with the number that R gave.

    Returns
    -------
    DataFrame [package, in R, here, R gave, here it gives, agree]
    """
    rows = []
    for one in CALLS:
        theirs, ours = reference(one.place), float(one.ours(**inputs(one.data)))
        rows.append(
            {
                "package": one.package,
                "in R": _code(one.r),
                "here": _code(one.code),
                "R gave": _digits(theirs),
                "here it gives": _digits(ours),
                "agree": "yes" if np.isclose(ours, theirs, rtol=one.tolerance, atol=1e-9) else "no",
            }
        )
    return pd.DataFrame(rows)


def calls_numbers() -> dict[str, str]:
    """Count the calls, and those that agree."""
    table = calls_compared()
    return {"calls": str(len(table)), "calls_agree": str((table["agree"] == "yes").sum())}


def _code(text: str) -> Html:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return Html(f"<code>{escaped}</code>")


def _digits(value: float) -> str:
    return f"{value:.{SHOWN}g}".replace("-", "\N{MINUS SIGN}")


@cache
def _oracle(name: str) -> dict:
    return json.loads((oracle_folder() / f"{name}.json").read_text(encoding="utf-8"))


def reference(place: str) -> float:
    """Look up a number in a reference file by file name, keys, and labels or positions from 0, separated by ``/``.

    A label is looked up in the list of labels at the same level as the number or above it.
    """
    name, *keys = place.split("/")
    value, labels = _oracle(name), []
    for key in keys:
        if isinstance(value, dict):
            labels = next((value[k] for k in ("trts", "comps", "studies", "terms") if k in value), labels)
            value = value[key]
        else:
            value = value[labels.index(key) if key in labels else int(key)]
    return float(value[0] if isinstance(value, list) else value)


def inputs(name: str) -> dict:
    """Load the arguments of the calls on one data set from the reference file that holds it."""
    if name == "senn":
        return {"contrasts": _netmeta_contrasts(_oracle("senn2013")["input"])}
    if name == "senn and year":
        given = _oracle("network_metareg")["senn2013_year"]
        year = pd.Series(given["covariate"]["x"], index=given["covariate"]["studlab"])
        return {"contrasts": _netmeta_contrasts(given["input"]), "year": year}
    if name == "depression":
        return {"contrasts": _netmeta_contrasts(_oracle("components")["linde2016_face"]["input"])}
    if name == "two outcomes":
        given = _oracle("network_more")["poset_linde2015"]
        return {"scores": pd.DataFrame(given["pscores_random"], given["trts"], given["outcomes"])}
    if name == "deaths":
        return {"arms": _arms(_oracle("network_rare")["dong2013"]["arms"])}
    if name == "vaccine":
        given, moderators = _oracle("pairwise_options")["bcg"], _oracle("metareg")["bcg_ablat_alloc"]["mods"]
        return {
            "te": np.array(given["te"]),
            "se": np.array(given["se"]),
            **{k: np.array(v) for k, v in moderators.items()},
        }
    if name == "catheters":
        given = _oracle("rare_binary")["nielweise2007"]["input"]
        return {ours: given[theirs] for ours, theirs in zip(("events1", "n1", "events2", "n2"), given, strict=True)}
    if name == "smoke":
        given = _oracle("small_study")["hackshaw1998"]
        return {"te": np.array(given["te"]), "se": np.array(given["se"])}
    if name == "schools":
        given = _oracle("multilevel_konstantopoulos2011")
        return {"te": np.array(given["yi"]), "se": np.sqrt(given["vi"]), "district": given["district"]}
    raise ValueError(f"data {name!r} is not known")


def _netmeta_contrasts(rows: dict) -> pd.DataFrame:
    return pd.DataFrame(rows).rename(columns={"studlab": "study", "TE": "te", "seTE": "se"})


def _arms(rows: dict) -> pd.DataFrame:
    return pd.DataFrame(rows).rename(columns={"studlab": "study", "treat": "treatment", "event": "events"})


# --- netmeta ----------------------------------------------------------------------------------------------------------


@call(
    "netmeta",
    'netmeta(TE, seTE, treat1, treat2, studlab)$TE.random["metf", "plac"]',
    "senn",
    "senn2013/TE_random/metf/plac",
)
def _(contrasts):
    return fit_network(contrasts).te.at["metf", "plac"]


@call("netmeta", 'net$lower.predict["metf", "plac"]', "senn", "senn2013/lower_predict/metf/plac")
def _(contrasts):
    return fit_network(contrasts).predict_lower.at["metf", "plac"]


@call("netmeta", "net$tau", "senn", "senn2013/tau")
def _(contrasts):
    return fit_network(contrasts).tau


@call("netmeta", 'netrank(net, small.values = "good")["rosi"]', "senn", "senn2013/pscore_random/rosi")
def _(contrasts):
    return p_scores(fit_network(contrasts), desirable="lower")["rosi"]


@call("netmeta", 'netleague(net)["metf", "plac"]', "senn", "senn2013/TE_direct_random/metf/plac")
def _(contrasts):
    return league_with_direct(fit_network(contrasts)).te.at["metf", "plac"]


@call("netmeta", "decomp.design(net)$Q.inc.random$Q", "senn", "senn2013/decomp/Q_inc_random")
def _(contrasts):
    return decompose_q(fit_network(contrasts)).between_random["q"]


@call("netmeta", 'netsplit(net)$indirect.random["metf:acar", "TE"]', "senn", "senn2013/netsplit/indirect_TE/1")
def _(contrasts):
    return -split_evidence(fit_network(contrasts)).set_index(["treat1", "treat2"]).indirect_te["acar", "metf"]


@call(
    "netmeta",
    'netcontrib(net)["acar:benf", "acar:metf"]',
    "senn",
    "network_more/senn2013/contribution_shortestpath/random/0/0",
)
def _(contrasts):
    return contribution_matrix(fit_network(contrasts)).at["acar:benf", "acar:metf"]


@call(
    "netmeta",
    'netcontrib(net, method = "randomwalk")["acar:benf", "acar:metf"]',
    "senn",
    "network_more/senn2013/contribution_randomwalk/random/0/0",
)
def _(contrasts):
    return contribution_matrix(fit_network(contrasts), "random_walk").at["acar:benf", "acar:metf"]


@call(
    "netmeta", 'netmeasures(net)$meanpath["acar:metf"]', "senn", "network_more/senn2013/netmeasures_random/meanpath/1"
)
def _(contrasts):
    return evidence_measures(fit_network(contrasts)).set_index(["treat1", "treat2"]).mean_path_length["acar", "metf"]


@call(
    "netmeta",
    'netimpact(net)["Lewin2007", "acar:metf"]',
    "senn",
    "network_more/senn2013/netimpact/random/Lewin2007/1",
    TRIMMED,
)
def _(contrasts):
    return net_impact(fit_network(contrasts)).at["Lewin2007", "acar:metf"]


@call(
    "netmeta",
    'netcomb(net, inactive = "Placebo")$Q.additive',
    "depression",
    "components/linde2016_face/result/Q_additive",
    ITERATED,
)
def _(contrasts):
    return fit_components(contrasts, "Placebo").q_additive


@call(
    "netmeta",
    'netcomb(net, inactive = "Placebo")$Comp.random["SSRI"]',
    "depression",
    "components/linde2016_face/result/random/components/TE/1",
    ITERATED,
)
def _(contrasts):
    return fit_components(contrasts, "Placebo").components.te["SSRI"]


@call(
    "netmeta",
    'netmetabin(event, n, treat, studlab, method = "MH")$TE.common["ICS", "LABA"]',
    "deaths",
    "network_rare/dong2013/MH/TE_common/ICS/LABA",
)
def _(arms):
    return fit_binary_network(arms, "MH").te_common.at["ICS", "LABA"]


@call(
    "netmeta",
    "netposet(response, remission)$M.random",
    "two outcomes",
    "network_more/poset_linde2015/M_random/Hypericum/Placebo",
)
def _(scores):
    return partial_order(scores).relation.at["Hypericum", "Placebo"]


@call(
    "metafor",
    "rma.mv(TE, V, mods = ~ treatments + year:active)$b, for acar",
    "senn and year",
    "network_metareg/senn2013_year/REML_regression/b/0",
    ITERATED,
)
def _(contrasts, year):
    return network_meta_regression(contrasts, year, reference="plac").coefficients.estimate["acar"]


# --- meta -------------------------------------------------------------------------------------------------------------


@call(
    "meta", 'metagen(TE, seTE, method.tau = "REML")$TE.random', "vaccine", "pairwise_options/bcg/meta_classic_REML/TE"
)
def _(te, se, **_):
    return meta_analysis(te, se, "REML").te


@call(
    "meta",
    'metagen(TE, seTE, method.tau = "DL", method.random.ci = "HK")$upper.random',
    "vaccine",
    "pairwise_options/bcg/meta_HK_DL/upper",
)
def _(te, se, **_):
    return meta_analysis(te, se, "DL", hartung_knapp=True).upper


@call(
    "meta",
    'metagen(TE, seTE, method.random.ci = "KR")$upper.random',
    "vaccine",
    "pairwise_options/bcg/meta_KR_REML/upper",
    ITERATED,
)
def _(te, se, **_):
    return small_sample_meta_analysis(te, se, "REML", "kenward-roger").upper


@call(
    "meta",
    'metagen(TE, seTE, method.tau.ci = "QP")$upper.tau2',
    "vaccine",
    "pairwise_options/bcg/tau2_ci_QP_REML/upper_tau2",
    ITERATED,
)
def _(te, se, **_):
    return tau2_interval(te, se, "QP").upper


@call(
    "meta",
    "metagen(TE, seTE, subgroup = alloc)$Q.b.random",
    "vaccine",
    "subgroups/bcg_alloc/REML_separate_tau2/Q_between_random",
    ITERATED,
)
def _(te, se, alloc, **_):
    return subgroup_analysis(te, se, alloc).q_between


@call(
    "meta",
    'metabin(event.e, n.e, event.c, n.c, MH.exact = TRUE, sm = "OR")$TE.common',
    "catheters",
    "rare_binary/nielweise2007/OR_MH_exact/TE_common",
)
def _(events1, n1, events2, n2):
    return mantel_haenszel(events1, n1, events2, n2).te


@call(
    "meta",
    'metabin(event.e, n.e, event.c, n.c, method = "Peto")$TE.common',
    "catheters",
    "rare_binary/nielweise2007/OR_Peto/TE_common",
)
def _(events1, n1, events2, n2):
    return peto(events1, n1, events2, n2).te


@call(
    "meta", 'metabias(m, method.bias = "Egger")$p.value', "smoke", "small_study/hackshaw1998/tests/metabias_Egger/pval"
)
def _(te, se):
    return egger_test(te, se).p


@call("meta", "limitmeta(m)$TE.adjust (metasens)", "smoke", "small_study/hackshaw1998/limitmeta/beta0/TE_adjust")
def _(te, se):
    return limit_meta_analysis(te, se).te


# --- metafor ----------------------------------------------------------------------------------------------------------


@call("metafor", 'rma(yi, vi, method = "PM")$b', "vaccine", "pairwise_options/bcg/rma_PM/b", ITERATED)
def _(te, se, **_):
    return meta_analysis(te, se, "PM").te


@call(
    "metafor",
    'rma(yi, vi, mods = ~ ablat, test = "knha")$pval, of ablat',
    "vaccine",
    "metareg/bcg_ablat/REML/knha/pval/1",
    ITERATED,
)
def _(te, se, ablat, **_):
    return meta_regression(te, se, pd.DataFrame({"ablat": ablat}), test="knapp-hartung").coefficients.p["ablat"]


@call(
    "metafor",
    'rma.glmm(measure = "OR", model = "CM.EL", ai, n1i, ci, n2i)$b, at its true maximum',
    "catheters",
    "rare_binary/nielweise2007/glmm_CM.EL_ML_own_maximum/b",
    ITERATED,
)
def _(events1, n1, events2, n2):
    return binomial_normal(events1, n1, events2, n2, model="conditional").te


@call(
    "metafor",
    'trimfill(rma(yi, vi), estimator = "L0")$k0',
    "smoke",
    "small_study/hackshaw1998/trimfill/rma_REML_L0_default/k0",
)
def _(te, se):
    return trim_and_fill(te, se).k0


@call(
    "metafor",
    'trimfill(rma(yi, vi), estimator = "L0")$b',
    "smoke",
    "small_study/hackshaw1998/trimfill/rma_REML_L0_default/b",
    TRIMMED,
)
def _(te, se):
    return trim_and_fill(te, se).te


@call(
    "metafor",
    'selmodel(rma(yi, vi), type = "stepfun", steps = 0.025)$b',
    "smoke",
    "small_study/hackshaw1998/selection/one_step_0.025/b",
    TRIMMED,
)
def _(te, se):
    return selection_model(te, se, [0.025]).te


@call("metafor", "ranktest(yi, vi)$tau", "smoke", "small_study/hackshaw1998/tests/ranktest/tau")
def _(te, se):
    return rank_test(te, se).tau


@call(
    "metafor", "lm(yi ~ sei, weights = 1/vi), PET's intercept", "smoke", "small_study/hackshaw1998/pet_peese/PET_lm/b/0"
)
def _(te, se):
    return pet_peese(te, se).pet.te


@call(
    "metafor",
    "rma.mv(yi, vi, random = ~ 1 | district/study)$b",
    "schools",
    "multilevel_konstantopoulos2011/three_level/b",
    ITERATED,
)
def _(te, se, district):
    return three_level(te, se, district).te


# --- which method changes the answer, public reviews -----------------------------------------------------------------


def small_sample_methods() -> pd.DataFrame:
    """Compare the usual methods for few studies on the vaccine trials with systematic allocation.

    Returns
    -------
    DataFrame [tau2, interval, ad hoc, estimate, lower, upper, p, changes the answer]
    """
    given = inputs("vaccine")
    few = given["alloc"] == "systematic"
    table = method_comparison(given["te"][few], given["se"][few]).table
    return pd.DataFrame(
        {
            "tau2": table["tau2_method"],
            "interval": table["method"],
            "ad hoc": table["ad_hoc"],
            "estimate": table["te"],
            "lower": table["lower"],
            "upper": table["upper"],
            "p": table["p"].map(p_value),
            "changes the answer": table["differs"].map({True: "yes", False: "no"}),
        }
    )


@dataclass(frozen=True)
class PublicReview:
    """Data of a public review, as in its R data set, and how to read te.

    Attributes
    ----------
    table : DataFrame
    reference : str
        Reference treatment.
    scale : dict
        ``desirable``, ``unit`` and ``ratio``, as passed to figures.
    source : str
    """

    table: pd.DataFrame
    reference: str
    scale: dict
    source: str


def public_review(name: str) -> PublicReview:
    """Load one of the public reviews that come with the package.

    Parameters
    ----------
    name : {"senn2013", "smoking", "dong2013"}
        Glucose control in diabetes (contrasts), giving up smoking (arms), deaths in COPD (arms, rare events).

    Raises
    ------
    ValueError
        The name is not one of these.

    Examples
    --------
    >>> public_review("smoking").table.columns.tolist()
    ['study', 'treatment', 'events', 'n']
    """
    folder = files("psps_paper") / "assets"
    known = pd.read_csv(io.StringIO((folder / "public_reviews.csv").read_text(encoding="utf-8")), index_col="name")
    if name not in known.index:
        raise ValueError(f"public review {name!r} is not one of {', '.join(known.index)}")
    about = known.loc[name]
    kinds = dict.fromkeys(("study", "studlab", "treatment", "treat1", "treat2"), str)
    table = pd.read_csv(io.StringIO((folder / f"{name}.csv").read_text(encoding="utf-8")), dtype=kinds)
    scale = {"desirable": str(about["desirable"]), "unit": str(about["unit"]), "ratio": bool(about["ratio"])}
    return PublicReview(table, str(about["reference"]), scale, str(about["source"]))
