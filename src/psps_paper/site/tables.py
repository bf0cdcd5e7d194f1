"""Arrange tables so that every column can be read: some in view, the rest in a row that opens, and cards on phones.

This works on the markup of :func:`psps_paper.book.display.table_markup`, without a script.
"""

from __future__ import annotations

import html
import re

IN_VIEW = 5  # most columns in view on a desktop screen
SHORT = 14  # most characters of a short cell
LONG = 12  # most rows of a table that is open at first; a longer one opens below its caption
MOST_SHORT = 8  # most columns in view if all cells after the first are short

_TABLE = re.compile(
    r'<table class="(psps|table)"((?: [\w-]+(?:="[^"]*")?)*)>(.*?)</table>', re.DOTALL
)  # "table": written in Markdown
_VIEW = re.compile(r' data-view="([^"]*)"')
_ROW = re.compile(r"<tr([^>]*)>(.*?)</tr>", re.DOTALL)
_CELL = re.compile(r"<(t[hd])([^>]*)>(.*?)</\1>", re.DOTALL)


def plain(markup: str) -> str:
    """Extract the text of a cell.

    Example
    -------
    >>> plain('<a href="x">low</a> &amp; high<span class="psps-place">here</span>')
    'low & high here'
    """
    return " ".join(html.unescape(re.sub(r"<wbr>|\u00ad", "", re.sub(r"<(?!wbr)[^>]*>", " ", markup))).split())


def arranged(body: str) -> str:
    """Show at most ``IN_VIEW`` columns of each table in a page's body, and the others in a row below that opens.

    A table whose cells are all short may show ``MOST_SHORT`` columns. ``data-view="0 2 5"`` sets the columns in view by
    position. Each cell carries its heading (``data-head``), which the style sheet shows when rows become cards. Rows
    keep their anchors; cells and rows are separated by white space, so that a search finds words.

    A table of more than ``LONG`` rows is closed, unless it has ``data-whole`` or is inside something closed; a link to
    one of its rows opens it.
    """

    def table(found: re.Match) -> str:
        around = body[: found.start()]
        return _arranged_table(*found.groups(), within=around.count("<details") > around.count("</details>"))

    return _TABLE.sub(table, body)


def _arranged_table(kind: str, attributes: str, inside: str, *, within: bool) -> str:
    rows = [(row[1], [(cell[1], cell[2], cell[3]) for cell in _CELL.finditer(row[2])]) for row in _ROW.finditer(inside)]
    if not rows:
        return f'<table class="{kind}"{attributes}>{inside}</table>'
    (_, head), *lines = rows
    heads = [plain(content) for *_, content in head]
    short = _lengths(heads, lines) if kind == "psps" else ""
    named = _VIEW.search(attributes)
    view = [int(position) for position in named[1].split()] if named else _view(heads, lines)
    head, lines = _aligned(head, lines)
    top = " ".join(
        _tag(name if heads[position] else "td", marks, content)
        for position, (name, marks, content) in ((position, head[position]) for position in view)
    )
    body = "\n".join(_line(marks, cells, heads, view) for marks, cells in lines)
    opens = " psps-opens" if len(view) < len(heads) else ""
    whole = within or kind == "table" or " data-whole" in attributes or len(lines) <= LONG
    around = (
        ("", "") if whole else (f'<details class="psps-long"><summary>All {len(lines)} rows</summary>', "</details>")
    )
    own = _VIEW.sub("", attributes).replace(" data-whole", "")
    return (
        f'{around[0]}<table class="{kind}'
        f' psps-rows{opens}{short}"{own}><thead><tr>{top}</tr></thead>\n<tbody>{body}</tbody></table>{around[1]}'
    )


_Cells = list[tuple[str, str, str]]
_NUMBER = ' class="number"'


def _aligned(head: _Cells, lines: list[tuple[str, _Cells]]) -> tuple[_Cells, list[tuple[str, _Cells]]]:
    """Align the headings of columns of numbers to the right; lists of numbers ("57, 71") count as text."""
    columns = list(zip(*(cells for _, cells in lines), strict=False))
    lists = {place for place, cells in enumerate(columns) if any(", " in plain(content) for *_, content in cells)}
    numbers = {
        place for place, cells in enumerate(columns) if place not in lists and all(_NUMBER in cell[1] for cell in cells)
    }
    head = [(name, marks + _NUMBER * (place in numbers), content) for place, (name, marks, content) in enumerate(head)]
    return head, [
        (
            row,
            [
                (name, marks.replace(_NUMBER, "") if place in lists else marks, content)
                for place, (name, marks, content) in enumerate(cells)
            ],
        )
        for row, cells in lines
    ]


def _all_short(heads: list[str], lines: list[tuple[str, list[tuple[str, str, str]]]]) -> bool:
    """Test whether all cells after the first are short; headings may be longer, since they break between words."""
    cells_short = all(len(plain(content)) <= SHORT for _, cells in lines for *_, content in cells[1:])
    return cells_short and all(len(head) <= 3 * SHORT for head in heads[1:])


def _lengths(heads: list[str], lines: list[tuple[str, list[tuple[str, str, str]]]]) -> str:
    """Return the style classes of a table by the length of its cells: short names stay on one line."""
    named = all(len(plain(content)) <= SHORT for _, cells in lines for *_, content in cells[:1])
    return " psps-short" * _all_short(heads, lines) + " psps-named" * named


def _view(heads: list[str], lines: list[tuple[str, list[tuple[str, str, str]]]]) -> list[int]:
    """Choose the columns in view, by position, if the table sets none: all if they fit, otherwise the first."""
    fits = MOST_SHORT if _all_short(heads, lines) else IN_VIEW
    return list(range(len(heads))) if len(heads) <= fits else list(range(IN_VIEW))


def _tag(name: str, marks: str, content: str) -> str:
    return f"<{name}{marks}>{content}</{name}>"


def _line(marks: str, cells: list[tuple[str, str, str]], heads: list[str], view: list[int]) -> str:
    shown = " ".join(
        _tag(
            name,
            f' data-head="{html.escape(heads[position])}"{own}' if name == "td" and heads[position] else own,
            content,
        )
        for position in view
        if position < len(cells)
        for name, own, content in [cells[position]]
    )
    rest = [
        (heads[position], content)
        for position, (*_, content) in enumerate(cells)
        if position not in view and plain(content)
    ]
    row = f"<tr{marks}>{shown}</tr>"
    if not rest:
        return row
    facts = "".join(f"<div><dt>{html.escape(head)}</dt><dd>{content}</dd></div> " for head, content in rest)
    of = plain(cells[view[0]][2])[:60]
    return (
        f'{row}\n<tr class="psps-rest"><td colspan="{len(view)}"><details><summary>More<span class="visually-hidden">'
        f' of {html.escape(of)}</span></summary><dl class="psps-facts">{facts}</dl></details></td></tr>'
    )
