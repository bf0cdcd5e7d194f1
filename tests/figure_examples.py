"""One example of every drawing, for the tests of figures: made-up numbers of realistic size."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from psps_paper import figures
from psps_paper.network import (
    contribution_matrix,
    decompose_q,
    fit_network,
    league_with_direct,
    net_heat,
    partial_order,
    split_evidence,
)
from psps_paper.pairwise import meta_analysis, meta_regression

TREATMENTS = ["neuromodulation", "conservative", "placebo/sham", "conservative + minimally invasive"]

PRISMA = pd.DataFrame(
    [
        ("identified", "identification", "Records identified in four databases", 1140, "main", 1),
        ("duplicates", "identification", "Duplicates removed", 432, "excluded", 2),
        ("screened", "screening", "Titles and abstracts screened", 708, "main", 3),
        ("screened_out", "screening", "Excluded on title and abstract", None, "excluded", 4),
        ("sought", "eligibility", "Full texts sought", 105, "main", 5),
        ("no_text", "eligibility", "No full text available", 34, "excluded", 6),
        ("language", "eligibility", "In a language that the reviewers could not read", 2, "excluded", 7),
        ("first", "included", "Included from the first search", 45, "main", 8),
        ("update", "included", "Added by the updated search", 5, "added", 9),
        ("both", "included", "Included before a retraction", 50, "main", 10),
        ("retracted", "included", "Retracted by its journal", 1, "excluded", 11),
        ("included", "included", "Included in the review", 49, "main", 12),
        ("used", "synthesis", "Used in the network meta-analysis", 13, "main", 13),
    ],
    columns=["box", "stage", "label", "n", "side", "order"],
)

ROB = pd.DataFrame(
    [
        ("1 Randomisation process", "unknown", 100.0),
        ("2 Deviations from intended interventions", "unknown", 100.0),
        ("3 Missing outcome data", "low", 65.3),
        ("3 Missing outcome data", "some concerns", 6.1),
        ("3 Missing outcome data", "high", 28.6),
        ("4 Measurement of the outcome", "high", 49.0),
        ("4 Measurement of the outcome", "unknown", 51.0),
        ("5 Selection of the reported result", "some concerns", 53.1),
        ("5 Selection of the reported result", "unknown", 46.9),
        ("Overall", "low", 8.2),
        ("Overall", "some concerns", 26.5),
        ("Overall", "high", 65.3),
    ],
    columns=["domain", "judgement", "percent"],
)


def _studies() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    classes = ["neuromodulation"] * 25 + ["minimally invasive"] * 16 + ["conservative"] * 6 + ["surgery"] * 2
    names = ["Kumar", "van de Minkelis", "Al-Kaisy", "North", "Rigoard", "Manchikanti", "Eldabe", "Tan"]
    years = rng.integers(1999, 2024, len(classes))
    return pd.DataFrame(
        {
            "ref": range(10, 10 + len(classes)),
            "label": [f"{names[i % len(names)]} {year}" for i, year in enumerate(years)],
            "year": years,
            "treatment_class": classes,
            "rob_overall": rng.choice(
                ["low", "some concerns", "high", "unknown"], len(classes), p=[0.1, 0.25, 0.6, 0.05]
            ),
        }
    )


STUDIES = _studies()

DOMAINS = pd.DataFrame(
    {
        "Randomisation": ["low", "low", "high", "some concerns", "unknown"],
        "Missing data": ["some concerns", "low", "high", "low", "low"],
        "Risk of bias": ["some concerns", "low", "high", "some concerns", "unknown"],
    },
    index=["Ash 2001", "Birch 2003", "Cedar & Elm 2010", "Fir 2011", "Hazel 2019"],
)
EDGES = pd.DataFrame(
    [
        ("neuromodulation", "placebo/sham", 10, 19),
        ("neuromodulation", "conservative + minimally invasive", 2, 4),
        ("neuromodulation", "conservative", 1, 2),
        ("surgery", "surgery + minimally invasive", 1, None),
    ],
    columns=["treat1", "treat2", "n_studies", "n_estimates"],
)

FOREST = pd.DataFrame(
    [
        (
            "neuromodulation vs conservative + minimally invasive",
            0.45,
            0.14,
            0.76,
            -0.21,
            1.11,
            "printed",
            "conservative + minimally invasive",
        ),
        ("neuromodulation vs placebo/sham", 0.36, 0.18, 0.53, -0.24, 0.95, "printed", "placebo/sham"),
        ("neuromodulation vs conservative", 0.33, -0.09, 0.75, None, None, "implied", "conservative"),
    ],
    columns=["label", "te", "lower", "upper", "predict_lower", "predict_upper", "tier", "treatment_class"],
)


def _league() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    effects = np.array([0.0, -0.33, -0.36, -0.45])
    te = pd.DataFrame(effects[:, None] - effects[None, :], TREATMENTS, TREATMENTS)
    half = np.array([0.0, 0.42, 0.17, 0.31])
    width = pd.DataFrame(np.sqrt(half[:, None] ** 2 + half[None, :] ** 2), TREATMENTS, TREATMENTS)
    return te, te - width, te + width


TE, LOWER, UPPER = _league()

PROBABILITIES = pd.DataFrame(
    [
        [0.937, 0.061, 0.002, 0.0],
        [0.059, 0.412, 0.232, 0.297],
        [0.0, 0.382, 0.474, 0.144],
        [0.004, 0.145, 0.292, 0.559],
    ],
    index=TREATMENTS,
    columns=[1, 2, 3, 4],
)
P_SCORES = pd.Series([0.975, 0.423, 0.389, 0.212], index=TREATMENTS)
P_TABLE = pd.DataFrame(
    {"treatment": TREATMENTS, "p_score": [0.9752, 0.4228, 0.3901, 0.2119], "printed": [0.975, 0.423, 0.389, np.nan]}
)


def _points() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    comparison = (
        ["neuromodulation vs placebo/sham"] * 19
        + ["neuromodulation vs conservative + minimally invasive"] * 4
        + ["neuromodulation vs conservative"] * 2
    )
    se = rng.uniform(0.1, 0.4, len(comparison))
    return pd.DataFrame({"te": rng.normal(0.4, se), "se": se, "comparison": comparison})


POINTS = _points()

YEARS = pd.DataFrame({"publication year": np.tile(np.arange(1999, 2024), 2)[: len(POINTS)]})

INTERVALS = pd.DataFrame(
    [
        ("P-score, neuromodulation", 0.9741, 0.9763, 0.975, 3),
        ("P-score, conservative", 0.4102, 0.4377, 0.423, 3),
        ("P-score, placebo/sham", 0.3911, 0.4034, 0.389, 3),
        ("P-score, conservative + minimally invasive", 0.1988, 0.2231, None, None),
    ],
    columns=["label", "low", "high", "printed", "decimals"],
)

RESPONDERS = pd.DataFrame(
    [
        ("Kumar 2007, leg pain, 6 months", 24, 50, 4, 44, 9.23, 2.89, 29.46),
        ("Rigoard 2019, back pain, 6 months", 15, 110, 5, 108, 3.25, 1.14, 9.28),
        ("Eldabe 2019, back pain, 9 months", 19, 56, 1, 60, 30.3, 3.89, 235.9),
    ],
    columns=["label", "events1", "n1", "events2", "n2", "estimate", "lower", "upper"],
)
POOLED = {"estimate": 6.93, "lower": 2.64, "upper": 18.2, "predict_lower": 0.31, "predict_upper": 153.0}
HETEROGENEITY = {"tau2": 0.42, "i2": 0.561, "q": 4.56, "df_q": 2, "p_q": 0.102}


def _directions() -> pd.DataFrame:
    rows = STUDIES[STUDIES["treatment_class"] == "neuromodulation"].reset_index(drop=True)
    subclass = (
        ["SCS paradigm comparison"] * 12
        + ["SCS material or programming"] * 4
        + ["neuromodulation added to medical management"] * 3
        + ["add-on neuromodulation"] * 2
        + [
            "repetitive transcranial magnetic stimulation",
            "auricular acupressure",
            "static magnets",
            "pulsed electromagnetic field",
        ]
    )
    direction = [
        "no difference",
        "favours intervention",
        "no difference",
        "favours comparator",
        "mixed",
        "not reported",
    ]
    return pd.DataFrame(
        {
            "study": rows["label"],
            "subclass": subclass,
            "direction": [direction[i % 6] for i in range(25)],
            "n": [None if i % 4 == 0 else (20, 100, 400)[i % 3] for i in range(25)],
            "rob_overall": rows["rob_overall"],
        }
    )


DIRECTIONS = _directions()

RANGES = pd.DataFrame(
    [
        ("placebo/sham: each estimate by itself", 0.182, 0.185, "yes"),
        ("placebo/sham: one mean a study", -0.446, 0.328, "no"),
        ("conservative + minimally invasive: correlation 0.5", -0.068, 0.194, "no"),
    ],
    columns=["label", "low", "high", "proved"],
)

THRESHOLDS = pd.DataFrame(
    [
        (
            "neuromodulation vs placebo/sham",
            0.36,
            0.18,
            0.53,
            0.34,
            0.45,
            "neuromodulation, placebo/sham, conservative, conservative + minimally invasive",
            "neuromodulation, conservative, conservative + minimally invasive, placebo/sham",
        ),
        (
            "neuromodulation vs conservative + minimally invasive",
            0.45,
            0.14,
            0.76,
            0.36,
            np.inf,
            "neuromodulation, conservative, conservative + minimally invasive, placebo/sham",
            "",
        ),
    ],
    columns=["label", "te", "lower", "upper", "invariant_lower", "invariant_upper", "below", "above"],
)

# A half-normal prior of scale 0.5, and a gamma density in place of a posterior.
TAU = pd.DataFrame({"tau": np.linspace(0.001, 1.2, 121)})
TAU["prior"] = 1.5957691216 * np.exp(-2 * TAU["tau"] ** 2)
TAU["posterior"] = 10_000 / 6 * TAU["tau"] ** 3 * np.exp(-10 * TAU["tau"])
TAU["below"] = 1 - np.exp(-10 * TAU["tau"]) * (1 + 10 * TAU["tau"] + 50 * TAU["tau"] ** 2 + 500 / 3 * TAU["tau"] ** 3)

GROWTH = pd.DataFrame(
    [(n, m, n * m / 3000) for n in (10, 100, 300) for m in (300, 3000, 20000)],
    columns=["treatments", "studies", "times_smallest"],
)

PRIOR_STRIP = pd.DataFrame(
    [
        (f"neuromodulation better than {other}", factor, p - slope * np.log2(factor), 0.5 + (p - 0.5) / 2)
        for other, p, slope in (("placebo/sham", 0.93, 0.01), ("conservative", 0.71, 0.02))
        for factor in (0.125, 0.25, 0.5, 1, 2, 4, 8)
    ],
    columns=["conclusion", "factor", "probability", "probability_new"],
)


def _network() -> pd.DataFrame:
    """Four treatments with loops and a three-arm study."""
    rows = [
        ("Kumar 2007", "neuromodulation", "conservative", 0.41, 0.15),
        ("North 2005", "neuromodulation", "conservative", 0.22, 0.18),
        ("Rigoard 2019", "neuromodulation", "placebo/sham", 0.62, 0.12),
        ("van de Minkelis 2017", "conservative", "placebo/sham", 0.05, 0.16),
        ("Al-Kaisy 2018", "neuromodulation", "placebo/sham", 0.30, 0.14),
        ("Al-Kaisy 2018", "conservative", "placebo/sham", 0.12, 0.13),
        ("Al-Kaisy 2018", "neuromodulation", "conservative", 0.18, 0.15),
        ("Tan 2020", "conservative + minimally invasive", "conservative", 0.25, 0.2),
        ("Eldabe 2019", "conservative + minimally invasive", "placebo/sham", 0.11, 0.22),
    ]
    return pd.DataFrame(rows, columns=["study", "treat1", "treat2", "te", "se"])


NETWORK = fit_network(_network())
DIRECT = NETWORK.contrasts.iloc[:2]
SCORES = pd.DataFrame(
    {"pain": [0.9, 0.6, 0.3, 0.2], "quality of life": [0.8, 0.4, 0.5, 0.1]}, index=pd.Index(sorted(NETWORK.treatments))
)

EXAMPLES = {
    "prisma_flow": partial(figures.prisma_flow, PRISMA),
    "rob_stacked": partial(figures.rob_stacked, ROB),
    "rob_by_study": partial(figures.rob_by_study, STUDIES),
    "rob_domains": partial(figures.rob_domains, DOMAINS),
    "studies_by_year": partial(figures.studies_by_year, STUDIES),
    "network_graph": partial(figures.network_graph, EDGES),
    "forest_network": partial(
        figures.forest_network, FOREST, desirable="higher", first="neuromodulation", second="the other treatment"
    ),
    "league_heat": partial(figures.league_heat, TE, LOWER, UPPER, desirable="higher"),
    "rank_heat": partial(figures.rank_heat, PROBABILITIES, P_SCORES),
    "rankogram": partial(figures.rankogram, PROBABILITIES, P_SCORES),
    "cumulative_ranks": partial(figures.cumulative_ranks, PROBABILITIES),
    "rank_interval": partial(figures.rank_interval, PROBABILITIES),
    "p_score_dots": partial(figures.p_score_dots, P_TABLE),
    "funnel": partial(figures.funnel, POINTS, tier="simulated"),
    "bubble": partial(
        figures.bubble, meta_regression(POINTS["te"], POINTS["se"], YEARS), "publication year", tier="simulated"
    ),
    "contour_funnel": partial(
        figures.contour_funnel, POINTS.assign(filled=POINTS["te"] > 0.7), centre=0.4, tier="simulated"
    ),
    "interval_strip": partial(figures.interval_strip, INTERVALS, unit="P-score"),
    "forest_responders": partial(
        figures.forest_responders,
        RESPONDERS.assign(weight=[0.41, 0.42, 0.17]),
        desirable="higher",
        first="neuromodulation added",
        second="medical management",
        pooled=POOLED | HETEROGENEITY,
    ),
    "effect_direction": partial(figures.effect_direction, DIRECTIONS),
    "tau_posterior": partial(figures.tau_posterior, TAU, unit="standardised mean difference"),
    "prior_strip": partial(figures.prior_strip, PRIOR_STRIP),
    "time_growth": partial(figures.time_growth, GROWTH),
    "identified_ranges": partial(figures.identified_ranges, RANGES, unit="standardised mean difference"),
    "threshold_forest": partial(figures.threshold_forest, THRESHOLDS, unit="standardised mean difference"),
    "forest_pairwise": partial(
        figures.forest_pairwise,
        meta_analysis(DIRECT["te"], DIRECT["se"]),
        DIRECT,
        desirable="higher",
        first="neuromodulation",
        second="conservative",
    ),
    "forest_comparisons": partial(figures.forest_comparisons, NETWORK, desirable="higher"),
    "node_split_forest": partial(
        figures.node_split_forest, split_evidence(NETWORK), desirable="higher", overall=decompose_q(NETWORK)
    ),
    "forest_treatments": partial(figures.forest_treatments, NETWORK, "placebo/sham", desirable="higher"),
    "network_of": partial(figures.network_of, NETWORK),
    "hasse_diagram": partial(figures.hasse_diagram, partial_order(SCORES)),
    "league_direct": partial(figures.league_direct, league_with_direct(NETWORK), desirable="higher"),
    "net_heat_map": partial(figures.net_heat_map, net_heat(NETWORK)),
    "contribution_heat": partial(figures.contribution_heat, contribution_matrix(NETWORK)),
}
