"""Display of tables, figures and numbers in prose, each with its tier."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
from myst_nb import glue

from psps_paper import formatting
from psps_paper.figures import Drawing, to_svg
from psps_paper.figures.drawing import for_csv
from psps_paper.figures.style import GRID, INK, MUTED, PAPER
from psps_paper.tables.dataset import Dataset, dataset

TIERS = {
    "printed": "in the article, with its place",
    "recomputed": "counted or calculated from the rows of data/",
    "implied": "follows mathematically from printed numbers",
    "re-extracted": "from public abstracts and registries, with a source for each value",
    "simulated": "over everything that the printed numbers allow",
}


_NUMERIC = re.compile(r"^[<>≈±−+-]?[\s\u202f]*[\d.,\s\u202f]+%?(\s*\(.*\))?$|^not known$")

_LEADING_HYPHEN = re.compile(r"(^|[\s(])-(?=\.?\d)")
_NEUTRAL = ("", "none", "not defined", "not compared")  # words in place of a number, in columns of numbers too
_STUDY_ID = re.compile(r"\b[a-z]+(?:19|20)\d\d\b")


_HEADINGS = {
    r"^te desirable$": "desirable direction of the effect",
    r"^scale desirable$": "desirable direction of the scale",
    r"\btreat1\b": "first treatment",
    r"\btreat2\b": "second treatment",
    r"\bte\b": "SMD",
    r"\bse\b": "standard error",
    r"^n (?=(?:studies|estimates|patients)$)": "",
}


_URLS = re.compile(r"^https?://\S+( https?://\S+)*$")


class Html(str):
    """A cell of a table that is already HTML and is shown unescaped."""


@dataclass(frozen=True)
class Shown:
    """The result of a chapter's cell: HTML for the book, plain text for everything else."""

    markup: str
    text: str

    def _repr_html_(self) -> str:
        return self.markup

    def __repr__(self) -> str:
        return self.text


def linked(urls: str) -> str:
    """Turn web addresses, separated by spaces, into links that show the site."""
    return " ".join(f'<a href="{html.escape(url)}">{html.escape(urlsplit(url).netloc)}</a>' for url in urls.split())


def tier_badge(tier: str) -> Html:
    """Return the badge of a tier; its title explains the tier."""
    if tier not in TIERS:
        raise ValueError(f"tier={tier!r}: expected one of {', '.join(TIERS)}")
    return Html(f'<span class="tier tier-{tier}" title="{TIERS[tier]}">{tier}</span>')


def verdict_chip(verdict: str) -> Html:
    """Return the chip of a verdict: symbol and word."""
    return Html(f'<span class="verdict verdict-{verdict.replace(" ", "-")}">{verdict}</span>')


# Caption of the figure being shown, for functions that collect figures
CAPTION: ContextVar[str] = ContextVar("CAPTION", default="")


def show(
    what: pd.DataFrame | Drawing,
    *,
    caption: str,
    tier: str,
    name: str = "",
    index: bool = False,
    sortable: bool = False,
    note: str = "",
    file: str = "",
    view: Sequence[str] = (),
    short: int = 0,
    data: pd.DataFrame | None = None,
    whole: bool = False,
) -> Shown:
    """Show a table or a figure with its caption, its tier and its data one click away.

    Parameters
    ----------
    what : DataFrame or Drawing
        Cells are formatted by :func:`formatting.number` or shown as text; ``Html`` cells are shown unescaped.
    caption : str
        A sentence in this edition's own words.
    tier : str
        One of ``TIERS``; several may be joined by " and ".
    name : str
        File name of the CSV, and the anchor; by default that of the drawing.
    index : bool
        Whether to show the index as row headers.
    sortable : bool
        Whether readers can sort and filter the table (a plain table without JavaScript).
    note : str
        A remark below the table or figure, for example on what was left out.
    file : str
        A table of ``data/`` to offer for download instead of a copy within the page, for tables too long to load twice.
    view : sequence of str
        Columns to keep in view if not all fit; the others open below each row. By default the first columns.
    short : int
        Number of rows to show of a long table; its CSV has all of them, and the page searches it. 0 shows all.
    data : DataFrame, optional
        Content of the CSV, if the columns shown are not those that one would calculate with.
    whole : bool
        Whether a long table is open at first; otherwise readers open it.

    Raises
    ------
    ValueError
        The tier is unknown, or ``view`` names a column that the table does not have.
    """
    badges = " ".join(tier_badge(part) for part in tier.split(" and "))
    if isinstance(what, Drawing):
        CAPTION.set(caption)
        body, data, name, text = _figure_markup(what), what.data, what.name, what.alt
    else:
        shown = what.head(short) if short else what
        body = table_markup(shown, label=caption, index=index, sortable=sortable and not short, view=view, whole=whole)
        data = data if data is not None else what.reset_index() if index else what
        text = shown.map(_plain).to_string(index=index)
        if 0 < short < len(what):
            note = f"{note} {short} of {len(what):,} rows; the CSV has all.".strip()
        name = name or re.sub(r"[^a-z0-9]+", "-", caption.lower()).strip("-")[:40]
    kind = "figure" if isinstance(what, Drawing) else "table"
    remark = f'<p class="psps-note">{html.escape(note)}</p>' if note else ""
    heading = (
        f"<figcaption>{badges} {html.escape(caption)} {file_link(file) if file else csv_link(data, name)}</figcaption>"
    )
    inside = heading + body if kind == "table" else body + heading
    registry = " data-registry" if kind == "table" and 0 < short < len(what) else ""
    markup = f'<figure class="psps psps-{kind}" id="{kind}-{html.escape(name)}"{registry}>{inside}{remark}</figure>'
    return Shown(markup, f"[{tier}] {caption}\n{text}")


