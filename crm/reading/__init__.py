"""Files as they come (text, Excel, JSON Lines, Parquet, zip) to tables of text columns with row numbers."""

from crm.reading.base import ROW, BadFile, RawTable
from crm.reading.sources import SUFFIXES, Source, files_in, read, stem

__all__ = ["ROW", "SUFFIXES", "BadFile", "RawTable", "Source", "files_in", "read", "stem"]
