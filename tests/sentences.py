"""Sentences of the chapters: a glued number stands only where its subject is named, a typed one only where declared.

``data/glue_subjects.csv`` gives the words that the sentence around each glued number must contain;
``data/typed_numbers.csv`` lists the number words and digits that prose may contain, each with the check that ties it to
the data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from psps_paper.claims.model import Evidence
from psps_paper.claims.registry import find, verdict

GAP, OWN, OTHER = "\N{HORIZONTAL ELLIPSIS}", "{}", "#"
# "one" counts only before something that is counted; elsewhere it is a pronoun
_COUNTED = (
    "trials?|stud(?:y|ies)|estimates?|comparisons?|contrasts?|arms?|patients?|class(?:es)?|shares?|reports?|reviews?|"
    "networks?|domains?"
)
NUMBER_WORDS = (
    rf"one(?= (?:\w+ )?(?:{_COUNTED})\b)|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|"
    "fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|hundred|thousand|dozen|twice|half|halves|"
    "thirds|quarters?|most|majority"
)
_PLACE = re.compile(r"(mirrors|extends): ", re.IGNORECASE)  # says which part of the article a chapter mirrors
_GLUED = re.compile(r"\{glue\}`([^`]+)`")
_KEY = re.compile(
    "\N{LEFT-POINTING ANGLE BRACKET}([^\N{RIGHT-POINTING ANGLE BRACKET}]+)\N{RIGHT-POINTING ANGLE BRACKET}"
)
# Not prose: code, the fences and options of directives, roles other than glue, formulas, addresses, HTML
_MARKUP = [
    (re.compile(r"^\([\w.-]+\)=$", re.MULTILINE), ""),  # an anchor
    # The fence that closes a directive does not open code
    (re.compile(r"^```\{[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE), r"\n\1\n"),
    (re.compile(r"^```[\w+-]*\n.*?^```$", re.DOTALL | re.MULTILINE), ""),
    (re.compile(r"^(?:`{3,}|:{3,}).*$|^:\w+:.*$", re.MULTILINE), "\n"),
    (re.compile(r"(?<!\{glue\})`[^`]*`"), ""),
    (re.compile(r"\{(?!glue)[\w:.-]+\}"), ""),
    (re.compile(r"\$\$.*?\$\$", re.DOTALL), ""),
    (re.compile(r"\]\([^)\s]*\)"), "]"),
    (re.compile(r"https?://\S+|<[^<>]+>"), ""),
    (re.compile(r"[*\[\]]"), ""),
]
_BREAKS = re.compile(
    r"\n\s*\n|\n(?=[-#|:`]|\s*\d+\. )|(?<=[.!?])(?<!\bFig\.)(?<!\bref\.)(?<!\be\.g\.)\s+(?=[^a-z\s])|"
    r"(?<=[\u3002\uff01\uff1f\uff1b])|^\s*[-#>]+ |^\s*(?:#+ )?\d+\. ",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Sentence:
    """A sentence of a chapter, without markup.

    Attributes
    ----------
    chapter : str
    text : str
        Each glued number as its key between angle brackets.
    """

    chapter: str
    text: str

    @property
    def keys(self) -> list[str]:
        """Keys of the glued numbers, in their order."""
        return _KEY.findall(self.text)


def prose(markdown: str, chapter: str = "") -> list[Sentence]:
    """Split the markdown of a cell into sentences without markup.

    Examples
    --------
    >>> [sentence.text for sentence in prose("**Found:** {glue}`n` trials. All are *small*, see [there](x.md).")]
    ['Found: \N{LEFT-POINTING ANGLE BRACKET}n\N{RIGHT-POINTING ANGLE BRACKET} trials.', 'All are small, see there.']
    """
    text = _GLUED.sub("\N{LEFT-POINTING ANGLE BRACKET}\\1\N{RIGHT-POINTING ANGLE BRACKET}", markdown)
    for pattern, instead in _MARKUP:
        text = pattern.sub(instead, text)
    parts = (" ".join(part.split()) for part in _BREAKS.split(text))
    return [Sentence(chapter, part) for part in parts if part]


def chapter_sentences(path: Path) -> list[Sentence]:
    """Sentences of all markdown cells of a chapter, or of a page in markdown."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return prose(source, path.stem)
    cells = (cell for cell in json.loads(source)["cells"] if cell["cell_type"] == "markdown")
    return [sentence for cell in cells for sentence in prose("".join(cell["source"]), path.stem)]


def glued_results(path: Path) -> set[str]:
    """Keys that a chapter glues as numbers, from its stored outputs; words that depend on the data are no results."""
    outputs = (
        output for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] for output in cell.get("outputs", [])
    )
    found = set()
    for output in outputs:
        if name := output.get("metadata", {}).get("scrapbook", {}).get("name"):
            markup = "".join(output["data"].get("application/papermill.record/text/html", ""))
            if 'class="claim ' in markup or 'class="value ' in markup:
                found.add(name)
    return found