def folded(shown: Shown, summary: str) -> Shown:
    """Hide something behind a line that unfolds it; following a link into it unfolds it as well."""
    markup = f'<details class="psps-more"><summary>{html.escape(summary)}</summary>{shown.markup}</details>'
    return Shown(markup, shown.text)


def sentence(text: str) -> Shown:
    """Show a paragraph of prose that depends on the data."""
    return Shown(f"<p>{html.escape(text)}</p>", text)


def _figure_markup(drawing: Drawing) -> str:
    """Mark up a drawing, with its narrow version if it has one; the style sheet shows the one that fits the screen.

    Both have the same text alternative, since a screen reader meets only the one shown. Without a style sheet that is
    the wide one.
    """
    if drawing.narrow is None:
        return f'<div class="svg-wrap">{_inline_svg(drawing)}</div>'
    narrow = replace(drawing.narrow(), name=f"{drawing.name}-narrow")
    return (
        f'<div class="svg-wrap svg-wide">{_inline_svg(drawing)}</div><div class="svg-wrap svg-narrow"'
        f" hidden>{_inline_svg(narrow)}</div>"
    )


def _inline_svg(drawing: Drawing) -> str:
    """Render a drawing as SVG whose colours follow the theme of the page."""
    svg = to_svg(drawing)
    for colour, variable in ((INK, "ink"), (MUTED, "muted"), (GRID, "grid"), (PAPER, "paper")):
        svg = re.sub(rf"(?<=[:\s]){colour}\b", f"var(--psps-{variable}, {colour})", svg)
    return svg


