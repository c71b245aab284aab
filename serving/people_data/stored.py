"""Rows of the store that carry a person's key, user or e-mail, of whatever table: found by the names of columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, Table, and_, or_, select
from sqlalchemy.orm import Session

from serving.people_data.subjects import Subject
from serving.tables.base import Base
from serving.tables.users import User

KEYS = ("person_key",)
REPS = ("rep_id", "owner_id")
USERS = ("user_id", "asked_by")
EMAILS = ("email", "who", "recorded_by", "withdrawn_by", "answered_by")
# Never given to anybody: what lets one sign in, and random values.
SECRET = ("password_hash", "token_hash", "key_hash", "request_hash", "nonce", "verifier", "state_hash", "value")


def users_of(session: Session, subject: Subject) -> list[User]:
    """Users that sign in as a person."""
    if subject.kind != "rep":
        return []
    return list(session.scalars(select(User).where(User.rep_id == subject.ident)))


def rows_of(session: Session, subject: Subject) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Tables and their rows that carry a person, secrets and packed values left out."""
    users = users_of(session, subject)
    for table in sorted(Base.metadata.tables.values(), key=lambda t: t.name):
        if (chosen := _condition(table, subject, users)) is not None:
            shown = [c for c in table.columns if c.name not in SECRET and not isinstance(c.type, LargeBinary)]
            rows = [dict(row) for row in session.execute(select(*shown).where(chosen)).mappings()]
            if rows:
                yield table.name, rows


def _condition(table: Table, subject: Subject, users: list[User]) -> ColumnElement[bool] | None:
    ids, emails = [u.user_id for u in users], [u.email for u in users]
    reps = [subject.ident] if subject.kind == "rep" else []
    named = ((KEYS, [subject.person_key]), (REPS, reps), (USERS, ids), (EMAILS, emails))
    values: dict[str, list[Any]] = {column: wanted for columns, wanted in named for column in columns}
    parts = [
        _of_reps(table, c.in_(values[c.name])) if c.name == "owner_id" else c.in_(values[c.name])
        for c in table.columns
        if values.get(c.name)
    ]
    return or_(*parts) if parts else None


def _of_reps(table: Table, same: ColumnElement[bool]) -> ColumnElement[bool]:
    """Goals are owned by teams and the company too."""
    return and_(same, table.c.owner_kind == "rep") if "owner_kind" in table.c else same
