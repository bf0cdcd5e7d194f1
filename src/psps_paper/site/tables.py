"""Arrange tables so that every column can be read: some in view, the rest in a row that opens, and cards on phones.

This works on the markup of :func:`psps_paper.book.display.table_markup`, without a script.
"""

from __future__ import annotations

from collections.abc import Sequence

from bs4 import Tag

from psps_paper.site.markup import Part, element, words

IN_VIEW = 5  # most columns in view on a desktop screen
SHORT = 14  # most characters of a short cell
LONG = 12  # most rows of a table that is open at first; a longer one opens below its caption
MOST_SHORT = 8  # most columns in view if all cells after the first are short

NUMBER, CELLS = "number", ("td", "th")


def arrange(tree: Tag) -> None:
    """Show at most ``IN_VIEW`` columns of each table in a page's tree, and the others in a row below that opens.

    A table whose cells are all short may show ``MOST_SHORT`` columns. ``data-view="0 2 5"`` sets the columns in view by
    position. Each cell carries its heading (``data-head``), which the style sheet shows when rows become cards. Rows
    keep their anchors; cells and rows are separated by white space, so that a search finds words.

    A table of more than ``LONG`` rows is closed, unless it has ``data-whole`` or is inside something closed; a link to
    one of its rows opens it.
    """
    for table in tree.select("table[class=psps], table[class=table]"):  # the latter are written in Markdown
        rows = [(row, row.find_all(CELLS, recursive=False)) for row in table.find_all("tr")]
        if rows:
            _arrange_table(table, *rows)


_Row = tuple[Tag, list[Tag]]


def _arrange_table(table: Tag, head: _Row, *lines: _Row) -> None:
    heads = [words(cell) for cell in head[1]]
    named = table.attrs.pop("data-view", None)
    view = [int(position) for position in named.split()] if named else _view(heads, lines)
    whole = (
        table["class"] == "table"
        or "data-whole" in table.attrs
        or len(lines) <= LONG
        or table.find_parent("details") is not None
    )
    table.attrs.pop("data-whole", None)
    lengths = _lengths(heads, lines) if table["class"] == "psps" else ""
    table["class"] += " psps-rows" + " psps-opens" * (len(view) < len(heads)) + lengths
    _align(head[1], [cells for _, cells in lines])
    for cell, name in zip(head[1], heads, strict=True):
        cell.name = cell.name if name else "td"
    body = [part for row, cells in lines for part in (*_line(row, cells, heads, view), "\n")][:-1]
    table.clear()
    top = element("tr", {}, *_parted([head[1][position] for position in view]))
    table.extend([element("thead", {}, top), "\n", element("tbody", {}, *body)])
    if not whole:
        closed = table.wrap(element("details", {"class": "psps-long"}))
        closed.insert(0, element("summary", {}, f"All {len(lines)} rows"))


def _align(head: list[Tag], lines: list[list[Tag]]) -> None:
    """Align the headings of columns of numbers to the right; lists of numbers ("57, 71") count as text."""
    for heading, *cells in zip(head, *lines, strict=False):
        if any(", " in words(cell) for cell in cells):
            for cell in cells:
                if cell.get("class") == NUMBER:
                    del cell["class"]
        elif cells and all(cell.get("class") == NUMBER for cell in cells):
            heading["class"] = NUMBER


def _all_short(heads: list[str], lines: Sequence[_Row]) -> bool:
    """Test whether all cells after the first are short; headings may be longer, since they break between words."""
    cells_short = all(len(words(cell)) <= SHORT for _, cells in lines for cell in cells[1:])
    return cells_short and all(len(head) <= 3 * SHORT for head in heads[1:])


def _lengths(heads: list[str], lines: Sequence[_Row]) -> str:
    """Return the style classes of a table by the length of its cells: short names stay on one line."""
    named = all(len(words(cell)) <= SHORT for _, cells in lines for cell in cells[:1])
    return " psps-short" * _all_short(heads, lines) + " psps-named" * named


def _view(heads: list[str], lines: Sequence[_Row]) -> list[int]:
    """Choose the columns in view, by position, if the table sets none: all if they fit, otherwise the first."""
    fits = MOST_SHORT if _all_short(heads, lines) else IN_VIEW
    return list(range(len(heads) if len(heads) <= fits else IN_VIEW))


def _parted(cells: list[Tag]) -> list[Part]:
    return [part for cell in cells for part in (cell, " ")][:-1]


def _line(row: Tag, cells: list[Tag], heads: list[str], view: list[int]) -> list[Part]:
    """Return a row with its cells in view and, if other cells have text, a row below that opens."""
    for cell, head in zip(cells, heads, strict=False):
        if cell.name == "td" and head:
            cell["data-head"] = head
    row.clear()
    row.extend(_parted([cells[position] for position in view if position < len(cells)]))
    rest = [place for place, cell in enumerate(cells) if place not in view and words(cell)]
    if not rest:
        return [row]
    facts = [
        element("div", {}, element("dt", {}, heads[place]), element("dd", {}, *list(cells[place].contents)))
        for place in rest
    ]
    of = element("span", {"class": "visually-hidden"}, f" of {words(cells[view[0]])[:60]}")
    listed = element("dl", {"class": "psps-facts"}, *_parted(facts), " ")
    more = element("details", {}, element("summary", {}, "More", of), listed)
    return [row, "\n", element("tr", {"class": "psps-rest"}, element("td", {"colspan": str(len(view))}, more))]
