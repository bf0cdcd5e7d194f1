"""Every drawing: legible, deterministic, accessible, and showing exactly the data it carries."""

from __future__ import annotations

import itertools
import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.font_manager import FontEntry, findfont, fontManager, get_font
from matplotlib.patches import Circle, Rectangle
from matplotlib.text import Annotation, Text

from figure_examples import (
    DIRECT,
    DIRECTIONS,
    DOMAINS,
    EDGES,
    EXAMPLES,
    FOREST,
    INTERVALS,
    LOWER,
    NETWORK,
    P_SCORES,
    P_TABLE,
    POINTS,
    POOLED,
    PRISMA,
    PROBABILITIES,
    RANGES,
    RESPONDERS,
    ROB,
    STUDIES,
    TE,
    THRESHOLDS,
    UPPER,
)
from psps_paper import figures
from psps_paper.figures import Drawing, layout, palette, save, style, to_svg
from psps_paper.formatting import number
from psps_paper.network import (
    contribution_matrix,
    fit_network,
    league_with_direct,
    net_heat,
    partial_order,
    split_evidence,
)
from psps_paper.pairwise import meta_analysis

pytestmark = pytest.mark.slow

LIGHT_PAGE, DARK_PAGE = "#ffffff", "#121212"
WIDTHS = ("single", "double", "phone")
every_drawing = pytest.mark.parametrize("name", EXAMPLES)
every_width = pytest.mark.parametrize("width", WIDTHS)


@cache
def drawn(name: str, width: str = "double") -> Drawing:
    """An example that the test does not change; made once, because there are many tests on it."""
    return EXAMPLES[name](width=width)


@cache
def svg_of(name: str) -> str:
    return to_svg(drawn(name))


def made_typeface(folder: Path, name: str, characters: str, weight: int) -> FontEntry:
    """A typeface, without a bold one, that draws each of these characters as a box of its own."""
    glyphs = [".notdef", *(f"uni{ord(character):04X}" for character in characters)]
    pen = TTGlyphPen(None)
    for move, *point in [("moveTo", (50, 0)), ("lineTo", (50, 700)), ("lineTo", (900, 700)), ("lineTo", (900, 0))]:
        getattr(pen, move)(*point)
    pen.closePath()
    box, font = pen.glyph(), FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder(glyphs)
    font.setupCharacterMap({ord(character): glyph for character, glyph in zip(characters, glyphs[1:], strict=True)})
    font.setupGlyf(dict.fromkeys(glyphs, box))
    font.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 50)))
    font.setupHorizontalHeader(ascent=1300, descent=-400)
    font.setupNameTable({"familyName": name, "styleName": "Regular", "psName": name})
    font.setupOS2(usWeightClass=weight)
    font.setupPost()
    font.save(folder / f"{name}.ttf")
    return FontEntry(fname=str(folder / f"{name}.ttf"), name=name, weight=weight, size="scalable")


@pytest.fixture
def installed(typefaces, monkeypatch) -> Iterator[Callable[[str], None]]:
    """Let matplotlib find the typefaces of one of the machines and no other."""

    def only(machine: str) -> None:
        monkeypatch.delenv("MPL_IGNORE_SYSTEM_FONTS", raising=False)  # which would hide the made ones too
        monkeypatch.setattr(fontManager, "ttflist", list(typefaces[machine]))
        fontManager._findfont_cached.cache_clear()

    yield only
    fontManager._findfont_cached.cache_clear()


def visible_texts(figure) -> list[Text]:
    texts = []
    for axes in figure.axes:
        texts += [text for text in axes.texts if text.get_text()]
        if axes.axison:
            for axis in (axes.xaxis, axes.yaxis):
                texts.append(axis.label)
                texts += [tick.label1 for tick in axis._update_ticks() if tick.label1.get_visible()]
    return [text for text in texts if text.get_text().strip()]


def text_boxes(figure) -> list[tuple[str, tuple[float, float, float, float]]]:
    """Each visible text with its box in points; four pixels a point keep hinting out of it."""
    with mpl.rc_context(style.RC):
        figure.set_dpi(4 * 72)
        renderer = FigureCanvasAgg(figure).get_renderer()
        figure.draw_without_rendering()
        boxes = [
            (text.get_text(), tuple(Text.get_window_extent(text, renderer).extents / 4))
            for text in visible_texts(figure)
        ]
        figure.set_dpi(72)
    return boxes


def overlap(first: tuple, second: tuple) -> float:
    """The smaller side of the intersection of two boxes (left, bottom, right, top)."""
    return min(
        min(first[2], second[2]) - max(first[0], second[0]),
        min(first[3], second[3]) - max(first[1], second[1]),
    )


# ---------------------------------------------------------------- legibility


@every_width
@every_drawing
def test_texts_lie_inside_the_figure_and_apart(name, width):
    drawing = drawn(name, width)
    right, top = drawing.figure.get_size_inches() * 72
    boxes = text_boxes(drawing.figure)
    # Half a point: the blank that a box includes around its glyphs.
    for text, (x0, y0, x1, y1) in boxes:
        assert min(x0, y0, right - x1, top - y1) > -0.5, text
    # A point: lines of neighbouring texts may share the blank above and below them.
    for (first, a), (second, b) in itertools.combinations(boxes, 2):
        assert overlap(a, b) < 1.0, (first, second)


@pytest.mark.parametrize("width", ["single", "phone"])
@pytest.mark.parametrize("name", ["interval_strip", "identified_ranges", "threshold_forest", "forest_network"])
def test_a_unit_longer_than_its_axis_stays_inside_the_figure(name, width):
    drawing = EXAMPLES[name](width=width, unit="standardised mean difference of pain")
    [(text, (left, _, right, _))] = [box for box in text_boxes(drawing.figure) if box[0][1:].startswith("tandardised")]
    assert left > 0 and right < layout.page_width(width), text


@pytest.mark.parametrize("width", ["double", "phone"])
@every_drawing
def test_no_text_is_smaller_than_nine_points_in_double_width_or_on_a_telephone(name, width):
    assert min(t.get_fontsize() for t in visible_texts(drawn(name, width).figure)) >= 9


@every_drawing
def test_no_text_is_smaller_than_seven_points_in_single_width(name):
    assert min(t.get_fontsize() for t in visible_texts(drawn(name, "single").figure)) >= 7


@every_width
@every_drawing
def test_width_in_millimetres(name, width):
    figure = drawn(name, width).figure
    assert figure.get_size_inches()[0] * 25.4 == pytest.approx({"single": 90, "double": 180, "phone": 86.7}[width])


@every_drawing
def test_text_is_never_in_a_class_colour(name):
    # No colour has 4.5:1 on white and on the dark page at once, so text is ink, muted, or on a fill.
    for text in visible_texts(drawn(name).figure):
        assert to_hex(text.get_color()) in {style.INK, style.MUTED, palette.DARK_TEXT, palette.LIGHT_TEXT}


@pytest.mark.parametrize("colour", palette.CLASS_COLOURS.values())
def test_class_colours_stand_out_on_light_and_dark_pages(colour):
    assert palette.contrast_ratio(colour, LIGHT_PAGE) >= 3
    assert palette.contrast_ratio(colour, DARK_PAGE) >= 3


