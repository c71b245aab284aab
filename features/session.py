"""What the features need of an engine that runs SQL, and DuckDB's way of doing it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol, TypeGuard

import duckdb
import pyarrow as pa

from crm.errors import BadInput
from crm.lake import LakeView, View, connect

DUCKDB = "duckdb"
SPARK = "spark"
_ADDRESSES = ("spark://", "sc://")
_THREADS = 2
PART_ROWS = 400_000  # rows; more are described a part of their keys at a time, so that memory stays in bounds
RUNNING_FROM = 2000  # rows; with fewer, joining costs less than sorting
# DuckDB takes the second midnight where a clock is put back over it; a day begins with the first.
_DAY_START = """
create or replace temp macro day_start(day) as (
    case when ((day::timestamp at time zone '{zone}') - interval 1 hour) at time zone '{zone}' = day::timestamp
         then (day::timestamp at time zone '{zone}') - interval 1 hour
         else day::timestamp at time zone '{zone}' end)
"""


class UnknownEngine(BadInput):
    """There is no such engine."""


class Session(Protocol):
    """An engine that a view is attached to: canonical tables by name, and the function `day_start` of a date."""

    @property
    def local(self) -> duckdb.DuckDBPyConnection:
        """DuckDB in this process with the view attached: for small tables made here, see `share`."""
        ...

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What the engine raises where it cannot run a statement."""
        ...

    def share(self, name: str) -> None:
        """Hand a table of `local` to the engine."""
        ...

    def put(self, name: str, rows: pa.Table) -> None:
        """Keep rows made here as a table of `local` and of the engine; one of that name is replaced."""
        ...

    def make(self, name: str, query: str) -> None:
        """Keep the rows of a query (in DuckDB's SQL) as a table; one of that name is replaced."""
        ...

    def drop(self, name: str) -> None:
        """Give a table's memory back, if there is one of that name."""
        ...

    def columns(self, name: str) -> dict[str, str]:
        """Columns of a table in their order, with their types in lower case."""
        ...

    def fetch(self, query: str) -> pa.Table:
        """The rows of a query (in DuckDB's SQL), in no order unless it says one."""
        ...


