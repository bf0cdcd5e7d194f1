"""Typical files of systematic reviewers, each with the correct result, computed independently by the formula given.

The inputs are in ``cases/``: made-up studies, one situation a folder.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers import ROOT
from living_examples import each_measure
from psps_paper.figures import forest_network, network_graph, palette
from psps_paper.figures.drawing import to_svg
from psps_paper.living.importing import read_trials, report
from psps_paper.living.model import Import, Options
from psps_paper.living.new_review import new_review
from psps_paper.living.review import open_review
from psps_paper.network import fit_network
from psps_paper.tables.errors import TableError

pytestmark = pytest.mark.slow

CASES = ROOT / "tests" / "cases"
MD_SE = math.sqrt(2.5**2 / 40 + 2.2**2 / 41)  # of two means: root of the sum of sd^2 / n


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A data folder with one outcome of each measure."""
    return each_measure(tmp_path_factory.mktemp("cases"))


def case(number: str, file: str, kind: str, data: Path, outcome: str = "score_md", **options) -> Import:
    path = next(CASES.glob(f"{number}-*")) / file
    return read_trials(path, Options(kind, outcome=outcome, **options), data)


def table(result: Import) -> dict[tuple[str, str, str], tuple[float, float]]:
    rows = result.contrasts
    return {(row.study, row.treat1, row.treat2): (row.te, row.se) for row in rows.itertuples()}


def refused(*arguments, **options) -> str:
    with pytest.raises(TableError) as caught:
        case(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 600
    return message


# --- numbers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (
            "thousands.csv",
            {
                ("Ko 2001", "A", "B"): (270, math.sqrt(812.5**2 / 40 + 790.2**2 / 41)),
                ("Li 2003", "A", "B"): (290, math.sqrt(900**2 / 60 + 880.5**2 / 62)),
            },
        ),
        ("thousands_mixed.csv", {("Ko 2001", "A", "B"): (270.4, math.sqrt(812.5**2 / 40 + 790.2**2 / 41))}),
    ],
)
def test_points_between_thousands_are_read_and_reported(data, file, expected):
    result = case("04", file, "arms", data)
    assert {key: pytest.approx(value) for key, value in expected.items()} == table(result)
    assert any(
        "points were read as separators of thousands: column mean, row 1 (1.250" in sentence
        for sentence in result.conversions
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "study;treatment;n;mean;sd\na;A;40;1.250;812\na;B;41;980;790\n",
            "row 1, column mean: '1.250' may be 1250 or 1.250; use --decimal point or --decimal comma",
        ),
        (
            "study\ttreatment\tn\tmean\tsd\na\tA\t40\t1,250\t8\na\tB\t41\t1,980\t7\n",
            "row 1, column mean: '1,250' may be 1250 or 1.250; use --decimal point or --decimal comma",
        ),
    ],
)
def test_a_number_that_may_be_two_stops_with_the_option_that_decides(tmp_path, data, text, message):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(TableError, match=message.replace("(", r"\(").replace(")", r"\)")):
        read_trials(path, Options("arms", outcome="score_md"), data)
    as_comma = read_trials(path, Options("arms", outcome="score_md", decimal="comma"), data).contrasts["te"].tolist()
    as_point = read_trials(path, Options("arms", outcome="score_md", decimal="point"), data).contrasts["te"].tolist()
    assert (as_comma, as_point) == (
        ([270], [pytest.approx(-978.75)]) if ";" in text else ([pytest.approx(-0.73)], [-730])
    )


def test_a_point_and_a_comma_in_one_column_may_be_two_hands(tmp_path, data):
    """A fuzzed file: 1.000 next to 0,2 may be 1 or 1000; next to 1.250,5 or 980,1 points separate thousands."""
    path = tmp_path / "a.csv"
    head = "study\ttreat1\ttreat2\tte\tse\n"
    path.write_text(head + "a\tA\tB\t0,2\t1.0\nb\tA\tB\t1.000\t1.0\n")
    with pytest.raises(TableError, match=r"row 2, column te: '1\.000' may be 1000 or 1\.000; use --decimal"):
        read_trials(path, Options("contrasts", outcome="score_md"), data)
    path.write_text(head + "a\tA\tB\t980,5\t1,5\nb\tA\tB\t1.250\t1,5\n")
    assert read_trials(path, Options("contrasts", outcome="score_md"), data).contrasts["te"].tolist() == [980.5, 1250]


