r"""Formulas are MathML that shows what was written, in the font that comes with the book; what cannot be shown stops
the build."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from bs4 import BeautifulSoup
from fontTools.ttLib import TTFont

from conftest import chapters
from psps_paper.site.formulas import ASSETS, join, mathml
from psps_paper.site.markup import rewritten

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("latex", "markup"),
    [
        (r"\tau^2_0", "<msubsup><mi>τ</mi><mn>0</mn><mn>2</mn></msubsup>"),
        (r"k/m", "<mi>k</mi><mo>/</mo><mi>m</mi>"),
        (r"\hat\mu", '<mover accent="true"><mi>μ</mi><mo stretchy="false">^</mo></mover>'),
        (r"\sqrt{s^2}", "<msqrt><mrow><msup><mi>s</mi><mn>2</mn></msup></mrow></msqrt>"),
        (r"\frac{1}{n-1}", "<mfrac><mrow><mn>1</mn></mrow><mrow><mi>n</mi><mo>−</mo><mn>1</mn></mrow></mfrac>"),
        (r"d < 0.05", "<mi>d</mi><mo>&lt;</mo><mn>0.05</mn>"),
        (r"\delta \sim N", "<mi>δ</mi><mo>∼</mo><mi>N</mi>"),
        (r"a \pm b'", "<mi>a</mi><mo>±</mo><msup><mi>b</mi><mo>′</mo></msup>"),
        (r"\operatorname{diag}(s)", '<mi>diag</mi><mo stretchy="false">(</mo><mi>s</mi><mo stretchy="false">)</mo>'),
        (r"\mathrm{MID} \Phi", '<mrow><mi mathvariant="normal">MID</mi></mrow><mi mathvariant="normal">Φ</mi>'),
        (r"\mathrm{d}", '<mi mathvariant="normal">d</mi>'),
        (r"\{x\}", '<mo stretchy="false">{</mo><mi>x</mi><mo stretchy="false">}</mo>'),
    ],
)
def test_a_formula_is_the_mathml_of_what_was_written(latex, markup):
    assert mathml(latex) == f'<math display="inline"><mrow>{markup}</mrow></math>'


@pytest.mark.parametrize(
    ("latex", "message"),
    [
        (r"\tauu", r"'\\tauu' is not MathML"),
        (r"\hatt{x}", r"'\\hatt' is not MathML"),
        (r"\frac{1}{2", "braces do not match"),
        (r"x}", "braces do not match"),
        (r"\frac1", "mfrac has 1 of 2 parts"),
        (r"x^", "MissingSuperScriptOrSubscriptError"),
        (r"a_b_c", "DoubleSubscriptsError"),
        (r"\left( x", "ExtraLeftOrMissingRightError"),
        (r"a & b", "ParseError"),
        (r"a \\ b", "a space that browsers do not support"),
        (r"a\!b", "a space that browsers do not support"),
        (r"\begin{aligned}a&=b\end{aligned}", "the environment 'aligned' has no MathML"),
        (r"\begin{align}a&=b\end{align}", "the environment 'align' has no MathML"),
        (r"\text{a\_b}", r"'a\\_b' is not MathML"),
        ("$x$", "'$' is not MathML"),
        (r"\sqrt{}", "nothing to show"),
    ],
)
def test_what_has_no_mathml_is_named(latex, message):
    with pytest.raises(ValueError, match=re.escape(f"formula {latex!r}: {message}")):
        mathml(latex)


def test_no_line_ends_before_a_comma():
    formula = f'<span class="math notranslate nohighlight">{mathml("x")}</span>'
    assert (
        rewritten(f"<p>{formula} is {formula}, {formula} is</p>", join)
        == f'<p>{formula} is <span class="with-comma">{formula},</span> {formula} is</p>'
    )


CONF = (
    'extensions = ["myst_parser", "sphinxcontrib.bibtex", "sphinx_multitoc_numbering",'
    ' "psps_paper.site.extension"]\nbibtex_bibfiles = []\nmyst_enable_extensions = ["dollarmath"]\n'
    # as the book: the policy of scripts knows its theme
    'html_theme = "sphinx_book_theme"\nhtml_context = {"default_mode": "auto"}\n'
)


def build(folder, text):
    (folder / "conf.py").write_text(CONF)
    (folder / "index.md").write_text(f"# Page\n\n{text}\n")
    return subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-E", folder, folder / "html"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_numbered_equation_has_its_number_and_its_link(tmp_path):
    done = build(tmp_path, "$$\na = b\n$$ (sum)\n\nBy {eq}`sum` and $c$.")
    assert (done.returncode, done.stderr) == (0, "")
    page = BeautifulSoup((tmp_path / "html" / "index.html").read_text(encoding="utf-8"), "html.parser")
    (block,) = page.select("div.math")
    assert (
        block["id"] == "equation-sum"
        and block["tabindex"] == "0"
        and block.select_one(".eqno").get_text().startswith("(1)")
    )
    assert block.math["display"] == "block" and block.math.get_text() == "a=b"
    assert page.select_one('p a[href="#equation-sum"]').get_text() == "(1)"
    assert page.select_one("p .with-comma span.math").get_text() == "c"
    assert (tmp_path / "html" / "_static" / "stix-two-math.woff").exists() and not page.select(
        "script[src*=athjax], script[src*=athJax]"
    )


def test_a_formula_that_cannot_be_shown_stops_the_build(tmp_path):
    done = build(tmp_path, r"It is $\tauu$ here.")
    assert done.returncode != 0 and "index, line 3: formula" in done.stderr and "is not MathML" in done.stderr


@pytest.fixture(scope="module")
def font():
    with TTFont(ASSETS / "stix-two-math.woff") as font:
        yield font


def test_the_font_can_set_mathematics_and_is_small(font):
    constructed = font["MATH"].table.MathVariants.VertGlyphCoverage.glyphs
    assert {font.getBestCmap()[ord(character)] for character in "()√∑"} <= set(constructed)
    assert (ASSETS / "stix-two-math.woff").stat().st_size < 82_000
    assert "SIL OPEN FONT LICENSE Version 1.1" in (ASSETS / "stix-two-math-licence.txt").read_text(encoding="utf-8")


@pytest.mark.built
def test_the_font_has_every_character_of_every_formula(built, font):
    held, formulas = set(font.getBestCmap()), 0
    for stem in chapters():
        page = BeautifulSoup((built / "book" / f"{stem}.html").read_text(encoding="utf-8"), "html.parser")
        for formula in page.select("article math"):
            formulas += 1
            assert sorted({character for character in formula.get_text() if ord(character) not in held}) == [], (
                stem,
                formula,
            )
        assert not re.search(
            r"\\\(|\\\[|\\(?:frac|hat|tau|sqrt)",
            " ".join(part.get_text() for part in page.select("article p, article .math")),
        ), stem
    assert formulas >= 60
