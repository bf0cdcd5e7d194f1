"""The tables of a data folder as one object: read, checked and hashed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import pandas as pd

from psps_paper.tables.load import ROW_RULES, checked_table, data_folder, dictionary_of, not_there, table_names
from psps_paper.tables.trials import SOURCE, trials_folder


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data folder as it was when read; two with the same content are equal, so either can be the key of a cache.

    Attributes
    ----------
    folder : Path
    files : dict
        Content of each table, dictionary and record, by its path below the folder.
    trials : Dataset or None
        The trial-level data, where there are any.

    Examples
    --------
    >>> data = dataset()
    >>> "outcomes" in data, len(data.table("outcomes")) > 0
    (True, True)
    >>> data == dataset()
    True
    """

    folder: Path
    files: Mapping[str, bytes] = field(repr=False)
    trials: Dataset | None = field(default=None, repr=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dataset) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __contains__(self, name: str) -> bool:
        """Return whether there is a table of this name."""
        return f"{name}.csv" in self.files

    def table(self, name: str) -> pd.DataFrame:
        """Return a table as :func:`psps_paper.tables.load_table` does; a copy, which the caller may change."""
        return checked_table(name, self.names, self.content, ROW_RULES in self)

    def dictionary(self, name: str) -> pd.DataFrame:
        """Return the column dictionary of a table: one row per column, all text, empty strings for missing entries."""
        file_name = f"dictionaries/{name}.csv"
        return dictionary_of(self.content(file_name), file_name)

    def content(self, file_name: str) -> bytes:
        """Return the content of a file, or raise a TableError if it is missing."""
        if file_name not in self.files:
            raise not_there(self.folder / file_name, file_name)
        return self.files[file_name]

    @cached_property
    def names(self) -> list[str]:
        """List the names of the tables, as :func:`psps_paper.tables.load.table_names` does."""
        return sorted(Path(name).stem for name in self.files if name.startswith("dictionaries/"))

    @cached_property
    def checksums(self) -> pd.Series:
        """SHA-256 of each table and dictionary, indexed by its path below the folder."""
        names = [name for name in self.files if name.endswith(".csv")]
        return pd.Series({name: sha256(self.files[name]).hexdigest() for name in names}, dtype=str)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all content, trial-level data included."""
        record = self.checksums.to_csv() + sha256(self.files.get(SOURCE, b"")).hexdigest()
        return sha256((record + (self.trials.digest if self.trials else "")).encode()).hexdigest()


def dataset(data: Dataset | Path | str | None = None) -> Dataset:
    """Read a data folder.

    Parameters
    ----------
    data : Dataset, Path or str, optional
        The data folder; by default that of this checkout. A Dataset is returned as it is.

    Raises
    ------
    TableError
        There is no data folder, or it has no dictionaries.
    """
    if isinstance(data, Dataset):
        return data
    folder = Path(data) if data else data_folder()
    table_names(folder)
    trials = trials_folder(folder)
    return Dataset(folder, _read(folder), Dataset(trials, _read(trials)) if trials else None)


def _read(folder: Path) -> dict[str, bytes]:
    paths = sorted([*folder.glob("*.csv"), *folder.glob("dictionaries/*.csv"), *folder.glob(SOURCE)])
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths if path.is_file()}
