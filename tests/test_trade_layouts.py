"""Common layouts beyond ``cases/``: each is read as its authors mean it, or refused with the option that resolves it.

Silent errors that were reported, and the tests against them:

=====================================================  ==========================================================
points between thousands                               test_cases: points_between_thousands_are_read_and_reported
zero-width characters, hyphens, blanks                 test_cases: a_zero_width_character..., look_alike_names...;
                                                       here: unusual blanks, accents, numbers
SE mapped to SD, SE typed as SD                        test_cases: standard_errors_typed_as_sds...; here: REFUSED
an OR column taken as log OR, log RR called OR         test_cases: what_may_be_another_scale...; here: REFUSED
te called SMD on every page                            test_cases: a_hazard_ratio_stays_one...;
                                                       test_a_page_names_the_measure_of_each_outcome
02-Mar as a study                                      test_cases: a_study_that_looks_like_a_date...; here: DATES
names with a colon                                     test_engine_names, here: a_colon_in_a_name
"no events" for a missing cell                         here: a_missing_count_is_listed_as_not_given
0.5 for zero cells                                     test_cases: zero_cells_are_corrected_and_reported; here: rates
a rate file read as OR                                 test_cases: person_time_that_is_not_used_is_noted
follow-up read as person-time                          here: REFUSED
an estimator that nobody names                         here: every_page_that_depends_on_the_model_names_it
=====================================================  ==========================================================

Expected values are computed independently of the package, by the formula given.
"""

from __future__ import annotations

import math

import pytest

from living_examples import each_measure, read
from psps_paper.living.importing import report
from psps_paper.tables.errors import TableError

pytestmark = pytest.mark.slow

