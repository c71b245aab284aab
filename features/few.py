"""A few rows at a time: what is a deal's own is worked out by SQLite, what it shares with thousands by DuckDB.

DuckDB plans a statement for longer than it takes to run over one deal; SQLite keeps the plan of a statement that it has
seen. The statements are the same ones: `features.sqlite_sql` says them in SQLite's words.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import sqlglot
from sqlglot import exp

from features.as_of import LOG
from features.catalogue import Block
from features.prepared import Prepared
from features.sources import SOURCES
from features.sqlite_functions import add_functions
from features.sqlite_sql import NoSqliteSql, sqlite_sql

MOST = 20  # deals; more of them are worth DuckDB's planning
_MOST_ROWS = 1_000_000  # of what customers bought, asked and ended: more would be held twice
_GIVEN = ("deals", "deal_changes", "activities")
_OWN = ("touches", "moves", "desk", "stays")  # sources that come from the rows of the deals given
_SHARED = ("desk", "stays")  # those whose rows count for other deals too
_STANDING = {"fx": "currency", "stage_places": "stage", "reps": "rep_id", "accounts": "account_id"}
_OF_CUSTOMERS = {"contacts": "contact_id"}
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_PLAIN = frozenset({"double", "bigint", "varchar", "boolean", "date"})


class TooMany(Exception):
    """There is more than is worth being held twice."""


class Few:
    """A session for deals that are given whole, a few at a time.

    Parameters
    ----------
    duck : Prepared
        DuckDB with the tables of all deals laid out; what is given here is put beside them for a question's time.
    chosen : sequence of Block
        Blocks of deals.

    Raises
    ------
    NoSqliteSql
        If a column has a type whose text SQLite would write in another way.
    TooMany
        If there is more than is worth being held twice.
    """

    errors: tuple[type[Exception], ...] = (sqlite3.Error, duckdb.Error)

    def __init__(self, duck: Prepared, chosen: Sequence[Block]) -> None:
        self._duck = duck
        own = {name: kind for name, kind in duck.columns("deals").items() if name.startswith("x_")}
        if odd := [name for name, kind in own.items() if kind not in _PLAIN]:
            raise NoSqliteSql(f"SQLite would write {odd[0]} in another way.")
        self._sources = {block.events for block in chosen if block.events in _OWN}
        # Blocks by owner, stage or the whole company read thousands of rows, in which DuckDB is quicker.
        self._apart = {f"gate_{b.name}": b.by for b in chosen if b.events and b.by not in ("deal_id", "account_id")}
        of_customers = {b.events: b.key for b in chosen if b.by == "account_id" and b.events not in _OWN}
        self._made: dict[str, list[str]] = {}
        self._words: dict[str, str] = {}
        self._schemas: dict[str, pa.Schema] = {}
        self._constant: dict[str, pa.Table] = {}
        self._deals = frozenset(duck.fetch("select deal_id from deals")["deal_id"].to_pylist())
        self._con = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, cached_statements=512)
        self._con.execute("pragma journal_mode = off")
        add_functions(self._con)
        self._mirrored = False
        self._hold({**_STANDING, **_OF_CUSTOMERS, **of_customers})

    @property
    def local(self) -> duckdb.DuckDBPyConnection:
        """DuckDB, for small tables made there."""
        return self._duck.local

    @contextmanager
    def asked_with(self, added: Mapping[str, pa.Table]) -> Iterator[None]:
        """Meanwhile these deals are there, in place of those of the same key.

        Parameters
        ----------
        added : mapping of str to pa.Table
            Whole deals: `deals`, and all of their `deal_changes` and `activities`, in the lake's types.
        """
        before = self._shared_rows(self._known(added)) if self._sources & {*_SHARED} else {}
        self._put_deals(added)
        with self._duck.undoing():
            for name in self._sources & {*_SHARED}:
                self._add_shared(name, Counter(self._rows(name)) - before.get(name, Counter()))
            self._mirrored = False
            yield

    def share(self, name: str) -> None:
        """Nothing to do: what is the same for all questions is held already."""

    def put(self, name: str, rows: pa.Table) -> None:
        """Keep rows as a table, in place of those that it had."""
        columns = self._emptied(name)
        given = [_cells(rows[c]) if c in rows.column_names else [None] * rows.num_rows for c in columns]
        self._insert(name, zip(*given, strict=True))

    def make(self, name: str, query: str) -> None:
        """Keep the rows of a query as a table, in place of those that it had."""
        if name in self._apart:
            self._emptied(name)
            if not self._asked_by(self._apart[name]):
                return
            self._mirror_state()
            self._insert(name, [[_cell(x) for x in row] for row in self._duck.run(query).fetchall()])
            return
        self._emptied(name)
        self._con.execute(f'insert into "{name}" {self._said(query)}')

    def drop(self, name: str) -> None:
        """Nothing to do: a few rows may stay until the table is filled again."""

    def columns(self, name: str) -> dict[str, str]:
        """Columns of a table in their order, with DuckDB's types in lower case."""
        return self._duck.columns(name)

    def fetch(self, query: str) -> pa.Table:
        """The rows of a query, in no order unless it says one."""
        if query in self._constant:
            return self._constant[query]
        if query not in self._schemas:
            if not self._here(query):  # about all deals, not about those given: the same for every question
                self._constant[query] = self._duck.fetch(query)
                return self._constant[query]
            self._schemas[query] = self._duck.local.sql(f"select * from ({query}) limit 0").to_arrow_table().schema
        rows = self._con.execute(self._said(query)).fetchall()
        schema = self._schemas[query]
        columns = list(zip(*rows, strict=True)) or [()] * len(schema)
        return pa.table({f.name: _column(cells, f.type) for f, cells in zip(schema, columns, strict=True)})

    def close(self) -> None:
        """Give the memory back."""
        self._con.close()

    def _insert(self, name: str, rows: Iterable[Sequence[object]]) -> None:
        marks = ", ".join("?" * len(self._made[name]))
        self._con.executemany(f'insert into "{name}" values ({marks})', rows)

    def _hold(self, tables: Mapping[str, str]) -> None:
        rows = 0
        for name, key in tables.items():
            found = self._duck.fetch(f"select * from {name}")
            rows += found.num_rows
            if rows > _MOST_ROWS:
                raise TooMany
            self.put(name, found)
            self._con.execute(f'create index "by_{name}" on "{name}" ("{key}")')

    def _known(self, added: Mapping[str, pa.Table]) -> list[str]:
        return [deal for deal in added["deals"]["deal_id"].to_pylist() if deal in self._deals]

    def _shared_rows(self, deals: Collection[str]) -> dict[str, Counter[tuple[object, ...]]]:
        """What deals of the view put into the sources that others share."""
        if not deals:
            return {}
        marks = ", ".join(f"${n + 1}" for n in range(len(deals)))
        for name in _GIVEN[:2]:
            rows = self._duck.local.execute(f"select * from {name} where deal_id in ({marks})", list(deals)).fetchall()
            self._emptied(name)
            self._insert(name, [[_cell(x) for x in row] for row in rows])
        self.make("logged", LOG)
        for name in self._sources & {*_SHARED}:
            self.make(name, SOURCES[name])
        return {name: Counter(self._rows(name)) for name in self._sources & {*_SHARED}}

    def _put_deals(self, added: Mapping[str, pa.Table]) -> None:
        for name in _GIVEN:
            self.put(name, added[name])
        self.make("logged", LOG)
        for name in self._sources:
            self.make(name, SOURCES[name])

    def _add_shared(self, name: str, rows: Counter[tuple[object, ...]]) -> None:
        if not rows:
            return
        schema = self._schema(name)
        columns = zip(*rows.elements(), strict=True)
        table = pa.table({f.name: _column(cells, f.type) for f, cells in zip(schema, columns, strict=True)})
        self._duck.add(name, table)

    def _asked_by(self, column: str) -> bool:
        """Whether a row asked for has a value that a block is matched by."""
        query = f'select 1 from "state" where {_quoted(column)} is not null limit 1'
        return self._con.execute(query).fetchone() is not None

    def _mirror_state(self) -> None:
        """Let DuckDB know of the rows asked for what it matches its events with."""
        if not self._mirrored:
            names = ["as_of", *dict.fromkeys(self._apart.values())]
            schema = self._schema("state")
            rows = self._con.execute(f'select {", ".join(_quoted(n) for n in names)} from "state"').fetchall()
            columns = list(zip(*rows, strict=True)) or [()] * len(names)
            made = {n: _column(cells, schema.field(n).type) for n, cells in zip(names, columns, strict=True)}
            self._duck.put("state", pa.table(made))
            self._mirrored = True

    def _rows(self, name: str) -> list[tuple[object, ...]]:
        return self._con.execute(f'select * from "{name}"').fetchall()

    def _schema(self, name: str) -> pa.Schema:
        if name not in self._schemas:
            self._schemas[name] = self._duck.local.sql(f"select * from {name} limit 0").to_arrow_table().schema
        return self._schemas[name]

    def _emptied(self, name: str) -> list[str]:
        if name in self._made:
            self._con.execute(f'delete from "{name}"')
        else:
            self._made[name] = list(self._duck.columns(name))
            self._con.execute(f'create table "{name}" ({", ".join(_quoted(c) for c in self._made[name])})')
        return self._made[name]

    def _said(self, query: str) -> str:
        if query not in self._words:
            self._words[query] = sqlite_sql(query, self._of_type("varchar", query), self._of_type("boolean", query))
        return self._words[query]

    def _of_type(self, wanted: str, query: str) -> set[str]:
        """Columns of a type, of the tables that a query reads."""
        read = {table.name for table in sqlglot.parse_one(query, read="duckdb").find_all(exp.Table)} & self._made.keys()
        return {name for table in read for name, kind in self._duck.columns(table).items() if kind == wanted}

    def _here(self, query: str) -> bool:
        tree = sqlglot.parse_one(query, read="duckdb")
        made = {cte.alias for cte in tree.find_all(exp.CTE)}
        return {table.name for table in tree.find_all(exp.Table)} - made <= self._made.keys()


