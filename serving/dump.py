"""All rows of a store as lines of JSON, from one moment, on SQLite and PostgreSQL alike; and back into a new one."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import IO, Any

from sqlalchemy import (
    JSON,
    Connection,
    Date,
    DateTime,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    func,
    insert,
    select,
)
from sqlalchemy.types import TypeEngine

_AT_ONCE = 500
_REVISION = "alembic_version"


def tables_of(connection: Connection) -> list[Table]:
    """Every table as it stands in the database, those that others point to first."""
    found = MetaData()
    found.reflect(connection)
    for column in (column for table in found.sorted_tables for column in table.columns):
        if isinstance(column.type, JSON):
            column.type = JSON(none_as_null=True)  # what was no value shall not become the JSON text null
    return [table for table in found.sorted_tables if table.name != _REVISION]


def snapshot(engine: Engine) -> Connection:
    """A connection that sees the store as of its first reading, whatever is written meanwhile."""
    connection = engine.connect()
    if engine.dialect.name == "sqlite":  # its transactions see one moment anyhow
        return connection
    return connection.execution_options(isolation_level="REPEATABLE READ")


def write_table(connection: Connection, table: Table, out: IO[bytes]) -> int:
    """Write a table's rows, a line each, by key; gives their number."""
    rows = 0
    order = list(table.primary_key.columns)
    for row in connection.execution_options(yield_per=_AT_ONCE).execute(select(table).order_by(*order)):
        line = [_plain(value) for value in row]
        out.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        rows += 1
    return rows


def read_table(connection: Connection, table: Table, columns: list[str], source: IO[bytes]) -> int:
    """Insert rows as `write_table` wrote them; gives their number."""
    rows = 0
    readers = [_reader(table.c[name].type) for name in columns]
    for some in _some(source):
        values = [
            {name: _read(reader, cell) for name, reader, cell in zip(columns, readers, line, strict=True)}
            for line in some
        ]
        connection.execute(insert(table), values)
        rows += len(values)
    _go_on_counting(connection, table)
    return rows


def _some(source: IO[bytes]) -> Iterator[list[list[Any]]]:
    some = []
    for line in source:
        some.append(json.loads(line))
        if len(some) == _AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return base64.b64encode(value).decode() if isinstance(value, bytes | memoryview) else value


def _reader(kind: TypeEngine[Any]) -> Callable[[Any], Any] | None:
    if isinstance(kind, DateTime):
        return datetime.fromisoformat
    if isinstance(kind, Date):
        return date.fromisoformat
    return base64.b64decode if isinstance(kind, LargeBinary) else None


def _read(reader: Callable[[Any], Any] | None, cell: Any) -> Any:
    return reader(cell) if reader and cell is not None else cell


def _go_on_counting(connection: Connection, table: Table) -> None:
    """Let PostgreSQL number new rows after those that came with their numbers."""
    keys = list(table.primary_key.columns)
    if connection.dialect.name != "postgresql" or len(keys) != 1 or not isinstance(keys[0].type, Integer):
        return
    sequence = connection.scalar(select(func.pg_get_serial_sequence(table.name, keys[0].name)))
    if sequence and (last := connection.scalar(select(func.max(keys[0])))):
        connection.execute(select(func.setval(sequence, last)))
