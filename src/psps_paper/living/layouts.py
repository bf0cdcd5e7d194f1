"""Common layouts of tables of trials; a sample of each is imported whenever the book is built."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from psps_paper.living.importing import convert
from psps_paper.living.model import Options
from psps_paper.living.new_review import build_data
from psps_paper.living.reading import table_from_bytes
from psps_paper.tables.errors import TableError
from psps_paper.tables.files import write_atomically


@dataclass(frozen=True)
class Sample:
    """A small made-up table in one layout.

    Attributes
    ----------
    layout : str
        Name of the layout, for readers.
    outcome : str
        One of :data:`OUTCOMES`.
    kind : {"arms", "contrasts"}
    text : str or bytes
    file : str
    options : dict
        Further fields of :class:`psps_paper.living.model.Options`; empty if the file needs none.
    """

    layout: str
    outcome: str
    kind: str
    text: str | bytes
    file: str = "table.csv"
    options: dict = field(default_factory=dict)


# Outcomes of the sample review into which the tables are imported: measure and initial table.
OUTCOMES = {
    "score": ("MD", "study,treatment,n,mean,sd\nA,x,20,5,2\nA,y,20,4,2\n", "arms"),
    "events": ("OR", "study,treatment,n,events\nA,x,40,9\nA,y,40,5\n", "arms"),
    "rate": ("IRR", "study,treatment,events,time\nA,x,9,200\nA,y,5,210\n", "arms"),
    "survival": ("HR", "study,treat1,treat2,logHR,se\nA,x,y,-0.3,0.2\n", "contrasts"),
}
_PAIRS = "Ash 2001,x,y,-0.30,0.15\nBay 2003,x,y,-0.20,0.20\n"
_ARMS = "Ash 2001,x,40,5.1,2.0\nAsh 2001,y,41,4.4,2.2\n"
_NOTED = _ARMS.replace("\n", ",see protocol\n", 1) + "* completers only\n"
_NETMETA = "studlab,treat1,treat2,TE,seTE\n" + _PAIRS
_REVMAN_WEB = (
    "Study,Experimental mean,Experimental SD,Experimental N,Control mean,Control SD,Control N,"
    "Experimental intervention,Comparator intervention\nAsh 2001,5,2,40,4,2,40,x,y\nBay 2003,5,2,40,4,2,40,x,y\n"
)
_REVMAN_5 = (
    "Comparison Number,Outcome Number,Subgroup Number,Name,Data Type,Q,DF,Group Label 1,Group Label 2,"
    "Mean 1,SD 1,Total 1,Mean 2,SD 2,Total 2\n1,1,0,Score,CONTINUOUS,1,1,x,y,,,40,,,40\n"
    "1,1,0,Ash 2001,,,,,,5,2,40,4,2,40\n1,1,0,Bay 2003,,,,,,5,2,40,4,2,40\n"
)
SAMPLES = (
    Sample("netmeta, contrasts", "score", "contrasts", _NETMETA),
    Sample("netmeta, with study", "score", "contrasts", _NETMETA.replace("studlab", "study")),
    Sample("netmeta, long arms", "score", "arms", "study,treatment,n,mean,sd\n" + _ARMS),
    Sample(
        "netmeta, wide arms",
        "score",
        "arms",
        "studlab,treat1,n1,mean1,sd1,treat2,n2,mean2,sd2\nAsh 2001,x,40,5.1,2,y,41,4.4,2.2\n",
    ),
    Sample("CINeMA, contrasts", "score", "contrasts", "study,t1,t2,effect,se\n" + _PAIRS),
    Sample("CINeMA, events", "events", "arms", "id,t,r,n,rob,indirectness\n1,x,9,40,1,1\n1,y,5,50,1,1\n"),
    Sample("gemtc, arms", "score", "arms", "study,treatment,mean,std.dev,sampleSize\nA,x,5.1,2,40\nA,y,4.4,2.2,41\n"),
    Sample("gemtc, events", "events", "arms", "study,treatment,responders,sampleSize\nA,x,9,40\nA,y,5,50\n"),
    Sample("gemtc, rates", "rate", "arms", "study,treatment,responders,exposure\nA,x,9,200\nA,y,5,210\n"),
    Sample("gemtc, relative effects", "score", "contrasts", "study,treatment,diff,std.err\nA,x,NA,NA\nA,y,-0.3,0.2\n"),
    Sample("multinma, arms", "score", "arms", ".study,.trt,n,y,se\nA,x,40,5.1,0.3\nA,y,41,4.4,0.4\n"),
    Sample("multinma, events", "events", "arms", ".study,.trt,r,n\nA,x,9,40\nA,y,5,50\n"),
    Sample("RevMan Web", "score", "arms", _REVMAN_WEB),
    Sample("RevMan 5", "score", "arms", _REVMAN_5),
    Sample(
        "RevMan Web, inverse variance",
        "survival",
        "contrasts",
        "Study,Experimental intervention,Comparator intervention,GIV Mean,GIV SE\nA,x,y,-0.3,0.2\n",
    ),
    Sample("multinma, effects", "score", "contrasts", "studyc,trtc,diff,se_diff\nA,x,NA,0.1\nA,y,-0.3,0.2\n"),
    Sample("metafor, yi and vi", "score", "contrasts", "trial,treatment,comparator,yi,vi\nA,x,y,-0.3,0.04\n"),
    Sample(
        "metafor, counts",
        "events",
        "arms",
        "study,ai,n1i,ci,n2i\nA,9,40,5,41\n",
        options={"constants": {"treat1": "x", "treat2": "y"}},
    ),
    Sample(
        "Hazard ratio with interval",
        "survival",
        "contrasts",
        "study,treat1,treat2,HR,lower,upper\nA,x,y,0.7,0.5,0.98\n",
    ),
    Sample(
        "Estimate and interval in one cell",
        "survival",
        "contrasts",
        "study,treat1,treat2,HR (95% CI)\nA,x,y,0.70 (0.50 to 0.98)\n",
    ),
    Sample("Odds ratio with p", "events", "contrasts", "study,treat1,treat2,OR,p\nA,x,y,2,0.0455\n"),
    Sample("Estimate with interval", "score", "contrasts", "study,treat1,treat2,te,lower,upper\nA,x,y,-0.3,-0.6,0\n"),
    Sample("Arms with standard errors", "score", "arms", "study,treatment,n,mean,se\nA,x,40,5.1,0.3\nA,y,41,4.4,0.4\n"),
    Sample("Author and year apart", "score", "contrasts", "Author,Year,treat1,treat2,te,se\nAsh,2001,x,y,-0.3,0.2\n"),
    Sample("Semicolons and decimal commas", "score", "contrasts", _NETMETA.replace(",", ";").replace(".", ",")),
    Sample("Tabs", "score", "contrasts", _NETMETA.replace(",", "\t"), "table.tsv"),
    Sample(
        "Blanks, as R prints", "score", "contrasts", 'study treat1 treat2 te se\n"Ash 2001" x y -0.3 0.2\n', "table.txt"
    ),
    Sample("First line sep=", "score", "contrasts", "sep=;\n" + _NETMETA.replace(",", ";")),
    Sample("UTF-16", "score", "contrasts", _NETMETA.encode("utf-16")),
    Sample("Windows-1252", "score", "contrasts", _NETMETA.replace("Ash", "Renée").encode("cp1252")),
    Sample("CR CR LF", "score", "contrasts", _NETMETA.replace("\n", "\r\r\n")),
    Sample("A line without a result", "score", "contrasts", _NETMETA + "Elm 2005,x,y,,\n"),
    Sample("Notes beside and below", "score", "arms", "study,treatment,n,mean,sd,\n" + _NOTED),
    Sample("A caption above the header", "score", "contrasts", "Table. Score\n" + _NETMETA, options={"skip": 1}),
    Sample(
        "Three arms, two contrasts", "score", "contrasts", "study,treat1,treat2,te,se\nA,x,z,-0.3,0.2\nA,y,z,-0.1,0.2\n"
    ),
    Sample(
        "Follow-up of each person as time",
        "rate",
        "arms",
        "study,treatment,events,n,time\nA,x,43,1081,5.8\nA,y,34,2213,5.8\n",
    ),
    Sample("Odds ratio with a standard error", "events", "contrasts", "study,treat1,treat2,OR,se\nA,x,y,0.5,0.2\n"),
    Sample(
        "Points that may be thousands", "score", "arms", "study;treatment;n;mean;sd\nA;x;40;1.250;812\nA;y;41;980;790\n"
    ),
)

_XY = {"constants": {"treat1": "x", "treat2": "y"}}
_REVMAN_5_EFFECTS = (
    "Comparison Number,Outcome Number,Subgroup Number,Name,Data Type,Effect Measure,Effect Estimate,SE,CI Start,CI End,"
    "Q,Group Label 1,Group Label 2,O-E,Variance\n"
)
_REVMAN_WEB_ALL = "Analysis group,Analysis number,Analysis name,Study,GIV Mean,GIV SE,O-E,Variance\n"
# Files as authors have them, beyond the conventions of programs
FURTHER = (
    Sample(
        "RevMan 5, generic inverse variance",
        "survival",
        "contrasts",
        _REVMAN_5_EFFECTS
        + "1,1,0,Survival,IV,HR,0.75,,0.6,0.9,1.2,x,y,,\n1,1,0,Ash 2001,,,0.74081822,0.15,0.552,0.994,,,,,\n",
    ),
    Sample(
        "RevMan 5, O-E and variance",
        "survival",
        "contrasts",
        _REVMAN_5_EFFECTS + "1,1,0,Survival,IPD,HR,,,,,1.2,x,y,,\n1,1,0,Ash 2001,,,,,,,,,,-4.2,11\n",
    ),
    Sample(
        "RevMan Web, O-E and variance",
        "survival",
        "contrasts",
        _REVMAN_WEB_ALL + "1,1,Survival,Ash 2001,,,-4.2,11\n",
        options=_XY,
    ),
    Sample(
        "RevMan Web, two analyses",
        "survival",
        "contrasts",
        _REVMAN_WEB_ALL + "1,1,Survival,Ash 2001,-0.3,0.2,,\n1,2,Progression,Ash 2001,-0.4,0.2,,\n",
        options=_XY,
    ),
    Sample(
        "BUGS, rectangular",
        "events",
        "arms",
        "t[,1] t[,2] r[,1] n[,1] r[,2] n[,2] na[]\n1 2 9 40 5 41 2\nEND\n",
        "table.txt",
    ),
    Sample("Stata, augmented", "events", "arms", "study,dx,nx,dy,ny\nA,9,40,5,41\n"),
    Sample("meta, two groups", "events", "arms", "studlab,event.e,n.e,event.c,n.c\nA,9,40,5,41\n", options=_XY),
    Sample("metafor, a two by two table", "events", "arms", "study,ai,bi,ci,di\nA,9,31,5,36\n", options=_XY),
    Sample(
        "Data of a fit of netmeta",
        "score",
        "contrasts",
        ".studlab,.TE,studlab,treat1,treat2,TE,seTE\nA,-0.3,A,x,y,-0.3,0.2\n",
    ),
    Sample(
        "Arms numbered in front",
        "score",
        "arms",
        "Study ID,Arm 1: Name,Arm 1: N,Arm 1: Mean,Arm 1: SD,Arm 2: Name,Arm 2: N,Arm 2: Mean,Arm 2: SD\n"
        "A,x,40,5.1,2,y,41,4.1,2.2\n",
    ),
    Sample("Mean and SD in one cell", "score", "arms", "study,arm,n,mean (SD)\nA,x,40,5.1 (2.0)\nA,y,41,4.1 (2.2)\n"),
    Sample("Events and people in one cell", "events", "arms", "study,arm,n/N (%)\nA,x,9/40 (23)\nA,y,5/41 (12)\n"),
    Sample(
        "Median and quartiles in one cell",
        "score",
        "arms",
        "study,arm,n,median [IQR]\nA,x,40,5 [4; 7]\nA,y,41,4 [3; 5]\n",
    ),
    Sample("A header of two lines", "score", "arms", "Study,x,,,y,,\n,n,mean,sd,n,mean,sd\nA,40,5.1,2,41,4.1,2.2\n"),
    Sample("Units below the header", "score", "arms", "study,treatment,n,mean,sd\n,,,mm,mm\n" + _ARMS),
    Sample(
        "Study in its first row only",
        "score",
        "arms",
        "study,treatment,n,mean,sd\n" + _ARMS.replace("\nAsh 2001", "\n"),
    ),
    Sample(
        "Footnote marks and dashes", "score", "arms", "study,arm,n,mean,sd\nA,x,40*,5.1,2\nA,y,41,4.1,2\nA,z,30,-,-\n"
    ),
    Sample("A pooled result below", "score", "contrasts", _NETMETA + "Total (95% CI),x,y,-0.26,0.12\n"),
    Sample("Comparisons in one column", "score", "contrasts", "study,comparison,MD,SE\nA,x vs y,-0.3,0.2\n"),
    Sample(
        "One name, two years",
        "score",
        "contrasts",
        "study,year,treat1,treat2,te,se\nA,2001,x,y,-0.3,0.2\nA,2005,x,y,-0.2,0.2\n",
    ),
    Sample(
        "Markdown",
        "score",
        "arms",
        "|study|arm|n|mean|sd|\n|---|---|---|---|---|\n|A|x|40|5|2|\n|A|y|41|4|2|\n",
        "table.txt",
    ),
    Sample("UTF-16 without a mark", "score", "contrasts", _NETMETA.encode("utf-16-le")),
    Sample("Tabs, named as a workbook", "score", "contrasts", _NETMETA.replace(",", "\t"), "table.xls"),
    Sample(
        "Columns named by outcomes", "events", "arms", "study,mood_n,mood_events,sleep_n,sleep_events\nA,40,9,41,5\n"
    ),
)


def _data_folder(place: Path) -> Path:
    settings = ["title: Layouts", "author: none", "question: none", "treatments: [{name: x}, {name: y}]", "outcomes:"]
    (place / "tables").mkdir()
    for name, (measure, text, kind) in OUTCOMES.items():
        settings.append(
            f"  - {{name: {name}, label: {name}, measure: {measure}, unit: {measure}, scale_desirable: higher,"
            f" te_desirable: higher, reference: y, table: {{file: tables/{name}.csv, kind: {kind}}}}}"
        )
        write_atomically(place / "tables" / f"{name}.csv", text.encode())
    write_atomically(place / "review.yml", ("\n".join(settings) + "\n").encode())
    for name, content in build_data(place).items():
        (place / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place / "data" / name, content)
    return place / "data"


def _typed(options: Mapping) -> Iterator[str]:
    """Yield options as typed on the command line."""
    for name, value in options.items():
        if name == "constants":
            yield from (f"--set {column}={text}" for column, text in value.items())
        else:
            yield f"--{name} {value}"


def layouts_tried(samples: tuple[Sample, ...] = (*SAMPLES, *FURTHER)) -> pd.DataFrame:
    """Import each sample into its own review, first without options.

    Returns
    -------
    DataFrame [layout, kind, first_try, rows, used, listed, contrasts, said]
        ``first_try`` is "yes", "with" the option needed, or "refused"; ``rows`` is the number of rows of data read,
        each used or listed; ``said`` is the first conversion in the report, or the error message of a refusal.
    """
    found = []
    with tempfile.TemporaryDirectory() as place:
        folder = _data_folder(Path(place))
        for sample in samples:
            content = sample.text.encode() if isinstance(sample.text, str) else sample.text
            skip = sample.options.get("skip", 0)
            try:
                result = convert(
                    table_from_bytes(sample.file, content, skip=skip),
                    Options(sample.kind, outcome=sample.outcome, **sample.options),
                    folder,
                )
            except TableError as error:
                found.append(
                    [sample.layout, sample.kind, "refused", None, None, None, None, str(error).partition(": ")[2]]
                )
                continue
            read, used, listed = result.source["read"], result.source["used"], len(result.listed)
            if read != used + listed:
                raise ValueError(f"{sample.layout}: {read} rows read, but {used} used and {listed} listed")
            first = "with " + " ".join(_typed(sample.options))
            said = result.conversions[0] if result.conversions else ""
            found.append(
                [
                    *(sample.layout, sample.kind, first if sample.options else "yes"),
                    *(read, used, listed, len(result.contrasts), said),
                ]
            )
    columns = ["layout", "kind", "first_try", "rows", "used", "listed", "contrasts", "said"]
    return pd.DataFrame(found, columns=columns).astype(dict.fromkeys(columns[3:7], "Int64"))
