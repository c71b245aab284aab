"""Lists as CSV and Excel: flat rows, numbers as numbers, and no cell that a spreadsheet would run as a formula."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from fastapi import Response
from pydantic import BaseModel

Format = Literal["json", "csv", "xlsx"]
CSV = "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # which the format of Excel cannot hold


def format_of(wished: Format | None, accept: str) -> Format:
    """Which form an answer takes: what the address says, else the first known one that Accept names, else JSON."""
    if wished is not None:
        return wished
    known: dict[str, Format] = {CSV: "csv", XLSX: "xlsx", "application/json": "json"}
    named = (part.split(";")[0].strip().lower() for part in accept.split(","))
    return next((known[name] for name in named if name in known), "json")


def file_answer(
    rows: Iterable[BaseModel], of: type[BaseModel], name: str, form: Format, headers: Mapping[str, str]
) -> Response:
    """A list as a file to be kept, one column a field.

    Parameters
    ----------
    rows : iterable of BaseModel
        Of the class `of`, which names the columns even where there is no row.
    name : str
        Of the file, without suffix.
    headers : mapping of str to str
        More headers of the answer.
    """
    columns = list(of.model_fields)
    cells = [[cell(getattr(row, column)) for column in columns] for row in rows]
    made, kind = (as_csv(columns, cells), f"{CSV}; charset=utf-8") if form == "csv" else (as_xlsx(columns, cells), XLSX)
    named = {"Content-Disposition": f'attachment; filename="{name}.{form}"'}
    return Response(made, media_type=kind, headers={**headers, **named})


def cell(value: Any) -> Any:
    """A value as one cell: text that a spreadsheet takes for a formula gets an apostrophe, numbers stay numbers."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None, microsecond=0)
    if isinstance(value, dict | list | tuple):
        return safe(json.dumps(value, ensure_ascii=False, default=str))
    if isinstance(value, BaseModel):
        return safe(str(next(iter(value.model_dump().values()))))
    return safe(value) if isinstance(value, str) else value


def safe(text: str) -> str:
    """Text that no spreadsheet runs."""
    cleaned = _CONTROL.sub("", text)
    return f"'{cleaned}" if cleaned.startswith(_FORMULA) else cleaned


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Comma-separated, in UTF-8 with the mark that Excel needs to see it."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([f"{v.isoformat()}Z" if isinstance(v, datetime) else v for v in row] for row in rows)
    return out.getvalue().encode("utf-8-sig")


def as_xlsx(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """One sheet, its first row fixed, moments in UTC."""
    return as_book({"data": (columns, rows)})


def as_book(sheets: Mapping[str, tuple[Sequence[str], Iterable[Sequence[Any]]]]) -> bytes:
    """A sheet for each name, its first row fixed, moments in UTC."""
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    for name, (columns, rows) in sheets.items():
        sheet = book.create_sheet(name)
        sheet.freeze_panes = "A2"
        sheet.append(list(columns))
        for row in rows:
            sheet.append(list(row))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def file_response(content: bytes, name: str, form: Format) -> Response:
    """A file to be kept; `name` without suffix."""
    kind = f"{CSV}; charset=utf-8" if form == "csv" else XLSX
    named = {"Content-Disposition": f'attachment; filename="{name}.{form}"'}
    return Response(content, media_type=kind, headers=named)