def table_markup(
    table: pd.DataFrame,
    *,
    label: str,
    index: bool = False,
    sortable: bool = False,
    view: Sequence[str] = (),
    whole: bool = False,
) -> str:
    """Render a DataFrame as an HTML table; :mod:`psps_paper.site.tables` applies ``view`` and ``whole``."""
    unknown = [name for name in view if name not in table.columns]
    if unknown:
        raise ValueError(f"view: no column {unknown[0]!r}; expected some of {', '.join(map(str, table.columns))}")
    columns = ([table.index.name or ""] if index else []) + [heading(str(column)) for column in table.columns]
    head = "".join(f'<th scope="col">{html.escape(column)}</th>' if column else "<td></td>" for column in columns)
    table = table.assign(
        **{name: _with_study_labels(table[name]) for name in ("study", "studies") if name in table.columns}
    )
    if index and table.index.name == "study":
        table.index = pd.Index(_with_study_labels(table.index.to_series()), name="study")
    aligned = [_is_numeric(table.iloc[:, position]) for position in range(table.shape[1])]
    rows = []
    # iterrows() would turn the whole numbers of an all-numeric row into floats
    for key, row in zip(table.index, table.itertuples(index=False, name=None), strict=True):
        cells = "".join(_cell(value, numeric) for value, numeric in zip(row, aligned, strict=True))
        attributes = f' id="{html.escape(str(row_id))}"' if (row_id := table.attrs.get("row_ids", {}).get(key)) else ""
        header = f'<th scope="row">{_text(key)}</th>' if index else ""
        rows.append(f"<tr{attributes}>{header}{cells}</tr>")
    flag = " data-sortable" if sortable else ""
    if whole:
        flag += " data-whole"
    if view:
        places = ([0] if index else []) + [table.columns.get_loc(name) + int(index) for name in view]
        flag += f' data-view="{" ".join(map(str, places))}"'
    return (
        f'<div class="table-wrap" role="region" tabindex="0" aria-label="{html.escape(label)}">'
        f'<table class="psps"{flag}><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def heading(column: str) -> str:
    """Return the heading that readers see for a column: plain words for the column names used in data."""
    text = column.replace("_", " ")
    for pattern, words in _HEADINGS.items():
        text = re.sub(pattern, words, text)
    return text


def csv_link(data: pd.DataFrame, name: str) -> str:
    """Return a link that downloads the data; it contains them, so that it works offline."""
    plain = for_csv(data.map(_plain))
    encoded = base64.b64encode(plain.to_csv(index=False, lineterminator="\n").encode()).decode()
    return (
        f'<a class="psps-csv" download="{html.escape(name)}.csv" href="data:text/csv;charset=utf-8;base64,{encoded}">'
        f'CSV<span class="visually-hidden"> of {html.escape(name.replace("_", " "))}</span></a>'
    )


def file_link(file: str) -> str:
    """Return a link that downloads a table of ``data/``, which a built book holds next to its pages."""
    return (
        f'<a class="psps-csv" download href="../data/{html.escape(file)}">CSV<span class="visually-hidden"> of'
        f" {html.escape(file)}</span></a>"
    )


def value_span(text: str, tier: str) -> str:
    """Mark up a number of this edition in prose, with its tier."""
    if tier not in TIERS:
        raise ValueError(f"tier={tier!r}: expected one of {', '.join(TIERS)}")
    return f'<span class="value value-{tier}" title="{tier}: {TIERS[tier]}">{html.escape(text)}</span>'


def glue_values(tier: str, **values: str) -> None:
    """Make numbers of this edition available to prose, by name, as formatted texts of one tier.

    Raises
    ------
    ValueError
        A value is not text, so that its digits were not chosen; or the tier is unknown.
    """
    for name, text in values.items():
        glue(name, Shown(value_span(_as_formatted(name, text), tier), text), display=False)


def glue_texts(**texts: str) -> None:
    """Make wording that depends on the data available to prose.

    Raises
    ------
    ValueError
        A value is not text.
    """
    for name, text in texts.items():
        glue(name, Shown(html.escape(_as_formatted(name, text)), text), display=False)


def _as_formatted(name: str, text: str) -> str:
    if not isinstance(text, str):
        raise ValueError(
            f"{name}={text!r}: expected the text that the sentence shows, such as str({name}) for a count or"
            f" formatting.number({name}, decimals=2)"
        )
    return text


def _text(value: Any) -> str:
    if isinstance(value, Html):
        return str(value)
    if value is None or value is pd.NA or (isinstance(value, float) and pd.isna(value)):
        return ""
    if isinstance(value, float):
        return formatting.number(value)
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if _URLS.match(str(value)):
        return linked(str(value))
    return html.escape(_LEADING_HYPHEN.sub(rf"\1{formatting.MINUS}", str(value)))


def _is_numeric(column: pd.Series) -> bool:
    """Test whether a column holds numbers, so that all its cells are aligned as such."""
    if any(isinstance(value, Html) for value in column):
        return False
    texts = [text for text in (html.unescape(_text(value)) for value in column) if text not in _NEUTRAL]
    return bool(texts) and all(_NUMERIC.match(text) for text in texts)


@lru_cache(maxsize=1)
def _study_labels(data: Dataset) -> dict[str, str]:
    if "studies" not in data:  # a review of one's own, whose names only look like identifiers
        return {}
    studies = data.table("studies")
    return dict(zip(studies["study"], studies["first_author"] + " " + studies["year"].astype(str), strict=True))


def _with_study_labels(column: pd.Series) -> pd.Series:
    """Replace identifiers of studies in texts by author and year; identifiers not in studies.csv are kept."""
    named = [isinstance(value, str) and not isinstance(value, Html) and _STUDY_ID.search(value) for value in column]
    labels = _study_labels(dataset()) if any(named) else {}
    return pd.Series(
        [
            _STUDY_ID.sub(lambda found: labels.get(found.group(), found.group()), value) if found_one else value
            for value, found_one in zip(column, named, strict=True)
        ],
        column.index,
        dtype=object,
    )


def _cell(value: Any, numeric: bool) -> str:
    text = _text(value)
    return f'<td class="number">{text}</td>' if numeric else f"<td>{text}</td>"


def _plain(value: Any) -> Any:
    """Convert a cell to plain data, separating the part that a style sheet sets below the rest."""
    return (
        html.unescape(re.sub(r"<[^>]+>", "", re.sub(r'\s*<(?:span class="psps-place"|br)[^>]*>', "; ", value)))
        if isinstance(value, Html)
        else value
    )
