"""Read rectangular data files of WinBUGS, OpenBUGS and JAGS."""

from __future__ import annotations

import dataclasses
import re

from psps_paper.living.reading import RawTable

_OF_ARM = re.compile(r"([A-Za-z][\w.]*)\s*\[\s*,\s*([1-9]\d?)\s*\]")
_OF_STUDY = re.compile(r"([A-Za-z][\w.]*)\s*\[\s*\]")


def from_bugs(raw: RawTable) -> RawTable:
    """Rename columns such as ``r[,1]`` to ``r1`` and ``study[]`` to ``study``, and number studies without a name.

    The line END is dropped. Any other table is returned unchanged.

    Examples
    --------
    >>> raw = RawTable("a.txt", ["t[,1]", "r[,1]", "na[]"], [["1", "9", "2"], ["END", "", ""]], "")
    >>> from_bugs(raw).columns, from_bugs(raw).rows
    (['study', 't1', 'r1', 'na'], [['1', '1', '9', '2']])
    """
    if not any(_OF_ARM.fullmatch(column) for column in raw.columns):
        return raw
    columns = [_OF_STUDY.sub(r"\1", _OF_ARM.sub(r"\1\2", column)) for column in raw.columns]
    if len(set(columns)) < len(columns):
        return raw
    rows = raw.rows
    if rows and rows[-1][0].upper() == "END" and not any(rows[-1][1:]):
        rows = rows[:-1]
    said = ["columns such as r[,1] were read as r1, as BUGS writes the arms of a study"]
    if not {"study", "studlab", "id", "studyid"} & {column.lower() for column in columns}:
        columns = ["study", *columns]
        rows = [[str(number), *row] for number, row in enumerate(rows, 1)]
        said.append("studies without a name were numbered by row")
    return dataclasses.replace(raw, columns=columns, rows=rows, conversions=(*raw.conversions, *said))
