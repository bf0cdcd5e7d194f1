"""Conditions and arithmetic in tables: a small language that is parsed and interpreted, never run as code.

A condition compares columns with values or with each other and joins comparisons with ``and``, ``or``, ``not`` and
parentheses::

    status == "kept" and colour in ("red", "green")
    not (label contains "draft" or label starts with "old")
    percent is given and count is whole
    parts(label) == 3
    one label per number

``==  !=  <  <=  >  >=`` compare; ``in`` and ``not in`` take a list in parentheses; ``contains``, ``starts with`` and
``ends with`` test texts; ``is given`` and ``is empty`` test whether a cell is filled, ``is whole`` whether a number is
whole. ``parts(column)`` counts the items that bars between spaces separate; ``one A per B`` requires rows with the same
B to have the same A. No comparison with an empty cell holds.

Arithmetic has numbers, names, ``+ - * /``, parentheses, and calls of the functions that the caller supplies.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import pandas as pd

LONGEST = 1000  # characters; the longest condition in the tables has 160
DEEPEST = 40  # nested brackets, signs and joined parts
MOST_DIGITS = 15  # the digits that a double holds exactly

_TOKEN = re.compile(
    r"""(?P<text>"[^"]*"|'[^']*')|(?P<number>\d+(?:\.\d+)?|\.\d+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|"""
    r"(?P<sign>==|!=|<=|>=|[<>()+*/,-])|(?P<blank>\s+)"
)
_COMPARISONS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TEXT_TESTS = {"contains": lambda text, part: part in text, "starts": str.startswith, "ends": str.endswith}
_CELL_TESTS = ("given", "empty", "whole")
_ARITHMETIC = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
_SHOWN = {"-": "\N{MINUS SIGN}", "*": "\N{MULTIPLICATION SIGN}"}


T = TypeVar("T")


class ConditionError(ValueError):
    """A condition or expression outside this language; the message is one short line and does not repeat the text."""


@dataclass(frozen=True)
class Node:
    """A part of a parsed condition or expression.

    Attributes
    ----------
    kind : str
        "text", "number", "name", "call", "minus", an operator, or a word of the language.
    value : object
        The text, number or name; None for the rest.
    parts : tuple of Node
        The parts that it is made of.
    """

    kind: str
    value: Any = None
    parts: tuple[Node, ...] = ()


def shortened(text: str) -> str:
    """Quote a text for a message, cut to at most 80 characters.

    Examples
    --------
    >>> shortened("1 +")
    "'1 +'"
    """
    return repr(text if len(text) <= 80 else text[:79] + "\N{HORIZONTAL ELLIPSIS}")


def rows_where(table: pd.DataFrame, condition: str) -> pd.Series:
    """Tell which rows of a table meet a condition.

    Parameters
    ----------
    table : DataFrame
    condition : str
        In the language that this module describes.

    Returns
    -------
    Series of bool
        With the index of the table.

    Raises
    ------
    ConditionError
        For a text that is not a condition, a missing column, a text compared with a number, more than 1,000 characters,
        or parts nested more than 40 deep.

    Examples
    --------
    >>> table = pd.DataFrame({"fruit": ["apple", "pear", None], "n": [10, 12, 9]})
    >>> rows_where(table, 'fruit != "pear" or n < 10').tolist()
    [True, False, True]
    """
    return pd.Series(_truth(parsed_condition(condition), table), index=table.index, dtype=bool)


def select(table: pd.DataFrame, condition: str) -> pd.DataFrame:
    """Return the rows of a table that meet a condition; see :func:`rows_where`.

    Examples
    --------
    >>> len(select(pd.DataFrame({"n": [1, 2, 3]}), "n >= 2"))
    2
    """
    return table[rows_where(table, condition)]


def columns_of(condition: str) -> list[str]:
    """Name the columns that a condition reads, each once, in order.

    Examples
    --------
    >>> columns_of('year > 2000 and label contains "old" and year is given')
    ['year', 'label']
    """
    return list(dict.fromkeys(node.value for node in _walk(parsed_condition(condition)) if node.kind == "name"))


def condition_in_words(condition: str) -> str:
    """Put a condition into words for readers: without quotes, underscores and comparison operators.

    Examples
    --------
    >>> condition_in_words('colour_name == "red" and year >= 2005')
    'colour name is red and year at least 2005'
    """
    words = {"==": "is", "!=": "is not", "<": "below", "<=": "at most", ">": "above", ">=": "at least"}
    parts = []
    for kind, text in _tokens(condition):
        parts.append(text[1:-1] if kind == "text" else words.get(text, text.replace("_", " ")))
    return re.sub(r"\( | (?=[),])", lambda found: found.group().strip(), " ".join(parts))


