"""Answers kept for writes that carry an Idempotency-Key: a repeated request is answered, not done again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from crm.errors import BadInput, NotReady
from serving.access import Viewer
from serving.store import Store
from serving.tables.idempotency import KeptAnswer

KEPT = timedelta(hours=24)
LEASE = timedelta(seconds=60)
"""How long a request counts as at work after its process last said so; a process that was killed says nothing."""


class BadKey(BadInput):
    """The key is empty, too long or holds more than plain characters."""

    def __init__(self) -> None:
        super().__init__("Idempotency-Key: give 1 to 255 visible ASCII characters, such as a new UUID for each write.")


class KeyReused(BadInput):
    """The key came with another request before."""

    def __init__(self) -> None:
        super().__init__("Idempotency-Key: it came with another request before. Give a new key to each write.")


class StillAtWork(NotReady):
    """The first request with this key has not been answered yet."""

    def __init__(self) -> None:
        super().__init__("Idempotency-Key: the first request with it is still at work. Ask again in a moment.")


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer as it was first given; headers are pairs of name and value."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to do a request: the only one at work under this user's key."""

    user: str
    key_hash: str
    worker: str


class KeptAnswers:
    """The kept answers of one store, for all its processes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def claim(self, user: str, key: str, request_hash: str) -> Claim | Answered:
        """Begin a request, or give its first answer where there is one.

        Raises
        ------
        KeyReused
            If the key came with another request.
        StillAtWork
            If the same request is at work elsewhere.
        """
        claim = Claim(user, _digest(key), uuid4().hex)
        now = datetime.now(UTC)
        row = KeptAnswer(
            user=user, key_hash=claim.key_hash, request_hash=request_hash, worker=claim.worker,
            made_at=now, ends_at=now + LEASE,
        )  # fmt: skip
        try:
            with self._store.session() as session:
                # One at work whose process was killed ends here as well.
                session.execute(delete(KeptAnswer).where(KeptAnswer.ends_at <= now))
                session.add(row)
        except IntegrityError:
            return self._first(claim, request_hash)
        return claim

    def renew(self, claim: Claim) -> None:
        """Say that a request is still at work."""
        self._change(claim, ends_at=datetime.now(UTC) + LEASE)

    def keep(self, claim: Claim, answer: Answered) -> None:
        """Keep the answer for a day."""
        pairs: dict[str, Any] = {"pairs": [list(pair) for pair in answer.headers]}
        self._change(claim, status=answer.status, headers=pairs, body=answer.body, ends_at=datetime.now(UTC) + KEPT)

    def release(self, claim: Claim) -> None:
        """Forget the request: it failed in a way that another try may mend."""
        with self._store.session() as session:
            session.execute(delete(KeptAnswer).where(*_mine(claim)))

    def _first(self, claim: Claim, request_hash: str) -> Answered:
        query = select(KeptAnswer).where(KeptAnswer.user == claim.user, KeptAnswer.key_hash == claim.key_hash)
        with self._store.reading() as session:
            row = session.scalar(query)
        if row is None:  # released between the two looks
            raise StillAtWork
        if row.request_hash != request_hash:
            raise KeyReused
        if row.status is None or row.headers is None or row.body is None:
            raise StillAtWork
        return Answered(row.status, [(name, value) for name, value in row.headers["pairs"]], row.body)

    def _change(self, claim: Claim, **values: Any) -> None:
        with self._store.session() as session:
            session.execute(update(KeptAnswer).where(*_mine(claim)).values(**values))


def whose(viewer: Viewer) -> str:
    """Under what a viewer's keys are kept: with another role or fewer scopes, an earlier answer may not be shown."""
    may = _digest(repr((viewer.role, viewer.rep_id, sorted(viewer.scopes))))
    return f"{viewer.user_id}:{may[:16]}"


def check_key(key: str) -> None:
    """Refuse a key that is none.

    Raises
    ------
    BadKey
        If it is empty, longer than 255, or holds other than visible ASCII characters.
    """
    if not 1 <= len(key) <= 255 or not all("!" <= c <= "~" for c in key):
        raise BadKey


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _mine(claim: Claim) -> tuple[Any, ...]:
    return (
        KeptAnswer.user == claim.user,
        KeptAnswer.key_hash == claim.key_hash,
        KeptAnswer.worker == claim.worker,
        KeptAnswer.status.is_(None),
    )
