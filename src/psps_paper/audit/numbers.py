"""Printed numbers: their notation, and the exact values behind them."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

SLACK = 0.6  # of a unit in the last digit: a half for rounding, a tenth as measured on published tables

_MINUS = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d\u02d7"), "-")
_POINT = dict.fromkeys(map(ord, "\u00b7\u2219\u22c5\u2027\u2e31\u0387"), ".")
_BLANK = dict.fromkeys(map(ord, "\u00a0\u2007\u2009\u200a\u202f\u2002\u2003"), " ")
_MARKS = dict.fromkeys(map(ord, "*\u2020\u2021\u00a7\u00b6#\u200b\ufeff\u2666\u25c6"), None)
_SPELLING = _MINUS | _POINT | _BLANK | _MARKS
_THOUSANDS = re.compile(r"(?<![\d.])(\d{1,3})((?:[\u00a0\u2009\u202f]\d{3}){1,5})(?!\d)")
_FOOTNOTE = re.compile(r"(?<=[\d)\]])[\u00b9\u00b2\u00b3\u2070-\u2079\u1d43-\u1d4d]+")

NUMBER = r"[-+]?(?:\d+(?:\.\d+)?|\.\d+)"
_BETWEEN = r"\s*(?:,|;|:|/|\bto\b|\band\b|\.\.\.|\u2026|-(?=\s*[-+]?\s*[\d.])|\s)\s*"
_LEAD = r"(?:\d\d(?:\.\d+)?\s*%\s*)?(?:(?:CI|CrI|CrL|CL|HDI|PI|PrI)\b\s*:?\s*)?(?:from\s+)?"
ESTIMATE = re.compile(
    rf"(?P<estimate>(?:^-\s+)?{NUMBER})\s*%?\s*[,;:]?\s*[(\[{{]\s*{_LEAD}"
    rf"(?P<lower>{NUMBER})\s*%?{_BETWEEN}(?P<upper>{NUMBER})\s*%?\s*[)\]}}]",
    re.IGNORECASE,
)
_BARE = re.compile(
    rf"^(?P<estimate>{NUMBER})\s*[,;:]?\s+{_LEAD}(?P<lower>{NUMBER})(?:\s*(?:to|;|,)\s*|\s*-\s*|\s+)(?P<upper>{NUMBER})$",
    re.IGNORECASE,
)
_ALONE = re.compile(
    rf"^\s*(?:p\s*)?(?P<relation>[<>=\u2264\u2265~]?)\s*(?P<value>{NUMBER})\s*(?P<percent>%?)\s*$", re.IGNORECASE
)
_INTERVAL = re.compile(
    rf"^\s*[(\[{{]?\s*{_LEAD}(?P<lower>{NUMBER})\s*%?{_BETWEEN}(?P<upper>{NUMBER})\s*%?\s*[)\]}}]?\s*$", re.IGNORECASE
)
NOTHING = frozenset(
    {"", ".", "-", "--", "---", "na", "n/a", "n.a.", "nr", "ne", "nan", "none", "null", "reference", "ref", "x"}
)


@dataclass(frozen=True)
class Number:
    """A number as printed.

    Attributes
    ----------
    text : str
        As printed.
    value : float
    decimals : int
        Digits after the decimal point of this number.
    relation : {"=", "<", ">"}
    """

    text: str
    value: float
    decimals: int
    relation: str = "="

    def bounds(self, slack: float = SLACK) -> tuple[float, float]:
        """Return the smallest and largest exact value behind the number; ``slack`` is in units of the last digit."""
        if self.relation == "<":
            return -np.inf, self.value
        if self.relation == ">":
            return self.value, np.inf
        half = slack * 10.0**-self.decimals
        return self.value - half, self.value + half

    def over(self, divisor: int) -> Number:
        """Convert the number to another unit: percent (100) to a fraction."""
        if divisor == 1:
            return self
        return Number(self.text, self.value / divisor, self.decimals + round(np.log10(divisor)), self.relation)

    def with_decimals(self, decimals: int) -> Number:
        """Restore trailing zeros that were dropped in print."""
        return Number(self.text, self.value, max(self.decimals, decimals), self.relation)


@dataclass(frozen=True)
class Triple:
    """An estimate with its limits, as printed; ``rest`` is the other text of the cell."""

    estimate: Number
    lower: Number
    upper: Number
    text: str
    rest: str = ""


@lru_cache(maxsize=8192)  # each cell is read several times
def plain(text: str) -> str:
    """Normalise minus signs, decimal points and spaces, and remove footnote marks and emphasis.

    >>> plain("\u22120\u00b745* (\u22120\u00b776 to \u22120\u00b714)")
    '-0.45 (-0.76 to -0.14)'
    """
    text = _FOOTNOTE.sub("", text)
    text = _THOUSANDS.sub(lambda found: re.sub(r"\D", "", found.group()), text)
    text = unicodedata.normalize("NFKC", text.translate(_SPELLING)).translate(_SPELLING)
    text = text.replace("__", "").replace("\u2264", "<").replace("\u2265", ">")
    return re.sub(r"[ \t]+", " ", _decimal_points(text)).strip()


def _decimal_points(text: str) -> str:
    """Replace decimal commas by points if commas cannot be separators: no point in the text, or another separator."""
    if re.search(r"\d\.\d|(?<!\d)\.\d", text) or "," not in text:
        return text
    commas = re.findall(r"\d,\d", text)
    inside = re.search(r"[(\[{](.*?)[)\]}]", text)
    if inside is None:  # a single number, or one with its limits without brackets
        return re.sub(r"(?<=\d),(?=\d)", ".", text) if commas and not re.search(r"\d,\d{3}(?!\d)", text) else text
    parts = inside.group(1)
    if re.fullmatch(r"[^,]*\d,[-+]?\d+", parts) and not re.search(r";|\bto\b|\d\s*-\s*[-+]?\d", parts):
        return text  # (3,9): a single comma separates the two
    if re.fullmatch(r"\s*[-+]?\d+,\d+\s*,\s*[-+]?\d+,\d+\s*", parts):  # (0,14,0,76): the middle comma separates
        first, second, third, fourth = [part.strip() for part in parts.split(",")]
        return (
            re.sub(r"(?<=\d),(?=\d)", ".", text[: inside.start(1)])
            + f"{first}.{second}, {third}.{fourth}"
            + text[inside.end(1) :]
        )
    return re.sub(r"(?<=\d),(?=\d)", ".", text)


def read_number(text: str, *, percent_as_fraction: bool = False) -> Number | None:
    """Read a single number, optionally with a relation or a percent sign; None for any other text.

    >>> read_number("< 0.001")
    Number(text='< 0.001', value=0.001, decimals=3, relation='<')
    >>> read_number("46%", percent_as_fraction=True)
    Number(text='46%', value=0.46, decimals=2, relation='=')
    """
    found = _ALONE.match(plain(text))
    if found is None:
        return None
    relation = {"<": "<", ">": ">"}.get(found["relation"], "=")
    number = _number(found["value"], text.strip(), relation)
    return number.over(100) if percent_as_fraction and found["percent"] else number


def read_interval(text: str) -> tuple[Number, Number] | None:
    """Read two limits, in brackets or not; None for any other text."""
    found = _INTERVAL.match(plain(text))
    return None if found is None else (_number(found["lower"]), _number(found["upper"]))


@lru_cache(maxsize=4096)
def read_estimate(text: str) -> Triple | None:
    """Read an estimate with its limits in any common notation; None for any other text.

    >>> found = read_estimate("0.60 (0.45-0.79)")
    >>> found.estimate.value, found.lower.value, found.upper.value
    (0.6, 0.45, 0.79)
    >>> read_estimate("0,45 [0,14; 0,76]").lower.value
    0.14
    """
    spelled = plain(text)
    found = ESTIMATE.search(spelled) or _BARE.match(spelled)
    # The end of another number, or of a sum, is not an estimate
    if found is None or re.search("[0-9.,]$", spelled[: found.start()]):
        return None
    return triple_from(found, text)


def triple_from(found: re.Match, text: str) -> Triple:
    """Return the numbers of a match of :data:`ESTIMATE`."""
    rest = (found.string[: found.start()] + " " + found.string[found.end() :]).strip()
    estimate = _number(re.sub(r"\s", "", found["estimate"]))
    return Triple(estimate, _number(found["lower"]), _number(found["upper"]), text.strip(), rest)


def is_nothing(text: str) -> bool:
    """Return whether a cell is marked as having no value."""
    spelled = re.sub(r"\s", "", plain(text)).lower()
    return spelled in NOTHING


def _number(text: str, printed: str | None = None, relation: str = "=") -> Number:
    return Number(printed or text, float(text), len(text.partition(".")[2]), relation)
