r"""Formulas of the book as MathML, which browsers draw and screen readers read without a script.

:mod:`psps_paper.site.extension` registers the renderer with Sphinx. latex2mathml turns LaTeX into MathML; errors that
it ignores (an unknown command, a missing argument, a line break outside a table) stop the build here.

The font ``assets/stix-two-math.woff`` holds only the letters, operators and stretched forms of STIX Two Math that
statistics need; ``tests/test_formulas.py`` finds formulas with any other character.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from xml.etree import ElementTree

from bs4 import NavigableString, Tag
from docutils import nodes
from latex2mathml.commands import ALIGN, MATRICES
from latex2mathml.converter import convert
from sphinx.errors import SphinxError
from sphinx.util.math import get_node_equation_number

from psps_paper.site.markup import element

ASSETS = Path(__file__).parents[1] / "assets"
# latex2mathml's "align" would number the lines of every formula from 1.
_ENVIRONMENTS = {command.lstrip("\\") for command in MATRICES if command != ALIGN}
_ARGUMENTS = {"mfrac": 2, "mroot": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2, "msubsup": 3, "munderover": 3}


def mathml(latex: str, *, display: bool = False) -> str:
    r"""Convert a formula to a ``math`` element.

    Parameters
    ----------
    latex : str
        The text between the dollar signs.
    display : bool
        Whether the formula has a line of its own.

    Raises
    ------
    ValueError
        Part of the formula has no MathML; the message names the formula and that part.

    Examples
    --------
    >>> mathml(r"\tau^2")
    '<math display="inline"><mrow><msup><mi>τ</mi><mn>2</mn></msup></mrow></math>'
    """
    braces = re.sub(r"\\.", "", latex)
    if braces.count("{") != braces.count("}"):
        raise ValueError(f"formula {latex!r}: braces do not match")
    unknown = set(re.findall(r"\\begin\{(.*?)\}", latex)) - _ENVIRONMENTS
    if unknown:
        raise ValueError(f"formula {latex!r}: the environment {min(unknown)!r} has no MathML")
    try:
        # latex2mathml loses the upright face of a single letter in braces.
        markup = convert(
            re.sub(r"\\mathrm\{(\w)\}", r"\\mathrm \1 ", latex), xmlns="", display="block" if display else "inline"
        )
        formula = ElementTree.fromstring(markup.replace(' xmlns=""', "", 1))
    except Exception as error:  # latex2mathml's exceptions have no common base, and some input raises an IndexError
        raise ValueError(f"formula {latex!r}: {type(error).__name__} {error}".rstrip()) from error
    for part in formula.iter():
        _correct(part)
        problem = _problem(part)
        if problem:
            raise ValueError(f"formula {latex!r}: {problem}")
    if not "".join(formula.itertext()).strip():
        raise ValueError(f"formula {latex!r}: nothing to show")
    return ElementTree.tostring(formula, encoding="unicode")


def _correct(element: ElementTree.Element) -> None:
    """Mark names as identifiers and signs as operators, so that browsers space them correctly.

    As in LaTeX, capital Greek letters and names are upright and hats narrow.
    """
    text = element.text or ""
    if element.tag == "mo" and ((text.isalpha() and len(text) > 1) or text == "∞"):
        element.tag = "mi"
    elif (
        element.tag == "mi" and text and not unicodedata.category(text[0]).startswith(("L", "N")) and text not in "∞…%"
    ):
        element.tag, element.text = "mo", "∼" if text == "~" else text
    elif element.tag == "mi" and re.fullmatch("[Α-Ω]", text):
        element.set("mathvariant", "normal")
    if element.tag == "mover" and len(element) == 2 and element.get("accent") == "true":
        element[1].set("stretchy", "false")
    previous = None
    for child in list(element):
        upright = child.tag == "mi" and child.get("mathvariant") == "normal"
        if upright and previous is not None:
            previous.text += child.text
            element.remove(child)
        else:
            previous = child if upright else None


def _problem(element: ElementTree.Element) -> str:
    """Describe what a browser would show as garbage; empty if there is nothing."""
    text = element.text or ""
    if len(element) != _ARGUMENTS.get(element.tag, len(element)):
        return f"{element.tag} has {len(element)} of {_ARGUMENTS[element.tag]} parts"
    if re.search(r"[\\$&]", text):
        return f"{text!r} is not MathML"
    if element.tag == "mspace" and not re.fullmatch(r"[\d.]+em", element.get("width", "")):
        return "a space that browsers do not support (a line break or a negative space)"
    return ""


NAME = {"aria-label": "Formula"}  # name of a formula that can be focused; :func:`join` adds a number


def join(tree: Tag) -> None:
    """Keep formulas and the punctuation after them on one line, and number the names of displayed formulas."""
    for number, formula in enumerate(tree.select('[aria-label="Formula"]'), start=1):
        formula["aria-label"] = f"Formula {number}"
    for formula in tree.select("span.math"):
        after = formula.next_sibling
        if isinstance(after, NavigableString) and (signs := re.match(r"[.,;:)]+", after)):
            after.replace_with(after[signs.end() :])
            formula.wrap(element("span", {"class": "with-comma"})).append(signs[0])


def _rendered(latex: str, translator, node: nodes.Node, *, display: bool) -> str:
    try:
        return mathml(latex, display=display)
    except ValueError as error:
        raise SphinxError(f"{translator.builder.current_docname}, line {node.line or '?'}: {error}") from error


def visit_math(self, node: nodes.math) -> None:
    """Render an inline formula (called by Sphinx)."""
    formula = _rendered(node.astext(), self, node, display=False)
    self.body.append(self.starttag(node, "span", "", CLASS="math notranslate nohighlight") + formula + "</span>")
    raise nodes.SkipNode


def visit_displaymath(self, node: nodes.math_block) -> None:
    """Render a displayed formula, with the number of the equation if it has a label (called by Sphinx)."""
    # A wide formula scrolls, so the keyboard must be able to reach it.
    self.body.append(
        self.starttag(node, "div", CLASS="math notranslate nohighlight", tabindex="0", role="region", **NAME)
    )
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    parts = [part for part in node.astext().split("\n\n") if part.strip()]
    self.body.append("".join(_rendered(part, self, node, display=True) for part in parts) + "</div>\n")
    raise nodes.SkipNode
