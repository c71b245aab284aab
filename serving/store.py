"""The operational store: tables of SQLAlchemy on SQLite or PostgreSQL, brought up to date by Alembic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    DateTime,
    Engine,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    create_engine,
    event,
)
from sqlalchemy.engine import Dialect, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.types import TypeDecorator

from crm.errors import BadInput, NotReady

_BUSY_SECONDS = 30


class BadDatabaseUrl(BadInput):
    """The store's address is no SQLAlchemy URL."""


class StoreUnreachable(NotReady):
    """The store cannot be opened."""


class UtcTime(TypeDecorator[datetime]):
    """A moment with its zone; SQLite forgets zones, so UTC is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Back with its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Declares the tables."""


class Person(Base):
    """Names and addresses of one rep or contact; the lake holds the key alone."""

    __tablename__ = "people"
    person_key: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    source_id: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, str | None]] = mapped_column(JSON)
    __table_args__ = (UniqueConstraint("kind", "source_id"),)


class ErasedPerson(Base):
    """That a person was erased, so that the next import does not bring the name back; holds no name."""

    __tablename__ = "erased_people"
    source_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    person_key: Mapped[str] = mapped_column(String(40))
    erased_at: Mapped[datetime] = mapped_column(UtcTime)


class Secret(Base):
    """A random value of this store."""

    __tablename__ = "secrets"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(String(64))


class User(Base):
    """Someone who may sign in."""

    __tablename__ = "users"
    user_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    email: Mapped[str] = mapped_column(String(320), unique=True)
    role: Mapped[str] = mapped_column(String(20))
    rep_id: Mapped[str | None] = mapped_column(Text)
    password_hash: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(UtcTime)


class SignIn(Base):
    """A session of a browser, or a token for the API; the token itself is not kept."""

    __tablename__ = "sign_ins"
    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.user_id", ondelete="CASCADE"))
    label: Mapped[str] = mapped_column(String(80))
    made_at: Mapped[datetime] = mapped_column(UtcTime)
    ends_at: Mapped[datetime] = mapped_column(UtcTime)


class LedgerRow(Base):
    """Forecasts of one run for one kind of entity, sealed; see `serving.ledger`."""

    __tablename__ = "ledger"
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(20))
    entity: Mapped[str] = mapped_column(String(20))
    as_of: Mapped[datetime] = mapped_column(UtcTime)
    made_at: Mapped[datetime] = mapped_column(UtcTime)
    model_version: Mapped[str] = mapped_column(Text)
    data_cut: Mapped[int] = mapped_column(Integer)
    rows: Mapped[int] = mapped_column(Integer)
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    payload_digest: Mapped[str] = mapped_column(String(64))
    previous_hash: Mapped[str] = mapped_column(String(64), unique=True)
    row_hash: Mapped[str] = mapped_column(String(64), unique=True)


class Feedback(Base):
    """Whether a suggestion helped."""

    __tablename__ = "feedback"
    feedback_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    deal_id: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(String(80))
    answer: Mapped[str] = mapped_column(String(20))
    why: Mapped[str] = mapped_column(Text)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.user_id", ondelete="CASCADE"))
    as_of: Mapped[datetime] = mapped_column(UtcTime)
    model_version: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(UtcTime)


class AuditEntry(Base):
    """Who did what."""

    __tablename__ = "audit"
    audit_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcTime)
    who: Mapped[str] = mapped_column(String(320))
    what: Mapped[str] = mapped_column(String(80))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)


class Job(Base):
    """A piece of work that pages show while it goes on."""

    __tablename__ = "jobs"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    place: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(20))
    done: Mapped[float] = mapped_column(Float)
    text: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime | None] = mapped_column(UtcTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcTime)


class Store:
    """Sessions on the store; the tables are made or brought up to date when it is opened.

    Parameters
    ----------
    url : str
        SQLAlchemy URL, such as sqlite:///var/store.db.

    Raises
    ------
    BadDatabaseUrl
        If the address is no URL that SQLAlchemy knows.
    StoreUnreachable
        If nothing answers there.
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        # In SQLite a transaction that turns from reading to writing fails when another one wrote meanwhile.
        self._writing = self.engine.execution_options(begin="begin immediate")
        try:
            upgrade(self.engine)
        except OperationalError as error:
            where = self.engine.url.render_as_string(hide_password=True)
            raise StoreUnreachable(
                f"The store {where} cannot be opened: {_first_line(error)}. "
                "Check BELLWETHER_DATABASE_URL and the server."
            ) from None

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction that writes: kept at the end, undone on an error."""
        with Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that only reads; it waits for nobody."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    def audit(self, who: str, what: str, **detail: Any) -> None:
        """Note who did what."""
        with self.session() as session:
            session.add(AuditEntry(at=datetime.now(UTC), who=who, what=what, detail=detail))

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()


def upgrade(engine: Engine) -> None:
    """Bring the tables to the newest form."""
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    head = ScriptDirectory.from_config(config).get_current_head()
    with engine.connect() as connection:
        if MigrationContext.configure(connection).get_current_revision() == head:
            return
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _engine(url: str) -> Engine:
    try:
        address = make_url(url)
        engine = create_engine(
            address, connect_args={"timeout": _BUSY_SECONDS} if address.drivername == "sqlite" else {}
        )
    except (ArgumentError, NoSuchModuleError):
        raise BadDatabaseUrl(
            f"The store's address '{url}' is no database URL. Give one such as postgresql+psycopg://user@host/name."
        ) from None
    if engine.dialect.name == "sqlite":
        if address.database:
            Path(address.database).parent.mkdir(parents=True, exist_ok=True)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _: ConnectionPoolEntry) -> None:
    # SQLAlchemy shall begin transactions itself: the driver would only begin them before the first write.
    connection.isolation_level = None
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = normal")
    connection.execute("pragma foreign_keys = on")


def _begin_sqlite(connection: Any) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "begin"))


def _first_line(error: OperationalError) -> str:
    return str(error.orig or error).strip().splitlines()[0]