def test_contrast_ratio_of_black_and_white():
    # WCAG 2.2, "contrast ratio": 21:1 is the largest; #777777 on white is its well-known near miss of 4.5.
    assert palette.contrast_ratio("#000000", "#ffffff") == pytest.approx(21)
    assert palette.contrast_ratio("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


def test_ink_and_muted_text_read_on_white():
    assert palette.contrast_ratio(style.INK, LIGHT_PAGE) >= 4.5
    assert palette.contrast_ratio(style.MUTED, LIGHT_PAGE) >= 4.5


@pytest.mark.parametrize("judgement", style.ROB_COLOURS)
def test_text_on_risk_of_bias_colours_reads(judgement):
    fill = style.ROB_COLOURS[judgement]
    assert palette.contrast_ratio(palette.text_on(fill), fill) >= 4.5


def test_risk_of_bias_judgements_differ_in_greyscale_or_by_hatch_and_symbol():
    shades = [palette.relative_luminance(style.ROB_COLOURS[j]) for j in ("low", "some concerns", "high")]
    for lighter, darker in itertools.pairwise(shades):
        assert (lighter + 0.05) / (darker + 0.05) > 1.5
    assert len(set(style.ROB_HATCHES.values())) == len(set(style.ROB_SYMBOLS.values())) == 4


# Machado, Oliveira & Fernandes 2009, severity 1.0, on linear RGB.
COLOUR_VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(colour: str, vision: str) -> np.ndarray:
    """CIELAB (D65) of a colour as it is seen."""
    rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(COLOUR_VISION[vision]) @ linear, 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.asarray(to_xyz) @ seen / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", COLOUR_VISION)
def test_class_colours_differ_under_colour_blindness(vision):
    # A CIELAB distance of 2.3 is just noticeable; ask for well over three times as much.
    for first, second in itertools.combinations(palette.CLASS_COLOURS, 2):
        distance = np.linalg.norm(
            lab(palette.CLASS_COLOURS[first], vision) - lab(palette.CLASS_COLOURS[second], vision)
        )
        assert distance > 8, (first, second)


# ---------------------------------------------------------------- SVG


@every_drawing
def test_svg_is_the_same_bytes_each_time(name):
    assert svg_of(name) == to_svg(drawn(name)) == to_svg(EXAMPLES[name]())


def test_svg_carries_nothing_that_a_page_needs_not(monkeypatch):
    """Hundredths of a point, ids that something refers to, no empty groups; all else is as matplotlib writes it."""
    svg = svg_of("forest_network")
    assert not re.search(r' (?:d|x|y|transform)="[^"]*\d\.\d{3}', svg)
    assert "rotate(-0" not in svg and not re.search(r"<g[^>]*/>|>\s+<", svg)
    ids = set(re.findall(r' id="([^"]+)"', svg)) - {"forest_network-svg"}
    assert ids == set(re.findall(r'(?:href="|url\()#([^)"]+)', svg))

    def drawn_parts(svg: str) -> list[tuple[list[str], list[float]]]:
        parts = [e for e in ElementTree.fromstring(svg).iter() if e.tag.endswith(("}path", "}text", "}use"))]
        places = [" ".join(e.get(key, "") for key in ("d", "x", "y")) for e in parts]
        told = [
            [e.tag, e.text or "", e.get("style", ""), *re.findall("[A-Z]", at)]
            for e, at in zip(parts, places, strict=True)
        ]
        return [(t, list(map(float, re.findall(r"-?[\d.]+", at)))) for t, at in zip(told, places, strict=True)]

    monkeypatch.setattr("psps_paper.figures.drawing._shorten", lambda root: None)
    whole = to_svg(EXAMPLES["forest_network"]())
    assert len(svg) < 0.8 * len(whole)
    for (told, places), (all_told, all_places) in zip(drawn_parts(svg), drawn_parts(whole), strict=True):
        assert [t.strip() for t in told] == [t.strip() for t in all_told]
        assert places == pytest.approx(all_places, abs=0.0051)


@every_drawing
def test_svg_stands_alone_in_a_page(name):
    svg = svg_of(name)
    assert svg.startswith("<svg ") and "<?xml" not in svg and "<!DOCTYPE" not in svg
    assert "metadata" not in svg and not re.search(r"20\d\d-\d\d-\d\dT", svg)
    root = ElementTree.fromstring(svg)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids)) and all(i.startswith(f"{name}-") for i in ids)
    targets = set(re.findall(r"url\(#([^)]+)\)", svg)) | set(re.findall(r'href="#([^"]+)"', svg))
    assert targets <= set(ids)
    rules = [e.text for e in root.iter() if e.tag.endswith("}style")]
    assert rules and all(rule.lstrip().startswith(f"#{name}-svg *") for rule in rules)


@every_drawing
def test_svg_has_a_role_and_a_text_alternative(name):
    drawing = drawn(name)
    root = ElementTree.fromstring(svg_of(name))
    assert root.get("role") == "img"
    assert root.get("aria-label") == drawing.alt


@every_drawing
def test_svg_keeps_text_as_text_in_the_font_stack(name):
    svg = svg_of(name)
    texts = [e for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("}text")]
    assert texts
    for element in texts:
        assert "'DejaVu Sans', Verdana, sans-serif" in element.get("style"), element.text


def foreign_colours(name: str) -> set[str]:
    """Colours of a drawing's SVG that the style does not list."""
    page = {style.INK, style.MUTED, style.GRID, style.PAPER, palette.DARK_TEXT, palette.LIGHT_TEXT}
    known = page | set(palette.CLASS_COLOURS.values()) | set(style.ROB_COLOURS.values())
    return set(re.findall(r"#[0-9a-f]{6}\b", svg_of(name))) - known


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in EXAMPLES
        if name not in ("league_heat", "league_direct", "network_of", "net_heat_map", "contribution_heat")
    ],
)
def test_svg_has_no_colours_but_the_style_s_own(name):
    assert foreign_colours(name) == set()


def test_league_heat_adds_a_shade_a_cell():
    # Twelve cells hold six differences of either sign; no shade is close to the page's own colours.
    assert len(foreign_colours("league_heat")) == 12


@pytest.mark.parametrize("name", ["league_heat", "net_heat_map", "contribution_heat"])
def test_numbers_can_be_read_on_every_shade(name):
    shades = foreign_colours(name)
    assert shades and all(palette.contrast_ratio(shade, palette.text_on(shade)) >= 4.5 for shade in shades)


@pytest.fixture(scope="module")
def typefaces(tmp_path_factory) -> dict[str, tuple[FontEntry, ...]]:
    """Machines by what is installed on them: matplotlib's own typefaces, and made ones."""
    folder, bundled = tmp_path_factory.mktemp("typefaces"), Path(mpl.get_data_path())
    bare = tuple(entry for entry in fontManager.ttflist if Path(entry.fname).is_relative_to(bundled))
    half, cjk, hindi, medium = (
        made_typeface(folder, name, characters, weight)
        for name, characters, weight in [
            ("Half", "尼古", 400),
            ("CJK", "尼古丁戒烟", 400),
            ("Hindi", "कख", 400),
            ("Medium", "尼古丁戒烟", 500),
        ]
    )
    broken = replace(cjk, fname=str(folder / "removed.ttf"), name="Broken")
    return {"bare": bare, "CJK": (*bare, cjk), "many": (broken, half, medium, hindi, cjk, *reversed(bare))}


CHINESE = pd.DataFrame({"treat1": ["尼古丁"], "treat2": ["戒烟"], "n_studies": [2], "n_estimates": [2]})


def chinese_graph() -> Drawing:
    colours = iter(palette.class_colours())
    return figures.network_graph(CHINESE, classes={"尼古丁": next(colours), "戒烟": next(colours)})


def test_matplotlib_s_placeholder_is_among_the_typefaces_and_never_chosen(typefaces):
    placeholders = [entry for entry in typefaces["bare"] if entry.name.startswith("Last Resort")]
    assert placeholders and ord("尼") in get_font(placeholders[0].fname).get_charmap()
    assert layout.families("尼古丁", typefaces["bare"]) == ([style.FONT], "丁古尼")


@pytest.mark.parametrize(
    ("machine", "characters", "chosen", "left"),
    [
        ("bare", "", [], ""),
        ("CJK", "尼古丁", ["CJK"], ""),
        ("CJK", "尼क", ["CJK"], "क"),
        ("many", "尼", ["CJK"], ""),
        ("many", "尼古丁क", ["CJK", "Hindi"], ""),
    ],
)
def test_the_typefaces_that_together_have_most_characters_are_chosen(typefaces, machine, characters, chosen, left):
    assert layout.families(characters, typefaces[machine]) == ([style.FONT, *chosen], left)


@pytest.mark.parametrize("machine", ["bare", "CJK", "many"])
def test_an_svg_is_the_same_whatever_typefaces_are_installed(installed, machine, recwarn, caplog):
    expected = to_svg(chinese_graph())
    installed(machine)
    drawing = chinese_graph()
    svg = to_svg(drawing)
    assert svg == expected and ">尼古丁<" in svg and "戒烟" in svg
    assert ([str(warning.message) for warning in recwarn], caplog.messages) == ([], [])


@pytest.mark.parametrize("machine", ["CJK", "many"])
def test_a_pdf_uses_an_installed_typeface_and_the_drawing_stays_as_it_was(
    installed, machine, recwarn, caplog, tmp_path
):
    installed(machine)
    drawing = chinese_graph()
    before = to_svg(drawing)
    pdf = save(drawing, tmp_path, ("pdf", "png"))[0].read_bytes()
    assert re.search(rb"/FontName /(\w+\+)?CJK\b", pdf) and b"LastResort" not in pdf
    assert to_svg(drawing) == before
    assert ([str(warning.message) for warning in recwarn], caplog.messages) == ([], [])


