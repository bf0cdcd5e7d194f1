"""Tables with captions and footnotes as a Word document or an Excel workbook."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from psps_paper.tables.errors import TableError
from psps_paper.tables.files import replace_files

# Longest name of a sheet in Excel
MOST_LETTERS = 31


@dataclass(frozen=True, eq=False)
class DocumentTable:
    """A table to be written to a document.

    Attributes
    ----------
    name : str
        Short name, used for the sheet.
    caption : str
    table : DataFrame
        Text or numbers; the index is not written.
    footnotes : tuple of str
        Printed below the table, in order.
    """

    name: str
    caption: str
    table: pd.DataFrame
    footnotes: tuple[str, ...] = ()


def write_documents(
    tables: Sequence[DocumentTable], *, docx: Path | None = None, xlsx: Path | None = None
) -> list[Path]:
    """Write the tables to a Word document, a workbook, or both.

    Two files in one folder are written together or not at all.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    TableError
        A file name does not have the ending of its format, or its folder does not exist.
    """
    contents: dict[Path, bytes] = {}
    for path, ending, content in ((docx, ".docx", _docx), (xlsx, ".xlsx", _xlsx)):
        if path is None:
            continue
        if path.suffix.lower() != ending:
            raise TableError(f"{path}: expected a name that ends in {ending}")
        if not path.absolute().parent.is_dir():
            raise TableError(f"{path}: there is no folder {path.absolute().parent}")
        contents[path] = content(tables)
    folders = {path.absolute().parent for path in contents}
    for folder in folders:
        replace_files(folder, {path.name: made for path, made in contents.items() if path.absolute().parent == folder})
    return list(contents)


def _docx(tables: Sequence[DocumentTable]) -> bytes:
    import docx
    from docx.enum.section import WD_ORIENT
    from docx.shared import Pt

    document = docx.Document()
    section = document.sections[0]
    section.orientation = WD_ORIENT.LANDSCAPE
    section.page_width, section.page_height = section.page_height, section.page_width
    for number, one in enumerate(tables, 1):
        title = document.add_paragraph()
        title.add_run(f"Table {number}. ").bold = True
        title.add_run(one.caption)
        title.paragraph_format.keep_with_next = True
        grid = document.add_table(rows=1, cols=len(one.table.columns), style="Table Grid")
        for cell, column in zip(grid.rows[0].cells, one.table.columns, strict=True):
            cell.paragraphs[0].add_run(_text(column)).bold = True
        _repeat_heading(grid.rows[0])
        for row in one.table.itertuples(index=False):
            for cell, value in zip(grid.add_row().cells, row, strict=True):
                cell.text = _text(value)
        for row in grid.rows:
            for cell in row.cells:
                for run in cell.paragraphs[0].runs:
                    run.font.size = Pt(8)
        for note in one.footnotes:
            document.add_paragraph(_text(note)).runs[0].font.size = Pt(8)
        document.add_paragraph()
    buffer = io.BytesIO()
    document.save(buffer)
    return _dateless(buffer.getvalue())


def _repeat_heading(row) -> None:
    """Make Word repeat the heading row on every page of the table."""
    from docx.oxml import OxmlElement

    row._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))


def _xlsx(tables: Sequence[DocumentTable]) -> bytes:
    import openpyxl
    from openpyxl.styles import Alignment, Font

    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, one in enumerate(tables, 1):
        name = re.sub(r"[\\/*?:\[\]]", " ", f"{number} {one.name}")[:MOST_LETTERS].strip()
        sheet = book.create_sheet(name)
        lines = [[f"Table {number}. {one.caption}"], [], list(map(str, one.table.columns))]
        lines += [list(row) for row in one.table.itertuples(index=False)]
        lines += [[], *([note] for note in one.footnotes)]
        for i, line in enumerate(lines, 1):
            for j, value in enumerate(line, 1):
                cell = sheet.cell(i, j)
                if isinstance(value, bool | int | float) and pd.notna(value):
                    cell.value = value
                else:
                    # Text is written as text, so that a name that looks like a formula is not evaluated
                    cell.value, cell.data_type = _text(value), "s"
                cell.alignment = Alignment(vertical="top", wrap_text=2 < i <= len(one.table) + 3)
        for cell in (sheet.cell(1, 1), *sheet[3]):
            cell.font = Font(bold=True)
        for j, column in enumerate(one.table.columns, 1):
            longest = max([len(str(column)), *(len(_text(v)) for v in one.table[column])])
            sheet.column_dimensions[sheet.cell(3, j).column_letter].width = min(max(longest, 8) + 2, 50)
        sheet.freeze_panes = "A4"
    buffer = io.BytesIO()
    book.save(buffer)
    return _dateless(buffer.getvalue())


def _dateless(content: bytes) -> bytes:
    """Remove the time of writing from a document, so that the same tables give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            part = old.read(name)
            if name == "docProps/core.xml":
                part = re.sub(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*", rb"\g<1>2000-01-01T00:00:00Z", part)
            new.writestr(zipfile.ZipInfo(name), part, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _text(value: object) -> str:
    """Convert a value to text that XML allows, without control characters."""
    shown = "" if value is None or (isinstance(value, float) and pd.isna(value)) else str(value)
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "\N{REPLACEMENT CHARACTER}", shown)
