"""Contrasts from published arms against netmeta 2.8-2 pairwise(), the input of the network oracles.

Arms: Parkinson's disease, off-time reduction (Franchini 2012; Dias, NICE DSU Technical Support
Document 2, program 5), read from gemtc's example/parkinson.gemtc; smoking cessation (Hasselblad
1998; Lu & Ades 2006), read from multinma's data-raw/smoking.txt.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from psps_paper.effects import contrasts_from_arms

ORACLES = Path(__file__).parent / "oracles"

PARKINSON = [  # study, treatment, n, mean, sd
    ("Lieberman 1998", "Placebo", 54, -1.22, 3.7),
    ("Lieberman 1998", "Ropinirole", 95, -1.53, 4.28),
    ("Lieberman 1997", "Placebo", 172, -0.7, 3.7),
    ("Lieberman 1997", "Pramipexole", 173, -2.4, 3.4),
    ("Guttman 1997", "Placebo", 76, -0.3, 4.4),
    ("Guttman 1997", "Pramipexole", 71, -2.6, 4.3),
    ("Guttman 1997", "Bromocriptine", 81, -1.2, 4.3),
    ("Brunt 2002, Group A", "Ropinirole", 128, -0.24, 3),
    ("Brunt 2002, Group A", "Bromocriptine", 72, -0.59, 3),
    ("Brunt 2002, Group B", "Ropinirole", 80, -0.73, 3),
    ("Brunt 2002, Group B", "Bromocriptine", 46, -0.18, 3),
    ("Gershanik 1994b", "Bromocriptine", 137, -2.2, 2.31),
    ("Gershanik 1994b", "Cabergoline", 131, -2.5, 2.18),
    ("Gershanik 1994a", "Bromocriptine", 154, -1.8, 2.48),
    ("Gershanik 1994a", "Cabergoline", 143, -2.1, 2.99),
]
SMOKING = """A 9 140 C 23 140 D 10 138
B 11 78 C 12 85 D 29 170
A 75 731 C 363 714
A 2 106 C 9 205
A 58 549 C 237 1561
A 0 33 C 9 48
A 3 100 C 31 98
A 1 31 C 26 95
A 6 39 C 17 77
A 79 702 B 77 694
A 18 671 B 21 535
A 64 642 C 107 761
A 5 62 C 8 90
A 20 234 C 34 237
A 0 20 D 9 20
A 8 116 B 19 149
A 95 1107 C 143 1031
A 15 187 C 36 504
A 78 584 C 73 675
A 69 1177 C 54 888
B 20 49 C 16 43
B 7 66 D 32 127
C 12 76 D 20 74
C 9 55 D 3 26"""


def netmeta_input(name):
    return json.loads((ORACLES / f"{name}.json").read_text(encoding="utf-8"))["input"]


@pytest.fixture
def parkinson():
    return pd.DataFrame(PARKINSON, columns=["study", "treatment", "n", "mean", "sd"])


def assert_same(table, expected):
    assert table["study"].tolist() == expected["studlab"]
    assert table["treat1"].tolist() == expected["treat1"]
    assert table["treat2"].tolist() == expected["treat2"]
    np.testing.assert_allclose(table["te"], expected["TE"], rtol=1e-8)
    np.testing.assert_allclose(table["se"], expected["seTE"], rtol=1e-8)


def test_mean_differences_of_franchini2012(parkinson):
    result = contrasts_from_arms(parkinson, measure="MD")
    assert_same(result.table, netmeta_input("franchini2012"))
    assert result.excluded.empty


def test_smds_of_franchini2012(parkinson):
    """netmeta's SMDs are Cohen's d with the SD pooled over all arms, without Hedges' correction."""
    result = contrasts_from_arms(parkinson, measure="SMD", correction="none")
    assert_same(result.table, netmeta_input("franchini2012_smd"))
    hedges = contrasts_from_arms(parkinson, measure="SMD", correction="exact").table
    ratio = hedges["te"] / netmeta_input("franchini2012_smd")["TE"]
    assert (ratio < 0.9999).all()


def test_log_odds_ratios_of_smoking_cessation():
    """Studies 6 and 15 have no event under A: 1/2 is added to their cells."""
    rows = []
    for study, line in enumerate(SMOKING.splitlines(), start=1):
        cells = line.split()
        for treatment, events, n in zip(cells[::3], cells[1::3], cells[2::3], strict=True):
            rows.append({"study": str(study), "treatment": treatment, "events": float(events), "n": float(n)})
    result = contrasts_from_arms(pd.DataFrame(rows), measure="OR")
    assert_same(result.table, netmeta_input("smoking"))
    assert len(result.table) == 22 + 2 * 3 and result.excluded.empty