def test_where_no_typeface_has_a_character_one_warning_names_it(installed, tmp_path, caplog):
    installed("bare")
    with pytest.warns(UserWarning) as caught:
        save(chinese_graph(), tmp_path, ("pdf",))
    assert [str(warning.message) for warning in caught] == [
        "no installed typeface has 丁古尼戒烟: a PDF or PNG shows boxes; install one that has them, or use the SVG"
    ]
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("text", "drawn_as"),
    [
        ("غسول vs tablet", "\u200eغسول vs tablet"),  # else it would read "vs tablet" first, and favour the other side
        ("tablet vs غسول", "tablet vs غسول"),
        ("غسول", "غسول"),
        ("0.5", "0.5"),
    ],
)
def test_a_comparison_reads_from_left_to_right_whatever_it_begins_with(installed, text, drawn_as):
    installed("bare")
    figure = mpl.figure.Figure()
    written = figure.text(0, 0, text)
    with layout.installed_typefaces(figure):
        assert written.get_text() == drawn_as
    assert written.get_text() == text


def test_a_typeface_that_was_installed_later_is_found(typefaces, installed, monkeypatch):
    installed("bare")
    (new,) = set(typefaces["CJK"]) - set(typefaces["bare"])
    monkeypatch.setattr(layout, "findSystemFonts", lambda: [new.fname, "/no/such/file.ttf"])
    monkeypatch.setenv("MPL_IGNORE_SYSTEM_FONTS", "1")
    layout.find_new_typefaces()
    assert layout.families("尼", tuple(fontManager.ttflist))[1] == "尼"
    monkeypatch.delenv("MPL_IGNORE_SYSTEM_FONTS")
    layout.find_new_typefaces()
    assert layout.families("尼", tuple(fontManager.ttflist)) == (["DejaVu Sans", "CJK"], "")


def test_text_is_measured_with_the_typeface_that_comes_with_matplotlib(typefaces):
    for entries in typefaces.values():
        names = [Path(entry.fname).name for entry in entries if entry.name == style.FONT]
        assert {"DejaVuSans.ttf", "DejaVuSans-Bold.ttf"} <= set(names)
    assert Path(findfont(style.FONT)).is_relative_to(mpl.get_data_path())


def test_a_character_missing_from_the_typeface_is_one_em_wide():
    assert layout.foreign("té 尼尼古") == "古尼"
    assert layout.text_width("尼古丁", 10) == pytest.approx(30, abs=0.5)


@pytest.mark.parametrize(("va", "first"), [("top", 93.5), ("center", 106.5), ("bottom", 119.5)])
def test_lines_in_a_script_of_the_reader_s_typeface_are_aligned_one_by_one(va, first):
    """Matplotlib shifted a right-aligned name of two lines by widths that it guessed, out of the figure; 1.3 em a
    line."""
    _, canvas = layout.page("double", 200)
    layout.write(canvas, 90, 100, "\u0938\u0902\u091c\u094d\u091e\u093e\n\u092f\u094b\u0917", 10, ha="right", va=va)
    assert [text.get_position() for text in canvas.texts] == [(90, first), (90, first - 13)]
    assert {text.get_ha() for text in canvas.texts} == {"right"}
    layout.write(canvas, 90, 100, "one\ntwo", 10)
    assert canvas.texts[-1].get_text() == "one\ntwo"


def test_a_treatment_that_most_others_are_compared_with_stands_in_the_middle():
    """On the ring its dot hid its neighbours, and the numbers of studies beside it lay on each other."""
    names = [f"t{k:02d}" for k in range(1, 20)]
    edges = pd.DataFrame({"treat1": "usual care", "treat2": names, "n_studies": 1, "n_estimates": 1})
    sizes = pd.Series({**dict.fromkeys(names, 50.0), "usual care": 900.0})
    for width in ("double", "single"):
        canvas = figures.network_graph(edges, sizes=sizes, width=width).figure.axes[0]
        dots = {round(patch.radius, 6): patch.center for patch in canvas.patches}
        ring = np.array([patch.center for patch in canvas.patches if patch.radius < max(dots)])
        assert len(ring) == 19 and dots[max(dots)] == pytest.approx(ring.mean(axis=0), abs=1e-6)
        assert sum(text.get_text() == "1" for text in canvas.texts) >= 19  # each line's number of studies


def test_a_heading_begins_with_a_capital_but_a_sign_of_a_unit_does_not():
    assert [style.capitalised(unit) for unit in ("odds ratio", "points", "mmol/l", "kg", "SMD")] == [
        *("Odds ratio", "Points", "mmol/l", "kg", "SMD")
    ]


def test_drawing_leaves_matplotlib_as_it_was():
    before = dict(mpl.rcParams)
    to_svg(EXAMPLES["forest_network"]())
    assert dict(mpl.rcParams) == before


def test_no_pyplot():
    code = "import sys, psps_paper.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["", "Forest", "1st", "a b", 'a"b'])
def test_a_drawing_s_name_can_be_an_id_and_a_file(name):
    with pytest.raises(ValueError, match="drawing name"):
        EXAMPLES["rank_interval"](name=name)


def test_a_drawing_needs_a_text_alternative():
    drawing = drawn("rank_interval")
    with pytest.raises(ValueError, match="text alternative"):
        Drawing("x", drawing.figure, drawing.data, " ")


def test_save_writes_each_format_and_the_data_the_same_each_time(tmp_path):
    paths = save(drawn("forest_network"), tmp_path / "a", dpi=72)
    again = save(EXAMPLES["forest_network"](), tmp_path / "b", dpi=72)
    assert [p.name for p in paths] == [f"forest_network.{e}" for e in ("svg", "pdf", "png", "csv")]
    for one, two in zip(paths, again, strict=True):
        assert one.read_bytes() == two.read_bytes(), one.name
    pd.testing.assert_frame_equal(pd.read_csv(paths[-1]), drawn("forest_network").data, check_dtype=False)


def test_save_refuses_an_unknown_format(tmp_path):
    with pytest.raises(ValueError, match="'jpg' is not one of svg, pdf, png"):
        save(drawn("rank_interval"), tmp_path, ("jpg",))