def evaluate(expression: str, names: Mapping[str, float], functions: Mapping[str, Callable]) -> float:
    """Evaluate arithmetic over named numbers and the given functions; nothing else is allowed.

    Raises
    ------
    ConditionError
        Naming the part that is not arithmetic, the unknown name, the division by zero or the limit exceeded.

    Examples
    --------
    >>> evaluate("(screened - 21) / screened", {"screened": 708}, {})
    0.9703389830508474
    """

    def value(node: Node) -> float:
        if node.kind == "number":
            return node.value
        if node.kind == "name":
            if node.value not in names:
                raise ConditionError(f"{node.value} is not one of {', '.join(sorted(names))}")
            return names[node.value]
        if node.kind == "minus":
            return -value(node.parts[0])
        if node.kind == "call":
            if node.value not in functions:
                raise ConditionError(f"{node.value}() is not one of {', '.join(sorted(functions)) or 'no functions'}")
            return functions[node.value](*(part.value if part.kind == "text" else value(part) for part in node.parts))
        left, right = map(value, node.parts)
        if node.kind == "/" and right == 0:
            raise ConditionError("division by zero")
        return _ARITHMETIC[node.kind](left, right)

    found = float(value(parsed_expression(expression)))
    if not math.isfinite(found):
        raise ConditionError("the result is not a finite number")
    return found


def in_words(expression: str, names: Mapping[str, str], functions: Mapping[str, Callable[..., str]]) -> str:
    """Put an expression of :func:`evaluate` into words for readers: names and calls replaced by texts.

    Examples
    --------
    >>> in_words("found - (doubles + late)", {"found": "9 found", "doubles": "2 doubles", "late": "1 late"}, {})
    '9 found \N{MINUS SIGN} (2 doubles + 1 late)'
    """

    def text(node: Node, bound: bool = False) -> str:
        if node.kind in _ARITHMETIC:
            loose = node.kind in "+-"
            left, right = text(node.parts[0], not loose), text(node.parts[1], node.kind != "+")
            shown_as = f"{left} {_SHOWN.get(node.kind, node.kind)} {right}"
            return f"({shown_as})" if bound and loose else shown_as
        if node.kind == "minus":
            return _SHOWN["-"] + text(node.parts[0], True)
        if node.kind == "call":
            return functions[node.value](*(part.value if part.kind == "text" else text(part) for part in node.parts))
        return names[node.value] if node.kind == "name" else f"{node.value:g}"

    return text(parsed_expression(expression))


@lru_cache(maxsize=1024)
def parsed_condition(condition: str) -> Node:
    """Parse a condition into a tree; the module's docstring describes the language."""
    return _Reader(condition, "a condition").whole(_Reader.either)


@lru_cache(maxsize=1024)
def parsed_expression(expression: str) -> Node:
    """Parse an arithmetic expression into a tree; the module's docstring describes the language."""
    return _Reader(expression, "arithmetic").whole(_Reader.sum)


def _tokens(text: str) -> list[tuple[str, str]]:
    if len(text) > LONGEST:
        raise ConditionError(f"it has {len(text)} characters, more than {LONGEST}")
    tokens, at = [], 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ConditionError(f"{text[at]!r} at character {at + 1} is not understood")
        if found.lastgroup == "number" and len(found.group()) > MOST_DIGITS:
            raise ConditionError(f"the number at character {at + 1} has more than {MOST_DIGITS} digits")
        if found.lastgroup and found.lastgroup != "blank":
            tokens.append((found.lastgroup, found.group()))
        at = found.end()
    return tokens


