"""What there is to read at a path: files, the sheets of workbooks, the files of a zip archive."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from crm.mapping import Format
from crm.reading.archives import Room, see_unpacked_size, unpack
from crm.reading.base import ROW, BadFile, RawTable, count
from crm.reading.records import read_records
from crm.reading.sheets import read_sheet, sheet_names
from crm.reading.text import decoded, lines_of, quoted, read_text

_PACKED = (".csv.gz", ".tsv.gz", ".txt.gz", ".jsonl.gz", ".ndjson.gz")
_BOOKS = (".xlsx", ".xlsm", ".xls", ".ods")
_RECORDS = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
_PARQUET = (".parquet", ".pq")
SUFFIXES = (".csv", ".tsv", ".txt", *_PACKED, *_BOOKS, ".jsonl", ".ndjson", *_PARQUET)
"""How the names of readable files end; zip archives of them come on top."""
_ROOM = 20_000_000_000
_UNPACKS_TO = 200  # text packs to a tenth or a thirtieth; a bomb to a thousandth


@dataclass(frozen=True, slots=True)
class Source:
    """A file, or a sheet of one, by the name that a mapping and the report know it by."""

    name: str
    path: Path
    sheet: str | None = None


def files_in(path: Path, scratch: Path) -> dict[str, Source]:
    """What can be read at a path, by name: `deals.csv`; `crm.xlsx`, or `crm.xlsx/Deals` where it has several sheets.

    Parameters
    ----------
    path : Path
        One file, a zip archive, or a folder (not below it).
    scratch : Path
        Folder to unpack archives in.

    Raises
    ------
    BadFile
        If there is no such path, or nothing to read in it.
    BadArchive, TooLarge
        If an archive leads astray or unpacks to far more than it holds.
    """
    path = Path(path)
    if path.is_file():
        found = _unpacked(path, scratch) if path.name.lower().endswith(".zip") else [path]
    elif path.is_dir():
        found = sorted(p for p in path.iterdir() if p.is_file() and p.name.lower().endswith(SUFFIXES))
    else:
        raise BadFile(str(path), "there is no such file or folder", "Check the path.")
    if not found:
        raise BadFile(
            str(path), "holds no CSV, TSV, Excel, JSON Lines or Parquet file", "Give the folder that holds your export."
        )
    return {source.name: source for file in found for source in _sources(file)}


def _unpacked(path: Path, scratch: Path) -> list[Path]:
    folder = scratch / "unpacked"
    folder.mkdir()
    room = Room(
        min(_ROOM, max(200_000_000, path.stat().st_size * _UNPACKS_TO)), "Unpack it, look at it, and give the folder."
    )

    def place_of(name: str) -> Path:
        if (folder / name).exists():
            raise BadFile(path.name, f"holds two files {name}", "Pack one of them.")
        return folder / name

    unpack(path, path.name, room, place_of)
    return sorted(p for p in folder.iterdir() if p.name.lower().endswith(SUFFIXES))


def _sources(path: Path) -> list[Source]:
    if not path.name.lower().endswith(_BOOKS):
        return [Source(path.name, path)]
    size = path.stat().st_size
    see_unpacked_size(path, path.name, Room(max(200_000_000, size * _UNPACKS_TO), "Export it as CSV."))
    sheets = sheet_names(path, path.name)
    if len(sheets) == 1:
        return [Source(path.name, path, sheets[0])]
    return [Source(f"{path.name}/{sheet}", path, sheet) for sheet in sheets]


def stem(name: str) -> str:
    """File name without what says its format: deals.csv.gz is deals, and so is the sheet crm.xlsx/Deals."""
    if "/" in name:
        return name.rpartition("/")[2].strip().lower().replace(" ", "_")
    lower = name.lower()
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if lower.endswith(suffix):
            return name[: -len(suffix)]
    return name


def read(con: duckdb.DuckDBPyConnection, source: Source, name: str, form: Format, scratch: Path) -> RawTable:
    """Read a file or a sheet into the temporary table `name`.

    Raises
    ------
    BadFile
        If it is empty, has a double header name, another delimiter, or unreadable text.
    """
    lower = source.path.name.lower()
    if source.sheet is not None:
        return read_sheet(con, source.path, source.sheet, name, source.name)
    if lower.endswith(_PARQUET):
        return _read_parquet(con, source.path, name)
    if lower.endswith(_RECORDS):
        plain = scratch / f"{name}.txt"
        notes = decoded(source.path, plain, form.encoding).notes
        table = read_records(con, lines_of(plain), name, source.name)
        return RawTable(name, table.file, table.columns, table.rows, table.broken, notes)
    return read_text(con, source.path, name, form, scratch)


def _read_parquet(con: duckdb.DuckDBPyConnection, path: Path, name: str) -> RawTable:
    source = f"read_parquet({quoted(path)}, file_row_number=true)"
    try:
        columns = [row[0] for row in con.sql(f"describe select * exclude (file_row_number) from {source}").fetchall()]
        texts = ", ".join(f'"{c}"::varchar as "{c}"' for c in columns)
        con.execute(
            f"create or replace temp table {name} as select file_row_number + 2 as {ROW}, {texts} from {source}"
        )
    except duckdb.Error:
        raise BadFile(path.name, "is no Parquet file", "Export it again, or give it as CSV.") from None
    return RawTable(name, path.name, tuple(columns), count(con, name))
