"""MLflow's store: a client of it, its tables made once and whole, a server that does not answer."""

from __future__ import annotations

import logging
import os
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from filelock import FileLock

from crm.errors import NotReady

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

EXPERIMENT = "bellwether"
_SQLITE = "sqlite:///"
_SECONDS = 300  # making the tables takes two or three
_ANSWERS = 5.0  # seconds within which a server must


class NoServer(NotReady):
    """MLflow's server does not answer."""

    def __init__(self, tracking: str, why: str) -> None:
        super().__init__(
            f"MLflow's server {tracking} does not answer ({why}), so no model can be read or kept. Start it, or "
            "correct BELLWETHER_TRACKING_URI (MLFLOW_TRACKING_URI where that is unset)."
        )


def client_of(tracking: str) -> MlflowClient:
    """A client of one tracking store, such as sqlite:///var/mlflow.db or a server's address; sends no usage data.

    Raises
    ------
    NoServer
        If a server does not answer.
    """
    if (file := file_of(tracking)) is None:
        _see_server(tracking)
    # MLflow decides on usage data when it is first imported, by the environment alone: it must be told before.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # noqa: TID251
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # noqa: TID251
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # it tells of making its tables
    with _quiet():
        from mlflow.tracking import MlflowClient

        if file is not None:
            _make_tables(file)
            _follow_move(file)
        return MlflowClient(tracking_uri=tracking, registry_uri=tracking)


def file_of(tracking: str) -> Path | None:
    """The file of an SQLite store; None for a server."""
    return Path(tracking.removeprefix(_SQLITE)) if tracking.startswith(_SQLITE) else None


def is_empty(tracking: str) -> bool:
    """Whether an SQLite store was never written; asking MLflow would make its tables first, which takes long."""
    file = file_of(tracking)
    return file is not None and not file.exists()


def artifacts_beside(tracking: str) -> Path | None:
    """`artifacts/` beside an SQLite store; a server has its own place."""
    file = file_of(tracking)
    return None if file is None else file.resolve().parent / "artifacts"


def _see_server(tracking: str) -> None:
    """MLflow's own client would try for minutes; whatever a server answers here, it is there."""
    try:
        httpx.get(tracking, timeout=_ANSWERS)
    except httpx.HTTPError as error:
        raise NoServer(tracking, str(error) or type(error).__name__) from None


def _make_tables(file: Path) -> None:
    """Make MLflow's tables beside their place and move them there, so that nobody ever finds half of them.

    MLflow itself makes them where it finds none, without asking whether another process or thread is doing so.
    """
    if file.exists():
        return
    from mlflow.db import upgrade

    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock"), timeout=_SECONDS):
        if file.exists():
            return
        part = file.with_suffix(".part")
        part.unlink(missing_ok=True)
        upgrade.main([f"{_SQLITE}{part}"], standalone_mode=False)
        part.replace(file)


def _follow_move(file: Path) -> None:
    """Let MLflow find models beside its store, wherever both were moved or copied: it keeps whole addresses."""
    place = file.resolve().parent / "artifacts"
    if not place.is_dir():
        return
    with closing(sqlite3.connect(file)) as connection, connection:
        told = connection.execute("select artifact_location from experiments where name = ?", (EXPERIMENT,)).fetchone()
        if told is None or told[0] == place.as_uri():
            return
        old, new = told[0], place.as_uri()
        for table, column in connection.execute(_TEXTS).fetchall():
            connection.execute(
                f'update "{table}" set "{column}" = replace("{column}", ?, ?) where instr("{column}", ?)',
                (f"{old}/", f"{new}/", f"{old}/"),
            )
        connection.execute("update experiments set artifact_location = ? where name = ?", (new, EXPERIMENT))


_TEXTS = """
select m.name, c.name from sqlite_master m, pragma_table_info(m.name) c
where m.type = 'table' and (c.type like 'varchar%' or c.type = 'text')
"""


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what MLflow's import and tables warn of: its own loaders of SQLAlchemy, its own type hints."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
