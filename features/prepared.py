"""DuckDB for a few rows at a time: tables are laid out once, statements read once, then only filled and run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa


class Prepared:
    """A session whose tables stay while their rows go.

    With one deal the rows cost little: to make and drop tables, to read the statements and to plan them is nearly all.
    So every table is laid out before the first question, from the query that fills it each time, and each statement is
    prepared. DuckDB 2 plans a prepared statement anew whenever it runs, so that part is not saved.

    Parameters
    ----------
    con : DuckDBPyConnection
        With all that is the same for every question: canonical tables, sources, `day_start`.
    """

    errors: tuple[type[Exception], ...] = (duckdb.Error,)

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.local = con
        self._columns: dict[str, dict[str, str]] = {}
        self._names: dict[str, str] = {}
        self._filled: set[str] = set()
        self._laying_out = False

    @contextmanager
    def laying_out(self) -> Iterator[None]:
        """Meanwhile tables are made, empty; one of the same name is replaced."""
        self._laying_out = True
        try:
            yield
        finally:
            self._laying_out = False

    @contextmanager
    def undoing(self) -> Iterator[None]:
        """Whatever happens to rows meanwhile is undone at the end."""
        filled = set(self._filled)
        self.local.execute("begin")
        try:
            yield
        finally:
            self.local.execute("rollback")
            self._filled = filled

    def share(self, name: str) -> None:
        """Nothing to do: what is made locally is here already."""

    def put(self, name: str, rows: pa.Table) -> None:
        """Keep rows made here as a table, in place of those that it had."""
        if self._laying_out:
            self.local.execute(f"create or replace temp table {name} as select * from rows limit 0")
        else:
            self._empty(name)
            self.add(name, rows)

    def add(self, name: str, rows: pa.Table) -> None:
        """Put rows made here beside those that a table has."""
        self.local.execute(f"insert into {name} by name select * from rows")  # DuckDB finds `rows` by its name

    def make(self, name: str, query: str) -> None:
        """Keep the rows of a query as a table, in place of those that it had."""
        if self._laying_out:
            self.local.execute(f"create or replace temp table {name} as select * from ({query}) limit 0")
        else:
            self._empty(name)
            self.run(f"insert into {name} {query}")

    def drop(self, name: str) -> None:
        """Nothing to do: a few rows may stay until the table is filled again."""

    def columns(self, name: str) -> dict[str, str]:
        """Columns of a table in their order, with their types in lower case."""
        if name not in self._columns:
            found = self.local.execute(f"describe {name}").fetchall()
            self._columns[name] = {row[0]: row[1].lower() for row in found}
        return self._columns[name]

    def fetch(self, query: str) -> pa.Table:
        """The rows of a query, in no order unless it says one."""
        return self.local.sql(self._prepared(query)).to_arrow_table()

    def run(self, statement: str) -> duckdb.DuckDBPyConnection:
        """Run a statement."""
        return self.local.execute(self._prepared(statement))

    def _prepared(self, statement: str) -> str:
        """What runs a statement; it is read the first time only."""
        if self._laying_out:
            return statement
        if statement not in self._names:
            name = f"statement_{len(self._names)}"
            self.local.execute(f"prepare {name} as {statement}")
            self._names[statement] = name
        return f"execute {self._names[statement]}"

    def _empty(self, name: str) -> None:
        if name in self._filled:
            self.run(f"delete from {name}")
        self._filled.add(name)
