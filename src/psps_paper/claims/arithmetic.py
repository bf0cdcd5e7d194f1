"""Checks that compute with printed numbers."""

from __future__ import annotations

import ast
import dataclasses
import math
import operator
import re
from collections.abc import Callable

import pandas as pd
import scipy

from psps_paper import formatting
from psps_paper.article.facts import fact as fact_row
from psps_paper.claims.counts import _arms
from psps_paper.claims.model import Evidence, Finding, _arguments, _check, _exactly, place, shown


@_check("implied")
def arithmetic(evidence: Evidence, claim: pd.Series) -> Finding:
    """Evaluate an expression over the boxes of the flow diagram and other printed values.

    Names are boxes of ``prisma.csv``; ``claim("id")`` is another printed value, ``arms(ref)`` the number of
    arms of a study. The statement's own value is never used.
    """
    expression = claim["arguments"]
    steps = evidence.table("prisma").dropna(subset="n").set_index("box")
    boxes = steps["n"].astype(float)

    def printed(name):
        if name == claim["id"]:
            raise ValueError("the statement would check itself")
        return float(evidence.claims.at[name, "value"])

    functions = {
        "claim": printed,
        "arms": lambda ref: float(len(_arms(evidence.table("studies"), int(ref)))),
        "round": round,
    }
    value = evaluate(expression, boxes.to_dict(), functions)
    found = formatting.number(value, 3 if value % 1 else 0)
    if whole := re.fullmatch(r'claim\("([^"]+)"\)', expression.strip()):
        other = evidence.claims.loc[whole.group(1)]
        return _exactly(value, f"{other['quantity']}: {shown(other)}, as printed in {place(other)}")

    def other_printed(name):
        other = evidence.claims.loc[name]
        return f"{formatting.printed_value(other['value'], other['decimals'])} ({other['quantity']})"

    words = in_words(
        expression,
        {box: f"{steps.at[box, 'n']:.0f} ({steps.at[box, 'label'][0].lower()}{steps.at[box, 'label'][1:]})" for box in steps.index},
        {"claim": other_printed, "arms": lambda ref: f"{functions['arms'](ref):.0f} (arms of ref {ref})", "round": "{}, rounded".format},
    )
    return _exactly(value, f"{words} = {found}")


@_check("implied")
def cross_check(evidence: Evidence, claim: pd.Series) -> Finding:
    """An expression as for ``arithmetic``, over printed values that have no other check.

    One equation among several such values, or the same number at two places, shows that they fit together; it does
    not compute any of them.
    """
    return dataclasses.replace(arithmetic(evidence, claim), determined=False)


@_check("implied")
def possible_percent(evidence: Evidence, claim: pd.Series) -> Finding:
    """Whether some whole number of a denominator prints as the percentage (GRIM).

    Arguments: the denominator, or a range ``low..high`` where it is not known; each as a number, a box of
    ``prisma.csv`` or a fact of ``study_facts.csv``.

    Source: Brown & Heathers 2017.
    """
    (text,) = _arguments(claim, 1)
    value, decimals = claim["value"], claim["decimals"]
    ends = [_whole_number(evidence, end) for end in text.split("..")]
    denominators = list(range(ends[0], ends[-1] + 1))
    options = possible_counts(value, decimals, denominators)
    if not options:
        nearest = min(
            ((abs(100 * k / n - value), k, n) for n in denominators for k in (int(value * n / 100), int(value * n / 100) + 1)),
        )
        _, k, n = nearest
        whole = f"{ends[0]} to {ends[-1]}" if len(denominators) > 1 else str(n)
        return Finding(100 * k / n, 100 * k / n, f"no whole number of {whole} gives it; nearest {k} of {n}", determined=False)
    shown_options = ", ".join(f"{k} of {n}" for k, n in options[:3]) + (" and more" if len(options) > 3 else "")
    shares = [100 * k / n for k, n in options]
    return Finding(min(shares), max(shares), "possible as " + shown_options, determined=False)


