"""The package holds nothing of this review: its treatments, studies, references and findings are in data/ and book/."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import pytest

import psps_paper
from helpers import ROOT
from psps_paper.tables.load import load_table

SRC = ROOT / "src"
FILES = sorted(
    path
    for path in SRC.rglob("*")
    if path.suffix in (".py", ".md", ".yml", ".csv", ".css", "")
    and path.is_file()
    and not any(part.endswith(".egg-info") for part in path.parts)
)
# The names that the papers of Turner and Rhodes give to outcomes and comparisons of any review
PUBLISHED_NAMES = {"bayes/presets.py"}
# Other people's reviews, whose arms have names that some of this one's have too
OTHER_REVIEWS = {"assets/dong2013.csv", "assets/public_reviews.csv", "book/coming_from_netmeta.py"}
# Not a treatment of this review but a kind of arm in any; also a column of studies.csv
ANY_REVIEW = r"placebo[_ ]arm"
# What the article's condition, treatments and supplements are called, beyond what the tables name
WORDS = [
    "pain",
    "spine",
    "spinal",
    "SCS",
    "stimulation",
    "stimulator",
    "placebo",
    "sham",
    "saline",
    "opioids?",
    "medical management",
    "lumbar",
    "surgical",
    "adhesiolysis",
    "dexmedetomidine",
    "gabapentin",
    "Goudman",
    "Supplementary (Data|Table|Fig)",
    "PROSPERO",
    "CRD[0-9]+",
]


def part_names() -> list[str]:
    """Names of treatments and, of combined ones, of their parts."""
    names = load_table("treatment_classes")["treatment_class"]
    return sorted({part for name in names for part in re.split(r" \+ |/", name)})


@lru_cache
def forbidden() -> re.Pattern:
    words = [*WORDS, *map(re.escape, [*part_names(), *load_table("studies")["study"]]), r"PSPS(?!_)", "refs? ?[0-9]+"]
    return re.compile(rf"(?<![a-z])({'|'.join(words)})(?![a-z])", flags=re.IGNORECASE)


def findings(text: str) -> list[str]:
    """Every mention of something that belongs to this review alone."""
    text = re.sub(ANY_REVIEW, "", text)
    # the package is named after the review that it was made for: psps in its names is no mention
    return [match.group() for match in forbidden().finditer(text) if match.group() != "psps"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SRC).as_posix())
def test_the_package_names_nothing_of_this_review(path):
    assert path.is_relative_to(SRC)
    if path.relative_to(SRC / "psps_paper").as_posix() not in PUBLISHED_NAMES | OTHER_REVIEWS:
        assert findings(path.read_text(encoding="utf-8")) == []


def test_every_module_is_searched():
    package = Path(psps_paper.__file__).parent
    assert package.is_relative_to(SRC) and set(package.rglob("*.py")) <= set(FILES) and len(FILES) > 60


@pytest.mark.parametrize(
    "text",
    [
        'fit.te.at["neuromodulation", other]',
        "if ref == 49: ref 49",
        "# kumar2007 is unblinded",
        'name in ("placebo/sham",)',
        "pain_scale",
        "the effect sizes of Supplementary Data 2",
        "SCS, the main treatment",
        "patients with PSPS",
        '"scs_arm"',
        "the conservative node",
    ],
)
def test_a_mention_is_found(text):
    assert findings(text)