# ---------------------------------------------------------------- text alternatives


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "prisma_flow",
            [
                "1140",
                "leaving – Duplicates removed: 432",
                "joining – Added by the updated search: 5",
                "Excluded on title and abstract: n not printed",
            ],
        ),
        (
            "rob_stacked",
            ["Overall: 8.2% low, 26.5% some concerns and 65.3% high", "1 Randomisation process: 100.0% unknown"],
        ),
        ("rob_by_study", ["All 49 studies", "Neuromodulation (25)", "Surgery (2)"]),
        ("rob_domains", ["Randomisation of 5 studies: 2 low, 1 some concerns, 1 high and 1 unknown"]),
        ("studies_by_year", ["49 studies", "neuromodulation 25"]),
        (
            "network_graph",
            [
                "neuromodulation versus placebo/sham (10 studies, 19 estimates)",
                (
                    "Separate subnetwork of 2 treatments and 1 comparison: surgery versus surgery + minimally invasive"
                    " (1 study)"
                ),
            ],
        ),
        (
            "forest_network",
            [
                "0.45 (0.14 to 0.76), prediction interval −0.21 to 1.11 [printed]",
                "0.33 (−0.09 to 0.75) [implied]",
                "above 0 favours neuromodulation",
            ],
        ),
        ("league_heat", ["neuromodulation minus conservative 0.33 (−0.09 to 0.75)"]),
        ("rank_heat", ["neuromodulation (P-score 0.975): rank 1 94%, rank 2 6%"]),
        ("rankogram", ["neuromodulation (P-score 0.975): rank 1 94%", "rank 3 <1%"]),
        ("cumulative_ranks", ["neuromodulation (SUCRA 0.978): best 1 94%, best 2 >99%"]),
        ("rank_interval", ["neuromodulation 1 (1 to 2)", "95% interval"]),
        ("p_score_dots", ["placebo/sham implied 0.390, printed 0.389"]),
        ("funnel", ["25 simulated estimates", "neuromodulation vs placebo/sham: 19"]),
        ("bubble", ["25 simulated estimates", "against publication year, from 1999.00 to 2023.00", "Slope"]),
        ("contour_funnel", ["25 simulated estimates", "3 of them filled in", "pooled effect 0.40"]),
        (
            "interval_strip",
            [
                "1 of 3 printed values outside even with their rounding",
                "printed 0.389, outside, implied 0.391 to 0.403",
            ],
        ),
        (
            "forest_responders",
            [
                "24/50 against 4/44, 9.23 (2.89 to 29.46), weight 41.0 %",
                "tau² 0.420, I² 56 %, Q = 4.56, df 2, p = 0.102",
                "Pooled, random effects: 6.93 (2.64 to 18.20), prediction interval 0.31 to 153.00",
            ],
        ),
        ("effect_direction", ["25 studies", "add-on neuromodulation: 1 favours intervention and 1 no difference"]),
        ("tau_posterior", ["median 0.37, 95\u202f% interval 0.11 to 0.88"]),
        (
            "prior_strip",
            [
                "scaled from 1/8 to 8 times",
                (
                    "placebo/sham: on average 93\u202f% (90\u202f% to 96\u202f%), in a new study 72\u202f% (72\u202f%"
                    " to 72\u202f%)"
                ),
            ],
        ),
        ("time_growth", ["10 treatments, 1.0 to 66.7", "300 treatments, 30.0 to 2000.0"]),
        (
            "identified_ranges",
            [
                "Simulated",
                "placebo/sham: each estimate by itself 0.18 to 0.19",
                "one mean a study at least −0.45 to 0.33",
            ],
        ),
        (
            "threshold_forest",
            [
                (
                    "neuromodulation vs placebo/sham: 0.36 (0.18 to 0.53), unchanged 0.34 to 0.45; below it:"
                    " neuromodulation, placebo/sham"
                ),
                "unchanged 0.36 to no limit",
            ],
        ),
        (
            "forest_pairwise",
            ["Kumar 2007 0.41 (0.12 to 0.70), weight 59.0 %", "Pooled, random effects 0.33", "df 1, p = "],
        ),
        ("forest_comparisons", ["Al-Kaisy 2018 0.30 (0.03 to 0.57), weight 47.5 %", "Q = 3.01, df 1", "Network 0.46"]),
        (
            "node_split_forest",
            ["vs neuromodulation, p = 0.082; direct −0.28 (−0.45 to −0.10); indirect −0.63", "Q = 4.26"],
        ),
        (
            "forest_treatments",
            ["against placebo/sham", "neuromodulation 0.46 (0.30 to 0.62), prediction interval", "tau² "],
        ),
        ("network_of", ["neuromodulation versus placebo/sham (2 studies, 2 estimates)"]),
        ("hasse_diagram", ["4 treatments by pain and quality of life", "conservative above neuromodulation"]),
        ("league_direct", ["neuromodulation against placebo/sham, direct, 0.48 (0.31 to 0.66)"]),
        ("net_heat_map", ["Net heat of 6 designs", "largest first: neuromodulation:placebo/sham 1.73"]),
        (
            "contribution_heat",
            ["of 5 direct comparisons", "neuromodulation:placebo/sham neuromodulation:placebo/sham 68 %"],
        ),
    ],
)
def test_alternative_text_gives_the_numbers(name, expected):
    alt = drawn(name).alt
    for phrase in expected:
        assert phrase in alt


def test_bubbles_and_contours_show_the_fit_and_the_studies():
    drawing = drawn("bubble")
    line = drawing.data[drawing.data["kind"] == "line"]
    studies = drawing.data[drawing.data["kind"] == "study"]
    assert studies["te"].tolist() == POINTS["te"].tolist()
    assert (line["lower"] < line["te"]).all() and np.ptp(np.diff(line["te"])) < 1e-9  # straight
    contours = drawn("contour_funnel").data
    assert (contours["p"] < 0.05).tolist() == (np.abs(POINTS["te"] / POINTS["se"]) > 1.959964).tolist()
    with pytest.raises(ValueError, match="not the only moderator"):
        figures.bubble(EXAMPLES["bubble"].args[0], "weeks", tier="simulated")
    with pytest.raises(ValueError, match="tier='guessed'"):
        figures.contour_funnel(POINTS, centre=0.4, tier="guessed")


def test_a_printed_value_is_outside_only_beyond_its_rounding():
    """0.14 stands for 0.135 to 0.145, which 0.143 to 0.146 meets and 0.146 to 0.150 does not."""
    rows = pd.DataFrame(
        {"label": ["meets", "beyond"], "low": [0.143, 0.146], "high": [0.146, 0.150], "printed": 0.14, "decimals": 2}
    )
    drawing = figures.interval_strip(rows, unit="SMD")
    assert drawing.data["meets"].tolist() == [True, False]
    assert drawing.data[["printed_low", "printed_high"]].to_numpy() == pytest.approx(np.array([[0.135, 0.145]] * 2))
    assert (
        "meets: printed 0.14, implied 0.143 to 0.146; beyond: printed 0.14, outside, implied 0.146 to 0.150"
        in drawing.alt
    )


def test_every_drawing_has_its_alt_checked():
    (marker,) = [m for m in test_alternative_text_gives_the_numbers.pytestmark if m.name == "parametrize"]
    assert [case[0] for case in marker.args[1]] == list(EXAMPLES)


# ---------------------------------------------------------------- data are what is plotted


def lines(axes) -> list[tuple[list[float], list[float]]]:
    return [(list(map(float, line.get_xdata())), list(map(float, line.get_ydata()))) for line in axes.lines]


def test_forest_network_plots_its_data():
    drawing = drawn("forest_network")
    spans = [x for x, _ in lines(drawing.figure.axes[1])]
    for row in drawing.data.itertuples():
        assert [row.te] in spans and [row.lower, row.upper] in spans
        if pd.notna(row.predict_lower):
            assert [row.predict_lower, row.predict_upper] in spans
    assert [0.0, 0.0] in spans
    # Three contrasts of two lines, two prediction intervals, the null line.
    assert len(spans) == 3 * 2 + 2 + 1


def test_forest_network_shows_the_tier_by_the_marker():
    drawing = drawn("forest_network")
    faces = {
        line.get_xdata()[0]: line.get_markerfacecolor()
        for line in drawing.figure.axes[1].lines
        if line.get_marker() == "o"
    }
    assert faces[0.33] == style.PAPER
    assert faces[0.36] == palette.CLASS_COLOURS["placebo/sham"]


def test_forest_responders_plots_its_data():
    drawing = drawn("forest_responders")
    axes = drawing.figure.axes[1]
    spans = [x for x, _ in lines(axes)]
    for row in RESPONDERS.itertuples():
        assert [row.estimate] in spans and [row.lower, row.upper] in spans
    (diamond,) = axes.patches
    assert {x for x, _ in diamond.get_xy()} == {POOLED["lower"], POOLED["estimate"], POOLED["upper"]}
    assert [POOLED["predict_lower"], POOLED["predict_upper"]] in spans
    assert axes.get_xscale() == "log" and drawing.data["pooled"].sum() == 1


def test_rob_stacked_plots_its_data():
    drawing = drawn("rob_stacked")
    bars = [(to_hex(p.get_facecolor()), round(p.get_width(), 6)) for p in drawing.figure.axes[1].patches]
    expected = [(style.ROB_COLOURS[r.judgement], r.percent) for r in drawing.data.itertuples()]
    assert sorted(bars) == sorted(expected)


def test_rank_heat_gives_each_probability_its_area():
    drawing = figures.rank_heat(PROBABILITIES, P_SCORES)
    best, *_ = drawing.figure.axes[-1].collections
    first = P_SCORES.sort_values(ascending=False).index[0]
    areas = np.asarray(best.get_sizes())
    np.testing.assert_allclose(areas / areas.sum(), PROBABILITIES.loc[first], atol=1e-12)
    assert set(drawing.data["probability"]) == set(PROBABILITIES.to_numpy().ravel())


def test_rankogram_plots_its_data():
    drawing = drawn("rankogram")
    heights = [p.get_height() / 100 for axes in drawing.figure.axes[1:] for p in axes.patches]
    assert heights == pytest.approx(list(drawing.data["probability"]))
    assert list(drawing.data["treatment"].unique()) == list(P_SCORES.sort_values(ascending=False).index)


def test_cumulative_ranks_plots_its_data_and_sucra_is_its_mean():
    drawing = drawn("cumulative_ranks")
    for axes, (_, group) in zip(drawing.figure.axes[1:], drawing.data.groupby("treatment", sort=False), strict=True):
        highlighted = [line for line in axes.lines if line.get_marker() == "o"]
        assert list(highlighted[0].get_ydata() / 100) == pytest.approx(list(group["cumulative_probability"]))
        # Salanti, Ades & Ioannidis 2011: k - 1 ranks are averaged.
        assert group["sucra"].iloc[0] == pytest.approx(group["cumulative_probability"].iloc[:-1].sum() / 3)


