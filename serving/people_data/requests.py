"""What persons write to the figures kept on them, a comment, correction or objection, and what they are answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from sqlalchemy import select

from crm.errors import BadInput, NotFound
from serving.people_data.subjects import Subject
from serving.store import Store
from serving.tables.people_data import PersonRequest

RequestKind = Literal["comment", "correction", "objection"]
REQUEST_KINDS: tuple[RequestKind, ...] = get_args(RequestKind)
State = Literal["open", "answered"]


class NoRequest(NotFound):
    """There is no such request."""

    def __init__(self, number: int) -> None:
        super().__init__("There is no request {number}. The list is at /api/v1/people/requests.", number=number)


class EmptyText(BadInput):
    """Nothing was written."""

    def __init__(self, what: str) -> None:
        super().__init__("The {what} is empty. Write a sentence.", what=what)


@dataclass(frozen=True, slots=True)
class Request:
    """What a person wrote, and the answer; `about` names a figure or table, empty for all."""

    request_id: int
    person_key: str
    kind: RequestKind
    about: str
    text: str
    made_at: datetime
    state: State
    answer: str | None
    answered_by: str | None
    answered_at: datetime | None


def ask(store: Store, subject: Subject, *, kind: RequestKind, text: str, about: str = "") -> int:
    """Keep what a person writes, open until an administrator answers; give its number.

    Raises
    ------
    EmptyText
        If nothing is written.
    """
    if not text.strip():
        raise EmptyText(kind)
    row = PersonRequest(
        person_key=subject.person_key,
        kind=kind,
        about=about.strip(),
        text=text.strip(),
        made_at=datetime.now(UTC),
        state="open",
    )
    with store.session() as session:
        session.add(row)
        session.flush()
        return row.request_id


def answer(store: Store, number: int, *, text: str, who: str) -> Request:
    """Answer a request; a later answer takes the place of an earlier one.

    Raises
    ------
    NoRequest, EmptyText
        If there is no such request; if the answer is empty.
    """
    if not text.strip():
        raise EmptyText("answer")
    with store.session() as session:
        row = session.get(PersonRequest, number)
        if row is None:
            raise NoRequest(number)
        row.state, row.answer, row.answered_by, row.answered_at = "answered", text.strip(), who, datetime.now(UTC)
        found = _request(row)
    store.audit(who, "person request answered", request_id=number)
    return found


def requests(store: Store, *, person_key: str | None = None, state: State | None = None) -> list[Request]:
    """Requests of one person or of all, the newest first."""
    query = select(PersonRequest).order_by(PersonRequest.request_id.desc())
    query = query.where(PersonRequest.person_key == person_key) if person_key else query
    query = query.where(PersonRequest.state == state) if state else query
    with store.reading() as session:
        return [_request(row) for row in session.scalars(query)]


def _request(row: PersonRequest) -> Request:
    return Request(**{name: getattr(row, name) for name in Request.__slots__})
