"""Tokens for programs: made by a user for oneself, for some scopes and days, and revoked at will."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from crm.errors import BadInput, NotFound
from serving.access import SCOPES, Viewer
from serving.passwords import digest, new_token
from serving.people import MARK
from serving.store import Store
from serving.tables.users import ApiToken, User

_MARK = "bw_"
_USED_EVERY = timedelta(minutes=1)
MOST_DAYS = 366
WHO = (User.role, User.email, User.user_id, User.rep_id)  # what a viewer is made of


class BadToken(BadInput):
    """A token cannot be made like this."""


class UnknownToken(NotFound):
    """The user has no such token."""

    def __init__(self, token_id: int) -> None:
        super().__init__("You have no token {token_id}. The list is at /api/v1/tokens.", token_id=token_id)


def is_one(token: str) -> bool:
    """Whether a token looks like one for programs, not like a session's."""
    return token.startswith(_MARK)


def may_have(role: str) -> frozenset[str]:
    """The scopes that a user of a role can give to a token."""
    return frozenset(SCOPES) if role == "admin" else frozenset({"read", "write", "calendar"})


def make_token(
    store: Store, user: User | Viewer, name: str, scopes: Iterable[str], *, days: int
) -> tuple[ApiToken, str]:
    """A new token: what is kept of it, and the token itself, which is told this once.

    Parameters
    ----------
    scopes : iterable of str
        Of 'read', 'write', 'admin', and 'calendar', which opens the calendar feed alone; never more than the role.
    days : int
        Until it ends, 1 to 366.

    Raises
    ------
    BadToken
        If there are no scopes, or more than the role allows, or the days are out of range.
    """
    wanted = frozenset(scopes)
    allowed = may_have(user.role)
    if not wanted or not wanted <= allowed:
        said = ", ".join(sorted(wanted - allowed)) or "none"
        raise BadToken(
            "scopes: a {role} cannot give {said}. Give of {allowed}.",
            role=user.role,
            said=said,
            allowed=", ".join(sorted(allowed)),
        )
    if not 1 <= days <= MOST_DAYS:
        raise BadToken("days: {days} is out of range. Give 1 to {most_days}.", days=days, most_days=MOST_DAYS)
    assert user.user_id is not None
    secret, now = _MARK + new_token(), datetime.now(UTC)
    row = ApiToken(
        token_hash=digest(secret),
        user_id=user.user_id,
        name=name.strip()[:80],
        scopes=" ".join(s for s in SCOPES if s in wanted),
        made_at=now,
        ends_at=now + timedelta(days=days),
    )
    with store.session() as session:
        session.add(row)
    return row, secret


def tokens_of(store: Store, user_id: int) -> list[ApiToken]:
    """A user's tokens, newest first, ended and revoked ones too."""
    with store.reading() as session:
        return list(
            session.scalars(select(ApiToken).where(ApiToken.user_id == user_id).order_by(ApiToken.token_id.desc()))
        )


def revoke(store: Store, user_id: int, token_id: int) -> None:
    """End one of a user's tokens at once; once more changes nothing.

    Raises
    ------
    UnknownToken
        If the user has no such token.
    """
    with store.session() as session:
        row = session.get(ApiToken, token_id)
        if row is None or row.user_id != user_id:
            raise UnknownToken(token_id)
        row.revoked_at = row.revoked_at or datetime.now(UTC)


def viewer_of(store: Store, token: str) -> Viewer | None:
    """Who a token stands for and what it may do; None where it is unknown, ended or revoked."""
    found = look_up(store, token)
    return found[0] if found else None


def look_up(store: Store, token: str) -> tuple[Viewer, str] | None:
    """As `viewer_of`, together with the mark of names (`StorePeople.mark`)."""
    now = datetime.now(UTC)
    query = (
        select(*WHO, ApiToken.token_id, ApiToken.scopes, ApiToken.used_at, MARK.label("mark"))
        .join(ApiToken, ApiToken.user_id == User.user_id)
        .where(
            ApiToken.token_hash == digest(token),
            ApiToken.ends_at > now,
            ApiToken.revoked_at.is_(None),
            User.ended_at.is_(None),
        )
    )
    row = store.look_up(query)
    if row is None:
        return None
    if row.used_at is None or row.used_at < now - _USED_EVERY:
        with store.session() as session:
            session.execute(update(ApiToken).where(ApiToken.token_id == row.token_id).values(used_at=now))
    # The role may be a lesser one by now than when the token was made.
    scopes = frozenset(row.scopes.split()) & may_have(row.role)
    return Viewer(row.role, row.email, row.user_id, row.rep_id, scopes, by_token=True), row.mark