def test_funnel_adjusts_each_estimate_by_its_comparison():
    drawing = drawn("funnel")
    # Chaimani & Salanti 2012: within a comparison the inverse-variance weighted mean is zero.
    weighted = (drawing.data["adjusted"] / drawing.data["se"] ** 2).groupby(drawing.data["comparison"]).sum()
    assert weighted.to_numpy() == pytest.approx(0, abs=1e-9)
    plotted = [
        point
        for line in drawing.figure.axes[1].lines
        if line.get_linestyle() == "None"
        for point in zip(line.get_xdata(), line.get_ydata(), strict=True)
    ]
    assert sorted(plotted) == sorted(zip(drawing.data["adjusted"], drawing.data["se"], strict=True))


def test_funnel_takes_a_given_summary():
    drawing = figures.funnel(POINTS.assign(summary=0.4), tier="re-extracted")
    assert (drawing.data["adjusted"] - (POINTS["te"] - 0.4)).abs().max() == 0


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("interval_strip", ["low", "high"]),
        ("identified_ranges", ["low", "high"]),
        ("threshold_forest", ["lower", "upper"]),
    ],
)
def test_intervals_are_plotted(name, columns):
    drawing = drawn(name)
    spans = [x for x, _ in lines(drawing.figure.axes[1])]
    for _, row in drawing.data.iterrows():
        assert [row[columns[0]], row[columns[1]]] in spans
        if pd.notna(row.get("printed")):
            assert [row["printed"]] in spans


def test_p_score_dots_plot_printed_and_implied():
    points = [x[0] for x, _ in lines(drawn("p_score_dots").figure.axes[1]) if len(x) == 1]
    assert sorted(points) == sorted([*P_TABLE["p_score"], *P_TABLE["printed"].dropna()])


def test_p_score_dots_name_the_tier_of_the_network():
    drawing = figures.p_score_dots(P_TABLE, tier="recomputed")
    assert "placebo/sham recomputed 0.390, printed 0.389" in drawing.alt and "implied" not in drawing.alt
    texts = [text.get_text() for axes in drawing.figure.axes for text in axes.texts]
    assert (
        "recomputed" in texts
        and any("recomputed 0.390" in text for text in texts)
        and not any("implied" in text for text in texts)
    )


def test_rank_interval_takes_quantiles_of_the_rank():
    data = drawn("rank_interval").data.set_index("treatment")
    # Row 2 of PROBABILITIES: 0.059 at rank 1 exceeds 0.025; half is first reached at rank 3; 0.703 < 0.975.
    assert list(data.loc["conservative", ["low", "median", "high"]]) == [1, 3, 4]
    assert data.loc["conservative", "mean"] == pytest.approx(0.059 + 2 * 0.412 + 3 * 0.232 + 4 * 0.297)


def test_studies_by_year_counts_every_study_once():
    drawing = drawn("studies_by_year")
    assert drawing.data["n"].sum() == len(STUDIES)
    assert sum(p.get_height() for p in drawing.figure.axes[1].patches) == len(STUDIES)
    assert set(drawing.data["year"]) == set(range(STUDIES["year"].min(), STUDIES["year"].max() + 1))


@pytest.mark.parametrize(
    ("name", "count"),
    [("rob_by_study", len(STUDIES)), ("effect_direction", len(DIRECTIONS))],
)
def test_each_study_has_its_symbol(name, count):
    drawing = drawn(name)
    judgements = drawing.data["rob_overall"]
    discs = [to_hex(line.get_markerfacecolor()) for line in drawing.figure.axes[0].lines if line.get_marker() == "o"]
    # The legend holds one more disc for each judgement present.
    for judgement, studies in judgements.value_counts().items():
        assert discs.count(style.ROB_COLOURS[judgement]) == studies + 1
    assert len(drawing.data) == count


def test_each_study_has_its_symbol_in_each_domain():
    discs = [
        to_hex(x.get_markerfacecolor()) for x in drawn("rob_domains").figure.axes[0].lines if x.get_marker() == "o"
    ]
    for judgement, count in pd.Series(DOMAINS.to_numpy().ravel()).value_counts().items():
        assert discs.count(style.ROB_COLOURS[judgement]) == count + 1  # the legend's


def test_effect_direction_leaves_out_a_column_of_unknown_numbers():
    texts = [t.get_text() for t in visible_texts(figures.effect_direction(DIRECTIONS.assign(n=None)).figure)]
    assert "n" not in texts and "–" not in texts and "number of participants not known" in texts
    assert "n" in [t.get_text() for t in visible_texts(drawn("effect_direction").figure)]


def test_network_graph_draws_the_second_subnetwork_dashed_and_widths_by_studies():
    drawing = drawn("network_graph")
    edges = drawing.figure.axes[0].lines
    widths = sorted(line.get_linewidth() for line in edges)
    assert widths[0] == widths[1] < widths[2] < widths[3]
    assert [line.is_dashed() for line in edges].count(True) == 1
    assert list(drawing.data["subnetwork"]) == [1, 1, 1, 2]


def test_network_graph_of_a_loop():
    loop = pd.DataFrame(
        [("surgery", "conservative", 2, 2), ("conservative", "placebo/sham", 3, 3), ("placebo/sham", "surgery", 1, 1)],
        columns=EDGES.columns,
    )
    boxes = text_boxes(figures.network_graph(loop, width="single").figure)
    assert len(boxes) == 6
    assert all(overlap(a, b) < 1 for (_, a), (_, b) in itertools.combinations(boxes, 2))


LONG = (
    "naïve Überweisung – long-acting subcutaneous buprenorphine with weekly structured telephone counselling and"
    " booster sessions"
)
CROWDED = [
    ("placebo", "SCS: burst"),
    ("placebo", "SCS"),
    ("placebo", "burst: tonic"),
    ("placebo", 'tonic & <5 kHz> "high"'),
    ("placebo", "10% gel * $2 vs $3 *"),
    ("placebo", LONG),
    ("placebo", "TENS"),
    ("SCS: burst", "SCS"),
    ("SCS", "burst: tonic"),
    ('tonic & <5 kHz> "high"', "10% gel * $2 vs $3 *"),
    (LONG, "TENS"),
    ("SCS: burst", "burst: tonic"),
]
SQUARE = [
    ("usual care", "tablet"),
    ("usual care", "nasal rinse"),
    ("usual care", "rinse and tablet"),
    ("tablet", "nasal rinse"),
    ("tablet", "rinse and tablet"),
]
STAR = [("placebo", f"treatment {k} of many") for k in range(40)]


def covers(node, extent: np.ndarray, box: tuple) -> bool:
    """Whether a node lies on a text by a point or more; a dot has no corners."""
    if not isinstance(node, Circle):
        return overlap(extent, box) >= 1
    centre = (extent[:2] + extent[2:]) / 2
    nearest = np.clip(centre, box[:2], box[2:])
    return math.dist(centre, nearest) < (extent[2] - extent[0]) / 2 - 1


@every_width
@pytest.mark.parametrize("sized", [False, True], ids=["plain", "sized"])
@pytest.mark.parametrize("pairs", [CROWDED, SQUARE, STAR], ids=["crowded", "square", "star"])
def test_in_a_network_graph_nothing_lies_on_anything(pairs, width, sized):
    """Every name and number is there; no text lies on another, and no box or dot on a text but its own or on another
    box."""
    edges = pd.DataFrame([(*pair, 100 + k, 40) for k, pair in enumerate(pairs)], columns=EDGES.columns)
    names = {name for pair in pairs for name in pair}
    sizes = pd.Series({name: 10 + 50 * k for k, name in enumerate(sorted(names))}) if sized else None
    options = {"classes": dict.fromkeys(names, "placebo/sham"), "sizes": sizes, "width": width}
    figure = figures.network_graph(edges, **options).figure
    boxes = text_boxes(figure)
    texts = [" ".join(text.split()) for text, _ in boxes]
    assert all(any(text.endswith(name) for text in texts) for name in names)
    shown = {text.split(" ")[0] for text in texts if re.fullmatch(r"\d+( studies, 40 estimates)?", text)}
    (left_out,) = [int(n) for text in texts for n in re.findall(r"(\d+) without room are in the data", text)] or [0]
    assert len({str(100 + k) for k in range(len(pairs))} & shown) == len(pairs) - left_out
    assert left_out == 0 or len(pairs) > 12
    assert [(a, b) for (a, one), (b, other) in itertools.combinations(boxes, 2) if overlap(one, other) >= 1] == []
    nodes = figure.axes[0].patches
    extents = [node.get_window_extent().transformed(figure.dpi_scale_trans.inverted()).extents * 72 for node in nodes]
    assert len(nodes) == len(names)
    for (node, one), (_, other) in itertools.combinations(zip(nodes, extents, strict=True), 2):
        reach = (one[2] - one[0] + other[2] - other[0]) / 2
        apart = math.dist((one[:2] + one[2:]) / 2, (other[:2] + other[2:]) / 2) > reach
        assert apart if isinstance(node, Circle) else overlap(one, other) < 1
    within = [sum(covers(node, extent, box) for _, box in boxes) for node, extent in zip(nodes, extents, strict=True)]
    assert set(within) <= {0, 1}, "its own name or number"
    page = figure.get_size_inches() * 72
    assert all(box[0] > -1 and box[1] > -1 and box[2] < page[0] + 1 and box[3] < page[1] + 1 for _, box in boxes)