class DuckSession:
    """DuckDB in this process.

    Parameters
    ----------
    con : DuckDBPyConnection
        In UTC, with a view attached.
    time_zone : str
        Where the company's days begin.
    """

    errors: tuple[type[Exception], ...] = (duckdb.Error,)

    def __init__(self, con: duckdb.DuckDBPyConnection, time_zone: str) -> None:
        self.local = con
        self._columns: dict[str, dict[str, str]] = {}
        self._rows: dict[str, int] = {}
        self._parted: dict[str, str] = {}
        self._parts = 1
        con.execute(_DAY_START.format(zone=time_zone))

    def share(self, name: str) -> None:
        """Nothing to do: what is made locally is here already."""

    def put(self, name: str, rows: pa.Table) -> None:
        """Keep rows made here as a table; one of that name is replaced."""
        put_local(self.local, name, rows)
        self._forget(name)

    def make(self, name: str, query: str) -> None:
        """Keep the rows of a query as a table; one of that name is replaced."""
        if name in self._parted:
            self._make_parted(name, query)
        else:
            self.local.execute(f"create or replace temp table {name} as {query}")
        self._forget(name)

    def part(self, tables: Mapping[str, str], parts: int) -> None:
        """Make these tables from now on so that `pick` can narrow them to a part of their keys.

        Parameters
        ----------
        tables : mapping of str to str
            Their names, and the column that holds the key.
        parts : int
            How many parts; a key is in the same one in every table.
        """
        self._parted, self._parts = dict(tables), parts

    def pick(self, part: int) -> None:
        """Narrow the tables named to `part` to those of the keys that are in it."""
        for name in self._parted:
            self.local.execute(f"create or replace temp view {name} as {_of_part(name)} where _part = {part}")
            self._rows.pop(name, None)

    def _forget(self, name: str) -> None:
        self._columns.pop(name, None)
        self._rows.pop(name, None)

    def _make_parted(self, name: str, query: str) -> None:
        which = f"(hash({self._parted[name]}) % {self._parts})::usmallint as _part"
        self.local.execute(f"create or replace temp table whole_{name} as select *, {which} from ({query})")
        tables = self.local.execute("select 1 from duckdb_tables() where table_name = $1", [name]).fetchall()
        self.local.execute(f"drop {'table' if tables else 'view'} if exists {name}")
        self.local.execute(f"create temp view {name} as {_of_part(name)}")

    def drop(self, name: str) -> None:
        """Give a table's memory back, if there is one of that name."""
        self.local.execute(f"drop table if exists {name}")
        self._forget(name)

    def columns(self, name: str) -> dict[str, str]:
        """Columns of a table in their order, with their types in lower case."""
        if name not in self._columns:
            found = self.local.sql(f"describe {name}").fetchall()
            self._columns[name] = {row[0]: row[1].lower() for row in found}
        return self._columns[name]

    def keep(self, name: str, rows: pa.Table, query: str) -> None:
        """Keep what a query makes of rows, which it calls by the name that the table will have."""
        self.local.execute(f"drop table if exists {name}")
        self.local.register(name, rows)
        self.local.execute(f"create or replace temp table _kept as {query}")
        self.local.unregister(name)
        self.local.execute(f"alter table _kept rename to {name}")
        self._forget(name)

    def rows(self, name: str) -> int:
        """How many rows a table has."""
        if name not in self._rows:
            (found,) = self.local.sql(f"select count(*) from {name}").fetchall()[0]
            self._rows[name] = int(found)
        return self._rows[name]

    def fetch(self, query: str) -> pa.Table:
        """The rows of a query, in no order unless it says one."""
        return self.local.sql(query).to_arrow_table()


def put_local(con: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    """Keep rows as a table of DuckDB; one of that name is replaced."""
    con.register("_given", rows)
    con.execute(f"create or replace temp table {name} as select * from _given")
    con.unregister("_given")


def _of_part(name: str) -> str:
    return f"select * exclude (_part) from whole_{name}"


def parts_of_rows(session: Session, rows: int) -> int:
    """In how many parts so many rows are described: one, but on DuckDB where they are very many."""
    return math.ceil(rows / PART_ROWS) if isinstance(session, DuckSession) and rows > PART_ROWS else 1


def better_sorted(session: Session, table: str) -> TypeGuard[DuckSession]:
    """Whether a table asks for so many rows that `features.running` is quicker than joins; DuckDB only."""
    return isinstance(session, DuckSession) and session.rows(table) >= RUNNING_FROM


def engine_of(view: View) -> str:
    """What a view's features are worked out with: a lake names it, tables in memory are for DuckDB."""
    return view.engine if isinstance(view, LakeView) else DUCKDB


@contextmanager
def opened(engine: str, view: View, time_zone: str) -> Iterator[Session]:
    """A session on a view, closed at the end.

    Parameters
    ----------
    engine : str
        `duckdb`, or `spark` and the addresses that `features.spark.spark_engine` takes.
    view : View
        The canonical tables.
    time_zone : str
        Where the company's days begin.

    Raises
    ------
    UnknownEngine
        If there is no such engine.
    """
    if engine != DUCKDB and engine != SPARK and not engine.startswith(_ADDRESSES):
        raise UnknownEngine(f"There is no engine '{engine}'. Give {DUCKDB}, {SPARK}, spark://host:port or sc://host.")
    with connect(_THREADS) as con:
        view.attach(con)
        if engine == DUCKDB:
            yield DuckSession(con, time_zone)
            return
        from features.spark import spark_engine

        with spark_engine(engine, view, con, time_zone) as session:
            yield session
