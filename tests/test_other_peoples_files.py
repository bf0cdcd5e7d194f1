"""Files as other people have them, beyond ``test_trade_layouts.py``: read with the right numbers and said, or refused.

Expected values by the formula beside each, apart from the package.
"""

from __future__ import annotations

import math

import pytest

from living_examples import each_measure, read
from psps_paper.living.importing import report
from psps_paper.living.model import Import
from psps_paper.tables.errors import TableError

pytestmark = pytest.mark.slow

Z = 1.959963984540054
X_Y = {"treat1": "x", "treat2": "y"}
ARMS = "study,treatment,n,mean,sd\nAsh,x,40,5.1,2.0\nAsh,y,41,4.1,2.2\n"
# Columns of a RevMan 5 export that the tests fill; others of the real one are blank
REVMAN_5_HEADER = (
    "Comparison Number,Outcome Number,Subgroup Number,Name,Data Type,Effect Measure,Events 1,Mean 1,SD 1,Total 1,"
    "Events 2,Mean 2,SD 2,Total 2,O-E,Variance,Effect Estimate,SE,CI Start,CI End,Q,df,Group Label 1,Group Label 2,"
    "Year of study,User defined order"
)
REVMAN_5 = REVMAN_5_HEADER.split(",")
REVMAN_WEB = (
    "Analysis group,Analysis number,Analysis name,Subgroup,Applicability,Study,Study year,GIV Mean,GIV SE,"
    "Experimental mean,Experimental SD,Experimental cases,Experimental N,Control mean,Control SD,Control cases,"
    "Control N,O-E,Variance,Weight,Mean,CI start,CI end,Footnotes\n"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data folder with one outcome of each measure."""
    return each_measure(tmp_path_factory.mktemp("others"))


def effects(result: Import) -> dict[tuple[str, str, str], tuple[float, float]]:
    assert result.source["read"] == result.source["used"] + len(result.listed)
    found = {(row.study, row.treat1, row.treat2): (row.te, row.se) for row in result.contrasts.itertuples()}
    assert len(found) == len(result.contrasts)
    return found


def refused(data, *arguments, **options) -> str:
    with pytest.raises(TableError) as caught:
        read(data, *arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def md(mean1, sd1, n1, mean2, sd2, n2) -> tuple:
    return pytest.approx(mean1 - mean2), pytest.approx(math.sqrt(sd1**2 / n1 + sd2**2 / n2))


def log_or(a, n1, c, n2) -> tuple:
    """Woolf."""
    te = math.log(a * (n2 - c) / (c * (n1 - a)))
    return pytest.approx(te), pytest.approx(math.sqrt(1 / a + 1 / (n1 - a) + 1 / c + 1 / (n2 - c)))


def near(te: float, se: float) -> tuple:
    return pytest.approx(te, abs=1e-6), pytest.approx(se, abs=1e-6)


ASH = {("Ash", "x", "y"): md(5.1, 2, 40, 4.1, 2.2, 41)}


def revman_5(*rows: dict) -> str:
    """A RevMan 5 export: the heading of its comparison, and rows of the first outcome."""
    fixed = {"Comparison Number": 1, "Outcome Number": 1, "Subgroup Number": 0}
    lines = [",".join(REVMAN_5), "1,0,0,Drug against placebo" + "," * (len(REVMAN_5) - 4)]
    lines += [",".join(str((fixed | row).get(column, "")) for column in REVMAN_5) for row in rows]
    return "\n".join(lines) + "\n"


def heading(data_type: str, measure: str, **more) -> dict:
    given = {"Name": "Survival", "Data Type": data_type, "Effect Measure": measure, "Events 1": 0, "Total 1": 0}
    return {**given, "Q": 1.2, "df": 1, "Group Label 1": "Drug", "Group Label 2": "Placebo", **more}


def generic(name: str, te: float, se: float, scale, **more) -> dict:
    limits = [scale(te + side * Z * se) for side in (-1, 1)]
    zeros = {f"{column} {arm}": 0 for column in ("Events", "Mean", "SD", "Total") for arm in (1, 2)}
    effect = {"Effect Estimate": round(scale(te), 8), "SE": se, "CI Start": limits[0], "CI End": limits[1]}
    return {"Name": name, **zeros, **effect, "Year of study": 2001, "User defined order": 1, **more}


def plain(value: float) -> float:
    return value


GENERIC = {("Ash 2001", "Drug", "Placebo"): near(-0.3, 0.15), ("Bay 2003", "Drug", "Placebo"): near(-0.2, 0.2)}


@pytest.mark.parametrize(("measure", "outcome", "scale"), [("HR", "hr", math.exp), ("MD", "score_md", plain)])
def test_generic_inverse_variance_of_revman_5_is_read_on_the_scale_of_the_outcome(data, measure, outcome, scale):
    rows = [generic("Ash 2001", -0.3, 0.15, scale), generic("Bay 2003", -0.2, 0.2, scale)]
    result = read(data, revman_5(heading("IV", measure), *rows), "contrasts", outcome)
    assert effects(result) == GENERIC
    assert ("the logarithm was taken of column Effect Estimate: row 3, 4" in report(result)) == (measure == "HR")


def test_subgroups_of_revman_5_are_headings_and_their_studies_rows(data):
    men, women = (
        heading("", "", Name=name, **{"Subgroup Number": k, "Group Label 1": "", "Group Label 2": ""})
        for k, name in ((1, "Men"), (2, "Women"))
    )
    rows = [
        men,
        generic("Ash 2001", -0.3, 0.15, math.exp, **{"Subgroup Number": 1}),
        women,
        generic("Bay 2003", -0.2, 0.2, math.exp, **{"Subgroup Number": 2}),
    ]
    result = read(data, revman_5(heading("IV", "HR"), *rows), "contrasts", "hr")
    assert effects(result) == GENERIC
    assert list(result.listed["row"]) == ["1", "2", "3", "5"]


def test_revman_5_that_is_on_the_log_scale_already_is_refused(data):
    rows = [generic("Ash 2001", 0.7, 0.15, plain)]
    message = refused(data, revman_5(heading("IV", "HR"), *rows), "contrasts", "hr")
    assert "row 3, column Effect Estimate: the effect is not in the middle of its interval" in message


def test_observed_minus_expected_of_revman_5_and_web(data):
    """Peto: te = (O-E)/V, se = 1/sqrt(V)."""
    expected = {("Ash", "Drug", "Placebo"): near(-4.2 / 11, 11**-0.5)}
    row = {"Name": "Ash", "O-E": -4.2, "Variance": 11, "User defined order": 1}
    result = read(data, revman_5(heading("IPD", "HR"), row), "contrasts", "hr")
    assert effects(result) == expected and "te is O-E divided by its variance" in report(result)
    web = REVMAN_WEB + "1,1,Survival,,,Ash,2001,,,,,15,45,,,20,44,-4.2,11,40,0.68,0.38,1.23,\n"
    names = {"treat1": "Drug", "treat2": "Placebo"}
    result = read(data, web, "contrasts", "hr", constants=names)
    assert effects(result) == expected and "te is O-E divided by its variance" in report(result)


@pytest.mark.parametrize(
    ("row", "kind", "outcome", "message"),
    [
        (heading("IV", "MD"), "contrasts", "hr", "the analysis is in MD, but outcome hr is measured as HR"),
        (heading("IV", "MD"), "arms", "score_md", "use --kind contrasts"),
        (heading("CON", "MD"), "arms", "events_or", "data type CON, whose arms give SMD, MD, ROM"),
        (heading("DIC", "OR"), "arms", "score_md", "data type DIC, whose arms give OR, RR, RD"),
        (heading("IV", "HR", **{"Group Label 1": ""}), "contrasts", "hr", "give it with --set treat1=NAME"),
    ],
)
def test_an_analysis_of_revman_5_that_is_another_than_the_outcome_is_refused(data, row, kind, outcome, message):
    text = revman_5(row, generic("Ash 2001", 0.3, 0.15, math.exp, **{"Total 1": 20, "Total 2": 20}))
    assert message in refused(data, text, kind, outcome)


def test_several_analyses_of_revman_web_are_never_mixed(data):
    """Overall and progression-free survival of the same studies came out as one network of eight estimates."""
    rows = "1,{k},{name},,,Ash,2001,-0.{k},0.15,,,,,,,,,,,40,0.74,0.55,0.99,\n"
    text = REVMAN_WEB + rows.format(k=1, name="OS") + rows.format(k=2, name="PFS")
    assert "holds 2 analyses; choose one: --where" in refused(data, text, "contrasts", "hr", constants=X_Y)
    result = read(data, text, "contrasts", "hr", constants=X_Y, where={"Analysis number": "2"})
    assert effects(result) == {("Ash", "x", "y"): near(-0.2, 0.15)}
    assert "--set treat1=NAME --set treat2=NAME" in refused(data, text, "contrasts", "hr")


# Each of these passed without a word
def test_one_name_with_two_years_is_two_studies(data):
    rows = "Ash,2001,x,40,5.1,2\nAsh,2001,y,41,4.1,2.2\nAsh,2005,{0},40,5.1,2\nAsh,2005,{1},41,4.1,2.2\n"
    for first, second in (("x", "y"), ("z", "w")):
        result = read(data, "study,year,treatment,n,mean,sd\n" + rows.format(first, second), "arms", "score_md")
        found = {key if key[1] == first else (key[0], key[2], key[1]) for key in effects(result) if "2005" in key[0]}
        assert len(effects(result)) == 2 and found == {("Ash 2005", first, second)}
        assert "the year was joined to the names of studies" in report(result)


@pytest.mark.parametrize("name", ["Total", "Subtotal (95% CI)", "Pooled estimate", "Overall", "Random effects model"])
def test_a_total_is_no_study(data, name):
    text = f"study,treat1,treat2,te,se\nAsh,x,y,-0.3,0.2\nTotal Knee 2001,x,y,-0.2,0.2\n{name},x,y,-0.25,0.14\n"
    result = read(data, text, "contrasts", "score_md")
    assert {key[0] for key in effects(result)} == {"Ash", "Total Knee 2001"}
    assert result.listed["reason"].tolist() == [f"{name!r} is a total or pooled result by its name, not a study"]


def test_time_points_and_subgroups_are_told_apart_by_the_option_that_chooses(data):
    rows = "Ash,4,x,y,-0.3,0.2\nAsh,12,x,y,-0.5,0.2\n"
    notes = read(data, "study,week,treat1,treat2,te,se\n" + rows, "contrasts", "score_md").warnings
    assert any("differ in column week" in note and "--where 'week=4'" in note for note in notes)
    text = ARMS.replace("study,", "week,study,").replace("Ash", "4,Ash")
    text += "12,Ash,x,38,6,2\n12,Ash,y,40,4,2\n"
    assert "--where 'week=4'" in refused(data, text, "arms", "score_md")
    assert "holds 2 outcomes" in refused(data, "study,endpoint,treat1,treat2,te,se\n" + rows, "contrasts", "score_md")


@pytest.mark.parametrize(
    "other", ["x*", "x\N{DAGGER}", "\N{LEFT DOUBLE QUOTATION MARK}x\N{RIGHT DOUBLE QUOTATION MARK}"]
)
def test_a_footnote_or_quotation_mark_makes_no_second_treatment_without_a_word(data, other):
    text = ARMS + f"Bay,{other},40,5.1,2\nBay,y,41,4.1,2.2\n"
    assert any(f"--label '{other}=x'" in note for note in read(data, text, "arms", "score_md").warnings)


def test_the_code_of_a_missing_value_is_noted(data):
    result = read(data, ARMS + "Bay,x,30,-999,2\nBay,y,30,5,2\n", "arms", "score_md")
    assert any("-999 in column mean may be the code of a missing value (row 3)" in note for note in result.warnings)


@pytest.mark.parametrize("gap", ["\t", " "])
def test_rectangular_data_of_bugs(data, gap):
    header = "t[,1] t[,2] t[,3] r[,1] n[,1] r[,2] n[,2] r[,3] n[,3] na[]"
    lines = [header, "1 2 NA 9 40 5 41 NA NA 2", "1 2 3 9 40 5 41 6 52 3", "END"]
    text = "\n".join(line.replace(" ", gap) for line in lines) + "\n"
    result = read(data, text, "arms", "events_or", file="table.txt")
    found = effects(result)
    assert found.pop(("1", "1", "2")) == found.pop(("2", "1", "2")) == log_or(9, 40, 5, 41)
    assert found == {("2", "1", "3"): log_or(9, 40, 6, 52), ("2", "2", "3"): log_or(5, 41, 6, 52)}
    assert "studies without a name were numbered by row" in report(result)


def change(mean1, mean2) -> dict:
    return {("Ash", "x", "y"): md(mean1, 2, 40, mean2, 2.2, 41)}


EVENTS = {("Ash", "x", "y"): log_or(9, 40, 5, 41)}
NAMED = {("Ash", "A", "B"): md(5.1, 2, 40, 4.1, 2.2, 41)}
WAN = {("Ash", "x", "y"): near((5 + 4 + 6.5) / 3 - (4 + 3 + 5) / 3, 0.386643562)}  # SDs by Wan 2014 with n 40 and 41
# name: text, kind, outcome, options, expected (te, se), words of the report
READ = {
    "mean (SD)": (
        "study,treatment,n,mean (SD)\nAsh,x,40,5.1 (2.0)\nAsh,y,41,4.1 (2.2)\n",
        ("arms", "score_md", {}),
        ASH,
        "column 'mean (SD)' was read as mean, sd",
    ),
    "mean with plus-minus": (
        "study;treatment;n;Mean\u00b1SD\nAsh;x;40;\u22125,1\u00b12,0\nAsh;y;41;\u22124,1 \u00b1 2,2\n",
        ("arms", "score_md", {}),
        change(-5.1, -4.1),
        "column 'Mean\u00b1SD' was read as mean, sd",
    ),
    "mean (SE)": (
        "study,treatment,n,mean (SE)\nAsh,x,40,5.1 (0.3)\nAsh,y,41,4.1 (0.4)\n",
        ("arms", "score_md", {}),
        {("Ash", "x", "y"): near(1.0, 0.5)},
        "SD from the standard error of the mean",
    ),
    "mean (SD) of each arm": (
        "study,A n,A mean (SD),B n,B mean (SD)\nAsh,40,5.1 (2.0),41,4.1 (2.2)\n",
        ("arms", "score_md", {}),
        NAMED,
        "the names of treatments were taken from those of columns: A, B",
    ),
    "events/n": (
        "study,treatment,n/N (%)\nAsh,x,9/40 (22.5%)\nAsh,y,5/41 (12.2%)\n",
        ("arms", "events_or", {}),
        EVENTS,
        "column 'n/N (%)' was read as events, n, without the percentages",
    ),
    "events (%)": (
        "study,treatment,N,events (%)\nAsh,x,40,9 (22.5)\nAsh,y,41,5 (12.2)\n",
        ("arms", "events_or", {}),
        EVENTS,
        "column 'events (%)' was read as events, without the percentages",
    ),
    "median [IQR]": (
        "study,treatment,n,median [IQR]\nAsh,x,40,5 [4; 6.5]\nAsh,y,41,4 [3-5]\n",
        ("arms", "score_md", {}),
        WAN,
        "column 'median [IQR]' was read as median, q1, q3",
    ),
    "columns of meta": (
        "studlab,event.e,n.e,event.c,n.c\nAsh,9,40,5,41\n",
        ("arms", "events_or", {"constants": X_Y}),
        EVENTS,
        "events1 from event.e",
    ),
    "words for the two groups": (
        "Study,Events (intervention),Total (intervention),Events (control),Total (control)\nAsh,9,40,5,41\n",
        ("arms", "events_or", {"constants": X_Y}),
        EVENTS,
        "n2 from Total (control)",
    ),
    "arms numbered in front": (
        "Study ID,Arm 1: Name,Arm 1: N,Arm 1: Mean,Arm 1: SD,Arm 2: Name,Arm 2: N,Arm 2: Mean,Arm 2: SD\n"
        "Ash,x,40,5.1,2,y,41,4.1,2.2\n",
        ("arms", "score_md", {}),
        ASH,
        "treatment1 from Arm 1: Name",
    ),
    "Stata, augmented": (
        "study,dA,nA,dB,nB,dC,nC\nAsh,9,40,5,41,,\nBay,8,50,,,6,52\n",
        ("arms", "events_or", {}),
        {("Ash", "A", "B"): log_or(9, 40, 5, 41), ("Bay", "A", "C"): log_or(8, 50, 6, 52)},
        "the names of treatments were taken from those of columns: A, B, C",
    ),
    "events and non-events": (
        "author,year,ai,bi,ci,di\nAsh,2001,9,31,5,36\n",
        ("arms", "events_or", {"constants": X_Y}),
        {("Ash 2001", "x", "y"): log_or(9, 40, 5, 41)},
        "n1i is the sum of ai and bi",
    ),
    "other words for columns": (
        "Author,Group,No. of patients,Mean,Std. Deviation\nAsh,x,40,5.1,2\nAsh,y,41,4.1,2.2\n",
        ("arms", "score_md", {}),
        ASH,
        "study from Author, treatment from Group, n from No. of patients",
    ),
    "two lines of header": (
        "Study,A,,,B,,\n,n,mean,sd,n,mean,sd\nAsh,40,5.1,2,41,4.1,2.2\n",
        ("arms", "score_md", {}),
        NAMED,
        "two lines of header were joined: Study, A n",
    ),
    "a line of units": (
        "study,treatment,n,mean,sd\n,,(people),mmHg,mmHg\n" + ARMS.partition("\n")[2],
        ("arms", "score_md", {}),
        ASH,
        "not used: row 1: no study, no treatment and no number, such as a line of units",
    ),
    "the study in its first row only": (
        ARMS.replace("\nAsh,y", "\n,y"),
        ("arms", "score_md", {}),
        ASH,
        "the study was taken from the row above: row 2",
    ),
    "marks of footnotes": (
        ARMS.replace("5.1", "5.1*").replace("41,", "41\N{DAGGER},"),
        ("arms", "score_md", {}),
        ASH,
        "footnote marks were removed from numbers: column n, row 2 (41\N{DAGGER})",
    ),
    "dashes and other words for no number": (
        ARMS + "Bay,x,30,\N{EM DASH},-\nBay,y,30,n.a.,not stated\n",
        ("arms", "score_md", {}),
        ASH,
        "not used: row 3 (Bay): x: no mean, sd",
    ),
    "a comparison in one column": (
        "study,comparison,te,se\nAsh,x vs. y,-0.3,0.2\n",
        ("contrasts", "score_md", {}),
        {("Ash", "x", "y"): near(-0.3, 0.2)},
        "column 'comparison' was read as treat1 and treat2",
    ),
    "names and numbers of two groups": (
        "Study,Intervention,Comparator,Intervention n,Intervention events,Comparator n,Comparator events\n"
        "Ash,x,y,40,9,41,5\n",
        ("arms", "events_or", {}),
        EVENTS,
        "treatment1 from Intervention",
    ),
    "a total among the arms": (
        "study,arm,n,events\nAsh,x,40,9\nAsh,y,41,5\nAsh,Total,81,14\n",
        ("arms", "events_or", {}),
        EVENTS,
        "not used: row 3: 'Total' is a total or pooled result",
    ),
    "an interval beside a p-value that is a bound": (
        "study,treat1,treat2,HR (95% CI),p\nAsh,x,y,0.7 (0.5 to 0.98),<0.05\nBay,x,y,0.7 (0.5 to 0.98),NS\n",
        ("contrasts", "hr", {}),
        {(name, "x", "y"): near(math.log(0.7), math.log(0.98 / 0.5) / (2 * Z)) for name in ("Ash", "Bay")},
        "se was taken from the logarithms of the limits",
    ),
    "raised decimal points": (
        "study,comparison,HR (95% CI)\nAsh,x vs y,0\u00b770 (0\u00b750\u20130\u00b798)\n",
        ("contrasts", "hr", {}),
        {("Ash", "x", "y"): near(math.log(0.7), math.log(0.98 / 0.5) / (2 * Z))},
        "column 'HR (95% CI)' was read as HR",
    ),
    "raised points in numbers": (
        ARMS.replace("5.1", "5\u00b71"),
        ("arms", "score_md", {}),
        ASH,
        "raised points were read as decimal points",
    ),
    "experimental and control": (
        "study,experimental,control,MD,SE\nAsh,x,y,-0.3,0.2\n",
        ("contrasts", "score_md", {}),
        {("Ash", "x", "y"): near(-0.3, 0.2)},
        "treat1 from experimental, treat2 from control",
    ),
    "an interval without its level": (
        "study,treat1,treat2,aHR,CI\nAsh,x,y,0.7,0.5-0.98\n",
        ("contrasts", "hr", {}),
        {("Ash", "x", "y"): near(math.log(0.7), math.log(0.98 / 0.5) / (2 * Z))},
        "column 'CI' was read as 95% CI lower, 95% CI upper, taken to be of 95 %",
    ),
    "net$data of netmeta": (
        ".studlab,.treat1,.treat2,.TE,.seTE,studlab,treat1,treat2,TE,seTE\nAsh,x,y,-.3,.2,Ash,x,y,-.3,.2\n",
        ("contrasts", "score_md", {}),
        {("Ash", "x", "y"): near(-0.3, 0.2)},
        "column '.TE' repeats 'TE' and is not read",
    ),
}


@pytest.mark.parametrize("name", READ)
def test_a_file_is_read_as_its_author_means_it_and_the_report_says_how(data, name):
    text, (kind, outcome, options), expected, said = READ[name]
    result = read(data, text, kind, outcome, **options)
    assert effects(result) == expected
    assert said in report(result), report(result)


FILES = {
    "UTF-16 without a mark": (ARMS.encode("utf-16-le"), "table.csv", "read as UTF-16, by the null characters"),
    "UTF-16 of old Macs": (ARMS.encode("utf-16-be"), "table.csv", "read as UTF-16, by the null characters"),
    "text named as a workbook": (ARMS.replace(",", "\t"), "table.xls", "the file is text and no workbook"),
    "Markdown": (
        "| study | treatment | n | mean | sd |\n|---|:--|--:|--:|--:|\n| Ash | x | 40 | 5.1 | 2 |\n"
        "| Ash | y | 41 | 4.1 | 2.2 |\n",
        "table.txt",
        "n from n",
    ),
    "columns of one width": (
        "study      treatment   n   mean   sd\nAsh        x  40    5.1    2\nAsh        y          41    4.1  2.2\n",
        "table.txt",
        "n from n",
    ),
    "a mark of the end": (ARMS + "\x1a", "table.csv", "n from n"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_make_is_read(data, name):
    content, file, said = FILES[name]
    result = read(data, content, "arms", "score_md", file=file)
    assert effects(result) == ASH and said in report(result)


REFUSED = {
    "one name missing among studies named in every row": (
        ARMS.replace("\nAsh,y", "\n,y") + "Bay,x,30,5,2\nBay,y,30,4,2\n",
        ("arms", "score_md", {}),
        "row 2, column study: '' is not a label",
    ),
    "two moments as treatments": (
        "study,n_pre,mean_pre,sd_pre,n_post,mean_post,sd_post\nAsh,40,5.1,2,41,4.1,2.2\n",
        ("arms", "score_md", {}),
        "fit no known convention for arms",
    ),
    "two outcomes as treatments": (
        "study,pain_n,pain_mean,pain_sd,sleep_n,sleep_mean,sleep_sd\nAsh,40,5.1,2,40,4.1,2.2\n",
        ("arms", "score_md", {}),
        "which may be treatments, outcomes or times; if they are treatments, use --label 'pain=NAME'",
    ),
    "a third arm of which a column is missing": (
        "study,A n,A events,B n,B events,Other n\nAsh,40,9,41,5,40\n",
        ("arms", "events_or", {}),
        "fit no known convention for arms",
    ),
    "an interval of another level": (
        "study,treat1,treat2,MD,90% CI lower,90% CI upper\nAsh,x,y,-0.3,-0.7,0.1\n",
        ("contrasts", "score_md", {"mapping": {"lower": "90% CI lower", "upper": "90% CI upper"}}),
        "holds a limit of an interval of 90 %, and 95 % is expected",
    ),
    "a cell that is no mean with its SD": (
        "study,treatment,n,mean (SD)\nAsh,x,40,5.1 (2.0)\nAsh,y,41,about 4\n",
        ("arms", "score_md", {}),
        "if column 'mean (SD)' is meant",
    ),
    "a page of the web": (
        b"<html><table><tr><th>study</th></tr></table></html>",
        ("arms", "score_md", {}),
        "save it as",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_doubtful_stops_with_one_sentence(data, name):
    text, (kind, outcome, options), message = REFUSED[name]
    file = "table.xls" if isinstance(text, bytes) else "table.csv"
    assert message in refused(data, text, kind, outcome, file=file, **options)


LISTS = {
    "WinBUGS, row by row": (
        "# two trials\nlist(N=2, NT=3,\n r=structure(.Data=c(9,5,4,8,6,NA),.Dim=c(2,3)),\n"
        " n=structure(.Data=c(40,41,42,50,52,NA), .Dim=c(2,3)), t=structure(.Data=c(1,2,3,1,3,NA),.Dim=c(2,3)), na=c(3,2))\n"
    ),
    "a dump of R, column by column": (
        '"r" <- structure(c(9, 8, 5, 6, 4, NA), .Dim = c(2L, 3L))\n"n" <-\nstructure(c(40, 50, 41, 52, 42, NA), .Dim = c(2L,'
        ' 3L))\n"t" <- structure(c(1, 1, 2, 3, 3, NA), .Dim = c(2L, 3L))\n'
    ),
}


@pytest.mark.parametrize("way", LISTS)
def test_a_list_of_bugs_and_a_dump_of_r_hold_the_same_trials(data, way):
    """BUGS fills its matrices by rows (.Data), R by columns."""
    result = read(data, LISTS[way], "arms", "events_or", file="table.txt")
    assert effects(result) == {
        ("1", "1", "2"): log_or(9, 40, 5, 41),
        ("1", "1", "3"): log_or(9, 40, 4, 42),
        ("1", "2", "3"): log_or(5, 41, 4, 42),
        ("2", "1", "3"): log_or(8, 50, 6, 52),
    }
    assert f"matrices were read {way.partition(', ')[2]}: r, n, t" in report(result)


def test_a_matrix_of_another_size_is_refused(data):
    text = "list(r=structure(.Data=c(9,5,8),.Dim=c(2,2)))\n"
    assert "matrix 'r' has 3 values" in refused(data, text, "arms", "events_or", file="table.txt")


def test_limits_beside_a_standard_error_check_its_scale(data):
    """The estimate was taken as a logarithm because a standard error stood beside the interval of the ratio."""
    columns = "study,treat1,treat2,estimate,se,lower,upper\n"
    assert "--map 'ratio=estimate' takes the logarithm" in refused(
        data, columns + "Ash,x,y,0.74,0.2,0.5,1.095\n", "contrasts", "events_or"
    )
    wide = read(data, columns + "Ash,x,y,-0.3,2,-0.7,0.1\n", "contrasts", "score_md")
    assert "the interval does not agree with the standard error" in report(wide)
    right = read(
        data, columns + "Ash,x,y,-0.3,0.2,-0.692,0.092\nBay,x,y,-0.3,0.2,below -1,0.1\n", "contrasts", "score_md"
    )
    assert "does not agree" not in report(right) and len(effects(right)) == 2


@pytest.mark.parametrize("column", ["Std diff in means", "Hedges's g", "Cohen's d"])
def test_a_standardised_difference_goes_by_several_names(data, column):
    text = f"Study name,treat1,treat2,{column},Std Err\nAsh,x,y,-0.3,0.2\n"
    assert effects(read(data, text, "contrasts", "score_smd")) == {("Ash", "x", "y"): near(-0.3, 0.2)}
