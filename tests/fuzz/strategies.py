"""Files as people and programs write them, and as nobody should; and what they say, by another reading than the
package's."""

from __future__ import annotations

import csv
import io
import math
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from hypothesis import strategies as st

HEADERS = {
    "contrasts": [
        ["study", "treat1", "treat2", "te", "se"],
        ["studlab", "treat1", "treat2", "TE", "seTE"],
        ["Study", "t1", "t2", "effect", "SE"],
    ],
    "arms": [
        ["study", "treatment", "n", "mean", "sd"],
        ["Study", "T", "N", "Mean", "SD"],
        [".study", ".trt", "n", "y", "sd"],
    ],
}
LABELS = [
    "Ash 2001",
    "Bay 2003",
    "Elm 2005",
    "Müller 2010",
    "张 2019",
    "O'Brien 2004",
    "Ko <2> 2012",
    'N "x" 1',
    "a,b",
    "a;b",
    "$x$ 1",
    "Zoë\u00a02011",
]
TREATMENTS = ["placebo", "drug", "SCS: burst", "naïve", "10% gel", "T.1", "lidocaína", "B & C"]
MISSING = ["", "NA", "n/a", "nan", "NULL", "."]
# Also stand for a number that is not given, though not for a name
NOT_GIVEN = {
    *(
        "-",
        "--",
        "\u2013",
        "\u2014",
        "\u2212",
        "..",
        "...",
        "?",
        "n.a.",
        "n.r.",
        "nd",
        "n.d.",
        "ne",
        "n.e.",
        "nr",
        "#n/a",
    ),
    *("unknown", "unclear", "missing", "not reported", "not available", "not stated", "not given", "not estimable"),
    "not applicable",
}
HOSTILE = [
    "=1+1",
    "@SUM(A1)",
    "-",
    "1e999",
    "inf",
    "-inf",
    "0",
    "-1",
    "1_0",
    "１２",
    "0x10",
    "1,5,5",
    "1.2.3",
    "\u202eabc",
    "a\x07",
    "<script>",
    "x" * 2001,
    "99999999999999999999",
    "1e-320",
    "½",
    "#N/A",
    "\u200b",
    "'=1",
    "+0.3",
    " 0.2 ",
    "2 %",
    "<0.05",
    "0,2",
    "1 000",
]


@dataclass(frozen=True)
class Sheet:
    """A table before it is written: its cells, and how its numbers and separators look."""

    kind: str
    header: list[str]
    rows: list[list[str]]
    separator: str
    comma: bool
    content: bytes


def _number(draw, low: int, high: int, places: int) -> str:
    value = draw(st.integers(low * 10**places, high * 10**places))
    sign = "-" if value < 0 else ""
    digits = f"{abs(value):0{places + 1}d}"
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"


@st.composite
def sheets(draw) -> Sheet:
    """A table, whole in half of the cases and with one to three faults in the others."""
    kind = draw(st.sampled_from(sorted(HEADERS)))
    header = list(draw(st.sampled_from(HEADERS[kind])))
    names = draw(st.lists(st.sampled_from(TREATMENTS), min_size=2, max_size=3, unique=True))
    rows = []
    for study in draw(st.lists(st.sampled_from(LABELS), min_size=1, max_size=5, unique=True)):
        first, second = draw(st.permutations(names))[:2]
        places = draw(st.integers(1, 4))
        if kind == "contrasts":
            rows.append([study, first, second, _number(draw, -5, 5, places), _number(draw, 1, 3, places)])
        else:
            rows += [
                [
                    study,
                    name,
                    str(draw(st.integers(2, 400))),
                    _number(draw, -50, 2000, places),
                    _number(draw, 1, 30, places),
                ]
                for name in (first, second)
            ]
    if draw(st.booleans()):
        for _ in range(draw(st.integers(1, 3))):
            row = draw(st.integers(0, len(rows) - 1))
            rows[row][draw(st.integers(0, len(header) - 1))] = draw(
                st.sampled_from([*HOSTILE, *MISSING]) | st.text(max_size=6)
            )
    for number in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(header)))
        header.insert(place, f"note {number}")
        for row in rows:
            row.insert(place, draw(st.sampled_from(["", "x", "0.5", "=1"])))
    separator = draw(st.sampled_from([",", ";", "\t"]))
    comma = separator == ";" and draw(st.booleans())
    return Sheet(kind, header, rows, separator, comma, _written(draw, header, rows, separator, comma))


