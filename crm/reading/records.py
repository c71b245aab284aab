"""JSON Lines: one object a line; what is nested becomes a column with a dotted name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import duckdb

from crm.reading.base import BadFile, BrokenRow, RawTable, put


def read_records(con: duckdb.DuckDBPyConnection, lines: Iterator[str], name: str, file: str) -> RawTable:
    """Read lines of JSON into the temporary table `name`.

    Numbers keep the digits they are written with; a list becomes its values joined by a semicolon, `{"a": {"b": 1}}` a
    column a.b. A line that holds no object is a broken row.

    Raises
    ------
    BadFile
        If no line holds an object with a field.
    """
    columns: dict[str, list[str | None]] = {}
    rows: list[int] = []
    broken: list[BrokenRow] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line, parse_int=str, parse_float=str, parse_constant=_no_number)
            if not isinstance(record, dict):
                raise ValueError
        except (ValueError, RecursionError):
            broken.append(BrokenRow(number, line[:500], "is no JSON object", "Write one object {...} a line."))
            continue
        for column, value in _flat(record):
            kept = columns.setdefault(column, [])
            kept.extend([None] * (len(rows) - len(kept)))
            if len(kept) == len(rows):  # the same name written both dotted and nested: the first counts
                kept.append(value)
        rows.append(number)
    for kept in columns.values():
        kept.extend([None] * (len(rows) - len(kept)))
    if not columns:
        raise BadFile(file, "holds no JSON object", "Write one object {...} a line.")
    return put(con, name, file, columns, rows, broken)


def _flat(record: dict[str, Any], before: str = "") -> Iterator[tuple[str, str | None]]:
    for key, value in record.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        elif key.strip():
            yield f"{before}{key.strip()}", _text(value)


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        simple = [_text(v) if not isinstance(v, dict | list) else json.dumps(v, ensure_ascii=False) for v in value]
        return ";".join(v for v in simple if v) or None
    return value or None


def _no_number(word: str) -> None:
    raise ValueError(word)
