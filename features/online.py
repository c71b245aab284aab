"""Features of single deals or accounts at once: what all rows share is made once and kept, sorted by key."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from threading import Lock
from typing import Literal, Self

import duckdb
import pandas as pd
import pyarrow as pa

from crm.company import Company
from crm.lake import View
from crm.quality import late_filled
from features.added import TABLES, Added
from features.build import KEYS, attach_asked, attach_standing, check_spine, described
from features.catalogue import blocks
from features.few import MOST, Few, TooMany
from features.language import saying_where
from features.prepared import Prepared
from features.session import DUCKDB, RUNNING_FROM, Session, opened
from features.sqlite_sql import NoSqliteSql

_LOG = logging.getLogger(__name__)


class Online:
    """The tables of one view, held in memory to describe a few rows at a time.

    Gives what `features.build.build` gives for the same rows. A context manager; may be used by several threads, one
    after the other.

    Parameters
    ----------
    view : View
        Where the events are read from, once.
    company : Company
        As in `build`.
    entity : {'deal', 'account'}
        Whose features.
    late : frozenset of str, optional
        As in `build`.
    only : collection of str, optional
        As in `build`.
    """

    def __init__(
        self,
        view: View,
        company: Company,
        *,
        entity: Literal["deal", "account"] = "deal",
        late: frozenset[str] | None = None,
        only: Collection[str] | None = None,
    ) -> None:
        self._view, self._company, self._entity = view, company, entity
        self._late = late_filled(view) if late is None else late
        self._blocks = blocks(entity, company, only)
        self._lock = Lock()
        with ExitStack() as stack:
            self._session = stack.enter_context(opened(DUCKDB, view, company.time_zone))
            attach_standing(self._session, view, entity, company, self._late, self._blocks)
            _sort(self._session.local, dict(self._keys()))
            self._session.local.execute("set threads = 1")  # a few rows are not worth handing out
            self._open = stack.pop_all()
        self._few: tuple[Prepared, Added] | None = None
        self._sqlite: Few | None = None
        self._sqlite_fits = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the memory back."""
        self._forget()
        self._open.close()

    def describe(self, spine: pd.DataFrame) -> pd.DataFrame:
        """Features as known at each row's `as_of`; see `build` for the shapes and errors."""
        check_spine(spine, KEYS[self._entity])
        with self._lock, saying_where(*self._company.features):
            if len(spine) < RUNNING_FROM:
                return self._described(self._prepared()[0], spine)
            self._forget()  # its tables are made anew
            return self._described(self._session, spine)

    def describe_with(self, added: Mapping[str, pa.Table], spine: pd.DataFrame) -> pd.DataFrame:
        """Features as if rows had been in the view too; of deals alone.

        Parameters
        ----------
        added : mapping of str to pa.Table
            Whole deals: `deals`, and all of their `deal_changes` and `activities`, in the lake's types. A deal that the
            view has is replaced.
        spine : shape (n, >= 2)
            As for `describe`.
        """
        check_spine(spine, KEYS[self._entity])
        with self._lock, saying_where(*self._company.features):
            session, beside = self._prepared()
            given = set(added["deals"]["deal_id"].to_pylist())
            if len(spine) <= MOST and given >= set(spine["deal_id"]) and (few := self._by_sqlite(session)):
                with few.asked_with(added):
                    return self._described(few, spine)
            with session.undoing():
                beside.put(added)
                return self._described(session, spine)

    def _described(self, session: Session, spine: pd.DataFrame) -> pd.DataFrame:
        attach_asked(session, spine, self._entity, self._company)
        return described(session, self._view, spine, self._entity, self._late, self._blocks)

    def _prepared(self) -> tuple[Prepared, Added]:
        """The session for a few rows, its tables laid out."""
        if self._few is None:
            session = Prepared(self._session.local)
            nothing = pd.DataFrame({KEYS[self._entity]: [], "as_of": pd.to_datetime([], utc=True)})
            with session.laying_out():
                self._described(session, nothing)
            self._few = session, Added(session, {block.events for block in self._blocks}, self._late)
        return self._few

    def _by_sqlite(self, session: Prepared) -> Few | None:
        """The session for deals that are given whole; None where a definition or the company's size is not for it."""
        if self._sqlite is None and self._sqlite_fits:
            few = None
            try:
                few = Few(session, self._blocks)
                nothing = {name: session.fetch(f"select * from {name} limit 0") for name in TABLES}
                spine = pd.DataFrame({"deal_id": [], "as_of": pd.to_datetime([], utc=True)})
                with few.asked_with(nothing):  # says every statement in its words
                    self._described(few, spine)
                self._sqlite = few
            except (NoSqliteSql, TooMany) as why:
                self._sqlite_fits = False
                _LOG.info("deals are described by DuckDB: %s", why)
                if few is not None:
                    few.close()
        return self._sqlite

    def _forget(self) -> None:
        if self._sqlite is not None:
            self._sqlite.close()
        self._few = self._sqlite = None

    def _keys(self) -> Iterator[tuple[str, str]]:
        yield from (("deals", "deal_id"), ("logged", "deal_id"), ("accounts", "account_id"))
        if self._entity == "deal":  # tables that rows can be added to
            yield from (("deal_changes", "deal_id"), ("activities", "deal_id"))
        for block in self._blocks:
            if block.events:
                yield block.events, block.key


def _sort(con: duckdb.DuckDBPyConnection, keys: dict[str, str]) -> None:
    # DuckDB skips whole row groups whose keys do not come near the one asked for, if they lie in order.
    views = {row[0] for row in con.sql("select view_name from duckdb_views() where not internal").fetchall()}
    for table, key in keys.items():
        con.execute(f"create or replace temp table _sorted as select * from {table} order by {key}")
        con.execute(f"drop {'view' if table in views else 'table'} {table}")  # a lake's tables are views on its files
        con.execute(f"alter table _sorted rename to {table}")