Z = 1.959963984540054
MD_SE = math.sqrt(2.0**2 / 40 + 2.2**2 / 41)
OR = math.log((9 / 31) / (5 / 36))
OR_SE = math.sqrt(1 / 9 + 1 / 31 + 1 / 5 + 1 / 36)
HR_SE = math.log(0.98 / 0.5) / (2 * Z)
ARMS = "Ash,x,40,5.1,2.0\nAsh,y,41,4.1,2.2\n"
X_Y = {("Ash", "x", "y"): (1.0, MD_SE)}
COMPLETED = math.sqrt(0.2**2 + 0.22**2 - 2 * 0.1**2)  # the two contrasts share the baseline arm


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data folder with one outcome of each measure."""
    return each_measure(tmp_path_factory.mktemp("trade"))


# name: text, kind, outcome, options, expected (te, se), words of the report
READ = {
    "multinma, effects beside arms": (
        "studyn,trtn,y,se,n,diff,se_diff\n1,1,-1.22,0.504,54,NA,0.504\n1,3,-1.53,0.439,95,-0.31,0.668\n",
        ("contrasts", "score_md", {}),
        {("1", "3", "1"): (-0.31, 0.668)},
        "te from diff, se from se_diff",
    ),
    "multinma, labels beside numbers": (
        "studyn,studyc,trtn,trtc,r,n\n1,Ash,1,x,9,40\n1,Ash,2,y,5,41\n",
        ("arms", "events_or", {}),
        {("Ash", "x", "y"): (OR, OR_SE)},
        "study from studyc, treatment from trtc",
    ),
    "gemtc, three arms with the baseline's error": (
        "study,treatment,diff,std.err\nAsh,p,NA,0.1\nAsh,x,-0.2,0.2\nAsh,y,-0.4,0.22\n",
        ("contrasts", "score_md", {}),
        {("Ash", "x", "p"): (-0.2, 0.2), ("Ash", "y", "p"): (-0.4, 0.22), ("Ash", "x", "y"): (0.2, COMPLETED)},
        "completed from the standard error of the shared baseline arm",
    ),
    "wide arms by id": (
        "id,event1,n1,event2,n2,treat1,treat2\nAsh,9,40,5,41,x,y\n",
        ("arms", "events_or", {}),
        {("Ash", "x", "y"): (OR, OR_SE)},
        "common names",
    ),
    "metafor, yi and vi": (
        "trial,treatment,comparator,yi,vi\nAsh,x,y,-0.3,0.04\n",
        ("contrasts", "score_md", {}),
        {("Ash", "x", "y"): (-0.3, 0.2)},
        "se is the square root of the variance: column vi",
    ),
    "metafor, counts": (
        "trial,ai,n1i,ci,n2i\nAsh,9,40,5,41\n",
        ("arms", "events_or", {"constants": {"treat1": "x", "treat2": "y"}}),
        {("Ash", "x", "y"): (OR, OR_SE)},
        "metafor",
    ),
    "metafor, rates": (
        "author,year,x1i,t1i,x2i,t2i\nAsh,2001,9,200,5,210\n",
        ("arms", "irr", {"constants": {"treat1": "x", "treat2": "y"}}),
        {("Ash 2001", "x", "y"): (math.log(9 / 200 / (5 / 210)), math.sqrt(1 / 9 + 1 / 5))},
        "year from year",
    ),
    "tidy estimates": (
        "study,treat1,treat2,estimate,std.error,p.value\nAsh,x,y,-0.3,0.2,0.13\n",
        ("contrasts", "score_md", {}),
        {("Ash", "x", "y"): (-0.3, 0.2)},
        "se from std.error",
    ),
    "MD with a p-value": (
        "study,treat1,treat2,MD,P value\nAsh,x,y,-0.3,0.0455\n",
        ("contrasts", "score_md", {}),
        {("Ash", "x", "y"): (-0.3, 0.3 / 2.0000024438996025)},  # the normal quantile of 1 - 0.0455/2
        "se was taken from the two-sided p-value",
    ),
    "an interval in one column": (
        "study,treat1,treat2,HR,95% CI\nAsh,x,y,0.7,0.50 to 0.98\nBay,x,y,0.7,[0.50; 0.98]\n",
        ("contrasts", "hr", {}),
        {(name, "x", "y"): (math.log(0.7), HR_SE) for name in ("Ash", "Bay")},
        "column '95% CI' was read as 95% CI lower, 95% CI upper",
    ),
    "estimate and interval in one cell": (
        "study;treat1;treat2;HR (95 % CI)\nAsh;x;y;0,70 (0,50\N{EN DASH}0,98)\nBay;x;y;NA\n",
        ("contrasts", "hr", {}),
        {("Ash", "x", "y"): (math.log(0.7), HR_SE)},
        "column 'HR (95 % CI)' was read as HR, 95% CI lower, 95% CI upper",
    ),
    "negative limits": (
        'study,treat1,treat2,MD,CI (95%)\nAsh,x,y,-0.3,"(-0.7, 0.1)"\n',
        ("contrasts", "score_md", {}),
        {("Ash", "x", "y"): (-0.3, 0.8 / (2 * Z))},
        "column 'CI (95%)' was read as",
    ),
    "author and year, numbered rows": (
        "id,Author,Publication year,Intervention,n,mean,sd\n1,Ash,2001,x,40,5.1,2\n2,Ash,2001,y,41,4.1,2.2\n",
        ("arms", "score_md", {}),
        {("Ash 2001", "x", "y"): (1.0, MD_SE)},
        "study from Author, year from Publication year",
    ),
    "RevMan Web, inverse variance": (
        "Study,GIV Mean,GIV SE\nAsh,-0.3,0.2\nBay,,\n",
        ("contrasts", "hr", {"constants": {"treat1": "x", "treat2": "y"}}),
        {("Ash", "x", "y"): (-0.3, 0.2)},
        "not used: row 2: nothing but 'Bay' in the row",
    ),
    "sep= in quotes": (
        '"sep=;"\nStudy;Treatment;n;mean;sd\nAsh;x;40;5,1;2\nAsh;y;41;4,1;2,2\n',
        ("arms", "score_md", {}),
        X_Y,
        "decimal commas were read as decimal points",
    ),
    "notes beside and below": (
        f"Study,Treatment,n,mean,sd,\n{ARMS.replace(chr(10), ',see text' + chr(10), 1)}* completers only, see text\nNote\n",
        ("arms", "score_md", {}),
        X_Y,
        "column 6 has no name and holds text next to the table, which is not read: 'see text'",
    ),
    "headings between rows": (
        f"Study,Treatment,n,mean,sd\nTrials at home,,,,\n{ARMS}",
        ("arms", "score_md", {}),
        X_Y,
        "not used: row 1: nothing but 'Trials at home' in the row",
    ),
    "thousands with blanks": (
        "study;treatment;n;mean;sd\nAsh;x;1\N{NARROW NO-BREAK SPACE}040;5,1;2\nAsh;y;1 041;4,1;2,2\n",
        ("arms", "score_md", {}),
        {("Ash", "x", "y"): (1.0, math.sqrt(4 / 1040 + 4.84 / 1041))},
        "blanks or apostrophes were read as separators of thousands: column n, row 1 (1",
    ),
    "en dash as minus": (
        "study,treat1,treat2,te,se\nAsh,x,y,\N{EN DASH}0.3,0.2\n",
        ("contrasts", "score_md", {}),
        {("Ash", "x", "y"): (-0.3, 0.2)},
        "typographic minus signs were read as minus",
    ),
    "unusual blanks and accents": (
        "study,treatment,n,mean,sd\nRen\u00e9\u00a01,x,40,5.1\u200b,2\nRene\u0301 1,y,41,4.1,2.2\n",
        ("arms", "score_md", {}),
        {("Ren\u00e9 1", "x", "y"): (1.0, MD_SE)},
        "unusual blanks or accents were normalised in 'Ren\\xe9\\xa01': row 1",
    ),
    "person-time that is the same in equal arms": (
        "study,treatment,events,n,time\nAsh,x,9,40,200\nAsh,y,5,40,200\n",
        ("arms", "irr", {}),
        {("Ash", "x", "y"): (math.log(9 / 5), math.sqrt(1 / 9 + 1 / 5))},
        "IRR of each pair of arms",
    ),
    "no event in an arm of a rate": (
        "study,treatment,events,time\nAsh,x,0,200\nAsh,y,5,210\n",
        ("arms", "irr", {}),
        {("Ash", "x", "y"): (math.log(0.5 / 200 / (5.5 / 210)), math.sqrt(1 / 0.5 + 1 / 5.5))},
        "0.5 was added to each cell of studies with an empty cell (zero_cells in outcomes.csv), before its logarithm",
    ),
    "a colon in a name": (
        "study,treatment,n,mean,sd\nAsh,A:B,40,5.1,2\nAsh,C,41,4.1,2.2\n",
        ("arms", "score_md", {}),
        {("Ash", "A:B", "C"): (1.0, MD_SE)},
        "treatments: A:B, C",
    ),
}


@pytest.mark.parametrize("name", READ)
def test_a_layout_is_read_as_its_authors_mean_it_and_the_report_says_how(data, name):
    text, (kind, outcome, options), expected, said = READ[name]
    result = read(data, text, kind, outcome, **options)
    found = {(row.study, row.treat1, row.treat2): (row.te, row.se) for row in result.contrasts.itertuples()}
    for (study, first, second), (te, se) in expected.items():
        turned = (study, second, first) in found
        key = (study, second, first) if turned else (study, first, second)
        assert found.pop(key) == (pytest.approx(-te if turned else te, abs=1e-9), pytest.approx(se))
    assert not found
    assert said in report(result), report(result)
    assert result.source["read"] == result.source["used"] + len(result.listed)


REFUSED = {
    "follow-up as person-time": (
        "study,treatment,events,n,time\nAsh,x,43,1081,5.8\nAsh,y,34,2213,5.8\n",
        ("arms", "irr", {}),
        "if it is person-time, use --map 'time=time'",
    ),
    "SE mapped to SD": (
        "study,treatment,n,mean,Std. error\nAsh,x,40,5,0.3\nAsh,y,41,4,0.3\n",
        ("arms", "score_md", {"mapping": {"sd": "Std. error"}}),
        "--map se=COLUMN reads them as such",
    ),
    "SMD in an outcome of MD": (
        "study,treat1,treat2,SMD,se\nAsh,x,y,-0.3,0.2\n",
        ("contrasts", "score_md", {}),
        "column 'SMD' holds SMD, by its name, but outcome score_md is measured as MD in outcomes.csv; choose another with"
        " --outcome, or use --map 'te=SMD'",
    ),
    "variance of a ratio": (
        "study,treat1,treat2,OR,vi\nAsh,x,y,0.5,0.04\n",
        ("contrasts", "events_or", {}),
        "give the limits of the interval (lower, upper) instead, or the logarithm as te",
    ),
    "a hyphen between negative limits": (
        "study,treat1,treat2,MD,95% CI\nAsh,x,y,-0.3,-0.7-0.1\n",
        ("contrasts", "score_md", {}),
        "also needs se; name the columns, as in --map se=COLUMN",
    ),
    "a percentage beside a count": (
        "study,treatment,events,n\nAsh,x,9 (22%),40\nAsh,y,5,41\n",
        ("arms", "events_or", {}),
        "row 1, column events: '9 (22%)' is not a count",
    ),
    "decimal commas between commas": (
        'study,treatment,n,mean,sd\nAsh,x,40,"5,1",2\nAsh,y,41,"4,1",2\n',
        ("arms", "score_md", {}),
        "use --decimal comma, or point if commas separate thousands",
    ),
    "one study in two spellings": (
        "study,treatment,n,mean,sd\nAsh 1,x,40,5.1,2\nASH 1,y,41,4.1,2.2\n",
        ("arms", "score_md", {}),
        "studies 'ASH 1' and 'Ash 1' differ in upper and lower case only and count as 2",
    ),
    "limits of a mean": (
        "study,treatment,n,mean,lower,upper\nAsh,x,40,5,4,6\nAsh,y,41,4,3,5\n",
        ("arms", "score_md", {}),
        "columns not read, unless --map names them: lower, upper",
    ),
    "a comma in an unquoted name": (
        "study,n,mean,sd,treatment\nAsh,40,5.1,2,drug, low dose\nAsh,41,4.1,2.2,placebo\n",
        ("arms", "score_md", {}),
        "row 1: 6 cells where the header has 5",
    ),
    "a last line that was cut off": (
        "study,treatment,n,mean,sd\nAsh,x,40,5.1,2\nAsh,y\n",
        ("arms", "score_md", {}),
        "row 2: 2 cells where the header has 5",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_ambiguous_input_is_refused_with_the_option_that_resolves_it(data, name):
    text, (kind, outcome, options), message = REFUSED[name]
    with pytest.raises(TableError) as caught:
        read(data, text, kind, outcome, **options)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_person_time_is_read_where_the_option_says_so(data):
    text, (kind, outcome, _), _ = REFUSED["follow-up as person-time"]
    result = read(data, text, kind, outcome, mapping={"time": "time"})
    assert result.contrasts["te"].tolist() == [pytest.approx(math.log(43 / 34))]


@pytest.mark.parametrize("missing", ["", "NA", "NR", "not reported"])
def test_a_missing_count_is_listed_as_not_given(data, missing):
    """Never as "no events": the count isn't zero but unknown."""
    rows = f"Ash,x,{missing},40\nAsh,y,5,41\nAsh,z,9,40\n"
    result = read(data, "study,treatment,events,n\n" + rows, "arms", "events_or")
    assert result.listed["reason"].tolist() == ["x: events not given"] and len(result.contrasts) == 1
    assert "no events" not in report(result)


@pytest.mark.parametrize("study", ["02-Mar", "Mar-02", "2002-03-01", "1.3.2002", "01/03/2002", "2-Okt-2002"])
def test_a_study_named_like_a_date_is_noted_however_the_spreadsheet_writes_it(data, study):
    result = read(data, "study,treat1,treat2,te,se\n" + f"{study},x,y,-0.3,0.2\n", "contrasts", "score_md")
    assert any("looks like a date" in note and repr(study) in note for note in result.warnings)