def test_the_area_of_a_dot_is_in_proportion_to_its_number():
    names = sorted({name for pair in SQUARE for name in pair})
    edges = pd.DataFrame([(*pair, 2, 3) for pair in SQUARE], columns=EDGES.columns)
    options = {"classes": dict.fromkeys(names, "placebo/sham"), "sized_by": "patients"}
    sizes = pd.Series([400, 100, 900, 25], index=names)
    drawing = figures.network_graph(edges, sizes=sizes, **options)
    radii = np.array([patch.radius for patch in drawing.figure.axes[0].patches])
    assert radii / radii.max() == pytest.approx(np.sqrt(sizes.to_numpy() / 900))
    assert "Patients: nasal rinse 400, rinse and tablet 100, tablet 900 and usual care 25." in drawing.alt
    assert drawing.data["patients1"].tolist() == drawing.data["treat1"].map(sizes).tolist()
    for broken in (sizes.drop("tablet"), sizes.replace(100, 0)):
        with pytest.raises(ValueError, match="network_graph: sizes: '.*tablet' has .*, not a finite number above 0"):
            figures.network_graph(edges, sizes=broken, **options)


def test_league_heat_holds_every_ordered_pair():
    data = drawn("league_heat").data.set_index(["row", "column"])
    assert len(data) == 12
    assert data.loc[("neuromodulation", "conservative"), "te"] == TE.loc["neuromodulation", "conservative"]


# ---------------------------------------------------------------- PRISMA


@every_width
def test_prisma_boxes_do_not_overlap_and_hold_their_text(width):
    drawing = figures.prisma_flow(PRISMA, width=width)
    canvas = drawing.figure.axes[0]
    boxes = [p.get_bbox().extents for p in canvas.patches if isinstance(p, Rectangle)]
    assert len(boxes) == len(PRISMA) + PRISMA["stage"].nunique()
    for first, second in itertools.combinations(boxes, 2):
        assert overlap(first, second) <= 0
    for text, extents in text_boxes(drawing.figure):
        assert any(
            b[0] <= extents[0] and b[1] <= extents[1] and b[2] >= extents[2] and b[3] >= extents[3] for b in boxes
        ), text


def test_prisma_arrows_are_straight_and_end_at_boxes():
    canvas = figures.prisma_flow(PRISMA).figure.axes[0]
    edges = {
        round(float(v), 3)
        for p in canvas.patches
        if isinstance(p, Rectangle)
        for v in (p.get_x(), p.get_x() + p.get_width(), p.get_y(), p.get_y() + p.get_height())
    }
    arrows = [a for a in canvas.texts if isinstance(a, Annotation)]
    # One between each two main boxes, one for each box at the side.
    assert len(arrows) == (PRISMA["side"] == "main").sum() - 1 + (PRISMA["side"] != "main").sum()
    for arrow in arrows:
        (x0, y0), (x1, y1) = arrow.xyann, arrow.xy
        assert x0 == x1 or y0 == y1
        along = (y0, y1) if x0 == x1 else (x0, x1)
        assert all(round(float(v), 3) in edges for v in along)


def test_prisma_arrow_of_added_records_points_to_the_column():
    canvas = figures.prisma_flow(PRISMA).figure.axes[0]
    horizontal = [a for a in canvas.texts if isinstance(a, Annotation) and a.xy[1] == a.xyann[1]]
    leftwards = [a for a in horizontal if a.xy[0] < a.xyann[0]]
    assert len(leftwards) == (PRISMA["side"] == "added").sum()


def test_prisma_names_the_tier_of_a_count_that_is_not_printed():
    flow = PRISMA.assign(tier="printed")
    flow.loc[3, ["n", "tier"]] = [603, "implied"]
    drawing = figures.prisma_flow(flow)
    assert "Excluded on title and abstract: 603, implied" in drawing.alt
    assert "(n = 603, implied)" in to_svg(drawing)


# ---------------------------------------------------------------- direction


@every_width
@pytest.mark.parametrize("name", ["forest_network", "forest_responders"])
def test_flipping_the_desirable_direction_flips_the_labels(name, width):
    def sides(desirable: str) -> tuple[str, str]:
        boxes = [
            (t, b) for t, b in text_boxes(EXAMPLES[name](desirable=desirable, width=width).figure) if "favours" in t
        ]
        return tuple(
            re.sub(r"[←→]", "", t.replace("\n", " ")).strip()
            for t, b in sorted(boxes, key=lambda box: (-round(box[1][3]), box[1][0]))
        )

    higher, lower = sides("higher"), sides("lower")
    assert len(higher) == 2 and higher == lower[::-1]
    assert "neuromodulation" in higher[1]


def test_flipping_the_desirable_direction_flips_the_league_s_shades():
    def shade(desirable: str) -> tuple[str, str]:
        drawing = figures.league_heat(TE, LOWER, UPPER, desirable=desirable)
        cells = [to_hex(p.get_facecolor(), keep_alpha=True) for p in drawing.figure.axes[0].patches]
        return cells[3], cells[12]

    assert shade("higher") == shade("lower")[::-1]
    assert "A value below 0 favours the row" in " ".join(
        figures.league_heat(TE, LOWER, UPPER, desirable="lower").figure.axes[0].texts[-1].get_text().split()
    )


@pytest.mark.parametrize("name", ["forest_network", "forest_responders", "league_heat"])
def test_an_unknown_desirable_direction_is_refused(name):
    with pytest.raises(ValueError, match="desirable='up': expected 'lower' or 'higher'"):
        EXAMPLES[name](desirable="up")


def test_the_simulated_tier_is_named_in_the_figure():
    for name in ("identified_ranges", "funnel"):
        assert "simulated" in " ".join(t.get_text() for t in visible_texts(drawn(name).figure)).lower()


# ---------------------------------------------------------------- bad input


def with_value(frame: pd.DataFrame, row: int, column: str, value) -> pd.DataFrame:
    changed = frame.astype({column: object})
    changed.loc[row, column] = value
    return changed


