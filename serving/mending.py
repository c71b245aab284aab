"""Refused rows to be mended: what the quarantine holds, row by row, and a mended row as a file to import again."""

from __future__ import annotations

import csv
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crm.checking import HIDDEN
from crm.errors import NotFound
from crm.quarantine import read_file
from crm.schema import TABLES, Table
from serving.home import Home
from serving.jobs.tasks import upload_folder


class NoSuchRow(NotFound):
    """The quarantine holds no such row that can be mended here."""

    def __init__(self) -> None:
        super().__init__("This row is no longer in the quarantine. Open the page of the data again.")


@dataclass(frozen=True, slots=True)
class Refused:
    """A row with everything that was wrong with it.

    Attributes
    ----------
    name : str
        File of the quarantine, without suffix.
    problems : tuple of (column, value, reason, mend)
        Its bad cells.
    values : mapping of str to str
        The row as its file had it; empty where it is not kept, or has personal columns alone.
    mendable : bool
        Whether it can be mended here: its columns are those of the table, so no mapping is needed.
    """

    name: str
    table: str
    file: str
    row: int
    problems: tuple[tuple[str, str, str, str], ...]
    values: Mapping[str, str]
    mendable: bool


def waiting(home: Home, *, most: int = 50) -> tuple[list[Refused], int]:
    """Refused rows, newest import first, at most so many; and how many there are in all."""
    folder = home.quarantine
    files = sorted(folder.glob("*.jsonl"), key=lambda p: -p.stat().st_mtime) if folder.is_dir() else []
    rows: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for path in files:
        for cell in read_file(folder, path.stem):
            rows.setdefault((path.stem, cell["file"], cell["row"]), []).append(cell)
    return [_refused(key, cells) for key, cells in list(rows.items())[:most]], len(rows)


def one(home: Home, name: str, file: str, row: int) -> Refused:
    """One refused row that can be mended.

    Raises
    ------
    NoSuchRow
        If there is none.
    """
    name = Path(name).name
    cells = [c for c in read_file(home.quarantine, name) if c["file"] == file and c["row"] == row]
    found = _refused((name, file, row), cells) if cells else None
    if found is None or not found.mendable:
        raise NoSuchRow
    return found


def keep_mended(home: Home, row: Refused, values: Mapping[str, str]) -> str:
    """Write a mended row as a file of its table, for a worker to import; give the upload's name.

    Columns whose values are hidden are left out: what the lake has in them stays.
    """
    name = secrets.token_hex(12)
    folder = upload_folder(home, name) / "files"
    folder.mkdir(parents=True)
    columns = [c for c in row.values if c in TABLES[row.table].by_name or c.startswith("x_")]
    with (folder / f"{row.table}.csv").open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(columns)
        writer.writerow([values.get(c, row.values[c]) for c in columns])
    return name


def _refused(key: tuple[str, str, int], cells: list[dict[str, Any]]) -> Refused:
    name, file, number = key
    given: dict[str, str | None] = next((c["source_row"] for c in cells if c["source_row"]), {})
    values = {column: value or "" for column, value in given.items() if value != HIDDEN}
    table = str(cells[0]["table"])
    problems = tuple((str(c["column"]), str(c["value"]), str(c["reason"]), str(c["mend"])) for c in cells)
    return Refused(name, table, file, number, problems, values, _fits(TABLES[table], values))


def _fits(table: Table, values: Mapping[str, str]) -> bool:
    """Whether columns are the table's own, all that it needs among them."""
    own = all(c in table.by_name or (table.custom and c.startswith("x_")) for c in values)
    return own and all(name in values for name in table.required)
