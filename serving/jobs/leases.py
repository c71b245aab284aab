"""Leases in the store: what only one process may write, held while it says that it lives, then open to the next."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, or_, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from crm.errors import NotReady
from serving.store import Store
from serving.tables.jobs import Lease

LEASE_SECONDS = 30.0
"""After that long without a sign of life another process may take over; clocks of hosts must agree better than that."""


class Busy(NotReady):
    """Another process writes the same thing."""

    def __init__(self, name: str, holder: str) -> None:
        super().__init__(
            "Another process ({holder}) is writing the {name}. Try again when it is done: see /jobs.",
            holder=holder,
            name=name,
        )


def take(session: Session, name: str, holder: str, *, seconds: float = LEASE_SECONDS) -> bool:
    """Take or prolong a lease; False where another process that lives holds it."""
    now = datetime.now(UTC)
    until = now + timedelta(seconds=seconds)
    free = or_(Lease.holder == holder, Lease.until < now)
    if _changed(session, update(Lease).where(Lease.name == name, free).values(holder=holder, until=until)):
        return True
    held = session.get(Lease, name)
    if held is not None:
        if lives(held.holder):
            return False
        mine = update(Lease).where(Lease.name == name, Lease.holder == held.holder)
        return _changed(session, mine.values(holder=holder, until=until))
    try:
        with session.begin_nested():
            session.add(Lease(name=name, holder=holder, until=until))
    except IntegrityError:  # another process was faster
        return False
    return True


def give_back(session: Session, name: str, holder: str) -> None:
    """End a lease; nothing happens where another process has taken it over."""
    session.execute(delete(Lease).where(Lease.name == name, Lease.holder == holder))


@contextmanager
def held(store: Store, name: str, *, seconds: float = LEASE_SECONDS, patience: float = 0.0) -> Iterator[None]:
    """Hold a lease for as long as the block lasts; a thread prolongs it.

    Parameters
    ----------
    patience : float
        For how many seconds to wait for another process that holds it.

    Raises
    ------
    Busy
        If another process holds it then.
    """
    holder, stop = f"{process_name()}:{secrets.token_hex(4)}", threading.Event()
    give_up = time.monotonic() + patience
    while (other := _other(store, name, holder, seconds)) is not None:
        if time.monotonic() >= give_up:
            raise Busy(name, other)
        time.sleep(0.5)

    def prolong() -> None:
        while not stop.wait(seconds / 5):
            try:
                with store.session() as session:
                    take(session, name, holder, seconds=seconds)
            except OperationalError:  # the store may be back before the lease ends
                continue

    thread = threading.Thread(target=prolong, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        with store.session() as session:
            give_back(session, name, holder)


def _other(store: Store, name: str, holder: str, seconds: float) -> str | None:
    """Take a lease, or give who holds it."""
    with store.session() as session:
        if take(session, name, holder, seconds=seconds):
            return None
        found = session.get(Lease, name)
        return found.holder if found else "a process that has just begun"


def process_name() -> str:
    """The process by host and number; on Linux with its number space, as containers may share a host's name."""
    return f"{_place()}:{os.getpid()}"


def lives(holder: str) -> bool:
    """False where the holder ran on this machine and is gone; elsewhere only its lease can tell."""
    place, _, rest = holder.partition(":")
    number = rest.split(":")[0]
    if place != _place() or not number.isdigit():
        return True
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _place() -> str:
    space = Path("/proc/self/ns/pid")
    inner = f"/{space.stat().st_ino}" if space.exists() else ""
    return f"{socket.gethostname()[:60]}{inner}"


def _changed(session: Session, statement: object) -> bool:
    return bool(session.execute(statement).rowcount)  # type: ignore[call-overload]