class _Reader:
    """Reads tokens from left to right, one method for each level of the grammar."""

    def __init__(self, text: str, what: str):
        self.what, self.tokens, self.at, self.depth = what, _tokens(text), 0, 0

    def whole(self, read: Callable[[_Reader], Node]) -> Node:
        node = read(self)
        if self.at < len(self.tokens):
            raise self.fault()
        return node

    def fault(self, expected: str = "") -> ConditionError:
        found = repr(self.tokens[self.at][1]) if self.at < len(self.tokens) else "its end"
        return ConditionError(
            f"it is not {self.what}: "
            + (f"expected {expected}, not {found}" if expected else f"{found} is out of place")
        )

    def next_is(self, *texts: str) -> bool:
        return (
            self.at < len(self.tokens)
            and self.tokens[self.at][0] in ("name", "sign")
            and self.tokens[self.at][1] in texts
        )

    def take(self, *texts: str) -> str:
        if not self.next_is(*texts):
            raise self.fault(" or ".join(texts))
        self.at += 1
        return self.tokens[self.at - 1][1]

    def took(self, text: str) -> bool:
        found = self.next_is(text)
        self.at += found
        return found

    def deeper(self, read: Callable[[], T]) -> T:
        self.depth += 1
        if self.depth > DEEPEST:
            raise ConditionError(f"it has parts more than {DEEPEST} deep")
        node = read()
        self.depth -= 1
        return node

    def chain(self, read: Callable[[], Node], *signs: str) -> Node:
        """Read parts joined by signs, from left to right; each joined part is one level deeper, as in the tree."""
        node, joined = read(), 0
        while self.next_is(*signs):
            sign, joined = self.take(*signs), joined + 1
            if self.depth + joined > DEEPEST:
                raise ConditionError(f"it joins more than {DEEPEST} parts")
            node = Node(sign, None, (node, read()))
        return node

    # conditions

    def either(self) -> Node:
        return self.chain(self.both, "or")

    def both(self) -> Node:
        return self.chain(self.single, "and")

    def single(self) -> Node:
        if self.took("not"):
            return Node("not", None, (self.deeper(self.single),))
        if self.took("("):
            node = self.deeper(self.either)
            self.take(")")
            return node
        return self.comparison()

    def comparison(self) -> Node:
        if self.next_is("one") and self.tokens[self.at + 1 : self.at + 2] and self.tokens[self.at + 1][0] == "name":
            self.take("one")
            value = self.column()
            self.take("per")
            return Node("per", None, (value, self.column()))
        left = self.operand()
        if self.took("is"):
            return Node(self.take(*_CELL_TESTS), None, (left,))
        if self.next_is(*_TEXT_TESTS):
            test = self.take(*_TEXT_TESTS)
            if test != "contains":
                self.take("with")
            return Node(test, None, (left, self.operand()))
        if self.next_is("in", "not"):
            negated = self.took("not")
            self.take("in")
            listed = Node("in", None, (left, *self.listed(self.operand)))
            return Node("not", None, (listed,)) if negated else listed
        if not self.next_is(*_COMPARISONS):
            raise self.fault("a comparison")
        return Node(self.take(*_COMPARISONS), None, (left, self.operand()))

    def listed(self, read: Callable[[], Node]) -> list[Node]:
        self.take("(")
        parts = [read()]
        while self.took(","):
            parts.append(read())
        self.take(")")
        return parts

    def column(self) -> Node:
        node = self.literal()
        if node is None or node.kind != "name":
            raise self.fault("a column")
        return node

    def operand(self) -> Node:
        if self.took("-"):
            number = self.literal()
            if number is None or number.kind != "number":
                raise self.fault("a number")
            return Node("number", -number.value)
        node = self.literal()
        if node is None:
            raise self.fault("a column, a number or a text in quotes")
        if node == Node("name", "parts") and self.took("("):
            node = Node("parts", None, (self.column(),))
            self.take(")")
        return node

    def literal(self) -> Node | None:
        """Read a text, a number or a name if one comes next."""
        kind, text = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
        values = {
            "text": lambda: text[1:-1],
            "number": lambda: float(text) if "." in text else int(text),
            "name": lambda: text,
        }
        if kind not in values:
            return None
        self.at += 1
        return Node(kind, values[kind]())

    # arithmetic

    def sum(self) -> Node:
        return self.chain(self.product, "+", "-")

    def product(self) -> Node:
        return self.chain(self.factor, "*", "/")

    def factor(self) -> Node:
        if self.took("-"):
            return Node("minus", None, (self.deeper(self.factor),))
        if self.took("("):
            inner = self.deeper(self.sum)
            self.take(")")
            return inner
        node = self.literal()
        if node is None or node.kind == "text":
            self.at -= node is not None
            raise self.fault("a number or a name")
        if node.kind == "name" and self.next_is("("):
            return Node("call", node.value, self.deeper(lambda: tuple(self.listed(self.argument))))
        return node

    def argument(self) -> Node:
        """Read a single text, or arithmetic."""
        text = self.literal() if self.at < len(self.tokens) and self.tokens[self.at][0] == "text" else None
        return text or self.sum()


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for part in node.parts:
        yield from _walk(part)


