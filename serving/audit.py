"""The audit: who changed what and who took data out, newest first."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select

from serving.store import Store
from serving.tables.audit import AuditEntry


def entries(
    store: Store,
    *,
    who: str | None = None,
    what: str | None = None,
    since: datetime | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[AuditEntry]:
    """Entries that fit all that is given, newest first.

    Parameters
    ----------
    who, what : str, optional
        The user's e-mail ('cli' for the command line), and what was done, in full.
    since : datetime, optional
        From this moment on.
    before : int, optional
        Only entries older than the one with this number.
    """
    conditions: list[Any] = []
    if who is not None:
        conditions.append(AuditEntry.who == who)
    if what is not None:
        conditions.append(AuditEntry.what == what)
    if since is not None:
        conditions.append(AuditEntry.at >= since)
    if before is not None:
        conditions.append(AuditEntry.audit_id < before)
    query = select(AuditEntry).where(*conditions).order_by(AuditEntry.audit_id.desc()).limit(limit)
    with store.reading() as session:
        return list(session.scalars(query))


def kinds(store: Store) -> list[str]:
    """Everything that was ever done, by name."""
    with store.reading() as session:
        return list(session.scalars(select(AuditEntry.what).distinct().order_by(AuditEntry.what)))