FOREST_OPTIONS = {"desirable": "higher"}


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            lambda: figures.rob_by_study(with_value(STUDIES, 2, "rob_overall", "hgih")),
            r"rob_by_study: row 3 \(12\), column rob_overall: 'hgih' is not one of low, some concerns, high, unknown",
        ),
        (
            lambda: figures.rob_domains(DOMAINS.replace("high", "hgih")),
            r"rob_domains: row 3 .*, column Randomisation: 'hgih' is not one of low, some concerns, high, unknown",
        ),
        (
            lambda: figures.rob_domains(pd.concat([DOMAINS, DOMAINS])),
            r"rob_domains: expected at least one row, and each study and each domain once",
        ),
        (
            lambda: figures.rob_by_study(with_value(STUDIES, 0, "treatment_class", "magic")),
            r"row 1 \(10\), column treatment_class: 'magic' is not one of neuromodulation",
        ),
        (lambda: figures.rob_by_study(with_value(STUDIES, 1, "ref", 10)), r"column ref: 10 .* is listed twice"),
        (
            lambda: figures.rob_stacked(with_value(ROB, 2, "judgement", "medium")),
            r"row 3 \(3 Missing outcome data\), column judgement: 'medium'",
        ),
        (
            lambda: figures.rob_stacked(with_value(ROB, 2, "percent", 75.3)),
            r"domain '3 Missing outcome data', column percent: sum 110 is not 100",
        ),
        (
            lambda: figures.rob_stacked(with_value(ROB, 2, "percent", 120.0)),
            r"column percent: 120.0 is not a finite number at least 0 at most 100",
        ),
        (lambda: figures.rob_stacked(pd.concat([ROB, ROB.tail(1)])), r"domain 'Overall' has 'high' more than once"),
        (
            lambda: figures.rob_stacked(ROB.drop(columns="percent")),
            r"rob_stacked: column 'percent' is missing; found domain, judgement",
        ),
        (lambda: figures.rob_stacked(ROB.head(0)), r"rob_stacked: no rows"),
        (
            lambda: figures.studies_by_year(with_value(STUDIES, 4, "year", "soon")),
            r"column year: 'soon' is not a finite number",
        ),
        (
            lambda: figures.prisma_flow(with_value(PRISMA, 1, "side", "left")),
            r"row 2 \(duplicates\), column side: 'left' is not one of main, excluded, added",
        ),
        (lambda: figures.prisma_flow(with_value(PRISMA, 1, "stage", "later")), r"column stage: 'later'"),
        (
            lambda: figures.prisma_flow(with_value(PRISMA, 1, "n", 3.5)),
            r"box 'duplicates', column n: 3.5 is not a count",
        ),
        (
            lambda: figures.prisma_flow(with_value(PRISMA, 1, "order", 1)),
            r"box 'duplicates', column order: 1 is repeated",
        ),
        (
            lambda: figures.prisma_flow(with_value(PRISMA, 0, "side", "excluded")),
            r"box 'identified', column side: no main box before it",
        ),
        (
            lambda: figures.prisma_flow(with_value(PRISMA, 12, "side", "added")),
            r"box 'used', column side: no main box after it",
        ),
        (
            lambda: figures.network_graph(
                EDGES, classes={t: t for t in [*EDGES["treat1"], *EDGES["treat2"]]} | {"neuromodulation": "yoga"}
            ),
            r"treatment class 'yoga' is not one of",
        ),
        (
            lambda: figures.network_graph(with_value(EDGES, 1, "treat2", "placebo/sham")),
            r"row 2: 'neuromodulation' vs 'placebo/sham' is not a new comparison",
        ),
        (
            lambda: figures.network_graph(with_value(EDGES, 1, "n_studies", 0)),
            r"row 2 .*, column n_studies: 0 is not a finite number at least 1",
        ),
        (
            lambda: figures.forest_network(with_value(FOREST, 1, "tier", "guessed"), **FOREST_OPTIONS),
            r"row 2 \(neuromodulation vs placebo/sham\), column tier: 'guessed' is not one of printed",
        ),
        (
            lambda: figures.forest_network(with_value(FOREST, 1, "te", 0.9), **FOREST_OPTIONS),
            r"columns lower, te, upper: \[0.18, 0.9, 0.53\] are not in increasing order",
        ),
        (
            lambda: figures.forest_network(with_value(FOREST, 1, "te", np.nan), **FOREST_OPTIONS),
            r"row 2 .* column te: nan is not a finite number",
        ),
        (
            lambda: figures.forest_network(FOREST.drop(columns="predict_upper"), **FOREST_OPTIONS),
            r"column 'predict_lower' is given without the other limit",
        ),
        (
            lambda: figures.forest_responders(with_value(RESPONDERS, 0, "events1", 51), desirable="higher"),
            r"columns events1, n1: \[51.0, 50.0\] are not in increasing order",
        ),
        (
            lambda: figures.forest_responders(with_value(RESPONDERS, 0, "lower", 0.0), desirable="higher"),
            r"column lower: 0.0 is not a finite number above 0",
        ),
        (
            lambda: figures.league_heat(TE, LOWER.iloc[::-1], UPPER, desirable="higher"),
            r"league_heat, lower: rows .* are not the same",
        ),
        (lambda: figures.rankogram(PROBABILITIES * 1.1, P_SCORES), r"row 'neuromodulation': .* are not probabilities"),
        (lambda: figures.rankogram(PROBABILITIES, P_SCORES.drop("conservative")), r"P-scores of .* for ranks of"),
        (
            lambda: figures.rank_heat(PROBABILITIES, P_SCORES.drop("conservative")),
            r"rank_heat: P-scores of .* for ranks of",
        ),
        (
            lambda: figures.cumulative_ranks(
                PROBABILITIES, classes={t: t for t in PROBABILITIES.index} | {"conservative": "yoga"}
            ),
            r"treatment class 'yoga'",
        ),
        (
            lambda: figures.cumulative_ranks(PROBABILITIES[[2, 1, 3, 4]]),
            r"columns \[2, 1, 3, 4\] are not the ranks 1 to 4",
        ),
        (
            lambda: figures.p_score_dots(with_value(P_TABLE, 0, "p_score", 1.2)),
            r"row 1 \(neuromodulation\), column p_score: 1.2",
        ),
        (lambda: figures.p_score_dots(P_TABLE, tier="printed"), r"tier='printed' is not one of recomputed, implied"),
        (
            lambda: figures.funnel(with_value(POINTS, 0, "se", 0.0), tier="simulated"),
            r"column se: 0.0 is not a finite number above 0",
        ),
        (lambda: figures.funnel(POINTS, tier="invented"), r"tier='invented' is not one of printed"),
        (
            lambda: figures.interval_strip(with_value(INTERVALS, 0, "low", 2.0), unit="x"),
            r"columns low, high: \[2.0, 0.9763\]",
        ),
        (
            lambda: figures.identified_ranges(with_value(RANGES, 0, "low", 9.0), unit="x"),
            r"row 1 .*, columns low, high",
        ),
        (
            lambda: figures.identified_ranges(with_value(RANGES, 0, "proved", "maybe"), unit="x"),
            r"row 1 .*, column proved: 'maybe'",
        ),
        (
            lambda: figures.threshold_forest(with_value(THRESHOLDS, 0, "invariant_lower", 0.4), unit="x"),
            r"invariant_lower, te, invariant_upper are not in ascending order",
        ),
        (
            lambda: figures.effect_direction(with_value(DIRECTIONS, 3, "direction", "up")),
            r"row 4 .*, column direction: 'up' is not one of favours intervention",
        ),
        (
            lambda: figures.effect_direction(with_value(DIRECTIONS, 3, "n", 0)),
            r"row 4 .*, column n: 0 is not a finite number at least 1",
        ),
        (lambda: figures.rob_stacked(ROB, width="wide"), r"width='wide': expected 'single', 'double' or 'phone'"),
    ],
)
def test_bad_input_is_named(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


# ---------------------------------------------------------------- Bayesian fits


def test_tau_posterior_shades_its_interval_and_marks_its_median():
    drawing = drawn("tau_posterior")
    curve, (axes,) = drawing.data, drawing.figure.axes[1:]
    spans = lines(axes)
    assert (curve["tau"].tolist(), curve["posterior"].tolist()) in spans and (
        curve["tau"].tolist(),
        curve["prior"].tolist(),
    ) in spans
    shaded = axes.collections[0].get_paths()[0].vertices[:, 0]
    # Quantiles of the gamma distribution of shape 4 and rate 10.
    assert (shaded.min(), shaded.max()) == pytest.approx((0.109, 0.877), abs=0.011)
    (median,) = [x for x, _ in spans if len(x) == 1]
    assert median == pytest.approx([0.367], abs=0.001)


def test_prior_strip_plots_each_conclusion_over_the_factors():
    drawing = drawn("prior_strip")
    (axes,) = drawing.figure.axes[1:]
    curves = [(x, y) for x, y in lines(axes) if len(x) == 7]
    assert len(curves) == 4 and all(x == [-3, -2, -1, 0, 1, 2, 3] for x, _ in curves)
    average = drawing.data[drawing.data["conclusion"].str.endswith("sham")]["probability"]
    heights = pd.Series(curves[1][1])
    assert np.corrcoef(average, heights)[0, 1] == pytest.approx(1)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"factor": [1.0, 0.0]}, "column factor"),
        ({"factor": [2.0, 4.0]}, "including 1"),
        ({"probability": [0.5, 1.5]}, "column probability"),
    ],
)
def test_prior_strip_refuses_what_it_cannot_draw(change, message):
    rows = pd.DataFrame(
        {"conclusion": "A better", "factor": [1.0, 2.0], "probability": 0.6, "probability_new": 0.5}
    ).assign(**change)
    with pytest.raises(ValueError, match=message):
        figures.prior_strip(rows)