def _truth(node: Node, table: pd.DataFrame) -> np.ndarray:
    """Return the rows for which a part of a condition holds: bool [rows]."""
    if node.kind in ("and", "or"):
        left, right = (_truth(part, table) for part in node.parts)
        return left & right if node.kind == "and" else left | right
    if node.kind == "not":
        return ~_truth(node.parts[0], table)
    if node.kind == "in":
        column, *values = node.parts
        return np.logical_or.reduce([_compared(operator.eq, "in", column, value, table) for value in values])
    if node.kind == "per":
        value, group = (_cells(part, table)[0] for part in node.parts)
        counts = pd.Series(value).groupby(pd.Series(group)).transform("nunique")
        return (counts == 1).to_numpy()
    if node.kind in _CELL_TESTS:
        return _cell_test(node, table)
    if node.kind in _TEXT_TESTS:
        return _text_test(node, table)
    left_part, right_part = node.parts
    return _compared(_COMPARISONS[node.kind], node.kind, left_part, right_part, table)


def _compared(compare: Callable, sign: str, left: Node, right: Node, table: pd.DataFrame) -> np.ndarray:
    (first, is_text), (second, other_is_text) = _cells(left, table), _cells(right, table)
    if is_text != other_is_text:
        raise ConditionError(
            f"{_named(left)} {_holds(is_text)} and {_named(right)} {_holds(other_is_text)}, which cannot be compared"
        )
    if is_text and sign not in ("==", "!=", "in"):
        raise ConditionError(f"{_named(left)} holds text, which {sign} cannot order")
    given = ~(_empty(first) | _empty(second))
    result = np.zeros(len(table), bool)
    result[given] = compare(first[given], second[given]).astype(bool)
    return result


def _text_test(node: Node, table: pd.DataFrame) -> np.ndarray:
    left, right = node.parts
    (texts, is_text), (parts, other_is_text) = _cells(left, table), _cells(right, table)
    if not is_text:
        raise ConditionError(f"{_named(left)} holds numbers, where {node.kind} expects text")
    if not other_is_text:  # a year within an identifier
        parts = np.array([None if np.isnan(part) else f"{part:g}" for part in parts], object)
    test = _TEXT_TESTS[node.kind]
    return np.array(
        [text is not None and part is not None and test(text, part) for text, part in zip(texts, parts, strict=True)],
        bool,
    )


def _cell_test(node: Node, table: pd.DataFrame) -> np.ndarray:
    cells, is_text = _cells(node.parts[0], table)
    if node.kind == "whole":
        if is_text:
            raise ConditionError(f"{_named(node.parts[0])} holds text, where whole expects numbers")
        return ~_empty(cells) & (cells % 1 == 0)
    return _empty(cells) if node.kind == "empty" else ~_empty(cells)


def _cells(node: Node, table: pd.DataFrame) -> tuple[np.ndarray, bool]:
    """Return the cells of a column, or a value repeated, and whether they are texts; empty ones are None or NaN."""
    if node.kind == "parts":
        texts, is_text = _cells(node.parts[0], table)
        if not is_text:
            raise ConditionError(f"{_named(node.parts[0])} holds numbers, where parts expects text")
        return np.array([np.nan if text is None else len(text.split(" | ")) for text in texts], float), False
    if node.kind != "name":
        return np.full(len(table), node.value, object if node.kind == "text" else float), node.kind == "text"
    if node.value not in table:
        raise ConditionError(
            f"there is no column {node.value}; expected one of {shortened(', '.join(map(str, table.columns)))[1:-1]}"
        )
    column = table[node.value]
    if pd.api.types.is_numeric_dtype(column):
        return column.astype("Float64").to_numpy(float, na_value=np.nan), False
    return np.array([None if pd.isna(cell) else str(cell) for cell in column], object), True


def _empty(cells: np.ndarray) -> np.ndarray:
    return np.isnan(cells) if cells.dtype == float else np.array([cell is None for cell in cells], bool)


def _named(node: Node) -> str:
    return {"text": shortened, "number": "{:g}".format}.get(node.kind, str)(
        node.value if node.kind != "parts" else f"parts({node.parts[0].value})"
    )


def _holds(is_text: bool) -> str:
    return "is text" if is_text else "is a number"
