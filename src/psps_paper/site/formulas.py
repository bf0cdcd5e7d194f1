r"""Formulas of the book as MathML, which browsers draw and screen readers read without a script.

:mod:`psps_paper.site.extension` registers the renderer with Sphinx. latex2mathml turns LaTeX into MathML; what it
passes over in silence (an unknown command, a missing argument, a line break outside a table) stops the build here.

The font ``assets/stix-two-math.woff`` holds the letters, operators and stretched forms that statistics need, not all of
STIX Two Math; ``tests/test_formulas.py`` finds a formula with another character.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from pathlib import Path
from xml.etree import ElementTree

from docutils import nodes
from latex2mathml.commands import ALIGN, MATRICES
from latex2mathml.converter import convert
from sphinx.errors import SphinxError
from sphinx.util.math import get_node_equation_number

ASSETS = Path(__file__).parents[1] / "assets"
# Its "align" would number the lines of each formula from 1, whatever other formulas the page has.
_ENVIRONMENTS = {command.lstrip("\\") for command in MATRICES if command != ALIGN}
_ARGUMENTS = {"mfrac": 2, "mroot": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2, "msubsup": 3, "munderover": 3}


def mathml(latex: str, *, display: bool = False) -> str:
    r"""A formula as a ``math`` element.

    Parameters
    ----------
    latex : str
        What stands between the dollar signs.
    display : bool
        Whether it stands on a line of its own.

    Raises
    ------
    ValueError
        Naming the formula and what in it has no MathML.

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
    except Exception as error:  # latex2mathml's exceptions have no common base, and some input ends in an IndexError
        raise ValueError(f"formula {latex!r}: {type(error).__name__} {error}".rstrip()) from error
    for element in formula.iter():
        _mend(element)
        problem = _problem(element)
        if problem:
            raise ValueError(f"formula {latex!r}: {problem}")
    if not "".join(formula.itertext()).strip():
        raise ValueError(f"formula {latex!r}: nothing to show")
    return ElementTree.tostring(formula, encoding="unicode")


def _mend(element: ElementTree.Element) -> None:
    """Names are identifiers and signs are operators, so that browsers set the right space around them; as in LaTeX,
    capital Greek letters and names are upright and hats narrow."""
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
    """What a browser would show as garbage, or nothing."""
    text = element.text or ""
    if len(element) != _ARGUMENTS.get(element.tag, len(element)):
        return f"{element.tag} has {len(element)} of {_ARGUMENTS[element.tag]} parts"
    if re.search(r"[\\$&]", text):
        return f"{text!r} is no MathML"
    if element.tag == "mspace" and not re.fullmatch(r"[\d.]+em", element.get("width", "")):
        return "a space that browsers don't know (a line break, or one that is negative)"
    return ""


NAME = {"aria-label": "Formula"}  # of what the keyboard stops at; :func:`joined` adds a number


def joined(body: str) -> str:
    """A page's body without line breaks between a formula and the comma after it, and with numbers in the names of
    formulas that stand on lines of their own."""
    numbers = itertools.count(1)
    body = re.sub('aria-label="Formula"', lambda _: f'aria-label="Formula {next(numbers)}"', body)
    return re.sub(
        r'(<span class="math [^>]*><math(?:(?!</math>).)*</math></span>)([.,;:)]+)',
        r'<span class="with-comma">\1\2</span>',
        body,
    )


def _rendered(latex: str, translator, node: nodes.Node, *, display: bool) -> str:
    try:
        return mathml(latex, display=display)
    except ValueError as error:
        raise SphinxError(f"{translator.builder.current_docname}, line {node.line or '?'}: {error}") from error


def visit_math(self, node: nodes.math) -> None:
    """Sphinx: a formula within a line."""
    formula = _rendered(node.astext(), self, node, display=False)
    self.body.append(self.starttag(node, "span", "", CLASS="math notranslate nohighlight") + formula + "</span>")
    raise nodes.SkipNode


def visit_displaymath(self, node: nodes.math_block) -> None:
    """Sphinx: formulas on lines of their own, with the number of the equation where it has a label."""
    # A wide one scrolls, and so a key must reach it.
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
