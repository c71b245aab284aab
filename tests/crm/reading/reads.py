"""Reads what a test wrote, as an import would, and shows it row by row."""

from dataclasses import dataclass
from pathlib import Path

from crm.lake import connect
from crm.mapping import Format
from crm.reading import RawTable, files_in, read


@dataclass
class Read:
    """A table as read: its raw description, and rows as (row number, cells...)."""

    raw: RawTable
    rows: list[tuple[object, ...]]


def read_all(path: Path, scratch: Path, encoding: str | None = None) -> dict[str, Read]:
    """Every source at a path by name."""
    scratch.mkdir(exist_ok=True)
    found = {}
    with connect() as con:
        con.execute("set preserve_insertion_order = true")
        for place, (name, source) in enumerate(files_in(path, scratch).items()):
            raw = read(con, source, f"t{place}", Format(encoding=encoding), scratch)
            found[name] = Read(raw, con.sql(f"select * from t{place} order by _row").fetchall())
    return found


def read_one(path: Path, scratch: Path, encoding: str | None = None) -> Read:
    """The one source at a path."""
    (found,) = read_all(path, scratch, encoding).values()
    return found
