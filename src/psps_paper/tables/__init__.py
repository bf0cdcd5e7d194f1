"""Load and check the tables of ``data/``: all data enter the package here."""

from psps_paper.tables.dataset import Dataset, dataset
from psps_paper.tables.errors import TableError
from psps_paper.tables.load import load_table, validate_table

__all__ = ["Dataset", "TableError", "dataset", "load_table", "validate_table"]
