"""Signing in and out: sessions of browsers and programs, and who a token stands for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select

from crm.errors import NotAllowed
from serving import tokens
from serving.access import Viewer
from serving.passwords import digest, is_right, new_token
from serving.people import MARK
from serving.store import Store
from serving.tables.users import SignIn, User
from serving.tries import Try
from serving.users import plain


class WrongPassword(NotAllowed):
    """No user has this e-mail and password."""

    def __init__(self) -> None:
        super().__init__("No user has this e-mail and password. Check both; an administrator can set a new password.")


def sign_in(
    store: Store, email: str, password: str, *, address: str = "", days: int = 14, label: str = "browser"
) -> str:
    """Check a password and give a new token for the session.

    Parameters
    ----------
    address : str
        Where the request comes from; wrong passwords are counted for it too.

    Raises
    ------
    WrongPassword
        If there is no such user, the user was ended, or the password is another.
    TooManyTries
        After several wrong ones.
    """
    attempt = Try(plain(email), address)
    attempt.begin(store)
    with store.reading() as session:
        user = session.scalar(select(User).where(User.email == attempt.email, User.ended_at.is_(None)))
    if not is_right(password, user.password_hash if user else None) or user is None:
        raise WrongPassword
    attempt.was_right(store)
    return start_session(store, user.user_id, days=days, label=label)


def start_session(store: Store, user_id: int, *, days: int, label: str) -> str:
    """A token that stands for a user for some days; only its hash is kept."""
    token, now = new_token(), datetime.now(UTC)
    with store.session() as session:
        session.execute(delete(SignIn).where(SignIn.ends_at < now))
        ends = now + timedelta(days=days)
        session.add(SignIn(token_hash=digest(token), user_id=user_id, label=label[:80], made_at=now, ends_at=ends))
    return token


def viewer_of(store: Store, token: str | None) -> Viewer | None:
    """Who a token stands for; None where it is unknown or has ended, or the user was ended."""
    found = look_up(store, token)
    return found[0] if found else None


def look_up(store: Store, token: str | None) -> tuple[Viewer, str] | None:
    """As `viewer_of`, together with the mark of names (`StorePeople.mark`)."""
    if not token:
        return None
    if tokens.is_one(token):
        return tokens.look_up(store, token)
    query = (
        select(*tokens.WHO, MARK.label("mark"))
        .join(SignIn, SignIn.user_id == User.user_id)
        .where(SignIn.token_hash == digest(token), SignIn.ends_at > datetime.now(UTC), User.ended_at.is_(None))
    )
    row = store.look_up(query)
    return (Viewer(row.role, row.email, row.user_id, row.rep_id), row.mark) if row else None


def sign_out(store: Store, token: str | None) -> None:
    """End a session."""
    if token:
        with store.session() as session:
            session.execute(delete(SignIn).where(SignIn.token_hash == digest(token)))
