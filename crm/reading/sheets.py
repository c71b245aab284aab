"""Sheets of Excel and OpenDocument workbooks: values as shown last, merged cells filled, the header found."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import duckdb
from openpyxl.utils import get_column_letter
from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from crm.reading.base import BadFile, BrokenRow, RawTable, checked_header, put

Cell = int | float | str | bool | time | date | datetime | timedelta
_TITLE_ROWS = 30  # a header is looked for so far down
_PART = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_LINK = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_NEEDS_LOOK = re.compile(rb'<f[ >/]|t="e"')
_CHUNK = 1 << 20
_OVERLAP = 16


def sheet_names(path: Path, file: str) -> list[str]:
    """Visible sheets of a workbook that hold anything.

    Raises
    ------
    BadFile
        If it is no workbook, is locked by a password, or all its sheets are empty.
    """
    with _opened(path, file) as book:
        names = [
            s.name
            for s in book.sheets_metadata
            if s.typ == SheetTypeEnum.WorkSheet and s.visible == SheetVisibleEnum.Visible
        ]
        filled = [name for name in names if book.get_sheet_by_name(name).start is not None]
    if not filled:
        raise BadFile(file, "has no sheet with anything in it", "Export it again.")
    return filled


def read_sheet(con: duckdb.DuckDBPyConnection, path: Path, sheet: str, name: str, file: str) -> RawTable:
    """Read a sheet into the temporary table `name`; row numbers are the sheet's own.

    The header is the first row that names most of the columns, so that titles above it do no harm. A merged cell's
    value stands in each of its cells. A row with an error such as #REF!, or a formula whose value was never stored, is
    broken.

    Raises
    ------
    BadFile
        If no row looks like a header, or a column has no name or one that stands twice.
    """
    with _opened(path, file) as book:
        found = book.get_sheet_by_name(sheet)
        grid = found.to_python(skip_empty_area=False)
        _fill_merged(grid, found)
    top = _header_row(grid, file)
    places = [i for i in range(len(grid[top])) if any(row[i] != "" for row in grid[top:])]
    unnamed = next((i for i in places if grid[top][i] == ""), None)
    if unnamed is not None:
        raise BadFile(file, f"column {get_column_letter(unnamed + 1)} has no name", f"Give it one in row {top + 1}.")
    header = checked_header(file, [str(grid[top][i]) for i in places])
    hurt = _unreadable(path, sheet)
    columns: dict[str, list[str | None]] = {column: [] for column in header}
    rows: list[int] = []
    broken: list[BrokenRow] = []
    for number, row in enumerate(grid[top + 1 :], start=top + 2):
        if number in hurt:
            text = ", ".join(_text(row[i]) or "" for i in places)
            mend = "Mend the cell, then save the workbook in Excel so that it keeps its values."
            broken.append(BrokenRow(number, text[:500], hurt[number], mend))
        elif any(row[i] != "" for i in places):
            rows.append(number)
            for column, i in zip(header, places, strict=True):
                columns[column].append(_text(row[i]))
    first = next(i for i, row in enumerate(grid) if any(cell != "" for cell in row))
    notes = (f"the header stands in row {top + 1}",) if top > first else ()
    return put(con, name, file, columns, rows, broken, notes)


def _opened(path: Path, file: str) -> CalamineWorkbook:
    try:
        return CalamineWorkbook.from_path(str(path))
    except PasswordError:
        raise BadFile(file, "is locked by a password", "Save it without one.") from None
    except (CalamineError, OSError):
        raise BadFile(file, "is no workbook that can be read", "Save it as .xlsx, or export it as CSV.") from None


def _fill_merged(grid: list[list[Cell]], sheet: CalamineSheet) -> None:
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or []:
        if top == bottom and right - left + 1 >= len(grid[top]):
            continue  # a title over the whole width is no header
        for row in grid[top : bottom + 1]:
            row[left : right + 1] = [grid[top][left]] * (min(right + 1, len(row)) - left)


def _header_row(grid: list[list[Cell]], file: str) -> int:
    """Index of the first row of words, none twice, that has at least two thirds of the columns that the rows have."""
    head = grid[:_TITLE_ROWS]
    width = max(sum(cell != "" for cell in row) for row in head)
    for place, row in enumerate(head):
        names = [cell for cell in row if cell != ""]
        words = all(isinstance(cell, str) and cell.strip() for cell in names)
        if words and len(set(names)) == len(names) >= max(1, width * 2 / 3):
            return place
    raise BadFile(file, f"no row of the first {_TITLE_ROWS} names the columns", "Give the sheet a row of column names.")


def _text(cell: Cell) -> str | None:
    if isinstance(cell, str):
        return cell.strip() or None
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell)
    if isinstance(cell, timedelta):
        return str(cell.total_seconds() / 60)  # minutes, as durations are kept
    return cell.isoformat() if isinstance(cell, date | time) else str(cell)


def _unreadable(path: Path, sheet: str) -> dict[int, str]:
    """Rows of an .xlsx sheet with a cell whose value cannot be had: the reader gives these as empty."""
    if not zipfile.is_zipfile(path):
        return {}
    with zipfile.ZipFile(path) as archive:
        part = _part_of(archive, sheet)
        if part is None or not _needs_look(archive, part):
            return {}
        found: dict[int, str] = {}
        for place, what in _hurt_cells(archive, part):
            number = int(place.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
            found.setdefault(number, f"cell {place} {what}")
        return found


def _part_of(archive: zipfile.ZipFile, sheet: str) -> str | None:
    names = archive.namelist()
    if "xl/workbook.xml" not in names or "xl/_rels/workbook.xml.rels" not in names:
        return None
    book = ET.fromstring(archive.read("xl/workbook.xml"))
    link = next((s.get(_LINK) for s in book.iter(f"{_PART}sheet") if s.get("name") == sheet), None)
    links = ET.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    target = next((r.get("Target", "") for r in links if r.get("Id") == link), "")
    part = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    return part if part in names else None


def _needs_look(archive: zipfile.ZipFile, part: str) -> bool:
    before = b""
    with archive.open(part) as file:
        while chunk := file.read(_CHUNK):
            if _NEEDS_LOOK.search(before + chunk):
                return True
            before = chunk[-_OVERLAP:]
    return False


def _hurt_cells(archive: zipfile.ZipFile, part: str) -> Iterator[tuple[str, str]]:
    with archive.open(part) as file:
        for _, element in ET.iterparse(file):
            if element.tag == f"{_PART}c":
                value = element.findtext(f"{_PART}v")
                if element.get("t") == "e":
                    yield element.get("r", ""), f"holds the error {value}"
                elif element.find(f"{_PART}f") is not None and not value and element.get("t") != "str":
                    yield element.get("r", ""), "is a formula whose value was not stored"
            elif element.tag == f"{_PART}row":
                element.clear()