def test_points_alone_are_doubtful_even_beside_decimal_commas(tmp_path, data):
    """Nothing in the column of means distinguishes 1250 from 1.25; the other column may be typed by someone else."""
    path = tmp_path / "a.csv"
    path.write_text("study;treatment;n;mean;sd\na;A;40;1.250;8,5\na;B;41;1.980;7,25\n")
    with pytest.raises(TableError, match=r"column mean: '1\.250' may be 1250 or 1\.250; use --decimal"):
        read_trials(path, Options("arms", outcome="score_md"), data)
    result = read_trials(path, Options("arms", outcome="score_md", decimal="comma"), data)
    assert result.contrasts["te"].tolist() == [-730]


# --- names -------------------------------------------------------------------------------------------


def test_a_name_with_an_invisible_character_is_the_same_name(data):
    result = case("05", "zwsp.csv", "arms", data)
    assert all(value == pytest.approx((0.7, MD_SE)) for value in table(result).values()) and len(result.contrasts) == 3
    fit = fit_network(result.contrasts)
    assert (fit.te.at["placebo", "B"], fit.se.at["placebo", "B"]) == pytest.approx((0.7, MD_SE / math.sqrt(3)))
    assert any(r"placebo\u200b" in sentence and "row 3" in sentence for sentence in result.conversions)


@pytest.mark.parametrize("sign", ["\ufe0f", "\U000e0100", "\u034f", "\u00ad", "\u2062"])
def test_a_zero_width_character_makes_no_second_treatment(tmp_path, data, sign):
    path = tmp_path / "a.csv"
    path.write_text(f"study,treat1,treat2,te,se\na,A,placebo,1,1\nb,A,placebo{sign},1,1\n", encoding="utf-8")
    result = read_trials(path, Options("contrasts", outcome="score_md"), data)
    assert set(result.contrasts["treat2"]) == {"placebo"}
    assert any("zero-width" in sentence and "row 2" in sentence for sentence in result.conversions)


def test_look_alike_names_are_noted_with_the_options_that_join_them(data):
    (note,) = [note for note in case("20", "hyphens.csv", "arms", data).warnings if "look-alike" in note]
    labels = {part.split("=")[0]: part.split("=")[1] for part in note.split("'")[1::2] if "=" in part}
    assert set(labels.values()) == {"SCS-burst"} and len(labels) == 3
    assert len({*case("20", "hyphens.csv", "arms", data, labels=labels).contrasts["treat1"]}) == 1
    assert any(
        "'Placebo' and 'placebo' differ in upper and lower case" in note
        for note in case("20", "casec.csv", "arms", data).warnings
    )


@pytest.mark.parametrize("look", ["plаcebo", "placebo ", "PLACEBO", "pla-cebo"])
def test_letters_that_look_alike_are_noted(tmp_path, data, look):
    path = tmp_path / "a.csv"
    path.write_text(f"study,treat1,treat2,te,se\na,A,placebo,1,1\nb,A,{look},1,1\n", encoding="utf-8")
    result = read_trials(path, Options("contrasts", outcome="score_md"), data)
    alike = [
        note
        for note in result.warnings
        if note.startswith("treatments 'placebo'") or " and 'placebo' differ" in note or "'placebo' and" in note
    ]
    assert bool(alike) != (look == "placebo "), "blanks at the end are no part of a name"


def test_a_study_that_looks_like_a_date_is_noted(tmp_path, data):
    path = tmp_path / "a.csv"
    path.write_text("study,treat1,treat2,te,se\n02-Mar,A,B,1,1\n")
    assert any(
        "'02-Mar' looks like a date" in note
        for note in read_trials(path, Options("contrasts", outcome="score_md"), data).warnings
    )


