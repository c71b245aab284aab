"""The operational store: tables of SQLAlchemy on SQLite or PostgreSQL, brought up to date by Alembic."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Row,
    Select,
    create_engine,
    event,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from crm.errors import BadInput, NotReady
from serving.logs import harmless
from serving.tables.audit import AuditEntry

_BUSY_SECONDS = 30
_RESTART_SECONDS = 5.0
# What a request noted itself; whoever writes a general entry for it need not, then.
NOTED: ContextVar[list[str] | None] = ContextVar("noted", default=None)
_NULL_IN_JSON = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # as JSON writes it, a backslash itself not meant


class BadDatabaseUrl(BadInput):
    """The store's address is no SQLAlchemy URL."""


class StoreUnreachable(NotReady):
    """The store cannot be opened."""


class NullCharacter(BadInput):
    """A text holds a null character, which PostgreSQL cannot keep."""

    def __init__(self) -> None:
        super().__init__("A text holds a null character (U+0000). Take it out, then send it again.")


class UnknownRevision(BadInput):
    """The tables have a form that this version does not know."""

    def __init__(self, revision: str) -> None:
        super().__init__(f"The store's form {revision} is not known to this version. Install a newer one.")


class Store:
    """Sessions on the store; the tables are made or brought up to date when it is opened.

    Parameters
    ----------
    url : str
        SQLAlchemy URL, such as sqlite:///var/store.db.
    revision : str, optional
        Go no further than to this form of the tables; unset: the newest.

    Raises
    ------
    BadDatabaseUrl
        If the address is no URL that SQLAlchemy knows.
    StoreUnreachable
        If nothing answers there.
    """

    def __init__(self, url: str, *, revision: str | None = None) -> None:
        self.engine = _engine(url)
        # In SQLite a transaction that turns from reading to writing fails when another one wrote meanwhile.
        self._writing = self.engine.execution_options(begin="begin immediate")
        try:
            upgrade(self.engine, revision)
        except OperationalError as error:
            where = self.engine.url.render_as_string(hide_password=True)
            raise StoreUnreachable(
                f"The store {where} cannot be opened: {_first_line(error)}. "
                "Check BELLWETHER_DATABASE_URL and the server."
            ) from None

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction that writes: kept at the end, undone on an error."""
        with self._begun(self._writing) as session:
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that only reads; it waits for nobody."""
        with self._begun(self.engine) as session:
            yield session

    @contextmanager
    def _begun(self, engine: Engine) -> Iterator[Session]:
        with (
            self._connected(engine) as connection,
            Session(connection, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    def look_up(self, query: Select[*tuple[Any, ...]]) -> Row[*tuple[Any, ...]] | None:
        """The one row of a query, or None; the shortest way to it, for what every request asks."""
        with self._connected(self.engine) as connection:
            return connection.execute(query).one_or_none()

    def _connected(self, engine: Engine) -> Connection:
        """A live connection; a server that is just restarting is asked again, as nothing has been done yet."""
        give_up = time.monotonic() + _RESTART_SECONDS
        while True:
            try:
                return engine.connect()
            except OperationalError:
                if engine.dialect.name == "sqlite" or time.monotonic() > give_up:
                    raise
                time.sleep(0.2)

    def audit(self, who: str, what: str, **detail: Any) -> None:
        """Note who did what."""
        if (noted := NOTED.get()) is not None:
            noted.append(what)
        with self.session() as session:
            session.add(AuditEntry(at=datetime.now(UTC), who=who, what=what, detail=detail))

    def scrub(self) -> None:
        """Take what was deleted out of SQLite's journal too, which would keep it until it is written anew."""
        if self.engine.dialect.name == "sqlite":
            with self.engine.connect() as connection:
                connection.exec_driver_sql("pragma wal_checkpoint(truncate)")

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()


def revision_of(connection: Connection) -> str | None:
    """Which migration the tables are at; None in a new store."""
    from alembic.runtime.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()


def upgrade(engine: Engine, revision: str | None = None) -> None:
    """Bring the tables to the newest form, or no further than to an older one.

    Raises
    ------
    UnknownRevision
        If this version knows no such form.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    wished = revision or ScriptDirectory.from_config(config).get_current_head()
    with engine.connect() as connection:
        if revision_of(connection) == wished:
            return
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, wished or "head")
        except CommandError:
            raise UnknownRevision(str(wished)) from None


def _engine(url: str) -> Engine:
    try:
        address = make_url(url)
        waits = address.drivername == "sqlite" and "timeout" not in address.query
        # A server may have ended connections that stand idle here: each is tried before it is given out.
        # What a statement was about is not told in errors: those may be logged.
        engine = create_engine(
            address, pool_pre_ping=True, hide_parameters=True, connect_args={"timeout": _BUSY_SECONDS} if waits else {}
        )
    except (ArgumentError, NoSuchModuleError):
        raise BadDatabaseUrl(
            f"The store's address '{harmless(url)}' is no database URL. Give one such as postgresql+psycopg://user@host/name."
        ) from None
    if engine.dialect.name == "sqlite":
        if address.database:
            Path(address.database).parent.mkdir(parents=True, exist_ok=True)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    event.listen(engine, "before_cursor_execute", _refuse_null)
    return engine


def _has_null(value: str) -> bool:
    return "\0" in value or (value.startswith(("{", "[")) and _NULL_IN_JSON.search(value) is not None)


def _refuse_null(_: Any, __: Any, ___: str, given: Any, ____: Any, _____: bool) -> None:
    # On SQLite as well, which would keep it: a store can then move to PostgreSQL.
    rows = given if isinstance(given, list) else [given]
    for row in rows:
        values = row.values() if isinstance(row, dict) else row or ()
        if any(isinstance(value, str) and _has_null(value) for value in values):
            raise NullCharacter


def _set_up_sqlite(connection: Any, _: ConnectionPoolEntry) -> None:
    # SQLAlchemy shall begin transactions itself: the driver would only begin them before the first write.
    connection.isolation_level = None
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = normal")
    connection.execute("pragma foreign_keys = on")
    connection.execute("pragma secure_delete = on")  # an erased name is overwritten, not left in a free page


def _begin_sqlite(connection: Any) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "begin"))


def _first_line(error: OperationalError) -> str:
    return str(error.orig or error).strip().splitlines()[0]
