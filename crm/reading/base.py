"""What every kind of file is read into, and the error of a file that cannot be read at all."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pyarrow as pa

from crm.errors import BadInput

ROW = "_row"  # as the file counts: the header of a text file is row 1, and blank lines do not count


class BadFile(BadInput):
    """A file cannot be read at all."""

    def __init__(self, file: str, problem: str, mend: str) -> None:
        super().__init__(f"{file}: {problem}. {mend}")


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A row that is no row: its number, its text, what is wrong and the mend."""

    row: int
    text: str
    reason: str
    mend: str = "Mend the row, or its quotes and delimiters."


@dataclass(frozen=True, slots=True)
class RawTable:
    """A file as the temporary table `name`: text columns, the row number in `_row`, and how it was read."""

    name: str
    file: str
    columns: tuple[str, ...]
    rows: int
    broken: tuple[BrokenRow, ...] = ()
    notes: tuple[str, ...] = ()


def put(
    con: duckdb.DuckDBPyConnection,
    name: str,
    file: str,
    columns: dict[str, list[str | None]],
    rows: list[int],
    broken: list[BrokenRow],
    notes: tuple[str, ...] = (),
) -> RawTable:
    """Make the temporary table `name` of text columns of equal length and their row numbers."""
    arrays = {ROW: pa.array(rows, pa.int64()), **{c: pa.array(v, pa.string()) for c, v in columns.items()}}
    con.register("_read", pa.table(arrays))
    con.execute(f"create or replace temp table {name} as select * from _read")
    con.unregister("_read")
    return RawTable(name, file, tuple(columns), len(rows), tuple(broken), notes)


def count(con: duckdb.DuckDBPyConnection, name: str) -> int:
    """Rows of a table."""
    return int(con.sql(f"select count(*) from {name}").fetchall()[0][0])


def checked_header(file: str, names: list[str]) -> list[str]:
    """Names of columns, each there and none twice.

    Raises
    ------
    BadFile
        If one has no name, or two have the same.
    """
    names = [name.strip() for name in names]
    for place, name in enumerate(names):
        if not name:
            raise BadFile(file, f"column {place + 1} has no name", "Give it one in the header.")
        if name in names[:place]:
            raise BadFile(file, f"has two columns named '{name}'", "Rename one of them in the file.")
    return names