def _quoted(name: str) -> str:
    return f'"{name}"'


def _cell(value: object) -> object:
    """A value of DuckDB as SQLite holds it; see `_cells`."""
    if isinstance(value, datetime):
        return (value - _EPOCH) // _MICROSECOND
    if isinstance(value, date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


def _cells(column: pa.ChunkedArray) -> list[object]:
    """Values as SQLite holds them: moments in microseconds, days as text, yes and no as 1 and 0."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", kind.tz)).cast(pa.int64())
    elif pa.types.is_date(kind):
        column = pc.strftime(column, "%Y-%m-%d")
    elif pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    elif pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif pa.types.is_struct(kind):  # the place of a change: only ever worked out anew
        return [None] * len(column)
    return list(column.to_pylist())


def _column(cells: Sequence[object], kind: pa.DataType) -> pa.Array:
    if pa.types.is_boolean(kind):
        return pa.array([None if cell is None else bool(cell) for cell in cells], kind)
    if pa.types.is_date(kind):
        return pa.array(cells, pa.string()).cast(kind)
    if pa.types.is_decimal(kind) or pa.types.is_floating(kind) or pa.types.is_integer(kind):
        return pa.array([None if cell is None else float(cell) for cell in cells], pa.float64())  # type: ignore[arg-type]
    return pa.array(cells, pa.int64()).cast(kind) if pa.types.is_timestamp(kind) else pa.array(cells, kind)