def test_tau_posterior_refuses_a_curve_that_goes_back():
    curve = drawn("tau_posterior").data
    with pytest.raises(ValueError, match="two or more rows with increasing tau and below"):
        figures.tau_posterior(curve.iloc[::-1], unit="SMD")


def test_time_growth_plots_a_line_for_each_number_of_treatments():
    drawing = drawn("time_growth")
    (axes,) = drawing.figure.axes[1:]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    spans = [(x, y) for x, y in lines(axes) if len(x) == 3]
    expected = [
        (part["studies"].tolist(), part["times_smallest"].tolist()) for _, part in drawing.data.groupby("treatments")
    ]
    assert sorted(spans, key=str) == sorted(expected, key=str)
    with pytest.raises(ValueError, match="same two or more numbers of studies"):
        figures.time_growth(drawing.data.iloc[1:])


# ---------------------------------------------------------------- figures of results


def test_forests_of_results_show_the_fit_and_its_studies():
    fit = meta_analysis(DIRECT["te"], DIRECT["se"])
    data = drawn("forest_pairwise").data
    assert data["weight"].dropna().tolist() == pytest.approx(fit.weights.tolist())
    summary = data[data["kind"] == "summary"].iloc[0]
    assert summary[["te", "lower", "upper"]].tolist() == pytest.approx([fit.te, fit.lower, fit.upper])
    with pytest.raises(ValueError, match="1 studies, but 2 were pooled"):
        figures.forest_pairwise(fit, DIRECT.iloc[:1], desirable="higher")


def test_the_forest_by_comparison_holds_every_estimate_once_and_the_network_s_own():
    data = drawn("forest_comparisons").data
    estimates, networks = data[data["kind"] == "estimate"], data[data["label"] == "Network"]
    assert len(estimates) == NETWORK.n_contrasts and len(networks) == data["comparison"].nunique() == 5
    assert estimates.groupby("comparison")["weight"].sum().tolist() == pytest.approx([1] * 5)
    for row in networks.itertuples():
        assert row.te == pytest.approx(NETWORK.te.at[*row.comparison.split(" vs ")])
    with pytest.raises(ValueError, match="no study compares 'neuromodulation' with 'conservative \\+ minimally"):
        figures.forest_comparisons(
            NETWORK, [("neuromodulation", "conservative + minimally invasive")], desirable="higher"
        )


def test_pages_of_the_forest_share_out_the_comparisons_and_none_is_too_long():
    pages = figures.forest_pages(NETWORK, lines=12)
    assert len(pages) == 3 and len({pair for page in pages for pair in page}) == 5
    heights = [
        figures.forest_comparisons(NETWORK, page, desirable="higher").figure.get_size_inches()[1]
        for page in figures.forest_pages(NETWORK)
    ]
    assert max(heights) * 25.4 <= 247  # millimetres: the height of a page of Nature Portfolio's journals


def test_heat_maps_show_what_the_engine_found():
    """Each cell has the colour of its value, whatever the order of rows; impossible values are refused by place."""
    heat = net_heat(NETWORK)
    drawing = figures.net_heat_map(heat)
    told = drawing.data.set_index(["design", "detached"])["change"]
    assert told.sort_index().tolist() == pytest.approx(heat.stack().sort_index().tolist(), abs=1e-8)
    assert np.diff(told.loc[[(d, d) for d in told.index.unique("design")]]).max() <= 0  # most inconsistent first
    (mesh,) = drawing.figure.axes[1].collections
    cells = mesh.get_array().ravel()
    assert cells.mask.tolist() == (told.abs() < 0.05).tolist() and cells.data.tolist() == told.tolist()
    written = [text.get_text() for text in drawing.figure.axes[1].texts]
    assert written == [number(v, 1) for v in told if abs(v) >= 0.05]
    turned = heat.iloc[::-1, ::-1]
    assert to_svg(figures.net_heat_map(turned)) == to_svg(drawing)

    shares = contribution_matrix(NETWORK)
    drawing = figures.contribution_heat(shares)
    mesh = drawing.figure.axes[1].collections[0]
    assert np.asarray(mesh.get_array()) == pytest.approx(100 * shares.to_numpy().T)
    assert drawing.data.groupby("comparison")["percent"].sum().to_numpy() == pytest.approx(100)
    with pytest.raises(ValueError, match="net_heat_map: .* are not the same"):
        figures.net_heat_map(heat.iloc[:, :-1])
    holed = shares.copy()
    holed.iloc[1, 2] = np.nan
    with pytest.raises(ValueError, match="row 2 .*, column conservative:placebo/sham: nan is not a finite number"):
        figures.contribution_heat(holed)
    two = list(shares.columns[[3, 1]])
    part = figures.contribution_heat(shares, two).data
    assert part["direct"].tolist() == two * len(shares)
    assert part["percent"].to_numpy() == pytest.approx(100 * shares[two].to_numpy().ravel())
    with pytest.raises(ValueError, match=r"direct=\['a:b'\]: expected direct comparisons of the table"):
        figures.contribution_heat(shares, ["a:b"])
    with pytest.raises(ValueError, match="sums to 0.5; expected proportions"):
        figures.contribution_heat(shares / 2)
    with pytest.raises(ValueError, match="is not a finite number at least 0"):
        figures.contribution_heat(-shares)
    with pytest.raises(ValueError, match="61 rows; expected 1 to 60"):
        figures.contribution_heat(pd.concat([shares] * 11).iloc[:61])


def test_the_node_split_forest_shows_what_split_evidence_found():
    split = split_evidence(NETWORK).dropna(subset=["direct_te", "indirect_te"])
    data = drawn("node_split_forest").data
    for kind in ("direct", "indirect"):
        assert data[data["label"] == kind]["te"].tolist() == pytest.approx(split[f"{kind}_te"].tolist())
    tree = split_evidence(fit_network(NETWORK.contrasts.iloc[[0, 2]]))
    with pytest.raises(ValueError, match="no comparison has direct and indirect evidence"):
        figures.node_split_forest(tree, desirable="higher")


@every_width
@pytest.mark.parametrize("n", [4, 20, 33])
def test_a_league_table_with_direct_evidence_has_room_for_many_treatments(n, width):
    names = [f"treatment with name {k:02d}" for k in range(n)]
    rows = [(f"s{k}", names[k], names[0], 0.1 * k, 0.2) for k in range(1, n)]
    rows += [(f"t{k}", names[k], names[k - 1], 0.1, 0.15) for k in range(2, n)]
    fit = fit_network(pd.DataFrame(rows, columns=["study", "treat1", "treat2", "te", "se"]))
    drawing = figures.league_direct(league_with_direct(fit), desirable="higher", width=width)
    assert len(drawing.data) == n * (n - 1) / 2 + len(rows)
    assert width == "phone" or drawing.figure.get_size_inches()[1] * 25.4 <= 247
    right, top = drawing.figure.get_size_inches() * 72
    boxes = text_boxes(drawing.figure)
    assert all(min(x0, y0, right - x1, top - y1) > -0.5 for _, (x0, y0, x1, y1) in boxes)
    assert not any(overlap(a, b) >= 1 for (_, a), (_, b) in itertools.combinations(boxes, 2))


@every_width
def test_a_hasse_diagram_of_thirty_three_treatments_keeps_its_boxes_apart(width):
    rng = np.random.default_rng(1)
    scores = pd.DataFrame(rng.dirichlet(np.ones(33), 2).T * 16.5, [f"treatment {k:02d}" for k in range(33)], ["a", "b"])
    order = partial_order(scores)
    drawing = figures.hasse_diagram(order, width=width)
    boxes = text_boxes(drawing.figure)
    assert not any(overlap(a, b) >= 1 for (_, a), (_, b) in itertools.combinations(boxes, 2))
    assert set(drawing.data["better"]) | set(drawing.data["worse"].dropna()) == set(scores.index)
    lines = drawing.data.dropna()
    assert (lines["level_better"] < lines["level_worse"]).all()


def test_a_network_of_any_treatments_has_the_one_colour_that_was_asked_for():
    svg = to_svg(figures.network_of(NETWORK, classes=dict.fromkeys(NETWORK.treatments, "#0072b2")))
    assert svg.count("fill: #0072b2") == len(NETWORK.treatments)
    assert svg_of("network_of").count("fill: #3f93c9") == len(NETWORK.treatments)