@_check("implied")
def interval_midpoint(evidence: Evidence, claim: pd.Series) -> Finding:
    """Where an estimate must lie if its interval is symmetric: ``lower | upper | logit | decimals``.

    A pooled proportion is symmetric on the logit scale only for some methods, so this can show consistency,
    not more.
    """
    lower, upper, _, decimals = _arguments(claim, 4)
    half = formatting.half_unit(int(decimals))
    logits = [[scipy.special.logit((float(limit) + d) / 100) for limit in (lower, upper)] for d in (-half, half)]
    ends = [100 * scipy.special.expit(sum(pair) / 2) for pair in logits]
    return Finding(min(ends), max(ends), f"midpoint of {lower} to {upper} on the logit scale", determined=False)


def _whole_number(evidence: Evidence, text: str) -> int:
    """A whole number given as itself, as a fact of ``study_facts.csv`` or as a box of ``prisma.csv``."""
    if text.isdigit():
        return int(text)
    if "." in text:
        return int(fact_row(evidence.table("study_facts"), text)["number"])
    return int(evidence.table("prisma").set_index("box")["n"][text])


def possible_counts(value: float, decimals: int, denominators: list[int]) -> list[tuple[int, int]]:
    """All (k, n) with n among the denominators for which 100 k / n prints as ``value``.

    Source: Brown & Heathers 2017 (GRIM).
    """
    options = []
    for n in denominators:
        for k in range(math.floor(value * n / 100), math.ceil(value * n / 100) + 1):
            if 0 <= k <= n and formatting.rounds_to(100 * k / n, value, decimals):
                options.append((k, n))
    return options


_SIGNS = {ast.Add: "+", ast.Sub: formatting.MINUS, ast.Mult: "\N{MULTIPLICATION SIGN}", ast.Div: "/"}


def in_words(expression: str, names: dict[str, str], functions: dict[str, Callable[..., str]]) -> str:
    """An expression that :func:`evaluate` takes, as readers see it: names and calls replaced by texts."""

    def text(node, bound: bool = False) -> str:
        if isinstance(node, ast.BinOp):
            loose = isinstance(node.op, (ast.Add, ast.Sub))
            left = text(node.left, not loose)
            right = text(node.right, not isinstance(node.op, ast.Add))
            shown_as = f"{left} {_SIGNS[type(node.op)]} {right}"
            return f"({shown_as})" if bound and loose else shown_as
        if isinstance(node, ast.UnaryOp):
            return formatting.MINUS + text(node.operand, True)
        if isinstance(node, ast.Call):
            arguments = [part.value if isinstance(part, ast.Constant) else text(part) for part in node.args]
            return functions[node.func.id](*arguments)
        return names[node.id] if isinstance(node, ast.Name) else str(node.value)

    return text(ast.parse(expression, mode="eval").body)


_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
              ast.USub: operator.neg}


def evaluate(expression: str, names: dict[str, float], functions: dict[str, Callable]) -> float:
    """Evaluate arithmetic over named numbers and the given functions; nothing else is allowed.

    Raises
    ------
    ValueError
        Naming the part of the expression that is not arithmetic, or the unknown name.
    """

    def value(node):
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float, str)):
            return node.value
        if isinstance(node, ast.Name):
            if node.id not in names:
                raise ValueError(f"{expression!r}: {node.id} is not one of {', '.join(sorted(names))}")
            return names[node.id]
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](value(node.operand))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions and not node.keywords:
            return functions[node.func.id](*map(value, node.args))
        raise ValueError(f"{expression!r}: {ast.unparse(node)!r} is not arithmetic")

    try:
        tree = ast.parse(expression, mode="eval")
    except SyntaxError as error:
        raise ValueError(f"{expression!r} is not arithmetic: {error.msg}") from None
    return float(value(tree.body))
