"""Write the cells of one sheet as JSON, in a separate process that a damaged file may crash without harm.

:mod:`psps_paper.tables.workbook` runs this file by its path, so it imports nothing from the package. The workbook comes
on standard input; the number of the sheet and the limits on memory and time are arguments.
"""

import datetime
import io
import json
import sys

import python_calamine


def main() -> None:
    """Write [[kind, text], ...] rows, the merged areas and the names of the sheets."""
    number, memory, seconds = map(int, sys.argv[1:])
    try:
        import resource  # not on Windows
    except ImportError:
        pass
    else:
        for what, limit in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds)):
            hard = resource.getrlimit(what)[1]  # which cannot be raised
            limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
            resource.setrlimit(what, (limit, limit))
    book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(sys.stdin.buffer.read()))
    found = {
        "sheets": [[page.name, str(page.visible).endswith("Visible")] for page in book.sheets_metadata],
        "rows": [],
        "merged": [],
    }
    if 0 <= number < len(found["sheets"]):
        sheet = book.get_sheet_by_index(number)
        found["merged"] = sheet.merged_cell_ranges or []
        found["rows"] = [[_cell(value) for value in row] for row in sheet.to_python(skip_empty_area=False)]
    json.dump(found, sys.stdout)


def _cell(value) -> list[str]:
    if isinstance(value, bool):
        return ["truth value", str(value)]
    if isinstance(value, (datetime.date, datetime.time, datetime.timedelta)):
        return ["date", str(value)]
    if isinstance(value, float):
        return ["", str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)]
    return ["", str(value)]


if __name__ == "__main__":
    main()