# --- layouts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("file", "skip"), [("cap_semi.csv", 1), ("sep.csv", 0), ("sep.csv", 1)])
def test_the_separator_is_that_of_the_header(data, file, skip):
    assert table(case("08", file, "arms", data, skip=skip)) == {("Ko 2001", "A", "B"): pytest.approx((0.7, MD_SE))}


def test_merged_cells_are_filled_and_reported(data):
    result = case("38", "arms.xlsx", "arms", data)
    assert table(result) == {("Ko 2001", "A", "B"): pytest.approx((0.7, MD_SE))}
    assert any("merged" in sentence and "A2:A3" in sentence for sentence in result.conversions)


LAYOUTS = {
    "UTF-16": "study,treat1,treat2,te,se\nRenée 2001,A,B,-0.3,0.2\n".encode("utf-16"),
    "Windows-1252": "study,treat1,treat2,te,se\nRenée 2001,A,B,-0.3,0.2\n".encode("cp1252"),
    "CR CR LF": "study,treat1,treat2,te,se\r\r\nRenée 2001,A,B,-0.3,0.2\r\r\n".encode(),
    "blanks": 'study treat1 treat2   te se\n"Renée 2001" A B -0.3   0.2\n'.encode(),
    "row names of R": '"study" "treat1" "treat2" "te" "se"\n"1" "Renée 2001" "A" "B" -0.3 0.2\n'.encode(),
    "author and year": "Author,Year,treat1,treat2,te,se\nRenée,2001,A,B,-0.3,0.2\n".encode(),
    "bars": "study|treat1|treat2|te|se\nRenée 2001|A|B|-0.3|0.2\n".encode(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_text_are_read(tmp_path, data, layout):
    path = tmp_path / "a.csv"
    path.write_bytes(LAYOUTS[layout])
    result = read_trials(path, Options("contrasts", outcome="score_md"), data)
    assert table(result) == {("Renée 2001", "A", "B"): (-0.3, 0.2)}
    assert bool(result.conversions) == (layout in ("UTF-16", "Windows-1252"))


# --- what papers print -------------------------------------------------------------------------------


def test_limits_of_an_interval_stand_for_the_standard_error(data):
    result = case("17", "ci.csv", "contrasts", data)
    z = 1.959964
    assert table(result) == {
        ("Ko 2001", "A", "B"): pytest.approx((-0.3, 0.6 / (2 * z))),
        ("Li 2001", "A", "B"): pytest.approx((-0.2, 0.8 / (2 * z))),
    }
    assert any("limits of the 95 % interval" in sentence and "row 1, 2" in sentence for sentence in result.conversions)


def test_standard_errors_of_means_are_read_as_such(data):
    result = case("18", "armse.csv", "arms", data)
    assert table(result) == {
        ("Ko 2001", "A", "B"): pytest.approx((0.7, math.hypot(0.31, 0.35))),
        ("Li 2002", "A", "B"): pytest.approx((0.7, math.hypot(0.3, 0.32))),
    }
    assert any("standard error of the mean" in sentence for sentence in result.conversions)
    mixed = case("18", "mixse.csv", "arms", data)
    assert table(mixed) == {
        ("Ko 2001", "A", "B"): pytest.approx((0.7, math.sqrt(4 / 40 + 2.2**2 / 41))),
        ("Li 2002", "A", "B"): pytest.approx((0.9, math.hypot(0.30, 0.28))),
    }
    assert not any("impute" in note for note in mixed.warnings)


def test_standard_errors_typed_as_sds_are_suspected(data):
    (note,) = [note for note in case("18", "seassd.csv", "arms", data).warnings if "may be standard errors" in note]
    assert "Ko 2001 (0.31, 0.35) are about 1/6 of those of Li 2002" in note
    assert not any("may be standard errors" in note for note in case("18", "armse.csv", "arms", data).warnings)
    with pytest.raises(TableError, match="named as standard errors is mapped to sd; --map se=COLUMN"):
        case("18", "armse.csv", "arms", data, mapping={"sd": "se"})


def test_zero_cells_are_corrected_and_reported(data):
    result = case("22", "zero.csv", "arms", data, outcome="events_or")
    te, se = math.log((5.5 / 55.5) / (0.5 / 62.5)), math.sqrt(1 / 5.5 + 1 / 55.5 + 1 / 0.5 + 1 / 62.5)
    assert table(result) == {("Li 2003", "A", "B"): pytest.approx((te, se))} and len(result.listed) == 6
    assert any("0.5 was added" in sentence and "Li 2003" in sentence for sentence in result.conversions)
    assert len(case("22", "zero.csv", "arms", data, outcome="events_rd").contrasts) == 4


def test_multi_arm_studies_are_read_as_papers_print_them(data):
    notes = case("12", "round3.csv", "contrasts", data).warnings
    assert any("Ko 2001" in note and "0.01" in note for note in notes)
    message = refused("12", "wrong3.csv", "contrasts", data)
    assert "Ko 2001" in message and "0.11" in message and "0.015" in message
    assert any(
        "Ko 2001" in note and "arm c" in note and "-0.0090" in note
        for note in case("13", "negarm.csv", "contrasts", data).warnings
    )
    fit = fit_network(case("14", "fourarm.csv", "contrasts", data).contrasts)
    assert fit.te_common.loc[["B", "C", "P"], "A"].tolist() == pytest.approx([-0.215591, -0.055757, 0.133351], abs=1e-6)
    message = refused("15", "twoof3.csv", "contrasts", data)
    assert "Ko 2001" in message and "A vs B" in message and "se_baseline" in message
    full = table(case("15", "with_baseline.csv", "contrasts", data))
    assert full["Ko 2001", "A", "B"] == pytest.approx((-0.19, math.sqrt(0.20**2 + 0.22**2 - 2 * 0.10**2)))


# --- measures ----------------------------------------------------------------------------------------

EVENTS = "study,treatment,n,events\na,A,40,9\na,B,50,5\n"
# text, kind, outcome, te and se by the formula of the measure
MEASURES = {
    "RR": (EVENTS, "arms", "rr", math.log((9 / 40) / (5 / 50)), math.sqrt(1 / 9 - 1 / 40 + 1 / 5 - 1 / 50)),
    "IRR": (
        "study,treatment,events,exposure\na,A,9,200\na,B,5,210\n",
        "arms",
        "irr",
        math.log((9 / 200) / (5 / 210)),
        math.sqrt(1 / 9 + 1 / 5),
    ),
    "ROM": (
        "study,treatment,n,mean,sd\na,A,40,6,2\na,B,50,5,1\n",
        "arms",
        "rom",
        math.log(6 / 5),
        math.sqrt(4 / (40 * 36) + 1 / (50 * 25)),
    ),
    "HR": (
        "study,treat1,treat2,HR,lower,upper\na,A,B,0.72,0.57,0.91\n",
        "contrasts",
        "hr",
        math.log(0.72),
        math.log(0.91 / 0.57) / (2 * 1.959964),
    ),
    "log HR": ("study,treat1,treat2,lnHR,se\na,A,B,-0.3,0.12\n", "contrasts", "hr", -0.3, 0.12),
    "OR": (
        "study,treat1,treat2,OR,p\na,A,B,2,0.04550026389635839\n",
        "contrasts",
        "events_or",
        math.log(2),
        math.log(2) / 2,
    ),
    "gemtc rates": (
        "study,treatment,responders,exposure\na,A,9,200\na,B,5,210\n",
        "arms",
        "irr",
        math.log((9 / 200) / (5 / 210)),
        math.sqrt(1 / 9 + 1 / 5),
    ),
    "multinma means": (".study,.trt,n,y,se\na,A,40,6,0.3\na,B,50,5,0.4\n", "arms", "score_md", 1.0, 0.5),
}


@pytest.mark.parametrize("name", MEASURES)
def test_each_measure_is_computed_on_the_log_scale(tmp_path, data, name):
    text, kind, outcome, te, se = MEASURES[name]
    path = tmp_path / "a.csv"
    path.write_text(text)
    result = read_trials(path, Options(kind, outcome=outcome), data)
    assert table(result) == {("a", "A", "B"): pytest.approx((te, se), rel=1e-6)}
    assert ("logarithm" in report(result)) == (name in ("HR", "OR"))


@pytest.mark.parametrize(
    ("text", "outcome", "message"),
    [
        ("study,treat1,treat2,OR,se\na,A,B,0.5,0.2\n", "events_or", "'se' may be of the ratio or of its logarithm"),
        (
            "study,treat1,treat2,logRR,se\na,A,B,0.5,0.2\n",
            "events_or",
            "column 'logRR' holds log RR, by its name, but outcome events_or is measured as OR",
        ),
        ("study,treat1,treat2,OR,lower,upper\na,A,B,0.5,0.2,1\n", "score_md", "column 'OR' holds OR, by its name"),
        (
            "study,treat1,treat2,te,lower,upper\na,A,B,0.5,0.25,1\nb,A,B,0.8,0.4,1.6\n",
            "events_or",
            "symmetric on the log scale, so it seems to hold ratios",
        ),
        ("study,treat1,treat2,te,p\na,A,B,0.5,<0.05\n", "score_md", "row 1, column p: '<0.05' is not a p-value"),
        (
            "study,treat1,treat2,te,lower,upper\na,A,B,0.5,0.6,0.9\n",
            "score_md",
            "row 1, column te: 0.5 is not between lower and upper",
        ),
        (
            "study,treat1,treat2,te,se\na,A,B,400,0.2\n",
            "events_or",
            "not the logarithm of a ratio of a plausible size",
        ),
        (
            "study,treatment,diff,std.err\na,A,0.5,0.2\na,B,0.1,0.2\n",
            "score_md",
            "study 'a' has 0 of 2 rows without diff",
        ),
    ],
)
def test_what_may_be_another_scale_is_refused(tmp_path, data, text, outcome, message):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(TableError) as caught:
        read_trials(path, Options("contrasts", outcome=outcome), data)
    assert message in str(caught.value)


def test_a_ratio_mapped_to_te_is_refused_and_mapped_to_ratio_is_read(tmp_path, data):
    path = tmp_path / "a.csv"
    path.write_text("study,treat1,treat2,OR,lower,upper\na,A,B,2,1,4\n")
    with pytest.raises(TableError, match="--map 'ratio=OR' takes its logarithm"):
        read_trials(path, Options("contrasts", outcome="events_or", mapping={"te": "OR"}), data)
    assert read_trials(path, Options("contrasts", outcome="events_or", mapping={"ratio": "OR"}), data).contrasts[
        "te"
    ].tolist() == [pytest.approx(math.log(2))]


def test_person_time_that_is_not_used_is_noted(tmp_path, data):
    path = tmp_path / "a.csv"
    path.write_text("study,treatment,n,events,person-time\na,A,40,9,100\na,B,50,5,300\n")
    result = read_trials(path, Options("arms", outcome="events_or"), data)
    assert any("the file holds person-time, which OR ignores" in note for note in result.warnings)


def test_effects_against_a_baseline_arm_complete_a_three_arm_study(tmp_path, data):
    """se_baseline of P 0.10: A against B has the variance 0.20^2 + 0.22^2 - 2 x 0.10^2."""
    path = tmp_path / "a.csv"
    path.write_text("studyn,trtc,y,se\nKo,P,NA,0.10\nKo,A,-0.31,0.20\nKo,B,-0.12,0.22\n")
    assert table(read_trials(path, Options("contrasts", outcome="score_md"), data)) == {
        ("Ko", "A", "P"): (-0.31, 0.20),
        ("Ko", "B", "P"): (-0.12, 0.22),
        ("Ko", "A", "B"): pytest.approx((-0.19, math.sqrt(0.0684))),
    }


# --- whole reviews -----------------------------------------------------------------------------------


def own(folder: Path, number: str, file: str):
    """A review of a case's table and settings."""
    new_review(folder)
    place = next(CASES.glob(f"{number}-*"))
    shutil.copy(place / "review.yml", folder / "review.yml")
    shutil.copy(place / file, folder / "tables" / file)
    told: list[str] = []
    new_review(folder, tell=told.append)
    return open_review(folder), "\n".join(told)


def test_a_network_without_connection_is_analysed_where_the_reference_is(tmp_path, data):
    """Inverse-variance mean of 0.30, 0.31 ... 0.41, each with se 0.1."""
    review, told = own(tmp_path / "rev", "11", "disc.csv")
    fit = review.network("score").fit
    assert (fit.te.at["active", "placebo"], fit.se.at["active", "placebo"]) == pytest.approx(
        (0.355, 0.1 / math.sqrt(12))
    ) and fit.tau2 == 0
    assert "T1, T2" in told and "x and y and z" in told
    (note,) = [note for note in case("11", "disc.csv", "contrasts", data).warnings if "not connected" in note]
    assert "active and placebo" in note and "x, y, z" in note and "most treatments" in note


def test_a_hazard_ratio_stays_one_through_the_whole_review(tmp_path):
    """Inverse-variance mean of three log hazard ratios, shown as its exponential."""
    review, _ = own(tmp_path / "rev", "16", "hr.csv")
    rows = pd.read_csv(CASES / "16-hazard-ratio" / "hr.csv")
    weight = 1 / rows["se"] ** 2
    te, se = (rows["te"] * weight).sum() / weight.sum(), weight.sum() ** -0.5
    fit = review.network("survival").fit
    assert (fit.te.at["drug", "usual care"], fit.se.at["drug", "usual care"]) == pytest.approx((te, se))
    shown = f"{np.exp(te):.2f} ({np.exp(te - 1.959964 * se):.2f} to {np.exp(te + 1.959964 * se):.2f})"
    assert review.league("survival").at["drug", "usual care"] == shown == "0.73 (0.62 to 0.87)"
    assert review.direction("survival")["ratio"] and review.direction("survival")["unit"] == "hazard ratio"
    assert review.contrasts()["estimate"].tolist() == ["0.72", "0.81", "0.65"] and set(
        review.contrasts()["measure"]
    ) == {"hazard ratio"}
    text = " ".join(
        [*review.contrasts().astype(str).to_numpy().ravel(), review.league("survival").attrs["orientation"]]
    )
    assert "mean difference" not in text and "SMD" not in text and "odds" not in text


def test_a_network_is_drawn_from_outside_its_review(tmp_path):
    """Names of another review have no colours in this one's data folder; each chooses its own, on every figure."""
    place = next(CASES.glob("09-*"))
    new_review(tmp_path / "rev")
    shutil.copy(place / "review.yml", tmp_path / "rev" / "review.yml")
    shutil.copy(place / "pain.csv", tmp_path / "rev" / "tables" / "pain.csv")
    new_review(tmp_path / "rev")
    edges = open_review(tmp_path / "rev").edges("pain")
    names = set(edges["treat1"]) | set(edges["treat2"])
    assert (len(names), len(edges)) == (8, 12)
    said = network_graph(edges).alt
    assert all(name in said for name in names)
    assert len(set(palette.colours_of(names).values())) == 8
    # One name that both reviews have keeps its colour, and stops no other
    shared = next(iter(palette.class_colours()))
    drawing = network_graph(edges.replace({"placebo": shared}))
    assert shared in drawing.alt and palette.class_colours()[shared] in to_svg(drawing)
    review = open_review(tmp_path / "rev")
    forest = forest_network(review.forest("pain").replace({"TENS": shared}), **review.direction("pain"))
    assert palette.class_colours()[shared] in to_svg(forest)
    with pytest.raises(ValueError, match="treatment class 'yoga' is not one of"):
        palette.colours_of([shared, "yoga"])
