"""Rows for every table of the store, made from the declared columns alone."""

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Date, Float, Integer, LargeBinary, insert, select

from serving.store import Store
from serving.tables.base import Base, UtcTime

MOMENT = datetime(2026, 3, 1, 12, 30, 15, 250000, tzinfo=UTC)


def fill_every_table(store: Store) -> None:
    """Two rows in each: the first with all columns set, the second with NULL wherever it may be."""
    with store.session() as session:
        for table in Base.metadata.sorted_tables:
            for place in (1, 2):
                session.execute(insert(table), {c.name: _value(c, place) for c in table.columns})


def rows_of(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """All rows by table, each table by its key."""
    with store.reading() as session:
        return {
            table.name: [tuple(row) for row in session.execute(select(table).order_by(*table.primary_key.columns))]
            for table in Base.metadata.sorted_tables
        }


def _value(column: Column[Any], place: int) -> Any:
    if place == 2 and column.nullable:
        return None
    kind = column.type
    if isinstance(kind, UtcTime):
        return MOMENT
    known: list[tuple[type, Any]] = [
        (Date, date(2026, 3, place)),
        (Boolean, place == 1),
        (JSON, {"名": ["é", place, None, 0.1]}),
        (LargeBinary, bytes(range(256)) * place),
        (Integer, place),
        (Float, place / 3),
    ]
    return next(
        (value for of, value in known if isinstance(kind, of)),
        f"{place}é{column.name}"[: getattr(kind, "length", None) or 20],
    )