def misplaced(sentences: list[Sentence], results: set[str], subjects: Mapping[str, str]) -> list[str]:
    """Find glued numbers of a chapter whose sentence does not contain the required words.

    Parameters
    ----------
    sentences : list of Sentence
    results : set of str
        Keys that are numbers; the others are not looked at.
    subjects : mapping of str to str
        For each key what its sentence must say: words with ``{}`` for the number itself and ``#`` for another one; an
        ellipsis for any words in which no other key's words before an ellipsis occur; alternatives between bars.

    Returns
    -------
    list of str
        One line for each fault; empty where there is none.

    Examples
    --------
    >>> subjects = {"a": "apples … {}", "b": "pears … {}"}
    >>> misplaced(prose("We ate apples, {glue}`a`, and pears, {glue}`b`."), {"a", "b"}, subjects)
    []
    >>> len(misplaced(prose("We ate apples, {glue}`b`, and pears, {glue}`a`."), {"a", "b"}, subjects))
    2
    """
    faults = []
    rivals = {
        _words(pattern.partition(GAP)[0])
        for says in subjects.values()
        for pattern in says.split(" | ")
        if GAP in pattern
    }
    for sentence in sentences:
        for number, found in enumerate(_KEY.finditer(sentence.text)):
            key = found.group(1)
            if key not in results:
                continue
            if key not in subjects:
                faults.append(
                    f"{sentence.chapter}: {key} has no row in glue_subjects.csv that says what its sentence says:"
                    f" {sentence.text}"
                )
            elif not any(_says(sentence.text, found, pattern, rivals) for pattern in subjects[key].split(" | ")):
                faults.append(
                    f"{sentence.chapter}: {key} (number {number + 1}) stands where {subjects[key]!r} is not said: "
                    f"{sentence.text}"
                )
    return faults


def _words(text: str) -> str:
    return " ".join(text.split()).lower()


def _says(text: str, own: re.Match, pattern: str, rivals: set[str]) -> bool:
    """Whether the words of a pattern stand around a number."""
    subject, gap, rest = pattern.partition(GAP)
    near = rest if gap else subject
    before, after = near.split(OWN)
    left, right = text[: own.start()].rstrip().lower(), text[own.end() :].lower()
    at = re.search(_pattern(before) + r"\s*$", left)
    if at is None or re.match(r"\s*" + _pattern(after), right) is None:
        return False
    if not gap:
        return True
    said = left[: at.start()]
    # The subject named last, or the longer one of two that end together
    ends = [(found.end(), len(name), name) for name in rivals for found in re.finditer(re.escape(name), said)]
    return bool(ends) and max(ends)[2] == _words(subject)


def _pattern(words: str) -> str:
    parts = (
        (
            r"\N{LEFT-POINTING ANGLE BRACKET}[^\N{RIGHT-POINTING ANGLE BRACKET}]+\N{RIGHT-POINTING ANGLE BRACKET}"
            if word == OTHER
            else re.escape(word)
        )
        for word in re.findall(r"#|[^\s#]+", words.lower())
    )
    return r"\s*".join(parts)


def typed_numbers(sentences: list[Sentence]) -> Iterator[tuple[Sentence, str, str]]:
    """Number words and digits of the prose: the sentence, the word, and the word with what stands around it.

    Examples
    --------
    >>> [(word, around) for _, word, around in typed_numbers(prose("It has two parts."))]
    [('two', 'it has two parts.')]
    """
    for sentence in sentences:
        if _PLACE.match(sentence.text) or re.fullmatch(r"\d+\.", sentence.text):
            continue
        text = re.sub(r"\$[^$]*\$", " ", _KEY.sub(" ", sentence.text))
        for found in re.finditer(
            rf"\b(?:{NUMBER_WORDS})\b|(?<![\w.$^{{_])\d[\d.,]*\d|(?<![\w.$^{{_])\d", text, re.IGNORECASE
        ):
            around = text[max(0, found.start() - 60) : found.end() + 60]
            yield sentence, found.group().lower(), " ".join(around.lower().split())


def undeclared(sentences: list[Sentence], declared: pd.DataFrame) -> list[str]:
    """Typed numbers of a chapter that no row of ``typed_numbers.csv`` allows, one line each."""
    faults = []
    for sentence, word, around in typed_numbers(sentences):
        rows = declared[declared["chapter"].isna() | (declared["chapter"] == sentence.chapter)]
        alone = re.compile(rf"(?<![\w.]){re.escape(word)}(?![a-z0-9])")
        if not any(alone.search(row.words) and row.words in around for row in rows.itertuples()):
            faults.append(
                f"{sentence.chapter}: {word!r} in {around!r} is typed: glue it, or declare it in typed_numbers.csv"
            )
    return faults


def untrue(declared: pd.DataFrame, evidence: Evidence) -> list[str]:
    """Rows of ``typed_numbers.csv`` whose check no longer gives their number, one line each."""
    faults = []
    for row, line in declared.dropna(subset="check").iterrows():
        claim = pd.Series(
            {
                "id": f"typed_numbers.csv, row {row + 1}",
                "value": line["value"],
                "decimals": 0,
                "unit": "none",
                "relation": line["relation"],
                "check": line["check"],
                "arguments": line["arguments"],
            }
        )
        finding = find(evidence, claim)
        if verdict(claim, finding) not in ("reproduces", "consistent"):
            faults.append(
                f"typed_numbers.csv, row {row + 1}: {line['words']!r} says {line['value']:g}, found {finding.low:g}: "
                f"{finding.detail}"
            )
    return faults
