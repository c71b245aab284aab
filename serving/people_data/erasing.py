"""Erasing a person: name, addresses, sign-in and words go; keys and counts stay, so that history still adds up."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import String, Text, delete, select, update
from sqlalchemy.orm import Session

from serving.people import StorePeople, UnknownPerson
from serving.people_data.stored import EMAILS, users_of
from serving.people_data.subjects import Subject
from serving.store import Store
from serving.tables.audit import AuditEntry
from serving.tables.base import Base
from serving.tables.idempotency import KeptAnswer
from serving.tables.people_data import PersonRequest
from serving.tables.users import ApiToken, OneTimeLink, SignIn, User


def erase_person(store: Store, subject: Subject, *, who: str) -> None:
    """Take out whatever names a person.

    The name goes from the people book, and the next import does not bring it back. The person's user can no longer sign
    in and its e-mail is replaced by a number wherever it stands, in the audit too. What the person wrote is emptied.
    Forecasts, counts and the CRM's rows keep the random key, which then leads nowhere.
    """
    with suppress(UnknownPerson):  # the data brought no name, or it is erased already; a user may still be there
        StorePeople(store).erase(subject.person_key)
    with store.session() as session:
        for user in users_of(session, subject):
            _forget_user(session, user)
        emptied = update(PersonRequest).where(PersonRequest.person_key == subject.person_key)
        session.execute(emptied.values(text="", about="", answer=None))
    store.audit(who, "erase person", person_key=subject.person_key)
    store.scrub()


def _forget_user(session: Session, user: User) -> None:
    gone, email = f"erased-{user.user_id}", user.email
    for made in (SignIn, ApiToken, OneTimeLink):
        session.execute(delete(made).where(made.user_id == user.user_id))
    user.email, user.password_hash, user.subject = gone, "", None
    user.ended_at = user.ended_at or datetime.now(UTC)
    session.flush()
    for table in Base.metadata.tables.values():
        for column in table.columns:
            if column.name in EMAILS and isinstance(column.type, String | Text):
                session.execute(update(table).where(column == email).values({column.name: gone}))
    for answer in session.scalars(select(KeptAnswer)):
        if answer.body and email.encode() in answer.body:
            session.delete(answer)
    for entry in session.scalars(select(AuditEntry)):
        if email in str(entry.detail):
            entry.detail = _without(entry.detail, email, gone)


def _without(value: Any, word: str, other: str) -> Any:
    if isinstance(value, dict):
        return {key: _without(one, word, other) for key, one in value.items()}
    if isinstance(value, list):
        return [_without(one, word, other) for one in value]
    return value.replace(word, other) if isinstance(value, str) else value