def _written(draw, header: list[str], rows: list[list[str]], separator: str, comma: bool) -> bytes:
    lines = io.StringIO(newline="")
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    writer = csv.writer(
        lines, delimiter=separator, quoting=quoting, lineterminator=draw(st.sampled_from(["\n", "\r\n"]))
    )
    if draw(st.integers(0, 9)) == 0:
        lines.write(f"sep={separator}\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow(
            [
                cell.replace(".", ",") if comma and cell.replace(".", "", 1).replace("-", "", 1).isdigit() else cell
                for cell in row
            ]
        )
    text = lines.getvalue() + draw(st.sampled_from(["", "\n", "\n\n"]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16"]))
    return text.encode(encoding, "surrogatepass")


class Unread(Exception):
    """The other reading finds a cell that no careful person would accept."""


def independent(sheet: Sheet) -> Counter:
    """Contrasts of a table as (study, treat1, treat2, te, se), from its cells with fractions; written after the
    formats' description."""
    columns = {name.lower().strip("."): k for k, name in enumerate(sheet.header)}
    found = Counter()
    if sheet.kind == "contrasts":
        places = [
            next(columns[name] for name in names if name in columns)
            for names in (("studlab", "study"), ("treat1", "t1"), ("treat2", "t2"), ("te", "effect"), ("sete", "se"))
        ]
        for row in sheet.rows:
            cells = [row[place] for place in places]
            if not any(cell.strip() for cell in row) or _no_study(cells[:3], row):
                continue
            labels, (te, se) = (
                [_label(cell) for cell in cells[:3]],
                [_value(cell, sheet.separator) for cell in cells[3:]],
            )
            if labels[1] == labels[2] or (se is not None and se <= 0):
                raise Unread
            if te is not None and se is not None:
                found[(*labels, float(te), float(se))] += 1
        return found
    places = [
        next(columns[name] for name in names if name in columns)
        for names in (("study",), ("treatment", "t", "trt"), ("n",), ("mean", "y"), ("sd",))
    ]
    studies: dict[str, list] = {}
    named = [_bare(row[places[0]]) for row in sheet.rows if _bare(row[places[0]])]
    above = ""
    for row in sheet.rows:
        study, treatment, n, mean, sd = (row[place] for place in places)
        if not any(cell.strip() for cell in row) or _no_study([study, treatment], row):
            above = ""
            continue
        # A study that only its first row names
        if not _bare(study) and _bare(treatment) and len(set(named)) == len(named):
            study = above
        above = study
        n, mean, sd = (_value(cell, sheet.separator) for cell in (n, mean, sd))
        if (n is not None and (n < 2 or n.denominator != 1)) or (sd is not None and sd <= 0):
            raise Unread
        studies.setdefault(_label(study), []).append((_label(treatment), n, mean, sd))
    for study, arms in studies.items():
        unique = dict.fromkeys(arms)
        if len({arm[0] for arm in unique}) < len(unique):
            raise Unread
        used = [arm for arm in unique if None not in arm]
        for k, (first, n1, mean1, sd1) in enumerate(used):
            for second, n2, mean2, sd2 in used[k + 1 :]:
                found[(study, first, second, float(mean1 - mean2), math.sqrt(sd1**2 / n1 + sd2**2 / n2))] += 1
    return found


def _bare(cell: str) -> str:
    return _visible(cell).strip()


def _no_study(labels: list[str], row: list[str]) -> bool:
    """Whether a row has neither labels nor digits, as a line of units."""
    return not any(map(_bare, labels)) and not any(c.isdigit() for cell in row for c in cell)


def _visible(text: str) -> str:
    """Without what has no width (Unicode's category Cf and its blank fillers), but for joiners inside."""
    kept = "".join(c for c in text if c in "\u200c\u200d" or unicodedata.category(c) != "Cf")
    blank = [0x34F, 0x115F, 0x1160, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10)]
    return kept.translate(dict.fromkeys([*blank, *range(0xE0100, 0xE01F0)])).strip("\u200c\u200d")


def _label(cell: str) -> str:
    text = " ".join(_visible(cell).split())
    if text.startswith("'") and text[1:2] in "=+-@":
        text = text[1:]
    if (
        text.lower() in MISSING
        or text.lower() in ("null",)
        or not text
        or (cell.strip()[:1] in tuple("=+-@") and not _is_number(cell))
        or len(cell) > 2000
    ):
        raise Unread
    if any(
        ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
        for c in cell.strip()
    ):
        raise Unread
    return text


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _value(cell: str, separator: str) -> Fraction | None:
    if cell.strip().lower() in NOT_GIVEN:
        return None
    # Marks of footnotes behind a number, and the raised points of some journals
    text = re.sub("([0-9.,)])\\s*[*\u2020\u2021\u00a7\u00b6\u1d43\u1d47\u1d9c]+$", r"\1", _visible(cell.strip()))
    text = re.sub("([0-9])\u00b7([0-9])", r"\1.\2", text).replace("\N{MINUS SIGN}", "-")
    if re.match("[\u2012\u2013\ufe63\uff0d][0-9.]", text):
        text = "-" + text[1:]
    # Blanks and apostrophes between groups of three digits, as SI and Swiss usage have them
    if re.fullmatch("[-+]?[0-9]{1,3}(?:[ \u00a0\u2009\u202f'\u2019][0-9]{3})+(?:[.,][0-9]+)?", text):
        text = re.sub("[^-+0-9.,]", "", text)
    if separator != "," and "." not in text:
        text = text.replace(",", ".", 1)
    if text.lower() in [name.lower() for name in MISSING]:
        return None
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise Unread from None
    if "/" in text or "_" in text or abs(value) > 10**9:
        raise Unread
    return value
