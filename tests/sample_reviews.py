"""Reviews of any size in a folder: made-up trials with loops, one outcome with events and one with means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from psps_paper.living.new_review import new_review

FIRST = ("Alder", "Birch", "Cedar", "Elm", "Fir", "Hazel", "Larch", "Maple", "Oak", "Pine", "Rowan", "Willow")


def made_trials(treatments: int, seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Arms with events, contrasts of means, and the table of studies.

    Every treatment is compared with the first, every second one with the one before it: loops of three.
    """
    rng = np.random.default_rng(seed)
    names = ["usual care", *(f"programme {k:02d}" for k in range(1, treatments))]
    logit, mean = np.r_[0.0, rng.normal(-0.4, 0.3, treatments - 1)], np.r_[0.0, rng.normal(-2, 1.5, treatments - 1)]
    pairs = [(k, 0) for k in range(1, treatments)] + [(k, k - 1) for k in range(2, treatments, 2)]
    pairs += [(k, 0) for k in range(1, treatments, 3)]
    arms, contrasts, studies = [], [], []
    for number, pair in enumerate(pairs):
        year = 1998 + number % 25
        study = f"{FIRST[number % len(FIRST)]} {year}{chr(97 + number // 300)}"
        shift = rng.normal(0, 0.15)
        for k in pair:
            n = int(rng.integers(40, 160))
            risk = 1 / (1 + np.exp(-(-0.7 + logit[k] + (shift if k == pair[0] else 0))))
            arms.append((study, names[k], int(rng.binomial(n, risk)), n))
        se = float(rng.uniform(0.5, 1.2))
        te = float(rng.normal(mean[pair[0]] - mean[pair[1]], se))
        contrasts.append((study, names[pair[0]], names[pair[1]], round(te, 3), round(se, 3)))
        judged = rng.choice(["low", "some concerns", "high"], 2, p=[0.5, 0.3, 0.2])
        studies.append((study, year, rng.choice(["clinic", "home"]), *judged))
    return (
        pd.DataFrame(arms, columns=["study", "treatment", "events", "n"]),
        pd.DataFrame(contrasts, columns=["study", "treat1", "treat2", "te", "se"]),
        pd.DataFrame(studies, columns=["study", "year", "setting", "rob", "indirectness"]),
    )


def sample_review(folder: Path, treatments: int) -> Path:
    """Make, but do not build, a review with that many treatments, two outcomes, subgroups, a moderator and a flow of
    records."""
    new_review(folder)
    arms, contrasts, studies = made_trials(treatments)
    arms.to_csv(folder / "tables" / "relapse.csv", index=False)
    contrasts.to_csv(folder / "tables" / "score.csv", index=False)
    studies.to_csv(folder / "tables" / "studies.csv", index=False)
    for name in ("sneezing", "sleep"):
        (folder / "tables" / f"{name}.csv").unlink()
    common = {"scale_desirable": "lower", "te_desirable": "lower", "reference": "usual care"}
    relapse = {"name": "relapse", "label": "Relapse", "measure": "OR", "unit": "odds ratio", **common}
    relapse |= {"important": 1.25, "baseline_risk": 0.33, "reporting_bias": "suspected", "tau2": "REML"}
    score = {"name": "score", "label": "Symptom score", "measure": "MD", "unit": "points", **common, "important": 1}
    settings = {
        "title": f"A made-up review of {treatments} treatments",
        "author": "The review team",
        "question": f"Which of {treatments} made-up treatments is best?",
        "treatments": [{"name": name} for name in sorted(set(arms["treatment"]), key=lambda x: (x != "usual care", x))],
        "studies": "tables/studies.csv",
        "flow": "tables/flow.csv",
        "subgroups": ["setting"],
        "moderators": ["year"],
        "outcomes": [
            {**relapse, "table": {"file": "tables/relapse.csv", "kind": "arms"}},
            {**score, "table": {"file": "tables/score.csv", "kind": "contrasts"}},
        ],
    }
    (folder / "review.yml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    new_review(folder)
    return folder
